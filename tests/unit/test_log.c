/* The log: one line for an event, and nothing a stranger sends breaks it. */
#include "cmocka_house.h"

#include "log.h"

#include <stdio.h>
#include <unistd.h>

static char path[] = "/tmp/x402-log-XXXXXX";

static int group_setup(void **state)
{
	(void)state;
	int fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return fac_log_open(path) ? -1 : 0;
}

static int group_teardown(void **state)
{
	(void)state;
	return unlink(path);
}

/* What was written since the last call; caller frees. */
static char *take(void)
{
	static char text[8192];
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	size_t len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	assert_int_equal(truncate(path, 0), 0);
	return text;
}

static void line_holds_its_members(void **state)
{
	(void)state;
	struct fac_log_line line;
	fac_log_begin(&line, FAC_LOG_INFO, "settled");
	fac_log_str(&line, "payer", "0xabc");
	fac_log_str(&line, "absent", NULL);
	fac_log_str(&line, "empty", "");
	fac_log_u64(&line, "ms", 12);
	fac_log_blame(&line, X402_BLAME_CHAIN);
	fac_log_blame(&line, X402_BLAME_NOBODY);
	fac_log_end(&line);
	const char *text = take();
	assert_int_equal(strncmp(text, "ts=2", 4), 0);
	assert_non_null(strstr(text,
		"Z level=info event=settled payer=0xabc ms=12 blame=chain\n"));
}

/* U+009B is ESC [ to a terminal, in UTF-8 and as a byte alone. */
static void value_drives_no_terminal(void **state)
{
	static const struct {
		const char *value;
		const char *shown;
	} cases[] = {{"a\xc2\x9b"
		      "31mb",
			     "text=\"a\\xc2\\x9b31mb\"\n"},
		{"a\x9b"
		 "31mb",
			"text=\"a\\x9b31mb\"\n"},
		{"\x1b[31m", "text=\"\\x1b[31m\"\n"},
		{"caf\xc3\xa9", "text=\"caf\xc3\xa9\"\n"},
		{"\xe2\x82\xac 5", "text=\"\xe2\x82\xac 5\"\n"},
		{"\xf0\x9f\x92\xb6", "text=\"\xf0\x9f\x92\xb6\"\n"},
		{"cut \xe2\x82", "text=\"cut \\xe2\\x82\"\n"},
		{"cut \xc2", "text=\"cut \\xc2\"\n"},
		{"\xff", "text=\"\\xff\"\n"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fac_log_line line;
		const char *text;

		fac_log_begin(&line, FAC_LOG_INFO, "odd");
		fac_log_str(&line, "text", cases[i].value);
		fac_log_end(&line);
		text = take();
		if (!strstr(text, cases[i].shown))
			fail_msg("%zu: %s", i, text);
	}
}

static void value_of_a_stranger_stays_one_line(void **state)
{
	(void)state;
	fac_log_text(FAC_LOG_WARN, "odd",
		"a\nlevel=error event=forged \"q\\\x1b[31m");
	const char *text = take();
	assert_non_null(strstr(text,
		"text=\"a\\x0alevel=error event=forged "
		"\\\"q\\\\\\x1b[31m\"\n"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void value_too_long_is_cut_and_says_so(void **state)
{
	(void)state;
	char value[3 * FAC_LOG_LINE_MAX];
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	fac_log_text(FAC_LOG_INFO, "long", value);
	const char *text = take();
	assert_true(strlen(text) <= FAC_LOG_LINE_MAX);
	assert_string_equal(text + strlen(text) - 7, " cut=1\n");
}

static void level_below_is_dropped(void **state)
{
	(void)state;
	fac_log_text(FAC_LOG_DEBUG, "quiet", "x");
	assert_string_equal(take(), "");
	fac_log_set_level(FAC_LOG_DEBUG);
	fac_log_text(FAC_LOG_DEBUG, "loud", "x");
	fac_log_set_level(FAC_LOG_INFO);
	assert_non_null(strstr(take(), "event=loud"));
}

static void reopen_follows_a_rotated_file(void **state)
{
	(void)state;
	char old[sizeof(path) + 4];
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(fac_log_reopen(), X402_OK);
	fac_log_text(FAC_LOG_INFO, "fresh", NULL);
	assert_non_null(strstr(take(), "event=fresh"));
	assert_int_equal(unlink(old), 0);
}

static void open_that_fails_keeps_the_old_place(void **state)
{
	(void)state;
	assert_int_equal(fac_log_open("/nonexistent/dir/log"), X402_ERR_STORE);
	fac_log_text(FAC_LOG_INFO, "still_here", NULL);
	assert_non_null(strstr(take(), "event=still_here"));
}

static void level_parse_refuses_others(void **state)
{
	(void)state;
	enum fac_log_level level = FAC_LOG_WARN;
	assert_true(fac_log_level_parse("error", &level));
	assert_int_equal(level, FAC_LOG_ERROR);
	assert_false(fac_log_level_parse("INFO", &level));
	assert_false(fac_log_level_parse("", &level));
	assert_false(fac_log_level_parse(NULL, &level));
	assert_int_equal(level, FAC_LOG_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_holds_its_members),
		cmocka_unit_test(value_of_a_stranger_stays_one_line),
		cmocka_unit_test(value_drives_no_terminal),
		cmocka_unit_test(value_too_long_is_cut_and_says_so),
		cmocka_unit_test(level_below_is_dropped),
		cmocka_unit_test(reopen_follows_a_rotated_file),
		cmocka_unit_test(open_that_fails_keeps_the_old_place),
		cmocka_unit_test(level_parse_refuses_others),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
