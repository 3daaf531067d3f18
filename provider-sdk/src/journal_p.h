/*
 * journal_p.h: the journal as its two files share it:
 *   journal_sqlite.c  opening, and the verbs of a memory
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
	X402__JOURNAL_VERBS
};

struct x402_provider_journal {
	pthread_mutex_t lock;
	sqlite3 *db;
	int lock_fd; /* -1: for reading only */
	sqlite3_stmt *verbs[X402__JOURNAL_VERBS];
	uint8_t secret32[32];
	struct x402_provider_memory memory;
};

/* A statement's outcome; logs nothing. */
enum x402_err x402__journal_err(int rc);

#endif
