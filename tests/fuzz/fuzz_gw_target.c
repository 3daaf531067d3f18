/*
 * Targets through the gateway: whatever a client asks for, the origin reads
 * the path that the gate has read, from bytes that are safe in a request line,
 * and a second gateway would ask for the same.
 */
#include <stdlib.h>

#include "route_p.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static char *through(const char *raw, char **ret_strict)
{
	struct x402__path path;
	char *query;
	char *target;

	if (x402__path_read(x402_span_str(raw), &path) != X402_OK)
		return NULL;
	query = strndup(path.query ? path.query : "", path.query_len);
	target = query ? gw_target(path.strict, raw, query) : NULL;
	*ret_strict = strdup(path.strict);
	free(query);
	x402__path_clear(&path);
	return target;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *raw = strndup((const char *)data, size);
	char *strict = NULL;
	char *strict_again = NULL;
	char *target = through(raw, &strict);
	/* Escapes grow: what is too long for a gate now is no target. */
	char *again = target && strlen(target) <= X402__TARGET_MAX
		? through(target, &strict_again)
		: NULL;

	if (target) {
		require(target[0] == '/');
		for (const char *at = target; *at; at++)
			require(*at > 0x20 && *at < 0x7f && *at != '#');
		require(!memchr(target, '\\', strcspn(target, "?")));
	}
	if (target && strlen(target) <= X402__TARGET_MAX) {
		require(again && strcmp(again, target) == 0);
		require(strcmp(strict, strict_again) == 0);
	}
	free(raw);
	free(strict);
	free(strict_again);
	free(target);
	free(again);
	return 0;
}
