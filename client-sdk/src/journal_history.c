/*
 * journal_history.c: the journal as a list, for people and for programs. The
 * text of an authorization is in no export: who has it can present it.
 */
#include "journal_p.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LIST(where, order)                                                 \
	"SELECT " X402__PURCHASE_COLUMNS " FROM purchases WHERE " where    \
	" (?1 = '' OR id = ?1) AND (?2 = '' OR host = ?2)"                 \
	" AND (?3 = '' OR session = ?3) AND (?4 = '' OR correlation = ?4)" \
	" AND created >= ?5 AND (?6 = 0 OR number " order " LIMIT ?7"
#define OLDEST "> ?6) ORDER BY number ASC"
#define NEWEST "< ?6) ORDER BY number DESC"

static const char *const lists[2][2] = {
	{LIST("", OLDEST), LIST("", NEWEST)},
	{LIST("state IN (0, 1, 3) AND", OLDEST),
		LIST("state IN (0, 1, 3) AND", NEWEST)},
};

enum x402_err x402_journal_list(struct x402_journal *journal,
	const struct x402_journal_filter *filter,
	bool (*each)(void *user, const struct x402_purchase *purchase),
	void *user)
{
	struct x402_journal_filter all = X402_JOURNAL_FILTER_INIT;
	if (!filter)
		filter = &all;
	sqlite3_stmt *stmt = x402__journal_bound(journal,
		lists[filter->open_only][filter->newest_first], "ttttiii",
		filter->id, filter->host, filter->session, filter->correlation,
		(int64_t)filter->since_unix_ms, filter->after_number,
		filter->limit ? (int64_t)filter->limit : (int64_t)-1);
	for (;;) {
		bool row = false;
		struct x402_purchase purchase;
		enum x402_err err = x402__journal_row(journal, stmt, &row);
		if (err || !row)
			return err;
		err = x402__purchase_read(stmt, &purchase);
		if (err) {
			x402__journal_done(stmt);
			return err;
		}
		bool more = each(user, &purchase);
		x402_purchase_clear(&purchase);
		if (!more) {
			x402__journal_done(stmt);
			return X402_OK;
		}
	}
}

enum x402_err x402_journal_get(struct x402_journal *journal, int64_t number,
	struct x402_purchase *ret_purchase)
{
	sqlite3_stmt *stmt = x402__journal_bound(journal,
		"SELECT " X402__PURCHASE_COLUMNS
		" FROM purchases WHERE number = ?1",
		"i", number);
	bool row = false;
	enum x402_err err = x402__journal_row(journal, stmt, &row);
	if (!err && !row)
		return X402_ERR_NOT_FOUND;
	if (err)
		return err;
	err = x402__purchase_read(stmt, ret_purchase);
	x402__journal_done(stmt);
	return err;
}

/* ---- Export. ---- */

static void put_time(char *ret_text, size_t size, uint64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;
	char text[32];
	if (!gmtime_r(&seconds, &tm) ||
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		text[0] = '\0';
	snprintf(ret_text, size, "%s.%03uZ", text, (unsigned)(unix_ms % 1000));
}

/* One purchase as columns; numbers as text, since both forms want that. */
struct column {
	const char *name;
	const char *text;
	bool number;
};
#define COLUMNS_MAX 24

struct line {
	char number[24];
	char created[48];
	char updated[48];
	char usd[24];
	char status[24];
	char valid_before[24];
	char presented[24];
	struct column columns[COLUMNS_MAX];
	size_t len;
};

static void add(
	struct line *line, const char *name, const char *text, bool number)
{
	line->columns[line->len++] = (struct column){name, text, number};
}

static void make_line(const struct x402_purchase *purchase, struct line *line)
{
	line->len = 0;
	snprintf(line->number, sizeof(line->number), "%" PRId64,
		purchase->number);
	put_time(line->created, sizeof(line->created),
		purchase->created_unix_ms);
	put_time(line->updated, sizeof(line->updated),
		purchase->updated_unix_ms);
	snprintf(
		line->usd, sizeof(line->usd), "%" PRId64, purchase->usd_micros);
	snprintf(line->status, sizeof(line->status), "%ld",
		purchase->http_status);
	snprintf(line->valid_before, sizeof(line->valid_before), "%" PRIu64,
		purchase->valid_before_unix_s);
	snprintf(line->presented, sizeof(line->presented), "%u",
		purchase->presented);
	add(line, "number", line->number, true);
	add(line, "created", line->created, false);
	add(line, "updated", line->updated, false);
	add(line, "state", x402_purchase_state_name(purchase->state), false);
	add(line, "id", purchase->id, false);
	add(line, "session", purchase->session, false);
	add(line, "correlation", purchase->correlation, false);
	add(line, "method", purchase->method, false);
	add(line, "url", purchase->url, false);
	add(line, "scheme", purchase->scheme, false);
	add(line, "network", purchase->network, false);
	add(line, "asset", purchase->asset, false);
	add(line, "amount", purchase->amount, false);
	add(line, "charged", purchase->charged, false);
	if (purchase->usd_micros < 0)
		line->usd[0] = '\0';
	add(line, "usdMicros", line->usd, true);
	add(line, "payTo", purchase->pay_to, false);
	add(line, "payer", purchase->payer, false);
	add(line, "validBefore", line->valid_before, true);
	add(line, "transaction", purchase->transaction, false);
	add(line, "outcome", purchase->said, false);
	add(line, "reason", purchase->reason, false);
	add(line, "status", line->status, true);
	add(line, "presented", line->presented, true);
}

/*
 * RFC 4180. A leading character that spreadsheets take for a formula gets an
 * apostrophe: URLs and reasons come from strangers.
 */
static void put_csv(struct x402_buf *buf, const struct column *column)
{
	const char *text = column->text;
	if (column->number) {
		x402_buf_add_str(buf, text);
		return;
	}
	bool formula = *text && strchr("=+-@\t\r", *text);
	x402_buf_add_byte(buf, '"');
	if (formula)
		x402_buf_add_byte(buf, '\'');
	for (; *text; text++) {
		if (*text == '"')
			x402_buf_add_byte(buf, '"');
		x402_buf_add_byte(buf, (uint8_t)*text);
	}
	x402_buf_add_byte(buf, '"');
}

static void put_csv_line(struct x402_buf *buf, const struct line *line)
{
	for (size_t i = 0; i < line->len; i++) {
		if (i)
			x402_buf_add_byte(buf, ',');
		put_csv(buf, &line->columns[i]);
	}
	x402_buf_add_str(buf, "\r\n");
}

static enum x402_err put_json_line(
	struct x402_buf *buf, const struct line *line)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;
	for (size_t i = 0; !err && i < line->len; i++) {
		const struct column *column = &line->columns[i];
		if (!*column->text)
			continue;
		err = column->number ? x402_json_set_int(json, column->name,
					       strtoll(column->text, NULL, 10))
				     : x402_json_set_string(json, column->name,
					       column->text);
	}
	char *text = err ? NULL : x402_json_dump(json);
	if (text) {
		x402_buf_add_str(buf, text);
		x402_buf_add_byte(buf, '\n');
	}
	free(text);
	x402_json_unref(json);
	return !err && !text ? X402_ERR_NOMEM : err;
}

struct export
{
	struct x402_buf *buf;
	enum x402_journal_form form;
	enum x402_err err;
};

static bool export_one(void *user, const struct x402_purchase *purchase)
{
	struct export *export = user;
	struct line line;
	make_line(purchase, &line);
	switch (export->form) {
	case X402_JOURNAL_CSV:
		put_csv_line(export->buf, &line);
		break;
	case X402_JOURNAL_NDJSON:
		export->err = put_json_line(export->buf, &line);
		break;
	}
	if (export->buf->failed)
		export->err = X402_ERR_NOMEM;
	return !export->err;
}

enum x402_err x402_journal_export(struct x402_journal *journal,
	const struct x402_journal_filter *filter, enum x402_journal_form form,
	struct x402_buf *ret_text)
{
	struct export export = {.buf = ret_text, .form = form};
	if (form == X402_JOURNAL_CSV) {
		struct x402_purchase none = {.url = (char *)"",
			.header_text = (char *)"",
			.receipt_json = (char *)""};
		struct line line;
		make_line(&none, &line);
		for (size_t i = 0; i < line.len; i++)
			x402_buf_printf(ret_text, "%s%s", i ? "," : "",
				line.columns[i].name);
		x402_buf_add_str(ret_text, "\r\n");
	}
	enum x402_err err = x402_journal_list(
		journal, filter, export_one, &export);
	return err ? err : export.err;
}
