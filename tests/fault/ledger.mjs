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

/**
 * One /settle; what came of it goes into the book. patienceS: how long this
 * caller waits; the daemon is told, and must answer before.
 */
export async function settle(url, payment, {patienceS} = {}) {
  const headers = payment.key ? {'idempotency-key': payment.key} : {};
  let signal;
  let answer;
  if (patienceS) {
    headers['x-request-timeout'] = String(patienceS);
    signal = AbortSignal.timeout(patienceS * 1000 + 500);
  }
  payment.asked = (payment.asked ?? 0) + 1;
  try {
    answer = await post(`${url}/settle`, payment.body, headers, {signal});
  } catch {
    answer = {}; // the daemon died, or is late: the outcome is unknown to this caller
  }
  if (!answer.body) {
    payment.unheard = (payment.unheard ?? 0) + 1;
    return 'lost';
  }
  if (answer.body.success) {
    payment.successes.push(answer.text);
    payment.done = true;
    return 'success';
  }
  assert.notEqual(answer.status, 400, answer.text); // our own mistake
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

/**
 * A server with one payment: asks until it has a final answer, each time at
 * another of the facilitators (url(turn)), as one does that has several.
 */
async function insist(url, payment, {patienceS, deadline}) {
  for (let turn = Math.floor(Math.random() * 16); !payment.done; turn++) {
    await settle(url(turn), payment, {patienceS});
    if (payment.done) break;
    assert.ok(Date.now() < deadline(), `${payment.name} is still open: ${payment.refusals.at(-1) ?? 'no answer'}`);
    await sleep(100 + Math.random() * 200);
  }
  payment.endedMs = Date.now();
}

/**
 * Callers that arrive one every gapMs. drained(ms): they all have their
 * answer, at most ms from now.
 */
export function startLoad(url, payments, {gapMs, patienceS = 3}) {
  let end = Infinity;
  const book = {failed: null};
  const callers = [];
  const add = (more) => callers.push(...more.map(async (payment, i) => {
    await sleep(i * gapMs);
    await insist(url, payment, {patienceS, deadline: () => end}).catch((error) => { book.failed = error; });
  }));
  add(payments);
  return {
    /** More callers, from now on. */
    add,
    async drained(ms) {
      end = Date.now() + ms;
      await Promise.all(callers);
      if (book.failed) throw book.failed;
    },
    /** Nobody asks any more; for a run that failed elsewhere. */
    abandon: () => { end = 0; },
  };
}

const usedCalldata = ({from, nonce}) =>
  `0xe94a0102${from.slice(2).toLowerCase().padStart(64, '0')}${nonce.slice(2)}`;

/** What the store's journal says, read with the sqlite3 program; under: a command that runs it. */
export function readSqlite(store, under = []) {
  const [command, ...args] = [...under, 'sqlite3', '-json', store,
    "select state, lower(hex(nonce)) as nonce, case when transaction_hash is null then '' " +
      "when typeof(transaction_hash) = 'blob' then '0x' || lower(hex(transaction_hash)) " +
      'else transaction_hash end as hash from payments'];
  return JSON.parse(execFileSync(command, args, {encoding: 'utf8', maxBuffer: 1 << 28}) || '[]');
}

export const isUsed = async (info, payment) => {
  const {authorization} = JSON.parse(payment.body).paymentPayload.payload;
  return BigInt(await rpc(info.rpcUrl, 'eth_call',
    [{to: info.token, data: usedCalldata(authorization)}, 'latest'])) === 1n;
};

/** Rows by nonce. store: a file of SQLite, or a function that reads rows. */
async function journal(store) {
  const rows = typeof store === 'function' ? await store() : readSqlite(store);
  return new Map(rows.map((row) => [`0x${row.nonce}`, row]));
}

/** What was told as settled may have left the chain: chain and journal must come back to it. */
export async function untilSettled(info, store, payments, ms = 60000) {
  const end = Date.now() + ms;
  for (;;) {
    const rows = await journal(store);
    let open = null;
    for (const payment of payments) {
      const {nonce} = JSON.parse(payment.body).paymentPayload.payload.authorization;
      if (rows.get(nonce)?.state !== 'settled' || !await isUsed(info, payment)) {
        open = `${payment.name} ${rows.get(nonce)?.state}`;
        break;
      }
    }
    if (!open) return;
    assert.ok(Date.now() < end, `has left the chain and does not come back: ${open}`);
    await sleep(200);
  }
}

/** What callers were told of this payment is no more than may be told. */
function assertTold(payment) {
  if (payment.key) {
    assert.ok(payment.successes.length >= 1, `${payment.name} named a key and was never told: ${payment.refusals}`);
    assert.equal(new Set(payment.successes).size, 1, `${payment.name} was told different things`);
  } else {
    assert.ok(payment.successes.length <= 1, `${payment.name} was credited twice`);
  }
}

/**
 * Chain, journal and callers agree on every payment: it moved its money
 * exactly once, nobody was told success twice, whoever named a key was told
 * it, the journal says settled with a hash whose receipt succeeded, and the
 * payee's balance has grown by exactly the sum. With mayEnd a payment may
 * also have ended without money, by all three books.
 * @returns {{settled, ended}} counts
 */
export async function assertAgreement(devnet, store, payments, balanceBefore, {mayEnd = false} = {}) {
  const {info} = devnet;
  const rows = await journal(store);
  const count = {settled: 0, ended: 0};
  for (const payment of payments) {
    const {authorization} = JSON.parse(payment.body).paymentPayload.payload;
    const used = await isUsed(info, payment);
    const row = rows.get(authorization.nonce);
    if (mayEnd && !used) {
      assert.equal(payment.successes.length, 0, `${payment.name} was told success and is not on chain`);
      if (row) assert.match(row.state, /^(cancelled|expired|reverted)$/, payment.name);
      count.ended++;
      continue;
    }
    assert.ok(used, `${payment.name} never reached the chain: told ${payment.successes.length} successes, ` +
      `journal ${row?.state}, ${payment.refusals.slice(-3)}`);
    assert.ok(row, `${payment.name} is not in the journal`);
    assert.equal(row.state, 'settled', payment.name);
    const receipt = await rpc(info.rpcUrl, 'eth_getTransactionReceipt', [row.hash]);
    assert.equal(receipt?.status, '0x1', `${payment.name}: receipt of ${row.hash}`);
    assertTold(payment);
    count.settled++;
  }
  const grown = await devnet.balanceOf(info.accounts.payee.address) - balanceBefore;
  assert.equal(grown, 1000n * BigInt(count.settled), 'the chain moved another sum than was asked for');
  return count;
}

/** A row of the table. Only for books that were found to agree: nothing is doubled or lost there. */
export function tally(payments, {settled, ended = 0}) {
  const sum = (count) => payments.reduce((n, payment) => n + (count(payment) ?? 0), 0);
  return {payments: payments.length, asked: sum((payment) => payment.asked), unheard: sum((payment) => payment.unheard),
    settled, ended, told: sum((payment) => Number(payment.successes.length > 0)), doubled: 0, lost: 0};
}
