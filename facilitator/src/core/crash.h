/*
 * crash.h: points where a test may kill the process between two steps of a
 * settlement: X402_TEST_CRASH_AT=<step>[:n] raises SIGKILL at the n-th time
 * (default 1). Compiled in with the Meson option crash_points only.
 */
#ifndef FAC_CORE_CRASH_H
#define FAC_CORE_CRASH_H

#ifdef X402_CRASH_POINTS
void fac_crash_point(const char *step);
#else
static inline void fac_crash_point(const char *step)
{
	(void)step;
}
#endif

#endif
