/*
 * scope.h: what `x402 session` and `x402 signer` share: flags to a scope, and
 * the wallet's key itself.
 */
#ifndef X402_CLI_SCOPE_H
#define X402_CLI_SCOPE_H

#include "cli.h"

/* CLI_OK or CLI_USAGE with the error reported. */
int cli_scope_read(
	const struct cli_args *args, struct x402_session_scope *scope);
/* The key of --wallet, the environment, or the default wallet. Wipe it. */
int cli_wallet_open(const struct cli_args *args, struct x402_secret *ret_key);

#endif
