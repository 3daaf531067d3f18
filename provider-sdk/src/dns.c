/*
 * dns.c: read_name() follows the pointers of compressed names, always
 * backwards, so that it ends; x402__dns_read() walks the answers in order and
 * follows aliases, as RFC 2317 has them for parts of a network.
 *
 * Whoever owns an address may answer whatever he likes. So every length is
 * held against the message, and what shall be the name of a host must look
 * like one.
 */
#include "dns_p.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define HEADER_LEN 12
#define CLASS_IN   1
/* More aliases than this are a ring. */
#define ALIASES_MAX 8
/* A message of 512 bytes has no room for more. */
#define RECORDS_MAX 64
#define TTL_MAX_S   86400

/* Flags of a header. */
#define FLAG_RESPONSE  0x8000u
#define FLAG_OPCODE    0x7800u
#define FLAG_TRUNCATED 0x0200u
#define FLAG_RECURSE   0x0100u
#define FLAG_RCODE     0x000fu
#define RCODE_NO_NAME  3u

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* ---- Names. ---- */

bool x402__dns_is_v4(const uint8_t ip16[16])
{
	static const uint8_t mapped[12] = {
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(ip16, mapped, sizeof(mapped)) == 0;
}

void x402__dns_reverse(
	const uint8_t ip16[16], char ret_name[X402__DNS_NAME_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	char *to = ret_name;

	if (x402__dns_is_v4(ip16)) {
		snprintf(ret_name, X402__DNS_NAME_SIZE,
			"%u.%u.%u.%u.in-addr.arpa", ip16[15], ip16[14],
			ip16[13], ip16[12]);
		return;
	}
	for (size_t i = 16; i-- > 0;) {
		*to++ = hex[ip16[i] & 15];
		*to++ = '.';
		*to++ = hex[ip16[i] >> 4];
		*to++ = '.';
	}
	memcpy(to, "ip6.arpa", sizeof("ip6.arpa"));
}

/* Letters, digits, hyphens; '_' is seen in the wild. */
static bool is_host(const char *name)
{
	bool dot = false;

	for (size_t i = 0; name[i]; i++) {
		dot = dot || name[i] == '.';
		if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
			return false;
	}
	return dot;
}

/* One label into the name; false where its bytes would be another name. */
static bool add_label(
	const uint8_t *label, size_t len, char *name, size_t *name_len)
{
	if (*name_len + len + 1 >= X402__DNS_NAME_SIZE)
		return false;
	if (*name_len)
		name[(*name_len)++] = '.';
	for (size_t i = 0; i < len; i++) {
		if (label[i] <= ' ' || label[i] > '~' || label[i] == '.' ||
			label[i] == '\\')
			return false;
		name[(*name_len)++] = (char)tolower(label[i]);
	}
	return true;
}

/* A name at *at, which then is behind it. The root is "". */
static bool read_name(struct x402_span message, size_t *at,
	char ret_name[X402__DNS_NAME_SIZE])
{
	size_t len = 0;
	size_t from = *at;
	size_t limit = message.len; /* pointers go below it */
	bool jumped = false;

	for (;;) {
		uint8_t byte;

		if (from >= message.len)
			return false;
		byte = message.ptr[from];
		if (byte >= 0xc0) {
			size_t target;

			if (from + 2 > message.len)
				return false;
			target = get16(message.ptr + from) & 0x3fffu;
			if (!jumped)
				*at = from + 2;
			/* Ever further back, or it would never end. */
			if (target >= from || target >= limit)
				return false;
			limit = target;
			from = target;
			jumped = true;
			continue;
		}
		if (byte > 63 || from + 1 + byte > message.len)
			return false;
		if (byte == 0)
			break;
		if (!add_label(message.ptr + from + 1, byte, ret_name, &len))
			return false;
		from += 1 + (size_t)byte;
	}
	if (!jumped)
		*at = from + 1;
	ret_name[len] = '\0';
	return true;
}

size_t x402__dns_write(uint16_t id, const char *name, enum x402__dns_type type,
	uint8_t ret_message[X402__DNS_MESSAGE_SIZE])
{
	size_t at = HEADER_LEN;

	if (!*name || strlen(name) >= X402__DNS_NAME_SIZE)
		return 0;
	memset(ret_message, 0, HEADER_LEN);
	put16(ret_message, id);
	put16(ret_message + 2, FLAG_RECURSE);
	put16(ret_message + 4, 1);
	while (*name) {
		size_t len = strcspn(name, ".");

		if (len == 0 || len > 63)
			return 0;
		ret_message[at++] = (uint8_t)len;
		memcpy(ret_message + at, name, len);
		at += len;
		name += len;
		if (*name == '.' && !*++name)
			return 0;
	}
	ret_message[at++] = 0;
	put16(ret_message + at, (uint16_t)type);
	put16(ret_message + at + 2, CLASS_IN);
	return at + 4;
}

/* ---- Answers. ---- */

struct record {
	char owner[X402__DNS_NAME_SIZE];
	uint16_t type;
	uint32_t ttl_s;
	size_t data; /* where it is */
	size_t data_len;
};

/* The next record, of whatever class we do not know as type 0. */
static bool read_record(
	struct x402_span message, size_t *at, struct record *ret_record)
{
	const uint8_t *fixed;

	if (!read_name(message, at, ret_record->owner) ||
		message.len - *at < 10)
		return false;
	fixed = message.ptr + *at;
	ret_record->type = get16(fixed + 2) == CLASS_IN ? get16(fixed) : 0;
	ret_record->ttl_s = get32(fixed + 4);
	ret_record->data_len = get16(fixed + 8);
	ret_record->data = *at + 10;
	if (message.len - ret_record->data < ret_record->data_len)
		return false;
	*at = ret_record->data + ret_record->data_len;
	return true;
}

/* A name that fills a record. */
static bool record_name(struct x402_span message, const struct record *record,
	char ret_name[X402__DNS_NAME_SIZE])
{
	size_t at = record->data;

	return read_name(message, &at, ret_name) &&
		at == record->data + record->data_len;
}

static void add_name(struct x402_span message, const struct record *record,
	struct x402__dns_answer *answer)
{
	char *name = answer->names[answer->names_len];

	/* One that is no host's is left out; the others still count. */
	if (answer->names_len < X402__DNS_NAMES_MAX &&
		record_name(message, record, name) && is_host(name))
		answer->names_len++;
}

static void add_address(struct x402_span message, const struct record *record,
	struct x402__dns_answer *answer)
{
	uint8_t *ip16;

	if (answer->addresses_len == X402__DNS_ADDRESSES_MAX ||
		record->data_len != (record->type == X402__DNS_A ? 4u : 16u))
		return;
	ip16 = answer->addresses[answer->addresses_len++];
	memset(ip16, 0, 10);
	memset(ip16 + 10, 0xff, 2);
	memcpy(record->type == X402__DNS_A ? ip16 + 12 : ip16,
		message.ptr + record->data, record->data_len);
}

/* Does the header belong to our question, and what does it say? */
static enum x402__dns_verdict read_header(struct x402_span message, uint16_t id,
	const char *name, enum x402__dns_type type, size_t *ret_at)
{
	char asked[X402__DNS_NAME_SIZE];
	size_t at = HEADER_LEN;
	uint16_t flags;

	if (message.len < HEADER_LEN || get16(message.ptr) != id ||
		get16(message.ptr + 4) != 1 ||
		!read_name(message, &at, asked) || message.len - at < 4 ||
		strcasecmp(asked, name) != 0 ||
		get16(message.ptr + at) != type ||
		get16(message.ptr + at + 2) != CLASS_IN)
		return X402__DNS_STRAY;
	flags = get16(message.ptr + 2);
	if (!(flags & FLAG_RESPONSE) || flags & FLAG_OPCODE)
		return X402__DNS_STRAY;
	*ret_at = at + 4;
	if (flags & FLAG_TRUNCATED)
		return X402__DNS_FAILED;
	if ((flags & FLAG_RCODE) == RCODE_NO_NAME)
		return X402__DNS_NOTHING;
	return flags & FLAG_RCODE ? X402__DNS_FAILED : X402__DNS_FOUND;
}

enum x402__dns_verdict x402__dns_read(struct x402_span message, uint16_t id,
	const char *name, enum x402__dns_type type,
	struct x402__dns_answer *ret_answer)
{
	struct x402__dns_answer answer = {.ttl_s = TTL_MAX_S};
	char owner[X402__DNS_NAME_SIZE];
	struct record record;
	unsigned aliases = 0;
	size_t records;
	size_t at = 0;
	enum x402__dns_verdict verdict = read_header(
		message, id, name, type, &at);

	if (verdict != X402__DNS_FOUND)
		return verdict;
	records = get16(message.ptr + 6);
	snprintf(owner, sizeof(owner), "%s", name);
	for (size_t i = 0; i < records && i < RECORDS_MAX; i++) {
		if (!read_record(message, &at, &record))
			return X402__DNS_FAILED;
		if (strcasecmp(record.owner, owner) != 0)
			continue;
		if (record.type == X402__DNS_CNAME) {
			if (++aliases > ALIASES_MAX ||
				!record_name(message, &record, owner))
				return X402__DNS_FAILED;
		} else if (record.type != type) {
			continue;
		} else if (type == X402__DNS_PTR) {
			add_name(message, &record, &answer);
		} else {
			add_address(message, &record, &answer);
		}
		if (record.ttl_s < answer.ttl_s)
			answer.ttl_s = record.ttl_s;
	}
	if (!answer.names_len && !answer.addresses_len)
		return X402__DNS_NOTHING;
	*ret_answer = answer;
	return X402__DNS_FOUND;
}
