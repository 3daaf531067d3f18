/* Addresses and their EIP-55 checksums. */
#include "cmocka_house.h"
#include "x402/evm.h"

/* From the text of EIP-55. */
static const char *const checksummed[] = {
	"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
	"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
	"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
	"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	"0x036CbD53842c5426634e7929541eC2318f3dCF7e",
};

static void test_address_format_gives_checksum(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(checksummed); i++) {
		struct x402_address address;
		char text[X402_ADDRESS_TEXT_SIZE];

		assert_int_equal(
			x402_address_parse(checksummed[i], &address), X402_OK);
		x402_address_format(&address, text);
		assert_string_equal(text, checksummed[i]);
	}
}

static void test_address_parse_ignores_case(void **state)
{
	struct x402_address a;
	struct x402_address b;

	(void)state;
	assert_int_equal(
		x402_address_parse(
			"0x036cbd53842c5426634e7929541ec2318f3dcf7e", &a),
		X402_OK);
	assert_int_equal(
		x402_address_parse(
			"0x036CBD53842C5426634E7929541EC2318F3DCF7E", &b),
		X402_OK);
	assert_true(x402_address_equal(&a, &b));
	assert_false(x402_address_is_zero(&a));
}

static void test_address_parse_refuses_other_forms(void **state)
{
	static const char *const bad[] = {"", "0x",
		"036CbD53842c5426634e7929541eC2318f3dCF7e",
		"0x036CbD53842c5426634e7929541eC2318f3dCF7",
		"0x036CbD53842c5426634e7929541eC2318f3dCF7e0",
		"0x036CbD53842c5426634e7929541eC2318f3dCF7g",
		"0X036CbD53842c5426634e7929541eC2318f3dCF7e",
		" 0x036CbD53842c5426634e7929541eC2318f3dCF7e"};
	struct x402_address address;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			x402_address_parse(bad[i], &address), X402_ERR_SYNTAX);
	assert_int_equal(x402_address_parse(NULL, &address), X402_ERR_SYNTAX);
}

static void test_address_checked_refuses_wrong_checksum(void **state)
{
	struct x402_address address;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(checksummed); i++)
		assert_int_equal(
			x402_address_parse_checked(checksummed[i], &address),
			X402_OK);
	/* One letter of another case: a typing error, most likely. */
	assert_int_equal(
		x402_address_parse_checked(
			"0x036CbD53842c5426634e7929541eC2318f3dCf7e", &address),
		X402_ERR_SYNTAX);
	/* One case throughout carries no checksum. */
	assert_int_equal(
		x402_address_parse_checked(
			"0x036cbd53842c5426634e7929541ec2318f3dcf7e", &address),
		X402_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_format_gives_checksum),
		cmocka_unit_test(test_address_parse_ignores_case),
		cmocka_unit_test(test_address_parse_refuses_other_forms),
		cmocka_unit_test(test_address_checked_refuses_wrong_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
