/*
 * The strict reader (RFC 8259, and stricter): one pass over a copy of the
 * text, in which strings are decoded where they stand. Values are cut from
 * the document's memory; nothing is allocated for a single value.
 *
 *   x402_json_parse -> read_value -> read_object, read_array -> read_value
 *                                 -> read_string, read_number, read_word
 *
 * Refused: what is no JSON, a key that is there twice, NUL in any form, text
 * that is no UTF-8 (also lone halves of surrogate pairs), integers beyond 64
 * bits, numbers beyond any, anything behind the value, and what exceeds the
 * limits. Recursion is bounded by the limit on depth.
 */
#include <math.h>
#include <stdio.h> /* formatting only */
#include <stdlib.h>

#include "json_p.h"

/* A longer text would need wider indexes; no limit in use comes near. */
#define TEXT_MAX_BYTES ((size_t)1 << 30)
/* Nobody may ask for more: each level is a frame on the stack. */
#define DEPTH_MAX ((size_t)1024)
/* Values of the open arrays and objects before the heap is needed. */
#define OPEN_FIRST 64
/* First guess at the memory for values; a chunk more when it was too low. */
#define VALUES_MAX_BYTES ((size_t)64 * 1024)
/* NULs behind the text: what looks ahead stops there. */
#define TAIL_BYTES 8
/* The letter, a sign, the digits of 64 bits, a NUL. */
#define EXPONENT_BYTES 24

struct reader {
	char *at;
	const char *start;
	const char *end; /* a NUL stands here */
	struct x402__json_doc *doc;
	size_t depth;
	size_t max_depth;
	/* Members of everything open; one array or object on the other. */
	struct x402__json_member *open;
	size_t open_len;
	size_t open_cap;
	struct x402__json_member first[OPEN_FIRST];
	/* Where and why it was refused. */
	const char *what;
	size_t where;
};

static enum x402_err read_value(
	struct reader *reader, struct x402_json **ret_json);

static enum x402_err refuse(struct reader *reader, const char *what)
{
	reader->what = what;
	reader->where = (size_t)(reader->at - reader->start);
	return X402_ERR_SYNTAX;
}

/* The same where a byte was looked for that may simply not be there. */
static enum x402_err expected(struct reader *reader, const char *what)
{
	return refuse(
		reader, reader->at == reader->end ? "it ends too early" : what);
}

/* ---- Memory. ---- */

static struct x402__json_chunk *new_chunk(size_t cap)
{
	struct x402__json_chunk *chunk = malloc(sizeof(*chunk) + cap);

	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->used = 0;
	chunk->cap = cap;
	return chunk;
}

/* Aligned for anything we keep; the caller has made sure that it fits. */
static void *cut(struct x402__json_chunk *chunk, size_t size)
{
	char *at = (char *)(chunk + 1) + chunk->used;

	chunk->used += (size + 7) & ~(size_t)7;
	return at;
}

static void *allocate(struct reader *reader, size_t size)
{
	struct x402__json_chunk *chunk = reader->doc->chunks;
	size_t rounded = (size + 7) & ~(size_t)7;
	size_t cap = chunk->cap;

	if (chunk->cap - chunk->used >= rounded)
		return cut(chunk, size);
	/* Doubling, so that there are few however many values come. */
	while (cap < rounded || cap < 4096)
		cap = cap < 4096 ? 4096 : cap * 2;
	chunk = new_chunk(cap * 2);
	if (!chunk)
		return NULL;
	chunk->next = reader->doc->chunks;
	reader->doc->chunks = chunk;
	return cut(chunk, size);
}

/* The document and a copy of the text with TAIL_BYTES behind it. */
static enum x402_err begin_doc(struct reader *reader, struct x402_span text)
{
	size_t values = text.len < VALUES_MAX_BYTES / 2 ? 2 * text.len + 512
							: VALUES_MAX_BYTES;
	size_t copy = (text.len + TAIL_BYTES + 7) & ~(size_t)7;
	struct x402__json_chunk *chunk = new_chunk(
		sizeof(*reader->doc) + copy + values);

	if (!chunk)
		return X402_ERR_NOMEM;
	reader->doc = cut(chunk, sizeof(*reader->doc));
	memset(reader->doc, 0, sizeof(*reader->doc));
	reader->doc->chunks = chunk;
	reader->at = cut(chunk, copy);
	reader->start = reader->at;
	reader->end = reader->at + text.len;
	if (text.len)
		memcpy(reader->at, text.ptr, text.len);
	memset(reader->at + text.len, 0, TAIL_BYTES);
	return X402_OK;
}

static struct x402_json *new_value(
	struct reader *reader, enum x402_json_type type)
{
	struct x402_json *json = allocate(reader, sizeof(*json));

	if (!json)
		return NULL;
	memset(json, 0, sizeof(*json));
	json->doc = reader->doc;
	json->refs = 1;
	json->type = (uint8_t)type;
	reader->doc->live++;
	return json;
}

/* ---- Text. ---- */

size_t x402__json_utf8(const char *text)
{
	const uint8_t *c = (const uint8_t *)text;
	uint8_t low = 0x80; /* bounds of the second byte */
	uint8_t high = 0xbf;
	size_t len;

	if (c[0] < 0x80)
		return 1;
	if (c[0] < 0xc2 || c[0] > 0xf4)
		return 0; /* a byte that continues, or an overlong form */
	len = c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
	if (c[0] == 0xe0)
		low = 0xa0; /* overlong below */
	else if (c[0] == 0xed)
		high = 0x9f; /* surrogates above */
	else if (c[0] == 0xf0)
		low = 0x90; /* overlong below */
	else if (c[0] == 0xf4)
		high = 0x8f; /* beyond U+10FFFF above */
	if (c[1] < low || c[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (c[i] < 0x80 || c[i] > 0xbf)
			return 0;
	return len;
}

/*
 * Over what needs no second look: eight bytes at a time while none of them is
 * a quote, a backslash, a control character or outside ASCII. Each term's
 * high bit of a byte is set where it holds; a byte above one for which it
 * holds may be marked as well, and the loop behind decides.
 */
static char *skip_plain(char *at)
{
	const uint64_t ones = 0x0101010101010101u;
	const uint64_t highs = 0x8080808080808080u;
	uint64_t marks;

	for (;;) {
		uint64_t word;
		uint64_t quote;
		uint64_t slash;

		memcpy(&word, at, sizeof(word));
		quote = word ^ (ones * '"');
		slash = word ^ (ones * '\\');
		marks = (word | (word - ones * 0x20) | (quote - ones) |
				(slash - ones)) &
			highs;
		if (marks)
			break;
		at += sizeof(word);
	}
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	/* The first that is marked is rightly so: only those above may not. */
	at += __builtin_ctzll(marks) / 8;
#endif
	while ((uint8_t)*at >= 0x20 && (uint8_t)*at < 0x80 && *at != '"' &&
		*at != '\\')
		at++;
	return at;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *at)
{
	int32_t value = 0;

	for (int i = 0; i < 4; i++) {
		char c = at[i];
		int digit = c >= '0' && c <= '9' ? c - '0'
			: c >= 'a' && c <= 'f'   ? c - 'a' + 10
			: c >= 'A' && c <= 'F'   ? c - 'A' + 10
						 : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*to++ = (char)(0xe0 | c >> 12);
		} else {
			*to++ = (char)(0xf0 | c >> 18);
			*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

/* At "\u"; what it says is never longer than how it says it. */
static enum x402_err read_unicode(struct reader *reader, char **to)
{
	int32_t c = hex4(reader->at + 2);
	int32_t low;

	if (c < 0)
		return refuse(reader, "expected four hexadecimal digits");
	if (c == 0)
		return refuse(reader, "\\u0000 is not accepted");
	if (c >= 0xdc00 && c <= 0xdfff)
		return refuse(reader, "half of a surrogate pair");
	reader->at += 6;
	if (c >= 0xd800 && c <= 0xdbff) {
		low = reader->at[0] == '\\' && reader->at[1] == 'u'
			? hex4(reader->at + 2)
			: -1;
		if (low < 0xdc00 || low > 0xdfff)
			return refuse(reader, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		reader->at += 6;
	}
	*to = put_utf8(*to, (uint32_t)c);
	return X402_OK;
}

static enum x402_err read_escape(struct reader *reader, char **to)
{
	static const char from[] = "\"\\/bfnrt";
	static const char into[] = "\"\\/\b\f\n\r\t";
	char c = reader->at[1];
	const char *at;

	if (c == 'u')
		return read_unicode(reader, to);
	at = c ? strchr(from, c) : NULL;
	if (!at)
		return refuse(reader, "unknown escape");
	*(*to)++ = into[at - from];
	reader->at += 2;
	return X402_OK;
}

/* What read_string does where a second look is needed; to is behind at. */
static enum x402_err read_rest(struct reader *reader, char *to, char **ret_end)
{
	for (;;) {
		uint8_t c = (uint8_t)*reader->at;
		enum x402_err err;
		size_t len;

		if (c == '"')
			break;
		if (c < 0x20)
			return expected(
				reader, "control character in a string");
		if (c == '\\') {
			err = read_escape(reader, &to);
			if (err)
				return err;
			continue;
		}
		len = x402__json_utf8(reader->at);
		if (len == 0)
			return refuse(reader, "not UTF-8");
		memmove(to, reader->at, len);
		reader->at += len;
		to += len;
	}
	*ret_end = to;
	return X402_OK;
}

/* At the opening quote. The text is ended with a NUL where it stands. */
static enum x402_err read_string(
	struct reader *reader, const char **ret_text, size_t *ret_len)
{
	char *from = reader->at + 1;
	char *to;
	enum x402_err err;

	reader->at = to = skip_plain(from);
	if (*reader->at != '"') {
		err = read_rest(reader, to, &to);
		if (err)
			return err;
	}
	reader->at++; /* over the quote, which the NUL may replace */
	*to = '\0';
	*ret_text = from;
	*ret_len = (size_t)(to - from);
	return X402_OK;
}

/* ---- Numbers and words. ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The end of a number by its grammar, NULL when it is none. */
static const char *number_end(const char *at, bool *ret_real)
{
	*ret_real = false;
	at += *at == '-';
	if (!is_digit(*at) || (*at == '0' && is_digit(at[1])))
		return NULL;
	while (is_digit(*at))
		at++;
	if (*at == '.') {
		*ret_real = true;
		if (!is_digit(*++at))
			return NULL;
		while (is_digit(*at))
			at++;
	}
	if (*at == 'e' || *at == 'E') {
		*ret_real = true;
		at++;
		at += *at == '+' || *at == '-';
		if (!is_digit(*at))
			return NULL;
		while (is_digit(*at))
			at++;
	}
	return at;
}

static enum x402_err read_integer(
	struct reader *reader, const char *end, struct x402_json **ret_json)
{
	bool minus = *reader->at == '-';
	uint64_t max = (uint64_t)INT64_MAX + (minus ? 1 : 0);
	uint64_t value = 0;
	struct x402_json *json;

	for (const char *at = reader->at + minus; at < end; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (value > (max - digit) / 10)
			return refuse(reader, "too big an integer");
		value = value * 10 + digit;
	}
	json = new_value(reader, X402_JSON_INTEGER);
	if (!json)
		return X402_ERR_NOMEM;
	json->integer = (int64_t)(minus ? -value : value);
	reader->at += end - reader->at;
	*ret_json = json;
	return X402_OK;
}

/* The exponent at text, if any; what no double could tell apart is cut off. */
static int64_t exponent_of(const char *text, const char *end)
{
	const int64_t huge = (int64_t)1 << 40;
	int64_t value = 0;
	bool minus;

	if (text == end)
		return 0;
	text++; /* over the e */
	minus = *text == '-';
	text += *text == '-' || *text == '+';
	for (; text < end && value < huge; text++)
		value = value * 10 + (*text - '0');
	return minus ? -value : value;
}

/*
 * Raw: a number that is only carried along. strtod reads the point that the
 * program's locale has, so it gets none: 12.5e3 is asked for as 125e2. room
 * is EXPONENT_BYTES longer than the text.
 */
static double real_value(const char *text, char *room) /* Raw: see above */
{
	const char *end = text + strlen(text);
	bool fraction = false;
	int64_t exponent = 0;
	char *to = room;

	for (; *text && *text != 'e' && *text != 'E'; text++) {
		if (*text == '.') {
			fraction = true;
			continue;
		}
		exponent -= fraction;
		*to++ = *text;
	}
	exponent += exponent_of(text, end);
	snprintf(to, EXPONENT_BYTES, "e%lld", (long long)exponent);
	return strtod(room, NULL);
}

static enum x402_err read_real(
	struct reader *reader, const char *end, struct x402_json **ret_json)
{
	size_t len = (size_t)(end - reader->at);
	struct x402_json *json = new_value(reader, X402_JSON_REAL);
	char *text = json ? allocate(reader, len + 1) : NULL;
	char *room = text ? allocate(reader, len + EXPONENT_BYTES) : NULL;

	if (!room)
		return X402_ERR_NOMEM;
	memcpy(text, reader->at, len);
	text[len] = '\0';
	json->real.text = text;
	json->real.value = real_value(text, room);
	if (!isfinite(json->real.value))
		return refuse(reader, "too big a number");
	reader->at += len;
	*ret_json = json;
	return X402_OK;
}

static enum x402_err read_number(
	struct reader *reader, struct x402_json **ret_json)
{
	bool real;
	const char *end = number_end(reader->at, &real);

	if (!end)
		return refuse(reader, "expected a number");
	return real ? read_real(reader, end, ret_json)
		    : read_integer(reader, end, ret_json);
}

static enum x402_err read_word(
	struct reader *reader, struct x402_json **ret_json)
{
	static const struct {
		const char *text;
		size_t len;
		enum x402_json_type type;
		bool boolean;
	} words[] = {{"true", 4, X402_JSON_BOOL, true},
		{"false", 5, X402_JSON_BOOL, false},
		{"null", 4, X402_JSON_NULL, false}};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct x402_json *json;

		if (strncmp(reader->at, words[i].text, words[i].len) != 0)
			continue;
		json = new_value(reader, words[i].type);
		if (!json)
			return X402_ERR_NOMEM;
		json->boolean = words[i].boolean;
		reader->at += words[i].len;
		*ret_json = json;
		return X402_OK;
	}
	return expected(reader, "expected a value");
}

/* ---- Arrays and objects. ---- */

static void skip_space(struct reader *reader)
{
	while (*reader->at == ' ' || *reader->at == '\n' ||
		*reader->at == '\t' || *reader->at == '\r')
		reader->at++;
}

static enum x402_err push(
	struct reader *reader, const struct x402__json_member *member)
{
	if (reader->open_len == reader->open_cap) {
		size_t cap = reader->open_cap * 2;
		bool first = reader->open == reader->first;
		struct x402__json_member *open = realloc(
			first ? NULL : reader->open, cap * sizeof(*open));

		if (!open)
			return X402_ERR_NOMEM;
		if (first)
			memcpy(open, reader->first, sizeof(reader->first));
		reader->open = open;
		reader->open_cap = cap;
	}
	reader->open[reader->open_len++] = *member;
	return X402_OK;
}

static enum x402_err open_bracket(struct reader *reader)
{
	if (reader->depth == reader->max_depth)
		return X402_ERR_TOO_LARGE;
	reader->depth++;
	reader->at++;
	skip_space(reader);
	return X402_OK;
}

/* Behind an element: over the comma, or over the end. */
static enum x402_err next_or_end(struct reader *reader, char end, bool *ret_end)
{
	skip_space(reader);
	*ret_end = *reader->at == end;
	if (*reader->at != ',' && !*ret_end)
		return expected(reader,
			end == ']' ? "expected , or ]" : "expected , or }");
	reader->at++;
	if (*ret_end)
		reader->depth--;
	else
		skip_space(reader);
	return X402_OK;
}

/* Move what was pushed since base into the array. */
static enum x402_err close_array(
	struct reader *reader, size_t base, struct x402_json *array)
{
	size_t len = reader->open_len - base;

	array->array.items = allocate(
		reader, len * sizeof(*array->array.items));
	if (!array->array.items)
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < len; i++)
		array->array.items[i] = reader->open[base + i].value;
	array->array.len = (uint32_t)len;
	reader->open_len = base;
	return X402_OK;
}

static enum x402_err read_array(
	struct reader *reader, struct x402_json **ret_json)
{
	struct x402_json *array = new_value(reader, X402_JSON_ARRAY);
	size_t base = reader->open_len;
	enum x402_err err = array ? open_bracket(reader) : X402_ERR_NOMEM;
	bool end = !err && *reader->at == ']';

	if (end) {
		reader->at++;
		reader->depth--;
	}
	while (!err && !end) {
		struct x402__json_member member = {0};

		err = read_value(reader, &member.value);
		if (!err)
			err = push(reader, &member);
		if (!err)
			err = next_or_end(reader, ']', &end);
	}
	if (!err)
		err = close_array(reader, base, array);
	if (!err)
		*ret_json = array;
	return err;
}

static bool has_twins(const struct x402_json *object)
{
	const struct x402__json_member *members = object->object.members;
	uint32_t len = object->object.len;

	if (len > X402__JSON_SMALL) {
		const uint32_t *order = object->object.order;

		for (uint32_t i = 1; i < len; i++)
			if (x402__json_key_cmp(&members[order[i - 1]],
				    &members[order[i]]) == 0)
				return true;
		return false;
	}
	for (uint32_t i = 1; i < len; i++)
		for (uint32_t j = 0; j < i; j++)
			if (members[i].key_len == members[j].key_len &&
				members[i].key[0] == members[j].key[0] &&
				memcmp(members[i].key, members[j].key,
					members[i].key_len) == 0)
				return true;
	return false;
}

static enum x402_err close_object(
	struct reader *reader, size_t base, struct x402_json *object)
{
	size_t len = reader->open_len - base;

	object->object.members = allocate(
		reader, len * sizeof(*object->object.members));
	if (!object->object.members)
		return X402_ERR_NOMEM;
	memcpy(object->object.members, reader->open + base,
		len * sizeof(*object->object.members));
	object->object.len = (uint32_t)len;
	reader->open_len = base;
	if (len > X402__JSON_SMALL) {
		object->object.order = allocate(reader, len * sizeof(uint32_t));
		if (!object->object.order)
			return X402_ERR_NOMEM;
		x402__json_sort(object);
	}
	return has_twins(object) ? refuse(reader,
					   "duplicate key in the object "
					   "that ends")
				 : X402_OK;
}

static enum x402_err read_member(struct reader *reader)
{
	struct x402__json_member member = {0};
	size_t len;
	enum x402_err err;

	if (*reader->at != '"')
		return expected(reader, "expected a key in quotes");
	err = read_string(reader, &member.key, &len);
	if (err)
		return err;
	member.key_len = (uint32_t)len;
	skip_space(reader);
	if (*reader->at != ':')
		return expected(reader, "expected :");
	reader->at++;
	skip_space(reader);
	err = read_value(reader, &member.value);
	return err ? err : push(reader, &member);
}

static enum x402_err read_object(
	struct reader *reader, struct x402_json **ret_json)
{
	struct x402_json *object = new_value(reader, X402_JSON_OBJECT);
	size_t base = reader->open_len;
	enum x402_err err = object ? open_bracket(reader) : X402_ERR_NOMEM;
	bool end = !err && *reader->at == '}';

	if (end) {
		reader->at++;
		reader->depth--;
	}
	while (!err && !end) {
		err = read_member(reader);
		if (!err)
			err = next_or_end(reader, '}', &end);
	}
	if (!err)
		err = close_object(reader, base, object);
	if (!err)
		*ret_json = object;
	return err;
}

static enum x402_err read_text(
	struct reader *reader, struct x402_json **ret_json)
{
	struct x402_json *json = new_value(reader, X402_JSON_STRING);
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;

	if (!err)
		err = read_string(
			reader, &json->string.text, &json->string.len);
	if (!err)
		*ret_json = json;
	return err;
}

/* At its first byte. */
static enum x402_err read_value(
	struct reader *reader, struct x402_json **ret_json)
{
	switch (*reader->at) {
	case '{':
		return read_object(reader, ret_json);
	case '[':
		return read_array(reader, ret_json);
	case '"':
		return read_text(reader, ret_json);
	case 't':
	case 'f':
	case 'n':
		return read_word(reader, ret_json);
	default: /* not an enum of ours: any byte */
		if (*reader->at == '-' || is_digit(*reader->at))
			return read_number(reader, ret_json);
		return expected(reader, "expected a value");
	}
}

/* ---- The whole text. ---- */

static enum x402_err read_whole(
	struct reader *reader, struct x402_json **ret_json)
{
	enum x402_err err;

	skip_space(reader);
	err = read_value(reader, ret_json);
	if (err)
		return err;
	skip_space(reader);
	return reader->at == reader->end
		? X402_OK
		: refuse(reader, "more than one value");
}

static enum x402_err read_within(struct x402_span text, size_t max_depth,
	struct x402_errinfo *info, struct x402_json **ret_json)
{
	struct reader reader;
	struct x402_json *json = NULL;
	enum x402_err err;

	reader.depth = 0;
	reader.max_depth = max_depth;
	reader.open = reader.first;
	reader.open_len = 0;
	reader.open_cap = OPEN_FIRST;
	err = begin_doc(&reader, text);
	if (err)
		return err;
	err = read_whole(&reader, &json);
	if (reader.open != reader.first)
		free(reader.open);
	if (!err) {
		reader.doc->root = json;
		*ret_json = json;
		return X402_OK;
	}
	x402__json_doc_free(reader.doc); /* with every value in it */
	if (err == X402_ERR_SYNTAX)
		x402_errinfo_set(info, "", "not strict JSON: %s at byte %zu",
			reader.what, reader.where);
	else if (err == X402_ERR_TOO_LARGE)
		x402_errinfo_set(info, "",
			"expected nesting of at most %zu levels", max_depth);
	return err;
}

enum x402_err x402_json_parse(struct x402_span text,
	const struct x402_json_limits *limits, struct x402_errinfo *info,
	struct x402_json **ret_json)
{
	size_t max_bytes = X402_JSON_MAX_BYTES;
	size_t max_depth = X402_JSON_MAX_DEPTH;

	if (limits && limits->max_bytes)
		max_bytes = limits->max_bytes;
	if (limits && limits->max_depth)
		max_depth = limits->max_depth;
	if (max_bytes > TEXT_MAX_BYTES)
		max_bytes = TEXT_MAX_BYTES;
	if (max_depth > DEPTH_MAX)
		max_depth = DEPTH_MAX;
	if (text.len > max_bytes) {
		x402_errinfo_set(info, "",
			"expected at most %zu bytes, got %zu", max_bytes,
			text.len);
		return X402_ERR_TOO_LARGE;
	}
	if (text.len == 0) {
		x402_errinfo_set(info, "", "expected JSON, got nothing");
		return X402_ERR_SYNTAX;
	}
	return read_within(text, max_depth, info, ret_json);
}
