/*
 * A stranger's signed transaction in every form: what decodes is within the
 * bytes, has their hash, and an approve() in it is read as it was written. As
 * the extension's JSON it comes back the same.
 */
#include "fuzz_house.h"

static void must_come_back(const struct x402_approval *approval)
{
	struct x402_json *all = x402_json_new_object();
	struct x402_json *extension = x402_json_new_object();
	struct x402_json *info = NULL;
	struct x402_approval again;

	must(all && extension &&
		x402_approval_to_json(approval, &info) == X402_OK &&
		x402_json_set_take(extension, "info", info) == X402_OK &&
		x402_json_set_take(all, "erc20ApprovalGasSponsoring",
			extension) == X402_OK);
	must(x402_approval_read(all, NULL, &again) == X402_OK);
	must(again.raw.len == approval->raw.len &&
		memcmp(again.raw.ptr, approval->raw.ptr, again.raw.len) == 0);
	x402_approval_clear(&again);
	x402_json_unref(all);
}

static void must_be_sound(
	const struct x402_approval *approval, struct x402_span raw)
{
	const struct x402_foreign_transaction *tx = &approval->transaction;
	struct x402_address spender;
	struct x402_u256 amount;
	struct x402_buf call = {0};
	uint8_t hash[32];

	x402_keccak256(raw, hash);
	must(memcmp(hash, tx->hash32, 32) == 0);
	must(tx->plain.data.len == 0 ||
		(tx->plain.data.ptr > raw.ptr &&
			tx->plain.data.ptr + tx->plain.data.len <
				raw.ptr + raw.len));
	must(tx->sig65[64] == 27 || tx->sig65[64] == 28);
	if (x402_approval_calldata_read(tx->plain.data, &spender, &amount))
		return;
	x402_approval_calldata(&spender, &amount, &call);
	must(call.len == tx->plain.data.len &&
		memcmp(call.ptr, tx->plain.data.ptr, call.len) == 0);
	x402_buf_clear(&call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_approval approval = {0};

	if (size == 0 || size > X402_APPROVAL_RAW_MAX)
		return 0;
	x402_buf_add(&approval.raw, x402_span(data, size));
	if (!approval.raw.failed) {
		must_come_back(&approval);
		if (x402_approval_decode(&approval) == X402_OK)
			must_be_sound(&approval, x402_buf_span(&approval.raw));
	}
	x402_approval_clear(&approval);
	return 0;
}
