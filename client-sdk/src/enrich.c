/*
 * enrich.c: what a payment says beside its authorization (C-044), for the
 * library to merge with what the server declared (C-042):
 *
 *   1. add_sponsored()   a permit or an approval, where Permit2 has none
 *   2. add_identifier()  payment-identifier, where the server asks for one
 *   3. add_callers()     what the program's own hook adds
 *
 * Of two that name the same extension the earlier one stays.
 */
#include <stdlib.h>

#include "enrich_p.h"
#include "x402/encoding.h"

static enum x402_err add_all(
	struct x402_json *all, const struct x402_json *more)
{
	const struct x402_json *value;
	const char *key;
	void *iter = NULL;
	enum x402_err err = X402_OK;
	while (!err && x402_json_next(more, &iter, &key, &value))
		if (!x402_json_has(all, key))
			err = x402_json_set_take(
				all, key, x402_json_copy(value));
	return err;
}

/*
 * C-064, C-065. A signer that signs none of it leaves it out: the payment
 * stands by itself, and the facilitator says that an allowance is missing.
 */
static enum x402_err add_sponsored(struct x402_json *all,
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *create,
	const struct x402__sponsor_facts *facts)
{
	struct x402_json *extensions = NULL;
	enum x402_err err = X402_ERR_NOT_FOUND;
	switch (facts->kind) {
	case X402__SPONSOR_NONE:
		break;
	case X402__SPONSOR_PERMIT:
		err = x402_create_permit2612(
			offer, create, &facts->nonce, NULL, &extensions);
		break;
	case X402__SPONSOR_APPROVAL:
		err = x402_create_approval(
			offer, create, &facts->approval, NULL, &extensions);
		break;
	}
	if (err)
		return X402_OK;
	err = add_all(all, extensions);
	x402_json_unref(extensions);
	return err;
}

/* E-PI: "pay_" and 32 digits, of the nonce: the same for every repeat. */
static enum x402_err make_identifier(
	const uint8_t nonce32[32], struct x402_json **ret_extension)
{
	static const char domain[] = "payment-identifier";
	struct x402_keccak keccak;
	struct x402_buf text = {0};
	struct x402_json *extension = x402_json_new_object();
	struct x402_json *info = x402_json_new_object();
	enum x402_err err = extension && info ? X402_OK : X402_ERR_NOMEM;
	uint8_t hash32[32];
	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(domain, sizeof(domain)));
	x402_keccak_update(&keccak, x402_span(nonce32, 32));
	x402_keccak_final(&keccak, hash32);
	x402_buf_add_str(&text, "pay_");
	x402_hex_encode(x402_span(hash32, 16), &text);
	char *id = x402_buf_take_str(&text);
	if (!err)
		err = id ? x402_json_set_string(info, "id", id)
			 : X402_ERR_NOMEM;
	free(id);
	if (!err)
		err = x402_json_set_take(
			extension, "info", x402_json_ref(info));
	x402_json_unref(info);
	if (err) {
		x402_json_unref(extension);
		return err;
	}
	*ret_extension = extension;
	return X402_OK;
}

static enum x402_err add_identifier(struct x402_json *all,
	const struct x402__flow *flow, const struct x402_create_options *create)
{
	struct x402_json *extension = NULL;
	if (!x402_json_has(flow->challenge.extensions, "payment-identifier"))
		return X402_OK;
	enum x402_err err = make_identifier(create->nonce32, &extension);
	return err ? err
		   : x402_json_set_take(all, "payment-identifier", extension);
}

static enum x402_err add_callers(struct x402_json *all,
	const struct x402__flow *flow,
	const struct x402_payment_requirements *offer)
{
	const struct x402_client_options *options = flow->options;
	struct x402_json *extensions = NULL;
	if (!options->enrich)
		return X402_OK;
	enum x402_err err = options->enrich(
		options->user, &flow->challenge, offer, &extensions);
	if (!err)
		err = add_all(all, extensions);
	x402_json_unref(extensions);
	return err;
}

enum x402_err x402__enrich(const struct x402__flow *flow,
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *create,
	const struct x402__sponsor_facts *sponsor,
	struct x402_json **ret_extensions)
{
	*ret_extensions = NULL;
	/* Version 1 has no extensions, and most offers want nothing. */
	if (offer->x402_version == X402_V1 ||
		(sponsor->kind == X402__SPONSOR_NONE &&
			!flow->challenge.extensions && !flow->options->enrich))
		return X402_OK;
	struct x402_json *all = x402_json_new_object();
	if (!all)
		return X402_ERR_NOMEM;
	enum x402_err err = add_sponsored(all, offer, create, sponsor);
	if (!err)
		err = add_identifier(all, flow, create);
	if (!err)
		err = add_callers(all, flow, offer);
	if (err || !x402_json_size(all)) {
		x402_json_unref(all);
		return err;
	}
	*ret_extensions = all;
	return X402_OK;
}
