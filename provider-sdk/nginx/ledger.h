/*
 * ledger.h: what became of each payment, and what was counted, in one file that
 * all workers of an nginx map into their memory. It is the gate's memory
 * (provider_memory.h): claims hold across workers, and what was asked to
 * settle, and what was paid and not delivered, is still known after a reload,
 * after a worker was killed, and after all of nginx was.
 *
 * What is written is in the kernel's page cache at once and survives every
 * process. A power cut can take the last seconds with it, unless
 * x402_ledger_sync() was waited for before the payment was sent to /settle.
 *
 * Not for: several machines, or network file systems (locks are fcntl's).
 * Thread rule: one thread of each process, but for sync; a process opens a
 * ledger once and closes no other descriptor of that file while it is open.
 */
#ifndef X402_NGINX_LEDGER_H
#define X402_NGINX_LEDGER_H

#include <sys/types.h>

#include "x402/provider.h"

struct x402_ledger; /* opaque: a file, mapped */

/* What is counted, for everybody who looks at the file. */
enum x402_ledger_count {
	X402_LEDGER_UNPAID,      /* 402 without a payment */
	X402_LEDGER_REFUSED,     /* a payment was refused */
	X402_LEDGER_FAULT,       /* the facilitator gave no usable answer */
	X402_LEDGER_VERIFIED,    /* the facilitator said yes to /verify */
	X402_LEDGER_SETTLED,     /* money has moved */
	X402_LEDGER_UNSETTLED,   /* settlement refused or not known */
	X402_LEDGER_CANCELLED,   /* the content failed; nothing was settled */
	X402_LEDGER_DELIVERED,   /* paid content has left */
	X402_LEDGER_UNDELIVERED, /* paid content has not left */
	X402_LEDGER_EXEMPT,      /* let through by x402_exempt */
	X402_LEDGER_SHADOW,      /* let through by x402_shadow */
	X402_LEDGER_PASS,        /* paid before, and came back with a pass */
	X402_LEDGER_QUOTA,       /* let through by x402_free_per_day */
	X402_LEDGER_HOLDER,      /* let through by x402_holder */
	X402_LEDGER_CRAWLER,     /* let through by x402_crawler */
	X402_LEDGER_PERSON,      /* let through by x402_crawlers_only */
	X402_LEDGER_COUNTS
};

enum x402_ledger_state {
	X402_LEDGER_STATE_EMPTY, /* never used: a search ends here */
	X402_LEDGER_STATE_GONE,  /* free again; a search goes on */
	X402_LEDGER_STATE_HELD,  /* claimed; nothing was asked to settle */
	X402_LEDGER_STATE_ASKED, /* sent to /settle; outcome not known */
	X402_LEDGER_STATE_PAID,  /* settled; content has not left */
	X402_LEDGER_STATE_SPENT  /* settled and delivered */
};

/* One payment, as x402_ledger_each shows it. */
struct x402_ledger_entry {
	enum x402_ledger_state state;
	bool busy; /* a living worker holds it */
	uint64_t changed_unix_s;
	const char *payer;
	const char *network;
	const char *asset;
	const char *amount;
	const char *url;
	const char *receipt; /* "" while there is none */
};

/* Payments of one ledger: 2 KiB of file each. */
#define X402_LEDGER_SLOTS_MIN     64
#define X402_LEDGER_SLOTS_MAX     4194304
#define X402_LEDGER_SLOTS_DEFAULT 16384

/*
 * Make the file, whole and with all its blocks, unless it is there; then check
 * it. owner: who may open it, (uid_t)-1 for whoever runs. INVALID_ARGUMENT with
 * info->text when it cannot be made, or is something else.
 */
X402_MUST_USE enum x402_err x402_ledger_create(
	const char *path, size_t slots, uid_t owner, struct x402_errinfo *info);
/* Map it. INVALID_ARGUMENT with a text, NOMEM. Close with x402_ledger_close. */
X402_MUST_USE enum x402_err x402_ledger_open(const char *path,
	struct x402_errinfo *info, struct x402_ledger **ret_ledger);
/* Wait until all that was written is on the disk; false when it cannot be. Any
 * thread, beside all other calls. */
X402_MUST_USE bool x402_ledger_sync(const struct x402_ledger *ledger);
/* NULL allowed. Claims of this process are then those of a dead one. */
void x402_ledger_close(struct x402_ledger *ledger);

/* The ledger as a provider's memory; must outlive the provider. */
struct x402_provider_memory x402_ledger_memory(struct x402_ledger *ledger);

void x402_ledger_add(struct x402_ledger *ledger, enum x402_ledger_count what);
uint64_t x402_ledger_count(
	const struct x402_ledger *ledger, enum x402_ledger_count what);
/* Every payment that is not EMPTY or GONE. */
void x402_ledger_each(struct x402_ledger *ledger,
	void (*each)(void *user, const struct x402_ledger_entry *entry),
	void *user);

#endif
