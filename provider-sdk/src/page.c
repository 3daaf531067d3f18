/*
 * page.c: writes the page for people. A template is copied from one end to the
 * other; fill() puts a value where {{name}} stands. Values come out of
 * add_escaped(), numbers, hex or base64; there is no other way in, so that a
 * description cannot become markup (attack 44). The script gets the challenge
 * as base64 in an attribute and puts texts in as text.
 */
#include <ctype.h>
#include <stdlib.h>

#include "gate_p.h"
#include "paywall.h"
#include "qr_p.h"

#define NAME_DEFAULT   "Payment required"
#define ACCENT_DEFAULT "#2557d6"
/* 16 bytes in hex: nobody guesses it. */
#define NONCE_SIZE 33

struct filling {
	struct x402_gate *gate;
	const char *header;
	const char *reason;
	char nonce[NONCE_SIZE];
};

const char *x402_provider_component(void)
{
	return component_js;
}

/* ---- Options. ---- */

static bool accent_valid(const char *accent)
{
	size_t len = strlen(accent);

	if (*accent != '#' || (len != 4 && len != 7))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!isxdigit((unsigned char)accent[i]))
			return false;
	return true;
}

enum x402_err x402__page_new(const struct x402_provider_page *options,
	struct x402_errinfo *info, struct x402__page **ret_page)
{
	const char *accent = options->accent ? options->accent : ACCENT_DEFAULT;
	const char *html = options->template_html;
	struct x402__page *page;

	if (!accent_valid(accent)) {
		x402_errinfo_set(info, "page.accent", "expected #rrggbb");
		return X402_ERR_INVALID_ARGUMENT;
	}
	if (html &&
		(strlen(html) > X402__TEMPLATE_MAX ||
			!strstr(html, "{{required}}") ||
			!strstr(html, "{{script}}"))) {
		x402_errinfo_set(info, "page.template_html",
			"expected at most 64 KiB with {{required}} and "
			"{{script}}");
		return X402_ERR_INVALID_ARGUMENT;
	}
	page = calloc(1, sizeof(*page));
	if (!page)
		return X402_ERR_NOMEM;
	page->name = strdup(options->name ? options->name : NAME_DEFAULT);
	page->accent = strdup(accent);
	page->template_html = html ? strdup(html) : NULL;
	if (!page->name || !page->accent || (html && !page->template_html)) {
		x402__page_free(page);
		return X402_ERR_NOMEM;
	}
	*ret_page = page;
	return X402_OK;
}

void x402__page_free(struct x402__page *page)
{
	if (!page)
		return;
	free(page->name);
	free(page->accent);
	free(page->template_html);
	free(page);
}

/* ---- Values. ---- */

static void add_escaped(struct x402_buf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (strchr("&<>\"'`={}", c))
			x402_buf_printf(out, "&#%u;", c);
		else if (c == 0x7f || (c < 0x20 && c != '\n' && c != '\t'))
			x402_buf_add_byte(out, ' ');
		else
			x402_buf_add_byte(out, c);
	}
}

static const char *title_of(const struct filling *filling)
{
	const char *description = filling->gate->route->description;

	return *description ? description : filling->gate->provider->page->name;
}

/* What people call a network. */
static const char *network_name(const char *caip2)
{
	static const char *const names[][2] = {{"eip155:1", "Ethereum"},
		{"eip155:10", "OP Mainnet"}, {"eip155:137", "Polygon"},
		{"eip155:8453", "Base"}, {"eip155:42161", "Arbitrum One"},
		{"eip155:43114", "Avalanche"},
		{"eip155:43113", "Avalanche Fuji (test)"},
		{"eip155:84532", "Base Sepolia (test)"},
		{"eip155:11155111", "Sepolia (test)"},
		{"eip155:11155420", "OP Sepolia (test)"},
		{"eip155:56", "BNB Smart Chain"},
		{"eip155:97", "BNB Smart Chain (test)"},
		{"eip155:80002", "Polygon Amoy (test)"},
		{"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "Solana"},
		{"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1",
			"Solana devnet (test)"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i][0], caip2) == 0)
			return names[i][1];
	return caip2;
}

/* "0.01 USDC", or the atomic units of an asset that nobody knows. */
static void add_amount(struct x402_buf *out, const struct x402__offer *offer,
	const struct x402_json *terms)
{
	const char *asset = x402_json_get_string(terms, "asset");
	const char *amount = x402_json_get_string(terms, "amount");
	const struct x402_default_asset *known = x402_known_asset(
		x402_json_get_string(terms, "network"), asset);
	const char *name = x402_json_get_string(
		x402_json_get(terms, "extra"), "name");
	struct x402_u256 atomic;
	char text[160];

	if (offer->decimals > 0 &&
		x402_u256_from_dec(amount, &atomic) == X402_OK &&
		x402_price_format(
			&atomic, offer->decimals, text, sizeof(text)) > 0) {
		add_escaped(out, text);
		x402_buf_add_byte(out, ' ');
		add_escaped(out, known ? known->symbol : name ? name : asset);
		return;
	}
	add_escaped(out, amount);
	x402_buf_add_str(out, " units of ");
	add_escaped(out, asset);
}

static bool for_wallets(const struct x402_json *terms)
{
	const char *scheme = x402_json_get_string(terms, "scheme");
	const char *network = x402_json_get_string(terms, "network");

	return scheme && network && strcmp(scheme, "exact") == 0 &&
		strncmp(network, "eip155:", 7) == 0;
}

/* A choice, or a line where no wallet in a browser can pay it. */
static void add_offer(struct x402_buf *out, const struct x402__offer *offer,
	const struct x402_json *terms, size_t index, bool *first)
{
	bool choice = for_wallets(terms);

	if (choice) {
		x402_buf_printf(out,
			"<label><input type=\"radio\" name=\"offer\" "
			"value=\"%zu\"%s>",
			index, *first ? " checked" : "");
		*first = false;
	} else {
		x402_buf_add_str(out, "<p>");
	}
	x402_buf_add_str(out, "<b>");
	add_amount(out, offer, terms);
	x402_buf_add_str(out, "</b> on ");
	add_escaped(out, network_name(x402_json_get_string(terms, "network")));
	x402_buf_add_str(out,
		choice ? "</label>\n" : " <small>(for programs)</small></p>\n");
}

static void add_offers(struct x402_buf *out, const struct filling *filling)
{
	const struct x402__prices *prices = filling->gate->prices;
	bool first = true;

	for (size_t i = 0; i < prices->offers_len; i++) {
		struct x402_json *terms = NULL;

		if (x402_json_parse(x402_span_str(prices->offers[i].json), NULL,
			    NULL, &terms) != X402_OK) {
			out->failed = true;
			return;
		}
		add_offer(out, &prices->offers[i], terms, i, &first);
		x402_json_unref(terms);
	}
	if (first)
		x402_buf_add_str(
			out, "<p>No offer that a browser can pay.</p>\n");
}

static void add_payee(struct x402_buf *out, const struct filling *filling)
{
	/* Offers of one route are mostly for one payee; the wallet shows the
	 * one that is chosen. */
	const struct x402__route *route = filling->gate->route;

	for (size_t i = 0; i < route->terms_len; i++) {
		bool said = false;

		for (size_t j = 0; j < i; j++)
			said = said ||
				strcmp(route->terms[j].pay_to,
					route->terms[i].pay_to) == 0;
		if (said)
			continue;
		if (i > 0)
			x402_buf_add_byte(out, ' ');
		add_escaped(out, route->terms[i].pay_to);
	}
}

static void add_qr(struct x402_buf *out, const char *url)
{
	struct x402__qr *qr = malloc(sizeof(*qr));

	/* A longer URL would be hard to scan: none then. */
	if (qr && x402__qr_encode(x402_span_str(url), qr)) {
		/* Four modules of quiet around it. */
		x402_buf_printf(out,
			"<svg viewBox=\"-4 -4.5 %d %d\" role=\"img\" "
			"aria-label=\"QR code of this page's address\">"
			"<path stroke=\"#000\" d=\"",
			qr->size + 8, qr->size + 8);
		x402__qr_path(qr, out);
		x402_buf_add_str(out,
			"\"/></svg>\n<p><small>Or open it in the browser of a "
			"wallet on your phone.</small></p>");
	}
	free(qr);
}

/* Our own style and script may name these two. */
static void add_own(
	struct x402_buf *out, const struct filling *filling, const char *text)
{
	const char *accent = filling->gate->provider->page->accent;
	const char *at;

	while ((at = strstr(text, "{{accent}}"))) {
		x402_buf_add(out, x402_span(text, (size_t)(at - text)));
		x402_buf_add_str(out, accent);
		text = at + strlen("{{accent}}");
	}
	x402_buf_add_str(out, text);
}

static void add_error(struct x402_buf *out, const struct filling *filling)
{
	/* The plain challenge is no error to a person. */
	if (strcmp(filling->reason, "Payment required") != 0)
		add_escaped(out, filling->reason);
}

static bool named(struct x402_span name, const char *what)
{
	return name.len == strlen(what) &&
		memcmp(name.ptr, what, name.len) == 0;
}

static void fill(struct x402_buf *out, const struct filling *filling,
	struct x402_span name)
{
	const struct x402_gate *gate = filling->gate;

	if (named(name, "title"))
		add_escaped(out, title_of(filling));
	else if (named(name, "description"))
		add_escaped(out, gate->provider->page->name);
	else if (named(name, "legend"))
		x402_buf_add_str(out, "Price");
	else if (named(name, "offers"))
		add_offers(out, filling);
	else if (named(name, "url"))
		add_escaped(out, gate->url);
	else if (named(name, "payee"))
		add_payee(out, filling);
	else if (named(name, "required"))
		x402_buf_add_str(out, filling->header);
	else if (named(name, "error"))
		add_error(out, filling);
	else if (named(name, "qr"))
		add_qr(out, gate->url);
	else if (named(name, "nonce"))
		x402_buf_add_str(out, filling->nonce);
	else if (named(name, "accent"))
		x402_buf_add_str(out, gate->provider->page->accent);
	else if (named(name, "style")) {
		x402_buf_printf(out, "<style nonce=\"%s\">\n", filling->nonce);
		add_own(out, filling, page_css);
		x402_buf_add_str(out, "</style>");
	} else if (named(name, "script")) {
		x402_buf_printf(out, "<script nonce=\"%s\">\n", filling->nonce);
		x402_buf_add_str(out, page_js);
		x402_buf_add_str(out, "</script>");
	}
}

static void fill_all(
	struct x402_buf *out, const struct filling *filling, const char *text)
{
	const char *at;

	while ((at = strstr(text, "{{"))) {
		const char *end = strstr(at, "}}");

		if (!end)
			break;
		x402_buf_add(out, x402_span(text, (size_t)(at - text)));
		fill(out, filling, x402_span(at + 2, (size_t)(end - at - 2)));
		text = end + 2;
	}
	x402_buf_add_str(out, text);
}

static void write_nonce(struct x402_gate *gate, char ret_nonce[NONCE_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	uint64_t number = __atomic_add_fetch(
		&gate->provider->page->nonces, 1, __ATOMIC_RELAXED);
	struct x402_keccak hash;
	uint8_t hash32[32];

	/* The secret makes it random, the number new, the time new after a
	 * restart under the same secret. */
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span("nonce", 6));
	x402_keccak_update(&hash, x402_span(&number, sizeof(number)));
	x402_keccak_update(&hash, x402_span(&gate->now_unix_s, 8));
	x402_keccak_update(&hash, x402_span(&gate, sizeof(gate)));
	x402_keccak_final(&hash, hash32);
	for (size_t i = 0; i + 1 < NONCE_SIZE; i++)
		ret_nonce[i] = digits[hash32[i / 2] >> (i % 2 ? 0 : 4) & 15];
	ret_nonce[NONCE_SIZE - 1] = '\0';
}

bool x402__gate_page(struct x402_gate *gate, const char *header,
	const char *reason, struct x402_gate_decision *decision)
{
	const struct x402__page *page = gate->provider->page;
	struct filling filling = {
		.gate = gate, .header = header, .reason = reason};
	struct x402_buf policy = {0};
	struct x402_buf out = {0};
	const char *html;

	write_nonce(gate, filling.nonce);
	fill_all(&out, &filling,
		page->template_html ? page->template_html : page_html);
	x402_buf_printf(&policy,
		"default-src 'none'; script-src 'nonce-%s'; "
		"style-src 'nonce-%s'; connect-src 'self'; img-src 'self' "
		"data:; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'",
		filling.nonce, filling.nonce);
	html = x402__gate_keep(gate, x402_buf_take_str(&out));
	x402__gate_add(decision, "Content-Security-Policy",
		x402__gate_keep(gate, x402_buf_take_str(&policy)));
	x402__gate_add(decision, "Content-Type", "text/html; charset=utf-8");
	x402__gate_add(decision, "X-Content-Type-Options", "nosniff");
	x402__gate_add(decision, "Referrer-Policy", "no-referrer");
	decision->body = x402_span_str(html);
	return html && decision->headers_len == 4;
}
