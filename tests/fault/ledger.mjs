// A caller's own book of a fault run, and the three-way comparison at its end:
// what callers were told, what the journal says, what the chain did.
import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {paymentRequest, post, rpc, sleep} from '../devnet/lib.mjs';

const TERMINAL_FAILURES = new Set(['duplicate_settlement']);

/** Distinct payments of 1000 units; every second one names an Idempotency-Key. */
export async function makePayments(info, n, label) {
  const payments = [];
  for (let i = 0; i < n; i++) {
    payments.push({
      name: `${label}-${i}`,
      body: JSON.stringify(await paymentRequest(info)),
      key: i % 2 ? `key-${label}-${i}-0123456789` : null,
      successes: [], refusals: [], done: false,
    });
  }
  return payments;
}

/** One /settle; what came of it goes into the book. */
export async function settle(url, payment) {
  let answer;
  try {
    answer = await post(`${url}/settle`, payment.body, payment.key ? {'idempotency-key': payment.key} : {});
  } catch {
    return 'lost'; // the daemon died: the outcome is unknown to this caller
  }
  if (!answer.body) return 'lost';
  if (answer.body.success) {
    payment.successes.push(answer.text);
    payment.done = true;
    return 'success';
  }
  const reason = answer.body.errorReason ?? answer.body.error;
  payment.refusals.push(reason);
  if (TERMINAL_FAILURES.has(reason)) payment.done = true;
  return reason;
}

/** Ask again until every payment has a final answer. */
export async function settleAll(url, payments, deadlineMs = 60000) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const open = payments.filter((payment) => !payment.done);
    if (open.length === 0) return;
    assert.ok(Date.now() < end, `still open: ${open.slice(0, 3).map((p) => `${p.name} ${p.refusals.at(-1)}`).join(', ')}`);
    await Promise.all(open.map((payment) => settle(url, payment)));
    await sleep(50);
  }
}

const usedCalldata = ({from, nonce}) =>
  `0xe94a0102${from.slice(2).toLowerCase().padStart(64, '0')}${nonce.slice(2)}`;

/** What the store's journal says, read with the sqlite3 program. */
function journal(store) {
  const rows = JSON.parse(execFileSync('sqlite3', ['-json', store,
    'select state, lower(hex(nonce)) as nonce, transaction_hash as hash from payments'],
  {encoding: 'utf8'}) || '[]');
  return new Map(rows.map((row) => [`0x${row.nonce}`, row]));
}

/**
 * Every payment moved its money exactly once, and everyone agrees on it:
 * nobody was told success twice, whoever named a key was told it, the journal
 * says settled with a hash whose receipt succeeded, and the payee's balance
 * has grown by exactly that much.
 */
export async function assertAgreement(devnet, store, payments, balanceBefore) {
  const {info} = devnet;
  const rows = journal(store);
  for (const payment of payments) {
    const {authorization} = JSON.parse(payment.body).paymentPayload.payload;
    const used = await rpc(info.rpcUrl, 'eth_call',
      [{to: info.token, data: usedCalldata(authorization)}, 'latest']);
    assert.equal(BigInt(used), 1n, `${payment.name} never reached the chain: ${payment.refusals}`);
    const row = rows.get(authorization.nonce);
    assert.ok(row, `${payment.name} is not in the journal`);
    assert.equal(row.state, 'settled', payment.name);
    const receipt = await rpc(info.rpcUrl, 'eth_getTransactionReceipt', [row.hash]);
    assert.equal(receipt?.status, '0x1', payment.name);
    if (payment.key) {
      assert.ok(payment.successes.length >= 1, `${payment.name} named a key and was never told: ${payment.refusals}`);
      assert.equal(new Set(payment.successes).size, 1, `${payment.name} was told different things`);
    } else {
      assert.ok(payment.successes.length <= 1, `${payment.name} was credited twice`);
    }
  }
  const grown = await devnet.balanceOf(info.accounts.payee.address) - balanceBefore;
  assert.equal(grown, 1000n * BigInt(payments.length), 'the chain moved another sum than was asked for');
}
