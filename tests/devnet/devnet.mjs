// A local chain with everything a payment needs:  node tests/devnet/devnet.mjs
//
//   --port N          RPC port on 127.0.0.1; 0 (default) takes a free one
//   --block-time S    a block every S seconds; without it a block per transaction
//   --gas-limit N     of a block (default 30000000, anvil's own)
//   --accounts N      N more payers, derived from the same development seed
//   --fund N          atomic units of USDC for each of those (default 1000000)
//   --json FILE       write the description there too
//   --stdin-lifeline  end when standard input ends (for parents that may die)
//
// Prints one line of JSON when ready (shape: describe() below), then stays
// until SIGTERM or SIGINT, and ends anvil by its process id. The keys are the
// development keys that anvil itself prints: never use them anywhere else.
import {spawn} from 'node:child_process';
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {createPublicClient, createTestClient, createWalletClient, encodeFunctionData, http, toHex} from 'viem';
import {mnemonicToAccount, privateKeyToAccount} from 'viem/accounts';
import {contracts} from './compile.mjs';
import {mined} from './mined.mjs';

const CHAIN_ID = 84532;
// Base Sepolia's USDC, so that prices such as "$0.01" mean this token.
const TOKEN = '0x036CbD53842c5426634e7929541eC2318f3dCF7e';
const MULTICALL3 = '0xcA11bde05977b3631167028862bE2a173976CA11';
// protocol.md 2.2: the same on every chain.
const PERMIT2 = '0x000000000022D473030F116dDEE9F6B43aC78BA3';
const EXACT_PROXY = '0x402085c248EeA27D92E8b30b2C58ed07f9E20001';
const UPTO_PROXY = '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002';
const MNEMONIC = 'test test test test test test test test test test test junk';
const PAYER_FUNDS = 1_000_000_000n; // 1,000 USDC
const MINTS_PER_TRANSACTION = 400; // stays well below the block's gas limit
const here = fileURLToPath(new URL('.', import.meta.url));

function refuse(text) {
  process.stderr.write(`devnet: ${text}\n`);
  process.exit(2);
}

/** The command line, or the end: a devnet that guesses measures nothing. */
function readOptions() {
  let values;
  try {
    ({values} = parseArgs({options: {
      port: {type: 'string', default: '0'},
      'block-time': {type: 'string'},
      'gas-limit': {type: 'string', default: '30000000'},
      accounts: {type: 'string', default: '0'},
      fund: {type: 'string', default: '1000000'},
      json: {type: 'string'},
      'stdin-lifeline': {type: 'boolean', default: false},
    }}));
  } catch (error) {
    refuse(error.message.split('\n')[0]);
  }
  for (const name of ['port', 'gas-limit', 'accounts', 'fund']) {
    if (!/^[0-9]{1,15}$/.test(values[name])) refuse(`--${name} takes a whole number, not ${values[name]}`);
  }
  if (Number(values.port) > 65535) refuse(`--port ends at 65535, not ${values.port}`);
  const time = values['block-time'];
  if (time !== undefined && !(/^[0-9]+(\.[0-9]+)?$/.test(time) && Number(time) > 0)) {
    refuse(`--block-time takes seconds above 0, not ${time}`);
  }
  return values;
}

const options = readOptions();

const fractional = options['block-time'] !== undefined && !Number.isInteger(Number(options['block-time']));
let anvil;

function stop(code) {
  if (anvil && anvil.exitCode === null) {
    anvil.removeAllListeners('exit');
    anvil.once('exit', () => process.exit(code));
    anvil.kill('SIGTERM');
    setTimeout(() => anvil.kill('SIGKILL'), 3000).unref();
  } else {
    process.exit(code);
  }
}

/** anvil says where it listens; a port that was looked up is not ours yet. */
const listening = (stdout) => new Promise((resolve) => {
  let said = '';

  stdout.on('data', function look(data) {
    said += data;
    const match = /Listening on (127\.0\.0\.1:[0-9]+)\n/.exec(said);
    if (!match) return;
    stdout.off('data', look).resume();
    resolve(`http://${match[1]}`);
  });
});

async function startAnvil(port) {
  const binary = join(here, 'node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil');
  const args = ['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(CHAIN_ID),
    '--mnemonic', MNEMONIC, '--accounts', '10', '--gas-limit', options['gas-limit']];
  // Interval mining can be set later in whole seconds only.
  if (fractional) args.push('--block-time', options['block-time']);
  // The kernel ends it when this process ends, also by SIGKILL.
  anvil = spawn('setpriv', ['--pdeathsig', 'KILL', '--', binary, ...args], {stdio: ['ignore', 'pipe', 'inherit']});
  anvil.on('exit', (code, signal) => {
    console.error(`devnet: anvil ended (${signal ?? code})`);
    process.exit(1);
  });
  const rpcUrl = await listening(anvil.stdout);
  // Or it says each request.
  await rpcCall(rpcUrl, 'anvil_setLoggingEnabled', [false]);
  return rpcUrl;
}

async function rpcCall(url, method, params) {
  const response = await fetch(url, {
    method: 'POST',
    headers: {'content-type': 'application/json'},
    body: JSON.stringify({jsonrpc: '2.0', id: 1, method, params}),
  });
  const body = await response.json();
  if (body.error) throw new Error(`${method}: ${body.error.message}`);
  return body.result;
}

/** A named development account. */
function account(index) {
  const hd = mnemonicToAccount(MNEMONIC, {addressIndex: index});
  return {address: hd.address, privateKey: toHex(hd.getHdKey().privateKey)};
}

/**
 * The code that Uniswap deployed, from the test helper of its own package. It
 * caches the domain separator of chain 1 and computes that of any other chain.
 */
function permit2Code() {
  const helper = join(here, 'node_modules/@uniswap/v4-periphery/lib/permit2/test/utils/DeployPermit2.sol');
  const [, code] = /hex"([0-9a-f]+)"/.exec(readFileSync(helper, 'utf8'));
  return `0x${code}`;
}

async function install(rpcUrl) {
  const chain = {id: CHAIN_ID, name: 'devnet', nativeCurrency: {name: 'ETH', symbol: 'ETH', decimals: 18},
    rpcUrls: {default: {http: [rpcUrl]}}};
  const transport = http(rpcUrl);
  const read = createPublicClient({chain, transport});
  const test = createTestClient({chain, transport, mode: 'anvil'});
  const deployer = createWalletClient({chain, transport, account: privateKeyToAccount(account(0).privateKey)});
  const compiled = contracts();

  const deploy = async (bytecode, abi = [], args = []) => {
    const hash = await deployer.deployContract({abi, bytecode, args});
    const receipt = await mined(read, hash);
    if (receipt.status !== 'success') throw new Error('a deployment reverted');
    return receipt.contractAddress;
  };
  // viem knows Multicall3's creation code but does not export it by name.
  const {multicall3Bytecode} = await import(join(here, 'node_modules/viem/_esm/constants/contracts.js'));
  const multicall = await deploy(multicall3Bytecode);
  await test.setCode({address: MULTICALL3, bytecode: await read.getCode({address: multicall})});
  await test.setCode({address: TOKEN, bytecode: compiled.TestUSDC.deployed});

  await test.setCode({address: PERMIT2, bytecode: permit2Code()});
  await test.setCode({address: EXACT_PROXY, bytecode: compiled.ExactPermit2Proxy.deployed});
  await test.setCode({address: UPTO_PROXY, bytecode: compiled.UptoPermit2Proxy.deployed});
  const factory = await deploy(compiled.WalletFactory.bytecode);
  const plainToken = await deploy(compiled.PlainToken.bytecode);

  const walletOwner = account(5);
  const wallet = await deploy(compiled.SmartWallet.bytecode, compiled.SmartWallet.abi, [walletOwner.address]);
  const badTokens = {};
  for (const name of ['FeeToken', 'SilentToken', 'FakeLogToken', 'FalseToken', 'PausedToken', 'GasBombToken']) {
    badTokens[name] = await deploy(compiled[name].bytecode, compiled[name].abi);
  }

  const mintAll = async (token, abi, addresses, value) => {
    for (let at = 0; at < addresses.length; at += MINTS_PER_TRANSACTION) {
      const calls = addresses.slice(at, at + MINTS_PER_TRANSACTION).map((to) => ({
        target: token, allowFailure: false,
        callData: encodeFunctionData({abi, functionName: 'mint', args: [to, value]})}));
      const hash = await deployer.writeContract({address: MULTICALL3, abi: aggregate3Abi,
        functionName: 'aggregate3', args: [calls]});
      const receipt = await mined(read, hash);
      if (receipt.status !== 'success') throw new Error('minting reverted');
    }
  };
  const payers = [account(2).address, account(4).address, wallet];
  // payer has approved Permit2 for every token; payer2 for none.
  const approver = createWalletClient({chain, transport, account: privateKeyToAccount(account(2).privateKey)});
  for (const token of [TOKEN, plainToken, ...Object.values(badTokens)]) {
    const hash = await approver.writeContract({address: token, abi: compiled.PlainToken.abi,
      functionName: 'approve', args: [PERMIT2, 2n ** 256n - 1n]});
    const receipt = await mined(read, hash);
    if (receipt.status !== 'success') throw new Error('an approval reverted');
  }
  await mintAll(TOKEN, compiled.TestUSDC.abi, payers, PAYER_FUNDS);
  await mintAll(plainToken, compiled.PlainToken.abi, payers, PAYER_FUNDS);
  for (const [name, address] of Object.entries(badTokens)) {
    await mintAll(address, compiled[name].abi, payers, PAYER_FUNDS);
  }
  const extra = Array.from({length: Number(options.accounts)}, (_, i) => account(100 + i));
  await mintAll(TOKEN, compiled.TestUSDC.abi, extra.map((a) => a.address), BigInt(options.fund));
  return {smartWallet: {address: wallet, ownerKey: walletOwner.privateKey}, badTokens, plainToken,
    factory, extra};
}

const aggregate3Abi = [{type: 'function', name: 'aggregate3', stateMutability: 'payable',
  inputs: [{name: 'calls', type: 'tuple[]', components: [
    {name: 'target', type: 'address'}, {name: 'allowFailure', type: 'bool'}, {name: 'callData', type: 'bytes'}]}],
  outputs: [{type: 'tuple[]', components: [{name: 'success', type: 'bool'}, {name: 'returnData', type: 'bytes'}]}]}];

function describe(rpcUrl, installed) {
  return {
    rpcUrl, chainId: CHAIN_ID, network: `eip155:${CHAIN_ID}`,
    token: TOKEN, tokenName: 'USDC', tokenVersion: '2', multicall3: MULTICALL3,
    permit2: PERMIT2, exactProxy: EXACT_PROXY, uptoProxy: UPTO_PROXY,
    ...installed,
    accounts: {facilitator: account(1), payer: account(2), payee: account(3), payer2: account(4)},
    pid: process.pid, anvilPid: anvil.pid,
  };
}

process.on('SIGTERM', () => stop(0));
process.on('SIGINT', () => stop(0));
process.on('disconnect', () => stop(0));
if (options['stdin-lifeline']) {
  process.stdin.on('end', () => stop(0));
  process.stdin.resume();
}
try {
  const rpcUrl = await startAnvil(Number(options.port));
  const installed = await install(rpcUrl);
  // Installed with a block per transaction; from here on as was asked.
  if (options['block-time'] && !fractional) {
    await rpcCall(rpcUrl, 'evm_setIntervalMining', [Number(options['block-time'])]);
  }
  const line = JSON.stringify(describe(rpcUrl, installed));
  if (options.json) writeFileSync(options.json, `${line}\n`, {mode: 0o600});
  process.stdout.write(`${line}\n`);
} catch (error) {
  console.error(`devnet: ${error.stack ?? error}`);
  stop(1);
}
