// Runs negative.table.mjs on a real daemon and a real chain. Each case is
// asked of /verify and of /settle, and after a refusal the authorization must
// still be unused on the chain: refused money does not move.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { mined, startDevnet } from '../devnet/lib.mjs';
import * as f from './facilitator.lib.mjs';
import { startProxy } from './rpc.proxy.mjs';
import { table } from './negative.table.mjs';

let devnet;
let info;
let main;
let settledValue = 0n;
let startBalance;

before(async () => {
  devnet = await startDevnet({});
  info = devnet.info;
  main = await f.startFacilitator({ env: f.facilitatorEnv(info) });
  startBalance = await f.balance(info, info.accounts.payee.address);
});

after(async () => {
  const end = await main?.stop();
  await devnet?.stop();
  if (end)
    assert.equal(end.code, 0, main.log);
});

const tokenAbi = f.viem.parseAbi([
  'function transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,bytes)',
  'function transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
  'function mint(address,uint256)',
  'function cancelAuthorization(address,bytes32,uint8,bytes32,bytes32)',
]);

async function send(functionName, args, address = info.token) {
  const account = f.accounts.privateKeyToAccount(info.accounts.payer2.privateKey);
  const transport = f.viem.http(info.rpcUrl);
  const hash = await f.viem.createWalletClient({ account, transport })
    .writeContract({ address, abi: tokenAbi, functionName, args, chain: null });
  const receipt = await mined(f.viem.createPublicClient({ transport }), hash);
  assert.equal(receipt.status, 'success');
}

const transferArgs = (a, signature) =>
  [a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature];

const prepare = {
  async use(p) {
    await send('transferWithAuthorization', transferArgs(p.authorization, await f.sign(p)));
    settledValue += BigInt(p.authorization.value);
  },
  // Its token checks no signature, and takes them in this form only.
  async useSilently(p) {
    const { r, s, v } = f.viem.parseSignature(await f.sign(p));
    const { from, to, value, validAfter, validBefore, nonce } = p.authorization;
    // Two functions have this name: the types of the arguments say which.
    await send('transferWithAuthorization', [from, to, BigInt(value), BigInt(validAfter), BigInt(validBefore), nonce,
      Number(v), r, s], p.requirements.asset);
  },
  async cancel(p) {
    const signature = await f.accounts.privateKeyToAccount(p.account.privateKey).signTypedData({
      domain: p.domain,
      types: { CancelAuthorization: [
        { name: 'authorizer', type: 'address' }, { name: 'nonce', type: 'bytes32' }] },
      primaryType: 'CancelAuthorization',
      message: { authorizer: p.authorization.from, nonce: p.authorization.nonce },
    });
    const { r, s, v } = f.viem.parseSignature(signature);
    await send('cancelAuthorization', [p.authorization.from, p.authorization.nonce, Number(v), r, s]);
  },
  async othersNonce(p) {
    const other = f.parts(info, 'payer2');
    other.authorization.nonce = p.authorization.nonce;
    await send('transferWithAuthorization', transferArgs(other.authorization, await f.sign(other)));
    settledValue += BigInt(other.authorization.value);
  },
};

async function build(entry) {
  if (entry.raw)
    return { body: entry.raw() };
  const p = f.parts(info);
  if (entry.token) {
    const token = info.badTokens[entry.token];
    p.requirements.asset = p.domain.verifyingContract = token;
    await send('mint', [p.authorization.from, BigInt(f.AMOUNT)], token);
  }
  entry.change?.(p, info);
  if (entry.prepare)
    await prepare[entry.prepare](p);
  const body = await f.body(p);
  entry.tamper?.(body, info);
  return { body, p };
}

const settleHeaders = entry => entry.settle ? { 'x-request-timeout': '3' } : {};

const isReadable = authorization =>
  /^0x[0-9a-f]{64}$/i.test(authorization?.nonce ?? '') &&
  f.viem.isAddress(authorization.from ?? '', { strict: false });

async function askRefused(entry, url, p, body) {
  const { expect } = entry;
  const verified = await f.post(`${url}/verify`, body);
  assert.equal(verified.status, expect.status, verified.text);
  const settled = await f.post(`${url}/settle`, body);
  assert.equal(settled.status, expect.status, settled.text);
  if (!expect.reason) {
    for (const answer of [verified, settled]) {
      if (typeof expect.error === 'string')
        assert.deepEqual(answer.json, { error: expect.error });
      else if (expect.error)
        assert.match(answer.json.error, expect.error);
      else
        assert.equal(typeof answer.json.error, 'string', answer.text);
    }
    return;
  }
  assert.equal(verified.json.isValid, false);
  assert.equal(verified.json.invalidReason, expect.reason, verified.text);
  assert.ok(verified.json.invalidMessage.length > 0 && verified.json.invalidMessage.length <= 500);
  assert.equal(settled.json.success, false);
  assert.equal(settled.json.errorReason, expect.settle ?? expect.reason, settled.text);
  assert.equal(settled.json.transaction, '');
  if (p && !entry.prepare && !entry.token && isReadable(body.paymentPayload?.payload?.authorization))
    assert.equal(await f.isUsed(info, p.authorization), false, 'money moved');
}

async function askSettle(entry, url, body) {
  const answer = await f.post(`${url}/settle`, body, settleHeaders(entry));
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json.success, false, answer.text);
  assert.equal(answer.json.errorReason, entry.settle, answer.text);
  if (entry.hash)
    assert.match(answer.json.transaction, /^0x[0-9a-f]{64}$/);
  if (entry.settle === 'settlement_pending')
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
}

async function askValid(entry, url, p, body) {
  const verified = await f.post(`${url}/verify`, body);
  assert.equal(verified.json.isValid, true, verified.text);
  const settled = await f.post(`${url}/settle`, body);
  assert.equal(settled.json.success, true, settled.text);
  assert.equal(await f.isUsed(info, p.authorization), true);
  settledValue += BigInt(f.AMOUNT);
}

// A daemon of its own behind the lie; honest until it listens. It has another
// signer than the main one: two daemons must not share a nonce.
async function withProxy(entry, run) {
  const mode = {};
  const proxy = await startProxy(info.rpcUrl, mode);
  if (entry.exit) {
    Object.assign(mode, entry.proxy);
    await assert.rejects(
      f.startFacilitator({ env: f.facilitatorEnv(info, { EVM_RPC_URL: proxy.url, X402_WORKERS: '1' }) }),
      { code: entry.exit });
    await proxy.stop();
    return;
  }
  const daemon = await f.startFacilitator({
    env: f.facilitatorEnv(info, { EVM_RPC_URL: proxy.url, X402_WORKERS: '1',
      EVM_PRIVATE_KEY: info.accounts.payee.privateKey }) });
  try {
    if (entry.proxy === 'down')
      await proxy.stop();
    else
      Object.assign(mode, entry.proxy);
    await run(daemon.url);
  } finally {
    const end = await daemon.stop('SIGQUIT');
    if (entry.proxy !== 'down')
      await proxy.stop();
    assert.equal(end.code, 0, daemon.log);
  }
}

describe('the facilitator refuses', () => {
  for (const entry of table) {
    test(`${entry.valid ? 'accepts' : 'refuses'} ${entry.name} (${entry.row})`, async () => {
      const { body, p } = await build(entry);
      const ask = url => entry.valid ? askValid(entry, url, p, body)
        : entry.settle ? askSettle(entry, url, body)
          : askRefused(entry, url, p, body);
      const paid = !entry.token && /receipt/.test(entry.name);
      if (entry.proxy)
        await withProxy(entry, ask);
      else
        await ask(main.url);
      // A lie about a receipt does not undo the transfer.
      if (paid && await f.isUsed(info, p.authorization))
        settledValue += BigInt(f.AMOUNT);
    });
  }

  test('the payee has exactly what was settled', async () => {
    const balance = await f.balance(info, info.accounts.payee.address);
    assert.equal(balance - startBalance, settledValue);
  });
});
