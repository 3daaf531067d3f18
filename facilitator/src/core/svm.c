/*
 * Solana in the engine. The payer's message is the whole transaction; we sign
 * it as its fee payer, and that signature names it. So there are no nonces,
 * fees or batches here:
 *
 *   fac_svm_cosign      before the reservation: the row holds what is sent
 *   fac_svm_dispatch    a lane that may sign takes it: journal, broadcast
 *   (reconcile.c)       statuses of signatures in place of receipts
 *   fac_svm_note_head   until which height can it land?
 *   fac_svm_tick        past that height, finalized, and no node knows of it:
 *                       it never can, and a fresh payment is safe
 *   fac_svm_watch       landed: finalized by now?
 *
 * Ed25519 signs the same bytes into the same signature: a second instance, or
 * a run after a crash, can only make the same transaction again.
 */
#include "core/engine_p.h"
#include "x402/svm_transaction.h"

#include <stdio.h>
#include <stdlib.h>

#define GWEI UINT64_C(1000000000)
/* Heights that a blockhash lives for. */
#define BLOCKHASH_HEIGHTS 150
/*
 * On top of the head's own last valid height: the payer's node may be so far
 * ahead of the one that told our head. Too much only delays an answer; too
 * little would call a payment dead that can still land.
 */
#define SLACK_HEIGHTS 150
/* The head is so far in front of what is finalized. */
#define FINALITY_HEIGHTS 32
/* Nodes that must not know of it, one after another. */
#define MISSES_WANTED 2
#define PROBE_MS      1000
/* A node that threw away what would prove something: asked so often. */
#define BLIND_MS 30000
/* No chain of this family makes slots faster: they take 400 ms. */
#define SLOT_MS_LEAST 100
/* A transaction has a place of its lane for so long. */
#define PLACE_MS 20000

bool fac_svm_is(const struct fac_line *line)
{
	return line->config.network.family == X402_FAMILY_SVM;
}

/* ---- Co-signing. ---- */

/* The lane of the fee payer that the payment names; NULL: not ours. */
static struct fac_lane *lane_of(const struct fac_line *line,
	const struct fac_payment *payment,
	struct x402_svm_transaction *ret_transaction)
{
	if (x402_svm_transaction_read(x402_buf_span(&payment->calldata),
		    ret_transaction) != X402_OK)
		return NULL;
	for (size_t i = 0; i < line->config.signers_len; i++)
		if (x402_pubkey_equal(&line->lanes[i].svm_pubkey,
			    &ret_transaction->keys[0]))
			return (struct fac_lane *)&line->lanes[i];
	return NULL;
}

bool fac_svm_cosign(const struct fac_line *line, struct fac_payment *payment)
{
	struct x402_svm_transaction transaction;
	const struct fac_lane *lane = lane_of(line, payment, &transaction);

	/* One byte says how many signatures there are; ours is the first. */
	return lane &&
		x402_ed25519_sign(lane->svm_key, transaction.message,
			payment->calldata.ptr + 1) == X402_OK;
}

/* ---- Dispatch. ---- */

/*
 * What the journal's UNIQUE nonce is for holds here too: one live transaction
 * for one message. 63 bits of its hash, which the store's integers take.
 */
static uint64_t nonce_of(const struct fac_payment *payment)
{
	uint64_t nonce = 0;

	for (size_t i = 0; i < 8; i++)
		nonce = nonce << 8 | payment->proof.nonce32[i];
	return nonce >> 1;
}

static void begin(struct fac_lane *lane, struct fac_job *job)
{
	const struct fac_payment *payment = &job->payment;
	struct fac_line *line = lane->line;
	struct fac_batch batch = {
		.jobs = {job}, .len = 1, .gas_limit = payment->gas_limit};
	struct fac_transaction transaction = {.signer = lane->address,
		.nonce = nonce_of(payment),
		.created_ms = fac_engine_now(line->engine),
		.attempts_len = 1};
	struct fac_attempt *attempt = &transaction.attempts[0];

	/* One gwei for each of gas_limit's lamports: see engine.h. */
	attempt->max_fee_per_gas = x402_u256_from_u64(GWEI);
	attempt->created_ms = transaction.created_ms;
	x402_buf_add(&attempt->raw, x402_buf_span(&payment->calldata));
	if (attempt->raw.failed)
		abort();
	x402_sha256(x402_span(payment->calldata.ptr + 1, 64), attempt->hash32);
	memcpy(transaction.id32, attempt->hash32, 32);
	memcpy(transaction.network, line->config.network.caip2,
		sizeof(transaction.network));
	fac_lane_begin(lane, &batch, &transaction);
}

void fac_svm_dispatch(struct fac_line *line)
{
	const char *trouble = NULL;
	struct fac_job *next;

	for (struct fac_job *job = line->queued; job && !line->engine->ended;
		job = next) {
		struct x402_svm_transaction read;
		struct fac_lane *lane = lane_of(line, &job->payment, &read);
		struct x402_u256 cost = x402_u256_from_u64(GWEI);
		const char *why = "its fee payer is not leased here";

		next = job->next_queued;
		if (lane &&
			x402_u256_mul_u64(
				&cost, job->payment.gas_limit, &cost) &&
			fac_lane_is_fit(lane, &cost, &why)) {
			begin(lane, job);
			continue;
		}
		/* Each waits for its own fee payer. */
		trouble = why;
		snprintf(job->trouble, sizeof(job->trouble), "%s", why);
	}
	if (trouble)
		fac_lane_warn(line, trouble);
}

/* ---- Places. ---- */

/*
 * What lands, lands in seconds. What does not is followed for minutes, until
 * that is proven, and costs its payer nothing: a blockhash that is about to
 * expire is enough. So it gives its place of the lane up, and the fee that was
 * set aside for it, or a few of these would keep everybody else's payments
 * waiting. Should all of them land after all, a fee payer that is short of
 * lamports lands nothing more: those payments expire, and cost nobody anything.
 */
bool fac_svm_is_overdue(const struct fac_tx *tx)
{
	return fac_svm_is(tx->line) && tx->journalled && !tx->dead &&
		!tx->mined &&
		fac_engine_now(tx->line->engine) >=
		tx->transaction.created_ms + PLACE_MS;
}

static void count_overdue(struct fac_line *line)
{
	for (size_t i = 0; i < line->config.signers_len; i++)
		line->lanes[i].overdue = 0;
	for (struct fac_tx *tx = line->txs; tx; tx = tx->next) {
		if (!tx->lane || !fac_svm_is_overdue(tx))
			continue;
		tx->lane->overdue++;
		if (tx->overdue)
			continue;
		tx->overdue = true;
		fac_tx_commit(tx);
	}
}

/* ---- How long can it land, and since when? ---- */

/* Of one taken up from the journal, which does not say: at the earliest. */
static uint64_t earliest_slot(
	const struct fac_line *line, const struct fac_tx *tx)
{
	uint64_t since_ms = fac_engine_now(line->engine) -
		tx->transaction.created_ms;
	uint64_t slots = since_ms / SLOT_MS_LEAST + 1;

	return slots < line->head.number ? line->head.number - slots : 1;
}

void fac_svm_note_head(struct fac_line *line)
{
	for (struct fac_tx *tx = line->txs; tx; tx = tx->next) {
		/* Its blockhash is no newer than this head's, but for slack. */
		if (tx->last_height ||
			tx->transaction.created_ms >= line->poll_asked_ms)
			continue;
		tx->last_height = line->head.height + SLACK_HEIGHTS;
		if (!tx->since_slot)
			tx->since_slot = earliest_slot(line, tx);
	}
}

/* Nobody who keeps less can say that it did not land. */
static void wait_for_history(struct fac_tx *tx)
{
	tx->next_probe_ms = fac_engine_now(tx->line->engine) + BLIND_MS;
	fac_lane_warn(tx->line,
		"the endpoint keeps no transactions as old as one that is "
		"followed: its silence proves nothing");
}

static void end_probe(struct fac_tx *tx)
{
	tx->probing = false;
	tx->next_probe_ms = fac_engine_now(tx->line->engine) + PROBE_MS;
}

/* Its height has passed for good, and no node has it. */
static void expire(struct fac_tx *tx)
{
	for (size_t i = 0; i < tx->transaction.keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job || job->phase != FAC_JOB_IN_FLIGHT)
			continue;
		fac_reconcile_set_end(job, FAC_PAYMENT_EXPIRED,
			X402_REASON_SVM_BLOCKHASH_EXPIRED,
			"its blockhash expired before it landed: it never can, "
			"and a new payment is safe");
		/* Or payments that cost nobody anything use a day's gas up. */
		job->end.cost_gwei = 0;
		fac_reconcile_finish(job);
	}
}

/*
 * Absence is believed of a node only that had come as far as the finalized
 * slot and has kept all since the transaction was made, by its own word, and
 * only when it is said again.
 */
static void on_statuses(void *arg, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	end_probe(tx);
	if (tx->mined || tx->replaced || receipts_len != 1)
		return;
	if (receipts[0].status == FAC_RECEIPT_FOUND)
		fac_reconcile_take(tx, &receipts[0]);
	if (receipts[0].status != FAC_RECEIPT_NONE ||
		receipts[0].context_slot < tx->probe_block.number) {
		tx->misses = 0;
		return;
	}
	if (receipts[0].history_slot > tx->since_slot) {
		tx->misses = 0;
		wait_for_history(tx);
		return;
	}
	if (++tx->misses >= MISSES_WANTED)
		expire(tx);
}

static void ask_status(struct fac_tx *tx,
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len))
{
	struct fac_engine *engine = tx->line->engine;

	tx->busy++;
	engine->owed++;
	engine->ports.signature(engine->ports.user, tx->line->index,
		fac_tx_newest(tx)->raw.ptr + 1, done, tx);
}

static void on_finalized(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (err || block->height <= tx->last_height) {
		end_probe(tx);
		return;
	}
	tx->probe_block = *block;
	ask_status(tx, on_statuses);
}

static void probe(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;

	tx->probing = true;
	tx->busy++;
	engine->owed++;
	engine->ports.block(engine->ports.user, tx->line->index,
		FAC_CHAIN_FINALIZED, on_finalized, tx);
}

static void on_forgotten(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (reply->fenced)
		fac_recover_fenced(tx->lane);
	else if (reply->err)
		tx->replaced = false; /* tried again by the next tick */
	else
		fac_tx_end(tx, false);
}

static void forget(struct fac_tx *tx)
{
	struct fac_store_lease lease = fac_lane_lease(tx->lane);

	tx->replaced = true;
	fac_tx_store(tx, fac_verb_mark_replaced(tx->transaction.id32, &lease),
		on_forgotten);
}

void fac_svm_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	count_overdue(line);
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;
		bool open = !tx->dead && tx->journalled && !tx->mined &&
			!tx->replaced && !tx->probing;

		/* The newest blockhash lives so long: heights are behind it. */
		if (open && tx->misses >= MISSES_WANTED && !tx->jobs_live &&
			!tx->busy) {
			forget(tx);
		} else if (open && tx->last_height && line->head_known &&
			now >= tx->next_probe_ms &&
			line->head.height >
				tx->last_height + BLOCKHASH_HEIGHTS) {
			probe(tx);
		}
		tx = next;
	}
}

/* ---- Finality. ---- */

static void on_watched(void *arg, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_tx *tx = arg;
	uint64_t depth = tx->line->config.proof_depth;

	if (!fac_tx_returned(tx) || receipts_len != 1 ||
		!fac_watch_is_watched(tx))
		return;
	if (receipts[0].status == FAC_RECEIPT_FOUND &&
		receipts[0].context_slot >=
			receipts[0].receipt.block_number + depth)
		fac_watch_finish(tx);
	else if (receipts[0].status == FAC_RECEIPT_NONE &&
		receipts[0].history_slot > tx->transaction.block_number)
		wait_for_history(tx);
	else if (receipts[0].status == FAC_RECEIPT_NONE &&
		receipts[0].context_slot >=
			tx->transaction.block_number + depth)
		fac_watch_drop(tx);
}

/*
 * FINAL lets the store forget the claim on its message: so not before the
 * chain can no longer take that message. Time is no proof of it: a chain that
 * halts keeps its blockhashes.
 */
static bool is_dead(const struct fac_line *line, const struct fac_tx *tx)
{
	return tx->last_height &&
		line->head.height >
		tx->last_height + BLOCKHASH_HEIGHTS + FINALITY_HEIGHTS;
}

void fac_svm_watch(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	for (struct fac_tx *tx = line->txs; tx; tx = tx->next)
		if (fac_watch_is_watched(tx) && !tx->busy &&
			now >= tx->next_probe_ms &&
			line->head.number >= tx->transaction.block_number +
					line->config.proof_depth &&
			is_dead(line, tx))
			ask_status(tx, on_watched);
}
