/*
 * page_p.h: the page for people, as the provider holds it. See page.c and
 * provider-sdk/paywall. Thread rule: constant once made. Private.
 */
#ifndef X402_PROVIDER_PAGE_P_H
#define X402_PROVIDER_PAGE_P_H

#include "x402/error.h"

/* A page with pictures in it is a site. */
#define X402__TEMPLATE_MAX ((size_t)64 * 1024)

struct x402_provider_page;

struct x402__page {
	char *name;
	char *accent;
	char *template_html; /* NULL: the built-in one */
	uint64_t nonces;     /* atomic */
};

/* INVALID_ARGUMENT about page, NOMEM. */
X402_MUST_USE enum x402_err x402__page_new(
	const struct x402_provider_page *options, struct x402_errinfo *info,
	struct x402__page **ret_page);
/* NULL allowed. */
void x402__page_free(struct x402__page *page);

#endif
