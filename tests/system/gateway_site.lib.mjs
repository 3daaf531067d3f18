// x402-gateway on a free port, with a configuration of the test's, and an
// origin behind it that writes down what it is asked.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort } from './nginx.lib.mjs';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');
export const gatewayProgram = path.join(build,
  'provider-sdk/gateway/x402-gateway');

// The articles of examples/content.c, sold by nobody. handler, where a test
// sets it, answers first: it returns true when it has.
export async function startOrigin() {
  const origin = { asked: [], handler: null };
  const pages = {
    '/articles/the-long-wait-of-402': ['text/plain',
      'The guest was late, and so was the bill.'],
    '/articles/reading-a-price-tag': ['text/plain',
      'A person who sees a price can leave.'],
    '/api/quote': ['application/json', '{"quote":"Paid in full."}'],
    '/paid': ['application/json', '{"paid":true}'],
    '/paid-post': ['application/json', '{"paid":true}'],
    '/health': ['application/json', '{"status":"ok"}'],
  };
  origin.server = http.createServer((req, res) => {
    const chunks = [];
    req.on('error', () => {});
    res.on('error', () => {});
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const one = { method: req.method, url: req.url, headers: req.headers,
        raw: req.rawHeaders, body: Buffer.concat(chunks).toString() };
      origin.asked.push(one);
      if (origin.handler?.(one, res)) return;
      const [type, text] = pages[req.url.split('?')[0]] ?? [];
      if (req.url === '/fail') res.statusCode = 500;
      else if (!type) res.statusCode = 404;
      else res.setHeader('content-type', type);
      res.end(type ? text : 'no');
    });
  });
  await new Promise((done) => origin.server.listen(0, '127.0.0.1', done));
  origin.url = `http://127.0.0.1:${origin.server.address().port}`;
  origin.stop = () => new Promise((done) => {
    origin.server.closeAllConnections();
    origin.server.close(done);
  });
  return origin;
}

// The same price list as the example's.
export const contentRoutes = `
  route "GET /health" { free = true }
  route "GET /articles/[slug]" { price = "$0.01" pass_s = 86400
    siwx_s = 86400 mime_type = "text/plain" description = "An article" }
  route "GET /api/quote" { price = "$0.001" }
  route "GET /paid" { price = "$0.001" }
  route "POST /paid-post" { price = "$0.001" }
  route "GET /fail" { price = "$0.001" }`;

// Start it with a file, in which PORT and DIR are filled in; url is its own.
export async function startGateway(conf, { args = [], env = {}, dir } = {}) {
  const port = await freePort();
  const own = !dir;
  const home = dir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'x402-gateway-'));
  const file = path.join(home, 'gateway.conf');
  const g = { log: '', port, dir: home, url: `http://127.0.0.1:${port}` };
  fs.writeFileSync(file, `listen = "127.0.0.1:${port}"\n${
    conf.replaceAll('PORT', port).replaceAll('DIR', home)}\n`);
  g.lines = () => g.log.split('\n').filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  g.start = async () => {
    const from = g.log.length;
    g.child = spawn(gatewayProgram, ['-c', file, ...args],
      { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    g.exited = new Promise((done) => g.child.on('close', (code, signal) =>
      done({ code, signal })));
    g.child.stderr.on('data', (data) => { g.log += data; });
    await new Promise((done, fail) => {
      g.child.on('error', fail);
      g.child.on('close', (code) => fail(new Error(`exit ${code}: ${g.log}`)));
      g.child.stdout.on('data', (data) => {
        g.log += data;
        if (/"listening"/.test(g.log.slice(from))) done();
      });
    });
  };
  g.stop = async (signal = 'SIGTERM') => {
    g.child.kill(signal);
    const ended = await g.exited;
    if (own) fs.rmSync(home, { recursive: true, force: true });
    return ended;
  };
  // No goodbye; start() again on the same port, file and journal.
  g.kill = async () => {
    g.child.kill('SIGKILL');
    await g.exited;
  };
  await g.start();
  return g;
}
