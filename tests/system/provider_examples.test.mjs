// The examples that charge by use and for who holds no token, on a real chain
// with the real facilitator.
//
//   node --test tests/system/provider_examples.test.mjs

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { payerAccount, paymentRequest, permit2Request, startDevnet,
  startFacilitator } from '../devnet/lib.mjs';
import { PAYEE, challenge, decode, encode, paying, request, startSite } from
  './provider.lib.mjs';

const from = createRequire(new URL('../interop/package.json', import.meta.url));
const { createSIWxClientHook } = await import(pathToFileURL(
  from.resolve('@x402/extensions').replace('/dist/cjs/', '/dist/esm/')
    .replace(/index\.js$/, 'index.mjs')).href);
const { privateKeyToAccount } = await import(pathToFileURL(
  from.resolve('viem/accounts').replace('/_cjs/', '/_esm/')).href);

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

// The words of a stream, with the time at which each of them came.
async function readStream(res) {
  const words = [];
  let text = '';
  for await (const chunk of res.body) {
    text += Buffer.from(chunk).toString();
    words.push(text.length);
  }
  return { text, parts: words.length };
}

test('api-metering streams what was paid before', async () => {
  const site = await startSite('api-metering', {
    FACILITATOR_URL: facilitator.url, X402_NETWORK: devnet.info.network,
    FACILITATOR_ADDRESS: devnet.info.accounts.facilitator.address });
  const target = '/stream?words=4';
  const body = 'one two three four five six';
  const payment = async (change = {}) => {
    const required = await challenge(site, target, { method: 'POST', body });
    const [offer] = required.accepts;
    const { paymentPayload } = await permit2Request(devnet.info, {
      scheme: 'upto', requirements: offer,
      permit: { permitted: { token: offer.asset, amount: offer.amount },
        witness: { to: offer.payTo,
          facilitator: offer.extra.facilitatorAddress,
          validAfter: String(Math.floor(Date.now() / 1000) - 600) },
        ...change } });
    return { 'PAYMENT-SIGNATURE': encode({ ...paymentPayload, accepted: offer,
      resource: required.resource }) };
  };
  const post = (headers, signal) => fetch(site.url + target,
    { method: 'POST', body, headers, signal });
  try {
    const before = await devnet.balanceOf(PAYEE);
    const res = await post(await payment());
    assert.equal(res.status, 200);
    // All of the money, before the last of the words.
    assert.equal(decode(res.headers.get('payment-response')).amount, '400');
    assert.equal(res.headers.get('settlement-overrides'), null);
    assert.equal(await devnet.balanceOf(PAYEE) - before, 400n);
    const { text, parts } = await readStream(res);
    assert.equal(text, '1 six\n2 five\n3 four\n4 three\n');
    assert.ok(parts > 1, 'it came in one piece');
    // Nothing moves, nothing is said.
    const poor = await payment({ permitted: { token: devnet.info.token,
      amount: '399' } });
    const refused = await post(poor);
    assert.equal(refused.status, 402);
    assert.doesNotMatch(await refused.text(), /six/);
    assert.equal(await devnet.balanceOf(PAYEE) - before, 400n);
    // A reader who leaves in the middle has had what he paid for.
    const leaving = new AbortController();
    const headers = await payment();
    const left = await post(headers, leaving.signal);
    await left.body.getReader().read();
    leaving.abort();
    assert.equal(await devnet.balanceOf(PAYEE) - before, 800n);
    const again = await post(headers);
    assert.equal(again.status, 402);
    assert.equal(decode(again.headers.get('payment-response')).errorReason,
      'duplicate_settlement');
    // Who ends the server waits for streams that were paid.
    const last = await post(await payment());
    const ended = site.stop();
    assert.equal((await readStream(last)).text,
      '1 six\n2 five\n3 four\n4 three\n');
    assert.deepEqual(await ended, { code: 0, signal: null }, site.log);
  } finally { await site.stop(); }
});

const open = (env) => startSite('token-gate', {
  FACILITATOR_URL: facilitator.url, X402_NETWORK: devnet.info.network,
  RPC_URL: devnet.info.rpcUrl, TOKEN: devnet.info.token, ...env });

test('token-gate is cheaper for holders where it says so', async () => {
  const account = payerAccount(devnet);
  const site = await open({ HOLDERS_PRICE: '$0.001' });
  try {
    const before = await devnet.balanceOf(PAYEE);
    const full = await challenge(site, '/club');
    assert.equal(full.accepts[0].amount, '10000');
    const { headers } = await createSIWxClientHook(account)({
      paymentRequired: full, requestUrl: `${site.url}/club` });
    const told = await request(site, '/club',
      { headers: Object.entries(headers) });
    assert.equal(told.status, 402);
    const cheap = decode(told.headers['payment-required']);
    assert.equal(cheap.accepts[0].amount, '1000');
    const buy = async (site, required) => {
      const [offer] = required.accepts;
      const { paymentPayload } = await paymentRequest(devnet.info,
        { requirements: offer, authorization: { to: offer.payTo,
          value: offer.amount } });
      return request(site, '/club', { headers: paying(encode({
        ...paymentPayload, accepted: offer, resource: required.resource,
        extensions: required.extensions })) });
    };
    const res = await buy(site, cheap);
    assert.equal(res.status, 200, res.text);
    assert.equal(await devnet.balanceOf(PAYEE) - before, 1000n);
    // The same offer where the wallet holds too little: nothing is sold.
    const strict = await open({ HOLDERS_PRICE: '$0.001',
      MIN: String(await devnet.balanceOf(account.address) + 1n) });
    try {
      const required = await challenge(strict, '/club');
      required.accepts[0].amount = '1000';
      const refused = await buy(strict, required);
      assert.equal(refused.status, 402);
      assert.equal(decode(refused.headers['payment-required']).error,
        'No matching payment requirements');
      assert.equal(await devnet.balanceOf(PAYEE) - before, 1000n);
    } finally { await strict.stop(); }
  } finally { await site.stop(); }
});

// ERC-1271, on a chain, by a wallet whose owner signs.
test('a contract wallet signs in where its chain may be asked', async () => {
  const { address, ownerKey } = devnet.info.smartWallet;
  const owner = privateKeyToAccount(ownerKey);
  const wallet = (signMessage) => ({ address, signMessage });
  const signIn = async (site, signer) => {
    const answer = await createSIWxClientHook(signer)({
      paymentRequired: await challenge(site, '/club'),
      requestUrl: `${site.url}/club` });
    return request(site, '/club', { headers: Object.entries(answer.headers) });
  };
  const site = await open();
  try {
    assert.ok(await devnet.balanceOf(address) > 0n);
    const good = await signIn(site, wallet((m) => owner.signMessage(m)));
    assert.equal(good.status, 200, good.text);
    assert.equal(good.text.toLowerCase(),
      `welcome, member ${address}.\n`.toLowerCase());
    const stranger = payerAccount(devnet);
    const bad = await signIn(site, wallet((m) => stranger.signMessage(m)));
    assert.equal(bad.status, 402);
    assert.equal(decode(bad.headers['payment-required']).error,
      'invalid_siwx_signature');
  } finally { await site.stop(); }
});

test('token-gate is free for holders, and a cent for others', async () => {
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
