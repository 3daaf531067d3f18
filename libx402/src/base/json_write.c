/*
 * Text from values: compact, members in their order or sorted by key.
 * Strings were valid UTF-8 when they came in; only quotes, backslashes and
 * control characters are escaped. Numbers that are not integers leave as
 * they came.
 */
#include <stdlib.h>

#include "json_p.h"

#define FIRST_BYTES 1000

static void write_value(
	struct x402_buf *buf, const struct x402_json *json, bool sorted);

static void add(struct x402_buf *buf, const char *text, size_t len)
{
	x402_buf_add(buf, x402_span(text, len));
}

static void write_escape(struct x402_buf *buf, uint8_t c)
{
	static const char hex[] = "0123456789ABCDEF";
	static const char from[] = "\"\\\b\f\n\r\t";
	static const char to[] = "\"\\bfnrt";
	const char *at = strchr(from, c);
	char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	if (at)
		text[1] = to[at - from];
	add(buf, text, at ? 2 : 6);
}

/*
 * Most strings are plain: they are copied as they are, in one piece. Without a
 * way out of the loop, sixteen bytes are looked at together, in vectors.
 */
static bool is_plain(const char *text, size_t len)
{
	uint8_t special = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		special |= (uint8_t)((c < 0x20) | (c == '"') | (c == '\\'));
	}
	return !special;
}

/* Room for n bytes that the caller fills; NULL when memory is out. */
static uint8_t *room(struct x402_buf *buf, size_t n)
{
	uint8_t *at;

	/* A NUL must fit behind them as well. */
	if (buf->failed || n >= buf->cap - buf->len)
		return x402_buf_add_zeros(buf, n);
	at = buf->ptr + buf->len;
	buf->len += n;
	return at;
}

static void add_char(struct x402_buf *buf, char c)
{
	uint8_t *at = room(buf, 1);

	if (at)
		*at = (uint8_t)c;
}

static void write_string(struct x402_buf *buf, const char *text, size_t len)
{
	size_t from = 0;
	uint8_t *at;

	if (is_plain(text, len)) {
		at = room(buf, len + 2);
		if (!at)
			return;
		at[0] = '"';
		memcpy(at + 1, text, len);
		at[len + 1] = '"';
		return;
	}
	add(buf, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		add(buf, text + from, i - from);
		write_escape(buf, c);
		from = i + 1;
	}
	add(buf, text + from, len - from);
	add(buf, "\"", 1);
}

static void write_integer(struct x402_buf *buf, int64_t value)
{
	char text[20]; /* as many digits as INT64_MIN has, with its sign */
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (value < 0)
		text[--at] = '-';
	add(buf, text + at, sizeof(text) - at);
}

static void write_array(
	struct x402_buf *buf, const struct x402_json *json, bool sorted)
{
	add_char(buf, '[');
	for (uint32_t i = 0; i < json->array.len; i++) {
		if (i)
			add(buf, ",", 1);
		write_value(buf, json->array.items[i], sorted);
	}
	add_char(buf, ']');
}

/* At most X402__JSON_SMALL members: a sort by insertion. */
static void sort_small(const struct x402_json *json, uint32_t *order)
{
	const struct x402__json_member *members = json->object.members;

	for (uint32_t i = 0; i < json->object.len; i++) {
		uint32_t at = i;

		while (at > 0 &&
			x402__json_key_cmp(
				&members[i], &members[order[at - 1]]) < 0) {
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
	}
}

static void write_object(
	struct x402_buf *buf, const struct x402_json *json, bool sorted)
{
	uint32_t small[X402__JSON_SMALL];
	const uint32_t *order = small;

	if (json->object.len > X402__JSON_SMALL)
		order = json->object.order;
	else if (sorted)
		sort_small(json, small);
	add_char(buf, '{');
	for (uint32_t i = 0; i < json->object.len; i++) {
		const struct x402__json_member *member =
			&json->object.members[sorted ? order[i] : i];

		if (i)
			add_char(buf, ',');
		write_string(buf, member->key, member->key_len);
		add_char(buf, ':');
		write_value(buf, member->value, sorted);
	}
	add_char(buf, '}');
}

static void write_value(
	struct x402_buf *buf, const struct x402_json *json, bool sorted)
{
	switch (x402_json_type(json)) {
	case X402_JSON_NULL:
		add(buf, "null", 4);
		return;
	case X402_JSON_BOOL:
		if (json->boolean)
			add(buf, "true", 4);
		else
			add(buf, "false", 5);
		return;
	case X402_JSON_INTEGER:
		write_integer(buf, json->integer);
		return;
	case X402_JSON_REAL:
		x402_buf_add_str(buf, json->real.text);
		return;
	case X402_JSON_STRING:
		write_string(buf, json->string.text, json->string.len);
		return;
	case X402_JSON_ARRAY:
		write_array(buf, json, sorted);
		return;
	case X402_JSON_OBJECT:
		write_object(buf, json, sorted);
		return;
	}
}

static char *dump(const struct x402_json *json, bool sorted)
{
	struct x402_buf buf = {0};

	/* A payment is about this long: grown once and not four times. */
	if (x402_json_type(json) == X402_JSON_OBJECT)
		x402_buf_reserve(&buf, FIRST_BYTES);
	write_value(&buf, json, sorted);
	return x402_buf_take_str(&buf);
}

char *x402_json_dump(const struct x402_json *json)
{
	return dump(json, false);
}

char *x402_json_dump_sorted(const struct x402_json *json)
{
	return dump(json, true);
}
