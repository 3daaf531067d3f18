/*
 * The only file that knows jansson. Values are jansson's own, seen from
 * outside as an opaque struct x402_json. Nesting is counted before jansson
 * sees the text, so that hostile depth never recurses; and two weaknesses
 * that jansson has when memory runs out are worked around (parse_once).
 */
#include <jansson.h>
#include <stdlib.h>

#include "x402/json.h"

/* An opaque pointer is a json_t; constness is ours to keep. */
static json_t *inside(const struct x402_json *json)
{
	return (json_t *)(uintptr_t)json;
}

static struct x402_json *outside(json_t *json)
{
	return (struct x402_json *)json;
}

/* What is known of a text before jansson sees it. */
struct shape {
	size_t depth; /* deepest nesting */
	size_t token; /* bytes of the longest token, quotes included */
};

static bool ends_token(uint8_t c)
{
	return c <= ' ' || c == ',' || c == ':' || c == '[' || c == ']' ||
		c == '{' || c == '}';
}

/* After an opening quote: the index of the closing one, or the end. */
static size_t string_end(struct x402_span text, size_t i)
{
	while (i < text.len && text.ptr[i] != '"')
		i += text.ptr[i] == '\\' ? 2 : 1;
	return i < text.len ? i : text.len;
}

/* Malformed text gives some shape; jansson refuses it afterwards. */
static struct shape shape_of(struct x402_span text)
{
	struct shape shape = {0, 0};
	size_t depth = 0;
	size_t start = 0; /* of the token */

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (c == '"')
			i = string_end(text, i + 1);
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		if (ends_token(c))
			start = i + 1;
		if (i + 1 - start > shape.token)
			shape.token = i + 1 - start;
		if (depth > shape.depth)
			shape.depth = depth;
	}
	return shape;
}

/*
 * jansson collects a token in a buffer that grows, and when growing fails it
 * goes on without the byte: "1000" would become "100". So the text is parsed
 * as the second element of an array whose first is a string as long as the
 * longest token. If that one is whole, the buffer grows no more.
 */
#define PREFIX_EXTRA 4 /* [ " " , */

static void add_prefix(struct x402_buf *buf, size_t token)
{
	uint8_t *filler;

	x402_buf_add_str(buf, "[\"");
	filler = x402_buf_add_zeros(buf, token);
	if (filler)
		memset(filler, 'x', token);
	x402_buf_add_str(buf, "\",");
}

static enum x402_err take_second(json_t *outer, size_t token, json_t **ret_json)
{
	enum x402_err err = X402_OK;

	if (json_string_length(json_array_get(outer, 0)) != token)
		err = X402_ERR_NOMEM;
	else if (json_array_size(outer) != 2)
		err = X402_ERR_SYNTAX;
	else
		*ret_json = json_incref(json_array_get(outer, 1));
	json_decref(outer);
	return err;
}

/*
 * One try. SYNTAX may still mean that memory was out: jansson calls a token
 * invalid when it could not copy it. error->text is empty otherwise when no
 * byte of the text was at fault.
 */
static enum x402_err parse_once(struct x402_span text, size_t token,
	json_error_t *error, json_t **ret_json)
{
	struct x402_buf buf = {0};
	json_t *outer;

	memset(error, 0, sizeof(*error));
	add_prefix(&buf, token);
	x402_buf_add(&buf, text);
	x402_buf_add_byte(&buf, ']');
	if (buf.failed) {
		x402_buf_clear(&buf);
		return X402_ERR_NOMEM;
	}
	outer = json_loadb(
		(const char *)buf.ptr, buf.len, JSON_REJECT_DUPLICATES, error);
	x402_buf_clear(&buf);
	if (outer)
		return take_second(outer, token, ret_json);
	return error->text[0] ? X402_ERR_SYNTAX : X402_ERR_NOMEM;
}

/* Can a small text be parsed now? */
static bool memory_is_there(void)
{
	json_error_t error;
	json_t *json = NULL;
	enum x402_err err = parse_once(
		x402_span_str("{\"k\":\"v\"}"), 16, &error, &json);

	json_decref(json);
	return err == X402_OK;
}

/* A refusal is believed when it comes twice and memory is there. */
static enum x402_err parse_surely(struct x402_span text, size_t token,
	json_error_t *error, json_t **ret_json)
{
	enum x402_err err = parse_once(text, token, error, ret_json);

	if (err != X402_ERR_SYNTAX)
		return err;
	err = parse_once(text, token, error, ret_json);
	if (err == X402_ERR_SYNTAX && !memory_is_there())
		return X402_ERR_NOMEM;
	return err;
}

static void say_what(const json_error_t *error, size_t token, size_t len,
	struct x402_errinfo *info)
{
	size_t prefix = token + PREFIX_EXTRA;
	size_t at = (size_t)error->position;

	at = at > prefix ? at - prefix : 0;
	x402_errinfo_set(info, "", "not strict JSON: %s at byte %zu",
		error->text[0] ? error->text : "more than one value",
		at < len ? at : len);
}

enum x402_err x402_json_parse(struct x402_span text,
	const struct x402_json_limits *limits, struct x402_errinfo *info,
	struct x402_json **ret_json)
{
	size_t max_bytes = X402_JSON_MAX_BYTES;
	size_t max_depth = X402_JSON_MAX_DEPTH;
	struct shape shape;
	json_error_t error;
	json_t *json = NULL;
	enum x402_err err;

	if (limits && limits->max_bytes)
		max_bytes = limits->max_bytes;
	if (limits && limits->max_depth)
		max_depth = limits->max_depth;
	if (text.len > max_bytes) {
		x402_errinfo_set(info, "",
			"expected at most %zu bytes, got %zu", max_bytes,
			text.len);
		return X402_ERR_TOO_LARGE;
	}
	shape = shape_of(text);
	if (shape.depth > max_depth) {
		x402_errinfo_set(info, "",
			"expected nesting of at most %zu levels", max_depth);
		return X402_ERR_TOO_LARGE;
	}
	if (text.len == 0) {
		x402_errinfo_set(info, "", "expected JSON, got nothing");
		return X402_ERR_SYNTAX;
	}
	err = parse_surely(text, shape.token, &error, &json);
	if (err == X402_ERR_SYNTAX)
		say_what(&error, shape.token, text.len, info);
	if (err)
		return err;
	*ret_json = outside(json);
	return X402_OK;
}

struct x402_json *x402_json_ref(const struct x402_json *json)
{
	return outside(json_incref(inside(json)));
}

void x402_json_unref(struct x402_json *json)
{
	json_decref(inside(json));
}

enum x402_json_type x402_json_type(const struct x402_json *json)
{
	if (!json)
		return X402_JSON_NULL;
	switch (json_typeof(inside(json))) {
	case JSON_OBJECT:
		return X402_JSON_OBJECT;
	case JSON_ARRAY:
		return X402_JSON_ARRAY;
	case JSON_STRING:
		return X402_JSON_STRING;
	case JSON_INTEGER:
		return X402_JSON_INTEGER;
	case JSON_REAL:
		return X402_JSON_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return X402_JSON_BOOL;
	case JSON_NULL:
		return X402_JSON_NULL;
	}
	return X402_JSON_NULL;
}

const struct x402_json *x402_json_get(
	const struct x402_json *object, const char *key)
{
	json_t *value = json_object_get(inside(object), key);

	return json_is_null(value) ? NULL : outside(value);
}

bool x402_json_has(const struct x402_json *object, const char *key)
{
	return json_object_get(inside(object), key) != NULL;
}

size_t x402_json_size(const struct x402_json *json)
{
	json_t *value = inside(json);

	return json_is_array(value) ? json_array_size(value)
				    : json_object_size(value);
}

const struct x402_json *x402_json_at(
	const struct x402_json *array, size_t index)
{
	return outside(json_array_get(inside(array), index));
}

const char *x402_json_string(const struct x402_json *json)
{
	return json_string_value(inside(json));
}

const char *x402_json_get_string(
	const struct x402_json *object, const char *key)
{
	return x402_json_string(x402_json_get(object, key));
}

bool x402_json_int64(const struct x402_json *json, int64_t *ret_value)
{
	if (!json_is_integer(inside(json)))
		return false;
	*ret_value = json_integer_value(inside(json));
	return true;
}

bool x402_json_bool(const struct x402_json *json, bool *ret_value)
{
	if (!json_is_boolean(inside(json)))
		return false;
	*ret_value = json_is_true(inside(json));
	return true;
}

bool x402_json_next(const struct x402_json *object, void **iter,
	const char **ret_key, const struct x402_json **ret_value)
{
	json_t *value = inside(object);

	*iter = *iter ? json_object_iter_next(value, *iter)
		      : json_object_iter(value);
	if (!*iter)
		return false;
	*ret_key = json_object_iter_key(*iter);
	*ret_value = outside(json_object_iter_value(*iter));
	return true;
}

bool x402_json_equal(const struct x402_json *a, const struct x402_json *b)
{
	bool null_a = x402_json_type(a) == X402_JSON_NULL;
	bool null_b = x402_json_type(b) == X402_JSON_NULL;

	if (null_a || null_b)
		return null_a && null_b;
	return json_equal(inside(a), inside(b)) == 1;
}

struct x402_json *x402_json_new_object(void)
{
	return outside(json_object());
}

struct x402_json *x402_json_new_array(void)
{
	return outside(json_array());
}

struct x402_json *x402_json_new_null(void)
{
	return outside(json_null());
}

struct x402_json *x402_json_new_bool(bool value)
{
	return outside(json_boolean(value));
}

struct x402_json *x402_json_new_int(int64_t value)
{
	return outside(json_integer(value));
}

struct x402_json *x402_json_new_string(const char *text)
{
	return outside(json_string(text));
}

struct x402_json *x402_json_copy(const struct x402_json *json)
{
	return outside(json_deep_copy(inside(json)));
}

enum x402_err x402_json_set_take(
	struct x402_json *object, const char *key, struct x402_json *value)
{
	/* Both of jansson's _new functions consume value in every case. */
	return json_object_set_new(inside(object), key, inside(value)) == 0
		? X402_OK
		: X402_ERR_NOMEM;
}

enum x402_err x402_json_append_take(
	struct x402_json *array, struct x402_json *value)
{
	return json_array_append_new(inside(array), inside(value)) == 0
		? X402_OK
		: X402_ERR_NOMEM;
}

enum x402_err x402_json_set_string(
	struct x402_json *object, const char *key, const char *text)
{
	if (!text)
		return X402_OK;
	return x402_json_set_take(object, key, x402_json_new_string(text));
}

enum x402_err x402_json_set_int(
	struct x402_json *object, const char *key, int64_t value)
{
	return x402_json_set_take(object, key, x402_json_new_int(value));
}

enum x402_err x402_json_set_bool(
	struct x402_json *object, const char *key, bool value)
{
	return x402_json_set_take(object, key, x402_json_new_bool(value));
}

void x402_json_remove(struct x402_json *object, const char *key)
{
	(void)json_object_del(inside(object), key); /* absent is fine */
}

/* 17 digits carry any number that was read through unchanged. */
#define DUMP_FLAGS \
	((size_t)JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17))

/* NULL is JSON null, as for the readers. */
static json_t *inside_or_null(const struct x402_json *json)
{
	return json ? inside(json) : json_null();
}

/* Our buffer remembers a failed append; jansson forgets some of them. */
static int add_dumped(const char *bytes, size_t len, void *data)
{
	struct x402_buf *buf = data;

	x402_buf_add(buf, x402_span(bytes, len));
	return buf->failed ? -1 : 0;
}

static char *dump(const struct x402_json *json, size_t flags)
{
	struct x402_buf buf = {0};

	if (json_dump_callback(inside_or_null(json), add_dumped, &buf, flags))
		buf.failed = true;
	return x402_buf_take_str(&buf);
}

char *x402_json_dump(const struct x402_json *json)
{
	return dump(json, DUMP_FLAGS);
}

char *x402_json_dump_sorted(const struct x402_json *json)
{
	return dump(json, DUMP_FLAGS | JSON_SORT_KEYS);
}
