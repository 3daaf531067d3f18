// exact by delegation (ERC-7710) on a real chain: MetaMask's Delegation
// Framework as published, a payer that is an EIP-7702 account of it, managers
// and accounts that misbehave; refusals with their exact codes, kills, and what
// became of the money.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';
import {delegationRequest, installDelegation} from '../devnet/delegation.mjs';
import {buildDir, permit2Request, post, randomNonce, run, scratchDir, sleep, startDevnet, startFacilitator, top}
  from '../devnet/lib.mjs';

import {startGateway} from './gateway.lib.mjs';
import {startOrigin} from './gateway_site.lib.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeAbiParameters, encodePacked} = require('viem');

process.setMaxListeners(0); // one for each daemon that is started
const GAS_MAX = 340000;
const SIMULATION = 'invalid_exact_evm_transaction_simulation_failed';
const NOWHERE = '0x00000000000000000000000000000000000000ee';

let devnet;
let info;
let framework;
let facilitator;

/** Two signers; the framework's manager is allowed, and those that misbehave. */
async function open(store, env = {}, more = '') {
  const dir = scratchDir();
  const file = join(dir, 'facilitator.conf');
  const keys = [info.accounts.facilitator, info.extra[0]].map(({privateKey}, i) => {
    writeFileSync(join(dir, `key${i}`), privateKey, {mode: 0o600});
    return `"${join(dir, `key${i}`)}"`;
  });
  const {NothingManager, TrapManager, LateTrapManager, TimesManager} = framework.bad;
  const managers = [framework.manager, NothingManager, TrapManager, LateTrapManager, TimesManager, NOWHERE];
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${store}"\nchain "${info.network}" {\n`
    + `rpc_urls = {"${info.rpcUrl}"}\nsigner_key_file = {${keys.join(', ')}}\n`
    + `delegation_managers = {${managers.map((manager) => `"${manager}"`).join(', ')}}\n`
    + `delegation_gas_max = ${GAS_MAX}\n${more}}\n`);
  return startFacilitator(devnet, env, {args: ['-c', file]});
}

before(async () => {
  devnet = await startDevnet({accounts: 2});
  info = devnet.info;
  for (const {address} of info.extra) await devnet.rpc('anvil_setBalance', [address, '0x8ac7230489e80000']);
  framework = await installDelegation(info);
  facilitator = await open(join(scratchDir(), 'facilitator.sqlite'));
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const verify = async (body, url = facilitator.url) => (await post(`${url}/verify`, body)).body;
const settle = async (body, url = facilitator.url) => (await post(`${url}/settle`, body)).body;
const request = (change) => delegationRequest(info, framework, change);
const transactionOf = async (answer) => {
  assert.match(answer.transaction, /^0x[0-9a-f]{64}$/);
  const hash = answer.transaction;
  return {...await framework.read.getTransaction({hash}), receipt: await framework.read.getTransactionReceipt({hash})};
};

/** Does exactly this much arrive, and leave? */
async function moves(amount, act, payer = framework.account) {
  const start = [await devnet.balanceOf(info.accounts.payee.address), await devnet.balanceOf(payer)];
  const result = await act();
  const end = [await devnet.balanceOf(info.accounts.payee.address), await devnet.balanceOf(payer)];
  assert.deepEqual([end[0] - start[0], start[1] - end[1]], [BigInt(amount), BigInt(amount)], JSON.stringify(result));
  return result;
}

async function pays(body, amount = 1000, payer = framework.account) {
  const verdict = await verify(body);
  assert.equal(verdict.isValid, true, JSON.stringify(verdict));
  const answer = await moves(amount, () => settle(body), payer);
  assert.equal(answer.success, true, JSON.stringify(answer));
  assert.equal(answer.payer, payer);
  return answer;
}

const sentBy = (address) => devnet.rpc('eth_getTransactionCount', [address, 'latest']);

/** Refused by both, and nothing is sent. */
async function refused(body, reason) {
  const signers = [info.accounts.facilitator, info.extra[0]];
  const nonces = await Promise.all(signers.map(({address}) => sentBy(address)));
  const verdict = await verify(body);
  assert.deepEqual([verdict.isValid, verdict.invalidReason], [false, reason], JSON.stringify(verdict));
  const answer = await moves(0, () => settle(body));
  assert.deepEqual([answer.success, answer.errorReason, answer.transaction], [false, reason, ''], JSON.stringify(answer));
  assert.deepEqual(await Promise.all(signers.map(({address}) => sentBy(address))), nonces);
}

/** Passes the simulation, costs gas once, and is not credited. */
async function fails(body, reason, moved = 0, payer = framework.account) {
  const verdict = await verify(body);
  assert.equal(verdict.isValid, true, JSON.stringify(verdict));
  const answer = await moves(moved, () => settle(body), payer);
  assert.deepEqual([answer.success, answer.errorReason], [false, reason], JSON.stringify(answer));
  const {receipt} = await transactionOf(answer);
  assert.ok(receipt.gasUsed <= BigInt(GAS_MAX), `${receipt.gasUsed}`);
  // Asked again it is the same, and nothing more is spent.
  const again = await moves(0, () => settle(body), payer);
  assert.deepEqual([again.success, again.errorReason, again.transaction], [false, reason, answer.transaction]);
  return receipt;
}

describe('a delegation', () => {
  test('pays once, alone and by its delegate, and not again', async (t) => {
    const body = await request();
    const answer = await pays(body);
    const transaction = await transactionOf(answer);
    assert.equal(transaction.to, framework.manager.toLowerCase());
    assert.equal(transaction.from, info.accounts.facilitator.address.toLowerCase());
    assert.equal(transaction.gas, BigInt(GAS_MAX));
    assert.equal(transaction.value, 0n);
    t.diagnostic(`four caveats: ${transaction.receipt.gasUsed} gas`);
    const again = await moves(0, () => settle(body));
    assert.deepEqual([again.errorReason, again.transaction], ['duplicate_settlement', answer.transaction]);
    assert.equal((await verify(body)).invalidReason, SIMULATION);
  });

  test('that permits more still pays once here, whatever stands beside it', async () => {
    const body = await request({delegation: {caveats: framework.loose(5000)}});
    const answer = await pays(body);
    const {permissionContext} = body.paymentPayload.payload;
    const payee2 = {requirements: {payTo: info.accounts.payer2.address}};
    for (const change of [{}, {requirements: {amount: '1'}}, payee2, {payload: {delegator: info.accounts.payer2.address}},
      {payload: {permissionContext: permissionContext.toUpperCase().replace('0X', '0x')}}]) {
      const other = await request({context: permissionContext, ...change});
      const verdict = await verify(other);
      assert.deepEqual([verdict.isValid, verdict.invalidReason], [false, 'duplicate_settlement'], JSON.stringify(verdict));
      const again = await moves(0, () => settle(other));
      assert.deepEqual([again.errorReason, again.transaction], ['duplicate_settlement', answer.transaction]);
    }
    // Another salt is another delegation.
    await pays(await request({delegation: {caveats: framework.loose(5000)}}));
  });

  test('to the second signer is sent by that one', async (t) => {
    const [{address}] = info.extra;
    const transaction = await transactionOf(await pays(await request({delegation: {delegate: address, caveats: []}})));
    assert.equal(transaction.from, address.toLowerCase());
    t.diagnostic(`no caveat: ${transaction.receipt.gasUsed} gas`);
  });

  test('of an account that is a contract pays', async () => {
    const context = encodeAbiParameters([{type: 'address'}, {type: 'uint256'}], [framework.willing, 1n]);
    await pays(await request({context, payload: {delegationManager: framework.bad.TimesManager,
      delegator: framework.willing}}), 1000, framework.willing);
  });

  test('that was delegated on pays', async () => {
    const middle = info.extra[1];
    const root = await framework.delegation({delegate: middle.address});
    const leaf = await framework.delegation({delegator: middle.address, privateKey: middle.privateKey, caveats: [],
      authority: await framework.hash(root)});
    await pays(await request({context: framework.context(leaf, root)}));
  });

  test('of many payments at once pays for each', async () => {
    const bodies = await Promise.all(Array.from({length: 12}, (_, i) => request({
      delegation: {delegate: [info.accounts.facilitator, info.extra[0]][i % 2].address}})));
    const answers = await moves(12000, () => Promise.all(bodies.map((body) => settle(body))));
    for (const answer of answers) assert.equal(answer.success, true, JSON.stringify(answer));
    assert.equal(new Set(answers.map((answer) => answer.transaction)).size, 12);
  });

  test('sent ten times at once pays once', async () => {
    const body = await request({delegation: {caveats: framework.loose(50000)}});
    const answers = await moves(1000, () => Promise.all(Array.from({length: 10}, () => settle(body))));
    assert.equal(answers.filter((answer) => answer.success).length, 1);
    for (const answer of answers) assert.ok(answer.success || answer.errorReason === 'duplicate_settlement', JSON.stringify(answer));
  });
});

test('/supported names the managers, and no other daemon any', async () => {
  const {kinds} = await (await fetch(`${facilitator.url}/supported`)).json();
  const [exact] = kinds.filter(({scheme, x402Version}) => scheme === 'exact' && x402Version === 2);
  assert.equal(exact.delegationManagers.length, 6);
  assert.equal(exact.delegationManagers[0], framework.manager);
  assert.equal(kinds.filter((kind) => kind.delegationManagers).length, 1);
});

describe('at a shop that asks for it', () => {
  let origin;
  let gateway;
  before(async () => {
    origin = await startOrigin();
    origin.handler = (one, res) => {
      res.end(`here is ${one.url}`);
      return true;
    };
    const extra = {assetTransferMethod: 'erc7710', facilitatorAddress: info.accounts.facilitator.address};
    const dir = scratchDir();
    const file = join(dir, 'gateway.conf');
    writeFileSync(file, `
      journal = "${join(dir, 'journal')}"
      facilitators = {"${facilitator.url}"} network = "${info.network}"
      pay_to = "${info.accounts.payee.address}"
      upstream "site" { url = "${origin.url}" }
      route "/by/*" { price = "$0.001" extra_json = '${JSON.stringify(extra)}' }\n`);
    gateway = await startGateway(['-c', file]);
  });
  after(async () => {
    await gateway?.stop();
    await origin?.stop();
  });

  const decode = (text) => JSON.parse(Buffer.from(text, 'base64').toString());
  /** What the offer of a page is answered with; change as for a request. */
  async function answer(page, change) {
    const unpaid = await fetch(gateway.url + page);
    assert.equal(unpaid.status, 402);
    const {accepts, resource} = decode(unpaid.headers.get('payment-required'));
    const {facilitatorAddress: delegate} = accepts[0].extra;
    const {paymentPayload} = await request({requirements: accepts[0], delegation: {delegate}, ...change});
    const payment = Buffer.from(JSON.stringify({...paymentPayload, resource})).toString('base64');
    return fetch(gateway.url + page, {headers: {'payment-signature': payment}});
  }

  test('a page is bought, and its context buys no other', async () => {
    const context = framework.context(await framework.delegation({caveats: framework.loose(9000)}));
    const paid = await moves(1000, async () => {
      const answered = await answer('/by/a', {context});
      assert.equal(await answered.text(), 'here is /by/a');
      return answered;
    });
    const receipt = decode(paid.headers.get('payment-response'));
    assert.deepEqual([receipt.success, receipt.payer], [true, framework.account]);
    const other = await moves(0, () => answer('/by/b', {context}));
    assert.equal(other.status, 402);
  });

  test('our client buys it with what a wallet delegates', async () => {
    const env = {X402_WALLET: join(top, 'tests/devnet/delegation.wallet.mjs'), DELEGATION_WALLET: JSON.stringify({info,
      manager: framework.manager, enforcers: framework.enforcers, payer: info.accounts.payer})};
    const bought = await moves(1000, async () => {
      const {code, stdout, stderr} = await run(join(buildDir, 'examples/delegation'), [`${gateway.url}/by/d`], {env});
      assert.equal(code, 0, stderr);
      assert.equal(stdout, 'here is /by/d');
      return stderr;
    });
    assert.match(bought, new RegExp(`payment paid, payer ${framework.account}, 0x[0-9a-f]{64}`));
    // A wallet that does not agree: nothing is sent.
    const refused_ = await moves(0, () => run(join(buildDir, 'examples/delegation'), [`${gateway.url}/by/d`],
      {env: {...env, X402_WALLET: '/bin/false'}}));
    assert.equal(refused_.code, 1, refused_.stderr);
  });

  test('nothing is delivered for a delegation to another', async () => {
    const unpaid = await moves(0, () => answer('/by/c', {delegation: {delegate: info.accounts.payee.address}}));
    assert.equal(unpaid.status, 402);
    assert.equal(decode(unpaid.headers.get('payment-required')).error, SIMULATION);
  });
});

describe('refused before anything is sent', () => {
  const table = {
    'another delegate': [() => ({delegation: {delegate: info.accounts.payee.address}}), SIMULATION],
    "another's signature": [() => ({delegation: {privateKey: info.accounts.payer2.privateKey}}), SIMULATION],
    'a caveat that was changed after it was signed': [async () => {
      const good = await framework.delegation();
      return {context: framework.context({...good, caveats: good.caveats.slice(1)})};
    }, SIMULATION],
    'an amount above the caveat': [() => ({delegation: {caveats: framework.loose(999)}}), SIMULATION],
    'an amount that is not the one of the caveat': [() => ({requirements: {amount: '1001'}}), SIMULATION],
    'another payee than the caveat says': [() => ({requirements: {payTo: info.accounts.payer2.address}}), SIMULATION],
    'another token than the caveat says': [() => ({requirements: {asset: info.plainToken}}), SIMULATION],
    'a caveat whose time is over': [() => ({delegation: {caveats: [['TimestampEnforcer',
      encodePacked(['uint128', 'uint128'], [0n, 1n])]]}}), SIMULATION],
    'a context of no delegation': [() => ({context: '0x1234'}), SIMULATION],
    'a context of two bytes and a hundred': [() => ({context: `0x${'ab'.repeat(102)}`}), SIMULATION],
    'a payer that does not have it': [() => ({payload: {delegator: info.extra[1].address},
      requirements: {amount: '2000000'}}), 'invalid_exact_evm_insufficient_balance'],
    'a manager that is not allowed': [() => ({payload: {delegationManager: framework.account}}), 'unsupported_payload_type'],
    'the token as its manager': [() => ({payload: {delegationManager: info.token}}), 'unsupported_payload_type'],
    'an allowed manager without code': [() => ({payload: {delegationManager: NOWHERE}}), SIMULATION],
    'a manager that takes all gas': [() => ({payload: {delegationManager: framework.bad.TrapManager}}), SIMULATION],
    'bytes that take all gas': [() => ({context: `0x${'ff'.repeat(8192)}`,
      payload: {delegationManager: framework.bad.NothingManager}}), SIMULATION],
    'a context of more bytes than are taken': [() => ({context: `0x${'00'.repeat(8193)}`}), 'invalid_payload'],
    'an empty context': [() => ({context: '0x'}), 'invalid_payload'],
    'a context that is no hex': [() => ({context: '0xzz'}), 'invalid_payload'],
    'no delegator': [() => ({payload: {delegator: undefined}}), 'invalid_payload'],
    'a delegator that is no address': [() => ({payload: {delegator: '0x12'}}), 'invalid_payload'],
    'a manager that is no address': [() => ({payload: {delegationManager: 'metamask.eth'}}), 'invalid_payload'],
    'an authorization beside it': [() => ({payload: {authorization: {}}}), 'unsupported_payload_type'],
    'an offer that did not ask for it': [() => ({requirements: {extra: {name: 'USDC', version: '2'}}}), 'unsupported_payload_type'],
    'an offer of another method': [() => ({requirements: {extra: {assetTransferMethod: 'permit2'}}}), 'unsupported_payload_type'],
    'another scheme in the payment': [() => ({accepted: {scheme: 'upto'}}), 'invalid_exact_evm_scheme'],
    'another network in the payment': [() => ({accepted: {network: 'eip155:8453'}}), 'invalid_exact_evm_network_mismatch'],
    'an asset without code': [() => ({requirements: {asset: NOWHERE}}), 'asset_not_deployed_contract'],
    'an asset that is no address': [() => ({requirements: {asset: 'USDC'}}), 'invalid_payment_requirements'],
  };

  for (const [name, [make, reason]] of Object.entries(table)) {
    test(`${name}: ${reason}`, async () => refused(await request(await make()), reason));
  }

  test('a permit of Permit2 beside it: unsupported_payload_type', async () => {
    const {permit2Authorization} = (await permit2Request(info)).paymentPayload.payload;
    await refused(await request({payload: {permit2Authorization}}), 'unsupported_payload_type');
  });

  // A context of no delegation is the sender's own wish: a signer of ours that
  // is an account of the framework would pay for whoever asks.
  test('a context without a delegation, which is for the sender to pay', async () => {
    const [signer] = info.extra;
    const had = await devnet.balanceOf(signer.address);
    assert.ok(had >= 1000n);
    await devnet.rpc('anvil_setCode', [signer.address, `0xef0100${framework.implementation.slice(2).toLowerCase()}`]);
    try {
      for (const delegator of [signer.address, framework.account]) {
        await refused(await request({context: framework.context(), payload: {delegator}}), SIMULATION);
      }
    } finally {
      await devnet.rpc('anvil_setCode', [signer.address, '0x']);
    }
    assert.equal(await devnet.balanceOf(signer.address), had);
  });

  test('one that the payer took back between /verify and /settle', async () => {
    const delegation = await framework.delegation();
    const body = await request({context: framework.context(delegation)});
    assert.equal((await verify(body)).isValid, true);
    await framework.done(await framework.revoke(delegation));
    await refused(body, SIMULATION);
  });

  test('any, where no manager is allowed', async () => {
    const closed = await startFacilitator(devnet, {X402_NETWORK: info.network});
    try {
      const verdict = await verify(await request(), closed.url);
      assert.deepEqual([verdict.isValid, verdict.invalidReason], [false, 'unsupported_payload_type']);
      const answer = await moves(0, async () => settle(await request(), closed.url));
      assert.equal(answer.errorReason, 'unsupported_payload_type');
    } finally {
      await closed.stop();
    }
  });
});

describe('sent, and not credited', () => {
  const by = (name, change = {}) => request({context: randomNonce(),
    ...change, payload: {delegationManager: framework.bad[name], ...change.payload}});

  test('by a manager that does nothing', async () => {
    await fails(await by('NothingManager'), 'invalid_exact_evm_transfer_event_mismatch');
  });

  test('by a manager that takes all gas only when it is sent', async () => {
    const receipt = await fails(await by('LateTrapManager'), 'invalid_exact_evm_transaction_failed');
    assert.equal(receipt.status, 'reverted');
  });

  test('by a manager that redeems it twice', async () => {
    const context = encodeAbiParameters([{type: 'address'}, {type: 'uint256'}], [framework.willing, 2n]);
    await fails(await by('TimesManager', {context, payload: {delegator: framework.willing}}),
      'invalid_exact_evm_transfer_event_mismatch', 2000, framework.willing);
  });

  test('where the money is not the named payer\'s', async () => {
    const body = await request({payload: {delegator: info.accounts.payer2.address}});
    await fails(body, 'invalid_exact_evm_transfer_event_mismatch', 1000);
  });

  test('where the payer takes it back while it is on its way', async () => {
    const delegation = await framework.delegation();
    const body = await request({context: framework.context(delegation)});
    await devnet.rpc('evm_setAutomine', [false]);
    try {
      await moves(0, async () => {
        const answered = settle(body);
        // The redemption waits for a block; what pays more goes before it.
        for (const end = Date.now() + 30000; ;) {
          const {pending} = await devnet.rpc('txpool_status');
          if (BigInt(pending) > 0n) break;
          assert.ok(Date.now() < end, 'it was never sent');
          await sleep(20);
        }
        await framework.revoke(delegation, {maxFeePerGas: 400_000_000_000n, maxPriorityFeePerGas: 300_000_000_000n});
        await devnet.rpc('evm_mine');
        const answer = await answered;
        assert.deepEqual([answer.success, answer.errorReason], [false, 'invalid_exact_evm_transaction_failed'], JSON.stringify(answer));
        const {receipt} = await transactionOf(answer);
        assert.equal(receipt.status, 'reverted');
        return answer;
      });
    } finally {
      await devnet.rpc('evm_setAutomine', [true]);
    }
  });
});

// Loose ones: the chain itself would let each be redeemed fifty times.
describe('killed', () => {
  for (const step of ['after_reserve', 'after_journal', 'before_broadcast', 'after_broadcast', 'after_mined', 'after_credit']) {
    test(`${step.replace('_', ' ')}: redeemed once after a restart`, async () => {
      const store = join(scratchDir(), 'facilitator.sqlite');
      const body = await request({delegation: {caveats: framework.loose(50000)}});
      await moves(1000, async () => {
        const doomed = await open(store, {X402_TEST_CRASH_AT: step});
        await settle(body, doomed.url).catch(() => {});
        assert.equal(await doomed.exited, 'SIGKILL', `never came by ${step}`);
        const again = await open(store);
        try {
          for (const end = Date.now() + 30000; ;) {
            const answer = await settle(body, again.url);
            if (answer.success || answer.errorReason === 'duplicate_settlement') return answer;
            assert.ok(Date.now() < end, JSON.stringify(answer));
            await sleep(100);
          }
        } finally {
          await again.stop();
        }
      });
      // And once more, by a third run.
      const third = await open(store);
      const answer = await moves(0, () => settle(body, third.url));
      assert.equal(answer.errorReason, 'duplicate_settlement');
      await third.stop();
    });
  }
});
