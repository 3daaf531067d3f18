// nginx sells on Solana: our client and the reference's buy, on a chain of
// Solana's own runtime with our facilitator.
//
//   node --test tests/system/nginx_svm.test.mjs

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { programs, run } from '../devnet/lib.mjs';
import { balance, NETWORK, pay, startDaemon, startDevnet } from
  '../svm/svm.lib.mjs';
import { atRest, startNginx } from './nginx.lib.mjs';
import { challenge, decode, encode, paying, request } from
  './provider.lib.mjs';

const TALE = 'The guest was late';
let devnet;
let facilitator;
let nginx;

before(async () => {
  devnet = await startDevnet();
  facilitator = await startDaemon(devnet);
  nginx = await startNginx(`
  x402_state DIR/x402.state payments=256; x402_price $0.001;
  x402_facilitator_url ${facilitator.url}; x402_network ${NETWORK};
  x402_pay_to ${devnet.accounts.payee.address};
  x402_facilitator_signer ${devnet.accounts.facilitator.address};
  x402_public_origin http://127.0.0.1:PORT;
  server { listen 127.0.0.1:PORT; root DIR/html;
    location = /x402-status { x402_status; }
    location /paid/ { x402 on; }
    location /dear/ { x402 on; x402_price $0.01; alias DIR/html/paid/; }
  }`, { files: { 'paid/a.txt': TALE } });
});
after(async () => {
  await nginx?.stop();
  await facilitator?.daemon.stop();
  await devnet?.stop();
});

async function sold(buy) {
  const { address } = devnet.accounts.payee;
  const had = await balance(devnet, address, devnet.usdc);
  await buy();
  assert.equal(await balance(devnet, address, devnet.usdc) - had, 1000n);
  assert.deepEqual(await atRest(nginx), []);
}

test('our client buys', () => sold(async () => {
  const { code, stdout, stderr } = await run(programs.client,
    ['get', `${nginx.url}/paid/a.txt`], { env: {
      SVM_PRIVATE_KEY: devnet.accounts.payer.secretKey,
      SVM_RPC_URL: devnet.rpcUrl } });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, TALE);
}));

test("the reference's payment is taken, once and for its price", async () => {
  const required = await challenge(nginx, '/paid/a.txt');
  const { paymentPayload } = await pay(devnet, required.accepts[0]);
  const payment = encode({ ...paymentPayload, resource: required.resource });
  const dear = await challenge(nginx, '/dear/a.txt');
  const cheap = encode({ ...paymentPayload, accepted: dear.accepts[0],
    resource: dear.resource });
  const short = await request(nginx, '/dear/a.txt',
    { headers: paying(cheap) });
  assert.equal(short.status, 402);
  assert.doesNotMatch(short.text, new RegExp(TALE));
  await sold(async () => {
    const all = await Promise.all(Array.from({ length: 5 }, () =>
      request(nginx, '/paid/a.txt', { headers: paying(payment) })));
    const [res, ...more] = all.filter((r) => r.status === 200);
    assert.equal(res.text, TALE);
    assert.equal(more.length, 0);
    assert.equal(decode(res.headers['payment-response']).payer,
      devnet.accounts.payer.address);
  });
});
