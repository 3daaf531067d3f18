// The reference client over a list of URLs, in one process, so many in flight:
//   node peer-crawler.mjs LIST IN_FLIGHT
//   EVM_PRIVATE_KEY
// Prints one line of JSON: seconds, ok, failed, peak resident memory in MB.
import {readFileSync} from 'node:fs';
import {webcrypto} from 'node:crypto';
import {privateKeyToAccount} from 'viem/accounts';
import {wrapFetchWithPaymentFromConfig} from '@x402/fetch';
import {ExactEvmScheme} from '@x402/evm';

// Debian 12's node 18 has it under another name; the packages want it global.
globalThis.crypto ??= webcrypto;

const [list, inFlight] = process.argv.slice(2);
const urls = readFileSync(list, 'utf8').split('\n').filter(Boolean);
const pay = wrapFetchWithPaymentFromConfig(fetch, {
  schemes: [{network: 'eip155:84532', client: new ExactEvmScheme(privateKeyToAccount(process.env.EVM_PRIVATE_KEY))}]});
let next = 0;
let ok = 0;
let failed = 0;
let reason = '';

async function worker() {
  while (next < urls.length) {
    const url = urls[next++];
    try {
      const response = await pay(url);
      await response.text();
      if (response.status === 200 && response.headers.get('payment-response')) ok++;
      else failed++;
    } catch (error) {
      failed++;
      reason = String(error);
    }
  }
}

const start = performance.now();
await Promise.all(Array.from({length: Number(inFlight)}, worker));
const seconds = (performance.now() - start) / 1000;
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
const usage = process.cpuUsage();
console.log(JSON.stringify({seconds, ok, failed, reason, peakMb: Number(peak.toFixed(1)),
  cpuSeconds: (usage.user + usage.system) / 1e6}));
process.exit(0);
