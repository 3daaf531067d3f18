// Paying first and showing the transaction, with every part real: the chain, a
// facilitator, a shop, the command. Money is counted on chain, goods by the body.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { buildDir, post, scratchDir, sleep, start, startDevnet, startFacilitator, tied } from '../devnet/lib.mjs';
import { accounts, viem } from './facilitator.lib.mjs';
import { decode, encode, environment, makeHome, run, x402 } from './cli.lib.mjs';
import { GRANT_STEPS } from '../fault/kill.steps.mjs';

const SECRET = '5e'.repeat(32);
const PRICE = 10000n;
const abi = viem.parseAbi(['function transfer(address to, uint256 value) returns (bool)']);

let devnet;
let facilitator;
let shop;
let wallet; // the payer's, as any wallet would send
const startShop = (env = {}) => start(path.join(buildDir, 'examples/paid-first'), [], { ready: /url=(http\S+)/,
  env: { PORT: '0', PAY_TO: devnet.info.accounts.payee.address, SHOP_SECRET: SECRET,
    FACILITATOR_URL: facilitator.url, ...env } });

before(async () => {
  devnet = await startDevnet({ accounts: 4, fund: 1000000 });
  facilitator = await startFacilitator(devnet, { X402_NETWORK: devnet.info.network });
  shop = await startShop();
  shop.url = shop.match[1];
  const chain = viem.defineChain({ id: devnet.info.chainId, name: 'devnet',
    nativeCurrency: { name: 'E', symbol: 'E', decimals: 18 }, rpcUrls: { default: { http: [devnet.info.rpcUrl] } } });
  wallet = (key) => viem.createWalletClient({ chain, transport: viem.http(devnet.info.rpcUrl),
    account: accounts.privateKeyToAccount(key) });
});
after(async () => {
  await shop?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

const mine = (blocks = 13) => devnet.rpc('anvil_mine', [`0x${blocks.toString(16)}`]);
const payerKey = () => devnet.info.accounts.payer.privateKey;

/** Anvil stamps a block a second after the last one at least: come back to the present. */
async function alignClock() {
  await devnet.rpc('anvil_setBlockTimestampInterval', [0]).catch(() => {});
  await devnet.rpc('evm_setNextBlockTimestamp', [Math.floor(Date.now() / 1000)]).catch(() => {});
}

async function challenge(target) {
  await alignClock();
  const response = await fetch(`${shop.url}${target}`);
  assert.equal(response.status, 402);
  return { response, required: decode(response.headers.get('payment-required')) };
}
const proofOffer = (required) => required.accepts.find(({ scheme }) => scheme === 'proof');

async function pay(offer, { key = payerKey(), to = offer.payTo, amount = offer.amount, token = offer.asset } = {}) {
  const hash = await wallet(key).writeContract({ address: token, abi, functionName: 'transfer', args: [to, BigInt(amount)] });
  return hash;
}

const types = { TransactionProof: [{ name: 'reference', type: 'bytes32' }, { name: 'transaction', type: 'bytes32' },
  { name: 'payTo', type: 'address' }, { name: 'amount', type: 'uint256' }, { name: 'resource', type: 'string' }] };
/** The payer's signature, made by viem and not by our own code. */
const sign = (offer, transaction, resource, key = payerKey()) => accounts.privateKeyToAccount(key).signTypedData({
  domain: { name: 'x402 transaction proof', version: '1', chainId: devnet.info.chainId, verifyingContract: offer.asset },
  types, primaryType: 'TransactionProof', message: { reference: offer.extra.reference, transaction,
    payTo: offer.payTo, amount: BigInt(offer.amount), resource } });

async function payment(required, transaction, key = payerKey()) {
  const offer = proofOffer(required);
  return { x402Version: 2, resource: required.resource, accepted: offer, payload: { transaction,
    payer: accounts.privateKeyToAccount(key).address, signature: await sign(offer, transaction, required.resource.url, key) } };
}

async function show(target, body) {
  const response = await fetch(`${shop.url}${target}`, { headers: { 'PAYMENT-SIGNATURE': encode(body) } });
  return { status: response.status, text: await response.text(), headers: response.headers };
}
const refusal = (answer) => {
  const receipt = answer.headers.get('payment-response');
  return receipt ? decode(receipt).errorReason : decode(answer.headers.get('payment-required')).error;
};

test('a transfer is shown once it is final, and buys one thing', async () => {
  const { required } = await challenge('/shown');
  const before = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const hash = await pay(proofOffer(required));
  const body = await payment(required, hash);
  let answer = await show('/shown', body);
  assert.equal(answer.status, 402);
  assert.equal(refusal(answer), 'proof_transaction_not_final');
  await mine();
  answer = await show('/shown', body);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.text, 'Shown, and served.\n');
  assert.equal(decode(answer.headers.get('payment-response')).transaction, hash);
  assert.equal(await devnet.balanceOf(devnet.info.accounts.payee.address), before + PRICE);
  // The journal names it.
  const row = await (await fetch(`${facilitator.url}/payments/${hash}`)).json();
  assert.equal(row.state ?? row.payments?.[0]?.state, 'settled', JSON.stringify(row));
  // Another challenge, another page, another shop: the same hash buys nothing.
  const again = await challenge('/either');
  const other = await show('/either', await payment(again.required, hash));
  assert.notEqual(other.status, 200);
  assert.equal(refusal(other), 'duplicate_settlement');
  const restarted = await startShop({ SHOP_SECRET: '77'.repeat(32) });
  const fresh = await fetch(`${restarted.match[1]}/shown`);
  const offered = decode(fresh.headers.get('payment-required'));
  const third = await fetch(`${restarted.match[1]}/shown`, { headers: { 'PAYMENT-SIGNATURE': encode(await payment(offered, hash)) } });
  assert.notEqual(third.status, 200);
  await restarted.stop('SIGKILL');
});

test('the habit alone is enough: a header, and no x402', async () => {
  const { response } = await challenge('/shown');
  const said = Object.fromEntries(['address', 'amount', 'network', 'contract'].map((name) =>
    [name, response.headers.get(`x-payment-${name}`)]));
  const reference = /reference=(0x[0-9a-f]{64})/.exec(response.headers.get('x-accept-payment'))[1];
  assert.equal(said.network, devnet.info.network);
  const hash = await pay({ payTo: said.address, amount: said.amount, asset: said.contract });
  await mine();
  const offer = { asset: said.contract, payTo: said.address, amount: said.amount, extra: { reference } };
  const signature = await sign(offer, hash, `${shop.url}/shown`);
  const header = `${hash}; reference=${reference}; payer=${devnet.info.accounts.payer.address}; signature=${signature}`;
  // Without the signature it is anybody's copy.
  let answer = await fetch(`${shop.url}/shown`, { headers: { 'X-Payment-Proof': `${hash}; reference=${reference}` } });
  assert.equal(answer.status, 402);
  answer = await fetch(`${shop.url}/shown`, { headers: { 'X-Payment-Proof': header } });
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.equal(await answer.text(), 'Shown, and served.\n');
});

test('twenty at once with one transfer: one is served', async () => {
  const { required } = await challenge('/shown');
  const hash = await pay(proofOffer(required));
  await mine();
  const bodies = await Promise.all(Array.from({ length: 20 }, async (_, i) =>
    payment(i % 2 ? required : (await challenge('/shown')).required, hash)));
  const answers = await Promise.all(bodies.map((body) => show('/shown', body)));
  // Challenges younger than the transfer are refused for that, the others for its being used.
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
});

test('what does not pay this purchase is refused with its reason', async () => {
  const info = devnet.info;
  const cases = [
    ['proof_transaction_not_mined', async () => `0x${randomBytes(32).toString('hex')}`],
    ['proof_amount_too_low', (offer) => pay(offer, { amount: 9999n })],
    ['proof_not_a_transfer', (offer) => pay(offer, { to: info.extra[0].address })],
    ['proof_not_a_transfer', (offer) => pay(offer, { token: info.plainToken })],
    ['proof_transaction_failed', (offer) => wallet(payerKey()).writeContract({ address: offer.asset, abi,
      functionName: 'transfer', args: [offer.payTo, 2n ** 200n], gas: 100000n })],
    ['proof_payer_mismatch', (offer) => pay(offer, { key: info.accounts.payer2.privateKey })],
    ['proof_not_a_transfer', (offer) => wallet(payerKey()).sendTransaction({ to: offer.payTo, value: 1n })],
  ];
  for (const [reason, send] of cases) {
    const { required } = await challenge('/shown');
    const hash = await send(proofOffer(required));
    await mine();
    const answer = await show('/shown', await payment(required, hash));
    assert.equal(answer.status, 402, reason);
    assert.equal(refusal(answer), reason);
  }
  // A transfer from before the challenge, by more than clocks may differ: a seller's clock that is ahead.
  const { required } = await challenge('/shown');
  const hash = await pay(proofOffer(required));
  const { timestamp } = await devnet.read.getBlock();
  await mine();
  proofOffer(required).extra.issuedAt = Number(timestamp) + 16;
  await sleep(2500);
  const body = await payment(required, hash);
  const answer = await post(`${facilitator.url}/verify`, { x402Version: 2, paymentPayload: body, paymentRequirements: body.accepted });
  assert.equal(answer.body.invalidReason, 'proof_older_than_challenge', answer.text);
});

test('an exact payment cannot be shown as a proof too', async () => {
  const { required } = await challenge('/either');
  const home = makeHome();
  const bought = await run(home, ['get', '-s', `${shop.url}/either`],
    { env: buyEnv() });
  assert.equal(bought.stdout, 'Either way.\n', bought.stderr);
  const logs = await devnet.rpc('eth_getLogs', [{ address: devnet.info.token, fromBlock: '0x0', toBlock: 'latest',
    topics: ['0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5'] }]);
  const hash = logs.at(-1).transactionHash;
  await mine();
  const answer = await show('/either', await payment(required, hash));
  assert.equal(answer.status, 402);
  assert.equal(refusal(answer), 'proof_payer_mismatch');
});

test('an unbound proof is refused by a facilitator that was not told to take them', async () => {
  const { response } = await challenge('/loose');
  const reference = /reference=(0x[0-9a-f]{64}); bound=0/.exec(response.headers.get('x-accept-payment'))[1];
  const answer = await fetch(`${shop.url}/loose`, { headers: { 'X-Payment-Proof': `0x${'12'.repeat(32)}; reference=${reference}` } });
  assert.equal(answer.status, 402);
  assert.equal(decode(answer.headers.get('payment-required')).error, 'invalid_proof_not_taken');
});

// ---- The command. ----

const buyEnv = () => ({ EVM_PRIVATE_KEY: payerKey(), EVM_RPC_URL: devnet.info.rpcUrl });
const nonce = async () => Number(await devnet.rpc('eth_getTransactionCount', [devnet.info.accounts.payer.address, 'latest']));

test('the command sends the transfer, waits, and shows it', async () => {
  const home = makeHome();
  await alignClock();
  const refused = await run(home, ['get', '-s', `${shop.url}/shown`], { env: buyEnv() });
  assert.notEqual(refused.code, 0); // nobody said that it may send transfers
  const before = await nonce();
  const buying = run(home, ['get', '-s', '--send-transfers', '-m', '40', `${shop.url}/shown`], { env: buyEnv() });
  for (let i = 0; i < 300 && await nonce() === before; i++) await sleep(100);
  await mine();
  const bought = await buying;
  assert.equal(bought.stdout, 'Shown, and served.\n', bought.stderr);
  assert.equal(await nonce(), before + 1);
});

test('killed after it has paid, it goes on with the same transfer', async () => {
  const home = makeHome();
  await alignClock();
  const before = await nonce();
  const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const args = ['get', '-s', '--send-transfers', '-m', '40', `${shop.url}/shown`];
  const child = spawn(...tied(x402, args), { cwd: home.dir, env: environment(home, buyEnv()), stdio: 'ignore' });
  for (let i = 0; i < 300 && await nonce() === before; i++) await sleep(100);
  child.kill('SIGKILL');
  await new Promise((done) => child.once('close', done));
  await mine();
  const bought = await run(home, args, { env: buyEnv() });
  assert.equal(bought.stdout, 'Shown, and served.\n', bought.stderr);
  assert.equal(await nonce(), before + 1);
  assert.equal(await devnet.balanceOf(devnet.info.accounts.payee.address), balance + PRICE);
});

/** A node that answers questions, but never says what became of a transaction. */
async function startNode(onTransaction) {
  const ask = (body) => fetch(devnet.info.rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const node = createServer((req, res) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', async () => {
      const text = Buffer.concat(chunks).toString();
      if (text.includes('eth_sendRawTransaction')) {
        onTransaction(() => ask(text));
        return; // no answer, ever
      }
      res.setHeader('content-type', 'application/json');
      res.end(await (await ask(text)).text());
    });
  });
  await new Promise((done) => node.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${node.address().port}`, stop() {
    node.closeAllConnections();
    return new Promise((done) => node.close(done));
  } };
}

test('a transfer that left is not unpaid because the purchase ended there', async (t) => {
  const home = makeHome();
  await alignClock();
  const before = await nonce();
  const balance = await devnet.balanceOf(devnet.info.accounts.payee.address);
  const node = await startNode((passOn) => passOn());
  t.after(() => node.stop());
  const args = (seconds) => ['get', '-s', '--send-transfers', '-m', seconds, `${shop.url}/shown`];
  const first = await run(home, args('10'), { env: { ...buyEnv(), EVM_RPC_URL: node.url } });
  assert.equal(first.code, 11, first.stderr);
  assert.equal(first.error.charged, 'unknown', first.stderr);
  assert.equal(first.stdout, '', 'the body of the 402');
  for (let i = 0; i < 300 && await nonce() === before; i++) await sleep(100);
  assert.equal(await nonce(), before + 1);
  const open = await run(home, ['history', '--open']);
  assert.equal(open.answer.length ?? open.answer.payments?.length, 1, open.stdout);
  await mine();
  const bought = await run(home, args('40'), { env: buyEnv() });
  assert.equal(bought.stdout, 'Shown, and served.\n', bought.stderr);
  assert.equal(await nonce(), before + 1, 'a second transfer');
  assert.equal(await devnet.balanceOf(devnet.info.accounts.payee.address), balance + PRICE);
});

test('killed before the transfer could leave, it is sent from the journal', async () => {
  const home = makeHome();
  await alignClock();
  const before = await nonce();
  let swallowed = 0;
  const node = await startNode(() => swallowed++);
  const args = ['get', '-s', '--send-transfers', '-m', '40', `${shop.url}/shown`];
  const child = spawn(...tied(x402, args), { cwd: home.dir, stdio: 'ignore',
    env: environment(home, { ...buyEnv(), EVM_RPC_URL: node.url }) });
  for (let i = 0; i < 300 && !swallowed; i++) await sleep(100);
  child.kill('SIGKILL');
  await new Promise((done) => child.once('close', done));
  await node.stop();
  assert.equal(swallowed, 1);
  assert.equal(await nonce(), before);
  const buying = run(home, args, { env: buyEnv() });
  for (let i = 0; i < 300 && await nonce() === before; i++) await sleep(100);
  await mine();
  const bought = await buying;
  assert.equal(bought.stdout, 'Shown, and served.\n', bought.stderr);
  assert.equal(await nonce(), before + 1);
});

test('a facilitator killed at the grant grants once', async () => {
  const dir = scratchDir();
  const env = { X402_NETWORK: devnet.info.network, X402_STORE: path.join(dir, 'store.sqlite') };
  for (const point of GRANT_STEPS) {
    const { required } = await challenge('/shown');
    const hash = await pay(proofOffer(required));
    await mine();
    const offer = proofOffer(required);
    const body = { x402Version: 2, paymentPayload: await payment(required, hash), paymentRequirements: offer };
    const doomed = await startFacilitator(devnet, { ...env, X402_TEST_CRASH_AT: point });
    const died = await post(`${doomed.url}/settle`, body, { 'Idempotency-Key': point }).catch(() => null);
    assert.equal(died?.body?.success ?? false, false);
    const second = await startFacilitator(devnet, env);
    const answers = [await post(`${second.url}/settle`, body, { 'Idempotency-Key': point }),
      await post(`${second.url}/settle`, body)];
    assert.equal(answers[0].body.success, true, answers[0].text);
    assert.equal(answers[1].body.errorReason, 'duplicate_settlement', answers[1].text);
    await second.stop();
  }
});
