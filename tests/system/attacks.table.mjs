// The provider's attacks of demands.md, 33 to 45, by number, against any shop
// that sells the articles of examples/content.h. An attack succeeds when it
// reads the secret without a settled payment, or when money moves and nothing
// is known of it.
//
//   attack(name, open, also)   open({ f, dir, directory }) starts the shop on a
//                              facilitator, with a directory for its journal
//                              and the origin of SignedBot's keys; also says
//                              what differs: finishes, it goes on settling
//                              when the buyer leaves

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from
  'node:test';

import { randomNonce, signAuthorization } from '../devnet/lib.mjs';
import { signed, startDirectory } from './crawler.lib.mjs';
import { startNginx } from './nginx.lib.mjs';
import { ARTICLE, PAYEE, PAYER, SECRET, challenge, decode, encode, pay, paying,
  raw, request, settled, startFacilitator } from
  './provider.lib.mjs';

// The key of PAYER: anvil's.
export const PAYER_KEY =
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
const OTHER = '/articles/reading-a-price-tag';
const shut = (text, what) =>
  assert.doesNotMatch(text, new RegExp(`${SECRET}|A person who sees`), what);

export const attack = (name, open, also = {}) =>
  describe(`attacks on ${name}`, () => {
  const dir = mkdtempSync(path.join(tmpdir(), 'x402-attacks-'));
  let f;
  let site;
  let directory;
  let given = 0; // articles that were read
  before(async () => {
    f = await startFacilitator();
    directory = await startDirectory();
    site = await open({ f, dir, directory: directory.origin });
  });
  beforeEach(() => { f.reset(); given = 0; });
  afterEach(() => {
    assert.ok(given <= f.count('settle'), `${given} read, ${
      f.count('settle')} asked to settle`);
  });
  after(async () => {
    const ended = await site.stop();
    await f.stop();
    await directory.stop();
    rmSync(dir, { recursive: true, force: true });
    assert.deepEqual(ended, { code: 0, signal: null }, site.log);
    assert.doesNotMatch(site.log, /ERROR|runtime error/);
  });

  const ask = async (target, options) => {
    const res = await request(site, target, options);
    if (res.text.includes(SECRET)) given++;
    return res;
  };
  const buy = async (target = ARTICLE, options = {}) => ask(target, {
    ...options, headers: paying(pay(await challenge(site, target))) });
  const host = () => new URL(site.url).host;

  test('33 aliases of a path', async () => {
    for (const target of [`/${ARTICLE}`, `/.${ARTICLE}`, `/x/..${ARTICLE}`,
      '/%61rticles/the-long-wait-of-402', ARTICLE.replace('s/', 's%2f'),
      ARTICLE.replace('s/', 's\\'), ARTICLE.replace('s/', 's%5C'),
      ARTICLE.toUpperCase(), `${ARTICLE}/`, `${ARTICLE};x=1`,
      '/articles;x/the-long-wait-of-402',
      '/%2561rticles/the-long-wait-of-402', `${ARTICLE}%00`, `${ARTICLE}%0a`,
      `${ARTICLE}%20`, `${ARTICLE}?free=1`, `${ARTICLE}#x`,
      '/%c0%afarticles/the-long-wait-of-402', `/health/..${ARTICLE}`,
      `http://${host()}${ARTICLE}`, `http://other.test${ARTICLE}`,
      `https://${host()}/${ARTICLE}`])
      await Promise.all(['1.1', '1.0'].map(async (version) =>
        shut(await raw(site, `GET ${target} HTTP/${version}\r\nHost: ${
          host()}\r\nConnection: close\r\n\r\n`), target)));
    shut(await raw(site, `GET ${ARTICLE}\r\n\r\n`), 'HTTP/0.9');
    shut(await raw(site, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'HTTP/2');
    assert.equal(f.asked.length, 0);
  });

  test('34 methods, overrides, ranges, upgrades', async () => {
    for (const method of ['HEAD', 'OPTIONS', 'TRACE', 'PUT', 'POST', 'DELETE',
      'PATCH', 'BREW', 'get', 'PROPFIND'])
      await Promise.all(['', 'X-HTTP-Method-Override: GET\r\n',
        'Range: bytes=0-\r\n', 'If-None-Match: *\r\n',
        'Upgrade: websocket\r\n', 'Upgrade: h2c\r\n'].map(async (extra) =>
        shut(await raw(site, `${method} ${ARTICLE} HTTP/1.1\r\nHost: ${
          host()}\r\n${extra}Connection: close\r\n\r\n`), method)));
    assert.equal(f.asked.length, 0);
  });

  test('35 smuggled payment headers', async () => {
    const one = pay(await challenge(site, ARTICLE));
    const two = pay(await challenge(site, ARTICLE));
    for (const headers of [
      [...paying(one), ...paying(two)],
      [...paying(one), ['X-PAYMENT', two]],
      [...paying(one), ['Connection', 'PAYMENT-SIGNATURE']],
      [...paying(one), ['Connection', 'close, payment-signature']],
      [['PAYMENT-SIGNATURE', `${one}, ${two}`]],
      [['PAYMENT-SIGNATURE', 'A'.repeat(20000)]],
    ])
      shut((await ask(ARTICLE, { headers })).text, headers.join());
    for (const lines of [`PAYMENT-SIGNATURE:\r\n ${one}`,
      `X: y\r\n PAYMENT-SIGNATURE: ${one}`, `PAYMENT-SIGNATURE : ${one}`])
      shut(await raw(site, `GET ${ARTICLE} HTTP/1.1\r\nHost: x\r\n${lines}` +
        '\r\n\r\n'), lines.slice(0, 30));
    assert.equal(f.count('settle'), 0);
  });

  test('36 a facilitator that lies, or talks nonsense', async () => {
    const nonsense = [
      (body, req, res) => { res.end('<html>ok</html>'); },
      (body, req, res) => { res.end(''); },
      (body, req, res) => { res.end('{"isValid":true,"success":tr'); },
      (body, req, res) => { res.writeHead(302, { location: '/' }).end(); },
      (body, req) => { req.socket.destroy(); },
      () => ({ isValid: 'true', success: 'true' }), () => [true],
      () => null,
    ];
    for (const answer of nonsense)
      for (const what of ['verify', 'settle']) {
        f.reset();
        f[what] = answer;
        const res = await buy();
        assert.equal(res.status, 502);
        shut(res.text, what);
      }
    for (const lie of [{ transaction: '' }, { network: 'eip155:1' },
      { payer: PAYEE }, { amount: '1' }, { errorReason: 'oops' }]) {
      f.settle = () => settled(lie);
      shut((await buy()).text, JSON.stringify(lie));
    }
  });

  test('37 one payment, another resource, price, method or body',
    async () => {
      const payment = pay({ ...await challenge(site, ARTICLE),
        resource: undefined });
      shut((await ask('/api/quote', { headers: paying(payment) })).text);
      assert.equal((await ask(ARTICLE,
        { headers: paying(payment) })).status, 200);
      for (const [target, options] of [[OTHER, {}], [`${ARTICLE}?a`, {}],
        [ARTICLE, { method: 'HEAD' }], [ARTICLE, { body: 'x' }],
        [ARTICLE, {}]]) {
        const res = await ask(target, { ...options,
          headers: paying(payment) });
        shut(res.text, target);
        assert.equal(res.status, 402);
      }
      assert.equal(f.count('settle'), 1);
      // A hundred at once.
      f.verify = async () => {
        await new Promise((done) => setTimeout(done, 30));
        return { isValid: true, payer: PAYER };
      };
      const again = paying(pay(await challenge(site, ARTICLE)));
      const all = await Promise.all(Array.from({ length: 100 }, () =>
        ask(ARTICLE, { headers: again }).catch(() => ({ status: 0 }))));
      assert.equal(all.filter((r) => r.status === 200).length, 1);
    });

  test('38 terms that were changed on the way', async () => {
    for (const change of [{ amount: '1' }, { payTo: PAYER },
      { network: 'eip155:1' }, { asset: PAYER }, { scheme: 'free' },
      { maxTimeoutSeconds: 9 }, { extra: {} }]) {
      const required = await challenge(site, ARTICLE);
      Object.assign(required.accepts[0], change);
      const res = await ask(ARTICLE, { headers: paying(pay(required)) });
      assert.equal(res.status, 402, JSON.stringify(change));
      shut(res.text, JSON.stringify(change));
    }
    const now = Math.floor(Date.now() / 1000);
    for (const change of [{ validBefore: String(now + 2) },
      { validAfter: String(now + 60) }, { value: '1' }, { to: PAYER }]) {
      // Signed for real, so that all of it can be judged without a chain.
      const required = await challenge(site, ARTICLE);
      const [offer] = required.accepts;
      const authorization = { from: PAYER, to: PAYEE, value: '10000',
        validAfter: String(now - 600), validBefore: String(now + 300),
        nonce: randomNonce(), ...change };
      const signature = await signAuthorization({ tokenName: 'USDC',
        tokenVersion: '2', chainId: 84532, token: offer.asset }, PAYER_KEY,
      authorization);
      shut((await ask(ARTICLE, { headers: paying(encode({ x402Version: 2,
        resource: required.resource, accepted: offer,
        extensions: required.extensions,
        payload: { authorization, signature } })) })).text,
      JSON.stringify(change));
    }
    assert.equal(f.asked.length, 0);
  });

  test('39 a shared cache in front keeps nothing', async () => {
    const front = await startNginx(`
      proxy_cache_path DIR/cache keys_zone=c:1m;
      server { listen 127.0.0.1:PORT;
        location / { proxy_pass ${site.url}; proxy_cache c;
          proxy_cache_valid 200 402 1h; add_header X-Cache
          $upstream_cache_status always; } }`, { load: false });
    try {
      assert.equal((await request(front, ARTICLE)).status, 402);
      const paid = await request(front, ARTICLE, {
        headers: paying(pay(await challenge(site, ARTICLE))) });
      assert.equal(paid.status, 200);
      given++;
      const pass = [['X402-Pass', paid.headers['x402-pass']]];
      assert.equal((await request(front, ARTICLE, { headers: pass })).status,
        200);
      for (const headers of [[], [['Accept', 'text/html'],
        ['User-Agent', 'Mozilla/5.0']], [['X402-Pass', 'x']]]) {
        const res = await request(front, ARTICLE, { headers });
        assert.equal(res.status, 402);
        assert.notEqual(res.headers['x-cache'], 'HIT');
        shut(res.text);
      }
    } finally { await front.stop(); }
  });

  test('40 a buyer who leaves, a handler that fails', async () => {
    // Gone while it settles: the money is known, and served when he is back.
    const payment = pay(await challenge(site, ARTICLE));
    await new Promise((done) => {
      const socket = net.connect(new URL(site.url).port, '127.0.0.1');
      f.settle = async () => {
        socket.destroy();
        await new Promise((later) => setTimeout(later, 200));
        setTimeout(done, 300);
        return settled();
      };
      socket.on('error', () => {});
      socket.write(`GET ${ARTICLE} HTTP/1.1\r\nHost: ${host()}\r\n` +
        `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`);
    });
    f.settle = () => settled();
    const back = await ask(ARTICLE, { headers: paying(payment) });
    assert.equal(f.count('settle'), 1);
    if (also.finishes) assert.equal(back.status, 200);
    else assert.ok([200, 402].includes(back.status));
    // A handler that fails is not charged.
    f.reset();
    assert.equal((await buy('/fail')).status, 500);
    assert.equal((await buy('/articles/none')).status, 404);
    assert.equal(f.count('settle'), 0);
    // A settlement that fails gives nothing away.
    f.settle = () => settled({ success: false, transaction: '',
      errorReason: 'insufficient_funds' });
    shut((await buy()).text);
  });

  test('41 names of the server that a stranger writes', async () => {
    for (const headers of [[['Host', 'evil.test']],
      [['X-Forwarded-Host', 'evil.test'], ['X-Forwarded-Proto', 'https']],
      [['Forwarded', 'host=evil.test']], [['X-Forwarded-For', '127.0.0.1']],
      [['X-Original-URL', '/']], [['X-Rewrite-URL', '/health']]]) {
      const res = await ask(ARTICLE, { headers });
      const header = res.headers['payment-required'];
      shut(res.text);
      if (header)
        assert.equal(decode(header).resource.url, site.url + ARTICLE);
      else assert.equal(res.status, 400);
    }
  });

  // Its keys are asked for while its body is on the way.
  test('42 a crawler with a body proves who it is', async () => {
    const res = await request(site, '/paid-post', { method: 'POST',
      body: 'x'.repeat(5000), headers: [['Content-Type', 'text/plain'],
        ['Content-Length', '5000'], ...signed(directory, host())] });
    assert.equal(res.status, 200, res.text);
    assert.match(res.text, /"paid"/);
  });

  test('42 crawlers that are not who they say', async () => {
    for (const agent of ['SignedBot/1.0', 'Googlebot/2.1', 'SignedBot'])
      shut((await ask(ARTICLE,
        { headers: [['User-Agent', agent]] })).text, agent);
    const blocked = await ask(ARTICLE, { headers: [['User-Agent',
      'GreedyBot'], ...paying(pay(await challenge(site, ARTICLE)))] });
    assert.equal(blocked.status, 403);
    assert.equal(blocked.headers['crawler-error'], 'CrawlerForbidden');
    const stranger = crypto.generateKeyPairSync('ed25519').privateKey;
    const now = Math.floor(Date.now() / 1000);
    for (const [authority, change] of [['evil.test', {}],
      [host(), { key: stranger }], [host(), { expires: now - 1 }],
      [host(), { created: now + 900, expires: now + 960 }],
      [host(), { tag: 'other' }], [host(), { agent: 'http://evil.test' }]])
      shut((await ask(ARTICLE, { headers: signed(directory, authority,
        change) })).text, JSON.stringify(change));
    // The one that signs reads, once with each signature, and its keys are
    // asked for once.
    const headers = signed(directory, host());
    const read = await request(site, ARTICLE, { headers });
    assert.equal(read.status, 200);
    assert.match(read.text, new RegExp(SECRET));
    shut((await ask(ARTICLE, { headers })).text, 'replay');
    assert.equal(directory.asked, 1);
  });

  test('43 passes and proofs of somebody else', async () => {
    const paid = await buy();
    const pass = paid.headers['x402-pass'];
    const cookie = paid.headers['set-cookie'][0];
    assert.match(cookie, /HttpOnly; SameSite=Lax/);
    for (const value of [pass.slice(2), pass.replace(/^02/, '01'),
      pass.replace(/.$/, (c) => (c === '0' ? '1' : '0')), 'null',
      Buffer.from('{"alg":"none"}').toString('base64url') + '..',
      '0'.repeat(pass.length)]) {
      shut((await ask(ARTICLE, { headers: [['X402-Pass', value]] })).text);
      shut((await ask(ARTICLE, { headers: [['Cookie',
        `${cookie.split('=')[0]}=${value}`]] })).text);
    }
    shut((await ask(OTHER, { headers: [['X402-Pass', pass]] })).text);
    for (const proof of ['', 'e30=', encode({ address: PAYER }),
      encode({ address: PAYER, chainId: 'eip155:84532',
        nonce: '0'.repeat(32), signature: '0x' + '00'.repeat(65) })])
      shut((await ask(ARTICLE,
        { headers: [['SIGN-IN-WITH-X', proof]] })).text);
  });

  test('44 markup in what the page shows', async () => {
    const res = await ask('/articles/%22%3E%3Cimg%20src=x%3E?' +
      'q="><script>alert(1)</script>{{script}}', { headers: [
      ['Accept', 'text/html'], ['User-Agent', 'Mozilla/5.0']] });
    assert.equal(res.text.match(/<script/g).length, 1);
    assert.doesNotMatch(res.text, /<img|{{/);
  });

  test('45 floods of challenges, and slow buyers', async () => {
    const before = Date.now();
    for (let round = 0; round < 5; round++)
      await Promise.all(Array.from({ length: 100 }, (_, i) =>
        request(site, `${ARTICLE}?${round}-${i}`).then((res) =>
          assert.equal(res.status, 402))));
    assert.equal(f.asked.length, 0);
    // A body is not gathered for who does not pay, nor beyond its limit.
    const big = await raw(site, `POST /paid-post HTTP/1.1\r\nHost: x\r\n` +
      'Content-Length: 99999999\r\n\r\n');
    assert.match(big, /^HTTP\/1\.1 4(02|13)/);
    // Somebody who dribbles holds up nobody else.
    const slow = net.connect(new URL(site.url).port, '127.0.0.1');
    slow.on('error', () => {});
    slow.write(`GET ${ARTICLE} HTTP/1.1\r\nHost: ${host()}\r\nPAYMENT-SIG`);
    assert.equal((await buy()).status, 200);
    slow.destroy();
    assert.ok(Date.now() - before < 30000);
  });
});
