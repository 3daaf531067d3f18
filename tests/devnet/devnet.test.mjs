// The devnet is a measuring instrument: here it is measured itself.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {createWalletClient, encodeFunctionData, http, parseSignature} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';
import {contracts} from './compile.mjs';
import {mined, nowSeconds, permit2Request, randomNonce, rpc, run, signAuthorization, signPermit2612, sleep,
  startDevnet} from './lib.mjs';

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
  await mined(devnet.read, hash);
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

/** An EIP-712 signature under the token's domain, as {v, r, s}. */
async function signToken(privateKey, primaryType, fields, message) {
  const {info} = devnet;
  const signature = await privateKeyToAccount(privateKey).signTypedData({
    domain: {name: info.tokenName, version: info.tokenVersion, chainId: info.chainId, verifyingContract: info.token},
    types: {[primaryType]: fields.map(([type, name]) => ({type, name}))}, primaryType, message});
  const {r, s, v} = parseSignature(signature);
  return [Number(v), r, s];
}

async function call(functionName, args, from = relayer) {
  const hash = await from.writeContract({address: devnet.info.token, abi, functionName, args});
  return mined(devnet.read, hash);
}

test('a cancelled authorization cannot be spent or cancelled again', async () => {
  const {payer, payer2} = devnet.info.accounts;
  const auth = authorization();
  const fields = [['address', 'authorizer'], ['bytes32', 'nonce']];
  const message = {authorizer: auth.from, nonce: auth.nonce};
  const stranger = await signToken(payer2.privateKey, 'CancelAuthorization', fields, message);
  await assert.rejects(call('cancelAuthorization', [auth.from, auth.nonce, ...stranger]), /invalid signature/);
  const good = await signToken(payer.privateKey, 'CancelAuthorization', fields, message);
  await call('cancelAuthorization', [auth.from, auth.nonce, ...good]);
  assert.equal(await devnet.read.readContract({address: devnet.info.token, abi,
    functionName: 'authorizationState', args: [auth.from, auth.nonce]}), true);
  const signature = await signAuthorization(devnet.info, payer.privateKey, auth);
  await assert.rejects(send(auth, signature, 'vrs'), /authorization is used or canceled/);
  await assert.rejects(call('cancelAuthorization', [auth.from, auth.nonce, ...good]),
    /authorization is used or canceled/);
});

test('only the payee may receive, and not with a transfer signature', async () => {
  const {info} = devnet;
  const {facilitator, payer} = info.accounts;
  const fields = [['address', 'from'], ['address', 'to'], ['uint256', 'value'],
    ['uint256', 'validAfter'], ['uint256', 'validBefore'], ['bytes32', 'nonce']];
  const receive = async (auth, tail) => call('receiveWithAuthorization',
    [auth.from, auth.to, auth.value, auth.validAfter, auth.validBefore, auth.nonce, ...tail]);
  const others = authorization();
  await assert.rejects(receive(others, await signToken(payer.privateKey, 'ReceiveWithAuthorization', fields, others)),
    /caller must be the payee/);
  const own = authorization({to: facilitator.address});
  await assert.rejects(receive(own, await signToken(payer.privateKey, 'TransferWithAuthorization', fields, own)),
    /invalid signature/);
  const before = await devnet.balanceOf(facilitator.address);
  await receive(own, await signToken(payer.privateKey, 'ReceiveWithAuthorization', fields, own));
  assert.equal(await devnet.balanceOf(facilitator.address), before + own.value);
});

test('a permit allows once and not after its deadline', async () => {
  const {facilitator, payer} = devnet.info.accounts;
  const fields = [['address', 'owner'], ['address', 'spender'], ['uint256', 'value'],
    ['uint256', 'nonce'], ['uint256', 'deadline']];
  const permit = async (deadline) => {
    const nonce = await devnet.read.readContract({address: devnet.info.token, abi, functionName: 'nonces',
      args: [payer.address]});
    const message = {owner: payer.address, spender: facilitator.address, value: 77n, nonce, deadline};
    return [payer.address, facilitator.address, 77n, deadline,
      ...await signToken(payer.privateKey, 'Permit', fields, message)];
  };
  await assert.rejects(call('permit', await permit(1n)), /permit is expired/);
  const good = await permit(BigInt(nowSeconds() + 600));
  await call('permit', good);
  assert.equal(await devnet.read.readContract({address: devnet.info.token, abi, functionName: 'allowance',
    args: [payer.address, facilitator.address]}), 77n);
  await assert.rejects(call('permit', good), /invalid signature/);
});

test('a signature for another domain pays nothing', async () => {
  const {info} = devnet;
  for (const domain of [{chainId: 1}, {name: 'USD Coin'}, {version: '1'}, {verifyingContract: info.multicall3}]) {
    const auth = authorization();
    const signature = await signAuthorization(info, info.accounts.payer.privateKey, auth, domain);
    await assert.rejects(send(auth, signature, 'bytes'), /invalid signature/);
  }
});

/** Through a proxy, as a facilitator would. change: see permit2Request; amount: upto's. */
async function settlePermit2(scheme, change = {}, {amount = 1000n, permit2612} = {}) {
  const {info} = devnet;
  const body = await permit2Request(info, {scheme, ...change});
  const {permit2Authorization: permit, signature} = body.paymentPayload.payload;
  const name = scheme === 'exact' ? 'ExactPermit2Proxy' : 'UptoPermit2Proxy';
  const {from, witness, permitted, nonce, deadline} = permit;
  const first = permit2612 ? [{value: permit2612.amount, deadline: permit2612.deadline,
    ...(({r, s, v}) => ({r, s, v: Number(v)}))(parseSignature(permit2612.signature))}] : [];
  const hash = await relayer.writeContract({address: permit.spender, abi: contracts()[name].abi,
    functionName: permit2612 ? 'settleWithPermit' : 'settle',
    args: [...first, {permitted, nonce, deadline}, ...(scheme === 'upto' ? [amount] : []), from, witness, signature]});
  await mined(devnet.read, hash);
  return permit;
}

test('Permit2 is the deployed one, with the domain of this chain', async () => {
  const {info} = devnet;
  const [separator] = await Promise.all([info.permit2, info.exactProxy, info.uptoProxy].map(
    (to, i) => devnet.rpc('eth_call', [{to, data: i === 0 ? '0x3644e515' : '0x6afdd850'}, 'latest'])));
  assert.equal(separator, '0x010f27a92fb9a32622f44f001dc4d15706a85b33499cfc2ce9033113ab26592c');
});

for (const scheme of ['exact', 'upto']) {
  test(`${scheme} moves money once through Permit2`, async () => {
    const {info} = devnet;
    const before = await devnet.balanceOf(info.accounts.payee.address);
    const permit = await settlePermit2(scheme, {}, {amount: scheme === 'upto' ? 400n : 1000n});
    const moved = await devnet.balanceOf(info.accounts.payee.address) - before;
    assert.equal(moved, scheme === 'upto' ? 400n : 1000n);
    await assert.rejects(settlePermit2(scheme, {permit: {nonce: permit.nonce}}), /0x756688fe/); // InvalidNonce()
  });

  test(`${scheme} takes a permit on the way, and refuses one of another value`, async () => {
    const {info} = devnet;
    const {address, privateKey} = info.accounts.payer2;
    const nonce = await devnet.read.readContract({address: info.token, abi, functionName: 'nonces', args: [address]});
    const permit2612 = await signPermit2612(info, privateKey, {terms: {nonce: String(nonce)}});
    await settlePermit2(scheme, {privateKey}, {permit2612});
    await assert.rejects(settlePermit2(scheme, {privateKey}, {permit2612: {...permit2612, amount: '1001'}}),
      /Permit2612AmountMismatch/);
    // It was for these 1000 alone, and is used.
    await assert.rejects(settlePermit2(scheme, {privateKey}), /TRANSFER_FROM_FAILED/);
  });
}

test('upto is for its facilitator, and for no more than was permitted', async () => {
  const {info} = devnet;
  await assert.rejects(settlePermit2('upto', {}, {amount: 1001n}), /AmountExceedsPermitted/);
  const witness = {to: info.accounts.payee.address, facilitator: info.accounts.payee.address, validAfter: '0'};
  await assert.rejects(settlePermit2('upto', {permit: {witness}}), /UnauthorizedFacilitator/);
});

test('a wallet is at the address that its factory says', async () => {
  const {info} = devnet;
  const {abi: factoryAbi} = contracts().WalletFactory;
  const args = [info.accounts.payer.address, `0x${'07'.repeat(32)}`];
  const address = await devnet.read.readContract({address: info.factory, abi: factoryAbi, functionName: 'addressOf', args});
  assert.equal(await devnet.read.getCode({address}), undefined);
  const hash = await relayer.writeContract({address: info.factory, abi: factoryAbi, functionName: 'create', args});
  await mined(devnet.read, hash);
  const owner = await devnet.read.readContract({address, abi: contracts().SmartWallet.abi, functionName: 'owner'});
  assert.equal(owner, info.accounts.payer.address);
});

test('extra payers are funded', async () => {
  assert.equal(devnet.info.extra.length, 3);
  for (const {address} of devnet.info.extra) assert.equal(await devnet.balanceOf(address), 5000n);
});

const aggregate3 = [{type: 'function', name: 'aggregate3', stateMutability: 'payable',
  inputs: [{name: 'calls', type: 'tuple[]', components: [{name: 'target', type: 'address'},
    {name: 'allowFailure', type: 'bool'}, {name: 'callData', type: 'bytes'}]}],
  outputs: [{name: 'results', type: 'tuple[]', components: [{name: 'success', type: 'bool'},
    {name: 'returnData', type: 'bytes'}]}]}];

test('Multicall3 answers each call, also beside one that fails', async () => {
  const {info} = devnet;
  const transfer = encodeFunctionData({abi, functionName: 'transfer', args: [info.accounts.payee.address, 1n]});
  const decimals = encodeFunctionData({abi, functionName: 'decimals'});
  const ask = (allowFailure) => devnet.read.readContract({address: info.multicall3, abi: aggregate3,
    functionName: 'aggregate3', args: [[
      {target: info.token, allowFailure, callData: transfer}, // Multicall3 itself owns nothing
      {target: info.token, allowFailure: false, callData: decimals}]]});
  const results = await ask(true);
  assert.deepEqual(results.map((result) => result.success), [false, true]);
  assert.equal(BigInt(results[1].returnData), 6n);
  await assert.rejects(ask(false), /call failed/);
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
    await mined(devnet.read, hash);
    assert.equal(await devnet.balanceOf(auth.to, token) - before, arrived, name);
  }
});

test('SilentToken takes a used nonce without a word and moves nothing', async () => {
  const {info} = devnet;
  const token = info.badTokens.SilentToken;
  const zero = `0x${'0'.repeat(64)}`;
  const auth = authorization();
  const pay = async () => {
    const hash = await relayer.writeContract({address: token, abi: contracts().SilentToken.abi,
      functionName: 'transferWithAuthorization',
      args: [auth.from, auth.to, auth.value, auth.validAfter, auth.validBefore, auth.nonce, 27, zero, zero]});
    return mined(devnet.read, hash);
  };
  await pay();
  const before = await devnet.balanceOf(auth.to, token);
  const receipt = await pay();
  assert.equal(receipt.status, 'success');
  assert.equal(receipt.logs.length, 1);
  assert.equal(await devnet.balanceOf(auth.to, token), before);
});

/** The chain is gone when nobody listens on its port. */
async function assertGone(url) {
  for (let tries = 0; tries < 300; tries++) {
    try {
      await rpc(url, 'eth_chainId');
    } catch {
      return;
    }
    await sleep(100);
  }
  assert.fail(`anvil still answers on ${url}`);
}

// KILL is what a test process sends to what it leaves behind (lib.mjs).
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGKILL']) {
  test(`anvil does not outlive its devnet (${signal})`, async () => {
    const short = await startDevnet();
    process.kill(short.info.pid, signal);
    await assertGone(short.info.rpcUrl);
    await short.stop();
  });
}

test('a devnet does not outlive the process that started it', async () => {
  const lib = new URL('./lib.mjs', import.meta.url);
  const script = `import {startDevnet} from '${lib}';
    const {info} = await startDevnet(); console.log(info.rpcUrl); process.kill(process.pid, 'SIGKILL');`;
  const {code, stdout, stderr} = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(code, 'SIGKILL', stderr);
  await assertGone(stdout.trim());
});

test('a program does not outlive the test process that started it', async () => {
  const lib = new URL('./lib.mjs', import.meta.url);
  const script = `import {start} from '${lib}';
    const {pid} = await start('sleep', ['600']); console.log(pid); process.kill(process.pid, 'SIGKILL');`;
  const {code, stdout, stderr} = await run(process.execPath, ['--input-type=module', '-e', script]);
  assert.equal(code, 'SIGKILL', stderr);
  const pid = Number(stdout);
  assert.ok(pid > 1, stdout);
  for (let tries = 0; tries < 600; tries++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(50);
  }
  process.kill(pid, 'SIGKILL');
  assert.fail(`${pid} still runs`);
});

test('options that mean nothing are refused', async () => {
  const devnetScript = new URL('./devnet.mjs', import.meta.url).pathname;
  for (const args of [['--accounts', 'many'], ['--fund', '1.5'], ['--port', '70000'], ['--block-time', 'x'],
    ['--block-time', '0'], ['--unknown'], ['unknown']]) {
    const {code, stdout, stderr} = await run(process.execPath, [devnetScript, ...args]);
    assert.equal(code, 2, `${args}: ${stderr}`);
    assert.equal(stdout, '');
    assert.match(stderr, /^devnet: .*\n$/);
  }
});
