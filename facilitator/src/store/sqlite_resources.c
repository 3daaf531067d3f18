/*
 * The discovery catalogue (F-080 to F-084).
 * Offers and extension names live in side tables only so that filters and
 * their total come from one query.
 */
#include "store/sqlite_p.h"

#include <ctype.h>
#include <stdlib.h>

static enum x402_err find_resource(struct fac_sqlite *db,
	const struct fac_resource *resource, bool *ret_new, bool *ret_settled)
{
	sqlite3_stmt *stmt = fac_sqlite_prepare(
		db, "SELECT settled FROM resources WHERE key = ?1");
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_sqlite_bind_text(stmt, 1, resource->key);
	err = fac_sqlite_row(stmt, &row);
	if (err)
		return err;
	*ret_new = !row;
	*ret_settled = row && fac_sqlite_u64(stmt, 0) != 0;
	(void)sqlite3_reset(stmt); /* one row was wanted */
	return X402_OK;
}

static enum x402_err write_resource(struct fac_sqlite *db,
	const struct fac_resource *resource, uint64_t *ret_sequence)
{
	enum x402_err err;
	bool row;
	/* What was settled once stays proven. */
	sqlite3_stmt *stmt = fac_sqlite_prepare(db,
		"INSERT INTO resources (key, url, type, x402_version, accepts,"
		" extensions, metadata, settled, updated_ms)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
		" ON CONFLICT (key) DO UPDATE SET url = excluded.url,"
		" type = excluded.type, x402_version = excluded.x402_version,"
		" accepts = excluded.accepts, extensions = excluded.extensions,"
		" metadata = excluded.metadata,"
		" settled = max(settled, excluded.settled),"
		" updated_ms = excluded.updated_ms RETURNING sequence");
	if (!stmt)
		return X402_ERR_STORE;
	fac_sqlite_bind_text(stmt, 1, resource->key);
	fac_sqlite_bind_text(stmt, 2, resource->url);
	fac_sqlite_bind_text(stmt, 3, resource->type);
	fac_sqlite_bind_u64(stmt, 4, (uint64_t)resource->x402_version);
	fac_sqlite_bind_text(stmt, 5, resource->accepts_json);
	fac_sqlite_bind_text(stmt, 6, resource->extensions_json);
	fac_sqlite_bind_text(stmt, 7, resource->metadata_json);
	fac_sqlite_bind_u64(stmt, 8, resource->settled);
	fac_sqlite_bind_u64(stmt, 9, fac_sqlite_now_ms());
	err = fac_sqlite_row(stmt, &row);
	if (err || !row)
		return err ? err : X402_ERR_STORE;
	*ret_sequence = fac_sqlite_u64(stmt, 0);
	return fac_sqlite_exec(stmt);
}

/* EVM addresses are looked up without case; others are exact. */
static void fold_address(const char *text, char ret_text[X402_ASSET_SIZE])
{
	bool evm = strncmp(text, "0x", 2) == 0;
	size_t i = 0;

	for (; text[i] && i + 1 < X402_ASSET_SIZE; i++)
		ret_text[i] = evm ? (char)tolower((unsigned char)text[i])
				  : text[i];
	ret_text[i] = '\0';
}

static enum x402_err forget_details(struct fac_sqlite *db, uint64_t sequence)
{
	sqlite3_stmt *stmt = fac_sqlite_prepare(
		db, "DELETE FROM resource_offers WHERE resource = ?1");
	enum x402_err err;

	if (!stmt)
		return X402_ERR_STORE;
	fac_sqlite_bind_u64(stmt, 1, sequence);
	err = fac_sqlite_exec(stmt);
	if (err)
		return err;
	stmt = fac_sqlite_prepare(
		db, "DELETE FROM resource_extensions WHERE resource = ?1");
	if (!stmt)
		return X402_ERR_STORE;
	fac_sqlite_bind_u64(stmt, 1, sequence);
	return fac_sqlite_exec(stmt);
}

static enum x402_err write_details(struct fac_sqlite *db,
	const struct fac_resource *resource, uint64_t sequence)
{
	enum x402_err err = forget_details(db, sequence);

	for (size_t i = 0; i < resource->offers_len && !err; i++) {
		sqlite3_stmt *stmt = fac_sqlite_prepare(db,
			"INSERT INTO resource_offers"
			" (resource, scheme, network, pay_to)"
			" VALUES (?1, ?2, ?3, ?4)");
		char pay_to[X402_ASSET_SIZE];

		if (!stmt)
			return X402_ERR_STORE;
		fold_address(resource->offers[i].pay_to, pay_to);
		fac_sqlite_bind_u64(stmt, 1, sequence);
		fac_sqlite_bind_text(stmt, 2, resource->offers[i].scheme);
		fac_sqlite_bind_text(stmt, 3, resource->offers[i].network);
		fac_sqlite_bind_text(stmt, 4, pay_to);
		err = fac_sqlite_exec(stmt);
	}
	for (size_t i = 0; i < resource->extension_names_len && !err; i++) {
		sqlite3_stmt *stmt = fac_sqlite_prepare(db,
			"INSERT INTO resource_extensions (resource, name)"
			" VALUES (?1, ?2)");

		if (!stmt)
			return X402_ERR_STORE;
		fac_sqlite_bind_u64(stmt, 1, sequence);
		fac_sqlite_bind_text(stmt, 2, resource->extension_names[i]);
		err = fac_sqlite_exec(stmt);
	}
	return err;
}

/* Their offers and extensions go with them. */
static enum x402_err forget_unproven(struct fac_sqlite *db)
{
	return fac_sqlite_exec(fac_sqlite_bound(db,
		"DELETE FROM resources WHERE sequence IN"
		" (SELECT sequence FROM resources WHERE settled = 0"
		"  ORDER BY updated_ms DESC, sequence DESC LIMIT ?2 OFFSET ?1)",
		"ii", (uint64_t)FAC_RESOURCES_UNPROVEN_MAX,
		(uint64_t)FAC_RESOURCES_FORGET_MAX));
}

enum x402_err fac_sqlite_resource_put(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	uint64_t sequence = 0;
	bool is_new = false;
	bool settled = false;
	enum x402_err err = find_resource(
		db, verb->resource, &is_new, &settled);

	/*
	 * What a payment proved, a stranger's claim does not change: it would
	 * send the buyers of a proven listing to another payee.
	 */
	if (!err && settled && !verb->resource->settled)
		return X402_OK;
	if (!err)
		err = write_resource(db, verb->resource, &sequence);
	if (!err)
		err = write_details(db, verb->resource, sequence);
	if (!err && is_new && !verb->resource->settled)
		err = forget_unproven(db);
	verb->reply.claimed = !err && is_new;
	return err;
}

/* ?1 type, ?2 payTo, ?3 scheme, ?4 network, ?5 extension; NULL: any. */
#define FILTER                                                               \
	" FROM resources AS r WHERE (?1 IS NULL OR r.type = ?1)"             \
	" AND ((?2 IS NULL AND ?3 IS NULL AND ?4 IS NULL) OR EXISTS ("       \
	"  SELECT 1 FROM resource_offers AS o WHERE o.resource = r.sequence" \
	"  AND (?2 IS NULL OR o.pay_to = ?2)"                                \
	"  AND (?3 IS NULL OR o.scheme = ?3)"                                \
	"  AND (?4 IS NULL OR o.network = ?4)))"                             \
	" AND (?5 IS NULL OR EXISTS ("                                       \
	"  SELECT 1 FROM resource_extensions AS e"                           \
	"  WHERE e.resource = r.sequence AND e.name = ?5))"

static void bind_filter(sqlite3_stmt *stmt, const struct fac_verb *verb)
{
	char pay_to[X402_ASSET_SIZE];

	fac_sqlite_bind_text(stmt, 1, verb->texts[0]);
	if (verb->texts[1]) {
		fold_address(verb->texts[1], pay_to);
		fac_sqlite_bind_text(stmt, 2, pay_to);
	}
	fac_sqlite_bind_text(stmt, 3, verb->texts[2]);
	fac_sqlite_bind_text(stmt, 4, verb->texts[3]);
	fac_sqlite_bind_text(stmt, 5, verb->texts[4]);
}

static void add_resource(sqlite3_stmt *stmt, struct fac_verb *verb)
{
	struct fac_resource *row = fac_verb_add_resource(verb);

	row->key = fac_sqlite_dup(stmt, 0);
	row->url = fac_sqlite_dup(stmt, 1);
	row->type = fac_sqlite_dup(stmt, 2);
	row->x402_version = (int)fac_sqlite_u64(stmt, 3);
	row->accepts_json = fac_sqlite_dup(stmt, 4);
	row->extensions_json = fac_sqlite_dup(stmt, 5);
	row->metadata_json = fac_sqlite_dup(stmt, 6);
	row->settled = fac_sqlite_u64(stmt, 7) != 0;
	row->updated_ms = fac_sqlite_u64(stmt, 8);
}

enum x402_err fac_sqlite_resource_list(
	struct fac_sqlite *db, struct fac_verb *verb)
{
	sqlite3_stmt *stmt = fac_sqlite_prepare(db, "SELECT count(*)" FILTER);
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	bind_filter(stmt, verb);
	err = fac_sqlite_row(stmt, &row);
	if (err || !row)
		return err ? err : X402_ERR_STORE;
	verb->reply.total = fac_sqlite_u64(stmt, 0);
	(void)sqlite3_reset(stmt); /* one row was wanted */
	stmt = fac_sqlite_prepare(db,
		"SELECT r.key, r.url, r.type, r.x402_version, r.accepts,"
		" r.extensions, r.metadata, r.settled, r.updated_ms" FILTER
		" ORDER BY r.updated_ms DESC, r.sequence DESC"
		" LIMIT ?6 OFFSET ?7");
	if (!stmt)
		return X402_ERR_STORE;
	bind_filter(stmt, verb);
	fac_sqlite_bind_u64(stmt, 6, verb->limit);
	fac_sqlite_bind_u64(stmt, 7, verb->offset);
	while (!(err = fac_sqlite_row(stmt, &row)) && row)
		add_resource(stmt, verb);
	return err;
}
