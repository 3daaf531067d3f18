/*
 * Fuzzes request paths and patterns. Input: a pattern, a newline, a target.
 * What must hold: no crash; a canonical path is its own canonical path; the
 * wildcard matcher agrees with plain comparison; "/" and a star match all.
 */
#include <stdlib.h>
#include <strings.h>

#include "route_p.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Escape what the raw form of a canonical path may not hold. */
static char *escaped(const char *path)
{
	static const char digits[] = "0123456789ABCDEF";
	struct x402_buf out = {0};

	for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
		bool kept = strncmp((const char *)s, "%2F", 3) == 0 ||
			strncmp((const char *)s, "%5C", 3) == 0;

		if (*s > 0x20 && *s < 0x7f && !strchr("?#", *s) &&
			(*s != '%' || kept)) {
			x402_buf_add_byte(&out, *s);
		} else {
			x402_buf_add_byte(&out, '%');
			x402_buf_add_byte(&out, (uint8_t)digits[*s >> 4]);
			x402_buf_add_byte(&out, (uint8_t)digits[*s & 15]);
		}
	}
	return x402_buf_take_str(&out);
}

static bool is_path(void *user, const char *reading)
{
	size_t *readings = user;

	require(reading[0] == '/' && !strstr(reading, "//"));
	require(!strstr(reading, "/../") && !strchr(reading, '\\'));
	(*readings)++;
	return true;
}

static void check_path(const struct x402__path *path)
{
	struct x402__path again;
	char *raw = escaped(path->strict);
	size_t readings = 0;

	require(raw);
	require(path->strict[0] == '/' && !strstr(path->strict, "//"));
	(void)x402__path_readings_agree(path, is_path, &readings);
	require(readings <= 2 * X402__DECODE_ROUNDS);
	require(!strstr(path->strict, "/../") && !strchr(path->strict, '\\'));
	if (strlen(raw) <= X402__TARGET_MAX) {
		require(x402__path_read(x402_span_str(raw), &again) == X402_OK);
		require(strcmp(again.strict, path->strict) == 0);
		x402__path_clear(&again);
	}
	free(raw);
}

static void check_match(
	const struct x402__pattern *pattern, const struct x402__path *path)
{
	struct x402__pattern general = *pattern;
	struct x402__pattern all;
	struct x402_span value;

	general.plain = false;
	require(x402__pattern_matches(pattern, path->strict) ==
		x402__pattern_matches(&general, path->strict));
	(void)x402__pattern_param(pattern, path->strict, "id", &value);
	require(x402__pattern_compile("/*", NULL, &all) == X402_OK);
	require(x402__pattern_matches(&all, path->strict));
	x402__pattern_clear(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	struct x402__pattern pattern;
	struct x402__path path;
	char *text;

	if (!end)
		return 0;
	text = strndup((const char *)data, (size_t)(end - data));
	require(text);
	if (x402__path_read(x402_span(end + 1, size - (size_t)(end - data) - 1),
		    &path) == X402_OK) {
		check_path(&path);
		if (x402__pattern_compile(text, NULL, &pattern) == X402_OK) {
			check_match(&pattern, &path);
			x402__pattern_clear(&pattern);
		}
		x402__path_clear(&path);
	}
	free(text);
	return 0;
}
