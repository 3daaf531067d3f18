/*
 * The configuration: what is right is read, what is wrong is named with file
 * and line, keys stay where they belong.
 */
#include "cmocka_house.h"

#include "config.h"

#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"

static char dir[] = "/tmp/x402-config-XXXXXX";
static char conf_path[128];
static char key_path[128];

static void write_file(const char *path, const char *text, mode_t mode)
{
	(void)unlink(path);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int group_setup(void **state)
{
	(void)state;
	if (sodium_init() < 0 || !mkdtemp(dir))
		return -1;
	snprintf(conf_path, sizeof(conf_path), "%s/f.conf", dir);
	snprintf(key_path, sizeof(key_path), "%s/key", dir);
	write_file(key_path, KEY "\n", 0600);
	assert_int_equal(setenv("TEST_KEY_FILE", key_path, 1), 0);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	(void)unlink(conf_path);
	(void)unlink(key_path);
	return rmdir(dir);
}

#define CHAIN_OPEN                                 \
	"chain \"eip155:84532\" {\n"               \
	"rpc_urls = {\"http://127.0.0.1:8545\"}\n" \
	"signer_key_file = {\"${TEST_KEY_FILE}\"}\n"
#define CHAIN CHAIN_OPEN "}\n"
#define STORE "store = \"/tmp/s.sqlite\"\n"

static struct fac_config *load_good(const char *text)
{
	struct x402_buf problems = {0};
	struct fac_config *config = NULL;

	write_file(conf_path, text, 0600);
	enum x402_err err = fac_config_load(conf_path, &problems, &config);
	if (err)
		print_error("%.*s", (int)problems.len, (char *)problems.ptr);
	assert_int_equal(err, X402_OK);
	x402_buf_clear(&problems);
	return config;
}

static void file_minimal_gets_defaults(void **state)
{
	(void)state;
	struct fac_config *config = load_good(STORE CHAIN);
	assert_string_equal(config->host, "127.0.0.1");
	assert_int_equal(config->port, 4022);
	assert_true(config->workers >= 1);
	assert_int_equal(config->settings.response_deadline_ms, 25000);
	assert_string_equal(config->settings.cors_origin, "*");
	assert_int_equal(config->chains_len, 1);
	assert_string_equal(config->chains[0].network.caip2, "eip155:84532");
	assert_int_equal(config->chains[0].network.chain_id, 84532);
	assert_string_equal(
		config->chains[0].rpc_urls[0], "http://127.0.0.1:8545");
	assert_int_equal(config->chains[0].signers_len, 1);
	assert_hex(config->chains[0].signers[0], 32, KEY);
	fac_config_free(config);
}

static void file_full_reads_every_member(void **state)
{
	(void)state;
	struct fac_config *config = load_good(
		"listen = \"[::1]:0\"\nworkers = 3\n" STORE
		"response_deadline = 7\nverify_deadline = 3\n"
		"max_body_bytes = 4096\nmax_connections = 9\n"
		"cors_origin = \"https://a.example\"\ndiscovery_post = false\n"
		"log_level = debug\n" CHAIN_OPEN
		"max_fee_gwei = 9\nmax_priority_fee_gwei = 2\n"
		"max_gas = 300000\nconfirmations = 4\nrpc_timeout = 2\n"
		"rpc_head_lag_max = 8\nrpc_hedge_ms = -1\nrpc_rps = 25\n}\n"
		"chain \"eip155:8453\" {\nrpc_urls = "
		"{\"https://a.example/k\", \"https://b.example\"}\n"
		"signer_key_file = {\"${TEST_KEY_FILE}\"}\n}\n");
	assert_string_equal(config->host, "::1");
	assert_int_equal(config->port, 0);
	assert_int_equal(config->workers, 3);
	assert_int_equal(config->settings.response_deadline_ms, 7000);
	assert_int_equal(config->settings.verify_deadline_ms, 3000);
	assert_int_equal(config->max_body_bytes, 4096);
	assert_int_equal(config->max_connections, 9);
	assert_false(config->settings.discovery_post);
	assert_int_equal(config->settings.log_level, FAC_LOG_DEBUG);
	assert_int_equal(config->chains[0].max_fee_gwei, 9);
	assert_int_equal(config->chains[0].max_priority_fee_gwei, 2);
	assert_int_equal(config->chains[0].max_gas, 300000);
	assert_int_equal(config->chains[0].settling.confirmations, 4);
	assert_int_equal(config->chains[0].rpc_timeout_ms, 2000);
	assert_int_equal(config->chains[0].rpc_head_lag_max, 8);
	assert_int_equal(config->chains[0].rpc_hedge_ms, -1);
	assert_int_equal(config->chains[0].rpc_rps, 25);
	assert_int_equal(config->chains[1].rpc_head_lag_max, 3);
	assert_int_equal(config->chains[1].rpc_hedge_ms, 0);
	assert_int_equal(config->chains[1].rpc_rps, 0);
	assert_int_equal(config->chains_len, 2);
	assert_int_equal(config->chains[1].rpc_urls_len, 2);
	fac_config_free(config);
}

/* A misspelt ceiling is refused; an absent one is a ceiling all the same. */
static void other_tokens_have_a_ceiling_unless_it_is_lifted(void **state)
{
	struct fac_config *config = load_good(STORE CHAIN_OPEN
		"}\n"
		"chain \"eip155:137\" {\nrpc_urls = {\"http://a.example\"}\n"
		"signer_key_file = {\"${TEST_KEY_FILE}\"}\n}\n");
	struct fac_config *other;
	struct x402_buf text = {0};
	char *dump;

	(void)state;
	assert_int_equal(fac_config_settling_others(
				 &config->chains[0].settling, "eip155:84532"),
		10000000);
	assert_int_equal(fac_config_settling_others(
				 &config->chains[1].settling, "eip155:137"),
		10000000000);
	fac_config_dump(config, &text);
	dump = x402_buf_take_str(&text);
	assert_non_null(strstr(dump, "daily_other_tokens_gwei = 10000000\n"));
	assert_non_null(
		strstr(dump, "daily_other_tokens_gwei = 10000000000\n"));
	free(dump);
	fac_config_free(config);
	config = load_good(STORE CHAIN_OPEN "daily_other_tokens_gwei = 0\n}\n");
	assert_int_equal(fac_config_settling_others(
				 &config->chains[0].settling, "eip155:84532"),
		0);
	other = load_good(STORE CHAIN_OPEN "daily_other_tokens_gwei = 7\n}\n");
	assert_int_equal(fac_config_settling_others(
				 &other->chains[0].settling, "eip155:137"),
		7);
	fac_config_compare(config, other, &text);
	dump = x402_buf_take_str(&text);
	assert_string_equal(dump, "chain ");
	free(dump);
	fac_config_free(other);
	fac_config_free(config);
}

/* Each is wrong in one thing; said must be in what is printed. */
static const struct {
	const char *text;
	const char *said;
} bad_files[] = {
	{STORE "colour = red\n" CHAIN, "f.conf:2: no such option 'colour'"},
	{STORE "chain \"eip155:1\" {\nspeed = 1\n}\n", "f.conf:3: "},
	{CHAIN, "store is missing"},
	{STORE, "expected at least one chain section"},
	{STORE "workers = many\n" CHAIN, "f.conf:2: "},
	{STORE "workers = 65\n" CHAIN, "f.conf:2: workers: expected"},
	{STORE "workers = -1\n" CHAIN, "f.conf:2: workers: expected"},
	{STORE "retention_days = -1\n" CHAIN, "retention_days: expected"},
	{STORE "instance = \"a b\"\n" CHAIN, "instance: expected"},
	{STORE "response_deadline = 0\n" CHAIN, "response_deadline: expected"},
	{STORE "response_deadline = 601\n" CHAIN,
		"response_deadline: expected"},
	{STORE "verify_deadline = 0\n" CHAIN, "verify_deadline: expected"},
	{STORE "max_body_bytes = 12\n" CHAIN, "max_body_bytes: expected"},
	{STORE "max_connections = 0\n" CHAIN, "max_connections: expected"},
	{STORE "listen = \"a:b:c\"\n" CHAIN, "listen: expected"},
	{STORE "listen = \"127.0.0.1:65536\"\n" CHAIN, "listen: expected"},
	{STORE "listen = \"[::1\"\n" CHAIN, "listen: expected"},
	{STORE "log_level = loud\n" CHAIN, "log_level: expected"},
	{STORE "cors_origin = \"a\\r\\nb\"\n" CHAIN, "cors_origin: expected"},
	{STORE CHAIN CHAIN, "f.conf:"},
	{STORE "chain \"base\" {\nrpc_urls = {\"http://a\"}\n}\n",
		"expected \"eip155:\" and a chain id"},
	{STORE "chain \"cosmos:x\" {\nrpc_urls = {\"http://a\"}\n}\n",
		"or \"solana:\" and a genesis hash"},
	{STORE "chain \"solana:x\" {\nrpc_urls = {\"http://a\"}\n"
	       "signer_key_file = {\"${TEST_KEY_FILE}\"}\n}\n",
		"expected a Solana key"},
	{STORE CHAIN_OPEN "max_compute_units = 1400001\n}\n",
		"max_compute_units: expected"},
	{STORE CHAIN_OPEN "max_priority_fee_lamports = 0\n}\n",
		"max_priority_fee_lamports: expected"},
	{STORE "chain \"eip155:1\" {\n"
	       "signer_key_file = {\"${TEST_KEY_FILE}\"}\n}\n",
		"rpc_urls is missing"},
	{STORE "chain \"eip155:1\" {\nrpc_urls = {\"http://a\"}\n}\n",
		"signer_key_file: expected 1 to"},
	{STORE "chain \"eip155:1\" {\nrpc_urls = {\"ftp://a\"}\n}\n",
		"rpc_urls: entry 1 is no http"},
	{STORE "chain \"eip155:1\" {\nrpc_urls = {\"http://\"}\n}\n",
		"rpc_urls: entry 1 is no http"},
	{STORE CHAIN_OPEN "rpc_head_lag_max = 0\n}\n",
		"rpc_head_lag_max: expected"},
	{STORE CHAIN_OPEN "rpc_hedge_ms = -2\n}\n", "rpc_hedge_ms: expected"},
	{STORE CHAIN_OPEN "rpc_rps = -1\n}\n", "rpc_rps: expected"},
	{STORE CHAIN_OPEN "max_fee_gwei = 0\n}\n", "max_fee_gwei: expected"},
	{STORE CHAIN_OPEN "max_gas = 20999\n}\n", "max_gas: expected"},
	{STORE CHAIN_OPEN "confirmations = 0\n}\n", "confirmations: expected"},
	{STORE CHAIN_OPEN "confirmations = soon\n}\n",
		"submitted, safe or finalized, got \"soon\""},
	{STORE "chain \"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1\" {\n"
	       "rpc_urls = {\"http://a\"}\n"
	       "signer_key_file = {\"${TEST_KEY_FILE}\"}\n"
	       "confirmations = submitted\n}\n",
		"submitted may never land"},
	{STORE CHAIN_OPEN "batch_max = 0\n}\n", "batch_max: expected"},
	{STORE CHAIN_OPEN "batch_max = 221\n}\n", "batch_max: expected"},
	{STORE CHAIN_OPEN "batch_window_ms = 0\n}\n",
		"batch_window_ms: expected"},
	{STORE CHAIN_OPEN "proof_depth = 0\n}\n", "proof_depth: expected"},
	{STORE CHAIN_OPEN "batch_tokens = {\"0x12\"}\n}\n",
		"batch_tokens: expected token addresses"},
	{STORE CHAIN_OPEN "wallet_factories = {\"somebody\"}\n}\n",
		"wallet_factories: expected factory addresses"},
	{STORE CHAIN_OPEN "delegation_managers = {\"0x12\"}\n}\n",
		"delegation_managers: expected manager addresses"},
	{STORE CHAIN_OPEN "delegation_gas_max = 20999\n}\n",
		"delegation_gas_max: expected"},
	{STORE CHAIN_OPEN
		"delegation_gas_max = 100001\nmax_gas = 100000\n"
		"delegation_managers = "
		"{\"0xdb9B1e94B5b69Df7e401DDbedE43491141047dB3\"}\n}\n",
		"delegation_gas_max: expected at most max_gas"},
	{STORE CHAIN_OPEN "daily_total_gwei = -1\n}\n",
		"daily_total_gwei: expected"},
	{STORE CHAIN_OPEN "daily_other_tokens_gwei = -1\n}\n",
		"daily_other_tokens_gwei: expected"},
	{STORE "chain \"eip155:1\" {\nrpc_urls = {\"http://a\"}\n"
	       "signer_key_file = {\"/nonexistent/key\"}\n}\n",
		"key file /nonexistent/key: No such file"},
	{STORE "chain \"eip155:1\" {\n", "f.conf:"},
	{STORE "}\n" CHAIN, "f.conf:2: "},
};

static void file_wrong_is_named_with_its_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
		struct x402_buf problems = {0};
		struct fac_config *config = NULL;
		write_file(conf_path, bad_files[i].text, 0600);
		enum x402_err err = fac_config_load(
			conf_path, &problems, &config);
		x402_buf_add_byte(&problems, '\0');
		if (!err || !strstr((char *)problems.ptr, bad_files[i].said))
			fail_msg("case %zu: expected \"%s\", got: %s", i,
				bad_files[i].said, (char *)problems.ptr);
		assert_null(config);
		x402_buf_clear(&problems);
	}
}

static void file_absent_is_refused(void **state)
{
	(void)state;
	struct x402_buf problems = {0};
	struct fac_config *config = NULL;
	assert_int_equal(
		fac_config_load("/nonexistent.conf", &problems, &config),
		X402_ERR_SYNTAX);
	assert_true(problems.len > 0);
	x402_buf_clear(&problems);
}

static void expect_key_refused(const char *text, mode_t mode)
{
	char path[160];
	struct x402_buf problems = {0};
	struct x402_secret *secret = NULL;

	snprintf(path, sizeof(path), "%s/bad", dir);
	write_file(path, text, mode);
	assert_false(fac_config_key_file(path, "here", &problems, &secret));
	x402_buf_add_byte(&problems, '\0');
	assert_int_equal(strncmp((char *)problems.ptr, "here: ", 6), 0);
	/* What was in the file is nobody's business. */
	assert_null(strstr((char *)problems.ptr, "59c6995e"));
	x402_buf_clear(&problems);
	assert_int_equal(unlink(path), 0);
}

static void key_file_that_others_read_is_refused(void **state)
{
	(void)state;
	expect_key_refused(KEY, 0640);
	expect_key_refused(KEY, 0604);
	expect_key_refused(KEY, 0620);
	expect_key_refused(KEY, 0660);
}

static void key_file_without_key_is_refused(void **state)
{
	(void)state;
	expect_key_refused("", 0600);
	expect_key_refused("0x1234", 0600);
	expect_key_refused(KEY "00", 0600);
	expect_key_refused(KEY " " KEY, 0600);
	expect_key_refused("0x00000000000000000000000000000000"
			   "00000000000000000000000000000000",
		0600);
	expect_key_refused("0xffffffffffffffffffffffffffffffff"
			   "ffffffffffffffffffffffffffffffff",
		0600);
}

static void key_directory_is_refused(void **state)
{
	(void)state;
	struct x402_buf problems = {0};
	struct x402_secret *secret = NULL;
	assert_false(fac_config_key_file(dir, "here", &problems, &secret));
	assert_null(secret);
	x402_buf_clear(&problems);
}

static void key_credential_may_show_an_acl(void **state)
{
	(void)state;
	struct x402_buf problems = {0};
	struct x402_secret *secret = NULL;
	assert_int_equal(chmod(key_path, 0440), 0);
	assert_false(fac_config_key_file(key_path, "here", &problems, &secret));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	assert_true(fac_config_key_file(key_path, "here", &problems, &secret));
	assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
	assert_int_equal(chmod(key_path, 0600), 0);
	sodium_free(secret);
	x402_buf_clear(&problems);
}

/* ---- Environment. ---- */

static void clear_env(void)
{
	static const char *const names[] = {"PORT", "EVM_RPC_URL",
		"EVM_PRIVATE_KEY", "EVM_PRIVATE_KEY_FILE", "X402_NETWORK",
		"X402_STORE", "X402_LISTEN", "X402_WORKERS", "SVM_RPC_URL",
		"X402_CONFIRMATIONS", "X402_RETENTION_DAYS", "SVM_PRIVATE_KEY",
		"SVM_PRIVATE_KEY_FILE", "X402_SVM_NETWORK",
		"CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "XDG_STATE_HOME"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(unsetenv(names[i]), 0);
}

static void set_good_env(void)
{
	clear_env();
	assert_int_equal(setenv("EVM_RPC_URL", "http://a:1,http://b:2", 1), 0);
	assert_int_equal(setenv("EVM_PRIVATE_KEY", KEY, 1), 0);
	assert_int_equal(setenv("X402_STORE", "/tmp/s.sqlite", 1), 0);
}

static void env_alone_is_enough(void **state)
{
	(void)state;
	struct x402_buf problems = {0};
	struct fac_config *config = NULL;
	set_good_env();
	assert_int_equal(setenv("PORT", "0", 1), 0);
	assert_int_equal(setenv("X402_LISTEN", "0.0.0.0", 1), 0);
	assert_int_equal(setenv("X402_WORKERS", "2", 1), 0);
	assert_int_equal(setenv("X402_CONFIRMATIONS", "safe", 1), 0);
	assert_int_equal(setenv("X402_RETENTION_DAYS", "90", 1), 0);
	assert_int_equal(fac_config_from_env(&problems, &config), X402_OK);
	assert_int_equal(
		config->chains[0].settling.confirmations, FAC_CONFIRM_SAFE);
	assert_int_equal(config->retention_days, 90);
	assert_int_equal(config->port, 0);
	assert_string_equal(config->host, "0.0.0.0");
	assert_int_equal(config->workers, 2);
	assert_string_equal(config->chains[0].network.caip2, "");
	assert_int_equal(config->chains[0].rpc_urls_len, 2);
	assert_string_equal(config->chains[0].rpc_urls[1], "http://b:2");
	assert_hex(config->chains[0].signers[0], 32, KEY);
	fac_config_free(config);
	clear_env();
}

static void set_svm_env(void)
{
	struct x402_svm_secret secret;
	uint8_t seed[32];
	char text[X402_SVM_SIGNATURE_TEXT_SIZE];

	memset(seed, 2, sizeof(seed));
	assert_int_equal(x402_svm_secret_from_seed(seed, &secret), X402_OK);
	x402_base58_encode(secret.seed_and_key64, 64, text);
	assert_int_equal(setenv("SVM_RPC_URL", "http://s:1", 1), 0);
	assert_int_equal(setenv("SVM_PRIVATE_KEY", text, 1), 0);
	assert_int_equal(setenv("X402_SVM_NETWORK", "solana-devnet", 1), 0);
}

static void env_no_workers_are_as_many_as_there_are_cores(void **state)
{
	struct x402_buf problems = {0};
	struct fac_config *config = NULL;

	(void)state;
	set_good_env();
	assert_int_equal(setenv("X402_WORKERS", "0", 1), 0);
	assert_int_equal(fac_config_from_env(&problems, &config), X402_OK);
	assert_in_range(config->workers, 1, 4);
	fac_config_free(config);
	clear_env();
}

static void env_solana_stands_beside_evm_or_alone(void **state)
{
	(void)state;
	for (int alone = 0; alone < 2; alone++) {
		struct x402_buf problems = {0};
		struct fac_config *config = NULL;
		set_good_env();
		set_svm_env();
		if (alone) {
			(void)unsetenv("EVM_RPC_URL");
			(void)unsetenv("EVM_PRIVATE_KEY");
		}
		assert_int_equal(
			fac_config_from_env(&problems, &config), X402_OK);
		assert_int_equal(config->chains_len, 2 - alone);
		const struct fac_config_chain *chain =
			&config->chains[1 - alone];
		assert_string_equal(chain->network.caip2,
			"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1");
		assert_int_equal(chain->signers_len, 1);
		assert_int_equal(chain->svm_signers[0]->seed_and_key64[0], 2);
		assert_int_equal(chain->rpc_head_lag_max, 25);
		assert_int_equal(chain->max_compute_units, 400000);
		fac_config_free(config);
	}
	fac_config_wipe_env();
	assert_null(getenv("SVM_PRIVATE_KEY"));
	clear_env();
}

static void env_solana_wrong_is_named(void **state)
{
	static const struct {
		const char *name;
		const char *value;
	} cases[] = {{"SVM_RPC_URL", "s:1"}, {"SVM_PRIVATE_KEY", NULL},
		{"SVM_PRIVATE_KEY", "0x12"}, {"SVM_PRIVATE_KEY", "[1,2]"},
		{"X402_SVM_NETWORK", NULL}, {"X402_SVM_NETWORK", "solana:*"},
		{"X402_SVM_NETWORK", "base"},
		{"X402_CONFIRMATIONS", "submitted"}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_buf problems = {0};
		struct fac_config *config = NULL;
		set_good_env();
		set_svm_env();
		if (cases[i].value)
			(void)setenv(cases[i].name, cases[i].value, 1);
		else
			(void)unsetenv(cases[i].name);
		assert_int_equal(fac_config_from_env(&problems, &config),
			X402_ERR_SYNTAX);
		x402_buf_add_byte(&problems, '\0');
		assert_non_null(strstr((char *)problems.ptr, cases[i].name));
		assert_null(strstr((char *)problems.ptr, "0x12"));
		x402_buf_clear(&problems);
	}
	clear_env();
}

static void env_key_is_wiped_after_reading(void **state)
{
	(void)state;
	set_good_env();
	const char *place = getenv("EVM_PRIVATE_KEY");
	fac_config_wipe_env();
	assert_null(getenv("EVM_PRIVATE_KEY"));
	assert_int_equal(place[0], 0);
	clear_env();
}

static const struct {
	const char *name;
	const char *value; /* NULL: unset */
	const char *said;
} bad_env[] = {
	{"EVM_RPC_URL", NULL, "EVM_RPC_URL"},
	{"EVM_RPC_URL", "localhost:8545", "EVM_RPC_URL: entry 1"},
	{"EVM_RPC_URL", "http://a,file:///b", "EVM_RPC_URL: entry 2"},
	{"EVM_PRIVATE_KEY", NULL, "EVM_PRIVATE_KEY"},
	{"EVM_PRIVATE_KEY", "0x12", "EVM_PRIVATE_KEY: key 1"},
	{"EVM_PRIVATE_KEY", KEY ",0x12", "EVM_PRIVATE_KEY: key 2"},
	{"X402_NETWORK", "base-sepolia", "X402_NETWORK"},
	{"X402_NETWORK", "eip155:*", "X402_NETWORK"},
	{"PORT", "65536", "PORT"},
	{"PORT", "-1", "PORT"},
	{"PORT", "http", "PORT"},
	{"X402_WORKERS", "65", "X402_WORKERS"},
	{"X402_CONFIRMATIONS", "0", "X402_CONFIRMATIONS"},
	{"X402_CONFIRMATIONS", "soon", "X402_CONFIRMATIONS"},
	{"X402_RETENTION_DAYS", "-1", "X402_RETENTION_DAYS"},
	{"X402_RETENTION_DAYS", "36501", "X402_RETENTION_DAYS"},
	{"X402_LISTEN", "[::1", "X402_LISTEN"},
};

static void env_wrong_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad_env); i++) {
		struct x402_buf problems = {0};
		struct fac_config *config = NULL;
		set_good_env();
		if (bad_env[i].value)
			(void)setenv(bad_env[i].name, bad_env[i].value, 1);
		else
			(void)unsetenv(bad_env[i].name);
		enum x402_err err = fac_config_from_env(&problems, &config);
		x402_buf_add_byte(&problems, '\0');
		if (!err || !strstr((char *)problems.ptr, bad_env[i].said))
			fail_msg("case %zu: expected \"%s\", got: %s", i,
				bad_env[i].said, (char *)problems.ptr);
		/* A wrong key is still a secret. */
		assert_null(strstr((char *)problems.ptr, "0x12"));
		x402_buf_clear(&problems);
	}
	clear_env();
}

/* ---- Showing. ---- */

static void admin_listen_is_an_address_a_file_or_off(void **state)
{
	static const char *const wrong[] = {"127.0.0.1", "[::1]", ":9402",
		"host:", "host:70000", "unix:", "unix:relative", "host:1:2x",
		"[::0]"};
	struct fac_config *config = load_good(STORE CHAIN);

	(void)state;
	assert_null(config->admin_unix);
	assert_string_equal(config->admin_host, "");
	fac_config_free(config);
	config = load_good(STORE CHAIN "admin_listen = \"[::1]:9402\"\n");
	assert_string_equal(config->admin_host, "::1");
	assert_int_equal(config->admin_port, 9402);
	fac_config_free(config);
	config = load_good(STORE CHAIN "admin_listen = \"127.0.0.1:0\"\n");
	assert_string_equal(config->admin_host, "127.0.0.1");
	assert_int_equal(config->admin_port, 0);
	assert_true(fac_config_parse_admin("unix:/run/a b", config));
	assert_string_equal(config->admin_unix, "/run/a b");
	assert_string_equal(config->admin_host, "");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(fac_config_parse_admin(wrong[i], config));
	assert_true(fac_config_parse_admin("", config));
	assert_null(config->admin_unix);
	fac_config_free(config);
}

#define HOOK_OPEN                                 \
	"webhook \"shop\" {\n"                    \
	"url = \"https://user:pw@a.example/x\"\n" \
	"secret_file = \"${TEST_HOOK_FILE}\"\n"
#define HOOK_SECRET "a-secret-of-the-shop"

/* The secret's file; dies with the test. */
static void write_hook_secret(const char *text, mode_t mode)
{
	static char path[160];

	snprintf(path, sizeof(path), "%s/hook", dir);
	write_file(path, text, mode);
	assert_int_equal(setenv("TEST_HOOK_FILE", path, 1), 0);
}

static void remove_hook_secret(void)
{
	assert_int_equal(unlink(getenv("TEST_HOOK_FILE")), 0);
}

static void webhook_is_read_and_shown_without_its_secret(void **state)
{
	struct x402_buf dump = {0};
	struct x402_buf names = {0};
	struct fac_config *other;
	struct fac_config *config;
	char *text;

	(void)state;
	write_hook_secret(" " HOOK_SECRET "\n", 0600);
	config = load_good(STORE CHAIN HOOK_OPEN "}\n");
	assert_int_equal(config->hooks_len, 1);
	assert_string_equal(config->hooks[0].name, "shop");
	assert_int_equal(config->hooks[0].secret->len, strlen(HOOK_SECRET));
	assert_memory_equal(config->hooks[0].secret->bytes, HOOK_SECRET,
		strlen(HOOK_SECRET));
	assert_int_equal(config->hooks[0].events,
		1u << FAC_PAYMENT_SETTLED | 1u << FAC_PAYMENT_REVERTED |
			1u << FAC_PAYMENT_EXPIRED);
	fac_config_dump(config, &dump);
	text = x402_buf_take_str(&dump);
	assert_non_null(strstr(text, "webhook \"shop\" {\n"));
	assert_non_null(strstr(text, "events = {settled, reverted, expired}"));
	assert_null(strstr(text, HOOK_SECRET));
	assert_null(strstr(text, "pw@"));
	free(text);
	other = load_good(STORE CHAIN HOOK_OPEN "events = {expired}\n}\n");
	assert_int_equal(other->hooks[0].events, 1u << FAC_PAYMENT_EXPIRED);
	fac_config_compare(config, other, &names);
	text = x402_buf_take_str(&names);
	assert_string_equal(text, "webhook ");
	free(text);
	fac_config_free(config);
	fac_config_free(other);
	remove_hook_secret();
}

static void expect_file_refused(const char *text, const char *said)
{
	struct x402_buf problems = {0};
	struct fac_config *config = NULL;

	write_file(conf_path, text, 0600);
	assert_int_not_equal(
		fac_config_load(conf_path, &problems, &config), X402_OK);
	assert_null(config);
	x402_buf_add_byte(&problems, '\0');
	if (!strstr((char *)problems.ptr, said))
		fail_msg(
			"expected \"%s\", got: %s", said, (char *)problems.ptr);
	x402_buf_clear(&problems);
}

static void webhook_wrong_is_named(void **state)
{
	static const struct {
		const char *text;
		const char *said;
	} cases[] = {
		{HOOK_OPEN "events = {paid}\n}\n", "events: expected settled"},
		{HOOK_OPEN "events = {reserved}\n}\n",
			"events: expected settled"},
		{HOOK_OPEN "retries = 3\n}\n", "f.conf:"},
		{"webhook \"Shop 1\" {\nurl = \"http://a\"\n"
		 "secret_file = \"x\"\n}\n",
			"expected a name of 1 to"},
		{"webhook \"\" {\nurl = \"http://a\"\n"
		 "secret_file = \"x\"\n}\n",
			"expected a name of 1 to"},
		{"webhook \"a\" {\nsecret_file = \"x\"\n}\n", "url: expected"},
		{"webhook \"a\" {\nurl = \"file:///etc\"\n"
		 "secret_file = \"x\"\n}\n",
			"url: expected"},
		{"webhook \"a\" {\nurl = \"http://a\"\n}\n",
			"secret_file is missing"},
		{"webhook \"a\" {\nurl = \"http://a\"\n"
		 "secret_file = \"/nonexistent/s\"\n}\n",
			"secret file /nonexistent/s: No such file"},
	};
	char text[4096];

	(void)state;
	write_hook_secret(HOOK_SECRET, 0600);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		snprintf(text, sizeof(text), STORE CHAIN "%s", cases[i].text);
		expect_file_refused(text, cases[i].said);
	}
	/* One more than there is room for. */
	size_t len = (size_t)snprintf(text, sizeof(text), STORE CHAIN);
	for (int i = 0; i <= FAC_HOOKS_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"webhook \"h%d\" {\nurl = \"http://a\"\n"
			"secret_file = \"${TEST_HOOK_FILE}\"\n}\n",
			i);
	expect_file_refused(text, "more than 8 webhooks");
	remove_hook_secret();
}

static void webhook_secret_that_is_bad_is_refused(void **state)
{
	char longer[FAC_HOOK_SECRET_MAX + 200];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[FAC_HOOK_SECRET_MAX + 1] = '\0';
	write_hook_secret(longer, 0600);
	expect_file_refused(
		STORE CHAIN HOOK_OPEN "}\n", "expected 16 to 256 printable");
	longer[FAC_HOOK_SECRET_MAX + 1] = 'x';
	longer[sizeof(longer) - 1] = '\0';
	write_hook_secret(longer, 0600);
	expect_file_refused(STORE CHAIN HOOK_OPEN "}\n", "too long");
	write_hook_secret("short", 0600);
	expect_file_refused(
		STORE CHAIN HOOK_OPEN "}\n", "expected 16 to 256 printable");
	write_hook_secret("two words are no secret", 0600);
	expect_file_refused(
		STORE CHAIN HOOK_OPEN "}\n", "expected 16 to 256 printable");
	write_hook_secret(HOOK_SECRET, 0640);
	expect_file_refused(
		STORE CHAIN HOOK_OPEN "}\n", "only its owner can read");
	remove_hook_secret();
}

static void dump_holds_no_secret(void **state)
{
	(void)state;
	struct x402_buf text = {0};
	struct fac_config *config = load_good(
		STORE "chain \"eip155:1\" {\nrpc_urls = "
		      "{\"https://user:pass@rpc.example/v2/apikey?x=secret\"}\n"
		      "signer_key_file = {\"${TEST_KEY_FILE}\"}\n}\n");
	fac_config_dump(config, &text);
	x402_buf_add_byte(&text, '\0');
	assert_non_null(strstr((char *)text.ptr, "https://rpc.example/..."));
	assert_non_null(strstr((char *)text.ptr, key_path));
	assert_null(strstr((char *)text.ptr, "pass"));
	assert_null(strstr((char *)text.ptr, "apikey"));
	assert_null(strstr((char *)text.ptr, "secret"));
	assert_null(strstr((char *)text.ptr, "59c6995e"));
	x402_buf_clear(&text);
	fac_config_free(config);
}

static void compare_names_what_needs_a_restart(void **state)
{
	(void)state;
	struct x402_buf names = {0};
	struct fac_config *a = load_good(STORE CHAIN);
	struct fac_config *b = load_good(STORE "response_deadline = 3\n" CHAIN);
	fac_config_compare(a, b, &names);
	assert_int_equal(names.len, 0);
	fac_config_free(b);
	b = load_good(STORE "listen = \"127.0.0.1:1\"\n" CHAIN_OPEN
			    "max_gas = 100000\n}\n");
	fac_config_compare(a, b, &names);
	x402_buf_add_byte(&names, '\0');
	assert_string_equal((char *)names.ptr, "listen chain ");
	x402_buf_clear(&names);
	fac_config_free(a);
	fac_config_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_minimal_gets_defaults),
		cmocka_unit_test(
			other_tokens_have_a_ceiling_unless_it_is_lifted),
		cmocka_unit_test(file_full_reads_every_member),
		cmocka_unit_test(file_wrong_is_named_with_its_line),
		cmocka_unit_test(file_absent_is_refused),
		cmocka_unit_test(key_file_that_others_read_is_refused),
		cmocka_unit_test(key_file_without_key_is_refused),
		cmocka_unit_test(key_directory_is_refused),
		cmocka_unit_test(key_credential_may_show_an_acl),
		cmocka_unit_test(env_alone_is_enough),
		cmocka_unit_test(env_no_workers_are_as_many_as_there_are_cores),
		cmocka_unit_test(env_solana_stands_beside_evm_or_alone),
		cmocka_unit_test(env_solana_wrong_is_named),
		cmocka_unit_test(env_key_is_wiped_after_reading),
		cmocka_unit_test(env_wrong_is_named),
		cmocka_unit_test(admin_listen_is_an_address_a_file_or_off),
		cmocka_unit_test(webhook_is_read_and_shown_without_its_secret),
		cmocka_unit_test(webhook_wrong_is_named),
		cmocka_unit_test(webhook_secret_that_is_bad_is_refused),
		cmocka_unit_test(dump_holds_no_secret),
		cmocka_unit_test(compare_names_what_needs_a_restart),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
