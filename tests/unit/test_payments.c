/* The memory of payments: one claim at a time, none forgotten under load. */
#include "cmocka_house.h"

#include "payments_p.h"

#define NOW  ((uint64_t)1000000)
#define SOON (NOW + 300)

static struct x402_claim_key key_of(uint8_t payment, uint8_t request)
{
	struct x402_claim_key key;

	memset(key.payment32, payment, 32);
	memset(key.request32, request, 32);
	return key;
}

static enum x402_claim claim_at(struct x402__payments *payments,
	uint8_t payment, uint8_t request, uint64_t expires, uint64_t now)
{
	struct x402_claim_key key = key_of(payment, request);
	char *receipt;
	enum x402_claim claim = x402__payments_claim(
		payments, &key, expires, now, &receipt);

	free(receipt);
	return claim;
}

static enum x402_claim claim(
	struct x402__payments *payments, uint8_t payment, uint8_t request)
{
	return claim_at(payments, payment, request, SOON, NOW);
}

static void end(struct x402__payments *payments, uint8_t payment,
	enum x402_claim_end end, const char *receipt)
{
	struct x402_claim_key key = key_of(payment, 1);

	x402__payments_end(payments, &key, end, receipt);
}

static void test_payments_claim_is_exclusive(void **state)
{
	struct x402__payments *payments = x402__payments_new(100);

	(void)state;
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_NEW);
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_BUSY);
	assert_int_equal(claim(payments, 1, 2), X402_CLAIM_BUSY);
	assert_int_equal(claim(payments, 2, 1), X402_CLAIM_NEW);
	x402__payments_free(payments);
}

static void test_payments_end_decides_what_comes_next(void **state)
{
	struct x402__payments *payments = x402__payments_new(100);

	(void)state;
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_NEW);
	end(payments, 1, X402_CLAIM_END_FORGET, NULL);
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_NEW);
	end(payments, 1, X402_CLAIM_END_UNKNOWN, NULL);
	assert_int_equal(claim(payments, 1, 2), X402_CLAIM_SPENT);
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_UNKNOWN);
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_BUSY);
	end(payments, 1, X402_CLAIM_END_PAID, "r");
	assert_int_equal(claim(payments, 1, 2), X402_CLAIM_SPENT);
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_PAID);
	end(payments, 1, X402_CLAIM_END_SPENT, "r");
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_SPENT);
	assert_int_equal(claim(payments, 1, 1), X402_CLAIM_SPENT);
	/* ending what is not there is harmless */
	end(payments, 9, X402_CLAIM_END_SPENT, "r");
	x402__payments_free(payments);
}

static void test_payments_receipt_is_for_the_same_request(void **state)
{
	struct x402__payments *payments = x402__payments_new(100);
	struct x402_claim_key mine = key_of(1, 1);
	struct x402_claim_key other = key_of(1, 2);
	char *receipt;

	(void)state;
	claim(payments, 1, 1);
	end(payments, 1, X402_CLAIM_END_SPENT, "receipt");
	x402__payments_claim(payments, &mine, SOON, NOW, &receipt);
	assert_string_equal(receipt, "receipt");
	free(receipt);
	x402__payments_claim(payments, &other, SOON, NOW, &receipt);
	assert_null(receipt);
	x402__payments_free(payments);
}

static void test_payments_full_table_forgets_nothing(void **state)
{
	struct x402__payments *payments = x402__payments_new(3);

	(void)state;
	for (uint8_t i = 1; i <= 3; i++) {
		assert_int_equal(claim(payments, i, 1), X402_CLAIM_NEW);
		end(payments, i, X402_CLAIM_END_SPENT, NULL);
	}
	assert_int_equal(claim(payments, 4, 1), X402_CLAIM_FULL);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(claim(payments, i, 1), X402_CLAIM_SPENT);
	x402__payments_free(payments);
}

static void test_payments_expire_with_a_margin(void **state)
{
	struct x402__payments *payments = x402__payments_new(2);
	const uint64_t day = 24 * 60 * 60;

	(void)state;
	claim(payments, 1, 1);
	end(payments, 1, X402_CLAIM_END_SPENT, NULL);
	assert_int_equal(
		claim_at(payments, 1, 1, SOON, SOON + 600), X402_CLAIM_SPENT);
	assert_int_equal(
		claim_at(payments, 1, 1, SOON, SOON + 601), X402_CLAIM_NEW);
	/* one that is held does not expire */
	assert_int_equal(
		claim_at(payments, 1, 1, SOON, NOW + 9 * day), X402_CLAIM_BUSY);
	end(payments, 1, X402_CLAIM_END_SPENT, NULL);
	/* one that is valid for ever keeps its place for a day */
	assert_int_equal(
		claim_at(payments, 2, 1, UINT64_MAX, NOW), X402_CLAIM_NEW);
	end(payments, 2, X402_CLAIM_END_SPENT, NULL);
	assert_int_equal(claim_at(payments, 2, 1, UINT64_MAX, NOW + day),
		X402_CLAIM_SPENT);
	assert_int_equal(claim_at(payments, 2, 1, UINT64_MAX, NOW + day + 601),
		X402_CLAIM_NEW);
	x402__payments_free(payments);
}

static void test_payments_full_table_makes_room_by_expiry(void **state)
{
	struct x402__payments *payments = x402__payments_new(2);

	(void)state;
	claim(payments, 1, 1);
	end(payments, 1, X402_CLAIM_END_SPENT, NULL);
	claim(payments, 2, 1);
	assert_int_equal(claim_at(payments, 3, 1, SOON + 5000, SOON + 601),
		X402_CLAIM_NEW);
	/* the other is still held */
	assert_int_equal(claim_at(payments, 4, 1, SOON + 5000, SOON + 602),
		X402_CLAIM_FULL);
	x402__payments_free(payments);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payments_claim_is_exclusive),
		cmocka_unit_test(test_payments_end_decides_what_comes_next),
		cmocka_unit_test(test_payments_receipt_is_for_the_same_request),
		cmocka_unit_test(test_payments_full_table_forgets_nothing),
		cmocka_unit_test(test_payments_expire_with_a_margin),
		cmocka_unit_test(test_payments_full_table_makes_room_by_expiry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
