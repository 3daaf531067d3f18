/*
 * holder.c: holders of a token go free. Who they are they prove by signing in
 * (siwx.c), never by writing an address into a header; what they hold is read
 * from the chain, by an ASK to the operator's own RPC endpoint, and remembered
 * for a minute. ERC-20 and ERC-721 answer the same balanceOf.
 *
 * An endpoint that is down or talks nonsense opens nothing: who holds pays
 * then, like everyone else.
 */
#include "crawler_p.h"

#include <stdio.h>
#include <stdlib.h>

#include "x402/abi.h"

#define HOLDS_LIFE_S     60
#define HOLDS_NOT_LIFE_S 10
#define RPC_TIMEOUT_MS   5000
#define HOLDERS_MAX      8

enum x402_err x402__holders_read(const struct x402_provider_holder *from,
	size_t len, struct x402_errinfo *info, const char *field,
	struct x402__holder **ret_holders)
{
	struct x402__holder *holders = calloc(len, sizeof(*holders));
	enum x402_err err = holders ? X402_OK : X402_ERR_NOMEM;

	for (size_t i = 0; err == X402_OK && i < len; i++) {
		const char *min = from[i].min ? from[i].min : "1";

		if (len > HOLDERS_MAX || !from[i].rpc_url ||
			!x402__url_valid(from[i].rpc_url, true) ||
			x402_address_parse_checked(
				from[i].token, &holders[i].token) != X402_OK ||
			x402_u256_from_dec(min, &holders[i].min) != X402_OK ||
			x402_u256_is_zero(&holders[i].min)) {
			x402_errinfo_set(info, field,
				"holders: expected at most 8, each with "
				"rpc_url, token and a min above 0");
			err = X402_ERR_INVALID_ARGUMENT;
			break;
		}
		holders[i].rpc_url = strdup(from[i].rpc_url);
		if (!holders[i].rpc_url)
			err = X402_ERR_NOMEM;
	}
	if (err != X402_OK) {
		x402__holders_free(holders, len);
		return err;
	}
	*ret_holders = holders;
	return X402_OK;
}

void x402__holders_free(struct x402__holder *holders, size_t len)
{
	for (size_t i = 0; holders && i < len; i++)
		free(holders[i].rpc_url);
	free(holders);
}

/* What is known of an address and a token: that it holds, or that it does
 * not. */
static void known_key(
	const struct x402_gate *gate, bool holds, uint8_t ret_key32[32])
{
	const struct x402__holder *holder = &gate->route->holders[gate->holder];
	uint8_t min32[32];
	struct x402_keccak hash;

	x402_u256_to_be32(&holder->min, min32);
	x402_keccak_init(&hash);
	x402_keccak_update(&hash,
		holds ? x402_span("x402 holds", 11) : x402_span("x402 not", 9));
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(
		&hash, x402_span(holder->rpc_url, strlen(holder->rpc_url) + 1));
	x402_keccak_update(&hash, x402_span(holder->token.bytes, 20));
	x402_keccak_update(&hash, x402_span(min32, 32));
	x402_keccak_update(&hash, x402_span(gate->from.bytes, 20));
	x402_keccak_final(&hash, ret_key32);
}

static bool known(const struct x402_gate *gate, bool holds)
{
	uint8_t key32[32];

	known_key(gate, holds, key32);
	return x402__counters_have(
		gate->provider->counters, key32, gate->now_unix_s);
}

static void learn(struct x402_gate *gate, bool holds)
{
	uint8_t key32[32];

	known_key(gate, holds, key32);
	/* No room to remember: it is asked again. */
	(void)x402__counters_take(gate->provider->counters, key32, 1,
		gate->now_unix_s + (holds ? HOLDS_LIFE_S : HOLDS_NOT_LIFE_S),
		gate->now_unix_s);
}

static bool ask_balance(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	const struct x402__holder *holder = &gate->route->holders[gate->holder];
	struct x402_gate_ask *ask = &ret_decision->ask;
	struct x402_buf calldata = {0};
	struct x402_buf body = {0};
	char token[X402_ADDRESS_TEXT_SIZE];
	uint8_t selector4[4];
	const char *text;

	x402__gate_start(gate, X402_GATE_ASK, ret_decision);
	x402_abi_selector("balanceOf(address)", selector4);
	x402_abi_add_selector(&calldata, selector4);
	x402_abi_add_address(&calldata, &gate->from);
	x402_address_format(&holder->token, token);
	x402_buf_printf(&body,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%s\",\"data\":\"",
		token);
	x402_hex_encode_0x(x402_buf_span(&calldata), &body);
	x402_buf_add_str(&body, "\"},\"latest\"]}");
	body.failed = body.failed || calldata.failed;
	x402_buf_clear(&calldata);
	text = x402__gate_keep(gate, x402_buf_take_str(&body));
	if (!text)
		return false;
	ask->method = "POST";
	ask->url = holder->rpc_url;
	ask->body = x402_span_str(text);
	ask->timeout_ms = RPC_TIMEOUT_MS;
	ask->headers[ask->headers_len++] = (struct x402_gate_header){
		"Content-Type", "application/json"};
	gate->state = X402__GATE_HOLDER;
	return true;
}

static void pass(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	x402_address_format(&gate->from, gate->payer);
	x402__gate_answer_pass(gate, X402_GATE_ACCESS_HOLDER, ret_decision);
}

/* From the current rule on. */
static void go_on(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	for (; gate->holder < gate->route->holders_len; gate->holder++) {
		if (known(gate, true)) {
			pass(gate, ret_decision);
			return;
		}
		if (!known(gate, false) && ask_balance(gate, ret_decision))
			return;
	}
	x402__gate_end_challenge(gate, "Payment required", ret_decision);
}

void x402__holder_decides(struct x402_gate *gate,
	const struct x402_address *address,
	struct x402_gate_decision *ret_decision)
{
	gate->from = *address;
	gate->holder = 0;
	go_on(gate, ret_decision);
}

/* A whole word, as balanceOf answers; anything else is no balance. */
static bool read_balance(const struct x402_gate_facilitator_answer *answer,
	struct x402_u256 *ret_balance)
{
	struct x402_json *json = NULL;
	uint8_t word32[32];
	bool good;

	if (answer->transport != X402_OK || answer->status != 200 ||
		x402_json_parse(answer->body, NULL, NULL, &json) != X402_OK)
		return false;
	good = x402_hex_decode_fixed(x402_json_get_string(json, "result"),
		       word32, sizeof(word32)) == X402_OK;
	x402_json_unref(json);
	if (good)
		*ret_balance = x402_u256_from_be32(word32);
	return good;
}

void x402__holder_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision)
{
	const struct x402__holder *holder = &gate->route->holders[gate->holder];
	struct x402_u256 balance;

	if (!read_balance(answer, &balance)) {
		/* Not remembered: it is a fault, and no verdict (R9). */
		x402__gate_say(gate, X402_GATE_EVENT_FAULT,
			"the balance of a token could not be read");
	} else if (x402_u256_cmp(&balance, &holder->min) >= 0) {
		learn(gate, true);
		pass(gate, ret_decision);
		return;
	} else {
		learn(gate, false);
	}
	gate->holder++;
	go_on(gate, ret_decision);
}
