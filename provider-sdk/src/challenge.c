/*
 * challenge.c: what an unpaid request is told. The v2 challenge is put
 * together from the texts that provider.c made once, since this is the answer
 * that crawlers and strangers get most of the time; only URL and error differ
 * from request to request.
 */
#include "provider_p.h"

#include <stdlib.h>

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e || *text == '"' ||
			*text == '\\')
			return false;
	return true;
}

void x402__json_string_add(struct x402_buf *buf, const char *text)
{
	struct x402_json *json;
	char *quoted;

	if (is_plain(text)) {
		x402_buf_add_byte(buf, '"');
		x402_buf_add_str(buf, text);
		x402_buf_add_byte(buf, '"');
		return;
	}
	json = x402_json_new_string(text);
	quoted = json ? x402_json_dump(json) : NULL;
	x402_json_unref(json);
	if (quoted)
		x402_buf_add_str(buf, quoted);
	else
		buf->failed = true;
	free(quoted);
}

/* The route's own object, and members that change with each challenge. */
static void add_extensions(
	struct x402_buf *json, const char *own, struct x402_span more)
{
	size_t len = own ? strlen(own) : 2;

	if (!own && more.len == 0)
		return;
	x402_buf_add_str(json, ",\"extensions\":");
	/* Without the closing brace. */
	x402_buf_add(json, x402_span(own ? own : "{}", len - 1));
	if (len > 2 && more.len > 0)
		x402_buf_add_byte(json, ',');
	x402_buf_add(json, more);
	x402_buf_add_byte(json, '}');
}

static void add_accepts(struct x402_buf *json,
	const struct x402__prices *prices, const struct x402__stamp *stamp)
{
	uint8_t reference32[32];

	if (!x402__prices_have_proofs(prices)) {
		x402_buf_add_str(json, prices->accepts);
		return;
	}
	for (size_t i = 0; i < prices->offers_len; i++) {
		const struct x402__offer *offer = &prices->offers[i];

		x402_buf_add_byte(json, i ? ',' : '[');
		if (x402__offer_is_proof(offer)) {
			x402__stamp_reference(stamp, offer, reference32);
			x402__offer_add_fresh(offer, reference32, json);
		} else {
			x402_buf_add_str(json, offer->json);
		}
	}
	x402_buf_add_byte(json, ']');
}

enum x402_err x402__challenge_header(const struct x402__route *route,
	const struct x402__prices *prices, const struct x402__stamp *stamp,
	const char *error, struct x402_span more, char **ret_text)
{
	struct x402_buf json = {0};
	struct x402_buf text = {0};

	x402_buf_add_str(&json, "{\"x402Version\":2,\"error\":");
	x402__json_string_add(&json, error);
	x402_buf_add_str(&json, ",\"resource\":{\"url\":");
	x402__json_string_add(&json, stamp->url);
	x402_buf_add_str(&json, route->resource_tail);
	x402_buf_add_str(&json, "},\"accepts\":");
	add_accepts(&json, prices, stamp);
	add_extensions(&json, route->extensions, more);
	x402_buf_add_byte(&json, '}');
	if (!json.failed)
		x402_base64_encode(x402_buf_span(&json), &text);
	text.failed = text.failed || json.failed;
	x402_buf_clear(&json);
	if (!text.failed && text.len > X402_HEADER_MAX_BYTES) {
		x402_buf_clear(&text);
		return X402_ERR_TOO_LARGE;
	}
	*ret_text = x402_buf_take_str(&text);
	return *ret_text ? X402_OK : X402_ERR_NOMEM;
}

struct x402_payment_requirements x402__offer_v1(const struct x402__route *route,
	const struct x402__offer *offer,
	const struct x402_payment_requirements *v2, const char *url)
{
	return (struct x402_payment_requirements){
		.x402_version = X402_V1,
		.scheme = v2->scheme,
		.network = offer->v1_network,
		.amount = v2->amount,
		.asset = v2->asset,
		.pay_to = v2->pay_to,
		.max_timeout_seconds = v2->max_timeout_seconds,
		.extra = v2->extra,
		.resource = url,
		.description = route->description,
		.mime_type = route->mime_type,
	};
}

/* The text in two halves, around the place where the URL goes. */
static enum x402_err split_at_resource(
	const char *text, struct x402__offer *offer)
{
	static const char mark[] = "\"resource\":\"\"";
	/* Quotes inside of values are escaped, and the members before this
	 * one are plain words: the first match is the member itself. */
	const char *at = strstr(text, mark);

	if (!at)
		return X402_ERR_INTERNAL;
	at += strlen("\"resource\":");
	offer->v1_head = strndup(text, (size_t)(at - text));
	offer->v1_tail = strdup(at + strlen("\"\""));
	return offer->v1_head && offer->v1_tail ? X402_OK : X402_ERR_NOMEM;
}

enum x402_err x402__offer_write_v1(
	const struct x402__route *route, struct x402__offer *offer)
{
	struct x402_payment_requirements v2 = {0};
	struct x402_payment_requirements v1;
	struct x402_json *tree = NULL;
	struct x402_json *json = NULL;
	char *text = NULL;
	enum x402_err err = x402_json_parse(
		x402_span_str(offer->json), NULL, NULL, &tree);

	if (err == X402_OK)
		err = x402_payment_requirements_read(tree, X402_V2, NULL, &v2);
	x402_json_unref(tree);
	if (err != X402_OK)
		return err;
	v1 = x402__offer_v1(route, offer, &v2, "");
	err = x402_payment_requirements_to_json(&v1, &json);
	text = err == X402_OK ? x402_json_dump(json) : NULL;
	if (err == X402_OK)
		err = text ? split_at_resource(text, offer) : X402_ERR_NOMEM;
	free(text);
	x402_json_unref(json);
	x402_payment_requirements_clear(&v2);
	return err;
}

enum x402_err x402__challenge_v1_body(const struct x402__prices *prices,
	const char *url, const char *error, char **ret_text)
{
	struct x402_buf body = {0};
	bool first = true;

	x402_buf_add_str(&body, "{\"x402Version\":1,\"error\":");
	x402__json_string_add(&body, error);
	x402_buf_add_str(&body, ",\"accepts\":[");
	for (size_t i = 0; i < prices->offers_len; i++) {
		const struct x402__offer *offer = &prices->offers[i];

		if (!offer->v1_head)
			continue;
		if (!first)
			x402_buf_add_byte(&body, ',');
		first = false;
		x402_buf_add_str(&body, offer->v1_head);
		x402__json_string_add(&body, url);
		x402_buf_add_str(&body, offer->v1_tail);
	}
	x402_buf_add_str(&body, "]}");
	*ret_text = x402_buf_take_str(&body);
	return *ret_text ? X402_OK : X402_ERR_NOMEM;
}
