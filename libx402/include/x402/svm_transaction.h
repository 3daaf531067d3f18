/*
 * svm_transaction.h: Solana transactions: a strict reader of legacy and v0
 * messages, and the one template that we sign as a payer.
 *
 * Not for: whether a transaction is a payment that somebody should co-sign;
 * that is the scheme's (exact_svm.c).
 * Thread rule: pure functions. What is read points into the caller's bytes.
 */
#ifndef X402_SVM_TRANSACTION_H
#define X402_SVM_TRANSACTION_H

#include "x402/svm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one packet holds: no node takes more. */
#define X402_SVM_TRANSACTION_MAX 1232
/* More do not fit into a packet (32 bytes each). */
#define X402_SVM_ACCOUNTS_MAX 38
/* Instructions that are kept; longer ones are read, counted, and no more. */
#define X402_SVM_INSTRUCTIONS_MAX 16
/* The bytes of a memo that a payer may be asked for (C-073). */
#define X402_SVM_MEMO_MAX 256

/* Indexes refer to keys; all were held against keys_len. */
struct x402_svm_instruction {
	uint8_t program;
	struct x402_span accounts; /* one index in each byte */
	struct x402_span data;
};

struct x402_svm_transaction {
	struct x402_span signatures; /* 64 bytes each, zeros where missing */
	struct x402_span message;    /* what is signed */
	bool legacy;
	uint8_t required_signatures; /* of the first so many keys */
	uint8_t readonly_signed;
	uint8_t readonly_unsigned;
	const struct x402_pubkey *keys; /* the first one pays the fee */
	size_t keys_len;
	const uint8_t *blockhash32;
	size_t instructions_len; /* in the message */
	struct x402_svm_instruction instructions[X402_SVM_INSTRUCTIONS_MAX];
};

/*
 * Read a whole transaction. SYNTAX for anything that the runtime would not
 * take, for bytes after its end and for a second spelling of a length;
 * TOO_LARGE above a packet; UNSUPPORTED for a version that is not known and
 * for address lookup tables: their accounts are not in what was signed.
 */
X402_API X402_MUST_USE enum x402_err x402_svm_transaction_read(
	struct x402_span bytes, struct x402_svm_transaction *ret_transaction);

/* Is the key at index a signer; may it be written? */
X402_API bool x402_svm_is_signer(
	const struct x402_svm_transaction *transaction, size_t index);
X402_API bool x402_svm_is_writable(
	const struct x402_svm_transaction *transaction, size_t index);

/* Append a compact-u16, in its shortest form. */
X402_API void x402_svm_add_length(struct x402_buf *buf, uint16_t length);
/* SYNTAX at the end, above 65535, and for a longer form than needed. */
X402_API X402_MUST_USE enum x402_err x402_svm_read_length(
	struct x402_span *bytes, uint16_t *ret_length);

/* C-072: the payment as a payer signs it. All fields Required but two. */
struct x402_svm_transfer {
	struct x402_pubkey fee_payer;
	struct x402_pubkey authority; /* the payer; signs too */
	struct x402_pubkey token_program;
	struct x402_pubkey mint;
	struct x402_pubkey source;
	struct x402_pubkey destination;
	uint64_t amount;
	uint8_t decimals;
	struct x402_span memo; /* UTF-8, 1 to X402_SVM_MEMO_MAX bytes */
	const struct x402_pubkey *reference; /* Optional: Solana Pay's */
	uint8_t blockhash32[32];
	uint32_t compute_units;  /* Optional; 0: 20,000 */
	uint64_t micro_lamports; /* Optional; 0: 1 */
};
/*
 * Append the v0 message. RANGE for a memo that is empty or too long, and for
 * accounts that are one where they must be two; NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_svm_transfer_message(
	const struct x402_svm_transfer *transfer, struct x402_buf *ret_message);

#ifdef __cplusplus
}
#endif
#endif
