/*
 * signer_body.c: what a client asks a signer process with. The terms of the
 * payment in the words of docs/signer.md, one function for each kind; the
 * process hashes them itself, so a mistake here ends as a signature that does
 * not fit, never as one of something else.
 */
#include <stdlib.h>

#include "signer_payment_p.h"
#include "x402/encoding.h"

static enum x402_err set_u256(
	struct x402_json *json, const char *key, const struct x402_u256 *value)
{
	char text[X402_U256_DEC_SIZE];
	x402_u256_to_dec(value, text);
	return x402_json_set_string(json, key, text);
}

static enum x402_err set_hex(
	struct x402_json *json, const char *key, struct x402_span bytes)
{
	struct x402_buf hex = {0};
	x402_hex_encode_0x(bytes, &hex);
	char *text = x402_buf_take_str(&hex);
	enum x402_err err = text ? x402_json_set_string(json, key, text)
				 : X402_ERR_NOMEM;
	free(text);
	return err;
}

static enum x402_err set_address(struct x402_json *json, const char *key,
	const struct x402_address *address)
{
	return set_hex(json, key, x402_span(address->bytes, 20));
}

static enum x402_err set_chain(struct x402_json *json, uint64_t chain_id)
{
	return chain_id > INT64_MAX
		? X402_ERR_RANGE
		: x402_json_set_int(json, "chainId", (int64_t)chain_id);
}

static enum x402_err set_domain(
	struct x402_json *body, const struct x402_eip712_domain *domain)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = X402_ERR_NOMEM;
	if (json)
		err = x402_json_set_string(json, "name", domain->name);
	if (!err)
		err = x402_json_set_string(json, "version", domain->version);
	if (!err)
		err = set_chain(json, domain->chain_id);
	if (!err)
		err = set_address(
			json, "verifyingContract", domain->verifying_contract);
	enum x402_err taken = x402_json_set_take(body, "domain", json);
	return err ? err : taken;
}

static enum x402_err fill_eip3009(
	struct x402_json *json, const struct x402_eip3009_authorization *auth)
{
	enum x402_err err = set_address(json, "from", &auth->from);
	if (!err)
		err = set_address(json, "to", &auth->to);
	if (!err)
		err = set_u256(json, "value", &auth->value);
	if (!err)
		err = set_u256(json, "validAfter", &auth->valid_after);
	if (!err)
		err = set_u256(json, "validBefore", &auth->valid_before);
	if (!err)
		err = set_hex(json, "nonce", x402_span(auth->nonce32, 32));
	return err;
}

static enum x402_err fill_permit2(
	struct x402_json *json, const struct x402_permit2_authorization *auth)
{
	enum x402_err err = set_address(json, "from", &auth->from);
	if (!err)
		err = set_address(json, "token", &auth->token);
	if (!err)
		err = set_address(json, "to", &auth->to);
	if (!err)
		err = set_u256(json, "amount", &auth->amount);
	if (!err)
		err = set_u256(json, "nonce", &auth->nonce);
	if (!err)
		err = set_u256(json, "deadline", &auth->deadline);
	if (!err)
		err = set_u256(json, "validAfter", &auth->valid_after);
	if (!err && auth->kind == X402_PERMIT2_UPTO)
		err = set_address(json, "facilitator", &auth->facilitator);
	return err;
}

static enum x402_err fill_eip2612(
	struct x402_json *json, const struct x402_permit2612 *permit)
{
	enum x402_err err = set_address(json, "owner", &permit->owner);
	if (!err)
		err = set_u256(json, "value", &permit->value);
	if (!err)
		err = set_u256(json, "nonce", &permit->nonce);
	if (!err)
		err = set_u256(json, "deadline", &permit->deadline);
	return err;
}

static enum x402_err set_message(
	struct x402_json *body, const struct x402_signable *signable)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = X402_ERR_NOMEM;
	if (json && signable->kind == X402_SIGNABLE_EIP3009)
		err = fill_eip3009(json, signable->eip3009);
	else if (json && signable->kind == X402_SIGNABLE_PERMIT2)
		err = fill_permit2(json, signable->permit2);
	else if (json)
		err = fill_eip2612(json, signable->eip2612);
	enum x402_err taken = x402_json_set_take(body, "message", json);
	return err ? err : taken;
}

static enum x402_err fill_solana(
	struct x402_json *body, const struct x402_client_signing *signing)
{
	const char *network = signing->offer
		? x402_payment_requirements_caip2(signing->offer)
		: NULL;
	struct x402_buf base64 = {0};
	if (!network)
		return X402_ERR_INVALID_ARGUMENT;
	x402_base64_encode(signing->signable->svm_message, &base64);
	char *text = x402_buf_take_str(&base64);
	enum x402_err err = text ? x402_json_set_string(body, "message", text)
				 : X402_ERR_NOMEM;
	free(text);
	if (!err)
		err = x402_json_set_string(body, "network", network);
	if (!err)
		err = x402_json_set_string(
			body, "payTo", signing->offer->pay_to);
	return err;
}

static enum x402_err fill(
	struct x402_json *body, const struct x402_client_signing *signing)
{
	const struct x402_signable *signable = signing->signable;
	static const char *const kinds[] = {[X402_SIGNABLE_EIP3009] = "eip3009",
		[X402_SIGNABLE_PERMIT2] = "permit2",
		[X402_SIGNABLE_EIP2612] = "eip2612",
		[X402_SIGNABLE_SVM] = "solana"};
	/* It signs payments, and no transactions nor what shows them. An
	 * approval is left out of the payment, which stands by itself. */
	if (signable->kind >= sizeof(kinds) / sizeof(kinds[0]) ||
		!kinds[signable->kind])
		return X402_ERR_UNSUPPORTED;
	enum x402_err err = x402_json_set_string(
		body, "kind", kinds[signable->kind]);
	if (!err)
		err = x402_json_set_string(body, "url", signing->url);
	if (!err && signable->kind == X402_SIGNABLE_SVM)
		return fill_solana(body, signing);
	if (!err && signable->kind == X402_SIGNABLE_PERMIT2) {
		bool upto = signable->permit2->kind == X402_PERMIT2_UPTO;
		err = x402_json_set_string(
			body, "scheme", upto ? "upto" : "exact");
		if (!err)
			err = set_chain(body, signable->domain->chain_id);
	} else if (!err) {
		err = set_domain(body, signable->domain);
	}
	return err ? err : set_message(body, signable);
}

enum x402_err x402__signer_body(const struct x402_client_signing *signing,
	const char *session, char **ret_body)
{
	struct x402_json *body = x402_json_new_object();
	enum x402_err err = X402_ERR_NOMEM;
	if (!signing->signable || !signing->url)
		err = X402_ERR_INVALID_ARGUMENT;
	else if (body)
		err = fill(body, signing);
	if (!err && session)
		err = x402_json_set_string(body, "session", session);
	char *text = err ? NULL : x402_json_dump(body);
	x402_json_unref(body);
	if (!err && !text)
		err = X402_ERR_NOMEM;
	if (!err)
		*ret_body = text;
	return err;
}
