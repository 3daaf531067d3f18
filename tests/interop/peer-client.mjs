// The reference client: node peer-client.mjs URL [v1|v2] [METHOD BODY]
//   EVM_PRIVATE_KEY; EVM_RPC_URL to see allowances; EVM_WALLET: a contract of
//   the key's owner that pays; EVM_WALLET_FACTORY, EVM_WALLET_CALLDATA: what
//   deploys it (ERC-6492)
// Prints one line of JSON: status, body and the decoded receipt.
import {webcrypto} from 'node:crypto';
import {serializeErc6492Signature} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';

// Debian 12's node 18 has it under another name; the packages want it global.
globalThis.crypto ??= webcrypto;

const [url, version = 'v2', method = 'GET', body] = process.argv.slice(2);
const key = process.env.EVM_PRIVATE_KEY;
let pay;
if (version === 'v1') {
  const {createSigner, wrapFetchWithPayment} = await import('x402-fetch');
  pay = wrapFetchWithPayment(fetch, await createSigner('base-sepolia', key));
} else {
  const {wrapFetchWithPaymentFromConfig} = await import('@x402/fetch');
  const {ExactEvmScheme} = await import('@x402/evm');
  const {UptoEvmScheme} = await import('@x402/evm/upto/client');
  const account = payerOf(privateKeyToAccount(key));
  const options = process.env.EVM_RPC_URL ? {rpcUrl: process.env.EVM_RPC_URL} : undefined;
  pay = wrapFetchWithPaymentFromConfig(fetch, {
    schemes: [{network: 'eip155:84532', client: new ExactEvmScheme(account, options)},
      {network: 'eip155:84532', client: new UptoEvmScheme(account, options)}]});
}

/** The owner's account, or the wallet of that owner. */
function payerOf(owner) {
  const {EVM_WALLET: address, EVM_WALLET_FACTORY: factory, EVM_WALLET_CALLDATA: data} = process.env;
  if (!address) return owner;
  return {address, signTypedData: async (typed) => {
    const signature = await owner.signTypedData(typed);
    return factory ? serializeErc6492Signature({address: factory, data, signature}) : signature;
  }};
}

const response = await pay(url, {method, body,
  headers: body ? {'content-type': 'application/json'} : {}});
const header = response.headers.get('payment-response') ?? response.headers.get('x-payment-response');
console.log(JSON.stringify({
  status: response.status,
  body: await response.text(),
  receipt: header ? JSON.parse(Buffer.from(header, 'base64').toString()) : null,
}));
process.exit(0);
