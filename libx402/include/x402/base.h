/*
 * base.h: spans, growable buffers and the macros every header needs.
 *
 * Not for: text conversion (encoding.h), JSON (json.h).
 * Thread rule: see x402.h.
 */
#ifndef X402_BASE_H
#define X402_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define X402_API               __attribute__((visibility("default")))
#define X402_MUST_USE          __attribute__((warn_unused_result))
#define X402_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define X402_API
#define X402_MUST_USE
#define X402_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes borrowed from somebody else. ptr may be NULL only when len is 0. */
struct x402_span {
	const uint8_t *ptr;
	size_t len;
};

static inline struct x402_span x402_span(const void *ptr, size_t len)
{
	struct x402_span s = {(const uint8_t *)ptr, len};
	return s;
}

/* The bytes of a C string, without its NUL. NULL gives the empty span. */
static inline struct x402_span x402_span_str(const char *s)
{
	return x402_span(s, s ? strlen(s) : 0);
}

/*
 * A growable byte buffer. Zero-initialise it ({0}) or call clear on it.
 * A failed append sets failed and frees nothing; later appends do nothing, so
 * a chain of appends is checked once at its end.
 */
struct x402_buf {
	uint8_t *ptr;
	size_t len;
	size_t cap;
	bool failed;
};

/* Append bytes; on exhausted memory sets buf->failed. span may be empty. */
X402_API void x402_buf_add(struct x402_buf *buf, struct x402_span bytes);
X402_API void x402_buf_add_byte(struct x402_buf *buf, uint8_t byte);
X402_API void x402_buf_add_str(struct x402_buf *buf, const char *text);
X402_API void x402_buf_printf(struct x402_buf *buf, const char *fmt, ...)
	X402_PRINTF(2, 3);
/*
 * Make room for n more bytes: appending them will not move the ones before, and
 * cannot fail. On exhausted memory sets buf->failed. Ask before a secret goes
 * in: a buffer that grows may leave its old bytes in freed memory.
 */
X402_API void x402_buf_reserve(struct x402_buf *buf, size_t n);
/* Append n zero bytes and return where they start, or NULL when failed. */
X402_API uint8_t *x402_buf_add_zeros(struct x402_buf *buf, size_t n);

/*
 * Hand the buffer over as a NUL-terminated heap string and leave buf empty.
 * Returns NULL when an append had failed; buf is then cleared too.
 */
X402_API char *x402_buf_take_str(struct x402_buf *buf);

/* Free the bytes and leave an empty buffer. NULL allowed. */
X402_API void x402_buf_clear(struct x402_buf *buf);

static inline struct x402_span x402_buf_span(const struct x402_buf *buf)
{
	return x402_span(buf->ptr, buf->len);
}

/*
 * Overwrite memory that held a secret, in a way the compiler keeps.
 * NULL with len 0 allowed.
 */
X402_API void x402_wipe(void *ptr, size_t len);

/* Compare secrets or digests without a data-dependent branch. */
X402_API bool x402_equal_ct(const void *a, const void *b, size_t len);

#ifdef __cplusplus
}
#endif
#endif
