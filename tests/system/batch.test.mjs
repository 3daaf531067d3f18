// Payments in company, on a real chain: one transaction, judged one by one.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {cancelAuthorization, paymentRequest, post, sleep, startDevnet, startFacilitator} from '../devnet/lib.mjs';

let devnet;
let facilitator;
before(async () => {
  devnet = await startDevnet({blockTime: 1, accounts: 64});
  facilitator = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network});
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const receipt = (hash) => devnet.rpc('eth_getTransactionReceipt', [hash]);
const payments = (count) => Promise.all(Array.from({length: count}, (_, i) =>
  paymentRequest(devnet.info, {privateKey: devnet.info.extra[i].privateKey})));

test('sixty-four payments share transactions and cost at most 70% of a lone one', async () => {
  const [lone] = await payments(1);
  const alone = await post(`${facilitator.url}/settle`, lone);
  assert.equal(alone.body.success, true, alone.text);
  const loneGas = Number((await receipt(alone.body.transaction)).gasUsed);
  const start = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const answers = await Promise.all((await payments(64)).map((body) => post(`${facilitator.url}/settle`, body)));
  for (const answer of answers) assert.equal(answer.body.success, true, answer.text);
  const hashes = [...new Set(answers.map((answer) => answer.body.transaction))];
  assert.ok(hashes.length < 16, `${hashes.length} transactions`);
  let gas = 0;
  for (const hash of hashes) gas += Number((await receipt(hash)).gasUsed);
  // Each hash names the payments that it carried, and all are named once.
  const named = new Set();
  for (const hash of hashes) {
    const found = await fetch(`${facilitator.url}/payments/${hash}`).then((response) => response.json());
    const list = found.payments ?? [found];
    assert.equal(list.length, answers.filter((answer) => answer.body.transaction === hash).length);
    for (const payment of list) {
      assert.equal(payment.state, 'settled');
      assert.equal(payment.transaction, hash);
      named.add(payment.payer);
    }
  }
  assert.equal(named.size, 64);
  assert.ok(gas / 64 <= 0.7 * loneGas, `${gas / 64} gas each, ${loneGas} alone`);
  assert.equal(await devnet.balanceOf(devnet.info.accounts.payee.address) - start, 64n * 1000n);
});

test('one that is taken back fails alone, and costs the others nothing', async () => {
  // With the first one on its way, the others wait for company. No block comes
  // before the payer's cancellation is with the nodes, and that goes first.
  const bodies = await payments(12);
  const start = await devnet.balanceOf(devnet.info.accounts.payee.address);
  await devnet.rpc('evm_setIntervalMining', [0]);
  const sent = () => devnet.rpc('eth_getTransactionCount', [devnet.info.accounts.facilitator.address, 'pending']);
  const had = await sent();
  const first = post(`${facilitator.url}/settle`, bodies[0]);
  for (const end = Date.now() + 30000; await sent() === had; await sleep(20)) assert.ok(Date.now() < end);
  const others = bodies.slice(1).map((body) => post(`${facilitator.url}/settle`, body));
  await sleep(500); // for those to be verified; later ones would be refused by the same reason
  const taken = bodies[5].paymentPayload.payload.authorization;
  await cancelAuthorization(devnet.info, devnet.info.extra[5].privateKey, taken);
  await devnet.rpc('evm_setIntervalMining', [1]);
  const answers = await Promise.all([first, ...others]);
  for (const [i, answer] of answers.entries()) {
    if (i === 5) continue;
    assert.equal(answer.body.success, true, answer.text);
  }
  assert.equal(answers[5].body.success, false, answers[5].text);
  assert.equal(answers[5].body.errorReason, 'invalid_exact_evm_nonce_already_used');
  assert.equal(await devnet.balanceOf(devnet.info.accounts.payee.address) - start, 11n * 1000n);
});
