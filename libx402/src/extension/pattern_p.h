/*
 * A bounded subset of ECMA-262 patterns for JSON Schema. Not for anyone but
 * the validator.
 */
#ifndef X402_PATTERN_P_H
#define X402_PATTERN_P_H

#include "x402/error.h"

/*
 * Does pattern match somewhere in text (both UTF-8)? Supported: literals, '.',
 * classes, \d \D \w \W \s \S, the common escapes, groups without capture
 * semantics, alternatives, anchors, and the quantifiers ? * + {n,m}. Look
 * around, back references, \b, \p and named groups are UNSUPPORTED, and so
 * is a pattern larger than the limits. Work is taken off *budget, and
 * UNSUPPORTED when that runs out.
 */
X402_MUST_USE enum x402_err x402__pattern_match(
	const char *pattern, const char *text, size_t *budget, bool *ret_match);

#endif
