// Payments through Permit2 on a real chain: exact and upto, with and without a
// permit sent along, by accounts and by contract wallets; refusals with their
// exact codes; and what became of the money.
import assert from 'node:assert/strict';
import {after, before, describe, test} from 'node:test';
import {paymentRequest, permit2Request, post, raced, randomNonce, rpc, signPermit2612, startDevnet, startFacilitator}
  from '../devnet/lib.mjs';
import {approvePermit2, impersonate, invalidateNonce, sendAs} from '../devnet/wallets.mjs';
import {send, table} from './permit2.table.mjs';
import {startProxy} from './rpc.proxy.mjs';

const word = (value) => BigInt(value).toString(16).padStart(64, '0');

let devnet;
let info;
let facilitator;

before(async () => {
  devnet = await startDevnet({accounts: 1, fund: 10000});
  info = devnet.info;
  facilitator = await startFacilitator(devnet, {X402_NETWORK: info.network});
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const verify = async (body) => (await post(`${facilitator.url}/verify`, body)).body;
const settle = async (body) => (await post(`${facilitator.url}/settle`, body)).body;
const payee = (token) => devnet.balanceOf(info.accounts.payee.address, token);

/** Does exactly this much arrive? */
async function moves(amount, act, token) {
  const before_ = await payee(token);
  const result = await act();
  assert.equal(await payee(token) - before_, BigInt(amount));
  return result;
}

async function pays(body, amount = 1000) {
  const verdict = await verify(body);
  assert.deepEqual([verdict.isValid, verdict.invalidReason], [true, undefined], JSON.stringify(verdict));
  const asset = body.paymentRequirements.asset;
  const answer = await moves(amount, () => settle(body), asset);
  assert.equal(answer.success, true, JSON.stringify(answer));
  assert.match(answer.transaction, /^0x[0-9a-f]{64}$/);
  return answer;
}

describe('exact through Permit2', () => {
  test('is verified, settled once, and not again', async () => {
    const body = await permit2Request(info);
    const answer = await pays(body);
    assert.equal(answer.amount, undefined);
    const again = await moves(0, () => settle(body));
    assert.equal(again.errorReason, 'duplicate_settlement');
    assert.equal(again.transaction, answer.transaction);
    assert.equal((await verify(body)).invalidReason, 'permit2_invalid_nonce');
  });

  test('the same nonce in another token is the same payment', async () => {
    const permit = {nonce: BigInt(randomNonce()).toString()};
    await pays(await permit2Request(info, {permit: {nonce: permit.nonce}}));
    const other = await permit2Request(info, {token: info.plainToken, permit});
    const answer = await moves(0, () => settle(other), info.plainToken);
    assert.equal(answer.errorReason, 'duplicate_settlement');
  });

  test('a token that has nothing but ERC-20 is paid', async () => {
    await pays(await permit2Request(info, {token: info.plainToken,
      requirements: {extra: {assetTransferMethod: 'permit2'}}}));
  });

  test('with an EIP-2612 permit an account without ether pays', async () => {
    const {privateKey, address} = info.accounts.payer2;
    await devnet.rpc('anvil_setBalance', [address, '0x0']);
    const body = await permit2Request(info, {privateKey});
    assert.equal((await verify(body)).invalidReason, 'permit2_allowance_required');
    const sponsored = await permit2Request(info, {privateKey,
      extensions: {eip2612GasSponsoring: {info: await signPermit2612(info, privateKey)}}});
    await pays(sponsored);
  });

  test('a contract wallet pays by ERC-1271', async () => {
    const {address, ownerKey} = info.smartWallet;
    await rpc(info.rpcUrl, 'anvil_impersonateAccount', [address]);
    await rpc(info.rpcUrl, 'anvil_setBalance', [address, '0xde0b6b3a7640000']);
    await rpc(info.rpcUrl, 'eth_sendTransaction', [{from: address, to: info.token, data:
      `0x095ea7b3${info.permit2.slice(2).toLowerCase().padStart(64, '0')}${'f'.repeat(64)}`}]);
    await pays(await permit2Request(info, {privateKey: ownerKey, permit: {from: address}}));
  });
});

describe('upto', () => {
  for (const amount of ['1000', '400', '1']) {
    test(`takes ${amount} of 1000`, async () => {
      const body = await permit2Request(info, {scheme: 'upto'});
      assert.equal((await verify(body)).isValid, true);
      body.paymentRequirements = {...body.paymentRequirements, amount};
      const answer = await moves(amount, () => settle(body));
      assert.equal(answer.success, true, JSON.stringify(answer));
      assert.equal(answer.amount, amount);
      const again = await moves(0, () => settle(body));
      assert.equal(again.errorReason, 'duplicate_settlement');
    });
  }

  test('takes nothing without a transaction', async () => {
    const body = await permit2Request(info, {scheme: 'upto'});
    body.paymentRequirements = {...body.paymentRequirements, amount: '0'};
    const answer = await moves(0, () => settle(body));
    assert.deepEqual([answer.success, answer.transaction, answer.amount], [true, '', '0']);
  });

  test('takes no more than was permitted', async () => {
    const body = await permit2Request(info, {scheme: 'upto'});
    body.paymentRequirements = {...body.paymentRequirements, amount: '1001'};
    const answer = await moves(0, () => settle(body));
    assert.equal(answer.errorReason, 'invalid_upto_evm_payload_settlement_exceeds_amount');
  });

  // A hundred permits of a maximum that the payer can cover ten times. Every
  // /verify may say yes; what settles cannot be more than there is.
  test('100 at once from a payer who can cover ten overdraw nothing', async () => {
    const {privateKey, address: payer} = info.extra[0];
    await devnet.rpc('anvil_setBalance', [payer, '0xde0b6b3a7640000']);
    await send(info, privateKey, info.token, 'function approve(address,uint256)', 'approve', [info.permit2, 2n ** 256n - 1n]);
    const funds = await devnet.balanceOf(payer);
    assert.equal(funds, 10_000n);
    const bodies = await Promise.all(Array.from({length: 100}, () => permit2Request(info, {scheme: 'upto', privateKey})));
    const startBalance = await payee();
    const answers = await Promise.all(bodies.map(settle));
    const good = answers.filter((answer) => answer.success);
    const bad = answers.filter((answer) => !answer.success);
    assert.equal(await payee() - startBalance, BigInt(good.length) * 1000n);
    assert.equal(await devnet.balanceOf(payer), funds - BigInt(good.length) * 1000n);
    // Nobody was told yes without money, and nobody no with it: a refusal is
    // the chain's word, or that nothing can be sent.
    assert.equal(good.length, 10);
    assert.equal(new Set(good.map((answer) => answer.transaction)).size, 10);
    for (const answer of good) assert.equal(answer.amount, '1000');
    for (const answer of bad) {
      assert.ok(['permit2_insufficient_balance', 'invalid_upto_evm_transaction_failed'].includes(answer.errorReason),
        JSON.stringify(answer));
    }
    // Asked again they are the same: the money is not there.
    for (const body of bodies.slice(0, 20)) {
      const again = await settle(body);
      assert.equal(again.success, false);
    }
    assert.equal(await devnet.balanceOf(payer), 0n);
  });

  test('names its facilitator in /supported', async () => {
    const {kinds} = await (await fetch(`${facilitator.url}/supported`)).json();
    const names = kinds.filter((kind) => kind.network === info.network).map((kind) => kind.scheme);
    assert.deepEqual(names, ['exact', 'upto', 'proof']);
    assert.equal(kinds.find((kind) => kind.scheme === 'upto').extra.facilitatorAddress,
      info.accounts.facilitator.address);
    assert.deepEqual(kinds.filter((kind) => kind.x402Version === 1).map((kind) => kind.scheme), ['exact']);
  });
});

// The cases are made of the devnet's addresses, so they run inside one test.
test('refuses what it must, with the exact codes, and moves nothing', async (t) => {
  const cases = table(info);
  assert.ok(cases.length > 100);
  for (const entry of cases) {
    await t.test(`${entry.scheme}: ${entry.name}`, async () => {
      await entry.prepare?.();
      const body = await permit2Request(info, {...entry.change,
        ...(entry.extensions ? {extensions: await entry.extensions()} : {})});
      entry.tamper?.(body);
      const verdict = await verify(body);
      assert.deepEqual([verdict.isValid, verdict.invalidReason], [!entry.reason, entry.reason], JSON.stringify(verdict));
      if (entry.reason) assert.ok(verdict.invalidMessage.length > 0);
      const answer = await moves(0, () => settle(body));
      assert.deepEqual([answer.success, answer.errorReason], [false, entry.settle ?? entry.reason], JSON.stringify(answer));
      // What was sent and did not pay is told with its hash (R3).
      if (entry.reason) assert.equal(answer.transaction, '');
      else assert.match(answer.transaction, /^0x[0-9a-f]{64}$/);
    });
  }
});

// 23: what everybody can read before it is mined, anybody can send.
describe('somebody else lands the permit first', () => {
  let slow;
  let daemon;

  before(async () => {
    slow = await startDevnet({blockTime: 2});
    daemon = await startFacilitator(slow, {X402_NETWORK: slow.info.network});
  });
  after(async () => {
    await daemon?.stop();
    await slow?.stop();
  });

  const settleSlow = async (body) => (await post(`${daemon.url}/settle`, body)).body;

  /** The facilitator's own call, sent by payer2 at a price that goes first. */
  async function overtake(body) {
    const {permit2Authorization: permit, signature} = body.paymentPayload.payload;
    const {from, witness, permitted, nonce, deadline} = permit;
    await send(slow.info, slow.info.accounts.payer2.privateKey, permit.spender,
      'function settle(((address token,uint256 amount) permitted,uint256 nonce,uint256 deadline) permit,address owner,'
      + '(address to,uint256 validAfter) witness,bytes signature)', 'settle',
      [{permitted, nonce: BigInt(nonce), deadline: BigInt(deadline)}, from, witness, signature],
      {gas: 300000n, maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 90_000_000_000n});
  }

  test('and it is found, and credited once', async () => {
    const payeeAddress = slow.info.accounts.payee.address;
    // Other payments of the same terms are not taken for it.
    assert.equal((await settleSlow(await permit2Request(slow.info))).success, true);
    const body = await permit2Request(slow.info);
    const start = await slow.balanceOf(payeeAddress);
    const answer = await raced(slow, () => settleSlow(body), 1, [() => overtake(body)]);
    assert.equal(await slow.balanceOf(payeeAddress) - start, 1000n);
    let final = answer;
    for (let i = 0; i < 10 && final.errorReason === 'settlement_pending'; i++) final = await settleSlow(body);
    assert.equal(final.success, true, JSON.stringify(final));
    const receipt = await slow.rpc('eth_getTransactionReceipt', [final.transaction]);
    assert.equal(receipt.status, '0x1');
    assert.equal(receipt.from, slow.info.accounts.payer2.address.toLowerCase(), 'this test did not overtake');
    assert.equal((await settleSlow(body)).errorReason, 'duplicate_settlement');
    assert.equal(await slow.balanceOf(payeeAddress) - start, 1000n);
  });

  const takeBack = (from, nonce) => sendAs(slow, from, slow.info.permit2, invalidateNonce(BigInt(nonce)), {gas: '0x30d40',
    maxFeePerGas: '0x174876e800', maxPriorityFeePerGas: '0x14f46b0400'});

  /** Both are under way when the payer takes the first one's nonce back. */
  async function takeBackFirst(unpaid, paid, ask = settleSlow) {
    const {from, nonce} = unpaid.paymentPayload.payload.permit2Authorization;
    const start = await slow.balanceOf(slow.info.accounts.payee.address);
    await impersonate(slow, from);
    let answers = await raced(slow, () => Promise.all([unpaid, paid].map(ask)), 2, [() => takeBack(from, nonce)]);
    for (let i = 0; i < 10 && answers.some((answer) => answer.errorReason === 'settlement_pending'); i++)
      answers = await Promise.all([unpaid, paid].map(ask));
    assert.equal(await slow.balanceOf(slow.info.accounts.payee.address) - start, 1000n);
    assert.deepEqual([answers[0].success, answers[0].errorReason], [false, 'permit2_invalid_nonce'],
      JSON.stringify(answers));
    return answers[1];
  }

  // The calldata of one payment is the payer's in part: it holds the terms of
  // another one.
  test('and what a payer hides in one payment does not pay another (22)', async () => {
    const {address: from, ownerKey: privateKey} = slow.info.smartWallet;
    await approvePermit2(slow, from);
    const [paid, unpaid] = [await permit2Request(slow.info, {privateKey, permit: {from}}),
      await permit2Request(slow.info, {privateKey, permit: {from}})];
    const {permitted, nonce, deadline, witness} = unpaid.paymentPayload.payload.permit2Authorization;
    // The wallet takes its owner's 65 bytes, whatever comes behind.
    paid.paymentPayload.payload.signature += [permitted.token, permitted.amount, nonce, deadline, from, witness.to,
      witness.validAfter].map(word).join('');
    await takeBackFirst(unpaid, paid);
  });

  test('and a node that shows another call in its place makes no second payment (5)', async () => {
    const [paid, unpaid] = [await permit2Request(slow.info), await permit2Request(slow.info)];
    const nonceOf = (body) => word(body.paymentPayload.payload.permit2Authorization.nonce);
    let lies = 0;
    const proxy = await startProxy(slow.info.rpcUrl, {answer: (method, value, one, whole) => {
      if (method !== 'eth_getTransactionByHash' || !value?.input.includes(nonceOf(paid))) return undefined;
      lies++;
      return {...whole, result: {...value, input: value.input.replace(nonceOf(paid), nonceOf(unpaid))}};
    }});
    const lied = await startFacilitator(slow, {X402_NETWORK: slow.info.network, EVM_RPC_URL: proxy.url,
      EVM_PRIVATE_KEY: slow.info.accounts.payee.privateKey});
    try {
      const answer = await takeBackFirst(unpaid, paid, async (body) => (await post(`${lied.url}/settle`, body)).body);
      assert.equal(answer.success, true, JSON.stringify(answer));
      assert.ok(lies > 0, 'it was not asked whose call it was');
    } finally {
      await lied.stop();
      await proxy.stop();
    }
  });

  test('and a nonce that was taken back is no payment, whatever else was paid', async () => {
    const body = await permit2Request(slow.info);
    const {from, nonce} = body.paymentPayload.payload.permit2Authorization;
    const start = await slow.balanceOf(slow.info.accounts.payee.address);
    const other = await permit2Request(slow.info);
    await impersonate(slow, from);
    const answer = await raced(slow, () => settleSlow(body), 1, [() => takeBack(from, nonce), () => overtake(other)]);
    let final = answer;
    for (let i = 0; i < 10 && final.errorReason === 'settlement_pending'; i++) final = await settleSlow(body);
    assert.deepEqual([final.success, final.errorReason], [false, 'permit2_invalid_nonce'], JSON.stringify(final));
    // The other payment of the same terms was made, and is not this one.
    assert.equal(await slow.balanceOf(slow.info.accounts.payee.address) - start, 1000n);
  });
});

test('payments of many payers share transactions, those of one payer never', async () => {
  const crowd = await startDevnet({accounts: 12, fund: 10000, blockTime: 1});
  const daemon = await startFacilitator(crowd, {X402_NETWORK: crowd.info.network});
  try {
    const {extra, token, permit2} = crowd.info;
    await Promise.all(extra.map(async ({address, privateKey}) => {
      await crowd.rpc('anvil_setBalance', [address, '0xde0b6b3a7640000']);
      await send(crowd.info, privateKey, token, 'function approve(address,uint256)', 'approve', [permit2, 2n ** 256n - 1n]);
    }));
    const payeeAddress = crowd.info.accounts.payee.address;
    const start = await crowd.balanceOf(payeeAddress);
    // Each pays twice by Permit2 and once by EIP-3009, on the same terms.
    const bodies = await Promise.all(extra.flatMap(({privateKey}) => [permit2Request(crowd.info, {privateKey}),
      permit2Request(crowd.info, {privateKey}), paymentRequest(crowd.info, {privateKey})]));
    const answers = await Promise.all(bodies.map(async (body) => (await post(`${daemon.url}/settle`, body)).body));
    for (const answer of answers) assert.equal(answer.success, true, JSON.stringify(answer));
    assert.equal(await crowd.balanceOf(payeeAddress) - start, BigInt(bodies.length) * 1000n);
    const company = new Map();
    for (const {transaction, payer} of answers) company.set(transaction, [...(company.get(transaction) ?? []), payer]);
    assert.ok(company.size < bodies.length, 'nobody shared');
    for (const payers of company.values()) assert.equal(new Set(payers).size, payers.length);
  } finally {
    await daemon.stop();
    await crowd.stop();
  }
});
