/*
 * pay.c: where money becomes text. x402__pay_sign() is the only place of the
 * client that asks for a signature, and it does so once for each call.
 *
 * The authorization is made valid for the server's maxTimeoutSeconds or for
 * max_validity_s, whichever is shorter: it is as good as cash until then. The
 * offer that is echoed stays the server's own (C-041).
 */
#include "challenge_p.h"
#include "enrich_p.h"
#include "pay_p.h"

#include <stdlib.h>

#include "x402/encoding.h"

bool x402__pay_delegates(const struct x402_payment_requirements *offer)
{
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);
	return scheme && scheme->delegates;
}

/* The library hands out a digest; a signer is told what it is for. */
struct bridge {
	const struct x402_client_options *options;
	const struct x402_client_signer *signer;
	const struct x402_client_svm_signer *svm_signer;
	struct x402_client_signing signing;
};

static enum x402_err sign(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	struct bridge *bridge = user;
	bridge->signing.digest32 = signable->digest32;
	bridge->signing.signable = signable;
	return bridge->signer->sign(
		bridge->signer->user, &bridge->signing, ret_signature);
}

static enum x402_err sign_svm(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	struct bridge *bridge = user;
	bridge->signing.signable = signable;
	return bridge->svm_signer->sign(
		bridge->svm_signer->user, &bridge->signing, ret_signature);
}

static enum x402_err delegate(void *user,
	const struct x402_delegation_terms *terms,
	struct x402_delegation_payload *ret_payload)
{
	struct bridge *bridge = user;
	return bridge->options->delegate(
		bridge->options->delegate_user, terms, ret_payload);
}

/*
 * A blockhash lives for 150 blocks, a minute or more; but blocks may come
 * slowly, and nobody can say when: until this long after, it counts as open.
 */
#define SVM_OPEN_S 900

static void fill_svm(struct bridge *bridge, const struct x402__inputs *inputs,
	struct x402_create_options *create)
{
	bridge->signing.family = X402_FAMILY_SVM;
	create->has_svm = true;
	create->svm_payer = bridge->svm_signer->address;
	create->svm_mint = inputs->svm.mint;
	memcpy(create->svm_blockhash32, inputs->svm.blockhash32, 32);
	create->sign = sign_svm;
}

static enum x402_err encode(struct x402__flow *flow, size_t index,
	const struct x402_json *scheme_payload,
	const struct x402_json *extensions)
{
	struct x402_payment_payload payload = {0};
	enum x402_err err = x402_payment_payload_build(
		&flow->challenge, index, scheme_payload, extensions, &payload);
	if (err)
		return err;
	err = x402_payment_payload_encode(&payload, &flow->payment.header_text);
	x402_payment_payload_clear(&payload);
	return err;
}

/* A proof is worth something until its transaction is too old to be one. */
static enum x402_err make_payload(struct x402__flow *flow,
	const struct x402_payment_requirements *offer,
	struct x402_create_options *create, const struct x402__inputs *inputs,
	struct x402_json **ret_payload)
{
	struct x402_buf raw = {0};
	struct x402_buf hex = {0};
	uint8_t hash32[32];
	if (!x402__send_is_offer(offer))
		return x402_create_payload(
			offer, create, &flow->error, ret_payload);
	enum x402_err err = x402__send_sign(
		offer, create, &inputs->send, &flow->error, &raw, hash32);
	if (err)
		return err;
	create->transaction32 = hash32;
	create->resource = flow->challenge.resource.url;
	err = x402_create_payload(offer, create, &flow->error, ret_payload);
	create->transaction32 = NULL;
	x402_hex_encode_0x(x402_buf_span(&raw), &hex);
	x402_buf_clear(&raw);
	char *text = x402_buf_take_str(&hex);
	if (!err) {
		err = text ? x402_json_set_string(
				     *ret_payload, "signedTransaction", text)
			   : X402_ERR_NOMEM;
		if (err)
			x402_json_unref(*ret_payload);
	}
	free(text);
	return err;
}

enum x402_err x402__pay_sign(struct x402__flow *flow, size_t index,
	const struct x402__inputs *inputs)
{
	struct x402_client_payment *payment = &flow->payment;
	if (payment->header_text || flow->brought || flow->present_only)
		return X402_ERR_INTERNAL;
	const struct x402_payment_requirements *offer =
		&flow->challenge.accepts[index];
	struct x402_payment_requirements bounded = *offer;
	if ((uint64_t)bounded.max_timeout_seconds >
		flow->options->max_validity_s)
		bounded.max_timeout_seconds =
			(int64_t)flow->options->max_validity_s;
	uint64_t valid_before = inputs->now_unix_s +
		(uint64_t)bounded.max_timeout_seconds;
	struct bridge bridge = {
		.options = flow->options,
		.signer = flow->signer,
		.signing = {.family = X402_FAMILY_EVM,
			.url = flow->url.shown,
			.offer = offer,
			.valid_before_unix_s = valid_before},
	};
	struct x402_create_options create = {
		.now_unix_s = inputs->now_unix_s,
		.sign = sign,
		.user = &bridge,
		.cache = flow->cache,
	};
	bool is_svm = x402__svm_is_offer(offer);
	if (x402__pay_delegates(offer)) {
		create.delegate = delegate;
	} else if (is_svm) {
		valid_before = inputs->now_unix_s + SVM_OPEN_S;
		bridge.signing.valid_before_unix_s = valid_before;
		bridge.svm_signer = x402__svm_signer(flow->svm);
		fill_svm(&bridge, inputs, &create);
	} else {
		create.payer = flow->signer->address;
	}
	memcpy(create.nonce32, inputs->nonce32, sizeof(create.nonce32));
	struct x402_json *scheme_payload = NULL;
	if (x402__send_is_offer(offer))
		valid_before = inputs->now_unix_s + X402_PROOF_LIFE_S;
	enum x402_err err = make_payload(
		flow, &bounded, &create, inputs, &scheme_payload);
	if (err)
		return err;
	/* The wallet says who pays. */
	if (create.delegate)
		(void)!x402_address_parse(
			x402_json_get_string(scheme_payload, "delegator"),
			&create.payer);
	struct x402_json *extensions = NULL;
	err = x402__enrich(
		flow, &bounded, &create, &inputs->sponsor, &extensions);
	if (!err)
		err = encode(flow, index, scheme_payload, extensions);
	x402_json_unref(extensions);
	x402_json_unref(scheme_payload);
	if (err)
		return err;
	payment->valid_before_unix_s = valid_before;
	if (is_svm)
		x402_pubkey_format(&create.svm_payer, payment->payer);
	else
		x402_address_format(&create.payer, payment->payer);
	/* C-005 */
	payment->header_name = offer->x402_version == X402_V1
		? X402_HEADER_X_PAYMENT
		: X402_HEADER_PAYMENT_SIGNATURE;
	return X402_OK;
}

static void adopt_terms(struct x402_client_payment *payment,
	const struct x402_address *from, const struct x402_address *to,
	const struct x402_u256 *amount, const struct x402_u256 *expires)
{
	x402_address_format(from, payment->payer);
	x402_address_format(to, payment->pay_to);
	x402_u256_to_dec(amount, payment->amount);
	uint64_t valid_before = 0;
	if (x402_u256_to_u64(expires, &valid_before))
		payment->valid_before_unix_s = valid_before;
}

/* For upto the amount is the most that can be taken (C-032). */
static void adopt_permit2(struct x402_client_payment *payment,
	const struct x402_payment_payload *payload)
{
	struct x402_permit2_payload permit = {0};
	if (x402_permit2_payload_read(payload->payload,
		    strcmp(payload->scheme, "upto") == 0 ? X402_PERMIT2_UPTO
							 : X402_PERMIT2_EXACT,
		    NULL, &permit))
		return;
	const struct x402_permit2_authorization *auth = &permit.authorization;
	adopt_terms(payment, &auth->from, &auth->to, &auth->amount,
		&auth->deadline);
	x402_permit2_payload_clear(&permit);
}

/* L-014: what it is for stands in the offer alone. */
static void adopt_delegation(struct x402_client_payment *payment,
	const struct x402_payment_payload *payload)
{
	struct x402_delegation_payload delegation = {0};
	if (x402_delegation_payload_read(payload->payload, NULL, &delegation))
		return;
	x402_address_format(&delegation.delegator, payment->payer);
	x402_delegation_payload_clear(&delegation);
}

static void adopt_authorization(struct x402_client_payment *payment,
	const struct x402_payment_payload *payload)
{
	struct x402_eip3009_payload exact = {0};
	struct x402_proof_payload proof;
	if (x402__send_is_scheme(payload->scheme)) {
		if (!x402_proof_payload_read(payload->payload, NULL, &proof) &&
			proof.bound)
			x402_address_format(&proof.payer, payment->payer);
		return;
	}
	if (x402_json_has(payload->payload, "permit2Authorization")) {
		adopt_permit2(payment, payload);
		return;
	}
	if (x402_json_has(payload->payload, "delegationManager")) {
		adopt_delegation(payment, payload);
		return;
	}
	if (x402_eip3009_payload_read(payload->payload, NULL, &exact))
		return;
	const struct x402_eip3009_authorization *auth = &exact.authorization;
	adopt_terms(payment, &auth->from, &auth->to, &auth->value,
		&auth->valid_before);
	x402_eip3009_payload_clear(&exact);
}

void x402__pay_adopt(struct x402_client_payment *payment, const char *text)
{
	struct x402_payment_payload payload = {0};
	if (x402_payment_payload_decode(x402_span_str(text), NULL, &payload))
		return;
	if (payload.x402_version == X402_V2) {
		x402_client_payment_terms(&payload.accepted, payment);
	} else {
		struct x402_payment_requirements terms = {
			.x402_version = X402_V1,
			.scheme = payload.scheme,
			.network = payload.network,
		};
		x402_client_payment_terms(&terms, payment);
	}
	adopt_authorization(payment, &payload);
	x402_payment_payload_clear(&payload);
}
