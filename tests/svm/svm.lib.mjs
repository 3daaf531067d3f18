// What the Solana tests share: the devnet, a daemon on it, and a payer that is
// the reference's own (@x402/svm), so that what we take is what it makes.
import {createKeyPairSignerFromBytes} from '@solana/kit';
import {ExactSvmScheme} from '@x402/svm/exact/client';
import {ExactSvmSchemeV1} from '@x402/svm/exact/v1/client';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {programs, scratchDir, sleep, start} from '../devnet/lib.mjs';
import {fromBase58} from './ledger.mjs';

export {sleep};
export const NETWORK = 'solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1';
const here = fileURLToPath(new URL('.', import.meta.url));

/** A devnet of its own, with rpc(method, ...params) to ask it. */
export async function startDevnet(...args) {
  const process_ = await start(process.execPath, [join(here, 'devnet.mjs'), '--stdin-lifeline', ...args],
    {ready: /^(\{.*\})\n/m});
  const info = JSON.parse(process_.match[1]);
  const rpc = async (method, ...params) => {
    const response = await fetch(info.rpcUrl, {method: 'POST', headers: {'content-type': 'application/json'},
      body: JSON.stringify({jsonrpc: '2.0', id: 1, method, params})});
    const {result, error} = await response.json();
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  return {...info, rpc, stop: () => process_.stop()};
}

/** A daemon whose fee payer is the devnet's facilitator. Restart with the same dir. */
export async function startDaemon(devnet, {dir = scratchDir(), args = '', env = {}, top = '', store = `${dir}/store.sqlite`} = {}) {
  const key = join(dir, 'id.json');
  const config = join(dir, 'facilitator.conf');
  writeFileSync(key, devnet.accounts.facilitator.idJson, {mode: 0o600});
  writeFileSync(config, `listen = "127.0.0.1:0"\nworkers = 1\nstore = "${store}"\n${top}
chain "${NETWORK}" {\n rpc_urls = {"${devnet.rpcUrl}"}\n signer_key_file = {"${key}"}\n ${args}\n}\n`);
  const daemon = await start(programs.facilitator, ['-c', config], {env, ready: /listening url=(\S+)/});
  const url = daemon.match[1];
  return {daemon, dir, url, ask: (path, body, headers) => ask(url + path, body, headers)};
}

export async function ask(url, body, headers = {}) {
  const response = await fetch(url, body === undefined ? {headers} : {method: 'POST',
    headers: {'content-type': 'application/json', ...headers}, body: JSON.stringify(body)});
  const text = await response.text();
  return {status: response.status, text, body: text.startsWith('{') ? JSON.parse(text) : undefined};
}

export const offer = (devnet, more = {}) => ({scheme: 'exact', network: NETWORK, amount: '1000', asset: devnet.usdc,
  payTo: devnet.accounts.payee.address, maxTimeoutSeconds: 60, ...more,
  extra: {feePayer: devnet.accounts.facilitator.address, ...more.extra}});

/** The reference client's payment for these terms, as a facilitator is asked. */
export async function pay(devnet, terms, secretKey = devnet.accounts.payer.secretKey) {
  const signer = await createKeyPairSignerFromBytes(fromBase58(secretKey));
  const scheme = new ExactSvmScheme(signer, {rpcUrl: devnet.rpcUrl});
  const {payload} = await scheme.createPaymentPayload(2, terms);
  return request(terms, payload);
}

export const request = (terms, payload) => ({x402Version: 2, paymentRequirements: terms,
  paymentPayload: {x402Version: 2, accepted: terms, payload}});

export async function payV1(devnet, terms) {
  const signer = await createKeyPairSignerFromBytes(fromBase58(devnet.accounts.payer.secretKey));
  const scheme = new ExactSvmSchemeV1(signer, {rpcUrl: devnet.rpcUrl});
  const paymentPayload = await scheme.createPaymentPayload(1, terms);
  return {x402Version: 1, paymentRequirements: terms, paymentPayload};
}

/** Atomic units that an account holds of a mint. */
export async function balance(devnet, owner, mint) {
  const ata = await associated(devnet, owner, mint);
  const {value} = await devnet.rpc('getTokenAccountBalance', ata);
  return BigInt(value.amount);
}

export async function associated(devnet, owner, mint) {
  const {address, getAddressEncoder, getProgramDerivedAddress} = await import('@solana/kit');
  const {value} = await devnet.rpc('getAccountInfo', mint, {encoding: 'base64'});
  const [ata] = await getProgramDerivedAddress({programAddress: address('ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL'),
    seeds: [owner, value.owner, mint].map((text) => getAddressEncoder().encode(address(text)))});
  return ata;
}
