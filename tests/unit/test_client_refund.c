/*
 * Which transfer of a receipt is given back, how much of it and under which
 * nonce. A wrong "that one" sends money to a stranger, and a wrong nonce sends
 * it twice: so what is not whole or not clear is refused.
 */
#include <stdio.h>

#include "cmocka_house.h"
#include "refund_p.h"

#define HASH                                                                 \
	"0xabababababababababababababababababababababababababababababababab" \
	""
#define OTHER                                                                \
	"0x1212121212121212121212121212121212121212121212121212121212121212" \
	""
#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define US    "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define PAYER "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define EVENT                                                         \
	"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df" \
	"523b3ef"
#define WORD_US \
	"0x00000000000000000000000090f79bf6eb2c4f870365e785982e1f101e93b906"
#define WORD_PAYER \
	"0x0000000000000000000000003c44cdddb6a900fa2b585dd299e03d12fa4293bc"
#define WORD_THIRD \
	"0x0000000000000000000000001111111111111111111111111111111111111111"
#define WORD_ZERO \
	"0x0000000000000000000000000000000000000000000000000000000000000000"
#define THOUSAND \
	"0x00000000000000000000000000000000000000000000000000000000000003e8"
#define TWO "0x0000000000000000000000000000000000000000000000000000000000000002"

#define LOG(index, topics, data) LOG_OF(USDC, index, topics, data)
#define LOG_OF(token, index, topics, data)                 \
	"{\"address\":\"" token "\",\"logIndex\":\"" index \
	"\",\"topics\":[" topics "],\"data\":\"" data      \
	"\",\"transactionHash\":\"" HASH                   \
	"\",\"removed\":false,\"blockNumber\":\"0x5\"}"
#define TOPICS(from, to) "\"" EVENT "\",\"" from "\",\"" to "\""
#define PAID(index)      LOG(index, TOPICS(WORD_PAYER, WORD_US), THOUSAND)
#define OTHER_TOKEN(index) \
	LOG_OF(US, index, TOPICS(WORD_PAYER, WORD_US), THOUSAND)
#define FOREIGN(index) LOG(index, TOPICS(WORD_PAYER, WORD_THIRD), THOUSAND)
#define RECEIPT_OF(hash, status, block, logs)                    \
	"{\"transactionHash\":\"" hash "\",\"status\":\"" status \
	"\",\"blockNumber\":\"" block "\",\"logs\":[" logs "]}"
#define RECEIPT(logs) RECEIPT_OF(HASH, "0x1", "0x5", logs)

struct chosen {
	enum x402_err err;
	char text[X402_CLIENT_REFUND_TEXT_SIZE];
	struct x402__refund_transfer transfer;
};

static struct chosen choose(const char *text, const char *payer, size_t nth)
{
	struct x402__refund_ask ask = {.nth = nth};
	struct x402_json *json = NULL;
	struct chosen chosen = {.text = ""};

	hex_fixed(HASH, ask.hash32, sizeof(ask.hash32));
	assert_int_equal(x402_address_parse(US, &ask.us), X402_OK);
	ask.has_payer = payer != NULL;
	if (payer)
		assert_int_equal(
			x402_address_parse(payer, &ask.payer), X402_OK);
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	chosen.err = x402__refund_choose(
		json, &ask, chosen.text, &chosen.transfer);
	x402_json_unref(json);
	if (chosen.err)
		assert_int_not_equal(chosen.text[0], '\0');
	return chosen;
}

static void assert_is(const char *expected, const struct x402_address *address)
{
	char text[X402_ADDRESS_TEXT_SIZE];

	x402_address_format(address, text);
	assert_string_equal(text, expected);
}

/* ---- Which one. ---- */

static void test_choose_takes_the_one_transfer_to_us(void **state)
{
	struct chosen chosen = choose(
		RECEIPT(FOREIGN("0x7") "," PAID("0x8") "," FOREIGN("0x9")),
		NULL, 0);
	uint64_t value = 0;

	(void)state;
	assert_int_equal(chosen.err, X402_OK);
	assert_int_equal(chosen.transfer.twin, 0);
	assert_int_equal(chosen.transfer.block, 5);
	assert_true(x402_u256_to_u64(&chosen.transfer.value, &value));
	assert_int_equal(value, 1000);
	assert_is(USDC, &chosen.transfer.asset);
	assert_is(PAYER, &chosen.transfer.from);
}

static void test_choose_of_several_wants_payer_or_number(void **state)
{
	static const char both[] = RECEIPT(PAID("0x0") "," LOG(
		"0x1", TOPICS(WORD_THIRD, WORD_US), THOUSAND));
	static const char third[] =
		"0x1111111111111111111111111111111111111111";
	struct chosen chosen = choose(both, NULL, 0);

	(void)state;
	assert_int_equal(chosen.err, X402_ERR_INVALID_ARGUMENT);
	assert_non_null(strstr(chosen.text, "1: 1000 from " PAYER));
	assert_non_null(strstr(chosen.text, "2: 1000 from "));
	chosen = choose(both, PAYER, 0);
	assert_is(PAYER, &chosen.transfer.from);
	chosen = choose(both, third, 0);
	assert_is(third, &chosen.transfer.from);
	chosen = choose(both, NULL, 2);
	assert_is(third, &chosen.transfer.from);
	assert_int_equal(choose(both, third, 2).err, X402_OK);
	assert_int_equal(choose(both, PAYER, 2).err, X402_ERR_NOT_FOUND);
	assert_int_equal(choose(both, NULL, 3).err, X402_ERR_NOT_FOUND);
	assert_int_equal(choose(both, USDC, 0).err, X402_ERR_NOT_FOUND);
}

static void test_choose_same_payer_twice_wants_a_number(void **state)
{
	static const char twice[] = RECEIPT(PAID("0x0") "," PAID("0x1"));

	(void)state;
	assert_int_equal(
		choose(twice, PAYER, 0).err, X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(choose(twice, PAYER, 2).transfer.twin, 1);
}

/* Nodes differ in what else a receipt shows: no nonce may hang on that. */
static void test_choose_twins_are_counted_whatever_else_is_there(void **state)
{
	static const char other[] = RECEIPT(
		LOG("0x0", TOPICS(WORD_THIRD, WORD_US), THOUSAND) "," PAID(
			"0x1") "," LOG("0x2", TOPICS(WORD_PAYER, WORD_US),
			TWO) "," FOREIGN("0x3") "," PAID("0x4"));
	static const struct {
		const char *receipt;
		size_t nth;
		uint64_t twin;
	} rows[] = {{RECEIPT(PAID("0x3")), 0, 0},
		{RECEIPT(FOREIGN("0x2") "," PAID("0x3")), 0, 0},
		{RECEIPT(PAID("0x3") "," FOREIGN("0x4")), 0, 0},
		{RECEIPT(OTHER_TOKEN("0x2") "," PAID("0x3")), 2, 0},
		{RECEIPT(PAID("0x0") "," PAID("0x1")), 1, 0},
		{RECEIPT(PAID("0x0") "," PAID("0x1")), 2, 1},
		{RECEIPT(PAID("0x0") "," FOREIGN("0x1") "," PAID("0x2")), 2, 1},
		{other, 1, 0}, {other, 2, 0}, {other, 3, 0}, {other, 4, 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct chosen chosen = choose(
			rows[i].receipt, NULL, rows[i].nth);

		assert_int_equal(chosen.err, X402_OK);
		assert_int_equal(chosen.transfer.twin, rows[i].twin);
	}
}

/* Their names are the same; what they say is not. */
static void test_choose_overlooks_what_is_no_transfer_to_us(void **state)
{
	static const char *const logs[] = {"", FOREIGN("0x0"),
		/* ERC-721: the number is a topic. */
		LOG("0x0", TOPICS(WORD_PAYER, WORD_US) ",\"" THOUSAND "\"",
			"0x"),
		/* An address is no word with something in front of it. */
		LOG("0x0", TOPICS(WORD_PAYER, THOUSAND), THOUSAND),
		LOG("0x0",
			TOPICS("0x0100000000000000000000003c44cdddb6a900fa2b"
			       "585dd299e03d12fa4293bc",
				WORD_US),
			THOUSAND),
		LOG("0x0", "\"" EVENT "\"", THOUSAND), LOG("0x0", "", THOUSAND),
		LOG("0x0", "1,2,3", THOUSAND),
		LOG("0x0", TOPICS(WORD_PAYER, WORD_US), "0x03e8"),
		LOG("0x0", TOPICS(WORD_PAYER, WORD_US), "0x"),
		LOG("0x0", TOPICS(WORD_PAYER, WORD_US), THOUSAND "00"),
		/* Approval(owner, spender, value) */
		LOG("0x0",
			"\"0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b"
			"200ac8c7c3b925\",\"" WORD_PAYER "\",\"" WORD_US "\"",
			THOUSAND)};

	(void)state;
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		char text[4096];

		snprintf(text, sizeof(text),
			RECEIPT_OF(HASH, "0x1", "0x5", "%s"), logs[i]);
		assert_int_equal(choose(text, NULL, 0).err, X402_ERR_NOT_FOUND);
	}
}

static void test_choose_from_nobody_or_of_nothing_is_refused(void **state)
{
	static const char *const logs[] = {
		LOG("0x0", TOPICS(WORD_US, WORD_US), THOUSAND),
		LOG("0x0", TOPICS(WORD_ZERO, WORD_US), THOUSAND),
		LOG("0x0", TOPICS(WORD_PAYER, WORD_US), WORD_ZERO)};

	(void)state;
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		char text[4096];

		snprintf(text, sizeof(text),
			RECEIPT_OF(HASH, "0x1", "0x5", "%s"), logs[i]);
		assert_int_equal(
			choose(text, NULL, 0).err, X402_ERR_INVALID_ARGUMENT);
	}
}

/* ---- Receipts that are none. ---- */

static void test_choose_failed_or_missing_transaction_pays_nothing(void **state)
{
	(void)state;
	assert_int_equal(
		choose(RECEIPT_OF(HASH, "0x0", "0x5", PAID("0x0")), NULL, 0)
			.err,
		X402_ERR_POLICY);
	assert_int_equal(choose("null", NULL, 0).err, X402_ERR_NOT_FOUND);
}

static void test_choose_unreadable_receipts_are_refused(void **state)
{
	static const char *const texts[] = {"7", "[]", "{}", "\"0x\"",
		RECEIPT_OF(OTHER, "0x1", "0x5", PAID("0x0")),
		RECEIPT_OF("0xab", "0x1", "0x5", PAID("0x0")),
		RECEIPT_OF(HASH, "0x2", "0x5", PAID("0x0")),
		RECEIPT_OF(HASH, "yes", "0x5", PAID("0x0")),
		RECEIPT_OF(HASH, "0x1", "", PAID("0x0")),
		RECEIPT_OF(HASH, "0x1", "0x10000000000000000", PAID("0x0")),
		"{\"transactionHash\":\"" HASH
		"\",\"status\":\"0x1\",\"blockNumber\":\"0x5\"}",
		"{\"transactionHash\":\"" HASH
		"\",\"status\":\"0x1\",\"blockNumber\":\"0x5\",\"logs\":{}}"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(choose(texts[i], NULL, 0).err, X402_ERR_CHAIN);
}

static void test_choose_logs_that_are_not_whole_are_refused(void **state)
{
	static const char *const texts[] = {RECEIPT(PAID("1")),
		RECEIPT(PAID("")), RECEIPT(PAID("0xg")), RECEIPT(PAID("0x1.5")),
		RECEIPT(PAID("-0x1")), RECEIPT(FOREIGN("0x7") "," PAID("0x9")),
		RECEIPT(FOREIGN("0x8") "," PAID("0x7")),
		RECEIPT(PAID("0x7") "," FOREIGN("0x7")), RECEIPT("7"),
		RECEIPT("null"), RECEIPT("{}"),
		RECEIPT("{\"logIndex\":1,\"address\":\"" USDC
			"\",\"topics\":[],\"data\":\"0x\"}"),
		RECEIPT("{\"logIndex\":\"0x0\",\"address\":\"0x12\","
			"\"topics\":[],\"data\":\"0x\"}"),
		RECEIPT("{\"logIndex\":\"0x0\",\"address\":\"" USDC
			"\",\"topics\":{},\"data\":\"0x\"}"),
		RECEIPT("{\"logIndex\":\"0x0\",\"address\":\"" USDC
			"\",\"topics\":[],\"data\":\"0x\",\"removed\":true}"),
		RECEIPT("{\"logIndex\":\"0x0\",\"address\":\"" USDC
			"\",\"topics\":[],\"data\":\"0x\","
			"\"transactionHash\":\"" OTHER "\"}")};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(choose(texts[i], NULL, 0).err, X402_ERR_CHAIN);
}

static void test_choose_names_the_first_of_many_and_counts_the_rest(
	void **state)
{
	struct x402_buf buf = {0};

	(void)state;
	x402_buf_add_str(&buf,
		"{\"transactionHash\":\"" HASH
		"\",\"status\":\"0x1\",\"blockNumber\":\"0x5\",\"logs\":[");
	for (unsigned i = 0; i < 100; i++)
		x402_buf_printf(&buf,
			"%s{\"address\":\"" USDC
			"\",\"logIndex\":\"0x%x\",\"topics\":[" TOPICS(
				WORD_PAYER, WORD_US) "],\"data\":\"0xffffffff"
						     "fffffffffffffffffffffffff"
						     "fffffffffffffffffffffff"
						     "ffffffff\"}",
			i ? "," : "", i + 300);
	x402_buf_add_str(&buf, "]}");
	char *text = x402_buf_take_str(&buf);

	assert_non_null(text);
	struct chosen chosen = choose(text, NULL, 0);
	assert_int_equal(chosen.err, X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(strncmp(chosen.text, "100 transfers", 13), 0);
	assert_true(strlen(chosen.text) < sizeof(chosen.text) - 1);
	assert_non_null(strstr(chosen.text, "and 94 more"));
	assert_int_equal(choose(text, NULL, 100).transfer.twin, 99);
	free(text);
}

/* ---- The nonce. ---- */

static void assert_nonce(
	uint64_t chain_id, uint64_t value, uint64_t twin, const char *expected)
{
	struct x402__refund_transfer transfer = {
		.value = x402_u256_from_u64(value), .twin = twin};
	struct x402__refund_ask ask = {.nth = 7};
	uint8_t nonce32[32];

	hex_fixed(HASH, ask.hash32, sizeof(ask.hash32));
	hex_fixed(US, ask.us.bytes, sizeof(ask.us.bytes));
	hex_fixed(PAYER, transfer.from.bytes, sizeof(transfer.from.bytes));
	hex_fixed(USDC, transfer.asset.bytes, sizeof(transfer.asset.bytes));
	assert_int_equal(x402__refund_nonce(chain_id, &ask, &transfer, nonce32),
		X402_OK);
	assert_hex(nonce32, sizeof(nonce32), expected);
}

/* By viem: keccak256(encodePacked(["string", "uint256", "address", "bytes32",
 * "address", "address", "uint256", "uint256"], ["x402 refund 1", chain, USDC,
 * HASH, PAYER, US, value, twin])). */
static void test_nonce_is_that_of_its_chain_and_transfer(void **state)
{
	(void)state;
	assert_nonce(84532, 1000, 0,
		"0xe622e1823d1dac756806ee4e5dd3d6c060e958d4e6b2cf1e8be55963e2b9"
		"f785");
	assert_nonce(84532, 1000, 1,
		"0xffbfb64700059892e8a14d06ccf7f1442c4ec68087e668d0ba3f50cbff20"
		"af74");
	assert_nonce(8453, 1000, 1,
		"0x7226f3b2b1e0238847d12209e00b2db53deed7f7de2d5661eab5e86cd95f"
		"10ce");
	assert_nonce(84532, 1001, 0,
		"0x36dba8d6707cf889d0072f44ba959484f9850c03df4f63913c6f791f81e4"
		"b248");
}

/* ---- What may be spent. ---- */

static size_t allowed_by(struct x402_client_options options,
	const struct x402_u256 *max_unpriced, const char *asset,
	uint64_t *ret_cap)
{
	struct x402_amount *list = NULL;
	struct x402_u256 cap;

	assert_int_equal(x402__refund_allow(&options, max_unpriced,
				 "eip155:84532", asset, &list),
		X402_OK);
	*ret_cap = 0;
	if (options.allowed_assets_len) {
		cap = x402_amount_value(
			&options.allowed_assets[options.allowed_assets_len -
				1]);
		assert_true(x402_u256_to_u64(&cap, ret_cap));
	}
	free(list);
	return options.allowed_assets_len;
}

static void test_allow_widens_nothing_but_an_unpriced_token(void **state)
{
	struct x402_u256 units = x402_u256_from_u64(5);
	struct x402_u256 more = x402_u256_from_u64(900);
	struct x402_client_options options = X402_CLIENT_OPTIONS_INIT;
	struct x402_asset_id id;
	uint64_t cap = 0;

	(void)state;
	/* A further limit of the caller's is no leave to pay. */
	options.max_atomic = &more;
	assert_int_equal(allowed_by(options, NULL, USDC, &cap), 0);
	assert_int_equal(allowed_by(options, NULL, US, &cap), 0);
	assert_int_equal(allowed_by(options, &more, USDC, &cap), 0);
	assert_int_equal(allowed_by(options, &more, US, &cap), 1);
	assert_int_equal(cap, 900);
	/* Nor is the caller's own cap for the token taken away. */
	assert_int_equal(x402_asset_id_init("eip155:84532", US, &id), X402_OK);
	struct x402_amount own = x402_amount_init(&units, &id);

	options.allowed_assets = &own;
	options.allowed_assets_len = 1;
	assert_int_equal(allowed_by(options, &more, US, &cap), 1);
	assert_int_equal(cap, 5);
	assert_int_equal(allowed_by(options, &more, USDC, &cap), 1);
	assert_int_equal(cap, 5);
	assert_int_equal(allowed_by(options, &more, PAYER, &cap), 2);
	assert_int_equal(cap, 900);
}

/* ---- How much. ---- */

static enum x402_err amount_of(const char *network, const char *asset,
	const struct x402_client_refund_options *options, uint64_t *ret_value)
{
	struct x402__refund_transfer transfer = {
		.value = x402_u256_from_u64(1000)};
	char text[X402_CLIENT_REFUND_TEXT_SIZE] = "";
	struct x402_u256 amount;

	hex_fixed(asset, transfer.asset.bytes, sizeof(transfer.asset.bytes));
	enum x402_err err = x402__refund_amount(
		network, &transfer, options, text, &amount);
	if (!err)
		assert_true(x402_u256_to_u64(&amount, ret_value));
	else
		assert_int_not_equal(text[0], '\0');
	return err;
}

static void test_amount_is_all_of_it_or_what_was_asked_for(void **state)
{
	struct x402_client_refund_options options =
		X402_CLIENT_REFUND_OPTIONS_INIT;
	struct x402_u256 units = x402_u256_from_u64(1000);
	uint64_t value = 0;

	(void)state;
	assert_int_equal(
		amount_of("eip155:84532", USDC, &options, &value), X402_OK);
	assert_int_equal(value, 1000);
	options.amount_usd_micros = 400;
	assert_int_equal(
		amount_of("eip155:84532", USDC, &options, &value), X402_OK);
	assert_int_equal(value, 400);
	options.amount = &units;
	assert_int_equal(
		amount_of("eip155:84532", USDC, &options, &value), X402_OK);
	assert_int_equal(value, 1000);
}

static void test_amount_above_what_came_or_of_nothing_is_refused(void **state)
{
	struct x402_client_refund_options options =
		X402_CLIENT_REFUND_OPTIONS_INIT;
	uint64_t value = 0;

	(void)state;
	for (uint64_t units = 0; units <= 1001; units += 1001) {
		struct x402_u256 amount = x402_u256_from_u64(units);

		options.amount = &amount;
		assert_int_equal(
			amount_of("eip155:84532", USDC, &options, &value),
			X402_ERR_INVALID_ARGUMENT);
	}
	options.amount = NULL;
	options.amount_usd_micros = 1001;
	assert_int_equal(amount_of("eip155:84532", USDC, &options, &value),
		X402_ERR_INVALID_ARGUMENT);
}

static void test_amount_in_dollars_of_an_unknown_asset_is_refused(void **state)
{
	struct x402_client_refund_options options =
		X402_CLIENT_REFUND_OPTIONS_INIT;
	uint64_t value = 0;

	(void)state;
	options.amount_usd_micros = 400;
	assert_int_equal(amount_of("eip155:84532", US, &options, &value),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(amount_of("eip155:1", USDC, &options, &value),
		X402_ERR_INVALID_ARGUMENT);
}

/* ---- Names. ---- */

#define WORD_32 \
	"0000000000000000000000000000000000000000000000000000000000000020"

static void test_name_is_a_short_printable_string_or_none(void **state)
{
	static const struct {
		const char *hex;
		const char *name; /* NULL: none */
	} rows[] = {
		{"0x" WORD_32 "000000000000000000000000000000000000000000000000"
		 "0000000000000004"
		 "5553444300000000000000000000000000000000000000000000000000"
		 "000000",
			"USDC"},
		/* A control character, and no character at all. */
		{"0x" WORD_32 "000000000000000000000000000000000000000000000000"
		 "0000000000000004"
		 "5553440a00000000000000000000000000000000000000000000000000"
		 "000000",
			NULL},
		{"0x" WORD_32 "000000000000000000000000000000000000000000000000"
		 "0000000000000000",
			NULL},
		/* Longer than it is. */
		{"0x" WORD_32 "000000000000000000000000000000000000000000000000"
		 "0000000000000044"
		 "5553444300000000000000000000000000000000000000000000000000"
		 "000000",
			NULL},
		{"0x" WORD_32, NULL},
		{"0x", NULL},
		{"USDC", NULL},
		{NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[X402__REFUND_NAME_SIZE] = "";
		bool ok = x402__refund_read_name(rows[i].hex, name);

		assert_int_equal(ok, rows[i].name != NULL);
		assert_string_equal(name, rows[i].name ? rows[i].name : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choose_takes_the_one_transfer_to_us),
		cmocka_unit_test(test_choose_of_several_wants_payer_or_number),
		cmocka_unit_test(test_choose_same_payer_twice_wants_a_number),
		cmocka_unit_test(
			test_choose_twins_are_counted_whatever_else_is_there),
		cmocka_unit_test(
			test_allow_widens_nothing_but_an_unpriced_token),
		cmocka_unit_test(
			test_choose_overlooks_what_is_no_transfer_to_us),
		cmocka_unit_test(
			test_choose_from_nobody_or_of_nothing_is_refused),
		cmocka_unit_test(
			test_choose_failed_or_missing_transaction_pays_nothing),
		cmocka_unit_test(test_choose_unreadable_receipts_are_refused),
		cmocka_unit_test(
			test_choose_logs_that_are_not_whole_are_refused),
		cmocka_unit_test(
			test_choose_names_the_first_of_many_and_counts_the_rest),
		cmocka_unit_test(test_nonce_is_that_of_its_chain_and_transfer),
		cmocka_unit_test(
			test_amount_is_all_of_it_or_what_was_asked_for),
		cmocka_unit_test(
			test_amount_above_what_came_or_of_nothing_is_refused),
		cmocka_unit_test(
			test_amount_in_dollars_of_an_unknown_asset_is_refused),
		cmocka_unit_test(test_name_is_a_short_printable_string_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
