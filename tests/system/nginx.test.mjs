// The nginx module in a real nginx, against a facilitator that says what it is
// told to: what is sold, what is given away, and what is remembered.
//
//   node --test tests/system/nginx.test.mjs
//   X402_BUILD_DIR  where the build is (default build/asan)

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  atRest, metrics, payments, scratch, sleep, startNginx, startOrigin,
  testConfig, until,
} from './nginx.lib.mjs';
import {
  PAYEE, PAYER, TX, challenge, decode, encode, pay, paying, raw, request,
  settled, startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';
const ARTICLE = '/paid/article.html';

describe('nginx module', () => {
  let f;
  let origin;
  let nginx;

  const config = () => `
  x402_state DIR/x402.state payments=4096;
  x402_facilitator_url ${f.url}/;
  x402_network eip155:84532;
  x402_pay_to ${PAYEE};
  x402_verify_timeout 800ms; x402_settle_timeout 800ms;
  proxy_cache_path DIR/cache keys_zone=cache:1m;
  map $arg_p $price { default 0.01usd; dear 50000atomic; none ""; }
  map $http_x_friend $friend { default 0; yes 1; }
  server {
    listen 127.0.0.1:PORT; listen 127.0.0.1:PORT1 http2; server_name shop.test;
    x402_public_origin http://127.0.0.1:PORT;
    root DIR/html;
    location = /x402-status { x402_status; }
    location /paid/ { x402 on; x402_price $0.01; x402_cors_origin *; }
    location = /paid/free.html { x402 off; }
    location /twin/ { x402 on; x402_price $0.01; alias DIR/html/paid/; }
    location /expires/ { x402 on; x402_price $0.01; alias DIR/html/paid/;
      expires 1d; add_header Cache-Control public;
      add_header CDN-Cache-Control max-age=9; }
    location /dynamic/ { x402 on; x402_price $price; alias DIR/html/paid/; }
    location /friends/ { x402 on; x402_price $0.01; x402_exempt $friend;
      alias DIR/html/paid/; }
    location /shadow/ { x402 on; x402_price $0.01; x402_shadow on;
      alias DIR/html/paid/; }
    location /page/ { x402 on; x402_price $0.01; error_page 402 /sorry.html;
      alias DIR/html/paid/; }
    location /round/ { x402 on; x402_price $0.01; return 200 "${SECRET}"; }
    location /denied/ { x402 on; x402_price $0.01; deny all;
      alias DIR/html/paid/; }
    location /any/ { x402 on; x402_price $0.01; satisfy any; deny all;
      alias DIR/html/paid/; }
    location /gzip/ { x402 on; x402_price $0.01; alias DIR/html/paid/;
      gzip on; gzip_min_length 1; gzip_types *; }
    location /ssi/ { ssi on; }
    location /ssi-paid/ { ssi on; x402 on; x402_price $0.01; }
    location /try/ { x402 on; x402_price $0.01; root DIR/html;
      try_files $uri /index.html; }
    location /plain/ { internal; alias DIR/html/paid/; }
    location /topaid/ { rewrite ^/topaid/(.*)$ /paid/$1 last; }
    location /api/ { x402 on; x402_price $0.01; proxy_pass ${origin.url}; }
    location /stream/ { x402 on; x402_price $0.01; proxy_pass ${origin.url};
      proxy_buffering off; }
    location /ws/ { x402 on; x402_price $0.01; proxy_pass ${origin.url};
      proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade; }
    location /cached/ { x402 on; x402_price $0.01; proxy_pass ${origin.url};
      proxy_cache cache; proxy_cache_valid any 10m;
      proxy_ignore_headers Cache-Control Expires Vary; }
    location /before/ { x402 on; x402_price $0.01; x402_settle before;
      proxy_pass ${origin.url}; proxy_http_version 1.1; proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection; }
    location /reserve/ { x402 on; x402_price $0.01; x402_settle reserve;
      alias DIR/html/paid/; }
    location /people/ { x402 on; x402_price $0.01; x402_page on;
      x402_description "A <b>tale"; alias DIR/html/paid/; }
    location /second/ { x402 on; x402_price $0.01; alias DIR/html/paid/;
      x402_facilitator_url http://127.0.0.1:1 ${f.url}; }
    location /coin/ { x402 on; x402_price $0.5; alias DIR/html/paid/;
      x402_asset ${PAYER} name=Coin version=7 decimals=18; }
    location /accel/ { proxy_pass ${origin.url}; }
    location /internal/ { internal; x402 on; x402_price $0.01;
      alias DIR/html/paid/; }
  }`.replaceAll('PORT1', port2);
  let port2;

  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    const { freePort } = await import('./nginx.lib.mjs');
    port2 = String(await freePort());
    nginx = await startNginx(config(), {
      files: {
        'index.html': 'free', 'sorry.html': 'Sorry, this costs a cent.',
        'paid/article.html': SECRET.padEnd(3000, '.'),
        'paid/free.html': 'free as well',
        'ssi/page.html': '<!--#include virtual="/paid/article.html" -->',
        'ssi-paid/page.html': 'A<!--#include virtual="/ssi-paid/part.html" -->',
        'ssi-paid/part.html': 'part',
        'ssi-paid/dear.html':
          'A<!--#include virtual="/dynamic/article.html?p=dear" -->',
        'try/article.html': SECRET,
      },
    });
  });
  beforeEach(() => {
    f.reset();
    origin.asked = 0;
    origin.handler = (req, res, body) => res.end(`${SECRET} ${body}`);
  });
  after(async () => {
    const ended = await nginx.stop();
    await f.stop();
    await origin.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, nginx.log);
    assert.doesNotMatch(nginx.log, /ERROR|runtime error/);
    // Those that were killed by this test, and nobody else.
    assert.deepEqual(nginx.errors().split('\n').filter((line) =>
      /\[(alert|emerg|crit)\]/.test(line) &&
      !/exited on signal 9$/.test(line)), []);
  });

  const buy = async (target = ARTICLE, options = {}) =>
    request(nginx, target, { ...options,
      headers: [...paying(pay(await challenge(nginx, target, options))),
        ...options.headers ?? []] });
  const closed = (res, what) => {
    assert.ok(res.status >= 400, `${what}: ${res.status}`);
    assert.doesNotMatch(res.text, new RegExp(SECRET), what);
  };
  // The log is written when the response has left, so it may come later.
  const logged = (state) => until(() => /\[([^\]]*)\] \[[^\]]*\] \[[^\]]*\] \[[^\]]*\]$/
    .exec(nginx.access().trim())?.[1] === state, `${state} in the log`);

  test('what is free is served as ever', async () => {
    for (const target of ['/', '/paid/free.html']) {
      const res = await request(nginx, target);
      assert.equal(res.status, 200);
      assert.equal(res.headers['payment-required'], undefined);
    }
    assert.equal((await request(nginx, '/nowhere')).status, 404);
    assert.equal(f.asked.length, 0);
  });

  test('who does not pay gets the 402, and nobody is asked', async () => {
    const res = await request(nginx, ARTICLE);
    const required = decode(res.headers['payment-required']);
    closed(res, 'unpaid');
    assert.equal(res.status, 402);
    assert.equal(res.headers['cache-control'], 'no-store');
    assert.equal(res.headers['content-type'], 'application/json');
    assert.equal(res.headers['access-control-allow-origin'], '*');
    assert.equal(required.error, 'Payment required');
    assert.equal(required.resource.url, nginx.url + ARTICLE);
    assert.deepEqual(required.accepts, [{
      scheme: 'exact', network: 'eip155:84532', amount: '10000',
      asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', payTo: PAYEE,
      maxTimeoutSeconds: 300, extra: { name: 'USDC', version: '2' },
    }]);
    assert.equal(JSON.parse(res.text).x402Version, 1);
    assert.equal(f.asked.length, 0);
    await logged('unpaid');
  });

  test('who pays is served, with the receipt, and settled once', async () => {
    const before_ = await metrics(nginx);
    const res = await buy();
    assert.equal(res.status, 200);
    assert.match(res.text, new RegExp(SECRET));
    assert.equal(res.text.length, 3000);
    assert.deepEqual(decode(res.headers['payment-response']), settled());
    assert.equal(res.headers['cache-control'], 'private');
    assert.match(res.headers.vary, /PAYMENT-SIGNATURE/);
    assert.deepEqual(f.asked.map((a) => a.what), ['verify', 'settle']);
    assert.deepEqual(f.asked[0].body, f.asked[1].body);
    await logged('delivered');
    assert.match(nginx.access().trim().split('\n').pop(),
      new RegExp(`200 \\[delivered\\] \\[${PAYER}\\] \\[${TX}\\] \\[10000\\]$`));
    const now = await metrics(nginx);
    assert.equal(now.settled - before_.settled, 1);
    assert.equal(now.delivered - before_.delivered, 1);
    assert.equal(now.undelivered - before_.undelivered, 0);
  });

  test('a v1 buyer is served', async () => {
    const required = JSON.parse((await request(nginx, ARTICLE)).text);
    f.settle = () => settled({ network: 'base-sepolia' });
    const res = await request(nginx, ARTICLE,
      { headers: [['X-PAYMENT', pay(required)]] });
    assert.equal(res.status, 200);
    assert.equal(decode(res.headers['x-payment-response']).transaction, TX);
    assert.equal(f.asked[0].body.x402Version, 1);
  });

  test('a proxied answer is held back until it is settled', async () => {
    for (const target of ['/api/x', '/stream/x']) {
      let seen = false;
      f.settle = async () => {
        await sleep(150);
        assert.equal(origin.asked, 1);
        assert.equal(seen, false, 'a byte left before settlement');
        return settled();
      };
      f.asked = [];
      origin.asked = 0;
      origin.handler = (req, res) => {
        res.write(SECRET);
        setTimeout(() => res.end('x'.repeat(200000)), 50);
      };
      const payment = pay(await challenge(nginx, target));
      const text = await new Promise((done, fail) => {
        const socket = net.connect(nginx.port, '127.0.0.1', () => socket.write(
          `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
          `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`));
        let got = '';
        socket.on('data', (data) => { seen = true; got += data; });
        socket.on('close', () => done(got));
        socket.on('error', fail);
      });
      assert.match(text, /^HTTP\/1.1 200/, target);
      assert.match(text, new RegExp(SECRET));
      assert.ok(text.length > 200000, `${target}: ${text.length}`);
      assert.equal(f.count('settle'), 1);
    }
  });

  test('big and slow answers come whole after the wait', async () => {
    const big = SECRET.repeat(200000);
    f.settle = async () => { await sleep(100); return settled(); };
    for (const target of ['/api/big', '/stream/big', '/gzip/article.html']) {
      origin.handler = (req, res) => res.end(big);
      const res = await buy(target, { headers: [] });
      assert.equal(res.status, 200);
      if (target !== '/gzip/article.html')
        assert.equal(res.text.length, big.length, target);
    }
  });

  test('a streamed answer goes on flowing after settlement', async () => {
    const payment = pay(await challenge(nginx, '/stream/events'));
    origin.handler = (req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' });
      // The next one leaves when the one before it has arrived.
      (async () => {
        for (let n = 0; n < 5; n++) {
          res.write(`data: ${n}\n\n`);
          await until(() => text.includes(`data: ${n}\n\n`), `piece ${n}`);
        }
        res.end();
      })().catch((error) => res.destroy(error));
    };
    let text = '';
    const res = await fetch(`${nginx.url}/stream/events`,
      { headers: { 'PAYMENT-SIGNATURE': payment } });
    for await (const chunk of res.body) text += Buffer.from(chunk);
    assert.equal(res.status, 200);
    assert.equal(text.match(/data: /g).length, 5);
    assert.equal(f.count('settle'), 1);
  });

  test('a settlement that is refused throws the content away', async () => {
    for (const target of [ARTICLE, '/api/x', '/stream/x', '/gzip/article.html']) {
      f.settle = async () => {
        await sleep(50);
        return { success: false, errorReason: 'insufficient_funds',
          transaction: '', network: 'eip155:84532', payer: PAYER };
      };
      const res = await buy(target);
      closed(res, target);
      assert.equal(res.status, 402);
      assert.equal(decode(res.headers['payment-response']).errorReason,
        'insufficient_funds');
      assert.equal(res.headers['cache-control'], 'no-store');
      assert.equal(res.headers.etag, undefined);
      assert.equal(res.headers['content-encoding'], undefined);
    }
  });

  test('a refused endless stream is ended', async () => {
    let timer;
    f.settle = () => ({ success: false, errorReason: 'insufficient_funds',
      transaction: '', network: 'eip155:84532' });
    origin.handler = (req, res) => {
      timer = setInterval(() => res.write(SECRET), 20);
      res.on('close', () => clearInterval(timer));
    };
    const res = await buy('/stream/endless').catch(() => null);
    if (res) closed(res, 'endless');
    await until(() => timer._destroyed, 'the origin to be let go');
  });

  test('an error of the handler is delivered and not charged', async () => {
    origin.handler = (req, res) => { res.statusCode = 500; res.end('oops'); };
    const res = await buy('/api/x');
    assert.equal(res.status, 500);
    assert.equal(res.text, 'oops');
    assert.equal((await buy('/paid/none.html')).status, 404);
    assert.equal(f.count('settle'), 0);
    await logged('cancelled');
  });

  test('the same payment serves once, in all workers', async () => {
    const payment = pay(await challenge(nginx, ARTICLE));
    f.verify = async () => { await sleep(60); return { isValid: true }; };
    const all = await Promise.all(Array.from({ length: 24 }, () =>
      request(nginx, ARTICLE, { headers: paying(payment) })));
    assert.equal(all.filter((r) => r.status === 200).length, 1);
    assert.equal(all.filter((r) => r.status === 402).length, 23);
    assert.equal(f.count('settle'), 1);
    assert.equal(f.count('verify'), 1);
    const again = await request(nginx, ARTICLE, { headers: paying(payment) });
    closed(again, 'spent');
    assert.equal(decode(again.headers['payment-response']).errorReason,
      'duplicate_settlement');
    assert.equal(decode(again.headers['payment-response']).transaction, TX);
  });

  test('a payment for one location is none for its twin', async () => {
    const payment = pay({ ...await challenge(nginx, ARTICLE),
      resource: undefined });
    f.settle = (body, req, res) => { res.socket.destroy(); };
    closed(await request(nginx, ARTICLE, { headers: paying(payment) }), 'cut');
    f.settle = () => settled();
    closed(await request(nginx, '/twin/article.html',
      { headers: paying(payment) }), 'twin');
    const res = await request(nginx, ARTICLE, { headers: paying(payment) });
    assert.equal(res.status, 200);
    assert.match(res.text, new RegExp(SECRET));
  });

  test('other methods are sold; a HEAD is settled as what it is', async () => {
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS',
      'PROPFIND', 'BREW'])
      closed(await request(nginx, ARTICLE, { method: method === 'BREW'
        ? 'PURGE' : method, headers: [['X-HTTP-Method-Override', 'GET']] }),
      method);
    assert.match(await raw(nginx,
      `BREW ${ARTICLE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    /^HTTP\/1.1 402/);
    const res = await buy(ARTICLE, { method: 'HEAD' });
    assert.equal(res.status, 200);
    assert.equal(res.headers['content-length'], '3000');
    assert.equal(decode(res.headers['payment-response']).transaction, TX);
    const preflight = await request(nginx, ARTICLE, { method: 'OPTIONS',
      headers: [['Origin', 'https://a.test'],
        ['Access-Control-Request-Method', 'GET']] });
    assert.equal(preflight.status, 204);
    assert.match(preflight.headers['access-control-allow-headers'],
      /PAYMENT-SIGNATURE/);
  });

  test('ranges and conditions do not cut what was paid for', async () => {
    for (const headers of [[['Range', 'bytes=0-3']],
      [['Range', 'bytes=999999-']],
      [['If-Modified-Since', 'Fri, 01 Jan 2100 00:00:00 GMT']],
      [['If-None-Match', '*']], [['If-Match', '"nope"']]]) {
      const res = await buy(ARTICLE, { headers });
      assert.equal(res.status, 200, headers[0][0]);
      assert.equal(res.text.length, 3000, headers[0][0]);
      closed(await request(nginx, ARTICLE, { headers }), headers[0][0]);
    }
    f.asked = [];
    origin.handler = (req, res) => { res.statusCode = 304; res.end(); };
    assert.equal((await buy('/api/x')).status, 304);
    assert.equal(f.count('settle'), 0, 'nothing sent, nothing charged');
  });

  test('a POST reads its body, and only from who pays', async () => {
    const body = 'b'.repeat(300000);
    origin.handler = (req, res, got) => res.end(String(got.length));
    const res = await buy('/api/post', { method: 'POST', body });
    assert.equal(res.text, '300000');
    const text = await raw(nginx, 'POST /api/post HTTP/1.1\r\nHost: x\r\n' +
      'Content-Length: 900000\r\n\r\n');
    assert.match(text, /^HTTP\/1.1 402/);
    const payment = pay({ ...await challenge(nginx, '/api/post'),
      resource: undefined });
    f.settle = (b, req, r) => { r.socket.destroy(); };
    closed(await request(nginx, '/api/post', { method: 'POST', body: 'one',
      headers: paying(payment) }), 'cut');
    f.settle = () => settled();
    closed(await request(nginx, '/api/post', { method: 'POST', body: 'two',
      headers: paying(payment) }), 'another body');
    assert.equal((await request(nginx, '/api/post', { method: 'POST',
      body: 'one', headers: paying(payment) })).text, '3');
  });

  test('an upgrade is refused and not charged', async () => {
    origin.server.removeAllListeners('upgrade');
    origin.server.on('upgrade', (req, socket) => {
      socket.on('error', () => {}).on('end', () => socket.destroy()).resume();
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n' +
        `Connection: Upgrade\r\n\r\n${SECRET}`);
    });
    const payment = pay(await challenge(nginx, '/ws/x'));
    const text = await raw(nginx, 'GET /ws/x HTTP/1.1\r\nHost: x\r\n' +
      'Upgrade: websocket\r\nConnection: Upgrade\r\n' +
      `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`);
    assert.doesNotMatch(text, new RegExp(SECRET));
    assert.match(text, /^HTTP\/1.1 500/);
    assert.equal(f.count('settle'), 0);
  });

  test('settled before: the handler runs on money that has moved', async () => {
    const order = [];
    f.settle = () => { order.push('settle'); return settled(); };
    origin.handler = (req, res) => { order.push('origin'); res.end(SECRET); };
    const res = await buy('/before/x');
    assert.equal(res.text, SECRET);
    assert.deepEqual(order, ['settle', 'origin']);
    assert.equal(decode(res.headers['payment-response']).transaction, TX);
    await logged('delivered');

    const payment = pay(await challenge(nginx, '/before/x'));
    origin.handler = (req, r) => { r.statusCode = 503; r.end('later'); };
    const failed = await request(nginx, '/before/x',
      { headers: paying(payment) });
    assert.equal(failed.status, 503);
    assert.equal(decode(failed.headers['payment-response']).transaction, TX);
    assert.equal((await atRest(nginx))
      .filter((p) => p.state === 'undelivered').length, 1);
    f.asked = [];
    origin.handler = (req, r) => r.end(SECRET);
    assert.equal((await request(nginx, '/before/x',
      { headers: paying(payment) })).text, SECRET);
    assert.equal(f.asked.length, 0, 'paid already');
    assert.equal((await atRest(nginx)).length, 0);

    f.settle = () => ({ success: false, errorReason: 'insufficient_funds',
      transaction: '', network: 'eip155:84532' });
    origin.asked = 0;
    closed(await buy('/before/x'), 'unsettled');
    assert.equal(origin.asked, 0);
    f.settle = () => settled();
    const upgraded = await raw(nginx, 'GET /before/ws HTTP/1.1\r\nHost: x\r\n' +
      'Upgrade: websocket\r\nConnection: Upgrade\r\nPAYMENT-SIGNATURE: ' +
      `${pay(await challenge(nginx, '/before/ws'))}\r\n\r\n`);
    assert.match(upgraded, /^HTTP\/1.1 101/);
    assert.match(upgraded, new RegExp(SECRET));
  });

  test('a reservation, a second facilitator, a coin of one\'s own', async () => {
    const res = await buy('/reserve/article.html');
    closed(res, 'no promise to hold');
    assert.equal(res.status, 502);
    assert.match(f.asked[0].headers['x402-hold'] ?? '', /./);
    assert.equal((await buy('/second/article.html')).status, 200);
    assert.equal(f.count('settle'), 1);
    assert.deepEqual((await challenge(nginx, '/coin/article.html')).accepts[0],
      { scheme: 'exact', network: 'eip155:84532', amount: '500000000000000000',
        asset: PAYER, payTo: PAYEE, maxTimeoutSeconds: 300,
        extra: { name: 'Coin', version: '7' } });
  });

  test('people get a page, with the offer in its header all the same', async () => {
    const headers = [['Accept', 'text/html'], ['User-Agent', 'Mozilla/5.0']];
    const res = await request(nginx, '/people/article.html', { headers });
    closed(res, 'a page');
    assert.equal(res.status, 402);
    assert.match(res.headers['content-type'], /^text\/html/);
    assert.match(res.headers['content-security-policy'], /nonce-/);
    assert.equal(res.headers['cache-control'], 'no-store');
    assert.doesNotMatch(res.text, /<b>tale/);
    assert.match(res.text, /&#60;b&#62;tale/);
    assert.ok(decode(res.headers['payment-required']).accepts.length);
    assert.equal((await request(nginx, '/people/article.html'))
      .headers['content-type'], 'application/json');
  });

  test('prices, exemptions, pages and shadows are the operator\'s', async () => {
    const dear = await challenge(nginx, '/dynamic/article.html?p=dear');
    assert.equal(dear.accepts[0].amount, '50000');
    assert.equal((await challenge(nginx, '/dynamic/article.html'))
      .accepts[0].amount, '10000');
    closed(await request(nginx, '/dynamic/article.html?p=none'), 'no price');
    const cheap = pay(await challenge(nginx, '/dynamic/article.html'));
    closed(await request(nginx, '/dynamic/article.html?p=dear',
      { headers: paying(cheap) }), 'cheap for dear');
    assert.equal((await buy('/dynamic/article.html?p=dear')).status, 200);

    closed(await request(nginx, '/friends/article.html'), 'a stranger');
    assert.equal((await request(nginx, '/friends/article.html',
      { headers: [['X-Friend', 'yes']] })).status, 200);
    await logged('exempt');

    const page = await request(nginx, '/page/article.html');
    assert.equal(page.status, 402);
    assert.equal(page.text, 'Sorry, this costs a cent.');
    assert.ok(decode(page.headers['payment-required']).accepts.length);
    assert.equal(page.headers['cache-control'], 'no-store');
    assert.equal((await buy('/page/article.html')).status, 200);

    f.asked = [];
    assert.equal((await request(nginx, '/shadow/article.html')).status, 200);
    await logged('shadow_unpaid');
    assert.equal((await request(nginx, '/shadow/article.html', { headers:
      paying(pay({ ...await challenge(nginx, ARTICLE), resource: undefined })) }))
      .status, 200);
    await logged('shadow_paid');
    assert.equal(f.asked.length, 0, 'a shadow takes no money');
  });

  test('whom nginx keeps out is not charged', async () => {
    const res = await request(nginx, '/denied/article.html');
    assert.equal(res.status, 403);
    const payment = pay({ ...await challenge(nginx, ARTICLE),
      resource: undefined });
    closed(await request(nginx, '/denied/article.html',
      { headers: paying(payment) }), 'denied');
    assert.equal(f.asked.length, 0);
    assert.equal((await buy('/any/article.html')).status, 200);
  });

  test('no way round the gate inside of nginx', async () => {
    closed(await request(nginx, '/round/'), 'return');
    closed(await buy('/round/').catch(() => ({ status: 500, text: '' })),
      'return, paying');
    closed({ ...await request(nginx, '/ssi/page.html'), status: 402 }, 'ssi');
    closed(await request(nginx, '/topaid/article.html'), 'rewrite');
    assert.equal((await buy('/topaid/article.html')).status, 200);
    closed(await request(nginx, '/try/article.html'), 'try_files');
    assert.equal((await buy('/try/article.html')).status, 200);
    assert.match((await buy('/try/other.html')).text, /^free/);
    closed(await request(nginx, '/internal/article.html'), 'internal');
    origin.handler = (req, res) => {
      res.setHeader('X-Accel-Redirect', '/internal/article.html');
      res.end();
    };
    closed(await request(nginx, '/accel/x'), 'X-Accel-Redirect');
    assert.equal((await buy('/accel/x')).status, 200);
    // From a location that sells to one that does not: still sold.
    origin.handler = (req, res) => {
      res.setHeader('X-Accel-Redirect', '/plain/article.html');
      res.end();
    };
    f.asked = [];
    closed(await request(nginx, '/api/x'), 'to free');
    f.settle = () => ({ success: false, errorReason: 'insufficient_funds',
      transaction: '', network: 'eip155:84532' });
    closed(await buy('/api/x'), 'to free, unsettled');
    f.settle = () => settled();
    assert.match((await buy('/api/x')).text, new RegExp(SECRET));
    assert.equal(f.count('settle'), 2);
    // And to one with other terms: never.
    origin.handler = (req, res) => {
      res.setHeader('X-Accel-Redirect', '/dynamic/article.html?p=dear');
      res.end();
    };
    closed(await buy('/api/x'), 'to dearer');
    assert.equal(f.count('settle'), 2);
    assert.match((await buy('/ssi-paid/page.html')).text, /^Apart/);
    assert.doesNotMatch((await buy('/ssi-paid/dear.html')).text,
      new RegExp(SECRET));
  });

  test('nothing tells a shared cache to keep what was paid', async () => {
    const res = await buy('/expires/article.html');
    assert.equal(res.status, 200);
    assert.match(res.headers['cache-control'], /private/);
    assert.doesNotMatch(res.headers['cache-control'], /public|s-maxage/);
    assert.equal(res.headers['cdn-cache-control'], undefined);
  });

  test('a cache behind the gate still sells each time', async () => {
    assert.equal((await buy('/cached/x')).status, 200);
    const res = await request(nginx, '/cached/x');
    closed(res, 'cached');
    assert.equal(res.status, 402);
    assert.equal((await buy('/cached/x')).status, 200);
    assert.equal(origin.asked, 1, 'the second came from the cache');
    assert.equal(f.count('settle'), 2);
  });

  test('HTTP/2 buyers are served as well', async () => {
    const http2 = await import('node:http2');
    const session = http2.connect(`http://127.0.0.1:${port2}`);
    const ask = (headers) => new Promise((done, fail) => {
      const stream = session.request({ ':path': ARTICLE, ...headers });
      const out = { text: '' };
      stream.on('response', (h) => { out.headers = h; });
      stream.on('data', (data) => { out.text += data; });
      stream.on('end', () => done({ ...out, status: out.headers[':status'] }));
      stream.on('error', fail);
      stream.end();
    });
    const unpaid = await ask({});
    closed(unpaid, 'h2');
    f.settle = async () => { await sleep(50); return settled(); };
    const paid = await ask({ 'payment-signature':
      pay(decode(unpaid.headers['payment-required'])) });
    assert.equal(paid.status, 200);
    assert.equal(paid.text.length, 3000);
    session.close();
    await logged('delivered');
  });

  test('a buyer who hangs up is not charged, or can come again', async () => {
    const payment = pay(await challenge(nginx, ARTICLE));
    const hangUpWhen = (condition) => new Promise((done) => {
      const socket = net.connect(nginx.port, '127.0.0.1', () => {
        socket.write(`GET ${ARTICLE} HTTP/1.1\r\nHost: x\r\n` +
          `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`);
        until(condition).then(() => { socket.destroy(); done(); });
      });
    });
    let hungUp = false;
    let verified = false;
    f.verify = async () => {
      await until(() => hungUp);
      await sleep(150);
      verified = true;
      return { isValid: true };
    };
    await hangUpWhen(() => f.count('verify') === 1);
    hungUp = true;
    await until(() => verified, 'the verdict');
    await atRest(nginx);
    assert.equal(f.count('settle'), 0, 'gone before it was verified');
    f.verify = () => ({ isValid: true });
    hungUp = false;
    f.settle = async () => {
      await until(() => hungUp);
      await sleep(150);
      return settled();
    };
    await hangUpWhen(() => f.count('settle') === 1);
    hungUp = true;
    await until(async () => (await payments(nginx)).some((p) =>
      p.state === 'undelivered' && !p.busy), 'the entry');

    const [entry] = await payments(nginx);
    assert.equal(entry.payer, PAYER);
    assert.equal(entry.amount, '10000');
    assert.equal(entry.url, nginx.url + ARTICLE);
    assert.equal(decode(entry.receipt).transaction, TX);
    f.asked = [];
    const res = await request(nginx, ARTICLE, { headers: paying(payment) });
    assert.equal(res.status, 200);
    assert.equal(decode(res.headers['payment-response']).transaction, TX);
    assert.equal(f.asked.length, 0, 'paid already');
    assert.equal((await atRest(nginx)).length, 0);
    closed(await request(nginx, ARTICLE, { headers: paying(payment) }),
      'a third time');
  });

  test('after a killed worker the same payment is settled again', async () => {
    const payment = pay(await challenge(nginx, ARTICLE));
    f.settle = async () => {
      for (const pid of nginx.workers()) process.kill(pid, 'SIGKILL');
      await sleep(100);
      return settled();
    };
    await request(nginx, ARTICLE, { headers: paying(payment) })
      .catch(() => null);

    await until(() => nginx.workers().length === 2, 'new workers');
    await until(async () => (await payments(nginx)).every((p) => !p.busy),
      'the claim of who is dead');
    const [first] = f.asked.filter((a) => a.what === 'settle');
    f.reset();
    assert.deepEqual((await payments(nginx)).map((p) => [p.state, p.busy]),
      [['unknown', false]]);
    closed(await request(nginx, '/twin/article.html',
      { headers: paying(payment) }), 'another request');
    f.asked = [];
    const res = await request(nginx, ARTICLE, { headers: paying(payment) });
    assert.equal(res.status, 200);
    assert.deepEqual(f.asked.map((a) => a.what), ['settle']);
    assert.deepEqual(f.asked[0].body, first.body);
    assert.equal(f.asked[0].headers['idempotency-key'],
      first.headers['idempotency-key']);
  });

  test('after a full stop what is owed is still known', async () => {
    const payment = pay(await challenge(nginx, ARTICLE));
    f.settle = async (body, req, res) => { res.socket.destroy(); };
    closed(await request(nginx, ARTICLE, { headers: paying(payment) }), 'cut');
    await nginx.killAll();
    await nginx.start();
    f.reset();
    assert.deepEqual((await atRest(nginx)).map((p) => p.state), ['unknown']);
    const res = await request(nginx, ARTICLE, { headers: paying(payment) });
    assert.equal(res.status, 200);
    assert.deepEqual(f.asked.map((a) => a.what), ['settle']);
  });

  test('a reload finishes what is under way', async () => {
    f.settle = async () => { await sleep(400); return settled(); };
    const under = buy();
    await until(() => f.count('settle') === 1, 'settling');
    const old = await nginx.reload();
    const payment = pay(await challenge(nginx, ARTICLE));
    const [first, second] = await Promise.all([under,
      request(nginx, ARTICLE, { headers: paying(payment) })]);
    assert.equal(first.status, 200);
    assert.equal(second.status, 200);
    await nginx.drained(old);
    closed(await request(nginx, ARTICLE, { headers: paying(payment) }),
      'spent in the other generation');
  });
});

test('the 402 is the reference servers\' own, to the byte where it counts',
  async () => {
    const vector = (name) => JSON.parse(fs.readFileSync(new URL(
      `../vectors/wire/${name}.json`, import.meta.url)));
    const v2 = vector('evm-v2-eip3009');
    const v1 = vector('evm-v1-eip3009');
    const path = (v) => v.request.split(' ')[1];
    const offer = v1.paymentRequired.accepts[0];
    const nginx = await startNginx(`x402_state DIR/s payments=64;
      x402_network base-sepolia; x402_price 1000atomic; x402_pay_to ${PAYEE};
      server { listen 127.0.0.1:PORT;
        location ${path(v2)} { x402 on; x402_v1 off;
          x402_public_origin ${new URL(v2.paymentRequired.resource.url).origin};
          x402_description "${v2.paymentRequired.resource.description}";
          x402_mime_type ${v2.paymentRequired.resource.mimeType}; }
        location ${path(v1)} { x402 on;
          x402_public_origin ${new URL(offer.resource).origin};
          x402_price ${offer.maxAmountRequired}atomic;
          x402_payment_timeout ${offer.maxTimeoutSeconds};
          x402_description "${offer.description}";
          x402_mime_type "${offer.mimeType}"; } }`);
    const two = await request(nginx, path(v2));
    assert.equal(two.status, v2.status);
    assert.equal(two.headers['payment-required'], v2.paymentRequiredHeader);
    assert.deepEqual(JSON.parse(two.text), v2.paymentRequiredBody);
    const one = await request(nginx, path(v1));
    const body = JSON.parse(one.text);
    assert.equal(one.status, v1.status);
    assert.equal(body.error, v1.paymentRequired.error);
    // What v1 clients read of an offer.
    for (const key of ['scheme', 'network', 'maxAmountRequired', 'resource',
      'description', 'mimeType', 'payTo', 'maxTimeoutSeconds', 'asset',
      'extra'])
      assert.deepEqual(body.accepts[0][key], offer[key], key);
    await nginx.stop();
  });

test('a facilitator behind TLS is believed only with its certificate',
  async () => {
    const dir = scratch();
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
      'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-keyout',
      `${dir}/key.pem`, '-out', `${dir}/cert.pem`, '-subj', '/CN=localhost',
      '-addext', 'subjectAltName=DNS:localhost'], { stdio: 'pipe' });
    const asked = [];
    const server = https.createServer({ key: fs.readFileSync(`${dir}/key.pem`),
      cert: fs.readFileSync(`${dir}/cert.pem`) }, (req, res) => {
      asked.push(`${req.url} ${req.headers.authorization}`);
      req.resume();
      res.end(JSON.stringify(req.url.endsWith('verify')
        ? { isValid: true } : settled()));
    });
    await new Promise((done) => server.listen(0, done));
    const url = `https://localhost:${server.address().port}`;
    const nginx = await startNginx(`x402_state DIR/s payments=64;
      x402_network eip155:84532; x402_pay_to ${PAYEE}; x402_facilitator_url ${url};
      x402_facilitator_authorization "Bearer s3cret";
      server { listen 127.0.0.1:PORT; server_name shop.test; root DIR/html;
        location /known/ { x402 on; x402_price $0.01; alias DIR/html/;
          x402_facilitator_trusted_certificate ${dir}/cert.pem; }
        location /unknown/ { x402 on; x402_price $0.01; alias DIR/html/; } }`,
    { files: { 'a.html': SECRET } });
    const buy = async (target) => request(nginx, target, { headers:
      paying(pay(await challenge(nginx, target))) });
    const offer = await challenge(nginx, '/known/a.html');
    assert.equal(offer.resource.url,
      `http://shop.test:${nginx.port}/known/a.html`);
    const refused = await buy('/unknown/a.html');
    assert.equal(refused.status, 502);
    assert.doesNotMatch(refused.text, new RegExp(SECRET));
    assert.deepEqual(asked, []);
    assert.equal((await buy('/known/a.html')).status, 200);
    assert.deepEqual(asked, ['/verify Bearer s3cret', '/settle Bearer s3cret']);
    await nginx.stop();
    server.closeAllConnections();
    server.close();
  });

test('a configuration that cannot sell is refused', () => {
  const base = 'x402_network base-sepolia; ' +
    `x402_pay_to ${PAYEE}; x402_public_origin http://a.test;`;
  const at = (inside, http = base) => testConfig(
    `${http} server { listen 127.0.0.1:1; location / { ${inside} } }`);
  assert.equal(at('x402 on; x402_price $0.01;'), 'ok');
  assert.equal(at('x402 on; x402_price 10000atomic; x402_asset ' +
    `${PAYEE} name=Coin version=1;`), 'ok');
  for (const [inside, words, http] of [
    ['x402 on;', /x402_price is missing/],
    ['x402 on; x402_price $0.01;', /x402_pay_to is missing/,
      'x402_network base;'],
    ['x402 on; x402_price $0.01;', /x402_network is missing/,
      `x402_pay_to ${PAYEE};`],
    ['x402 on; x402_price $0.01;', /server_name "" is no host/,
      `x402_network base; x402_pay_to ${PAYEE};`],
    ['x402 on; x402_price $0.0000001;', /prices\[0\]/],
    ['x402 on; x402_price cheap;', /expected \$0.01/],
    ['x402 on; x402_price 1;', /expected \$0.01/],
    ['x402 on; x402_price $nothing;', /unknown "nothing" variable/],
    ['x402 on; x402_price $0.01; x402_pay_to 0x12;', /pay_to/],
    ['x402 on; x402_price $0.01; x402_network mars;', /network/],
    ['x402 on; x402_price $0.01; x402_facilitator_url ftp://a;',
      /facilitator/],
    ['x402 on; x402_price $0.01; x402_public_origin nowhere;', /origin/],
    ['x402 on; x402_price $0.01; x402_asset 0x12 name=A;', /name= and version=/],
    ['x402 on; x402_price $0.01; x402_settle never;', /invalid value "never"/],
    ['x402 on; x402_price $0.01; x402_asset 0x12 decimals=99;', /1 to 36/],
    ['x402 maybe;', /on.*off/],
  ])
    assert.match(at(inside, http), words, inside);
});

test('nothing sells from a ledger that is none', async () => {
  await assert.rejects(startNginx('x402_state DIR/html/index.html; server { ' +
    'listen 127.0.0.1:PORT; location = /s { x402_status; } }',
  { files: { 'index.html': 'x'.repeat(9000) } }), /is not a ledger of x402/);
});
