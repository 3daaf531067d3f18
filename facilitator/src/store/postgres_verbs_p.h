/*
 * postgres_verbs_p.h: what each verb says to PostgreSQL and what it reads
 * from the answer. Private to the store's postgres_*.c.
 *
 * Not for: connections and transactions (postgres.c).
 * Thread rule: the store's thread.
 */
#ifndef FAC_STORE_POSTGRES_VERBS_P_H
#define FAC_STORE_POSTGRES_VERBS_P_H

#include "store/verb.h"

#include <libpq-fe.h>

/* The prepared statements: X(NAME, SQL). One verb is one to three of them. */
#define FAC_POSTGRES_MAP(X)                                                   \
	X(GATE,                                                               \
		"SELECT pg_advisory_xact_lock(2014317492,"                    \
		" hashtext(current_schema()))")                               \
	X(RESERVE,                                                            \
		"SELECT * FROM x402_reserve($1, $2, $3, $4, $5, $6, $7,"      \
		" $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,"       \
		" $19, $20, $21, $22, $23, $24, $25, $26, $27, $28)")         \
	X(RELEASE, "SELECT * FROM x402_release($1, $2, $3, $4)")              \
	X(HAND_OVER, "SELECT * FROM x402_hand_over($1, $2)")                  \
	X(TAKE_OVER, "SELECT * FROM x402_take_over($1, $2, $3)")              \
	X(HEARTBEAT,                                                          \
		"INSERT INTO instances (owner, until_ms)"                     \
		" VALUES ($1, x402_now() + $2::bigint)"                       \
		" ON CONFLICT (owner) DO UPDATE SET"                          \
		" until_ms = excluded.until_ms")                              \
	X(FINISH,                                                             \
		"SELECT * FROM x402_finish($1, $2, $3, $4, $5, $6, $7, $8,"   \
		" $9, $10, $11)")                                             \
	X(CREDIT, "SELECT * FROM x402_credit($1, $2, $3)")                    \
	X(GRANT, "SELECT * FROM x402_grant($1, $2, $3, $4, $5, $6, $7, $8)")  \
	X(PAYMENT_GET,                                                        \
		"SELECT * FROM x402_payment_get($1, $2, $3, $4, $5, $6)")     \
	X(PAYMENT_EVENTS,                                                     \
		"SELECT state, at_ms, note FROM payment_events WHERE"         \
		" payment = (x402_find($1, $2, $3, $4, $5, $6))[1]"           \
		" ORDER BY sequence")                                         \
	X(REFER, "SELECT x402_refer($1, $2)")                                 \
	X(REFERENCE_GET,                                                      \
		"SELECT * FROM x402_payment_get(x402_of_reference($1), NULL," \
		" NULL, NULL, NULL, NULL)")                                   \
	X(REFERENCE_EVENTS,                                                   \
		"SELECT state, at_ms, note FROM payment_events WHERE"         \
		" payment = (x402_find(x402_of_reference($1), NULL, NULL,"    \
		" NULL, NULL, NULL))[1] ORDER BY sequence")                   \
	X(HOLD, "SELECT * FROM x402_hold($1, $2, $3, $4, $5, $6, $7)")        \
	X(HOLD_GET, "SELECT * FROM x402_hold_get($1)")                        \
	X(LANE_ACQUIRE, "SELECT * FROM x402_lane_acquire($1, $2, $3, $4)")    \
	X(LANE_RELEASE,                                                       \
		"UPDATE lanes SET until_ms = 0, owner = ''"                   \
		" WHERE network = $1 AND signer = $2"                         \
		" AND owner = $3 AND token = $4")                             \
	X(JOURNAL_SIGNED,                                                     \
		"SELECT * FROM x402_journal_signed($1, $2, $3, $4,"           \
		" $5, $6, $7, $8, $9, $10, $11, $12, $13)")                   \
	X(JOURNAL_ATTEMPT,                                                    \
		"SELECT * FROM x402_journal_attempt($1, $2, $3, $4, $5, $6,"  \
		" $7, $8, $9, $10, $11)")                                     \
	X(MARK_BROADCAST, "SELECT * FROM x402_mark_broadcast($1, $2)")        \
	X(MARK_REPLACED,                                                      \
		"SELECT * FROM x402_mark_replaced($1, $2, $3, $4, $5, $6)")   \
	X(MARK_MINED,                                                         \
		"SELECT * FROM x402_mark_mined($1, $2, $3, $4, $5, $6,"       \
		" $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)")       \
	X(MARK_FINAL, "SELECT * FROM x402_mark_final($1, $2, $3, $4, $5)")    \
	X(MARK_DROPPED,                                                       \
		"SELECT * FROM x402_mark_dropped($1, $2, $3, $4, $5, $6,"     \
		" $7)")                                                       \
	X(REVIVE_TRANSACTIONS,                                                \
		"SELECT" FAC_POSTGRES_TRANSACTION " WHERE t.sequence IN"      \
		" (SELECT x402_revivable($1, $2, $3, $4))"                    \
		" ORDER BY t.nonce, t.sequence, a.sequence")                  \
	X(REVIVE_KEYS,                                                        \
		"SELECT" FAC_POSTGRES_KEYS " WHERE t.sequence IN"             \
		" (SELECT x402_revivable($1, $2, $3, $4))"                    \
		" ORDER BY t.nonce, t.sequence, l.position")                  \
	X(REVIVE,                                                             \
		"UPDATE transactions SET state = 'broadcast'"                 \
		" WHERE sequence IN"                                          \
		" (SELECT x402_revivable($1, $2, $3, $4))")                   \
	X(LANE_OWN,                                                           \
		"UPDATE payments SET owner = $3 WHERE state IN"               \
		" ('signed', 'broadcast', 'replaced') AND tx IN"              \
		" (SELECT sequence FROM transactions WHERE network = $1"      \
		" AND signer = $2 AND state IN"                               \
		" ('signed', 'broadcast', 'mined'))")                         \
	X(LANE_TRANSACTIONS,                                                  \
		"SELECT" FAC_POSTGRES_TRANSACTION                             \
		" WHERE t.network = $1 AND t.signer = $2"                     \
		" AND t.state IN ('signed', 'broadcast',"                     \
		" 'mined')"                                                   \
		" ORDER BY t.nonce, t.sequence, a.sequence")                  \
	X(LANE_KEYS,                                                          \
		"SELECT" FAC_POSTGRES_KEYS                                    \
		" WHERE t.network = $1 AND t.signer = $2"                     \
		" AND t.state IN ('signed', 'broadcast', 'mined')"            \
		" ORDER BY t.nonce, t.sequence, l.position")                  \
	X(LANE_PAYMENTS,                                                      \
		"SELECT x.* FROM transactions AS t JOIN payments AS p"        \
		" ON p.tx = t.sequence, x402_answer('ok', false, false, 0,"   \
		" '', ARRAY[p.sequence]) AS x"                                \
		" WHERE t.network = $1 AND t.signer = $2"                     \
		" AND t.state IN ('signed', 'broadcast', 'mined')"            \
		" ORDER BY t.nonce, p.sequence")                              \
	X(NEXT_NONCE_FLOOR,                                                   \
		"SELECT coalesce(max(nonce) + 1, 0) FROM transactions"        \
		" WHERE network = $1 AND signer = $2")                        \
	X(OUTBOX_TAKE,                                                        \
		"WITH due AS (SELECT sequence, due_ms FROM outbox"            \
		"  WHERE NOT dead AND due_ms <= x402_now()"                   \
		"  ORDER BY due_ms, sequence LIMIT $1),"                      \
		" taken AS (UPDATE outbox AS o SET tries = tries + 1,"        \
		"  due_ms = x402_now() + $2::bigint FROM due"                 \
		"  WHERE o.sequence = due.sequence RETURNING o.*,"            \
		"  due.due_ms AS was_due)"                                    \
		" SELECT" FAC_POSTGRES_OUTBOX " FROM taken AS o,"             \
		" x402_answer('ok', false, false, 0, '', ARRAY[o.payment])"   \
		" AS x ORDER BY o.was_due, o.sequence")                       \
	X(OUTBOX_DONE, "DELETE FROM outbox WHERE sequence = $1")              \
	X(OUTBOX_FAIL,                                                        \
		"UPDATE outbox SET due_ms = x402_now() + $2::bigint,"         \
		" dead = $3, error = $4 WHERE sequence = $1")                 \
	X(OUTBOX_DEAD,                                                        \
		"SELECT" FAC_POSTGRES_OUTBOX " FROM (SELECT * FROM outbox"    \
		" WHERE dead ORDER BY sequence DESC LIMIT $1) AS o,"          \
		" x402_answer('ok', false, false, 0, '', ARRAY[o.payment])"   \
		" AS x ORDER BY o.sequence DESC")                             \
	X(OUTBOX_REVIVE, "SELECT * FROM x402_outbox_revive($1)")              \
	X(RESOURCE_PUT,                                                       \
		"SELECT * FROM x402_resource_put($1, $2, $3, $4, $5,"         \
		" $6, $7, $8, $9, $10, $11, $12, $13)")                       \
	X(RESOURCE_COUNT,                                                     \
		"SELECT count(*) FROM x402_resources($1, $2, $3, $4, $5)")    \
	X(RESOURCE_LIST,                                                      \
		"SELECT key, url, type, x402_version, accepts,"               \
		" extensions, metadata, settled, updated_ms"                  \
		" FROM x402_resources($1, $2, $3, $4, $5)"                    \
		" ORDER BY updated_ms DESC, sequence DESC"                    \
		" LIMIT $6 OFFSET $7")                                        \
	X(HEALTH, "UPDATE heartbeat SET at_ms = x402_now() WHERE one = 1")    \
	X(FORGET_CLAIMS, "SELECT * FROM x402_forget_claims($1, $2)")          \
	X(RETIRE, "SELECT * FROM x402_retire($1, $2)")

#define FAC_POSTGRES_TRANSACTION                                             \
	" t.sequence, t.id, t.network, t.signer, t.nonce, t.state,"          \
	" t.mined_hash, t.block_hash, t.block_number, t.created_ms, a.hash," \
	" a.raw, a.max_fee::text, a.max_priority::text, a.created_ms"        \
	" FROM transactions AS t JOIN attempts AS a ON a.tx = t.sequence"
#define FAC_POSTGRES_KEYS                                                    \
	" t.id, p.key FROM transactions AS t JOIN transaction_payments AS l" \
	" ON l.tx = t.sequence JOIN payments AS p ON p.sequence = l.payment"
#define FAC_POSTGRES_OUTBOX \
	" x.*, o.sequence, o.hook, o.state, o.at_ms, o.tries, o.dead, o.error"

enum fac_postgres_statement {
#define FAC__POSTGRES_ENUM(name, sql) FAC_POSTGRES_##name,
	FAC_POSTGRES_MAP(FAC__POSTGRES_ENUM) FAC_POSTGRES_COUNT
#undef FAC__POSTGRES_ENUM
};
extern const char *const fac_postgres_sql[FAC_POSTGRES_COUNT];
/* Names that the server knows them by. */
extern const char *const fac_postgres_names[FAC_POSTGRES_COUNT];

/* Does it read only, so that it need not wait for other writers? */
bool fac_postgres_is_reading(enum fac_verb_kind kind);
/* How many statements a verb is. */
unsigned fac_postgres_statements(const struct fac_verb *verb);
/*
 * Queue a verb's statements on a connection in pipeline mode; hooks as for
 * fac_store_open. False: the connection is lost.
 */
X402_MUST_USE bool fac_postgres_send(PGconn *conn, const struct fac_verb *verb,
	const char *const *hooks, size_t hooks_len);
/* Queue one statement without parameters. */
X402_MUST_USE bool fac_postgres_send_plain(
	PGconn *conn, enum fac_postgres_statement statement);
/*
 * Put the answer of its index-th statement into verb->reply, err included.
 * An answer that cannot be ours is STORE: a damaged table must not pay.
 */
void fac_postgres_read(
	struct fac_verb *verb, unsigned index, const PGresult *result);

#endif
