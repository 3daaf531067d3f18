// What became of payments whose answer was lost, by each kind that the chain
// can be asked about: EIP-3009, Permit2 (exact) and upto. A real chain and the
// real facilitator; the shop takes the payment and says nothing.
//
//   node --test tests/system/client_resume.test.mjs
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { post, programs, run, scratchDir, startDevnet, startFacilitator } from '../devnet/lib.mjs';

let devnet;
let facilitator;
let shop;
let shown = [];
const offers = {};
before(async () => {
  devnet = await startDevnet();
  facilitator = await startFacilitator(devnet, { X402_NETWORK: devnet.info.network });
  const { info } = devnet;
  const offer = (scheme, extra) => ({ scheme, network: info.network, amount: '1000', asset: info.token,
    payTo: info.accounts.payee.address, maxTimeoutSeconds: 60,
    extra: { name: info.tokenName, version: info.tokenVersion, ...extra } });
  offers.eip3009 = offer('exact');
  offers.permit2 = offer('exact', { assetTransferMethod: 'permit2' });
  offers.upto = offer('upto', { assetTransferMethod: 'permit2',
    facilitatorAddress: info.accounts.facilitator.address });
  shop = createServer((req, res) => {
    const payment = req.headers['payment-signature'];
    if (payment) {
      shown.push(JSON.parse(Buffer.from(payment, 'base64')));
      req.socket.destroy();
      return;
    }
    const [kind] = req.url.slice(1).split('?');
    res.writeHead(402, { 'PAYMENT-REQUIRED': Buffer.from(JSON.stringify({ x402Version: 2,
      resource: { url: shop.url + req.url }, accepts: [offers[kind]] })).toString('base64') }).end();
  });
  await new Promise((done) => { shop.listen(0, '127.0.0.1', done); });
  shop.url = `http://127.0.0.1:${shop.address().port}`;
});
after(async () => {
  shop?.closeAllConnections();
  shop?.close();
  await facilitator?.stop();
  await devnet?.stop();
});

const newJournal = () => ({ X402_JOURNAL: join(scratchDir(), 'journal.sqlite') });

/** Shown to the shop, which never answers: the payment. */
async function lose(kind, journal) {
  shown = [];
  const { info } = devnet;
  const lost = await run(programs.client, ['get', `${shop.url}/${kind}`, '--network', info.network,
    '--asset', info.token, '--max-amount', '1000atomic'],
  { env: { EVM_PRIVATE_KEY: info.accounts.payer.privateKey, ...journal } });
  assert.equal(lost.code, 11, lost.stderr);
  assert.equal(new Set(shown.map((p) => p.payload.signature)).size, 1, 'one authorization');
  return shown[0];
}
async function resume(journal, block = 'latest') {
  const result = await run(programs.client, ['resume', '--block', block],
    { env: { EVM_RPC_URL: devnet.info.rpcUrl, ...journal } });
  return { code: result.code, ...JSON.parse(result.stdout) };
}
async function settle(payment, amount = payment.accepted.amount) {
  const { body } = await post(`${facilitator.url}/settle`, { x402Version: 2, paymentPayload: payment,
    paymentRequirements: { ...payment.accepted, amount } });
  assert.equal(body.success, true, JSON.stringify(body));
}

for (const kind of ['eip3009', 'permit2', 'upto']) {
  test(`${kind}_is_unknown_until_the_chain_has_it_and_then_paid`, async () => {
    const journal = newJournal();
    const payment = await lose(kind, journal);
    const open = await resume(journal);
    assert.equal(open.code, 11, JSON.stringify(open));
    assert.equal(open.unknown, 1);
    await settle(payment, kind === 'upto' ? '400' : undefined);
    const paid = await resume(journal);
    assert.equal(paid.code, 0, JSON.stringify(paid));
    assert.equal(paid.undelivered, 1);
  });
}

test('every_kind_is_dead_in_a_block_past_its_end_and_no_sooner', async () => {
  const journal = newJournal();
  const ends = [];
  for (const kind of ['eip3009', 'permit2', 'upto']) {
    const { payload } = await lose(kind, journal);
    ends.push(Number(payload.authorization?.validBefore ?? payload.permit2Authorization.deadline));
  }
  const last = Math.max(...ends);
  // Permit2 still takes it in the very second of its deadline.
  await devnet.rpc('evm_setNextBlockTimestamp', [last]);
  await devnet.rpc('evm_mine', []);
  const early = await resume(journal);
  const permits = ends.slice(1).filter((end) => end === last).length;
  assert.equal(early.unknown, permits, JSON.stringify(early));
  await devnet.rpc('evm_setNextBlockTimestamp', [last + 1]);
  await devnet.rpc('evm_mine', []);
  assert.equal((await resume(journal, 'earliest')).unknown, permits, 'that block is not the one that was asked for');
  const dead = await resume(journal);
  assert.equal(dead.code, 0, JSON.stringify(dead));
  assert.equal(dead.unknown, 0);
});
