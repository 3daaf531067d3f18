// The faults: what is broken, how, and how it is made whole again. Each runs
// under the load of run.mjs; `full` is how long it lasts in the full form.
//
//   what       one line for the table in docs/reliability.md
//   blockTime  seconds (default 0.2)
//   lastsMs    {short, full}
//   endpoints  the endpoints the daemon is given, in its order of preference
//              (default: the proxy alone); 'direct' is anvil itself
//   inject, heal   async (context); context: see run.mjs
//   mayEnd     payments may end without money, when the chain never moved it
//   healLast   the fault stays until every caller has an answer
//   setup      starts the daemons (default: one, on SQLite)
//   settled    what else must become true once all callers have an answer
//   readJournal  where the store is out of reach when its daemon has ended
import assert from 'node:assert/strict';
import {join} from 'node:path';
import {run, scratchDir, sleep} from '../devnet/lib.mjs';
import {isUsed, readSqlite, untilSettled} from './ledger.mjs';
import {cut, delay, drop, garbage, hang, lag, lieAboutReceipts, preempt, rpcError, status} from './proxy.mjs';

const SEND = ['eth_sendRawTransaction'];
const GWEI = 1_000_000_000;
const hex = (n) => `0x${BigInt(n).toString(16)}`;
const headOf = (context) => async () => Number(await context.devnet.rpc('eth_blockNumber'));

/** Again and again until healed; each time that worked counts as a hit. */
export function repeat(context, everyMs, step) {
  context.repeating = true;
  const loop = async () => {
    while (context.repeating) {
      await step().then(() => context.hits++, () => {});
      await sleep(everyMs);
    }
  };
  context.repeated = loop();
}

export async function endRepeat(context) {
  context.repeating = false;
  await context.repeated;
}

export const proxied = (rule) => ({
  inject: async (context) => { context.proxy.inject(rule(context)); },
  heal: async (context) => { context.proxy.heal(); },
});

/** What the next block will ask for. */
export const baseFee = (context, gwei) =>
  context.devnet.rpc('anvil_setNextBlockBaseFeePerGas', [hex(gwei * GWEI)]);

/** So many blocks, and as many more as have come since the last one with a payment of ours. */
async function depthOfPayments({devnet, payments}, blocks) {
  let newest = 0;
  for (const {successes: [text]} of payments) {
    if (!text) continue;
    const receipt = await devnet.rpc('eth_getTransactionReceipt', [JSON.parse(text).transaction]);
    newest = Math.max(newest, Number(receipt.blockNumber));
  }
  return Number(await devnet.rpc('eth_blockNumber')) - newest + blocks;
}

// A disk of its own, gone with its daemon.
const ON_SMALL_DISK = 'mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"';
const inside = (context) => ['nsenter', '-t', String(context.daemons[0].pid), '-m'];
const shell = (context, text) => {
  const [command, ...args] = [...inside(context), 'sh', '-c', text, context.dir];
  return run(command, args);
};

export const scenarios = [
  {name: 'send: accepted, answer dropped', what: 'the endpoint takes the transaction and cuts the connection',
    lastsMs: {short: 3000, full: 60000}, ...proxied(() => drop({methods: SEND}))},
  {name: 'send: accepted, never answered', what: 'the endpoint takes the transaction and is silent until the timeout',
    lastsMs: {short: 3000, full: 60000}, ...proxied(() => hang({methods: SEND}))},
  {name: 'send: cut before it was taken', what: 'the connection is cut before the transaction is forwarded',
    lastsMs: {short: 3000, full: 60000}, ...proxied(() => cut({methods: SEND}))},
  {name: 'every answer dropped', what: 'all requests reach the chain, no answer comes back',
    lastsMs: {short: 3000, full: 60000}, ...proxied(() => drop())},
  {name: 'endpoint dead', what: 'no request reaches the chain', mayEnd: true,
    lastsMs: {short: 5000, full: 60000}, ...proxied(() => cut())},
  {name: 'endpoint slow', what: 'every answer comes 1.5 s later',
    lastsMs: {short: 4000, full: 60000}, ...proxied(() => delay({ms: 1500}))},
  {name: 'endpoint busy', what: 'HTTP 429 with Retry-After, 503, no JSON, JSON-RPC errors, in turn',
    lastsMs: {short: 4000, full: 60000},
    async inject(context) {
      const kinds = [() => status({code: 429, retryAfter: 1}), () => status({code: 503}), () => garbage(),
        () => rpcError(), () => rpcError({code: -32005, message: 'limit exceeded'})];
      let turn = 0;
      repeat(context, 500, async () => {
        context.proxy.heal();
        context.proxy.inject(kinds[turn++ % kinds.length]());
      });
    },
    async heal(context) {
      await endRepeat(context);
      context.proxy.heal();
    }},
  {name: 'two endpoints, the first one lags', what: 'the preferred endpoint is 4 blocks behind the other',
    endpoints: ['proxy', 'direct'], lastsMs: {short: 4000, full: 60000},
    ...proxied((context) => lag(4, {head: headOf(context)}))},
  {name: 'head swings', what: 'every second answer is of a node 4 blocks behind',
    lastsMs: {short: 4000, full: 60000},
    ...proxied((context) => lag(4, {head: headOf(context), alternate: true}))},
  {name: 'two endpoints, the first one hides receipts', what: 'the preferred endpoint has no receipts',
    endpoints: ['proxy', 'direct'], lastsMs: {short: 4000, full: 60000},
    ...proxied(() => lieAboutReceipts('none'))},
  {name: 'mempool dropped', what: 'anvil_dropAllTransactions every 20 ms, with 1 s blocks', blockTime: 1,
    lastsMs: {short: 3000, full: 60000},
    inject: async (context) => repeat(context, 20, () => context.devnet.rpc('anvil_dropAllTransactions')),
    heal: endRepeat},
  {name: 'fee spike above the ceiling', what: 'the base fee is held at 2,000 gwei, the ceiling is 500',
    lastsMs: {short: 4000, full: 60000},
    async inject(context) {
      await baseFee(context, 2000);
      repeat(context, 50, () => baseFee(context, 2000));
    },
    async heal(context) {
      await endRepeat(context);
      await baseFee(context, 1);
    }},
  {name: 'signer out of gas', what: 'the signer has nothing to pay gas with, then is funded again',
    lastsMs: {short: 4000, full: 60000},
    async inject(context) {
      const {address} = context.devnet.info.accounts.facilitator;
      context.hits++;
      await context.devnet.rpc('anvil_setBalance', [address, '0x0']);
    },
    async heal(context) {
      const {address} = context.devnet.info.accounts.facilitator;
      await context.devnet.rpc('anvil_setBalance', [address, hex(10n ** 21n)]);
    }},
  {name: 'disk full', what: 'the file system of the store is filled, then has room again',
    lastsMs: {short: 4000, full: 60000},
    async setup(context) {
      context.dir = scratchDir('x402-fault-');
      context.store = join(context.dir, 'facilitator.sqlite');
      context.daemons.push(await context.startDaemon({},
        {under: ['unshare', '--mount', 'sh', '-c', ON_SMALL_DISK, context.dir]}));
    },
    async inject(context) {
      repeat(context, 200, () => shell(context, 'cat /dev/zero >> "$0"/ballast'));
    },
    async heal(context) {
      await endRepeat(context);
      const {code} = await shell(context, 'rm "$0"/ballast');
      assert.equal(code, 0);
    },
    async settled(context) {
      const refused = context.payments.filter(({refusals}) => refusals.includes('unexpected_settle_error'));
      assert.ok(refused.length > 0, 'no write failed');
    },
    readJournal: async (context) => readSqlite(context.store, inside(context))},
  {name: 'reorg of 3 blocks', what: 'anvil_reorg drops the last 3 blocks and what was in them, every 1.5 s',
    blockTime: 0.5, lastsMs: {short: 4000, full: 60000},
    inject: async (context) => repeat(context, 1500, () => context.devnet.rpc('anvil_reorg', [3, []])),
    heal: endRepeat, settled: (context) => untilSettled(context.devnet.info, context.store, context.payments)},
  {name: 'stuck transaction', what: 'the base fee rises above what was signed, below the ceiling, and stays',
    lastsMs: {short: 2000, full: 60000}, healLast: true,
    async inject(context) {
      await baseFee(context, 100);
      repeat(context, 50, () => baseFee(context, 100));
    },
    heal: endRepeat},
  {name: 'reorg after the answers', what: 'all callers have their answer when the last 3 blocks are dropped',
    blockTime: 0.5, lastsMs: {short: 0, full: 0}, healLast: true, inject: async () => {},
    async heal(context) {
      // No block comes while we look: what fell out would be back.
      await context.devnet.rpc('evm_setIntervalMining', [0]);
      await context.devnet.rpc('anvil_reorg', [await depthOfPayments(context, 3), []]);
      for (const payment of context.payments) context.hits += !await isUsed(context.devnet.info, payment);
      await context.devnet.rpc('evm_setIntervalMining', [1]);
    },
    settled: (context) => untilSettled(context.devnet.info, context.store, context.payments)},
  {name: 'two endpoints, the first one lies about status', what: 'the preferred endpoint says that all reverted',
    endpoints: ['proxy', 'direct'], lastsMs: {short: 4000, full: 60000},
    ...proxied(() => lieAboutReceipts('failed'))},
  {name: 'two endpoints, the first one lies about logs', what: 'the preferred endpoint shows the logs of another token',
    endpoints: ['proxy', 'direct'], lastsMs: {short: 4000, full: 60000},
    ...proxied(() => lieAboutReceipts('foreign'))},
  {name: 'landed by a stranger', what: 'whatever is sent is mined first in a transaction of somebody else',
    lastsMs: {short: 4000, full: 60000},
    ...proxied((context) => preempt({rpc: context.devnet.rpc, from: context.devnet.info.accounts.payer2.address}))},
];
