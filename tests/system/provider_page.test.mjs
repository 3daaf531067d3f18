// The page for people and <x402-pay>, in a real browser, with a real wallet's
// interface, against the real facilitator and chain.
//
//   node --test tests/system/provider_page.test.mjs
//   X402_BUILD_DIR    where the build is
//   X402_SCREENSHOTS  a directory: pictures of the page are put there

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { payerAccount, startDevnet, startFacilitator } from
  '../devnet/lib.mjs';
import { startBrowser } from './browser.lib.mjs';
import { ARTICLE, PAYEE, SECRET, decode, request, startSite } from
  './provider.lib.mjs';

const BROWSER = [['Accept', 'text/html,*/*;q=0.8'],
  ['User-Agent', 'Mozilla/5.0 (X11; Linux x86_64)']];

// The browser itself logs that an answer was a 402, and that a text has no
// icon; the page has one.
const ours = (errors) => errors.filter((error) =>
  !/status of 402|404 \(Not Found\).*favicon/.test(error));

let devnet;
let facilitator;
let browser;
before(async () => {
  devnet = await startDevnet();
  facilitator = await startFacilitator(devnet,
    { X402_NETWORK: devnet.info.network });
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

test('a member goes in by the page, or pays less', async () => {
  const account = payerAccount(devnet);
  for (const price of ['', '$0.001']) {
    const site = await startSite('token-gate', {
      FACILITATOR_URL: facilitator.url, X402_NETWORK: devnet.info.network,
      RPC_URL: devnet.info.rpcUrl, TOKEN: devnet.info.token,
      HOLDERS_PRICE: price });
    try {
      const before = await devnet.balanceOf(PAYEE);
      const page = await browser.open({ account,
        chainId: devnet.info.chainId });
      await page.goto(`${site.url}/club`);
      await page.until('/0\\.01 USDC/.test(document.body.innerText)');
      await page.eval('document.querySelector("#in").click()');
      if (price) {
        await page.until('/This wallet pays/.test(document.body.innerText)');
        await page.until('/0\\.001 USDC/.test(document.body.innerText)');
        await page.eval('document.querySelector("#pay").click()');
      }
      await page.until('/Welcome/.test(document.body.innerText)');
      assert.equal(await devnet.balanceOf(PAYEE) - before,
        price ? 1000n : 0n);
      assert.deepEqual(ours(page.errors), []);
      await page.close();
    } finally { await site.stop(); }
  }
});

for (const name of ['content-site', 'content-site-microhttpd'])
  describe(name, () => {
    let site;
    let account;
    before(async () => {
      site = await startSite(name, { FACILITATOR_URL: facilitator.url,
        X402_NETWORK: devnet.info.network });
      account = payerAccount(devnet);
    });
    after(async () => { await site.stop(); });

    test('a browser gets the page, a program does not', async () => {
      const page = await request(site, ARTICLE, { headers: BROWSER });
      assert.equal(page.status, 402);
      assert.match(page.headers['content-type'], /^text\/html/);
      assert.ok(page.text.length < 15 * 1024, `${page.text.length} bytes`);
      assert.equal(decode(page.headers['payment-required']).accepts[0].amount,
        '10000');
      assert.equal(page.headers['cache-control'], 'no-store');
      assert.match(page.text, /0\.01 USDC/);
      assert.ok(page.text.includes(PAYEE));
      for (const headers of [[], BROWSER.slice(0, 1), BROWSER.slice(1)]) {
        const res = await request(site, ARTICLE, { headers });
        assert.match(res.headers['content-type'], /json/);
        assert.equal(res.status, 402);
      }
    });

    test('every page has a policy with a nonce of its own', async () => {
      const nonces = [];
      for (let i = 0; i < 3; i++) {
        const page = await request(site, ARTICLE, { headers: BROWSER });
        const policy = page.headers['content-security-policy'];
        const nonce = /script-src 'nonce-([0-9a-f]{32})'/.exec(policy)[1];
        assert.match(policy, /^default-src 'none'/);
        assert.doesNotMatch(policy, /unsafe|\*/);
        assert.equal(page.text.split(`nonce="${nonce}"`).length, 3);
        nonces.push(nonce);
      }
      assert.equal(new Set(nonces).size, 3);
    });

    test('an unpaid path full of markup stays text', async () => {
      const evil = '/articles/%3Cscript%3Ealert(1)%3C%2fscript%3E%22%27?' +
        'a="><img/src=x>{{script}}';
      const page = await request(site, evil.replace('%2f', ''),
        { headers: BROWSER });
      assert.equal(page.status, 402);
      assert.doesNotMatch(page.text, /<img|<script>alert|{{/);
      assert.equal(page.text.match(/<script/g).length, 1);
    });

    for (const view of [
      { name: 'desktop', wallet: 'window' },
      { name: 'phone', wallet: 'announced', width: 390, height: 844,
        phone: true, dark: true }])
      test(`a person on a ${view.name} pays and reads`, async () => {
        const before = await devnet.balanceOf(PAYEE);
        const page = await browser.open({ ...view, account });
        await page.goto(site.url + ARTICLE);
        await page.screenshot(`${name}-${view.name}`);
        assert.equal(await page.fits(), true);
        // By keyboard alone: the offer, then the button.
        await page.key('Tab', 9);
        await page.key('Tab', 9);
        assert.equal(await page.eval('document.activeElement.id'), 'pay');
        await page.key('Enter', 13);
        await page.until(`document.body.innerText.includes(${
          JSON.stringify(SECRET)})`);
        // The pass brought the article itself, not a copy in the page.
        assert.equal(await page.eval('document.contentType'), 'text/plain');
        await page.screenshot(`${name}-${view.name}-paid`);
        assert.equal(await devnet.balanceOf(PAYEE) - before, 10000n);
        assert.deepEqual(page.asked.map((a) => a.method), [
          'eth_requestAccounts', 'eth_chainId', 'wallet_switchEthereumChain',
          'eth_signTypedData_v4']);
        assert.deepEqual(ours(page.errors), []);
        for (const url of page.requests)
          assert.ok(url.startsWith(site.url) || url.startsWith('data:'), url);
        // Another page is not paid by it.
        await page.goto(`${site.url}/articles/reading-a-price-tag`);
        assert.equal(await page.eval('document.querySelector("#pay").id'),
          'pay');
        await page.close();
      });

    test('who has paid and lost the pass signs in', async () => {
      const page = await browser.open({ account,
        chainId: devnet.info.chainId });
      const target = `${site.url}/articles/reading-a-price-tag`;
      const click = (id) => page.eval(`document.querySelector("#${id}").click()`);
      page.lowercase = true;
      await page.goto(target);
      // Nothing for who has not paid.
      await click('in');
      await page.until('/This wallet pays/.test(document.body.innerText)');
      const before = await devnet.balanceOf(PAYEE);
      await click('pay');
      await page.until('document.contentType === "text/plain"');
      assert.equal(await devnet.balanceOf(PAYEE) - before, 10000n);
      await page.send('Network.clearBrowserCookies', {});
      await page.goto(target);
      await page.screenshot(`${name}-sign-in`);
      page.refuses = true;
      await click('in');
      await page.until('/rejected/.test(document.body.innerText)');
      page.refuses = false;
      await click('in');
      await page.until('/A person who sees/.test(document.body.innerText)');
      assert.equal(await devnet.balanceOf(PAYEE) - before, 10000n);
      assert.deepEqual(ours(page.errors), []);
      await page.close();
    });

    test('a person who says no has paid nothing', async () => {
      const before = await devnet.balanceOf(PAYEE);
      const page = await browser.open({ account,
        chainId: devnet.info.chainId });
      page.refuses = true;
      await page.goto(site.url + ARTICLE);
      await page.eval('document.querySelector("#pay").click()');
      await page.until('/rejected/.test(document.body.innerText)');
      assert.equal(await page.eval('document.querySelector("#pay").disabled'),
        false);
      assert.equal(await devnet.balanceOf(PAYEE), before);
      assert.deepEqual(ours(page.errors), []);
      await page.close();
    });

    test('without a wallet the page says so', async () => {
      const page = await browser.open();
      await page.goto(site.url + ARTICLE);
      await page.eval('document.querySelector("#pay").click()');
      await page.until('/No wallet/.test(document.body.innerText)');
      await page.close();
    });

    test('<x402-pay> in a page of the site pays in its place', async () => {
      const page = await browser.open({ account });
      await page.goto(`${site.url}/embed`);
      const text = 'document.querySelector("x402-pay").shadowRoot' +
        '?.textContent ?? ""';
      await page.until(`/0\\.001 USDC/.test(${text})`);
      await page.screenshot(`${name}-component`);
      await page.eval(`document.querySelector("x402-pay").shadowRoot
        .querySelector("button").click()`);
      await page.until(`/"quote":/.test(${text})`);
      assert.deepEqual(ours(page.errors), []);
      await page.close();
    });
  });
