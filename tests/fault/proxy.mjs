// A JSON-RPC endpoint of ours between the daemon and anvil that misbehaves on
// command. It runs in the test's process; every fault is a rule that the test
// adds and takes away while requests are under way:
//
//   const proxy = await startProxy(rpcUrl);
//   const rule = proxy.inject(drop({methods: ['eth_sendRawTransaction']}));
//   ...                                     rule.hits says how often it struck
//   rule.heal();                            or proxy.heal(): all of them
//
// A rule sees a whole HTTP request (`list`: its JSON-RPC calls, whether it is a
// batch or not) and has up to three places to act:
//
//   before(list, res)   true: the request is dealt with, nothing is forwarded
//   ask(call)           the call to forward in place of this one
//   tell(call, answer)  the answer to give in place of this one
//   after(list, res)    true: forwarded, and the answer is dealt with
import http from 'node:http';
import {parseTransaction, sleep} from '../devnet/lib.mjs';

export async function startProxy(target) {
  const agent = new http.Agent({keepAlive: true});
  const rules = new Set();
  const proxy = {
    /** HTTP requests, JSON-RPC calls by method, rules that struck by name. */
    requests: 0, calls: {}, hits: {},
    inject(rule) {
      const live = {...rule, hits: 0, heal: () => rules.delete(live)};
      rules.add(live);
      return live;
    },
    heal: () => rules.clear(),
  };
  const server = http.createServer(async (req, res) => {
    res.on('error', () => {});
    try {
      const chunks = [];
      for await (const chunk of req) chunks.push(chunk);
      await serve(proxy, [...rules], {target, agent}, Buffer.concat(chunks).toString(), res);
    } catch {
      res.destroy(); // the chain is gone, or the daemon is
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.url = `http://127.0.0.1:${server.address().port}`;
  proxy.stop = () => new Promise((resolve) => {
    agent.destroy();
    server.closeAllConnections();
    server.close(resolve);
  });
  return proxy;
}

function forward({target, agent}, text) {
  return new Promise((resolve, reject) => {
    const request = http.request(target, {method: 'POST', agent,
      headers: {'content-type': 'application/json', 'content-length': Buffer.byteLength(text)}}, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(text);
  });
}

async function serve(proxy, rules, to, text, res) {
  const asked = JSON.parse(text);
  let list = [].concat(asked);
  list.isBatch = Array.isArray(asked);
  proxy.requests++;
  for (const {method} of list) proxy.calls[method] = (proxy.calls[method] ?? 0) + 1;
  const struck = (rule, n = 1) => {
    rule.hits += n;
    proxy.hits[rule.name] = (proxy.hits[rule.name] ?? 0) + n;
  };
  const concerns = (rule, call) => !rule.methods || rule.methods.includes(call.method);
  const active = rules.filter((rule) => list.some((call) => concerns(rule, call)));

  for (const rule of active) {
    if (!rule.before) continue;
    struck(rule);
    if (await rule.before(list, res)) return;
  }
  for (const rule of active) {
    if (rule.ask) list = list.map((call) => (concerns(rule, call) ? rule.ask(call) : call));
  }
  let answers = [].concat(await forward(to, JSON.stringify(Array.isArray(asked) ? list : list[0])));
  for (const rule of active) {
    if (!rule.tell) continue;
    answers = answers.map((answer) => {
      const call = list.find((one) => one.id === answer.id);
      const changed = call && concerns(rule, call) ? rule.tell(call, answer) : undefined;
      if (changed) struck(rule);
      return changed ?? answer;
    });
  }
  for (const rule of active) {
    if (!rule.after) continue;
    struck(rule);
    if (await rule.after(list, res)) return;
  }
  const reply = JSON.stringify(Array.isArray(asked) ? answers : answers[0]);
  res.writeHead(200, {'content-type': 'application/json', 'content-length': Buffer.byteLength(reply)});
  res.end(reply);
}

const answer = (call, result) => ({jsonrpc: '2.0', id: call.id, result});

// ---- Faults of the line. methods: whom they concern; all when not given. ----

export const delay = ({ms, methods}) => ({name: 'delay', methods,
  async before() {
    await sleep(ms);
    return false;
  }});

/** The connection is cut before anything is forwarded. */
export const cut = ({methods} = {}) => ({name: 'cut', methods,
  before(list, res) {
    res.destroy();
    return true;
  }});

/** Forwarded, and then the connection is cut: accepted, and nobody knows. */
export const drop = ({methods} = {}) => ({name: 'drop', methods,
  after(list, res) {
    res.destroy();
    return true;
  }});

/** Forwarded, and then silence until the asker gives up. */
export const hang = ({methods} = {}) => ({name: 'hang', methods, after: () => true});

/** HTTP status; with retryAfter in seconds. */
export const status = ({code, retryAfter, methods}) => ({name: `http ${code}`, methods,
  before(list, res) {
    res.writeHead(code, retryAfter === undefined ? {} : {'retry-after': String(retryAfter)});
    res.end('not now\n');
    return true;
  }});

/** Status 200 and something that is no JSON. */
export const garbage = ({methods} = {}) => ({name: 'garbage', methods,
  before(list, res) {
    res.writeHead(200, {'content-type': 'text/html'});
    res.end('<html>captcha</html>');
    return true;
  }});

/** A JSON-RPC error of the endpoint in place of every answer. */
export const rpcError = ({code = -32603, message = 'internal error', methods} = {}) => ({
  name: `error ${code}`, methods,
  before(list, res) {
    const error = (call) => ({jsonrpc: '2.0', id: call.id, error: {code, message}});
    res.writeHead(200, {'content-type': 'application/json'});
    res.end(JSON.stringify(list.isBatch ? list.map(error) : error(list[0])));
    return true;
  }});

/**
 * What is sent is first landed by a stranger, who has read it in the mempool:
 * the same call, mined before ours gets there. rpc: of the chain, where the
 * stranger's account is unlocked.
 */
export function preempt({rpc, from}) {
  const seen = new Set();
  const land = async (raw) => {
    const {to, data, gas} = parseTransaction(raw);
    const hash = await rpc('eth_sendTransaction', [{from, to, data, gas: `0x${(gas * 2n).toString(16)}`}]);
    while (!await rpc('eth_getTransactionReceipt', [hash])) await sleep(20);
  };
  return {name: 'preempted', methods: ['eth_sendRawTransaction'],
    async before(list) {
      for (const {method, params: [raw]} of list) {
        if (method !== 'eth_sendRawTransaction' || seen.has(raw)) continue;
        seen.add(raw);
        await land(raw).catch(() => {}); // of a transaction that pays nobody: not worth a stranger's gas
      }
      return false;
    }};
}

// ---- Lies. ----

const STRANGER = `0x${'57'.repeat(20)}`;

/** how: 'none' (no receipt), 'failed' (status 0), 'foreign' (another's logs). */
export const lieAboutReceipts = (how) => ({name: `receipts ${how}`, methods: ['eth_getTransactionReceipt'],
  tell(call, {result}) {
    if (!result) return undefined;
    if (how === 'none') return answer(call, null);
    if (how === 'failed') return answer(call, {...result, status: '0x0', logs: []});
    return answer(call, {...result, logs: result.logs.map((log) => ({...log, address: STRANGER}))});
  }});

const TAGS = new Set(['latest', 'pending', 'safe', 'finalized']);
/** Where a method takes its block. */
const BLOCK_AT = {eth_getBlockByNumber: 0, eth_call: 1, eth_getCode: 1, eth_getBalance: 1,
  eth_getTransactionCount: 1, eth_feeHistory: 1, eth_getStorageAt: 2, eth_estimateGas: 1};

/**
 * The chain as it was `blocks` blocks ago: heads, state and receipts of
 * blocks above do not exist. What is sent is passed on, as a node behind
 * would. `alternate`: only every second request sees it, so the head swings
 * to and fro. head(): the real head, asked by the test.
 */
export function lag(blocks, {head, alternate = false}) {
  let turn = 0;
  let behind = true;
  let limit = 0;
  const hex = (n) => `0x${Math.max(0, n).toString(16)}`;
  return {name: alternate ? 'swap' : 'lag',
    async before() {
      behind = !alternate || turn++ % 2 === 0;
      limit = await head() - blocks;
      return false;
    },
    ask(call) {
      const at = BLOCK_AT[call.method];
      if (!behind || at === undefined || !TAGS.has(call.params[at] ?? 'latest')) return call;
      const params = [...call.params];
      params[at] = hex(limit);
      return {...call, params};
    },
    tell(call, {result}) {
      if (!behind || !result) return undefined;
      if (call.method === 'eth_blockNumber') return answer(call, hex(limit));
      if (call.method === 'eth_getTransactionReceipt' && Number(result.blockNumber) > limit) return answer(call, null);
      if (call.method === 'eth_getBlockByNumber' && Number(result.number) > limit) return answer(call, null);
      if (call.method === 'eth_getLogs') {
        return answer(call, result.filter((log) => Number(log.blockNumber) <= limit));
      }
      return undefined;
    }};
}
