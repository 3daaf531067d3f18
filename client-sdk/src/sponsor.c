/*
 * sponsor.c: a payer without an allowance for Permit2 (C-063 to C-066). Where
 * the server lets an EIP-2612 permit or a signed approval travel with the
 * payment, a node is asked for the allowance and, should it be too small, for
 * what either needs; all in one request, with the chain's id, because a node
 * is of one chain only.
 */
#include <stdlib.h>

#include "ask_p.h"
#include "sponsor_p.h"
#include "x402/abi.h"
#include "x402/encoding.h"

enum {
	ID_CHAIN = 1,
	ID_ALLOWANCE,
	ID_NONCES,
	ID_ACCOUNT,
	ID_BLOCK,
	ID_PRIORITY
};

/* A node that says more is not believed: 1,000 gwei. */
#define MAX_FEE_PER_GAS UINT64_C(1000000000000)

struct x402__sponsor_offer x402__sponsor_offer(
	const struct x402_payment_required *challenge,
	const struct x402_payment_requirements *offer)
{
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);
	struct x402__sponsor_offer what = {false, false};
	if (!scheme || !scheme->method ||
		strcmp(scheme->method, "permit2") != 0)
		return what;
	what.permit = x402_json_has(
			      challenge->extensions, "eip2612GasSponsoring") &&
		x402_json_get_string(offer->extra, "name") &&
		x402_json_get_string(offer->extra, "version");
	what.approval = x402_json_has(
		challenge->extensions, "erc20ApprovalGasSponsoring");
	return what;
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

/* The account's next nonce, and what gas costs. */
static void add_account(struct x402_buf *body, const struct x402_address *payer)
{
	char text[X402_ADDRESS_TEXT_SIZE];
	x402_address_format(payer, text);
	x402_buf_printf(body,
		",{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getTransactionCount\",\"params\":[\"%s\",\"latest\"]}"
		",{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getBlockByNumber\",\"params\":[\"latest\",false]}"
		",{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_maxPriorityFeePerGas\",\"params\":[]}",
		ID_ACCOUNT, text, ID_BLOCK, ID_PRIORITY);
}

char *x402__sponsor_question(const struct x402_payment_requirements *offer,
	const struct x402_address *payer, struct x402__sponsor_offer what)
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
	if (what.permit)
		add_call(&body, ID_NONCES, offer->asset, x402_buf_span(&call));
	if (what.approval)
		add_account(&body, payer);
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

/* "0x" and up to 16 digits. */
static bool read_quantity(const struct x402_json *json, uint64_t *ret_value)
{
	const char *text = x402_json_string(json);
	char *end = NULL;
	if (!text || strncmp(text, "0x", 2) != 0 || strlen(text) > 2 + 16 ||
		strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2))
		return false;
	*ret_value = strtoull(text + 2, &end, 16);
	return end > text + 2 && !*end;
}

static bool is_chain(const struct x402_json *answers,
	const struct x402_payment_requirements *offer)
{
	struct x402_network network;
	uint64_t id;
	return !x402_network_parse(
		       x402_payment_requirements_caip2(offer), &network) &&
		read_quantity(x402__ask_result(answers, ID_CHAIN), &id) &&
		id == network.chain_id;
}

/* A quarter above the base fee: it is sent within a block or three. */
static bool read_account(
	const struct x402_json *answers, struct x402_approval_facts *ret_facts)
{
	uint64_t base;
	uint64_t priority;
	if (!read_quantity(
		    x402__ask_result(answers, ID_ACCOUNT), &ret_facts->nonce))
		return false;
	/* Without fees of a node's: the fallback of C-065. */
	if (!read_quantity(x402_json_get(x402__ask_result(answers, ID_BLOCK),
				   "baseFeePerGas"),
		    &base) ||
		!read_quantity(
			x402__ask_result(answers, ID_PRIORITY), &priority) ||
		base > MAX_FEE_PER_GAS || priority > MAX_FEE_PER_GAS)
		return true;
	ret_facts->max_priority_fee_per_gas = x402_u256_from_u64(priority);
	ret_facts->max_fee_per_gas = x402_u256_from_u64(
		base + base / 4 + priority);
	return true;
}

void x402__sponsor_answer(const struct x402_payment_requirements *offer,
	const struct x402_json *answers, struct x402__sponsor_offer what,
	struct x402__sponsor_facts *ret_facts)
{
	struct x402_u256 allowance;
	struct x402_u256 amount;
	*ret_facts = (struct x402__sponsor_facts){.kind = X402__SPONSOR_NONE};
	if (!answers || !is_chain(answers, offer) ||
		!read_word(answers, ID_ALLOWANCE, &allowance) ||
		x402_u256_from_dec(offer->amount, &amount) ||
		x402_u256_cmp(&allowance, &amount) >= 0)
		return;
	if (what.permit && read_word(answers, ID_NONCES, &ret_facts->nonce))
		ret_facts->kind = X402__SPONSOR_PERMIT;
	else if (what.approval && read_account(answers, &ret_facts->approval))
		ret_facts->kind = X402__SPONSOR_APPROVAL;
}
