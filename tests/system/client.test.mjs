// The command `x402` against honest and hostile servers over real sockets.
// The servers are ours and settle nothing: what is under test is what the
// client signs, what it sends, what it says, and how it exits.
//
//   node --test tests/system/client.test.mjs
//   X402_BUILD_DIR  where the build is (default build/asan)

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');
const x402 = path.join(build, 'client-sdk/x402');
const example = path.join(build, 'examples/pay');

// The development key that anvil prints at its start.
const KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
const PAYER = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';
const PAYEE = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const TX = '0x' + 'ab'.repeat(32);

const encode = (json) => Buffer.from(JSON.stringify(json)).toString('base64');
const decode = (text) => JSON.parse(Buffer.from(text, 'base64').toString());

const offer = (extra = {}) => ({
  scheme: 'exact', network: 'eip155:84532', amount: '1000', asset: USDC,
  payTo: PAYEE, maxTimeoutSeconds: 300,
  extra: { name: 'USDC', version: '2' }, ...extra,
});
const offerV1 = (extra = {}) => ({
  scheme: 'exact', network: 'base-sepolia', maxAmountRequired: '1000',
  resource: `${origin}/v1`, description: '', mimeType: 'text/plain',
  payTo: PAYEE, maxTimeoutSeconds: 60, asset: USDC,
  extra: { name: 'USDC', version: '2' }, ...extra,
});
const challenge = (req, extra = {}) => ({
  x402Version: 2, error: 'Payment required',
  resource: { url: `${origin}${req.url}`, description: '', mimeType: '' },
  accepts: [offer()], ...extra,
});
const settled = (extra = {}) => ({
  success: true, transaction: TX, network: 'eip155:84532', payer: PAYER,
  ...extra,
});

function ask(req, res, extra) {
  res.writeHead(402, { 'PAYMENT-REQUIRED': encode(challenge(req, extra)) });
  res.end('{}');
}
function deliver(res, receipt = settled(), status = 200, headers = {}) {
  res.writeHead(status, {
    ...(receipt ? { 'PAYMENT-RESPONSE': encode(receipt) } : {}), ...headers });
  res.end('the article\n');
}
const refuse = (res, receipt, headers) =>
  deliver(res, { success: false, transaction: '', network: 'eip155:84532',
    payer: PAYER, ...receipt }, 402, headers);
const pending = (res) => refuse(res,
  { errorReason: 'settlement_pending', transaction: TX }, { 'Retry-After': '0' });

// What each path does: unpaid (first) and paid (then) requests.
const pay = (first, then) => (req, res, paid, n) =>
  (paid ? then(req, res, n) : first(req, res));
const askThen = (then) => pay(ask, then);
const offering = (extra) => pay(
  (req, res) => ask(req, res, { accepts: [offer(extra)] }),
  (req, res) => deliver(res));

const routes = {
  '/free': (req, res) => deliver(res, null),
  '/good': askThen((req, res) => deliver(res)),
  '/echo': askThen((req, res) => {
    res.writeHead(200, { 'PAYMENT-RESPONSE': encode(settled()) });
    res.end(`${req.method} ${req.headers['content-type']} ${req.bodyText}`);
  }),
  '/v1': pay((req, res) => {
    res.writeHead(402);
    res.end(JSON.stringify({ x402Version: 1, error: 'X-PAYMENT header is required',
      accepts: [offerV1()] }));
  }, (req, res) => {
    res.writeHead(200, { 'X-PAYMENT-RESPONSE': encode(settled({ network: 'base-sepolia' })) });
    res.end('v1 article\n');
  }),
  '/both': pay((req, res) => {
    res.writeHead(402, { 'PAYMENT-REQUIRED': encode(challenge(req)) });
    res.end(JSON.stringify({ x402Version: 1, accepts: [offerV1({ maxAmountRequired: '999999' })] }));
  }, (req, res) => deliver(res)),
  // Hostile challenges.
  '/pricey': offering({ amount: '1000001' }),
  '/huge': offering({ amount: '1' + '0'.repeat(77) }),
  '/decimals-lie': offering({ amount: '2000000',
    extra: { name: 'USDC', version: '2', decimals: 18 } }),
  '/asset-swap': offering({ asset: '0x' + '11'.repeat(20) }),
  '/erc7710': offering({ extra: { name: 'USDC', version: '2', assetTransferMethod: 'erc7710' } }),
  '/no-domain': offering({ extra: {} }),
  '/long-life': offering({ maxTimeoutSeconds: 31536000 }),
  '/spoof': pay((req, res) => ask(req, res,
    { resource: { url: 'https://other.example/article' } }),
  (req, res) => deliver(res)),
  '/lookalike': (req, res) => {
    res.writeHead(302, { Location: `${other}/good` });
    res.end();
  },
  '/malformed': (req, res) => {
    res.writeHead(402, { 'PAYMENT-REQUIRED': 'not base64 at all' });
    res.end(JSON.stringify({ x402Version: 1, accepts: [offerV1()] }));
  },
  '/twice': (req, res) => {
    res.writeHead(402, ['PAYMENT-REQUIRED', encode(challenge(req)),
      'PAYMENT-REQUIRED', encode(challenge(req))]);
    res.end();
  },
  '/v1-in-header': (req, res) => {
    res.writeHead(402, { 'PAYMENT-REQUIRED':
      encode({ x402Version: 1, accepts: [offerV1()] }) });
    res.end();
  },
  '/plain-402': (req, res) => { res.writeHead(402); res.end('pay me'); },
  '/auth-only': (req, res) => ask(req, res, { accepts: [] }),
  '/nested': (req, res) => {
    res.writeHead(402, { 'PAYMENT-REQUIRED':
      Buffer.from('['.repeat(3000)).toString('base64') });
    res.end();
  },
  // Hostile answers to a payment.
  '/double-402': askThen((req, res) => ask(req, res)),
  '/verify-fails': askThen((req, res) => ask(req, res,
    { error: 'invalid_exact_evm_insufficient_balance' })),
  '/settle-fails': askThen((req, res) => refuse(res, { errorReason: 'insufficient_funds' })),
  '/price-moves': pay(ask, (req, res) => ask(req, res, {
    error: 'No matching payment requirements', accepts: [offer({ amount: '2000' })] })),
  '/pending-then-ok': askThen((req, res, n) => (n < 3 ? pending(res) : deliver(res))),
  '/pending-forever': askThen((req, res) => pending(res)),
  '/5xx-once': askThen((req, res, n) => (n === 1
    ? deliver(res, null, 503, { 'Retry-After': '0' }) : deliver(res))),
  '/5xx-forever': askThen((req, res) => deliver(res, null, 503, { 'Retry-After': '0' })),
  '/5xx-then-refuse': askThen((req, res, n) => (n === 1
    ? deliver(res, null, 500, { 'Retry-After': '0' })
    : refuse(res, { errorReason: 'insufficient_funds' }))),
  '/lost-reply': askThen((req, res, n) => (n === 1 ? req.socket.destroy() : deliver(res))),
  '/lost-forever': askThen((req) => req.socket.destroy()),
  '/accept-then-stall': askThen(() => {}),
  '/no-receipt': askThen((req, res) => deliver(res, null)),
  '/forged-network': askThen((req, res) => deliver(res, settled({ network: 'eip155:8453' }))),
  '/forged-payer': askThen((req, res) => deliver(res, settled({ payer: PAYEE }))),
  '/forged-amount': askThen((req, res) => deliver(res, settled({ amount: '5000' }))),
  '/forged-tx': askThen((req, res) => deliver(res, settled({ transaction: '0x1234' }))),
  '/garbage-receipt': askThen((req, res) => {
    res.writeHead(200, { 'PAYMENT-RESPONSE': '%%%' });
    res.end('the article\n');
  }),
  '/escape': askThen((req, res) => refuse(res, { errorReason: '\u001b[2Jevil' })),
  '/redirect-after-pay': askThen((req, res) => {
    res.writeHead(307, { Location: `${other}/good` });
    res.end();
  }),
  '/412': askThen((req, res) => {
    res.writeHead(412, { 'PAYMENT-REQUIRED':
      encode(challenge(req, { error: 'permit2_allowance_required' })) });
    res.end('{}');
  }),
  '/big': (req, res) => {
    res.writeHead(200);
    const chunk = Buffer.alloc(1 << 20);
    const push = () => { while (!res.destroyed && res.write(chunk)); };
    res.on('drain', push);
    res.on('error', () => {});
    push();
  },
  // Honest redirects.
  '/moved': (req, res) => { res.writeHead(308, { Location: '/good' }); res.end(); },
  '/elsewhere': (req, res) => { res.writeHead(302, { Location: `${other}/who` }); res.end(); },
  '/loop': (req, res) => { res.writeHead(302, { Location: '/loop' }); res.end(); },
  '/who': (req, res) => {
    res.writeHead(200);
    res.end(JSON.stringify([req.headers.authorization, req.headers.cookie]));
  },
  '/flaky': (req, res, paid, n, all) => (all === 1
    ? deliver(res, null, 503, { 'Retry-After': '0' }) : deliver(res, null)),
  '/401': (req, res) => deliver(res, null, 401),
};

let origin;
let other;
let log = []; // {origin, path, payment}
const servers = [];

function listen(name) {
  return new Promise((resolve) => {
    const server = http.createServer((req, res) => {
      let body = '';
      req.on('data', (part) => { body += part; });
      req.on('end', () => {
        req.bodyText = body;
        const at = new URL(req.url, origin).pathname;
        const payment = req.headers['payment-signature'] ?? req.headers['x-payment'];
        log.push({ server: name, path: at, payment,
          header: req.headers['payment-signature'] ? 'v2' : 'v1' });
        const here = log.filter((e) => e.path === at && e.server === name);
        const paid = here.filter((e) => e.payment).length;
        routes[at] ? routes[at](req, res, Boolean(payment), paid, here.length)
          : deliver(res, null, 404);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      servers.push(server);
      resolve(`http://127.0.0.1:${server.address().port}`);
    });
  });
}

let home;
let journals = 0;
before(async () => {
  origin = await listen('origin');
  other = await listen('other');
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-client-'));
});
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  fs.rmSync(home, { recursive: true, force: true });
});

// Run the command; stderr is a pipe here, so it speaks JSON.
function run(args, { env = { EVM_PRIVATE_KEY: KEY }, input, interrupt, program = x402 } = {}) {
  log = [];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: home, env: {
      PATH: process.env.PATH, NO_PROXY: '*',
      // A journal of its own: what an earlier test left open is another's.
      X402_JOURNAL: path.join(home, `journal-${journals++}.sqlite`),
      ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
      UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? '', ...env } });
    const out = [];
    const err = [];
    child.stdout.on('data', (part) => out.push(part));
    child.stderr.on('data', (part) => err.push(part));
    child.on('error', reject);
    child.stdin.on('error', () => {});
    child.stdin.end(input ?? '');
    let timer;
    if (interrupt) {
      timer = setInterval(() => {
        if (!interrupt()) return;
        clearInterval(timer);
        child.kill('SIGINT');
      }, 20);
    }
    child.on('close', (code, signal) => {
      clearInterval(timer);
      const stderr = Buffer.concat(err).toString();
      const lines = stderr.split('\n').filter(Boolean);
      let json;
      try { json = JSON.parse(lines.at(-1) ?? ''); } catch { /* text */ }
      resolve({ code, signal, stdout: Buffer.concat(out).toString(), stderr, lines, json,
        payments: log.filter((e) => e.payment), log });
    });
  });
}
const get = (at, args = [], options) =>
  run(['get', origin + at, ...args], options);

// R7: however often it was presented, one authorization; and never above.
function assertOneAuthorization(result, presented, amount = '1000') {
  assert.equal(result.payments.length, presented, result.stderr);
  assert.equal(new Set(result.payments.map((e) => e.payment)).size,
    presented ? 1 : 0, 'two authorizations for one purchase');
  for (const { payment, server } of result.payments) {
    assert.equal(server, 'origin');
    const auth = decode(payment).payload.authorization;
    assert.equal(auth.value, amount);
    assert.equal(auth.to, PAYEE);
    assert.equal(auth.from, PAYER);
  }
}
function assertUnpaid(result, code, name) {
  assertOneAuthorization(result, 0);
  assert.equal(result.code, code, result.stderr);
  assert.equal(result.stdout, '');
  assert.equal(result.json.code, name, result.stderr);
  assert.equal(result.json.charged, 'no');
  assert.equal(result.lines.length, 1, 'one JSON line');
}
function assertOpen(result, presented, name) {
  assertOneAuthorization(result, presented);
  assert.equal(result.code, 11, result.stderr);
  assert.equal(result.json.code, name, result.stderr);
  assert.equal(result.json.charged, 'unknown');
  assert.equal(result.json.retryable, false);
  assert.equal(result.json.paymentHeader,
    `PAYMENT-SIGNATURE: ${result.payments[0].payment}`);
}

test('get_free_resource_prints_the_body_and_nothing_else', async () => {
  const result = await get('/free');
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout, 'the article\n');
  assert.equal(result.stderr, '');
});

test('get_priced_resource_pays_and_prints_a_receipt', async () => {
  const result = await get('/good');
  assertOneAuthorization(result, 1);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout, 'the article\n');
  assert.equal(result.lines.length, 1);
  assert.deepEqual(result.json, {
    outcome: 'paid', charged: 'yes', paymentId: 1, price: '$0.001 USDC', amount: '1000',
    asset: USDC, payee: PAYEE, network: 'eip155:84532', scheme: 'exact',
    transaction: TX, payer: PAYER, url: `${origin}/good`, status: 200 });
});

test('get_signed_header_echoes_the_offer_and_has_a_short_life', async () => {
  const result = await get('/good');
  const payload = decode(result.payments[0].payment);
  assert.deepEqual(Object.keys(payload).sort(),
    ['accepted', 'payload', 'resource', 'x402Version']);
  assert.deepEqual(payload.accepted, offer());
  assert.equal(payload.resource.url, `${origin}/good`);
  const auth = payload.payload.authorization;
  assert.equal(BigInt(auth.validBefore) - BigInt(auth.validAfter), 900n);
  assert.match(auth.nonce, /^0x[0-9a-f]{64}$/);
  assert.match(payload.payload.signature, /^0x[0-9a-f]{130}$/);
});

test('get_two_purchases_use_two_nonces', async () => {
  const a = decode((await get('/good')).payments[0].payment);
  const b = decode((await get('/good')).payments[0].payment);
  assert.notEqual(a.payload.authorization.nonce, b.payload.authorization.nonce);
});

test('get_v1_body_is_paid_by_x_payment', async () => {
  const result = await get('/v1');
  assertOneAuthorization(result, 1);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout, 'v1 article\n');
  assert.equal(result.payments[0].header, 'v1');
  assert.equal(decode(result.payments[0].payment).x402Version, 1);
  assert.equal(result.json.network, 'eip155:84532');
});

test('get_v2_header_wins_over_a_v1_body', async () => {
  const result = await get('/both');
  assertOneAuthorization(result, 1);
  assert.equal(result.payments[0].header, 'v2');
});

test('get_post_body_is_replayed_with_the_payment', async () => {
  const form = await get('/echo', ['-d', 'a=1', '-d', 'b=2']);
  assert.equal(form.stdout, 'POST application/x-www-form-urlencoded a=1&b=2');
  const json = await get('/echo', ['--json', '{"a":1}']);
  assert.equal(json.stdout, 'POST application/json {"a":1}');
  const query = await get('/echo', ['-G', '-d', 'a=1']);
  assert.equal(query.stdout, 'GET undefined ');
  const put = await get('/echo', ['-X', 'PUT', '-H', 'Content-Type: text/plain', '--data-raw', '@x']);
  assert.equal(put.stdout, 'PUT text/plain @x');
});

const refusals = [
  ['/pricey', 6, 'over_limit'],
  ['/huge', 6, 'over_limit'],
  ['/decimals-lie', 6, 'over_limit'],
  ['/asset-swap', 12, 'asset_not_allowed'],
  ['/erc7710', 1, 'no_supported_offer'],
  ['/no-domain', 1, 'no_supported_offer'],
  ['/spoof', 12, 'origin_mismatch'],
  ['/malformed', 1, 'malformed_challenge'],
  ['/twice', 1, 'malformed_challenge'],
  ['/v1-in-header', 1, 'malformed_challenge'],
  ['/plain-402', 1, 'malformed_challenge'],
  ['/nested', 1, 'malformed_challenge'],
  ['/auth-only', 8, 'sign_in_required'],
];
for (const [at, code, name] of refusals) {
  test(`get_hostile_challenge${at.replace(/[/-]/g, '_')}_signs_nothing`, async () => {
    assertUnpaid(await get(at), code, name);
  });
}

test('get_limit_flag_binds_in_dollars_and_in_atomic_units', async () => {
  assertUnpaid(await get('/good', ['--max-amount', '0.0009usd']), 6, 'over_limit');
  assertUnpaid(await get('/good', ['--max-amount', '$0.000999']), 6, 'over_limit');
  assertUnpaid(await get('/good', ['--max-amount', '999atomic']), 6, 'over_limit');
  assert.equal((await get('/good', ['--max-amount', '0.001usd'])).code, 0);
  assert.equal((await get('/good', ['--max-amount', '1000atomic'])).code, 0);
  assert.equal((await get('/pricey', ['--max-amount', '2usd'])).code, 0);
});

test('get_bare_number_as_limit_is_refused_as_ambiguous', async () => {
  for (const text of ['5', '0.05', '-1usd', '1e3usd', 'usd', '$', '0usd', '1.5atomic', '']) {
    const result = await get('/good', ['--max-amount', text]);
    assert.equal(result.code, 2, text);
    assert.equal(result.json.code, 'usage');
    assert.equal(result.log.length, 0, 'nothing was sent');
  }
});

test('get_network_and_asset_filters_are_kept', async () => {
  assert.equal((await get('/good', ['--network', 'base-sepolia'])).code, 0);
  assert.equal((await get('/good', ['--asset', 'usdc'])).code, 0);
  const network = await get('/good', ['--network', 'eip155:8453']);
  assertOneAuthorization(network, 0);
  assert.notEqual(network.code, 0);
  assertUnpaid(await get('/good', ['--asset', 'EURC']), 12, 'policy_denied');
});

test('get_unknown_asset_needs_network_asset_and_atomic_cap', async () => {
  const asset = '0x' + '11'.repeat(20);
  const all = ['--network', 'eip155:84532', '--asset', asset, '--max-amount', '1000atomic'];
  const result = await get('/asset-swap', all);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.json.price, `1000 atomic units of ${asset}`);
  assert.equal((await get('/asset-swap', all.slice(0, 4))).code, 12);
  assert.equal((await get('/asset-swap', [...all.slice(0, 5), '999atomic'])).code, 6);
});

test('get_long_lived_offer_is_signed_for_fifteen_minutes', async () => {
  const result = await get('/long-life');
  const { payload, accepted } = decode(result.payments[0].payment);
  const life = BigInt(payload.authorization.validBefore) -
    BigInt(payload.authorization.validAfter);
  assert.equal(life, 1500n);
  assert.equal(accepted.maxTimeoutSeconds, 31536000);
});

test('get_pending_payment_is_presented_again_and_delivered', async () => {
  const result = await get('/pending-then-ok');
  assertOneAuthorization(result, 3);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout, 'the article\n');
});

test('get_pending_forever_ends_as_pending', async () => {
  const result = await get('/pending-forever');
  assertOpen(result, 7, 'settlement_pending');
  assert.equal(result.json.transaction, TX);
  assert.equal(result.json.outcome, 'pending');
});

test('get_5xx_after_pay_is_presented_once_more', async () => {
  const once = await get('/5xx-once');
  assertOneAuthorization(once, 2);
  assert.equal(once.code, 0, once.stderr);
  assertOpen(await get('/5xx-forever'), 2, 'payment_unproven');
});

test('get_post_is_not_repeated_after_a_5xx', async () => {
  assertOpen(await get('/5xx-forever', ['-d', 'x']), 1, 'payment_unproven');
});

test('get_refusal_after_a_lost_reply_is_unknown', async () => {
  assertOpen(await get('/5xx-then-refuse'), 2, 'payment_unproven');
});

test('get_lost_reply_presents_the_same_authorization', async () => {
  const result = await get('/lost-reply');
  assertOneAuthorization(result, 2);
  assert.equal(result.code, 0, result.stderr);
  assertOpen(await get('/lost-forever'), 2, 'network_error');
  // libcurl would repeat a POST on a kept connection by itself.
  assertOpen(await get('/lost-forever', ['-d', 'x']), 1, 'network_error');
});

test('get_stall_after_pay_is_unknown_not_timeout', async () => {
  assertOpen(await get('/accept-then-stall', ['-m', '4']), 1, 'timeout');
});

test('get_interrupt_after_pay_hands_the_header_back', async () => {
  const result = await get('/accept-then-stall', [],
    { interrupt: () => log.some((e) => e.payment) });
  assert.equal(result.code, 130, result.stderr);
  assert.equal(result.json.charged, 'unknown');
  assert.equal(result.json.paymentHeader,
    `PAYMENT-SIGNATURE: ${result.payments[0].payment}`);
});

test('get_own_payment_header_is_never_paid_again', async () => {
  const first = await get('/5xx-forever');
  const again = await get('/good', ['-H', first.json.paymentHeader], { env: {} });
  assertOneAuthorization(again, 1);
  assert.equal(again.payments[0].payment, first.payments[0].payment);
  assert.equal(again.log.length, 1, 'no unpaid request before it');
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.json.charged, 'yes');
  assert.equal(again.json.payer, PAYER);
  const refused = await get('/double-402', ['-H', first.json.paymentHeader]);
  assertOneAuthorization(refused, 1);
  assert.equal(refused.code, 5);
});

test('get_header_file_brings_the_payment', async () => {
  const first = await get('/5xx-forever');
  fs.writeFileSync(path.join(home, 'header'), `${first.json.paymentHeader}\n`);
  const again = await get('/good', ['-H', '@header'], { env: {} });
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.payments[0].payment, first.payments[0].payment);
});

const answers = [
  ['/double-402', 5, 'payment_refused', 'Payment required'],
  ['/verify-fails', 6, 'insufficient_funds', 'invalid_exact_evm_insufficient_balance'],
  ['/settle-fails', 6, 'insufficient_funds', 'insufficient_funds'],
  ['/price-moves', 13, 'price_changed', 'No matching payment requirements'],
  ['/412', 5, 'permit2_allowance_required', 'permit2_allowance_required'],
];
for (const [at, code, name, reason] of answers) {
  test(`get_refused${at.replace(/[/-]/g, '_')}_says_why_and_pays_once`, async () => {
    const result = await get(at);
    assertOneAuthorization(result, 1);
    assert.equal(result.code, code, result.stderr);
    assert.equal(result.json.code, name);
    assert.equal(result.json.reason, reason);
    // The server's word is no proof: it holds the authorization.
    assert.equal(result.json.charged, 'unknown');
    assert.ok(result.json.validBefore > Date.now() / 1000);
  });
}

const unproven = [
  ['/no-receipt', 'none'], ['/garbage-receipt', 'malformed'],
  ['/forged-network', 'contradicts'], ['/forged-payer', 'contradicts'],
  ['/forged-amount', 'contradicts'], ['/forged-tx', 'contradicts'],
];
for (const [at, receipt] of unproven) {
  test(`get_bad_receipt${at.replace(/[/-]/g, '_')}_is_unproven`, async () => {
    const result = await get(at);
    assertOpen(result, 1, 'payment_unproven');
    assert.equal(result.json.receipt, receipt);
    assert.equal(result.stdout, 'the article\n', 'what came is not withheld');
  });
}

test('get_terminal_escapes_in_a_reason_are_defused', async () => {
  const result = await get('/escape');
  assert.equal(result.json.reason, '?[2Jevil');
});

test('get_redirect_after_pay_is_not_followed', async () => {
  const result = await get('/redirect-after-pay', ['-L']);
  assertOpen(result, 1, 'payment_unproven');
  assert.equal(result.log.filter((e) => e.server === 'other').length, 0);
});

test('get_redirect_before_pay_is_followed_with_L_only', async () => {
  const with_l = await get('/moved', ['-L']);
  assertOneAuthorization(with_l, 1);
  assert.equal(with_l.code, 0, with_l.stderr);
  const without = await get('/moved');
  assertOneAuthorization(without, 0);
  assert.equal(without.code, 0);
});

test('get_redirect_to_another_origin_is_not_paid_there', async () => {
  const result = await get('/lookalike', ['-L']);
  assertUnpaid(result, 12, 'origin_mismatch');
});

test('get_redirect_to_another_origin_loses_credentials', async () => {
  const args = ['-L', '-u', 'me:secret', '-H', 'Cookie: a=1'];
  const there = await get('/elsewhere', args);
  assert.deepEqual(JSON.parse(there.stdout), [null, null]);
  const here = await get('/who', args);
  assert.deepEqual(JSON.parse(here.stdout), ['Basic bWU6c2VjcmV0', 'a=1']);
});

test('get_redirect_loop_ends', async () => {
  const result = await get('/loop', ['-L']);
  assert.equal(result.code, 12);
  assert.equal(result.log.length, 6);
});

test('get_key_sources_and_their_order', async () => {
  const file = path.join(home, 'key');
  fs.writeFileSync(file, `${KEY}\n`, { mode: 0o600 });
  const credentials = path.join(home, 'credentials');
  fs.mkdirSync(credentials, { recursive: true });
  fs.writeFileSync(path.join(credentials, 'EVM_PRIVATE_KEY'), KEY, { mode: 0o440 });
  for (const env of [{ X402_PRIVATE_KEY: KEY, EVM_PRIVATE_KEY: '0x01' },
    { X402_PRIVATE_KEY: KEY.slice(2) }, { EVM_PRIVATE_KEY_FILE: file },
    { X402_PRIVATE_KEY_FILE: file }, { CREDENTIALS_DIRECTORY: credentials }]) {
    const result = await get('/good', [], { env });
    assert.equal(result.code, 0, result.stderr);
    assertOneAuthorization(result, 1);
  }
});

test('get_bad_keys_are_refused_before_anything_is_sent', async () => {
  const file = path.join(home, 'loose');
  fs.writeFileSync(file, KEY, { mode: 0o640 });
  fs.chmodSync(file, 0o640);
  const zero = '0x' + '0'.repeat(64);
  for (const env of [{ EVM_PRIVATE_KEY_FILE: file }, { EVM_PRIVATE_KEY: '0x1234' },
    { EVM_PRIVATE_KEY: zero }, { EVM_PRIVATE_KEY_FILE: '/nonexistent' },
    { EVM_PRIVATE_KEY_FILE: home }]) {
    const result = await get('/good', [], { env });
    assert.equal(result.code, 3, result.stderr);
    assert.equal(result.log.length, 0);
    assert.ok(!result.stderr.includes(KEY.slice(2, 20)), 'no key in messages');
  }
});

test('get_without_a_key_says_so_when_a_price_is_asked', async () => {
  assertUnpaid(await get('/good', [], { env: {} }), 3, 'no_key');
  assert.equal((await get('/free', [], { env: {} })).code, 0);
});

test('get_dry_run_says_the_price_and_sends_no_payment', async () => {
  const result = await get('/good', ['--dry-run'], { env: {} });
  assertOneAuthorization(result, 0);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stdout, '');
  assert.equal(result.json.price, '$0.001 USDC');
  assert.equal(result.json.wouldPay, true);
  assert.equal((await get('/pricey', ['--dry-run'])).code, 6);
  const free = await get('/free', ['--dry-run']);
  assert.equal(free.json.wouldPay, false);
});

test('get_confirm_without_a_terminal_declines', async () => {
  // setsid: no controlling terminal, whoever runs the tests.
  const result = await new Promise((resolve) => {
    log = [];
    const child = spawn('setsid', ['-w', x402, 'get', `${origin}/good`, '--confirm'],
      { env: { PATH: process.env.PATH, EVM_PRIVATE_KEY: KEY, NO_PROXY: '*',
        X402_JOURNAL: path.join(home, 'confirm.sqlite') } });
    let stderr = '';
    child.stderr.on('data', (part) => { stderr += part; });
    child.on('close', (code) => resolve({ code, stderr,
      payments: log.filter((e) => e.payment) }));
  });
  assert.equal(result.code, 7, result.stderr);
  assert.equal(result.payments.length, 0);
  assert.equal((await get('/good', ['--confirm', '--yes'])).code, 0);
});

test('get_output_flags_do_as_curl_does', async () => {
  const file = path.join(home, 'out');
  fs.writeFileSync(file, 'something longer than the article\n');
  let result = await get('/good', ['-o', file]);
  assert.equal(result.stdout, '');
  assert.equal(fs.readFileSync(file, 'utf8'), 'the article\n');
  result = await get('/good', ['-O']);
  assert.equal(fs.readFileSync(path.join(home, 'good'), 'utf8'), 'the article\n');
  result = await get('/good', ['-i']);
  assert.match(result.stdout, /^HTTP 200\r\n[^]*\r\n\r\nthe article\n$/);
  result = await get('/good', ['-I']);
  assert.match(result.stdout, /^HTTP 200\r\n[^]*\r\n\r\n$/);
  result = await get('/good', ['-D', path.join(home, 'headers'), '-s']);
  assert.match(fs.readFileSync(path.join(home, 'headers'), 'utf8'), /PAYMENT-RESPONSE/);
  assert.equal(result.stderr, '', '-s is silent when all went well');
});

test('get_unwritable_output_is_found_before_paying', async () => {
  const result = await get('/good', ['-o', '/nonexistent/file']);
  assert.equal(result.code, 2);
  assert.equal(result.log.length, 0);
});

test('get_refused_price_leaves_no_file_behind', async () => {
  const file = path.join(home, 'unborn');
  assertUnpaid(await get('/pricey', ['-o', file]), 6, 'over_limit');
  assert.ok(!fs.existsSync(file));
});

test('get_fail_flag_exits_22_without_a_body', async () => {
  const plain = await get('/401');
  assert.equal(plain.code, 0);
  assert.equal(plain.stdout, 'the article\n');
  const fail = await get('/401', ['-f']);
  assert.equal(fail.code, 22);
  assert.equal(fail.stdout, '');
  const told = JSON.parse(fail.stderr);
  assert.equal(told.code, 'http_error');
  assert.match(told.message, /401/);
  assert.equal(told.charged, 'no');
});

test('get_retry_repeats_unpaid_requests', async () => {
  const result = await get('/flaky', ['--retry', '2']);
  assert.equal(result.stdout, 'the article\n');
  assert.equal(result.log.length, 2);
});

test('get_endless_body_is_cut_off', async () => {
  const result = await get('/big', ['-m', '60']);
  assert.equal(result.code, 1, result.stderr);
  assert.equal(result.json.code, 'response_too_large');
});

test('get_bad_arguments_exit_2', async () => {
  for (const args of [['get'], ['get', 'a', 'b'], ['get', '--nonsense', origin],
    ['get', '-X'], ['get', 'ftp://127.0.0.1/'], ['get', 'file:///etc/passwd'],
    ['get', `${origin}/good`, '-H', 'no colon'],
    ['get', `${origin}/good`, '-H', 'A: b\r\nPAYMENT-SIGNATURE: x'],
    ['get', `${origin}/good`, '-H', 'Content-Length: 3'],
    ['get', `${origin}/good`, '-X', 'GET / HTTP/1.1'],
    ['get', `${origin}/good`, '-m', 'soon'], ['nonsense'], ['help', 'nonsense']]) {
    const result = await run(args);
    assert.equal(result.code, 2, `${args} ${result.stderr}`);
    assert.equal(result.log.length, 0, `${args}`);
  }
});

test('get_unreachable_server_exits_4_and_says_retryable', async () => {
  const result = await run(['get', 'http://127.0.0.1:1/']);
  assert.equal(result.code, 4);
  assert.equal(result.json.retryable, true);
  assert.equal(result.json.charged, 'no');
});

test('get_plain_http_to_a_name_is_not_paid', async () => {
  // A name that only the proxy resolves: the challenge comes from our server.
  const env = { EVM_PRIVATE_KEY: KEY, http_proxy: origin, NO_PROXY: '' };
  const result = await run(['get', 'http://shop.example/good'], { env });
  assertUnpaid(result, 12, 'insecure_url');
  assert.equal(result.log.length, 1);
});

test('inspect_prints_the_challenge_and_pays_nothing', async () => {
  const result = await run(['inspect', `${origin}/good`], { env: {} });
  assert.equal(result.code, 0, result.stderr);
  const json = JSON.parse(result.stdout);
  assert.equal(json.wouldPay, true);
  assert.equal(json.price, '$0.001 USDC');
  assert.deepEqual(json.challenge.accepts, [offer()]);
  assertOneAuthorization(result, 0);
  const spoof = JSON.parse((await run(['inspect', `${origin}/spoof`])).stdout);
  assert.equal(spoof.wouldPay, false);
  assert.equal(spoof.code, 'origin_mismatch');
});

test('help_lists_every_command_and_option', async () => {
  const all = await run(['help']);
  assert.equal(all.code, 0);
  for (const word of ['get|fetch', 'inspect', '--version'])
    assert.ok(all.stdout.includes(word), word);
  const one = await run(['help', 'fetch']);
  for (const flag of ['-X', '-H', '-d', '-o', '-O', '-i', '-I', '-L', '-G', '-m', '-k', '-u',
    '-A', '-D', '--json', '--retry', '--max-amount', '--dry-run', '--confirm', '--yes',
    '--network', '--asset'])
    assert.ok(one.stdout.includes(flag), flag);
  assert.match((await run(['--version'])).stdout, /^x402 \d+\.\d+\.\d+\n$/);
});

test('text_form_is_for_people_on_a_terminal', async () => {
  // script(1) gives the command a terminal; an agent's variable wins over it.
  const quoted = `'${x402}' get -o /dev/null ${origin}/good`;
  const onTerminal = (env) => new Promise((resolve) => {
    const child = spawn('script', ['-qec', quoted, '/dev/null'],
      { env: { PATH: process.env.PATH, EVM_PRIVATE_KEY: KEY, NO_PROXY: '*',
        X402_JOURNAL: path.join(home, 'terminal.sqlite'), ...env } });
    let text = '';
    child.stdout.on('data', (part) => { text += part; });
    child.stdin.end();
    child.on('close', () => resolve(text));
  });
  const people = await onTerminal({});
  assert.match(people, /paid\r?\n +price +\$0\.001 USDC/);
  const agent = await onTerminal({ CLAUDECODE: '1' });
  assert.equal(JSON.parse(agent.trim()).outcome, 'paid');
});

test('example_pays_up_to_a_cent_and_no_more', async () => {
  const paid = await run([`${origin}/good`], { program: example });
  assertOneAuthorization(paid, 1);
  assert.equal(paid.code, 0, paid.stderr);
  assert.equal(paid.stdout, 'the article\n');
  assert.match(paid.stderr, new RegExp(`payment paid, transaction ${TX}`));
  const refused = await run([`${origin}/pricey`], { program: example });
  assertOneAuthorization(refused, 0);
  assert.equal(refused.code, 1);
  const unset = await run([`${origin}/good`], { program: example, env: {} });
  assert.equal(unset.code, 2);
});
