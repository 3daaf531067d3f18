// Holds: what /verify promises one seller it does not promise another.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {paymentRequest, post, sleep, startDevnet, startFacilitator} from '../devnet/lib.mjs';

let devnet;
let facilitator;
before(async () => {
  devnet = await startDevnet({accounts: 3, fund: 1500});
  facilitator = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network});
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const payment = (payer) => paymentRequest(devnet.info, {privateKey: devnet.info.extra[payer].privateKey});
const verify = (body, hold) => post(`${facilitator.url}/verify`, body, hold ? {'x402-hold': String(hold)} : {});

test('a hold leaves no room for a second payment that the balance does not cover', async () => {
  const [first, second] = [await payment(0), await payment(0)];
  const held = await verify(first, 60);
  assert.equal(held.body.isValid, true, held.text);
  const until = new Date(held.body.heldUntil).getTime();
  assert.ok(until > Date.now() + 50000 && until < Date.now() + 70000, held.text);
  const refused = await verify(second, 60);
  assert.equal(refused.body.isValid, false, refused.text);
  assert.equal(refused.body.invalidReason, 'invalid_exact_evm_insufficient_balance');
  assert.match(refused.body.invalidMessage, /1000 of a balance of 1500/);
  // The same payment again is no second one.
  assert.equal((await verify(first, 60)).body.isValid, true);
  // Nobody asked for a promise: the chain alone decides.
  assert.equal((await verify(second)).body.isValid, true);
});

test('a settled payment gives its hold up, and cannot be held again', async () => {
  const body = await payment(1);
  assert.equal((await verify(body, 60)).body.isValid, true);
  const settled = await post(`${facilitator.url}/settle`, body);
  assert.equal(settled.body.success, true, settled.text);
  assert.equal((await verify(body, 60)).body.isValid, false);
});

test('a hold ends', async () => {
  const [first, second] = [await payment(2), await payment(2)];
  assert.equal((await verify(first, 4)).body.isValid, true);
  let again = await verify(second, 4);
  assert.equal(again.body.isValid, false, again.text);
  for (const limit = Date.now() + 30000; !again.body.isValid && Date.now() < limit; await sleep(200)) {
    again = await verify(second, 4);
  }
  assert.equal(again.body.isValid, true, again.text);
});

test('a header that is no number of seconds is refused', async () => {
  const body = await payment(2);
  for (const hold of ['0', '601', '-1', '1.5', 'soon']) {
    const answer = await verify(body, hold);
    assert.equal(answer.status, 400, answer.text);
    assert.match(answer.body.error, /expected a number of seconds from 1 to 600/);
  }
});
