/*
 * signer.h: who signs. Ready-made signers for x402_client_options.signer: a
 * key in this process, a keystore that is opened when first needed, and a
 * process behind a unix socket that keeps the key to itself. And that process:
 * what it answers, and the loop that serves it.
 *
 * It signs payments that it understands and puts together itself: EIP-3009
 * transfers, transfers through Permit2 (exact and upto), EIP-2612 permits for
 * Permit2, and the one transfer of Solana that payers sign; and sign-ins
 * (EIP-4361) that it reads line by line, where its policy lets it. Never a
 * digest or bytes that somebody hands over.
 *
 * Not for: budgets by hour or host of one process; those are the client's.
 * Thread rule: a signer or core belongs to one thread at a time.
 */
#ifndef X402_SIGNER_H
#define X402_SIGNER_H

#include "x402/client.h"
#include "x402/session.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Signers for a client. ---- */

struct x402_signer; /* opaque */

/* A key, copied into locked memory. KEY, NOMEM, INTERNAL. */
X402_API X402_MUST_USE enum x402_err x402_signer_from_key(
	const struct x402_secret *key, struct x402_signer **ret_signer);

struct x402_signer_keystore_options {
	const char *path; /* Required, copied */
	/*
	 * Required: asked once, when the first signature is wanted (at once
	 * if the file does not say its address). NULL user is fine.
	 */
	enum x402_err (*password)(void *user, struct x402_locked *ret_password);
	void *user; /* must outlive the signer */
};
#define X402_SIGNER_KEYSTORE_OPTIONS_INIT \
	{                                 \
		0                         \
	}
/* The errors of x402_secret_file_read and x402_keystore_open. */
X402_API X402_MUST_USE enum x402_err x402_signer_from_keystore(
	const struct x402_signer_keystore_options *options,
	struct x402_errinfo *info, struct x402_signer **ret_signer);

/*
 * A key of Solana beside it: x402_signer_svm_client() signs with it. Copied
 * into locked memory. NOMEM, INTERNAL; CONFLICT when there is one already, as
 * with a signer process that has its own.
 */
X402_API X402_MUST_USE enum x402_err x402_signer_add_svm_key(
	struct x402_signer *signer, const struct x402_svm_secret *key);

struct x402_signer_socket_options {
	const char *path; /* Required, copied */
	/* Optional: the file of x402_session_issue; must be private. */
	const char *session_path;
	int timeout_ms; /* 0: 10,000, for each answer */
};
#define X402_SIGNER_SOCKET_OPTIONS_INIT \
	{                               \
		0                       \
	}
/*
 * Asks for the address at once. A signature that does not recover to it, over
 * our own digest, is refused (CRYPTO). NETWORK when nobody answers, POLICY
 * with the signer's reason in x402_signer_reason() when it will not sign.
 */
X402_API X402_MUST_USE enum x402_err x402_signer_from_socket(
	const struct x402_signer_socket_options *options,
	struct x402_errinfo *info, struct x402_signer **ret_signer);

/* For x402_client_options.signer; lives as long as the signer. */
X402_API const struct x402_client_signer *x402_signer_client(
	const struct x402_signer *signer);
/*
 * For x402_client_options.svm_signer; NULL when it has no key of Solana. Lives
 * as long as the signer.
 */
X402_API const struct x402_client_svm_signer *x402_signer_svm_client(
	const struct x402_signer *signer);
/* Why the last signature was refused; "" when it was not. Never NULL. */
X402_API const char *x402_signer_reason(const struct x402_signer *signer);
/* Wipes what it holds. NULL allowed. */
X402_API void x402_signer_free(struct x402_signer *signer);

/* ---- The process that keeps a key. ---- */

/* A grant and a payment, with room. */
#define X402_SIGNER_LINE_MAX_BYTES ((size_t)48 * 1024)
/* The longest validity that is signed unless the policy says less. */
#define X402_SIGNER_VALIDITY_S 3600

struct x402_signer_core; /* opaque */

struct x402_signer_core_options {
	/* Required: who signs in the end; must outlive the core. */
	const struct x402_client_signer *wallet;
	/* Optional: who signs on Solana; must outlive the core. */
	const struct x402_client_svm_signer *svm_wallet;
	/* Its own policy: holds for all, sessions too. Copied. */
	struct x402_session_scope policy;
	/* Refuse whoever brings no session. */
	bool sessions_only;
	uint64_t max_validity_s; /* 0: X402_SIGNER_VALIDITY_S */
	/* Required: where the ledgers are; made if need be. Copied. */
	const char *state_directory;
};
#define X402_SIGNER_CORE_OPTIONS_INIT \
	{                             \
		0                     \
	}
X402_API X402_MUST_USE enum x402_err x402_signer_core_new(
	const struct x402_signer_core_options *options,
	struct x402_errinfo *info, struct x402_signer_core **ret_core);
X402_API void x402_signer_core_free(struct x402_signer_core *core);
/*
 * Answer one line (docs/signer.md) with one line. Whatever comes in, an answer
 * comes out; only its "ok" carries a signature. Check answer->failed.
 */
X402_API void x402_signer_core_answer(struct x402_signer_core *core,
	struct x402_span line, uint64_t now_unix_s, struct x402_buf *answer);

/* Peers at a time; each is a process of one user. */
#define X402_SIGNER_PEERS_MAX 64

struct x402_signer_serve_options {
	struct x402_signer_core *core; /* Required */
	const char *path;              /* Required: the socket, mode 0600 */
	/* Who may connect beside our own user (SO_PEERCRED). */
	const unsigned *uids;
	size_t uids_len;
	/* Optional: asked several times a second; true ends. */
	bool (*should_stop)(void *user);
	/* Optional: one line of JSON for each answer, for a log. */
	void (*on_answer)(void *user, int pid, unsigned uid, const char *line);
	/* Optional: we are listening. */
	void (*on_ready)(void *user);
	void *user;
};
#define X402_SIGNER_SERVE_OPTIONS_INIT \
	{                              \
		0                      \
	}
/*
 * Listen and answer until should_stop. CONFLICT when another signer listens
 * there, STORE when the socket cannot be made.
 */
X402_API X402_MUST_USE enum x402_err x402_signer_serve(
	const struct x402_signer_serve_options *options,
	struct x402_errinfo *info);

#ifdef __cplusplus
}
#endif
#endif
