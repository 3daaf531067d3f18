/*
 * payment.h: the protocol's objects, v1 and v2 (protocol.md 3.1).
 *
 * Every object is a plain struct whose strings point into the JSON tree it
 * was read from; the struct holds one reference to that tree in `json`, so
 * unknown fields survive when the object is sent on (x402 L-020). clear()
 * drops the reference and with it every string of the object.
 *
 * To build an object, fill a struct with your own strings (json NULL) and
 * call its _to_json function; the result stands alone.
 *
 * Explicit null counts as absent for every optional field. Optional strings
 * are NULL when absent.
 *
 * Not for: header text (codec.h), choosing among offers (negotiate.h),
 * judging a payment (scheme.h).
 * Thread rule: see json.h; an object belongs to one thread at a time.
 */
#ifndef X402_PAYMENT_H
#define X402_PAYMENT_H

#include "x402/json.h"

#ifdef __cplusplus
extern "C" {
#endif

#define X402_V1 1
#define X402_V2 2

/* Longest list of offers we read: a challenge is for one resource. */
#define X402_ACCEPTS_MAX 32
/* F-011: what an errorMessage may hold. */
#define X402_ERROR_MESSAGE_MAX 500

/* L-001 resource. In v1 only url, description and mime_type are known. */
struct x402_resource {
	const char *url;
	const char *description;
	const char *mime_type;
	const char *service_name;
	const char *icon_url;
	const struct x402_json *tags;
};

/* L-002 and L-008. version says which; amount is maxAmountRequired in v1. */
struct x402_payment_requirements {
	int x402_version;
	const char *scheme;
	const char *network; /* CAIP-2 in v2, a name in v1 */
	const char *amount;  /* decimal string, atomic units */
	const char *asset;
	const char *pay_to;
	int64_t max_timeout_seconds;
	const struct x402_json *extra; /* object or NULL */
	/* v1 only, NULL in v2 */
	const char *resource;
	const char *description;
	const char *mime_type;
	const struct x402_json *output_schema;
	struct x402_json *json; /* owned reference, or NULL when hand-built */
};

/*
 * Read requirements of the given version from an object. SCHEMA with
 * info->field naming the member; RANGE for a number or amount that cannot be;
 * VERSION for a version that is neither 1 nor 2.
 */
X402_API X402_MUST_USE enum x402_err x402_payment_requirements_read(
	const struct x402_json *json, int x402_version,
	struct x402_errinfo *info, struct x402_payment_requirements *ret_req);
/* The stored tree if there is one, else built from the fields. New ref. */
X402_API X402_MUST_USE enum x402_err x402_payment_requirements_to_json(
	const struct x402_payment_requirements *req,
	struct x402_json **ret_json);
X402_API void x402_payment_requirements_clear(
	struct x402_payment_requirements *req);
/* The CAIP-2 id whatever the version; NULL for an unknown v1 name. */
X402_API const char *x402_payment_requirements_caip2(
	const struct x402_payment_requirements *req);

/* L-001 and L-009. */
struct x402_payment_required {
	int x402_version;
	const char *error;
	struct x402_resource resource; /* v2; all NULL in v1 */
	struct x402_payment_requirements accepts[X402_ACCEPTS_MAX];
	size_t accepts_len;
	const struct x402_json *extensions;
	struct x402_json *json;
};

/*
 * Read a challenge of either version (decided by x402Version alone, L-011).
 * An offer that is malformed is skipped when others are good: one odd entry
 * must not hide the rest. SCHEMA when none is left and accepts was not empty;
 * an empty accepts list is valid (auth-only, E-SIWX).
 */
X402_API X402_MUST_USE enum x402_err x402_payment_required_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_payment_required *ret_required);
X402_API X402_MUST_USE enum x402_err x402_payment_required_to_json(
	const struct x402_payment_required *required,
	struct x402_json **ret_json);
X402_API void x402_payment_required_clear(
	struct x402_payment_required *required);

/* L-003 and L-010. */
struct x402_payment_payload {
	int x402_version;
	const struct x402_json *resource;          /* v2, object or NULL */
	struct x402_payment_requirements accepted; /* v2 only */
	const char *scheme;  /* v1: own field; v2: accepted.scheme */
	const char *network; /* v1: own field; v2: accepted.network */
	const struct x402_json *payload;    /* object */
	const struct x402_json *extensions; /* object or NULL */
	struct x402_json *json;
};

X402_API X402_MUST_USE enum x402_err x402_payment_payload_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_payment_payload *ret_payload);
X402_API X402_MUST_USE enum x402_err x402_payment_payload_to_json(
	const struct x402_payment_payload *payload,
	struct x402_json **ret_json);
X402_API void x402_payment_payload_clear(struct x402_payment_payload *payload);

/* L-004. */
struct x402_verify_response {
	bool is_valid;
	const char *invalid_reason;
	const char *invalid_message;
	const char *payer;
	const struct x402_json *extensions;
	const struct x402_json *extra;
	struct x402_json *json;
};

X402_API X402_MUST_USE enum x402_err x402_verify_response_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_verify_response *ret_response);
X402_API X402_MUST_USE enum x402_err x402_verify_response_to_json(
	const struct x402_verify_response *response,
	struct x402_json **ret_json);
X402_API void x402_verify_response_clear(struct x402_verify_response *response);

/*
 * L-005. transaction is never NULL after reading ("" when there is none). A
 * response whose success is true says that money moved: check that network
 * and transaction are what you asked for before giving anything away.
 */
struct x402_settle_response {
	bool success;
	const char *error_reason;
	const char *error_message;
	const char *payer;
	const char *transaction;
	const char *network;
	const char *amount;
	const struct x402_json *extensions;
	const struct x402_json *extra;
	struct x402_json *json;
};

X402_API X402_MUST_USE enum x402_err x402_settle_response_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_settle_response *ret_response);
X402_API X402_MUST_USE enum x402_err x402_settle_response_to_json(
	const struct x402_settle_response *response,
	struct x402_json **ret_json);
X402_API void x402_settle_response_clear(struct x402_settle_response *response);

/* L-006: one kind of payment that a facilitator serves. */
struct x402_supported_kind {
	int x402_version;
	const char *scheme;
	const char *network;
	const struct x402_json *extra;
};

#define X402_KINDS_MAX 128
struct x402_supported_response {
	struct x402_supported_kind kinds[X402_KINDS_MAX];
	size_t kinds_len;
	const struct x402_json *extensions; /* array or NULL */
	const struct x402_json *signers;    /* object or NULL */
	struct x402_json *json;
};

X402_API X402_MUST_USE enum x402_err x402_supported_response_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_supported_response *ret_response);
X402_API X402_MUST_USE enum x402_err x402_supported_response_to_json(
	const struct x402_supported_response *response,
	struct x402_json **ret_json);
X402_API void x402_supported_response_clear(
	struct x402_supported_response *response);

/* L-007: what a facilitator is asked, for verify and settle alike. */
struct x402_facilitator_request {
	int x402_version;
	struct x402_payment_payload payload;
	struct x402_payment_requirements requirements;
	struct x402_json *json;
};

/*
 * Which part was at fault, so that the endpoint can answer with the right
 * reason: SCHEMA with info->field "paymentPayload" or "paymentRequirements"
 * alone means that the member is missing (F-001: HTTP 400).
 */
X402_API X402_MUST_USE enum x402_err x402_facilitator_request_read(
	const struct x402_json *json, struct x402_errinfo *info,
	struct x402_facilitator_request *ret_request);
X402_API X402_MUST_USE enum x402_err x402_facilitator_request_to_json(
	const struct x402_facilitator_request *request,
	struct x402_json **ret_json);
X402_API void x402_facilitator_request_clear(
	struct x402_facilitator_request *request);

#ifdef __cplusplus
}
#endif
#endif
