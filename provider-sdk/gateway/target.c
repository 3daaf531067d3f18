/*
 * target.c: a canonical path back into a request target. Every byte that has
 * no meaning of its own in a path is escaped, so '?' and '#' in a file's name
 * stay in the name.
 */
#include "target.h"

#include <string.h>
#include <strings.h>

/* RFC 3986 pchar and '/', without '%'. */
static bool plain(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		(c >= 'A' && c <= 'Z') ||
		(c != 0 && strchr("-._~!$&'()*+,;=:@/", c));
}

/* The two escapes that a canonical path keeps (x402 P-112). */
static bool kept_escape(const char *at)
{
	return strncmp(at, "%2F", 3) == 0 || strncmp(at, "%5C", 3) == 0;
}

static void add_path(struct x402_buf *buf, const char *path)
{
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (plain(c) || (c == '%' && kept_escape(path)))
			x402_buf_add_byte(buf, c);
		else
			x402_buf_printf(buf, "%%%02X", c);
	}
}

/* "." in any spelling; gives the bytes read, 0 for something else. */
static size_t dot_at(const char *at, size_t len)
{
	if (len >= 1 && at[0] == '.')
		return 1;
	return len >= 3 && strncasecmp(at, "%2e", 3) == 0 ? 3 : 0;
}

/* "/a/", "/a/.", "/a/b/.." are all directories. */
static bool ends_with_slash(const char *raw)
{
	size_t len = strcspn(raw, "?#");
	size_t at = len;
	size_t first;

	while (at > 0 && raw[at - 1] != '/')
		at--;
	if (at == 0)
		return false;
	if (at == len)
		return true;
	first = dot_at(raw + at, len - at);
	return first &&
		(at + first == len ||
			at + first +
					dot_at(raw + at + first,
						len - at - first) ==
				len);
}

char *gw_target(const char *canonical, const char *raw, const char *query)
{
	struct x402_buf buf = {0};
	size_t len = strlen(canonical);

	add_path(&buf, canonical);
	if (ends_with_slash(raw) && len > 0 && canonical[len - 1] != '/')
		x402_buf_add_byte(&buf, '/');
	if (*query) {
		x402_buf_add_byte(&buf, '?');
		x402_buf_add_str(&buf, query);
	}
	return x402_buf_take_str(&buf);
}
