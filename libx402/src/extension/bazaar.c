/*
 * The extension "bazaar": what a payment says about the resource it is for
 * (E-BZ), made into a catalogue entry or refused. In the order of reading:
 * find the declaration (v2 extension, v1 outputSchema), check its info, name
 * the listing (F-081, F-082), keep the metadata that holds (F-083).
 */
#include <stdlib.h>

#include "url_p.h"
#include "x402/bazaar.h"

/* What common servers take as a request line, and what browsers copy. */
#define URL_MAX 2048
/* The protocol's own bound for names of MCP tools. */
#define TOOL_MAX 128
/* F-083. */
#define SERVICE_NAME_MAX 32
#define TAGS_MAX         5
#define TAG_MAX          32
#define ICON_URL_MAX     2048
/* Ours: a paragraph, and the longest registered media types. */
#define DESCRIPTION_MAX 1000
#define MIME_TYPE_MAX   128

static enum x402_err refuse(
	struct x402_errinfo *info, const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "expected %s", expected);
	return X402_ERR_SCHEMA;
}

/* Printable ASCII of 1 to max characters. NULL is none. */
static bool is_label(const char *text, size_t max)
{
	size_t n = 0;

	if (!text)
		return false;
	for (; text[n]; n++) {
		if (n == max || text[n] < ' ' || text[n] > '~')
			return false;
	}
	return n > 0;
}

/* Any text without control characters, of at most max bytes. */
static bool is_prose(const char *text, size_t max)
{
	size_t n = 0;

	if (!text)
		return false;
	for (; text[n]; n++) {
		unsigned char c = (unsigned char)text[n];

		/* C2 80 to C2 9F are the controls above ASCII. */
		if (n == max || (c < ' ' && c != '\n') || c == 0x7f ||
			(c == 0xc2 && (unsigned char)text[n + 1] < 0xa0))
			return false;
	}
	return n > 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 32);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decode into buf of the same size; false when malformed. */
static bool percent_decode(const char *text, char *ret_text)
{
	size_t n = 0;

	for (; *text; text++) {
		int high;
		int low;

		if (*text != '%') {
			ret_text[n++] = *text;
			continue;
		}
		high = hex_value(text[1]);
		low = high < 0 ? -1 : hex_value(text[2]);
		/* Controls, NUL among them, have no place in a route. */
		if (low < 0 || (high << 4 | low) < ' ')
			return false;
		ret_text[n++] = (char)(high << 4 | low);
		text += 2;
	}
	ret_text[n] = '\0';
	return true;
}

bool x402_bazaar_route_template_valid(const char *route_template)
{
	char decoded[URL_MAX + 1];
	size_t len;

	if (!route_template || route_template[0] != '/')
		return false;
	len = strlen(route_template);
	if (len < 2 || len > URL_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = route_template[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			    (c >= 'A' && c <= 'Z') || strchr("_/:.-~%", c)))
			return false;
	}
	return percent_decode(route_template, decoded) &&
		!strstr(decoded, "..") && !strstr(decoded, "://");
}

/* Scheme and host in lower case, so that one place has one name. */
static void add_origin(
	struct x402_buf *buf, const char *text, const struct x402__url *url)
{
	for (size_t i = 0; i < url->path; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c | 32);
		x402_buf_add_byte(buf, (uint8_t)c);
	}
}

/*
 * F-081 for HTTP: the URL without query and fragment, or its origin with the
 * route template where that is valid (F-082: else as if there were none).
 */
static enum x402_err name_http(const char *text, const char *route_template,
	struct x402_errinfo *info, struct x402_bazaar_entry *entry)
{
	struct x402_buf buf = {0};
	struct x402__url url;

	if (!x402__url_parse(text, &url) || !url.http || url.userinfo)
		return refuse(info, "resource.url", "an absolute http(s) URL");
	add_origin(&buf, text, &url);
	if (x402_bazaar_route_template_valid(route_template) &&
		url.path + strlen(route_template) <= URL_MAX)
		x402_buf_add_str(&buf, route_template);
	else if (url.path_end == url.path)
		x402_buf_add_byte(&buf, '/');
	else
		x402_buf_add(&buf,
			x402_span(text + url.path, url.path_end - url.path));
	entry->key = x402_buf_take_str(&buf);
	entry->resource = entry->key ? strdup(entry->key) : NULL;
	return entry->resource ? X402_OK : X402_ERR_NOMEM;
}

/* F-081 for MCP: URL and tool. '#' cannot be inside the first. */
static enum x402_err name_mcp(const char *text, const char *tool,
	struct x402_errinfo *info, struct x402_bazaar_entry *entry)
{
	struct x402_buf buf = {0};
	struct x402__url url;

	if (!x402__url_parse(text, &url) || url.userinfo)
		return refuse(info, "resource.url", "an absolute URL");
	add_origin(&buf, text, &url);
	x402_buf_add(&buf,
		x402_span(text + url.path, strcspn(text + url.path, "#")));
	entry->resource = x402_buf_take_str(&buf);
	x402_buf_printf(
		&buf, "%s#%s", entry->resource ? entry->resource : "", tool);
	entry->key = x402_buf_take_str(&buf);
	entry->tool = strdup(tool);
	return entry->resource && entry->key && entry->tool ? X402_OK
							    : X402_ERR_NOMEM;
}

static enum x402_err check_http_input(
	const struct x402_json *input, struct x402_errinfo *info)
{
	static const char *const methods[] = {
		"GET", "HEAD", "DELETE", "POST", "PUT", "PATCH"};
	const char *method = x402_json_get_string(input, "method");

	/* The server's extension fills it in from the live request. */
	if (!x402_json_get(input, "method"))
		return X402_OK;
	for (size_t i = 0; method && i < sizeof(methods) / sizeof(methods[0]);
		i++) {
		if (strcmp(methods[i], method) == 0)
			return X402_OK;
	}
	return refuse(info, "info.input.method", "an HTTP method");
}

static enum x402_err check_mcp_input(
	const struct x402_json *input, struct x402_errinfo *info)
{
	if (!is_label(x402_json_get_string(input, "toolName"), TOOL_MAX))
		return refuse(info, "info.input.toolName",
			"a name of at most 128 printable characters");
	if (x402_json_type(x402_json_get(input, "inputSchema")) !=
		X402_JSON_OBJECT)
		return refuse(info, "info.input.inputSchema", "an object");
	return X402_OK;
}

/* Checks what is declared and gives the entry its type and its names. */
static enum x402_err read_info(const struct x402_json *declared,
	const char *url, const char *route_template, struct x402_errinfo *info,
	struct x402_bazaar_entry *entry)
{
	const struct x402_json *input = x402_json_get(declared, "input");
	const char *type = x402_json_get_string(input, "type");
	bool mcp = type && strcmp(type, "mcp") == 0;
	enum x402_err err;

	if (!mcp && (!type || strcmp(type, "http") != 0))
		return refuse(info, "info.input.type", "http or mcp");
	if (!url || strlen(url) > URL_MAX)
		return refuse(info, "resource.url",
			"a URL of at most 2048 characters");
	err = mcp ? check_mcp_input(input, info)
		  : check_http_input(input, info);
	if (err)
		return err;
	entry->type = strdup(type);
	if (!entry->type)
		return X402_ERR_NOMEM;
	return mcp ? name_mcp(url, x402_json_get_string(input, "toolName"),
			     info, entry)
		   : name_http(url, route_template, info, entry);
}

static bool same_label(const char *a, const char *b)
{
	return strcasecmp(a, b) == 0;
}

/* F-083: those that hold, each once whatever its case, the first five. */
static enum x402_err add_tags(
	struct x402_json *metadata, const struct x402_json *tags)
{
	const char *kept[TAGS_MAX];
	size_t kept_len = 0;
	struct x402_json *array;
	enum x402_err err = X402_OK;

	if (x402_json_type(tags) != X402_JSON_ARRAY)
		return X402_OK;
	array = x402_json_new_array();
	if (!array)
		return X402_ERR_NOMEM;
	for (size_t i = 0;
		!err && i < x402_json_size(tags) && kept_len < TAGS_MAX; i++) {
		const char *tag = x402_json_string(x402_json_at(tags, i));
		bool seen = false;

		if (!is_label(tag, TAG_MAX))
			continue;
		for (size_t j = 0; j < kept_len; j++)
			seen = seen || same_label(kept[j], tag);
		if (seen)
			continue;
		kept[kept_len++] = tag;
		err = x402_json_append_take(array, x402_json_new_string(tag));
	}
	if (err || kept_len == 0) {
		x402_json_unref(array);
		return err;
	}
	return x402_json_set_take(metadata, "tags", array);
}

static bool is_icon_url(const char *text)
{
	struct x402__url url;

	return is_label(text, ICON_URL_MAX) && x402__url_parse(text, &url) &&
		url.http && !url.userinfo &&
		x402__url_host_is_public_name(text + url.host, url.host_len);
}

/* What does not hold is left out without a word. */
static enum x402_err read_metadata(const char *description,
	const char *mime_type, const struct x402_json *resource,
	struct x402_bazaar_entry *entry)
{
	const char *name = x402_json_get_string(resource, "serviceName");
	const char *icon = x402_json_get_string(resource, "iconUrl");
	struct x402_json *metadata = x402_json_new_object();
	enum x402_err err = metadata ? X402_OK : X402_ERR_NOMEM;

	if (!err && is_label(name, SERVICE_NAME_MAX))
		err = x402_json_set_string(metadata, "serviceName", name);
	if (!err)
		err = add_tags(metadata, x402_json_get(resource, "tags"));
	if (!err && is_icon_url(icon))
		err = x402_json_set_string(metadata, "iconUrl", icon);
	if (!err && is_prose(description, DESCRIPTION_MAX))
		err = x402_json_set_string(
			metadata, "description", description);
	if (!err && is_label(mime_type, MIME_TYPE_MAX))
		err = x402_json_set_string(metadata, "mimeType", mime_type);
	if (err || x402_json_size(metadata) == 0) {
		x402_json_unref(metadata);
		return err;
	}
	entry->metadata = metadata;
	return X402_OK;
}

static enum x402_err keep_info(
	const struct x402_json *declared, struct x402_bazaar_entry *entry)
{
	/* A copy: the entry outlives the request, maybe on another thread. */
	entry->info = x402_json_copy(declared);
	return entry->info ? X402_OK : X402_ERR_NOMEM;
}

static enum x402_err read_v2(const struct x402_payment_payload *payload,
	struct x402_errinfo *info, struct x402_bazaar_entry *entry)
{
	const struct x402_json *bazaar = x402_json_get(
		payload->extensions, "bazaar");
	const struct x402_json *declared = x402_json_get(bazaar, "info");
	const struct x402_json *schema = x402_json_get(bazaar, "schema");
	const struct x402_json *resource = payload->resource;
	enum x402_err err;

	if (!bazaar)
		return X402_ERR_NOT_FOUND;
	if (x402_json_type(declared) != X402_JSON_OBJECT)
		return refuse(info, "info", "an object");
	if (x402_json_type(schema) != X402_JSON_OBJECT)
		return refuse(info, "schema", "an object");
	err = x402_json_schema_validate(schema, declared, info);
	if (err)
		return err == X402_ERR_UNSUPPORTED ? X402_ERR_SCHEMA : err;
	err = read_info(declared, x402_json_get_string(resource, "url"),
		x402_json_get_string(bazaar, "routeTemplate"), info, entry);
	if (!err)
		err = keep_info(declared, entry);
	if (!err)
		err = read_metadata(
			x402_json_get_string(resource, "description"),
			x402_json_get_string(resource, "mimeType"), resource,
			entry);
	return err;
}

/* v1 servers declare in outputSchema, and mean it only with discoverable. */
static enum x402_err read_v1(const struct x402_payment_requirements *req,
	struct x402_errinfo *info, struct x402_bazaar_entry *entry)
{
	const struct x402_json *declared = req->output_schema;
	const struct x402_json *input = x402_json_get(declared, "input");
	bool discoverable = false;
	enum x402_err err;

	if (!x402_json_bool(
		    x402_json_get(input, "discoverable"), &discoverable) ||
		!discoverable)
		return X402_ERR_NOT_FOUND;
	err = read_info(declared, req->resource, NULL, info, entry);
	if (!err)
		err = keep_info(declared, entry);
	if (!err)
		err = read_metadata(
			req->description, req->mime_type, NULL, entry);
	return err;
}

enum x402_err x402_bazaar_read(const struct x402_payment_payload *payload,
	const struct x402_payment_requirements *requirements,
	struct x402_errinfo *info, struct x402_bazaar_entry *ret_entry)
{
	struct x402_bazaar_entry entry = {0};
	enum x402_err err = payload->x402_version == X402_V1
		? read_v1(requirements, info, &entry)
		: read_v2(payload, info, &entry);

	if (err) {
		x402_bazaar_entry_clear(&entry);
		return err;
	}
	*ret_entry = entry;
	return X402_OK;
}

void x402_bazaar_entry_clear(struct x402_bazaar_entry *entry)
{
	if (!entry)
		return;
	free(entry->key);
	free(entry->type);
	free(entry->resource);
	free(entry->tool);
	x402_json_unref(entry->info);
	x402_json_unref(entry->metadata);
	memset(entry, 0, sizeof(*entry));
}
