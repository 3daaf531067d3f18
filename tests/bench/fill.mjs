// Old payments for a journal:  node tests/bench/fill.mjs FILE PAYMENTS
// The newest settled payment of an SQLite store is repeated by sqlite3, with
// keys and hashes of its own each time, as if years had passed.
import {pathToFileURL} from 'node:url';
import {run} from '../devnet/lib.mjs';

/* How many payments share a transaction in the made-up past. */
const BATCH = 50;
/* Bytes that each adds to the transaction's own. */
const CALL = 350;

async function sqlite(file, script) {
  const result = await run('sqlite3', ['-bail', file], {input: script, timeoutMs: 3600000});
  if (result.code !== 0) throw new Error(`sqlite3: ${result.stderr}`);
  return result.stdout.trim();
}

/** SELECT list of a table: its columns, some of them replaced. */
async function columns(file, table, replaced) {
  const names = (await sqlite(file, `SELECT name FROM pragma_table_info('${table}');`)).split('\n');
  for (const name of Object.keys(replaced)) {
    if (!names.includes(name)) throw new Error(`no column ${table}.${name}: the schema has changed`);
  }
  return {names: names.join(', '), values: names.map((name) => replaced[name] ?? `old.${name}`).join(', ')};
}

/*
 * n payments, settled, told and final, each with its transaction's share,
 * attempts and history; their authorizations are dead, so that they have no
 * claims any more. Indexes are dropped and made again: sorting once is quicker
 * than a million insertions at random places.
 */
export async function fill(file, n) {
  const transactions = Math.ceil(n / BATCH);
  const base = 1000000; // sequences far from the real ones
  const payment = await columns(file, 'payments', {
    sequence: `${base} + i.value`, key: 'randomblob(32)', payer: 'randomblob(20)',
    id: "CAST(printf('%016d', i.value) AS BLOB)", valid_before: '1700000000', nonce: 'randomblob(32)', fingerprint: 'randomblob(32)', payload_hash: 'randomblob(32)',
    transaction_hash: 'randomblob(32)', tx: `${base} + (i.value - 1) / ${BATCH}`, calldata: "x''",
    state_calldata: "x''", credited: '1', idem_scope: 'NULL', idem_key: 'NULL'});
  const transaction = await columns(file, 'transactions', {
    sequence: `${base} + i.value`, id: 'randomblob(32)', signer: "x'1111111111111111111111111111111111111111'",
    nonce: 'i.value', state: "'final'", mined_hash: 'randomblob(32)', block_hash: 'randomblob(32)'});
  const attempt = await columns(file, 'attempts', {
    sequence: `${base} + i.value`, hash: 'randomblob(32)', tx: `${base} + i.value`,
    raw: `zeroblob(${BATCH * CALL})`});
  const event = await columns(file, 'payment_events', {
    sequence: 'NULL', payment: `${base} + i.value`});
  const indexes = await sqlite(file, "SELECT sql || ';' FROM sqlite_master WHERE type = 'index' AND sql NOT NULL" +
    " AND tbl_name IN ('payments', 'transactions', 'attempts', 'transaction_payments', 'payment_events');");
  const drops = await sqlite(file, "SELECT 'DROP INDEX ' || name || ';' FROM sqlite_master WHERE type = 'index'" +
    " AND sql NOT NULL AND tbl_name IN ('payments', 'transactions', 'attempts', 'transaction_payments'," +
    " 'payment_events');");
  const each = (from, to) => `generate_series(${from}, ${to}) AS i`;
  await sqlite(file, `PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;
    CREATE TEMP TABLE one AS SELECT max(sequence) AS payment FROM payments WHERE state = 'settled';
    BEGIN;
    ${drops}
    INSERT INTO transactions (${transaction.names}) SELECT ${transaction.values} FROM ${each(0, transactions)},
      transactions AS old WHERE old.sequence = (SELECT max(sequence) FROM transactions);
    INSERT INTO attempts (${attempt.names}) SELECT ${attempt.values} FROM ${each(0, transactions)},
      attempts AS old WHERE old.sequence = (SELECT max(sequence) FROM attempts);
    INSERT INTO payments (${payment.names}) SELECT ${payment.values} FROM ${each(1, n)},
      payments AS old WHERE old.sequence = (SELECT payment FROM one);
    INSERT INTO transaction_payments (tx, position, payment) SELECT ${base} + (value - 1) / ${BATCH},
      (value - 1) % ${BATCH}, ${base} + value FROM generate_series(1, ${n});
    INSERT INTO payment_events (${event.names}) SELECT ${event.values} FROM ${each(1, n)},
      payment_events AS old WHERE old.payment = (SELECT payment FROM one);
    ${indexes}
    COMMIT;
    PRAGMA journal_mode = WAL;`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await fill(process.argv[2], Number(process.argv[3]));
}
