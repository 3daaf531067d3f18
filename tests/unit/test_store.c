/*
 * The store's contract, on a scratch file: what is unique, which steps are
 * refused, that a group shares its commit but not its failures, and that an
 * OK survives the end of the process.
 */
#include "cmocka_house.h"

#include "run/loop.h"
#include "store/store.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NETWORK "eip155:84532"

struct fixture {
	char path[64];
	struct fac_loop *loop;
	struct fac_store *store;
	unsigned waiting;
};

/* A copy of what a reply said, as far as tests look. */
struct heard {
	struct fixture *fixture;
	unsigned times;
	enum x402_err err;
	bool claimed;
	size_t payments_len;
	struct fac_payment payment;
	size_t transactions_len;
	struct fac_transaction transaction;
	size_t events_len;
	enum fac_payment_state states[16];
	size_t resources_len;
	char urls[8][64];
	bool settled;
	uint64_t total;
	uint64_t number;
};

static void heard_clear(struct heard *heard)
{
	fac_payment_clear(&heard->payment);
	fac_transaction_clear(&heard->transaction);
}

static void on_reply(void *user, const struct fac_store_reply *reply)
{
	struct heard *heard = user;
	struct fixture *fixture = heard->fixture;
	unsigned times = heard->times;

	heard_clear(heard);
	*heard = (struct heard){.fixture = fixture,
		.times = times + 1,
		.err = reply->err,
		.claimed = reply->claimed,
		.payments_len = reply->payments_len,
		.transactions_len = reply->transactions_len,
		.events_len = reply->events_len,
		.resources_len = reply->resources_len,
		.total = reply->total,
		.number = reply->number};
	if (reply->payments_len)
		fac_payment_copy(&reply->payments[0], &heard->payment);
	if (reply->transactions_len)
		fac_transaction_copy(
			&reply->transactions[0], &heard->transaction);
	for (size_t i = 0; i < reply->events_len && i < 16; i++)
		heard->states[i] = reply->events[i].state;
	for (size_t i = 0; i < reply->resources_len && i < 8; i++) {
		snprintf(heard->urls[i], sizeof(heard->urls[i]), "%s",
			reply->resources[i].url);
		heard->settled = reply->resources[i].settled;
	}
	if (--fixture->waiting == 0)
		fac_loop_stop(fixture->loop);
}

static struct fac_store_to to(struct fixture *fixture, struct heard *heard)
{
	heard->fixture = fixture;
	fixture->waiting++;
	return (struct fac_store_to){fixture->loop, on_reply, heard};
}

static void wait_all(struct fixture *fixture)
{
	if (fixture->waiting)
		fac_loop_run(fixture->loop);
}

static void open_store(struct fixture *fixture)
{
	struct fac_store_options options = {fixture->path};
	struct x402_errinfo info;

	assert_int_equal(
		fac_store_open(&options, &info, &fixture->store), X402_OK);
}

static void remove_files(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm", ".lock"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		char name[96];

		snprintf(name, sizeof(name), "%s%s", path, ends[i]);
		unlink(name);
	}
}

static int setup(void **state)
{
	static unsigned count;
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	snprintf(fixture->path, sizeof(fixture->path),
		"/tmp/x402-store-%d-%u.sqlite", (int)getpid(), ++count);
	remove_files(fixture->path);
	assert_int_equal(fac_loop_new(&fixture->loop), X402_OK);
	open_store(fixture);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fac_store_close(fixture->store);
	fac_loop_free(fixture->loop);
	remove_files(fixture->path);
	free(fixture);
	return 0;
}

/* ---- Records. ---- */

static struct fac_payment payment_of(uint8_t index)
{
	struct fac_payment payment = {.valid_before_unix_s = UINT64_MAX,
		.x402_version = 2,
		.gas_limit = 100000};
	static uint8_t calldata[3] = {1, 2, 3};

	memset(payment.key32, index, 32);
	snprintf(payment.id, sizeof(payment.id), "%032x", index);
	snprintf(payment.network, sizeof(payment.network), "%s", NETWORK);
	snprintf(payment.wire_network, sizeof(payment.wire_network),
		"base-sepolia");
	snprintf(payment.scheme, sizeof(payment.scheme), "exact");
	memset(payment.fingerprint32, 0x80 + index, 32);
	memset(payment.proof.from.bytes, index, 20);
	payment.proof.value = x402_u256_from_u64(UINT64_MAX);
	/* Borrowed: the store copies. */
	payment.calldata.ptr = calldata;
	payment.calldata.len = sizeof(calldata);
	return payment;
}

static struct fac_transaction transaction_of(
	uint8_t hash, uint64_t nonce, uint8_t (*keys32)[32], size_t keys_len)
{
	static uint8_t raw[2] = {0x02, 0xff};
	struct fac_transaction transaction = {.nonce = nonce,
		.keys32 = keys32,
		.keys_len = keys_len,
		.max_fee_per_gas = x402_u256_from_u64(30)};

	memset(transaction.hash32, hash, 32);
	memset(transaction.signer.bytes, 0x55, 20);
	snprintf(transaction.network, sizeof(transaction.network), "%s",
		NETWORK);
	transaction.raw.ptr = raw;
	transaction.raw.len = sizeof(raw);
	return transaction;
}

static struct heard reserve(
	struct fixture *fixture, const struct fac_payment *payment)
{
	struct heard heard = {0};

	fac_store_reserve(fixture->store, payment, to(fixture, &heard));
	wait_all(fixture);
	return heard;
}

static enum x402_err do_reserve(struct fixture *fixture, uint8_t index)
{
	struct fac_payment payment = payment_of(index);
	struct heard heard = reserve(fixture, &payment);

	heard_clear(&heard);
	return heard.err;
}

static enum x402_err do_journal(
	struct fixture *fixture, uint8_t hash, uint64_t nonce, uint8_t index)
{
	uint8_t keys[1][32];
	struct fac_transaction transaction = transaction_of(
		hash, nonce, keys, 1);
	struct heard heard = {0};

	memset(keys[0], index, 32);
	fac_store_journal_signed(
		fixture->store, &transaction, to(fixture, &heard));
	wait_all(fixture);
	heard_clear(&heard);
	return heard.err;
}

enum mark { BROADCAST, REPLACED, MINED };

static enum x402_err do_mark(
	struct fixture *fixture, enum mark mark, uint8_t hash)
{
	struct heard heard = {0};
	uint8_t hash32[32];

	memset(hash32, hash, 32);
	switch (mark) {
	case BROADCAST:
		fac_store_mark_broadcast(
			fixture->store, hash32, to(fixture, &heard));
		break;
	case REPLACED:
		fac_store_mark_replaced(
			fixture->store, hash32, to(fixture, &heard));
		break;
	case MINED:
		fac_store_mark_mined(
			fixture->store, hash32, 9, to(fixture, &heard));
		break;
	}
	wait_all(fixture);
	heard_clear(&heard);
	return heard.err;
}

static enum x402_err do_release(struct fixture *fixture, uint8_t index)
{
	struct heard heard = {0};
	uint8_t key32[32];

	memset(key32, index, 32);
	fac_store_release(fixture->store, key32, "test", to(fixture, &heard));
	wait_all(fixture);
	heard_clear(&heard);
	return heard.err;
}

static enum x402_err do_finish(
	struct fixture *fixture, uint8_t index, enum fac_payment_state state)
{
	struct fac_store_end end = {.state = state,
		.reason = state == FAC_PAYMENT_SETTLED
			? X402_REASON_NONE
			: X402_REASON_EVM_TRANSACTION_FAILED,
		.message = "why",
		.block_number = 12};
	struct heard heard = {0};

	memset(end.key32, index, 32);
	fac_store_finish(fixture->store, &end, to(fixture, &heard));
	wait_all(fixture);
	heard_clear(&heard);
	return heard.err;
}

static struct heard credit(
	struct fixture *fixture, uint8_t index, const char *answer)
{
	struct heard heard = {0};
	uint8_t key32[32];

	memset(key32, index, 32);
	fac_store_credit(fixture->store, key32, answer, to(fixture, &heard));
	wait_all(fixture);
	return heard;
}

static struct heard get(struct fixture *fixture, struct fac_payment_query query)
{
	struct heard heard = {0};

	fac_store_payment_get(fixture->store, query, to(fixture, &heard));
	wait_all(fixture);
	return heard;
}

static enum fac_payment_state state_of(struct fixture *fixture, uint8_t index)
{
	uint8_t key32[32];
	enum fac_payment_state state;
	struct heard heard;

	memset(key32, index, 32);
	heard = get(fixture, (struct fac_payment_query){.key32 = key32});
	assert_int_equal(heard.err, X402_OK);
	state = heard.payment.state;
	heard_clear(&heard);
	return state;
}

static struct heard load(struct fixture *fixture)
{
	struct heard heard = {0};

	fac_store_load_unfinished(fixture->store, NETWORK, to(fixture, &heard));
	wait_all(fixture);
	return heard;
}

/* ---- Reservation. ---- */

static void test_store_reserve_keeps_every_field(void **state)
{
	struct fixture *fixture = *state;
	struct fac_payment payment = payment_of(1);
	struct heard heard;

	snprintf(payment.idempotency_scope, 8, "scope");
	snprintf(payment.idempotency_key, 8, "key");
	heard = reserve(fixture, &payment);
	assert_int_equal(heard.err, X402_OK);
	assert_true(heard.claimed);
	assert_memory_equal(heard.payment.key32, payment.key32, 32);
	assert_memory_equal(
		heard.payment.fingerprint32, payment.fingerprint32, 32);
	assert_string_equal(heard.payment.id, payment.id);
	assert_string_equal(heard.payment.wire_network, "base-sepolia");
	assert_string_equal(heard.payment.idempotency_key, "key");
	assert_int_equal(heard.payment.calldata.len, 3);
	assert_int_equal(heard.payment.calldata.ptr[2], 3);
	assert_int_equal(heard.payment.gas_limit, 100000);
	assert_int_equal(
		x402_u256_cmp(&heard.payment.proof.value, &payment.proof.value),
		0);
	/* Clamped, never wrapped: it must not look expired. */
	assert_true(heard.payment.valid_before_unix_s == INT64_MAX);
	heard_clear(&heard);
}

static void test_store_second_reservation_meets_the_row(void **state)
{
	struct fixture *fixture = *state;
	struct fac_payment other = payment_of(1);
	struct heard heard;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	snprintf(other.id, sizeof(other.id), "other");
	memset(other.fingerprint32, 9, 32);
	heard = reserve(fixture, &other);
	assert_int_equal(heard.err, X402_OK);
	assert_false(heard.claimed);
	assert_int_equal(heard.payments_len, 1);
	assert_int_equal(heard.payment.fingerprint32[0], 0x81);
	heard_clear(&heard);
}

static void test_store_idempotency_key_of_another_is_conflict(void **state)
{
	struct fixture *fixture = *state;
	struct fac_payment first = payment_of(1);
	struct fac_payment second = payment_of(2);
	struct heard heard;

	snprintf(first.idempotency_scope, 8, "s");
	snprintf(first.idempotency_key, 8, "k");
	snprintf(second.idempotency_scope, 8, "s");
	snprintf(second.idempotency_key, 8, "k");
	heard = reserve(fixture, &first);
	heard_clear(&heard);
	heard = reserve(fixture, &second);
	assert_int_equal(heard.err, X402_ERR_CONFLICT);
	assert_false(heard.claimed);
	assert_int_equal(heard.payment.key32[0], 1);
	heard_clear(&heard);
	/* Another caller's key of the same name is another key. */
	snprintf(second.idempotency_scope, 8, "t");
	heard = reserve(fixture, &second);
	assert_int_equal(heard.err, X402_OK);
	assert_true(heard.claimed);
	heard_clear(&heard);
}

static void test_store_released_payment_may_come_again(void **state)
{
	struct fixture *fixture = *state;
	struct fac_payment payment = payment_of(1);
	struct heard heard;

	snprintf(payment.idempotency_scope, 8, "s");
	snprintf(payment.idempotency_key, 8, "k");
	heard = reserve(fixture, &payment);
	heard_clear(&heard);
	assert_int_equal(do_release(fixture, 1), X402_OK);
	memset(payment.fingerprint32, 7, 32);
	heard = reserve(fixture, &payment);
	assert_int_equal(heard.err, X402_OK);
	assert_true(heard.claimed);
	assert_int_equal(heard.payment.fingerprint32[0], 7);
	heard_clear(&heard);
	/* History shows all of it. */
	heard = get(fixture, (struct fac_payment_query){.id = payment.id});
	assert_int_equal(heard.events_len, 3);
	assert_int_equal(heard.states[1], FAC_PAYMENT_CANCELLED);
	assert_int_equal(heard.states[2], FAC_PAYMENT_RESERVED);
	heard_clear(&heard);
}

/* ---- Steps. ---- */

static void test_store_table_permits_exactly_these_steps(void **state)
{
	unsigned permitted = 0;

	(void)state;
	for (int from = 0; from < FAC_PAYMENT_STATE_COUNT; from++)
		for (int to_state = 0; to_state < FAC_PAYMENT_STATE_COUNT;
			to_state++)
			permitted += fac_payment_may_follow(
				(enum fac_payment_state)from,
				(enum fac_payment_state)to_state);
	assert_int_equal(permitted, 16);
	/* R3: what was signed is never simply given up. */
	assert_false(fac_payment_may_follow(
		FAC_PAYMENT_SIGNED, FAC_PAYMENT_CANCELLED));
	assert_false(fac_payment_may_follow(
		FAC_PAYMENT_BROADCAST, FAC_PAYMENT_CANCELLED));
	/* R2: an end stays one. */
	assert_false(fac_payment_may_follow(
		FAC_PAYMENT_SETTLED, FAC_PAYMENT_RESERVED));
	assert_false(fac_payment_may_follow(
		FAC_PAYMENT_REVERTED, FAC_PAYMENT_SETTLED));
	assert_false(fac_payment_may_follow(
		(enum fac_payment_state)99, FAC_PAYMENT_SETTLED));
}

static void test_store_walks_a_payment_to_its_end(void **state)
{
	struct fixture *fixture = *state;
	static const enum fac_payment_state walk[] = {FAC_PAYMENT_RESERVED,
		FAC_PAYMENT_SIGNED, FAC_PAYMENT_BROADCAST, FAC_PAYMENT_SETTLED};
	struct heard heard;
	char hash[FAC_HASH_TEXT_SIZE];

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 0xab, 0, 1), X402_OK);
	assert_int_equal(do_mark(fixture, BROADCAST, 0xab), X402_OK);
	assert_int_equal(do_finish(fixture, 1, FAC_PAYMENT_SETTLED), X402_OK);
	assert_int_equal(do_mark(fixture, MINED, 0xab), X402_OK);
	/* Case does not matter in a hash that a person pastes. */
	snprintf(hash, sizeof(hash), "0x%s%s%s%s", "ABABABABABABABAB",
		"abababababababab", "abababababababab", "abababababababab");
	heard = get(fixture, (struct fac_payment_query){.transaction = hash});
	assert_int_equal(heard.err, X402_OK);
	assert_int_equal(heard.payment.block_number, 12);
	assert_int_equal(heard.events_len, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(heard.states[i], walk[i]);
	heard_clear(&heard);
	heard = load(fixture);
	assert_int_equal(heard.payments_len, 0);
	assert_int_equal(heard.transactions_len, 0);
	heard_clear(&heard);
}

static void test_store_signed_payment_cannot_be_released(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 1, 0, 1), X402_OK);
	assert_int_equal(do_release(fixture, 1), X402_ERR_CONFLICT);
	assert_int_equal(state_of(fixture, 1), FAC_PAYMENT_SIGNED);
	assert_int_equal(do_release(fixture, 2), X402_ERR_NOT_FOUND);
}

static void test_store_end_is_kept(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	/* Nothing was signed, so nothing can have settled. */
	assert_int_equal(
		do_finish(fixture, 1, FAC_PAYMENT_SETTLED), X402_ERR_CONFLICT);
	assert_int_equal(do_journal(fixture, 1, 0, 1), X402_OK);
	assert_int_equal(do_finish(fixture, 1, FAC_PAYMENT_REVERTED), X402_OK);
	assert_int_equal(do_finish(fixture, 1, FAC_PAYMENT_REVERTED), X402_OK);
	assert_int_equal(
		do_finish(fixture, 1, FAC_PAYMENT_SETTLED), X402_ERR_CONFLICT);
	assert_int_equal(state_of(fixture, 1), FAC_PAYMENT_REVERTED);
	assert_int_equal(
		do_finish(fixture, 3, FAC_PAYMENT_SETTLED), X402_ERR_NOT_FOUND);
}

/* ---- Journal. ---- */

static void test_store_nonce_has_one_live_transaction(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_reserve(fixture, 2), X402_OK);
	assert_int_equal(do_journal(fixture, 1, 5, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 2, 5, 2), X402_ERR_CONFLICT);
	/* The refused one left nothing behind. */
	assert_int_equal(state_of(fixture, 2), FAC_PAYMENT_RESERVED);
	/* A repeat of the same bytes is the same row. */
	assert_int_equal(do_journal(fixture, 1, 5, 1), X402_OK);
	assert_int_equal(do_mark(fixture, REPLACED, 1), X402_OK);
	assert_int_equal(state_of(fixture, 1), FAC_PAYMENT_REPLACED);
	assert_int_equal(do_journal(fixture, 2, 5, 2), X402_OK);
	assert_int_equal(do_journal(fixture, 3, 6, 1), X402_OK);
	assert_int_equal(state_of(fixture, 1), FAC_PAYMENT_SIGNED);
}

static void test_store_payment_is_signed_once(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 1, 0, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 2, 1, 1), X402_ERR_CONFLICT);
	/* Nor is one that nobody reserved. */
	assert_int_equal(do_journal(fixture, 3, 2, 9), X402_ERR_CONFLICT);
	assert_int_equal(do_mark(fixture, BROADCAST, 2), X402_ERR_NOT_FOUND);
}

static void test_store_mined_is_not_replaced(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 1, 0, 1), X402_OK);
	assert_int_equal(do_mark(fixture, MINED, 1), X402_OK);
	assert_int_equal(do_mark(fixture, REPLACED, 1), X402_ERR_CONFLICT);
	assert_int_equal(do_mark(fixture, BROADCAST, 1), X402_OK);
}

static void test_store_floor_counts_every_journalled_nonce(void **state)
{
	struct fixture *fixture = *state;
	struct x402_address signer;
	struct heard heard = {0};

	memset(signer.bytes, 0x55, 20);
	fac_store_next_nonce_floor(
		fixture->store, NETWORK, &signer, to(fixture, &heard));
	wait_all(fixture);
	assert_int_equal(heard.number, 0);
	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 1, 41, 1), X402_OK);
	fac_store_next_nonce_floor(
		fixture->store, NETWORK, &signer, to(fixture, &heard));
	wait_all(fixture);
	assert_int_equal(heard.number, 42);
	signer.bytes[0] = 0;
	fac_store_next_nonce_floor(
		fixture->store, NETWORK, &signer, to(fixture, &heard));
	wait_all(fixture);
	assert_int_equal(heard.number, 0);
	heard_clear(&heard);
}

static void test_store_transaction_without_payment_fills_a_gap(void **state)
{
	struct fixture *fixture = *state;
	struct fac_transaction transaction = transaction_of(1, 0, NULL, 0);
	struct heard heard = {0};

	fac_store_journal_signed(
		fixture->store, &transaction, to(fixture, &heard));
	wait_all(fixture);
	assert_int_equal(heard.err, X402_OK);
	heard_clear(&heard);
	heard = load(fixture);
	assert_int_equal(heard.transactions_len, 1);
	assert_int_equal(heard.transaction.keys_len, 0);
	assert_int_equal(heard.transaction.raw.len, 2);
	heard_clear(&heard);
}

/* ---- Credit. ---- */

static void test_store_success_is_credited_once(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	heard = credit(fixture, 1, "early");
	assert_int_equal(heard.err, X402_ERR_CONFLICT);
	assert_false(heard.claimed);
	heard_clear(&heard);
	assert_int_equal(do_journal(fixture, 1, 0, 1), X402_OK);
	assert_int_equal(do_finish(fixture, 1, FAC_PAYMENT_SETTLED), X402_OK);
	heard = credit(fixture, 1, "first");
	assert_true(heard.claimed);
	heard_clear(&heard);
	heard = credit(fixture, 1, "second");
	assert_int_equal(heard.err, X402_OK);
	assert_false(heard.claimed);
	assert_string_equal(heard.payment.answer, "first");
	heard_clear(&heard);
}

static void test_store_failure_is_not_credited(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	assert_int_equal(do_journal(fixture, 1, 0, 1), X402_OK);
	assert_int_equal(do_finish(fixture, 1, FAC_PAYMENT_EXPIRED), X402_OK);
	heard = credit(fixture, 1, "no");
	assert_int_equal(heard.err, X402_ERR_CONFLICT);
	assert_false(heard.claimed);
	heard_clear(&heard);
}

/* ---- Groups, files, processes. ---- */

static void test_store_failing_neighbours_do_not_sink_a_group(void **state)
{
	struct fixture *fixture = *state;
	static struct heard heard[300];
	uint8_t unknown[32] = {0xff};

	memset(heard, 0, sizeof(heard));
	for (unsigned i = 0; i < 300; i++) {
		struct fac_payment payment = payment_of((uint8_t)(i / 3));

		payment.key32[1] = 0x77;
		snprintf(payment.id, sizeof(payment.id), "id-%u", i);
		if (i % 3 == 0)
			fac_store_reserve(fixture->store, &payment,
				to(fixture, &heard[i]));
		else if (i % 3 == 1)
			fac_store_release(fixture->store, unknown, "",
				to(fixture, &heard[i]));
		else
			fac_store_credit(fixture->store, payment.key32, "x",
				to(fixture, &heard[i]));
	}
	wait_all(fixture);
	for (unsigned i = 0; i < 300; i++) {
		static const enum x402_err expected[] = {
			X402_OK, X402_ERR_NOT_FOUND, X402_ERR_CONFLICT};

		assert_int_equal(heard[i].times, 1);
		assert_int_equal(heard[i].err, expected[i % 3]);
		assert_int_equal(heard[i].claimed, i % 3 == 0);
		heard_clear(&heard[i]);
	}
	heard[0] = load(fixture);
	assert_int_equal(heard[0].payments_len, 100);
	heard_clear(&heard[0]);
}

static void test_store_ok_survives_a_kill(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	pid_t child;
	int status;

	fac_store_close(fixture->store);
	fixture->store = NULL;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct fixture inside = {0};

		memcpy(inside.path, fixture->path, sizeof(inside.path));
		if (fac_loop_new(&inside.loop))
			_exit(1);
		open_store(&inside);
		if (do_reserve(&inside, 1) || do_journal(&inside, 1, 3, 1))
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	open_store(fixture);
	heard = load(fixture);
	assert_int_equal(heard.payments_len, 1);
	assert_int_equal(heard.payment.state, FAC_PAYMENT_SIGNED);
	assert_int_equal(heard.transactions_len, 1);
	assert_int_equal(heard.transaction.nonce, 3);
	assert_int_equal(heard.transaction.keys_len, 1);
	assert_memory_equal(
		heard.transaction.keys32[0], heard.payment.key32, 32);
	heard_clear(&heard);
}

static void test_store_second_daemon_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct fac_store_options options = {fixture->path};
	struct x402_errinfo info = {{0}, {0}};
	struct fac_store *second = NULL;

	assert_int_equal(
		fac_store_open(&options, &info, &second), X402_ERR_STORE);
	assert_null(second);
	assert_non_null(strstr(info.text, "another facilitator"));
}

static void test_store_that_cannot_be_opened_is_refused(void **state)
{
	struct fac_store_options options = {"/nonexistent/x402.sqlite"};
	struct x402_errinfo info = {{0}, {0}};
	struct fac_store *store = NULL;

	(void)state;
	assert_int_equal(
		fac_store_open(&options, &info, &store), X402_ERR_STORE);
	assert_null(store);
	assert_non_null(strstr(info.text, "/nonexistent"));
}

static void exec_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_store_of_a_newer_daemon_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct fac_store_options options = {fixture->path};
	struct x402_errinfo info = {{0}, {0}};

	fac_store_close(fixture->store);
	fixture->store = NULL;
	exec_sql(fixture->path, "PRAGMA user_version = 999");
	assert_int_equal(fac_store_open(&options, &info, &fixture->store),
		X402_ERR_VERSION);
	assert_non_null(strstr(info.text, "999"));
	/* The lock was given back. */
	exec_sql(fixture->path, "PRAGMA user_version = 1");
	open_store(fixture);
}

static void test_store_that_is_no_database_is_refused(void **state)
{
	struct fixture *fixture = *state;
	struct fac_store_options options = {fixture->path};
	struct x402_errinfo info = {{0}, {0}};
	int fd;

	fac_store_close(fixture->store);
	fixture->store = NULL;
	remove_files(fixture->path);
	fd = open(fixture->path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(write(fd, "not a database, sorry\n", 22), 22);
	close(fd);
	assert_int_equal(fac_store_open(&options, &info, &fixture->store),
		X402_ERR_STORE);
}

/* Another program that changes rows: the store must not pay by them. */
static void test_store_row_that_cannot_be_is_no_payment(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;

	assert_int_equal(do_reserve(fixture, 1), X402_OK);
	exec_sql(fixture->path, "UPDATE payments SET amount = '-5'");
	heard = load(fixture);
	assert_int_equal(heard.err, X402_ERR_STORE);
	heard_clear(&heard);
	heard = get(fixture,
		(struct fac_payment_query){.key32 = payment_of(1).key32});
	assert_int_equal(heard.err, X402_ERR_STORE);
	heard_clear(&heard);
}

/* Whoever cannot write says so, and goes on when it can again. */
static void test_store_locked_by_another_fails_closed(void **state)
{
	struct fixture *fixture = *state;
	struct fac_payment payment = payment_of(1);
	struct heard heard;
	char big[200000];
	sqlite3 *blocker;

	/* Somebody holds the write lock for longer than we wait. */
	assert_int_equal(sqlite3_open(fixture->path, &blocker), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(blocker, "BEGIN IMMEDIATE", NULL, NULL, NULL),
		SQLITE_OK);
	memset(big, 'x', sizeof(big));
	payment.calldata.ptr = (uint8_t *)big;
	payment.calldata.len = sizeof(big);
	heard = reserve(fixture, &payment);
	assert_int_equal(heard.err, X402_ERR_STORE);
	assert_false(heard.claimed);
	heard_clear(&heard);
	sqlite3_exec(blocker, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(blocker);
	heard = reserve(fixture, &payment);
	assert_int_equal(heard.err, X402_OK);
	assert_true(heard.claimed);
	heard_clear(&heard);
}

/* ---- Looking up. ---- */

static void test_store_payment_is_found_by_each_name(void **state)
{
	struct fixture *fixture = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_payment_query queries[] = {{.id = payment.id},
		{.key32 = payment.key32},
		{.fingerprint32 = payment.fingerprint32},
		{.idempotency_scope = "s", .idempotency_key = "k"},
		/* The first that finds one answers. */
		{.id = "none", .key32 = payment.key32}};
	struct fac_payment_query misses[] = {{.id = "none"},
		{.transaction = ""}, {.transaction = "0x00"},
		{.idempotency_scope = "t", .idempotency_key = "k"},
		{.idempotency_key = "k"}, {0}};
	struct heard heard;

	snprintf(payment.idempotency_scope, 8, "s");
	snprintf(payment.idempotency_key, 8, "k");
	heard = reserve(fixture, &payment);
	heard_clear(&heard);
	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		heard = get(fixture, queries[i]);
		assert_int_equal(heard.err, X402_OK);
		assert_memory_equal(heard.payment.key32, payment.key32, 32);
		heard_clear(&heard);
	}
	for (size_t i = 0; i < ARRAY_LEN(misses); i++) {
		heard = get(fixture, misses[i]);
		assert_int_equal(heard.err, X402_ERR_NOT_FOUND);
		heard_clear(&heard);
	}
}

static struct heard put(struct fixture *fixture, const char *key,
	const char *network, bool settled)
{
	struct fac_resource resource = {.key = (char *)key,
		.url = (char *)key,
		.type = (char *)"http",
		.x402_version = 2,
		.accepts_json = (char *)"[]",
		.settled = settled,
		.offers_len = 1,
		.extension_names_len = 1};
	struct heard heard = {0};

	snprintf(resource.offers[0].scheme, 8, "exact");
	snprintf(resource.offers[0].network, 32, "%s", network);
	snprintf(resource.offers[0].pay_to, X402_ASSET_SIZE, "%s",
		"0xABcdEFABcdEFabcdEfAbCdefabcdeFABcDEFabCD");
	snprintf(resource.extension_names[0], 64, "bazaar");
	fac_store_resource_put(fixture->store, &resource, to(fixture, &heard));
	wait_all(fixture);
	return heard;
}

static struct heard list(
	struct fixture *fixture, struct fac_resource_query query)
{
	struct heard heard = {0};

	if (!query.limit)
		query.limit = 20;
	fac_store_resource_list(fixture->store, &query, to(fixture, &heard));
	wait_all(fixture);
	return heard;
}

static void test_store_resources_are_filtered_and_paged(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard;
	struct {
		struct fac_resource_query query;
		uint64_t total;
		size_t len;
	} cases[] = {
		{{0}, 5, 5},
		{{.limit = 2}, 5, 2},
		{{.limit = 2, .offset = 4}, 5, 1},
		{{.offset = 9}, 5, 0},
		{{.network = "eip155:1"}, 2, 2},
		{{.network = "eip155:1", .scheme = "exact"}, 2, 2},
		{{.network = "eip155:1", .scheme = "upto"}, 0, 0},
		{{.type = "mcp"}, 0, 0},
		{{.extension = "bazaar"}, 5, 5},
		{{.extension = "none"}, 0, 0},
		{{.pay_to = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd"}, 5,
			5},
		{{.pay_to = "0x' OR 1=1 --"}, 0, 0},
	};

	for (unsigned i = 0; i < 5; i++) {
		char key[32];

		snprintf(key, sizeof(key), "https://a/%u", i);
		heard = put(fixture, key, i < 2 ? "eip155:1" : NETWORK, false);
		assert_true(heard.claimed);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		heard = list(fixture, cases[i].query);
		assert_int_equal(heard.err, X402_OK);
		assert_int_equal(heard.total, cases[i].total);
		assert_int_equal(heard.resources_len, cases[i].len);
	}
	heard = list(fixture, (struct fac_resource_query){0});
	assert_string_equal(heard.urls[0], "https://a/4");
}

static void test_store_settled_resource_stays_proven(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard = put(fixture, "https://a", NETWORK, true);

	assert_true(heard.claimed);
	heard = put(fixture, "https://a", NETWORK, false);
	assert_false(heard.claimed);
	heard = list(fixture, (struct fac_resource_query){0});
	assert_int_equal(heard.total, 1);
	assert_true(heard.settled);
}

static void test_store_health_writes(void **state)
{
	struct fixture *fixture = *state;
	struct heard heard = {0};

	fac_store_health(fixture->store, to(fixture, &heard));
	wait_all(fixture);
	assert_int_equal(heard.err, X402_OK);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_store_reserve_keeps_every_field),
		STORE_TEST(test_store_second_reservation_meets_the_row),
		STORE_TEST(test_store_idempotency_key_of_another_is_conflict),
		STORE_TEST(test_store_released_payment_may_come_again),
		STORE_TEST(test_store_table_permits_exactly_these_steps),
		STORE_TEST(test_store_walks_a_payment_to_its_end),
		STORE_TEST(test_store_signed_payment_cannot_be_released),
		STORE_TEST(test_store_end_is_kept),
		STORE_TEST(test_store_nonce_has_one_live_transaction),
		STORE_TEST(test_store_payment_is_signed_once),
		STORE_TEST(test_store_mined_is_not_replaced),
		STORE_TEST(test_store_floor_counts_every_journalled_nonce),
		STORE_TEST(test_store_transaction_without_payment_fills_a_gap),
		STORE_TEST(test_store_success_is_credited_once),
		STORE_TEST(test_store_failure_is_not_credited),
		STORE_TEST(test_store_failing_neighbours_do_not_sink_a_group),
		STORE_TEST(test_store_ok_survives_a_kill),
		STORE_TEST(test_store_second_daemon_is_refused),
		STORE_TEST(test_store_that_cannot_be_opened_is_refused),
		STORE_TEST(test_store_of_a_newer_daemon_is_refused),
		STORE_TEST(test_store_that_is_no_database_is_refused),
		STORE_TEST(test_store_row_that_cannot_be_is_no_payment),
		STORE_TEST(test_store_locked_by_another_fails_closed),
		STORE_TEST(test_store_payment_is_found_by_each_name),
		STORE_TEST(test_store_resources_are_filtered_and_paged),
		STORE_TEST(test_store_settled_resource_stays_proven),
		STORE_TEST(test_store_health_writes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
