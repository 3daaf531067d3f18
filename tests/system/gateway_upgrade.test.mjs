// WebSocket connections through the gateway: free ones pass, sold ones are
// settled first, and nothing gets through that is neither.
//
//   node --test tests/system/gateway_upgrade.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { journal, scratch, shop, startGateway } from './gateway.lib.mjs';
import { startOrigin, until } from './nginx.lib.mjs';
import {
  PAYER, TX, challenge, decode, pay, settled, startFacilitator,
} from './provider.lib.mjs';

const BIG = Buffer.alloc(5_000_000, 'frames of all kinds');

// A handshake; resolves to {status, headers, socket} or {status, text}.
function upgrade(site, target, { headers = {}, early = '', method = 'GET' }
  = {}) {
  const url = new URL(site.url);
  return new Promise((done, fail) => {
    const req = http.request({ host: url.hostname, port: url.port, agent: false,
      path: target, method, headers: { connection: 'Upgrade',
        upgrade: 'websocket', 'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers } });
    req.on('error', fail);
    req.on('upgrade', (res, socket, head) => {
      socket.on('error', () => {});
      done({ status: res.statusCode, headers: res.headers, socket, head });
    });
    req.on('response', (res) => {
      let text = '';
      res.on('data', (data) => { text += data; });
      res.on('end', () => done({ status: res.statusCode, headers: res.headers,
        text }));
    });
    if (early) req.on('socket', (socket) => socket.on('connect', () =>
      setImmediate(() => socket.write(early))));
    req.end();
  });
}

// Everything until so many bytes have come.
const read = (socket, len) => new Promise((done, fail) => {
  const chunks = [];
  let had = 0;
  socket.on('data', (chunk) => {
    chunks.push(chunk);
    had += chunk.length;
    if (had >= len) done(Buffer.concat(chunks));
  });
  socket.on('close', () => fail(new Error(`closed after ${had} bytes`)));
});

describe('WebSocket', () => {
  let f;
  let origin;
  let gateway;
  let file;
  let upgrades;
  let accept;

  before(async () => {
    file = path.join(scratch(), 'journal.sqlite');
    f = await startFacilitator();
    origin = await startOrigin((req, res) => res.end('plain'));
    origin.server.on('upgrade', (req, socket) => {
      upgrades.push(req);
      socket.on('error', () => {});
      accept(req, socket);
    });
    // Origins that fail are what is tested here: the breaker stays out of it.
    const conf = path.join(path.dirname(file), 'gateway.conf');
    fs.writeFileSync(conf,
      `upstream "shop" { url = "${origin.url}" breaker_failures = 0 }`);
    gateway = await startGateway(['-c', conf, '--network', 'eip155:84532',
      ...shop(f, origin, '--settle', 'before', '--journal', file)]);
  });
  beforeEach(() => {
    f.reset();
    upgrades = [];
    accept = (req, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
        'Connection: Upgrade\r\nSec-WebSocket-Accept: yes\r\n' +
        'PAYMENT-RESPONSE: forged\r\n\r\nhello');
      socket.pipe(socket);
    };
  });
  after(async () => {
    assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
    await f.stop();
    await origin.stop();
    assert.equal(gateway.log, '');
  });

  test('passes where it is free, in both directions', async () => {
    const { status, headers, socket, head } = await upgrade(gateway,
      '/free/x?y');
    assert.equal(status, 101);
    assert.equal(headers['sec-websocket-accept'], 'yes');
    assert.equal(headers['payment-response'], undefined);
    assert.equal(upgrades[0].url, '/free/x?y');
    assert.equal(upgrades[0].headers['sec-websocket-version'], '13');
    assert.equal(upgrades[0].headers['x402-access'], 'free');
    const all = read(socket, 'hello'.length - head.length + BIG.length);
    socket.write(BIG);
    const got = Buffer.concat([head, await all]);
    assert.equal(got.subarray(0, 5).toString(), 'hello');
    assert.ok(got.subarray(5).equals(BIG));
    socket.destroy();
    await until(() => gateway.requests().at(-1)?.status === 101, 'its line');
    assert.equal(gateway.requests().at(-1).bytes_in, BIG.length);
  });

  test('takes what is sent ahead', async () => {
    const { socket, head } = await upgrade(gateway, '/free/x',
      { early: 'ahead' });
    let text = head.toString();
    socket.on('data', (data) => { text += data; });
    await until(() => text === 'helloahead', 'both');
    socket.destroy();
  });

  test('a slow reader slows the origin down', async () => {
    let sent = 0;
    let end;
    accept = (req, socket) => {
      end = socket;
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
        'Connection: Upgrade\r\n\r\n');
      const more = () => {
        while (!socket.destroyed && sent < 1e9) {
          sent += 65536;
          if (!socket.write(Buffer.alloc(65536))) {
            socket.once('drain', more);
            return;
          }
        }
      };
      more();
    };
    const { socket } = await upgrade(gateway, '/free/x');
    socket.pause();
    let before_ = -1;
    while (before_ !== sent) {
      before_ = sent;
      await new Promise((done) => setTimeout(done, 300));
    }
    assert.ok(sent < 100_000_000, `${sent} bytes were taken`);
    socket.destroy();
    await until(() => end.destroyed, 'the origin to hear of it');
  });

  test('who leaves takes the other side along', async () => {
    let end;
    const plain = accept;
    accept = (req, socket) => { end = socket; plain(req, socket); };
    const first = await upgrade(gateway, '/free/x');
    first.socket.destroy();
    await until(() => end.destroyed, 'the origin to hear of it');
    const second = await upgrade(gateway, '/free/x');
    let text = second.head.toString();
    second.socket.on('data', (data) => { text += data; });
    end.end('last words');
    await new Promise((done) => second.socket.on('close', done));
    assert.equal(text, 'hellolast words');
  });

  test('is a 402 where it is not paid, and the origin is not asked',
    async () => {
      assert.equal((await upgrade(gateway, '/article')).status, 402);
      assert.equal((await upgrade(gateway, '/article',
        { headers: { 'PAYMENT-SIGNATURE': 'nonsense' } })).status, 402);
      assert.equal(upgrades.length, 0);
      assert.equal(f.asked.length, 0);
    });

  test('is sold, settled before the origin is asked', async () => {
    const required = await challenge(gateway, '/article');
    f.settle = () => {
      assert.equal(upgrades.length, 0);
      return settled();
    };
    const { status, headers, socket } = await upgrade(gateway, '/article',
      { headers: { 'PAYMENT-SIGNATURE': pay(required) } });
    assert.equal(status, 101);
    assert.equal(decode(headers['payment-response']).transaction, TX);
    assert.equal(upgrades[0].headers['x402-payer'], PAYER);
    assert.equal(upgrades[0].headers['payment-signature'], undefined);
    await until(() => journal(file, 'delivered').length === 1, 'its row');
    socket.destroy();
  });

  for (const [name, refuse] of Object.entries({
    'says no': (req, socket) =>
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
    'answers as if nothing were': (req, socket) =>
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret'),
    'leaves': (req, socket) => socket.destroy(),
    'is no HTTP': (req, socket) => socket.end('SMTP ready\r\n\r\n'),
    'sends a broken header': (req, socket) => socket.end(
      'HTTP/1.1 101 OK\r\nUpgrade\r\n\r\n'),
    'sends a folded header': (req, socket) => socket.end(
      'HTTP/1.1 101 OK\r\nX: a\r\n b: c\r\n\r\n'),
    'sends a head without end': (req, socket) =>
      socket.end(`HTTP/1.1 101 OK\r\nX: ${'a'.repeat(20000)}`),
  }))
    test(`an origin that ${name} leaves it owed`, async () => {
      const owed = journal(file, 'owed').length;
      const required = await challenge(gateway, '/article');
      accept = refuse;
      const res = await upgrade(gateway, '/article',
        { headers: { 'PAYMENT-SIGNATURE': pay(required) } });
      assert.equal(res.status, name === 'says no' ? 403 : 502);
      assert.doesNotMatch(res.text, /secret/);
      assert.equal(decode(res.headers['payment-response']).transaction, TX);
      assert.equal(journal(file, 'owed').length, owed + 1);
    });

  test('other methods and protocols are ordinary requests', async () => {
    assert.equal((await upgrade(gateway, '/free/x',
      { headers: { upgrade: 'h2c' } })).text, 'plain');
    assert.equal((await upgrade(gateway, '/free/x',
      { method: 'DELETE' })).text, 'plain');
    assert.equal(upgrades.length, 0);
  });

  test('is refused where it could not be settled', async () => {
    const after_ = await startGateway(shop(f, origin));
    const required = await challenge(after_, '/article');
    const res = await upgrade(after_, '/article',
      { headers: { 'PAYMENT-SIGNATURE': pay(required) } });
    assert.equal(res.status, 501);
    assert.equal(f.asked.length, 0);
    assert.equal(upgrades.length, 0);
    // QUIT does not wait for a connection that has no end.
    const open = await upgrade(after_, '/free/x');
    assert.equal(open.status, 101);
    after_.child.kill('SIGQUIT');
    assert.deepEqual(await after_.exited, { code: 0, signal: null });
  });
});
