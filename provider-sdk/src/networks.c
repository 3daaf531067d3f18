/*
 * networks.c: addresses and prefixes, as 16 bytes and a number of bits.
 * read_ip() takes either family; the rest is comparing bits.
 */
#include "networks_p.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* An address in text, as IPv6. *ret_v4 says how its prefix counts. */
static bool read_ip(
	const char *text, size_t len, uint8_t ip16[16], bool *ret_v4)
{
	static const uint8_t mapped[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	char copy[X402__IP_TEXT_SIZE];

	if (len == 0 || len >= sizeof(copy))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	*ret_v4 = inet_pton(AF_INET, copy, ip16 + 12) == 1;
	if (*ret_v4) {
		memcpy(ip16, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, copy, ip16) == 1;
}

static bool read_bits(const char *text, unsigned max, unsigned *ret_bits)
{
	unsigned bits = 0;
	size_t i = 0;

	for (; text[i] >= '0' && text[i] <= '9' && i < 3; i++)
		bits = bits * 10 + (unsigned)(text[i] - '0');
	if (i == 0 || text[i] != '\0' || bits > max)
		return false;
	*ret_bits = bits;
	return true;
}

static bool read_entry(const char *text, struct x402__network_entry *entry)
{
	size_t len = text ? strcspn(text, "/") : 0;
	bool v4;

	if (!text || !read_ip(text, len, entry->ip16, &v4))
		return false;
	entry->bits = 128;
	if (text[len] == '\0')
		return true;
	if (!read_bits(text + len + 1, v4 ? 32 : 128, &entry->bits))
		return false;
	entry->bits += v4 ? 96 : 0;
	return true;
}

enum x402_err x402__networks_read(const char *const *texts, size_t len,
	struct x402_errinfo *info, struct x402__networks *ret_networks)
{
	struct x402__networks networks = {.len = len};

	if (len > X402__NETWORKS_MAX)
		return X402_ERR_TOO_LARGE;
	networks.list = calloc(len ? len : 1, sizeof(*networks.list));
	if (!networks.list)
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < len; i++)
		if (!read_entry(texts[i], &networks.list[i])) {
			x402_errinfo_set(info, "",
				"entry %zu: expected an address or a network "
				"such as 10.0.0.0/8",
				i);
			x402__networks_clear(&networks);
			return X402_ERR_SYNTAX;
		}
	*ret_networks = networks;
	return X402_OK;
}

void x402__networks_clear(struct x402__networks *networks)
{
	free(networks->list);
	memset(networks, 0, sizeof(*networks));
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8;
	uint8_t mask = (uint8_t)(0xff00u >> bits % 8);

	return memcmp(a, b, whole) == 0 &&
		(bits % 8 == 0 || ((a[whole] ^ b[whole]) & mask) == 0);
}

static bool have_ip(const struct x402__networks *networks, const uint8_t *ip16)
{
	for (size_t i = 0; i < networks->len; i++)
		if (same_bits(ip16, networks->list[i].ip16,
			    networks->list[i].bits))
			return true;
	return false;
}

bool x402__networks_have(
	const struct x402__networks *networks, const char *address)
{
	uint8_t ip16[16];
	bool v4;

	return address && read_ip(address, strlen(address), ip16, &v4) &&
		have_ip(networks, ip16);
}

/* An address of IPv4, as IPv6 writes it. */
static bool is_mapped(const uint8_t ip16[16])
{
	bool v4 = ip16[10] == 0xff && ip16[11] == 0xff;

	for (size_t i = 0; i < 10; i++)
		v4 = v4 && ip16[i] == 0;
	return v4;
}

bool x402__networks_household(const char *address, uint8_t ret_ip16[16])
{
	bool v4;

	if (!read_ip(address, strlen(address), ret_ip16, &v4))
		return false;
	/* Somebody who has one address of IPv6 has the 64 bits behind it. */
	if (!is_mapped(ret_ip16))
		memset(ret_ip16 + 8, 0, 8);
	return true;
}

/* glibc's own prints it with sprintf, which is felt in each unpaid request. */
static void write_v4(const uint8_t ip4[4], char *to)
{
	for (size_t i = 0; i < 4; i++) {
		if (i)
			*to++ = '.';
		if (ip4[i] >= 100)
			*to++ = (char)('0' + ip4[i] / 100);
		if (ip4[i] >= 10)
			*to++ = (char)('0' + ip4[i] / 10 % 10);
		*to++ = (char)('0' + ip4[i] % 10);
	}
	*to = '\0';
}

static void write_ip(const uint8_t ip16[16], char ret_text[X402__IP_TEXT_SIZE])
{
	/* One spelling for one address: it is a key for counters. */
	if (is_mapped(ip16))
		write_v4(ip16 + 12, ret_text);
	else
		inet_ntop(AF_INET6, ip16, ret_text, X402__IP_TEXT_SIZE);
}

bool x402__networks_client(const struct x402__networks *proxies,
	const char *peer, struct x402_span forwarded,
	char ret_client[X402__IP_TEXT_SIZE])
{
	const char *list = (const char *)forwarded.ptr;
	size_t end = forwarded.len;
	uint8_t ip16[16];
	uint8_t next16[16];
	bool v4;

	if (!peer || !read_ip(peer, strlen(peer), ip16, &v4))
		return false;
	while (end > 0 && have_ip(proxies, ip16)) {
		size_t start;

		while (end > 0 && strchr(" \t", list[end - 1]))
			end--;
		start = end;
		while (start > 0 && !strchr(", \t", list[start - 1]))
			start--;
		/* Nonsense from our own proxy: the proxy is all we know. */
		if (!read_ip(list + start, end - start, next16, &v4))
			break;
		memcpy(ip16, next16, sizeof(ip16));
		while (start > 0 && strchr(", \t", list[start - 1]))
			start--;
		end = start;
	}
	write_ip(ip16, ret_client);
	return true;
}
