// What selling costs a server, side by side in one run:
//   the libuv adapter's 402   beside the same server, which says it by heart
//   nginx                     see nginx.mjs
//   a payment that nginx asks our facilitator about, beside auth_request that
//   asks the same question; the chain behind it answers at once (null_rpc.c)
//   x402-gateway              beside nginx that passes on to the same origin
//
//   X402_BUILD_DIR=build/release node tests/bench/provider.mjs [SECONDS ROUNDS]
//
// Rounds alternate and the median counts. The server that is measured has core
// 0, everybody else the other one. Its own time for a request says more than
// requests per second, which others on the machine change.

import fs from 'node:fs';
import path from 'node:path';

import { cores, pin as pinAll, withNullRpc } from './bench.lib.mjs';
import { median, nginx, payWith, pin, wrk } from './nginx.mjs';
import { buildDir, nowSeconds, payerAccount, randomNonce, signAuthorization,
  start } from '../devnet/lib.mjs';
import { startGateway } from '../system/gateway.lib.mjs';
import { metrics, scratch, startNginx } from '../system/nginx.lib.mjs';
import { PAYEE, encode } from '../system/provider.lib.mjs';

// Every case in every round, and the medians.
async function alternate(cases, rounds) {
  const all = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of Object.entries(cases))
      all[name].push(await run());
  const middle = (name, key) => median(all[name].map((r) => r[key]));
  return { all, m: Object.fromEntries(Object.keys(cases).map((name) => [name,
    Object.fromEntries(['us', 'rate', 'p50', 'p99'].map((key) =>
      [key, middle(name, key)]))])) };
}

const table = (m) => ['| request | us of the server | per second | p50 ms | ' +
  'p99 ms |', '|---|---|---|---|---|',
...Object.entries(m).map(([name, { us, rate, p50, p99 }]) =>
  `| ${name} | ${us.toFixed(1)} | ${Math.round(rate)} | ${p50.toFixed(2)} | ${
    p99.toFixed(2)} |`)];

/** The libuv adapter's 402, beside the same server without a gate. */
async function adapter(seconds, rounds) {
  const server = await start(path.join(buildDir,
    'tests/bench/bench-provider-server'), [],
  { ready: /gate=(\S+) plain=(\S+)/ });
  const [, gate, plain] = server.match;
  const at = (url) => ({ url, workers: () => [server.pid] });
  await pinAll(server.pid, cores.measured);
  const { all, m } = await alternate({
    'plain libuv server': () => wrk(at(plain), '/paid', seconds),
    '402 of the libuv adapter': () => wrk(at(gate), '/paid', seconds),
  }, rounds);
  await server.stop();
  const [a, b] = [m['plain libuv server'], m['402 of the libuv adapter']];
  return { text: [...table(m), '',
    `The adapter's 402: ${(a.us / b.us).toFixed(2)} of the plain server's ` +
    `rate by its own time, ${(b.rate / a.rate).toFixed(2)} by requests per ` +
    'second.'].join('\n'),
  results: Object.values(all).flat().map((r) => ({
    failed: r.total - r.bad })) };
}

// Distinct payments of a devnet's accounts for an offer, one in a line.
async function writeSigned(file, info, accepted, count) {
  const lines = [];
  const info_ = { ...info, tokenName: 'USDC', tokenVersion: '2',
    chainId: 84532 };
  for (let i = 0; i < count; i++) {
    const key = info.extra[i % info.extra.length].privateKey;
    const authorization = {
      from: payerAccount({ info: { accounts: { payer: {
        privateKey: key } } } }).address,
      to: accepted.payTo, value: accepted.amount,
      validAfter: String(nowSeconds() - 600),
      validBefore: String(nowSeconds() + 3000), nonce: randomNonce() };
    lines.push(encode({ x402Version: 2, accepted, payload: { authorization,
      signature: await signAuthorization(info_, key, authorization) } }));
  }
  fs.writeFileSync(file, `${lines.join('\n')}\n`);
  return lines;
}

/*
 * One question to our facilitator for each request, and the content is not
 * there: then the module does not settle, and both have asked the same.
 */
async function verified(seconds, rounds, count) {
  return withNullRpc({}, async ({ info, rpc, ours }) => {
    const sell = `x402_network ${info.network}; x402_pay_to ${
      info.accounts.payee.address}; x402_asset ${info.token} name=USDC ` +
      'version=2; x402_price 1000atomic;';
    const dir = scratch();
    const at = (url) => url.replace('http://', '');
    const conf = (body) => `
  upstream facilitator { server ${at(ours.url)}; keepalive 64; }
  x402_state DIR/x402.state payments=131072; x402_facilitator_url ${ours.url};
  server { listen 127.0.0.1:PORT; server_name shop.test; access_log off;
    root DIR/html; keepalive_requests 10000000; log_not_found off;
    location / { }
    location = /x402-status { x402_status; }
    location /paid/ { x402 on; ${sell} }
    location /asked/ { auth_request /ask; }
    location = /ask { internal; proxy_pass http://facilitator/verify;
      proxy_method POST; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_pass_request_headers off;
      proxy_set_header Content-Type application/json;
      proxy_set_body '${body}'; } }`;
    const main = 'error_log /dev/null crit;';
    let shop = await startNginx(conf('{}'), { workers: 1, main });
    const required = JSON.parse(Buffer.from((await fetch(
      `${shop.url}/paid/none`)).headers.get('payment-required'), 'base64'));
    await shop.stop();
    const file = path.join(dir, 'signed');
    const [one] = await writeSigned(file, info, required.accepts[0], count);
    const paymentPayload = JSON.parse(Buffer.from(one, 'base64'));
    shop = await startNginx(conf(JSON.stringify({ x402Version: 2,
      paymentPayload, paymentRequirements: required.accepts[0] })),
    { workers: 1, main });
    pin(shop.workers(), cores.measured);
    await pinAll(ours.pid, cores.others);
    await pinAll(rpc.pid, cores.others);
    const script = payWith(file, true);
    const { all, m } = await alternate({
      'no question, a 404': () => wrk(shop, '/none', seconds),
      '`auth_request`, POST /verify': () => wrk(shop, '/asked/none', seconds),
      'paid, POST /verify': () => wrk(shop, '/paid/none', seconds, script),
    }, rounds);
    const asked = await fetch(`${shop.url}/asked/none`);
    const paid = await fetch(`${shop.url}/paid/none`,
      { headers: { 'payment-signature': one } });
    const { refused, fault } = await metrics(shop);
    await shop.stop();
    if (asked.status !== 404 || paid.status !== 404)
      throw new Error(`verified: ${asked.status}, ${paid.status}`);
    const over = (name) => m[name].us - m['no question, a 404'].us;
    return { text: [...table(m), '',
      `A payment's question costs the worker ${
        over('paid, POST /verify').toFixed(0)} us, that of auth_request ${
        over('`auth_request`, POST /verify').toFixed(0)} us.`].join('\n'),
    results: [{ failed: refused + fault }, ...Object.values(all).flat()
      .map((r) => ({ failed: r.total - r.bad }))] };
  });
}

/** The gateway, beside nginx in front of the same origin. */
async function gateway(seconds, rounds) {
  const article = 'The guest was late. '.repeat(100);
  const origin = await startNginx(`server { listen 127.0.0.1:PORT;
    access_log off; keepalive_requests 10000000;
    location / { return 200 '${article}'; } }`, { load: false, workers: 1 });
  const proxy = await startNginx(`
  upstream origin { server 127.0.0.1:${origin.port}; keepalive 64; }
  log_format json escape=json '{"method":"$request_method",'
    '"path":"$uri","status":$status,"bytes":$body_bytes_sent}';
  server { listen 127.0.0.1:PORT; access_log DIR/json.log json;
    keepalive_requests 10000000;
    location / { proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Connection ""; } }`, { load: false, workers: 1 });
  const shop = await startGateway(['--upstream', origin.url,
    '--price', '$0.01', '--pay-to', PAYEE, '--free', '/free/*',
    '--public-origin', 'http://shop.test']);
  const at = { url: shop.url, workers: () => [shop.child.pid] };
  pin(origin.workers(), cores.others);
  pin(proxy.workers(), cores.measured);
  await pinAll(shop.child.pid, cores.measured);
  const { all, m } = await alternate({
    'nginx, `proxy_pass`': () => wrk(proxy, '/free/a', seconds),
    'gateway, a free route': () => wrk(at, '/free/a', seconds),
    '402 of the gateway': () => wrk(at, '/paid', seconds),
  }, rounds);
  for (const one of [shop, proxy, origin]) await one.stop();
  const [a, b] = [m['nginx, `proxy_pass`'], m['gateway, a free route']];
  return { text: [...table(m), '', `The gateway passes on at ${
    (a.us / b.us).toFixed(2)} of nginx's rate by its own time.`].join('\n'),
  results: Object.entries(all).flatMap(([name, list]) => list.map((r) =>
    ({ failed: /402/.test(name) ? r.total - r.bad : r.bad }))) };
}

export async function provider(quick, seconds = quick ? 1 : 5,
  rounds = quick ? 1 : 5) {
  const parts = [['The libuv adapter', await adapter(seconds, rounds)],
    ['nginx', await nginx(quick, seconds, rounds)],
    ['A question to our facilitator',
      await verified(seconds, rounds, quick ? 300 : 3000)],
    ['The gateway', await gateway(seconds, rounds)]];
  return { text: parts.map(([title, { text }]) => `## ${title}\n\n${text}\n`)
    .join('\n'), results: parts.flatMap(([, { results }]) => results) };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [seconds, rounds] = process.argv.slice(2).map(Number);
  const { text, results } = await provider(false, seconds || undefined,
    rounds || undefined);
  console.log(text);
  const failed = results.filter((r) => r.failed);
  if (failed.length) console.log('failed:', JSON.stringify(failed));
  process.exit(failed.length ? 1 : 0);
}
