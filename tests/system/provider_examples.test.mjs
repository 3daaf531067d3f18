// The examples that charge by use and for who holds no token, on a real chain
// with the real facilitator.
//
//   node --test tests/system/provider_examples.test.mjs

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { payerAccount, permit2Request, startDevnet, startFacilitator } from
  '../devnet/lib.mjs';
import { PAYEE, challenge, decode, encode, paying, request, startSite } from
  './provider.lib.mjs';

const from = createRequire(new URL('../interop/package.json', import.meta.url));
const { createSIWxClientHook } = await import(pathToFileURL(
  from.resolve('@x402/extensions').replace('/dist/cjs/', '/dist/esm/')
    .replace(/index\.js$/, 'index.mjs')).href);

let devnet;
let facilitator;
before(async () => {
  devnet = await startDevnet();
  facilitator = await startFacilitator(devnet,
    { X402_NETWORK: devnet.info.network });
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

test('api-metering takes what was used of what was authorized', async () => {
  const site = await startSite('api-metering', {
    FACILITATOR_URL: facilitator.url, X402_NETWORK: devnet.info.network,
    FACILITATOR_ADDRESS: devnet.info.accounts.facilitator.address });
  try {
    const buy = async (body) => {
      const required = await challenge(site, '/words',
        { method: 'POST', body });
      const [offer] = required.accepts;
      assert.equal(offer.scheme, 'upto');
      assert.equal(offer.amount, '10000');
      const { paymentPayload } = await permit2Request(devnet.info, {
        scheme: 'upto', requirements: offer,
        permit: { permitted: { token: offer.asset, amount: offer.amount },
          witness: { to: offer.payTo,
            facilitator: offer.extra.facilitatorAddress,
            validAfter: String(Math.floor(Date.now() / 1000) - 600) } } });
      return request(site, '/words', { method: 'POST', body, headers:
        paying(encode({ ...paymentPayload, accepted: offer,
          resource: required.resource })) });
    };
    const before = await devnet.balanceOf(PAYEE);
    const res = await buy('three small words');
    assert.equal(res.status, 200, res.text);
    assert.equal(res.text, '1 words\n2 small\n3 three\n');
    assert.equal(await devnet.balanceOf(PAYEE) - before, 300n);
    assert.equal(decode(res.headers['payment-response']).amount, '300');
    assert.equal(res.headers['settlement-overrides'], undefined);
    // Nothing made, nothing taken.
    const none = await buy('   ');
    assert.equal(none.status, 200, none.text);
    assert.equal(await devnet.balanceOf(PAYEE) - before, 300n);
  } finally { await site.stop(); }
});

test('token-gate is free for holders, and a cent for others', async () => {
  const open = (env) => startSite('token-gate', {
    FACILITATOR_URL: facilitator.url, X402_NETWORK: devnet.info.network,
    RPC_URL: devnet.info.rpcUrl, TOKEN: devnet.info.token, ...env });
  const account = payerAccount(devnet);
  const signIn = async (site) => {
    const answer = await createSIWxClientHook(account)({
      paymentRequired: await challenge(site, '/club'),
      requestUrl: `${site.url}/club` });
    return request(site, '/club', { headers: Object.entries(answer.headers) });
  };
  const balance = await devnet.balanceOf(account.address);
  let site = await open({ MIN: String(balance) });
  try {
    const res = await signIn(site);
    assert.equal(res.status, 200);
    assert.equal(res.text, `Welcome, member ${account.address}.\n`);
    assert.equal((await request(site, '/club')).status, 402);
  } finally { await site.stop(); }
  site = await open({ MIN: String(balance + 1n) });
  try {
    assert.equal((await signIn(site)).status, 402);
  } finally { await site.stop(); }
  site = await open({ RPC_URL: 'http://127.0.0.1:1' });
  try {
    assert.equal((await signIn(site)).status, 402, 'nobody to ask');
  } finally { await site.stop(); }
});
