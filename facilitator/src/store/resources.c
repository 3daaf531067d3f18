/*
 * The discovery catalogue (F-080 to F-084), and the health check's write.
 * Offers and extension names live in side tables only so that filters and
 * their total come from one query.
 */
#include "store/db_p.h"

#include <ctype.h>
#include <stdlib.h>

static enum x402_err find_resource(struct fac_db *db,
	const struct fac_resource *resource, bool *ret_new, bool *ret_settled)
{
	sqlite3_stmt *stmt = fac_db_prepare(
		db, "SELECT settled FROM resources WHERE key = ?1");
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_text(stmt, 1, resource->key);
	err = fac_db_row(db, stmt, &row);
	if (err)
		return err;
	*ret_new = !row;
	*ret_settled = row && fac_db_u64(stmt, 0) != 0;
	(void)sqlite3_reset(stmt); /* one row was wanted */
	return X402_OK;
}

static enum x402_err write_resource(struct fac_db *db,
	const struct fac_resource *resource, uint64_t *ret_sequence)
{
	enum x402_err err;
	bool row;
	/* What was settled once stays proven. */
	sqlite3_stmt *stmt = fac_db_prepare(db,
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
	fac_db_bind_text(stmt, 1, resource->key);
	fac_db_bind_text(stmt, 2, resource->url);
	fac_db_bind_text(stmt, 3, resource->type);
	fac_db_bind_u64(stmt, 4, (uint64_t)resource->x402_version);
	fac_db_bind_text(stmt, 5, resource->accepts_json);
	fac_db_bind_text(stmt, 6, resource->extensions_json);
	fac_db_bind_text(stmt, 7, resource->metadata_json);
	fac_db_bind_u64(stmt, 8, resource->settled);
	fac_db_bind_u64(stmt, 9, fac_db_now_ms());
	err = fac_db_row(db, stmt, &row);
	if (err || !row)
		return err ? err : X402_ERR_STORE;
	*ret_sequence = fac_db_u64(stmt, 0);
	return fac_db_run(db, stmt);
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

static enum x402_err forget_details(struct fac_db *db, uint64_t sequence)
{
	sqlite3_stmt *stmt = fac_db_prepare(
		db, "DELETE FROM resource_offers WHERE resource = ?1");
	enum x402_err err;

	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_u64(stmt, 1, sequence);
	err = fac_db_run(db, stmt);
	if (err)
		return err;
	stmt = fac_db_prepare(
		db, "DELETE FROM resource_extensions WHERE resource = ?1");
	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_u64(stmt, 1, sequence);
	return fac_db_run(db, stmt);
}

static enum x402_err write_details(struct fac_db *db,
	const struct fac_resource *resource, uint64_t sequence)
{
	enum x402_err err = forget_details(db, sequence);

	for (size_t i = 0; i < resource->offers_len && !err; i++) {
		sqlite3_stmt *stmt = fac_db_prepare(db,
			"INSERT INTO resource_offers"
			" (resource, scheme, network, pay_to)"
			" VALUES (?1, ?2, ?3, ?4)");
		char pay_to[X402_ASSET_SIZE];

		if (!stmt)
			return X402_ERR_STORE;
		fold_address(resource->offers[i].pay_to, pay_to);
		fac_db_bind_u64(stmt, 1, sequence);
		fac_db_bind_text(stmt, 2, resource->offers[i].scheme);
		fac_db_bind_text(stmt, 3, resource->offers[i].network);
		fac_db_bind_text(stmt, 4, pay_to);
		err = fac_db_run(db, stmt);
	}
	for (size_t i = 0; i < resource->extension_names_len && !err; i++) {
		sqlite3_stmt *stmt = fac_db_prepare(db,
			"INSERT INTO resource_extensions (resource, name)"
			" VALUES (?1, ?2)");

		if (!stmt)
			return X402_ERR_STORE;
		fac_db_bind_u64(stmt, 1, sequence);
		fac_db_bind_text(stmt, 2, resource->extension_names[i]);
		err = fac_db_run(db, stmt);
	}
	return err;
}

enum x402_err fac_db_resource_put(struct fac_db *db, struct fac_store_job *job)
{
	uint64_t sequence = 0;
	bool is_new = false;
	bool settled = false;
	enum x402_err err = find_resource(db, job->resource, &is_new, &settled);

	/*
	 * What a payment proved, a stranger's claim does not change: it would
	 * send the buyers of a proven listing to another payee.
	 */
	if (!err && settled && !job->resource->settled)
		return X402_OK;
	if (!err)
		err = write_resource(db, job->resource, &sequence);
	if (!err)
		err = write_details(db, job->resource, sequence);
	job->reply.claimed = !err && is_new;
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

static void bind_filter(sqlite3_stmt *stmt, const struct fac_store_job *job)
{
	char pay_to[X402_ASSET_SIZE];

	fac_db_bind_text(stmt, 1, job->texts[0]);
	if (job->texts[1]) {
		fold_address(job->texts[1], pay_to);
		fac_db_bind_text(stmt, 2, pay_to);
	}
	fac_db_bind_text(stmt, 3, job->texts[2]);
	fac_db_bind_text(stmt, 4, job->texts[3]);
	fac_db_bind_text(stmt, 5, job->texts[4]);
}

static void add_resource(sqlite3_stmt *stmt, struct fac_store_job *job)
{
	size_t len = job->reply.resources_len;
	struct fac_resource *grown = realloc(
		job->resources, (len + 1) * sizeof(*grown));

	if (!grown)
		abort();
	job->resources = grown;
	memset(&grown[len], 0, sizeof(grown[len]));
	grown[len].key = fac_db_dup(stmt, 0);
	grown[len].url = fac_db_dup(stmt, 1);
	grown[len].type = fac_db_dup(stmt, 2);
	grown[len].x402_version = (int)fac_db_u64(stmt, 3);
	grown[len].accepts_json = fac_db_dup(stmt, 4);
	grown[len].extensions_json = fac_db_dup(stmt, 5);
	grown[len].metadata_json = fac_db_dup(stmt, 6);
	grown[len].settled = fac_db_u64(stmt, 7) != 0;
	grown[len].updated_ms = fac_db_u64(stmt, 8);
	job->reply.resources_len = len + 1;
}

enum x402_err fac_db_resource_list(struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(db, "SELECT count(*)" FILTER);
	enum x402_err err;
	bool row;

	if (!stmt)
		return X402_ERR_STORE;
	bind_filter(stmt, job);
	err = fac_db_row(db, stmt, &row);
	if (err || !row)
		return err ? err : X402_ERR_STORE;
	job->reply.total = fac_db_u64(stmt, 0);
	(void)sqlite3_reset(stmt); /* one row was wanted */
	stmt = fac_db_prepare(db,
		"SELECT r.key, r.url, r.type, r.x402_version, r.accepts,"
		" r.extensions, r.metadata, r.settled, r.updated_ms" FILTER
		" ORDER BY r.updated_ms DESC, r.sequence DESC"
		" LIMIT ?6 OFFSET ?7");
	if (!stmt)
		return X402_ERR_STORE;
	bind_filter(stmt, job);
	fac_db_bind_u64(stmt, 6, job->limit);
	fac_db_bind_u64(stmt, 7, job->offset);
	while (!(err = fac_db_row(db, stmt, &row)) && row)
		add_resource(stmt, job);
	return err;
}

enum x402_err fac_db_health(struct fac_db *db, struct fac_store_job *job)
{
	sqlite3_stmt *stmt = fac_db_prepare(
		db, "UPDATE heartbeat SET at_ms = ?1 WHERE one = 1");

	(void)job;
	if (!stmt)
		return X402_ERR_STORE;
	fac_db_bind_u64(stmt, 1, fac_db_now_ms());
	return fac_db_run(db, stmt);
}
