/*
 * headers.c: header lists. Requests are checked before they are sent, so that
 * a value with a line break in it cannot become a second header; responses
 * are bounded in number and bytes.
 */
#include "headers_p.h"

#include <stdlib.h>
#include <strings.h>

static char *copy(struct x402_span bytes)
{
	char *text = malloc(bytes.len + 1);
	if (!text)
		return NULL;
	if (bytes.len)
		memcpy(text, bytes.ptr, bytes.len);
	text[bytes.len] = '\0';
	return text;
}

enum x402_err x402__headers_add(struct x402_client_headers *headers,
	struct x402_span name, struct x402_span value)
{
	if (headers->len >= X402__HEADERS_MAX ||
		headers->bytes + name.len + value.len > X402__HEADERS_MAX_BYTES)
		return X402_ERR_TOO_LARGE;
	struct x402_client_header *items = realloc(
		headers->items, (headers->len + 1) * sizeof(*headers->items));
	if (!items)
		return X402_ERR_NOMEM;
	headers->items = items;
	char *name_copy = copy(name);
	char *value_copy = value.ptr ? copy(value) : NULL;
	if (!name_copy || (value.ptr && !value_copy)) {
		free(name_copy);
		free(value_copy);
		return X402_ERR_NOMEM;
	}
	items[headers->len++] = (struct x402_client_header){
		name_copy, value_copy};
	headers->bytes += name.len + value.len;
	return X402_OK;
}

static void free_item(struct x402_client_header *item)
{
	free((char *)item->name);
	free((char *)item->value);
}

void x402__headers_remove(struct x402_client_headers *headers, const char *name)
{
	size_t kept = 0;
	for (size_t i = 0; i < headers->len; i++) {
		if (strcasecmp(headers->items[i].name, name) == 0)
			free_item(&headers->items[i]);
		else
			headers->items[kept++] = headers->items[i];
	}
	headers->len = kept;
}

void x402__headers_clear(struct x402_client_headers *headers)
{
	for (size_t i = 0; i < headers->len; i++)
		free_item(&headers->items[i]);
	free(headers->items);
	*headers = (struct x402_client_headers){0};
}

const char *x402__header_find(const struct x402_client_header *headers,
	size_t len, const char *name, size_t *ret_count)
{
	const char *found = NULL;
	size_t count = 0;
	for (size_t i = 0; i < len; i++) {
		if (strcasecmp(headers[i].name, name) != 0)
			continue;
		if (count++ == 0)
			found = headers[i].value;
	}
	if (ret_count)
		*ret_count = count;
	return found;
}

static bool is_token(const char *text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";
	if (!*text)
		return false;
	for (; *text; text++) {
		char c = *text;
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			(c >= 'A' && c <= 'Z');
		if (!alnum && !strchr(others, c))
			return false;
	}
	return true;
}

bool x402__header_is_valid(const char *name, const char *value)
{
	if (!name || !is_token(name))
		return false;
	for (; value && *value; value++) {
		unsigned char c = (unsigned char)*value;
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	/* Framing is libcurl's: a second opinion about the length is how
	 * requests are smuggled. */
	return strcasecmp(name, "Content-Length") != 0 &&
		strcasecmp(name, "Transfer-Encoding") != 0;
}

bool x402__header_is_payment(const char *name)
{
	return strcasecmp(name, X402_HEADER_PAYMENT_SIGNATURE) == 0 ||
		strcasecmp(name, X402_HEADER_X_PAYMENT) == 0;
}

enum x402_err x402_client_headers_add(struct x402_client_headers *headers,
	const char *name, const char *value)
{
	/* A hook must not pay behind the flow's back. */
	if (!value || !x402__header_is_valid(name, value) ||
		x402__header_is_payment(name))
		return X402_ERR_INVALID_ARGUMENT;
	return x402__headers_add(
		headers, x402_span_str(name), x402_span_str(value));
}
