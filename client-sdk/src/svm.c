/*
 * svm.c: a payer on Solana: its key in locked memory (R10), and the two facts
 * that a payment needs of the chain: the mint (C-071) and a fresh blockhash
 * (C-074). Both are asked in one request, before the journal is opened: no
 * transaction of the journal waits for a node. A mint does not change its
 * decimals or its program, so it is asked once.
 */
#include "svm_p.h"

#include <sodium.h>
#include <stdlib.h>

#include "x402/encoding.h"

#define RPC_TIMEOUT_MS 10000L
/* An account of a mint with all its extensions, in base64, and room. */
#define RPC_BYTES_MAX ((size_t)64 * 1024)

struct x402__svm {
	struct x402_svm_secret *secret; /* sodium_malloc */
	struct x402_pubkey address;
	const char *rpc_url; /* borrowed */
	bool has_mint;
	struct x402_pubkey mint_key;
	struct x402_svm_mint mint;
};

enum x402_err x402__svm_new(const struct x402_svm_secret *key,
	const char *rpc_url, struct x402__svm **ret_svm)
{
	struct x402__svm *svm = calloc(1, sizeof(*svm));
	if (!svm)
		return X402_ERR_NOMEM;
	svm->secret = sodium_malloc(sizeof(*svm->secret));
	if (!svm->secret) {
		free(svm);
		return X402_ERR_NOMEM;
	}
	*svm->secret = *key;
	svm->address = x402_svm_secret_pubkey(key);
	svm->rpc_url = rpc_url;
	*ret_svm = svm;
	return X402_OK;
}

void x402__svm_free(struct x402__svm *svm)
{
	if (!svm)
		return;
	sodium_free(svm->secret); /* wipes */
	free(svm);
}

const struct x402_pubkey *x402__svm_address(const struct x402__svm *svm)
{
	return &svm->address;
}

enum x402_err x402__svm_sign(const struct x402__svm *svm,
	struct x402_span message, struct x402_buf *ret_signature)
{
	uint8_t sig64[64];
	enum x402_err err = x402_ed25519_sign(svm->secret, message, sig64);
	if (err)
		return err;
	x402_buf_add(ret_signature, x402_span(sig64, sizeof(sig64)));
	return ret_signature->failed ? X402_ERR_NOMEM : X402_OK;
}

bool x402__svm_is_offer(const struct x402_payment_requirements *offer)
{
	const char *caip2 = x402_payment_requirements_caip2(offer);
	return caip2 && strncmp(caip2, "solana:", 7) == 0;
}

/* ---- Asking. ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
	struct x402_buf *body = user;
	if (body->len + size * count > RPC_BYTES_MAX)
		return 0;
	x402_buf_add(body, x402_span(bytes, size * count));
	return body->failed ? 0 : size * count;
}

static bool post(const char *url, const char *question, struct x402_buf *body)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(
		NULL, "content-type: application/json");
	if (curl && headers) {
		curl_easy_setopt(curl, CURLOPT_URL, url);
		curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
		curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
		curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, RPC_TIMEOUT_MS);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, question);
		curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
		curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	}
	bool ok = curl && headers && curl_easy_perform(curl) == CURLE_OK;
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return ok;
}

/* The result of the answer with this id; a batch may come in any order. */
static const struct x402_json *result_of(
	const struct x402_json *answers, int64_t id)
{
	for (size_t i = 0; i < x402_json_size(answers); i++) {
		const struct x402_json *answer = x402_json_at(answers, i);
		int64_t got;
		if (x402_json_int64(x402_json_get(answer, "id"), &got) &&
			got == id)
			return x402_json_get(answer, "result");
	}
	return NULL;
}

static bool read_blockhash(
	const struct x402_json *answers, uint8_t ret_hash32[32])
{
	const struct x402_json *value = x402_json_get(
		result_of(answers, 1), "value");
	return !x402_base58_decode(
		x402_json_get_string(value, "blockhash"), ret_hash32, 32);
}

static bool read_mint(
	const struct x402_json *answers, struct x402_svm_mint *ret_mint)
{
	const struct x402_json *value = x402_json_get(
		result_of(answers, 2), "value");
	const char *text = x402_json_string(
		x402_json_at(x402_json_get(value, "data"), 0));
	struct x402_pubkey owner;
	struct x402_buf data = {0};
	bool ok = text &&
		!x402_pubkey_parse(
			x402_json_get_string(value, "owner"), &owner) &&
		!x402_base64_decode(x402_span_str(text), &data) &&
		!x402_svm_mint_read(&owner, x402_buf_span(&data), ret_mint);
	x402_buf_clear(&data);
	return ok;
}

static char *question_of(const char *mint)
{
	struct x402_buf buf = {0};
	x402_buf_add_str(&buf,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		"\"getLatestBlockhash\",\"params\":"
		"[{\"commitment\":\"confirmed\"}]}");
	if (mint)
		x402_buf_printf(&buf,
			",{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
			"\"getAccountInfo\",\"params\":[\"%s\","
			"{\"encoding\":\"base64\"}]}",
			mint);
	x402_buf_add_byte(&buf, ']');
	return x402_buf_take_str(&buf);
}

enum x402_err x402__svm_ask(struct x402__svm *svm,
	const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct x402__svm_facts *ret_facts)
{
	struct x402_pubkey mint;
	struct x402_buf body = {0};
	struct x402_json *answers = NULL;
	if (x402_pubkey_parse(offer->asset, &mint)) {
		x402_errinfo_set(info, "asset", "expected a mint's account");
		return X402_ERR_SCHEMA;
	}
	bool known = svm->has_mint && x402_pubkey_equal(&mint, &svm->mint_key);
	char *question = question_of(known ? NULL : offer->asset);
	bool ok = question && post(svm->rpc_url, question, &body) &&
		!x402_json_parse(x402_buf_span(&body), NULL, NULL, &answers) &&
		read_blockhash(answers, ret_facts->blockhash32);
	if (!ok)
		x402_errinfo_set(info, "SVM_RPC_URL",
			"the chain gave no blockhash; nothing was signed");
	if (ok && !known) {
		ok = read_mint(answers, &svm->mint);
		svm->mint_key = mint;
		svm->has_mint = ok;
		if (!ok)
			x402_errinfo_set(info, "asset",
				"no mint whose transfers bring what they say");
	}
	ret_facts->mint = svm->mint;
	x402_json_unref(answers);
	x402_buf_clear(&body);
	free(question);
	return ok ? X402_OK : X402_ERR_CHAIN;
}
