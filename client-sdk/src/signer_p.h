/*
 * signer_p.h: what the signer's two sides agree on, private.
 */
#ifndef X402_CLIENT_SIGNER_P_H
#define X402_CLIENT_SIGNER_P_H

#include "x402/signer.h"

/* What a session's key signs begins with this: it is never a grant. */
#define X402__SIGNER_REQUEST_PREFIX "x402 signer request 1\n"

#endif
