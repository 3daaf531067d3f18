// The operators' listener of a real daemon: probes, metrics, and who may ask.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';
import { startProxy } from './rpc.proxy.mjs';

const adminUrl = daemon =>
  /event=admin_listening text="?(http:[^"\s]+)/.exec(daemon.log)?.[1];

// Prometheus' text, held to its rules: families once, samples beside them.
export function readMetrics(text) {
  const samples = new Map();
  const families = new Set();
  let family;
  assert.ok(text.endsWith('\n'));
  for (const line of text.trimEnd().split('\n')) {
    const help = /^# HELP (\w+) \S/.exec(line);
    if (help) {
      assert.ok(!families.has(help[1]), line);
      families.add(family = help[1]);
    } else if (!line.startsWith('# TYPE ')) {
      const sample = /^(\w+?)(_bucket|_sum|_count)?(\{.*\})? ([0-9.]+)$/.exec(line);
      assert.ok(sample && line.startsWith(family), line);
      const key = line.slice(0, line.lastIndexOf(' '));
      assert.ok(!samples.has(key), line);
      samples.set(key, Number(sample[4]));
    }
  }
  return samples;
}

describe('the admin listener', () => {
  let devnet;
  let proxy;
  let daemon;
  let admin;
  const mode = {};
  before(async () => {
    devnet = await startDevnet();
    proxy = await startProxy(devnet.info.rpcUrl, mode);
    daemon = await f.startFacilitator({ env: f.facilitatorEnv(devnet.info,
      { EVM_RPC_URL: proxy.url, X402_ADMIN_LISTEN: '127.0.0.1:0' }) });
    admin = adminUrl(daemon);
  });
  after(async () => {
    await daemon?.stop();
    await proxy?.stop();
    await devnet?.stop();
  });

  test('probes say that it lives and is ready', async () => {
    assert.ok(admin, daemon.log);
    assert.equal((await f.request(`${admin}/livez`)).status, 200);
    const health = await f.request(`${admin}/healthz`);
    assert.equal(health.json.status, 'ok', health.text);
    let ready;
    while ((ready = await f.request(`${admin}/readyz`)).status !== 200)
      await f.sleep(50); // its lanes are being read
    assert.equal(ready.text, 'ready\n');
    const verbose = await f.request(`${admin}/readyz?verbose`);
    assert.match(verbose.text, /^\[\+\]store: writable$/m);
    assert.match(verbose.text, /^\[\+\]journal: \d+ wait, /m);
    assert.match(verbose.text, /^\[\+\]recovery: done$/m);
    assert.match(verbose.text, /^\[\+\]chain eip155:84532: /m);
    assert.match(verbose.text, /^\[\+\]head eip155:84532: block \d+, /m);
    const { address } = devnet.info.accounts.facilitator;
    assert.match(verbose.text, new RegExp(`^\\[\\+\\]signer ${address}: signs; `, 'mi'));
    assert.doesNotMatch(verbose.text, /^\[-\]/m);
  });

  test('metrics count what was asked and settled', async () => {
    const first = readMetrics((await f.request(`${admin}/metrics`)).text);
    const settled = await f.post(`${daemon.url}/settle`, await f.goodBody(devnet.info));
    assert.equal(settled.json.success, true, settled.text);
    await f.request(`${daemon.url}/no/such/path`);
    await f.request(`${daemon.url}/no/other/path`);
    const answer = await f.request(`${admin}/metrics`);
    assert.equal(answer.headers.get('content-type'),
      'text/plain; version=0.0.4; charset=utf-8');
    const then = readMetrics(answer.text);
    const grown = key => (then.get(key) ?? 0) - (first.get(key) ?? 0);
    assert.equal(grown('x402_http_requests_total{route="/settle",status="200"}'), 1);
    // A stranger's paths make no new series.
    assert.equal(grown('x402_http_requests_total{route="other",status="404"}'), 2);
    assert.equal(
      grown('x402_http_request_duration_seconds_bucket{route="/settle",le="+Inf"}'), 1);
    assert.equal(then.get('x402_chain_usable{network="eip155:84532"}'), 1);
    assert.equal(then.get('x402_engine_recovered'), 1);
    assert.ok(then.get('process_resident_memory_bytes') > 1e6);
    assert.equal(grown('x402_payments_ended_total{state="settled"}'), 1);
    assert.equal(grown('x402_settle_answers_total{outcome="settled"}'), 1);
    assert.equal(grown('x402_batch_payments_count'), 1);
    assert.equal(grown('x402_gas_payments_total'), 1);
    assert.ok(grown('x402_gas_used_total') > 21000, answer.text);
    assert.ok(grown('x402_store_commit_seconds_count') >= 3, answer.text);
    const lane = [...then.keys()].find(key => key.startsWith('x402_signer_balance_wei{'));
    assert.ok(then.get(lane) > 0, answer.text);
    assert.equal(then.get(lane.replace('balance_wei', 'dry')), 0);
    assert.ok(then.get('x402_chain_head{network="eip155:84532"}') > 0);
    const endpoint = `{network="eip155:84532",endpoint="1:${new URL(proxy.url).hostname}"}`;
    assert.ok(grown(`x402_rpc_requests_total${endpoint}`) >= 2, answer.text);
    assert.ok(grown(`x402_rpc_latency_seconds_count${endpoint}`) >= 2);
    assert.equal(then.get(`x402_rpc_resting${endpoint}`), 0);
    assert.ok(!answer.text.includes('/no/such'));
    const keys = [...then.keys()];
    assert.ok(!keys.some(key => /0x[0-9a-f]{64}/.test(key)), 'a hash as label');
  });

  test('it is not ready while no chain answers', async () => {
    mode.before = () => { throw new Error('down'); };
    try {
      let ready;
      do {
        await f.sleep(100);
        ready = await f.request(`${admin}/readyz?verbose`);
      } while (ready.status === 200);
      assert.equal(ready.status, 503);
      assert.match(ready.text, /^\[-\]chain eip155:84532: no endpoint answers$/m);
      assert.match(ready.text, /^\[\+\]store: writable$/m);
      assert.equal((await f.request(`${admin}/livez`)).status, 200);
      const seen = readMetrics((await f.request(`${admin}/metrics`)).text);
      assert.equal(seen.get('x402_chain_usable{network="eip155:84532"}'), 0);
    } finally {
      mode.before = undefined;
    }
  });

  test('pages and public callers do not get there', async () => {
    for (const headers of [{ origin: 'https://evil.example' },
      { origin: 'null' }, { 'sec-fetch-site': 'cross-site' }]) {
      const answer = await f.request(`${admin}/metrics`, { headers });
      assert.equal(answer.status, 403, JSON.stringify(headers));
      assert.equal(answer.headers.get('access-control-allow-origin'), null);
    }
    for (const where of ['/metrics', '/readyz', '/livez'])
      assert.equal((await f.request(`${daemon.url}${where}`)).status, 404);
    for (const where of ['/settle', '/verify', '/payments/1', '/'])
      assert.equal((await f.request(`${admin}${where}`)).status, 404);
    assert.equal((await f.post(`${admin}/metrics`, {})).status, 405);
  });

  test('a socket file serves its owner and goes with the daemon', async () => {
    const file = path.join(f.temporaryDirectory(), 'admin');
    const own = await f.startFacilitator({ env: f.facilitatorEnv(devnet.info,
      { X402_ADMIN_LISTEN: `unix:${file}` }) });
    try {
      assert.equal(statSync(file).mode & 0o177, 0);
      const ask = () => new Promise((resolve, reject) => {
        http.get({ socketPath: file, path: '/readyz', headers: { host: 'a' } },
          answer => { answer.resume(); resolve(answer.statusCode); }).on('error', reject);
      });
      // Not before its lanes were read.
      while (await ask() !== 200) await f.sleep(50);
    } finally {
      assert.equal((await own.stop()).code, 0, own.log);
    }
    assert.throws(() => statSync(file));
  });

  test('a taken address is an error, not a silence', async () => {
    const taken = new URL(admin).host;
    await assert.rejects(f.startFacilitator({ env: f.facilitatorEnv(devnet.info,
      { X402_ADMIN_LISTEN: taken }) }), error => {
      assert.equal(error.code, 5, error.log);
      assert.match(error.log, /cannot listen for admin/);
      return true;
    });
  });
});
