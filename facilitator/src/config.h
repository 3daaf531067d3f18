/*
 * config.h: what the operator decided, read once into one struct.
 *
 * From a file (fac_config_load) or from the plain environment alone
 * (fac_config_from_env): PORT, EVM_RPC_URL, EVM_PRIVATE_KEY, SVM_RPC_URL.
 * Whatever is wrong is said with file and line, and an unknown key is wrong: a
 * misspelt ceiling must not become no ceiling.
 *
 * Keys: read from files (or the environment, which is wiped), kept in locked
 * memory, never printed. Key files that others may read are refused.
 *
 * Not for: deciding about payments.
 * Thread rule: made and freed on the main thread; constant in between.
 */
#ifndef FAC_CONFIG_H
#define FAC_CONFIG_H

#include "core/engine.h"
#include "x402/builder_code.h"
#include "log.h"

#define FAC_CONFIG_CORS_SIZE 256
/* More makers of wallets than are in use on any chain. */
#define FAC_CONFIG_FACTORIES_MAX 16
/* One a chain is usual: each is believed to move money when it says so. */
#define FAC_CONFIG_MANAGERS_MAX 8
#define FAC_CONFIG_HOST_SIZE    64
/* A whole coin of most chains: more is a slip. */
#define FAC_CONFIG_GIFT_MAX_GWEI ((uint64_t)1000000000)
/* More threads than this wait for the one engine and store anyway. */
#define FAC_CONFIG_WORKERS_MAX 64

/* How a chain's payments are settled: see struct fac_engine_chain. */
struct fac_config_settling {
	uint32_t confirmations; /* or FAC_CONFIRM_... */
	uint32_t proof_depth;
	uint32_t batch_max;
	uint32_t batch_window_ms;
	uint64_t batch_payment_gas;
	uint64_t batch_max_gas;
	uint32_t stuck_after_s;
	bool credit_preempted;
	/* Transactions that paid already: never ANY unless it is said. */
	enum x402_proof_policy proofs;
	/* Tokens that may share transactions; has_tokens: the operator's. */
	bool has_tokens;
	struct x402_address tokens[FAC_ENGINE_TOKENS_MAX];
	size_t tokens_len;
	/* F-034: factories of wallets that may be deployed on the way. */
	struct x402_address factories[FAC_CONFIG_FACTORIES_MAX];
	size_t factories_len;
	/* F-07A: delegation managers that may be called, and with what gas. */
	struct x402_address managers[FAC_CONFIG_MANAGERS_MAX];
	size_t managers_len;
	uint64_t delegation_gas;
	/*
	 * F-075: approvals that come along are sent, and their payers given
	 * gas: so much at most for each, and for all of a day.
	 */
	bool sponsor_approvals;
	uint64_t gift_max_gwei;
	uint64_t daily_gifts_gwei;
	/* E-BC: our own code; "": codes are not written. */
	char builder_code[X402_BUILDER_CODE_SIZE];
	uint64_t max_payment_cost_gwei; /* 0: no ceiling, and so on */
	uint64_t daily_payer_gwei;
	uint64_t daily_caller_gwei;
	uint64_t daily_total_gwei;
	/*
	 * Gas of a day for payments in tokens that nobody vouched for, all
	 * together; OTHERS_BY_CHAIN: as much as such a chain's coin is worth
	 * risking by default (fac_config_settling_others).
	 */
	uint64_t daily_other_tokens_gwei;
};
#define FAC_CONFIG_OTHERS_BY_CHAIN UINT64_MAX

struct fac_config_chain {
	/* caip2 "": ask the chain (environment without X402_NETWORK). */
	struct x402_network network;
	char *rpc_urls[FAC_CHAIN_URLS_MAX];
	size_t rpc_urls_len;
	/* Locked memory (sodium_malloc). */
	struct x402_secret *signers[FAC_ENGINE_SIGNERS_MAX];
	/* Solana: in their place; locked memory too. */
	struct x402_svm_secret *svm_signers[FAC_ENGINE_SIGNERS_MAX];
	/* Where each came from, for --dump-config. */
	char *signer_sources[FAC_ENGINE_SIGNERS_MAX];
	size_t signers_len;
	uint32_t rpc_timeout_ms;
	/* The RPC pool: see struct fac_chain_options. */
	uint32_t rpc_head_lag_max;
	int32_t rpc_hedge_ms;
	uint32_t rpc_rps;
	uint32_t ready_head_age_s; /* for /readyz; 0: not checked */
	/* Ceilings: see struct fac_engine_chain. */
	uint64_t max_fee_gwei;
	uint64_t max_priority_fee_gwei;
	uint64_t max_gas;
	/* Solana: what a payer may have its sponsor pay. */
	uint32_t max_compute_units;
	uint64_t max_priority_fee_lamports;
	struct fac_config_settling settling;
};

/* What HUP may change while the daemon runs. Plain values. */
struct fac_settings {
	uint32_t response_deadline_ms; /* /settle */
	uint32_t verify_deadline_ms;
	char cors_origin[FAC_CONFIG_CORS_SIZE]; /* "": no CORS headers */
	bool discovery_post;                    /* POST /discovery/resources */
	enum fac_log_level log_level;
};

/* At least as long as what nobody guesses; at most what a file may hold. */
#define FAC_HOOK_SECRET_MIN 16
#define FAC_HOOK_SECRET_MAX 256
struct fac_hook_secret {
	size_t len;
	char bytes[FAC_HOOK_SECRET_MAX];
};
/* A web hook: who is told of ends of payments. */
struct fac_config_hook {
	char name[FAC_HOOK_NAME_MAX];
	char *url;
	char *secret_file;
	struct fac_hook_secret *secret; /* locked memory (sodium_malloc) */
	unsigned events;                /* bits: 1 << enum fac_payment_state */
};

struct fac_config {
	char *source; /* file name, or "environment" */
	char host[FAC_CONFIG_HOST_SIZE];
	uint16_t port; /* 0: any free one */
	unsigned workers;
	uint64_t max_body_bytes;
	uint32_t max_connections;
	char *store_path;              /* a file, or postgresql://... */
	char instance[FAC_OWNER_SIZE]; /* "": a random name */
/* A century: more is a slip. */
#define FAC_CONFIG_RETENTION_MAX_DAYS 36500
	uint32_t retention_days; /* 0: no payment is forgotten */
	char *log_file;          /* or NULL: standard error */
	/* The listener for operators: one of them, or none. */
	char *admin_unix;                      /* a socket file, or NULL */
	char admin_host[FAC_CONFIG_HOST_SIZE]; /* "": none */
	uint16_t admin_port;
	struct fac_settings settings;
	struct fac_config_chain chains[FAC_ENGINE_CHAINS_MAX];
	size_t chains_len;
	struct fac_config_hook hooks[FAC_HOOKS_MAX];
	size_t hooks_len;
};

/*
 * Read and check a file. On failure ret_problems holds one line for each
 * problem ("file:line: text"), ends with a newline, and the caller clears it.
 * SYNTAX: the file; KEY: a key file. Free with fac_config_free.
 */
X402_MUST_USE enum x402_err fac_config_load(const char *path,
	struct x402_buf *ret_problems, struct fac_config **ret_config);
/*
 * Read PORT, EVM_RPC_URL, EVM_PRIVATE_KEY, X402_NETWORK, SVM_RPC_URL,
 * SVM_PRIVATE_KEY, X402_SVM_NETWORK, X402_STORE, X402_LISTEN, X402_WORKERS.
 * Makes the store's default directory. Errors as above.
 */
X402_MUST_USE enum x402_err fac_config_from_env(
	struct x402_buf *ret_problems, struct fac_config **ret_config);
/* Wipes the keys. NULL allowed. */
void fac_config_free(struct fac_config *config);

/* Overwrite and remove every environment variable that may hold a key. */
void fac_config_wipe_env(void);

/* The file form, with keys and the secret part of URLs left out. */
void fac_config_dump(const struct fac_config *config, struct x402_buf *buf);
/*
 * Append the names of members that differ and that a running daemon cannot
 * change, separated by a space; nothing when only fac_settings differ.
 */
void fac_config_compare(const struct fac_config *a, const struct fac_config *b,
	struct x402_buf *ret_names);
/* Append scheme and host of a URL, without user, path and query. */
void fac_config_redact_url(const char *url, struct x402_buf *buf);

/* ---- config_settling.c ---- */
void fac_config_settling_init(struct fac_config_settling *settling);
/* "submitted", "safe", "finalized" or a number from 1. */
bool fac_config_parse_confirmations(const char *text, uint32_t *ret_value);
/* bound, any or off. */
bool fac_config_parse_proofs(
	const char *text, enum x402_proof_policy *ret_policy);
void fac_config_settling_dump(const struct fac_config_settling *settling,
	const char *caip2, struct x402_buf *buf);
bool fac_config_settling_equal(const struct fac_config_settling *a,
	const struct fac_config_settling *b);
/* Without tokens of the operator's: those that libx402 knows there. */
void fac_config_settling_tokens(const struct fac_config_settling *settling,
	const char *caip2, struct fac_engine_chain *chain);
/*
 * Does the library or the operator (batch_tokens) know this token there? What
 * is given for a payment is given for tokens that somebody vouched for:
 * anybody can make one, and own all of it.
 */
bool fac_config_settling_knows(const struct fac_config_settling *settling,
	const char *caip2, const char *asset);
/* daily_other_tokens_gwei as it holds on that chain; 0: no ceiling. */
uint64_t fac_config_settling_others(
	const struct fac_config_settling *settling, const char *caip2);
/* A store's place without its password, for logs and --dump-config. */
void fac_config_redact_store(const char *path, struct x402_buf *buf);

/* Shared by the two sources (config.c, config_env.c, config_key.c). */
void fac_config_problem(struct x402_buf *problems, const char *fmt, ...)
	X402_PRINTF(2, 3);
/* All members set to what they are when nobody says anything. */
struct fac_config *fac_config_new(const char *source);
void fac_config_chain_init(struct fac_config_chain *chain);
/* "host:port", "[::1]:port", "host" or ":port"; absent parts stay. */
bool fac_config_parse_listen(const char *text, struct fac_config *config);
/* As above, with a port; "unix:/path"; or "" for none. */
bool fac_config_parse_admin(const char *text, struct fac_config *config);
/* http or https with a host; what the RPC room will accept. */
bool fac_config_url_ok(const char *url);
/*
 * Read a key file into locked memory. False after a line in problems: not a
 * regular file, readable by others, or no key in it. prefix begins the line.
 */
bool fac_config_key_file(const char *path, const char *prefix,
	struct x402_buf *problems, struct x402_secret **ret_secret);
/*
 * Read a text that nobody else may read, without the white space around it;
 * what names it in problems. False as above, and when it is too long. The
 * caller wipes ret_text.
 */
bool fac_config_private_file(const char *path, const char *what,
	struct x402_buf *problems, char *ret_text, size_t size);
/* ---- config_hook.c ---- */
/* "settled", "reverted" or "expired"; what a hook may be told of. */
bool fac_config_hook_event(const char *text, enum fac_payment_state *ret_state);
/* As fac_config_key_file, for a hook's secret. */
bool fac_config_hook_secret(const char *path, const char *prefix,
	struct x402_buf *problems, struct fac_hook_secret **ret_secret);
void fac_config_hook_clear(struct fac_config_hook *hook);
void fac_config_hook_dump(
	const struct fac_config_hook *hook, struct x402_buf *buf);
bool fac_config_hook_equal(
	const struct fac_config_hook *a, const struct fac_config_hook *b);
/* Parse key text into locked memory; NULL when it is no key. */
struct x402_secret *fac_config_key_parse(const char *text);
/* The same for Solana: id.json or base58. */
struct x402_svm_secret *fac_config_svm_key_parse(const char *text);
bool fac_config_svm_key_file(const char *path, const char *prefix,
	struct x402_buf *problems, struct x402_svm_secret **ret_secret);
/* What is other by default there, once the network is known. */
void fac_config_chain_family(struct fac_config_chain *chain);

#endif
