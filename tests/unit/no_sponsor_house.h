/*
 * What api/sponsor.c asks of a chain, for tests of endpoints in which nothing
 * waits for an approval: none of it may be called.
 */
#ifndef NO_SPONSOR_HOUSE_H
#define NO_SPONSOR_HOUSE_H

#include "cmocka_house.h"

#include "chain/chain.h"
#include "run/loop.h"

void fac_chain_fees(struct fac_chain *chain, uint32_t timeout_ms,
	void (*done)(void *, enum x402_err, const struct fac_chain_fees *),
	void *user)
{
	(void)chain;
	(void)timeout_ms;
	(void)done;
	(void)user;
	fail_msg("fees were asked for");
}

void fac_chain_balance(struct fac_chain *chain,
	const struct x402_address *address, uint32_t timeout_ms,
	void (*done)(void *, enum x402_err, const struct x402_u256 *),
	void *user)
{
	(void)chain;
	(void)address;
	(void)timeout_ms;
	(void)done;
	(void)user;
	fail_msg("a balance was asked for");
}

void fac_chain_nonce(struct fac_chain *chain,
	const struct fac_nonce_query *query, uint32_t timeout_ms,
	void (*done)(void *, enum x402_err, uint64_t), void *user)
{
	(void)chain;
	(void)query;
	(void)timeout_ms;
	(void)done;
	(void)user;
	fail_msg("a nonce was asked for");
}

void fac_chain_receipts(struct fac_chain *chain, const uint8_t (*hashes32)[32],
	size_t hashes_len, uint32_t timeout_ms,
	void (*done)(void *, const struct fac_chain_receipt *, size_t),
	void *user)
{
	(void)chain;
	(void)hashes32;
	(void)hashes_len;
	(void)timeout_ms;
	(void)done;
	(void)user;
	fail_msg("a receipt was asked for");
}

void fac_chain_send_raw(struct fac_chain *chain, struct x402_span raw,
	const uint8_t hash32[32], uint32_t timeout_ms,
	void (*done)(void *, const struct fac_send_outcome *), void *user)
{
	(void)chain;
	(void)raw;
	(void)hash32;
	(void)timeout_ms;
	(void)done;
	(void)user;
	fail_msg("something was sent");
}

enum x402_err fac_timer_new(struct fac_loop *loop, void (*fn)(void *arg),
	void *arg, struct fac_timer **ret_timer)
{
	(void)loop;
	(void)fn;
	(void)arg;
	(void)ret_timer;
	return X402_ERR_NOMEM;
}

void fac_timer_start(
	struct fac_timer *timer, uint64_t delay_ms, uint64_t repeat_ms)
{
	(void)timer;
	(void)delay_ms;
	(void)repeat_ms;
}

void fac_timer_stop(struct fac_timer *timer)
{
	(void)timer;
}

void fac_timer_free(struct fac_timer *timer)
{
	assert_null(timer);
}

#endif
