// Crawlers that are known by their name (demands.md 42): the DNS of the test
// says what names addresses have, and the site on the project's own server asks
// it.
//
//   node --test tests/system/crawler_names.test.mjs

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startDns } from './dns.lib.mjs';
import { ARTICLE, SECRET, challenge, pay, paying, request, startFacilitator,
  startSite } from './provider.lib.mjs';

const PTR = 'PTR 1.0.0.127.in-addr.arpa';
const NAMED = [['User-Agent', 'Mozilla/5.0 (compatible; NamedBot/2.1)']];
const TRUE = { [PTR]: ['crawl-1.bot.example'],
  'A crawl-1.bot.example': ['127.0.0.1'] };

// What the resolver of a name server waits for an answer, before it asks again.
const ASKED_AGAIN_MS = 1500;

let f;
before(async () => { f = await startFacilitator(); });
after(async () => { await f.stop(); });

async function withSite(records, body) {
  const dns = await startDns(records);
  const site = await startSite('content-site', { FACILITATOR_URL: f.url,
    X402_CRAWLER_HOST: '.bot.example', X402_RESOLVER: dns.address });
  f.reset();
  try {
    await body(site, dns);
  } finally {
    const ended = await site.stop();
    await dns.stop();
    assert.deepEqual(ended, { code: 0, signal: null }, site.log);
    assert.doesNotMatch(site.log, /ERROR|runtime error/);
  }
}

test('a crawler whose name is confirmed reads, and is asked about once',
  () => withSite(TRUE, async (site, dns) => {
    const begun = Date.now();
    const all = await Promise.all(Array.from({ length: 20 }, () =>
      request(site, ARTICLE, { headers: NAMED })));
    const soon = Date.now() - begun < ASKED_AGAIN_MS;
    for (const res of all) {
      assert.equal(res.status, 200);
      assert.match(res.text, new RegExp(SECRET));
    }
    const asked = dns.asked.length;
    assert.deepEqual(soon ? dns.asked : [...new Set(dns.asked)],
      [PTR, 'A crawl-1.bot.example']);
    assert.equal(f.asked.length, 0);
    // What is paid for is not looked up, nor is anybody else.
    for (const agent of ['Mozilla/5.0', 'OtherBot', 'curl/8'])
      assert.equal((await request(site, ARTICLE,
        { headers: [['User-Agent', agent]] })).status, 402);
    assert.equal(dns.asked.length, asked);
  }));

for (const [what, records] of Object.entries({
  'no name at all': {},
  'a name that has another address': { ...TRUE,
    'A crawl-1.bot.example': ['192.0.2.1'] },
  'a name that does not exist': { [PTR]: ['crawl-1.bot.example'] },
  'a confirmed name of somebody else': { [PTR]: ['evil.example'],
    'A evil.example': ['127.0.0.1'] },
  'a name that only looks like it': { [PTR]: ['evilbot.example'],
    'A evilbot.example': ['127.0.0.1'] },
  'its name in front of another': { [PTR]: ['a.bot.example.evil.example'],
    'A a.bot.example.evil.example': ['127.0.0.1'] },
}))
  test(`a crawler with ${what} pays`, () =>
    withSite(records, async (site) => {
      const res = await request(site, ARTICLE, { headers: NAMED });
      assert.equal(res.status, 402);
      assert.equal(res.headers['crawler-price'], 'USD 0.01');
      assert.doesNotMatch(res.text, new RegExp(SECRET));
    }));

test('a name server that is silent opens nothing, and holds up nobody else',
  () => withSite(TRUE, async (site, dns) => {
    dns.silent = true;
    let told = false;
    const begun = Date.now();
    const waiting = request(site, ARTICLE, { headers: NAMED })
      .then((res) => { told = true; return res; });
    // People, and who pays, do not wait for it.
    assert.equal((await request(site, '/health')).status, 200);
    const paid = await request(site, ARTICLE, { headers: [...NAMED,
      ...paying(pay(await challenge(site, ARTICLE)))] });
    assert.equal(paid.status, 200);
    // On a machine so slow it has given up by now.
    if (Date.now() - begun < ASKED_AGAIN_MS) assert.equal(told, false);
    assert.equal((await waiting).status, 402);
    assert.equal(f.count('settle'), 1);
  }));

test('a site that stops while it asks answers first', async () => {
  const dns = await startDns({});
  dns.silent = true;
  const site = await startSite('content-site', { FACILITATOR_URL: f.url,
    X402_CRAWLER_HOST: '.bot.example', X402_RESOLVER: dns.address });
  const waiting = request(site, ARTICLE, { headers: NAMED });
  for (let i = 0; i < 6000 && !dns.asked.length; i++)
    await new Promise((done) => setTimeout(done, 5));
  const ended = site.stop();
  assert.equal((await waiting).status, 402);
  assert.deepEqual(await ended, { code: 0, signal: null }, site.log);
  await dns.stop();
});
