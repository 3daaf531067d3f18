/*
 * Solana transactions: what is read adds up to the very bytes that came, and
 * every index is inside.
 */
#include "fuzz_house.h"

static void check_instruction(const struct x402_svm_transaction *t,
	const struct x402_svm_instruction *instruction)
{
	must(instruction->program > 0 && instruction->program < t->keys_len);
	for (size_t i = 0; i < instruction->accounts.len; i++)
		must(instruction->accounts.ptr[i] < t->keys_len);
}

/* Written again from its parts, where all of them were kept. */
static void check_bytes(
	const struct x402_svm_transaction *t, struct x402_span input)
{
	struct x402_buf again = {0};

	x402_svm_add_length(&again, t->required_signatures);
	x402_buf_add(&again, t->signatures);
	if (!t->legacy)
		x402_buf_add_byte(&again, 0x80);
	x402_buf_add_byte(&again, t->required_signatures);
	x402_buf_add_byte(&again, t->readonly_signed);
	x402_buf_add_byte(&again, t->readonly_unsigned);
	x402_svm_add_length(&again, (uint16_t)t->keys_len);
	for (size_t i = 0; i < t->keys_len; i++)
		x402_buf_add(&again, x402_span(t->keys[i].bytes, 32));
	x402_buf_add(&again, x402_span(t->blockhash32, 32));
	x402_svm_add_length(&again, (uint16_t)t->instructions_len);
	for (size_t i = 0; i < t->instructions_len; i++) {
		const struct x402_svm_instruction *ix = &t->instructions[i];

		x402_buf_add_byte(&again, ix->program);
		x402_svm_add_length(&again, (uint16_t)ix->accounts.len);
		x402_buf_add(&again, ix->accounts);
		x402_svm_add_length(&again, (uint16_t)ix->data.len);
		x402_buf_add(&again, ix->data);
	}
	if (!t->legacy)
		x402_svm_add_length(&again, 0);
	must(again.failed || again.len == input.len);
	must(again.failed || memcmp(again.ptr, input.ptr, input.len) == 0);
	x402_buf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_svm_transaction t;

	if (x402_svm_transaction_read(x402_span(data, size), &t) != X402_OK)
		return 0;
	must(t.keys_len <= X402_SVM_ACCOUNTS_MAX);
	must(t.required_signatures >= 1);
	must(x402_svm_is_signer(&t, 0) && x402_svm_is_writable(&t, 0));
	for (size_t i = 0;
		i < t.instructions_len && i < X402_SVM_INSTRUCTIONS_MAX; i++)
		check_instruction(&t, &t.instructions[i]);
	if (t.instructions_len <= X402_SVM_INSTRUCTIONS_MAX)
		check_bytes(&t, x402_span(data, size));
	return 0;
}
