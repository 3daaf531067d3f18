// x402_client_perform() around a caller's own libcurl handle (examples/stream):
// whose the bodies are, how an upload is sent twice, and where a redirect ends.
// The servers are ours and settle nothing.
//
//   node --test tests/system/client_curl.test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');
const KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const encode = (json) => Buffer.from(JSON.stringify(json)).toString('base64');
const receipt = encode({ success: true, transaction: '0x' + 'ab'.repeat(32), network: 'eip155:84532' });

let origin, other, home;
let log = [];
const servers = [];

const ask = (req, res, amount = '1000') => {
  const offer = { scheme: 'exact', network: 'eip155:84532', amount, asset: USDC,
    payTo: '0x90F79bf6EB2c4f870365E785982E1f101E93b906', maxTimeoutSeconds: 300,
    extra: { name: 'USDC', version: '2' } };
  res.writeHead(402, { 'PAYMENT-REQUIRED': encode({ x402Version: 2, error: 'pay',
    resource: { url: origin + req.url }, accepts: [offer] }) });
  res.end('THE BODY OF A 402');
};
const deliver = (res, body = 'the article\n') => {
  res.writeHead(200, { 'PAYMENT-RESPONSE': receipt });
  res.end(body);
};
const routes = {
  '/free': (req, res) => { res.writeHead(200); res.end('free\n'); },
  '/missing': (req, res) => { res.writeHead(404); res.end('no such page\n'); },
  '/paid': (req, res, paid) => (paid ? deliver(res) : ask(req, res)),
  '/echo': (req, res, paid) => (paid ? deliver(res, req.bodyText) : ask(req, res)),
  '/pricey': (req, res) => ask(req, res, '999999'),
  '/refused': (req, res) => ask(req, res),
  '/flaky': (req, res, paid, n) => {
    if (n > 1) return deliver(res, 'the second answer\n');
    res.writeHead(503, { 'Retry-After': '0' });
    return res.end('THE BODY OF A 503');
  },
  '/down': (req, res) => { res.writeHead(503, { 'Retry-After': '0' }); res.end('it is down\n'); },
  '/moved': (req, res) => { res.writeHead(307, { Location: '/paid' }); res.end('MOVED'); },
  '/moved-post': (req, res) => { res.writeHead(303, { Location: '/free' }); res.end('see other\n'); },
  '/elsewhere': (req, res) => { res.writeHead(302, { Location: other + '/free' }); res.end('elsewhere\n'); },
  '/cut': (req, res, paid) => {
    if (!paid) return ask(req, res);
    res.writeHead(200, { 'PAYMENT-RESPONSE': receipt, 'Content-Length': '1000' });
    return res.write('half', () => req.socket.destroy());
  },
  '/trickle': (req, res, paid) => {
    if (!paid) return ask(req, res);
    res.writeHead(200, { 'PAYMENT-RESPONSE': receipt });
    for (let i = 0; i < 64; i++) res.write('x'.repeat(65536));
    return res.end();
  },
};

function listen(name) {
  return new Promise((resolve) => {
    const server = http.createServer((req, res) => {
      const parts = [];
      req.on('data', (part) => parts.push(part));
      req.on('end', () => {
        req.bodyText = Buffer.concat(parts).toString();
        const at = new URL(req.url, 'http://x').pathname;
        const payment = req.headers['payment-signature'];
        log.push({ server: name, path: at, payment, body: req.bodyText, method: req.method });
        routes[at](req, res, Boolean(payment), log.filter((e) => e.path === at).length);
      });
    });
    servers.push(server);
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${server.address().port}`));
  });
}
before(async () => {
  origin = await listen('origin');
  other = await listen('other');
  home = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-curl-'));
});
beforeEach(() => { log = []; });
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  fs.rmSync(home, { recursive: true, force: true });
});

function stream(args, { stdin } = {}) {
  return new Promise((resolve, reject) => {
    const program = path.join(build, 'examples/stream');
    // Node's own pipes are sockets, which /dev/stdin cannot open.
    const [command, ...rest] = stdin === undefined ? [program, ...args]
      : ['sh', '-c', 'cat | "$0" "$@"', program, ...args];
    const child = spawn(command, rest, { env: { PATH: process.env.PATH, NO_PROXY: '*',
      EVM_PRIVATE_KEY: KEY, X402_JOURNAL: path.join(home, 'journal.sqlite'),
      ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '', UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? '' } });
    const out = [];
    let err = '';
    child.stdout.on('data', (part) => out.push(part));
    child.stderr.on('data', (part) => { err += part; });
    child.on('error', reject);
    child.stdin.on('error', () => {});
    child.stdin.end(stdin ?? '');
    child.on('close', (code) => {
      let json = {};
      try { json = JSON.parse(err.trim().split('\n').at(-1)); } catch { /* the assertion shows it */ }
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: err, ...json });
    });
  });
}
const paid = () => log.filter((entry) => entry.payment);

test('perform_free_answer_goes_to_the_caller', async () => {
  const result = await stream([origin + '/free']);
  assert.equal(result.stdout, 'free\n', result.stderr);
  assert.equal(result.outcome, 'none');
  assert.ok(result.headerLines > 2);
});

test('perform_error_page_without_retry_left_is_the_answer', async () => {
  assert.equal((await stream([origin + '/missing'])).stdout, 'no such page\n');
  assert.equal((await stream([origin + '/down'])).stdout, 'it is down\n');
});

test('perform_402_body_never_reaches_the_callback', async () => {
  const result = await stream([origin + '/paid']);
  assert.equal(result.stdout, 'the article\n', result.stderr);
  assert.equal(result.outcome, 'paid');
  assert.equal(paid().length, 1);
  const free = await stream([origin + '/free']);
  // Status line, PAYMENT-RESPONSE and what Node adds: one answer's lines.
  assert.equal(result.headerLines, free.headerLines + 1);
});

test('perform_final_402_body_never_reaches_the_callback', async () => {
  const over = await stream([origin + '/pricey']);
  assert.equal(over.stdout, '');
  assert.equal(over.cause, 'over_limit');
  assert.equal(paid().length, 0);
  const refused = await stream([origin + '/refused']);
  assert.equal(refused.stdout, '');
  assert.equal(refused.cause, 'payment_refused');
  assert.equal(paid().length, 1);
});

test('perform_answer_that_is_tried_again_is_not_the_callers', async () => {
  const result = await stream([origin + '/flaky']);
  assert.equal(result.stdout, 'the second answer\n', result.stderr);
});

test('perform_upload_is_rewound_for_the_payment', async () => {
  const file = path.join(home, 'upload');
  fs.writeFileSync(file, 'u'.repeat(100000));
  const result = await stream([origin + '/echo', file]);
  assert.equal(result.stdout.length, 100000, result.stderr);
  assert.deepEqual(log.map((e) => [e.method, e.body.length]), [['POST', 100000], ['POST', 100000]]);
});

test('perform_upload_from_a_pipe_is_kept_for_the_payment', async () => {
  const result = await stream([origin + '/echo', '/dev/stdin'], { stdin: 'p'.repeat(70000) });
  assert.equal(result.stdout.length, 70000, result.stderr);
  assert.equal(result.outcome, 'paid');
});

test('perform_upload_from_a_pipe_beyond_the_limit_sends_nothing', async () => {
  const result = await stream([origin + '/echo', '/dev/stdin'], { stdin: 'p'.repeat(9 << 20) });
  assert.equal(result.cause, 'invalid_request', result.stderr);
  assert.equal(log.length, 0);
});

test('perform_redirect_within_the_origin_is_followed_and_paid', async () => {
  const result = await stream([origin + '/moved']);
  assert.equal(result.stdout, 'the article\n', result.stderr);
});

test('perform_redirect_to_another_origin_is_the_answer', async () => {
  const result = await stream([origin + '/elsewhere']);
  assert.equal(result.stdout, 'elsewhere\n', result.stderr);
  assert.equal(result.status, 302);
  assert.ok(log.every((e) => e.server === 'origin'));
});

test('perform_redirect_that_changes_the_method_is_the_answer', async () => {
  const file = path.join(home, 'small');
  fs.writeFileSync(file, 'x');
  const result = await stream([origin + '/moved-post', file]);
  assert.equal(result.stdout, 'see other\n', result.stderr);
  assert.equal(result.status, 303);
});

test('perform_body_cut_short_is_paid_and_not_asked_again', async () => {
  const result = await stream([origin + '/cut']);
  assert.equal(result.stdout, 'half');
  assert.equal(result.outcome, 'paid', result.stderr);
  assert.equal(result.cause, 'network_error');
  assert.equal(paid().length, 1);
});

test('perform_large_body_streams_whole', async () => {
  const result = await stream([origin + '/trickle']);
  assert.equal(result.stdout.length, 64 * 65536, result.stderr);
});

test('perform_id_is_bought_once_across_processes', async () => {
  const file = path.join(home, 'order');
  fs.writeFileSync(file, 'order');
  assert.equal((await stream([origin + '/echo', file, 'order-1'])).outcome, 'paid');
  const again = await stream([origin + '/echo', file, 'order-1']);
  assert.equal(again.cause, 'already_paid', again.stderr);
  assert.equal(paid().length, 1);
  // Cut short: paid, not delivered; asked again with the same authorization.
  assert.equal((await stream([origin + '/cut', file, 'order-2'])).outcome, 'paid');
  const resumed = await stream([origin + '/cut', file, 'order-2']);
  assert.equal(resumed.presented, 1, resumed.stderr);
  const cut = paid().filter((e) => e.path === '/cut');
  assert.equal(cut.length, 2);
  assert.equal(cut[0].payment, cut[1].payment);
});
