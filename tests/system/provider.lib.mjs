// A facilitator that says what it is told to, a payer, and raw HTTP: what the
// provider's system tests are made of. The facilitator counts what it is asked
// and settles nothing; what is under test is what a shop gives away.

import crypto from 'node:crypto';
import { spawn } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const top = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const build = process.env.X402_BUILD_DIR ?? path.join(top, 'build/asan');

export const PAYER = '0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC';
export const PAYEE = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
export const TX = '0x' + 'ab'.repeat(32);
export const ARTICLE = '/articles/the-long-wait-of-402';
export const SECRET = 'The guest was late'; // words of the article

export const encode = (json) =>
  Buffer.from(JSON.stringify(json)).toString('base64');
export const decode = (text) =>
  JSON.parse(Buffer.from(text, 'base64').toString());

export const settled = (extra = {}) => ({
  success: true, transaction: TX, network: 'eip155:84532', payer: PAYER,
  ...extra,
});

// A facilitator whose verify and settle are functions (body, req, res) that
// return an object to be sent as JSON, or answer themselves and return nothing.
export async function startFacilitator() {
  const f = { asked: [], verify: null, settle: null };
  f.reset = () => {
    f.asked = [];
    f.verify = () => ({ isValid: true, payer: PAYER });
    f.settle = () => settled();
  };
  f.count = (what) => f.asked.filter((a) => a.what === what).length;
  f.reset();
  f.server = http.createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('error', () => {});
    req.on('end', async () => {
      const what = req.url.split('/').pop();
      const body = JSON.parse(Buffer.concat(chunks).toString() || 'null');
      f.asked.push({ what, body, headers: req.headers });
      const answer = await f[what]?.(body, req, res);
      if (answer === undefined) return;
      res.setHeader('content-type', 'application/json');
      res.end(JSON.stringify(answer));
    });
  });
  await new Promise((done) => f.server.listen(0, '127.0.0.1', done));
  f.url = `http://127.0.0.1:${f.server.address().port}`;
  f.stop = () => {
    f.server.closeAllConnections();
    return new Promise((done) => f.server.close(done));
  };
  return f;
}

// Start an example site; resolves when it says that it listens.
export async function startSite(name, env) {
  const child = spawn(path.join(build, 'examples', name), [], {
    env: { ...process.env, PORT: '0', PAY_TO: PAYEE, X402_INTEROP: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const site = { child, log: '' };
  const exited = new Promise((done) => child.on('close', (code, signal) =>
    done({ code, signal })));
  child.stderr.on('data', (data) => { site.log += data; });
  await new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => fail(new Error(`exit ${code}: ${site.log}`)));
    child.stdout.on('data', (data) => {
      site.log += data;
      site.url = /url=(http\S+)/.exec(site.log)?.[1];
      if (site.url) done();
    });
  });
  site.stop = async () => {
    child.kill('SIGTERM');
    return exited;
  };
  return site;
}

// One request on a connection of its own; headers as [name, value] pairs, so
// that they can be doubled. Resolves to status, headers and text.
export function request(site, target, { method = 'GET', headers = [], body }
  = {}) {
  const url = new URL(site.url);
  return new Promise((done, fail) => {
    const req = http.request({
      host: url.hostname, port: url.port, method, path: target, agent: false,
      headers: [['Host', url.host], ...headers].flat(),
    }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('error', fail);
      res.on('end', () => done({
        status: res.statusCode, headers: res.headers,
        text: Buffer.concat(chunks).toString(),
      }));
    });
    req.on('error', fail);
    req.end(body);
  });
}

// Bytes as they are; resolves to all that came back until the server closes
// or has been silent for a while after its answer.
export function raw(site, bytes) {
  const url = new URL(site.url);
  return new Promise((done) => {
    let text = '';
    const socket = net.connect(Number(url.port), url.hostname, () =>
      socket.write(bytes));
    // An answer may take its time; what is silent behind one is over.
    socket.setTimeout(30000, () => socket.destroy());
    socket.on('data', (data) => {
      text += data;
      socket.setTimeout(400);
    });
    socket.on('error', () => {});
    socket.on('close', () => done(text));
  });
}

export async function challenge(site, target, options) {
  const res = await request(site, target, options);
  return decode(res.headers['payment-required']);
}

// An answer to the first offer, v2. The signature is a contract wallet's for
// all that can be known without a chain, so the shop has to ask.
export function pay(required, change = {}) {
  const offer = required.accepts[0];
  const now = Math.floor(Date.now() / 1000);
  const v1 = required.x402Version === 1;
  const payload = {
    signature: '0x' + crypto.randomBytes(65).toString('hex'),
    authorization: {
      from: PAYER, to: offer.payTo,
      value: offer.amount ?? offer.maxAmountRequired,
      validAfter: String(now - 600), validBefore: String(now + 300),
      nonce: '0x' + crypto.randomBytes(32).toString('hex'),
      ...change,
    },
  };
  return encode(v1
    ? { x402Version: 1, scheme: 'exact', network: offer.network, payload }
    : {
      x402Version: 2, payload, resource: required.resource, accepted: offer,
      ...(required.extensions ? { extensions: required.extensions } : {}),
    });
}

export const paying = (payment) => [['PAYMENT-SIGNATURE', payment]];
