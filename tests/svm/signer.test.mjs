// A signer process that keeps a key of Solana: `x402 get` pays through it, inside
// a session's scope, and its log says what it signed. A real runtime settles.
import assert from 'node:assert/strict';
import {createServer} from 'node:http';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {programs, run, scratchDir, start} from '../devnet/lib.mjs';
import {balance, offer, request, startDaemon, startDevnet} from './svm.lib.mjs';

const EVM_KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';
let devnet;
let daemon;
let shop;
let signer;
const dir = scratchDir();
const socket = join(dir, 'signer');
const client = {HOME: dir, X402_STATE_DIR: join(dir, 'state'), X402_JOURNAL: join(dir, 'journal.sqlite')};
before(async () => {
  devnet = await startDevnet();
  daemon = await startDaemon(devnet);
  shop = createServer(async (req, res) => {
    const header = req.headers['payment-signature'];
    if (!header) {
      res.writeHead(402, {'PAYMENT-REQUIRED': Buffer.from(JSON.stringify({x402Version: 2,
        resource: {url: `${shop.url}${req.url}`}, accepts: [offer(devnet)]})).toString('base64')}).end();
      return;
    }
    const payment = JSON.parse(Buffer.from(header, 'base64'));
    const {body} = await daemon.ask('/settle', request(payment.accepted, payment.payload));
    res.writeHead(body.success ? 200 : 402,
      {'PAYMENT-RESPONSE': Buffer.from(JSON.stringify(body)).toString('base64')}).end('content');
  });
  await new Promise((done) => shop.listen(0, '127.0.0.1', done));
  shop.url = `http://127.0.0.1:${shop.address().port}`;
  signer = await start(programs.client, ['signer', '--socket', socket, '--max-spend', '1usd'],
    {env: {...client, EVM_PRIVATE_KEY: EVM_KEY, SVM_PRIVATE_KEY: devnet.accounts.payer.idJson}, ready: /listening socket=/});
});
after(async () => {
  shop?.closeAllConnections();
  shop?.close();
  await signer?.stop();
  await daemon?.daemon.stop();
  await devnet?.stop();
});

const buy = (at, args = []) => run(programs.client, ['get', '--signer', socket, ...args, shop.url + at],
  {env: {...client, SVM_RPC_URL: devnet.rpcUrl}});
const paid = () => balance(devnet, devnet.accounts.payee.address, devnet.usdc);
async function session(...args) {
  const file = join(dir, `session-${args.length}-${args.at(-1).slice(-6)}`);
  const made = await run(programs.client, ['session', 'new', '-o', file, ...args], {env: {...client, EVM_PRIVATE_KEY: EVM_KEY}});
  assert.equal(made.code, 0, made.stderr);
  return file;
}

test('the signer pays on Solana, and says for whom', async () => {
  const had = await paid();
  const bought = await buy('/a');
  assert.equal(bought.code, 0, bought.stderr);
  assert.equal(bought.stdout, 'content');
  assert.equal(await paid() - had, 1000n);
  const log = signer.output().split('\n').filter((line) => line.includes('"solana"')).map((line) => JSON.parse(line));
  const last = log.at(-1);
  assert.equal(last.kind, 'solana');
  assert.equal(last.payTo, devnet.accounts.payee.address);
  assert.equal(last.amount, '1000');
  assert.equal('signature' in last, false);
});

test('a session pays its payee and nobody else', async () => {
  const had = await paid();
  const good = await session('--payee', devnet.accounts.payee.address);
  const bought = await buy('/b', ['--session', good]);
  assert.equal(bought.code, 0, bought.stderr);
  const bad = await session('--payee', devnet.accounts.payer2.address);
  const refused = await buy('/c', ['--session', bad]);
  assert.equal(refused.code, 1, refused.stderr);
  assert.match(refused.stderr, /payee is not in the scope/);
  assert.equal(JSON.parse(refused.stderr.trim().split('\n').at(-1)).charged, 'no');
  assert.equal(await paid() - had, 1000n);
});

test('a session ends with its count', async () => {
  const had = await paid();
  const once = await session('--max-count', '1');
  assert.equal((await buy('/d', ['--session', once])).code, 0);
  const second = await buy('/e', ['--session', once]);
  assert.equal(second.code, 1, second.stderr);
  assert.match(second.stderr, /all 1 payments/);
  assert.equal(await paid() - had, 1000n);
});
