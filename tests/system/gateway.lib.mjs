// x402-gateway on a free port, and an origin behind it whose connections can be
// looked at: what the gateway's tests are made of.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { PAYEE } from './provider.lib.mjs';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');
export const program = path.join(build, 'provider-sdk/gateway/x402-gateway');

export function scratch() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-gateway-'));
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// Start it with arguments; resolves when it listens. What is said on stdout is
// in lines, parsed.
export async function startGateway(args, { env = {}, listen = '127.0.0.1:0' }
  = {}) {
  const child = spawn(program, ['--listen', listen, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const gateway = { child, lines: [], log: '' };
  let rest = '';
  gateway.exited = new Promise((done) => child.on('close', (code, signal) =>
    done({ code, signal })));
  child.stderr.on('data', (data) => { gateway.log += data; });
  await new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => fail(new Error(`exit ${code}: ${gateway.log}`)));
    child.stdout.on('data', (data) => {
      const parts = (rest + data).split('\n');
      rest = parts.pop();
      gateway.lines.push(...parts.map((line) => JSON.parse(line)));
      gateway.url ??= gateway.lines.find((l) => l.event === 'listening')?.text;
      gateway.admin ??= gateway.lines
        .find((l) => l.event === 'admin_listening')?.text;
      if (gateway.url) done();
    });
  });
  gateway.stop = () => {
    child.kill('SIGTERM');
    return gateway.exited;
  };
  gateway.kill = () => {
    child.kill('SIGKILL');
    return gateway.exited;
  };
  gateway.requests = () => gateway.lines.filter((line) => line.method);
  return gateway;
}

// The options of a shop whose facilitator and origin are the test's.
export const shop = (facilitator, origin, ...more) => [
  '--upstream', origin.url, '--facilitator', facilitator.url,
  '--price', '$0.01', '--pay-to', PAYEE, '--free', '/free/*',
  '--public-origin', 'https://shop.example', ...more,
];

// What a journal holds, one entry for each payment; it may be open elsewhere.
export const journal = (file, what = 'all') =>
  execFileSync(path.join(build, 'provider-sdk/x402-revenue'),
    [file, '--list', what]).toString().split('\n').filter(Boolean)
    .map((line) => JSON.parse(line));
