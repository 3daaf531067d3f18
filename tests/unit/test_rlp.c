/*
 * RLP: the forms that its description gives, and the refusal of every other
 * way to write the same.
 */
#include "cmocka_house.h"
#include "x402/transaction.h"

#define LOREM "Lorem ipsum dolor sit amet, consectetur adipisicing elit"

static void assert_written(struct x402_buf *buf, const char *expected)
{
	assert_false(buf->failed);
	assert_hex(buf->ptr, buf->len, expected);
	x402_buf_clear(buf);
}

static void test_bytes_have_their_known_forms(void **state)
{
	static const uint8_t small[] = {0x00, 0x0f, 0x7f, 0x80};
	struct x402_buf buf = {0};

	(void)state;
	x402_rlp_add_bytes(&buf, x402_span_str("dog"));
	assert_written(&buf, "0x83646f67");
	x402_rlp_add_bytes(&buf, x402_span(NULL, 0));
	assert_written(&buf, "0x80");
	for (size_t i = 0; i < sizeof(small); i++)
		x402_rlp_add_bytes(&buf, x402_span(small + i, 1));
	assert_written(&buf, "0x000f7f8180");
	x402_rlp_add_bytes(&buf, x402_span_str(LOREM));
	assert_int_equal(buf.len, 58);
	assert_hex(buf.ptr, 3, "0xb8384c");
	assert_memory_equal(buf.ptr + 2, LOREM, 56);
	x402_buf_clear(&buf);
}

static void test_numbers_have_their_known_forms(void **state)
{
	struct x402_u256 wide;
	struct x402_buf buf = {0};

	(void)state;
	x402_rlp_add_u64(&buf, 0);
	x402_rlp_add_u64(&buf, 15);
	x402_rlp_add_u64(&buf, 127);
	x402_rlp_add_u64(&buf, 128);
	x402_rlp_add_u64(&buf, 1024);
	x402_rlp_add_u64(&buf, UINT64_MAX);
	assert_written(&buf, "0x800f7f818082040088ffffffffffffffff");
	wide = x402_u256_from_u64(0);
	x402_rlp_add_u256(&buf, &wide);
	wide = x402_u256_from_u64(1024);
	x402_rlp_add_u256(&buf, &wide);
	memset(&wide, 0xff, sizeof(wide));
	x402_rlp_add_u256(&buf, &wide);
	assert_written(&buf,
		"0x80820400a0fffffffffffffffffffffffffffffffffffffffffffffffff"
		"fffffffffffffff");
}

static void test_lists_have_their_known_forms(void **state)
{
	struct x402_buf items = {0};
	struct x402_buf empty = {0};
	struct x402_buf one = {0};
	struct x402_buf buf = {0};

	(void)state;
	x402_rlp_add_bytes(&items, x402_span_str("cat"));
	x402_rlp_add_bytes(&items, x402_span_str("dog"));
	x402_rlp_add_list(&buf, x402_buf_span(&items));
	assert_written(&buf, "0xc88363617483646f67");
	x402_buf_clear(&items);
	/* Three as sets: [ [], [[]], [ [], [[]] ] ]. */
	x402_rlp_add_list(&empty, x402_span(NULL, 0));
	x402_rlp_add_list(&one, x402_buf_span(&empty));
	x402_buf_add(&items, x402_buf_span(&empty));
	x402_buf_add(&items, x402_buf_span(&one));
	x402_rlp_add_list(&buf, x402_buf_span(&items));
	x402_buf_add(&items, x402_buf_span(&buf));
	x402_buf_clear(&buf);
	x402_rlp_add_list(&buf, x402_buf_span(&items));
	assert_written(&buf, "0xc7c0c1c0c3c0c1c0");
	x402_buf_clear(&items);
	x402_buf_clear(&empty);
	x402_buf_clear(&one);
}

/* Around each length where the header changes its form. */
static void test_lengths_come_back(void **state)
{
	static const struct {
		size_t len;
		const char *bytes_header;
		const char *list_header;
	} cases[] = {
		{2, "0x82", "0xc2"},
		{33, "0xa1", "0xe1"},
		{55, "0xb7", "0xf7"},
		{56, "0xb838", "0xf838"},
		{255, "0xb8ff", "0xf8ff"},
		{256, "0xb90100", "0xf90100"},
		{65535, "0xb9ffff", "0xf9ffff"},
		{65536, "0xba010000", "0xfa010000"},
	};
	static uint8_t payload[65536];

	(void)state;
	memset(payload, 0x61, sizeof(payload));
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		size_t len = cases[i / 2].len;
		bool want_list = i % 2;
		const char *header = want_list ? cases[i / 2].list_header
					       : cases[i / 2].bytes_header;
		struct x402_buf buf = {0};
		struct x402_span input;
		struct x402_span item;
		bool is_list;

		if (want_list)
			x402_rlp_add_list(&buf, x402_span(payload, len));
		else
			x402_rlp_add_bytes(&buf, x402_span(payload, len));
		assert_hex(buf.ptr, buf.len - len, header);
		input = x402_buf_span(&buf);
		assert_int_equal(
			x402_rlp_next(&input, &is_list, &item), X402_OK);
		assert_int_equal(is_list, want_list);
		assert_int_equal(item.len, len);
		assert_memory_equal(item.ptr, payload, len);
		assert_int_equal(input.len, 0);
		/* One byte less, and it is cut short. */
		input = x402_span(buf.ptr, buf.len - 1);
		assert_int_equal(x402_rlp_next(&input, &is_list, &item),
			X402_ERR_SYNTAX);
		x402_buf_clear(&buf);
	}
}

static void test_items_are_taken_one_by_one(void **state)
{
	static const uint8_t items[] = {0x05, 0x82, 0x04, 0x00, 0xc0, 0x80};
	struct x402_span input = x402_span(items, sizeof(items));
	struct x402_span item;
	uint64_t value;
	bool is_list;

	(void)state;
	assert_int_equal(x402_rlp_next(&input, &is_list, &item), X402_OK);
	assert_int_equal(x402_rlp_read_u64(item, &value), X402_OK);
	assert_int_equal(value, 5);
	assert_int_equal(x402_rlp_next(&input, &is_list, &item), X402_OK);
	assert_int_equal(x402_rlp_read_u64(item, &value), X402_OK);
	assert_int_equal(value, 1024);
	assert_int_equal(x402_rlp_next(&input, &is_list, &item), X402_OK);
	assert_true(is_list);
	assert_int_equal(x402_rlp_next(&input, &is_list, &item), X402_OK);
	assert_false(is_list);
	assert_int_equal(x402_rlp_read_u64(item, &value), X402_OK);
	assert_int_equal(value, 0);
	assert_int_equal(
		x402_rlp_next(&input, &is_list, &item), X402_ERR_SYNTAX);
}

static void test_other_forms_are_refused(void **state)
{
	static const char *const bad[] = {
		"0x",                   /* nothing */
		"0x8100",               /* one small byte in long form */
		"0x817f",               /* the same */
		"0x81",                 /* its byte is missing */
		"0x83646f",             /* cut short */
		"0xb80161",             /* long length for a short text */
		"0xb837",               /* the longest of these */
		"0xb838",               /* the right form, without its bytes */
		"0xb90038",             /* leading zero in the length */
		"0xbf",                 /* length is missing */
		"0xbfffffffffffffffff", /* length near 2^64 */
		"0xbfffffffffffffffff61616161",
		"0xbf8000000000000000", /* 2^63 */
		"0xc883636174",         /* list cut short */
		"0xf800",               /* long length for a short list */
		"0xf837",               /* the same */
		"0xf90038",             /* leading zero in the length */
		"0xff",                 /* length is missing */
		"0xffffffffffffffffff", /* length near 2^64 */
		"0xfffffffffffffffff7", /* and header would wrap round */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_buf bytes = {0};
		struct x402_span input;
		struct x402_span item = {NULL, 77};
		bool is_list = true;

		assert_int_equal(x402_hex_decode(bad[i], &bytes), X402_OK);
		input = x402_buf_span(&bytes);
		assert_int_equal(x402_rlp_next(&input, &is_list, &item),
			X402_ERR_SYNTAX);
		/* Nothing was taken and nothing was given. */
		assert_int_equal(input.len, bytes.len);
		assert_int_equal(item.len, 77);
		assert_true(is_list);
		x402_buf_clear(&bytes);
	}
}

/*
 * The long forms of texts up to 55 bytes are whole otherwise, so only the
 * rule of the shortest form refuses them.
 */
static void test_long_form_of_short_text_is_refused(void **state)
{
	uint8_t text[2 + 55] = {0};

	(void)state;
	for (uint8_t len = 0; len <= 55; len++) {
		for (size_t form = 0; form < 2; form++) {
			struct x402_span input = x402_span(text, 2u + len);
			struct x402_span item;
			bool is_list;

			text[0] = form ? 0xf8 : 0xb8;
			text[1] = len;
			assert_int_equal(x402_rlp_next(&input, &is_list, &item),
				X402_ERR_SYNTAX);
		}
	}
}

/* Whole as well: only the zero before the length is one too many. */
static void test_padded_length_is_refused(void **state)
{
	uint8_t text[1 + 8 + 56] = {0};

	(void)state;
	for (uint8_t n = 2; n <= 8; n++) {
		for (size_t form = 0; form < 2; form++) {
			struct x402_span input = x402_span(text, 1u + n + 56u);
			struct x402_span item;
			bool is_list;

			memset(text, 0, sizeof(text));
			text[0] = (uint8_t)((form ? 0xf7 : 0xb7) + n);
			text[n] = 56;
			assert_int_equal(x402_rlp_next(&input, &is_list, &item),
				X402_ERR_SYNTAX);
		}
	}
}

static void test_numbers_refuse_leading_zeros_and_excess(void **state)
{
	static const uint8_t zero[] = {0};
	static const uint8_t padded[] = {0, 1};
	static const uint8_t nine[9] = {1};
	static const uint8_t wide[33] = {1};
	struct x402_u256 value;
	uint64_t small = 77;

	(void)state;
	assert_int_equal(
		x402_rlp_read_u64(x402_span(zero, 1), &small), X402_ERR_SYNTAX);
	assert_int_equal(x402_rlp_read_u64(x402_span(padded, 2), &small),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_rlp_read_u64(x402_span(nine, 9), &small), X402_ERR_SYNTAX);
	assert_int_equal(small, 77);
	assert_int_equal(x402_rlp_read_u256(x402_span(zero, 1), &value),
		X402_ERR_SYNTAX);
	assert_int_equal(x402_rlp_read_u256(x402_span(padded, 2), &value),
		X402_ERR_SYNTAX);
	assert_int_equal(x402_rlp_read_u256(x402_span(wide, 33), &value),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_rlp_read_u256(x402_span(wide, 32), &value), X402_OK);
	assert_true(value.limb[3] == (uint64_t)1 << 56);
	assert_int_equal(
		x402_rlp_read_u256(x402_span(NULL, 0), &value), X402_OK);
	assert_true(x402_u256_is_zero(&value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes_have_their_known_forms),
		cmocka_unit_test(test_numbers_have_their_known_forms),
		cmocka_unit_test(test_lists_have_their_known_forms),
		cmocka_unit_test(test_lengths_come_back),
		cmocka_unit_test(test_items_are_taken_one_by_one),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_long_form_of_short_text_is_refused),
		cmocka_unit_test(test_padded_length_is_refused),
		cmocka_unit_test(test_numbers_refuse_leading_zeros_and_excess),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
