// `x402 dev` and what is tried in it: a real chain, facilitator and site, all
// started by the command; doctor, crawl, resume and balance against them, and
// doctor against shops with faults.
//
//   node --test tests/system/sandbox.test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { encode, environment, makeHome, offer, run, startCommand, startShop, x402, PAYEE, USDC }
  from './cli.lib.mjs';

let dev;
let home;
let sandbox;
let article;
before(async () => {
  home = makeHome();
  dev = await startCommand(home, ['dev'], /^(\{"rpcUrl".*\})$/m);
  sandbox = JSON.parse(dev.match[1]);
  const page = await (await fetch(sandbox.site)).text();
  article = sandbox.site + /\/articles\/[a-z0-9-]+/.exec(page)[0];
});
after(async () => {
  const directory = sandbox.environment.X402_JOURNAL.replace('/journal.sqlite', '');
  assert.equal(await dev.stop(), 0, dev.log);
  assert.equal(fs.existsSync(directory), false, 'the sandbox cleans up');
  await assert.rejects(fetch(sandbox.rpcUrl), 'the chain has ended');
});

const inside = (args, env = {}) =>
  run(home, args, { env: { ...sandbox.environment, ...env } });
const balance = async () => {
  const result = await inside(['balance', sandbox.payee]);
  assert.equal(result.code, 0, result.stderr);
  return Number(result.answer.assets.find((a) => a.address === USDC).amount);
};
const results = (answer) => Object.fromEntries(answer.checks.map((c) => [c.check, c.result]));

test('dev_sells_an_article_that_get_buys', async () => {
  const had = await balance();
  const bought = await inside(['get', article]);
  assert.equal(bought.code, 0, bought.stderr);
  assert.match(bought.stdout, /402/);
  assert.equal(await balance(), had + 10000);
});

test('doctor_finds_our_own_site_well', async () => {
  const had = await balance();
  const free = await inside(['doctor', article]);
  assert.equal(free.code, 0, free.stdout);
  assert.equal(free.answer.failed, 0);
  assert.equal(free.answer.warnings, 0, free.stdout);
  assert.equal(await balance(), had, 'doctor pays nothing by itself');
  for (const check of ['unpaid GET', 'challenge', 'caching', 'offer 1: facilitator',
    'offer 1: asset on chain', 'a payment that is none'])
    assert.equal(results(free.answer)[check], 'ok', check);
  const paid = await inside(['doctor', article, '--pay']);
  assert.equal(paid.code, 0, paid.stdout);
  assert.equal(results(paid.answer).receipt, 'ok');
  assert.equal(await balance(), had + 10000, 'once, also after the replay');
});

test('doctor_names_what_is_wrong', async (t) => {
  const ask = (extra, headers = {}) => (req, res, shop) => {
    res.writeHead(402, { 'PAYMENT-REQUIRED': encode({ x402Version: 2,
      resource: { url: shop.url + req.url }, accepts: [offer()], ...extra }), ...headers });
    res.end();
  };
  const shop = await startShop({
    '/open-to-garbage': (req, res, s) => {
      if (req.headers['payment-signature']) return res.end('the article');
      return ask({})(req, res, s);
    },
    '/open-to-head': (req, res, s) => (req.method === 'HEAD' ? res.end() : ask({})(req, res, s)),
    '/elsewhere': ask({ resource: { url: 'https://other.example/' } }),
    '/typo': ask({ accepts: [offer({ payTo: PAYEE.replace('F79', 'f79') })] }),
    '/domain': ask({ accepts: [offer({ extra: { name: 'USD Coin', version: '2' } })] }),
    '/asset': ask({ accepts: [offer({ asset: '0x' + '11'.repeat(20) })] }),
    '/half': ask({ accepts: [offer(), { scheme: 'exact' }] }),
    '/year': ask({ accepts: [offer({ maxTimeoutSeconds: 31536000 })] }),
    '/unreadable': (req, res) => { res.writeHead(402, { 'PAYMENT-REQUIRED': '%%' }); res.end(); },
  });
  t.after(() => shop.stop());
  const cases = [['/open-to-garbage', 'a payment that is none', 'failed'],
    ['/open-to-head', 'HEAD without payment', 'failed'],
    ['/elsewhere', 'resource origin', 'failed'], ['/typo', 'offer 1: payee', 'failed'],
    ['/domain', "offer 1: token's EIP-712 domain", 'failed'], ['/asset', 'payable', 'failed'],
    ['/half', 'offers', 'failed'], ['/year', 'offer 1: validity', 'warning'],
    ['/unreadable', 'challenge', 'failed'], ['/free', 'unpaid GET', 'failed'],
    ['/year', 'caching', 'warning']];
  for (const [at, check, result] of cases) {
    const found = await run(home, ['doctor', shop.url + at]);
    assert.equal(results(found.answer)[check], result, `${at}: ${found.stdout}`);
    assert.equal(found.code, result === 'failed' ? 1 : 0, at);
    const one = found.answer.checks.find((c) => c.check === check);
    assert.ok(one.expected && one.got, at);
  }
  // Not this machine, whatever they begin with.
  for (const url of ['http://localhost@shop.invalid/', 'http://127.0.0.1.invalid/', 'http://localhost.invalid/']) {
    assert.equal(results((await run(home, ['doctor', url])).answer).URL, 'failed', url);
  }
});

test('crawl_killed_and_started_again_pays_for_each_once', async () => {
  const urls = Array.from({ length: 40 }, (_, i) => `${article}?page=${i}`);
  const list = home.file('list', `# a comment\n${urls.join('\n')}\n${sandbox.site}/nothing\n`);
  const args = ['crawl', list, '-o', 'pages', '--task', 'crawl-1', '--concurrency', '4',
    '--max-spend', '0.45usd'];
  const had = await balance();
  for (let kills = 0; kills < 3; kills++) {
    const child = spawn(x402, args, { cwd: home.dir, stdio: ['ignore', 'pipe', 'ignore'],
      env: environment(home, sandbox.environment) });
    let lines = 0;
    const ended = new Promise((done) => child.once('close', done));
    child.stdout.on('data', (part) => {
      lines += part.toString().split('\n').length - 1;
      if (lines >= 6) child.kill('SIGKILL');
    });
    await ended;
  }
  const last = await inside(args);
  assert.equal(last.error.failed, 1, last.stderr); // the one that is not there
  // Killed between settlement and answer: the site has taken the payment and
  // delivers once. That is unknown, until the chain is asked; never a second
  // authorization.
  assert.equal(last.code, last.error.unresolved ? 11 : 1, last.stderr);
  // The last one killed may not be in a block yet.
  let resumed;
  for (let i = 0; i < 300 && resumed?.answer.unknown !== 0; i++) {
    if (resumed) await new Promise((done) => setTimeout(done, 100));
    resumed = await inside(['resume', '--block', 'latest', '--facilitator', '']);
  }
  assert.equal(resumed.answer.unknown, 0, resumed.stdout);
  const names = fs.readdirSync(home.path('pages')).filter((n) => !n.endsWith('.part'));
  assert.equal(names.length, 40 - last.error.unresolved);
  for (const name of names)
    assert.match(fs.readFileSync(home.path(`pages/${name}`), 'utf8'), /402/);
  const history = (await inside(['history', '--task', 'crawl-1', '--limit', '200'])).answer;
  const paid = history.filter((p) => p.state.startsWith('paid_'));
  assert.equal(paid.length, 40);
  assert.equal(paid.filter((p) => p.state === 'paid_undelivered').length, last.error.unresolved);
  assert.equal(new Set(paid.map((p) => p.url)).size, 40, 'a URL was paid for twice');
  assert.equal(await balance(), had + 40 * 10000);
  const again = await inside(args);
  assert.equal(again.error.kept, names.length);
  assert.equal(again.error.paid, 0);
  assert.equal(await balance(), had + 40 * 10000);
});

test('crawl_ends_at_its_budget', async () => {
  const urls = Array.from({ length: 8 }, (_, i) => `${article}?dear=${i}`);
  const had = await balance();
  const result = await inside(['crawl', home.file('list2', urls.join('\n')), '-o', 'few',
    '--max-spend', '0.03usd']);
  assert.equal(result.code, 1);
  assert.equal(result.error.paid, 3);
  assert.equal(result.error.failed, 5);
  assert.equal(result.error.spent, '$0.03');
  assert.equal(await balance(), had + 30000);
  assert.match(result.stdout, /"code":"budget_exceeded"/);
});

test('resume_proves_an_unpaid_payment_on_the_chain', async (t) => {
  // A shop that takes the payment and never answers: nobody has settled it.
  const shop = await startShop({ '/lost': (req, res, s) => {
    if (req.headers['payment-signature']) return req.socket.destroy();
    res.writeHead(402, { 'PAYMENT-REQUIRED': encode({ x402Version: 2,
      resource: { url: `${s.url}/lost` }, accepts: [offer({ maxTimeoutSeconds: 2 })] }) });
    return res.end();
  } });
  t.after(() => shop.stop());
  const journal = { X402_JOURNAL: home.path('resume.sqlite') };
  const lost = await inside(['get', `${shop.url}/lost`], journal);
  assert.equal(lost.code, 11, lost.stderr);
  const early = await inside(['resume', '--facilitator', '', '--block', 'latest'], journal);
  assert.equal(early.code, 11, early.stdout);
  assert.equal(early.answer.unknown, 1);
  await new Promise((done) => setTimeout(done, 2500));
  await inside(['get', article]); // a block after its end
  const late = await inside(['resume', '--facilitator', '', '--block', 'latest'], journal);
  assert.equal(late.code, 0, late.stdout);
  assert.equal(late.answer.notPaid, 1);
  assert.equal((await inside(['status', '1'], journal)).answer.state, 'not_paid');
});

test('dev_says_what_is_missing', async () => {
  const result = await run(home, ['dev'], { env: { X402_DEV_DIR: '/nonexistent' } });
  assert.equal(result.code, 3);
  assert.match(result.error.message, /X402_DEV_DIR/);
});
