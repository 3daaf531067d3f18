/*
 * A gate's memory that keeps nothing, for tests of what stands beside its
 * claims: of each it says what the test has it say.
 */
#ifndef MEMORY_HOUSE_H
#define MEMORY_HOUSE_H

#include "gate_house.h"

static enum x402_claim memory_says = X402_CLAIM_NEW;

static enum x402_claim memory_claim(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, uint64_t expires, uint64_t now,
	char **ret_receipt)
{
	(void)user;
	(void)gate;
	(void)key;
	(void)expires;
	(void)now;
	*ret_receipt = NULL;
	return memory_says;
}

static bool memory_asking(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key)
{
	(void)user;
	(void)gate;
	(void)key;
	return memory_says == X402_CLAIM_NEW;
}

static void memory_settled(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, const char *receipt)
{
	(void)user;
	(void)gate;
	(void)key;
	(void)receipt;
}

static void memory_end(void *user, const struct x402_gate *gate,
	const struct x402_claim_key *key, enum x402_claim_end end,
	const char *receipt)
{
	(void)end;
	memory_settled(user, gate, key, receipt);
}

#endif
