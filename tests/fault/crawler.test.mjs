// kill -9 of a crawler, and two crawlers with one budget: the short form.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {scratchDir} from '../devnet/lib.mjs';
import {PRICE, crawl, killAndResume, startWorld, writeList} from './crawler.lib.mjs';

let world;
before(async () => { world = await startWorld(); });
after(() => world?.stop());

test('crawler_killed_and_resumed_pays_each_url_once', async () => {
  const urls = 60;
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
