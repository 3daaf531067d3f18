// What tests of real processes share: start a devnet, start a program and wait
// until it says where it listens, ask the chain, and stop it all by process id.
import {spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {createPublicClient, createWalletClient, encodeFunctionData, http, maxUint256, parseAbi, parseSignature,
  parseTransaction, toHex} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';
import {contracts} from './compile.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
export const top = join(here, '../..');
export const buildDir = process.env.X402_BUILD_DIR ?? join(top, 'build/release');
export const programs = {
  facilitator: join(buildDir, 'facilitator/x402-facilitator'),
  client: join(buildDir, 'client-sdk/x402'),
  site: join(buildDir, 'examples/content-site'),
};

export {freePort} from './ports.mjs';
export {mined} from './mined.mjs';
export {parseTransaction}; // for tests that cannot see our packages
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A directory that is gone when the test process ends. */
export function scratchDir(name = 'x402-test-') {
  const dir = mkdtempSync(join(tmpdir(), name));
  process.on('exit', () => rmSync(dir, {recursive: true, force: true}));
  return dir;
}

const journalDir = scratchDir('x402-journal-');

// The kernel ends the child when this process ends, also when it is killed and
// no handler of ours runs. Arguments for spawn().
export const tied = (command, args) => ['setpriv', ['--pdeathsig', 'KILL', '--', command, ...args]];

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Start a program and collect what it says. `ready` is a pattern that its
 * output must match first; the match is in the result. Ends with the test
 * process, whatever happens.
 * @returns {{child, pid, match, output(): string, stop(signal?): Promise<number|null>}}
 */
export async function start(command, args, {env = {}, ready, timeoutMs = 30000, cwd} = {}) {
  const child = spawn(...tied(command, args), {env: {PATH: process.env.PATH, HOME: process.env.HOME,
    ASAN_OPTIONS: process.env.ASAN_OPTIONS, UBSAN_OPTIONS: process.env.UBSAN_OPTIONS,
    TSAN_OPTIONS: process.env.TSAN_OPTIONS, ...env}, cwd, stdio: ['pipe', 'pipe', 'pipe']});
  let output = '';
  running.add(child);
  const exited = new Promise((resolve) => child.once('close', (code, signal) => {
    running.delete(child);
    resolve(signal ?? code);
  }));
  child.stdin.on('error', () => {});
  const process_ = {
    child, pid: child.pid, match: null, exited,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), 15000);
      const code = await exited;
      clearTimeout(timer);
      return code;
    },
  };
  await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL'); // or the test that failed for it would never end
      reject(new Error(`${command}: expected ${ready} within ${timeoutMs} ms, got:\n${output}`));
    }, timeoutMs);
    const look = (data) => {
      output += data;
      const match = ready && !process_.match && output.match(ready);
      if (match) {
        process_.match = match;
        clearTimeout(timer);
        resolve();
      }
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`${command} ended (${code}):\n${output}`));
    });
    if (!ready) {
      clearTimeout(timer);
      resolve();
    }
  });
  return process_;
}

/** Run to the end: {code, stdout, stderr}. */
export async function run(command, args, {env = {}, input, timeoutMs = 60000} = {}) {
  const child = spawn(...tied(command, args), {env: {PATH: process.env.PATH, HOME: process.env.HOME,
    // A journal of the tests' own, not of whoever runs them.
    X402_JOURNAL: join(journalDir, 'journal.sqlite'),
    ASAN_OPTIONS: process.env.ASAN_OPTIONS, UBSAN_OPTIONS: process.env.UBSAN_OPTIONS, ...env}});
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => { stdout += data; });
  child.stderr.on('data', (data) => { stderr += data; });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  running.delete(child);
  return {code: signal ?? code, stdout, stderr};
}

export async function rpc(url, method, params = []) {
  const response = await fetch(url, {method: 'POST', headers: {'content-type': 'application/json'},
    body: JSON.stringify({jsonrpc: '2.0', id: 1, method, params})});
  const body = await response.json();
  if (body.error) throw new Error(`${method}: ${JSON.stringify(body.error)}`);
  return body.result;
}

/**
 * Start a devnet. Options are devnet.mjs's: blockTime, gasLimit, accounts, fund, port.
 * @returns {{info, rpc(method, params), balanceOf(address): Promise<bigint>, read, stop()}}
 */
export async function startDevnet({blockTime, gasLimit, accounts, fund, port} = {}) {
  const args = [join(here, 'devnet.mjs'), '--stdin-lifeline'];
  if (port) args.push('--port', String(port));
  if (blockTime) args.push('--block-time', String(blockTime));
  if (gasLimit) args.push('--gas-limit', String(gasLimit));
  if (accounts) args.push('--accounts', String(accounts));
  if (fund) args.push('--fund', String(fund));
  const devnet = await start(process.execPath, args, {ready: /^(\{.*\})$/m, timeoutMs: 120000});
  const info = JSON.parse(devnet.match[1]);
  const read = createPublicClient({transport: http(info.rpcUrl)});
  return {
    info, read,
    rpc: (method, params) => rpc(info.rpcUrl, method, params),
    async balanceOf(address, token = info.token) {
      const data = `0x70a08231${address.slice(2).toLowerCase().padStart(64, '0')}`;
      return BigInt(await rpc(info.rpcUrl, 'eth_call', [{to: token, data}, 'latest']));
    },
    stop: () => devnet.stop(),
  };
}

/**
 * A race that no clock decides. No block is made until `sent` transactions of
 * what `act` does wait for one, and those of `rivals` beside them: what pays
 * more comes first in the next block. The devnet makes blocks by itself
 * (blockTime), and nothing else sends on it. Gives what act gives.
 */
export async function raced(devnet, act, sent, rivals) {
  const waiting = async (count) => {
    const end = Date.now() + 30000;
    while (Number((await devnet.rpc('txpool_status', [])).pending) < count) {
      if (Date.now() > end) throw new Error(`expected ${count} transactions in the pool`);
      await sleep(20);
    }
  };
  const racing = [];
  await devnet.rpc('evm_setIntervalMining', [0]);
  try {
    racing.push(act());
    await waiting(sent);
    racing.push(...rivals.map((rival) => rival()));
    await waiting(sent + rivals.length);
  } finally {
    await devnet.rpc('evm_setIntervalMining', [1]);
  }
  return (await Promise.all(racing))[0];
}

/**
 * Start the facilitator; environment alone, as the README shows. under: a
 * command that runs it; args: its own.
 */
export async function startFacilitator(devnet, env = {}, {under = [], args = []} = {}) {
  const dir = scratchDir();
  const [command, ...rest] = [...under, programs.facilitator, ...args];
  const facilitator = await start(command, rest, {
    env: {PORT: '0', EVM_RPC_URL: devnet.info.rpcUrl,
      EVM_PRIVATE_KEY: devnet.info.accounts.facilitator.privateKey,
      X402_STORE: join(dir, 'facilitator.sqlite'), ...env},
    ready: /url=(http:\/\/[0-9.:]+)/,
  });
  facilitator.url = facilitator.match[1];
  return facilitator;
}

/** POST JSON and read JSON: {status, headers, body, text}. */
export async function post(url, body, headers = {}, {signal} = {}) {
  const response = await fetch(url, {method: 'POST', headers: {'content-type': 'application/json', ...headers}, signal,
    body: typeof body === 'string' ? body : JSON.stringify(body)});
  const text = await response.text();
  let json = null;
  try {
    json = JSON.parse(text);
  } catch { /* the caller looks at text */ }
  return {status: response.status, headers: response.headers, body: json, text};
}

const types = {TransferWithAuthorization: [
  {name: 'from', type: 'address'}, {name: 'to', type: 'address'}, {name: 'value', type: 'uint256'},
  {name: 'validAfter', type: 'uint256'}, {name: 'validBefore', type: 'uint256'}, {name: 'nonce', type: 'bytes32'}]};

/** viem's account of the payer, for tests that cannot see our packages. */
export const payerAccount = (devnet) => privateKeyToAccount(devnet.info.accounts.payer.privateKey);

export const randomNonce = () => toHex(randomBytes(32));
export const nowSeconds = () => Math.floor(Date.now() / 1000);

/** Sign an authorization with viem, independently of our own code. */
export async function signAuthorization(info, privateKey, authorization, domain = {}) {
  return privateKeyToAccount(privateKey).signTypedData({
    domain: {name: info.tokenName, version: info.tokenVersion, chainId: info.chainId,
      verifyingContract: info.token, ...domain},
    types, primaryType: 'TransferWithAuthorization', message: authorization});
}

/** A facilitator request (v2) with a good payment; `change` may alter parts. */
export async function paymentRequest(info, change = {}) {
  const key = change.privateKey ?? info.accounts.payer.privateKey;
  const authorization = {
    from: privateKeyToAccount(key).address, to: info.accounts.payee.address, value: '1000',
    validAfter: String(nowSeconds() - 600), validBefore: String(nowSeconds() + 300),
    nonce: randomNonce(), ...change.authorization};
  const signature = change.signature ?? await signAuthorization(info, key, authorization, change.domain);
  const requirements = {scheme: 'exact', network: info.network, amount: '1000', asset: info.token,
    payTo: info.accounts.payee.address, maxTimeoutSeconds: 300,
    extra: {name: info.tokenName, version: info.tokenVersion}, ...change.requirements};
  return {x402Version: 2,
    paymentPayload: {x402Version: 2, payload: {authorization, signature},
      resource: {url: 'http://127.0.0.1/paid', description: '', mimeType: ''}, accepted: {...requirements},
      ...change.payload},
    paymentRequirements: requirements};
}

const permit2Types = {
  exact: {
    PermitWitnessTransferFrom: [
      {name: 'permitted', type: 'TokenPermissions'}, {name: 'spender', type: 'address'},
      {name: 'nonce', type: 'uint256'}, {name: 'deadline', type: 'uint256'}, {name: 'witness', type: 'Witness'}],
    TokenPermissions: [{name: 'token', type: 'address'}, {name: 'amount', type: 'uint256'}],
    Witness: [{name: 'to', type: 'address'}, {name: 'validAfter', type: 'uint256'}]},
};
permit2Types.upto = {...permit2Types.exact, Witness: [
  {name: 'to', type: 'address'}, {name: 'facilitator', type: 'address'}, {name: 'validAfter', type: 'uint256'}]};

/** Sign a Permit2 authorization with viem, independently of our own code. */
export async function signPermit2(info, privateKey, scheme, permit, domain = {}) {
  const {from, ...message} = permit;
  return privateKeyToAccount(privateKey).signTypedData({
    domain: {name: 'Permit2', chainId: info.chainId, verifyingContract: info.permit2, ...domain},
    types: permit2Types[scheme], primaryType: 'PermitWitnessTransferFrom', message});
}

/** Sign an EIP-2612 permit for Permit2; the extension's info (C-064). */
export async function signPermit2612(info, privateKey, change = {}) {
  const {address} = privateKeyToAccount(privateKey);
  const terms = {from: address, asset: info.token, spender: info.permit2, amount: '1000', nonce: '0',
    deadline: String(nowSeconds() + 300), ...change.terms};
  const signature = await privateKeyToAccount(privateKey).signTypedData({
    domain: {name: info.tokenName, version: info.tokenVersion, chainId: info.chainId, verifyingContract: terms.asset,
      ...change.domain},
    types: {Permit: [{name: 'owner', type: 'address'}, {name: 'spender', type: 'address'},
      {name: 'value', type: 'uint256'}, {name: 'nonce', type: 'uint256'}, {name: 'deadline', type: 'uint256'}]},
    primaryType: 'Permit',
    message: {owner: terms.from, spender: terms.spender, value: terms.amount, nonce: terms.nonce,
      deadline: terms.deadline}});
  return {...terms, signature, version: '1', ...change.info};
}

/**
 * Sign an approve() of Permit2 and do not send it; the extension's info
 * (C-065). change: spender, amount, data (whole calldata), tx, info, signer.
 */
export async function signApproval(info, privateKey, change = {}) {
  const {address} = privateKeyToAccount(privateKey);
  const amount = change.amount ?? maxUint256;
  const data = change.data ?? encodeFunctionData({abi: parseAbi(['function approve(address,uint256)']),
    functionName: 'approve', args: [change.spender ?? info.permit2, amount]});
  const nonce = change.tx?.nonce ?? Number(await rpc(info.rpcUrl, 'eth_getTransactionCount', [address, 'latest']));
  const signedTransaction = await privateKeyToAccount(change.signer ?? privateKey).signTransaction({
    type: 'eip1559', to: change.token ?? info.token, data, gas: 70000n, maxFeePerGas: 3_000_000_000n,
    maxPriorityFeePerGas: 1_000_000_000n, chainId: info.chainId, ...change.tx, nonce});
  return {from: address, asset: change.token ?? info.token, spender: info.permit2, amount: amount.toString(),
    signedTransaction, version: '1', ...change.info};
}

/**
 * A facilitator request (v2) with a good Permit2 payment. scheme: exact or
 * upto; change: privateKey, permit (before signing), requirements, accepted,
 * domain, signature, extensions.
 */
export async function permit2Request(info, change = {}) {
  const scheme = change.scheme ?? 'exact';
  const key = change.privateKey ?? info.accounts.payer.privateKey;
  const token = change.token ?? info.token;
  const permit = {
    from: privateKeyToAccount(key).address, permitted: {token, amount: '1000'},
    spender: scheme === 'exact' ? info.exactProxy : info.uptoProxy,
    nonce: BigInt(randomNonce()).toString(), deadline: String(nowSeconds() + 300),
    witness: {to: info.accounts.payee.address,
      ...(scheme === 'upto' ? {facilitator: info.accounts.facilitator.address} : {}),
      validAfter: String(nowSeconds() - 600)},
    ...change.permit};
  const signature = change.signature ?? await signPermit2(info, key, scheme, permit, change.domain);
  const requirements = {scheme, network: info.network, amount: '1000', asset: token,
    payTo: info.accounts.payee.address, maxTimeoutSeconds: 300,
    extra: {name: info.tokenName, version: info.tokenVersion, assetTransferMethod: 'permit2',
      ...(scheme === 'upto' ? {facilitatorAddress: info.accounts.facilitator.address} : {})},
    ...change.requirements};
  return {x402Version: 2,
    paymentPayload: {x402Version: 2, payload: {permit2Authorization: permit, signature},
      resource: {url: 'http://127.0.0.1/paid', description: '', mimeType: ''},
      accepted: {...requirements, ...change.accepted},
      ...(change.extensions ? {extensions: change.extensions} : {})},
    paymentRequirements: requirements};
}

/** The same payment as a v1 request. */
export async function paymentRequestV1(info, change = {}) {
  const v2 = await paymentRequest(info, change);
  const {amount, network, ...rest} = v2.paymentRequirements;
  return {x402Version: 1,
    paymentPayload: {x402Version: 1, scheme: 'exact', network: 'base-sepolia', payload: v2.paymentPayload.payload},
    paymentRequirements: {...rest, network: 'base-sepolia', maxAmountRequired: amount,
      resource: 'http://127.0.0.1/paid', description: '', mimeType: '', ...change.requirementsV1}};
}

/**
 * The payer takes an authorization back; payer2 sends it, at a price that goes
 * before everybody else's. The transaction's hash.
 */
export async function cancelAuthorization(info, privateKey, {from, nonce}) {
  const signature = await privateKeyToAccount(privateKey).signTypedData({
    domain: {name: info.tokenName, version: info.tokenVersion, chainId: info.chainId, verifyingContract: info.token},
    types: {CancelAuthorization: [{name: 'authorizer', type: 'address'}, {name: 'nonce', type: 'bytes32'}]},
    primaryType: 'CancelAuthorization', message: {authorizer: from, nonce}});
  const {r, s, v} = parseSignature(signature);
  const sender = createWalletClient({transport: http(info.rpcUrl), account: privateKeyToAccount(info.accounts.payer2.privateKey),
    chain: {id: info.chainId, name: 'devnet', nativeCurrency: {name: 'ETH', symbol: 'ETH', decimals: 18},
      rpcUrls: {default: {http: [info.rpcUrl]}}}});
  return sender.writeContract({address: info.token, abi: contracts().TestUSDC.abi,
    functionName: 'cancelAuthorization', args: [from, nonce, Number(v), r, s], gas: 200000n,
    maxFeePerGas: 100_000_000_000n, maxPriorityFeePerGas: 90_000_000_000n});
}
