/*
 * store.h: what the daemon must not forget, in the words of its domain.
 *
 * One thread writes. A caller's verb is queued; the store drains its queue,
 * runs all of it in one transaction, commits once, and only then posts the
 * replies: an OK reply means durable (R1). A verb that fails does not sink
 * its neighbours; a commit that fails fails all of them with STORE.
 *
 * Not for: deciding. The store refuses a step that core/payment.h does not
 * permit (CONFLICT) and says which row is there; what that means is core's.
 *
 * Thread rule: verbs may be called from any thread. done runs later on the
 * thread of reply_to, never inside the verb; its reply is borrowed and dies
 * when done returns. Inputs are copied.
 */
#ifndef FAC_STORE_STORE_H
#define FAC_STORE_STORE_H

#include "core/payment.h"

struct fac_loop;
struct fac_store;

struct fac_store_options {
	/* Required; borrowed. A file path; its directory must exist. */
	const char *path;
};

/*
 * Open or create the file, take its lock, migrate, start the thread.
 * STORE when it cannot be opened, written or locked (another daemon has it),
 * or VERSION when a newer daemon wrote it; info->text says which and where.
 * Never falls back to memory: refuse to start then.
 */
X402_MUST_USE enum x402_err fac_store_open(
	const struct fac_store_options *options, struct x402_errinfo *info,
	struct fac_store **ret_store);
/*
 * Finish the queue, commit, close, join the thread. Loops that still wait
 * for replies must exist until then. NULL allowed.
 */
void fac_store_close(struct fac_store *store);

/* What came back. Members that a verb does not speak of are zero. */
struct fac_store_reply {
	/*
	 * OK; STORE: not durable, do not let money move; CONFLICT: the row's
	 * state or a UNIQUE key forbids it; NOT_FOUND.
	 */
	enum x402_err err;
	/* reserve: a fresh reservation; credit: this call claimed it. */
	bool claimed;
	const struct fac_payment *payments;
	size_t payments_len;
	const struct fac_transaction *transactions;
	size_t transactions_len;
	const struct fac_payment_event *events; /* oldest first */
	size_t events_len;
	const struct fac_resource *resources;
	size_t resources_len;
	uint64_t total;  /* resource_list: rows that match */
	uint64_t number; /* next_nonce_floor */
};

/* Where a reply goes. loop, done: Required. */
struct fac_store_to {
	struct fac_loop *loop;
	void (*done)(void *user, const struct fac_store_reply *reply);
	void *user;
};

/*
 * Claim payment->key32 (state RESERVED). claimed true: the row is ours now,
 * also when it had been CANCELLED. claimed false and OK: payments[0] is the
 * row that is there. CONFLICT: the idempotency scope and key belong to
 * another payment or fingerprint; payments[0] is that row.
 */
void fac_store_reserve(struct fac_store *store,
	const struct fac_payment *payment, struct fac_store_to to);
/*
 * Give a reservation up: RESERVED or REPLACED becomes CANCELLED. CONFLICT
 * when it has been signed: it may be on its way.
 */
void fac_store_release(struct fac_store *store, const uint8_t key32[32],
	const char *note, struct fac_store_to to);
/*
 * Journal a signed transaction and step its payments to SIGNED (R1): only
 * after an OK reply may its bytes leave the process. Repeating it with the
 * same hash is OK. CONFLICT when (network, signer, nonce) is taken by other
 * bytes that are not REPLACED, or a payment may not be signed.
 */
void fac_store_journal_signed(struct fac_store *store,
	const struct fac_transaction *transaction, struct fac_store_to to);
/* A node took it: the transaction and its payments step to BROADCAST. */
void fac_store_mark_broadcast(struct fac_store *store, const uint8_t hash32[32],
	struct fac_store_to to);
/*
 * Another transaction took the nonce, proven: REPLACED, and so are those of
 * its payments that are not final.
 */
void fac_store_mark_replaced(struct fac_store *store, const uint8_t hash32[32],
	struct fac_store_to to);
/* The transaction has a receipt, so its nonce is spent: MINED. */
void fac_store_mark_mined(struct fac_store *store, const uint8_t hash32[32],
	uint64_t block_number, struct fac_store_to to);

/*
 * The chain counts less than we journalled as mined: a reorg, or a node that
 * lags. MINED transactions of this signer from nonce on become BROADCAST
 * again and come back as transactions, lowest nonce first, at most
 * FAC_STORE_REVIVE_MAX. Their payments stay as they ended.
 */
#define FAC_STORE_REVIVE_MAX 64
void fac_store_revive(struct fac_store *store, const char *network,
	const struct x402_address *signer, uint64_t nonce,
	struct fac_store_to to);

/* How a payment ended. */
struct fac_store_end {
	uint8_t key32[32];
	enum fac_payment_state state; /* SETTLED, REVERTED, EXPIRED */
	enum x402_reason reason;
	char message[FAC_MESSAGE_SIZE];
	char transaction[FAC_HASH_TEXT_SIZE];
	uint64_t block_number;
};
/* Payments[0] is the row afterwards, also on CONFLICT. */
void fac_store_finish(struct fac_store *store, const struct fac_store_end *end,
	struct fac_store_to to);
/*
 * Claim the one success answer of a SETTLED payment and keep its body
 * (R2). claimed false: somebody had it; payments[0].answer is what they got.
 */
void fac_store_credit(struct fac_store *store, const uint8_t key32[32],
	const char *answer, struct fac_store_to to);

/* Payments that are not final, and transactions not MINED or REPLACED. */
void fac_store_load_unfinished(
	struct fac_store *store, const char *network, struct fac_store_to to);
/* number: one past the highest nonce journalled for this signer, or 0. */
void fac_store_next_nonce_floor(struct fac_store *store, const char *network,
	const struct x402_address *signer, struct fac_store_to to);

/*
 * Which payment: members that are not NULL are tried in this order, and the
 * first that finds one answers. Borrowed for the call.
 */
struct fac_payment_query {
	const char *id;
	const uint8_t *key32;
	const char *transaction; /* "0x" + 64 hex */
	const uint8_t *fingerprint32;
	const char *idempotency_scope; /* with the key */
	const char *idempotency_key;
};
/* payments[0] and its events; NOT_FOUND. */
void fac_store_payment_get(struct fac_store *store,
	struct fac_payment_query query, struct fac_store_to to);

/*
 * Add or refresh an entry by its key. An entry that was settled stays so, and
 * only another settled payment changes it. claimed: it is new.
 */
void fac_store_resource_put(struct fac_store *store,
	const struct fac_resource *resource, struct fac_store_to to);
/* F-084. Text members NULL: no filter. Borrowed for the call. */
struct fac_resource_query {
	const char *type;
	const char *pay_to; /* EVM: compared without case */
	const char *scheme;
	const char *network;
	const char *extension; /* name of one */
	uint32_t limit;        /* 1 to 100; the caller checks (F-084) */
	uint64_t offset;
};
/* Newest first. */
void fac_store_resource_list(struct fac_store *store,
	const struct fac_resource_query *query, struct fac_store_to to);
/* OK when a row could be written and committed just now. */
void fac_store_health(struct fac_store *store, struct fac_store_to to);

#endif
