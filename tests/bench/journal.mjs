// /verify and /settle with an empty journal and with one full of old payments.
// A few payments are settled for real; sqlite3 then repeats their rows, with
// keys and hashes of their own, as if years had passed.
import {join} from 'node:path';
import {statSync} from 'node:fs';
import {run, scratchDir, startDevnet, startFacilitator} from '../devnet/lib.mjs';
import {keepDevnet, load, settleLoad} from './bench.lib.mjs';
import {BLOCK_GAS} from './settle.mjs';

/* How many payments share a transaction in the made-up past. */
const BATCH = 50;

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
 * n payments, settled and final, each with its transaction's share, attempts
 * and history. Indexes are dropped and made again: sorting once is quicker
 * than a million insertions at random places.
 */
async function fill(file, n) {
  const transactions = Math.ceil(n / BATCH);
  const base = 1000000; // sequences far from the real ones
  const payment = await columns(file, 'payments', {
    sequence: `${base} + i.value`, key: 'randomblob(32)', id: 'randomblob(16)', payer: 'randomblob(20)',
    nonce: 'randomblob(32)', fingerprint: 'randomblob(32)', payload_hash: 'randomblob(32)',
    transaction_hash: 'randomblob(32)', tx: `${base} + (i.value - 1) / ${BATCH}`, calldata: "x''",
    state_calldata: "x''", idem_scope: 'NULL', idem_key: 'NULL'});
  const transaction = await columns(file, 'transactions', {
    sequence: `${base} + i.value`, id: 'randomblob(32)', signer: "x'1111111111111111111111111111111111111111'",
    nonce: 'i.value', state: "'final'", mined_hash: 'randomblob(32)', block_hash: 'randomblob(32)'});
  const attempt = await columns(file, 'attempts', {
    sequence: `${base} + i.value`, hash: 'randomblob(32)', tx: `${base} + i.value`});
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

async function measure(devnet, file, store, quick) {
  const ours = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network, X402_STORE: store});
  try {
    const verify = await load(`${ours.url}/verify`, file, 64, quick ? 200 : 40000);
    const settle = await settleLoad({devnet, file}, ours, devnet.info.accounts.facilitator.address,
      quick ? [4, 64, 8] : [64, 20480, 32]);
    return {verify, settle};
  } finally {
    await ours.stop();
  }
}

export async function journal(quick, payments = quick ? 20000 : 5000000) {
  const devnet = await startDevnet({accounts: 200, fund: 1000000000, blockTime: 1, gasLimit: BLOCK_GAS});
  const dir = scratchDir('x402-bench-');
  const file = keepDevnet(devnet.info);
  const stores = {empty: join(dir, 'empty.sqlite'), full: join(dir, 'full.sqlite')};
  const results = [];
  const rates = {empty: {verify: [], settle: []}, full: {verify: [], settle: []}};
  const lines = [`## A journal of ${payments} old payments (SQLite) beside an empty one`, '',
    '| journal | MB | /verify per second | p99 ms | /settle confirmed per second | p99 ms |', '|---|---|---|---|---|---|'];
  try {
    for (const store of Object.values(stores)) {
      const ours = await startFacilitator(devnet, {X402_NETWORK: devnet.info.network, X402_STORE: store});
      results.push(await load(`${ours.url}/settle`, file, 4, 4));
      await ours.stop();
    }
    await fill(stores.full, payments);
    // In turns, so that what else the machine does falls on both.
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      for (const [name, store] of Object.entries(stores)) {
        const {verify, settle} = await measure(devnet, file, store, quick);
        rates[name].verify.push(verify.per_second);
        rates[name].settle.push(settle.confirmed_per_second);
        results.push(verify, settle);
        lines.push(`| ${name} | ${(statSync(store).size / 1e6).toFixed(0)} | ${verify.per_second} | ${verify.p99_ms} | ` +
          `${settle.confirmed_per_second.toFixed(1)} | ${settle.p99_ms} |`);
      }
    }
  } finally {
    await devnet.stop();
  }
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const share = (what) => (100 * mean(rates.full[what]) / mean(rates.empty[what])).toFixed(0);
  lines.push('', `Full against empty: /verify ${share('verify')} %, /settle ${share('settle')} %.`, '');
  return {text: lines.join('\n'), results};
}
