// The devnet is a measuring instrument: here it is measured itself.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {createWalletClient, http, parseSignature} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';
import {contracts} from './compile.mjs';
import {nowSeconds, randomNonce, signAuthorization, startDevnet} from './lib.mjs';

let devnet;
let relayer;
const abi = contracts().TestUSDC.abi;

before(async () => {
  devnet = await startDevnet({accounts: 3, fund: 5000});
  const {info} = devnet;
  relayer = createWalletClient({account: privateKeyToAccount(info.accounts.facilitator.privateKey),
    chain: {id: info.chainId, name: 'devnet', nativeCurrency: {name: 'ETH', symbol: 'ETH', decimals: 18},
      rpcUrls: {default: {http: [info.rpcUrl]}}}, transport: http(info.rpcUrl)});
});
after(() => devnet?.stop());

function authorization(change = {}) {
  const {payer, payee} = devnet.info.accounts;
  return {from: payer.address, to: payee.address, value: 1000n, validAfter: 0n,
    validBefore: BigInt(nowSeconds() + 600), nonce: randomNonce(), ...change};
}

/** Sent and mined. */
async function send(auth, signature, overload) {
  const {r, s, v} = overload === 'vrs' ? parseSignature(signature) : {};
  const tail = overload === 'vrs' ? [Number(v), r, s] : [signature];
  const hash = await relayer.writeContract({address: devnet.info.token,
    abi: abi.filter((f) => f.name === 'transferWithAuthorization' && f.inputs.length === 6 + tail.length),
    functionName: 'transferWithAuthorization',
    args: [auth.from, auth.to, auth.value, auth.validAfter, auth.validBefore, auth.nonce, ...tail]});
  await devnet.read.waitForTransactionReceipt({hash, pollingInterval: 20});
}

test('token has the domain of USDC on Base Sepolia', async () => {
  const separator = await devnet.read.readContract({address: devnet.info.token, abi, functionName: 'DOMAIN_SEPARATOR'});
  assert.equal(separator, '0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818');
});

for (const overload of ['vrs', 'bytes']) {
  test(`transfer moves money once (${overload}), a replay reverts in USDC's words`, async () => {
    const {info} = devnet;
    const auth = authorization();
    const signature = await signAuthorization(info, info.accounts.payer.privateKey, auth);
    const before = await devnet.balanceOf(info.accounts.payee.address);
    await send(auth, signature, overload);
    assert.equal(await devnet.balanceOf(info.accounts.payee.address), before + 1000n);
    await assert.rejects(send(auth, signature, overload), /authorization is used or canceled/);
  });
}

test('transfer refuses what USDC refuses, in its words', async () => {
  const {info} = devnet;
  const key = info.accounts.payer.privateKey;
  const cases = [
    [{validBefore: 1n}, /authorization is expired/],
    [{validAfter: BigInt(nowSeconds() + 5000)}, /authorization is not yet valid/],
    [{value: 10n ** 18n}, /transfer amount exceeds balance/],
  ];
  for (const [change, text] of cases) {
    const auth = authorization(change);
    await assert.rejects(send(auth, await signAuthorization(info, key, auth), 'vrs'), text);
  }
  const auth = authorization();
  const other = await signAuthorization(info, info.accounts.payer2.privateKey, auth);
  await assert.rejects(send(auth, other, 'vrs'), /invalid signature/);
});

test('a contract wallet pays by ERC-1271 only', async () => {
  const {info} = devnet;
  const auth = authorization({from: info.smartWallet.address});
  const good = await signAuthorization(info, info.smartWallet.ownerKey, auth);
  await send(auth, `${good}ff`, 'bytes');
  const next = authorization({from: info.smartWallet.address});
  const bad = await signAuthorization(info, info.accounts.payer.privateKey, next);
  await assert.rejects(send(next, bad, 'bytes'), /invalid signature/);
});

test('extra payers are funded, Multicall3 stands at its address', async () => {
  assert.equal(devnet.info.extra.length, 3);
  for (const {address} of devnet.info.extra) assert.equal(await devnet.balanceOf(address), 5000n);
  assert.notEqual(await devnet.rpc('eth_getCode', [devnet.info.multicall3, 'latest']), '0x');
});

test('bad tokens misbehave as their names say', async () => {
  const {info} = devnet;
  const zero = `0x${'0'.repeat(64)}`;
  for (const [name, arrived] of [['FeeToken', 990n], ['SilentToken', 1000n], ['FakeLogToken', 0n]]) {
    const token = info.badTokens[name];
    const auth = authorization();
    const before = await devnet.balanceOf(auth.to, token);
    const hash = await relayer.writeContract({address: token, abi: contracts()[name].abi,
      functionName: 'transferWithAuthorization',
      args: [auth.from, auth.to, auth.value, auth.validAfter, auth.validBefore, auth.nonce, 27, zero, zero]});
    await devnet.read.waitForTransactionReceipt({hash, pollingInterval: 20});
    assert.equal(await devnet.balanceOf(auth.to, token) - before, arrived, name);
  }
});
