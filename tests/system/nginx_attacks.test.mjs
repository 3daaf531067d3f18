// The provider's attacks of demands.md, 33 to 45, by number, against a real
// nginx with the module. An attack succeeds when it reads the secret without a
// settlement, or pays and gets neither the secret nor an entry on the ledger.
//
//   node --test tests/system/nginx_attacks.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { randomNonce, signAuthorization } from '../devnet/lib.mjs';
import {
  atRest, freePort, metrics, payments, sleep, startNginx, startOrigin, until,
} from './nginx.lib.mjs';
import {
  PAYEE, PAYER, challenge, decode, encode, pay, paying, raw, request, settled,
  startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';
const ARTICLE = '/paid/article.html';
// The development key that anvil prints for PAYER.
const KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
const NO = { success: false, errorReason: 'insufficient_funds',
  transaction: '', network: 'eip155:84532', payer: PAYER };

describe('attacks on the nginx module', () => {
  let f;
  let origin;
  let nginx;
  let front;
  let h2;

  before(async () => {
    f = await startFacilitator();
    origin = await startOrigin();
    h2 = await freePort();
    nginx = await startNginx(`
  x402_state DIR/x402.state payments=4096;
  x402_facilitator_url ${f.url}; x402_network eip155:84532;
  x402_pay_to ${PAYEE}; x402_verify_timeout 500ms; x402_settle_timeout 500ms;
  map $arg_now $now { default 0.01usd; dear 0.05usd; }
  server { listen 127.0.0.1:PORT; listen 127.0.0.1:${h2} http2;
    server_name shop.test; x402_public_origin https://shop.test;
    root DIR/html; client_header_timeout 2s; client_body_timeout 2s;
    location = /x402-status { x402_status; }
    location / { }
    location /paid/ { x402 on; x402_price $0.01; }
    location /sibling/ { x402 on; x402_price $0.01; alias DIR/html/paid/; }
    location /dear/ { x402 on; x402_price $0.05; alias DIR/html/paid/; }
    location /priced/ { x402 on; x402_price $now; alias DIR/html/paid/; }
    location /tenant/ { x402 on; x402_price $0.01; alias DIR/html/paid/;
      x402_pay_to ${PAYER}; }
    location /api/ { x402 on; x402_price $0.01; proxy_pass ${origin.url}; }
    location /before/ { x402 on; x402_price $0.01; x402_settle before;
      proxy_pass ${origin.url}; }
    location /pass/ { x402 on; x402_price $0.01; x402_pass 60s;
      alias DIR/html/paid/; }
    location /pass-brief/ { x402 on; x402_price $0.01; x402_pass 1s;
      alias DIR/html/paid/; }
    location /pass-dear/ { x402 on; x402_price $0.05; x402_pass 60s;
      alias DIR/html/paid/; }
    location /people/ { x402 on; x402_price $0.01; x402_page on;
      x402_description "</script><script>alert(1)</script>"; }
    location /paid-error/ { error_page 404 ${ARTICLE}; }
  }`, { files: {
      'index.html': 'free', 'paid/article.html': SECRET.padEnd(2000, '.'),
      'paid/index.html': SECRET,
    } });
    // A shared cache in front, as eager as nginx is by itself.
    front = await startNginx(`
  proxy_cache_path DIR/cache keys_zone=front:1m;
  server { listen 127.0.0.1:PORT;
    location / { proxy_pass ${nginx.url}; proxy_cache front;
      proxy_cache_valid any 10m; proxy_cache_methods GET HEAD; } }`,
    { load: false });
  });
  beforeEach(() => {
    f.reset();
    origin.asked = 0;
    origin.handler = (req, res) => res.end(SECRET);
  });
  afterEach(async () => {
    // Whatever was tried, who is served has paid.
    const m = await metrics(nginx);
    assert.ok(m.delivered <= m.settled, JSON.stringify(m));
  });
  after(async () => {
    const ended = await nginx.stop();
    await front.stop();
    await f.stop();
    await origin.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, nginx.log);
    assert.deepEqual(nginx.errors().split('\n').filter((line) =>
      /\[(alert|emerg|crit)\]/.test(line)), []);
  });

  const buy = async (target = ARTICLE, options = {}) =>
    request(nginx, target, { ...options,
      headers: paying(pay(await challenge(nginx, target, options))) });
  const shut = (text, what) =>
    assert.doesNotMatch(text, new RegExp(SECRET), what);

  // With a signature that can be judged without a chain.
  const sign = async (required, change = {}) => {
    const now_ = Math.floor(Date.now() / 1000);
    const [accepted] = required.accepts;
    const authorization = { from: PAYER, to: PAYEE, value: accepted.amount,
      validAfter: String(now_ - 600), validBefore: String(now_ + 300),
      nonce: randomNonce(), ...change };
    return encode({ x402Version: 2, resource: required.resource, accepted,
      payload: { authorization, signature: await signAuthorization({
        tokenName: 'USDC', tokenVersion: '2', chainId: 84532,
        token: accepted.asset }, KEY, authorization) } });
  };
  const owed = async () => (await atRest(nginx)).filter((p) => !p.busy &&
    p.state === 'undelivered');

  test('33 aliases of a path', async () => {
    for (const target of ['/paid/article.html', '//paid//article.html',
      '/./paid/./article.html', '/x/../paid/article.html',
      '/paid/%61rticle.html', '/%70aid/article.html', '/paid%2farticle.html',
      '/paid%2Farticle.html', '/paid\\article.html', '/paid%5carticle.html',
      '/PAID/article.html', '/paid/article.html/', '/paid/article.html;x=1',
      '/paid;x/article.html', '/%2570aid/article.html',
      '/paid/%2561rticle.html', '/paid/article.html%00', '/paid%00/article.html',
      '/paid/article.html%0a', '/paid/article.html%20', '/paid/', '/paid',
      '/paid/../paid/article.html', '/paid/%2e/article.html',
      '/free/%2e%2e/paid/article.html', '/paid/article.html?a=1',
      '/paid/article.html#a', '/%c0%afpaid/article.html',
      '/paid/%ff/../article.html', '/paid/article.htm%6c', '/.//paid/article.html',
      'http://shop.test/paid/article.html', 'http://other.test/paid/article.html',
      'https://shop.test//paid/article.html'])
      for (const version of ['1.1', '1.0'])
        shut(await raw(nginx, `GET ${target} HTTP/${version}\r\n` +
          'Host: shop.test\r\nConnection: close\r\n\r\n'), target);
    shut(await raw(nginx, `GET ${ARTICLE}\r\n\r\n`), 'HTTP/0.9');
    const http2 = await import('node:http2');
    const session = http2.connect(`http://127.0.0.1:${h2}`);
    for (const path of ['//paid/article.html', '/%70aid/article.html',
      '/./paid/article.html', '/x/../paid/article.html',
      '/paid/article.html?x', 'paid/article.html'])
      shut(await new Promise((done) => {
        let text = '';
        const stream = session.request({ ':path': path });
        stream.on('data', (data) => { text += data; });
        stream.on('close', () => done(text)).on('error', () => done(text));
        stream.end();
      }), `h2 ${path}`);
    session.destroy();
    assert.equal(f.asked.length, 0);
  });

  test('34 methods, ranges, upgrades, internal redirects', async () => {
    for (const method of ['HEAD', 'OPTIONS', 'POST', 'PUT', 'DELETE', 'PATCH',
      'TRACE', 'CONNECT', 'PROPFIND', 'BREW', 'get', 'GETX'])
      for (const extra of ['', 'X-HTTP-Method-Override: GET\r\n',
        'Range: bytes=0-\r\n', 'Upgrade: h2c\r\nHTTP2-Settings: AA\r\n',
        'Upgrade: websocket\r\n', 'If-None-Match: *\r\n',
        'Expect: 100-continue\r\n'])
        shut(await raw(nginx, `${method} ${ARTICLE} HTTP/1.1\r\n` +
          `Host: x\r\n${extra}Connection: close\r\n\r\n`), method + extra);
    shut((await request(nginx, '/paid-error/none')).text, 'error_page');
    assert.equal(f.asked.length, 0);
  });

  test('35 payment headers that two servers read in two ways', async () => {
    const good = pay(await challenge(nginx, ARTICLE));
    const v1 = pay(JSON.parse((await request(nginx, ARTICLE)).text));
    const other = pay(await challenge(nginx, ARTICLE));
    for (const headers of [
      [['PAYMENT-SIGNATURE', good], ['PAYMENT-SIGNATURE', other]],
      [['PAYMENT-SIGNATURE', good], ['payment-signature', good]],
      [['PAYMENT-SIGNATURE', good], ['X-PAYMENT', v1]],
      [['X-PAYMENT', v1], ['X-PAYMENT', v1]],
      [['PAYMENT-SIGNATURE', good], ['Connection', 'PAYMENT-SIGNATURE']],
      [['PAYMENT-SIGNATURE', good], ['Connection', 'close, payment-signature']],
      [['PAYMENT-SIGNATURE', `${good},${other}`]],
      [['PAYMENT-SIGNATURE', 'A'.repeat(7000)]],
      [['PAYMENT-SIGNATURE', 'A'.repeat(40000)]],
      [['PAYMENT_SIGNATURE', good]], [['PAYMENT-SIGNATURE ', good]],
    ]) {
      const text = await raw(nginx, `GET ${ARTICLE} HTTP/1.1\r\nHost: x\r\n` +
        `${headers.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
      shut(text, headers[0][0]);
      assert.match(text, /^HTTP\/1.1 4\d\d/, JSON.stringify(headers)
        .slice(0, 80));
    }
    for (const folded of [`PAYMENT-SIGNATURE: ${good.slice(0, 50)}\r\n ` +
      good.slice(50), `X: y\r\n PAYMENT-SIGNATURE: ${good}`,
    `PAYMENT-SIGNATURE:\r\n ${good}`])
      shut(await raw(nginx, `GET ${ARTICLE} HTTP/1.1\r\nHost: x\r\n${folded}` +
        '\r\n\r\n'), 'folded');
    // A second request in the body of the first is a request of its own.
    const smuggled = await raw(nginx, 'POST / HTTP/1.1\r\nHost: x\r\n' +
      'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' +
      `GET ${ARTICLE} HTTP/1.1\r\nHost: x\r\n\r\n`);
    shut(smuggled, 'CL.TE');
    assert.equal(f.asked.length, 0);
  });

  test('36 a facilitator that is down, slow, cut, or lies', async () => {
    const answers = {
      'connection cut': (body, req, res) => { res.socket.destroy(); },
      'silence': () => new Promise(() => {}),
      'HTML': (body, req, res) => { res.end('<html>ok</html>'); },
      'empty': (body, req, res) => { res.end(); },
      'cut short': (body, req, res) => {
        res.writeHead(200, { 'content-length': 100 });
        res.write('{"isValid":true,"success":true');
        setTimeout(() => res.socket.destroy(), 20);
      },
      '301': (body, req, res) => {
        res.writeHead(301, { location: '/elsewhere' }); res.end(); },
      '307 in a ring': (body, req, res) => {
        res.writeHead(307, { location: req.url }); res.end(); },
      '500 that says yes': (body, req, res) => {
        res.statusCode = 500;
        res.end(JSON.stringify({ isValid: true, ...settled() })); },
      'wrong types': () => ({ isValid: 'true', success: 'true',
        transaction: 7, network: true }),
      'another payer': () => ({ isValid: true, ...settled({ payer: PAYEE }) }),
      'two minds': () => ({ isValid: true, invalidReason: 'no',
        ...settled({ errorReason: 'no' }) }),
      'too long': (body, req, res) => { res.end('x'.repeat(5000000)); },
      'a number': () => 1, 'an array': () => [true], 'null': () => null,
    };
    for (const [what, answer] of Object.entries(answers)) {
      f.reset();
      f.verify = answer;
      const res = await buy();
      shut(res.text, `verify: ${what}`);
      assert.equal(res.status, 502, `verify: ${what}`);
      assert.equal(f.count('settle'), 0, what);
      f.reset();
      f.settle = answer;
      for (const target of [ARTICLE, '/before/x']) {
        const got = await buy(target);
        shut(got.text, `settle: ${what} ${target}`);
        assert.equal(got.status, 502, `settle: ${what} ${target}`);
      }
    }
    for (const lie of [{ transaction: '' }, { network: 'eip155:1' },
      { network: undefined }, { amount: '1' }]) {
      f.reset();
      f.settle = () => settled(lie);
      shut((await buy()).text, JSON.stringify(lie));
    }
    // Down, and down at the start.
    const lonely = await startNginx(`x402_state DIR/s payments=64;
      x402_facilitator_url http://127.0.0.1:1; x402_network eip155:84532;
      x402_pay_to ${PAYEE}; x402_public_origin http://a.test;
      server { listen 127.0.0.1:PORT; root DIR/html;
        location = /x402-status { x402_status; }
        location /paid/ { x402 on; x402_price $0.01; }
        location /paid/before/ { x402 on; x402_price $0.01;
          x402_settle before; }
        location /paid/name { x402 on; x402_price $0.01;
          x402_facilitator_url http://nowhere.invalid; } }`,
    { files: { 'paid/article.html': SECRET, 'index.html': 'free' } });
    assert.equal((await request(lonely, '/')).status, 200);
    for (const target of [ARTICLE, '/paid/name']) {
      const res = await request(lonely, target,
        { headers: paying(pay(await challenge(lonely, target))) });
      shut(res.text, 'down');
      assert.equal(res.status, 502);
    }
    // Payments that have reached nobody take no room from others: not more
    // of them than the ledger has places.
    const unheard = await challenge(lonely, '/paid/before/x');
    for (let i = 0; i < 70; i++)
      assert.equal((await request(lonely, '/paid/before/x',
        { headers: paying(pay(unheard)) })).status, 502, `${i}`);
    assert.deepEqual(await payments(lonely), []);
    await lonely.stop();
    f.settle = (body, req, res) => { res.statusCode = 429; return {}; };
    const { length } = await payments(nginx);
    assert.equal((await buy('/before/x')).status, 502);
    assert.equal((await payments(nginx)).length, length);
  });

  test('37 a payment for something else', async () => {
    const bare = { ...await challenge(nginx, ARTICLE), resource: undefined };
    const fresh = () => paying(pay(bare));
    // Cheaper, or to somebody else: no terms of this location.
    for (const target of ['/dear/article.html', '/tenant/article.html'])
      shut((await request(nginx, target, { headers: fresh() })).text, target);
    // It says where it belongs.
    shut((await request(nginx, '/sibling/article.html', { headers:
      paying(pay(await challenge(nginx, ARTICLE))) })).text, 'named');
    // The same terms: one payment buys one thing once, whichever.
    const headers = fresh();
    assert.equal((await request(nginx, ARTICLE, { headers })).status, 200);
    for (const [target, options] of [['/sibling/article.html', {}],
      [`${ARTICLE}?x=1`, {}], [ARTICLE, {}], [ARTICLE, { method: 'HEAD' }],
      ['/api/x', { method: 'POST', body: 'b' }]]) {
      const res = await request(nginx, target, { ...options, headers });
      shut(res.text, target);
      assert.equal(res.status, 402, target);
    }
    assert.equal(f.count('settle'), 1);
    // All at once, each in a connection and so in any worker.
    f.reset();
    f.verify = async () => { await sleep(50); return { isValid: true }; };
    const race = fresh();
    const all = await Promise.all(Array.from({ length: 20 }, (_, i) =>
      request(nginx, i % 2 ? ARTICLE : '/sibling/article.html',
        { headers: race })));
    assert.equal(all.filter((r) => r.status === 200).length, 1);
    assert.equal(f.count('settle'), 1);
  });

  test('38 a price that changes, and offers that were never made', async () => {
    const old = await challenge(nginx, '/priced/article.html');
    const res = await request(nginx, '/priced/article.html?now=dear',
      { headers: paying(pay({ ...old, resource: undefined })) });
    shut(res.text, 'the old price');
    assert.equal(decode(res.headers['payment-required']).accepts[0].amount,
      '50000');
    for (const change of [{ amount: '1' }, { payTo: PAYER },
      { asset: PAYEE }, { network: 'eip155:1' }, { scheme: 'upto' },
      { maxTimeoutSeconds: 9999 }, { extra: { name: 'Coin', version: '2' } }])
      shut((await request(nginx, ARTICLE, { headers: paying(pay({ ...old,
        resource: undefined, accepts: [{ ...old.accepts[0], ...change }] })) }))
        .text, JSON.stringify(change));
    const now = Math.floor(Date.now() / 1000);
    // Signed for real, so that all of it can be judged without a chain.
    const required = await challenge(nginx, ARTICLE);
    const signed = async (change) => request(nginx, ARTICLE,
      { headers: paying(await sign(required, change)) });
    for (const change of [{ validBefore: String(now - 1) },
      { validBefore: String(now + 3) }, { validAfter: String(now + 60) },
      { value: '9999' }, { value: '10001' }, { to: PAYER }])
      shut((await signed(change)).text, JSON.stringify(change));
    assert.equal(f.asked.length, 0, 'refused without asking');
    assert.equal((await signed({})).status, 200);
  });

  test('39 caches in front', async () => {
    const unpaid = await request(front, ARTICLE);
    assert.equal(unpaid.status, 402);
    const payment = pay(decode(unpaid.headers['payment-required']));
    const paid = await request(front, ARTICLE, { headers: paying(payment) });
    assert.equal(paid.status, 200, 'the 402 was not kept');
    assert.match(paid.text, new RegExp(SECRET));
    for (const headers of [[], paying(payment),
      [['Cache-Control', 'only-if-cached, max-stale=9999']]]) {
      const again = await request(front, ARTICLE, { headers });
      shut(again.text, 'the paid body was not kept');
      assert.equal(again.status, 402);
    }
    assert.deepEqual(fs.readdirSync(`${front.dir}/cache`), []);
    // Whatever the origin says about it.
    origin.handler = (req, res) => {
      res.setHeader('Cache-Control', 'public, max-age=600, s-maxage=600');
      res.setHeader('Expires', new Date(Date.now() + 1e6).toUTCString());
      res.setHeader('X-Accel-Expires', '600');
      res.end(SECRET);
    };
    const required = decode((await request(front, '/api/x'))
      .headers['payment-required']);
    const got = await request(front, '/api/x',
      { headers: paying(pay(required)) });
    assert.equal(got.status, 200);
    assert.match(got.headers['cache-control'], /private/);
    assert.doesNotMatch(got.headers['cache-control'], /public|s-maxage/);
    shut((await request(front, '/api/x')).text, 'kept');
    // Nor a page for people in place of the answer for programs.
    const page = await request(front, '/people/', { headers:
      [['Accept', 'text/html'], ['User-Agent', 'Mozilla/5.0']] });
    assert.match(page.headers['content-type'], /html/);
    assert.match((await request(front, '/people/')).headers['content-type'],
      /json/);
  });

  test('40 clients that leave, handlers that fail after the money', async () => {
    const payment = pay(await challenge(nginx, ARTICLE));
    f.settle = async () => { await sleep(150); return settled(); };
    await new Promise((done) => {
      const socket = net.connect(nginx.port, '127.0.0.1', () => {
        socket.write(`GET ${ARTICLE} HTTP/1.1\r\nHost: x\r\n` +
          `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`);
        until(() => f.count('settle') === 1).then(() => {
          socket.destroy();
          done();
        });
      });
    });
    await until(async () => (await owed()).length === 1,
      'the entry on the ledger');
    assert.equal((await request(nginx, ARTICLE, { headers: paying(payment) }))
      .status, 200);
    f.reset();
    const dear = pay(await challenge(nginx, '/before/x'));
    origin.handler = (req, res) => { res.statusCode = 500; res.end('sorry'); };
    const failed = await request(nginx, '/before/x', { headers: paying(dear) });
    assert.equal(failed.status, 500);
    assert.ok(decode(failed.headers['payment-response']).success);
    origin.handler = (req, res) => { res.socket.destroy(); };
    assert.equal((await request(nginx, '/before/x', { headers: paying(dear) }))
      .status, 502);
    assert.equal((await owed()).length, 1, 'owed still');
    origin.handler = (req, res) => res.end(SECRET);
    assert.equal((await request(nginx, '/before/x', { headers: paying(dear) }))
      .text, SECRET);
    assert.equal(f.count('settle'), 1);
    assert.deepEqual(await owed(), []);
    // Its time may pass before the buyer comes again.
    f.reset();
    const required = await challenge(nginx, ARTICLE);
    const end = Math.floor(Date.now() / 1000) + 15;
    const soon = { validBefore: String(end) };
    const brief = await sign(required, soon);
    const late = await sign(required, soon);
    f.settle = (body, req, res) => { res.socket.destroy(); };
    assert.equal((await request(nginx, ARTICLE, { headers: paying(brief) }))
      .status, 502);
    // Six seconds before its end a payment is too late to be asked for.
    await until(() => Date.now() / 1000 > end - 5, 'its last seconds');
    f.reset();
    assert.equal((await request(nginx, ARTICLE, { headers: paying(brief) }))
      .status, 200);
    assert.deepEqual(f.asked.map((a) => a.what), ['settle']);
    // One that was never asked for is late.
    assert.equal((await request(nginx, ARTICLE, { headers: paying(late) }))
      .status, 402);
    // Refused after the first bytes of the content came.
    f.reset();
    f.settle = async () => { await sleep(80); return NO; };
    origin.handler = (req, res) => {
      res.write(SECRET.repeat(5000));
      setTimeout(() => res.end(), 150);
    };
    shut((await buy('/api/x')).text, 'refused in mid-stream');
  });

  test('41 Host and X-Forwarded-* of a stranger', async () => {
    for (const headers of [[['Host', 'evil.test']],
      [['Host', 'shop.test'], ['X-Forwarded-Host', 'evil.test'],
        ['X-Forwarded-Proto', 'ftp'], ['Forwarded', 'host=evil.test'],
        ['X-Original-URL', '/'], ['X-Rewrite-URL', '/'],
        ['X-Forwarded-Prefix', '/evil'], ['X-Accel-Redirect', ARTICLE]]]) {
      const text = await raw(nginx, `GET ${ARTICLE} HTTP/1.1\r\n` +
        `${headers.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
      assert.match(text, /^HTTP\/1.1 402/);
      const required = decode(/PAYMENT-REQUIRED: (\S+)/.exec(text)[1]);
      assert.equal(required.resource.url, `https://shop.test${ARTICLE}`);
    }
  });

  test('42 a crawler\'s name opens nothing', async () => {
    for (const agent of ['Googlebot/2.1 (+http://www.google.com/bot.html)',
      'GPTBot/1.0', '']) {
      const res = await request(nginx, ARTICLE, { headers: [
        ['User-Agent', agent], ['From', 'googlebot(at)googlebot.com'],
        ['X-Forwarded-For', '66.249.66.1'], ['Signature-Agent', '"https://g"'],
        ['Signature-Input', 'sig=()'], ['Signature', 'sig=:AA==:']] });
      assert.equal(res.status, 402);
      shut(res.text, agent);
    }
  });

  test('43 passes that nobody gave out', async () => {
    for (const [name, value] of [['Cookie', 'x402-pass=1; x402_pass=free'],
      ['Authorization', 'Bearer eyJhbGciOiJub25lIn0.eyJzY29wZSI6IioifQ.'],
      ['SIGN-IN-WITH-X', encode({ address: PAYER, signature: '0x' })],
      ['PAYMENT-RESPONSE', encode(settled())],
      ['X402-Pass', 'x']]) {
      const res = await request(nginx, ARTICLE, { headers: [[name, value]] });
      assert.equal(res.status, 402, name);
      shut(res.text, name);
    }
  });

  test('43 passes that were given out, for something else', async () => {
    const target = '/pass/article.html';
    const paid = await buy(target);
    const pass = paid.headers['x402-pass'].split(';')[0];
    const cookie = paid.headers['set-cookie'][0].split(';')[0];
    assert.match(paid.headers['set-cookie'][0], /HttpOnly/i);
    f.asked = [];
    // In any worker: the secret is the ledger's.
    for (let i = 0; i < 8; i++)
      for (const headers of [[['X402-Pass', pass]], [['Cookie', cookie]]]) {
        const res = await request(nginx, target, { headers });
        assert.equal(res.status, 200);
        assert.match(res.text, new RegExp(SECRET));
        assert.equal(res.headers['cache-control'], 'private, no-store');
      }
    assert.equal(f.asked.length, 0);
    for (const other of ['/pass/', '/pass/article.html?x', ARTICLE,
      '/pass-dear/article.html', '/sibling/article.html',
      '/before/article.html'])
      for (const headers of [[['X402-Pass', pass]], [['Cookie', cookie]]]) {
        const res = await request(nginx, other, { headers });
        shut(res.text, other);
        assert.equal(res.status, 402, other);
      }
    for (let at = 0; at < pass.length; at += 7) {
      const bent = pass.slice(0, at) + (pass[at] === '0' ? '1' : '0') +
        pass.slice(at + 1);
      shut((await request(nginx, target, { headers: [['X402-Pass', bent]] }))
        .text, `bent at ${at}`);
    }
    const brief = (await buy('/pass-brief/article.html')).headers['x402-pass'];
    await sleep(2100);
    shut((await request(nginx, '/pass-brief/article.html',
      { headers: [['X402-Pass', brief.split(';')[0]]] })).text, 'over');
    assert.equal((await metrics(nginx)).pass, 16);
  });

  test('44 texts that would be markup', async () => {
    const browser = [['Accept', 'text/html'], ['User-Agent', 'Mozilla/5.0']];
    for (const target of ['/people/', '/people/"><script>alert(2)</script>',
      '/people/?q="><img/src=x/onerror=alert(3)>', '/people/%3Cscript%3E']) {
      const res = await request(nginx, target, { headers: browser });
      assert.equal(res.status, 402, target);
      assert.doesNotMatch(res.text, /<script>|alert\(\d\)<|<img\/src|"><scr/);
      assert.match(res.headers['content-security-policy'], /nonce-/);
      assert.doesNotMatch(res.headers['content-security-policy'],
        /unsafe-inline|unsafe-eval/);
    }
  });

  test('45 floods, bodies and slow hands', async () => {
    const before_ = await metrics(nginx);
    const all = await Promise.all(Array.from({ length: 400 }, () =>
      request(nginx, ARTICLE)));
    assert.deepEqual(all.filter((r) => r.status !== 402), []);
    await until(async () =>
      (await metrics(nginx)).unpaid - before_.unpaid === 400, 'the count');
    assert.equal(f.asked.length, 0);
    // A body of a stranger is not waited for, a slow one of a payer ends.
    assert.match(await raw(nginx, 'POST /api/x HTTP/1.1\r\nHost: x\r\n' +
      'Content-Length: 1000000\r\n\r\n'), /^HTTP\/1.1 402/);
    assert.match(await raw(nginx, 'POST /api/x HTTP/1.1\r\nHost: x\r\n' +
      `PAYMENT-SIGNATURE: ${pay(await challenge(nginx, '/api/x'))}\r\n` +
      'Content-Length: 99000000\r\n\r\n'), /^HTTP\/1.1 413/);
    const slow = net.connect(nginx.port, '127.0.0.1');
    slow.write('POST /api/x HTTP/1.1\r\nHost: x\r\nPAYMENT-SIGNATURE: ' +
      `${pay(await challenge(nginx, '/api/x'))}\r\nContent-Length: 9\r\n\r\na`);
    const ended = new Promise((done) => slow.on('close', done));
    slow.on('error', () => {}).resume();
    assert.equal((await buy()).status, 200, 'others are served meanwhile');
    await ended;
    assert.equal(origin.asked, 0);
    // Everybody's payments at once, with a facilitator that never answers.
    f.verify = () => new Promise(() => {});
    const required = await challenge(nginx, ARTICLE);
    const stuck = Array.from({ length: 300 }, () =>
      request(nginx, ARTICLE, { headers: paying(pay(required)) }));
    assert.equal((await request(nginx, '/')).status, 200, 'free is free');
    const ends = (await Promise.all(stuck)).map((r) => r.status);
    assert.deepEqual(ends.filter((status) => status !== 502), []);
    await atRest(nginx);
  });
});
