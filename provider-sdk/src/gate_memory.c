/*
 * gate_memory.c: the claim on a payment, in the memory that the provider was
 * given (provider_memory.h) or in the one that it has (payments.c).
 */
#include <stdio.h>
#include <stdlib.h>

#include "gate_p.h"

enum x402_claim x402__gate_remember_claim(
	struct x402_gate *gate, uint64_t now_unix_s, char **ret_receipt)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;

	if (memory->claim)
		return memory->claim(memory->user, gate, &gate->key,
			gate->expires_unix_s, now_unix_s, ret_receipt);
	return x402__payments_claim(gate->provider->payments, &gate->key,
		gate->expires_unix_s, now_unix_s, ret_receipt);
}

void x402_gate_note(
	const struct x402_gate *gate, struct x402_claim_note *ret_note)
{
	memset(ret_note, 0, sizeof(*ret_note));
	ret_note->facilitator = (uint32_t)gate->facilitator;
	snprintf(
		ret_note->amount, sizeof(ret_note->amount), "%s", gate->amount);
	if (gate->offer_prices)
		snprintf(ret_note->price, sizeof(ret_note->price), "%s",
			gate->offer_prices->text);
	/* What cost nothing is no key for later. */
	if (gate->route && gate->route->siwx_s && !x402__charges_nothing(gate))
		x402__scope_write(gate, ret_note->scope16);
}

bool x402__gate_remember_asking(struct x402_gate *gate)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;
	struct x402_claim_note note;

	if (memory->asking)
		return memory->asking(memory->user, gate, &gate->key);
	x402_gate_note(gate, &note);
	return x402__payments_note(gate->provider->payments, &gate->key, &note);
}

bool x402__gate_recall(struct x402_gate *gate, struct x402_claim_note *ret_note)
{
	const struct x402_provider *provider = gate->provider;
	const struct x402_provider_memory *memory = &provider->memory;
	bool found = memory->claim ? memory->recall &&
			memory->recall(memory->user, gate, &gate->key, ret_note)
				   : x402__payments_recall(provider->payments,
					     &gate->key, ret_note);

	/* A list that has become shorter since. */
	return found && ret_note->facilitator < provider->facilitators_len;
}

void x402__gate_recall_receipt(struct x402_gate *gate)
{
	struct x402_settle_response first = {0};

	if (!gate->receipt ||
		x402_settle_response_decode(
			x402_span_str(gate->receipt), NULL, &first) != X402_OK)
		return;
	free(gate->transaction);
	gate->transaction = strdup(first.transaction);
	x402_settle_response_clear(&first);
}

void x402__gate_remember_settled(struct x402_gate *gate)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;

	if (memory->settled)
		memory->settled(memory->user, gate, &gate->key, gate->receipt);
}

void x402__gate_remember_end(struct x402_gate *gate, enum x402_claim_end end)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;

	if (memory->end)
		memory->end(memory->user, gate, &gate->key, end, gate->receipt);
	else
		x402__payments_end(gate->provider->payments, &gate->key, end,
			gate->receipt);
}
