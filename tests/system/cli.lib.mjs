// What the tests of the command share: a shop that offers and delivers, and a
// way to run the command with an environment that is nobody's own.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = path.resolve(process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan'));
export const x402 = path.join(build, 'client-sdk/x402');

// The development keys that anvil prints at its start.
export const KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
export const PAYER = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';
export const PAYEE = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
export const USDC = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
export const TX = '0x' + 'ab'.repeat(32);

export const encode = (json) => Buffer.from(JSON.stringify(json)).toString('base64');
export const decode = (text) => JSON.parse(Buffer.from(text, 'base64').toString());

export const offer = (extra = {}) => ({
  scheme: 'exact', network: 'eip155:84532', amount: '1000', asset: USDC,
  payTo: PAYEE, maxTimeoutSeconds: 300,
  extra: { name: 'USDC', version: '2' }, ...extra,
});

// A shop: /free, and /paid?amount=N. It settles nothing; what is under test is
// what is signed and said. `payments` holds what it was sent.
export async function startShop(routes = {}) {
  const shop = { payments: [], seen: [] };
  shop.server = http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => {
      const url = new URL(req.url, shop.url);
      const payment = req.headers['payment-signature'];
      shop.seen.push({ method: req.method, url: req.url, headers: req.headers,
        body: Buffer.concat(chunks).toString() });
      if (routes[url.pathname]) return routes[url.pathname](req, res, shop);
      if (url.pathname === '/free') return res.end('free\n');
      if (!url.pathname.startsWith('/paid')) {
        res.statusCode = 404;
        return res.end('nothing\n');
      }
      if (!payment) {
        res.writeHead(402, { 'PAYMENT-REQUIRED': encode({
          x402Version: 2, error: 'Payment required',
          resource: { url: url.href, description: '', mimeType: '' },
          accepts: [offer({ amount: url.searchParams.get('amount') ?? '1000',
            asset: url.searchParams.get('asset') ?? USDC })] }) });
        return res.end('{}');
      }
      shop.payments.push(decode(payment));
      res.writeHead(200, { 'PAYMENT-RESPONSE': encode({ success: true,
        transaction: TX, network: 'eip155:84532',
        payer: decode(payment).payload.authorization.from }) });
      return res.end('the article\n');
    });
  });
  await new Promise((done) => shop.server.listen(0, '127.0.0.1', done));
  shop.url = `http://127.0.0.1:${shop.server.address().port}`;
  shop.stop = () => {
    shop.server.closeAllConnections();
    return new Promise((done) => shop.server.close(done));
  };
  return shop;
}

process.setMaxListeners(0);

export function makeHome() {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-cli-'));
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  return {
    dir,
    file(name, text, mode = 0o600) {
      const at = path.join(dir, name);
      fs.writeFileSync(at, text, { mode });
      fs.chmodSync(at, mode);
      return at;
    },
    path: (name) => path.join(dir, name),
  };
}

export const environment = (home, env = {}) => ({
  PATH: process.env.PATH, NO_PROXY: '*', HOME: home.dir,
  ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
  UBSAN_OPTIONS: process.env.UBSAN_OPTIONS ?? '', ...env,
});

// Run the command to its end. stdout and stderr are pipes: it speaks JSON.
export function run(home, args, { env = {}, input = '' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(x402, args, { cwd: home.dir, env: environment(home, env) });
    const out = [];
    const err = [];
    child.stdout.on('data', (part) => out.push(part));
    child.stderr.on('data', (part) => err.push(part));
    child.on('error', reject);
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('close', (code, signal) => {
      const stdout = Buffer.concat(out).toString();
      const stderr = Buffer.concat(err).toString();
      const parse = (text) => {
        try { return JSON.parse(text); } catch { return undefined; }
      };
      resolve({ code, signal, stdout, stderr, answer: parse(stdout),
        error: parse(stderr.trim().split('\n').at(-1)) });
    });
  });
}

// Start a command that stays; resolves when its stdout matches `ready`.
export function startCommand(home, args, ready, { env = {} } = {}) {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', x402, ...args],
    { cwd: home.dir, env: environment(home, env), stdio: ['pipe', 'pipe', 'pipe'] });
  const started = { child, log: '', out: '' };
  const exited = new Promise((done) => child.once('close', (code) => done(code)));
  started.stop = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    return exited;
  };
  return new Promise((resolve, reject) => {
    const look = () => {
      started.match = ready.exec(started.out) ?? ready.exec(started.log);
      if (started.match) resolve(started);
    };
    child.stdout.on('data', (part) => { started.out += part; look(); });
    child.stderr.on('data', (part) => { started.log += part; look(); });
    child.once('error', reject);
    exited.then((code) => reject(new Error(`ended with ${code}: ${started.log}`)));
  });
}
