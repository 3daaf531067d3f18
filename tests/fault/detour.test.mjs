// kill -9 at the steps that a settlement takes only when something went wrong
// before: fees raised, a block dropped, the money moved by a stranger. Every
// crash point in the source is tried here or in kill.test.mjs.
import assert from 'node:assert/strict';
import {readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {test} from 'node:test';
import {scratchDir, sleep, startDevnet, startFacilitator, top} from '../devnet/lib.mjs';
import {assertAgreement, makePayments, settle, settleAll, tally, untilSettled} from './ledger.mjs';
import {GRANT_STEPS, STEPS} from './kill.steps.mjs';
import {preempt, startProxy} from './proxy.mjs';
import {report} from './run.mjs';
import {baseFee, endRepeat, repeat} from './scenarios.mjs';

const LIMIT_MS = 60000;

async function until(condition, what) {
  for (const end = Date.now() + LIMIT_MS; !condition(); await sleep(20)) {
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
  }
}

/** How each detour is made to happen, and undone. */
const raise = {steps: ['before_raise', 'after_raise'],
  before: ({devnet}) => devnet.rpc('evm_setIntervalMining', [0]),
  async provoke(context) {
    // Signed at the old price, and only now there are blocks again.
    await until(() => context.proxy.calls.eth_sendRawTransaction, 'a transaction');
    repeat(context, 100, async () => {
      await baseFee(context, 100);
      await context.devnet.rpc('evm_mine');
    });
  },
  async heal(context) {
    await endRepeat(context);
    await context.devnet.rpc('evm_setIntervalMining', [1]);
  }};
const reorg = {steps: ['before_drop', 'after_drop'], blockTime: 0.5,
  async provoke({devnet}, payments) {
    // Told, so its receipt was read.
    await until(() => payments.every(({successes}) => successes.length), 'answers');
    await devnet.rpc('evm_setIntervalMining', [0]);
    const {transaction} = JSON.parse(payments.at(-1).successes[0]);
    const {blockNumber} = await devnet.rpc('eth_getTransactionReceipt', [transaction]);
    await devnet.rpc('anvil_reorg', [Number(await devnet.rpc('eth_blockNumber')) - Number(blockNumber) + 1, []]);
    await devnet.rpc('evm_setIntervalMining', [1]);
  },
  heal: async () => {}};
const stranger = {steps: ['before_finish', 'after_finish'],
  before: async (context) => {
    context.proxy.inject(preempt({rpc: context.devnet.rpc, from: context.devnet.info.accounts.payer2.address}));
  },
  provoke: async () => {},
  heal: async (context) => context.proxy.heal()};
const detours = [raise, reorg, stranger];

async function killAt(step, detour) {
  const devnet = await startDevnet({blockTime: detour.blockTime ?? 0.2});
  const proxy = await startProxy(devnet.info.rpcUrl);
  const context = {devnet, proxy, hits: 0};
  try {
    const store = join(scratchDir('x402-fault-'), 'facilitator.sqlite');
    const open = (env = {}) => startFacilitator(devnet,
      {X402_STORE: store, X402_NETWORK: devnet.info.network, EVM_RPC_URL: proxy.url, ...env});
    const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
    const payments = await makePayments(devnet.info, 12, step);
    await detour.before?.(context);
    const doomed = await open({X402_TEST_CRASH_AT: step});
    const calls = payments.map(async (payment, i) => {
      await sleep(i * 100);
      await settle(doomed.url, payment);
    });
    await detour.provoke(context, payments);
    const late = setTimeout(() => doomed.child.kill('SIGTERM'), LIMIT_MS);
    assert.equal(await doomed.exited, 'SIGKILL', `never came by ${step}\n${doomed.output().slice(-4000)}`);
    clearTimeout(late);
    await Promise.all(calls);
    const facilitator = await open();
    await settleAll(facilitator.url, payments, 40000);
    await detour.heal(context);
    await untilSettled(devnet.info, store, payments);
    assert.equal(await facilitator.stop(), 0, facilitator.output().slice(-4000));
    return {payments, count: await assertAgreement(devnet, store, payments, balance)};
  } finally {
    context.repeating = false;
    await proxy.stop();
    await devnet.stop();
  }
}

// They wait more than they work, so a few go side by side.
test('detours', {concurrency: 3}, async (t) => {
  const runs = detours.flatMap((detour) => detour.steps.map((step) =>
    t.test(`killed ${step.replace('_', ' ')}: settled exactly once after a restart`, async () => {
      const {payments, count} = await killAt(step, detour);
      report({fault: `kill -9 ${step.replace('_', ' ')}`, what: 'then a restart', struck: 1, ...tally(payments, count)});
    })));
  await Promise.all(runs);
});

test('every crash point in the source is tried', () => {
  const root = join(top, 'facilitator/src'); // as it is here, not in the build directory
  const named = new Set();
  for (const entry of readdirSync(root, {recursive: true})) {
    if (!entry.endsWith('.c')) continue;
    for (const [, step] of readFileSync(join(root, entry), 'utf8').matchAll(/fac_crash_point\("(\w+)"\)/g)) {
      named.add(step);
    }
  }
  assert.deepEqual([...named].sort(), [...STEPS, ...GRANT_STEPS, ...detours.flatMap(({steps}) => steps)].sort());
});
