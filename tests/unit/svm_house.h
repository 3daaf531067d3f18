/*
 * What tests of Solana payments share: the keys of the captures (seeds of
 * equal bytes), and transactions of any shape, so that each rule can be broken
 * alone.
 */
#ifndef SVM_HOUSE_H
#define SVM_HOUSE_H

#include "cmocka_house.h"
#include "x402/svm_transaction.h"

#define SVM_NETWORK "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
#define SVM_USDC    "4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU"
#define SVM_PAYEE   "GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse"
#define SVM_SPONSOR "AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9"
#define SVM_PAYER   "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu"

static inline struct x402_pubkey svm_key(const char *text)
{
	struct x402_pubkey key;

	assert_int_equal(x402_pubkey_parse(text, &key), X402_OK);
	return key;
}

static inline struct x402_svm_secret svm_secret(uint8_t byte)
{
	struct x402_svm_secret secret;
	uint8_t seed[32];

	memset(seed, byte, sizeof(seed));
	assert_int_equal(x402_svm_secret_from_seed(seed, &secret), X402_OK);
	return secret;
}

struct svm_instruction {
	uint8_t program;
	uint8_t accounts[16];
	size_t accounts_len;
	uint8_t data[320];
	size_t data_len;
};

/* A message before it is written; defaults to a good payment. */
struct svm_tx {
	bool legacy;
	uint8_t signers;
	uint8_t readonly_signed;
	uint8_t readonly_unsigned;
	struct x402_pubkey keys[16];
	size_t keys_len;
	struct svm_instruction ix[12];
	size_t ix_len;
	unsigned lookups;
	uint8_t signer_seed; /* who signs as the payer; 0: nobody */
	uint8_t blockhash;
};

/* Indexes of a good payment's keys. */
enum { K_SPONSOR, K_PAYER, K_TO, K_FROM, K_MINT, K_BUDGET, K_MEMO, K_TOKEN };

static inline void svm_put_le(uint8_t *at, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

/* Appends a key that is only read and answers its index. */
static inline uint8_t svm_add_key(struct svm_tx *tx, struct x402_pubkey key)
{
	tx->keys[tx->keys_len] = key;
	tx->readonly_unsigned++;
	return (uint8_t)tx->keys_len++;
}

static inline struct svm_instruction *svm_add_ix(
	struct svm_tx *tx, uint8_t program, const void *data, size_t len)
{
	struct svm_instruction *ix = &tx->ix[tx->ix_len++];

	ix->program = program;
	memcpy(ix->data, data, len);
	ix->data_len = len;
	return ix;
}

static inline struct svm_tx svm_good(const struct x402_pubkey *token_program)
{
	struct svm_tx tx = {.signers = 2,
		.readonly_signed = 1,
		.readonly_unsigned = 4,
		.keys_len = 8,
		.signer_seed = 2,
		.blockhash = 0xb1};
	struct x402_pubkey payee = svm_key(SVM_PAYEE);
	uint8_t limit[5] = {2};
	uint8_t price[9] = {3, 1};
	uint8_t transfer[10] = {12};
	uint8_t bump;
	struct svm_instruction *ix;

	tx.keys[K_SPONSOR] = svm_key(SVM_SPONSOR);
	tx.keys[K_PAYER] = svm_key(SVM_PAYER);
	tx.keys[K_MINT] = svm_key(SVM_USDC);
	tx.keys[K_BUDGET] = x402_svm_compute_budget_program;
	tx.keys[K_MEMO] = x402_svm_memo_program;
	tx.keys[K_TOKEN] = *token_program;
	assert_true(x402_svm_ata(&payee, token_program, &tx.keys[K_MINT],
		&tx.keys[K_TO], &bump));
	assert_true(x402_svm_ata(&tx.keys[K_PAYER], token_program,
		&tx.keys[K_MINT], &tx.keys[K_FROM], &bump));
	svm_put_le(limit + 1, 20000, 4);
	svm_add_ix(&tx, K_BUDGET, limit, sizeof(limit));
	svm_add_ix(&tx, K_BUDGET, price, sizeof(price));
	svm_put_le(transfer + 1, 1000, 8);
	transfer[9] = 6;
	ix = svm_add_ix(&tx, K_TOKEN, transfer, sizeof(transfer));
	memcpy(ix->accounts, (uint8_t[]){K_FROM, K_MINT, K_TO, K_PAYER}, 4);
	ix->accounts_len = 4;
	svm_add_ix(&tx, K_MEMO, "m", 1);
	return tx;
}

static inline void svm_write(const struct svm_tx *tx, struct x402_buf *wire)
{
	struct x402_buf message = {0};

	if (!tx->legacy)
		x402_buf_add_byte(&message, 0x80);
	x402_buf_add_byte(&message, tx->signers);
	x402_buf_add_byte(&message, tx->readonly_signed);
	x402_buf_add_byte(&message, tx->readonly_unsigned);
	x402_svm_add_length(&message, (uint16_t)tx->keys_len);
	for (size_t i = 0; i < tx->keys_len; i++)
		x402_buf_add(&message, x402_span(tx->keys[i].bytes, 32));
	memset(x402_buf_add_zeros(&message, 32), tx->blockhash, 32);
	x402_svm_add_length(&message, (uint16_t)tx->ix_len);
	for (size_t i = 0; i < tx->ix_len; i++) {
		const struct svm_instruction *ix = &tx->ix[i];

		x402_buf_add_byte(&message, ix->program);
		x402_svm_add_length(&message, (uint16_t)ix->accounts_len);
		x402_buf_add(
			&message, x402_span(ix->accounts, ix->accounts_len));
		x402_svm_add_length(&message, (uint16_t)ix->data_len);
		x402_buf_add(&message, x402_span(ix->data, ix->data_len));
	}
	if (!tx->legacy)
		x402_svm_add_length(&message, (uint16_t)tx->lookups);
	for (size_t i = 0; i < tx->lookups; i++) {
		(void)x402_buf_add_zeros(&message, 32);
		x402_svm_add_length(&message, 0);
		x402_svm_add_length(&message, 1);
		x402_buf_add_byte(&message, 0);
	}
	x402_svm_add_length(wire, tx->signers);
	(void)x402_buf_add_zeros(wire, (size_t)tx->signers * 64);
	if (tx->signers > 1 && tx->signer_seed) {
		struct x402_svm_secret secret = svm_secret(tx->signer_seed);

		assert_int_equal(
			x402_ed25519_sign(&secret, x402_buf_span(&message),
				wire->ptr + 1 + 64),
			X402_OK);
	}
	x402_buf_add(wire, x402_buf_span(&message));
	assert_false(wire->failed);
	x402_buf_clear(&message);
}

#endif
