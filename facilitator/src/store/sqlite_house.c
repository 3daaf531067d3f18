/*
 * What a store keeps besides payments and transactions: who lives and who
 * signs (leases with fencing tokens), holds, what was spent on gas today, the
 * outbox of the web hooks, and what may be forgotten.
 */
#include "store/sqlite_p.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_MS UINT64_C(86400000)
/* Look at so many of the oldest for each that may be forgotten: bounded. */
#define RETIRE_LOOK 4
/* validBefore of what has no end: fac_sqlite_bind_u64's largest. */
#define ENDLESS "9223372036854775807"
/* A claim that is due and cannot go is looked at again after so long. */
#define LOOK_AGAIN_S 3600
/* Spending of past days says nothing any more. */
#define SPENDING_DAYS 2

/* ---- Leases. ---- */

enum x402_err fac_sqlite_heartbeat(struct fac_sqlite *db, struct fac_verb *verb)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO instances (owner, until_ms) VALUES (?1, ?2)"
		" ON CONFLICT (owner) DO UPDATE SET"
		" until_ms = excluded.until_ms",
		"ti", verb->owner, fac_sqlite_now_ms() + verb->ms));
}

enum x402_err fac_sqlite_lane_acquire(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	uint64_t now = fac_sqlite_now_ms();
	/* Its holder renews it, late too; another only when it ran out. */
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"INSERT INTO lanes (network, signer, owner, token, until_ms)"
		" VALUES (?1, ?2, ?3, 1, ?5)"
		" ON CONFLICT (network, signer) DO UPDATE SET"
		" token = token + (owner <> excluded.owner),"
		" owner = excluded.owner, until_ms = excluded.until_ms"
		" WHERE owner = excluded.owner OR until_ms <= ?4"
		" RETURNING token",
		"tatii", verb->network, verb->signer.bytes, verb->owner, now,
		now + verb->ms);
	enum x402_err err = fac_sqlite_one(stmt);

	if (err == X402_ERR_NOT_FOUND)
		return X402_OK; /* another holds it */
	if (err)
		return err;
	verb->reply.number = fac_sqlite_u64(stmt, 0);
	verb->reply.claimed = true;
	return fac_sqlite_exec(stmt);
}

enum x402_err fac_sqlite_lane_release(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE lanes SET until_ms = 0, owner = '' WHERE network = ?1"
		" AND signer = ?2 AND owner = ?3 AND token = ?4",
		"tati", verb->network, verb->signer.bytes, verb->owner,
		verb->token));
}

enum x402_err fac_sqlite_check_lease(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT 1 FROM lanes WHERE network = ?1 AND signer = ?2"
		" AND owner = ?3 AND token = ?4",
		"tati", verb->network, verb->signer.bytes, verb->owner,
		verb->token);
	enum x402_err err = fac_sqlite_exists(stmt);

	if (err != X402_ERR_NOT_FOUND)
		return err;
	verb->reply.fenced = true;
	return X402_ERR_CONFLICT;
}

/* ---- Holds. ---- */

/*
 * Adds the amounts of stmt's rows. fits false: they are more than 2^256, or
 * more than FAC_HOLD_ROWS_MAX.
 */
static enum x402_err sum_rows(
	sqlite3_stmt *stmt, struct x402_u256 *sum, bool *ret_fits)
{
	enum x402_err err;
	bool row = true;
	size_t rows = 0;

	*ret_fits = true;
	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		char text[X402_U256_DEC_SIZE];
		struct x402_u256 amount;

		fac_sqlite_text(stmt, 0, text, sizeof(text));
		if (x402_u256_from_dec(text, &amount))
			return X402_ERR_STORE;
		if (!x402_u256_add(sum, &amount, sum) ||
			++rows > FAC_HOLD_ROWS_MAX)
			*ret_fits = false;
	}
	return err;
}

static enum x402_err sum_taken(struct fac_sqlite *db,
	const struct fac_store_hold *hold, struct x402_u256 *ret_sum,
	bool *ret_fits)
{
	bool fits;
	enum x402_err err = sum_rows(
		fac_sqlite_bound(db,
			"SELECT amount FROM payments WHERE network = ?1"
			" AND asset = ?2 AND payer = ?3 AND" FAC_UNSETTLED
			"LIMIT ?4",
			"taai", hold->network, hold->asset.bytes,
			hold->payer.bytes, (uint64_t)FAC_HOLD_ROWS_MAX + 1),
		ret_sum, ret_fits);

	if (err)
		return err;
	err = sum_rows(
		fac_sqlite_bound(db,
			"SELECT amount FROM holds WHERE network = ?1"
			" AND asset = ?2 AND payer = ?3 AND used = 0"
			" AND key <> ?4 AND until_ms > ?5 LIMIT ?6",
			"taakii", hold->network, hold->asset.bytes,
			hold->payer.bytes, hold->key32, fac_sqlite_now_ms(),
			(uint64_t)FAC_HOLD_ROWS_MAX + 1),
		ret_sum, &fits);
	*ret_fits &= fits;
	return err;
}

static enum x402_err write_hold(
	struct fac_sqlite *db, const struct fac_store_hold *hold)
{
	char amount[X402_U256_DEC_SIZE];

	x402_u256_to_dec(&hold->amount, amount);
	/* made_ms of one that still lives stays: it was held since then. */
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"INSERT INTO holds (key, network, asset, payer, amount,"
		" made_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
		" ON CONFLICT (key) DO UPDATE SET amount = excluded.amount,"
		" made_ms = CASE WHEN until_ms > excluded.made_ms"
		"  THEN made_ms ELSE excluded.made_ms END,"
		" until_ms = excluded.until_ms, used = 0",
		"ktaatii", hold->key32, hold->network, hold->asset.bytes,
		hold->payer.bytes, amount, fac_sqlite_now_ms(),
		hold->until_ms));
}

enum x402_err fac_sqlite_hold(struct fac_sqlite *db, struct fac_verb *verb)
{
	const struct fac_store_hold *hold = &verb->hold;
	struct x402_u256 sum = {{0}};
	char taken[X402_U256_DEC_SIZE];
	char balance[X402_U256_DEC_SIZE];
	bool fits;
	enum x402_err err = fac_sqlite_load_payment(db, hold->key32, verb);

	if (!err && verb->payments[0].state != FAC_PAYMENT_CANCELLED)
		return X402_ERR_CONFLICT;
	if (err && err != X402_ERR_NOT_FOUND)
		return err;
	err = sum_taken(db, hold, &sum, &fits);
	if (err)
		return err;
	x402_u256_to_dec(&sum, taken);
	x402_u256_to_dec(&hold->balance, balance);
	if (!fits) {
		snprintf(verb->reply.message, sizeof(verb->reply.message),
			"too many payments of this payer are promised already");
		return X402_OK;
	}
	if (!x402_u256_add(&sum, &hold->amount, &sum) ||
		x402_u256_cmp(&sum, &hold->balance) > 0) {
		snprintf(verb->reply.message, sizeof(verb->reply.message),
			"%s of a balance of %s is promised already", taken,
			balance);
		return X402_OK;
	}
	err = write_hold(db, hold);
	verb->reply.claimed = !err;
	return err;
}

enum x402_err fac_sqlite_hold_get(struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT made_ms FROM holds WHERE key = ?1"
		" AND (used = 1 OR until_ms > ?2)",
		"ki", verb->key32, fac_sqlite_now_ms());
	enum x402_err err = fac_sqlite_one(stmt);

	if (err)
		return err;
	verb->reply.number = fac_sqlite_u64(stmt, 0);
	fac_sqlite_done(stmt);
	return X402_OK;
}

/* ---- Spending. ---- */

struct scope {
	const char *name;
	const char *who;
	uint64_t limit;
};

static enum x402_err add_spending(struct fac_sqlite *db, uint64_t day,
	const char *network, const struct scope *scope, int64_t gwei)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"INSERT INTO spending (day, network, scope, who, gwei)"
		" VALUES (?1, ?2, ?3, ?4, max(?5, 0))"
		" ON CONFLICT (day, network, scope, who)"
		" DO UPDATE SET gwei = max(gwei + ?5, 0)",
		"ittt", day, network, scope->name, scope->who);

	if (stmt)
		(void)sqlite3_bind_int64(stmt, 5, gwei);
	return fac_sqlite_exec(stmt);
}

/* POLICY when cost no longer fits under the scope's ceiling. */
static enum x402_err check_spending(struct fac_sqlite *db,
	struct fac_verb *verb, uint64_t day, const struct scope *scope)
{
	const struct fac_payment *payment = &verb->payment;
	sqlite3_stmt *stmt;
	uint64_t spent = 0;
	enum x402_err err;

	if (!scope->limit)
		return X402_OK;
	stmt = fac_sqlite_bound(db,
		"SELECT gwei FROM spending WHERE day = ?1 AND network = ?2"
		" AND scope = ?3 AND who = ?4",
		"ittt", day, payment->network, scope->name, scope->who);
	err = fac_sqlite_one(stmt);
	if (err && err != X402_ERR_NOT_FOUND)
		return err;
	if (!err)
		spent = fac_sqlite_u64(stmt, 0);
	if (!err)
		fac_sqlite_done(stmt);
	if (payment->cost_gwei <= scope->limit &&
		spent <= scope->limit - payment->cost_gwei)
		return X402_OK;
	snprintf(verb->reply.message, sizeof(verb->reply.message),
		FAC_SPEND_OVER_TEXT
		"%s's payments has reached its ceiling of "
		"%llu gwei a day: %llu spent, %llu more needed; nothing was "
		"sent",
		strcmp(scope->name, "total") == 0 ? "chain" : scope->name,
		(unsigned long long)scope->limit, (unsigned long long)spent,
		(unsigned long long)payment->cost_gwei);
	return X402_ERR_POLICY;
}

enum x402_err fac_sqlite_spend(
	struct fac_sqlite *db, struct fac_verb *verb, uint64_t *ret_day)
{
	const struct fac_payment *payment = &verb->payment;
	const struct fac_spend_limits *limits = &verb->limits;
	uint64_t day = fac_sqlite_now_ms() / DAY_MS;
	struct x402_settle_parties parties;
	const struct scope scopes[] = {
		{"payer", parties.payer, limits->payer_gwei},
		{"caller", payment->caller, limits->caller_gwei},
		{"total", "", limits->total_gwei}};
	enum x402_err err = X402_OK;

	*ret_day = 0;
	if (!limits->payer_gwei && !limits->caller_gwei && !limits->total_gwei)
		return X402_OK;
	parties = x402_settle_proof_parties(&payment->proof);
	for (size_t i = 0; i < 3 && !err; i++)
		err = check_spending(db, verb, day, &scopes[i]);
	for (size_t i = 0; i < 3 && !err; i++)
		err = add_spending(db, day, payment->network, &scopes[i],
			(int64_t)payment->cost_gwei);
	*ret_day = day;
	return err;
}

enum x402_err fac_sqlite_spend_anew(
	struct fac_sqlite *db, uint64_t sequence, uint64_t cost_gwei)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT spend_day, network, payer, caller, cost_gwei"
		" FROM payments WHERE sequence = ?1",
		"i", sequence);
	enum x402_err err = fac_sqlite_one(stmt);
	char network[X402_NETWORK_SIZE];
	char caller[FAC_CALLER_SIZE];
	struct x402_settle_proof proof = {.family = X402_FAMILY_EVM};
	struct x402_settle_parties parties;
	const struct scope scopes[] = {{"payer", parties.payer, 0},
		{"caller", caller, 0}, {"total", "", 0}};
	uint64_t day;
	uint64_t was;

	if (err)
		return err;
	day = fac_sqlite_u64(stmt, 0);
	fac_sqlite_text(stmt, 1, network, sizeof(network));
	(void)!fac_proof_set_party(
		&proof, FAC_PARTY_PAYER, fac_sqlite_span(stmt, 2));
	fac_sqlite_text(stmt, 3, caller, sizeof(caller));
	was = fac_sqlite_u64(stmt, 4);
	fac_sqlite_done(stmt);
	parties = x402_settle_proof_parties(&proof);
	for (size_t i = 0; i < 3 && !err && day; i++)
		err = add_spending(db, day, network, &scopes[i],
			(int64_t)cost_gwei - (int64_t)was);
	return err ? err
		   : fac_sqlite_exec(fac_sqlite_bound(db,
			     "UPDATE payments SET cost_gwei = ?2"
			     " WHERE sequence = ?1",
			     "ii", sequence, cost_gwei));
}

/* ---- Outbox. ---- */

enum x402_err fac_sqlite_post(
	struct fac_sqlite *db, uint64_t payment, enum fac_payment_state state)
{
	enum x402_err err = X402_OK;

	for (size_t i = 0; i < db->hooks_len && !err; i++)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"INSERT INTO outbox (hook, payment, state, at_ms,"
			" due_ms) VALUES (?1, ?2, ?3, ?4, ?4)",
			"titi", db->hooks[i], payment,
			fac_payment_state_text(state), fac_sqlite_now_ms()));
	return err;
}

/* Rows of stmt: sequence, hook, state, at_ms, tries, dead, error, payment. */
static enum x402_err add_outbox(
	struct fac_sqlite *db, sqlite3_stmt *stmt, struct fac_verb *verb)
{
	struct x402_buf numbers = {0};
	enum x402_err err = X402_OK;
	bool more = true;

	while (!err && !(err = fac_sqlite_row(stmt, &more)) && more) {
		struct fac_outbox_row *row = fac_verb_add_outbox(verb);
		uint64_t payment = fac_sqlite_u64(stmt, 7);
		char state[16];

		row->sequence = fac_sqlite_u64(stmt, 0);
		fac_sqlite_text(stmt, 1, row->hook, sizeof(row->hook));
		fac_sqlite_text(stmt, 2, state, sizeof(state));
		row->at_ms = fac_sqlite_u64(stmt, 3);
		row->tries = (uint32_t)fac_sqlite_u64(stmt, 4);
		row->dead = fac_sqlite_u64(stmt, 5) != 0;
		fac_sqlite_text(stmt, 6, row->error, sizeof(row->error));
		if (!fac_payment_state_parse(state, &row->state))
			err = X402_ERR_STORE;
		fac_sqlite_add_number(&numbers, payment);
	}
	for (size_t at = 0; at < numbers.len && !err; at += 8) {
		struct fac_verb one = {0};

		err = fac_sqlite_load_sequence(
			db, fac_sqlite_number_at(&numbers, at), &one);
		if (!err)
			*fac_verb_add_payment(verb) = one.payments[0];
		free(one.payments);
	}
	x402_buf_clear(&numbers);
	return err;
}

#define OUTBOX_COLUMNS                                                     \
	" o.sequence, o.hook, o.state, o.at_ms, o.tries, o.dead, o.error," \
	" o.payment FROM outbox AS o "

enum x402_err fac_sqlite_outbox_take(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	uint64_t now = fac_sqlite_now_ms();
	enum x402_err err = add_outbox(db,
		fac_sqlite_bound(db,
			"SELECT" OUTBOX_COLUMNS
			"WHERE o.dead = 0 AND o.due_ms <= ?1"
			" ORDER BY o.due_ms, o.sequence LIMIT ?2",
			"ii", now, (uint64_t)verb->limit),
		verb);

	for (size_t i = 0; i < verb->reply.outbox_len && !err; i++) {
		verb->outbox[i].tries++;
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"UPDATE outbox SET due_ms = ?2, tries = tries + 1"
			" WHERE sequence = ?1",
			"ii", verb->outbox[i].sequence, now + verb->ms));
	}
	return err;
}

enum x402_err fac_sqlite_outbox_done(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"DELETE FROM outbox WHERE sequence = ?1", "i", verb->number));
}

enum x402_err fac_sqlite_outbox_fail(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE outbox SET due_ms = ?2, dead = ?3, error = ?4"
		" WHERE sequence = ?1",
		"iiit", verb->number, fac_sqlite_now_ms() + verb->ms,
		(uint64_t)verb->dead, verb->texts[FAC_TEXT_NOTE]));
}

enum x402_err fac_sqlite_outbox_dead(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	return add_outbox(db,
		fac_sqlite_bound(db,
			"SELECT" OUTBOX_COLUMNS
			"WHERE o.dead = 1 ORDER BY o.sequence DESC LIMIT ?1",
			"i", (uint64_t)verb->limit),
		verb);
}

enum x402_err fac_sqlite_outbox_revive(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	enum x402_err err = fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE outbox SET dead = 0, tries = 0, due_ms = ?2"
		" WHERE sequence = ?1 AND dead = 1",
		"ii", verb->number, fac_sqlite_now_ms()));

	return err || sqlite3_changes(db->sqlite) ? err : X402_ERR_NOT_FOUND;
}

/* ---- Keeping house. ---- */

/*
 * Ended, told, and no transaction of it may come back: when its validBefore
 * is over too, nothing will ask for p by its key again.
 */
#define IS_DONE                                              \
	" p.state IN ('settled', 'provisioned', 'reverted'," \
	" 'expired', 'cancelled') AND NOT EXISTS"            \
	" (SELECT 1 FROM transaction_payments AS l JOIN"     \
	"  transactions AS t ON t.sequence = l.tx"           \
	"  WHERE l.payment = p.sequence"                     \
	"  AND t.state NOT IN ('final', 'replaced')) "

/*
 * One of this validBefore was forgotten: it is claimed by nobody any more, nor
 * is what ends earlier. By what was forgotten and not by the clock: one that
 * was ahead for a moment would shut the door for as long as it was ahead.
 */
static enum x402_err raise_forgotten(
	struct fac_sqlite *db, uint64_t valid_before_unix_s)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE heartbeat SET forgotten_s = ?1 + 1"
		" WHERE one = 1 AND forgotten_s <= ?1",
		"i", valid_before_unix_s));
}

/*
 * A claim that can never be dead outlives its row: 32 bytes and two numbers.
 * It names no row then, for the number may be another's one day.
 */
static enum x402_err forget_payment(struct fac_sqlite *db, uint64_t payment)
{
	static const char *const statements[] = {
		"DELETE FROM payment_events WHERE payment = ?1",
		"DELETE FROM outbox WHERE payment = ?1",
		"DELETE FROM transaction_payments WHERE payment = ?1",
		"DELETE FROM payment_references WHERE payment = ?1",
		("DELETE FROM claims WHERE payment = ?1 AND key ="
		 " (SELECT key FROM payments WHERE sequence = ?1"
		 "  AND (valid_before < " ENDLESS " OR state = 'cancelled'))"),
		("UPDATE claims SET payment = 0 WHERE payment = ?1 AND key ="
		 " (SELECT key FROM payments WHERE sequence = ?1)"),
		"DELETE FROM payments WHERE sequence = ?1"};
	enum x402_err err = X402_OK;

	for (size_t i = 0; i < sizeof(statements) / sizeof(*statements) && !err;
		i++)
		err = fac_sqlite_exec(
			fac_sqlite_bound(db, statements[i], "i", payment));
	return err;
}

/* Claims that are due: the payments' numbers, and whether they were given up.
 */
static enum x402_err read_due(
	struct fac_sqlite *db, struct fac_verb *verb, struct x402_buf *numbers)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT c.payment, p.state = 'cancelled' FROM claims AS c"
		" JOIN payments AS p ON p.sequence = c.payment"
		" WHERE c.look_s < ?1 ORDER BY c.look_s LIMIT ?2",
		"ii", verb->number, (uint64_t)verb->limit);
	enum x402_err err;
	bool row = true;

	while (!(err = fac_sqlite_row(stmt, &row)) && row) {
		fac_sqlite_add_number(numbers, fac_sqlite_u64(stmt, 0));
		fac_sqlite_add_number(numbers, fac_sqlite_u64(stmt, 1));
	}
	return err;
}

/* One whose success nobody was told stays: it may still be asked for. */
static enum x402_err look_at_claim(struct fac_sqlite *db, struct fac_verb *verb,
	uint64_t payment, uint64_t *last)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT p.valid_before FROM payments AS p WHERE p.sequence = ?1"
		" AND p.valid_before < ?2 AND (p.credited = 1"
		"  OR p.state NOT IN ('settled', 'provisioned'))"
		" AND" IS_DONE,
		"ii", payment, verb->number);
	enum x402_err err = fac_sqlite_one(stmt);

	if (!err) {
		if (fac_sqlite_u64(stmt, 0) > *last)
			*last = fac_sqlite_u64(stmt, 0);
		fac_sqlite_done(stmt);
		return fac_sqlite_exec(fac_sqlite_bound(db,
			"DELETE FROM claims WHERE payment = ?1 AND key ="
			" (SELECT key FROM payments WHERE sequence = ?1)",
			"i", payment));
	}
	if (err != X402_ERR_NOT_FOUND)
		return err;
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE claims SET look_s = ?2 WHERE key ="
		" (SELECT key FROM payments WHERE sequence = ?1)",
		"ii", payment, verb->number + LOOK_AGAIN_S));
}

/* What is over by itself, whatever became of its payment. */
static enum x402_err forget_the_rest(
	struct fac_sqlite *db, const struct fac_verb *verb)
{
	enum x402_err err = fac_sqlite_exec(fac_sqlite_bound(db,
		"DELETE FROM holds WHERE key IN (SELECT key FROM holds"
		" WHERE until_ms < ?1 LIMIT ?2)",
		"ii", verb->number * 1000, (uint64_t)verb->limit));

	return err ? err
		   : fac_sqlite_exec(fac_sqlite_bound(db,
			     "DELETE FROM spending WHERE day < ?1", "i",
			     fac_sqlite_now_ms() / DAY_MS - SPENDING_DAYS));
}

enum x402_err fac_sqlite_forget_claims(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	struct x402_buf numbers = {0};
	uint64_t last = 0;
	enum x402_err err = read_due(db, verb, &numbers);

	for (size_t at = 0; at < numbers.len && !err; at += 16) {
		uint64_t payment = fac_sqlite_number_at(&numbers, at);

		/* Nothing of it was sent: it may as well come again. */
		if (fac_sqlite_number_at(&numbers, at + 8))
			err = forget_payment(db, payment);
		else
			err = look_at_claim(db, verb, payment, &last);
	}
	if (!err && last)
		err = raise_forgotten(db, last);
	verb->reply.number = numbers.len / 16;
	x402_buf_clear(&numbers);
	return err ? err : forget_the_rest(db, verb);
}

/* Transactions that pay nothing any more; the last nonce of each stays. */
static enum x402_err forget_transactions(struct fac_sqlite *db, uint32_t limit)
{
	enum x402_err err = fac_sqlite_script(db,
		"CREATE TEMP TABLE IF NOT EXISTS gone (tx INTEGER);"
		"DELETE FROM gone");

	if (!err)
		err = fac_sqlite_exec(fac_sqlite_bound(db,
			"INSERT INTO gone SELECT t.sequence"
			" FROM (SELECT * FROM transactions ORDER BY sequence"
			" LIMIT ?2) AS t WHERE t.state IN"
			" ('final', 'replaced') AND NOT EXISTS (SELECT 1 FROM"
			" transaction_payments AS l WHERE l.tx = t.sequence)"
			" AND t.nonce < (SELECT max(nonce) FROM transactions"
			" AS n WHERE n.network = t.network"
			" AND n.signer = t.signer) LIMIT ?1",
			"ii", (uint64_t)limit, (uint64_t)limit * RETIRE_LOOK));
	if (!err)
		err = fac_sqlite_script(db,
			"DELETE FROM attempts WHERE tx IN (SELECT tx FROM"
			" gone);"
			"DELETE FROM transactions WHERE sequence IN"
			" (SELECT tx FROM gone)");
	return err;
}

/* Nor may one that goes with its row be claimed again. */
static enum x402_err raise_by(struct fac_sqlite *db, uint64_t payment)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE heartbeat SET forgotten_s = p.valid_before + 1"
		" FROM payments AS p WHERE p.sequence = ?1"
		" AND p.valid_before < " ENDLESS
		" AND forgotten_s <= p.valid_before",
		"i", payment));
}

enum x402_err fac_sqlite_retire(struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_bound(db,
		"SELECT p.sequence FROM (SELECT * FROM payments"
		" ORDER BY sequence LIMIT ?3) AS p"
		" WHERE (p.valid_before < ?1 OR (p.valid_before = " ENDLESS
		"  AND p.updated_ms < ?1 * 1000)) AND" IS_DONE
		"ORDER BY p.sequence LIMIT ?2",
		"iii", verb->number, (uint64_t)verb->limit,
		(uint64_t)verb->limit * RETIRE_LOOK);
	struct x402_buf numbers = {0};
	enum x402_err err;
	bool row = true;

	while (!(err = fac_sqlite_row(stmt, &row)) && row)
		fac_sqlite_add_number(&numbers, fac_sqlite_u64(stmt, 0));
	for (size_t at = 0; at < numbers.len && !err; at += 8) {
		uint64_t payment = fac_sqlite_number_at(&numbers, at);

		err = raise_by(db, payment);
		if (!err)
			err = forget_payment(db, payment);
		verb->reply.number++;
	}
	x402_buf_clear(&numbers);
	return err ? err : forget_transactions(db, verb->limit);
}

enum x402_err fac_sqlite_health(struct fac_sqlite *db, struct fac_verb *verb)
{
	(void)verb;
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"UPDATE heartbeat SET at_ms = ?1 WHERE one = 1", "i",
		fac_sqlite_now_ms()));
}
