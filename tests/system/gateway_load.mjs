// Paid requests while x402-gateway is reloaded, killed with -9 and restarted,
// and its origin comes and goes: what was settled on the chain is what buyers
// got, plus what the journal says is owed.
//
//   node tests/system/gateway_load.mjs [REQUESTS [SECONDS_BETWEEN_FAULTS]]
//
// The short form is in gateway_chain.test.mjs.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { startGateway, startOrigin } from './gateway_site.lib.mjs';
import { check, paidLoad } from './paid_load.lib.mjs';

const top = new URL('../..', import.meta.url).pathname;
const revenue = path.join(process.env.X402_BUILD_DIR ??
  path.join(top, 'build/asan'), 'provider-sdk/x402-revenue');
const AMOUNT = 1000n;
const BODY = 'The guest was late.\n'.repeat(400);

// What the journal has as not delivered.
export function ledger(journal) {
  return ['unknown', 'owed'].flatMap((state) =>
    execFileSync(revenue, [journal, '--list', state]).toString().split('\n')
      .filter(Boolean).map((line) => ({ ...JSON.parse(line), busy: false,
        state: state === 'owed' ? 'undelivered' : state })));
}

export async function gatewayLoad(devnet, facilitator, options) {
  const { info } = devnet;
  const payee = info.accounts.payee.address;
  const origin = await startOrigin();
  let cut = false;
  origin.handler = (one, res) => {
    res.setHeader('content-length', BODY.length);
    // An origin that breaks off in the midst of what was paid for.
    if (cut) {
      res.write(BODY.slice(0, 2000));
      setTimeout(() => res.destroy(), 5);
    } else {
      res.end(BODY);
    }
    return true;
  };
  const gateway = await startGateway(`
    public_origin = "http://127.0.0.1:PORT" journal = "DIR/journal"
    facilitators = {"${facilitator.url}"} network = "${info.network}"
    pay_to = "${payee}" access_log = false settle = ${options.settle ?? 'after'}
    upstream "site" { url = "${origin.url}" breaker_failures = 0 }
    route "GET /paid/*" { price = "$0.001" }`);
  const journal = path.join(gateway.dir, 'journal');
  const again = async () => { await gateway.kill(); await gateway.start(); };
  return paidLoad(devnet, {
    url: `${gateway.url}/paid/a.txt`, body: BODY, payee, amount: AMOUNT,
    faults: [
      again,
      async () => { gateway.child.kill('SIGHUP'); },
      again,
      async () => {
        cut = true;
        await new Promise((done) => setTimeout(done, 60));
        cut = false;
      },
      async () => {
        gateway.child.kill('SIGTERM');
        await gateway.exited;
        await gateway.start();
      },
    ],
    ledger: async () => ledger(journal),
    errors: () => gateway.log.split('\n').filter((line) =>
      /ERROR|runtime error|Assertion/.test(line)),
    stop: async () => { await gateway.stop(); await origin.stop(); },
  }, options);
}

export const checkLoad = (f) => check(f, AMOUNT);

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { startDevnet, startFacilitator } = await import('../devnet/lib.mjs');
  const devnet = await startDevnet({ blockTime: '0.2' });
  const facilitator = await startFacilitator(devnet);
  const begun = Date.now();
  const f = await gatewayLoad(devnet, facilitator, {
    requests: Number(process.argv[2] ?? 10000), connections: 32,
    faultEveryMs: 1000 * Number(process.argv[3] ?? 5) });
  console.log(checkLoad(f));
  console.log(`held, in ${Math.round((Date.now() - begun) / 1000)} s`);
  await facilitator.stop();
  await devnet.stop();
  process.exit(0);
}
