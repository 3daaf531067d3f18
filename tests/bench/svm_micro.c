/*
 * What one Solana payment costs on one core before the chain is asked, beside
 * libsodium's own rate of verification: the captured payment of the reference
 * client, read from JSON and planned. Prints one line of JSON, per second of
 * CPU.
 *
 *   bench-svm-micro PAYLOAD.json [MILLISECONDS-EACH]
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "x402/encoding.h"
#include "x402/x402.h"

#define PAYLOAD_MAX 8192

static char payload[PAYLOAD_MAX];
static char *text; /* of a facilitator's request */
static struct x402_buf wire;
static struct x402_svm_transaction transaction;
static uint64_t each_ns = 500000000;
static volatile unsigned sink;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned long rate(void (*once)(void))
{
	uint64_t start = now_ns();
	uint64_t elapsed;
	uint64_t runs = 0;

	do {
		for (int i = 0; i < 64; i++)
			once();
		runs += 64;
		elapsed = now_ns() - start;
	} while (elapsed < each_ns);
	return (unsigned long)(runs * 1000000000u / elapsed);
}

static void verify_raw(void)
{
	if (crypto_sign_verify_detached(transaction.signatures.ptr + 64,
		    transaction.message.ptr, transaction.message.len,
		    transaction.keys[1].bytes) != 0)
		abort();
}

static void ata(void)
{
	struct x402_pubkey account;
	uint8_t bump;

	if (!x402_svm_ata(&transaction.keys[1], &x402_svm_token_program,
		    &transaction.keys[4], &account, &bump))
		abort();
	sink += bump;
}

static void read_and_plan(void)
{
	struct x402_facilitator_request request;
	struct x402_verify_options options = {.now_unix_s = 1};
	struct x402_verify_plan plan;
	struct x402_json *json = NULL;

	if (x402_json_parse(x402_span_str(text), NULL, NULL, &json) !=
			X402_OK ||
		x402_facilitator_request_read(json, NULL, &request) !=
			X402_OK ||
		x402_verify_plan(&request, &options, &plan) != X402_OK ||
		plan.decided)
		abort();
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
	x402_json_unref(json);
}

static bool read_payload(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct x402_json *json = NULL;
	struct x402_json *request = x402_json_new_object();
	const struct x402_json *accepted;
	const char *base64;

	if (!file || fread(payload, 1, sizeof(payload) - 1, file) == 0 ||
		x402_json_parse(x402_span_str(payload), NULL, NULL, &json) !=
			X402_OK)
		return false;
	(void)fclose(file); /* only read */
	accepted = x402_json_get(json, "accepted");
	base64 = x402_json_get_string(
		x402_json_get(json, "payload"), "transaction");
	if (!base64 ||
		x402_base64_decode(x402_span_str(base64), &wire) != X402_OK ||
		x402_svm_transaction_read(x402_buf_span(&wire), &transaction) !=
			X402_OK ||
		x402_json_set_int(request, "x402Version", 2) != X402_OK ||
		x402_json_set_take(request, "paymentRequirements",
			x402_json_copy(accepted)) != X402_OK ||
		x402_json_set_take(request, "paymentPayload", json) != X402_OK)
		return false;
	text = x402_json_dump(request);
	x402_json_unref(request);
	return text != NULL;
}

int main(int argc, char **argv)
{
	if (argc < 2 || sodium_init() < 0 || !read_payload(argv[1])) {
		fprintf(stderr, "usage: bench-svm-micro PAYLOAD.json [MS]\n");
		return 2;
	}
	if (argc > 2)
		each_ns = strtoull(argv[2], NULL, 10) * 1000000u;
	printf("{\"verify_libsodium\":%lu,\"ata\":%lu,"
	       "\"read_and_verify_plan\":%lu}\n",
		rate(verify_raw), rate(ata), rate(read_and_plan));
	free(text);
	x402_buf_clear(&wire);
	return 0;
}
