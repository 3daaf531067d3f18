/*
 * exact and upto through Permit2: the payer's side (C-060 to C-062). The offer
 * comes from a stranger: everything that ends up under the signature is
 * parsed and bounded here.
 */
#include "permit2_p.h"
#include "x402/eip712.h"

/* C-061: clocks of payer, payee and chain differ. */
#define VALID_AFTER_MARGIN_S 600
/* As for EIP-3009: longer is a trap (demands.md 46). */
#define MAX_TIMEOUT_SECONDS 86400

static enum x402_err read_address(const char *text, const char *field,
	struct x402_errinfo *info, struct x402_address *ret_address)
{
	if (x402_address_parse(text, ret_address) == X402_OK &&
		!x402_address_is_zero(ret_address))
		return X402_OK;
	x402_errinfo_set(info, field,
		"expected an address that somebody owns, got %.60s",
		text ? text : "nothing");
	return X402_ERR_SYNTAX;
}

/* What the witness names; upto cannot be paid without its facilitator. */
static enum x402_err read_witness(const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct x402_permit2_authorization *auth)
{
	enum x402_err err = read_address(
		offer->pay_to, "payTo", info, &auth->to);

	if (!err && auth->kind == X402_PERMIT2_UPTO)
		err = read_address(x402_json_get_string(
					   offer->extra, "facilitatorAddress"),
			"extra.facilitatorAddress", info, &auth->facilitator);
	return err;
}

static enum x402_err read_terms(const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_permit2_authorization *auth)
{
	uint64_t now = options->now_unix_s;
	enum x402_err err = read_address(
		offer->asset, "asset", info, &auth->token);

	if (!err)
		err = read_witness(offer, info, auth);
	if (!err)
		err = x402_u256_from_dec(offer->amount, &auth->amount);
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
	auth->spender = *x402_permit2_proxy(auth->kind);
	auth->nonce = x402_u256_from_be32(options->nonce32);
	auth->valid_after = x402_u256_from_u64(
		now > VALID_AFTER_MARGIN_S ? now - VALID_AFTER_MARGIN_S : 0);
	auth->deadline = x402_u256_from_u64(
		now + (uint64_t)offer->max_timeout_seconds);
	return X402_OK;
}

enum x402_err x402__permit2_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, enum x402_permit2_kind kind,
	struct x402_errinfo *info, struct x402_json **ret_payload)
{
	struct x402_permit2_payload payload = {.authorization = {.kind = kind}};
	struct x402_network network;
	struct x402_eip712_domain domain;
	enum x402_err err = x402_network_parse(
		x402_payment_requirements_caip2(offer), &network);

	if (!err)
		err = read_terms(offer, options, info, &payload.authorization);
	if (err)
		return err;
	domain = (struct x402_eip712_domain){.name = "Permit2",
		.chain_id = network.chain_id,
		.verifying_contract = x402_permit2_contract()};
	struct x402_signable signable = {.kind = X402_SIGNABLE_PERMIT2,
		.domain = &domain,
		.permit2 = &payload.authorization};
	x402_permit2_digest(
		&payload.authorization, network.chain_id, signable.digest32);
	err = options->sign(options->user, &signable, &payload.signature);
	if (!err && payload.signature.failed)
		err = X402_ERR_NOMEM;
	if (!err && payload.signature.len > X402_SIGNATURE_MAX_BYTES)
		err = X402_ERR_TOO_LARGE;
	if (!err)
		err = x402_permit2_payload_to_json(&payload, ret_payload);
	x402_permit2_payload_clear(&payload);
	return err;
}

/* ---- The permit sent along (C-064). ---- */

static enum x402_err read_token(const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct x402_permit2612 *permit,
	struct x402_eip712_domain *domain)
{
	struct x402_network network;
	enum x402_err err = x402_network_parse(
		x402_payment_requirements_caip2(offer), &network);

	if (!err)
		err = read_address(offer->asset, "asset", info, &permit->token);
	if (!err)
		err = x402_u256_from_dec(offer->amount, &permit->value);
	if (err)
		return err;
	domain->name = x402_json_get_string(offer->extra, "name");
	domain->version = x402_json_get_string(offer->extra, "version");
	domain->chain_id = network.chain_id;
	domain->verifying_contract = &permit->token;
	if (domain->name && *domain->name && domain->version &&
		*domain->version)
		return X402_OK;
	x402_errinfo_set(info, "extra",
		"expected name and version, the token's EIP-712 domain");
	return X402_ERR_SCHEMA;
}

static enum x402_err wrap_info(const char *name, struct x402_json *info,
	struct x402_json **ret_extensions)
{
	struct x402_json *all = x402_json_new_object();
	struct x402_json *extension = x402_json_new_object();
	enum x402_err err = all && extension ? X402_OK : X402_ERR_NOMEM;

	if (!err)
		err = x402_json_set_take(
			extension, "info", x402_json_ref(info));
	if (!err)
		err = x402_json_set_take(all, name, x402_json_ref(extension));
	x402_json_unref(extension);
	if (err) {
		x402_json_unref(all);
		return err;
	}
	*ret_extensions = all;
	return X402_OK;
}

enum x402_err x402_create_permit2612(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options,
	const struct x402_u256 *nonce, struct x402_errinfo *info,
	struct x402_json **ret_extensions)
{
	struct x402_permit2612 permit = {.owner = options->payer,
		.spender = *x402_permit2_contract(),
		.nonce = *nonce};
	struct x402_eip712_domain domain = {0};
	struct x402_signable signable = {.kind = X402_SIGNABLE_EIP2612,
		.domain = &domain,
		.eip2612 = &permit};
	struct x402_buf signature = {0};
	struct x402_json *json = NULL;
	uint8_t separator[32];
	enum x402_err err = read_token(offer, info, &permit, &domain);

	if (err)
		return err;
	if (offer->max_timeout_seconds <= 0 ||
		offer->max_timeout_seconds > MAX_TIMEOUT_SECONDS)
		return X402_ERR_RANGE;
	permit.deadline = x402_u256_from_u64(
		options->now_unix_s + (uint64_t)offer->max_timeout_seconds);
	x402_eip712_domain_separator(&domain, separator);
	x402_permit2612_digest(&permit, separator, signable.digest32);
	err = options->sign(options->user, &signable, &signature);
	/* The token's permit takes v, r and s: no contract's signature. */
	if (!err && (signature.failed || signature.len != 65))
		err = signature.failed ? X402_ERR_NOMEM : X402_ERR_UNSUPPORTED;
	if (!err) {
		memcpy(permit.sig65, signature.ptr, 65);
		err = x402_permit2612_to_json(&permit, &json);
	}
	if (!err)
		err = wrap_info("eip2612GasSponsoring", json, ret_extensions);
	x402_json_unref(json);
	x402_buf_clear(&signature);
	return err;
}

/* ---- The approval sent along (C-065). ---- */

/* Without a node's word for it. */
#define FALLBACK_MAX_FEE      UINT64_C(1000000000)
#define FALLBACK_PRIORITY_FEE UINT64_C(100000000)

static void choose_fees(
	const struct x402_approval_facts *facts, struct x402_transaction *tx)
{
	tx->max_fee_per_gas = facts->max_fee_per_gas;
	tx->max_priority_fee_per_gas = facts->max_priority_fee_per_gas;
	if (x402_u256_is_zero(&tx->max_fee_per_gas)) {
		tx->max_fee_per_gas = x402_u256_from_u64(FALLBACK_MAX_FEE);
		tx->max_priority_fee_per_gas = x402_u256_from_u64(
			FALLBACK_PRIORITY_FEE);
	}
	if (x402_u256_cmp(&tx->max_priority_fee_per_gas, &tx->max_fee_per_gas) >
		0)
		tx->max_priority_fee_per_gas = tx->max_fee_per_gas;
}

static enum x402_err sign_approval(const struct x402_create_options *options,
	struct x402_transaction *tx, struct x402_buf *ret_raw)
{
	struct x402_signable signable = {
		.kind = X402_SIGNABLE_APPROVAL, .approval = tx};
	struct x402_buf signature = {0};
	uint8_t sig65[65];
	uint8_t hash32[32];
	enum x402_err err = x402_transaction_signing_hash(
		tx, signable.digest32);

	if (!err)
		err = options->sign(options->user, &signable, &signature);
	/* A contract's signature sends no transaction. */
	if (!err && (signature.failed || signature.len != 65))
		err = signature.failed ? X402_ERR_NOMEM : X402_ERR_UNSUPPORTED;
	if (!err) {
		memcpy(sig65, signature.ptr, 65);
		if (sig65[64] < 27)
			sig65[64] = (uint8_t)(sig65[64] + 27);
		err = x402_transaction_encode(tx, sig65, ret_raw, hash32);
	}
	x402_buf_clear(&signature);
	return err;
}

enum x402_err x402_create_approval(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options,
	const struct x402_approval_facts *facts, struct x402_errinfo *info,
	struct x402_json **ret_extensions)
{
	struct x402_approval approval = {
		.from = options->payer, .spender = *x402_permit2_contract()};
	struct x402_transaction tx = {
		.nonce = facts->nonce, .gas_limit = X402_APPROVAL_GAS};
	struct x402_network network;
	struct x402_buf calldata = {0};
	struct x402_json *json = NULL;
	enum x402_err err = x402_network_parse(
		x402_payment_requirements_caip2(offer), &network);

	if (!err)
		err = read_address(
			offer->asset, "asset", info, &approval.token);
	if (err)
		return err;
	memset(&approval.amount, 0xff, sizeof(approval.amount));
	x402_approval_calldata(&approval.spender, &approval.amount, &calldata);
	tx.chain_id = network.chain_id;
	tx.to = approval.token;
	tx.data = x402_buf_span(&calldata);
	choose_fees(facts, &tx);
	err = calldata.failed ? X402_ERR_NOMEM
			      : sign_approval(options, &tx, &approval.raw);
	if (!err)
		err = x402_approval_to_json(&approval, &json);
	if (!err)
		err = wrap_info(
			"erc20ApprovalGasSponsoring", json, ret_extensions);
	x402_json_unref(json);
	x402_approval_clear(&approval);
	x402_buf_clear(&calldata);
	return err;
}
