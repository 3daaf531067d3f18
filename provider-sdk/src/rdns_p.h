/*
 * rdns_p.h: the name of an address, confirmed forward (the crawler policy's
 * hosts): the address has that name, and the name has that address. Anybody can
 * give his own address the name of somebody else; only who owns the name can
 * give it the address.
 *
 *   x402__rdns_begin()
 *   do send x402__rdns_question(); x402__rdns_answered()
 *   while ASK
 *
 * And a memory of names, so that a crawler is asked about once an hour and not
 * for each page.
 *
 * Not for: sockets; uv/resolver_p.h has them.
 * Thread rule: a lookup and a memory belong to one thread at a time. Private.
 */
#ifndef X402_PROVIDER_RDNS_P_H
#define X402_PROVIDER_RDNS_P_H

#include "dns_p.h"
#include "x402/error.h"

enum x402__rdns_step {
	X402__RDNS_ASK,   /* the next question */
	X402__RDNS_WAIT,  /* that was no answer to ours: go on listening */
	X402__RDNS_NAMED, /* lookup->name is confirmed */
	X402__RDNS_NAMELESS,
	X402__RDNS_FAILED /* the DNS does not say: soon again */
};

struct x402__rdns {
	uint8_t ip16[16];
	/* What is asked now. */
	enum x402__dns_type type;
	char asked[X402__DNS_NAME_SIZE];
	/* Names that the address says it has; at: the one that is asked. */
	char names[X402__DNS_NAMES_MAX][X402__DNS_NAME_SIZE];
	size_t names_len;
	size_t at;
	bool failed; /* one of the names could not be asked */
	uint32_t ttl_s;
	char name[X402__DNS_NAME_SIZE]; /* NAMED */
};

/* False when text is no address. */
X402_MUST_USE bool x402__rdns_begin(
	const char *address, struct x402__rdns *ret_lookup);
/* Its length; never 0. id: random, another one each time. */
size_t x402__rdns_question(const struct x402__rdns *lookup, uint16_t id,
	uint8_t ret_message[X402__DNS_MESSAGE_SIZE]);
/* id is the question's. */
enum x402__rdns_step x402__rdns_answered(
	struct x402__rdns *lookup, uint16_t id, struct x402_span message);
/* Nobody answered, after all tries. */
enum x402__rdns_step x402__rdns_unanswered(struct x402__rdns *lookup);

/* ---- The memory. ---- */

/* 290 bytes each. Crawlers come from some hundred addresses; strangers who say
 * that they are one fill the rest. */
#define X402__RDNS_MEMORY_MAX 2048

struct x402__rdns_memory; /* opaque */

/* seed: random, so that nobody knows whose places his addresses take. NULL
 * when memory is out. */
struct x402__rdns_memory *x402__rdns_memory_new(uint64_t seed);
/* NULL allowed. */
void x402__rdns_memory_free(struct x402__rdns_memory *names);
/* True when it is known: *ret_name is the name, "" for none. Borrowed until
 * the next call. */
bool x402__rdns_memory_find(const struct x402__rdns_memory *names,
	const uint8_t ip16[16], uint64_t now_unix_s, const char **ret_name);
/* What a lookup found: NAMED, NAMELESS or FAILED. */
void x402__rdns_memory_keep(struct x402__rdns_memory *names,
	const struct x402__rdns *lookup, enum x402__rdns_step step,
	uint64_t now_unix_s);

#endif
