// The payer's side: what a payment costs its processor, a crawl of paid URLs
// beside the reference client, and what the client adds to an unpaid request.
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {buildDir, programs, run, scratchDir, start, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {cores} from './bench.lib.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const bench = join(buildDir, 'tests/bench/bench-client');

async function figures(args, core) {
  const result = await run('taskset', ['-c', core, bench, ...args.map(String)], {timeoutMs: 600000});
  if (result.code !== 0) throw new Error(`bench-client ${args[0]}: ${result.code} ${result.stderr}`);
  return JSON.parse(result.stdout);
}

/** Signing and encoding one payment, beside libsecp256k1's signing. */
export async function sign(quick) {
  const lines = ['## Sign and encode one payment, on one core', '',
    '| round | libsecp256k1 us | whole payment us | share of its rate |', '|---|---|---|---|'];
  for (let round = 1; round <= (quick ? 1 : 5); round++) {
    const {rawNs, paymentNs} = await figures(['sign', quick ? 200 : 4000], cores.measured);
    lines.push(`| ${round} | ${(rawNs / 1000).toFixed(1)} | ${(paymentNs / 1000).toFixed(1)} | ` +
      `${Math.round(100 * rawNs / paymentNs)} % |`);
  }
  return {text: `${lines.join('\n')}\n`, results: []};
}

async function world() {
  const devnet = await startDevnet({fund: 1000000000000});
  const facilitator = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network});
  const site = await start(programs.site, [], {
    env: {PORT: '0', FACILITATOR_URL: facilitator.url, PAY_TO: devnet.info.accounts.payee.address,
      X402_NETWORK: devnet.info.network},
    ready: /url=(http:\/\/[0-9.:]+)/});
  return {devnet, url: site.match[1], async stop() {
    await site.stop();
    await facilitator.stop();
    await devnet.stop();
  }};
}

/** An unpaid request: libcurl alone, and around the same kind of handle. */
export async function unpaid(quick) {
  const site = await world();
  const lines = ['## An unpaid request', '',
    '| round | libcurl us | with NOSIGNAL and a timeout us | with the client us | more than libcurl | more than with NOSIGNAL |' +
    ' CPU us of the three |', '|---|---|---|---|---|---|---|'];
  try {
    for (let round = 1; round <= (quick ? 1 : 5); round++) {
      const f = await figures(['fetch', `${site.url}/`, quick ? 400 : 40000], cores.measured);
      const us = (ns) => (ns / 1000).toFixed(1);
      const more = (a, b) => `${(100 * (b - a) / a).toFixed(1)} %`;
      lines.push(`| ${round} | ${us(f.plainWallNs)} | ${us(f.tunedWallNs)} | ${us(f.payingWallNs)} | ` +
        `${more(f.plainWallNs, f.payingWallNs)} | ${more(f.tunedWallNs, f.payingWallNs)} | ` +
        `${us(f.plainCpuNs)}, ${us(f.tunedCpuNs)}, ${us(f.payingCpuNs)} |`);
    }
  } finally {
    await site.stop();
  }
  return {text: `${lines.join('\n')}\n`, results: []};
}

/** CPU seconds of every process below this one, by name: whose time a crawl takes. */
function cpuByName() {
  const all = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
    try {
      const [, name, rest] = /^[0-9]+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'));
      const field = rest.split(' ');
      all.set(Number(pid), {name, parent: Number(field[1]), seconds: (Number(field[11]) + Number(field[12])) / 100});
    } catch { /* it has ended */ }
  }
  const names = {};
  for (const {name, parent, seconds} of all.values()) {
    let above = parent;
    while (above > 1 && above !== process.pid) above = all.get(above)?.parent ?? 0;
    if (above === process.pid) names[name] = (names[name] ?? 0) + seconds;
  }
  return names;
}

/** Run a crawler and look at its memory and processor time on the way. */
async function watched(command, args, env) {
  const before = cpuByName();
  const child = await start(command, args, {env});
  let peakMb = 0;
  let cpuSeconds = 0;
  const timer = setInterval(() => {
    try {
      peakMb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024;
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
      cpuSeconds = (Number(stat[11]) + Number(stat[12])) / 100;
    } catch { /* it has ended */ }
  }, 20);
  const begun = performance.now();
  const code = await child.exited;
  clearInterval(timer);
  const seconds = (performance.now() - begun) / 1000;
  if (code !== 0 && code !== 3) throw new Error(`${command}: ${code} ${child.output()}`);
  const others = Object.entries(cpuByName()).map(([name, cpu]) => [name, cpu - (before[name] ?? 0)])
    .filter(([, cpu]) => cpu >= 0.05).sort((a, b) => b[1] - a[1]);
  return {seconds, peakMb, cpuSeconds, others, ...JSON.parse(child.output().trim().split('\n').at(-1))};
}

/** A directory in memory, or below dir where there is no place for it. */
function pagesDir(dir) {
  try {
    return {pages: mkdtempSync('/dev/shm/x402-bench-pages-'), memory: true};
  } catch {
    return {pages: join(dir, 'pages'), memory: false};
  }
}

/**
 * Paid URLs, 200 in flight, ours and the reference, one after the other. Ours
 * keeps every body in a file, the reference throws them away: the files are in
 * memory where there is a place for it, or what a disk's file system does to
 * make one (more where many were deleted just before) is what is measured. The
 * journal is on the disk.
 */
export async function crawl(quick) {
  const count = quick ? 60 : 5000;
  const inFlight = quick ? 20 : 200;
  const site = await world();
  const dir = scratchDir('x402-bench-crawl-');
  const {pages, memory} = pagesDir(dir);
  const lines = [`## A crawl of ${count} paid URLs, ${inFlight} in flight`, '',
    '| client | URLs | paid | seconds | per second | CPU seconds | CPU ms each | peak MB |', '|---|---|---|---|---|---|---|---|'];
  const results = [];
  const add = (name, urls, paid, r) => lines.push(`| ${name} | ${urls} | ${paid} | ${r.seconds.toFixed(1)} | ` +
    `${(paid / r.seconds).toFixed(0)} | ${r.cpuSeconds.toFixed(2)} | ${(1000 * r.cpuSeconds / urls).toFixed(2)} | ` +
    `${r.peakMb.toFixed(1)} |`);
  try {
    const list = (name, urls, salt) => {
      const file = join(dir, name);
      writeFileSync(file, Array.from({length: urls}, (_, i) =>
        `${site.url}/articles/the-long-wait-of-402?${salt}=${i}\n`).join(''));
      return file;
    };
    const env = {EVM_PRIVATE_KEY: site.devnet.info.accounts.payer.privateKey};
    const ours = await watched(join(buildDir, 'examples/crawler'), ['-o', pages, '-b', '1000000',
      '-j', join(dir, 'journal.sqlite'), '-n', String(inFlight), list('ours', count, 'o')], env);
    add('ours (crawler, with its journal)', count, ours.paid, ours);
    results.push({failed: count - ours.paid});
    const theirs = await watched(process.execPath, [join(here, '../interop/peer-crawler.mjs'),
      list('theirs', count, 't'), String(inFlight)], env);
    add('`@x402/fetch`, one Node process', count, theirs.ok, theirs);
    results.push({failed: theirs.failed, reference: true});
    lines.push('', `URLs per second: ${(ours.paid / ours.seconds / (theirs.ok / theirs.seconds)).toFixed(1)} times the ` +
      `reference. CPU per URL: ${(theirs.cpuSeconds / theirs.ok / (ours.cpuSeconds / ours.paid)).toFixed(1)} times less.`);
    for (const [name, r] of [['ours', ours], ['the reference', theirs]]) {
      lines.push('', `Beside ${name}, CPU seconds: ${r.others.map(([who, cpu]) => `${who} ${cpu.toFixed(1)}`).join(', ')}; ` +
        `two cores had ${(2 * r.seconds).toFixed(1)}.`);
    }
    lines.push('', `Ours wrote its pages to files ${memory ? 'in memory' : 'on the disk'}.`);
  } finally {
    rmSync(pages, {recursive: true, force: true});
    await site.stop();
  }
  return {text: `${lines.join('\n')}\n`, results};
}

/** The payer alone: a shop that takes any payment at once, on the other core. */
export async function payer(quick) {
  const count = quick ? 200 : 5000;
  const inFlight = quick ? 20 : 200;
  const shop = await start('taskset', ['-c', cores.others, join(buildDir, 'tests/bench/bench-null-shop')],
    {ready: /url=(http:\/\/[0-9.:]+)/});
  const url = shop.match[1];
  const dir = scratchDir('x402-bench-payer-');
  const lines = [`## ${count} paid URLs, ${inFlight} in flight, a shop that answers at once`, '',
    '| client, on one core | paid | seconds | per second | CPU ms each | peak MB |', '|---|---|---|---|---|---|'];
  const results = [];
  const rate = {};
  const add = (name, paid, seconds, cpuSeconds, peakMb) => {
    rate[name] = paid / seconds;
    lines.push(`| ${name} | ${paid} | ${seconds.toFixed(2)} | ${(paid / seconds).toFixed(0)} | ` +
      `${(1000 * cpuSeconds / paid).toFixed(2)} | ${peakMb.toFixed(1)} |`);
  };
  try {
    const ours = async (name, path, journal) => {
      const f = await figures(['crawl', `${url}/${path}`, count, inFlight, ...journal], cores.measured);
      add(name, f.paid, f.wallMs / 1000, f.cpuMs / 1000, f.peakKb / 1024);
      results.push({failed: f.failed});
    };
    await ours('ours, no journal', 'a', []);
    await ours('ours, with its journal', 'b', [join(dir, 'journal.sqlite')]);
    const list = join(dir, 'list');
    writeFileSync(list, Array.from({length: count}, (_, i) => `${url}/c/${i}\n`).join(''));
    const result = await run('taskset', ['-c', cores.measured, process.execPath,
      join(here, '../interop/peer-crawler.mjs'), list, String(inFlight)],
    {env: {EVM_PRIVATE_KEY: `0x${'11'.repeat(32)}`}, timeoutMs: 600000});
    if (result.code !== 0) throw new Error(`peer-crawler: ${result.stderr}`);
    const theirs = JSON.parse(result.stdout);
    add('`@x402/fetch`, one Node process', theirs.ok, theirs.seconds, theirs.cpuSeconds, theirs.peakMb);
    results.push({failed: theirs.failed, reference: true});
    const times = (name) => (rate[name] / rate['`@x402/fetch`, one Node process']).toFixed(1);
    lines.push('', `URLs per second: ${times('ours, no journal')} times the reference without a journal, ` +
      `${times('ours, with its journal')} times with it (the reference has no memory).`);
  } finally {
    await shop.stop();
  }
  return {text: `${lines.join('\n')}\n`, results};
}
