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
 * Cached are only facts of an asset: that it has code, what its name() and
 * version() are. Nothing about a payer, whose code decides who may sign: that
 * it had none of late decides only whether it may travel with others.
 */
#include "chain/reads_p.h"
#include "chain/decode_p.h"
#include "chain/params_p.h"
#include "run/loop.h"
#include "x402/abi.h"

#include <sodium.h>
#include <stdlib.h>

/* How long facts of an asset are believed. */
#define ASSET_LIFETIME_MS ((uint64_t)10 * 60 * 1000)
/* Assets that one chain's payments use; the oldest makes room. */
#define ASSETS_MAX 64
/* An ABI string of up to 96 bytes; a longer name is asked every time. */
#define DOMAIN_BYTES_MAX 160
/* Calls in one multicall: their answers stay far below what nodes cut. */
#define MULTI_MAX 50
/*
 * What each simulated transfer brings to a multicall, about twice what one
 * takes with its calldata. They have it in common: a payer that burns it all
 * costs the node no more than that, and its neighbours a second question.
 */
#define SHARE_GAS UINT64_C(120000)
/*
 * So only payers go with others that had no code of late and did not fail
 * beside others; of so many each worker knows that, in as many places.
 */
#define ACCOUNTS            2048
#define ACCOUNT_LIFETIME_MS ((uint64_t)10 * 60 * 1000)
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
	struct ask *ask; /* NULL: answered by a cache */
};

struct group {
	struct group *next; /* of the cached */
	size_t len;
	size_t left;
	struct read each[X402_PLAN_READS_MAX];
	struct x402_chain_answer answers[X402_PLAN_READS_MAX];
	bool cancelled;
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len);
	void *user;
};

enum fact { FACT_NONE, FACT_CODE, FACT_NAME, FACT_VERSION };

/* One question to the chain. */
struct ask {
	struct ask *next_in_bucket;
	struct ask *next_in_turn;
	struct ask *next_waiting; /* for the end of the turn */
	uint8_t key[crypto_shorthash_siphashx24_BYTES];
	unsigned refs; /* the turn, the answer to come, each read */
	struct fac_reads *reads;
	uint64_t deadline_ms;
	enum x402_read_kind kind;
	enum fact fact; /* to remember */
	struct x402_address to;
	/* Those that wait for the turn's end: the calldata... */
	struct x402_buf data;
	/* ...and of a simulation its sender, its gas and whose money moves. */
	bool is_transfer;
	struct x402_address sender;
	uint64_t gas;
	struct x402_address transfer_from;
	struct x402_address transfer_to;
	struct read *waiting;
	bool answered;
	enum x402_answer_status status;
	struct x402_buf bytes;
};

struct asset {
	struct x402_address address;
	uint64_t until_ms[FACT_VERSION + 1];
	size_t len[FACT_VERSION + 1];
	uint8_t bytes[FACT_VERSION + 1][DOMAIN_BYTES_MAX];
};

/* A payer that had no code of late; until_ms 0: nobody. */
struct account {
	struct x402_address address;
	uint64_t until_ms;
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
	struct asset assets[ASSETS_MAX];
	size_t assets_len; /* counts on; the ring holds the last */
	struct account accounts[ACCOUNTS];
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

/* ---- Caches. ---- */

static struct asset *find_asset(
	struct fac_reads *reads, const struct x402_address *address)
{
	size_t len = reads->assets_len < ASSETS_MAX ? reads->assets_len
						    : ASSETS_MAX;

	for (size_t i = 0; i < len; i++)
		if (x402_address_equal(&reads->assets[i].address, address))
			return &reads->assets[i];
	return NULL;
}

static const struct asset *know(struct fac_reads *reads,
	const struct x402_address *address, enum fact fact)
{
	const struct asset *asset = find_asset(reads, address);

	return asset && asset->until_ms[fact] > fac_loop_now_ms(reads->loop)
		? asset
		: NULL;
}

static void remember(struct fac_reads *reads, const struct ask *ask)
{
	struct asset *asset = find_asset(reads, &ask->to);
	struct x402_span bytes = x402_buf_span(&ask->bytes);

	/* No code is no fact: it may come with the next block. */
	if (ask->status != X402_ANSWER_OK || !bytes.len)
		return;
	if (ask->fact == FACT_CODE)
		bytes = x402_span("", 1);
	if (bytes.len > DOMAIN_BYTES_MAX)
		return;
	if (!asset) {
		asset = &reads->assets[reads->assets_len++ % ASSETS_MAX];
		*asset = (struct asset){.address = ask->to};
	}
	memcpy(asset->bytes[ask->fact], bytes.ptr, bytes.len);
	asset->len[ask->fact] = bytes.len;
	asset->until_ms[ask->fact] = fac_loop_now_ms(reads->loop) +
		ASSET_LIFETIME_MS;
}

/* Its place, which may be another's now. */
static struct account *account_of(
	struct fac_reads *reads, const struct x402_address *address)
{
	uint8_t hash[crypto_shorthash_siphashx24_BYTES];

	(void)crypto_shorthash_siphashx24(
		hash, address->bytes, sizeof(address->bytes), reads->key);
	return &reads->accounts[(hash[0] | (size_t)hash[1] << 8) % ACCOUNTS];
}

static bool has_no_code(
	struct fac_reads *reads, const struct x402_address *address)
{
	const struct account *account = account_of(reads, address);

	return account->until_ms > fac_loop_now_ms(reads->loop) &&
		x402_address_equal(&account->address, address);
}

static void note_code(struct fac_reads *reads,
	const struct x402_address *address, bool has_code)
{
	struct account *account = account_of(reads, address);

	if (!has_code)
		*account = (struct account){*address,
			fac_loop_now_ms(reads->loop) + ACCOUNT_LIFETIME_MS};
	else if (x402_address_equal(&account->address, address))
		account->until_ms = 0;
}

/* Which fact of the asset the read asks for, if any. */
static enum fact fact_of(const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	static const uint8_t name[4] = {0x06, 0xfd, 0xde, 0x03};
	static const uint8_t version[4] = {0x54, 0xfd, 0x4d, 0x50};

	if (!options->cacheable || options->block != FAC_CHAIN_LATEST ||
		!x402_address_equal(options->cacheable, &read->to))
		return FACT_NONE;
	if (read->kind == X402_READ_CODE)
		return FACT_CODE;
	if (read->needs_sender || read->data.len != 4)
		return FACT_NONE;
	if (memcmp(read->data.ptr, name, 4) == 0)
		return FACT_NAME;
	return memcmp(read->data.ptr, version, 4) == 0 ? FACT_VERSION
						       : FACT_NONE;
}

/* ---- Answers. ---- */

static void unref_ask(struct ask *ask)
{
	if (!ask || --ask->refs)
		return;
	x402_buf_clear(&ask->data);
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
	struct read *read = ask->waiting;

	/* Only a call can revert. */
	if (ask->kind != X402_READ_CALL && status == X402_ANSWER_REVERTED)
		status = X402_ANSWER_FAULT;
	ask->answered = true;
	ask->status = status;
	ask->waiting = NULL;
	if (ask->fact != FACT_NONE)
		remember(ask->reads, ask);
	else if (ask->kind == X402_READ_CODE && status == X402_ANSWER_OK)
		note_code(ask->reads, &ask->to, ask->bytes.len > 0);
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
	uint64_t now_ms = fac_loop_now_ms(ask->reads->loop);

	return ask->deadline_ms > now_ms ? (uint32_t)(ask->deadline_ms - now_ms)
					 : 0;
}

static void call_params(struct x402_buf *params, const struct x402_address *to,
	struct x402_span data, uint64_t gas, const struct x402_address *sender)
{
	params->len = 0;
	x402_buf_add_str(params, "[{\"to\":");
	fac_params_hex(params, x402_span(to->bytes, 20));
	if (sender) {
		x402_buf_add_str(params, ",\"from\":");
		fac_params_hex(params, x402_span(sender->bytes, 20));
	}
	if (gas)
		x402_buf_printf(
			params, ",\"gas\":\"0x%llx\"", (unsigned long long)gas);
	x402_buf_add_str(params, ",\"data\":");
	fac_params_hex(params, data);
	x402_buf_add_str(params, "},");
}

/* Writes reads->params. */
static void read_params(struct fac_reads *reads,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	struct x402_buf *params = &reads->params;

	params->len = 0;
	if (read->kind != X402_READ_CALL) {
		x402_buf_add_byte(params, '[');
		fac_params_hex(params, x402_span(read->to.bytes, 20));
		x402_buf_add_byte(params, ',');
	} else {
		const struct x402_address *sender =
			read->has_sender ? &read->sender : &options->sender;

		call_params(params, &read->to, read->data, read->gas,
			read->needs_sender ? sender : NULL);
	}
	fac_params_block(params, options->block);
	x402_buf_add_byte(params, ']');
	if (params->failed)
		abort();
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
	call_params(params, &ask->to, x402_buf_span(&ask->data), ask->gas,
		ask->is_transfer ? &ask->sender : NULL);
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
		reads->multi_until_ms = fac_loop_now_ms(reads->loop) +
			MULTI_LIFETIME_MS;
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
	uint64_t now_ms = fac_loop_now_ms(reads->loop);

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
				note_code(reads, &ask->transfer_from, true);
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
			ask->to, x402_buf_span(&ask->data), true};
		left_ms = its_ms < left_ms ? its_ms : left_ms;
		if (ask->is_transfer)
			gas += SHARE_GAS;
	}
	x402_multicall_aggregate3_calldata(calls, multi->len, &calldata);
	call_params(&reads->params, x402_multicall3(), x402_buf_span(&calldata),
		gas, first->is_transfer ? &first->sender : NULL);
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

	if (reads->multi == MULTI_NO &&
		reads->multi_until_ms <= fac_loop_now_ms(reads->loop))
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
	const struct x402_chain_read *read, uint64_t deadline_ms)
{
	struct ask *ask = must_calloc(sizeof(*ask));

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
	if (read->kind != X402_READ_CALL || options->block != FAC_CHAIN_LATEST)
		return NULL;
	if (read->needs_sender)
		return read->may_share && !read->has_sender &&
				reads->transfers_rest_ms <=
					fac_loop_now_ms(reads->loop) &&
				has_no_code(reads, &read->transfer_from)
			? &reads->transfers
			: NULL;
	/* Only to what is known to be a contract. */
	return !read->gas && know(reads, &read->to, FACT_CODE) ? &reads->plain
							       : NULL;
}

static void enqueue(struct queue *queue, struct ask *ask,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options)
{
	x402_buf_add(&ask->data, read->data);
	if (ask->data.failed)
		abort();
	ask->is_transfer = read->needs_sender;
	ask->sender = options->sender;
	ask->gas = read->gas;
	ask->transfer_from = read->transfer_from;
	ask->transfer_to = read->transfer_to;
	*queue->last = ask;
	queue->last = &ask->next_waiting;
	queue->len++;
}

/* The ask of this turn for reads->params, new or not. */
static struct ask *find_ask(struct fac_reads *reads,
	const struct x402_chain_read *read,
	const struct fac_chain_read_options *options, uint64_t deadline_ms)
{
	uint8_t key[crypto_shorthash_siphashx24_BYTES];
	struct ask **bucket;
	struct ask *ask;
	struct queue *queue;

	/* Code, nonce and balance of an account have the same parameters. */
	x402_buf_add_byte(&reads->params, (uint8_t)read->kind);
	if (reads->params.failed)
		abort();
	(void)crypto_shorthash_siphashx24(
		key, reads->params.ptr, reads->params.len, reads->key);
	reads->params.len--;
	bucket = &reads->buckets[key[0] % BUCKETS];
	for (ask = *bucket; ask; ask = ask->next_in_bucket)
		/* Who has less time cannot wait for a slower question. */
		if (memcmp(ask->key, key, sizeof(key)) == 0 && !ask->answered &&
			ask->deadline_ms <= deadline_ms)
			return ask;
	ask = new_ask(reads, bucket, read, deadline_ms);
	memcpy(ask->key, key, sizeof(key));
	queue = queue_of(reads, read, options);
	if (queue)
		enqueue(queue, ask, read, options);
	else
		send_ask(ask, left_ms_of(ask));
	return ask;
}

static void start_read(struct fac_reads *reads, struct group *group,
	size_t index, const struct fac_chain_read_options *options,
	uint64_t deadline_ms)
{
	const struct x402_chain_read *question = &options->reads[index];
	struct read *read = &group->each[index];
	enum fact fact = fact_of(question, options);
	const struct asset *asset = fact ? know(reads, &question->to, fact)
					 : NULL;
	struct ask *ask;

	read->group = group;
	if (asset) {
		/* Of its own: the entry may make room before it is told. */
		ask = must_calloc(sizeof(*ask));
		ask->refs = 1;
		x402_buf_add(&ask->bytes,
			x402_span(asset->bytes[fact], asset->len[fact]));
		if (ask->bytes.failed)
			abort();
		read->ask = ask;
		group->answers[index].data = x402_buf_span(&ask->bytes);
		group->left--;
		return;
	}
	read_params(reads, question, options);
	ask = find_ask(reads, question, options, deadline_ms);
	if (fact)
		ask->fact = fact;
	ask->refs++;
	read->ask = ask;
	read->next = ask->waiting;
	ask->waiting = read;
}

void fac_reads_ask(struct fac_reads *reads,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user)
{
	struct group *group = must_calloc(sizeof(*group));
	uint64_t deadline_ms = fac_loop_now_ms(reads->loop) +
		fac_rpc_timeout_ms(reads->rpc, options->timeout_ms);

	group->len = options->reads_len < X402_PLAN_READS_MAX
		? options->reads_len
		: X402_PLAN_READS_MAX;
	group->left = group->len;
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
	if (fac_timer_new(loop, on_turn, reads, &reads->turn)) {
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
	free(reads);
}
