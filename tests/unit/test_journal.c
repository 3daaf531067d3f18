/*
 * The journal of payments: what it knows after the process that wrote it died
 * at each step, what it gives to whom, and that its sums are right. Each death
 * is a real one: a child that ends without a word.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "journal_shop.h"

/* A payment, and a process that dies with it. Caller frees. */
static char *die_at(struct shop *shop, enum reach reach)
{
	char *payment = house_pay(&shop->house, "/articles/a");
	uint8_t nonce = shop->house.nonce;
	int status;
	pid_t child;

	close_shop(shop);
	child = fork();
	if (child == 0) {
		open_at(shop);
		go(shop, payment, reach);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	open_at(shop);
	shop->house.nonce = nonce;
	return payment;
}

static void test_journal_settles_first_what_was_asked(void **state)
{
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = die_at(&shop, ASKED);
	assert_int_equal(
		house_send(&shop.house, "/articles/a", payment), X402_GATE_ASK);
	assert_string_equal(shop.house.decision.ask.url,
		"https://facilitator.example/f/settle");
	assert_int_equal(house_answer(&shop.house, 200, HOUSE_SETTLED),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&shop.house, 200), X402_GATE_DELIVER);
	x402_gate_delivered(shop.house.gate);
	house_send(&shop.house, "/articles/a", payment);
	assert_int_equal(shop.house.decision.status, 402);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_idempotency_key_outlives_the_process(void **state)
{
	struct shop shop;
	char key[65];
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = house_pay(&shop.house, "/articles/a");
	go(&shop, payment, ASKED);
	snprintf(key, sizeof(key), "%s",
		ask_header(&shop.house.decision.ask, "Idempotency-Key"));
	close_shop(&shop);
	open_at(&shop);
	assert_int_equal(
		house_send(&shop.house, "/articles/a", payment), X402_GATE_ASK);
	assert_string_equal(
		ask_header(&shop.house.decision.ask, "Idempotency-Key"), key);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_serves_what_was_paid(void **state)
{
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = die_at(&shop, SETTLED);
	/* For another page it is nothing. */
	house_send(&shop.house, "/articles/b", payment);
	assert_int_equal(shop.house.decision.status, 402);
	assert_int_equal(house_send(&shop.house, "/articles/a", payment),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(house_handled(&shop.house, 200), X402_GATE_DELIVER);
	assert_non_null(decision_header(
		&shop.house.decision, X402_HEADER_PAYMENT_RESPONSE));
	x402_gate_delivered(shop.house.gate);
	house_send(&shop.house, "/articles/a", payment);
	assert_int_equal(shop.house.decision.status, 402);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* The buyer comes back when the authorization itself has long expired. */
static void test_journal_serves_what_was_paid_long_ago(void **state)
{
	struct shop shop;
	struct house_request request = {.target = "/articles/a",
		.names = {X402_HEADER_PAYMENT_SIGNATURE},
		.now = NOW + 100000};
	char *payment;
	char *unasked;

	(void)state;
	open_shop(&shop);
	payment = die_at(&shop, SETTLED);
	request.values[0] = payment;
	assert_int_equal(
		house_begin(&shop.house, &request), X402_GATE_RUN_HANDLER);
	/* One that nobody was asked about is merely too late. */
	unasked = house_pay(&shop.house, "/articles/a");
	request.values[0] = unasked;
	assert_int_equal(house_begin(&shop.house, &request), X402_GATE_ANSWER);
	assert_challenge_error(&shop.house,
		"invalid_exact_evm_payload_authorization_valid_before");
	free(unasked);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_knows_what_was_delivered(void **state)
{
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = die_at(&shop, DELIVERED);
	assert_int_equal(house_send(&shop.house, "/articles/a", payment),
		X402_GATE_ANSWER);
	assert_int_equal(shop.house.decision.status, 402);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_busy_payment_is_not_granted(void **state)
{
	struct shop shop;
	struct x402_gate *first;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = house_pay(&shop.house, "/articles/a");
	assert_int_equal(
		house_send(&shop.house, "/articles/a", payment), X402_GATE_ASK);
	first = shop.house.gate;
	shop.house.gate = NULL;
	assert_int_equal(house_send(&shop.house, "/articles/a", payment),
		X402_GATE_ANSWER);
	/* Refused by the facilitator: nothing is kept of it. */
	x402_gate_free(first);
	assert_int_equal(
		house_send(&shop.house, "/articles/a", payment), X402_GATE_ASK);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_forgets_what_was_refused(void **state)
{
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = house_pay(&shop.house, "/articles/a");
	go(&shop, payment, ASKED);
	house_answer(&shop.house, 200,
		"{\"success\":false,\"errorReason\":\"insufficient_funds\","
		"\"transaction\":\"\",\"network\":\"eip155:84532\"}");
	assert_int_equal(
		house_send(&shop.house, "/articles/a", payment), X402_GATE_ASK);
	assert_non_null(strstr(shop.house.decision.ask.url, "/verify"));
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* ---- Bookkeeping. ---- */

struct seen {
	size_t calls;
	char last[512];
	bool no;
};

static void see_entry(void *user, const struct x402_journal_entry *entry)
{
	struct seen *seen = user;

	seen->calls++;
	snprintf(seen->last, sizeof(seen->last), "%d %s %s %s %s",
		(int)entry->state, entry->route, entry->url, entry->amount,
		entry->transaction);
}

static void see_total(void *user, const struct x402_journal_total *total)
{
	struct seen *seen = user;

	seen->calls++;
	snprintf(seen->last, sizeof(seen->last), "%s %s %llu %s", total->key,
		total->network, (unsigned long long)total->payments,
		total->amount);
}

static bool make_good(
	void *user, const struct x402_journal_entry *entry, bool confirm)
{
	struct seen *seen = user;

	assert_int_equal(entry->state,
		confirm ? X402_JOURNAL_COMPENSATED : X402_JOURNAL_OWED);
	seen->calls += confirm;
	return !seen->no;
}

static void buy(struct shop *shop, enum reach reach, size_t times)
{
	for (size_t i = 0; i < times; i++) {
		char *payment = house_pay(&shop->house, "/articles/a");

		go(shop, payment, reach);
		free(payment);
	}
}

static void test_journal_totals(void **state)
{
	struct shop shop;
	struct seen seen = {0};

	(void)state;
	open_shop(&shop);
	buy(&shop, DELIVERED, 3);
	buy(&shop, SETTLED, 1);
	buy(&shop, ASKED, 1); /* nobody knows: no revenue */
	assert_int_equal(
		x402_provider_journal_totals(shop.journal,
			X402_JOURNAL_BY_ROUTE, 0, UINT64_MAX, see_total, &seen),
		X402_OK);
	assert_int_equal(seen.calls, 1);
	assert_string_equal(
		seen.last, "GET /articles/[slug] eip155:84532 4 40000");
	seen = (struct seen){0};
	assert_int_equal(
		x402_provider_journal_totals(shop.journal,
			X402_JOURNAL_BY_PAYER, 0, UINT64_MAX, see_total, &seen),
		X402_OK);
	assert_non_null(strstr(seen.last, shop.house.payer_text));
	seen = (struct seen){0};
	assert_int_equal(
		x402_provider_journal_totals(shop.journal, X402_JOURNAL_BY_DAY,
			0, 1000, see_total, &seen),
		X402_OK);
	assert_int_equal(seen.calls, 0);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_makes_good_once(void **state)
{
	struct seen refusing = {.no = true};
	struct seen seen = {0};
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = die_at(&shop, SETTLED);
	assert_int_equal(x402_provider_journal_compensate(shop.journal,
				 UINT32_MAX, make_good, &refusing),
		X402_OK);
	assert_int_equal(refusing.calls, 0);
	assert_int_equal(x402_provider_journal_each(shop.journal,
				 X402_JOURNAL_OWED, see_entry, &seen),
		X402_OK);
	assert_string_equal(seen.last,
		"2 GET /articles/[slug] https://shop.example/articles/a "
		"10000 " TX);
	seen = (struct seen){0};
	for (int i = 0; i < 2; i++)
		assert_int_equal(x402_provider_journal_compensate(shop.journal,
					 UINT32_MAX, make_good, &seen),
			X402_OK);
	assert_int_equal(seen.calls, 1);
	/* Paid back: it buys nothing any more. */
	house_send(&shop.house, "/articles/a", payment);
	assert_int_equal(shop.house.decision.status, 402);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_does_not_make_good_what_is_being_served(void **state)
{
	struct seen seen = {0};
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	payment = die_at(&shop, SETTLED);
	assert_int_equal(house_send(&shop.house, "/articles/a", payment),
		X402_GATE_RUN_HANDLER);
	assert_int_equal(x402_provider_journal_compensate(
				 shop.journal, UINT32_MAX, make_good, &seen),
		X402_OK);
	assert_int_equal(seen.calls, 0);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* How many are left of all. */
static size_t prune(struct shop *shop, uint64_t before_s, uint64_t now_s)
{
	struct seen seen = {0};

	assert_int_equal(
		x402_provider_journal_prune(shop->journal, before_s, now_s),
		X402_OK);
	assert_int_equal(
		x402_provider_journal_each(shop->journal, 0, see_entry, &seen),
		X402_OK);
	return seen.calls;
}

static void test_journal_prunes_only_what_is_over(void **state)
{
	struct seen seen = {0};
	struct shop shop;

	(void)state;
	open_shop(&shop);
	buy(&shop, DELIVERED, 1);
	buy(&shop, SETTLED, 1);
	buy(&shop, ASKED, 2);
	/* The last of them is being asked about. */
	assert_int_equal(prune(&shop, UINT32_MAX, NOW), 4);
	assert_int_equal(prune(&shop, 1, NOW + 1000000), 4);
	assert_int_equal(prune(&shop, UINT32_MAX, NOW + 1000000), 2);
	x402_gate_free(shop.house.gate);
	shop.house.gate = NULL;
	/* What is owed stays. */
	assert_int_equal(prune(&shop, UINT32_MAX, NOW + 1000000), 1);
	assert_int_equal(
		x402_provider_journal_each(shop.journal, 0, see_entry, &seen),
		X402_OK);
	assert_int_equal(seen.last[0], '0' + X402_JOURNAL_OWED);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* ---- Opening. ---- */

static void test_journal_is_for_one_writer(void **state)
{
	struct x402_provider_journal *second = NULL;
	struct x402_errinfo info = {{0}, {0}};
	struct seen seen = {0};
	struct shop shop;
	struct stat stat_of;

	(void)state;
	open_shop(&shop);
	buy(&shop, DELIVERED, 1);
	assert_int_equal(
		x402_provider_journal_open(shop.path, false, &info, &second),
		X402_ERR_STORE);
	assert_non_null(strstr(info.text, "another process"));
	/* Reading is for anyone who may. */
	assert_int_equal(
		x402_provider_journal_open(shop.path, true, &info, &second),
		X402_OK);
	assert_null(x402_provider_journal_memory(second));
	assert_int_equal(
		x402_provider_journal_each(second, 0, see_entry, &seen),
		X402_OK);
	assert_int_equal(seen.calls, 1);
	x402_provider_journal_close(second);
	assert_int_equal(stat(shop.path, &stat_of), 0);
	assert_int_equal(stat_of.st_mode & 077, 0);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_refuses_what_is_none(void **state)
{
	struct x402_provider_journal *journal = NULL;
	struct x402_errinfo info = {{0}, {0}};
	struct shop shop = {.path = "/tmp/x402-journal-none"};
	FILE *file;

	(void)state;
	scratch_remove(shop.path);
	assert_int_equal(
		x402_provider_journal_open(shop.path, true, &info, &journal),
		X402_ERR_STORE);
	file = fopen(shop.path, "w");
	assert_int_equal(fchmod(fileno(file), 0600), 0);
	fputs("this is a text, and long enough to be taken for a header of a "
	      "database page of some kind, which it is not",
		file);
	fclose(file);
	assert_int_equal(
		x402_provider_journal_open(shop.path, false, &info, &journal),
		X402_ERR_STORE);
	scratch_remove(shop.path);
	assert_int_equal(x402_provider_journal_open(
				 "/nowhere/at/all", false, &info, &journal),
		X402_ERR_STORE);
}

/* It has the secret that signs passes. */
static void test_journal_that_others_read_is_refused(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0601};
	struct x402_provider_journal *journal = NULL;
	struct x402_errinfo info;
	struct stat status;
	struct shop shop;

	(void)state;
	open_shop(&shop);
	close_shop(&shop);
	assert_int_equal(stat(shop.path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(chmod(shop.path, modes[i]), 0);
		assert_int_equal(x402_provider_journal_open(
					 shop.path, false, &info, &journal),
			X402_ERR_STORE);
		assert_non_null(strstr(info.text, "expected mode 0600"));
	}
	/* Reports may be somebody else's business. */
	assert_int_equal(
		x402_provider_journal_open(shop.path, true, &info, &journal),
		X402_OK);
	x402_provider_journal_close(journal);
	assert_int_equal(chmod(shop.path, 0600), 0);
	open_at(&shop);
	close_shop(&shop);
	scratch_remove(shop.path);
}

static void test_journal_entry_as_json(void **state)
{
	const struct x402_journal_entry entry = {.state = X402_JOURNAL_OWED,
		.route = "/a",
		.url = "https://x/\"\n",
		.network = "n",
		.asset = "a",
		.amount = "1",
		.payer = "p",
		.transaction = ""};
	char *line = NULL;

	(void)state;
	assert_int_equal(x402_journal_entry_json(&entry, &line), X402_OK);
	assert_string_equal(line,
		"{\"state\":\"owed\",\"route\":\"/a\",\"url\":\"https://x/"
		"\\\"\\n\",\"network\":\"n\",\"asset\":\"a\",\"amount\":\"1\","
		"\"payer\":\"p\",\"transaction\":\"\",\"askedAt\":0,"
		"\"settledAt\":0}");
	free(line);
}

/* ---- Who has paid, and for what. ---- */

#define ID "purchase-0001-abcdef"

static const struct x402_provider_route own_routes[] = {
	{.pattern = "GET /cheap", .prices = &house_cent, .prices_len = 1},
	{.pattern = "GET /dear",
		.prices = house_two,
		.prices_len = 2,
		.siwx_s = 1000000000,
		.pass_scope = X402_PROVIDER_SCOPE_SITE},
	{.pattern = "GET /page",
		.prices = &house_cent,
		.prices_len = 1,
		.siwx_s = 1000000000},
	{.pattern = "POST /page",
		.prices = house_two,
		.prices_len = 2,
		.siwx_s = 1000000000},
	{.pattern = "GET /named",
		.prices = &house_cent,
		.prices_len = 1,
		.identifier = X402_PROVIDER_IDENTIFIER_REQUIRED,
		.replay_s = 3600},
};

static void open_own(struct shop *shop)
{
	struct x402_provider_options options = house_options();
	struct x402_errinfo info = {{0}, {0}};

	options.routes = own_routes;
	options.routes_len = ARRAY_LEN(own_routes);
	if (x402_provider_journal_open(
		    shop->path, false, &info, &shop->journal) != X402_OK)
		fail_msg("%s", info.text);
	options.memory = x402_provider_journal_memory(shop->journal);
	house_open_with(&shop->house, &options);
}

static void begin_own(struct shop *shop)
{
	memset(shop, 0, sizeof(*shop));
	snprintf(shop->path, sizeof(shop->path), "%s/x402-journal-%d",
		scratch_root(), (int)getpid());
	scratch_remove(shop->path);
	open_own(shop);
}

static void buy_target(struct shop *shop, const char *target)
{
	struct house *house = &shop->house;
	char *payment = house_pay(house, target);

	house_send(house, target, payment);
	house_answer(house, 200, HOUSE_VALID);
	house_handled(house, 200);
	assert_int_equal(
		house_answer(house, 200, HOUSE_SETTLED), X402_GATE_DELIVER);
	x402_gate_delivered(house->gate);
	free(payment);
}

/* What the journal says of the house's payer at a target. */
static bool has_paid(struct shop *shop, const char *method, const char *target)
{
	const struct x402_provider_memory *memory =
		x402_provider_journal_memory(shop->journal);
	struct house *house = &shop->house;
	struct x402_claim_note note;

	house_begin(house,
		&(struct house_request){.method = method, .target = target});
	x402_gate_note(house->gate, &note);
	return memory->has_paid(
		memory->user, house->gate, house->payer_text, note.scope16, 1);
}

/* What was paid elsewhere is not for the dear page, after a restart either. */
static void test_journal_has_paid_is_by_scope(void **state)
{
	struct shop shop;

	(void)state;
	begin_own(&shop);
	buy_target(&shop, "/cheap");
	buy_target(&shop, "/page");
	close_shop(&shop);
	open_own(&shop);
	assert_false(has_paid(&shop, "GET", "/dear"));
	assert_true(has_paid(&shop, "GET", "/page"));
	assert_false(has_paid(&shop, "POST", "/page"));
	assert_false(has_paid(&shop, "GET", "/page?x"));
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* ---- Names. ---- */

static char *pay_named(struct house *house)
{
	char *plain = house_pay(house, "/named");
	struct x402_json *json = NULL;
	struct x402_json *extensions = NULL;
	char *text = NULL;

	assert_int_equal(
		x402_header_decode(x402_span_str(plain), NULL, &json), X402_OK);
	assert_int_equal(
		x402_json_parse(
			x402_span_str("{\"payment-identifier\":{\"info\":{"
				      "\"required\":true,\"id\":\"" ID "\"}}}"),
			NULL, NULL, &extensions),
		X402_OK);
	assert_int_equal(
		x402_json_set_take(json, "extensions", extensions), X402_OK);
	assert_int_equal(x402_header_encode(json, &text), X402_OK);
	x402_json_unref(json);
	free(plain);
	return text;
}

static void send_named(struct house *house, const char *payment)
{
	house_begin(house,
		&(struct house_request){.target = "/named",
			.names = {"PAYMENT-SIGNATURE"},
			.values = {payment}});
}

static void test_journal_sends_a_named_response_again(void **state)
{
	struct shop shop;
	struct house *house = &shop.house;
	struct x402_gate_handler_result result = {.status = 200,
		.now_unix_s = NOW,
		.has_body = true,
		.body = x402_span_str("bought once")};
	uint8_t nonce;
	char *first;
	char *second;

	(void)state;
	begin_own(&shop);
	first = pay_named(house);
	second = pay_named(house);
	nonce = house->nonce;
	send_named(house, first);
	house_answer(house, 200, HOUSE_VALID);
	x402_gate_on_handler(house->gate, &result, &house->decision);
	house_answer(house, 200, HOUSE_SETTLED);
	x402_gate_delivered(house->gate);
	for (int i = 0; i < 2; i++) {
		send_named(house, i ? second : first);
		assert_int_equal(house->decision.action, X402_GATE_ANSWER);
		assert_int_equal(house->decision.status, 200);
		assert_body(house, "bought once");
		/* And after the process has ended, a new signature, too. */
		close_shop(&shop);
		open_own(&shop);
		house->nonce = nonce;
	}
	send_named(house, second);
	assert_body(house, "bought once");
	/* Its time ends, and pruning takes it away. */
	assert_int_equal(
		x402_provider_journal_prune(shop.journal, NOW, NOW + 90000),
		X402_OK);
	send_named(house, second);
	assert_int_equal(house->decision.action, X402_GATE_ASK);
	free(first);
	free(second);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* Asked to settle, and then the process dies: another signature under the name
 * is not charged before the first one's fate is known. */
static void test_journal_name_outlives_the_process(void **state)
{
	struct shop shop;
	struct house *house = &shop.house;
	char *first;
	char *second;

	(void)state;
	begin_own(&shop);
	first = pay_named(house);
	second = pay_named(house);
	send_named(house, first);
	house_answer(house, 200, HOUSE_VALID);
	assert_int_equal(house_handled(house, 200), X402_GATE_ASK);
	close_shop(&shop);
	open_own(&shop);
	send_named(house, second);
	assert_int_equal(house->decision.status, 409);
	send_named(house, first);
	assert_int_equal(house->decision.action, X402_GATE_ASK);
	assert_non_null(strstr(house->decision.ask.url, "/settle"));
	free(first);
	free(second);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* Paid, kept, and the client gone before it left. */
static char *buy_named_undelivered(struct shop *shop)
{
	struct x402_gate_handler_result result = {.status = 200,
		.now_unix_s = NOW,
		.has_body = true,
		.body = x402_span_str("bought once")};
	struct house *house = &shop->house;
	char *payment = pay_named(house);

	send_named(house, payment);
	house_answer(house, 200, HOUSE_VALID);
	x402_gate_on_handler(house->gate, &result, &house->decision);
	house_answer(house, 200, HOUSE_SETTLED);
	x402_gate_free(house->gate);
	house->gate = NULL;
	return payment;
}

/* Sent again under its name, it is delivered, and not made good as well. */
static void test_journal_response_sent_again_is_delivered(void **state)
{
	struct seen seen = {0};
	struct shop shop;
	char *first;
	char *second;

	(void)state;
	begin_own(&shop);
	first = buy_named_undelivered(&shop);
	second = pay_named(&shop.house);
	send_named(&shop.house, second);
	assert_body(&shop.house, "bought once");
	assert_int_equal(x402_provider_journal_compensate(
				 shop.journal, UINT32_MAX, make_good, &seen),
		X402_OK);
	assert_int_equal(seen.calls, 0);
	free(first);
	free(second);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* And what was made good is not sent again. */
static void test_journal_response_made_good_is_not_sent(void **state)
{
	struct seen seen = {0};
	struct shop shop;
	char *first;
	char *second;

	(void)state;
	begin_own(&shop);
	first = buy_named_undelivered(&shop);
	assert_int_equal(x402_provider_journal_compensate(
				 shop.journal, UINT32_MAX, make_good, &seen),
		X402_OK);
	assert_int_equal(seen.calls, 1);
	send_named(&shop.house, first);
	assert_int_equal(shop.house.decision.status, 402);
	second = pay_named(&shop.house);
	send_named(&shop.house, second);
	assert_int_equal(shop.house.decision.status, 409);
	free(first);
	free(second);
	close_shop(&shop);
	scratch_remove(shop.path);
}

/* A file that was cut, or written by somebody else: what was paid is made
 * anew, and a second signature gets nothing. */
static void test_journal_response_that_is_none_is_made_anew(void **state)
{
	static const char *const changes[] = {
		"UPDATE names SET response = substr(response, 1, 9)",
		"UPDATE names SET response = substr(response, 1, 40)",
		"UPDATE names SET response = CAST(substr(response, 1, 8) ||"
		" x'6100' || x'02000000' AS BLOB)",
		"UPDATE names SET response = CAST(substr(response, 1, 8) ||"
		" x'6100' || x'0100c8ff' || x'61006200' AS BLOB)",
		"UPDATE names SET response = CAST(substr(response, 1, 8) ||"
		" x'6100' || x'0100c802' || x'6100620061' AS BLOB)"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		sqlite3 *db = NULL;
		struct shop shop;
		char *payment;
		char *second;

		begin_own(&shop);
		payment = buy_named_undelivered(&shop);
		second = pay_named(&shop.house);
		assert_int_equal(sqlite3_open(shop.path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, changes[i], NULL, NULL, NULL),
			SQLITE_OK);
		sqlite3_close(db);
		send_named(&shop.house, second);
		assert_int_equal(shop.house.decision.status, 409);
		send_named(&shop.house, payment);
		assert_int_equal(
			shop.house.decision.action, X402_GATE_RUN_HANDLER);
		free(payment);
		free(second);
		close_shop(&shop);
		scratch_remove(shop.path);
	}
}

/* What the disk has of it is tests/system/gateway_journal.test.mjs's. */
static void test_journal_deferred_says_what_is_to_be_synced(void **state)
{
	struct x402_provider_journal *reader = NULL;
	struct x402_errinfo info = {{0}, {0}};
	struct shop shop;
	char *payment;

	(void)state;
	open_shop(&shop);
	assert_int_equal(x402_provider_journal_sync(shop.journal), X402_OK);
	assert_int_equal(
		x402_provider_journal_defer(shop.journal, &info), X402_OK);
	assert_int_equal(x402_provider_journal_asked(shop.journal), 0);
	payment = house_pay(&shop.house, "/articles/a");
	assert_int_equal(
		house_send(&shop.house, "/articles/a", payment), X402_GATE_ASK);
	house_answer(&shop.house, 200, HOUSE_VALID);
	assert_int_equal(x402_provider_journal_asked(shop.journal), 0);
	assert_int_equal(house_handled(&shop.house, 200), X402_GATE_ASK);
	assert_int_equal(x402_provider_journal_asked(shop.journal), 1);
	assert_int_equal(x402_provider_journal_sync(shop.journal), X402_OK);
	assert_int_equal(house_answer(&shop.house, 200, HOUSE_SETTLED),
		X402_GATE_DELIVER);
	assert_int_equal(x402_provider_journal_asked(shop.journal), 1);
	x402_gate_delivered(shop.house.gate);
	assert_int_equal(
		x402_provider_journal_open(shop.path, true, &info, &reader),
		X402_OK);
	assert_int_equal(x402_provider_journal_defer(reader, &info),
		X402_ERR_INVALID_ARGUMENT);
	x402_provider_journal_close(reader);
	close_shop(&shop);
	/* All of it is there for the next one. */
	open_at(&shop);
	house_send(&shop.house, "/articles/a", payment);
	assert_int_equal(shop.house.decision.status, 402);
	free(payment);
	close_shop(&shop);
	scratch_remove(shop.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal_settles_first_what_was_asked),
		cmocka_unit_test(
			test_journal_idempotency_key_outlives_the_process),
		cmocka_unit_test(test_journal_serves_what_was_paid),
		cmocka_unit_test(test_journal_serves_what_was_paid_long_ago),
		cmocka_unit_test(test_journal_knows_what_was_delivered),
		cmocka_unit_test(test_journal_busy_payment_is_not_granted),
		cmocka_unit_test(test_journal_forgets_what_was_refused),
		cmocka_unit_test(test_journal_totals),
		cmocka_unit_test(test_journal_makes_good_once),
		cmocka_unit_test(
			test_journal_does_not_make_good_what_is_being_served),
		cmocka_unit_test(test_journal_prunes_only_what_is_over),
		cmocka_unit_test(test_journal_is_for_one_writer),
		cmocka_unit_test(
			test_journal_deferred_says_what_is_to_be_synced),
		cmocka_unit_test(test_journal_refuses_what_is_none),
		cmocka_unit_test(test_journal_that_others_read_is_refused),
		cmocka_unit_test(test_journal_entry_as_json),
		cmocka_unit_test(test_journal_has_paid_is_by_scope),
		cmocka_unit_test(test_journal_sends_a_named_response_again),
		cmocka_unit_test(test_journal_name_outlives_the_process),
		cmocka_unit_test(test_journal_response_sent_again_is_delivered),
		cmocka_unit_test(test_journal_response_made_good_is_not_sent),
		cmocka_unit_test(
			test_journal_response_that_is_none_is_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
