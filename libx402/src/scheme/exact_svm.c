/*
 * exact on Solana: verification, the static path (x402 F-090 to F-09F).
 *
 * plan: 1 requirements (F-090 to F-092) 2 the transaction (F-093), who pays
 *       its fee and who signs 3 the payer's signature, here and now
 *       4 instructions in their places (F-094 to F-09A) 5 the fee payer is in
 *       none of them (F-09B) 6 one round of reads: the simulation, and for
 *       Token-2022 the mint, whose extensions may keep a part back
 * judge: the node's simulation of these very bytes (F-09C).
 *
 * Whoever co-signs gives away no more than the fee: the fee payer's key is in
 * no instruction, so no program can move what it holds, and units and price
 * are bounded. Nothing is signed for a simulation: signed bytes are money.
 */
#include <stdlib.h>

#include "exact_svm_p.h"
#include "x402/encoding.h"
#include "x402/negotiate.h"

#define INSTRUCTIONS_MIN 3
#define INSTRUCTIONS_MAX 7
/* Places in TransferChecked's account list. */
#define SOURCE_AT      0
#define MINT_AT        1
#define DESTINATION_AT 2
#define AUTHORITY_AT   3
/* The base64 of a packet. */
#define TEXT_MAX ((X402_SVM_TRANSACTION_MAX + 2) / 3 * 4)

static struct x402__exact_svm *state_of(const struct x402_verify_plan *plan)
{
	return plan->state;
}

static bool refuse(struct x402_verify_plan *plan, enum x402_reason reason,
	const char *text)
{
	struct x402_errinfo info = {{0}, {0}};

	x402_errinfo_set(&info, "", "%s", text);
	x402__refuse(plan, reason, &info);
	return false;
}

static bool refuse_keys(struct x402_verify_plan *plan, enum x402_reason reason,
	const struct x402_pubkey *expected, const struct x402_pubkey *actual)
{
	char expected_text[X402_PUBKEY_TEXT_SIZE];
	char actual_text[X402_PUBKEY_TEXT_SIZE];
	struct x402_errinfo info = {{0}, {0}};

	x402_pubkey_format(expected, expected_text);
	x402_pubkey_format(actual, actual_text);
	x402_errinfo_set(
		&info, "", "expected %s, got %s", expected_text, actual_text);
	x402__refuse(plan, reason, &info);
	return false;
}

static bool refuse_numbers(struct x402_verify_plan *plan,
	enum x402_reason reason, const char *what, uint64_t expected,
	uint64_t actual)
{
	struct x402_errinfo info = {{0}, {0}};

	x402_errinfo_set(&info, "", "expected %s %llu, got %llu", what,
		(unsigned long long)expected, (unsigned long long)actual);
	x402__refuse(plan, reason, &info);
	return false;
}

/* ---- 1. Requirements. ---- */

/* F-092: ours, where it is known which are. */
static bool check_fee_payer(const struct x402_payment_requirements *req,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	struct x402__exact_svm *state = state_of(plan);
	const char *text = x402_json_get_string(req->extra, "feePayer");

	if (!text || x402_pubkey_parse(text, &state->fee_payer) != X402_OK)
		return refuse(plan, X402_REASON_SVM_MISSING_FEE_PAYER,
			"expected extra.feePayer, an account");
	if (!options->fee_payers)
		return true;
	for (size_t i = 0; i < options->fee_payers_len; i++)
		if (x402_pubkey_equal(
			    &options->fee_payers[i], &state->fee_payer))
			return true;
	return refuse(plan, X402_REASON_SVM_FEE_PAYER_NOT_MANAGED,
		"extra.feePayer is no signer of this facilitator");
}

static bool check_terms(const struct x402_payment_requirements *req,
	struct x402_verify_plan *plan)
{
	struct x402__exact_svm *state = state_of(plan);
	const struct x402_json *memo = x402_json_get(req->extra, "memo");
	struct x402_u256 amount;

	if (x402_pubkey_parse(req->asset, &state->mint) != X402_OK ||
		x402_pubkey_parse(req->pay_to, &state->pay_to) != X402_OK ||
		x402_u256_from_dec(req->amount, &amount) != X402_OK ||
		!x402_u256_to_u64(&amount, &state->amount))
		return refuse(plan, X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected accounts in asset and payTo and a decimal "
			"amount below 2^64");
	state->memo = x402_json_string(memo);
	if (memo &&
		(!state->memo || !*state->memo ||
			strlen(state->memo) > X402_SVM_MEMO_MAX))
		return refuse(plan, X402_REASON_INVALID_PAYMENT_REQUIREMENTS,
			"expected a text of 1 to 256 bytes in extra.memo");
	return true;
}

static bool check_requirements(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	const struct x402_payment_requirements *req = &request->requirements;
	const struct x402_payment_payload *payload = &request->payload;

	if (strcmp(payload->scheme, "exact") != 0)
		return refuse(plan, X402_REASON_SVM_SCHEME,
			"expected scheme exact in the payment");
	if (strcmp(payload->network, req->network) != 0) {
		struct x402_errinfo info = {{0}, {0}};

		x402_errinfo_set(&info, "", "expected network %.60s, got %.60s",
			req->network, payload->network);
		x402__refuse(plan, X402_REASON_SVM_NETWORK_MISMATCH, &info);
		return false;
	}
	if (x402_network_parse(x402_payment_requirements_caip2(req),
		    &state_of(plan)->network) != X402_OK)
		return refuse(plan, X402_REASON_INVALID_NETWORK,
			"expected solana:<genesis hash>");
	return check_fee_payer(req, options, plan) && check_terms(req, plan);
}

/* ---- 2 and 3. The transaction and its signers. ---- */

/* F-093. One payment has one text here: strict base64, nothing behind it. */
static enum x402_err decode(const struct x402_facilitator_request *request,
	struct x402_verify_plan *plan)
{
	struct x402__exact_svm *state = state_of(plan);
	const char *text = x402_json_get_string(
		request->payload.payload, "transaction");
	enum x402_err err;

	if (!text) {
		refuse(plan, X402_REASON_SVM_TRANSACTION,
			"expected payload.transaction, base64");
		return X402_OK;
	}
	err = strlen(text) > TEXT_MAX
		? X402_ERR_TOO_LARGE
		: x402_base64_decode(x402_span_str(text), &state->wire);
	if (!err)
		err = x402_svm_transaction_read(
			x402_buf_span(&state->wire), &state->transaction);
	if (err == X402_ERR_NOMEM)
		return err;
	if (err)
		refuse(plan, X402_REASON_SVM_UNDECODABLE,
			err == X402_ERR_UNSUPPORTED
				? "lookup tables and later versions are not "
				  "taken: every account must be in the message"
				: "expected one transaction in base64 and "
				  "nothing behind it");
	return X402_OK;
}

/*
 * F-09B: fee payer and payer sign, nobody else. With one signer there is
 * nothing to check here: the transfer's authority decides (F-097).
 */
static bool check_signers(struct x402_verify_plan *plan)
{
	const struct x402__exact_svm *state = state_of(plan);
	const struct x402_svm_transaction *t = &state->transaction;

	if (!x402_pubkey_equal(&t->keys[0], &state->fee_payer))
		return refuse_keys(plan, X402_REASON_SVM_FEE_PAYER_MISMATCH,
			&state->fee_payer, &t->keys[0]);
	if (t->required_signatures > 2)
		return refuse_numbers(plan, X402_REASON_SVM_EXCESSIVE_SIGNERS,
			"signers", 2, t->required_signatures);
	if (t->required_signatures == 2 &&
		!x402_ed25519_verify(
			t->signatures.ptr + 64, t->message, &t->keys[1]))
		return refuse(plan, X402_REASON_SVM_SIGNATURE,
			"the second signature is not its key's");
	return true;
}

/* ---- 4. Instructions. ---- */

static bool is_of(const struct x402_svm_transaction *t, size_t index,
	const struct x402_pubkey *program)
{
	return x402_pubkey_equal(
		&t->keys[t->instructions[index].program], program);
}

static uint64_t le(const uint8_t *bytes, size_t len)
{
	uint64_t value = 0;

	while (len-- > 0)
		value = value << 8 | bytes[len];
	return value;
}

/* A compute budget instruction: its kind, and a number of so many bytes. */
static bool read_budget(const struct x402_svm_transaction *t, size_t index,
	uint8_t kind, size_t size, uint64_t *ret_value)
{
	struct x402_span data = t->instructions[index].data;

	if (!is_of(t, index, &x402_svm_compute_budget_program) ||
		t->instructions[index].accounts.len > 0 ||
		data.len != 1 + size || data.ptr[0] != kind)
		return false;
	*ret_value = le(data.ptr + 1, size);
	return true;
}

/* F-095, and the ceilings of R4. */
static bool check_budget(const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	struct x402__exact_svm *state = state_of(plan);
	const struct x402_svm_transaction *t = &state->transaction;
	uint64_t units_max = options->max_compute_units
		? options->max_compute_units
		: X402_SVM_MAX_COMPUTE_UNITS;
	uint64_t cost_max = options->max_priority_lamports
		? options->max_priority_lamports
		: X402_SVM_MAX_PRIORITY_LAMPORTS;
	uint64_t units;
	uint64_t price;
	uint64_t cost;

	if (!read_budget(t, 0, 2, 4, &units))
		return refuse(plan, X402_REASON_SVM_COMPUTE_LIMIT,
			"expected SetComputeUnitLimit first");
	if (!read_budget(t, 1, 3, 8, &price))
		return refuse(plan, X402_REASON_SVM_COMPUTE_PRICE,
			"expected SetComputeUnitPrice second");
	if (units > units_max)
		return refuse_numbers(plan,
			X402_REASON_SVM_COMPUTE_LIMIT_TOO_HIGH,
			"compute units of at most", units_max, units);
	if (price > X402_SVM_MAX_MICRO_LAMPORTS)
		return refuse_numbers(plan,
			X402_REASON_SVM_COMPUTE_PRICE_TOO_HIGH,
			"micro-lamports of at most",
			X402_SVM_MAX_MICRO_LAMPORTS, price);
	/* Below 2^32 * 5,000,000: it cannot overflow. */
	cost = (units * price + 999999) / 1000000;
	if (cost > cost_max)
		return refuse_numbers(plan,
			X402_REASON_SVM_COMPUTE_PRICE_TOO_HIGH,
			"a priority fee in lamports of at most", cost_max,
			cost);
	state->fee_lamports = cost +
		t->required_signatures * X402__SVM_LAMPORTS_PER_SIGNATURE;
	return true;
}

/*
 * F-096. Accounts behind the four are references of Solana Pay: read, signed
 * by nobody. A multisig authority would need signers that F-09B refuses.
 */
static bool is_transfer(const struct x402_svm_transaction *t, size_t index)
{
	const struct x402_svm_instruction *instruction =
		&t->instructions[index];
	struct x402_span accounts = instruction->accounts;

	if ((!is_of(t, index, &x402_svm_token_program) &&
		    !is_of(t, index, &x402_svm_token_2022_program)) ||
		instruction->data.len != 10 || instruction->data.ptr[0] != 12 ||
		accounts.len <= AUTHORITY_AT)
		return false;
	for (size_t i = AUTHORITY_AT + 1; i < accounts.len; i++)
		if (x402_svm_is_signer(t, accounts.ptr[i]) ||
			x402_svm_is_writable(t, accounts.ptr[i]))
			return false;
	return true;
}

/* F-097: who pays is who signed, and it is not us. */
static bool check_authority(struct x402_verify_plan *plan,
	const struct x402_verify_options *options, size_t authority)
{
	struct x402__exact_svm *state = state_of(plan);
	const struct x402_svm_transaction *t = &state->transaction;

	state->payer = t->keys[authority];
	x402_pubkey_format(&state->payer, plan->verdict.payer);
	if (authority == 0)
		return refuse(plan, X402_REASON_SVM_FEE_PAYER_FUNDS,
			"the fee payer would pay with its own tokens");
	for (size_t i = 0; i < options->fee_payers_len; i++)
		if (x402_pubkey_equal(&options->fee_payers[i], &state->payer))
			return refuse(plan, X402_REASON_SVM_FEE_PAYER_FUNDS,
				"the payer is a signer of this facilitator");
	if (!x402_svm_is_signer(t, authority)) {
		plan->verdict.payer[0] = '\0';
		return refuse(plan, X402_REASON_SVM_SIGNATURE,
			"the transfer's authority does not sign");
	}
	return true;
}

/* F-098 */
static bool check_transfer(struct x402_verify_plan *plan,
	const struct x402_verify_options *options)
{
	struct x402__exact_svm *state = state_of(plan);
	const struct x402_svm_transaction *t = &state->transaction;
	const struct x402_svm_instruction *transfer = &t->instructions[2];
	const uint8_t *at = transfer->accounts.ptr;
	struct x402_pubkey ata;
	uint64_t amount;
	uint8_t bump;

	if (!is_transfer(t, 2))
		return refuse(plan, X402_REASON_SVM_NO_TRANSFER,
			"expected TransferChecked of a token program third");
	if (!check_authority(plan, options, at[AUTHORITY_AT]))
		return false;
	state->token_program = t->keys[transfer->program];
	if (!x402_pubkey_equal(&t->keys[at[MINT_AT]], &state->mint))
		return refuse_keys(plan, X402_REASON_SVM_MINT_MISMATCH,
			&state->mint, &t->keys[at[MINT_AT]]);
	if (!x402_svm_ata(&state->pay_to, &state->token_program, &state->mint,
		    &ata, &bump) ||
		!x402_pubkey_equal(&t->keys[at[DESTINATION_AT]], &ata))
		return refuse_keys(plan, X402_REASON_SVM_RECIPIENT_MISMATCH,
			&ata, &t->keys[at[DESTINATION_AT]]);
	/* It succeeds and moves nothing: a delegate of payTo's could do it. */
	if (at[SOURCE_AT] == at[DESTINATION_AT])
		return refuse(plan, X402_REASON_SVM_RECIPIENT_MISMATCH,
			"source and destination are one account");
	amount = le(transfer->data.ptr + 1, 8);
	if (amount != state->amount)
		return refuse_numbers(plan, X402_REASON_SVM_AMOUNT_MISMATCH,
			"amount", state->amount, amount);
	return true;
}

/* F-099: assertions of the payer's wallet, and memos. */
static bool check_others(struct x402_verify_plan *plan)
{
	static const enum x402_reason reasons[] = {
		X402_REASON_SVM_UNKNOWN_FOURTH, X402_REASON_SVM_UNKNOWN_FIFTH,
		X402_REASON_SVM_UNKNOWN_SIXTH,
		X402_REASON_SVM_UNKNOWN_OPTIONAL};
	const struct x402_svm_transaction *t = &state_of(plan)->transaction;

	for (size_t i = 3; i < t->instructions_len; i++) {
		bool memo = is_of(t, i, &x402_svm_memo_program);
		bool guard = is_of(t, i, &x402_svm_lighthouse_program);

		if (memo || (guard && i < INSTRUCTIONS_MAX - 1))
			continue;
		return refuse(plan, reasons[i - 3],
			"expected an instruction of Lighthouse or Memo, and "
			"Memo alone in the seventh place");
	}
	return true;
}

/* F-09A */
static bool check_memo(struct x402_verify_plan *plan)
{
	const struct x402__exact_svm *state = state_of(plan);
	const struct x402_svm_transaction *t = &state->transaction;
	struct x402_span memo = {NULL, 0};
	uint64_t count = 0;

	if (!state->memo)
		return true;
	for (size_t i = 3; i < t->instructions_len; i++) {
		if (!is_of(t, i, &x402_svm_memo_program))
			continue;
		memo = t->instructions[i].data;
		count++;
	}
	if (count != 1)
		return refuse_numbers(
			plan, X402_REASON_SVM_MEMO_COUNT, "memos:", 1, count);
	if (memo.len != strlen(state->memo) ||
		memcmp(memo.ptr, state->memo, memo.len) != 0)
		return refuse(plan, X402_REASON_SVM_MEMO_MISMATCH,
			"the memo is not extra.memo");
	return true;
}

/* ---- 5. F-09B: no program is handed the fee payer. ---- */

static bool check_isolation(struct x402_verify_plan *plan)
{
	const struct x402_svm_transaction *t = &state_of(plan)->transaction;

	for (size_t i = 0; i < t->instructions_len; i++) {
		struct x402_span accounts = t->instructions[i].accounts;

		for (size_t j = 0; j < accounts.len; j++)
			if (accounts.ptr[j] == 0)
				return refuse(plan,
					X402_REASON_SVM_FEE_PAYER_FUNDS,
					"an instruction refers to the fee "
					"payer");
	}
	return true;
}

static bool check_instructions(const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	size_t len = state_of(plan)->transaction.instructions_len;

	if (len < INSTRUCTIONS_MIN || len > INSTRUCTIONS_MAX)
		return refuse_numbers(plan, X402_REASON_SVM_INSTRUCTIONS_LENGTH,
			"3 to 7 instructions, such as", 4, len);
	return check_budget(options, plan) && check_transfer(plan, options) &&
		check_others(plan) && check_memo(plan) && check_isolation(plan);
}

/* ---- 6. Reads, and what they say. ---- */

static void ask(struct x402_verify_plan *plan)
{
	const struct x402__exact_svm *state = state_of(plan);

	memset(plan->reads, 0, 2 * sizeof(plan->reads[0]));
	plan->reads[0].kind = X402_READ_SVM_SIMULATE;
	plan->reads[0].data = x402_buf_span(&state->wire);
	plan->reads_len = 1;
	if (x402_pubkey_equal(&state->token_program, &x402_svm_token_program))
		return; /* it has no extensions */
	plan->reads[1].kind = X402_READ_SVM_ACCOUNT;
	plan->reads[1].account = state->mint;
	plan->reads_len = 2;
}

static enum x402_err verify_plan(const struct x402_facilitator_request *request,
	const struct x402_verify_options *options,
	struct x402_verify_plan *plan)
{
	struct x402__exact_svm *state = calloc(1, sizeof(*state));
	enum x402_err err;

	if (!state)
		return X402_ERR_NOMEM;
	plan->state = state;
	state->now_unix_s = options->now_unix_s;
	if (!check_requirements(request, options, plan))
		return X402_OK;
	err = decode(request, plan);
	if (err || plan->decided)
		return err;
	if (check_signers(plan) && check_instructions(options, plan))
		ask(plan);
	return X402_OK;
}

static bool judge_mint(
	struct x402_verify_plan *plan, const struct x402_chain_answer *answer)
{
	struct x402_svm_mint mint;
	struct x402_pubkey owner;

	if (answer->status == X402_ANSWER_OK && answer->data.len >= 32) {
		memcpy(owner.bytes, answer->data.ptr, 32);
		if (x402_svm_mint_read(&owner,
			    x402_span(answer->data.ptr + 32,
				    answer->data.len - 32),
			    &mint) == X402_OK)
			return true;
	}
	return refuse(plan, X402_REASON_SVM_SIMULATION_FAILED,
		"the mint keeps a part of each transfer, runs a program in it, "
		"or is none");
}

static enum x402_err verify_judge(struct x402_verify_plan *plan,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct x402_errinfo info = {{0}, {0}};

	for (size_t i = 0; i < answers_len; i++)
		if (answers[i].status == X402_ANSWER_FAULT)
			return X402_ERR_CHAIN;
	if (answers[0].status == X402_ANSWER_REVERTED) {
		x402_errinfo_set(&info, "", "Simulation failed: %.*s",
			(int)(answers[0].data.len < 160 ? answers[0].data.len
							: 160),
			answers[0].data.len ? (const char *)answers[0].data.ptr
					    : "");
		x402__refuse(plan, X402_REASON_SVM_SIMULATION_FAILED, &info);
		return X402_OK;
	}
	if (answers_len > 1 && !judge_mint(plan, &answers[1]))
		return X402_OK;
	x402__accept(plan);
	return X402_OK;
}

static void verify_clear(struct x402_verify_plan *plan)
{
	struct x402__exact_svm *state = state_of(plan);

	x402_buf_clear(&state->wire);
	free(state);
	plan->state = NULL;
}

const struct x402_scheme x402__scheme_exact_svm = {
	.name = "exact",
	.family = X402_FAMILY_SVM,
	.network_pattern = "solana:*",
	.verify_plan = verify_plan,
	.verify_judge = verify_judge,
	.verify_clear = verify_clear,
	.settle_plan = x402__exact_svm_settle_plan,
	.create_payload = x402__exact_svm_create_payload,
	/* L-064 */
	.flows = 1u << X402_FLOW_AUTHORIZATION | 1u << X402_FLOW_UPFRONT,
};
