/* OAuth's client-credentials tokens: the question's text, every answer that a
 * token endpoint may give, and the cache by a clock of the test's. */
#include "cmocka_house.h"

#include "oauth.h"

static struct gw_oauth *oauth_of(bool in_body, uint32_t early_s)
{
	const struct gw_oauth_options options = {.client_id = "shop",
		.client_secret = "s:3%c ret",
		.scope = "read write",
		.audience = "https://api.test/",
		.secret_in_body = in_body,
		.early_s = early_s};
	struct gw_oauth *oauth = NULL;

	assert_int_equal(gw_oauth_new(&options, NULL, &oauth), X402_OK);
	return oauth;
}

static struct gw_oauth_answer get(struct gw_oauth *oauth, uint64_t now_ms)
{
	struct gw_oauth_answer answer;

	gw_oauth_get(oauth, now_ms, &answer);
	return answer;
}

static bool fetched(struct gw_oauth *oauth, unsigned status, const char *body,
	uint64_t now_ms)
{
	return gw_oauth_fetched(
		oauth, X402_OK, status, x402_span_str(body), now_ms, NULL);
}

#define TOKEN(token, life)           \
	"{\"access_token\":\"" token \
	"\",\"token_type\":\"Bearer\",\"expires_in\":" life "}"

static void question_has_the_secret_in_the_header(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 0);
	struct x402_buf header = {0};
	struct x402_buf body = {0};
	struct x402_buf both = {0};
	const char *expected = "c2hvcDpzJTNBMyUyNWMlMjByZXQ=";

	(void)state;
	assert_true(gw_oauth_request(oauth, &header, &body));
	x402_buf_add_byte(&header, 0);
	x402_buf_add_byte(&body, 0);
	assert_memory_equal(header.ptr, "Basic ", 6);
	assert_string_equal((char *)header.ptr + 6, expected);
	assert_string_equal((char *)body.ptr,
		"grant_type=client_credentials&scope=read%20write"
		"&audience=https%3A%2F%2Fapi.test%2F");
	assert_int_equal(
		x402_base64_decode(x402_span_str(expected), &both), X402_OK);
	x402_buf_add_byte(&both, 0);
	assert_string_equal((char *)both.ptr, "shop:s%3A3%25c%20ret");
	x402_buf_clear(&both);
	gw_oauth_wipe(&header);
	gw_oauth_wipe(&body);
	gw_oauth_free(oauth);
}

static void question_has_the_secret_in_the_body_where_told(void **state)
{
	struct gw_oauth *oauth = oauth_of(true, 0);
	struct x402_buf header = {0};
	struct x402_buf body = {0};

	(void)state;
	assert_true(gw_oauth_request(oauth, &header, &body));
	assert_int_equal(header.len, 0);
	x402_buf_add_byte(&body, 0);
	assert_non_null(strstr((char *)body.ptr,
		"&client_id=shop&client_secret=s%3A3%25c%20ret"));
	gw_oauth_wipe(&header);
	gw_oauth_wipe(&body);
	assert_null(body.ptr);
	gw_oauth_free(oauth);
}

static void options_that_cannot_work_are_refused(void **state)
{
	static char longer[4096];
	const struct gw_oauth_options bad[] = {
		{.client_id = NULL, .client_secret = "s"},
		{.client_id = "", .client_secret = "s"},
		{.client_id = "i", .client_secret = NULL},
		{.client_id = "i", .client_secret = ""},
		{.client_id = "i", .client_secret = "s", .early_s = 3601},
		{.client_id = longer, .client_secret = "s"},
		{.client_id = "i", .client_secret = longer},
		{.client_id = "i", .client_secret = "s", .scope = longer},
		{.client_id = "i", .client_secret = "s", .audience = longer},
	};

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_errinfo info = {.text = ""};
		struct gw_oauth *oauth = NULL;

		assert_int_equal(gw_oauth_new(&bad[i], &info, &oauth),
			X402_ERR_INVALID_ARGUMENT);
		assert_true(info.text[0]);
	}
}

static void one_fetch_serves_everybody(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 10);
	struct gw_oauth_answer answer = get(oauth, 1000);

	(void)state;
	assert_int_equal(answer.verdict, GW_OAUTH_WAIT);
	assert_true(answer.fetch);
	for (int i = 0; i < 10; i++) {
		answer = get(oauth, 1000);
		assert_int_equal(answer.verdict, GW_OAUTH_WAIT);
		assert_false(answer.fetch);
	}
	assert_true(fetched(oauth, 200, TOKEN("abc", "3600"), 1200));
	answer = get(oauth, 1200);
	assert_int_equal(answer.verdict, GW_OAUTH_TOKEN);
	assert_false(answer.fetch);
	assert_string_equal(answer.authorization, "Bearer abc");
	gw_oauth_free(oauth);
}

static void token_is_renewed_early_and_serves_on(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 10);
	struct gw_oauth_answer answer;

	(void)state;
	assert_true(get(oauth, 0).fetch);
	/* It counts from the question, not from the slow answer. */
	assert_true(fetched(oauth, 200, TOKEN("one", "100"), 5000));
	assert_false(get(oauth, 89999).fetch);
	answer = get(oauth, 90000);
	assert_true(answer.fetch);
	assert_string_equal(answer.authorization, "Bearer one");
	assert_false(get(oauth, 95000).fetch);
	assert_int_equal(get(oauth, 99999).verdict, GW_OAUTH_TOKEN);
	assert_int_equal(get(oauth, 100000).verdict, GW_OAUTH_WAIT);
	assert_true(fetched(oauth, 200, TOKEN("two", "100"), 100001));
	assert_string_equal(get(oauth, 100001).authorization, "Bearer two");
	gw_oauth_free(oauth);
}

static void short_lives_are_renewed_at_their_half(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 60);

	(void)state;
	assert_true(get(oauth, 0).fetch);
	assert_true(fetched(oauth, 200, TOKEN("a", "20"), 0));
	assert_false(get(oauth, 9999).fetch);
	assert_true(get(oauth, 10000).fetch);
	gw_oauth_free(oauth);
}

static void lives_are_read_as_servers_write_them(void **state)
{
	static const struct {
		const char *answer;
		uint64_t life_s;
	} rows[] = {
		{TOKEN("a", "60"), 60},
		{TOKEN("a", "\"60\""), 60},
		{TOKEN("a", "31536000"), GW_OAUTH_LIFE_MAX_S},
		{"{\"access_token\":\"a\",\"token_type\":\"bearer\"}",
			GW_OAUTH_LIFE_S},
		{"{\"access_token\":\"a\",\"token_type\":\"BEARER\","
		 "\"expires_in\":null}",
			GW_OAUTH_LIFE_S},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gw_oauth *oauth = oauth_of(false, 1);

		assert_true(get(oauth, 0).fetch);
		assert_true(fetched(oauth, 200, rows[i].answer, 0));
		assert_int_equal(get(oauth, rows[i].life_s * 1000 - 1).verdict,
			GW_OAUTH_TOKEN);
		assert_int_equal(get(oauth, rows[i].life_s * 1000).verdict,
			GW_OAUTH_WAIT);
		gw_oauth_free(oauth);
	}
}

static void answers_that_are_no_token_are_refused(void **state)
{
	static const struct {
		unsigned status;
		const char *body;
	} rows[] = {
		{200, ""},
		{200, "<html>"},
		{200, "[]"},
		{200, "{}"},
		{200, "{\"access_token\":7,\"token_type\":\"Bearer\"}"},
		{200, "{\"access_token\":\"\",\"token_type\":\"Bearer\"}"},
		{200, "{\"access_token\":\"a\"}"},
		{200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}"},
		{200, TOKEN("a b", "60")},
		{200, TOKEN("a\\r\\nX: y", "60")},
		{200, TOKEN("\\u00e9", "60")},
		{200, TOKEN("a", "0")},
		{200, TOKEN("a", "-5")},
		{200, TOKEN("a", "1.5")},
		{200, TOKEN("a", "\"soon\"")},
		{200, TOKEN("a", "\"\"")},
		{200, TOKEN("a", "\"99999999999999999999\"")},
		{200, TOKEN("a", "true")},
		{201, TOKEN("a", "60")},
		{302, TOKEN("a", "60")},
		{401, "{\"error\":\"invalid_client\"}"},
		{500, TOKEN("a", "60")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gw_oauth *oauth = oauth_of(false, 0);
		struct x402_errinfo info = {.text = ""};

		assert_true(get(oauth, 0).fetch);
		if (gw_oauth_fetched(oauth, X402_OK, rows[i].status,
			    x402_span_str(rows[i].body), 0, &info))
			fail_msg("%s", rows[i].body);
		assert_true(info.text[0]);
		assert_int_equal(get(oauth, 1).verdict, GW_OAUTH_FAILED);
		gw_oauth_free(oauth);
	}
}

static void reasons_are_fit_for_a_log(void **state)
{
	static const struct {
		const char *body;
		const char *has;
	} rows[] = {
		{"{\"error\":\"invalid_client\"}", "says invalid_client"},
		{"{\"error\":\"line\\nbreak\"}", "expected 200"},
		{"{\"error\":\"s:3%c ret\"}", "expected 200"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gw_oauth *oauth = oauth_of(false, 0);
		struct x402_errinfo info = {.text = ""};

		assert_true(get(oauth, 0).fetch);
		assert_false(gw_oauth_fetched(oauth, X402_OK, 401,
			x402_span_str(rows[i].body), 0, &info));
		assert_non_null(strstr(info.text, rows[i].has));
		assert_null(strchr(info.text, '\n'));
		gw_oauth_free(oauth);
	}
}

static void a_token_too_long_for_a_header_is_refused(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 0);
	struct x402_buf body = {0};

	(void)state;
	assert_true(get(oauth, 0).fetch);
	x402_buf_add_str(
		&body, "{\"token_type\":\"Bearer\",\"access_token\":\"");
	for (int i = 0; i <= GW_OAUTH_TOKEN_MAX; i++)
		x402_buf_add_byte(&body, 'a');
	x402_buf_add_str(&body, "\"}");
	assert_false(gw_oauth_fetched(
		oauth, X402_OK, 200, x402_buf_span(&body), 0, NULL));
	x402_buf_clear(&body);
	gw_oauth_free(oauth);
}

static void failures_pause_for_longer_each_time(void **state)
{
	static const uint32_t pauses[] = {
		1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
	struct gw_oauth *oauth = oauth_of(false, 0);
	uint64_t now = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pauses); i++) {
		struct gw_oauth_answer answer = get(oauth, now);

		assert_true(answer.fetch);
		assert_false(gw_oauth_fetched(oauth, X402_ERR_TIMEOUT, 0,
			x402_span(NULL, 0), now, NULL));
		answer = get(oauth, now);
		assert_int_equal(answer.verdict, GW_OAUTH_FAILED);
		assert_false(answer.fetch);
		assert_int_equal(answer.retry_ms, pauses[i]);
		now += pauses[i];
	}
	assert_true(get(oauth, now).fetch);
	assert_true(fetched(oauth, 200, TOKEN("a", "60"), now));
	assert_int_equal(get(oauth, now).verdict, GW_OAUTH_TOKEN);
	gw_oauth_free(oauth);
}

static void a_no_pauses_at_once_for_long(void **state)
{
	static const struct {
		unsigned status;
		uint32_t pause;
	} rows[] = {{400, 60000}, {401, 60000}, {404, 60000}, {408, 1000},
		{429, 1000}, {500, 1000}, {503, 1000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct gw_oauth *oauth = oauth_of(false, 0);

		assert_true(get(oauth, 0).fetch);
		assert_false(fetched(oauth, rows[i].status, "{}", 0));
		assert_int_equal(get(oauth, 0).retry_ms, rows[i].pause);
		gw_oauth_free(oauth);
	}
}

static void a_failed_renewal_leaves_the_old_token(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 10);

	(void)state;
	assert_true(get(oauth, 0).fetch);
	assert_true(fetched(oauth, 200, TOKEN("old", "100"), 0));
	assert_true(get(oauth, 90000).fetch);
	assert_false(fetched(oauth, 503, "", 90000));
	assert_string_equal(get(oauth, 90500).authorization, "Bearer old");
	assert_false(get(oauth, 90500).fetch);
	assert_true(get(oauth, 91000).fetch);
	gw_oauth_free(oauth);
}

static void a_refused_token_is_dropped_but_not_in_a_loop(void **state)
{
	struct gw_oauth *oauth = oauth_of(false, 10);
	uint64_t first;

	(void)state;
	assert_true(get(oauth, 0).fetch);
	assert_true(fetched(oauth, 200, TOKEN("a", "3600"), 0));
	first = get(oauth, 0).serial;
	/* Brand new: another would be refused as well. */
	gw_oauth_refused(oauth, first, 9999);
	assert_int_equal(get(oauth, 9999).verdict, GW_OAUTH_TOKEN);
	gw_oauth_refused(oauth, first, 10000);
	assert_true(get(oauth, 10000).fetch);
	assert_true(fetched(oauth, 200, TOKEN("b", "3600"), 10000));
	/* A late refusal of the first does not drop the second. */
	gw_oauth_refused(oauth, first, 60000);
	assert_string_equal(get(oauth, 60000).authorization, "Bearer b");
	gw_oauth_free(oauth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(question_has_the_secret_in_the_header),
		cmocka_unit_test(
			question_has_the_secret_in_the_body_where_told),
		cmocka_unit_test(options_that_cannot_work_are_refused),
		cmocka_unit_test(one_fetch_serves_everybody),
		cmocka_unit_test(token_is_renewed_early_and_serves_on),
		cmocka_unit_test(short_lives_are_renewed_at_their_half),
		cmocka_unit_test(lives_are_read_as_servers_write_them),
		cmocka_unit_test(answers_that_are_no_token_are_refused),
		cmocka_unit_test(reasons_are_fit_for_a_log),
		cmocka_unit_test(a_token_too_long_for_a_header_is_refused),
		cmocka_unit_test(failures_pause_for_longer_each_time),
		cmocka_unit_test(a_no_pauses_at_once_for_long),
		cmocka_unit_test(a_failed_renewal_leaves_the_old_token),
		cmocka_unit_test(a_refused_token_is_dropped_but_not_in_a_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
