// The daemon settles Solana payments of the reference client on a real runtime.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {associated, balance, NETWORK, offer, pay, payV1, sleep, startDaemon, startDevnet} from './svm.lib.mjs';

let devnet;
let daemon;

before(async () => {
  devnet = await startDevnet();
  daemon = await startDaemon(devnet);
});
after(async () => {
  await daemon?.daemon.stop();
  await devnet?.stop();
});

/** Verifies, settles, and says what moved. */
async function settle(body, mint) {
  const {payee, payer, facilitator} = devnet.accounts;
  const before_ = [await balance(devnet, payer.address, mint), await balance(devnet, payee.address, mint)];
  const lamports = (await devnet.rpc('getBalance', facilitator.address)).value;
  const verified = await daemon.ask('/verify', body);
  assert.deepEqual(verified.body, {isValid: true, payer: payer.address}, daemon.daemon.output());
  const settled = await daemon.ask('/settle', body);
  assert.equal(settled.body.success, true, settled.text + daemon.daemon.output());
  assert.equal(settled.body.payer, payer.address);
  const status = (await devnet.rpc('getSignatureStatuses', [settled.body.transaction])).value[0];
  assert.equal(status.err, null);
  assert.equal(before_[0] - await balance(devnet, payer.address, mint), 1000n);
  assert.equal(await balance(devnet, payee.address, mint) - before_[1], 1000n);
  assert.equal(lamports - (await devnet.rpc('getBalance', facilitator.address)).value, 10001);
  return settled.body;
}

test('supported names the fee payer', async () => {
  const {body} = await daemon.ask('/supported');
  const feePayer = devnet.accounts.facilitator.address;
  const confirmations = '1';
  assert.deepEqual(body.kinds, [
    {x402Version: 2, scheme: 'exact', network: NETWORK, confirmations, extra: {feePayer}},
    {x402Version: 1, scheme: 'exact', network: 'solana-devnet', confirmations, extra: {feePayer}},
  ]);
  assert.deepEqual(body.signers, {'solana:*': [feePayer]});
});

test('settle moves the tokens once, and a repeat gets no second success', async () => {
  const body = await pay(devnet, offer(devnet));
  const first = await settle(body, devnet.usdc);
  assert.equal(first.network, NETWORK);
  const again = await daemon.ask('/settle', body);
  assert.equal(again.body.errorReason, 'duplicate_settlement', again.text);
  const verified = await daemon.ask('/verify', body);
  assert.equal(verified.body.invalidReason, 'invalid_exact_svm_transaction_simulation_failed');
  // Found by its signature, and by its id.
  const found = await daemon.ask(`/payments/${first.transaction}`);
  assert.equal(found.body?.transaction, first.transaction, found.text);
  assert.equal(found.body.state, 'settled');
  assert.equal(found.body.asset, devnet.usdc);
  assert.equal(found.body.payTo, devnet.accounts.payee.address);
});

test('settle takes a memo, a given blockhash, and Token-2022', async () => {
  await settle(await pay(devnet, offer(devnet, {extra: {memo: 'pi_3abc123def456'}})), devnet.usdc);
  const {value} = await devnet.rpc('getLatestBlockhash', {commitment: 'finalized'});
  await settle(await pay(devnet, offer(devnet, {extra: {recentBlockhash: value.blockhash}})), devnet.usdc);
  await settle(await pay(devnet, offer(devnet, {asset: devnet.plain2022})), devnet.plain2022);
});

test('settle takes v1', async () => {
  const {amount, ...rest} = offer(devnet);
  const body = await payV1(devnet, {...rest, network: 'solana-devnet', maxAmountRequired: amount,
    resource: 'http://127.0.0.1/x', description: '', mimeType: ''});
  assert.equal((await settle(body, devnet.usdc)).network, 'solana-devnet');
});

// demands.md 29: what arrives would be less than what was paid.
test('verify refuses a mint that keeps a fee', async () => {
  const body = await pay(devnet, offer(devnet, {asset: devnet.fee2022}));
  const {body: answer} = await daemon.ask('/verify', body);
  assert.equal(answer.invalidReason, 'invalid_exact_svm_transaction_simulation_failed');
});

test('verify refuses what the chain would refuse', async () => {
  const poor = await pay(devnet, offer(devnet, {amount: '2000000000'}));
  assert.match((await daemon.ask('/verify', poor)).body.invalidMessage, /"Custom":1/);
  const stranger = await pay(devnet, offer(devnet, {payTo: devnet.accounts.facilitator2.address}));
  assert.match((await daemon.ask('/verify', stranger)).body.invalidMessage, /InvalidAccountData/);
});

// demands.md 31: the same payment in two strings, at once.
test('settle credits one of many at once', async () => {
  const body = await pay(devnet, offer(devnet));
  const filled = structuredClone(body);
  const bytes = Buffer.from(body.paymentPayload.payload.transaction, 'base64');
  bytes.fill(0xee, 1, 65);
  filled.paymentPayload.payload.transaction = bytes.toString('base64');
  const answers = await Promise.all([...Array(8)].map((_, i) => daemon.ask('/settle', i % 2 ? filled : body)));
  assert.equal(answers.filter((answer) => answer.body.success).length, 1, JSON.stringify(answers));
  assert.ok(answers.every((answer) => answer.body.success || answer.body.errorReason === 'duplicate_settlement'));
});

test('settle of a hundred at once loses none', async () => {
  // Their blockhash lives for 150 slots: of a second each, whatever else this machine does.
  const slow = await startDevnet('--slot-ms', '1000');
  const crowded = await startDaemon(slow);
  try {
    const had = await balance(slow, slow.accounts.payee.address, slow.usdc);
    const bodies = await Promise.all([...Array(100)].map(() => pay(slow, offer(slow))));
    const answers = await Promise.all(bodies.map((body) => crowded.ask('/settle', body)));
    assert.deepEqual(answers.filter((answer) => !answer.body.success).map((answer) => answer.text), []);
    assert.equal(await balance(slow, slow.accounts.payee.address, slow.usdc) - had, 100_000n);
  } finally {
    await crowded.daemon.stop();
    await slow.stop();
  }
});

// demands.md 31: a terminal answer, and a fresh payment is safe.
test('a transaction that never lands is pending, then expired', {timeout: 120000}, async () => {
  const quick = await startDaemon(devnet, {top: 'response_deadline = 4'});
  try {
    const body = await pay(devnet, offer(devnet));
    await devnet.rpc('devnet_dropNext', 1000);
    const pending = await quick.ask('/settle', body);
    assert.equal(pending.body.errorReason, 'settlement_pending', pending.text);
    assert.match(pending.body.transaction, /^[1-9A-HJ-NP-Za-km-z]{64,88}$/);
    await devnet.rpc('devnet_expireBlockhashes');
    let state;
    for (let i = 0; i < 300 && state !== 'expired'; i++) {
      await sleep(100);
      ({body: {state}} = await quick.ask(`/payments/${pending.body.transaction}`));
    }
    assert.equal(state, 'expired', quick.daemon.output());
    const again = await quick.ask('/settle', body);
    assert.equal(again.body.errorReason, 'invalid_exact_svm_blockhash_expired', again.text);
    assert.equal(again.body.transaction, pending.body.transaction);
  } finally {
    await devnet.rpc('devnet_dropNext', 0);
    await quick.daemon.stop();
  }
});

test('a payee without an account is refused, and comes to have one', async () => {
  const {facilitator2} = devnet.accounts;
  const terms = offer(devnet, {payTo: facilitator2.address});
  assert.equal((await daemon.ask('/verify', await pay(devnet, terms))).body.isValid, false);
  await devnet.rpc('devnet_setTokenBalance', facilitator2.address, devnet.usdc, 0);
  assert.equal((await daemon.ask('/settle', await pay(devnet, terms))).body.success, true);
  assert.equal(await balance(devnet, facilitator2.address, devnet.usdc), 1000n);
  await devnet.rpc('devnet_removeAccount', await associated(devnet, facilitator2.address, devnet.usdc));
});

// It landed, and before anybody saw that the node lost its ledger: "never came" would be a lie.
test('a node that threw away what landed does not make it expired', {timeout: 120000}, async () => {
  const quick = await startDaemon(devnet, {top: 'response_deadline = 4'});
  try {
    const body = await pay(devnet, offer(devnet));
    await devnet.rpc('devnet_holdSlots', true);
    const pending = await quick.ask('/settle', body);
    assert.equal(pending.body.errorReason, 'settlement_pending', pending.text);
    await devnet.rpc('devnet_forget');
    await devnet.rpc('devnet_holdSlots', false);
    for (let i = 0; i < 60 && !/its silence proves nothing/.test(quick.daemon.output()); i++) {
      await devnet.rpc('devnet_expireBlockhashes');
      await sleep(500);
    }
    assert.match(quick.daemon.output(), /its silence proves nothing/);
    const {body: {state}} = await quick.ask(`/payments/${pending.body.transaction}`);
    assert.match(state, /^(signed|broadcast)$/, quick.daemon.output());
    assert.equal((await quick.ask('/settle', body)).body.errorReason, 'settlement_pending');
  } finally {
    await devnet.rpc('devnet_holdSlots', false);
    await quick.daemon.stop();
  }
});
