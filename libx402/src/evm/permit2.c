/*
 * Permit2 transfers through the x402 proxies (L-013): reading and writing the
 * payload, the digest that the payer signs, and the calldata that spends it.
 * The two kinds differ in one witness member and in one argument.
 */
#include <stdlib.h>

#include "members_p.h"
#include "x402/abi.h"
#include "x402/eip712.h"
#include "x402/encoding.h"
#include "x402/permit2.h"

static const uint8_t token_type[32] = {0x61, 0x83, 0x58, 0xac, 0x3d, 0xb8, 0xdc,
	0x27, 0x4f, 0x0c, 0xd8, 0x82, 0x9d, 0xa7, 0xe2, 0x34, 0xbd, 0x48, 0xcd,
	0x73, 0xc4, 0xa7, 0x40, 0xae, 0xde, 0x1a, 0xde, 0xc9, 0x84, 0x6d, 0x06,
	0xa1};
static const uint8_t exact_type[32] = {0xeb, 0xc1, 0x56, 0xcd, 0x23, 0x67, 0x8a,
	0x74, 0xc9, 0x4d, 0xf1, 0x3d, 0x77, 0x2e, 0xf5, 0x47, 0x84, 0x20, 0x63,
	0x7f, 0x0c, 0x94, 0xbd, 0x10, 0xd5, 0x09, 0xe1, 0xdc, 0x98, 0xf5, 0x21,
	0xc7};
static const uint8_t exact_witness_type[32] = {0xd9, 0x7b, 0x32, 0x39, 0xa7,
	0xf3, 0x22, 0x95, 0x51, 0x7b, 0xd1, 0x4c, 0xb0, 0x74, 0xed, 0xfd, 0xd1,
	0x88, 0xdf, 0xe5, 0xeb, 0x42, 0xf8, 0x02, 0xbb, 0x26, 0xd4, 0xfd, 0x1e,
	0xb1, 0x2c, 0x37};
static const uint8_t upto_type[32] = {0x51, 0xdf, 0xf6, 0x97, 0x4a, 0xd4, 0x38,
	0x8c, 0x49, 0x9e, 0x7f, 0xcf, 0xe8, 0x38, 0xd2, 0xbd, 0x76, 0x71, 0x62,
	0x55, 0x3a, 0x14, 0x40, 0x98, 0xce, 0x20, 0xea, 0x66, 0x1d, 0x70, 0xc2,
	0xee};
static const uint8_t upto_witness_type[32] = {0xd4, 0x17, 0x1c, 0x44, 0x5a,
	0x74, 0x21, 0x8b, 0x01, 0xd4, 0xfd, 0x8a, 0xf3, 0x4f, 0xf1, 0x10, 0x65,
	0x80, 0xea, 0x1e, 0x36, 0xff, 0x83, 0x7e, 0x64, 0x48, 0x4b, 0xfa, 0xa2,
	0x25, 0x3b, 0x75};
static const uint8_t permit_type[32] = {0x6e, 0x71, 0xed, 0xae, 0x12, 0xb1,
	0xb9, 0x7f, 0x4d, 0x1f, 0x60, 0x37, 0x0f, 0xef, 0x10, 0x10, 0x5f, 0xa2,
	0xfa, 0xae, 0x01, 0x26, 0x11, 0x4a, 0x16, 0x9c, 0x64, 0x84, 0x5d, 0x61,
	0x26, 0xc9};
static const uint8_t exact_settle[4] = {0x13, 0xcd, 0x3b, 0x53};
static const uint8_t exact_settle_permit[4] = {0xfa, 0x34, 0x03, 0x78};
static const uint8_t upto_settle[4] = {0xff, 0x11, 0xe7, 0xb4};
static const uint8_t upto_settle_permit[4] = {0x01, 0x6c, 0x17, 0x48};
static const uint8_t selector_bitmap[4] = {0x4f, 0xe0, 0x2b, 0x44};
static const struct x402_address permit2 = {
	{0x00, 0x00, 0x00, 0x00, 0x00, 0x22, 0xD4, 0x73, 0x03, 0x0F, 0x11, 0x6d,
		0xDE, 0xE9, 0xF6, 0xB4, 0x3a, 0xC7, 0x8B, 0xA3}};
static const struct x402_address exact_proxy = {
	{0x40, 0x20, 0x85, 0xc2, 0x48, 0xEe, 0xA2, 0x7D, 0x92, 0xE8, 0xb3, 0x0b,
		0x2C, 0x58, 0xed, 0x07, 0xf9, 0xE2, 0x00, 0x01}};
static const struct x402_address upto_proxy = {
	{0x40, 0x20, 0xA4, 0xf3, 0xb7, 0xb9, 0x0c, 0xcA, 0x42, 0x3B, 0x9f, 0xab,
		0xCc, 0x0C, 0xE5, 0x7C, 0x6C, 0x24, 0x00, 0x02}};

/* An upto call's words in front of witness.facilitator; see settle below. */
#define UPTO_SENDER_WORD 7
/* What settleWithPermit has in front of settle's arguments. */
#define PERMIT2612_WORDS 5

const struct x402_address *x402_permit2_contract(void)
{
	return &permit2;
}

const struct x402_address *x402_permit2_proxy(enum x402_permit2_kind kind)
{
	return kind == X402_PERMIT2_EXACT ? &exact_proxy : &upto_proxy;
}

/* ---- The payload. ---- */

#define FIELD(name) "payload.permit2Authorization." name

/* L-013: decimal, and hex as in upto's example. */
static enum x402_err read_nonce(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_u256 *ret_nonce)
{
	const char *text = x402_json_get_string(json, "nonce");
	struct x402_buf bytes = {0};
	uint8_t word[32] = {0};
	enum x402_err err;

	if (!text || strncmp(text, "0x", 2) != 0)
		return x402__evm_read_number(
			json, FIELD("nonce"), info, ret_nonce);
	/* An odd number of digits is a number all the same. */
	if (strlen(text) > 2 + 64 || strlen(text) == 2) {
		err = X402_ERR_RANGE;
	} else if (strlen(text) % 2) {
		char even[2 + 64 + 1] = "0x0";

		memcpy(even + 3, text + 2, strlen(text) - 2 + 1);
		err = x402_hex_decode(even, &bytes);
	} else {
		err = x402_hex_decode(text, &bytes);
	}
	if (!err)
		memcpy(word + 32 - bytes.len, bytes.ptr, bytes.len);
	else
		x402_errinfo_set(info, FIELD("nonce"),
			"expected at most 64 hex digits, got %.90s", text);
	x402_buf_clear(&bytes);
	if (!err)
		*ret_nonce = x402_u256_from_be32(word);
	return err;
}

static enum x402_err read_witness(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_permit2_authorization *auth)
{
	enum x402_err err = x402__evm_read_address(
		json, FIELD("witness.to"), info, &auth->to);

	if (!err && auth->kind == X402_PERMIT2_UPTO)
		err = x402__evm_read_address(json, FIELD("witness.facilitator"),
			info, &auth->facilitator);
	if (!err)
		err = x402__evm_read_number(json, FIELD("witness.validAfter"),
			info, &auth->valid_after);
	return err;
}

static enum x402_err read_authorization(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_permit2_authorization *auth)
{
	const struct x402_json *permitted = x402_json_get(json, "permitted");
	enum x402_err err;

	if (x402_json_type(json) != X402_JSON_OBJECT) {
		x402_errinfo_set(info, "payload.permit2Authorization",
			"expected an object");
		return X402_ERR_SCHEMA;
	}
	if ((err = x402__evm_read_address(
		     json, FIELD("from"), info, &auth->from)) ||
		(err = x402__evm_read_address(permitted,
			 FIELD("permitted.token"), info, &auth->token)) ||
		(err = x402__evm_read_number(permitted,
			 FIELD("permitted.amount"), info, &auth->amount)) ||
		(err = x402__evm_read_address(
			 json, FIELD("spender"), info, &auth->spender)) ||
		(err = read_nonce(json, info, &auth->nonce)) ||
		(err = x402__evm_read_number(
			 json, FIELD("deadline"), info, &auth->deadline)))
		return err;
	return read_witness(x402_json_get(json, "witness"), info, auth);
}

enum x402_err x402_permit2_payload_read(const struct x402_json *json,
	enum x402_permit2_kind kind, struct x402_errinfo *info,
	struct x402_permit2_payload *ret_payload)
{
	struct x402_permit2_payload payload = {.authorization = {.kind = kind}};
	enum x402_err err;

	err = read_authorization(x402_json_get(json, "permit2Authorization"),
		info, &payload.authorization);
	if (!err)
		err = x402__evm_read_signature(json, info, &payload.signature);
	if (err) {
		x402_permit2_payload_clear(&payload);
		return err;
	}
	*ret_payload = payload;
	return X402_OK;
}

static enum x402_err fill_permitted(
	struct x402_json *object, const struct x402_permit2_authorization *auth)
{
	enum x402_err err = x402__evm_set_address(
		object, "token", &auth->token);

	return err ? err
		   : x402__evm_set_number(object, "amount", &auth->amount);
}

static enum x402_err fill_witness(
	struct x402_json *object, const struct x402_permit2_authorization *auth)
{
	enum x402_err err = x402__evm_set_address(object, "to", &auth->to);

	if (!err && auth->kind == X402_PERMIT2_UPTO)
		err = x402__evm_set_address(
			object, "facilitator", &auth->facilitator);
	return err ? err
		   : x402__evm_set_number(
			     object, "validAfter", &auth->valid_after);
}

static enum x402_err fill_authorization(
	struct x402_json *object, const struct x402_permit2_authorization *auth)
{
	struct x402_json *permitted = x402_json_new_object();
	struct x402_json *witness = x402_json_new_object();
	enum x402_err err = permitted && witness ? X402_OK : X402_ERR_NOMEM;

	if (!err && !(err = fill_permitted(permitted, auth)) &&
		!(err = fill_witness(witness, auth)) &&
		!(err = x402__evm_set_address(object, "from", &auth->from)) &&
		!(err = x402_json_set_take(
			  object, "permitted", x402_json_ref(permitted))) &&
		!(err = x402__evm_set_address(
			  object, "spender", &auth->spender)) &&
		!(err = x402__evm_set_number(object, "nonce", &auth->nonce)) &&
		!(err = x402__evm_set_number(
			  object, "deadline", &auth->deadline)))
		err = x402_json_set_take(
			object, "witness", x402_json_ref(witness));
	x402_json_unref(permitted);
	x402_json_unref(witness);
	return err;
}

enum x402_err x402_permit2_payload_to_json(
	const struct x402_permit2_payload *payload, struct x402_json **ret_json)
{
	struct x402_json *object = x402_json_new_object();
	struct x402_json *authorization = x402_json_new_object();
	enum x402_err err = object && authorization ? X402_OK : X402_ERR_NOMEM;

	if (!err)
		err = fill_authorization(
			authorization, &payload->authorization);
	if (!err)
		err = x402_json_set_take(object, "permit2Authorization",
			x402_json_ref(authorization));
	if (!err)
		err = x402__evm_set_hex(object, "signature",
			x402_buf_span(&payload->signature));
	x402_json_unref(authorization);
	if (err) {
		x402_json_unref(object);
		return err;
	}
	*ret_json = object;
	return X402_OK;
}

void x402_permit2_payload_clear(struct x402_permit2_payload *payload)
{
	if (payload)
		x402_buf_clear(&payload->signature);
}

/* ---- Digests. ---- */

static void hash_token(
	const struct x402_permit2_authorization *auth, uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(token_type, 32));
	x402__evm_hash_address(&keccak, &auth->token);
	x402__evm_hash_u256(&keccak, &auth->amount);
	x402_keccak_final(&keccak, ret_hash32);
}

static void hash_witness(
	const struct x402_permit2_authorization *auth, uint8_t ret_hash32[32])
{
	bool upto = auth->kind == X402_PERMIT2_UPTO;
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak,
		x402_span(upto ? upto_witness_type : exact_witness_type, 32));
	x402__evm_hash_address(&keccak, &auth->to);
	if (upto)
		x402__evm_hash_address(&keccak, &auth->facilitator);
	x402__evm_hash_u256(&keccak, &auth->valid_after);
	x402_keccak_final(&keccak, ret_hash32);
}

void x402_permit2_struct_hash(
	const struct x402_permit2_authorization *authorization,
	uint8_t ret_hash32[32])
{
	bool upto = authorization->kind == X402_PERMIT2_UPTO;
	struct x402_keccak keccak;
	uint8_t inner[32];

	x402_keccak_init(&keccak);
	x402_keccak_update(
		&keccak, x402_span(upto ? upto_type : exact_type, 32));
	hash_token(authorization, inner);
	x402_keccak_update(&keccak, x402_span(inner, 32));
	x402__evm_hash_address(&keccak, &authorization->spender);
	x402__evm_hash_u256(&keccak, &authorization->nonce);
	x402__evm_hash_u256(&keccak, &authorization->deadline);
	hash_witness(authorization, inner);
	x402_keccak_update(&keccak, x402_span(inner, 32));
	x402_keccak_final(&keccak, ret_hash32);
}

void x402_permit2_digest(const struct x402_permit2_authorization *authorization,
	uint64_t chain_id, uint8_t ret_hash32[32])
{
	struct x402_eip712_domain domain = {.name = "Permit2",
		.chain_id = chain_id,
		.verifying_contract = &permit2};
	uint8_t separator[32];
	uint8_t hash[32];

	x402_eip712_domain_separator(&domain, separator);
	x402_permit2_struct_hash(authorization, hash);
	x402_eip712_digest(separator, hash, ret_hash32);
}

/* ---- EIP-2612. ---- */

#define INFO(name) "extensions.eip2612GasSponsoring.info." name

static enum x402_err read_signature65(const struct x402_json *json,
	struct x402_errinfo *info, uint8_t ret_sig65[65])
{
	const char *text = x402_json_get_string(json, "signature");

	if (text && x402_hex_decode_fixed(text, ret_sig65, 65) == X402_OK) {
		if (ret_sig65[64] < 27)
			ret_sig65[64] = (uint8_t)(ret_sig65[64] + 27);
		return X402_OK;
	}
	x402_errinfo_set(
		info, INFO("signature"), "expected 65 bytes as 0x hex");
	return X402_ERR_SCHEMA;
}

enum x402_err x402_permit2612_read(const struct x402_json *extensions,
	struct x402_errinfo *info, struct x402_permit2612 *ret_permit)
{
	const struct x402_json *json = x402_json_get(
		x402_json_get(extensions, "eip2612GasSponsoring"), "info");
	struct x402_permit2612 permit = {0};
	enum x402_err err;

	/* A bare echo of what the server declared asks for nothing. */
	if (!x402_json_has(json, "from") && !x402_json_has(json, "signature"))
		return X402_ERR_NOT_FOUND;
	if (!x402_json_get_string(json, "version")) {
		x402_errinfo_set(info, INFO("version"), "expected a string");
		return X402_ERR_SCHEMA;
	}
	if ((err = x402__evm_read_address(
		     json, INFO("from"), info, &permit.owner)) ||
		(err = x402__evm_read_address(
			 json, INFO("asset"), info, &permit.token)) ||
		(err = x402__evm_read_address(
			 json, INFO("spender"), info, &permit.spender)) ||
		(err = x402__evm_read_number(
			 json, INFO("amount"), info, &permit.value)) ||
		(err = x402__evm_read_number(
			 json, INFO("nonce"), info, &permit.nonce)) ||
		(err = x402__evm_read_number(
			 json, INFO("deadline"), info, &permit.deadline)) ||
		(err = read_signature65(json, info, permit.sig65)))
		return err;
	*ret_permit = permit;
	return X402_OK;
}

enum x402_err x402_permit2612_to_json(
	const struct x402_permit2612 *permit, struct x402_json **ret_info)
{
	struct x402_json *json = x402_json_new_object();
	enum x402_err err = json ? X402_OK : X402_ERR_NOMEM;

	if (!err &&
		!(err = x402__evm_set_address(json, "from", &permit->owner)) &&
		!(err = x402__evm_set_address(json, "asset", &permit->token)) &&
		!(err = x402__evm_set_address(
			  json, "spender", &permit->spender)) &&
		!(err = x402__evm_set_number(json, "amount", &permit->value)) &&
		!(err = x402__evm_set_number(json, "nonce", &permit->nonce)) &&
		!(err = x402__evm_set_number(
			  json, "deadline", &permit->deadline)) &&
		!(err = x402__evm_set_hex(
			  json, "signature", x402_span(permit->sig65, 65))))
		err = x402_json_set_string(json, "version", "1");
	if (err) {
		x402_json_unref(json);
		return err;
	}
	*ret_info = json;
	return X402_OK;
}

void x402_permit2612_digest(const struct x402_permit2612 *permit,
	const uint8_t domain_separator32[32], uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;
	uint8_t hash[32];

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, x402_span(permit_type, 32));
	x402__evm_hash_address(&keccak, &permit->owner);
	x402__evm_hash_address(&keccak, &permit->spender);
	x402__evm_hash_u256(&keccak, &permit->value);
	x402__evm_hash_u256(&keccak, &permit->nonce);
	x402__evm_hash_u256(&keccak, &permit->deadline);
	x402_keccak_final(&keccak, hash);
	x402_eip712_digest(domain_separator32, hash, ret_hash32);
}

/* ---- What servers declare. ---- */

#define ADDRESS_SCHEMA \
	"{\"type\":\"string\",\"pattern\":\"^0x[a-fA-F0-9]{40}$\"}"
#define NUMBER_SCHEMA "{\"type\":\"string\",\"pattern\":\"^[0-9]+$\"}"
#define HEX_SCHEMA    "{\"type\":\"string\",\"pattern\":\"^0x[a-fA-F0-9]+$\"}"
#define DECLARATION(name, description, properties, required)          \
	"\"" name "\":{\"info\":{\"description\":\"" description      \
	"\",\"version\":\"1\"},\"schema\":{\"$schema\":\"https://"    \
	"json-schema.org/draft/2020-12/schema\",\"type\":\"object\"," \
	"\"properties\":{\"from\":" ADDRESS_SCHEMA                    \
	",\"asset\":" ADDRESS_SCHEMA ",\"spender\":" ADDRESS_SCHEMA   \
	",\"amount\":" NUMBER_SCHEMA "," properties                   \
	",\"version\":{\"type\":\"string\"}},\"required\":[\"from\"," \
	"\"asset\",\"spender\",\"amount\"," required ",\"version\"]}}"
#define PERMITS                                                           \
	DECLARATION("eip2612GasSponsoring",                               \
		"The facilitator takes an EIP-2612 permit for Permit2 "   \
		"along with the payment.",                                \
		"\"nonce\":" NUMBER_SCHEMA ",\"deadline\":" NUMBER_SCHEMA \
		",\"signature\":" HEX_SCHEMA,                             \
		"\"nonce\",\"deadline\",\"signature\"")
#define APPROVALS                                                       \
	DECLARATION("erc20ApprovalGasSponsoring",                       \
		"The facilitator sends a signed approve() for Permit2 " \
		"and gives the gas for it.",                            \
		"\"signedTransaction\":" HEX_SCHEMA, "\"signedTransaction\"")

const char *x402_sponsoring_declaration(bool permits, bool approvals)
{
	if (permits && approvals)
		return "{" PERMITS "," APPROVALS "}";
	if (permits)
		return "{" PERMITS "}";
	return approvals ? "{" APPROVALS "}" : NULL;
}

/* ---- Calldata. ---- */

static void add_selector(const struct x402_permit2_authorization *auth,
	bool permit, struct x402_buf *buf)
{
	if (auth->kind == X402_PERMIT2_EXACT)
		x402_abi_add_selector(
			buf, permit ? exact_settle_permit : exact_settle);
	else
		x402_abi_add_selector(
			buf, permit ? upto_settle_permit : upto_settle);
}

void x402_permit2_settle_calldata(const struct x402_permit2_payload *payload,
	const struct x402_u256 *amount, const struct x402_permit2612 *permit,
	struct x402_buf *buf)
{
	const struct x402_permit2_authorization *auth = &payload->authorization;
	bool upto = auth->kind == X402_PERMIT2_UPTO;
	/* All but the signature are static: words up to its offset. */
	uint64_t words = (permit ? PERMIT2612_WORDS : 0) + (upto ? 10 : 8);

	add_selector(auth, permit, buf);
	if (permit) {
		x402_abi_add_u256(buf, &permit->value);
		x402_abi_add_u256(buf, &permit->deadline);
		x402_abi_add_word(buf, permit->sig65);
		x402_abi_add_word(buf, permit->sig65 + 32);
		x402_abi_add_u64(buf, permit->sig65[64]);
	}
	x402_abi_add_address(buf, &auth->token);
	x402_abi_add_u256(buf, &auth->amount);
	x402_abi_add_u256(buf, &auth->nonce);
	x402_abi_add_u256(buf, &auth->deadline);
	if (upto)
		x402_abi_add_u256(buf, amount);
	x402_abi_add_address(buf, &auth->from);
	x402_abi_add_address(buf, &auth->to);
	if (upto)
		x402_abi_add_address(buf, &auth->facilitator);
	x402_abi_add_u256(buf, &auth->valid_after);
	x402_abi_add_u64(buf, words * 32);
	x402_abi_add_bytes_tail(buf, x402_buf_span(&payload->signature));
}

enum x402_err x402_permit2_settle_words(enum x402_permit2_kind kind,
	struct x402_span calldata, struct x402_span *ret_words)
{
	bool upto = kind == X402_PERMIT2_UPTO;
	size_t start = 4;

	if (calldata.len < start)
		return X402_ERR_SYNTAX;
	if (memcmp(calldata.ptr,
		    upto ? upto_settle_permit : exact_settle_permit, 4) == 0)
		start += (size_t)PERMIT2612_WORDS * 32;
	else if (memcmp(calldata.ptr, upto ? upto_settle : exact_settle, 4))
		return X402_ERR_NOT_FOUND;
	if (calldata.len < start)
		return X402_ERR_SYNTAX;
	*ret_words = x402_span(calldata.ptr + start, calldata.len - start);
	return X402_OK;
}

enum x402_err x402_permit2_sender(const struct x402_address *call_to,
	struct x402_span calldata, struct x402_address *ret_sender)
{
	struct x402_span words;
	enum x402_err err;

	if (!x402_address_equal(call_to, &upto_proxy))
		return X402_ERR_NOT_FOUND;
	err = x402_permit2_settle_words(X402_PERMIT2_UPTO, calldata, &words);
	return err ? err
		   : x402_abi_read_address(words, UPTO_SENDER_WORD, ret_sender);
}

/* ---- Is it used? ---- */

void x402_permit2_state_calldata(const struct x402_address *owner,
	const struct x402_u256 *nonce, struct x402_buf *buf)
{
	uint8_t be[32];
	uint8_t word[32] = {0};

	x402_u256_to_be32(nonce, be);
	/* The upper 248 bits name the word, the lowest 8 its bit. */
	memcpy(word + 1, be, 31);
	x402_abi_add_selector(buf, selector_bitmap);
	x402_abi_add_address(buf, owner);
	x402_abi_add_word(buf, word);
}

enum x402_err x402_permit2_state_read(
	struct x402_span answer, const struct x402_u256 *nonce, bool *ret_used)
{
	uint8_t be[32];
	uint8_t word[32];
	enum x402_err err = x402_abi_read_word(answer, 0, word);

	if (err)
		return err;
	x402_u256_to_be32(nonce, be);
	*ret_used = word[31 - be[31] / 8] >> (be[31] % 8) & 1;
	return X402_OK;
}
