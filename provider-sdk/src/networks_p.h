/*
 * networks_p.h: lists of IP networks, and who the client is behind proxies of
 * our own (demands.md P8: forwarded headers only from trusted networks).
 * Thread rule: a list is constant once read. Private to the provider SDK.
 */
#ifndef X402_PROVIDER_NETWORKS_P_H
#define X402_PROVIDER_NETWORKS_P_H

#include "x402/x402.h"

/* Longer lists belong into the firewall. */
#define X402__NETWORKS_MAX 4096
/* An IPv6 address with room for an IPv4 one inside, and its NUL. */
#define X402__IP_TEXT_SIZE 46

/* IPv4 is kept as IPv6 (::ffff:a.b.c.d), so that both spellings are one. */
struct x402__network_entry {
	uint8_t ip16[16];
	unsigned bits;
};

struct x402__networks {
	struct x402__network_entry *list; /* owned */
	size_t len;
};

/* "10.0.0.0/8", "2001:db8::/32", "192.0.2.7". SYNTAX with the index in
 * info->text, TOO_LARGE, NOMEM. Clear the result. */
X402_MUST_USE enum x402_err x402__networks_read(const char *const *texts,
	size_t len, struct x402_errinfo *info,
	struct x402__networks *ret_networks);
void x402__networks_clear(struct x402__networks *networks);
/* Is the address, as text, in one of them? NULL and nonsense: no. */
bool x402__networks_have(
	const struct x402__networks *networks, const char *address);

/*
 * What counts as one client: the address, or of IPv6 its /64, in which a
 * single household has as many addresses as it likes. False for no address.
 */
bool x402__networks_household(const char *address, uint8_t ret_ip16[16]);

/*
 * The client of a request that came from peer. forwarded is the
 * X-Forwarded-For list: read from its right end, as long as the one who wrote
 * an entry is a proxy of ours; what a stranger wrote further left is not
 * believed. False when peer is no address.
 */
bool x402__networks_client(const struct x402__networks *proxies,
	const char *peer, struct x402_span forwarded,
	char ret_client[X402__IP_TEXT_SIZE]);

#endif
