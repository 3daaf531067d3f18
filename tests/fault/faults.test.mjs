// Every fault of scenarios.mjs in its short form; sh tests/fault/run.sh runs
// the full form and prints the table.
import {test} from 'node:test';
import {FULL, runFault} from './run.mjs';

const {scenarios} = await import(process.env.FAULT_SCENARIOS ?? './scenarios.mjs');
const only = process.env.FAULT_ONLY;

// They wait more than they work, so a few go side by side.
test('faults', {concurrency: FULL ? 2 : 4}, async (t) => {
  const runs = scenarios.filter(({name}) => !only || name.includes(only)).map((scenario) =>
    t.test(`${scenario.name}: books agree`, async (t1) => {
      const row = await runFault(scenario);
      t1.diagnostic(`${row.payments} payments, struck ${row.struck}, asked ${row.asked}, ${row.unheard} answers lost, ` +
        `${row.settled} settled, ${row.ended} ended without money, ${row.told} told success, 0 doubled, 0 lost, ` +
        `drained ${(row.drainedMs / 1000).toFixed(1)} s after`);
    }));
  await Promise.all(runs);
});
