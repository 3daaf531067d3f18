// One payment, a hundred callers at once: one success, and the others learn
// that it is a duplicate. FAULT_FORM=full: 10,000 requests for 100 payments.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {test} from 'node:test';
import {scratchDir, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {askAllAtOnce} from './duplicates.lib.mjs';
import {assertAgreement, tally} from './ledger.mjs';
import {FULL, report} from './run.mjs';

const REQUESTS = FULL ? 10000 : 1000;
const PAYMENTS = FULL ? 100 : 20;

/** More connections at once than the daemon takes unless it is told so. */
function writeConfig(dir, info, store) {
  writeFileSync(join(dir, 'key'), `${info.accounts.facilitator.privateKey}\n`, {mode: 0o600});
  const file = join(dir, 'facilitator.conf');
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${store}"\nmax_connections = 16000\n` +
    `chain "${info.network}" {\n\trpc_urls = {"${info.rpcUrl}"}\n\tsigner_key_file = {"${join(dir, 'key')}"}\n}\n`);
  return file;
}

test(`${REQUESTS} concurrent /settle of ${PAYMENTS} payments: ${PAYMENTS} successes`, async (t) => {
  const devnet = await startDevnet({blockTime: 0.2});
  t.after(() => devnet.stop());
  const dir = scratchDir('x402-fault-');
  const store = join(dir, 'facilitator.sqlite');
  const facilitator = await startFacilitator(devnet, {}, {args: ['-c', writeConfig(dir, devnet.info, store)]});
  const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const {payments, outcomes} = await askAllAtOnce(devnet, [facilitator.url], {requests: REQUESTS, count: PAYMENTS});
  t.diagnostic(JSON.stringify(outcomes));
  assert.equal(await facilitator.stop(), 0, facilitator.output().slice(-4000));
  assert.deepEqual(outcomes, {success: PAYMENTS, duplicate_settlement: REQUESTS - PAYMENTS});
  const count = await assertAgreement(devnet, store, payments, balance);
  report({fault: 'duplicates at once', what: `${REQUESTS} concurrent requests, one instance`,
    struck: REQUESTS - PAYMENTS, ...tally(payments, count)});
});
