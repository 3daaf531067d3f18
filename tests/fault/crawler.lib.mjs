// A crawler that is killed at random points and started again, over a real
// chain: what its journal says against what the chain says. The short form is
// crawler.test.mjs; the long one:
//
//   node tests/fault/crawler.mjs [--urls 1000] [--kills 100] [--seed N]
import assert from 'node:assert/strict';
import {readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {buildDir, programs, run, scratchDir, sleep, start, startDevnet, startFacilitator}
  from '../devnet/lib.mjs';

export const PRICE = 10000n; // of an article of the content site: $0.01
const PAID = [2, 3];
const UNPAID = 4;

/** A small generator, so that a run can be had again by its seed. */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Chain, facilitator, site. */
export async function startWorld(options = {}) {
  const devnet = await startDevnet({blockTime: 0.2, ...options});
  const facilitator = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network});
  const site = await start(programs.site, [], {
    env: {PORT: '0', FACILITATOR_URL: facilitator.url, PAY_TO: devnet.info.accounts.payee.address,
      X402_NETWORK: devnet.info.network},
    ready: /url=(http:\/\/[0-9.:]+)/});
  return {
    devnet, facilitator, site, url: site.match[1], dir: scratchDir('x402-crawler-'),
    async stop() {
      await site.stop();
      await facilitator.stop();
      await devnet.stop();
    },
  };
}

export function writeList(world, name, count, from = 0) {
  const file = join(world.dir, name);
  writeFileSync(file, Array.from({length: count}, (_, i) =>
    `${world.url}/articles/the-long-wait-of-402?n=${from + i}\n`).join(''));
  return file;
}

export function crawlerArguments(world, list, out, budget) {
  const {network, rpcUrl} = world.devnet.info;
  return ['-o', join(world.dir, out), '-b', budget, '-j', join(world.dir, 'journal.sqlite'), '-n', '40',
    '-r', `${network}=${rpcUrl}`, '-t', 'latest', list];
}

export const env = (world) => ({EVM_PRIVATE_KEY: world.devnet.info.accounts.payer.privateKey});
const crawler = () => join(buildDir, 'examples/crawler');

/** Run to its own end. */
export async function crawl(world, list, out, budget, extra = []) {
  const args = crawlerArguments(world, list, out, budget);
  const result = await run(crawler(), [...args.slice(0, -1), ...extra, list], {env: env(world), timeoutMs: 300000});
  assert.ok(result.code === 0 || result.code === 3, `crawler: ${result.code} ${result.stderr}`);
  const events = result.stderr.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  return {code: result.code, events, output: result.stderr, ...JSON.parse(result.stdout)};
}

/** Start it, and kill -9 after so many milliseconds. True: it was alive. */
export async function crawlAndKill(world, list, out, budget, ms) {
  const child = await start(crawler(), crawlerArguments(world, list, out, budget), {env: env(world)});
  await Promise.race([sleep(ms), child.exited]);
  return await child.stop('SIGKILL') === 'SIGKILL';
}

async function rows(world) {
  const result = await run('sqlite3', ['-json', join(world.dir, 'journal.sqlite'),
    'SELECT number, url, state, amount, header_text, presented FROM purchases ORDER BY number']);
  assert.equal(result.code, 0, result.stderr);
  return JSON.parse(result.stdout || '[]').map((row) => ({...row, nonce: row.header_text
    ? JSON.parse(Buffer.from(row.header_text, 'base64')).payload.authorization.nonce.toLowerCase() : null}));
}

const USED = '0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5'; // AuthorizationUsed

/** Nonces that the payer's authorizations have used up, from the chain's logs. */
async function usedNonces(world) {
  const {payer} = world.devnet.info.accounts;
  const logs = await world.devnet.rpc('eth_getLogs', [{fromBlock: '0x0', toBlock: 'latest',
    address: world.devnet.info.token,
    topics: [USED, `0x${payer.address.slice(2).toLowerCase().padStart(64, '0')}`]}]);
  return logs.map((log) => log.topics[2].toLowerCase());
}

/**
 * The journal against the chain. Every authorization that moved money is in
 * the journal as paid and under one URL; nothing else is.
 */
export async function compare(world, before) {
  const journal = await rows(world);
  const used = await usedNonces(world);
  const byNonce = new Map(journal.filter((row) => row.nonce).map((row) => [row.nonce, row]));
  assert.equal(new Set(used).size, used.length, 'a nonce was used twice');
  const urls = new Map();
  for (const nonce of used) {
    const row = byNonce.get(nonce);
    assert.ok(row, `the chain moved money that the journal does not know: ${nonce}`);
    assert.notEqual(row.state, UNPAID, `charged, and called unpaid: ${row.url}`);
    urls.set(row.url, (urls.get(row.url) ?? 0) + 1);
  }
  for (const [url, times] of urls) assert.equal(times, 1, `${url} was paid ${times} times`);
  const usedSet = new Set(used);
  for (const row of journal)
    if (PAID.includes(row.state)) assert.ok(usedSet.has(row.nonce), `called paid, and not charged: ${row.url}`);
  const moved = await world.devnet.balanceOf(world.devnet.info.accounts.payee.address) - before;
  assert.equal(moved, BigInt(used.length) * PRICE, 'the payee got another sum');
  const count = (state) => journal.filter((row) => row.state === state).length;
  return {paid: used.length, purchases: journal.length, unknown: count(1), delivered: count(2), undelivered: count(3),
    unpaid: count(4), urls: urls.size, presentedAgain: journal.filter((row) => row.presented > 1).length};
}

/** Kill it again and again, then let it finish; what came of it. */
export async function killAndResume(world, {urls, kills, seed, spanMs = 480, budget = '1000', log = () => {}}) {
  const next = random(seed);
  const list = writeList(world, 'list', urls);
  const before = await world.devnet.balanceOf(world.devnet.info.accounts.payee.address);
  let alive = 0;
  for (let i = 0; i < kills; i++) {
    alive += await crawlAndKill(world, list, 'out', budget, 20 + next() * spanMs);
    if (i % 10 === 9) log(`${i + 1} kills`);
  }
  // What the last kill left may wait for a block still: nobody knows yet.
  const last = [];
  for (const end = Date.now() + 60000; ; await sleep(250)) {
    last.push(await crawl(world, list, 'out', budget));
    if (last.at(-1).code === 0 || Date.now() > end) break;
  }
  const files = readdirSync(join(world.dir, 'out')).filter((name) => !name.endsWith('.part')).length;
  return {alive, files, last: last.at(-1), runs: last.length, ...await compare(world, before)};
}
