// One payment, a hundred callers at once: one success, and the others learn
// that it is a duplicate. FAULT_FORM=full: 10,000 requests for 100 payments.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {test} from 'node:test';
import {scratchDir, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {askAllAtOnce} from './duplicates.lib.mjs';
import {assertAgreement, readSqlite, tally} from './ledger.mjs';
import {readPostgres, startPostgres} from './postgres.mjs';
import {FULL, report} from './run.mjs';

const REQUESTS = FULL ? 10000 : 1000;
const PAYMENTS = FULL ? 100 : 20;
const COUNTED = {1: 'one instance', 2: 'two instances on one PostgreSQL'};

/** More connections at once than the daemon takes unless it is told so. */
function writeConfig(dir, info, store) {
  writeFileSync(join(dir, 'key'), `${info.accounts.facilitator.privateKey}\n`, {mode: 0o600});
  const file = join(dir, 'facilitator.conf');
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${store}"\nmax_connections = 16000\n` +
    `chain "${info.network}" {\n\trpc_urls = {"${info.rpcUrl}"}\n\tsigner_key_file = {"${join(dir, 'key')}"}\n}\n`);
  return file;
}

const open = async (devnet, store) => startFacilitator(devnet, {},
  {args: ['-c', writeConfig(scratchDir('x402-fault-'), devnet.info, store)]});

async function askFor(t, devnet, daemons, store) {
  const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const {payments, outcomes} = await askAllAtOnce(devnet, daemons.map(({url}) => url), {requests: REQUESTS, count: PAYMENTS});
  t.diagnostic(JSON.stringify(outcomes));
  assert.deepEqual(outcomes, {success: PAYMENTS, duplicate_settlement: REQUESTS - PAYMENTS});
  const rows = await store(); // a store of our own may end with its daemons
  for (const daemon of daemons) assert.equal(await daemon.stop(), 0, daemon.output().slice(-4000));
  const count = await assertAgreement(devnet, () => rows, payments, balance);
  report({fault: 'duplicates at once', what: `${REQUESTS} concurrent requests, ${COUNTED[daemons.length]}`,
    struck: REQUESTS - PAYMENTS, ...tally(payments, count)});
}

test(`${REQUESTS} concurrent /settle of ${PAYMENTS} payments: ${PAYMENTS} successes`, async (t) => {
  const devnet = await startDevnet({blockTime: 0.2});
  t.after(() => devnet.stop());
  const store = join(scratchDir('x402-fault-'), 'facilitator.sqlite');
  await askFor(t, devnet, [await open(devnet, store)], () => readSqlite(store));
});

test(`${REQUESTS} concurrent /settle of ${PAYMENTS} payments over two instances: ${PAYMENTS} successes`, async (t) => {
  const postgres = await startPostgres();
  t.after(() => postgres.stop('SIGQUIT'));
  const devnet = await startDevnet({blockTime: 0.2});
  t.after(() => devnet.stop());
  const daemons = [await open(devnet, postgres.uri), await open(devnet, postgres.uri)];
  await askFor(t, devnet, daemons, () => readPostgres(postgres));
});
