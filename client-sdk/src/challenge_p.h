/*
 * challenge_p.h: reading a 402 and choosing what to pay, private.
 */
#ifndef X402_CLIENT_CHALLENGE_P_H
#define X402_CLIENT_CHALLENGE_P_H

#include "flow_p.h"

/*
 * C-001: the v2 header, else a v1 body. SCHEMA, SYNTAX, TOO_LARGE, VERSION
 * with info. On X402_OK the caller clears *ret_required.
 */
X402_MUST_USE enum x402_err x402__challenge_read(
	const struct x402__message *message, struct x402_errinfo *info,
	struct x402_payment_required *ret_required);

/* What a choice may depend on. */
struct x402__choice {
	const struct x402_client_options *options;
	const struct x402__http_url *asked;   /* what the caller asked for */
	const struct x402__http_url *current; /* who asks for money */
	const struct x402_payment_required *required;
	bool no_evm;  /* there is a key, and none of EVM */
	bool has_svm; /* there is one of Solana */
};
/* May who asks be paid at all? NONE, INSECURE, ORIGIN with info. */
enum x402_client_cause x402__challenge_origin(
	const struct x402__choice *choice, struct x402_errinfo *info);
/*
 * Pick the offer to pay. NONE: *ret_index is payable. Otherwise why not, with
 * info for a person, and *ret_index the offer that came nearest, or
 * X402_ACCEPTS_MAX when there is none to name.
 */
enum x402_client_cause x402__challenge_choose(const struct x402__choice *choice,
	struct x402_errinfo *info, size_t *ret_index);

#endif
