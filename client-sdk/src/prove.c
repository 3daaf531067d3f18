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
#include "send_p.h"
#include "text_p.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

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

/* What the contract says, and from when on it takes no more. */
static bool read_state(const struct x402_json *answers,
	const struct x402__prove_terms *terms, bool *ret_used)
{
	uint8_t word[32];
	const char *text = x402_json_string(x402__ask_result(answers, 1));
	if (!terms->is_permit2)
		return text && read_bool(text, ret_used);
	return !x402_hex_decode_fixed(text, word, sizeof(word)) &&
		!x402_permit2_state_read(
			x402_span(word, sizeof(word)), &terms->nonce, ret_used);
}

enum x402_client_proof x402__prove_judge(
	const struct x402_json *answers, const struct x402__prove_terms *terms)
{
	bool used = false;
	uint64_t time_unix_s = 0;
	if (!read_state(answers, terms, &used))
		return X402_CLIENT_PROOF_NONE;
	/* We never cancel an authorization: used is charged. */
	if (used)
		return X402_CLIENT_PROOF_PAID;
	if (!x402__ask_quantity(
		    x402_json_get_string(
			    x402__ask_result(answers, 2), "timestamp"),
		    &time_unix_s))
		return X402_CLIENT_PROOF_NONE;
	/* EIP-3009 takes it while block.timestamp < validBefore, Permit2 as
	 * long as it is not above the deadline. */
	bool over = terms->is_permit2
		? time_unix_s > terms->valid_before_unix_s
		: time_unix_s >= terms->valid_before_unix_s;
	return over ? X402_CLIENT_PROOF_DEAD : X402_CLIENT_PROOF_NONE;
}

/* Who is asked what, and how the answer is read. False: no such kind. */
struct state_question {
	struct x402__prove_terms terms;
	char to[X402_ADDRESS_TEXT_SIZE];
	char *call; /* owned */
};

static bool take_call(
	struct x402_buf *calldata, struct state_question *question)
{
	struct x402_buf hex = {0};
	x402_hex_encode_0x(x402_buf_span(calldata), &hex);
	question->call = calldata->failed ? NULL : x402_buf_take_str(&hex);
	x402_buf_clear(&hex);
	x402_buf_clear(calldata);
	return question->call != NULL;
}

static bool ask_eip3009(const struct x402_payment_payload *payload,
	struct state_question *question)
{
	struct x402_eip3009_payload exact = {0};
	struct x402_buf calldata = {0};
	if (x402_eip3009_payload_read(payload->payload, NULL, &exact))
		return false;
	x402_eip3009_state_calldata(&exact.authorization.from,
		exact.authorization.nonce32, &calldata);
	x402_eip3009_payload_clear(&exact);
	return take_call(&calldata, question);
}

static bool ask_permit2(const struct x402_payment_payload *payload,
	struct state_question *question)
{
	struct x402_permit2_payload permit = {0};
	struct x402_buf calldata = {0};
	if (x402_permit2_payload_read(payload->payload,
		    strcmp(payload->scheme, "upto") == 0 ? X402_PERMIT2_UPTO
							 : X402_PERMIT2_EXACT,
		    NULL, &permit))
		return false;
	question->terms.is_permit2 = true;
	question->terms.nonce = permit.authorization.nonce;
	x402_address_format(x402_permit2_contract(), question->to);
	x402_permit2_state_calldata(&permit.authorization.from,
		&permit.authorization.nonce, &calldata);
	x402_permit2_payload_clear(&permit);
	return take_call(&calldata, question);
}

static bool make_question(const struct x402_purchase *purchase,
	struct state_question *ret_question)
{
	struct state_question question = {
		.terms = {
			.valid_before_unix_s = purchase->valid_before_unix_s}};
	struct x402_payment_payload payload = {0};
	struct x402_address asset;
	if (x402_address_parse(purchase->asset, &asset) ||
		x402_payment_payload_decode(
			x402_span_str(purchase->header_text), NULL, &payload))
		return false;
	x402_address_format(&asset, question.to);
	bool ok = x402_json_has(payload.payload, "permit2Authorization")
		? ask_permit2(&payload, &question)
		: ask_eip3009(&payload, &question);
	x402_payment_payload_clear(&payload);
	if (ok)
		*ret_question = question;
	return ok;
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
	bool ok = x402__ask_quantity(
		x402_json_get_string(x402_json_get(json, "result"), "number"),
		&number);
	x402_json_unref(json);
	snprintf(ret_number, 32, "0x%" PRIx64, number);
	return ok;
}

/* State at a block, and that block's head, in one batch. */
static enum x402_client_proof ask_at(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block,
	const struct state_question *question)
{
	struct x402_buf body = {0};
	struct x402_json *answers = NULL;
	x402_buf_printf(&body,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%s\",\"data\":\"%s\"},\"%s\"]},"
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
		"\"eth_getBlockByNumber\",\"params\":[\"%s\",false]}]",
		question->to, question->call, block, block);
	char *text = x402_buf_take_str(&body);
	enum x402_err err = text
		? x402__ask(asker, endpoint->url, text, &answers)
		: X402_ERR_NOMEM;
	free(text);
	if (err)
		return X402_CLIENT_PROOF_NONE;
	enum x402_client_proof proof = x402__prove_judge(
		answers, &question->terms);
	x402_json_unref(answers);
	return proof;
}

static enum x402_client_proof prove_by_evm(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block_tag,
	const struct state_question *question)
{
	char block[32];
	enum x402_client_proof proof = X402_CLIENT_PROOF_NONE;
	if (find_block(asker, endpoint->url, "latest", block))
		proof = ask_at(asker, endpoint, block, question);
	if (proof != X402_CLIENT_PROOF_DEAD || strcmp(block_tag, "latest") == 0)
		return proof;
	/* Dead in the newest block is dead only if that block stays. */
	return find_block(asker, endpoint->url, block_tag, block)
		? ask_at(asker, endpoint, block, question)
		: X402_CLIENT_PROOF_NONE;
}

enum x402_client_proof x402__prove_by_chain(struct x402__asker *asker,
	const struct x402_client_endpoint *endpoint, const char *block_tag,
	const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE])
{
	struct state_question question;
	struct x402_buf raw = {0};
	if (strncmp(purchase->network, "solana:", 7) == 0)
		return x402__prove_by_svm(
			asker, endpoint->url, purchase, ret_transaction);
	if (!x402__send_raw_of(purchase->header_text, &raw)) {
		enum x402_client_proof seen = x402__prove_transfer(asker,
			endpoint->url, block_tag, x402_buf_span(&raw),
			ret_transaction);
		x402_buf_clear(&raw);
		return seen;
	}
	if (!make_question(purchase, &question))
		return X402_CLIENT_PROOF_NONE;
	enum x402_client_proof proof = prove_by_evm(
		asker, endpoint, block_tag, &question);
	free(question.call);
	return proof;
}
