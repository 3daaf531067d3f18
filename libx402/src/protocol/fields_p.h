/*
 * Members of protocol objects: shared by the readers and writers of
 * src/protocol. Not for anyone else. Outputs are written also on failure
 * here (to NULL): callers discard the whole object then.
 */
#ifndef X402_FIELDS_P_H
#define X402_FIELDS_P_H

#include "x402/payment.h"

/* SCHEMA with info->field = field unless json is an object. */
X402_MUST_USE enum x402_err x402__need_object(const struct x402_json *json,
	const char *field, struct x402_errinfo *info);
X402_MUST_USE enum x402_err x402__read_string(const struct x402_json *object,
	const char *key, struct x402_errinfo *info, const char **ret_text);
X402_MUST_USE enum x402_err x402__read_optional_string(
	const struct x402_json *object, const char *key,
	struct x402_errinfo *info, const char **ret_text);
X402_MUST_USE enum x402_err x402__read_optional_object(
	const struct x402_json *object, const char *key,
	struct x402_errinfo *info, const struct x402_json **ret_json);
X402_MUST_USE enum x402_err x402__read_version(const struct x402_json *object,
	struct x402_errinfo *info, int *ret_version);
/* "accepted" and "amount" make "accepted.amount". info may be NULL. */
void x402__prefix_field(struct x402_errinfo *info, const char *prefix);
/* Set a member to one more reference of value; NULL leaves it out. */
X402_MUST_USE enum x402_err x402__set_json(struct x402_json *object,
	const char *key, const struct x402_json *value);
/* L-001 resource as a new object. */
X402_MUST_USE enum x402_err x402__resource_to_json(
	const struct x402_resource *resource, struct x402_json **ret_json);

#endif
