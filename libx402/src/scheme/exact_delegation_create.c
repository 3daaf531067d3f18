/*
 * exact on EVM by delegation (ERC-7710): the payer's side. A wallet makes the
 * context, in the form of its own manager; here it is told the terms, which
 * come from a stranger's offer and are parsed and bounded first, and what it
 * gives is held against the shape of a payload.
 */
#include "../evm/members_p.h"
#include "scheme_p.h"

/* As for an authorization of EIP-3009: longer is a trap (demands.md 46). */
#define MAX_TIMEOUT_SECONDS 86400

static enum x402_err read_account(const char *text, const char *field,
	struct x402_errinfo *info, struct x402_address *ret_address)
{
	if (x402_address_parse(text, ret_address) == X402_OK &&
		!x402_address_is_zero(ret_address))
		return X402_OK;
	x402_errinfo_set(info, field,
		"expected an address that somebody owns, got %.60s",
		text ? text : "nothing");
	return text ? X402_ERR_SYNTAX : X402_ERR_SCHEMA;
}

static enum x402_err read_terms(const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_delegation_terms *terms)
{
	enum x402_err err = x402_network_parse(
		x402_payment_requirements_caip2(offer), &terms->network);

	if (!err)
		err = read_account(offer->asset, "asset", info, &terms->asset);
	if (!err)
		err = read_account(
			offer->pay_to, "payTo", info, &terms->pay_to);
	if (!err)
		err = read_account(x402_json_get_string(
					   offer->extra, "facilitatorAddress"),
			"extra.facilitatorAddress", info, &terms->delegate);
	if (!err)
		err = x402_u256_from_dec(offer->amount, &terms->amount);
	if (err)
		return err;
	if (offer->max_timeout_seconds <= 0 ||
		offer->max_timeout_seconds > MAX_TIMEOUT_SECONDS) {
		x402_errinfo_set(info, "maxTimeoutSeconds",
			"expected 1 to %d, got %lld", MAX_TIMEOUT_SECONDS,
			(long long)offer->max_timeout_seconds);
		return X402_ERR_RANGE;
	}
	terms->valid_before_unix_s = options->now_unix_s +
		(uint64_t)offer->max_timeout_seconds;
	memcpy(terms->salt32, options->nonce32, 32);
	return X402_OK;
}

enum x402_err x402__delegation_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload)
{
	struct x402_delegation_terms terms = {0};
	struct x402_delegation_payload payload = {0};
	enum x402_err err;

	if (!options->delegate) {
		x402_errinfo_set(info, "extra.assetTransferMethod",
			"erc7710 is paid with what a wallet delegates, and "
			"there is none");
		return X402_ERR_UNSUPPORTED;
	}
	err = read_terms(offer, options, info, &terms);
	if (!err)
		err = options->delegate(options->user, &terms, &payload);
	if (!err && payload.context.failed)
		err = X402_ERR_NOMEM;
	if (!err && payload.context.len > X402_PERMISSION_CONTEXT_MAX)
		err = X402_ERR_TOO_LARGE;
	/* A wallet that gives nothing has not agreed. */
	if (!err &&
		(!payload.context.len ||
			x402_address_is_zero(&payload.manager) ||
			x402_address_is_zero(&payload.delegator)))
		err = X402_ERR_SCHEMA;
	if (!err)
		err = x402_delegation_payload_to_json(&payload, ret_payload);
	x402_delegation_payload_clear(&payload);
	return err;
}
