// The nginx module at the edges of nginx: HTTP/2 and TLS while a response is
// held back, headers that left without their content, redirects of nginx's own,
// and what operators are shown.
//
//   node --test tests/system/nginx_edges.test.mjs

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  atRest, freePort, metrics, payments, scratch, sleep, startNginx, startOrigin,
  until,
} from './nginx.lib.mjs';
import {
  PAYEE, PAYER, challenge, decode, pay, paying, request, settled,
  startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';
const BIG = Array.from({ length: 40000 }, (_, i) => `${i} ${SECRET}\n`).join('');

describe('nginx at its edges', () => {
  let f;
  let origin;
  let nginx;
  let tls;

  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    tls = await freePort();
    const dir = scratch();
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
      'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-keyout',
      `${dir}/key.pem`, '-out', `${dir}/cert.pem`, '-subj', '/CN=localhost'],
    { stdio: 'pipe' });
    nginx = await startNginx(`
  x402_state DIR/x402.state payments=4096;
  x402_facilitator_url ${f.url}; x402_network eip155:84532;
  x402_pay_to ${PAYEE}; x402_public_origin http://127.0.0.1:PORT;
  x402_price $0.01;
  upstream kept { server ${new URL(origin.url).host}; keepalive 1; }
  server { listen 127.0.0.1:PORT; listen 127.0.0.1:${tls} ssl http2;
    ssl_certificate ${dir}/cert.pem; ssl_certificate_key ${dir}/key.pem;
    root DIR/html; log_not_found off;
    location = /x402-status { x402_status; }
    location /file/ { x402 on; alias DIR/html/; }
    location /proxy/ { x402 on; proxy_pass ${origin.url}; }
    location /stream/ { x402 on; proxy_pass ${origin.url};
      proxy_buffering off; }
    location /before/ { x402 on; x402_settle before; alias DIR/html/;
      x402_cors_origin *; }
    location /first/ { x402 on; x402_settle before; proxy_pass ${origin.url};
      proxy_buffering off; }
    location /put/ { x402 on; proxy_pass ${origin.url}; }
    location /get-only/ { x402 on; alias DIR/html/;
      limit_except GET { deny all; } }
    location /fallback/ { x402 on; try_files /none @other; }
    location @other { x402 on; proxy_pass ${origin.url}; }
    location /kept/ { x402 on; proxy_pass http://kept; proxy_buffer_size 4k;
      proxy_buffers 2 4k; proxy_busy_buffers_size 4k; proxy_http_version 1.1;
      proxy_set_header Connection ""; }
    location /mirrored/ { mirror /file/big.txt; proxy_pass ${origin.url}; }
    location /caught/ { x402 on; proxy_pass ${origin.url};
      proxy_intercept_errors on; error_page 404 =200 @spare;
      error_page 500 /sorry.txt; }
    location @spare { x402 on; proxy_pass ${origin.url}/spare$is_args; }
    location = /sorry.txt { }
    location /accel/ { x402 on; proxy_pass ${origin.url}; }
    location /inside/ { internal; alias DIR/html/; }
    location /after/ { x402 on; post_action /file/big.txt; alias DIR/html/; }
    location /asked/ { x402 on; satisfy any; auth_request /door;
      alias DIR/html/; }
    location = /door { internal; proxy_pass ${origin.url}/door; }
    location /body/ { x402 on; client_body_buffer_size 8k;
      proxy_pass ${origin.url}; proxy_request_buffering off; }
    location /dav/ { x402 on; dav_methods PUT DELETE;
      create_full_put_path on; alias DIR/html/up/; }
    location /when/ { x402 on; if ($arg_proxy) { proxy_pass ${origin.url}; }
      alias DIR/html/; }
  }`, { files: { 'big.txt': BIG, 'empty.txt': '', 'dir/index.html': SECRET,
    'sorry.txt': 'sorry' } });
  });
  beforeEach(() => {
    f.reset();
    origin.asked = 0;
    origin.handler = (req, res) => res.end(BIG);
  });
  after(async () => {
    const ended = await nginx.stop();
    await f.stop();
    await origin.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, nginx.log);
    assert.doesNotMatch(nginx.log, /ERROR|runtime error/);
    assert.deepEqual(nginx.errors().split('\n').filter((line) =>
      /\[(alert|emerg|crit)\]/.test(line)), []);
  });

  // What is owed for one target, when nothing is under way.
  const owed = async (target) => (await atRest(nginx)).filter((p) =>
    p.url === nginx.url + target);

  const unsettled = () => ({ success: false, errorReason: 'insufficient_funds',
    transaction: '', network: 'eip155:84532', payer: PAYER });

  // One exchange of a session; what: called with the stream when it is there.
  const ask2 = (session, target, headers = {}, what = () => {}) =>
    new Promise((done) => {
      const out = { text: '' };
      const stream = session.request({ ':path': target, ...headers });
      stream.on('response', (h) => { out.headers = h; out.status = h[':status']; });
      stream.on('data', (data) => { out.text += data; });
      stream.on('end', () => done(out));
      stream.on('error', () => done(out));
      stream.on('close', () => done(out));
      stream.end();
      what(stream);
    });

  test('HTTP/2 over TLS: whole when paid, nothing when not', async () => {
    const session = http2.connect(`https://127.0.0.1:${tls}`,
      { rejectUnauthorized: false });
    f.settle = async () => { await sleep(40); return settled(); };
    for (const target of ['/file/big.txt', '/proxy/big', '/stream/big']) {
      const required = await challenge(nginx, target);
      const all = await Promise.all(Array.from({ length: 4 }, () =>
        ask2(session, target, { 'payment-signature': pay(required) })));
      for (const res of all) {
        assert.equal(res.status, 200, target);
        assert.ok(res.text === BIG, `${target}: whole`);
      }
      const unpaid = await ask2(session, target);
      assert.equal(unpaid.status, 402);
      f.settle = unsettled;
      const refused = await ask2(session, target,
        { 'payment-signature': pay(required) });
      assert.equal(refused.status, 402);
      assert.doesNotMatch(refused.text, new RegExp(SECRET));
      f.settle = async () => { await sleep(40); return settled(); };
    }
    assert.equal(f.count('settle'), 15);
    session.close();
    assert.deepEqual(await atRest(nginx), []);
  });

  test('HTTP/2: a stream that is reset while the money moves can come again',
    async () => {
      const session = http2.connect(`https://127.0.0.1:${tls}`,
        { rejectUnauthorized: false });
      for (const target of ['/file/big.txt', '/proxy/big', '/stream/big',
        '/before/big.txt']) {
        const payment = pay(await challenge(nginx, target));
        let stream;
        f.settle = async () => {
          stream.close(http2.constants.NGHTTP2_CANCEL);
          await sleep(150);
          return settled();
        };
        const cut = await ask2(session, target,
          { 'payment-signature': payment }, (s) => { stream = s; });
        assert.equal(cut.status, undefined, target);
        await until(async () => (await payments(nginx)).some((p) =>
          p.state === 'undelivered' && !p.busy), `${target}: the entry`);
        f.asked = [];
        const again = await ask2(session, target,
          { 'payment-signature': payment });
        assert.equal(again.status, 200);
        assert.ok(again.text === BIG, target);
        assert.equal(f.asked.length, 0);
      }
      session.close();
      assert.deepEqual(await atRest(nginx), []);
    });

  test('a header alone is no delivery', async () => {
    for (const target of ['/stream/x', '/first/x']) {
      const payment = pay(await challenge(nginx, target));
      let cut;
      origin.handler = (req, res) => {
        res.writeHead(200, { 'content-length': 1000 });
        res.flushHeaders();
        cut = () => res.socket.destroy();
      };
      const text = await new Promise((done) => {
        let got = '';
        const socket = net.connect(nginx.port, '127.0.0.1', () => socket.write(
          `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
          `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`));
        socket.on('data', (data) => {
          got += data;
          if (got.includes('\r\n\r\n')) cut();
        });
        socket.on('close', () => done(got));
      });
      assert.match(text, /^HTTP\/1.1 200/);
      const [entry] = await atRest(nginx);
      assert.equal(entry?.state, 'undelivered', target);
      origin.handler = (req, res) => res.end(SECRET);
      f.asked = [];
      const again = await request(nginx, target, { headers: paying(payment) });
      assert.equal(again.status, 200);
      assert.equal(again.text, SECRET);
      assert.equal(f.asked.length, 0, 'paid already');
      assert.deepEqual(await atRest(nginx), []);
    }
  });

  test('a response without content is delivered with its header', async () => {
    const session = http2.connect(`https://127.0.0.1:${tls}`,
      { rejectUnauthorized: false });
    for (const [target, method, handler] of [['/file/empty.txt', 'GET'],
      ['/file/big.txt', 'HEAD'], ['/proxy/x', 'HEAD'],
      ['/proxy/x', 'GET', (req, res) => { res.statusCode = 204; res.end(); }],
      ['/stream/x', 'GET', (req, res) => res.end()],
      ['/first/x', 'DELETE', (req, res) => { res.statusCode = 204; res.end(); }],
      ['/proxy/x', 'POST', (req, res) => {
        res.writeHead(303, { location: '/made' });
        res.end();
      }]]) {
      origin.handler = handler ?? ((req, res) => res.end(SECRET));
      const before_ = (await metrics(nginx)).delivered;
      const required = await challenge(nginx, target, { method });
      const one = await request(nginx, target, { method,
        headers: paying(pay(required)) });
      assert.ok(one.status < 400, `${method} ${target}: ${one.status}`);
      const two = await ask2(session, target, { ':method': method,
        'payment-signature': pay(required) });
      assert.equal(two.status, one.status);
      assert.deepEqual(await atRest(nginx), [], `${method} ${target}`);
      assert.equal((await metrics(nginx)).delivered - before_, 2);
    }
    session.close();
  });

  test('nginx\'s own redirect to a directory is not charged', async () => {
    const res = await request(nginx, '/file/dir', { headers:
      paying(pay(await challenge(nginx, '/file/dir'))) });
    assert.equal(res.status, 301);
    assert.equal(f.count('settle'), 0);
    const paid = await request(nginx, '/file/dir/', { headers:
      paying(pay(await challenge(nginx, '/file/dir/'))) });
    assert.equal(paid.status, 200);
    assert.match(paid.text, new RegExp(SECRET));
    assert.equal(f.count('settle'), 1);
    // One of the origin's is its answer, and may be all that was wanted.
    origin.handler = (req, res) => {
      res.writeHead(302, { location: '/signed?key=1' });
      res.end();
    };
    const moved = await request(nginx, '/proxy/x', { headers:
      paying(pay(await challenge(nginx, '/proxy/x'))) });
    assert.equal(moved.status, 302);
    assert.equal(f.count('settle'), 2);
  });

  test('limit_except, if and fallbacks sell as their location', async () => {
    for (const target of ['/get-only/big.txt', '/when/big.txt',
      '/when/x?proxy=1', '/fallback/x']) {
      const unpaid = await request(nginx, target);
      assert.equal(unpaid.status, 402, target);
      assert.doesNotMatch(unpaid.text, new RegExp(SECRET));
      const res = await request(nginx, target, { headers:
        paying(pay(await challenge(nginx, target))) });
      assert.equal(res.status, 200, target);
      assert.match(res.text, new RegExp(SECRET));
    }
    assert.equal(f.count('settle'), 4);
    f.asked = [];
    const kept = await request(nginx, '/get-only/big.txt', { method: 'POST',
      headers: paying(pay(await challenge(nginx, '/get-only/big.txt'))) });
    assert.equal(kept.status, 403);
    assert.equal(f.asked.length, 0, 'whom nginx keeps out is not charged');
  });

  const buy = async (target, options = {}) => request(nginx, target,
    { ...options, headers: [...paying(pay(await challenge(nginx, target,
      { method: options.method }))), ...options.headers ?? []] });

  test('a connection to the origin that is kept is never out of step',
    async () => {
      origin.handler = (req, res) => res.end(`${req.url} ${BIG}`);
      for (let i = 0; i < 12; i++) {
        f.settle = i % 3 === 1 ? unsettled : settled;
        if (i % 3 === 2)
          f.settle = (body, req, res) => { res.socket.destroy(); };
        const target = `/kept/${i}`;
        const res = await buy(target);
        if (i % 3) {
          assert.ok([402, 502].includes(res.status), res.status);
          assert.doesNotMatch(res.text, new RegExp(SECRET));
        } else {
          assert.equal(res.status, 200);
          assert.ok(res.text === `${target} ${BIG}`, target);
        }
      }
    });

  test('a mirror into a location that sells buys nothing', async () => {
    const required = await challenge(nginx, '/file/big.txt');
    f.asked = [];
    const res = await request(nginx, '/mirrored/x', { headers:
      paying(pay({ ...required, resource: undefined })) });
    assert.equal(res.status, 200);
    await sleep(100);
    assert.equal(f.asked.length, 0);
  });

  test('pages for errors: charged as what they say to be', async () => {
    origin.handler = (req, res) => {
      res.statusCode = req.url.startsWith('/spare') ? 200
        : req.url.endsWith('500') ? 500 : 404;
      res.end(req.url.startsWith('/spare') ? SECRET : 'no');
    };
    const sorry = await buy('/caught/500');
    assert.equal(sorry.status, 500);
    assert.equal(sorry.text, 'sorry');
    assert.equal(f.count('settle'), 0);
    const spare = await buy('/caught/404');
    assert.equal(spare.status, 200);
    assert.equal(spare.text, SECRET);
    assert.equal(f.count('settle'), 1);
    assert.equal((await request(nginx, '/caught/404')).status, 402);
  });

  test('X-Accel-Redirect: whole, also for who asks for a part', async () => {
    origin.handler = (req, res) => {
      res.setHeader('X-Accel-Redirect', '/inside/big.txt');
      res.end();
    };
    const res = await buy('/accel/x', { headers: [['Range', 'bytes=0-9']] });
    assert.equal(res.status, 200);
    assert.ok(res.text === BIG);
    assert.equal((await request(nginx, '/accel/x')).status, 402);
  });

  test('post_action charges nobody again', async () => {
    assert.equal((await buy('/after/big.txt')).status, 200);
    await sleep(150);
    assert.equal(f.count('settle'), 1);
    assert.deepEqual(await owed('/after/big.txt'), []);
  });

  test('satisfy any: a door that says yes, or money', async () => {
    let door = 204;
    origin.handler = (req, res) => { res.statusCode = door; res.end(); };
    assert.equal((await request(nginx, '/asked/big.txt')).status, 200);
    door = 401;
    assert.equal((await request(nginx, '/asked/big.txt')).status, 402);
    assert.equal((await buy('/asked/big.txt')).status, 200);
    assert.equal(f.count('settle'), 1);
  });

  test('bodies of any kind come to the origin, and bind the payment',
    async () => {
      origin.handler = (req, res, body) => res.end(`${SECRET} ${body.length}`);
      const session = http2.connect(`https://127.0.0.1:${tls}`,
        { rejectUnauthorized: false });
      for (const size of [0, 1, 8192, 100000, 900000]) {
        const body = 'x'.repeat(size);
        const required = await challenge(nginx, '/body/x', { method: 'POST' });
        const res = await request(nginx, '/body/x', { method: 'POST', body,
          headers: [...paying(pay(required)), size % 2
            ? ['Content-Length', String(size)]
            : ['Transfer-Encoding', 'chunked']] });
        assert.equal(res.text, `${SECRET} ${size}`);
        const two = await new Promise((done) => {
          const out = { text: '' };
          const stream = session.request({ ':path': '/body/x',
            ':method': 'POST', 'payment-signature': pay(required) });
          stream.on('data', (data) => { out.text += data; });
          stream.on('close', () => done(out));
          stream.end(body);
        });
        assert.equal(two.text, `${SECRET} ${size}`);
      }
      session.close();
      // Paid, not delivered: for these bytes and for no others.
      const payment = pay(await challenge(nginx, '/body/x',
        { method: 'POST' }));
      f.settle = (body, req, res) => { res.socket.destroy(); };
      const post = (body) => request(nginx, '/body/x', { method: 'POST', body,
        headers: paying(payment) });
      assert.equal((await post('a'.repeat(50000))).status, 502);
      f.settle = () => settled();
      assert.equal((await post('a'.repeat(49999) + 'b')).status, 402);
      assert.equal((await post('a'.repeat(50000))).status, 200);
    });

  test('a paid upload is stored, an unpaid one is not', async () => {
    const put = (target, body, headers) => request(nginx, target,
      { method: 'PUT', body, headers });
    const required = await challenge(nginx, '/dav/a/b.txt', { method: 'PUT' });
    for (const body of ['short', 'x'.repeat(300000)]) {
      const res = await put('/dav/a/b.txt', body, paying(pay(required)));
      assert.ok([201, 204].includes(res.status), `${res.status}`);
      assert.equal(fs.readFileSync(`${nginx.dir}/html/up/a/b.txt`, 'utf8'),
        body);
    }
    assert.equal(f.count('settle'), 2);
    assert.equal((await put('/dav/c.txt', 'x', [])).status, 402);
    f.verify = () => ({ isValid: false, invalidReason: 'insufficient_funds' });
    assert.equal((await put('/dav/c.txt', 'x', paying(pay({ ...required,
      resource: undefined })))).status, 402);
    assert.ok(!fs.existsSync(`${nginx.dir}/html/up/c.txt`));
    await until(() => !fs.readdirSync(`${nginx.dir}/body`).length,
      'temporaries to go');
  });

  test('a reload while content is held back', async () => {
    f.settle = async () => { await sleep(700); return settled(); };
    const targets = ['/file/big.txt', '/proxy/x', '/stream/x',
      '/before/big.txt'];
    const under = targets.map((target) => buy(target));
    await until(() => f.count('settle') === 4, 'four settlements');
    const old = await nginx.reload();
    for (const res of await Promise.all(under)) {
      assert.equal(res.status, 200);
      assert.ok(res.text.endsWith(BIG));
    }
    await nginx.drained(old);
    for (const target of targets)
      assert.deepEqual(await owed(target), []);
  });

  test('any bytes in a URL leave the list of what is owed readable',
    async () => {
      const required = await challenge(nginx, '/file/big.txt');
      const codes = [];
      f.settle = (body, req, res) => { res.socket.destroy(); };
      for (const target of ['/file/big.txt?\xff\xfe', '/file/big.txt?"\\',
        `/file/big.txt?${'x'.repeat(300)}`,
        `/file/big.txt?${'y'.repeat(300 - nginx.url.length)}`,
        `/file/big.txt?${'\xc3\xa9'.repeat(200)}`,
        `/file/big.txt?z${'\xc3\xa9'.repeat(200)}`])
        await new Promise((done) => {
          const socket = net.connect(nginx.port, '127.0.0.1', () =>
            socket.write(Buffer.from(`GET ${target} HTTP/1.1\r\nHost: x\r\n` +
              'Connection: close\r\nPAYMENT-SIGNATURE: ' +
              `${pay({ ...required, resource: undefined })}\r\n\r\n`,
            'latin1')));
          socket.on('close', done).on('data', (data) => {
            codes.push(/^HTTP\/1.1 (\d+)/.exec(data)?.[1]);
          });
        });
      const list = (await atRest(nginx)).filter((p) =>
        p.url.startsWith(`${nginx.url}/file/big.txt?`));
      assert.equal(list.length, codes.filter((c) => c === '502').length);
      assert.equal(codes.filter((c) => c === '400').length, 3, 'no ASCII');
    });

  test('a preflight is none of the refused', async () => {
    const res = await request(nginx, '/before/big.txt', { method: 'OPTIONS',
      headers: [['Origin', 'http://a.test'],
        ['Access-Control-Request-Method', 'GET']] });
    assert.equal(res.status, 204);
    await until(() => /204 \[preflight\]/.test(nginx.access()));
  });

  test('words of a facilitator do not make lines of a log', async () => {
    f.verify = () => ({ isValid: false,
      invalidReason: 'bad\n2026/11/21 00:00:00 forged\r\x1b[31m' });
    const res = await request(nginx, '/file/big.txt', { headers:
      paying(pay(await challenge(nginx, '/file/big.txt'))) });
    assert.equal(res.status, 402);
    await until(() => /forged/.test(nginx.errors()));
    assert.doesNotMatch(nginx.errors(), /^2026\/11\/21 00:00:00/m);
    assert.doesNotMatch(nginx.errors(), /\x1b/);
    assert.ok(decode(res.headers['payment-required']).error);
  });
});
