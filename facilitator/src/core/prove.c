/*
 * What never landed, and what somebody else landed.
 *
 * The negative proof of a transaction without a receipt, one question after
 * another, at a block proof_depth under the head:
 *
 *   probe -> on_block -> on_nonce -> on_receipts -> conclude
 *
 * The receipts are asked last: when the nonce was spent deep in the chain by
 * our own transaction, its receipt is there by then.
 *
 * The check of a payment that its transaction did not pay, or will not pay:
 *
 *   fac_prove_late -> on_proof_block  where validBefore is over for good
 *   fac_prove_check -> on_state     unused: end, or...
 *     -> on_simulated               ... sign anew what failed in company only
 *     -> on_logs                    used: by which transaction?
 *     -> on_sent                    Permit2: did this one's call use it?
 *     -> on_other                   did that one pay these very terms?
 *     -> on_whose                   an earlier one of ours, or a stranger's?
 *     -> on_other_block             ... after our reservation? Then it is
 *                                   credited, once (demands.md 5)
 *
 * A payment by delegation has no such questions: conclude_delegation.
 */
#include "core/engine_p.h"
#include "x402/abi.h"

#include <stdio.h>
#include <stdlib.h>

/* Doubt a transaction that has no receipt for so long. */
#define DOUBT_MS     30000
#define PROBE_MS     2000
#define CHECK_MIN_MS 200
#define CHECK_MAX_MS 2000
#define CHECK_TRIES  5
/* eth_getLogs is refused over many blocks; a payment does not live longer. */
#define LOGS_BLOCKS_MAX 5000
/* The mean time between blocks, while two were not seen. */
#define BLOCK_MS_UNKNOWN 2000
#define BLOCK_MS_MIN     100
/* Room for clocks: ours against the chain's. */
#define SKEW_S 5

/* ---- A payment that was not paid. ---- */

static bool read_used(const struct fac_job *job,
	const struct x402_chain_answer *answer, bool *ret_used)
{
	return answer->status == X402_ANSWER_OK &&
		x402_settle_proof_state_read(
			&job->payment.proof, answer->data, ret_used) == X402_OK;
}

/*
 * False also when the check is nobody's any more: the lane was lost, and what
 * another instance has done since is not in this answer.
 */
static bool check_returned(struct fac_job *job)
{
	return fac_job_returned(job) && job->phase == FAC_JOB_CHECKING;
}

static void check_later(struct fac_job *job)
{
	fac_job_retry(job, CHECK_MIN_MS, CHECK_MAX_MS);
}

static bool is_mined(const struct fac_job *job)
{
	return job->tx && job->tx->mined;
}

static bool is_own(const struct fac_job *job)
{
	return is_mined(job) &&
		memcmp(job->tx->transaction.mined_hash32, job->other_hash32,
			32) == 0;
}

/* Used or cancelled, and not by what we can credit. */
static void end_as_used(struct fac_job *job, const char *message)
{
	fac_reconcile_set_end(job,
		/* Mined: should its block fall, it is taken back to work. */
		is_mined(job) ? FAC_PAYMENT_REVERTED : FAC_PAYMENT_EXPIRED,
		x402_settle_proof_reason(&job->payment.proof, X402_FATE_USED),
		message);
	fac_reconcile_finish(job);
}

static void on_other_block(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_job *job = arg;

	if (!check_returned(job))
		return;
	if (err) {
		check_later(job);
		return;
	}
	if (!job->other_is_own &&
		block->timestamp_unix_s + SKEW_S <
			job->payment.created_ms / 1000) {
		end_as_used(job,
			"another transaction paid with this authorization "
			"before it came here");
		return;
	}
	if (!job->other_is_own)
		job->engine->stats.preempted++;
	fac_hash_text(job->other_hash32, job->payment.transaction);
	job->mined_block = job->other_block;
	fac_reconcile_set_end(job, FAC_PAYMENT_SETTLED, X402_REASON_NONE,
		job->other_is_own ? "" : "landed by another sender");
	fac_reconcile_finish(job);
}

static void ask_other_block(struct fac_job *job)
{
	struct fac_engine *engine = job->engine;

	job->busy++;
	engine->owed++;
	engine->ports.block(engine->ports.user, job->line->index,
		job->other_block, on_other_block, job);
}

static void look_at_next(struct fac_job *job);

/*
 * Permit2's only proof is one Transfer of the payer's in the transaction: where
 * another payment of this payer is proven by it, this one is not.
 */
static bool is_anothers(
	const struct fac_job *job, const struct fac_store_reply *reply)
{
	for (size_t i = 0; i < reply->payments_len &&
		x402_settle_proof_is_permit2(&job->payment.proof);
		i++) {
		const struct fac_payment *row = &reply->payments[i];

		if (strcmp(row->id, job->payment.id) != 0 &&
			x402_address_equal(
				&row->proof.from, &job->payment.proof.from))
			return true;
	}
	return false;
}

static void on_whose(void *arg, const struct fac_store_reply *reply)
{
	struct fac_job *job = arg;
	bool before = false;

	if (!check_returned(job))
		return;
	if (reply->err && reply->err != X402_ERR_NOT_FOUND) {
		check_later(job);
		return;
	}
	if (is_anothers(job, reply)) {
		look_at_next(job);
		return;
	}
	job->other_is_own = false;
	for (size_t i = 0; i < reply->payments_len; i++) {
		const struct fac_payment *row = &reply->payments[i];

		if (strcmp(row->id, job->payment.id) == 0)
			job->other_is_own = true;
		else if (memcmp(row->key32, job->payment.key32, 32) == 0)
			before = true;
	}
	/*
	 * An authorization of the same nonce was here before and was credited
	 * then, whatever the clocks say of before.
	 */
	if (job->other_is_own ||
		(job->line->config.credit_preempted && !before))
		ask_other_block(job);
	else
		end_as_used(job,
			"the authorization was used or cancelled by another");
}

/*
 * Ours also when it is an earlier transaction of this payment: a batch that
 * did not pay it in one block may pay it in another, after a reorg.
 */
static void ask_whose(struct fac_job *job)
{
	struct fac_payment_query query = {.transaction32 = job->other_hash32};

	if (!is_own(job)) {
		fac_job_store(job, fac_verb_payment_get(query), on_whose);
		return;
	}
	job->other_is_own = true;
	ask_other_block(job);
}

/* Does the receipt spend the authorization at all? */
static bool spends(
	const struct fac_job *job, const struct x402_receipt *receipt)
{
	uint8_t topics[3][32];

	/* on_sent has seen that it does; a delegation is its own transaction.
	 */
	if (x402_settle_proof_is_permit2(&job->payment.proof) ||
		x402_settle_proof_is_delegation(&job->payment.proof))
		return true;
	x402_settle_proof_topics(&job->payment.proof, topics);
	for (size_t i = 0; i < receipt->logs_len; i++) {
		const struct x402_log *log = &receipt->logs[i];

		if (log->topics_len == 3 &&
			x402_address_equal(
				&log->address, &job->payment.proof.asset) &&
			memcmp(log->topics, topics, sizeof(topics)) == 0)
			return true;
	}
	return false;
}

static void on_other(void *arg, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_job *job = arg;
	struct x402_verdict verdict;

	if (!check_returned(job))
		return;
	if (receipts_len != 1 || receipts[0].status != FAC_RECEIPT_FOUND ||
		!fac_reconcile_is_deep(
			job->line, receipts[0].receipt.block_number)) {
		check_later(job);
		return;
	}
	x402_settle_judge(&job->payment.proof, &receipts[0].receipt, &verdict);
	if (!verdict.valid && !spends(job, &receipts[0].receipt)) {
		/* The node contradicts itself: that is no proof. */
		check_later(job);
		return;
	}
	if (!verdict.valid && is_own(job)) {
		/* What its receipt says; a restart has lost that. */
		if (x402_settle_proof_is_delegation(&job->payment.proof))
			fac_reconcile_set_end(job, FAC_PAYMENT_REVERTED,
				verdict.reason, verdict.message);
		fac_reconcile_finish(job);
		return;
	}
	if (!verdict.valid) {
		end_as_used(job,
			"another transaction used this authorization and did "
			"not pay these terms");
		return;
	}
	job->other_block = receipts[0].receipt.block_number;
	ask_whose(job);
}

static void ask_receipt(struct fac_job *job)
{
	struct fac_engine *engine = job->engine;
	uint8_t hash[1][32];

	memcpy(hash[0], job->other_hash32, 32);
	job->busy++;
	engine->owed++;
	engine->ports.receipts(engine->ports.user, job->line->index,
		(const uint8_t(*)[32])hash, 1, on_other, job);
}

/* ---- Permit2: whose Transfer of these terms spent this nonce? ---- */

static bool is_signer(
	const struct fac_line *line, const struct x402_address *address)
{
	for (size_t i = 0; i < line->config.signers_len; i++)
		if (x402_address_equal(&line->lanes[i].address, address))
			return true;
	return false;
}

static void on_sent(
	void *arg, enum x402_err err, const struct fac_chain_sent *sent)
{
	struct fac_job *job = arg;

	if (!check_returned(job))
		return;
	if (err) {
		check_later(job);
		return;
	}
	if (!x402_settle_proof_spent_by(&job->payment.proof, &sent->to,
		    sent->input, is_signer(job->line, &sent->from))) {
		look_at_next(job);
		return;
	}
	ask_receipt(job);
}

static void look_at_next(struct fac_job *job)
{
	struct fac_engine *engine = job->engine;

	if (!job->others_len) {
		end_as_used(job,
			"the permit's nonce was used or cancelled by another");
		return;
	}
	memcpy(job->other_hash32, job->others32[--job->others_len], 32);
	job->busy++;
	engine->owed++;
	engine->ports.sent(engine->ports.user, job->line->index,
		job->other_hash32, on_sent, job);
}

/*
 * Its nonce is in no log, so all Transfers between these two are looked at,
 * the newest first: there are as many as were paid since the reservation.
 */
static void look_at_all(
	struct fac_job *job, const struct fac_chain_log *logs, size_t logs_len)
{
	for (size_t i = 0; i < logs_len; i++)
		memcpy(job->others32[i], logs[i].transaction_hash32, 32);
	job->others_len = logs_len;
	look_at_next(job);
}

static void on_logs(void *arg, enum x402_err err,
	const struct fac_chain_log *logs, size_t logs_len)
{
	struct fac_job *job = arg;
	bool permit2 = x402_settle_proof_is_permit2(&job->payment.proof);

	if (!check_returned(job))
		return;
	if (err == X402_ERR_TOO_LARGE && permit2) {
		end_as_used(job,
			"the permit's nonce was used by another, among too "
			"many transfers to tell by which");
		return;
	}
	if (err) {
		check_later(job);
		return;
	}
	/* Nodes index logs late: one empty answer is no proof. */
	if (!logs_len && ++job->check_tries < CHECK_TRIES) {
		check_later(job);
		return;
	}
	if (!logs_len) {
		end_as_used(job,
			"the authorization was cancelled, or used long ago");
		return;
	}
	if (permit2) {
		look_at_all(job, logs, logs_len);
		return;
	}
	memcpy(job->other_hash32, logs[0].transaction_hash32, 32);
	ask_receipt(job);
}

/* The first block that may hold what happened since the reservation. */
static uint64_t first_block(const struct fac_job *job)
{
	const struct fac_line *line = job->line;
	uint64_t now = fac_engine_wall(job->engine);
	uint64_t seen = line->head.number - line->first_head;
	uint64_t block_ms = BLOCK_MS_UNKNOWN;
	uint64_t blocks;

	if (seen >= 2)
		block_ms = (line->head.timestamp_unix_s -
				   line->first_head_unix_s) *
			1000 / seen;
	if (block_ms < BLOCK_MS_MIN)
		block_ms = BLOCK_MS_MIN;
	blocks = (now - job->payment.created_ms + 60000) / block_ms + 20;
	if (blocks > LOGS_BLOCKS_MAX)
		blocks = LOGS_BLOCKS_MAX;
	return line->head.number > blocks ? line->head.number - blocks : 0;
}

static void look_for_other(struct fac_job *job)
{
	struct fac_line *line = job->line;
	struct fac_engine *engine = job->engine;
	struct fac_chain_logs_query query = {
		.address = job->payment.proof.asset,
		.topics_len = 3,
		.to_block = FAC_CHAIN_LATEST};

	if (!line->head_known) {
		check_later(job);
		return;
	}
	query.from_block = first_block(job);
	x402_settle_proof_topics(&job->payment.proof, query.topics);
	job->busy++;
	engine->owed++;
	engine->ports.logs(
		engine->ports.user, line->index, &query, on_logs, job);
}

/*
 * Permit2: our own call alone in its transaction used the nonce, when that
 * succeeded; then the end that its receipt gave stands.
 */
static bool used_it_ourselves(const struct fac_job *job)
{
	return x402_settle_proof_is_permit2(&job->payment.proof) &&
		is_mined(job) && job->tx->transaction.keys_len == 1 &&
		job->end.reason == X402_REASON_EVM_TRANSFER_EVENT_MISMATCH;
}

/*
 * In company anything may have gone wrong: once more, alone. Unless it would
 * fail alone too: whoever has signed more than its balance would have us pay
 * for each of them twice.
 */
static void on_simulated(void *arg, const struct x402_chain_answer *answer)
{
	struct fac_job *job = arg;

	if (!check_returned(job))
		return;
	if (answer->status == X402_ANSWER_FAULT) {
		check_later(job);
		return;
	}
	if (answer->status == X402_ANSWER_OK)
		fac_reconcile_set_end(job, FAC_PAYMENT_REPLACED,
			X402_REASON_NONE,
			"failed inside a batch; sent again alone");
	fac_reconcile_finish(job);
}

static void simulate(struct fac_job *job)
{
	struct fac_engine *engine = job->engine;

	job->busy++;
	engine->owed++;
	engine->ports.call(engine->ports.user, job->line->index,
		&job->payment.call_to, x402_buf_span(&job->payment.calldata),
		FAC_CHAIN_LATEST, on_simulated, job);
}

/* Its authorization still stands. */
static void go_on_unused(struct fac_job *job)
{
	/* ... where validBefore was over: the end is prepared. */
	if (job->late) {
		fac_reconcile_finish(job);
		return;
	}
	if (job->payment.state == FAC_PAYMENT_REPLACED) {
		fac_tx_drop_job(job);
		fac_lane_enqueue(job);
		return;
	}
	if (is_mined(job) && job->tx->transaction.keys_len > 1)
		simulate(job);
	else
		fac_reconcile_finish(job);
}

static void on_state(void *arg, const struct x402_chain_answer *answer)
{
	struct fac_job *job = arg;
	bool used;

	if (!check_returned(job))
		return;
	if (!read_used(job, answer, &used)) {
		check_later(job);
		return;
	}
	if (used && used_it_ourselves(job))
		fac_reconcile_finish(job);
	else if (used)
		look_for_other(job);
	else
		go_on_unused(job);
}

static void ask_state(struct fac_job *job, uint64_t block_number)
{
	struct fac_engine *engine = job->engine;
	struct x402_address at = x402_settle_proof_state_at(
		&job->payment.proof);

	/* Solana: whoever landed it, it was this message: no doubt is left. */
	if (fac_svm_is(job->line)) {
		fac_reconcile_finish(job);
		return;
	}
	job->phase = FAC_JOB_CHECKING;
	job->retry_ms = 0;
	job->busy++;
	engine->owed++;
	engine->ports.call(engine->ports.user, job->line->index, &at,
		x402_buf_span(&job->payment.state_calldata), block_number,
		on_state, job);
}

/*
 * No block from this time on takes it. EIP-3009 wants validBefore to lie ahead;
 * Permit2 takes the second of its deadline, and where blocks come faster than
 * seconds the next one may have the same.
 */
static bool is_over_at(const struct fac_job *job, uint64_t unix_s)
{
	uint64_t last = job->payment.valid_before_unix_s;

	return x402_settle_proof_is_permit2(&job->payment.proof)
		? unix_s > last
		: unix_s >= last;
}

static void on_proof_block(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_job *job = arg;

	if (!check_returned(job))
		return;
	if (err || !is_over_at(job, block->timestamp_unix_s))
		check_later(job);
	else
		ask_state(job, block->number);
}

static uint64_t proof_block(const struct fac_line *line)
{
	uint32_t depth = line->config.proof_depth;

	return line->head.number > depth ? line->head.number - depth : 0;
}

static void ask_proof_block(struct fac_job *job)
{
	struct fac_engine *engine = job->engine;

	job->phase = FAC_JOB_CHECKING;
	if (!job->line->head_known) {
		check_later(job);
		return;
	}
	job->retry_ms = 0;
	job->busy++;
	engine->owed++;
	engine->ports.block(engine->ports.user, job->line->index,
		proof_block(job->line), on_proof_block, job);
}

/*
 * F-07A: nothing on the chain tells whether a delegation was redeemed, nor by
 * whom. So its own transaction is all that counts: mined, it ended as its
 * receipt says, which is read once more, unless a reorg has taken it away: then
 * the end that is prepared is taken back with its block (watch.c). When its
 * nonce was spent by another it never lands, and is not signed anew, for all we
 * know it was redeemed meanwhile.
 */
static void conclude_delegation(struct fac_job *job)
{
	if (is_mined(job) && job->check_tries++ < CHECK_TRIES) {
		job->phase = FAC_JOB_CHECKING;
		job->retry_ms = 0;
		memcpy(job->other_hash32, job->tx->transaction.mined_hash32,
			32);
		ask_receipt(job);
		return;
	}
	if (job->payment.state == FAC_PAYMENT_REPLACED)
		fac_reconcile_set_end(job, FAC_PAYMENT_EXPIRED,
			x402_settle_proof_reason(
				&job->payment.proof, X402_FATE_FAILED),
			"its transaction never lands: another took its nonce");
	fac_reconcile_finish(job);
}

void fac_prove_check(struct fac_job *job)
{
	if (x402_settle_proof_is_delegation(&job->payment.proof))
		conclude_delegation(job);
	else if (job->late)
		ask_proof_block(job);
	else
		ask_state(job, FAC_CHAIN_LATEST);
}

static void set_late(struct fac_job *job)
{
	job->late = true;
	fac_reconcile_set_end(job, FAC_PAYMENT_EXPIRED,
		x402_settle_proof_reason(
			&job->payment.proof, X402_FATE_EXPIRED),
		"it did not land before validBefore, and never can");
}

void fac_prove_late(struct fac_job *job)
{
	if (x402_settle_proof_is_delegation(&job->payment.proof)) {
		conclude_delegation(job);
		return;
	}
	set_late(job);
	fac_prove_check(job);
}

/* ---- A transaction that does not land. ---- */

static void end_probe(struct fac_tx *tx)
{
	tx->probing = false;
	tx->next_probe_ms = fac_engine_now(tx->line->engine) + PROBE_MS;
}

static void on_replaced(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	if (reply->fenced) {
		fac_recover_fenced(tx->lane);
		return;
	}
	if (reply->err) {
		/* STORE: asked again; else it was mined, the journal says. */
		tx->replaced = false;
		end_probe(tx);
		return;
	}
	/* Its nonce is spent by another; ours can never land. */
	fac_recover_note_taken(
		tx->lane, tx->transaction.nonce, tx->transaction.nonce + 1);
	for (size_t i = 0; i < tx->transaction.keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job || job->phase != FAC_JOB_IN_FLIGHT)
			continue;
		fac_tx_drop_job(job);
		job->payment.state = FAC_PAYMENT_REPLACED;
		fac_prove_check(job);
	}
	fac_tx_end(tx, false);
}

static void mark_replaced(struct fac_tx *tx)
{
	struct fac_store_lease lease = fac_lane_lease(tx->lane);

	tx->replaced = true;
	fac_tx_store(tx, fac_verb_mark_replaced(tx->transaction.id32, &lease),
		on_replaced);
}

/*
 * The nonce is not spent. Payments whose time is over at a final block can
 * never be paid, whenever these bytes land.
 */
static void expire_payments(struct fac_tx *tx)
{
	uint64_t at = tx->probe_block.timestamp_unix_s;

	for (size_t i = 0; i < tx->transaction.keys_len; i++) {
		struct fac_job *job = tx->jobs[i];

		if (!job || job->phase != FAC_JOB_IN_FLIGHT ||
			!is_over_at(job, at))
			continue;
		set_late(job);
		/*
		 * Unless somebody landed it, by that very block: a node that
		 * lags does not have it, and its "latest" proves nothing.
		 */
		ask_state(job, tx->probe_block.number);
	}
}

static void conclude(struct fac_tx *tx)
{
	if (tx->probe_nonce > tx->transaction.nonce) {
		mark_replaced(tx);
		return;
	}
	if (tx->lane)
		fac_recover_check_gap(tx->lane);
	expire_payments(tx);
}

static void on_receipts(void *arg, const struct fac_chain_receipt *receipts,
	size_t receipts_len)
{
	struct fac_tx *tx = arg;

	if (!fac_tx_returned(tx))
		return;
	end_probe(tx);
	if (tx->mined || tx->replaced ||
		receipts_len != tx->transaction.attempts_len)
		return;
	for (size_t i = 0; i < receipts_len; i++) {
		if (receipts[i].status == FAC_RECEIPT_FOUND)
			fac_reconcile_take(tx, &receipts[i]);
		if (receipts[i].status != FAC_RECEIPT_NONE)
			return;
	}
	conclude(tx);
}

static void on_nonce(void *arg, enum x402_err err, uint64_t nonce)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;
	uint8_t hashes[FAC_ATTEMPTS_MAX][32];

	if (!fac_tx_returned(tx))
		return;
	if (err) {
		end_probe(tx);
		return;
	}
	tx->probe_nonce = nonce;
	for (size_t i = 0; i < tx->transaction.attempts_len; i++)
		memcpy(hashes[i], tx->transaction.attempts[i].hash32, 32);
	tx->busy++;
	engine->owed++;
	engine->ports.receipts(engine->ports.user, tx->line->index,
		(const uint8_t(*)[32])hashes, tx->transaction.attempts_len,
		on_receipts, tx);
}

static void on_block(
	void *arg, enum x402_err err, const struct fac_chain_block *block)
{
	struct fac_tx *tx = arg;
	struct fac_engine *engine = tx->line->engine;
	struct fac_nonce_query query = {
		.address = tx->transaction.signer, .tag = FAC_NONCE_AT_BLOCK};

	if (!fac_tx_returned(tx))
		return;
	if (err) {
		end_probe(tx);
		return;
	}
	tx->probe_block = *block;
	query.block = block->number;
	tx->busy++;
	engine->owed++;
	engine->ports.nonce(
		engine->ports.user, tx->line->index, &query, on_nonce, tx);
}

static void probe(struct fac_tx *tx)
{
	struct fac_line *line = tx->line;
	struct fac_engine *engine = line->engine;

	tx->probing = true;
	tx->busy++;
	engine->owed++;
	engine->ports.block(engine->ports.user, line->index, proof_block(line),
		on_block, tx);
}

static bool is_over(const struct fac_tx *tx)
{
	uint64_t now_s = fac_engine_wall(tx->line->engine) / 1000;

	for (size_t i = 0; i < tx->transaction.keys_len; i++)
		if (tx->jobs[i] &&
			tx->jobs[i]->payment.valid_before_unix_s <= now_s)
			return true;
	return false;
}

static bool is_doubtful(const struct fac_tx *tx, uint64_t now_ms)
{
	uint64_t since = tx->transaction.created_ms;

	return tx->suspect || (now_ms > since && now_ms - since > DOUBT_MS) ||
		is_over(tx);
}

/*
 * A node refuses these bytes and their payments are over, proven: they move
 * no money whenever they land. Then the nonce may be given to other bytes.
 */
static bool is_refused_for_good(const struct fac_tx *tx)
{
	return !tx->jobs_live && tx->blocked && !tx->is_raising &&
		tx->status == FAC_SEND_REJECTED && tx->transaction.keys_len;
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
		fac_tx_end(tx, true);
}

void fac_prove_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	if (fac_svm_is(line)) {
		fac_svm_tick(line);
		return;
	}
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		if (tx->dead || !tx->journalled || tx->mined || tx->replaced ||
			tx->probing) {
			tx = next;
			continue;
		}
		if (line->head_known && now >= tx->next_probe_ms &&
			is_doubtful(tx, now)) {
			probe(tx);
		} else if (!tx->busy && is_refused_for_good(tx)) {
			struct fac_store_lease lease = fac_lane_lease(tx->lane);

			tx->replaced = true;
			fac_tx_store(tx,
				fac_verb_mark_replaced(
					tx->transaction.id32, &lease),
				on_forgotten);
		}
		tx = next;
	}
}
