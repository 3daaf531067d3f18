// Approvals that travel with a payment, on a real chain (C-065, F-074, F-075):
// a payer who has the token and no ether; what is given to it, and what those
// get who take the gift and do not pay; refusals with their exact codes.
import assert from 'node:assert/strict';
import {writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {after, before, describe, test} from 'node:test';
import {permit2Request, post, scratchDir, signApproval, sleep, startDevnet, startFacilitator}
  from '../devnet/lib.mjs';
import {approvalTable} from './approval.table.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {createWalletClient, http, keccak256, maxUint256} = require('viem');
const {privateKeyToAccount} = require('viem/accounts');

const STRANGER = '0x000000000000000000000000000000000000dEaD';
// 70,000 gas at 3 gwei: what signApproval signs for.
const COST = 210_000_000_000_000n;
const ACCOUNTS = 24;

let devnet;
let info;
let facilitator;
let next = 0;

/** A payer with tokens, and without ether and allowance. */
const fresh = () => info.extra[next++];

/** A daemon that sends approvals; more: lines of its chain's section. */
async function startSponsor(chain, {more = '', gift = 1000000, key = chain.info.accounts.facilitator.privateKey, store, env = {}} = {}) {
  const dir = scratchDir();
  const keyFile = join(dir, 'key');
  const file = join(dir, 'facilitator.conf');
  writeFileSync(keyFile, key, {mode: 0o600});
  writeFileSync(file, `listen = "127.0.0.1:0"\nstore = "${store ?? join(dir, 'f.sqlite')}"\n`
    + `chain "${chain.info.network}" {\nrpc_urls = {"${chain.info.rpcUrl}"}\nsigner_key_file = {"${keyFile}"}\n`
    + `sponsor_approvals = true\ngift_max_gwei = ${gift}\n${more}\n}\n`);
  return startFacilitator(chain, env, {args: ['-c', file]});
}

before(async () => {
  devnet = await startDevnet({accounts: ACCOUNTS, fund: 10000});
  info = devnet.info;
  facilitator = await startSponsor(devnet, {more: `batch_tokens = {"${info.token}", "${info.plainToken}"}`});
});
after(async () => {
  await facilitator?.stop();
  await devnet?.stop();
});

const verify = async (body, daemon = facilitator) => (await post(`${daemon.url}/verify`, body)).body;
const settle = async (body, daemon = facilitator) => (await post(`${daemon.url}/settle`, body)).body;
const ether = async (address, chain = devnet) => BigInt(await chain.rpc('eth_getBalance', [address, 'latest']));
const received = () => devnet.balanceOf(info.accounts.payee.address);
const allowance = async (owner) => BigInt(await devnet.rpc('eth_call', [{to: info.token,
  data: `0xdd62ed3e${owner.slice(2).padStart(64, '0')}${info.permit2.slice(2).padStart(64, '0')}`}, 'latest']));

/** A payment by Permit2 with an approval that the payer signed and did not send. */
async function sponsored(payer, {scheme = 'exact', chain = devnet, approval = {}, ...more} = {}) {
  return permit2Request(chain.info, {scheme, privateKey: payer.privateKey, ...more,
    extensions: {erc20ApprovalGasSponsoring: {info: await signApproval(chain.info, payer.privateKey, approval)}}});
}

for (const scheme of ['exact', 'upto']) {
  describe(`${scheme}, sponsored`, () => {
    test('a payer without ether pays, and is given what was missing and no more', async () => {
      const payer = fresh();
      assert.equal(await ether(payer.address), 0n);
      const body = await sponsored(payer, {scheme});
      const verdict = await verify(body);
      assert.equal(verdict.isValid, true, JSON.stringify(verdict));
      // Nothing is sent for a question.
      assert.equal(await ether(payer.address), 0n);
      const start = await received();
      const answer = await settle(body);
      assert.equal(answer.success, true, JSON.stringify(answer));
      assert.equal(await received() - start, 1000n);
      assert.equal(await allowance(payer.address), maxUint256);
      assert.ok(await ether(payer.address) < COST);
      const again = await settle(body);
      assert.equal(again.errorReason, 'duplicate_settlement');
      // The next one needs no approval, and a bare echo asks for nothing.
      const second = await settle(await permit2Request(info, {scheme, privateKey: payer.privateKey,
        extensions: {erc20ApprovalGasSponsoring: {info: {description: '', version: '1'}}}}));
      assert.equal(second.success, true, JSON.stringify(second));
      assert.equal(await received() - start, 2000n);
    });

    test('an approval of the amount alone is enough, in each form of a transaction', async () => {
      const forms = [{}, {type: 'eip2930', gasPrice: 3_000_000_000n, maxFeePerGas: undefined, maxPriorityFeePerGas: undefined},
        {type: 'legacy', gasPrice: 3_000_000_000n, maxFeePerGas: undefined, maxPriorityFeePerGas: undefined}];
      for (const tx of forms) {
        const payer = fresh();
        const answer = await settle(await sponsored(payer, {scheme, approval: {amount: 1000n, tx}}));
        assert.equal(answer.success, true, JSON.stringify(answer));
        assert.equal(await allowance(payer.address), 0n);
      }
    });

    test('who has the gas is given nothing', async () => {
      const payer = fresh();
      await devnet.rpc('anvil_setBalance', [payer.address, `0x${COST.toString(16)}`]);
      const answer = await settle(await sponsored(payer, {scheme}));
      assert.equal(answer.success, true, JSON.stringify(answer));
      assert.ok(await ether(payer.address) < COST);
    });
  });
}

test('a token that has nothing but ERC-20 is paid', async () => {
  const payer = fresh();
  await devnet.rpc('anvil_impersonateAccount', [info.accounts.payer.address]);
  await devnet.rpc('eth_sendTransaction', [{from: info.accounts.payer.address, to: info.plainToken,
    data: `0x40c10f19${payer.address.slice(2).padStart(64, '0')}${(5000).toString(16).padStart(64, '0')}`}]);
  const start = await devnet.balanceOf(info.accounts.payee.address, info.plainToken);
  const answer = await settle(await sponsored(payer, {token: info.plainToken, approval: {token: info.plainToken},
    requirements: {extra: {assetTransferMethod: 'permit2'}}}));
  assert.equal(answer.success, true, JSON.stringify(answer));
  assert.equal(await devnet.balanceOf(info.accounts.payee.address, info.plainToken) - start, 1000n);
});

test('/supported says so, and a daemon that does not send them says what is missing', async () => {
  const {extensions} = await (await fetch(`${facilitator.url}/supported`)).json();
  assert.ok(extensions.includes('erc20ApprovalGasSponsoring'));
  const plain = await startFacilitator(devnet, {X402_NETWORK: info.network,
    EVM_PRIVATE_KEY: info.accounts.payee.privateKey});
  try {
    const other = await (await fetch(`${plain.url}/supported`)).json();
    assert.ok(!other.extensions.includes('erc20ApprovalGasSponsoring'));
    const body = await sponsored(fresh());
    assert.equal((await verify(body, plain)).invalidReason, 'permit2_allowance_required');
    assert.equal((await settle(body, plain)).errorReason, 'permit2_allowance_required');
  } finally {
    await plain.stop();
  }
});

test('ten at once are one payment, one approval and one gift', async () => {
  const payer = fresh();
  const body = await sponsored(payer);
  const start = await received();
  const answers = await Promise.all(Array.from({length: 10}, () => settle(body)));
  assert.equal(answers.filter((answer) => answer.success).length, 1, JSON.stringify(answers));
  for (const answer of answers.filter((one) => !one.success)) {
    assert.equal(answer.errorReason, 'duplicate_settlement', JSON.stringify(answer));
  }
  assert.equal(await received() - start, 1000n);
  assert.ok(await ether(payer.address) < COST);
});

// Attacks on the gift. Each says what the facilitator loses at most.
describe('the gift', () => {
  test('is one a day: who spent it gets no other', async () => {
    const payer = fresh();
    assert.equal((await settle(await sponsored(payer))).success, true);
    // Back to where it began: no allowance, no ether.
    await devnet.rpc('anvil_impersonateAccount', [payer.address]);
    await devnet.rpc('anvil_setBalance', [payer.address, '0xde0b6b3a7640000']);
    await devnet.rpc('eth_sendTransaction', [{from: payer.address, to: info.token,
      data: `0x095ea7b3${info.permit2.slice(2).padStart(64, '0')}${'0'.repeat(64)}`}]);
    await devnet.rpc('anvil_stopImpersonatingAccount', [payer.address]);
    await devnet.rpc('anvil_setBalance', [payer.address, '0x0']);
    const start = await received();
    const answer = await settle(await sponsored(payer));
    assert.deepEqual([answer.success, answer.errorReason, answer.transaction],
      [false, 'erc20_approval_insufficient_eth_for_gas', ''], JSON.stringify(answer));
    assert.equal(await received(), start);
    assert.equal(await ether(payer.address), 0n);
  });

  // Anybody can make a token and own all of it.
  test('is not given for a token that nobody vouched for', async () => {
    const payer = fresh();
    const token = info.badTokens.SilentToken;
    await devnet.rpc('anvil_impersonateAccount', [info.accounts.payer.address]);
    await devnet.rpc('eth_sendTransaction', [{from: info.accounts.payer.address, to: token,
      data: `0x40c10f19${payer.address.slice(2).padStart(64, '0')}${(5000).toString(16).padStart(64, '0')}`}]);
    const answer = await settle(await sponsored(payer, {token, approval: {token},
      requirements: {extra: {assetTransferMethod: 'permit2'}}}));
    assert.equal(answer.errorReason, 'permit2_allowance_required', JSON.stringify(answer));
    assert.equal(await ether(payer.address), 0n);
  });

  test('is not given to who cannot pay', async () => {
    const payer = fresh();
    const answer = await settle(await sponsored(payer, {permit: {permitted: {token: info.token, amount: '20000'}},
      requirements: {amount: '20000'}}));
    assert.equal(answer.errorReason, 'permit2_insufficient_balance');
    assert.equal(await ether(payer.address), 0n);
  });

  test('is not given for a price at which nothing is mined', async () => {
    const payer = fresh();
    await devnet.rpc('anvil_setNextBlockBaseFeePerGas', ['0x3b9aca00']);
    await devnet.rpc('anvil_mine', ['0x1']);
    const answer = await settle(await sponsored(payer, {approval: {tx: {maxFeePerGas: 1n, maxPriorityFeePerGas: 1n}}}));
    assert.equal(answer.errorReason, 'erc20_approval_broadcast_failed', JSON.stringify(answer));
    assert.equal(await ether(payer.address), 0n);
  });

  test('has a ceiling for each, and for all of a day', async () => {
    const small = await startSponsor(devnet, {key: info.accounts.payee.privateKey,
      more: 'daily_gifts_gwei = 600000'});
    try {
      const given = [];
      for (let i = 0; i < 3; i++) {
        const payer = fresh();
        const answer = await settle(await sponsored(payer), small);
        if (answer.success) given.push(payer);
        else assert.equal(answer.errorReason, 'erc20_approval_insufficient_eth_for_gas', JSON.stringify(answer));
        if (!answer.success) assert.equal(await ether(payer.address), 0n);
      }
      // 210,000 gwei each and their gas.
      assert.ok(given.length >= 1 && given.length < 3, `${given.length} were given`);
    } finally {
      await small.stop();
    }
    const miser = await startSponsor(devnet, {key: info.accounts.payee.privateKey, gift: 209999});
    try {
      const body = await sponsored(fresh());
      assert.equal((await verify(body, miser)).invalidReason, 'erc20_approval_insufficient_eth_for_gas');
      assert.equal((await settle(body, miser)).errorReason, 'erc20_approval_insufficient_eth_for_gas');
    } finally {
      await miser.stop();
    }
  });
});

// On a chain that waits with its next block there is time to do something in between.
describe('between the gift and the approval', () => {
  let slow;
  let daemon;
  let store;
  let at = 0;

  before(async () => {
    slow = await startDevnet({blockTime: 1, accounts: 4, fund: 10000});
    store = join(scratchDir(), 'f.sqlite');
    daemon = await startSponsor(slow, {store});
  });
  after(async () => {
    await daemon?.stop();
    await slow?.stop();
  });

  const walletOf = (payer) => createWalletClient({transport: http(slow.info.rpcUrl),
    account: privateKeyToAccount(payer.privateKey), chain: {id: slow.info.chainId, name: 'devnet',
      nativeCurrency: {name: 'ETH', symbol: 'ETH', decimals: 18}, rpcUrls: {default: {http: [slow.info.rpcUrl]}}}});

  /** Settles; act(gift) is done when the gift is in a block, and no other block comes before. */
  async function settleBetween(payer, body, act) {
    await slow.rpc('evm_setIntervalMining', [0]);
    const settling = settle(body, daemon).catch(() => null);
    try {
      for (const end = Date.now() + 30000; ; await sleep(25)) {
        if (Number((await slow.rpc('txpool_status')).pending) > 0) break;
        if (Date.now() > end) throw new Error(`nothing was given: ${daemon.output().slice(-4000)}`);
      }
      await slow.rpc('evm_mine');
      await act(await ether(payer.address, slow));
    } finally {
      await slow.rpc('evm_setIntervalMining', [1]);
    }
    return settling;
  }

  test('the payer runs away with it: nothing is paid, and it was all', async () => {
    const payer = slow.info.extra[at++];
    const start = await slow.balanceOf(slow.info.accounts.payee.address);
    const body = await sponsored(payer, {chain: slow});
    const answer = await settleBetween(payer, body, async (balance) => {
      // The same nonce at a better price: whichever is mined, the other is not.
      const gasPrice = 9_000_000_000n;
      await walletOf(payer).sendTransaction({to: STRANGER, value: balance - 21000n * gasPrice, gas: 21000n,
        maxFeePerGas: gasPrice, maxPriorityFeePerGas: gasPrice, nonce: 0});
    });
    assert.deepEqual([answer.success, answer.transaction], [false, ''], JSON.stringify(answer));
    // Mined before it, or taken by the nodes in its place.
    assert.ok(['erc20_approval_tx_failed', 'erc20_approval_broadcast_failed'].includes(answer.errorReason),
      JSON.stringify(answer));
    assert.equal(await slow.balanceOf(slow.info.accounts.payee.address), start);
    // The second try costs nothing more, once the blocks say that it is gone.
    for (let i = 0; i < 1200 && await ether(payer.address, slow) >= COST; i++) await sleep(25);
    const again = await settle(await sponsored(payer, {chain: slow}), daemon);
    assert.equal(again.errorReason, 'erc20_approval_insufficient_eth_for_gas', JSON.stringify(again));
    assert.ok(await ether(payer.address, slow) < COST);
  });

  test('the payer moves its tokens: nothing is paid, and the reason is said', async () => {
    const payer = slow.info.extra[at++];
    const body = await sponsored(payer, {chain: slow});
    const start = await slow.balanceOf(slow.info.accounts.payee.address);
    const answer = await settleBetween(payer, body, () =>
      slow.rpc('anvil_setStorageAt', [slow.info.token, balanceSlot(payer.address), `0x${'0'.repeat(64)}`]));
    assert.deepEqual([answer.success, answer.errorReason, answer.transaction],
      [false, 'permit2_insufficient_balance', ''], JSON.stringify(answer));
    assert.equal(await slow.balanceOf(slow.info.accounts.payee.address), start);
  });

  test('the daemon is killed: asked again it pays, and gives nothing twice', async () => {
    const payer = slow.info.extra[at++];
    const body = await sponsored(payer, {chain: slow});
    const start = await slow.balanceOf(slow.info.accounts.payee.address);
    let gift;
    await settleBetween(payer, body, async (balance) => {
      gift = balance;
      await daemon.stop('SIGKILL');
    });
    daemon = await startSponsor(slow, {store});
    let answer;
    for (let i = 0; i < 5; i++) {
      answer = await settle(body, daemon);
      if (answer.success || answer.retry === 'do_not_retry') break;
    }
    assert.equal(answer.success, true, JSON.stringify(answer));
    assert.equal(await slow.balanceOf(slow.info.accounts.payee.address) - start, 1000n);
    assert.ok(await ether(payer.address, slow) < gift);
  });

  /** Where OpenZeppelin's ERC20 keeps a balance: keccak(address . slot 0). */
  function balanceSlot(address) {
    return keccak256(`0x${address.slice(2).toLowerCase().padStart(64, '0')}${'0'.repeat(64)}`);
  }
});

test('refuses what it must, with the exact codes, and gives nothing', async (t) => {
  const {address} = info.accounts.payer2;
  await devnet.rpc('anvil_setBalance', [address, '0xde0b6b3a7640000']);
  for (const entry of [...approvalTable(info, 'exact'), ...approvalTable(info, 'upto')]) {
    await t.test(`${entry.scheme}: ${entry.name}`, async () => {
      const body = await permit2Request(info, {...entry.change, extensions: await entry.extensions()});
      const funds = await ether(address);
      const start = await received();
      const verdict = await verify(body);
      assert.deepEqual([verdict.isValid, verdict.invalidReason], [false, entry.reason], JSON.stringify(verdict));
      assert.ok(verdict.invalidMessage.length > 0);
      const answer = await settle(body);
      assert.deepEqual([answer.success, answer.errorReason, answer.transaction], [false, entry.reason, ''],
        JSON.stringify(answer));
      assert.equal(await received(), start);
      assert.equal(await ether(address), funds);
    });
  }
});
