/*
 * siwx_p.h: signing in with a wallet (E-SIWX), so that who has paid comes back
 * without paying. EVM accounts with a key of their own; a contract wallet's
 * signature needs a chain to be judged and is not taken.
 * Private to the provider SDK.
 */
#ifndef X402_PROVIDER_SIWX_P_H
#define X402_PROVIDER_SIWX_P_H

#include "gate_p.h"

#define X402__SIWX_HEADER "SIGN-IN-WITH-X"
/* E-SIWX: how long a challenge is good for. */
#define X402__SIWX_LIFE_S 300
/* 16 bytes in hex, and NUL. */
#define X402__SIWX_NONCE_SIZE 33

/* Append the member "sign-in-with-x" of a challenge's extensions. */
void x402__siwx_challenge(struct x402_gate *gate, struct x402_buf *buf);

/*
 * The address that the request proves to hold; false when it proves none. A
 * proof is good once, for this very resource.
 */
bool x402__siwx_proven(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_address *ret_address);

/* Remember that somebody has paid, and ask whether he has. */
void x402__siwx_remember(struct x402_gate *gate);
bool x402__siwx_has_paid(
	struct x402_gate *gate, const struct x402_address *address);

#endif
