// The page for people, through x402-gateway: a real browser with a real
// wallet's interface opens an article, sees what it costs, pays and reads; the
// facilitator and the chain are real too.
//
//   node --test tests/system/gateway_page.test.mjs
//   X402_SCREENSHOTS  a directory: pictures of the page are put there

import path from 'node:path';
import { after, before } from 'node:test';

import { startDevnet, startFacilitator } from '../devnet/lib.mjs';
import { startBrowser } from './browser.lib.mjs';
import { startGateway, startOrigin } from './gateway_site.lib.mjs';
import { ledger } from './gateway_load.mjs';
import { DESCRIPTION, SECRET, SECRET_PAGE, testPurchases }
  from './page_purchase.lib.mjs';

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
    res.end(html ? SECRET_PAGE : SECRET);
    return true;
  };
  gateway = await startGateway(`
    public_origin = "http://127.0.0.1:PORT" journal = "DIR/journal"
    facilitators = {"${facilitator.url}"} network = "${devnet.info.network}"
    pay_to = "${payee}" page_name = "The gate"
    upstream "site" { url = "${origin.url}" }
    route "/articles/*" { price = "$0.01" pass_s = 600
      description = "${DESCRIPTION}" }`);
});
after(async () => {
  await gateway?.stop();
  await browser?.stop();
  await origin?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

testPurchases('gateway', () => ({ devnet, browser, payee, url: gateway.url,
  owed: () => ledger(path.join(gateway.dir, 'journal')) }));
