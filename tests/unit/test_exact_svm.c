/*
 * exact on Solana: every check of F-090 to F-09C on recorded answers, without
 * a socket. A case takes a good payment, breaks one thing, signs again, and
 * says what must come out. Numbers are those of demands.md section 7.
 */
#include "payment_house.h"
#include "svm_house.h"

#include "x402/scheme.h"

#undef PAYEE

struct payment {
	struct svm_tx tx;
	const char *scheme;
	const char *accepted_network;
	const char *network;
	const char *amount;
	const char *asset;
	const char *pay_to;
	const char *extra;
	const char *transaction; /* instead of tx */
	bool trailing;
	int version;
};

static struct payment good(void)
{
	return (struct payment){.tx = svm_good(&x402_svm_token_program),
		.scheme = "exact",
		.network = SVM_NETWORK,
		.accepted_network = SVM_NETWORK,
		.amount = "1000",
		.asset = SVM_USDC,
		.pay_to = SVM_PAYEE,
		.extra = "{'feePayer':'" SVM_SPONSOR "'}",
		.version = 2};
}

static char *transaction_text(const struct payment *p)
{
	struct x402_buf wire = {0};
	struct x402_buf text = {0};

	if (p->transaction)
		return strdup(p->transaction);
	svm_write(&p->tx, &wire);
	if (p->trailing)
		x402_buf_add_byte(&wire, 0);
	x402_base64_encode(x402_buf_span(&wire), &text);
	x402_buf_clear(&wire);
	return x402_buf_take_str(&text);
}

static void add_terms(const struct payment *p, const char *scheme,
	const char *network, struct x402_buf *text)
{
	x402_buf_printf(text,
		"{'scheme':'%s','network':'%s','%s':'%s','asset':'%s',"
		"'payTo':'%s','maxTimeoutSeconds':60,'extra':%s%s}",
		scheme, network,
		p->version == 1 ? "maxAmountRequired" : "amount", p->amount,
		p->asset, p->pay_to, p->extra,
		p->version == 1 ? ",'resource':'http://a.example/x',"
				  "'description':'','mimeType':''"
				: "");
}

static struct x402_facilitator_request request_of(const struct payment *p)
{
	struct x402_facilitator_request request;
	struct x402_errinfo info = {{0}, {0}};
	struct x402_buf text = {0};
	char *transaction = transaction_text(p);
	struct x402_json *json;

	x402_buf_printf(&text,
		"{'x402Version':%d,'paymentPayload':{"
		"'x402Version':%d,",
		p->version, p->version);
	if (p->version == 1) {
		x402_buf_printf(&text, "'scheme':'%s','network':'%s',",
			p->scheme, p->accepted_network);
	} else {
		x402_buf_add_str(&text, "'accepted':");
		add_terms(p, p->scheme, p->accepted_network, &text);
		x402_buf_add_str(&text, ",");
	}
	x402_buf_printf(&text,
		"'payload':{'transaction':'%s'}},'paymentRequirements':",
		transaction);
	add_terms(p, "exact", p->network, &text);
	x402_buf_add_str(&text, "}");
	x402_buf_add_byte(&text, 0);
	json = json_of((const char *)text.ptr);
	if (x402_facilitator_request_read(json, &info, &request))
		fail_msg("%s: %s", info.field, info.text);
	x402_json_unref(json);
	x402_buf_clear(&text);
	free(transaction);
	return request;
}

static void plan_of(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	struct x402_pubkey ours[] = {svm_key(SVM_SPONSOR), svm_key(SVM_USDC)};
	struct x402_verify_options options = {.now_unix_s = 1795239000,
		.fee_payers = ours,
		.fee_payers_len = 2};

	assert_int_equal(x402_verify_plan(request, &options, plan), X402_OK);
}

/* Refused without asking the chain anything. */
static void assert_refused(
	const struct payment *p, const char *reason, bool has_payer)
{
	struct x402_facilitator_request request = request_of(p);
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;

	plan_of(&request, &plan);
	assert_true(plan.decided);
	assert_false(plan.verdict.valid);
	assert_string_equal(x402_reason_wire(plan.verdict.reason), reason);
	assert_string_not_equal(plan.verdict.message, "");
	assert_string_equal(plan.verdict.payer, has_payer ? SVM_PAYER : "");
	assert_int_equal(
		x402_settle_plan(&plan, &settle), X402_ERR_INVALID_ARGUMENT);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

static void assert_accepted(const struct payment *p)
{
	static const struct x402_chain_answer ok = {.status = X402_ANSWER_OK};
	struct x402_facilitator_request request = request_of(p);
	struct x402_verify_plan plan;

	plan_of(&request, &plan);
	if (plan.decided)
		fail_msg("%s: %s", x402_reason_wire(plan.verdict.reason),
			plan.verdict.message);
	assert_int_equal(plan.reads_len, 1);
	assert_int_equal(plan.reads[0].kind, X402_READ_SVM_SIMULATE);
	assert_int_equal(x402_verify_judge(&plan, &ok, 1), X402_OK);
	assert_true(plan.decided && plan.verdict.valid);
	assert_string_equal(plan.verdict.payer, SVM_PAYER);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

#define SVM(code)     "invalid_exact_svm_" code
#define PAYLOAD(code) "invalid_exact_svm_payload_" code
#define BUDGET(code)  PAYLOAD("transaction_instructions_" code)

/* ---- Good ones. ---- */

static void test_verify_good_payments_ask_for_a_simulation(void **state)
{
	struct payment p = good();

	(void)state;
	assert_accepted(&p);
	p.tx.legacy = true;
	assert_accepted(&p);
	p = good();
	p.version = 1;
	p.network = p.accepted_network = "solana-devnet";
	assert_accepted(&p);
	p = good();
	p.tx.ix_len = 3; /* F-094: no memo */
	assert_accepted(&p);
}

/* 30: a wallet's own assertions, before and after the memo. */
static void test_verify_lighthouse_is_accepted_in_its_places(void **state)
{
	struct payment p = good();
	uint8_t guard = svm_add_key(&p.tx, x402_svm_lighthouse_program);

	(void)state;
	p.tx.ix_len = 3;
	svm_add_ix(&p.tx, guard, "g", 1)->accounts_len = 1;
	p.tx.ix[3].accounts[0] = K_FROM;
	svm_add_ix(&p.tx, guard, "g", 1);
	svm_add_ix(&p.tx, K_MEMO, "m", 1);
	svm_add_ix(&p.tx, K_MEMO, "m", 1);
	assert_accepted(&p);
	p.tx.ix[6].program = guard;
	assert_refused(&p, PAYLOAD("unknown_optional_instruction"), true);
	svm_add_ix(&p.tx, K_MEMO, "m", 1);
	assert_refused(&p, PAYLOAD("transaction_instructions_length"), false);
}

static void test_verify_memo_and_reference_are_accepted(void **state)
{
	struct payment p = good();
	uint8_t reference;

	(void)state;
	p.extra = "{'feePayer':'" SVM_SPONSOR "','memo':'m'}";
	assert_accepted(&p);
	reference = svm_add_key(&p.tx, svm_key(SVM_PAYEE));
	p.tx.ix[2].accounts[p.tx.ix[2].accounts_len++] = reference;
	assert_accepted(&p);
}

/* ---- F-090 to F-093. ---- */

static void test_verify_other_requirements_are_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.scheme = "upto";
	assert_refused(&p, SVM("unsupported_scheme"), false);
	p = good();
	p.accepted_network = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp";
	assert_refused(&p, SVM("network_mismatch"), false);
	p = good();
	p.extra = "{}";
	assert_refused(&p, PAYLOAD("missing_fee_payer"), false);
	p.extra = "{'feePayer':'0x1'}";
	assert_refused(&p, PAYLOAD("missing_fee_payer"), false);
	p.extra = "{'feePayer':'" SVM_PAYEE "'}";
	assert_refused(&p, SVM("fee_payer_not_managed_by_facilitator"), false);
	p = good();
	p.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
	assert_refused(&p, "invalid_payment_requirements", false);
	p = good();
	p.pay_to = "nobody";
	assert_refused(&p, "invalid_payment_requirements", false);
	p = good();
	p.amount = "18446744073709551616"; /* 9: above 64 bits */
	assert_refused(&p, "invalid_payment_requirements", false);
	p = good();
	p.extra = "{'feePayer':'" SVM_SPONSOR "','memo':7}";
	assert_refused(&p, "invalid_payment_requirements", false);
	p.extra = "{'feePayer':'" SVM_SPONSOR "','memo':''}";
	assert_refused(&p, "invalid_payment_requirements", false);
}

static void test_verify_undecodable_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "AA", "AAAA", "not base64", "AQAB=", " AQAA"};
	struct payment p = good();
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		p.transaction = texts[i];
		assert_refused(
			&p, PAYLOAD("transaction_could_not_be_decoded"), false);
	}
	p = good();
	p.trailing = true;
	assert_refused(&p, PAYLOAD("transaction_could_not_be_decoded"), false);
	/* 28: accounts that are not in the message. */
	p = good();
	p.tx.lookups = 1;
	assert_refused(&p, PAYLOAD("transaction_could_not_be_decoded"), false);
	/* 9: longer than any packet. */
	text = calloc(1, 4001);
	assert_non_null(text);
	memset(text, 'A', 4000);
	p.transaction = text;
	assert_refused(&p, PAYLOAD("transaction_could_not_be_decoded"), false);
	free(text);
}

/* ---- 25: signers. ---- */

static void test_verify_forged_signature_is_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.signer_seed = 0;
	assert_refused(&p, PAYLOAD("signature_invalid"), false);
	p.tx.signer_seed = 3;
	assert_refused(&p, PAYLOAD("signature_invalid"), false);
}

static void test_verify_authority_that_does_not_sign_is_refused(void **state)
{
	struct payment p = good();
	struct x402_pubkey victim = svm_key(SVM_PAYEE);

	(void)state;
	/* The payer signs, and somebody else's tokens are to move. */
	p.tx.ix[2].accounts[3] = svm_add_key(&p.tx, victim);
	assert_refused(&p, PAYLOAD("signature_invalid"), false);
}

static void test_verify_other_fee_payer_is_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.keys[K_SPONSOR] = svm_key(SVM_PAYEE);
	assert_refused(&p, SVM("fee_payer_mismatch"), false);
}

static void test_verify_third_signer_is_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.signers = 3;
	p.tx.readonly_signed = 1;
	assert_refused(&p, PAYLOAD("excessive_signers"), false);
}

/* 32: the sponsor's own tokens. */
static void test_verify_fee_payer_as_authority_is_refused(void **state)
{
	struct payment p = good();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;

	(void)state;
	p.tx.ix[2].accounts[3] = K_SPONSOR;
	request = request_of(&p);
	plan_of(&request, &plan);
	assert_true(plan.decided);
	assert_string_equal(x402_reason_wire(plan.verdict.reason),
		PAYLOAD("transaction_fee_payer_transferring_funds"));
	assert_string_equal(plan.verdict.payer, SVM_SPONSOR);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

/* ---- 27: compute budget. ---- */

static void test_verify_compute_budget_must_be_there(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.ix[0].data[0] = 1;
	assert_refused(&p, BUDGET("compute_limit_instruction"), false);
	p = good();
	p.tx.ix[0].data_len = 4;
	assert_refused(&p, BUDGET("compute_limit_instruction"), false);
	p = good();
	p.tx.ix[0].program = K_MEMO;
	assert_refused(&p, BUDGET("compute_limit_instruction"), false);
	/* The price first, then the limit. */
	p = good();
	p.tx.ix[4] = p.tx.ix[0];
	p.tx.ix[0] = p.tx.ix[1];
	p.tx.ix[1] = p.tx.ix[4];
	assert_refused(&p, BUDGET("compute_limit_instruction"), false);
	/* Twice the limit, no price. */
	p = good();
	p.tx.ix[1] = p.tx.ix[0];
	assert_refused(&p, BUDGET("compute_price_instruction"), false);
	/* A second price, behind the transfer. */
	p = good();
	p.tx.ix[3] = p.tx.ix[1];
	assert_refused(&p, PAYLOAD("unknown_fourth_instruction"), true);
}

static void test_verify_compute_ceilings_hold(void **state)
{
	struct payment p = good();

	(void)state;
	svm_put_le(p.tx.ix[0].data + 1, 400001, 4);
	assert_refused(&p, BUDGET("compute_limit_instruction_too_high"), false);
	svm_put_le(p.tx.ix[0].data + 1, 1400000, 4);
	assert_refused(&p, BUDGET("compute_limit_instruction_too_high"), false);
	svm_put_le(p.tx.ix[0].data + 1, 20000, 4);
	svm_put_le(p.tx.ix[1].data + 1, 5000001, 8);
	assert_refused(&p, BUDGET("compute_price_instruction_too_high"), false);
	svm_put_le(p.tx.ix[1].data + 1, UINT64_MAX, 8);
	assert_refused(&p, BUDGET("compute_price_instruction_too_high"), false);
	/* Each within its own bound; together they cost the sponsor. */
	svm_put_le(p.tx.ix[0].data + 1, 400000, 4);
	svm_put_le(p.tx.ix[1].data + 1, 5000000, 8);
	assert_refused(&p, BUDGET("compute_price_instruction_too_high"), false);
	svm_put_le(p.tx.ix[1].data + 1, 250000, 8);
	assert_accepted(&p);
	svm_put_le(p.tx.ix[1].data + 1, 250001, 8);
	assert_refused(&p, BUDGET("compute_price_instruction_too_high"), false);
}

/* ---- F-096 to F-098, 29. ---- */

static void test_verify_other_transfers_are_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.ix[2].data[0] = 3; /* Transfer, unchecked */
	assert_refused(&p, PAYLOAD("no_transfer_instruction"), false);
	p = good();
	p.tx.ix[2].data[0] = 4; /* 26: Approve */
	assert_refused(&p, PAYLOAD("no_transfer_instruction"), false);
	p = good();
	p.tx.ix[2].data_len = 9;
	assert_refused(&p, PAYLOAD("no_transfer_instruction"), false);
	p = good();
	p.tx.ix[2].accounts_len = 3;
	assert_refused(&p, PAYLOAD("no_transfer_instruction"), false);
	p = good();
	p.tx.ix[2].program = K_MEMO;
	assert_refused(&p, PAYLOAD("no_transfer_instruction"), false);
	/* A reference that could be written, or signs. */
	p = good();
	p.tx.ix[2].accounts[p.tx.ix[2].accounts_len++] = K_TO;
	assert_refused(&p, PAYLOAD("no_transfer_instruction"), false);
}

static void test_verify_other_terms_are_refused(void **state)
{
	struct payment p = good();
	struct x402_pubkey payer = svm_key(SVM_PAYER);
	uint8_t bump;

	(void)state;
	p.asset = "CXk2AMBfi3TwaEL2468s6zP8xq9NxTXjp9gjMgzeUynM";
	assert_refused(&p, PAYLOAD("mint_mismatch"), true);
	p = good();
	p.pay_to = SVM_PAYER;
	assert_refused(&p, PAYLOAD("recipient_mismatch"), true);
	/* The payee itself, not its token account. */
	p = good();
	p.tx.keys[K_TO] = svm_key(SVM_PAYEE);
	assert_refused(&p, PAYLOAD("recipient_mismatch"), true);
	/* 29: the account of the other token program. */
	p = good();
	p.tx.keys[K_PAYER] = payer;
	payer = svm_key(SVM_PAYEE);
	assert_true(x402_svm_ata(&payer, &x402_svm_token_2022_program,
		&p.tx.keys[K_MINT], &p.tx.keys[K_TO], &bump));
	assert_refused(&p, PAYLOAD("recipient_mismatch"), true);
	p = good();
	p.amount = "1001";
	assert_refused(&p, PAYLOAD("amount_mismatch"), true);
	p.amount = "999";
	assert_refused(&p, PAYLOAD("amount_mismatch"), true);
}

/* demands.md 32: it succeeds on chain, and the payee has what it had. */
static void test_verify_transfer_onto_itself_is_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.ix[2].accounts[0] = K_TO;
	assert_refused(&p, PAYLOAD("recipient_mismatch"), true);
	p = good();
	p.tx.ix[2].accounts[2] = K_FROM;
	assert_refused(&p, PAYLOAD("recipient_mismatch"), true);
}

/* ---- F-099 to F-09B, 26. ---- */

static void test_verify_extra_instructions_are_refused(void **state)
{
	static const char *const reasons[] = {
		PAYLOAD("unknown_fourth_instruction"),
		PAYLOAD("unknown_fifth_instruction"),
		PAYLOAD("unknown_sixth_instruction"),
		PAYLOAD("unknown_optional_instruction")};
	struct x402_pubkey system = {{0}};

	(void)state;
	for (size_t at = 3; at < 7; at++) {
		struct payment p = good();
		uint8_t program = svm_add_key(&p.tx, system);

		p.tx.ix_len = 3;
		while (p.tx.ix_len < at)
			svm_add_ix(&p.tx, K_MEMO, "m", 1);
		/* A transfer of lamports from the fee payer. */
		svm_add_ix(&p.tx, program, "\2\0\0\0\1\0\0\0\0\0\0\0", 12);
		p.tx.ix[at].accounts_len = 2;
		p.tx.ix[at].accounts[1] = K_PAYER;
		assert_refused(&p, reasons[at - 3], true);
		/* CloseAccount and SetAuthority of the token program. */
		p.tx.ix[at].program = K_TOKEN;
		p.tx.ix[at].data[0] = 9;
		assert_refused(&p, reasons[at - 3], true);
		p.tx.ix[at].data[0] = 6;
		assert_refused(&p, reasons[at - 3], true);
	}
}

static void test_verify_create_account_is_refused(void **state)
{
	struct payment p = good();

	(void)state;
	/* 29: rent that the sponsor would give away (C-076). */
	p.tx.ix[3].program = svm_add_key(&p.tx, x402_svm_ata_program);
	p.tx.ix[3].accounts_len = 1;
	p.tx.ix[3].accounts[0] = K_SPONSOR;
	assert_refused(&p, PAYLOAD("unknown_fourth_instruction"), true);
}

static void test_verify_too_few_or_many_instructions_are_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.ix_len = 2;
	assert_refused(&p, PAYLOAD("transaction_instructions_length"), false);
	p.tx.ix_len = 0;
	assert_refused(&p, PAYLOAD("transaction_instructions_length"), false);
	p = good();
	while (p.tx.ix_len < 8)
		svm_add_ix(&p.tx, K_MEMO, "m", 1);
	assert_refused(&p, PAYLOAD("transaction_instructions_length"), false);
	/* 28: a durable nonce would have to come first. */
	p = good();
	memmove(&p.tx.ix[1], &p.tx.ix[0], 4 * sizeof(p.tx.ix[0]));
	p.tx.ix_len = 5;
	p.tx.ix[0] = (struct svm_instruction){
		.program = svm_add_key(&p.tx, (struct x402_pubkey){{0}}),
		.data = {4},
		.data_len = 4};
	assert_refused(&p, BUDGET("compute_limit_instruction"), false);
}

static void test_verify_memo_must_be_the_memo(void **state)
{
	struct payment p = good();

	(void)state;
	p.extra = "{'feePayer':'" SVM_SPONSOR "','memo':'n'}";
	assert_refused(&p, PAYLOAD("memo_mismatch"), true);
	p.extra = "{'feePayer':'" SVM_SPONSOR "','memo':'mm'}";
	assert_refused(&p, PAYLOAD("memo_mismatch"), true);
	p.extra = "{'feePayer':'" SVM_SPONSOR "','memo':'m'}";
	svm_add_ix(&p.tx, K_MEMO, "m", 1);
	assert_refused(&p, PAYLOAD("memo_count"), true);
	p.tx.ix_len = 3;
	assert_refused(&p, PAYLOAD("memo_count"), true);
}

/* 26: in no account list, of whichever program. */
static void test_verify_fee_payer_in_any_list_is_refused(void **state)
{
	struct payment p = good();

	(void)state;
	p.tx.ix[3].accounts_len = 1;
	p.tx.ix[3].accounts[0] = K_SPONSOR;
	assert_refused(
		&p, PAYLOAD("transaction_fee_payer_transferring_funds"), true);
	p = good();
	p.tx.ix[3].program = svm_add_key(&p.tx, x402_svm_lighthouse_program);
	p.tx.ix[3].accounts_len = 2;
	p.tx.ix[3].accounts[0] = K_FROM;
	p.tx.ix[3].accounts[1] = K_SPONSOR;
	assert_refused(
		&p, PAYLOAD("transaction_fee_payer_transferring_funds"), true);
	/* As the source of the transfer. */
	p = good();
	p.tx.ix[2].accounts[0] = K_SPONSOR;
	assert_refused(
		&p, PAYLOAD("transaction_fee_payer_transferring_funds"), true);
}

/* ---- F-09C: what the chain says. ---- */

static void test_judge_failed_simulation_is_a_verdict(void **state)
{
	struct payment p = good();
	struct x402_facilitator_request request = request_of(&p);
	struct x402_verify_plan plan;
	struct x402_chain_answer answer = {.status = X402_ANSWER_FAULT};
	struct x402_settle_key key;

	(void)state;
	plan_of(&request, &plan);
	assert_int_equal(x402_verify_judge(&plan, &answer, 1), X402_ERR_CHAIN);
	assert_false(plan.decided);
	answer.status = X402_ANSWER_REVERTED;
	answer.data = x402_span_str("\"AlreadyProcessed\"");
	assert_int_equal(x402_verify_judge(&plan, &answer, 1), X402_OK);
	assert_string_equal(x402_reason_wire(plan.verdict.reason),
		SVM("transaction_simulation_failed"));
	assert_string_equal(plan.verdict.message,
		"Simulation failed: \"AlreadyProcessed\"");
	/* By which an earlier run of ours is found. */
	assert_int_equal(x402_verify_plan_key(&plan, &key), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

/* 29: a mint of Token-2022 is looked at. */
static void test_judge_token_2022_mint_decides(void **state)
{
	struct payment p = good();
	struct x402_facilitator_request request;
	struct x402_verify_plan plan;
	uint8_t account[32 + 82] = {0};
	struct x402_chain_answer answers[2] = {{.status = X402_ANSWER_OK},
		{.status = X402_ANSWER_OK,
			.data = x402_span(account, sizeof(account))}};

	(void)state;
	p.tx = svm_good(&x402_svm_token_2022_program);
	request = request_of(&p);
	memcpy(account, x402_svm_token_2022_program.bytes, 32);
	account[32 + 45] = 1;
	plan_of(&request, &plan);
	assert_int_equal(plan.reads_len, 2);
	assert_int_equal(plan.reads[1].kind, X402_READ_SVM_ACCOUNT);
	assert_int_equal(x402_verify_judge(&plan, answers, 2), X402_OK);
	assert_true(plan.verdict.valid);
	x402_verify_plan_clear(&plan);
	plan_of(&request, &plan);
	account[32 + 45] = 0;
	assert_int_equal(x402_verify_judge(&plan, answers, 2), X402_OK);
	assert_false(plan.verdict.valid);
	x402_verify_plan_clear(&plan);
	plan_of(&request, &plan);
	answers[1].status = X402_ANSWER_FAULT;
	assert_int_equal(x402_verify_judge(&plan, answers, 2), X402_ERR_CHAIN);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
}

/* ---- 31: settlement. ---- */

static struct x402_settle_plan settle_of(const struct payment *p)
{
	static const struct x402_chain_answer ok = {.status = X402_ANSWER_OK};
	struct x402_facilitator_request request = request_of(p);
	struct x402_verify_plan plan;
	struct x402_settle_plan settle;

	plan_of(&request, &plan);
	assert_int_equal(x402_verify_judge(&plan, &ok, 1), X402_OK);
	assert_int_equal(x402_settle_plan(&plan, &settle), X402_OK);
	x402_verify_plan_clear(&plan);
	x402_facilitator_request_clear(&request);
	return settle;
}

static void test_settle_key_is_of_the_message_alone(void **state)
{
	struct payment p = good();
	struct x402_settle_plan first = settle_of(&p);
	struct x402_settle_plan other;
	struct x402_buf wire = {0};
	struct x402_buf text = {0};
	uint8_t named[21 + 48 + 32] = {0};
	uint8_t key32[32];

	(void)state;
	/* As every journal has it: see assert_key_is(). */
	memcpy(named, "x402 settle key: svm", 21);
	memcpy(named + 21, p.network, strlen(p.network));
	memcpy(named + 21 + 48, first.nonce32, 32);
	x402_sha256(x402_span(named, sizeof(named)), key32);
	assert_memory_equal(first.key.bytes, key32, 32);
	assert_int_equal(first.gas_limit, 10001);
	assert_int_equal(first.valid_before_unix_s, 1795239000 + 600);
	assert_false(first.may_share);
	/* Whoever fills the empty signature makes another string. */
	svm_write(&p.tx, &wire);
	memset(wire.ptr + 1, 0xee, 64);
	x402_base64_encode(x402_buf_span(&wire), &text);
	x402_buf_add_byte(&text, 0);
	p.transaction = (const char *)text.ptr;
	other = settle_of(&p);
	assert_memory_equal(&first.key, &other.key, sizeof(first.key));
	assert_int_equal(first.calldata.len, other.calldata.len);
	assert_memory_equal(
		first.calldata.ptr, other.calldata.ptr, first.calldata.len);
	x402_settle_plan_clear(&other);
	p.transaction = NULL;
	p.tx.blockhash ^= 1;
	other = settle_of(&p);
	assert_memory_not_equal(&first.key, &other.key, sizeof(first.key));
	x402_settle_plan_clear(&other);
	x402_settle_plan_clear(&first);
	x402_buf_clear(&wire);
	x402_buf_clear(&text);
}

/* Solana Pay: the seller looks for the payment by it. */
static void test_settle_plan_names_the_references(void **state)
{
	struct payment p = good();
	struct x402_settle_plan plan = settle_of(&p);
	struct x402_pubkey key = {{0}};

	(void)state;
	assert_int_equal(plan.svm.references_len, 0);
	x402_settle_plan_clear(&plan);
	for (uint8_t i = 1; i <= 5; i++) {
		key.bytes[31] = i;
		p.tx.ix[2].accounts[p.tx.ix[2].accounts_len++] = svm_add_key(
			&p.tx, key);
	}
	plan = settle_of(&p);
	/* As many as are kept, and the payment is good all the same. */
	assert_int_equal(plan.svm.references_len, X402_SVM_REFERENCES_MAX);
	assert_int_equal(plan.svm.references[0].bytes[31], 1);
	assert_int_equal(plan.svm.references[3].bytes[31], 4);
	x402_settle_plan_clear(&plan);
}

static void test_settle_judge_goes_by_the_transactions_success(void **state)
{
	struct payment p = good();
	struct x402_settle_plan settle = settle_of(&p);
	struct x402_settle_proof proof = x402_settle_plan_proof(&settle);
	struct x402_settle_parties parties = x402_settle_proof_parties(&proof);
	struct x402_receipt receipt = {.success = true};
	struct x402_verdict verdict;

	(void)state;
	assert_string_equal(parties.asset, SVM_USDC);
	assert_string_equal(parties.payer, SVM_PAYER);
	assert_string_equal(parties.pay_to, SVM_PAYEE);
	x402_settle_judge(&proof, &receipt, &verdict);
	assert_true(verdict.valid);
	assert_string_equal(verdict.payer, SVM_PAYER);
	receipt.success = false;
	x402_settle_judge(&proof, &receipt, &verdict);
	assert_false(verdict.valid);
	assert_string_equal(
		x402_reason_wire(verdict.reason), SVM("transaction_failed"));
	x402_settle_plan_clear(&settle);
}

/* ---- The payer's side. ---- */

static enum x402_err sign(void *user, const struct x402_signable *signable,
	struct x402_buf *ret_signature)
{
	struct x402_svm_secret secret = svm_secret(*(uint8_t *)user);
	uint8_t signature[64];

	assert_int_equal(signable->kind, X402_SIGNABLE_SVM);
	assert_int_equal(
		x402_ed25519_sign(&secret, signable->svm_message, signature),
		X402_OK);
	x402_buf_add(ret_signature, x402_span(signature, 64));
	return X402_OK;
}

static enum x402_err create(
	const char *extra, uint8_t signer, struct x402_json **ret_payload)
{
	char *text = double_quoted(extra);
	struct x402_json *json = NULL;
	struct x402_payment_requirements offer = {.x402_version = 2,
		.scheme = "exact",
		.network = SVM_NETWORK,
		.amount = "1000",
		.asset = SVM_USDC,
		.pay_to = SVM_PAYEE,
		.max_timeout_seconds = 60};
	struct x402_create_options options = {.sign = sign,
		.user = &signer,
		.has_svm = true,
		.svm_payer = svm_key(SVM_PAYER),
		.svm_mint = {x402_svm_token_program, 6}};
	struct x402_errinfo info = {{0}, {0}};
	enum x402_err err;

	memset(options.svm_blockhash32, 0xb1, 32);
	memset(options.nonce32, 0xab, 32);
	assert_int_equal(
		x402_json_parse(x402_span_str(text), NULL, NULL, &json),
		X402_OK);
	offer.extra = json;
	err = x402_create_payload(&offer, &options, &info, ret_payload);
	if (err && err != X402_ERR_CRYPTO)
		assert_string_not_equal(info.text, "");
	x402_json_unref(json);
	free(text);
	return err;
}

static void assert_created_is_accepted(const char *extra)
{
	struct payment p = good();
	struct x402_json *payload = NULL;

	assert_int_equal(create(extra, 2, &payload), X402_OK);
	p.extra = extra;
	p.transaction = x402_json_get_string(payload, "transaction");
	assert_accepted(&p);
	x402_json_unref(payload);
}

static void test_create_makes_what_verify_takes(void **state)
{
	(void)state;
	assert_created_is_accepted("{'feePayer':'" SVM_SPONSOR "'}");
	assert_created_is_accepted(
		"{'feePayer':'" SVM_SPONSOR "','memo':'pi_3abc123def456'}");
	assert_created_is_accepted(
		"{'feePayer':'" SVM_SPONSOR "','reference':'" SVM_PAYEE "'}");
	assert_created_is_accepted("{'feePayer':'" SVM_SPONSOR
				   "','recentBlockhash':'" SVM_USDC "'}");
}

static void test_create_takes_the_offers_blockhash(void **state)
{
	struct x402_json *payload = NULL;
	struct x402_svm_transaction t;
	struct x402_buf wire = {0};
	struct x402_pubkey expected = svm_key(SVM_USDC);

	(void)state;
	assert_int_equal(create("{'feePayer':'" SVM_SPONSOR
				"','recentBlockhash':'" SVM_USDC "'}",
				 2, &payload),
		X402_OK);
	assert_int_equal(x402_base64_decode(x402_span_str(x402_json_get_string(
						    payload, "transaction")),
				 &wire),
		X402_OK);
	assert_int_equal(
		x402_svm_transaction_read(x402_buf_span(&wire), &t), X402_OK);
	assert_memory_equal(t.blockhash32, expected.bytes, 32);
	assert_int_equal(t.instructions[3].data.len, 32); /* C-073 */
	x402_buf_clear(&wire);
	x402_json_unref(payload);
}

static void test_create_bad_offers_are_refused(void **state)
{
	struct x402_json *payload = NULL;

	(void)state;
	assert_int_equal(create("{}", 2, &payload), X402_ERR_SCHEMA);
	assert_int_equal(
		create("{'feePayer':'x'}", 2, &payload), X402_ERR_SCHEMA);
	assert_int_equal(
		create("{'feePayer':'" SVM_SPONSOR "','memo':''}", 2, &payload),
		X402_ERR_SCHEMA);
	assert_int_equal(create("{'feePayer':'" SVM_SPONSOR "','memo':[1]}", 2,
				 &payload),
		X402_ERR_SCHEMA);
	assert_int_equal(
		create("{'feePayer':'" SVM_SPONSOR "','reference':'x'}", 2,
			&payload),
		X402_ERR_SCHEMA);
	/* The payer would pay its own fee with a signature that is not it. */
	assert_int_equal(create("{'feePayer':'" SVM_PAYER "'}", 2, &payload),
		X402_ERR_RANGE);
	/* A signer with another key. */
	assert_int_equal(create("{'feePayer':'" SVM_SPONSOR "'}", 3, &payload),
		X402_ERR_CRYPTO);
	assert_null(payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_verify_good_payments_ask_for_a_simulation),
		cmocka_unit_test(
			test_verify_lighthouse_is_accepted_in_its_places),
		cmocka_unit_test(test_verify_memo_and_reference_are_accepted),
		cmocka_unit_test(test_verify_other_requirements_are_refused),
		cmocka_unit_test(test_verify_undecodable_is_refused),
		cmocka_unit_test(test_verify_forged_signature_is_refused),
		cmocka_unit_test(
			test_verify_authority_that_does_not_sign_is_refused),
		cmocka_unit_test(test_verify_other_fee_payer_is_refused),
		cmocka_unit_test(test_verify_third_signer_is_refused),
		cmocka_unit_test(test_verify_fee_payer_as_authority_is_refused),
		cmocka_unit_test(test_verify_compute_budget_must_be_there),
		cmocka_unit_test(test_verify_compute_ceilings_hold),
		cmocka_unit_test(test_verify_other_transfers_are_refused),
		cmocka_unit_test(test_verify_other_terms_are_refused),
		cmocka_unit_test(test_verify_transfer_onto_itself_is_refused),
		cmocka_unit_test(test_verify_extra_instructions_are_refused),
		cmocka_unit_test(test_verify_create_account_is_refused),
		cmocka_unit_test(
			test_verify_too_few_or_many_instructions_are_refused),
		cmocka_unit_test(test_verify_memo_must_be_the_memo),
		cmocka_unit_test(test_verify_fee_payer_in_any_list_is_refused),
		cmocka_unit_test(test_judge_failed_simulation_is_a_verdict),
		cmocka_unit_test(test_judge_token_2022_mint_decides),
		cmocka_unit_test(test_settle_key_is_of_the_message_alone),
		cmocka_unit_test(test_settle_plan_names_the_references),
		cmocka_unit_test(test_settle_plan_names_the_references),
		cmocka_unit_test(
			test_settle_judge_goes_by_the_transactions_success),
		cmocka_unit_test(test_create_makes_what_verify_takes),
		cmocka_unit_test(test_create_takes_the_offers_blockhash),
		cmocka_unit_test(test_create_bad_offers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
