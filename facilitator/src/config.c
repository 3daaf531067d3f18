/*
 * The configuration file: libconfuse reads it, validators (config_check.c) say
 * what is wrong with file and line while it is read, and fill_config() moves
 * what is right into struct fac_config. Defaults are in fac_config_new(),
 * nowhere else, and are handed to libconfuse from there.
 */
#include "config_p.h"

#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SVM_HEAD_LAG    25
#define DEFAULT_PORT    4022 /* as the reference facilitators' examples */
#define DEFAULT_WORKERS 4

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
	fac_config_check_settling(chain, prefix, problems);
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
	fac_config_set_checks(cfg);
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
