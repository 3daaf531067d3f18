/*
 * store.h: what the daemon must not forget, in the words of its domain.
 *
 * Two backends stand behind it: SQLite in a file, for one daemon, and
 * PostgreSQL, for several that share it. One contract test holds both
 * (tests/unit/test_store.c).
 *
 * One thread writes. A caller's verb is queued; the store takes what waits,
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

/* Web hooks that may be told of an end. */
#define FAC_HOOKS_MAX     8
#define FAC_HOOK_NAME_MAX 32

struct fac_store_options {
	/*
	 * Required; borrowed. A file path, whose directory must exist, or
	 * "postgresql://..." (also "postgres://"): libpq's URI.
	 */
	const char *path;
	/*
	 * Optional: names of the web hooks that get an outbox row for each
	 * end of a payment. Borrowed for the call.
	 */
	const char *const *hooks;
	size_t hooks_len;
};

/*
 * Open or create, take the file's lock (SQLite), migrate, start the thread.
 * STORE when it cannot be opened, written or locked (another daemon has it),
 * or VERSION when a newer daemon wrote it; info->text says which and where,
 * without the password of a URI. Never falls back to memory: refuse to start
 * then.
 */
X402_MUST_USE enum x402_err fac_store_open(
	const struct fac_store_options *options, struct x402_errinfo *info,
	struct fac_store **ret_store);
/*
 * Finish the queue, commit, close, join the thread. A database that does not
 * answer is given up after some seconds: those verbs fail with STORE. Loops
 * that still wait for replies must exist until then. NULL allowed.
 */
void fac_store_close(struct fac_store *store);
/* Other daemons may write it too: lanes must be leased, rows may change. */
bool fac_store_is_shared(const struct fac_store *store);

/* An end that a web hook has to hear of. */
struct fac_outbox_row {
	uint64_t sequence;
	char hook[FAC_HOOK_NAME_MAX];
	enum fac_payment_state state; /* the end that it speaks of */
	uint64_t at_ms;
	uint32_t tries;               /* this one included */
	bool dead;                    /* given up */
	char error[FAC_MESSAGE_SIZE]; /* of the last try */
};

/* What came back. Members that a verb does not speak of are zero. */
struct fac_store_reply {
	/*
	 * OK; STORE: not durable, do not let money move; CONFLICT: the row's
	 * state or a UNIQUE key forbids it; NOT_FOUND; POLICY: a ceiling.
	 */
	enum x402_err err;
	/* reserve, credit, hold, lane_acquire: this call got it. */
	bool claimed;
	/* journal_*: CONFLICT because the lane's lease is another's now. */
	bool fenced;
	const struct fac_payment *payments;
	size_t payments_len;
	const struct fac_transaction *transactions;
	size_t transactions_len;
	const struct fac_payment_event *events; /* oldest first */
	size_t events_len;
	const struct fac_resource *resources;
	size_t resources_len;
	const struct fac_outbox_row *outbox; /* payments[i] belongs to it */
	size_t outbox_len;
	uint64_t total;  /* resource_list: rows that match */
	uint64_t number; /* next_nonce_floor; lane_acquire: the token */
	/* POLICY: which ceiling, in words with figures. */
	char message[FAC_MESSAGE_SIZE];
};

/* Where a reply goes. loop, done: Required. */
struct fac_store_to {
	struct fac_loop *loop;
	void (*done)(void *user, const struct fac_store_reply *reply);
	void *user;
};

/* ---- Payments. ---- */

/* How a refusal begins that one of these limits causes. */
#define FAC_SPEND_OVER_TEXT "the gas of this "
/* F4: what may be spent on gas in one UTC day. Zero: no ceiling. */
struct fac_spend_limits {
	uint64_t payer_gwei;
	uint64_t caller_gwei;
	uint64_t total_gwei;
};

/*
 * Claim payment->key32 (state RESERVED, owner payment->owner), counting
 * payment->cost_gwei against limits, and use up a hold on the same key.
 * claimed true: the row is ours now, also when it had been CANCELLED. The
 * claim lasts until the authorization is dead: see fac_store_forget_claims.
 * claimed false and OK: payments[0] is the row that is there. CONFLICT: the
 * idempotency scope and key belong to another payment or fingerprint;
 * payments[0] is that row. POLICY: a ceiling is reached, or validBefore is so
 * long past that a claim may have been forgotten; nothing is claimed.
 */
/*
 * A row that was given up is forgotten by fac_store_forget_claims so long
 * afterwards, whatever its validBefore: asking and leaving costs nobody
 * anything, and must not fill a disk.
 */
#define FAC_CANCELLED_KEEP_S 600
/* Lines of history that a row keeps when it is claimed again. */
#define FAC_CANCELLED_EVENTS_MAX 32
void fac_store_reserve(struct fac_store *store,
	const struct fac_payment *payment,
	const struct fac_spend_limits *limits, struct fac_store_to to);
/*
 * Give a reservation up: RESERVED becomes CANCELLED, and its estimated cost is
 * given back. CONFLICT when it was ever signed (somebody may land it), or when
 * another instance owns it.
 */
void fac_store_release(struct fac_store *store, const uint8_t key32[32],
	const char *owner, const char *note, struct fac_store_to to);
/*
 * A reservation (RESERVED or REPLACED) that this instance has no lane for
 * becomes anybody's: owner "". CONFLICT as above.
 */
void fac_store_hand_over(struct fac_store *store, const uint8_t key32[32],
	const char *owner, struct fac_store_to to);
/*
 * Own up to limit RESERVED or REPLACED payments that are anybody's, or whose
 * owner's heartbeat is over, oldest first. payments: those.
 */
void fac_store_take_over(struct fac_store *store, const char *network,
	const char *owner, uint32_t limit, struct fac_store_to to);
/* This instance lives until ttl_ms from now. */
void fac_store_heartbeat(struct fac_store *store, const char *owner,
	uint64_t ttl_ms, struct fac_store_to to);

/* How a payment ended, or went on. */
struct fac_store_end {
	uint8_t key32[32];
	/*
	 * SETTLED, REVERTED, EXPIRED; REPLACED: it failed alone inside a
	 * transaction that succeeded, and is to be signed anew.
	 */
	enum fac_payment_state state;
	enum x402_reason reason;
	char message[FAC_MESSAGE_SIZE];
	char transaction[FAC_HASH_TEXT_SIZE];
	uint64_t block_number;
	/* Its share of the gas, in gwei; FAC_COST_KEEP leaves the estimate. */
	uint64_t cost_gwei;
#define FAC_COST_KEEP UINT64_MAX
	/*
	 * Hash of our transaction that it was found out of, any attempt's;
	 * zeros where none was signed. An end without money speaks of that
	 * transaction alone: when the payment has been signed anew since, it is
	 * refused. Money that moved has moved, whichever transaction is the
	 * newest.
	 */
	uint8_t of32[32];
};
/*
 * Payments[0] is the row afterwards, also on CONFLICT. The same end twice is
 * OK. SETTLED, REVERTED and EXPIRED write an outbox row for each hook.
 * CONFLICT when the table forbids it, when owner has lost the payment to
 * another instance, or when the end is of a transaction that is not its
 * present one: what an instance knew before it was paused is no end.
 */
void fac_store_finish(struct fac_store *store, const struct fac_store_end *end,
	const char *owner, struct fac_store_to to);
/*
 * Claim the one success answer of a SETTLED payment and keep its body
 * (R2). claimed false: somebody had it; payments[0].answer is what they got.
 * After a STORE nobody knows whether it was claimed: fac_verb_credit_claim
 * repeats it, and is told claimed again when it had been its own.
 */
void fac_store_credit(struct fac_store *store, const uint8_t key32[32],
	const char *answer, struct fac_store_to to);

/*
 * Use up a transaction that has paid already (proof), and grant: one row,
 * SETTLED and credited with answer, in one commit. payment as for reserve,
 * with its transaction and block_number. claimed: granted, and nobody else was
 * or will be; else as reserve.
 */
void fac_store_grant(struct fac_store *store, const struct fac_payment *payment,
	const char *answer, struct fac_store_to to);

/*
 * Which payment: members that are not NULL are tried in this order, and the
 * first that finds one answers. Borrowed for the call.
 */
struct fac_payment_query {
	const char *id;
	const uint8_t *key32;         /* while its claim lasts */
	const uint8_t *transaction32; /* any attempt's hash */
	const uint8_t *payload_hash32;
	const char *idempotency_scope; /* with the key */
	const char *idempotency_key;
	/* A reference of Solana Pay, alone: the newest payment that has it. */
	const uint8_t *reference32;
};
/*
 * payments[0] and its events; NOT_FOUND. By transaction: all payments that
 * were in it, in its order, at most FAC_BATCH_MAX; events are the first's.
 */
void fac_store_payment_get(struct fac_store *store,
	struct fac_payment_query query, struct fac_store_to to);

/*
 * Hold payment->proof.value of (network, asset, payer) for payment->key32
 * until until_ms, when the payer's unfinished payments and living holds
 * (others than this key's) leave that much of balance. claimed: held (again);
 * else message says what is taken. A key that is reserved or done already:
 * CONFLICT, payments[0]. claimed false with OK: not enough, or more than
 * FAC_HOLD_ROWS_MAX of either, which would take too long to add up.
 */
#define FAC_HOLD_ROWS_MAX 1000
struct fac_store_hold {
	uint8_t key32[32];
	char network[X402_NETWORK_SIZE];
	struct x402_address asset;
	struct x402_address payer;
	struct x402_u256 amount;
	struct x402_u256 balance;
	uint64_t until_ms;
};
void fac_store_hold(struct fac_store *store, const struct fac_store_hold *hold,
	struct fac_store_to to);
/* number: unix ms at which a living or used-up hold on this key was made. */
void fac_store_hold_get(struct fac_store *store, const uint8_t key32[32],
	struct fac_store_to to);

/* ---- Transactions. ---- */

/* A lane: which instance may sign for a signer, and proof of it. */
struct fac_store_lease {
	const char *network;
	struct x402_address signer;
	const char *owner;
	uint64_t token;
};

/*
 * Lease a lane for ttl_ms, or renew the lease that owner has. claimed, and
 * number is the fencing token: greater for each new holder, the same on
 * renewal. claimed false: another holds it. A lease that ran out can still be
 * renewed by its holder while nobody else took it.
 */
void fac_store_lane_acquire(struct fac_store *store, const char *network,
	const struct x402_address *signer, const char *owner, uint64_t ttl_ms,
	struct fac_store_to to);
/* Give it back at the end; nothing when another has it. */
void fac_store_lane_release(struct fac_store *store,
	const struct fac_store_lease *lease, struct fac_store_to to);

/*
 * Journal a signed transaction (attempts[0]) and step its payments to SIGNED
 * (R1): only after an OK reply may its bytes leave the process. Repeating it
 * with the same hash is OK. CONFLICT when (network, signer, nonce) has a
 * transaction that is not REPLACED, when a payment may not be signed or is
 * another's, or when lease is not the present one (fenced).
 */
void fac_store_journal_signed(struct fac_store *store,
	const struct fac_transaction *transaction,
	const struct fac_store_lease *lease, struct fac_store_to to);
/*
 * Journal one more attempt on the nonce of transaction id32: the same calls,
 * other fees. Same rule and errors; CONFLICT also when that is MINED, FINAL,
 * REPLACED or full. Its payments' newest hash becomes this one.
 */
void fac_store_journal_attempt(struct fac_store *store, const uint8_t id32[32],
	const struct fac_attempt *attempt, const struct fac_store_lease *lease,
	struct fac_store_to to);
/* A node took it: the transaction and its payments step to BROADCAST. */
void fac_store_mark_broadcast(struct fac_store *store, const uint8_t id32[32],
	struct fac_store_to to);
/*
 * What became of a transaction is written by whoever has its lane: these four
 * are CONFLICT and fenced when lease is not the present one.
 *
 * Another transaction took the nonce, proven: REPLACED, and so are those of
 * its payments that are not final.
 */
void fac_store_mark_replaced(struct fac_store *store, const uint8_t id32[32],
	const struct fac_store_lease *lease, struct fac_store_to to);
/* It has a receipt, so its nonce is spent: MINED, by that attempt. */
struct fac_store_mined {
	uint8_t id32[32];
	uint8_t hash32[32];
	uint64_t block_number;
	uint8_t block_hash32[32];
};
/*
 * MINED, and the ends of its payments, in one step. payments: the rows
 * afterwards, in the order of ends. An end that would be refused by itself
 * leaves its row as it is and does not fail the verb. of32 of each is id32,
 * whatever it says.
 */
struct fac_store_ends {
	const struct fac_store_end *ends;
	size_t len;
};
void fac_store_mark_mined(struct fac_store *store,
	const struct fac_store_mined *mined, struct fac_store_ends ends,
	const struct fac_store_lease *lease, struct fac_store_to to);
/* Its block is final: FINAL. What only a resend needs may be dropped. */
void fac_store_mark_final(struct fac_store *store, const uint8_t id32[32],
	const struct fac_store_lease *lease, struct fac_store_to to);
/*
 * A reorg took its block away: MINED becomes BROADCAST, and those of its
 * payments that it had SETTLED or REVERTED become BROADCAST again (credited
 * stays), now of the lease's owner. payments: those rows. CONFLICT also when
 * it is mined in another block than that of block_hash32 by now.
 */
void fac_store_mark_dropped(struct fac_store *store, const uint8_t id32[32],
	const uint8_t block_hash32[32], const struct fac_store_lease *lease,
	struct fac_store_to to);

/*
 * The chain counts less than we journalled as mined: a reorg deeper than we
 * watched. MINED and FINAL transactions of this signer from nonce on become
 * BROADCAST again and come back as transactions, lowest nonce first, at most
 * FAC_STORE_REVIVE_MAX. Their payments stay as they ended.
 */
#define FAC_STORE_REVIVE_MAX 64
void fac_store_revive(struct fac_store *store, const char *network,
	const struct x402_address *signer, uint64_t nonce,
	struct fac_store_to to);

/*
 * The work of one lane, for whoever leased it: transactions SIGNED, BROADCAST
 * or MINED of this signer, and their payments (also ended ones), which are
 * owner's from now on unless they have ended.
 */
void fac_store_load_lane(struct fac_store *store, const char *network,
	const struct x402_address *signer, const char *owner,
	struct fac_store_to to);
/* number: one past the highest nonce journalled for this signer, or 0. */
void fac_store_next_nonce_floor(struct fac_store *store, const char *network,
	const struct x402_address *signer, struct fac_store_to to);

/* ---- Outbox of the web hooks. ---- */

/*
 * Rows that are due, oldest first, at most limit; each is taken for lease_ms:
 * nobody gets it again before. outbox and payments, side by side.
 */
void fac_store_outbox_take(struct fac_store *store, uint32_t limit,
	uint64_t lease_ms, struct fac_store_to to);
void fac_store_outbox_done(
	struct fac_store *store, uint64_t sequence, struct fac_store_to to);
/* Due again after delay_ms, or dead. */
struct fac_outbox_failure {
	uint64_t sequence;
	uint64_t delay_ms;
	bool dead;
	const char *error; /* Required; borrowed for the call */
};
void fac_store_outbox_fail(struct fac_store *store,
	const struct fac_outbox_failure *failure, struct fac_store_to to);
/* Dead rows, newest first; and one of them due again (NOT_FOUND). */
void fac_store_outbox_dead(
	struct fac_store *store, uint32_t limit, struct fac_store_to to);
void fac_store_outbox_revive(
	struct fac_store *store, uint64_t sequence, struct fac_store_to to);

/* ---- The catalogue. ---- */

/*
 * Entries that no payment proved: the oldest of more make room, for anybody
 * may post them.
 */
#define FAC_RESOURCES_UNPROVEN_MAX 5000
/*
 * So many go for each new one: a journal that was kept before there was a bound
 * may have any number, and who posts one must not hold the others up.
 */
#define FAC_RESOURCES_FORGET_MAX 256
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

/* ---- Keeping house. ---- */

/* OK when a row could be written and committed just now. */
void fac_store_health(struct fac_store *store, struct fac_store_to to);
/*
 * Forget claims of at most limit payments that are dead: ended, told if they
 * were settled, validBefore before dead_before_unix_s, and no transaction of
 * theirs that may come back. Their rows stay, and are found by every name but
 * the key. number: how many were looked at. From now on no authorization with
 * an earlier validBefore can be claimed, so a replay is refused here too;
 * before that the verification refuses it for its validBefore, and one of the
 * same nonce and a later validBefore because the chain says that the nonce is
 * used. With them go holds and spending that are over.
 */
void fac_store_forget_claims(struct fac_store *store,
	uint64_t dead_before_unix_s, uint32_t limit, struct fac_store_to to);
/*
 * Drop what nobody needs any more, at most limit rows of each kind: payments
 * that ended and whose validBefore is before dead_before_unix_s (an
 * authorization is never forgotten while it could still be spent), with their
 * history and transactions. number: payments.
 */
void fac_store_retire(struct fac_store *store, uint64_t dead_before_unix_s,
	uint32_t limit, struct fac_store_to to);

#define FAC_STORE_BUCKETS 10
/* Upper bounds in ms of the commit buckets; the last one has none. */
#define FAC_STORE_BUCKET_BOUNDS_MS                  \
	{                                           \
		1, 2, 5, 10, 20, 50, 100, 500, 2000 \
	}
struct fac_store_stats {
	uint64_t commits;
	uint64_t failures; /* groups that were not committed */
	uint64_t verbs;
	uint64_t commit_ms; /* sum */
	uint64_t commit_buckets[FAC_STORE_BUCKETS];
	uint64_t queued;    /* verbs that wait now */
	uint64_t oldest_ms; /* how long the first of them has waited */
};
/* Any thread. */
struct fac_store_stats fac_store_stats(struct fac_store *store);
/* Of these, oldest_ms. Any thread. */
uint64_t fac_store_lag_ms(struct fac_store *store);

#endif
