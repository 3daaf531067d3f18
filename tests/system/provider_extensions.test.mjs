// What the provider offers beside the payment, against the reference's own
// client code: signing in with the wallet that paid, signed offers and signed
// receipts.
//
//   node --test tests/system/provider_extensions.test.mjs

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

import { ARTICLE, PAYEE, PAYER, SECRET, challenge, decode, pay, paying,
  request, startFacilitator, startSite } from './provider.lib.mjs';

// As the packages' own programs would: by their exports, from their place.
const from = createRequire(new URL('../interop/package.json', import.meta.url));
const load = (name) => import(pathToFileURL(
  from.resolve(name).replace('/dist/cjs/', '/dist/esm/')
    .replace(/index\.js$/, 'index.mjs')).href);
const ext = await load('@x402/extensions');
const { privateKeyToAccount } = await import(pathToFileURL(
  from.resolve('viem/accounts').replace('/_cjs/', '/_esm/')).href);

// The keys of PAYER and PAYEE: anvil's.
const payer = privateKeyToAccount(
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a');
const PAYEE_KEY =
  '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6';

for (const name of ['content-site', 'content-site-microhttpd'])
  describe(name, () => {
    let f;
    let site;
    before(async () => {
      f = await startFacilitator();
      site = await startSite(name, { FACILITATOR_URL: f.url,
        X402_SIGNING_KEY: PAYEE_KEY });
    });
    after(async () => {
      await site.stop();
      await f.stop();
    });

    const signIn = async (target) => {
      const required = await challenge(site, target);
      const hook = ext.createSIWxClientHook(payer);
      const answer = await hook({ paymentRequired: required,
        requestUrl: site.url + target });
      assert.ok(answer, 'the reference refuses our challenge');
      return Object.entries(answer.headers);
    };

    test('who has paid signs in with the reference client', async () => {
      const other = '/articles/reading-a-price-tag';
      const before = await request(site, ARTICLE,
        { headers: await signIn(ARTICLE) });
      assert.equal(before.status, 402);
      const paid = await request(site, ARTICLE,
        { headers: paying(pay(await challenge(site, ARTICLE))) });
      assert.equal(paid.status, 200);
      const proof = await signIn(ARTICLE);
      const again = await request(site, ARTICLE, { headers: proof });
      assert.equal(again.status, 200);
      assert.match(again.text, new RegExp(SECRET));
      assert.match(again.headers['cache-control'], /private/);
      assert.equal(f.count('settle'), 1);
      // Once, and for this page.
      assert.equal((await request(site, ARTICLE, { headers: proof })).status,
        402);
      assert.equal((await request(site, other,
        { headers: await signIn(other) })).status, 402);
    });

    test('a payment for a small body does not buy a large one', async () => {
      const before = f.asked.length;
      const send = (body, headers = []) => request(site, '/weighed', {
        method: 'POST', body, headers: [['Content-Type', 'text/plain'],
          ['Content-Length', String(body.length)], ...headers] });
      const unpaid = await send('12345');
      const required = decode(unpaid.headers['payment-required']);
      assert.equal(required.accepts[0].amount, '5000');
      const headers = paying(pay(required));
      const large = await send('123456', headers);
      assert.equal(large.status, 402);
      assert.equal(decode(large.headers['payment-required']).accepts[0]
        .amount, '6000');
      assert.equal((await send('', headers)).status, 500);
      assert.equal(f.asked.length, before);
      assert.equal((await send('54321', headers)).status, 200);
    });

    test('offers are signed as the reference checks them', async () => {
      const required = await challenge(site, ARTICLE);
      const offers = ext.extractOffersFromPaymentRequired(required);
      assert.equal(offers.length, required.accepts.length);
      const { signer, payload } =
        await ext.verifyOfferSignatureEIP712(offers[0]);
      assert.equal(signer, PAYEE);
      assert.equal(payload.resourceUrl, site.url + ARTICLE);
      assert.equal(payload.amount, required.accepts[0].amount);
      const forged = structuredClone(offers[0]);
      forged.payload.amount = '1';
      assert.notEqual((await ext.verifyOfferSignatureEIP712(forged)
        .catch(() => ({}))).signer, PAYEE);
    });

    test('receipts are signed as the reference checks them', async () => {
      const res = await request(site, ARTICLE,
        { headers: paying(pay(await challenge(site, ARTICLE))) });
      const settle = decode(res.headers['payment-response']);
      const receipt = settle.extensions['offer-receipt'].info.receipt;
      const { signer, payload } =
        await ext.verifyReceiptSignatureEIP712(receipt);
      assert.equal(signer, PAYEE);
      assert.equal(payload.payer, PAYER);
      assert.equal(payload.resourceUrl, site.url + ARTICLE);
      assert.equal(payload.network, 'eip155:84532');
      assert.ok(Math.abs(payload.issuedAt - Date.now() / 1000) < 60);
    });
  });
