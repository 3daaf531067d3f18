/*
 * svm.c: a payer on Solana: who signs, and the two facts that a payment needs
 * of the chain: the mint (C-071) and a fresh blockhash (C-074). Both are asked
 * in one request, before the journal is opened: no transaction of the journal
 * waits for a node. Who sends the question is the transfer's business; here it
 * is made and its answer read.
 *
 * A mint does not change its decimals or its program, so it is asked once. A
 * blockhash is good for a minute or more, so payments of the same moment share
 * one; their memos keep them apart. Where the server gives the memo, two that
 * share a blockhash would be one transaction: there each has its own.
 */
#include "svm_p.h"

#include "ask_p.h"

#include <stdlib.h>

#include "x402/encoding.h"

/* How long a blockhash counts as fresh: little of the minute it lives. */
#define BLOCKHASH_MS 2000
/* Mints that are remembered; a payer holds few. */
#define MINTS_MAX 8

struct x402__svm {
	struct x402_client_svm_signer signer;
	const char *rpc_url; /* borrowed */
	struct {
		struct x402_pubkey key;
		struct x402_svm_mint mint;
	} mints[MINTS_MAX];
	size_t mints_len;
	size_t mints_next; /* forgotten next, when all places are taken */
	uint8_t blockhash32[32];
	int64_t blockhash_until_ms;
};

enum x402_err x402__svm_new(const struct x402_client_svm_signer *signer,
	const char *rpc_url, struct x402__svm **ret_svm)
{
	struct x402__svm *svm = calloc(1, sizeof(*svm));
	if (!svm)
		return X402_ERR_NOMEM;
	svm->signer = *signer;
	svm->rpc_url = rpc_url;
	*ret_svm = svm;
	return X402_OK;
}

void x402__svm_free(struct x402__svm *svm)
{
	free(svm);
}

const struct x402_client_svm_signer *x402__svm_signer(
	const struct x402__svm *svm)
{
	return &svm->signer;
}

const char *x402__svm_rpc_url(const struct x402__svm *svm)
{
	return svm->rpc_url;
}

bool x402__svm_is_offer(const struct x402_payment_requirements *offer)
{
	const char *caip2 = x402_payment_requirements_caip2(offer);
	return caip2 && strncmp(caip2, "solana:", 7) == 0;
}

static const struct x402_svm_mint *known_mint(
	const struct x402__svm *svm, const struct x402_pubkey *key)
{
	for (size_t i = 0; i < svm->mints_len; i++)
		if (x402_pubkey_equal(&svm->mints[i].key, key))
			return &svm->mints[i].mint;
	return NULL;
}

static void remember_mint(struct x402__svm *svm, const struct x402_pubkey *key,
	const struct x402_svm_mint *mint)
{
	size_t at = svm->mints_next;
	if (known_mint(svm, key))
		return; /* two asked at once */
	svm->mints[at].key = *key;
	svm->mints[at].mint = *mint;
	svm->mints_next = (at + 1) % MINTS_MAX;
	if (svm->mints_len < MINTS_MAX)
		svm->mints_len++;
}

/* ---- The question. ---- */

/* mint NULL: only the blockhash. */
static char *write_question(const char *mint)
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

enum x402_err x402__svm_question(const struct x402__svm *svm,
	const struct x402_payment_requirements *offer, int64_t now_ms,
	struct x402_errinfo *info, struct x402__svm_facts *ret_facts,
	char **ret_question)
{
	struct x402_pubkey key;
	char text[X402_PUBKEY_TEXT_SIZE];
	if (x402_pubkey_parse(offer->asset, &key)) {
		x402_errinfo_set(info, "asset", "expected a mint's account");
		return X402_ERR_SCHEMA;
	}
	const struct x402_svm_mint *mint = known_mint(svm, &key);
	*ret_question = NULL;
	bool own = x402_json_has(offer->extra, "memo");
	if (mint && !own && now_ms < svm->blockhash_until_ms) {
		ret_facts->mint = *mint;
		memcpy(ret_facts->blockhash32, svm->blockhash32, 32);
		return X402_OK;
	}
	x402_pubkey_format(&key, text);
	*ret_question = write_question(mint ? NULL : text);
	return *ret_question ? X402_OK : X402_ERR_NOMEM;
}

/* ---- The answer. ---- */

static bool read_blockhash(
	const struct x402_json *answers, uint8_t ret_hash32[32])
{
	const struct x402_json *value = x402_json_get(
		x402__ask_result(answers, 1), "value");
	return !x402_base58_decode(
		x402_json_get_string(value, "blockhash"), ret_hash32, 32);
}

static bool read_mint(
	const struct x402_json *answers, struct x402_svm_mint *ret_mint)
{
	const struct x402_json *value = x402_json_get(
		x402__ask_result(answers, 2), "value");
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

enum x402_err x402__svm_answer(struct x402__svm *svm,
	const struct x402_payment_requirements *offer, int64_t now_ms,
	const struct x402_json *answers, struct x402_errinfo *info,
	struct x402__svm_facts *facts)
{
	struct x402_pubkey key;
	struct x402_svm_mint mint;
	if (!answers || x402_pubkey_parse(offer->asset, &key) ||
		!read_blockhash(answers, facts->blockhash32)) {
		x402_errinfo_set(info, "SVM_RPC_URL",
			"the chain gave no blockhash; nothing was signed");
		return X402_ERR_CHAIN;
	}
	memcpy(svm->blockhash32, facts->blockhash32, 32);
	svm->blockhash_until_ms = now_ms + BLOCKHASH_MS;
	const struct x402_svm_mint *known = known_mint(svm, &key);
	if (!known && read_mint(answers, &mint)) {
		remember_mint(svm, &key, &mint);
		known = &mint;
	}
	if (!known) {
		x402_errinfo_set(info, "asset",
			"no mint whose transfers bring what they say");
		return X402_ERR_CHAIN;
	}
	facts->mint = *known;
	return X402_OK;
}
