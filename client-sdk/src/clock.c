/*
 * clock.c: the clocks. Deadlines and waits are measured by the one that never
 * jumps; authorizations and the journal speak of the one that people read. By
 * the third, which goes on while the machine sleeps, budgets count
 * (journal_clock.c).
 */
#include "client_p.h"

#include <time.h>

static int64_t read_ms(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t x402__now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t x402__elapsed_ms(void)
{
	return (uint64_t)read_ms(CLOCK_BOOTTIME);
}

uint64_t x402__now_unix_ms(void)
{
	return (uint64_t)read_ms(CLOCK_REALTIME);
}
