// What the facilitator must refuse of Permit2, upto and sponsored permits, one
// case to a line or few: what is changed in a good payment, and the exact code.
//
//   name    for a person; a number in brackets is the attack of demands.md
//   change  of permit2Request() before signing, by a function of the devnet
//   tamper  after signing: b is the body of the request
//   prepare something on the chain first
//   reason  of /verify; /settle says the same unless `settle` names another
//   settle  only what /settle says: /verify takes it
//   reference  what the reference's /verify says where it is something else
//              (REFERENCE below; null: it takes it); tests/interop holds it
import {createRequire} from 'node:module';
import {mined, nowSeconds, signPermit2612} from '../devnet/lib.mjs';

const require = createRequire(new URL('../devnet/package.json', import.meta.url));
const {createPublicClient, createWalletClient, http, maxUint256, parseAbi} = require('viem');
const {privateKeyToAccount} = require('viem/accounts');

const STRANGER = '0x000000000000000000000000000000000000dEaD';
const ZERO = '0x0000000000000000000000000000000000000000';
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const payloadOf = (b) => b.paymentPayload.payload;
const permitOf = (b) => payloadOf(b).permit2Authorization;
const hex = (value, bytes = 32) => value.toString(16).padStart(bytes * 2, '0');
const resign = (change) => (b) => {
  const s = payloadOf(b).signature;
  const parts = {r: BigInt(s.slice(0, 66)), s: BigInt(`0x${s.slice(66, 130)}`), v: Number.parseInt(s.slice(130), 16)};
  const {r, s: s_, v} = {...parts, ...change(parts)};
  payloadOf(b).signature = `0x${hex(r)}${hex(s_)}${hex(v, 1)}`;
};

/** Send from an account of the devnet, and wait until it is mined. */
export async function send(info, privateKey, address, signature, functionName, args, more = {}) {
  const wallet = createWalletClient({transport: http(info.rpcUrl), account: privateKeyToAccount(privateKey),
    chain: {id: info.chainId, name: 'devnet', nativeCurrency: {name: 'ETH', symbol: 'ETH', decimals: 18},
      rpcUrls: {default: {http: [info.rpcUrl]}}}});
  const hash = await wallet.writeContract({address, abi: parseAbi([signature]), functionName, args, ...more});
  await mined(createPublicClient({transport: http(info.rpcUrl)}), hash);
}

/** In both schemes; reasons that differ come as [exact, upto]. */
const both = (scheme, info) => {
  const upto = scheme === 'upto';
  const other = upto ? 'exact' : 'upto';
  return [
    {name: 'another scheme in the payment', tamper: (b) => { b.paymentPayload.accepted.scheme = other; },
      reason: upto ? 'invalid_upto_evm_scheme' : 'unsupported_payload_type'},
    {name: 'another network in the payment', tamper: (b) => { b.paymentPayload.accepted.network = 'eip155:8453'; },
      reason: upto ? 'invalid_upto_evm_network_mismatch' : 'invalid_exact_evm_network_mismatch'},
    {name: "the other scheme's proxy as spender (22)", change: {permit: {spender: upto ? info.exactProxy : info.uptoProxy}},
      reason: 'invalid_permit2_spender'},
    {name: 'Permit2 itself as spender (22)', change: {permit: {spender: info.permit2}}, reason: 'invalid_permit2_spender'},
    {name: 'the facilitator as spender (22)', change: {permit: {spender: info.accounts.facilitator.address}},
      reason: 'invalid_permit2_spender'},
    {name: 'another payee in the witness (22)',
      tamper: (b) => { b.paymentRequirements = {...b.paymentRequirements, payTo: STRANGER}; },
      reason: 'invalid_permit2_recipient_mismatch'},
    {name: 'a witness that was changed after signing (22)', tamper: (b) => {
      permitOf(b).witness = {...permitOf(b).witness, validAfter: '1'};
    }, reason: 'invalid_permit2_signature'},
    {name: 'a deadline that is over', change: {permit: {deadline: String(nowSeconds() - 1)}},
      reason: 'permit2_deadline_expired'},
    {name: 'a deadline in three seconds (14)', change: {permit: {deadline: String(nowSeconds() + 3)}},
      reason: 'permit2_deadline_expired'},
    {name: 'not yet valid', change: {permit: {witness: {to: info.accounts.payee.address,
      ...(upto ? {facilitator: info.accounts.facilitator.address} : {}), validAfter: String(nowSeconds() + 100)}}},
    reason: 'permit2_not_yet_valid'},
    {name: 'less than the price', change: {permit: {permitted: {token: info.token, amount: '999'}}},
      reason: 'permit2_amount_mismatch', ...(upto ? {settle: 'invalid_upto_evm_payload_settlement_exceeds_amount'} : {})},
    {name: 'another token', change: {permit: {permitted: {token: info.plainToken, amount: '1000'}}},
      reason: 'permit2_token_mismatch'},
    {name: 'a signature over another chain (15)', change: {domain: {chainId: 8453}}, reason: 'invalid_permit2_signature'},
    {name: 'a signature over another contract (15)', change: {domain: {verifyingContract: STRANGER}},
      reason: 'invalid_permit2_signature'},
    {name: 'a signature over a domain with a version (15)', change: {domain: {version: '1'}},
      reason: 'invalid_permit2_signature'},
    {name: "somebody else's signature", change: {permit: {from: info.accounts.payer2.address}},
      reason: 'invalid_permit2_signature'},
    {name: 'the high s of the same signature (16)', tamper: resign(({s, v}) => ({s: ORDER - s, v: v === 27 ? 28 : 27})),
      reason: 'invalid_permit2_signature'},
    {name: 'v of 29 (16)', tamper: resign(() => ({v: 29})), reason: 'invalid_permit2_signature'},
    {name: 'r of zero (16)', tamper: resign(() => ({r: 0n})), reason: 'invalid_permit2_signature'},
    {name: 's of zero (16)', tamper: resign(() => ({s: 0n})), reason: 'invalid_permit2_signature'},
    {name: 'a compact signature of 64 bytes (16)', tamper: (b) => {
      payloadOf(b).signature = payloadOf(b).signature.slice(0, 130);
    }, reason: 'invalid_permit2_signature'},
    {name: 'an empty signature', tamper: (b) => { payloadOf(b).signature = '0x'; }, reason: 'invalid_permit2_signature'},
    {name: 'no signature', tamper: (b) => { delete payloadOf(b).signature; }, reason: 'invalid_payload'},
    {name: 'a signature without end (9)', tamper: (b) => { payloadOf(b).signature = `0x${'11'.repeat(9000)}`; },
      reason: 'invalid_payload'},
    {name: 'no permit', tamper: (b) => { delete payloadOf(b).permit2Authorization; }, reason: 'unsupported_payload_type'},
    {name: 'a permit and an authorization at once (11)', tamper: (b) => { payloadOf(b).authorization = {}; },
      reason: 'unsupported_payload_type'},
    {name: 'a permit that is text', tamper: (b) => { payloadOf(b).permit2Authorization = 'permit'; }, reason: 'invalid_payload'},
    {name: 'an amount with a sign (9)', tamper: (b) => { permitOf(b).permitted.amount = '+1000'; }, reason: 'invalid_payload'},
    {name: 'an amount of 2^256 (9)', tamper: (b) => { permitOf(b).permitted.amount = String(2n ** 256n); },
      reason: 'invalid_payload'},
    {name: 'a nonce of 2^256 (9)', tamper: (b) => { permitOf(b).nonce = `0x1${'0'.repeat(64)}`; }, reason: 'invalid_payload'},
    {name: 'no witness', tamper: (b) => { delete permitOf(b).witness; }, reason: 'invalid_payload'},
    {name: 'more than the payer has', change: {permit: {permitted: {token: info.token, amount: String(10n ** 18n)}},
      requirements: {amount: String(10n ** 18n)}}, reason: 'permit2_insufficient_balance'},
    {name: 'no allowance for Permit2 (22)', change: {privateKey: info.accounts.payer2.privateKey},
      reason: 'permit2_allowance_required'},
    {name: 'an asset without code', change: {token: STRANGER}, reason: 'asset_not_deployed_contract'},
    {name: 'an asset that is no token', change: {token: info.multicall3}, reason: 'permit2_simulation_failed'},
    {name: 'the zero address as payee (10)', change: {
      permit: {witness: {to: ZERO, ...(upto ? {facilitator: info.accounts.facilitator.address} : {}), validAfter: '0'}},
      requirements: {payTo: ZERO}}, reason: 'permit2_invalid_destination'},
    {name: 'a token that says no (20)', change: {token: info.badTokens.FalseToken}, reason: 'permit2_simulation_failed'},
    {name: 'a token that is paused (20)', change: {token: info.badTokens.PausedToken}, reason: 'permit2_simulation_failed'},
    {name: 'a token that takes all gas (20)', change: {token: info.badTokens.GasBombToken},
      reason: 'permit2_simulation_failed'},
    {name: 'a token that keeps a fee (20)', change: {token: info.badTokens.FeeToken},
      settle: 'invalid_exact_evm_transfer_event_mismatch'},
    {name: 'a token whose Transfer comes from elsewhere (20)', change: {token: info.badTokens.FakeLogToken},
      settle: 'invalid_exact_evm_transfer_event_mismatch'},
    {name: 'a nonce that the payer took back (22)', change: {permit: {nonce: String(upto ? 77n << 8n : 78n << 8n)}},
      prepare: () => send(info, info.accounts.payer.privateKey, info.permit2,
        'function invalidateUnorderedNonces(uint256,uint256)', 'invalidateUnorderedNonces', [upto ? 77n : 78n, 1n]),
      reason: 'permit2_invalid_nonce'},
    {name: 'an undeployed wallet whose factory nobody allowed (18)', tamper: (b) => {
      const word = (value) => hex(BigInt(value));
      payloadOf(b).signature = `0x${word(info.factory)}${word(96)}${word(160)}${word(2)}${'ab'.repeat(2).padEnd(64, '0')}`
        + `${word(65)}${'11'.repeat(65).padEnd(192, '0')}${'6492'.repeat(16)}`;
    }, reason: 'eip6492_factory_not_allowed'},
    {name: 'an ERC-6492 wrapper that is cut (18)', tamper: (b) => { payloadOf(b).signature = `0x11${'6492'.repeat(16)}`; },
      reason: 'invalid_permit2_signature'},
  ].map((entry) => ({scheme, ...entry, change: {scheme, ...entry.change}}));
};

const upto = (info) => [
  {name: 'no facilitator in the witness', tamper: (b) => { delete permitOf(b).witness.facilitator; },
    reason: 'invalid_payload'},
  {name: 'another facilitator (22)', change: {permit: {witness: {to: info.accounts.payee.address,
    facilitator: info.accounts.payer.address, validAfter: '0'}}}, reason: 'upto_facilitator_mismatch'},
  {name: 'a facilitator that was changed after signing (22)', change: {permit: {witness: {to: info.accounts.payee.address,
    facilitator: info.accounts.payer.address, validAfter: '0'}}}, tamper: (b) => {
    permitOf(b).witness = {...permitOf(b).witness, facilitator: info.accounts.facilitator.address};
  }, reason: 'invalid_permit2_signature'},
  {name: 'more than was permitted, at the end (22)', tamper: (b) => {
    b.paymentRequirements = {...b.paymentRequirements, amount: '1001'};
  }, reason: 'permit2_amount_mismatch', settle: 'invalid_upto_evm_payload_settlement_exceeds_amount'},
].map((entry) => ({scheme: 'upto', ...entry, change: {scheme: 'upto', ...entry.change}}));

/** The permit sent along, by payer2, who has no allowance. */
const sponsored = (scheme, info) => {
  const key = info.accounts.payer2.privateKey;
  const permit = async (change) => ({eip2612GasSponsoring: {info: await signPermit2612(info, key, change)}});
  return [
    ['not by the payer', {info: {from: info.accounts.payer.address}}, 'eip2612_from_mismatch'],
    ['for another token', {info: {asset: info.plainToken}}, 'eip2612_asset_mismatch'],
    ['for another spender', {terms: {spender: STRANGER}}, 'eip2612_spender_not_permit2'],
    ['for the proxy', {terms: {spender: info.exactProxy}}, 'eip2612_spender_not_permit2'],
    ['that is over', {terms: {deadline: String(nowSeconds() - 1)}}, 'eip2612_deadline_expired'],
    ['that is over in three seconds', {terms: {deadline: String(nowSeconds() + 3)}}, 'eip2612_deadline_expired'],
    ['for less', {terms: {amount: '999'}}, 'permit2_2612_amount_mismatch'],
    ['for more', {terms: {amount: '1001'}}, 'permit2_2612_amount_mismatch'],
    ['for everything', {terms: {amount: String(maxUint256)}}, 'permit2_2612_amount_mismatch'],
    ['with a nonce that is over', {terms: {nonce: '99'}}, 'permit2_allowance_required'],
    ['over another domain', {domain: {version: '1'}}, 'permit2_allowance_required'],
    ['over another chain', {domain: {chainId: 8453}}, 'permit2_allowance_required'],
    ['with a signature of nobody', {info: {signature: `0x${'11'.repeat(64)}1b`}}, 'permit2_allowance_required'],
    ['with a signature of zeros', {info: {signature: `0x${'00'.repeat(65)}`}}, 'permit2_allowance_required'],
    ['with a short signature', {info: {signature: '0x1234'}}, 'invalid_eip2612_extension_format'],
    ['with a long signature', {info: {signature: `0x${'11'.repeat(66)}`}}, 'invalid_eip2612_extension_format'],
    ['without a signature', {info: {signature: undefined}}, 'invalid_eip2612_extension_format'],
    ['without a version', {info: {version: undefined}}, 'invalid_eip2612_extension_format'],
    ['with an amount in words', {info: {amount: 'all'}}, 'invalid_eip2612_extension_format'],
    ['with a number instead of a text', {info: {deadline: 1800000000}}, 'invalid_eip2612_extension_format'],
    ['with a negative nonce', {info: {nonce: '-1'}}, 'invalid_eip2612_extension_format'],
    ['without an owner', {info: {from: undefined}}, 'invalid_eip2612_extension_format'],
  ].map(([name, change, reason]) => ({scheme, name: `a permit ${name}`, change: {scheme, privateKey: key},
    extensions: () => permit(change), reason}));
};

/** By the name of the case; [exact, upto] where its two schemes differ. */
const REFERENCE = {
  'the high s of the same signature (16)': null,
  'no signature': ['HTTP 500', 'unsupported_payload_type'],
  'a signature without end (9)': 'invalid_permit2_signature',
  'no permit': ['HTTP 500', 'unsupported_payload_type'],
  'a permit and an authorization at once (11)': null,
  'a permit that is text': ['HTTP 500', 'unsupported_payload_type'],
  'an amount with a sign (9)': null,
  'an amount of 2^256 (9)': 'permit2_amount_mismatch',
  'a nonce of 2^256 (9)': 'invalid_permit2_signature',
  'no witness': ['HTTP 500', 'unsupported_payload_type'],
  'no facilitator in the witness': 'unsupported_payload_type',
  'the zero address as payee (10)': 'permit2_simulation_failed',
  'a nonce that the payer took back (22)': 'permit2_simulation_failed',
  'an undeployed wallet whose factory nobody allowed (18)': 'invalid_permit2_signature',
  'a permit for less': 'permit2_allowance_required',
  'a permit for more': 'permit2_allowance_required',
  'a permit for everything': 'permit2_allowance_required',
  'a permit with a short signature': 'permit2_allowance_required',
  'a permit with a long signature': 'permit2_allowance_required',
  'a permit without a signature': 'permit2_allowance_required',
  'a permit without a version': 'permit2_allowance_required',
  'a permit with a number instead of a text': 'permit2_allowance_required',
  'a permit without an owner': 'permit2_allowance_required',
};

const beside = (entry) => {
  const says = REFERENCE[entry.name];
  if (says === undefined) return entry;
  return {...entry, reference: Array.isArray(says) ? says[entry.scheme === 'upto' ? 1 : 0] : says};
};

/** Every case of a devnet. */
export const table = (info) => [...both('exact', info), ...both('upto', info), ...upto(info),
  ...sponsored('exact', info), ...sponsored('upto', info)].map(beside);
