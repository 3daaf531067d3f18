/*
 * What a client makes of a node's answers when Permit2 has no allowance
 * (C-063 to C-066): a permit first, an approval second, nothing at all from a
 * node that is of another chain or says nonsense.
 */
#include "cmocka_house.h"
#include "sponsor_p.h"

#define WORD(digits)                                                          \
	"\"0x00000000000000000000000000000000000000000000000000000000" digits \
	"\""
#define ANSWER(id, result) "{\"id\":" id ",\"result\":" result "}"
#define CHAIN              ANSWER("1", "\"0x14a34\"")
#define POOR               ANSWER("2", WORD("000003e7"))
#define RICH               ANSWER("2", WORD("000003e8"))
#define NONCES             ANSWER("3", WORD("00000007"))
#define NO_NONCES          "{\"id\":3,\"error\":{\"code\":3}}"
#define ACCOUNT            ANSWER("4", "\"0x9\"")
#define BLOCK              ANSWER("5", "{\"baseFeePerGas\":\"0x64\"}")
#define PRIORITY           ANSWER("6", "\"0xa\"")

static const struct x402__sponsor_offer both = {true, true};
static const struct x402__sponsor_offer approval_only = {false, true};
static const struct x402__sponsor_offer permit_only = {true, false};

static struct x402__sponsor_facts judge(
	const char *answers, struct x402__sponsor_offer what)
{
	struct x402_payment_requirements offer = {.x402_version = X402_V2,
		.scheme = "exact",
		.network = "eip155:84532",
		.amount = "1000"};
	struct x402__sponsor_facts facts;
	struct x402_json *json = NULL;

	assert_int_equal(
		x402_json_parse(x402_span_str(answers), NULL, NULL, &json),
		X402_OK);
	x402__sponsor_answer(&offer, json, what, &facts);
	x402_json_unref(json);
	return facts;
}

static void test_permit_goes_first(void **state)
{
	struct x402__sponsor_facts facts = judge("[" CHAIN "," POOR "," NONCES
						 "," ACCOUNT "," BLOCK
						 "," PRIORITY "]",
		both);
	struct x402_u256 seven = x402_u256_from_u64(7);

	(void)state;
	assert_int_equal(facts.kind, X402__SPONSOR_PERMIT);
	assert_int_equal(x402_u256_cmp(&facts.nonce, &seven), 0);
}

static void test_approval_where_the_token_has_no_permit(void **state)
{
	struct x402__sponsor_facts facts = judge("[" PRIORITY "," BLOCK
						 "," ACCOUNT "," NO_NONCES
						 "," POOR "," CHAIN "]",
		both);
	struct x402_u256 max = x402_u256_from_u64(100 + 25 + 10);
	struct x402_u256 priority = x402_u256_from_u64(10);

	(void)state;
	assert_int_equal(facts.kind, X402__SPONSOR_APPROVAL);
	assert_int_equal(facts.approval.nonce, 9);
	assert_int_equal(
		x402_u256_cmp(&facts.approval.max_fee_per_gas, &max), 0);
	assert_int_equal(x402_u256_cmp(&facts.approval.max_priority_fee_per_gas,
				 &priority),
		0);
	facts = judge("[" CHAIN "," POOR "," ACCOUNT "]", approval_only);
	assert_int_equal(facts.kind, X402__SPONSOR_APPROVAL);
	/* Without fees of the node's: the library's own. */
	assert_true(x402_u256_is_zero(&facts.approval.max_fee_per_gas));
}

static void test_nothing_without_need_or_knowledge(void **state)
{
	static const struct {
		const char *answers;
		const struct x402__sponsor_offer *what;
	} cases[] = {
		{"[" CHAIN "," RICH "," NONCES "," ACCOUNT "]", &both},
		{"[" POOR "," NONCES "," ACCOUNT "]", &both},
		{"[" ANSWER("1", "\"0x1\"") "," POOR "," NONCES "]", &both},
		{"[" ANSWER("1", "84532") "," POOR "," NONCES "]", &both},
		{"[" ANSWER("1", "\"0x\"") "," POOR "," NONCES "]", &both},
		{"[" CHAIN "," NONCES "," ACCOUNT "]", &both},
		{"[" CHAIN "," ANSWER("2", "\"0x0\"") "," NONCES "]", &both},
		{"[" CHAIN "," POOR "," NO_NONCES "," ACCOUNT "]",
			&permit_only},
		{"[" CHAIN "," POOR "," NONCES "]", &approval_only},
		{"[" CHAIN "," POOR "," ANSWER("4", "9") "]", &approval_only},
		{"[" CHAIN "," POOR "," ANSWER("4", "\"0x-9\"") "]",
			&approval_only},
		{"[" CHAIN "," POOR "," ANSWER("4", "\"0x 9\"") "]",
			&approval_only},
		{"[" CHAIN "," POOR
		 "," ANSWER("4", "\"0x10000000000000000\"") "]",
			&approval_only},
		{"{}", &both},
		{"[]", &both},
		{"[null,7,[]]", &both},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(judge(cases[i].answers, *cases[i].what).kind,
			X402__SPONSOR_NONE);
}

/* A price that would empty the account is not taken over. */
static void test_fees_are_bounded(void **state)
{
	struct x402__sponsor_facts facts = judge(
		"[" CHAIN "," POOR "," ACCOUNT "," ANSWER("5",
			"{\"baseFeePerGas\":\"0xe8d4a51001\"}") "," PRIORITY
								"]",
		approval_only);

	(void)state;
	assert_int_equal(facts.kind, X402__SPONSOR_APPROVAL);
	assert_true(x402_u256_is_zero(&facts.approval.max_fee_per_gas));
	facts = judge("[" CHAIN "," POOR "," ACCOUNT "," BLOCK
		      "," ANSWER("6", "\"0xffffffffffffffff\"") "]",
		approval_only);
	assert_true(x402_u256_is_zero(&facts.approval.max_fee_per_gas));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_permit_goes_first),
		cmocka_unit_test(test_approval_where_the_token_has_no_permit),
		cmocka_unit_test(test_nothing_without_need_or_knowledge),
		cmocka_unit_test(test_fees_are_bounded),
	};

	return cmocka_run_group_tests_name("client_sponsor", tests, NULL, NULL);
}
