/*
 * EIP-1559 transactions and RLP: signed bytes equal what viem 2.57.1 signs
 * with the same key, and everything that is not the one canonical form is
 * refused.
 */
#include "cmocka_house.h"
#include "x402/transaction.h"

#define TO "0x036CbD53842c5426634e7929541eC2318f3dCF7e"

static struct x402_secp256k1 *secp;
static struct x402_secret key;

static int setup(void **state)
{
	uint8_t seed[32] = {5};

	(void)state;
	if (x402_secp256k1_new(seed, &secp) != X402_OK ||
		x402_secret_parse("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbe"
				  "d5efcae784d7bf4f2ff80",
			&key) != X402_OK)
		return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	x402_secp256k1_free(secp);
	return 0;
}

static struct x402_transaction plain_transaction(void)
{
	struct x402_transaction tx = {.chain_id = 84532, .gas_limit = 21000};

	hex_fixed(TO, tx.to.bytes, 20);
	return tx;
}

#define RAW_PLAIN                                                              \
	"0x02f86583014a3480808082520894036cbd53842c5426634e7929541ec2318f3dcf" \
	"7e8080c080a0d6bf8b7ac031b19f6ce2920cb344f9e0f851f82793b396c5e7c0cb47" \
	"a87a9efea00fed2fbcb2125d2796d574e58f5652cdda5072bda3937307ea97f36d4b" \
	"6d7e90"
#define RAW_DATA                                                               \
	"0x02f8aa83014a3407830f4240847735940083030d4094036cbd53842c5426634e79" \
	"29541ec2318f3dcf7e80b83cabababababababababababababababababababababab" \
	"abababababababababababababababababababababababababababababababababab" \
	"ababababc080a0e4043e1d17c1a4aa4527311c0501449d7e60759560f0900d2a56e8" \
	"44f95859bea036f8d0c09d1bcc943df98f4755a00ea35ac6c54993198530f12efa7d" \
	"14fa1e68"
#define RAW_LARGE                                                              \
	"0x02f8830184075bcd15880de0b6b3a764000089056bc75e2d631000008401c9c380" \
	"9490f79bf6eb2c4f870365e785982e1f101e93b9068ad3c21bcecceda100000000c0" \
	"01a089fcb958e7df6b679aee4a433840575b2902ec754c5bf884b94faf580b6c0e3e" \
	"a036dc1503f507bcf622be8ec5d3e72e77f0bccf14e17f5d967b3d4affa222faf3"

static void assert_signs_to(
	const struct x402_transaction *tx, const char *expected)
{
	struct x402_buf raw = {0};
	struct x402_transaction decoded;
	struct x402_address signer;
	struct x402_address sender;
	uint8_t hash[32];
	uint8_t decoded_hash[32];

	assert_int_equal(
		x402_transaction_sign(secp, tx, &key, &raw, hash), X402_OK);
	assert_hex(raw.ptr, raw.len, expected);
	assert_int_equal(x402_transaction_decode(x402_buf_span(&raw), &decoded,
				 &sender, decoded_hash),
		X402_OK);
	assert_int_equal(x402_secret_address(secp, &key, &signer), X402_OK);
	assert_true(x402_address_equal(&sender, &signer));
	assert_memory_equal(hash, decoded_hash, 32);
	assert_int_equal(decoded.chain_id, tx->chain_id);
	assert_int_equal(decoded.nonce, tx->nonce);
	assert_int_equal(decoded.gas_limit, tx->gas_limit);
	assert_int_equal(x402_u256_cmp(&decoded.value, &tx->value), 0);
	assert_int_equal(decoded.data.len, tx->data.len);
	x402_buf_clear(&raw);
}

static void test_signed_bytes_equal_another_implementation(void **state)
{
	struct x402_transaction tx = plain_transaction();
	uint8_t data[60];

	(void)state;
	assert_signs_to(&tx, RAW_PLAIN);
	memset(data, 0xab, sizeof(data));
	tx.nonce = 7;
	tx.max_priority_fee_per_gas = x402_u256_from_u64(1000000);
	tx.max_fee_per_gas = x402_u256_from_u64(2000000000);
	tx.gas_limit = 200000;
	tx.data = x402_span(data, sizeof(data));
	assert_signs_to(&tx, RAW_DATA);
	memset(&tx, 0, sizeof(tx));
	tx.chain_id = 1;
	tx.nonce = 123456789;
	tx.gas_limit = 30000000;
	hex_fixed(
		"0x90F79bf6EB2c4f870365E785982E1f101E93b906", tx.to.bytes, 20);
	assert_int_equal(x402_u256_from_dec("1000000000000000000",
				 &tx.max_priority_fee_per_gas),
		X402_OK);
	assert_int_equal(x402_u256_from_dec(
				 "100000000000000000000", &tx.max_fee_per_gas),
		X402_OK);
	assert_int_equal(
		x402_u256_from_dec("1000000000000000000000000", &tx.value),
		X402_OK);
	data[0] = 0;
	tx.data = x402_span(data, 1);
	assert_signs_to(&tx, RAW_LARGE);
}

static void test_bad_key_leaves_nothing(void **state)
{
	static const uint8_t zeros[32];
	struct x402_transaction tx = plain_transaction();
	struct x402_secret zero = {{0}};
	struct x402_buf raw = {0};
	uint8_t hash[32];

	(void)state;
	memset(hash, 0xff, 32);
	assert_int_equal(x402_transaction_sign(secp, &tx, &zero, &raw, hash),
		X402_ERR_KEY);
	assert_memory_equal(hash, zeros, 32);
	assert_int_equal(raw.len, 0);
}

static void test_decode_refuses_what_was_touched(void **state)
{
	struct x402_transaction tx;
	struct x402_address sender;
	struct x402_buf raw = {0};
	uint8_t hash[32];

	(void)state;
	assert_int_equal(x402_hex_decode(RAW_PLAIN, &raw), X402_OK);
	for (size_t len = 0; len < raw.len; len++)
		assert_int_not_equal(
			x402_transaction_decode(
				x402_span(raw.ptr, len), &tx, &sender, hash),
			X402_OK);
	x402_buf_add_byte(&raw, 0);
	assert_int_equal(x402_transaction_decode(
				 x402_buf_span(&raw), &tx, &sender, hash),
		X402_ERR_SYNTAX);
	raw.len--;
	/* Any bit: no transaction, or one of another sender. */
	assert_int_equal(x402_transaction_decode(
				 x402_buf_span(&raw), &tx, &sender, hash),
		X402_OK);
	for (size_t i = 0; i < raw.len; i++) {
		struct x402_address other;

		raw.ptr[i] ^= 1;
		if (x402_transaction_decode(
			    x402_buf_span(&raw), &tx, &other, hash) == X402_OK)
			assert_false(x402_address_equal(&other, &sender));
		raw.ptr[i] ^= 1;
	}
	x402_buf_clear(&raw);
}

static void test_decode_refuses_other_types(void **state)
{
	static const uint8_t legacy[] = {0xc0};
	static const uint8_t blob[] = {0x03, 0xc0};
	struct x402_transaction tx;
	struct x402_address sender;
	uint8_t hash[32];

	(void)state;
	assert_int_equal(x402_transaction_decode(
				 x402_span(legacy, 1), &tx, &sender, hash),
		X402_ERR_UNSUPPORTED);
	assert_int_equal(
		x402_transaction_decode(x402_span(blob, 2), &tx, &sender, hash),
		X402_ERR_UNSUPPORTED);
}

static void test_rlp_writes_the_known_forms(void **state)
{
	struct x402_buf items = {0};
	struct x402_buf buf = {0};
	uint8_t long_text[56];

	(void)state;
	x402_rlp_add_bytes(&buf, x402_span_str("dog"));
	assert_hex(buf.ptr, buf.len, "0x83646f67");
	x402_buf_clear(&buf);
	x402_rlp_add_bytes(&items, x402_span_str("cat"));
	x402_rlp_add_bytes(&items, x402_span_str("dog"));
	x402_rlp_add_list(&buf, x402_buf_span(&items));
	assert_hex(buf.ptr, buf.len, "0xc88363617483646f67");
	x402_buf_clear(&buf);
	x402_buf_clear(&items);
	x402_rlp_add_u64(&buf, 0);
	x402_rlp_add_u64(&buf, 15);
	x402_rlp_add_u64(&buf, 1024);
	x402_rlp_add_list(&buf, x402_span(NULL, 0));
	assert_hex(buf.ptr, buf.len, "0x800f820400c0");
	x402_buf_clear(&buf);
	memset(long_text, 'a', sizeof(long_text));
	x402_rlp_add_bytes(&buf, x402_span(long_text, sizeof(long_text)));
	assert_int_equal(buf.len, 58);
	assert_hex(buf.ptr, 3, "0xb83861");
	x402_buf_clear(&buf);
}

static void test_rlp_refuses_other_forms(void **state)
{
	static const char *const bad[] = {
		"0x",                   /* nothing */
		"0x8100",               /* one small byte in long form */
		"0x817f",               /* the same */
		"0x83646f",             /* cut short */
		"0xb80161",             /* long length for a short text */
		"0xb90038",             /* leading zero in the length */
		"0xbf",                 /* length is missing */
		"0xbfffffffffffffffff", /* length near 2^64 */
		"0xc883636174",         /* list cut short */
		"0xf800",               /* long length for a short list */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct x402_buf bytes = {0};
		struct x402_span input;
		struct x402_span item;
		bool is_list;

		assert_int_equal(x402_hex_decode(bad[i], &bytes), X402_OK);
		input = x402_buf_span(&bytes);
		assert_int_equal(x402_rlp_next(&input, &is_list, &item),
			X402_ERR_SYNTAX);
		assert_int_equal(input.len, bytes.len);
		x402_buf_clear(&bytes);
	}
}

static void test_rlp_numbers_refuse_leading_zeros(void **state)
{
	static const uint8_t padded[] = {0, 1};
	static const uint8_t nine[9] = {1};
	static const uint8_t wide[33] = {1};
	struct x402_u256 value;
	uint64_t small;

	(void)state;
	assert_int_equal(x402_rlp_read_u64(x402_span(padded, 2), &small),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_rlp_read_u64(x402_span(nine, 9), &small), X402_ERR_SYNTAX);
	assert_int_equal(x402_rlp_read_u256(x402_span(padded, 2), &value),
		X402_ERR_SYNTAX);
	assert_int_equal(x402_rlp_read_u256(x402_span(wide, 33), &value),
		X402_ERR_SYNTAX);
	assert_int_equal(
		x402_rlp_read_u256(x402_span(wide, 32), &value), X402_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_signed_bytes_equal_another_implementation),
		cmocka_unit_test(test_bad_key_leaves_nothing),
		cmocka_unit_test(test_decode_refuses_what_was_touched),
		cmocka_unit_test(test_decode_refuses_other_types),
		cmocka_unit_test(test_rlp_writes_the_known_forms),
		cmocka_unit_test(test_rlp_refuses_other_forms),
		cmocka_unit_test(test_rlp_numbers_refuse_leading_zeros),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
