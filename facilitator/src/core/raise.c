/*
 * Higher fees on the same nonce, for what the chain does not take at its
 * price: the same call is signed again, journalled as one more attempt, and
 * sent. Whichever attempt lands, the same payments land.
 *
 *   fac_raise_tick -> raise -> on_journalled -> the tick sends the newest
 *
 * Nodes want a tenth more on both fees before they replace what they have;
 * we give an eighth, never more than the ceilings (R4). At the ceiling it
 * waits: it lands when the base fee falls, or expires, and both are proven.
 */
#include "core/engine_p.h"
#include "x402/transaction.h"

#include <stdlib.h>

/* Give a transaction this long before its price is doubted. */
#define UNDER_BASE_MS  2000
#define UNDERPRICED_MS 1000
#define NOTE_EVERY_MS  10000
#define RETRY_MIN_MS   100
#define RETRY_MAX_MS   2000

static bool is_lowest(const struct fac_tx *tx)
{
	for (const struct fac_tx *at = tx->line->txs; at; at = at->next)
		if (at->lane == tx->lane && !at->dead && !at->mined &&
			at->transaction.nonce < tx->transaction.nonce)
			return false;
	return true;
}

static bool is_stuck(const struct fac_tx *tx, uint64_t now)
{
	const struct fac_line *line = tx->line;
	const struct fac_attempt *newest = fac_tx_newest(tx);
	uint64_t age = now > newest->created_ms ? now - newest->created_ms : 0;

	if (tx->blocked && tx->status == FAC_SEND_UNDERPRICED)
		return age >= UNDERPRICED_MS;
	if (line->fees_at_ms &&
		x402_u256_cmp(&line->fees.base_fee_per_gas,
			&newest->max_fee_per_gas) > 0)
		return age >= UNDER_BASE_MS;
	return age >= line->config.stuck_ms && is_lowest(tx);
}

/* An eighth more, rounded up. False on overflow. */
static bool eighth_more(const struct x402_u256 *fee, struct x402_u256 *ret_more)
{
	struct x402_u256 eighth;
	struct x402_u256 one = x402_u256_from_u64(1);

	return x402_u256_div_u64(fee, 8, &eighth, NULL) &&
		x402_u256_add(fee, &eighth, ret_more) &&
		x402_u256_add(ret_more, &one, ret_more);
}

static void at_least(struct x402_u256 *fee, const struct x402_u256 *least)
{
	if (x402_u256_cmp(fee, least) < 0)
		*fee = *least;
}

/* False: no price that nodes would take is below our ceilings. */
static bool choose_higher(const struct fac_tx *tx, struct x402_u256 *ret_max,
	struct x402_u256 *ret_priority)
{
	const struct fac_engine_chain *config = &tx->line->config;
	const struct fac_attempt *newest = fac_tx_newest(tx);
	struct x402_u256 max_fee;
	struct x402_u256 priority;

	if (!eighth_more(&newest->max_fee_per_gas, &max_fee) ||
		!eighth_more(&newest->max_priority_fee_per_gas, &priority))
		return false;
	at_least(ret_max, &max_fee);
	at_least(ret_priority, &priority);
	at_least(ret_max, ret_priority);
	return x402_u256_cmp(ret_max, &config->max_fee_per_gas) <= 0 &&
		x402_u256_cmp(
			ret_priority, &config->max_priority_fee_per_gas) <= 0;
}

static void note_ceiling(struct fac_tx *tx)
{
	uint64_t now = fac_engine_now(tx->line->engine);

	if (tx->raise_noted_ms && now - tx->raise_noted_ms < NOTE_EVERY_MS)
		return;
	tx->raise_noted_ms = now;
	fac_engine_note(tx->line->engine, true,
		"%s: nonce %llu waits, and its fee is at the ceiling",
		tx->line->config.network.caip2,
		(unsigned long long)tx->transaction.nonce);
}

static void take_attempt(struct fac_tx *tx)
{
	struct fac_transaction *transaction = &tx->transaction;
	struct fac_engine *engine = tx->line->engine;

	transaction->attempts[transaction->attempts_len++] = tx->raising;
	tx->raising = (struct fac_attempt){0};
	fac_tx_commit(tx);
	for (size_t i = 0; i < transaction->keys_len; i++)
		if (tx->jobs[i])
			fac_hash_text(fac_tx_newest(tx)->hash32,
				tx->jobs[i]->payment.transaction);
	tx->next_send_ms = 0;
	tx->backoff_ms = 0;
	tx->status = FAC_SEND_ACCEPTED; /* of the new one nothing is known */
	engine->stats.fee_raises++;
	fac_engine_note(engine, false,
		"%s: nonce %llu signed again with a higher fee, attempt %zu",
		tx->line->config.network.caip2,
		(unsigned long long)transaction->nonce,
		transaction->attempts_len);
	fac_engine_wake(engine, 0);
}

static void drop_attempt(struct fac_tx *tx)
{
	tx->is_raising = false;
	x402_buf_clear(&tx->raising.raw);
	tx->raising = (struct fac_attempt){0};
}

static void on_journalled(void *arg, const struct fac_store_reply *reply)
{
	struct fac_tx *tx = arg;
	struct fac_lane *lane = tx->lane;

	if (!fac_tx_returned(tx))
		return;
	if (!reply->err) {
		fac_crash_point("after_raise");
		tx->is_raising = false;
		take_attempt(tx);
	} else if (reply->err == X402_ERR_CONFLICT) {
		drop_attempt(tx);
		/* Mined by the journal, or full: do not sign it all the time.
		 */
		tx->raise_retry_ms = fac_engine_now(tx->line->engine) +
			RETRY_MAX_MS;
		if (reply->fenced && lane)
			fac_recover_fenced(lane);
	} else {
		/* Perhaps durable: the same bytes again, no others. */
		tx->raise_retry_ms = fac_backoff(tx->line->engine,
			&tx->backoff_ms, RETRY_MIN_MS, RETRY_MAX_MS);
	}
}

static void journal(struct fac_tx *tx)
{
	struct fac_store_lease lease = fac_lane_lease(tx->lane);

	tx->raise_retry_ms = 0;
	fac_crash_point("before_raise");
	fac_tx_store(tx,
		fac_verb_journal_attempt(
			tx->transaction.id32, &tx->raising, &lease),
		on_journalled);
}

static void raise(struct fac_tx *tx)
{
	struct fac_engine *engine = tx->line->engine;
	const struct fac_attempt *newest = fac_tx_newest(tx);
	struct fac_attempt attempt = {.created_ms = fac_engine_now(engine)};
	struct x402_transaction plain;
	struct x402_address sender;
	uint8_t hash32[32];

	if (!fac_lane_fees(tx->line, &attempt.max_fee_per_gas,
		    &attempt.max_priority_fee_per_gas) ||
		!choose_higher(tx, &attempt.max_fee_per_gas,
			&attempt.max_priority_fee_per_gas)) {
		note_ceiling(tx);
		return;
	}
	/* Our own bytes: the call of it, to the letter. */
	if (x402_transaction_decode(
		    x402_buf_span(&newest->raw), &plain, &sender, hash32) ||
		memcmp(hash32, newest->hash32, 32) != 0 ||
		!x402_address_equal(&sender, &tx->lane->address))
		return;
	plain.max_fee_per_gas = attempt.max_fee_per_gas;
	plain.max_priority_fee_per_gas = attempt.max_priority_fee_per_gas;
	tx->gas_limit = plain.gas_limit;
	if (x402_transaction_sign(engine->secp, &plain, tx->lane->key,
		    &attempt.raw, attempt.hash32))
		return;
	tx->raising = attempt;
	tx->is_raising = true;
	journal(tx);
}

void fac_raise_tick(struct fac_line *line)
{
	uint64_t now = fac_engine_now(line->engine);

	if (fac_svm_is(line))
		return; /* the payer signed the price */
	for (struct fac_tx *tx = line->txs; tx;) {
		struct fac_tx *next = tx->next;

		if (tx->dead || tx->mined || tx->replaced || !tx->journalled ||
			!tx->sent || !tx->lane || !fac_lane_is_ours(tx->lane)) {
			tx = next;
			continue;
		}
		if (tx->is_raising) {
			if (tx->raise_retry_ms && now >= tx->raise_retry_ms)
				journal(tx);
		} else if (tx->transaction.attempts_len < FAC_ATTEMPTS_MAX &&
			now >= tx->raise_retry_ms && is_stuck(tx, now)) {
			raise(tx);
		}
		tx = next;
	}
}
