// A Solana cluster of one node in memory: LiteSVM executes (the real runtime and
// the real SPL programs), this file is the ledger around it.
//
// Real: decoding, signatures, locks, programs, fees, rent, compute units.
// Modelled here: slots, the queue of blockhashes (150 heights), commitment of what
// landed (confirmed one slot later, finalized 32 slots later), duplicates by message,
// the time of a slot (the real one, moved on by devnet_advanceTime).
// Accounts and simulations always show the newest state.
import {createHash, randomBytes} from 'node:crypto';
import {getAddressDecoder, getAddressEncoder, getBase58Decoder, getBase58Encoder} from '@solana/kit';
import {LiteSVM} from 'litesvm';
import {Account} from 'litesvm/dist/internal.js';

export const TOKEN = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';
export const TOKEN_2022 = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb';
const SYSTEM = '11111111111111111111111111111111';
export const MAX_AGE = 150;
export const FINAL = 32;
const PACKET = 1232;
const HEIGHT_LAG = 20_000_000n; // a cluster skips slots: heights are behind

export const base58 = (bytes) => getBase58Decoder().decode(bytes);
export const fromBase58 = (text) => new Uint8Array(getBase58Encoder().encode(text));
export const addressOf = (bytes) => getAddressDecoder().decode(bytes);
const bytesOf = (address) => new Uint8Array(getAddressEncoder().encode(address));

export class RpcError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
export const invalid = (message) => { throw new RpcError(-32602, message); };

/** Reads the parts of a transaction that a ledger needs; throws when it is none. */
export function decode(bytes) {
  let at = 0;
  const take = (length) => {
    if (at + length > bytes.length) throw new Error('unexpected end of file');
    return bytes.subarray(at, at += length);
  };
  const length = () => {
    let value = 0;
    for (let shift = 0; shift < 21; shift += 7) {
      const [byte] = take(1);
      value |= (byte & 127) << shift;
      if (!(byte & 128)) return value;
    }
    throw new Error('a length has no end');
  };
  const signatures = Array.from({length: length()}, () => take(64));
  const messageAt = at;
  if (bytes[at] & 128) at += 1;
  const [required] = take(3);
  const keys = Array.from({length: length()}, () => base58(take(32)));
  const blockhash = base58(take(32));
  if (signatures.length !== required || !required || required > keys.length) throw new Error('signatures and header differ');
  return {signatures, keys, blockhash, messageHash: createHash('sha256').update(bytes.subarray(messageAt)).digest('hex')};
}

// The runtime's errors, in the order of its own enumerations.
const TRANSACTION_ERRORS = ['AccountInUse', 'AccountLoadedTwice', 'AccountNotFound', 'ProgramAccountNotFound',
  'InsufficientFundsForFee', 'InvalidAccountForFee', 'AlreadyProcessed', 'BlockhashNotFound', 'CallChainTooDeep',
  'MissingSignatureForFee', 'InvalidAccountIndex', 'SignatureFailure', 'InvalidProgramForExecution', 'SanitizeFailure'];
const INSTRUCTION_ERRORS = ['GenericError', 'InvalidArgument', 'InvalidInstructionData', 'InvalidAccountData',
  'AccountDataTooSmall', 'InsufficientFunds', 'IncorrectProgramId', 'MissingRequiredSignature',
  'AccountAlreadyInitialized', 'UninitializedAccount'];

function errorJson(error) {
  if (typeof error === 'number') return TRANSACTION_ERRORS[error] ?? `Error${error}`;
  const name = error.constructor.name;
  if (!name.includes('InstructionError')) {
    return {[name.replace('TransactionError', '')]: {account_index: error.accountIndex ?? 0}};
  }
  const inner = error.err();
  return {InstructionError: [error.index, typeof inner === 'number' ? INSTRUCTION_ERRORS[inner] ?? `Error${inner}`
    : {Custom: inner.code ?? 0}]};
}

export class Ledger {
  #svm = new LiteSVM().withBlockhashCheck(false).withTransactionHistory(0n);
  #hashes = []; // {hash, slot}, oldest first
  #landed = new Map(); // signature -> {slot, err, keys, signatures, time}
  #times = new Map(); // slot -> unix seconds
  #first; // the oldest slot that is kept
  ahead = 0; // of real time, in seconds
  #messages = new Map(); // hash of a message -> slot
  slot = 447_552_000n;
  held = false; // time stands still
  dropping = 0; // transactions that get a signature and never land

  constructor() {
    // Two hundred slots of the past, ten seconds each: a node with a history.
    for (let i = 200; i > 0; i--) {
      this.ahead = -10 * i;
      this.tick();
    }
    this.ahead = 0;
  }

  tick() {
    this.slot += 1n;
    this.#first ??= this.slot;
    this.#times.set(this.slot, this.now());
    this.#hashes.push({hash: base58(randomBytes(32)), slot: this.slot});
    if (this.#hashes.length > 400) this.#hashes.shift();
  }

  now() {
    return Math.floor(Date.now() / 1000) + this.ahead;
  }

  timeOf(slot) {
    return this.#times.get(BigInt(slot)) ?? null;
  }

  get first() {
    return this.#first;
  }

  /** As a node that keeps little: what came before now is gone. */
  forget() {
    this.#first = this.slot;
    this.#landed.clear();
  }

  isValid(hash, commitment) {
    const at = this.at(commitment);
    const entry = this.#hashes.find((each) => each.hash === hash);
    return Boolean(entry) && entry.slot <= at && at - entry.slot <= BigInt(MAX_AGE);
  }

  transaction(signature) {
    const landed = this.#landed.get(signature);
    return landed ? {slot: Number(landed.slot), blockTime: landed.time, version: 0, meta: {err: landed.err},
      transaction: {signatures: landed.signatures}} : null;
  }

  at(commitment) {
    return this.slot - BigInt(commitment === 'processed' ? 0 : commitment === 'confirmed' ? 1 : FINAL);
  }

  height(slot) {
    return slot - HEIGHT_LAG;
  }

  latestBlockhash(commitment) {
    const {hash, slot} = this.#hashes.findLast((entry) => entry.slot <= this.at(commitment));
    return {blockhash: hash, lastValidBlockHeight: Number(this.height(slot)) + MAX_AGE};
  }

  #isRecent(hash, commitment) {
    const entry = this.#hashes.find((each) => each.hash === hash);
    return Boolean(entry) && entry.slot <= this.at(commitment) && this.slot - entry.slot <= BigInt(MAX_AGE);
  }

  #run(method, bytes, checkSignatures) {
    const raw = this.#svm.inner; // our bytes, not encoded anew
    const clock = raw.getClock();
    clock.slot = this.slot;
    clock.unixTimestamp = BigInt(Math.floor(Date.now() / 1000));
    raw.setClock(clock);
    raw.setSigverify(checkSignatures);
    let result;
    try {
      result = raw[method](bytes);
    } catch (error) {
      invalid(`invalid transaction: ${error.message}`);
    } finally {
      raw.setSigverify(true);
    }
    const failed = typeof result.err === 'function';
    const meta = typeof result.meta === 'function' ? result.meta() : result;
    return {err: failed ? errorJson(result.err()) : null, logs: meta.logs(), units: Number(meta.computeUnitsConsumed())};
  }

  parse(text) {
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) invalid('invalid base64 encoding: InvalidByte');
    if (bytes.length > PACKET) invalid(`transaction too large: ${bytes.length} bytes (max: ${PACKET} bytes)`);
    try {
      return {bytes, ...decode(bytes)};
    } catch (error) {
      return invalid(`failed to deserialize VersionedTransaction: ${error.message}`);
    }
  }

  simulate(transaction, {sigVerify, replaceRecentBlockhash, commitment}) {
    let err = null;
    if (!replaceRecentBlockhash && !this.#isRecent(transaction.blockhash, commitment)) err = 'BlockhashNotFound';
    const seen = this.#messages.get(transaction.messageHash);
    if (seen !== undefined && seen <= this.at(commitment)) err = 'AlreadyProcessed';
    if (err) return {err, logs: [], units: 0};
    return this.#run('simulateVersionedTransaction', transaction.bytes, Boolean(sigVerify));
  }

  /** What cannot land leaves no trace, as on a cluster. Returns the signature. */
  send(transaction) {
    const signature = base58(transaction.signatures[0]);
    if (this.#run('simulateVersionedTransaction', transaction.bytes, true).err === 'SignatureFailure') {
      throw new RpcError(-32003, 'Transaction signature verification failure');
    }
    if (this.#messages.has(transaction.messageHash) || !this.#isRecent(transaction.blockhash, 'processed')) return signature;
    if (this.dropping > 0) {
      this.dropping -= 1;
      return signature;
    }
    const before = this.lamports(transaction.keys[0]);
    const {err} = this.#run('sendVersionedTransaction', transaction.bytes, true);
    if (err && this.lamports(transaction.keys[0]) === before) return signature; // not even its fee was paid
    this.#messages.set(transaction.messageHash, this.slot);
    this.#landed.set(signature, {slot: this.slot, err, keys: transaction.keys, time: this.now(),
      signatures: transaction.signatures.map(base58)});
    return signature;
  }

  status(signature) {
    const landed = this.#landed.get(signature);
    if (!landed) return null;
    const age = this.slot - landed.slot;
    return {slot: Number(landed.slot), err: landed.err, status: landed.err ? {Err: landed.err} : {Ok: null},
      confirmations: age >= BigInt(FINAL) ? null : Number(age),
      confirmationStatus: age >= BigInt(FINAL) ? 'finalized' : age >= 1n ? 'confirmed' : 'processed'};
  }

  signaturesOf(key, {commitment = 'processed', before, limit = 1000} = {}) {
    const all = [...this.#landed].reverse()
      .filter(([, landed]) => landed.keys.includes(key) && landed.slot <= this.at(commitment));
    const from = before === undefined ? 0 : all.findIndex(([signature]) => signature === before) + 1;
    return all.slice(from, from + limit)
      .map(([signature, landed]) => ({signature, slot: Number(landed.slot), err: landed.err, memo: null, blockTime: landed.time,
        confirmationStatus: this.status(signature).confirmationStatus}));
  }

  // ---- Accounts.

  lamports(key) {
    return this.#svm.getBalance(key) ?? 0n;
  }

  account(key) {
    const account = this.#svm.getAccount(key);
    return account.exists && account.lamports > 0n ? account : null;
  }

  setAccount(key, lamports, data = Buffer.alloc(0), owner = SYSTEM) {
    this.#svm.inner.setAccount(bytesOf(key), new Account(BigInt(lamports), data, bytesOf(owner), false, 18446744073709551615n));
  }

  rent(size) {
    return this.#svm.minimumBalanceForRentExemption(BigInt(size));
  }
}
