/*
 * The part of a chain's section that says how payments are settled: depth,
 * batches, tokens, ceilings. Read by config.c; shown and compared here.
 */
#include "config_p.h"

#include <stdio.h>
#include <stdlib.h>

#define CONFIRMATIONS_MAX 1000

void fac_config_settling_init(struct fac_config_settling *settling)
{
	*settling = (struct fac_config_settling){.confirmations = 1,
		.proof_depth = 12,
		.batch_max = FAC_BATCH_MAX,
		.batch_window_ms = 200,
		.batch_payment_gas = 90000,
		.batch_max_gas = 16000000,
		.stuck_after_s = 20,
		.delegation_gas = X402_DELEGATION_GAS,
		/* 70,000 gas at 1.4 gwei, and a hundred of those a day. */
		.gift_max_gwei = 100000,
		.daily_gifts_gwei = 10000000,
		.credit_preempted = true,
		.daily_other_tokens_gwei = FAC_CONFIG_OTHERS_BY_CHAIN,
		.proofs = X402_PROOFS_BOUND};
}

static const char *const proof_policies[] = {[X402_PROOFS_ANY] = "any",
	[X402_PROOFS_BOUND] = "bound",
	[X402_PROOFS_OFF] = "off"};

bool fac_config_parse_proofs(
	const char *text, enum x402_proof_policy *ret_policy)
{
	for (size_t i = 0; i < sizeof(proof_policies) / sizeof(char *); i++)
		if (!strcmp(text, proof_policies[i])) {
			*ret_policy = (enum x402_proof_policy)i;
			return true;
		}
	return false;
}

bool fac_config_parse_confirmations(const char *text, uint32_t *ret_value)
{
	struct x402_u256 value;
	uint64_t number;

	if (!strcmp(text, "submitted")) {
		*ret_value = FAC_CONFIRM_SUBMITTED;
		return true;
	}
	if (!strcmp(text, "safe")) {
		*ret_value = FAC_CONFIRM_SAFE;
		return true;
	}
	if (!strcmp(text, "finalized")) {
		*ret_value = FAC_CONFIRM_FINALIZED;
		return true;
	}
	if (x402_u256_from_dec(text, &value) ||
		!x402_u256_to_u64(&value, &number) || number < 1 ||
		number > CONFIRMATIONS_MAX)
		return false;
	*ret_value = (uint32_t)number;
	return true;
}

/* As many as their check lets pass. */
static size_t read_addresses(
	cfg_t *cfg, const char *name, struct x402_address *ret_addresses)
{
	size_t len = 0;

	for (unsigned i = 0; i < cfg_size(cfg, name); i++)
		if (!x402_address_parse(
			    cfg_getnstr(cfg, name, i), &ret_addresses[len]))
			len++;
	return len;
}

/*
 * On Solana a node takes what will never land, and the payer decides that, for
 * nothing: by a blockhash that is about to expire.
 */
void fac_config_check_settling(const struct fac_config_chain *chain,
	const char *source, struct x402_buf *problems)
{
	if (chain->network.family == X402_FAMILY_SVM &&
		chain->settling.confirmations == FAC_CONFIRM_SUBMITTED)
		fac_config_problem(problems,
			"%s: on Solana what was submitted may never land: "
			"expected a number from 1, safe or finalized",
			source);
}

void fac_config_fill_settling(cfg_t *cfg, struct fac_config_settling *settling)
{
	/* Validated as they were read. */
	(void)!fac_config_parse_confirmations(
		cfg_getstr(cfg, "confirmations"), &settling->confirmations);
	settling->proof_depth = (uint32_t)cfg_getint(cfg, "proof_depth");
	settling->batch_max = (uint32_t)cfg_getint(cfg, "batch_max");
	settling->batch_window_ms = (uint32_t)cfg_getint(
		cfg, "batch_window_ms");
	settling->batch_payment_gas = (uint64_t)cfg_getint(
		cfg, "batch_payment_gas");
	settling->batch_max_gas = (uint64_t)cfg_getint(cfg, "batch_max_gas");
	settling->stuck_after_s = (uint32_t)cfg_getint(cfg, "stuck_after");
	settling->credit_preempted = cfg_getbool(cfg, "credit_preempted");
	(void)!fac_config_parse_proofs(
		cfg_getstr(cfg, "transaction_proofs"), &settling->proofs);
	settling->max_payment_cost_gwei = (uint64_t)cfg_getint(
		cfg, "max_payment_cost_gwei");
	settling->daily_payer_gwei = (uint64_t)cfg_getint(
		cfg, "daily_payer_gwei");
	settling->daily_caller_gwei = (uint64_t)cfg_getint(
		cfg, "daily_caller_gwei");
	settling->daily_total_gwei = (uint64_t)cfg_getint(
		cfg, "daily_total_gwei");
	/* Not said: -1, which nobody can write. */
	if (cfg_getint(cfg, "daily_other_tokens_gwei") >= 0)
		settling->daily_other_tokens_gwei = (uint64_t)cfg_getint(
			cfg, "daily_other_tokens_gwei");
	snprintf(settling->builder_code, sizeof(settling->builder_code), "%s",
		cfg_getstr(cfg, "builder_code"));
	settling->sponsor_approvals = cfg_getbool(cfg, "sponsor_approvals");
	settling->gift_max_gwei = (uint64_t)cfg_getint(cfg, "gift_max_gwei");
	settling->daily_gifts_gwei = (uint64_t)cfg_getint(
		cfg, "daily_gifts_gwei");
	settling->has_tokens = cfg_size(cfg, "batch_tokens") > 0;
	settling->tokens_len = read_addresses(
		cfg, "batch_tokens", settling->tokens);
	settling->factories_len = read_addresses(
		cfg, "wallet_factories", settling->factories);
	settling->managers_len = read_addresses(
		cfg, "delegation_managers", settling->managers);
	settling->delegation_gas = (uint64_t)cfg_getint(
		cfg, "delegation_gas_max");
}

static void dump_confirmations(uint32_t value, struct x402_buf *buf)
{
	if (value == FAC_CONFIRM_SUBMITTED)
		x402_buf_add_str(buf, "submitted");
	else if (value == FAC_CONFIRM_SAFE)
		x402_buf_add_str(buf, "safe");
	else if (value == FAC_CONFIRM_FINALIZED)
		x402_buf_add_str(buf, "finalized");
	else
		x402_buf_printf(buf, "%u", value);
}

static void dump_addresses(const char *name,
	const struct x402_address *addresses, size_t len, struct x402_buf *buf)
{
	char text[X402_ADDRESS_TEXT_SIZE];

	x402_buf_printf(buf, "\t%s = {", name);
	for (size_t i = 0; i < len; i++) {
		x402_address_format(&addresses[i], text);
		x402_buf_printf(buf, "%s\"%s\"", i ? ", " : "", text);
	}
	x402_buf_add_str(buf, "}\n");
}

void fac_config_settling_dump(const struct fac_config_settling *settling,
	const char *caip2, struct x402_buf *buf)
{
	x402_buf_add_str(buf, "\tconfirmations = ");
	dump_confirmations(settling->confirmations, buf);
	x402_buf_printf(buf,
		"\n\tproof_depth = %u\n\tbatch_max = %u\n"
		"\tbatch_window_ms = %u\n\tbatch_payment_gas = %llu\n"
		"\tbatch_max_gas = %llu\n\tstuck_after = %u\n"
		"\tcredit_preempted = %s\n",
		settling->proof_depth, settling->batch_max,
		settling->batch_window_ms,
		(unsigned long long)settling->batch_payment_gas,
		(unsigned long long)settling->batch_max_gas,
		settling->stuck_after_s,
		settling->credit_preempted ? "true" : "false");
	x402_buf_printf(buf, "\ttransaction_proofs = %s\n",
		proof_policies[settling->proofs]);
	x402_buf_printf(buf,
		"\tbuilder_code = \"%s\"\n\tsponsor_approvals = "
		"%s\n\tgift_max_gwei = %llu\n"
		"\tdaily_gifts_gwei = %llu\n",
		settling->builder_code,
		settling->sponsor_approvals ? "true" : "false",
		(unsigned long long)settling->gift_max_gwei,
		(unsigned long long)settling->daily_gifts_gwei);
	x402_buf_printf(buf,
		"\tmax_payment_cost_gwei = %llu\n"
		"\tdaily_payer_gwei = %llu\n\tdaily_caller_gwei = %llu\n"
		"\tdaily_total_gwei = %llu\n"
		"\tdaily_other_tokens_gwei = %llu\n",
		(unsigned long long)settling->max_payment_cost_gwei,
		(unsigned long long)settling->daily_payer_gwei,
		(unsigned long long)settling->daily_caller_gwei,
		(unsigned long long)settling->daily_total_gwei,
		(unsigned long long)fac_config_settling_others(
			settling, caip2));
	if (settling->has_tokens)
		dump_addresses("batch_tokens", settling->tokens,
			settling->tokens_len, buf);
	if (settling->factories_len)
		dump_addresses("wallet_factories", settling->factories,
			settling->factories_len, buf);
	if (settling->managers_len)
		dump_addresses("delegation_managers", settling->managers,
			settling->managers_len, buf);
	x402_buf_printf(buf, "\tdelegation_gas_max = %llu\n",
		(unsigned long long)settling->delegation_gas);
}

static bool same_addresses(const struct x402_address *a, size_t a_len,
	const struct x402_address *b, size_t b_len)
{
	if (a_len != b_len)
		return false;
	for (size_t i = 0; i < a_len; i++)
		if (!x402_address_equal(&a[i], &b[i]))
			return false;
	return true;
}

bool fac_config_settling_equal(const struct fac_config_settling *a,
	const struct fac_config_settling *b)
{
	if (a->confirmations != b->confirmations ||
		a->proof_depth != b->proof_depth ||
		a->batch_max != b->batch_max ||
		a->batch_window_ms != b->batch_window_ms ||
		a->batch_payment_gas != b->batch_payment_gas ||
		a->batch_max_gas != b->batch_max_gas ||
		a->stuck_after_s != b->stuck_after_s ||
		a->delegation_gas != b->delegation_gas ||
		a->credit_preempted != b->credit_preempted ||
		a->proofs != b->proofs || a->has_tokens != b->has_tokens ||
		strcmp(a->builder_code, b->builder_code) != 0 ||
		a->sponsor_approvals != b->sponsor_approvals ||
		a->gift_max_gwei != b->gift_max_gwei ||
		a->daily_gifts_gwei != b->daily_gifts_gwei ||
		a->max_payment_cost_gwei != b->max_payment_cost_gwei ||
		a->daily_payer_gwei != b->daily_payer_gwei ||
		a->daily_caller_gwei != b->daily_caller_gwei ||
		a->daily_total_gwei != b->daily_total_gwei ||
		a->daily_other_tokens_gwei != b->daily_other_tokens_gwei)
		return false;
	return same_addresses(
		       a->tokens, a->tokens_len, b->tokens, b->tokens_len) &&
		same_addresses(a->factories, a->factories_len, b->factories,
			b->factories_len) &&
		same_addresses(a->managers, a->managers_len, b->managers,
			b->managers_len);
}

void fac_config_settling_tokens(const struct fac_config_settling *settling,
	const char *caip2, struct fac_engine_chain *chain)
{
	const struct x402_default_asset *asset;

	if (settling->has_tokens) {
		memcpy(chain->tokens, settling->tokens, sizeof(chain->tokens));
		chain->tokens_len = settling->tokens_len;
		return;
	}
	for (size_t i = 0; (asset = x402_known_asset_at(i)); i++) {
		struct x402_address *token = &chain->tokens[chain->tokens_len];

		if (chain->tokens_len < FAC_ENGINE_TOKENS_MAX &&
			asset->official &&
			asset->method == X402_TRANSFER_EIP3009 &&
			!strcmp(asset->network, caip2) &&
			!x402_address_parse(asset->address, token))
			chain->tokens_len++;
	}
}

bool fac_config_settling_knows(const struct fac_config_settling *settling,
	const char *caip2, const char *asset)
{
	struct x402_address token;

	if (x402_address_parse(asset, &token))
		return false;
	for (size_t i = 0; i < settling->tokens_len; i++)
		if (x402_address_equal(&settling->tokens[i], &token))
			return true;
	return x402_known_asset(caip2, asset) != NULL;
}

/*
 * Anybody can make a token and have our gas spent on moving it, so this is what
 * a day of strangers may cost until the operator says more: a hundredth of a
 * coin, as of gifts. Where a coin is worth cents and gas is dear in gwei, that
 * would be two payments: there it is some coins.
 */
#define OTHERS_GWEI UINT64_C(10000000)
static const struct {
	const char *caip2;
	uint64_t gwei;
} others[] = {
	{"eip155:137", 1000 * OTHERS_GWEI},
	{"eip155:80002", 1000 * OTHERS_GWEI},
	{"eip155:43114", 100 * OTHERS_GWEI},
	{"eip155:43113", 100 * OTHERS_GWEI},
};

uint64_t fac_config_settling_others(
	const struct fac_config_settling *settling, const char *caip2)
{
	if (settling->daily_other_tokens_gwei != FAC_CONFIG_OTHERS_BY_CHAIN)
		return settling->daily_other_tokens_gwei;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (!strcmp(others[i].caip2, caip2))
			return others[i].gwei;
	return OTHERS_GWEI;
}

void fac_config_redact_store(const char *path, struct x402_buf *buf)
{
	if (strncmp(path, "postgres", 8) == 0 && strstr(path, "://"))
		fac_config_redact_url(path, buf);
	else
		x402_buf_add_str(buf, path);
}
