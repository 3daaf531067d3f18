/*
 * client_p.h: what a client holds, private.
 */
#ifndef X402_CLIENT_CLIENT_P_H
#define X402_CLIENT_CLIENT_P_H

#include <curl/curl.h>

#include "flow_p.h"
#include "svm_p.h"

/* A key in locked memory, of EVM with its signing context, or of Solana. */
struct x402__keyring;

struct x402_client {
	struct x402_client_options options; /* defaults filled in */
	struct x402_client_signer signer;
	bool has_signer;
	struct x402__keyring *keyring;
	struct x402__keyring *svm_keyring;
	struct x402__svm *svm; /* or NULL */
	struct x402_create_cache create_cache;
	CURL *curl; /* for x402_client_fetch(): kept for its connections */
	struct x402__operator *operator_; /* counters and circuits */
};

/*
 * Copy a key and make a signer of it. KEY, NOMEM, CRYPTO; INTERNAL when there
 * is no random generator. signer lives as long as the keyring.
 */
X402_MUST_USE enum x402_err x402__keyring_new(const struct x402_secret *key,
	struct x402__keyring **ret_keyring,
	struct x402_client_signer *ret_signer);
/* The same for a key of Solana. NOMEM. */
X402_MUST_USE enum x402_err x402__svm_keyring_new(
	const struct x402_svm_secret *key, struct x402__keyring **ret_keyring,
	struct x402_client_svm_signer *ret_signer);
void x402__keyring_free(struct x402__keyring *keyring);
/* L-039: bytes from the OS. */
void x402__random(uint8_t *ret_bytes, size_t len);
X402_MUST_USE bool x402__random_init(void);

/*
 * x402_client_fetch() that presents what the journal has open, and never
 * signs: UNRESOLVED when there is nothing open to present.
 */
X402_MUST_USE enum x402_err x402__client_present(struct x402_client *client,
	const struct x402_client_request *request,
	struct x402_client_response *response);

/* Millionths of a dollar, rounded up; -1 when nobody can say. */
int64_t x402__usd_micros(
	const char *network, const char *asset, const char *amount);

/* Milliseconds: from some start, never backwards; and since 1970. */
int64_t x402__now_ms(void);
uint64_t x402__now_unix_ms(void);
/* Since the machine booted, sleep included. */
uint64_t x402__elapsed_ms(void);

#endif
