/*
 * What tokens say of themselves at the start, held against the library's
 * table: recorded answers in, differences out. The domain separators are those
 * of protocol.md 2.4.
 */
#include "cmocka_house.h"
#include "ops/tokens.h"
#include "x402/abi.h"

#define USDC_BASE "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
#define SEPARATOR \
	"0x02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f"
#define SEPOLIA_ONE \
	"0x71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818"
#define MNEE "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF"

/* What a contract answers; NULL or false: it reverts. */
struct contract {
	bool no_code;
	bool no_decimals;
	uint64_t decimals;
	const char *name;
	const char *version;
	const char *separator;
	bool no_state;
	bool no_nonces;
};

static const struct contract usdc = {.decimals = 6,
	.name = "USD Coin",
	.version = "2",
	.separator = SEPARATOR};

static void add_text(struct x402_buf *buf, const char *text)
{
	x402_abi_add_u64(buf, 32);
	x402_abi_add_bytes_tail(buf, x402_span_str(text));
}

static void fill(const struct contract *contract, size_t index,
	struct x402_chain_answer *answer, struct x402_buf *buf)
{
	uint8_t word[32];

	answer->status = X402_ANSWER_OK;
	switch (index) {
	case 0:
		if (!contract->no_code)
			x402_buf_add_byte(buf, 0x60);
		break;
	case 1:
		x402_abi_add_u64(buf, contract->decimals);
		break;
	case 2:
		add_text(buf, contract->name);
		break;
	case 3:
		add_text(buf, contract->version);
		break;
	case 4:
		hex_fixed(contract->separator, word, 32);
		x402_abi_add_word(buf, word);
		break;
	case 5:
	case 6:
		x402_abi_add_u64(buf, 0);
		break;
	}
	answer->data = x402_buf_span(buf);
}

static bool reverts(const struct contract *contract, size_t index)
{
	return (index == 1 && contract->no_decimals) ||
		(index == 2 && !contract->name) ||
		(index == 3 && !contract->version) ||
		(index == 4 && !contract->separator) ||
		(index == 5 && contract->no_state) ||
		(index == 6 && contract->no_nonces);
}

static struct fac_token_facts facts_of(const struct contract *contract)
{
	struct x402_chain_answer answers[FAC_TOKEN_READS] = {{0}};
	struct x402_buf bufs[FAC_TOKEN_READS] = {{0}};
	struct fac_token_facts facts;

	for (size_t i = 0; i < FAC_TOKEN_READS; i++) {
		if (i && contract->no_code)
			answers[i].status = X402_ANSWER_OK; /* nothing */
		else if (reverts(contract, i))
			answers[i].status = X402_ANSWER_REVERTED;
		else
			fill(contract, i, &answers[i], &bufs[i]);
	}
	facts = fac_token_read(answers);
	for (size_t i = 0; i < FAC_TOKEN_READS; i++)
		x402_buf_clear(&bufs[i]);
	return facts;
}

static struct fac_token_differences compare(const char *network,
	const char *address, uint64_t chain_id, const struct contract *contract)
{
	struct fac_token_facts facts = facts_of(contract);

	return fac_token_compare(
		x402_known_asset(network, address), chain_id, &facts);
}

static void test_right_token_differs_in_nothing(void **state)
{
	struct fac_token_facts facts = facts_of(&usdc);

	(void)state;
	assert_true(facts.has_code && facts.eip3009 && facts.eip2612);
	assert_int_equal(facts.decimals, 6);
	assert_string_equal(facts.name, "USD Coin");
	assert_string_equal(facts.version, "2");
	assert_int_equal(compare("eip155:8453", USDC_BASE, 8453, &usdc).len, 0);
}

/* Every read is a whole call: selector, and words enough. */
static void test_reads_are_whole(void **state)
{
	struct x402_address token;
	struct fac_token_reads reads;
	uint8_t selector[4];

	(void)state;
	hex_fixed(USDC_BASE, token.bytes, 20);
	fac_token_ask(&token, &reads);
	assert_int_equal(reads.each[0].kind, X402_READ_CODE);
	x402_abi_selector("decimals()", selector);
	assert_memory_equal(reads.each[1].data.ptr, selector, 4);
	x402_abi_selector("name()", selector);
	assert_memory_equal(reads.each[2].data.ptr, selector, 4);
	x402_abi_selector("version()", selector);
	assert_memory_equal(reads.each[3].data.ptr, selector, 4);
	x402_abi_selector("DOMAIN_SEPARATOR()", selector);
	assert_memory_equal(reads.each[4].data.ptr, selector, 4);
	x402_abi_selector("authorizationState(address,bytes32)", selector);
	assert_memory_equal(reads.each[5].data.ptr, selector, 4);
	assert_int_equal(reads.each[5].data.len, 4 + 64);
	x402_abi_selector("nonces(address)", selector);
	assert_memory_equal(reads.each[6].data.ptr, selector, 4);
	assert_int_equal(reads.each[6].data.len, 4 + 32);
}

static void test_each_difference_is_named(void **state)
{
	static const struct {
		struct contract contract;
		const char *word;
	} cases[] = {
		{{.no_code = true}, "no code"},
		{{.no_decimals = true,
			 .name = "USD Coin",
			 .version = "2",
			 .separator = SEPARATOR},
			"decimals()"},
		{{.decimals = 18,
			 .name = "USD Coin",
			 .version = "2",
			 .separator = SEPARATOR},
			"expected 6 decimals, the token says 18"},
		{{.decimals = 6,
			 .name = "USDC",
			 .version = "2",
			 .separator = SEPOLIA_ONE},
			"expected the EIP-712 domain \"USD Coin\""},
		{{.decimals = 6,
			 .name = "USD Coin",
			 .version = "2",
			 .separator = SEPARATOR,
			 .no_state = true},
			"EIP-3009"},
		{{.decimals = 6,
			 .name = "USD Coin",
			 .version = "2",
			 .separator = SEPARATOR,
			 .no_nonces = true},
			"EIP-2612"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fac_token_differences list = compare(
			"eip155:8453", USDC_BASE, 8453, &cases[i].contract);

		assert_int_equal(list.len, 1);
		assert_non_null(strstr(list.each[0], cases[i].word));
	}
}

/* The same contract on a chain of another id has another domain. */
static void test_domain_is_of_its_chain(void **state)
{
	struct fac_token_differences list = compare(
		"eip155:8453", USDC_BASE, 84532, &usdc);

	(void)state;
	assert_int_equal(list.len, 1);
	assert_non_null(strstr(list.each[0], "EIP-712"));
}

/* 18 decimals, Permit2 only: that is what the table says of it. */
static void test_mnee_is_in_the_table(void **state)
{
	static const struct contract mnee = {.decimals = 18,
		.name = "MNEE",
		.no_state = true,
		.no_nonces = true};
	static const struct contract other = {.decimals = 6, .name = "MNEE"};

	(void)state;
	assert_non_null(x402_known_asset("eip155:1", MNEE));
	assert_int_equal(compare("eip155:1", MNEE, 1, &mnee).len, 0);
	assert_int_equal(compare("eip155:1", MNEE, 1, &other).len, 1);
}

static void test_token_of_the_operator_has_no_row(void **state)
{
	static const struct contract plain = {
		.decimals = 18, .no_state = true, .no_nonces = true};
	static const struct contract none = {.no_code = true};

	(void)state;
	assert_int_equal(
		compare("eip155:1",
			"0x00000000000000000000000000000000000000aa", 1, &plain)
			.len,
		0);
	assert_int_equal(
		compare("eip155:1",
			"0x00000000000000000000000000000000000000aa", 1, &none)
			.len,
		1);
}

/* A contract may say anything; none of it breaks the log. */
static void test_hostile_answers_are_harmless(void **state)
{
	static const struct contract rude = {
		.decimals = 6, .name = "a\nb\x1b[31m", .version = "\x7f"};
	struct x402_chain_answer answers[FAC_TOKEN_READS];
	uint8_t noise[64];
	struct fac_token_facts facts = facts_of(&rude);

	(void)state;
	assert_string_equal(facts.name, "a?b?[31m");
	assert_string_equal(facts.version, "?");
	memset(noise, 0xff, sizeof(noise));
	for (size_t len = 0; len <= sizeof(noise); len++) {
		for (size_t i = 0; i < FAC_TOKEN_READS; i++)
			answers[i] = (struct x402_chain_answer){
				X402_ANSWER_OK, x402_span(noise, len)};
		facts = fac_token_read(answers);
		assert_false(facts.eip3009);
		assert_false(facts.has_decimals);
		assert_string_equal(facts.name, "");
	}
	for (size_t i = 0; i < FAC_TOKEN_READS; i++)
		answers[i].status = X402_ANSWER_FAULT;
	facts = fac_token_read(answers);
	assert_false(facts.has_code || facts.eip2612 || facts.has_separator);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right_token_differs_in_nothing),
		cmocka_unit_test(test_reads_are_whole),
		cmocka_unit_test(test_each_difference_is_named),
		cmocka_unit_test(test_domain_is_of_its_chain),
		cmocka_unit_test(test_mnee_is_in_the_table),
		cmocka_unit_test(test_token_of_the_operator_has_no_row),
		cmocka_unit_test(test_hostile_answers_are_harmless),
	};

	return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
