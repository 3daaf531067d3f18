/*
 * Payment requirements and the challenge that carries them: L-001, L-002,
 * L-008, L-009. Where next: payload.c for what the client sends back.
 */
#include "fields_p.h"
#include "x402/amount.h"
#include "x402/network.h"

/* L-021: digits below 2^256. */
static enum x402_err read_amount(const struct x402_json *json, const char *key,
	struct x402_errinfo *info, const char **ret_amount)
{
	struct x402_u256 value;
	enum x402_err err = x402__read_string(json, key, info, ret_amount);

	if (err)
		return err;
	if (x402_u256_from_dec(*ret_amount, &value) == X402_OK)
		return X402_OK;
	x402_errinfo_set(info, key,
		"expected a decimal string below 2^256, got %.90s",
		*ret_amount);
	return X402_ERR_RANGE;
}

static enum x402_err read_timeout(const struct x402_json *json,
	struct x402_errinfo *info, int64_t *ret_seconds)
{
	const char *key = "maxTimeoutSeconds";

	if (!x402_json_int64(x402_json_get(json, key), ret_seconds)) {
		x402_errinfo_set(info, key, "expected a whole number");
		return X402_ERR_SCHEMA;
	}
	if (*ret_seconds <= 0) {
		x402_errinfo_set(info, key, "expected more than 0, got %lld",
			(long long)*ret_seconds);
		return X402_ERR_RANGE;
	}
	return X402_OK;
}

static enum x402_err read_v1(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_requirements *req)
{
	enum x402_err err;

	if ((err = read_amount(
		     json, "maxAmountRequired", info, &req->amount)) ||
		(err = x402__read_string(
			 json, "resource", info, &req->resource)) ||
		(err = x402__read_optional_string(
			 json, "description", info, &req->description)) ||
		(err = x402__read_optional_string(
			 json, "mimeType", info, &req->mime_type)))
		return err;
	return x402__read_optional_object(
		json, "outputSchema", info, &req->output_schema);
}

static enum x402_err read_v2(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_requirements *req)
{
	if (strlen(req->network) < 3 || !strchr(req->network, ':')) {
		x402_errinfo_set(info, "network",
			"expected a CAIP-2 id such as eip155:8453, got %.60s",
			req->network);
		return X402_ERR_SCHEMA;
	}
	return read_amount(json, "amount", info, &req->amount);
}

enum x402_err x402_payment_requirements_read(const struct x402_json *json,
	int x402_version, struct x402_errinfo *info,
	struct x402_payment_requirements *ret_req)
{
	struct x402_payment_requirements req = {.x402_version = x402_version};
	enum x402_err err;

	if (x402_version != X402_V1 && x402_version != X402_V2) {
		x402_errinfo_set(info, "x402Version", "expected 1 or 2, got %d",
			x402_version);
		return X402_ERR_VERSION;
	}
	if ((err = x402__need_object(json, "", info)) ||
		(err = x402__read_string(json, "scheme", info, &req.scheme)) ||
		(err = x402__read_string(
			 json, "network", info, &req.network)) ||
		(err = x402__read_string(json, "asset", info, &req.asset)) ||
		(err = x402__read_string(json, "payTo", info, &req.pay_to)) ||
		(err = read_timeout(json, info, &req.max_timeout_seconds)) ||
		(err = x402__read_optional_object(
			 json, "extra", info, &req.extra)))
		return err;
	err = x402_version == X402_V1 ? read_v1(json, info, &req)
				      : read_v2(json, info, &req);
	if (err)
		return err;
	req.json = x402_json_ref(json);
	*ret_req = req;
	return X402_OK;
}

/* Member order is the reference's, so that equal offers are equal bytes. */
static enum x402_err fill_v1(
	struct x402_json *json, const struct x402_payment_requirements *req)
{
	enum x402_err err;

	if ((err = x402_json_set_string(json, "scheme", req->scheme)) ||
		(err = x402_json_set_string(json, "network", req->network)) ||
		(err = x402_json_set_string(
			 json, "maxAmountRequired", req->amount)) ||
		(err = x402_json_set_string(json, "resource", req->resource)) ||
		(err = x402_json_set_string(json, "description",
			 req->description ? req->description : "")) ||
		(err = x402_json_set_string(
			 json, "mimeType", req->mime_type)) ||
		(err = x402_json_set_string(json, "payTo", req->pay_to)) ||
		(err = x402_json_set_int(json, "maxTimeoutSeconds",
			 req->max_timeout_seconds)) ||
		(err = x402_json_set_string(json, "asset", req->asset)) ||
		(err = x402__set_json(
			 json, "outputSchema", req->output_schema)))
		return err;
	return x402__set_json(json, "extra", req->extra);
}

static enum x402_err fill_v2(
	struct x402_json *json, const struct x402_payment_requirements *req)
{
	enum x402_err err;

	if ((err = x402_json_set_string(json, "scheme", req->scheme)) ||
		(err = x402_json_set_string(json, "network", req->network)) ||
		(err = x402_json_set_string(json, "amount", req->amount)) ||
		(err = x402_json_set_string(json, "asset", req->asset)) ||
		(err = x402_json_set_string(json, "payTo", req->pay_to)) ||
		(err = x402_json_set_int(
			 json, "maxTimeoutSeconds", req->max_timeout_seconds)))
		return err;
	return x402__set_json(json, "extra", req->extra);
}

enum x402_err x402_payment_requirements_to_json(
	const struct x402_payment_requirements *req,
	struct x402_json **ret_json)
{
	struct x402_json *json;
	enum x402_err err;

	if (req->json) {
		*ret_json = x402_json_ref(req->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	err = req->x402_version == X402_V1 ? fill_v1(json, req)
					   : fill_v2(json, req);
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_payment_requirements_clear(struct x402_payment_requirements *req)
{
	if (!req)
		return;
	x402_json_unref(req->json);
	memset(req, 0, sizeof(*req));
}

const char *x402_payment_requirements_caip2(
	const struct x402_payment_requirements *req)
{
	return req->x402_version == X402_V1
		? x402_network_from_v1_name(req->network)
		: req->network;
}

static enum x402_err read_resource(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_resource *ret_resource)
{
	const struct x402_json *object;
	enum x402_err err = x402__read_optional_object(
		json, "resource", info, &object);

	if (err || !object)
		return err;
	if ((err = x402__read_optional_string(
		     object, "url", info, &ret_resource->url)) ||
		(err = x402__read_optional_string(object, "description", info,
			 &ret_resource->description)) ||
		(err = x402__read_optional_string(
			 object, "mimeType", info, &ret_resource->mime_type)) ||
		(err = x402__read_optional_string(object, "serviceName", info,
			 &ret_resource->service_name)) ||
		(err = x402__read_optional_string(
			 object, "iconUrl", info, &ret_resource->icon_url))) {
		x402__prefix_field(info, "resource");
		return err;
	}
	ret_resource->tags = x402_json_get(object, "tags");
	return X402_OK;
}

static enum x402_err read_accepts(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_required *required)
{
	const struct x402_json *accepts = x402_json_get(json, "accepts");
	size_t n = x402_json_size(accepts);
	struct x402_errinfo last = {"", ""};
	enum x402_err err = X402_OK;

	if (x402_json_type(accepts) != X402_JSON_ARRAY) {
		x402_errinfo_set(info, "accepts", "expected an array");
		return X402_ERR_SCHEMA;
	}
	if (n > X402_ACCEPTS_MAX) {
		x402_errinfo_set(info, "accepts",
			"expected at most %d offers, got %zu", X402_ACCEPTS_MAX,
			n);
		return X402_ERR_TOO_LARGE;
	}
	for (size_t i = 0; i < n; i++) {
		err = x402_payment_requirements_read(x402_json_at(accepts, i),
			required->x402_version, &last,
			&required->accepts[required->accepts_len]);
		if (!err)
			required->accepts_len++;
	}
	if (n == 0 || required->accepts_len > 0)
		return X402_OK;
	x402_errinfo_set(info, last.field, "%s", last.text);
	x402__prefix_field(info, "accepts");
	return err;
}

enum x402_err x402_payment_required_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_payment_required *ret_required)
{
	struct x402_payment_required required;
	enum x402_err err;

	memset(&required, 0, sizeof(required));
	if ((err = x402__need_object(json, "", info)) ||
		(err = x402__read_version(
			 json, info, &required.x402_version)) ||
		(err = x402__read_optional_string(
			 json, "error", info, &required.error)))
		return err;
	if (required.x402_version == X402_V2 &&
		((err = read_resource(json, info, &required.resource)) ||
			(err = x402__read_optional_object(json, "extensions",
				 info, &required.extensions))))
		return err;
	err = read_accepts(json, info, &required);
	if (err) {
		x402_payment_required_clear(&required);
		return err;
	}
	required.json = x402_json_ref(json);
	*ret_required = required;
	return X402_OK;
}

enum x402_err x402__resource_to_json(
	const struct x402_resource *resource, struct x402_json **ret_json)
{
	struct x402_json *object = x402_json_new_object();
	enum x402_err err;

	if (!object)
		return X402_ERR_NOMEM;
	if ((err = x402_json_set_string(object, "url", resource->url)) ||
		(err = x402_json_set_string(
			 object, "description", resource->description)) ||
		(err = x402_json_set_string(
			 object, "mimeType", resource->mime_type)) ||
		(err = x402_json_set_string(
			 object, "serviceName", resource->service_name)) ||
		(err = x402__set_json(object, "tags", resource->tags)) ||
		(err = x402_json_set_string(
			 object, "iconUrl", resource->icon_url))) {
		x402_json_unref(object);
		return err;
	}
	*ret_json = object;
	return X402_OK;
}

static enum x402_err set_resource(
	struct x402_json *json, const struct x402_resource *resource)
{
	struct x402_json *object = NULL;
	enum x402_err err;

	if (!resource->url)
		return X402_OK;
	err = x402__resource_to_json(resource, &object);
	return err ? err : x402_json_set_take(json, "resource", object);
}

static enum x402_err set_accepts(
	struct x402_json *json, const struct x402_payment_required *required)
{
	struct x402_json *accepts = x402_json_new_array();
	enum x402_err err = accepts ? X402_OK : X402_ERR_NOMEM;

	for (size_t i = 0; i < required->accepts_len && !err; i++) {
		struct x402_json *offer = NULL;

		err = x402_payment_requirements_to_json(
			&required->accepts[i], &offer);
		if (!err)
			err = x402_json_append_take(accepts, offer);
	}
	if (err) {
		x402_json_unref(accepts);
		return err;
	}
	return x402_json_set_take(json, "accepts", accepts);
}

enum x402_err x402_payment_required_to_json(
	const struct x402_payment_required *required,
	struct x402_json **ret_json)
{
	struct x402_json *json;
	enum x402_err err;

	if (required->json) {
		*ret_json = x402_json_ref(required->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	if ((err = x402_json_set_int(
		     json, "x402Version", required->x402_version)) ||
		(err = x402_json_set_string(json, "error", required->error)) ||
		(err = set_resource(json, &required->resource)) ||
		(err = set_accepts(json, required)) ||
		(err = x402__set_json(
			 json, "extensions", required->extensions))) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_payment_required_clear(struct x402_payment_required *required)
{
	if (!required)
		return;
	for (size_t i = 0; i < required->accepts_len; i++)
		x402_payment_requirements_clear(&required->accepts[i]);
	x402_json_unref(required->json);
	memset(required, 0, sizeof(*required));
}
