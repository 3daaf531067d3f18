/*
 * The public face of libx402-client that needs no server: clients, keys,
 * responses and the names of outcomes.
 */
#include "cmocka_house.h"
#include "x402/client.h"

static struct x402_secret key_of(const char *text)
{
	struct x402_secret key;

	assert_int_equal(x402_secret_parse(text, &key), X402_OK);
	return key;
}

#define KEY "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"

static void test_client_key_gives_the_payer(void **state)
{
	(void)state;
	struct x402_secret key = key_of(KEY);
	struct x402_client_options options = {.key = &key};
	struct x402_client *client = NULL;
	struct x402_address payer;
	char text[X402_ADDRESS_TEXT_SIZE];

	assert_int_equal(x402_client_new(&options, &client), X402_OK);
	/* Copied: the caller wipes its own. */
	x402_secret_clear(&key);
	assert_true(x402_client_address(client, &payer));
	x402_address_format(&payer, text);
	assert_string_equal(text, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC");
	x402_client_free(client);
}

static void test_client_without_key_has_no_payer(void **state)
{
	(void)state;
	struct x402_client *client = NULL;
	struct x402_address payer;

	assert_int_equal(x402_client_new(NULL, &client), X402_OK);
	assert_false(x402_client_address(client, &payer));
	x402_client_free(client);
	x402_client_free(NULL);
}

static void test_client_bad_options_make_none(void **state)
{
	(void)state;
	struct x402_secret zero = {{0}};
	struct x402_client_options bad_key = {.key = &zero};
	struct x402_client_options bad_time = {.timeout_ms = -5};
	struct x402_client *client = NULL;

	assert_int_equal(x402_client_new(&bad_key, &client), X402_ERR_KEY);
	assert_int_equal(
		x402_client_new(&bad_time, &client), X402_ERR_INVALID_ARGUMENT);
	assert_null(client);
}

static void test_client_unsendable_request_fills_the_response(void **state)
{
	(void)state;
	struct x402_client *client = NULL;
	struct x402_client_request request = {.url = "ftp://a.example/"};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;

	assert_int_equal(x402_client_new(NULL, &client), X402_OK);
	assert_int_equal(x402_client_fetch(client, &request, &response),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(response.cause, X402_CLIENT_CAUSE_BAD_REQUEST);
	assert_string_equal(response.error.field, "url");
	assert_false(response.payment.attempted);
	assert_null(x402_client_response_header(&response, "Date"));
	x402_client_response_clear(&response);
	x402_client_response_clear(&response);
	x402_client_response_clear(NULL);
	x402_client_free(client);
}

static void test_client_names_are_distinct_and_never_null(void **state)
{
	(void)state;
	for (int i = 0; i < X402_CLIENT_CAUSE_COUNT; i++) {
		const char *name = x402_client_cause_name(i);

		assert_non_null(x402_client_cause_text(i));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(
				name, x402_client_cause_name(j));
	}
	assert_string_equal(x402_client_cause_name(9999), "internal_error");
	assert_non_null(x402_client_cause_text(9999));
	assert_string_equal(x402_client_outcome_name(9999), "unknown");
	assert_string_equal(
		x402_client_outcome_name(X402_CLIENT_OUTCOME_PENDING),
		"pending");
	assert_string_equal(x402_client_receipt_name(9999), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_key_gives_the_payer),
		cmocka_unit_test(test_client_without_key_has_no_payer),
		cmocka_unit_test(test_client_bad_options_make_none),
		cmocka_unit_test(
			test_client_unsendable_request_fills_the_response),
		cmocka_unit_test(test_client_names_are_distinct_and_never_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
