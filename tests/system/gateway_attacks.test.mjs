// The provider's attacks of demands.md, 33 to 45, by number, against
// x402-gateway in front of an origin that sells nothing itself; and what a
// proxy can be made to do to the server behind it.
//
//   node --test tests/system/gateway_attacks.test.mjs

import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { PAYER_KEY, attack } from './attacks.table.mjs';
import { accounts } from './facilitator.lib.mjs';
import { contentRoutes, startGateway, startOrigin } from './gateway_site.lib.mjs';
import { sleep, until } from './nginx.lib.mjs';
import { PAYEE, PAYER, TX, challenge, pay, paying, raw, request,
  startFacilitator } from './provider.lib.mjs';

attack('x402-gateway', async ({ f, dir, directory }) => {
  const origin = await startOrigin();
  const gateway = await startGateway(`
    public_origin = "http://127.0.0.1:PORT"
    facilitators = {"${f.url}"}
    network = "eip155:84532" pay_to = "${PAYEE}" cors_origin = "*"
    journal = "${path.join(dir, 'journal')}"
    body_max = 262144
    upstream "site" { url = "${origin.url}" }
    ${contentRoutes}
    crawler "GreedyBot" { policy = block }
    crawler "SignedBot" { policy = allow directory = "${directory}" }`);
  const stop = gateway.stop;
  gateway.stop = async () => {
    const ended = await stop();
    await origin.stop();
    // The origin never sees what opens a door.
    for (const one of origin.asked)
      for (const name of ['payment-signature', 'x-payment', 'x402-pass',
        'sign-in-with-x'])
        assert.equal(one.headers[name], undefined, name);
    for (const one of origin.asked)
      assert.doesNotMatch(one.headers.cookie ?? '', /x402-pass/);
    return ended;
  };
  return gateway;
}, { finishes: true });

// What a client can do to the way between the two.
describe('attacks on what crosses x402-gateway', () => {
  let f;
  let origin;
  let gateway;
  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    gateway = await startGateway(`
      public_origin = "http://127.0.0.1:PORT"
      facilitators = {"${f.url}"} journal = "DIR/journal"
      network = "eip155:84532" pay_to = "${PAYEE}"
      upstream "site" { url = "${origin.url}" breaker_failures = 3
        breaker_open_ms = 60000 }
      route "/film" { price = "$0.01" } route "/health" { free = true }
      route "/upload" { free = true }`);
  });
  beforeEach(() => { f.reset(); origin.handler = null; origin.asked = []; });
  after(async () => {
    const ended = await gateway.stop();
    await origin.stop();
    await f.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, gateway.log);
    assert.doesNotMatch(gateway.log, /ERROR|runtime error/);
  });

  // Servers that read a path in more ways than one: Java's cut ";parameters"
  // before they look for dots, others decode once more, or take '\\' for '/'.
  const readings = [1, 2, 3].flatMap((rounds) => [true, false].map((cut) =>
    (url) => {
      let text = url.split('?')[0];
      for (let i = 1; i < rounds; i++)
        try { text = decodeURIComponent(text); } catch { return ''; }
      text = text.replaceAll('\\', '/').replace(/;[^/]*/g, '');
      try { text = decodeURIComponent(text); } catch { return ''; }
      text = text.replaceAll('\\', '/').replace(/;[^/]*/g, '');
      if (cut) text = text.replace(/[?#].*/, '');
      return path.posix.normalize(text.replace(/[\0-\x20]/g, ''));
    }));

  test('33 no path is free for the gate and sold by the origin', async () => {
    const wrong = [];
    origin.handler = (one, res) => {
      if (readings.some((read) => read(one.url).startsWith('/film')))
        wrong.push(one.url);
      res.end();
      return true;
    };
    const g = await startGateway(`
      public_origin = "http://127.0.0.1:PORT" network = "eip155:84532"
      pay_to = "${PAYEE}" price = "$0.01" upstream "o" { url = "${origin.url}" }
      route "/free/*" { free = true } route "GET /" { free = true }`);
    const ups = ['..', '.%2e', '..;x=1', '..%3b', '..%23', '..;%23', '..;%3fx',
      '%252e%252e', '.%09.', '.;/..', '%25252e%25252e', '..%00'];
    const slashes = ['/', '%2f', '%5c', ';/', '%252f', '%23/', '/%20/',
      ';%23/'];
    const targets = ups.flatMap((up) => slashes.flatMap((a) =>
      slashes.flatMap((b) => [`/free${a}${up}${b}film`,
        `/free/x${a}${up}${b}${up}${b}film`])));
    // What the last round undoes.
    targets.push('/free/..%252ffilm%252f%25252e%25252e%252ffree/y',
      '/free/..%252ffilm%25253b/x%25252f..%25252ffree');
    for (let i = 0; i < targets.length; i += 50)
      for (const text of await Promise.all(targets.slice(i, i + 50)
        .map((target) => raw(g, `GET ${target} HTTP/1.1\r\nHost: x\r\n` +
          'Connection: close\r\n\r\n'))))
        assert.match(text, /^HTTP\/1.1 [245]/);
    assert.deepEqual(wrong, []);
    // Names that only look odd are served.
    for (const target of ['/free/100%25', '/free/c%23', '/free/a;b=1/c',
      '/free/a%20b', '/free/%C3%BC'])
      assert.equal((await request(g, target)).status, 200, target);
    await g.stop();
  });

  test('37 a transfer that is shown buys the body that it came with',
    async () => {
      const g = await startGateway(`
        v1 = false public_origin = "http://127.0.0.1:PORT" journal = "DIR/journal"
        facilitators = {"${f.url}"} network = "eip155:84532" pay_to = "${PAYEE}"
        upstream "o" { url = "${origin.url}" }
        route "POST /film" { price = "$0.01" scheme = "proof" settle = before }`);
      const { accepts: [offer], resource } = await challenge(g, '/film',
        { method: 'POST' });
      const signature = await accounts.privateKeyToAccount(PAYER_KEY)
        .signTypedData({ domain: { name: 'x402 transaction proof',
          version: '1', chainId: 84532, verifyingContract: offer.asset },
        types: { TransactionProof: [{ name: 'reference', type: 'bytes32' },
          { name: 'transaction', type: 'bytes32' },
          { name: 'payTo', type: 'address' },
          { name: 'amount', type: 'uint256' },
          { name: 'resource', type: 'string' }] },
        primaryType: 'TransactionProof', message: {
          reference: offer.extra.reference, transaction: TX, payTo: PAYEE,
          amount: 10000n, resource: resource.url } });
      // The body comes when the gate could have been asked without it.
      const show = (body) => new Promise((done, fail) => {
        const req = http.request(`${g.url}/film`, { method: 'POST', headers: {
          'Content-Length': body.length, 'X-Payment-Proof': `${TX}; ` +
            `reference=${offer.extra.reference}; payer=${PAYER}; ` +
            `signature=${signature}` } }, async (res) => {
          let text = '';
          for await (const part of res) text += part;
          done({ status: res.statusCode, text });
        });
        req.on('error', fail);
        req.flushHeaders();
        sleep(100).then(() => req.end(body));
      });
      origin.handler = (one, res) => {
        res.statusCode = 500;
        res.end();
        return true;
      };
      assert.equal((await show('one')).status, 500);
      origin.handler = (one, res) => { res.end(one.body); return true; };
      // It is owed now, for this body.
      assert.equal((await show('two')).status, 402);
      assert.equal((await show('one')).text, 'one');
      assert.equal(f.count('settle'), 1);
      await g.stop();
    });

  // An origin that answers before it has read the request's body, with a film
  // whose end takes its time.
  const FILM = 'The guest was late. '.repeat(50000);
  async function earlyOrigin() {
    const sockets = new Set();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n' +
          `Content-Length: ${FILM.length}\r\n\r\n${FILM.slice(0, -10)}`);
      });
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    return { url: `http://127.0.0.1:${server.address().port}`,
      stop: () => new Promise((done) => {
        for (const socket of sockets) socket.destroy();
        server.close(done);
      }) };
  }

  // A film is asked for with a body that never ends well; gives what was read.
  const watch = (g, payment) => new Promise((done) => {
    let text = '';
    let broken = false;
    const socket = net.connect(g.port, '127.0.0.1', () => socket.write(
      `POST /film HTTP/1.1\r\nHost: 127.0.0.1:${g.port}\r\n` +
      `PAYMENT-SIGNATURE: ${payment}\r\nTransfer-Encoding: chunked\r\n\r\n` +
      '5\r\nhello\r\n'));
    socket.on('data', (data) => {
      text += data;
      if (!broken && text.length > FILM.length - 100) {
        broken = true;
        socket.write('not a chunk\r\n');
      }
      if (/^HTTP\/1.1 4/.test(text)) socket.end();
    });
    socket.setTimeout(3000, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => done(text));
  });

  test('a body that breaks after the film was seen: it was seen', async () => {
    const early = await earlyOrigin();
    const g = await startGateway(`
      public_origin = "http://127.0.0.1:PORT" journal = "DIR/journal"
      facilitators = {"${f.url}"} network = "eip155:84532" pay_to = "${PAYEE}"
      upstream "early" { url = "${early.url}" breaker_failures = 1
        breaker_open_ms = 60000 }
      route "/film" { price = "$0.01" }`);
    const payment = pay(await challenge(g, '/film', { method: 'POST' }));
    const first = await watch(g, payment);
    assert.match(first, /^HTTP\/1.1 200/);
    assert.ok(first.length > FILM.length - 100);
    const again = await watch(g, payment);
    assert.doesNotMatch(again, /The guest was late/, 'seen twice');
    assert.equal(f.count('settle'), 1);
    // Nor is the origin to blame for what the client did.
    const other = pay(await challenge(g, '/film', { method: 'POST' }));
    assert.match(await watch(g, other), /^HTTP\/1.1 200/);
    await g.stop();
    await early.stop();
  });

  // What the kernel no longer takes waits in the gateway: a little more than
  // such an answer, and the gateway is stopped.
  test('40 stopped while the end of an answer waits for a slow reader',
    async () => {
      let size = 0;
      let served = 0;
      origin.handler = (one, res) => {
        res.setHeader('content-length', size);
        res.end(Buffer.alloc(size, 'x'));
        res.on('close', () => { served++; });
        return true;
      };
      const g = await startGateway(`
        public_origin = "http://127.0.0.1:PORT" network = "eip155:84532"
        pay_to = "${PAYEE}" facilitators = {"${f.url}"} journal = "DIR/journal"
        upstream "o" { url = "${origin.url}" }
        route "/film" { price = "$0.01" } route "/free" { free = true }`);
      const ended = () => (g.log.match(/"status":200/g) ?? []).length;
      const ask = (target, payment) => new Promise((done) => {
        const socket = net.connect(g.port, '127.0.0.1', () => {
          socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${payment ?
            `PAYMENT-SIGNATURE: ${payment}\r\n` : ''}\r\n`);
          done(socket);
        });
        socket.on('error', () => {});
        socket.pause();
      });
      // How much is an answer that ends although nobody reads?
      let [most, more] = [1 << 16, 1 << 25];
      while (more - most > 8192) {
        size = (most + more) >> 1;
        const had = ended();
        const socket = await ask('/free');
        for (let i = 0; i < 15 && ended() === had; i++) await sleep(20);
        if (ended() > had) most = size; else more = size;
        socket.destroy();
        await until(() => ended() > had, 'the end');
      }
      for (const [back, signal] of [[0, 'SIGTERM'], [20000, 'SIGTERM'],
        [0, 'SIGKILL'], [20000, 'SIGKILL']]) {
        size = most - back;
        const payment = pay(await challenge(g, '/film'));
        // At once, before the kernel has found some more room.
        const had = served;
        const socket = await ask('/film', payment);
        await until(() => served > had, 'the origin');
        await sleep(100);
        g.child.kill(signal);
        await sleep(200);
        let got = '';
        socket.on('data', (data) => { got += data; });
        socket.resume();
        await new Promise((done) => socket.on('close', done));
        const whole = got.split('\r\n\r\n')[1]?.length === size;
        await g.exited;
        await g.start();
        if (signal === 'SIGTERM')
          assert.ok(whole, `${got.length} of ${size}`);
        // Killed, it is owed as far as it did not leave.
        const again = await request(g, '/film', { headers: paying(payment) });
        assert.equal(again.status, whole ? again.status : 200);
        if (again.status === 200) assert.equal(again.text.length, size);
      }
      await g.stop();
    });

  test('clients who break off their uploads do not close the shop',
    async () => {
      for (let i = 0; i < 6; i++)
        await new Promise((done) => {
          const socket = net.connect(gateway.port, '127.0.0.1', () => {
            socket.write('POST /upload HTTP/1.1\r\nHost: x\r\n' +
              'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
            setTimeout(() => i % 2 ? socket.destroy()
              : socket.write('not a chunk\r\n'), 50);
          });
          socket.setTimeout(1000, () => socket.destroy());
          socket.on('data', () => {});
          socket.on('error', () => {});
          socket.on('close', done);
        });
      assert.equal((await request(gateway, '/health')).status, 200);
    });

  test('an origin that will not read an upload is not down', async () => {
    // It answers and hangs up, as servers do with what is too large for them.
    const rude = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (data) => {
        if (/^POST/.test(data)) {
          socket.resetAndDestroy?.() ?? socket.destroy();
          return;
        }
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    await new Promise((done) => rude.listen(0, '127.0.0.1', done));
    const g = await startGateway(`
      network = "eip155:84532" pay_to = "${PAYEE}"
      upstream "rude" { url = "http://127.0.0.1:${rude.address().port}"
        breaker_failures = 2 breaker_open_ms = 60000 }
      route "/upload" { free = true }`);
    for (let i = 0; i < 5; i++)
      await request(g, '/upload', { method: 'POST',
        body: 'x'.repeat(3000000) }).catch(() => {});
    assert.equal((await request(g, '/upload')).status, 200);
    await g.stop();
    await new Promise((done) => rude.close(done));
  });
});
