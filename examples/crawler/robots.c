/*
 * robots.c: robots.txt (RFC 9309). Groups begin with one or more user-agent
 * lines; ours are those that name us, and the ones for "*" when nobody does.
 * Two passes: the first finds out which, the second keeps their rules.
 */
#include "robots.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A rule longer than the URLs we fetch never decides. */
#define PATTERN_MAX 8192

struct line {
	const char *key;
	size_t key_len;
	const char *value;
	size_t value_len;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
	while (*len && is_space(**text)) {
		(*text)++;
		(*len)--;
	}
	while (*len && is_space((*text)[*len - 1]))
		(*len)--;
}

/* The next "key: value" line, without its comment. */
static bool next_line(const char **at, const char *end, struct line *ret_line)
{
	while (*at < end) {
		const char *start = *at;
		const char *stop = memchr(start, '\n', (size_t)(end - start));
		if (!stop)
			stop = end;
		*at = stop < end ? stop + 1 : end;
		const char *hash = memchr(start, '#', (size_t)(stop - start));
		if (hash)
			stop = hash;
		const char *colon = memchr(start, ':', (size_t)(stop - start));
		if (!colon)
			continue;
		*ret_line = (struct line){start, (size_t)(colon - start),
			colon + 1, (size_t)(stop - colon - 1)};
		trim(&ret_line->key, &ret_line->key_len);
		trim(&ret_line->value, &ret_line->value_len);
		return true;
	}
	return false;
}

static bool is_key(const struct line *line, const char *key)
{
	return line->key_len == strlen(key) &&
		strncasecmp(line->key, key, line->key_len) == 0;
}

static bool names(const struct line *line, const char *agent)
{
	return line->value_len == strlen(agent) &&
		strncasecmp(line->value, agent, line->value_len) == 0;
}

static bool add_rule(struct robots *robots, const struct line *line, bool allow)
{
	/* "Disallow:" with nothing behind it forbids nothing. */
	if (!line->value_len || line->value_len > PATTERN_MAX)
		return true;
	struct robots_rule *rules = realloc(
		robots->rules, (robots->len + 1) * sizeof(*rules));
	if (!rules)
		return false;
	robots->rules = rules;
	char *pattern = strndup(line->value, line->value_len);
	if (!pattern)
		return false;
	robots->rules[robots->len++] = (struct robots_rule){allow, pattern};
	return true;
}

/* Keep the rules of the groups for `agent`. *ret_found: there is one. */
static bool take_groups(const char *text, size_t len, const char *agent,
	struct robots *robots, bool *ret_found)
{
	const char *at = text;
	struct line line;
	bool ours = false;
	bool in_names = false;
	*ret_found = false;
	while (next_line(&at, text + len, &line)) {
		if (is_key(&line, "user-agent")) {
			bool named = names(&line, agent);
			ours = in_names ? ours || named : named;
			in_names = true;
			*ret_found |= named;
			continue;
		}
		bool allow = is_key(&line, "allow");
		if (!allow && !is_key(&line, "disallow"))
			continue; /* Sitemap and the like belong to nobody */
		in_names = false;
		if (ours && !add_rule(robots, &line, allow))
			return false;
	}
	return true;
}

bool robots_parse(const char *text, size_t len, const char *agent,
	struct robots *ret_robots)
{
	struct robots robots = {0};
	bool found = false;
	if (len > ROBOTS_MAX_BYTES)
		len = ROBOTS_MAX_BYTES;
	bool ok = take_groups(text, len, agent, &robots, &found);
	if (ok && !found)
		ok = take_groups(text, len, "*", &robots, &found);
	if (!ok) {
		robots_clear(&robots);
		return false;
	}
	*ret_robots = robots;
	return true;
}

/*
 * "*" is any run of characters, "$" at the end is the end. Going back to the
 * last star is enough, so it takes no more than length times length.
 */
static bool matches(const char *pattern, const char *path)
{
	const char *star = NULL;
	const char *mark = NULL;
	for (;;) {
		if (*pattern == '*') {
			star = pattern++;
			mark = path;
		} else if (*pattern == '\0' ||
			(*pattern == '$' && !pattern[1] && !*path)) {
			return true;
		} else if (*path && *pattern == *path) {
			pattern++;
			path++;
		} else if (star && *mark) {
			pattern = star + 1;
			path = ++mark;
		} else {
			return false;
		}
	}
}

bool robots_allows(const struct robots *robots, const char *path)
{
	size_t longest = 0;
	bool allowed = true;
	if (robots->forbidden)
		return false;
	for (size_t i = 0; i < robots->len; i++) {
		const struct robots_rule *rule = &robots->rules[i];
		size_t len = strlen(rule->pattern);
		if (len < longest || !matches(rule->pattern, path))
			continue;
		allowed = rule->allow || (len == longest && allowed);
		longest = len;
	}
	return allowed;
}

void robots_clear(struct robots *robots)
{
	for (size_t i = 0; i < robots->len; i++)
		free(robots->rules[i].pattern);
	free(robots->rules);
	*robots = (struct robots){0};
}
