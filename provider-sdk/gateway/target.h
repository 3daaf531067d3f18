/*
 * target.h: what the origin is asked for. Pure.
 *
 * The path that the gate has matched is the one that the origin gets, written
 * in one way only, so that there is no second reading of it (demands.md P3).
 *
 * Thread rule: pure functions.
 */
#ifndef GW_TARGET_H
#define GW_TARGET_H

#include "x402/base.h"

/*
 * canonical is x402_gate_path: decoded, but for "%2F" and "%5C". raw is the
 * request's target as it came, of which only is taken whether its path ends
 * with '/': the canonical form has none, and origins care. query without '?',
 * "" for none. From malloc; NULL when memory is out.
 */
char *gw_target(const char *canonical, const char *raw, const char *query);

#endif
