// The proxy is a measuring instrument: here it is measured itself, against a
// chain of ours that counts and remembers.
import assert from 'node:assert/strict';
import {once} from 'node:events';
import http from 'node:http';
import {after, afterEach, before, test} from 'node:test';
import {cut, delay, drop, garbage, hang, lag, lieAboutReceipts, rpcError, startProxy, status} from './proxy.mjs';

let chain;
let proxy;
let asked = [];
const HEAD = 100;

/** Receipts say block 99; a block is what its number says. */
function say({id, method, params}) {
  asked.push([method, ...params]);
  if (method === 'eth_getTransactionReceipt') {
    return {jsonrpc: '2.0', id, result: {status: '0x1', blockNumber: '0x63', logs: [{address: '0xaa'}]}};
  }
  if (method === 'eth_blockNumber') return {jsonrpc: '2.0', id, result: `0x${HEAD.toString(16)}`};
  if (method === 'eth_getBlockByNumber') return {jsonrpc: '2.0', id, result: {number: params[0]}};
  return {jsonrpc: '2.0', id, result: method};
}

before(async () => {
  chain = http.createServer(async (req, res) => {
    let text = '';
    for await (const chunk of req) text += chunk;
    const body = JSON.parse(text);
    res.end(JSON.stringify(Array.isArray(body) ? body.map(say) : say(body)));
  });
  chain.listen(0, '127.0.0.1');
  await once(chain, 'listening');
  proxy = await startProxy(`http://127.0.0.1:${chain.address().port}`);
});
afterEach(() => {
  proxy.heal();
  asked = [];
});
after(async () => {
  await proxy.stop();
  chain.closeAllConnections();
  chain.close();
});

const call = (method, params = [], id = 1) => ({jsonrpc: '2.0', id, method, params});
const post = (body, signal) => fetch(proxy.url, {method: 'POST', body: JSON.stringify(body), signal});
const ask = async (method, params) => (await (await post(call(method, params))).json());

test('without a rule everything passes, batches too', async () => {
  assert.equal((await ask('eth_chainId')).result, 'eth_chainId');
  const answers = await (await post([call('a', [], 7), call('b', [], 8)])).json();
  assert.deepEqual(answers.map(({id, result}) => [id, result]), [[7, 'a'], [8, 'b']]);
  assert.equal(proxy.calls.a, 1);
});

test('cut forwards nothing, drop forwards and does not answer', async () => {
  const rule = proxy.inject(cut({methods: ['send']}));
  await assert.rejects(ask('send'));
  assert.deepEqual(asked, []);
  assert.equal((await ask('read')).result, 'read');
  rule.heal();
  const dropped = proxy.inject(drop({methods: ['send']}));
  await assert.rejects(post([call('read'), call('send', [], 2)]));
  assert.deepEqual(asked.map(([method]) => method), ['read', 'read', 'send']);
  assert.equal(dropped.hits, 1);
  assert.equal(rule.hits, 1);
});

test('hang forwards and is silent', async () => {
  proxy.inject(hang({methods: ['send']}));
  await assert.rejects(post(call('send'), AbortSignal.timeout(200)), /abort|timeout/i);
  assert.deepEqual(asked, [['send']]);
});

test('delay answers, only later', async () => {
  proxy.inject(delay({ms: 100}));
  const start = performance.now();
  assert.equal((await ask('read')).result, 'read');
  assert.ok(performance.now() - start >= 95);
});

test('status, garbage and errors take the place of the answer', async () => {
  const busy = proxy.inject(status({code: 429, retryAfter: 3}));
  const response = await post(call('read'));
  assert.equal(response.status, 429);
  assert.equal(response.headers.get('retry-after'), '3');
  busy.heal();
  const odd = proxy.inject(garbage());
  await assert.rejects((await post(call('read'))).json());
  odd.heal();
  proxy.inject(rpcError({code: -32005, message: 'limit exceeded'}));
  assert.equal((await ask('read')).error.code, -32005);
  const batch = await (await post([call('read', [], 4)])).json();
  assert.equal(batch[0].id, 4);
  assert.deepEqual(asked, []);
});

test('lies about receipts leave the rest alone', async () => {
  const lies = {none: (result) => assert.equal(result, null),
    failed: (result) => assert.equal(result.status, '0x0'),
    foreign: (result) => assert.notEqual(result.logs[0].address, '0xaa')};
  for (const [how, check] of Object.entries(lies)) {
    const rule = proxy.inject(lieAboutReceipts(how));
    check((await ask('eth_getTransactionReceipt', ['0x1'])).result);
    assert.equal((await ask('eth_getTransactionCount', ['0x1'])).result, 'eth_getTransactionCount');
    assert.equal(rule.hits, 1);
    rule.heal();
  }
});

test('a lagging view knows no later head, block or receipt', async () => {
  proxy.inject(lag(5, {head: async () => HEAD}));
  assert.equal((await ask('eth_blockNumber')).result, '0x5f');
  assert.equal((await ask('eth_getBlockByNumber', ['latest', false])).result.number, '0x5f');
  assert.equal((await ask('eth_getBlockByNumber', ['0x63', false])).result, null);
  assert.equal((await ask('eth_getTransactionReceipt', ['0x1'])).result, null);
  await ask('eth_getTransactionCount', ['0xaa', 'pending']);
  assert.deepEqual(asked.at(-1), ['eth_getTransactionCount', '0xaa', '0x5f']);
});

test('a swinging head is behind every second time', async () => {
  proxy.inject(lag(5, {head: async () => HEAD, alternate: true}));
  const heads = [];
  for (let i = 0; i < 4; i++) heads.push((await ask('eth_blockNumber')).result);
  assert.deepEqual(heads, ['0x5f', '0x64', '0x5f', '0x64']);
});
