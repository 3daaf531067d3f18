/* Messages of the DNS: what a name server may answer, and what a stranger who
 * owns an address may have it answer. */
#include "dns_house.h"

#define ID   0x1234
#define NAME "7.2.0.192.in-addr.arpa"

static void test_dns_reverse_writes_both_families(void **state)
{
	static const struct {
		const char *ip;
		const char *name;
	} rows[] = {
		{"192.0.2.7", NAME},
		{"::ffff:192.0.2.7", NAME},
		{"2001:db8::1",
			"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
			"8.b.d.0.1.0.0.2.ip6.arpa"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char name[X402__DNS_NAME_SIZE];
		uint8_t ip16[16] = {0};

		if (inet_pton(AF_INET, rows[i].ip, ip16 + 12) == 1)
			memset(ip16 + 10, 0xff, 2);
		else
			assert_int_equal(
				inet_pton(AF_INET6, rows[i].ip, ip16), 1);
		x402__dns_reverse(ip16, name);
		assert_string_equal(name, rows[i].name);
	}
}

static void test_dns_write_makes_a_question(void **state)
{
	static const uint8_t expected[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0,
		0, 0, 1, 'a', 3, 'b', 'c', 'd', 0, 0, 12, 0, 1};
	uint8_t message[X402__DNS_MESSAGE_SIZE];

	(void)state;
	assert_int_equal(x402__dns_write(ID, "a.bcd", X402__DNS_PTR, message),
		sizeof(expected));
	assert_memory_equal(message, expected, sizeof(expected));
}

static void test_dns_write_refuses_what_is_no_name(void **state)
{
	static char longer[300];
	static const char *const bad[] = {"", ".", "a..b", ".a", "a.",
		("0123456789012345678901234567890123456789012345678901234567890"
		 "123.example")};
	uint8_t message[X402__DNS_MESSAGE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			x402__dns_write(ID, bad[i], X402__DNS_A, message), 0);
	for (size_t i = 0; i < sizeof(longer) - 1; i++)
		longer[i] = i % 2 ? '.' : 'a';
	assert_int_equal(x402__dns_write(ID, longer, X402__DNS_A, message), 0);
}

static enum x402__dns_verdict read_as(const struct x402_buf *buf,
	enum x402__dns_type type, struct x402__dns_answer *answer)
{
	/* As long as it is and no longer, so that ASan sees one too far. */
	uint8_t *copy = malloc(buf->len ? buf->len : 1);
	enum x402__dns_verdict verdict;

	assert_non_null(copy);
	if (buf->len)
		memcpy(copy, buf->ptr, buf->len);
	verdict = x402__dns_read(
		x402_span(copy, buf->len), ID, NAME, type, answer);
	free(copy);
	return verdict;
}

static void test_dns_read_finds_names(void **state)
{
	static const struct dns_record records[] = {
		{"", X402__DNS_PTR, 3600, "Crawl-7.Good.Example"},
		{"other.example", X402__DNS_PTR, 1, "bad.example"},
		{"", X402__DNS_PTR, 60, "no_such.example"},
		{"", X402__DNS_A, 1, "192.0.2.1"},
	};
	struct x402__dns_answer answer;
	struct x402_buf buf = {0};

	(void)state;
	dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_PTR, records, 4);
	assert_int_equal(
		read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_FOUND);
	assert_int_equal(answer.names_len, 2);
	assert_string_equal(answer.names[0], "crawl-7.good.example");
	assert_string_equal(answer.names[1], "no_such.example");
	assert_int_equal(answer.ttl_s, 60);
	x402_buf_clear(&buf);
}

/* RFC 2317: a part of a network is answered for under an alias. */
static void test_dns_read_follows_aliases(void **state)
{
	static const struct dns_record records[] = {
		{"", X402__DNS_CNAME, 30, "7.0/25.2.0.192.in-addr.arpa"},
		{"7.0/25.2.0.192.in-addr.arpa", X402__DNS_PTR, 600,
			"a.good.example"},
		{"", X402__DNS_PTR, 600, "not.the.alias"},
	};
	struct x402__dns_answer answer;
	struct x402_buf buf = {0};

	(void)state;
	dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_PTR, records, 3);
	assert_int_equal(
		read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_FOUND);
	assert_int_equal(answer.names_len, 1);
	assert_string_equal(answer.names[0], "a.good.example");
	assert_int_equal(answer.ttl_s, 30);
	x402_buf_clear(&buf);
}

static void test_dns_read_aliases_in_a_ring_end(void **state)
{
	struct dns_record records[20];
	struct x402__dns_answer answer;
	struct x402_buf buf = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		records[i] = (struct dns_record){"", X402__DNS_CNAME, 1, NAME};
	dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_PTR, records, 20);
	assert_int_equal(
		read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_FAILED);
	x402_buf_clear(&buf);
}

static void test_dns_read_finds_addresses(void **state)
{
	static const struct dns_record four[] = {
		{"", X402__DNS_A, 60, "192.0.2.7"},
		{"", X402__DNS_AAAA, 60, "2001:db8::1"}};
	static const uint8_t expected[16] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 7};
	struct x402__dns_answer answer;
	struct x402_buf buf = {0};

	(void)state;
	dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_A, four, 2);
	assert_int_equal(read_as(&buf, X402__DNS_A, &answer), X402__DNS_FOUND);
	assert_int_equal(answer.addresses_len, 1);
	assert_memory_equal(answer.addresses[0], expected, 16);
	x402_buf_clear(&buf);
}

static void test_dns_read_more_than_its_room_is_left_out(void **state)
{
	struct dns_record records[10];
	struct x402__dns_answer answer;
	struct x402_buf buf = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(records); i++)
		records[i] = (struct dns_record){
			"", X402__DNS_PTR, 60, "a.example"};
	dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_PTR, records, 10);
	assert_int_equal(
		read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_FOUND);
	assert_int_equal(answer.names_len, X402__DNS_NAMES_MAX);
	x402_buf_clear(&buf);
}

static void test_dns_read_names_that_are_no_hosts_are_left_out(void **state)
{
	static const char *const bad[] = {"a b.example", "localhost",
		"a\n.example", "a/b.example", "<b>.example", "a\\.example",
		"\x80.example"};
	struct x402__dns_answer answer;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct dns_record record = {
			"", X402__DNS_PTR, 60, bad[i]};
		struct x402_buf buf = {0};

		dns_put_answer(
			&buf, ID, 0x8180, NAME, X402__DNS_PTR, &record, 1);
		if (read_as(&buf, X402__DNS_PTR, &answer) == X402__DNS_FOUND)
			fail_msg("%s", bad[i]);
		x402_buf_clear(&buf);
	}
}

static void test_dns_read_says_what_the_server_says(void **state)
{
	static const struct {
		unsigned flags;
		enum x402__dns_verdict verdict;
	} rows[] = {{0x8180, X402__DNS_NOTHING}, {0x8183, X402__DNS_NOTHING},
		{0x8182, X402__DNS_FAILED}, {0x8185, X402__DNS_FAILED},
		{0x8380, X402__DNS_FAILED}, {0x0100, X402__DNS_STRAY},
		{0x8980, X402__DNS_STRAY}};
	struct x402__dns_answer answer;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct x402_buf buf = {0};

		dns_put_answer(
			&buf, ID, rows[i].flags, NAME, X402__DNS_PTR, NULL, 0);
		assert_int_equal(
			read_as(&buf, X402__DNS_PTR, &answer), rows[i].verdict);
		x402_buf_clear(&buf);
	}
}

static void test_dns_read_answers_to_others_are_strays(void **state)
{
	static const struct dns_record record = {
		"", X402__DNS_PTR, 60, "a.example"};
	static const struct {
		uint16_t id;
		const char *name;
		enum x402__dns_type type;
	} rows[] = {{ID + 1, NAME, X402__DNS_PTR},
		{ID, "8.2.0.192.in-addr.arpa", X402__DNS_PTR},
		{ID, NAME, X402__DNS_A}};
	struct x402__dns_answer answer;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct x402_buf buf = {0};

		dns_put_answer(&buf, rows[i].id, 0x8180, rows[i].name,
			rows[i].type, &record, 1);
		assert_int_equal(
			read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_STRAY);
		x402_buf_clear(&buf);
	}
}

/* Cut anywhere, it is never found, and nothing is read behind its end. */
static void test_dns_read_a_message_cut_short_is_not_found(void **state)
{
	static const struct dns_record records[] = {
		{"", X402__DNS_CNAME, 30, "x.y.z"},
		{"x.y.z", X402__DNS_PTR, 600, "a.good.example"}};
	struct x402__dns_answer answer;
	struct x402_buf buf = {0};
	size_t whole;

	(void)state;
	dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_PTR, records, 2);
	whole = buf.len;
	for (buf.len = 0; buf.len < whole; buf.len++)
		if (read_as(&buf, X402__DNS_PTR, &answer) == X402__DNS_FOUND)
			fail_msg("cut at %zu", buf.len);
	assert_int_equal(
		read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_FOUND);
	x402_buf_clear(&buf);
}

static void test_dns_read_pointers_only_go_back(void **state)
{
	/* Where a record's name points: to itself, ahead, into the end. */
	static const unsigned targets[] = {0xc000u | 52, 0xc000u | 54, 0xffffu};
	struct x402__dns_answer answer;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
		struct x402_buf buf = {0};

		dns_put_answer(&buf, ID, 0x8180, NAME, X402__DNS_PTR, NULL, 0);
		buf.ptr[7] = 1;
		assert_int_equal(buf.len, 40);
		dns_put16(&buf, 0xc00c);
		dns_put16(&buf, X402__DNS_PTR);
		dns_put16(&buf, 1);
		dns_put16(&buf, 0);
		dns_put16(&buf, 60);
		dns_put16(&buf, 2);
		dns_put16(&buf, targets[i]);
		assert_int_not_equal(
			read_as(&buf, X402__DNS_PTR, &answer), X402__DNS_FOUND);
		x402_buf_clear(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dns_reverse_writes_both_families),
		cmocka_unit_test(test_dns_write_makes_a_question),
		cmocka_unit_test(test_dns_write_refuses_what_is_no_name),
		cmocka_unit_test(test_dns_read_finds_names),
		cmocka_unit_test(test_dns_read_follows_aliases),
		cmocka_unit_test(test_dns_read_aliases_in_a_ring_end),
		cmocka_unit_test(test_dns_read_finds_addresses),
		cmocka_unit_test(test_dns_read_more_than_its_room_is_left_out),
		cmocka_unit_test(
			test_dns_read_names_that_are_no_hosts_are_left_out),
		cmocka_unit_test(test_dns_read_says_what_the_server_says),
		cmocka_unit_test(test_dns_read_answers_to_others_are_strays),
		cmocka_unit_test(
			test_dns_read_a_message_cut_short_is_not_found),
		cmocka_unit_test(test_dns_read_pointers_only_go_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
