/*
 * What a facilitator answers: verify (L-004), settle (L-005), supported
 * (L-006).
 */
#include "fields_p.h"

static enum x402_err need_bool(const struct x402_json *json, const char *key,
	struct x402_errinfo *info, bool *ret_value)
{
	if (x402_json_bool(x402_json_get(json, key), ret_value))
		return X402_OK;
	x402_errinfo_set(info, key, "expected true or false");
	return X402_ERR_SCHEMA;
}

enum x402_err x402_verify_response_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_verify_response *ret_response)
{
	struct x402_verify_response response = {0};
	enum x402_err err;

	if ((err = x402__need_object(json, "", info)) ||
		(err = need_bool(json, "isValid", info, &response.is_valid)) ||
		(err = x402__read_optional_string(json, "invalidReason", info,
			 &response.invalid_reason)) ||
		(err = x402__read_optional_string(json, "invalidMessage", info,
			 &response.invalid_message)) ||
		(err = x402__read_optional_string(
			 json, "payer", info, &response.payer)) ||
		(err = x402__read_optional_object(
			 json, "extensions", info, &response.extensions)) ||
		(err = x402__read_optional_object(
			 json, "extra", info, &response.extra)))
		return err;
	response.json = x402_json_ref(json);
	*ret_response = response;
	return X402_OK;
}

enum x402_err x402_verify_response_to_json(
	const struct x402_verify_response *response,
	struct x402_json **ret_json)
{
	struct x402_json *json;
	enum x402_err err;

	if (response->json) {
		*ret_json = x402_json_ref(response->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	if ((err = x402_json_set_bool(json, "isValid", response->is_valid)) ||
		(err = x402_json_set_string(
			 json, "invalidReason", response->invalid_reason)) ||
		(err = x402_json_set_string(
			 json, "invalidMessage", response->invalid_message)) ||
		(err = x402_json_set_string(json, "payer", response->payer)) ||
		(err = x402__set_json(
			 json, "extensions", response->extensions)) ||
		(err = x402__set_json(json, "extra", response->extra))) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_verify_response_clear(struct x402_verify_response *response)
{
	if (!response)
		return;
	x402_json_unref(response->json);
	memset(response, 0, sizeof(*response));
}

enum x402_err x402_settle_response_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_settle_response *ret_response)
{
	struct x402_settle_response response = {0};
	enum x402_err err;

	if ((err = x402__need_object(json, "", info)) ||
		(err = need_bool(json, "success", info, &response.success)) ||
		(err = x402__read_optional_string(
			 json, "errorReason", info, &response.error_reason)) ||
		(err = x402__read_optional_string(json, "errorMessage", info,
			 &response.error_message)) ||
		(err = x402__read_optional_string(
			 json, "payer", info, &response.payer)) ||
		(err = x402__read_optional_string(
			 json, "transaction", info, &response.transaction)) ||
		(err = x402__read_optional_string(
			 json, "network", info, &response.network)) ||
		(err = x402__read_optional_string(
			 json, "amount", info, &response.amount)) ||
		(err = x402__read_optional_object(
			 json, "extensions", info, &response.extensions)) ||
		(err = x402__read_optional_object(
			 json, "extra", info, &response.extra)))
		return err;
	if (!response.transaction)
		response.transaction = "";
	response.json = x402_json_ref(json);
	*ret_response = response;
	return X402_OK;
}

/* Success is told in the reference's order; a failure begins with why. */
static enum x402_err fill_settle(
	struct x402_json *json, const struct x402_settle_response *response)
{
	enum x402_err err;

	if ((err = x402_json_set_bool(json, "success", response->success)) ||
		(err = x402_json_set_string(
			 json, "errorReason", response->error_reason)) ||
		(err = x402_json_set_string(
			 json, "errorMessage", response->error_message)) ||
		(err = x402_json_set_string(json, "payer", response->payer)) ||
		(err = x402_json_set_string(json, "transaction",
			 response->transaction ? response->transaction : "")) ||
		(err = x402_json_set_string(
			 json, "network", response->network)) ||
		(err = x402_json_set_string(
			 json, "amount", response->amount)) ||
		(err = x402__set_json(
			 json, "extensions", response->extensions)))
		return err;
	return x402__set_json(json, "extra", response->extra);
}

enum x402_err x402_settle_response_to_json(
	const struct x402_settle_response *response,
	struct x402_json **ret_json)
{
	struct x402_json *json;
	enum x402_err err;

	if (response->json) {
		*ret_json = x402_json_ref(response->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	err = fill_settle(json, response);
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_settle_response_clear(struct x402_settle_response *response)
{
	if (!response)
		return;
	x402_json_unref(response->json);
	memset(response, 0, sizeof(*response));
}

static enum x402_err read_kind(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_supported_kind *ret_kind)
{
	enum x402_err err;

	if ((err = x402__need_object(json, "", info)) ||
		(err = x402__read_version(
			 json, info, &ret_kind->x402_version)) ||
		(err = x402__read_string(
			 json, "scheme", info, &ret_kind->scheme)) ||
		(err = x402__read_string(
			 json, "network", info, &ret_kind->network)))
		return err;
	return x402__read_optional_object(
		json, "extra", info, &ret_kind->extra);
}

/*
 * A kind that we cannot read is one that we cannot use: it is passed over, so
 * that a newer facilitator does not become useless.
 */
enum x402_err x402_supported_response_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_supported_response *ret_response)
{
	const struct x402_json *kinds = x402_json_get(json, "kinds");
	struct x402_supported_response response;

	memset(&response, 0, sizeof(response));
	if (x402_json_type(kinds) != X402_JSON_ARRAY) {
		x402_errinfo_set(info, "kinds", "expected an array");
		return X402_ERR_SCHEMA;
	}
	if (x402_json_size(kinds) > X402_KINDS_MAX) {
		x402_errinfo_set(
			info, "kinds", "expected at most %d", X402_KINDS_MAX);
		return X402_ERR_TOO_LARGE;
	}
	for (size_t i = 0; i < x402_json_size(kinds); i++) {
		struct x402_errinfo ignored;

		if (read_kind(x402_json_at(kinds, i), &ignored,
			    &response.kinds[response.kinds_len]) == X402_OK)
			response.kinds_len++;
	}
	response.extensions = x402_json_get(json, "extensions");
	if (x402_json_type(response.extensions) != X402_JSON_ARRAY)
		response.extensions = NULL;
	response.signers = x402_json_get(json, "signers");
	if (x402_json_type(response.signers) != X402_JSON_OBJECT)
		response.signers = NULL;
	response.json = x402_json_ref(json);
	*ret_response = response;
	return X402_OK;
}

static enum x402_err add_kind(
	struct x402_json *kinds, const struct x402_supported_kind *kind)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err;

	if (!json)
		return X402_ERR_NOMEM;
	if ((err = x402_json_set_int(
		     json, "x402Version", kind->x402_version)) ||
		(err = x402_json_set_string(json, "scheme", kind->scheme)) ||
		(err = x402_json_set_string(json, "network", kind->network)) ||
		(err = x402__set_json(json, "extra", kind->extra))) {
		x402_json_unref(json);
		return err;
	}
	return x402_json_append_take(kinds, json);
}

/* L-006: both lists are always there, empty when there is nothing. */
static enum x402_err fill_supported(
	struct x402_json *json, const struct x402_supported_response *response)
{
	struct x402_json *kinds = x402_json_new_array();
	enum x402_err err = kinds ? X402_OK : X402_ERR_NOMEM;

	for (size_t i = 0; i < response->kinds_len && !err; i++)
		err = add_kind(kinds, &response->kinds[i]);
	if (err) {
		x402_json_unref(kinds);
		return err;
	}
	err = x402_json_set_take(json, "kinds", kinds);
	if (!err)
		err = x402_json_set_take(json, "extensions",
			response->extensions
				? x402_json_ref(response->extensions)
				: x402_json_new_array());
	if (!err)
		err = x402_json_set_take(json, "signers",
			response->signers ? x402_json_ref(response->signers)
					  : x402_json_new_object());
	return err;
}

enum x402_err x402_supported_response_to_json(
	const struct x402_supported_response *response,
	struct x402_json **ret_json)
{
	struct x402_json *json;
	enum x402_err err;

	if (response->json) {
		*ret_json = x402_json_ref(response->json);
		return X402_OK;
	}
	json = x402_json_new_object();
	if (!json)
		return X402_ERR_NOMEM;
	err = fill_supported(json, response);
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

void x402_supported_response_clear(struct x402_supported_response *response)
{
	if (!response)
		return;
	x402_json_unref(response->json);
	memset(response, 0, sizeof(*response));
}
