/*
 * What each key of the configuration file may say. libconfuse calls these while
 * it reads, so that a problem is told with its line; a limit stands here with
 * the check that holds it.
 */
#include "config_p.h"

#include <limits.h>
#include <stdlib.h>

/* Ceilings of the ceilings: beyond these a figure is a typing error. */
#define DEADLINE_MAX_S    600
#define HEAD_LAG_MAX      100000
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

void fac_config_set_checks(cfg_t *cfg)
{
	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++)
		cfg_set_validate_func(cfg, checks[i].name, checks[i].check);
}
