// A shop with a journal is killed while money is moving, started again, and
// asked by the same buyer with the same payment: settled once, served once.
//
//   node --test tests/system/provider_journal.test.mjs

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { freePort } from '../devnet/ports.mjs';
import { ARTICLE, SECRET, challenge, pay, paying, request, settled,
  startFacilitator, startSite } from './provider.lib.mjs';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');
const dir = mkdtempSync(path.join(tmpdir(), 'x402-journal-'));
after(() => rmSync(dir, { recursive: true, force: true }));

test('x402-revenue describes itself in one way', async () => {
  const help = await revenue('--help');
  const page = (await revenue('--man')).replaceAll('\\-', '-')
    .replaceAll(/\\f[BIR]/g, '');
  const options = [...help.matchAll(/^  --([a-z]+)(?: ([A-Z]+))?$/gm)];
  assert.ok(options.length >= 6, help);
  for (const [, name, value] of options)
    assert.ok(page.includes(`.TP\n--${name}${value ? ` ${value}` : ''}\n`), name);
  assert.match(await revenue('--version'), /^x402-revenue \d/);
  await assert.rejects(revenue('--help', 'x'), { code: 2 });
});

const revenue = async (...args) => (await promisify(execFile)(
  path.join(build, 'provider-sdk/x402-revenue'), args)).stdout;

for (const name of ['content-site', 'content-site-microhttpd'])
  describe(name, () => {
    const journal = path.join(dir, name);
    let f;
    let site;
    let port;
    const open = async () => {
      port ??= await freePort();
      site = await startSite(name, { FACILITATOR_URL: f.url,
        X402_JOURNAL: journal, PORT: String(port),
        PUBLIC_ORIGIN: 'https://shop.example' });
    };
    const kill = async () => {
      const gone = new Promise((done) => site.child.on('exit', done));
      site.child.kill('SIGKILL');
      await gone;
    };

    before(async () => {
      f = await startFacilitator();
      await open();
    });
    beforeEach(() => f.reset());
    after(async () => {
      await site.stop();
      await f.stop();
    });

    test('killed while it settles: settled first, then served', async () => {
      const headers = paying(pay(await challenge(site, ARTICLE)));
      let key;
      await new Promise((done) => {
        f.settle = (body, req) => {
          key = req.headers['idempotency-key'];
          kill().then(done);
        };
        request(site, ARTICLE, { headers }).catch(() => {});
      });
      f.reset();
      await open();
      const res = await request(site, ARTICLE, { headers });
      assert.equal(res.status, 200);
      assert.match(res.text, new RegExp(SECRET));
      assert.deepEqual(f.asked.map((a) => a.what), ['settle']);
      assert.equal(f.asked[0].headers['idempotency-key'], key);
      assert.equal((await request(site, ARTICLE, { headers })).status, 402);
      assert.equal(f.count('settle'), 1);
    });

    test('what was delivered stays delivered after a kill', async () => {
      const headers = paying(pay(await challenge(site, ARTICLE)));
      assert.equal((await request(site, ARTICLE, { headers })).status, 200);
      await kill();
      await open();
      const again = await request(site, ARTICLE, { headers });
      assert.equal(again.status, 402);
      assert.equal(f.count('settle'), 1);
    });

    test('a pass outlives the process', async () => {
      const headers = paying(pay(await challenge(site, ARTICLE)));
      const res = await request(site, ARTICLE, { headers });
      await kill();
      await open();
      const pass = [['X402-Pass', res.headers['x402-pass']]];
      assert.equal((await request(site, ARTICLE, { headers: pass })).status,
        200);
      assert.equal(f.count('settle'), 1);
    });

    test('a named purchase is answered again, after a kill too', async () => {
      const target = '/api/quote';
      const named = (required) => {
        const id = required.extensions['payment-identifier'];
        id.info.id = 'purchase-0001-abcdef';
        return pay(required);
      };
      const headers = paying(named(await challenge(site, target)));
      const first = await request(site, target, { headers });
      assert.equal(first.status, 200);
      await kill();
      await open();
      const again = await request(site, target, { headers });
      // Not with libmicrohttpd, which keeps a response's body to itself.
      const kept = name === 'content-site';
      assert.equal(again.status, kept ? 200 : 402);
      if (kept) assert.equal(again.text, first.text);
      assert.equal(again.headers['payment-response'] !== undefined, true);
      // The name alone is no key: a signature that nobody can judge here.
      const other = await request(site, target,
        { headers: paying(named(await challenge(site, target))) });
      assert.equal(other.status, 409);
      assert.doesNotMatch(other.text, /quote"/);
      assert.equal(f.count('settle'), 1);
    });

    test('a second shop on the same journal is refused', async () => {
      await assert.rejects(startSite(name, { FACILITATOR_URL: f.url,
        X402_JOURNAL: journal }), /another process has it open/);
    });

    test('x402-revenue counts what was settled, while it is open', async () => {
      f.settle = () => settled({ success: false, transaction: '',
        errorReason: 'insufficient_funds' });
      await request(site, ARTICLE,
        { headers: paying(pay(await challenge(site, ARTICLE))) });
      const total = (await revenue(journal, '--by', 'route')).split('\t');
      assert.deepEqual([total[0], total[3], total[4]],
        ['GET /api/quote', '1', '1000\nGET /articles/[slug]']);
      assert.deepEqual(total.slice(-2), ['3', '30000\n']);
      const lines = (await revenue(journal, '--list', 'all')).trim()
        .split('\n').map((line) => JSON.parse(line));
      assert.deepEqual(lines.map((line) => line.state),
        ['delivered', 'delivered', 'delivered', 'delivered']);
      assert.equal(lines[0].url, `https://shop.example${ARTICLE}`);
      const year = new Date().getUTCFullYear();
      assert.equal((await revenue(journal, '--from', `${year}-01-01`))
        .split('\t')[3], '4');
      assert.equal(await revenue(journal, '--from', `${year + 1}-01-01`), '');
      assert.equal(await revenue(journal, '--to', `${year - 1}-01-01`), '');
      for (const bad of ['2026-02-30', '2026-13-01', 'today', '-1', ''])
        await assert.rejects(revenue(journal, '--from', bad), { code: 2 }, bad);
      await assert.rejects(revenue(path.join(dir, 'none')), { code: 1 });
    });
  });
