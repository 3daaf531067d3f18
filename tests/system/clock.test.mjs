// The machine's time of day is set, forwards and back again, by an hour: what
// waits must neither stand still nor end at once, leases hold, and what was
// remembered while the clock was ahead shuts out nobody afterwards. A client's
// budgets go on counting what they have counted.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { programs, run, start, startDevnet, top } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';

const directory = f.temporaryDirectory();
const shim = path.join(directory, 'clock.so');
const clock = path.join(directory, 'clock');
const setClock = seconds => writeFileSync(clock, String(seconds));

let devnet;
let daemon;
before(async () => {
  const made = spawnSync('cc', ['-O1', '-shared', '-fPIC', '-o', shim,
    path.join(top, 'tests/system/clock.shim.c')], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  setClock(0);
  devnet = await startDevnet();
  daemon = await f.startFacilitator({ env: f.facilitatorEnv(devnet.info, {
    X402_TEST_CLOCK: clock, LD_PRELOAD: shim,
    // The shim comes before ASan's runtime, which is as good as after it.
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` }) });
});
after(async () => {
  await daemon?.stop();
  await devnet?.stop();
});

// Settled within the time that a server waits. validForS: by the true clock.
async function settle(validForS) {
  const parts = f.parts(devnet.info);
  parts.authorization.validBefore = String(f.now() + validForS);
  const answer = await f.post(`${daemon.url}/settle`, await f.body(parts),
    { 'x-request-timeout': '8' });
  assert.equal(answer.json.success, true, `${answer.text}\n${daemon.log}`);
  assert.equal(await f.isUsed(devnet.info, parts.authorization), true);
  return new Date(answer.headers.get('date')).getTime() / 1000 - f.now();
}

test('payments settle on, whatever the time of day is set to', async () => {
  assert.ok(Math.abs(await settle(60)) < 10);
  setClock(3600);
  assert.ok(await settle(7200) > 3500, 'the shim does not move the clock');
  // The first payment is final now, and dead by this clock: it is forgotten.
  await f.chainRpc(devnet.info, 'anvil_mine', ['0x20']);
  await f.sleep(7000);
  await settle(7200);
  setClock(0);
  assert.ok(Math.abs(await settle(300)) < 10);
  setClock(-3600);
  assert.ok(await settle(300) < -3500);
  await f.sleep(5000); // a lease is renewed meanwhile
  await settle(300);
  setClock(0);
  await settle(300);
});

test('an hour\'s budget binds the client, whatever the time of day is set to', async () => {
  const site = await start(programs.site, [], { ready: /url=(http:\/\/[0-9.:]+)/, env: { PORT: '0',
    FACILITATOR_URL: daemon.url, PAY_TO: devnet.info.accounts.payee.address, X402_NETWORK: devnet.info.network } });
  const own = path.join(directory, 'client-clock');
  const env = { X402_JOURNAL: path.join(directory, 'client/journal.sqlite'), EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey,
    X402_TEST_CLOCK: own, LD_PRELOAD: shim,
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` };
  const x402 = (...args) => run(programs.client, args, { env });
  const get = (n) => x402('get', `${site.match[1]}/articles/the-long-wait-of-402?n=${n}`);
  try {
    writeFileSync(own, '0');
    assert.equal((await x402('budget', 'set', '--max-spend', '0.015usd', '--per', 'hour')).code, 0);
    const bought = await get(1);
    assert.equal(bought.code, 0, bought.stderr);
    for (const seconds of [7200, 366 * 86400, 0, -7200, 0]) {
      writeFileSync(own, String(seconds));
      const refused = await get(2);
      assert.equal(refused.code, 6, `${seconds}: ${refused.stdout}${refused.stderr}`);
      const said = JSON.parse(refused.stderr.trim().split('\n').at(-1));
      assert.equal(said.charged, 'no');
      assert.match(said.message, /all per hour/);
    }
  } finally {
    await site.stop();
  }
});
