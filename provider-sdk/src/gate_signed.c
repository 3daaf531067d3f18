/*
 * gate_signed.c: did the payer's own key sign this payment? The scheme's plan
 * leaves the question open where the signature may be a contract's; here that
 * is a no.
 */
#include "gate_p.h"

#include "x402/svm_transaction.h"

static bool recovers(const struct x402_gate *gate, const uint8_t digest32[32],
	const struct x402_buf *signature)
{
	struct x402_address signer;

	return signature->len == 65 &&
		x402_recover_address(digest32, signature->ptr, &signer) ==
		X402_OK &&
		x402_address_equal(&signer, &gate->from);
}

static bool eip3009_signed(
	const struct x402_gate *gate, const struct x402_network *network)
{
	const struct x402_json *extra = gate->v2.extra;
	struct x402_eip3009_payload payload = {0};
	struct x402_address asset;
	const struct x402_eip712_domain domain = {
		.name = x402_json_get_string(extra, "name"),
		.version = x402_json_get_string(extra, "version"),
		.chain_id = network->chain_id,
		.verifying_contract = &asset,
	};
	uint8_t separator32[32];
	uint8_t digest32[32];
	bool good;

	if (!domain.name || !domain.version ||
		x402_address_parse(gate->v2.asset, &asset) != X402_OK ||
		x402_eip3009_payload_read(gate->request.payload.payload, NULL,
			&payload) != X402_OK)
		return false;
	x402_eip712_domain_separator(&domain, separator32);
	x402_eip3009_digest(&payload.authorization, separator32, digest32);
	good = recovers(gate, digest32, &payload.signature);
	x402_eip3009_payload_clear(&payload);
	return good;
}

static bool permit2_signed(
	const struct x402_gate *gate, const struct x402_network *network)
{
	struct x402_permit2_payload payload = {0};
	enum x402_permit2_kind kind = strcmp(gate->v2.scheme, "upto") == 0
		? X402_PERMIT2_UPTO
		: X402_PERMIT2_EXACT;
	uint8_t digest32[32];
	bool good;

	if (x402_permit2_payload_read(gate->request.payload.payload, kind, NULL,
		    &payload) != X402_OK)
		return false;
	x402_permit2_digest(
		&payload.authorization, network->chain_id, digest32);
	good = recovers(gate, digest32, &payload.signature);
	x402_permit2_payload_clear(&payload);
	return good;
}

/* The payer's is the second signature; accounts are keys there. */
static bool svm_signed(const struct x402_gate *gate)
{
	const char *text = x402_json_get_string(
		gate->request.payload.payload, "transaction");
	struct x402_svm_transaction transaction;
	struct x402_buf wire = {0};
	bool good = text &&
		x402_base64_decode(x402_span_str(text), &wire) == X402_OK &&
		x402_svm_transaction_read(x402_buf_span(&wire), &transaction) ==
			X402_OK &&
		transaction.required_signatures == 2 &&
		x402_ed25519_verify(transaction.signatures.ptr + 64,
			transaction.message, &transaction.keys[1]);

	x402_buf_clear(&wire);
	return good;
}

bool x402__gate_payer_signed(const struct x402_gate *gate)
{
	struct x402_network network;

	if (gate->is_svm)
		return svm_signed(gate);
	if (x402_network_parse(gate->v2.network, &network) != X402_OK)
		return false;
	return x402_json_has(
		       gate->request.payload.payload, "permit2Authorization")
		? permit2_signed(gate, &network)
		: eip3009_signed(gate, &network);
}
