/*
 * EIP-1559 transactions: signed bytes equal what viem 2.57.1 signs with the
 * same key, and everything that is not the one canonical form is refused.
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
#define RAW_LARGE_NONCE                                                    \
	"0x02f87283014a34871fffffffffffff808088ffffffffffffffff94036cbd53" \
	"842c5426634e7929541ec2318f3dcf7e8080c001a0b071ef86c176bbfeefd76b" \
	"ba23d6433aa6650ff92af6cce4bb55b335a1209dc6a06826d71ff96f564574dd" \
	"dce3593005d9b914b6657ee5b5ce3b656836207f89d7"
#define RAW_LARGEST_WEI                                                    \
	"0x02f8c583014a3401a0ffffffffffffffffffffffffffffffffffffffffffff" \
	"fffffffffffffffffffea0ffffffffffffffffffffffffffffffffffffffffff" \
	"ffffffffffffffffffffff82520894036cbd53842c5426634e7929541ec2318f" \
	"3dcf7ea0ffffffffffffffffffffffffffffffffffffffffffffffffffffffff" \
	"ffffffff80c001a0634bfdb2e193f77ffc9ace69aef22381f8346970a4a9a36b" \
	"c2ecd12ab91d5c27a069a804a211723caa47fc0ecf7a134333da2bce26eea6fc" \
	"05fbaa3b993d4af04f"

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

/*
 * Signing has one answer (RFC 6979), so the hash of the raw bytes stands for
 * all of them. Lengths around 55 and 255 change the form of the RLP header; a
 * signature number that begins with zero bytes is written shorter.
 */
static void test_edges_equal_another_implementation(void **state)
{
	static const struct {
		uint64_t nonce;
		size_t data_len; /* that many bytes 0x7f */
		const char *hash;
	} cases[] = {
		{2, 1,
			"0xb1ee52c408409ee8cd3313bf42af2be77970509ba9975bc0fea8"
			"71b26e0f551f"},
		{2, 55,
			"0x128101c9bbb40ed80fd12ab6e9c5e39b51f0ca744391ff4dfb62"
			"cd330a82ec00"},
		{2, 56,
			"0x4828c70a0cfeb7a01c0c22431ff42acabfb7fd3737ab65ecc3a9"
			"d683614e7add"},
		{2, 255,
			"0xd0cd7d7d5b1e93c4bc91250f7304ff482ee88a9baf1a9b54c3c"
			"f460afce7d77e"},
		{2, 256,
			"0x1b274dab6893af8bb40489023b97d3a4c14c59ad2740d7fa350"
			"ae41c55fa5919"},
		/* r, then s, then both in 31 bytes. */
		{12, 0,
			"0x3feeb997105229b895386357b71774e1bc695ab0f5556491e91b"
			"7e1a39c3ab23"},
		{30, 0,
			"0xb597a336f1d8455921c9692365c05d99bb881efa12c86834cfeb"
			"d82181aaefee"},
		{827, 0,
			"0x21c3036ee915d53a66882d5c1c1465b8e38d7a25f89201b89f1"
			"1b32ae1beae01"},
	};
	uint8_t data[256];

	(void)state;
	memset(data, 0x7f, sizeof(data));
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct x402_transaction tx = plain_transaction();
		struct x402_transaction decoded;
		struct x402_address sender;
		struct x402_buf raw = {0};
		uint8_t hash[32];

		tx.nonce = cases[i].nonce;
		tx.data = x402_span(data, cases[i].data_len);
		assert_int_equal(
			x402_transaction_sign(secp, &tx, &key, &raw, hash),
			X402_OK);
		assert_hex(hash, 32, cases[i].hash);
		assert_int_equal(x402_transaction_decode(x402_buf_span(&raw),
					 &decoded, &sender, hash),
			X402_OK);
		assert_hex(hash, 32, cases[i].hash);
		assert_hex(sender.bytes, 20,
			"0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
		assert_int_equal(decoded.data.len, cases[i].data_len);
		assert_memory_equal(decoded.data.ptr, data, cases[i].data_len);
		x402_buf_clear(&raw);
	}
}

static void test_largest_numbers_equal_another_implementation(void **state)
{
	struct x402_transaction tx = plain_transaction();

	(void)state;
	tx.nonce = 9007199254740991; /* the other one counts in doubles */
	tx.gas_limit = UINT64_MAX;
	assert_signs_to(&tx, RAW_LARGE_NONCE);
	tx = plain_transaction();
	tx.nonce = 1;
	memset(&tx.value, 0xff, sizeof(tx.value));
	tx.max_fee_per_gas = tx.value;
	tx.max_priority_fee_per_gas = tx.value;
	tx.max_priority_fee_per_gas.limb[0]--;
	assert_signs_to(&tx, RAW_LARGEST_WEI);
}

/* A nonce larger than any other implementation's comes back too. */
static void test_nonce_near_2_64_comes_back(void **state)
{
	struct x402_transaction tx = plain_transaction();
	struct x402_transaction decoded;
	struct x402_address sender;
	struct x402_buf raw = {0};
	uint8_t hash[32];

	(void)state;
	tx.nonce = UINT64_MAX;
	assert_int_equal(
		x402_transaction_sign(secp, &tx, &key, &raw, hash), X402_OK);
	assert_int_equal(x402_transaction_decode(
				 x402_buf_span(&raw), &decoded, &sender, hash),
		X402_OK);
	assert_true(decoded.nonce == UINT64_MAX);
	x402_buf_clear(&raw);
}

/* The twelve items of RAW_PLAIN, with one of them put differently. */
struct odd_item {
	size_t index;
	const char *encoded;
	enum x402_err err;
};

static void assert_odd_item_refused(const struct odd_item *odd)
{
	struct x402_buf raw = {0};
	struct x402_buf items = {0};
	struct x402_buf changed = {0};
	struct x402_buf other = {0};
	struct x402_transaction tx;
	struct x402_address sender;
	struct x402_span rest;
	struct x402_span list;
	struct x402_span item;
	uint8_t hash[32];
	bool is_list;

	assert_int_equal(x402_hex_decode(RAW_PLAIN, &raw), X402_OK);
	assert_int_equal(x402_hex_decode(odd->encoded, &other), X402_OK);
	rest = x402_span(raw.ptr + 1, raw.len - 1);
	assert_int_equal(x402_rlp_next(&rest, &is_list, &list), X402_OK);
	for (size_t i = 0; list.len > 0 || i == odd->index; i++) {
		const uint8_t *start = list.ptr;

		if (list.len > 0)
			assert_int_equal(
				x402_rlp_next(&list, &is_list, &item), X402_OK);
		if (i == odd->index)
			x402_buf_add(&items, x402_buf_span(&other));
		else
			x402_buf_add(&items,
				x402_span(start, (size_t)(list.ptr - start)));
	}
	x402_buf_add_byte(&changed, 0x02);
	x402_rlp_add_list(&changed, x402_buf_span(&items));
	assert_int_equal(x402_transaction_decode(
				 x402_buf_span(&changed), &tx, &sender, hash),
		odd->err);
	x402_buf_clear(&raw);
	x402_buf_clear(&items);
	x402_buf_clear(&changed);
	x402_buf_clear(&other);
}

#define ORDER_N                            \
	"fffffffffffffffffffffffffffffffe" \
	"baaedce6af48a03bbfd25e8cd0364141"

static void test_decode_refuses_odd_items(void **state)
{
	static const struct odd_item cases[] = {
		{0, "0xc0", X402_ERR_SYNTAX},     /* a list */
		{0, "0x820001", X402_ERR_SYNTAX}, /* leading zero */
		{1, "0x00", X402_ERR_SYNTAX},     /* zero as a byte */
		{1, "0x89010000000000000000", X402_ERR_SYNTAX}, /* 2^64 */
		{4, "0x8100", X402_ERR_SYNTAX},    /* not canonical */
		{5, "0x80", X402_ERR_UNSUPPORTED}, /* creates a contract */
		{5, "0x8101", X402_ERR_SYNTAX},
		{5, "0x93036cbd53842c5426634e7929541ec2318f3dcf",
			X402_ERR_SYNTAX},            /* 19 bytes */
		{7, "0xc0", X402_ERR_SYNTAX},        /* data as a list */
		{8, "0x80", X402_ERR_SYNTAX},        /* access list as bytes */
		{8, "0xc101", X402_ERR_UNSUPPORTED}, /* access list */
		{9, "0x02", X402_ERR_SYNTAX},        /* parity */
		{9, "0x1b", X402_ERR_SYNTAX},        /* v of old */
		{10, "0x80", X402_ERR_CRYPTO},       /* r is zero */
		{10, "0xa0" ORDER_N, X402_ERR_CRYPTO}, /* r is the order */
		{11, "0x80", X402_ERR_CRYPTO},         /* s is zero */
		{11, "0xa0" ORDER_N, X402_ERR_CRYPTO},
		/* The s of RAW_PLAIN from the other end: the same payment in
		 * another encoding. */
		{11,
			"0xa0f012d0434deda2d8692a8b1a70a9ad30e05e6a290bb52d33d5"
			"3a6b1f84c8c2b1",
			X402_ERR_CRYPTO},
		{12, "0x80", X402_ERR_SYNTAX}, /* a thirteenth */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_odd_item_refused(&cases[i]);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_signed_bytes_equal_another_implementation),
		cmocka_unit_test(test_edges_equal_another_implementation),
		cmocka_unit_test(
			test_largest_numbers_equal_another_implementation),
		cmocka_unit_test(test_nonce_near_2_64_comes_back),
		cmocka_unit_test(test_bad_key_leaves_nothing),
		cmocka_unit_test(test_decode_refuses_what_was_touched),
		cmocka_unit_test(test_decode_refuses_other_types),
		cmocka_unit_test(test_decode_refuses_odd_items),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
