/*
 * Configuration from the plain environment, with the names that the
 * ecosystem's own facilitators read (ergonomics.md): PORT, EVM_RPC_URL and
 * EVM_PRIVATE_KEY alone start a daemon. A secret may also come from the file
 * that NAME_FILE names or from $CREDENTIALS_DIRECTORY/NAME.
 */
#include "config_p.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE "environment"

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool env_number(const char *name, uint64_t max, uint64_t *ret_value,
	struct x402_buf *problems)
{
	const char *text = env(name);
	struct x402_u256 value;
	uint64_t number;

	if (!text)
		return true;
	if (x402_u256_from_dec(text, &value) ||
		!x402_u256_to_u64(&value, &number) || number > max) {
		fac_config_problem(problems,
			SOURCE ": %s: expected a number from 0 to %llu, "
			       "got \"%.40s\"",
			name, (unsigned long long)max, text);
		return false;
	}
	*ret_value = number;
	return true;
}

static void read_urls(struct fac_config_chain *chain, const char *name,
	struct x402_buf *problems)
{
	const char *text = env(name);
	char *copy = text ? strdup(text) : NULL;
	char *save = NULL;

	for (char *url = copy ? strtok_r(copy, ", ", &save) : NULL; url;
		url = strtok_r(NULL, ", ", &save)) {
		if (!fac_config_url_ok(url)) {
			fac_config_problem(problems,
				SOURCE ": %s: entry %zu is no "
				       "http:// or https:// URL",
				name, chain->rpc_urls_len + 1);
			break;
		}
		if (chain->rpc_urls_len == FAC_CHAIN_URLS_MAX) {
			fac_config_problem(problems,
				SOURCE ": %s: more than %d URLs", name,
				FAC_CHAIN_URLS_MAX);
			break;
		}
		chain->rpc_urls[chain->rpc_urls_len++] = strdup(url);
	}
	if (copy)
		x402_wipe(copy, strlen(copy));
	free(copy);
}

static void add_signer(struct fac_config_chain *chain,
	struct x402_secret *secret, const char *source)
{
	chain->signers[chain->signers_len] = secret;
	chain->signer_sources[chain->signers_len++] = strdup(source);
}

/* Several keys may be given, separated by commas: several lanes. */
static void read_key_list(struct fac_config_chain *chain, const char *text,
	struct x402_buf *problems)
{
	char *copy = strdup(text);
	size_t copy_len = copy ? strlen(copy) : 0;
	char *save = NULL;

	for (char *key = copy ? strtok_r(copy, ", ", &save) : NULL; key;
		key = strtok_r(NULL, ", ", &save)) {
		struct x402_secret *secret = chain->signers_len <
				FAC_ENGINE_SIGNERS_MAX
			? fac_config_key_parse(key)
			: NULL;
		if (!secret) {
			fac_config_problem(problems,
				SOURCE ": EVM_PRIVATE_KEY: key %zu is not "
				       "64 hex digits, with or without 0x",
				chain->signers_len + 1);
			break;
		}
		add_signer(chain, secret, SOURCE);
	}
	if (copy)
		x402_wipe(copy, copy_len);
	free(copy);
}

static void read_keys(struct fac_config_chain *chain, struct x402_buf *problems)
{
	struct x402_secret *secret = NULL;
	const char *dir = env("CREDENTIALS_DIRECTORY");
	const char *file = env("EVM_PRIVATE_KEY_FILE");
	char path[4096];

	if (env("EVM_PRIVATE_KEY")) {
		read_key_list(chain, env("EVM_PRIVATE_KEY"), problems);
		return;
	}
	if (!file && dir) {
		snprintf(path, sizeof(path), "%s/EVM_PRIVATE_KEY", dir);
		file = access(path, F_OK) ? NULL : path;
	}
	if (file && fac_config_key_file(file, SOURCE, problems, &secret))
		add_signer(chain, secret, file);
	if (!file)
		fac_config_problem(problems,
			SOURCE ": EVM_PRIVATE_KEY: the signer's key is "
			       "missing; set it, or EVM_PRIVATE_KEY_FILE, or "
			       "give -c FILE");
}

/* Only for the default place: what an operator names must exist. */
static void make_directories(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		(void)mkdir(path, 0700); /* opening the store will tell */
		*p = '/';
	}
}

static char *default_store(void)
{
	const char *state = env("STATE_DIRECTORY");
	const char *xdg = env("XDG_STATE_HOME");
	const char *home = env("HOME");
	char path[4096];

	/* systemd: several directories are separated by colons. */
	if (state)
		snprintf(path, sizeof(path), "%.*s/facilitator.sqlite",
			(int)strcspn(state, ":"), state);
	else if (xdg)
		snprintf(path, sizeof(path), "%s/x402/facilitator.sqlite", xdg);
	else if (home)
		snprintf(path, sizeof(path),
			"%s/.local/state/x402/facilitator.sqlite", home);
	else
		return NULL;
	make_directories(path);
	return strdup(path);
}

static void read_network(
	struct fac_config_chain *chain, struct x402_buf *problems)
{
	const char *text = env("X402_NETWORK");

	if (text &&
		(x402_network_parse(text, &chain->network) ||
			chain->network.family != X402_FAMILY_EVM))
		fac_config_problem(problems,
			SOURCE ": X402_NETWORK: expected \"eip155:\" and a "
			       "chain id, got \"%.60s\"",
			text);
}

static void read_rest(struct fac_config *config, struct x402_buf *problems)
{
	uint64_t port = config->port;
	uint64_t workers = config->workers;
	uint64_t days = config->retention_days;

	if (env_number("PORT", UINT16_MAX, &port, problems))
		config->port = (uint16_t)port;
	if (env_number(
		    "X402_WORKERS", FAC_CONFIG_WORKERS_MAX, &workers, problems))
		/* As in a file, 0 is what stands there already. */
		config->workers = workers ? (unsigned)workers : config->workers;
	if (env_number("X402_RETENTION_DAYS", FAC_CONFIG_RETENTION_MAX_DAYS,
		    &days, problems))
		config->retention_days = (uint32_t)days;
	for (size_t i = 0; i < config->chains_len; i++)
		if (env("X402_CONFIRMATIONS") &&
			!fac_config_parse_confirmations(
				env("X402_CONFIRMATIONS"),
				&config->chains[i].settling.confirmations))
			fac_config_problem(problems,
				SOURCE ": X402_CONFIRMATIONS: expected a "
				       "number of blocks, submitted, safe or "
				       "finalized, got \"%.20s\"",
				env("X402_CONFIRMATIONS"));
		else
			fac_config_check_settling(&config->chains[i],
				SOURCE ": X402_CONFIRMATIONS", problems);
	if (env("X402_LISTEN") &&
		!fac_config_parse_listen(env("X402_LISTEN"), config))
		fac_config_problem(problems,
			SOURCE ": X402_LISTEN: expected an address such as "
			       "127.0.0.1 or [::1], got \"%.60s\"",
			env("X402_LISTEN"));
	if (env("X402_ADMIN_LISTEN") &&
		!fac_config_parse_admin(env("X402_ADMIN_LISTEN"), config))
		fac_config_problem(problems,
			SOURCE ": X402_ADMIN_LISTEN: expected \"host:port\" or "
			       "\"unix:/path\", got \"%.60s\"",
			env("X402_ADMIN_LISTEN"));
	config->store_path = env("X402_STORE") ? strdup(env("X402_STORE"))
					       : default_store();
	if (!config->store_path)
		fac_config_problem(problems,
			SOURCE ": X402_STORE: no place for the store: set it, "
			       "or STATE_DIRECTORY, or HOME");
}

static void read_evm(struct fac_config_chain *chain, struct x402_buf *problems)
{
	fac_config_chain_init(chain);
	read_urls(chain, "EVM_RPC_URL", problems);
	if (!chain->rpc_urls_len && !problems->len)
		fac_config_problem(problems,
			SOURCE ": EVM_RPC_URL: the chain's RPC URL is missing; "
			       "set it, or give -c FILE");
	read_keys(chain, problems);
	read_network(chain, problems);
}

/* One key, in either of its texts: id.json holds commas. */
static void read_svm_key(
	struct fac_config_chain *chain, struct x402_buf *problems)
{
	const char *text = env("SVM_PRIVATE_KEY");
	const char *file = env("SVM_PRIVATE_KEY_FILE");
	struct x402_svm_secret *secret = NULL;

	if (text && !(secret = fac_config_svm_key_parse(text)))
		fac_config_problem(problems,
			SOURCE ": SVM_PRIVATE_KEY: expected 64 numbers as in "
			       "id.json, or their base58");
	else if (!text && file &&
		!fac_config_svm_key_file(file, SOURCE, problems, &secret))
		return; /* it said why */
	else if (!text && !file)
		fac_config_problem(problems,
			SOURCE ": SVM_PRIVATE_KEY: the fee payer's key is "
			       "missing; set it, or SVM_PRIVATE_KEY_FILE");
	if (!secret)
		return;
	chain->svm_signers[chain->signers_len] = secret;
	chain->signer_sources[chain->signers_len++] = strdup(
		text ? SOURCE : file);
}

/* The cluster is named: devnet's money and mainnet's look alike. */
static void read_svm(struct fac_config_chain *chain, struct x402_buf *problems)
{
	const char *text = env("X402_SVM_NETWORK");
	const char *caip2 = x402_network_from_v1_name(text);

	fac_config_chain_init(chain);
	read_urls(chain, "SVM_RPC_URL", problems);
	read_svm_key(chain, problems);
	if (x402_network_parse(caip2 ? caip2 : text, &chain->network) ||
		chain->network.family != X402_FAMILY_SVM)
		fac_config_problem(problems,
			SOURCE ": X402_SVM_NETWORK: expected solana, "
			       "solana-devnet or \"solana:\" and a genesis "
			       "hash, got \"%.60s\"",
			text ? text : "");
	fac_config_chain_family(chain);
}

enum x402_err fac_config_from_env(
	struct x402_buf *ret_problems, struct fac_config **ret_config)
{
	struct fac_config *config = fac_config_new(SOURCE);

	if (!config)
		return X402_ERR_NOMEM;
	struct fac_config_chain *chain = &config->chains[0];
	config->chains_len = 1;
	/* Solana alone needs no EVM chain beside it. */
	if (env("EVM_RPC_URL") || !env("SVM_RPC_URL")) {
		read_evm(chain, ret_problems);
		chain = &config->chains[config->chains_len++];
	}
	if (env("SVM_RPC_URL"))
		read_svm(chain, ret_problems);
	else
		config->chains_len--;
	read_rest(config, ret_problems);
	if (ret_problems->len || ret_problems->failed) {
		fac_config_free(config);
		return X402_ERR_SYNTAX;
	}
	*ret_config = config;
	return X402_OK;
}

void fac_config_wipe_env(void)
{
	static const char *const names[] = {
		"EVM_PRIVATE_KEY", "SVM_PRIVATE_KEY"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *value = getenv(names[i]);

		if (!value)
			continue;
		/* unsetenv only forgets the pointer; the text would stay. */
		x402_wipe(value, strlen(value));
		(void)unsetenv(names[i]);
	}
}
