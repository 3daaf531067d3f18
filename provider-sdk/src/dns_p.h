/*
 * dns_p.h: the messages of the DNS (RFC 1035), as far as the names of crawlers
 * need them: a question for PTR, A or AAAA, and the answer to it. Without
 * EDNS: an answer above 512 bytes is truncated, and then says nothing.
 *
 * Not for: asking (uv/resolver_p.h), deciding (rdns_p.h).
 * Thread rule: pure functions. Private to the provider SDK.
 */
#ifndef X402_PROVIDER_DNS_P_H
#define X402_PROVIDER_DNS_P_H

#include "x402/base.h"

/* 253 characters and a NUL. */
#define X402__DNS_NAME_SIZE 254
/* RFC 1035, 4.2.1: without EDNS none is longer. */
#define X402__DNS_MESSAGE_SIZE 512
/* Records of an answer that are looked at: an address of an honest crawler has
 * one name, and that a few addresses. */
#define X402__DNS_NAMES_MAX     4
#define X402__DNS_ADDRESSES_MAX 16

enum x402__dns_type {
	X402__DNS_A = 1,
	X402__DNS_CNAME = 5,
	X402__DNS_PTR = 12,
	X402__DNS_AAAA = 28
};

enum x402__dns_verdict {
	X402__DNS_FOUND,
	X402__DNS_NOTHING, /* there is no such name, or it has no such record */
	X402__DNS_FAILED,  /* the server cannot say: ask later */
	X402__DNS_STRAY    /* not the answer to this question: wait on */
};

struct x402__dns_answer {
	uint32_t ttl_s; /* the shortest of what was used */
	/* PTR: names of hosts, lower case, without the last dot. */
	char names[X402__DNS_NAMES_MAX][X402__DNS_NAME_SIZE];
	size_t names_len;
	/* A and AAAA: IPv4 as ::ffff:a.b.c.d. */
	uint8_t addresses[X402__DNS_ADDRESSES_MAX][16];
	size_t addresses_len;
};

/* The name under which an address's names are asked for. */
void x402__dns_reverse(
	const uint8_t ip16[16], char ret_name[X402__DNS_NAME_SIZE]);
/* Is it an IPv4 address written as IPv6? */
bool x402__dns_is_v4(const uint8_t ip16[16]);

/* Write a question. Its length, 0 when name is no name. */
size_t x402__dns_write(uint16_t id, const char *name, enum x402__dns_type type,
	uint8_t ret_message[X402__DNS_MESSAGE_SIZE]);

/* Read what came. *ret_answer is set for FOUND. */
enum x402__dns_verdict x402__dns_read(struct x402_span message, uint16_t id,
	const char *name, enum x402__dns_type type,
	struct x402__dns_answer *ret_answer);

#endif
