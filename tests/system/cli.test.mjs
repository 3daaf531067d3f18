// The command `x402` beside `get`: wallets that other tools open, session keys
// and the signer process, and what is made from its one table. Exit codes and
// output forms are held here: they are frozen.
//
//   node --test tests/system/cli.test.mjs
//   X402_BUILD_DIR  where the build is (default build/asan)
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { KEY, PAYEE, PAYER, TX, encode, environment, makeHome, offer, run, startCommand, startShop, x402 }
  from './cli.lib.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const vectors = path.join(here, '../vectors/keystore');
const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const { keccak256 } = require('viem');
const PASSWORD = 'correct horse';

let shop;
let home;
let password;
before(async () => {
  shop = await startShop();
  home = makeHome();
  password = home.file('password', `${PASSWORD}\n`);
});
after(() => shop.stop());

const wallet = (args, options) => run(home, ['wallet', ...args], options);
const withPassword = ['--password-file'];

function assertFails(result, code, word) {
  assert.equal(result.code, code, result.stderr);
  assert.equal(result.stdout, '');
  assert.equal(result.error.charged, 'no');
  assert.match(result.error.message, word);
}

// ---- wallets

test('wallet_new_is_encrypted_private_and_listed', async () => {
  const made = await wallet(['new', 'fresh', ...withPassword, password]);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.answer.address, /^0x[0-9a-fA-F]{40}$/);
  const stat = fs.statSync(made.answer.file);
  assert.equal(stat.mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(made.answer.file)).mode & 0o777, 0o700);
  const list = await wallet(['list']);
  assert.deepEqual(list.answer, [made.answer]);
  const address = await wallet(['address', 'fresh']);
  assert.equal(address.answer.address, made.answer.address);
  assertFails(await wallet(['new', 'fresh', ...withPassword, password]), 3, /exists/);
});

// What openssl makes of our file, with nothing of ours in between.
test('wallet_keystore_opens_with_other_peoples_cryptography', async () => {
  const source = home.file('plain-key', KEY);
  const made = await wallet(['import', 'mine', '--from', source, ...withPassword, password]);
  assert.equal(made.code, 0, made.stderr);
  assert.equal(made.answer.address, PAYER);
  const exported = await wallet(['export', 'mine']);
  const { crypto: c, version } = exported.answer;
  assert.equal(version, 3);
  const p = c.kdfparams;
  const derived = crypto.scryptSync(PASSWORD, Buffer.from(p.salt, 'hex'), p.dklen,
    { N: p.n, r: p.r, p: p.p, maxmem: 1 << 30 });
  const ciphertext = Buffer.from(c.ciphertext, 'hex');
  assert.equal(keccak256(Buffer.concat([derived.subarray(16), ciphertext])).slice(2), c.mac);
  const aes = crypto.createDecipheriv('aes-128-ctr', derived.subarray(0, 16),
    Buffer.from(c.cipherparams.iv, 'hex'));
  assert.equal('0x' + Buffer.concat([aes.update(ciphertext), aes.final()]).toString('hex'), KEY);
});

test('wallet_import_opens_what_other_tools_wrote', async () => {
  // The unit tests open all of them; each is a second of work here.
  for (const name of ['cast-1.7.1.json', 'geth-light-by-ethers-6.json']) {
    const file = home.file(name, fs.readFileSync(path.join(vectors, name)));
    const made = await wallet(['import', `w-${name.replace('.json', '')}`, '--from', file,
      ...withPassword, password]);
    assert.equal(made.code, 0, `${name}: ${made.stderr}`);
    assert.equal(made.answer.address, PAYER);
  }
});

test('wallet_import_takes_keys_of_solana_in_both_forms', async () => {
  // The seed 0..31; its public half by node's own Ed25519.
  const seed = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const key = crypto.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const half = crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);
  const both = Buffer.concat([seed, half]);
  const base58 = (bytes) => {
    let n = BigInt(`0x${bytes.toString('hex')}`);
    let text = '';
    for (; n > 0n; n /= 58n) text = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'[Number(n % 58n)] + text;
    for (const byte of bytes) { if (byte) break; text = `1${text}`; }
    return text;
  };
  const forms = { json: JSON.stringify([...both]), base58: base58(both) };
  for (const [form, text] of Object.entries(forms)) {
    const made = await wallet(['import', `sol-${form}`, '--from', home.file(`sol-${form}`, text),
      ...withPassword, password]);
    assert.equal(made.code, 0, made.stderr);
    assert.equal(made.answer.address, base58(half));
  }
  const list = (await wallet(['list'])).answer;
  assert.equal(list.find((w) => w.name === 'sol-json').address, base58(half));
  assert.equal((await wallet(['address', 'sol-json'])).answer.address, base58(half));
  // Out again, as solana-keygen writes it; and a keystore of it goes in elsewhere.
  const plain = home.path('sol-plain.json');
  const out = await wallet(['export', 'sol-json', '--plain', '-o', plain, ...withPassword, password]);
  assert.equal(out.code, 0, out.stderr);
  assert.deepEqual(JSON.parse(fs.readFileSync(plain, 'utf8')), [...both]);
  const sealed = home.path('sol-sealed.json');
  assert.equal((await wallet(['export', 'sol-json', '-o', sealed])).code, 0);
  const again = await wallet(['import', 'sol-again', '--from', sealed, ...withPassword, password]);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(again.answer.address, base58(half));
  const wrong = Buffer.from(both);
  wrong[63] ^= 1;
  assertFails(await wallet(['import', 'x', '--from', home.file('bad', JSON.stringify([...wrong])),
    ...withPassword, password]), 3, /id.json or base58/);
  // It is no payer on Ethereum's side, and says so without a password.
  const get = await run(home, ['get', `${shop.url}/paid`, '--wallet', 'sol-json']);
  assert.equal(get.code, 3, get.stderr);
  assert.match(get.error.message, /wallet of Solana/);
  const node = await run(home, ['get', `${shop.url}/free`], { env: { X402_SVM_WALLET: 'sol-json',
    X402_PASSWORD_FILE: password, EVM_PRIVATE_KEY: KEY } });
  assert.equal(node.code, 3, node.stderr);
  assert.match(node.error.message, /SVM_RPC_URL/);
});

test('wallet_import_says_what_is_wrong', async () => {
  const cast = fs.readFileSync(path.join(vectors, 'cast-1.7.1.json'));
  const wrong = home.file('wrong', 'incorrect horse');
  const good = home.file('cast', cast);
  assertFails(await wallet(['import', 'x', '--from', good, ...withPassword, wrong]),
    3, /wrong password/);
  assertFails(await wallet(['import', 'x', '--from', home.file('loose', cast, 0o640),
    ...withPassword, password]), 3, /chmod 600/);
  assertFails(await wallet(['import', 'x', '--from', home.file('cut', cast.subarray(0, 200)),
    ...withPassword, password]), 3, /./);
  assertFails(await wallet(['import', 'x', '--from', home.file('short', KEY.slice(0, 60)),
    ...withPassword, password]), 3, /64 hex digits/);
  assertFails(await wallet(['import', 'x', '--from', home.path('none'),
    ...withPassword, password]), 9, /No such file/);
  assertFails(await wallet(['import', '../x', '--from', good, ...withPassword, password]),
    2, /expected a name/);
  assertFails(await wallet(['import', 'x', '--from', good]), 3, /password/);
  assert.equal((await wallet(['list'])).answer.some((w) => w.name === 'x'), false);
});

test('wallet_export_never_prints_a_key', async () => {
  await wallet(['import', 'out', '--from', home.file('k', KEY), ...withPassword, password]);
  assertFails(await wallet(['export', 'out', '--plain']), 2, /never printed/);
  const file = home.path('bare');
  const plain = await wallet(['export', 'out', '--plain', '-o', file, ...withPassword, password]);
  assert.equal(plain.code, 0, plain.stderr);
  assert.equal(plain.stdout.includes(KEY.slice(2)), false);
  assert.equal(fs.readFileSync(file, 'utf8'), `${KEY}\n`);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assertFails(await wallet(['export', 'out', '--plain', '-o', file, ...withPassword, password]),
    3, /not written over/);
});

test('get_pays_from_a_wallet_and_asks_for_its_password_only_then', async () => {
  await wallet(['import', 'default', '--from', home.file('k2', KEY), ...withPassword, password]);
  // No password, no terminal: a free page needs neither.
  const free = await run(home, ['get', `${shop.url}/free`]);
  assert.equal(free.code, 0, free.stderr);
  const refused = await run(home, ['get', `${shop.url}/paid`]);
  assert.equal(refused.code, 1, refused.stderr);
  assert.equal(refused.error.code, 'signing_failed');
  shop.payments.length = 0;
  const paid = await run(home, ['get', `${shop.url}/paid`],
    { env: { X402_PASSWORD_FILE: password } });
  assert.equal(paid.code, 0, paid.stderr);
  assert.equal(paid.stdout, 'the article\n');
  assert.equal(shop.payments.length, 1);
  assert.equal(shop.payments[0].payload.authorization.from, PAYER);
});

test('get_max_spend_is_a_limit_too', async () => {
  shop.payments.length = 0;
  const env = { EVM_PRIVATE_KEY: KEY };
  const over = await run(home, ['get', `${shop.url}/paid`, '--max-spend', '0.0009usd'], { env });
  assert.equal(over.code, 6, over.stderr);
  assert.equal(over.error.charged, 'no');
  assert.equal(shop.payments.length, 0);
  const inside = await run(home, ['get', `${shop.url}/paid`, '--max-spend', '0.001usd'], { env });
  assert.equal(inside.code, 0, inside.stderr);
});

for (const [what, session] of [['short', 'agent-1'], ['long', `agent-${'1'.repeat(300)}`]])
test(`get_without_max_spend_a_session_with_a_${what}_name_spends_a_dollar`, async () => {
  const own = makeHome();
  const env = { EVM_PRIVATE_KEY: KEY, X402_SESSION_ID: session };
  shop.payments.length = 0;
  assert.equal((await run(own, ['get', `${shop.url}/paid?amount=600000`], { env })).code, 0);
  const over = await run(own, ['get', `${shop.url}/paid?amount=600000&n=2`], { env });
  assert.equal(over.code, 6, over.stderr);
  assert.equal(over.error.code, 'budget_exceeded');
  assert.equal(over.error.charged, 'no');
  assert.equal(shop.payments.length, 1);
  // One payment that was allowed to cost more is, in a session of its own.
  const dear = await run(own, ['get', `${shop.url}/paid?amount=2000000`, '--max-amount', '2usd'],
    { env: { EVM_PRIVATE_KEY: KEY } });
  assert.equal(dear.code, 0, dear.stderr);
});

test('text_of_strangers_moves_no_cursor', async (t) => {
  const evil = await startShop({ '/.well-known/x402': (req, res) =>
    res.end(JSON.stringify({ 'na\u001b[2Jme': 'a\u001b]0;owned\u0007b\u009bc\u202edcba' })) });
  t.after(() => evil.stop());
  // script(1) gives the command a terminal.
  const text = await new Promise((done) => {
    const child = spawn('script', ['-qec', `'${x402}' discover ${evil.url}`, '/dev/null'],
      { env: environment(home) });
    let out = '';
    child.stdout.on('data', (part) => { out += part; });
    child.stdin.end();
    child.on('close', () => done(out));
  });
  assert.match(text, /na\?\[2Jme/);
  assert.match(text, /a\?\]0;owned\?b\?c\?dcba/);
  assert.doesNotMatch(text, /\u001b\[2J|\u001b\]0;|\u009b|\u202e/);
});

// ---- the journal

test('history_status_and_budget_tell_what_was_bought', async () => {
  const own = makeHome();
  const env = { EVM_PRIVATE_KEY: KEY };
  const paid = await run(own, ['get', `${shop.url}/paid`, '--task', 'owls'], { env });
  assert.equal(paid.error.paymentId, 1);
  await run(own, ['get', `${shop.url}/paid?n=2`], { env });
  const history = (await run(own, ['history'])).answer;
  assert.deepEqual(history.map((p) => [p.paymentId, p.state, p.price, p.task]),
    [[2, 'paid_delivered', '$0.001 USDC', undefined], [1, 'paid_delivered', '$0.001 USDC', 'owls']]);
  assert.equal((await run(own, ['history', '--task', 'owls'])).answer.length, 1);
  assert.deepEqual((await run(own, ['history', '--open'])).answer, []);
  const csv = (await run(own, ['history', '--format', 'csv'])).stdout.trim().split('\n');
  assert.equal(csv.length, 3);
  assert.equal((await run(own, ['status', '1'])).answer.url, `${shop.url}/paid`);
  for (const id of ['7', 'nothing'])
    assert.equal((await run(own, ['status', id])).code, 9);
});

test('budget_set_binds_later_processes', async () => {
  const own = makeHome();
  const env = { EVM_PRIVATE_KEY: KEY };
  const set = await run(own, ['budget', 'set', '--max-spend', '0.0015usd', '--per', 'hour']);
  assert.deepEqual(set.answer, [{ scope: 'all', per: 'hour', max: '$0.0015', used: '$0', left: '$0.0015' }]);
  assert.equal((await run(own, ['get', `${shop.url}/paid`], { env })).code, 0);
  shop.payments.length = 0;
  const over = await run(own, ['get', `${shop.url}/paid?n=2`], { env });
  assert.equal(over.code, 6, over.stderr);
  assert.equal(over.error.code, 'budget_exceeded');
  assert.equal(over.error.charged, 'no');
  assert.equal(shop.payments.length, 0);
  assert.equal((await run(own, ['budget'])).answer[0].left, '$0.0005');
  assert.deepEqual((await run(own, ['budget', 'remove', '--per', 'hour'])).answer, []);
  assert.equal((await run(own, ['budget', 'remove', '--per', 'hour'])).code, 9);
  assert.equal((await run(own, ['get', `${shop.url}/paid?n=2`], { env })).code, 0);
  for (const args of [[], ['--max-spend', '5'], ['--max-spend', '1usd', '--per', 'week'],
    ['--max-spend', '50atomic'], ['--max-count', '0']])
    assert.equal((await run(own, ['budget', 'set', ...args])).code, 2, String(args));
});

test('get_without_a_place_for_the_journal_pays_nothing', async () => {
  shop.payments.length = 0;
  const result = await run(home, ['get', `${shop.url}/paid`],
    { env: { EVM_PRIVATE_KEY: KEY, X402_JOURNAL: path.join(password, 'journal.sqlite') } });
  assert.equal(result.code, 3, result.stderr);
  assert.equal(result.error.code, 'journal_error');
  assert.equal(shop.payments.length, 0);
});

test('resume_without_a_key_shows_the_same_payment_again', async (t) => {
  const own = makeHome();
  let broken = true;
  const shown = [];
  const site = await startShop({ '/late': (req, res, s) => {
    const payment = req.headers['payment-signature'];
    if (!payment) {
      res.writeHead(402, { 'PAYMENT-REQUIRED': encode({ x402Version: 2,
        resource: { url: `${s.url}/late` }, accepts: [offer({ amount: '1500000' })] }) });
      return res.end();
    }
    shown.push(payment);
    if (broken) return req.socket.destroy();
    res.writeHead(200, { 'PAYMENT-RESPONSE': encode({ success: true, transaction: TX, network: 'eip155:84532' }) });
    return res.end('the article at last\n');
  } });
  t.after(() => site.stop());
  const lost = await run(own, ['get', `${site.url}/late`, '--max-amount', '2usd'],
    { env: { EVM_PRIVATE_KEY: KEY } });
  assert.equal(lost.code, 11, lost.stderr);
  broken = false;
  const resumed = await run(own, ['resume', '-o', own.path('answers')]);
  assert.equal(resumed.code, 0, resumed.stdout + resumed.stderr);
  assert.equal(resumed.answer.delivered, 1);
  assert.equal(fs.readFileSync(own.path('answers/1'), 'utf8'), 'the article at last\n');
  assert.equal(new Set(shown).size, 1, 'two authorizations for one purchase');
});

test('get_with_an_id_buys_once', async () => {
  const own = makeHome();
  const env = { EVM_PRIVATE_KEY: KEY };
  shop.payments.length = 0;
  assert.equal((await run(own, ['get', `${shop.url}/paid`, '--id', 'a-1'], { env })).code, 0);
  const again = await run(own, ['get', `${shop.url}/paid`, '--id', 'a-1'], { env });
  assert.equal(again.error.code, 'already_paid');
  assert.equal(shop.payments.length, 1);
});

// ---- balance, search, discover

test('balance_search_and_discover_read_and_pay_nothing', async (t) => {
  const calls = [];
  const chain = await startShop({
    '/rpc': (req, res, s) => {
      const { method, params, id } = JSON.parse(s.seen.at(-1).body);
      calls.push([method, params]);
      const result = method === 'eth_chainId' ? '0x14a34' : '0x' + (2500000).toString(16).padStart(64, '0');
      res.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    },
    '/openapi.json': (req, res) => res.end(JSON.stringify({ openapi: '3.1.0', paths: {
      '/free': { get: { summary: 'nothing' } },
      '/paid': { get: { summary: 'an article', 'x-payment-info': { price: '0.01' } } } } })),
    '/discovery/resources': (req, res) => res.end('{"items":"?"}'),
  });
  t.after(() => chain.stop());
  const balance = await run(home, ['balance', PAYER, '--rpc-url', `${chain.url}/rpc`]);
  assert.equal(balance.code, 0, balance.stderr);
  assert.equal(balance.answer.network, 'eip155:84532');
  assert.equal(balance.answer.assets.find((a) => a.asset === 'USDC').balance, '$2.5 USDC');
  assert.equal(calls[1][1][0].data, `0x70a08231${'0'.repeat(24)}${PAYER.slice(2)}`);
  assert.equal((await run(home, ['balance', PAYER])).code, 3);
  assert.equal((await run(home, ['balance', PAYER.replace('C44', 'c44'), '--rpc-url', chain.url])).code, 2);
  const sold = await run(home, ['discover', `${chain.url}/some/page`]);
  assert.deepEqual(sold.answer.operations, [{ url: `${chain.url}/paid`, method: 'get',
    description: 'an article', price: { price: '0.01' } }]);
  assert.equal((await run(home, ['discover', shop.url])).code, 9);
  assert.equal((await run(home, ['search', 'x', '--facilitator', shop.url])).code, 4);
});

// ---- sessions and the signer

async function startSigner(t, args = []) {
  const socket = home.path(`signer-${crypto.randomUUID().slice(0, 8)}`);
  const signer = await startCommand(home, ['signer', '--socket', socket, ...args],
    /listening socket=/, { env: { EVM_PRIVATE_KEY: KEY } });
  t.after(() => signer.stop());
  return { socket, signer };
}
const newSession = async (args) => {
  const file = home.path(`session-${crypto.randomUUID().slice(0, 8)}`);
  const made = await run(home, ['session', 'new', '-o', file, ...args],
    { env: { EVM_PRIVATE_KEY: KEY } });
  assert.equal(made.code, 0, made.stderr);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  return file;
};
const buy = (socket, session, at = '/paid') =>
  run(home, ['get', shop.url + at, '--signer', socket,
    ...(session ? ['--session', session] : [])]);

test('signer_pays_for_a_session_until_its_scope_ends', async (t) => {
  const { socket, signer } = await startSigner(t, ['--sessions-only']);
  const session = await newSession(['--max-spend', '0.0025usd', '--host', '127.0.0.1']);
  shop.payments.length = 0;
  for (let i = 0; i < 2; i++) {
    const paid = await buy(socket, session);
    assert.equal(paid.code, 0, paid.stderr);
  }
  const over = await buy(socket, session);
  assert.equal(over.error.code, 'signing_failed');
  assert.match(over.error.message, /2000 of 2500 micro-dollars/);
  assert.equal(over.error.charged, 'no');
  assert.equal(shop.payments.length, 2);
  // Two authorizations for two purchases, both by the wallet's key.
  assert.equal(new Set(shop.payments.map((p) => p.payload.authorization.nonce)).size, 2);
  for (const p of shop.payments) assert.equal(p.payload.authorization.from, PAYER);
  const shown = await run(home, ['session', 'show', session]);
  assert.equal(shown.answer.payments, 2);
  assert.equal(shown.answer.spent, '$0.002');
  // The log has no signature in it, and no key.
  assert.match(signer.log, /"ok":true/);
  assert.equal(/0x[0-9a-f]{130}/.test(signer.log), false);
});

test('signer_refuses_outside_the_scope', async (t) => {
  const { socket } = await startSigner(t, ['--sessions-only']);
  shop.payments.length = 0;
  const none = await buy(socket);
  assert.match(none.error.message, /sessions only/);
  const host = await buy(socket, await newSession(['--host', 'shop.example']));
  assert.match(host.error.message, /host/);
  const network = await buy(socket, await newSession(['--network', 'base']));
  assert.match(network.error.message, /network/);
  const payee = await buy(socket, await newSession(['--payee', PAYER]));
  assert.match(payee.error.message, /payee/);
  const amount = await buy(socket, await newSession(['--max-amount', '0.0009usd']));
  assert.match(amount.error.message, /cap for one payment/);
  const count = await newSession(['--max-count', '1', '--payee', PAYEE]);
  assert.equal((await buy(socket, count)).code, 0);
  assert.match((await buy(socket, count)).error.message, /all 1 payments/);
  const brief = await newSession(['--expires', '1s']);
  await new Promise((done) => setTimeout(done, 1200));
  assert.match((await buy(socket, brief)).error.message, /expired/);
  assert.equal(shop.payments.length, 1);
});

test('signer_policy_binds_sessions_that_may_do_more', async (t) => {
  const { socket } = await startSigner(t, ['--max-amount', '0.0009usd']);
  const session = await newSession(['--max-amount', '1usd', '--max-spend', '100usd']);
  assert.match((await buy(socket, session)).error.message, /cap for one payment/);
});

// Somebody else can be tried by root only, where root may be anybody.
const asUser = (uid, command, args) => execFileSync('setpriv',
  [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', command, ...args], { cwd: '/' }).toString();
const cannotBeAnother = () => {
  try {
    asUser(12345, '/bin/true', []);
    asUser(23456, '/bin/true', []);
    return false;
  } catch { return 'needs a root that may take other users\' ids'; }
};
test('signer_knows_its_peers_by_the_kernels_word', { skip: cannotBeAnother() }, async (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'x402-peers-'));
  fs.chmodSync(dir, 0o755);
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  const socket = path.join(dir, 'socket');
  const signer = await startCommand(home, ['signer', '--socket', socket, '--allow-uid', '12345'],
    /listening socket=/, { env: { EVM_PRIVATE_KEY: KEY } });
  t.after(() => signer.stop());
  // perl is in every Debian, and where anybody may run it.
  const ask = `$SIG{PIPE} = 'IGNORE'; $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die 'no socket';
    $s->autoflush; print $s qq({"op":"address"}\\n); $line = <$s>; print $line // 'nothing';`;
  const as = (uid) => asUser(uid, '/usr/bin/perl', ['-MIO::Socket::UNIX', '-e', ask, socket]);
  assert.match(as(12345), /"ok":true/);
  assert.match(as(0), /"ok":true/); // the signer's own user
  assert.equal(as(23456), 'nothing');
});

test('session_revoked_pays_no_more', async (t) => {
  const { socket } = await startSigner(t);
  const session = await newSession(['--max-spend', '1usd']);
  assert.equal((await buy(socket, session)).code, 0);
  const revoked = await run(home, ['session', 'revoke', session]);
  assert.equal(revoked.answer.revoked, true);
  assert.match((await buy(socket, session)).error.message, /revoked/);
});

test('session_of_another_wallet_or_altered_is_refused', async (t) => {
  const { socket } = await startSigner(t);
  const file = home.path('foreign');
  await run(home, ['session', 'new', '-o', file], { env: { EVM_PRIVATE_KEY:
    '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6' } });
  assert.match((await buy(socket, file)).error.message, /another wallet/);
  const session = await newSession([]);
  const greedy = home.file('greedy',
    fs.readFileSync(session, 'utf8').replace('"totalUsdMicros":"1000000"', '"totalUsdMicros":"9000000"'));
  const result = await buy(socket, greedy);
  assert.equal(result.code, 3, result.stderr);
  assert.match(result.error.message, /not signed by the wallet/);
});

// ---- the table

test('help_man_completion_and_schema_know_the_same_commands', async () => {
  const schema = (await run(home, ['--schema'])).answer;
  const names = schema.commands.map((c) => c.name);
  for (const name of ['get', 'inspect', 'wallet new', 'session new', 'signer'])
    assert.ok(names.includes(name), name);
  const man = (await run(home, ['--man'])).stdout;
  const bash = (await run(home, ['completion', 'bash'])).stdout;
  const zsh = (await run(home, ['completion', 'zsh'])).stdout;
  const help = (await run(home, ['help'])).stdout;
  for (const command of schema.commands) {
    const own = (await run(home, ['help', ...command.name.split(' ')])).stdout;
    assert.ok(help.includes(command.summary), command.name);
    for (const option of command.options) {
      assert.ok(own.includes(`--${option.name}`), `${command.name} --${option.name}`);
      assert.ok(man.includes(`\\-\\-${option.name.replaceAll('-', '\\-')}`), option.name);
      assert.ok(bash.includes(`--${option.name}`), option.name);
      assert.ok(zsh.includes(`--${option.name}[`), option.name);
    }
  }
});

test('completions_are_shell_and_the_man_page_is_roff', async () => {
  const bash = (await run(home, ['completion', 'bash'])).stdout;
  execFileSync('bash', ['-n'], { input: bash });
  const words = execFileSync('bash', ['-c', `${bash}
    COMP_WORDS=(x402 wallet new --pass); COMP_CWORD=3; _x402; echo "\${COMPREPLY[@]}"`]);
  assert.equal(words.toString().trim(), '--password-file');
  const man = (await run(home, ['--man'])).stdout;
  for (const line of man.split('\n'))
    assert.match(line, /^(\.(TH|SH|SS|TP|B|BR|PP|TS|TE)\b|[^.']|$)/, line);
  const bad = await run(home, ['completion', 'fish']);
  assert.equal(bad.code, 2);
});

// Scripts and agents branch on these: a change here breaks somebody.
test('crawl_tells_prometheus_what_it_does', async (t) => {
  let release;
  const held = new Promise((done) => { release = done; });
  const slow = await startShop({ '/last': async (req, res) => { await held; res.end('last'); } });
  t.after(() => slow.stop());
  const own = makeHome();
  const list = own.file('urls', `${slow.url}/paid\n${slow.url}/last\n`);
  const crawl = await startCommand(own, ['crawl', list, '-o', 'out', '--metrics-port', '0'], /"metrics":"(\S+?)"/,
    { env: { EVM_PRIVATE_KEY: KEY } });
  t.after(() => crawl.stop());
  const read = async () => (await fetch(crawl.match[1])).text();
  let text = await read();
  for (let i = 0; i < 300 && !/_signed_total\S* 1\n/.test(text); i++) {
    await new Promise((done) => setTimeout(done, 100));
    text = await read();
  }
  assert.match(text, /_signed_total\S* 1\n/);
  assert.match(text, /# TYPE/);
  assert.equal(text.includes(PAYER) || text.includes(slow.url), false);
  release();
  await new Promise((done) => crawl.child.once('close', done));
  assert.equal(crawl.child.exitCode, 0, crawl.log);
  assert.equal((await run(own, ['crawl', list, '-o', 'out', '--metrics-port', 'x'], { env: { EVM_PRIVATE_KEY: KEY } })).code, 2);
});

test('errors_say_what_was_expected', async () => {
  for (const [args, code, message] of [
    [['wallet'], 2, /expected one of new, import, list, address, export/],
    [['session', 'nope'], 2, /expected one of new, show, revoke/],
    [['nothing'], 2, /unknown command nothing/],
    [['status', '999999'], 9, /"999999".*x402 history/],
    [['status', 'absent'], 9, /"absent".*x402 history/],
  ]) {
    const result = await run(home, args);
    assert.match(result.error.message, message, result.stderr);
    assert.equal(result.code, code, String(args));
  }
});

test('key_on_the_command_line_is_refused_and_not_repeated', async () => {
  const solana = '2Ana1pUpv2ZbMVkwF5FXapYeBEjdxDatLn7nvJkhgTSXbs59SyZSx866bXirPgj8QQVB57uxHJBG1YFvkRbFj4T';
  for (const key of [KEY, KEY.slice(2), solana]) {
    for (const args of [['wallet', 'import', 'work', '--from', key], ['wallet', 'new', key], ['balance', key],
      ['get', `${shop.url}/paid`, '--wallet', key], ['get', `${shop.url}/paid`, '--signer', key],
      ['session', 'new', '-o', home.path('none'), `--wallet=${key}`]]) {
      const result = await run(home, args);
      assert.equal(result.code, 2, result.stderr);
      assert.match(result.error.message, /no place for one/);
      assert.equal((result.stdout + result.stderr).includes(key.slice(4, 40)), false, 'it was repeated');
    }
  }
  // What only looks like one is what it is.
  assert.equal((await run(home, ['status', KEY])).code, 9);
  assert.equal((await run(home, ['get', '--id', KEY, `${shop.url}/free`])).code, 0);
});

test('get_sends_a_form_as_curl_does_and_the_same_one_again', async (t) => {
  const lossy = await startShop({ '/lost': (req, res, at) => {
    if (req.headers['payment-signature']) return req.socket.destroy();
    res.writeHead(402, { 'PAYMENT-REQUIRED': encode({ x402Version: 2, error: 'Payment required',
      resource: { url: `${at.url}/lost` }, accepts: [offer()] }) });
    return res.end('{}');
  } });
  t.after(() => lossy.stop());
  const own = makeHome();
  const form = ['-F', 'name=a "b"\r\nX: y', '-F', `file=@${own.file('a.txt', 'the text')}`,
    '-F', `data=@${own.file('b.bin', 'bytes')};type=text/x;filename=c"d`, '-F', `text=<${own.file('e', 'inside')}`];
  const ours = await run(own, ['get', ...form, `${lossy.url}/free`]);
  assert.equal(ours.code, 0, ours.stderr);
  const sent = lossy.seen.at(-1);
  assert.equal(sent.method, 'POST');
  const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(sent.headers['content-type'])[1];
  await new Promise((done) => spawn('curl', ['-s', '--noproxy', '*', ...form, `${lossy.url}/free`]).on('close', done));
  const curls = lossy.seen.at(-1);
  const other = /boundary=(\S+)$/.exec(curls.headers['content-type'])[1];
  assert.equal(sent.body.replaceAll(boundary, '?'), curls.body.replaceAll(other, '?'));
  // A lost answer: the same form is the same purchase, and the same payment.
  const env = { EVM_PRIVATE_KEY: KEY };
  for (let i = 0; i < 2; i++)
    assert.equal((await run(own, ['get', ...form, `${lossy.url}/lost`], { env })).code, 11);
  const payments = new Set(lossy.seen.map((one) => one.headers['payment-signature']).filter(Boolean));
  assert.equal(payments.size, 1, 'two payments for one form');
  for (const bad of ['name', '=x', 'a=@b;nonsense=1', `a=@${own.path('absent')}`])
    assert.equal((await run(own, ['get', '-F', bad, `${lossy.url}/free`])).code, 2);
  assert.equal((await run(own, ['get', '-F', 'a=b', '-d', 'c', `${lossy.url}/free`])).code, 2);
});

test('exit_codes_are_frozen', async () => {
  const { exitCodes } = (await run(home, ['--schema'])).answer;
  assert.deepEqual(exitCodes, { ok: 0, general: 1, usage: 2, config: 3, network: 4,
    refused: 5, funds: 6, cancelled: 7, auth: 8, not_found: 9, timeout: 10, unknown: 11,
    policy: 12, price_changed: 13, http_error: 22, interrupted: 130 });
});

test('errors_are_one_json_line_with_frozen_members', async () => {
  const cases = [[['nothing'], 2], [['get'], 2], [['get', '--nope', 'x'], 2],
    [['wallet', 'address', 'absent'], 9], [['wallet', 'new'], 2],
    [['session', 'new'], 2], [['get', `${shop.url}/paid`, '--wallet', 'absent'], 9],
    [['get', `${shop.url}/paid`, '--signer', home.path('nowhere')], 3],
    [['get', `${shop.url}/paid`, '--max-amount', '5'], 2],
    [['get', 'http://127.0.0.1:1/'], 4]];
  for (const [args, code] of cases) {
    const result = await run(home, args);
    assert.equal(result.code, code, `${args}: ${result.stderr}`);
    assert.equal(result.stdout, '', String(args));
    assert.equal(result.stderr.trim().split('\n').length, 1, result.stderr);
    for (const member of ['code', 'message', 'retryable', 'charged'])
      assert.ok(member in result.error, `${args}: ${member}`);
  }
});
