/*
 * Keccak-256 against known digests, against nettle's permutation as an
 * independent oracle over every length around the block size, and in pieces.
 */
#include <nettle/sha3.h>

#include "cmocka_house.h"
#include "x402/encoding.h"
#include "x402/evm.h"

/* The sponge once more, the slow way, on somebody else's permutation. */
static void oracle(const uint8_t *data, size_t len, uint8_t ret_hash32[32])
{
	struct sha3_state state = {{0}};
	uint8_t block[136];
	size_t at = 0;
	bool last = false;

	while (!last) {
		size_t n = len - at < 136 ? len - at : 136;

		memset(block, 0, sizeof(block));
		if (n > 0)
			memcpy(block, data + at, n);
		at += n;
		last = n < 136;
		if (last) {
			block[n] ^= 0x01;
			block[135] ^= 0x80;
		}
		for (size_t i = 0; i < 136; i++)
			state.a[i / 8] ^= (uint64_t)block[i] << 8 * (i % 8);
		sha3_permute(&state);
	}
	for (size_t i = 0; i < 32; i++)
		ret_hash32[i] = (uint8_t)(state.a[i / 8] >> 8 * (i % 8));
}

static void test_keccak_known_inputs_give_known_hashes(void **state)
{
	(void)state;
	assert_keccak("",
		"0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7b"
		"fad8045d85a470");
	assert_keccak("Transfer(address,address,uint256)",
		"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523"
		"b3ef");
}

static void test_keccak_is_not_sha3(void **state)
{
	static const uint8_t sha3_of_nothing[4] = {0xa7, 0xff, 0xc6, 0xf8};
	uint8_t hash[32];

	(void)state;
	x402_keccak256(x402_span("", 0), hash);
	assert_memory_not_equal(hash, sha3_of_nothing, 4);
}

static void test_keccak_every_length_agrees_with_oracle(void **state)
{
	uint8_t data[420];
	uint8_t hash[32];
	uint8_t expected[32];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 131 + 7);
	for (size_t len = 0; len <= sizeof(data); len++) {
		x402_keccak256(x402_span(data, len), hash);
		oracle(data, len, expected);
		assert_memory_equal(hash, expected, 32);
	}
}

static void test_keccak_pieces_give_the_whole(void **state)
{
	uint8_t data[420] = {1, 2, 3};
	uint8_t hash[32];
	uint8_t expected[32];

	(void)state;
	x402_keccak256(x402_span(data, sizeof(data)), expected);
	for (size_t piece = 1; piece < 150; piece++) {
		struct x402_keccak keccak;

		x402_keccak_init(&keccak);
		for (size_t at = 0; at < sizeof(data); at += piece) {
			size_t left = sizeof(data) - at;

			x402_keccak_update(&keccak,
				x402_span(data + at,
					left < piece ? left : piece));
		}
		x402_keccak_final(&keccak, hash);
		assert_memory_equal(hash, expected, 32);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keccak_known_inputs_give_known_hashes),
		cmocka_unit_test(test_keccak_is_not_sha3),
		cmocka_unit_test(test_keccak_every_length_agrees_with_oracle),
		cmocka_unit_test(test_keccak_pieces_give_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
