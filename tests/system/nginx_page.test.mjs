// The page for people, on nginx: a real browser with a real wallet's interface
// opens an article, sees what it costs, pays and reads; the facilitator and the
// chain are real too.
//
//   node --test tests/system/nginx_page.test.mjs
//   X402_SCREENSHOTS  a directory: pictures of the page are put there

import { after, before } from 'node:test';

import { startDevnet, startFacilitator } from '../devnet/lib.mjs';
import { startBrowser } from './browser.lib.mjs';
import { atRest, startNginx } from './nginx.lib.mjs';
import { DESCRIPTION, SECRET, SECRET_PAGE, testPurchases }
  from './page_purchase.lib.mjs';

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
      x402_pass 10m; x402_description "${DESCRIPTION}"; }
  }`, { files: { 'articles/tale.txt': SECRET, 'articles/other.txt': SECRET,
    'articles/tale.html': SECRET_PAGE } });
});
after(async () => {
  await nginx?.stop();
  await browser?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

testPurchases('nginx', () => ({ devnet, browser, payee, url: nginx.url,
  owed: () => atRest(nginx) }));
