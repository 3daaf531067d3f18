// What the facilitator must refuse, one case to a line or few: what is changed
// in a good payment, and the exact answer.
//
//   name     for a person
//   row      of protocol.md or demands.md
//   change   before signing: p is what parts() in facilitator.lib.mjs makes
//   tamper   after signing: b is the body of the request
//   raw      instead of a body: the text that is sent
//   prepare  something on the chain first
//   proxy    how the RPC endpoint lies (rpc.proxy.mjs); "down": nobody answers
//   settle   only /settle, with this reason (what /verify cannot see)
//   expect   status and reason; without reason the answer is {"error": ...}
//            matching `error`. /verify and /settle both give it, except that
//            a fault is unexpected_settle_error there.
//   valid    no refusal: the neighbour of a refusal that must pass
import { accounts, viem } from './facilitator.lib.mjs';
import { result } from './rpc.proxy.mjs';

const MISSING = 'Missing paymentPayload or paymentRequirements';
const ok = reason => ({ status: 200, reason });
const bad = (status, error) => ({ status, error });
const exact = name => ok(`invalid_exact_evm_${name}`);
const U256_MAX = (2n ** 256n - 1n).toString();
const U256_OVER = (2n ** 256n).toString();
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;

const hex = (value, bytes = 32) => value.toString(16).padStart(bytes * 2, '0');
const payloadOf = b => b.paymentPayload.payload;
const auth = b => payloadOf(b).authorization;
const split = signature => ({
  r: BigInt(`0x${signature.slice(2, 66)}`), s: BigInt(`0x${signature.slice(66, 130)}`),
  v: Number.parseInt(signature.slice(130, 132), 16),
});
const join = ({ r, s, v }) => `0x${hex(r)}${hex(s)}${hex(v, 1)}`;
const resign = change => b => {
  payloadOf(b).signature = join(change(split(payloadOf(b).signature)));
};
const both = (p, key, value) => { p.requirements[key] = value; };

const json = [
  ['an empty body', '', 'JSON'],
  ['no JSON', 'hello', 'JSON'],
  ['a form', 'paymentPayload=1&paymentRequirements=2', 'JSON'],
  ['JSON cut short', '{"x402Version":2,"paymentPayload":{', 'JSON'],
  ['data after the JSON', '{} {}', 'JSON'],
  ['single quotes', "{'x402Version':2}", 'JSON'],
  ['a trailing comma', '{"x402Version":2,}', 'JSON'],
  ['a comment', '{"x402Version":2/*two*/}', 'JSON'],
  ['NaN', '{"x402Version":NaN}', 'JSON'],
  ['a key twice', '{"x402Version":2,"x402Version":1}', 'JSON'],
  ['NUL in a string', '{"a":"\\u0000"}', 'JSON'],
  ['half a surrogate pair', '{"a":"\\ud800"}', 'JSON'],
  ['invalid UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'JSON'],
  ['an array', '[]', 'object'],
  ['a string', '"x402"', 'object'],
  ['a number', '402', 'object'],
  ['null', 'null', 'object'],
].map(([name, raw, error]) => ({ name, row: 'F-001', raw: () => raw, expect: bad(400, new RegExp(error)) }));

const requests = [
  { name: 'a body of 300 KB', row: 'style 22', raw: () => JSON.stringify({ a: 'x'.repeat(300 * 1024) }),
    expect: bad(413) },
  { name: 'nesting of a thousand levels', row: 'style 22', raw: () => `${'['.repeat(1000)}${']'.repeat(1000)}`,
    expect: bad(413, /nesting/) },
  { name: 'neither member', row: 'F-001', raw: () => '{}', expect: bad(400, MISSING) },
  { name: 'no paymentPayload', row: 'F-001', tamper: b => { delete b.paymentPayload; }, expect: bad(400, MISSING) },
  { name: 'no paymentRequirements', row: 'F-001', tamper: b => { delete b.paymentRequirements; }, expect: bad(400, MISSING) },
  { name: 'paymentPayload null', row: 'L-020', tamper: b => { b.paymentPayload = null; }, expect: bad(400, MISSING) },
];

const versions = [
  ['x402Version 3', b => { b.x402Version = 3; b.paymentPayload.x402Version = 3; }],
  ['x402Version 0', b => { b.x402Version = 0; b.paymentPayload.x402Version = 0; }],
  ['x402Version as the text "two"', b => { b.x402Version = 'two'; b.paymentPayload.x402Version = 'two'; }],
  ['versions that differ', b => { b.x402Version = 1; }],
].map(([name, tamper]) => ({ name, row: 'F-006', tamper, expect: ok('invalid_x402_version') }));

const shapes = [
  ['paymentPayload as text', b => { b.paymentPayload = 'x'; }],
  ['payload as array', b => { b.paymentPayload.payload = []; }],
  ['no payload', b => { delete b.paymentPayload.payload; }],
  ['no accepted', b => { delete b.paymentPayload.accepted; }],
  ['signature as number', b => { payloadOf(b).signature = 1; }],
  ['no signature', b => { delete payloadOf(b).signature; }],
  ['signature with an odd digit', b => { payloadOf(b).signature += '0'; }],
  ['signature without 0x', b => { payloadOf(b).signature = payloadOf(b).signature.slice(2); }],
  ['authorization as array', b => { payloadOf(b).authorization = []; }],
  ['no from', b => { delete auth(b).from; }],
  ['from of 19 bytes', b => { auth(b).from = auth(b).from.slice(0, -2); }],
  ['from that is no hex', b => { auth(b).from = `0x${'g'.repeat(40)}`; }],
  ['no nonce', b => { delete auth(b).nonce; }],
  ['nonce of 31 bytes', b => { auth(b).nonce = auth(b).nonce.slice(0, -2); }],
  ['nonce of 33 bytes', b => { auth(b).nonce += '00'; }],
  ['value as number', b => { auth(b).value = 10000; }],
  ['value negative', b => { auth(b).value = '-10000'; }],
  ['value with exponent', b => { auth(b).value = '1e4'; }],
  ['value in hex', b => { auth(b).value = '0x2710'; }],
  ['value with a space', b => { auth(b).value = ' 10000'; }],
  ['value with a leading zero', b => { auth(b).value = '010000'; }],
  ['value empty', b => { auth(b).value = ''; }],
  ['value 2^256', b => { auth(b).value = U256_OVER; }],
  ['validAfter with a fraction', b => { auth(b).validAfter = '0.5'; }],
  ['validBefore 2^256', b => { auth(b).validBefore = U256_OVER; }],
].map(([name, tamper]) => ({ name, row: 'F-020, L-021', tamper, expect: ok('invalid_payload') }));

const terms = [
  ['no amount', r => { delete r.amount; }],
  ['amount as number', r => { r.amount = 10000; }],
  ['amount negative', r => { r.amount = '-1'; }],
  ['amount 2^256', r => { r.amount = U256_OVER; }],
  ['no asset', r => { delete r.asset; }],
  ['asset that is no address', r => { r.asset = 'USDC'; }],
  ['no payTo', r => { delete r.payTo; }],
  ['payTo that is no address', r => { r.payTo = 'shop.eth'; }],
  ['maxTimeoutSeconds as text', r => { r.maxTimeoutSeconds = 'soon'; }],
  ['no scheme', r => { delete r.scheme; }],
  ['no network', r => { delete r.network; }],
].map(([name, change]) => ({ name: `requirements: ${name}`, row: 'L-002',
  tamper: b => { change(b.paymentRequirements); }, expect: ok('invalid_payment_requirements') }));

const kinds = [
  { name: 'scheme upward in both', row: 'F-005', change: p => both(p, 'scheme', 'upward'), expect: ok('unsupported_scheme') },
  { name: 'scheme of nobody', row: 'F-005', change: p => both(p, 'scheme', 'gratis'), expect: ok('unsupported_scheme') },
  { name: 'network that is not served', row: 'F-005', change: p => both(p, 'network', 'eip155:1'), expect: ok('invalid_network') },
  { name: 'v1 network name of nobody', row: 'F-005', change: p => { p.version = 1; },
    tamper: b => { b.paymentPayload.network = b.paymentRequirements.network = 'atlantis'; }, expect: ok('invalid_network') },
  { name: 'scheme differs in the payment', row: 'F-021', tamper: b => { b.paymentPayload.accepted.scheme = 'upto'; },
    expect: exact('scheme') },
  { name: 'network differs in the payment', row: 'F-023', tamper: b => { b.paymentPayload.accepted.network = 'eip155:1'; },
    expect: exact('network_mismatch') },
  { name: 'no extra', row: 'F-022', change: p => { delete p.requirements.extra; }, expect: exact('missing_eip712_domain') },
  { name: 'no extra.name', row: 'F-022', change: p => { delete p.requirements.extra.name; }, expect: exact('missing_eip712_domain') },
  { name: 'extra.version null', row: 'F-022', change: p => { p.requirements.extra.version = null; }, expect: exact('missing_eip712_domain') },
  { name: 'neither kind of authorization', row: 'F-020', tamper: b => { delete payloadOf(b).authorization; }, expect: ok('unsupported_payload_type') },
  { name: 'a Permit2 payment beside an EIP-3009 one', row: 'L-016', tamper: b => {
    b.paymentPayload.payload = { ...payloadOf(b), permit2Authorization: {} };
  }, expect: ok('unsupported_payload_type') },
];

const signatures = [
  { name: 'signed by somebody else', change: p => { p.signKey = accounts.generatePrivateKey(); } },
  { name: 'signed for another token name', change: p => { p.domain.name = 'USD Coin'; } },
  { name: 'signed for another version', change: p => { p.domain.version = '1'; } },
  { name: 'signed for another chain', change: p => { p.domain.chainId = 8453; } },
  { name: 'signed for another contract', change: p => { p.domain.verifyingContract = p.authorization.to; } },
  { name: 'value raised after signing', tamper: b => {
    auth(b).value = b.paymentRequirements.amount = b.paymentPayload.accepted.amount = '10001';
  } },
  { name: 'nonce changed after signing', tamper: b => { auth(b).nonce = `0x${'11'.repeat(32)}`; } },
  { name: 'payer changed after signing', tamper: (b, info) => { auth(b).from = info.accounts.payer2.address; } },
  { name: 'high s', tamper: resign(({ r, s, v }) => ({ r, s: ORDER - s, v: v === 27 ? 28 : 27 })) },
  { name: 'v 2', tamper: resign(x => ({ ...x, v: 2 })) },
  { name: 'v 29', tamper: resign(x => ({ ...x, v: 29 })) },
  { name: 'v 255', tamper: resign(x => ({ ...x, v: 255 })) },
  { name: 'the other v', tamper: resign(x => ({ ...x, v: x.v === 27 ? 28 : 27 })) },
  { name: 'r zero', tamper: resign(x => ({ ...x, r: 0n })) },
  { name: 's zero', tamper: resign(x => ({ ...x, s: 0n })) },
  { name: 'r and s zero', tamper: resign(x => ({ ...x, r: 0n, s: 0n })) },
  { name: 'r of the group order', tamper: resign(x => ({ ...x, r: ORDER })) },
  { name: 'an empty signature', tamper: b => { payloadOf(b).signature = '0x'; } },
  { name: 'a compact signature of 64 bytes', tamper: b => { payloadOf(b).signature = payloadOf(b).signature.slice(0, -2); } },
].map(one => ({ row: 'F-030', expect: exact('signature'), ...one }));

const window = [
  { name: 'to somebody else', row: 'F-035', change: (p, info) => { p.authorization.to = info.accounts.payer2.address; },
    expect: exact('recipient_mismatch') },
  { name: 'expired a second ago', row: 'F-036', change: p => { p.authorization.validBefore = String(Math.floor(Date.now() / 1000) - 1); },
    expect: exact('payload_authorization_valid_before') },
  { name: 'five seconds left', row: 'F-036', change: p => { p.authorization.validBefore = String(Math.floor(Date.now() / 1000) + 5); },
    expect: exact('payload_authorization_valid_before') },
  { name: 'validBefore zero', row: 'F-036', change: p => { p.authorization.validBefore = '0'; },
    expect: exact('payload_authorization_valid_before') },
  { name: 'valid from the next minute', row: 'F-037', change: p => { p.authorization.validAfter = String(Math.floor(Date.now() / 1000) + 60); },
    expect: exact('payload_authorization_valid_after') },
  { name: 'validAfter 2^256-1', row: 'F-037', change: p => { p.authorization.validAfter = U256_MAX; },
    expect: exact('payload_authorization_valid_after') },
  { name: 'one unit too little', row: 'F-038', change: p => { p.authorization.value = '9999'; },
    expect: exact('payload_authorization_value_mismatch') },
  { name: 'one unit too much', row: 'F-038', change: p => { p.authorization.value = '10001'; },
    expect: exact('payload_authorization_value_mismatch') },
  { name: 'nothing', row: 'F-038', change: p => { p.authorization.value = '0'; },
    expect: exact('payload_authorization_value_mismatch') },
];

const chain = [
  { name: 'all the money there is', row: 'F-041', change: p => { p.authorization.value = U256_MAX; p.requirements.amount = U256_MAX; },
    expect: exact('insufficient_balance') },
  { name: 'a payer without money', row: 'F-041', change: p => {
    const privateKey = accounts.generatePrivateKey();
    p.account = { privateKey, address: accounts.privateKeyToAccount(privateKey).address };
    p.authorization.from = p.account.address;
  }, expect: exact('insufficient_balance') },
  { name: 'a nonce that was used', row: 'F-041', prepare: 'use', expect: exact('nonce_already_used') },
  { name: 'a nonce that was cancelled', row: 'F-041', prepare: 'cancel', expect: exact('nonce_already_used') },
  { name: 'asset without code', row: 'F-039', change: p => {
    p.requirements.asset = p.domain.verifyingContract = '0x00000000000000000000000000000000DeaDBeef';
  }, expect: ok('asset_not_deployed_contract') },
  { name: 'a token that is paused', row: 'F-041', token: 'PausedToken', expect: exact('transaction_simulation_failed') },
  { name: 'a token that says nothing of a used nonce', row: 'F6', token: 'SilentToken', prepare: 'useSilently',
    expect: exact('nonce_already_used') },
  { name: 'asset without EIP-3009', row: 'F-041', change: (p, info) => {
    p.requirements.asset = p.domain.verifyingContract = info.multicall3;
  }, expect: exact('eip3009_not_supported') },
  { name: 'extra.name that is not the token\'s', row: 'F-041', change: p => { p.requirements.extra.name = p.domain.name = 'USD Coin'; },
    expect: exact('token_name_mismatch') },
  { name: 'extra.version that is not the token\'s', row: 'F-041', change: p => { p.requirements.extra.version = p.domain.version = '1'; },
    expect: exact('token_version_mismatch') },
  { name: 'a contract payer, signed by another', row: 'F-031, F-033', change: (p, info) => {
    p.authorization.from = info.smartWallet.address;
    p.signKey = accounts.generatePrivateKey();
  }, expect: exact('signature') },
  { name: 'a long signature from no contract', row: 'F-032', tamper: b => { payloadOf(b).signature += '00'; },
    expect: exact('payload_undeployed_smart_wallet') },
  { name: 'an ERC-6492 wrapper', row: 'F-034', change: p => {
    // The payer must not have code, and the inner signature may be good.
    p.wrap6492 = true;
  }, tamper: b => {
    payloadOf(b).signature = `${viem.encodeAbiParameters(
      [{ type: 'address' }, { type: 'bytes' }, { type: 'bytes' }],
      [auth(b).to, '0x12345678', payloadOf(b).signature])}${'6492'.repeat(16)}`;
  }, expect: ok('eip6492_factory_not_allowed') },
  { name: 'an ERC-6492 wrapper around nonsense', row: 'F-034', tamper: b => {
    payloadOf(b).signature = `0x${'ff'.repeat(64)}${'6492'.repeat(16)}`;
  }, expect: exact('signature') },
];

// A fault is not a verdict: nothing is said about the payment.
const FAULT = { status: 200, reason: 'unexpected_verify_error', settle: 'unexpected_settle_error' };
const isStateCall = one => one.method === 'eth_call' &&
  (one.params[0].data ?? one.params[0].input ?? '').startsWith('0xe94a0102');
const isCall = method => method === 'eth_call';
const faults = [
  { name: 'RPC down', proxy: 'down' },
  { name: 'RPC answers 500', proxy: { status: 500 } },
  { name: 'RPC answers 429', proxy: { status: 429 } },
  { name: 'RPC answers HTML', proxy: { text: () => '<html>busy</html>' } },
  { name: 'RPC answers nothing', proxy: { text: () => '' } },
  { name: 'RPC answers an empty batch', proxy: { text: () => '[]' } },
  { name: 'RPC answer cut short', proxy: { text: reply => reply.slice(0, -3) } },
  { name: 'RPC answers with other ids', proxy: { answer: (method, value, one, whole) => ({ ...whole, id: 999999 }) } },
  { name: 'RPC leaves the calls out', proxy: { answer: method => isCall(method) ? null : undefined } },
  { name: 'RPC says method not found', proxy: { answer: (method, value, one) =>
    isCall(method) ? { jsonrpc: '2.0', id: one.id, error: { code: -32601, message: 'method not found' } } : undefined } },
  { name: 'RPC says limit exceeded', proxy: { answer: (method, value, one) =>
    isCall(method) ? { jsonrpc: '2.0', id: one.id, error: { code: -32005, message: 'limit exceeded' } } : undefined } },
  { name: 'RPC result that is no hex', proxy: { answer: (method, value, one) =>
    isCall(method) ? result(one, 'yes') : undefined } },
  { name: 'RPC result that is a number', proxy: { answer: (method, value, one) =>
    method === 'eth_getCode' ? result(one, 1) : undefined } },
  { name: 'RPC serves another chain', proxy: { answer: (method, value, one) =>
    method === 'eth_chainId' ? result(one, '0x1') : undefined }, exit: 4 },
].map(one => ({ row: 'design: /verify 4', expect: FAULT, ...one }));

// What only the settlement can see.
const receipts = [
  { name: 'fee token: less arrives than was signed', row: 'F-055', token: 'FeeToken',
    settle: 'invalid_exact_evm_transfer_event_mismatch', hash: true },
  { name: 'token that moves nothing and says success', row: 'F-055', token: 'FakeLogToken',
    settle: 'invalid_exact_evm_transfer_event_mismatch', hash: true },
  { name: 'RPC: receipt says reverted', row: 'F-056', proxy: { answer: (method, value, one) =>
    method === 'eth_getTransactionReceipt' && value ? result(one, { ...value, status: '0x0', logs: [] })
      : isStateCall(one) ? result(one, `0x${'00'.repeat(32)}`) : undefined },
  settle: 'invalid_exact_evm_transaction_failed', hash: true },
  { name: 'RPC: receipt says reverted, and the authorization is used', row: 'F-056, F-054', proxy: { answer: (method, value, one) =>
    method === 'eth_getTransactionReceipt' && value ? result(one, { ...value, status: '0x0', logs: [] }) : undefined },
  // The endpoint contradicts itself: that proves nothing, in either direction.
  settle: 'settlement_pending', hash: true },
  { name: 'RPC: receipt without logs', row: 'F-055', proxy: { answer: (method, value, one) =>
    method === 'eth_getTransactionReceipt' && value ? result(one, { ...value, logs: [] }) : undefined },
  settle: 'settlement_pending', hash: true },
  { name: 'RPC: receipt of another transaction', row: 'F-057', proxy: { answer: (method, value, one) =>
    method === 'eth_getTransactionReceipt' && value ? result(one, { ...value, transactionHash: `0x${'22'.repeat(32)}` }) : undefined },
  settle: 'settlement_pending', hash: true },
  { name: 'RPC: receipts never come', row: 'F-060', proxy: { answer: (method, value, one) =>
    method === 'eth_getTransactionReceipt' ? result(one, null) : undefined },
  settle: 'settlement_pending', hash: true },
  { name: 'RPC: receipts fail', row: 'F-060', proxy: { answer: (method, value, one) =>
    method === 'eth_getTransactionReceipt' ? { jsonrpc: '2.0', id: one.id, error: { code: -32000, message: 'busy' } } : undefined },
  settle: 'settlement_pending', hash: true },
];

// Neighbours that must pass, so that the cases above refuse for their reason.
const valid = [
  { name: 'unchanged', row: 'F-001' },
  { name: 'v 0 or 1 is 27 or 28', row: 'F-030', tamper: resign(x => ({ ...x, v: x.v - 27 })) },
  { name: 'addresses in lower case', row: 'L-033', tamper: b => {
    auth(b).from = auth(b).from.toLowerCase();
    b.paymentRequirements.payTo = b.paymentRequirements.payTo.toLowerCase();
  } },
  { name: 'unknown members', row: 'L-020', tamper: b => { b.later = { a: 1 }; b.paymentPayload.later = null; } },
  { name: 'validBefore 2^256-1', row: 'F-036', change: p => { p.authorization.validBefore = U256_MAX; } },
  { name: 'validAfter zero', row: 'F-037', change: p => { p.authorization.validAfter = '0'; } },
  { name: 'somebody else\'s nonce', row: 'F2', prepare: 'othersNonce' },
  { name: 'a contract payer, signed by its owner', row: 'F-031', change: (p, info) => {
    p.authorization.from = info.smartWallet.address;
    p.signKey = info.smartWallet.ownerKey;
  } },
  { name: 'v1', row: 'L-010', change: p => { p.version = 1; } },
].map(one => ({ valid: true, ...one }));

export const table = [...json, ...requests, ...versions, ...shapes, ...terms,
  ...kinds, ...signatures, ...window, ...chain, ...faults, ...receipts, ...valid];
