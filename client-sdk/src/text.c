/*
 * text.c: a server's reason may hold anything, and ends in terminals and
 * logs. It passes through here first.
 */
#include "text_p.h"

#include <stdbool.h>
#include <string.h>

void x402__text_take(char *out, size_t size, const char *text)
{
	size_t n = 0;
	for (; text && *text && n + 1 < size; text++) {
		unsigned char c = (unsigned char)*text;
		/* C1 controls are 0xc2 0x80-0x9f in UTF-8. */
		bool c1 = c == 0xc2 && (unsigned char)text[1] >= 0x80 &&
			(unsigned char)text[1] <= 0x9f;
		out[n++] = c < 0x20 || c == 0x7f || c1 ? '?' : (char)c;
		if (c1)
			text++;
	}
	if (text && *text) {
		while (n > 0 && ((unsigned char)out[n - 1] & 0xc0) == 0x80)
			n--;
		if (n > 0 && (unsigned char)out[n - 1] >= 0xc0)
			n--;
	}
	out[n] = '\0';
}

void x402__text_take_id(char *out, size_t size, const char *text)
{
	out[0] = '\0';
	size_t len = text ? strlen(text) : 0;
	if (len >= size)
		return;
	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x21 || text[i] > 0x7e)
			return;
	memcpy(out, text ? text : "", len);
	out[len] = '\0';
}
