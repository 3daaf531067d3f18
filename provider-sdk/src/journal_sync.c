/*
 * journal_sync.c: durability that a loop need not wait for. With synchronous
 * NORMAL SQLite's write-ahead log is written by each commit and not waited for,
 * but before a checkpoint; what makes a commit durable is then one fdatasync of
 * the log, which any thread can do, for all commits before it at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "journal_p.h"

static enum x402_err fail(struct x402_errinfo *info, const char *path)
{
	x402_errinfo_set(info, "journal", "%s: %s", path, strerror(errno));
	return X402_ERR_STORE;
}

/* The log's name in its directory must last, too. */
static enum x402_err sync_directory(char *path, struct x402_errinfo *info)
{
	const char *name = dirname(path);
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool good = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return good ? X402_OK : fail(info, name);
}

static enum x402_err open_log(struct x402_provider_journal *journal, char *path,
	struct x402_errinfo *info)
{
	/* SQLite makes it with the first transaction. */
	if (sqlite3_exec(journal->db, "BEGIN IMMEDIATE; COMMIT", NULL, NULL,
		    NULL) != SQLITE_OK) {
		x402_errinfo_set(
			info, "journal", "%s", sqlite3_errmsg(journal->db));
		return X402_ERR_STORE;
	}
	journal->log_fd = open(path, O_RDONLY | O_CLOEXEC);
	return journal->log_fd >= 0 ? sync_directory(path, info)
				    : fail(info, path);
}

enum x402_err x402_provider_journal_defer(
	struct x402_provider_journal *journal, struct x402_errinfo *info)
{
	enum x402_err err;
	char *path = NULL;

	if (journal->lock_fd < 0)
		return X402_ERR_INVALID_ARGUMENT;
	if (asprintf(&path, "%s-wal",
		    sqlite3_db_filename(journal->db, "main")) < 0)
		return X402_ERR_NOMEM;
	pthread_mutex_lock(&journal->lock);
	err = open_log(journal, path, info);
	if (err == X402_OK &&
		sqlite3_exec(journal->db, "PRAGMA synchronous = NORMAL", NULL,
			NULL, NULL) != SQLITE_OK)
		err = X402_ERR_STORE;
	if (err != X402_OK && journal->log_fd >= 0) {
		close(journal->log_fd);
		journal->log_fd = -1;
	}
	pthread_mutex_unlock(&journal->lock);
	free(path);
	return err;
}

enum x402_err x402_provider_journal_sync(struct x402_provider_journal *journal)
{
	/* Without the lock: others commit meanwhile. */
	if (journal->log_fd < 0)
		return X402_OK;
	return fdatasync(journal->log_fd) == 0 ? X402_OK : X402_ERR_STORE;
}

uint64_t x402_provider_journal_asked(struct x402_provider_journal *journal)
{
	uint64_t asked;

	pthread_mutex_lock(&journal->lock);
	asked = journal->asked;
	pthread_mutex_unlock(&journal->lock);
	return asked;
}
