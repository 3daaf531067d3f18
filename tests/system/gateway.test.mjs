// x402-gateway in front of an origin: what streams, what is held back, what is
// charged, and what each side sees of the other.
//
//   node --test tests/system/gateway.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { scratch, shop, startGateway } from './gateway.lib.mjs';
import { sleep, startOrigin, until } from './nginx.lib.mjs';
import {
  PAYEE, PAYER, TX, challenge, decode, pay, paying, raw, request, settled,
  startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';
const BIG = Buffer.alloc(5_000_000, SECRET);

describe('the gateway', () => {
  let f;
  let origin;
  let gateway;

  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    gateway = await startGateway(shop(f, origin, '--admin', '127.0.0.1:0'));
  });
  beforeEach(() => {
    f.reset();
    origin.asked = 0;
    origin.handler = (req, res) => res.end(SECRET);
  });
  after(async () => {
    const ended = await gateway.stop();
    await f.stop();
    await origin.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, gateway.log);
    assert.equal(gateway.log, '');
  });

  // Of the first request for a path of its own that got more than its price.
  const lineOf = async (path_) => {
    const find = () => gateway.requests().find((line) =>
      line.path === path_ && line.status !== 402);
    await until(find, `the line of ${path_}`);
    return find();
  };

  describe('what is free', () => {
    test('crosses with its query, status and headers', async () => {
      let seen;
      origin.handler = (req, res) => {
        seen = req;
        res.writeHead(203, { 'content-type': 'x/y', etag: '"1"',
          'set-cookie': ['a=1', 'b=2'], 'x-hop': '1', 'keep-alive': 'x',
          connection: 'close, x-hop' });
        res.end('ok');
      };
      const res = await request(gateway, '/free/a%20b/?q=%2F&r');
      assert.equal(res.status, 203);
      assert.equal(res.text, 'ok');
      assert.equal(res.headers['content-type'], 'x/y');
      assert.deepEqual(res.headers['set-cookie'], ['a=1', 'b=2']);
      assert.equal(res.headers['x-hop'], undefined);
      assert.equal(seen.url, '/free/a%20b/?q=%2F&r');
      assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
      assert.equal(seen.headers['x-forwarded-host'], 'shop.example');
      assert.equal(seen.headers['x-forwarded-proto'], 'https');
      assert.equal(seen.headers['x402-access'], 'free');
      assert.equal(f.asked.length, 0);
    });

    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND',
      'OPTIONS'])
      test(`crosses with ${method}`, async () => {
        let seen;
        origin.handler = (req, res, body) => {
          seen = [req.method, body];
          res.end(SECRET);
        };
        const body = method === 'GET' || method === 'OPTIONS' ? '' : 'body';
        const res = await request(gateway, '/free/x', { method, body,
          headers: body ? [['Content-Length', '4']] : [] });
        assert.equal(res.status, 200);
        assert.deepEqual(seen, [method, body]);
      });

    test('HEAD has the length and no body', async () => {
      origin.handler = (req, res) => {
        assert.equal(req.method, 'HEAD');
        res.writeHead(200, { 'content-length': 1234 });
        res.end();
      };
      const res = await request(gateway, '/free/x', { method: 'HEAD' });
      assert.equal(res.status, 200);
      assert.equal(res.headers['content-length'], '1234');
      assert.equal(res.text, '');
    });

    test('statuses without content stay so', async () => {
      for (const status of [204, 304]) {
        origin.handler = (req, res) => { res.statusCode = status; res.end(); };
        assert.equal((await request(gateway, '/free/x')).status, status);
      }
    });

    test('an answer in pieces arrives in pieces', async () => {
      let rest;
      origin.handler = (req, res) => {
        res.write('first');
        rest = () => res.end('second');
      };
      const res = await fetch(`${gateway.url}/free/x`);
      const reader = res.body.getReader();
      const first = await reader.read();
      assert.equal(Buffer.from(first.value).toString(), 'first');
      rest();
      const second = await reader.read();
      assert.equal(Buffer.from(second.value).toString(), 'second');
      assert.equal((await reader.read()).done, true);
    });

    test('a head without content yet arrives at once', async () => {
      let rest;
      origin.handler = (req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' });
        res.flushHeaders();
        rest = res;
      };
      const res = await fetch(`${gateway.url}/free/x`);
      assert.equal(res.headers.get('content-type'), 'text/event-stream');
      rest.end('data');
      assert.equal(await res.text(), 'data');
    });

    test('a request in pieces arrives in pieces', async () => {
      const pieces = [];
      origin.server.once('request', (req) =>
        req.on('data', (data) => pieces.push(data.toString())));
      const url = new URL(gateway.url);
      let answered;
      const req = http.request({ host: url.hostname, port: url.port,
        method: 'POST', path: '/free/x' }, (res) => {
        answered = res.statusCode;
        res.resume();
      });
      req.write('first');
      await until(() => pieces.includes('first'), 'the first piece');
      req.end('second');
      await until(() => answered === 200, 'the answer');
      assert.deepEqual(pieces, ['first', 'second']);
    });

    for (const [name, headers] of [['of known length', {}],
      ['in chunks', { 'transfer-encoding': 'chunked' }]])
      test(`a large body ${name} comes back whole`, async () => {
        origin.handler = (req, res) => res.end(BIG);
        const url = new URL(gateway.url);
        const got = await new Promise((done, fail) => {
          const req = http.request({ host: url.hostname, port: url.port,
            method: 'POST', path: '/free/x', headers }, (res) => {
            const chunks = [];
            res.on('data', (chunk) => chunks.push(chunk));
            res.on('end', () => done(Buffer.concat(chunks)));
            res.on('error', fail);
          });
          req.on('error', fail);
          req.end(BIG);
        });
        assert.ok(got.equals(BIG));
      });

    test('a slow reader slows the origin down', async () => {
      let sent = 0;
      let res_;
      origin.handler = (req, res) => {
        res_ = res;
        const more = () => {
          while (!res.destroyed && sent < 1_000_000_000) {
            sent += 65536;
            if (!res.write(Buffer.alloc(65536))) {
              res.once('drain', more);
              return;
            }
          }
        };
        more();
      };
      const url = new URL(gateway.url);
      const req = http.get({ host: url.hostname, port: url.port,
        path: '/free/x' });
      const res = await new Promise((done) => req.on('response', done));
      res.pause();
      // What the kernel's buffers on both sides hold, and no more.
      let before = -1;
      while (before !== sent) {
        before = sent;
        await sleep(300);
      }
      assert.ok(sent < 100_000_000, `${sent} bytes were taken`);
      req.destroy();
      await until(() => res_.destroyed, 'the origin to hear of it');
    });

    test('Expect: 100-continue is answered', async () => {
      const url = new URL(gateway.url);
      const order = [];
      const status = await new Promise((done) => {
        const req = http.request({ host: url.hostname, port: url.port,
          method: 'POST', path: '/free/x',
          headers: { expect: '100-continue', 'content-length': 2 } }, (res) => {
          res.resume();
          done(res.statusCode);
        });
        req.on('continue', () => { order.push('continue'); req.end('ab'); });
        req.flushHeaders();
      });
      assert.equal(status, 200);
      assert.deepEqual(order, ['continue']);
    });

    test('requests behind one another are answered in order', async () => {
      origin.handler = (req, res) =>
        setTimeout(() => res.end(`<${req.url}>`), req.url.endsWith('1') ? 50 : 0);
      const text = await raw(gateway, [1, 2, 3].map((i) =>
        `GET /free/${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
      assert.deepEqual(text.match(/<[^>]+>/g),
        ['</free/1>', '</free/2>', '</free/3>']);
    });

    test('HTTP/1.0 gets an answer that ends with the connection', async () => {
      origin.handler = (req, res) => { res.write('a'); res.end('b'); };
      const text = await raw(gateway, 'GET /free/x HTTP/1.0\r\n\r\n');
      assert.match(text, /\r\nConnection: close\r\n/);
      assert.doesNotMatch(text, /chunked/i);
      assert.ok(text.endsWith('\r\n\r\nab'));
    });

    test('redirects of the origin lead to the public address', async () => {
      origin.handler = (req, res) => {
        res.writeHead(302, { location: `${origin.url}/free/there` });
        res.end();
      };
      assert.equal((await request(gateway, '/free/x')).headers.location,
        'https://shop.example/free/there');
    });
  });

  describe('what is sold', () => {
    test('is a 402 that the origin knows nothing of', async () => {
      const res = await request(gateway, '/article');
      const required = decode(res.headers['payment-required']);
      assert.equal(res.status, 402);
      assert.equal(required.resource.url, 'https://shop.example/article');
      assert.equal(required.accepts[0].amount, '10000');
      assert.equal(origin.asked, 0);
      assert.equal(f.asked.length, 0);
    });

    test('leaves when the money has moved, and not before', async () => {
      const required = await challenge(gateway, '/held');
      const order = [];
      let let_go;
      origin.handler = (req, res) => { order.push('origin'); res.end(SECRET); };
      f.verify = () => { order.push('verify'); return { isValid: true,
        payer: PAYER }; };
      f.settle = async () => {
        order.push('settle');
        await new Promise((done) => { let_go = done; });
        return settled();
      };
      const answer = raw(gateway, 'GET /held HTTP/1.1\r\nHost: a\r\n' +
        `PAYMENT-SIGNATURE: ${pay(required)}\r\nConnection: close\r\n\r\n`);
      let text;
      answer.then((all) => { text = all; });
      await until(() => let_go, 'settlement');
      await sleep(100);
      assert.equal(text, undefined);
      let_go();
      assert.match(await answer, new RegExp(`200 OK[^]*${SECRET}`));
      assert.deepEqual(order, ['verify', 'origin', 'settle']);
      const line = await lineOf('/held');
      assert.equal(line.transaction, TX);
      assert.equal(line.payer, PAYER);
      assert.equal(line.access, 'paid');
    });

    test('carries the receipt, and is not for caches', async () => {
      const required = await challenge(gateway, '/article');
      origin.handler = (req, res) => {
        res.writeHead(200, { 'cache-control': 'public, max-age=9',
          'payment-response': 'forged', 'x402-pass': 'forged' });
        res.end(SECRET);
      };
      const res = await request(gateway, '/article',
        { headers: paying(pay(required)) });
      assert.equal(decode(res.headers['payment-response']).transaction, TX);
      assert.match(res.headers['cache-control'], /private/);
      assert.doesNotMatch(res.headers['cache-control'], /public/);
      assert.equal(res.headers['x402-pass'], undefined);
    });

    test('does not show its payment to the origin', async () => {
      const required = await challenge(gateway, '/article');
      let seen;
      origin.handler = (req, res) => { seen = req.headers; res.end(SECRET); };
      await request(gateway, '/article', { headers: paying(pay(required)) });
      assert.equal(seen['payment-signature'], undefined);
      assert.equal(seen['x402-access'], 'paid');
      assert.equal(seen['x402-payer'], PAYER);
    });

    test('is withheld when the settlement fails', async () => {
      const required = await challenge(gateway, '/article');
      origin.handler = (req, res) => res.end(BIG);
      f.settle = () => ({ success: false, errorReason: 'insufficient_funds',
        transaction: '', network: 'eip155:84532', payer: PAYER });
      const res = await request(gateway, '/article',
        { headers: paying(pay(required)) });
      assert.equal(res.status, 402);
      assert.doesNotMatch(res.text, /guest/);
    });

    for (const status of [304, 400, 404, 500, 503])
      test(`is not charged when the origin says ${status}`, async () => {
        const required = await challenge(gateway, '/article');
        origin.handler = (req, res) => { res.statusCode = status;
          res.end(status === 304 ? undefined : 'sorry'); };
        const res = await request(gateway, '/article',
          { headers: paying(pay(required)) });
        assert.equal(res.status, status);
        assert.equal(f.count('settle'), 0);
      });

    test('streams, paid for', async () => {
      const required = await challenge(gateway, '/article');
      let rest;
      origin.handler = (req, res) => { res.write('first'); rest = res; };
      const res = await fetch(`${gateway.url}/article`,
        { headers: { 'PAYMENT-SIGNATURE': pay(required) } });
      const reader = res.body.getReader();
      assert.equal(res.status, 200);
      assert.equal(Buffer.from((await reader.read()).value).toString(),
        'first');
      rest.end('second');
      assert.equal(Buffer.from((await reader.read()).value).toString(),
        'second');
      assert.equal(f.count('settle'), 1);
    });

    test('takes a body along, short and long', async () => {
      for (const body of ['short', BIG.toString()]) {
        const required = await challenge(gateway, '/article',
          { method: 'POST' });
        let seen;
        origin.handler = (req, res, text) => { seen = text; res.end(SECRET); };
        const res = await request(gateway, '/article',
          { method: 'POST', headers: paying(pay(required)), body });
        assert.equal(res.status, 200);
        assert.ok(seen === body);
      }
    });

    test('is sold under every name of its path, and is that path', async () => {
      for (const target of ['/article', '//article', '/./article',
        '/%61rticle', '/x/../article', '/article/', '/free/../article',
        '/free/%2e%2e/article', 'http://other/article']) {
        const res = await request(gateway, target);
        assert.equal(res.status, 402, target);
      }
      for (const target of ['/free/..%2farticle', '/free/..\\article',
        '/free/%2e%2e%2farticle', '/free/..;/article', '/free%00/article'])
        assert.notEqual((await request(gateway, target)).status, 200, target);
      assert.equal(origin.asked, 0);
    });

    test('is sold whatever the method', async () => {
      for (const method of ['POST', 'HEAD', 'OPTIONS', 'DELETE', 'PROPFIND'])
        assert.equal((await request(gateway, '/article', { method })).status,
          402, method);
      assert.equal((await request(gateway, '/free/x',
        { method: 'TRACE' })).status, 405);
      assert.match(await raw(gateway, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'),
        /^HTTP\/1.1 501 /);
      assert.equal(origin.asked, 0);
    });

    test('is sold once', async () => {
      const required = await challenge(gateway, '/article');
      const payment = pay(required);
      const first = await request(gateway, '/article',
        { headers: paying(payment) });
      assert.equal(first.status, 200);
      for (const target of ['/article', '/other'])
        assert.equal((await request(gateway, target,
          { headers: paying(payment) })).status, 402);
      assert.equal(f.count('settle'), 1);
    });

    test('is sold to one of two who pay with the same', async () => {
      const required = await challenge(gateway, '/article');
      const payment = pay(required);
      f.settle = async () => { await sleep(50); return settled(); };
      const both = await Promise.all([1, 2, 3, 4].map(() =>
        request(gateway, '/article', { headers: paying(payment) })));
      assert.equal(both.filter((res) => res.status === 200).length, 1);
      assert.equal(f.count('settle'), 1);
    });

    test('is closed when the facilitator is not there', async () => {
      const required = await challenge(gateway, '/article');
      for (const settle of [
        (body, req, res) => { res.socket.destroy(); },
        (body, req, res) => { res.end('<html>'); },
        () => settled({ network: 'eip155:1' })]) {
        f.settle = settle;
        const res = await request(gateway, '/article',
          { headers: paying(pay(required)) });
        assert.ok(res.status === 502 || res.status === 402);
        assert.doesNotMatch(res.text, /guest/);
      }
    });
  });

  describe('requests that two could read differently', () => {
    for (const [name, text] of Object.entries({
      'two lengths': 'Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef',
      'a length and chunks': 'Content-Length: 5\r\n' +
        'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'two encodings': 'Transfer-Encoding: chunked\r\n' +
        'Transfer-Encoding: identity\r\n\r\n0\r\n\r\n',
      'an unknown encoding': 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
      'a folded header': 'X: a\r\n b\r\n\r\n',
      'a space before the colon': 'Content-Length : 5\r\n\r\nabcde',
      'a bare LF': 'X: a\nContent-Length: 5\r\n\r\nabcde',
      'a bare CR': 'X: a\rContent-Length: 5\r\n\r\nabcde',
      'two Hosts': 'Host: b\r\n\r\n',
    }))
      test(`are refused: ${name}`, async () => {
        const all = await raw(gateway,
          `POST /free/x HTTP/1.1\r\nHost: a\r\n${text}` +
          'GET /free/smuggled HTTP/1.1\r\nHost: a\r\n\r\n');
        assert.match(all, /^HTTP\/1.1 (400|501) /);
        assert.equal(all.match(/HTTP\/1.1 /g).length, 1);
        assert.equal(origin.asked, 0);
      });

    for (const [name, chunks] of Object.entries({
      'a bad size': 'zz\r\nabc\r\n0\r\n\r\n',
      'a bad end': '3\r\nabcd\r\n0\r\n\r\n',
      'a trailer': '3\r\nabc\r\n0\r\nX: y\r\n\r\n',
      'a bare LF': '3\nabc\n0\n\n',
    }))
      test(`are refused in their chunks: ${name}`, async () => {
        const all = await raw(gateway, 'POST /free/x HTTP/1.1\r\nHost: a\r\n' +
          `Transfer-Encoding: chunked\r\n\r\n${chunks}` +
          'GET /free/smuggled HTTP/1.1\r\nHost: a\r\n\r\n');
        assert.match(all, /^HTTP\/1.1 400 /);
        assert.equal(all.match(/HTTP\/1.1 /g).length, 1);
        assert.equal(origin.asked, 0);
      });
  });

  describe('an origin that fails', () => {
    test('before its answer: 502, and nothing is charged', async () => {
      const required = await challenge(gateway, '/article');
      origin.handler = (req, res) => res.socket.destroy();
      const res = await request(gateway, '/article',
        { headers: paying(pay(required)) });
      assert.equal(res.status, 502);
      assert.equal(f.count('settle'), 0);
    });

    test('in the middle of it: what came is not passed off as whole',
      async () => {
        let cut;
        origin.handler = (req, res) => {
          cut = () => res.socket.destroy();
          res.write('some');
        };
        const url = new URL(gateway.url);
        await assert.rejects(new Promise((done, fail) => {
          http.get({ host: url.hostname, port: url.port, agent: false,
            path: '/free/broken' }, (res) => {
            res.on('data', () => cut());
            res.on('end', done);
            res.on('error', fail);
          }).on('error', fail);
        }));
        assert.equal((await lineOf('/free/broken')).ended, 'origin_broke');
      });

    test('while it is paid for: the buyer may come again', async () => {
      const required = await challenge(gateway, '/dropped');
      const payment = pay(required);
      let drop;
      origin.handler = (req, res) => {
        res.writeHead(200, { 'content-length': 1000 });
        res.flushHeaders();
        drop = () => res.socket.destroy();
      };
      f.settle = async () => { drop(); await sleep(100); return settled(); };
      const lost = await request(gateway, '/dropped',
        { headers: paying(payment) });
      assert.equal(lost.status, 502);
      assert.match(lost.text, /same payment/);
      assert.equal(decode(lost.headers['payment-response']).success, true);
      assert.equal((await lineOf('/dropped')).undelivered, true);
      origin.handler = (req, res) => res.end(SECRET);
      const again = await request(gateway, '/dropped',
        { headers: paying(payment) });
      assert.equal(again.status, 200);
      assert.equal(again.text, SECRET);
      assert.equal(f.count('settle'), 1);
    });
  });

  test('a client that leaves before the settlement is not charged',
    async () => {
      const required = await challenge(gateway, '/left');
      let answer;
      origin.handler = (req, res) => { answer = res; };
      const url = new URL(gateway.url);
      const req = http.get({ host: url.hostname, port: url.port,
        path: '/left', headers: { 'PAYMENT-SIGNATURE': pay(required) } });
      req.on('error', () => {});
      await until(() => answer, 'the origin');
      req.destroy();
      await until(() => answer.destroyed, 'the origin to hear of it');
      assert.equal((await lineOf('/left')).ended, 'client_gone');
      assert.equal(f.count('settle'), 0);
    });

  test('the price list is there for machines', async () => {
    const known = await request(gateway, '/.well-known/x402');
    const api = await request(gateway, '/openapi.json');
    assert.equal(known.status, 200);
    assert.match(known.text, /shop\.example/);
    assert.match(api.text, /"x-payment-info"/);
    JSON.parse(known.text);
    JSON.parse(api.text);
    // It is said of these very paths only; others are the gate's.
    for (const target of ['/.well-known/x402/', '//openapi.json',
      '/robots.txt'])
      assert.equal((await request(gateway, target)).status, 402, target);
    assert.equal(origin.asked, 0);
  });

  test('the listener for operators says how it is', async () => {
    assert.equal((await fetch(`${gateway.admin}/livez`)).status, 200);
    assert.match(await (await fetch(`${gateway.admin}/readyz`)).text(),
      /ready/);
    assert.match(await (await fetch(`${gateway.admin}/metrics`)).text(),
      /^x402_gateway_requests_total\{.*\} \d+$/m);
  });
});

test('the 402 is the reference servers\' own, to the byte where it counts',
  async () => {
    const vector = (name) => JSON.parse(fs.readFileSync(new URL(
      `../vectors/wire/${name}.json`, import.meta.url)));
    const v2 = vector('evm-v2-eip3009');
    const v1 = vector('evm-v1-eip3009');
    const offer = v1.paymentRequired.accepts[0];
    const target = (v) => v.request.split(' ')[1];
    const dir = scratch();
    const start = (v, sells, resource) => {
      const file = path.join(dir, `${v.case}.conf`);
      fs.writeFileSync(file, `facilitators = {"http://127.0.0.1:1"}
        public_origin = "${new URL(resource.url).origin}"
        v1 = ${sells} network = "eip155:84532" pay_to = "${PAYEE}"
        route "${target(v)}" { price = "$0.001"
          description = "${resource.description}"
          mime_type = "${resource.mimeType}" }
        upstream "site" { url = "http://127.0.0.1:1" }\n`);
      return startGateway(['-c', file]);
    };
    const two = await start(v2, false, v2.paymentRequired.resource);
    const answer = await request(two, target(v2));
    assert.equal(answer.status, v2.status);
    assert.equal(answer.headers['payment-required'], v2.paymentRequiredHeader);
    assert.deepEqual(JSON.parse(answer.text), v2.paymentRequiredBody);
    await two.stop();
    const one = await start(v1, true, { ...offer, url: offer.resource });
    const body = JSON.parse((await request(one, target(v1))).text);
    assert.equal(body.error, v1.paymentRequired.error);
    // What v1 clients read of an offer, but the timeout, which has no key here.
    for (const key of ['scheme', 'network', 'maxAmountRequired', 'resource',
      'description', 'mimeType', 'payTo', 'asset', 'extra'])
      assert.deepEqual(body.accepts[0][key], offer[key], key);
    await one.stop();
  });
