// Payments by delegation (ERC-7710) on a devnet: MetaMask's Delegation
// Framework as it is published, and a payer that is an EIP-7702 account of it.
// What these functions sign and encode is made with viem, independently of our
// own code.
import * as abis from '@metamask/delegation-abis';
import * as bytecodes from '@metamask/delegation-abis/bytecode';
import {createPublicClient, createWalletClient, encodeAbiParameters, encodeFunctionData, encodePacked, getAddress, http,
  maxUint256, parseAbi, toHex} from 'viem';
import {privateKeyToAccount} from 'viem/accounts';
import {contracts} from './compile.mjs';
import {mined, randomNonce} from './lib.mjs';

const ROOT = toHex(maxUint256);
// ERC-4337's, which nobody here calls.
const ENTRY_POINT = '0x0000000071727De22E5E9d8BAf0edAc6f37da032';
const enforcers = ['LimitedCallsEnforcer', 'ExactCalldataEnforcer', 'AllowedTargetsEnforcer',
  'ERC20TransferAmountEnforcer', 'TimestampEnforcer'];
const bad = ['NothingManager', 'TrapManager', 'LateTrapManager', 'TimesManager'];

const delegationType = [{type: 'tuple[]', components: [
  {name: 'delegate', type: 'address'}, {name: 'delegator', type: 'address'}, {name: 'authority', type: 'bytes32'},
  {name: 'caveats', type: 'tuple[]', components: [{name: 'enforcer', type: 'address'}, {name: 'terms', type: 'bytes'},
    {name: 'args', type: 'bytes'}]},
  {name: 'salt', type: 'uint256'}, {name: 'signature', type: 'bytes'}]}];

const executeAbi = parseAbi(['struct Execution { address target; uint256 value; bytes callData; }',
  'function execute(Execution execution)']);
const transferAbi = parseAbi(['function transfer(address,uint256) returns (bool)']);
/** The call that a payment makes the payer's account do. */
export const transferData = (payTo, amount) => encodeFunctionData({abi: transferAbi, functionName: 'transfer',
  args: [payTo, BigInt(amount)]});

/** The payer's wallet: it signs delegations, in the framework's form. */
export function delegationWallet({info, manager, enforcers: at, payer}) {
  const wallet = {manager, enforcers: at,
    /** Sign a delegation; change: delegate, caveats, salt, privateKey, and any member. */
    async delegation(change = {}) {
      const {privateKey = payer.privateKey, caveats = wallet.caveats(info), ...rest} = change;
      const value = {delegate: info.accounts.facilitator.address, delegator: payer.address, authority: ROOT,
        salt: BigInt(randomNonce()), ...rest,
        caveats: caveats.map(([name, terms]) => ({enforcer: at[name], terms, args: '0x'}))};
      const signature = await privateKeyToAccount(privateKey).signTypedData({
        domain: {name: 'DelegationManager', version: '1', chainId: info.chainId, verifyingContract: manager},
        types: {
          Delegation: [{name: 'delegate', type: 'address'}, {name: 'delegator', type: 'address'},
            {name: 'authority', type: 'bytes32'}, {name: 'caveats', type: 'Caveat[]'}, {name: 'salt', type: 'uint256'}],
          Caveat: [{name: 'enforcer', type: 'address'}, {name: 'terms', type: 'bytes'}]},
        primaryType: 'Delegation', message: value});
      return {...value, signature, ...change.signed};
    },
    /** What a careful payer adds: this very call, of this token, once, in time. */
    caveats: ({token = info.token, payTo = info.accounts.payee.address, amount = '1000', calls = 1n,
      until = Math.floor(Date.now() / 1000) + 3600} = {}) => [
      ['AllowedTargetsEnforcer', token],
      ['ExactCalldataEnforcer', transferData(payTo, amount)],
      ['LimitedCallsEnforcer', toHex(calls, {size: 32})],
      ['TimestampEnforcer', encodePacked(['uint128', 'uint128'], [0n, BigInt(until)])]],
    /** At most so much of the token, to anybody, as often as it lasts. */
    loose: (max) => [['ERC20TransferAmountEnforcer', encodePacked(['address', 'uint256'], [info.token, BigInt(max)])]],
    context: (...chain_) => encodeAbiParameters(delegationType, [chain_]),
  };
  return wallet;
}

/**
 * Deploy the framework and managers that misbehave, and make payer an account
 * of it (EIP-7702).
 * @returns {{manager, account, enforcers, bad, willing, ...}} addresses, and what acts on them
 */
export async function installDelegation(info, payer = info.accounts.payer) {
  const chain = {id: info.chainId, name: 'devnet', nativeCurrency: {name: 'ETH', symbol: 'ETH', decimals: 18},
    rpcUrls: {default: {http: [info.rpcUrl]}}};
  const transport = http(info.rpcUrl);
  const read = createPublicClient({chain, transport});
  const deployer = createWalletClient({chain, transport, account: privateKeyToAccount(info.accounts.payer2.privateKey)});
  const wallet = createWalletClient({chain, transport, account: privateKeyToAccount(payer.privateKey)});
  const done = async (hash) => {
    const receipt = await mined(read, hash);
    if (receipt.status !== 'success') throw new Error('a transaction of the set-up reverted');
    return receipt;
  };
  const deploy = async (abi, bytecode, args = []) =>
    getAddress((await done(await deployer.deployContract({abi, bytecode, args}))).contractAddress);
  const framework = (name, args) => deploy(abis[name], bytecodes[name], args);

  const manager = await framework('DelegationManager', [deployer.account.address]);
  const implementation = await framework('EIP7702StatelessDeleGator', [manager, ENTRY_POINT]);
  const at = {};
  for (const name of enforcers) at[name] = await framework(name);
  const badAt = {};
  for (const name of bad) badAt[name] = await deploy(contracts()[name].abi, contracts()[name].bytecode);
  const willing = await deploy(contracts().WillingAccount.abi, contracts().WillingAccount.bytecode);
  await done(await deployer.writeContract({address: info.token, abi: contracts().TestUSDC.abi, functionName: 'mint',
    args: [willing, 1_000_000n]}));
  const authorization = await wallet.signAuthorization({contractAddress: implementation, executor: 'self'});
  await done(await wallet.sendTransaction({to: payer.address, authorizationList: [authorization]}));

  const framework_ = {implementation, bad: badAt, willing, account: payer.address,
    ...delegationWallet({info, manager, enforcers: at, payer}),
    hash: (delegation) => read.readContract({address: manager, abi: abis.DelegationManager,
      functionName: 'getDelegationHash', args: [delegation]}),
    /** The payer takes it back. */
    async revoke(delegation, fees = {}) {
      const data = encodeFunctionData({abi: abis.DelegationManager, functionName: 'disableDelegation', args: [delegation]});
      return wallet.sendTransaction({to: payer.address, gas: 300000n, ...fees,
        data: encodeFunctionData({abi: executeAbi, functionName: 'execute',
          args: [{target: manager, value: 0n, callData: data}]})});
    },
    done, read,
  };
  return framework_;
}

/**
 * A facilitator request (v2) by delegation. change: payload, requirements,
 * accepted, extensions, context, delegation (the terms of one to sign).
 */
export async function delegationRequest(info, framework, change = {}) {
  const requirements = {scheme: 'exact', network: info.network, amount: '1000', asset: info.token,
    payTo: info.accounts.payee.address, maxTimeoutSeconds: 300, extra: {assetTransferMethod: 'erc7710'},
    ...change.requirements};
  const permissionContext = change.context ?? framework.context(await framework.delegation(change.delegation));
  return {x402Version: 2,
    paymentPayload: {x402Version: 2,
      payload: {delegationManager: framework.manager, permissionContext, delegator: framework.account, ...change.payload},
      resource: {url: 'http://127.0.0.1/paid', description: '', mimeType: ''},
      accepted: {...requirements, ...change.accepted},
      ...(change.extensions ? {extensions: change.extensions} : {})},
    paymentRequirements: requirements};
}
