/*
 * engine_p.h: what the engine's files share. Private to core/.
 *
 *   engine.c     making, callers, deadlines, the tick
 *   answer.c     what a caller is told; the one success of R2
 *   lane.c       nonces, signing, journal, broadcast
 *   reconcile.c  receipts, ends, negative proofs
 *   recover.c    taking up the journal at start
 *
 * Objects: a waiter is a caller; a job is a payment in work; a tx is a signed
 * transaction without a proven fate; a lane is one signer on one chain.
 * A port that owes an answer counts in busy of the object that it will come
 * back to, and nothing busy is freed.
 *
 * Thread rule: as engine.h.
 */
#ifndef FAC_CORE_ENGINE_P_H
#define FAC_CORE_ENGINE_P_H

#include "core/crash.h"
#include "core/engine.h"

/* How often the engine looks at what is due while it has work. */
#define FAC_TICK_MS 20
/* Nonces given back that wait for a payment; also caps lane_limit. */
#define FAC_LANE_MAX    256
#define FAC_JOB_BUCKETS 4096

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
	bool started; /* no longer held back by recovery */
	unsigned busy;
	struct fac_job *job; /* waits for this one */
	struct fac_waiter *next_of_job;
	bool answered;
	struct fac_settle_result result;
	char *answer;
};

enum fac_job_phase {
	FAC_JOB_RESERVING,
	FAC_JOB_QUEUED,      /* durable, wants a lane */
	FAC_JOB_JOURNALLING, /* has a tx that is not durable yet */
	FAC_JOB_IN_FLIGHT,   /* its tx is durable */
	FAC_JOB_FINISHING,   /* its end is known, not durable yet */
	FAC_JOB_CREDITING,   /* its success is being claimed */
	FAC_JOB_RELEASING,   /* being given up; nothing was signed */
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
	struct fac_waiter *waiters;
	struct fac_store_end end;
	uint64_t retry_ms; /* 0: nothing to repeat */
	uint64_t backoff_ms;
	unsigned journal_tries;
	char trouble[FAC_MESSAGE_SIZE]; /* why it still waits */
};

/* A signed transaction whose fate is open. */
struct fac_tx {
	struct fac_tx *next;
	struct fac_tx **slot;
	struct fac_line *line;
	struct fac_lane *lane; /* NULL: a signer no longer configured */
	struct fac_job *job;   /* NULL: fills a gap, or the payment ended */
	struct fac_transaction transaction;
	unsigned busy;
	bool journalled;
	bool sending;
	bool sent;    /* its bytes left the process */
	bool blocked; /* the node would not take it: see status */
	bool marked_broadcast;
	enum fac_send_status status;
	uint64_t next_send_ms;
	uint64_t backoff_ms;
	bool mined;
	uint64_t block_number;
	uint64_t
		retry_ms; /* of mark_mined, mark_replaced, a filler's journal */
	bool replaced;    /* proven; being marked */
	bool dead;        /* leaves memory when nothing is owed */
	/* The proof under way: see reconcile.c. */
	bool suspect;
	bool probing;
	uint64_t next_probe_ms;
	struct fac_chain_block probe_block;
	uint64_t probe_nonce;
	bool probe_used;     /* the authorization, at that block */
	bool probe_used_now; /* ... and at the head */
};

/* One signer on one chain. */
struct fac_lane {
	struct fac_line *line;
	const struct x402_secret *key;
	struct x402_address address;
	bool ready;
	bool asking;
	uint64_t retry_ms;
	uint64_t floor;
	uint64_t pending; /* the chain's next nonce, when it was asked */
	uint64_t next_nonce;
	uint64_t free_nonces[FAC_LANE_MAX];
	size_t free_len;
	uint64_t free_since_ms;
	unsigned in_flight;
	unsigned blocked; /* of those */
	char trouble[FAC_SEND_MESSAGE_SIZE];
};

/* One chain. */
struct fac_line {
	struct fac_engine *engine;
	size_t index;
	struct fac_engine_chain config;
	struct fac_lane lanes[FAC_ENGINE_SIGNERS_MAX];
	/* Recovery. */
	bool loaded;
	bool loading;
	uint64_t retry_ms;
	/* Payments that want a lane, oldest first. */
	struct fac_job *queued;
	struct fac_job **queued_last;
	struct fac_tx *txs;
	/* Fees, as last heard. */
	bool asking_fees;
	uint64_t fees_at_ms; /* 0: never */
	uint64_t fees_retry_ms;
	uint64_t fees_noted_ms;
	struct fac_chain_fees fees;
	/* The poller. */
	unsigned polling; /* answers owed to it */
	struct fac_poll *polls;
	uint64_t next_poll_ms;
	uint64_t poll_interval_ms;
	bool head_known;
	struct fac_chain_block head;
};

struct fac_engine {
	struct fac_engine_ports ports;
	const struct x402_secp256k1 *secp;
	struct fac_line *lines;
	size_t lines_len;
	bool loaded;                /* every line's journal was read */
	struct fac_waiter *waiters; /* not answered yet */
	struct fac_waiter *ready;   /* answered, to be told by the tick */
	struct fac_waiter **ready_last;
	uint64_t next_ticket;
	struct fac_job *jobs;
	struct fac_job *buckets[FAC_JOB_BUCKETS];
	uint64_t owed; /* answers of ports */
	bool ended;    /* fac_engine_free has begun */
};

/* ---- engine.c ---- */
uint64_t fac_engine_now(const struct fac_engine *engine);
void fac_engine_wake(struct fac_engine *engine, uint64_t delay_ms);
void fac_engine_note(struct fac_engine *engine, bool warning, const char *fmt,
	...) X402_PRINTF(3, 4);
struct fac_line *fac_engine_line(struct fac_engine *engine, const char *caip2);
void *fac_must_calloc(size_t count, size_t size);
/* Doubles *backoff_ms between min and max, and gives the time to repeat. */
uint64_t fac_backoff(struct fac_engine *engine, uint64_t *backoff_ms,
	uint64_t min_ms, uint64_t max_ms);

struct fac_job *fac_job_find(
	struct fac_engine *engine, const uint8_t key32[32]);
/* Takes payment. */
struct fac_job *fac_job_new(struct fac_line *line, struct fac_payment *payment,
	enum fac_job_phase phase);
/* DONE: leaves memory as soon as nothing is owed to it. */
void fac_job_end(struct fac_job *job);
/* A port answered: false when the job is gone and was freed. */
bool fac_job_returned(struct fac_job *job);
void fac_job_set_payment(
	struct fac_job *job, const struct fac_payment *payment);
/* Give a reservation up. */
void fac_job_release(struct fac_job *job, const char *note);
/* Begin with a caller that recovery held back. */
void fac_waiter_start(struct fac_waiter *waiter);

/* ---- answer.c ---- */
/* The caller meets a payment in work. */
void fac_answer_attach(struct fac_waiter *waiter, struct fac_job *job);
/* The caller meets a row that nobody works on. */
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
void fac_answer_detach(struct fac_waiter *waiter);

/* ---- lane.c ---- */
void fac_lane_enqueue(struct fac_job *job);
void fac_lane_dequeue(struct fac_job *job);
void fac_lane_dispatch(struct fac_line *line);
/* Repeat a journal write that failed. */
void fac_lane_journal(struct fac_tx *tx);
/* The row is durable after all. */
void fac_lane_journalled(struct fac_tx *tx);
/* Sends, fees and gaps that are due. */
void fac_lane_tick(struct fac_line *line);
struct fac_tx *fac_tx_new(struct fac_line *line, struct fac_lane *lane,
	struct fac_job *job, struct fac_transaction *transaction);
/* Leaves memory when nothing is owed; give_back: its nonce is free again. */
void fac_tx_end(struct fac_tx *tx, bool give_back);
/* A port answered: false when the tx is gone and was freed. */
bool fac_tx_returned(struct fac_tx *tx);
void fac_tx_hash_text(
	const struct fac_tx *tx, char ret_text[FAC_HASH_TEXT_SIZE]);
void fac_tx_set_blocked(struct fac_tx *tx, bool blocked);

/* ---- reconcile.c ---- */
void fac_reconcile_tick(struct fac_line *line);
/* Frees what only a port still knew: none may answer any more. */
void fac_reconcile_clear(struct fac_line *line);
/* Look soon: something was just sent. */
void fac_reconcile_soon(struct fac_line *line);
/* Make the end in job->end durable. */
void fac_reconcile_finish(struct fac_job *job);
/* The last block looked at is too far ahead of validBefore to sign anew. */
bool fac_reconcile_is_late(const struct fac_job *job);

/* ---- recover.c ---- */
void fac_recover_tick(struct fac_line *line);
/* Something waits for long: does the chain miss a nonce below it? */
void fac_recover_check_gap(struct fac_lane *lane);

#endif
