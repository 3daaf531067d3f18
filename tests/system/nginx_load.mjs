// Paid requests while nginx is reloaded, its binary is upgraded, its workers
// are killed and all of it is: what was settled on the chain is what buyers got,
// plus what the ledger says is owed.
//
//   node tests/system/nginx_load.mjs [REQUESTS [SECONDS_BETWEEN_FAULTS [sync]]]
//
// The short form is in nginx_chain.test.mjs.

import { payments, startNginx, until } from './nginx.lib.mjs';
import { check as checkSums, paidLoad as load } from './paid_load.lib.mjs';

const AMOUNT = 1000n;
const BODY = 'The guest was late.\n'.repeat(40);

export async function paidLoad(devnet, facilitator,
  { sync = false, ...options }) {
  const { info } = devnet;
  const payee = info.accounts.payee.address;
  const nginx = await startNginx(`
  x402_state DIR/x402.state payments=65536 ${sync ? 'sync' : ''};
  x402_facilitator_url ${facilitator.url};
  x402_network ${info.network}; x402_pay_to ${payee};
  x402_public_origin http://127.0.0.1:PORT;
  server { listen 127.0.0.1:PORT reuseport; root DIR/html;
    location = /x402-status { x402_status; }
    location /paid/ { x402 on; x402_price ${AMOUNT}atomic; }
  }`, { files: { 'paid/a.txt': BODY }, daemon: true });
  return load(devnet, {
    url: `${nginx.url}/paid/a.txt`, body: BODY, payee, amount: AMOUNT,
    faults: [
      () => nginx.reload(),
      async () => {
        process.kill(nginx.workers()[0], 'SIGKILL');
        await until(() => nginx.workers().length >= 2, 'a new worker');
      },
      () => nginx.upgrade(),
      async () => { await nginx.killAll(); await nginx.start(); },
    ],
    ledger: () => payments(nginx),
    errors: () => nginx.errors().split('\n').filter((line) =>
      /\[(alert|emerg|crit)\]/.test(line) &&
      !/signal 9|open socket/.test(line)),
    stop: () => nginx.stop(),
  }, options);
}

export const check = (f) => checkSums(f, AMOUNT);

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { startDevnet, startFacilitator } = await import('../devnet/lib.mjs');
  const devnet = await startDevnet({ blockTime: '0.2' });
  const facilitator = await startFacilitator(devnet);
  const begun = Date.now();
  const f = await paidLoad(devnet, facilitator, {
    requests: Number(process.argv[2] ?? 10000), connections: 32,
    faultEveryMs: 1000 * Number(process.argv[3] ?? 5),
    sync: process.argv[4] === 'sync' });
  console.log(check(f));
  console.log(`held, in ${Math.round((Date.now() - begun) / 1000)} s`);
  await facilitator.stop();
  await devnet.stop();
  process.exit(0);
}
