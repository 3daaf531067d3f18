/*
 * provider_journal.h: a memory of payments in an SQLite file, for a shop in one
 * process that must know after a crash what was paid and not delivered.
 *
 *   x402_provider_journal_open("/var/lib/shop/payments.sqlite", ...)
 *   options.memory = x402_provider_journal_memory(journal)
 *
 * Each payment is durable before it is asked to settle and again when it has
 * settled. One that was asked when the process died is settled first when its
 * buyer comes back; one that was settled is served. What buyers do not come
 * back for is in x402_provider_journal_each(), and x402_provider_journal_
 * compensate() gives it to a hook of yours, which pays it back or writes to
 * somebody. The rest is bookkeeping: totals and an export.
 *
 * Writing costs the thread that runs the gate one fsync before settling and
 * one after it, unless the caller waits for the disk elsewhere
 * (x402_provider_journal_defer). Not for several processes: the second one is
 * refused. provider_memory.h says what a shared memory must do.
 *
 * Thread rule: any thread; calls wait for each other. Close it after the
 * provider.
 */
#ifndef X402_PROVIDER_JOURNAL_H
#define X402_PROVIDER_JOURNAL_H

#include "x402/provider_memory.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_provider_journal; /* opaque */

/*
 * Open or create. For reading only it may be open elsewhere, and gives no
 * memory. STORE with info about what is wrong: another process has it, the
 * disk, a file of another kind or of a newer version; NOMEM. The file is for
 * its owner alone, since it has the secret that signs passes: one that others
 * may read is refused, but for reading only.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_open(
	const char *path, bool read_only, struct x402_errinfo *info,
	struct x402_provider_journal **ret_journal);
/* NULL allowed. */
X402_API void x402_provider_journal_close(
	struct x402_provider_journal *journal);
/* For x402_provider_options.memory; lives as long as the journal. NULL of one
 * that is for reading only. */
X402_API const struct x402_provider_memory *x402_provider_journal_memory(
	const struct x402_provider_journal *journal);

/* ---- For a loop that must not wait for the disk. ---- */

/*
 * From now on writing waits for nobody, and a crash of the machine (not of the
 * process) may take what was written last. Whoever runs the gate must therefore
 * call x402_provider_journal_sync between a gate function that wrote a payment
 * down (x402_provider_journal_asked has grown) and the ASK that it decided: a
 * payment that was sent to be settled and is not on the disk is lost with the
 * power. INVALID_ARGUMENT for reading only; STORE, NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_defer(
	struct x402_provider_journal *journal, struct x402_errinfo *info);
/*
 * Wait until all that was written before this call is on the disk; from any
 * thread, while others use the journal. STORE: it is not; do not settle.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_sync(
	struct x402_provider_journal *journal);
/* How many payments were written down before they were sent. */
X402_API uint64_t x402_provider_journal_asked(
	struct x402_provider_journal *journal);

enum x402_journal_state {
	/* Asked to settle; the answer is not known. */
	X402_JOURNAL_UNKNOWN = 1,
	X402_JOURNAL_OWED, /* settled, not delivered */
	X402_JOURNAL_DELIVERED,
	X402_JOURNAL_COMPENSATED /* settled, not delivered, made good */
};

/* One payment. Strings are borrowed for the call that gives it. */
struct x402_journal_entry {
	enum x402_journal_state state;
	uint64_t asked_unix_s;
	uint64_t settled_unix_s; /* 0: not, as far as is known */
	uint64_t expires_unix_s; /* nobody can settle it afterwards */
	const char *route;       /* its pattern */
	const char *url;
	const char *network;
	const char *asset;
	const char *amount; /* atomic units */
	const char *payer;
	const char *transaction; /* "" while there is none */
};

/*
 * Every payment of a state, in the order in which they were sent to be settled;
 * 0 for all. The callback must not call the journal. STORE, NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_each(
	struct x402_provider_journal *journal, enum x402_journal_state state,
	void (*on_entry)(void *user, const struct x402_journal_entry *entry),
	void *user);

/*
 * Offer each payment that is owed since before a time, and that no request
 * holds just now, to a hook, in that order. True from it says that the buyer
 * was made good by other means: the payment is COMPENSATED then and buys
 * nothing any more. The mark is durable before the hook is called for money: it
 * is called with confirm false first (true: go on), then marked, then called
 * with confirm true to do it. A process that dies in between leaves a mark and
 * no compensation, never two. The hook must not call the journal.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_compensate(
	struct x402_provider_journal *journal, uint64_t settled_before_unix_s,
	bool (*hook)(void *user, const struct x402_journal_entry *entry,
		bool confirm),
	void *user);

/* ---- Revenue: everything that was settled, delivered or not. ---- */

enum x402_journal_by {
	X402_JOURNAL_BY_ASSET,
	X402_JOURNAL_BY_ROUTE,
	X402_JOURNAL_BY_DAY, /* UTC, "2026-11-21" */
	X402_JOURNAL_BY_PAYER
};
struct x402_journal_total {
	const char *key; /* of what it is by; "" by asset */
	const char *network;
	const char *asset;
	uint64_t payments;
	char amount[X402_U256_DEC_SIZE]; /* atomic units */
};
/*
 * Sums of what was settled in [from, to), by key and asset: there is no adding
 * up of different assets. OVERFLOW when a sum exceeds 256 bits; STORE, NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_totals(
	struct x402_provider_journal *journal, enum x402_journal_by by,
	uint64_t from_unix_s, uint64_t to_unix_s,
	void (*on_total)(void *user, const struct x402_journal_total *total),
	void *user);

/* One line of JSON for an entry, without its line break; caller frees. */
X402_API X402_MUST_USE enum x402_err x402_journal_entry_json(
	const struct x402_journal_entry *entry, char **ret_line);

/* Delete what was delivered or compensated before a time: after it the totals
 * know nothing of it. So is what was asked to settle before it and never
 * answered: a buyer who comes back for that later is not known. What is owed
 * stays, and what somebody can still settle. Names of purchases and their
 * responses go when their time is over. */
X402_API X402_MUST_USE enum x402_err x402_provider_journal_prune(
	struct x402_provider_journal *journal, uint64_t before_unix_s,
	uint64_t now_unix_s);

#ifdef __cplusplus
}
#endif
#endif
