/*
 * crawl.c: `x402 crawl LIST -o DIR`: many URLs at once inside one budget. Each
 * body streams into DIR and gets its name when it is whole; the journal knows
 * what was paid, so that a crawl that was interrupted or killed goes on where
 * it was and pays for nothing twice.
 *
 *   1. read_list    the URLs; what DIR has is left out
 *   2. add_pages    a handle for each that is under way
 *   3. on_done      the name, one line of JSON on stdout, the next page
 *   4. progress     on a terminal: rate, spend, what is left, how long
 */
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "x402/client_curl.h"
#include "x402/operate.h"

#define CONCURRENCY_DEFAULT 16
#define CONCURRENCY_MAX     1000
/* A list of more is several lists. */
#define URLS_MAX       ((size_t)5000000)
#define NAME_HEX_BYTES 16

struct page {
	struct crawl *crawl;
	char *url;
	char id[X402_PURCHASE_ID_SIZE];
	char path[PATH_MAX];
	char part[PATH_MAX + 8];
	FILE *file; /* opened by the first byte of the answer that counts */
	CURL *curl;
	bool unwritable;
};

struct crawl {
	struct cli_call call;
	const struct cli_args *args;
	const char *directory;
	struct x402_journal *journal;
	struct x402_client *client;
	struct x402_client_multi *multi;
	unsigned concurrency;
	char **urls;
	size_t len;
	size_t next;
	size_t done;
	size_t kept; /* from an earlier run */
	size_t paid;
	size_t recovered; /* by a payment of an earlier run */
	size_t unpaid;    /* fetched, without a price */
	size_t failed;
	size_t unresolved;
	bool broken; /* stdout or memory: stop */
	time_t started;
	time_t shown;
};

/* ---- 1. The list. ---- */

static void name_page(
	const struct crawl *crawl, const char *url, struct page *ret_page)
{
	uint8_t hash32[32];
	struct x402_buf hex = {0};
	const char *task = crawl->call.task;
	x402_keccak256(x402_span_str(url), hash32);
	x402_hex_encode(x402_span(hash32, NAME_HEX_BYTES), &hex);
	char *name = x402_buf_take_str(&hex);
	(void)snprintf(ret_page->path, sizeof(ret_page->path), "%s/%s",
		crawl->directory, name ? name : "?");
	(void)snprintf(ret_page->part, sizeof(ret_page->part), "%s.part",
		ret_page->path);
	/* Another task may buy the same page again; this one never does. */
	(void)snprintf(ret_page->id, sizeof(ret_page->id), "%.60s:%s",
		task ? task : "crawl", name ? name : "?");
	free(name);
}

static bool add_url(struct crawl *crawl, const char *line, size_t *cap)
{
	struct page page;
	struct stat st;
	name_page(crawl, line, &page);
	if (stat(page.path, &st) == 0) {
		crawl->kept++;
		return true;
	}
	if (crawl->len == *cap) {
		size_t more = *cap ? 2 * *cap : 1024;
		char **urls = realloc(crawl->urls, more * sizeof(*urls));
		if (!urls)
			return false;
		crawl->urls = urls;
		*cap = more;
	}
	crawl->urls[crawl->len] = strdup(line);
	return crawl->urls[crawl->len++] != NULL && crawl->len < URLS_MAX;
}

static int read_list(struct crawl *crawl, const char *path)
{
	bool std = strcmp(path, "-") == 0;
	FILE *file = std ? stdin : fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	size_t cap = 0;
	bool ok = true;
	if (!file)
		return cli_error(
			CLI_USAGE, "usage", "%s: %s", path, strerror(errno));
	while (ok && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line && *line != '#')
			ok = add_url(crawl, line, &cap);
	}
	free(line);
	if (!std)
		(void)fclose(file);
	return ok ? CLI_OK
		  : cli_error(CLI_GENERAL, "internal_error",
			    "%s: too long a list, or out of memory", path);
}

/* ---- 2. Pages. ---- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct page *page = user;
	if (!page->file) {
		page->file = fopen(page->part, "we");
		/* What the journal calls delivered must not lie in a buffer
		 * that dies with us. */
		if (page->file)
			(void)setvbuf(page->file, NULL, _IONBF, 0);
	}
	page->unwritable = !page->file ||
		fwrite(data, size, count, page->file) != count;
	return page->unwritable ? 0 : size * count;
}

static void on_done(
	void *user, enum x402_err err, struct x402_client_response *response);

static bool begin_page(struct crawl *crawl, char *url)
{
	struct page *page = calloc(1, sizeof(*page));
	CURL *curl = page ? curl_easy_init() : NULL;
	if (!curl) {
		free(page);
		return false;
	}
	page->crawl = crawl;
	page->url = url;
	page->curl = curl;
	name_page(crawl, url, page);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
		crawl->call.options.user_agent ? crawl->call.options.user_agent
					       : "x402/" X402_VERSION);
	struct x402_client_easy easy = {.curl = curl,
		.on_body = on_body,
		.on_body_user = page,
		.purchase_id = page->id,
		.once = true};
	struct x402_client_done done = {on_done, page};
	if (!x402_client_multi_add(crawl->multi, &easy, done))
		return true;
	curl_easy_cleanup(curl);
	free(page);
	return false;
}

/* Not the whole list: what waits here can still be left unpaid. */
static void add_pages(struct crawl *crawl)
{
	while (!cli_interrupted() && !crawl->broken &&
		crawl->next < crawl->len &&
		x402_client_multi_pending(crawl->multi) <
			2 * (size_t)crawl->concurrency)
		if (begin_page(crawl, crawl->urls[crawl->next]))
			crawl->next++;
		else
			crawl->broken = true;
}

/* ---- 3. The end of a page. ---- */

/* The name says that it is whole. `before`: it was, at the last end. */
static bool keep(struct page *page, bool before)
{
	bool flushed = !page->file || fclose(page->file) == 0;
	bool empty = !page->file && !before;
	page->file = NULL;
	if (empty) { /* nothing came, and that is the page */
		int fd = open(page->part, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return false;
		close(fd);
	}
	return flushed && rename(page->part, page->path) == 0;
}

static bool tell(const struct page *page, bool ok,
	const struct x402_client_response *response)
{
	struct x402_json *line = NULL;
	if (!ok && response->cause != X402_CLIENT_CAUSE_NONE)
		line = cli_error_json(response);
	else if (response->payment.attempted)
		line = cli_receipt_json(response);
	else
		line = x402_json_new_object();
	if (!ok && response->cause == X402_CLIENT_CAUSE_NONE)
		cli_put(line, "code",
			page->unwritable ? "output" : "http_error");
	cli_put(line, "url", page->url);
	cli_put_int(line, "status", response->status);
	cli_put_bool(line, "ok", ok);
	if (ok)
		cli_put(line, "file", page->path);
	char *text = line ? x402_json_dump(line) : NULL;
	bool said = text && puts(text) >= 0;
	free(text);
	x402_json_unref(line);
	return said;
}

static void on_done(
	void *user, enum x402_err err, struct x402_client_response *response)
{
	struct page *page = user;
	struct crawl *crawl = page->crawl;
	bool before = response->cause == X402_CLIENT_CAUSE_ALREADY_PAID;
	bool whole = !err && response->cause == X402_CLIENT_CAUSE_NONE &&
		response->status >= 200 && response->status < 300;
	bool ok = (whole || before) && !page->unwritable && keep(page, before);
	if (page->file)
		(void)fclose(page->file);
	crawl->done++;
	if (ok && response->payment.attempted && response->payment.resumed)
		crawl->recovered++;
	else if (ok && response->payment.attempted)
		crawl->paid++;
	else if (ok && before)
		crawl->kept++;
	else if (ok)
		crawl->unpaid++;
	else if (response->payment.outcome == X402_CLIENT_OUTCOME_UNKNOWN ||
		response->payment.outcome == X402_CLIENT_OUTCOME_PENDING ||
		response->cause == X402_CLIENT_CAUSE_UNRESOLVED)
		crawl->unresolved++;
	else
		crawl->failed++;
	if (!tell(page, ok, response))
		crawl->broken = true;
	curl_easy_cleanup(page->curl);
	free(page);
	add_pages(crawl);
}

/* ---- 4. Progress. ---- */

static uint64_t spent(const struct crawl *crawl)
{
	struct x402_budget_use use = {.used_usd_micros = 0};
	if (x402_journal_budget_used(crawl->journal, &crawl->call.budget,
		    cli_session_id(), &use))
		return 0;
	return use.used_usd_micros;
}

static void dollars(uint64_t micros, char text[170])
{
	char number[160];
	struct x402_u256 value = x402_u256_from_u64(micros);
	if (!x402_price_format(&value, 6, number, sizeof(number)))
		number[0] = '\0';
	(void)snprintf(text, 170, "$%s", number);
}

static void progress(struct crawl *crawl)
{
	time_t now = time(NULL);
	char paid[170];
	char left[170];
	if (now == crawl->shown || cli_wants_json(STDERR_FILENO))
		return;
	crawl->shown = now;
	uint64_t used = spent(crawl);
	uint64_t most = crawl->call.max_spend_usd_micros;
	uint64_t seconds = (uint64_t)(now - crawl->started);
	uint64_t todo = crawl->len - crawl->done;
	dollars(used, paid);
	dollars(most > used ? most - used : 0, left);
	fprintf(stderr, "\r%zu of %zu, %" PRIu64 "/s, %s spent, %s left",
		crawl->done, crawl->len, seconds ? crawl->done / seconds : 0,
		paid, left);
	if (crawl->done && seconds)
		fprintf(stderr, ", %" PRIu64 " s to go",
			todo * seconds / crawl->done);
	fputs("\033[K", stderr);
}

/* ---- The run. ---- */

static int drive(struct crawl *crawl)
{
	struct x402_client_multi_options options = {
		.max_in_flight = crawl->concurrency};
	if (x402_client_multi_new(crawl->client, &options, &crawl->multi))
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	crawl->started = time(NULL);
	add_pages(crawl);
	enum x402_err err = X402_OK;
	while (!err && x402_client_multi_pending(crawl->multi)) {
		err = x402_client_multi_run(crawl->multi, 200);
		progress(crawl);
	}
	x402_client_multi_free(crawl->multi);
	if (!cli_wants_json(STDERR_FILENO))
		fputc('\n', stderr);
	if (err || crawl->broken)
		return cli_error(CLI_GENERAL, "crawl", "%s",
			err ? x402_err_text(err)
			    : "stdout is closed, or memory is out");
	return CLI_OK;
}

static int summary(const struct crawl *crawl)
{
	struct x402_json *line = x402_json_new_object();
	char text[170];
	dollars(spent(crawl), text);
	cli_put(line, "code", "crawl");
	cli_put_int(line, "paid", (int64_t)crawl->paid);
	cli_put_int(line, "recovered", (int64_t)crawl->recovered);
	cli_put_int(line, "free", (int64_t)crawl->unpaid);
	cli_put_int(line, "kept", (int64_t)crawl->kept);
	cli_put_int(line, "failed", (int64_t)crawl->failed);
	cli_put_int(line, "unresolved", (int64_t)crawl->unresolved);
	cli_put_int(line, "left", (int64_t)(crawl->len - crawl->done));
	cli_put(line, "spent", text);
	char *json = line ? x402_json_dump(line) : NULL;
	fprintf(stderr, "%s\n", json ? json : "{}");
	free(json);
	x402_json_unref(line);
	if (cli_interrupted())
		return CLI_INTERRUPTED;
	if (crawl->unresolved)
		return CLI_UNKNOWN;
	return crawl->failed ? CLI_GENERAL : CLI_OK;
}

static int take_args(struct crawl *crawl)
{
	const struct cli_args *args = crawl->args;
	const char *count = cli_arg(args, CLI_KEY_CONCURRENCY);
	uint64_t concurrency = CONCURRENCY_DEFAULT;
	for (size_t i = 0; i < args->given_len; i++) {
		int key = args->given[i].key;
		if (key == 'o' || key == CLI_KEY_CONCURRENCY ||
			key == CLI_KEY_METRICS)
			continue;
		if (cli_call_take(&crawl->call, key, args->given[i].value) !=
			CLI_TAKEN)
			return CLI_USAGE;
	}
	if (count &&
		!cli_number(
			"--concurrency", count, CONCURRENCY_MAX, &concurrency))
		return CLI_USAGE;
	crawl->concurrency = (unsigned)concurrency;
	crawl->directory = cli_arg(args, 'o');
	if (!crawl->directory || strlen(crawl->directory) > PATH_MAX - 64)
		return cli_error(
			CLI_USAGE, "usage", "crawl: expected -o DIRECTORY");
	if (mkdir(crawl->directory, 0777) && errno != EEXIST)
		return cli_error(CLI_USAGE, "output", "%s: %s",
			crawl->directory, strerror(errno));
	if (!crawl->call.max_spend_usd_micros)
		crawl->call.max_spend_usd_micros = X402_DEFAULT_MAX_USD_MICROS;
	return CLI_OK;
}

/* Said on stderr: which port it is may be the system's choice. */
static int listen_for_metrics(const struct crawl *crawl)
{
	const char *given = cli_arg(crawl->args, CLI_KEY_METRICS);
	uint64_t port = 0;
	uint16_t got = 0;
	char url[64];
	if (!given)
		return CLI_OK;
	if (strcmp(given, "0") != 0 &&
		!cli_number("--metrics-port", given, UINT16_MAX, &port))
		return CLI_USAGE;
	enum x402_err err = x402_client_metrics_listen(
		crawl->client, (uint16_t)port, &got);
	if (err)
		return cli_error(CLI_CONFIG, "metrics",
			"--metrics-port: cannot listen on 127.0.0.1:%s (%s)",
			given, x402_err_text(err));
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/metrics", got);
	fprintf(stderr,
		cli_wants_json(STDERR_FILENO) ? "{\"metrics\":\"%s\"}\n"
					      : "metrics at %s\n",
		url);
	return CLI_OK;
}

static int run(struct crawl *crawl, const char *list)
{
	struct cli_payer payer = {.signer = NULL};
	int exit = take_args(crawl);
	if (!exit)
		exit = read_list(crawl, list);
	if (!exit)
		exit = cli_payer_load(&crawl->call.payer, &payer);
	if (!exit)
		exit = cli_call_client(
			&crawl->call, &payer, &crawl->journal, &crawl->client);
	if (!exit)
		exit = listen_for_metrics(crawl);
	if (!exit)
		exit = drive(crawl);
	if (!exit)
		exit = summary(crawl);
	x402_client_free(crawl->client);
	x402_journal_close(crawl->journal);
	cli_payer_clear(&payer);
	for (size_t i = 0; i < crawl->len; i++)
		free(crawl->urls[i]);
	free(crawl->urls);
	cli_call_clear(&crawl->call);
	return exit;
}

int cli_crawl_run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args;
	struct crawl crawl = {.args = &args};
	int exit = cli_args_parse(command, argc, argv, &args);
	if (exit)
		return exit;
	if (cli_has(&args, 'h')) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	const char *list = cli_operand(&args, "list of URLs");
	return list ? run(&crawl, list) : CLI_USAGE;
}
