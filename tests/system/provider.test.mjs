// The example sites against a facilitator that lies in every way of
// demands.md 36, handlers that fail, buyers that hang up, doubled headers and
// aliases of paths. Both servers of the provider SDK go through the same
// stories, and each story counts what was given away.
//
//   node --test tests/system/provider.test.mjs
//   X402_BUILD_DIR  where the build is (default build/asan)
//   X402_SITES      which sites, by comma (default both)

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';

import {
  ARTICLE, PAYEE, PAYER, SECRET, TX, challenge, decode, encode, pay, paying,
  raw, request, settled, startFacilitator, startSite,
} from './provider.lib.mjs';

const until = async (condition) => {
  for (let i = 0; i < 3000 && !condition(); i++)
    await new Promise((done) => setTimeout(done, 10));
  assert.ok(condition());
};

const sites = process.env.X402_SITES?.split(',') ??
  ['content-site', 'content-site-microhttpd'];

for (const name of sites) {
  describe(name, () => {
    let f;
    let site;

    before(async () => {
      f = await startFacilitator();
      site = await startSite(name, { FACILITATOR_URL: `${f.url}/` });
    });
    beforeEach(() => f.reset());
    after(async () => {
      const { code, signal } = await site.stop();
      await f.stop();
      assert.deepEqual({ code, signal }, { code: 0, signal: null }, site.log);
      assert.doesNotMatch(site.log, /ERROR|runtime error/);
    });

    const buy = async (target = ARTICLE, options = {}) =>
      request(site, target, {
        ...options,
        headers: paying(pay(await challenge(site, target, options))),
      });

    test('free pages need no payment', async () => {
      for (const target of ['/', '/health']) {
        const res = await request(site, target);
        assert.equal(res.status, 200);
        assert.equal(res.headers['payment-response'], undefined);
      }
      assert.equal((await request(site, '/nowhere')).status, 404);
      assert.equal(f.asked.length, 0);
    });

    test('an unpaid request is refused without asking anybody', async () => {
      const res = await request(site, ARTICLE);
      const required = decode(res.headers['payment-required']);
      assert.equal(res.status, 402);
      assert.equal(res.headers['cache-control'], 'no-store');
      assert.equal(required.x402Version, 2);
      assert.equal(required.error, 'Payment required');
      assert.equal(required.resource.url, site.url + ARTICLE);
      assert.deepEqual(required.accepts, [{
        scheme: 'exact', network: 'eip155:84532', amount: '10000',
        asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e', payTo: PAYEE,
        maxTimeoutSeconds: 300, extra: { name: 'USDC', version: '2' },
      }]);
      assert.equal(JSON.parse(res.text).x402Version, 1);
      assert.equal(f.asked.length, 0);
    });

    test('a paid request is served with its receipt', async () => {
      const res = await buy();
      assert.equal(res.status, 200);
      assert.match(res.text, new RegExp(SECRET));
      assert.deepEqual(decode(res.headers['payment-response']), settled());
      assert.equal(res.headers['cache-control'], 'private');
      assert.match(res.headers.vary, /PAYMENT-SIGNATURE/);
      assert.deepEqual(f.asked.map((a) => a.what), ['verify', 'settle']);
      assert.deepEqual(f.asked[0].body, f.asked[1].body);
      assert.equal(f.asked[0].headers['idempotency-key'], undefined);
      assert.match(f.asked[1].headers['idempotency-key'], /^[0-9a-f]{64}$/);
    });

    test('a v1 buyer is served', async () => {
      const required = JSON.parse((await request(site, ARTICLE)).text);
      f.settle = () => settled({ network: 'base-sepolia' });
      const res = await request(site, ARTICLE, {
        headers: [['X-PAYMENT', pay(required)]] });
      assert.equal(res.status, 200);
      assert.equal(decode(res.headers['x-payment-response']).transaction, TX);
      assert.equal(f.asked[0].body.x402Version, 1);
      assert.equal(f.asked[0].body.paymentRequirements.network,
        'base-sepolia');
    });

    test('a declared extension is echoed or the payment refused', async () => {
      assert.equal((await buy('/api/quote')).status, 200);
      const required = await challenge(site, '/api/quote');
      delete required.extensions;
      const res = await request(site, '/api/quote', {
        headers: paying(pay(required)) });
      assert.equal(decode(res.headers['payment-required']).error,
        'extension_echo_mismatch');
    });

    test('a paid POST reads its body and is settled once', async () => {
      const options = { method: 'POST', body: 'x'.repeat(100000) };
      const res = await buy('/paid-post', options);
      assert.equal(res.status, 200);
      assert.deepEqual(JSON.parse(res.text), { message: 'paid' });
      assert.equal(f.count('settle'), 1);
    });

    test('a failed handler is not charged', async () => {
      for (const [target, status] of
        [['/fail', 500], ['/articles/none', 404]]) {
        const res = await buy(target);
        assert.equal(res.status, status);
        assert.equal(res.headers['payment-response'], undefined);
      }
      assert.equal((await buy(ARTICLE, { method: 'DELETE' })).status, 405);
      assert.equal(f.count('settle'), 0);
    });

    test('any method on a priced path is gated', async () => {
      for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH',
        'OPTIONS', 'TRACE']) {
        const res = await request(site, ARTICLE, {
          method, headers: [['X-HTTP-Method-Override', 'GET']] });
        assert.equal(res.status, 402, method);
        assert.doesNotMatch(res.text, new RegExp(SECRET));
      }
    });

    test('no alias of a priced path is free', async () => {
      const slug = ARTICLE.slice('/articles/'.length);
      const targets = [`/${ARTICLE}`, `/articles//${slug}`, `${ARTICLE}/`,
        `/./articles/${slug}`, `/x/../articles/${slug}`,
        `/articles/%2e/${slug}`, `/articles%2f${slug}`,
        `/articles\\${slug}`, `/articles%5c${slug}`,
        ARTICLE.toUpperCase(), `${ARTICLE};a=b`, `/articles;a/${slug}`,
        `/%61rticles/${slug}`, `/%2561rticles/${slug}`, `${ARTICLE}%00`,
        `${ARTICLE}%0a`, `${ARTICLE}%20`, `${ARTICLE}?a=b`, `${ARTICLE}#x`,
        `http://other.example${ARTICLE}`, `/articles/%zz`,
        `/articles%c0%af${slug}`, `/%2e%2e/articles/${slug}`,
        `${ARTICLE}%3Fx`, `/health/../articles/${slug}`];
      for (const target of targets) {
        const text = await raw(site, `GET ${target} HTTP/1.1\r\n` +
          `Host: a\r\nConnection: close\r\n\r\n`);
        assert.match(text, /^HTTP\/1\.1 40[0-9]/, target);
        assert.doesNotMatch(text, new RegExp(SECRET), target);
      }
      assert.equal(f.asked.length, 0);
    });

    test('smuggled payment headers are refused', async () => {
      const payment = pay(await challenge(site, ARTICLE));
      const both = [
        [['PAYMENT-SIGNATURE', payment], ['payment-signature', payment]],
        [['PAYMENT-SIGNATURE', payment], ['X-PAYMENT', payment]],
        [['PAYMENT-SIGNATURE', payment],
          ['Connection', 'close, payment-signature']],
      ];
      for (const headers of both) {
        const res = await request(site, ARTICLE, { headers });
        assert.equal(res.status, 400);
      }
      // A folded header is one to some servers and two to others.
      const text = await raw(site, `GET ${ARTICLE} HTTP/1.1\r\nHost: a\r\n` +
        `X: y\r\n PAYMENT-SIGNATURE: ${payment}\r\nConnection: close\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 40[02]/);
      assert.equal(f.asked.length, 0);
    });

    test('a payment that is bad by itself is not asked about', async () => {
      const required = await challenge(site, ARTICLE);
      const bad = [
        'x', '', encode([]), encode({ x402Version: 2 }),
        encode({ ...decode(pay(required)), x402Version: 1 }),
        encode({ ...decode(pay(required)), accepted: {
          ...required.accepts[0], amount: '1' } }),
        encode({ ...decode(pay(required)), resource: {
          url: `${site.url}/paid` } }),
        pay(await challenge(site, '/paid')), // another price
      ];
      for (const payment of bad) {
        const res = await request(site, ARTICLE, { headers: paying(payment) });
        assert.equal(res.status, 402, payment);
      }
      assert.equal(f.asked.length, 0);
    });

    const reply = (status, body, headers = {}) => (_b, _q, res) => {
      res.writeHead(status, headers);
      res.end(body);
    };
    const yes = JSON.stringify({ isValid: true });
    const money = JSON.stringify(settled());
    const lies = {
      html: reply(200, '<html>isValid: true</html>',
        { 'content-type': 'text/html' }),
      empty: reply(200, ''),
      'no content': reply(204),
      array: reply(200, '[]'),
      'cut short': reply(200, yes.slice(0, -1)),
      trailing: reply(200, `${yes}${yes}`),
      'yes with 500': reply(500, yes),
      'money with 500': reply(500, money),
      'wrong type': reply(200, '{"isValid":"true","success":"true"}'),
      redirect: reply(302, yes, { location: '/elsewhere' }),
      'redirect to itself': (_b, req, res) => {
        res.writeHead(308, { location: req.url });
        res.end(yes);
      },
      'redirect out of http': reply(308, yes, { location: 'file:///etc' }),
      'longer than any answer': reply(200, `{"a":"${'a'.repeat(400000)}"}`),
      'fewer bytes than promised': (_b, _q, res) => {
        res.writeHead(200, { 'content-length': '500' });
        res.write(yes);
        setTimeout(() => res.destroy(), 20);
      },
      'hangs up': (_b, req) => { req.socket.destroy(); },
      'no http': (_b, req) => { req.socket.end('hello\r\n\r\n'); },
    };

    for (const [what, lie] of Object.entries(lies)) {
      test(`verify: ${what}`, async () => {
        f.verify = lie;
        const res = await buy();
        assert.equal(res.status, 502);
        assert.doesNotMatch(res.text, new RegExp(SECRET));
        assert.equal(f.count('settle'), 0);
      });
      test(`settle: ${what}`, async () => {
        f.settle = lie;
        const res = await buy();
        assert.equal(res.status, 502);
        assert.doesNotMatch(res.text, new RegExp(SECRET));
        assert.equal(res.headers['payment-response'], undefined);
      });
    }

    const notProof = {
      'another payer': settled({ payer: PAYEE }),
      'another network': settled({ network: 'eip155:8453' }),
      'no network': settled({ network: undefined }),
      'no transaction': settled({ transaction: '' }),
      'another amount': settled({ amount: '1' }),
      'yes and no': settled({ errorReason: 'unexpected_settle_error' }),
      'a verdict': { isValid: true },
    };
    for (const [what, answer] of Object.entries(notProof))
      test(`settle: ${what} is no proof`, async () => {
        f.settle = () => answer;
        const res = await buy();
        assert.equal(res.status, 502);
        assert.doesNotMatch(res.text, new RegExp(SECRET));
      });

    test('verify: a refusal is passed on with its reason', async () => {
      f.verify = () => ({ isValid: false, invalidReason: '<b>"no"\r\nX: y' });
      const res = await buy();
      assert.equal(res.status, 402);
      assert.equal(decode(res.headers['payment-required']).error,
        '<b>"no"\r\nX: y');
      assert.equal(res.headers.x, undefined);
    });

    test('settle: a refusal withholds the body and says why', async () => {
      f.settle = () => ({ success: false, errorReason: 'insufficient_funds',
        transaction: '', network: 'eip155:84532' });
      const res = await buy();
      assert.equal(res.status, 402);
      assert.equal(res.text, '{}');
      assert.equal(decode(res.headers['payment-response']).errorReason,
        'insufficient_funds');
      assert.equal(res.headers['cache-control'], 'no-store');
    });

    test('settle: pending is asked once more, then reconciled', async () => {
      const pending = { success: false, errorReason: 'settlement_pending',
        transaction: TX, network: 'eip155:84532' };
      const payment = pay(await challenge(site, ARTICLE));
      f.settle = () => pending;
      let res = await request(site, ARTICLE, { headers: paying(payment) });
      assert.equal(res.status, 402);
      assert.equal(res.text, '{}');
      assert.equal(decode(res.headers['payment-response']).transaction, TX);
      assert.equal(f.count('settle'), 2);
      assert.deepEqual(f.asked[1].body, f.asked[2].body);
      assert.equal(f.asked[1].headers['idempotency-key'],
        f.asked[2].headers['idempotency-key']);
      f.settle = () => settled();
      res = await request(site, ARTICLE, { headers: paying(payment) });
      assert.equal(res.status, 200);
      assert.match(res.text, new RegExp(SECRET));
      assert.equal(f.count('verify'), 1);
    });

    test('a payment is granted once, also to a hundred at a time', async () => {
      const payment = pay(await challenge(site, ARTICLE));
      f.settle = async () => {
        await new Promise((done) => setTimeout(done, 100));
        return settled();
      };
      const all = await Promise.all(Array.from({ length: 100 }, () =>
        request(site, ARTICLE, { headers: paying(payment) })));
      const given = all.filter((res) => res.text.includes(SECRET));
      assert.equal(given.length, 1);
      assert.equal(f.count('settle'), 1);
      for (const res of all.filter((r) => r !== given[0])) {
        assert.equal(res.status, 402);
        assert.equal(res.headers['payment-required'], undefined);
        assert.equal(decode(res.headers['payment-response']).errorReason,
          'duplicate_settlement');
      }
      const late = await request(site, ARTICLE, { headers: paying(payment) });
      assert.equal(late.status, 402);
      assert.equal(decode(late.headers['payment-response']).transaction, TX);
      const other = await request(site, '/articles/reading-a-price-tag',
        { headers: paying(payment) });
      assert.equal(other.status, 402);
    });

    test('a buyer who hangs up is settled and gets nothing', async () => {
      const payment = pay(await challenge(site, ARTICLE));
      let release;
      f.settle = () => new Promise((done) => {
        release = () => done(settled());
      });
      const url = new URL(site.url);
      const socket = net.connect(Number(url.port), url.hostname);
      let got = '';
      socket.on('data', (data) => { got += data; });
      socket.on('error', () => {});
      socket.write(`GET ${ARTICLE} HTTP/1.1\r\nHost: ${url.host}\r\n` +
        `PAYMENT-SIGNATURE: ${payment}\r\n\r\n`);
      await until(() => release);
      socket.destroy();
      await new Promise((done) => setTimeout(done, 50));
      release();
      assert.equal(got, '');
      assert.equal(f.count('settle'), 1);
      // The site lives on.
      f.reset();
      assert.equal((await buy('/paid')).status, 200);
    });

    test('a site whose facilitator is down starts and stays closed',
      async () => {
        const alone = await startSite(name,
          { FACILITATOR_URL: 'http://127.0.0.1:1' });
        assert.equal((await request(alone, '/')).status, 200);
        const required = await challenge(alone, ARTICLE);
        const res = await request(alone, ARTICLE, {
          headers: paying(pay(required)) });
        assert.equal(res.status, 502);
        assert.doesNotMatch(res.text, new RegExp(SECRET));
        assert.equal((await alone.stop()).code, 0);
      });

    // libmicrohttpd cuts connections off when it is stopped.
    if (name === 'content-site')
      test('TERM waits for a settlement under way', async () => {
        const other = await startSite(name, { FACILITATOR_URL: f.url });
        const payment = pay(await challenge(other, ARTICLE));
        let release;
        f.settle = () => new Promise((done) => {
          release = () => done(settled());
        });
        const answer = request(other, ARTICLE, { headers: paying(payment) });
        await until(() => release);
        const stopped = other.stop();
        await new Promise((done) => setTimeout(done, 100));
        release();
        assert.match((await answer).text, new RegExp(SECRET));
        assert.deepEqual(await stopped, { code: 0, signal: null });
      });

    test('a browser may ask, pay and read', async () => {
      const res = await request(site, ARTICLE, { method: 'OPTIONS', headers: [
        ['Origin', 'https://a.example'],
        ['Access-Control-Request-Method', 'GET']] });
      assert.equal(res.status, 204);
      assert.match(res.headers['access-control-allow-headers'],
        /PAYMENT-SIGNATURE/);
      const unpaid = await request(site, ARTICLE, { headers: [
        ['Origin', 'https://a.example']] });
      assert.equal(unpaid.headers['access-control-allow-origin'], '*');
      assert.match(unpaid.headers['access-control-expose-headers'],
        /PAYMENT-REQUIRED/);
    });

    test('an oversized payment header gives nothing away', async () => {
      const res = await request(site, ARTICLE, {
        headers: paying('A'.repeat(17000)) }).catch(() => ({ status: 431 }));
      assert.ok([400, 402, 413, 431].includes(res.status));
    });

    test('a price list without a payee does not start', async () => {
      await assert.rejects(startSite(name, { PAY_TO: '0x12' }), /pay_to/);
    });
  });
}
