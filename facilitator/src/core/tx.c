/*
 * What a transaction holds while its fate is open: its place on its chain, its
 * nonce on its lane, and the jobs of the payments in it.
 *
 * Whoever asks a port counts in busy; a transaction that ends while it is asked
 * about is freed by the last to return (fac_tx_returned).
 */
#include "core/engine_p.h"
#include "x402/transaction.h"

#include <stdlib.h>
#include <string.h>

/* ---- Nonces. ---- */

uint64_t fac_lane_take_nonce(struct fac_lane *lane)
{
	size_t least = 0;
	uint64_t nonce;

	if (!lane->free_len)
		return lane->next_nonce++;
	for (size_t i = 1; i < lane->free_len; i++)
		if (lane->free_nonces[i] < lane->free_nonces[least])
			least = i;
	nonce = lane->free_nonces[least];
	lane->free_nonces[least] = lane->free_nonces[--lane->free_len];
	return nonce;
}

void fac_lane_give_nonce_back(struct fac_lane *lane, uint64_t nonce)
{
	bool again = true;

	if (fac_svm_is(lane->line))
		return; /* of that message alone */
	if (nonce + 1 != lane->next_nonce) {
		/* At most lane_limit nonces are out, so there is room. */
		if (lane->free_len < FAC_LANE_MAX)
			lane->free_nonces[lane->free_len++] = nonce;
		lane->free_since_ms = fac_engine_now(lane->line->engine);
		return;
	}
	lane->next_nonce--;
	/* Those right below are at the top now. */
	while (again) {
		again = false;
		for (size_t i = 0; i < lane->free_len; i++) {
			if (lane->free_nonces[i] + 1 != lane->next_nonce)
				continue;
			lane->free_nonces[i] =
				lane->free_nonces[--lane->free_len];
			lane->next_nonce--;
			again = true;
			break;
		}
	}
}

/* ---- Transactions in memory. ---- */

const struct fac_attempt *fac_tx_newest(const struct fac_tx *tx)
{
	return &tx->transaction.attempts[tx->transaction.attempts_len - 1];
}

struct fac_tx *fac_tx_new(struct fac_line *line, struct fac_lane *lane,
	struct fac_transaction *transaction)
{
	struct fac_tx *tx = fac_must_calloc(1, sizeof(*tx));

	tx->line = line;
	tx->lane = lane;
	tx->transaction = *transaction;
	memset(transaction, 0, sizeof(*transaction));
	tx->jobs = fac_must_calloc(
		tx->transaction.keys_len, sizeof(struct fac_job *));
	tx->slot = &line->txs;
	tx->next = line->txs;
	if (tx->next)
		tx->next->slot = &tx->next;
	line->txs = tx;
	if (lane)
		lane->in_flight++;
	line->payments_in_flight += tx->transaction.keys_len;
	return tx;
}

void fac_tx_add_job(struct fac_tx *tx, size_t index, struct fac_job *job)
{
	tx->jobs[index] = job;
	tx->jobs_live++;
	job->tx = tx;
	job->index = index;
	memcpy(job->of32, tx->transaction.id32, 32);
	job->late = false;
}

void fac_tx_drop_job(struct fac_job *job)
{
	struct fac_tx *tx = job->tx;

	if (!tx)
		return;
	tx->jobs[job->index] = NULL;
	tx->jobs_live--;
	job->tx = NULL;
}

void fac_tx_set_blocked(struct fac_tx *tx, bool blocked)
{
	if (tx->lane && blocked && !tx->blocked)
		tx->lane->blocked++;
	if (tx->lane && !blocked && tx->blocked)
		tx->lane->blocked--;
	tx->blocked = blocked;
}

/*
 * Nodes want the balance to cover all that waits: its gas at its highest
 * price, and what it gives away. On overflow nothing is known to be enough.
 */
static struct x402_u256 highest_cost(const struct fac_tx *tx)
{
	struct x402_u256 cost;

	if (x402_u256_mul_u64(&fac_tx_newest(tx)->max_fee_per_gas,
		    tx->gas_limit, &cost) &&
		x402_u256_add(&cost, &tx->value, &cost))
		return cost;
	return tx->value;
}

void fac_tx_commit(struct fac_tx *tx)
{
	struct fac_lane *lane = tx->lane;
	struct x402_u256 cost = {{0}};

	if (!lane)
		return;
	lane->gas_in_flight -= tx->gas_held;
	lane->line->crowded = false;
	tx->gas_held = tx->dead || tx->mined || tx->landed ? 0 : tx->gas_limit;
	lane->gas_in_flight += tx->gas_held;
	/* Sums of what was added before: they cannot fail. */
	(void)!x402_u256_sub(
		&lane->committed, &tx->committed, &lane->committed);
	if (!tx->dead && !tx->mined && !tx->overdue)
		cost = highest_cost(tx);
	if (!x402_u256_add(&lane->committed, &cost, &lane->committed))
		cost = (struct x402_u256){{0}};
	tx->committed = cost;
}

void fac_tx_commit_adopted(struct fac_tx *tx)
{
	struct x402_foreign_transaction bytes;

	if (fac_svm_is(tx->line)) {
		for (size_t i = 0; i < tx->transaction.keys_len; i++)
			if (tx->jobs[i])
				tx->gas_limit += tx->jobs[i]->payment.gas_limit;
	} else if (!x402_transaction_decode_foreign(
			   x402_buf_span(&fac_tx_newest(tx)->raw), &bytes)) {
		tx->gas_limit = bytes.plain.gas_limit;
		tx->value = bytes.plain.value;
	}
	fac_tx_commit(tx);
}

/* What it gave away is gone, whatever was heard of the balance before. */
static void spend(struct fac_tx *tx)
{
	struct fac_lane *lane = tx->lane;

	if (x402_u256_is_zero(&tx->value))
		return;
	if (!x402_u256_sub(&lane->balance, &tx->value, &lane->balance))
		lane->balance = (struct x402_u256){{0}};
	lane->balance_ms = 0;
}

void fac_tx_set_mined(struct fac_tx *tx, bool mined)
{
	if (tx->mined == mined)
		return;
	tx->mined = mined;
	if (mined)
		fac_tx_set_blocked(tx, false);
	if (tx->lane)
		tx->lane->in_flight += mined ? -1u : 1u;
	if (tx->lane && mined)
		spend(tx);
	if (mined)
		tx->line->payments_in_flight -= tx->transaction.keys_len;
	else
		tx->line->payments_in_flight += tx->transaction.keys_len;
	fac_tx_commit(tx);
}

static void free_tx(struct fac_tx *tx)
{
	*tx->slot = tx->next;
	if (tx->next)
		tx->next->slot = tx->slot;
	fac_transaction_clear(&tx->transaction);
	free(tx->jobs);
	free(tx);
}

void fac_tx_end(struct fac_tx *tx, bool give_back)
{
	if (tx->dead)
		return;
	fac_tx_set_blocked(tx, false);
	tx->dead = true;
	x402_buf_clear(&tx->raising.raw);
	fac_tx_commit(tx);
	if (!tx->mined) {
		tx->line->payments_in_flight -= tx->transaction.keys_len;
		if (tx->lane)
			tx->lane->in_flight--;
	}
	if (tx->lane && give_back)
		fac_lane_give_nonce_back(tx->lane, tx->transaction.nonce);
	for (size_t i = 0; i < tx->transaction.keys_len; i++)
		if (tx->jobs[i])
			fac_tx_drop_job(tx->jobs[i]);
	if (!tx->busy)
		free_tx(tx);
}

bool fac_tx_returned(struct fac_tx *tx)
{
	tx->busy--;
	tx->line->engine->owed--;
	if (tx->dead && !tx->busy) {
		free_tx(tx);
		return false;
	}
	return !tx->dead;
}
