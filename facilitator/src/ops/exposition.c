/*
 * Prometheus' text format: HELP and TYPE once for a family, then its samples;
 * buckets summed up to "+Inf", which is the count.
 *
 * Values are whole numbers, or milliseconds written as seconds with three
 * places, so nothing here needs floating point.
 */
#include "ops/exposition.h"

#include <string.h>

static const char *type_text(enum fac_metric_type type)
{
	switch (type) {
	case FAC_METRIC_COUNTER:
		return "counter";
	case FAC_METRIC_GAUGE:
		return "gauge";
	case FAC_METRIC_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

void fac_page_family(struct fac_page *page, enum fac_metric_type type,
	const char *name, const char *help)
{
	page->family = name;
	x402_buf_printf(&page->text, "# HELP %s %s\n# TYPE %s %s\n", name, help,
		name, type_text(type));
}

/* Backslash, quote and line feed are the only three that need it. */
static void add_escaped(struct x402_buf *text, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n') {
			x402_buf_add_str(text, "\\n");
			continue;
		}
		if (*value == '\\' || *value == '"')
			x402_buf_add_byte(text, '\\');
		x402_buf_add_byte(text, (uint8_t)*value);
	}
}

static void add_label(
	struct x402_buf *text, bool first, const char *name, const char *value)
{
	x402_buf_printf(text, "%s%s=\"", first ? "{" : ",", name);
	add_escaped(text, value);
	x402_buf_add_byte(text, '"');
}

/* Name, suffix and labels; le may be NULL. */
static void begin_sample(struct fac_page *page, const char *suffix,
	const struct fac_labels *labels, const char *le)
{
	struct x402_buf *text = &page->text;
	bool first = true;

	x402_buf_add_str(text, page->family);
	x402_buf_add_str(text, suffix);
	for (size_t i = 0; labels && i < FAC_LABELS_MAX; i++) {
		if (!labels->label[i].name)
			break;
		add_label(text, first, labels->label[i].name,
			labels->label[i].value);
		first = false;
	}
	if (le) {
		add_label(text, first, "le", le);
		first = false;
	}
	x402_buf_add_str(text, first ? " " : "} ");
}

static void add_number(struct x402_buf *text, uint64_t value, bool in_ms)
{
	if (in_ms)
		x402_buf_printf(text, "%llu.%03u",
			(unsigned long long)(value / 1000),
			(unsigned)(value % 1000));
	else
		x402_buf_printf(text, "%llu", (unsigned long long)value);
}

/* A bound is a label, and one text for one bound is the custom: 0.01. */
static void trim_zeros(struct x402_buf *text)
{
	while (!text->failed && text->len && text->ptr[text->len - 1] == '0')
		text->len--;
	if (!text->failed && text->len && text->ptr[text->len - 1] == '.')
		text->len--;
}

static void add_sample(struct fac_page *page, const char *suffix,
	const struct fac_labels *labels, uint64_t value, bool in_ms)
{
	begin_sample(page, suffix, labels, NULL);
	add_number(&page->text, value, in_ms);
	x402_buf_add_byte(&page->text, '\n');
}

void fac_page_u64(
	struct fac_page *page, const struct fac_labels *labels, uint64_t value)
{
	add_sample(page, "", labels, value, false);
}

void fac_page_ms(struct fac_page *page, const struct fac_labels *labels,
	uint64_t value_ms)
{
	add_sample(page, "", labels, value_ms, true);
}

void fac_page_u256(struct fac_page *page, const struct fac_labels *labels,
	const struct x402_u256 *value)
{
	char text[X402_U256_DEC_SIZE];

	x402_u256_to_dec(value, text);
	begin_sample(page, "", labels, NULL);
	x402_buf_add_str(&page->text, text);
	x402_buf_add_byte(&page->text, '\n');
}

static void add_bucket(struct fac_page *page, const struct fac_labels *labels,
	const char *le, uint64_t count)
{
	begin_sample(page, "_bucket", labels, le);
	add_number(&page->text, count, false);
	x402_buf_add_byte(&page->text, '\n');
}

void fac_page_histogram(struct fac_page *page, const struct fac_labels *labels,
	const struct fac_histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i < histogram->bounds_len; i++) {
		struct x402_buf le = {0};
		count += histogram->buckets[i];
		add_number(&le, histogram->bounds[i], histogram->in_ms);
		if (histogram->in_ms)
			trim_zeros(&le);
		x402_buf_add_byte(&le, '\0');
		/* Without memory the page is void as a whole. */
		page->text.failed |= le.failed;
		if (!le.failed)
			add_bucket(page, labels, (const char *)le.ptr, count);
		x402_buf_clear(&le);
	}
	count += histogram->buckets[histogram->bounds_len];
	add_bucket(page, labels, "+Inf", count);
	add_sample(page, "_sum", labels, histogram->sum, histogram->in_ms);
	add_sample(page, "_count", labels, count, false);
}
