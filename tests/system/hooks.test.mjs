// Web hooks of a real daemon: signed, at least once, also across kill -9. The
// receivers check signatures with the example of docs/facilitator.md.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';

const SECRET = 'a-secret-of-the-shop-0123456789';
const dir = f.temporaryDirectory();

// The example that users copy.
const manual = readFileSync(new URL('../../docs/facilitator.md', import.meta.url), 'utf8');
const example = /```js\n(import [^`]*?export function verify\([\s\S]*?)```/.exec(manual)[1];
writeFileSync(path.join(dir, 'verify.mjs'), example);
const { verify } = await import(pathToFileURL(path.join(dir, 'verify.mjs')).href);

const until = async (what, check) => {
  for (let i = 0; i < 600; i++) {
    const seen = await check();
    if (seen) return seen;
    await f.sleep(50);
  }
  throw new Error(`waited in vain for ${what}`);
};

// Keeps what it is sent; reply(request) answers it. While it is down it hears
// nothing; its port stays its own.
async function startReceiver() {
  const receiver = { seen: [], reply: () => 204, down: false };
  receiver.server = http.createServer((req, res) => {
    if (receiver.down)
      return req.socket.destroy();
    const parts = [];
    req.on('data', part => parts.push(part));
    req.on('end', () => {
      const one = { headers: req.headers, url: req.url, method: req.method,
        body: Buffer.concat(parts) };
      receiver.seen.push(one);
      const status = receiver.reply(one);
      res.writeHead(status, status === 307 ? { location: '/elsewhere' } : {});
      res.end();
    });
    return undefined;
  });
  await new Promise(done => receiver.server.listen(0, '127.0.0.1', done));
  receiver.url = `http://127.0.0.1:${receiver.server.address().port}/hook?token=x`;
  receiver.stop = () => new Promise(done => {
    receiver.server.closeAllConnections();
    receiver.server.close(done);
  });
  return receiver;
}

describe('web hooks', () => {
  let devnet;
  let shop;
  let ends;
  let count = 0;
  const secretFile = path.join(dir, 'secret');
  before(async () => {
    devnet = await startDevnet();
    shop = await startReceiver();
    ends = await startReceiver();
    writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 });
    writeFileSync(path.join(dir, 'key'), devnet.info.accounts.facilitator.privateKey,
      { mode: 0o600 });
  });
  after(async () => {
    await shop?.stop();
    await ends?.stop();
    await devnet?.stop();
  });
  // A configuration with a journal of its own; started as often as one likes.
  const configure = () => {
    const base = path.join(dir, `d${count++}`);
    const config = { file: `${base}.conf`, store: `${base}.sqlite` };
    writeFileSync(config.file, `
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
store = "${config.store}"
chain "${f.CAIP2}" {
	rpc_urls = {"${devnet.info.rpcUrl}"}
	signer_key_file = {"${path.join(dir, 'key')}"}
}
webhook "shop" {
	url = "${shop.url}"
	secret_file = "${secretFile}"
}
webhook "ends" {
	url = "${ends.url}"
	secret_file = "${secretFile}"
	events = {reverted, expired}
}
`);
    return config;
  };
  const start = async config => {
    const daemon = await f.startFacilitator({ args: ['-c', config.file] });
    daemon.admin = /admin_listening text="?(http:[^"\s]+)/.exec(daemon.log)[1];
    return daemon;
  };
  const settle = async daemon => {
    const answer = await f.post(`${daemon.url}/settle`, await f.goodBody(devnet.info));
    assert.equal(answer.json.success, true, answer.text + daemon.log);
    return answer.json;
  };
  const told = settled => shop.seen.filter(one =>
    JSON.parse(one.body).data.transaction === settled.transaction);
  const metric = async (daemon, name) => {
    const { text } = await f.request(`${daemon.admin}/metrics`);
    const line = text.split('\n').find(one => one.startsWith(`${name} `));
    return line && Number(line.slice(name.length + 1));
  };

  test('a settled payment is told once, signed, to whom it concerns', async () => {
    const daemon = await start(configure());
    const settled = await settle(daemon);
    await until('a delivery', () => told(settled).length);
    const one = told(settled)[0];
    assert.equal(one.method, 'POST');
    assert.equal(one.url, '/hook?token=x');
    assert.match(one.headers['content-type'], /^application\/json/);
    const event = verify(one.headers, one.body, SECRET);
    assert.equal(event.type, 'payment.settled');
    assert.equal(event.id, one.headers['x-x402-delivery']);
    assert.ok(Math.abs(Date.parse(event.createdAt) - Date.now()) < 60000);
    assert.deepEqual(event.data, {
      paymentId: event.data.paymentId,
      state: 'settled',
      network: f.CAIP2,
      transaction: settled.transaction,
      payer: event.data.payer,
      payTo: event.data.payTo,
      asset: event.data.asset,
      amount: f.AMOUNT,
    });
    for (const [name, address] of [['payer', devnet.info.accounts.payer.address],
      ['payTo', devnet.info.accounts.payee.address], ['asset', devnet.info.token]])
      assert.equal(event.data[name].toLowerCase(), address.toLowerCase());
    const status = await f.request(`${daemon.url}/payments/${event.data.paymentId}`);
    assert.equal(status.json.transaction, settled.transaction, status.text);

    await until('its metric', async () => await metric(daemon,
      'x402_webhook_deliveries_total{hook="shop",result="delivered"}') === 1);
    assert.equal(told(settled).length, 1);
    assert.equal(ends.seen.length, 0);
    assert.ok(!daemon.log.includes(SECRET) && !daemon.log.includes('token=x'));

    // The example refuses what is not ours, not now, or not whole.
    const { headers, body } = one;
    assert.throws(() => verify(headers, body, `${SECRET}x`), /not signed/);
    assert.throws(() => verify(headers, Buffer.concat([body, Buffer.from(' ')]), SECRET),
      /not signed/);
    assert.throws(() => verify({}, body, SECRET), /not signed/);
    assert.throws(() => verify({ ...headers,
      'x-x402-timestamp': `${Number(headers['x-x402-timestamp']) + 1}` }, body, SECRET),
    /not signed/);
    assert.throws(() => verify(headers, body, SECRET, Date.now() / 1000 + 301), /too old/);
    assert.equal((await daemon.stop()).code, 0, daemon.log);
  });

  test('a receiver that fails is told again, under the same id', async () => {
    const daemon = await start(configure());
    shop.reply = () => 307;
    const settled = await settle(daemon);
    await until('a first try', () => told(settled).length);
    shop.reply = () => 200;
    await until('a second try', () => told(settled).length === 2);
    const [first, second] = told(settled);
    // The redirect was not followed.
    assert.deepEqual([first.url, second.url], ['/hook?token=x', '/hook?token=x']);
    assert.equal(first.headers['x-x402-delivery'], second.headers['x-x402-delivery']);
    assert.deepEqual(first.body, second.body);
    verify(second.headers, second.body, SECRET);
    assert.equal((await daemon.stop()).code, 0, daemon.log);
    assert.match(daemon.log, /event=hook_failed hook=shop .*answered 307/);
    assert.match(daemon.log, /event=hook_recovered/);
  });

  test('what a killed daemon owes is told by the next one', async () => {
    const config = configure();
    const first = await start(config);
    shop.down = true;
    const settled = await settle(first);
    await until('a try that failed', async () => await metric(first,
      'x402_webhook_deliveries_total{hook="shop",result="failed"}') >= 1);
    await first.stop('SIGKILL');
    shop.down = false;
    const second = await start(config);
    await until('a delivery', () => told(settled).length);
    verify(told(settled)[0].headers, told(settled)[0].body, SECRET);
    assert.equal((await second.stop()).code, 0, second.log);
  });

  test('what was given up is listed, and sent again on request', async () => {
    const config = configure();
    const first = await start(config);
    shop.reply = () => 500;
    const settled = await settle(first);
    await until('a try', () => told(settled).length);
    assert.deepEqual((await f.request(`${first.admin}/webhooks/dead`)).json, { items: [] });
    assert.equal((await first.stop()).code, 0, first.log);
    // As if all its tries but the last were over.
    execFileSync('python3', ['-c', `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
assert db.execute("UPDATE outbox SET tries = 15, due_ms = 0 WHERE hook = 'shop'").rowcount == 1
db.commit()`, config.store]);
    const second = await start(config);
    const [item] = await until('a dead letter', async () => {
      const { json } = await f.request(`${second.admin}/webhooks/dead`);
      return json.items.length && json.items;
    });
    assert.equal(item.hook, 'shop');
    assert.equal(item.type, 'payment.settled');
    assert.equal(item.tries, 16);
    assert.equal(item.error, 'answered 500');
    assert.equal(JSON.parse(told(settled)[0].body).data.paymentId, item.paymentId);
    assert.equal(await metric(second, 'x402_webhook_dead_total{hook="shop"}'), 1);
    for (const id of ['999999', '-1', 'x', '99999999999999999999', '1/2'])
      assert.equal((await f.post(`${second.admin}/webhooks/dead/${id}/retry`)).status, 404, id);
    assert.equal((await f.request(`${second.url}/webhooks/dead`)).status, 404);

    shop.reply = () => 200;
    const tries = told(settled).length;
    const retry = `${second.admin}/webhooks/dead/${item.id}/retry`;
    assert.equal((await f.post(retry)).status, 202);
    await until('the delivery', () => told(settled).length === tries + 1);
    await until('the row gone', async () =>
      (await f.post(retry)).status === 404);
    assert.deepEqual((await f.request(`${second.admin}/webhooks/dead`)).json, { items: [] });
    assert.equal((await second.stop()).code, 0, second.log);
  });
});
