/*
 * x402.h: the whole of libx402, and the rules common to every header.
 *
 * libx402 is the x402 payment protocol as pure functions. It performs no
 * I/O, reads no clock, draws no randomness, keeps no global state, starts no
 * thread and writes no log: time, nonces and chain answers are arguments. So
 * the same code serves a daemon, a crawler and a web server.
 *
 * Rules that hold for every function unless its comment says otherwise:
 *
 * - Thread rule: distinct objects may be used from distinct threads; one
 *   object must not be used from two threads at once. Functions that take
 *   only const inputs are safe to call concurrently on the same inputs.
 * - Errors: a function that can fail returns enum x402_err and must be
 *   checked. Outputs come last, are named ret_ and are written only on
 *   X402_OK. Signing functions zero their output on failure.
 * - A refused payment is not an error (struct x402_verdict); an error means
 *   "could not decide". Never turn one into the other.
 * - Inputs are borrowed for the call. struct x402_span points into memory of
 *   the caller. Pointers must not be NULL unless a comment allows it.
 * - Ownership words: init/clear work on the caller's memory, new/free on the
 *   heap, ref/unref share, take consumes its argument. clear and free accept
 *   NULL and half-built objects.
 * - Strings returned as char * are NUL-terminated, from malloc, and released
 *   with free().
 * - Money is an integer. No function takes or returns a float.
 *
 * Where next: payment.h for the wire objects, scheme.h for verification and
 * settlement, negotiate.h for clients and servers, error.h for every code.
 */
#ifndef X402_X402_H
#define X402_X402_H

#include "x402/base.h"
#include "x402/error.h"
#include "x402/encoding.h"
#include "x402/json.h"
#include "x402/amount.h"
#include "x402/approval.h"
#include "x402/network.h"
#include "x402/payment.h"
#include "x402/codec.h"
#include "x402/negotiate.h"
#include "x402/evm.h"
#include "x402/eip712.h"
#include "x402/eip3009.h"
#include "x402/permit2.h"
#include "x402/delegation.h"
#include "x402/abi.h"
#include "x402/svm.h"
#include "x402/svm_transaction.h"
#include "x402/transaction.h"
#include "x402/sign.h"
#include "x402/scheme.h"
#include "x402/bazaar.h"
#include "x402/builder_code.h"

#endif
