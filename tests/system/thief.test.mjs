// A payer who wants two for one: authorizations that are all good when they come
// here, and a chain on which they were used for something else by the time they
// are mined. What counts is what arrived: no credit without money of its own.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {after, before, test} from 'node:test';
import {contracts} from '../devnet/compile.mjs';
import {paymentRequest, post, raced, signAuthorization, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {send} from './permit2.table.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeFunctionData} = require('viem');
const AGGREGATE3 = 'function aggregate3((address target,bool allowFailure,bytes callData)[] calls)';
const FIRST = {gas: 2000000n, maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 90_000_000_000n};

let devnet;
let info;
let facilitator;
before(async () => {
  devnet = await startDevnet({blockTime: 1});
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
