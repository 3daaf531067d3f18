/*
 * site.h: what the small examples share: a server on the project's own HTTP
 * code that sells until TERM or INT. content-site.c shows the same in full.
 *
 * Environment: PORT (default 4022; 0 takes a free one), PAY_TO, X402_NETWORK
 * (default eip155:84532), FACILITATOR_URL, PUBLIC_ORIGIN.
 */
#ifndef SITE_H
#define SITE_H

#include "x402/provider_uv.h"

struct site_config {
	const char *pay_to;
	const char *network;
};
/* False after saying on stderr what is missing. */
bool site_config_read(struct site_config *ret_config);
/* An environment variable, or fallback where it is empty. */
const char *site_env(const char *name, const char *fallback);

/*
 * Serve: options need routes alone; origin and facilitator are taken from the
 * environment. handlers: one for each route. The exit status.
 */
int site_run(const char *name, struct x402_provider_options *options,
	const struct x402_uv_handler *handlers);

/* Answer with a text, and a Settlement-Overrides where amount is not NULL. */
void site_reply(struct x402_uv_request *request, unsigned status,
	const char *type, const char *body, const char *amount);

#endif
