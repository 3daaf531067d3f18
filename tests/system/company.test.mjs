// Payers who would spoil the transaction that they share with others, or be
// credited for what they did in it: EIP-7702 in flight, tokens that call their
// holders before they move (as ERC-777 does), parties that no payment names.
// What counts is what arrived: nobody is credited for more, and nobody else's
// payment is lost.
import assert from 'node:assert/strict';
import {createHash} from 'node:crypto';
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';
import {contracts} from '../devnet/compile.mjs';
import {mined, paymentRequest, permit2Request, post, scratchDir, signAuthorization, sleep, startDevnet, startFacilitator}
  from '../devnet/lib.mjs';
import {impersonate, sendAs} from '../devnet/wallets.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeFunctionData, parseSignature} = require('viem');
const MAX = 2n ** 256n - 1n;

let devnet;
let info;
let hookToken;
let facilitator;

/** A contract of ours, by the account that deploys. */
async function deploy(name) {
  const hash = await devnet.rpc('eth_sendTransaction', [{from: info.accounts.payer2.address, gas: '0x4c4b40',
    data: contracts()[name].bytecode}]);
  return (await mined(devnet.read, hash)).contractAddress;
}

const encode = (name, functionName, args) => encodeFunctionData({abi: contracts()[name].abi, functionName, args});
const act = (from, to, name, functionName, args) => sendAs(devnet, from, to, encode(name, functionName, args));

before(async () => {
  devnet = await startDevnet({accounts: 24});
  info = devnet.info;
  await impersonate(devnet, info.accounts.payer2.address);
  hookToken = await deploy('HookToken');
  const dir = scratchDir();
  const file = join(dir, 'facilitator.conf');
  await devnet.rpc('anvil_setBalance', [info.extra[0].address, '0x8ac7230489e80000']);
  const keys = [info.accounts.facilitator, info.extra[0]].map(({privateKey}, i) => {
    writeFileSync(join(dir, `key${i}`), privateKey, {mode: 0o600});
    return `"${join(dir, `key${i}`)}"`;
  });
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\nchain "${info.network}" {\n`
    + `rpc_urls = {"${info.rpcUrl}"}\nsigner_key_file = {${keys.join(', ')}}\n`
    + `batch_tokens = {"${info.token}", "${hookToken}"}\n}\n`);
  facilitator = await startFacilitator(devnet, {}, {args: ['-c', file]});
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const settle = async (body) => (await post(`${facilitator.url}/settle`, body)).body;
const authorizationOf = (body) => body.paymentPayload.payload.authorization;

/** Until nothing is pending: the last answers. */
async function untilTold(bodies, answers) {
  for (let i = 0; i < 20 && answers.some(({errorReason}) => errorReason === 'settlement_pending'); i++)
    answers = await Promise.all(bodies.map(settle));
  return answers;
}

const sorted = (value) => (value === null || typeof value !== 'object' ? value
  : Array.isArray(value) ? value.map(sorted)
    : Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])])));

/** Its transaction, once it is with the chain. */
async function sentIn({paymentPayload}) {
  const hash = createHash('sha256').update(JSON.stringify(sorted(paymentPayload))).digest('hex');
  for (let i = 0; i < 1200; i++) {
    const answer = await fetch(`${facilitator.url}/payments/${hash}`);
    const row = await answer.json();
    if (row.state === 'broadcast') return row.transaction;
    await sleep(25);
  }
  throw new Error(`payment ${hash} was not sent`);
}

/**
 * All at once while no block is made and others are on their way, so that they
 * wait for company; when all are sent, what `meanwhile` does; then blocks again.
 * @returns the answers, and what came to the payee
 */
async function together(bodies, {token = info.token, meanwhile} = {}) {
  const {payee} = info.accounts;
  const before_ = await Promise.all(Array.from({length: 12}, () => paymentRequest(info,
    {authorization: {to: info.accounts.payer2.address}, requirements: {payTo: info.accounts.payer2.address}})));
  const start = await devnet.balanceOf(payee.address, token);
  await devnet.rpc('evm_setAutomine', [false]);
  let racing;
  try {
    const first = before_.map(settle);
    await Promise.all(before_.map(sentIn));
    const then = bodies.map(settle);
    racing = Promise.all([...first, ...then]);
    await Promise.all(bodies.map(sentIn));
    await meanwhile?.();
  } finally {
    await devnet.rpc('evm_setAutomine', [true]);
    await devnet.rpc('evm_mine');
  }
  const all = [...before_, ...bodies];
  const answers = await untilTold(all, await racing);
  for (const {success} of answers.slice(0, before_.length)) assert.equal(success, true, JSON.stringify(answers));
  return {answers: answers.slice(before_.length), came: await devnet.balanceOf(payee.address, token) - start};
}

const successes = (answers) => answers.filter(({success}) => success).length;

/** An account with money in the token that calls back, and Permit2's allowance. */
async function holder(at) {
  const account = info.extra[at];
  await impersonate(devnet, account.address);
  await act(info.accounts.payer2.address, hookToken, 'HookToken', 'mint', [account.address, 100000n]);
  await act(account.address, hookToken, 'HookToken', 'approve', [info.permit2, MAX]);
  return account;
}

/** Its hook, which makes these calls: [target, data], the first one first. */
async function hooked(account, calls) {
  const hook = await deploy('ScriptedHook');
  for (const [target, data] of [...calls].reverse())
    await act(info.accounts.payer2.address, hook, 'ScriptedHook', 'push', [target, data]);
  await act(account.address, hookToken, 'HookToken', 'approve', [hook, MAX]);
  await act(account.address, hookToken, 'HookToken', 'setHook', [hook]);
  return hook;
}

const left = (hook) => devnet.read.readContract({address: hook, abi: contracts().ScriptedHook.abi, functionName: 'left'});

const paid = (account, change = {}) => paymentRequest(info, {privateKey: account.privateKey,
  domain: {verifyingContract: hookToken}, requirements: {asset: hookToken}, ...change});
const permitted = (account) => permit2Request(info, {privateKey: account.privateKey, token: hookToken});

/** The token's call that uses this authorization's nonce, for these terms. */
async function useNonce(account, body, terms = {}) {
  const authorization = {...authorizationOf(body), ...terms};
  const {from, to, value, validAfter, validBefore, nonce} = authorization;
  const {r, s, v} = parseSignature(await signAuthorization(info, account.privateKey, authorization,
    {verifyingContract: hookToken}));
  return [hookToken, encode('HookToken', 'transferWithAuthorization',
    [from, to, BigInt(value), BigInt(validAfter), BigInt(validBefore), nonce, Number(v), r, s])];
}

const BURNS = ['0x0000000000000000000000000000000000000000', '0x'];

describe('in one transaction with others', () => {
  test('an account that becomes a contract which burns all gas (19): the others are paid', async (t) => {
    const payers = info.extra.slice(1, 7);
    const [trap] = payers;
    const bodies = await Promise.all(payers.map(({privateKey}) => paymentRequest(info, {privateKey})));
    const {answers, came} = await together(bodies, {
      meanwhile: () => devnet.rpc('anvil_setCode', [trap.address, '0x5b600056'])});
    await devnet.rpc('anvil_setCode', [trap.address, '0x']);
    assert.deepEqual(answers.slice(1).map(({success}) => success), payers.slice(1).map(() => true), JSON.stringify(answers));
    assert.equal(came, BigInt(successes(answers)) * 1000n, JSON.stringify(answers));
  });

  test('an account whose hook burns all gas: the others are paid', async () => {
    const accounts = [];
    for (const at of [7, 8, 9, 10]) accounts.push(await holder(at));
    const bodies = await Promise.all(accounts.map((account) => paid(account)));
    await hooked(accounts[1], Array.from({length: 4}, () => BURNS));
    const {answers, came} = await together(bodies, {token: hookToken});
    assert.deepEqual(answers.filter((_, i) => i !== 1).map(({success}) => success), [true, true, true], JSON.stringify(answers));
    assert.equal(came, BigInt(successes(answers)) * 1000n, JSON.stringify(answers));
  });

  test('an account whose hook lands what others have signed: each is paid once', async () => {
    const accounts = [];
    for (const at of [11, 12, 13]) accounts.push(await holder(at));
    const bodies = await Promise.all(accounts.map((account) => paid(account)));
    const rest = await Promise.all(bodies.slice(1).map((body, i) => useNonce(accounts[i + 1], body)));
    await hooked(accounts[0], rest);
    const {answers, came} = await together(bodies, {token: hookToken});
    for (const answer of answers.slice(1)) assert.equal(answer.success, true, JSON.stringify(answers));
    assert.equal(came, BigInt(successes(answers)) * 1000n, JSON.stringify(answers));
  });
});

// Three payments of the same terms by one account whose hook does more than it
// should inside the first that moves; what comes is the account's own loss.
describe('an account whose hook is called while its money moves', () => {
  const payee = () => info.accounts.payee.address;
  const take = (account, value = 1000n) => [hookToken, encode('HookToken', 'transferFrom',
    [account.address, payee(), value])];
  const mine = (account, value = '1') => ({to: account.address, value});
  const ways = {
    'lands the second as it is, and uses the third for itself': async (account, bodies) => [
      await useNonce(account, bodies[1]), await useNonce(account, bodies[2], mine(account))],
    'uses the second for itself and moves the money besides': async (account, bodies) => [
      await useNonce(account, bodies[1], mine(account)), take(account)],
    'moves the money besides, then uses the others for itself': async (account, bodies) => [
      take(account), await useNonce(account, bodies[1], mine(account)), await useNonce(account, bodies[2], mine(account, '0'))],
    'uses both others for nothing': async (account, bodies) => [
      await useNonce(account, bodies[1], mine(account, '0')), await useNonce(account, bodies[2], mine(account, '0'))],
    'moves it in two halves, and uses the others': async (account, bodies) => [
      take(account, 500n), take(account, 500n), await useNonce(account, bodies[1], mine(account))],
  };
  let at = 14;
  for (const [name, make] of Object.entries(ways)) {
    const index = at++;
    test(`and ${name}: no credit without money of its own (22, 23)`, async () => {
      const account = await holder(index);
      const bodies = await Promise.all(Array.from({length: 3}, () => paid(account)));
      const calls = await make(account, bodies);
      const hook = await hooked(account, calls);
      const {answers, came} = await together(bodies, {token: hookToken});
      assert.ok(await left(hook) < BigInt(calls.length), 'the hook was called');
      assert.ok(BigInt(successes(answers)) * 1000n <= came, `${came} for ${JSON.stringify(answers)}`);
      assert.notEqual(came, 0n);
    });
  }

  test('and settles a second permit of its own in it: no credit without money of its own (22)', async () => {
    const account = await holder(at++);
    const bodies = await Promise.all(Array.from({length: 2}, () => permitted(account)));
    const {permit2Authorization: permit, signature} = bodies[1].paymentPayload.payload;
    const call = [info.exactProxy, encode('ExactPermit2Proxy', 'settle', [
      {permitted: {token: hookToken, amount: 1000n}, nonce: BigInt(permit.nonce), deadline: BigInt(permit.deadline)},
      account.address, {to: permit.witness.to, validAfter: BigInt(permit.witness.validAfter)}, signature])];
    const hook = await hooked(account, [call]);
    const {answers, came} = await together(bodies, {token: hookToken});
    assert.equal(await left(hook), 0n, 'the hook was called');
    assert.ok(BigInt(successes(answers)) * 1000n <= came, `${came} for ${JSON.stringify(answers)}`);
    assert.notEqual(came, 0n);
  });
});

describe('parties that no payment names', () => {
  const payees = () => ({'the signer': info.accounts.facilitator.address, Multicall3: info.multicall3, 'the token': info.token,
    Permit2: info.permit2, "Permit2's proxy": info.exactProxy, 'another signer': info.extra[0].address});

  test('whoever is paid has exactly that, once (10)', async () => {
    for (const [name, payTo] of Object.entries(payees())) {
      const {privateKey} = info.accounts.payer;
      for (const body of [await paymentRequest(info, {privateKey, authorization: {to: payTo}, requirements: {payTo}}),
        await permit2Request(info, {privateKey, permit: {witness: {to: payTo, validAfter: '0'}}, requirements: {payTo}})]) {
        const had = await devnet.balanceOf(payTo);
        const [answer] = await untilTold([body], [await settle(body)]);
        assert.equal(answer.success, true, `${name}: ${JSON.stringify(answer)}`);
        assert.equal(await devnet.balanceOf(payTo) - had, 1000n, name);
        const again = await settle(body);
        assert.equal(again.errorReason, 'duplicate_settlement', `${name}: ${JSON.stringify(again)}`);
        assert.equal(await devnet.balanceOf(payTo) - had, 1000n, name);
      }
    }
  });

  test('upto is taken by the signer that the permit names, of two (22)', async () => {
    const named = [info.accounts.facilitator.address, info.extra[0].address];
    const {payee} = info.accounts;
    const bodies = await Promise.all(Array.from({length: 6}, (_, i) => permit2Request(info, {scheme: 'upto',
      permit: {witness: {to: payee.address, facilitator: named[i % 2], validAfter: '0'}}})));
    const start = await devnet.balanceOf(payee.address);
    const answers = await untilTold(bodies, await Promise.all(bodies.map(settle)));
    for (const [i, answer] of answers.entries()) {
      assert.equal(answer.success, true, JSON.stringify(answer));
      const {from} = await devnet.rpc('eth_getTransactionByHash', [answer.transaction]);
      assert.equal(from, named[i % 2].toLowerCase());
    }
    assert.equal(await devnet.balanceOf(payee.address) - start, 6000n);
  });
});
