/*
 * Secrets in memory and in files: who may read them, what is never written
 * over, and where a wallet of a name lies.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_house.h"
#include "x402/wallet.h"

static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	(void)snprintf(
		directory, sizeof(directory), "%s", "/tmp/x402-wallet-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int drop_directory(void **state)
{
	(void)state;
	char command[128];
	static const char *const names[] = {"key", "loose", "pipe", "new"};
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(
			command, sizeof(command), "%s/%s", directory, names[i]);
		(void)unlink(command);
	}
	return rmdir(directory);
}

static const char *file(const char *name)
{
	static char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void test_file_written_is_private_and_reads_back(void **state)
{
	(void)state;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};
	struct stat st;

	assert_int_equal(x402_secret_file_write(
				 file("key"), x402_span_str("secret"), &info),
		X402_OK);
	assert_int_equal(stat(file("key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(x402_secret_file_read(file("key"),
				 X402_SECRET_OWNER_ONLY, 100, &info, &text),
		X402_OK);
	assert_int_equal(text.len, 6);
	assert_memory_equal(text.ptr, "secret", 6);
	x402_locked_clear(&text);
	assert_null(text.ptr);
	x402_locked_clear(&text);
	x402_locked_clear(NULL);
}

static void test_file_taken_name_is_never_written_over(void **state)
{
	(void)state;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};

	assert_int_equal(x402_secret_file_write(
				 file("new"), x402_span_str("first"), &info),
		X402_OK);
	assert_int_equal(x402_secret_file_write(
				 file("new"), x402_span_str("second"), &info),
		X402_ERR_CONFLICT);
	assert_non_null(strstr(info.text, "not written over"));
	assert_int_equal(x402_secret_file_read(file("new"),
				 X402_SECRET_OWNER_ONLY, 100, &info, &text),
		X402_OK);
	assert_memory_equal(text.ptr, "first", 5);
	x402_locked_clear(&text);
}

static void test_file_others_may_read_is_refused(void **state)
{
	(void)state;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};
	static const mode_t modes[] = {0640, 0604, 0660, 0610, 0601};

	assert_int_equal(x402_secret_file_write(
				 file("loose"), x402_span_str("secret"), &info),
		X402_OK);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(file("loose"), modes[i]), 0);
		assert_int_equal(
			x402_secret_file_read(file("loose"),
				X402_SECRET_OWNER_ONLY, 100, &info, &text),
			X402_ERR_POLICY);
		assert_non_null(strstr(info.text, "chmod 600"));
	}
	assert_int_equal(chmod(file("loose"), 0640), 0);
	assert_int_equal(
		x402_secret_file_read(file("loose"),
			X402_SECRET_OWNER_AND_GROUP, 100, &info, &text),
		X402_OK);
	x402_locked_clear(&text);
	assert_int_equal(chmod(file("loose"), 0604), 0);
	assert_int_equal(
		x402_secret_file_read(file("loose"),
			X402_SECRET_OWNER_AND_GROUP, 100, &info, &text),
		X402_ERR_POLICY);
}

static void test_file_that_is_none_is_refused(void **state)
{
	(void)state;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_locked text = {0};

	assert_int_equal(mkfifo(file("pipe"), 0600), 0);
	assert_int_equal(x402_secret_file_read(file("pipe"),
				 X402_SECRET_OWNER_ONLY, 100, &info, &text),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(x402_secret_file_read(file("none"),
				 X402_SECRET_OWNER_ONLY, 100, &info, &text),
		X402_ERR_NOT_FOUND);
	assert_int_equal(x402_secret_file_read(file("key"),
				 X402_SECRET_OWNER_ONLY, 5, &info, &text),
		X402_ERR_TOO_LARGE);
	assert_null(text.ptr);
}

static void test_generate_gives_distinct_keys(void **state)
{
	(void)state;
	struct x402_secret one;
	struct x402_secret two;
	struct x402_address address;

	assert_int_equal(x402_wallet_generate(&one), X402_OK);
	assert_int_equal(x402_wallet_generate(&two), X402_OK);
	assert_memory_not_equal(one.bytes, two.bytes, 32);
	assert_int_equal(x402_wallet_address(&one, &address), X402_OK);
	memset(one.bytes, 0, sizeof(one.bytes));
	assert_int_equal(x402_wallet_address(&one, &address), X402_ERR_KEY);
}

static void test_name_is_no_path(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", ".", "..", "-x", ".x", "a b", "a\nb", "a;b", "\xc3\xa4"};
	char *path = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(x402_wallet_name_valid(bad[i]));
		assert_int_equal(x402_wallet_path(bad[i], &path),
			X402_ERR_INVALID_ARGUMENT);
	}
	assert_false(x402_wallet_name_valid(NULL));
	assert_true(x402_wallet_name_valid("agent-1.test_A"));
	assert_false(x402_wallet_name_valid("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
					    "a"));
}

static void assert_path(const char *name, const char *want)
{
	char *path = NULL;
	assert_int_equal(x402_wallet_path(name, &path), X402_OK);
	assert_string_equal(path, want);
	free(path);
}

static void test_path_follows_the_xdg_rules(void **state)
{
	(void)state;
	assert_int_equal(setenv("HOME", "/home/a", 1), 0);
	assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
	assert_int_equal(unsetenv("X402_WALLET_DIR"), 0);
	assert_path("w", "/home/a/.local/share/x402/wallets/w.json");
	assert_int_equal(setenv("XDG_DATA_HOME", "relative", 1), 0);
	assert_path("w", "/home/a/.local/share/x402/wallets/w.json");
	assert_int_equal(setenv("XDG_DATA_HOME", "/data", 1), 0);
	assert_path("w", "/data/x402/wallets/w.json");
	assert_int_equal(setenv("X402_WALLET_DIR", "/own", 1), 0);
	assert_path("w", "/own/w.json");
	assert_path("./w", "./w");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_written_is_private_and_reads_back),
		cmocka_unit_test(test_file_taken_name_is_never_written_over),
		cmocka_unit_test(test_file_others_may_read_is_refused),
		cmocka_unit_test(test_file_that_is_none_is_refused),
		cmocka_unit_test(test_generate_gives_distinct_keys),
		cmocka_unit_test(test_name_is_no_path),
		cmocka_unit_test(test_path_follows_the_xdg_rules),
	};
	return cmocka_run_group_tests(tests, make_directory, drop_directory);
}
