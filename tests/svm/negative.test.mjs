// Bad payments, each to our facilitator and to the reference's (@x402/svm 2.27.0):
// ours must refuse with exactly this code, at /verify and at /settle, and no token
// may move. The reference must say the same, or what REFERENCE has of it, so that a
// change of either is seen. REFERENCE_ANSWERS=1 prints the rows that differ instead.
import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {fileURLToPath} from 'node:url';
import {appendTransactionMessageInstructions, createKeyPairSignerFromBytes, createTransactionMessage,
  getBase64EncodedWireTransaction, partiallySignTransactionMessageWithSigners, pipe, setTransactionMessageFeePayer,
  setTransactionMessageLifetimeUsingBlockhash} from '@solana/kit';
import {start} from '../devnet/lib.mjs';
import {fromBase58, TOKEN, TOKEN_2022} from './ledger.mjs';
import {ask, associated, balance, offer, request, startDaemon, startDevnet} from './svm.lib.mjs';

const BUDGET = 'ComputeBudget111111111111111111111111111111';
const MEMO = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';
const LIGHTHOUSE = 'L2TExMFKdjpN9kozasaurPirfHy9P8sbXoAN1qA3S95';
const SYSTEM = '11111111111111111111111111111111';
const ATA = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
const [READ, WRITE, SIGN, SIGN_WRITE] = [0, 1, 2, 3]; // kit's account roles

let devnet;
let ours;
let reference;
let parts; // of a good payment
before(async () => {
  devnet = await startDevnet();
  ours = await startDaemon(devnet);
  reference = await start(process.execPath, [fileURLToPath(new URL('peer-facilitator.mjs', import.meta.url))],
    {env: {SVM_RPC_URL: devnet.rpcUrl, SVM_PRIVATE_KEY: devnet.accounts.facilitator.secretKey}, ready: /listening url=(\S+)/});
  const {payer, payee} = devnet.accounts;
  parts = {source: await associated(devnet, payer.address, devnet.usdc), to: await associated(devnet, payee.address, devnet.usdc),
    signer: await createKeyPairSignerFromBytes(fromBase58(payer.secretKey))};
});
after(async () => {
  await ours?.daemon.stop();
  await reference?.stop();
  await devnet?.stop();
});

/** The payee's account, at the payer's expense. */
const create = () => other(ATA, [{address: parts.signer.address, role: SIGN_WRITE, signer: parts.signer},
  {address: parts.to, role: WRITE}, {address: devnet.accounts.payee.address, role: READ}, {address: devnet.usdc, role: READ},
  {address: SYSTEM, role: READ}, {address: TOKEN, role: READ}], [1]);
const le = (value, bytes) => Array.from({length: bytes}, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n));
const limit = (units = 20000) => ({programAddress: BUDGET, accounts: [], data: Uint8Array.from([2, ...le(units, 4)])});
const price = (micro = 1) => ({programAddress: BUDGET, accounts: [], data: Uint8Array.from([3, ...le(micro, 8)])});
const memo = (text = 'memo', accounts = []) => ({programAddress: MEMO, accounts, data: new TextEncoder().encode(text)});
const transfer = ({amount = 1000, data, accounts, program = TOKEN, behind = []} = {}) => ({programAddress: program,
  accounts: accounts ?? [{address: parts.source, role: WRITE}, {address: devnet.usdc, role: READ},
    {address: parts.to, role: WRITE}, {address: parts.signer.address, role: SIGN, signer: parts.signer}, ...behind],
  data: Uint8Array.from(data ?? [12, ...le(amount, 8), 6])});
const other = (programAddress, accounts = [], data = [0]) => ({programAddress, accounts, data: Uint8Array.from(data)});

/** The wire text of a transaction of these instructions. */
async function compile(instructions, feePayer = devnet.accounts.facilitator.address) {
  const {value} = await devnet.rpc('getLatestBlockhash', {commitment: 'confirmed'});
  const message = pipe(createTransactionMessage({version: 0}), (m) => setTransactionMessageFeePayer(feePayer, m),
    (m) => setTransactionMessageLifetimeUsingBlockhash({blockhash: value.blockhash,
      lastValidBlockHeight: BigInt(value.lastValidBlockHeight)}, m),
    (m) => appendTransactionMessageInstructions(instructions, m));
  return getBase64EncodedWireTransaction(await partiallySignTransactionMessageWithSigners(message));
}

const sponsor = (role = WRITE) => ({address: devnet.accounts.facilitator.address, role});
const P = 'invalid_exact_svm_payload_';
const T = `${P}transaction_`;
// name, instructions or the text itself, our code, terms
const cases = [
  ['demands 25: no signature of the payer', async () => blank(await compile(good()), 65), `${P}signature_invalid`],
  ['demands 25: a signature of something else', async () => flip(await compile(good()), 70), `${P}signature_invalid`],
  ['demands 25: another amount under the same signature', async () => replaceLast(await compile(good())), `${P}signature_invalid`],
  ['demands 26: lamports of the fee payer', () => [limit(), price(), transfer(),
    other(SYSTEM, [sponsor(SIGN_WRITE), {address: parts.signer.address, role: WRITE}], [2, 0, 0, 0, ...le(1000000, 8)])],
  `${P}unknown_fourth_instruction`],
  ['demands 26: the fee payer in a memo', () => [limit(), price(), transfer(), memo('m', [sponsor(SIGN_WRITE)])],
    `${T}fee_payer_transferring_funds`],
  ['demands 26: the fee payer in an assertion', () => [limit(), price(), transfer(), other(LIGHTHOUSE, [sponsor()])],
    `${T}fee_payer_transferring_funds`],
  ['demands 26: the fee payer as a reference', () => [limit(), price(), transfer({behind: [sponsor(READ)]})],
    `${P}no_transfer_instruction`],
  ['demands 26: Approve in place of a transfer', () => [limit(), price(), transfer({data: [4, ...le(1000, 8)]})],
    `${P}no_transfer_instruction`],
  ['demands 26: CloseAccount behind it', () => [limit(), price(), transfer(), other(TOKEN, [{address: parts.source, role: WRITE}], [9])],
    `${P}unknown_fourth_instruction`],
  ['demands 26: SetAuthority behind a memo', () => [limit(), price(), transfer(), memo(), other(TOKEN, [], [6])],
    `${P}unknown_fifth_instruction`],
  ['demands 27: no limit', () => [price(), transfer(), memo()], `${T}instructions_compute_limit_instruction`],
  ['demands 27: the price first', () => [price(), limit(), transfer()], `${T}instructions_compute_limit_instruction`],
  ['demands 27: the limit twice', () => [limit(), limit(), transfer()], `${T}instructions_compute_price_instruction`],
  ['demands 27: the price twice', () => [limit(), price(), transfer(), price()], `${P}unknown_fourth_instruction`],
  ['demands 27: a limit of 1,400,000', () => [limit(1400000), price(), transfer()],
    `${T}instructions_compute_limit_instruction_too_high`],
  ['demands 27: a price above the ceiling', () => [limit(), price(5000001), transfer()],
    `${T}instructions_compute_price_instruction_too_high`],
  ['demands 27: units times price', () => [limit(400000), price(5000000), transfer()],
    `${T}instructions_compute_price_instruction_too_high`],
  ['demands 28: a durable nonce', () => [other(SYSTEM, [{address: parts.source, role: WRITE}], [4, 0, 0, 0]), limit(), price(), transfer()],
    `${T}instructions_compute_limit_instruction`],
  ['demands 28: a durable nonce behind it', () => [limit(), price(), transfer(),
    other(SYSTEM, [{address: parts.source, role: WRITE}], [4, 0, 0, 0])], `${P}unknown_fourth_instruction`],
  ['demands 28: a lookup table', async () => lookup(await compile(good())), `${T}could_not_be_decoded`],
  ['demands 28: a later version', async () => flip(await compile(good()), 129, 1), `${T}could_not_be_decoded`],
  ['demands 29: the payee itself in place of its account', () => [limit(), price(), transfer({accounts: [
    {address: parts.source, role: WRITE}, {address: devnet.usdc, role: READ}, {address: devnet.accounts.payee.address, role: WRITE},
    {address: parts.signer.address, role: SIGN, signer: parts.signer}]})], `${P}recipient_mismatch`],
  ['demands 29: the other token program', () => [limit(), price(), transfer({program: TOKEN_2022})], `${P}recipient_mismatch`],
  ['demands 29: an account made on the way', () => [limit(), price(), create(), transfer()], `${P}no_transfer_instruction`],
  ['demands 29: an account made behind it', () => [limit(), price(), transfer(), create()], `${P}unknown_fourth_instruction`],
  ['demands 29: another mint', () => good(), `${P}mint_mismatch`, (terms) => ({...terms, asset: devnet.plain2022})],
  ['demands 30: an assertion in the seventh place', () => [limit(), price(), transfer(), memo(), memo(), memo(), other(LIGHTHOUSE)],
    `${P}unknown_optional_instruction`],
  ['a sixth instruction of somebody', () => [limit(), price(), transfer(), memo(), memo(), other(SYSTEM)], `${P}unknown_sixth_instruction`],
  ['demands 32: another fee payer than was offered', async () => compile(good(), devnet.accounts.facilitator2.address),
    'invalid_exact_svm_fee_payer_mismatch'],
  ['demands 32: from an account onto itself', () => [limit(), price(), transfer({accounts: [
    {address: parts.to, role: WRITE}, {address: devnet.usdc, role: READ}, {address: parts.to, role: WRITE},
    {address: parts.signer.address, role: SIGN, signer: parts.signer}]})], `${P}recipient_mismatch`],
  ['more', () => good(1001), `${P}amount_mismatch`],
  ['less', () => good(999), `${P}amount_mismatch`],
  ['two instructions', () => [limit(), price()], `${T}instructions_length`],
  ['eight instructions', () => [limit(), price(), transfer(), memo(), memo(), memo(), memo(), memo()], `${T}instructions_length`],
  ['another memo', () => good(), `${P}memo_mismatch`, (terms) => ({...terms, extra: {...terms.extra, memo: 'other'}})],
  ['two memos', () => [...good(), memo()], `${P}memo_count`, (terms) => ({...terms, extra: {...terms.extra, memo: 'memo'}})],
  ['bytes behind the end', async () => append(await compile(good())), `${T}could_not_be_decoded`],
  ['half of it', async () => (await compile(good())).slice(0, 400), `${T}could_not_be_decoded`],
  ['no base64', () => '!!!!', `${T}could_not_be_decoded`],
  ['nothing', () => '', `${T}could_not_be_decoded`],
  ['a fee payer of nobody here', () => good(), 'invalid_exact_svm_fee_payer_not_managed_by_facilitator',
    (terms) => ({...terms, extra: {feePayer: devnet.accounts.payee.address}})],
  ['no fee payer', () => good(), `${P}missing_fee_payer`, (terms) => ({...terms, extra: {}})],
];

// What the reference says where it is something else; null where it takes it.
const REFERENCE = {
  'demands 26: the fee payer in a memo': null,
  'demands 26: the fee payer in an assertion': 'invalid_exact_svm_transaction_simulation_failed',
  'demands 26: the fee payer as a reference': null,
  'demands 27: a limit of 1,400,000': null,
  'demands 27: units times price': null,
  'demands 28: a lookup table': `${P}signature_invalid`,
  'demands 30: an assertion in the seventh place': 'invalid_exact_svm_transaction_simulation_failed',
  'demands 32: from an account onto itself': 'invalid_exact_svm_transaction_simulation_failed',
  'bytes behind the end': `${P}signature_invalid`,
};

const good = (amount) => [limit(), price(), transfer({amount}), memo()];
const edit = (text, change) => {
  const bytes = Buffer.from(text, 'base64');
  return (change(bytes) ?? bytes).toString('base64');
};
const blank = (text, at) => edit(text, (bytes) => { bytes.fill(0, at, at + 64); });
const flip = (text, at, mask = 255) => edit(text, (bytes) => { bytes[at] ^= mask; });
const replaceLast = (text) => edit(text, (bytes) => { bytes[bytes.indexOf(Buffer.from([12, 0xe8, 3])) + 1] ^= 1; });
const append = (text) => edit(text, (bytes) => Buffer.concat([bytes, Buffer.from([0])]));
const lookup = (text) => edit(text, (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([1]), Buffer.alloc(32, 7), Buffer.from([0, 1, 0])]));

for (const [name, make, code, change = (terms) => terms] of cases) {
  test(`refused: ${name}`, async () => {
    const made = await make();
    const transaction = typeof made === 'string' ? made : await compile(made);
    const body = request(change(offer(devnet)), {transaction});
    const had = await balance(devnet, devnet.accounts.payer.address, devnet.usdc);
    const verified = await ours.ask('/verify', body);
    assert.equal(verified.status, 200, verified.text);
    assert.equal(verified.body.invalidReason, code, verified.text);
    assert.equal(verified.body.isValid, false);
    const settled = await ours.ask('/settle', body);
    assert.equal(settled.body.success, false);
    assert.equal(settled.body.errorReason, code, settled.text);
    assert.equal(settled.body.transaction, '');
    const theirs = await ask(`${reference.match[1]}/verify`, body);
    const says = theirs.body?.isValid ? null : theirs.body?.invalidReason ?? theirs.text;
    const expected = name in REFERENCE ? REFERENCE[name] : code;
    if (process.env.REFERENCE_ANSWERS && says !== expected) console.log(`${name} | ${code} | ${says}`);
    else if (!process.env.REFERENCE_ANSWERS) assert.equal(says, expected, theirs.text);
    assert.equal(await balance(devnet, devnet.accounts.payer.address, devnet.usdc), had);
  });
}
