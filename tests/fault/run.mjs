// One fault under load, from the first payment to the comparison of the books:
//
//   1. a fresh chain, the proxy before it, a daemon on a fresh store
//   2. callers arrive at a steady pace, each with its own payment, and ask
//      again until they have a final answer
//   3. a second later the fault is injected, lasts until it has struck
//      somebody, and is healed
//   4. callers go on arriving for a second, then everything must drain
//   5. chain, journal and callers are compared (ledger.mjs)
//
// FAULT_FORM=full runs long and with more callers; FAULT_TABLE=FILE appends
// one line of JSON per fault, for table.mjs; FAULT_LOGS=DIR keeps the daemons'
// logs there.
import assert from 'node:assert/strict';
import {appendFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {scratchDir, sleep, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {assertAgreement, makePayments, startLoad, tally} from './ledger.mjs';
import {startProxy} from './proxy.mjs';

export const FULL = process.env.FAULT_FORM === 'full';
// Every scratch directory has its exit listener.
process.setMaxListeners(0);

const LEAD_MS = 1000;
const TAIL_MS = 1000;
const GAP_MS = FULL ? 50 : 100;
const DRAIN_MS = 90000;
// On a machine under load nobody may meet a fault of a few seconds.
const STRIKE_MS = 30000;

export function report(row) {
  if (process.env.FAULT_TABLE) appendFileSync(process.env.FAULT_TABLE, `${JSON.stringify(row)}\n`);
}

/** What a scenario works with; daemons may come and go while callers ask. */
async function makeContext(scenario) {
  const devnet = await startDevnet({blockTime: scenario.blockTime ?? 0.2});
  const proxy = await startProxy(devnet.info.rpcUrl);
  const context = {devnet, proxy, hits: 0, daemons: [],
    store: join(scratchDir('x402-fault-'), 'facilitator.sqlite'),
    url: (turn) => context.daemons[turn % context.daemons.length].url,
    async startDaemon(env = {}, how = {}) {
      const urls = (scenario.endpoints ?? ['proxy']).map((kind) => (kind === 'proxy' ? proxy.url : devnet.info.rpcUrl));
      return startFacilitator(devnet, {X402_STORE: context.store, X402_NETWORK: devnet.info.network,
        EVM_RPC_URL: urls.join(','), ...env}, how);
    },
  };
  return context;
}

async function stopAll(context) {
  for (const daemon of context.daemons) {
    await daemon.stop('SIGKILL');
    if (process.env.FAULT_LOGS) writeFileSync(join(process.env.FAULT_LOGS, `${daemon.pid}.log`), daemon.output());
  }
  await context.cleanUp?.();
  await context.proxy.stop();
  await context.devnet.stop();
}

const strikes = (context) => Object.values(context.proxy.hits).reduce((sum, n) => sum + n, context.hits);

/** More callers come, a few each second, until the fault has met one. */
async function untilStruck(context, load, label) {
  const {payments} = context;
  for (const end = Date.now() + STRIKE_MS; !strikes(context) && Date.now() < end;) {
    const more = await makePayments(context.devnet.info, 5, `${label}-${payments.length}`);
    payments.push(...more);
    load.add(more);
    await sleep(1000);
  }
}

/** Run it; the counts of the table. Throws when the books disagree. */
export async function runFault(scenario) {
  const context = await makeContext(scenario);
  const lastsMs = FULL ? scenario.lastsMs.full : scenario.lastsMs.short;
  let load;
  try {
    await (scenario.setup ?? (async () => { context.daemons.push(await context.startDaemon()); }))(context);
    const {devnet} = context;
    const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
    const label = scenario.name.replace(/[^a-z0-9]+/g, '-');
    const payments = await makePayments(devnet.info, Math.ceil((LEAD_MS + lastsMs + TAIL_MS) / GAP_MS), label);
    context.payments = payments;
    load = startLoad(context.url, payments, {gapMs: GAP_MS});
    await sleep(LEAD_MS);
    await scenario.inject(context);
    await sleep(lastsMs);
    if (!scenario.healLast) await untilStruck(context, load, label);
    const healedMs = Date.now();
    if (scenario.healLast) await load.drained(DRAIN_MS);
    await scenario.heal(context);
    await load.drained(DRAIN_MS);
    await scenario.settled?.(context);
    const struck = strikes(context);
    assert.ok(struck > 0, 'the fault never struck');
    // Where the store is out of reach once its daemon has ended.
    const rows = await scenario.readJournal?.(context);
    await stopDaemons(context);
    const count = await assertAgreement(devnet, rows ? () => rows : context.store, payments, balance, scenario);
    const row = {fault: scenario.name, what: scenario.what, struck, ...tally(payments, count),
      drainedMs: Math.max(0, ...payments.map((payment) => payment.endedMs - healedMs))};
    report(row);
    return row;
  } catch (error) {
    error.message += `\nlog of the daemons:\n${context.daemons.map((d) => d.output().slice(-6000)).join('\n----\n')}`;
    throw error;
  } finally {
    load?.abandon();
    context.repeating = false;
    await stopAll(context);
  }
}

async function stopDaemons(context) {
  for (const daemon of context.daemons) {
    daemon.child.kill('SIGCONT');
    assert.equal(await daemon.stop(), 0, daemon.output().slice(-4000));
  }
}
