/*
 * The page for people, as bytes: nothing that somebody wrote into it becomes
 * markup, and the QR code is the one that libqrencode makes.
 */
#include "gate_house.h"
#include "qr_p.h"

#ifdef HAVE_QRENCODE
#include <qrencode.h>
#endif

#define EVIL "\"'><script>alert(1)</script>{{script}}&amp;`=\x01"

static const struct x402_provider_price evil_price = {.network = "eip155:84532",
	.pay_to = PAY_TO,
	.amount = "12345",
	.asset = "0x5FbDB2315678afecb367f032d93F642f64180aa3",
	.decimals = 3,
	.extra_json = "{\"name\":\"<b>\\\"'Gold\",\"version\":\"1\"}"};
static const struct x402_provider_route routes[] = {
	{.pattern = "GET /cent", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /evil",
		.prices = &evil_price,
		.prices_len = 1,
		.description = EVIL},
	{.pattern = "GET /two", .prices = house_two, .prices_len = 2},
};

static void open_page(
	struct house *house, const struct x402_provider_page *page)
{
	struct x402_provider_options options = {
		.public_origin = "https://shop.example",
		.routes = routes,
		.routes_len = ARRAY_LEN(routes),
		.page = page,
	};

	house_open_with(house, &options);
}

/* The page as text; caller frees. */
static char *visit(struct house *house, const char *target)
{
	assert_int_equal(house_begin(house,
				 &(struct house_request){.target = target,
					 .names = {"Accept", "User-Agent"},
					 .values = {"a/b, Text/HTML;q=0.9",
						 "mozilla/5.0"}}),
		X402_GATE_ANSWER);
	assert_int_equal(house->decision.status, 402);
	assert_string_equal(decision_header(&house->decision, "Content-Type"),
		"text/html; charset=utf-8");
	return strndup((const char *)house->decision.body.ptr,
		house->decision.body.len);
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void test_page_says_price_payee_and_network(void **state)
{
	const struct x402_provider_page page = {.name = "Shop"};
	struct house house;
	char *text;

	(void)state;
	open_page(&house, &page);
	text = visit(&house, "/cent");
	assert_non_null(strstr(text, "<b>0.01 USDC</b> on Base Sepolia"));
	assert_non_null(strstr(text, PAY_TO));
	assert_non_null(strstr(text, "https://shop.example/cent"));
	assert_non_null(
		decision_header(&house.decision, X402_HEADER_PAYMENT_REQUIRED));
	assert_true(strlen(text) < 15 * 1024);
	free(text);
	text = visit(&house, "/two");
	assert_int_equal(count(text, "type=\"radio\""), 2);
	assert_int_equal(count(text, " checked"), 1);
	free(text);
	house_close(&house);
}

static void test_page_escapes_every_value(void **state)
{
	const struct x402_provider_page page = {.name = EVIL};
	struct house house;
	char *text;

	(void)state;
	open_page(&house, &page);
	text = visit(&house, "/evil?a=\"><img/src=x>{{script}}");
	assert_int_equal(count(text, "<script"), 1);
	assert_int_equal(count(text, "</script"), 1);
	assert_int_equal(count(text, "alert(1)<"), 0);
	assert_int_equal(count(text, "{{"), 0);
	assert_int_equal(count(text, "<img"), 0);
	assert_int_equal(count(text, "<b>"), 1);
	assert_int_equal(count(text, "\x01"), 0);
	assert_non_null(strstr(text, "12.345 &#60;b&#62;&#34;&#39;Gold"));
	free(text);
	house_close(&house);
}

static void test_page_says_why_it_was_refused(void **state)
{
	const struct x402_provider_page page = {.name = "Shop"};
	struct house house;
	char *payment;
	char *text;

	(void)state;
	open_page(&house, &page);
	payment = house_pay(&house, "/cent");
	house_begin(&house,
		&(struct house_request){.target = "/cent",
			.names = {"Accept", "User-Agent",
				X402_HEADER_PAYMENT_SIGNATURE},
			.values = {"text/html", "Mozilla", payment}});
	house_answer(&house, 200,
		"{\"isValid\":false,\"invalidReason\":\"<i>insufficient\"}");
	text = strndup(
		(const char *)house.decision.body.ptr, house.decision.body.len);
	assert_non_null(strstr(text, "&#60;i&#62;insufficient"));
	free(text);
	free(payment);
	house_close(&house);
}

static void test_page_is_for_browsers_that_read(void **state)
{
	static const struct house_request rows[] = {
		{.target = "/cent"},
		{.target = "/cent",
			.names = {"Accept"},
			.values = {"text/html"}},
		{.target = "/cent",
			.names = {"Accept", "User-Agent"},
			.values = {"*/*", "Mozilla"}},
		{.target = "/cent",
			.names = {"Accept", "User-Agent"},
			.values = {"text/html", "curl"}},
		{.target = "/cent",
			.method = "POST",
			.names = {"Accept", "User-Agent"},
			.values = {"text/html", "Mozilla"}},
	};
	const struct x402_provider_page page = {.name = "Shop"};
	struct house house;

	(void)state;
	open_page(&house, &page);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
			house_begin(&house, &rows[i]), X402_GATE_ANSWER);
		assert_string_equal(
			decision_header(&house.decision, "Content-Type"),
			"application/json");
	}
	house_close(&house);
}

static void test_page_of_ones_own(void **state)
{
	const struct x402_provider_page page = {.name = "Mine",
		.accent = "#0a5",
		.template_html = "<p>{{description}}|{{price}}|{{nonce}}</p>"
				 "<i data-required=\"{{required}}\">{{accent}}"
				 "</i>{{script}}{{unclosed"};
	struct house house;
	char *text;

	(void)state;
	open_page(&house, &page);
	text = visit(&house, "/cent");
	assert_int_equal(strncmp(text, "<p>Mine||", 9), 0);
	assert_non_null(strstr(text, "\">#0a5</i><script nonce=\""));
	assert_non_null(strstr(text, "{{unclosed"));
	free(text);
	house_close(&house);
}

static void test_page_options_are_checked(void **state)
{
	static const struct x402_provider_page bad[] = {{.accent = "red"},
		{.accent = "#12345"}, {.accent = "#ggg"}, {.accent = "#fff;}"},
		{.template_html = "<p>no script</p>"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_provider_options options = house_options();
		struct x402_provider *provider = NULL;

		options.page = &bad[i];
		assert_int_equal(x402_provider_new(&options, NULL, &provider),
			X402_ERR_INVALID_ARGUMENT);
	}
}

/* ---- QR. ---- */

static void test_qr_takes_what_fits(void **state)
{
	static const struct {
		size_t len;
		int size;
	} rows[] = {{0, 21}, {17, 21}, {18, 25}, {78, 33}, {79, 37}, {106, 37},
		{107, 41}, {230, 53}, {231, 57}, {271, 57}};
	static struct x402__qr qr;
	uint8_t bytes[272];

	(void)state;
	memset(bytes, 'a', sizeof(bytes));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(
			x402__qr_encode(x402_span(bytes, rows[i].len), &qr));
		assert_int_equal(qr.size, rows[i].size);
	}
	assert_false(x402__qr_encode(x402_span(bytes, 272), &qr));
}

#ifdef HAVE_QRENCODE
/* Which mask a symbol has, from its format marks. */
static int mask_of(const bool *bits)
{
	return (bits[2] << 2 | bits[3] << 1 | bits[4]) ^ 5;
}

static bool masks(int mask, int x, int y)
{
	const bool rules[] = {(x + y) % 2 == 0, y % 2 == 0, x % 3 == 0,
		(x + y) % 3 == 0, (x / 3 + y / 2) % 2 == 0,
		x * y % 2 + x * y % 3 == 0, (x * y % 2 + x * y % 3) % 2 == 0,
		((x + y) % 2 + x * y % 3) % 2 == 0};

	return rules[mask];
}
#endif

static void test_qr_is_libqrencodes_but_for_the_mask(void **state)
{
	(void)state;
#ifdef HAVE_QRENCODE
	static struct x402__qr qr;
	uint8_t bytes[271];

	for (int len = 1; len <= 271; len += 6) {
		QRcode *oracle;
		bool ours[5];
		bool theirs[5];
		size_t differ = 0;

		for (int i = 0; i < len; i++)
			bytes[i] = (uint8_t)(i * 37 + len);
		assert_true(
			x402__qr_encode(x402_span(bytes, (size_t)len), &qr));
		oracle = QRcode_encodeData(
			len, bytes, (qr.size - 17) / 4, QR_ECLEVEL_L);
		assert_non_null(oracle);
		assert_int_equal(oracle->width, qr.size);
		for (int i = 0; i < 5; i++) {
			ours[i] = qr.dark[8][i];
			theirs[i] = oracle->data[8 * qr.size + i] & 1;
		}
		/* Bit 0x08 of theirs: marks that no mask touches. */
		for (int y = 0; y < qr.size; y++)
			for (int x = 0; x < qr.size; x++) {
				uint8_t module = oracle->data[y * qr.size + x];
				bool fixed = module & 0x80;
				bool a = qr.dark[y][x] ^
					(!fixed && masks(mask_of(ours), x, y));
				bool b = (module & 1) ^
					(!fixed &&
						masks(mask_of(theirs), x, y));

				/* The format marks name the mask. */
				differ += a != b && !(module & 0x04);
			}
		QRcode_free(oracle);
		if (differ)
			fail_msg("%d bytes: %zu modules", len, differ);
	}
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_says_price_payee_and_network),
		cmocka_unit_test(test_page_escapes_every_value),
		cmocka_unit_test(test_page_says_why_it_was_refused),
		cmocka_unit_test(test_page_is_for_browsers_that_read),
		cmocka_unit_test(test_page_of_ones_own),
		cmocka_unit_test(test_page_options_are_checked),
		cmocka_unit_test(test_qr_takes_what_fits),
		cmocka_unit_test(test_qr_is_libqrencodes_but_for_the_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
