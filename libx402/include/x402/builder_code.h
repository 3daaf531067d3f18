/*
 * builder_code.h: the extension builder-code (E-BC): who brought a payment
 * about, written behind the calldata that settles it (ERC-8021, schema 2),
 * where contracts do not look and indexers do.
 *
 *   a  the seller's application, echoed by the payer
 *   s  services on the way: the payer's first, then the seller's
 *   w  whoever sends the transaction: the facilitator
 *
 * Not for: proof. Nothing of it is signed; it says what its writers said.
 * Thread rule: pure functions.
 */
#ifndef X402_BUILDER_CODE_H
#define X402_BUILDER_CODE_H

#include "x402/json.h"

#ifdef __cplusplus
extern "C" {
#endif

/* 1 to 32 of a-z, 0-9 and _, and a NUL. */
#define X402_BUILDER_CODE_SIZE 33
/* What a payer and a seller may name together; the rest is dropped. */
#define X402_BUILDER_SERVICES_MAX 10
/* ... and a payer alone. */
#define X402_BUILDER_CLIENT_MAX 5

struct x402_builder_codes {
	char app[X402_BUILDER_CODE_SIZE]; /* "" where none is named */
	char services[X402_BUILDER_SERVICES_MAX][X402_BUILDER_CODE_SIZE];
	size_t services_len;
	char wallet[X402_BUILDER_CODE_SIZE];
};

/* NULL is none. */
X402_API bool x402_builder_code_is_valid(const char *text);
/*
 * Read extensions["builder-code"], in the form {"info": {...}} or flat as in
 * the specification's example. What is no code is dropped, and so are doubles
 * and more services than there may be. wallet stays "". False: nothing there.
 */
X402_API bool x402_builder_codes_read(const struct x402_json *extensions,
	struct x402_builder_codes *ret_codes);
/*
 * Append the suffix of calldata: CBOR, its length, the schema and the marker.
 * Nothing where no code is named. Check buf->failed.
 */
X402_API void x402_builder_codes_suffix(
	const struct x402_builder_codes *codes, struct x402_buf *buf);
/*
 * What a payer adds to a payment: {"builder-code": {"info": {"s": [...]}}} for
 * the client's extensions of x402_payment_payload_build, which puts the
 * server's services behind. INVALID_ARGUMENT for none, for more than
 * X402_BUILDER_CLIENT_MAX, and for what is no code; NOMEM.
 */
X402_API X402_MUST_USE enum x402_err x402_builder_codes_create(
	const char *const *services, size_t services_len,
	struct x402_json **ret_extensions);

#ifdef __cplusplus
}
#endif
#endif
