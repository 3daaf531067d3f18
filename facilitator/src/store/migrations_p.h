/*
 * migrations_p.h: the schema, as numbered steps. PRAGMA user_version holds
 * how many were applied. A step that was released is never edited: add one.
 * Going back means restoring the copy that an operator took before.
 */
#ifndef FAC_STORE_MIGRATIONS_P_H
#define FAC_STORE_MIGRATIONS_P_H

/*
 * 0001. Integers are int64; larger u64 values are clamped, which only
 * validBefore can reach. Amounts are decimal text: no float, no overflow.
 */
#define FAC_MIGRATION_0001                                                   \
	"CREATE TABLE payments ("                                            \
	" key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),"                \
	" id TEXT NOT NULL UNIQUE,"                                          \
	" network TEXT NOT NULL,"                                            \
	" wire_network TEXT NOT NULL,"                                       \
	" asset BLOB NOT NULL,"                                              \
	" payer BLOB NOT NULL,"                                              \
	" pay_to BLOB NOT NULL,"                                             \
	" amount TEXT NOT NULL,"                                             \
	" nonce BLOB NOT NULL,"                                              \
	" valid_before INTEGER NOT NULL,"                                    \
	" scheme TEXT NOT NULL,"                                             \
	" x402_version INTEGER NOT NULL,"                                    \
	" fingerprint BLOB NOT NULL,"                                        \
	" idem_scope TEXT,"                                                  \
	" idem_key TEXT,"                                                    \
	" call_to BLOB NOT NULL,"                                            \
	" calldata BLOB NOT NULL,"                                           \
	" state_calldata BLOB NOT NULL,"                                     \
	" gas_limit INTEGER NOT NULL,"                                       \
	" state TEXT NOT NULL CHECK (state IN ('reserved', 'signed',"        \
	"  'broadcast', 'settled', 'provisioned', 'reverted', 'expired',"    \
	"  'cancelled', 'replaced')),"                                       \
	" reason TEXT NOT NULL DEFAULT '',"                                  \
	" message TEXT NOT NULL DEFAULT '',"                                 \
	" transaction_hash TEXT NOT NULL DEFAULT '',"                        \
	" block_number INTEGER NOT NULL DEFAULT 0,"                          \
	" credited INTEGER NOT NULL DEFAULT 0 CHECK (credited IN (0, 1)),"   \
	" answer TEXT,"                                                      \
	" created_ms INTEGER NOT NULL,"                                      \
	" updated_ms INTEGER NOT NULL"                                       \
	") STRICT;"                                                          \
	"CREATE UNIQUE INDEX payments_by_idempotency"                        \
	" ON payments (idem_scope, idem_key) WHERE idem_key IS NOT NULL;"    \
	"CREATE INDEX payments_by_fingerprint ON payments (fingerprint);"    \
	"CREATE INDEX payments_by_transaction"                               \
	" ON payments (transaction_hash) WHERE transaction_hash <> '';"      \
	"CREATE INDEX payments_unfinished ON payments (network) WHERE state" \
	" IN ('reserved', 'signed', 'broadcast', 'replaced');"               \
	"CREATE TABLE transactions ("                                        \
	" hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),"              \
	" network TEXT NOT NULL,"                                            \
	" signer BLOB NOT NULL,"                                             \
	" nonce INTEGER NOT NULL,"                                           \
	" raw BLOB NOT NULL,"                                                \
	" state TEXT NOT NULL CHECK (state IN"                               \
	"  ('signed', 'broadcast', 'mined', 'replaced')),"                   \
	" max_fee TEXT NOT NULL,"                                            \
	" max_priority TEXT NOT NULL,"                                       \
	" block_number INTEGER NOT NULL DEFAULT 0,"                          \
	" created_ms INTEGER NOT NULL"                                       \
	") STRICT;" /* One live transaction on a nonce: the other one is     \
		       proven dead. */                                       \
	"CREATE UNIQUE INDEX transactions_by_nonce"                          \
	" ON transactions (network, signer, nonce)"                          \
	" WHERE state <> 'replaced';"                                        \
	"CREATE INDEX transactions_of_signer"                                \
	" ON transactions (network, signer, nonce);"                         \
	"CREATE INDEX transactions_unfinished ON transactions (network)"     \
	" WHERE state IN ('signed', 'broadcast');"                           \
	"CREATE TABLE transaction_payments ("                                \
	" transaction_hash BLOB NOT NULL REFERENCES transactions (hash),"    \
	" payment_key BLOB NOT NULL REFERENCES payments (key),"              \
	" PRIMARY KEY (transaction_hash, payment_key)"                       \
	") STRICT, WITHOUT ROWID;"                                           \
	"CREATE TABLE payment_events ("                                      \
	" sequence INTEGER PRIMARY KEY,"                                     \
	" payment_key BLOB NOT NULL REFERENCES payments (key),"              \
	" state TEXT NOT NULL,"                                              \
	" at_ms INTEGER NOT NULL,"                                           \
	" note TEXT NOT NULL DEFAULT ''"                                     \
	") STRICT;"                                                          \
	"CREATE INDEX payment_events_by_payment"                             \
	" ON payment_events (payment_key, sequence);"                        \
	"CREATE TABLE resources ("                                           \
	" sequence INTEGER PRIMARY KEY,"                                     \
	" key TEXT NOT NULL UNIQUE,"                                         \
	" url TEXT NOT NULL,"                                                \
	" type TEXT NOT NULL,"                                               \
	" x402_version INTEGER NOT NULL,"                                    \
	" accepts TEXT NOT NULL,"                                            \
	" extensions TEXT,"                                                  \
	" metadata TEXT,"                                                    \
	" settled INTEGER NOT NULL DEFAULT 0 CHECK (settled IN (0, 1)),"     \
	" updated_ms INTEGER NOT NULL"                                       \
	") STRICT;"                                                          \
	"CREATE INDEX resources_by_time ON resources (updated_ms);"          \
	"CREATE TABLE resource_offers ("                                     \
	" resource INTEGER NOT NULL"                                         \
	"  REFERENCES resources (sequence) ON DELETE CASCADE,"               \
	" scheme TEXT NOT NULL,"                                             \
	" network TEXT NOT NULL,"                                            \
	" pay_to TEXT NOT NULL"                                              \
	") STRICT;"                                                          \
	"CREATE INDEX resource_offers_of ON resource_offers (resource);"     \
	"CREATE TABLE resource_extensions ("                                 \
	" resource INTEGER NOT NULL"                                         \
	"  REFERENCES resources (sequence) ON DELETE CASCADE,"               \
	" name TEXT NOT NULL"                                                \
	") STRICT;"                                                          \
	"CREATE INDEX resource_extensions_of"                                \
	" ON resource_extensions (resource);"                                \
	"CREATE TABLE heartbeat ("                                           \
	" one INTEGER PRIMARY KEY CHECK (one = 1),"                          \
	" at_ms INTEGER NOT NULL"                                            \
	") STRICT;"                                                          \
	"INSERT INTO heartbeat VALUES (1, 0);"

static const char *const fac_migrations[] = {FAC_MIGRATION_0001};
#define FAC_MIGRATIONS_COUNT \
	((int)(sizeof(fac_migrations) / sizeof(fac_migrations[0])))

#endif
