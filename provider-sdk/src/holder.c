/*
 * holder.c: holders of a token go free, or pay less. Who they are they prove by
 * signing in (siwx.c), or by signing the payment, never by writing an address
 * into a header; what they hold is read from the chain, by an ASK to the
 * operator's own RPC endpoint, and remembered for a minute. ERC-20 and ERC-721
 * answer the same balanceOf.
 *
 *   x402__holder_decides()   a wallet has signed in, or a payment was made at
 *                            the holders' price (must_hold)
 *   x402__holder_answered()  a balance
 *
 * An endpoint that is down or talks nonsense opens nothing: who holds pays
 * then, like everyone else.
 */
#include "crawler_p.h"

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
		holders[i].price = from[i].price ? strdup(from[i].price) : NULL;
		if (!holders[i].rpc_url || (from[i].price && !holders[i].price))
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
	for (size_t i = 0; holders && i < len; i++) {
		free(holders[i].rpc_url);
		free(holders[i].price);
	}
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
	struct x402_buf calldata = {0};
	uint8_t selector4[4];
	bool asked;

	x402_abi_selector("balanceOf(address)", selector4);
	x402_abi_add_selector(&calldata, selector4);
	x402_abi_add_address(&calldata, &gate->from);
	asked = x402__gate_ask_call(gate, holder->rpc_url, &holder->token,
		&calldata, RPC_TIMEOUT_MS, ret_decision);
	if (asked)
		gate->state = X402__GATE_HOLDER;
	return asked;
}

/* What a holder pays, in place of what everyone else does. */
static void offer_cheaper(struct x402_gate *gate, const char *price,
	struct x402_gate_decision *ret_decision)
{
	struct x402__prices *prices = NULL;

	if (x402__pricing_at(gate->provider, gate->route, price, NULL,
		    &prices) != X402_OK) {
		x402__gate_end_error(gate, 500,
			"no price could be made for this request",
			ret_decision);
		return;
	}
	x402__prices_unref(gate->prices);
	gate->prices = prices;
	x402__gate_end_challenge(gate, "Payment required", ret_decision);
}

static void holds(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	const char *price = gate->route->holders[gate->holder].price;

	if (gate->must_hold)
		x402__gate_begin_claim(gate, ret_decision);
	else if (price)
		offer_cheaper(gate, price, ret_decision);
	else
		x402__gate_answer_pass(
			gate, X402_GATE_ACCESS_HOLDER, ret_decision);
}

static void holds_nothing(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	const char *reason = x402_reason_wire(
		X402_REASON_NO_MATCHING_REQUIREMENTS);

	if (!gate->must_hold) {
		x402__gate_unfavoured(gate, ret_decision);
		return;
	}
	/* P-123: the holders' price, from somebody who is none. */
	x402__gate_say(gate, X402_GATE_EVENT_REFUSED, reason);
	x402__gate_end_challenge(gate, reason, ret_decision);
}

/* Of a payment, the rules at whose price it was made. */
static bool is_about(const struct x402_gate *gate, size_t rule)
{
	const char *price = gate->route->holders[rule].price;

	return !gate->must_hold ||
		(price && strcmp(price, gate->offer_prices->text) == 0);
}

/* From the current rule on. */
static void go_on(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	for (; gate->holder < gate->route->holders_len; gate->holder++) {
		if (!is_about(gate, gate->holder))
			continue;
		if (known(gate, true)) {
			holds(gate, ret_decision);
			return;
		}
		if (!known(gate, false) && ask_balance(gate, ret_decision))
			return;
	}
	holds_nothing(gate, ret_decision);
}

void x402__holder_decides(
	struct x402_gate *gate, struct x402_gate_decision *ret_decision)
{
	gate->holder = 0;
	/* These tokens are of chains whose accounts are no Solana ones. */
	if (gate->is_svm)
		holds_nothing(gate, ret_decision);
	else
		go_on(gate, ret_decision);
}

void x402__holder_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision)
{
	const struct x402__holder *holder = &gate->route->holders[gate->holder];
	struct x402_u256 balance;
	uint8_t word32[32];

	/* A whole word, as balanceOf answers; anything else is no balance. */
	if (!x402__gate_read_call(answer, word32)) {
		/* Not remembered: it is a fault, and no verdict (R9). */
		x402__gate_say(gate, X402_GATE_EVENT_FAULT,
			"the balance of a token could not be read");
	} else {
		balance = x402_u256_from_be32(word32);
		learn(gate, x402_u256_cmp(&balance, &holder->min) >= 0);
		if (x402_u256_cmp(&balance, &holder->min) >= 0) {
			holds(gate, ret_decision);
			return;
		}
	}
	gate->holder++;
	go_on(gate, ret_decision);
}
