/*
 * form.c: -F: a form as multipart/form-data (RFC 7578), in curl's words:
 * NAME=TEXT, NAME=@FILE (sent as a file), NAME=<FILE (its text), the latter two
 * with ;type= and ;filename= behind them.
 *
 * The boundary is made of the parts themselves. A random one, as curl has it,
 * would make the same form another body each time: the journal knows a
 * purchase by its body, and would let the same command pay twice.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "request.h"
#include "x402/encoding.h"

#define BOUNDARY_HEX_BYTES 16

/* What a file is, by its name, as curl says it. */
static const char *type_of(const char *path)
{
	static const struct {
		const char *end;
		const char *type;
	} types[] = {{".gif", "image/gif"}, {".jpg", "image/jpeg"},
		{".jpeg", "image/jpeg"}, {".png", "image/png"},
		{".svg", "image/svg+xml"}, {".txt", "text/plain"},
		{".htm", "text/html"}, {".html", "text/html"},
		{".pdf", "application/pdf"}, {".xml", "application/xml"}};
	size_t len = strlen(path);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t end = strlen(types[i].end);
		if (len > end &&
			strcasecmp(path + len - end, types[i].end) == 0)
			return types[i].type;
	}
	return "application/octet-stream";
}

/* Quotes and ends of lines as browsers write them; no other character can end
 * the value. */
static void add_quoted(struct x402_buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '"')
			x402_buf_add_str(out, "%22");
		else if (*text == '\r')
			x402_buf_add_str(out, "%0D");
		else if (*text == '\n')
			x402_buf_add_str(out, "%0A");
		else
			x402_buf_add_byte(out, (uint8_t)*text);
	}
}

/* One -F, taken apart; texts point into a copy. */
struct part {
	const char *name;
	const char *content; /* text, or a path */
	const char *type;    /* NULL: as the content is */
	const char *filename;
	char how; /* '@', '<', or 0 for text */
};

/* ";type=TEXT" and ";filename=TEXT" at the end of a path. */
static bool take_apart_path(char *path, struct part *part)
{
	char *at = strchr(path, ';');
	while (at) {
		char *next = strchr(at + 1, ';');
		*at++ = '\0';
		if (next)
			*next = '\0';
		if (strncmp(at, "type=", 5) == 0)
			part->type = at + 5;
		else if (strncmp(at, "filename=", 9) == 0)
			part->filename = at + 9;
		else
			return false;
		at = next;
	}
	/* It becomes a header line. */
	return !part->type || !strpbrk(part->type, "\r\n");
}

static bool take_apart(char *text, struct part *ret_part)
{
	char *equals = strchr(text, '=');
	if (!equals || equals == text)
		return false;
	*equals = '\0';
	*ret_part = (struct part){.name = text, .content = equals + 1};
	char how = equals[1];
	if (how != '@' && how != '<')
		return true;
	ret_part->how = how;
	ret_part->content = equals + 2;
	return take_apart_path(equals + 2, ret_part);
}

/* All of it but the boundary in front. */
static bool add_part(struct x402_buf *out, const struct part *part)
{
	const char *slash = strrchr(part->content, '/');
	const char *filename = part->filename;
	const char *type = part->type;
	if (part->how == '@' && !filename)
		filename = slash ? slash + 1 : part->content;
	if (part->how == '@' && !type)
		type = type_of(part->content);
	x402_buf_add_str(out, "\r\nContent-Disposition: form-data; name=\"");
	add_quoted(out, part->name);
	if (filename) {
		x402_buf_add_str(out, "\"; filename=\"");
		add_quoted(out, filename);
	}
	x402_buf_add_str(out, "\"\r\n");
	if (type)
		x402_buf_printf(out, "Content-Type: %s\r\n", type);
	x402_buf_add_str(out, "\r\n");
	if (!part->how)
		x402_buf_add_str(out, part->content);
	else if (!cli_request_read_file(part->content, out))
		return false;
	x402_buf_add_str(out, "\r\n--");
	return true;
}

bool cli_request_form(struct cli_request *request, const char *value)
{
	struct part part;
	char *copy = strdup(value);
	bool whole = copy && take_apart(copy, &part);
	if (!whole)
		(void)cli_error(CLI_USAGE, "usage",
			"-F: expected NAME=TEXT, NAME=@FILE or NAME=<FILE, got "
			"\"%s\"",
			value);
	/* Where the boundary goes is not known before the last one: the parts
	 * are kept one by one. */
	struct x402_buf out = {0};
	bool ok = whole && add_part(&out, &part);
	if (ok && !cli_request_add_part(request, &out)) {
		ok = false;
		(void)cli_error(CLI_GENERAL, "internal_error", "out of memory");
	}
	x402_buf_clear(&out);
	free(copy);
	return ok;
}

/* Of every part, so that it is in none of them. */
static char *boundary_of(const struct cli_request *request)
{
	struct x402_keccak keccak;
	struct x402_buf text = {0};
	uint8_t hash32[32];
	x402_keccak_init(&keccak);
	for (size_t i = 0; i < request->parts_len; i++)
		x402_keccak_update(&keccak, x402_buf_span(&request->parts[i]));
	x402_keccak_final(&keccak, hash32);
	x402_buf_add_str(&text, "x402-form-");
	x402_hex_encode(x402_span(hash32, BOUNDARY_HEX_BYTES), &text);
	return x402_buf_take_str(&text);
}

bool cli_request_finish_form(struct cli_request *request, char **ret_type)
{
	char *boundary = boundary_of(request);
	struct x402_buf type = {0};
	if (!boundary)
		return false;
	x402_buf_add_str(&request->data, "--");
	for (size_t i = 0; i < request->parts_len; i++) {
		x402_buf_add_str(&request->data, boundary);
		x402_buf_add(&request->data, x402_buf_span(&request->parts[i]));
	}
	x402_buf_printf(&request->data, "%s--\r\n", boundary);
	x402_buf_printf(&type, "multipart/form-data; boundary=%s", boundary);
	free(boundary);
	*ret_type = x402_buf_take_str(&type);
	return *ret_type && !request->data.failed;
}
