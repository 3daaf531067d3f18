/*
 * Buffers: growth, handing over, and that a failed buffer stays failed.
 */
#include "cmocka_house.h"

static void test_buf_starts_empty(void **state)
{
	struct x402_buf buf = {0};

	(void)state;
	assert_int_equal(x402_buf_span(&buf).len, 0);
	x402_buf_clear(&buf);
	x402_buf_clear(NULL);
}

static void test_buf_grows_and_keeps_bytes(void **state)
{
	struct x402_buf buf = {0};

	(void)state;
	for (int i = 0; i < 10000; i++)
		x402_buf_add_byte(&buf, (uint8_t)i);
	assert_false(buf.failed);
	assert_int_equal(buf.len, 10000);
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf.ptr[i], (uint8_t)i);
	x402_buf_clear(&buf);
	assert_null(buf.ptr);
}

/* Who asked for room beforehand is not moved: bytes may be secret. */
static void test_buf_stays_where_there_is_room(void **state)
{
	(void)state;
	for (size_t len = 1; len < 1000; len++) {
		struct x402_buf asked = {0};
		struct x402_buf first = {0};
		const uint8_t *at;

		x402_buf_reserve(&asked, len);
		at = asked.ptr;
		assert_non_null(at);
		for (size_t i = 0; i < len; i++)
			x402_buf_add_byte(&asked, 'x');
		assert_ptr_equal(asked.ptr, at);
		assert_false(asked.failed);
		/* And a text takes the NUL that its caller adds. */
		x402_buf_add_zeros(&first, len);
		at = first.ptr;
		x402_buf_add_byte(&first, 0);
		assert_ptr_equal(first.ptr, at);
		x402_buf_clear(&asked);
		x402_buf_clear(&first);
	}
}

static void test_buf_printf_formats_long_text(void **state)
{
	struct x402_buf buf = {0};
	char *text;

	(void)state;
	x402_buf_add_str(&buf, "a");
	x402_buf_printf(&buf, "%0200d|%s", 7, "end");
	text = x402_buf_take_str(&buf);
	assert_non_null(text);
	assert_int_equal(strlen(text), 205);
	assert_string_equal(text + 200, "7|end");
	assert_null(buf.ptr);
	free(text);
}

static void test_buf_take_str_of_nothing_is_empty(void **state)
{
	struct x402_buf buf = {0};
	char *text = x402_buf_take_str(&buf);

	(void)state;
	assert_string_equal(text, "");
	free(text);
}

static void test_buf_add_zeros_gives_their_place(void **state)
{
	struct x402_buf buf = {0};
	uint8_t *zeros;

	(void)state;
	x402_buf_add_str(&buf, "xy");
	zeros = x402_buf_add_zeros(&buf, 3);
	assert_ptr_equal(zeros, buf.ptr + 2);
	assert_memory_equal(buf.ptr, "xy\0\0\0", 5);
	x402_buf_clear(&buf);
}

static void test_buf_refuses_absurd_size(void **state)
{
	struct x402_buf buf = {0};

	(void)state;
	x402_buf_add_str(&buf, "kept");
	assert_null(x402_buf_add_zeros(&buf, SIZE_MAX - 2));
	assert_true(buf.failed);
	x402_buf_add_str(&buf, "more");
	assert_int_equal(buf.len, 4);
	assert_null(x402_buf_take_str(&buf));
	assert_null(buf.ptr);
}

static void test_wipe_clears_all(void **state)
{
	uint8_t secret[7] = {1, 2, 3, 4, 5, 6, 7};

	(void)state;
	x402_wipe(secret, sizeof(secret));
	assert_memory_equal(secret, "\0\0\0\0\0\0\0", 7);
	x402_wipe(NULL, 0);
}

static void test_equal_ct_sees_every_byte(void **state)
{
	uint8_t a[32] = {0};
	uint8_t b[32] = {0};

	(void)state;
	assert_true(x402_equal_ct(a, b, 32));
	for (int i = 0; i < 32; i++) {
		b[i] = 0x80;
		assert_false(x402_equal_ct(a, b, 32));
		b[i] = 0;
	}
	assert_true(x402_equal_ct(NULL, NULL, 0));
}

static void test_span_str_takes_null(void **state)
{
	(void)state;
	assert_int_equal(x402_span_str(NULL).len, 0);
	assert_int_equal(x402_span_str("abc").len, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_starts_empty),
		cmocka_unit_test(test_buf_grows_and_keeps_bytes),
		cmocka_unit_test(test_buf_stays_where_there_is_room),
		cmocka_unit_test(test_buf_printf_formats_long_text),
		cmocka_unit_test(test_buf_take_str_of_nothing_is_empty),
		cmocka_unit_test(test_buf_add_zeros_gives_their_place),
		cmocka_unit_test(test_buf_refuses_absurd_size),
		cmocka_unit_test(test_wipe_clears_all),
		cmocka_unit_test(test_equal_ct_sees_every_byte),
		cmocka_unit_test(test_span_str_takes_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
