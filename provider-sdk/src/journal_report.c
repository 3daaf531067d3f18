/*
 * journal_report.c: what people ask of the journal. Sums are made here and not
 * in SQL, whose integers end at 64 bits.
 */
#include "journal_p.h"

#include <stdlib.h>

#define ENTRY_COLUMNS                                                         \
	"state, asked, settled, expires, route, url, network, asset, amount," \
	" payer, tx"

static const char *text_of(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text ? (const char *)text : "";
}

static void read_entry(sqlite3_stmt *stmt, struct x402_journal_entry *ret_entry)
{
	*ret_entry = (struct x402_journal_entry){
		.state = (enum x402_journal_state)sqlite3_column_int(stmt, 0),
		.asked_unix_s = (uint64_t)sqlite3_column_int64(stmt, 1),
		.settled_unix_s = (uint64_t)sqlite3_column_int64(stmt, 2),
		.expires_unix_s = (uint64_t)sqlite3_column_int64(stmt, 3),
		.route = text_of(stmt, 4),
		.url = text_of(stmt, 5),
		.network = text_of(stmt, 6),
		.asset = text_of(stmt, 7),
		.amount = text_of(stmt, 8),
		.payer = text_of(stmt, 9),
		.transaction = text_of(stmt, 10),
	};
}

enum x402_err x402_provider_journal_each(struct x402_provider_journal *journal,
	enum x402_journal_state state,
	void (*on_entry)(void *user, const struct x402_journal_entry *entry),
	void *user)
{
#define EACH(order)                              \
	"SELECT " ENTRY_COLUMNS " FROM payments" \
	" WHERE ?1 = 0 OR state = ?1 ORDER BY " order
	const char *sql = journal->numbered ? EACH("number")
					    : EACH("asked, payment");
#undef EACH
	sqlite3_stmt *stmt = NULL;
	struct x402_journal_entry entry;
	int rc;

	pthread_mutex_lock(&journal->lock);
	rc = sqlite3_prepare_v2(journal->db, sql, -1, &stmt, NULL);
	if (rc == SQLITE_OK)
		sqlite3_bind_int(stmt, 1, (int)state);
	while (rc == SQLITE_OK || rc == SQLITE_ROW) {
		rc = sqlite3_step(stmt);
		if (rc != SQLITE_ROW)
			break;
		read_entry(stmt, &entry);
		on_entry(user, &entry);
	}
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&journal->lock);
	return x402__journal_err(rc);
}

/* ---- Making good. ---- */

/* Run a statement about the payment of the row that stmt stands on. */
static int about_row(struct x402_provider_journal *journal, const char *sql,
	sqlite3_stmt *stmt)
{
	sqlite3_stmt *update = NULL;
	int rc = sqlite3_prepare_v2(journal->db, sql, -1, &update, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_blob(update, 1, sqlite3_column_blob(stmt, 11),
			sqlite3_column_bytes(stmt, 11), SQLITE_STATIC);
		rc = sqlite3_step(update);
	}
	sqlite3_finalize(update);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* What is paid back is not sent again under its name either; that first, so
 * that a crash in between costs the buyer a response and nobody money. */
static int mark(struct x402_provider_journal *journal, sqlite3_stmt *stmt)
{
	int rc = about_row(journal,
		"UPDATE names SET response = NULL WHERE payment = ?1", stmt);

	if (rc == SQLITE_OK)
		rc = about_row(journal,
			"UPDATE payments SET state = 4"
			" WHERE payment = ?1 AND state = 2",
			stmt);
	return rc;
}

/* One owed payment behind the given one. SQLITE_ROW when there was one. */
static int compensate_one(struct x402_provider_journal *journal,
	uint64_t settled_before_unix_s,
	bool (*hook)(void *user, const struct x402_journal_entry *entry,
		bool confirm),
	void *user, int64_t *after)
{
	static const char sql[] =
		"SELECT " ENTRY_COLUMNS ", payment, number FROM payments"
		" WHERE state = 2 AND settled < ?1 AND number > ?2"
		" AND payment NOT IN (SELECT payment FROM held.claims)"
		" ORDER BY number LIMIT 1";
	sqlite3_stmt *stmt = NULL;
	struct x402_journal_entry entry;
	int rc = sqlite3_prepare_v2(journal->db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(stmt, 1, (int64_t)settled_before_unix_s);
		sqlite3_bind_int64(stmt, 2, *after);
		rc = sqlite3_step(stmt);
	}
	if (rc == SQLITE_ROW) {
		read_entry(stmt, &entry);
		*after = sqlite3_column_int64(stmt, 12);
		if (hook(user, &entry, false)) {
			int marked = mark(journal, stmt);

			entry.state = X402_JOURNAL_COMPENSATED;
			if (marked == SQLITE_OK)
				(void)hook(user, &entry, true);
			else
				rc = marked;
		}
	}
	sqlite3_finalize(stmt);
	return rc;
}

enum x402_err x402_provider_journal_compensate(
	struct x402_provider_journal *journal, uint64_t settled_before_unix_s,
	bool (*hook)(void *user, const struct x402_journal_entry *entry,
		bool confirm),
	void *user)
{
	int64_t after = 0;
	int rc = SQLITE_ROW;

	if (!journal->memory.claim)
		return X402_ERR_INVALID_ARGUMENT; /* for reading only */
	while (rc == SQLITE_ROW) {
		/* Let requests in between two of them. */
		pthread_mutex_lock(&journal->lock);
		rc = compensate_one(
			journal, settled_before_unix_s, hook, user, &after);
		pthread_mutex_unlock(&journal->lock);
	}
	return x402__journal_err(rc);
}

/* ---- Totals. ---- */

struct summing {
	char *key;
	char *network;
	char *asset;
	uint64_t payments;
	struct x402_u256 sum;
};

static void summing_clear(struct summing *summing)
{
	free(summing->key);
	free(summing->network);
	free(summing->asset);
	memset(summing, 0, sizeof(*summing));
}

static bool summing_same(const struct summing *summing, sqlite3_stmt *stmt)
{
	return summing->payments > 0 &&
		strcmp(summing->key, text_of(stmt, 0)) == 0 &&
		strcmp(summing->network, text_of(stmt, 1)) == 0 &&
		strcmp(summing->asset, text_of(stmt, 2)) == 0;
}

static enum x402_err summing_add(struct summing *summing, sqlite3_stmt *stmt)
{
	struct x402_u256 amount;

	if (!summing->payments) {
		summing->key = strdup(text_of(stmt, 0));
		summing->network = strdup(text_of(stmt, 1));
		summing->asset = strdup(text_of(stmt, 2));
		if (!summing->key || !summing->network || !summing->asset)
			return X402_ERR_NOMEM;
	}
	summing->payments++;
	if (x402_u256_from_dec(text_of(stmt, 3), &amount) != X402_OK)
		return X402_ERR_STORE;
	return x402_u256_add(&summing->sum, &amount, &summing->sum)
		? X402_OK
		: X402_ERR_OVERFLOW;
}

static void summing_tell(struct summing *summing,
	void (*on_total)(void *user, const struct x402_journal_total *total),
	void *user)
{
	struct x402_journal_total total = {.key = summing->key,
		.network = summing->network,
		.asset = summing->asset,
		.payments = summing->payments};

	if (summing->payments) {
		x402_u256_to_dec(&summing->sum, total.amount);
		on_total(user, &total);
	}
	summing_clear(summing);
}

static const char *totals_sql(enum x402_journal_by by)
{
#define TOTALS(key)                                             \
	"SELECT " key ", network, asset, amount FROM payments"  \
	" WHERE settled > 0 AND settled >= ?1 AND settled < ?2" \
	" ORDER BY 1, 2, 3"
	switch (by) {
	case X402_JOURNAL_BY_ASSET:
		return TOTALS("''");
	case X402_JOURNAL_BY_ROUTE:
		return TOTALS("route");
	case X402_JOURNAL_BY_DAY:
		return TOTALS("date(settled, 'unixepoch')");
	case X402_JOURNAL_BY_PAYER:
		return TOTALS("payer");
	}
#undef TOTALS
	return NULL;
}

enum x402_err x402_provider_journal_totals(
	struct x402_provider_journal *journal, enum x402_journal_by by,
	uint64_t from_unix_s, uint64_t to_unix_s,
	void (*on_total)(void *user, const struct x402_journal_total *total),
	void *user)
{
	const char *sql = totals_sql(by);
	struct summing summing = {NULL};
	sqlite3_stmt *stmt = NULL;
	enum x402_err err;
	int rc;

	if (!sql)
		return X402_ERR_INVALID_ARGUMENT;
	if (to_unix_s > INT64_MAX)
		to_unix_s = INT64_MAX;
	pthread_mutex_lock(&journal->lock);
	rc = sqlite3_prepare_v2(journal->db, sql, -1, &stmt, NULL);
	err = x402__journal_err(rc);
	if (err == X402_OK) {
		sqlite3_bind_int64(stmt, 1, (int64_t)from_unix_s);
		sqlite3_bind_int64(stmt, 2, (int64_t)to_unix_s);
	}
	while (err == X402_OK) {
		rc = sqlite3_step(stmt);
		if (rc != SQLITE_ROW)
			break;
		if (!summing_same(&summing, stmt))
			summing_tell(&summing, on_total, user);
		err = summing_add(&summing, stmt);
	}
	if (err == X402_OK)
		err = x402__journal_err(rc);
	if (err == X402_OK)
		summing_tell(&summing, on_total, user);
	summing_clear(&summing);
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&journal->lock);
	return err;
}

/* ---- Export and tidying. ---- */

static const char *state_name(enum x402_journal_state state)
{
	switch (state) {
	case X402_JOURNAL_UNKNOWN:
		return "unknown";
	case X402_JOURNAL_OWED:
		return "owed";
	case X402_JOURNAL_DELIVERED:
		return "delivered";
	case X402_JOURNAL_COMPENSATED:
		return "compensated";
	}
	return "";
}

enum x402_err x402_journal_entry_json(
	const struct x402_journal_entry *entry, char **ret_line)
{
	const struct {
		const char *key;
		const char *value;
	} texts[] = {{"state", state_name(entry->state)},
		{"route", entry->route}, {"url", entry->url},
		{"network", entry->network}, {"asset", entry->asset},
		{"amount", entry->amount}, {"payer", entry->payer},
		{"transaction", entry->transaction}};
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;

	for (size_t i = 0;
		err == X402_OK && i < sizeof(texts) / sizeof(texts[0]); i++)
		err = x402_json_set_string(json, texts[i].key, texts[i].value);
	if (err == X402_OK)
		err = x402_json_set_int(
			json, "askedAt", (int64_t)entry->asked_unix_s);
	if (err == X402_OK)
		err = x402_json_set_int(
			json, "settledAt", (int64_t)entry->settled_unix_s);
	if (err == X402_OK) {
		*ret_line = x402_json_dump(json);
		err = *ret_line ? X402_OK : X402_ERR_NOMEM;
	}
	x402_json_unref(json);
	return err;
}

enum x402_err x402_provider_journal_prune(struct x402_provider_journal *journal,
	uint64_t before_unix_s, uint64_t now_unix_s)
{
	sqlite3_stmt *stmt = NULL;
	int rc;

	pthread_mutex_lock(&journal->lock);
	rc = sqlite3_prepare_v2(journal->db,
		"DELETE FROM payments WHERE expires < ?2 AND"
		" (state IN (3, 4) AND settled < ?1 OR"
		" state = 1 AND asked < ?1 AND payment NOT IN"
		" (SELECT payment FROM held.claims))",
		-1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(stmt, 1, (int64_t)before_unix_s);
		sqlite3_bind_int64(stmt, 2, (int64_t)now_unix_s);
		rc = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	stmt = NULL;
	if (rc == SQLITE_DONE)
		rc = sqlite3_prepare_v2(journal->db,
			"DELETE FROM names WHERE until < ?1", -1, &stmt, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_int64(stmt, 1, (int64_t)now_unix_s);
		rc = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	pthread_mutex_unlock(&journal->lock);
	return x402__journal_err(rc);
}
