/*
 * exact on Solana: the payer's side (C-070 to C-076). The payer signs one
 * transfer whose fee the facilitator pays; the offer comes from a stranger,
 * so everything that ends up under the signature is parsed and bounded here.
 */
#include <stdlib.h>

#include "exact_svm_p.h"
#include "x402/encoding.h"

struct terms {
	struct x402_svm_transfer transfer;
	struct x402_pubkey pay_to;
	struct x402_pubkey reference;
	struct x402_buf memo; /* C-073: where the offer has none */
};

static enum x402_err want(
	struct x402_errinfo *info, const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "expected %s", expected);
	return X402_ERR_SCHEMA;
}

static enum x402_err read_accounts(
	const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct terms *terms)
{
	struct x402_svm_transfer *transfer = &terms->transfer;
	const char *fee_payer = x402_json_get_string(offer->extra, "feePayer");
	struct x402_u256 amount;

	/* C-070 */
	if (!fee_payer ||
		x402_pubkey_parse(fee_payer, &transfer->fee_payer) != X402_OK)
		return want(info, "extra.feePayer", "an account");
	if (x402_pubkey_parse(offer->asset, &transfer->mint) != X402_OK)
		return want(info, "asset", "a mint's account");
	if (x402_pubkey_parse(offer->pay_to, &terms->pay_to) != X402_OK ||
		x402_pubkey_is_zero(&terms->pay_to))
		return want(info, "payTo", "an account that somebody owns");
	if (x402_u256_from_dec(offer->amount, &amount) != X402_OK ||
		!x402_u256_to_u64(&amount, &transfer->amount))
		return want(info, "amount", "a decimal below 2^64");
	return X402_OK;
}

/* C-073 */
static enum x402_err read_memo(const struct x402_payment_requirements *offer,
	const uint8_t nonce32[32], struct x402_errinfo *info,
	struct terms *terms)
{
	const struct x402_json *given = x402_json_get(offer->extra, "memo");
	const char *text = x402_json_string(given);

	if (!given) {
		x402_hex_encode(x402_span(nonce32, 16), &terms->memo);
		terms->transfer.memo = x402_buf_span(&terms->memo);
		return terms->memo.failed ? X402_ERR_NOMEM : X402_OK;
	}
	if (!text || !*text || strlen(text) > X402_SVM_MEMO_MAX)
		return want(info, "extra.memo", "a text of 1 to 256 bytes");
	terms->transfer.memo = x402_span_str(text);
	return X402_OK;
}

/* C-074; and a reference of Solana Pay, by which the payment is found. */
static enum x402_err read_extras(const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct terms *terms)
{
	const char *blockhash = x402_json_get_string(
		offer->extra, "recentBlockhash");
	const char *reference = x402_json_get_string(offer->extra, "reference");
	struct x402_pubkey hash;

	memcpy(terms->transfer.blockhash32, options->svm_blockhash32, 32);
	if (blockhash && x402_pubkey_parse(blockhash, &hash) == X402_OK)
		memcpy(terms->transfer.blockhash32, hash.bytes, 32);
	if (!reference)
		return X402_OK;
	if (x402_pubkey_parse(reference, &terms->reference) != X402_OK)
		return want(info, "extra.reference", "an account");
	terms->transfer.reference = &terms->reference;
	return X402_OK;
}

static enum x402_err read_terms(const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct terms *terms)
{
	struct x402_svm_transfer *transfer = &terms->transfer;
	enum x402_err err = read_accounts(offer, info, terms);
	uint8_t bump;

	if (!err)
		err = read_memo(offer, options->nonce32, info, terms);
	if (!err)
		err = read_extras(offer, options, info, terms);
	if (err)
		return err;
	transfer->authority = options->svm_payer;
	transfer->token_program = options->svm_mint.token_program;
	transfer->decimals = options->svm_mint.decimals;
	/* C-076: neither account is made here; both must exist. */
	if (!x402_svm_ata(&options->svm_payer, &transfer->token_program,
		    &transfer->mint, &transfer->source, &bump) ||
		!x402_svm_ata(&terms->pay_to, &transfer->token_program,
			&transfer->mint, &transfer->destination, &bump))
		return want(info, "asset", "a mint with token accounts");
	return X402_OK;
}

/* C-075: two signatures, of which the fee payer's is still empty. */
static enum x402_err sign(const struct x402_create_options *options,
	struct x402_span message, struct x402_buf *ret_wire)
{
	struct x402_signable signable = {
		.kind = X402_SIGNABLE_SVM, .svm_message = message};
	struct x402_buf signature = {0};
	enum x402_err err = options->sign(options->user, &signable, &signature);

	if (!err && signature.failed)
		err = X402_ERR_NOMEM;
	/* A signer that signed something else: it must not leave here. */
	if (!err &&
		(signature.len != 64 ||
			!x402_ed25519_verify(
				signature.ptr, message, &options->svm_payer)))
		err = X402_ERR_CRYPTO;
	if (err) {
		x402_buf_clear(&signature);
		return err;
	}
	x402_svm_add_length(ret_wire, 2);
	(void)x402_buf_add_zeros(ret_wire, 64);
	x402_buf_add(ret_wire, x402_buf_span(&signature));
	x402_buf_clear(&signature);
	x402_buf_add(ret_wire, message);
	if (ret_wire->failed)
		return X402_ERR_NOMEM;
	return ret_wire->len > X402_SVM_TRANSACTION_MAX ? X402_ERR_TOO_LARGE
							: X402_OK;
}

static enum x402_err to_json(
	const struct x402_buf *wire, struct x402_json **ret_payload)
{
	struct x402_buf base64 = {0};
	struct x402_json *payload;
	char *text;
	enum x402_err err;

	x402_base64_encode(x402_buf_span(wire), &base64);
	text = x402_buf_take_str(&base64);
	payload = x402_json_new_object();
	err = text && payload
		? x402_json_set_string(payload, "transaction", text)
		: X402_ERR_NOMEM;
	free(text);
	if (err)
		x402_json_unref(payload);
	else
		*ret_payload = payload;
	return err;
}

enum x402_err x402__exact_svm_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload)
{
	struct terms terms = {.memo = {0}};
	struct x402_buf message = {0};
	struct x402_buf wire = {0};
	enum x402_err err;

	if (!options->has_svm) {
		x402_errinfo_set(info, "network", "no Solana key to pay with");
		return X402_ERR_UNSUPPORTED;
	}
	err = read_terms(offer, options, info, &terms);
	if (!err)
		err = x402_svm_transfer_message(&terms.transfer, &message);
	if (err == X402_ERR_RANGE)
		x402_errinfo_set(info, "payTo",
			"expected payer, payee and fee payer to differ");
	if (!err)
		err = sign(options, x402_buf_span(&message), &wire);
	if (!err)
		err = to_json(&wire, ret_payload);
	x402_buf_clear(&terms.memo);
	x402_buf_clear(&message);
	x402_buf_clear(&wire);
	return err;
}
