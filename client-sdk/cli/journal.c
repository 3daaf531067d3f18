/*
 * journal.c: `x402 history|status|budget`: what was bought, what became of it,
 * and what may still be spent, from the journal that all processes share.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define HISTORY_DEFAULT 20
#define HISTORY_MAX     10000

int cli_journal_open(struct x402_journal **ret_journal)
{
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err = x402_journal_open(NULL, &info, ret_journal);
	if (err)
		return cli_error(CLI_CONFIG, "journal_error", "%s",
			info.text[0] ? info.text : x402_err_text(err));
	return CLI_OK;
}

/* Too long for the journal: whoever gives the same shares the same limit. */
static void shorten(const char *given, char *ret_name, size_t size)
{
	uint8_t hash32[32];
	struct x402_buf hex = {0};
	x402_keccak256(x402_span_str(given), hash32);
	x402_hex_encode(x402_span(hash32, sizeof(hash32)), &hex);
	char *text = x402_buf_take_str(&hex);
	(void)snprintf(ret_name, size, "x402-%s", text ? text : "long");
	free(text);
}

const char *cli_session_id(void)
{
	static char made[80];
	const char *given = getenv("X402_SESSION_ID");
	if (given && *given && strlen(given) < X402_PURCHASE_ID_SIZE)
		return given;
	if (given && *given && !made[0])
		shorten(given, made, sizeof(made));
	if (!made[0])
		(void)snprintf(made, sizeof(made), "x402-%lld-%ld",
			(long long)time(NULL), (long)getpid());
	return made;
}

static int fail(enum x402_err err, const struct x402_journal *journal)
{
	return cli_error(err == X402_ERR_NOT_FOUND ? CLI_NOT_FOUND : CLI_CONFIG,
		err == X402_ERR_NOT_FOUND ? "not_found" : "journal_error", "%s",
		err == X402_ERR_STORE ? x402_journal_error(journal)
				      : x402_err_text(err));
}

static int finish(struct x402_json *answer, struct x402_json **ret_answer)
{
	if (!answer)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	*ret_answer = answer;
	return CLI_OK;
}

/* ---- Purchases. ---- */

static struct x402_json *describe(const struct x402_purchase *purchase)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_client_payment terms = {0};
	(void)snprintf(
		terms.scheme, sizeof(terms.scheme), "%s", purchase->scheme);
	(void)snprintf(
		terms.network, sizeof(terms.network), "%s", purchase->network);
	(void)snprintf(terms.asset, sizeof(terms.asset), "%s", purchase->asset);
	(void)snprintf(
		terms.amount, sizeof(terms.amount), "%s", purchase->amount);
	(void)snprintf(
		terms.pay_to, sizeof(terms.pay_to), "%s", purchase->pay_to);
	cli_put_int(json, "paymentId", purchase->number);
	cli_put(json, "id", purchase->id);
	cli_put(json, "state", x402_purchase_state_name(purchase->state));
	cli_put(json, "method", purchase->method);
	cli_put(json, "url", purchase->url);
	cli_put_terms(json, &terms);
	cli_put(json, "charged", purchase->charged);
	cli_put(json, "payer", purchase->payer);
	cli_put(json, "transaction", purchase->transaction);
	cli_put(json, "reason", purchase->reason);
	cli_put(json, "task", purchase->correlation);
	cli_put(json, "session", purchase->session);
	if (purchase->http_status)
		cli_put_int(json, "status", purchase->http_status);
	cli_put_int(json, "time", (int64_t)(purchase->created_unix_ms / 1000));
	if (purchase->valid_before_unix_s)
		cli_put_int(json, "validBefore",
			(int64_t)purchase->valid_before_unix_s);
	return json;
}

struct listing {
	struct x402_json *list;
	bool failed;
};

static bool list_one(void *user, const struct x402_purchase *purchase)
{
	struct listing *listing = user;
	if (x402_json_append_take(listing->list, describe(purchase)))
		listing->failed = true;
	return !listing->failed;
}

static int export_history(struct x402_journal *journal,
	const struct x402_journal_filter *filter, const char *form)
{
	struct x402_buf text = {0};
	bool csv = strcmp(form, "csv") == 0;
	if (!csv && strcmp(form, "ndjson") != 0)
		return cli_error(CLI_USAGE, "usage",
			"--format: expected csv or ndjson, got \"%s\"", form);
	enum x402_err err = x402_journal_export(journal, filter,
		csv ? X402_JOURNAL_CSV : X402_JOURNAL_NDJSON, &text);
	int exit = err ? fail(err, journal) : CLI_OK;
	if (!err && fwrite(text.ptr, 1, text.len, stdout) != text.len)
		exit = cli_error(CLI_GENERAL, "output",
			"the history could not be written whole");
	x402_buf_clear(&text);
	return exit;
}

int cli_history(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_journal *journal = NULL;
	uint64_t limit = HISTORY_DEFAULT;
	const char *text = cli_arg(args, CLI_KEY_LIMIT);
	const char *form = cli_arg(args, CLI_KEY_FORM);
	if (text && !cli_number("--limit", text, HISTORY_MAX, &limit))
		return CLI_USAGE;
	struct x402_journal_filter filter = {
		.host = cli_arg(args, CLI_KEY_HOST),
		.correlation = cli_arg(args, CLI_KEY_TASK),
		.open_only = cli_has(args, CLI_KEY_OPEN),
		.limit = form && !text ? 0 : (unsigned)limit,
		.newest_first = !form};
	int exit = cli_journal_open(&journal);
	if (exit)
		return exit;
	if (form) {
		exit = export_history(journal, &filter, form);
	} else {
		struct listing listing = {.list = x402_json_new_array()};
		enum x402_err err = listing.list
			? x402_journal_list(
				  journal, &filter, list_one, &listing)
			: X402_ERR_NOMEM;
		if (err || listing.failed) {
			exit = fail(err ? err : X402_ERR_NOMEM, journal);
			x402_json_unref(listing.list);
		} else {
			exit = finish(listing.list, ret_answer);
		}
	}
	x402_journal_close(journal);
	return exit;
}

/* By its number, or by the id that the caller gave it. */
static int absent(
	enum x402_err err, const char *id, const struct x402_journal *journal)
{
	if (err != X402_ERR_NOT_FOUND)
		return fail(err, journal);
	return cli_error(CLI_NOT_FOUND, "not_found",
		"expected a paymentId or an id of the journal, got \"%s\" "
		"(x402 history lists them)",
		id);
}

int cli_status(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_journal *journal = NULL;
	struct x402_purchase purchase;
	const char *id = cli_operand(args, "payment id");
	if (!id)
		return CLI_USAGE;
	int exit = cli_journal_open(&journal);
	if (exit)
		return exit;
	bool number = strspn(id, "0123456789") == strlen(id) && strlen(id) < 18;
	if (number) {
		enum x402_err err = x402_journal_get(
			journal, strtoll(id, NULL, 10), &purchase);
		exit = err ? absent(err, id, journal)
			   : finish(describe(&purchase), ret_answer);
		if (!err)
			x402_purchase_clear(&purchase);
	} else {
		struct listing listing = {.list = x402_json_new_array()};
		struct x402_journal_filter filter = {.id = id};
		enum x402_err err = listing.list
			? x402_journal_list(
				  journal, &filter, list_one, &listing)
			: X402_ERR_NOMEM;
		if (!err && x402_json_size(listing.list) == 0)
			err = X402_ERR_NOT_FOUND;
		if (err) {
			exit = absent(err, id, journal);
			x402_json_unref(listing.list);
		} else {
			exit = finish(listing.list, ret_answer);
		}
	}
	x402_journal_close(journal);
	return exit;
}

/* ---- Budgets. ---- */

static const char *const windows[] = {
	[X402_BUDGET_HOUR] = "hour",
	[X402_BUDGET_DAY] = "day",
	[X402_BUDGET_SESSION] = "session",
	[X402_BUDGET_TOTAL] = "total",
};
static const char *const scopes[] = {
	[X402_BUDGET_ALL] = "all",
	[X402_BUDGET_HOST] = "host",
	[X402_BUDGET_PAYEE] = "payee",
	[X402_BUDGET_ASSET] = "asset",
};

static void put_usd(struct x402_json *json, const char *key, uint64_t micros)
{
	char number[160];
	char text[170];
	struct x402_u256 value = x402_u256_from_u64(micros);
	if (!x402_price_format(&value, 6, number, sizeof(number)))
		return;
	(void)snprintf(text, sizeof(text), "$%s", number);
	cli_put(json, key, text);
}

static bool list_budget(void *user, const struct x402_budget_use *use)
{
	struct listing *listing = user;
	const struct x402_budget *budget = &use->budget;
	struct x402_json *json = x402_json_new_object();
	cli_put(json, "scope", scopes[budget->scope]);
	if (budget->scope != X402_BUDGET_ALL)
		cli_put(json, "subject",
			budget->subject && *budget->subject ? budget->subject
							    : "each");
	cli_put(json, "per", windows[budget->window]);
	if (budget->max_usd_micros) {
		put_usd(json, "max", budget->max_usd_micros);
		put_usd(json, "used", use->used_usd_micros);
		put_usd(json, "left",
			budget->max_usd_micros > use->used_usd_micros
				? budget->max_usd_micros - use->used_usd_micros
				: 0);
	}
	if (budget->max_atomic) {
		cli_put(json, "maxAtomic", budget->max_atomic);
		cli_put(json, "usedAtomic", use->used_atomic);
	}
	if (budget->max_count) {
		cli_put_int(json, "maxCount", (int64_t)budget->max_count);
		cli_put_int(json, "usedCount", (int64_t)use->used_count);
	}
	if (x402_json_append_take(listing->list, json))
		listing->failed = true;
	return !listing->failed;
}

static int answer_budgets(
	struct x402_journal *journal, struct x402_json **ret_answer)
{
	struct listing listing = {.list = x402_json_new_array()};
	enum x402_err err = listing.list
		? x402_journal_budgets(journal, getenv("X402_SESSION_ID"),
			  list_budget, &listing)
		: X402_ERR_NOMEM;
	struct x402_budget_use use;
	if (!err && cli_process_budget)
		err = x402_journal_budget_used(
			journal, cli_process_budget, cli_session_id(), &use);
	if (!err && cli_process_budget)
		(void)list_budget(&listing, &use);
	if (!err && listing.failed)
		err = X402_ERR_NOMEM;
	if (!err)
		return finish(listing.list, ret_answer);
	x402_json_unref(listing.list);
	return fail(err, journal);
}

int cli_budget(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_journal *journal = NULL;
	(void)args;
	int exit = cli_journal_open(&journal);
	if (exit)
		return exit;
	exit = answer_budgets(journal, ret_answer);
	x402_journal_close(journal);
	return exit;
}

static int read_window(const struct cli_args *args, struct x402_budget *budget)
{
	const char *per = cli_arg(args, CLI_KEY_PER);
	budget->window = X402_BUDGET_DAY;
	if (!per)
		return CLI_OK;
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		if (strcmp(per, windows[i]) == 0) {
			budget->window = (enum x402_budget_window)i;
			return CLI_OK;
		}
	return cli_error(CLI_USAGE, "usage",
		"--per: expected hour, day, session or total, got \"%s\"", per);
}

/* "each" is each subject by itself. */
static void read_subject(
	const struct cli_args *args, struct x402_budget *budget)
{
	static const struct {
		int key;
		enum x402_budget_scope scope;
	} keys[] = {{CLI_KEY_HOST, X402_BUDGET_HOST},
		{CLI_KEY_PAYEE, X402_BUDGET_PAYEE},
		{CLI_KEY_ASSET, X402_BUDGET_ASSET}};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *subject = cli_arg(args, keys[i].key);
		if (!subject)
			continue;
		budget->scope = keys[i].scope;
		budget->subject = strcmp(subject, "each") == 0 ? "" : subject;
	}
}

static int read_maxima(const struct cli_args *args, struct x402_budget *budget,
	char atomic[X402_U256_DEC_SIZE])
{
	struct cli_limit limit;
	const char *spend = cli_arg(args, CLI_KEY_MAX_SPEND);
	const char *count = cli_arg(args, CLI_KEY_MAX_COUNT);
	if (!spend && !count)
		return cli_error(CLI_USAGE, "usage",
			"budget set: expected --max-spend or --max-count");
	if (spend && cli_limit_parse(spend, &limit))
		return cli_error(CLI_USAGE, "usage",
			"--max-spend: expected 5usd, '$5' or 50000atomic, got "
			"\"%s\"",
			spend);
	if (spend && limit.has_atomic) {
		x402_u256_to_dec(&limit.units, atomic);
		budget->max_atomic = atomic;
	} else if (spend) {
		budget->max_usd_micros = limit.usd_micros;
	}
	if (count &&
		!cli_number(
			"--max-count", count, 1000000000, &budget->max_count))
		return CLI_USAGE;
	return CLI_OK;
}

static int change_budget(const struct cli_args *args,
	const struct x402_budget *budget, bool set,
	struct x402_json **ret_answer)
{
	struct x402_journal *journal = NULL;
	(void)args;
	int exit = cli_journal_open(&journal);
	if (exit)
		return exit;
	enum x402_err err = set ? x402_journal_budget_set(journal, budget)
				: x402_journal_budget_remove(journal, budget);
	if (err == X402_ERR_INVALID_ARGUMENT)
		exit = cli_error(CLI_USAGE, "usage",
			"these limits do not go together: atomic units need "
			"--asset NETWORK/ADDRESS, a session no other subject");
	else if (err)
		exit = fail(err, journal);
	else
		exit = answer_budgets(journal, ret_answer);
	x402_journal_close(journal);
	return exit;
}

int cli_budget_set(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_budget budget = {.scope = X402_BUDGET_ALL};
	char atomic[X402_U256_DEC_SIZE];
	read_subject(args, &budget);
	int exit = read_window(args, &budget);
	if (!exit)
		exit = read_maxima(args, &budget, atomic);
	return exit ? exit : change_budget(args, &budget, true, ret_answer);
}

int cli_budget_remove(
	const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_budget budget = {.scope = X402_BUDGET_ALL, .max_count = 1};
	read_subject(args, &budget);
	int exit = read_window(args, &budget);
	return exit ? exit : change_budget(args, &budget, false, ret_answer);
}
