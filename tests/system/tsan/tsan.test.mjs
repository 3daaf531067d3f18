// The daemon and the site under ThreadSanitizer: every endpoint at once, from
// many connections, duplicates included, and a drain with settlements in
// flight. A race ends the process (halt_on_error) and fails the test.
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {paymentRequest, post, programs, run, start, startDevnet, startFacilitator} from '../../devnet/lib.mjs';

test('daemon and site under load, then drained: no data race', async () => {
  const devnet = await startDevnet({blockTime: 0.2});
  const {info} = devnet;
  const facilitator = await startFacilitator(devnet, {X402_NETWORK: info.network, X402_WORKERS: '3',
    X402_ADMIN_LISTEN: '127.0.0.1:0'});
  const {url} = facilitator;
  const [, admin] = /admin_listening text="?(http:[^"\s]+)/.exec(facilitator.output());
  try {
    const payments = await Promise.all(Array.from({length: 60}, () => paymentRequest(info)));
    const site = await start(programs.site, [], {
      env: {PORT: '0', FACILITATOR_URL: url, PAY_TO: info.accounts.payee.address, X402_NETWORK: info.network},
      ready: /url=(http:\/\/[0-9.:]+)/});
    const calls = [];
    for (const payment of payments) {
      calls.push(post(`${url}/verify`, payment), post(`${url}/settle`, payment), post(`${url}/settle`, payment));
      calls.push(fetch(`${url}/supported`), fetch(`${url}/health`), fetch(`${url}/discovery/resources`),
        fetch(`${site.match[1]}/api/quote`));
      if (calls.length % 5 === 0)
        calls.push(fetch(`${admin}/metrics`), fetch(`${admin}/readyz`));
    }
    const answered = await Promise.all(calls);
    // Every payment is watched while others settle.
    const hashes = answered.map((answer) => answer.json?.transaction ?? answer.body?.transaction).filter(Boolean);
    await Promise.all(hashes.map((hash) => fetch(`${url}/payments/${hash}/events`).then((stream) => stream.text())));
    const bought = await run(programs.client, ['get', `${site.match[1]}/api/quote`],
      {env: {EVM_PRIVATE_KEY: info.accounts.payer.privateKey}});
    assert.equal(bought.code, 0, bought.stderr);
    const late = await Promise.all(Array.from({length: 10}, () => paymentRequest(info)));
    const answers = late.map((payment) => post(`${url}/settle`, payment).catch(() => null));
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(await facilitator.stop(), 0, facilitator.output());
    await Promise.all(answers);
    assert.equal(await site.stop(), 0, site.output());
    assert.doesNotMatch(facilitator.output() + site.output(), /ThreadSanitizer/);
    const {payee} = info.accounts;
    const settled = await devnet.balanceOf(payee.address);
    assert.ok(settled >= 60n * 1000n + 1000n, `only ${settled} arrived`);
  } finally {
    await facilitator.stop('SIGKILL');
    await devnet.stop();
  }
});
