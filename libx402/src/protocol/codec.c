/*
 * Objects as header text: compact JSON, UTF-8, standard padded base64 (L-030,
 * L-031). Each pair below is decode-and-read or build-and-encode.
 */
#include <stdlib.h>

#include "x402/codec.h"
#include "x402/encoding.h"

enum x402_err x402_header_decode(struct x402_span text,
	struct x402_errinfo *info, struct x402_json **ret_json)
{
	struct x402_buf bytes = {0};
	enum x402_err err;

	if (text.len > X402_HEADER_MAX_BYTES) {
		x402_errinfo_set(info, "",
			"expected at most %zu bytes, got %zu",
			X402_HEADER_MAX_BYTES, text.len);
		return X402_ERR_TOO_LARGE;
	}
	err = x402_base64_decode(text, &bytes);
	if (err) {
		x402_errinfo_set(
			info, "", "expected standard base64 with padding");
		return err;
	}
	err = x402_json_parse(x402_buf_span(&bytes), NULL, info, ret_json);
	x402_buf_clear(&bytes);
	return err;
}

enum x402_err x402_header_encode(const struct x402_json *json, char **ret_text)
{
	struct x402_buf buf = {0};
	char *text = x402_json_dump(json);

	if (!text)
		return X402_ERR_NOMEM;
	x402_base64_encode(x402_span_str(text), &buf);
	free(text);
	if (buf.len > X402_HEADER_MAX_BYTES) {
		x402_buf_clear(&buf);
		return X402_ERR_TOO_LARGE;
	}
	text = x402_buf_take_str(&buf);
	if (!text)
		return X402_ERR_NOMEM;
	*ret_text = text;
	return X402_OK;
}

#define DEFINE_CODEC(name)                                                 \
	enum x402_err x402_##name##_decode(struct x402_span text,          \
		struct x402_errinfo *info, struct x402_##name *ret_object) \
	{                                                                  \
		struct x402_json *json = NULL;                             \
		enum x402_err err = x402_header_decode(text, info, &json); \
                                                                           \
		if (!err)                                                  \
			err = x402_##name##_read(json, info, ret_object);  \
		x402_json_unref(json);                                     \
		return err;                                                \
	}                                                                  \
                                                                           \
	enum x402_err x402_##name##_encode(                                \
		const struct x402_##name *object, char **ret_text)         \
	{                                                                  \
		struct x402_json *json = NULL;                             \
		enum x402_err err = x402_##name##_to_json(object, &json);  \
                                                                           \
		if (!err)                                                  \
			err = x402_header_encode(json, ret_text);          \
		x402_json_unref(json);                                     \
		return err;                                                \
	}

DEFINE_CODEC(payment_required)
DEFINE_CODEC(payment_payload)
DEFINE_CODEC(settle_response)
