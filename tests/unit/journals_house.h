/*
 * The journals of older daemons, in tests/unit/journals: schema and rows as
 * those daemons wrote them.
 */
#ifndef JOURNALS_HOUSE_H
#define JOURNALS_HOUSE_H

#include "cmocka_house.h"

#include <errno.h>
#include <stdio.h>

/*
 * The version of the schema that the tests of a whole program begin with, for
 * the store to bring up to date; NULL: none.
 */
static inline const char *journals_version(void)
{
	return getenv("X402_TEST_JOURNAL_VERSION");
}

/* SQL of a journal, by "sqlite" or "postgres" and what of it; free() it. */
static inline char *journals_read(const char *store, const char *part)
{
	const char *directory = getenv("X402_JOURNALS_DIR");
	char name[512];
	FILE *file;
	char *sql;
	long len;

	assert_non_null(directory);
	snprintf(name, sizeof(name), "%s/%s_%s.sql", directory, store, part);
	file = fopen(name, "rb");
	if (!file)
		fail_msg("%s: %s", name, strerror(errno));
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	len = ftell(file);
	assert_true(len > 0);
	rewind(file);
	sql = calloc(1, (size_t)len + 1);
	assert_non_null(sql);
	assert_int_equal(fread(sql, 1, (size_t)len, file), (size_t)len);
	fclose(file);
	return sql;
}

#endif
