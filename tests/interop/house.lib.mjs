// Clients, servers and facilitators, ours and the reference's, each started when
// it is first needed, on one devnet; and a purchase, whose money is counted.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {buildDir, programs, run, scratchDir, start, startFacilitator} from '../devnet/lib.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const listening = /url=(http:\/\/[0-9.:]+)/;
export const kinds = ['ours', 'reference'];
export const PRICE = 1000n; // $0.001

/** A peer script of ours around a reference package. */
async function peer(script, env) {
  const process_ = await start(process.execPath, [join(here, script)], {env, ready: listening});
  process_.url = process_.match[1];
  return process_;
}

/**
 * Who settles, each by an account that sends for nobody else. Those that are
 * open deploy wallets of the devnet's factory, the others of none (ERC-6492);
 * they need a devnet with two accounts more.
 */
const settlers = {
  ours: {account: ({accounts}) => accounts.facilitator},
  reference: {account: ({accounts}) => accounts.payer2},
  'ours, open': {account: ({extra}) => extra[0], open: true},
  'reference, open': {account: ({extra}) => extra[1], open: true},
};

export function openHouse(devnet) {
  const {info} = devnet;
  const facilitators = {};
  const servers = {};

  /** Ours, which sends approvals and gives the gas for them. */
  async function startOurs(privateKey, open) {
    const dir = scratchDir();
    const keyFile = join(dir, 'key');
    const file = join(dir, 'facilitator.conf');
    writeFileSync(keyFile, privateKey, {mode: 0o600});
    writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\n`
      + `chain "${info.network}" {\nrpc_urls = {"${info.rpcUrl}"}\nsigner_key_file = {"${keyFile}"}\n`
      + `sponsor_approvals = true\ngift_max_gwei = 1000000\n${open ? `wallet_factories = {"${info.factory}"}\n` : ''}}\n`);
    return startFacilitator(devnet, {}, {args: ['-c', file]});
  }

  async function facilitator(name) {
    if (!facilitators[name]) {
      const {account, open} = settlers[name];
      const {address, privateKey} = account(info);
      await devnet.rpc('anvil_setBalance', [address, '0x3635c9adc5dea00000']);
      facilitators[name] = name.startsWith('ours')
        ? await startOurs(privateKey, open)
        : await peer('peer-facilitator.mjs', {PORT: '0', EVM_RPC_URL: info.rpcUrl, NONCE_MANAGER: '1',
          EVM_PRIVATE_KEY: privateKey, ...(open ? {FACTORIES: info.factory} : {})});
    }
    return facilitators[name];
  }

  async function server(kind, version, facilitatorName) {
    const name = `${kind} ${version} ${facilitatorName}`;
    if (!servers[name]) {
      const env = {PORT: '0', FACILITATOR_URL: (await facilitator(facilitatorName)).url,
        PAY_TO: info.accounts.payee.address, X402_NETWORK: info.network, X402_INTEROP: '1',
        X402_INTEROP_FACILITATOR: settlers[facilitatorName].account(info).address};
      if (kind === 'reference') {
        servers[name] = await peer(version === 'v1' ? 'peer-server-v1.mjs' : 'peer-server.mjs', env);
      } else {
        servers[name] = await start(programs.site, [], {env, ready: listening});
        servers[name].url = servers[name].match[1];
      }
    }
    return servers[name];
  }

  /** By its name, or one of the accounts that have tokens and no ether. */
  const accountOf = (payer) => info.accounts[payer] ?? payer;

  /** wallet: the contract that pays; payer's key is its owner's. */
  async function pay(client, version, url, {method = 'GET', body, payer = 'payer', wallet} = {}) {
    const env = {EVM_PRIVATE_KEY: accountOf(payer).privateKey, EVM_RPC_URL: info.rpcUrl};
    if (wallet) env.EVM_WALLET = wallet.address;
    if (wallet?.data) Object.assign(env, {EVM_WALLET_FACTORY: info.factory, EVM_WALLET_CALLDATA: wallet.data});
    if (client === 'reference') {
      const result = await run(process.execPath, [join(here, 'peer-client.mjs'), url, version, method,
        ...(body ? [body] : [])], {env});
      assert.equal(result.code, 0, result.stderr);
      return JSON.parse(result.stdout);
    }
    if (wallet) {
      const {code, stdout, stderr} = await run(join(buildDir, 'examples/smart-wallet'), [url], {env});
      return {status: Number(/status (\d+)/.exec(stderr)?.[1]), code, body: stdout, stderr,
        receipt: {transaction: /transaction (\S*)/.exec(stderr)?.[1]}};
    }
    const args = ['get', url];
    if (body) args.push('-X', method, '-H', 'content-type: application/json', '-d', body);
    const result = await run(programs.client, args, {env});
    const receipt = result.stderr.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
    return {status: result.code === 0 ? 200 : result.code, body: result.stdout, receipt: receipt[0] ?? null,
      stderr: result.stderr};
  }

  /** Pay once, and look on the chain what that moved. */
  async function buy(client, version, url, options) {
    const {payee} = info.accounts;
    const payer = options?.wallet ?? accountOf(options?.payer ?? 'payer');
    const before = [await devnet.balanceOf(payer.address), await devnet.balanceOf(payee.address)];
    const result = await pay(client, version, url, options);
    const now = [await devnet.balanceOf(payer.address), await devnet.balanceOf(payee.address)];
    return {result, paid: before[0] - now[0], received: now[1] - before[1]};
  }

  /** Exactly the price moved, in the transaction of the receipt. */
  async function assertBought(bought, text, price = PRICE) {
    const {result} = bought;
    assert.equal(result.status, 200, JSON.stringify(result));
    assert.match(result.body, text);
    assert.equal(bought.paid, price);
    assert.equal(bought.received, price);
    if (price === 0n) return;
    const {transaction} = result.receipt;
    assert.match(transaction, /^0x[0-9a-f]{64}$/);
    const receipt = await devnet.rpc('eth_getTransactionReceipt', [transaction]);
    assert.equal(receipt.status, '0x1');
  }

  async function stop() {
    for (const one of [...Object.values(servers), ...Object.values(facilitators)]) await one.stop();
  }

  return {server, buy, assertBought, stop};
}
