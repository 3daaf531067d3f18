/*
 * builder-code (E-BC): reading what came, in both forms, and the suffix behind
 * calldata: cbor || length (2 bytes) || 0x02 || the marker of ERC-8021. The
 * map is small and its keys are written in order (a, s, w), so that the same
 * codes have one encoding.
 */
#include "x402/builder_code.h"

#define NAME "builder-code"
/* CBOR's major types that are needed. */
#define CBOR_TEXT  0x60
#define CBOR_ARRAY 0x80
#define CBOR_MAP   0xa0
/* Lengths up to here stand in the first byte. */
#define CBOR_SMALL 23

bool x402_builder_code_is_valid(const char *text)
{
	size_t len = text ? strlen(text) : 0;

	return len > 0 && len < X402_BUILDER_CODE_SIZE &&
		strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == len;
}

static void add_service(struct x402_builder_codes *codes, const char *text)
{
	if (!x402_builder_code_is_valid(text) ||
		codes->services_len == X402_BUILDER_SERVICES_MAX)
		return;
	for (size_t i = 0; i < codes->services_len; i++)
		if (strcmp(codes->services[i], text) == 0)
			return;
	memcpy(codes->services[codes->services_len++], text, strlen(text) + 1);
}

bool x402_builder_codes_read(const struct x402_json *extensions,
	struct x402_builder_codes *ret_codes)
{
	const struct x402_json *json = x402_json_get(extensions, NAME);
	const struct x402_json *info = x402_json_get(json, "info");
	struct x402_builder_codes codes = {0};
	const struct x402_json *services;
	const char *app;

	if (x402_json_type(json) != X402_JSON_OBJECT)
		return false;
	if (x402_json_type(info) == X402_JSON_OBJECT)
		json = info;
	app = x402_json_get_string(json, "a");
	if (x402_builder_code_is_valid(app))
		memcpy(codes.app, app, strlen(app) + 1);
	services = x402_json_get(json, "s");
	add_service(&codes, x402_json_string(services));
	for (size_t i = 0; i < x402_json_size(services); i++)
		add_service(
			&codes, x402_json_string(x402_json_at(services, i)));
	*ret_codes = codes;
	return codes.app[0] || codes.services_len;
}

/* ---- CBOR. ---- */

static void add_head(struct x402_buf *buf, uint8_t type, size_t len)
{
	if (len <= CBOR_SMALL) {
		x402_buf_add_byte(buf, (uint8_t)(type | len));
		return;
	}
	/* No text here is longer than a byte says. */
	x402_buf_add_byte(buf, (uint8_t)(type | 24));
	x402_buf_add_byte(buf, (uint8_t)len);
}

static void add_text(struct x402_buf *buf, const char *text)
{
	add_head(buf, CBOR_TEXT, strlen(text));
	x402_buf_add_str(buf, text);
}

static void add_services(
	struct x402_buf *buf, const struct x402_builder_codes *codes)
{
	add_text(buf, "s");
	add_head(buf, CBOR_ARRAY, codes->services_len);
	for (size_t i = 0; i < codes->services_len; i++)
		add_text(buf, codes->services[i]);
}

void x402_builder_codes_suffix(
	const struct x402_builder_codes *codes, struct x402_buf *buf)
{
	size_t members = (codes->app[0] ? 1u : 0) +
		(codes->services_len ? 1u : 0) + (codes->wallet[0] ? 1u : 0);
	size_t start = buf->len;
	size_t len;

	if (!members)
		return;
	add_head(buf, CBOR_MAP, members);
	if (codes->app[0]) {
		add_text(buf, "a");
		add_text(buf, codes->app);
	}
	if (codes->services_len)
		add_services(buf, codes);
	if (codes->wallet[0]) {
		add_text(buf, "w");
		add_text(buf, codes->wallet);
	}
	len = buf->len - start;
	x402_buf_add_byte(buf, (uint8_t)(len >> 8));
	x402_buf_add_byte(buf, (uint8_t)len);
	x402_buf_add_byte(buf, 0x02);
	for (int i = 0; i < 8; i++) {
		x402_buf_add_byte(buf, 0x80);
		x402_buf_add_byte(buf, 0x21);
	}
}

/* ---- The payer's side. ---- */

enum x402_err x402_builder_codes_create(const char *const *services,
	size_t services_len, struct x402_json **ret_extensions)
{
	struct x402_json *all = x402_json_new_object();
	struct x402_json *extension = x402_json_new_object();
	struct x402_json *info = x402_json_new_object();
	struct x402_json *list = x402_json_new_array();
	enum x402_err err = all && extension && info && list ? X402_OK
							     : X402_ERR_NOMEM;

	if (!services_len || services_len > X402_BUILDER_CLIENT_MAX)
		err = X402_ERR_INVALID_ARGUMENT;
	for (size_t i = 0; !err && i < services_len; i++)
		err = x402_builder_code_is_valid(services[i])
			? x402_json_append_take(
				  list, x402_json_new_string(services[i]))
			: X402_ERR_INVALID_ARGUMENT;
	if (!err)
		err = x402_json_set_take(info, "s", x402_json_ref(list));
	if (!err)
		err = x402_json_set_take(
			extension, "info", x402_json_ref(info));
	if (!err)
		err = x402_json_set_take(all, NAME, x402_json_ref(extension));
	x402_json_unref(list);
	x402_json_unref(info);
	x402_json_unref(extension);
	if (err) {
		x402_json_unref(all);
		return err;
	}
	*ret_extensions = all;
	return X402_OK;
}
