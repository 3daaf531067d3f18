/*
 * qr_p.h: a small QR code encoder: bytes to a square of modules, as an SVG
 * path. For the URL on the page for people, so that a phone can open it.
 *
 * Not for: other modes than bytes, versions above 10 or error correction above
 * L; a screen does not get scratched.
 * Thread rule: pure functions. Private to the provider SDK.
 */
#ifndef X402_PROVIDER_QR_P_H
#define X402_PROVIDER_QR_P_H

#include "x402/base.h"

/* Version 10: 57 modules a side, 271 bytes at level L. More of them are hard
 * to scan from a screen. */
#define X402__QR_SIZE_MAX  57
#define X402__QR_BYTES_MAX 271

struct x402__qr {
	int size;                                        /* modules a side */
	bool dark[X402__QR_SIZE_MAX][X402__QR_SIZE_MAX]; /* [y][x] */
};

/* False when there are more bytes than fit. */
bool x402__qr_encode(struct x402_span bytes, struct x402__qr *ret_qr);
/* Append the dark modules as a path of one-unit strokes: "M0 0h7M9 0h2...". */
void x402__qr_path(const struct x402__qr *qr, struct x402_buf *buf);

#endif
