/*
 * signer_sign_in.c: what a signer process makes of a text that it is asked to
 * sign. EIP-4361, or the same for an account of Solana, and nothing else: a
 * text in which a line stands that has no place there is refused, so that a
 * sign-in can never be an order, a grant of ours, or a second sign-in that a
 * site reads out of it. Nor a transaction of Solana, which begins with a byte
 * that no domain may begin with.
 */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "signer_sign_in_p.h"
#include "url_p.h"

#define WANTS     " wants you to sign in with your Ethereum account:"
#define WANTS_SVM " wants you to sign in with your Solana account:"
/* "2026-11-21T19:02:11" */
#define TIME_LEN 19

/* What is left of the text. */
struct lines {
	const char *at;
};

static enum x402_err malformed(struct x402_errinfo *info, const char *expected)
{
	x402_errinfo_set(info, "text", "text: expected %s", expected);
	return X402_ERR_SCHEMA;
}

/* The next line, without its end; empty at the end of the text. */
static struct x402_span next_line(struct lines *lines)
{
	size_t len = strcspn(lines->at, "\n");
	struct x402_span line = x402_span((const uint8_t *)lines->at, len);
	lines->at += len + (lines->at[len] != '\0');
	return line;
}

static bool is_text(struct x402_span line, const char *text)
{
	return line.len == strlen(text) &&
		memcmp(line.ptr, text, line.len) == 0;
}

/* What stands behind "Label: ". Empty is none. */
static bool after(
	struct x402_span line, const char *label, struct x402_span *ret_value)
{
	size_t len = strlen(label);
	if (line.len <= len || memcmp(line.ptr, label, len) != 0)
		return false;
	*ret_value = x402_span(line.ptr + len, line.len - len);
	return true;
}

static bool copy(struct x402_span from, char *out, size_t size)
{
	if (from.len >= size)
		return false;
	memcpy(out, from.ptr, from.len);
	out[from.len] = '\0';
	return true;
}

/* A terminal would obey them, and a site may take them for ends of lines. */
static bool has_controls(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\n') ||
			*text == 0x7f)
			return true;
	return false;
}

/* ---- Times. ---- */

static bool is_fraction(const char *text, size_t len)
{
	if (len == 0)
		return true;
	if (text[0] != '.' || len == 1)
		return false;
	for (size_t i = 1; i < len; i++)
		if (text[i] < '0' || text[i] > '9')
			return false;
	return true;
}

static bool is_utc(const char *text)
{
	size_t fraction = strcspn(text, "Z+-");
	const char *zone = text + fraction;
	return is_fraction(text, fraction) &&
		(strcmp(zone, "Z") == 0 || strcmp(zone, "+00:00") == 0 ||
			strcmp(zone, "-00:00") == 0);
}

static int number(const char *text, size_t len)
{
	int value = 0;
	while (len-- > 0)
		value = value * 10 + (*text++ - '0');
	return value;
}

/*
 * RFC 3339 in UTC, which everybody reads alike. A day that no calendar has is
 * not taken for the one that mktime() would make of it.
 */
static bool read_time(const char *text, uint64_t *ret_unix_s)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	for (size_t i = 0; i < TIME_LEN; i++) {
		bool digit = text[i] >= '0' && text[i] <= '9';
		if (shape[i] == 'd' ? !digit : text[i] != shape[i])
			return false;
	}
	struct tm tm = {.tm_year = number(text, 4) - 1900,
		.tm_mon = number(text + 5, 2) - 1,
		.tm_mday = number(text + 8, 2),
		.tm_hour = number(text + 11, 2),
		.tm_min = number(text + 14, 2),
		.tm_sec = number(text + 17, 2)};
	struct tm read = tm;
	time_t unix_s = timegm(&read);
	if (unix_s < 0 || read.tm_mday != tm.tm_mday ||
		read.tm_mon != tm.tm_mon || read.tm_hour != tm.tm_hour ||
		read.tm_min != tm.tm_min || read.tm_sec != tm.tm_sec ||
		!is_utc(text + TIME_LEN))
		return false;
	*ret_unix_s = (uint64_t)unix_s;
	return true;
}

/* ---- Line by line. ---- */

static bool ends_with(struct x402_span line, const char *tail)
{
	size_t len = strlen(tail);
	return line.len > len &&
		memcmp(line.ptr + line.len - len, tail, len) == 0;
}

/* The wallet's account of the text's family is the one that stands there. */
static bool is_own_account(const struct x402__signer_accounts *accounts,
	bool is_svm, struct x402_span line)
{
	char address[X402_ACCOUNT_TEXT_SIZE];
	if (is_svm && !accounts->svm)
		return false;
	if (is_svm)
		x402_pubkey_format(accounts->svm, address);
	else
		x402_address_format(accounts->evm, address);
	return is_text(line, address);
}

/*
 * A statement, which is the site's word to a person, or none; not one that
 * somebody could read as the URI. Where there is none EIP-4361 has an empty
 * line, its twin for Solana has nothing.
 */
static enum x402_err read_statement(
	struct lines *lines, bool is_svm, struct x402_errinfo *info)
{
	struct lines behind = *lines;
	struct x402_span line = next_line(&behind);
	bool is_uri = after(line, "URI:", &line);
	if (is_svm && is_uri)
		return X402_OK;
	if (is_uri || (is_svm && !line.len) ||
		(line.len && next_line(&behind).len))
		return malformed(info, "an empty line behind the statement");
	*lines = behind;
	return X402_OK;
}

static enum x402_err read_head(struct lines *lines,
	const struct x402__signer_accounts *accounts, struct x402_errinfo *info,
	struct x402__signer_sign_in *sign_in)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "abcdefghijklmnopqrstuvwxyz"
				      "0123456789-.:[]_";
	struct x402_span line = next_line(lines);
	sign_in->is_svm = ends_with(line, WANTS_SVM);
	size_t tail = strlen(sign_in->is_svm ? WANTS_SVM : WANTS);
	if ((!sign_in->is_svm && !ends_with(line, WANTS)) ||
		!copy(x402_span(line.ptr, line.len - tail), sign_in->domain,
			sizeof(sign_in->domain)) ||
		strspn(sign_in->domain, letters) != strlen(sign_in->domain))
		return malformed(info, "\"DOMAIN" WANTS "\"");
	if (!is_own_account(accounts, sign_in->is_svm, next_line(lines))) {
		x402_errinfo_set(
			info, "text", "it is not this signer's wallet");
		return X402_ERR_POLICY;
	}
	if (next_line(lines).len)
		return malformed(info, "an empty line behind the address");
	return read_statement(lines, sign_in->is_svm, info);
}

static enum x402_err read_fields(struct lines *lines, struct x402_errinfo *info,
	struct x402__signer_sign_in *sign_in)
{
	struct x402_span value;
	struct x402_network network;
	char text[64];
	if (!after(next_line(lines), "URI: ", &value) ||
		!copy(value, sign_in->uri, sizeof(sign_in->uri)))
		return malformed(info, "\"URI: ...\"");
	if (!is_text(next_line(lines), "Version: 1"))
		return malformed(info, "\"Version: 1\"");
	if (!after(next_line(lines), "Chain ID: ", &value) ||
		!copy(value, text, sizeof(text)) ||
		snprintf(sign_in->network, sizeof(sign_in->network), "%s:%s",
			sign_in->is_svm ? "solana" : "eip155",
			text) >= (int)sizeof(sign_in->network) ||
		x402_network_parse(sign_in->network, &network))
		return malformed(info, "\"Chain ID: ...\"");
	if (!after(next_line(lines), "Nonce: ", &value))
		return malformed(info, "\"Nonce: ...\"");
	if (!after(next_line(lines), "Issued At: ", &value) ||
		!copy(value, text, sizeof(text)) ||
		!read_time(text, &sign_in->issued_unix_s))
		return malformed(info, "\"Issued At: \" and a time in UTC");
	return X402_OK;
}

/* What may follow, in this order. */
static enum x402_err read_rest(struct lines *lines, struct x402_errinfo *info)
{
	static const char *const labels[] = {
		"Expiration Time: ", "Not Before: ", "Request ID: "};
	struct x402_span value;
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		struct lines here = *lines;
		if (after(next_line(&here), labels[i], &value))
			*lines = here;
	}
	if (!*lines->at)
		return X402_OK;
	if (!is_text(next_line(lines), "Resources:"))
		return malformed(info, "nothing more than EIP-4361 has");
	while (*lines->at)
		if (!after(next_line(lines), "- ", &value))
			return malformed(info, "a list of resources");
	return X402_OK;
}

static enum x402_err check_place(
	const struct x402__signer_sign_in *sign_in, struct x402_errinfo *info)
{
	struct x402__http_url url = {0};
	char with_port[X402_SESSION_HOST_SIZE + 8];
	bool at_home = false;
	if (!x402__http_url_parse(sign_in->uri, &url)) {
		(void)snprintf(with_port, sizeof(with_port), "%.255s:%u",
			url.host, url.port);
		at_home = strcasecmp(sign_in->domain, url.host) == 0 ||
			strcasecmp(sign_in->domain, with_port) == 0;
	}
	x402__http_url_clear(&url);
	if (at_home)
		return X402_OK;
	x402_errinfo_set(info, "text", "its URI is not at its domain");
	return X402_ERR_POLICY;
}

enum x402_err x402__signer_sign_in_read(const char *text,
	const struct x402__signer_accounts *accounts, struct x402_errinfo *info,
	struct x402__signer_sign_in *ret_sign_in)
{
	struct x402__signer_sign_in sign_in = {.issued_unix_s = 0};
	struct lines lines = {text};
	enum x402_err err = X402_OK;
	size_t len = strlen(text);
	if (has_controls(text) || (len && text[len - 1] == '\n'))
		err = malformed(info,
			"no control characters, and no end of "
			"the last line");
	if (!err)
		err = read_head(&lines, accounts, info, &sign_in);
	if (!err)
		err = read_fields(&lines, info, &sign_in);
	if (!err)
		err = read_rest(&lines, info);
	if (!err)
		err = check_place(&sign_in, info);
	if (!err)
		*ret_sign_in = sign_in;
	return err;
}
