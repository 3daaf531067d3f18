/*
 * The scheme proof on recorded answers: a transfer that was sent already, and
 * everybody who would like to show somebody else's, or his own twice. A case
 * takes a good proof, changes one thing, signs again where the payer would,
 * and says what must come out.
 */
#include "cmocka_house.h"

#include "x402/proof.h"
#include "x402/scheme.h"

#include <stdio.h>

#define NOW      1800000000
#define TOKEN    "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE    "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define STRANGER "0x15d34AAf54267DB7D7c367839AAf71A00a2C6A65"
#define URL      "https://shop.example/article"
#define REF      "0x1111111111111111111111111111111111111111111111111111111111111111"
#define OTHERREF \
	"0x2222222222222222222222222222222222222222222222222222222222222222"

static struct x402_secp256k1 *secp;
static struct x402_secret key;
static struct x402_address payer;

static int setup(void **state)
{
	uint8_t seed[32] = {3};

	(void)state;
	return x402_secp256k1_new(seed, &secp) ||
			x402_secret_parse("5de4111afa1a4b94908f83103eb1f1706367"
					  "c2e68ca870fc3fb9a804cdab365a",
				&key) ||
			x402_secret_address(secp, &key, &payer)
		? -1
		: 0;
}

static int teardown(void **state)
{
	(void)state;
	x402_secp256k1_free(secp);
	return 0;
}

static struct x402_address address(const char *text)
{
	struct x402_address value;

	assert_int_equal(x402_address_parse(text, &value), X402_OK);
	return value;
}

/* ---- A proof, before it is written down. ---- */

#define LOGS_MAX 4
struct proof {
	/* The seller's. */
	const char *scheme, *network, *asset, *pay_to, *amount, *extra;
	int max_timeout;
	/* What the payer signs, where it is not the seller's. */
	const char *signed_reference, *signed_url, *signed_amount;
	const char *signed_pay_to;
	uint64_t signed_chain;
	bool signed_other_hash;
	/* The payload. */
	const char *accepted_scheme, *accepted_network, *url;
	const char *payload; /* JSON instead */
	bool unbound;
	struct x402_address shown_payer;
	/* The facilitator's. */
	struct x402_verify_options options;
	/* The chain's. */
	enum x402_answer_status status;
	struct x402_mined mined;
	struct x402_log logs[LOGS_MAX];
	uint8_t input[100];
	uint8_t values[LOGS_MAX][32];
};

static void topic_of(const struct x402_address *address, uint8_t topic[32])
{
	memset(topic, 0, 12);
	memcpy(topic + 12, address->bytes, 20);
}

/* Transfer(from, to, value) of TOKEN as log number at. */
static void set_transfer(struct proof *p, size_t at,
	const struct x402_address *from, const char *to, uint64_t value)
{
	static const uint8_t transfer[4] = {0xdd, 0xf2, 0x52, 0xad};
	struct x402_log *log = &p->logs[at];
	struct x402_address payee = address(to);
	struct x402_u256 amount = x402_u256_from_u64(value);

	memcpy(log->topics[0],
		"\xdd\xf2\x52\xad\x1b\xe2\xc8\x9b\x69\xc2\xb0\x68\xfc\x37\x8d"
		"\xaa\x95\x2b\xa7\xf1\x63\xc4\xa1\x16\x28\xf5\x5a\x4d\xf5\x23"
		"\xb3\xef",
		32);
	assert_memory_equal(log->topics[0], transfer, 4);
	log->address = address(TOKEN);
	topic_of(from, log->topics[1]);
	topic_of(&payee, log->topics[2]);
	log->topics_len = 3;
	x402_u256_to_be32(&amount, p->values[at]);
	log->data = x402_span(p->values[at], 32);
}

static void set_call(struct proof *p, const char *to, const char *payee)
{
	struct x402_address account = address(payee);

	p->mined.to = address(to);
	memcpy(p->input, "\xa9\x05\x9c\xbb", 4);
	topic_of(&account, p->input + 4);
	p->mined.input = x402_span(p->input, 4 + 2 * 32);
}

static struct proof good(void)
{
	struct proof p = {.scheme = "proof",
		.network = "eip155:84532",
		.asset = TOKEN,
		.pay_to = PAYEE,
		.amount = "1000",
		.extra = "{\"reference\":\"" REF "\",\"issuedAt\":1799999900}",
		.max_timeout = 600,
		.accepted_scheme = "proof",
		.accepted_network = "eip155:84532",
		.signed_reference = REF,
		.signed_url = URL,
		.signed_amount = "1000",
		.signed_pay_to = PAYEE,
		.signed_chain = 84532,
		.url = URL,
		.shown_payer = payer,
		.options = {.now_unix_s = NOW, .proof_depth = 3}};

	p.mined = (struct x402_mined){.found = true,
		.from = payer,
		.timestamp_unix_s = NOW - 50,
		.head_number = 103,
		.receipt = {
			.success = true, .block_number = 100, .logs_len = 1}};
	set_call(&p, TOKEN, PAYEE);
	set_transfer(&p, 0, &payer, PAYEE, 1000);
	return p;
}

#define HASH_BYTE 0xab

static void payload_text(const struct proof *p, char *text, size_t size)
{
	struct x402_proof_payload payload = {
		.bound = !p->unbound, .payer = p->shown_payer};
	struct x402_proof_terms terms = {.chain_id = p->signed_chain,
		.asset = address(TOKEN),
		.pay_to = address(p->signed_pay_to),
		.resource = p->signed_url};
	struct x402_json *json;
	uint8_t digest[32];
	char *dumped;

	memset(payload.transaction32, HASH_BYTE, 32);
	memset(terms.transaction32, p->signed_other_hash ? 0xac : HASH_BYTE,
		32);
	assert_int_equal(
		x402_u256_from_dec(p->signed_amount, &terms.amount), X402_OK);
	memset(terms.reference32, p->signed_reference[2] == '1' ? 0x11 : 0x22,
		32);
	x402_proof_digest(&terms, digest);
	assert_int_equal(
		x402_sign_digest(secp, digest, &key, payload.sig65), X402_OK);
	assert_int_equal(x402_proof_payload_to_json(&payload, &json), X402_OK);
	dumped = x402_json_dump(json);
	snprintf(text, size, "%s", dumped);
	free(dumped);
	x402_json_unref(json);
}

static struct x402_json *request_json(const struct proof *p)
{
	static char payload[1024];
	static char text[8192];
	struct x402_json *json = NULL;

	if (p->payload)
		snprintf(payload, sizeof(payload), "%s", p->payload);
	else
		payload_text(p, payload, sizeof(payload));
	snprintf(text, sizeof(text),
		"{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
		"\"resource\":{\"url\":\"%s\"},\"accepted\":{\"scheme\":\"%s\","
		"\"network\":\"%s\",\"amount\":\"%s\",\"asset\":\"%s\","
		"\"payTo\":\"%s\",\"maxTimeoutSeconds\":%d,\"extra\":%s},"
		"\"payload\":%s},\"paymentRequirements\":{\"scheme\":\"%s\","
		"\"network\":\"%s\",\"amount\":\"%s\",\"asset\":\"%s\","
		"\"payTo\":\"%s\",\"maxTimeoutSeconds\":%d,\"extra\":%s}}",
		p->url, p->accepted_scheme, p->accepted_network, p->amount,
		p->asset, p->pay_to, p->max_timeout, p->extra, payload,
		p->scheme, p->network, p->amount, p->asset, p->pay_to,
		p->max_timeout, p->extra);
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	return json;
}

/* Runs it; what was decided is in *ret_plan, which the caller clears. */
static enum x402_err judge(const struct proof *p, bool *ret_asked,
	struct x402_facilitator_request *request, struct x402_verify_plan *plan)
{
	struct x402_json *json = request_json(p);
	struct x402_mined mined = p->mined;
	struct x402_chain_answer answer = {.status = p->status,
		.mined = p->status == X402_ANSWER_OK ? &mined : NULL};
	enum x402_err err;

	mined.receipt.logs = p->logs;
	/* The copy in *p may have been made of another. */
	if (mined.input.len)
		mined.input.ptr = p->input;
	assert_int_equal(
		x402_facilitator_request_read(json, NULL, request), X402_OK);
	x402_json_unref(json);
	assert_int_equal(x402_verify_plan(request, &p->options, plan), X402_OK);
	*ret_asked = !plan->decided;
	if (plan->decided)
		return X402_OK;
	assert_int_equal(plan->reads_len, 1);
	assert_int_equal(plan->reads[0].kind, X402_READ_MINED);
	assert_int_equal(plan->reads[0].data.len, 32);
	assert_int_equal(plan->reads[0].data.ptr[31], HASH_BYTE);
	assert_int_equal(plan->reads[0].finalized, p->options.proof_finalized);
	err = x402_verify_judge(plan, &answer, 1);
	return err;
}

static void fix(struct proof *p)
{
	for (size_t i = 0; i < LOGS_MAX; i++)
		if (p->logs[i].data.len)
			p->logs[i].data.ptr = p->values[i];
}

static void assert_reason(
	const struct proof *given, const char *expected, bool asked)
{
	struct proof p = *given;
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	bool was_asked;

	fix(&p);
	assert_int_equal(judge(&p, &was_asked, &request, &plan), X402_OK);
	assert_string_equal(x402_reason_wire(plan.verdict.reason), expected);
	assert_int_equal(plan.verdict.valid, !*expected);
	assert_int_equal(plan.paid, !*expected);
	assert_int_equal(was_asked, asked);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

#define assert_offline(p, expected) assert_reason(p, expected, false)
#define assert_chain(p, expected)   assert_reason(p, expected, true)

static void settle(const struct proof *given, struct x402_settle_plan *ret)
{
	struct proof p = *given;
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	bool asked;

	fix(&p);
	assert_int_equal(judge(&p, &asked, &request, &plan), X402_OK);
	assert_true(plan.verdict.valid);
	assert_int_equal(x402_settle_plan(&plan, ret), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

/* ---- What is good. ---- */

static void test_proof_of_a_plain_transfer_is_good(void **state)
{
	struct proof p = good();
	struct x402_settle_plan plan;
	uint64_t moved;

	(void)state;
	assert_chain(&p, "");
	set_transfer(&p, 0, &payer, PAYEE, 1700); /* more is enough */
	settle(&p, &plan);
	assert_true(plan.paid);
	assert_int_equal(plan.paid_block_number, 100);
	assert_true(x402_u256_to_u64(&plan.amount, &moved));
	assert_int_equal(moved, 1700);
	assert_true(x402_address_equal(&plan.payer, &payer));
	assert_int_equal(plan.nonce32[0], HASH_BYTE);
	assert_int_equal(plan.calldata.len, 0);
	assert_int_equal(
		plan.valid_before_unix_s, NOW - 50 + X402_PROOF_LIFE_S);
	x402_settle_plan_clear(&plan);
}

/* One transaction, one purchase: nothing else may be in the key. */
static void test_proof_key_is_the_transaction_alone(void **state)
{
	struct proof p = good();
	struct x402_settle_plan first;
	struct x402_settle_plan second;

	(void)state;
	settle(&p, &first);
	assert_key_is(first.key.bytes,
		"0xb669652775fb9ec7ceef50c4a908a18084d0dc83889f2c68d1ade1315307"
		"68f9");
	p.extra = "{\"reference\":\"" OTHERREF "\",\"issuedAt\":1799999901,"
		  "\"bound\":false}";
	p.url = "https://other.example/";
	p.amount = "10";
	p.unbound = true;
	settle(&p, &second);
	assert_memory_equal(first.key.bytes, second.key.bytes, 32);
	p.network = p.accepted_network = "eip155:8453";
	settle(&p, &second);
	assert_memory_not_equal(first.key.bytes, second.key.bytes, 32);
}

/* ---- Who may show it. ---- */

static void test_proof_of_a_stranger_is_refused(void **state)
{
	struct proof p = good();

	(void)state;
	/* Copied from the chain: no key for the payer. */
	p.shown_payer = address(STRANGER);
	assert_offline(&p, "invalid_proof_signature");
	/* Signed by the thief for somebody else's transfer. */
	p = good();
	p.mined.from = address(STRANGER);
	assert_chain(&p, "proof_payer_mismatch");
	p = good();
	p.unbound = true;
	assert_offline(&p, "invalid_proof_signature");
	p.extra = "{\"reference\":\"" REF "\",\"issuedAt\":1799999900,"
		  "\"bound\":true}";
	assert_offline(&p, "invalid_proof_signature");
}

static void test_proof_signature_binds_every_term(void **state)
{
	struct proof p = good();

	(void)state;
	p.signed_reference = OTHERREF;
	assert_offline(&p, "invalid_proof_signature");
	p = good();
	p.signed_other_hash = true;
	assert_offline(&p, "invalid_proof_signature");
	/* Another shop's challenge, passed on as its own. */
	p = good();
	p.signed_url = "https://thief.example/article";
	assert_offline(&p, "invalid_proof_signature");
	p = good();
	p.signed_amount = "999";
	assert_offline(&p, "invalid_proof_signature");
	p = good();
	p.signed_pay_to = STRANGER;
	assert_offline(&p, "invalid_proof_signature");
	p = good();
	p.signed_chain = 8453;
	assert_offline(&p, "invalid_proof_signature");
}

static void test_proof_unbound_needs_both_sides_to_say_so(void **state)
{
	struct proof p = good();

	(void)state;
	p.unbound = true;
	p.extra = "{\"reference\":\"" REF "\",\"issuedAt\":1799999900,"
		  "\"bound\":false}";
	assert_chain(&p, "");
	p.options.proofs = X402_PROOFS_BOUND;
	assert_offline(&p, "invalid_proof_not_taken");
	/* A signed one of such an offer neither: it would burn unsigned. */
	p.unbound = false;
	assert_offline(&p, "invalid_proof_not_taken");
	p = good();
	p.options.proofs = X402_PROOFS_BOUND;
	assert_chain(&p, "");
	p.options.proofs = X402_PROOFS_OFF;
	assert_offline(&p, "invalid_proof_not_taken");
	p = good();
	p.extra = "{\"reference\":\"" REF "\",\"issuedAt\":1799999900,"
		  "\"bound\":\"no\"}";
	assert_offline(&p, "invalid_payment_requirements");
}

/* ---- What it must be. ---- */

static void test_proof_terms_are_checked_offline(void **state)
{
	static const char *const extras[] = {"{}",
		"{\"reference\":\"" REF "\"}",
		"{\"reference\":\"0x11\",\"issuedAt\":1799999900}",
		"{\"reference\":\"" REF "\",\"issuedAt\":\"1799999900\"}",
		"{\"reference\":\"" REF "\",\"issuedAt\":-5}",
		/* A challenge of tomorrow would let today's past pay. */
		"{\"reference\":\"" REF "\",\"issuedAt\":1800000016}"};
	static const char *const payloads[] = {"{\"transaction\":\"0xab\"}",
		"{\"transaction\":7}", "{}",
		"{\"transaction\":\"" REF "\",\"payer\":\"" PAYEE "\"}",
		"{\"transaction\":\"" REF "\",\"signature\":\"0x00\"}"};
	struct proof p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
		p = good();
		p.extra = extras[i];
		assert_offline(&p, "invalid_payment_requirements");
	}
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++) {
		p = good();
		p.payload = payloads[i];
		assert_offline(&p, "invalid_payload");
	}
	p = good();
	p.amount = "0";
	assert_offline(&p, "invalid_payment_requirements");
	p = good();
	p.asset = "0x12";
	assert_offline(&p, "invalid_payment_requirements");
	p = good();
	p.accepted_scheme = "exact";
	assert_offline(&p, "invalid_proof_scheme");
	p = good();
	p.accepted_network = "eip155:8453";
	assert_offline(&p, "invalid_proof_network_mismatch");
	p = good();
	p.network = p.accepted_network =
		"solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1";
	assert_offline(&p, "invalid_network");
}

/*
 * Whatever another scheme settles comes by another call: none of those may be
 * shown here, or one payment would buy two things.
 */
static void test_proof_takes_only_the_payers_own_transfer_call(void **state)
{
	static const char *const selectors[] = {
		"\xe3\xee\x16\x0e", /* transferWithAuthorization */
		"\xcf\x09\x29\x95", /* the same with bytes */
		"\x23\xb8\x72\xdd", /* transferFrom */
		"\x82\xad\x56\xcb" /* aggregate3 */};
	struct proof p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(selectors); i++) {
		p = good();
		memcpy(p.input, selectors[i], 4);
		assert_chain(&p, "proof_not_a_transfer");
	}
	p = good();
	set_call(&p, STRANGER, PAYEE); /* another contract, the right log */
	assert_chain(&p, "proof_not_a_transfer");
	p = good();
	set_call(&p, TOKEN, STRANGER);
	assert_chain(&p, "proof_not_a_transfer");
	p = good();
	p.mined.input.len = 67;
	assert_chain(&p, "proof_not_a_transfer");
	p = good();
	p.input[4] = 1; /* a word that is no address */
	assert_chain(&p, "proof_not_a_transfer");
	p = good();
	memset(&p.mined.to, 0, sizeof(p.mined.to)); /* it made a contract */
	assert_chain(&p, "proof_not_a_transfer");
}

static void test_proof_of_paying_oneself_is_refused(void **state)
{
	struct proof p = good();
	char text[X402_ADDRESS_TEXT_SIZE];

	(void)state;
	x402_address_format(&payer, text);
	p.pay_to = p.signed_pay_to = text;
	set_call(&p, TOKEN, text);
	set_transfer(&p, 0, &payer, text, 1000);
	assert_chain(&p, "proof_not_a_transfer");
}

/* ---- What the token says. ---- */

static void test_proof_is_by_the_tokens_own_log(void **state)
{
	struct x402_address stranger = address(STRANGER);
	struct proof p = good();

	(void)state;
	p.mined.receipt.success = false;
	assert_chain(&p, "proof_transaction_failed");
	p = good();
	p.mined.receipt.logs_len = 0; /* it returned without moving */
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	p.logs[0].address = stranger; /* a fake token's log */
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	set_transfer(&p, 0, &stranger, PAYEE, 1000);
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	set_transfer(&p, 0, &payer, STRANGER, 1000);
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	p.logs[0].topics_len = 4; /* an NFT of that number */
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	p.logs[0].data.len = 31;
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	p.logs[0].topics[0][0] ^= 1;
	assert_chain(&p, "proof_transfer_event_mismatch");
	p = good();
	set_transfer(&p, 0, &payer, PAYEE, 999); /* a fee was kept */
	assert_chain(&p, "proof_amount_too_low");
}

static void test_proof_of_more_than_one_transfer_is_refused(void **state)
{
	struct x402_address stranger = address(STRANGER);
	struct proof p = good();

	(void)state;
	p.mined.receipt.logs_len = 2;
	set_transfer(&p, 1, &payer, PAYEE, 1000);
	assert_chain(&p, "proof_transfer_event_mismatch");
	/* Two halves are not a whole either. */
	set_transfer(&p, 0, &payer, PAYEE, 500);
	set_transfer(&p, 1, &payer, PAYEE, 500);
	assert_chain(&p, "proof_transfer_event_mismatch");
	/* Inside it an authorization was spent: exact has that one. */
	p = good();
	p.mined.receipt.logs_len = 2;
	p.logs[1] = p.logs[0];
	p.values[1][31] = 0;
	memcpy(p.logs[1].topics[0],
		"\x98\xde\x50\x35\x28\xee\x59\xb5\x75\xef\x0c\x0a\x25\x76\xa8"
		"\x24\x97\xbf\xc0\x29\xa5\x68\x5b\x20\x9e\x9e\xc3\x33\x47\x9b"
		"\x10\xa5",
		32);
	assert_chain(&p, "proof_transfer_event_mismatch");
	/* The token's fee to somebody else disturbs nobody. */
	p = good();
	p.mined.receipt.logs_len = 2;
	set_transfer(&p, 1, &payer, STRANGER, 10);
	assert_chain(&p, "");
	set_transfer(&p, 1, &stranger, PAYEE, 10);
	assert_chain(&p, "");
}

/* ---- When, and how deep. ---- */

static void test_proof_must_lie_between_challenge_and_deadline(void **state)
{
	const uint64_t issued = 1799999900;
	struct proof p = good();

	(void)state;
	p.mined.timestamp_unix_s = issued - X402_PROOF_SKEW_S;
	assert_chain(&p, "");
	p.mined.timestamp_unix_s--;
	assert_chain(&p, "proof_older_than_challenge");
	p.mined.timestamp_unix_s = 0;
	assert_chain(&p, "proof_older_than_challenge");
	p.mined.timestamp_unix_s = UINT64_MAX;
	assert_reason(&p, "proof_older_than_challenge", true);
	p.mined.timestamp_unix_s = issued + 600;
	p.options.now_unix_s = NOW + 5000;
	assert_chain(&p, "");
	p.mined.timestamp_unix_s++;
	assert_chain(&p, "proof_too_late");
	/* A challenge cannot keep the past open for longer than its life. */
	p = good();
	p.max_timeout = 2000000000;
	p.mined.timestamp_unix_s = issued + X402_PROOF_LIFE_S + 1;
	p.options.now_unix_s = issued + X402_PROOF_LIFE_S + 100;
	assert_chain(&p, "proof_too_late");
	p = good();
	p.options.now_unix_s = NOW - 50 + X402_PROOF_LIFE_S;
	assert_chain(&p, "");
	p.options.now_unix_s++;
	assert_chain(&p, "proof_too_late");
}

static void test_proof_waits_for_depth(void **state)
{
	struct proof p = good();

	(void)state;
	p.mined.head_number = 102;
	assert_chain(&p, "proof_transaction_not_final");
	p.mined.head_number = 0;
	assert_chain(&p, "proof_transaction_not_final");
	p.mined.receipt.block_number = UINT64_MAX;
	assert_chain(&p, "proof_transaction_not_final");
	/* By the chain's own word. */
	p = good();
	p.options.proof_finalized = true;
	p.mined.head_number = 99;
	assert_chain(&p, "proof_transaction_not_final");
	p.mined.head_number = 100;
	assert_chain(&p, "");
	/* What can never be good is not told to wait. */
	p = good();
	p.mined.head_number = 100;
	set_transfer(&p, 0, &payer, PAYEE, 999);
	assert_chain(&p, "proof_amount_too_low");
	p = good();
	p.mined = (struct x402_mined){.head_number = 103};
	assert_chain(&p, "proof_transaction_not_mined");
	assert_int_equal(x402_reason_retry(X402_REASON_PROOF_NOT_MINED),
		X402_RETRY_WAIT);
	assert_int_equal(x402_reason_retry(X402_REASON_PROOF_NOT_FINAL),
		X402_RETRY_WAIT);
}

static void test_proof_chain_fault_is_no_verdict(void **state)
{
	static const enum x402_answer_status statuses[] = {
		X402_ANSWER_FAULT, X402_ANSWER_REVERTED};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		struct proof p = good();
		struct x402_facilitator_request request;
		struct x402_verify_plan plan;
		struct x402_settle_plan unused;
		bool asked;

		p.status = statuses[i];
		assert_int_equal(
			judge(&p, &asked, &request, &plan), X402_ERR_CHAIN);
		assert_false(plan.decided);
		assert_int_equal(x402_settle_plan(&plan, &unused),
			X402_ERR_INVALID_ARGUMENT);
		x402_verify_plan_clear(&plan);
		x402_facilitator_request_clear(&request);
	}
}

/* ---- The payer's side. ---- */

static enum x402_err sign(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	uint8_t sig65[65];
	uint8_t digest[32];

	(void)user;
	assert_int_equal(signable->kind, X402_SIGNABLE_PROOF);
	x402_proof_digest(signable->proof, digest);
	assert_memory_equal(digest, signable->digest32, 32);
	assert_int_equal(x402_sign_digest(secp, digest, &key, sig65), X402_OK);
	x402_buf_add(ret_signature, x402_span(sig65, 65));
	return X402_OK;
}

static void test_proof_is_made_of_a_sent_transfer_only(void **state)
{
	struct proof p = good();
	uint8_t hash32[32];
	struct x402_create_options options = {.now_unix_s = NOW,
		.payer = payer,
		.sign = sign,
		.resource = URL};
	struct x402_facilitator_request request;
	struct x402_json *payload = NULL;
	struct x402_json *json = request_json(&p);
	struct x402_errinfo info;
	char *text;

	(void)state;
	assert_int_equal(
		x402_facilitator_request_read(json, NULL, &request), X402_OK);
	assert_int_equal(x402_create_payload(&request.requirements, &options,
				 &info, &payload),
		X402_ERR_UNSUPPORTED);
	memset(hash32, HASH_BYTE, 32);
	options.transaction32 = hash32;
	assert_int_equal(x402_create_payload(&request.requirements, &options,
				 &info, &payload),
		X402_OK);
	text = x402_json_dump(payload);
	p.payload = text;
	assert_chain(&p, "");
	free(text);
	x402_json_unref(payload);
	x402_facilitator_request_clear(&request);
	x402_json_unref(json);
}

/* ---- The header. ---- */

static void test_proof_header_comes_back(void **state)
{
	struct x402_proof_payload payload = {.bound = true, .payer = payer};
	struct x402_proof_payload read;
	char text[X402_PROOF_HEADER_SIZE];
	uint8_t reference[32];
	uint8_t got[32];

	(void)state;
	memset(reference, 0x11, 32);
	memset(payload.transaction32, 0xff, 32);
	memset(payload.sig65, 0xee, 65);
	x402_proof_header_format(reference, &payload, text);
	assert_int_equal(x402_proof_header_read(text, got, &read), X402_OK);
	assert_memory_equal(got, reference, 32);
	assert_memory_equal(&read, &payload, sizeof(read));
	payload.bound = false;
	x402_proof_header_format(reference, &payload, text);
	assert_int_equal(x402_proof_header_read(text, got, &read), X402_OK);
	assert_false(read.bound);
	assert_int_equal(x402_proof_header_read(
				 OTHERREF " ;\treference=" REF " ", got, &read),
		X402_OK);
}

static void test_proof_header_is_strict(void **state)
{
	static const char *const bad[] = {"", "0x11", REF, "; reference=" REF,
		OTHERREF ";", OTHERREF ";;reference=" REF,
		OTHERREF "; reference=0x11",
		OTHERREF "; reference=" REF "; reference=" REF,
		OTHERREF "; reference=" REF "; payer=" PAYEE,
		OTHERREF "; reference=" REF "; signature=0x00",
		OTHERREF "; reference=" REF "; color=blue",
		OTHERREF "; REFERENCE=" REF, OTHERREF ", reference=" REF,
		OTHERREF "; reference=" REF "; payer=0x12; signature=0x12"};
	struct x402_proof_payload payload = {.bound = true};
	uint8_t reference[32] = {0};
	char longer[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(
			x402_proof_header_read(bad[i], reference, &payload),
			X402_ERR_SYNTAX);
	assert_int_equal(x402_proof_header_read(NULL, reference, &payload),
		X402_ERR_SYNTAX);
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(x402_proof_header_read(longer, reference, &payload),
		X402_ERR_SYNTAX);
	assert_true(payload.bound);
	assert_int_equal(reference[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proof_of_a_plain_transfer_is_good),
		cmocka_unit_test(test_proof_key_is_the_transaction_alone),
		cmocka_unit_test(test_proof_of_a_stranger_is_refused),
		cmocka_unit_test(test_proof_signature_binds_every_term),
		cmocka_unit_test(test_proof_unbound_needs_both_sides_to_say_so),
		cmocka_unit_test(test_proof_terms_are_checked_offline),
		cmocka_unit_test(
			test_proof_takes_only_the_payers_own_transfer_call),
		cmocka_unit_test(test_proof_of_paying_oneself_is_refused),
		cmocka_unit_test(test_proof_is_by_the_tokens_own_log),
		cmocka_unit_test(
			test_proof_of_more_than_one_transfer_is_refused),
		cmocka_unit_test(
			test_proof_must_lie_between_challenge_and_deadline),
		cmocka_unit_test(test_proof_waits_for_depth),
		cmocka_unit_test(test_proof_chain_fault_is_no_verdict),
		cmocka_unit_test(test_proof_is_made_of_a_sent_transfer_only),
		cmocka_unit_test(test_proof_header_comes_back),
		cmocka_unit_test(test_proof_header_is_strict),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
