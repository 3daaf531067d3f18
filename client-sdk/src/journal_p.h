/*
 * journal_p.h: the journal as the client uses it, private.
 *
 *   x402__journal_begin()    one write transaction ...
 *   x402__journal_reserve()    ... for any number of purchases
 *   x402__journal_sign()
 *   x402__journal_finish()
 *   x402__journal_end()      commit, durable where money may move next
 *
 * A purchase is held by the process that works on it. A hold ends with
 * finish(), with the process, or at its time.
 */
#ifndef X402_CLIENT_JOURNAL_P_H
#define X402_CLIENT_JOURNAL_P_H

#include <sqlite3.h>

#include "client_p.h"
#include "x402/journal.h"

/* Statements kept prepared; there are fewer than this in the source. */
#define X402__JOURNAL_STATEMENTS_MAX 48

/* Counters that the open transaction has changed: journal_budget.c's own. */
struct x402__pending;

struct x402_journal {
	sqlite3 *sqlite;
	struct {
		const char *sql;
		sqlite3_stmt *stmt;
	} statements[X402__JOURNAL_STATEMENTS_MAX];
	size_t statements_len;
	struct x402__pending *pending;
	size_t pending_len;
	char holder[128]; /* this handle of this process */
	char boot[64];    /* which run of the machine this is; or "" */
	uint64_t (*elapsed_ms)(void); /* x402__elapsed_ms, or a test's */
	bool durable;                 /* PRAGMA synchronous is FULL now */
	char error[256];
};

/* What is about to be bought. Strings are borrowed for the call. */
struct x402__journal_ask {
	const char *id; /* NULL or "": the request is the name */
	const char *session;
	const char *correlation;
	const char *method;
	const char *url;  /* shown form */
	const char *host; /* with port */
	struct x402_span body;
	const struct x402_client_payment *terms;
	bool once;         /* what was delivered is not bought again */
	bool buy_again;    /* sign anew although one is open */
	bool present_only; /* nothing new */
	uint64_t now_unix_ms;
	uint64_t hold_ms;  /* how long the call may take at most */
	unsigned loop_max; /* identical purchases in a minute */
	const struct x402_budget *budgets;
	size_t budgets_len;
};

enum x402__journal_verdict {
	X402__JOURNAL_SIGN,    /* reserved: sign, and write it down */
	X402__JOURNAL_PRESENT, /* the same authorization as before */
	X402__JOURNAL_REFUSE   /* cause says why */
};

struct x402__journal_grant {
	enum x402__journal_verdict verdict;
	int64_t number;
	enum x402_client_cause cause;
	struct x402_errinfo info;
	struct x402_purchase purchase; /* PRESENT: owned, clear it */
	uint64_t at_ms;                /* what time it is for the budgets */
};

/* BEGIN IMMEDIATE. durable: the commit survives a power cut. STORE. */
X402_MUST_USE enum x402_err x402__journal_begin(
	struct x402_journal *journal, bool durable);
/* COMMIT, or ROLLBACK when err is set; returns err or STORE. */
X402_MUST_USE enum x402_err x402__journal_end(
	struct x402_journal *journal, enum x402_err err);

/*
 * Everything that stands before a signature, in the caller's transaction: an
 * open purchase, the loop detector, every budget. X402_OK also for a refusal.
 */
X402_MUST_USE enum x402_err x402__journal_reserve(struct x402_journal *journal,
	const struct x402__journal_ask *ask,
	struct x402__journal_grant *ret_grant);
/*
 * The authorization, before it leaves. CONFLICT when the reservation is not
 * ours any more: then it must never be sent.
 */
X402_MUST_USE enum x402_err x402__journal_sign(struct x402_journal *journal,
	int64_t number, const struct x402_client_payment *payment,
	uint64_t now_unix_ms);

struct x402__journal_end_of {
	const struct x402_client_payment *payment;
	long http_status;
	bool delivered;  /* the whole answer came */
	bool signed_now; /* by this call, and nobody has seen it before */
	uint64_t now_unix_ms;
};
/* What became of a call that had a grant; ends the hold. */
X402_MUST_USE enum x402_err x402__journal_finish(struct x402_journal *journal,
	int64_t number, const struct x402__journal_end_of *end);

/* How an open purchase was resolved from outside. */
enum x402__journal_proof {
	X402__JOURNAL_PROOF_NONE,
	X402__JOURNAL_PROOF_PAID,
	X402__JOURNAL_PROOF_DEAD
};
/* NOT_FOUND when it is not open any more, or held by a living process. */
X402_MUST_USE enum x402_err x402__journal_resolve(struct x402_journal *journal,
	int64_t number, enum x402__journal_proof proof, const char *transaction,
	uint64_t now_unix_ms);
/* Reservations whose holder is gone: nothing was signed. */
X402_MUST_USE enum x402_err x402__journal_release_dead(
	struct x402_journal *journal, uint64_t now_unix_ms);

/* ---- journal.c for journal_*.c ---- */

/* NULL when it cannot be prepared; the text is a constant. */
sqlite3_stmt *x402__journal_prepare(
	struct x402_journal *journal, const char *sql);
/* Bind by format: t text, i int64, b 32 bytes. */
sqlite3_stmt *x402__journal_bound(
	struct x402_journal *journal, const char *sql, const char *format, ...);
/* Step once. *ret_row false: finished. CONFLICT for a UNIQUE key, STORE. */
X402_MUST_USE enum x402_err x402__journal_row(
	struct x402_journal *journal, sqlite3_stmt *stmt, bool *ret_row);
/* Run to the end; expects no row. */
X402_MUST_USE enum x402_err x402__journal_run(
	struct x402_journal *journal, sqlite3_stmt *stmt);
void x402__journal_done(sqlite3_stmt *stmt);
/* "" for NULL. */
const char *x402__journal_text(sqlite3_stmt *stmt, int column);
/* Is the process of this hold still there? */
bool x402__holder_is_alive(
	const char *holder, uint64_t until_unix_ms, uint64_t now_unix_ms);
void x402__holder_name(char *ret_text, size_t size);

/* What x402__purchase_read() reads, in this order. */
#define X402__PURCHASE_COLUMNS                                              \
	"number, key, id, session, correlation, method, url, host, state,"  \
	" version, scheme, network, asset, amount, charged, usd, pay_to,"   \
	" payer, valid_before, header_name, header_text, said, reason, tx," \
	" receipt, status, presented, delivered, created, updated"
/* NOMEM. */
X402_MUST_USE enum x402_err x402__purchase_read(
	sqlite3_stmt *stmt, struct x402_purchase *ret_purchase);

/* ---- journal_clock.c ---- */

/*
 * What time it is for budgets: milliseconds that only grow, by which a minute
 * is a minute whatever the wall clock is set to. wall_unix_ms: what that says,
 * which counts at first and over a restart of the machine. STORE.
 */
X402_MUST_USE enum x402_err x402__journal_time(
	struct x402_journal *journal, uint64_t wall_unix_ms, uint64_t *ret_ms);
/* The same in a write transaction; notes it from time to time. */
X402_MUST_USE enum x402_err x402__journal_tick(
	struct x402_journal *journal, uint64_t wall_unix_ms, uint64_t *ret_ms);

/* ---- journal_budget.c ---- */

/* What counts where. */
struct x402__spend {
	const char *host;
	const char *payee;
	const char *network;
	const char *asset;
	const char *session;
	const char *correlation;
	int64_t usd_micros; /* -1: unknown */
	const char *amount;
	uint64_t at_ms; /* by x402__journal_tick() */
};
/* OK: nothing in the way. POLICY with info: which limit is. STORE. */
X402_MUST_USE enum x402_err x402__budget_check(struct x402_journal *journal,
	const struct x402__spend *spend, const struct x402_budget *budgets,
	size_t budgets_len, struct x402_errinfo *info);
/*
 * Add a purchase to every counter. They are written when the transaction ends,
 * once for all purchases in it; checks see them at once.
 */
X402_MUST_USE enum x402_err x402__budget_add(
	struct x402_journal *journal, const struct x402__spend *spend);
/* Write what was added; x402__journal_end() does. */
X402_MUST_USE enum x402_err x402__budget_flush(struct x402_journal *journal);
/*
 * Take one out again; with `charged`, put what was really taken in its place.
 */
X402_MUST_USE enum x402_err x402__budget_take_back(struct x402_journal *journal,
	const struct x402__spend *spend, const struct x402__spend *charged);

#endif
