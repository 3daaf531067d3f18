/*
 * What the schemes on EVM share (evm.c): the payer's signature and the ways in
 * which it can be good, chain reads whose calldata outlives the call, and the
 * code checks that every payment begins with, and what it ends with: its key.
 *
 * Not for: terms, calldata and reasons; those are the scheme's own.
 */
#ifndef X402_EVM_P_H
#define X402_EVM_P_H

#include "scheme_p.h"

/* isValidSignature of a stranger's contract: bounded (F4). */
#define X402__EVM_WALLET_CHECK_GAS ((uint64_t)300000)
/*
 * A wallet is deployed on the way (F-052): a proxy with its initializer, not
 * an account of many kilobytes.
 */
#define X402__EVM_GAS_DEPLOY ((uint64_t)500000)
/* The transaction must still be in time when it is mined (F-036). */
#define X402__EVM_MARGIN_S 6

/* The first member of the state of every scheme on EVM. */
struct x402__evm {
	struct x402_network network;
	struct x402_address payer;
	struct x402_address asset;
	struct x402_address pay_to;
	struct x402_u256 amount; /* of the requirements */
	uint64_t now_unix_s;
	uint8_t digest32[32];
	struct x402_buf signature; /* inner one, when it came wrapped */
	bool contract;             /* code at payer: ERC-1271 decides */
	bool wrapped;              /* it came in an ERC-6492 wrapper */
	bool deploy;               /* its wallet is deployed on the way */
	struct x402_address factory;
	struct x402_buf factory_calldata;
	struct x402_buf suffix;         /* builder codes, behind all calldata */
	struct x402_address *factories; /* allowed ones; owned */
	size_t factories_len;
	char revert_text[128]; /* of the simulation */
	struct x402_buf revert_data;
	/* Calldata of this round's reads, by position in plan->reads. */
	struct x402_buf calldata[X402_PLAN_READS_MAX];
};

void x402__evm_clear(struct x402__evm *evm);

/* ---- Refusing; false always, for checks to return. ---- */

bool x402__refuse_text(struct x402_verify_plan *plan, enum x402_reason reason,
	const char *text);
bool x402__refuse_numbers(struct x402_verify_plan *plan,
	enum x402_reason reason, const char *expected,
	const struct x402_u256 *limit, const struct x402_u256 *actual);
bool x402__refuse_addresses(struct x402_verify_plan *plan,
	enum x402_reason reason, const char *member,
	const struct x402_address *expected, const struct x402_address *actual);

/* ---- Offline. ---- */

/* Copy what the options say of time and factories. NOMEM. */
enum x402_err x402__evm_begin(
	struct x402__evm *evm, const struct x402_verify_options *options);
/* The builder codes of the payment, with our own. NOMEM. */
enum x402_err x402__evm_read_codes(struct x402__evm *evm,
	const struct x402_facilitator_request *request,
	const struct x402_verify_options *options);
/* Put them behind a call that is complete. */
void x402__evm_add_codes(
	const struct x402__evm *evm, struct x402_buf *calldata);
uint64_t x402__evm_codes_gas(const struct x402__evm *evm);
/* Addresses, amount and network of the requirements; false when refused. */
bool x402__evm_read_requirements(const struct x402_payment_requirements *req,
	struct x402_verify_plan *plan);
/* The network that the payment names is the one that is asked about. */
bool x402__evm_same_network(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan, enum x402_reason reason);

/* Does evm->signature recover to the payer? Makes v 27 or 28 if it does. */
bool x402__evm_recovers(struct x402__evm *evm);
/*
 * Take the inner signature out of an ERC-6492 wrapper, if it is one. SYNTAX
 * for one that is malformed, NOMEM.
 */
enum x402_err x402__evm_unwrap(struct x402__evm *evm);
/* F-034: may the wrapper's factory be called? */
bool x402__evm_factory_allowed(const struct x402__evm *evm);

/* ---- Rounds of reads. ---- */

void x402__evm_begin_round(struct x402_verify_plan *plan, unsigned round);
void x402__evm_add_code(
	struct x402_verify_plan *plan, const struct x402_address *address);
/* Nonce or balance of an account. */
void x402__evm_add_account(struct x402_verify_plan *plan,
	enum x402_read_kind kind, const struct x402_address *address);
/* Start a call; the caller appends to the returned calldata. */
struct x402_buf *x402__evm_add_call(struct x402_verify_plan *plan,
	const struct x402_address *to, uint64_t gas);
void x402__evm_add_balance(struct x402_verify_plan *plan);
/* F-031: isValidSignature of the payer's contract. */
void x402__evm_add_wallet_check(struct x402_verify_plan *plan);
/* Point the reads at their calldata, now that it no longer moves. NOMEM. */
enum x402_err x402__evm_end_round(struct x402_verify_plan *plan);

/* F-031: bytes4 padded to a word, and nothing else. */
bool x402__evm_says_magic(const struct x402_chain_answer *answer);
/* F-039. CHAIN when code could not be read; else *ret_there, or refused. */
enum x402_err x402__evm_judge_asset(struct x402_verify_plan *plan,
	const struct x402_chain_answer *code, bool *ret_there);
/*
 * A simulated call. CHAIN for a fault. X402_OK with *ret_passed; a revert is
 * kept in the state for the diagnosis.
 */
enum x402_err x402__evm_judge_simulation(struct x402_verify_plan *plan,
	const struct x402_chain_answer *simulation, bool *ret_passed);

/*
 * Put a call behind the deployment of the payer's wallet: one aggregate3 in
 * which the factory may fail (the wallet may be there already) and the call
 * may not. Multicall3 is the caller of both, so a factory gets no power over
 * our accounts. *call_to and calldata are replaced.
 */
void x402__evm_deploy_first(const struct x402__evm *evm,
	struct x402_address *call_to, struct x402_buf *calldata);

/* ---- Settlement. ---- */

/* The parts of a settlement that are the offer's: network and asset. */
enum x402_err x402__evm_settle_begin(
	const struct x402__evm *evm, struct x402_settle_plan *plan);
/* Hand it over; NOMEM, and cleared, when its buffers could not grow. */
enum x402_err x402__evm_settle_end(
	struct x402_settle_plan *plan, struct x402_settle_plan *ret_plan);

/*
 * What makes two payments one (F2): how it pays, the network, and parts of a
 * fixed length each. Every journal has such keys: never change what is hashed,
 * or what was paid before pays anew.
 */
struct x402_settle_key x402__evm_settle_key(const char *kind,
	const struct x402_network *network, const struct x402_span *parts,
	size_t parts_len);

#endif
