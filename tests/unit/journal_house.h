/*
 * What the journal's tests share: a file of its own for each test, an ask with
 * sensible terms, and verbs that run in a transaction of their own.
 */
#ifndef JOURNAL_HOUSE_H
#define JOURNAL_HOUSE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_house.h"
#include "journal_p.h"
#include "scratch_house.h"

#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define OTHER "0x5FbDB2315678afecb367f032d93F642f64180aa3"
#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define PAYER "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define TX    "0xabababababababababababababababababababababababababababababababab"
#define NOW   UINT64_C(1795239000000)

struct house {
	char directory[64];
	char path[96];
	struct x402_journal *journal;
	struct x402_client_payment terms;
	struct x402__journal_ask ask;
};

/* How long the machine has run, where a test plays it. */
static uint64_t house_elapsed_ms;

static inline uint64_t house_elapsed(void)
{
	return house_elapsed_ms;
}

static inline void play_clock(struct x402_journal *journal, const char *boot)
{
	journal->elapsed_ms = house_elapsed;
	snprintf(journal->boot, sizeof(journal->boot), "%s", boot);
}

static inline struct x402_journal *open_at(const char *path)
{
	struct x402_journal_options options = {.path = path};
	struct x402_journal *journal = NULL;
	struct x402_errinfo info = {{0}};

	assert_int_equal(x402_journal_open(&options, &info, &journal), X402_OK);
	return journal;
}

static inline int set_up(void **state)
{
	struct house *house = calloc(1, sizeof(*house));

	assert_non_null(house);
	snprintf(house->directory, sizeof(house->directory),
		"%s/x402-journal-XXXXXX", scratch_root());
	assert_non_null(mkdtemp(house->directory));
	snprintf(house->path, sizeof(house->path), "%s/a/journal.sqlite",
		house->directory);
	house->journal = open_at(house->path);
	house->terms = (struct x402_client_payment){.x402_version = 2,
		.scheme = "exact",
		.network = "eip155:84532",
		.asset = USDC,
		.amount = "1000",
		.pay_to = PAYEE,
		.payer = PAYER,
		.header_name = "PAYMENT-SIGNATURE",
		.header_text = (char *)"c2lnbmVk",
		.valid_before_unix_s = NOW / 1000 + 300};
	house->ask = (struct x402__journal_ask){.method = "GET",
		.url = "https://shop.example/a",
		.host = "shop.example",
		.terms = &house->terms,
		.now_unix_ms = NOW,
		.hold_ms = 60000,
		.loop_max = 10};
	*state = house;
	return 0;
}

static inline int tear_down(void **state)
{
	struct house *house = *state;
	char path[128];

	x402_journal_close(house->journal);
	scratch_remove(house->path);
	snprintf(path, sizeof(path), "%s/a", house->directory);
	(void)rmdir(path);
	(void)rmdir(house->directory);
	free(house);
	return 0;
}

static inline struct x402__journal_grant reserve_in(
	struct x402_journal *journal, const struct x402__journal_ask *ask)
{
	struct x402__journal_grant grant = {0};
	enum x402_err err;

	assert_int_equal(x402__journal_begin(journal, false), X402_OK);
	err = x402__journal_reserve(journal, ask, &grant);
	assert_int_equal(x402__journal_end(journal, err), X402_OK);
	return grant;
}

static inline struct x402__journal_grant reserve(struct house *house)
{
	return reserve_in(house->journal, &house->ask);
}

static inline enum x402_err sign_in(struct x402_journal *journal,
	int64_t number, const struct x402_client_payment *payment)
{
	enum x402_err err;

	assert_int_equal(x402__journal_begin(journal, true), X402_OK);
	err = x402__journal_sign(journal, number, payment, NOW);
	return x402__journal_end(journal, err);
}

/* A purchase that is signed: its number. */
static inline int64_t buy(struct house *house)
{
	struct x402__journal_grant grant = reserve(house);

	assert_int_equal(grant.cause, X402_CLIENT_CAUSE_NONE);
	assert_int_equal(grant.verdict, X402__JOURNAL_SIGN);
	assert_int_equal(
		sign_in(house->journal, grant.number, &house->terms), X402_OK);
	return grant.number;
}

static inline enum x402_err finish_as(struct house *house, int64_t number,
	enum x402_client_outcome outcome, long status, bool delivered)
{
	struct x402_client_payment payment = house->terms;
	struct x402__journal_end_of end = {.payment = &payment,
		.http_status = status,
		.delivered = delivered,
		.signed_now = true,
		.now_unix_ms = NOW + 1000};
	enum x402_err err;

	payment.outcome = outcome;
	payment.attempted = outcome != X402_CLIENT_OUTCOME_NONE;
	payment.presented = payment.attempted ? 1 : 0;
	if (outcome == X402_CLIENT_OUTCOME_PAID) {
		snprintf(payment.transaction, sizeof(payment.transaction), "%s",
			TX);
		if (!payment.charged[0])
			memcpy(payment.charged, payment.amount,
				sizeof(payment.charged));
	}
	assert_int_equal(x402__journal_begin(house->journal, false), X402_OK);
	err = x402__journal_finish(house->journal, number, &end);
	return x402__journal_end(house->journal, err);
}

static inline enum x402_purchase_state state_of(
	struct house *house, int64_t number)
{
	struct x402_purchase purchase;
	enum x402_purchase_state state;

	assert_int_equal(
		x402_journal_get(house->journal, number, &purchase), X402_OK);
	state = purchase.state;
	x402_purchase_clear(&purchase);
	return state;
}

static inline uint64_t spent(struct house *house)
{
	struct x402_budget budget = {
		.window = X402_BUDGET_TOTAL, .max_usd_micros = 1};
	struct x402_budget_use use;

	assert_int_equal(
		x402_journal_budget_used(house->journal, &budget, NULL, &use),
		X402_OK);
	return use.used_usd_micros;
}

#endif
