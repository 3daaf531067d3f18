/*
 * What a payment may cost in gas before it is taken (F4), and what is said when
 * that is too much.
 *
 *   fac_cost_begin     the estimate, the ceiling of one payment, and whose
 *                      account it goes on
 *   fac_cost_limits    the ceilings of a day that it counts against
 *   fac_cost_refused   one of them is reached: the answer, the log, the count
 *
 * The store counts by payer, caller and chain. Anybody can make a token, and a
 * payment in it is worth nothing to the operator: those in tokens that neither
 * libx402 nor the operator knows share one caller's account, whoever asks.
 * Gifts share another (engine.h).
 */
#include "core/engine_p.h"
#include "x402/network.h"

#include <stdio.h>

#define GWEI UINT64_C(1000000000)
/* Refusals come as fast as requests: say it once in a while. */
#define NOTE_EVERY_MS 10000
/* How the store's words begin when the ceiling was the caller's. */
#define OVER_CALLER FAC_SPEND_OVER_TEXT "caller's payments "

/* What its gas may cost at most, by the fees that were last heard. */
static uint64_t estimate_gwei(
	const struct fac_line *line, const struct fac_payment *payment)
{
	struct x402_u256 fee = line->fees.base_fee_per_gas;
	struct x402_u256 value = x402_settle_proof_value(&payment->proof);
	uint64_t estimate;

	if (fac_svm_is(line))
		return payment->gas_limit;
	if (!line->fees_at_ms ||
		!x402_u256_add(
			&fee, &line->fees.max_priority_fee_per_gas, &fee) ||
		x402_u256_cmp(&fee, &line->config.max_fee_per_gas) > 0)
		fee = line->config.max_fee_per_gas;
	if (!x402_u256_mul_u64(&fee, payment->gas_limit, &fee) ||
		!x402_u256_add(&fee, &value, &fee) ||
		!x402_u256_div_u64(&fee, GWEI, &fee, NULL) ||
		!x402_u256_to_u64(&fee, &estimate))
		return INT64_MAX;
	return estimate + 1;
}

static bool is_gift(const struct fac_payment *payment)
{
	struct x402_u256 value = x402_settle_proof_value(&payment->proof);

	return !x402_u256_is_zero(&value);
}

static bool is_known_token(
	const struct fac_line *line, const struct fac_payment *payment)
{
	char asset[X402_ACCOUNT_TEXT_SIZE];

	for (size_t i = 0; i < line->config.tokens_len && !fac_svm_is(line);
		i++)
		if (x402_address_equal(
			    &line->config.tokens[i], &payment->proof.asset))
			return true;
	if (fac_svm_is(line))
		x402_pubkey_format(&payment->proof.svm_asset, asset);
	else
		x402_address_format(&payment->proof.asset, asset);
	return x402_known_asset(line->config.network.caip2, asset);
}

static bool is_of_others(const struct fac_payment *payment)
{
	return strcmp(payment->caller, FAC_OTHERS_CALLER) == 0;
}

bool fac_cost_begin(struct fac_line *line, struct fac_payment *payment)
{
	const struct fac_engine_chain *config = &line->config;

	payment->cost_gwei = estimate_gwei(line, payment);
	if (config->daily_others_gwei && !is_gift(payment) &&
		!is_known_token(line, payment))
		snprintf(payment->caller, sizeof(payment->caller), "%s",
			FAC_OTHERS_CALLER);
	if (!config->max_payment_cost_gwei ||
		payment->cost_gwei <= config->max_payment_cost_gwei)
		return true;
	line->engine->stats.over_ceiling++;
	return false;
}

struct fac_spend_limits fac_cost_limits(
	const struct fac_line *line, const struct fac_payment *payment)
{
	struct fac_spend_limits limits = line->config.limits;

	/* Gifts of a day have a ceiling of their own beside the others. */
	if (is_gift(payment))
		return line->config.gift_limits;
	/* A lower one of each caller holds for all these together. */
	if (is_of_others(payment) &&
		(!limits.caller_gwei ||
			limits.caller_gwei > line->config.daily_others_gwei))
		limits.caller_gwei = line->config.daily_others_gwei;
	return limits;
}

void fac_cost_refused(
	struct fac_job *job, const char *why, char ret_why[FAC_MESSAGE_SIZE])
{
	struct fac_line *line = job->line;
	uint64_t now = fac_engine_now(job->engine);

	snprintf(ret_why, FAC_MESSAGE_SIZE, "%s", why);
	/* validBefore is long past: no ceiling's fault. */
	if (strncmp(why, FAC_SPEND_OVER_TEXT, strlen(FAC_SPEND_OVER_TEXT)) != 0)
		return;
	if (is_of_others(&job->payment) &&
		strncmp(why, OVER_CALLER, strlen(OVER_CALLER)) == 0)
		snprintf(ret_why, FAC_MESSAGE_SIZE,
			"the gas of payments in tokens that are not known here "
			"(daily_other_tokens_gwei) %s",
			why + strlen(OVER_CALLER));
	job->engine->stats.over_ceiling++;
	if (line->over_noted_ms && now - line->over_noted_ms < NOTE_EVERY_MS)
		return;
	line->over_noted_ms = now;
	fac_engine_note(job->engine, true, "%s: a payment is refused: %s",
		line->config.network.caip2, ret_why);
}
