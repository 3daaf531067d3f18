/*
 * Reading a Solana transaction from a stranger. One byte string has one
 * meaning here: every length in its shortest form, every index inside, no
 * account twice, nothing behind the end. What the runtime would refuse is
 * refused, so what is left can only do what its instructions say.
 */
#include "x402/svm_transaction.h"

enum x402_err x402_svm_read_length(
	struct x402_span *bytes, uint16_t *ret_length)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 3 && i < bytes->len; i++) {
		uint8_t byte = bytes->ptr[i];

		value |= (uint32_t)(byte & 0x7f) << (7 * i);
		if (byte & 0x80)
			continue;
		if ((i > 0 && byte == 0) || value > UINT16_MAX)
			return X402_ERR_SYNTAX;
		bytes->ptr += i + 1;
		bytes->len -= i + 1;
		*ret_length = (uint16_t)value;
		return X402_OK;
	}
	return X402_ERR_SYNTAX;
}

static bool take(struct x402_span *bytes, size_t len, struct x402_span *ret)
{
	if (bytes->len < len)
		return false;
	*ret = x402_span(bytes->ptr, len);
	bytes->ptr += len;
	bytes->len -= len;
	return true;
}

/* A length, and so many items of so many bytes. */
static bool take_list(struct x402_span *bytes, size_t item_size,
	struct x402_span *ret, size_t *ret_count)
{
	uint16_t count;

	if (x402_svm_read_length(bytes, &count) != X402_OK ||
		!take(bytes, (size_t)count * item_size, ret))
		return false;
	*ret_count = count;
	return true;
}

static bool read_instruction(
	struct x402_span *bytes, struct x402_svm_instruction *instruction)
{
	struct x402_span program;
	size_t count;

	if (!take(bytes, 1, &program))
		return false;
	instruction->program = program.ptr[0];
	return take_list(bytes, 1, &instruction->accounts, &count) &&
		take_list(bytes, 1, &instruction->data, &count);
}

/* The fee payer is no program: index 0 cannot be called. */
static bool indexes_are_inside(
	const struct x402_svm_instruction *instruction, size_t keys_len)
{
	if (instruction->program == 0 || instruction->program >= keys_len)
		return false;
	for (size_t i = 0; i < instruction->accounts.len; i++)
		if (instruction->accounts.ptr[i] >= keys_len)
			return false;
	return true;
}

static bool read_instructions(
	struct x402_span *bytes, struct x402_svm_transaction *transaction)
{
	uint16_t count;

	if (x402_svm_read_length(bytes, &count) != X402_OK)
		return false;
	transaction->instructions_len = count;
	for (size_t i = 0; i < count; i++) {
		struct x402_svm_instruction instruction;

		if (!read_instruction(bytes, &instruction) ||
			!indexes_are_inside(
				&instruction, transaction->keys_len))
			return false;
		if (i < X402_SVM_INSTRUCTIONS_MAX)
			transaction->instructions[i] = instruction;
	}
	return true;
}

static bool header_is_sane(const struct x402_svm_transaction *t)
{
	return t->required_signatures > 0 &&
		t->signatures.len == (size_t)t->required_signatures * 64 &&
		t->readonly_signed < t->required_signatures &&
		(size_t)t->required_signatures + t->readonly_unsigned <=
		t->keys_len;
}

static bool keys_are_different(const struct x402_svm_transaction *t)
{
	for (size_t i = 0; i < t->keys_len; i++)
		for (size_t j = i + 1; j < t->keys_len; j++)
			if (x402_pubkey_equal(&t->keys[i], &t->keys[j]))
				return false;
	return true;
}

static bool read_accounts(
	struct x402_span *bytes, struct x402_svm_transaction *t)
{
	struct x402_span header;
	struct x402_span keys;
	struct x402_span blockhash;

	if (!take(bytes, 3, &header) ||
		!take_list(bytes, 32, &keys, &t->keys_len) ||
		t->keys_len > X402_SVM_ACCOUNTS_MAX ||
		!take(bytes, 32, &blockhash))
		return false;
	t->required_signatures = header.ptr[0];
	t->readonly_signed = header.ptr[1];
	t->readonly_unsigned = header.ptr[2];
	/* A struct of plain bytes: it has no alignment. */
	t->keys = (const struct x402_pubkey *)(const void *)keys.ptr;
	t->blockhash32 = blockhash.ptr;
	return header_is_sane(t) && keys_are_different(t);
}

static enum x402_err read_message(
	struct x402_span bytes, struct x402_svm_transaction *t)
{
	struct x402_span version;
	uint16_t lookups = 0;

	t->message = bytes;
	t->legacy = bytes.len > 0 && !(bytes.ptr[0] & 0x80);
	if (!t->legacy && !take(&bytes, 1, &version))
		return X402_ERR_SYNTAX;
	if (!t->legacy && version.ptr[0] != 0x80)
		return X402_ERR_UNSUPPORTED;
	if (!read_accounts(&bytes, t))
		return X402_ERR_SYNTAX;
	/* Indexes past the keys would be those of lookup tables. */
	if (!read_instructions(&bytes, t))
		return X402_ERR_SYNTAX;
	if (!t->legacy && x402_svm_read_length(&bytes, &lookups) != X402_OK)
		return X402_ERR_SYNTAX;
	if (lookups > 0)
		return X402_ERR_UNSUPPORTED;
	return bytes.len == 0 ? X402_OK : X402_ERR_SYNTAX;
}

enum x402_err x402_svm_transaction_read(
	struct x402_span bytes, struct x402_svm_transaction *ret_transaction)
{
	struct x402_svm_transaction transaction = {.legacy = false};
	size_t signatures;
	enum x402_err err;

	if (bytes.len > X402_SVM_TRANSACTION_MAX)
		return X402_ERR_TOO_LARGE;
	if (!take_list(&bytes, 64, &transaction.signatures, &signatures))
		return X402_ERR_SYNTAX;
	err = read_message(bytes, &transaction);
	if (!err)
		*ret_transaction = transaction;
	return err;
}

bool x402_svm_is_signer(
	const struct x402_svm_transaction *transaction, size_t index)
{
	return index < transaction->required_signatures;
}

bool x402_svm_is_writable(
	const struct x402_svm_transaction *transaction, size_t index)
{
	if (x402_svm_is_signer(transaction, index))
		return index < (size_t)transaction->required_signatures -
			transaction->readonly_signed;
	return index < transaction->keys_len - transaction->readonly_unsigned;
}
