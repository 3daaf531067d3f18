/*
 * The only file that knows jansson. Values are jansson's own, seen from
 * outside as an opaque struct x402_json. Nesting is counted before jansson
 * sees the text, so that hostile depth never recurses.
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

/*
 * Deepest nesting of a text, strings skipped. Malformed text gives some
 * number; jansson refuses it afterwards.
 */
static size_t nesting(struct x402_span text)
{
	size_t depth = 0;
	size_t deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			depth++;
			deepest = depth > deepest ? depth : deepest;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return deepest;
}

static enum x402_err parse_error(
	const json_error_t *error, struct x402_errinfo *info)
{
	x402_errinfo_set(info, "", "not strict JSON: %s at byte %d",
		error->text, error->position);
	return json_error_code(error) == json_error_out_of_memory
		? X402_ERR_NOMEM
		: X402_ERR_SYNTAX;
}

enum x402_err x402_json_parse(struct x402_span text,
	const struct x402_json_limits *limits, struct x402_errinfo *info,
	struct x402_json **ret_json)
{
	size_t max_bytes = X402_JSON_MAX_BYTES;
	size_t max_depth = X402_JSON_MAX_DEPTH;
	json_error_t error = {0};
	json_t *json;

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
	if (nesting(text) > max_depth) {
		x402_errinfo_set(info, "",
			"expected nesting of at most %zu levels", max_depth);
		return X402_ERR_TOO_LARGE;
	}
	if (text.len == 0) {
		x402_errinfo_set(info, "", "expected JSON, got nothing");
		return X402_ERR_SYNTAX;
	}
	json = json_loadb((const char *)text.ptr, text.len,
		JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!json)
		return parse_error(&error, info);
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

char *x402_json_dump(const struct x402_json *json)
{
	return json_dumps(inside_or_null(json), DUMP_FLAGS);
}

char *x402_json_dump_sorted(const struct x402_json *json)
{
	return json_dumps(inside_or_null(json), DUMP_FLAGS | JSON_SORT_KEYS);
}
