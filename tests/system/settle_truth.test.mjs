// What /settle says about money that moved, when the chain or its RPC endpoint
// behave badly: never "nothing was sent" of what was sent, and no lane that
// stays stuck.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';
import { startProxy } from './rpc.proxy.mjs';

describe('an endpoint that hangs', () => {
  let devnet;
  before(async () => {
    devnet = await startDevnet({ blockTime: 2 });
  });
  after(async () => devnet?.stop());

  test('a repeat is told of the transaction on its way, also without time left', async () => {
    const mode = {};
    const proxy = await startProxy(devnet.info.rpcUrl, mode);
    const daemon = await f.startFacilitator({
      env: f.facilitatorEnv(devnet.info, { EVM_RPC_URL: proxy.url }) });
    const body = await f.goodBody(devnet.info);
    const first = await f.post(`${daemon.url}/settle`, body, { 'x-request-timeout': '1' });
    assert.equal(first.json.errorReason, 'settlement_pending', first.text);
    // Verification cannot end, and takes all the time that the caller has.
    mode.before = () => f.sleep(60000);
    const second = await f.post(`${daemon.url}/settle`, body, { 'x-request-timeout': '1' });
    assert.equal(second.json.errorReason, 'settlement_pending', second.text);
    assert.equal(second.json.transaction, first.json.transaction);
    mode.before = undefined;
    const third = await f.post(`${daemon.url}/settle`, body);
    assert.equal(third.json.success, true, third.text);
    assert.equal(third.json.transaction, first.json.transaction);
    assert.equal((await daemon.stop('SIGQUIT')).code, 0, daemon.log);
    await proxy.stop();
  });
});
