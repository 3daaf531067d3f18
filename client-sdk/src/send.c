/*
 * send.c: transfers of our own. See send_p.h for the order of things; what is
 * asked of the node is one batch each time, with the chain's id in it.
 */
#include "send_p.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ask_p.h"
#include "prove_p.h"
#include "text_p.h"
#include "x402/abi.h"
#include "x402/encoding.h"

#define GWEI UINT64_C(1000000000)

#define NO_ANSWER                                                        \
	"the node at evm_rpc_url gave no usable answer for this chain; " \
	"nothing was signed"

enum { ID_CHAIN = 1, ID_NONCE, ID_BLOCK, ID_TIP, ID_TOKENS, ID_GAS };

bool x402__send_is_scheme(const char *scheme)
{
	return scheme && strcmp(scheme, X402_PROOF_SCHEME) == 0;
}

bool x402__send_is_offer(const struct x402_payment_requirements *offer)
{
	const struct x402_scheme *scheme = x402_scheme_for_offer(offer);
	return scheme && scheme->shows_transfer;
}

/* ---- Asking. ---- */

/* "0x" and 1 to 64 digits. */
static bool read_quantity(
	const struct x402_json *json, struct x402_u256 *ret_value)
{
	const char *text = x402_json_string(json);
	size_t len = text ? strlen(text) : 0;
	char padded[67] = "0x";
	uint8_t be[32];
	if (len < 3 || len > 66 || strncmp(text, "0x", 2) != 0)
		return false;
	memset(padded + 2, '0', 64);
	memcpy(padded + 66 - (len - 2), text + 2, len - 2);
	padded[66] = '\0';
	if (x402_hex_decode_fixed(padded, be, sizeof(be)))
		return false;
	*ret_value = x402_u256_from_be32(be);
	return true;
}

static bool read_u64(const struct x402_json *json, uint64_t *ret_value)
{
	struct x402_u256 value;
	return read_quantity(json, &value) &&
		x402_u256_to_u64(&value, ret_value);
}

char *x402__send_question(const struct x402_payment_requirements *offer,
	const struct x402_address *payer)
{
	static const uint8_t balance_of[4] = {0x70, 0xa0, 0x82, 0x31};
	struct x402_buf body = {0};
	struct x402_buf call = {0};
	char from[X402_ADDRESS_TEXT_SIZE];
	x402_address_format(payer, from);
	x402_abi_add_selector(&call, balance_of);
	x402_abi_add_address(&call, payer);
	x402_buf_printf(&body,
		"[{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"eth_chainId\","
		"\"params\":[]},{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getTransactionCount\",\"params\":[\"%s\",\"pending\"]},"
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getBlockByNumber\",\"params\":[\"latest\",false]},"
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_maxPriorityFeePerGas\",\"params\":[]},"
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%.42s\",\"data\":\"",
		ID_CHAIN, ID_NONCE, from, ID_BLOCK, ID_TIP, ID_TOKENS,
		offer->asset);
	x402_hex_encode_0x(x402_buf_span(&call), &body);
	x402_buf_printf(&body,
		"\"},\"latest\"]},{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getBalance\",\"params\":[\"%s\",\"latest\"]}]",
		ID_GAS, from);
	if (call.failed)
		body.failed = true;
	x402_buf_clear(&call);
	return x402_buf_take_str(&body);
}

static bool is_chain(const struct x402_json *answers,
	const struct x402_payment_requirements *offer)
{
	struct x402_network network;
	uint64_t id;
	return read_u64(x402__ask_result(answers, ID_CHAIN), &id) &&
		!x402_network_parse(
			x402_payment_requirements_caip2(offer), &network) &&
		id == network.chain_id;
}

/* Twice the base fee lasts for several full blocks. */
static bool read_fees(
	const struct x402_json *answers, struct x402__send_facts *facts)
{
	struct x402_u256 base;
	struct x402_u256 *max = &facts->max_fee_per_gas;
	return read_quantity(x402_json_get(x402__ask_result(answers, ID_BLOCK),
				     "baseFeePerGas"),
		       &base) &&
		read_quantity(x402__ask_result(answers, ID_TIP),
			&facts->max_priority_fee_per_gas) &&
		x402_u256_mul_u64(&base, 2, max) &&
		x402_u256_add(max, &facts->max_priority_fee_per_gas, max);
}

/* NULL: they are enough. */
static const char *miss_funds(const struct x402_json *answers,
	const struct x402_payment_requirements *offer,
	const struct x402__send_facts *facts)
{
	struct x402_u256 ceiling = x402_u256_from_u64(
		X402__SEND_MAX_FEE_GWEI * GWEI);
	struct x402_u256 cost = facts->max_fee_per_gas;
	struct x402_u256 tokens;
	struct x402_u256 wei;
	struct x402_u256 price;
	if (!read_quantity(x402__ask_result(answers, ID_TOKENS), &tokens) ||
		!read_quantity(x402__ask_result(answers, ID_GAS), &wei) ||
		x402_u256_from_dec(offer->amount, &price))
		return NO_ANSWER;
	if (x402_u256_cmp(&facts->max_fee_per_gas, &ceiling) > 0 ||
		!x402_u256_mul_u64(&cost, X402__SEND_GAS, &cost))
		return "gas costs more than this client pays for it; nothing "
		       "was signed";
	if (x402_u256_cmp(&wei, &cost) < 0)
		return "the payer cannot pay for the gas of a transfer; "
		       "nothing was signed";
	if (x402_u256_cmp(&tokens, &price) < 0)
		return "the payer's balance is below the price; nothing was "
		       "signed";
	return NULL;
}

void x402__send_answer(const struct x402_payment_requirements *offer,
	const struct x402_json *answers, struct x402__send_facts *ret_facts)
{
	struct x402__send_facts facts = {0};
	if (!answers || !is_chain(answers, offer) ||
		!read_u64(x402__ask_result(answers, ID_NONCE), &facts.nonce) ||
		!read_fees(answers, &facts))
		facts.why_not = NO_ANSWER;
	else
		facts.why_not = miss_funds(answers, offer, &facts);
	facts.usable = !facts.why_not;
	facts.poor = facts.why_not && strcmp(facts.why_not, NO_ANSWER) != 0;
	*ret_facts = facts;
}

/* ---- Signing. ---- */

static enum x402_err write_call(const struct x402_payment_requirements *offer,
	struct x402_transaction *tx, struct x402_buf *calldata)
{
	static const uint8_t transfer[4] = {0xa9, 0x05, 0x9c, 0xbb};
	struct x402_network network;
	struct x402_address payee;
	struct x402_u256 amount;
	enum x402_err err = x402_network_parse(
		x402_payment_requirements_caip2(offer), &network);
	if (!err)
		err = x402_address_parse(offer->asset, &tx->to);
	if (!err)
		err = x402_address_parse(offer->pay_to, &payee);
	if (!err)
		err = x402_u256_from_dec(offer->amount, &amount);
	if (err)
		return err;
	tx->chain_id = network.chain_id;
	x402_abi_add_selector(calldata, transfer);
	x402_abi_add_address(calldata, &payee);
	x402_abi_add_u256(calldata, &amount);
	tx->data = x402_buf_span(calldata);
	return calldata->failed ? X402_ERR_NOMEM : X402_OK;
}

static enum x402_err sign_transfer(const struct x402_create_options *create,
	const struct x402_transaction *tx, struct x402_buf *ret_raw,
	uint8_t ret_hash32[32])
{
	struct x402_signable signable = {
		.kind = X402_SIGNABLE_TRANSFER, .transfer = tx};
	struct x402_buf signature = {0};
	struct x402_transaction read;
	struct x402_address sender;
	enum x402_err err = x402_transaction_signing_hash(
		tx, signable.digest32);
	if (!err)
		err = create->sign(create->user, &signable, &signature);
	if (!err && signature.failed)
		err = X402_ERR_NOMEM;
	if (!err && signature.len != 65)
		err = X402_ERR_UNSUPPORTED;
	if (!err)
		err = x402_transaction_encode(
			tx, signature.ptr, ret_raw, ret_hash32);
	x402_buf_clear(&signature);
	/* Whoever signed it: the money must be the payer's. */
	if (!err)
		err = x402_transaction_decode(
			x402_buf_span(ret_raw), &read, &sender, ret_hash32);
	if (!err && !x402_address_equal(&sender, &create->payer))
		err = X402_ERR_CRYPTO;
	return err;
}

enum x402_err x402__send_sign(const struct x402_payment_requirements *offer,
	const struct x402_create_options *create,
	const struct x402__send_facts *facts, struct x402_errinfo *info,
	struct x402_buf *ret_raw, uint8_t ret_hash32[32])
{
	struct x402_transaction tx = {.nonce = facts->nonce,
		.max_fee_per_gas = facts->max_fee_per_gas,
		.max_priority_fee_per_gas = facts->max_priority_fee_per_gas,
		.gas_limit = X402__SEND_GAS};
	struct x402_buf calldata = {0};
	struct x402_buf raw = {0};
	if (!facts->usable) {
		x402_errinfo_set(info, "payer", "%s",
			facts->why_not ? facts->why_not : NO_ANSWER);
		return facts->poor ? X402_ERR_POLICY : X402_ERR_CHAIN;
	}
	enum x402_err err = write_call(offer, &tx, &calldata);
	if (!err)
		err = sign_transfer(create, &tx, &raw, ret_hash32);
	x402_buf_clear(&calldata);
	if (err) {
		x402_buf_clear(&raw);
		return err;
	}
	*ret_raw = raw;
	return X402_OK;
}

/* ---- Sending, and again. ---- */

enum x402_err x402__send_raw_of(
	const char *header_text, struct x402_buf *ret_raw)
{
	struct x402_payment_payload payload = {0};
	struct x402_buf raw = {0};
	enum x402_err err;
	if (x402_payment_payload_decode(
		    x402_span_str(header_text), NULL, &payload))
		return X402_ERR_NOT_FOUND;
	err = x402__send_is_scheme(payload.scheme)
		? x402_hex_decode(x402_json_get_string(
					  payload.payload, "signedTransaction"),
			  &raw)
		: X402_ERR_NOT_FOUND;
	x402_payment_payload_clear(&payload);
	if (err) {
		x402_buf_clear(&raw);
		return err == X402_ERR_NOMEM ? err : X402_ERR_NOT_FOUND;
	}
	*ret_raw = raw;
	return X402_OK;
}

char *x402__send_broadcast(struct x402_span raw)
{
	struct x402_buf body = {0};
	x402_buf_add_str(&body,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		"\"eth_sendRawTransaction\",\"params\":[\"");
	x402_hex_encode_0x(raw, &body);
	x402_buf_add_str(&body, "\"]}");
	return x402_buf_take_str(&body);
}

/* ---- What became of it. ---- */

enum { ID_RECEIPT = 1, ID_COUNT, ID_TAGGED };

static char *fate_question(const char *tag, const char *hash, const char *from)
{
	struct x402_buf body = {0};
	x402_buf_printf(&body,
		"[{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getTransactionReceipt\",\"params\":[\"%s\"]},"
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getTransactionCount\",\"params\":[\"%s\",\"%.16s\"]},"
		"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":"
		"\"eth_getBlockByNumber\",\"params\":[\"%.16s\",false]}]",
		ID_RECEIPT, hash, ID_COUNT, from, tag, ID_TAGGED, tag);
	return x402_buf_take_str(&body);
}

/* An answer without a receipt says null; one that failed has no result. */
static bool has_result(const struct x402_json *answers, int64_t id)
{
	for (size_t i = 0; i < x402_json_size(answers); i++) {
		const struct x402_json *answer = x402_json_at(answers, i);
		int64_t got;
		if (x402_json_int64(x402_json_get(answer, "id"), &got) &&
			got == id)
			return x402_json_has(answer, "result");
	}
	return false;
}

enum x402_client_proof x402__prove_transfer_judge(
	const struct x402_json *answers, const char *hash, uint64_t nonce)
{
	const struct x402_json *receipt = x402__ask_result(answers, ID_RECEIPT);
	const char *named = x402_json_get_string(receipt, "transactionHash");
	uint64_t count;
	uint64_t block;
	uint64_t tagged;
	uint64_t status;
	if (!has_result(answers, ID_RECEIPT) ||
		!read_u64(x402__ask_result(answers, ID_COUNT), &count) ||
		!read_u64(x402_json_get(x402__ask_result(answers, ID_TAGGED),
				  "number"),
			&tagged))
		return X402_CLIENT_PROOF_NONE;
	if (!receipt)
		/* Its nonce is gone, and a block that stays has not got it. */
		return count > nonce ? X402_CLIENT_PROOF_DEAD
				     : X402_CLIENT_PROOF_NONE;
	if (!named || strcasecmp(named, hash) != 0 ||
		!read_u64(x402_json_get(receipt, "status"), &status) ||
		!read_u64(x402_json_get(receipt, "blockNumber"), &block) ||
		block > tagged)
		return X402_CLIENT_PROOF_NONE;
	return status ? X402_CLIENT_PROOF_PAID : X402_CLIENT_PROOF_DEAD;
}

enum x402_client_proof x402__prove_transfer(struct x402__asker *asker,
	const char *url, const char *block_tag, struct x402_span raw,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE])
{
	enum x402_client_proof proof = X402_CLIENT_PROOF_NONE;
	struct x402_transaction tx;
	struct x402_address sender;
	struct x402_json *answers = NULL;
	struct x402_buf hex = {0};
	uint8_t hash32[32];
	char from[X402_ADDRESS_TEXT_SIZE];
	if (x402_transaction_decode(raw, &tx, &sender, hash32))
		return proof;
	x402_address_format(&sender, from);
	x402_hex_encode_0x(x402_span(hash32, 32), &hex);
	char *hash = x402_buf_take_str(&hex);
	char *question = hash ? fate_question(block_tag, hash, from) : NULL;
	if (question && !x402__ask(asker, url, question, &answers))
		proof = x402__prove_transfer_judge(answers, hash, tx.nonce);
	if (proof == X402_CLIENT_PROOF_PAID)
		x402__text_take_id(
			ret_transaction, X402_CLIENT_TRANSACTION_SIZE, hash);
	x402_json_unref(answers);
	free(question);
	free(hash);
	return proof;
}
