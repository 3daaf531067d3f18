// The catalogue against strangers: what a payment proved, a post cannot change.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';

let devnet;
let info;
let daemon;

const bazaar = { info: { input: { type: 'http', method: 'GET' } }, schema: { type: 'object' } };
const url = 'https://shop.example/report';
const list = query => f.request(`${daemon.url}/discovery/resources${query}`);

before(async () => {
  devnet = await startDevnet({});
  info = devnet.info;
  daemon = await f.startFacilitator({ env: f.facilitatorEnv(info) });
});

after(async () => {
  await daemon?.stop('SIGQUIT');
  await devnet?.stop();
});

const post = payTo => f.post(`${daemon.url}/discovery/resources`, {
  x402Version: 2, resource: { url }, extensions: { bazaar },
  accepts: [{ ...f.parts(info).requirements, payTo }] });

async function settle() {
  const p = f.parts(info);
  p.resource.url = url;
  p.extensions = { bazaar };
  const answer = await f.post(`${daemon.url}/settle`, await f.body(p));
  assert.equal(answer.json.success, true, answer.text);
}

const stranger = '0x00000000000000000000000000000000DeaDBeef';

test('a post is listed as unproven and may be posted again', async () => {
  assert.equal((await post(stranger)).status, 201);
  assert.equal((await post(stranger)).status, 200);
  const [item] = (await list('')).json.items;
  assert.equal(item.metadata.settled, false);
  assert.equal(item.accepts[0].payTo, stranger);
});

test('what would not fit is refused, and says how much does', async () => {
  const refused = await f.post(`${daemon.url}/discovery/resources`, {
    x402Version: 2, resource: { url: `${url}/large` }, extensions: { bazaar },
    accepts: [{ ...f.parts(info).requirements, payTo: stranger,
      extra: { ...f.parts(info).requirements.extra, note: 'x'.repeat(40000) } }] });
  assert.equal(refused.status, 400, refused.text);
  assert.match(refused.json.error, /at most 32768 bytes/);
  assert.equal((await list('')).json.pagination.total, 1);
});

test('a settled payment takes the listing over and proves it', async () => {
  await settle();
  const { json } = await list('');
  assert.equal(json.pagination.total, 1);
  assert.equal(json.items[0].metadata.settled, true);
  assert.equal(json.items[0].accepts[0].payTo, info.accounts.payee.address);
});

test('a stranger cannot send the buyers of a proven listing elsewhere', async () => {
  const first = (await list('')).text;
  assert.equal((await post(stranger)).status, 200);
  assert.equal((await list('')).text, first);
  assert.equal((await list(`?payTo=${stranger}`)).json.pagination.total, 0);
  assert.equal((await list(`?payTo=${info.accounts.payee.address}`)).json.pagination.total, 1);
});
