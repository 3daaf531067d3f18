/*
 * EIP-3009 payloads: what is read is written and read again as the same, has
 * one digest, and becomes calldata of the form that its signature asks for.
 */
#include "fuzz_house.h"

static bool same_authorization(const struct x402_eip3009_authorization *a,
	const struct x402_eip3009_authorization *b)
{
	return x402_address_equal(&a->from, &b->from) &&
		x402_address_equal(&a->to, &b->to) &&
		x402_u256_cmp(&a->value, &b->value) == 0 &&
		x402_u256_cmp(&a->valid_after, &b->valid_after) == 0 &&
		x402_u256_cmp(&a->valid_before, &b->valid_before) == 0 &&
		memcmp(a->nonce32, b->nonce32, 32) == 0;
}

static void must_come_back(const struct x402_eip3009_payload *payload)
{
	static const uint8_t separator[32] = {1};
	struct x402_eip3009_payload again;
	struct x402_json *json = NULL;
	uint8_t digest[32];
	uint8_t digest_again[32];

	if (x402_eip3009_payload_to_json(payload, &json) != X402_OK)
		return;
	must(x402_eip3009_payload_read(json, NULL, &again) == X402_OK);
	must(same_authorization(&payload->authorization, &again.authorization));
	must(payload->signature.len == again.signature.len);
	must(again.signature.len == 0 ||
		memcmp(payload->signature.ptr, again.signature.ptr,
			again.signature.len) == 0);
	x402_eip3009_digest(&payload->authorization, separator, digest);
	x402_eip3009_digest(&again.authorization, separator, digest_again);
	must(memcmp(digest, digest_again, 32) == 0);
	x402_eip3009_payload_clear(&again);
	x402_json_unref(json);
}

/* The transfer's words, read by the readers that answers are read with. */
static void must_have_calldata(const struct x402_eip3009_payload *payload)
{
	const struct x402_eip3009_authorization *auth = &payload->authorization;
	struct x402_eip3009_authorization again;
	struct x402_buf buf = {0};
	struct x402_span words;
	struct x402_span bytes;
	size_t len = payload->signature.len;

	x402_eip3009_transfer_calldata(
		auth, x402_buf_span(&payload->signature), &buf);
	if (buf.failed) {
		x402_buf_clear(&buf);
		return;
	}
	words = x402_span(buf.ptr + 4, buf.len - 4);
	must(x402_abi_read_address(words, 0, &again.from) == X402_OK);
	must(x402_abi_read_address(words, 1, &again.to) == X402_OK);
	must(x402_abi_read_u256(words, 2, &again.value) == X402_OK);
	must(x402_abi_read_u256(words, 3, &again.valid_after) == X402_OK);
	must(x402_abi_read_u256(words, 4, &again.valid_before) == X402_OK);
	must(x402_abi_read_word(words, 5, again.nonce32) == X402_OK);
	must(same_authorization(auth, &again));
	if (len == 65) {
		must(words.len == 9 * 32);
	} else {
		must(x402_abi_read_bytes(words, 6, &bytes) == X402_OK);
		must(bytes.len == len);
		must(words.len == 8 * 32 + (len + 31) / 32 * 32);
	}
	x402_buf_clear(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_eip3009_payload payload;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json *json = NULL;
	enum x402_err err;

	if (x402_json_parse(x402_span(data, size), NULL, NULL, &json))
		return 0;
	err = x402_eip3009_payload_read(json, &info, &payload);
	if (err == X402_OK) {
		must(payload.signature.len <= X402_SIGNATURE_MAX_BYTES);
		must_come_back(&payload);
		must_have_calldata(&payload);
		x402_eip3009_payload_clear(&payload);
	} else if (err != X402_ERR_NOMEM) {
		/* Who sent it is told which field, and why. */
		must(strncmp(info.field, "payload.", 8) == 0);
		must(info.text[0] != '\0');
	}
	x402_json_unref(json);
	return 0;
}
