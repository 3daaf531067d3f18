/*
 * error.h: the two tables that everything else refers to.
 *
 * X402_ERROR_MAP lists what a library call can fail with ("could not do or
 * decide"). X402_REASON_MAP lists what a verdict can say about a payment, in
 * the protocol's own strings (protocol.md section 7). docs/errors.md is
 * generated from both.
 *
 * Codes are never renumbered: add at the end.
 * Thread rule: constant data only.
 */
#ifndef X402_ERROR_H
#define X402_ERROR_H

#include "x402/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Who has to act. */
enum x402_blame {
	X402_BLAME_NOBODY,
	X402_BLAME_CALLER, /* the program that called us */
	X402_BLAME_PEER,   /* the other side of the wire sent it wrong */
	X402_BLAME_PAYER,  /* the payment itself is at fault */
	X402_BLAME_CHAIN,  /* the chain or an RPC endpoint */
	X402_BLAME_US
};

/* What a caller may do next (demands.md F5). */
enum x402_retry {
	X402_RETRY_NEVER, /* "do_not_retry" */
	X402_RETRY_SAME,  /* "retry_same": the very same bytes */
	X402_RETRY_FRESH, /* "retry_fresh": with a new authorization */
	X402_RETRY_WAIT   /* "wait": outcome unknown; the same bytes, later */
};

/* X(code, number, HTTP status, blame, retry, text) */
#define X402_ERROR_MAP(X)                                                    \
	X(OK, 0, 200, NOBODY, NEVER, "success")                              \
	X(NOMEM, 1, 500, US, SAME, "out of memory")                          \
	X(INVALID_ARGUMENT, 2, 500, CALLER, NEVER, "invalid argument")       \
	X(SYNTAX, 3, 400, PEER, NEVER, "malformed input")                    \
	X(SCHEMA, 4, 400, PEER, NEVER,                                       \
		"a field is missing or has a wrong type")                    \
	X(RANGE, 5, 400, PEER, NEVER, "value out of range")                  \
	X(TOO_LARGE, 6, 413, PEER, NEVER, "input exceeds a size limit")      \
	X(VERSION, 7, 400, PEER, NEVER, "unsupported x402 version")          \
	X(UNSUPPORTED, 8, 400, PEER, NEVER, "not supported here")            \
	X(NOT_FOUND, 9, 404, CALLER, NEVER, "not found")                     \
	X(OVERFLOW, 10, 400, PEER, NEVER, "amount overflows 256 bits")       \
	X(ASSET_MISMATCH, 11, 500, CALLER, NEVER,                            \
		"amounts of different assets")                               \
	X(CRYPTO, 12, 500, US, NEVER, "a cryptographic operation failed")    \
	X(KEY, 13, 500, CALLER, NEVER, "invalid private key")                \
	X(CHAIN, 14, 502, CHAIN, SAME, "chain fault: no usable answer")      \
	X(NETWORK, 15, 502, PEER, SAME, "connection failed")                 \
	X(TIMEOUT, 16, 504, PEER, WAIT, "deadline exceeded")                 \
	X(CANCELLED, 17, 503, CALLER, SAME, "cancelled")                     \
	X(STORE, 18, 503, US, SAME, "storage failed")                        \
	X(CONFLICT, 19, 409, CALLER, NEVER, "conflicts with what is stored") \
	X(POLICY, 20, 403, CALLER, NEVER, "refused by local policy")         \
	X(INTERNAL, 21, 500, US, NEVER, "internal error")

enum x402_err {
#define X402__ERR_ENUM(code, number, http, blame, retry, text) \
	X402_ERR_##code = number,
	X402_ERROR_MAP(X402__ERR_ENUM)
#undef X402__ERR_ENUM
};
#define X402_OK X402_ERR_OK

/* X(code, wire string, blame, retry, text) */
#define X402_REASON_MAP(X)                                                     \
	X(NONE, "", NOBODY, NEVER, "valid")                                    \
	/* core, protocol.md 7.1 */                                            \
	X(INSUFFICIENT_FUNDS, "insufficient_funds", PAYER, FRESH,              \
		"the payer does not hold enough")                              \
	X(INVALID_NETWORK, "invalid_network", PEER, NEVER,                     \
		"network not served here")                                     \
	X(INVALID_PAYLOAD, "invalid_payload", PEER, NEVER,                     \
		"payment payload malformed")                                   \
	X(INVALID_PAYMENT_REQUIREMENTS, "invalid_payment_requirements", PEER,  \
		NEVER, "payment requirements malformed")                       \
	X(INVALID_SCHEME, "invalid_scheme", PEER, NEVER, "scheme malformed")   \
	X(UNSUPPORTED_SCHEME, "unsupported_scheme", PEER, NEVER,               \
		"scheme not served here")                                      \
	X(INVALID_X402_VERSION, "invalid_x402_version", PEER, NEVER,           \
		"x402Version must be 1 or 2")                                  \
	X(INVALID_TRANSACTION_STATE, "invalid_transaction_state", CHAIN,       \
		NEVER, "the transaction is in a state that proves nothing")    \
	X(UNEXPECTED_VERIFY_ERROR, "unexpected_verify_error", CHAIN, SAME,     \
		"could not decide: fault on our side or the chain's")          \
	X(UNEXPECTED_SETTLE_ERROR, "unexpected_settle_error", CHAIN, SAME,     \
		"could not settle: fault on our side or the chain's")          \
	X(SETTLEMENT_PENDING, "settlement_pending", CHAIN, WAIT,               \
		"broadcast, outcome not known yet")                            \
	X(DUPLICATE_SETTLEMENT, "duplicate_settlement", PAYER, NEVER,          \
		"this authorization is being settled or was settled")          \
	/* exact on EVM with EIP-3009, protocol.md 7.3 */                      \
	X(UNSUPPORTED_PAYLOAD_TYPE, "unsupported_payload_type", PEER, NEVER,   \
		"no known payload type")                                       \
	X(EVM_SCHEME, "invalid_exact_evm_scheme", PEER, NEVER,                 \
		"scheme is not exact")                                         \
	X(EVM_NETWORK_MISMATCH, "invalid_exact_evm_network_mismatch", PEER,    \
		NEVER, "payment and requirements name different networks")     \
	X(EVM_MISSING_EIP712_DOMAIN,                                           \
		"invalid_exact_evm_missing_eip712_domain", PEER, NEVER,        \
		"extra.name and extra.version are required")                   \
	X(EVM_SIGNATURE, "invalid_exact_evm_signature", PAYER, FRESH,          \
		"the signature is not the payer's")                            \
	X(EVM_RECIPIENT_MISMATCH, "invalid_exact_evm_recipient_mismatch",      \
		PAYER, FRESH, "authorization.to is not payTo")                 \
	X(EVM_VALID_BEFORE,                                                    \
		"invalid_exact_evm_payload_authorization_valid_before", PAYER, \
		FRESH, "the authorization has expired or is about to")         \
	X(EVM_VALID_AFTER,                                                     \
		"invalid_exact_evm_payload_authorization_valid_after", PAYER,  \
		SAME, "the authorization is not valid yet")                    \
	X(EVM_VALUE_MISMATCH,                                                  \
		"invalid_exact_evm_payload_authorization_value_mismatch",      \
		PAYER, FRESH, "authorization.value is not the amount")         \
	X(EVM_ASSET_NOT_DEPLOYED, "asset_not_deployed_contract", PEER, NEVER,  \
		"no contract at the asset's address")                          \
	X(EVM_UNDEPLOYED_SMART_WALLET,                                         \
		"invalid_exact_evm_payload_undeployed_smart_wallet", PAYER,    \
		NEVER, "a contract signature from an address without code")    \
	X(EVM_6492_FACTORY_NOT_ALLOWED, "eip6492_factory_not_allowed", PAYER,  \
		NEVER, "this wallet factory is not allowed here")              \
	X(EVM_SMART_WALLET_DEPLOYMENT_FAILED,                                  \
		"smart_wallet_deployment_failed", CHAIN, NEVER,                \
		"the wallet could not be deployed")                            \
	X(EVM_EIP3009_NOT_SUPPORTED,                                           \
		"invalid_exact_evm_eip3009_not_supported", PEER, NEVER,        \
		"the asset has no EIP-3009")                                   \
	X(EVM_NONCE_ALREADY_USED, "invalid_exact_evm_nonce_already_used",      \
		PAYER, NEVER, "the authorization was used or cancelled")       \
	X(EVM_TOKEN_NAME_MISMATCH, "invalid_exact_evm_token_name_mismatch",    \
		PEER, NEVER, "extra.name is not the token's name")             \
	X(EVM_TOKEN_VERSION_MISMATCH,                                          \
		"invalid_exact_evm_token_version_mismatch", PEER, NEVER,       \
		"extra.version is not the token's version")                    \
	X(EVM_INSUFFICIENT_BALANCE, "invalid_exact_evm_insufficient_balance",  \
		PAYER, FRESH, "the payer's balance is below the amount")       \
	X(EVM_SIMULATION_FAILED,                                               \
		"invalid_exact_evm_transaction_simulation_failed", PAYER,      \
		FRESH, "the transfer would revert")                            \
	X(EVM_TRANSACTION_FAILED, "invalid_exact_evm_transaction_failed",      \
		CHAIN, FRESH, "the transaction reverted")                      \
	X(EVM_TRANSFER_EVENT_MISMATCH,                                         \
		"invalid_exact_evm_transfer_event_mismatch", CHAIN, NEVER,     \
		"mined, but without the expected Transfer log")                \
	/* server side, protocol.md 7.2 */                                     \
	X(PAYMENT_REQUIRED, "Payment required", PEER, FRESH,                   \
		"no payment was sent")                                         \
	X(NO_MATCHING_REQUIREMENTS, "No matching payment requirements", PEER,  \
		FRESH, "the payment answers another offer")                    \
	X(EXTENSION_ECHO_MISMATCH, "extension_echo_mismatch", PEER, FRESH,     \
		"an extension was not echoed as declared")                     \
	X(PERMIT2_ALLOWANCE_REQUIRED, "permit2_allowance_required", PAYER,     \
		FRESH, "the payer must approve Permit2 first")                 \
	/* exact on Solana, protocol.md 7.8 */                                 \
	X(SVM_SCHEME, "invalid_exact_svm_unsupported_scheme", PEER, NEVER,     \
		"scheme is not exact")                                         \
	X(SVM_NETWORK_MISMATCH, "invalid_exact_svm_network_mismatch", PEER,    \
		NEVER, "payment and requirements name different networks")     \
	X(SVM_MISSING_FEE_PAYER,                                               \
		"invalid_exact_svm_payload_missing_fee_payer", PEER, NEVER,    \
		"extra.feePayer is required")                                  \
	X(SVM_FEE_PAYER_NOT_MANAGED,                                           \
		"invalid_exact_svm_fee_payer_not_managed_by_facilitator",      \
		PEER, NEVER,                                                   \
		"extra.feePayer is no signer of this facilitator")             \
	X(SVM_TRANSACTION, "invalid_exact_svm_payload_transaction", PEER,      \
		NEVER, "payload.transaction is required")                      \
	X(SVM_UNDECODABLE,                                                     \
		"invalid_exact_svm_payload_transaction_could_not_be_decoded",  \
		PAYER, FRESH, "payload.transaction is no transaction")         \
	X(SVM_FEE_PAYER_MISMATCH, "invalid_exact_svm_fee_payer_mismatch",      \
		PAYER, FRESH, "the transaction names another fee payer")       \
	X(SVM_EXCESSIVE_SIGNERS,                                               \
		"invalid_exact_svm_payload_excessive_signers", PAYER, FRESH,   \
		"the transaction wants more signers than fee payer and payer") \
	X(SVM_SIGNATURE, "invalid_exact_svm_payload_signature_invalid", PAYER, \
		FRESH, "the signature is not the payer's")                     \
	X(SVM_INSTRUCTIONS_LENGTH,                                             \
		"invalid_exact_svm_payload_transaction_instructions_length",   \
		PAYER, FRESH, "a payment has 3 to 7 instructions")             \
	X(SVM_COMPUTE_LIMIT,                                                   \
		"invalid_exact_svm_payload_transaction_instructions_compute_"  \
		"limit_instruction",                                           \
		PAYER, FRESH,                                                  \
		"the first instruction must be SetComputeUnitLimit")           \
	X(SVM_COMPUTE_LIMIT_TOO_HIGH,                                          \
		"invalid_exact_svm_payload_transaction_instructions_compute_"  \
		"limit_instruction_too_high",                                  \
		PAYER, FRESH, "the compute unit limit is above our ceiling")   \
	X(SVM_COMPUTE_PRICE,                                                   \
		"invalid_exact_svm_payload_transaction_instructions_compute_"  \
		"price_instruction",                                           \
		PAYER, FRESH,                                                  \
		"the second instruction must be SetComputeUnitPrice")          \
	X(SVM_COMPUTE_PRICE_TOO_HIGH,                                          \
		"invalid_exact_svm_payload_transaction_instructions_compute_"  \
		"price_instruction_too_high",                                  \
		PAYER, FRESH, "the priority fee is above our ceiling")         \
	X(SVM_NO_TRANSFER,                                                     \
		"invalid_exact_svm_payload_no_transfer_instruction", PAYER,    \
		FRESH, "the third instruction must be TransferChecked")        \
	X(SVM_FEE_PAYER_FUNDS,                                                 \
		"invalid_exact_svm_payload_transaction_fee_payer_"             \
		"transferring_funds",                                          \
		PAYER, FRESH, "an instruction refers to the fee payer")        \
	X(SVM_MINT_MISMATCH, "invalid_exact_svm_payload_mint_mismatch", PAYER, \
		FRESH, "the transferred mint is not the asset")                \
	X(SVM_RECIPIENT_MISMATCH,                                              \
		"invalid_exact_svm_payload_recipient_mismatch", PAYER, FRESH,  \
		"the destination is not payTo's token account")                \
	X(SVM_AMOUNT_MISMATCH, "invalid_exact_svm_payload_amount_mismatch",    \
		PAYER, FRESH, "the transferred amount is not the amount")      \
	X(SVM_UNKNOWN_FOURTH,                                                  \
		"invalid_exact_svm_payload_unknown_fourth_instruction", PAYER, \
		FRESH,                                                         \
		"the fourth instruction is neither Lighthouse's nor a memo")   \
	X(SVM_UNKNOWN_FIFTH,                                                   \
		"invalid_exact_svm_payload_unknown_fifth_instruction", PAYER,  \
		FRESH,                                                         \
		"the fifth instruction is neither Lighthouse's nor a memo")    \
	X(SVM_UNKNOWN_SIXTH,                                                   \
		"invalid_exact_svm_payload_unknown_sixth_instruction", PAYER,  \
		FRESH,                                                         \
		"the sixth instruction is neither Lighthouse's nor a memo")    \
	X(SVM_UNKNOWN_OPTIONAL,                                                \
		"invalid_exact_svm_payload_unknown_optional_instruction",      \
		PAYER, FRESH, "the seventh instruction is no memo")            \
	X(SVM_MEMO_COUNT, "invalid_exact_svm_payload_memo_count", PAYER,       \
		FRESH, "exactly one memo is required")                         \
	X(SVM_MEMO_MISMATCH, "invalid_exact_svm_payload_memo_mismatch", PAYER, \
		FRESH, "the memo is not extra.memo")                           \
	X(SVM_SIMULATION_FAILED,                                               \
		"invalid_exact_svm_transaction_simulation_failed", PAYER,      \
		FRESH, "the transaction would fail")                           \
	X(SVM_TRANSACTION_FAILED, "invalid_exact_svm_transaction_failed",      \
		CHAIN, FRESH, "the transaction failed on chain")               \
	X(SVM_BLOCKHASH_EXPIRED, "invalid_exact_svm_blockhash_expired", CHAIN, \
		FRESH, "its blockhash expired before it landed: it never can") \
	/* exact and upto through Permit2, protocol.md 7.4 and 7.7 */          \
	X(PERMIT2_SPENDER, "invalid_permit2_spender", PAYER, FRESH,            \
		"the spender is not the proxy of this scheme")                 \
	X(PERMIT2_RECIPIENT_MISMATCH, "invalid_permit2_recipient_mismatch",    \
		PAYER, FRESH, "witness.to is not payTo")                       \
	X(PERMIT2_DEADLINE_EXPIRED, "permit2_deadline_expired", PAYER, FRESH,  \
		"the permit has expired or is about to")                       \
	X(PERMIT2_NOT_YET_VALID, "permit2_not_yet_valid", PAYER, SAME,         \
		"the permit is not valid yet")                                 \
	X(PERMIT2_AMOUNT_MISMATCH, "permit2_amount_mismatch", PAYER, FRESH,    \
		"permitted.amount is not the amount")                          \
	X(PERMIT2_TOKEN_MISMATCH, "permit2_token_mismatch", PAYER, FRESH,      \
		"permitted.token is not the asset")                            \
	X(PERMIT2_SIGNATURE, "invalid_permit2_signature", PAYER, FRESH,        \
		"the signature is not the payer's")                            \
	X(PERMIT2_SIMULATION_FAILED, "permit2_simulation_failed", PAYER,       \
		FRESH, "the transfer would revert")                            \
	X(PERMIT2_INSUFFICIENT_BALANCE, "permit2_insufficient_balance", PAYER, \
		FRESH, "the payer's balance is below the amount")              \
	X(PERMIT2_PROXY_NOT_DEPLOYED, "permit2_proxy_not_deployed", CHAIN,     \
		NEVER, "this chain has no Permit2 proxy")                      \
	X(PERMIT2_INVALID_AMOUNT, "permit2_invalid_amount", PAYER, FRESH,      \
		"Permit2 refuses the amount")                                  \
	X(PERMIT2_INVALID_DESTINATION, "permit2_invalid_destination", PEER,    \
		NEVER, "the proxy refuses the payee")                          \
	X(PERMIT2_INVALID_OWNER, "permit2_invalid_owner", PAYER, FRESH,        \
		"the proxy refuses the payer")                                 \
	X(PERMIT2_PAYMENT_TOO_EARLY, "permit2_payment_too_early", PAYER, SAME, \
		"the chain says that it is too early")                         \
	X(PERMIT2_INVALID_NONCE, "permit2_invalid_nonce", PAYER, NEVER,        \
		"the permit's nonce was used or cancelled")                    \
	X(PERMIT2_2612_AMOUNT_MISMATCH, "permit2_2612_amount_mismatch", PAYER, \
		FRESH, "the EIP-2612 permit is for another amount")            \
	X(UPTO_SCHEME, "invalid_upto_evm_scheme", PEER, NEVER,                 \
		"scheme is not upto")                                          \
	X(UPTO_NETWORK_MISMATCH, "invalid_upto_evm_network_mismatch", PEER,    \
		NEVER, "payment and requirements name different networks")     \
	X(UPTO_EXCEEDS_AMOUNT,                                                 \
		"invalid_upto_evm_payload_settlement_exceeds_amount", PEER,    \
		NEVER, "more is to be settled than was permitted")             \
	X(UPTO_TRANSACTION_FAILED, "invalid_upto_evm_transaction_failed",      \
		CHAIN, FRESH, "the transaction reverted")                      \
	X(UPTO_AMOUNT_EXCEEDS_PERMITTED, "upto_amount_exceeds_permitted",      \
		PEER, NEVER, "the proxy refuses more than was permitted")      \
	X(UPTO_UNAUTHORIZED_FACILITATOR, "upto_unauthorized_facilitator",      \
		PAYER, FRESH, "the proxy refuses this sender")                 \
	X(UPTO_FACILITATOR_MISMATCH, "upto_facilitator_mismatch", PAYER,       \
		FRESH, "witness.facilitator is none of our signers")           \
	/* sponsored approvals, protocol.md 7.5 */                             \
	X(EIP2612_FORMAT, "invalid_eip2612_extension_format", PAYER, FRESH,    \
		"eip2612GasSponsoring.info is malformed")                      \
	X(EIP2612_FROM_MISMATCH, "eip2612_from_mismatch", PAYER, FRESH,        \
		"the permit is not by the payer")                              \
	X(EIP2612_ASSET_MISMATCH, "eip2612_asset_mismatch", PAYER, FRESH,      \
		"the permit is for another token")                             \
	X(EIP2612_SPENDER_NOT_PERMIT2, "eip2612_spender_not_permit2", PAYER,   \
		FRESH, "the permit is not for Permit2")                        \
	X(EIP2612_DEADLINE_EXPIRED, "eip2612_deadline_expired", PAYER, FRESH,  \
		"the permit has expired or is about to")                       \
	X(ERC20_APPROVAL_FORMAT, "invalid_erc20_approval_extension_format",    \
		PAYER, FRESH, "erc20ApprovalGasSponsoring.info is malformed")  \
	X(ERC20_APPROVAL_FROM_MISMATCH, "erc20_approval_from_mismatch", PAYER, \
		FRESH, "the approval is not by the payer")                     \
	X(ERC20_APPROVAL_ASSET_MISMATCH, "erc20_approval_asset_mismatch",      \
		PAYER, FRESH, "the approval is for another token")             \
	X(ERC20_APPROVAL_SPENDER_NOT_PERMIT2,                                  \
		"erc20_approval_spender_not_permit2", PAYER, FRESH,            \
		"the approval is not for Permit2")                             \
	X(ERC20_APPROVAL_TX_WRONG_TARGET, "erc20_approval_tx_wrong_target",    \
		PAYER, FRESH, "the transaction is not to the token")           \
	X(ERC20_APPROVAL_TX_WRONG_SELECTOR,                                    \
		"erc20_approval_tx_wrong_selector", PAYER, FRESH,              \
		"the transaction is no approve")                               \
	X(ERC20_APPROVAL_TX_WRONG_SPENDER, "erc20_approval_tx_wrong_spender",  \
		PAYER, FRESH, "the transaction approves another spender")      \
	X(ERC20_APPROVAL_TX_INVALID_CALLDATA,                                  \
		"erc20_approval_tx_invalid_calldata", PAYER, FRESH,            \
		"the transaction's calldata is malformed")                     \
	X(ERC20_APPROVAL_TX_SIGNER_MISMATCH,                                   \
		"erc20_approval_tx_signer_mismatch", PAYER, FRESH,             \
		"the payer did not sign the transaction")                      \
	X(ERC20_APPROVAL_TX_INVALID_SIGNATURE,                                 \
		"erc20_approval_tx_invalid_signature", PAYER, FRESH,           \
		"the transaction's signature is none")                         \
	X(ERC20_APPROVAL_TX_PARSE_FAILED, "erc20_approval_tx_parse_failed",    \
		PAYER, FRESH, "the signed transaction cannot be read")         \
	X(ERC20_APPROVAL_TX_FAILED, "erc20_approval_tx_failed", CHAIN, FRESH,  \
		"the approval reverted")                                       \
	X(ERC20_APPROVAL_BROADCAST_FAILED, "erc20_approval_broadcast_failed",  \
		CHAIN, FRESH, "no node took the approval")                     \
	X(ERC20_APPROVAL_INSUFFICIENT_ETH,                                     \
		"erc20_approval_insufficient_eth_for_gas", PAYER, FRESH,       \
		"the payer cannot pay for the gas of its approval")            \
	/* proof: a transaction that paid already; proof.h */                  \
	X(PROOF_SCHEME, "invalid_proof_scheme", PEER, NEVER,                   \
		"scheme is not proof")                                         \
	X(PROOF_NETWORK_MISMATCH, "invalid_proof_network_mismatch", PEER,      \
		NEVER, "payment and requirements name different networks")     \
	X(PROOF_NOT_TAKEN, "invalid_proof_not_taken", PEER, NEVER,             \
		"this facilitator takes no such proof")                        \
	X(PROOF_SIGNATURE, "invalid_proof_signature", PAYER, NEVER,            \
		"the signature is not that of the key that paid")              \
	X(PROOF_NOT_MINED, "proof_transaction_not_mined", CHAIN, WAIT,         \
		"the transaction is in no block yet: show it again later")     \
	X(PROOF_NOT_FINAL, "proof_transaction_not_final", CHAIN, WAIT,         \
		"the transaction is not final yet: show it again later")       \
	X(PROOF_TRANSACTION_FAILED, "proof_transaction_failed", PAYER, FRESH,  \
		"the transaction reverted, so no money moved")                 \
	X(PROOF_PAYER_MISMATCH, "proof_payer_mismatch", PAYER, NEVER,          \
		"another account sent the transaction")                        \
	X(PROOF_NOT_A_TRANSFER, "proof_not_a_transfer", PAYER, NEVER,          \
		"the transaction is no plain transfer of the asset to payTo")  \
	X(PROOF_TRANSFER_EVENT_MISMATCH, "proof_transfer_event_mismatch",      \
		PAYER, NEVER, "the asset's log does not say that it paid")     \
	X(PROOF_AMOUNT_TOO_LOW, "proof_amount_too_low", PAYER, NEVER,          \
		"the transaction moved less than the amount")                  \
	X(PROOF_OLDER_THAN_CHALLENGE, "proof_older_than_challenge", PAYER,     \
		NEVER, "the transaction was mined before the challenge")       \
	X(PROOF_TOO_LATE, "proof_too_late", PAYER, NEVER,                      \
		"the transaction was mined, or is shown, too late")

enum x402_reason {
#define X402__REASON_ENUM(code, wire, blame, retry, text) X402_REASON_##code,
	X402_REASON_MAP(X402__REASON_ENUM) X402_REASON_COUNT
#undef X402__REASON_ENUM
};

/* A short English text; never NULL, also for a number that is no code. */
X402_API const char *x402_err_text(enum x402_err err);
X402_API const char *x402_err_name(enum x402_err err);
X402_API int x402_err_http_status(enum x402_err err);
X402_API enum x402_blame x402_err_blame(enum x402_err err);
X402_API enum x402_retry x402_err_retry(enum x402_err err);

/* The exact wire string (emit column of section 7); "" for NONE. */
X402_API const char *x402_reason_wire(enum x402_reason reason);
X402_API const char *x402_reason_text(enum x402_reason reason);
X402_API enum x402_blame x402_reason_blame(enum x402_reason reason);
X402_API enum x402_retry x402_reason_retry(enum x402_reason reason);

/*
 * Find the reason for a string that another implementation sent, including
 * the "also seen" spellings of section 7.3 and codes followed by ": text".
 * Returns false when it is none of ours; wire may be NULL (false).
 */
X402_API bool x402_reason_from_wire(
	const char *wire, enum x402_reason *ret_reason);

/* "do_not_retry", "retry_same", "retry_fresh", "wait". Never NULL. */
X402_API const char *x402_retry_wire(enum x402_retry retry);

/*
 * Where and what went wrong, for a person. field is a JSON path such as
 * "paymentPayload.payload.authorization.nonce". Filled on failure only; a
 * NULL pointer is accepted wherever one is taken.
 */
struct x402_errinfo {
	char field[96];
	char text[256];
};

X402_API void x402_errinfo_set(struct x402_errinfo *info, const char *field,
	const char *fmt, ...) X402_PRINTF(3, 4);

#ifdef __cplusplus
}
#endif
#endif
