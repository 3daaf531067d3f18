/*
 * head.c: line by line, each cut at its CRLF. A line that is no header, or not
 * the first and looks like a continuation, spoils the whole.
 */
#include "head.h"

#include <string.h>

/* "HTTP/1.1 101 Switching Protocols"; 0 for anything else. */
static unsigned read_status(const char *line)
{
	unsigned status = 0;

	if (strncmp(line, "HTTP/1.1 ", 9) != 0)
		return 0;
	for (int i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(line[i] - '0');
	}
	return line[12] == ' ' || line[12] == '\0' ? status : 0;
}

static bool is_token(const char *name)
{
	return *name &&
		name[strspn(name,
			"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
			"ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '\0';
}

/* "Name: value" in place. */
static bool read_header(char *line, struct http_header *ret_header)
{
	char *colon = strchr(line, ':');
	size_t len;

	if (!colon || strpbrk(line, "\r\n"))
		return false;
	*colon++ = '\0';
	if (!is_token(line))
		return false;
	colon += strspn(colon, " \t");
	len = strlen(colon);
	while (len > 0 && strchr(" \t", colon[len - 1]))
		colon[--len] = '\0';
	ret_header->name = line;
	ret_header->value = colon;
	return true;
}

bool gw_head_read(char *text, size_t len, struct gw_head *ret_head)
{
	struct gw_head *head = ret_head;
	char *stop = text + len;

	head->status = 0;
	head->headers_len = 0;
	if (memchr(text, 0, len))
		return false;
	for (char *line = text; line < stop;) {
		char *end = memmem(line, (size_t)(stop - line), "\r\n", 2);

		if (!end)
			return false;
		*end = '\0';
		if (line == text)
			head->status = read_status(line);
		else if (head->headers_len == GW_HEAD_HEADERS_MAX ||
			!read_header(line, &head->headers[head->headers_len++]))
			return false;
		line = end + 2;
	}
	return head->status >= 100;
}
