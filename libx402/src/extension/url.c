/*
 * URLs of strangers. What is refused here never reaches a catalogue, and so
 * no agent or browser that reads the catalogue.
 */
#include "url_p.h"

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
}

/* Length of "scheme" when "://" follows it, else 0. */
static size_t scheme_length(const char *text)
{
	size_t n = 0;

	while (is_alnum(text[n]) || (n && (text[n] == '+' || text[n] == '-')))
		n++;
	return strncmp(text + n, "://", 3) == 0 ? n : 0;
}

static bool same_word(const char *text, size_t len, const char *word)
{
	if (len != strlen(word))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (lower(text[i]) != word[i])
			return false;
	}
	return true;
}

/* Printable ASCII; '\' is a slash to some readers and not to others. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~' || strchr("\\\"<>^`{|}", *text))
			return false;
	}
	return true;
}

/* ":8080" up to 65535, or nothing. */
static bool is_port(const char *text, size_t len)
{
	unsigned port = 0;

	if (len == 0)
		return true;
	if (len < 2 || len > 6 || text[0] != ':')
		return false;
	for (size_t i = 1; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return port <= 65535;
}

bool x402__url_parse(const char *text, struct x402__url *ret_url)
{
	struct x402__url url = {0};
	const char *at;
	size_t host_end;

	url.scheme_len = scheme_length(text);
	if (url.scheme_len == 0 || !is_plain(text))
		return false;
	url.http = same_word(text, url.scheme_len, "http") ||
		same_word(text, url.scheme_len, "https");
	url.host = url.scheme_len + 3;
	url.path = url.host + strcspn(text + url.host, "/?#");
	url.path_end = url.path + strcspn(text + url.path, "?#");
	/* The last '@' before the path ends the user's part. */
	at = memrchr(text + url.host, '@', url.path - url.host);
	if (at) {
		url.userinfo = true;
		url.host = (size_t)(at - text) + 1;
	}
	if (text[url.host] == '[') {
		const char *end = memchr(
			text + url.host, ']', url.path - url.host);

		if (!end)
			return false;
		host_end = (size_t)(end - text) + 1;
	} else {
		host_end = url.host + strcspn(text + url.host, ":/?#");
	}
	url.host_len = host_end - url.host;
	if (url.host_len == 0 || !is_port(text + host_end, url.path - host_end))
		return false;
	*ret_url = url;
	return true;
}

/*
 * Is the last label what browsers read as an IPv4 address: all digits, or a
 * hexadecimal number?
 */
static bool ends_in_number(const char *host, size_t len)
{
	size_t start = len;
	bool digits = true;

	while (start > 0 && host[start - 1] != '.')
		start--;
	for (size_t i = start; i < len; i++)
		digits = digits && host[i] >= '0' && host[i] <= '9';
	if (digits)
		return true;
	if (len - start < 2 || host[start] != '0' ||
		lower(host[start + 1]) != 'x')
		return false;
	for (size_t i = start + 2; i < len; i++) {
		char c = lower(host[i]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

bool x402__url_host_is_public_name(const char *host, size_t len)
{
	static const char localhost[] = "localhost";
	size_t label = 0;

	/* The root's dot names the same host. */
	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len == 0 || len > 253)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (host[i] == '.' && label == 0)
			return false;
		label = host[i] == '.' ? 0 : label + 1;
		if (label > 63 ||
			(host[i] != '.' && host[i] != '-' &&
				!is_alnum(host[i])))
			return false;
	}
	if (same_word(host, len, localhost) ||
		(len > 10 && host[len - 10] == '.' &&
			same_word(host + len - 9, 9, localhost)))
		return false;
	return label > 0 && !ends_in_number(host, len);
}
