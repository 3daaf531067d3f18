// The nginx module with our facilitator and a real chain: our client and both
// reference clients buy, and nginx is broken under paid load.
//
//   node --test tests/system/nginx_chain.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import {
  programs, run, startDevnet, startFacilitator, top,
} from '../devnet/lib.mjs';
import { atRest, freePort, metrics, startNginx } from './nginx.lib.mjs';
import { check, paidLoad } from './nginx_load.mjs';

const TALE = 'The guest was late';
let devnet;
let facilitator;
let nginx;

before(async () => {
  devnet = await startDevnet({ blockTime: '0.2' });
  facilitator = await startFacilitator(devnet);
  nginx = await startNginx(`
  x402_state DIR/x402.state; x402_facilitator_url ${facilitator.url};
  x402_network ${devnet.info.network};
  x402_pay_to ${devnet.info.accounts.payee.address};
  x402_public_origin http://127.0.0.1:PORT;
  server { listen 127.0.0.1:PORT; root DIR/html;
    location = /x402-status { x402_status; }
    location /paid/ { x402 on; x402_price $0.01; }
    location /before/ { x402 on; x402_price $0.01; x402_settle before;
      alias DIR/html/paid/; }
  }`, { files: { 'paid/tale.txt': TALE } });
});

after(async () => {
  await nginx?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

// One purchase moves one price, and gives the tale.
async function sold(buy) {
  const payee = devnet.info.accounts.payee.address;
  const had = await devnet.balanceOf(payee);
  await buy();
  assert.equal(await devnet.balanceOf(payee) - had, 10000n);
  assert.deepEqual(await atRest(nginx), []);
}

test('our client buys, settled after and before', async () => {
  for (const where of ['paid', 'before'])
    await sold(async () => {
      const { code, stdout, stderr } = await run(programs.client,
        ['get', `${nginx.url}/${where}/tale.txt`],
        { env: { EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey } });
      assert.equal(code, 0, stderr);
      assert.equal(stdout, TALE);
    });
});

for (const version of ['v2', 'v1'])
  test(`the reference client (${version}) buys`, async () => {
    await sold(async () => {
      const { code, stdout, stderr } = await run(process.execPath,
        [`${top}/tests/interop/peer-client.mjs`,
          `${nginx.url}/paid/tale.txt`, version],
        { env: { EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey } });
      assert.equal(code, 0, stderr);
      const answer = JSON.parse(stdout);
      assert.equal(answer.status, 200);
      assert.equal(answer.body, TALE);
      assert.equal(answer.receipt.success, true);
      assert.match(answer.receipt.transaction, /^0x[0-9a-f]{64}$/);
    });
  });

test('the example sells', async () => {
  const text = fs.readFileSync(`${top}/examples/nginx/nginx.conf`, 'utf8');
  // As it is written, but for what another nginx on this machine may hold.
  const port = await freePort();
  const inside = /^http \{\n([^]*)^\}$/m.exec(text)[1]
    .replace(/^.*(_temp_path|access_log).*$/gm, '')
    .replaceAll('127.0.0.1:8402', '127.0.0.1:PORT')
    .replaceAll('127.0.0.1:8403', `127.0.0.1:${port}`)
    .replaceAll('http://127.0.0.1:4021', facilitator.url)
    .replaceAll('/tmp/x402-example', 'DIR')
    .replaceAll('root html', `root ${top}/examples/nginx/html`);
  const site = await startNginx(inside);
  const get = (target, env = {}) => run(programs.client,
    ['get', site.url + target], { env });
  const payer = { EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey };
  assert.equal((await fetch(site.url)).status, 200);
  assert.equal((await fetch(`${site.url}/drafts/wait.html`)).status, 200);
  for (const [target, amount, words] of [
    ['/articles/short-wait.html', '10000', /was late/],
    ['/articles/long-wait.html', '50000', /very late/],
    ['/reports/', '250000', /Sales went up/]]) {
    const res = await fetch(site.url + target);
    const offer = JSON.parse(Buffer.from(
      res.headers.get('payment-required'), 'base64'));
    assert.equal(res.status, 402);
    assert.equal(offer.accepts[0].amount, amount);
    assert.equal(offer.resource.url, site.url + target);
    const { code, stdout, stderr } = await get(target, payer);
    assert.equal(code, 0, stderr);
    assert.match(stdout, words);
  }
  const status = await metrics(site);
  assert.equal(status.delivered, 3);
  assert.equal(status.shadow, 1);
  await site.stop();
});

test('broken under paid load, nothing is lost and nothing given away',
  async () => {
    check(await paidLoad(devnet, facilitator,
      { requests: 240, connections: 8, faultEveryMs: 900, sync: true }));
  });
