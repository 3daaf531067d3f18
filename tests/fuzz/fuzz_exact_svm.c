/*
 * exact on Solana against a hostile payer: the bytes of a transaction for one
 * fixed offer. Whatever is not refused offline was signed by its payer, moves
 * the amount to the payee, and hands no program the fee payer.
 *
 * Random bytes carry no signature. So that the rules behind it are reached,
 * the input is signed here by the payer where it names it: the fuzzer is the
 * payer, who may sign anything.
 */
#include "fuzz_house.h"

#define REQUEST                                                         \
	"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"     \
	"\"accepted\":" OFFER ",\"payload\":{\"transaction\":\"%s\"}}," \
	"\"paymentRequirements\":" OFFER "}"
#define OFFER                                                         \
	"{\"scheme\":\"exact\","                                      \
	"\"network\":\"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1\","    \
	"\"amount\":\"1000\","                                        \
	"\"asset\":\"4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU\"," \
	"\"payTo\":\"GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse\"," \
	"\"maxTimeoutSeconds\":60,\"extra\":{\"feePayer\":"           \
	"\"AKnL4NNf3DGWZJS6cPknBuEGnVsV4A4m5tgebLHaRSZ9\"}}"

static void sign_as_payer(uint8_t *bytes, size_t size)
{
	struct x402_svm_transaction t;
	struct x402_svm_secret secret;
	struct x402_pubkey key;
	uint8_t seed[32];

	memset(seed, 2, sizeof(seed));
	if (x402_svm_transaction_read(x402_span(bytes, size), &t) != X402_OK ||
		t.required_signatures < 2 ||
		x402_svm_secret_from_seed(seed, &secret) != X402_OK)
		return;
	key = x402_svm_secret_pubkey(&secret);
	if (x402_pubkey_equal(&key, &t.keys[1]))
		must(x402_ed25519_sign(&secret, t.message, bytes + 65) ==
			X402_OK);
}

/* It was not refused: is it what the sponsor may sign? */
static void check_admitted(const uint8_t *bytes, size_t size)
{
	struct x402_svm_transaction t;
	struct x402_pubkey payee;
	struct x402_pubkey mint;
	struct x402_pubkey ata;
	const struct x402_svm_instruction *transfer = &t.instructions[2];
	uint8_t bump;

	must(x402_svm_transaction_read(x402_span(bytes, size), &t) == X402_OK);
	must(t.required_signatures == 2);
	must(x402_ed25519_verify(t.signatures.ptr + 64, t.message, &t.keys[1]));
	must(t.instructions_len >= 3 && t.instructions_len <= 7);
	for (size_t i = 0; i < t.instructions_len; i++)
		for (size_t j = 0; j < t.instructions[i].accounts.len; j++)
			must(t.instructions[i].accounts.ptr[j] != 0);
	must(memcmp(transfer->data.ptr, "\x0c\xe8\x03\0\0\0\0\0\0", 9) == 0);
	must(x402_pubkey_parse("GyGKxMyg1p9SsHfm15MkNUu1u9TN2JtTspcdmrtGUdse",
		     &payee) == X402_OK);
	must(x402_pubkey_parse("4zMMC9srt5Ri5X14GAgXhaHii3GnPAEERYPJgZJDncDU",
		     &mint) == X402_OK);
	must(x402_svm_ata(
		&payee, &t.keys[transfer->program], &mint, &ata, &bump));
	must(x402_pubkey_equal(&t.keys[transfer->accounts.ptr[2]], &ata));
	must(transfer->accounts.ptr[3] == 1);
}

static void try_request(const char *text, const uint8_t *bytes, size_t size)
{
	struct x402_facilitator_request request;
	struct x402_verify_options options = {.now_unix_s = 1};
	struct x402_verify_plan plan;
	struct x402_json *json = NULL;
	bool ok = x402_json_parse(x402_span_str(text), NULL, NULL, &json) ==
			X402_OK &&
		x402_facilitator_request_read(json, NULL, &request) == X402_OK;

	x402_json_unref(json);
	if (!ok)
		return;
	if (x402_verify_plan(&request, &options, &plan) == X402_OK) {
		must(!plan.decided || !plan.verdict.valid);
		if (!plan.decided)
			check_admitted(bytes, size);
		x402_verify_plan_clear(&plan);
	}
	x402_facilitator_request_clear(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_buf base64 = {0};
	struct x402_buf text = {0};
	uint8_t *bytes;
	char *transaction;

	if (size == 0 || size > X402_SVM_TRANSACTION_MAX)
		return 0;
	bytes = malloc(size);
	if (!bytes)
		return 0;
	memcpy(bytes, data, size);
	sign_as_payer(bytes, size);
	x402_base64_encode(x402_span(bytes, size), &base64);
	transaction = x402_buf_take_str(&base64);
	if (transaction)
		x402_buf_printf(&text, REQUEST, transaction);
	x402_buf_add_byte(&text, 0);
	if (!text.failed && transaction)
		try_request((const char *)text.ptr, bytes, size);
	x402_buf_clear(&text);
	free(transaction);
	free(bytes);
	return 0;
}
