/*
 * signer_sign_in_p.h: a sign-in (E-SIWX), as a signer process reads it itself.
 * The text is all that it believes: whom the proof is for stands in it.
 */
#ifndef X402_CLIENT_SIGNER_SIGN_IN_P_H
#define X402_CLIENT_SIGNER_SIGN_IN_P_H

#include "x402/session.h"

/* As long as the client's own fields may be. */
#define X402__SIGN_IN_URI_SIZE 1025

struct x402__signer_sign_in {
	/* Host, maybe with a port: letters that need no escape in JSON. */
	char domain[X402_SESSION_HOST_SIZE];
	char uri[X402__SIGN_IN_URI_SIZE]; /* at that host */
	char network[X402_NETWORK_SIZE];
	bool is_svm; /* by the account of Solana */
	uint64_t issued_unix_s;
};

/* Whose sign-ins are signed. */
struct x402__signer_accounts {
	const struct x402_address *evm;
	const struct x402_pubkey *svm; /* or NULL */
};

/*
 * Read EIP-4361's text for an account of Ethereum, or its twin for one of
 * Solana: every line has its place, and there is no other. SCHEMA, POLICY for
 * another wallet's or when the uri is not at the domain; info says which line.
 */
X402_MUST_USE enum x402_err x402__signer_sign_in_read(const char *text,
	const struct x402__signer_accounts *accounts, struct x402_errinfo *info,
	struct x402__signer_sign_in *ret_sign_in);

#endif
