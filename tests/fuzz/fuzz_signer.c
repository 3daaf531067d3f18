/*
 * The signer's line: whatever comes, one line goes back, and a signature only
 * with "ok". The wallet is a constant that signs everything, so what keeps
 * signatures back is the core alone: its policy caps a payment at a cent.
 */
#include "fuzz_house.h"
#include "x402/signer.h"

static enum x402_err sign(void *user, const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	static const uint8_t sig65[65] = {1};
	struct x402_u256 cent = x402_u256_from_u64(10000);
	const struct x402_eip3009_authorization *auth =
		signing->signable->eip3009;

	(void)user;
	must(signing->signable->kind == X402_SIGNABLE_EIP3009);
	must(signing->valid_before_unix_s <= 1795239000 + 3600);
	/* Every dollar token of the table has six decimals or more. */
	if (signing->signable->domain->chain_id == 84532)
		must(x402_u256_cmp(&auth->value, &cent) <= 0);
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return X402_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct x402_signer_core *core;
	static struct x402_client_signer wallet = {.sign = sign};
	struct x402_buf answer = {0};

	if (!core) {
		struct x402_signer_core_options options = {.wallet = &wallet,
			.policy = {.max_usd_micros = 10000},
			.state_directory = "/tmp/x402-fuzz-signer"};

		must(x402_address_parse(
			     "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
			     &wallet.address) == X402_OK);
		must(x402_signer_core_new(&options, NULL, &core) == X402_OK);
	}
	x402_signer_core_answer(
		core, x402_span(data, size), 1795239000, &answer);
	must(!answer.failed && answer.len > 2);
	must(answer.ptr[answer.len - 1] == '\n');
	must(memchr(answer.ptr, '\n', answer.len) ==
		answer.ptr + answer.len - 1);
	x402_buf_clear(&answer);
	return 0;
}
