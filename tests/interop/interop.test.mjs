// Ours and the reference packages in every combination, as real processes on a
// real chain. Each payment is looked up on chain: what counts is what moved.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {programs, run, scratchDir, start, startDevnet, startFacilitator} from '../devnet/lib.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const listening = /url=(http:\/\/[0-9.:]+)/;
const PRICE = 1000n; // $0.001

let devnet;
const facilitators = {};
const servers = {};

/** A peer script of ours around a reference package. */
async function peer(script, env) {
  const process_ = await start(process.execPath, [join(here, script)], {env, ready: listening});
  process_.url = process_.match[1];
  return process_;
}

/** Ours, which sends approvals and gives the gas for them. */
async function startOurs() {
  const dir = scratchDir();
  const keyFile = join(dir, 'key');
  const file = join(dir, 'facilitator.conf');
  writeFileSync(keyFile, devnet.info.accounts.facilitator.privateKey, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\n`
    + `chain "${devnet.info.network}" {\nrpc_urls = {"${devnet.info.rpcUrl}"}\nsigner_key_file = {"${keyFile}"}\n`
    + 'sponsor_approvals = true\ngift_max_gwei = 1000000\n}\n');
  return startFacilitator(devnet, {}, {args: ['-c', file]});
}

/** Started when first needed, as everything here. */
async function facilitator(kind) {
  if (!facilitators[kind]) {
    facilitators[kind] = kind === 'ours'
      ? await startOurs()
      : await peer('peer-facilitator.mjs', {PORT: '0', EVM_RPC_URL: devnet.info.rpcUrl,
        EVM_PRIVATE_KEY: devnet.info.accounts.payer2.privateKey, NONCE_MANAGER: '1'});
  }
  return facilitators[kind];
}

async function server(kind, version, facilitatorKind) {
  const name = `${kind} ${version} ${facilitatorKind}`;
  if (!servers[name]) {
    const env = {PORT: '0', FACILITATOR_URL: (await facilitator(facilitatorKind)).url,
      PAY_TO: devnet.info.accounts.payee.address, X402_NETWORK: devnet.info.network, X402_INTEROP: '1',
      X402_INTEROP_FACILITATOR: devnet.info.accounts[facilitatorKind === 'ours' ? 'facilitator' : 'payer2'].address};
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
const accountOf = (payer) => devnet.info.accounts[payer] ?? payer;

async function pay(client, version, url, {method = 'GET', body, payer = 'payer'} = {}) {
  const env = {EVM_PRIVATE_KEY: accountOf(payer).privateKey, EVM_RPC_URL: devnet.info.rpcUrl};
  if (client === 'reference') {
    const result = await run(process.execPath, [join(here, 'peer-client.mjs'), url, version, method,
      ...(body ? [body] : [])], {env});
    assert.equal(result.code, 0, result.stderr);
    return JSON.parse(result.stdout);
  }
  const args = ['get', url];
  if (body) args.push('-X', method, '-H', 'content-type: application/json', '-d', body);
  const result = await run(programs.client, args, {env});
  const receipt = result.stderr.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  return {status: result.code === 0 ? 200 : result.code, body: result.stdout, receipt: receipt[0] ?? null,
    stderr: result.stderr};
}

before(async () => {
  devnet = await startDevnet({accounts: 16, fund: 10000});
});

after(async () => {
  for (const one of [...Object.values(servers), ...Object.values(facilitators)]) await one.stop();
  await devnet?.stop();
});

/** Pay once, and look on the chain whether exactly that happened. */
async function buy(client, version, url, options) {
  const {payee} = devnet.info.accounts;
  const payer = accountOf(options?.payer ?? 'payer');
  const before = [await devnet.balanceOf(payer.address), await devnet.balanceOf(payee.address)];
  const result = await pay(client, version, url, options);
  const now = [await devnet.balanceOf(payer.address), await devnet.balanceOf(payee.address)];
  return {result, paid: before[0] - now[0], received: now[1] - before[1]};
}

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

let broke = 0; // accounts used up
const kinds = ['ours', 'reference'];
for (const version of ['v2', 'v1']) {
  for (const client of kinds) {
    for (const serverKind of kinds) {
      for (const facilitatorKind of kinds) {
        test(`${version}: client ${client}, server ${serverKind}, facilitator ${facilitatorKind}`, async () => {
          const {url} = await server(serverKind, version, facilitatorKind);
          await assertBought(await buy(client, version, `${url}/paid`), /paid/);
        });
      }
    }
  }
}

for (const client of kinds) {
  for (const serverKind of kinds) {
    test(`POST with a body: client ${client}, server ${serverKind}`, async () => {
      const {url} = await server(serverKind, 'v2', 'ours');
      await assertBought(await buy(client, 'v2', `${url}/paid-post`, {method: 'POST', body: '{"a":1}'}), /paid|"a":1/);
    });

    test(`a failing handler costs nothing: client ${client}, server ${serverKind}`, async () => {
      const {url} = await server(serverKind, 'v2', 'ours');
      const {paid, received} = await buy(client, 'v2', `${url}/fail`);
      assert.equal(paid, 0n);
      assert.equal(received, 0n);
    });
  }
}

// Through Permit2. The payer has approved it; payer2 never has, and sends an
// EIP-2612 permit along, for which the reference client asks the chain.
for (const client of kinds) {
  for (const serverKind of kinds) {
    for (const facilitatorKind of kinds) {
      const who = `client ${client}, server ${serverKind}, facilitator ${facilitatorKind}`;
      test(`exact through Permit2: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/permit2`), /paid/);
      });

      test(`upto takes a part: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/upto`), /paid/, 400n);
      });

      test(`upto takes nothing: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/upto-zero`), /paid/, 0n);
      });
    }
  }
}

for (const client of kinds) {
  for (const serverKind of kinds) {
    for (const facilitatorKind of kinds) {
      const who = `client ${client}, server ${serverKind}, facilitator ${facilitatorKind}`;
      for (const [path, price] of [['/permit2', PRICE], ['/upto', 400n]]) {
        test(`${path} with a permit sent along: ${who}`, async () => {
          const {url} = await server(serverKind, 'v2', facilitatorKind);
          await assertBought(await buy(client, 'v2', `${url}${path}`, {payer: 'payer2'}), /paid/, price);
        });

        // Each by an account of its own that has tokens and no ether at all.
        test(`${path} with an approval sent along: ${who}`, async () => {
          const {url} = await server(serverKind, 'v2', facilitatorKind);
          const payer = devnet.info.extra[broke++];
          assert.equal(await devnet.rpc('eth_getBalance', [payer.address, 'latest']), '0x0');
          await assertBought(await buy(client, 'v2', `${url}${path}-approval`, {payer}), /paid/, price);
        });
      }

      test(`settled before it is served: ${who}`, async () => {
        const {url} = await server(serverKind, 'v2', facilitatorKind);
        await assertBought(await buy(client, 'v2', `${url}/upfront`), /paid/);
      });
    }
  }
}
