/*
 * catalogue.h: what a payment or a seller declares about a resource, as a row
 * of the discovery catalogue (x402 F-080 to F-083).
 *
 * Thread rule: pure functions.
 */
#ifndef FAC_API_CATALOGUE_H
#define FAC_API_CATALOGUE_H

#include "core/payment.h"

/* Texts of one entry: far more than any that was seen. */
#define FAC_RESOURCE_MAX_BYTES (32 * 1024)
/*
 * Validate and build a row. NOT_FOUND when nothing is declared; SCHEMA, or
 * TOO_LARGE, with info->text saying which rule it breaks. accepts: an array, or
 * NULL for the requirements alone. Clear the row with fac_resource_clear.
 */
X402_MUST_USE enum x402_err fac_catalogue_row(
	const struct x402_payment_payload *payload,
	const struct x402_payment_requirements *requirements,
	const struct x402_json *accepts, struct x402_errinfo *info,
	struct fac_resource *ret_resource);

/* F-086: the value of EXTENSION-RESPONSES; caller frees. NULL without memory.
 */
char *fac_catalogue_response(const char *status, const char *rejected_reason);

#endif
