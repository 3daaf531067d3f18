/*
 * Which offer is paid, which payment answers an offer, and the envelope in
 * between. Money is lost here, so each cap is tried one unit to either side.
 */
#include "payment_house.h"
#include "x402/negotiate.h"

/* An offer with its own network, amount, asset and extra members. */
#define OFFER(network, amount, asset, extra)                               \
	"{'scheme':'exact','network':'" network "','amount':'" amount      \
	"','asset':'" asset "','payTo':'" PAYEE                            \
	"','maxTimeoutSeconds':60,'extra':{'name':'n','version':'2'" extra \
	"}}"
#define SEPOLIA(amount) OFFER("eip155:84532", amount, USDC, "")
#define MNEE            "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF"

static void read_accepts(
	const char *accepts, struct x402_payment_required *ret_required)
{
	struct x402_buf buf = {0};
	struct x402_json *json;
	char *text;

	x402_buf_printf(&buf, "{'x402Version':2,'accepts':[%s]}", accepts);
	text = x402_buf_take_str(&buf);
	json = json_of(text);
	assert_int_equal(
		x402_payment_required_read(json, NULL, ret_required), X402_OK);
	x402_json_unref(json);
	free(text);
}

/* Selects among accepts; gives the index or -1 and the first outcome. */
static int select_among(const char *accepts,
	const struct x402_selection_options *options,
	enum x402_selection_outcome *ret_first)
{
	struct x402_payment_required required;
	struct x402_selection selection;

	read_accepts(accepts, &required);
	assert_int_equal(x402_select(&required, options, &selection), X402_OK);
	*ret_first = selection.outcomes[0];
	x402_payment_required_clear(&required);
	return selection.found ? (int)selection.index : -1;
}

static void test_select_takes_first_acceptable(void **state)
{
	enum x402_selection_outcome first;

	(void)state;
	assert_int_equal(
		select_among(SEPOLIA("9") "," SEPOLIA("1"), NULL, &first), 0);
	assert_int_equal(
		select_among(SEPOLIA("1000001") "," SEPOLIA("2"), NULL, &first),
		1);
	assert_int_equal(first, X402_SELECTION_OVER_LIMIT);
	assert_int_equal(select_among("", NULL, &first), -1);
}

static void test_select_cap_is_exact(void **state)
{
	struct x402_selection_options options = X402_SELECTION_OPTIONS_INIT;
	enum x402_selection_outcome first;

	(void)state;
	assert_int_equal(select_among(SEPOLIA("1000000"), NULL, &first), 0);
	assert_int_equal(select_among(SEPOLIA("1000001"), NULL, &first), -1);
	assert_int_equal(first, X402_SELECTION_OVER_LIMIT);
	options.max_usd_micros = 500;
	assert_int_equal(select_among(SEPOLIA("500"), &options, &first), 0);
	assert_int_equal(select_among(SEPOLIA("501"), &options, &first), -1);
	assert_int_equal(
		select_among(SEPOLIA("1157920892373161954235709850086879078532"
				     "69984665640564039457584007913129639935"),
			&options, &first),
		-1);
}

static void test_select_refuses_unknown_and_unofficial_assets(void **state)
{
	enum x402_selection_outcome first;

	(void)state;
	assert_int_equal(select_among(OFFER("eip155:84532", "1", PAYEE, ""),
				 NULL, &first),
		-1);
	assert_int_equal(first, X402_SELECTION_UNKNOWN_ASSET);
	/* C-031: known, but not in the official table. */
	assert_int_equal(
		select_among(OFFER("eip155:1", "1", MNEE, ""), NULL, &first),
		-1);
	assert_int_equal(first, X402_SELECTION_UNKNOWN_ASSET);
	/* Base's dollar on another chain is another token. */
	assert_int_equal(
		select_among(OFFER("eip155:8453", "1", USDC, ""), NULL, &first),
		-1);
	assert_int_equal(first, X402_SELECTION_UNKNOWN_ASSET);
}

static void test_select_allowed_asset_has_its_own_cap(void **state)
{
	struct x402_selection_options options = X402_SELECTION_OPTIONS_INIT;
	enum x402_selection_outcome first;
	struct x402_asset_id asset;
	struct x402_amount cap;

	(void)state;
	assert_int_equal(x402_asset_id_init("eip155:1", MNEE, &asset), X402_OK);
	assert_int_equal(
		x402_amount_from_atomic("1000", &asset, &cap), X402_OK);
	options.allowed_assets = &cap;
	options.allowed_assets_len = 1;
	assert_int_equal(select_among(OFFER("eip155:1", "1000", MNEE, ""),
				 &options, &first),
		0);
	assert_int_equal(select_among(OFFER("eip155:1", "1001", MNEE, ""),
				 &options, &first),
		-1);
	assert_int_equal(first, X402_SELECTION_OVER_LIMIT);
	/* Lower case names the same asset. */
	assert_int_equal(
		select_among(OFFER("eip155:1", "1000",
				     "0x8ccedbae4916b79da7f3f612efb2eb93"
				     "a2bfd6cf",
				     ""),
			&options, &first),
		0);
}

static void test_select_refuses_what_it_cannot_make(void **state)
{
	static const struct {
		const char *accepts;
		enum x402_selection_outcome outcome;
	} cases[] = {
		{"{'scheme':'upward','network':'eip155:84532','amount':'1',"
		 "'asset':'" USDC "','payTo':'p','maxTimeoutSeconds':1}",
			X402_SELECTION_UNSUPPORTED},
		{OFFER("cosmos:hub", "1", "atom", ""),
			X402_SELECTION_UNSUPPORTED},
		{OFFER("eip155:*", "1", USDC, ""), X402_SELECTION_UNSUPPORTED},
		{OFFER("eip155:84532", "1", "0x12", ""),
			X402_SELECTION_UNSUPPORTED},
		{OFFER("eip155:84532", "1", USDC,
			 ",'assetTransferMethod':'erc7710'"),
			X402_SELECTION_UNSUPPORTED},
		{OFFER("eip155:84532", "1", USDC, ",'assetTransferMethod':7"),
			X402_SELECTION_UNSUPPORTED},
		{OFFER("eip155:84532", "1", USDC, ",'paymentFlow':'later'"),
			X402_SELECTION_FLOW},
		{OFFER("eip155:84532", "1", USDC, ",'paymentFlow':{}"),
			X402_SELECTION_FLOW},
		{OFFER("eip155:84532", "1", USDC, ",'paymentFlow':'escrow'"),
			X402_SELECTION_FLOW},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		enum x402_selection_outcome first;

		assert_int_equal(
			select_among(cases[i].accepts, NULL, &first), -1);
		assert_int_equal(first, cases[i].outcome);
	}
}

static void test_select_prefers_authorization_flow(void **state)
{
	enum x402_selection_outcome first;

	(void)state;
	/* C-024: later in the list, but the flow goes first. */
	assert_int_equal(
		select_among(
			OFFER("eip155:84532", "1", USDC, ",'paymentFlow':'upfront'") "," SEPOLIA(
				"5") "," SEPOLIA("4"),
			NULL, &first),
		1);
	assert_int_equal(first, X402_SELECTION_OK);
	assert_int_equal(select_among(OFFER("eip155:84532", "1", USDC,
					      ",'paymentFlow':'upfront'"),
				 NULL, &first),
		0);
}

static void test_select_keeps_to_wanted_networks(void **state)
{
	static const char *const base[] = {"eip155:8453"};
	static const char *const any[] = {"solana:*", "eip155:*"};
	struct x402_selection_options options = X402_SELECTION_OPTIONS_INIT;
	enum x402_selection_outcome first;

	(void)state;
	options.networks = base;
	options.networks_len = 1;
	assert_int_equal(select_among(SEPOLIA("1"), &options, &first), -1);
	assert_int_equal(first, X402_SELECTION_UNSUPPORTED);
	options.networks = any;
	options.networks_len = 2;
	assert_int_equal(select_among(SEPOLIA("1"), &options, &first), 0);
	/* An empty list wants none. */
	options.networks_len = 0;
	assert_int_equal(select_among(SEPOLIA("1"), &options, &first), -1);
}

static bool only_amount_2(void *user,
	const struct x402_payment_required *required,
	const struct x402_payment_requirements *offer)
{
	(void)required;
	++*(int *)user;
	return strcmp(offer->amount, "2") == 0;
}

static void test_select_asks_policy_last(void **state)
{
	struct x402_selection_options options = X402_SELECTION_OPTIONS_INIT;
	enum x402_selection_outcome first;
	int asked = 0;

	(void)state;
	options.policy = only_amount_2;
	options.user = &asked;
	assert_int_equal(select_among(SEPOLIA("1") "," SEPOLIA(
					      "9000000") "," SEPOLIA("2"),
				 &options, &first),
		2);
	assert_int_equal(first, X402_SELECTION_POLICY);
	/* Not about the one over the limit: C-022 comes before C-023. */
	assert_int_equal(asked, 2);
}

static void test_select_refuses_unusable_options(void **state)
{
	struct x402_selection_options options = X402_SELECTION_OPTIONS_INIT;
	struct x402_payment_required required;
	struct x402_selection selection;

	(void)state;
	read_accepts(SEPOLIA("1"), &required);
	options.networks_len = 1;
	assert_int_equal(x402_select(&required, &options, &selection),
		X402_ERR_INVALID_ARGUMENT);
	options.networks_len = 0;
	options.allowed_assets_len = 1;
	assert_int_equal(x402_select(&required, &options, &selection),
		X402_ERR_INVALID_ARGUMENT);
	x402_payment_required_clear(&required);
}

static void test_explain_cannot_move_a_cursor(void **state)
{
	struct x402_payment_required required;
	struct x402_selection selection;
	char *text = NULL;

	(void)state;
	read_accepts("{'scheme':'\\u001b[2Jx','network':'a:\\nb','amount':'1',"
		     "'asset':'\xc2\x9b','payTo':'p','maxTimeoutSeconds':1}",
		&required);
	assert_int_equal(x402_select(&required, NULL, &selection), X402_OK);
	assert_int_equal(
		x402_selection_explain(&required, &selection, &text), X402_OK);
	assert_string_equal(text,
		"?[2Jx on a:?b, 1 of ??: not a kind of payment this client "
		"can make");
	free(text);
	x402_payment_required_clear(&required);
	read_accepts("", &required);
	assert_int_equal(x402_select(&required, NULL, &selection), X402_OK);
	assert_int_equal(
		x402_selection_explain(&required, &selection, &text), X402_OK);
	assert_string_equal(text, "nothing was offered");
	free(text);
	x402_payment_required_clear(&required);
}

/* Does a payment for `accepted` answer `offer`? */
static bool matches(const char *offer, const char *accepted)
{
	struct x402_json *offer_json = json_of(offer);
	struct x402_payment_requirements req;
	struct x402_payment_payload payload;
	struct x402_json *json;
	struct x402_buf buf = {0};
	char *text;
	bool match;

	x402_buf_printf(
		&buf, "{'x402Version':2,'payload':{},'accepted':%s}", accepted);
	text = x402_buf_take_str(&buf);
	json = json_of(text);
	assert_int_equal(
		x402_payment_requirements_read(offer_json, X402_V2, NULL, &req),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_read(json, NULL, &payload), X402_OK);
	match = x402_requirements_match(&req, &payload);
	x402_payment_requirements_clear(&req);
	x402_payment_payload_clear(&payload);
	x402_json_unref(offer_json);
	x402_json_unref(json);
	free(text);
	return match;
}

static void test_match_allows_added_extra_keys_only(void **state)
{
	static const char offer[] = OFFER("eip155:84532", "1", USDC, "");

	(void)state;
	assert_true(matches(offer, offer));
	assert_true(matches(
		offer, OFFER("eip155:84532", "1", USDC, ",'added':[1]")));
	assert_false(matches(
		OFFER("eip155:84532", "1", USDC, ",'needed':1"), offer));
	assert_false(matches(OFFER("eip155:84532", "1", USDC, ",'k':'a'"),
		OFFER("eip155:84532", "1", USDC, ",'k':'A'")));
	assert_false(matches(OFFER("eip155:84532", "1", USDC, ",'k':1"),
		OFFER("eip155:84532", "1", USDC, ",'k':'1'")));
}

static void test_match_compares_six_fields(void **state)
{
	static const char offer[] = OFFER("eip155:84532", "10", USDC, "");
	static const char *const others[] = {
		OFFER("eip155:8453", "10", USDC, ""),
		OFFER("eip155:84532", "9", USDC, ""),
		OFFER("eip155:84532", "10", PAYEE, ""),
		/* L-032: no folding of case at this level. */
		OFFER("eip155:84532", "10",
			"0x036cbd53842c5426634e7929541ec2318f3dcf7e", ""),
		"{'scheme':'upto','network':'eip155:84532','amount':'10',"
		"'asset':'" USDC "','payTo':'" PAYEE
		"','maxTimeoutSeconds':60,'extra':{'name':'n','version':'2'}}",
		"{'scheme':'exact','network':'eip155:84532','amount':'10',"
		"'asset':'" USDC "','payTo':'" USDC
		"','maxTimeoutSeconds':60,'extra':{'name':'n','version':'2'}}",
		"{'scheme':'exact','network':'eip155:84532','amount':'10',"
		"'asset':'" USDC "','payTo':'" PAYEE
		"','maxTimeoutSeconds':61,'extra':{'name':'n','version':'2'}}",
		"{'scheme':'exact','network':'eip155:84532','amount':'10',"
		"'asset':'" USDC "','payTo':'" PAYEE
		"','maxTimeoutSeconds':60}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(matches(offer, others[i]));
}

static void test_match_v1_compares_scheme_and_network(void **state)
{
	struct x402_json *offer = json_of("{" OFFER_V1 "}");
	struct x402_json *json = json_of(
		"{'x402Version':1,'scheme':'exact','network':'base-sepolia',"
		"'payload':{}}");
	struct x402_payment_requirements req;
	struct x402_payment_payload payload;

	(void)state;
	assert_int_equal(
		x402_payment_requirements_read(offer, X402_V1, NULL, &req),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_read(json, NULL, &payload), X402_OK);
	assert_true(x402_requirements_match(&req, &payload));
	req.network = "base";
	assert_false(x402_requirements_match(&req, &payload));
	/* A version never answers the other. */
	req.network = "base-sepolia";
	req.x402_version = X402_V2;
	assert_false(x402_requirements_match(&req, &payload));
	x402_payment_requirements_clear(&req);
	x402_payment_payload_clear(&payload);
	x402_json_unref(offer);
	x402_json_unref(json);
}

static void test_build_echoes_and_server_wins(void **state)
{
	struct x402_json *json = json_of(
		"{'x402Version':2,'resource':{'url':'u','odd':1},"
		"'accepts':[{" OFFER_V2 ",'more':2}],"
		"'extensions':{'a':{'info':{'x':1},'schema':{}},'b':null}}");
	struct x402_json *scheme_payload = json_of("{'signature':'0x'}");
	struct x402_json *client = json_of(
		"{'a':{'info':{'x':9,'y':2},'schema':7,'z':3},"
		"'b':{'q':1},'c':{'info':{}}}");
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_json *built = NULL;

	(void)state;
	assert_int_equal(
		x402_payment_required_read(json, NULL, &required), X402_OK);
	assert_int_equal(x402_payment_payload_build(&required, 0,
				 scheme_payload, client, &payload),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_to_json(&payload, &built), X402_OK);
	assert_json_take(built,
		"{'x402Version':2,'payload':{'signature':'0x'},"
		"'extensions':{'a':{'info':{'x':1,'y':2},'schema':{},'z':3},"
		"'b':null,'c':{'info':{}}},'resource':{'url':'u','odd':1},"
		"'accepted':{" OFFER_V2 ",'more':2}}");
	/* The server's own tree is as it was. */
	built = x402_json_ref(required.json);
	assert_json_take(built,
		"{'x402Version':2,'resource':{'url':'u','odd':1},"
		"'accepts':[{" OFFER_V2 ",'more':2}],"
		"'extensions':{'a':{'info':{'x':1},'schema':{}},'b':null}}");
	assert_int_equal(x402_payment_payload_build(
				 &required, 1, scheme_payload, NULL, &payload),
		X402_ERR_INVALID_ARGUMENT);
	x402_payment_payload_clear(&payload);
	x402_payment_required_clear(&required);
	x402_json_unref(json);
	x402_json_unref(scheme_payload);
	x402_json_unref(client);
}

static void test_build_v1_is_four_members(void **state)
{
	struct x402_json *json = json_of(
		"{'x402Version':1,'error':'e','accepts':[{" OFFER_V1 "}]}");
	struct x402_json *scheme_payload = json_of("{'s':1}");
	struct x402_json *client = json_of("{'c':{}}");
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_json *built = NULL;

	(void)state;
	assert_int_equal(
		x402_payment_required_read(json, NULL, &required), X402_OK);
	assert_int_equal(x402_payment_payload_build(&required, 0,
				 scheme_payload, client, &payload),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_to_json(&payload, &built), X402_OK);
	assert_json_take(built,
		"{'x402Version':1,'scheme':'exact','network':'base-sepolia',"
		"'payload':{'s':1}}");
	x402_payment_payload_clear(&payload);
	x402_payment_required_clear(&required);
	x402_json_unref(json);
	x402_json_unref(scheme_payload);
	x402_json_unref(client);
}

static void test_build_from_hand_built_challenge(void **state)
{
	struct x402_json *scheme_payload = json_of("{}");
	struct x402_payment_required required;
	struct x402_payment_payload payload;
	struct x402_json *built = NULL;

	(void)state;
	memset(&required, 0, sizeof(required));
	required.x402_version = X402_V2;
	required.resource.url = "http://a.example/";
	required.accepts_len = 1;
	assert_int_equal(x402_requirements_from_price("$0.001", "eip155:84532",
				 NULL, PAYEE, 300, &required.accepts[0]),
		X402_OK);
	assert_int_equal(x402_payment_payload_build(
				 &required, 0, scheme_payload, NULL, &payload),
		X402_OK);
	assert_int_equal(
		x402_payment_payload_to_json(&payload, &built), X402_OK);
	assert_json_take(built,
		"{'x402Version':2,'payload':{},"
		"'resource':{'url':'http://a.example/'},"
		"'accepted':{" OFFER_V2 "}}");
	x402_payment_payload_clear(&payload);
	x402_payment_required_clear(&required);
	x402_json_unref(scheme_payload);
}

static void test_from_price_refuses(void **state)
{
	static const struct {
		const char *price;
		const char *network;
		const char *asset;
		const char *pay_to;
		int64_t timeout;
		enum x402_err err;
	} cases[] = {
		{"$1", "eip155:5", NULL, PAYEE, 60, X402_ERR_NOT_FOUND},
		{"$1", "base", NULL, PAYEE, 60, X402_ERR_NOT_FOUND},
		{"$1", "eip155:84532", PAYEE, PAYEE, 60, X402_ERR_NOT_FOUND},
		{"one", "eip155:84532", NULL, PAYEE, 60, X402_ERR_SYNTAX},
		{"$0.0000001", "eip155:84532", NULL, PAYEE, 60, X402_ERR_RANGE},
		{"$1", "eip155:84532", NULL, NULL, 60, X402_ERR_SCHEMA},
		{"$1", "eip155:84532", NULL, PAYEE, 0, X402_ERR_RANGE},
	};
	struct x402_payment_requirements req;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(
			x402_requirements_from_price(cases[i].price,
				cases[i].network, cases[i].asset,
				cases[i].pay_to, cases[i].timeout, &req),
			cases[i].err);
}

static void test_from_price_counts_the_assets_decimals(void **state)
{
	struct x402_payment_requirements req;

	(void)state;
	assert_int_equal(x402_requirements_from_price(
				 "$0.01", "eip155:4326", NULL, PAYEE, 60, &req),
		X402_OK);
	assert_string_equal(req.amount, "10000000000000000");
	assert_string_equal(
		x402_json_get_string(req.extra, "assetTransferMethod"),
		"permit2");
	x402_payment_requirements_clear(&req);
	assert_int_equal(x402_requirements_from_price(
				 "0.5", "eip155:1", MNEE, PAYEE, 60, &req),
		X402_OK);
	assert_string_equal(req.amount, "500000000000000000");
	x402_payment_requirements_clear(&req);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_select_takes_first_acceptable),
		cmocka_unit_test(test_select_cap_is_exact),
		cmocka_unit_test(
			test_select_refuses_unknown_and_unofficial_assets),
		cmocka_unit_test(test_select_allowed_asset_has_its_own_cap),
		cmocka_unit_test(test_select_refuses_what_it_cannot_make),
		cmocka_unit_test(test_select_prefers_authorization_flow),
		cmocka_unit_test(test_select_keeps_to_wanted_networks),
		cmocka_unit_test(test_select_asks_policy_last),
		cmocka_unit_test(test_select_refuses_unusable_options),
		cmocka_unit_test(test_explain_cannot_move_a_cursor),
		cmocka_unit_test(test_match_allows_added_extra_keys_only),
		cmocka_unit_test(test_match_compares_six_fields),
		cmocka_unit_test(test_match_v1_compares_scheme_and_network),
		cmocka_unit_test(test_build_echoes_and_server_wins),
		cmocka_unit_test(test_build_v1_is_four_members),
		cmocka_unit_test(test_build_from_hand_built_challenge),
		cmocka_unit_test(test_from_price_refuses),
		cmocka_unit_test(test_from_price_counts_the_assets_decimals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
