/*
 * The daemon's records: names of states, the table of permitted steps, copies
 * and their end. Everything here is pure; memory that is out ends the process
 * (style.md 5), because the truth is in the store and restart is tested.
 */
#include "core/payment.h"

#include "x402/encoding.h"

#include <stdio.h>
#include <stdlib.h>

#define BIT(state) (1u << FAC_PAYMENT_##state)

/*
 * The one table: from -> set of states that may follow.
 *
 * SIGNED never goes back to CANCELLED, nor does REPLACED: its bytes may have
 * reached somebody (R3), who may land the authorization that is in them. They
 * leave only by what the chain says: a receipt, or a proof.
 */
static const unsigned followers[FAC_PAYMENT_STATE_COUNT] = {
	[FAC_PAYMENT_RESERVED] = BIT(SIGNED) | BIT(CANCELLED) | BIT(SETTLED) |
		BIT(EXPIRED),
	[FAC_PAYMENT_SIGNED] = BIT(BROADCAST) | BIT(SETTLED) | BIT(REVERTED) |
		BIT(EXPIRED) | BIT(REPLACED),
	[FAC_PAYMENT_BROADCAST] = BIT(SETTLED) | BIT(REVERTED) | BIT(EXPIRED) |
		BIT(REPLACED),
	/* To BROADCAST: a reorg took the block away. */
	[FAC_PAYMENT_SETTLED] = BIT(PROVISIONED) | BIT(BROADCAST),
	[FAC_PAYMENT_PROVISIONED] = BIT(BROADCAST),
	[FAC_PAYMENT_REVERTED] = BIT(BROADCAST) | BIT(SETTLED),
	/* Its money was found to have moved after all. */
	[FAC_PAYMENT_EXPIRED] = BIT(SETTLED),
	/* Nothing was sent, so the same authorization may try anew. */
	[FAC_PAYMENT_CANCELLED] = BIT(RESERVED),
	[FAC_PAYMENT_REPLACED] = BIT(SIGNED) | BIT(EXPIRED) | BIT(SETTLED),
};

bool fac_payment_may_follow(
	enum fac_payment_state from, enum fac_payment_state to)
{
	if ((unsigned)from >= FAC_PAYMENT_STATE_COUNT ||
		(unsigned)to >= FAC_PAYMENT_STATE_COUNT)
		return false;
	return followers[from] & (1u << to);
}

bool fac_payment_is_final(enum fac_payment_state state)
{
	switch (state) {
	case FAC_PAYMENT_RESERVED:
	case FAC_PAYMENT_SIGNED:
	case FAC_PAYMENT_BROADCAST:
	case FAC_PAYMENT_REPLACED:
		return false;
	case FAC_PAYMENT_SETTLED:
	case FAC_PAYMENT_PROVISIONED:
	case FAC_PAYMENT_REVERTED:
	case FAC_PAYMENT_EXPIRED:
	case FAC_PAYMENT_CANCELLED:
	case FAC_PAYMENT_STATE_COUNT:
		return true;
	}
	return true;
}

#define STATE_TEXT(name, text) text,
static const char *const payment_texts[] = {FAC_PAYMENT_STATE_MAP(STATE_TEXT)};
static const char *const transaction_texts[] = {
	FAC_TRANSACTION_STATE_MAP(STATE_TEXT)};
#undef STATE_TEXT

static bool find_text(const char *const *texts, unsigned count,
	const char *text, unsigned *ret_index)
{
	for (unsigned i = 0; text && i < count; i++) {
		if (strcmp(texts[i], text) == 0) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

const char *fac_payment_state_text(enum fac_payment_state state)
{
	return (unsigned)state < FAC_PAYMENT_STATE_COUNT ? payment_texts[state]
							 : "?";
}

bool fac_payment_state_parse(
	const char *text, enum fac_payment_state *ret_state)
{
	unsigned index;

	if (!find_text(payment_texts, FAC_PAYMENT_STATE_COUNT, text, &index))
		return false;
	*ret_state = (enum fac_payment_state)index;
	return true;
}

const char *fac_transaction_state_text(enum fac_transaction_state state)
{
	return (unsigned)state < FAC_TRANSACTION_STATE_COUNT
		? transaction_texts[state]
		: "?";
}

bool fac_transaction_state_parse(
	const char *text, enum fac_transaction_state *ret_state)
{
	unsigned index;

	if (!find_text(transaction_texts, FAC_TRANSACTION_STATE_COUNT, text,
		    &index))
		return false;
	*ret_state = (enum fac_transaction_state)index;
	return true;
}

static struct x402_buf copy_buf(const struct x402_buf *from)
{
	struct x402_buf to = {0};

	x402_buf_add(&to, x402_buf_span(from));
	if (to.failed)
		abort();
	return to;
}

enum x402_err fac_payment_sender(
	const struct fac_payment *payment, struct x402_address *ret_sender)
{
	return x402_settle_sender(&payment->call_to,
		x402_buf_span(&payment->calldata),
		x402_buf_span(&payment->state_calldata), ret_sender);
}

void fac_payment_clear(struct fac_payment *payment)
{
	x402_buf_clear(&payment->calldata);
	x402_buf_clear(&payment->state_calldata);
	free(payment->answer);
	memset(payment, 0, sizeof(*payment));
}

void fac_payment_copy(
	const struct fac_payment *from, struct fac_payment *ret_payment)
{
	*ret_payment = *from;
	ret_payment->calldata = copy_buf(&from->calldata);
	ret_payment->state_calldata = copy_buf(&from->state_calldata);
	if (from->answer) {
		ret_payment->answer = strdup(from->answer);
		if (!ret_payment->answer)
			abort();
	}
}

void fac_transaction_clear(struct fac_transaction *transaction)
{
	for (size_t i = 0; i < transaction->attempts_len; i++)
		x402_buf_clear(&transaction->attempts[i].raw);
	free(transaction->keys32);
	memset(transaction, 0, sizeof(*transaction));
}

void fac_transaction_copy(const struct fac_transaction *from,
	struct fac_transaction *ret_transaction)
{
	*ret_transaction = *from;
	for (size_t i = 0; i < from->attempts_len; i++)
		ret_transaction->attempts[i].raw = copy_buf(
			&from->attempts[i].raw);
	ret_transaction->keys32 = NULL;
	if (!from->keys_len)
		return;
	ret_transaction->keys32 = calloc(from->keys_len, 32);
	if (!ret_transaction->keys32)
		abort();
	memcpy(ret_transaction->keys32, from->keys32, from->keys_len * 32);
}

/* ---- Names of payments. ---- */

void fac_payment_id_text(
	const uint8_t id16[16], char ret_id[FAC_PAYMENT_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 16; i++) {
		*ret_id++ = digits[id16[i] >> 4];
		*ret_id++ = digits[id16[i] & 15];
	}
	*ret_id = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

bool fac_payment_id_bytes(const char *id, uint8_t ret_id16[16])
{
	for (size_t i = 0; i < 16; i++) {
		int high = hex_digit(id[2 * i]);
		int low = high < 0 ? -1 : hex_digit(id[2 * i + 1]);

		if (low < 0)
			return false;
		ret_id16[i] = (uint8_t)(high << 4 | low);
	}
	return !id[32];
}

void fac_resource_clear(struct fac_resource *resource)
{
	free(resource->key);
	free(resource->url);
	free(resource->type);
	free(resource->accepts_json);
	free(resource->extensions_json);
	free(resource->metadata_json);
	memset(resource, 0, sizeof(*resource));
}

/* ---- Both families. ---- */

static uint8_t *svm_party(struct x402_settle_proof *proof, enum fac_party party)
{
	switch (party) {
	case FAC_PARTY_ASSET:
		return proof->svm_asset.bytes;
	case FAC_PARTY_PAYER:
		return proof->svm_from.bytes;
	case FAC_PARTY_PAY_TO:
		return proof->svm_to.bytes;
	}
	return NULL;
}

static uint8_t *evm_party(struct x402_settle_proof *proof, enum fac_party party)
{
	switch (party) {
	case FAC_PARTY_ASSET:
		return proof->asset.bytes;
	case FAC_PARTY_PAYER:
		return proof->from.bytes;
	case FAC_PARTY_PAY_TO:
		return proof->to.bytes;
	}
	return NULL;
}

struct x402_span fac_proof_party(
	const struct x402_settle_proof *proof, enum fac_party party)
{
	/* Only looked at. */
	struct x402_settle_proof *at = (struct x402_settle_proof *)proof;

	return proof->family == X402_FAMILY_SVM
		? x402_span(svm_party(at, party), 32)
		: x402_span(evm_party(at, party), 20);
}

bool fac_proof_set_party(struct x402_settle_proof *proof, enum fac_party party,
	struct x402_span bytes)
{
	if (bytes.len != 20 && bytes.len != 32)
		return false;
	proof->family = bytes.len == 32 ? X402_FAMILY_SVM : X402_FAMILY_EVM;
	memcpy(bytes.len == 32 ? svm_party(proof, party)
			       : evm_party(proof, party),
		bytes.ptr, bytes.len);
	return true;
}

/*
 * How many signatures there are, in one byte, and the first of them, which
 * names a Solana transaction: the store keeps these of bytes that it forgets.
 */
#define SVM_NAME_SIZE 65

void fac_payment_transaction_text(const struct fac_payment *payment,
	char ret_text[FAC_TRANSACTION_TEXT_SIZE])
{
	if (!payment->transaction[0] ||
		payment->proof.family != X402_FAMILY_SVM)
		snprintf(ret_text, FAC_TRANSACTION_TEXT_SIZE, "%s",
			payment->transaction);
	else if (payment->calldata.len >= SVM_NAME_SIZE)
		x402_base58_encode(payment->calldata.ptr + 1, 64, ret_text);
	else
		ret_text[0] = '\0';
}

bool fac_transaction_text_hash(const char *text, uint8_t ret_hash32[32])
{
	uint8_t signature64[64];

	if (x402_hex_decode_fixed(text, ret_hash32, 32) == X402_OK)
		return true;
	if (x402_base58_decode(text, signature64, 64) != X402_OK)
		return false;
	x402_sha256(x402_span(signature64, 64), ret_hash32);
	return true;
}
