/*
 * The growable buffer that everything is built in, and the two functions that
 * treat secrets. An append that fails marks the buffer; the caller looks once
 * at the end.
 */
#include <stdarg.h>
#include <stdio.h> /* formatting only */
#include <stdlib.h>

#include "x402/base.h"

/* A word of calldata, a balance, a short text. */
#define FIRST_BYTES 64
/* For the NUL behind a text, and a caller's own. */
#define SPARE_BYTES 8

/* Room for n more bytes and a NUL after them. */
static bool reserve(struct x402_buf *buf, size_t n)
{
	size_t cap;
	uint8_t *ptr;

	if (buf->failed)
		return false;
	if (n >= SIZE_MAX / 2 - buf->len - SPARE_BYTES) {
		buf->failed = true;
		return false;
	}
	if (buf->len + n + 1 <= buf->cap)
		return true;
	/* What comes first is often all that comes, but for a byte or two. */
	cap = buf->cap ? 2 * buf->cap : FIRST_BYTES;
	if (cap < buf->len + n + SPARE_BYTES)
		cap = buf->len + n + SPARE_BYTES;
	ptr = realloc(buf->ptr, cap);
	if (!ptr) {
		buf->failed = true;
		return false;
	}
	buf->ptr = ptr;
	buf->cap = cap;
	return true;
}

void x402_buf_reserve(struct x402_buf *buf, size_t n)
{
	(void)reserve(buf, n); /* the buffer remembers */
}

void x402_buf_add(struct x402_buf *buf, struct x402_span bytes)
{
	if (bytes.len == 0)
		return;
	/* Usually there is room; a NUL must fit behind the bytes as well. */
	if ((buf->failed || bytes.len >= buf->cap - buf->len) &&
		!reserve(buf, bytes.len))
		return;
	memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
	buf->len += bytes.len;
}

void x402_buf_add_byte(struct x402_buf *buf, uint8_t byte)
{
	x402_buf_add(buf, x402_span(&byte, 1));
}

void x402_buf_add_str(struct x402_buf *buf, const char *text)
{
	x402_buf_add(buf, x402_span_str(text));
}

void x402_buf_printf(struct x402_buf *buf, const char *fmt, ...)
{
	va_list args;
	int n;

	/* Most texts fit in what there is, or in the first block. */
	if (!reserve(buf, 0))
		return;
	va_start(args, fmt);
	n = vsnprintf(
		(char *)buf->ptr + buf->len, buf->cap - buf->len, fmt, args);
	va_end(args);
	if (n < 0)
		buf->failed = true;
	if (n < 0)
		return;
	if ((size_t)n < buf->cap - buf->len) {
		buf->len += (size_t)n;
		return;
	}
	if (!reserve(buf, (size_t)n))
		return;
	va_start(args, fmt);
	(void)vsnprintf((char *)buf->ptr + buf->len, (size_t)n + 1, fmt, args);
	va_end(args);
	buf->len += (size_t)n;
}

uint8_t *x402_buf_add_zeros(struct x402_buf *buf, size_t n)
{
	uint8_t *at;

	if (!reserve(buf, n))
		return NULL;
	at = buf->ptr + buf->len;
	memset(at, 0, n);
	buf->len += n;
	return at;
}

char *x402_buf_take_str(struct x402_buf *buf)
{
	char *text;

	if (!reserve(buf, 0)) {
		x402_buf_clear(buf);
		return NULL;
	}
	text = (char *)buf->ptr;
	text[buf->len] = '\0';
	memset(buf, 0, sizeof(*buf));
	return text;
}

void x402_buf_clear(struct x402_buf *buf)
{
	if (!buf)
		return;
	free(buf->ptr);
	memset(buf, 0, sizeof(*buf));
}

void x402_wipe(void *ptr, size_t len)
{
	volatile uint8_t *p = ptr;

	while (len-- > 0)
		*p++ = 0;
}

bool x402_equal_ct(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a;
	const volatile uint8_t *y = b;
	uint8_t differs = 0;

	for (size_t i = 0; i < len; i++)
		differs |= x[i] ^ y[i];
	return differs == 0;
}
