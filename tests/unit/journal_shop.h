/*
 * journal_shop.h: a shop with a journal in a file, for the tests of it.
 */
#ifndef JOURNAL_SHOP_H
#define JOURNAL_SHOP_H

#include <unistd.h>

#include "gate_house.h"
#include "scratch_house.h"
#include "x402/provider_journal.h"

struct shop {
	struct house house;
	struct x402_provider_journal *journal;
	char path[64];
};

static inline void open_at(struct shop *shop)
{
	struct x402_provider_options options = house_options();
	struct x402_errinfo info = {{0}, {0}};

	if (x402_provider_journal_open(
		    shop->path, false, &info, &shop->journal) != X402_OK)
		fail_msg("%s", info.text);
	options.memory = x402_provider_journal_memory(shop->journal);
	house_open_with(&shop->house, &options);
}

static inline void close_shop(struct shop *shop)
{
	house_close(&shop->house);
	x402_provider_journal_close(shop->journal);
}

static inline void open_shop(struct shop *shop)
{
	memset(shop, 0, sizeof(*shop));
	snprintf(shop->path, sizeof(shop->path), "%s/x402-journal-%d",
		scratch_root(), (int)getpid());
	scratch_remove(shop->path);
	open_at(shop);
}

/* How far a payment gets. */
enum reach { ASKED, SETTLED, DELIVERED };

static inline void go_for(struct shop *shop, const char *target,
	const char *payment, enum reach reach)
{
	struct house *house = &shop->house;

	assert_int_equal(house_send(house, target, payment), X402_GATE_ASK);
	house_answer(house, 200, HOUSE_VALID);
	assert_int_equal(house_handled(house, 200), X402_GATE_ASK);
	if (reach == ASKED)
		return;
	assert_int_equal(
		house_answer(house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	if (reach == DELIVERED)
		x402_gate_delivered(house->gate);
}

static inline void go(struct shop *shop, const char *payment, enum reach reach)
{
	go_for(shop, "/articles/a", payment, reach);
}

/* The process ends and starts again; the buyer goes on with his next nonce. */
static inline void reopen(struct shop *shop)
{
	uint8_t nonce = shop->house.nonce;

	close_shop(shop);
	open_at(shop);
	shop->house.nonce = nonce;
}

#endif
