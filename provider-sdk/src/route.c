/*
 * route.c: reads request paths and matches them against patterns.
 *
 * x402__path_read() does the work in three steps: find_path() cuts the path
 * out of the target, decode_once() undoes the escapes of one round, and
 * tidy() splits at '/', drops empty and dot segments and joins the rest. The
 * strict reading runs them once and keeps an escaped '/' or '\' escaped (x402
 * P-112). x402__path_readings_agree() goes through what others might read: it
 * decodes until nothing changes, and after each round takes '\' for '/', cuts
 * ";parameters" and drops blanks and control bytes.
 */
#include "route_p.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* ASCII only, whatever the program's locale. */
static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + ('a' - 'A')) : c;
}

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Length of the UTF-8 sequence at s, 0 when it is none. Overlong forms are
 * refused: %c0%af is a '/' to some decoders. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	unsigned char c = s[0];
	size_t need = c < 0x80 ? 1
		: c < 0xc2     ? 0
		: c < 0xe0     ? 2
		: c < 0xf0     ? 3
		: c < 0xf5     ? 4
			       : 0;

	if (need == 0 || need > len)
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f) ||
		(c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
		return 0;
	return need;
}

static bool utf8_valid(const char *text, size_t len)
{
	size_t step;

	for (size_t i = 0; i < len; i += step) {
		step = utf8_length((const unsigned char *)text + i, len - i);
		if (step == 0)
			return false;
	}
	return true;
}

/* Where the path begins in an absolute-form target, or NULL. */
static const char *skip_authority(const char *s, const char *end)
{
	size_t scheme = 0;

	if (end - s >= 7 && strncasecmp(s, "http://", 7) == 0)
		scheme = 7;
	else if (end - s >= 8 && strncasecmp(s, "https://", 8) == 0)
		scheme = 8;
	if (scheme == 0)
		return NULL;
	for (s += scheme; s < end && *s != '/' && *s != '?' && *s != '#'; s++)
		if (*s == '\\')
			return NULL;
	return s;
}

/* Cut path and query out of the target; both stay borrowed. */
static enum x402_err find_path(struct x402_span target, struct x402__path *out,
	struct x402_span *ret_path)
{
	const char *s = (const char *)target.ptr;
	const char *end = s + target.len;
	const char *stop;
	const char *query;

	if (target.len == 0)
		return X402_ERR_SYNTAX;
	if (target.len > X402__TARGET_MAX)
		return X402_ERR_TOO_LARGE;
	for (size_t i = 0; i < target.len; i++)
		if (target.ptr[i] <= 0x20 || target.ptr[i] >= 0x7f)
			return X402_ERR_SYNTAX;
	if (*s != '/') {
		s = skip_authority(s, end);
		/* "http://host" alone is "/"; but then a query has no path */
		if (!s || (s < end && *s != '/'))
			return X402_ERR_SYNTAX;
	}
	stop = memchr(s, '#', (size_t)(end - s));
	end = stop ? stop : end;
	query = s < end ? memchr(s, '?', (size_t)(end - s)) : NULL;
	out->raw = s;
	out->raw_len = (size_t)(end - s);
	out->query = query ? query + 1 : NULL;
	out->query_len = query ? (size_t)(end - query - 1) : 0;
	*ret_path = x402_span(s, (size_t)((query ? query : end) - s));
	return X402_OK;
}

/*
 * Undo percent-escapes in place and give the new length. keep_slashes leaves
 * an escaped '/' or '\' escaped, in capitals, and escapes a bare '\' likewise
 * (P-112). False when an escape is broken, unless lenient, which leaves it as
 * it stands; and always for an escaped NUL.
 */
static bool decode_once(
	struct x402_span in, bool strict, char *out, size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		unsigned char c = in.ptr[i];
		bool escape = c == '%' && i + 2 < in.len &&
			hex_value(in.ptr[i + 1]) >= 0 &&
			hex_value(in.ptr[i + 2]) >= 0;
		bool escaped = false;

		if (escape) {
			c = (unsigned char)(hex_value(in.ptr[i + 1]) * 16 +
				hex_value(in.ptr[i + 2]));
			i += 2;
			escaped = true;
		} else if (c == '%' && strict) {
			return false;
		}
		if (c == 0)
			return false;
		if (strict && ((c == '/' && escaped) || c == '\\')) {
			memcpy(out + n, c == '/' ? "%2F" : "%5C", 3);
			n += 3;
		} else {
			out[n++] = (char)c;
		}
	}
	*ret_len = n;
	return true;
}

/*
 * Join the segments: empty ones and "." go, ".." takes its parent along, and
 * never climbs above the root. In place; text is empty or begins with '/', has
 * room for two bytes more, and comes out without a trailing '/'.
 */
static size_t tidy(char *text, size_t len)
{
	size_t out = 0;
	size_t i = 0;

	while (i < len) {
		size_t start = i;
		size_t size;

		while (i < len && text[i] != '/')
			i++;
		size = i - start;
		i++;
		if (size == 0 || (size == 1 && text[start] == '.'))
			continue;
		if (size == 2 && text[start] == '.' && text[start + 1] == '.') {
			while (out > 0 && text[--out] != '/')
				continue;
			continue;
		}
		/* A segment moves left or stays: out is below start here, as
		 * each kept segment had a '/' before it. */
		text[out++] = '/';
		memmove(text + out, text + start, size);
		out += size;
	}
	if (out == 0)
		text[out++] = '/';
	text[out] = '\0';
	return out;
}

static enum x402_err read_strict(struct x402_span path, char **ret_text)
{
	/* A bare '\' grows to three bytes; one more for "/" and one for NUL. */
	char *text = malloc(path.len * 3 + 2);
	size_t len;

	if (!text)
		return X402_ERR_NOMEM;
	if (!decode_once(path, true, text, &len) || !utf8_valid(text, len)) {
		free(text);
		return X402_ERR_SYNTAX;
	}
	tidy(text, len);
	*ret_text = text;
	return X402_OK;
}

/* What a forgiving server may make of it, after all rounds of decoding. cut:
 * it takes a decoded '?' or '#' for the path's end. */
static size_t loosen(char *text, size_t len, bool cut)
{
	size_t out = 0;
	bool parameters = false;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\\')
			c = '/';
		if (cut && (c == '?' || c == '#'))
			break;
		if (c == '/')
			parameters = false;
		if (c == ';')
			parameters = true;
		if (parameters || c <= 0x20 || c == 0x7f)
			continue;
		text[out++] = (char)c;
	}
	return tidy(text, out);
}

enum x402_err x402__path_read(
	struct x402_span target, struct x402__path *ret_path)
{
	struct x402__path path = {0};
	struct x402_span text = {0};
	enum x402_err err = find_path(target, &path, &text);

	if (err == X402_OK)
		err = read_strict(text, &path.strict);
	if (err != X402_OK) {
		x402__path_clear(&path);
		return err;
	}
	*ret_path = path;
	return X402_OK;
}

/* One round's text, read in both ways; scratch has room for it. */
static bool round_agrees(const char *text, size_t len, char *scratch,
	bool (*agrees)(void *user, const char *reading), void *user)
{
	for (int cut = 0; cut < 2; cut++) {
		memcpy(scratch, text, len);
		loosen(scratch, len, cut);
		if (!agrees(user, scratch))
			return false;
	}
	return true;
}

bool x402__path_readings_agree(const struct x402__path *path,
	bool (*agrees)(void *user, const char *reading), void *user)
{
	size_t len = path->query ? (size_t)(path->query - 1 - path->raw)
				 : path->raw_len;
	char *text;
	bool good = true;

	/* Nothing that could be read in two ways. */
	if (!memchr(path->raw, '%', len) && !memchr(path->raw, ';', len) &&
		!memchr(path->raw, '\\', len))
		return true;
	text = malloc(2 * (len + 2));
	if (!text)
		return false;
	memcpy(text, path->raw, len);
	for (int round = 0; good && round < X402__DECODE_ROUNDS; round++) {
		size_t before = len;

		good = decode_once(x402_span(text, len), false, text, &len) &&
			round_agrees(
				text, len, text + before + 2, agrees, user);
		if (len == before)
			break;
	}
	free(text);
	return good;
}

void x402__path_clear(struct x402__path *path)
{
	if (!path)
		return;
	free(path->strict);
	memset(path, 0, sizeof(*path));
}

/* ---- Patterns. ---- */

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/*
 * Take one item off the pattern's path. Returns the bytes consumed, 0 when a
 * bracket or colon names nothing.
 */
static size_t take_item(const char *s, bool at_segment, uint16_t *ret_item)
{
	size_t n = 1;

	if (*s == '*') {
		while (s[n] == '*')
			n++;
		*ret_item = X402__ITEM_ANY;
		return n;
	}
	if (*s != '[' && !(*s == ':' && at_segment)) {
		*ret_item = lower((unsigned char)*s);
		return 1;
	}
	while (is_name_char(s[n]))
		n++;
	if (n == 1 || (*s == '[' && s[n] != ']'))
		return 0;
	*ret_item = X402__ITEM_PARAM;
	return *s == '[' ? n + 1 : n;
}

static enum x402_err compile_path(
	struct x402__pattern *pattern, struct x402_errinfo *info)
{
	const char *path = pattern->path;
	size_t len = strlen(path);
	size_t i = 0;

	pattern->items = calloc(len + 1, sizeof(*pattern->items));
	if (!pattern->items)
		return X402_ERR_NOMEM;
	pattern->plain = true;
	while (i < len) {
		uint16_t *item = &pattern->items[pattern->items_len];
		size_t used = take_item(
			path + i, i > 0 && path[i - 1] == '/', item);

		if (used == 0) {
			x402_errinfo_set(info, "pattern",
				"expected [name] or :name at '%.40s'",
				path + i);
			return X402_ERR_SYNTAX;
		}
		if (*item >= X402__ITEM_ANY)
			pattern->plain = false;
		pattern->items_len++;
		i += used;
	}
	return X402_OK;
}

/* The path of a pattern is canonical itself, or it would never match. */
static bool path_is_canonical(const char *path)
{
	size_t len = strlen(path);

	if (*path != '/' || (len > 1 && path[len - 1] == '/') ||
		strpbrk(path, "?#\\; \t\r\n"))
		return false;
	for (const char *s = path; (s = strchr(s, '/')); s++)
		if (s[1] == '/' || (s[1] == '.' && (!s[2] || s[2] == '/')) ||
			(s[1] == '.' && s[2] == '.' && (!s[3] || s[3] == '/')))
			return false;
	/* An escape would have been decoded, all but these two. */
	for (const char *s = path; (s = strchr(s, '%')); s++)
		if (strncmp(s, "%2F", 3) != 0 && strncmp(s, "%5C", 3) != 0)
			return false;
	return true;
}

static enum x402_err split_method(const char *text, struct x402_errinfo *info,
	struct x402__pattern *pattern)
{
	const char *space = strchr(text, ' ');
	size_t method_len = space ? (size_t)(space - text) : 0;

	if (space) {
		for (size_t i = 0; i < method_len; i++)
			if (!isupper((unsigned char)text[i]) &&
				text[i] != '-') {
				x402_errinfo_set(info, "pattern",
					"expected a method in capitals before "
					"the path, got '%.60s'",
					text);
				return X402_ERR_SYNTAX;
			}
		/* "* /path" is not needed: no method means any. */
		pattern->method = method_len ? strndup(text, method_len) : NULL;
		if (!pattern->method)
			return method_len ? X402_ERR_NOMEM : X402_ERR_SYNTAX;
		text = space + 1;
	}
	if (!path_is_canonical(text)) {
		x402_errinfo_set(info, "pattern",
			"expected a path such as /articles/[slug], without "
			"escapes, query, empty or dot segments, got '%.60s'",
			text);
		return X402_ERR_SYNTAX;
	}
	pattern->path = strdup(text);
	return pattern->path ? X402_OK : X402_ERR_NOMEM;
}

enum x402_err x402__pattern_compile(const char *text, struct x402_errinfo *info,
	struct x402__pattern *ret_pattern)
{
	struct x402__pattern pattern = {0};
	enum x402_err err;

	if (!text) {
		x402_errinfo_set(info, "pattern", "expected a pattern");
		return X402_ERR_SYNTAX;
	}
	if (strlen(text) > X402__PATTERN_MAX) {
		x402_errinfo_set(info, "pattern", "longer than %d bytes",
			X402__PATTERN_MAX);
		return X402_ERR_TOO_LARGE;
	}
	err = split_method(text, info, &pattern);
	if (err == X402_OK)
		err = compile_path(&pattern, info);
	if (err == X402_OK) {
		pattern.text = strdup(text);
		err = pattern.text ? X402_OK : X402_ERR_NOMEM;
	}
	if (err != X402_OK) {
		x402__pattern_clear(&pattern);
		return err;
	}
	*ret_pattern = pattern;
	return X402_OK;
}

void x402__pattern_clear(struct x402__pattern *pattern)
{
	if (!pattern)
		return;
	free(pattern->text);
	free(pattern->method);
	free(pattern->path);
	free(pattern->items);
	memset(pattern, 0, sizeof(*pattern));
}

/*
 * One step of the set of places where the pattern may stand. places[i] says:
 * the items before i have matched so far. A parameter that has taken its first
 * byte may take more, which inside[i] remembers.
 */
struct places {
	bool at[X402__PATTERN_MAX + 2];
	bool inside[X402__PATTERN_MAX + 2];
};

/* '*' may match nothing: whoever stands before one stands after it too. */
static void skip_empty(const struct x402__pattern *pattern, size_t start,
	struct places *places)
{
	for (size_t i = start; i < pattern->items_len; i++)
		if (places->at[i] && pattern->items[i] == X402__ITEM_ANY)
			places->at[i + 1] = true;
}

static void clear_places(const struct x402__pattern *pattern, size_t start,
	struct places *places)
{
	memset(places->at + start, 0, pattern->items_len + 1 - start);
	memset(places->inside + start, 0, pattern->items_len + 1 - start);
}

static bool step(const struct x402__pattern *pattern, size_t start,
	const struct places *from, unsigned char c, struct places *to)
{
	bool alive = false;

	clear_places(pattern, start, to);
	for (size_t i = start; i < pattern->items_len; i++) {
		uint16_t item = pattern->items[i];

		if (item == X402__ITEM_ANY && from->at[i]) {
			to->at[i] = alive = true;
		} else if (item == X402__ITEM_PARAM && c != '/' &&
			(from->at[i] || from->inside[i])) {
			to->inside[i] = to->at[i + 1] = alive = true;
		} else if (item == lower(c) && from->at[i]) {
			to->at[i + 1] = alive = true;
		}
	}
	skip_empty(pattern, start, to);
	return alive;
}

/*
 * How many items at the front are plain bytes and match. The two last are left
 * out: a slash and a star at the end may both match nothing. SIZE_MAX when
 * the path differs there already.
 */
static size_t match_front(const struct x402__pattern *pattern, const char *path)
{
	size_t i = 0;

	while (i + 2 < pattern->items_len &&
		pattern->items[i] < X402__ITEM_ANY) {
		if (pattern->items[i] != lower((unsigned char)path[i]))
			return SIZE_MAX; /* also at the path's end: no NUL */
		i++;
	}
	return i;
}

/* Does the whole of path match? A trailing slash-star matches its bare prefix
 * too (P-111). */
bool x402__pattern_matches(
	const struct x402__pattern *pattern, const char *path)
{
	struct places sets[2];
	size_t end = pattern->items_len;
	size_t start;
	size_t now = 0;

	if (pattern->plain)
		return strcasecmp(pattern->path, path) == 0;
	start = match_front(pattern, path);
	if (start == SIZE_MAX)
		return false;
	clear_places(pattern, start, &sets[0]);
	sets[0].at[start] = true;
	skip_empty(pattern, start, &sets[0]);
	for (path += start; *path; path++) {
		if (!step(pattern, start, &sets[now], (unsigned char)*path,
			    &sets[!now]))
			return false;
		now = !now;
	}
	if (sets[now].at[end])
		return true;
	return end >= 2 && pattern->items[end - 1] == X402__ITEM_ANY &&
		pattern->items[end - 2] == '/' && sets[now].at[end - 2];
}

bool x402__pattern_method_matches(
	const struct x402__pattern *pattern, const char *method)
{
	if (!pattern->method || strcmp(pattern->method, method) == 0)
		return true;
	return strcmp(method, "HEAD") == 0 &&
		strcmp(pattern->method, "GET") == 0;
}

bool x402__pattern_param(const struct x402__pattern *pattern, const char *path,
	const char *name, struct x402_span *ret_value)
{
	const char *want = pattern->path;
	size_t name_len = strlen(name);

	/* Segment by segment: as long as no '*' was passed, the n-th segment
	 * of the pattern is the n-th of the path. */
	while (*want == '/' && *path == '/') {
		size_t want_len = strcspn(++want, "/");
		size_t path_len = strcspn(++path, "/");

		if (memchr(want, '*', want_len))
			return false;
		if ((want[0] == ':' && want_len == name_len + 1 &&
			    strncmp(want + 1, name, name_len) == 0) ||
			(want[0] == '[' && want_len == name_len + 2 &&
				want[want_len - 1] == ']' &&
				strncmp(want + 1, name, name_len) == 0)) {
			*ret_value = x402_span(path, path_len);
			return path_len > 0;
		}
		want += want_len;
		path += path_len;
	}
	return false;
}
