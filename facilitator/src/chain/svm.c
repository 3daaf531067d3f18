/*
 * Solana's verbs over JSON-RPC: the same shape as chain.c and reads.c. Calls
 * of one loop turn share a batch, as all of rpc.c's do.
 */
#include "chain/svm_p.h"
#include "x402/encoding.h"
#include "x402/svm.h"

#include <stdlib.h>

static void *must_calloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		abort();
	return memory;
}

static void add_base64(struct x402_buf *params, struct x402_span bytes)
{
	x402_buf_add_byte(params, '"');
	x402_base64_encode(bytes, params);
	x402_buf_add_byte(params, '"');
}

static void add_key(struct x402_buf *params, const uint8_t *bytes, size_t len)
{
	char text[X402_SVM_SIGNATURE_TEXT_SIZE];

	x402_base58_encode(bytes, len, text);
	x402_buf_printf(params, "\"%s\"", text);
}

/* Copied by the call, so that one short-lived buffer is enough. */
static void ask(struct fac_rpc *rpc, struct fac_rpc_question question,
	struct x402_buf *params)
{
	if (params->failed)
		abort();
	question.params = x402_buf_span(params);
	fac_rpc_call(rpc, &question);
	x402_buf_clear(params);
}

static enum x402_err error_of(const struct fac_rpc_answer *answer)
{
	return answer->status == FAC_RPC_CANCELLED ? X402_ERR_CANCELLED
						   : X402_ERR_CHAIN;
}

/* ---- Is it the cluster that was configured? ---- */

struct check {
	const char *genesis;
	size_t left;
	bool any;
	bool other;
	bool cancelled;
	void (*done)(void *user, enum x402_err err, uint64_t chain_id);
	void *user;
};

static void on_genesis(void *user, const struct fac_rpc_answer *answer)
{
	struct check *check = user;
	const char *text = x402_json_string(answer->result);
	struct x402_pubkey hash;
	enum x402_err err = X402_OK;

	if (answer->status == FAC_RPC_CANCELLED)
		check->cancelled = true;
	if (answer->status == FAC_RPC_RESULT &&
		x402_pubkey_parse(text, &hash) == X402_OK) {
		check->any = true;
		/* CAIP-2 keeps the first 32 digits. */
		if (strncmp(text, check->genesis, strlen(check->genesis)) != 0)
			check->other = true;
	}
	if (--check->left)
		return;
	if (check->other)
		err = X402_ERR_CONFLICT;
	else if (!check->any)
		err = check->cancelled ? X402_ERR_CANCELLED : X402_ERR_CHAIN;
	check->done(check->user, err, 0);
	free(check);
}

void fac_svm_check(struct fac_rpc *rpc, const char *genesis,
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err, uint64_t chain_id),
	void *user)
{
	struct check *check = must_calloc(1, sizeof(*check));
	struct fac_rpc_question question = {.method = "getGenesisHash",
		.params = x402_span_str("[]"),
		.timeout_ms = timeout_ms,
		.done = on_genesis,
		.user = check};

	check->genesis = genesis;
	check->left = fac_rpc_endpoints(rpc);
	check->done = done;
	check->user = user;
	for (size_t i = 0, n = check->left; i < n; i++)
		fac_rpc_call_endpoint(rpc, i, &question);
}

/* ---- Reads. ---- */

struct group {
	size_t len;
	size_t left;
	bool cancelled;
	struct group_read {
		struct group *group;
		enum x402_read_kind kind;
		enum x402_answer_status status;
		struct x402_buf bytes;
	} reads[X402_PLAN_READS_MAX];
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len);
	void *user;
};

static void end_group(struct group *group)
{
	struct x402_chain_answer answers[X402_PLAN_READS_MAX];
	enum x402_err err = group->cancelled ? X402_ERR_CANCELLED : X402_OK;

	for (size_t i = 0; i < group->len; i++) {
		struct group_read *read = &group->reads[i];

		answers[i] = (struct x402_chain_answer){.status = read->status,
			.data = x402_buf_span(&read->bytes)};
		if (read->status == X402_ANSWER_FAULT && !err)
			err = X402_ERR_CHAIN;
	}
	group->done(group->user, err, answers, group->len);
	for (size_t i = 0; i < group->len; i++)
		x402_buf_clear(&group->reads[i].bytes);
	free(group);
}

static void on_read(void *user, const struct fac_rpc_answer *answer)
{
	struct group_read *read = user;
	struct group *group = read->group;

	if (answer->status == FAC_RPC_CANCELLED)
		group->cancelled = true;
	read->status = read->kind == X402_READ_SVM_SIMULATE
		? fac_svm_decode_simulation(answer, &read->bytes)
		: fac_svm_decode_account(answer, &read->bytes);
	if (--group->left == 0)
		end_group(group);
}

/*
 * The newest state there is ("processed"): what lands next will meet it, and
 * a blockhash that the payer just fetched is known there first.
 */
static const char *read_params(
	const struct x402_chain_read *read, struct x402_buf *params)
{
	x402_buf_add_byte(params, '[');
	if (read->kind == X402_READ_SVM_SIMULATE) {
		add_base64(params, read->data);
		x402_buf_add_str(params,
			",{\"encoding\":\"base64\",\"sigVerify\":false,"
			"\"replaceRecentBlockhash\":false,"
			"\"commitment\":\"processed\"}]");
		return "simulateTransaction";
	}
	add_key(params, read->account.bytes, 32);
	x402_buf_add_str(params,
		",{\"encoding\":\"base64\",\"commitment\":\"processed\"}]");
	return "getAccountInfo";
}

void fac_svm_read(struct fac_rpc *rpc,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	struct group *group = must_calloc(1, sizeof(*group));

	group->len = group->left = options->reads_len;
	group->done = done;
	group->user = user;
	for (size_t i = 0; i < options->reads_len; i++) {
		struct x402_buf params = {0};
		const char *method = read_params(&options->reads[i], &params);

		group->reads[i].group = group;
		group->reads[i].kind = options->reads[i].kind;
		ask(rpc,
			(struct fac_rpc_question){.method = method,
				.timeout_ms = options->timeout_ms,
				.done = on_read,
				.user = &group->reads[i]},
			&params);
	}
}

/* ---- Heads. ---- */

struct head_ask {
	bool latest;
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block);
	void *user;
};

static void on_head(void *user, const struct fac_rpc_answer *answer)
{
	struct head_ask *head = user;
	struct fac_chain_block block = {0};
	enum x402_err err = X402_OK;

	if (answer->status != FAC_RPC_RESULT)
		err = error_of(answer);
	else if (!(head->latest ? fac_svm_decode_latest(answer->result, &block)
				: fac_svm_decode_epoch(answer->result, &block)))
		err = X402_ERR_CHAIN;
	head->done(head->user, err, &block);
	free(head);
}

void fac_svm_head(struct fac_rpc *rpc, uint64_t number, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block),
	void *user)
{
	struct head_ask *head = must_calloc(1, sizeof(*head));
	struct x402_buf params = {0};

	head->latest = number == FAC_CHAIN_LATEST;
	head->done = done;
	head->user = user;
	x402_buf_printf(&params, "[{\"commitment\":\"%s\"}]",
		head->latest ? "confirmed" : "finalized");
	ask(rpc,
		(struct fac_rpc_question){.method = head->latest
				? "getLatestBlockhash"
				: "getEpochInfo",
			.timeout_ms = timeout_ms,
			.done = on_head,
			.user = head},
		&params);
}

/* ---- One signature, and how far back absence is a proof. ---- */

struct search {
	uint8_t signature64[64];
	struct fac_chain_receipt receipt;
	uint64_t history_slot;
	bool has_history;
	size_t endpoints[2]; /* whose words these are */
	size_t left;
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len);
	void *user;
};

/*
 * What one node never threw away says nothing of another's silence: where a
 * batch was told in parts by two endpoints, it is no answer.
 */
static void end_search_part(struct search *search)
{
	struct fac_chain_receipt *receipt = &search->receipt;

	if (--search->left)
		return;
	if (receipt->status == FAC_RECEIPT_NONE &&
		(!search->has_history ||
			search->endpoints[0] != search->endpoints[1]))
		receipt->status = FAC_RECEIPT_FAULT;
	receipt->history_slot = search->history_slot;
	search->done(search->user, receipt, 1);
	free(search);
}

static void on_first_slot(void *user, const struct fac_rpc_answer *answer)
{
	struct search *search = user;

	search->has_history = answer->status == FAC_RPC_RESULT &&
		fac_svm_decode_u64(answer->result, &search->history_slot);
	search->endpoints[0] = answer->endpoint;
	end_search_part(search);
}

static void on_status(void *user, const struct fac_rpc_answer *answer)
{
	struct search *search = user;

	fac_svm_decode_statuses(answer,
		(const uint8_t(*)[64])search->signature64, &search->receipt, 1);
	search->endpoints[1] = answer->endpoint;
	end_search_part(search);
}

void fac_svm_signature(struct fac_rpc *rpc, const uint8_t signature64[64],
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user)
{
	struct search *search = must_calloc(1, sizeof(*search));
	struct x402_buf params = {0};

	memcpy(search->signature64, signature64, 64);
	search->left = 2;
	search->done = done;
	search->user = user;
	x402_buf_add_str(&params, "[]");
	/* In one turn, so in one batch: one endpoint tells both. */
	ask(rpc,
		(struct fac_rpc_question){.method = "getFirstAvailableBlock",
			.timeout_ms = timeout_ms,
			.done = on_first_slot,
			.user = search},
		&params);
	fac_svm_status_params(
		(const uint8_t(*)[64])search->signature64, 1, &params);
	ask(rpc,
		(struct fac_rpc_question){.method = "getSignatureStatuses",
			.timeout_ms = timeout_ms,
			.done = on_status,
			.user = search},
		&params);
}

void fac_svm_status_params(const uint8_t (*signatures64)[64],
	size_t signatures_len, struct x402_buf *params)
{
	x402_buf_add_str(params, "[[");
	for (size_t i = 0; i < signatures_len; i++) {
		if (i)
			x402_buf_add_byte(params, ',');
		add_key(params, signatures64[i], 64);
	}
	x402_buf_add_str(params, "],{\"searchTransactionHistory\":true}]");
}

/* ---- Sending: chain.c carries it to every endpoint. ---- */

/*
 * Without preflight: the payment was simulated, and a node that lags would
 * refuse a blockhash that the others know.
 */
void fac_svm_send_params(struct x402_span raw, struct x402_buf *params)
{
	x402_buf_add_byte(params, '[');
	add_base64(params, raw);
	x402_buf_add_str(
		params, ",{\"encoding\":\"base64\",\"skipPreflight\":true}]");
}
