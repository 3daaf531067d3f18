/*
 * Solana transactions: the reader takes what the runtime takes and in one
 * spelling only; the template comes to the reference's own bytes.
 */
#include "svm_house.h"

#include "x402/encoding.h"
#include "x402/json.h"

#include <stdio.h>

static enum x402_err read_bytes(const void *bytes, size_t len)
{
	struct x402_svm_transaction transaction;

	return x402_svm_transaction_read(x402_span(bytes, len), &transaction);
}

static enum x402_err read_tx(const struct svm_tx *tx)
{
	struct x402_buf wire = {0};
	enum x402_err err;

	svm_write(tx, &wire);
	err = read_bytes(wire.ptr, wire.len);
	x402_buf_clear(&wire);
	return err;
}

/* ---- Lengths. ---- */

static void test_length_forms_come_back(void **state)
{
	static const unsigned values[] = {
		0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0xffff};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct x402_buf buf = {0};
		struct x402_span bytes;
		uint16_t value;

		x402_svm_add_length(&buf, (uint16_t)values[i]);
		bytes = x402_buf_span(&buf);
		assert_int_equal(x402_svm_read_length(&bytes, &value), X402_OK);
		assert_int_equal(value, values[i]);
		assert_int_equal(bytes.len, 0);
		x402_buf_clear(&buf);
	}
}

static void test_length_longer_forms_are_refused(void **state)
{
	static const char *const forms[] = {"", "\x80", "\x80\x80", "\xff\xff",
		"\xff\xff\x04", "\xff\xff\xff\x01", "\xff\xff\x7f"};
	/* With zeros in them. */
	static const uint8_t zeros[][3] = {
		{0x80, 0}, {0xff, 0}, {0x80, 0x80, 0}};
	uint16_t value = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		struct x402_span bytes = x402_span_str(forms[i]);

		assert_int_equal(
			x402_svm_read_length(&bytes, &value), X402_ERR_SYNTAX);
	}
	for (size_t i = 0; i < ARRAY_LEN(zeros); i++) {
		struct x402_span bytes = x402_span(zeros[i], 3);

		assert_int_equal(
			x402_svm_read_length(&bytes, &value), X402_ERR_SYNTAX);
	}
	assert_int_equal(value, 7);
}

/* ---- Reading. ---- */

static void test_read_good_transaction_says_all(void **state)
{
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct x402_svm_transaction t;
	struct x402_buf wire = {0};

	(void)state;
	svm_write(&tx, &wire);
	assert_int_equal(
		x402_svm_transaction_read(x402_buf_span(&wire), &t), X402_OK);
	assert_int_equal(t.keys_len, 8);
	assert_int_equal(t.instructions_len, 4);
	assert_memory_equal(&t.keys[K_PAYER], &tx.keys[K_PAYER], 32);
	assert_int_equal(t.instructions[2].program, K_TOKEN);
	assert_int_equal(t.instructions[2].data.len, 10);
	assert_int_equal(t.blockhash32[31], 0xb1);
	assert_true(x402_svm_is_signer(&t, 1) && !x402_svm_is_signer(&t, 2));
	assert_true(x402_svm_is_writable(&t, 0) && x402_svm_is_writable(&t, 2));
	assert_true(x402_svm_is_writable(&t, 3));
	assert_false(x402_svm_is_writable(&t, 1));
	assert_false(x402_svm_is_writable(&t, 4));
	assert_int_equal(t.message.len + 1 + 128, wire.len);
	tx.legacy = true;
	assert_int_equal(read_tx(&tx), X402_OK);
	x402_buf_clear(&wire);
}

static void test_read_every_prefix_is_refused(void **state)
{
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct x402_buf wire = {0};

	(void)state;
	svm_write(&tx, &wire);
	for (size_t len = 0; len < wire.len; len++)
		assert_int_not_equal(read_bytes(wire.ptr, len), X402_OK);
	x402_buf_clear(&wire);
}

static void test_read_trailing_byte_is_refused(void **state)
{
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct x402_buf wire = {0};

	(void)state;
	for (int legacy = 0; legacy < 2; legacy++) {
		tx.legacy = legacy;
		wire.len = 0;
		svm_write(&tx, &wire);
		x402_buf_add_byte(&wire, 0);
		assert_int_equal(
			read_bytes(wire.ptr, wire.len), X402_ERR_SYNTAX);
	}
	x402_buf_clear(&wire);
}

static void test_read_too_large_is_refused(void **state)
{
	static const uint8_t bytes[X402_SVM_TRANSACTION_MAX + 1] = {1};

	(void)state;
	assert_int_equal(read_bytes(bytes, sizeof(bytes)), X402_ERR_TOO_LARGE);
}

/* demands.md 28 */
static void test_read_lookup_table_is_refused(void **state)
{
	struct svm_tx tx = svm_good(&x402_svm_token_program);

	(void)state;
	tx.lookups = 1;
	assert_int_equal(read_tx(&tx), X402_ERR_UNSUPPORTED);
	/* An index that only the table could explain. */
	tx.ix[2].accounts[2] = 8;
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
}

static void test_read_later_version_is_refused(void **state)
{
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct x402_buf wire = {0};

	(void)state;
	svm_write(&tx, &wire);
	wire.ptr[129] = 0x81;
	assert_int_equal(read_bytes(wire.ptr, wire.len), X402_ERR_UNSUPPORTED);
	x402_buf_clear(&wire);
}

static void test_read_header_that_cannot_be_is_refused(void **state)
{
	struct svm_tx good = svm_good(&x402_svm_token_program);
	struct svm_tx tx;

	(void)state;
	tx = good;
	tx.signers = 0;
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
	tx = good;
	tx.readonly_signed = 2; /* the fee payer must be written */
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
	tx = good;
	tx.readonly_unsigned = 7;
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
	tx = good;
	tx.keys[K_MEMO] = tx.keys[K_MINT]; /* one account twice */
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
	tx = good;
	tx.ix[0].program = 0; /* the fee payer as a program */
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
	tx = good;
	tx.ix[0].program = 8;
	assert_int_equal(read_tx(&tx), X402_ERR_SYNTAX);
}

static void test_read_signature_count_must_agree(void **state)
{
	struct svm_tx tx = svm_good(&x402_svm_token_program);
	struct x402_buf wire = {0};

	(void)state;
	svm_write(&tx, &wire);
	wire.ptr[130] = 1; /* required signatures; two are there */
	assert_int_equal(read_bytes(wire.ptr, wire.len), X402_ERR_SYNTAX);
	wire.ptr[130] = 3;
	assert_int_equal(read_bytes(wire.ptr, wire.len), X402_ERR_SYNTAX);
	x402_buf_clear(&wire);
}

/* ---- Writing. ---- */

/* The reference's own payment, rebuilt from what it says (vectors). */
static void test_transfer_is_the_references_message(void **state)
{
	const char *root = getenv("X402_VECTORS_DIR");
	char path[4096];
	char text[4096] = {0};
	struct x402_json *json = NULL;
	struct x402_buf wire = {0};
	struct x402_buf message = {0};
	struct x402_svm_transaction t;
	struct svm_tx good = svm_good(&x402_svm_token_program);
	struct x402_svm_transfer transfer = {.fee_payer = good.keys[K_SPONSOR],
		.authority = good.keys[K_PAYER],
		.token_program = x402_svm_token_program,
		.mint = good.keys[K_MINT],
		.source = good.keys[K_FROM],
		.destination = good.keys[K_TO],
		.amount = 1000,
		.decimals = 6};
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/svm/payload-v2-2.27.0.json", root);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_in_range(fread(text, 1, sizeof(text) - 1, file), 1, 4095);
	(void)fclose(file); /* only read */
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	assert_int_equal(
		x402_base64_decode(
			x402_span_str(x402_json_get_string(
				x402_json_get(json, "payload"), "transaction")),
			&wire),
		X402_OK);
	assert_int_equal(
		x402_svm_transaction_read(x402_buf_span(&wire), &t), X402_OK);
	assert_true(x402_ed25519_verify(
		t.signatures.ptr + 64, t.message, &transfer.authority));
	memcpy(transfer.blockhash32, t.blockhash32, 32);
	transfer.memo = t.instructions[3].data;
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_OK);
	assert_int_equal(message.len, t.message.len);
	assert_memory_equal(message.ptr, t.message.ptr, message.len);
	x402_buf_clear(&message);
	x402_buf_clear(&wire);
	x402_json_unref(json);
}

static void test_transfer_that_cannot_be_is_refused(void **state)
{
	static const uint8_t memo[X402_SVM_MEMO_MAX + 1] = {'m'};
	struct svm_tx good = svm_good(&x402_svm_token_program);
	struct x402_svm_transfer transfer = {.fee_payer = good.keys[K_SPONSOR],
		.authority = good.keys[K_PAYER],
		.token_program = x402_svm_token_program,
		.mint = good.keys[K_MINT],
		.source = good.keys[K_FROM],
		.destination = good.keys[K_TO]};
	struct x402_buf message = {0};

	(void)state;
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_ERR_RANGE);
	transfer.memo = x402_span(memo, sizeof(memo));
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_ERR_RANGE);
	transfer.memo.len--;
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_OK);
	message.len = 0;
	transfer.authority = transfer.fee_payer; /* demands.md 32 */
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_ERR_RANGE);
	transfer.authority = good.keys[K_PAYER];
	transfer.destination = transfer.source;
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_ERR_RANGE);
	transfer.destination = good.keys[K_TO];
	transfer.reference = &transfer.mint;
	assert_int_equal(
		x402_svm_transfer_message(&transfer, &message), X402_ERR_RANGE);
	assert_int_equal(message.len, 0);
	x402_buf_clear(&message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length_forms_come_back),
		cmocka_unit_test(test_length_longer_forms_are_refused),
		cmocka_unit_test(test_read_good_transaction_says_all),
		cmocka_unit_test(test_read_every_prefix_is_refused),
		cmocka_unit_test(test_read_trailing_byte_is_refused),
		cmocka_unit_test(test_read_too_large_is_refused),
		cmocka_unit_test(test_read_lookup_table_is_refused),
		cmocka_unit_test(test_read_later_version_is_refused),
		cmocka_unit_test(test_read_header_that_cannot_be_is_refused),
		cmocka_unit_test(test_read_signature_count_must_agree),
		cmocka_unit_test(test_transfer_is_the_references_message),
		cmocka_unit_test(test_transfer_that_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
