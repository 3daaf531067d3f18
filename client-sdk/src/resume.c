/*
 * resume.c: x402_client_resume().
 *
 *   1. release_dead   reservations whose process is gone: nothing was signed
 *   2. collect        the numbers of what is open
 *   3. resolve_one    the caller's proof, the facilitator, the chain; what
 *                     they say is written in a transaction of its own
 *   4. represent      what is still open and may be shown again
 *
 * Each purchase is read anew before it is acted upon: other processes work
 * on the same journal, and what they hold is left to them.
 */
#include "client_p.h"
#include "journal_p.h"
#include "operate_p.h"
#include "prove_p.h"

#include <stdlib.h>

struct resume {
	struct x402_client *client;
	struct x402_journal *journal;
	const struct x402_client_resume_options *options;
	struct x402__asker asker;
	int64_t *numbers;
	size_t len;
	size_t cap;
	bool out_of_memory;
	struct x402_client_resumed resumed;
};

static enum x402_err release_dead(struct resume *resume)
{
	enum x402_err err = x402__journal_begin(resume->journal, false);
	if (err)
		return err;
	err = x402__journal_release_dead(resume->journal, x402__now_unix_ms());
	return x402__journal_end(resume->journal, err);
}

static bool collect(void *user, const struct x402_purchase *purchase)
{
	struct resume *resume = user;
	if (purchase->state == X402_PURCHASE_RESERVED)
		return true;
	if (resume->len == resume->cap) {
		size_t cap = resume->cap ? 2 * resume->cap : 256;
		int64_t *numbers = realloc(
			resume->numbers, cap * sizeof(*numbers));
		if (!numbers) {
			resume->out_of_memory = true;
			return false;
		}
		resume->numbers = numbers;
		resume->cap = cap;
	}
	resume->numbers[resume->len++] = purchase->number;
	return true;
}

static const struct x402_client_endpoint *endpoint_of(
	const struct resume *resume, const char *network)
{
	const struct x402_client_resume_options *options = resume->options;
	for (size_t i = 0; i < options->endpoints_len; i++)
		if (strcmp(options->endpoints[i].network, network) == 0)
			return &options->endpoints[i];
	return NULL;
}

static enum x402_client_proof find_proof(struct resume *resume,
	const struct x402_purchase *purchase,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE])
{
	const struct x402_client_resume_options *options = resume->options;
	enum x402_client_proof proof = X402_CLIENT_PROOF_NONE;
	ret_transaction[0] = '\0';
	if (options->prove)
		proof = options->prove(
			options->user, purchase, ret_transaction);
	if (proof == X402_CLIENT_PROOF_NONE && options->facilitator_url)
		proof = x402__prove_by_facilitator(&resume->asker,
			options->facilitator_url, purchase, ret_transaction);
	const struct x402_client_endpoint *endpoint = endpoint_of(
		resume, purchase->network);
	if (proof == X402_CLIENT_PROOF_NONE && endpoint)
		proof = x402__prove_by_chain(&resume->asker, endpoint,
			options->block_tag ? options->block_tag : "finalized",
			purchase, ret_transaction);
	ret_transaction[X402_CLIENT_TRANSACTION_SIZE - 1] = '\0';
	return proof;
}

static enum x402__journal_proof to_journal(enum x402_client_proof proof)
{
	switch (proof) {
	case X402_CLIENT_PROOF_NONE:
		return X402__JOURNAL_PROOF_NONE;
	case X402_CLIENT_PROOF_PAID:
		return X402__JOURNAL_PROOF_PAID;
	case X402_CLIENT_PROOF_DEAD:
		return X402__JOURNAL_PROOF_DEAD;
	}
	return X402__JOURNAL_PROOF_NONE;
}

static enum x402_err write_proof(struct resume *resume, int64_t number,
	enum x402_client_proof proof, const char *transaction)
{
	enum x402_err err = x402__journal_begin(resume->journal, true);
	if (err)
		return err;
	err = x402__journal_resolve(resume->journal, number, to_journal(proof),
		transaction, x402__now_unix_ms());
	err = x402__journal_end(resume->journal, err);
	/* Somebody else works on it, or has ended it: theirs to say. */
	return err == X402_ERR_NOT_FOUND ? X402_OK : err;
}

/*
 * The journal knows the name of the request, not its body: what can be sent
 * again from here is a GET. The journal gives the call the same
 * authorization; it never signs, since the purchase is open.
 */
static void represent(
	struct resume *resume, const struct x402_purchase *purchase)
{
	const struct x402_client_resume_options *options = resume->options;
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_client_request request = {
		.url = purchase->url,
		.method = purchase->method,
		.purchase_id = purchase->id[0] ? purchase->id : NULL,
		.correlation = purchase->correlation[0] ? purchase->correlation
							: NULL,
		.once = true,
	};
	enum x402_err err = x402__client_present(
		resume->client, &request, &response);
	options->on_response(options->user, purchase, err, &response);
	x402_client_response_clear(&response);
}

static bool may_represent(
	const struct resume *resume, const struct x402_purchase *purchase)
{
	bool open = purchase->state == X402_PURCHASE_UNKNOWN ||
		purchase->state == X402_PURCHASE_UNDELIVERED;
	bool valid = purchase->state == X402_PURCHASE_UNDELIVERED ||
		purchase->valid_before_unix_s * 1000 > x402__now_unix_ms();
	return open && valid && resume->options->on_response &&
		strcmp(purchase->method, "GET") == 0;
}

static void count_state(struct resume *resume, enum x402_purchase_state state)
{
	switch (state) {
	case X402_PURCHASE_RESERVED:
	case X402_PURCHASE_UNKNOWN:
		resume->resumed.unknown++;
		break;
	case X402_PURCHASE_DELIVERED:
		resume->resumed.delivered++;
		break;
	case X402_PURCHASE_UNDELIVERED:
		resume->resumed.undelivered++;
		break;
	case X402_PURCHASE_UNPAID:
		resume->resumed.unpaid++;
		break;
	}
}

static enum x402_err resolve_one(struct resume *resume, int64_t number)
{
	struct x402_purchase purchase;
	char transaction[X402_CLIENT_TRANSACTION_SIZE];
	enum x402_err err = x402_journal_get(
		resume->journal, number, &purchase);
	if (err)
		return err;
	resume->resumed.looked_at++;
	if (purchase.state == X402_PURCHASE_UNKNOWN) {
		enum x402_client_proof proof = find_proof(
			resume, &purchase, transaction);
		if (proof != X402_CLIENT_PROOF_NONE)
			err = write_proof(resume, number, proof, transaction);
		x402_purchase_clear(&purchase);
		if (!err)
			err = x402_journal_get(
				resume->journal, number, &purchase);
		if (err)
			return err;
	}
	if (may_represent(resume, &purchase)) {
		represent(resume, &purchase);
		x402_purchase_clear(&purchase);
		err = x402_journal_get(resume->journal, number, &purchase);
		if (err)
			return err;
	}
	count_state(resume, purchase.state);
	if (resume->options->on_purchase)
		resume->options->on_purchase(resume->options->user, &purchase);
	x402_purchase_clear(&purchase);
	return X402_OK;
}

static enum x402_err resolve_all(struct resume *resume)
{
	struct x402_journal_filter filter = {.open_only = true};
	enum x402_err err = x402_journal_list(
		resume->journal, &filter, collect, resume);
	if (!err && resume->out_of_memory)
		err = X402_ERR_NOMEM;
	if (!err)
		err = x402__asker_init(
			&resume->client->operator_->breaker, &resume->asker);
	for (size_t i = 0; !err && i < resume->len; i++) {
		const struct x402_client_options *options =
			&resume->client->options;
		if (options->is_cancelled &&
			options->is_cancelled(options->user))
			err = X402_ERR_CANCELLED;
		else
			err = resolve_one(resume, resume->numbers[i]);
	}
	x402__asker_clear(&resume->asker);
	return err;
}

enum x402_err x402_client_resume(struct x402_client *client,
	const struct x402_client_resume_options *options,
	struct x402_client_resumed *ret_resumed)
{
	static const struct x402_client_resume_options none =
		X402_CLIENT_RESUME_OPTIONS_INIT;
	struct resume resume = {.client = client,
		.journal = client->options.journal,
		.options = options ? options : &none};
	if (!resume.journal)
		return X402_ERR_INVALID_ARGUMENT;
	enum x402_err err = release_dead(&resume);
	if (!err)
		err = resolve_all(&resume);
	free(resume.numbers);
	if (!err)
		*ret_resumed = resume.resumed;
	return err;
}
