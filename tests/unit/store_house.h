/*
 * A store for a test, on a scratch SQLite file or, where X402_TEST_POSTGRES
 * holds a URI, in a scratch schema of that database; and short ways to ask
 * it. What was heard is kept until the test ends.
 */
#ifndef STORE_HOUSE_H
#define STORE_HOUSE_H

#include "cmocka_house.h"
#include "sqlite_house.h"

#include "run/loop.h"
#include "store/verb.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <unistd.h>

#define NETWORK    "eip155:84532"
#define ME         "11111111111111111111111111111111"
#define OTHER      "22222222222222222222222222222222"
#define HEARDS_MAX 256
#define LONG_MS    60000

/* A copy of what a reply said. */
struct heard {
	struct fixture *fixture;
	struct fac_store_reply reply;
	struct fac_payment payments[8];
	struct fac_transaction transactions[4];
	struct fac_payment_event events[8];
	struct fac_outbox_row outbox[8];
	char urls[8][64];
	bool settled;
};

struct fixture {
	char path[256];
	char schema[32];
	struct fac_loop *loop;
	struct fac_store *store;
	struct fac_store *second; /* on the same database */
	struct heard *heards[HEARDS_MAX];
	size_t heards_len;
	unsigned waiting;
};

static inline const char *postgres_uri(void)
{
	return getenv("X402_TEST_POSTGRES");
}

/* SQL of a test's own, past the store. */
static inline void postgres_exec(const struct fixture *f, const char *sql)
{
	PGconn *conn = PQconnectdb(postgres_uri());
	char path[64];
	PGresult *result;

	snprintf(path, sizeof(path), "SET search_path = %s", f->schema);
	PQclear(PQexec(conn, path));
	result = PQexec(conn, sql);
	if (PQresultStatus(result) != PGRES_COMMAND_OK &&
		PQresultStatus(result) != PGRES_TUPLES_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(conn));
	PQclear(result);
	PQfinish(conn);
}

static inline void on_reply(void *user, const struct fac_store_reply *reply)
{
	struct heard *heard = user;

	heard->reply = *reply;
	for (size_t i = 0; i < reply->payments_len && i < 8; i++)
		fac_payment_copy(&reply->payments[i], &heard->payments[i]);
	for (size_t i = 0; i < reply->transactions_len && i < 4; i++)
		fac_transaction_copy(
			&reply->transactions[i], &heard->transactions[i]);
	for (size_t i = 0; i < reply->events_len && i < 8; i++)
		heard->events[i] = reply->events[i];
	for (size_t i = 0; i < reply->outbox_len && i < 8; i++)
		heard->outbox[i] = reply->outbox[i];
	for (size_t i = 0; i < reply->resources_len && i < 8; i++) {
		snprintf(heard->urls[i], sizeof(heard->urls[i]), "%s",
			reply->resources[i].url);
		heard->settled = reply->resources[i].settled;
	}
	heard->reply.payments = heard->payments;
	heard->reply.transactions = heard->transactions;
	heard->reply.events = heard->events;
	heard->reply.outbox = heard->outbox;
	if (--heard->fixture->waiting == 0)
		fac_loop_stop(heard->fixture->loop);
}

/* Queue a verb; taken. What comes back is in the answer after wait_all. */
static inline struct heard *submit(
	struct fixture *f, struct fac_store *store, struct fac_verb *verb)
{
	struct heard *heard = calloc(1, sizeof(*heard));

	assert_non_null(heard);
	assert_true(f->heards_len < HEARDS_MAX);
	f->heards[f->heards_len++] = heard;
	heard->fixture = f;
	f->waiting++;
	fac_store_submit(
		store, verb, (struct fac_store_to){f->loop, on_reply, heard});
	return heard;
}

static inline void wait_all(struct fixture *f)
{
	if (f->waiting)
		fac_loop_run(f->loop);
}

static inline const struct heard *ask_of(
	struct fixture *f, struct fac_store *store, struct fac_verb *verb)
{
	struct heard *heard = submit(f, store, verb);

	wait_all(f);
	return heard;
}

static inline const struct heard *ask(struct fixture *f, struct fac_verb *verb)
{
	return ask_of(f, f->store, verb);
}

static inline enum x402_err err_of(struct fixture *f, struct fac_verb *verb)
{
	return ask(f, verb)->reply.err;
}

static inline struct fac_store *open_store(struct fixture *f)
{
	static const char *const hooks[] = {"audit", "shop"};
	struct fac_store_options options = {f->path, hooks, 2};
	struct x402_errinfo info = {"", ""};
	struct fac_store *store = NULL;

	if (fac_store_open(&options, &info, &store))
		fail_msg("%s: %s", f->path, info.text);
	return store;
}

static inline int setup(void **state)
{
	static unsigned count;
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	count++;
	if (postgres_uri()) {
		char sql[80];

		snprintf(f->schema, sizeof(f->schema), "t%u", count);
		snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", f->schema);
		postgres_exec(f, sql);
		if (journals_version()) {
			char *old = journals_read(
				"postgres", journals_version());

			postgres_exec(f, old);
			free(old);
		}
		snprintf(f->path, sizeof(f->path),
			"%s?options=-csearch_path%%3D%s", postgres_uri(),
			f->schema);
	} else {
		snprintf(f->path, sizeof(f->path), "%s/x402-store-%d-%u.db",
			scratch_root(), (int)getpid(), count);
		sqlite_house_make(f->path);
	}
	assert_int_equal(fac_loop_new(&f->loop), X402_OK);
	f->store = open_store(f);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fac_store_close(f->second);
	fac_store_close(f->store);
	fac_loop_free(f->loop);
	for (size_t i = 0; i < f->heards_len; i++) {
		struct heard *heard = f->heards[i];

		for (size_t k = 0; k < 8; k++)
			fac_payment_clear(&heard->payments[k]);
		for (size_t k = 0; k < 4; k++)
			fac_transaction_clear(&heard->transactions[k]);
		free(heard);
	}
	if (!postgres_uri())
		scratch_remove(f->path);
	free(f);
	return 0;
}

/* ---- Records. ---- */

/* A payment whose marks all come of index; its pointers are borrowed. */
static inline struct fac_payment payment_of(uint8_t index)
{
	static uint8_t calldata[3] = {1, 0, 3};
	struct fac_payment payment = {.valid_before_unix_s = UINT64_MAX,
		.x402_version = 2,
		.gas_limit = 100000,
		.may_share = true,
		.cost_gwei = 100};

	memset(payment.key32, index, 32);
	memset(payment.fingerprint32, 0x80 ^ index, 32);
	memset(payment.payload_hash32, 0x40 ^ index, 32);
	snprintf(payment.id, sizeof(payment.id), "%032x", index);
	snprintf(payment.network, sizeof(payment.network), NETWORK);
	snprintf(payment.wire_network, sizeof(payment.wire_network),
		"base-sepolia");
	snprintf(payment.scheme, sizeof(payment.scheme), "exact");
	snprintf(payment.caller, sizeof(payment.caller), "10.0.0.1");
	snprintf(payment.owner, sizeof(payment.owner), ME);
	memset(payment.proof.from.bytes, index, 20);
	memset(payment.proof.asset.bytes, 0xee, 20);
	payment.proof.value = x402_u256_from_u64(1000);
	payment.calldata.ptr = calldata;
	payment.calldata.len = sizeof(calldata);
	return payment;
}

static inline const uint8_t *key_of(uint8_t index)
{
	static uint8_t keys[4][32];
	static unsigned at;

	at = (at + 1) % 4;
	memset(keys[at], index, 32);
	return keys[at];
}

static inline const struct heard *reserve(
	struct fixture *f, const struct fac_payment *payment)
{
	return ask(f, fac_verb_reserve(payment, NULL));
}

static inline void reserve_index(struct fixture *f, uint8_t index)
{
	struct fac_payment payment = payment_of(index);
	const struct heard *heard = reserve(f, &payment);

	assert_int_equal(heard->reply.err, X402_OK);
	assert_true(heard->reply.claimed);
}

static inline enum fac_payment_state state_of(struct fixture *f, uint8_t index)
{
	const struct heard *heard = ask(f,
		fac_verb_payment_get(
			(struct fac_payment_query){.key32 = key_of(index)}));

	assert_int_equal(heard->reply.err, X402_OK);
	return heard->payments[0].state;
}

static inline struct x402_address signer_address(void)
{
	struct x402_address signer;

	memset(signer.bytes, 0x55, 20);
	return signer;
}

static inline struct fac_verb *acquire(const char *owner, uint64_t ttl_ms)
{
	struct x402_address signer = signer_address();

	return fac_verb_lane_acquire(NETWORK, &signer, owner, ttl_ms);
}

static inline struct fac_store_lease lease_of(const char *owner, uint64_t token)
{
	return (struct fac_store_lease){
		NETWORK, signer_address(), owner, token};
}

static inline struct fac_attempt attempt_of(uint8_t hash)
{
	static uint8_t raw[3] = {0x02, 0x00, 0xff};
	struct fac_attempt attempt = {.raw = {.ptr = raw, .len = sizeof(raw)},
		.max_fee_per_gas = x402_u256_from_u64(30),
		.max_priority_fee_per_gas = x402_u256_from_u64(2)};

	memset(attempt.hash32, hash, 32);
	return attempt;
}

/* Journal transaction hash on nonce for the payments from first on. */
static inline struct fac_verb *journal(const struct fac_store_lease *lease,
	uint8_t hash, uint64_t nonce, uint8_t first, size_t len)
{
	uint8_t keys[8][32];
	struct fac_transaction transaction = {.nonce = nonce,
		.attempts_len = 1,
		.keys32 = keys,
		.keys_len = len};

	assert_true(len <= 8);
	for (size_t i = 0; i < len; i++)
		memset(keys[i], first + (int)i, 32);
	memset(transaction.id32, hash, 32);
	transaction.attempts[0] = attempt_of(hash);
	transaction.signer = signer_address();
	snprintf(transaction.network, sizeof(transaction.network), NETWORK);
	return fac_verb_journal_signed(&transaction, lease);
}

static inline struct fac_store_end end_of(
	uint8_t index, enum fac_payment_state state, uint8_t hash)
{
	struct fac_store_end end = {.state = state,
		.reason = state == FAC_PAYMENT_SETTLED
			? X402_REASON_NONE
			: X402_REASON_EVM_TRANSACTION_FAILED,
		.message = "why",
		.block_number = 12,
		.cost_gwei = FAC_COST_KEEP};

	memset(end.key32, index, 32);
	memset(end.of32, hash, 32);
	if (hash) {
		snprintf(end.transaction, sizeof(end.transaction), "0x");
		for (size_t i = 0; i < 32; i++)
			snprintf(end.transaction + 2 + 2 * i, 3, "%02x", hash);
	}
	return end;
}

/* What the holder of the first lease says of a transaction; block 0xb0. */
static inline struct fac_verb *mined(
	uint8_t id, uint8_t hash, const struct fac_store_end *ends, size_t len)
{
	struct fac_store_mined mined = {.block_number = 12};
	struct fac_store_lease lease = lease_of(ME, 1);

	memset(mined.id32, id, 32);
	memset(mined.hash32, hash, 32);
	memset(mined.block_hash32, 0xb0, 32);
	return fac_verb_mark_mined(
		&mined, (struct fac_store_ends){ends, len}, &lease);
}

static inline struct fac_verb *finish(const struct fac_store_end *end)
{
	return fac_verb_finish(end, ME);
}

static inline struct fac_verb *replaced(uint8_t id)
{
	struct fac_store_lease lease = lease_of(ME, 1);

	return fac_verb_mark_replaced(key_of(id), &lease);
}

static inline struct fac_verb * final(uint8_t id)
{
	struct fac_store_lease lease = lease_of(ME, 1);

	return fac_verb_mark_final(key_of(id), &lease);
}

static inline struct fac_verb *dropped(uint8_t id)
{
	struct fac_store_lease lease = lease_of(ME, 1);

	return fac_verb_mark_dropped(key_of(id), key_of(0xb0), &lease);
}

/* Take the lane and journal payments first.. on nonce 0 as hash. */
static inline struct fac_store_lease sign(
	struct fixture *f, uint8_t hash, uint8_t first, size_t len)
{
	struct fac_store_lease lease = lease_of(
		ME, ask(f, acquire(ME, LONG_MS))->reply.number);

	for (size_t i = 0; i < len; i++)
		reserve_index(f, (uint8_t)(first + i));
	assert_int_equal(
		err_of(f, journal(&lease, hash, 0, first, len)), X402_OK);
	return lease;
}

#endif
