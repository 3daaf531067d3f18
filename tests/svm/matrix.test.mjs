// Each kind of payment on Solana, with our part and the reference's in each role
// in turn, as real processes; balances are read from the chain. For version 2
// the reference is @x402/svm and @x402/express 2.27.0, for version 1 x402-fetch
// and x402-express 1.2.0. Our server is the gateway.
import assert from 'node:assert/strict';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import {once} from 'node:events';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {createKeyPairSignerFromBytes} from '@solana/kit';
import {x402Client, x402HTTPClient} from '@x402/core/client';
import {HTTPFacilitatorClient} from '@x402/core/server';
import {ExactSvmScheme as ClientScheme} from '@x402/svm/exact/client';
import {ExactSvmScheme as ServerScheme} from '@x402/svm/exact/server';
import {buildDir, programs, run, scratchDir, start} from '../devnet/lib.mjs';
import {fromBase58} from './ledger.mjs';
import {balance, NETWORK, startDaemon, startDevnet} from './svm.lib.mjs';

// What tests/interop has installed is not installed here a second time.
const others = createRequire(new URL('../interop/package.json', import.meta.url));
const other = (name) => import(pathToFileURL(others.resolve(name).replace('/dist/cjs/', '/dist/esm/')
  .replace(/(\/dist\/esm\/.*)\.js$/, '$1.mjs')).href);
const express = others('express');
const {paymentMiddleware, x402ResourceServer} = await other('@x402/express');
const {paymentMiddleware: paymentMiddlewareV1} = await other('x402-express');
const {createSigner, wrapFetchWithPayment} = await other('x402-fetch');

const BODY = 'what was paid for';
const roles = ['ours', 'reference'];
// What a route says beside its price. A memo is one payment's: two of the same
// bytes would be one transaction.
const kinds = {
  'SPL Token': () => ({}),
  'Token-2022': () => ({asset: devnet.plain2022}),
  'with a memo': (who) => ({extra: {memo: `${who} pi_3abc123def456`}}),
  'with a blockhash that is given': () => ({blockhash: true}),
  upfront: () => ({upfront: true}),
  'version 1': () => ({v1: true}),
};

let devnet;
let origin; // behind our gateway
const facilitators = {};
before(async () => {
  devnet = await startDevnet();
  facilitators.ours = await startDaemon(devnet);
  facilitators.reference = await start(process.execPath, [fileURLToPath(new URL('peer-facilitator.mjs', import.meta.url))],
    {env: {SVM_RPC_URL: devnet.rpcUrl, SVM_PRIVATE_KEY: devnet.accounts.facilitator.secretKey}, ready: /listening url=(\S+)/});
  facilitators.reference.url = facilitators.reference.match[1];
  origin = await listen(createServer((request, response) => response.end(BODY)));
});
after(async () => {
  await facilitators.ours?.daemon.stop();
  await facilitators.reference?.stop();
  origin?.stop();
  await devnet?.stop();
});

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {url: `http://127.0.0.1:${server.address().port}`, stop: () => {
    server.close();
    server.closeAllConnections();
  }};
}

const servers = {
  /** The gateway, on a configuration of its own. */
  async ours(facilitator, {asset, extra, blockhash, upfront, v1}) {
    const {payee, facilitator: feePayer} = devnet.accounts;
    const more = {feePayer: feePayer.address, ...extra};
    if (blockhash) more.recentBlockhash = (await devnet.rpc('getLatestBlockhash', {commitment: 'finalized'})).value.blockhash;
    const file = join(scratchDir(), 'gateway.conf');
    const quoted = (value) => JSON.stringify(value);
    writeFileSync(file, `listen = "127.0.0.1:0"\nnetwork = ${quoted(NETWORK)}\npay_to = ${quoted(payee.address)}
facilitators = {${quoted(facilitator.url)}}\nv1 = ${Boolean(v1)}\nupstream "it" { url = ${quoted(origin.url)} }
route "/x" { ${asset ? `amount = "1000" asset = ${quoted(asset)}` : 'price = "$0.001"'}
 extra_json = ${quoted(JSON.stringify(more))}\n settle = ${upfront ? 'before' : 'after'} }\n`);
    const gateway = await start(join(buildDir, 'provider-sdk/gateway/x402-gateway'), ['-c', file],
      {ready: /"event":"listening".*?"(http:[^"]+)"/});
    return {url: gateway.match[1], stop: () => gateway.stop()};
  },

  /** The reference's middleware in front of a handler. */
  async reference(facilitator, {asset, extra, blockhash, upfront, v1}) {
    const {payee} = devnet.accounts;
    const app = express();
    if (v1) {
      app.use(paymentMiddlewareV1(payee.address, {'GET /x': {price: '$0.001', network: 'solana-devnet'}},
        {url: facilitator.url}));
    } else {
      const resource = new x402ResourceServer(new HTTPFacilitatorClient({url: facilitator.url}));
      resource.register(NETWORK, new ServerScheme(blockhash ? {rpcUrl: devnet.rpcUrl} : {}));
      app.use(paymentMiddleware({'GET /x': {description: 'interop', mimeType: 'text/plain', accepts: {scheme: 'exact',
        network: NETWORK, payTo: payee.address, price: asset ? {asset, amount: '1000'} : '$0.001',
        extra: {...extra, ...(upfront ? {paymentFlow: 'upfront'} : {})}}}}, resource));
    }
    app.get('/x', (request, response) => response.send(BODY));
    return listen(createServer(app));
  },
};

const clients = {
  async ours(url, {asset}) {
    const args = asset ? ['--asset', asset, '--network', NETWORK, '--max-amount', '1000atomic'] : [];
    const {code, stdout, stderr} = await run(programs.client, ['get', ...args, url], {env: {SVM_RPC_URL: devnet.rpcUrl,
      HOME: scratchDir(), SVM_PRIVATE_KEY: devnet.accounts.payer.secretKey}});
    assert.equal(code, 0, stderr);
    return stdout;
  },

  async reference(url, {v1, asset}) {
    const {secretKey} = devnet.accounts.payer;
    if (v1) {
      const paid = await wrapFetchWithPayment(fetch, await createSigner('solana-devnet', secretKey), undefined, undefined,
        {svmConfig: {rpcUrl: devnet.rpcUrl}})(url);
      assert.ok(paid.headers.get('x-payment-response'));
      return paid.text();
    }
    const client = new x402Client();
    // It knows no other asset than the default ones, unless it is told.
    if (asset) client.setSpendControls({allowedAssets: [{network: NETWORK, asset}]});
    client.register(NETWORK, new ClientScheme(await createKeyPairSignerFromBytes(fromBase58(secretKey)), {rpcUrl: devnet.rpcUrl}));
    const http = new x402HTTPClient(client);
    const challenge = await fetch(url);
    const required = http.getPaymentRequiredResponse((name) => challenge.headers.get(name), await challenge.json().catch(() => ({})));
    const payload = await client.createPaymentPayload(required);
    const paid = await fetch(url, {headers: http.encodePaymentSignatureHeader(payload)});
    assert.equal(paid.status, 200, JSON.stringify(Object.fromEntries(paid.headers)));
    assert.ok(paid.headers.get('payment-response'));
    return paid.text();
  },
};

for (const [kind, terms] of Object.entries(kinds)) {
  for (const server of roles) {
    for (const facilitator of roles) {
      for (const client of roles) {
        test(`${kind}: client ${client}, server ${server}, facilitator ${facilitator}`, async () => {
          const route = terms(`${client} ${server} ${facilitator}`);
          const {url, stop} = await servers[server](facilitators[facilitator], route);
          try {
            const {payer, payee} = devnet.accounts;
            const mint = route.asset ?? devnet.usdc;
            const had = [await balance(devnet, payer.address, mint), await balance(devnet, payee.address, mint)];
            assert.equal(await clients[client](`${url}/x`, route), BODY);
            assert.equal(had[0] - await balance(devnet, payer.address, mint), 1000n);
            assert.equal(await balance(devnet, payee.address, mint) - had[1], 1000n);
          } finally {
            await stop();
          }
        });
      }
    }
  }
}
