/*
 * session.h: what a key may be used for. A wallet issues a grant to an agent:
 * a key of the agent's own, until when, how often, for how much, where. The
 * grant is signed by the wallet, so that whoever keeps the wallet's key (the
 * signer, signer.h) can hold every request of the agent against it.
 *
 * The agent's key owns nothing: it only proves that a request comes from whom
 * the grant was issued to. What cannot be checked from outside the agent is
 * the URL it says it pays for: `hosts` binds an honest agent that is being
 * lured elsewhere, `payees` and the amounts bind any.
 *
 * Not for: budgets of a process that holds the wallet's key itself.
 * Thread rule: plain values and files. Two processes may use one ledger.
 */
#ifndef X402_SESSION_H
#define X402_SESSION_H

#include "x402/amount.h"
#include "x402/json.h"
#include "x402/svm.h"
#include "x402/wallet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* More than anybody lists by hand. */
#define X402_SESSION_LIST_MAX  16
#define X402_SESSION_HOST_SIZE 256
/* A grant with all lists full. */
#define X402_SESSION_MAX_BYTES ((size_t)16 * 1024)
#define X402_SESSION_ID_SIZE   33 /* 16 bytes in hex */

/* Zero means: no such limit. Money is in millionths of a dollar. */
struct x402_session_scope {
	uint64_t expires_unix_s;
	uint64_t max_count;
	uint64_t max_usd_micros;   /* each payment */
	uint64_t total_usd_micros; /* all of them together */
	/* Exact names, or "*.example.com" for what lies below. */
	char hosts[X402_SESSION_LIST_MAX][X402_SESSION_HOST_SIZE];
	size_t hosts_len;
	/* CAIP-2 ids or patterns ("eip155:*"). */
	char networks[X402_SESSION_LIST_MAX][X402_NETWORK_SIZE];
	size_t networks_len;
	/* Of both families; with neither list any payee will do. */
	struct x402_address payees[X402_SESSION_LIST_MAX];
	size_t payees_len;
	struct x402_pubkey svm_payees[X402_SESSION_LIST_MAX];
	size_t svm_payees_len;
	/*
	 * Sign in as the wallet, too (E-SIWX): costs nothing, and says to a
	 * site who is there. In a grant with `hosts` only: whoever signs in
	 * anywhere is the wallet's owner to everybody.
	 */
	bool sign_in;
};
/*
 * Add to a list. SYNTAX for what can be none; RANGE when the list is full.
 */
X402_API X402_MUST_USE enum x402_err x402_session_scope_host(
	struct x402_session_scope *scope, const char *host);
X402_API X402_MUST_USE enum x402_err x402_session_scope_network(
	struct x402_session_scope *scope, const char *network);
X402_API X402_MUST_USE enum x402_err x402_session_scope_payee(
	struct x402_session_scope *scope, const char *address);

/* One payment, as a scope looks at it. */
struct x402_session_ask {
	const char *url;
	const char *network; /* CAIP-2 */
	const char *asset;
	struct x402_address pay_to;
	/* On Solana, instead of pay_to. */
	const struct x402_pubkey *svm_pay_to;
	/* It pays nobody by itself (a permit for Permit2). */
	bool no_payee;
	struct x402_u256 value; /* atomic units */
	uint64_t now_unix_s;
};
/*
 * Is it inside, count and total apart? Only the known dollar tokens are: the
 * worth of others is not known here. Rounds up to whole micro-dollars.
 * POLICY with the reason in info.
 */
X402_API X402_MUST_USE enum x402_err x402_session_judge(
	const struct x402_session_scope *scope,
	const struct x402_session_ask *ask, struct x402_errinfo *info,
	uint64_t *ret_usd_micros);

/*
 * The same for a sign-in at `url` with a chain's account. POLICY with the
 * reason in info, also when the scope has no sign_in.
 */
X402_API X402_MUST_USE enum x402_err x402_session_judge_sign_in(
	const struct x402_session_scope *scope, const char *url,
	const char *network, uint64_t now_unix_s, struct x402_errinfo *info);

/* What a wallet hands to an agent. */
struct x402_session_grant {
	char id[X402_SESSION_ID_SIZE];
	struct x402_address wallet;
	struct x402_address key;
	uint64_t issued_unix_s;
	struct x402_session_scope scope;
};

/*
 * Issue: makes the agent's key, fills grant->id, wallet and key, signs with
 * the wallet's. *ret_file is what the agent gets: the grant and its key. It is
 * a secret; write it with x402_secret_file_write. RANGE for a scope without
 * an end (expiry) or without a cap (total), and for sign_in without hosts: an
 * open cheque is not issued.
 */
X402_API X402_MUST_USE enum x402_err x402_session_issue(
	const struct x402_secret *wallet, struct x402_session_grant *grant,
	struct x402_locked *ret_file);
/*
 * Read a grant and check the wallet's signature. SYNTAX, SCHEMA, RANGE,
 * VERSION; CRYPTO when it was not signed by grant->wallet.
 */
X402_API X402_MUST_USE enum x402_err x402_session_grant_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_session_grant *ret_grant);
/* Read the agent's file: *ret_json is the grant as it is sent on (own it). */
X402_API X402_MUST_USE enum x402_err x402_session_file_read(
	struct x402_span text, struct x402_errinfo *info,
	struct x402_session_grant *ret_grant, struct x402_json **ret_json,
	struct x402_secret *ret_key);

/* EIP-191: what a wallet signs when it signs a text (L-053). */
X402_API void x402_session_text_digest(
	const char *prefix, struct x402_span text, uint8_t ret_digest32[32]);

/* ---- What was signed under a scope: durable, and shared by processes. ---- */

struct x402_session_ledger; /* opaque */

/* $X402_STATE_DIR, $XDG_STATE_HOME/x402 or ~/.local/state/x402. Caller frees.
 */
X402_API X402_MUST_USE enum x402_err x402_session_state_directory(
	char **ret_path);
/*
 * The ledger that a signer of this wallet keeps for a session (or "policy"
 * for itself): DIRECTORY/<wallet>-<id>.ledger. directory NULL: the state
 * directory. Makes the directory. NOT_FOUND, STORE, NOMEM. Caller frees.
 */
X402_API X402_MUST_USE enum x402_err x402_session_ledger_path(
	const char *directory, const struct x402_address *wallet,
	const char *id, struct x402_errinfo *info, char **ret_path);
/*
 * Open or make the file. STORE with info; NOMEM. A torn last line is what a
 * crash left of a payment that was not signed: it is cut off.
 */
X402_API X402_MUST_USE enum x402_err x402_session_ledger_open(const char *path,
	struct x402_errinfo *info, struct x402_session_ledger **ret_ledger);
X402_API void x402_session_ledger_free(struct x402_session_ledger *ledger);
/*
 * Before signing: count this digest under the limits of scope, durably. The
 * same digest again is the same payment, and is not counted again. POLICY
 * when a limit is reached or the session was revoked; STORE: do not sign.
 */
X402_API X402_MUST_USE enum x402_err x402_session_ledger_reserve(
	struct x402_session_ledger *ledger,
	const struct x402_session_scope *scope, const uint8_t digest32[32],
	uint64_t usd_micros, uint64_t now_unix_s, struct x402_errinfo *info);
/* From now on nothing is reserved here, by any process. STORE. */
X402_API X402_MUST_USE enum x402_err x402_session_ledger_revoke(
	struct x402_session_ledger *ledger, struct x402_errinfo *info);
struct x402_session_usage {
	uint64_t count;
	uint64_t usd_micros;
	bool revoked;
};
X402_API X402_MUST_USE enum x402_err x402_session_ledger_usage(
	struct x402_session_ledger *ledger, struct x402_errinfo *info,
	struct x402_session_usage *ret_usage);

#ifdef __cplusplus
}
#endif
#endif
