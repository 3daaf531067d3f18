/*
 * robots.h: may this path be fetched? The rules of RFC 9309 for one crawler.
 */
#ifndef CRAWLER_ROBOTS_H
#define CRAWLER_ROBOTS_H

#include <stdbool.h>
#include <stddef.h>

/* RFC 9309, 2.5: at least 500 KiB of a robots.txt are read. */
#define ROBOTS_MAX_BYTES ((size_t)500 * 1024)

struct robots_rule {
	bool allow;
	char *pattern;
};

struct robots {
	struct robots_rule *rules;
	size_t len;
	bool forbidden; /* everything: it could not be read */
};

/*
 * Keep the rules of the groups that name `agent`, else those for "*". False
 * when memory is out. text need not end with a NUL.
 */
bool robots_parse(const char *text, size_t len, const char *agent,
	struct robots *ret_robots);
/* path with its query, as it is sent. The longest rule wins; allow on a tie. */
bool robots_allows(const struct robots *robots, const char *path);
void robots_clear(struct robots *robots);

#endif
