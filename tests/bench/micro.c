/*
 * What the pieces of a verification cost on one core: hashing, signing,
 * recovering, and planning a whole payment, beside libsecp256k1's own rate of
 * recovery. Prints one line of JSON, rates per second.
 *
 *   bench-micro [MILLISECONDS-EACH]
 */
#include <secp256k1_recovery.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "x402/x402.h"

#define NOW 1800000000
/*
 * Signatures to recover from, one after the other: with a single one the
 * curve's tables would be read at the same few places, always in the cache,
 * as they never are for payments of different payers.
 */
#define SIGNATURES 4096

static struct x402_secp256k1 *secp;
static struct x402_secret key;
static struct x402_facilitator_request request;
static uint8_t hash[32] = {1, 2, 3};
static uint8_t sig[65];
static uint64_t each_ns = 500000000;
static volatile unsigned sink;
static uint8_t hashes[SIGNATURES][32];
static uint8_t sigs[SIGNATURES][65];
static size_t turn;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Run for a while; whole runs per second. */
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

static void keccak_32(void)
{
	x402_keccak256(x402_span(hash, 32), hash);
	sink += hash[0];
}

static void keccak_136(void)
{
	uint8_t block[136] = {hash[0]};

	x402_keccak256(x402_span(block, sizeof(block)), hash);
	sink += hash[0];
}

static void sign(void)
{
	sink += x402_sign_digest(secp, hash, &key, sig) == X402_OK;
}

static void recover(void)
{
	struct x402_address address;
	size_t i = turn++ % SIGNATURES;

	sink += x402_recover_address(hashes[i], sigs[i], &address) == X402_OK;
}

static void recover_raw(void)
{
	secp256k1_ecdsa_recoverable_signature signature;
	secp256k1_pubkey pubkey;
	size_t i = turn++ % SIGNATURES;

	sink += (unsigned)secp256k1_ecdsa_recoverable_signature_parse_compact(
		secp256k1_context_static, &signature, sigs[i],
		sigs[i][64] - 27);
	sink += (unsigned)secp256k1_ecdsa_recover(
		secp256k1_context_static, &pubkey, &signature, hashes[i]);
}

/* Each by a key of its own. */
static void make_signatures(void)
{
	for (size_t i = 0; i < SIGNATURES; i++) {
		struct x402_secret own;

		x402_keccak256(x402_span(&i, sizeof(i)), own.bytes);
		x402_keccak256(x402_span(own.bytes, 32), hashes[i]);
		if (x402_sign_digest(secp, hashes[i], &own, sigs[i]) != X402_OK)
			abort();
	}
}

static void plan(void)
{
	struct x402_verify_options options = {.now_unix_s = NOW};
	struct x402_verify_plan verify_plan;

	if (x402_verify_plan(&request, &options, &verify_plan) != X402_OK ||
		verify_plan.decided || verify_plan.reads_len != 3)
		abort();
	x402_verify_plan_clear(&verify_plan);
}

static void read_and_plan(void)
{
	struct x402_facilitator_request copy;
	struct x402_json *json = NULL;
	char *text = x402_json_dump(request.json);

	if (x402_json_parse(x402_span_str(text), NULL, NULL, &json) !=
			X402_OK ||
		x402_facilitator_request_read(json, NULL, &copy) != X402_OK)
		abort();
	free(text);
	x402_json_unref(json);
	plan();
	x402_facilitator_request_clear(&copy);
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

static void make_request(void)
{
	struct x402_payment_requirements offer;
	struct x402_create_options options = {
		.now_unix_s = NOW, .sign = sign_for};
	struct x402_payment_required required;
	struct x402_facilitator_request parts;
	struct x402_json *payload = NULL;
	struct x402_json *json = NULL;

	memset(&required, 0, sizeof(required));
	memset(&parts, 0, sizeof(parts));
	if (x402_secret_address(secp, &key, &options.payer) != X402_OK ||
		x402_requirements_from_price("$0.001", "eip155:84532", NULL,
			"0x90F79bf6EB2c4f870365E785982E1f101E93b906", 300,
			&offer) != X402_OK ||
		x402_create_payload(&offer, &options, NULL, &payload) !=
			X402_OK)
		abort();
	required.x402_version = X402_V2;
	required.accepts[0] = offer;
	required.accepts_len = 1;
	if (x402_payment_payload_build(
		    &required, 0, payload, NULL, &parts.payload) != X402_OK)
		abort();
	parts.x402_version = X402_V2;
	parts.requirements = offer;
	if (x402_facilitator_request_to_json(&parts, &json) != X402_OK ||
		x402_facilitator_request_read(json, NULL, &request) != X402_OK)
		abort();
	x402_json_unref(json);
	x402_json_unref(payload);
	x402_payment_payload_clear(&parts.payload);
	x402_payment_requirements_clear(&offer);
}

int main(int argc, char **argv)
{
	uint8_t seed[32] = {1};

	if (argc > 1)
		each_ns = strtoull(argv[1], NULL, 10) * 1000000u;
	if (x402_secp256k1_new(seed, &secp) != X402_OK ||
		x402_secret_parse("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbe"
				  "d5efcae784d7bf4f2ff80",
			&key) != X402_OK)
		return 1;
	make_request();
	make_signatures();
	printf("{\"keccak_32\":%lu,\"keccak_136\":%lu,", rate(keccak_32),
		rate(keccak_136));
	printf("\"sign\":%lu,", rate(sign));
	printf("\"recover\":%lu,\"recover_libsecp256k1\":%lu,", rate(recover),
		rate(recover_raw));
	printf("\"verify_plan\":%lu,\"read_and_verify_plan\":%lu}\n",
		rate(plan), rate(read_and_plan));
	x402_facilitator_request_clear(&request);
	x402_secp256k1_free(secp);
	return 0;
}
