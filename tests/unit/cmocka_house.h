/*
 * What every unit test includes: cmocka with the headers it wants first, and
 * a few assertions that read like the protocol.
 */
#ifndef CMOCKA_HOUSE_H
#define CMOCKA_HOUSE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "x402/encoding.h"
#include "x402/evm.h"

/* Bytes from 0x hex of exactly that many bytes; a typing error fails. */
static inline void hex_fixed(const char *text, void *ret_bytes, size_t len)
{
	assert_int_equal(x402_hex_decode_fixed(text, ret_bytes, len), X402_OK);
}

static inline void assert_hex(
	const void *bytes, size_t len, const char *expected)
{
	struct x402_buf buf = {0};
	char *text;

	x402_hex_encode_0x(x402_span(bytes, len), &buf);
	text = x402_buf_take_str(&buf);
	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static inline void assert_keccak(const char *text, const char *expected)
{
	uint8_t hash[32];

	x402_keccak256(x402_span_str(text), hash);
	assert_hex(hash, 32, expected);
}

/*
 * What makes two payments one is in every journal: a key that came out another
 * way would let a proof or a delegation pay anew after an update. The expected
 * ones were made with viem.
 */
static inline void assert_key_is(const uint8_t key32[32], const char *expected)
{
	assert_hex(key32, 32, expected);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
