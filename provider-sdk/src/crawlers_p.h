/*
 * crawlers_p.h: lists of crawlers and of tokens, as a provider and its routes
 * hold them. Who uses them is in crawler_p.h.
 * Thread rule: constant once read, but for the keys. Private.
 */
#ifndef X402_PROVIDER_CRAWLERS_P_H
#define X402_PROVIDER_CRAWLERS_P_H

#include "networks_p.h"
#include "x402/provider.h"
#include "x402/svm.h"

/* A directory lists a few keys: the current one, the next, some old ones. */
#define X402__BOT_KEYS_MAX 16
/* The keys of a directory. */
struct x402__bot_keys {
	struct x402__bot_key {
		struct x402_pubkey key;
		char id[64];
		/* What its owner says; 0 and UINT64_MAX where he does not. */
		uint64_t from_unix_s;
		uint64_t to_unix_s;
	} keys[X402__BOT_KEYS_MAX];
	size_t len;
	uint64_t asked_unix_s;
	uint64_t until_unix_s; /* fresh so long */
};

/* One entry of a list. */
struct x402__crawler {
	char *user_agent;
	enum x402_provider_policy policy;
	struct x402__networks networks;
	char **hosts;
	size_t hosts_len;
	char *directory;
	struct x402__bot_keys keys; /* under the provider's lock */
};
struct x402__crawlers {
	struct x402__crawler *list;
	size_t len;
};
X402_MUST_USE enum x402_err x402__crawlers_read(
	const struct x402_provider_crawler *from, size_t len,
	struct x402_errinfo *info, struct x402__crawlers *ret_crawlers);
void x402__crawlers_clear(struct x402__crawlers *crawlers);

struct x402__holder {
	char *rpc_url;
	char *price; /* NULL: free */
	struct x402_address token;
	struct x402_u256 min;
};

#endif
