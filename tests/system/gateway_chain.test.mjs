// x402-gateway with our facilitator and a real chain: our client and both
// reference clients buy through it, and it is broken under paid load.
//
//   node --test tests/system/gateway_chain.test.mjs

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { programs, run, startDevnet, startFacilitator, top } from
  '../devnet/lib.mjs';
import { startGateway, startOrigin } from './gateway_site.lib.mjs';
import { checkLoad, gatewayLoad, ledger } from './gateway_load.mjs';
import { until } from './nginx.lib.mjs';

let devnet;
let facilitator;
let origin;
let gateway;

before(async () => {
  devnet = await startDevnet({ blockTime: '0.2' });
  facilitator = await startFacilitator(devnet);
  origin = await startOrigin();
  gateway = await startGateway(`
    public_origin = "http://127.0.0.1:PORT" journal = "DIR/journal"
    facilitators = {"${facilitator.url}"} network = "${devnet.info.network}"
    pay_to = "${devnet.info.accounts.payee.address}"
    upstream "site" { url = "${origin.url}" }
    route "/before/*" { price = "$0.001" settle = before }
    route "GET /articles/*" { price = "$0.001" }
    route "POST /paid-post" { price = "$0.001" }
    route "GET /fail" { price = "$0.001" }
    route "GET /health" { free = true }`);
});
after(async () => {
  const ended = await gateway?.stop();
  await origin?.stop();
  await facilitator?.stop();
  await devnet?.stop();
  if (gateway) assert.deepEqual(ended, { code: 0, signal: null }, gateway.log);
});

const env = () => ({
  EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey,
  EVM_RPC_URL: devnet.info.rpcUrl });

// One purchase moves so much, and nothing is owed afterwards.
async function sold(amount, buy) {
  const payee = devnet.info.accounts.payee.address;
  const had = await devnet.balanceOf(payee);
  const got = await buy();
  assert.equal(await devnet.balanceOf(payee) - had, amount);
  // The end of an answer may be read before its row says so.
  await until(() => !ledger(path.join(gateway.dir, 'journal')).length,
    'nothing to be owed');
  return got;
}

async function reference(version, url, ...rest) {
  const { code, stdout, stderr } = await run(process.execPath,
    [`${top}/tests/interop/peer-client.mjs`, url, version, ...rest],
    { env: env() });
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

const TALE = /The guest was late/;

test('our client buys, settled after and before', async () => {
  origin.handler = (one, res) => {
    if (!one.url.startsWith('/before/')) return false;
    res.end('The guest was late');
    return true;
  };
  for (const target of ['/articles/the-long-wait-of-402', '/before/x'])
    await sold(1000n, async () => {
      const { code, stdout, stderr } = await run(programs.client,
        ['get', gateway.url + target], { env: env() });
      assert.equal(code, 0, stderr);
      assert.match(stdout, TALE);
    });
  origin.handler = null;
});

for (const version of ['v2', 'v1']) {
  test(`the reference client (${version}) buys`, async () => {
    const answer = await sold(1000n, () => reference(version,
      `${gateway.url}/articles/the-long-wait-of-402`));
    assert.equal(answer.status, 200);
    assert.match(answer.body, TALE);
    assert.equal(answer.receipt.success, true);
    assert.match(answer.receipt.transaction, /^0x[0-9a-f]{64}$/);
  });

  test(`the reference client (${version}) buys with a body`, async () => {
    origin.asked = [];
    const answer = await sold(1000n, () => reference(version,
      `${gateway.url}/paid-post`, 'POST', '{"a":1}'));
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '{"paid":true}');
    assert.deepEqual(origin.asked.map((one) => one.body), ['{"a":1}']);
  });

  test(`a page that fails costs the reference client (${version}) nothing`,
    async () => {
      const answer = await sold(0n, () => reference(version,
        `${gateway.url}/fail`));
      assert.equal(answer.status, 500);
    });

  test(`a free page costs the reference client (${version}) nothing`,
    async () => {
      const answer = await sold(0n, () => reference(version,
        `${gateway.url}/health`));
      assert.equal(answer.status, 200);
      assert.equal(answer.receipt, null);
    });
}

for (const settle of ['after', 'before'])
  test(`broken under paid load, settled ${settle}, nothing is lost and ` +
    'nothing given away', async () => {
    checkLoad(await gatewayLoad(devnet, facilitator,
      { requests: 240, connections: 8, faultEveryMs: 500, settle }));
  });
