/*
 * What proves a settlement, of every scheme. On EVM a receipt's status alone
 * proves nothing: tokens exist that take a fee, return without moving
 * anything, or accept a used nonce (F6).
 *
 * EIP-3009 names the nonce in a log of its own. Permit2 does not: its payments
 * are proven by their terms, and the engine keeps them apart from others of
 * the same payer (core/batch.c of the facilitator). A delegation names no nonce
 * either, and travels alone.
 */
#include "exact_svm_p.h"
#include "x402/abi.h"

static const uint8_t topic_transfer[32] = {0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2,
	0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b,
	0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23,
	0xb3, 0xef};
static const uint8_t topic_used[32] = {0x98, 0xde, 0x50, 0x35, 0x28, 0xee, 0x59,
	0xb5, 0x75, 0xef, 0x0c, 0x0a, 0x25, 0x76, 0xa8, 0x24, 0x97, 0xbf, 0xc0,
	0x29, 0xa5, 0x68, 0x5b, 0x20, 0x9e, 0x9e, 0xc3, 0x33, 0x47, 0x9b, 0x10,
	0xa5};

static const uint8_t selector_bitmap[4] = {0x4f, 0xe0, 0x2b, 0x44};
/* What stands first in the state of a payment by delegation, and no other. */
static const uint8_t selector_redeem[4] = {0xce, 0xf6, 0xd2, 0x09};

static bool begins_with(struct x402_span span, const uint8_t selector[4])
{
	return span.len >= 4 && memcmp(span.ptr, selector, 4) == 0;
}

/* ---- What binds a payment by delegation: selector, sender, time. ---- */

void x402__settle_bind(struct x402_buf *state_calldata,
	const struct x402_address *sender, uint64_t send_before_unix_s)
{
	x402_abi_add_selector(state_calldata, selector_redeem);
	x402_abi_add_address(state_calldata, sender);
	x402_abi_add_u64(state_calldata, send_before_unix_s);
}

static struct x402_span after_selector(struct x402_span span)
{
	return x402_span(span.ptr + 4, span.len - 4);
}

uint64_t x402_settle_send_before(struct x402_span state_calldata)
{
	struct x402_u256 word;
	uint64_t send_before;

	if (!begins_with(state_calldata, selector_redeem))
		return UINT64_MAX;
	/* Cut short it is over: never send what nobody bounds. */
	return x402_abi_read_u256(after_selector(state_calldata), 1, &word) ||
			!x402_u256_to_u64(&word, &send_before)
		? 0
		: send_before;
}

/* ---- What a payment is. ---- */

void x402_settle_proof_set_call(struct x402_settle_proof *proof,
	const struct x402_address *call_to, struct x402_span state_calldata)
{
	proof->call_to = *call_to;
	proof->delegation = begins_with(state_calldata, selector_redeem);
	/* upto never goes behind a deployment. */
	if (begins_with(state_calldata, selector_bitmap) &&
		!x402_address_equal(
			call_to, x402_permit2_proxy(X402_PERMIT2_UPTO)))
		proof->call_to = *x402_permit2_proxy(X402_PERMIT2_EXACT);
}

struct x402_settle_proof x402_settle_plan_proof(
	const struct x402_settle_plan *plan)
{
	struct x402_settle_proof proof = {.asset = plan->asset_address,
		.from = plan->payer,
		.to = plan->pay_to,
		.value = plan->amount,
		.family = plan->network.family,
		.svm_asset = plan->svm.mint,
		.svm_from = plan->svm.payer,
		.svm_to = plan->svm.pay_to};

	x402_settle_proof_set_call(
		&proof, &plan->call_to, x402_buf_span(&plan->state_calldata));
	memcpy(proof.nonce32, plan->nonce32, 32);
	return proof;
}

static void format(const struct x402_settle_proof *proof,
	const struct x402_address *address, const struct x402_pubkey *account,
	char ret_text[X402_ACCOUNT_TEXT_SIZE])
{
	if (proof->family == X402_FAMILY_SVM)
		x402_pubkey_format(account, ret_text);
	else
		x402_address_format(address, ret_text);
}

void x402_settle_proof_payer(const struct x402_settle_proof *proof,
	char ret_text[X402_ACCOUNT_TEXT_SIZE])
{
	format(proof, &proof->from, &proof->svm_from, ret_text);
}

struct x402_settle_parties x402_settle_proof_parties(
	const struct x402_settle_proof *proof)
{
	struct x402_settle_parties parties;

	format(proof, &proof->asset, &proof->svm_asset, parties.asset);
	format(proof, &proof->from, &proof->svm_from, parties.payer);
	format(proof, &proof->to, &proof->svm_to, parties.pay_to);
	return parties;
}

/*
 * The chain's own coin, which has no contract, sent to the payer itself. No
 * payment looks like it: what it calls is a token or a proxy.
 */
static bool is_gift(const struct x402_settle_proof *proof)
{
	return proof->family == X402_FAMILY_EVM &&
		x402_address_is_zero(&proof->asset) &&
		x402_address_equal(&proof->from, &proof->to) &&
		x402_address_equal(&proof->call_to, &proof->to);
}

struct x402_u256 x402_settle_proof_value(const struct x402_settle_proof *proof)
{
	return is_gift(proof) ? proof->value : x402_u256_from_u64(0);
}

static bool is_proxy_of(
	const struct x402_settle_proof *proof, enum x402_permit2_kind kind)
{
	return x402_address_equal(&proof->call_to, x402_permit2_proxy(kind));
}

bool x402_settle_proof_is_permit2(const struct x402_settle_proof *proof)
{
	return !proof->delegation &&
		(is_proxy_of(proof, X402_PERMIT2_EXACT) ||
			is_proxy_of(proof, X402_PERMIT2_UPTO));
}

bool x402_settle_proof_is_delegation(const struct x402_settle_proof *proof)
{
	return proof->delegation;
}

enum x402_err x402_settle_sender(const struct x402_address *call_to,
	struct x402_span calldata, struct x402_span state_calldata,
	struct x402_address *ret_sender)
{
	if (begins_with(state_calldata, selector_redeem))
		return x402_abi_read_address(
			after_selector(state_calldata), 0, ret_sender);
	return x402_permit2_sender(call_to, calldata, ret_sender);
}

struct x402_address x402_settle_proof_state_at(
	const struct x402_settle_proof *proof)
{
	return x402_settle_proof_is_permit2(proof) ? *x402_permit2_contract()
						   : proof->asset;
}

enum x402_err x402_settle_proof_state_read(
	const struct x402_settle_proof *proof, struct x402_span answer,
	bool *ret_used)
{
	struct x402_u256 nonce = x402_u256_from_be32(proof->nonce32);

	/* Nobody else can land it: only its own transaction gives it. */
	if (is_gift(proof)) {
		*ret_used = false;
		return X402_OK;
	}
	return x402_settle_proof_is_permit2(proof)
		? x402_permit2_state_read(answer, &nonce, ret_used)
		: x402_abi_read_bool(answer, 0, ret_used);
}

enum x402_reason x402_settle_proof_reason(
	const struct x402_settle_proof *proof, enum x402_settle_fate fate)
{
	bool permit2 = x402_settle_proof_is_permit2(proof);

	if (proof->family == X402_FAMILY_SVM)
		return fate == X402_FATE_EXPIRED
			? X402_REASON_SVM_BLOCKHASH_EXPIRED
			: X402_REASON_SVM_TRANSACTION_FAILED;
	/* It has no nonce and no end of its own to blame. */
	if (proof->delegation && fate != X402_FATE_UNPAID)
		return X402_REASON_EVM_TRANSACTION_FAILED;
	switch (fate) {
	case X402_FATE_FAILED:
		return is_proxy_of(proof, X402_PERMIT2_UPTO)
			? X402_REASON_UPTO_TRANSACTION_FAILED
			: X402_REASON_EVM_TRANSACTION_FAILED;
	case X402_FATE_USED:
		return permit2 ? X402_REASON_PERMIT2_INVALID_NONCE
			       : X402_REASON_EVM_NONCE_ALREADY_USED;
	case X402_FATE_EXPIRED:
		return permit2 ? X402_REASON_PERMIT2_DEADLINE_EXPIRED
			       : X402_REASON_EVM_VALID_BEFORE;
	case X402_FATE_UNPAID:
		break;
	}
	return X402_REASON_EVM_TRANSFER_EVENT_MISMATCH;
}

/*
 * The arguments of settle, or what follows the permit of settleWithPermit:
 * token, amount, nonce, deadline, for upto what is taken, owner, payee.
 */
static bool are_its_terms(
	const struct x402_settle_proof *proof, struct x402_span words)
{
	bool upto = is_proxy_of(proof, X402_PERMIT2_UPTO);
	struct x402_address token;
	struct x402_address owner;
	struct x402_address to;
	struct x402_u256 value;
	uint8_t nonce[32];

	return x402_abi_read_address(words, 0, &token) == X402_OK &&
		x402_abi_read_u256(words, upto ? 4 : 1, &value) == X402_OK &&
		x402_abi_read_word(words, 2, nonce) == X402_OK &&
		x402_abi_read_address(words, upto ? 5 : 4, &owner) == X402_OK &&
		x402_abi_read_address(words, upto ? 6 : 5, &to) == X402_OK &&
		x402_address_equal(&token, &proof->asset) &&
		x402_u256_cmp(&value, &proof->value) == 0 &&
		memcmp(nonce, proof->nonce32, 32) == 0 &&
		x402_address_equal(&owner, &proof->from) &&
		x402_address_equal(&to, &proof->to);
}

/*
 * A call of the proxy with its terms. What stands behind the terms is the
 * payer's to choose, so no other place in a transaction is looked at.
 */
static bool is_its_call(const struct x402_settle_proof *proof,
	const struct x402_address *to, struct x402_span input)
{
	enum x402_permit2_kind kind = is_proxy_of(proof, X402_PERMIT2_UPTO)
		? X402_PERMIT2_UPTO
		: X402_PERMIT2_EXACT;
	struct x402_span words;

	return x402_address_equal(to, &proof->call_to) &&
		x402_permit2_settle_words(kind, input, &words) == X402_OK &&
		are_its_terms(proof, words);
}

bool x402_settle_proof_spent_by(const struct x402_settle_proof *proof,
	const struct x402_address *to, struct x402_span input, bool ours)
{
	struct x402_multicall_call call;

	if (is_its_call(proof, to, input))
		return true;
	if (!ours || !x402_address_equal(to, x402_multicall3()))
		return false;
	for (size_t i = 0; i < X402_MULTICALL_MAX; i++) {
		if (x402_multicall_aggregate3_call(input, i, &call) != X402_OK)
			break;
		if (is_its_call(proof, &call.target, call.calldata))
			return true;
	}
	return false;
}

static void address_topic(
	const struct x402_address *address, uint8_t ret_topic[32])
{
	memset(ret_topic, 0, 12);
	memcpy(ret_topic + 12, address->bytes, 20);
}

void x402_settle_proof_topics(
	const struct x402_settle_proof *proof, uint8_t ret_topics[3][32])
{
	bool permit2 = x402_settle_proof_is_permit2(proof);

	memcpy(ret_topics[0], permit2 ? topic_transfer : topic_used, 32);
	address_topic(&proof->from, ret_topics[1]);
	if (permit2)
		address_topic(&proof->to, ret_topics[2]);
	else
		memcpy(ret_topics[2], proof->nonce32, 32);
}

/* What a payment's own logs hold, for a receipt of many payments. */
struct expected {
	uint8_t from[32]; /* topics */
	uint8_t to[32];
	uint8_t value[32];
};

static bool is_word(const uint8_t *word, const uint8_t expected[32])
{
	return memcmp(word, expected, 32) == 0;
}

static bool is_of_payer(const struct x402_settle_proof *proof,
	const struct expected *expected, const struct x402_log *log)
{
	/* What differs most in a batch is compared first. */
	return log->topics_len == 3 &&
		is_word(log->topics[1], expected->from) &&
		x402_address_equal(&log->address, &proof->asset);
}

/* A Transfer of the payer's: of these very terms? */
static bool has_terms(
	const struct expected *expected, const struct x402_log *log)
{
	return is_word(log->topics[2], expected->to) && log->data.len == 32 &&
		is_word(log->data.ptr, expected->value);
}

/*
 * Permit2 and delegations name no nonce: one Transfer of the terms, and no
 * other. A delegation with no authorization of the payer's used, either: its
 * account may be any contract, and could have spent one of those on the way,
 * which is another payment's.
 */
static bool is_paid_once(const struct x402_settle_proof *proof,
	const struct expected *expected, const struct x402_receipt *receipt)
{
	size_t transfers = 0;
	size_t authorizations = 0;

	for (size_t i = 0; i < receipt->logs_len; i++) {
		const struct x402_log *log = &receipt->logs[i];

		if (!is_of_payer(proof, expected, log))
			continue;
		if (is_word(log->topics[0], topic_transfer))
			transfers += has_terms(expected, log);
		else if (is_word(log->topics[0], topic_used))
			authorizations++;
	}
	return transfers == 1 && !(proof->delegation && authorizations);
}

/*
 * EIP-3009: the Transfer that belongs to this nonce's AuthorizationUsed. Tokens
 * write the two of one authorization next to each other, the Transfer behind;
 * where the payer's logs begin with a Transfer and end with none, in front.
 *
 * That both are somewhere in the receipt proves nothing: the nonce may have
 * been used up for other terms, beside another authorization that paid these.
 */
static bool is_paid_by_nonce(const struct x402_settle_proof *proof,
	const struct expected *expected, const struct x402_receipt *receipt)
{
	enum { NOTHING, OTHER_USED, THIS_USED, OTHER_TRANSFER, TRANSFER };
	int first = NOTHING;
	int last = NOTHING;
	size_t transfers = 0;
	size_t authorizations = 0;
	size_t this_one = 0;
	bool paid_behind = false;
	bool paid_in_front = false;

	for (size_t i = 0; i < receipt->logs_len; i++) {
		const struct x402_log *log = &receipt->logs[i];

		if (!is_of_payer(proof, expected, log))
			continue;
		if (is_word(log->topics[0], topic_transfer)) {
			bool good = has_terms(expected, log);

			paid_behind |= good && last == THIS_USED;
			transfers += good;
			last = good ? TRANSFER : OTHER_TRANSFER;
		} else if (is_word(log->topics[0], topic_used)) {
			bool is_this = is_word(log->topics[2], proof->nonce32);

			paid_in_front |= is_this && last == TRANSFER;
			this_one += is_this;
			authorizations++;
			last = is_this ? THIS_USED : OTHER_USED;
		}
		if (first == NOTHING)
			first = last;
	}
	/* More Transfers than authorizations: somebody moved money besides. */
	if (this_one != 1 || transfers > authorizations)
		return false;
	return first >= OTHER_TRANSFER && last < OTHER_TRANSFER ? paid_in_front
								: paid_behind;
}

static bool proves(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt)
{
	struct expected expected;

	/* A transfer of value alone: it succeeds whole or not at all. */
	if (is_gift(proof))
		return true;
	address_topic(&proof->from, expected.from);
	address_topic(&proof->to, expected.to);
	x402_u256_to_be32(&proof->value, expected.value);
	return x402_settle_proof_is_permit2(proof) || proof->delegation
		? is_paid_once(proof, &expected, receipt)
		: is_paid_by_nonce(proof, &expected, receipt);
}

void x402_settle_judge(const struct x402_settle_proof *proof,
	const struct x402_receipt *receipt, struct x402_verdict *ret_verdict)
{
	struct x402_errinfo info = {{0}, {0}};

	memset(ret_verdict, 0, sizeof(*ret_verdict));
	if (proof->family == X402_FAMILY_SVM) {
		x402__exact_svm_settle_judge(proof, receipt, ret_verdict);
		return;
	}
	x402_address_format(&proof->from, ret_verdict->payer);
	if (!receipt->success) {
		ret_verdict->reason = x402_settle_proof_reason(
			proof, X402_FATE_FAILED);
		x402_errinfo_set(
			&info, "", "the transaction was mined and reverted");
	} else if (!proves(proof, receipt)) {
		ret_verdict->reason = x402_settle_proof_reason(
			proof, X402_FATE_UNPAID);
		x402_errinfo_set(&info, "",
			"expected exactly one Transfer of these terms%s, "
			"emitted by the asset",
			proof->delegation ? " and no AuthorizationUsed"
				: x402_settle_proof_is_permit2(proof)
				? ""
				: " and this nonce's AuthorizationUsed");
	} else {
		ret_verdict->valid = true;
	}
	memcpy(ret_verdict->message, info.text, sizeof(info.text));
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Does text hold these lower-case parts, in this order, apart or not? */
static bool has_parts(const char *text, const char *const parts[3])
{
	for (size_t part = 0; part < 3 && parts[part]; part++) {
		size_t len = strlen(parts[part]);
		const char *at = text;

		for (;; at++) {
			size_t i = 0;

			while (i < len && at[i] &&
				lower(at[i]) == parts[part][i])
				i++;
			if (i == len)
				break;
			if (!*at)
				return false;
		}
		text = at + len;
	}
	return true;
}

enum x402_reason x402_settle_revert_reason(struct x402_span revert_data)
{
	static const struct {
		const char *parts[3];
		enum x402_reason reason;
	} rules[] = {
		/* In the order of F-054: the first that matches wins. */
		{{"authorization", "expired"}, X402_REASON_EVM_VALID_BEFORE},
		{{"authorization", "valid before"},
			X402_REASON_EVM_VALID_BEFORE},
		{{"authorization", "not", "valid"},
			X402_REASON_EVM_VALID_AFTER},
		{{"authorization", "used"}, X402_REASON_EVM_NONCE_ALREADY_USED},
		{{"usedorcanceled"}, X402_REASON_EVM_NONCE_ALREADY_USED},
		/* An allowance can be exceeded too: that is no balance. */
		{{"transfer", "exceeds", "balance"},
			X402_REASON_EVM_INSUFFICIENT_BALANCE},
		{{"insufficient", "balance"},
			X402_REASON_EVM_INSUFFICIENT_BALANCE},
		{{"invalid", "signature"}, X402_REASON_EVM_SIGNATURE},
		{{"signermismatch"}, X402_REASON_EVM_SIGNATURE},
	};
	char text[256];

	x402_abi_revert_text(revert_data, text, sizeof(text));
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (has_parts(text, rules[i].parts))
			return rules[i].reason;
	}
	return X402_REASON_EVM_TRANSACTION_FAILED;
}

enum x402_reason x402_permit2_revert_reason(struct x402_span revert_data)
{
	/* protocol.md 2.5, by the names that x402_abi_revert_text gives. */
	static const struct {
		const char *name;
		enum x402_reason reason;
	} names[] = {
		{"Permit2612AmountMismatch()",
			X402_REASON_PERMIT2_2612_AMOUNT_MISMATCH},
		{"InvalidAmount()", X402_REASON_PERMIT2_INVALID_AMOUNT},
		{"InvalidAmount(uint256)", X402_REASON_PERMIT2_INVALID_AMOUNT},
		{"InvalidDestination()",
			X402_REASON_PERMIT2_INVALID_DESTINATION},
		{"InvalidOwner()", X402_REASON_PERMIT2_INVALID_OWNER},
		{"PaymentTooEarly()", X402_REASON_PERMIT2_PAYMENT_TOO_EARLY},
		{"InvalidSignature()", X402_REASON_PERMIT2_SIGNATURE},
		{"InvalidSigner()", X402_REASON_PERMIT2_SIGNATURE},
		{"InvalidSignatureLength()", X402_REASON_PERMIT2_SIGNATURE},
		{"InvalidContractSignature()", X402_REASON_PERMIT2_SIGNATURE},
		{"SignatureExpired(uint256)", X402_REASON_PERMIT2_SIGNATURE},
		{"InvalidNonce()", X402_REASON_PERMIT2_INVALID_NONCE},
		{"AmountExceedsPermitted()",
			X402_REASON_UPTO_AMOUNT_EXCEEDS_PERMITTED},
		{"UnauthorizedFacilitator()",
			X402_REASON_UPTO_UNAUTHORIZED_FACILITATOR},
		{"ERC20InsufficientBalance(address,uint256,uint256)",
			X402_REASON_PERMIT2_INSUFFICIENT_BALANCE},
		{"ERC20InsufficientAllowance(address,uint256,uint256)",
			X402_REASON_PERMIT2_ALLOWANCE_REQUIRED},
	};
	char text[256];

	x402_abi_revert_text(revert_data, text, sizeof(text));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(text, names[i].name) == 0)
			return names[i].reason;
	return X402_REASON_NONE;
}
