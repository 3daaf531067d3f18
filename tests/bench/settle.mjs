// /settle beside the reference, anvil with a block a second. What counts is
// what the chain moved: the payee's balance over the time until its last
// change, not what was answered.
import {rpc as ask, sleep} from '../devnet/lib.mjs';
import {AMOUNT, load, withBoth} from './bench.lib.mjs';

/* The balance while a load runs: when it last changed, and to what. */
function watchBalance(devnet, address) {
  const seen = {balance: null, at: 0, done: false};
  seen.finished = (async () => {
    while (!seen.done) {
      const balance = await devnet.balanceOf(address);
      if (balance !== seen.balance) {
        seen.balance = balance;
        seen.at = performance.now();
      }
      await sleep(20);
    }
  })();
  return seen;
}

/** Gas of all transactions that an address sent, from a block on. */
async function gasUsed(devnet, sender, fromBlock) {
  const url = devnet.info.rpcUrl;
  const head = Number(await ask(url, 'eth_blockNumber'));
  let gas = 0n;
  let transactions = 0;
  for (let number = fromBlock; number <= head; number++) {
    const receipts = await ask(url, 'eth_getBlockReceipts', [`0x${number.toString(16)}`]);
    for (const receipt of receipts ?? []) {
      if (receipt.from.toLowerCase() !== sender.toLowerCase()) continue;
      gas += BigInt(receipt.gasUsed);
      transactions++;
    }
  }
  return {gas, transactions};
}

/** One load against one facilitator; figures of the answers and of the chain. */
async function settleLoad({devnet, file}, facilitator, sender, connections, requests, pipeline) {
  const {payee} = devnet.info.accounts;
  const block = Number(await devnet.rpc('eth_blockNumber')) + 1;
  const before = await devnet.balanceOf(payee.address);
  const watch = watchBalance(devnet, payee.address);
  const result = await load(`${facilitator.url}/settle`, file, connections, requests, {pipeline});
  const started = performance.now() - result.seconds * 1000;
  // What was answered as pending, or given up, may still be mined.
  if (result.ok < requests) await sleep(5000);
  await sleep(1200);
  watch.done = true;
  await watch.finished;
  const moved = Number((watch.balance - before) / AMOUNT);
  const {gas, transactions} = await gasUsed(devnet, sender, block);
  const seconds = (watch.at - started) / 1000;
  return {...result, moved, transactions, confirmed_per_second: moved ? moved / seconds : 0,
    gas_each: moved ? Number(gas) / moved : 0};
}

const line = (name, load_, r) => `| ${name} | ${load_} | ${r.requests} | ${r.ok} | ${r.moved} | ` +
  `${r.confirmed_per_second.toFixed(1)} | ${r.transactions} | ${r.gas_each.toFixed(0)} | ${r.p50_ms} | ${r.p99_ms} |`;

export async function settle(quick) {
  const lines = ['## /settle, exact EIP-3009, anvil with a block a second', '',
    '| facilitator | load | requests | ok | moved | confirmed per second | transactions | gas per payment | p50 ms | p99 ms |',
    '|---|---|---|---|---|---|---|---|---|---|'];
  const results = [];
  const notes = [];
  await withBoth({blockTime: 1}, async (world) => {
    const {devnet, ours, theirs} = world;
    const ourSigner = devnet.info.accounts.facilitator.address;
    const theirSigner = devnet.info.accounts.payer2.address;
    // The payee's first coin costs more than any later one.
    await settleLoad(world, ours, ourSigner, 1, 1, 1);
    const lone = await settleLoad(world, ours, ourSigner, 1, 2, 1);
    lines.push(line('ours', 'one at a time', lone));
    results.push(lone);
    const loads = quick ? [[8, 8, 32, 1], [4, 16, 64, 8]] : [[64, 256, 2560, 1], [64, 2048, 20480, 32]];
    for (const [connections, theirRequests, ourRequests, pipeline] of loads) {
      const name = `${connections} connections${pipeline > 1 ? ` x ${pipeline} pipelined` : ''}`;
      const b = await settleLoad(world, theirs, theirSigner, connections, theirRequests, pipeline);
      const a = await settleLoad(world, ours, ourSigner, connections, ourRequests, pipeline);
      lines.push(line('reference', name, b), line('ours', name, a));
      if (a.moved !== a.ok) notes.push(`Ours said ${a.ok} and the chain moved ${a.moved}.`);
      notes.push(`${name}: ${(a.confirmed_per_second / b.confirmed_per_second).toFixed(1)} times the reference's ` +
        `confirmed settlements per second, at ${(100 * a.gas_each / lone.gas_each).toFixed(0)} % of the gas of a lone one.`);
      results.push(a, {...b, reference: true});
    }
  });
  lines.push('', ...notes, '');
  return {text: lines.join('\n'), results};
}
