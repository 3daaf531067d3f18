// The daemon as an operator and a seller meet it: one real process, one real
// chain, balances read from the chain.
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { spawnSync } from 'node:child_process';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';

let devnet;
let info;
let daemon;

const payeeBalance = () => f.balance(info, info.accounts.payee.address);

before(async () => {
  devnet = await startDevnet({});
  info = devnet.info;
  daemon = await f.startFacilitator({ env: f.facilitatorEnv(info) });
});

after(async () => {
  await daemon?.stop('SIGQUIT');
  await devnet?.stop();
});

describe('verify and settle', () => {
  test('a v2 payment settles once and pays exactly', async () => {
    const body = await f.goodBody(info);
    const start = await payeeBalance();
    const verified = await f.post(`${daemon.url}/verify`, body);
    assert.deepEqual(verified.json, { isValid: true, payer: info.accounts.payer.address });
    assert.equal(await payeeBalance(), start, '/verify moves nothing');
    const settled = await f.post(`${daemon.url}/settle`, body);
    assert.equal(settled.json.success, true, settled.text);
    assert.equal(settled.json.network, f.CAIP2);
    assert.equal(settled.json.payer, info.accounts.payer.address);
    assert.match(settled.json.transaction, /^0x[0-9a-f]{64}$/);
    assert.equal(await payeeBalance() - start, BigInt(f.AMOUNT));
    const receipt = await f.chainRpc(info, 'eth_getTransactionReceipt', [settled.json.transaction]);
    assert.equal(receipt.status, '0x1');

    const again = await f.post(`${daemon.url}/settle`, body);
    assert.equal(again.json.success, false);
    assert.equal(again.json.errorReason, 'duplicate_settlement', again.text);
    // The same authorization in another dress is the same payment.
    body.extra = 1;
    const dressed = await f.post(`${daemon.url}/settle`, body);
    assert.equal(dressed.json.errorReason, 'duplicate_settlement', dressed.text);
    assert.equal(await payeeBalance() - start, BigInt(f.AMOUNT));
  });

  test('a v1 payment settles and answers with the v1 network name', async () => {
    const p = f.parts(info);
    p.version = 1;
    const body = await f.body(p);
    assert.equal((await f.post(`${daemon.url}/verify`, body)).json.isValid, true);
    const settled = await f.post(`${daemon.url}/settle`, body);
    assert.equal(settled.json.success, true, settled.text);
    assert.equal(settled.json.network, 'base-sepolia');
  });

  test('ten callers at once get one success', async () => {
    const body = await f.goodBody(info);
    const start = await payeeBalance();
    const answers = await Promise.all(Array.from({ length: 10 },
      () => f.post(`${daemon.url}/settle`, body)));
    assert.equal(answers.filter(a => a.json.success).length, 1, answers.map(a => a.text).join('\n'));
    for (const a of answers.filter(one => !one.json.success))
      assert.equal(a.json.errorReason, 'duplicate_settlement', a.text);
    assert.equal(await payeeBalance() - start, BigInt(f.AMOUNT));
  });

  test('forty different payments at once all settle', async () => {
    const start = await payeeBalance();
    const bodies = await Promise.all(Array.from({ length: 40 }, () => f.goodBody(info)));
    const answers = await Promise.all(bodies.map(body => f.post(`${daemon.url}/settle`, body)));
    for (const a of answers)
      assert.equal(a.json.success, true, a.text);
    // Those that meet share a transaction.
    assert.ok(new Set(answers.map(a => a.json.transaction)).size < 40);
    assert.equal(await payeeBalance() - start, 40n * BigInt(f.AMOUNT));
  });

  test('the first answer is repeated byte for byte under its Idempotency-Key', async () => {
    const body = await f.goodBody(info);
    const key = { 'idempotency-key': 'order-4711' };
    const first = await f.post(`${daemon.url}/settle`, body, key);
    assert.equal(first.json.success, true, first.text);
    const second = await f.post(`${daemon.url}/settle`, body, key);
    assert.equal(second.text, first.text);
    const bare = await f.post(`${daemon.url}/settle`, body);
    assert.equal(bare.json.errorReason, 'duplicate_settlement', bare.text);
    const other = await f.post(`${daemon.url}/settle`, await f.goodBody(info), key);
    assert.equal(other.status, 409, other.text);
    assert.equal(other.json.success, false);
  });

  test('payment-identifier finds conflicts but repeats no success; malformed is 400', async () => {
    const p = f.parts(info);
    p.extensions = { 'payment-identifier': { info: { id: 'pay_0123456789abcdef0123456789abcdef' } } };
    const body = await f.body(p);
    // The payer chose the id: it must not have one payment answered many times.
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => f.post(`${daemon.url}/settle`, body)));
    const successes = answers.filter(one => one.json.success);
    assert.equal(successes.length, 1, successes.map(one => one.text).join());
    for (const one of [...answers, await f.post(`${daemon.url}/settle`, body)])
      assert.ok(one.json.success || one.json.errorReason === 'duplicate_settlement', one.text);
    const other = f.parts(info);
    other.extensions = p.extensions;
    assert.equal((await f.post(`${daemon.url}/settle`, await f.body(other))).status, 409);
    // With a key of the caller's own it is the caller who is told again.
    const both = f.parts(info);
    both.extensions = { 'payment-identifier': { info: { id: 'pay_fedcba9876543210' } } };
    const key = { 'idempotency-key': 'order-4712' };
    const told = await f.post(`${daemon.url}/settle`, await f.body(both), key);
    assert.equal(told.json.success, true, told.text);
    assert.equal((await f.post(`${daemon.url}/settle`, await f.body(both), key)).text, told.text);
    for (const id of ['short', 'x'.repeat(129), 'with space in the middle', 7]) {
      const bad = f.parts(info);
      bad.extensions = { 'payment-identifier': { info: { id } } };
      assert.equal((await f.post(`${daemon.url}/settle`, await f.body(bad))).status, 400);
    }
    const required = f.parts(info);
    required.extensions = { 'payment-identifier': { info: { required: true } } };
    assert.equal((await f.post(`${daemon.url}/settle`, await f.body(required))).status, 400);
    for (const key of ['x'.repeat(129), 'a b'])
      assert.equal((await f.post(`${daemon.url}/settle`, await f.goodBody(info), { 'idempotency-key': key })).status, 400);
  });

  test('GET /payments tells state and history, by id and by hash', async () => {
    const settled = await f.post(`${daemon.url}/settle`, await f.goodBody(info));
    const byHash = await f.request(`${daemon.url}/payments/${settled.json.transaction}`);
    assert.equal(byHash.status, 200, byHash.text);
    assert.equal(byHash.json.state, 'settled');
    assert.equal(byHash.json.amount, f.AMOUNT);
    assert.deepEqual(byHash.json.history.map(one => one.state), ['reserved', 'signed', 'broadcast', 'settled']);
    const byId = await f.request(`${daemon.url}/payments/${byHash.json.paymentId}`);
    assert.equal(byId.text, byHash.text);
    assert.equal((await f.request(`${daemon.url}/payments/${'0'.repeat(32)}`)).status, 404);
    assert.equal((await f.request(`${daemon.url}/payments/0x${'0'.repeat(64)}`)).status, 404);
    for (const id of ['', '1', '..%2fhealth', 'x'.repeat(32), `0x${'g'.repeat(64)}`])
      assert.ok([400, 404].includes((await f.request(`${daemon.url}/payments/${id}`)).status));
  });
});

describe('what it serves', () => {
  test('/supported names v2 and v1 kinds and the signer', async () => {
    const { status, json } = await f.request(`${daemon.url}/supported`);
    assert.equal(status, 200);
    assert.deepEqual(json.kinds, [
      { x402Version: 2, scheme: 'exact', network: f.CAIP2, confirmations: '1' },
      { x402Version: 2, scheme: 'upto', network: f.CAIP2, confirmations: '1',
        extra: { facilitatorAddress: info.accounts.facilitator.address } },
      { x402Version: 2, scheme: 'proof', network: f.CAIP2, confirmations: '1' },
      { x402Version: 1, scheme: 'exact', network: 'base-sepolia', confirmations: '1' }]);
    assert.deepEqual(json.extensions, ['bazaar', 'eip2612GasSponsoring', 'payment-identifier']);
    assert.deepEqual(json.signers, { 'eip155:*': [info.accounts.facilitator.address] });
  });

  test('/health is ok', async () => {
    const { status, json } = await f.request(`${daemon.url}/health`);
    assert.equal(status, 200);
    assert.equal(json.status, 'ok');
    assert.deepEqual(json.chains, [{ network: f.CAIP2, status: 'ok' }]);
  });

  test('unknown paths and methods answer in JSON', async () => {
    for (const [method, where, status] of [['GET', '/nowhere', 404], ['GET', '/verify', 405],
      ['POST', '/supported', 405], ['DELETE', '/settle', 405], ['PUT', '/discovery/resources', 405]]) {
      const answer = await f.request(`${daemon.url}${where}`, { method });
      assert.equal(answer.status, status, `${method} ${where}`);
      assert.equal(typeof answer.json?.error, 'string', answer.text);
      if (status === 405)
        assert.ok(answer.headers.get('allow'));
    }
  });

  test('browsers may ask: preflight and exposed headers', async () => {
    const pre = await f.request(`${daemon.url}/settle`, { method: 'OPTIONS', headers: {
      origin: 'https://shop.example', 'access-control-request-method': 'POST' } });
    assert.equal(pre.status, 204);
    assert.equal(pre.headers.get('access-control-allow-origin'), '*');
    assert.match(pre.headers.get('access-control-allow-methods'), /POST/);
    assert.match(pre.headers.get('access-control-allow-headers'), /Idempotency-Key/i);
    const answer = await f.post(`${daemon.url}/verify`, '{');
    assert.equal(answer.status, 400);
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assert.match(answer.headers.get('access-control-expose-headers'), /EXTENSION-RESPONSES/);
    assert.ok(answer.headers.get('x-request-id'));
  });
});

const bazaar = { info: { input: { type: 'http', method: 'GET' } },
  schema: { type: 'object', properties: { input: { type: 'object' } }, required: ['input'] } };
const responses = answer => JSON.parse(
  Buffer.from(answer.headers.get('extension-responses'), 'base64').toString());

describe('discovery', () => {
  const list = query => f.request(`${daemon.url}/discovery/resources${query}`);

  test('a settled payment that declares bazaar is listed', async () => {
    const p = f.parts(info);
    p.resource.url = 'https://shop.example/weather?city=x';
    p.extensions = { bazaar };
    const settled = await f.post(`${daemon.url}/settle`, await f.body(p));
    assert.equal(settled.json.success, true, settled.text);
    assert.deepEqual(responses(settled), { bazaar: { status: 'success' } });
    const { json } = await list('?type=http');
    const item = json.items.find(one => one.resource.startsWith('https://shop.example/weather'));
    assert.ok(item, JSON.stringify(json));
    assert.equal(item.metadata.settled, true);
    assert.equal(item.accepts[0].payTo, info.accounts.payee.address);
    assert.match(item.lastUpdated, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual(json.pagination, { limit: 20, offset: 0, total: json.items.length });
  });

  test('a declaration that breaks its own schema is rejected, the payment is not', async () => {
    const p = f.parts(info);
    p.extensions = { bazaar: { ...bazaar, info: { output: {} } } };
    const settled = await f.post(`${daemon.url}/settle`, await f.body(p));
    assert.equal(settled.json.success, true, settled.text);
    const said = responses(settled).bazaar;
    assert.equal(said.status, 'rejected');
    assert.ok(said.rejectedReason);
  });

  test('without a declaration there is no EXTENSION-RESPONSES', async () => {
    const settled = await f.post(`${daemon.url}/settle`, await f.goodBody(info));
    assert.equal(settled.headers.get('extension-responses'), null);
  });

  test('what is posted is unproven, and filters find it', async () => {
    const { requirements } = f.parts(info);
    const posted = { x402Version: 2, resource: { url: 'https://news.example/a' }, accepts: [requirements], extensions: { bazaar } };
    assert.equal((await f.post(`${daemon.url}/discovery/resources`, posted)).status, 201);
    assert.equal((await f.post(`${daemon.url}/discovery/resources`, posted)).status, 200);
    const payTo = requirements.payTo.toLowerCase();
    const { json } = await list(`?payTo=${payTo}&scheme=exact&network=${encodeURIComponent(f.CAIP2)}&extensions=bazaar&limit=100`);
    const item = json.items.find(one => one.resource === 'https://news.example/a');
    assert.equal(item?.metadata.settled, false, JSON.stringify(json));
    assert.equal((await list('?network=eip155%3A1')).json.pagination.total, 0);
    assert.equal((await list('?type=mcp')).json.items.length, 0);
    assert.equal((await list('?limit=1&offset=1')).json.items.length, 1);
    for (const body of [{ ...posted, extensions: undefined }, { ...posted, accepts: [] },
      { ...posted, x402Version: 3 }, { ...posted, accepts: [{ scheme: 'exact' }] }, '[]'])
      assert.equal((await f.post(`${daemon.url}/discovery/resources`, body)).status, 400);
  });

  test('a bad page is 400', async () => {
    for (const query of ['?limit=0', '?limit=101', '?limit=x', '?limit=-1', '?offset=-1', '?offset=1e9', '?limit=1&limit=2', '?type=%zz'])
      assert.equal((await list(query)).status, 400, query);
  });
});

describe('configuration', () => {
  const run = (args, env = {}) => spawnSync(f.binary, args, {
    env: { PATH: process.env.PATH, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '', ...env }, encoding: 'utf8' });

  test('a wrong file is named with its line, exit code 1', () => {
    const file = path.join(f.temporaryDirectory(), 'f.conf');
    writeFileSync(file, 'store = "/tmp/x"\nspeed = 3\n');
    const end = run(['-c', file, '-t']);
    assert.equal(end.status, 1);
    assert.match(end.stderr, /f\.conf:2: .*speed/);
    assert.equal(run(['-c', '/nonexistent']).status, 1);
    assert.equal(run([]).status, 1);
    assert.equal(run(['--no-such-option']).status, 2);
  });

  test('the example file passes the check, and the dump has no key', () => {
    const dir = f.temporaryDirectory();
    const key = path.join(dir, 'key');
    writeFileSync(key, info.accounts.facilitator.privateKey, { mode: 0o600 });
    const file = path.join(dir, 'f.conf');
    writeFileSync(file, `store = "${dir}/s.sqlite"\nchain "${f.CAIP2}" {\n rpc_urls = {"http://u:p@127.0.0.1:1/secret"}\n signer_key_file = {"${key}"}\n}\n`);
    assert.equal(run(['-c', file, '-t']).status, 0);
    const dump = run(['-c', file, '--dump-config']);
    assert.equal(dump.status, 0);
    assert.doesNotMatch(dump.stdout, /secret|u:p/);
    assert.ok(!dump.stdout.includes(info.accounts.facilitator.privateKey.slice(2, 20)));
    chmodSync(key, 0o640);
    assert.equal(run(['-c', file, '-t']).status, 1);
    const version = run(['--version']);
    assert.equal(version.status, 0);
    assert.match(version.stdout, /^x402-facilitator \d/);
  });

  test('distinct exit codes: store, chain, listen', async () => {
    const code = async env => f.startFacilitator({ env }).then(
      d => d.stop('SIGQUIT').then(() => 'started'), error => error.code);
    assert.equal(await code(f.facilitatorEnv(info, { X402_STORE: '/nonexistent/dir/s.sqlite' })), 3);
    assert.equal(await code(f.facilitatorEnv(info, { X402_NETWORK: 'eip155:1' })), 4);
    assert.equal(await code(f.facilitatorEnv(info, { X402_NETWORK: '', EVM_RPC_URL: 'http://127.0.0.1:9' })), 4);
    assert.equal(await code(f.facilitatorEnv(info, { X402_LISTEN: '192.0.2.1' })), 5);
  });

  test('the chain is asked when X402_NETWORK is absent', async () => {
    const env = f.facilitatorEnv(info);
    delete env.X402_NETWORK;
    const other = await f.startFacilitator({ env });
    const { json } = await f.request(`${other.url}/supported`);
    assert.equal(json.kinds[0].network, f.CAIP2);
    assert.equal((await other.stop()).code, 0);
  });

  test('a second daemon on the same store refuses to start', async () => {
    const env = f.facilitatorEnv(info);
    const first = await f.startFacilitator({ env });
    await assert.rejects(f.startFacilitator({ env }), { code: 3 });
    assert.equal((await first.stop()).code, 0);
  });

  test('no key in the log or in the process environment', async () => {
    const other = await f.startFacilitator({ env: f.facilitatorEnv(info) });
    await f.post(`${other.url}/settle`, await f.goodBody(info));
    assert.equal((await other.stop()).code, 0);
    assert.ok(!other.log.includes(info.accounts.facilitator.privateKey.slice(2)));
  });

  test('HUP changes what it may, refuses a wrong file and goes on', async () => {
    const dir = f.temporaryDirectory();
    const key = path.join(dir, 'key');
    const file = path.join(dir, 'f.conf');
    writeFileSync(key, info.accounts.facilitator.privateKey, { mode: 0o600 });
    const text = more => `listen = "127.0.0.1:0"\nstore = "${dir}/s.sqlite"\n${more}chain "${f.CAIP2}" {\n rpc_urls = {"${info.rpcUrl}"}\n signer_key_file = {"${key}"}\n}\n`;
    writeFileSync(file, text(''));
    const other = await f.startFacilitator({ args: ['-c', file] });
    const until = async pattern => {
      for (let i = 0; i < 600 && !pattern.test(other.log); i++)
        await f.sleep(50);
      assert.match(other.log, pattern);
    };
    writeFileSync(file, text('colour = red\n'));
    other.child.kill('SIGHUP');
    await until(/event=not_reloaded .*colour/);
    assert.equal((await f.request(`${other.url}/supported`)).headers.get('access-control-allow-origin'), '*');
    writeFileSync(file, text('cors_origin = "https://one.example"\nworkers = 7\n'));
    other.child.kill('SIGHUP');
    await until(/event=restart_needed text=.*workers/);
    await until(/event=reloaded/);
    // Each worker is told for itself.
    const origin = async () => (await f.request(`${other.url}/supported`)).headers.get('access-control-allow-origin');
    let seen = await origin();
    for (let i = 0; i < 600 && seen !== 'https://one.example'; i++) {
      await f.sleep(50);
      seen = await origin();
    }
    assert.equal(seen, 'https://one.example');
    assert.equal((await other.stop()).code, 0);
  });
});

describe('the way out, and back', () => {
  let slow; // a chain that mines when told
  const mine = seconds => slow.rpc('evm_setIntervalMining', [seconds]);
  const sent = () => slow.rpc('eth_getTransactionCount', [slow.info.accounts.facilitator.address, 'pending']);
  // Its transaction is with the nodes.
  const onItsWay = async before => {
    for (const end = Date.now() + 30000; await sent() === before; await f.sleep(20))
      assert.ok(Date.now() < end, 'nothing was sent');
  };

  before(async () => {
    slow = await startDevnet({ blockTime: 1 });
  });
  beforeEach(() => mine(0));
  after(async () => slow?.stop());

  test('TERM answers the settlement in flight, then ends', async () => {
    const other = await f.startFacilitator({ env: f.facilitatorEnv(slow.info) });
    const before = await sent();
    const settling = f.post(`${other.url}/settle`, await f.goodBody(slow.info));
    await onItsWay(before);
    const ended = other.stop('SIGTERM');
    await mine(1);
    const answer = await settling;
    assert.equal(answer.json.success, true, answer.text);
    assert.equal((await ended).code, 0, other.log);
    await assert.rejects(fetch(`${other.url}/health`));
  });

  test('QUIT ends at once; the next daemon finishes what was signed', async () => {
    const env = f.facilitatorEnv(slow.info);
    const start = await f.balance(slow.info, slow.info.accounts.payee.address);
    const first = await f.startFacilitator({ env });
    const body = await f.goodBody(slow.info);
    const before = await sent();
    const cut = f.post(`${first.url}/settle`, body).catch(error => error);
    await onItsWay(before);
    assert.equal((await first.stop('SIGQUIT')).code, 0, first.log);
    await cut;
    const second = await f.startFacilitator({ env });
    await mine(1);
    const answer = await f.post(`${second.url}/settle`, body);
    assert.equal(answer.json.success, true, answer.text);
    const end = await f.balance(slow.info, slow.info.accounts.payee.address);
    assert.equal(end - start, BigInt(f.AMOUNT));
    assert.equal((await second.stop()).code, 0);
  });

  test('settlement_pending carries the hash; asking again brings the outcome', async () => {
    const other = await f.startFacilitator({ env: f.facilitatorEnv(slow.info) });
    const body = await f.goodBody(slow.info);
    const first = await f.post(`${other.url}/settle`, body, { 'x-request-timeout': '5' });
    assert.equal(first.json.errorReason, 'settlement_pending', first.text);
    await mine(1);
    assert.match(first.json.transaction, /^0x[0-9a-f]{64}$/);
    assert.ok(first.headers.get('retry-after'));
    assert.equal(first.json.retry, 'wait');
    const second = await f.post(`${other.url}/settle`, body);
    assert.equal(second.json.success, true, second.text);
    assert.equal(second.json.transaction, first.json.transaction);
    const third = await f.post(`${other.url}/settle`, body);
    assert.equal(third.json.errorReason, 'duplicate_settlement', third.text);
    assert.equal((await other.stop()).code, 0);
  });

  test('a caller that hangs up does not eat the success', async () => {
    const other = await f.startFacilitator({ env: f.facilitatorEnv(slow.info) });
    const body = await f.goodBody(slow.info);
    const before = await sent();
    await new Promise(done => {
      const req = http.request(`${other.url}/settle`, { method: 'POST', headers: { 'content-type': 'application/json' } });
      req.on('error', () => done());
      req.end(JSON.stringify(body));
      onItsWay(before).then(() => req.destroy());
    });
    await mine(1);
    const answer = await f.post(`${other.url}/settle`, body);
    assert.equal(answer.json.success, true, answer.text);
    assert.equal((await other.stop()).code, 0);
  });
});
