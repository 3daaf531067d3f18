/*
 * What the tests of names share: DNS messages, written by hand from a few
 * records, with the pointer to the question as the owner where that is "".
 */
#ifndef DNS_HOUSE_H
#define DNS_HOUSE_H

#include <arpa/inet.h>

#include "cmocka_house.h"
#include "dns_p.h"

struct dns_record {
	const char *owner; /* "": the question's name, by a pointer */
	enum x402__dns_type type;
	uint32_t ttl_s;
	const char *data; /* a name, or an address */
};

static inline void dns_put16(struct x402_buf *buf, unsigned value)
{
	x402_buf_add_byte(buf, (uint8_t)(value >> 8));
	x402_buf_add_byte(buf, (uint8_t)value);
}

static inline void dns_put_name(struct x402_buf *buf, const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");

		x402_buf_add_byte(buf, (uint8_t)len);
		x402_buf_add(buf, x402_span(name, len));
		name += len + (name[len] == '.');
	}
	x402_buf_add_byte(buf, 0);
}

static inline void dns_put_record(
	struct x402_buf *buf, const struct dns_record *record)
{
	struct x402_buf data = {0};
	uint8_t ip[16];

	if (*record->owner)
		dns_put_name(buf, record->owner);
	else
		dns_put16(buf, 0xc00c);
	dns_put16(buf, record->type);
	dns_put16(buf, 1);
	dns_put16(buf, record->ttl_s >> 16);
	dns_put16(buf, record->ttl_s & 0xffff);
	if (inet_pton(AF_INET, record->data, ip) == 1)
		x402_buf_add(&data, x402_span(ip, 4));
	else if (inet_pton(AF_INET6, record->data, ip) == 1)
		x402_buf_add(&data, x402_span(ip, 16));
	else
		dns_put_name(&data, record->data);
	dns_put16(buf, (unsigned)data.len);
	x402_buf_add(buf, x402_buf_span(&data));
	x402_buf_clear(&data);
}

/* A whole answer; flags 0x8180: fine, 0x8183: no such name. */
static inline void dns_put_answer(struct x402_buf *buf, uint16_t id,
	unsigned flags, const char *name, enum x402__dns_type type,
	const struct dns_record *records, size_t records_len)
{
	dns_put16(buf, id);
	dns_put16(buf, flags);
	dns_put16(buf, 1);
	dns_put16(buf, (unsigned)records_len);
	dns_put16(buf, 0);
	dns_put16(buf, 0);
	dns_put_name(buf, name);
	dns_put16(buf, type);
	dns_put16(buf, 1);
	for (size_t i = 0; i < records_len; i++)
		dns_put_record(buf, &records[i]);
	assert_false(buf->failed);
}

#endif
