// What the facilitator must refuse of an approval that comes along, one case to
// a line: what is changed in a good one, and the exact code. The keys are those
// of permit2.table.mjs. `reference`: what the reference facilitator's /verify
// says where that is something else; null: it takes it.
import {createRequire} from 'node:module';
import {signApproval} from '../devnet/lib.mjs';
import {send} from './permit2.table.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {encodeFunctionData, parseAbi} = require('viem');

const STRANGER = '0x000000000000000000000000000000000000dEaD';
const gwei = (n) => BigInt(n) * 1_000_000_000n;

/** By payer2, who has no allowance; and by a wallet that cannot send. */
export const approvalTable = (info, scheme) => {
  const key = info.accounts.payer2.privateKey;
  const call = (signature, args) => encodeFunctionData({abi: parseAbi([`function ${signature}`]),
    functionName: signature.slice(0, signature.indexOf('(')), args});
  const approve = (...args) => call('approve(address,uint256)', args);
  const cases = [
    ['not by the payer', {info: {from: info.accounts.payer.address}}, 'erc20_approval_from_mismatch'],
    ['for another token', {info: {asset: info.plainToken}}, 'erc20_approval_asset_mismatch'],
    ['for another spender', {info: {spender: STRANGER}}, 'erc20_approval_spender_not_permit2'],
    ['for the proxy', {info: {spender: info.exactProxy}}, 'erc20_approval_spender_not_permit2'],
    ['that approves a stranger', {spender: STRANGER}, 'erc20_approval_tx_wrong_spender'],
    ['that approves the proxy', {spender: info.uptoProxy}, 'erc20_approval_tx_wrong_spender'],
    ['to another contract', {tx: {to: info.plainToken}}, 'erc20_approval_tx_wrong_target'],
    ['to the payer itself', {tx: {to: info.accounts.payer2.address}}, 'erc20_approval_tx_wrong_target'],
    ['that transfers', {data: call('transfer(address,uint256)', [info.permit2, 1000n])},
      'erc20_approval_tx_wrong_selector'],
    ['that calls nothing', {data: '0x'}, 'erc20_approval_tx_wrong_selector'],
    ['that is cut', {data: approve(info.permit2, 1000n).slice(0, -2)}, 'erc20_approval_tx_invalid_calldata'],
    ['with bytes behind the end', {data: `${approve(info.permit2, 1000n)}00`}, 'erc20_approval_tx_invalid_calldata', null],
    ['for less than the price', {data: approve(info.permit2, 999n)}, 'erc20_approval_tx_invalid_calldata', null],
    ['that another signed', {signer: info.accounts.payer.privateKey}, 'erc20_approval_tx_signer_mismatch'],
    ['that nobody signed', {unsigned: true}, 'erc20_approval_tx_invalid_signature'],
    ['for another chain (15)', {tx: {chainId: 8453}}, 'erc20_approval_tx_failed', null],
    ['of a nonce to come (24)', {tx: {nonce: 1000}}, 'erc20_approval_tx_failed', null],
    ['that sends ether along', {tx: {value: 1n}}, 'erc20_approval_tx_failed', null],
    ['of more gas than an approval takes (8)', {tx: {gas: 150001n}}, 'erc20_approval_tx_failed', null],
    ['of less gas than its bytes cost', {tx: {gas: 22000n}}, 'erc20_approval_tx_failed', null],
    ['of less gas than the token takes', {tx: {gas: 26000n}}, 'erc20_approval_tx_failed', null],
    ['whose gas costs more than is given (8)', {tx: {maxFeePerGas: gwei(100000)}},
      'erc20_approval_insufficient_eth_for_gas', null],
    ['whose gas costs more than there is (9)', {tx: {gas: 100000n, maxFeePerGas: 2n ** 250n}},
      'erc20_approval_insufficient_eth_for_gas', null],
    ['of the old form without a chain', {tx: {type: 'legacy', gasPrice: gwei(3), chainId: undefined,
      maxFeePerGas: undefined, maxPriorityFeePerGas: undefined}}, 'erc20_approval_tx_parse_failed', null],
    ['with an access list', {tx: {accessList: [{address: info.token, storageKeys: []}]}},
      'erc20_approval_tx_parse_failed', null],
    ['that is no transaction', {info: {signedTransaction: '0x1234'}}, 'erc20_approval_tx_parse_failed'],
    ['that is no hex', {info: {signedTransaction: 'approve'}}, 'invalid_erc20_approval_extension_format'],
    ['without end (9)', {info: {signedTransaction: `0x${'11'.repeat(600)}`}}, 'invalid_erc20_approval_extension_format',
      'erc20_approval_tx_parse_failed'],
    // The reference reads what lacks a member as if nothing had come along.
    ['without a transaction', {info: {signedTransaction: undefined}}, 'invalid_erc20_approval_extension_format',
      'permit2_allowance_required'],
    ['without a version', {info: {version: undefined}}, 'invalid_erc20_approval_extension_format',
      'permit2_allowance_required'],
    ['with an amount in words', {info: {amount: 'all'}}, 'invalid_erc20_approval_extension_format'],
  ].map(([name, change, reason, reference]) => ({scheme, name: `an approval ${name}`,
    change: {scheme, privateKey: key}, reason, ...(reference === undefined ? {} : {reference}),
    extensions: async () => {
      const approval = await signApproval(info, key, change);
      // The last 33 bytes are s: a number above the group's order.
      if (change.unsigned) approval.signedTransaction = `${approval.signedTransaction.slice(0, -64)}${'f'.repeat(64)}`;
      return {erc20ApprovalGasSponsoring: {info: approval}};
    }}));
  return [...cases, {scheme, name: 'an approval of a nonce that is over (24)', change: {scheme, privateKey: key},
    reason: 'erc20_approval_tx_failed', reference: null, extensions: async () => {
      const approval = await signApproval(info, key);
      await send(info, key, info.token, 'function approve(address,uint256)', 'approve', [STRANGER, 1n]);
      return {erc20ApprovalGasSponsoring: {info: approval}};
    }}];
};
