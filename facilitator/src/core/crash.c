/*
 * See crash.h. The environment is read once; the engine's thread is the only
 * one that comes here, so the count needs no lock.
 */
#include "core/crash.h"

#ifdef X402_CRASH_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fac_crash_point(const char *step)
{
	static const char *wanted;
	static size_t wanted_len;
	static long left = -1;

	if (left < 0) {
		const char *colon;

		wanted = getenv("X402_TEST_CRASH_AT");
		if (!wanted)
			wanted = "";
		colon = strchr(wanted, ':');
		wanted_len = colon ? (size_t)(colon - wanted) : strlen(wanted);
		left = colon ? strtol(colon + 1, NULL, 10) : 1;
		if (left < 1)
			left = 1;
	}
	if (strlen(step) == wanted_len &&
		memcmp(step, wanted, wanted_len) == 0 && --left == 0)
		(void)kill(getpid(), SIGKILL);
}
#endif
