/*
 * exposition.h: the text that Prometheus reads, version 0.0.4.
 *
 * Begin a family, add its samples, begin the next one. All samples of a family
 * go together, and a family begins once in a page.
 *
 * Not for: what is told; see metrics.h. Label values must be bounded in
 * number: a stranger must not be able to make new ones.
 * Thread rule: a page belongs to one thread.
 */
#ifndef FAC_OPS_EXPOSITION_H
#define FAC_OPS_EXPOSITION_H

#include "x402/amount.h"

#define FAC_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum fac_metric_type {
	FAC_METRIC_COUNTER,
	FAC_METRIC_GAUGE,
	FAC_METRIC_HISTOGRAM
};

/* A page in the making. Zero it to begin; text is the caller's to clear. */
struct fac_page {
	struct x402_buf text;
	const char *family; /* borrowed: constant text */
};

struct fac_label {
	const char *name; /* constant text */
	const char *value;
};
/* Up to so many; the first without a name ends them. */
#define FAC_LABELS_MAX 4
struct fac_labels {
	struct fac_label label[FAC_LABELS_MAX];
};

/* LABELS({"name", value}, ...): for the calls below. */
#define LABELS(...)                     \
	(&(const struct fac_labels){    \
		.label = {__VA_ARGS__}, \
	})

void fac_page_family(struct fac_page *page, enum fac_metric_type type,
	const char *name, const char *help);
/* labels NULL: none. */
void fac_page_u64(
	struct fac_page *page, const struct fac_labels *labels, uint64_t value);
/* Told in seconds, which is what readers expect of times. */
void fac_page_ms(struct fac_page *page, const struct fac_labels *labels,
	uint64_t value_ms);
void fac_page_u256(struct fac_page *page, const struct fac_labels *labels,
	const struct x402_u256 *value);

struct fac_histogram {
	const uint64_t *bounds; /* rising */
	size_t bounds_len;
	/* Each its own, not the sum so far; bounds_len + 1 of them. */
	const uint64_t *buckets;
	uint64_t sum;
	bool in_ms; /* bounds and sum: told in seconds */
};
void fac_page_histogram(struct fac_page *page, const struct fac_labels *labels,
	const struct fac_histogram *histogram);

#endif
