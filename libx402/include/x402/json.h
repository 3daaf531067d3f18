/*
 * json.h: the one door to JSON. A strict reader (duplicate keys, trailing
 * data, NUL and bad UTF-8 are refused) with caps on size, depth and members,
 * and a small value tree that keeps unknown fields, so that objects can be
 * sent on as they came (x402 L-020).
 *
 * Not for: typed protocol objects, see payment.h.
 *
 * Thread rule: values are reference-counted without locks. A tree belongs to
 * one thread at a time. Values returned by the x402_json_get family are
 * borrowed: they live as long as their tree.
 */
#ifndef X402_JSON_H
#define X402_JSON_H

#include "x402/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct x402_json; /* opaque value: object, array, string, number, ... */

enum x402_json_type {
	X402_JSON_NULL,
	X402_JSON_BOOL,
	X402_JSON_INTEGER,
	X402_JSON_REAL, /* never money: carried along, not computed with */
	X402_JSON_STRING,
	X402_JSON_ARRAY,
	X402_JSON_OBJECT
};

struct x402_json_limits {
	size_t max_bytes; /* Optional, default X402_JSON_MAX_BYTES */
	size_t max_depth; /* Optional, default X402_JSON_MAX_DEPTH */
};
#define X402_JSON_LIMITS_INIT \
	{                     \
		0, 0          \
	}
/* A facilitator request with two copies of the largest header fits. */
#define X402_JSON_MAX_BYTES ((size_t)256 * 1024)
/* Bazaar schemas nest; no honest message comes near. */
#define X402_JSON_MAX_DEPTH ((size_t)32)

/*
 * Parse a whole text. limits and info may be NULL.
 * Returns SYNTAX (info says where), TOO_LARGE, NOMEM. The caller owns
 * *ret_json and releases it with x402_json_unref.
 */
X402_API X402_MUST_USE enum x402_err x402_json_parse(struct x402_span text,
	const struct x402_json_limits *limits, struct x402_errinfo *info,
	struct x402_json **ret_json);

/* Share and release. NULL accepted by both; ref returns its argument. */
X402_API struct x402_json *x402_json_ref(const struct x402_json *json);
X402_API void x402_json_unref(struct x402_json *json);

/* Reading. NULL json is treated as JSON null everywhere below. */
X402_API enum x402_json_type x402_json_type(const struct x402_json *json);
/* Member of an object; NULL if absent, null, or not an object (L-020). */
X402_API const struct x402_json *x402_json_get(
	const struct x402_json *object, const char *key);
/* True also for an explicit null member. */
X402_API bool x402_json_has(const struct x402_json *object, const char *key);
/* Number of members or elements; 0 for other types. */
X402_API size_t x402_json_size(const struct x402_json *json);
/* Element of an array; NULL past the end. */
X402_API const struct x402_json *x402_json_at(
	const struct x402_json *array, size_t index);
/* The string's bytes (NUL-terminated, no NUL inside), or NULL if no string. */
X402_API const char *x402_json_string(const struct x402_json *json);
/* Same for a member of an object, in one step. */
X402_API const char *x402_json_get_string(
	const struct x402_json *object, const char *key);
/* False when not an integer that fits. */
X402_API bool x402_json_int64(const struct x402_json *json, int64_t *ret_value);
X402_API bool x402_json_bool(const struct x402_json *json, bool *ret_value);

/* Walk an object: iter starts at NULL; returns false at the end. */
X402_API bool x402_json_next(const struct x402_json *object, void **iter,
	const char **ret_key, const struct x402_json **ret_value);

/*
 * Deep equality as the protocol wants it (L-032): key order ignored, strings
 * compared exactly, integers by value. Bounded by the parse depth.
 */
X402_API bool x402_json_equal(
	const struct x402_json *a, const struct x402_json *b);

/* Building. All return NULL when memory is out. */
X402_API struct x402_json *x402_json_new_object(void);
X402_API struct x402_json *x402_json_new_array(void);
X402_API struct x402_json *x402_json_new_null(void);
X402_API struct x402_json *x402_json_new_bool(bool value);
X402_API struct x402_json *x402_json_new_int(int64_t value);
/* NULL when text is no valid UTF-8. */
X402_API struct x402_json *x402_json_new_string(const char *text);
/* An independent deep copy; NULL for NULL. */
X402_API struct x402_json *x402_json_copy(const struct x402_json *json);

/*
 * Set or append. value is taken (consumed) also on failure; a NULL value is
 * reported as NOMEM, so building calls can be nested and checked once.
 */
X402_API X402_MUST_USE enum x402_err x402_json_set_take(
	struct x402_json *object, const char *key, struct x402_json *value);
X402_API X402_MUST_USE enum x402_err x402_json_append_take(
	struct x402_json *array, struct x402_json *value);
/* Set a string member; a NULL text leaves the object as it is. */
X402_API X402_MUST_USE enum x402_err x402_json_set_string(
	struct x402_json *object, const char *key, const char *text);
X402_API X402_MUST_USE enum x402_err x402_json_set_int(
	struct x402_json *object, const char *key, int64_t value);
X402_API X402_MUST_USE enum x402_err x402_json_set_bool(
	struct x402_json *object, const char *key, bool value);
/* Remove a member; absent is fine. */
X402_API void x402_json_remove(struct x402_json *object, const char *key);

/* Compact text in insertion order; caller frees. NULL when memory is out. */
X402_API char *x402_json_dump(const struct x402_json *json);
/* Keys sorted: the form to hash or compare as bytes. */
X402_API char *x402_json_dump_sorted(const struct x402_json *json);

#ifdef __cplusplus
}
#endif
#endif
