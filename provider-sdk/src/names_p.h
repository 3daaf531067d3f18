/*
 * names_p.h: the names that buyers gave to their purchases (E-PI), and what
 * they bought, in memory: for a provider whose memory knows no names.
 *
 * Bounded both ways. A name that finds no place cannot be taken, so that its
 * payment is turned away before money moves; a response that finds none is not
 * kept, and its buyer is told that the payment is spent.
 *
 * Thread rule: any thread; it has its own lock. Private to the provider SDK.
 */
#ifndef X402_PROVIDER_NAMES_P_H
#define X402_PROVIDER_NAMES_P_H

#include "x402/provider_memory.h"

/* As many as payments by default (payments_max). */
#define X402__NAMES_MAX 65536
/* All kept responses together; more belongs into a journal. */
#define X402__NAMES_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct x402__names;

struct x402__names *x402__names_new(size_t max, size_t bytes_max);
void x402__names_free(struct x402__names *names);

/* As the verbs of provider_memory.h. */
bool x402__names_take(struct x402__names *names,
	const struct x402_claim_name *name, uint64_t now_unix_s);
bool x402__names_find(struct x402__names *names, const uint8_t name32[32],
	uint64_t now_unix_s, struct x402_claim_name *ret_name,
	struct x402_buf *ret_response);
void x402__names_keep(struct x402__names *names, const uint8_t name32[32],
	struct x402_span response);
void x402__names_drop(struct x402__names *names, const uint8_t name32[32]);

#endif
