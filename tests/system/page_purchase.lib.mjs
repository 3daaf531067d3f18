// Buying in a browser from a server in front of a site: the same purchases for
// nginx and the gateway. gateway_page.test.mjs and nginx_page.test.mjs start
// their server and say here what it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { payerAccount } from '../devnet/lib.mjs';

export const SECRET = 'The guest was late';
/** The same as a page, which the browser shows in another way. */
export const SECRET_PAGE = `<!doctype html><title>t</title><p>${SECRET}`;
/** What is sold, with a word that fits on no phone. */
export const DESCRIPTION = `An article: ${'Donaudampfschiff'.repeat(3)}`;

// The browser itself logs that an answer was a 402, and that a text has no
// icon; the page has one.
const ours = (errors) => errors.filter((error) =>
  !/status of 402|404 \(Not Found\).*favicon/.test(error));

const VIEWS = [{ name: 'desktop', wallet: 'window' },
  { name: 'phone', wallet: 'announced', width: 390, height: 844, phone: true,
    dark: true }];

async function payAndRead(name, { devnet, browser, payee, url, owed }, view,
  file) {
  const before = await devnet.balanceOf(payee);
  const page = await browser.open({ ...view, account: payerAccount(devnet) });
  await page.goto(`${url}/articles/${file}`);
  await page.screenshot(`${name}-${view.name}`);
  assert.match(await page.eval('document.body.innerText'), /0\.01 USDC/);
  assert.ok((await page.eval('document.body.innerText')).includes(payee));
  assert.equal(await page.fits(), true);
  await page.eval('document.querySelector("#pay").click()');
  await page.until(`document.body.innerText.includes(${
    JSON.stringify(SECRET)})`);
  // The pass brought the article itself, not a copy in the page.
  assert.equal(await page.eval('document.contentType'),
    file.endsWith('txt') ? 'text/plain' : 'text/html');
  assert.equal(await page.eval('!!document.querySelector("#pay")'), false);
  assert.equal(await devnet.balanceOf(payee) - before, 10000n);
  assert.deepEqual(ours(page.errors), []);
  for (const asked of page.requests)
    assert.ok(asked.startsWith(url) || asked.startsWith('data:'), asked);
  await page.goto(`${url}/articles/other.txt`);
  assert.equal(await page.eval('!!document.querySelector("#pay")'), true);
  await page.close();
  assert.deepEqual(await owed(), []);
}

async function sayNo({ devnet, browser, payee, url }) {
  const before = await devnet.balanceOf(payee);
  const page = await browser.open({ account: payerAccount(devnet),
    chainId: devnet.info.chainId });
  page.refuses = true;
  await page.goto(`${url}/articles/tale.txt`);
  await page.eval('document.querySelector("#pay").click()');
  await page.until('/rejected/.test(document.body.innerText)');
  assert.equal(await devnet.balanceOf(payee), before);
  assert.deepEqual(ours(page.errors), []);
  await page.close();
}

/**
 * Registers the tests of the server called name. world() gives, when they run:
 * devnet, browser, payee, url, and owed(), the payments that are paid and not
 * delivered. The server sells /articles/ for a cent, with a pass for the path.
 */
export function testPurchases(name, world) {
  for (const view of VIEWS)
    for (const file of ['tale.txt', 'tale.html'])
      test(`a person on a ${view.name} pays and reads ${file}`, () =>
        payAndRead(name, world(), view, file));
  test('a person who says no has paid nothing', () => sayNo(world()));
}
