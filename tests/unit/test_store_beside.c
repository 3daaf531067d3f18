/*
 * The store's contract for what stands beside payments: holds, the outbox of
 * web hooks, the catalogue, and what is forgotten when. As test_store.c, on
 * both backends.
 */
#include "store_house.h"

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* ---- Holds. ---- */

static struct fac_verb *hold(uint8_t index, uint64_t amount, uint64_t until_ms)
{
	struct fac_store_hold hold = {.network = NETWORK,
		.amount = x402_u256_from_u64(amount),
		.balance = x402_u256_from_u64(1500),
		.until_ms = until_ms};

	memset(hold.key32, index, 32);
	memset(hold.asset.bytes, 0xee, 20);
	memset(hold.payer.bytes, 1, 20);
	return fac_verb_hold(&hold);
}

static void test_store_holds_count_what_is_promised(void **state)
{
	struct fixture *f = *state;
	const struct heard *heard;

	assert_true(ask(f, hold(5, 900, INT64_MAX))->reply.claimed);
	/* Again, and its own sum does not stand in its way. */
	assert_true(ask(f, hold(5, 900, INT64_MAX))->reply.claimed);
	heard = ask(f, hold(6, 601, INT64_MAX));
	assert_int_equal(heard->reply.err, X402_OK);
	assert_false(heard->reply.claimed);
	assert_non_null(strstr(heard->reply.message, "900"));
	assert_true(ask(f, hold(6, 600, 1))->reply.claimed); /* over already */
	assert_true(ask(f, hold(7, 600, INT64_MAX))->reply.claimed);
	assert_true(ask(f, fac_verb_hold_get(key_of(7)))->reply.number > 0);
	assert_int_equal(
		err_of(f, fac_verb_hold_get(key_of(6))), X402_ERR_NOT_FOUND);
	assert_int_equal(
		err_of(f, fac_verb_hold_get(key_of(8))), X402_ERR_NOT_FOUND);
}

static void test_store_reservation_uses_a_hold_up(void **state)
{
	struct fixture *f = *state;

	assert_true(ask(f, hold(1, 1000, INT64_MAX))->reply.claimed);
	reserve_index(f, 1); /* 1000, of the same payer */
	assert_int_equal(err_of(f, hold(1, 1, INT64_MAX)), X402_ERR_CONFLICT);
	/* Counted once: as a payment. */
	assert_false(ask(f, hold(2, 501, INT64_MAX))->reply.claimed);
	assert_true(ask(f, hold(2, 500, INT64_MAX))->reply.claimed);
	assert_true(ask(f, fac_verb_hold_get(key_of(1)))->reply.number > 0);
}

/* ---- Outbox. ---- */

static void test_store_end_is_told_to_each_hook(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);
	struct fac_outbox_failure failure = {.error = "503"};
	const struct heard *heard;

	reserve_index(f, 1);
	heard = ask(f, fac_verb_outbox_take(10, LONG_MS));
	assert_int_equal(heard->reply.outbox_len, 0);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	heard = ask(f, fac_verb_outbox_take(10, LONG_MS));
	assert_int_equal(heard->reply.outbox_len, 2);
	assert_int_equal(heard->reply.payments_len, 2);
	assert_string_equal(heard->outbox[0].hook, "audit");
	assert_string_equal(heard->outbox[1].hook, "shop");
	assert_int_equal(heard->outbox[0].state, FAC_PAYMENT_EXPIRED);
	assert_int_equal(heard->outbox[0].tries, 1);
	assert_int_equal(heard->payments[1].key32[0], 1);
	/* Taken: nobody gets it again. */
	assert_int_equal(
		ask(f, fac_verb_outbox_take(10, LONG_MS))->reply.outbox_len, 0);
	assert_int_equal(
		err_of(f, fac_verb_outbox_done(heard->outbox[0].sequence)),
		X402_OK);
	failure.sequence = heard->outbox[1].sequence;
	assert_int_equal(err_of(f, fac_verb_outbox_fail(&failure)), X402_OK);
	heard = ask(f, fac_verb_outbox_take(10, LONG_MS));
	assert_int_equal(heard->reply.outbox_len, 1);
	assert_int_equal(heard->outbox[0].tries, 2);
	assert_string_equal(heard->outbox[0].error, "503");
}

static void test_store_dead_letter_may_be_revived(void **state)
{
	struct fixture *f = *state;
	struct fac_store_end end = end_of(1, FAC_PAYMENT_EXPIRED, 0);
	struct fac_outbox_failure failure = {.dead = true, .error = "gone"};
	const struct heard *heard;

	reserve_index(f, 1);
	assert_int_equal(err_of(f, finish(&end)), X402_OK);
	heard = ask(f, fac_verb_outbox_take(1, LONG_MS));
	failure.sequence = heard->outbox[0].sequence;
	assert_int_equal(err_of(f, fac_verb_outbox_revive(failure.sequence)),
		X402_ERR_NOT_FOUND);
	assert_int_equal(err_of(f, fac_verb_outbox_fail(&failure)), X402_OK);
	heard = ask(f, fac_verb_outbox_dead(10));
	assert_int_equal(heard->reply.outbox_len, 1);
	assert_true(heard->outbox[0].dead);
	assert_int_equal(
		err_of(f, fac_verb_outbox_revive(failure.sequence)), X402_OK);
	heard = ask(f, fac_verb_outbox_take(10, LONG_MS));
	assert_int_equal(heard->reply.outbox_len, 2);
	assert_int_equal(
		err_of(f, fac_verb_outbox_revive(99)), X402_ERR_NOT_FOUND);
}

/* ---- The catalogue. ---- */

static const struct heard *put(
	struct fixture *f, const char *key, const char *network, bool settled)
{
	struct fac_resource resource = {.key = (char *)key,
		.url = (char *)key,
		.type = (char *)"http",
		.x402_version = 2,
		.accepts_json = (char *)"[\"\\u0041\"]",
		.settled = settled,
		.offers_len = 1,
		.extension_names_len = 1};

	snprintf(resource.offers[0].scheme, 8, "exact");
	snprintf(resource.offers[0].network, 32, "%s", network);
	snprintf(resource.offers[0].pay_to, X402_ASSET_SIZE, "%s",
		"0xABcdEFABcdEFabcdEfAbCdefabcdeFABcDEFabCD");
	snprintf(resource.extension_names[0], 64, "ba\"za\\ar");
	return ask(f, fac_verb_resource_put(&resource));
}

static void test_store_resources_are_filtered_and_paged(void **state)
{
	struct fixture *f = *state;
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
		{{.extension = "ba\"za\\ar"}, 5, 5},
		{{.extension = "none"}, 0, 0},
		{{.pay_to = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd"}, 5,
			5},
		{{.pay_to = "0x' OR 1=1 --"}, 0, 0},
	};
	const struct heard *heard;

	for (unsigned i = 0; i < 5; i++) {
		char key[32];

		snprintf(key, sizeof(key), "https://a/%u", i);
		heard = put(f, key, i < 2 ? "eip155:1" : NETWORK, false);
		assert_true(heard->reply.claimed);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (!cases[i].query.limit)
			cases[i].query.limit = 20;
		heard = ask(f, fac_verb_resource_list(&cases[i].query));
		assert_int_equal(heard->reply.err, X402_OK);
		assert_int_equal(heard->reply.total, cases[i].total);
		assert_int_equal(heard->reply.resources_len, cases[i].len);
	}
	heard = ask(f, fac_verb_resource_list(&cases[0].query));
	assert_string_equal(heard->urls[0], "https://a/4");
}

static void test_store_settled_resource_stays_proven(void **state)
{
	struct fixture *f = *state;
	struct fac_resource_query query = {.limit = 20};
	const struct heard *heard;

	assert_true(put(f, "https://a", NETWORK, true)->reply.claimed);
	assert_false(put(f, "https://a", "eip155:1", false)->reply.claimed);
	heard = ask(f, fac_verb_resource_list(&query));
	assert_int_equal(heard->reply.total, 1);
	assert_true(heard->settled);
	query.network = "eip155:1";
	heard = ask(f, fac_verb_resource_list(&query));
	assert_int_equal(heard->reply.total, 0);
}

/* ---- Keeping house. ---- */

static void test_store_retires_what_is_dead_only(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment;
	struct fac_store_end end;

	for (uint8_t i = 1; i <= 4; i++) {
		payment = payment_of(i);
		payment.valid_before_unix_s = i == 2 ? 2000 : 1000;
		assert_true(reserve(f, &payment)->reply.claimed);
		end = end_of(i, FAC_PAYMENT_EXPIRED, 0);
		if (i != 3)
			assert_int_equal(err_of(f, finish(&end)), X402_OK);
	}
	/* 2 could still be spent; 3 has not ended. */
	assert_int_equal(ask(f, fac_verb_retire(1500, 1))->reply.number, 1);
	assert_int_equal(ask(f, fac_verb_retire(1500, 10))->reply.number, 1);
	assert_int_equal(ask(f, fac_verb_retire(1500, 10))->reply.number, 0);
	assert_int_equal(state_of(f, 2), FAC_PAYMENT_EXPIRED);
	assert_int_equal(state_of(f, 3), FAC_PAYMENT_RESERVED);
}

static void test_store_retires_final_transactions_but_the_last(void **state)
{
	struct fixture *f = *state;
	struct fac_payment payment = payment_of(1);
	struct fac_store_end end = end_of(1, FAC_PAYMENT_SETTLED, 0xa1);
	struct x402_address signer = signer_address();
	struct fac_store_lease lease = lease_of(
		ME, ask(f, acquire(ME, LONG_MS))->reply.number);

	payment.valid_before_unix_s = 1000;
	assert_true(reserve(f, &payment)->reply.claimed);
	assert_int_equal(err_of(f, journal(&lease, 0xa1, 7, 1, 1)), X402_OK);
	assert_int_equal(err_of(f, mined(0xa1, 0xa1, &end, 1)), X402_OK);
	/* A reorg may yet take its block away. */
	assert_int_equal(ask(f, fac_verb_retire(1500, 10))->reply.number, 0);
	assert_int_equal(err_of(f, final(0xa1)), X402_OK);
	assert_int_equal(ask(f, fac_verb_retire(1500, 10))->reply.number, 1);
	/* The nonce is never handed out again. */
	assert_int_equal(ask(f, fac_verb_next_nonce_floor(NETWORK, &signer))
				 ->reply.number,
		8);
}

static void test_store_counts_its_commits(void **state)
{
	struct fixture *f = *state;
	struct fac_store_stats stats;
	uint64_t sum = 0;

	for (int i = 0; i < 3; i++)
		assert_int_equal(err_of(f, fac_verb_health()), X402_OK);
	stats = fac_store_stats(f->store);
	assert_int_equal(stats.commits, 3);
	assert_int_equal(stats.verbs, 3);
	assert_int_equal(stats.failures, 0);
	assert_int_equal(stats.queued, 0);
	for (size_t i = 0; i < FAC_STORE_BUCKETS; i++)
		sum += stats.commit_buckets[i];
	assert_int_equal(sum, 3);
}

static const struct CMUnitTest contract[] = {
	STORE_TEST(test_store_holds_count_what_is_promised),
	STORE_TEST(test_store_reservation_uses_a_hold_up),
	STORE_TEST(test_store_end_is_told_to_each_hook),
	STORE_TEST(test_store_dead_letter_may_be_revived),
	STORE_TEST(test_store_resources_are_filtered_and_paged),
	STORE_TEST(test_store_settled_resource_stays_proven),
	STORE_TEST(test_store_retires_what_is_dead_only),
	STORE_TEST(test_store_retires_final_transactions_but_the_last),
	STORE_TEST(test_store_counts_its_commits),
};

int main(void)
{
	return cmocka_run_group_tests(contract, NULL, NULL);
}
