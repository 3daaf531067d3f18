/*
 * journal_budget.c: what may still be spent.
 *
 * Every purchase is added to counters when it is reserved, in the same
 * transaction that checked them, and taken out when it is proven unpaid. A
 * counter is a scope, a subject and a bucket of time: one for ever, one for
 * each minute, one for each hour. A window of an hour is the sum of 61
 * minutes, of a day 25 hours: the oldest bucket counts whole, so a limit is
 * never exceeded, and a check costs the same with a million purchases behind
 * it. Time is journal_clock.c's, for a wall clock may be set. What a
 * transaction adds is gathered and written at its end: a crawler's purchases of
 * one turn are of few hosts and one moment.
 */
#include "journal_p.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

/* Scopes of counters: those of budgets, and two that only count. */
enum counter {
	COUNTER_ALL = X402_BUDGET_ALL,
	COUNTER_HOST = X402_BUDGET_HOST,
	COUNTER_PAYEE = X402_BUDGET_PAYEE,
	COUNTER_ASSET = X402_BUDGET_ASSET,
	COUNTER_SESSION,
	COUNTER_CORRELATION
};
enum grain { GRAIN_EVER, GRAIN_MINUTE, GRAIN_HOUR };

/* "network/asset" and "host:port" fit. */
#define SUBJECT_SIZE 288
/* A dollar figure beyond this is nobody's; sums of it stay in 63 bits. */
#define USD_MAX INT64_C(1000000000000000)

struct tally {
	uint64_t usd_micros;
	struct x402_u256 units; /* of one asset */
	uint64_t count;
};

int64_t x402__usd_micros(
	const char *network, const char *asset, const char *amount)
{
	const struct x402_default_asset *known = x402_known_asset(
		network, asset);
	struct x402_u256 value;
	struct x402_u256 one = x402_u256_from_u64(1);
	uint64_t micros = 0;
	if (!known || !known->usd || x402_u256_from_dec(amount, &value))
		return -1;
	unsigned decimals = known->decimals;
	for (; decimals < 6; decimals++)
		if (!x402_u256_mul_u64(&value, 10, &value))
			return USD_MAX;
	for (; decimals > 6; decimals--) {
		uint64_t rest = 0;
		if (!x402_u256_div_u64(&value, 10, &value, &rest) ||
			(rest && !x402_u256_add(&value, &one, &value)))
			return USD_MAX;
	}
	return x402_u256_to_u64(&value, &micros) && micros < (uint64_t)USD_MAX
		? (int64_t)micros
		: USD_MAX;
}

/* ---- Subjects. ---- */

/* Hosts and EVM addresses in one spelling; base58 is left as it is. */
static void fold(char *text)
{
	const char *address = strchr(text, '/');
	bool is_evm = strncmp(text, "0x", 2) == 0 ||
		strncmp(text, "0X", 2) == 0 || strncmp(text, "eip155:", 7) == 0;
	bool is_other = address && !is_evm;
	if (is_other)
		return;
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

static void subject_of(enum counter counter, const struct x402__spend *spend,
	char ret_subject[SUBJECT_SIZE])
{
	ret_subject[0] = '\0';
	switch (counter) {
	case COUNTER_ALL:
		break;
	case COUNTER_HOST:
		snprintf(ret_subject, SUBJECT_SIZE, "%s", spend->host);
		fold(ret_subject);
		break;
	case COUNTER_PAYEE:
		snprintf(ret_subject, SUBJECT_SIZE, "%s", spend->payee);
		if (strncmp(ret_subject, "0x", 2) == 0)
			fold(ret_subject);
		break;
	case COUNTER_ASSET:
		snprintf(ret_subject, SUBJECT_SIZE, "%s/%s", spend->network,
			spend->asset);
		fold(ret_subject);
		break;
	case COUNTER_SESSION:
		snprintf(ret_subject, SUBJECT_SIZE, "%s", spend->session);
		break;
	case COUNTER_CORRELATION:
		snprintf(ret_subject, SUBJECT_SIZE, "%s", spend->correlation);
		break;
	}
}

static void budget_subject(
	const struct x402_budget *budget, char ret_subject[SUBJECT_SIZE])
{
	bool named = budget->scope != X402_BUDGET_ALL && budget->subject;
	snprintf(ret_subject, SUBJECT_SIZE, "%s", named ? budget->subject : "");
	if (budget->scope != X402_BUDGET_PAYEE ||
		strncmp(ret_subject, "0x", 2) == 0)
		fold(ret_subject);
}

static int64_t bucket_of(enum grain grain, uint64_t at_ms)
{
	switch (grain) {
	case GRAIN_EVER:
		return 0;
	case GRAIN_MINUTE:
		return (int64_t)(at_ms / 60000);
	case GRAIN_HOUR:
		return (int64_t)(at_ms / 3600000);
	}
	return 0;
}

/* ---- Counters. ---- */

/* Which counter of what grain, for whom, from which bucket on. */
struct range {
	enum counter counter;
	enum grain grain;
	int64_t from;
	const char *subject;
};

/* ---- What the open transaction has added. ---- */

/* Enough for the hosts of a turn; more are written as they come. */
#define PENDING_MAX 256

struct x402__pending {
	enum counter counter;
	enum grain grain;
	int64_t bucket;
	struct tally tally;
	char subject[SUBJECT_SIZE];
};

static bool is_of(
	const struct x402__pending *pending, const struct range *range)
{
	return pending->counter == range->counter &&
		pending->grain == range->grain &&
		strcmp(pending->subject, range->subject) == 0;
}

static enum x402_err add_to(
	struct tally *tally, const struct x402__spend *spend, bool units)
{
	struct x402_u256 amount;
	tally->usd_micros += spend->usd_micros > 0 ? (uint64_t)spend->usd_micros
						   : 0;
	tally->count++;
	if (!units)
		return X402_OK;
	if (x402_u256_from_dec(spend->amount, &amount))
		return X402_ERR_STORE;
	return x402_u256_add(&tally->units, &amount, &tally->units)
		? X402_OK
		: X402_ERR_OVERFLOW;
}

/* The place of a bucket, a new one if need be. */
static enum x402_err find_pending(struct x402_journal *journal,
	const struct range *range, struct x402__pending **ret_pending)
{
	enum x402_err err = X402_OK;
	for (size_t i = journal->pending_len; i-- > 0;)
		if (journal->pending[i].bucket == range->from &&
			is_of(&journal->pending[i], range)) {
			*ret_pending = &journal->pending[i];
			return X402_OK;
		}
	if (!journal->pending)
		journal->pending = malloc(
			PENDING_MAX * sizeof(*journal->pending));
	if (!journal->pending)
		return X402_ERR_NOMEM;
	if (journal->pending_len == PENDING_MAX)
		err = x402__budget_flush(journal);
	if (err)
		return err;
	struct x402__pending *pending =
		&journal->pending[journal->pending_len++];
	pending->counter = range->counter;
	pending->grain = range->grain;
	pending->bucket = range->from;
	pending->tally = (struct tally){0};
	snprintf(pending->subject, sizeof(pending->subject), "%s",
		range->subject);
	*ret_pending = pending;
	return X402_OK;
}

static enum x402_err join(
	const struct x402__pending *pending, struct tally *tally)
{
	tally->usd_micros += pending->tally.usd_micros;
	tally->count += pending->tally.count;
	return x402_u256_add(
		       &tally->units, &pending->tally.units, &tally->units)
		? X402_OK
		: X402_ERR_STORE;
}

static enum x402_err read_tally(struct x402_journal *journal,
	const struct range *range, struct tally *ret_tally)
{
	sqlite3_stmt *stmt = x402__journal_bound(journal,
		"SELECT usd, atomic, count FROM spent WHERE scope = ?1"
		" AND subject = ?2 AND grain = ?3 AND bucket >= ?4",
		"itii", (int64_t)range->counter, range->subject,
		(int64_t)range->grain, range->from);
	struct tally tally = {0};
	for (;;) {
		bool row = false;
		struct x402_u256 atomic;
		enum x402_err err = x402__journal_row(journal, stmt, &row);
		if (err)
			return err;
		if (!row)
			break;
		tally.usd_micros += (uint64_t)sqlite3_column_int64(stmt, 0);
		tally.count += (uint64_t)sqlite3_column_int64(stmt, 2);
		if (x402_u256_from_dec(x402__journal_text(stmt, 1), &atomic) ||
			!x402_u256_add(&tally.units, &atomic, &tally.units)) {
			x402__journal_done(stmt);
			return X402_ERR_STORE;
		}
	}
	for (size_t i = 0; i < journal->pending_len; i++)
		if (journal->pending[i].bucket >= range->from &&
			is_of(&journal->pending[i], range) &&
			join(&journal->pending[i], &tally))
			return X402_ERR_STORE;
	*ret_tally = tally;
	return X402_OK;
}

/* One asset's units need 256 bits, which SQLite has not: read, add, write. */
static enum x402_err change_units(struct x402_journal *journal,
	const struct range *range, const struct x402_u256 *by, bool less)
{
	struct x402_u256 units = {{0}};
	char text[X402_U256_DEC_SIZE];
	bool row = false;
	sqlite3_stmt *stmt = x402__journal_bound(journal,
		"SELECT atomic FROM spent WHERE scope = ?1"
		" AND subject = ?2 AND grain = ?3 AND bucket = ?4",
		"itii", (int64_t)range->counter, range->subject,
		(int64_t)range->grain, range->from);
	enum x402_err err = x402__journal_row(journal, stmt, &row);
	if (err)
		return err;
	if (row) {
		err = x402_u256_from_dec(x402__journal_text(stmt, 0), &units);
		x402__journal_done(stmt);
	}
	if (err)
		return X402_ERR_STORE;
	/* A bucket that was pruned has nothing to take from. */
	bool ok = less ? x402_u256_sub(&units, by, &units)
		       : x402_u256_add(&units, by, &units);
	if (!ok)
		return less ? X402_OK : X402_ERR_OVERFLOW;
	x402_u256_to_dec(&units, text);
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"UPDATE spent SET atomic = ?5 WHERE scope = ?1"
			" AND subject = ?2 AND grain = ?3 AND bucket = ?4",
			"itiit", (int64_t)range->counter, range->subject,
			(int64_t)range->grain, range->from, text));
}

/* Change one bucket in the file; `less` takes out. */
static enum x402_err change_bucket(struct x402_journal *journal,
	const struct range *range, const struct tally *by, bool less)
{
	const char *sql = less
		? "UPDATE spent SET usd = max(usd - ?5, 0),"
		  " count = max(count - ?6, 0) WHERE scope = ?1"
		  " AND subject = ?2 AND grain = ?3 AND bucket = ?4"
		: "INSERT INTO spent (scope, subject, grain, bucket, usd,"
		  " atomic, count) VALUES (?1, ?2, ?3, ?4, ?5, '0', ?6)"
		  " ON CONFLICT DO UPDATE SET usd = usd + ?5,"
		  " count = count + ?6";
	enum x402_err err = x402__journal_run(journal,
		x402__journal_bound(journal, sql, "itiiii",
			(int64_t)range->counter, range->subject,
			(int64_t)range->grain, range->from,
			(int64_t)by->usd_micros, (int64_t)by->count));
	if (err || range->counter != COUNTER_ASSET)
		return err;
	return change_units(journal, range, &by->units, less);
}

enum x402_err x402__budget_flush(struct x402_journal *journal)
{
	enum x402_err err = X402_OK;
	for (size_t i = 0; !err && i < journal->pending_len; i++) {
		const struct x402__pending *pending = &journal->pending[i];
		struct range range = {pending->counter, pending->grain,
			pending->bucket, pending->subject};
		err = change_bucket(journal, &range, &pending->tally, false);
	}
	/* After an error the transaction is rolled back as a whole. */
	journal->pending_len = 0;
	return err;
}

/* Gather an addition, or take out of the file at once. */
static enum x402_err change_one(struct x402_journal *journal,
	const struct range *range, const struct x402__spend *spend, bool less)
{
	bool units = range->counter == COUNTER_ASSET;
	struct x402__pending *pending = NULL;
	struct tally tally = {0};
	if (less) {
		enum x402_err err = add_to(&tally, spend, units);
		return err ? err : change_bucket(journal, range, &tally, true);
	}
	enum x402_err err = find_pending(journal, range, &pending);
	return err ? err : add_to(&pending->tally, spend, units);
}

static enum x402_err change(struct x402_journal *journal,
	const struct x402__spend *spend, bool less)
{
	for (enum counter counter = COUNTER_ALL; counter <= COUNTER_CORRELATION;
		counter++) {
		char subject[SUBJECT_SIZE];
		bool timed = counter < COUNTER_SESSION;
		subject_of(counter, spend, subject);
		if (!timed && !subject[0])
			continue;
		for (enum grain grain = GRAIN_EVER;
			grain <= (timed ? GRAIN_HOUR : GRAIN_EVER); grain++) {
			struct range range = {counter, grain,
				bucket_of(grain, spend->at_ms), subject};
			enum x402_err err = change_one(
				journal, &range, spend, less);
			if (err)
				return err;
		}
	}
	return X402_OK;
}

/* Buckets that no window reaches any more. */
static enum x402_err prune(struct x402_journal *journal, uint64_t now_ms)
{
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"DELETE FROM spent WHERE (grain = 1 AND bucket < ?1)"
			" OR (grain = 2 AND bucket < ?2)",
			"ii", bucket_of(GRAIN_MINUTE, now_ms) - 120,
			bucket_of(GRAIN_HOUR, now_ms) - 48));
}

enum x402_err x402__budget_add(
	struct x402_journal *journal, const struct x402__spend *spend)
{
	enum x402_err err = change(journal, spend, false);
	/* Now and then is enough: it walks over the whole table. */
	if (!err && spend->at_ms % 4096 == 0)
		err = prune(journal, spend->at_ms);
	return err;
}

enum x402_err x402__budget_take_back(struct x402_journal *journal,
	const struct x402__spend *spend, const struct x402__spend *charged)
{
	/* What it takes out may be among what was only gathered. */
	enum x402_err err = x402__budget_flush(journal);
	if (!err)
		err = change(journal, spend, true);
	if (!err && charged)
		err = change(journal, charged, false);
	return err;
}

/* ---- Limits. ---- */

static bool is_valid(const struct x402_budget *budget)
{
	struct x402_u256 atomic;
	bool subject = budget->subject && *budget->subject;
	if (!budget->max_usd_micros && !budget->max_count &&
		!budget->max_atomic)
		return false;
	if (budget->max_usd_micros > (uint64_t)USD_MAX ||
		budget->max_count > INT64_MAX)
		return false;
	if (subject && strlen(budget->subject) >= SUBJECT_SIZE)
		return false;
	if (budget->max_atomic &&
		(budget->scope != X402_BUDGET_ASSET || !subject ||
			x402_u256_from_dec(budget->max_atomic, &atomic)))
		return false;
	switch (budget->window) {
	case X402_BUDGET_SESSION:
		return budget->scope == X402_BUDGET_ALL;
	case X402_BUDGET_HOUR:
	case X402_BUDGET_DAY:
	case X402_BUDGET_TOTAL:
		return budget->scope >= X402_BUDGET_ALL &&
			budget->scope <= X402_BUDGET_ASSET;
	}
	return false;
}

/* Where a limit's counter is. False: it has none (no session). */
static bool range_of(const struct x402_budget *budget, const char *subject,
	const char *session, uint64_t now_ms, struct range *ret_range)
{
	struct range range = {.counter = (enum counter)budget->scope,
		.subject = budget->scope == X402_BUDGET_ALL ? "" : subject};
	switch (budget->window) {
	case X402_BUDGET_HOUR:
		range.grain = GRAIN_MINUTE;
		range.from = bucket_of(GRAIN_MINUTE, now_ms) - 60;
		break;
	case X402_BUDGET_DAY:
		range.grain = GRAIN_HOUR;
		range.from = bucket_of(GRAIN_HOUR, now_ms) - 24;
		break;
	case X402_BUDGET_SESSION:
		range.counter = COUNTER_SESSION;
		range.subject = session ? session : "";
		if (!*range.subject)
			return false;
		break;
	case X402_BUDGET_TOTAL:
		break;
	}
	*ret_range = range;
	return true;
}

static const char *const scope_names[] = {"all", "host", "payee", "asset"};
static const char *const window_names[] = {"hour", "day", "session", "total"};

struct check {
	struct x402_journal *journal;
	const struct x402__spend *spend;
	struct x402_errinfo *info;
	bool counts_atomic; /* a limit in the asset's own units applies */
	bool has_dollar_limit;
};

static enum x402_err deny(const struct check *check,
	const struct x402_budget *budget, const char *subject, const char *text)
{
	x402_errinfo_set(check->info, "budget", "%s%s%.120s per %s: %s",
		scope_names[budget->scope], *subject ? " " : "", subject,
		window_names[budget->window], text);
	return X402_ERR_POLICY;
}

/* Does this limit speak of this purchase, and does it still fit? */
static enum x402_err check_one(
	struct check *check, const struct x402_budget *budget)
{
	char own[SUBJECT_SIZE];
	char subject[SUBJECT_SIZE];
	struct range range;
	struct tally tally;
	const struct x402__spend *spend = check->spend;
	subject_of((enum counter)budget->scope, spend, own);
	budget_subject(budget, subject);
	if (subject[0] && strcmp(subject, own) != 0)
		return X402_OK;
	if (!range_of(budget, own, spend->session, spend->at_ms, &range))
		return deny(check, budget, "", "the purchase has no session");
	enum x402_err err = read_tally(check->journal, &range, &tally);
	if (err)
		return err;
	if (budget->max_count && tally.count >= budget->max_count)
		return deny(check, budget, own, "the count is used up");
	if (budget->max_usd_micros) {
		check->has_dollar_limit = true;
		if (spend->usd_micros > 0 &&
			(tally.usd_micros > budget->max_usd_micros ||
				budget->max_usd_micros - tally.usd_micros <
					(uint64_t)spend->usd_micros))
			return deny(check, budget, own,
				"the price is more than what is left");
	}
	if (budget->max_atomic) {
		struct x402_u256 amount;
		struct x402_u256 most;
		check->counts_atomic = true;
		if (x402_u256_from_dec(spend->amount, &amount) ||
			x402_u256_from_dec(budget->max_atomic, &most) ||
			!x402_u256_add(&tally.units, &amount, &amount) ||
			x402_u256_cmp(&amount, &most) > 0)
			return deny(check, budget, own,
				"the price is more than what is left");
	}
	return X402_OK;
}

/* One of the table `budgets`; text is valid until the next step. */
static struct x402_budget read_budget(sqlite3_stmt *stmt)
{
	struct x402_budget budget = {
		.scope = (enum x402_budget_scope)sqlite3_column_int(stmt, 0),
		.subject = x402__journal_text(stmt, 1),
		.window = (enum x402_budget_window)sqlite3_column_int(stmt, 2),
		.max_usd_micros = (uint64_t)sqlite3_column_int64(stmt, 3),
		.max_atomic = x402__journal_text(stmt, 4),
		.max_count = (uint64_t)sqlite3_column_int64(stmt, 5),
	};
	if (!*budget.max_atomic)
		budget.max_atomic = NULL;
	return budget;
}

static const char all_budgets[] =
	"SELECT scope, subject, span, usd, atomic, count FROM budgets"
	" ORDER BY scope, subject, span";

static enum x402_err check_durable(struct check *check)
{
	sqlite3_stmt *stmt = x402__journal_prepare(check->journal, all_budgets);
	for (;;) {
		bool row = false;
		enum x402_err err = x402__journal_row(
			check->journal, stmt, &row);
		if (err || !row)
			return err;
		struct x402_budget budget = read_budget(stmt);
		err = check_one(check, &budget);
		if (err) {
			x402__journal_done(stmt);
			return err;
		}
	}
}

enum x402_err x402__budget_check(struct x402_journal *journal,
	const struct x402__spend *spend, const struct x402_budget *budgets,
	size_t budgets_len, struct x402_errinfo *info)
{
	struct check check = {.journal = journal, .spend = spend, .info = info};
	enum x402_err err = check_durable(&check);
	for (size_t i = 0; !err && i < budgets_len; i++)
		err = is_valid(&budgets[i]) ? check_one(&check, &budgets[i])
					    : X402_ERR_INVALID_ARGUMENT;
	if (!err && spend->usd_micros < 0 && check.has_dollar_limit &&
		!check.counts_atomic) {
		x402_errinfo_set(info, "budget",
			"asset %.80s has no known dollar value: a limit in its "
			"own units is needed",
			spend->asset);
		return X402_ERR_POLICY;
	}
	return err;
}

/* ---- For the user. ---- */

enum x402_err x402_journal_budget_set(
	struct x402_journal *journal, const struct x402_budget *budget)
{
	char subject[SUBJECT_SIZE];
	if (!is_valid(budget))
		return X402_ERR_INVALID_ARGUMENT;
	budget_subject(budget, subject);
	enum x402_err err = x402__journal_begin(journal, true);
	if (err)
		return err;
	err = x402__journal_run(journal,
		x402__journal_bound(journal,
			"INSERT INTO budgets (scope, subject, span, usd,"
			" atomic, count) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
			" ON CONFLICT DO UPDATE SET usd = ?4, atomic = ?5,"
			" count = ?6",
			"itiiti", (int64_t)budget->scope, subject,
			(int64_t)budget->window,
			(int64_t)budget->max_usd_micros, budget->max_atomic,
			(int64_t)budget->max_count));
	return x402__journal_end(journal, err);
}

enum x402_err x402_journal_budget_remove(
	struct x402_journal *journal, const struct x402_budget *budget)
{
	char subject[SUBJECT_SIZE];
	budget_subject(budget, subject);
	enum x402_err err = x402__journal_begin(journal, true);
	if (err)
		return err;
	err = x402__journal_run(journal,
		x402__journal_bound(journal,
			"DELETE FROM budgets WHERE scope = ?1 AND subject = ?2"
			" AND span = ?3",
			"iti", (int64_t)budget->scope, subject,
			(int64_t)budget->window));
	if (!err && sqlite3_changes(journal->sqlite) == 0)
		err = X402_ERR_NOT_FOUND;
	return x402__journal_end(journal, err);
}

/* The subject of a counter that has used the most. "" when none has. */
static enum x402_err fullest(struct x402_journal *journal,
	const struct range *range, char ret_subject[SUBJECT_SIZE])
{
	sqlite3_stmt *stmt = x402__journal_bound(journal,
		"SELECT subject FROM spent WHERE scope = ?1 AND grain = ?2"
		" AND bucket >= ?3 GROUP BY subject"
		" ORDER BY sum(usd) DESC, sum(count) DESC LIMIT 1",
		"iii", (int64_t)range->counter, (int64_t)range->grain,
		range->from);
	bool row = false;
	enum x402_err err = x402__journal_row(journal, stmt, &row);
	ret_subject[0] = '\0';
	if (!err && row) {
		snprintf(ret_subject, SUBJECT_SIZE, "%s",
			x402__journal_text(stmt, 0));
		x402__journal_done(stmt);
	}
	return err;
}

enum x402_err x402_journal_budget_used(struct x402_journal *journal,
	const struct x402_budget *budget, const char *session,
	struct x402_budget_use *ret_use)
{
	char subject[SUBJECT_SIZE];
	struct x402_budget_use use = {.budget = *budget, .used_atomic = "0"};
	struct range range;
	struct tally tally = {0};
	if (!is_valid(budget))
		return X402_ERR_INVALID_ARGUMENT;
	budget_subject(budget, subject);
	uint64_t now_ms = 0;
	enum x402_err err = x402__journal_time(
		journal, x402__now_unix_ms(), &now_ms);
	if (!err && range_of(budget, subject, session, now_ms, &range)) {
		if (budget->scope != X402_BUDGET_ALL && !subject[0])
			err = fullest(journal, &range, subject);
		if (!err)
			err = read_tally(journal, &range, &tally);
	}
	if (err)
		return err;
	use.used_usd_micros = tally.usd_micros;
	use.used_count = tally.count;
	x402_u256_to_dec(&tally.units, use.used_atomic);
	*ret_use = use;
	return X402_OK;
}

enum x402_err x402_journal_budgets(struct x402_journal *journal,
	const char *session,
	bool (*each)(void *user, const struct x402_budget_use *use), void *user)
{
	sqlite3_stmt *stmt = x402__journal_prepare(journal, all_budgets);
	for (;;) {
		bool row = false;
		struct x402_budget_use use;
		enum x402_err err = x402__journal_row(journal, stmt, &row);
		if (err || !row)
			return err;
		struct x402_budget budget = read_budget(stmt);
		err = x402_journal_budget_used(journal, &budget, session, &use);
		if (err || !each(user, &use)) {
			x402__journal_done(stmt);
			return err;
		}
	}
}

enum x402_err x402_journal_cost(struct x402_journal *journal,
	const char *correlation, struct x402_cost *ret_cost)
{
	struct range range = {COUNTER_CORRELATION, GRAIN_EVER, 0, correlation};
	struct tally tally;
	enum x402_err err = read_tally(journal, &range, &tally);
	if (err)
		return err;
	*ret_cost = (struct x402_cost){tally.usd_micros, tally.count};
	return X402_OK;
}
