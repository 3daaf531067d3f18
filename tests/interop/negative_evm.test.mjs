// What the reference facilitator (@x402/evm 2.27.0) says at /verify of the bad
// payments that ours refuses: the tables of tests/system, where ours are held
// to their exact codes. `reference` in a row is what it says where that is
// something else, null where it takes the payment; so a change of either side
// is seen. REFERENCE_ANSWERS=1 prints the rows that differ instead.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {permit2Request, post, start, startDevnet} from '../devnet/lib.mjs';
import {approvalTable} from '../system/approval.table.mjs';
import {table} from '../system/permit2.table.mjs';

let devnet;
let reference;

before(async () => {
  devnet = await startDevnet();
  // The facilitator that upto's payments name is this one here.
  reference = await start(process.execPath, [fileURLToPath(new URL('peer-facilitator.mjs', import.meta.url))], {env: {PORT: '0',
    EVM_RPC_URL: devnet.info.rpcUrl, EVM_PRIVATE_KEY: devnet.info.accounts.facilitator.privateKey},
  ready: /url=(http:\/\/[0-9.:]+)/});
});
after(async () => {
  await reference?.stop();
  await devnet?.stop();
});

test('the reference beside our refusals', async (t) => {
  const {info} = devnet;
  const cases = [...table(info), ...approvalTable(info, 'exact'), ...approvalTable(info, 'upto')];
  const counts = {same: 0, other: 0, taken: 0};
  for (const entry of cases) {
    await t.test(`${entry.scheme}: ${entry.name}`, async () => {
      await entry.prepare?.();
      const body = await permit2Request(info, {...entry.change,
        ...(entry.extensions ? {extensions: await entry.extensions()} : {})});
      entry.tamper?.(body);
      const {status, body: verdict} = await post(`${reference.match[1]}/verify`, body);
      const says = status !== 200 ? `HTTP ${status}` : verdict.isValid ? null : verdict.invalidReason;
      const expected = entry.reference === undefined ? entry.reason ?? null : entry.reference;
      if (says === (entry.reason ?? null)) counts.same++;
      else if (says === null) counts.taken++;
      else counts.other++;
      if (process.env.REFERENCE_ANSWERS && says !== expected) console.log(`${entry.scheme}: ${entry.name} | ${entry.reason} | ${says}`);
      else if (!process.env.REFERENCE_ANSWERS) assert.equal(says, expected, JSON.stringify(verdict));
    });
  }
  t.diagnostic(`of ${cases.length}: the same of ${counts.same}, another code of ${counts.other}, takes ${counts.taken}`);
});
