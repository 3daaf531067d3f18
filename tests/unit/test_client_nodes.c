/*
 * What a multi asks nodes, beside its transfers: the facts of a payment on
 * Solana, and balances; nobody else waits for a node that is slow. And the
 * caller's score.
 */
#include "shop_house.h"

/* ---- Nodes. ---- */

/*
 * A node that listens and, without a text, never answers; with one, it says
 * so to every question.
 */
struct node {
	pthread_t thread;
	int fd;
	char url[64];
	const char *text;
};

static void *serve_node(void *user)
{
	struct node *node = user;
	char in[4096];
	char out[1024];

	for (;;) {
		int fd = accept(node->fd, NULL, NULL);

		if (fd < 0)
			return NULL;
		/* Head and body of a question come at once. */
		(void)recv(fd, in, sizeof(in), 0);
		int len = snprintf(out, sizeof(out),
			"HTTP/1.1 200 OK\r\nConnection: close\r\n"
			"Content-Length: %zu\r\n\r\n%s",
			strlen(node->text), node->text);
		(void)send(fd, out, (size_t)len, MSG_NOSIGNAL);
		close(fd);
	}
}

static void open_node(struct node *node, const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);

	node->text = text;
	node->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(node->fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(node->fd, 64), 0);
	assert_int_equal(
		getsockname(node->fd, (struct sockaddr *)&address, &len), 0);
	snprintf(node->url, sizeof(node->url), "http://127.0.0.1:%u",
		ntohs(address.sin_port));
	if (text)
		assert_int_equal(
			pthread_create(&node->thread, NULL, serve_node, node),
			0);
}

static void close_node(struct node *node)
{
	shutdown(node->fd, SHUT_RDWR);
	if (node->text)
		pthread_join(node->thread, NULL);
	close(node->fd);
}

/* A client that pays on both families, asking this node. */
static void open_svm_buyer(
	struct buyer *buyer, struct house *house, const struct node *node)
{
	struct x402_secret key;
	struct x402_svm_secret svm = svm_secret(2);
	struct x402_client_options options = {.key = &key,
		.svm_key = &svm,
		.svm_rpc_url = node->url,
		.journal = house->journal};

	memset(buyer, 0, sizeof(*buyer));
	buyer->house = house;
	open_shop(&buyer->shop);
	assert_int_equal(x402_secret_parse(KEY, &key), X402_OK);
	assert_int_equal(x402_client_new(&options, &buyer->client), X402_OK);
}

static void test_multi_silent_node_holds_nobody_else_up(void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[9];
	struct x402_client_done done = {on_done, &buyer};

	open_node(&node, NULL);
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	for (unsigned i = 0; i < 9; i++) {
		char path[16];

		snprintf(path, sizeof(path), i ? "/%u" : "/svm%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(x402_client_multi_fetch(
					 multi, &requests[i], i ? 0 : 1, done),
			X402_OK);
	}
	int64_t begun_ms = x402__now_ms();
	while (buyer.paid < 8 && x402__now_ms() - begun_ms < 9000)
		assert_int_equal(x402_client_multi_run(multi, 100), X402_OK);
	assert_int_equal(buyer.paid, 8);
	assert_int_equal(x402_client_multi_pending(multi), 1);
	x402_client_multi_free(multi);
	assert_int_equal(buyer.cancelled, 1);
	assert_int_equal(buyer.done, 9);
	close_buyer(&buyer);
	close_node(&node);
}

/* An answer for both questions: a mint of six decimals needs 82 bytes. */
#define MINT_DATA                                                      \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAG" \
	"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
#define NODE_ANSWER                                                    \
	"[{\"id\":1,\"result\":{\"value\":{\"blockhash\":\"" SVM_PAYEE \
	"\"}}},{\"id\":2,\"result\":{\"value\":{\"owner\":"            \
	"\"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA\",\"data\":["   \
	"\"" MINT_DATA "\",\"base64\"]}}}]"

static void test_multi_node_that_answers_is_asked_once_for_many(void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[5];
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_multi_options options = {.max_in_flight = 1};

	open_node(&node, NODE_ANSWER);
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	for (unsigned i = 0; i < 5; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/svm%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(
			x402_client_multi_fetch(multi, &requests[i], 0, done),
			X402_OK);
		/* The first has asked; the rest find what it learnt. */
		run(multi);
		node.text = i == 0 ? "[]" : node.text;
	}
	assert_int_equal(buyer.done, 5);
	assert_int_equal(buyer.shop.paid, 5);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
	close_node(&node);
}

/* Two with one memo and one blockhash would be one transaction. */
static void test_multi_server_that_gives_the_memo_gets_a_fresh_blockhash(
	void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_request requests[2];
	struct x402_client_done done = {on_done, &buyer};

	open_node(&node, NODE_ANSWER);
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	for (unsigned i = 0; i < 2; i++) {
		char path[16];

		snprintf(path, sizeof(path), "/svm/memo%u", i);
		requests[i] = request_of(&buyer, i, path);
		assert_int_equal(
			x402_client_multi_fetch(multi, &requests[i], 0, done),
			X402_OK);
		run(multi);
		node.text = "[]"; /* it has no more */
	}
	assert_int_equal(buyer.done, 2);
	assert_int_equal(buyer.shop.paid, 1);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
	close_node(&node);
}

static void test_multi_node_that_says_nothing_signs_nothing(void **state)
{
	struct buyer buyer;
	struct node node;
	struct x402_client_multi *multi = NULL;
	struct x402_client_done done = {on_done, &buyer};

	open_node(&node, "[]");
	open_svm_buyer(&buyer, *state, &node);
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	struct x402_client_request request = request_of(&buyer, 0, "/svm");
	assert_int_equal(
		x402_client_multi_fetch(multi, &request, 0, done), X402_OK);
	run(multi);
	assert_int_equal(buyer.done, 1);
	assert_int_equal(buyer.paid, 0);
	assert_int_equal(buyer.shop.paid, 0);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
	close_node(&node);
}

/* ---- Balances. ---- */

static void on_balances(void *user)
{
	bool *told = user;

	assert_false(*told);
	*told = true;
}

#define TEN_UNITS                                                          \
	"{\"id\":1,\"result\":"                                            \
	"\"0x000000000000000000000000000000000000000000000000000000000000" \
	"000a\"}"

static void test_multi_balances_are_read_while_others_are_fetched(void **state)
{
	struct buyer buyer;
	struct node rich;
	struct node silent;
	bool told = false;
	struct x402_client_multi *multi = NULL;
	struct x402_client_done done = {on_done, &buyer};
	struct x402_client_balances_done balances_done = {on_balances, &told};

	open_buyer(&buyer, *state, NULL);
	open_node(&rich, TEN_UNITS);
	open_node(&silent, NULL);
	struct x402_client_balance balances[2] = {{.network = "eip155:84532",
							  .asset = USDC,
							  .rpc_url = rich.url,
							  .low = "11",
							  .pause_below = "10"},
		{.network = "eip155:84532",
			.asset = USDC,
			.rpc_url = silent.url}};
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	assert_int_equal(x402_client_multi_check_balances(
				 multi, balances, 2, balances_done),
		X402_OK);
	assert_int_equal(x402_client_multi_pending(multi), 1);
	struct x402_client_request request = request_of(&buyer, 0, "/a");
	assert_int_equal(
		x402_client_multi_fetch(multi, &request, 0, done), X402_OK);
	int64_t begun_ms = x402__now_ms();
	while ((!buyer.paid || !balances[0].units[0]) &&
		x402__now_ms() - begun_ms < 9000)
		assert_int_equal(x402_client_multi_run(multi, 100), X402_OK);
	assert_int_equal(buyer.paid, 1);
	assert_string_equal(balances[0].units, "10");
	assert_true(balances[0].is_low);
	assert_false(told); /* one is still out */
	x402_client_multi_free(multi);
	assert_true(told);
	assert_string_equal(balances[1].units, "");
	/* Ten are not below ten. */
	assert_false(x402_client_is_paused(buyer.client));
	close_node(&silent);
	close_node(&rich);
	close_buyer(&buyer);
}

static void test_multi_balance_below_its_threshold_pauses(void **state)
{
	struct buyer buyer;
	struct node node;
	bool told = false;
	struct x402_client_multi *multi = NULL;
	struct x402_client_balances_done done = {on_balances, &told};

	open_buyer(&buyer, *state, NULL);
	open_node(&node, TEN_UNITS);
	struct x402_client_balance balance = {.network = "eip155:84532",
		.asset = USDC,
		.rpc_url = node.url,
		.pause_below = "11"};
	assert_int_equal(
		x402_client_multi_new(buyer.client, NULL, &multi), X402_OK);
	assert_int_equal(
		x402_client_multi_check_balances(multi, &balance, 0, done),
		X402_ERR_INVALID_ARGUMENT);
	assert_int_equal(
		x402_client_multi_check_balances(multi, &balance, 1, done),
		X402_OK);
	run(multi);
	assert_true(told);
	assert_true(x402_client_is_paused(buyer.client));
	balance.pause_below = "ten";
	assert_int_equal(
		x402_client_multi_check_balances(multi, &balance, 1, done),
		X402_ERR_INVALID_ARGUMENT);
	x402_client_multi_free(multi);
	close_node(&node);
	close_buyer(&buyer);
}

/* ---- The caller's score. ---- */

static int64_t turned = 1;

static int64_t score(void *user, void *done_user, int64_t priority)
{
	assert_null(user);
	assert_non_null(done_user);
	return turned * priority;
}

static void test_multi_score_orders_and_orders_anew(void **state)
{
	struct buyer buyer;
	struct x402_client_multi *multi = NULL;
	struct x402_client_multi_options options = {
		.max_in_flight = 1, .score = score};
	static const char *const paths[] = {"/1", "/2", "/3", "/4"};
	static const char *const order[] = {"/1", "/2", "/3", "/4"};
	struct x402_client_request requests[4];

	open_buyer(&buyer, *state, NULL);
	assert_int_equal(
		x402_client_multi_new(buyer.client, &options, &multi), X402_OK);
	turned = 1; /* the last one first ... */
	for (unsigned i = 0; i < 4; i++) {
		struct x402_client_done done = {on_done, &buyer};

		requests[i] = request_of(&buyer, i, paths[i]);
		assert_int_equal(x402_client_multi_fetch(
					 multi, &requests[i], (int64_t)i, done),
			X402_OK);
	}
	turned = -1; /* ... until the score has changed its mind */
	x402_client_multi_rescore(multi);
	run(multi);
	for (unsigned i = 0; i < 4; i++)
		assert_string_equal(buyer.shop.paths[i], order[i]);
	x402_client_multi_free(multi);
	close_buyer(&buyer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_multi_silent_node_holds_nobody_else_up),
		TEST(test_multi_node_that_answers_is_asked_once_for_many),
		TEST(test_multi_server_that_gives_the_memo_gets_a_fresh_blockhash),
		TEST(test_multi_node_that_says_nothing_signs_nothing),
		TEST(test_multi_balances_are_read_while_others_are_fetched),
		TEST(test_multi_balance_below_its_threshold_pauses),
		TEST(test_multi_score_orders_and_orders_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
