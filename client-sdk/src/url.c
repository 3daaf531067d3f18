/*
 * url.c: a thin layer over libcurl's URL parser. It answers three questions:
 * is this a URL to send to, where does a reference lead, and do two URLs
 * belong to the same origin. Pure: nothing is resolved or connected.
 */
#include "url_p.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <strings.h>

void x402__http_url_clear(struct x402__http_url *url)
{
	if (!url)
		return;
	free(url->text);
	free(url->shown);
	free(url->host);
	*url = (struct x402__http_url){0};
}

static enum x402_err from_curl(CURLUcode code)
{
	if (code == CURLUE_OK)
		return X402_OK;
	return code == CURLUE_OUT_OF_MEMORY ? X402_ERR_NOMEM
					    : X402_ERR_INVALID_ARGUMENT;
}

static enum x402_err get(
	CURLU *handle, CURLUPart part, unsigned flags, char **ret_text)
{
	char *text = NULL;
	enum x402_err err = from_curl(curl_url_get(handle, part, &text, flags));
	if (err)
		return err;
	*ret_text = strdup(text);
	curl_free(text);
	return *ret_text ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err read_port(CURLU *handle, unsigned *ret_port)
{
	char *text = NULL;
	enum x402_err err = get(
		handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, &text);
	if (err)
		return err;
	*ret_port = (unsigned)strtoul(text, NULL, 10);
	free(text);
	return X402_OK;
}

/* Take the parts out of a parsed handle. */
static enum x402_err take_parts(CURLU *handle, struct x402__http_url *url)
{
	char *scheme = NULL;
	enum x402_err err = get(handle, CURLUPART_SCHEME, 0, &scheme);
	if (err)
		return err;
	url->secure = strcasecmp(scheme, "https") == 0;
	bool known = url->secure || strcasecmp(scheme, "http") == 0;
	free(scheme);
	if (!known)
		return X402_ERR_INVALID_ARGUMENT;
	err = get(handle, CURLUPART_HOST, 0, &url->host);
	if (!err)
		err = read_port(handle, &url->port);
	if (!err)
		err = from_curl(
			curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0));
	if (!err)
		err = get(handle, CURLUPART_URL, 0, &url->text);
	if (!err)
		err = from_curl(curl_url_set(handle, CURLUPART_USER, NULL, 0));
	if (!err)
		err = from_curl(
			curl_url_set(handle, CURLUPART_PASSWORD, NULL, 0));
	if (!err)
		err = get(handle, CURLUPART_URL, 0, &url->shown);
	if (!err && strlen(url->text) > X402__URL_MAX_BYTES)
		err = X402_ERR_TOO_LARGE;
	return err;
}

static enum x402_err parse(
	const char *base, const char *text, struct x402__http_url *ret_url)
{
	if (!text)
		return X402_ERR_INVALID_ARGUMENT;
	if (strlen(text) > X402__URL_MAX_BYTES)
		return X402_ERR_TOO_LARGE;
	CURLU *handle = curl_url();
	if (!handle)
		return X402_ERR_NOMEM;
	struct x402__http_url url = {0};
	enum x402_err err = X402_OK;
	if (base)
		err = from_curl(curl_url_set(handle, CURLUPART_URL, base, 0));
	/* URLENCODE: servers put spaces into Location; we never send them. */
	if (!err)
		err = from_curl(curl_url_set(handle, CURLUPART_URL, text,
			base ? CURLU_URLENCODE : 0));
	if (!err)
		err = take_parts(handle, &url);
	curl_url_cleanup(handle);
	if (err)
		x402__http_url_clear(&url);
	else
		*ret_url = url;
	return err;
}

enum x402_err x402__http_url_parse(
	const char *text, struct x402__http_url *ret_url)
{
	return parse(NULL, text, ret_url);
}

enum x402_err x402__http_url_copy(
	const struct x402__http_url *url, struct x402__http_url *ret_url)
{
	struct x402__http_url copy = {.text = strdup(url->text),
		.shown = strdup(url->shown),
		.host = strdup(url->host),
		.port = url->port,
		.secure = url->secure};
	if (!copy.text || !copy.shown || !copy.host) {
		x402__http_url_clear(&copy);
		return X402_ERR_NOMEM;
	}
	*ret_url = copy;
	return X402_OK;
}

enum x402_err x402__http_url_resolve(const struct x402__http_url *base,
	const char *reference, struct x402__http_url *ret_url)
{
	return parse(base->text, reference, ret_url);
}

static bool same_host(
	const struct x402__http_url *a, const struct x402__http_url *b)
{
	return strcasecmp(a->host, b->host) == 0;
}

bool x402__http_url_same_origin(
	const struct x402__http_url *a, const struct x402__http_url *b)
{
	return a->secure == b->secure && a->port == b->port && same_host(a, b);
}

bool x402__http_url_is_upgrade(
	const struct x402__http_url *from, const struct x402__http_url *to)
{
	return !from->secure && from->port == 80 && to->secure &&
		to->port == 443 && same_host(from, to);
}

bool x402__http_url_is_loopback(const struct x402__http_url *url)
{
	struct in_addr v4;
	/* libcurl writes every spelling of an IPv4 address as four numbers. */
	if (inet_pton(AF_INET, url->host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return strcasecmp(url->host, "[::1]") == 0 ||
		strcasecmp(url->host, "localhost") == 0;
}
