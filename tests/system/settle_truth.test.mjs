// What /settle says about money that moved, when the chain or its RPC endpoint
// behave badly: never "nothing was sent" of what was sent, and no lane that
// stays stuck.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';
import { startProxy } from './rpc.proxy.mjs';

describe('an endpoint that hangs', () => {
  let devnet;
  before(async () => {
    devnet = await startDevnet({ blockTime: 2 });
  });
  after(async () => devnet?.stop());

  test('a repeat is told of the transaction on its way, also without time left', async (t) => {
    const mode = {};
    const proxy = await startProxy(devnet.info.rpcUrl, mode);
    t.after(() => proxy.stop());
    const daemon = await f.startFacilitator({
      env: f.facilitatorEnv(devnet.info, { EVM_RPC_URL: proxy.url }) });
    t.after(() => daemon.stop('SIGQUIT'));
    const body = await f.goodBody(devnet.info);
    // No block comes before the third request, however slow this machine is.
    await f.chainRpc(devnet.info, 'evm_setIntervalMining', [0]);
    const first = await f.post(`${daemon.url}/settle`, body, { 'x-request-timeout': '1' });
    assert.equal(first.json.errorReason, 'settlement_pending', first.text);
    // Verification cannot end, and takes all the time that the caller has.
    mode.before = () => f.sleep(60000);
    const second = await f.post(`${daemon.url}/settle`, body, { 'x-request-timeout': '1' });
    assert.equal(second.json.errorReason, 'settlement_pending', second.text);
    assert.equal(second.json.transaction, first.json.transaction);
    mode.before = undefined;
    await f.chainRpc(devnet.info, 'evm_setIntervalMining', [1]);
    const third = await f.post(`${daemon.url}/settle`, body);
    assert.equal(third.json.success, true, third.text);
    assert.equal(third.json.transaction, first.json.transaction);
    assert.equal((await daemon.stop('SIGQUIT')).code, 0, daemon.log);
  });
});

describe('a reorg that drops what was mined', () => {
  let devnet;
  const nonce = () => f.chainRpc(devnet.info, 'eth_getTransactionCount',
    [devnet.info.accounts.facilitator.address, 'latest']);
  // Settle one payment and have the chain forget it, as a reorg would that
  // the mempool does not heal.
  const settleAndForget = async daemon => {
    const snapshot = await f.chainRpc(devnet.info, 'evm_snapshot');
    const start = await nonce();
    const body = await f.goodBody(devnet.info);
    const answer = await f.post(`${daemon.url}/settle`, body);
    assert.equal(answer.json.success, true, answer.text);
    assert.equal(await f.chainRpc(devnet.info, 'evm_revert', [snapshot]), true);
    assert.equal(await nonce(), start);
    return body;
  };
  const isUsed = body => f.isUsed(devnet.info, body.paymentPayload.payload.authorization);
  beforeEach(async () => {
    devnet = await startDevnet({ blockTime: 1 });
  });
  afterEach(async () => devnet?.stop());

  test('after a restart the same bytes are sent again, and the next payment settles', async () => {
    const env = f.facilitatorEnv(devnet.info);
    const first = await f.startFacilitator({ env });
    const forgotten = await settleAndForget(first);
    assert.equal((await first.stop()).code, 0, first.log);
    const second = await f.startFacilitator({ env });
    const answer = await f.post(`${second.url}/settle`, await f.goodBody(devnet.info));
    assert.equal(answer.json.success, true, answer.text + second.log);
    assert.equal(await isUsed(forgotten), true);
    const again = await f.post(`${second.url}/settle`, forgotten);
    assert.equal(again.json.errorReason, 'duplicate_settlement', again.text);
    assert.equal((await second.stop()).code, 0, second.log);
  });

  test('a running daemon notices it when the next payment sticks', async () => {
    const daemon = await f.startFacilitator({ env: f.facilitatorEnv(devnet.info) });
    const forgotten = await settleAndForget(daemon);
    const body = await f.goodBody(devnet.info);
    let answer;
    do
      answer = await f.post(`${daemon.url}/settle`, body);
    while (answer.json.errorReason === 'settlement_pending' &&
      Date.now() < Number(body.paymentPayload.payload.authorization.validBefore) * 1000 - 200000);
    assert.equal(answer.json.success, true, answer.text + daemon.log);
    assert.equal(await isUsed(forgotten), true);
    assert.equal((await daemon.stop()).code, 0, daemon.log);
  });
});
