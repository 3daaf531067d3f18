/*
 * The crawler's robots.txt: the first line is a path, the rest the file. A
 * path without any rule is allowed; parsing the same text twice agrees.
 */
#include "../../examples/crawler/robots.h"

#include "fuzz_house.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
	size_t len = end ? (size_t)(end - data) : 0;
	char *path = strndup((const char *)data, len);
	struct robots robots;
	struct robots again;
	const char *text = (const char *)data + (end ? len + 1 : 0);
	size_t text_len = size - (end ? len + 1 : 0);

	must(path != NULL);
	must(robots_parse(text, text_len, "x402-crawler", &robots));
	must(robots_parse(text, text_len, "x402-crawler", &again));
	must(robots.len == again.len);
	must(robots_allows(&robots, path) == robots_allows(&again, path));
	must(robots.len || robots_allows(&robots, path));
	robots_clear(&robots);
	robots_clear(&again);
	free(path);
	return 0;
}
