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

static void run_svm_signatures(struct event *event)
{
	struct fac_chain_receipt found = {.status = FAC_RECEIPT_NONE,
		.context_slot = cluster.slot - cluster.node_lag};

	if (cluster.processed) {
		found.status = FAC_RECEIPT_FAULT;
	} else if (cluster.landed) {
		found.status = FAC_RECEIPT_FOUND;
		found.receipt.success = !cluster.failed;
		found.receipt.block_number = cluster.landed_slot
			? cluster.landed_slot
			: cluster.slot;
		memcpy(found.receipt.transaction_hash32, event->hashes[0], 32);
	}
	event->receipts_done(event->arg, &found, 1);
}

static void svm_signatures(void *user, size_t chain,
	const uint8_t (*signatures64)[64], size_t signatures_len,
	void (*done)(void *arg, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *arg)
{
	struct event *event = event_new(user, run_svm_signatures, arg);

	(void)chain;
	assert_int_equal(signatures_len, 1);
	x402_sha256(x402_span(signatures64[0], 64), event->hashes[0]);
	event->receipts_done = done;
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
	struct fac_engine_chain chain = {
		.svm_signers = signers, .signers_len = 1, .confirmations = 1};
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
			.svm_balance = svm_balance}};

	secret = svm_secret(1);
	assert_int_equal(
		x402_network_parse(SVM_NETWORK, &chain.network), X402_OK);
	assert_int_equal(fac_engine_new(&options, &w->engine), X402_OK);
}

static struct world *open_world(void)
{
	struct world *w = world_new();

	memset(&cluster, 0, sizeof(cluster));
	cluster.slot = 100000;
	w->mining = false;
	boot(w);
	world_run(w, 500);
	return w;
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
			test_settle_by_a_stranger_as_fee_payer_is_a_fault),
		cmocka_unit_test(test_settle_processed_alone_is_not_settled),
		cmocka_unit_test(test_settle_failed_on_chain_is_terminal),
		cmocka_unit_test(test_expiry_is_terminal_after_the_last_height),
		cmocka_unit_test(test_expiry_waits_for_finality_and_slack),
		cmocka_unit_test(
			test_expiry_is_not_believed_of_a_node_that_lags),
		cmocka_unit_test(test_crash_sends_the_same_signature_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
