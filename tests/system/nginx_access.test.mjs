// Who goes free in nginx and who does not: quotas, passes of so many uses,
// crawlers by address, name and signature; and offers of every kind. Favours
// are counted once for all workers, over reloads and restarts.
//
//   node --test tests/system/nginx_access.test.mjs

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';

import { signed, startDirectory, startNames } from './crawler.lib.mjs';
import {
  metrics, payments, sleep, startNginx, startOrigin, testConfig, until,
} from './nginx.lib.mjs';
import {
  PAYEE, PAYER, challenge, decode, pay, paying, raw, request, settled,
  startFacilitator,
} from './provider.lib.mjs';

const SECRET = 'The guest was late';
const SOLANA = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
const KEY58 = 'AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9';
const bot = (name) => ({ headers: [['User-Agent', `${name}/1.0`]] });
const id = () => crypto.randomBytes(12).toString('hex');

describe('who goes free in nginx', () => {
  let f;
  let nginx;
  let logBegins; // where this test's lines begin
  let directory;
  let names;
  let origin;

  before(async () => {
    f = await startFacilitator();
    directory = await startDirectory();
    names = await startNames();
    origin = await startOrigin();
    nginx = await startNginx(`
  x402_state DIR/x402.state payments=4096;
  x402_facilitator_url ${f.url}; x402_network eip155:84532;
  x402_pay_to ${PAYEE}; x402_public_origin http://127.0.0.1:PORT;
  x402_price $0.01; resolver ${names.address} ipv6=off valid=1s;
  resolver_timeout 300ms;
  map $arg_old $old { default ""; yes 0.01usd; no nonsense; }
  map $arg_now $now { default 0.01usd; dear 0.07usd; }
  server { listen 127.0.0.1:PORT; root DIR/html;
    set_real_ip_from 127.0.0.1; real_ip_header X-Real-IP;
    location = /x402-status { x402_status; }
    location /quota/ { x402 on; x402_free_per_day 3; alias DIR/html/; }
    location /shadow/ { x402 on; x402_shadow on; x402_free_per_day 1;
      alias DIR/html/; }
    location /uses/ { x402 on; x402_pass 1h uses=3; alias DIR/html/; }
    location /site/ { x402 on; x402_pass 1h uses=2 scope=site;
      alias DIR/html/; }
    location /site-too/ { x402 on; x402_pass 1h uses=2 scope=site;
      alias DIR/html/; }
    location /via/ { x402 on; x402_pass 1h uses=2;
      try_files /none @uses; }
    location @uses { x402 on; x402_pass 1h uses=2;
      rewrite ^ /a.html break; }
    location /bots/ { x402 on; alias DIR/html/;
      x402_crawler SignedBot allow directory=${directory.origin};
      x402_crawler PlaceBot allow network=192.0.2.0/24 network=2001:db8::/32;
      x402_crawler NamedBot allow host=.bot.example host=.bot.test;
      x402_crawler PayBot charge network=0.0.0.0/0;
      x402_crawler RudeBot block; }
    location /people/ { x402 on; x402_crawlers_only on; alias DIR/html/;
      x402_crawler PlaceBot allow network=192.0.2.0/24; }
    location /named/ { x402 on; x402_payment_identifier required;
      alias DIR/html/; }
    location /priced/ { x402 on; x402_price $now; x402_old_price $old;
      alias DIR/html/; }
    location /proxied/ { x402 on; x402_free_per_day 1;
      proxy_pass ${origin.url}; }
  }`, { files: { 'a.html': SECRET, 'b.html': SECRET } });
  });
  beforeEach(() => {
    f.reset();
    logBegins = nginx.access().length;
    names.asked = [];
    names.zone = {};
    names.silent = false;
    origin.handler = (req, res) => res.end(SECRET);
  });
  after(async () => {
    const ended = await nginx.stop();
    for (const one of [f, directory, names, origin]) await one.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, nginx.log);
    assert.doesNotMatch(nginx.log, /ERROR|runtime error/);
    assert.deepEqual(nginx.errors().split('\n').filter((line) =>
      /\[(alert|emerg|crit)\]/.test(line)), []);
  });

  const buy = async (target, options = {}) => request(nginx, target,
    { headers: [...paying(pay(await challenge(nginx, target, options))),
      ...options.headers ?? []] });
  const from = (address) => ({ headers: [['X-Real-IP', address]] });
  const open = (res, what) => {
    assert.equal(res.status, 200, what);
    assert.match(res.text, new RegExp(SECRET), what);
    assert.match(res.headers['cache-control'], /private/, what);
  };
  const shut = (res, what) => {
    assert.ok(res.status >= 400, `${what}: ${res.status}`);
    assert.doesNotMatch(res.text, new RegExp(SECRET), what);
  };
  // The newest line that says so, of a test's own: who has hung up, or another
  // worker, may write one behind it.
  const logged = async (state) => {
    const find = () => nginx.access().slice(logBegins).trim().split('\n')
      .findLast((line) => /\[([^\]]*)\] \[[^\]]*\] \[[^\]]*\] \[[^\]]*\]$/
        .exec(line)?.[1] === state);
    await until(find, `${state} in the log`);
    return find();
  };

  test('so many requests a day, in all workers and locations together',
    async () => {
      const at = from('198.51.100.1');
      const all = await Promise.all(Array.from({ length: 12 }, () =>
        request(nginx, '/quota/a.html', at)));
      assert.equal(all.filter((r) => r.status === 200).length, 3);
      assert.equal(all.filter((r) => r.status === 402).length, 9);
      await nginx.reload();
      shut(await request(nginx, '/quota/b.html', at), 'after a reload');
      await nginx.killAll();
      await nginx.start();
      shut(await request(nginx, '/quota/a.html', at), 'after a restart');
      shut(await request(nginx, '/proxied/a', at), 'in the next location');
      open(await request(nginx, '/quota/a.html', from('198.51.100.2')));
      await logged('quota');
      open(await request(nginx, '/proxied/a', from('198.51.100.3')));
      assert.equal(f.asked.length, 0);
      assert.equal((await metrics(nginx)).quota, 5);
      assert.equal((await buy('/quota/a.html', at)).status, 200);
    });

  test('a shadow says who would go free', async () => {
    const at = from('198.51.100.9');
    assert.equal((await request(nginx, '/shadow/a.html', at)).status, 200);
    await logged('shadow_free');
    assert.equal((await request(nginx, '/shadow/a.html', at)).status, 200);
    await logged('shadow_unpaid');
  });

  test('a pass is good for so many uses, in all workers together', async () => {
    const paid = await buy('/uses/a.html');
    const pass = [['X402-Pass', paid.headers['x402-pass']]];
    assert.equal(paid.status, 200);
    const all = await Promise.all(Array.from({ length: 9 }, () =>
      request(nginx, '/uses/a.html', { headers: pass })));
    assert.equal(all.filter((r) => r.status === 200).length, 3);
    shut(await request(nginx, '/uses/b.html', { headers: pass }), 'other');
    await nginx.killAll();
    await nginx.start();
    shut(await request(nginx, '/uses/a.html', { headers: pass }),
      'after a restart');
    assert.equal(f.count('settle'), 1);
  });

  test('a pass of the site opens what gives such passes', async () => {
    const pass = [['X402-Pass',
      (await buy('/site/a.html')).headers['x402-pass']]];
    shut(await request(nginx, '/uses/a.html', { headers: pass }), 'path');
    open(await request(nginx, '/site-too/b.html', { headers: pass }));
    open(await request(nginx, '/site/b.html', { headers: pass }));
    shut(await request(nginx, '/site/a.html', { headers: pass }), 'used up');
  });

  test('one request is one use, wherever nginx leads it', async () => {
    const pass = [['X402-Pass',
      (await buy('/via/x')).headers['x402-pass']]];
    open(await request(nginx, '/via/x', { headers: pass }), 'first');
    open(await request(nginx, '/via/x', { headers: pass }), 'second');
    shut(await request(nginx, '/via/x', { headers: pass }), 'third');
  });

  test('a crawler that signs goes free, and its proof is good once',
    async () => {
      const proof = { headers: signed(directory, `127.0.0.1:${nginx.port}`) };
      const all = await Promise.all(Array.from({ length: 8 }, () =>
        request(nginx, '/bots/a.html', proof)));
      assert.equal(all.filter((r) => r.status === 200).length, 1);
      assert.equal((await metrics(nginx)).crawler, 1);
      await nginx.reload();
      shut(await request(nginx, '/bots/a.html', proof), 'again');
      const stranger = crypto.generateKeyPairSync('ed25519').privateKey;
      shut(await request(nginx, '/bots/a.html', { headers: signed(directory,
        `127.0.0.1:${nginx.port}`, { key: stranger }) }), 'stranger');
      shut(await request(nginx, '/bots/a.html', { headers: signed(directory,
        'other.test') }), 'for another site');
      assert.equal(f.asked.length, 0);
    });

  test('crawlers by address, and who says to be one', async () => {
    const placed = (address) => ({ headers: [
      ['User-Agent', 'PlaceBot'], ['X-Real-IP', address]] });
    open(await request(nginx, '/bots/a.html', placed('192.0.2.77')));
    open(await request(nginx, '/bots/a.html', placed('2001:db8::7')));
    shut(await request(nginx, '/bots/a.html', placed('192.0.3.1')), 'place');
    shut(await request(nginx, '/bots/a.html', placed('2001:db9::1')), 'six');
    shut(await request(nginx, '/bots/a.html', bot('PayBot')), 'charged');
    const rude = await request(nginx, '/bots/a.html', bot('RudeBot'));
    assert.equal(rude.status, 403);
    assert.equal(rude.headers['crawler-error'], 'CrawlerForbidden');
    assert.equal((await request(nginx, '/bots/a.html', { headers: [
      ...bot('RudeBot').headers,
      ...paying(pay(await challenge(nginx, '/bots/a.html')))] })).status, 403);
    assert.equal(f.asked.length, 0, 'nor is its money taken');
    const priced = await request(nginx, '/bots/a.html', bot('PayBot'));
    assert.equal(priced.headers['crawler-price'], 'USD 0.01');
    const paid = await buy('/bots/a.html', bot('PayBot'));
    assert.equal(paid.status, 200);
    assert.equal(paid.headers['crawler-charged'], 'USD 0.01');
  });

  test('crawlers by a name that is confirmed forward', async () => {
    const zone = (host, address) => ({
      'PTR 1.0.0.127.in-addr.arpa': host, [`A ${host}`]: address });
    const ask = async () => {
      await sleep(2100); // what the resolver remembers
      return request(nginx, '/bots/a.html', bot('NamedBot'));
    };
    names.zone = zone('crawl-1.bot.example', ['192.0.2.1', '127.0.0.1']);
    const first = await ask();
    open(first, 'confirmed');
    await logged('crawler');
    names.asked = [];
    names.zone = zone('crawl-1.bot.example', '192.0.2.1');
    shut(await ask(), 'the name has another address');
    assert.ok(names.asked.includes('A crawl-1.bot.example'));
    names.zone = zone('notbot.example', '127.0.0.1');
    shut(await ask(), 'a name that ends alike');
    names.zone = {};
    shut(await ask(), 'no name');
    names.silent = true;
    const begun = Date.now();
    shut(await ask(), 'nobody answers');
    assert.ok(Date.now() - begun < 30000);
    // Nobody is looked up who need not be.
    names.asked = [];
    await request(nginx, '/bots/a.html', bot('Mozilla'));
    await buy('/bots/a.html', bot('PayBot'));
    assert.deepEqual(names.asked, []);
  });

  test('who hangs up while its name is looked up leaves nothing behind',
    async () => {
      names.silent = true;
      await sleep(2100);
      await new Promise((done) => {
        const socket = net.connect(nginx.port, '127.0.0.1', () => {
          socket.write('GET /bots/a.html HTTP/1.1\r\nHost: x\r\n' +
            'User-Agent: NamedBot\r\n\r\n');
          setTimeout(() => { socket.destroy(); done(); }, 100);
        });
      });
      await sleep(600);
      assert.equal((await request(nginx, '/quota/a.html',
        from('198.51.100.77'))).status, 200);
    });

  test('people go free where only crawlers pay', async () => {
    open(await request(nginx, '/people/a.html', { headers:
      [['User-Agent', 'Mozilla/5.0 (X11)']] }));
    await logged('person');
    shut(await request(nginx, '/people/a.html', bot('SomeBot')), 'bot');
    shut(await request(nginx, '/people/a.html', { headers:
      [['User-Agent', 'curl/8.0']] }), 'curl');
    assert.equal((await buy('/people/a.html', bot('SomeBot'))).status, 200);
  });

  test('a purchase has its name, in all workers', async () => {
    const required = await challenge(nginx, '/named/a.html');
    assert.ok(required.extensions['payment-identifier']);
    const named = (name) => {
      const payment = decode(pay(required));
      payment.extensions = { 'payment-identifier': { ...required
        .extensions['payment-identifier'], info: { ...required
        .extensions['payment-identifier'].info, id: name } } };
      return paying(Buffer.from(JSON.stringify(payment)).toString('base64'));
    };
    const nameless = await request(nginx, '/named/a.html',
      { headers: paying(pay({ ...required, extensions: undefined })) });
    shut(nameless, 'nameless');
    const name = id();
    assert.equal((await request(nginx, '/named/a.html',
      { headers: named(name) })).status, 200);
    const codes = [];
    for (let i = 0; i < 6; i++)
      codes.push((await request(nginx, '/named/a.html',
        { headers: named(name) })).status);
    assert.deepEqual(codes, Array(6).fill(409));
    assert.equal(f.count('settle'), 1);
  });

  test('an old price is taken where it is said, and nobody is told it',
    async () => {
      const cheap = { ...await challenge(nginx, '/priced/a.html'),
        resource: undefined };
      const sold = (query) => request(nginx, `/priced/a.html?${query}`,
        { headers: paying(pay(cheap)) });
      const dear = await challenge(nginx, '/priced/a.html?now=dear&old=yes');
      assert.equal(dear.accepts.length, 1);
      assert.equal(dear.accepts[0].amount, '70000');
      shut(await sold('now=dear'), 'without');
      shut(await sold('now=dear&old=no'), 'nonsense');
      assert.equal(f.asked.length, 0);
      const res = await sold('now=dear&old=yes');
      assert.equal(res.status, 200);
      assert.equal(f.asked[1].body.paymentRequirements.amount, '10000');
      assert.match(await logged('delivered'), /\[10000\]$/);
    });

  test('what was paid is owed when the price has changed since', async () => {
    const target = '/priced/b.html';
    const payment = pay(await challenge(nginx, target));
    f.settle = (body, req, res) => { res.socket.destroy(); };
    shut(await request(nginx, target, { headers: paying(payment) }), 'cut');
    await until(async () => (await payments(nginx)).some((p) =>
      p.state === 'unknown' && !p.busy), 'the entry');
    f.settle = () => settled();
    f.asked = [];
    const conf = `${nginx.dir}/nginx.conf`;
    fs.writeFileSync(conf, fs.readFileSync(conf, 'utf8').replace('default 0.01usd; dear', 
      'default 0.05usd; dear'));
    const old = await nginx.reload();
    await nginx.drained(old);
    assert.equal((await challenge(nginx, target)).accepts[0].amount, '50000');
    const res = await request(nginx, target, { headers: paying(payment) });
    assert.equal(res.status, 200, res.text);
    assert.deepEqual(f.asked.map((a) => a.what), ['settle']);
    assert.equal(f.asked[0].body.paymentRequirements.amount, '10000');
  });
});

test('offers on several networks, and on Solana', async () => {
  const nginx = await startNginx(`x402_state DIR/s payments=64;
    x402_pay_to ${PAYEE}; x402_network base-sepolia; x402_price $0.01;
    server { listen 127.0.0.1:PORT; server_name shop.test;
      location /all { x402 on;
        x402_also ${SOLANA} pay_to=${KEY58} signer=${KEY58};
        x402_also eip155:8453;
        x402_also eip155:137 asset=${PAYER} name=Coin version=3 decimals=18; }
      location /sol { x402 on; x402_network ${SOLANA};
        x402_pay_to ${KEY58}; x402_facilitator_signer ${KEY58}; }
      location /atomic { x402 on; x402_network ${SOLANA};
        x402_pay_to ${KEY58}; x402_facilitator_signer ${KEY58};
        x402_price 77atomic; }
      location /own { x402 on; x402_asset ${PAYER} name=Coin version=1;
        x402_price 5atomic;
        location /own/other { x402 on; x402_network eip155:8453; } }
      location /upto { x402 on; x402_scheme upto; x402_v1 off;
        x402_facilitator_signer ${PAYER}; }
    }`);
  const { accepts } = await challenge(nginx, '/all');
  assert.deepEqual(accepts.map((a) => [a.network, a.amount, a.payTo]), [
    ['eip155:84532', '10000', PAYEE], [SOLANA, '10000', KEY58],
    ['eip155:8453', '10000', PAYEE],
    ['eip155:137', '10000000000000000', PAYEE]]);
  assert.deepEqual(accepts[1].extra, { feePayer: KEY58 });
  assert.deepEqual(accepts[3].extra, { name: 'Coin', version: '3' });
  assert.equal((await challenge(nginx, '/sol')).accepts[0].asset,
    '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU');
  const [atomic] = (await challenge(nginx, '/atomic')).accepts;
  assert.equal(atomic.amount, '77');
  assert.equal(atomic.extra.feePayer, KEY58);
  // An asset is one of its network.
  assert.equal((await challenge(nginx, '/own')).accepts[0].asset, PAYER);
  assert.equal((await challenge(nginx, '/own/other')).accepts[0].asset,
    '0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913');
  const [upto] = (await challenge(nginx, '/upto')).accepts;
  assert.equal(upto.scheme, 'upto');
  assert.equal(upto.extra.facilitatorAddress, PAYER);
  // A payment for one network's terms is none for another's.
  const required = await challenge(nginx, '/all');
  const res = await request(nginx, '/all', { headers: paying(pay({
    ...required, accepts: [{ ...accepts[0], network: 'eip155:1' }] })) });
  assert.equal(res.status, 402);
  await nginx.stop();
});

test('the price list is written from the locations that sell', async () => {
  const nginx = await startNginx(`x402_state DIR/s payments=64;
    x402_pay_to ${PAYEE}; x402_network base-sepolia; x402_price $0.01;
    map $arg_p $price { default 0.01usd; }
    server { listen 127.0.0.1:PORT; server_name shop.test;
      location = /.well-known/x402 { x402_document well-known; }
      location = /openapi.json { x402_document openapi; }
      location = /robots.txt { x402_document robots; }
      location /free/ { }
      location /articles/ { x402 on; x402_description "An article";
        x402_crawler RudeBot block; x402_crawler NiceBot charge;
        location /articles/dear/ { x402 on; x402_price $0.5; } }
      location = /one { x402 on; x402_price 77atomic; }
      location /dynamic/ { x402 on; x402_price $price; }
      location /elsewhere/ { x402 on; x402_pay_to $arg_to; }
      location ~ \\.pdf$ { x402 on; }
      location /drafts/ { x402 on; x402_shadow on; }
      location /inside/ { internal; x402 on; }
    }
    server { listen 127.0.0.1:PORT; server_name other.test;
      location = /openapi.json { x402_document openapi; }
      location /cheap/ { x402 on; x402_price $0.001; } }
    server { listen 127.0.0.1:PORT; server_name none.test;
      location = /openapi.json { x402_document openapi; }
      location = /robots.txt { x402_document robots; } }`);
  const get = async (target, host = 'shop.test') => (await raw(nginx,
    `GET ${target} HTTP/1.0\r\nHost: ${host}\r\n\r\n`))
    .split('\r\n\r\n')[1];
  const { paths } = JSON.parse(await get('/openapi.json'));
  assert.deepEqual(Object.keys(paths).sort(), ['/articles/*',
    '/articles/dear/*', '/dynamic/*', '/elsewhere/*', '/one']);
  const info = (path) => paths[path].get['x-payment-info'];
  assert.equal(paths['/articles/*'].get.summary, 'An article');
  assert.equal(info('/articles/*').price, '0.01');
  assert.equal(info('/articles/dear/*').price, '0.5');
  assert.equal(info('/articles/*').accepts[0].payTo, PAYEE);
  assert.equal(info('/one').accepts[0].amount, '77');
  for (const path of ['/dynamic/*', '/elsewhere/*']) {
    assert.equal(info(path).pricingMode, 'dynamic');
    assert.equal(info(path).accepts, undefined);
  }
  // What it says is what is asked for.
  assert.deepEqual((await challenge(nginx, '/articles/a')).accepts,
    info('/articles/*').accepts);
  const list = JSON.parse(await get('/.well-known/x402'));
  assert.equal(list.resources.length, 5);
  assert.ok(list.resources.every((r) =>
    r.url.startsWith(`http://shop.test:${nginx.port}/`)));
  const robots = await get('/robots.txt');
  assert.match(robots, /User-agent: RudeBot\nDisallow: \/articles\//);
  assert.doesNotMatch(robots, /NiceBot/);
  // Each server its own, and one with nothing an empty one.
  assert.deepEqual(Object.keys(JSON.parse(
    await get('/openapi.json', 'other.test')).paths), ['/cheap/*']);
  assert.deepEqual(JSON.parse(await get('/openapi.json', 'none.test')).paths,
    {});
  assert.match(await get('/robots.txt', 'none.test'), /Allow: \//);
  const post = await request(nginx, '/openapi.json', { method: 'POST' });
  assert.equal(post.status, 405);
  await nginx.stop();
});

test('what cannot be sold so is refused with what was expected', () => {
  const base = `x402_network base-sepolia; x402_pay_to ${PAYEE};
    x402_public_origin http://a.test; x402_price $0.01; x402 on; `;
  const at = (inside) => testConfig(
    `server { listen 127.0.0.1:1; location / { ${base} ${inside} } }`);
  assert.equal(at('x402_free_per_day 5; x402_pass 1h uses=2;'), 'ok');
  assert.equal(at('x402_old_price 0.02usd until=2031-01-01T00:00:00Z;'), 'ok');
  assert.equal(at('resolver 127.0.0.1:53; x402_crawler Abot allow host=.a.b;'),
    'ok');
  assert.equal(at(`x402_holder http://127.0.0.1:8545 ${PAYER} min=5
    price=$0.001; x402_rpc base http://127.0.0.1:8545;`), 'ok');
  for (const [inside, words] of [
    [`x402_also ${SOLANA} pay_to=${KEY58};`, /x402_facilitator_signer/],
    ['x402_scheme upto;', /x402_facilitator_signer/],
    [`x402_scheme upto; x402_facilitator_signer ${PAYER};
      x402_settle before;`, /unsupported_payment_flow/],
    ['x402_also mars;', /network/],
    ['x402_also eip155:8453 colour=red;', /expected a network/],
    [`x402_also eip155:8453 name=Coin version=1;`, /expected asset=/],
    ['x402_also eip155:999999;', /prices\[1\]/],
    ['x402_old_price cheap;', /expected \$0.01/],
    ['x402_old_price $1 until=tomorrow;', /expected until=/],
    ['x402_old_price $1 until=2026-11-22T10:00:00Zjunk;', /expected until=/],
    ['x402_pass 1h uses=0;', /above 0/],
    ['x402_pass soon;', /expected a time/],
    ['x402_pass 1h scope=moon;', /scope=/],
    ['x402_pass 0 uses=3;', /a pass ends/],
    ['x402_crawler Bot maybe;', /allow, charge or block/],
    ['x402_crawler Bot allow;', /networks, hosts or directory/],
    ['x402_crawler Bot allow network=1.2.3.4.5;', /192.0.2.0/],
    ['x402_crawler Bot allow host=.a.b;', /needs a "resolver"/],
    ['resolver 127.0.0.1; x402_crawler Bot allow host=a.b;', /googlebot/],
    ['x402_crawler Bot allow directory=ftp://a;', /directory/],
    ['x402_crawler Bot allow colour=red;', /directory=/],
    ['x402_holder nowhere 0x12;', /holders/],
    [`x402_holder http://a.test ${PAYER} 5;`, /min=N/],
    [`x402_holder http://a.test ${PAYER} price=cheap;`, /price=: expected/],
    ['x402_rpc mars http://a.test;', /rpcs/],
    ['x402_rpc base nowhere;', /rpcs/],
    [`x402_holder http://a.test ${PAYER} min=0;`, /min above 0/],
    ['x402_payment_identifier maybe;', /invalid value/],
    ['x402_scheme never;', /invalid value/],
    ['x402_free_per_day -1;', /invalid number/],
    ['x402_document menu;', /well-known or robots/],
  ])
    assert.match(at(inside), words, inside);
  assert.match(testConfig(`server { listen 127.0.0.1:1; location / { x402 on;
    x402_network ${SOLANA}; x402_pay_to ${KEY58}; x402_price $1;
    x402_facilitator_signer ${KEY58}; x402_public_origin http://a.test;
    x402_holder http://a.test ${PAYER}; } }`), /expected a network of EVM/);
  assert.match(testConfig(`server { listen 127.0.0.1:1; location / { x402 on;
    x402_network base; x402_pay_to ${PAYEE}; x402_price 5atomic;
    x402_also eip155:84532; x402_public_origin http://a.test; } }`),
  /expected x402_price in dollars/);
});
