// kill -9 of a crawler, and two crawlers with one budget: the short form.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {scratchDir} from '../devnet/lib.mjs';
import {PRICE, crawl, killAndResume, startWorld, writeList} from './crawler.lib.mjs';

let world;
// A block a second: a kill meets payments on their way, on a fast machine too.
before(async () => { world = await startWorld({blockTime: 1}); });
after(() => world?.stop());

test('crawler_killed_and_resumed_pays_each_url_once', async () => {
  const urls = 120;
  const result = await killAndResume(world, {urls, kills: 8, seed: 402});
  assert.ok(result.alive >= 4, `only ${result.alive} kills met it alive`);
  assert.equal(result.paid, result.delivered + result.undelivered, JSON.stringify(result));
  assert.equal(result.unknown, 0, JSON.stringify(result));
  // Each URL was paid once; what is not there was paid and lost on the way.
  assert.equal(result.urls, urls);
  assert.equal(result.paid, urls);
  assert.equal(result.files, result.delivered, JSON.stringify(result));
});

test('crawler_two_with_one_budget_never_exceed_it', async () => {
  const {payee} = world.devnet.info.accounts;
  const other = {...world, dir: scratchDir('x402-crawler-')};
  const start = await world.devnet.balanceOf(payee.address);
  const [a, b] = await Promise.all([
    crawl(other, writeList(other, 'list-a', 40, 10000), 'a', '0.25'),
    crawl(other, writeList(other, 'list-b', 40, 20000), 'b', '0.25'),
  ]);
  const moved = await world.devnet.balanceOf(payee.address) - start;
  assert.equal(moved, 25n * PRICE, 'the budget of 25 pages');
  assert.equal(a.paid + b.paid, 25);
  assert.equal(a.overBudget + b.overBudget, 55);
  assert.equal(a.code, 3);
});

test('crawler_low_balance_pauses_paying', async () => {
  const poor = {...world, dir: scratchDir('x402-crawler-')};
  const list = writeList(poor, 'list', 5, 30000);
  const {payee, payer} = world.devnet.info.accounts;
  const start = await world.devnet.balanceOf(payee.address);
  const below = await world.devnet.balanceOf(payer.address) + 1n;
  const extra = ['-e', '-w', String(below)];
  const paused = await crawl(poor, list, 'out', '1', extra);
  assert.equal(await world.devnet.balanceOf(payee.address), start);
  assert.equal(paused.failed, 5);
  const events = paused.events.map((line) => line.event);
  assert.equal(events.filter((event) => event === 'low_balance').length, 1, events.join());
  assert.ok(events.includes('paying_paused'));
  assert.equal(paused.events.filter((line) => line.cause === 'paying_paused').length, 5);
  // At the threshold it goes on.
  const paid = await crawl(poor, list, 'out', '1', ['-e', '-w', String(below - 1n)]);
  assert.equal(paid.paid, 5);
  assert.equal(await world.devnet.balanceOf(payee.address) - start, 5n * PRICE);
  const done = paid.events.filter((line) => line.event === 'payment_done');
  assert.equal(done.length, 5);
  assert.ok(done.every((line) => line.outcome === 'paid' && line.transaction && line.url.includes('?n=')));
  assert.ok(!paid.output.includes(Buffer.from('"signature"').toString('base64').slice(0, 12)));
});

test('crawler_host_that_fails_is_left_alone', async () => {
  const down = {...world, dir: scratchDir('x402-crawler-')};
  const {writeFileSync} = await import('node:fs');
  const {createServer} = await import('node:http');
  let asked = 0;
  const server = createServer((req, res) => {
    asked++;
    res.writeHead(req.url === '/robots.txt' ? 404 : 500);
    res.end();
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const list = `${down.dir}/list`;
  writeFileSync(list, Array.from({length: 200}, (_, i) => `http://127.0.0.1:${server.address().port}/${i}\n`).join(''));
  const result = await crawl(down, list, 'out', '1', ['-e', '-n', '1']);
  server.closeAllConnections();
  server.close();
  assert.equal(result.failed, 200);
  assert.ok(asked < 20, `asked ${asked} times`);
  assert.ok(result.events.some((line) => line.event === 'circuit_opened'));
});
