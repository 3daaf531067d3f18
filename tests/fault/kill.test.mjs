// kill -9 of the facilitator between any two steps of a settlement, and at
// random under load. After every restart the same requests are sent again, as
// a caller with a lost answer would. At the end chain, journal and what callers
// were told must agree: each payment settled exactly once, none lost.
//
//   KILLS=500 node --test tests/fault/kill.test.mjs    more random kills
import assert from 'node:assert/strict';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {scratchDir, sleep, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {assertAgreement, makePayments, settle, settleAll, tally} from './ledger.mjs';
import {STEPS} from './kill.steps.mjs';
import {report} from './run.mjs';

const KILLS = Number(process.env.KILLS ?? 50);
const IN_FLIGHT = 16;

let devnet;
before(async () => {
  devnet = await startDevnet({blockTime: 0.2});
});
after(() => devnet?.stop());

const open = (store, env = {}) => startFacilitator(devnet,
  {X402_STORE: store, X402_NETWORK: devnet.info.network, ...env});

const stepped = {payments: [], settled: 0};
for (const step of STEPS) {
  test(`killed ${step.replace('_', ' ')}: settled exactly once after a restart`, async () => {
    const store = join(scratchDir('x402-fault-'), 'facilitator.sqlite');
    const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
    const payments = await makePayments(devnet.info, 6, step);
    // Not at the first transaction: some are told, some are on their way.
    const doomed = await open(store, {X402_TEST_CRASH_AT: `${step}:2`});
    await Promise.all(payments.map((payment, i) => sleep(i * 60).then(() => settle(doomed.url, payment))));
    // On a slow machine they may all have shared one transaction.
    for (const end = Date.now() + 60000; doomed.child.exitCode === null && doomed.child.signalCode === null;) {
      assert.ok(Date.now() < end, `never came by ${step}`);
      payments.push(...await makePayments(devnet.info, 1, `${step}-more-${payments.length}`));
      await settle(doomed.url, payments.at(-1));
    }
    assert.equal(await doomed.exited, 'SIGKILL', `never came by ${step}`);
    const facilitator = await open(store);
    await settleAll(facilitator.url, payments);
    await facilitator.stop();
    stepped.settled += (await assertAgreement(devnet, store, payments, balance)).settled;
    stepped.payments.push(...payments);
    if (step === STEPS.at(-1)) {
      report({fault: 'kill -9 between two steps', what: `at each of ${STEPS.length} crash points, then a restart`,
        struck: STEPS.length, ...tally(stepped.payments, stepped)});
    }
  });
}

test(`killed ${KILLS} times at random under load: settled exactly once`, async (t) => {
  const store = join(scratchDir('x402-fault-'), 'facilitator.sqlite');
  const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const payments = [];
  const lost = {answers: 0};
  for (let kill = 0; kill < KILLS; kill++) {
    const facilitator = await open(store);
    payments.push(...await makePayments(devnet.info, 4, `random-${kill}`));
    // The newest and a few that an earlier kill left without an answer.
    const wanted = payments.filter((payment) => !payment.done).slice(-IN_FLIGHT);
    const calls = wanted.map((payment) => settle(facilitator.url, payment));
    await sleep(Math.random() * 400);
    facilitator.child.kill('SIGKILL');
    for (const outcome of await Promise.all(calls)) lost.answers += outcome === 'lost';
    await facilitator.exited;
  }
  const facilitator = await open(store);
  await settleAll(facilitator.url, payments, 120000);
  await facilitator.stop();
  const count = await assertAgreement(devnet, store, payments, balance);
  report({fault: 'kill -9 at random', what: 'at any moment under load, then a restart', struck: KILLS,
    ...tally(payments, count)});
  const told = payments.reduce((sum, payment) => sum + payment.successes.length, 0);
  t.diagnostic(`${KILLS} kills, ${payments.length} payments, ${lost.answers} answers lost, ${told} successes told, ` +
    `${payments.length} settled on chain, 0 doubled, 0 lost`);
});
