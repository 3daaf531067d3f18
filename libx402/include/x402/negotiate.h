/*
 * negotiate.h: which offer to pay (client, C-020 ff) and whether a payment
 * answers an offer (server, P-120).
 *
 * Not for: signing (scheme.h) and budgets with memory (client SDK).
 * Thread rule: pure functions.
 */
#ifndef X402_NEGOTIATE_H
#define X402_NEGOTIATE_H

#include "x402/network.h"
#include "x402/payment.h"

#ifdef __cplusplus
extern "C" {
#endif

/* L-060: extra.paymentFlow. */
enum x402_payment_flow {
	X402_FLOW_AUTHORIZATION, /* also when absent */
	X402_FLOW_UPFRONT,
	X402_FLOW_ESCROW,
	X402_FLOW_UNKNOWN
};
X402_API enum x402_payment_flow x402_payment_flow_of(
	const struct x402_payment_requirements *req);

/* $1.00 in USD micro-units: the default cap of C-030. */
#define X402_DEFAULT_MAX_USD_MICROS ((uint64_t)1000000)

/* Why an offer was not taken; one for each entry of accepts. */
enum x402_selection_outcome {
	X402_SELECTION_OK,
	X402_SELECTION_UNSUPPORTED,   /* C-020 no scheme of ours for it */
	X402_SELECTION_FLOW,          /* C-021 */
	X402_SELECTION_OVER_LIMIT,    /* C-030 */
	X402_SELECTION_UNKNOWN_ASSET, /* C-031 */
	X402_SELECTION_POLICY         /* C-023 refused by the caller's policy */
};

struct x402_selection_options {
	/* Optional: only these CAIP-2 networks or patterns; NULL: all. */
	const char *const *networks;
	size_t networks_len;
	/*
	 * Optional: cap per payment in millionths of a dollar, default
	 * X402_DEFAULT_MAX_USD_MICROS. Zero means the default; to allow only
	 * free offers use networks. An upto or escrow offer counts with its
	 * maximum (C-032).
	 */
	uint64_t max_usd_micros;
	/*
	 * Optional: assets beyond the official default table that may be paid,
	 * each with its own cap in atomic units (there is no dollar value for
	 * an unknown asset). Borrowed for the call.
	 */
	const struct x402_amount *allowed_assets;
	size_t allowed_assets_len;
	/*
	 * Optional: the caller can send a transfer of its own and show it
	 * (proof.h). Without it such offers are UNSUPPORTED.
	 */
	bool sends_transfers;
	/* Optional: the caller has a wallet that delegates (delegation.h). */
	bool delegates;
	/* Optional: C-023. Return false to drop the offer. */
	bool (*policy)(void *user, const struct x402_payment_required *required,
		const struct x402_payment_requirements *offer);
	void *user;
};
#define X402_SELECTION_OPTIONS_INIT \
	{                           \
		0                   \
	}

struct x402_selection {
	size_t index; /* into accepts; meaningful when found */
	bool found;
	enum x402_selection_outcome outcomes[X402_ACCEPTS_MAX];
};

/*
 * Choose an offer in the order of C-020 to C-025. Always X402_OK unless the
 * options are unusable (INVALID_ARGUMENT); "nothing left" is found == false
 * and the outcomes say why. Nothing above the caps is ever selected.
 */
X402_API X402_MUST_USE enum x402_err x402_select(
	const struct x402_payment_required *required,
	const struct x402_selection_options *options,
	struct x402_selection *ret_selection);

/* One line for a person: what was offered and why each was refused (C-026). */
X402_API X402_MUST_USE enum x402_err x402_selection_explain(
	const struct x402_payment_required *required,
	const struct x402_selection *selection, char **ret_text);

/*
 * P-120: does what the client accepted answer this offer of ours? v2: the six
 * fields equal and every key of the offer's extra present and equal (the
 * client may add keys). v1: scheme and network.
 */
X402_API bool x402_requirements_match(
	const struct x402_payment_requirements *offer,
	const struct x402_payment_payload *payload);

/*
 * Build the client's envelope (C-040 to C-043) around a scheme's payload. The
 * accepted entry and resource are copied verbatim, server extensions echoed;
 * client_extensions (may be NULL) may add keys but never override (C-042).
 * scheme_payload is borrowed.
 */
X402_API X402_MUST_USE enum x402_err x402_payment_payload_build(
	const struct x402_payment_required *required, size_t index,
	const struct x402_json *scheme_payload,
	const struct x402_json *client_extensions,
	struct x402_payment_payload *ret_payload);

/*
 * A price in the server's configuration: "$0.01" or "0.01" on a network with
 * a default asset (L-035). asset_address NULL takes the network's default
 * asset; otherwise it must be a known asset. Fills the six fields of L-002
 * and extra {name, version}. NOT_FOUND when the network has no default asset
 * (give amount and asset explicitly then), or x402_price_parse's errors.
 * The result owns its JSON: clear it.
 */
X402_API X402_MUST_USE enum x402_err x402_requirements_from_price(
	const char *price, const char *caip2, const char *asset_address,
	const char *pay_to, int64_t max_timeout_seconds,
	struct x402_payment_requirements *ret_req);

#ifdef __cplusplus
}
#endif
#endif
