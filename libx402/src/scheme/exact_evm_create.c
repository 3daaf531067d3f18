/*
 * exact on EVM with EIP-3009: the payer's side (C-050 to C-054). The offer
 * comes from a stranger: everything that ends up under the signature is
 * parsed and bounded here.
 */
#include "../evm/members_p.h"
#include "exact_evm_p.h"
#include "x402/eip712.h"

/* C-051: clocks of payer, payee and chain differ. */
#define VALID_AFTER_MARGIN_S 600
/*
 * The longest authorization we sign. Offers say minutes; a signature that
 * stays spendable for longer than a day is a trap (demands.md 46).
 */
#define MAX_TIMEOUT_SECONDS 86400

struct terms {
	struct x402_eip3009_authorization authorization;
	struct x402_address asset;
	struct x402_network network;
	const char *name;
	const char *version;
};

static enum x402_err read_addresses(
	const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct terms *terms)
{
	struct x402_address *to = &terms->authorization.to;

	if (x402_address_parse(offer->asset, &terms->asset) != X402_OK) {
		x402_errinfo_set(info, "asset",
			"expected an address, got %.60s", offer->asset);
		return X402_ERR_SYNTAX;
	}
	if (x402_address_parse(offer->pay_to, to) != X402_OK ||
		x402_address_is_zero(to)) {
		x402_errinfo_set(info, "payTo",
			"expected an address that somebody owns, got %.60s",
			offer->pay_to);
		return X402_ERR_SYNTAX;
	}
	return X402_OK;
}

static enum x402_err read_terms(const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct terms *terms)
{
	struct x402_eip3009_authorization *auth = &terms->authorization;
	uint64_t now = options->now_unix_s;
	enum x402_err err;

	terms->name = x402_json_get_string(offer->extra, "name");
	terms->version = x402_json_get_string(offer->extra, "version");
	if (!terms->name || !*terms->name || !terms->version ||
		!*terms->version) {
		/* C-050: never guess on chain. */
		x402_errinfo_set(info, "extra",
			"expected name and version, the token's EIP-712 "
			"domain");
		return X402_ERR_SCHEMA;
	}
	err = x402_network_parse(
		x402_payment_requirements_caip2(offer), &terms->network);
	if (!err)
		err = read_addresses(offer, info, terms);
	if (!err)
		err = x402_u256_from_dec(offer->amount, &auth->value);
	if (err)
		return err;
	if (offer->max_timeout_seconds <= 0 ||
		offer->max_timeout_seconds > MAX_TIMEOUT_SECONDS) {
		x402_errinfo_set(info, "maxTimeoutSeconds",
			"expected 1 to %d, got %lld", MAX_TIMEOUT_SECONDS,
			(long long)offer->max_timeout_seconds);
		return X402_ERR_RANGE;
	}
	auth->from = options->payer;
	auth->valid_after = x402_u256_from_u64(
		now > VALID_AFTER_MARGIN_S ? now - VALID_AFTER_MARGIN_S : 0);
	auth->valid_before = x402_u256_from_u64(
		now + (uint64_t)offer->max_timeout_seconds);
	memcpy(auth->nonce32, options->nonce32, 32);
	return X402_OK;
}

enum x402_err x402__exact_evm_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload)
{
	struct terms terms = {0};
	struct x402_eip3009_payload payload = {0};
	struct x402_eip712_domain domain;
	uint8_t separator[32];
	enum x402_err err;

	err = read_terms(offer, options, info, &terms);
	if (err)
		return err;
	domain = (struct x402_eip712_domain){.name = terms.name,
		.version = terms.version,
		.chain_id = terms.network.chain_id,
		.verifying_contract = &terms.asset};
	x402_eip712_domain_separator_cached(
		options->cache ? &options->cache->domains : NULL, &domain,
		separator);
	payload.authorization = terms.authorization;
	struct x402_signable signable = {.kind = X402_SIGNABLE_EIP3009,
		.domain = &domain,
		.eip3009 = &payload.authorization};
	x402_eip3009_digest(&terms.authorization, separator, signable.digest32);
	err = options->sign(options->user, &signable, &payload.signature);
	if (!err && payload.signature.failed)
		err = X402_ERR_NOMEM;
	if (!err && payload.signature.len > X402_SIGNATURE_MAX_BYTES)
		err = X402_ERR_TOO_LARGE;
	if (!err)
		err = x402__eip3009_payload_to_json(&payload,
			options->cache ? &options->cache->addresses : NULL,
			ret_payload);
	x402_eip3009_payload_clear(&payload);
	return err;
}
