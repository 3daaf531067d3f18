/*
 * Just enough of URLs to name a listing and to refuse what must not be
 * fetched or shown. Not for routing: the provider SDK has its own paths.
 */
#ifndef X402_URL_P_H
#define X402_URL_P_H

#include "x402/base.h"

/* Offsets into the text that was parsed. */
struct x402__url {
	size_t scheme_len; /* "https" */
	size_t host;
	size_t host_len; /* without brackets' content being looked at */
	size_t path;     /* end of the authority: '/', '?', '#' or the end */
	size_t path_end; /* where query or fragment begin, or the end */
	bool http;       /* scheme is http or https */
	bool userinfo;
};

/* An absolute URL of printable ASCII with an authority; false otherwise. */
bool x402__url_parse(const char *text, struct x402__url *ret_url);

/*
 * F-083: may this host be shown as the place of an icon? Names only: no IP
 * address in any spelling, no localhost, nothing percent-encoded. Names
 * beyond ASCII must come in their xn-- form.
 */
bool x402__url_host_is_public_name(const char *host, size_t len);

#endif
