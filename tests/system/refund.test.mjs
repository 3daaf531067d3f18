// `x402 refund`: a payment given back, once at most, whatever goes wrong. A real
// chain, the real facilitator and content site, and the command itself; in
// front of the facilitator a door that swallows what it is told to.
//
//   node --test tests/system/refund.test.mjs
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { nowSeconds, post, programs, randomNonce, run, scratchDir, signAuthorization, start, startDevnet,
  startFacilitator } from '../devnet/lib.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const { encodeFunctionData, encodePacked, keccak256, pad, parseAbi, toHex } = require('viem');

let devnet;
let info;
let facilitator;
let site;
let door;
let payee;
let payer;
before(async () => {
  devnet = await startDevnet();
  ({ info } = devnet);
  ({ payee, payer } = info.accounts);
  facilitator = await startFacilitator(devnet, { X402_NETWORK: info.network });
  site = await start(programs.site, [], { ready: /url=(http:\/\/[0-9.:]+)/, env: { PORT: '0',
    FACILITATOR_URL: facilitator.url, PAY_TO: payee.address, X402_NETWORK: info.network } });
  door = await startDoor();
});
after(async () => {
  door?.stop();
  await site?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

/**
 * In front of the facilitator. open: everything passes. deaf: what is settled
 * never arrives; lie: neither, and it is said to be; mute: it is settled, and the
 * answer does not come back. held resolves when an answer has been kept back.
 */
async function startDoor() {
  const it = { mode: 'open', settled: [] };
  it.server = http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      const settling = req.url === '/settle';
      if (settling) it.settled.push(JSON.parse(body));
      if (settling && it.mode === 'deaf') return req.socket.destroy();
      if (settling && it.mode === 'lie') return res.end(JSON.stringify(it.says));
      const answer = await fetch(facilitator.url + req.url, { method: req.method, body: body || undefined,
        headers: { 'content-type': 'application/json' } });
      const text = await answer.text();
      if (settling && it.mode === 'mute') return req.socket.destroy();
      if (settling && it.mode === 'hold') return it.held();
      res.writeHead(answer.status, { 'content-type': 'application/json' });
      return res.end(text);
    });
  });
  await new Promise((done) => { it.server.listen(0, '127.0.0.1', done); });
  it.url = `http://127.0.0.1:${it.server.address().port}`;
  it.stop = () => {
    it.server.closeAllConnections();
    it.server.close();
  };
  return it;
}

const newJournal = () => ({ X402_JOURNAL: join(scratchDir(), 'journal.sqlite') });

/** The command as the payee; what it prints, read. */
async function refund(transaction, args = [], { env = {}, key = payee.privateKey, url = facilitator.url } = {}) {
  const result = await run(programs.client, ['refund', transaction, '--block', 'latest', ...args],
    { env: { EVM_RPC_URL: info.rpcUrl, FACILITATOR_URL: url, EVM_PRIVATE_KEY: key, ...newJournal(), ...env } });
  const read = (text) => (text.trim() ? JSON.parse(text.trim().split('\n').at(-1)) : undefined);
  return { ...result, answer: read(result.stdout), error: read(result.stderr) };
}

let bought = 0;
/** Pay the site; the hash of the payment. */
async function pay() {
  const path = /\/articles\/[a-z0-9-]+/.exec(await (await fetch(site.match[1])).text())[0];
  const result = await run(programs.client, ['get', `${site.match[1]}${path}?refund=${bought++}`],
    { env: { EVM_PRIVATE_KEY: payer.privateKey, ...newJournal() } });
  assert.equal(result.code, 0, result.stderr);
  const receipt = JSON.parse(result.stderr.trim().split('\n').at(-1));
  return { hash: receipt.transaction, amount: BigInt(receipt.amount) };
}

const balances = async () => ({ payer: await devnet.balanceOf(payer.address), payee: await devnet.balanceOf(payee.address) });

/** What a step moved from the payee to the payer. */
async function movedBy(step) {
  const was = await balances();
  const result = await step();
  const is = await balances();
  assert.equal(is.payer + is.payee, was.payer + was.payee, 'nobody else has gained');
  return { result, moved: is.payer - was.payer };
}

test('refund_gives_all_of_it_back_and_a_second_moves_nothing', async () => {
  const was = await balances();
  const paid = await pay();
  const env = newJournal();
  const first = await refund(paid.hash, [], { env });
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(await balances(), was);
  const { transaction, paymentId, ...rest } = first.answer;
  assert.match(transaction, /^0x[0-9a-f]{64}$/);
  assert.ok(paymentId > 0);
  assert.deepEqual(rest, { alreadyRefunded: false, network: info.network, payer: payer.address, asset: info.token,
    amount: String(paid.amount), price: rest.price, received: String(paid.amount), of: paid.hash });
  const receipt = await devnet.rpc('eth_getTransactionReceipt', [transaction]);
  assert.equal(receipt.status, '0x1');
  // Also in another spelling, from another machine that knows nothing of it.
  for (const again of [{ env }, {}]) {
    const { result, moved } = await movedBy(() => refund(paid.hash.toUpperCase().replace('0X', '0x'), [], again));
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.answer.alreadyRefunded, true);
    assert.equal(result.answer.of, paid.hash);
    assert.equal(moved, 0n);
  }
  const history = await run(programs.client, ['history'], { env });
  assert.match(history.stdout, /paid_delivered/);
});

test('refund_nonce_is_made_of_the_transfer_as_anybody_can_compute', async () => {
  const paid = await pay();
  door.settled = [];
  const result = await refund(paid.hash, [], { url: door.url });
  assert.equal(result.code, 0, result.stderr);
  const { logs } = await devnet.rpc('eth_getTransactionReceipt', [paid.hash]);
  const event = keccak256(toHex('Transfer(address,address,uint256)'));
  const to = logs.filter((log) => log.topics[0] === event && log.topics[2] === pad(payee.address).toLowerCase());
  assert.equal(to.length, 1);
  const nonce = keccak256(encodePacked(['string', 'uint256', 'address', 'bytes32', 'address', 'address', 'uint256', 'uint256'],
    ['x402 refund 1', BigInt(info.chainId), info.token, paid.hash, payer.address, payee.address, BigInt(to[0].data), 0n]));
  assert.equal(door.settled.length, 1);
  const [{ paymentPayload, paymentRequirements }] = door.settled;
  assert.equal(paymentPayload.payload.authorization.nonce, nonce);
  assert.equal(paymentRequirements.payTo, payer.address);
  assert.deepEqual(paymentPayload.accepted, paymentRequirements);
});

test('refund_two_at_once_move_it_once', async () => {
  for (const shared of [newJournal(), {}]) {
    const paid = await pay();
    const { result, moved } = await movedBy(() => Promise.all([1, 2].map(() => refund(paid.hash, [], { env: shared }))));
    assert.equal(moved, paid.amount);
    for (const one of result) assert.ok([0, 11].includes(one.code), one.stderr);
    assert.ok(result.some((one) => one.code === 0), JSON.stringify(result));
  }
});

test('refund_lost_reply_is_unknown_and_run_again_says_what_became_of_it', async () => {
  const paid = await pay();
  const env = newJournal();
  door.mode = 'mute';
  door.settled = [];
  const { result: lost, moved } = await movedBy(() => refund(paid.hash, [], { env, url: door.url }));
  door.mode = 'open';
  assert.equal(lost.code, 11, lost.stdout + lost.stderr);
  assert.equal(lost.error.charged, 'unknown');
  assert.equal(moved, paid.amount, 'it was settled all the same');
  assert.equal(new Set(door.settled.map((asked) => asked.paymentPayload.payload.signature)).size, 1);
  const again = await movedBy(() => refund(paid.hash, [], { env, url: door.url }));
  assert.equal(again.result.answer.alreadyRefunded, true, again.result.stderr);
  assert.equal(again.moved, 0n);
  const resumed = await run(programs.client, ['resume', '--block', 'latest'], { env: { EVM_RPC_URL: info.rpcUrl, ...env } });
  assert.equal(resumed.code, 0, resumed.stdout + resumed.stderr);
  assert.equal(JSON.parse(resumed.stdout).unknown, 0);
});

test('refund_that_never_arrived_is_presented_again_the_very_same', async () => {
  const paid = await pay();
  const env = newJournal();
  door.mode = 'deaf';
  door.settled = [];
  const lost = await movedBy(() => refund(paid.hash, [], { env, url: door.url }));
  door.mode = 'open';
  assert.equal(lost.result.code, 11, lost.result.stderr);
  assert.equal(lost.moved, 0n);
  // Another amount is another request: the open one may still be made.
  const other = await movedBy(() => refund(paid.hash, ['--amount', '1atomic'], { env, url: door.url }));
  assert.equal(other.result.code, 1, other.result.stdout + other.result.stderr);
  assert.equal(other.result.error.code, 'purchase_conflict');
  assert.equal(other.moved, 0n);
  const again = await movedBy(() => refund(paid.hash, [], { env, url: door.url }));
  assert.equal(again.result.code, 0, again.result.stderr);
  assert.equal(again.moved, paid.amount);
  assert.equal(new Set(door.settled.map((asked) => asked.paymentPayload.payload.signature)).size, 1, 'one authorization');
});

test('refund_killed_after_the_facilitator_got_it_moves_nothing_more', async () => {
  const paid = await pay();
  const env = newJournal();
  door.mode = 'hold';
  const held = new Promise((done) => { door.held = done; });
  const was = await balances();
  const child = spawn(programs.client, ['refund', paid.hash, '--block', 'latest'], { stdio: 'ignore',
    env: { PATH: process.env.PATH, ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '', EVM_RPC_URL: info.rpcUrl,
      FACILITATOR_URL: door.url, EVM_PRIVATE_KEY: payee.privateKey, ...env } });
  await held;
  const gone = new Promise((done) => { child.once('close', done); });
  child.kill('SIGKILL');
  await gone;
  door.mode = 'open';
  const again = await refund(paid.hash, [], { env, url: door.url });
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.answer.alreadyRefunded, true);
  assert.equal((await balances()).payer - was.payer, paid.amount);
});

test('refund_of_a_part_is_the_one_refund', async () => {
  const paid = await pay();
  const part = await movedBy(() => refund(paid.hash, ['--amount', '400atomic']));
  assert.equal(part.result.code, 0, part.result.stderr);
  assert.equal(part.result.answer.amount, '400');
  assert.equal(part.moved, 400n);
  const rest = await movedBy(() => refund(paid.hash, ['--amount', '1atomic']));
  assert.equal(rest.result.answer.alreadyRefunded, true, rest.result.stderr);
  assert.equal(rest.moved, 0n);
});

test('refund_dry_run_says_it_and_signs_nothing', async () => {
  const paid = await pay();
  door.settled = [];
  const env = newJournal();
  const dry = await movedBy(() => refund(paid.hash, ['--dry-run', '--amount', '0.0002usd'], { env, url: door.url }));
  assert.equal(dry.result.code, 0, dry.result.stderr);
  assert.equal(dry.moved, 0n);
  assert.deepEqual(door.settled, []);
  const { dryRun, amount, payer: to, of } = dry.result.answer;
  assert.deepEqual({ dryRun, amount, to, of }, { dryRun: true, amount: '200', to: payer.address, of: paid.hash });
  assert.doesNotMatch((await run(programs.client, ['history'], { env })).stdout, /refund/);
});

/** One transaction that pays the payee twice and more: as a batching facilitator makes them. */
async function batch(payments) {
  const calls = [];
  for (const { account, value } of payments) {
    const authorization = { from: account.address, to: payee.address, value: String(value),
      validAfter: String(nowSeconds() - 600), validBefore: String(nowSeconds() + 600), nonce: randomNonce() };
    const signature = await signAuthorization(info, account.privateKey, authorization);
    calls.push({ target: info.token, allowFailure: false, callData: encodeFunctionData({
      abi: parseAbi(['function transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)']),
      args: [authorization.from, authorization.to, BigInt(value), BigInt(authorization.validAfter),
        BigInt(authorization.validBefore), authorization.nonce, Number(`0x${signature.slice(130)}`),
        `0x${signature.slice(2, 66)}`, `0x${signature.slice(66, 130)}`] }) });
  }
  const hash = await devnet.rpc('eth_sendTransaction', [{ from: info.accounts.payer2.address, to: info.multicall3,
    data: encodeFunctionData({ abi: parseAbi(['function aggregate3((address target, bool allowFailure, bytes callData)[] calls) payable']),
      args: [calls] }) }]);
  const receipt = await devnet.read.waitForTransactionReceipt({ hash, timeout: 30000, pollingInterval: 50 });
  assert.equal(receipt.status, 'success');
  return hash;
}

test('refund_of_one_in_a_batch_wants_to_be_told_which', async () => {
  const { payer2 } = info.accounts;
  const hash = await batch([{ account: payer, value: 700 }, { account: payer2, value: 300 }, { account: payer2, value: 200 }]);
  const many = await refund(hash);
  assert.equal(many.code, 2, many.stdout);
  for (const word of ['1: 700 from ' + payer.address, '2: 300 from ' + payer2.address, '3: 200 from ' + payer2.address])
    assert.ok(many.error.message.includes(word), many.error.message);
  const one = await movedBy(() => refund(hash, ['--payer', payer.address]));
  assert.equal(one.result.code, 0, one.result.stderr);
  assert.equal(one.moved, 700n);
  const twice = await refund(hash, ['--payer', payer2.address]);
  assert.equal(twice.code, 2, twice.stdout);
  assert.match(twice.error.message, /its number/);
  const had = await devnet.balanceOf(payer2.address);
  const second = await refund(hash, ['--payer', payer2.address, '--nth', '3']);
  assert.equal(second.code, 0, second.stderr);
  assert.equal(await devnet.balanceOf(payer2.address), had + 200n);
  const wrong = await refund(hash, ['--payer', payer.address, '--nth', '3']);
  assert.equal(wrong.code, 9, wrong.stdout);
});

/** A node that answers as the chain's, but for what change() makes of an answer. */
async function startNode(change) {
  const server = http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', async () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString());
      const { body } = await post(info.rpcUrl, Buffer.concat(chunks).toString());
      for (const one of body) change(asked.find((question) => question.id === one.id), one);
      res.end(JSON.stringify(body));
    });
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  return { env: { EVM_RPC_URL: `http://127.0.0.1:${server.address().port}` }, stop: () => {
    server.closeAllConnections();
    server.close();
  } };
}

test('refund_by_a_node_that_shows_other_logs_is_the_same_one', async () => {
  // As nodes of one chain do whose versions differ: a log more, or one less.
  const paid = await pay();
  const shift = (by) => (question, one) => {
    if (question.method !== 'eth_getTransactionReceipt') return;
    const { logs } = one.result;
    const event = keccak256(toHex('Transfer(address,address,uint256)'));
    const at = logs.findIndex((log) => log.topics[0] === event);
    one.result.logs = by > 0 ? [{ ...logs[0], topics: [], data: '0x' }, ...logs] : logs.slice(at);
    one.result.logs.forEach((log, i) => { log.logIndex = toHex(i); });
  };
  const nodes = await Promise.all([1, -1].map((by) => startNode(shift(by))));
  try {
    const first = await movedBy(() => refund(paid.hash, [], nodes[0]));
    assert.equal(first.result.code, 0, first.result.stderr);
    assert.equal(first.moved, paid.amount);
    for (const again of [nodes[1], {}]) {
      const { result, moved } = await movedBy(() => refund(paid.hash, [], { env: again.env }));
      assert.equal(result.code, 0, result.stderr);
      assert.equal(result.answer.alreadyRefunded, true);
      assert.equal(moved, 0n);
    }
  } finally {
    nodes.forEach((node) => node.stop());
  }
});

test('refund_names_whom_it_was_paid_to_whoever_a_node_says_paid', async () => {
  const paid = await pay();
  const { payer2 } = info.accounts;
  const env = newJournal();
  door.mode = 'deaf';
  const lost = await refund(paid.hash, [], { env, url: door.url });
  door.mode = 'open';
  assert.equal(lost.code, 11, lost.stderr);
  const node = await startNode((question, one) => {
    if (question.method === 'eth_getTransactionReceipt')
      for (const log of one.result.logs)
        if (log.topics[2] === pad(payee.address).toLowerCase()) log.topics[1] = pad(payer2.address).toLowerCase();
  });
  const had = await devnet.balanceOf(payer2.address);
  const other = await refund(paid.hash, [], { env: { ...env, ...node.env }, url: door.url });
  node.stop();
  assert.equal(await devnet.balanceOf(payer2.address) - had,
    other.answer?.payer === payer2.address ? paid.amount : 0n, other.stdout + other.stderr);
});

test('refund_of_twelve_equal_payments_gives_each_back', async () => {
  const hash = await batch(Array(12).fill({ account: payer, value: 10 }));
  const env = newJournal();
  const { moved } = await movedBy(async () => {
    for (let nth = 1; nth <= 12; nth++) {
      const result = await refund(hash, ['--nth', String(nth)], { env });
      assert.equal(result.code, 0, `${nth}: ${result.stdout}${result.stderr}`);
      assert.equal(result.answer.alreadyRefunded, false);
    }
  });
  assert.equal(moved, 120n);
  const again = await refund(hash, ['--nth', '7'], { env });
  assert.equal(again.answer.alreadyRefunded, true, again.stderr);
});

test('refund_signs_nothing_for_what_is_not_in_order', async () => {
  const paid = await pay();
  const limited = newJournal();
  await run(programs.client, ['budget', 'set', '--max-spend', '0.0001usd', '--per', 'day'], { env: limited });
  const plain = await devnet.rpc('eth_sendTransaction', [{ from: payer.address, to: info.plainToken,
    data: encodeFunctionData({ abi: parseAbi(['function transfer(address,uint256)']), args: [payee.address, 5n] }) }]);
  await devnet.read.waitForTransactionReceipt({ hash: plain, timeout: 30000, pollingInterval: 50 });
  const closed = 'http://127.0.0.1:1';
  const rows = [
    ['another wallet', paid.hash, [], { key: info.accounts.payer2.privateKey }, 9, /no token was transferred to this wallet/],
    ['no such transaction', `0x${'12'.repeat(32)}`, [], {}, 9, /no such transaction/],
    ['no hash', '0x12', [], {}, 2, /hash/],
    ['Solana', '5'.repeat(87), [], {}, 5, /not on Solana/],
    ['more than came', paid.hash, ['--amount', `${paid.amount + 1n}atomic`], {}, 2, /at most/],
    ['a bare number', paid.hash, ['--amount', '5'], {}, 2, /--amount/],
    ['above the limit', paid.hash, ['--max-amount', '0.0001usd'], {}, 6, /limit/],
    ['above the budget', paid.hash, [], { env: limited }, 6, /./],
    ['a payment of somebody else in a header', paid.hash, ['-H', 'Payment-Signature: e30='], {}, 2, /one that is a payment/],
    ['no facilitator', paid.hash, [], { url: '' }, 3, /--facilitator/],
    ['a facilitator that is not there', paid.hash, [], { url: closed }, 4, /./],
    ['no node', paid.hash, [], { env: { EVM_RPC_URL: closed } }, 4, /node/],
    ['no wallet', paid.hash, [], { key: '', env: { HOME: scratchDir() } }, 3, /wallet/],
    ['a token without EIP-3009', plain, ['--max-amount', '5atomic'], {}, 5, /EIP-3009/],
    ['not as deep as was asked for', paid.hash, ['--block', '0x1'], {}, 9, /not final/],
    ['a node that anybody may answer for', paid.hash, ['--rpc-url', 'http://node.invalid'], {}, 2, /--allow-http/],
  ];
  door.settled = [];
  const was = await balances();
  const results = await Promise.all(rows.map(([, hash, args, options]) => refund(hash, args, options)));
  rows.forEach(([name, , , , code, word], i) => {
    const { code: exit, error, stdout, stderr } = results[i];
    assert.equal(exit, code, `${name}: ${stdout}${stderr}`);
    assert.match(error.message, word, name);
    assert.equal(error.charged, 'no', name);
    assert.equal(stdout, '', name);
    if (error.code === 'payment_not_final') assert.equal(error.retryable, true);
  });
  assert.deepEqual(await balances(), was);
});

test('refund_refused_by_the_facilitator_shows_its_reason', async () => {
  const paid = await pay();
  // The payee's account is emptied: an authorization without money behind it.
  const all = await devnet.balanceOf(payee.address);
  const move = async (from, to, value) => {
    const hash = await devnet.rpc('eth_sendTransaction', [{ from, to: info.token,
      data: encodeFunctionData({ abi: parseAbi(['function transfer(address,uint256)']), args: [to, value] }) }]);
    await devnet.read.waitForTransactionReceipt({ hash, timeout: 30000, pollingInterval: 50 });
  };
  await move(payee.address, info.accounts.payer2.address, all);
  const env = newJournal();
  const refused = await refund(paid.hash, [], { env });
  await move(info.accounts.payer2.address, payee.address, all);
  assert.equal(refused.code, 6, refused.stdout + refused.stderr);
  assert.match(refused.error.reason, /insufficient|balance/);
  // The money is there again, and so is the very same authorization.
  const again = await movedBy(() => refund(paid.hash, [], { env }));
  assert.equal(again.result.code, 0, again.result.stderr);
  assert.equal(again.moved, paid.amount);
});

test('refund_by_a_signer_is_bound_by_its_sessions', async () => {
  const paid = await pay();
  const socket = join(scratchDir(), 'signer');
  const env = { EVM_PRIVATE_KEY: payee.privateKey, X402_STATE_DIR: scratchDir() };
  const signer = await start(programs.client, ['signer', '--socket', socket, '--sessions-only'],
    { ready: /listening socket=/, env });
  const session = async (...scope) => {
    const file = join(scratchDir(), 'session');
    const made = await run(programs.client, ['session', 'new', '-o', file, ...scope], { env });
    assert.equal(made.code, 0, made.stderr);
    return ['--signer', socket, '--session', file];
  };
  try {
    const was = await balances();
    for (const [scope, word] of [[['--host', 'shop.example'], /host/], [['--payee', payee.address], /payee/]]) {
      const refused = await refund(paid.hash, await session(...scope), { key: '' });
      assert.equal(refused.code, 1, refused.stdout + refused.stderr);
      assert.equal(refused.error.code, 'signing_failed');
      assert.match(refused.error.message, word);
      assert.equal(refused.error.charged, 'no');
    }
    assert.deepEqual(await balances(), was);
    const allowed = await movedBy(async () => refund(paid.hash, await session('--host', '127.0.0.1', '--payee', payer.address), { key: '' }));
    assert.equal(allowed.result.code, 0, allowed.result.stderr);
    assert.equal(allowed.moved, paid.amount);
  } finally {
    await signer.stop();
  }
});

test('refund_facilitator_that_does_not_serve_the_chain_gets_nothing', async () => {
  const paid = await pay();
  const asked = [];
  const other = http.createServer((req, res) => {
    asked.push(req.url);
    res.end(JSON.stringify({ kinds: [{ x402Version: 2, scheme: 'exact', network: 'eip155:1' }], extensions: [], signers: {} }));
  });
  await new Promise((done) => { other.listen(0, '127.0.0.1', done); });
  const result = await refund(paid.hash, [], { url: `http://127.0.0.1:${other.address().port}` });
  other.closeAllConnections();
  other.close();
  assert.equal(result.code, 5, result.stdout + result.stderr);
  assert.match(result.error.message, new RegExp(`does not settle exact payments on ${info.network}`));
  assert.deepEqual(asked, ['/supported']);
});

test('refund_facilitator_that_sends_elsewhere_or_names_a_price_gets_nothing', async () => {
  const paid = await pay();
  const offer = Buffer.from(JSON.stringify({ x402Version: 2, resource: { url: 'http://127.0.0.1/' }, accepts: [{
    scheme: 'exact', network: info.network, amount: '5', asset: info.token, payTo: info.accounts.payer2.address,
    maxTimeoutSeconds: 60, extra: { name: info.tokenName, version: info.tokenVersion } }] })).toString('base64');
  const asked = [];
  const odd = http.createServer((req, res) => {
    asked.push(`${req.method} ${req.url}`);
    if (req.url === '/away/supported') res.writeHead(302, { Location: `${facilitator.url}/supported` });
    else res.writeHead(402, { 'PAYMENT-REQUIRED': offer });
    res.end('{}');
  });
  await new Promise((done) => { odd.listen(0, '127.0.0.1', done); });
  for (const path of ['/away', '/price']) {
    const { result, moved } = await movedBy(() => refund(paid.hash, [], { url: `http://127.0.0.1:${odd.address().port}${path}` }));
    assert.equal(result.code, 4, result.stdout + result.stderr);
    assert.match(result.error.message, /does not say/);
    assert.equal(moved, 0n);
  }
  odd.closeAllConnections();
  odd.close();
  assert.deepEqual(asked, ['GET /away/supported', 'GET /price/supported']);
});

test('refund_made_elsewhere_while_we_ask_is_not_paid_twice', async () => {
  // What a lying node says to "was it given back?" decides nothing: the token does.
  const paid = await pay();
  const first = await refund(paid.hash);
  assert.equal(first.code, 0, first.stderr);
  const liar = await startNode((question, one) => {
    if (question.method === 'eth_call' && question.id === 1) one.result = `0x${'0'.repeat(64)}`;
  });
  const { result, moved } = await movedBy(() => refund(paid.hash, [], { env: liar.env }));
  liar.stop();
  assert.equal(moved, 0n);
  assert.ok([5, 11].includes(result.code), result.stdout + result.stderr);
});

test('refund_that_a_facilitator_only_says_it_made_is_unknown', async () => {
  for (const transaction of [(hash) => hash, () => `0x${'77'.repeat(32)}`]) {
    const paid = await pay();
    const env = newJournal();
    door.says = { success: true, payer: payee.address, network: info.network, transaction: transaction(paid.hash) };
    door.mode = 'lie';
    const { result, moved } = await movedBy(() => refund(paid.hash, [], { env, url: door.url }));
    door.mode = 'open';
    assert.equal(moved, 0n);
    assert.equal(result.code, 11, result.stdout + result.stderr);
    assert.equal(result.error.charged, 'unknown');
    assert.match(result.error.message, /node does not show it/);
    const again = await movedBy(() => refund(paid.hash, [], { env, url: door.url }));
    assert.equal(again.result.code, 0, again.result.stderr);
    assert.equal(again.moved, paid.amount);
  }
});

test('refund_tells_nobody_the_password_of_the_facilitator', async () => {
  const url = door.url.replace('//', '//user:secretword@');
  const env = newJournal();
  door.settled = [];
  door.mode = 'deaf';
  const paid = await pay();
  const lost = await refund(paid.hash, [], { env, url });
  door.mode = 'open';
  assert.equal(lost.code, 11, lost.stderr);
  assert.doesNotMatch(lost.stdout + lost.stderr, /secretword/);
  const again = await refund(paid.hash, [], { env, url });
  assert.equal(again.code, 0, again.stderr);
  assert.doesNotMatch(JSON.stringify(door.settled.map((asked) => asked.paymentPayload)), /secretword/);
  const dir = dirname(env.X402_JOURNAL);
  for (const file of readdirSync(dir)) assert.ok(!readFileSync(join(dir, file)).includes('secretword'), file);
});
