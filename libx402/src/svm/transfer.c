/*
 * The payment that a payer signs (C-072): limit, price, TransferChecked and
 * Memo in a v0 message, whose fee somebody else pays.
 */
#include "x402/svm_transaction.h"

#define DEFAULT_COMPUTE_UNITS  20000
#define DEFAULT_MICRO_LAMPORTS 1

void x402_svm_add_length(struct x402_buf *buf, uint16_t length)
{
	while (length > 0x7f) {
		x402_buf_add_byte(buf, (uint8_t)(length | 0x80));
		length = (uint16_t)(length >> 7);
	}
	x402_buf_add_byte(buf, (uint8_t)length);
}

static void add_le(struct x402_buf *buf, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		x402_buf_add_byte(buf, (uint8_t)(value >> (8 * i)));
}

static void add_key(struct x402_buf *buf, const struct x402_pubkey *key)
{
	x402_buf_add(buf, x402_span(key->bytes, 32));
}

/*
 * The accounts, by their place in the message: signers first, then what is
 * written, then what is only read.
 */
enum place {
	FEE_PAYER,
	AUTHORITY,
	DESTINATION,
	SOURCE,
	MINT,
	COMPUTE_BUDGET,
	MEMO,
	TOKEN,
	REFERENCE, /* the last: it may be absent */
	PLACES
};

static bool are_different(
	const struct x402_pubkey *const keys[PLACES], size_t len)
{
	for (size_t i = 0; i < len; i++)
		for (size_t j = i + 1; j < len; j++)
			if (x402_pubkey_equal(keys[i], keys[j]))
				return false;
	return true;
}

static void add_accounts(struct x402_buf *buf,
	const struct x402_pubkey *const keys[PLACES], size_t len)
{
	x402_buf_add_byte(buf, 0x80); /* version 0 */
	x402_buf_add_byte(buf, 2);    /* signatures */
	x402_buf_add_byte(buf, 1);    /* signers that are only read */
	x402_buf_add_byte(buf, (uint8_t)(len - MINT));
	x402_svm_add_length(buf, (uint16_t)len);
	for (size_t i = 0; i < len; i++)
		add_key(buf, keys[i]);
}

static void add_budget(
	struct x402_buf *buf, const struct x402_svm_transfer *transfer)
{
	uint32_t units = transfer->compute_units ? transfer->compute_units
						 : DEFAULT_COMPUTE_UNITS;
	uint64_t price = transfer->micro_lamports ? transfer->micro_lamports
						  : DEFAULT_MICRO_LAMPORTS;

	x402_buf_add_byte(buf, COMPUTE_BUDGET);
	x402_svm_add_length(buf, 0);
	x402_svm_add_length(buf, 5);
	x402_buf_add_byte(buf, 2); /* SetComputeUnitLimit */
	add_le(buf, units, 4);
	x402_buf_add_byte(buf, COMPUTE_BUDGET);
	x402_svm_add_length(buf, 0);
	x402_svm_add_length(buf, 9);
	x402_buf_add_byte(buf, 3); /* SetComputeUnitPrice */
	add_le(buf, price, 8);
}

static void add_transfer(
	struct x402_buf *buf, const struct x402_svm_transfer *transfer)
{
	x402_buf_add_byte(buf, TOKEN);
	x402_svm_add_length(buf, transfer->reference ? 5 : 4);
	x402_buf_add_byte(buf, SOURCE);
	x402_buf_add_byte(buf, MINT);
	x402_buf_add_byte(buf, DESTINATION);
	x402_buf_add_byte(buf, AUTHORITY);
	if (transfer->reference)
		x402_buf_add_byte(buf, REFERENCE);
	x402_svm_add_length(buf, 10);
	x402_buf_add_byte(buf, 12); /* TransferChecked */
	add_le(buf, transfer->amount, 8);
	x402_buf_add_byte(buf, transfer->decimals);
}

enum x402_err x402_svm_transfer_message(
	const struct x402_svm_transfer *transfer, struct x402_buf *ret_message)
{
	const struct x402_pubkey *const keys[PLACES] = {&transfer->fee_payer,
		&transfer->authority, &transfer->destination, &transfer->source,
		&transfer->mint, &x402_svm_compute_budget_program,
		&x402_svm_memo_program, &transfer->token_program,
		transfer->reference};
	size_t len = transfer->reference ? PLACES : REFERENCE;

	if (transfer->memo.len == 0 || transfer->memo.len > X402_SVM_MEMO_MAX ||
		!are_different(keys, len))
		return X402_ERR_RANGE;
	add_accounts(ret_message, keys, len);
	x402_buf_add(ret_message, x402_span(transfer->blockhash32, 32));
	x402_svm_add_length(ret_message, 4);
	add_budget(ret_message, transfer);
	add_transfer(ret_message, transfer);
	x402_buf_add_byte(ret_message, MEMO);
	x402_svm_add_length(ret_message, 0);
	x402_svm_add_length(ret_message, (uint16_t)transfer->memo.len);
	x402_buf_add(ret_message, transfer->memo);
	x402_svm_add_length(ret_message, 0); /* no lookup tables */
	return ret_message->failed ? X402_ERR_NOMEM : X402_OK;
}
