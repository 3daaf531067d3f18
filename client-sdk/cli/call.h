/*
 * call.h: the flags that every paying verb shares, and the client made of
 * them.
 */
#ifndef X402_CLI_CALL_H
#define X402_CLI_CALL_H

#include "cli.h"

/* More networks than anybody holds funds on. */
#define CLI_NETWORKS_MAX 16

struct cli_call {
	struct cli_request request;
	struct x402_client_options options;
	struct cli_limit limit;
	const char *networks[CLI_NETWORKS_MAX];
	const char *asset;
	struct x402_amount allowed; /* --asset with an atomic cap */
	struct cli_payer_flags payer;
	/* --max-spend; spent is what was signed under it by this process. */
	uint64_t max_spend_usd_micros;
	uint64_t *spent_usd_micros; /* NULL: a call of its own */
	bool confirm;
	bool yes;
};

enum cli_taken { CLI_TAKEN, CLI_REJECTED, CLI_NOT_MINE };
/* One of the shared flags. REJECTED: the error has been reported. */
enum cli_taken cli_call_take(struct cli_call *call, int key, const char *value);
bool cli_call_operand(void *user, const char *value);

/*
 * Load the key when with_key, make the client, perform. The exit code is
 * CLI_OK when a call was made, whatever came of it: look at response.
 */
int cli_call_perform(struct cli_call *call, bool with_key, bool dry_run,
	struct x402_client_response *response);
void cli_call_clear(struct cli_call *call);

#endif
