/*
 * What paying costs the payer's own processor, on one core. Prints one line of
 * JSON.
 *
 *   bench-client sign MILLISECONDS    libsecp256k1's signing alone, and one
 *       whole payment (typed data, nonce, signature, payload, base64 header);
 *       in turns, so that a busy machine is unfair to both
 *   bench-client fetch URL COUNT      an unpaid request, in turns: by libcurl
 *       as it comes, with CURLOPT_NOSIGNAL and a timeout as the client sets
 *       them, and through x402_client_perform()
 *   bench-client crawl URL COUNT IN_FLIGHT [JOURNAL]   so many paid URLs below
 *       URL through the multi, with a journal or without memory
 */
#include <curl/curl.h>
#include <secp256k1_recovery.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "x402/client_curl.h"
#include "x402/journal.h"

#define NOW    1800000000
#define ROUNDS 40

static const char offer_text[] =
	"{\"x402Version\":2,\"error\":\"Payment required\",\"resource\":"
	"{\"url\":\"https://shop.example/article\",\"description\":\"An "
	"article\",\"mimeType\":\"text/html\"},\"accepts\":[{\"scheme\":"
	"\"exact\",\"network\":\"eip155:84532\",\"amount\":\"1000\","
	"\"asset\":\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
	"\"0x90F79bf6EB2c4f870365E785982E1f101E93b906\","
	"\"maxTimeoutSeconds\":300,\"extra\":{\"name\":\"USDC\",\"version\":"
	"\"2\"}}]}";

static struct x402_secp256k1 *secp;
static secp256k1_context *raw;
static struct x402_secret key;
static struct x402_address payer;
static struct x402_payment_required challenge;
static uint8_t nonce32[32];

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* ---- Signing. ---- */

static void sign_raw(void)
{
	secp256k1_ecdsa_recoverable_signature signature;

	nonce32[0]++;
	check(secp256k1_ecdsa_sign_recoverable(
		raw, &signature, nonce32, key.bytes, NULL, NULL));
}

static enum x402_err sign_for(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	uint8_t out[65];
	enum x402_err err = x402_sign_digest(
		secp, signable->digest32, &key, out);

	(void)user;
	if (!err)
		x402_buf_add(ret_signature, x402_span(out, 65));
	return err;
}

static void sign_payment(void)
{
	/* As the client does it: the payer keeps what payments share. */
	static struct x402_create_cache cache;
	struct x402_create_options create = {.now_unix_s = NOW,
		.payer = payer,
		.sign = sign_for,
		.cache = &cache};
	struct x402_json *scheme_payload = NULL;
	struct x402_payment_payload payload = {0};
	char *header = NULL;

	nonce32[0]++;
	memcpy(create.nonce32, nonce32, sizeof(nonce32));
	check(x402_create_payload(&challenge.accepts[0], &create, NULL,
		      &scheme_payload) == X402_OK);
	check(x402_payment_payload_build(&challenge, 0, scheme_payload, NULL,
		      &payload) == X402_OK);
	check(x402_payment_payload_encode(&payload, &header) == X402_OK);
	free(header);
	x402_payment_payload_clear(&payload);
	x402_json_unref(scheme_payload);
}

/* CPU nanoseconds of one, over a slice of a round. */
static uint64_t cost_ns(void (*once)(void), uint64_t slice_ns)
{
	uint64_t start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t elapsed = 0;
	uint64_t runs = 0;

	while (elapsed < slice_ns) {
		for (int i = 0; i < 16; i++)
			once();
		runs += 16;
		elapsed = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
	}
	return elapsed / runs;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t median(uint64_t *values)
{
	qsort(values, ROUNDS, sizeof(*values), compare);
	return values[ROUNDS / 2];
}

static void bench_sign(uint64_t ms)
{
	uint64_t alone[ROUNDS];
	uint64_t whole[ROUNDS];
	uint64_t slice_ns = ms * 1000000u / (2 * ROUNDS);

	for (int i = 0; i < ROUNDS; i++) {
		alone[i] = cost_ns(sign_raw, slice_ns);
		whole[i] = cost_ns(sign_payment, slice_ns);
	}
	printf("{\"rawNs\":%llu,\"paymentNs\":%llu}\n",
		(unsigned long long)median(alone),
		(unsigned long long)median(whole));
}

/* ---- An unpaid request. ---- */

static size_t drop(char *data, size_t size, size_t count, void *user)
{
	(void)data;
	(void)user;
	return size * count;
}

struct cost {
	uint64_t wall_ns;
	uint64_t cpu_ns;
};

static struct cost stop(uint64_t wall_ns, uint64_t cpu_ns, uint64_t count)
{
	return (struct cost){(clock_ns(CLOCK_MONOTONIC) - wall_ns) / count,
		(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns) / count};
}

static struct cost fetch_plain(CURL *curl, uint64_t count)
{
	uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	for (uint64_t i = 0; i < count; i++)
		check(curl_easy_perform(curl) == CURLE_OK);
	return stop(wall_ns, cpu_ns, count);
}

static struct cost fetch_paying(
	struct x402_client *client, CURL *curl, uint64_t count)
{
	struct x402_client_easy easy = {.curl = curl, .on_body = drop};
	uint64_t wall_ns = clock_ns(CLOCK_MONOTONIC);
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	for (uint64_t i = 0; i < count; i++) {
		struct x402_client_response response =
			X402_CLIENT_RESPONSE_INIT;

		check(x402_client_perform(client, &easy, &response) == X402_OK);
		check(response.status == 200);
		x402_client_response_clear(&response);
	}
	return stop(wall_ns, cpu_ns, count);
}

static void bench_fetch(const char *url, uint64_t count)
{
	struct x402_client *client = NULL;
	struct x402_client_options options = {.key = &key};
	CURL *curls[3] = {curl_easy_init(), curl_easy_init(), curl_easy_init()};
	static const char *const names[3] = {"plain", "tuned", "paying"};
	uint64_t walls[3][ROUNDS];
	uint64_t cpus[3][ROUNDS];

	check(x402_client_new(&options, &client) == X402_OK);
	for (int i = 0; i < 3; i++) {
		check(curls[i] != NULL);
		curl_easy_setopt(curls[i], CURLOPT_URL, url);
		curl_easy_setopt(curls[i], CURLOPT_WRITEFUNCTION, drop);
	}
	/* NOSIGNAL saves libcurl four system calls. */
	curl_easy_setopt(curls[1], CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(
		curls[1], CURLOPT_TIMEOUT_MS, (long)X402_CLIENT_TIMEOUT_MS);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 3; i++) {
			struct cost cost = i < 2
				? fetch_plain(curls[i], count / ROUNDS)
				: fetch_paying(
					  client, curls[i], count / ROUNDS);

			walls[i][round] = cost.wall_ns;
			cpus[i][round] = cost.cpu_ns;
		}
	}
	for (int i = 0; i < 3; i++) {
		printf("%c\"%sWallNs\":%llu,\"%sCpuNs\":%llu", i ? ',' : '{',
			names[i], (unsigned long long)median(walls[i]),
			names[i], (unsigned long long)median(cpus[i]));
		curl_easy_cleanup(curls[i]);
	}
	printf("}\n");
	x402_client_free(client);
}

/* ---- A crawl. ---- */

struct crawl {
	struct x402_client_multi *multi;
	const char *base;
	uint64_t count;
	uint64_t begun;
	uint64_t paid;
	uint64_t failed;
};

struct page {
	struct crawl *crawl;
	char url[256];
	struct x402_client_request request;
};

static void on_page(
	void *user, enum x402_err err, struct x402_client_response *response);

static void begin_page(struct page *page)
{
	struct crawl *crawl = page->crawl;
	struct x402_client_done done = {on_page, page};

	snprintf(page->url, sizeof(page->url), "%s/%llu", crawl->base,
		(unsigned long long)crawl->begun++);
	page->request = (struct x402_client_request){.url = page->url};
	check(x402_client_multi_fetch(crawl->multi, &page->request, 0, done) ==
		X402_OK);
}

static void on_page(
	void *user, enum x402_err err, struct x402_client_response *response)
{
	struct page *page = user;
	struct crawl *crawl = page->crawl;
	bool paid = !err && response->status == 200 &&
		response->payment.outcome == X402_CLIENT_OUTCOME_PAID;

	crawl->paid += paid;
	crawl->failed += !paid;
	if (crawl->begun < crawl->count)
		begin_page(page);
	else
		free(page);
}

static unsigned long peak_kb(void)
{
	char line[128];
	unsigned long kb = 0;
	FILE *file = fopen("/proc/self/status", "r");

	check(file != NULL);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lu", &kb) == 1)
			break;
	fclose(file);
	return kb;
}

static void bench_crawl(const char *base, uint64_t count, unsigned in_flight,
	const char *journal_path)
{
	struct x402_journal_options where = {.path = journal_path};
	struct x402_client_options options = {.key = &key};
	struct x402_client_multi_options many = {.max_in_flight = in_flight};
	struct crawl crawl = {.base = base, .count = count};
	struct x402_client *client = NULL;
	uint64_t wall_ns;
	uint64_t cpu_ns;

	check(!journal_path ||
		x402_journal_open(&where, NULL, &options.journal) == X402_OK);
	check(x402_client_new(&options, &client) == X402_OK);
	check(x402_client_multi_new(client, &many, &crawl.multi) == X402_OK);
	wall_ns = clock_ns(CLOCK_MONOTONIC);
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned i = 0; i < in_flight && crawl.begun < count; i++) {
		struct page *page = calloc(1, sizeof(*page));

		check(page != NULL);
		page->crawl = &crawl;
		begin_page(page);
	}
	while (x402_client_multi_pending(crawl.multi))
		check(x402_client_multi_run(crawl.multi, 1000) == X402_OK);
	wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns;
	cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	printf("{\"paid\":%llu,\"failed\":%llu,\"wallMs\":%llu,"
	       "\"cpuMs\":%llu,\"peakKb\":%lu}\n",
		(unsigned long long)crawl.paid,
		(unsigned long long)crawl.failed,
		(unsigned long long)(wall_ns / 1000000u),
		(unsigned long long)(cpu_ns / 1000000u), peak_kb());
	x402_client_multi_free(crawl.multi);
	x402_client_free(client);
	x402_journal_close(options.journal);
}

int main(int argc, char **argv)
{
	struct x402_json *json = NULL;
	static const uint8_t seed32[32] = {7};

	memset(key.bytes, 0x11, sizeof(key.bytes));
	raw = secp256k1_context_create(SECP256K1_CONTEXT_SIGN);
	check(raw && x402_secp256k1_new(seed32, &secp) == X402_OK);
	check(x402_secret_address(secp, &key, &payer) == X402_OK);
	check(x402_json_parse(x402_span_str(offer_text), NULL, NULL, &json) ==
		X402_OK);
	check(x402_payment_required_read(json, NULL, &challenge) == X402_OK);
	x402_json_unref(json);
	if (argc == 3 && strcmp(argv[1], "sign") == 0)
		bench_sign(strtoull(argv[2], NULL, 10));
	else if (argc == 4 && strcmp(argv[1], "fetch") == 0)
		bench_fetch(argv[2], strtoull(argv[3], NULL, 10));
	else if ((argc == 5 || argc == 6) && strcmp(argv[1], "crawl") == 0)
		bench_crawl(argv[2], strtoull(argv[3], NULL, 10),
			(unsigned)strtoul(argv[4], NULL, 10),
			argc == 6 ? argv[5] : NULL);
	else
		return 2;
	x402_payment_required_clear(&challenge);
	x402_secp256k1_free(secp);
	secp256k1_context_destroy(raw);
	return 0;
}
