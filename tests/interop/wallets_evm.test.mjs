// What the reference facilitator (@x402/evm 2.27.0) says at /verify of what
// wallets that are contracts must not pay with: the same payments, at the same
// moment, as tests/system/wallets.test.mjs holds ours to its exact codes.
// OTHERWISE is where it says something else, null where it takes the payment.
// REFERENCE_ANSWERS=1 prints the rows that differ instead.
import assert from 'node:assert/strict';
import {fileURLToPath} from 'node:url';
import {post, start} from '../devnet/lib.mjs';
import {beside} from '../system/beside.lib.mjs';

const PERMIT2 = 'invalid_permit2_signature';
const OTHERWISE = {
  // It reads four bytes of the answer; the money is missing all the same.
  'EIP-3009, a payer that says magic without padding zeros': 'invalid_exact_evm_insufficient_balance',
  'Permit2, a payer that says magic without padding zeros': 'permit2_insufficient_balance',
  // viem throws.
  'EIP-3009, a wrapper that is cut': 'HTTP 500',
  'EIP-3009, a wrapper of nothing': 'HTTP 500',
  'EIP-3009, no wrapper': 'invalid_exact_evm_signature',
  // By Permit2 it has one code for all of them.
  'Permit2, no factory allowed': PERMIT2,
  'Permit2, another factory': PERMIT2,
  'Permit2, the token as factory': PERMIT2,
  'Permit2, a forged inner signature': PERMIT2,
  'Permit2, calldata that deploys nothing': PERMIT2,
  "Permit2, calldata that deploys another's wallet": PERMIT2,
  'Permit2, a wrapper in a wrapper': PERMIT2,
};
const references = {};
const counts = {same: 0, other: 0, taken: 0};

const startReference = ({info}, key, factories) => start(process.execPath,
  [fileURLToPath(new URL('peer-facilitator.mjs', import.meta.url))], {env: {PORT: '0', EVM_RPC_URL: info.rpcUrl,
    EVM_PRIVATE_KEY: key, ...(factories ? {FACTORIES: factories} : {})}, ready: /url=(http:\/\/[0-9.:]+)/});

beside.start = async (devnet) => {
  const {facilitator, payee} = devnet.info.accounts;
  references.open = await startReference(devnet, facilitator.privateKey, devnet.info.factory);
  references.closed = await startReference(devnet, payee.privateKey);
};
beside.stop = async () => {
  for (const reference of Object.values(references)) await reference.stop();
  console.log(`the same of ${counts.same}, another code of ${counts.other}, takes ${counts.taken}`);
};
beside.check = async (label, body, reason, daemon) => {
  const {status, body: verdict} = await post(`${references[daemon].match[1]}/verify`, body);
  const says = status !== 200 ? `HTTP ${status}` : verdict.isValid ? null : verdict.invalidReason;
  const expected = label in OTHERWISE ? OTHERWISE[label] : reason;
  counts[says === reason ? 'same' : says === null ? 'taken' : 'other']++;
  if (process.env.REFERENCE_ANSWERS && says !== expected) console.log(`${label} | ${reason} | ${says}`);
  else if (!process.env.REFERENCE_ANSWERS) assert.equal(says, expected, JSON.stringify(verdict));
};

await import('../system/wallets.test.mjs');
