/*
 * gate_memory.c: the claim on a payment, in the memory that the provider was
 * given (provider_memory.h) or in the one that it has (payments.c).
 */
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

bool x402__gate_remember_asking(struct x402_gate *gate)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;

	/* Our own dies with the process that asks: nothing to be noted. */
	return !memory->asking ||
		memory->asking(memory->user, gate, &gate->key);
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
