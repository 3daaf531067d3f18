/*
 * Reading and writing members of protocol objects, with errors that name the
 * member and say what was expected. Explicit null counts as absent (L-020).
 */
#include "fields_p.h"

static enum x402_err wrong(
	struct x402_errinfo *info, const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "expected %s", expected);
	return X402_ERR_SCHEMA;
}

enum x402_err x402__need_object(const struct x402_json *json, const char *field,
	struct x402_errinfo *info)
{
	if (x402_json_type(json) == X402_JSON_OBJECT)
		return X402_OK;
	return wrong(info, field, "an object");
}

enum x402_err x402__read_string(const struct x402_json *object, const char *key,
	struct x402_errinfo *info, const char **ret_text)
{
	*ret_text = x402_json_get_string(object, key);
	return *ret_text ? X402_OK : wrong(info, key, "a string");
}

enum x402_err x402__read_optional_string(const struct x402_json *object,
	const char *key, struct x402_errinfo *info, const char **ret_text)
{
	*ret_text = x402_json_get_string(object, key);
	if (*ret_text || !x402_json_get(object, key))
		return X402_OK;
	return wrong(info, key, "a string or nothing");
}

enum x402_err x402__read_optional_object(const struct x402_json *object,
	const char *key, struct x402_errinfo *info,
	const struct x402_json **ret_json)
{
	*ret_json = x402_json_get(object, key);
	if (!*ret_json || x402_json_type(*ret_json) == X402_JSON_OBJECT)
		return X402_OK;
	return wrong(info, key, "an object or nothing");
}

/* L-011, L-023: a number, or on reading the same as a string. */
enum x402_err x402__read_version(const struct x402_json *object,
	struct x402_errinfo *info, int *ret_version)
{
	const struct x402_json *json = x402_json_get(object, "x402Version");
	const char *text = x402_json_string(json);
	int64_t number = 0;

	if (text && (strcmp(text, "1") == 0 || strcmp(text, "2") == 0))
		number = text[0] - '0';
	else if (!x402_json_int64(json, &number))
		return wrong(info, "x402Version", "1 or 2");
	if (number != X402_V1 && number != X402_V2) {
		x402_errinfo_set(info, "x402Version",
			"expected 1 or 2, got %lld", (long long)number);
		return X402_ERR_VERSION;
	}
	*ret_version = (int)number;
	return X402_OK;
}

void x402__prefix_field(struct x402_errinfo *info, const char *prefix)
{
	struct x402_errinfo inner;

	if (!info)
		return;
	inner = *info;
	if (inner.field[0]) {
		struct x402_buf buf = {0};

		x402_buf_printf(&buf, "%s.%s", prefix, inner.field);
		x402_errinfo_set(info,
			buf.failed ? prefix : (const char *)buf.ptr, "%s",
			inner.text);
		x402_buf_clear(&buf);
	} else {
		x402_errinfo_set(info, prefix, "%s", inner.text);
	}
}

enum x402_err x402__set_json(struct x402_json *object, const char *key,
	const struct x402_json *value)
{
	if (!value)
		return X402_OK;
	return x402_json_set_take(object, key, x402_json_ref(value));
}
