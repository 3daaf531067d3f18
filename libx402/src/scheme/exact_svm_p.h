/*
 * exact on Solana: what its three files share.
 *   exact_svm.c         verification: plan and judge (F-090 to F-09F)
 *   exact_svm_settle.c  settlement: plan, key and judge
 *   exact_svm_create.c  the payer's side (C-070 to C-076)
 */
#ifndef X402_EXACT_SVM_P_H
#define X402_EXACT_SVM_P_H

#include "scheme_p.h"
#include "x402/svm_transaction.h"

struct x402__exact_svm {
	uint64_t now_unix_s;
	struct x402_network network;
	struct x402_pubkey mint;
	struct x402_pubkey pay_to;
	struct x402_pubkey fee_payer;
	uint64_t amount;
	const char *memo;     /* extra.memo, or NULL; borrowed */
	struct x402_buf wire; /* the payer's bytes, as decoded */
	struct x402_svm_transaction transaction; /* points into wire */
	struct x402_pubkey payer;                /* the token authority */
	struct x402_pubkey token_program;
	uint64_t fee_lamports; /* what it costs its sponsor */
};

/*
 * A blockhash lives for a minute or two, while the chain moves; the daemon
 * waits for its height as well.
 */
#define X402__SVM_CLAIM_S ((uint64_t)600)
/* What fees are made of: for each signature, whoever gives it. */
#define X402__SVM_LAMPORTS_PER_SIGNATURE ((uint64_t)5000)

enum x402_err x402__exact_svm_settle_plan(
	const struct x402_verify_plan *verified,
	struct x402_settle_plan *ret_plan);
void x402__exact_svm_settle_judge(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt, struct x402_verdict *verdict);
enum x402_err x402__exact_svm_create_payload(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *options, struct x402_errinfo *info,
	struct x402_json **ret_payload);

#endif
