/*
 * crawler.c: fetch a list of URLs, pay for those that have a price, spend no
 * more than a budget, and never pay for one twice, also when it is killed and
 * started again:
 *
 *   EVM_PRIVATE_KEY=0x... crawler -o DIR -b 0.50 [-j JOURNAL] [-n IN_FLIGHT]
 *       [-r NETWORK=RPC_URL] [-t BLOCK_TAG] [-k SESSION] [-e] [-m PORT]
 *       [-w UNITS] LIST
 *
 * -e writes a line of JSON to stderr for each payment event, -m answers
 * GET /metrics on that port, -w pauses paying while the payer has less than
 * UNITS of the default dollar token on the network of the first -r.
 *
 *   1. read LIST, one URL in a line; what DIR has already is left out
 *   2. resume: what became of the purchases that were open at the last end
 *   3. robots.txt of each origin, by a client that cannot pay
 *   4. the URLs: each on a libcurl handle whose body streams into a file,
 *      which gets its name when the body is whole
 *   5. one line of JSON: what came of it
 *
 * The journal is what makes it safe: an authorization is in it before it
 * leaves, and the URL is its name. Exit 0 when every URL is there, 3 when
 * some are not, 1 and 2 for errors.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <x402/client_curl.h>
#include <x402/journal.h>
#include <x402/operate.h>
#include <x402/resume.h>

#include "robots.h"

#define AGENT         "x402-crawler"
#define ENDPOINTS_MAX 8
/* Seconds between two looks at the balance: a few blocks. */
#define BALANCE_EVERY_S 10
/* One price above this is not paid, whatever is left of the budget. */
#define PRICE_MAX_USD_MICROS 100000
/* Bytes of a path: DIR, a slash, 32 hex digits, ".part". */
#define PATH_SIZE 4200

struct origin {
	char *name; /* "https://host:port" */
	struct robots robots;
	struct origin *next;
};

struct page {
	struct crawl *crawl;
	char *url;
	char path[PATH_SIZE];
	FILE *file; /* opened by the first byte of the answer that counts */
	CURL *curl;
	struct origin *origin;
};

struct crawl {
	struct x402_client *client;
	struct x402_client *reader; /* has no key */
	struct x402_client_multi *multi;
	const char *directory;
	unsigned in_flight;
	struct page *pages;
	size_t len;
	size_t next; /* not given to the multi yet */
	struct origin *origins;
	struct x402_client_balance balance; /* asset NULL: not watched */
	time_t balance_at;
	bool asking; /* for the balance: the answer is still out */
	/* What came of it. */
	unsigned paid;
	unsigned free_;
	unsigned kept; /* from an earlier run */
	unsigned forbidden;
	unsigned over_budget;
	unsigned unresolved;
	unsigned failed;
	time_t shown;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

static bool is_interrupted(void *user)
{
	(void)user;
	return interrupted != 0;
}

static void print_event(void *user, const char *line)
{
	(void)user;
	fprintf(stderr, "%s\n", line);
}

static void *allocate(size_t size)
{
	void *memory = calloc(1, size);
	if (!memory)
		abort();
	return memory;
}

/* ---- 1. The list. ---- */

/* The URL's hash: any URL is a file name, and always the same. */
static void name_file(const char *directory, const char *url, char *ret_path)
{
	uint8_t hash32[32];
	struct x402_buf hex = {0};
	x402_keccak256(x402_span_str(url), hash32);
	x402_hex_encode(x402_span(hash32, 16), &hex);
	snprintf(ret_path, PATH_SIZE, "%.4000s/%.*s", directory, (int)hex.len,
		(const char *)hex.ptr);
	x402_buf_clear(&hex);
}

static void part_of(const struct page *page, char ret_path[PATH_SIZE + 8])
{
	snprintf(ret_path, PATH_SIZE + 8, "%s.part", page->path);
}

static bool read_list(struct crawl *crawl, const char *path)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	size_t cap = 0;
	ssize_t len;
	if (!file)
		return false;
	while ((len = getline(&line, &size, file)) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (crawl->len == cap) {
			cap = cap ? 2 * cap : 256;
			crawl->pages = realloc(
				crawl->pages, cap * sizeof(*crawl->pages));
			if (!crawl->pages)
				abort();
		}
		struct page page = {.crawl = crawl, .url = strdup(line)};
		name_file(crawl->directory, line, page.path);
		struct stat stat_;
		if (stat(page.path, &stat_) == 0) {
			crawl->kept++;
			free(page.url);
			continue;
		}
		crawl->pages[crawl->len++] = page;
	}
	free(line);
	(void)fclose(file);
	return true;
}

/* ---- 3. robots.txt. ---- */

/* "https://host:port" and where the path begins. */
static size_t origin_len(const char *url)
{
	const char *at = strstr(url, "://");
	at = at ? at + 3 : url;
	return (size_t)(at - url) + strcspn(at, "/?#");
}

static const char *path_of(const char *url)
{
	const char *path = url + origin_len(url);
	return *path == '/' ? path : "/";
}

static struct origin *find_origin(struct crawl *crawl, const char *url)
{
	size_t len = origin_len(url);
	struct origin *origin = crawl->origins;
	for (; origin; origin = origin->next)
		if (strlen(origin->name) == len &&
			strncmp(origin->name, url, len) == 0)
			return origin;
	origin = allocate(sizeof(*origin));
	origin->name = strndup(url, len);
	origin->next = crawl->origins;
	crawl->origins = origin;
	return origin;
}

/* RFC 9309, 2.3.1: none is no rule; a server that fails forbids all. */
static void read_robots(struct crawl *crawl, struct origin *origin)
{
	char url[PATH_SIZE];
	struct x402_client_request request = {.url = url};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	snprintf(url, sizeof(url), "%.4000s/robots.txt", origin->name);
	enum x402_err err = x402_client_fetch(
		crawl->reader, &request, &response);
	bool none = response.status >= 400 && response.status < 500;
	if (!none && (err || response.status != 200))
		origin->robots.forbidden = true;
	else if (response.status == 200 &&
		!robots_parse((const char *)response.body.ptr,
			response.body.len, AGENT, &origin->robots))
		abort();
	x402_client_response_clear(&response);
}

/* ---- 4. The pages. ---- */

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
	struct page *page = user;
	if (!page->file) {
		char part[PATH_SIZE + 8];
		part_of(page, part);
		page->file = fopen(part, "we");
		/* Or what is delivered would lie in a buffer that a kill
		 * takes along. */
		if (page->file)
			(void)setvbuf(page->file, NULL, _IONBF, 0);
	}
	return page->file ? fwrite(data, size, count, page->file) : 0;
}

/*
 * The name says that it is whole. A page that was paid for before has its
 * part here, unless it was bought for another directory.
 */
static bool keep(struct page *page, bool before)
{
	char part[PATH_SIZE + 8];
	part_of(page, part);
	if (!page->file && !before) {
		/* Nothing came, and that is the page. */
		int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			return false;
		close(fd);
	}
	return rename(part, page->path) == 0;
}

static void count_failure(
	struct crawl *crawl, const struct x402_client_response *response)
{
	if (response->cause == X402_CLIENT_CAUSE_BUDGET)
		crawl->over_budget++;
	else if (response->payment.attempted ||
		response->cause == X402_CLIENT_CAUSE_UNRESOLVED)
		crawl->unresolved++;
	else
		crawl->failed++;
}

static void show_progress(struct crawl *crawl)
{
	time_t now = time(NULL);
	if (now == crawl->shown || !isatty(STDERR_FILENO))
		return;
	crawl->shown = now;
	fprintf(stderr, "\r%zu of %zu begun, %u paid, %u free, %u failed ",
		crawl->next, crawl->len, crawl->paid, crawl->free_,
		crawl->failed);
}

static void add_pages(struct crawl *crawl);

static void on_done(
	void *user, enum x402_err err, struct x402_client_response *response)
{
	struct page *page = user;
	struct crawl *crawl = page->crawl;
	bool whole = !err && response->status >= 200 && response->status < 300;
	bool flushed = !page->file || fclose(page->file) == 0;
	/* Whole at the last end, and killed before it got its name. */
	bool before = response->cause == X402_CLIENT_CAUSE_ALREADY_PAID;
	if (flushed && (whole || before) && keep(page, before)) {
		crawl->kept += before;
		crawl->paid += !before && response->payment.attempted;
		crawl->free_ += !before && !response->payment.attempted;
	} else {
		count_failure(crawl, response);
		if (getenv("CRAWLER_VERBOSE"))
			fprintf(stderr, "%s: %s: %s\n", page->url,
				x402_client_cause_name(response->cause),
				response->error.text);
	}
	page->file = NULL;
	curl_easy_cleanup(page->curl);
	page->curl = NULL;
	show_progress(crawl);
	add_pages(crawl);
}

static bool begin_page(struct page *page)
{
	struct crawl *crawl = page->crawl;
	if (!robots_allows(&page->origin->robots, path_of(page->url))) {
		crawl->forbidden++;
		return true;
	}
	page->curl = curl_easy_init();
	if (!page->curl)
		abort();
	curl_easy_setopt(page->curl, CURLOPT_URL, page->url);
	curl_easy_setopt(page->curl, CURLOPT_USERAGENT, AGENT "/1");
	struct x402_client_easy easy = {.curl = page->curl,
		.on_body = on_body,
		.on_body_user = page,
		.once = true};
	struct x402_client_done done = {on_done, page};
	if (x402_client_multi_add(crawl->multi, &easy, done)) {
		curl_easy_cleanup(page->curl);
		page->curl = NULL;
		return false;
	}
	return true;
}

/* A handle for each page that is under way, and not for the whole list. */
static void add_pages(struct crawl *crawl)
{
	while (!interrupted && crawl->next < crawl->len &&
		x402_client_multi_pending(crawl->multi) <
			2 * (size_t)crawl->in_flight)
		if (!begin_page(&crawl->pages[crawl->next++]))
			abort();
}

/* ---- The run. ---- */

static void on_balance(void *user)
{
	struct crawl *crawl = user;
	crawl->asking = false;
}

/* Before the first page it is waited for; after that nobody waits. */
static enum x402_err watch_balance(struct crawl *crawl)
{
	struct x402_client_balances_done done = {on_balance, crawl};
	time_t now = time(NULL);
	bool first = crawl->balance_at == 0;
	if (!crawl->balance.asset || crawl->asking ||
		now < crawl->balance_at + BALANCE_EVERY_S)
		return X402_OK;
	crawl->balance_at = now;
	if (first)
		return x402_client_check_balances(
			crawl->client, &crawl->balance, 1);
	enum x402_err err = x402_client_multi_check_balances(
		crawl->multi, &crawl->balance, 1, done);
	crawl->asking = err == X402_OK;
	/* A node that does not answer changes nothing. */
	return err == X402_ERR_NETWORK ? X402_OK : err;
}

static enum x402_err run(struct crawl *crawl)
{
	struct x402_client_multi_options options = {
		.max_in_flight = crawl->in_flight};
	enum x402_err err = x402_client_multi_new(
		crawl->client, &options, &crawl->multi);
	if (err)
		return err;
	err = watch_balance(crawl);
	if (!err)
		add_pages(crawl);
	while (!err && x402_client_multi_pending(crawl->multi)) {
		err = x402_client_multi_run(crawl->multi, 1000);
		if (!err)
			err = watch_balance(crawl);
	}
	x402_client_multi_free(crawl->multi);
	return err;
}

static int report(struct crawl *crawl, struct x402_journal *journal,
	const char *session, const struct x402_client_resumed *resumed)
{
	struct x402_budget total = {
		.window = X402_BUDGET_SESSION, .max_usd_micros = 1};
	struct x402_budget_use use = {.used_usd_micros = 0};
	size_t left = crawl->len - crawl->next;
	if (x402_journal_budget_used(journal, &total, session, &use))
		use.used_usd_micros = 0;
	printf("{\"paid\":%u,\"free\":%u,\"kept\":%u,\"forbidden\":%u,"
	       "\"overBudget\":%u,\"unresolved\":%u,\"failed\":%u,"
	       "\"left\":%zu,\"resumed\":%llu,\"spentUsdMicros\":%llu}\n",
		crawl->paid, crawl->free_, crawl->kept, crawl->forbidden,
		crawl->over_budget, crawl->unresolved, crawl->failed, left,
		(unsigned long long)resumed->looked_at,
		(unsigned long long)use.used_usd_micros);
	return left || crawl->over_budget || crawl->unresolved || crawl->failed
		? 3
		: 0;
}

struct arguments {
	const char *directory;
	const char *journal;
	const char *session;
	const char *list;
	const char *block_tag;
	const char *pause_below;
	uint64_t budget_usd_micros;
	unsigned in_flight;
	unsigned metrics_port;
	bool events;
	struct x402_client_endpoint endpoints[ENDPOINTS_MAX];
	size_t endpoints_len;
};

static bool take_endpoint(struct arguments *arguments, char *text)
{
	char *equals = strchr(text, '=');
	if (!equals || arguments->endpoints_len == ENDPOINTS_MAX)
		return false;
	*equals = '\0';
	arguments->endpoints[arguments->endpoints_len++] =
		(struct x402_client_endpoint){text, equals + 1};
	return true;
}

static bool take_money(const char *text, uint64_t *ret_micros)
{
	struct x402_u256 value;
	return !x402_price_parse(text, 6, &value) &&
		x402_u256_to_u64(&value, ret_micros) && *ret_micros > 0;
}

static bool read_arguments(int argc, char **argv, struct arguments *arguments)
{
	int option;
	while ((option = getopt(argc, argv, "o:b:j:n:r:k:t:em:w:")) != -1) {
		char *value = optarg;
		bool ok = option != '?';
		if (option == 'o')
			arguments->directory = value;
		else if (option == 'j')
			arguments->journal = value;
		else if (option == 'k')
			arguments->session = value;
		else if (option == 't')
			arguments->block_tag = value;
		else if (option == 'e')
			arguments->events = true;
		else if (option == 'w')
			arguments->pause_below = value;
		else if (option == 'm')
			arguments->metrics_port = (unsigned)strtoul(
				value, NULL, 10);
		else if (option == 'b')
			ok = take_money(value, &arguments->budget_usd_micros);
		else if (option == 'n')
			arguments->in_flight = (unsigned)strtoul(
				value, NULL, 10);
		else if (option == 'r')
			ok = take_endpoint(arguments, value);
		if (!ok)
			return false;
	}
	arguments->list = argv[optind];
	return arguments->list && arguments->directory &&
		arguments->budget_usd_micros && arguments->in_flight > 0;
}

/* The token that dollars mean on the first chain. */
static bool set_balance(
	const struct arguments *arguments, struct x402_client_balance *balance)
{
	const struct x402_default_asset *asset = arguments->endpoints_len
		? x402_default_asset_of(arguments->endpoints[0].network)
		: NULL;
	if (!arguments->pause_below)
		return true;
	if (!asset)
		return false;
	*balance = (struct x402_client_balance){.network = asset->network,
		.asset = asset->address,
		.rpc_url = arguments->endpoints[0].url,
		.low = arguments->pause_below,
		.pause_below = arguments->pause_below};
	return true;
}

static enum x402_err listen_for_metrics(
	struct x402_client *client, unsigned port)
{
	uint16_t got = 0;
	if (!port)
		return X402_OK;
	return port > UINT16_MAX
		? X402_ERR_INVALID_ARGUMENT
		: x402_client_metrics_listen(client, (uint16_t)port, &got);
}

static int crawl_with(const struct arguments *arguments,
	struct x402_journal *journal, const struct x402_secret *key)
{
	struct crawl crawl = {.directory = arguments->directory,
		.in_flight = arguments->in_flight};
	struct x402_budget budget = {.window = X402_BUDGET_SESSION,
		.max_usd_micros = arguments->budget_usd_micros};
	struct x402_client_options options = {.key = key,
		.max_usd_micros = PRICE_MAX_USD_MICROS,
		.journal = journal,
		.budgets = &budget,
		.budgets_len = 1,
		.session = arguments->session,
		.correlation = arguments->session,
		.is_cancelled = is_interrupted,
		.on_event = arguments->events ? print_event : NULL,
		.retries = 2};
	struct x402_client_resume_options how = {
		.endpoints = arguments->endpoints,
		.endpoints_len = arguments->endpoints_len,
		.block_tag = arguments->block_tag};
	struct x402_client_resumed resumed = {0};
	if (!set_balance(arguments, &crawl.balance)) {
		fputs("crawler: -w: expected -r with a known network\n",
			stderr);
		return 2;
	}
	if (!read_list(&crawl, arguments->list)) {
		fprintf(stderr, "crawler: %s: %s\n", arguments->list,
			strerror(errno));
		return 2;
	}
	enum x402_err err = x402_client_new(&options, &crawl.client);
	options = (struct x402_client_options){
		.is_cancelled = is_interrupted, .user_agent = AGENT "/1"};
	if (!err)
		err = x402_client_new(&options, &crawl.reader);
	if (!err)
		err = listen_for_metrics(crawl.client, arguments->metrics_port);
	if (!err)
		err = x402_client_resume(crawl.client, &how, &resumed);
	for (size_t i = 0; !err && i < crawl.len; i++) {
		struct origin *before = crawl.origins;
		crawl.pages[i].origin = find_origin(&crawl, crawl.pages[i].url);
		if (crawl.origins != before)
			read_robots(&crawl, crawl.origins);
	}
	if (!err)
		err = run(&crawl);
	if (err)
		fprintf(stderr, "crawler: %s %s\n", x402_err_text(err),
			x402_journal_error(journal));
	int exit = err ? 1
		       : report(&crawl, journal, arguments->session, &resumed);
	x402_client_free(crawl.client);
	x402_client_free(crawl.reader);
	for (size_t i = 0; i < crawl.len; i++)
		free(crawl.pages[i].url);
	free(crawl.pages);
	while (crawl.origins) {
		struct origin *origin = crawl.origins;
		crawl.origins = origin->next;
		robots_clear(&origin->robots);
		free(origin->name);
		free(origin);
	}
	return exit;
}

static bool is_writable(const char *directory)
{
	struct stat stat_;
	if (stat(directory, &stat_))
		return false;
	errno = S_ISDIR(stat_.st_mode) ? errno : ENOTDIR;
	return S_ISDIR(stat_.st_mode) && access(directory, W_OK | X_OK) == 0;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.in_flight = 100, .session = AGENT};
	struct x402_journal_options where = X402_JOURNAL_OPTIONS_INIT;
	struct x402_journal *journal = NULL;
	struct x402_errinfo info = {{0}};
	struct x402_secret key;
	const char *text = getenv("EVM_PRIVATE_KEY");
	if (!read_arguments(argc, argv, &arguments) || !text ||
		x402_secret_parse(text, &key)) {
		fputs("EVM_PRIVATE_KEY=0x... crawler -o DIR -b USD"
		      " [-j JOURNAL] [-n IN_FLIGHT] [-r NETWORK=RPC_URL]"
		      " [-t BLOCK_TAG] [-k SESSION] [-e] [-m PORT]"
		      " [-w UNITS] LIST\n",
			stderr);
		return 2;
	}
	struct sigaction action = {.sa_handler = on_signal};
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	/* What is paid for must have a place to go. */
	if ((mkdir(arguments.directory, 0755) && errno != EEXIST) ||
		!is_writable(arguments.directory)) {
		fprintf(stderr, "crawler: %s: %s\n", arguments.directory,
			strerror(errno));
		return 2;
	}
	where.path = arguments.journal;
	if (x402_journal_open(&where, &info, &journal)) {
		fprintf(stderr, "crawler: %s: %s\n", info.field, info.text);
		return 2;
	}
	int exit = crawl_with(&arguments, journal, &key);
	x402_secret_clear(&key);
	x402_journal_close(journal);
	return exit;
}
