/*
 * headers_p.h: an owned list of header lines, private to the client.
 */
#ifndef X402_CLIENT_HEADERS_P_H
#define X402_CLIENT_HEADERS_P_H

#include "x402/client.h"

/*
 * Caps on what a server may answer with, in lines and bytes: four times the
 * largest payment header, so that a challenge and a receipt fit together.
 */
#define X402__HEADERS_MAX       200
#define X402__HEADERS_MAX_BYTES (4 * X402_HEADER_MAX_BYTES)

struct x402_client_headers {
	struct x402_client_header *items; /* each string owned */
	size_t len;
	size_t bytes;
};

/*
 * Copies. value may be NULL (a default header that is not to be sent).
 * TOO_LARGE beyond the caps, NOMEM.
 */
X402_MUST_USE enum x402_err x402__headers_add(
	struct x402_client_headers *headers, struct x402_span name,
	struct x402_span value);
/* Remove every header of that name. */
void x402__headers_remove(
	struct x402_client_headers *headers, const char *name);
void x402__headers_clear(struct x402_client_headers *headers);

/*
 * The value of a header that may occur once. *ret_count says how often it
 * came: two values of one payment header are no value.
 */
const char *x402__header_find(const struct x402_client_header *headers,
	size_t len, const char *name, size_t *ret_count);

/* What may be sent: a token, and a value without control characters. */
bool x402__header_is_valid(const char *name, const char *value);
/* PAYMENT-SIGNATURE or X-PAYMENT, whatever the case. */
bool x402__header_is_payment(const char *name);

#endif
