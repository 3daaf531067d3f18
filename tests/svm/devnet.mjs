// A Solana RPC on loopback with everything a payment needs:  node tests/svm/devnet.mjs
//
//   --port N          on 127.0.0.1; 0 (default) takes a free one
//   --slot-ms N       a slot every N milliseconds (default 100)
//   --accounts N      N more payers, each with one dollar of USDC
//   --json FILE       write the description there too
//   --stdin-lifeline  end when standard input ends (for parents that may die)
//
// Prints one line of JSON when ready, then stays until SIGTERM or SIGINT. The
// methods are those of a node that payments use, and devnet_* to set the stage.
// Keys are public seeds of equal bytes: never use them anywhere else.
import {createServer} from 'node:http';
import {writeFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {address, createKeyPairSignerFromPrivateKeyBytes, getAddressEncoder, getProgramDerivedAddress} from '@solana/kit';
import {base58, FINAL, fromBase58, invalid, Ledger, MAX_AGE, RpcError, TOKEN, TOKEN_2022} from './ledger.mjs';

const GENESIS = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG';
const NETWORK = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
// Devnet's own USDC, so that prices such as "$0.01" mean this mint.
const USDC = '4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU';
// A mint of Token-2022 without fees, and one that keeps a hundredth.
const PLAIN_2022 = 'CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM';
const FEE_2022 = '2b1kV6DkPAnxd5ixfnxCpjxmKwqjjaYmCZfHsFu24GXo';
const ATA = 'ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL';
const PAYER_FUNDS = 1_000_000_000n;

const {values: options} = parseArgs({options: {
  port: {type: 'string', default: '0'},
  'slot-ms': {type: 'string', default: '100'},
  accounts: {type: 'string', default: '0'},
  json: {type: 'string'},
  'stdin-lifeline': {type: 'boolean', default: false},
}});
for (const name of ['port', 'slot-ms', 'accounts']) {
  if (!/^[0-9]{1,7}$/.test(options[name])) {
    process.stderr.write(`devnet: --${name} takes a whole number, not ${options[name]}\n`);
    process.exit(2);
  }
}

const ledger = new Ledger();
const context = (value, commitment) => ({context: {apiVersion: '2.3.0', slot: Number(ledger.at(commitment))}, value});
const isKey = (text) => {
  try {
    return fromBase58(text).length === 32;
  } catch {
    return false;
  }
};
const key = (text) => (typeof text === 'string' && isKey(text) ? text : invalid('Invalid param: Invalid'));

async function tokenAccount(owner, mint) {
  const {programAddress} = ledger.account(mint) ?? invalid('no such mint');
  const encode = (text) => getAddressEncoder().encode(address(text));
  const [ata] = await getProgramDerivedAddress({programAddress: address(ATA),
    seeds: [encode(owner), encode(programAddress), encode(mint)]});
  return {ata, program: programAddress};
}

function createMint(mint, program, extension = Buffer.alloc(0)) {
  const size = extension.length ? 166 + extension.length : 82;
  const data = Buffer.alloc(size);
  data.writeBigUInt64LE(1n << 60n, 36);
  data[44] = 6;
  data[45] = 1;
  if (extension.length) {
    data[165] = 1;
    extension.copy(data, 166);
  }
  ledger.setAccount(mint, ledger.rent(size), data, program);
}

/** Makes the associated token account where there is none. */
async function setTokenBalance(owner, mint, amount) {
  const {ata, program} = await tokenAccount(owner, mint);
  const data = Buffer.alloc(program === TOKEN_2022 ? 182 : 165);
  data.set(fromBase58(mint), 0);
  data.set(fromBase58(owner), 32);
  data.writeBigUInt64LE(BigInt(amount), 64);
  data[108] = 1;
  if (program === TOKEN_2022) {
    data[165] = 2; // an account
    data.writeUInt16LE(7, 166); // ImmutableOwner, as its program makes it
    if (mint === FEE_2022) {
      data.writeUInt16LE(2, 170); // TransferFeeAmount
      data.writeUInt16LE(8, 172);
    }
  }
  ledger.setAccount(ata, ledger.rent(data.length), data, program);
  return ata;
}

function encodeAccount(account, encoding) {
  if (encoding !== undefined && encoding !== 'base64' && encoding !== 'jsonParsed') invalid(`unsupported encoding ${encoding}`);
  return {data: [Buffer.from(account.data).toString('base64'), 'base64'], executable: account.executable,
    lamports: Number(account.lamports), owner: account.programAddress, rentEpoch: 0, space: account.data.length};
}

const accountInfo = (text, config) => {
  const account = ledger.account(key(text));
  return account && encodeAccount(account, config?.encoding);
};

function tokenBalance(text) {
  const account = ledger.account(key(text));
  if (!account || account.data.length < 165) invalid('Invalid param: could not find account');
  const amount = Buffer.from(account.data).readBigUInt64LE(64);
  return {amount: amount.toString(), decimals: 6, uiAmount: Number(amount) / 1e6, uiAmountString: (Number(amount) / 1e6).toString()};
}

function send([text, config = {}]) {
  const transaction = ledger.parse(text);
  if (!config.skipPreflight) {
    const {err, logs} = ledger.simulate(transaction, {sigVerify: true, commitment: config.preflightCommitment});
    if (err) {
      const error = new RpcError(-32002, `Transaction simulation failed: ${JSON.stringify(err)}`);
      error.data = {err, logs, accounts: null, unitsConsumed: 0, returnData: null, innerInstructions: null};
      throw error;
    }
  }
  return ledger.send(transaction);
}

function simulate([text, config = {}]) {
  const transaction = ledger.parse(text);
  const {err, logs, units} = ledger.simulate(transaction, config);
  return context({err, logs, accounts: null, unitsConsumed: units, returnData: null, innerInstructions: null,
    loadedAccountsDataSize: 0}, config.commitment);
}

const methods = {
  getHealth: () => 'ok',
  getVersion: () => ({'feature-set': 0, 'solana-core': '2.3.0'}),
  getGenesisHash: () => GENESIS,
  getSlot: ([config]) => Number(ledger.at(config?.commitment)),
  getBlockHeight: ([config]) => Number(ledger.height(ledger.at(config?.commitment))),
  getEpochInfo: ([config]) => {
    const slot = ledger.at(config?.commitment);
    return {absoluteSlot: Number(slot), blockHeight: Number(ledger.height(slot)), epoch: 1036,
      slotIndex: Number(slot % 432000n), slotsInEpoch: 432000, transactionCount: 1};
  },
  getLatestBlockhash: ([config]) => context(ledger.latestBlockhash(config?.commitment), config?.commitment),
  getBalance: ([text, config]) => context(Number(ledger.lamports(key(text))), config?.commitment),
  getAccountInfo: ([text, config]) => context(accountInfo(text, config), config?.commitment),
  getMultipleAccounts: ([list, config]) => context(list.map((text) => accountInfo(text, config)), config?.commitment),
  getTokenAccountBalance: ([text, config]) => context(tokenBalance(text), config?.commitment),
  getMinimumBalanceForRentExemption: ([size]) => Number(ledger.rent(size)),
  getSignatureStatuses: ([list]) => context(list.map((text) => ledger.status(text)), 'processed'),
  getSignaturesForAddress: ([text, config]) => {
    if (config?.minContextSlot > Number(ledger.at(config?.commitment))) throw new RpcError(-32016, 'Minimum context slot has not been reached');
    return ledger.signaturesOf(key(text), config);
  },
  getTransaction: ([signature]) => ledger.transaction(signature),
  isBlockhashValid: ([hash, config]) => context(ledger.isValid(hash, config?.commitment), config?.commitment),
  getBlockTime: ([slot]) => ledger.timeOf(slot),
  getFirstAvailableBlock: () => Number(ledger.first),
  simulateTransaction: simulate,
  sendTransaction: send,
  devnet_setTokenBalance: ([owner, mint, amount]) => setTokenBalance(key(owner), key(mint), amount),
  devnet_removeAccount: ([text]) => (ledger.setAccount(key(text), 0n), null),
  devnet_setLamports: ([text, lamports]) => (ledger.setAccount(key(text), lamports), null),
  devnet_advanceSlots: ([count = 1]) => {
    for (let i = 0; i < count; i++) ledger.tick();
    return Number(ledger.slot);
  },
  devnet_expireBlockhashes: () => {
    // The newest blockhash, one that a node was behind with, and finality.
    for (let i = 0; i < 2 * MAX_AGE + 2 * FINAL; i++) ledger.tick();
    return Number(ledger.slot);
  },
  devnet_advanceTime: ([seconds]) => (ledger.ahead += seconds),
  devnet_forget: () => (ledger.forget(), null),
  devnet_holdSlots: ([held = true]) => (ledger.held = Boolean(held)),
  devnet_dropNext: ([count = 1]) => (ledger.dropping = count),
};

async function answer(question) {
  const reply = {jsonrpc: '2.0', id: question?.id ?? null};
  try {
    const method = methods[question?.method];
    if (!method) throw new RpcError(-32601, 'Method not found');
    return {...reply, result: await method(question.params ?? []) ?? null};
  } catch (error) {
    if (!(error instanceof RpcError)) console.error(error);
    return {...reply, error: {code: error.code ?? -32603, message: error.message, ...(error.data && {data: error.data})}};
  }
}

async function serve(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let body;
  try {
    const question = JSON.parse(Buffer.concat(chunks).toString());
    body = Array.isArray(question) ? await Promise.all(question.map(answer)) : await answer(question);
  } catch {
    body = {jsonrpc: '2.0', id: null, error: {code: -32700, message: 'Parse error'}};
  }
  response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify(body));
}

/** The account of a seed of 32 equal bytes, and its key as id.json and base58. */
async function account(byte, seed = new Uint8Array(32).fill(byte)) {
  const signer = await createKeyPairSignerFromPrivateKeyBytes(seed, true);
  const secret = Uint8Array.from([...seed, ...fromBase58(signer.address)]);
  return {address: signer.address, secretKey: base58(secret), idJson: JSON.stringify([...secret])};
}

async function furnish() {
  const accounts = {};
  for (const [index, name] of ['facilitator', 'payer', 'payee', 'payer2', 'facilitator2'].entries()) {
    accounts[name] = await account(index + 1);
  }
  // TransferFeeConfig: no authorities; nothing withheld; two fees of 100 basis points.
  const fee = Buffer.alloc(4 + 108);
  fee.writeUInt16LE(1, 0);
  fee.writeUInt16LE(108, 2);
  for (const at of [4 + 72, 4 + 90]) {
    fee.writeBigUInt64LE(1_000_000n, at + 8);
    fee.writeUInt16LE(100, at + 16);
  }
  createMint(USDC, TOKEN);
  createMint(PLAIN_2022, TOKEN_2022);
  createMint(FEE_2022, TOKEN_2022, fee);
  ledger.setAccount(accounts.facilitator.address, 10_000_000_000n);
  ledger.setAccount(accounts.facilitator2.address, 10_000_000_000n);
  ledger.setAccount(accounts.payer.address, 1_000_000n); // pays no fee; rent keeps it
  const extra = [];
  for (let i = 0; i < Number(options.accounts); i++) {
    const seed = new Uint8Array(32).fill(100);
    new DataView(seed.buffer).setUint32(0, i);
    extra.push(await account(0, seed));
    await setTokenBalance(extra[i].address, USDC, 1_000_000n);
  }
  for (const mint of [USDC, PLAIN_2022, FEE_2022]) {
    await setTokenBalance(accounts.payer.address, mint, PAYER_FUNDS);
    await setTokenBalance(accounts.payer2.address, mint, PAYER_FUNDS);
    await setTokenBalance(accounts.payee.address, mint, 0n);
  }
  return {accounts, extra};
}

process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
if (options['stdin-lifeline']) {
  process.stdin.on('end', () => process.exit(0));
  process.stdin.resume();
}
const furnished = await furnish();
const server = createServer((request, response) => { serve(request, response); });
server.keepAliveTimeout = 60_000;
server.listen(Number(options.port), '127.0.0.1', () => {
  const line = JSON.stringify({rpcUrl: `http://127.0.0.1:${server.address().port}`, network: NETWORK,
    usdc: USDC, plain2022: PLAIN_2022, fee2022: FEE_2022, ...furnished, pid: process.pid});
  if (options.json) writeFileSync(options.json, `${line}\n`, {mode: 0o600});
  process.stdout.write(`${line}\n`);
});
setInterval(() => {
  if (!ledger.held) ledger.tick();
}, Number(options['slot-ms']));
