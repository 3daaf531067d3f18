/*
 * Proofs of transfers. Input that begins with '0' is a header: what was read
 * is written, and read again the same. Any other is what a chain says of a
 * transaction: never valid unless the token's own log moved enough from its
 * sender to the payee, in a plain call, in time, and deep enough.
 */
#include "fuzz_house.h"

#include "x402/proof.h"

#define NOW 1800000000

static const char request_text[] =
	"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
	"\"accepted\":{\"scheme\":\"proof\",\"network\":\"eip155:1\","
	"\"amount\":\"1000\",\"asset\":"
	"\"0x0101010101010101010101010101010101010101\",\"payTo\":"
	"\"0x0202020202020202020202020202020202020202\","
	"\"maxTimeoutSeconds\":600,\"extra\":{}},\"payload\":{\"transaction\":"
	"\"0xabababababababababababababababababababababababababababababababab\""
	"}},\"paymentRequirements\":{\"scheme\":\"proof\",\"network\":"
	"\"eip155:1\",\"amount\":\"1000\",\"asset\":"
	"\"0x0101010101010101010101010101010101010101\",\"payTo\":"
	"\"0x0202020202020202020202020202020202020202\","
	"\"maxTimeoutSeconds\":600,\"extra\":{\"bound\":false,\"issuedAt\":"
	"1799999900,\"reference\":"
	"\"0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\""
	"}}}";

static void read_header(const char *text)
{
	struct x402_proof_payload payload = {.bound = false};
	struct x402_proof_payload again;
	char out[X402_PROOF_HEADER_SIZE];
	uint8_t reference[32];
	uint8_t reference_again[32];

	if (x402_proof_header_read(text, reference, &payload) != X402_OK)
		return;
	x402_proof_header_format(reference, &payload, out);
	must(x402_proof_header_read(out, reference_again, &again) == X402_OK);
	must(memcmp(reference, reference_again, 32) == 0);
	must(payload.bound == again.bound);
	must(memcmp(payload.transaction32, again.transaction32, 32) == 0);
	must(!again.bound || memcmp(payload.sig65, again.sig65, 65) == 0);
}

/* ---- A chain, from bytes; what is missing is zero. ---- */

static const uint8_t *at;
static size_t left;

static uint8_t byte(void)
{
	if (!left)
		return 0;
	left--;
	return *at++;
}

/* One of few, so that two of them are often the same. */
static struct x402_address account(void)
{
	struct x402_address address;

	memset(address.bytes, byte() % 4, sizeof(address.bytes));
	return address;
}

static void word_of(uint8_t word[32], uint8_t kind)
{
	struct x402_address address = account();

	memset(word, 0, 32);
	word[0] = kind == 1;
	memcpy(word + 12, address.bytes, 20);
}

#define LOGS_MAX 4
static struct x402_log logs[LOGS_MAX];
static uint8_t values[LOGS_MAX][32];
static uint8_t input[68];

static void read_log(size_t i)
{
	static const uint8_t transfer[32] = {0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2,
		0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa,
		0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5,
		0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef};
	struct x402_u256 value;

	logs[i].address = account();
	memcpy(logs[i].topics[0], transfer, 32);
	logs[i].topics[0][31] = (uint8_t)(transfer[31] ^ (byte() > 200));
	word_of(logs[i].topics[1], byte());
	word_of(logs[i].topics[2], byte());
	logs[i].topics_len = byte() > 240 ? byte() % 5 : 3;
	value = x402_u256_from_u64((uint64_t)byte() * 8);
	x402_u256_to_be32(&value, values[i]);
	logs[i].data = x402_span(values[i], byte() > 240 ? 31 : 32);
}

static struct x402_mined read_mined(void)
{
	struct x402_mined mined = {.found = byte() < 250};

	mined.from = account();
	mined.to = account();
	memcpy(input, "\xa9\x05\x9c\xbb", 4);
	input[0] = (uint8_t)(input[0] ^ (byte() > 240));
	word_of(input + 4, byte());
	mined.input = x402_span(input, byte() > 240 ? 67 : 68);
	mined.receipt.success = byte() < 240;
	mined.receipt.block_number = byte();
	mined.head_number = byte();
	mined.timestamp_unix_s = NOW - 200 + (uint64_t)byte() * 4;
	mined.receipt.logs = logs;
	mined.receipt.logs_len = byte() % (LOGS_MAX + 1);
	for (size_t i = 0; i < mined.receipt.logs_len; i++)
		read_log(i);
	return mined;
}

/* What must be true of a payment, said again in other words. */
static void check_valid(const struct x402_mined *mined)
{
	static const struct x402_address token = {
		{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};
	uint64_t moved = 0;

	must(mined->found && mined->receipt.success);
	must(x402_address_equal(&mined->to, &token));
	must(mined->from.bytes[0] != 2 && input[0] == 0xa9 && input[35] == 2);
	must(mined->receipt.block_number + 12 <= mined->head_number);
	must(mined->timestamp_unix_s >= NOW - 100 - 15);
	must(mined->timestamp_unix_s <= NOW - 100 + 600);
	for (size_t i = 0; i < mined->receipt.logs_len; i++)
		if (x402_address_equal(&logs[i].address, &token) &&
			logs[i].topics[0][31] == 0xef &&
			logs[i].topics[1][31] == mined->from.bytes[0] &&
			logs[i].topics[2][31] == 2)
			moved += (uint64_t)values[i][30] << 8 | values[i][31];
	must(moved >= 1000);
}

static void judge(void)
{
	struct x402_facilitator_request request;
	struct x402_verify_options options = {.now_unix_s = NOW};
	struct x402_verify_plan plan;
	struct x402_json *json = NULL;
	struct x402_mined mined = read_mined();
	struct x402_chain_answer answer = {
		.status = X402_ANSWER_OK, .mined = &mined};

	must(x402_json_parse(x402_span_str(request_text), NULL, NULL, &json) ==
		X402_OK);
	must(x402_facilitator_request_read(json, NULL, &request) == X402_OK);
	x402_json_unref(json);
	must(x402_verify_plan(&request, &options, &plan) == X402_OK);
	must(!plan.decided && plan.reads_len == 1);
	must(x402_verify_judge(&plan, &answer, 1) == X402_OK);
	must(plan.decided);
	if (plan.verdict.valid)
		check_valid(&mined);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;

	if (size > 0 && data[0] != '0') {
		at = data;
		left = size;
		judge();
		return 0;
	}
	text = fuzz_text(data, size);
	if (text)
		read_header(text);
	free(text);
	return 0;
}
