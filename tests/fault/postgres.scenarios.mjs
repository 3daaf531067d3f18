// Faults of a store on PostgreSQL, and of the daemons that share it; shaped as
// those of scenarios.mjs.
import assert from 'node:assert/strict';
import {sleep} from '../devnet/lib.mjs';
import {readPostgres, startPooler, startPostgres} from './postgres.mjs';
import {endRepeat, repeat} from './scenarios.mjs';

// A lease lasts 15 s; its heir waits a little for the next try.
const PAST_THE_LEASE_MS = 17000;

/** `count` daemons on one PostgreSQL, each with the same signer; the first one has the lane. */
async function setUpPostgres(context, count) {
  context.postgres = await startPostgres();
  context.store = context.postgres.uri;
  context.cleanUp = () => context.postgres.stop('SIGQUIT');
  for (let i = 0; i < count; i++) context.daemons.push(await context.startDaemon());
}
const readJournal = (context) => readPostgres(context.postgres);

/** Grows whenever the lane changes hands. */
const tokenOf = async (context) => (await context.postgres.query('select token from lanes'))[0].token;

/** Strike the daemon that has the lane, and mend it when the other one has taken it over; again and again. */
async function strikeInTurn(context, strike, mend) {
  const holder = {index: 0, token: await tokenOf(context)};
  repeat(context, 500, async () => {
    await strike(holder.index);
    await sleep(PAST_THE_LEASE_MS);
    let token = await tokenOf(context);
    // The other one may be slow to take it.
    for (const end = Date.now() + 30000; token === holder.token && Date.now() < end; await sleep(200)) {
      token = await tokenOf(context);
    }
    if (token !== holder.token + 1) context.complaint ??= `the lane's token was ${holder.token}, then ${token}`;
    await mend(holder.index);
    Object.assign(holder, {index: 1 - holder.index, token});
  });
}
const ofTwo = {blockTime: 1, lastsMs: {short: 16000, full: 60000}, readJournal,
  setup: (context) => setUpPostgres(context, 2), heal: endRepeat,
  settled: async (context) => assert.equal(context.complaint, undefined)};

export const scenarios = [
  {name: 'two daemons on PostgreSQL, one killed', what: 'kill -9 of the one that has the lane; it is away past its lease',
    ...ofTwo, inject: (context) => strikeInTurn(context, async (i) => {
      context.daemons[i].child.kill('SIGKILL');
      await context.daemons[i].exited;
    }, async (i) => { context.daemons[i] = await context.startDaemon(); })},
  {name: 'two daemons on PostgreSQL, one paused', what: 'SIGSTOP of the one that has the lane, past its lease, then SIGCONT',
    ...ofTwo, inject: (context) => strikeInTurn(context,
      async (i) => { context.daemons[i].child.kill('SIGSTOP'); },
      async (i) => { context.daemons[i].child.kill('SIGCONT'); })},
  {name: 'PostgreSQL restarted', what: 'ended in order and as a crash, in turn, and away for a second',
    lastsMs: {short: 6000, full: 60000}, setup: (context) => setUpPostgres(context, 1),
    async inject(context) {
      let turn = 0;
      repeat(context, 1000, async () => {
        await context.postgres.stop(turn++ % 2 ? 'SIGQUIT' : 'SIGINT');
        await sleep(1000);
        await context.postgres.start();
      });
    },
    heal: endRepeat, readJournal},
  {name: 'PostgreSQL cut off', what: 'a pooler drops the daemons\' connections: before a question, before its answer, and idle, in turn',
    blockTime: 1, lastsMs: {short: 6000, full: 60000}, readJournal,
    async setup(context) {
      context.postgres = await startPostgres();
      context.pooler = await startPooler(context.postgres);
      context.store = context.pooler.uri;
      context.cleanUp = async () => {
        await context.pooler.stop();
        await context.postgres.stop('SIGQUIT');
      };
      for (let i = 0; i < 2; i++) context.daemons.push(await context.startDaemon());
    },
    async inject(context) {
      let turn = 0;
      repeat(context, 250, async () => assert.ok(context.pooler.cut(['server', 'client', 'now'][turn++ % 3])));
    },
    heal: endRepeat},
];
