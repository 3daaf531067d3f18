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
	/* What a tool's call asks for below the limits; never allows more. */
	struct x402_u256 lowered_units;
	bool has_lowered;
	struct cli_payer_flags payer;
	size_t body_max_bytes;          /* 0: plenty */
	struct cli_payer *shared_payer; /* loaded before; NULL: by payer */
	uint64_t max_spend_usd_micros;  /* 0: no such limit */
	struct x402_budget budget;
	const char *task; /* what the costs are counted under */
	const char *id;   /* the purchase's name: bought once */
	bool buy_again;
	bool send_transfers;
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
/*
 * A client with its journal by the flags, for many calls. The first signal is
 * cli_interrupted()'s alone; the second cancels calls. Free both.
 */
int cli_call_client(struct cli_call *call, struct cli_payer *payer,
	struct x402_journal **ret_journal, struct x402_client **ret_client);
void cli_call_clear(struct cli_call *call);

/* What `inspect` answers. NULL when memory is out. */
struct x402_json *cli_inspect_json(const struct x402_client_response *response);

/* INT and TERM end a call; twice is once. */
void cli_catch_signals(void);
/* Somebody else looks at signals, and calls cli_interrupt(). */
void cli_own_signals(void);
void cli_interrupt(void);
bool cli_interrupted(void);

#endif
