// Wallets that are contracts: one that is not there yet, with money, and what
// only its own account could send.
import {encodeAbiParameters, encodeFunctionData, parseAbi} from 'viem';
import {contracts} from './compile.mjs';
import {mined, randomNonce, rpc} from './lib.mjs';

/** What a signature of a wallet that is not there yet ends with (ERC-6492). */
export const MAGIC = '6492'.repeat(16);
export const wrap6492 = (factory, calldata, signature) => `${encodeAbiParameters(
  [{type: 'address'}, {type: 'bytes'}, {type: 'bytes'}], [factory, calldata, signature])}${MAGIC}`;

/** The chain takes what address sends, and it has ether. */
export async function impersonate({info}, address) {
  await rpc(info.rpcUrl, 'anvil_impersonateAccount', [address]);
  await rpc(info.rpcUrl, 'anvil_setBalance', [address, '0xde0b6b3a7640000']);
}

/** Until it is mined; more: gas and fees. */
export async function sendAs({info, read}, from, to, data, more = {}) {
  await mined(read, await rpc(info.rpcUrl, 'eth_sendTransaction', [{from, to, data, ...more}]));
}

/** The contract at address lets Permit2 take its tokens. */
export async function approvePermit2(devnet, address) {
  await impersonate(devnet, address);
  await sendAs(devnet, address, devnet.info.token, encodeFunctionData({abi: contracts().PlainToken.abi,
    functionName: 'approve', args: [devnet.info.permit2, 2n ** 256n - 1n]}));
}

/** Takes a nonce of Permit2's back; sent by its owner. */
export const invalidateNonce = (nonce) => encodeFunctionData({
  abi: parseAbi(['function invalidateUnorderedNonces(uint256,uint256)']), functionName: 'invalidateUnorderedNonces',
  args: [nonce >> 8n, 1n << (nonce & 255n)]});

/** A wallet of payer's that is not there yet, with money, and Permit2's allowance if asked. */
export async function futureWallet(devnet, {funds = 5000n, allowance = false} = {}) {
  const {info} = devnet;
  const owner = info.accounts.payer;
  const args = [owner.address, randomNonce()];
  const {abi} = contracts().WalletFactory;
  const address = await devnet.read.readContract({address: info.factory, abi, functionName: 'addressOf', args});
  const data = encodeFunctionData({abi, functionName: 'create', args});
  await sendAs(devnet, owner.address, info.token, encodeFunctionData({abi: contracts().TestUSDC.abi,
    functionName: 'mint', args: [address, funds]}));
  if (allowance) {
    await approvePermit2(devnet, address);
    // Who has sent something cannot be created any more.
    await rpc(info.rpcUrl, 'anvil_setNonce', [address, '0x0']);
  }
  return {address, data, key: owner.privateKey,
    wrap: (signature, {factory = info.factory, calldata = data} = {}) => wrap6492(factory, calldata, signature)};
}
