/*
 * sponsor.c: a payer without an allowance for Permit2 (C-063, C-064). Where the
 * server lets an EIP-2612 permit travel with the payment, a node is asked for
 * the allowance and, should it be too small, for the permit's nonce; both in
 * one request, with the chain's id, because a node is of one chain only.
 */
#include <stdlib.h>

#include "ask_p.h"
#include "sponsor_p.h"
#include "x402/abi.h"
#include "x402/encoding.h"

enum { ID_CHAIN = 1, ID_ALLOWANCE, ID_NONCES };

bool x402__sponsor_is_offered(const struct x402_payment_required *challenge,
	const struct x402_payment_requirements *offer)
{
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);
	return scheme && scheme->method &&
		strcmp(scheme->method, "permit2") == 0 &&
		x402_json_has(challenge->extensions, "eip2612GasSponsoring") &&
		x402_json_get_string(offer->extra, "name") &&
		x402_json_get_string(offer->extra, "version");
}

/* eth_call of the token: a selector and one or two addresses. */
static void add_call(struct x402_buf *body, int id, const char *token,
	struct x402_span calldata)
{
	x402_buf_printf(body,
		",{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%.42s\",\"data\":\"",
		id, token);
	x402_hex_encode_0x(calldata, body);
	x402_buf_add_str(body, "\"},\"latest\"]}");
}

char *x402__sponsor_question(const struct x402_payment_requirements *offer,
	const struct x402_address *payer)
{
	static const uint8_t allowance[4] = {0xdd, 0x62, 0xed, 0x3e};
	static const uint8_t nonces[4] = {0x7e, 0xce, 0xbe, 0x00};
	struct x402_buf body = {0};
	struct x402_buf call = {0};
	x402_buf_printf(&body,
		"[{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"eth_chainId\","
		"\"params\":[]}",
		ID_CHAIN);
	x402_abi_add_selector(&call, allowance);
	x402_abi_add_address(&call, payer);
	x402_abi_add_address(&call, x402_permit2_contract());
	add_call(&body, ID_ALLOWANCE, offer->asset, x402_buf_span(&call));
	call.len = 0;
	x402_abi_add_selector(&call, nonces);
	x402_abi_add_address(&call, payer);
	add_call(&body, ID_NONCES, offer->asset, x402_buf_span(&call));
	x402_buf_add_byte(&body, ']');
	if (call.failed)
		body.failed = true;
	x402_buf_clear(&call);
	return x402_buf_take_str(&body);
}

static bool read_word(const struct x402_json *answers, int64_t id,
	struct x402_u256 *ret_value)
{
	uint8_t word[32];
	if (x402_hex_decode_fixed(
		    x402_json_string(x402__ask_result(answers, id)), word,
		    sizeof(word)))
		return false;
	*ret_value = x402_u256_from_be32(word);
	return true;
}

static bool is_chain(const struct x402_json *answers,
	const struct x402_payment_requirements *offer)
{
	const char *text = x402_json_string(
		x402__ask_result(answers, ID_CHAIN));
	struct x402_network network;
	char *end = NULL;
	if (!text || strncmp(text, "0x", 2) != 0 ||
		x402_network_parse(
			x402_payment_requirements_caip2(offer), &network))
		return false;
	unsigned long long id = strtoull(text + 2, &end, 16);
	return end > text + 2 && !*end && id == network.chain_id;
}

void x402__sponsor_answer(const struct x402_payment_requirements *offer,
	const struct x402_json *answers, struct x402__sponsor_facts *ret_facts)
{
	struct x402_u256 allowance;
	struct x402_u256 amount;
	ret_facts->wanted = false;
	if (answers && is_chain(answers, offer) &&
		read_word(answers, ID_ALLOWANCE, &allowance) &&
		!x402_u256_from_dec(offer->amount, &amount) &&
		x402_u256_cmp(&allowance, &amount) < 0)
		ret_facts->wanted = read_word(
			answers, ID_NONCES, &ret_facts->nonce);
}
