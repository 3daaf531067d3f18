/*
 * Cross-origin rules: pages may ask the facilitator from a browser, because
 * its answers depend on nothing but the question (no cookie, no credential).
 *
 *   1. fac_cors_headers     on every answer
 *   2. fac_api_preflight    OPTIONS: 204 with what is allowed
 */
#include "api/api.h"

#define EXPOSED "EXTENSION-RESPONSES, Retry-After, X-Request-Id"

size_t fac_cors_headers(const struct fac_settings *settings,
	struct fac_header ret_headers[FAC_CORS_HEADERS_MAX])
{
	size_t len = 0;

	if (!settings->cors_origin[0])
		return 0;
	ret_headers[len++] = (struct fac_header){
		"Access-Control-Allow-Origin", settings->cors_origin};
	ret_headers[len++] = (struct fac_header){
		"Access-Control-Expose-Headers", EXPOSED};
	/* A cache must not show one origin's answer to another. */
	if (strcmp(settings->cors_origin, "*"))
		ret_headers[len++] = (struct fac_header){"Vary", "Origin"};
	return len;
}

struct fac_step fac_api_preflight(struct fac_request *request)
{
	if (request->app->settings.cors_origin[0]) {
		fac_request_add_header(request, "Access-Control-Allow-Methods",
			"GET, POST, OPTIONS");
		fac_request_add_header(request, "Access-Control-Allow-Headers",
			"Content-Type, Authorization, Idempotency-Key, "
			"X-Request-Timeout");
		fac_request_add_header(
			request, "Access-Control-Max-Age", "86400");
	}
	return fac_reply_empty(request, 204);
}
