// Ours and the reference facilitator side by side, in one run, never at once:
//   node tests/bench/bench.mjs [--quick] [--only verify|settle|memory|micro]
//
// One devnet, fresh distinct payments for every measurement (signed before the
// clock starts, by bench-load). Prints markdown. X402_BUILD_DIR names a release
// build; tests/bench/run.sh makes one.
import {readFileSync, writeFileSync} from 'node:fs';
import {cpus} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {buildDir, run, scratchDir, start, startDevnet, startFacilitator} from '../devnet/lib.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));

/** Resident memory in MB, as the kernel counts it. */
function rssMb(pid) {
  const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
  return (kb / 1024).toFixed(1);
}

async function load(url, devnetFile, connections, requests) {
  const result = await run(join(buildDir, 'tests/bench/bench-load'), ['--url', url, '--devnet', devnetFile,
    '--connections', String(connections), '--requests', String(requests)], {timeoutMs: 600000});
  if (result.code !== 0) throw new Error(`bench-load: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

async function reference(devnet) {
  const peer = await start(process.execPath, [join(here, '../interop/peer-facilitator.mjs')], {
    env: {PORT: '0', EVM_RPC_URL: devnet.info.rpcUrl, NONCE_MANAGER: '1',
      EVM_PRIVATE_KEY: devnet.info.accounts.payer2.privateKey},
    ready: /url=(http:\/\/[0-9.:]+)/});
  peer.url = peer.match[1];
  return peer;
}

/** Devnet, our daemon and the reference, for the time of one measurement. */
async function withBoth(options, measure) {
  const devnet = await startDevnet({accounts: 200, fund: 1000000000, ...options});
  const file = join(scratchDir('x402-bench-'), 'devnet.json');
  writeFileSync(file, JSON.stringify(devnet.info), {mode: 0o600});
  const ours = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network});
  const theirs = await reference(devnet);
  try {
    return await measure({devnet, file, ours, theirs});
  } finally {
    await ours.stop();
    await theirs.stop();
    await devnet.stop();
  }
}

const row = (name, c, r) => `| ${name} | ${c} | ${r.requests} | ${r.ok} | ${r.per_second} | ${r.p50_ms} | ${r.p95_ms} | ${r.p99_ms} |`;
const head = '| facilitator | connections | requests | ok | per second | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|---|---|---|';

async function verify(quick) {
  const lines = ['## /verify, exact EIP-3009, anvil', '', head];
  const ratios = [];
  const results = [];
  await withBoth({}, async ({file, ours, theirs}) => {
    for (const connections of [1, 8, 64]) {
      const b = await load(`${theirs.url}/verify`, file, connections, quick ? 64 : 600);
      const a = await load(`${ours.url}/verify`, file, connections, quick ? 200 : 6000);
      lines.push(row('reference', connections, b), row('ours', connections, a));
      ratios.push(`${connections}: ${(a.per_second / b.per_second).toFixed(1)}`);
      results.push(a, b);
    }
  });
  lines.push('', `Ratio of requests per second, ours to reference, by connections: ${ratios.join(', ')}.`, '');
  return {text: lines.join('\n'), results};
}

async function settle(quick) {
  const lines = ['## /settle, exact EIP-3009, anvil with a block a second', '', head];
  const ratios = [];
  const results = [];
  await withBoth({blockTime: 1}, async ({devnet, file, ours, theirs}) => {
    const {payee} = devnet.info.accounts;
    for (const connections of [1, 8, 64]) {
      const requests = quick ? Math.min(connections, 16) : Math.max(4 * connections, 8);
      const before = await devnet.balanceOf(payee.address);
      const b = await load(`${theirs.url}/settle`, file, connections, requests);
      const between = await devnet.balanceOf(payee.address);
      const a = await load(`${ours.url}/settle`, file, connections, quick ? requests : 2 * requests);
      const after = await devnet.balanceOf(payee.address);
      if (after - between !== 1000n * BigInt(a.ok)) throw new Error('the chain moved another sum than ours said');
      lines.push(row('reference', connections, b), row('ours', connections, a));
      ratios.push(`${connections}: ${(a.per_second / b.per_second).toFixed(1)}`);
      results.push(a, {...b, moved: Number(between - before) / 1000});
    }
  });
  lines.push('', `Ratio of settlements per second, ours to reference, by connections: ${ratios.join(', ')}.`,
    'For ours, the payee\'s balance grew by exactly the successes.', '');
  return {text: lines.join('\n'), results};
}

async function memory(quick) {
  const lines = ['## Memory (VmRSS)', '', '| facilitator | idle MB | after | MB |', '|---|---|---|---|'];
  const results = [];
  await withBoth({}, async ({file, ours, theirs}) => {
    const idle = [rssMb(ours.pid), rssMb(theirs.pid)];
    const ourVerifies = quick ? 400 : 100000;
    const theirVerifies = quick ? 100 : 5000;
    let done = 0;
    while (done < ourVerifies) {
      const n = Math.min(10000, ourVerifies - done);
      results.push(await load(`${ours.url}/verify`, file, 64, n));
      done += n;
    }
    results.push(await load(`${theirs.url}/verify`, file, 64, theirVerifies));
    lines.push(`| ours | ${idle[0]} | ${ourVerifies} verifies | ${rssMb(ours.pid)} |`,
      `| reference | ${idle[1]} | ${theirVerifies} verifies | ${rssMb(theirs.pid)} |`, '');
  });
  return {text: lines.join('\n'), results};
}

async function micro(quick) {
  const result = await run(join(buildDir, 'tests/bench/bench-micro'), [quick ? '20' : '1000']);
  if (result.code !== 0) throw new Error(`bench-micro: ${result.stderr}`);
  const rates = JSON.parse(result.stdout);
  const lines = ['## Pieces, on one core', '', '| piece | per second |', '|---|---|'];
  for (const [name, rate] of Object.entries(rates)) lines.push(`| ${name} | ${rate} |`);
  return {text: `${lines.join('\n')}\n`, results: []};
}

export const measurements = {verify, settle, memory, micro};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const {values} = parseArgs({options: {quick: {type: 'boolean', default: false}, only: {type: 'string'}}});
  console.log(`${cpus().length} cores of ${cpus()[0].model}, load average before: ` +
    `${readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' ')}\n`);
  for (const [name, measure] of Object.entries(measurements)) {
    if (values.only && values.only !== name) continue;
    const {text, results} = await measure(values.quick);
    console.log(text);
    const failed = results.filter((r) => r.failed > 0);
    if (failed.length > 0) console.log(`Failed requests: ${JSON.stringify(failed)}\n`);
  }
}
