// /verify and /settle of every kind of payment on EVM, beside the reference in
// one run: the same payments for both, signed before the clock starts. Rates
// stand for their ratio alone; what moved is counted on the chain. By delegation
// (ERC-7710) the reference takes none, so there ours stands alone.
import {createRequire} from 'node:module';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {contracts} from '../devnet/compile.mjs';
import {delegationRequest, installDelegation} from '../devnet/delegation.mjs';
import {mined, paymentRequest, permit2Request, randomNonce, scratchDir, signApproval, signPermit2612, startDevnet,
  startFacilitator} from '../devnet/lib.mjs';
import {loadBodies, reference} from './bench.lib.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeAbiParameters, encodeFunctionData} = require('viem');
const MAX = 2n ** 256n - 1n;
const DELEGATED = 'by delegation, four caveats (ERC-7710)';

async function startOurs(devnet, manager) {
  const dir = scratchDir('x402-bench-');
  const key = join(dir, 'key');
  const file = join(dir, 'facilitator.conf');
  writeFileSync(key, devnet.info.accounts.facilitator.privateKey, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\nchain "${devnet.info.network}" {\n`
    + `rpc_urls = {"${devnet.info.rpcUrl}"}\nsigner_key_file = {"${key}"}\nwallet_factories = {"${devnet.info.factory}"}\n`
    + `delegation_managers = {"${manager}"}\n`
    + 'sponsor_approvals = true\ngift_max_gwei = 1000000\ndaily_gifts_gwei = 1000000000\n}\n');
  return startFacilitator(devnet, {}, {args: ['-c', file]});
}

/** Send as somebody whose key nobody needs, and wait. */
async function act(devnet, from, to, data) {
  await devnet.rpc('anvil_impersonateAccount', [from]);
  await devnet.rpc('anvil_setBalance', [from, '0xde0b6b3a7640000']);
  const hash = await devnet.rpc('eth_sendTransaction', [{from, to, data}]);
  await mined(devnet.read, hash);
  await devnet.rpc('anvil_stopImpersonatingAccount', [from]);
}

const approveCall = (info) => encodeFunctionData({abi: contracts().PlainToken.abi, functionName: 'approve',
  args: [info.permit2, MAX]});

/**
 * A wallet of the factory's, not there yet, with money and, for Permit2, an
 * allowance. Whoever sent something cannot be created: its nonce goes back.
 */
async function futureWallet(devnet, allowance) {
  const {info} = devnet;
  const {abi} = contracts().WalletFactory;
  const args = [info.accounts.payer.address, randomNonce()];
  const address = await devnet.read.readContract({address: info.factory, abi, functionName: 'addressOf', args});
  await act(devnet, info.accounts.payer.address, info.token, encodeFunctionData({abi: contracts().TestUSDC.abi,
    functionName: 'mint', args: [address, 1000n]}));
  if (allowance) {
    await act(devnet, address, info.token, approveCall(info));
    await devnet.rpc('anvil_setNonce', [address, '0x0']);
  }
  return {address, wrap: (signature) => `${encodeAbiParameters([{type: 'address'}, {type: 'bytes'}, {type: 'bytes'}],
    [info.factory, encodeFunctionData({abi, functionName: 'create', args}), signature])}${'6492'.repeat(16)}`};
}

/**
 * Each kind: [payer, body] of the n-th payment for a facilitator. once: each
 * payer pays once only, so the facilitators get payers of their own.
 */
const makers = (devnet, facilitators, framework) => {
  const {info} = devnet;
  const {payer} = info.accounts;
  const payee = info.accounts.payee.address;
  const upto = (name) => ({witness: {to: payee, facilitator: facilitators[name], validAfter: '0'}});
  let broke = 0;
  return {
    'EIP-3009': async () => [payer.address, await paymentRequest(info)],
    'EIP-3009, wallet (ERC-1271)': async () => {
      const {address, ownerKey} = info.smartWallet;
      const body = await paymentRequest(info, {privateKey: ownerKey, authorization: {from: address}});
      body.paymentPayload.payload.signature += '00';
      return [address, body];
    },
    'EIP-3009, wallet not there yet (ERC-6492)': async () => {
      const wallet = await futureWallet(devnet, false);
      const body = await paymentRequest(info, {authorization: {from: wallet.address}});
      body.paymentPayload.payload.signature = wallet.wrap(`${body.paymentPayload.payload.signature}00`);
      return [wallet.address, body];
    },
    'exact, Permit2': async () => [payer.address, await permit2Request(info)],
    'exact, Permit2 with a permit': async () => {
      // A permit is of the token's next nonce: payers of their own.
      const account = info.extra[broke++];
      return [account.address, await permit2Request(info, {privateKey: account.privateKey, extensions: {
        eip2612GasSponsoring: {info: await signPermit2612(info, account.privateKey)}}})];
    },
    'exact, Permit2 with an approval': async () => {
      const account = info.extra[broke++];
      return [account.address, await permit2Request(info, {privateKey: account.privateKey, extensions: {
        erc20ApprovalGasSponsoring: {info: await signApproval(info, account.privateKey)}}})];
    },
    'upto, Permit2': async (name) => [payer.address, await permit2Request(info, {scheme: 'upto', permit: upto(name)})],
    'upto, Permit2 with a permit': async (name) => {
      const account = info.extra[broke++];
      return [account.address, await permit2Request(info, {scheme: 'upto', privateKey: account.privateKey,
        permit: upto(name), extensions: {eip2612GasSponsoring: {info: await signPermit2612(info, account.privateKey)}}})];
    },
    'upto, Permit2 with an approval': async (name) => {
      const account = info.extra[broke++];
      return [account.address, await permit2Request(info, {scheme: 'upto', privateKey: account.privateKey,
        permit: upto(name), extensions: {erc20ApprovalGasSponsoring: {info: await signApproval(info, account.privateKey)}}})];
    },
    [DELEGATED]: async () => [framework.account, await delegationRequest(info, framework)],
  };
};

export async function kinds(quick) {
  const settles = quick ? 2 : 24;
  const verifies = quick ? 4 : 300;
  const lines = ['## Every kind of payment on EVM, anvil', '',
    '| kind | facilitator | /verify per second | p50 ms | /settle per second | p50 ms | settled | moved |',
    '|---|---|---|---|---|---|---|---|'];
  const results = [];
  const notes = [];
  // Payers of one payment each: four kinds, two facilitators, and one to warm
  // up. The last one delegates, and pays as often as it is asked to.
  const devnet = await startDevnet({accounts: 4 * 2 * (settles + 1) + 8, fund: Math.max(10000, 1000 * settles)});
  const {info} = devnet;
  const delegator = info.extra.pop();
  await devnet.rpc('anvil_setBalance', [delegator.address, '0xde0b6b3a7640000']);
  const framework = await installDelegation(info, delegator);
  const daemons = {ours: await startOurs(devnet, framework.manager),
    reference: await reference(devnet, {FACTORIES: devnet.info.factory})};
  const facilitators = {ours: info.accounts.facilitator.address, reference: info.accounts.payer2.address};
  try {
    await act(devnet, info.smartWallet.address, info.token, approveCall(info));
    for (const [kind, make] of Object.entries(makers(devnet, facilitators, framework))) {
      const rates = {};
      for (const name of kind === DELEGATED ? ['ours'] : ['reference', 'ours']) {
        const payments = [];
        for (let i = 0; i < settles; i++) payments.push(await make(name));
        // Asking is free: the same payments, asked about again and again.
        const asked = Array.from({length: verifies}, (_, i) => payments[i % payments.length]);
        const v = await loadBodies(`${daemons[name].url}/verify`, asked, 8);
        const before = await devnet.balanceOf(info.accounts.payee.address);
        const s = await loadBodies(`${daemons[name].url}/settle`, payments, 8);
        const moved = (await devnet.balanceOf(info.accounts.payee.address) - before) / 1000n;
        lines.push(`| ${kind} | ${name} | ${v.per_second} | ${v.p50_ms} | ${s.per_second} | ${s.p50_ms} | ` +
          `${s.ok} of ${settles} | ${moved} |`);
        if (name === 'ours' && Number(moved) !== s.ok) notes.push(`${kind}: ours said ${s.ok} and the chain moved ${moved}.`);
        rates[name] = [v.per_second, s.per_second];
        results.push({...v, reference: name === 'reference'},
          {...s, failed: Math.max(s.failed, settles - Number(moved)), reference: name === 'reference'});
      }
      if (rates.reference) notes.push(`${kind}: ours to reference ${(rates.ours[0] / rates.reference[0]).toFixed(1)} times at /verify, ` +
        `${(rates.ours[1] / rates.reference[1]).toFixed(1)} at /settle.`);
    }
  } finally {
    await daemons.ours.stop();
    await daemons.reference.stop();
    await devnet.stop();
  }
  lines.push('', ...notes, '');
  return {text: lines.join('\n'), results};
}
