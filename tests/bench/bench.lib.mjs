// What the measurements share: the load, the two facilitators, pinning to a
// core, and what the kernel and the chain say about them.
import {randomBytes} from 'node:crypto';
import {readFileSync, writeFileSync} from 'node:fs';
import {cpus} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {buildDir, programs, rpc, run, scratchDir, sleep, start, startDevnet, startFacilitator} from '../devnet/lib.mjs';

// Each scratch directory and each child cleans up at the end of the process.
process.setMaxListeners(0);

const here = fileURLToPath(new URL('.', import.meta.url));
const program = (name) => join(buildDir, 'tests/bench', name);

/** What bench-load signs for each payment. */
export const AMOUNT = 1000n;

/** Resident memory in MB, as the kernel counts it. */
export function rssMb(pid) {
  const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
  return (kb / 1024).toFixed(1);
}

/** Seconds of CPU that a process has used, user and system. */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100; // clock ticks of 10 ms
}

export const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** The core to measure on, and one for everything else, where there are two. */
export const cores = {measured: '0', others: cpus().length > 1 ? '1' : '0'};

/** All threads of a process to one core. */
export async function pin(pid, core) {
  const result = await run('taskset', ['-a', '-c', '-p', core, String(pid)]);
  if (result.code !== 0) throw new Error(`taskset: ${result.stderr}`);
}

/** Run bench-load; its line of figures. */
export async function load(url, devnetFile, connections, requests, {pipeline = 1, core} = {}) {
  const args = [program('bench-load'), '--url', url, '--devnet', devnetFile, '--connections', String(connections),
    '--requests', String(requests), '--pipeline', String(pipeline)];
  const result = await run(core ? 'taskset' : args[0], core ? ['-c', core, ...args] : args.slice(1),
    {timeoutMs: 900000});
  if (result.code !== 0) throw new Error(`bench-load: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

/** The same with bodies that were made before: [[payer, body], ...]. */
export async function loadBodies(url, requests, connections) {
  const file = join(scratchDir('x402-bench-'), 'bodies');
  writeFileSync(file, requests.map(([payer, body]) => `${payer} ${JSON.stringify(body)}\n`).join(''));
  const result = await run(program('bench-load'), ['--url', url, '--bodies', file, '--connections', String(connections)],
    {timeoutMs: 900000});
  if (result.code !== 0) throw new Error(`bench-load: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

/** Rates of the pieces, per second. */
export async function micro(ms, core) {
  const args = [program('bench-micro'), String(ms)];
  const result = await run(core ? 'taskset' : args[0], core ? ['-c', core, ...args] : args.slice(1));
  if (result.code !== 0) throw new Error(`bench-micro: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

/** Rates of one Solana payment, the captured one of the reference's client. */
export async function svmMicro(ms) {
  const payload = join(here, '../vectors/svm/payload-v2-2.27.0.json');
  const result = await run(program('bench-svm-micro'), [payload, String(ms)]);
  if (result.code !== 0) throw new Error(`bench-svm-micro: ${result.stderr}`);
  return JSON.parse(result.stdout);
}

export async function reference(devnet, env = {}) {
  // Of an account's first two payments viem's nonce manager gives both nonce 0.
  await devnet.rpc('anvil_setNonce', [devnet.info.accounts.payer2.address, '0x1']);
  const peer = await start(process.execPath, [join(here, '../interop/peer-facilitator.mjs')], {
    env: {PORT: '0', EVM_RPC_URL: devnet.info.rpcUrl, NONCE_MANAGER: '1',
      EVM_PRIVATE_KEY: devnet.info.accounts.payer2.privateKey, ...env},
    ready: /url=(http:\/\/[0-9.:]+)/});
  peer.url = peer.match[1];
  return peer;
}

/** What bench-load reads: a devnet's description, in a file. */
export function keepDevnet(info) {
  const file = join(scratchDir('x402-bench-'), 'devnet.json');
  writeFileSync(file, JSON.stringify(info), {mode: 0o600});
  return file;
}

/** Devnet, our daemon and the reference, for the time of one measurement. */
export async function withBoth(options, measure) {
  const devnet = await startDevnet({accounts: 200, fund: 1000000000, ...options});
  const file = keepDevnet(devnet.info);
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

/** Our daemon alone, one worker, before a chain that answers at once. */
export async function withNullRpc(env, measure) {
  const key = () => `0x${randomBytes(32).toString('hex')}`;
  const address = () => `0x${randomBytes(20).toString('hex')}`;
  // USDC there: an unknown token is asked one thing more, and yes is the wrong answer.
  const info = {token: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', network: 'eip155:84532',
    accounts: {payee: {address: address()}, payer: {privateKey: key()}, facilitator: {privateKey: key()}},
    extra: Array.from({length: 200}, () => ({privateKey: key()}))};
  const chain = await start(program('bench-null-rpc'), ['--asset', info.token], {ready: /url=(http:\/\/[0-9.:]+)/});
  info.rpcUrl = chain.match[1];
  const file = keepDevnet(info);
  const ours = await startFacilitator({info}, {X402_NETWORK: info.network, X402_WORKERS: '1', ...env});
  try {
    return await measure({info, rpc: chain, file, ours});
  } finally {
    await ours.stop();
    await chain.stop();
  }
}

/** Our daemon by a configuration file, for what the environment cannot say. */
export async function startConfigured(info, lines) {
  const dir = scratchDir();
  const key = join(dir, 'key');
  const file = join(dir, 'facilitator.conf');
  writeFileSync(key, info.accounts.facilitator.privateKey, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${dir}/facilitator.sqlite"\n${lines}\n` +
    `chain "${info.network}" {\n rpc_urls = {"${info.rpcUrl}"}\n signer_key_file = {"${key}"}\n}\n`);
  const daemon = await start(programs.facilitator, ['-c', file], {ready: /url=(http:\/\/[0-9.:]+)/});
  daemon.url = daemon.match[1];
  return daemon;
}

/* The balance while a load runs: when it last changed, and to what. */
function watchBalance(devnet, address) {
  const seen = {balance: null, at: 0, done: false};
  seen.finished = (async () => {
    while (!seen.done) {
      // A node under such a load closes a connection now and then.
      const balance = await devnet.balanceOf(address).catch(() => seen.balance);
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
  const head = Number(await rpc(url, 'eth_blockNumber'));
  let gas = 0n;
  let transactions = 0;
  for (let number = fromBlock; number <= head; number++) {
    const receipts = await rpc(url, 'eth_getBlockReceipts', [`0x${number.toString(16)}`]);
    for (const receipt of receipts ?? []) {
      if (receipt.from.toLowerCase() !== sender.toLowerCase()) continue;
      gas += BigInt(receipt.gasUsed);
      transactions++;
    }
  }
  return {gas, transactions};
}

/** One load against one facilitator; figures of the answers, of the chain and of CPU time. */
export async function settleLoad({devnet, file}, facilitator, sender, [connections, requests, pipeline]) {
  const {payee} = devnet.info.accounts;
  const block = Number(await devnet.rpc('eth_blockNumber')) + 1;
  const before = await devnet.balanceOf(payee.address);
  const pids = [facilitator.pid, devnet.info.anvilPid];
  const cpuBefore = pids.map(cpuSeconds);
  const watch = watchBalance(devnet, payee.address);
  const result = await load(`${facilitator.url}/settle`, file, connections, requests, {pipeline});
  const started = performance.now() - result.seconds * 1000;
  // What was answered as pending, or given up, may still be mined.
  if (result.ok < requests) await sleep(5000);
  await sleep(1200);
  watch.done = true;
  await watch.finished;
  const [ownUs, chainUs] = pids.map((pid, i) => (cpuSeconds(pid) - cpuBefore[i]) / requests * 1e6);
  const moved = Number((watch.balance - before) / AMOUNT);
  const {gas, transactions} = await gasUsed(devnet, sender, block);
  const seconds = (watch.at - started) / 1000;
  return {...result, moved, transactions, own_us: ownUs, chain_us: chainUs, confirmed_per_second: moved ? moved / seconds : 0,
    gas_each: moved ? Number(gas) / moved : 0};
}

export const tableHead = '| facilitator | connections | requests | ok | per second | p50 ms | p95 ms | p99 ms |\n' +
  '|---|---|---|---|---|---|---|---|';
export const row = (name, c, r) =>
  `| ${name} | ${c} | ${r.requests} | ${r.ok} | ${r.per_second} | ${r.p50_ms} | ${r.p95_ms} | ${r.p99_ms} |`;
