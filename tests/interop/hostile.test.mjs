// Attacks on a client, demands.md 46 to 54 by number. For each: what was
// signed (the authorizations that any server saw), what was paid (the payee's
// balance on chain), and what the user was told (the command's JSON, or the
// journal's state).
import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {readdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {buildDir, programs, run, scratchDir, start, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {PRICE, decode, startHostile} from './hostile.lib.mjs';

let devnet, facilitator, hostile, dir;
before(async () => {
  devnet = await startDevnet({});
  facilitator = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network});
  hostile = await startHostile({info: devnet.info, facilitatorUrl: facilitator.url});
  dir = scratchDir('x402-hostile-');
});
after(async () => {
  hostile?.stop();
  await facilitator?.stop();
  await devnet?.stop();
});

const env = () => ({EVM_PRIVATE_KEY: devnet.info.accounts.payer.privateKey, NO_PROXY: '*',
  X402_JOURNAL: join(dir, 'journal.sqlite'), XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir});
const balance = () => devnet.balanceOf(devnet.info.accounts.payee.address);

/** The distinct authorizations that servers saw, and how often. */
function signatures() {
  const headers = hostile.log.filter((entry) => entry.payment);
  return {signed: new Set(headers.map((entry) => entry.payment)).size, presented: headers.length,
    strangers: headers.filter((entry) => entry.server !== 'origin').length,
    authorizations: headers.map((entry) => decode(entry.payment).payload.authorization)};
}

/** Run a program against one attack; what was signed, paid and told. */
async function observe(program, args, more = {}) {
  hostile.log = [];
  hostile.signIns = [];
  const held = await balance();
  const result = await run(program, args, {env: {...env(), ...more}});
  const lines = result.stderr.trim().split('\n');
  let told = {};
  try { told = JSON.parse(lines.at(-1)); } catch { /* shown by the assertion */ }
  assert.equal(hostile.error, undefined);
  // eslint-disable-next-line no-control-regex
  assert.doesNotMatch(result.stderr, /[\u0000-\u0009\u000b-\u001f]/, 'control characters on the terminal');
  const seen = signatures();
  assert.equal(seen.strangers, 0, 'a payment went to another origin');
  for (const authorization of seen.authorizations) {
    assert.ok(BigInt(authorization.value) <= PRICE, `signed for ${authorization.value}`);
    assert.equal(authorization.to.toLowerCase(), devnet.info.accounts.payee.address.toLowerCase());
    assert.ok(Number(authorization.validBefore) <= Date.now() / 1000 + 901, 'a long life');
  }
  return {...seen, paid: await balance() - held, code: result.code, told, stdout: result.stdout, stderr: result.stderr};
}
const get = (name, ...args) => observe(programs.client,
  ['get', `${hostile.url}/${name}`, '--max-amount', '0.01usd', ...args]);
/** With the journal, under an id. */
const buy = (name, id) => observe(join(buildDir, 'examples/stream'), [`${hostile.url}/${name}`, '-', id]);

async function state(id) {
  const result = await run('sqlite3', [join(dir, 'journal.sqlite'), `SELECT state FROM purchases WHERE id='${id}'`]);
  return ['reserved', 'unknown', 'paid_delivered', 'paid_undelivered', 'not_paid'][Number(result.stdout.trim().split('\n').at(-1))];
}

// Nothing is signed: [number, attack, exit, code, arguments]
for (const [number, name, exit, code, ...args] of [
  ['46', 'asset-swap', 12, 'asset_not_allowed'],
  ['46', 'lookalike-domain', 12, 'origin_mismatch', '-L'],
  ['46', 'prose-payment', 1, 'malformed_challenge'],
  ['46', 'rail-switch', 1, 'no_supported_offer', '--network', 'eip155:84532'],
  ['46', 'resource-spoof', 12, 'origin_mismatch'],
  ['46 and 49', 'unit-confusion', 6, 'over_limit'],
  ['49', 'symbol-lie', 12, 'asset_not_allowed'],
]) {
  test(`attack_${number}_${name}_signs_nothing`, async () => {
    const seen = await get(name, ...args);
    assert.equal(seen.signed, 0);
    assert.equal(seen.paid, 0n);
    assert.equal(seen.code, exit, seen.stderr);
    assert.equal(seen.told.code, code, seen.stderr);
    assert.equal(seen.told.charged, 'no');
  });
}

test('attack_46_challenge-injection_signs_nothing_and_prints_nothing_raw', async () => {
  const seen = await get('challenge-injection');
  assert.equal(seen.signed, 0, seen.stderr);
  assert.equal(seen.paid, 0n);
  assert.notEqual(seen.code, 0);
  assert.ok(hostile.log.every((entry) => !('x-injected' in entry.headers)));
});

// One authorization of the price that was shown, and what is said about it:
// [number, attack, moved on chain, exit, charged, arguments]
for (const [number, name, paid, exit, charged, ...args] of [
  ['46', 'accepts-ordering', PRICE, 0, 'yes'],
  ['46', 'authorization-lifetime', PRICE, 0, 'yes'],
  ['46', 'ghost-paywall', PRICE, 5, 'unknown'],
  ['46', 'price-bait', 0n, 13, 'unknown'],
  ['46', 'recipient-redirect', 0n, 13, 'unknown'],
  ['46', 'replay', PRICE, 0, 'yes'],
  ['46', 'retry-storm', 0n, 11, 'unknown'],
  ['47', 'accept-then-timeout', PRICE, 11, 'unknown', '-m', '4'],
  ['47', '5xx-after-settle', PRICE, 11, 'unknown'],
  ['47', 'double-402', PRICE, 5, 'unknown'],
  ['47', 'declared-safe', PRICE, 6, 'unknown'],
  ['47', 'clean', PRICE, 0, 'yes'],
  ['48', 'redirect-after-payment', 0n, 11, 'unknown', '-L'],
  ['51', 'post-lost', PRICE, 11, 'unknown', '-d', 'x=1'],
  ['52', 'forged-network', 0n, 11, 'unknown'],
  ['52', 'forged-amount', 0n, 11, 'unknown'],
  ['52', 'missing-receipt', PRICE, 11, 'unknown'],
  ['52', 'malformed-receipt', PRICE, 11, 'unknown'],
]) {
  test(`attack_${number}_${name}_signs_once`, async () => {
    const seen = await get(name, ...args);
    assert.equal(seen.signed, 1, seen.stderr);
    assert.ok(seen.presented <= 2, `presented ${seen.presented} times`);
    assert.equal(seen.paid, paid);
    assert.equal(seen.code, exit, seen.stderr);
    assert.equal(seen.told.charged, charged, seen.stderr);
    if (name === 'post-lost') assert.equal(seen.presented, 1, 'a POST was repeated');
  });
}

test('attack_46_fake-delivery_is_told_as_paid_and_not_delivered', async () => {
  const seen = await buy('fake-delivery', 'fake');
  assert.equal(seen.signed, 1);
  assert.equal(seen.paid, PRICE);
  assert.equal(await state('fake'), 'paid_undelivered');
});

test('attack_46_budget-split_is_stopped_by_the_budget', async () => {
  const list = join(dir, 'list');
  writeFileSync(list, Array.from({length: 20}, (_, i) => `${hostile.url}/budget-split?part=${i}\n`).join(''));
  hostile.log = [];
  const start = await balance();
  const result = await run(join(buildDir, 'examples/crawler'), ['-o', join(dir, 'out'), '-b', '0.005',
    '-j', join(dir, 'split.sqlite'), list], {env: env()});
  assert.equal(result.code, 3, result.stderr);
  assert.equal(await balance() - start, 5n * PRICE);
  assert.equal(signatures().signed, 5);
  assert.equal(JSON.parse(result.stdout).overBudget, 15);
  assert.equal(readdirSync(join(dir, 'out')).filter((name) => !name.endsWith('.part')).length, 5);
});

// The second run is where others pay again: [number, attack, moved in all]
for (const [number, name, paid] of [
  ['46', 'ghost-paywall', PRICE],
  ['47', 'double-402', PRICE],
  ['47', 'declared-safe', PRICE],
  ['47', '5xx-after-settle', PRICE],
  ['46', 'price-bait', 0n],
  ['52', 'missing-receipt', PRICE],
]) {
  test(`attack_${number}_${name}_run_again_presents_the_same`, async () => {
    const id = `again-${name}`;
    const first = await buy(name, id);
    const one = hostile.log.find((entry) => entry.payment).payment;
    const second = await buy(name, id);
    const two = hostile.log.filter((entry) => entry.payment);
    assert.equal(first.paid + second.paid, paid);
    assert.equal(first.signed, 1);
    assert.ok(two.length > 0 && two.every((entry) => entry.payment === one), 'another authorization');
    assert.equal(await state(id), 'unknown', 'nothing has proved it');
  });
}

test('attack_47_slow_answer_is_paid_and_ends_by_the_deadline', async () => {
  const seen = await get('slow-answer', '-m', '3');
  assert.equal(seen.signed, 1);
  assert.equal(seen.presented, 1);
  assert.equal(seen.paid, PRICE);
  assert.equal(seen.told.charged, 'yes', seen.stderr);
  assert.notEqual(seen.code, 0);
});

test('attack_47_reconcile_unavailable_stays_unknown', async () => {
  const journal = join(dir, 'reconcile.sqlite');
  const list = join(dir, 'one');
  writeFileSync(list, `${hostile.url}/declared-safe?reconcile\n`);
  const args = (rpc) => ['-o', join(dir, 'reconcile'), '-b', '1', '-j', journal, '-t', 'latest',
    '-r', `${devnet.info.network}=${rpc}`, list];
  const start = await balance();
  const crawler = join(buildDir, 'examples/crawler');
  const states = async () => (await run('sqlite3', [journal, 'SELECT state FROM purchases'])).stdout.trim();
  await run(crawler, args('http://127.0.0.1:9'), {env: env()});
  await run(crawler, args('http://127.0.0.1:9'), {env: env()});
  assert.equal(await states(), '1', 'nobody could tell');
  // The chain can, once it is there: paid, whatever the server says.
  await run(crawler, args(devnet.info.rpcUrl), {env: env()});
  assert.equal(await states(), '3');
  assert.equal(await balance() - start, PRICE);
});

test('attack_48_redirect_off_origin_leaks_no_credentials', async () => {
  const seen = await get('redirect-off-origin', '-L', '-H', 'Authorization: Bearer secret', '-H', 'Cookie: a=b',
    '-u', 'user:password');
  assert.equal(seen.signed, 0);
  assert.equal(seen.code, 0, seen.stderr);
  assert.doesNotMatch(seen.stdout, /secret|a=b|Basic/);
});

test('attack_52_forged_transaction_is_found_out_by_the_chain', async () => {
  const journal = join(dir, 'forged.sqlite');
  const list = join(dir, 'forged-list');
  writeFileSync(list, `${hostile.url}/forged-transaction\n`);
  hostile.log = [];
  const start = await balance();
  await run(join(buildDir, 'examples/crawler'), ['-o', join(dir, 'forged'), '-b', '1', '-j', journal, list], {env: env()});
  assert.equal(signatures().signed, 1);
  assert.equal(await balance() - start, 0n, 'the hash is invented');
  // A receipt of the right form is believed until somebody looks: it counts.
  const result = await run('sqlite3', [journal, 'SELECT state, tx FROM purchases']);
  assert.match(result.stdout, /^2\|0x[0-9a-f]{64}/);
});

test('attack_53_private_address_is_not_connected_to', async () => {
  for (const url of [hostile.url, hostile.lookalike, hostile.url.replace('127.0.0.1', '[::ffff:127.0.0.1]'),
    'http://[::1]:80', 'http://169.254.169.254', 'http://0.0.0.0:80']) {
    const seen = await observe(join(buildDir, 'examples/stream'), [`${url}/clean`], {X402_PUBLIC_ONLY: '1'});
    assert.equal(seen.told.cause, 'private_address', `${url}: ${seen.stderr}`);
    assert.equal(hostile.log.length, 0);
    assert.equal(seen.signed, 0);
  }
});

// A proxy would connect where nobody here looks at the address.
test('attack_53_proxy_of_the_environment_is_not_asked', async () => {
  const seen = await observe(join(buildDir, 'examples/stream'), ['http://shop.invalid/clean'],
    {X402_PUBLIC_ONLY: '1', NO_PROXY: '', no_proxy: '', http_proxy: hostile.url});
  assert.notEqual(seen.code, 0);
  // The name was asked for, and not the proxy, which is private.
  assert.notEqual(seen.told.cause, 'private_address', seen.stderr);
  assert.equal(hostile.log.length, 0);
});

const signIn = (name) => observe(join(buildDir, 'examples/stream'), [`${hostile.url}/${name}`], {X402_SIGN_IN: '1'});

for (const name of ['sign-in', 'sign-in-plain']) {
  test(`${name}_is_tried_before_paying`, async () => {
    const seen = await signIn(name);
    assert.equal(seen.stdout, 'welcome back\n', seen.stderr);
    assert.equal(seen.signed, 0);
    assert.equal(seen.paid, 0n);
    assert.equal(hostile.signIns.length, 1);
    assert.ok(hostile.signIns[0].verified.isValid, JSON.stringify(hostile.signIns));
  });
}

test('sign-in_that_is_not_enough_is_followed_by_one_payment', async () => {
  const seen = await signIn('sign-in-not-enough');
  assert.equal(hostile.signIns.length, 1);
  assert.equal(seen.signed, 1, seen.stderr);
  assert.equal(seen.paid, PRICE);
});

for (const name of ['sign-in-phishing-domain', 'sign-in-phishing-uri', 'sign-in-injection']) {
  test(`attack_54_${name}_signs_no_text`, async () => {
    const seen = await signIn(name);
    assert.equal(hostile.signIns.length, 0);
    assert.ok(hostile.log.every((entry) => !entry.headers['sign-in-with-x']));
    // The price is another matter, and was within the limit.
    assert.equal(seen.signed, 1, seen.stderr);
    assert.equal(seen.paid, PRICE);
  });
}

// The command, by every kind of key that it has. The site judges the proof by
// the reference's own code.
const command = (name, args, more) => observe(programs.client,
  ['get', `${hostile.url}/${name}`, '--max-amount', '0.01usd', ...args], more);
const signerOf = async (t, args) => {
  const socket = join(dir, `signer-${randomUUID().slice(0, 8)}`);
  const signer = await start(programs.client, ['signer', '--socket', socket, ...args],
    {env: {...env(), X402_STATE_DIR: join(dir, 'state')}, ready: /listening socket=/});
  t.after(() => signer.stop());
  return socket;
};
const sessionOf = async (...args) => {
  const file = join(dir, `session-${randomUUID().slice(0, 8)}`);
  const made = await run(programs.client, ['session', 'new', '-o', file, ...args], {env: env()});
  assert.equal(made.code, 0, made.stderr);
  return file;
};
const nobody = {EVM_PRIVATE_KEY: ''};

function assertSignedIn(seen) {
  assert.equal(seen.code, 0, seen.stderr);
  assert.equal(seen.stdout, 'welcome back\n', seen.stderr);
  assert.equal(seen.signed, 0);
  assert.equal(seen.paid, 0n);
  assert.equal(hostile.signIns.length, 1);
  assert.ok(hostile.signIns[0].verified.isValid, JSON.stringify(hostile.signIns));
}

test('get_signs_in_with_a_key_a_wallet_or_a_signer', async (t) => {
  assertSignedIn(await command('sign-in', ['--sign-in']));
  const password = join(dir, 'password');
  writeFileSync(password, 'secret\n', {mode: 0o600});
  const key = join(dir, 'key');
  writeFileSync(key, devnet.info.accounts.payer.privateKey, {mode: 0o600});
  const made = await run(programs.client, ['wallet', 'import', 'default', '--from', key, '--password-file', password],
    {env: {...env(), ...nobody}});
  assert.equal(made.code, 0, made.stderr);
  assertSignedIn(await command('sign-in', ['--sign-in', '--password-file', password], nobody));
  const socket = await signerOf(t, ['--sign-in']);
  assertSignedIn(await command('sign-in-plain', ['--sign-in', '--signer', socket], nobody));
  const session = await sessionOf('--sign-in', '--host', '127.0.0.1');
  assertSignedIn(await command('sign-in', ['--sign-in', '--signer', socket, '--session', session], nobody));
});

test('get_pays_where_the_signer_will_not_sign_in', async (t) => {
  const deaf = await signerOf(t, []);
  const socket = await signerOf(t, ['--sign-in']);
  for (const args of [['--signer', deaf], ['--signer', socket, '--session', await sessionOf()],
    ['--signer', socket, '--session', await sessionOf('--host', '127.0.0.1')]]) {
    const seen = await command('sign-in', ['--sign-in', ...args, '--buy-again'], nobody);
    assert.equal(hostile.signIns.length, 0);
    assert.equal(seen.signed, 1, seen.stderr);
    assert.equal(seen.paid, PRICE);
  }
  // Where nothing is for sale, the signer's own word says why.
  const seen = await command('sign-in-only', ['--sign-in', '--signer', deaf], nobody);
  assert.equal(seen.code, 8);
  assert.equal(seen.told.code, 'sign_in_required');
  assert.match(seen.told.message, /sign-ins are not in the scope/);
  assert.equal(seen.signed, 0);
});

test('get_without_sign-in_says_that_the_site_wants_one', async () => {
  const seen = await command('sign-in-only', []);
  assert.equal(seen.code, 8);
  assert.equal(seen.told.charged, 'no');
  assert.match(seen.told.next, /--sign-in/);
  assert.equal(hostile.signIns.length, 0);
  assertSignedIn(await command('sign-in-only', ['--sign-in']));
});

test('session_to_sign_in_anywhere_is_not_made', async () => {
  const made = await run(programs.client, ['session', 'new', '-o', join(dir, 'anywhere'), '--sign-in'], {env: env()});
  assert.equal(made.code, 2);
  assert.match(made.stderr, /--host/);
});

test('sign-in_is_not_made_unless_wanted', async () => {
  const seen = await observe(join(buildDir, 'examples/stream'), [`${hostile.url}/sign-in`]);
  assert.equal(hostile.signIns.length, 0);
  assert.equal(seen.signed, 1);
});
