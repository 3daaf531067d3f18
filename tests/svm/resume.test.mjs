// What became of a Solana payment whose answer was lost: `x402 resume` asks the
// chain, which has never seen the payer's signature first. A real runtime; the
// shop is ours, takes the payment and says nothing.
import assert from 'node:assert/strict';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {programs, run, scratchDir} from '../devnet/lib.mjs';
import {offer, request, startDaemon, startDevnet} from './svm.lib.mjs';

let devnet;
let daemon;
let shop;
const shown = [];
before(async () => {
  devnet = await startDevnet();
  daemon = await startDaemon(devnet);
  shop = createServer((req, res) => {
    const payment = req.headers['payment-signature'];
    if (payment) {
      shown.push(JSON.parse(Buffer.from(payment, 'base64')));
      req.socket.destroy();
      return;
    }
    res.writeHead(402, {'PAYMENT-REQUIRED': Buffer.from(JSON.stringify({x402Version: 2,
      resource: {url: `${shop.url}${req.url}`}, accepts: [offer(devnet)]})).toString('base64')}).end();
  });
  await new Promise((done) => shop.listen(0, '127.0.0.1', done));
  shop.url = `http://127.0.0.1:${shop.address().port}`;
});
after(async () => {
  shop?.closeAllConnections();
  shop?.close();
  await daemon?.daemon.stop();
  await devnet?.stop();
});

/** A payment that was shown and never answered, in a journal of its own. */
async function lose() {
  const env = {SVM_PRIVATE_KEY: devnet.accounts.payer.idJson, SVM_RPC_URL: devnet.rpcUrl,
    X402_JOURNAL: join(scratchDir(), 'journal.sqlite')};
  shown.length = 0;
  const lost = await run(programs.client, ['get', `${shop.url}/lost`], {env});
  assert.equal(lost.code, 11, lost.stderr);
  assert.ok(shown.length >= 1);
  assert.equal(new Set(shown.map((p) => p.payload.transaction)).size, 1);
  return {payment: shown[0], async resume(rpcUrl = devnet.rpcUrl) {
    const result = await run(programs.client, ['resume'], {env: {...env, SVM_PRIVATE_KEY: '', SVM_RPC_URL: rpcUrl}});
    return {code: result.code, ...JSON.parse(result.stdout)};
  }};
}

async function settle(payment) {
  const answer = await daemon.ask('/settle', request(payment.accepted, payment.payload));
  assert.equal(answer.body?.success, true, answer.text);
  return answer.body.transaction;
}

/** Past the last block that could take what was signed until now. */
async function end() {
  await devnet.rpc('devnet_advanceTime', 1000);
  await devnet.rpc('devnet_expireBlockhashes');
}

test('a payment that the chain has is paid, by its own transaction', async () => {
  const {payment, resume} = await lose();
  const open = await resume();
  assert.equal(open.code, 11);
  assert.equal(open.unknown, 1, 'it may still come');
  const transaction = await settle(payment);
  await devnet.rpc('devnet_advanceSlots', 2);
  const paid = await resume();
  assert.equal(paid.code, 0, JSON.stringify(paid));
  assert.equal(paid.undelivered, 1);
  assert.equal(paid.payments[0].transaction, transaction);
});

test('a payment whose blockhash is over and that never came is not paid', async () => {
  const other = await lose();
  await settle(other.payment); // of the same account, and not this one
  const {resume} = await lose();
  await devnet.rpc('devnet_expireBlockhashes');
  const early = await resume();
  assert.equal(early.unknown, 1, 'blocks may have come fast: its fifteen minutes are not over');
  await end();
  const dead = await resume();
  assert.equal(dead.code, 0, JSON.stringify(dead));
  assert.equal(dead.notPaid, 1);
  assert.equal((await other.resume()).undelivered, 1);
});

test('a node of another cluster is not asked', async () => {
  const {resume} = await lose();
  await end();
  const genesis = createServer((req, res) => {
    res.end(JSON.stringify({jsonrpc: '2.0', id: 1, result: '5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d'}));
  });
  await new Promise((done) => genesis.listen(0, '127.0.0.1', done));
  try {
    assert.equal((await resume(`http://127.0.0.1:${genesis.address().port}`)).unknown, 1);
  } finally {
    genesis.closeAllConnections();
    genesis.close();
  }
  assert.equal((await resume()).notPaid, 1);
});

test('what a node has thrown away proves nothing', async () => {
  const {payment, resume} = await lose();
  await settle(payment);
  await end();
  await devnet.rpc('devnet_forget');
  const blind = await resume();
  assert.equal(blind.code, 11, JSON.stringify(blind));
  assert.equal(blind.unknown, 1);
});
