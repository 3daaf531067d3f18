/*
 * Events of a stream, taken off its front: whole ones only, in both spellings
 * of a line's end, however they come in.
 */
#include "cmocka_house.h"
#include "mcp_sse_p.h"

static void assert_event(
	const char *text, size_t len, const char *name, const char *data)
{
	struct x402__sse_event event;

	assert_true(x402__sse_take(x402_span_str(text), &event));
	assert_int_equal(event.len, len);
	assert_string_equal(event.name, name);
	assert_int_equal(event.data.len, strlen(data));
	assert_memory_equal(event.data.len ? (const char *)event.data.ptr : "",
		data, strlen(data));
	x402_buf_clear(&event.data);
}

static void test_event_has_a_name_and_lines(void **state)
{
	(void)state;
	assert_event("event: endpoint\ndata: /messages?id=1\n\nrest", 38,
		"endpoint", "/messages?id=1");
	assert_event("data:{\ndata: }\n\n", 16, "", "{\n}");
	assert_event("id: 7\r\nevent:message\r\ndata: x\r\n\r\n", 33, "message",
		"x");
	/* One space belongs to the form, the second to the text. */
	assert_event("data:  x\n\n", 10, "", " x");
	assert_event(": a comment\n\n", 13, "", "");
	assert_event("\n", 1, "", "");
}

static void test_event_name_that_is_longer_is_none(void **state)
{
	(void)state;
	assert_event("event: 123456789012345\n\n", 24, "123456789012345", "");
	assert_event("event: 1234567890123456\n\n", 25, "", "");
}

static void test_event_that_is_not_whole_is_left(void **state)
{
	static const char text[] =
		"event: endpoint\r\ndata: /a\r\ndata: b\r\n\r\n";
	struct x402__sse_event event;

	(void)state;
	for (size_t len = 0; len < strlen(text); len++)
		assert_false(x402__sse_take(x402_span(text, len), &event));
	assert_event(text, strlen(text), "endpoint", "/a\nb");
	assert_false(x402__sse_take(x402_span(NULL, 0), &event));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_event_has_a_name_and_lines),
		cmocka_unit_test(test_event_name_that_is_longer_is_none),
		cmocka_unit_test(test_event_that_is_not_whole_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
