// <x402-pay> as it is in a page of React and in one of Vue, on a site of its
// own beside the shop: the element loads, follows its attribute, pays, and its
// events reach the framework's state.
//
//   node --test tests/system/provider_frameworks.test.mjs
//   X402_SCREENSHOTS  a directory: pictures of the pages are put there

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { payerAccount, startDevnet, startFacilitator } from
  '../devnet/lib.mjs';
import { startBrowser } from './browser.lib.mjs';
import { ARTICLE, PAYEE, SECRET, startSite } from './provider.lib.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const packages = path.join(here, '../page');
const esbuild = (await import(pathToFileURL(createRequire(path.join(packages,
  'package.json')).resolve('esbuild')).href)).default;

// One page in two frameworks: a choice of what to read, and what was paid.
const sources = {
  react: (shop) => `
    import { useState } from 'react';
    import { createRoot } from 'react-dom/client';
    function App() {
      const [target, choose] = useState('/api/quote');
      const [said, say] = useState('nothing yet');
      const [count, rerender] = useState(0);
      return <main>
        <button id="article" onClick={() => choose('${ARTICLE}')}>Article</button>
        <button id="again" onClick={() => rerender(count + 1)}>{count}</button>
        <x402-pay src={'${shop}' + target}
          onx402-price={(e) => say('price ' + e.detail.accepts[0].amount)}
          onx402-error={(e) => say('error ' + e.detail.message)}
          onx402-paid={(e) => say('paid ' + e.detail.receipt.transaction)}>
          Read for
        </x402-pay>
        <p id="said">{said}</p>
      </main>;
    }
    createRoot(document.querySelector('#app')).render(<App />);`,
  vue: (shop) => `
    import { createApp, ref } from 'vue/dist/vue.esm-bundler.js';
    const app = createApp({
      setup() {
        const target = ref('/api/quote');
        const said = ref('nothing yet');
        const count = ref(0);
        return { target, said, count, shop: '${shop}' };
      },
      template: \`<main>
        <button id="article" @click="target = '${ARTICLE}'">Article</button>
        <button id="again" @click="count++">{{ count }}</button>
        <x402-pay :src="shop + target"
          @x402-price="said = 'price ' + $event.detail.accepts[0].amount"
          @x402-error="said = 'error ' + $event.detail.message"
          @x402-paid="said = 'paid ' + $event.detail.receipt.transaction">
          Read for
        </x402-pay>
        <p id="said">{{ said }}</p>
      </main>\`,
    });
    app.config.compilerOptions.isCustomElement = (tag) => tag === 'x402-pay';
    app.mount('#app');`,
};

async function bundle(source) {
  const { outputFiles: [file] } = await esbuild.build({
    stdin: { contents: source, resolveDir: packages, loader: 'jsx' },
    bundle: true, write: false, format: 'iife', jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"',
      __VUE_OPTIONS_API__: 'true', __VUE_PROD_DEVTOOLS__: 'false',
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: 'false' } });
  return file.text;
}

let devnet;
let facilitator;
let browser;
let shop;
let pages;
before(async () => {
  devnet = await startDevnet();
  facilitator = await startFacilitator(devnet,
    { X402_NETWORK: devnet.info.network });
  shop = await startSite('content-site', { FACILITATOR_URL: facilitator.url,
    X402_NETWORK: devnet.info.network });
  const scripts = {};
  for (const [name, source] of Object.entries(sources))
    scripts[`/${name}.js`] = await bundle(source(shop.url));
  pages = createServer((req, res) => {
    const script = scripts[req.url];
    res.setHeader('Content-Type', script ? 'text/javascript' : 'text/html');
    res.end(script ?? `<!doctype html><html lang="en"><meta charset="utf-8">
      <meta name="viewport" content="width=device-width">
      <link rel="icon" href="data:,"><title>A page of its own</title>
      <div id="app"></div>
      <script src="${shop.url}/x402-pay.js"></script>
      <script src="${req.url}.js"></script></html>`);
  });
  await new Promise((done) => pages.listen(0, '127.0.0.1', done));
  browser = await startBrowser();
});
after(async () => {
  await browser?.stop();
  pages?.closeAllConnections();
  pages?.close();
  await shop?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

const errors = (page) => page.errors.filter((error) =>
  !/status of 402/.test(error));

for (const name of Object.keys(sources)) {
  const open = async (view = {}) => {
    const page = await browser.open({ account: payerAccount(devnet), ...view });
    await page.goto(`http://127.0.0.1:${pages.address().port}/${name}`);
    return page;
  };
  const inside = 'document.querySelector("x402-pay").shadowRoot';
  const text = `(${inside}?.textContent ?? "")`;
  const said = 'document.querySelector("#said").textContent';

  test(`${name}: the price comes, the wallet pays, the state is told`,
    async () => {
      const before = await devnet.balanceOf(PAYEE);
      const page = await open();
      await page.until(`${text}.includes("0.001 USDC")`);
      await page.until(`${said} === "price 1000"`);
      // A render in between is none of its business.
      await page.eval('document.querySelector("#again").click()');
      await page.until('document.querySelector("#again").textContent === "1"');
      await page.screenshot(`${name}-price`);
      await page.eval(`${inside}.querySelector("button").click()`);
      await page.until(`/^paid 0x[0-9a-f]{64}$/.test(${said})`);
      await page.until(`/"quote":/.test(${text})`);
      await page.screenshot(`${name}-paid`);
      await page.eval('document.querySelector("#again").click()');
      assert.equal(await page.eval(`/"quote":/.test(${text})`), true);
      assert.equal(await devnet.balanceOf(PAYEE) - before, 1000n);
      assert.deepEqual(errors(page), []);
      await page.close();
    });

  test(`${name}: another src is another price, and never the one before`,
    async () => {
      const page = await open({ width: 320, height: 640, phone: true,
        dark: true });
      await page.until(`${text}.includes("0.001 USDC")`);
      await page.eval('document.querySelector("#article").click()');
      await page.until(`${text}.includes("0.01 USDC")`);
      await page.until(`${said} === "price 10000"`);
      // The answer to an old attribute comes after the one to the new.
      await page.eval(`(async () => {
        const real = window.fetch;
        let late;
        const held = new Promise((done) => { late = done; });
        window.fetch = async (url, options) => {
          const res = await real(url, options);
          if (String(url).includes('/api/quote')) await held;
          return res;
        };
        const element = document.querySelector('x402-pay');
        element.setAttribute('src', '${shop.url}/api/quote');
        element.setAttribute('src', '${shop.url}${ARTICLE}');
        await new Promise((done) => setTimeout(done, 300));
        late();
        await new Promise((done) => setTimeout(done, 100));
        window.fetch = real;
      })()`);
      assert.equal(await page.eval(`${text}.includes("0.01 USDC")`), true);
      assert.equal(await page.eval(`${text}.includes("${PAYEE}")`), true);
      assert.equal(await page.eval(`/on Base Sepolia/.test(${text})`), true);
      await page.screenshot(`${name}-phone`);
      assert.equal(await page.fits(), true);
      await page.eval(`${inside}.querySelector("button").click()`);
      await page.until(`${text}.includes(${JSON.stringify(SECRET)})`);
      assert.deepEqual(errors(page), []);
      await page.close();
    });

  test(`${name}: who says no is told so, and may say yes`, async () => {
    const before = await devnet.balanceOf(PAYEE);
    const page = await open();
    page.refuses = true;
    await page.until(`${text}.includes("0.001 USDC")`);
    await page.eval(`${inside}.querySelector("button").click()`);
    await page.until(`/^error .*rejected/.test(${said})`);
    assert.equal(await devnet.balanceOf(PAYEE), before);
    page.refuses = false;
    await page.eval(`${inside}.querySelector("button").click()`);
    await page.until(`/^paid 0x/.test(${said})`);
    assert.equal(await devnet.balanceOf(PAYEE) - before, 1000n);
    assert.deepEqual(errors(page), []);
    await page.close();
  });
}
