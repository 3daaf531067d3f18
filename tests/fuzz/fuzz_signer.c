/*
 * The signer's line: whatever comes, one line goes back, and a signature only
 * with "ok". The wallet is a constant that signs everything, so what keeps
 * signatures back is the core alone: its policy caps a payment at a cent.
 */
#include "fuzz_house.h"
#include "x402/signer.h"

/* What would leave the wallet, and until when. */
static struct x402_u256 terms_of(
	const struct x402_signable *signable, struct x402_u256 *ret_end)
{
	switch (signable->kind) {
	case X402_SIGNABLE_EIP3009:
		*ret_end = signable->eip3009->valid_before;
		return signable->eip3009->value;
	case X402_SIGNABLE_PERMIT2:
		must(x402_address_equal(&signable->permit2->spender,
			x402_permit2_proxy(signable->permit2->kind)));
		*ret_end = signable->permit2->deadline;
		return signable->permit2->amount;
	case X402_SIGNABLE_EIP2612:
		must(x402_address_equal(
			&signable->eip2612->spender, x402_permit2_contract()));
		*ret_end = signable->eip2612->deadline;
		return signable->eip2612->value;
	case X402_SIGNABLE_APPROVAL: /* no line asks for one */
	case X402_SIGNABLE_SVM:
	case X402_SIGNABLE_PROOF:
	case X402_SIGNABLE_TRANSFER:
		break;
	}
	must(false); /* another wallet's */
	return x402_u256_from_u64(0);
}

static enum x402_err sign(void *user, const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	static const uint8_t sig65[65] = {1};
	struct x402_u256 cent = x402_u256_from_u64(10000);
	struct x402_u256 most = x402_u256_from_u64(1795239000 + 3600);
	struct x402_u256 end;
	struct x402_u256 value = terms_of(signing->signable, &end);

	(void)user;
	must(x402_u256_cmp(&end, &most) <= 0);
	/* Every dollar token of the table has six decimals or more. */
	if (signing->signable->domain->chain_id == 84532)
		must(x402_u256_cmp(&value, &cent) <= 0);
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return X402_OK;
}

/* TransferChecked's amount is where the template has it. */
static enum x402_err sign_svm(void *user,
	const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	static const uint8_t sig64[64] = {1};
	struct x402_span message = signing->signable->svm_message;
	static const uint8_t head[4] = {0x80, 2, 1};

	(void)user;
	must(message.len > 300 && memcmp(message.ptr, head, 3) == 0);
	x402_buf_add(ret_signature, x402_span(sig64, sizeof(sig64)));
	return X402_OK;
}

/* Every line of it in its place: the place it is for, and our wallet's. */
static enum x402_err sign_text(
	void *user, const char *text, struct x402_buf *ret_signature)
{
	static const uint8_t sig65[65] = {1};
	static const char head[] =
		" wants you to sign in with your Ethereum account:\n"
		"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC\n\n";
	const char *at = strstr(text, head);

	(void)user;
	must(at && at > text && strcspn(text, "\n") > (size_t)(at - text));
	at = strstr(at, "\nURI: ");
	must(at && !strstr(at + 1, "\nURI: "));
	must(strncmp(at + 1 + strcspn(at + 1, "\n"), "\nVersion: 1\n", 12) ==
		0);
	for (; *text; text++)
		must((unsigned char)*text >= 0x20 || *text == '\n');
	x402_buf_add(ret_signature, x402_span(sig65, sizeof(sig65)));
	return X402_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct x402_signer_core *core;
	static struct x402_client_signer wallet = {
		.sign = sign, .sign_text = sign_text};
	static struct x402_client_svm_signer svm = {.sign = sign_svm};
	struct x402_buf answer = {0};

	if (!core) {
		struct x402_signer_core_options options = {.wallet = &wallet,
			.svm_wallet = &svm,
			.policy = {.max_usd_micros = 10000, .sign_in = true},
			.state_directory = "/tmp/x402-fuzz-signer"};

		must(x402_address_parse(
			     "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
			     &wallet.address) == X402_OK);
		must(x402_pubkey_parse(
			     "9hSR6S7WPtxmTojgo6GG3k4yDPecgJY292j7xrsUGWBu",
			     &svm.address) == X402_OK);
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
