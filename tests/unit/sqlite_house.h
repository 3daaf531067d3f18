/*
 * The facilitator's SQLite file for tests that need many: its schema is made
 * once in a process and copied, since making it costs more than most tests.
 * That a schema is made from nothing is test_store_sqlite's to show.
 */
#ifndef SQLITE_HOUSE_H
#define SQLITE_HOUSE_H

#include "cmocka_house.h"
#include "journals_house.h"
#include "scratch_house.h"

#include "store/sqlite_p.h"

#include <stdio.h>

static struct {
	uint8_t *bytes;
	size_t len;
} sqlite_house;

static void sqlite_house_forget(void)
{
	free(sqlite_house.bytes);
}

static inline void sqlite_house_read(const char *path)
{
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	sqlite_house.len = (size_t)ftell(file);
	rewind(file);
	sqlite_house.bytes = malloc(sqlite_house.len);
	assert_non_null(sqlite_house.bytes);
	assert_int_equal(fread(sqlite_house.bytes, 1, sqlite_house.len, file),
		sqlite_house.len);
	fclose(file);
	(void)atexit(sqlite_house_forget);
}

/* Run SQL on a file, past the store. */
static inline void sqlite_house_exec(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* An empty store at path; what was there is gone. */
static inline void sqlite_house_make(const char *path)
{
	struct fac_sqlite db;
	FILE *file;

	scratch_remove(path);
	if (!sqlite_house.bytes) {
		if (journals_version()) {
			char *sql = journals_read("sqlite", journals_version());

			sqlite_house_exec(path, sql);
			free(sql);
		}
		/* Closing it moves the log into the file. */
		assert_int_equal(
			fac_sqlite_open(
				&(struct fac_store_options){.path = path},
				&(struct x402_errinfo){{0}}, &db),
			X402_OK);
		fac_sqlite_close(&db);
		sqlite_house_read(path);
		return;
	}
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(sqlite_house.bytes, 1, sqlite_house.len, file),
		sqlite_house.len);
	assert_int_equal(fclose(file), 0);
}

#endif
