/*
 * The two tables: complete, without doubles, and readable from what other
 * implementations send.
 */
#include "cmocka_house.h"
#include "x402/error.h"

static void test_err_numbers_never_move(void **state)
{
	(void)state;
	assert_int_equal(X402_OK, 0);
	assert_int_equal(X402_ERR_NOMEM, 1);
	assert_int_equal(X402_ERR_SYNTAX, 3);
	assert_int_equal(X402_ERR_TIMEOUT, 16);
	assert_int_equal(X402_ERR_INTERNAL, 21);
}

static void test_err_attributes_come_from_table(void **state)
{
	(void)state;
	assert_string_equal(x402_err_name(X402_ERR_TOO_LARGE), "TOO_LARGE");
	assert_int_equal(x402_err_http_status(X402_ERR_TOO_LARGE), 413);
	assert_int_equal(x402_err_blame(X402_ERR_CHAIN), X402_BLAME_CHAIN);
	assert_int_equal(x402_err_retry(X402_ERR_TIMEOUT), X402_RETRY_WAIT);
	assert_string_equal(x402_err_text(X402_ERR_NOMEM), "out of memory");
}

static void test_err_unknown_number_has_text(void **state)
{
	enum x402_err odd = (enum x402_err)999;

	(void)state;
	assert_string_equal(x402_err_text(odd), "unknown error");
	assert_string_equal(x402_err_name(odd), "UNKNOWN");
	assert_int_equal(x402_err_http_status(odd), 500);
	assert_int_equal(x402_err_blame(odd), X402_BLAME_US);
	assert_int_equal(x402_err_retry(odd), X402_RETRY_NEVER);
}

static void test_reason_wire_strings_are_unique_and_read_back(void **state)
{
	(void)state;
	for (int i = 1; i < X402_REASON_COUNT; i++) {
		const char *wire = x402_reason_wire((enum x402_reason)i);
		enum x402_reason found = X402_REASON_NONE;

		assert_true(strlen(wire) > 0);
		assert_true(x402_reason_from_wire(wire, &found));
		assert_int_equal(found, i);
		assert_true(strlen(x402_reason_text(found)) > 0);
	}
}

static void test_reason_from_wire_knows_other_spellings(void **state)
{
	static const struct {
		const char *wire;
		enum x402_reason reason;
	} cases[] = {
		{"invalid_exact_evm_payload_signature",
			X402_REASON_EVM_SIGNATURE},
		{"invalid_exact_evm_authorization_value",
			X402_REASON_EVM_VALUE_MISMATCH},
		{"missing_eip712_domain",
			X402_REASON_EVM_MISSING_EIP712_DOMAIN},
		{"invalid_exact_evm_transaction_failed: execution reverted",
			X402_REASON_EVM_TRANSACTION_FAILED},
		{"PERMIT2_ALLOWANCE_REQUIRED",
			X402_REASON_PERMIT2_ALLOWANCE_REQUIRED},
		{"settlement_pending", X402_REASON_SETTLEMENT_PENDING},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum x402_reason reason = X402_REASON_NONE;

		assert_true(x402_reason_from_wire(cases[i].wire, &reason));
		assert_int_equal(reason, cases[i].reason);
	}
}

static void test_reason_from_wire_refuses_strangers(void **state)
{
	static const char *const cases[] = {"", ":", "nonsense",
		"settlement_pendin", "settlement_pending_",
		"Settlement_pending", " settlement_pending",
		"invalid_exact_evm_signatures"};
	enum x402_reason reason = X402_REASON_INVALID_SCHEME;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_false(x402_reason_from_wire(cases[i], &reason));
	assert_false(x402_reason_from_wire(NULL, &reason));
	assert_int_equal(reason, X402_REASON_INVALID_SCHEME);
}

static void test_reason_unknown_number_is_safe(void **state)
{
	enum x402_reason odd = X402_REASON_COUNT;

	(void)state;
	assert_string_equal(x402_reason_wire(odd), "");
	assert_string_equal(x402_reason_text(odd), "unknown reason");
	assert_int_equal(x402_reason_blame(odd), X402_BLAME_US);
	assert_int_equal(x402_reason_retry(odd), X402_RETRY_NEVER);
}

static void test_retry_words_are_the_protocols(void **state)
{
	(void)state;
	assert_string_equal(x402_retry_wire(X402_RETRY_NEVER), "do_not_retry");
	assert_string_equal(x402_retry_wire(X402_RETRY_SAME), "retry_same");
	assert_string_equal(x402_retry_wire(X402_RETRY_FRESH), "retry_fresh");
	assert_string_equal(x402_retry_wire(X402_RETRY_WAIT), "wait");
}

static void test_errinfo_set_cuts_long_text(void **state)
{
	char text[1000];
	struct x402_errinfo info;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	x402_errinfo_set(&info, text, "%s", text);
	assert_int_equal(strlen(info.field), sizeof(info.field) - 1);
	assert_int_equal(strlen(info.text), sizeof(info.text) - 1);
	x402_errinfo_set(NULL, "a", "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_numbers_never_move),
		cmocka_unit_test(test_err_attributes_come_from_table),
		cmocka_unit_test(test_err_unknown_number_has_text),
		cmocka_unit_test(
			test_reason_wire_strings_are_unique_and_read_back),
		cmocka_unit_test(test_reason_from_wire_knows_other_spellings),
		cmocka_unit_test(test_reason_from_wire_refuses_strangers),
		cmocka_unit_test(test_reason_unknown_number_is_safe),
		cmocka_unit_test(test_retry_words_are_the_protocols),
		cmocka_unit_test(test_errinfo_set_cuts_long_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
