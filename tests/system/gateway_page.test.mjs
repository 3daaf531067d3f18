// The page for people, through x402-gateway: a real browser with a real
// wallet's interface opens an article, sees what it costs, pays and reads; the
// facilitator and the chain are real too.
//
//   node --test tests/system/gateway_page.test.mjs
//   X402_SCREENSHOTS  a directory: pictures of the page are put there

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { payerAccount, startDevnet, startFacilitator } from
  '../devnet/lib.mjs';
import { startBrowser } from './browser.lib.mjs';
import { startGateway, startOrigin } from './gateway_site.lib.mjs';
import { ledger } from './gateway_load.mjs';

const SECRET = 'The guest was late';
// The browser itself logs that an answer was a 402, and that a text has no
// icon; the page has one.
const ours = (errors) => errors.filter((error) =>
  !/status of 402|404 \(Not Found\).*favicon/.test(error));

let devnet;
let facilitator;
let browser;
let origin;
let gateway;
let payee;

before(async () => {
  devnet = await startDevnet();
  payee = devnet.info.accounts.payee.address;
  facilitator = await startFacilitator(devnet,
    { X402_NETWORK: devnet.info.network });
  browser = await startBrowser();
  origin = await startOrigin();
  origin.handler = (one, res) => {
    const html = one.url.endsWith('.html');
    res.setHeader('content-type', html ? 'text/html' : 'text/plain');
    res.end(html ? `<!doctype html><title>t</title><p>${SECRET}` : SECRET);
    return true;
  };
  gateway = await startGateway(`
    public_origin = "http://127.0.0.1:PORT" journal = "DIR/journal"
    facilitators = {"${facilitator.url}"} network = "${devnet.info.network}"
    pay_to = "${payee}" page_name = "The gate"
    upstream "site" { url = "${origin.url}" }
    route "/articles/*" { price = "$0.01" pass_s = 600
      description = "An article" }`);
});
after(async () => {
  await gateway?.stop();
  await browser?.stop();
  await origin?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

for (const view of [{ name: 'desktop', wallet: 'window' },
  { name: 'phone', wallet: 'announced', width: 390, height: 844, phone: true,
    dark: true }])
  for (const file of ['tale.txt', 'tale.html'])
    test(`a person on a ${view.name} pays and reads ${file}`, async () => {
      const before = await devnet.balanceOf(payee);
      const page = await browser.open({ ...view,
        account: payerAccount(devnet) });
      await page.goto(`${gateway.url}/articles/${file}`);
      await page.screenshot(`gateway-${view.name}`);
      assert.match(await page.eval('document.body.innerText'), /0\.01 USDC/);
      assert.ok((await page.eval('document.body.innerText')).includes(payee));
      assert.equal(await page.eval(
        'document.documentElement.scrollWidth <= innerWidth'), true);
      await page.eval('document.querySelector("#pay").click()');
      await page.until(`document.body.innerText.includes(${
        JSON.stringify(SECRET)})`);
      // The pass brought the article itself, not a copy in the page.
      assert.equal(await page.eval('document.contentType'),
        file.endsWith('txt') ? 'text/plain' : 'text/html');
      assert.equal(await page.eval('!!document.querySelector("#pay")'), false);
      assert.equal(await devnet.balanceOf(payee) - before, 10000n);
      assert.deepEqual(ours(page.errors), []);
      for (const url of page.requests)
        assert.ok(url.startsWith(gateway.url) || url.startsWith('data:'), url);
      await page.goto(`${gateway.url}/articles/other.txt`);
      assert.equal(await page.eval('!!document.querySelector("#pay")'), true);
      await page.close();
      assert.deepEqual(ledger(path.join(gateway.dir, 'journal')), []);
    });

test('a person who says no has paid nothing', async () => {
  const before = await devnet.balanceOf(payee);
  const page = await browser.open({ account: payerAccount(devnet),
    chainId: devnet.info.chainId });
  page.refuses = true;
  await page.goto(`${gateway.url}/articles/tale.txt`);
  await page.eval('document.querySelector("#pay").click()');
  await page.until('/rejected/.test(document.body.innerText)');
  assert.equal(await devnet.balanceOf(payee), before);
  assert.deepEqual(ours(page.errors), []);
  await page.close();
});
