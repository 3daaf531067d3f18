// /verify: beside the reference before anvil, and beside the curve library
// before a chain that answers at once.
import {cores, cpuSeconds, load, median, micro, pin, row, tableHead, withBoth, withNullRpc} from './bench.lib.mjs';

export async function verify(quick) {
  const lines = ['## /verify, exact EIP-3009, anvil', '', tableHead];
  const ratios = [];
  const tails = [];
  const results = [];
  await withBoth({}, async ({file, ours, theirs}) => {
    for (const connections of [1, 8, 64]) {
      const b = await load(`${theirs.url}/verify`, file, connections, quick ? 64 : 600);
      const a = await load(`${ours.url}/verify`, file, connections, quick ? 200 : 10000);
      lines.push(row('reference', connections, b), row('ours', connections, a));
      ratios.push(`${connections}: ${(a.per_second / b.per_second).toFixed(1)}`);
      tails.push(`${connections}: ${a.p99_ms} against ${b.p50_ms}`);
      results.push(a, {...b, reference: true});
    }
  });
  lines.push('', `Ratio of requests per second, ours to reference, by connections: ${ratios.join(', ')}.`,
    `Our p99 against the reference's p50, in ms: ${tails.join(', ')}.`, '');
  return {text: lines.join('\n'), results};
}

/*
 * One worker on one core; load, chain and everything else on the other. The
 * curve's rate is measured on the daemon's core before and after each load,
 * while the daemon has nothing to do.
 */
export async function recover(quick) {
  const rounds = quick ? 1 : 5;
  const lines = ['## /verify on one core, a chain that answers at once', '',
    '| in flight per connection | round | recover per second | /verify per second | ratio | CPU us per /verify | ratio by CPU |',
    '|---|---|---|---|---|---|---|'];
  const notes = [];
  const results = [];
  await withNullRpc({}, async ({rpc, file, ours}) => {
    await pin(ours.pid, cores.measured);
    await pin(rpc.pid, cores.others);
    let before = (await micro(quick ? 20 : 500, cores.measured)).recover_libsecp256k1;
    // An answer alone costs a write on the loopback; of several that are due
    // together, one write sends all.
    for (const pipeline of [1, 4]) {
      const byRate = [];
      const byCpu = [];
      for (let round = 1; round <= rounds; round++) {
        const n = quick ? 500 : 100000;
        const start = cpuSeconds(ours.pid);
        const a = await load(`${ours.url}/verify`, file, 64, n, {core: cores.others, pipeline});
        const cpuUs = (cpuSeconds(ours.pid) - start) / n * 1e6;
        const after = (await micro(quick ? 20 : 500, cores.measured)).recover_libsecp256k1;
        const curve = (before + after) / 2;
        byRate.push(a.per_second / curve);
        byCpu.push(1e6 / cpuUs / curve);
        lines.push(`| ${pipeline} | ${round} | ${curve.toFixed(0)} | ${a.per_second} | ${byRate.at(-1).toFixed(2)} | ` +
          `${cpuUs.toFixed(1)} | ${byCpu.at(-1).toFixed(2)} |`);
        results.push(a);
        before = after;
      }
      notes.push(`${pipeline} in flight on each of 64 connections: median ratio to libsecp256k1's recovery ` +
        `${median(byRate).toFixed(2)} by requests per second, ${median(byCpu).toFixed(2)} by the daemon's CPU time.`);
    }
  });
  lines.push('', ...notes, '');
  return {text: lines.join('\n'), results};
}
