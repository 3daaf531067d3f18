// What the facilitator's system tests share: start a real daemon, make and
// sign payments, ask. The chain comes from tests/devnet.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { tied } from '../devnet/lib.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
export const viem = require('viem');
export const accounts = require('viem/accounts');

const top = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');
export const buildDir = path.resolve(process.env.X402_BUILD_DIR ?? path.join(top, 'build'));
export const binary = path.join(buildDir, 'facilitator/x402-facilitator');

export const CAIP2 = 'eip155:84532';
export const AMOUNT = '10000';

process.setMaxListeners(0);

export const sleep = ms => new Promise(done => setTimeout(done, ms));

export function temporaryDirectory() {
  const dir = mkdtempSync(path.join(tmpdir(), 'x402-fac-'));
  process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

// A daemon. env: variables; args: command line. Resolves when it listens;
// rejects with its exit code and log when it ends first.
export function startFacilitator({ env = {}, args = [] }) {
  const child = spawn(...tied(binary, args), {
    env: { PATH: process.env.PATH, HOME: '/nonexistent', PORT: '0',
      ASAN_OPTIONS: process.env.ASAN_OPTIONS ?? '',
      UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const daemon = { child, log: '', url: null };
  daemon.exited = new Promise(done => child.once('close', (code, signal) => {
    daemon.code = code;
    done({ code, signal });
  }));
  daemon.stop = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null)
      child.kill(signal);
    return daemon.exited;
  };
  process.on('exit', () => child.exitCode === null && child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    const onData = data => {
      daemon.log += data;
      const found = /listening url=(http:\S+)/.exec(daemon.log);
      if (found && !daemon.url) {
        daemon.url = found[1];
        resolve(daemon);
      }
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    child.once('error', reject);
    daemon.exited.then(({ code, signal }) => reject(Object.assign(
      new Error(`the daemon ended: code ${code} signal ${signal}\n${daemon.log}`),
      { code, log: daemon.log })));
  });
}

export function facilitatorEnv(info, more = {}) {
  return {
    EVM_RPC_URL: info.rpcUrl,
    EVM_PRIVATE_KEY: info.accounts.facilitator.privateKey,
    X402_NETWORK: CAIP2,
    X402_STORE: path.join(temporaryDirectory(), 'facilitator.sqlite'),
    ...more,
  };
}

export async function request(url, { method = 'GET', body, headers = {} } = {}) {
  const response = await fetch(url, {
    method,
    headers: body === undefined ? headers
      : { 'content-type': 'application/json', ...headers },
    body: body === undefined || typeof body === 'string' || body instanceof Uint8Array
      ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let json;
  try {
    json = text ? JSON.parse(text) : undefined;
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, text, json };
}

export const post = (url, body, headers) =>
  request(url, { method: 'POST', body, headers });

export const now = () => Math.floor(Date.now() / 1000);

const transferTypes = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' }, { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' }, { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' }, { name: 'nonce', type: 'bytes32' },
  ],
};

// The parts of a good payment, before signing: change what you like, then
// hand it to body().
export function parts(info, from = 'payer') {
  const account = typeof from === 'string' ? info.accounts[from] : from;
  return {
    version: 2,
    account,
    authorization: {
      from: account.address,
      to: info.accounts.payee.address,
      value: AMOUNT,
      // anvil's clock stands still between blocks.
      validAfter: String(now() - 3600),
      validBefore: String(now() + 300),
      nonce: `0x${randomBytes(32).toString('hex')}`,
    },
    domain: {
      name: info.tokenName ?? 'USDC', version: info.tokenVersion ?? '2',
      chainId: 84532, verifyingContract: info.token,
    },
    requirements: {
      scheme: 'exact', network: CAIP2, amount: AMOUNT, asset: info.token,
      payTo: info.accounts.payee.address, maxTimeoutSeconds: 300,
      extra: { name: info.tokenName ?? 'USDC', version: info.tokenVersion ?? '2' },
    },
    resource: { url: 'http://shop.example/paid', description: 'An article',
      mimeType: 'text/html' },
    extensions: undefined,
  };
}

export const sign = p =>
  accounts.privateKeyToAccount(p.signKey ?? p.account.privateKey).signTypedData({
    domain: p.domain, types: transferTypes,
    primaryType: 'TransferWithAuthorization', message: p.authorization,
  });

// The body of /verify and /settle, v2 or v1.
export async function body(p) {
  const signature = p.signature ?? await sign(p);
  const payload = { signature, authorization: p.authorization };
  if (p.version === 1) {
    const { amount, ...rest } = p.requirements;
    return {
      x402Version: 1,
      paymentPayload: { x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload },
      paymentRequirements: {
        ...rest, network: 'base-sepolia', maxAmountRequired: amount,
        resource: p.resource.url, description: '', mimeType: '',
      },
    };
  }
  return {
    x402Version: 2,
    paymentPayload: {
      x402Version: 2, resource: p.resource, accepted: structuredClone(p.requirements),
      payload, ...(p.extensions ? { extensions: p.extensions } : {}),
    },
    paymentRequirements: p.requirements,
  };
}

export const goodBody = async (info, from) => body(parts(info, from));

const readAbi = viem.parseAbi([
  'function balanceOf(address) view returns (uint256)',
  'function authorizationState(address,bytes32) view returns (bool)',
]);

export async function chainCall(info, functionName, args, address = info.token) {
  const client = viem.createPublicClient({ transport: viem.http(info.rpcUrl) });
  return client.readContract({ address, abi: readAbi, functionName, args });
}
export const balance = (info, who, token) =>
  chainCall(info, 'balanceOf', [who], token);
export const isUsed = (info, authorization, token) =>
  chainCall(info, 'authorizationState',
    [authorization.from, authorization.nonce], token);

export async function chainRpc(info, method, params = []) {
  const answer = await post(info.rpcUrl,
    { jsonrpc: '2.0', id: 1, method, params });
  if (answer.json.error)
    throw new Error(`${method}: ${answer.json.error.message}`);
  return answer.json.result;
}
