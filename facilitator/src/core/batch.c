/*
 * Who travels with whom. Payments by plain accounts in allow-listed tokens may
 * share one Multicall3 aggregate3, each call allowed to fail by itself; all
 * others, and those that failed in company once, go alone and never wait.
 *
 *   fac_batch_choose   what to sign now, or how long company is waited for
 *   fac_batch_fit      fewer of them, where a block has not room for all
 *   fac_batch_call     the call of it
 *
 * With nothing in flight nobody waits. Under load a payment waits for company,
 * the longer the more payments are on their way, up to the window and to the
 * time between blocks: they would wait for the same block anyway. The gas limit
 * is the sum of ceilings, never an estimate: an inner call that runs out of gas
 * is swallowed, and an estimator would think it fine (design.md, /settle 3).
 */
#include "core/engine_p.h"
#include "x402/abi.h"

#include <stdlib.h>

/* Nodes refuse transactions of 128 KiB; leave room for the rest of it. */
#define BATCH_BYTES_MAX ((size_t)110000)
/* One element of aggregate3 besides its padded calldata. */
#define CALL_BYTES 160
/* EIP-7825: no block takes more in one transaction. */
#define TX_GAS_MAX ((uint64_t)1 << 24)
/*
 * Half a coin: geth and others take no transaction over RPC whose fees may
 * cost more than one (--rpc.txfeecap), and fees may be raised to the double.
 */
#define TX_COST_MAX_WEI UINT64_C(500000000000000000)
/* The transaction itself, Multicall3's loop and its returned data. */
#define BATCH_BASE_GAS ((uint64_t)60000)
/*
 * Room for a transfer through Permit2 beside that for one by EIP-3009: it took
 * 11,300 more on the devnet, and each token's allowance costs its own.
 */
#define PERMIT2_MORE_GAS ((uint64_t)60000)
/* A quarter of a batch is worth a transaction of its own, less is not. */
#define FIT_PART 4
/* When everything in the queue waits for its one sender. */
#define BOUND_WAIT_MS 500
/* A payment in flight makes the next one wait so much longer. */
#define WINDOW_STEP_MS 10
/* So near to validBefore nobody waits for company. */
#define HURRY_S 12
/* How long "no Multicall3 here" is believed. */
#define MULTICALL_ABSENT_MS 600000
#define MULTICALL_RETRY_MS  1000

/* getBlockNumber(): what Multicall3 answers and an empty account does not. */
static const uint8_t get_block_number[4] = {0x42, 0xcb, 0xb1, 0x5c};

/* ---- Is Multicall3 there? ---- */

static void on_multicall(void *arg, const struct x402_chain_answer *answer)
{
	struct fac_line *line = arg;
	struct fac_engine *engine = line->engine;
	uint64_t now = fac_engine_now(engine);

	engine->owed--;
	line->asking_multicall = false;
	if (answer->status == X402_ANSWER_FAULT) {
		line->multicall_retry_ms = now + MULTICALL_RETRY_MS;
		return;
	}
	line->has_multicall = answer->status == X402_ANSWER_OK &&
		answer->data.len == 32;
	line->multicall_retry_ms = now + MULTICALL_ABSENT_MS;
	if (!line->has_multicall)
		fac_engine_note(engine, true,
			"%s: no Multicall3; each payment travels alone",
			line->config.network.caip2);
	fac_lane_dispatch(line);
}

void fac_batch_tick(struct fac_line *line)
{
	struct fac_engine *engine = line->engine;

	if (fac_svm_is(line) || line->has_multicall || line->asking_multicall ||
		line->config.batch_max < 2 || !line->config.tokens_len ||
		fac_engine_now(engine) < line->multicall_retry_ms)
		return;
	line->asking_multicall = true;
	engine->owed++;
	engine->ports.call(engine->ports.user, line->index, x402_multicall3(),
		x402_span(get_block_number, sizeof(get_block_number)),
		FAC_CHAIN_LATEST, on_multicall, line);
}

/* ---- Choosing. ---- */

static bool is_allowed_token(
	const struct fac_line *line, const struct x402_address *token)
{
	for (size_t i = 0; i < line->config.tokens_len; i++)
		if (x402_address_equal(&line->config.tokens[i], token))
			return true;
	return false;
}

static bool may_share(const struct fac_job *job)
{
	const struct fac_line *line = job->line;

	return line->has_multicall && line->config.batch_max > 1 &&
		job->payment.may_share && !job->alone &&
		is_allowed_token(line, &job->payment.proof.asset);
}

/* Bound to a sender that cannot take it now: the others go on without it. */
static bool must_wait(const struct fac_job *job)
{
	struct x402_address sender;

	return !fac_payment_sender(&job->payment, &sender) &&
		!fac_lane_takes(job->line, &sender);
}

bool fac_batch_sender(
	const struct fac_batch *batch, struct x402_address *ret_sender)
{
	const struct fac_payment *payment = &batch->jobs[0]->payment;

	return batch->len == 1 && !fac_payment_sender(payment, ret_sender);
}

/*
 * Permit2 payments are proven by their terms alone: one Transfer must not
 * stand for two payments of the same payer.
 */
static bool clashes(const struct fac_batch *batch, bool has_permit2,
	const struct fac_job *job)
{
	if (!has_permit2 && !x402_settle_proof_is_permit2(&job->payment.proof))
		return false;
	for (size_t i = 0; i < batch->len; i++) {
		const struct x402_settle_proof *other =
			&batch->jobs[i]->payment.proof;

		if ((x402_settle_proof_is_permit2(&job->payment.proof) ||
			    x402_settle_proof_is_permit2(other)) &&
			x402_address_equal(
				&other->from, &job->payment.proof.from))
			return true;
	}
	return false;
}

static size_t call_bytes(const struct fac_job *job)
{
	return CALL_BYTES + (job->payment.calldata.len + 31) / 32 * 32;
}

static uint64_t shared_gas(const struct fac_job *job)
{
	uint64_t gas = job->line->batch_payment_gas;

	if (x402_settle_proof_is_permit2(&job->payment.proof))
		gas += PERMIT2_MORE_GAS;
	return gas < job->payment.gas_limit ? gas : job->payment.gas_limit;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * What nodes refuse would hold up its lane until all in it have expired. A
 * batch that fills half a block leaves room for the next one, too.
 */
static uint64_t gas_ceiling(
	const struct fac_line *line, const struct x402_u256 *max_fee)
{
	uint64_t half = line->head_known ? line->head.gas_limit / 2 : 0;
	uint64_t most = least(line->config.batch_max_gas, TX_GAS_MAX);
	uint64_t fee = UINT64_MAX;

	if (half)
		most = least(most, half);
	/* A fee that does not fit pays for nothing in company. */
	(void)!x402_u256_to_u64(max_fee, &fee);
	return fee ? least(most, TX_COST_MAX_WEI / fee) : most;
}

/* Company that comes for another block is paid for with time, so: one block. */
static uint64_t window_ms(const struct fac_line *line)
{
	uint64_t window = least(line->payments_in_flight * WINDOW_STEP_MS,
		line->config.batch_window_ms);

	return line->block_ms ? least(window, line->block_ms) : window;
}

/* The first that may not share goes at once: it gains nothing by waiting. */
static struct fac_job *find_loner(const struct fac_line *line)
{
	struct fac_job *job = line->queued;

	while (job && (may_share(job) || must_wait(job)))
		job = job->next_queued;
	return job;
}

/* True when nobody else fits in. */
static bool gather(struct fac_line *line, const struct x402_u256 *max_fee,
	struct fac_batch *batch)
{
	uint64_t gas_max = gas_ceiling(line, max_fee);
	size_t bytes = 0;
	bool has_permit2 = false;

	batch->gas_limit = BATCH_BASE_GAS;
	for (struct fac_job *job = line->queued; job; job = job->next_queued) {
		if (!may_share(job) || clashes(batch, has_permit2, job))
			continue;
		bytes += call_bytes(job);
		if (batch->len == line->config.batch_max ||
			bytes > BATCH_BYTES_MAX ||
			(batch->len &&
				batch->gas_limit + shared_gas(job) > gas_max))
			return true;
		batch->jobs[batch->len++] = job;
		batch->gas_limit += shared_gas(job);
		has_permit2 |= x402_settle_proof_is_permit2(
			&job->payment.proof);
	}
	return batch->len == line->config.batch_max;
}

static bool is_in_a_hurry(const struct fac_line *line)
{
	uint64_t now_s = fac_engine_wall(line->engine) / 1000;

	for (struct fac_job *job = line->queued; job; job = job->next_queued)
		if (job->payment.valid_before_unix_s < now_s + HURRY_S)
			return true;
	return false;
}

bool fac_batch_choose(struct fac_line *line, const struct x402_u256 *max_fee,
	struct fac_batch *ret_batch, uint64_t *ret_wait_ms)
{
	uint64_t now = fac_engine_now(line->engine);
	uint64_t waited = now - line->queued->queued_ms;
	uint64_t window = window_ms(line);
	struct fac_job *loner = find_loner(line);

	ret_batch->len = 0;
	ret_batch->full = false;
	if (!loner) {
		ret_batch->full = gather(line, max_fee, ret_batch);
		if (!ret_batch->len) {
			*ret_wait_ms = BOUND_WAIT_MS;
			return false;
		}
		if (!ret_batch->full && waited < window &&
			!is_in_a_hurry(line)) {
			*ret_wait_ms = window - waited;
			return false;
		}
	}
	if (loner || ret_batch->len < 2) {
		/* Alone it is cheaper without Multicall3. */
		if (loner)
			ret_batch->jobs[0] = loner;
		ret_batch->len = 1;
		ret_batch->full = false;
		ret_batch->gas_limit = ret_batch->jobs[0]->payment.gas_limit;
	}
	return true;
}

bool fac_batch_fit(struct fac_batch *batch, uint64_t gas)
{
	uint64_t limit = batch->gas_limit;
	size_t len = batch->len;

	while (len > 1 && limit > gas)
		limit -= shared_gas(batch->jobs[--len]);
	if (len < 2 || len < batch->len / FIT_PART)
		return false;
	batch->len = len;
	batch->gas_limit = limit;
	batch->full = false;
	return true;
}

/* ---- The call. ---- */

struct x402_u256 fac_batch_value(const struct fac_batch *batch)
{
	return batch->len == 1
		? x402_settle_proof_value(&batch->jobs[0]->payment.proof)
		: x402_u256_from_u64(0);
}

void fac_batch_call(const struct fac_batch *batch, struct x402_address *ret_to,
	struct x402_buf *ret_data)
{
	struct x402_multicall_call calls[FAC_BATCH_MAX];

	if (batch->len == 1) {
		*ret_to = batch->jobs[0]->payment.call_to;
		x402_buf_add(ret_data,
			x402_buf_span(&batch->jobs[0]->payment.calldata));
	} else {
		*ret_to = *x402_multicall3();
		for (size_t i = 0; i < batch->len; i++)
			calls[i] = (struct x402_multicall_call){
				.target = batch->jobs[i]->payment.call_to,
				.calldata = x402_buf_span(
					&batch->jobs[i]->payment.calldata),
				.allow_failure = true};
		x402_multicall_aggregate3_calldata(calls, batch->len, ret_data);
	}
	if (ret_data->failed)
		abort();
}

void fac_batch_count(struct fac_engine *engine, size_t len)
{
	static const size_t bounds[] = FAC_BATCH_BUCKET_BOUNDS;
	size_t bucket = 0;

	while (bucket < FAC_BATCH_BUCKETS - 1 && len > bounds[bucket])
		bucket++;
	engine->stats.batch_sizes[bucket]++;
	engine->stats.batches++;
	engine->stats.batched_payments += len;
}
