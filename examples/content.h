/*
 * content.h: what the example sites sell, and for how much. content-site.c and
 * content-site-microhttpd.c are two servers around the same shop.
 *
 * Environment:
 *   PAY_TO (or EVM_ADDRESS)  who is paid; required
 *   X402_NETWORK             default eip155:84532 (Base Sepolia)
 *   FACILITATOR_URL          default https://x402.org/facilitator
 *   PORT                     default 4022; 0 takes a free one
 *   PUBLIC_ORIGIN            default http://127.0.0.1:PORT
 *   X402_JOURNAL             a file that remembers payments; default: none
 *   X402_SIGNING_KEY         a key that signs offers and receipts
 *   X402_CRAWLER_DIRECTORY   origin of SignedBot, whose signed requests are
 *                            free
 *   X402_CRAWLER_HOST        ".bot.example": NamedBot is free from addresses
 *                            with such a name (content-site alone asks)
 *   X402_RESOLVER            who is asked for it, "192.0.2.53:53"; default: as
 *                            in /etc/resolv.conf
 *   X402_INTEROP=1           adds /paid, /paid-post and /fail, the routes that
 *                            the interoperability tests ask every server for
 */
#ifndef CONTENT_H
#define CONTENT_H

#include "x402/provider.h"
#include "x402/provider_journal.h"

struct content_config {
	const char *pay_to;
	const char *fee_payer; /* on Solana: the facilitator's */
	const char *network;
	const char *facilitator_url;
	const char *public_origin; /* NULL: from the port */
	uint16_t port;
	bool interop;
	/* With interop: who takes what upto permits. */
	const char *facilitator;
	const char *crawler_directory; /* NULL: nobody reads for nothing */
	const char *crawler_host;      /* likewise */
	const char *resolver;          /* NULL: the system's */
	const char *signing_key; /* NULL: offers and receipts are unsigned */
	/* Open, or NULL. Closed by content_config_clear. */
	struct x402_provider_journal *journal;
};

/* Read the environment. False after saying on stderr what was expected. */
bool content_config_read(struct content_config *ret_config);
/* After the provider is free. */
void content_config_clear(struct content_config *config);

/*
 * The price list, for a server that listens on port. NULL after saying why on
 * stderr. Free with x402_provider_free.
 */
struct x402_provider *content_provider_new(
	const struct content_config *config, uint16_t port);
/* Routes in the list: the n-th handler serves the n-th route. */
size_t content_routes_len(const struct content_config *config);

struct content_answer {
	unsigned status;
	const char *type; /* constant */
	char *body;       /* from malloc, or NULL */
	/* Of the scheme upto: the header that says what is taken; or NULL. */
	const char *override;
};

/* Serve what the gate matched, so that it is what was paid for. Free the
 * body. */
void content_answer(
	const struct x402_gate *gate, struct content_answer *ret_answer);

#endif
