/*
 * The client pays by delegation (ERC-7710): a wallet is asked once, for the
 * terms of the offer and no others, and what it gave is presented again; what
 * an offer or a wallet may get wrong ends with nothing sent.
 */
#include "client_house.h"
#include "pay_p.h"

#define DELEGATE "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
#define MANAGER  "0xdb9B1e94B5b69Df7e401DDbedE43491141047dB3"
#define OWNER    "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define EXTRA                                   \
	"{\"assetTransferMethod\":\"erc7710\"," \
	"\"facilitatorAddress\":\"" DELEGATE "\"}"
#define BY_DELEGATION CHALLENGE("pay", URL, OFFER("1000", USDC, EXTRA))

struct wallet {
	unsigned asked;
	struct x402_delegation_terms terms; /* of the last time */
	size_t context_len;
	enum x402_err err;
	bool no_manager;
	bool no_delegator;
};

static enum x402_err delegate(void *user,
	const struct x402_delegation_terms *terms,
	struct x402_delegation_payload *ret_payload)
{
	struct wallet *wallet = user;

	wallet->asked++;
	wallet->terms = *terms;
	if (wallet->err)
		return wallet->err;
	if (!wallet->no_manager)
		assert_int_equal(
			x402_address_parse(MANAGER, &ret_payload->manager),
			X402_OK);
	if (!wallet->no_delegator)
		assert_int_equal(
			x402_address_parse(OWNER, &ret_payload->delegator),
			X402_OK);
	for (size_t i = 0; i < wallet->context_len; i++)
		x402_buf_add_byte(&ret_payload->context, (uint8_t)i);
	return X402_OK;
}

static void play_with(struct play *play, struct wallet *wallet)
{
	play->options.delegate = delegate;
	play->options.delegate_user = wallet;
	run_play(play);
}

static bool is_address(const struct x402_address *address, const char *text)
{
	struct x402_address expected;

	assert_int_equal(x402_address_parse(text, &expected), X402_OK);
	return x402_address_equal(address, &expected);
}

static void test_wallet_is_asked_for_the_offers_terms(void **state)
{
	static const struct answer answers[] = {
		{.status = 402, .required = BY_DELEGATION},
		{.status = 200, .response = SETTLED("")}};
	struct play play = {.answers = answers, .answers_len = 2};
	struct wallet wallet = {.context_len = 40};
	struct x402_u256 price = x402_u256_from_u64(1000);
	struct x402_payment_payload payload;
	struct x402_delegation_payload delegation;

	(void)state;
	play_with(&play, &wallet);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_NONE);
	assert_int_equal(wallet.asked, 1);
	assert_int_equal(play.signatures, 0);
	assert_string_equal(wallet.terms.network.caip2, "eip155:84532");
	assert_true(is_address(&wallet.terms.asset, USDC));
	assert_true(is_address(&wallet.terms.pay_to, PAYEE));
	assert_true(is_address(&wallet.terms.delegate, DELEGATE));
	assert_int_equal(x402_u256_cmp(&wallet.terms.amount, &price), 0);
	assert_true(wallet.terms.valid_before_unix_s == NOW + 300);
	assert_true(play.flow.payment.valid_before_unix_s == NOW + 300);
	/* Who pays is whom the wallet named, not our key. */
	assert_string_equal(play.flow.payment.payer, OWNER);
	assert_int_equal(
		x402_payment_payload_decode(
			x402_span_str(play.first_header), NULL, &payload),
		X402_OK);
	assert_int_equal(x402_delegation_payload_read(
				 payload.payload, NULL, &delegation),
		X402_OK);
	assert_int_equal(delegation.context.len, 40);
	x402_delegation_payload_clear(&delegation);
	x402_payment_payload_clear(&payload);
	end_play(&play);
}

/* R7: the same one again, however often the server does not answer. */
static void test_same_context_is_presented_again(void **state)
{
	static const struct answer answers[] = {
		{.status = 402, .required = BY_DELEGATION},
		{.status = 402,
			.required = BY_DELEGATION,
			.response = FAILED("settlement_pending", TX)},
		{.status = 200, .response = SETTLED("")}};
	struct play play = {.answers = answers, .answers_len = 3};
	struct wallet wallet = {.context_len = 40};

	(void)state;
	play_with(&play, &wallet);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_NONE);
	assert_int_equal(wallet.asked, 1);
	assert_true(play.paid_sends >= 2);
	end_play(&play);
}

/* One that was made before a restart names its payer and its terms. */
static void test_header_that_was_brought_is_read(void **state)
{
	static const struct answer answers[] = {
		{.status = 402, .required = BY_DELEGATION},
		{.status = 200, .response = SETTLED("")}};
	struct play play = {.answers = answers, .answers_len = 2};
	struct wallet wallet = {.context_len = 3};
	struct x402_client_payment payment = {0};

	(void)state;
	play_with(&play, &wallet);
	x402__pay_adopt(&payment, play.first_header);
	assert_string_equal(payment.payer, OWNER);
	assert_string_equal(payment.pay_to, PAYEE);
	assert_string_equal(payment.amount, "1000");
	end_play(&play);
}

static void test_nothing_is_sent_when_the_wallet_does_not_give_one(void **state)
{
	static const struct answer answers[] = {
		{.status = 402, .required = BY_DELEGATION}};
	struct wallet wallets[] = {
		{.err = X402_ERR_POLICY, .context_len = 40},
		{.err = X402_ERR_NOMEM, .context_len = 40},
		{.context_len = 0},
		{.context_len = X402_PERMISSION_CONTEXT_MAX + 1},
		{.context_len = 40, .no_manager = true},
		{.context_len = 40, .no_delegator = true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wallets); i++) {
		struct play play = {.answers = answers, .answers_len = 1};

		play_with(&play, &wallets[i]);
		assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_SIGNER);
		assert_int_equal(wallets[i].asked, 1);
		assert_int_equal(play.paid_sends, 0);
		end_play(&play);
	}
}

static void test_offers_that_cannot_be_delegated_are_passed_over(void **state)
{
	static const char *const challenges[] = {
		CHALLENGE("", URL,
			OFFER("1", USDC,
				"{\"assetTransferMethod\":\"erc7710\"}")),
		CHALLENGE("", URL,
			OFFER("1", USDC,
				"{\"assetTransferMethod\":\"erc7710\","
				"\"facilitatorAddress\":\"them\"}")),
		CHALLENGE("", URL,
			OFFER("1", USDC,
				"{\"assetTransferMethod\":\"erc7711\","
				"\"facilitatorAddress\":\"" DELEGATE "\"}")),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(challenges); i++) {
		const struct answer answer = {
			.status = 402, .required = challenges[i]};
		struct play play = {.answers = &answer, .answers_len = 1};
		struct wallet wallet = {.context_len = 40};

		play_with(&play, &wallet);
		assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_NO_OFFER);
		assert_int_equal(wallet.asked, 0);
		end_play(&play);
	}
}

/* Limits hold for it as for any other. */
static void test_price_above_the_limit_is_not_asked_for(void **state)
{
	static const struct answer answer = {.status = 402,
		.required = CHALLENGE("", URL, OFFER("1000001", USDC, EXTRA))};
	struct play play = {.answers = &answer, .answers_len = 1};
	struct wallet wallet = {.context_len = 40};

	(void)state;
	play_with(&play, &wallet);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_OVER_LIMIT);
	assert_int_equal(wallet.asked, 0);
	end_play(&play);
}

static void test_without_a_wallet_another_offer_is_taken(void **state)
{
	static const struct answer answers[] = {
		{.status = 402,
			.required = CHALLENGE("", URL,
				OFFER("1000", USDC, EXTRA) "," OFFER(
					"1000", USDC, DOMAIN_JSON))},
		{.status = 200, .response = SETTLED("")}};
	struct play play = {.answers = answers, .answers_len = 2};

	(void)state;
	run_play(&play);
	assert_int_equal(play.flow.cause, X402_CLIENT_CAUSE_NONE);
	assert_int_equal(play.signatures, 1);
	end_play(&play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wallet_is_asked_for_the_offers_terms),
		cmocka_unit_test(test_same_context_is_presented_again),
		cmocka_unit_test(test_header_that_was_brought_is_read),
		cmocka_unit_test(
			test_nothing_is_sent_when_the_wallet_does_not_give_one),
		cmocka_unit_test(
			test_offers_that_cannot_be_delegated_are_passed_over),
		cmocka_unit_test(test_price_above_the_limit_is_not_asked_for),
		cmocka_unit_test(test_without_a_wallet_another_offer_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
