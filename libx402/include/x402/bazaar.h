/*
 * bazaar.h: what a payment declares about its resource for discovery
 * (extension "bazaar", E-BZ; facilitator rules F-080 to F-083).
 *
 * Everything here comes from strangers and is shown to agents: it is
 * validated, cut to size, and dropped where it does not hold.
 * Thread rule: pure functions.
 */
#ifndef X402_BAZAAR_H
#define X402_BAZAAR_H

#include "x402/payment.h"

#ifdef __cplusplus
extern "C" {
#endif

#define X402_BAZAAR_KEY_MAX 2304 /* url up to 2048, tool name up to 128 */

/* A listing, validated. Strings are owned; release with clear. */
struct x402_bazaar_entry {
	char *key;      /* F-081: identity of the listing */
	char *type;     /* "http" or "mcp" */
	char *resource; /* URL that is listed (with routeTemplate if valid) */
	char *tool;     /* mcp tool name or NULL */
	struct x402_json *info;     /* declared info, validated, or NULL */
	struct x402_json *metadata; /* F-083 serviceName, tags, iconUrl, ... */
};

/*
 * Read what payload and requirements declare. NOT_FOUND when the payment
 * declares no bazaar extension (nothing to catalogue); SCHEMA when it does
 * but breaks a rule (info says which: the rejectedReason of F-086).
 * Works for v2; v1 payments carry outputSchema instead and are read from it
 * when it says discoverable.
 */
X402_API X402_MUST_USE enum x402_err x402_bazaar_read(
	const struct x402_payment_payload *payload,
	const struct x402_payment_requirements *requirements,
	struct x402_errinfo *info, struct x402_bazaar_entry *ret_entry);
X402_API void x402_bazaar_entry_clear(struct x402_bazaar_entry *entry);

/* F-082. */
X402_API bool x402_bazaar_route_template_valid(const char *route_template);

/*
 * L-057: validate instance against a bounded subset of JSON Schema 2020-12:
 * type, properties, required, const, enum, pattern (a bounded subset too),
 * items, additionalProperties, minLength, maxLength. $ref and any keyword
 * that constrains but is unknown makes the schema UNSUPPORTED; annotations
 * are ignored. SCHEMA when the instance does not fit.
 */
X402_API X402_MUST_USE enum x402_err x402_json_schema_validate(
	const struct x402_json *schema, const struct x402_json *instance,
	struct x402_errinfo *info);

#ifdef __cplusplus
}
#endif
#endif
