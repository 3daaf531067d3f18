/*
 * chain.h: one chain, asked through JSON-RPC over libcurl on a loop.
 *
 * All calls made in one turn of the loop travel as one JSON-RPC batch to the
 * best of the endpoints (docs/facilitator.md, The RPC pool). A fault of the
 * endpoint (connect, timeout, HTTP 429 or 5xx, an answer that is no JSON-RPC,
 * an error by which it says that it is overrun or behind) moves on to the
 * next, an answer of the chain never does. So a revert is final, and a fault
 * is never a verdict.
 *
 * Not for: deciding about money. See core/engine.h.
 *
 * Thread rule: an object belongs to the thread of its loop. done callbacks
 * run on that thread, never inside the call; what they get is borrowed until
 * they return. timeout_ms 0 takes the default of the options; each call is
 * answered by then. After fac_chain_free no callback runs but those that it
 * makes itself, with X402_ERR_CANCELLED.
 */
#ifndef FAC_CHAIN_CHAIN_H
#define FAC_CHAIN_CHAIN_H

#include "x402/scheme.h"

struct fac_loop;
struct fac_chain;

/* URLs of one chain; more would only hide a broken configuration. */
#define FAC_CHAIN_URLS_MAX 8

struct fac_chain_options {
	/* Required; must outlive the chain. */
	struct fac_loop *loop;
	/* Required: what eth_chainId must say. 0: any, for asking it. */
	uint64_t chain_id;
	/*
	 * Solana: the CAIP-2 reference, with which the genesis hash must
	 * begin; it makes the chain one of that family. NULL: EVM. Borrowed,
	 * must outlive the chain.
	 */
	const char *svm_genesis;
	/* Required, in the order of preference; copied, never logged. */
	const char *const *rpc_urls;
	size_t rpc_urls_len;
	/* Optional: default 10000. */
	uint32_t timeout_ms;
	/*
	 * Optional: an endpoint that is more blocks than this behind the best
	 * one is passed over. Default 3.
	 */
	uint32_t head_lag_max;
	/*
	 * Optional: when a read without an answer is asked of a second
	 * endpoint as well. 0: after the 95th percentile of the first one's
	 * times, at least 50 ms. -1: never.
	 */
	int32_t hedge_ms;
	/*
	 * Optional: calls per second that one endpoint gets from this object,
	 * with one second's worth at once. 0: no limit.
	 */
	uint32_t rps;
	/*
	 * Optional: the answers to one POST, together; more are asked for in
	 * smaller parts, and one call's alone is a fault. Default 16 MiB. For
	 * reads that strangers bring about: less, because their contracts
	 * answer as much as their gas pays for.
	 */
	size_t answer_max_bytes;
	/*
	 * Optional: something a person should know, such as an endpoint that
	 * fails. Names endpoints by number and host, without path or user.
	 */
	void (*warn)(void *user, const char *text);
	void *user;
};
/* For svm_genesis: points into network; NULL for other families. */
const char *fac_chain_svm_genesis(const struct x402_network *network);
#define FAC_CHAIN_OPTIONS_INIT \
	{                      \
		0              \
	}

/*
 * INVALID_ARGUMENT without URLs or with too many, POLICY for a URL that is
 * not http or https. Does not talk to anybody yet.
 */
X402_MUST_USE enum x402_err fac_chain_new(
	const struct fac_chain_options *options, struct fac_chain **ret_chain);
/* Answers what waits with CANCELLED. On the loop's thread. NULL allowed. */
void fac_chain_free(struct fac_chain *chain);

/*
 * Ask eth_chainId of every URL. OK when all that answer say the configured
 * id; CONFLICT when one says another (refuse to serve the chain); CHAIN when
 * none answers. chain_id is what was said (0 with CHAIN).
 */
void fac_chain_check(struct fac_chain *chain, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err, uint64_t chain_id),
	void *user);

/*
 * Block numbers that are names: the newest, and those that the chain calls
 * safe and finalized. A chain without finality answers the latter two with an
 * error, which is CHAIN.
 */
#define FAC_CHAIN_LATEST    UINT64_MAX
#define FAC_CHAIN_SAFE      (UINT64_MAX - 1)
#define FAC_CHAIN_FINALIZED (UINT64_MAX - 2)

struct fac_chain_read_options {
	/* Required, copied; up to X402_PLAN_READS_MAX. */
	const struct x402_chain_read *reads;
	size_t reads_len;
	/* F-042: eth_call's from where a read needs a sender. */
	struct x402_address sender;
	/*
	 * Optional: the one address whose "has code" may come from the cache
	 * (the asset; 10 minutes). Never the payer: a delegation or a
	 * deployment changes who may sign for it (F-033).
	 */
	const struct x402_address *cacheable;
	/* FAC_CHAIN_LATEST, or a block number for proofs. */
	uint64_t block;
	uint32_t timeout_ms;
};
#define FAC_CHAIN_READ_INIT               \
	{                                 \
		.block = FAC_CHAIN_LATEST \
	}
/*
 * One answer for each read, in order; feed them to x402_verify_judge. err is
 * OK, or CHAIN when at least one answer is a FAULT, or CANCELLED (all
 * FAULT). A cached "has code" is answered by the one byte 0x00.
 */
void fac_chain_read(struct fac_chain *chain,
	const struct fac_chain_read_options *options,
	void (*done)(void *user, enum x402_err err,
		const struct x402_chain_answer *answers, size_t answers_len),
	void *user);

enum fac_send_status {
	FAC_SEND_ACCEPTED,
	FAC_SEND_ALREADY_KNOWN,      /* as good as accepted */
	FAC_SEND_NONCE_TOO_LOW,      /* ours was mined, or another's */
	FAC_SEND_UNDERPRICED,        /* fees too low for now */
	FAC_SEND_INSUFFICIENT_FUNDS, /* the signer cannot pay the gas */
	FAC_SEND_REJECTED,           /* any other answer of the node */
	FAC_SEND_FAULT               /* unknown: it may have been taken */
};
#define FAC_SEND_MESSAGE_SIZE 200
struct fac_send_outcome {
	enum fac_send_status status;
	char message[FAC_SEND_MESSAGE_SIZE]; /* the node's; cleaned, cut */
};
/*
 * eth_sendRawTransaction, to every endpoint. Journal raw and hash before (R1).
 * The first ACCEPTED or ALREADY_KNOWN decides; else, when all have answered,
 * the first of the other statuses in the order above that one of them gave.
 * But where an endpoint gave no answer, REJECTED is told as FAULT. A FAULT
 * says nothing about the bytes: they may be mined; send the same ones again.
 */
void fac_chain_send_raw(struct fac_chain *chain, struct x402_span raw,
	const uint8_t hash32[32], uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_send_outcome *outcome),
	void *user);

enum fac_receipt_status {
	FAC_RECEIPT_NONE,  /* the node knows of none */
	FAC_RECEIPT_FOUND, /* receipt is filled */
	FAC_RECEIPT_FAULT  /* no answer, or one that cannot be true */
};
struct fac_chain_receipt {
	enum fac_receipt_status status;
	struct x402_receipt receipt;
	uint8_t block_hash32[32];
	struct x402_u256 effective_gas_price; /* wei; zero when not said */
	/* Solana: the slot that NONE or FOUND was answered at. */
	uint64_t context_slot;
	/* Of fac_chain_signature: NONE is of what landed from this slot on. */
	uint64_t history_slot;
};
/* From one up to this many hashes in one call. */
#define FAC_CHAIN_RECEIPTS_MAX 100
/* Answers in the order of the hashes. */
void fac_chain_receipts(struct fac_chain *chain, const uint8_t (*hashes32)[32],
	size_t hashes_len, uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user);

enum fac_nonce_tag { FAC_NONCE_LATEST, FAC_NONCE_PENDING, FAC_NONCE_AT_BLOCK };
/* Transactions sent from address; block only with AT_BLOCK. CHAIN. */
struct fac_nonce_query {
	struct x402_address address;
	enum fac_nonce_tag tag;
	uint64_t block;
};
void fac_chain_nonce(struct fac_chain *chain,
	const struct fac_nonce_query *query, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err, uint64_t nonce),
	void *user);

struct fac_chain_block {
	uint64_t number;
	uint64_t timestamp_unix_s;
	uint8_t hash32[32];
	struct x402_u256 base_fee_per_gas; /* wei; zero before EIP-1559 */
	uint64_t gas_limit;
	/*
	 * The hashes of what is in it, for the time of the call that hands it
	 * over only. As many as the endpoint names, up to a limit; Solana:
	 * none.
	 */
	const uint8_t (*transactions32)[32];
	size_t transactions_len;
	/*
	 * Solana, where number is the slot. LATEST: the block height after
	 * which a transaction that uses hash32 can no longer land. FINALIZED:
	 * the block height itself.
	 */
	uint64_t height;
};
/* A block by number or name. CHAIN also when there is none. */
void fac_chain_head(struct fac_chain *chain, uint64_t number,
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_block *block),
	void *user);

/* What the chain asks for now; ceilings are the engine's. */
struct fac_chain_fees {
	struct x402_u256 base_fee_per_gas;         /* of the head */
	struct x402_u256 max_priority_fee_per_gas; /* suggested */
};
void fac_chain_fees(struct fac_chain *chain, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_fees *fees),
	void *user);

/* An event of a contract: which transaction made it, and where it stands. */
struct fac_chain_log {
	uint8_t transaction_hash32[32];
	uint64_t block_number;
	uint8_t block_hash32[32];
};
/* One payment's event is one log; a query that finds more is a wrong one. */
#define FAC_CHAIN_LOGS_MAX 64
struct fac_chain_logs_query {
	struct x402_address address;
	/* All must match, in order. Up to 4. */
	uint8_t topics[4][32];
	size_t topics_len;
	/* Inclusive. Nodes cap the range; keep it to what a payment lived. */
	uint64_t from_block;
	uint64_t to_block; /* or FAC_CHAIN_LATEST */
};
/*
 * eth_getLogs, without what a reorg removed. CHAIN also when one log is
 * malformed or is not what was asked for; TOO_LARGE above FAC_CHAIN_LOGS_MAX.
 * No log is no proof that there is none: a node may lag or have pruned.
 */
void fac_chain_logs(struct fac_chain *chain,
	const struct fac_chain_logs_query *query, uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_log *logs, size_t logs_len),
	void *user);

/* A transaction as it was sent; to is zero for a creation. */
struct fac_chain_sent {
	struct x402_address from;
	struct x402_address to;
	struct x402_span input; /* borrowed until done returns */
};
/* eth_getTransactionByHash. CHAIN also when the node does not know it. */
void fac_chain_sent(struct fac_chain *chain, const uint8_t hash32[32],
	uint32_t timeout_ms,
	void (*done)(void *user, enum x402_err err,
		const struct fac_chain_sent *sent),
	void *user);

/* Wei. CHAIN. */
void fac_chain_balance(struct fac_chain *chain,
	const struct x402_address *address, uint32_t timeout_ms,
	void (*done)(
		void *user, enum x402_err err, const struct x402_u256 *balance),
	void *user);

/* ---- Solana only. ---- */

/*
 * What became of transactions, by their first signature, answered as
 * receipts: FOUND from the commitment "confirmed" on, with block_number the
 * slot and transaction_hash32 the signature's SHA-256; FAULT while a slot
 * that may be dropped has it. NONE says that the node, which had reached
 * context_slot, knows of none: it may have thrown it away.
 */
void fac_chain_signatures(struct fac_chain *chain,
	const uint8_t (*signatures64)[64], size_t signatures_len,
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user);
/*
 * One of them, as a proof: with NONE comes history_slot, from which on the same
 * endpoint keeps what landed. FAULT also when it does not say that.
 */
void fac_chain_signature(struct fac_chain *chain, const uint8_t signature64[64],
	uint32_t timeout_ms,
	void (*done)(void *user, const struct fac_chain_receipt *receipts,
		size_t receipts_len),
	void *user);
/* Lamports, times 10^9: the engine counts both families alike. CHAIN. */
void fac_chain_svm_balance(struct fac_chain *chain,
	const struct x402_pubkey *key, uint32_t timeout_ms,
	void (*done)(
		void *user, enum x402_err err, const struct x402_u256 *balance),
	void *user);

/* ---- What the pool saw, for metrics. Counters only grow. ---- */

/* Upper bounds in ms of all latency buckets but the last, which has none. */
#define FAC_CHAIN_LATENCY_BOUNDS_MS             \
	{                                       \
		5, 20, 50, 100, 250, 1000, 5000 \
	}
#define FAC_CHAIN_LATENCY_BUCKETS 8

struct fac_chain_endpoint_stats {
	char host[80];             /* no path, query or user */
	uint64_t requests;         /* POSTs sent */
	uint64_t transport_faults; /* of them: no usable answer */
	uint64_t http_429;         /* of the faults: told to slow down */
	uint64_t rpc_errors;       /* calls answered with an error */
	/* Requests that were answered, each in one bucket. */
	uint64_t latency[FAC_CHAIN_LATENCY_BUCKETS];
	uint64_t latency_sum_ms;
	uint64_t latency_count;
	uint64_t head;        /* newest block it told; 0: not known */
	uint64_t lag;         /* blocks behind the best endpoint */
	bool resting;         /* passed over while others are up */
	uint64_t hedges_sent; /* to this one, as the second */
	uint64_t hedges_won;  /* of them: it was the first to answer */
};
struct fac_chain_stats {
	struct fac_chain_endpoint_stats endpoints[FAC_CHAIN_URLS_MAX];
	size_t endpoints_len;
};
struct fac_chain_stats fac_chain_stats(const struct fac_chain *chain);

#endif
