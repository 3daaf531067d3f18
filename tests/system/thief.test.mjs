// A payer who wants two for one: authorizations that are all good when they come
// here, and a chain on which they were used for something else by the time they
// are mined. What counts is what arrived: no credit without money of its own.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {contracts} from '../devnet/compile.mjs';
import {paymentRequest, permit2Request, post, raced, randomNonce, scratchDir, signAuthorization, startDevnet, startFacilitator}
  from '../devnet/lib.mjs';
import {impersonate, invalidateNonce, sendAs} from '../devnet/wallets.mjs';
import {send} from './permit2.table.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeFunctionData} = require('viem');
const AGGREGATE3 = 'function aggregate3((address target,bool allowFailure,bytes callData)[] calls)';
const FIRST = {gas: 2000000n, maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 90_000_000_000n};

let devnet;
let info;
let facilitator;
before(async () => {
  devnet = await startDevnet({blockTime: 1, accounts: 4, fund: 1000});
  info = devnet.info;
  facilitator = await startFacilitator(devnet, {X402_NETWORK: info.network});
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const settle = async (body) => (await post(`${facilitator.url}/settle`, body)).body;
const authorizationOf = (body) => body.paymentPayload.payload.authorization;

/** The token's call, with a signature over exactly these terms. */
async function call(authorization, privateKey = info.accounts.payer.privateKey) {
  const {from, to, value, validAfter, validBefore, nonce} = authorization;
  return {target: info.token, allowFailure: false, callData: encodeFunctionData({abi: contracts().TestUSDC.abi,
    functionName: 'transferWithAuthorization', args: [from, to, BigInt(value), BigInt(validAfter), BigInt(validBefore),
      nonce, await signAuthorization(info, privateKey, authorization)]})};
}

/** Until nothing is pending: the last answers. */
async function untilTold(bodies, answers) {
  for (let i = 0; i < 10 && answers.some(({errorReason}) => errorReason === 'settlement_pending'); i++)
    answers = await Promise.all(bodies.map(settle));
  return answers;
}

// Three payments of the same terms are under way. The payer lands one of them as
// it is, and uses the nonces of the others up for himself, in one transaction.
test('one transfer among used nonces credits one payment (23)', async () => {
  const bodies = await Promise.all(Array.from({length: 3}, () => paymentRequest(info)));
  const [paid, ...unpaid] = bodies.map(authorizationOf);
  const start = await devnet.balanceOf(info.accounts.payee.address);
  const calls = [await call({...unpaid[0], to: info.accounts.payer.address}), await call(paid),
    await call({...unpaid[1], to: info.accounts.payer.address, value: '1'})];
  // Whether they share a transaction or not, none of theirs comes before it.
  const answers = await untilTold(bodies, await raced(devnet, () => Promise.all(bodies.map(settle)), 1,
    [() => send(info, info.accounts.payer2.privateKey, info.multicall3, AGGREGATE3, 'aggregate3', [calls], FIRST)]));
  assert.equal(await devnet.balanceOf(info.accounts.payee.address) - start, 1000n);
  assert.deepEqual(answers.map(({success}) => success), [true, false, false], JSON.stringify(answers));
  for (const {errorReason} of answers.slice(1)) assert.equal(errorReason, 'invalid_exact_evm_nonce_already_used');
});

// The same without theft: each nonce moved its own money.
test('and what paid each of them credits each of them (23)', async () => {
  const bodies = await Promise.all(Array.from({length: 3}, () => paymentRequest(info)));
  const calls = await Promise.all(bodies.map((body) => call(authorizationOf(body))));
  const start = await devnet.balanceOf(info.accounts.payee.address);
  const answers = await untilTold(bodies, await raced(devnet, () => Promise.all(bodies.map(settle)), 1,
    [() => send(info, info.accounts.payer2.privateKey, info.multicall3, AGGREGATE3, 'aggregate3', [calls], FIRST)]));
  assert.equal(await devnet.balanceOf(info.accounts.payee.address) - start, 3000n);
  for (const answer of answers) assert.equal(answer.success, true, JSON.stringify(answers));
  assert.equal(new Set(answers.map(({transaction}) => transaction)).size, 1);
});

// Two facilitators of one seller that know nothing of each other.
test('one authorization at two stores is one success where nobody credits what others land (1)', async () => {
  const daemons = await Promise.all(['facilitator', 'payee'].map(async (name) => {
    const dir = scratchDir();
    const files = [join(dir, 'key'), join(dir, 'facilitator.conf')];
    writeFileSync(files[0], info.accounts[name].privateKey, {mode: 0o600});
    writeFileSync(files[1], `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\nchain "${info.network}" {\n`
      + `rpc_urls = {"${info.rpcUrl}"}\nsigner_key_file = {"${files[0]}"}\ncredit_preempted = false\n}\n`);
    return startFacilitator(devnet, {}, {args: ['-c', files[1]]});
  }));
  try {
    const body = await paymentRequest(info);
    const start = await devnet.balanceOf(info.accounts.payee.address);
    const told = new Set();
    const ask = () => Promise.all(daemons.map(async ({url}) => {
      const answer = (await post(`${url}/settle`, body)).body;
      if (answer.success) told.add(url);
      return answer;
    }));
    let answers = await raced(devnet, ask, 2, []);
    for (let i = 0; i < 10 && answers.some(({errorReason}) => errorReason === 'settlement_pending'); i++)
      answers = await ask();
    assert.equal(await devnet.balanceOf(info.accounts.payee.address) - start, 1000n);
    assert.equal(told.size, 1, JSON.stringify(answers));
  } finally {
    for (const daemon of daemons) await daemon.stop();
  }
});

// ---- What says one thing when it is asked, and does another on the chain. ----

const MAGIC = `7f1626ba7e${'00'.repeat(28)}`;
// GASPRICE is zero in a simulation: the wallet knows whether it is for real.
const liars = {
  'says yes until it counts': `0x${MAGIC}3a150260005260206000f3`,
  'burns all gas when it counts': `0x3a602d57${MAGIC}60005260206000f35b602d56`,
};
for (const [name, code] of Object.entries(liars)) {
  test(`a wallet that ${name} pays nothing, and costs what is bounded (17)`, async () => {
    const from = `0x${randomNonce().slice(2, 42)}`;
    await devnet.rpc('anvil_setCode', [from, code]);
    await sendAs(devnet, info.accounts.payer2.address, info.token, encodeFunctionData({abi: contracts().TestUSDC.abi,
      functionName: 'mint', args: [from, 1000n]}));
    const body = await paymentRequest(info, {authorization: {from}});
    const verdict = (await post(`${facilitator.url}/verify`, body)).body;
    assert.equal(verdict.isValid, true, JSON.stringify(verdict));
    const [honest, start] = [await paymentRequest(info), await devnet.balanceOf(info.accounts.payee.address)];
    const answers = await untilTold([body, honest], await Promise.all([body, honest].map(settle)));
    assert.deepEqual(answers.map(({success, errorReason}) => errorReason ?? success),
      ['invalid_exact_evm_transaction_failed', true], JSON.stringify(answers));
    const {gasUsed, status} = await devnet.rpc('eth_getTransactionReceipt', [answers[0].transaction]);
    assert.equal(status, '0x0');
    assert.ok(BigInt(gasUsed) <= 400000n, gasUsed);
    assert.notEqual(answers[1].transaction, answers[0].transaction, 'it travels alone');
    assert.equal(await devnet.balanceOf(info.accounts.payee.address) - start, 1000n);
    assert.equal((await settle(body)).success, false);
  });
}

test('a token that becomes another one between verify and settle pays nothing (20)', async () => {
  const body = await paymentRequest(info);
  assert.equal((await post(`${facilitator.url}/verify`, body)).body.isValid, true);
  const code = await devnet.rpc('eth_getCode', [info.token, 'latest']);
  const start = await devnet.balanceOf(info.accounts.payee.address);
  // It takes everything, says nothing and moves nothing.
  await devnet.rpc('anvil_setCode', [info.token, '0x00']);
  try {
    const answer = (await post(`${facilitator.url}/settle`, body, {'X-Request-Timeout': '3'})).body;
    assert.notEqual(answer.success, true, JSON.stringify(answer));
  } finally {
    await devnet.rpc('anvil_setCode', [info.token, code]);
  }
  assert.equal(await devnet.balanceOf(info.accounts.payee.address), start);
});

// 6: between /verify and /settle.
const erc20 = (functionName, args) => encodeFunctionData({abi: contracts().PlainToken.abi, functionName, args});
const changes = [
  ['the money goes elsewhere', paymentRequest, ({address}) => sendAs(devnet, address, info.token,
    erc20('transfer', [info.accounts.payer2.address, 1n])), 'invalid_exact_evm_insufficient_balance'],
  ['the allowance is taken back', permit2Request, ({address}) => sendAs(devnet, address, info.token,
    erc20('approve', [info.permit2, 0n])), 'permit2_allowance_required'],
  ['the permit is taken back', permit2Request, ({address}, {nonce}) => sendAs(devnet, address, info.permit2,
    invalidateNonce(BigInt(nonce))), 'permit2_invalid_nonce'],
  ["the account becomes another's contract (EIP-7702)", paymentRequest, ({address}) => devnet.rpc('anvil_setCode',
    [address, `0xef0100${info.smartWallet.address.slice(2).toLowerCase()}`]), 'invalid_exact_evm_signature'],
];
for (const [at, [name, request, change, reason]] of changes.entries()) {
  test(`${name} after it was verified: nothing is sent (6)`, async () => {
    const payer = info.extra[at];
    await impersonate(devnet, payer.address);
    await sendAs(devnet, payer.address, info.token, erc20('approve', [info.permit2, 2n ** 256n - 1n]));
    const body = await request(info, {privateKey: payer.privateKey});
    const {payload} = body.paymentPayload;
    assert.equal((await post(`${facilitator.url}/verify`, body)).body.isValid, true);
    await change(payer, payload.permit2Authorization ?? payload.authorization);
    const had = await devnet.balanceOf(payer.address);
    const answer = await settle(body);
    assert.deepEqual([answer.success, answer.errorReason, answer.transaction], [false, reason, ''], JSON.stringify(answer));
    assert.equal(await devnet.balanceOf(payer.address), had);
  });
}
