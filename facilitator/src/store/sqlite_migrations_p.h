/*
 * sqlite_migrations_p.h: the schema, as numbered steps. PRAGMA user_version
 * holds how many were applied. A step that was released is never edited: add
 * one. Going back means restoring the copy that an operator took before.
 */
#ifndef FAC_STORE_SQLITE_MIGRATIONS_P_H
#define FAC_STORE_SQLITE_MIGRATIONS_P_H

/*
 * 0001. Integers are int64; larger u64 values are clamped, which only
 * validBefore can reach. Amounts are decimal text: no float, no overflow.
 *
 * Millions of old payments must not slow the new ones down, so nothing that a
 * new payment writes may lie at a random place of something that grows with
 * the years:
 *
 * - rows refer to each other by numbers that grow, and ids begin with the
 *   time, so their indexes are written at their ends;
 * - claims has the random keys, of authorizations that could still be spent
 *   only: a few minutes' worth. What leaves it is dead, and stays unclaimable
 *   by heartbeat.forgotten_s;
 * - payloads are looked up by hash in any year, so their index is cut into
 *   buckets of numbers: only the newest is written, and a question goes from
 *   bucket to bucket.
 *
 * What still is spread over all years: transactions and attempts by hash, one
 * of each for a batch, and the callers' idempotency keys.
 */
#define FAC_MIGRATION_0001                                                                                                               \
	"CREATE TABLE payments ("                                                                                                        \
	" sequence INTEGER PRIMARY KEY,"                                                                                                 \
	" key BLOB NOT NULL CHECK (length(key) = 32),"                                                                                   \
	" id BLOB NOT NULL CHECK (length(id) = 16),"                                                                                     \
	" network TEXT NOT NULL,"                                                                                                        \
	" wire_network TEXT NOT NULL,"                                                                                                   \
	" asset BLOB NOT NULL,"                                                                                                          \
	" payer BLOB NOT NULL,"                                                                                                          \
	" pay_to BLOB NOT NULL,"                                                                                                         \
	" amount TEXT NOT NULL,"                                                                                                         \
	" nonce BLOB NOT NULL,"                                                                                                          \
	" valid_before INTEGER NOT NULL,"                                                                                                \
	" scheme TEXT NOT NULL,"                                                                                                         \
	" x402_version INTEGER NOT NULL,"                                                                                                \
	" fingerprint BLOB NOT NULL,"                                                                                                    \
	" payload_hash BLOB NOT NULL,"                                                                                                   \
	" idem_scope TEXT,"                                                                                                              \
	" idem_key TEXT,"                                                                                                                \
	" caller TEXT NOT NULL,"                                                                                                         \
	" owner TEXT NOT NULL,"                                                                                                          \
	" call_to BLOB NOT NULL,"                                                                                                        \
	" calldata BLOB NOT NULL,"                                                                                                       \
	" state_calldata BLOB NOT NULL,"                                                                                                 \
	" gas_limit INTEGER NOT NULL,"                                                                                                   \
	" may_share INTEGER NOT NULL,"                                                                                                   \
	" cost_gwei INTEGER NOT NULL,"                                                                                                   \
	" spend_day INTEGER," /* NULL: not counted */                                                                                    \
	" state TEXT NOT NULL CHECK (state IN ('reserved', 'signed',"                                                                    \
	"  'broadcast', 'settled', 'provisioned', 'reverted', 'expired',"                                                                \
	"  'cancelled', 'replaced')),"                                                                                                   \
	" reason TEXT NOT NULL DEFAULT '',"                                                                                              \
	" message TEXT NOT NULL DEFAULT '',"                                                                                             \
	" transaction_hash BLOB," /* the newest; NULL: none yet */                                                                       \
	" tx INTEGER,"            /* the newest transaction */                                                                           \
	" other_hash BLOB,"       /* landed by somebody else's */                                                                        \
	" block_number INTEGER NOT NULL DEFAULT 0,"                                                                                      \
	" credited INTEGER NOT NULL DEFAULT 0 CHECK (credited IN (0, 1)),"                                                               \
	" answer TEXT,"                                                                                                                  \
	" created_ms INTEGER NOT NULL,"                                                                                                  \
	" updated_ms INTEGER NOT NULL"                                                                                                   \
	") STRICT;"                                                                                                                      \
	"CREATE UNIQUE INDEX payments_by_id ON payments (id);"                                                                           \
	"CREATE INDEX payments_by_payload"                                                                                               \
	" ON payments (sequence >> " FAC_PAYLOAD_SHIFT_TEXT ", "                                                                         \
	"substr(payload_hash, 1, 8));"                                                                                                   \
	"CREATE UNIQUE INDEX payments_by_idempotency"                                                                                    \
	" ON payments (idem_scope, idem_key) WHERE idem_key IS NOT NULL;"                                                                \
	"CREATE INDEX payments_by_other"                                                                                                 \
	" ON payments (other_hash) WHERE other_hash IS NOT NULL;"                                                                        \
	"CREATE INDEX payments_unsigned ON payments (network, sequence)"                                                                 \
	" WHERE state IN ('reserved', 'replaced');"                                                                                      \
	"CREATE INDEX payments_unsettled ON payments (network, asset, payer)"                                                            \
	" WHERE state IN ('reserved', 'signed', 'broadcast', 'replaced');" /* No REFERENCES: retiring a payment would read all of it. */ \
	"CREATE TABLE claims ("                                                                                                          \
	" key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),"                                                                       \
	" payment INTEGER NOT NULL,"                                                                                                     \
	" look_s INTEGER NOT NULL" /* from then on it may be dead */                                                                     \
	") STRICT, WITHOUT ROWID;"                                                                                                       \
	"CREATE INDEX claims_due ON claims (look_s);"                                                                                    \
	"CREATE TABLE transactions ("                                                                                                    \
	" sequence INTEGER PRIMARY KEY,"                                                                                                 \
	" id BLOB NOT NULL CHECK (length(id) = 32),"                                                                                     \
	" network TEXT NOT NULL,"                                                                                                        \
	" signer BLOB NOT NULL,"                                                                                                         \
	" nonce INTEGER NOT NULL,"                                                                                                       \
	" state TEXT NOT NULL CHECK (state IN"                                                                                           \
	"  ('signed', 'broadcast', 'mined', 'final', 'replaced')),"                                                                      \
	" mined_hash BLOB,"                                                                                                              \
	" block_hash BLOB,"                                                                                                              \
	" block_number INTEGER NOT NULL DEFAULT 0,"                                                                                      \
	" created_ms INTEGER NOT NULL"                                                                                                   \
	") STRICT;"                                                                                                                      \
	"CREATE UNIQUE INDEX transactions_by_id ON transactions (id);" /* One                                                            \
									  live                                                           \
									  transaction                                                    \
									  on a                                                           \
									  nonce:                                                         \
									  the                                                            \
									  other                                                          \
									  is                                                             \
									  proven                                                         \
									  dead.                                                          \
									*/                                                               \
	"CREATE UNIQUE INDEX transactions_by_nonce"                                                                                      \
	" ON transactions (network, signer, nonce)"                                                                                      \
	" WHERE state <> 'replaced';"                                                                                                    \
	"CREATE INDEX transactions_of_signer"                                                                                            \
	" ON transactions (network, signer, nonce);"                                                                                     \
	"CREATE INDEX transactions_open ON transactions (network, signer)"                                                               \
	" WHERE state IN ('signed', 'broadcast', 'mined');"                                                                              \
	"CREATE TABLE attempts ("                                                                                                        \
	" sequence INTEGER PRIMARY KEY,"                                                                                                 \
	" hash BLOB NOT NULL CHECK (length(hash) = 32),"                                                                                 \
	" tx INTEGER NOT NULL REFERENCES transactions (sequence),"                                                                       \
	" raw BLOB NOT NULL,"                                                                                                            \
	" max_fee TEXT NOT NULL,"                                                                                                        \
	" max_priority TEXT NOT NULL,"                                                                                                   \
	" created_ms INTEGER NOT NULL"                                                                                                   \
	") STRICT;"                                                                                                                      \
	"CREATE UNIQUE INDEX attempts_by_hash ON attempts (hash);"                                                                       \
	"CREATE INDEX attempts_of ON attempts (tx);"                                                                                     \
	"CREATE TABLE transaction_payments ("                                                                                            \
	" tx INTEGER NOT NULL REFERENCES transactions (sequence),"                                                                       \
	" position INTEGER NOT NULL,"                                                                                                    \
	" payment INTEGER NOT NULL REFERENCES payments (sequence),"                                                                      \
	" PRIMARY KEY (tx, position)"                                                                                                    \
	") STRICT, WITHOUT ROWID;"                                                                                                       \
	"CREATE INDEX transactions_of_payment"                                                                                           \
	" ON transaction_payments (payment);"                                                                                            \
	"CREATE TABLE payment_events ("                                                                                                  \
	" sequence INTEGER PRIMARY KEY,"                                                                                                 \
	" payment INTEGER NOT NULL REFERENCES payments (sequence),"                                                                      \
	" state TEXT NOT NULL,"                                                                                                          \
	" at_ms INTEGER NOT NULL,"                                                                                                       \
	" note TEXT NOT NULL DEFAULT ''"                                                                                                 \
	") STRICT;"                                                                                                                      \
	"CREATE INDEX payment_events_of ON payment_events (payment);"                                                                    \
	"CREATE TABLE holds ("                                                                                                           \
	" key BLOB NOT NULL PRIMARY KEY,"                                                                                                \
	" network TEXT NOT NULL,"                                                                                                        \
	" asset BLOB NOT NULL,"                                                                                                          \
	" payer BLOB NOT NULL,"                                                                                                          \
	" amount TEXT NOT NULL,"                                                                                                         \
	" made_ms INTEGER NOT NULL,"                                                                                                     \
	" until_ms INTEGER NOT NULL,"                                                                                                    \
	" used INTEGER NOT NULL DEFAULT 0"                                                                                               \
	") STRICT, WITHOUT ROWID;"                                                                                                       \
	"CREATE INDEX holds_of ON holds (network, asset, payer)"                                                                         \
	" WHERE used = 0;"                                                                                                               \
	"CREATE INDEX holds_due ON holds (until_ms);"                                                                                    \
	"CREATE TABLE spending ("                                                                                                        \
	" day INTEGER NOT NULL,"                                                                                                         \
	" network TEXT NOT NULL,"                                                                                                        \
	" scope TEXT NOT NULL CHECK (scope IN ('payer', 'caller', 'total')),"                                                            \
	" who TEXT NOT NULL,"                                                                                                            \
	" gwei INTEGER NOT NULL,"                                                                                                        \
	" PRIMARY KEY (day, network, scope, who)"                                                                                        \
	") STRICT, WITHOUT ROWID;"                                                                                                       \
	"CREATE TABLE lanes ("                                                                                                           \
	" network TEXT NOT NULL,"                                                                                                        \
	" signer BLOB NOT NULL,"                                                                                                         \
	" owner TEXT NOT NULL,"                                                                                                          \
	" token INTEGER NOT NULL,"                                                                                                       \
	" until_ms INTEGER NOT NULL,"                                                                                                    \
	" PRIMARY KEY (network, signer)"                                                                                                 \
	") STRICT, WITHOUT ROWID;"                                                                                                       \
	"CREATE TABLE instances ("                                                                                                       \
	" owner TEXT NOT NULL PRIMARY KEY,"                                                                                              \
	" until_ms INTEGER NOT NULL"                                                                                                     \
	") STRICT, WITHOUT ROWID;"                                                                                                       \
	"CREATE TABLE outbox ("                                                                                                          \
	" sequence INTEGER PRIMARY KEY,"                                                                                                 \
	" hook TEXT NOT NULL,"                                                                                                           \
	" payment INTEGER NOT NULL REFERENCES payments (sequence),"                                                                      \
	" state TEXT NOT NULL,"                                                                                                          \
	" at_ms INTEGER NOT NULL,"                                                                                                       \
	" due_ms INTEGER NOT NULL,"                                                                                                      \
	" tries INTEGER NOT NULL DEFAULT 0,"                                                                                             \
	" dead INTEGER NOT NULL DEFAULT 0,"                                                                                              \
	" error TEXT NOT NULL DEFAULT ''"                                                                                                \
	") STRICT;"                                                                                                                      \
	"CREATE INDEX outbox_due ON outbox (due_ms) WHERE dead = 0;"                                                                     \
	"CREATE INDEX outbox_of ON outbox (payment);"                                                                                    \
	"CREATE TABLE resources ("                                                                                                       \
	" sequence INTEGER PRIMARY KEY,"                                                                                                 \
	" key TEXT NOT NULL UNIQUE,"                                                                                                     \
	" url TEXT NOT NULL,"                                                                                                            \
	" type TEXT NOT NULL,"                                                                                                           \
	" x402_version INTEGER NOT NULL,"                                                                                                \
	" accepts TEXT NOT NULL,"                                                                                                        \
	" extensions TEXT,"                                                                                                              \
	" metadata TEXT,"                                                                                                                \
	" settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),"                                                                 \
	" updated_ms INTEGER NOT NULL"                                                                                                   \
	") STRICT;"                                                                                                                      \
	"CREATE INDEX resources_by_time ON resources (updated_ms);"                                                                      \
	"CREATE TABLE resource_offers ("                                                                                                 \
	" resource INTEGER NOT NULL"                                                                                                     \
	"  REFERENCES resources (sequence) ON DELETE CASCADE,"                                                                           \
	" scheme TEXT NOT NULL,"                                                                                                         \
	" network TEXT NOT NULL,"                                                                                                        \
	" pay_to TEXT NOT NULL"                                                                                                          \
	") STRICT;"                                                                                                                      \
	"CREATE INDEX resource_offers_of ON resource_offers (resource);"                                                                 \
	"CREATE TABLE resource_extensions ("                                                                                             \
	" resource INTEGER NOT NULL"                                                                                                     \
	"  REFERENCES resources (sequence) ON DELETE CASCADE,"                                                                           \
	" name TEXT NOT NULL"                                                                                                            \
	") STRICT;"                                                                                                                      \
	"CREATE INDEX resource_extensions_of"                                                                                            \
	" ON resource_extensions (resource);"                                                                                            \
	"CREATE TABLE heartbeat ("                                                                                                       \
	" one INTEGER PRIMARY KEY CHECK (one = 1),"                                                                                      \
	" at_ms INTEGER NOT NULL,"                                                                                                       \
	" forgotten_s INTEGER NOT NULL"                                                                                                  \
	") STRICT;"                                                                                                                      \
	"INSERT INTO heartbeat VALUES (1, 0, 0);"

/*
 * 0002. Keys by which sellers on Solana find what paid them. Going back: DROP
 * TABLE payment_references.
 */
#define FAC_MIGRATION_0002                   \
	"CREATE TABLE payment_references ("  \
	" reference BLOB NOT NULL"           \
	"  CHECK (length(reference) = 32),"  \
	" payment INTEGER NOT NULL"          \
	"  REFERENCES payments (sequence),"  \
	" PRIMARY KEY (reference, payment)"  \
	") STRICT, WITHOUT ROWID;"           \
	"CREATE INDEX payment_references_of" \
	" ON payment_references (payment);"

/*
 * 0003. Of whom the one success was given to. It was in 0001 for a while, so
 * journals of version 1 and 2 may have it.
 */
#define FAC_MIGRATION_0003 "ALTER TABLE payments ADD COLUMN claim BLOB;"
#define FAC_MIGRATION_0003_UNLESS                            \
	"SELECT count(*) FROM pragma_table_info('payments')" \
	" WHERE name = 'claim'"

/* 0004. What strangers post is bounded. As with 0003. */
#define FAC_MIGRATION_0004                                           \
	"CREATE INDEX IF NOT EXISTS resources_unproven ON resources" \
	" (updated_ms) WHERE settled = 0;"

/*
 * 0005. Of a list of more than two after IN, SQLite makes a table in memory
 * whenever it looks whether a row is in order, eleven times for a payment. The
 * same with OR needs none. It means what it meant, so no row and no index
 * changes, only the schema's text (SQLite's own way to change a CHECK).
 */
#define FAC_MIGRATION_0005                                           \
	"PRAGMA writable_schema = ON;"                               \
	"UPDATE sqlite_schema SET sql = replace(sql,"                \
	" 'state IN (''reserved'', ''signed'',  ''broadcast'',"      \
	" ''settled'', ''provisioned'', ''reverted'', ''expired'', " \
	" ''cancelled'', ''replaced'')',"                            \
	" 'state = ''reserved'' OR state = ''signed'' OR"            \
	" state = ''broadcast'' OR state = ''settled'' OR"           \
	" state = ''provisioned'' OR state = ''reverted'' OR"        \
	" state = ''expired'' OR state = ''cancelled'' OR"           \
	" state = ''replaced''') WHERE name = 'payments';"           \
	"UPDATE sqlite_schema SET sql = replace(sql,"                \
	" 'state IN (''reserved'', ''signed'', ''broadcast'',"       \
	" ''replaced'')', '(state = ''reserved'' OR state ="         \
	" ''signed'' OR state = ''broadcast'' OR state ="            \
	" ''replaced'')') WHERE name = 'payments_unsettled';"        \
	"PRAGMA writable_schema = RESET;"

struct fac_migration {
	const char *sql;
	const char *unless; /* Optional: a query; not 0: it has that already */
};

static const struct fac_migration fac_migrations[] = {
	{FAC_MIGRATION_0001, NULL},
	{FAC_MIGRATION_0002, NULL},
	{FAC_MIGRATION_0003, FAC_MIGRATION_0003_UNLESS},
	{FAC_MIGRATION_0004, NULL},
	{FAC_MIGRATION_0005, NULL},
};
#define FAC_MIGRATIONS_COUNT \
	((int)(sizeof(fac_migrations) / sizeof(fac_migrations[0])))

#endif
