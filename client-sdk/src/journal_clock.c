/*
 * journal_clock.c: the time by which budgets count. The wall clock may be set:
 * forwards, and every window would be empty; backwards, and what was counted
 * ahead would stand in the way for as long. So it is not asked while the
 * machine runs: the journal remembers what time it was when its machine had
 * run for so long, and adds what has passed since by the clock that nobody
 * sets, which also counts a machine's sleep. Only over a restart of the
 * machine the wall clock says how long it was off, and what it says is taken
 * forwards alone.
 */
#include "journal_p.h"

/* How old the note may get: after a restart so much may count twice. */
#define NOTE_MS 60000

struct note {
	bool found;
	bool same_boot;
	uint64_t elapsed_ms; /* since that boot */
	uint64_t wall_unix_ms;
	uint64_t counted_ms;
};

static enum x402_err read_note(
	struct x402_journal *journal, struct note *ret_note)
{
	sqlite3_stmt *stmt = x402__journal_prepare(
		journal, "SELECT boot, elapsed, wall, counted FROM clock");
	struct note note = {.found = false};
	enum x402_err err = x402__journal_row(journal, stmt, &note.found);
	if (!err && note.found) {
		const char *boot = x402__journal_text(stmt, 0);
		note.same_boot = *boot && strcmp(boot, journal->boot) == 0;
		note.elapsed_ms = (uint64_t)sqlite3_column_int64(stmt, 1);
		note.wall_unix_ms = (uint64_t)sqlite3_column_int64(stmt, 2);
		note.counted_ms = (uint64_t)sqlite3_column_int64(stmt, 3);
		x402__journal_done(stmt);
	}
	if (!err)
		*ret_note = note;
	return err;
}

static uint64_t since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

static enum x402_err tell(struct x402_journal *journal, uint64_t wall_unix_ms,
	struct note *ret_note, uint64_t *ret_ms)
{
	enum x402_err err = read_note(journal, ret_note);
	if (err)
		return err;
	if (!ret_note->found)
		*ret_ms = wall_unix_ms;
	else if (ret_note->same_boot)
		*ret_ms = ret_note->counted_ms +
			since(ret_note->elapsed_ms, journal->elapsed_ms());
	else
		*ret_ms = ret_note->counted_ms +
			since(ret_note->wall_unix_ms, wall_unix_ms);
	return X402_OK;
}

enum x402_err x402__journal_time(
	struct x402_journal *journal, uint64_t wall_unix_ms, uint64_t *ret_ms)
{
	struct note note;
	return tell(journal, wall_unix_ms, &note, ret_ms);
}

enum x402_err x402__journal_tick(
	struct x402_journal *journal, uint64_t wall_unix_ms, uint64_t *ret_ms)
{
	struct note note;
	uint64_t now_ms = 0;
	enum x402_err err = tell(journal, wall_unix_ms, &note, &now_ms);
	if (err)
		return err;
	*ret_ms = now_ms;
	if (note.found && note.same_boot && now_ms - note.counted_ms < NOTE_MS)
		return X402_OK;
	return x402__journal_run(journal,
		x402__journal_bound(journal,
			"INSERT INTO clock (one, boot, elapsed, wall, counted)"
			" VALUES (1, ?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET"
			" boot = ?1, elapsed = ?2, wall = ?3, counted = ?4",
			"tiii", journal->boot, (int64_t)journal->elapsed_ms(),
			(int64_t)wall_unix_ms, (int64_t)now_ms));
}
