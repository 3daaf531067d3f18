// What an origin sees that the operator has decided: headers of his own,
// payments where it asks for them, and only what is routed to it.
//
//   node --test tests/system/gateway_origin.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { scratch, startGateway } from './gateway.lib.mjs';
import { startOrigin, until } from './nginx.lib.mjs';
import {
  PAYEE, challenge, pay, paying, request, startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';

describe('origins', () => {
  let f;
  let origin;
  let dir;

  before(async () => {
    dir = scratch();
    f = await startFacilitator();
    origin = await startOrigin();
  });
  beforeEach(() => {
    f.reset();
    origin.asked = 0;
    origin.handler = (req, res) => res.end(SECRET);
  });
  after(async () => {
    await f.stop();
    await origin.stop();
  });

  let files = 0;
  const start = async (text) => {
    const file = path.join(dir, `${++files}.conf`);
    fs.writeFileSync(file, `
public_origin = "https://shop.example"
price = "$0.01"
network = "eip155:84532"
pay_to = "${PAYEE}"
facilitators = {"${f.url}"}
admin_listen = "127.0.0.1:0"
${text}`);
    const gateway = await startGateway(['-c', file]);
    gateway.end = async () => {
      assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
      assert.equal(gateway.log, '');
    };
    return gateway;
  };
  test('the operator\'s headers are sent, a client\'s of that name are not',
    async () => {
      const secret = path.join(dir, 'key.header');
      fs.writeFileSync(secret, 'X-Api-Key: s3cret\n', { mode: 0o600 });
      let seen;
      origin.handler = (req, res) => { seen = req; res.end(SECRET); };
      const gateway = await start(`upstream "shop" { url = "${origin.url}"
        host = "$host" headers = {"X-Plan: gold"} header_files = {"${secret}"} }
        route "/free/*" { free = true }`);
      await request(gateway, '/free/x', { headers: [['X-Api-Key', 'guess'],
        ['x-plan', 'guess']] });
      assert.equal(seen.headers['x-api-key'], 's3cret');
      assert.equal(seen.headers['x-plan'], 'gold');
      assert.equal(seen.headers.host, new URL(gateway.url).host);
      assert.doesNotMatch(JSON.stringify(gateway.lines), /s3cret/);
      await gateway.end();
    });

  test('payments are shown to an origin that asks for them', async () => {
    let seen;
    origin.handler = (req, res) => { seen = req; res.end(SECRET); };
    const gateway = await start(`upstream "shop" { url = "${origin.url}" }
      route "/article" { forward_payment = true }`);
    const payment = pay(await challenge(gateway, '/article'));
    await request(gateway, '/article', { headers: paying(payment) });
    assert.equal(seen.headers['payment-signature'], payment);
    await gateway.end();
  });

  test('a pass loses no use while the origin is down', async () => {
    let well = true;
    origin.handler = (req, res) => {
      if (well) res.end(SECRET);
      else res.socket.destroy();
    };
    const gateway = await start(`upstream "shop" { url = "${origin.url}"
        breaker_failures = 2 breaker_open_ms = 4000 }
      route "/free" { free = true }
      route "/article" { pass_s = 3600 pass_uses = 1 }`);
    const paid = await request(gateway, '/article',
      { headers: paying(pay(await challenge(gateway, '/article'))) });
    const pass = [['X402-Pass', paid.headers['x402-pass']]];
    const cookie = [['Cookie', paid.headers['set-cookie'][0].split(';')[0]]];
    well = false;
    for (let i = 0; i < 2; i++)
      assert.equal((await request(gateway, '/free')).status, 502);
    for (const headers of [pass, cookie, pass])
      assert.equal((await request(gateway, '/article', { headers })).status,
        503);
    well = true;
    await until(async () => (await request(gateway, '/free')).status === 200,
      'the breaker to close');
    assert.equal((await request(gateway, '/article',
      { headers: pass })).text, SECRET);
    assert.equal((await request(gateway, '/article',
      { headers: cookie })).status, 402);
    await gateway.end();
  });

  test('each route goes to its own', async () => {
    const other = await startOrigin((req, res) => res.end('other'));
    const gateway = await start(`upstream "shop" { url = "${origin.url}" }
      upstream "other" { url = "${other.url}" }
      route "/a/*" { free = true }
      route "/b/*" { free = true upstream = "other" }`);
    assert.equal((await request(gateway, '/a/x')).text, SECRET);
    assert.equal((await request(gateway, '/b/x')).text, 'other');
    await gateway.end();
    await other.stop();
  });

  test('a token that is slow does not keep a client that leaves', async () => {
    const secret = path.join(dir, 'client.secret');
    fs.writeFileSync(secret, 'top-s3cret\n', { mode: 0o600 });
    let answer;
    const issuer = http.createServer((req, res) => { answer = res; });
    await new Promise((done) => issuer.listen(0, '127.0.0.1', done));
    const gateway = await start(`upstream "api" { url = "${origin.url}"
      oauth { token_url = "http://127.0.0.1:${issuer.address().port}/token"
        client_id = "shop" client_secret_file = "${secret}" } }
      route "/free/*" { free = true }`);
    const url = new URL(gateway.url);
    const req = http.get({ host: url.hostname, port: url.port,
      path: '/free/x', agent: false });
    req.on('error', () => {});
    await until(() => answer, 'the fetch');
    req.destroy();
    await until(() => gateway.requests().at(-1)?.ended === 'client_gone',
      'its end');
    answer.end('{}');
    await gateway.end();
    issuer.closeAllConnections();
    await new Promise((done) => issuer.close(done));
  });
});
