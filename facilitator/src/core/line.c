/*
 * A line and its lanes as they are made: what the operator left open gets its
 * default here, and nowhere else.
 */
#include "core/engine_p.h"

#define DEFAULT_MAX_FEE_GWEI      500
#define DEFAULT_MAX_PRIORITY_GWEI 100
#define DEFAULT_MAX_GAS           1000000
#define DEFAULT_PROOF_DEPTH       12
/* Slots until a block of Solana is finalized, and as many again. */
#define SVM_PROOF_DEPTH         64
#define DEFAULT_LANE_LIMIT      64
#define DEFAULT_BATCH_WINDOW_MS 200
/* 42,000 to 64,000 were seen for USDC; a new payee's balance costs 20,000. */
#define DEFAULT_BATCH_PAYMENT_GAS 90000
#define DEFAULT_BATCH_MAX_GAS     16000000
#define DEFAULT_STUCK_MS          20000
#define GWEI                      UINT64_C(1000000000)

static enum x402_err init_lane(struct fac_line *line, size_t index)
{
	struct fac_lane *lane = &line->lanes[index];
	enum x402_err err;

	lane->line = line;
	if (fac_svm_is(line)) {
		lane->svm_key = line->config.svm_signers[index];
		lane->svm_pubkey = x402_svm_secret_pubkey(lane->svm_key);
		memcpy(lane->address.bytes, lane->svm_pubkey.bytes, 20);
		x402_pubkey_format(&lane->svm_pubkey, lane->text);
		return X402_OK;
	}
	lane->key = line->config.signers[index];
	err = x402_secret_address(
		line->engine->secp, lane->key, &lane->address);
	if (!err)
		x402_address_format(&lane->address, lane->text);
	return err;
}

enum x402_err fac_line_init(struct fac_engine *engine, size_t index,
	const struct fac_engine_chain *chain)
{
	struct fac_line *line = &engine->lines[index];
	struct fac_engine_chain *config = &line->config;
	const struct x402_u256 gwei = x402_u256_from_u64(GWEI);

	if (!chain->signers_len ||
		chain->signers_len > FAC_ENGINE_SIGNERS_MAX ||
		(chain->network.family != X402_FAMILY_EVM &&
			chain->network.family != X402_FAMILY_SVM) ||
		(chain->network.family == X402_FAMILY_SVM &&
			!chain->svm_signers))
		return X402_ERR_INVALID_ARGUMENT;
	line->engine = engine;
	line->index = index;
	line->queued_last = &line->queued;
	*config = *chain;
	if (x402_u256_is_zero(&config->max_fee_per_gas) &&
		!x402_u256_mul_u64(
			&gwei, DEFAULT_MAX_FEE_GWEI, &config->max_fee_per_gas))
		return X402_ERR_INVALID_ARGUMENT;
	if (x402_u256_is_zero(&config->max_priority_fee_per_gas) &&
		!x402_u256_mul_u64(&gwei, DEFAULT_MAX_PRIORITY_GWEI,
			&config->max_priority_fee_per_gas))
		return X402_ERR_INVALID_ARGUMENT;
	if (!config->max_gas_limit)
		config->max_gas_limit = DEFAULT_MAX_GAS;
	if (!config->proof_depth)
		config->proof_depth = DEFAULT_PROOF_DEPTH;
	if (chain->network.family == X402_FAMILY_SVM &&
		config->proof_depth < SVM_PROOF_DEPTH)
		config->proof_depth = SVM_PROOF_DEPTH;
	/* Solana has no mempool that would drop what is too much for it. */
	if (!config->lane_limit)
		config->lane_limit = chain->network.family == X402_FAMILY_SVM
			? FAC_LANE_MAX
			: DEFAULT_LANE_LIMIT;
	if (config->lane_limit > FAC_LANE_MAX)
		config->lane_limit = FAC_LANE_MAX;
	if (!config->batch_max || config->batch_max > FAC_BATCH_MAX)
		config->batch_max = FAC_BATCH_MAX;
	if (!config->batch_window_ms)
		config->batch_window_ms = DEFAULT_BATCH_WINDOW_MS;
	if (!config->batch_payment_gas)
		config->batch_payment_gas = DEFAULT_BATCH_PAYMENT_GAS;
	if (!config->batch_max_gas)
		config->batch_max_gas = DEFAULT_BATCH_MAX_GAS;
	if (!config->stuck_ms)
		config->stuck_ms = DEFAULT_STUCK_MS;
	line->batch_payment_gas = config->batch_payment_gas;
	for (size_t i = 0; i < config->signers_len; i++) {
		enum x402_err err = init_lane(line, i);

		if (err)
			return err;
	}
	return X402_OK;
}
