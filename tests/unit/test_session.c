/*
 * Scopes, grants and the ledger: what is inside, what is refused and by which
 * name, and that counting survives crashes and other processes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmocka_house.h"
#include "scratch_house.h"
#include "x402/network.h"
#include "x402/session.h"

#define KEY   "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define NOW   1795239000u

static char path[64];

static int make_path(void **state)
{
	(void)state;
	(void)snprintf(
		path, sizeof(path), "%s/x402-ledger-XXXXXX", scratch_root());
	int fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int drop_path(void **state)
{
	(void)state;
	return unlink(path);
}

static struct x402_session_ask ask_of(uint64_t value)
{
	struct x402_session_ask ask = {.url = "https://shop.example/a",
		.network = "eip155:84532",
		.asset = USDC,
		.value = x402_u256_from_u64(value),
		.now_unix_s = NOW};
	assert_int_equal(x402_address_parse(PAYEE, &ask.pay_to), X402_OK);
	return ask;
}

static struct x402_session_scope full_scope(void)
{
	struct x402_session_scope scope = {.expires_unix_s = NOW + 100,
		.max_count = 3,
		.max_usd_micros = 1000,
		.total_usd_micros = 2500};
	assert_int_equal(
		x402_session_scope_host(&scope, "shop.example"), X402_OK);
	assert_int_equal(
		x402_session_scope_host(&scope, "*.other.example"), X402_OK);
	assert_int_equal(
		x402_session_scope_network(&scope, "eip155:*"), X402_OK);
	assert_int_equal(x402_session_scope_payee(&scope, PAYEE), X402_OK);
	return scope;
}

static void assert_denied(const struct x402_session_scope *scope,
	const struct x402_session_ask *ask, const char *field)
{
	struct x402_errinfo info = {{0}, {0}};
	uint64_t worth = 77;
	assert_int_equal(
		x402_session_judge(scope, ask, &info, &worth), X402_ERR_POLICY);
	assert_string_equal(info.field, field);
	assert_int_equal(worth, 77);
}

/* ---- Scopes. ---- */

static void test_judge_inside_gives_the_worth(void **state)
{
	(void)state;
	struct x402_session_scope scope = full_scope();
	struct x402_session_ask ask = ask_of(1000);
	uint64_t worth = 0;

	assert_int_equal(
		x402_session_judge(&scope, &ask, NULL, &worth), X402_OK);
	assert_int_equal(worth, 1000);
	ask.url = "https://a.OTHER.example:8443/x?y";
	assert_int_equal(
		x402_session_judge(&scope, &ask, NULL, &worth), X402_OK);
}

static void test_judge_outside_names_the_limit(void **state)
{
	(void)state;
	struct x402_session_scope scope = full_scope();
	struct x402_session_ask ask = ask_of(1001);

	assert_denied(&scope, &ask, "maxAmount");
	ask = ask_of(1);
	ask.now_unix_s = NOW + 100;
	assert_denied(&scope, &ask, "expires");
	ask = ask_of(1);
	ask.network = "solana:x";
	assert_denied(&scope, &ask, "networks");
	ask = ask_of(1);
	ask.pay_to.bytes[0] ^= 1;
	assert_denied(&scope, &ask, "payees");
	ask = ask_of(1);
	ask.asset = PAYEE;
	assert_denied(&scope, &ask, "asset");
}

static void test_judge_host_tricks_are_denied(void **state)
{
	(void)state;
	struct x402_session_scope scope = full_scope();
	struct x402_session_ask ask = ask_of(1);
	static const char *const urls[] = {"https://shop.example.evil.test/",
		"https://evil.test/shop.example",
		"https://shop.example@evil.test/", "https://other.example/",
		"https://notother.example/", "https://xshop.example/",
		"ftp://shop.example/", "", NULL};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		ask.url = urls[i];
		assert_denied(&scope, &ask, "hosts");
	}
}

static void test_judge_fractions_of_a_micro_dollar_count_whole(void **state)
{
	(void)state;
	/* MNEE and BSC's USDC have 18 decimals, where the table has them. */
	for (size_t i = 0; x402_known_asset_at(i); i++) {
		const struct x402_default_asset *asset = x402_known_asset_at(i);
		struct x402_session_scope scope = {0};
		struct x402_session_ask ask = {.url = "https://a.test/",
			.network = asset->network,
			.asset = asset->address,
			.value = x402_u256_from_u64(1),
			.now_unix_s = NOW};
		uint64_t worth = 0;
		enum x402_err err = x402_session_judge(
			&scope, &ask, NULL, &worth);
		if (asset->usd) {
			assert_int_equal(err, X402_OK);
			assert_int_equal(worth, 1);
		} else {
			assert_int_equal(err, X402_ERR_POLICY);
		}
	}
}

static void test_scope_what_can_be_none_is_refused(void **state)
{
	(void)state;
	struct x402_session_scope scope = {0};

	assert_int_equal(x402_session_scope_host(&scope, ""), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_session_scope_host(&scope, "*."), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_session_scope_host(&scope, "a/b"), X402_ERR_SYNTAX);
	assert_int_equal(x402_session_scope_host(&scope, "*"), X402_ERR_SYNTAX);
	assert_int_equal(
		x402_session_scope_network(&scope, "bas"), X402_ERR_SYNTAX);
	/* A typing error in mixed case. */
	assert_int_not_equal(
		x402_session_scope_payee(
			&scope, "0x90F79bf6EB2c4f870365E785982E1f101E93B906"),
		X402_OK);
	assert_int_equal(x402_session_scope_network(&scope, "base"), X402_OK);
	assert_string_equal(scope.networks[0], "eip155:8453");
	for (size_t i = 0; i < X402_SESSION_LIST_MAX; i++)
		assert_int_equal(
			x402_session_scope_host(&scope, "a.test"), X402_OK);
	assert_int_equal(
		x402_session_scope_host(&scope, "a.test"), X402_ERR_RANGE);
}

/* ---- Grants. ---- */

static struct x402_locked issue(struct x402_session_grant *grant)
{
	struct x402_secret wallet;
	struct x402_locked file = {0};

	*grant = (struct x402_session_grant){
		.issued_unix_s = NOW, .scope = full_scope()};
	assert_int_equal(x402_secret_parse(KEY, &wallet), X402_OK);
	assert_int_equal(x402_session_issue(&wallet, grant, &file), X402_OK);
	return file;
}

static void test_grant_issued_reads_back(void **state)
{
	(void)state;
	struct x402_session_grant made;
	struct x402_session_grant read = {.id = ""};
	struct x402_json *json = NULL;
	struct x402_secret key;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked file = issue(&made);

	assert_int_equal(x402_session_file_read(x402_locked_span(&file), &info,
				 &read, &json, &key),
		X402_OK);
	assert_string_equal(read.id, made.id);
	assert_memory_equal(&read.wallet, &made.wallet, 20);
	assert_memory_equal(&read.scope, &made.scope, sizeof(made.scope));
	x402_json_unref(json);
	x402_locked_clear(&file);
}

static void test_grant_altered_anywhere_is_refused(void **state)
{
	(void)state;
	static const char *const swaps[][2] = {{"\"2500\"", "\"9500\""},
		{"\"maxCount\":\"3\"", "\"maxCount\":\"0\""},
		{"shop.example", "evil.example"}, {"eip155:*", "eip155:1"},
		{"1795239100", "1895239100"}};
	struct x402_session_grant grant;
	struct x402_locked file = issue(&grant);

	for (size_t i = 0; i < sizeof(swaps) / sizeof(swaps[0]); i++) {
		struct x402_json *json = NULL;
		struct x402_secret key;
		char text[4096] = {0};
		assert_true(file.len < sizeof(text));
		memcpy(text, file.ptr, file.len);
		char *at = strstr(text, swaps[i][0]);
		assert_non_null(at);
		memcpy(at, swaps[i][1], strlen(swaps[i][1]));
		assert_int_equal(strlen(swaps[i][0]), strlen(swaps[i][1]));
		assert_int_equal(x402_session_file_read(x402_span_str(text),
					 NULL, &grant, &json, &key),
			X402_ERR_CRYPTO);
		assert_null(json);
	}
	x402_locked_clear(&file);
}

static void test_grant_without_end_or_cap_is_not_issued(void **state)
{
	(void)state;
	struct x402_secret wallet;
	struct x402_locked file = {0};
	struct x402_session_grant grant = {
		.issued_unix_s = NOW, .scope = full_scope()};

	assert_int_equal(x402_secret_parse(KEY, &wallet), X402_OK);
	grant.scope.total_usd_micros = 0;
	assert_int_equal(
		x402_session_issue(&wallet, &grant, &file), X402_ERR_RANGE);
	grant.scope = full_scope();
	grant.scope.expires_unix_s = 0;
	assert_int_equal(
		x402_session_issue(&wallet, &grant, &file), X402_ERR_RANGE);
	grant.scope.expires_unix_s = NOW;
	assert_int_equal(
		x402_session_issue(&wallet, &grant, &file), X402_ERR_RANGE);
	assert_null(file.ptr);
}

/* ---- The ledger. ---- */

static struct x402_session_ledger *open_ledger(void)
{
	struct x402_session_ledger *ledger = NULL;
	struct x402_errinfo info = {{0}, {0}};
	assert_int_equal(
		x402_session_ledger_open(path, &info, &ledger), X402_OK);
	return ledger;
}

static enum x402_err spend(
	struct x402_session_ledger *ledger, uint32_t number, uint64_t worth)
{
	struct x402_session_scope scope = full_scope();
	uint8_t digest32[32] = {1};
	memcpy(digest32 + 1, &number, sizeof(number));
	return x402_session_ledger_reserve(
		ledger, &scope, digest32, worth, NOW, NULL);
}

static void test_ledger_count_and_total_hold(void **state)
{
	(void)state;
	struct x402_session_ledger *ledger = open_ledger();
	struct x402_session_usage usage = {0};

	assert_int_equal(spend(ledger, 1, 1000), X402_OK);
	/* The same payment again is the same payment. */
	assert_int_equal(spend(ledger, 1, 1000), X402_OK);
	assert_int_equal(spend(ledger, 2, 1501), X402_ERR_POLICY);
	assert_int_equal(spend(ledger, 2, 1000), X402_OK);
	assert_int_equal(spend(ledger, 3, 501), X402_ERR_POLICY);
	assert_int_equal(spend(ledger, 3, 500), X402_OK);
	assert_int_equal(spend(ledger, 4, 0), X402_ERR_POLICY);
	assert_int_equal(
		x402_session_ledger_usage(ledger, NULL, &usage), X402_OK);
	assert_int_equal(usage.count, 3);
	assert_int_equal(usage.usd_micros, 2500);
	x402_session_ledger_free(ledger);
	/* And after a restart. */
	ledger = open_ledger();
	assert_int_equal(spend(ledger, 4, 0), X402_ERR_POLICY);
	assert_int_equal(spend(ledger, 2, 1000), X402_OK);
	x402_session_ledger_free(ledger);
	x402_session_ledger_free(NULL);
}

static void test_ledger_two_handles_are_one(void **state)
{
	(void)state;
	struct x402_session_ledger *a = open_ledger();
	struct x402_session_ledger *b = open_ledger();

	assert_int_equal(spend(a, 1, 900), X402_OK);
	assert_int_equal(spend(b, 2, 900), X402_OK);
	assert_int_equal(spend(a, 3, 900), X402_ERR_POLICY);
	assert_int_equal(spend(b, 3, 700), X402_OK);
	assert_int_equal(spend(a, 4, 0), X402_ERR_POLICY);
	x402_session_ledger_free(a);
	x402_session_ledger_free(b);
}

static void test_ledger_processes_never_exceed_it_together(void **state)
{
	(void)state;
	struct x402_session_usage usage = {0};
	pid_t children[4];

	for (uint32_t c = 0; c < 4; c++) {
		children[c] = fork();
		assert_true(children[c] >= 0);
		if (children[c] == 0) {
			struct x402_session_ledger *own = NULL;
			struct x402_session_scope scope = {
				.expires_unix_s = NOW + 1,
				.total_usd_micros = 50};
			if (x402_session_ledger_open(path, NULL, &own))
				_exit(1);
			for (uint32_t i = 0; i < 30; i++) {
				uint8_t digest32[32] = {
					1, (uint8_t)c, (uint8_t)i};
				(void)!x402_session_ledger_reserve(
					own, &scope, digest32, 1, NOW, NULL);
			}
			_exit(0);
		}
	}
	for (size_t c = 0; c < 4; c++) {
		int status = 1;
		assert_int_equal(waitpid(children[c], &status, 0), children[c]);
		assert_int_equal(status, 0);
	}
	struct x402_session_ledger *ledger = open_ledger();
	assert_int_equal(
		x402_session_ledger_usage(ledger, NULL, &usage), X402_OK);
	assert_int_equal(usage.usd_micros, 50);
	assert_int_equal(usage.count, 50);
	x402_session_ledger_free(ledger);
}

static void test_ledger_revoked_signs_nothing_more(void **state)
{
	(void)state;
	struct x402_session_ledger *a = open_ledger();
	struct x402_session_ledger *b = open_ledger();

	assert_int_equal(spend(a, 1, 1), X402_OK);
	assert_int_equal(x402_session_ledger_revoke(b, NULL), X402_OK);
	assert_int_equal(x402_session_ledger_revoke(b, NULL), X402_OK);
	assert_int_equal(spend(a, 2, 1), X402_ERR_POLICY);
	/* Not even what was signed before. */
	assert_int_equal(spend(a, 1, 1), X402_ERR_POLICY);
	x402_session_ledger_free(a);
	x402_session_ledger_free(b);
}

static void test_ledger_torn_line_is_cut_off(void **state)
{
	(void)state;
	struct x402_session_ledger *ledger = open_ledger();
	struct stat whole;
	struct stat st;

	assert_int_equal(spend(ledger, 1, 1000), X402_OK);
	x402_session_ledger_free(ledger);
	assert_int_equal(stat(path, &whole), 0);
	int fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "p 0123", 6), 6);
	close(fd);
	ledger = open_ledger();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, whole.st_size);
	assert_int_equal(spend(ledger, 2, 1000), X402_OK);
	assert_int_equal(spend(ledger, 3, 501), X402_ERR_POLICY);
	x402_session_ledger_free(ledger);
}

static void test_ledger_damaged_or_shrunk_signs_nothing(void **state)
{
	(void)state;
	struct x402_session_ledger *ledger = open_ledger();
	struct x402_session_ledger *other = NULL;

	assert_int_equal(spend(ledger, 1, 1000), X402_OK);
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(spend(ledger, 2, 1), X402_ERR_STORE);
	x402_session_ledger_free(ledger);
	ledger = open_ledger();
	assert_int_equal(spend(ledger, 1, 1000), X402_OK);
	int fd = open(path, O_WRONLY);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	assert_int_equal(
		x402_session_ledger_open(path, NULL, &other), X402_ERR_STORE);
	assert_null(other);
	x402_session_ledger_free(ledger);
}

static void test_ledger_removed_or_open_to_others_signs_nothing(void **state)
{
	(void)state;
	struct x402_session_ledger *ledger = open_ledger();
	struct x402_session_ledger *other = NULL;
	struct x402_errinfo info = {{0}, {0}};

	assert_int_equal(spend(ledger, 1, 1000), X402_OK);
	assert_int_equal(chmod(path, 0620), 0);
	assert_int_equal(
		x402_session_ledger_open(path, &info, &other), X402_ERR_STORE);
	assert_null(other);
	assert_non_null(strstr(info.text, "mode 600"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(spend(ledger, 2, 1), X402_ERR_STORE);
	x402_session_ledger_free(ledger);
	ledger = open_ledger();
	x402_session_ledger_free(ledger);
}

static void test_ledger_many_payments_are_all_known_again(void **state)
{
	(void)state;
	struct x402_session_scope scope = {.max_count = 500};
	struct x402_session_ledger *ledger = open_ledger();
	struct x402_session_usage usage = {0};

	for (int round = 0; round < 2; round++)
		for (uint32_t i = 0; i < 500; i++) {
			uint8_t digest32[32] = {0};
			memcpy(digest32 + 28, &i, sizeof(i));
			digest32[0] = 1;
			assert_int_equal(
				x402_session_ledger_reserve(
					ledger, &scope, digest32, 1, NOW, NULL),
				X402_OK);
		}
	assert_int_equal(
		x402_session_ledger_usage(ledger, NULL, &usage), X402_OK);
	assert_int_equal(usage.count, 500);
	x402_session_ledger_free(ledger);
}

#define WITH_PATH(test) \
	cmocka_unit_test_setup_teardown(test, make_path, drop_path)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judge_inside_gives_the_worth),
		cmocka_unit_test(test_judge_outside_names_the_limit),
		cmocka_unit_test(test_judge_host_tricks_are_denied),
		cmocka_unit_test(
			test_judge_fractions_of_a_micro_dollar_count_whole),
		cmocka_unit_test(test_scope_what_can_be_none_is_refused),
		cmocka_unit_test(test_grant_issued_reads_back),
		cmocka_unit_test(test_grant_altered_anywhere_is_refused),
		cmocka_unit_test(test_grant_without_end_or_cap_is_not_issued),
		WITH_PATH(test_ledger_count_and_total_hold),
		WITH_PATH(test_ledger_two_handles_are_one),
		WITH_PATH(test_ledger_processes_never_exceed_it_together),
		WITH_PATH(test_ledger_revoked_signs_nothing_more),
		WITH_PATH(test_ledger_torn_line_is_cut_off),
		WITH_PATH(test_ledger_damaged_or_shrunk_signs_nothing),
		WITH_PATH(test_ledger_removed_or_open_to_others_signs_nothing),
		WITH_PATH(test_ledger_many_payments_are_all_known_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
