// /verify and /settle with an empty journal and with one full of old payments.
// A few payments are settled for real; fill.mjs then repeats their rows.
import {join} from 'node:path';
import {statSync} from 'node:fs';
import {scratchDir, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {cpuSeconds, keepDevnet, load, median, settleLoad} from './bench.lib.mjs';
import {fill} from './fill.mjs';
import {BLOCK_GAS} from './settle.mjs';

/* Other work on the machine falls on single rounds: the median counts. */
const ROUNDS = 3;

async function measure(devnet, file, store, quick) {
  const ours = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network, X402_STORE: store});
  try {
    const start = cpuSeconds(ours.pid);
    const verify = await load(`${ours.url}/verify`, file, 64, quick ? 200 : 10000);
    const between = cpuSeconds(ours.pid);
    const settle = await settleLoad({devnet, file}, ours, devnet.info.accounts.facilitator.address,
      quick ? [4, 64, 8] : [64, 12288, 32]);
    const us = (seconds, requests) => seconds / requests * 1e6;
    return {verify, settle, verifyUs: us(between - start, verify.requests),
      settleUs: us(cpuSeconds(ours.pid) - between, settle.requests)};
  } finally {
    await ours.stop();
  }
}

export async function journal(quick, payments = quick ? 20000 : 5000000) {
  const devnet = await startDevnet({accounts: 200, fund: 1000000000, blockTime: 1, gasLimit: BLOCK_GAS});
  const dir = scratchDir('x402-bench-');
  const file = keepDevnet(devnet.info);
  const stores = {empty: join(dir, 'empty.sqlite'), full: join(dir, 'full.sqlite')};
  const results = [];
  const rates = {empty: {verify: [], settle: []}, full: {verify: [], settle: []}};
  const work = {empty: {verify: [], settle: []}, full: {verify: [], settle: []}};
  const lines = [`## A journal of ${payments} old payments (SQLite) beside an empty one`, '',
    '| journal | MB | /verify per second | p99 ms | CPU us each | /settle confirmed per second | p99 ms | CPU us each |',
    '|---|---|---|---|---|---|---|---|'];
  try {
    for (const store of Object.values(stores)) {
      const ours = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network, X402_STORE: store});
      results.push(await load(`${ours.url}/settle`, file, 4, 4));
      await ours.stop();
    }
    await fill(stores.full, payments);
    // In turns, each first in every second round, so that what else the
    // machine does falls on both.
    for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
      const order = Object.entries(stores);
      if (round % 2) order.reverse();
      for (const [name, store] of order) {
        const {verify, settle, verifyUs, settleUs} = await measure(devnet, file, store, quick);
        rates[name].verify.push(verify.per_second);
        rates[name].settle.push(settle.confirmed_per_second);
        work[name].verify.push(verifyUs);
        work[name].settle.push(settleUs);
        results.push(verify, settle);
        lines.push(`| ${name} | ${(statSync(store).size / 1e6).toFixed(0)} | ${verify.per_second} | ${verify.p99_ms} | ` +
          `${verifyUs.toFixed(0)} | ${settle.confirmed_per_second.toFixed(1)} | ${settle.p99_ms} | ${settleUs.toFixed(0)} |`);
      }
    }
  } finally {
    await devnet.stop();
  }
  const share = (of, what) => (100 * median(of.full[what].map((value, i) => value / of.empty[what][i]))).toFixed(0);
  lines.push('', `Full against empty, median of the rounds: /verify ${share(rates, 'verify')} %, /settle ${share(rates, 'settle')} %. ` +
    `CPU time of the daemon: /verify ${share(work, 'verify')} %, /settle ${share(work, 'settle')} %.`, '');
  return {text: lines.join('\n'), results};
}
