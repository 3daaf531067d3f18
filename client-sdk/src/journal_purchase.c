/*
 * journal_purchase.c: the life of a purchase, in the journal's own verbs.
 *
 *   reserve   an open one is presented again; else loop detector, budgets,
 *             a RESERVED row and its place in every counter, at once
 *   sign      RESERVED -> UNKNOWN with the authorization, before it leaves
 *   finish    what the call found out; ends the hold
 *   resolve   what the chain or a facilitator found out
 *
 * UNKNOWN is left only by a receipt that fits, or by proof. A refusal is no
 * proof: the server holds the authorization until its time is over.
 */
#include "journal_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The loop detector looks back this far. */
#define LOOP_WINDOW_MS 60000

/* ---- Names of purchases. ---- */

static void add_part(struct x402_keccak *keccak, struct x402_span part)
{
	uint8_t len[8];
	/* With its length, so that no two lists of parts are one text. */
	for (int i = 0; i < 8; i++)
		len[i] = (uint8_t)((uint64_t)part.len >> (8 * i));
	x402_keccak_update(keccak, x402_span(len, sizeof(len)));
	x402_keccak_update(keccak, part);
}

static void hash_request(
	const struct x402__journal_ask *ask, uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;
	x402_keccak_init(&keccak);
	add_part(&keccak, x402_span_str("request"));
	add_part(&keccak, x402_span_str(ask->method));
	add_part(&keccak, x402_span_str(ask->url));
	add_part(&keccak, ask->body);
	x402_keccak_final(&keccak, ret_hash32);
}

static void hash_id(const char *id, uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;
	x402_keccak_init(&keccak);
	add_part(&keccak, x402_span_str("id"));
	add_part(&keccak, x402_span_str(id));
	x402_keccak_final(&keccak, ret_hash32);
}

const char *x402_purchase_state_name(enum x402_purchase_state state)
{
	switch (state) {
	case X402_PURCHASE_RESERVED:
		return "reserved";
	case X402_PURCHASE_UNKNOWN:
		return "unknown";
	case X402_PURCHASE_DELIVERED:
		return "paid_delivered";
	case X402_PURCHASE_UNDELIVERED:
		return "paid_undelivered";
	case X402_PURCHASE_UNPAID:
		return "not_paid";
	}
	return "unknown";
}

/* ---- Rows. ---- */

#define COLUMNS                \
	X402__PURCHASE_COLUMNS \
	", request, holder, held_until, live, counted"
#define COLUMN_REQUEST    30
#define COLUMN_HOLDER     31
#define COLUMN_HELD_UNTIL 32
#define COLUMN_LIVE       33
#define COLUMN_COUNTED    34

static void take(char *out, size_t size, sqlite3_stmt *stmt, int column)
{
	snprintf(out, size, "%s", x402__journal_text(stmt, column));
}
#define TAKE(field, column) take(out.field, sizeof(out.field), stmt, column)

static enum x402_purchase_state state_of(sqlite3_stmt *stmt, int column)
{
	int state = sqlite3_column_int(stmt, column);
	return state >= X402_PURCHASE_RESERVED && state <= X402_PURCHASE_UNPAID
		? (enum x402_purchase_state)state
		: X402_PURCHASE_UNKNOWN;
}

enum x402_err x402__purchase_read(
	sqlite3_stmt *stmt, struct x402_purchase *ret_purchase)
{
	struct x402_purchase out = {0};
	out.number = sqlite3_column_int64(stmt, 0);
	if (sqlite3_column_bytes(stmt, 1) == 32)
		memcpy(out.key32, sqlite3_column_blob(stmt, 1), 32);
	TAKE(id, 2);
	TAKE(session, 3);
	TAKE(correlation, 4);
	TAKE(method, 5);
	out.url = strdup(x402__journal_text(stmt, 6));
	TAKE(host, 7);
	out.state = state_of(stmt, 8);
	out.x402_version = sqlite3_column_int(stmt, 9);
	TAKE(scheme, 10);
	TAKE(network, 11);
	TAKE(asset, 12);
	TAKE(amount, 13);
	TAKE(charged, 14);
	out.usd_micros = sqlite3_column_int64(stmt, 15);
	TAKE(pay_to, 16);
	TAKE(payer, 17);
	out.valid_before_unix_s = (uint64_t)sqlite3_column_int64(stmt, 18);
	TAKE(header_name, 19);
	out.header_text = strdup(x402__journal_text(stmt, 20));
	TAKE(said, 21);
	TAKE(reason, 22);
	TAKE(transaction, 23);
	out.receipt_json = strdup(x402__journal_text(stmt, 24));
	out.http_status = (long)sqlite3_column_int64(stmt, 25);
	out.presented = (unsigned)sqlite3_column_int64(stmt, 26);
	out.delivered = sqlite3_column_int(stmt, 27) != 0;
	out.created_unix_ms = (uint64_t)sqlite3_column_int64(stmt, 28);
	out.updated_unix_ms = (uint64_t)sqlite3_column_int64(stmt, 29);
	if (!out.url || !out.header_text || !out.receipt_json) {
		x402_purchase_clear(&out);
		return X402_ERR_NOMEM;
	}
	*ret_purchase = out;
	return X402_OK;
}

void x402_purchase_clear(struct x402_purchase *purchase)
{
	if (!purchase)
		return;
	free(purchase->url);
	free(purchase->header_text);
	free(purchase->receipt_json);
	*purchase = (struct x402_purchase){0};
}

/* A purchase with what only the journal looks at. */
struct row {
	struct x402_purchase purchase;
	uint8_t request32[32];
	char holder[128];
	uint64_t held_until;
	bool live;
	uint64_t counted_ms; /* in which buckets of the budgets */
};

static enum x402_err read_row(sqlite3_stmt *stmt, struct row *ret_row)
{
	struct row row = {0};
	enum x402_err err = x402__purchase_read(stmt, &row.purchase);
	if (err)
		return err;
	if (sqlite3_column_bytes(stmt, COLUMN_REQUEST) == 32)
		memcpy(row.request32, sqlite3_column_blob(stmt, COLUMN_REQUEST),
			32);
	take(row.holder, sizeof(row.holder), stmt, COLUMN_HOLDER);
	row.held_until = (uint64_t)sqlite3_column_int64(
		stmt, COLUMN_HELD_UNTIL);
	row.live = sqlite3_column_int(stmt, COLUMN_LIVE) != 0;
	row.counted_ms = (uint64_t)sqlite3_column_int64(stmt, COLUMN_COUNTED);
	/* By an older build, which counted by the time of day. */
	if (!row.counted_ms)
		row.counted_ms = row.purchase.created_unix_ms;
	*ret_row = row;
	return X402_OK;
}

/* The one row of a statement; NOT_FOUND. */
static enum x402_err one_row(
	struct x402_journal *journal, sqlite3_stmt *stmt, struct row *ret_row)
{
	bool found = false;
	enum x402_err err = x402__journal_row(journal, stmt, &found);
	if (!err && !found)
		return X402_ERR_NOT_FOUND;
	if (!err)
		err = read_row(stmt, ret_row);
	if (stmt)
		x402__journal_done(stmt);
	return err;
}

static enum x402_err find_number(
	struct x402_journal *journal, int64_t number, struct row *ret_row)
{
	return one_row(journal,
		x402__journal_bound(journal,
			"SELECT " COLUMNS " FROM purchases WHERE number = ?1",
			"i", number),
		ret_row);
}

static bool is_held(const struct row *row, uint64_t now_unix_ms)
{
	return x402__holder_is_alive(row->holder, row->held_until, now_unix_ms);
}

static struct x402__spend spend_of(const struct row *row)
{
	const struct x402_purchase *purchase = &row->purchase;
	return (struct x402__spend){
		.host = purchase->host,
		.payee = purchase->pay_to,
		.network = purchase->network,
		.asset = purchase->asset,
		.session = purchase->session,
		.correlation = purchase->correlation,
		.usd_micros = purchase->usd_micros,
		.amount = purchase->amount,
		.at_ms = row->counted_ms,
	};
}

/* It cannot be charged: out of the budgets, and its text is of no use. */
static enum x402_err mark_unpaid(struct x402_journal *journal,
	const struct row *row, uint64_t now_unix_ms)
{
	struct x402__spend spend = spend_of(row);
	enum x402_err err = x402__budget_take_back(journal, &spend, NULL);
	if (err)
		return err;
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"UPDATE purchases SET state = 4, live = 0,"
			" charged = '0', holder = '', held_until = 0,"
			" updated = ?2 WHERE number = ?1",
			"ii", row->purchase.number, (int64_t)now_unix_ms));
}

/* ---- Reserve. ---- */

static void refuse(struct x402__journal_grant *grant,
	enum x402_client_cause cause, const char *text)
{
	grant->verdict = X402__JOURNAL_REFUSE;
	grant->cause = cause;
	if (text)
		x402_errinfo_set(&grant->info, "journal", "%s", text);
}

/* Go on with what is open already: the same authorization, held by us. */
static enum x402_err present(struct x402_journal *journal,
	const struct x402__journal_ask *ask, struct row *row,
	struct x402__journal_grant *grant)
{
	enum x402_err err = x402__journal_run(journal,
		x402__journal_bound(journal,
			"UPDATE purchases SET holder = ?2, held_until = ?3"
			" WHERE number = ?1",
			"iti", row->purchase.number, journal->holder,
			(int64_t)(ask->now_unix_ms + ask->hold_ms)));
	if (err)
		return err;
	grant->verdict = X402__JOURNAL_PRESENT;
	grant->number = row->purchase.number;
	grant->purchase = row->purchase;
	row->purchase = (struct x402_purchase){0};
	return X402_OK;
}

/* True in *ret_free: nothing is open any more. Else grant is decided. */
static enum x402_err meet_open(struct x402_journal *journal,
	const struct x402__journal_ask *ask, struct row *row,
	struct x402__journal_grant *grant, bool *ret_free)
{
	const struct x402_purchase *purchase = &row->purchase;
	*ret_free = false;
	if (is_held(row, ask->now_unix_ms)) {
		refuse(grant, X402_CLIENT_CAUSE_BUSY, NULL);
		return X402_OK;
	}
	if (purchase->state == X402_PURCHASE_RESERVED) {
		*ret_free = true;
		return mark_unpaid(journal, row, ask->now_unix_ms);
	}
	if (ask->buy_again) {
		*ret_free = true;
		return x402__journal_run(journal,
			x402__journal_bound(journal,
				"UPDATE purchases SET live = 0"
				" WHERE number = ?1",
				"i", purchase->number));
	}
	if (purchase->state == X402_PURCHASE_UNKNOWN &&
		purchase->valid_before_unix_s * 1000 <= ask->now_unix_ms) {
		grant->number = purchase->number;
		refuse(grant, X402_CLIENT_CAUSE_UNRESOLVED, NULL);
		return X402_OK;
	}
	return present(journal, ask, row, grant);
}

/* True in *ret_found for a row of this name in that state. */
static enum x402_err exists(
	struct x402_journal *journal, sqlite3_stmt *stmt, bool *ret_found)
{
	enum x402_err err = x402__journal_row(journal, stmt, ret_found);
	if (!err && *ret_found)
		x402__journal_done(stmt);
	return err;
}

static bool has_id(const struct x402__journal_ask *ask)
{
	return ask->id && *ask->id;
}

/* An id is the name of one request, and is bought once. */
static enum x402_err check_history(struct x402_journal *journal,
	const struct x402__journal_ask *ask, const uint8_t key32[32],
	const uint8_t request32[32], struct x402__journal_grant *grant)
{
	bool found = false;
	enum x402_err err = X402_OK;
	if (has_id(ask)) {
		err = exists(journal,
			x402__journal_bound(journal,
				"SELECT 1 FROM purchases WHERE key = ?1"
				" AND request <> ?2 AND state <> 4 LIMIT 1",
				"bb", key32, request32),
			&found);
		if (!err && found)
			refuse(grant, X402_CLIENT_CAUSE_CONFLICT, NULL);
	}
	if (err || found || ask->buy_again || !(ask->once || has_id(ask)))
		return err;
	err = exists(journal,
		x402__journal_bound(journal,
			"SELECT 1 FROM purchases WHERE key = ?1 AND state = 2"
			" LIMIT 1",
			"b", key32),
		&found);
	if (!err && found)
		refuse(grant, X402_CLIENT_CAUSE_ALREADY_PAID, NULL);
	return err;
}

static enum x402_err check_loop(struct x402_journal *journal,
	const struct x402__journal_ask *ask, const uint8_t request32[32],
	struct x402__journal_grant *grant)
{
	sqlite3_stmt *stmt = x402__journal_bound(journal,
		"SELECT count(*) FROM (SELECT 1 FROM purchases"
		" WHERE request = ?1 AND counted > ?2 AND state <> 4"
		" ORDER BY number DESC LIMIT ?3)",
		"bii", request32, (int64_t)(grant->at_ms - LOOP_WINDOW_MS),
		(int64_t)ask->loop_max);
	bool row = false;
	enum x402_err err = x402__journal_row(journal, stmt, &row);
	if (err)
		return err;
	int64_t count = row ? sqlite3_column_int64(stmt, 0) : 0;
	x402__journal_done(stmt);
	if (count >= (int64_t)ask->loop_max) {
		refuse(grant, X402_CLIENT_CAUSE_LOOP, NULL);
		x402_errinfo_set(&grant->info, "journal",
			"the same request was bought %lld times within a "
			"minute",
			(long long)count);
	}
	return X402_OK;
}

static enum x402_err insert(struct x402_journal *journal,
	const struct x402__journal_ask *ask, const uint8_t key32[32],
	const uint8_t request32[32], const struct x402__spend *spend)
{
	const struct x402_client_payment *terms = ask->terms;
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"INSERT INTO purchases (key, request, live, state, id,"
			" session, correlation, method, url, host, version,"
			" scheme, network, asset, amount, usd, pay_to, payer,"
			" created, updated, holder, held_until, counted)"
			" VALUES (?1, ?2, 1, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
			" ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?17, ?18,"
			" ?19, ?20)",
			"bbttttttittttittitii", key32, request32, ask->id,
			ask->session, ask->correlation, ask->method, ask->url,
			ask->host, (int64_t)terms->x402_version, terms->scheme,
			terms->network, terms->asset, terms->amount,
			spend->usd_micros, terms->pay_to, terms->payer,
			(int64_t)ask->now_unix_ms, journal->holder,
			(int64_t)(ask->now_unix_ms + ask->hold_ms),
			(int64_t)spend->at_ms));
}

static enum x402_err reserve_new(struct x402_journal *journal,
	const struct x402__journal_ask *ask, const uint8_t key32[32],
	const uint8_t request32[32], struct x402__journal_grant *grant)
{
	const struct x402_client_payment *terms = ask->terms;
	struct x402__spend spend = {
		.host = ask->host,
		.payee = terms->pay_to,
		.network = terms->network,
		.asset = terms->asset,
		.session = ask->session ? ask->session : "",
		.correlation = ask->correlation ? ask->correlation : "",
		.usd_micros = x402__usd_micros(
			terms->network, terms->asset, terms->amount),
		.amount = terms->amount,
		.at_ms = grant->at_ms,
	};
	enum x402_err err = x402__budget_check(
		journal, &spend, ask->budgets, ask->budgets_len, &grant->info);
	if (err == X402_ERR_POLICY) {
		refuse(grant, X402_CLIENT_CAUSE_BUDGET, NULL);
		return X402_OK;
	}
	if (!err)
		err = insert(journal, ask, key32, request32, &spend);
	if (err)
		return err;
	grant->verdict = X402__JOURNAL_SIGN;
	grant->number = sqlite3_last_insert_rowid(journal->sqlite);
	return x402__budget_add(journal, &spend);
}

enum x402_err x402__journal_reserve(struct x402_journal *journal,
	const struct x402__journal_ask *ask,
	struct x402__journal_grant *ret_grant)
{
	struct x402__journal_grant grant = {0};
	uint8_t request32[32];
	uint8_t key32[32];
	hash_request(ask, request32);
	if (has_id(ask))
		hash_id(ask->id, key32);
	else
		memcpy(key32, request32, sizeof(key32));
	enum x402_err err = x402__journal_tick(
		journal, ask->now_unix_ms, &grant.at_ms);
	if (!err)
		err = check_history(journal, ask, key32, request32, &grant);
	bool decided = grant.cause != X402_CLIENT_CAUSE_NONE;
	if (!err && !decided) {
		struct row row = {0};
		bool is_free = true;
		err = one_row(journal,
			x402__journal_bound(journal,
				"SELECT " COLUMNS " FROM purchases"
				" WHERE key = ?1 AND live = 1",
				"b", key32),
			&row);
		if (!err)
			err = meet_open(journal, ask, &row, &grant, &is_free);
		else if (err == X402_ERR_NOT_FOUND)
			err = X402_OK;
		x402_purchase_clear(&row.purchase);
		decided = !is_free;
	}
	if (!err && !decided && ask->present_only) {
		refuse(&grant, X402_CLIENT_CAUSE_UNRESOLVED, NULL);
		decided = true;
	}
	if (!err && !decided) {
		err = check_loop(journal, ask, request32, &grant);
		decided = grant.cause != X402_CLIENT_CAUSE_NONE;
	}
	if (!err && !decided)
		err = reserve_new(journal, ask, key32, request32, &grant);
	if (err) {
		x402_purchase_clear(&grant.purchase);
		return err;
	}
	*ret_grant = grant;
	return X402_OK;
}

/* ---- Sign, finish, resolve. ---- */

enum x402_err x402__journal_sign(struct x402_journal *journal, int64_t number,
	const struct x402_client_payment *payment, uint64_t now_unix_ms)
{
	enum x402_err err = x402__journal_run(journal,
		x402__journal_bound(journal,
			"UPDATE purchases SET state = 1, valid_before = ?3,"
			" header_name = ?4, header_text = ?5, payer = ?6,"
			" updated = ?7"
			" WHERE number = ?1 AND state = 0 AND holder = ?2",
			"itittti", number, journal->holder,
			(int64_t)payment->valid_before_unix_s,
			payment->header_name, payment->header_text,
			payment->payer, (int64_t)now_unix_ms));
	if (err)
		return err;
	return sqlite3_changes(journal->sqlite) == 1 ? X402_OK
						     : X402_ERR_CONFLICT;
}

/* An `upto` payment takes what the receipt says, never more than signed. */
static enum x402_err settle_charge(struct x402_journal *journal,
	const struct row *row, const char *charged,
	char ret_charged[X402_U256_DEC_SIZE], int64_t *ret_usd)
{
	const struct x402_purchase *purchase = &row->purchase;
	struct x402_u256 most;
	struct x402_u256 taken;
	snprintf(ret_charged, X402_U256_DEC_SIZE, "%s", purchase->amount);
	*ret_usd = purchase->usd_micros;
	if (strcmp(purchase->scheme, "upto") != 0 || !charged || !*charged ||
		x402_u256_from_dec(charged, &taken) ||
		x402_u256_from_dec(purchase->amount, &most) ||
		x402_u256_cmp(&taken, &most) >= 0)
		return X402_OK;
	struct x402__spend reserved = spend_of(row);
	struct x402__spend actual = reserved;
	x402_u256_to_dec(&taken, ret_charged);
	actual.amount = ret_charged;
	actual.usd_micros = x402__usd_micros(
		purchase->network, purchase->asset, ret_charged);
	*ret_usd = actual.usd_micros;
	return x402__budget_take_back(journal, &reserved, &actual);
}

/* What a row says about the money. */
struct account {
	enum x402_purchase_state state;
	bool stays_live;
	char charged[X402_U256_DEC_SIZE];
	int64_t usd;
};

/* As it stands. */
static struct account account_of(const struct x402_purchase *purchase)
{
	struct account account = {.state = purchase->state,
		.stays_live = true,
		.usd = purchase->usd_micros};
	snprintf(account.charged, sizeof(account.charged), "%s",
		purchase->charged);
	return account;
}

/* It was paid: the budgets learn what was taken, the row does by the caller. */
static enum x402_err count_paid(struct x402_journal *journal,
	const struct row *row, const char *charged, bool delivered,
	struct account *account)
{
	account->state = delivered ? X402_PURCHASE_DELIVERED
				   : X402_PURCHASE_UNDELIVERED;
	account->stays_live = !delivered;
	return account->charged[0] ? X402_OK
				   : settle_charge(journal, row, charged,
					     account->charged, &account->usd);
}

static enum x402_err mark_paid(
	struct x402_journal *journal, const struct row *row)
{
	const struct x402_purchase *purchase = &row->purchase;
	struct account account = account_of(purchase);
	enum x402_err err = count_paid(
		journal, row, NULL, purchase->delivered, &account);
	if (err)
		return err;
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"UPDATE purchases SET state = ?2, live = live & ?3,"
			" charged = ?4, usd = ?5, holder = '', held_until = 0"
			" WHERE number = ?1",
			"iiiti", purchase->number, (int64_t)account.state,
			(int64_t)account.stays_live, account.charged,
			account.usd));
}

/*
 * Write down what was heard, whatever it proves. In one step with the account:
 * each writes the whole row anew, with the authorization in it.
 */
static enum x402_err note(struct x402_journal *journal,
	const struct x402_purchase *purchase,
	const struct x402__journal_end_of *end, bool delivered,
	const struct account *account)
{
	const struct x402_client_payment *payment = end->payment;
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"UPDATE purchases SET said = ?2, reason = ?3,"
			" tx = CASE ?4 WHEN '' THEN tx ELSE ?4 END,"
			" receipt = CASE ?5 WHEN '' THEN receipt ELSE ?5 END,"
			" status = ?6, presented = presented + ?7,"
			" delivered = delivered | ?8, updated = ?9,"
			" state = ?10, live = live & ?11, charged = ?12,"
			" usd = ?13, holder = '', held_until = 0"
			" WHERE number = ?1",
			"ittttiiiiiiti", purchase->number,
			x402_client_outcome_name(payment->outcome),
			payment->reason, payment->transaction,
			payment->settle_response_json,
			(int64_t)end->http_status, (int64_t)payment->presented,
			(int64_t)delivered, (int64_t)end->now_unix_ms,
			(int64_t)account->state, (int64_t)account->stays_live,
			account->charged, account->usd));
}

enum x402_err x402__journal_finish(struct x402_journal *journal, int64_t number,
	const struct x402__journal_end_of *end)
{
	const struct x402_client_payment *payment = end->payment;
	struct row row = {0};
	enum x402_err err = find_number(journal, number, &row);
	if (err)
		return err;
	const struct x402_purchase *purchase = &row.purchase;
	bool delivered = end->delivered && payment->attempted &&
		end->http_status >= 200 && end->http_status < 400;
	bool proven = purchase->state == X402_PURCHASE_DELIVERED ||
		purchase->state == X402_PURCHASE_UNDELIVERED;
	/* Another process has taken it over; what it finds out counts. */
	if (strcmp(row.holder, journal->holder) != 0)
		err = X402_ERR_CONFLICT;
	bool paid = payment->outcome == X402_CLIENT_OUTCOME_PAID || proven;
	struct account account = account_of(purchase);
	if (!err && paid)
		err = count_paid(journal, &row, payment->charged,
			delivered || purchase->delivered, &account);
	if (!err)
		err = note(journal, purchase, end, delivered, &account);
	bool never_left = end->signed_now && !payment->presented;
	if (!err && !paid &&
		(purchase->state == X402_PURCHASE_RESERVED ||
			(purchase->state == X402_PURCHASE_UNKNOWN &&
				never_left)))
		err = mark_unpaid(journal, &row, end->now_unix_ms);
	x402_purchase_clear(&row.purchase);
	return err;
}

enum x402_err x402__journal_resolve(struct x402_journal *journal,
	int64_t number, enum x402__journal_proof proof, const char *transaction,
	uint64_t now_unix_ms)
{
	struct row row = {0};
	enum x402_err err = find_number(journal, number, &row);
	if (err)
		return err;
	const struct x402_purchase *purchase = &row.purchase;
	if (purchase->state != X402_PURCHASE_UNKNOWN ||
		is_held(&row, now_unix_ms))
		err = X402_ERR_NOT_FOUND;
	if (!err && proof == X402__JOURNAL_PROOF_DEAD)
		err = mark_unpaid(journal, &row, now_unix_ms);
	if (!err && proof == X402__JOURNAL_PROOF_PAID) {
		err = mark_paid(journal, &row);
		if (!err && transaction && *transaction)
			err = x402__journal_run(journal,
				x402__journal_bound(journal,
					"UPDATE purchases SET tx = ?2"
					" WHERE number = ?1",
					"it", number, transaction));
	}
	x402_purchase_clear(&row.purchase);
	return err;
}

/* The first reservation whose holder is gone, from a number on. */
static enum x402_err next_dead(struct x402_journal *journal, int64_t after,
	uint64_t now_unix_ms, struct row *ret_row)
{
	for (;;) {
		struct row row = {0};
		enum x402_err err = one_row(journal,
			x402__journal_bound(journal,
				"SELECT " COLUMNS " FROM purchases"
				" WHERE state IN (0, 1, 3) AND state = 0"
				" AND number > ?1 ORDER BY number LIMIT 1",
				"i", after),
			&row);
		if (err)
			return err;
		if (!is_held(&row, now_unix_ms)) {
			*ret_row = row;
			return X402_OK;
		}
		after = row.purchase.number;
		x402_purchase_clear(&row.purchase);
	}
}

enum x402_err x402__journal_release_dead(
	struct x402_journal *journal, uint64_t now_unix_ms)
{
	int64_t after = 0;
	for (;;) {
		struct row row = {0};
		enum x402_err err = next_dead(
			journal, after, now_unix_ms, &row);
		if (err)
			return err == X402_ERR_NOT_FOUND ? X402_OK : err;
		after = row.purchase.number;
		err = mark_unpaid(journal, &row, now_unix_ms);
		x402_purchase_clear(&row.purchase);
		if (err)
			return err;
	}
}

enum x402_err x402_journal_abandon(struct x402_journal *journal, int64_t number)
{
	struct row row = {0};
	enum x402_err err = x402__journal_begin(journal, true);
	if (err)
		return err;
	err = find_number(journal, number, &row);
	if (!err && (!row.live || row.purchase.state == X402_PURCHASE_RESERVED))
		err = X402_ERR_CONFLICT;
	if (!err)
		err = x402__journal_run(journal,
			x402__journal_bound(journal,
				"UPDATE purchases SET live = 0"
				" WHERE number = ?1",
				"i", number));
	x402_purchase_clear(&row.purchase);
	return x402__journal_end(journal, err);
}
