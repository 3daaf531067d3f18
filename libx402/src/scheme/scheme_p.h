/*
 * What schemes share among themselves: the row that each adds to the table,
 * and how a plan is decided. Not for anyone outside src/scheme.
 */
#ifndef X402_SCHEME_P_H
#define X402_SCHEME_P_H

#include "x402/scheme.h"

extern const struct x402_scheme x402__scheme_exact_evm;
extern const struct x402_scheme x402__scheme_exact_svm;
extern const struct x402_scheme x402__scheme_exact_permit2;
extern const struct x402_scheme x402__scheme_upto_evm;
extern const struct x402_scheme x402__scheme_proof_evm;
extern const struct x402_scheme x402__scheme_exact_delegation;

/* Decide a plan. info->text becomes the verdict's message. */
void x402__refuse(struct x402_verify_plan *plan, enum x402_reason reason,
	const struct x402_errinfo *info);
void x402__accept(struct x402_verify_plan *plan);

/* exact_delegation_create.c */
enum x402_err x402__delegation_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload);
/*
 * What a payment by delegation is remembered with, in the place of a question
 * about its state, for there is none: who must send it, and until when it may
 * be sent for the first time (settle_proof.c).
 */
void x402__settle_bind(struct x402_buf *state_calldata,
	const struct x402_address *sender, uint64_t send_before_unix_s);

#endif
