// Every fault of scenarios.mjs and postgres.scenarios.mjs in its short form;
// sh tests/fault/run.sh runs the full form and prints the table. FAULT_ONLY=TEXT
// runs those whose name contains TEXT.
import {test} from 'node:test';
import {scenarios as ofSharedStores} from './postgres.scenarios.mjs';
import {FULL, runFault} from './run.mjs';
import {scenarios as ofOneDaemon} from './scenarios.mjs';

const only = process.env.FAULT_ONLY;
// Those that last longest begin first.
const scenarios = [...ofSharedStores, ...ofOneDaemon];

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
