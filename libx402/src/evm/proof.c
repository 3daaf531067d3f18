/*
 * What a proof of a transfer says: its terms under EIP-712, its payload as
 * JSON, and the same as the header X-Payment-Proof. What makes it good is in
 * scheme/proof_evm.c.
 */
#include "x402/proof.h"

#include "members_p.h"
#include "x402/eip712.h"
#include "x402/encoding.h"
#include "x402/network.h"

static const char type_text[] =
	"TransactionProof(bytes32 reference,bytes32 transaction,address payTo,"
	"uint256 amount,string resource)";

enum x402_err x402_proof_terms_read(
	const struct x402_payment_requirements *offer,
	struct x402_errinfo *info, struct x402_proof_terms *terms)
{
	const char *caip2 = x402_payment_requirements_caip2(offer);
	const char *field = "extra.reference";
	struct x402_network network;
	enum x402_err err;

	if (!caip2 || x402_network_parse(caip2, &network) != X402_OK ||
		network.family != X402_FAMILY_EVM)
		return X402_ERR_UNSUPPORTED;
	terms->chain_id = network.chain_id;
	err = x402_hex_decode_fixed(
		x402_json_get_string(offer->extra, "reference"),
		terms->reference32, 32);
	if (!err) {
		field = "asset";
		err = x402_address_parse(offer->asset, &terms->asset);
	}
	if (!err) {
		field = "payTo";
		err = x402_address_parse(offer->pay_to, &terms->pay_to);
	}
	if (!err) {
		field = "amount";
		err = x402_u256_from_dec(offer->amount, &terms->amount);
	}
	if (err)
		x402_errinfo_set(info, field,
			"expected what a proof is signed over: %s",
			x402_err_text(err));
	return err;
}

void x402_proof_digest(
	const struct x402_proof_terms *terms, uint8_t ret_hash32[32])
{
	struct x402_eip712_domain domain = {.name = "x402 transaction proof",
		.version = "1",
		.chain_id = terms->chain_id,
		.verifying_contract = &terms->asset};
	struct x402_keccak keccak;
	uint8_t separator[32];
	uint8_t word[32];

	x402_keccak_init(&keccak);
	x402_keccak256(x402_span_str(type_text), word);
	x402_keccak_update(&keccak, x402_span(word, 32));
	x402_keccak_update(&keccak, x402_span(terms->reference32, 32));
	x402_keccak_update(&keccak, x402_span(terms->transaction32, 32));
	x402__evm_hash_address(&keccak, &terms->pay_to);
	x402__evm_hash_u256(&keccak, &terms->amount);
	x402_keccak256(x402_span_str(terms->resource), word);
	x402_keccak_update(&keccak, x402_span(word, 32));
	x402_keccak_final(&keccak, word);
	x402_eip712_domain_separator(&domain, separator);
	x402_eip712_digest(separator, word, ret_hash32);
}

/* ---- The payload. ---- */

static enum x402_err read_hex(const struct x402_json *json, const char *name,
	struct x402_errinfo *info, uint8_t *ret_bytes, size_t len)
{
	const char *text = x402_json_get_string(json, name);

	if (x402_hex_decode_fixed(text, ret_bytes, len) == X402_OK)
		return X402_OK;
	x402_errinfo_set(info, name, "expected 0x and %zu hex digits", 2 * len);
	return text ? X402_ERR_SYNTAX : X402_ERR_SCHEMA;
}

enum x402_err x402_proof_payload_read(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_proof_payload *ret_payload)
{
	struct x402_proof_payload payload = {
		.bound = x402_json_has(json, "payer") ||
			x402_json_has(json, "signature")};
	enum x402_err err = read_hex(
		json, "transaction", info, payload.transaction32, 32);

	if (!err && payload.bound)
		err = read_hex(json, "payer", info, payload.payer.bytes, 20);
	if (!err && payload.bound)
		err = read_hex(json, "signature", info, payload.sig65, 65);
	if (!err)
		*ret_payload = payload;
	return err;
}

enum x402_err x402_proof_payload_to_json(
	const struct x402_proof_payload *payload, struct x402_json **ret_json)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;

	if (!err)
		err = x402__evm_set_hex(json, "transaction",
			x402_span(payload->transaction32, 32));
	if (!err && payload->bound)
		err = x402__evm_set_address(json, "payer", &payload->payer);
	if (!err && payload->bound)
		err = x402__evm_set_hex(
			json, "signature", x402_span(payload->sig65, 65));
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_json = json;
	return X402_OK;
}

/* ---- The header. ---- */

/* The longest piece is a signature. */
#define PIECE_SIZE 160

struct parameter {
	const char *name;
	uint8_t *bytes;
	size_t len;
	bool seen;
};

/* Cut the next piece off at ';', without the blanks around it. */
static bool next_piece(const char **text, char ret_piece[PIECE_SIZE])
{
	const char *from = *text + strspn(*text, " \t");
	size_t len = strcspn(from, ";");

	*text = from[len] ? from + len + 1 : from + len;
	while (len && (from[len - 1] == ' ' || from[len - 1] == '\t'))
		len--;
	if (!len || len >= PIECE_SIZE)
		return false;
	memcpy(ret_piece, from, len);
	ret_piece[len] = '\0';
	return true;
}

static bool take_parameter(
	struct parameter *parameters, size_t count, const char *piece)
{
	for (size_t i = 0; i < count; i++) {
		struct parameter *p = &parameters[i];
		size_t len = strlen(p->name);

		if (strncmp(piece, p->name, len) != 0 || piece[len] != '=')
			continue;
		if (p->seen)
			return false;
		p->seen = true;
		return x402_hex_decode_fixed(
			       piece + len + 1, p->bytes, p->len) == X402_OK;
	}
	return false;
}

enum x402_err x402_proof_header_read(const char *text,
	uint8_t ret_reference32[32], struct x402_proof_payload *ret_payload)
{
	struct x402_proof_payload payload = {.bound = false};
	uint8_t reference[32];
	struct parameter parameters[] = {{"reference", reference, 32, false},
		{"payer", payload.payer.bytes, 20, false},
		{"signature", payload.sig65, 65, false}};
	char piece[PIECE_SIZE];

	if (!text || !next_piece(&text, piece) ||
		x402_hex_decode_fixed(piece, payload.transaction32, 32))
		return X402_ERR_SYNTAX;
	while (*text)
		if (!next_piece(&text, piece) ||
			!take_parameter(parameters, 3, piece))
			return X402_ERR_SYNTAX;
	if (!parameters[0].seen || parameters[1].seen != parameters[2].seen)
		return X402_ERR_SYNTAX;
	payload.bound = parameters[1].seen;
	memcpy(ret_reference32, reference, 32);
	*ret_payload = payload;
	return X402_OK;
}

static void put_hex(char **at, const uint8_t *bytes, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	*(*at)++ = '0';
	*(*at)++ = 'x';
	for (size_t i = 0; i < len; i++) {
		*(*at)++ = digits[bytes[i] >> 4];
		*(*at)++ = digits[bytes[i] & 15];
	}
}

static void put_text(char **at, const char *text)
{
	size_t len = strlen(text);

	memcpy(*at, text, len);
	*at += len;
}

void x402_proof_header_format(const uint8_t reference32[32],
	const struct x402_proof_payload *payload,
	char ret_text[X402_PROOF_HEADER_SIZE])
{
	char *at = ret_text;

	put_hex(&at, payload->transaction32, 32);
	put_text(&at, "; reference=");
	put_hex(&at, reference32, 32);
	if (payload->bound) {
		put_text(&at, "; payer=");
		put_hex(&at, payload->payer.bytes, 20);
		put_text(&at, "; signature=");
		put_hex(&at, payload->sig65, 65);
	}
	*at = '\0';
}
