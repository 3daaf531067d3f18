// The nginx module with our facilitator and a real chain: our client and both
// reference clients buy, and nginx is broken under paid load.
//
//   node --test tests/system/nginx_chain.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import {
  payerAccount, paymentRequest, permit2Request, programs, run, startDevnet,
  startFacilitator, top,
} from '../devnet/lib.mjs';
import {
  atRest, freePort, metrics, startNginx, startOrigin, until,
} from './nginx.lib.mjs';
import { check, paidLoad } from './nginx_load.mjs';
import {
  challenge, decode, encode, paying, request,
} from './provider.lib.mjs';

const from = createRequire(new URL('../interop/package.json', import.meta.url));
const { createSIWxClientHook } = await import(pathToFileURL(
  from.resolve('@x402/extensions').replace('/dist/cjs/', '/dist/esm/')
    .replace(/index\.js$/, 'index.mjs')).href);

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

test('of an upto price the upstream says what was used', async () => {
  const { info } = devnet;
  const payee = info.accounts.payee.address;
  let cost;
  const origin = await startOrigin((req, res) => {
    if (cost !== undefined)
      res.setHeader(req.url.startsWith('/asked') ? 'Settlement-Overrides'
        : 'X-Cost', cost);
    res.end(TALE);
  });
  const site = await startNginx(`
  x402_state DIR/x402.state payments=256; x402_network ${info.network};
  x402_facilitator_url ${facilitator.url}; x402_pay_to ${payee};
  x402_public_origin http://127.0.0.1:PORT; x402_scheme upto; x402_v1 off;
  x402_facilitator_signer ${info.accounts.facilitator.address};
  x402_price $0.01;
  server { listen 127.0.0.1:PORT;
    location = /x402-status { x402_status; }
    location /used/ { x402 on; x402_charge $upstream_http_x_cost;
      proxy_pass ${origin.url}; }
    location /asked/ { x402 on; proxy_pass ${origin.url}; }
  }`);
  const buy = async (target) => {
    const required = await challenge(site, target);
    const [offer] = required.accepts;
    assert.equal(offer.amount, '10000');
    const { paymentPayload } = await permit2Request(info, { scheme: 'upto',
      requirements: offer,
      permit: { permitted: { token: offer.asset, amount: offer.amount },
        witness: { to: offer.payTo, facilitator:
          offer.extra.facilitatorAddress,
        validAfter: String(Math.floor(Date.now() / 1000) - 600) } } });
    return request(site, target, { headers: paying(encode({
      ...paymentPayload, accepted: offer, resource: required.resource })) });
  };
  const moved = async (what) => {
    const had = await devnet.balanceOf(payee);
    const res = await what();
    return [res, await devnet.balanceOf(payee) - had];
  };
  for (const [target, said, amount] of [['/used/a', '300', 300n],
    ['/used/a', '25%', 2500n], ['/used/a', '$0.002', 2000n],
    ['/used/a', '10000', 10000n], ['/used/a', '0', 0n],
    ['/asked/a', '{"amount":"400"}', 400n], ['/asked/a', undefined, 10000n]]) {
    cost = said;
    const [res, came] = await moved(() => buy(target));
    assert.equal(res.status, 200, `${said}: ${res.text}`);
    assert.equal(res.text, TALE);
    assert.equal(came, amount, said);
    assert.equal(decode(res.headers['payment-response']).amount,
      amount ? String(amount) : decode(
        res.headers['payment-response']).amount);
    assert.equal(res.headers['settlement-overrides'], undefined);
  }
  // More than was offered, nonsense, or nothing: not charged and not given.
  for (const [target, said] of [['/used/a', '10001'], ['/used/a', 'lots'],
    ['/used/a', '101%'], ['/used/a', '-1'], ['/used/a', undefined],
    ['/asked/a', '{"amount":"10001"}'], ['/asked/a', 'lots']]) {
    cost = said;
    const [res, came] = await moved(() => buy(target));
    assert.equal(res.status, 500, `${target} ${said}`);
    assert.doesNotMatch(res.text, new RegExp(TALE));
    assert.equal(came, 0n, said);
  }
  assert.deepEqual(await atRest(site), []);
  await site.stop();
  await origin.stop();
});

test('holders of a token go free, by its own chain', async () => {
  const { info } = devnet;
  const account = payerAccount(devnet);
  const balance = await devnet.balanceOf(account.address);
  const site = await startNginx(`
  x402_state DIR/x402.state payments=256; x402_network ${info.network};
  x402_facilitator_url ${facilitator.url}; x402_price $0.01;
  x402_pay_to ${info.accounts.payee.address};
  x402_public_origin http://127.0.0.1:PORT;
  server { listen 127.0.0.1:PORT; root DIR/html;
    location = /x402-status { x402_status; }
    location /club/ { x402 on; alias DIR/html/;
      x402_holder ${info.rpcUrl} ${info.token} min=${balance}; }
    location /rich/ { x402 on; alias DIR/html/;
      x402_holder ${info.rpcUrl} ${info.token} min=${balance + 1n}; }
    location /less/ { x402 on; alias DIR/html/;
      x402_holder ${info.rpcUrl} ${info.token} min=1 price=0.002usd; }
    location /down/ { x402 on; alias DIR/html/;
      x402_holder http://127.0.0.1:1 ${info.token}; }
  }`, { files: { 'a.txt': TALE } });
  const proof = async (target) => Object.entries((await createSIWxClientHook(
    account)({ paymentRequired: await challenge(site, target),
    requestUrl: site.url + target })).headers);
  const good = await proof('/club/a.txt');
  const all = await Promise.all(Array.from({ length: 6 }, () =>
    request(site, '/club/a.txt', { headers: good })));
  assert.equal(all.filter((r) => r.status === 200).length, 1, 'a proof, once');
  assert.equal(all.find((r) => r.status === 200).text, TALE);
  assert.equal((await request(site, '/club/a.txt',
    { headers: await proof('/club/a.txt') })).status, 200);
  for (const target of ['/rich/a.txt', '/down/a.txt']) {
    const res = await request(site, target, { headers: await proof(target) });
    assert.equal(res.status, 402, target);
    assert.doesNotMatch(res.text, new RegExp(TALE));
  }
  const elsewhere = await request(site, '/rich/a.txt',
    { headers: await proof('/club/a.txt') });
  assert.equal(elsewhere.status, 402, 'a proof for another page');
  assert.equal((await metrics(site)).holder, 2);
  // Cheaper for holders: told to who signs in, taken from who holds.
  assert.equal((await challenge(site, '/less/a.txt')).accepts[0].amount,
    '10000');
  const told = decode((await request(site, '/less/a.txt',
    { headers: await proof('/less/a.txt') })).headers['payment-required']);
  assert.equal(told.accepts[0].amount, '2000');
  const [offer] = told.accepts;
  const pay = async (key) => {
    const { paymentPayload } = await paymentRequest(info, {
      privateKey: key, requirements: offer,
      authorization: { to: offer.payTo, value: offer.amount } });
    return request(site, '/less/a.txt', { headers: paying(encode({
      ...paymentPayload, accepted: offer, resource: told.resource })) });
  };
  const payee = info.accounts.payee.address;
  const had = await devnet.balanceOf(payee);
  const stranger = await pay(`0x${'5'.repeat(64)}`);
  assert.equal(stranger.status, 402);
  const holder = await pay(info.accounts.payer.privateKey);
  assert.equal(holder.status, 200, holder.text);
  assert.equal(holder.text, TALE);
  assert.equal(await devnet.balanceOf(payee) - had, 2000n);
  await until(async () => (await metrics(site)).delivered === 1, 'the count');
  await site.stop();
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
  const as = async (agent) => (await fetch(
    `${site.url}/articles/short-wait.html`,
    { headers: { 'User-Agent': agent } })).status;
  assert.equal(await as('RudeBot'), 403);
  assert.equal(await as('FriendBot'), 402, 'it lives elsewhere');
  assert.match(await (await fetch(`${site.url}/robots.txt`)).text(),
    /User-agent: RudeBot\nDisallow: \/articles\//);
  const listed = await (await fetch(`${site.url}/.well-known/x402`)).json();
  assert.deepEqual(listed.resources.map((r) => new URL(r.url).pathname).sort(),
    ['/articles/*', '/reports/*']);
  await until(async () => (await metrics(site)).delivered === 3, 'the count');
  assert.equal((await metrics(site)).shadow, 1);
  await site.stop();
});

test('broken under paid load, nothing is lost and nothing given away',
  async () => {
    check(await paidLoad(devnet, facilitator,
      { requests: 240, connections: 8, faultEveryMs: 900, sync: true }));
  });
