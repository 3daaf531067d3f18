/*
 * engine_p.h: what the engine's files share. Private to core/.
 *
 *   engine.c     making, callers, deadlines, the tick
 *   job.c        payments in work: reserved, found, given up
 *   line.c       a chain and its lanes as they begin
 *   answer.c     what a caller is told; the one success of R2
 *   batch.c      who travels with whom; calldata, gas, waiting for company
 *   lane.c       the queue, which lane, signing, the journal
 *   tx.c         transactions in memory, and their nonces
 *   broadcast.c  sending what is durable, and again
 *   raise.c      higher fees on the same nonce
 *   reconcile.c  heads, receipts, ends
 *   watch.c      mined, but not final: reorgs
 *   prove.c      what will never be mined; what somebody else landed
 *   recover.c    leases, and taking up the journal
 *   share.c      work that passes between instances
 *   stats.c      what operators see of it
 *   svm.c        Solana: co-signing, the end of a blockhash
 *   grant.c      transactions that have paid already
 *   cost.c       what gas may cost, of one payment and of a day
 *   pace.c       how soon to look for what was sent
 *
 * Objects: a waiter is a caller; a job is a payment in work; a tx is one
 * nonce with its bytes whose fate is open; a lane is one signer on one chain;
 * a line is a chain.
 * A port that owes an answer counts in busy of the object that it will come
 * back to, and nothing busy is freed.
 *
 * Thread rule: as engine.h.
 */
#ifndef FAC_CORE_ENGINE_P_H
#define FAC_CORE_ENGINE_P_H

#include "core/crash.h"
#include "core/engine.h"
#include "core/pace.h"

/* How often the engine looks at what is due while it has work. */
#define FAC_TICK_MS 10
/* ... and while it only watches blocks and keeps leases. */
#define FAC_IDLE_TICK_MS 250
/* Nonces given back that wait for a payment; also caps lane_limit. */
#define FAC_LANE_MAX    256
#define FAC_JOB_BUCKETS 16384
/* Repeating a store verb that failed. */
#define FAC_RETRY_MIN_MS 100
#define FAC_RETRY_MAX_MS 5000
/* A lane's lease, and how long the heartbeat says that we live. */
#define FAC_LEASE_MS       15000
#define FAC_LEASE_RENEW_MS 4000
/* F-036: less than this before validBefore nothing new is sent. */
#define FAC_LATE_S 6

struct fac_job;
struct fac_tx;
struct fac_lane;
struct fac_line;
struct fac_poll;

/* A caller. */
struct fac_waiter {
	struct fac_waiter *next;
	struct fac_waiter **slot;
	struct fac_engine *engine;
	uint64_t ticket;
	uint64_t deadline_ms;
	void (*done)(void *user, const struct fac_settle_result *result);
	void *user;
	bool has_plan;
	struct fac_payment asked; /* with a plan: the whole; else identity */
	bool has_key32;
	bool may_repeat;
	/* It has paid already: see grant.c. */
	bool paid;
	bool granting;
	unsigned grants;
	unsigned busy;
	struct fac_job *job; /* waits for this one */
	/* Where it is linked: job's waiters or rivals, or anew. */
	struct fac_waiter **list;
	struct fac_waiter *next_of_list;
	bool answered;
	struct fac_settle_result result;
	char *answer;
};

enum fac_job_phase {
	FAC_JOB_RESERVING,
	FAC_JOB_QUEUED,      /* durable, wants a lane */
	FAC_JOB_JOURNALLING, /* has a tx that is not durable yet */
	FAC_JOB_IN_FLIGHT,   /* its tx is durable */
	FAC_JOB_CHECKING,    /* its tx is mined without it: why? */
	FAC_JOB_FINISHING,   /* its end is known, not durable yet */
	FAC_JOB_CREDITING,   /* its success is being claimed */
	FAC_JOB_RELEASING,   /* being given up; nothing was signed */
	FAC_JOB_FOREIGN,     /* another instance's; watched for our callers */
	FAC_JOB_DONE
};

/* A payment in work. */
struct fac_job {
	struct fac_job *next; /* of all */
	struct fac_job **slot;
	struct fac_job *next_in_bucket;
	struct fac_job *next_queued;
	struct fac_engine *engine;
	struct fac_line *line;
	struct fac_payment payment;
	enum fac_job_phase phase;
	unsigned busy;
	struct fac_tx *tx;
	size_t index;     /* its place in tx->jobs */
	uint8_t of32[32]; /* hash of its newest transaction, or zeros */
	struct fac_waiter *waiters;
	/*
	 * Callers who came with the same request while those waited, oldest
	 * first. None without waiters, but while it is given up.
	 */
	struct fac_waiter *rivals;
	struct fac_store_end end;
	uint64_t cost_gwei;   /* its share of the gas, once mined; or 0 */
	uint64_t mined_block; /* where its transaction is, or 0 */
	uint64_t queued_ms;
	uint64_t retry_ms; /* 0: nothing to repeat; fac_job_retry sets it */
	uint64_t backoff_ms;
	unsigned journal_tries;
	unsigned check_tries;
	bool alone;     /* failed in company once */
	bool late;      /* to be proven over: see fac_prove_late */
	bool crediting; /* the claim's answer is owed */
	bool has_claim; /* claim32 is drawn: the same for all its tries */
	uint8_t claim32[32];
	/* What another's transaction did with the authorization. */
	uint8_t other_hash32[32];
	/* Permit2: transactions that may be it, still to be looked at. */
	uint8_t others32[FAC_CHAIN_LOGS_MAX][32];
	size_t others_len;
	uint64_t other_block;
	bool other_is_own; /* an earlier transaction of this payment */
	char trouble[FAC_MESSAGE_SIZE]; /* why it still waits */
};

/* One nonce whose fate is open. */
struct fac_tx {
	struct fac_tx *next;
	struct fac_tx **slot;
	struct fac_line *line;
	struct fac_lane *lane; /* that signed it */
	/* One for each key; NULL: not in work (any more). */
	struct fac_job **jobs;
	size_t jobs_live;
	struct fac_transaction transaction;
	uint64_t gas_limit;
	struct x402_u256 value;     /* that it carries: a gift's */
	struct x402_u256 committed; /* in lane->committed */
	uint64_t gas_held;          /* in lane->gas_in_flight */
	bool landed;                /* a block has it, deep enough or not */
	bool measured;              /* what it used of its gas was learned */
	unsigned busy;
	bool journalled; /* the newest attempt is durable */
	bool sending;
	bool sent;    /* bytes of it left the process */
	bool blocked; /* the node would not take it: see status */
	bool marked_broadcast;
	enum fac_send_status status;
	uint64_t next_send_ms;
	uint64_t taken_ms;        /* a node took it; 0: it was found since */
	unsigned looks;           /* for it, since then */
	uint64_t sent_head;       /* the newest block when it was sent */
	uint64_t patience_blocks; /* that may pass it over: see lane.c */
	uint64_t backoff_ms;
	uint64_t retry_ms; /* of a verb that failed */
	/* Raising: an attempt that is being journalled. */
	bool is_raising;
	struct fac_attempt raising;
	uint64_t raise_retry_ms;
	uint64_t raise_noted_ms;
	/* Mined. */
	bool mined;     /* its receipt was judged */
	bool recorded;  /* ... and that is durable: watched until final */
	bool recording; /* ... on its way */
	bool finishing; /* mark_final is on its way */
	bool dropping;  /* mark_dropped is on its way */
	bool replaced;  /* proven; being marked */
	bool dead;      /* leaves memory when nothing is owed */
	/* The proof under way: see prove.c. */
	bool suspect;
	bool probing;
	uint64_t next_probe_ms;
	struct fac_chain_block probe_block;
	uint64_t probe_nonce;
	/* Solana: the height after which it cannot land; 0: not known yet. */
	uint64_t last_height;
	/* ... and the slot before which it cannot have landed; 0 as above. */
	uint64_t since_slot;
	bool overdue;    /* it holds no fee of its lane any more: see svm.c */
	unsigned misses; /* answers in a row that know nothing of it */
};

enum fac_lane_step {
	FAC_LANE_LEASING, /* not ours */
	FAC_LANE_LOADING, /* ours; the journal is to be read */
	FAC_LANE_ASKING,  /* which nonce is next? */
	FAC_LANE_READY
};

/* One signer on one chain. */
struct fac_lane {
	struct fac_line *line;
	const struct x402_secret *key;
	/*
	 * Its name in the journal. Solana: the first 20 bytes of svm_pubkey,
	 * which is the fee payer that svm_key signs as.
	 */
	struct x402_address address;
	char text[X402_ACCOUNT_TEXT_SIZE];
	const struct x402_svm_secret *svm_key;
	struct x402_pubkey svm_pubkey;
	/* The lease. */
	enum fac_lane_step step;
	bool asking; /* a step's answer is owed */
	bool renewing;
	uint64_t retry_ms; /* of the step */
	uint64_t token;
	uint64_t asked_ms;       /* when the lease was last asked for */
	uint64_t lease_until_ms; /* by our own, careful clock */
	uint64_t renew_ms;
	/* Nonces. */
	uint64_t floor;
	uint64_t pending; /* the chain's next nonce, when it was asked */
	uint64_t strange; /* below it others' nonces were told of */
	uint64_t next_nonce;
	uint64_t free_nonces[FAC_LANE_MAX];
	size_t free_len;
	uint64_t free_since_ms;
	unsigned in_flight;     /* not mined */
	unsigned blocked;       /* of those */
	unsigned overdue;       /* of those, on Solana: see svm.c */
	uint64_t gas_in_flight; /* limits of those in no block yet */
	char trouble[FAC_SEND_MESSAGE_SIZE];
	/* Gas money. */
	bool asking_balance;
	bool balance_known;
	uint64_t balance_ms; /* when to ask */
	struct x402_u256 balance;
	struct x402_u256 committed; /* what is in flight may cost at most */
	struct x402_u256 wanted;    /* what it could not pay */
	bool dry;
	uint64_t spent_gwei; /* since the start */
};

/* One chain. */
struct fac_line {
	struct fac_engine *engine;
	size_t index;
	struct fac_engine_chain config;
	struct fac_lane lanes[FAC_ENGINE_SIGNERS_MAX];
	/* Payments that want a lane, oldest first. */
	struct fac_job *queued;
	struct fac_job **queued_last;
	size_t queued_len;
	uint64_t next_late_ms; /* when to look for late ones in it */
	struct fac_tx *txs;
	/* What transactions asked for of late, and what they used of it. */
	uint64_t gas_asked;
	uint64_t gas_used;
	/* No lane has room in the next block: nothing is sent until one has. */
	bool crowded;
	/* Batches. */
	bool has_multicall;
	bool asking_multicall;
	uint64_t multicall_retry_ms;
	uint64_t batch_payment_gas; /* grows when it proves too little */
	uint64_t payments_in_flight;
	/* Fees, as last heard. */
	bool asking_fees;
	uint64_t fees_at_ms; /* 0: never */
	uint64_t fees_retry_ms;
	uint64_t noted_ms;
	uint64_t over_noted_ms; /* that a ceiling is reached */
	struct fac_chain_fees fees;
	/* The poller. */
	unsigned polling; /* answers owed to it */
	bool receipts_due;
	uint64_t receipts_ms; /* when they were asked */
	struct fac_poll *polls;
	uint64_t next_poll_ms;
	uint64_t poll_interval_ms;
	struct fac_pace pace;   /* how soon what is sent is found */
	uint64_t poll_asked_ms; /* the head under way */
	bool head_known;
	struct fac_chain_block head;
	uint64_t head_ms;    /* when it was heard that it changed */
	uint64_t block_ms;   /* between heads of late, as we heard of them */
	uint64_t first_head; /* for the mean time between blocks */
	uint64_t first_head_unix_s;
	uint64_t tagged; /* the safe or finalized block, if that is awaited */
	/* Watching for reorgs: see watch.c. */
	unsigned watching; /* answers owed */
	uint8_t watched_head32[32];
	/* Work from other instances. */
	bool taking;
	uint64_t next_take_ms;
};

struct fac_engine {
	struct fac_engine_ports ports;
	const struct x402_secp256k1 *secp;
	char owner[FAC_OWNER_SIZE];
	bool shared;
	struct fac_line *lines;
	size_t lines_len;
	bool alive; /* the first heartbeat is durable */
	bool beating;
	uint64_t next_beat_ms;
	struct fac_waiter *waiters; /* not answered yet */
	size_t waiters_len;
	size_t max_waiters;
	struct fac_waiter *anew;  /* to be begun with again by the tick */
	struct fac_waiter *ready; /* answered, to be told by the tick */
	struct fac_waiter **ready_last;
	uint64_t next_ticket;
	uint64_t deadline_ms; /* no waiter's is earlier */
	uint64_t retry_ms;    /* no job's is earlier */
	struct fac_job *jobs;
	struct fac_job *buckets[FAC_JOB_BUCKETS];
	uint64_t owed; /* answers of ports */
	bool ended;    /* fac_engine_free has begun */
	bool retiring; /* fac_engine_release_lanes has begun */
	uint64_t started_ms;
	struct fac_engine_stats stats; /* the counters of it */
};

/* ---- engine.c ---- */
uint64_t fac_engine_now(const struct fac_engine *engine);
uint64_t fac_engine_wall(const struct fac_engine *engine);
void fac_engine_wake(struct fac_engine *engine, uint64_t delay_ms);
void fac_engine_note(struct fac_engine *engine, bool warning, const char *fmt,
	...) X402_PRINTF(3, 4);
struct fac_line *fac_engine_line(struct fac_engine *engine, const char *caip2);
void *fac_must_calloc(size_t count, size_t size);
/* Doubles *backoff_ms between min and max, and gives the time to repeat. */
uint64_t fac_backoff(struct fac_engine *engine, uint64_t *backoff_ms,
	uint64_t min_ms, uint64_t max_ms);
/* Have the job's step repeated: after a pause that doubles, or at a time. */
void fac_job_retry(struct fac_job *job, uint64_t min_ms, uint64_t max_ms);
void fac_job_retry_at(struct fac_job *job, uint64_t at_ms);
void fac_hash_text(const uint8_t hash32[32], char ret_text[FAC_HASH_TEXT_SIZE]);

/*
 * Ask the store. One more answer is owed to the engine, and to the job or tx
 * that it comes back to: fac_job_returned and fac_tx_returned take it off.
 */
typedef void fac_store_done(void *arg, const struct fac_store_reply *reply);
void fac_engine_store(struct fac_engine *engine, struct fac_verb *verb,
	fac_store_done *done, void *arg);
void fac_job_store(
	struct fac_job *job, struct fac_verb *verb, fac_store_done *done);
void fac_tx_store(
	struct fac_tx *tx, struct fac_verb *verb, fac_store_done *done);

/* Begin with a caller, or begin anew. */
void fac_waiter_start(struct fac_waiter *waiter);
/* Told, and nothing is owed to it. */
void fac_waiter_free(struct fac_waiter *waiter);

/* ---- job.c ---- */
struct fac_job *fac_job_find(
	struct fac_engine *engine, const uint8_t key32[32]);
/* Takes payment. */
struct fac_job *fac_job_new(struct fac_line *line, struct fac_payment *payment,
	enum fac_job_phase phase);
/* DONE: leaves memory as soon as nothing is owed to it. */
void fac_job_end(struct fac_job *job);
/* A port answered: false when the job is gone or done. */
bool fac_job_returned(struct fac_job *job);
void fac_job_set_payment(
	struct fac_job *job, const struct fac_payment *payment);
/* Whoever waits and whatever is owed: the engine ends. */
void fac_job_free(struct fac_job *job);
/* Its first step; then the lanes, or what its row says. */
void fac_job_reserve(
	struct fac_job *job, const struct fac_spend_limits *limits);
/* Give a reservation up. */
void fac_job_release(struct fac_job *job, const char *note);
/* Callers of a payment that was given up: those with a plan begin anew. */
void fac_job_restart_callers(struct fac_job *job);

/* ---- line.c ---- */
/* INVALID_ARGUMENT, KEY, CRYPTO. */
X402_MUST_USE enum x402_err fac_line_init(struct fac_engine *engine,
	size_t index, const struct fac_engine_chain *chain);

/* ---- stats.c ---- */
/* Every lane that is ours may sign. */
bool fac_engine_lanes_are_ready(const struct fac_engine *engine);

/* ---- answer.c ---- */
/* The caller meets a payment in work. */
void fac_answer_attach(struct fac_waiter *waiter, struct fac_job *job);
/* The caller meets a row that nobody here works on. */
void fac_answer_row(
	struct fac_waiter *waiter, const struct fac_payment *payment);
void fac_answer(struct fac_waiter *waiter, enum fac_settle_outcome outcome,
	enum x402_reason reason, const char *message,
	const struct fac_payment *payment);
/* All callers of a job. */
void fac_answer_all(struct fac_job *job, enum fac_settle_outcome outcome,
	enum x402_reason reason, const char *message);
/* PENDING with the job's hash, or FAULT: whatever is true of it now. */
void fac_answer_unfinished(struct fac_waiter *waiter, const char *why);
/* The payment reached its end: credit, or tell the reason. */
void fac_answer_end(struct fac_job *job);
/* A claim of which nobody knows whether it was recorded, once more. */
void fac_answer_credit_again(struct fac_job *job);
/* A node took it, and the chain's confirmations are FAC_CONFIRM_SUBMITTED. */
void fac_answer_submitted(struct fac_job *job);
void fac_answer_detach(struct fac_waiter *waiter);
/* Waits for the job, whose callers are told what becomes of it. */
void fac_answer_join(struct fac_waiter *waiter, struct fac_job *job);
/* A caller left: when none is left, the first rival takes its place. */
void fac_answer_succeed(struct fac_job *job);
/* All of a list, in its order, are begun with again by the tick. */
void fac_answer_anew(struct fac_engine *engine, struct fac_waiter **list);
/* L-005, as it will be stored and sent; the caller frees it. */
char *fac_answer_body(const struct fac_payment *payment);
/* The stored success, which is this caller's. */
void fac_answer_success(
	struct fac_waiter *waiter, const struct fac_payment *payment);

/* ---- cost.c ---- */
/*
 * Before it is reserved: its estimate, and whose account it goes on. False: it
 * would cost more than one payment may.
 */
bool fac_cost_begin(struct fac_line *line, struct fac_payment *payment);
struct fac_spend_limits fac_cost_limits(
	const struct fac_line *line, const struct fac_payment *payment);
/* The store said POLICY: what the callers are told of it. */
void fac_cost_refused(
	struct fac_job *job, const char *why, char ret_why[FAC_MESSAGE_SIZE]);

/* ---- grant.c ---- */
void fac_grant_start(struct fac_waiter *waiter);

/* ---- batch.c ---- */
/* What would be signed now for the payment at the head of the queue. */
struct fac_batch {
	struct fac_job *jobs[FAC_BATCH_MAX];
	size_t len;
	uint64_t gas_limit;
	bool full; /* more payments would have been there */
};
/* False: better to wait for company; *ret_wait_ms says how long. */
bool fac_batch_choose(struct fac_line *line, const struct x402_u256 *max_fee,
	struct fac_batch *ret_batch, uint64_t *ret_wait_ms);
/*
 * The last of a batch stay behind until it asks for no more than gas. False:
 * too few would be left for what a transaction costs by itself, and nothing
 * was changed.
 */
bool fac_batch_fit(struct fac_batch *batch, uint64_t gas);
/* Who alone may send it; false when anybody may. */
bool fac_batch_sender(
	const struct fac_batch *batch, struct x402_address *ret_sender);
/* What goes with it: only a gift has a value, and it travels alone. */
struct x402_u256 fac_batch_value(const struct fac_batch *batch);
/* The call to sign: the token's own, or Multicall3's. data is the caller's. */
void fac_batch_call(const struct fac_batch *batch, struct x402_address *ret_to,
	struct x402_buf *ret_data);
/* Does this chain have Multicall3? Asked when first needed. */
void fac_batch_tick(struct fac_line *line);
void fac_batch_count(struct fac_engine *engine, size_t len);

/* ---- lane.c ---- */
void fac_lane_enqueue(struct fac_job *job);
void fac_lane_dequeue(struct fac_job *job);
/* May this signer's lane take another transaction now? */
bool fac_lane_takes(
	const struct fac_line *line, const struct x402_address *signer);
void fac_lane_dispatch(struct fac_line *line);
/* Repeat a journal write that failed. */
void fac_lane_journal(struct fac_tx *tx);
/* Fees, balances and gaps that are due, and what is to be sent again. */
void fac_lane_tick(struct fac_line *line);
/* This instance may sign with it now. */
bool fac_lane_is_ours(const struct fac_lane *lane);
struct fac_store_lease fac_lane_lease(const struct fac_lane *lane);
/* False when fees are unknown or above the ceiling; the queue is told why. */
bool fac_lane_fees(struct fac_line *line, struct x402_u256 *ret_max_fee,
	struct x402_u256 *ret_priority);
/* Somebody will want them in a moment: ask while the store writes. */
void fac_lane_expect(struct fac_line *line);
/* Why all that is queued waits; said in the log once in a while. */
void fac_lane_note_trouble(struct fac_line *line, const char *why);
/* ... or only one of them, who is told already. */
void fac_lane_warn(struct fac_line *line, const char *why);
/* Its signer can pay no more, or can again. */
void fac_lane_set_dry(struct fac_lane *lane, bool dry);
/* May it sign something that costs so much? Else why tells. */
bool fac_lane_is_fit(
	struct fac_lane *lane, const struct x402_u256 *cost, const char **why);
/* The jobs of batch travel in transaction, which is taken and journalled. */
void fac_lane_begin(struct fac_lane *lane, const struct fac_batch *batch,
	struct fac_transaction *transaction);

/* ---- broadcast.c ---- */
/* The bytes are durable: send them until their nonce is spent. */
void fac_broadcast_begin(struct fac_tx *tx);
void fac_broadcast_tick(struct fac_line *line);

/* ---- tx.c ---- */
/* The least that was given back, or the next. */
uint64_t fac_lane_take_nonce(struct fac_lane *lane);
/* Nothing durable holds it. */
void fac_lane_give_nonce_back(struct fac_lane *lane, uint64_t nonce);
/* Takes transaction. jobs follow by fac_tx_add_job. */
struct fac_tx *fac_tx_new(struct fac_line *line, struct fac_lane *lane,
	struct fac_transaction *transaction);
/* The job of the key at index. */
void fac_tx_add_job(struct fac_tx *tx, size_t index, struct fac_job *job);
void fac_tx_drop_job(struct fac_job *job);
/* Leaves memory when nothing is owed; give_back: its nonce is free again. */
void fac_tx_end(struct fac_tx *tx, bool give_back);
/* A port answered: false when the tx is gone or dead. */
bool fac_tx_returned(struct fac_tx *tx);
const struct fac_attempt *fac_tx_newest(const struct fac_tx *tx);
void fac_tx_set_blocked(struct fac_tx *tx, bool blocked);
/* It is mined, or is not any more. */
void fac_tx_set_mined(struct fac_tx *tx, bool mined);
/* Set what of its signer's balance, and of a block, it may take at most. */
void fac_tx_commit(struct fac_tx *tx);
/* The same for bytes of the journal's, which say what they may cost. */
void fac_tx_commit_adopted(struct fac_tx *tx);

/* ---- raise.c ---- */
void fac_raise_tick(struct fac_line *line);

/* ---- reconcile.c ---- */
void fac_reconcile_tick(struct fac_line *line);
/* Frees what only a port still knew: none may answer any more. */
void fac_reconcile_clear(struct fac_line *line);
/* Look soon: something was just sent. */
void fac_reconcile_soon(struct fac_line *line);
/* A node took it for the first time: look when others were found there. */
void fac_reconcile_taken(struct fac_tx *tx);
void fac_reconcile_take(
	struct fac_tx *tx, const struct fac_chain_receipt *found);
/* Make the end in job->end durable. */
void fac_reconcile_finish(struct fac_job *job);
void fac_reconcile_set_end(struct fac_job *job, enum fac_payment_state state,
	enum x402_reason reason, const char *message);
/* Too near to validBefore to sign anew. */
bool fac_reconcile_is_late(const struct fac_job *job);
bool fac_reconcile_is_deep(const struct fac_line *line, uint64_t block_number);
/* Repeat a verb of a mined transaction that failed. */
void fac_reconcile_record(struct fac_tx *tx);

/* ---- watch.c ---- */
void fac_watch_tick(struct fac_line *line);
/* Mined, durable, and nothing else under way about it. */
bool fac_watch_is_watched(const struct fac_tx *tx);
/* It will not fall out of the chain any more; or it has. */
void fac_watch_finish(struct fac_tx *tx);
void fac_watch_drop(struct fac_tx *tx);

/* ---- svm.c ---- */
bool fac_svm_is(const struct fac_line *line);
/* Sign as the fee payer, in calldata. False: no such signer here. */
X402_MUST_USE bool fac_svm_cosign(
	const struct fac_line *line, struct fac_payment *payment);
void fac_svm_dispatch(struct fac_line *line);
/* It waits for so long that it holds no place of its lane any more. */
bool fac_svm_is_overdue(const struct fac_tx *tx);
/* A head came: what was sent before it was asked can land until when? */
void fac_svm_note_head(struct fac_line *line);
/* Blockhashes that ran out. */
void fac_svm_tick(struct fac_line *line);
/* At a new head: landed, and finalized by now? */
void fac_svm_watch(struct fac_line *line);

/* ---- prove.c ---- */
void fac_prove_tick(struct fac_line *line);
/* Its transaction was mined and did not pay it: why, and what now? */
void fac_prove_check(struct fac_job *job);
/*
 * It will not be signed any more, but its authorization is known to others:
 * once validBefore is over, deep in the chain, find out how it ended.
 */
void fac_prove_late(struct fac_job *job);

/* ---- recover.c ---- */
void fac_recover_tick(struct fac_line *line);
/* Loudly: nonces from one on and before another are not of our journal. */
void fac_recover_note_taken(struct fac_lane *lane, uint64_t from, uint64_t to);
/* Something waits for long: does the chain miss a nonce below it? */
void fac_recover_check_gap(struct fac_lane *lane);
/* Its row speaks of these bytes, and not of a later transaction. */
bool fac_recover_is_of(const struct fac_payment *row,
	const struct fac_transaction *transaction);
/* Its transaction is mined, and its end is open: find out. */
void fac_recover_check_open(struct fac_job *job);
/* Another instance has it, or may have: stop. */
void fac_recover_lose(struct fac_lane *lane, const char *why);
/* The store said so: the lease is not the present one. */
void fac_recover_fenced(struct fac_lane *lane);

/* ---- share.c ---- */
void fac_share_beat(struct fac_engine *engine);
void fac_share_tick(struct fac_line *line);
/* A reservation of ours that nobody works on: of an earlier run. */
bool fac_share_is_own(const struct fac_job *job);
/* Watch the store for a payment that others work on. */
void fac_share_watch(struct fac_job *job);
void fac_share_repeat(struct fac_job *job);

#endif
