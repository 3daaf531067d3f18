/*
 * The configuration file: libconfuse reads it, validators say what is wrong
 * with file and line while it is read, and fill_config() moves what is right
 * into struct fac_config. Defaults are in fac_config_new(), nowhere else, and
 * are handed to libconfuse from there.
 */
#include "config_p.h"

#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Ceilings of the ceilings: beyond these a figure is a typing error. */
#define DEADLINE_MAX_S    600
#define HEAD_LAG_MAX      100000
#define SVM_HEAD_LAG      25
#define RPS_MAX           1000000
#define COMPUTE_UNITS_MAX 1400000 /* a transaction's own limit */
#define LAMPORTS_MAX      1000000000
#define MAX_BODY_MAX      (16 * 1024 * 1024)
#define CONNECTIONS_MAX   100000
#define FEE_MAX_GWEI      1000000
#define GAS_MAX           30000000
#define PROOF_DEPTH_MAX   100000
#define WINDOW_MAX_MS     5000
#define BATCH_GAS_MAX     1000000000
#define HEAD_AGE_MAX_S    86400
#define DEFAULT_PORT      4022 /* as the reference facilitators' examples */
#define DEFAULT_WORKERS   4

void fac_config_problem(struct x402_buf *problems, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	x402_buf_add_str(problems, text);
	x402_buf_add_byte(problems, '\n');
}

static unsigned default_workers(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (cores < 1)
		return 1;
	return cores < DEFAULT_WORKERS ? (unsigned)cores : DEFAULT_WORKERS;
}

struct fac_config *fac_config_new(const char *source)
{
	struct fac_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->source = strdup(source);
	snprintf(config->host, sizeof(config->host), "%s", "127.0.0.1");
	config->port = DEFAULT_PORT;
	config->max_body_bytes = X402_JSON_MAX_BYTES;
	config->max_connections = 4096;
	config->settings.response_deadline_ms = 25000;
	config->settings.verify_deadline_ms = 10000;
	snprintf(config->settings.cors_origin,
		sizeof(config->settings.cors_origin), "%s", "*");
	config->settings.discovery_post = true;
	config->settings.log_level = FAC_LOG_INFO;
	config->workers = default_workers();
	return config;
}

void fac_config_chain_init(struct fac_config_chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	chain->rpc_timeout_ms = 10000;
	chain->rpc_head_lag_max = 3;
	chain->max_fee_gwei = 500;
	chain->max_priority_fee_gwei = 100;
	chain->max_gas = 1000000;
	chain->ready_head_age_s = 120; /* ten blocks of the slowest */
	chain->max_compute_units = X402_SVM_MAX_COMPUTE_UNITS;
	chain->max_priority_fee_lamports = X402_SVM_MAX_PRIORITY_LAMPORTS;
	fac_config_settling_init(&chain->settling);
}

void fac_config_chain_family(struct fac_config_chain *chain)
{
	struct fac_config_chain defaults;

	fac_config_chain_init(&defaults);
	/* Slots of 400 ms, which nodes hear of in bursts. */
	if (chain->network.family == X402_FAMILY_SVM &&
		chain->rpc_head_lag_max == defaults.rpc_head_lag_max)
		chain->rpc_head_lag_max = SVM_HEAD_LAG;
}

void fac_config_free(struct fac_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->chains_len; i++) {
		struct fac_config_chain *chain = &config->chains[i];
		for (size_t j = 0; j < chain->rpc_urls_len; j++)
			free(chain->rpc_urls[j]);
		for (size_t j = 0; j < chain->signers_len; j++) {
			sodium_free(chain->signers[j]); /* wipes */
			sodium_free(chain->svm_signers[j]);
			free(chain->signer_sources[j]);
		}
	}
	for (size_t i = 0; i < config->hooks_len; i++)
		fac_config_hook_clear(&config->hooks[i]);
	free(config->source);
	free(config->store_path);
	free(config->log_file);
	free(config->admin_unix);
	free(config);
}

/* ---- Small checks. ---- */

bool fac_config_parse_listen(const char *text, struct fac_config *config)
{
	const char *host = text;
	const char *end;
	const char *port = NULL;

	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
	} else {
		end = strchr(text, ':');
		port = end ? end + 1 : NULL;
		end = end ? end : text + strlen(text);
	}
	size_t len = (size_t)(end - host);
	if (len >= sizeof(config->host) || (!len && !port))
		return false;
	if (port) {
		struct x402_u256 value;
		uint64_t number;
		if (x402_u256_from_dec(port, &value) ||
			!x402_u256_to_u64(&value, &number) ||
			number > UINT16_MAX)
			return false;
		config->port = (uint16_t)number;
	}
	if (len) {
		memcpy(config->host, host, len);
		config->host[len] = '\0';
	}
	return true;
}

bool fac_config_parse_admin(const char *text, struct fac_config *config)
{
	struct fac_config scratch = {0};

	free(config->admin_unix);
	config->admin_unix = NULL;
	config->admin_host[0] = '\0';
	if (!*text)
		return true;
	if (!strncmp(text, "unix:", 5)) {
		/* A relative path would depend on where one starts it. */
		if (text[5] != '/')
			return false;
		config->admin_unix = strdup(text + 5);
		return true;
	}
	/* Without a port it would be another one at each start. */
	struct fac_config other = {.port = 1};
	if (!fac_config_parse_listen(text, &scratch) || !scratch.host[0] ||
		!fac_config_parse_listen(text, &other) ||
		scratch.port != other.port)
		return false;
	memcpy(config->admin_host, scratch.host, sizeof(scratch.host));
	config->admin_port = scratch.port;
	return true;
}

bool fac_config_url_ok(const char *url)
{
	const char *rest = NULL;

	if (!strncasecmp(url, "http://", 7))
		rest = url + 7;
	else if (!strncasecmp(url, "https://", 8))
		rest = url + 8;
	return rest && *rest && !strchr("/?#", *rest);
}

void fac_config_redact_url(const char *url, struct x402_buf *buf)
{
	const char *host = strstr(url, "://");

	host = host ? host + 3 : url;
	size_t len = strcspn(host, "/?#");
	const char *at = memrchr(host, '@', len);
	x402_buf_add(buf, x402_span(url, (size_t)(host - url)));
	if (at) {
		len -= (size_t)(at + 1 - host);
		host = at + 1;
	}
	x402_buf_add(buf, x402_span(host, len));
	if (host[len] || at)
		x402_buf_add_str(buf, "/...");
}

/* ---- Validators: libconfuse calls them as it reads, so the line is right.
 * ---- */

static int check_range(cfg_t *cfg, cfg_opt_t *opt, long min, long max)
{
	long value = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (value >= min && value <= max)
		return 0;
	cfg_error(cfg, "%s: expected a number from %ld to %ld, got %ld",
		cfg_opt_name(opt), min, max, value);
	return -1;
}

static int check_workers(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, FAC_CONFIG_WORKERS_MAX);
}

static int check_deadline(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, DEADLINE_MAX_S);
}

static int check_head_lag(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, HEAD_LAG_MAX);
}

static int check_hedge(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, -1, DEADLINE_MAX_S * 1000);
}

static int check_rps(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, RPS_MAX);
}

static int check_body(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1024, MAX_BODY_MAX);
}

static int check_connections(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, CONNECTIONS_MAX);
}

static int check_fee(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, FEE_MAX_GWEI);
}

static int check_gas(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 21000, GAS_MAX);
}

static int check_confirmations(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	uint32_t value;

	if (text && fac_config_parse_confirmations(text, &value))
		return 0;
	cfg_error(cfg,
		"%s: expected a number from 1, submitted, safe or finalized, "
		"got \"%.40s\"",
		cfg_opt_name(opt), text ? text : "");
	return -1;
}

static int check_head_age(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, HEAD_AGE_MAX_S);
}

static int check_proofs(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);
	enum x402_proof_policy policy;

	if (text && fac_config_parse_proofs(text, &policy))
		return 0;
	cfg_error(cfg, "transaction_proofs: expected bound, any or off");
	return -1;
}

static int check_depth(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, PROOF_DEPTH_MAX);
}

static int check_batch(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, FAC_BATCH_MAX);
}

static int check_window(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, WINDOW_MAX_MS);
}

static int check_batch_gas(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 30000, BATCH_GAS_MAX);
}

/* Gwei, as the payments' rows keep them. */
static int check_cost(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, LONG_MAX);
}

/* What is given away always has a ceiling; none may be given at all. */
static int check_gift(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, (long)FAC_CONFIG_GIFT_MAX_GWEI);
}

static int check_daily_gifts(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, (long)FAC_CONFIG_GIFT_MAX_GWEI * 1000);
}

static int check_builder_code(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (!*text || x402_builder_code_is_valid(text))
		return 0;
	cfg_error(cfg, "%s: expected 1 to 32 of a-z, 0-9 and _, got \"%.40s\"",
		cfg_opt_name(opt), text);
	return -1;
}

/* A list of addresses, checked one by one as it grows. */
static int check_addresses(
	cfg_t *cfg, cfg_opt_t *opt, const char *what, unsigned max)
{
	unsigned count = cfg_opt_size(opt);
	const char *text = cfg_opt_getnstr(opt, count - 1);
	struct x402_address token;

	if (count > max) {
		cfg_error(cfg, "%s: more than %u", cfg_opt_name(opt), max);
		return -1;
	}
	if (text && !x402_address_parse(text, &token))
		return 0;
	cfg_error(cfg, "%s: expected %s addresses, got \"%.60s\"",
		cfg_opt_name(opt), what, text ? text : "");
	return -1;
}

static int check_token(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_addresses(cfg, opt, "token", FAC_ENGINE_TOKENS_MAX);
}

static int check_factory(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_addresses(cfg, opt, "factory", FAC_CONFIG_FACTORIES_MAX);
}

static int check_manager(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_addresses(cfg, opt, "manager", FAC_CONFIG_MANAGERS_MAX);
}

static int check_retention(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 0, FAC_CONFIG_RETENTION_MAX_DAYS);
}

static int check_instance(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	if (text && strlen(text) < FAC_OWNER_SIZE &&
		strspn(text,
			"abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
			strlen(text))
		return 0;
	cfg_error(cfg, "%s: expected up to %d letters, digits, -, _ and .",
		cfg_opt_name(opt), FAC_OWNER_SIZE - 1);
	return -1;
}

static int check_listen(cfg_t *cfg, cfg_opt_t *opt)
{
	struct fac_config scratch = {0};
	const char *text = cfg_opt_getnstr(opt, 0);

	if (text && fac_config_parse_listen(text, &scratch))
		return 0;
	cfg_error(cfg, "%s: expected \"host:port\", got \"%.60s\"",
		cfg_opt_name(opt), text ? text : "");
	return -1;
}

static int check_admin(cfg_t *cfg, cfg_opt_t *opt)
{
	struct fac_config scratch = {0};
	const char *text = cfg_opt_getnstr(opt, 0);
	bool good = text && fac_config_parse_admin(text, &scratch);

	free(scratch.admin_unix);
	if (good)
		return 0;
	cfg_error(cfg,
		"%s: expected \"host:port\", \"unix:/path\" or \"\", got "
		"\"%.60s\"",
		cfg_opt_name(opt), text ? text : "");
	return -1;
}

static int check_level(cfg_t *cfg, cfg_opt_t *opt)
{
	enum fac_log_level level;
	const char *text = cfg_opt_getnstr(opt, 0);

	if (fac_log_level_parse(text, &level))
		return 0;
	cfg_error(cfg, "%s: expected error, warn, info or debug, got \"%.40s\"",
		cfg_opt_name(opt), text ? text : "");
	return -1;
}

/* The value goes into a header as it is. */
static int check_cors(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getnstr(opt, 0);

	for (const char *p = text; p && *p; p++)
		if (*p <= ' ' || *p >= 127) {
			cfg_error(cfg, "%s: expected \"*\", an origin or \"\"",
				cfg_opt_name(opt));
			return -1;
		}
	if (text && strlen(text) < FAC_CONFIG_CORS_SIZE)
		return 0;
	cfg_error(cfg, "%s: longer than %d characters", cfg_opt_name(opt),
		FAC_CONFIG_CORS_SIZE - 1);
	return -1;
}

/* Says which entry, not what it is: a URL may hold a secret. */
static int check_url(cfg_t *cfg, cfg_opt_t *opt)
{
	unsigned count = cfg_opt_size(opt);
	const char *url = cfg_opt_getnstr(opt, count - 1);

	if (count > FAC_CHAIN_URLS_MAX) {
		cfg_error(cfg, "%s: more than %d URLs", cfg_opt_name(opt),
			FAC_CHAIN_URLS_MAX);
		return -1;
	}
	if (url && fac_config_url_ok(url))
		return 0;
	cfg_error(cfg, "%s: entry %u is no http:// or https:// URL",
		cfg_opt_name(opt), count);
	return -1;
}

static int check_units(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, COMPUTE_UNITS_MAX);
}

static int check_lamports(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_range(cfg, opt, 1, LAMPORTS_MAX);
}

static int check_chain(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *chain = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	struct x402_network network;
	const char *title = cfg_title(chain);

	if (x402_network_parse(title, &network) ||
		network.family == X402_FAMILY_OTHER) {
		cfg_error(cfg,
			"chain \"%.60s\": expected \"eip155:\" and a chain id, "
			"or \"solana:\" and a genesis hash",
			title);
		return -1;
	}
	if (cfg_opt_size(opt) > FAC_ENGINE_CHAINS_MAX) {
		cfg_error(cfg, "more than %d chains", FAC_ENGINE_CHAINS_MAX);
		return -1;
	}
	if (!cfg_size(chain, "rpc_urls")) {
		cfg_error(cfg, "chain \"%s\": rpc_urls is missing", title);
		return -1;
	}
	unsigned keys = cfg_size(chain, "signer_key_file");
	if (!keys || keys > FAC_ENGINE_SIGNERS_MAX) {
		cfg_error(cfg,
			"chain \"%s\": signer_key_file: expected 1 to %d "
			"files, got %u",
			title, FAC_ENGINE_SIGNERS_MAX, keys);
		return -1;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*check)(cfg_t *cfg, cfg_opt_t *opt);
} checks[] = {
	{"listen", check_listen},
	{"admin_listen", check_admin},
	{"workers", check_workers},
	{"response_deadline", check_deadline},
	{"verify_deadline", check_deadline},
	{"max_body_bytes", check_body},
	{"max_connections", check_connections},
	{"cors_origin", check_cors},
	{"log_level", check_level},
	{"chain", check_chain},
	{"webhook", fac_config_check_hook},
	{"webhook|events", fac_config_check_event},
	{"chain|rpc_urls", check_url},
	{"chain|rpc_timeout", check_deadline},
	{"chain|rpc_head_lag_max", check_head_lag},
	{"chain|rpc_hedge_ms", check_hedge},
	{"chain|rpc_rps", check_rps},
	{"chain|ready_head_age", check_head_age},
	{"chain|max_fee_gwei", check_fee},
	{"chain|max_priority_fee_gwei", check_fee},
	{"chain|max_gas", check_gas},
	{"chain|max_compute_units", check_units},
	{"chain|max_priority_fee_lamports", check_lamports},
	{"chain|confirmations", check_confirmations},
	{"chain|proof_depth", check_depth},
	{"chain|transaction_proofs", check_proofs},
	{"chain|batch_max", check_batch},
	{"chain|batch_window_ms", check_window},
	{"chain|batch_payment_gas", check_batch_gas},
	{"chain|batch_max_gas", check_batch_gas},
	{"chain|stuck_after", check_deadline},
	{"chain|batch_tokens", check_token},
	{"chain|wallet_factories", check_factory},
	{"chain|delegation_managers", check_manager},
	{"chain|delegation_gas_max", check_gas},
	{"chain|builder_code", check_builder_code},
	{"chain|gift_max_gwei", check_gift},
	{"chain|daily_gifts_gwei", check_daily_gifts},
	{"chain|max_payment_cost_gwei", check_cost},
	{"chain|daily_payer_gwei", check_cost},
	{"chain|daily_caller_gwei", check_cost},
	{"chain|daily_total_gwei", check_cost},
	{"chain|daily_other_tokens_gwei", check_cost},
	{"instance", check_instance},
	{"retention_days", check_retention},
};

/* ---- From libconfuse to struct fac_config. ---- */

/* libconfuse's error callback carries no user pointer; main thread only. */
static struct x402_buf *current_problems;

__attribute__((format(printf, 2, 0))) static void on_problem(
	cfg_t *cfg, const char *fmt, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), fmt, args);
	fac_config_problem(current_problems, "%s:%d: %s",
		cfg && cfg->filename ? cfg->filename : "config",
		cfg ? cfg->line : 0, text);
}

static void fill_chain(cfg_t *cfg, const char *path,
	struct fac_config_chain *chain, struct x402_buf *problems)
{
	char prefix[PATH_MAX + 80];

	fac_config_chain_init(chain);
	/* check_chain has seen it parse. */
	(void)!x402_network_parse(cfg_title(cfg), &chain->network);
	for (unsigned i = 0; i < cfg_size(cfg, "rpc_urls"); i++)
		chain->rpc_urls[chain->rpc_urls_len++] = strdup(
			cfg_getnstr(cfg, "rpc_urls", i));
	snprintf(prefix, sizeof(prefix), "%s:%d: chain \"%s\"", path, cfg->line,
		cfg_title(cfg));
	for (unsigned i = 0; i < cfg_size(cfg, "signer_key_file"); i++) {
		const char *file = cfg_getnstr(cfg, "signer_key_file", i);
		size_t at = chain->signers_len;
		if (!(chain->network.family == X402_FAMILY_SVM
				    ? fac_config_svm_key_file(file, prefix,
					      problems, &chain->svm_signers[at])
				    : fac_config_key_file(file, prefix,
					      problems, &chain->signers[at])))
			continue;
		chain->signer_sources[chain->signers_len++] = strdup(file);
	}
	chain->rpc_timeout_ms = (uint32_t)cfg_getint(cfg, "rpc_timeout") * 1000;
	chain->rpc_head_lag_max = (uint32_t)cfg_getint(cfg, "rpc_head_lag_max");
	chain->rpc_hedge_ms = (int32_t)cfg_getint(cfg, "rpc_hedge_ms");
	chain->rpc_rps = (uint32_t)cfg_getint(cfg, "rpc_rps");
	chain->ready_head_age_s = (uint32_t)cfg_getint(cfg, "ready_head_age");
	chain->max_fee_gwei = (uint64_t)cfg_getint(cfg, "max_fee_gwei");
	chain->max_priority_fee_gwei = (uint64_t)cfg_getint(
		cfg, "max_priority_fee_gwei");
	chain->max_gas = (uint64_t)cfg_getint(cfg, "max_gas");
	chain->max_compute_units = (uint32_t)cfg_getint(
		cfg, "max_compute_units");
	chain->max_priority_fee_lamports = (uint64_t)cfg_getint(
		cfg, "max_priority_fee_lamports");
	fac_config_chain_family(chain);
	fac_config_fill_settling(cfg, &chain->settling);
	if (chain->settling.managers_len &&
		chain->settling.delegation_gas > chain->max_gas)
		fac_config_problem(problems,
			"%s: delegation_gas_max: expected at most max_gas",
			prefix);
}

static void fill_settings(cfg_t *cfg, struct fac_settings *settings)
{
	settings->response_deadline_ms =
		(uint32_t)cfg_getint(cfg, "response_deadline") * 1000;
	settings->verify_deadline_ms =
		(uint32_t)cfg_getint(cfg, "verify_deadline") * 1000;
	snprintf(settings->cors_origin, sizeof(settings->cors_origin), "%s",
		cfg_getstr(cfg, "cors_origin"));
	settings->discovery_post = cfg_getbool(cfg, "discovery_post");
	(void)fac_log_level_parse(
		cfg_getstr(cfg, "log_level"), &settings->log_level);
}

static void fill_config(cfg_t *cfg, const char *path, struct fac_config *config,
	struct x402_buf *problems)
{
	const char *log_file = cfg_getstr(cfg, "log_file");
	const char *store = cfg_getstr(cfg, "store");

	(void)fac_config_parse_listen(cfg_getstr(cfg, "listen"), config);
	(void)fac_config_parse_admin(cfg_getstr(cfg, "admin_listen"), config);
	if (cfg_getint(cfg, "workers") > 0)
		config->workers = (unsigned)cfg_getint(cfg, "workers");
	config->max_body_bytes = (uint64_t)cfg_getint(cfg, "max_body_bytes");
	config->max_connections = (uint32_t)cfg_getint(cfg, "max_connections");
	config->log_file = log_file && *log_file ? strdup(log_file) : NULL;
	if (store && *store)
		config->store_path = strdup(store);
	else
		fac_config_problem(problems, "%s: store is missing", path);
	snprintf(config->instance, sizeof(config->instance), "%s",
		cfg_getstr(cfg, "instance"));
	config->retention_days = (uint32_t)cfg_getint(cfg, "retention_days");
	fill_settings(cfg, &config->settings);
	for (unsigned i = 0; i < cfg_size(cfg, "chain"); i++)
		fill_chain(cfg_getnsec(cfg, "chain", i), path,
			&config->chains[config->chains_len++], problems);
	for (unsigned i = 0; i < cfg_size(cfg, "webhook"); i++)
		fac_config_fill_hook(cfg_getnsec(cfg, "webhook", i), path,
			&config->hooks[config->hooks_len++], problems);
	if (!config->chains_len)
		fac_config_problem(problems,
			"%s: expected at least one chain section, as in: chain "
			"\"eip155:84532\" { ... }",
			path);
}

static cfg_t *make_reader(const struct fac_config *defaults,
	const struct fac_config_chain *chain_defaults)
{
	const struct fac_settings *settings = &defaults->settings;
	const struct fac_config_settling *settling = &chain_defaults->settling;
	cfg_opt_t chain_opts[] = {
		CFG_STR_LIST("rpc_urls", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("signer_key_file", NULL, CFGF_NODEFAULT),
		CFG_INT("rpc_timeout", chain_defaults->rpc_timeout_ms / 1000,
			CFGF_NONE),
		CFG_INT("rpc_head_lag_max", chain_defaults->rpc_head_lag_max,
			CFGF_NONE),
		CFG_INT("rpc_hedge_ms", chain_defaults->rpc_hedge_ms,
			CFGF_NONE),
		CFG_INT("rpc_rps", chain_defaults->rpc_rps, CFGF_NONE),
		CFG_INT("ready_head_age", chain_defaults->ready_head_age_s,
			CFGF_NONE),
		CFG_INT("max_fee_gwei", (long)chain_defaults->max_fee_gwei,
			CFGF_NONE),
		CFG_INT("max_priority_fee_gwei",
			(long)chain_defaults->max_priority_fee_gwei, CFGF_NONE),
		CFG_INT("max_gas", (long)chain_defaults->max_gas, CFGF_NONE),
		CFG_INT("max_compute_units",
			(long)chain_defaults->max_compute_units, CFGF_NONE),
		CFG_INT("max_priority_fee_lamports",
			(long)chain_defaults->max_priority_fee_lamports,
			CFGF_NONE),
		CFG_STR("confirmations", "1", CFGF_NONE),
		CFG_INT("proof_depth", settling->proof_depth, CFGF_NONE),
		CFG_INT("batch_max", settling->batch_max, CFGF_NONE),
		CFG_INT("batch_window_ms", settling->batch_window_ms,
			CFGF_NONE),
		CFG_INT("batch_payment_gas", (long)settling->batch_payment_gas,
			CFGF_NONE),
		CFG_INT("batch_max_gas", (long)settling->batch_max_gas,
			CFGF_NONE),
		CFG_INT("stuck_after", settling->stuck_after_s, CFGF_NONE),
		CFG_BOOL("credit_preempted", cfg_true, CFGF_NONE),
		CFG_STR("transaction_proofs", "bound", CFGF_NONE),
		CFG_STR_LIST("batch_tokens", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("wallet_factories", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("delegation_managers", NULL, CFGF_NODEFAULT),
		CFG_INT("delegation_gas_max", (long)settling->delegation_gas,
			CFGF_NONE),
		CFG_STR("builder_code", "", CFGF_NONE),
		CFG_BOOL("sponsor_approvals", cfg_false, CFGF_NONE),
		CFG_INT("gift_max_gwei", (long)settling->gift_max_gwei,
			CFGF_NONE),
		CFG_INT("daily_gifts_gwei", (long)settling->daily_gifts_gwei,
			CFGF_NONE),
		CFG_INT("max_payment_cost_gwei", 0, CFGF_NONE),
		CFG_INT("daily_payer_gwei", 0, CFGF_NONE),
		CFG_INT("daily_caller_gwei", 0, CFGF_NONE),
		CFG_INT("daily_total_gwei", 0, CFGF_NONE),
		CFG_INT("daily_other_tokens_gwei", -1, CFGF_NONE),
		CFG_END(),
	};
	cfg_opt_t opts[] = {
		CFG_STR("listen", "127.0.0.1:4022", CFGF_NONE),
		CFG_STR("admin_listen", "", CFGF_NONE),
		CFG_INT("workers", 0, CFGF_NONE),
		CFG_STR("store", NULL, CFGF_NONE),
		CFG_STR("instance", "", CFGF_NONE),
		CFG_INT("retention_days", 0, CFGF_NONE),
		CFG_INT("response_deadline",
			settings->response_deadline_ms / 1000, CFGF_NONE),
		CFG_INT("verify_deadline", settings->verify_deadline_ms / 1000,
			CFGF_NONE),
		CFG_INT("max_body_bytes", (long)defaults->max_body_bytes,
			CFGF_NONE),
		CFG_INT("max_connections", defaults->max_connections,
			CFGF_NONE),
		CFG_STR("cors_origin", settings->cors_origin, CFGF_NONE),
		CFG_BOOL("discovery_post",
			settings->discovery_post ? cfg_true : cfg_false,
			CFGF_NONE),
		CFG_STR("log_file", NULL, CFGF_NONE),
		CFG_STR("log_level", fac_log_level_text(settings->log_level),
			CFGF_NONE),
		CFG_SEC("chain", chain_opts,
			CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_SEC("webhook", fac_config_hook_options,
			CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);

	if (!cfg)
		return NULL;
	cfg_set_error_function(cfg, on_problem);
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
		cfg_set_validate_func(cfg, checks[i].name, checks[i].check);
	return cfg;
}

enum x402_err fac_config_load(const char *path, struct x402_buf *ret_problems,
	struct fac_config **ret_config)
{
	struct fac_config_chain chain_defaults;
	struct fac_config *config = fac_config_new(path);

	if (!config)
		return X402_ERR_NOMEM;
	fac_config_chain_init(&chain_defaults);
	cfg_t *cfg = make_reader(config, &chain_defaults);
	if (!cfg) {
		fac_config_free(config);
		return X402_ERR_NOMEM;
	}
	current_problems = ret_problems;
	int rc = cfg_parse(cfg, path);
	if (rc == CFG_FILE_ERROR)
		fac_config_problem(ret_problems, "%s: cannot be read", path);
	else if (rc == CFG_SUCCESS)
		fill_config(cfg, path, config, ret_problems);
	else if (!ret_problems->len)
		fac_config_problem(ret_problems, "%s: malformed", path);
	cfg_free(cfg);
	current_problems = NULL;
	if (ret_problems->len || ret_problems->failed) {
		fac_config_free(config);
		return X402_ERR_SYNTAX;
	}
	*ret_config = config;
	return X402_OK;
}

/* ---- Showing and comparing. ---- */

static void dump_chain(
	const struct fac_config_chain *chain, struct x402_buf *buf)
{
	x402_buf_printf(buf, "chain \"%s\" {\n\trpc_urls = {",
		chain->network.caip2[0] ? chain->network.caip2
					: "asked from the chain");
	for (size_t i = 0; i < chain->rpc_urls_len; i++) {
		x402_buf_add_str(buf, i ? ", \"" : "\"");
		fac_config_redact_url(chain->rpc_urls[i], buf);
		x402_buf_add_byte(buf, '"');
	}
	x402_buf_add_str(buf, "}\n\tsigner_key_file = {");
	for (size_t i = 0; i < chain->signers_len; i++)
		x402_buf_printf(buf, "%s\"%s\"", i ? ", " : "",
			chain->signer_sources[i]);
	x402_buf_printf(buf,
		"}\n\trpc_timeout = %u\n\trpc_head_lag_max = %u\n"
		"\trpc_hedge_ms = %d\n\trpc_rps = %u\n"
		"\tready_head_age = %u\n"
		"\tmax_fee_gwei = %llu\n"
		"\tmax_priority_fee_gwei = %llu\n\tmax_gas = %llu\n"
		"\tmax_compute_units = %u\n"
		"\tmax_priority_fee_lamports = %llu\n",
		chain->rpc_timeout_ms / 1000, chain->rpc_head_lag_max,
		chain->rpc_hedge_ms, chain->rpc_rps, chain->ready_head_age_s,
		(unsigned long long)chain->max_fee_gwei,
		(unsigned long long)chain->max_priority_fee_gwei,
		(unsigned long long)chain->max_gas, chain->max_compute_units,
		(unsigned long long)chain->max_priority_fee_lamports);
	fac_config_settling_dump(&chain->settling, chain->network.caip2, buf);
	x402_buf_add_str(buf, "}\n");
}

void fac_config_dump(const struct fac_config *config, struct x402_buf *buf)
{
	const struct fac_settings *settings = &config->settings;

	x402_buf_printf(buf, "# from %s\n", config->source);
	x402_buf_printf(buf,
		strchr(config->host, ':') ? "listen = \"[%s]:%u\"\n"
					  : "listen = \"%s:%u\"\n",
		config->host, config->port);
	if (config->admin_unix)
		x402_buf_printf(buf, "admin_listen = \"unix:%s\"\n",
			config->admin_unix);
	else if (config->admin_host[0])
		x402_buf_printf(buf,
			strchr(config->admin_host, ':')
				? "admin_listen = \"[%s]:%u\"\n"
				: "admin_listen = \"%s:%u\"\n",
			config->admin_host, config->admin_port);
	else
		x402_buf_add_str(buf, "admin_listen = \"\"\n");
	x402_buf_printf(buf, "workers = %u\nstore = \"", config->workers);
	fac_config_redact_store(config->store_path, buf);
	x402_buf_printf(buf,
		"\"\ninstance = \"%s\"\nretention_days = %u\n"
		"response_deadline = %u\nverify_deadline = %u\n"
		"max_body_bytes = %llu\nmax_connections = %u\n"
		"cors_origin = \"%s\"\ndiscovery_post = %s\n"
		"log_file = \"%s\"\nlog_level = %s\n",
		config->instance, config->retention_days,
		settings->response_deadline_ms / 1000,
		settings->verify_deadline_ms / 1000,
		(unsigned long long)config->max_body_bytes,
		config->max_connections, settings->cors_origin,
		settings->discovery_post ? "true" : "false",
		config->log_file ? config->log_file : "",
		fac_log_level_text(settings->log_level));
	for (size_t i = 0; i < config->chains_len; i++)
		dump_chain(&config->chains[i], buf);
	for (size_t i = 0; i < config->hooks_len; i++)
		fac_config_hook_dump(&config->hooks[i], buf);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_chain(
	const struct fac_config_chain *a, const struct fac_config_chain *b)
{
	if (strcmp(a->network.caip2, b->network.caip2) ||
		a->rpc_urls_len != b->rpc_urls_len ||
		a->signers_len != b->signers_len ||
		a->rpc_timeout_ms != b->rpc_timeout_ms ||
		a->rpc_head_lag_max != b->rpc_head_lag_max ||
		a->rpc_hedge_ms != b->rpc_hedge_ms ||
		a->rpc_rps != b->rpc_rps ||
		a->ready_head_age_s != b->ready_head_age_s ||
		a->max_fee_gwei != b->max_fee_gwei ||
		a->max_priority_fee_gwei != b->max_priority_fee_gwei ||
		a->max_gas != b->max_gas ||
		a->max_compute_units != b->max_compute_units ||
		a->max_priority_fee_lamports != b->max_priority_fee_lamports ||
		!fac_config_settling_equal(&a->settling, &b->settling))
		return false;
	for (size_t i = 0; i < a->rpc_urls_len; i++)
		if (strcmp(a->rpc_urls[i], b->rpc_urls[i]))
			return false;
	for (size_t i = 0; i < a->signers_len; i++)
		if (a->network.family == X402_FAMILY_SVM
				? !x402_equal_ct(a->svm_signers[i],
					  b->svm_signers[i],
					  sizeof(*a->svm_signers[i]))
				: !x402_equal_ct(a->signers[i], b->signers[i],
					  sizeof(*a->signers[i])))
			return false;
	return true;
}

void fac_config_compare(const struct fac_config *a, const struct fac_config *b,
	struct x402_buf *ret_names)
{
	if (strcmp(a->host, b->host) || a->port != b->port)
		x402_buf_add_str(ret_names, "listen ");
	if (!same_text(a->admin_unix, b->admin_unix) ||
		strcmp(a->admin_host, b->admin_host) ||
		a->admin_port != b->admin_port)
		x402_buf_add_str(ret_names, "admin_listen ");
	if (a->workers != b->workers)
		x402_buf_add_str(ret_names, "workers ");
	if (!same_text(a->store_path, b->store_path))
		x402_buf_add_str(ret_names, "store ");
	if (strcmp(a->instance, b->instance))
		x402_buf_add_str(ret_names, "instance ");
	if (a->retention_days != b->retention_days)
		x402_buf_add_str(ret_names, "retention_days ");
	if (a->max_body_bytes != b->max_body_bytes)
		x402_buf_add_str(ret_names, "max_body_bytes ");
	if (a->max_connections != b->max_connections)
		x402_buf_add_str(ret_names, "max_connections ");
	bool same = a->chains_len == b->chains_len;
	for (size_t i = 0; same && i < a->chains_len; i++)
		same = same_chain(&a->chains[i], &b->chains[i]);
	if (!same)
		x402_buf_add_str(ret_names, "chain ");
	same = a->hooks_len == b->hooks_len;
	for (size_t i = 0; same && i < a->hooks_len; i++)
		same = fac_config_hook_equal(&a->hooks[i], &b->hooks[i]);
	if (!same)
		x402_buf_add_str(ret_names, "webhook ");
}
