/*
 * What the two tables of error.h generate: texts, attributes, and the way
 * back from other implementations' strings.
 */
#include <stdarg.h>
#include <stdio.h> /* formatting only */

#include "x402/error.h"

const char *x402_err_text(enum x402_err err)
{
	switch (err) {
#define CASE(code, number, http, blame, retry, text) \
	case X402_ERR_##code:                        \
		return text;
		X402_ERROR_MAP(CASE)
#undef CASE
	}
	return "unknown error";
}

const char *x402_err_name(enum x402_err err)
{
	switch (err) {
#define CASE(code, number, http, blame, retry, text) \
	case X402_ERR_##code:                        \
		return #code;
		X402_ERROR_MAP(CASE)
#undef CASE
	}
	return "UNKNOWN";
}

int x402_err_http_status(enum x402_err err)
{
	switch (err) {
#define CASE(code, number, http, blame, retry, text) \
	case X402_ERR_##code:                        \
		return http;
		X402_ERROR_MAP(CASE)
#undef CASE
	}
	return 500;
}

enum x402_blame x402_err_blame(enum x402_err err)
{
	switch (err) {
#define CASE(code, number, http, blame, retry, text) \
	case X402_ERR_##code:                        \
		return X402_BLAME_##blame;
		X402_ERROR_MAP(CASE)
#undef CASE
	}
	return X402_BLAME_US;
}

enum x402_retry x402_err_retry(enum x402_err err)
{
	switch (err) {
#define CASE(code, number, http, blame, retry, text) \
	case X402_ERR_##code:                        \
		return X402_RETRY_##retry;
		X402_ERROR_MAP(CASE)
#undef CASE
	}
	return X402_RETRY_NEVER;
}

static const struct {
	const char *wire;
	enum x402_blame blame;
	enum x402_retry retry;
	const char *text;
} reasons[X402_REASON_COUNT] = {
#define ROW(code, wire, blame, retry, text) \
	{wire, X402_BLAME_##blame, X402_RETRY_##retry, text},
	X402_REASON_MAP(ROW)
#undef ROW
};

static bool in_range(enum x402_reason reason)
{
	return (unsigned)reason < X402_REASON_COUNT;
}

const char *x402_reason_wire(enum x402_reason reason)
{
	return in_range(reason) ? reasons[reason].wire : "";
}

const char *x402_reason_text(enum x402_reason reason)
{
	return in_range(reason) ? reasons[reason].text : "unknown reason";
}

enum x402_blame x402_reason_blame(enum x402_reason reason)
{
	return in_range(reason) ? reasons[reason].blame : X402_BLAME_US;
}

enum x402_retry x402_reason_retry(enum x402_reason reason)
{
	return in_range(reason) ? reasons[reason].retry : X402_RETRY_NEVER;
}

/* The column "also seen" of protocol.md 7.3. */
static const struct {
	const char *wire;
	enum x402_reason reason;
} also_seen[] = {
	{"invalid_exact_evm_unsupported_scheme", X402_REASON_EVM_SCHEME},
	{"missing_eip712_domain", X402_REASON_EVM_MISSING_EIP712_DOMAIN},
	{"invalid_exact_evm_extra_field",
		X402_REASON_EVM_MISSING_EIP712_DOMAIN},
	{"invalid_exact_evm_payload_signature", X402_REASON_EVM_SIGNATURE},
	{"invalid_exact_evm_signature_format", X402_REASON_EVM_SIGNATURE},
	{"invalid_exact_evm_failed_to_parse_signature",
		X402_REASON_EVM_SIGNATURE},
	{"invalid_exact_evm_failed_to_verify_signature",
		X402_REASON_EVM_SIGNATURE},
	{"invalid_exact_evm_payload_missing_signature",
		X402_REASON_EVM_SIGNATURE},
	{"invalid_exact_evm_payload_recipient_mismatch",
		X402_REASON_EVM_RECIPIENT_MISMATCH},
	{"invalid_exact_evm_authorization_value",
		X402_REASON_EVM_VALUE_MISMATCH},
	{"invalid_exact_evm_payload_authorization_value",
		X402_REASON_EVM_VALUE_MISMATCH},
	{"invalid_exact_evm_failed_to_check_deployment",
		X402_REASON_EVM_UNDEPLOYED_SMART_WALLET},
	{"invalid_exact_evm_failed_to_check_nonce",
		X402_REASON_EVM_NONCE_ALREADY_USED},
	{"invalid_exact_evm_failed_to_get_asset_info",
		X402_REASON_EVM_TOKEN_NAME_MISMATCH},
	{"invalid_exact_evm_insufficient_funds",
		X402_REASON_EVM_INSUFFICIENT_BALANCE},
	{"invalid_exact_evm_failed_to_get_balance",
		X402_REASON_EVM_INSUFFICIENT_BALANCE},
	{"invalid_exact_evm_verification_failed",
		X402_REASON_EVM_SIMULATION_FAILED},
	{"transaction_failed", X402_REASON_EVM_TRANSACTION_FAILED},
	{"invalid_exact_evm_failed_to_execute_transfer",
		X402_REASON_EVM_TRANSACTION_FAILED},
	{"invalid_exact_evm_failed_to_get_receipt",
		X402_REASON_EVM_TRANSACTION_FAILED},
	{"invalid_exact_evm_transaction_state",
		X402_REASON_EVM_TRANSACTION_FAILED},
	{"invalid_exact_evm_payload", X402_REASON_UNSUPPORTED_PAYLOAD_TYPE},
	{"PERMIT2_ALLOWANCE_REQUIRED", X402_REASON_PERMIT2_ALLOWANCE_REQUIRED},
	/* protocol.md 7.8: the same without the prefix, and Go's own. */
	{"fee_payer_not_managed_by_facilitator",
		X402_REASON_SVM_FEE_PAYER_NOT_MANAGED},
	{"network_mismatch", X402_REASON_SVM_NETWORK_MISMATCH},
	{"transaction_simulation_failed", X402_REASON_SVM_SIMULATION_FAILED},
	{"invalid_exact_svm_payload_fee_payer_mismatch",
		X402_REASON_SVM_FEE_PAYER_MISMATCH},
	{"invalid_exact_svm_payload_amount_insufficient",
		X402_REASON_SVM_AMOUNT_MISMATCH},
	{"invalid_exact_svm_payload_unknown_seventh_instruction",
		X402_REASON_SVM_UNKNOWN_OPTIONAL},
	{"invalid_exact_svm_verification_failed",
		X402_REASON_SVM_SIMULATION_FAILED},
};

/* Equal, or followed by ": text" as the reference does (section 7). */
static bool same_code(const char *wire, const char *code)
{
	size_t len = strlen(code);

	return len > 0 && strncmp(wire, code, len) == 0 &&
		(wire[len] == '\0' || wire[len] == ':');
}

bool x402_reason_from_wire(const char *wire, enum x402_reason *ret_reason)
{
	static const char go_prefix[] = "invalid_exact_solana_";
	static const char prefix[] = "invalid_exact_svm_";
	char renamed[160];

	if (!wire)
		return false;
	/* protocol.md 7.8: Go spells the family in full. */
	if (strncmp(wire, go_prefix, sizeof(go_prefix) - 1) == 0) {
		(void)snprintf(renamed, sizeof(renamed), "%s%s", prefix,
			wire + sizeof(go_prefix) - 1);
		wire = renamed;
	}
	for (int i = 1; i < X402_REASON_COUNT; i++) {
		if (same_code(wire, reasons[i].wire)) {
			*ret_reason = (enum x402_reason)i;
			return true;
		}
	}
	for (size_t i = 0; i < sizeof(also_seen) / sizeof(also_seen[0]); i++) {
		if (same_code(wire, also_seen[i].wire)) {
			*ret_reason = also_seen[i].reason;
			return true;
		}
	}
	return false;
}

const char *x402_retry_wire(enum x402_retry retry)
{
	switch (retry) {
	case X402_RETRY_NEVER:
		return "do_not_retry";
	case X402_RETRY_SAME:
		return "retry_same";
	case X402_RETRY_FRESH:
		return "retry_fresh";
	case X402_RETRY_WAIT:
		return "wait";
	}
	return "do_not_retry";
}

void x402_errinfo_set(
	struct x402_errinfo *info, const char *field, const char *fmt, ...)
{
	va_list args;

	if (!info)
		return;
	(void)snprintf(info->field, sizeof(info->field), "%s", field);
	va_start(args, fmt);
	(void)vsnprintf(info->text, sizeof(info->text), fmt, args);
	va_end(args);
}
