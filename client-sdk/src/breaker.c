/*
 * breaker.c: a circuit for each host. It opens when the host has failed so
 * many times in a row; while it is open nothing unpaid is sent; then one
 * request finds out, and its end closes the circuit or opens it again.
 */
#include "operate_p.h"

#include <stdio.h>

static struct x402__circuit *find(
	struct x402__breaker *breaker, const char *host)
{
	for (size_t i = 0; i < breaker->len; i++)
		if (strcmp(breaker->circuits[i].host, host) == 0)
			return &breaker->circuits[i];
	return NULL;
}

/* A place for a host: a new one, or that of the one not used for longest. */
static struct x402__circuit *take(
	struct x402__breaker *breaker, const char *host)
{
	struct x402__circuit *circuit = &breaker->circuits[0];
	if (breaker->len < X402__BREAKER_HOSTS) {
		circuit = &breaker->circuits[breaker->len++];
	} else {
		for (size_t i = 1; i < breaker->len; i++)
			if (breaker->circuits[i].used_ms < circuit->used_ms)
				circuit = &breaker->circuits[i];
	}
	*circuit = (struct x402__circuit){0};
	snprintf(circuit->host, sizeof(circuit->host), "%s", host);
	return circuit;
}

bool x402__breaker_allows(
	struct x402__breaker *breaker, const char *host, int64_t now_ms)
{
	struct x402__circuit *circuit = find(breaker, host);
	if (!circuit || !circuit->open_until_ms)
		return true;
	/* A probe that never came back is given up with its time. */
	if (now_ms < circuit->open_until_ms)
		return false;
	circuit->open_until_ms = now_ms + 1000;
	circuit->probing = true;
	return true;
}

bool x402__breaker_note(struct x402__breaker *breaker, const char *host,
	bool ok, const struct x402__breaker_rule *rule, int64_t now_ms)
{
	struct x402__circuit *circuit = find(breaker, host);
	if (ok) {
		/* Only hosts that fail are remembered. */
		if (circuit) {
			circuit->failures = 0;
			circuit->open_until_ms = 0;
			circuit->probing = false;
		}
		return false;
	}
	if (rule->failures < 0)
		return false;
	if (!circuit)
		circuit = take(breaker, host);
	circuit->used_ms = now_ms;
	circuit->failures++;
	bool was_open = circuit->open_until_ms != 0;
	if (circuit->failures < (unsigned)rule->failures && !was_open)
		return false;
	circuit->open_until_ms = now_ms + rule->open_ms;
	bool opened = !was_open || circuit->probing;
	circuit->probing = false;
	return opened;
}
