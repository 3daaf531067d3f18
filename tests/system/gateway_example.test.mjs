// The gateway's example and its page in docs, as they are written: in front of
// a plain file server.
//
//   node --test tests/system/gateway_example.test.mjs

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { program, scratch, startGateway } from './gateway.lib.mjs';
import { freePort, until } from './nginx.lib.mjs';
import {
  challenge, pay, paying, request, startFacilitator,
} from './provider.lib.mjs';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const read = (name) => fs.readFileSync(path.join(top, name), 'utf8');
let f;
let files;
let origin;
let dir;

before(async () => {
  dir = scratch();
  f = await startFacilitator();
  const port = await freePort();
  files = spawn('python3', ['-m', 'http.server', String(port), '--bind',
    '127.0.0.1', '--directory', path.join(top, 'examples/gateway/html')],
  { stdio: 'ignore' });
  origin = `http://127.0.0.1:${port}`;
  await until(() => fetch(origin).then(() => true, () => false),
    'the file server');
});

after(async () => {
  files.kill();
  await f.stop();
});

test('the example sells', async () => {
  // As it is written, but for what this machine may have in use.
  const port = await freePort();
  const file = path.join(dir, 'gateway.conf');
  fs.writeFileSync(file, read('examples/gateway/gateway.conf')
    .replaceAll('127.0.0.1:8402', `127.0.0.1:${port}`)
    .replace('127.0.0.1:9402', '127.0.0.1:0')
    .replace('http://127.0.0.1:9000', origin)
    .replace('http://127.0.0.1:4021', f.url)
    .replace('/tmp/', `${dir}/`));
  const gateway = await startGateway(['-c', file],
    { listen: `127.0.0.1:${port}` });
  assert.match((await request(gateway, '/')).text, /A small shop/);
  assert.equal((await request(gateway, '/secret')).status, 404);
  for (const [target, amount, words] of [
    ['/articles/short-wait.html', '10000', /was late/],
    ['/articles/long-wait.html', '50000', /very late/],
    ['/reports/2025.html', '250000', /Sales went up/]]) {
    const required = await challenge(gateway, target);
    assert.equal(required.accepts[0].amount, amount);
    assert.equal(required.resource.url, gateway.url + target);
    const res = await request(gateway, target,
      { headers: paying(pay(required)) });
    assert.equal(res.status, 200);
    assert.match(res.text, words);
    const cookie = res.headers['set-cookie']?.[0].split(';')[0];
    assert.equal(!!cookie, target === '/articles/short-wait.html');
    if (cookie)
      assert.equal((await request(gateway, target,
        { headers: [['Cookie', cookie]] })).status, 200);
  }
  assert.equal(f.count('settle'), 3);
  assert.match(await (await fetch(`${gateway.admin}/readyz`)).text(), /ready/);
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
  assert.equal(gateway.log, '');
});

test('the line of the docs sells', async () => {
  const [, line] = /^```sh\nx402-gateway (.*)\n```$/m.exec(read(
    'docs/gateway.md'));
  const args = line.replace('http://127.0.0.1:9000', origin)
    .replace(':8402', '127.0.0.1:0').replaceAll("'", '').split(' ');
  const listen = args.splice(args.indexOf('--listen'), 2)[1];
  const gateway = await startGateway([...args, '--facilitator', f.url],
    { listen });
  const target = '/articles/short-wait.html';
  const required = await challenge(gateway, target);
  assert.equal((await request(gateway, target,
    { headers: paying(pay(required)) })).status, 200);
  await gateway.stop();
});

test('the file of the docs is one', () => {
  const [, text] = /^```\n(public_origin[^]*?)^```$/m.exec(read(
    'docs/gateway.md'));
  const header = path.join(dir, 'api-key.header');
  const file = path.join(dir, 'docs.conf');
  fs.writeFileSync(header, 'X-Api-Key: secret\n', { mode: 0o600 });
  fs.writeFileSync(file, text.replace('/etc/x402/api-key.header', header));
  assert.equal(execFileSync(program, ['-c', file, '--check']).toString(),
    'the configuration is good\n');
});

test('every key and every option is in the docs', () => {
  const docs = read('docs/gateway.md');
  const man = read('docs/man/x402-gateway.8').replaceAll('\\-', '-');
  const keys = [...read('provider-sdk/gateway/gateway_keys.c')
    .matchAll(/^\t(?:TEXT|LIST|U32|U64|FLAG|PRIVATE|OTHERS?)\("(\w*)",\s*"(\w+)"/gm)]
    .map(([, , name]) => name);
  const options = [...execFileSync(program, ['--help']).toString()
    .matchAll(/ (--[a-z-]+)/g)].map(([, name]) => name)
    .filter((name) => !['--help', '--usage'].includes(name));
  assert.ok(keys.length > 60 && options.length > 15);
  assert.deepEqual(keys.filter((key) => !new RegExp(`\\b${key}\\b`)
    .test(docs)), []);
  assert.deepEqual(options.filter((option) => !man.includes(option)), []);
});
