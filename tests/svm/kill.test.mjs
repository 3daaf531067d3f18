// kill -9 of the daemon between any two steps of a Solana settlement. After the
// restart the same requests come again, as from a caller whose answer was lost.
// At the end each payment has landed exactly once, and was told so.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {STEPS} from '../fault/kill.steps.mjs';
import {startPostgres} from '../fault/postgres.mjs';
import {balance, offer, pay, sleep, startDaemon, startDevnet} from './svm.lib.mjs';

let devnet;
let postgres;
before(async () => {
  devnet = await startDevnet();
  postgres = await startPostgres();
});
after(async () => {
  await devnet?.stop();
  await postgres?.stop();
});

/** Asks until there is an end; the answers that were lost are told apart. */
async function settleToTheEnd(daemon, body) {
  for (let i = 0; i < 100; i++) {
    const {body: answer, text} = await daemon.ask('/settle', body);
    assert.ok(answer, text);
    if (answer.success || answer.errorReason === 'duplicate_settlement') return answer;
    assert.match(answer.errorReason, /^(settlement_pending|unexpected_settle_error)$/, text);
    await sleep(100);
  }
  return assert.fail(`no end: ${daemon.daemon.output()}`);
}

for (const [step, name, store] of STEPS.flatMap((each) => [[each, 'SQLite'], [each, 'PostgreSQL', () => postgres.uri]])) {
  test(`killed ${step.replace('_', ' ')}, on ${name}: landed exactly once after a restart`, async () => {
    const payee = devnet.accounts.payee.address;
    const had = await balance(devnet, payee, devnet.usdc);
    const bodies = await Promise.all([...Array(4)].map(() => pay(devnet, offer(devnet))));
    const doomed = await startDaemon(devnet, {env: {X402_TEST_CRASH_AT: `${step}:2`}, store: store?.(), top: store ? 'instance = "kill"' : ''});
    const told = await Promise.all(bodies.map(async (body, i) => {
      await sleep(i * 60);
      try {
        return (await doomed.ask('/settle', body)).body?.success === true;
      } catch {
        return false; // the answer was lost
      }
    }));
    assert.equal(await doomed.daemon.exited, 'SIGKILL', `never came by ${step}`);
    const daemon = await startDaemon(devnet, {dir: doomed.dir, store: store?.(), top: store ? 'instance = "kill"' : ''});
    const answers = await Promise.all(bodies.map((body) => settleToTheEnd(daemon, body)));
    // R2: whoever was told before is not told again.
    answers.forEach((answer, i) => assert.ok(!(told[i] && answer.success), `${step}: told twice`));
    for (const body of bodies) {
      const verified = await daemon.ask('/verify', body);
      assert.match(verified.body.invalidMessage, /AlreadyProcessed/);
    }
    assert.equal(await balance(devnet, payee, devnet.usdc) - had, 4000n);
    await daemon.daemon.stop();
  });
}
