/*
 * hook_message.h: what a web hook is sent: body, signature, and when to try
 * again. docs/facilitator.md shows receivers how to check it.
 *
 * Not for: sending; see hooks.h.
 * Thread rule: pure functions.
 */
#ifndef FAC_OPS_HOOK_MESSAGE_H
#define FAC_OPS_HOOK_MESSAGE_H

#include "config.h"
#include "store/store.h"

/* Payment id, "-", state, "-", unix ms of that end. */
#define FAC_HOOK_ID_SIZE (FAC_PAYMENT_ID_SIZE + 40)
/* "sha256=" and 64 hex digits. */
#define FAC_HOOK_SIGNATURE_SIZE 72
/* Tries, the first one included, before a delivery is given up: ~7 hours. */
#define FAC_HOOK_TRIES_MAX    16
#define FAC_HOOK_DELAY_MAX_MS 3600000

/*
 * One name for an end and all tries to tell of it: receivers know by it what
 * they have seen.
 */
void fac_hook_id(const struct fac_outbox_row *row,
	const struct fac_payment *payment, char ret_id[FAC_HOOK_ID_SIZE]);
/* JSON text; caller frees. NULL when memory is out. */
char *fac_hook_body(
	const struct fac_outbox_row *row, const struct fac_payment *payment);
/* HMAC-SHA256 over timestamp, "." and body. */
void fac_hook_sign(const struct fac_hook_secret *secret, const char *timestamp,
	const char *body, char ret_signature[FAC_HOOK_SIGNATURE_SIZE]);
/*
 * How long to wait after that many tries: doubled each time from 5 s, at most
 * an hour, less a random part up to a half, so that a receiver that comes
 * back is not met by all at once.
 */
uint64_t fac_hook_delay_ms(uint32_t tries, uint32_t random32);

#endif
