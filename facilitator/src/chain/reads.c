/*
 * The reads of one loop turn, brought together.
 *
 * 1. fac_reads_ask looks into the caches, then for the same question in this
 *    turn, and otherwise makes a question (struct ask): one that speaks of code
 *    or cannot share a call goes to the batch at once, the others wait.
 * 2. on_turn, at the end of the turn: those travel as calls of Multicall3 where
 *    the chain has it (send_multi), else one by one. Plain questions and
 *    simulated transfers never share one: transfers change what others see.
 * 3. on_multi: what the multicall did not answer, or refused, is asked again
 *    alone, so that nobody can spoil a neighbour's answer.
 * 4. settle_ask tells all who wait, end_group answers a caller whose last
 *    answer came.
 *
 * What is cached, and why nothing else, is said in facts_p.h.
 */
#include "chain/reads_p.h"
#include "chain/decode_p.h"
#include "chain/facts_p.h"
#include "chain/params_p.h"
#include "run/loop.h"
#include "x402/abi.h"

#include <assert.h>
#include <sodium.h>
#include <stdalign.h>
#include <stdlib.h>

/* Calls in one multicall: their answers stay far below what nodes cut. */
#define MULTI_MAX 50
/*
 * What each simulated transfer brings to a multicall, about twice what one
 * takes with its calldata. They have it in common: a payer that burns it all
 * costs the node no more than that, and its neighbours a second question. So
 * only payers go with others that had no code of late and did not fail there.
 */
#define SHARE_GAS UINT64_C(120000)
/* A node that would not answer such a multicall is left alone with it. */
#define REFUSED_REST_MS    ((uint64_t)10 * 60 * 1000)
#define UNANSWERED_REST_MS ((uint64_t)60 * 1000)
/* After this a chain without Multicall3 is asked for it again. */
#define MULTI_LIFETIME_MS ((uint64_t)10 * 60 * 1000)
#define BUCKETS           256

struct group;

/* One read of a caller. */
struct read {
	struct read *next; /* of those that wait for the same ask */
	struct group *group;
	struct ask *ask; /* NULL: what answers it needs no memory */
};

/* Those of one caller; in one block with its answers. */
struct group {
	struct group *next; /* of the cached */
	size_t len;
	size_t left;
	struct x402_chain_answer *answers;
	bool cancelled;
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len);
	void *user;
	struct read each[]; /* len */
};

/*
 * One question to the chain. In one block with its calldata: many thousands
 * are open at times, and each block more is one more place in memory.
 */
struct ask {
	struct ask *next_in_bucket;
	struct ask *next_in_turn;
	struct ask *next_waiting; /* for the end of the turn */
	uint8_t key[crypto_shorthash_siphashx24_BYTES];
	unsigned refs; /* the turn, the answer to come, each read */
	struct fac_reads *reads;
	uint64_t deadline_ms;
	enum x402_read_kind kind;
	enum fac_fact fact; /* to remember */
	struct x402_address to;
	/* Of a simulation that waits: its sender, gas and whose money moves. */
	bool is_transfer;
	struct x402_address sender;
	uint64_t gas;
	struct x402_address transfer_from;
	struct x402_address transfer_to;
	struct read *waiting;
	bool answered;
	struct x402_buf bytes;
	size_t data_len; /* 0 where it went at once */
	uint8_t data[];
};

struct multi {
	struct fac_reads *reads;
	size_t len;
	struct ask *asks[MULTI_MAX];
};

/* Those of a turn that may travel together. */
struct queue {
	struct ask *first;
	struct ask **last;
	size_t len;
};

struct fac_reads {
	struct fac_loop *loop;
	struct fac_rpc *rpc;
	struct fac_timer *turn;
	struct group *cached; /* answered by caches: told in the next turn */
	struct ask *buckets[BUCKETS];
	struct ask *asks; /* of this turn */
	struct queue plain;
	struct queue transfers;
	uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
	struct x402_buf params;
	struct fac_facts *facts;
	uint64_t transfers_rest_ms; /* until then they go alone */
	enum { MULTI_UNKNOWN, MULTI_ASKED, MULTI_YES, MULTI_NO } multi;
	uint64_t multi_until_ms; /* of MULTI_NO */
};

static void *must_calloc(size_t size)
{
	void *memory = calloc(1, size);

	if (!memory)
		abort();
	return memory;
}

static uint64_t now_of(const struct fac_reads *reads)
{
	return fac_loop_now_ms(reads->loop);
}

/* ---- Answers. ---- */

static void unref_ask(struct ask *ask)
{
	if (!ask || --ask->refs)
		return;
	x402_buf_clear(&ask->bytes);
	free(ask);
}

static void end_group(struct group *group)
{
	enum x402_err err = X402_OK;

	for (size_t i = 0; i < group->len; i++)
		if (group->answers[i].status == X402_ANSWER_FAULT)
			err = X402_ERR_CHAIN;
	if (group->cancelled)
		err = X402_ERR_CANCELLED;
	group->done(group->user, err, group->answers, group->len);
	for (size_t i = 0; i < group->len; i++)
		unref_ask(group->each[i].ask);
	free(group);
}

/* The answer is in; tell everyone who waits for it. */
static void settle_ask(
	struct ask *ask, enum x402_answer_status status, bool cancelled)
{
	struct fac_facts *facts = ask->reads->facts;
	struct read *read = ask->waiting;

	/* Only a call can revert. */
	if (ask->kind != X402_READ_CALL && status == X402_ANSWER_REVERTED)
		status = X402_ANSWER_FAULT;
	ask->answered = true;
	ask->waiting = NULL;
	if (status == X402_ANSWER_OK && ask->fact != FAC_FACT_NONE)
		fac_facts_put(facts, &ask->to, ask->fact,
			x402_buf_span(&ask->bytes), now_of(ask->reads));
	else if (status == X402_ANSWER_OK && ask->kind == X402_READ_CODE)
		fac_facts_put_code(facts, &ask->to, ask->bytes.len > 0,
			now_of(ask->reads));
	while (read) {
		struct read *next = read->next;
		struct group *group = read->group;
		struct x402_chain_answer *answer =
			&group->answers[read - group->each];

		answer->status = status;
		answer->data = x402_buf_span(&ask->bytes);
		group->cancelled |= cancelled;
		if (--group->left == 0)
			end_group(group);
		read = next;
	}
	unref_ask(ask);
}

static void on_ask(void *user, const struct fac_rpc_answer *answer)
{
	struct ask *ask = user;
	bool is_number = ask->kind == X402_READ_NONCE ||
		ask->kind == X402_READ_BALANCE;
	enum x402_answer_status status = is_number
		? fac_decode_number(answer, &ask->bytes)
		: fac_decode_read(answer, &ask->bytes);

	settle_ask(ask, status, answer->status == FAC_RPC_CANCELLED);
}

/* ---- Asking. ---- */

static uint32_t left_ms_of(const struct ask *ask)
{
	uint64_t now_ms = now_of(ask->reads);

	return ask->deadline_ms > now_ms ? (uint32_t)(ask->deadline_ms - now_ms)
					 : 0;
}

/* NULL: whose call it is does not matter. */
static const struct x402_address *sender_of(const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	if (!read->needs_sender)
		return NULL;
	return read->has_sender ? &read->sender : &options->sender;
}

static const char *method_of(enum x402_read_kind kind)
{
	switch (kind) {
	case X402_READ_CODE:
		return "eth_getCode";
	case X402_READ_NONCE:
		return "eth_getTransactionCount";
	case X402_READ_BALANCE:
		return "eth_getBalance";
	case X402_READ_CALL:
	case X402_READ_SVM_ACCOUNT: /* chain/svm.c's */
	case X402_READ_SVM_SIMULATE:
	case X402_READ_MINED: /* chain/mined.c's */
		break;
	}
	return "eth_call";
}

/* With what stands in reads->params. */
static void send_ask(struct ask *ask, uint32_t timeout_ms)
{
	struct fac_rpc_question question = {.method = method_of(ask->kind),
		.params = x402_buf_span(&ask->reads->params),
		.timeout_ms = timeout_ms,
		.done = on_ask,
		.user = ask};

	fac_rpc_call(ask->reads->rpc, &question);
}

static void send_alone(struct ask *ask)
{
	struct x402_buf *params = &ask->reads->params;
	uint32_t left_ms = left_ms_of(ask);

	if (!left_ms) {
		settle_ask(ask, X402_ANSWER_FAULT, false);
		return;
	}
	params->len = 0;
	fac_params_call(params, &ask->to, x402_span(ask->data, ask->data_len),
		ask->gas, ask->is_transfer ? &ask->sender : NULL);
	x402_buf_add_str(params, "\"latest\"]");
	if (params->failed)
		abort();
	send_ask(ask, left_ms);
}

/* ---- Multicall3. ---- */

static void on_has_multi(void *user, const struct fac_rpc_answer *answer)
{
	struct fac_reads *reads = user;
	struct x402_buf code = {0};

	/* A fault leaves it open. */
	reads->multi = MULTI_UNKNOWN;
	if (fac_decode_read(answer, &code) == X402_ANSWER_OK) {
		reads->multi = code.len ? MULTI_YES : MULTI_NO;
		reads->multi_until_ms = now_of(reads) + MULTI_LIFETIME_MS;
	}
	x402_buf_clear(&code);
}

static void ask_for_multi(struct fac_reads *reads)
{
	struct x402_buf *params = &reads->params;
	struct fac_rpc_question question = {
		.method = "eth_getCode", .done = on_has_multi, .user = reads};

	params->len = 0;
	x402_buf_add_byte(params, '[');
	fac_params_hex(params, x402_span(x402_multicall3()->bytes, 20));
	x402_buf_add_str(params, ",\"latest\"]");
	if (params->failed)
		abort();
	question.params = x402_buf_span(params);
	reads->multi = MULTI_ASKED;
	fac_rpc_call(reads->rpc, &question);
}

/* What the whole call's failing says of the next ones. */
static void note_failure(struct fac_reads *reads, const struct multi *multi,
	enum fac_rpc_status status)
{
	uint64_t now_ms = now_of(reads);

	if (multi->asks[0]->is_transfer)
		reads->transfers_rest_ms = now_ms +
			(status == FAC_RPC_FAULT ? UNANSWERED_REST_MS
						 : REFUSED_REST_MS);
	/* The chain's word that it cannot: leave it for a while. */
	else if (status == FAC_RPC_RESULT) {
		reads->multi = MULTI_NO;
		reads->multi_until_ms = now_ms + MULTI_LIFETIME_MS;
	}
}

static void on_multi(void *user, const struct fac_rpc_answer *answer)
{
	struct multi *multi = user;
	struct fac_reads *reads = multi->reads;
	struct x402_multicall_result results[MULTI_MAX];
	struct x402_buf bytes = {0};
	enum x402_answer_status status = fac_decode_read(answer, &bytes);
	bool cancelled = answer->status == FAC_RPC_CANCELLED;
	bool whole = status == X402_ANSWER_OK &&
		x402_multicall_aggregate3_read(
			x402_buf_span(&bytes), results, multi->len) == X402_OK;

	if (!whole && !cancelled)
		note_failure(reads, multi, answer->status);
	for (size_t i = 0; i < multi->len; i++) {
		struct ask *ask = multi->asks[i];

		if (cancelled) {
			settle_ask(ask, X402_ANSWER_FAULT, true);
		} else if (whole && results[i].success) {
			x402_buf_add(&ask->bytes, results[i].data);
			if (ask->bytes.failed)
				abort();
			settle_ask(ask, X402_ANSWER_OK, false);
		} else {
			if (whole && ask->is_transfer)
				fac_facts_put_code(reads->facts,
					&ask->transfer_from, true,
					now_of(reads));
			send_alone(ask);
		}
	}
	x402_buf_clear(&bytes);
	free(multi);
}

/*
 * May it stand beside those of the multicall? Who is paid there could pay with
 * that here, and would have passed without a coin of its own.
 */
static bool may_join(const struct multi *multi, const struct ask *ask)
{
	if (!ask->is_transfer)
		return true;
	if (x402_address_equal(&ask->transfer_from, &ask->transfer_to))
		return false;
	for (size_t i = 0; i < multi->len; i++) {
		const struct ask *other = multi->asks[i];

		if (!x402_address_equal(&ask->sender, &other->sender) ||
			x402_address_equal(
				&ask->transfer_from, &other->transfer_to) ||
			x402_address_equal(
				&ask->transfer_to, &other->transfer_from))
			return false;
	}
	return true;
}

static void post_multi(struct fac_reads *reads, struct multi *multi)
{
	struct x402_multicall_call calls[MULTI_MAX];
	struct x402_buf calldata = {0};
	struct fac_rpc_question question = {
		.method = "eth_call", .done = on_multi, .user = multi};
	const struct ask *first = multi->asks[0];
	uint32_t left_ms = UINT32_MAX;
	uint64_t gas = 0;

	for (size_t i = 0; i < multi->len; i++) {
		const struct ask *ask = multi->asks[i];
		uint32_t its_ms = left_ms_of(ask);

		calls[i] = (struct x402_multicall_call){
			ask->to, x402_span(ask->data, ask->data_len), true};
		left_ms = its_ms < left_ms ? its_ms : left_ms;
		if (ask->is_transfer)
			gas += SHARE_GAS;
	}
	x402_multicall_aggregate3_calldata(calls, multi->len, &calldata);
	reads->params.len = 0;
	fac_params_call(&reads->params, x402_multicall3(),
		x402_buf_span(&calldata), gas,
		first->is_transfer ? &first->sender : NULL);
	x402_buf_add_str(&reads->params, "\"latest\"]");
	if (calldata.failed || reads->params.failed)
		abort();
	question.params = x402_buf_span(&reads->params);
	/* The other half is for asking one by one. */
	question.timeout_ms = left_ms / 2 + 1;
	fac_rpc_call(reads->rpc, &question);
	x402_buf_clear(&calldata);
}

/*
 * Takes up to MULTI_MAX of those that wait; the list goes on with what it
 * returns. What may not stand beside the others goes alone.
 */
static struct ask *send_multi(struct fac_reads *reads, struct ask *ask)
{
	struct multi *multi = must_calloc(sizeof(*multi));

	multi->reads = reads;
	while (ask && multi->len < MULTI_MAX) {
		struct ask *next = ask->next_waiting;

		if (may_join(multi, ask))
			multi->asks[multi->len++] = ask;
		else
			send_alone(ask);
		ask = next;
	}
	if (multi->len > 1) {
		post_multi(reads, multi);
		return ask;
	}
	if (multi->len)
		send_alone(multi->asks[0]);
	free(multi);
	return ask;
}

static struct ask *take_all(struct queue *queue)
{
	struct ask *first = queue->first;

	*queue = (struct queue){.last = &queue->first};
	return first;
}

static void send_all(struct fac_reads *reads, struct queue *queue)
{
	size_t len = queue->len;
	struct ask *ask = take_all(queue);

	if (reads->multi == MULTI_NO && reads->multi_until_ms <= now_of(reads))
		reads->multi = MULTI_UNKNOWN;
	if (len > 1 && reads->multi == MULTI_UNKNOWN)
		ask_for_multi(reads);
	while (ask) {
		struct ask *next = ask->next_waiting;

		if (reads->multi == MULTI_YES && next)
			next = send_multi(reads, ask);
		else
			send_alone(ask);
		ask = next;
	}
}

/* ---- A turn. ---- */

static void tell_cached(struct fac_reads *reads, bool cancelled)
{
	struct group *group = reads->cached;

	reads->cached = NULL;
	while (group) {
		struct group *next = group->next;

		group->cancelled = cancelled;
		end_group(group);
		group = next;
	}
}

static void forget_turn(struct fac_reads *reads)
{
	struct ask *ask = reads->asks;

	reads->asks = NULL;
	if (ask)
		memset(reads->buckets, 0, sizeof(reads->buckets));
	while (ask) {
		struct ask *next = ask->next_in_turn;

		unref_ask(ask);
		ask = next;
	}
}

static void on_turn(void *arg)
{
	struct fac_reads *reads = arg;

	forget_turn(reads);
	send_all(reads, &reads->plain);
	send_all(reads, &reads->transfers);
	tell_cached(reads, false);
}

static struct ask *new_ask(struct fac_reads *reads, struct ask **bucket,
	const struct x402_chain_read *read, size_t data_len,
	uint64_t deadline_ms)
{
	struct ask *ask = must_calloc(sizeof(*ask) + data_len);

	ask->refs = 2;
	ask->reads = reads;
	ask->to = read->to;
	ask->kind = read->kind;
	ask->deadline_ms = deadline_ms;
	ask->next_in_bucket = *bucket;
	*bucket = ask;
	ask->next_in_turn = reads->asks;
	reads->asks = ask;
	return ask;
}

/* With whom may it travel in a multicall? NULL: it goes at once. */
static struct queue *queue_of(struct fac_reads *reads,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	struct x402_span code;

	if (read->kind != X402_READ_CALL || options->block != FAC_CHAIN_LATEST)
		return NULL;
	if (read->needs_sender)
		return read->may_share && !read->has_sender &&
				reads->transfers_rest_ms <= now_of(reads) &&
				fac_facts_has_no_code(reads->facts,
					&read->transfer_from, now_of(reads))
			? &reads->transfers
			: NULL;
	/* Only to what is known to be a contract. */
	return !read->gas &&
			fac_facts_get(reads->facts, &read->to, FAC_FACT_CODE,
				now_of(reads), &code)
		? &reads->plain
		: NULL;
}

static void enqueue(struct queue *queue, struct ask *ask,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	if (read->data.len)
		memcpy(ask->data, read->data.ptr, read->data.len);
	ask->data_len = read->data.len;
	ask->is_transfer = read->needs_sender;
	ask->sender = options->sender;
	ask->gas = read->gas;
	ask->transfer_from = read->transfer_from;
	ask->transfer_to = read->transfer_to;
	*queue->last = ask;
	queue->last = &ask->next_waiting;
	queue->len++;
}

/* All that two questions of a turn may differ by. */
static void make_key(struct fac_reads *reads,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options,
	uint8_t ret_key[crypto_shorthash_siphashx24_BYTES])
{
	struct {
		uint64_t kind;
		uint64_t block;
		uint64_t gas;
		uint64_t needs_sender;
		uint8_t to[24];
		uint8_t sender[24];
	} head = {.kind = read->kind,
		.block = options->block,
		.gas = read->gas,
		.needs_sender = read->needs_sender};
	const struct x402_address *sender = sender_of(read, options);
	struct x402_buf *text = &reads->params;

	memcpy(head.to, read->to.bytes, 20);
	if (sender)
		memcpy(head.sender, sender->bytes, 20);
	text->len = 0;
	x402_buf_add(text, x402_span(&head, sizeof(head)));
	x402_buf_add(text, read->data);
	if (text->failed)
		abort();
	(void)crypto_shorthash_siphashx24(
		ret_key, text->ptr, text->len, reads->key);
}

/* The ask of this turn for the read, new or not. */
static struct ask *find_ask(struct fac_reads *reads,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options, uint64_t deadline_ms)
{
	uint8_t key[crypto_shorthash_siphashx24_BYTES];
	struct ask **bucket;
	struct ask *ask;
	struct queue *queue;

	make_key(reads, read, options, key);
	bucket = &reads->buckets[key[0] % BUCKETS];
	for (ask = *bucket; ask; ask = ask->next_in_bucket)
		/* Who has less time cannot wait for a slower question. */
		if (memcmp(ask->key, key, sizeof(key)) == 0 && !ask->answered &&
			ask->deadline_ms <= deadline_ms)
			return ask;
	queue = queue_of(reads, read, options);
	ask = new_ask(
		reads, bucket, read, queue ? read->data.len : 0, deadline_ms);
	memcpy(ask->key, key, sizeof(key));
	if (queue) {
		enqueue(queue, ask, read, options);
		return ask;
	}
	reads->params.len = 0;
	fac_params_read(
		&reads->params, read, sender_of(read, options), options->block);
	if (reads->params.failed)
		abort();
	send_ask(ask, left_ms_of(ask));
	return ask;
}

/* True: what is known answers it. */
static bool answer_by_fact(struct fac_reads *reads, struct group *group,
	size_t index, enum fac_fact fact, const struct x402_address *asset)
{
	struct x402_span bytes;
	struct ask *ask;

	if (fact == FAC_FACT_NONE ||
		!fac_facts_get(
			reads->facts, asset, fact, now_of(reads), &bytes))
		return false;
	group->left--;
	if (fact == FAC_FACT_CODE) {
		group->answers[index].data = x402_span("", 1);
		return true;
	}
	/* Of its own: the entry may make room before it is told. */
	ask = must_calloc(sizeof(*ask));
	ask->refs = 1;
	x402_buf_add(&ask->bytes, bytes);
	if (ask->bytes.failed)
		abort();
	group->each[index].ask = ask;
	group->answers[index].data = x402_buf_span(&ask->bytes);
	return true;
}

static void start_read(struct fac_reads *reads, struct group *group,
	size_t index, const struct fac_chain_read_options *options,
	uint64_t deadline_ms)
{
	const struct x402_chain_read *question = &options->reads[index];
	struct read *read = &group->each[index];
	enum fac_fact fact = fac_fact_of(question, options);
	struct ask *ask;

	read->group = group;
	if (answer_by_fact(reads, group, index, fact, &question->to))
		return;
	ask = find_ask(reads, question, options, deadline_ms);
	if (fact)
		ask->fact = fact;
	ask->refs++;
	read->ask = ask;
	read->next = ask->waiting;
	ask->waiting = read;
}

static struct group *new_group(size_t len)
{
	size_t answers = sizeof(struct group) + len * sizeof(struct read);
	struct group *group = must_calloc(
		answers + len * sizeof(struct x402_chain_answer));

	static_assert(
		sizeof(struct group) % alignof(struct x402_chain_answer) == 0 &&
			sizeof(struct read) %
					alignof(struct x402_chain_answer) ==
				0,
		"the answers stand behind the reads");
	group->answers = (void *)((char *)group + answers);
	group->len = len;
	group->left = len;
	return group;
}

void fac_reads_ask(struct fac_reads *reads,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	struct group *group = new_group(options->reads_len < X402_PLAN_READS_MAX
			? options->reads_len
			: X402_PLAN_READS_MAX);
	uint64_t deadline_ms = now_of(reads) +
		fac_rpc_timeout_ms(reads->rpc, options->timeout_ms);

	group->done = done;
	group->user = user;
	/* Before the batch's own timer, so that all goes in one batch. */
	if (!reads->asks && !reads->cached)
		fac_timer_start(reads->turn, 0, 0);
	for (size_t i = 0; i < group->len; i++)
		start_read(reads, group, i, options, deadline_ms);
	/* Never inside the call, also when nothing had to be asked. */
	if (!group->left) {
		group->next = reads->cached;
		reads->cached = group;
	}
}

enum x402_err fac_reads_new(struct fac_loop *loop, struct fac_rpc *rpc,
	struct fac_reads **ret_reads)
{
	struct fac_reads *reads = calloc(1, sizeof(*reads));

	if (!reads)
		return X402_ERR_NOMEM;
	reads->loop = loop;
	reads->rpc = rpc;
	(void)take_all(&reads->plain);
	(void)take_all(&reads->transfers);
	randombytes_buf(reads->key, sizeof(reads->key));
	reads->facts = fac_facts_new();
	if (!reads->facts ||
		fac_timer_new(loop, on_turn, reads, &reads->turn)) {
		fac_facts_free(reads->facts);
		free(reads);
		return X402_ERR_NOMEM;
	}
	*ret_reads = reads;
	return X402_OK;
}

static void cancel_all(struct queue *queue)
{
	struct ask *ask = take_all(queue);

	while (ask) {
		struct ask *next = ask->next_waiting;

		settle_ask(ask, X402_ANSWER_FAULT, true);
		ask = next;
	}
}

void fac_reads_free(struct fac_reads *reads)
{
	if (!reads)
		return;
	fac_timer_free(reads->turn);
	forget_turn(reads);
	cancel_all(&reads->plain);
	cancel_all(&reads->transfers);
	tell_cached(reads, true);
	x402_buf_clear(&reads->params);
	fac_facts_free(reads->facts);
	free(reads);
}
