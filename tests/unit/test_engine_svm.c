/*
 * The engine on Solana, against a cluster that the test moves by hand: what is
 * sent, what counts as landed, and when a payment is proven dead.
 */
#include "engine_house.h"
#include "svm_house.h"

/* The one cluster of the running test. */
static struct {
	uint64_t slot;
	unsigned sends;
	uint8_t signature64[64];
	bool landed;
	bool failed;          /* on chain */
	bool processed;       /* no more than that */
	uint64_t landed_slot; /* 0: the newest, whenever it is asked */
	uint64_t node_lag;    /* slots that the status node is behind */
	uint64_t history;     /* the first slot that it kept */
	unsigned searches;    /* for a proof */
	uint32_t lane_limit;
} cluster;

#define HEIGHT_LAG 1000

static void run_svm_send(struct event *event)
{
	struct fac_send_outcome outcome = {.status = FAC_SEND_ACCEPTED};

	event->send_done(event->arg, &outcome);
}

static void svm_send(void *user, size_t chain, struct x402_span raw,
	const uint8_t hash32[32],
	void (*done)(void *arg, const struct fac_send_outcome *outcome),
	void *arg)
{
	struct event *event = event_new(user, run_svm_send, arg);
	uint8_t hash[32];

	(void)chain;
	memcpy(cluster.signature64, raw.ptr + 1, 64);
	x402_sha256(x402_span(raw.ptr + 1, 64), hash);
	assert_memory_equal(hash, hash32, 32);
	assert_true(is_journalled(user, hash32)); /* R1 */
	cluster.sends++;
	event->send_done = done;
}

/* All of them land, or none. */
static struct fac_chain_receipt status_of(const uint8_t hash32[32])
{
	struct fac_chain_receipt found = {.status = FAC_RECEIPT_NONE,
		.context_slot = cluster.slot - cluster.node_lag,
		.history_slot = cluster.history};

	if (cluster.processed) {
		found.status = FAC_RECEIPT_FAULT;
	} else if (cluster.landed) {
		found.status = FAC_RECEIPT_FOUND;
		found.receipt.success = !cluster.failed;
		found.receipt.block_number = cluster.landed_slot
			? cluster.landed_slot
			: cluster.slot;
		memcpy(found.receipt.transaction_hash32, hash32, 32);
	}
	return found;
}

static void run_svm_signatures(struct event *event)
{
	struct fac_chain_receipt found[FAC_CHAIN_RECEIPTS_MAX];

	for (size_t i = 0; i < event->hashes_len; i++)
		found[i] = status_of(event->hashes[i]);
	event->receipts_done(event->arg, found, event->hashes_len);
}

static void svm_signatures(void *user, size_t chain,
	const uint8_t (*signatures64)[64], size_t signatures_len,
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *arg)
{
	struct event *event = event_new(user, run_svm_signatures, arg);

	(void)chain;
	assert_in_range(signatures_len, 1, FAC_CHAIN_RECEIPTS_MAX);
	for (size_t i = 0; i < signatures_len; i++)
		x402_sha256(x402_span(signatures64[i], 64), event->hashes[i]);
	event->hashes_len = signatures_len;
	event->receipts_done = done;
}

static void svm_signature(void *user, size_t chain,
	const uint8_t signature64[64],
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *arg)
{
	cluster.searches++;
	svm_signatures(
		user, chain, (const uint8_t(*)[64])signature64, 1, done, arg);
}

static void run_svm_block(struct event *event)
{
	struct fac_chain_block block = {.number = cluster.slot,
		.height = cluster.slot - HEIGHT_LAG + 150};

	if (event->block == FAC_CHAIN_FINALIZED) {
		block.number = cluster.slot - 32;
		block.height = cluster.slot - 32 - HEIGHT_LAG;
	}
	memcpy(block.hash32, &block.number, sizeof(block.number));
	event->block_done(event->arg, X402_OK, &block);
}

static void svm_block(void *user, size_t chain, uint64_t number,
	void (*done)(void *arg, enum x402_err err,
		const struct fac_chain_block *block),
	void *arg)
{
	struct event *event = event_new(user, run_svm_block, arg);

	(void)chain;
	event->block = number;
	event->block_done = done;
}

static void run_svm_balance(struct event *event)
{
	struct x402_u256 wei = x402_u256_from_u64(event->world->balance);

	event->balance_done(event->arg, X402_OK, &wei);
}

static void svm_balance(void *user, size_t chain, const struct x402_pubkey *key,
	void (*done)(void *arg, enum x402_err err, const struct x402_u256 *wei),
	void *arg)
{
	struct event *event = event_new(user, run_svm_balance, arg);
	char text[X402_PUBKEY_TEXT_SIZE];

	(void)chain;
	x402_pubkey_format(key, text);
	assert_string_equal(text, SVM_SPONSOR);
	event->balance_done = done;
}

static void boot(struct world *w)
{
	static struct x402_svm_secret secret;
	static const struct x402_svm_secret *const signers[] = {&secret};
	struct fac_engine_chain chain = {.svm_signers = signers,
		.signers_len = 1,
		.confirmations = 1,
		.lane_limit = cluster.lane_limit};
	struct fac_engine_options options = {.chains = &chain,
		.chains_len = 1,
		.secp = w->secp,
		.owner = w->owner,
		.ports = {.user = w,
			.now_ms = port_now,
			.random = port_random,
			.wake = port_wake,
			.store = port_store,
			.send_raw = svm_send,
			.block = svm_block,
			.signatures = svm_signatures,
			.signature = svm_signature,
			.svm_balance = svm_balance}};

	secret = svm_secret(1);
	assert_int_equal(
		x402_network_parse(SVM_NETWORK, &chain.network), X402_OK);
	assert_int_equal(fac_engine_new(&options, &w->engine), X402_OK);
}

static struct world *open_world_of(uint32_t lane_limit)
{
	struct world *w = world_new();

	memset(&cluster, 0, sizeof(cluster));
	cluster.slot = 100000;
	cluster.lane_limit = lane_limit;
	w->mining = false;
	boot(w);
	world_run(w, 500);
	return w;
}

static struct world *open_world(void)
{
	return open_world_of(0);
}

static void settle(struct world *w, const struct svm_tx *tx, uint64_t wait_ms,
	struct told *told)
{
	struct fac_settle_request request = {.has_plan = true,
		.x402_version = 2,
		.scheme = "exact",
		.wire_network = SVM_NETWORK,
		.deadline_unix_ms = w->now_ms + wait_ms};
	struct x402_settle_plan *plan = &request.plan;

	memset(told, 0, sizeof(*told));
	assert_int_equal(
		x402_network_parse(SVM_NETWORK, &plan->network), X402_OK);
	svm_write(tx, &plan->calldata);
	x402_sha256(x402_buf_span(&plan->calldata), plan->nonce32);
	memcpy(plan->key.bytes, plan->nonce32, 32);
	memcpy(request.fingerprint32, plan->nonce32, 32);
	memcpy(request.payload_hash32, plan->nonce32, 32);
	plan->amount = x402_u256_from_u64(1000);
	plan->valid_before_unix_s = UINT64_MAX;
	plan->gas_limit = 10001;
	plan->svm.mint = tx->keys[K_MINT];
	plan->svm.payer = tx->keys[K_PAYER];
	plan->svm.pay_to = svm_key(SVM_PAYEE);
	plan->svm.fee_payer = tx->keys[K_SPONSOR];
	(void)fac_engine_settle(w->engine, &request, on_told, told);
}

/* Slots pass, and the clock with them. */
static void pass_slots(struct world *w, unsigned slots)
{
	for (unsigned i = 0; i < slots; i++) {
		cluster.slot++;
		world_run(w, 40);
	}
}

static void test_settle_lands_and_names_the_signature(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;
	char signature[X402_SVM_SIGNATURE_TEXT_SIZE];

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	assert_int_equal(cluster.sends, 1);
	assert_int_equal(told.times, 0);
	cluster.landed = true;
	pass_slots(w, 10);
	assert_int_equal(told.times, 1);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	x402_base58_encode(cluster.signature64, 64, signature);
	assert_non_null(strstr(told.answer, signature));
	assert_non_null(strstr(told.answer, SVM_PAYER));
	world_free(w);
}

/* Depth alone is not enough: until then its message could land again. */
static void test_settle_is_final_once_its_blockhash_is_dead(void **state)
{
	static const char count[] =
		"SELECT count(*) FROM transactions WHERE state = 'final'";
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	cluster.landed = true;
	cluster.landed_slot = cluster.slot;
	pass_slots(w, 10);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	pass_slots(w, 300);
	assert_int_equal(world_count(w, count), 0);
	pass_slots(w, 80);
	assert_int_equal(world_count(w, count), 1);
	world_free(w);
}

/* Its bytes are forgotten by then, but not their name. */
static void test_settle_names_the_signature_when_it_is_final(void **state)
{
	static const char count[] =
		"SELECT count(*) FROM transactions WHERE state = 'final'";
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;
	char signature[X402_SVM_SIGNATURE_TEXT_SIZE];

	(void)state;
	settle(w, &tx, 100, &told);
	world_run(w, 200);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	x402_base58_encode(cluster.signature64, 64, signature);
	assert_string_equal(told.result.transaction, signature);
	cluster.landed = true;
	cluster.landed_slot = cluster.slot;
	pass_slots(w, 400);
	assert_int_equal(world_count(w, count), 1);
	settle(w, &tx, 5000, &told);
	pass_slots(w, 20);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	assert_string_equal(told.result.transaction, signature);
	assert_non_null(strstr(told.answer, signature));
	settle(w, &tx, 5000, &told);
	pass_slots(w, 20);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	assert_string_equal(told.result.transaction, signature);
	world_free(w);
}

static void test_settle_by_a_stranger_as_fee_payer_is_a_fault(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	tx.keys[K_SPONSOR] = svm_key(SVM_PAYEE);
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	assert_int_equal(told.result.outcome, FAC_SETTLE_FAULT);
	assert_int_equal(cluster.sends, 0);
	world_free(w);
}

static void test_settle_processed_alone_is_not_settled(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	cluster.processed = true;
	settle(w, &tx, 2000, &told);
	pass_slots(w, 100);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	assert_int_equal(told.result.reason, X402_REASON_SETTLEMENT_PENDING);
	assert_true(told.result.transaction[0] != '\0');
	/* Sent again meanwhile, the same bytes: one signature. */
	assert_true(cluster.sends > 1);
	world_free(w);
}

static void test_settle_failed_on_chain_is_terminal(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	cluster.landed = cluster.failed = true;
	settle(w, &tx, 10000, &told);
	pass_slots(w, 20);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(
		told.result.reason, X402_REASON_SVM_TRANSACTION_FAILED);
	assert_true(told.result.transaction[0] != '\0'); /* R3 */
	world_free(w);
}

/* Pending at first; what is said when the same is asked a last time. */
static void ask_after(struct world *w, const struct svm_tx *tx, unsigned slots,
	struct told *ret_told)
{
	struct told first;

	settle(w, tx, 1000, &first);
	pass_slots(w, slots);
	assert_int_equal(first.result.outcome, FAC_SETTLE_PENDING);
	settle(w, tx, 1000, ret_told);
	pass_slots(w, 60);
	assert_int_equal(ret_told->times, 1);
}

static void test_expiry_is_terminal_after_the_last_height(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	ask_after(w, &tx, 500, &told);
	assert_int_equal(told.result.outcome, FAC_SETTLE_REFUSED);
	assert_int_equal(told.result.reason, X402_REASON_SVM_BLOCKHASH_EXPIRED);
	/* No fee was paid: none is counted. */
	assert_int_equal(
		world_count(w, "SELECT sum(cost_gwei) FROM payments"), 0);
	world_free(w);
}

/* A payment that a fresh one may follow must be dead: never too early. */
static void test_expiry_waits_for_finality_and_slack(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	ask_after(w, &tx, 240, &told);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	world_free(w);
}

/* A node that lags knows nothing of what others have: that is no proof. */
static void test_expiry_is_not_believed_of_a_node_that_lags(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	cluster.node_lag = 33;
	ask_after(w, &tx, 700, &told);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	world_free(w);
}

/* What a node threw away looks as if it had never been. */
static void test_expiry_is_not_believed_of_a_node_without_history(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	cluster.history = cluster.slot + 5;
	ask_after(w, &tx, 700, &told);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	/* It is not asked all the time, and believed once it has all. */
	assert_in_range(cluster.searches, 1, 5);
	cluster.history = 1;
	pass_slots(w, 800);
	settle(w, &tx, 1000, &told);
	pass_slots(w, 60);
	assert_int_equal(told.result.reason, X402_REASON_SVM_BLOCKHASH_EXPIRED);
	world_free(w);
}

/* Landed while nobody looked, and the node lost its ledger meanwhile. */
static void test_crash_expires_nothing_by_a_short_history(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	assert_int_equal(cluster.sends, 1);
	world_crash(w);
	cluster.slot += 1000;
	w->now_ms += 400000;
	cluster.history = cluster.slot - 500;
	boot(w);
	pass_slots(w, 700);
	settle(w, &tx, 1000, &told);
	pass_slots(w, 60);
	assert_int_equal(told.result.outcome, FAC_SETTLE_PENDING);
	cluster.landed = true;
	cluster.landed_slot = 100003;
	settle(w, &tx, 5000, &told);
	pass_slots(w, 60);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	world_free(w);
}

static void test_crash_expires_what_a_whole_history_does_not_have(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	world_crash(w);
	cluster.slot += 1000;
	w->now_ms += 400000;
	cluster.history = 1;
	boot(w);
	pass_slots(w, 700);
	settle(w, &tx, 1000, &told);
	pass_slots(w, 60);
	assert_int_equal(told.result.reason, X402_REASON_SVM_BLOCKHASH_EXPIRED);
	world_free(w);
}

/* It was told that it is paid: only who kept its slot can take that back. */
static void test_settled_is_not_dropped_by_a_short_history(void **state)
{
	static const char mined[] =
		"SELECT count(*) FROM transactions WHERE state = 'mined'";
	static const char settled[] =
		"SELECT count(*) FROM payments WHERE state = 'settled'";
	static const char final[] =
		"SELECT count(*) FROM transactions WHERE state = 'final'";
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	cluster.landed = true;
	cluster.landed_slot = cluster.slot;
	pass_slots(w, 10);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	cluster.landed = false;
	cluster.history = cluster.landed_slot + 1;
	pass_slots(w, 600);
	assert_in_range(cluster.searches, 1, 3);
	assert_int_equal(world_count(w, mined), 1);
	assert_int_equal(world_count(w, settled), 1);
	cluster.landed = true;
	pass_slots(w, 800);
	assert_int_equal(world_count(w, final), 1);
	world_free(w);
}

static void test_settled_is_dropped_by_who_kept_its_slot(void **state)
{
	static const char mined[] =
		"SELECT count(*) FROM transactions WHERE state = 'mined'";
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	cluster.landed = true;
	cluster.landed_slot = cluster.slot;
	pass_slots(w, 10);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	cluster.landed = false;
	cluster.history = cluster.landed_slot;
	pass_slots(w, 600);
	assert_int_equal(world_count(w, mined), 0);
	world_free(w);
}

/*
 * Blockhashes that are about to expire cost their payers nothing, and are
 * followed for minutes: they must not keep others waiting for so long.
 */
static void test_what_never_lands_gives_its_place_up(void **state)
{
	struct world *w = open_world_of(2);
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told[3];
	unsigned before;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		tx.blockhash = (uint8_t)(0xc0 + i);
		settle(w, &tx, 24000, &told[i]);
	}
	world_run(w, 1000);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 2);
	pass_slots(w, 100);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 2);
	world_run(w, 16000);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 3);
	/* And it is sent less often than what may land yet. */
	world_run(w, 40000);
	before = cluster.sends;
	world_run(w, 20000);
	assert_in_range(cluster.sends - before, 3, 9);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(told[i].result.outcome, FAC_SETTLE_PENDING);
	world_free(w);
}

/* Nor may they hold what the fee payer has. */
static void test_what_never_lands_gives_its_fee_back(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told[2];

	(void)state;
	/* For one fee of 10,001 lamports, not for two. */
	w->balance = UINT64_C(15000) * 1000000000;
	pass_slots(w, 300);
	for (unsigned i = 0; i < 2; i++) {
		tx.blockhash = (uint8_t)(0xc0 + i);
		settle(w, &tx, 28000, &told[i]);
	}
	world_run(w, 10000);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 1);
	world_run(w, 14000);
	assert_int_equal(
		world_count(w, "SELECT count(*) FROM transactions"), 2);
	world_free(w);
}

static void test_crash_sends_the_same_signature_again(void **state)
{
	struct world *w = open_world();
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct told told;
	uint8_t before[64];

	(void)state;
	settle(w, &tx, 10000, &told);
	world_run(w, 200);
	assert_int_equal(cluster.sends, 1);
	memcpy(before, cluster.signature64, 64);
	world_crash(w);
	cluster.sends = 0;
	memset(cluster.signature64, 0, 64);
	boot(w);
	pass_slots(w, 100);
	assert_true(cluster.sends >= 1);
	assert_memory_equal(before, cluster.signature64, 64);
	cluster.landed = true;
	pass_slots(w, 20);
	/* Its caller comes back, and is the first to be told. */
	settle(w, &tx, 5000, &told);
	pass_slots(w, 20);
	assert_int_equal(told.result.outcome, FAC_SETTLE_SETTLED);
	settle(w, &tx, 5000, &told);
	pass_slots(w, 20);
	assert_int_equal(told.result.outcome, FAC_SETTLE_DUPLICATE);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settle_lands_and_names_the_signature),
		cmocka_unit_test(
			test_settle_is_final_once_its_blockhash_is_dead),
		cmocka_unit_test(
			test_settle_names_the_signature_when_it_is_final),
		cmocka_unit_test(
			test_settle_by_a_stranger_as_fee_payer_is_a_fault),
		cmocka_unit_test(test_settle_processed_alone_is_not_settled),
		cmocka_unit_test(test_settle_failed_on_chain_is_terminal),
		cmocka_unit_test(test_expiry_is_terminal_after_the_last_height),
		cmocka_unit_test(test_expiry_waits_for_finality_and_slack),
		cmocka_unit_test(
			test_expiry_is_not_believed_of_a_node_that_lags),
		cmocka_unit_test(
			test_expiry_is_not_believed_of_a_node_without_history),
		cmocka_unit_test(test_crash_expires_nothing_by_a_short_history),
		cmocka_unit_test(
			test_crash_expires_what_a_whole_history_does_not_have),
		cmocka_unit_test(
			test_settled_is_not_dropped_by_a_short_history),
		cmocka_unit_test(test_settled_is_dropped_by_who_kept_its_slot),
		cmocka_unit_test(test_what_never_lands_gives_its_place_up),
		cmocka_unit_test(test_what_never_lands_gives_its_fee_back),
		cmocka_unit_test(test_crash_sends_the_same_signature_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
