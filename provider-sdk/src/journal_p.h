/*
 * journal_p.h: the journal as its files share it:
 *   journal_sqlite.c  opening, and the verbs about payments
 *   journal_names.c   the verbs about names (E-PI)
 *   journal_report.c  what people ask of it
 * Private to the provider SDK.
 */
#ifndef X402_PROVIDER_JOURNAL_P_H
#define X402_PROVIDER_JOURNAL_P_H

#include <pthread.h>
#include <sqlite3.h>

#include "x402/provider.h"
#include "x402/provider_journal.h"

enum x402__journal_verb {
	X402__JOURNAL_HOLDS,  /* does somebody hold it? */
	X402__JOURNAL_HOLD,   /* hold it */
	X402__JOURNAL_LOOK,   /* what is known of it */
	X402__JOURNAL_ASKING, /* write it down */
	X402__JOURNAL_SETTLED,
	X402__JOURNAL_SPENT,
	X402__JOURNAL_FORGET,
	X402__JOURNAL_LET_GO,
	X402__JOURNAL_RECALL,
	X402__JOURNAL_HAS_PAID, /* not about one payment */
	X402__JOURNAL_NAME_TAKE,
	X402__JOURNAL_NAME_FIND,
	X402__JOURNAL_NAME_KEEP,
	X402__JOURNAL_NAME_DROP,
	X402__JOURNAL_VERBS
};

struct x402_provider_journal {
	pthread_mutex_t lock;
	sqlite3 *db;
	int lock_fd; /* -1: for reading only */
	int log_fd;  /* of the write-ahead log; -1: commits wait for the disk */
	uint64_t asked; /* payments written down before they were sent */
	int64_t number; /* the last row's; rows are numbered as they come */
	bool numbered;  /* false: for reading only, and too old for that */
	sqlite3_stmt *verbs[X402__JOURNAL_VERBS];
	uint8_t secret32[32];
	struct x402_provider_memory memory;
};

/* To its end; the row's lock goes with it. With the journal's lock held. */
bool x402__journal_done(sqlite3_stmt *stmt);
/*
 * The same, without waiting for the disk: what is lost in a power cut then is
 * not lost for anybody. A write that is waited for takes it along.
 */
bool x402__journal_done_soon(
	struct x402_provider_journal *journal, sqlite3_stmt *stmt);
/* The verbs of journal_names.c. */
void x402__journal_add_names(struct x402_provider_memory *memory);

/* A statement's outcome; logs nothing. */
enum x402_err x402__journal_err(int rc);

#endif
