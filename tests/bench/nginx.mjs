// The nginx module under wrk, beside nginx without it; part of provider.mjs:
//   a 402 of an unpaid location   beside a plain "return 402"
//   a free location               beside nginx that has not loaded the module
//   a paid request                beside auth_request that asks the same server
// The facilitator is another nginx that says yes at once. Rounds alternate, the
// median counts. nginx has core 0, everybody else the other one. What is
// compared is the worker's own time for a request, which others on the machine
// do not change much; requests per second they do.
//
//   X402_BUILD_DIR=build/release node tests/bench/nginx.mjs [SECONDS ROUNDS]

import { execFile, execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { scratch, startNginx } from '../system/nginx.lib.mjs';
import { PAYEE, PAYER, encode, settled } from '../system/provider.lib.mjs';

export const others = os.cpus().length > 1 ? '1' : '0';
export const pin = (pids, core) => pids.forEach((pid) =>
  execFileSync('taskset', ['-pc', core, String(pid)]));
export const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

const article = 'The guest was late.\n'.repeat(100);

// Microseconds of all threads of a process so far, by the kernel's own clock.
const cpu = (pid) => fs.readdirSync(`/proc/${pid}/task`).reduce((sum, task) =>
  sum + Number(fs.readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8')
    .split(' ')[0]), 0) / 1000;

// wrk's requests per second, the worker's microseconds for each, its median and
// 99th percentile in milliseconds, and how many were not 2xx or 3xx.
export function wrk(server, target, seconds, script = []) {
  const [worker] = server.workers();
  const begun = cpu(worker);
  return new Promise((done, fail) => execFile('taskset', ['-c', others, 'wrk',
    '-t1', '-c32', `-d${seconds}s`, '--latency', ...script,
    server.url + target],
  (error, stdout) => {
    if (error) return fail(error);
    const total = Number(/(\d+) requests in/.exec(stdout)[1]);
    const ms = (share) => {
      const [, number, unit] = new RegExp(`${share}%\\s+([\\d.]+)(\\w+)`)
        .exec(stdout);
      return Number(number) * { us: 0.001, ms: 1, s: 1000 }[unit];
    };
    done({ rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]), total,
      us: (cpu(worker) - begun) / total, p50: ms(50), p99: ms(99),
      bad: Number(/Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? 0) });
  }));
}

// A script for wrk: each line of a file once, or again and again.
export function payWith(file, again = false) {
  const script = `${file}.lua`;
  fs.writeFileSync(script, `
local lines = io.lines("${file}")
request = function()
  local line = lines()
  if not line and ${again} then
    lines = io.lines("${file}")
    line = lines()
  end
  return wrk.format("GET", nil, { ["PAYMENT-SIGNATURE"] = line or "none" })
end
`);
  return ['-s', script];
}

// Payments that differ in their nonces, one in a line; wrk sends each once.
function writePayments(dir, required, count) {
  const now = Math.floor(Date.now() / 1000);
  const accepted = required.accepts[0];
  const signature = '0x' + crypto.randomBytes(65).toString('hex');
  const file = path.join(dir, 'payments');
  const out = fs.openSync(file, 'w');
  for (let i = 0; i < count; i++)
    fs.writeSync(out, encode({ x402Version: 2, accepted,
      resource: required.resource, payload: { signature, authorization: {
        from: PAYER, to: PAYEE, value: accepted.amount,
        validAfter: String(now - 600), validBefore: String(now + 3000),
        nonce: '0x' + crypto.randomBytes(32).toString('hex') } } }) + '\n');
  fs.closeSync(out);
  return payWith(file);
}

export async function nginx(quick, seconds = quick ? 1 : 5,
  rounds = quick ? 1 : 5) {
  const yes = await startNginx(`
  server { listen 127.0.0.1:PORT reuseport; access_log off;
    keepalive_requests 10000000; default_type application/json;
    location /verify { return 200 '{"isValid":true,"payer":"${PAYER}"}'; }
    location /settle { return 200 '${JSON.stringify(settled())}'; } }`,
  { load: false, workers: 1 });
  const shared = `
  server { listen 127.0.0.1:PORT; access_log off; root DIR/html;
    keepalive_requests 10000000;
    location / { }
    location /plain402 { default_type application/json; return 402 '{}'; }`;
  const files = { 'free.txt': article, 'paid/a.txt': article,
    'asked/a.txt': article };
  const without = await startNginx(`
  upstream yes { server 127.0.0.1:${yes.port}; keepalive 64; }
  ${shared}
    location /asked/ { auth_request /ask; }
    location = /ask { internal; proxy_pass http://yes/verify;
      proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_pass_request_body off; proxy_set_header Content-Length ""; } }`,
  { files, load: false, workers: 1 });
  const with_ = await startNginx(`
  x402_state DIR/x402.state payments=131072;
  x402_network eip155:84532; x402_pay_to ${PAYEE};
  x402_facilitator_url ${yes.url}; x402_public_origin http://shop.test;
  ${shared}
    location /paid/ { x402 on; x402_price $0.01; }
    location /before/ { x402 on; x402_price $0.01; alias DIR/html/paid/;
      x402_settle before; } }`,
  { files, workers: 1, main: 'error_log /dev/null crit;' });
  pin(without.workers(), '0');
  pin(with_.workers(), '0');
  pin(yes.workers(), others);

  const dir = scratch();
  const paying = {};
  for (const where of ['paid', 'before']) {
    const required = JSON.parse(Buffer.from((await fetch(
      `${with_.url}/${where}/a.txt`)).headers.get('payment-required'),
    'base64'));
    fs.mkdirSync(path.join(dir, where));
    paying[where] = writePayments(path.join(dir, where), required,
      quick ? 20000 : 60000);
  }
  const cases = {
    'plain `return 402`': () => wrk(without, '/plain402', seconds),
    '402 of a location that sells': () => wrk(with_, '/paid/a.txt', seconds),
    'free file, nginx without the module':
      () => wrk(without, '/free.txt', seconds),
    'free file, with it': () => wrk(with_, '/free.txt', seconds),
    '`auth_request`, one call': () => wrk(without, '/asked/a.txt', seconds),
  };
  const all = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const [name, run] of Object.entries(cases))
      all[name].push(await run());
  // A payment is good once, so there is one round of these.
  for (const [where, name] of [['paid', 'paid: verify, then settle'],
    ['before', 'paid: settle before']])
    all[name] = [await wrk(with_, `/${where}/a.txt`, quick ? 1 : 3,
      paying[where])];
  const m = Object.fromEntries(Object.entries(all).map(([name, list]) =>
    [name, { rate: median(list.map((r) => r.rate)),
      us: median(list.map((r) => r.us)) }]));
  const ratio = (a, b) => (m[a].us / m[b].us).toFixed(2);
  const text = ['| request | us of the worker | per second |', '|---|---|---|',
    ...Object.entries(m).map(([name, { rate, us }]) =>
      `| ${name} | ${us.toFixed(1)} | ${Math.round(rate)} |`),
    '', '402: ' + ratio('plain `return 402`', '402 of a location that sells') +
    ' of the rate of a plain one. Free file: ' +
    ratio('free file, nginx without the module', 'free file, with it') +
    ' of the rate of nginx without the module. A paid request: ' +
    ratio('paid: verify, then settle', '`auth_request`, one call') +
    ' (two calls) and ' +
    ratio('paid: settle before', '`auth_request`, one call') +
    ' (one) of the time of auth_request.'].join('\n');
  const results = Object.entries(all).flatMap(([name, list]) => list.map((r) =>
    ({ name, failed: /402/.test(name) ? r.total - r.bad : r.bad })));
  for (const one of [with_, without, yes]) await one.stop();
  return { text, results };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [seconds, rounds] = process.argv.slice(2).map(Number);
  const { text, results } = await nginx(false, seconds || undefined,
    rounds || undefined);
  console.log(text);
  const failed = results.filter((r) => r.failed);
  if (failed.length) console.log('failed:', JSON.stringify(failed));
  process.exit(failed.length ? 1 : 0);
}
