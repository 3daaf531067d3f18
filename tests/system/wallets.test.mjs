// Payers that are contracts: ERC-1271 by code at the address, EIP-7702
// accounts, and ERC-6492 wallets that do not exist yet; by EIP-3009 and through
// Permit2. The numbers are the attacks of demands.md.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';
import {contracts} from '../devnet/compile.mjs';
import {paymentRequest, permit2Request, post, randomNonce, rpc, scratchDir, startDevnet, startFacilitator}
  from '../devnet/lib.mjs';
import {approvePermit2, futureWallet, MAGIC, sendAs, wrap6492} from '../devnet/wallets.mjs';
import {beside} from './beside.lib.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeFunctionData, parseSignature} = require('viem');

let devnet;
let info;
const daemons = {};

/** With the devnet's factory allowed, or with no factory at all. */
async function startWith(name, key, factories) {
  const dir = scratchDir();
  const keyFile = join(dir, 'key');
  const file = join(dir, 'facilitator.conf');
  writeFileSync(keyFile, key, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${join(dir, 'f.sqlite')}"\nchain "${info.network}" {\n`
    + `rpc_urls = {"${info.rpcUrl}"}\nsigner_key_file = {"${keyFile}"}\n`
    + `${factories ? `wallet_factories = {"${factories}"}\n` : ''}}\n`);
  daemons[name] = await startFacilitator(devnet, {}, {args: ['-c', file]});
}

before(async () => {
  devnet = await startDevnet();
  info = devnet.info;
  await startWith('open', info.accounts.facilitator.privateKey, info.factory);
  await startWith('closed', info.accounts.payee.privateKey);
  await beside.start?.(devnet);
});
after(async () => {
  await beside.stop?.();
  for (const daemon of Object.values(daemons)) await daemon.stop();
  await devnet?.stop();
});

const ask = async (path, body, daemon = 'open') => (await post(`${daemons[daemon].url}${path}`, body)).body;

async function pays(body, daemon) {
  const verdict = await ask('/verify', body, daemon);
  assert.equal(verdict.isValid, true, JSON.stringify(verdict));
  const payee = info.accounts.payee.address;
  const start = await devnet.balanceOf(payee);
  const answer = await ask('/settle', body, daemon);
  assert.equal(answer.success, true, JSON.stringify(answer));
  assert.equal(await devnet.balanceOf(payee) - start, 1000n);
  const again = await ask('/settle', body, daemon);
  assert.equal(again.errorReason, 'duplicate_settlement');
  assert.equal(await devnet.balanceOf(payee) - start, 1000n);
  return answer;
}

async function refused(label, body, reason, daemon = 'open') {
  const payee = info.accounts.payee.address;
  const start = await devnet.balanceOf(payee);
  const verdict = await ask('/verify', body, daemon);
  assert.deepEqual([verdict.isValid, verdict.invalidReason], [false, reason], JSON.stringify(verdict));
  await beside.check?.(label, body, reason, daemon);
  const answer = await ask('/settle', body, daemon);
  assert.deepEqual([answer.success, answer.errorReason, answer.transaction], [false, reason, '']);
  assert.equal(await devnet.balanceOf(payee), start);
}

const signatureOf = (body) => body.paymentPayload.payload.signature;
const withSignature = (body, signature) => {
  body.paymentPayload.payload.signature = signature;
  return body;
};
/** A payment by a wallet, by either way; the owner's key signs. */
const by = {
  'EIP-3009': (from, privateKey, change = {}) => paymentRequest(info, {privateKey, authorization: {from}, ...change}),
  Permit2: (from, privateKey, change = {}) => permit2Request(info, {privateKey, permit: {from}, ...change}),
};
const signatureReason = {'EIP-3009': 'invalid_exact_evm_signature', Permit2: 'invalid_permit2_signature'};

for (const way of Object.keys(by)) {
  describe(`a wallet that is there, by ${way} (ERC-1271)`, () => {
    before(async () => {
      await approvePermit2(devnet, info.smartWallet.address);
    });

    test('pays', async () => {
      const {address, ownerKey} = info.smartWallet;
      const body = await by[way](address, ownerKey);
      await pays(way === 'Permit2' ? body : withSignature(body, `${signatureOf(body)}00`));
    });

    test('pays with a wrapper around a signature that needs none', async () => {
      const {address, ownerKey} = info.smartWallet;
      const body = await by[way](address, ownerKey);
      const inner = way === 'Permit2' ? signatureOf(body) : `${signatureOf(body)}00`;
      await pays(withSignature(body, wrap6492(info.factory, '0x', inner)), 'closed');
    });

    for (const [name, make] of [
      ["another owner's signature", () => by[way](info.smartWallet.address, info.accounts.payer.privateKey)],
      ['a short signature', async () => withSignature(await by[way](info.smartWallet.address, info.smartWallet.ownerKey), '0x1234')],
      ['an empty signature', async () => withSignature(await by[way](info.smartWallet.address, info.smartWallet.ownerKey), '0x')],
      ['a signature over another chain', () => by[way](info.smartWallet.address, info.smartWallet.ownerKey,
        {domain: {chainId: 8453}})],
    ]) {
      test(`does not pay with ${name} (17)`, async () => refused(`${way}, ${name}`, await make(),
        signatureReason[way]));
    }

    // 17: contracts that say anything, nothing, or never end.
    for (const [name, code] of [
      ['that reverts', '0x60006000fd'],
      ['that says nothing', '0x00'],
      ['that says magic without padding zeros', `0x7f1626ba7e${'ff'.repeat(28)}60005260206000f3`],
      ['that says four bytes only', `0x7f1626ba7e${'00'.repeat(28)}60005260046000f3`],
      ['that burns all gas', '0x5b600056'],
      ['that is no wallet', null],
    ]) {
      test(`a payer ${name} does not pay (17)`, async () => {
        const address = `0x${randomNonce().slice(2, 42)}`;
        await rpc(info.rpcUrl, 'anvil_setCode', [address,
          code ?? await rpc(info.rpcUrl, 'eth_getCode', [info.multicall3, 'latest'])]);
        await refused(`${way}, a payer ${name}`, await by[way](address, info.accounts.payer.privateKey), signatureReason[way]);
      });
    }

    test('magic for anything pays only where the token agrees (17)', async () => {
      const address = `0x${randomNonce().slice(2, 42)}`;
      await rpc(info.rpcUrl, 'anvil_setCode', [address, `0x7f1626ba7e${'00'.repeat(28)}60005260206000f3`]);
      const body = await by[way](address, info.accounts.payer.privateKey);
      // It said yes, but it has no money.
      await refused(`${way}, magic for anything`, body,
        way === 'Permit2' ? 'permit2_insufficient_balance' : 'invalid_exact_evm_insufficient_balance');
    });

    test("an EIP-7702 account's ECDSA signature is not its contract's (19)", async () => {
      const {address, privateKey} = info.accounts.payer2;
      // Delegated to the wallet of another owner: its key alone is no key.
      await rpc(info.rpcUrl, 'anvil_setCode', [address, `0xef0100${info.smartWallet.address.slice(2).toLowerCase()}`]);
      await refused(`${way}, EIP-7702`, await by[way](address, privateKey), signatureReason[way]);
      const owners = await by[way](address, info.smartWallet.ownerKey);
      const verdict = await ask('/verify', owners);
      assert.notEqual(verdict.invalidReason, signatureReason[way]);
      await rpc(info.rpcUrl, 'anvil_setCode', [address, '0x']);
    });
  });

  describe(`a wallet that is not there yet, by ${way} (ERC-6492)`, () => {
    const make = async (change = {}) => {
      const wallet = await futureWallet(devnet, {allowance: way === 'Permit2', ...change});
      const body = await by[way](wallet.address, wallet.key);
      const inner = way === 'Permit2' ? signatureOf(body) : `${signatureOf(body)}00`;
      return {wallet, body, inner};
    };

    test('is deployed and pays in one transaction', async () => {
      const {wallet, body, inner} = await make();
      await pays(withSignature(body, wallet.wrap(inner)));
      assert.notEqual(await rpc(info.rpcUrl, 'eth_getCode', [wallet.address, 'latest']), '0x');
      // The second payment finds it there.
      const next = await by[way](wallet.address, wallet.key);
      await pays(withSignature(next, way === 'Permit2' ? signatureOf(next) : `${signatureOf(next)}00`));
    });

    test('is deployed by somebody else in between, and pays all the same', async () => {
      const {wallet, body, inner} = await make();
      await sendAs(devnet, info.accounts.payer.address, info.factory, wallet.data);
      await pays(withSignature(body, wallet.wrap(inner)));
    });

    test('is not deployed where nobody allowed its factory (18)', async () => {
      const {wallet, body, inner} = await make();
      await refused(`${way}, no factory allowed`, withSignature(body, wallet.wrap(inner)),
        'eip6492_factory_not_allowed', 'closed');
      assert.equal(await rpc(info.rpcUrl, 'eth_getCode', [wallet.address, 'latest']), '0x');
    });

    const simulation = way === 'Permit2' ? 'permit2_simulation_failed' : 'invalid_exact_evm_transaction_simulation_failed';
    for (const [name, change, reason] of [
      ['another factory', ({wallet, inner}) => wallet.wrap(inner, {factory: info.multicall3}), 'eip6492_factory_not_allowed'],
      ['the token as factory', ({wallet, inner}) => wallet.wrap(inner, {factory: info.token}), 'eip6492_factory_not_allowed'],
      ['a forged inner signature', ({wallet, inner}) => wallet.wrap(`0x${'11'.repeat((inner.length - 2) / 2)}`)],
      ['calldata that deploys nothing', ({wallet, inner}) => wallet.wrap(inner, {calldata: '0x'})],
      ["calldata that deploys another's wallet", ({wallet, inner}) => wallet.wrap(inner, {calldata: encodeFunctionData({
        abi: contracts().WalletFactory.abi, functionName: 'create',
        args: [info.accounts.payee.address, `0x${'00'.repeat(32)}`]})})],
      ['a wrapper in a wrapper', ({wallet, inner}) => wallet.wrap(wallet.wrap(inner))],
      ['a wrapper that is cut', ({wallet, inner}) => `${wallet.wrap(inner).slice(0, 66)}${MAGIC}`, signatureReason[way]],
      ['a wrapper of nothing', () => `0x${MAGIC}`, signatureReason[way]],
      ['no wrapper', ({inner}) => inner,
        way === 'Permit2' ? signatureReason[way] : 'invalid_exact_evm_payload_undeployed_smart_wallet'],
    ]) {
      test(`does not pay with ${name} (18)`, async () => {
        const made = await make();
        const signature = change(made);
        const verdict = await ask('/verify', withSignature(made.body, signature));
        assert.equal(verdict.isValid, false);
        if (reason) assert.equal(verdict.invalidReason, reason, JSON.stringify(verdict));
        else assert.ok([simulation, signatureReason[way]].includes(verdict.invalidReason), JSON.stringify(verdict));
        await beside.check?.(`${way}, ${name}`, made.body, verdict.invalidReason, 'open');
        const answer = await ask('/settle', made.body);
        assert.deepEqual([answer.success, answer.transaction], [false, '']);
        assert.equal(await devnet.balanceOf(made.wallet.address), 5000n);
      });
    }
  });
}

test('a compact signature is no wallet\'s (16)', async () => {
  const body = await paymentRequest(info);
  const {r, s, v} = parseSignature(signatureOf(body));
  const vs = (BigInt(s) | (v === 28n ? 1n << 255n : 0n)).toString(16).padStart(64, '0');
  await refused('a compact signature', withSignature(body, `${r}${vs}`), 'invalid_exact_evm_signature');
});
