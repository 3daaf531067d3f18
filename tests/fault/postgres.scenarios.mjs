// Faults of a shared store:  FAULT_SCENARIOS=./postgres.scenarios.mjs node --test tests/fault/faults.test.mjs
import {startPostgres} from './postgres.mjs';
import {endRepeat, repeat} from './scenarios.mjs';

const JOURNAL = `select state, encode(nonce, 'hex') as nonce, transaction_hash as hash from payments`;

/** `count` daemons on one PostgreSQL, each with the same signer. */
async function setUpPostgres(context, count) {
  context.postgres = await startPostgres();
  context.store = context.postgres.uri;
  context.cleanUp = () => context.postgres.stop('SIGQUIT');
  for (let i = 0; i < count; i++) context.daemons.push(await context.startDaemon());
}
const readJournal = (context) => context.postgres.query(JOURNAL);

export const scenarios = [
  {name: 'PostgreSQL restarted', what: 'in order and as a crash, in turn, every 1.5 s', lastsMs: {short: 4000, full: 60000},
    setup: (context) => setUpPostgres(context, 1),
    async inject(context) {
      let turn = 0;
      repeat(context, 1500, () => context.postgres.restart(turn++ % 2 ? 'SIGQUIT' : 'SIGINT'));
    },
    heal: endRepeat, readJournal},
  {name: 'two daemons on PostgreSQL, one killed', what: 'kill -9 of the one that has the lane; it stays away until healed',
    lastsMs: {short: 20000, full: 60000}, setup: (context) => setUpPostgres(context, 2),
    async inject(context) {
      context.daemons[0].child.kill('SIGKILL');
      await context.daemons[0].exited;
      context.hits++;
    },
    async heal(context) { context.daemons[0] = await context.startDaemon(); }, readJournal},
  {name: 'two daemons on PostgreSQL, one paused', what: 'SIGSTOP of the one that has the lane, past its lease, then SIGCONT',
    lastsMs: {short: 20000, full: 60000}, setup: (context) => setUpPostgres(context, 2),
    async inject(context) {
      context.daemons[0].child.kill('SIGSTOP');
      context.hits++;
    },
    async heal(context) { context.daemons[0].child.kill('SIGCONT'); }, readJournal},
];
