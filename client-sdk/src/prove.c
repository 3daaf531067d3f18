/*
 * prove.c: two witnesses. A node is asked in one batch for the state of the
 * authorization now, and for its state in a block whose time is known; both
 * from that block on, so that time and state belong together. A facilitator
 * is asked by the hash of the payload, which anybody can compute who has it.
 *
 * What cannot be read is no proof. A wrong "dead" would pay twice, so it takes
 * a block past validBefore and the word "unused" in that very block.
 */
#include "prove_p.h"

#include "operate_p.h"
#include "text_p.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* A status or two words; nobody has more to say. */
#define ANSWER_MAX_BYTES ((size_t)256 * 1024)
#define ASK_TIMEOUT_MS   10000L

/* ---- Asking. ---- */

/* A resume asks about many purchases: ten seconds for each is too long. */
static const struct x402__breaker_rule ask_rule = {
	.failures = 3, .open_ms = 30000};

enum x402_err x402__asker_init(
	struct x402__breaker *breaker, struct x402__asker *ret_asker)
{
	ret_asker->breaker = breaker;
	ret_asker->curl = curl_easy_init();
	return ret_asker->curl ? X402_OK : X402_ERR_NOMEM;
}

void x402__asker_clear(struct x402__asker *asker)
{
	curl_easy_cleanup(asker->curl);
	asker->curl = NULL;
}

static size_t keep(char *data, size_t size, size_t count, void *user)
{
	struct x402_buf *buf = user;
	size_t len = size * count;
	if (len > ANSWER_MAX_BYTES - buf->len)
		return 0;
	x402_buf_add(buf, x402_span(data, len));
	return buf->failed ? 0 : len;
}

static enum x402_err ask_once(struct x402__asker *asker, const char *url,
	const char *body, struct x402_json **ret_json)
{
	CURL *curl = asker->curl;
	struct x402_buf answer = {0};
	struct curl_slist *headers = curl_slist_append(
		NULL, "Content-Type: application/json");
	long status = 0;
	if (!headers)
		return X402_ERR_NOMEM;
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ASK_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
	if (body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	}
	CURLcode code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_slist_free_all(headers);
	enum x402_err err = X402_ERR_NETWORK;
	if (code == CURLE_OK && status == 404)
		err = X402_ERR_NOT_FOUND;
	else if (code == CURLE_OK && status == 200 &&
		!x402_json_parse(x402_buf_span(&answer), NULL, NULL, ret_json))
		err = X402_OK;
	x402_buf_clear(&answer);
	return err;
}

/* "http://host:port" of a URL: one circuit for all that is asked there. */
static void name_origin(const char *url, char *ret_name, size_t size)
{
	const char *host = strstr(url, "://");
	size_t len = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#")
			  : strlen(url);
	snprintf(ret_name, size, "%.*s", (int)(len < size ? len : size - 1),
		url);
}

enum x402_err x402__ask(struct x402__asker *asker, const char *url,
	const char *body, struct x402_json **ret_json)
{
	char origin[272];
	name_origin(url, origin, sizeof(origin));
	if (!x402__breaker_allows(asker->breaker, origin, x402__now_ms()))
		return X402_ERR_NETWORK;
	enum x402_err err = ask_once(asker, url, body, ret_json);
	(void)x402__breaker_note(asker->breaker, origin,
		err != X402_ERR_NETWORK, &ask_rule, x402__now_ms());
	return err;
}

/* ---- The facilitator. ---- */

/* SHA-256 of the payload with its keys sorted, in hex. */
static bool payload_hash(const struct x402_purchase *purchase, char ret_hex[65])
{
	struct x402_payment_payload payload = {0};
	uint8_t hash32[crypto_hash_sha256_BYTES];
	if (x402_payment_payload_decode(
		    x402_span_str(purchase->header_text), NULL, &payload))
		return false;
	char *text = x402_json_dump_sorted(payload.json);
	x402_payment_payload_clear(&payload);
	if (!text)
		return false;
	(void)crypto_hash_sha256(
		hash32, (const unsigned char *)text, strlen(text));
	free(text);
	(void)sodium_bin2hex(ret_hex, 65, hash32, sizeof(hash32));
	return true;
}

static enum x402_client_proof judge_state(const char *state)
{
	if (!state)
		return X402_CLIENT_PROOF_NONE;
	if (strcmp(state, "settled") == 0 || strcmp(state, "provisioned") == 0)
		return X402_CLIENT_PROOF_PAID;
	/* Its others may still be charged: by somebody else, or later. */
	return strcmp(state, "expired") == 0 ? X402_CLIENT_PROOF_DEAD
					     : X402_CLIENT_PROOF_NONE;
}

enum x402_client_proof x402__prove_by_facilitator(struct x402__asker *asker,
	const char *facilitator_url, const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE])
{
	char hash[65];
	char url[2048];
	struct x402_json *json = NULL;
	size_t len = strlen(facilitator_url);
	if (!payload_hash(purchase, hash))
		return X402_CLIENT_PROOF_NONE;
	while (len && facilitator_url[len - 1] == '/')
		len--;
	if (len > sizeof(url) - 128)
		return X402_CLIENT_PROOF_NONE;
	snprintf(url, sizeof(url), "%.*s/payments/%s", (int)len,
		facilitator_url, hash);
	if (x402__ask(asker, url, NULL, &json))
		return X402_CLIENT_PROOF_NONE;
	enum x402_client_proof proof = judge_state(
		x402_json_get_string(json, "state"));
	if (proof == X402_CLIENT_PROOF_PAID)
		x402__text_take_id(ret_transaction,
			X402_CLIENT_TRANSACTION_SIZE,
			x402_json_get_string(json, "transaction"));
	x402_json_unref(json);
	return proof;
}

/* ---- The chain. ---- */

/* "0x..." to 64 bits; block numbers and times fit. */
static bool read_quantity(const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	if (!text || strncmp(text, "0x", 2) != 0 || !text[2] ||
		strlen(text) > 18)
		return false;
	for (text += 2; *text; text++) {
		const char *digits = "0123456789abcdef";
		const char *at = strchr(digits, *text | 0x20);
		if (!at)
			return false;
		value = value << 4 | (uint64_t)(at - digits);
	}
	*ret_value = value;
	return true;
}

/* A bool as the ABI has it: 31 zero bytes and 0 or 1. */
static bool read_bool(const char *text, bool *ret_value)
{
	uint8_t word[32];
	if (x402_hex_decode_fixed(text, word, sizeof(word)) || word[31] > 1)
		return false;
	for (size_t i = 0; i < 31; i++)
		if (word[i])
			return false;
	*ret_value = word[31] == 1;
	return true;
}

/* The result with this id, whatever the order of the batch. */
static const struct x402_json *result_of(
	const struct x402_json *answers, int64_t id)
{
	for (size_t i = 0; i < x402_json_size(answers); i++) {
		const struct x402_json *answer = x402_json_at(answers, i);
		int64_t said = 0;
		if (x402_json_int64(x402_json_get(answer, "id"), &said) &&
			said == id)
			return x402_json_get(answer, "result");
	}
	return NULL;
}

enum x402_client_proof x402__prove_judge(
	const struct x402_json *answers, uint64_t valid_before_unix_s)
{
	bool used = false;
	uint64_t time_unix_s = 0;
	const char *state = x402_json_string(result_of(answers, 1));
	if (!state || !read_bool(state, &used))
		return X402_CLIENT_PROOF_NONE;
	/* We never cancel an authorization: used is charged. */
	if (used)
		return X402_CLIENT_PROOF_PAID;
	if (!read_quantity(
		    x402_json_get_string(result_of(answers, 2), "timestamp"),
		    &time_unix_s))
		return X402_CLIENT_PROOF_NONE;
	/* The contract takes it while block.timestamp < validBefore. */
	return time_unix_s >= valid_before_unix_s ? X402_CLIENT_PROOF_DEAD
						  : X402_CLIENT_PROOF_NONE;
}

/* The call that asks for the authorization's state; false: no EIP-3009. */
static bool state_call(
	const struct x402_purchase *purchase, struct x402_buf *ret_hex)
{
	struct x402_payment_payload payload = {0};
	struct x402_eip3009_payload exact = {0};
	struct x402_buf calldata = {0};
	if (x402_payment_payload_decode(
		    x402_span_str(purchase->header_text), NULL, &payload))
		return false;
	bool ok = !x402_eip3009_payload_read(payload.payload, NULL, &exact);
	x402_payment_payload_clear(&payload);
	if (!ok)
		return false;
	x402_eip3009_state_calldata(&exact.authorization.from,
		exact.authorization.nonce32, &calldata);
	x402_hex_encode_0x(x402_buf_span(&calldata), ret_hex);
	x402_buf_clear(&calldata);
	x402_eip3009_payload_clear(&exact);
	return !ret_hex->failed;
}

/* The block that the proof is about: its number, as the node writes it. */
static bool find_block(struct x402__asker *asker, const char *url,
	const char *tag, char ret_number[32])
{
	char body[256];
	struct x402_json *json = NULL;
	uint64_t number = 0;
	if (snprintf(body, sizeof(body),
		    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		    "\"eth_getBlockByNumber\",\"params\":[\"%s\",false]}",
		    tag) >= (int)sizeof(body) ||
		x402__ask(asker, url, body, &json))
		return false;
	bool ok = read_quantity(
		x402_json_get_string(x402_json_get(json, "result"), "number"),
		&number);
	x402_json_unref(json);
	snprintf(ret_number, 32, "0x%" PRIx64, number);
	return ok;
}

/* State at a block, and that block's head, in one batch. */
static enum x402_client_proof ask_at(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block,
	const struct x402_purchase *purchase, const char *call)
{
	struct x402_buf body = {0};
	struct x402_json *answers = NULL;
	x402_buf_printf(&body,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%s\",\"data\":\"%s\"},\"%s\"]},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
		"\"eth_getBlockByNumber\",\"params\":[\"%s\",false]}]",
		purchase->asset, call, block, block);
	char *text = x402_buf_take_str(&body);
	enum x402_err err = text
		? x402__ask(asker, endpoint->url, text, &answers)
		: X402_ERR_NOMEM;
	free(text);
	if (err)
		return X402_CLIENT_PROOF_NONE;
	enum x402_client_proof proof = x402__prove_judge(
		answers, purchase->valid_before_unix_s);
	x402_json_unref(answers);
	return proof;
}

enum x402_client_proof x402__prove_by_chain(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block_tag,
	const struct x402_purchase *purchase)
{
	struct x402_buf hex = {0};
	char block[32];
	enum x402_client_proof proof = X402_CLIENT_PROOF_NONE;
	if (!state_call(purchase, &hex)) {
		x402_buf_clear(&hex);
		return proof;
	}
	char *call = x402_buf_take_str(&hex);
	if (call && find_block(asker, endpoint->url, "latest", block))
		proof = ask_at(asker, endpoint, block, purchase, call);
	/* Dead in the newest block is dead only if that block stays. */
	if (proof == X402_CLIENT_PROOF_DEAD &&
		strcmp(block_tag, "latest") != 0) {
		proof = X402_CLIENT_PROOF_NONE;
		if (find_block(asker, endpoint->url, block_tag, block))
			proof = ask_at(asker, endpoint, block, purchase, call);
	}
	free(call);
	return proof;
}
