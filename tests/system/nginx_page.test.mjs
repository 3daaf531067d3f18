// The page for people, on nginx: a real browser with a real wallet's interface
// opens an article, sees what it costs, pays and reads; the facilitator and the
// chain are real too.
//
//   node --test tests/system/nginx_page.test.mjs
//   X402_SCREENSHOTS  a directory: pictures of the page are put there

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { payerAccount, startDevnet, startFacilitator } from
  '../devnet/lib.mjs';
import { startBrowser } from './browser.lib.mjs';
import { atRest, startNginx } from './nginx.lib.mjs';

const SECRET = 'The guest was late';
// The browser itself logs that an answer was a 402, and that a text has no
// icon; the page has one.
const ours = (errors) => errors.filter((error) =>
  !/status of 402|404 \(Not Found\).*favicon/.test(error));

let devnet;
let facilitator;
let browser;
let nginx;
let payee;

before(async () => {
  devnet = await startDevnet();
  payee = devnet.info.accounts.payee.address;
  facilitator = await startFacilitator(devnet,
    { X402_NETWORK: devnet.info.network });
  browser = await startBrowser();
  nginx = await startNginx(`
  x402_state DIR/x402.state payments=256; x402_facilitator_url ${facilitator.url};
  x402_network ${devnet.info.network}; x402_pay_to ${payee};
  x402_public_origin http://127.0.0.1:PORT;
  types { text/html html; text/plain txt; }
  server { listen 127.0.0.1:PORT; root DIR/html;
    location = /x402-status { x402_status; }
    location /articles/ { x402 on; x402_price $0.01; x402_page on;
      x402_pass 10m; x402_description "An article"; }
  }`, { files: { 'articles/tale.txt': SECRET, 'articles/other.txt': SECRET,
    'articles/tale.html': `<!doctype html><title>t</title><p>${SECRET}` } });
});
after(async () => {
  await nginx?.stop();
  await browser?.stop();
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
      await page.goto(`${nginx.url}/articles/${file}`);
      await page.screenshot(`nginx-${view.name}`);
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
        assert.ok(url.startsWith(nginx.url) || url.startsWith('data:'), url);
      await page.goto(`${nginx.url}/articles/other.txt`);
      assert.equal(await page.eval('!!document.querySelector("#pay")'), true);
      await page.close();
      assert.deepEqual(await atRest(nginx), []);
    });

test('a person who says no has paid nothing', async () => {
  const before = await devnet.balanceOf(payee);
  const page = await browser.open({ account: payerAccount(devnet),
    chainId: devnet.info.chainId });
  page.refuses = true;
  await page.goto(`${nginx.url}/articles/tale.txt`);
  await page.eval('document.querySelector("#pay").click()');
  await page.until('/rejected/.test(document.body.innerText)');
  assert.equal(await devnet.balanceOf(payee), before);
  assert.deepEqual(ours(page.errors), []);
  await page.close();
});
