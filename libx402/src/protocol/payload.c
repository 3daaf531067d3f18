/*
 * The payment payload (L-003, L-010) and the request that a facilitator is
 * asked with (L-007).
 */
#include "fields_p.h"

static enum x402_err read_v2(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_payload *payload)
{
	enum x402_err err;

	if ((err = x402__read_optional_object(
		     json, "resource", info, &payload->resource)) ||
		(err = x402__read_optional_object(
			 json, "extensions", info, &payload->extensions)))
		return err;
	err = x402_payment_requirements_read(x402_json_get(json, "accepted"),
		X402_V2, info, &payload->accepted);
	if (err) {
		x402__prefix_field(info, "accepted");
		return err;
	}
	payload->scheme = payload->accepted.scheme;
	payload->network = payload->accepted.network;
	return X402_OK;
}

static enum x402_err read_v1(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_payload *payload)
{
	enum x402_err err = x402__read_string(
		json, "scheme", info, &payload->scheme);

	return err
		? err
		: x402__read_string(json, "network", info, &payload->network);
}

enum x402_err x402_payment_payload_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_payload *ret_payload)
{
	struct x402_payment_payload payload;
	enum x402_err err;

	memset(&payload, 0, sizeof(payload));
	if ((err = x402__need_object(json, "", info)) ||
		(err = x402__read_version(json, info, &payload.x402_version)))
		return err;
	payload.payload = x402_json_get(json, "payload");
	err = x402__need_object(payload.payload, "payload", info);
	if (!err)
		err = payload.x402_version == X402_V1
			? read_v1(json, info, &payload)
			: read_v2(json, info, &payload);
	if (err) {
		x402_payment_payload_clear(&payload);
		return err;
	}
	payload.json = x402_json_ref(json);
	*ret_payload = payload;
	return X402_OK;
}

static enum x402_err set_accepted(
	struct x402_json *json, const struct x402_payment_payload *payload)
{
	struct x402_json *accepted = NULL;
	enum x402_err err = x402_payment_requirements_to_json(
		&payload->accepted, &accepted);

	return err ? err : x402_json_set_take(json, "accepted", accepted);
}

static enum x402_err fill(
	struct x402_json *json, const struct x402_payment_payload *payload)
{
	enum x402_err err = x402_json_set_int(
		json, "x402Version", payload->x402_version);

	if (err)
		return err;
	if (payload->x402_version == X402_V1) {
		if ((err = x402_json_set_string(
			     json, "scheme", payload->scheme)) ||
			(err = x402_json_set_string(
				 json, "network", payload->network)))
			return err;
		return x402__set_json(json, "payload", payload->payload);
	}
	/* The order of the reference client's header. */
	if ((err = x402__set_json(json, "payload", payload->payload)) ||
		(err = x402__set_json(
			 json, "extensions", payload->extensions)) ||
		(err = x402__set_json(json, "resource", payload->resource)))
		return err;
	return set_accepted(json, payload);
}

enum x402_err x402_payment_payload_to_json(
	const struct x402_payment_payload *payload, struct x402_json **ret_json)
{
	struct x402_json *json;
	enum x402_err err;

	if (payload->json) {
		*ret_json = x402_json_ref(payload->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	err = fill(json, payload);
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_payment_payload_clear(struct x402_payment_payload *payload)
{
	if (!payload)
		return;
	x402_payment_requirements_clear(&payload->accepted);
	x402_json_unref(payload->json);
	memset(payload, 0, sizeof(*payload));
}

/* A member that must be an object; SCHEMA naming it alone when it is not. */
static enum x402_err need_member(const struct x402_json *json, const char *key,
	struct x402_errinfo *info, const struct x402_json **ret_member)
{
	*ret_member = x402_json_get(json, key);
	return x402__need_object(*ret_member, key, info);
}

enum x402_err x402_facilitator_request_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_facilitator_request *ret_request)
{
	struct x402_facilitator_request request;
	const struct x402_json *payload;
	const struct x402_json *requirements;
	enum x402_err err;

	memset(&request, 0, sizeof(request));
	if ((err = x402__need_object(json, "", info)) ||
		(err = need_member(json, "paymentPayload", info, &payload)) ||
		(err = need_member(
			 json, "paymentRequirements", info, &requirements)))
		return err;
	/* Reference servers send it; older ones leave it to the payload. */
	err = x402__read_version(
		x402_json_get(json, "x402Version") ? json : payload, info,
		&request.x402_version);
	if (err)
		return err;
	err = x402_payment_payload_read(payload, info, &request.payload);
	if (err) {
		x402__prefix_field(info, "paymentPayload");
		return err;
	}
	err = x402_payment_requirements_read(requirements, request.x402_version,
		info, &request.requirements);
	if (err) {
		x402__prefix_field(info, "paymentRequirements");
		x402_facilitator_request_clear(&request);
		return err;
	}
	request.json = x402_json_ref(json);
	*ret_request = request;
	return X402_OK;
}

enum x402_err x402_facilitator_request_to_json(
	const struct x402_facilitator_request *request,
	struct x402_json **ret_json)
{
	struct x402_json *json;
	struct x402_json *payload = NULL;
	struct x402_json *requirements = NULL;
	enum x402_err err;

	if (request->json) {
		*ret_json = x402_json_ref(request->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	err = x402_json_set_int(json, "x402Version", request->x402_version);
	if (!err)
		err = x402_payment_payload_to_json(&request->payload, &payload);
	if (!err)
		err = x402_json_set_take(json, "paymentPayload", payload);
	if (!err)
		err = x402_payment_requirements_to_json(
			&request->requirements, &requirements);
	if (!err)
		err = x402_json_set_take(
			json, "paymentRequirements", requirements);
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_facilitator_request_clear(struct x402_facilitator_request *request)
{
	if (!request)
		return;
	x402_payment_payload_clear(&request->payload);
	x402_payment_requirements_clear(&request->requirements);
	x402_json_unref(request->json);
	memset(request, 0, sizeof(*request));
}
