/*
 * prove_svm.c: what Solana says about a payment. Its transaction carries the
 * facilitator's signature first, which we never saw, so it is looked for by our
 * own, the second one, among what touched the payer's token account.
 *
 *   1. read_payment   our signature, the account and the blockhash
 *   2. find_end       is the blockhash over, in a finalized block that is later
 *                     than any in which it could still have been taken?
 *   3. search         newest first, back to when it was signed
 *
 * Found and well: paid. Dead takes the end, and a search after it that reached
 * back far enough; what a node has thrown away is no proof.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "prove_p.h"
#include "text_p.h"
#include "x402/encoding.h"
#include "x402/svm_transaction.h"

/* Entries in a page: they must fit into an answer. */
#define PAGE_LEN 500
/* Pages and transactions that are looked at for one payment. */
#define PAGES_MAX        8
#define TRANSACTIONS_MAX 200
/* Clocks of ours and of the cluster differ by less. */
#define CLOCK_MARGIN_S 300
/* Where the template has the transfer; its first account is the payer's. */
#define TRANSFER_AT 2

struct payment {
	char signature[X402_SVM_SIGNATURE_TEXT_SIZE]; /* the payer's */
	char source[X402_PUBKEY_TEXT_SIZE];
	char blockhash[X402_PUBKEY_TEXT_SIZE];
	uint64_t signed_unix_s;
	uint64_t open_until_unix_s;
};

struct search {
	struct x402__asker *asker;
	const char *url;
	struct payment payment;
	uint64_t end_slot; /* a block in which it can come no more; or 0 */
	unsigned transactions;
	char before[X402_SVM_SIGNATURE_TEXT_SIZE]; /* "" at first */
	bool failed; /* it came, and the chain refused it */
	bool whole;  /* there is nothing older that could be it */
	bool blind;  /* the node did not say all it was asked */
	char found[X402_SVM_SIGNATURE_TEXT_SIZE];
};

/* ---- 1. The payment. ---- */

static void take_payment(const struct x402_svm_transaction *t,
	const struct x402_purchase *purchase, struct payment *ret_payment)
{
	struct x402_pubkey blockhash;
	memcpy(blockhash.bytes, t->blockhash32, 32);
	x402_base58_encode(t->signatures.ptr + 64, 64, ret_payment->signature);
	x402_pubkey_format(
		&t->keys[t->instructions[TRANSFER_AT].accounts.ptr[0]],
		ret_payment->source);
	x402_pubkey_format(&blockhash, ret_payment->blockhash);
	ret_payment->signed_unix_s = purchase->created_unix_ms / 1000;
	ret_payment->open_until_unix_s = purchase->valid_before_unix_s;
}

static bool is_ours(const struct x402_svm_transaction *t,
	const struct x402_purchase *purchase)
{
	char payer[X402_PUBKEY_TEXT_SIZE];
	if (t->required_signatures != 2 || t->instructions_len <= TRANSFER_AT ||
		t->instructions[TRANSFER_AT].accounts.len == 0)
		return false;
	x402_pubkey_format(&t->keys[1], payer);
	return strcmp(payer, purchase->payer) == 0;
}

static bool read_payment(
	const struct x402_purchase *purchase, struct payment *ret_payment)
{
	struct x402_payment_payload payload = {0};
	struct x402_svm_transaction transaction;
	struct x402_buf wire = {0};
	if (x402_payment_payload_decode(
		    x402_span_str(purchase->header_text), NULL, &payload))
		return false;
	const char *text = x402_json_get_string(payload.payload, "transaction");
	bool ok = text && !x402_base64_decode(x402_span_str(text), &wire) &&
		!x402_svm_transaction_read(
			x402_buf_span(&wire), &transaction) &&
		is_ours(&transaction, purchase);
	if (ok)
		take_payment(&transaction, purchase, ret_payment);
	x402_buf_clear(&wire);
	x402_payment_payload_clear(&payload);
	return ok;
}

/* ---- Asking. ---- */

/* One method; params is JSON. NULL: no result. Unref the answer. */
static const struct x402_json *ask(struct search *search, const char *method,
	const char *params, struct x402_json **ret_answer)
{
	struct x402_buf buf = {0};
	x402_buf_printf(&buf,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%"
		"s}",
		method, params);
	char *body = x402_buf_take_str(&buf);
	if (!body || x402__ask(search->asker, search->url, body, ret_answer))
		*ret_answer = NULL;
	free(body);
	return x402_json_get(*ret_answer, "result");
}

/* The time of a block; false: the node does not know it. */
static bool ask_time(struct search *search, uint64_t slot, uint64_t *ret_unix_s)
{
	char params[32];
	struct x402_json *answer = NULL;
	int64_t time_s = 0;
	(void)snprintf(params, sizeof(params), "[%" PRIu64 "]", slot);
	bool ok = x402_json_int64(ask(search, "getBlockTime", params, &answer),
			  &time_s) &&
		time_s > 0;
	*ret_unix_s = ok ? (uint64_t)time_s : 0;
	x402_json_unref(answer);
	return ok;
}

/* ---- 2. The end. ---- */

/*
 * A blockhash that a finalized block does not know is over, or not known yet:
 * the block's own time says which.
 */
static void find_end(struct search *search)
{
	char params[128];
	struct x402_json *answer = NULL;
	int64_t slot = 0;
	bool valid = true;
	uint64_t time_s = 0;
	(void)snprintf(params, sizeof(params),
		"[\"%s\",{\"commitment\":\"finalized\"}]",
		search->payment.blockhash);
	const struct x402_json *result = ask(
		search, "isBlockhashValid", params, &answer);
	bool over = x402_json_bool(x402_json_get(result, "value"), &valid) &&
		!valid &&
		x402_json_int64(
			x402_json_get(x402_json_get(result, "context"), "slot"),
			&slot) &&
		slot > 0;
	x402_json_unref(answer);
	if (over && ask_time(search, (uint64_t)slot, &time_s) &&
		time_s >= search->payment.open_until_unix_s)
		search->end_slot = (uint64_t)slot;
}

/* ---- 3. The search. ---- */

/* Has this transaction our signature? */
static bool is_found(struct search *search, const char *id)
{
	char params[256];
	struct x402_json *answer = NULL;
	bool found = false;
	if (++search->transactions > TRANSACTIONS_MAX) {
		search->blind = true;
		return false;
	}
	(void)snprintf(params, sizeof(params),
		"[\"%s\",{\"encoding\":\"json\",\"commitment\":\"confirmed\","
		"\"maxSupportedTransactionVersion\":0}]",
		id);
	const struct x402_json *list = x402_json_get(
		x402_json_get(ask(search, "getTransaction", params, &answer),
			"transaction"),
		"signatures");
	if (x402_json_size(list) == 0)
		search->blind = true;
	for (size_t i = 0; i < x402_json_size(list); i++) {
		const char *text = x402_json_string(x402_json_at(list, i));
		found |= text && strcmp(text, search->payment.signature) == 0;
	}
	x402_json_unref(answer);
	return found;
}

/* One entry, newest first. False: look no further. */
static bool look_at(struct search *search, const struct x402_json *entry)
{
	const char *id = x402_json_get_string(entry, "signature");
	uint8_t bytes64[64];
	int64_t time_s = 0;
	bool timed = x402_json_int64(
		x402_json_get(entry, "blockTime"), &time_s);
	if (timed && time_s >= 0 &&
		(uint64_t)time_s + CLOCK_MARGIN_S <
			search->payment.signed_unix_s) {
		search->whole = true;
		return false;
	}
	/* It goes into the next question. */
	if (!id || x402_base58_decode(id, bytes64, sizeof(bytes64))) {
		search->blind = true;
		return false;
	}
	(void)snprintf(search->before, sizeof(search->before), "%s", id);
	if (!is_found(search, id))
		return !search->blind;
	search->failed = x402_json_get(entry, "err") != NULL;
	search->whole = search->failed;
	if (!search->failed)
		(void)snprintf(search->found, sizeof(search->found), "%s", id);
	return false;
}

static char *page_params(const struct search *search)
{
	struct x402_buf buf = {0};
	x402_buf_printf(&buf, "[\"%s\",{\"limit\":%d,\"commitment\":\"%s\"",
		search->payment.source, PAGE_LEN,
		search->end_slot ? "finalized" : "confirmed");
	/* Behind a balancer another node may be less far. */
	if (search->end_slot)
		x402_buf_printf(
			&buf, ",\"minContextSlot\":%" PRIu64, search->end_slot);
	if (search->before[0])
		x402_buf_printf(&buf, ",\"before\":\"%s\"", search->before);
	x402_buf_add_str(&buf, "}]");
	return x402_buf_take_str(&buf);
}

/* True when there may be an older page. */
static bool search_page(struct search *search)
{
	struct x402_json *answer = NULL;
	char *params = page_params(search);
	const struct x402_json *list = params
		? ask(search, "getSignaturesForAddress", params, &answer)
		: NULL;
	size_t len = x402_json_size(list);
	bool more = x402_json_type(list) == X402_JSON_ARRAY;
	free(params);
	if (!more)
		search->blind = true;
	for (size_t i = 0; more && i < len; i++)
		more = look_at(search, x402_json_at(list, i));
	x402_json_unref(answer);
	return more && len >= PAGE_LEN;
}

/* Nothing older is there: because nothing was, or because it is gone? */
static bool has_history(struct search *search)
{
	struct x402_json *answer = NULL;
	int64_t slot = 0;
	uint64_t time_s = 0;
	bool ok = x402_json_int64(
			  ask(search, "getFirstAvailableBlock", "[]", &answer),
			  &slot) &&
		slot >= 0;
	x402_json_unref(answer);
	/* Block 0 has no time everywhere; with it a node has everything. */
	return ok &&
		(slot == 0 ||
			(ask_time(search, (uint64_t)slot, &time_s) &&
				time_s + CLOCK_MARGIN_S <
					search->payment.signed_unix_s));
}

static void search_all(struct search *search)
{
	unsigned pages = 0;
	bool more = true;
	while (more && pages++ < PAGES_MAX)
		more = search_page(search);
	if (search->found[0] || search->blind || search->whole || more)
		return;
	search->whole = has_history(search);
}

enum x402_client_proof x402__prove_by_svm(struct x402__asker *asker,
	const char *url, const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE])
{
	struct search search = {.asker = asker, .url = url};
	if (!read_payment(purchase, &search.payment))
		return X402_CLIENT_PROOF_NONE;
	find_end(&search);
	search_all(&search);
	if (search.found[0]) {
		x402__text_take_id(ret_transaction,
			X402_CLIENT_TRANSACTION_SIZE, search.found);
		return X402_CLIENT_PROOF_PAID;
	}
	return search.end_slot && search.whole && !search.blind
		? X402_CLIENT_PROOF_DEAD
		: X402_CLIENT_PROOF_NONE;
}
