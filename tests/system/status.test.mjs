// GET /payments/{id}: a look, a long poll and a stream of events, while a real
// chain mines. It does when it is told, so that there is something to wait for.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import http from 'node:http';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';

// Server-sent events as a browser would read them: resolves at the end.
function events(url, headers = {}) {
  const read = { events: [], status: undefined, text: '' };
  read.ended = new Promise((resolve, reject) => {
    read.request = http.get(url, { headers }, response => {
      read.status = response.statusCode;
      read.headers = response.headers;
      response.setEncoding('utf8');
      response.on('data', text => {
        read.text += text;
        const blocks = read.text.split('\n\n');
        read.text = blocks.pop();
        for (const block of blocks) {
          const event = {};
          for (const line of block.split('\n')) {
            const at = line.indexOf(': ');
            if (at > 0) event[line.slice(0, at)] = line.slice(at + 2);
          }
          if (event.data)
            read.events.push({ id: Number(event.id), ...JSON.parse(event.data) });
        }
      });
      response.on('end', resolve);
      response.on('error', reject);
    });
    read.request.on('error', reject);
  });
  return read;
}

describe('the status of a payment', () => {
  let devnet;
  let daemon;
  before(async () => {
    devnet = await startDevnet({ blockTime: 1 });
    daemon = await f.startFacilitator({ env: f.facilitatorEnv(devnet.info) });
  });
  after(async () => {
    await daemon?.stop();
    await devnet?.stop();
  });
  const mine = seconds => f.chainRpc(devnet.info, 'evm_setIntervalMining', [seconds]);
  // A payment that is on its way until mine() is called: its hash.
  const pending = async () => {
    await mine(0);
    const settling = f.post(`${daemon.url}/settle`, await f.goodBody(devnet.info));
    settling.catch(() => {});
    for (const end = Date.now() + 30000; Date.now() < end; await f.sleep(20)) {
      const pool = await f.chainRpc(devnet.info, 'txpool_content');
      const [sent] = Object.values(pool.pending).flatMap(Object.values);
      if (sent) return sent.hash;
    }
    throw new Error(`nothing was sent: ${daemon.log}`);
  };

  test('a long poll answers when the payment has settled', async () => {
    const hash = await pending();
    const seen = await f.request(`${daemon.url}/payments/${hash}`);
    assert.equal(seen.json.final, false, seen.text);
    const polling = f.request(
      `${daemon.url}/payments/${hash}?wait=30&state=${seen.json.state}`);
    await mine(1);
    const told = await polling;
    assert.equal(told.status, 200, told.text);
    assert.equal(told.json.state, 'settled', told.text);
    assert.equal(told.json.transaction, hash);
    assert.equal(told.json.paymentId, seen.json.paymentId);
    const again = await f.request(
      `${daemon.url}/payments/${told.json.paymentId}?wait=30`);
    assert.equal(again.json.state, 'settled', again.text);
  });

  test('a stream tells each state once, in order, and ends', async () => {
    const hash = await pending();
    const read = events(`${daemon.url}/payments/${hash}/events`);
    await mine(1);
    await read.ended;
    assert.equal(read.status, 200);
    assert.match(read.headers['content-type'], /^text\/event-stream/);
    const states = read.events.map(event => event.state);
    assert.equal(states[0], 'reserved');
    assert.equal(states.at(-1), 'settled');
    assert.deepEqual(read.events.map(event => event.id), states.map((_, i) => i));
    assert.deepEqual(read.events.map(event => event.final),
      states.map((_, i) => i === states.length - 1));

    const { paymentId } = read.events[0];
    const rest = events(`${daemon.url}/payments/${paymentId}`,
      { accept: 'text/event-stream', 'last-event-id': '1' });
    await rest.ended;
    assert.deepEqual(rest.events, read.events.slice(2));
    const none = events(`${daemon.url}/payments/${paymentId}/events`,
      { 'last-event-id': String(states.length - 1) });
    await none.ended;
    assert.equal(none.status, 204);
  });

  test('a payment is found by the hash of its payload', async () => {
    const body = await f.goodBody(devnet.info);
    const sorted = value => (value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.keys(value).sort().map(key => [key, sorted(value[key])]))
      : Array.isArray(value) ? value.map(sorted) : value);
    const hash = createHash('sha256')
      .update(JSON.stringify(sorted(body.paymentPayload))).digest('hex');
    assert.equal((await f.request(`${daemon.url}/payments/${hash}`)).status, 404);
    const settled = await f.post(`${daemon.url}/settle`, body);
    assert.equal(settled.json.success, true, settled.text);
    const found = await f.request(`${daemon.url}/payments/${hash}`);
    assert.equal(found.json?.transaction, settled.json.transaction, found.text);
  });

  test('a reader that leaves is forgotten', async () => {
    const hash = await pending();
    const read = events(`${daemon.url}/payments/${hash}/events`);
    read.ended.catch(() => {});
    while (!read.events.length) await f.sleep(20);
    read.request.destroy();
    await mine(1);
    const told = await f.request(`${daemon.url}/payments/${hash}?wait=30`);
    assert.equal(told.json.state, 'settled', told.text);
  });

  test('what nobody knows is 404, whatever is asked of it', async () => {
    const id = '00'.repeat(16);
    for (const tail of ['', '?wait=5', '/events'])
      assert.equal((await f.request(`${daemon.url}/payments/${id}${tail}`)).status, 404);
    assert.equal((await f.request(`${daemon.url}/payments/0x${id}${id}`)).status, 404);
  });

  test('a daemon that stops lets nobody wait', async () => {
    const own = await f.startFacilitator({ env: f.facilitatorEnv(devnet.info,
      { EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey }) });
    await mine(0);
    const answer = await f.post(`${own.url}/settle`,
      await f.goodBody(devnet.info), { 'x-request-timeout': '3' });
    assert.equal(answer.json.errorReason, 'settlement_pending', answer.text);
    const url = `${own.url}/payments/${answer.json.transaction}`;
    try {
      const poll = f.request(`${url}?wait=60`);
      const read = events(`${url}/events`);
      while (!read.events.length) await f.sleep(20);
      const begun = Date.now();
      assert.equal((await own.stop()).code, 0, own.log);
      assert.equal((await poll).status, 200);
      await read.ended;
      // Far below the 30 s that a drain may take, whatever the machine does.
      assert.ok(Date.now() - begun < 15000, own.log);
      assert.doesNotMatch(own.log, /drain_late|unanswered/);
    } finally {
      await mine(1);
    }
  });
});
