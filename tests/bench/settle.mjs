// /settle beside the reference, anvil with a block a second. What counts is
// what the chain moved: the payee's balance over the time until its last
// change, not what was answered.
import {settleLoad, withBoth} from './bench.lib.mjs';

/* What Base takes in a second: 400 million in a block of two (docs.base.org, throughput and limits). */
export const BLOCK_GAS = 200_000_000;

const line = (name, load_, r) => `| ${name} | ${load_} | ${r.requests} | ${r.ok} | ${r.moved} | ` +
  `${r.confirmed_per_second.toFixed(1)} | ${r.transactions} | ${r.gas_each.toFixed(0)} | ` +
  `${r.own_us.toFixed(0)} | ${r.chain_us.toFixed(0)} | ${r.p50_ms} | ${r.p99_ms} |`;

export async function settle(quick) {
  const lines = ['## /settle, exact EIP-3009, anvil with a block a second', '',
    '| facilitator | load | requests | ok | moved | confirmed per second | transactions | gas per payment | ' +
    'CPU us each | anvil\'s | p50 ms | p99 ms |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|'];
  const results = [];
  const notes = [];
  await withBoth({blockTime: 1, gasLimit: BLOCK_GAS}, async (world) => {
    const {devnet, ours, theirs} = world;
    const ourSigner = devnet.info.accounts.facilitator.address;
    const theirSigner = devnet.info.accounts.payer2.address;
    // The payee's first coin costs more than any later one.
    await settleLoad(world, ours, ourSigner, [1, 1, 1]);
    const lone = await settleLoad(world, ours, ourSigner, [1, 2, 1]);
    lines.push(line('ours', 'one at a time', lone));
    results.push(lone);
    const loads = quick ? [[8, 8, 32, 1], [4, 16, 64, 8]] : [[64, 256, 2560, 1], [64, 4096, 98304, 256]];
    for (const [connections, theirRequests, ourRequests, pipeline] of loads) {
      const name = `${connections} connections${pipeline > 1 ? ` x ${pipeline} pipelined` : ''}`;
      const b = await settleLoad(world, theirs, theirSigner, [connections, theirRequests, pipeline]);
      const a = await settleLoad(world, ours, ourSigner, [connections, ourRequests, pipeline]);
      lines.push(line('reference', name, b), line('ours', name, a));
      if (a.moved !== a.ok) notes.push(`Ours said ${a.ok} and the chain moved ${a.moved}.`);
      notes.push(`${name}: ${(a.confirmed_per_second / b.confirmed_per_second).toFixed(1)} times the reference's ` +
        `confirmed settlements per second, at ${(100 * a.gas_each / lone.gas_each).toFixed(0)} % of the gas of a lone one; ` +
        `CPU time of facilitator and anvil for each: ${((b.own_us + b.chain_us) / (a.own_us + a.chain_us)).toFixed(1)} times less.`);
      results.push(a, {...b, reference: true});
    }
  });
  lines.push('', ...notes, '');
  return {text: lines.join('\n'), results};
}
