// Paid requests while a shop is broken again and again: what was settled on the
// chain is what buyers got, plus what the shop's ledger says is owed.
//
// A shop is {url, body, payee, amount, faults, ledger, errors, stop}: url of a
// paid text, faults a list of functions that break it and bring it back, ledger
// a function that gives [{url, state, busy}] of what is not delivered, state
// undelivered or unknown; errors what its log says that must not be there.

import assert from 'node:assert/strict';
import http from 'node:http';

import {
  nowSeconds, randomNonce, signAuthorization,
} from '../devnet/lib.mjs';
import { sleep, until } from './nginx.lib.mjs';
import { encode } from './provider.lib.mjs';

// One exchange; null when the connection broke before the whole body came.
function get(agent, url, payment) {
  return new Promise((done) => {
    const req = http.get(url, { agent,
      headers: { 'PAYMENT-SIGNATURE': payment } }, (res) => {
      let text = '';
      res.on('data', (data) => { text += data; });
      res.on('end', () => done({ status: res.statusCode, text,
        receipt: res.headers['payment-response'] }));
      res.on('error', () => done(null));
      res.on('aborted', () => done(null));
    });
    req.setTimeout(20000, () => req.destroy());
    req.on('error', () => done(null));
  });
}

/**
 * @returns figures: requests; received by buyers; settled, on the chain; owed,
 * settled and not received and on the ledger; lost, the same and not there;
 * givenAway, received and not settled; balance, what the payee has more; ...
 */
export async function paidLoad(devnet, shop, { requests, connections,
  faultEveryMs }) {
  const { info } = devnet;
  const { payee } = shop;
  const agent = new http.Agent({ keepAlive: true, maxSockets: connections });
  const f = { requests, received: 0, repeated: 0, abandoned: 0, faults: 0,
    refused: {} };
  const before = await devnet.balanceOf(payee);
  const nonces = [];
  const got = new Set();
  let next = 0;
  let running = true;

  const first = await fetch(shop.url);
  const required = JSON.parse(Buffer.from(
    first.headers.get('payment-required'), 'base64'));

  async function buyer() {
    while (next < requests) {
      const n = next++;
      const url = `${shop.url}?n=${n}`;
      const nonce = randomNonce();
      const authorization = { from: info.accounts.payer.address, to: payee,
        value: String(shop.amount), validAfter: String(nowSeconds() - 600),
        validBefore: String(nowSeconds() + 300), nonce };
      const payment = encode({ x402Version: 2,
        resource: { ...required.resource, url },
        accepted: required.accepts[0],
        payload: { authorization, signature: await signAuthorization(
          info, info.accounts.payer.privateKey, authorization) } });
      nonces[n] = nonce;
      // One in eight gives up at the first trouble; its money must be on the
      // ledger then. The others repeat the same bytes.
      for (let tries = 0; ; tries++) {
        const res = await get(agent, url, payment);
        if (res?.status === 200 && res.text === shop.body) {
          f.received++;
          got.add(n);
          break;
        }
        if (res) f.refused[res.status] = (f.refused[res.status] ?? 0) + 1;
        if (n % 8 === 0 || tries === 60) {
          f.abandoned++;
          break;
        }
        f.repeated++;
        await sleep(200);
      }
    }
  }

  async function breaker() {
    while (running) {
      for (let waited = 0; running && waited < faultEveryMs; waited += 20)
        await sleep(20);
      if (!running) return;
      await shop.faults[f.faults++ % shop.faults.length]();
    }
  }

  const breaking = breaker();
  await Promise.all(Array.from({ length: connections }, buyer));
  running = false;
  await breaking;
  // What was sent to be settled by those who are dead comes to an end.
  await until(async () => (await shop.ledger()).every((p) => !p.busy),
    'the last claims', 30000);
  await sleep(2500);
  // All of it as of one block: what nobody waits for may land in the next.
  const block = await devnet.rpc('eth_blockNumber');
  const ask = async (selector, address, rest = '') => BigInt(await devnet.rpc(
    'eth_call', [{ to: info.token, data: selector + address.slice(2)
      .toLowerCase().padStart(64, '0') + rest }, block]));
  const used = await Promise.all(nonces.map(async (nonce) => await ask(
    '0xe94a0102', info.accounts.payer.address, nonce.slice(2)) === 1n));
  f.settled = used.filter(Boolean).length;
  f.givenAway = [...got].filter((n) => !used[n]).length;
  f.balance = await ask('0x70a08231', payee) - before;
  // Each one by its URL: of those whose outcome the ledger does not know some
  // never landed.
  const ledger = await shop.ledger();
  const owed = new Set(ledger.map((p) => Number(/n=(\d+)$/.exec(p.url)[1])));
  f.owed = [...owed].filter((n) => used[n] && !got.has(n)).length;
  f.lost = used.filter((was, n) => was && !got.has(n) && !owed.has(n)).length;
  f.undelivered = ledger.filter((p) => p.state === 'undelivered').length;
  f.unknown = ledger.filter((p) => p.state === 'unknown').length;
  f.errors = shop.errors();
  agent.destroy();
  await shop.stop();
  return f;
}

// Settled equals received plus owed, by count and by sum.
export function check(f, amount) {
  const text = JSON.stringify(f, (key, value) =>
    typeof value === 'bigint' ? String(value) : value);
  assert.equal(f.balance, BigInt(f.settled) * amount, text);
  assert.equal(f.givenAway, 0, text);
  assert.equal(f.lost, 0, text);
  assert.equal(f.settled, f.received + f.owed, text);
  assert.deepEqual(f.errors, [], text);
  assert.ok(f.faults > 0, text);
  return text;
}
