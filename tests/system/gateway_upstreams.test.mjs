// What stands between x402-gateway and its origins: rate limits, circuit
// breaker, health check, OAuth tokens; and that none of them takes money for
// what cannot be had.
//
//   node --test tests/system/gateway_upstreams.test.mjs

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';

import { startDns } from './dns.lib.mjs';
import { startGateway, startOrigin } from './gateway_site.lib.mjs';
import { sleep, until } from './nginx.lib.mjs';
import { PAYEE, challenge, pay, paying, request, startFacilitator } from
  './provider.lib.mjs';

const MONEY = `network = "eip155:84532" pay_to = "${PAYEE}"`;
let f;
before(async () => { f = await startFacilitator(); });
beforeEach(() => { f.reset(); });
after(async () => { await f.stop(); });

// A client who asks, and is gone once so much has happened.
async function leave(g, bytes, happened) {
  const client = net.connect(Number(new URL(g.url).port), '127.0.0.1');
  client.on('error', () => {});
  client.write(bytes);
  await until(happened, 'what a client leaves at');
  client.destroy();
}

// A gateway for one test; the configuration is written around its origins.
async function withGateway(conf, body, options) {
  const g = await startGateway(`public_origin = "http://127.0.0.1:PORT"
    facilitators = {"${f.url}"} ${MONEY} ${conf}`, options);
  try {
    await body(g);
  } finally {
    const ended = await g.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, g.log);
    assert.doesNotMatch(g.log, /ERROR|runtime error/);
  }
}

const buy = async (g, target, options) => request(g, target, { ...options,
  headers: paying(pay(await challenge(g, target))) });
const get = (g, target, headers = []) => request(g, target, { headers });

describe('rate limits', () => {
  let origin;
  before(async () => { origin = await startOrigin(); });
  after(async () => { await origin.stop(); });
  const conf = () => `upstream "o" { url = "${origin.url}" }
    route "GET /health" { free = true } route "GET /paid" { price = "$0.01" }`;

  test('so many of one address in a window, then 429 with Retry-After', () =>
    withGateway(`${conf()} rate_address { requests = 5 window_s = 60 }`,
      async (g) => {
        for (let i = 0; i < 5; i++)
          assert.equal((await get(g, '/health')).status, 200);
        const asked = origin.asked.length;
        const res = await get(g, '/health');
        assert.equal(res.status, 429);
        assert.ok(Number(res.headers['retry-after']) >= 1);
        assert.ok(Number(res.headers['retry-after']) <= 121);
        assert.match(res.headers['content-type'], /json/);
        JSON.parse(res.text);
        assert.equal(res.headers['cache-control'], 'no-store');
        assert.equal(origin.asked.length, asked);
      }));

  test('nobody is asked about the payment of who is limited', () =>
    withGateway(`${conf()} rate_address { requests = 1 window_s = 60 }`,
      async (g) => {
        const required = await challenge(g, '/paid');
        const res = await get(g, '/paid', paying(pay(required)));
        assert.equal(res.status, 429);
        assert.equal(f.asked.length, 0);
      }));

  test('a header of a stranger does not make him another address', () =>
    withGateway(`${conf()} rate_address { requests = 2 window_s = 60 }`,
      async (g) => {
        const statuses = [];
        for (let i = 0; i < 6; i++)
          statuses.push((await get(g, '/health', [
            ['X-Forwarded-For', `192.0.2.${i}`], ['X-Real-IP', `192.0.2.${i}`],
            ['Forwarded', `for=192.0.2.${i}`]])).status);
        assert.deepEqual(statuses, [200, 200, 429, 429, 429, 429]);
      }));

  test('behind a proxy of ours each client has his own', () =>
    withGateway(`${conf()} trusted_proxies = {"127.0.0.1"}
      rate_address { requests = 2 window_s = 60 }`, async (g) => {
      const from = async (ip) => (await get(g, '/health',
        [['X-Forwarded-For', ip]])).status;
      for (const ip of ['192.0.2.1', '192.0.2.2', '2001:db8::1'])
        assert.deepEqual([await from(ip), await from(ip), await from(ip)],
          [200, 200, 429]);
      // One customer's network counts as one.
      assert.equal(await from('2001:db8::ffff:2'), 429);
      // What a client wrote himself, left of what our proxy wrote.
      assert.equal(await from('198.51.100.9, 192.0.2.1'), 429);
    }));

  test('so many of one key, whatever the address', () =>
    withGateway(`${conf()}
      rate_key { header = "X-Api-Key" requests = 2 window_s = 60 }`,
    async (g) => {
      const as = async (key) => (await get(g, '/health',
        key ? [['X-Api-Key', key]] : [])).status;
      assert.deepEqual([await as('a'), await as('a'), await as('a')],
        [200, 200, 429]);
      assert.deepEqual([await as('b'), await as('b'), await as('b')],
        [200, 200, 429]);
      for (let i = 0; i < 5; i++) assert.equal(await as(), 200);
    }));

  test('two keys in one request are not a way around either', () =>
    withGateway(`${conf()}
      rate_key { header = "X-Api-Key" requests = 2 window_s = 60 }`,
    async (g) => {
      const statuses = [];
      for (let i = 0; i < 5; i++)
        statuses.push((await get(g, '/health', [['X-Api-Key', 'a'],
          ['X-Api-Key', `x${i}`]])).status);
      assert.ok(statuses.slice(2).every((s) => s !== 200),
        statuses.join());
    }));
});

test('who comes by IPv4 is known by that, on a socket for both', async () => {
  const origin = await startOrigin();
  await withGateway(`listen = ":PORT" upstream "o" { url = "${origin.url}" }
    trusted_proxies = {"192.0.2.0/24"} route "GET /health" { free = true }`,
  async (g) => {
    assert.equal((await get(g, '/health')).status, 200);
    assert.equal(origin.asked[0].headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(origin.asked[0].headers['x-real-ip'], '127.0.0.1');
    await until(() => g.log.includes('"client":"127.0.0.1"'), 'its line');
  });
  await origin.stop();
});

describe('the circuit breaker', () => {
  test('opens after failures in a row, asks nobody to pay, and closes again',
    async () => {
      const origin = await startOrigin();
      let broken = true;
      let calls = 0;
      origin.handler = (one, res) => {
        calls++;
        if (!broken) return false;
        res.destroy();
        return true;
      };
      await withGateway(`upstream "o" { url = "${origin.url}"
        breaker_failures = 3 breaker_open_ms = 4000 }
        route "GET /paid" { price = "$0.01" }
        route "GET /health" { free = true }`, async (g) => {
        for (let i = 0; i < 3; i++)
          assert.equal((await get(g, '/health')).status, 502);
        const open = await get(g, '/health');
        assert.equal(open.status, 503);
        assert.ok(Number(open.headers['retry-after']) >= 1);
        assert.equal(calls, 3);
        // Who pays now is told before his payment is looked at.
        f.reset();
        const res = await buy(g, '/paid');
        assert.equal(res.status, 503);
        assert.equal(f.asked.length, 0);
        assert.equal(calls, 3);
        // One probe, and it fails: shut again, for longer.
        await until(async () => (await get(g, '/health')).status === 502,
          'the probe');
        assert.equal(calls, 4);
        assert.equal((await get(g, '/health')).status, 503);
        broken = false;
        await until(async () => (await get(g, '/health')).status === 200,
          'the breaker to close');
        assert.equal((await buy(g, '/paid')).status, 200);
      });
      await origin.stop();
    });

  test('500 of one page does not close the shop', async () => {
    const origin = await startOrigin();
    await withGateway(`upstream "o" { url = "${origin.url}"
      breaker_failures = 2 breaker_open_ms = 60000 }
      route "GET /fail" { free = true } route "GET /health" { free = true }`,
    async (g) => {
      for (let i = 0; i < 6; i++)
        assert.equal((await get(g, '/fail')).status, 500);
      assert.equal((await get(g, '/health')).status, 200);
    });
    await origin.stop();
  });

  test('clients who leave do not open it', async () => {
    const origin = await startOrigin();
    let hung = 0;
    let left = 0;
    origin.handler = (one, res) => {
      if (one.url !== '/health?slow') return false;
      hung++;
      res.on('close', () => { left++; });
      return true;
    };
    await withGateway(`upstream "o" { url = "${origin.url}"
      breaker_failures = 2 breaker_open_ms = 60000 }
      route "GET /health" { free = true }`, async (g) => {
      for (let i = 0; i < 5; i++) {
        await leave(g, 'GET /health?slow HTTP/1.1\r\nHost: x\r\n\r\n',
          () => hung === i + 1);
        await until(() => left === i + 1, 'the gateway to leave as well');
      }
      assert.equal((await get(g, '/health')).status, 200);
    });
    await origin.stop();
  });

  test('is one for each origin', async () => {
    const origin = await startOrigin();
    await withGateway(`upstream "o" { url = "${origin.url}" }
      upstream "dead" { url = "http://127.0.0.1:1" breaker_failures = 1
        breaker_open_ms = 60000 }
      route "GET /dead" { free = true upstream = "dead" }
      route "GET /health" { free = true }`, async (g) => {
      assert.equal((await get(g, '/dead')).status, 502);
      assert.equal((await get(g, '/dead')).status, 503);
      assert.equal((await get(g, '/health')).status, 200);
    });
    await origin.stop();
  });
});

test('the health check takes an origin out before anybody pays for it, and ' +
  'brings it back', async () => {
  const origin = await startOrigin();
  let well = true;
  let checks = 0;
  origin.handler = (one, res) => {
    if (one.url !== '/ready') return false;
    checks++;
    res.statusCode = well ? 200 : 503;
    res.end();
    return true;
  };
  await withGateway(`upstream "o" { url = "${origin.url}"
    health_path = "/ready" health_interval_ms = 100 health_timeout_ms = 10000 }
    route "GET /paid" { price = "$0.01" }`, async (g) => {
    assert.equal((await buy(g, '/paid')).status, 200);
    await until(() => checks > 1, 'checks');
    well = false;
    await until(async () => {
      f.reset();
      const res = await buy(g, '/paid');
      // Either it is served for money, or nobody was asked for money.
      if (res.status !== 200)
        assert.equal(f.count('settle'), 0, `${res.status} ${res.text}`);
      return res.status === 503;
    }, 'the origin to be down');
    // Before, it may have gone down while the payment was looked at.
    f.reset();
    assert.equal((await buy(g, '/paid')).status, 503);
    assert.equal(f.asked.length, 0);
    well = true;
    await until(async () => (await buy(g, '/paid')).status === 200,
      'the origin to be up');
  });
  await origin.stop();
});

describe('OAuth', () => {
  let origin;
  let tokens;
  let dir;
  let secretFile;
  before(async () => {
    origin = await startOrigin();
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-oauth-'));
    secretFile = path.join(dir, 'secret');
    fs.writeFileSync(secretFile, 'hush:hush\n', { mode: 0o600 });
    tokens = { asked: [], life: 3600, answer: null };
    tokens.server = http.createServer((req, res) => {
      let body = '';
      req.on('data', (data) => { body += data; });
      req.on('end', async () => {
        tokens.asked.push({ url: req.url, method: req.method,
          headers: req.headers, body });
        if (tokens.answer?.(req, res)) return;
        await sleep(30);
        res.setHeader('content-type', 'application/json');
        res.end(JSON.stringify({ access_token: `token-${tokens.asked.length}`,
          token_type: 'Bearer', expires_in: tokens.life }));
      });
    });
    await new Promise((done) => tokens.server.listen(0, '127.0.0.1', done));
    tokens.url = `http://127.0.0.1:${tokens.server.address().port}/token`;
  });
  beforeEach(() => {
    Object.assign(tokens, { asked: [], life: 3600, answer: null });
    origin.asked = [];
    origin.handler = null;
  });
  after(async () => {
    tokens.server.closeAllConnections();
    await new Promise((done) => tokens.server.close(done));
    await origin.stop();
    fs.rmSync(dir, { recursive: true, force: true });
  });
  const conf = (more = '') => `upstream "o" { url = "${origin.url}"
    oauth { token_url = "${tokens.url}" client_id = "shop"
      client_secret_file = "${secretFile}" scope = "read write" ${more} } }
    route "GET /health" { free = true } route "GET /paid" { price = "$0.01" }`;

  test('one token is fetched, for all, and is the origin\'s alone', () =>
    withGateway(conf(), async (g) => {
      const all = await Promise.all(Array.from({ length: 30 }, () =>
        get(g, '/health', [['Authorization', 'Bearer mine']])));
      for (const res of all) {
        assert.equal(res.status, 200);
        assert.doesNotMatch(JSON.stringify(res.headers) + res.text, /token-/);
      }
      assert.equal(tokens.asked.length, 1);
      const [asked] = tokens.asked;
      assert.equal(asked.method, 'POST');
      assert.equal(asked.headers['content-type'],
        'application/x-www-form-urlencoded');
      assert.equal(asked.body,
        'grant_type=client_credentials&scope=read%20write');
      assert.equal(asked.headers.authorization, 'Basic ' +
        Buffer.from('shop:hush%3Ahush').toString('base64'));
      for (const one of origin.asked)
        assert.equal(one.headers.authorization, 'Bearer token-1');
      assert.doesNotMatch(g.log, /hush|token-1/);
      assert.doesNotMatch(fs.readFileSync(
        `/proc/${g.child.pid}/cmdline`, 'utf8'), /hush/);
    }));

  test('it is fetched anew before its end, while it serves', () => {
    tokens.life = 4;
    return withGateway(conf('early_s = 2'), async (g) => {
      assert.equal((await get(g, '/health')).status, 200);
      await until(async () => {
        assert.equal((await get(g, '/health')).status, 200);
        return tokens.asked.length === 2;
      }, 'a second token');
      await until(async () => {
        await get(g, '/health');
        return origin.asked.at(-1).headers.authorization === 'Bearer token-2';
      }, 'its use');
    });
  });

  test('a token endpoint that fails takes nobody\'s money', () => {
    tokens.answer = (req, res) => {
      res.statusCode = 401;
      res.end('{"error":"invalid_client"}');
      return true;
    };
    return withGateway(conf(), async (g) => {
      const res = await buy(g, '/paid');
      assert.equal(res.status, 502);
      assert.equal(f.count('settle'), 0);
      assert.equal((await get(g, '/health')).status, 502);
      assert.equal(origin.asked.length, 0);
      // It says no: it is not asked with every request.
      assert.equal(tokens.asked.length, 1);
      await until(() => /invalid_client/.test(g.log), 'the reason');
      assert.doesNotMatch(g.log, /hush/);
    });
  });

  for (const [what, answer] of Object.entries({
    'HTML': (req, res) => { res.end('<html>'); return true; },
    'a token with a line break': (req, res) => {
      res.end(JSON.stringify({ access_token: 'a\r\nX-Evil: 1',
        token_type: 'Bearer' }));
      return true;
    },
    'a redirect': (req, res) => {
      res.writeHead(302, { location: '/elsewhere' }).end();
      return true;
    },
    'a megabyte': (req, res) => {
      res.end('x'.repeat(1 << 20));
      return true;
    },
    'nothing': (req, res) => { res.destroy(); return true; },
  }))
    test(`a token endpoint that answers ${what} opens nothing`, () => {
      tokens.answer = answer;
      return withGateway(conf(), async (g) => {
        assert.equal((await get(g, '/health')).status, 502);
        assert.equal(origin.asked.length, 0);
        assert.ok(tokens.asked.every((one) => one.url === '/token'));
      });
    });
});

describe('crawlers that are known by their name', () => {
  const NAMED = [['User-Agent', 'NamedBot/2.1']];
  const PTR = 'PTR 1.0.0.127.in-addr.arpa';
  const TRUE = { [PTR]: ['crawl-1.bot.example'],
    'A crawl-1.bot.example': ['127.0.0.1'] };
  let origin;
  before(async () => { origin = await startOrigin(); });
  after(async () => { await origin.stop(); });

  async function named(records, body, more = '') {
    const dns = await startDns(records);
    await withGateway(`upstream "o" { url = "${origin.url}" } ${more}
      resolver = "${dns.address}" route "GET /paid" { price = "$0.01" }
      crawler "NamedBot" { policy = allow hosts = {".bot.example"} }`,
    (g) => body(g, dns));
    await dns.stop();
  }

  test('one that the DNS confirms goes free, and is asked about once', () =>
    named(TRUE, async (g, dns) => {
      const begun = Date.now();
      for (const res of await Promise.all(Array.from({ length: 10 }, () =>
        get(g, '/paid', NAMED))))
        assert.equal(res.status, 200);
      // The resolver asks again when no answer comes for a second and a half.
      assert.deepEqual(Date.now() - begun < 1500 ? dns.asked
        : [...new Set(dns.asked)], [PTR, 'A crawl-1.bot.example']);
      assert.equal((await get(g, '/paid')).status, 402);
      assert.equal(f.asked.length, 0);
    }));

  for (const [what, records] of Object.entries({ 'no name': {},
    'the name of another address': { ...TRUE,
      'A crawl-1.bot.example': ['192.0.2.1'] },
    'a name of its own': { [PTR]: ['evil.example'],
      'A evil.example': ['127.0.0.1'] } }))
    test(`one with ${what} pays`, () => named(records, async (g) => {
      const res = await get(g, '/paid', NAMED);
      assert.equal(res.status, 402);
      assert.equal(res.headers['crawler-price'], 'USD 0.01');
    }));

  test('behind a proxy of ours it is the client who is looked up', () =>
    named({ 'PTR 7.2.0.192.in-addr.arpa': ['crawl-7.bot.example'],
      'A crawl-7.bot.example': ['192.0.2.7'] }, async (g) => {
      assert.equal((await get(g, '/paid', [...NAMED,
        ['X-Forwarded-For', '192.0.2.7']])).status, 200);
      assert.equal((await get(g, '/paid', [...NAMED,
        ['X-Forwarded-For', '192.0.2.7, 198.51.100.6']])).status, 402);
    }, 'trusted_proxies = {"127.0.0.1"}'));

  test('a client who leaves while the DNS is silent is no trouble', () =>
    named(TRUE, async (g, dns) => {
      dns.silent = true;
      const asks = 'GET /paid HTTP/1.1\r\nHost: x\r\n' +
        'User-Agent: NamedBot\r\n\r\n';
      for (let i = 0; i < 5; i++)
        await leave(g, asks, () => dns.asked.length > 0);
      assert.equal((await get(g, '/paid')).status, 402);
    }));
});
