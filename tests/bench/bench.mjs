// Ours and the reference facilitator side by side, in one run, never at once:
//   node tests/bench/bench.mjs [--quick] [--only NAME]
//
// NAME is one of `measurements` below. Fresh distinct payments for every
// measurement (signed before the clock starts, by bench-load). Prints markdown. X402_BUILD_DIR names a release build; tests/bench/run.sh makes one.
import {readFileSync} from 'node:fs';
import {cpus} from 'node:os';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {micro as rates, svmMicro} from './bench.lib.mjs';
import {crawl, payer, sign, unpaid} from './client.mjs';
import {journal} from './journal.mjs';
import {kinds} from './kinds.mjs';
import {idle, memory} from './memory.mjs';
import {provider} from './provider.mjs';
import {settle} from './settle.mjs';
import {svmKinds} from './svm_kinds.mjs';
import {recover, verify} from './verify.mjs';

async function micro(quick) {
  const lines = ['## Pieces, on one core', '', '| piece | per second |', '|---|---|'];
  for (const [name, rate] of Object.entries(await rates(quick ? 20 : 1000))) lines.push(`| ${name} | ${rate} |`);
  return {text: `${lines.join('\n')}\n`, results: []};
}

/** A Solana payment up to the chain's door, beside libsodium's verification. */
async function svm(quick) {
  const rounds = [];
  for (let i = 0; i < (quick ? 1 : 5); i++) rounds.push(await svmMicro(quick ? 20 : 1000));
  const lines = ['## A Solana payment before the chain is asked, per second of CPU', '',
    '| round | libsodium verifies | token accounts derived | requests read and planned | ratio |', '|---|---|---|---|---|'];
  rounds.forEach((round, i) => lines.push(`| ${i + 1} | ${round.verify_libsodium} | ${round.ata} | ` +
    `${round.read_and_verify_plan} | ${(round.read_and_verify_plan / round.verify_libsodium).toFixed(2)} |`));
  return {text: `${lines.join('\n')}\n`, results: []};
}

export const measurements = {verify, recover, settle, kinds, journal, memory, idle, micro, svm, 'svm-kinds': svmKinds, sign, unpaid, payer, crawl, provider};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const {values} = parseArgs({options: {quick: {type: 'boolean', default: false}, only: {type: 'string'}}});
  if (values.only && !measurements[values.only]) {
    console.error(`bench: --only: expected one of ${Object.keys(measurements).join(', ')}`);
    process.exit(2);
  }
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
