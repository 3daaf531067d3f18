/*
 * The signer: its answers line by line, and the whole way over a real socket:
 * a client's callback on one side, the key on the other.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cmocka_house.h"
#include "scratch_house.h"
#include "x402/encoding.h"
#include "x402/signer.h"

#define KEY   "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"
#define PAYER "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define NOW   1795239000u

struct bench {
	char directory[40];
	char socket[80];
	char session[80];
	struct x402_signer *key;
	struct x402_signer_core *core;
	volatile bool stop;
	volatile bool ready;
	enum x402_err served;
	pthread_t thread;
};

static struct x402_secret wallet_key(void)
{
	struct x402_secret key;
	assert_int_equal(x402_secret_parse(KEY, &key), X402_OK);
	return key;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct x402_secret key = wallet_key();
	(void)snprintf(bench->directory, sizeof(bench->directory), "%s",
		"/tmp/x402-signer-XXXXXX");
	if (!mkdtemp(bench->directory))
		return -1;
	(void)snprintf(bench->socket, sizeof(bench->socket), "%s/sock",
		bench->directory);
	(void)snprintf(bench->session, sizeof(bench->session), "%s/session",
		bench->directory);
	*state = bench;
	return x402_signer_from_key(&key, &bench->key) ? -1 : 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;
	x402_signer_core_free(bench->core);
	x402_signer_free(bench->key);
	scratch_remove_tree(bench->directory);
	free(bench);
	return 0;
}

static void make_core(struct bench *bench, bool sessions_only,
	const struct x402_session_scope *policy)
{
	struct x402_errinfo info = {{0}, {0}};
	struct x402_signer_core_options options = {
		.wallet = x402_signer_client(bench->key),
		.policy = *policy,
		.sessions_only = sessions_only,
		.state_directory = bench->directory};
	assert_int_equal(
		x402_signer_core_new(&options, &info, &bench->core), X402_OK);
}

/* A line to sign, with members that may be replaced. */
struct payment {
	const char *kind, *from, *to, *value, *before, *chain, *asset, *nonce;
};
#define NONCE \
	"0x1111111111111111111111111111111111111111111111111111111111111111"
static const struct payment good = {
	"eip3009", PAYER, PAYEE, "1000", "1795239600", "84532", USDC, NONCE};

static char *line_of(const struct payment *p)
{
	static char line[2048];
	(void)snprintf(line, sizeof(line),
		"{\"op\":\"sign\",\"body\":\"{\\\"kind\\\":\\\"%s\\\","
		"\\\"url\\\":\\\"https://shop.example/\\\",\\\"domain\\\":{"
		"\\\"name\\\":\\\"USDC\\\",\\\"version\\\":\\\"2\\\","
		"\\\"chainId\\\":%s,\\\"verifyingContract\\\":\\\"%s\\\"},"
		"\\\"message\\\":{\\\"from\\\":\\\"%s\\\",\\\"to\\\":\\\"%"
		"s\\\","
		"\\\"value\\\":\\\"%s\\\",\\\"validAfter\\\":\\\"0\\\","
		"\\\"validBefore\\\":\\\"%s\\\",\\\"nonce\\\":\\\"%s\\\"}}\"}",
		p->kind, p->chain, p->asset, p->from, p->to, p->value,
		p->before, p->nonce);
	return line;
}

static char *answer_to(struct bench *bench, const char *line)
{
	static char text[4096];
	struct x402_buf answer = {0};
	x402_signer_core_answer(bench->core, x402_span_str(line), NOW, &answer);
	assert_false(answer.failed);
	assert_true(answer.len < sizeof(text));
	memcpy(text, answer.ptr, answer.len);
	text[answer.len] = '\0';
	x402_buf_clear(&answer);
	assert_int_equal(text[strlen(text) - 1], '\n');
	return text;
}

static void assert_refused(
	struct bench *bench, const char *line, const char *word)
{
	const char *answer = answer_to(bench, line);
	assert_non_null(strstr(answer, "\"ok\":false"));
	assert_null(strstr(answer, "signature\":\"0x"));
	if (!strstr(answer, word))
		fail_msg("expected %s in %s", word, answer);
}

static void test_core_signs_what_it_understands(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.max_usd_micros = 1000};
	make_core(bench, false, &policy);
	const char *answer = answer_to(bench, line_of(&good));
	assert_non_null(strstr(answer, "{\"ok\":true,\"signature\":\"0x"));
	/* For the log: what was signed, as the signer read it. */
	assert_string_equal(
		strchr(answer, ',') + strlen(",\"signature\":\"0x\"") + 130,
		",\"kind\":\"eip3009\",\"network\":\"eip155:84532\",\"asset\":"
		"\"" USDC "\",\"amount\":\"1000\",\"usdMicros\":1000,\"payTo\":"
		"\"" PAYEE "\"}\n");
	assert_non_null(strstr(answer_to(bench, "{\"op\":\"address\"}"),
		"0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc"));
}

static void test_core_refuses_all_else(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.max_usd_micros = 1000};
	struct payment p;
	make_core(bench, false, &policy);

#define BUT(member, text, word)                           \
	do {                                              \
		p = good;                                 \
		p.member = text;                          \
		assert_refused(bench, line_of(&p), word); \
	} while (0)
	BUT(value, "1001", "cap for one payment");
	BUT(value, "-1", "message");
	BUT(from, PAYEE, "not this signer's wallet");
	BUT(before, "1795239000", "seconds from now");
	BUT(before, "1795242601", "seconds from now");
	BUT(before, "99999999999999999999999", "message");
	BUT(kind, "raw", "eip3009");
	BUT(chain, "0", "domain");
	BUT(chain, "1.5", "domain");
	BUT(asset, PAYEE, "worth of this asset");
	BUT(nonce, "0x11", "message");
	BUT(to, "somebody", "message");
#undef BUT
	assert_refused(bench, "", "SYNTAX");
	assert_refused(bench, "[]", "op");
	assert_refused(bench, "{\"op\":\"digest\"}", "op");
	assert_refused(bench, "{\"op\":\"sign\"}", "body");
	assert_refused(bench, "{\"op\":\"sign\",\"body\":\"x\"}", "SYNTAX");
	/* A digest that somebody brings is nothing that is looked at. */
	assert_refused(
		bench, "{\"op\":\"sign\",\"digest\":\"" NONCE "\"}", "body");
}

static void test_core_policy_counts_across_restarts(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.total_usd_micros = 2500};
	char nonce[67];
	make_core(bench, false, &policy);
	for (int i = 0; i < 2; i++) {
		struct payment p = good;
		(void)snprintf(nonce, sizeof(nonce), "0x%064d", i);
		p.nonce = nonce;
		assert_non_null(
			strstr(answer_to(bench, line_of(&p)), "\"ok\":true"));
	}
	x402_signer_core_free(bench->core);
	make_core(bench, false, &policy);
	assert_refused(bench, line_of(&good), "2000 of 2500");
	/* The lost answer to a payment that was counted. */
	struct payment again = good;
	again.nonce = nonce;
	assert_non_null(
		strstr(answer_to(bench, line_of(&again)), "\"ok\":true"));
}

static void test_core_sessions_only_wants_a_grant(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {0};
	make_core(bench, true, &policy);
	assert_refused(bench, line_of(&good), "sessions only");
}

/* ---- Over the socket. ---- */

static bool should_stop(void *user)
{
	struct bench *bench = user;
	return bench->stop;
}

static void on_ready(void *user)
{
	struct bench *bench = user;
	bench->ready = true;
}

static void *serve(void *user)
{
	struct bench *bench = user;
	struct x402_signer_serve_options options = {.core = bench->core,
		.path = bench->socket,
		.should_stop = should_stop,
		.on_ready = on_ready,
		.user = bench};
	bench->served = x402_signer_serve(&options, NULL);
	bench->ready = true;
	return NULL;
}

static void start(struct bench *bench)
{
	assert_int_equal(pthread_create(&bench->thread, NULL, serve, bench), 0);
	while (!bench->ready)
		(void)usleep(1000);
}

static void stop(struct bench *bench)
{
	bench->stop = true;
	assert_int_equal(pthread_join(bench->thread, NULL), 0);
	assert_int_equal(bench->served, X402_OK);
	assert_int_not_equal(access(bench->socket, F_OK), 0);
}

static void write_session(
	struct bench *bench, const char *key_text, uint64_t max_count)
{
	struct x402_secret key;
	struct x402_locked file = {0};
	struct x402_session_grant grant = {.issued_unix_s = 1,
		/* The socket's signer looks at the real clock. */
		.scope = {.expires_unix_s = (uint64_t)time(NULL) + 1000,
			.max_count = max_count,
			.total_usd_micros = 100000}};
	assert_int_equal(x402_secret_parse(key_text, &key), X402_OK);
	assert_int_equal(
		x402_session_scope_host(&grant.scope, "shop.example"), X402_OK);
	assert_int_equal(x402_session_issue(&key, &grant, &file), X402_OK);
	assert_int_equal(x402_secret_file_write(
				 bench->session, x402_locked_span(&file), NULL),
		X402_OK);
	x402_locked_clear(&file);
}

/* Sign as the client's pay.c does; *ret_err, and whether it recovers. */
static enum x402_err pay(struct x402_signer *signer, const char *url,
	uint64_t value, uint8_t nonce)
{
	const struct x402_client_signer *client = x402_signer_client(signer);
	struct x402_address asset;
	struct x402_eip712_domain domain = {.name = "USDC",
		.version = "2",
		.chain_id = 84532,
		.verifying_contract = &asset};
	struct x402_eip3009_authorization auth = {.from = client->address,
		.value = x402_u256_from_u64(value),
		.valid_before = x402_u256_from_u64((uint64_t)time(NULL) + 600),
		.nonce32 = {nonce}};
	struct x402_signable signable = {.kind = X402_SIGNABLE_EIP3009,
		.domain = &domain,
		.eip3009 = &auth};
	struct x402_client_signing signing = {.family = X402_FAMILY_EVM,
		.digest32 = signable.digest32,
		.signable = &signable,
		.url = url};
	struct x402_buf signature = {0};
	uint8_t separator[32];
	struct x402_address who;

	assert_int_equal(x402_address_parse(USDC, &asset), X402_OK);
	assert_int_equal(x402_address_parse(PAYEE, &auth.to), X402_OK);
	x402_eip712_domain_separator(&domain, separator);
	x402_eip3009_digest(&auth, separator, signable.digest32);
	enum x402_err err = client->sign(client->user, &signing, &signature);
	if (err == X402_OK) {
		assert_int_equal(signature.len, 65);
		assert_int_equal(x402_recover_address(signable.digest32,
					 signature.ptr, &who),
			X402_OK);
		assert_true(x402_address_equal(&who, &client->address));
	} else {
		assert_int_equal(signature.len, 0);
		assert_true(x402_signer_reason(signer)[0] != '\0');
	}
	x402_buf_clear(&signature);
	return err;
}

static void test_socket_session_pays_inside_its_scope(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {.max_usd_micros = 5000};
	struct x402_signer_socket_options options = {
		.path = bench->socket, .session_path = bench->session};
	struct x402_signer *signer = NULL;
	struct x402_errinfo info = {{0}, {0}};
	char payer[X402_ADDRESS_TEXT_SIZE];

	make_core(bench, true, &policy);
	write_session(bench, KEY, 2);
	start(bench);
	assert_int_equal(
		x402_signer_from_socket(&options, &info, &signer), X402_OK);
	x402_address_format(&x402_signer_client(signer)->address, payer);
	assert_string_equal(payer, PAYER);
	assert_int_equal(
		pay(signer, "https://shop.example/a", 1000, 1), X402_OK);
	assert_int_equal(pay(signer, "https://evil.example/a", 1000, 2),
		X402_ERR_POLICY);
	assert_non_null(strstr(x402_signer_reason(signer), "host"));
	assert_int_equal(pay(signer, "https://shop.example/a", 5001, 3),
		X402_ERR_POLICY);
	assert_int_equal(
		pay(signer, "https://shop.example/a", 1000, 4), X402_OK);
	assert_int_equal(pay(signer, "https://shop.example/a", 1000, 5),
		X402_ERR_POLICY);
	assert_non_null(strstr(x402_signer_reason(signer), "all 2 payments"));
	x402_signer_free(signer);
	stop(bench);
}

static void test_socket_session_of_another_wallet_is_refused(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {0};
	struct x402_signer_socket_options options = {
		.path = bench->socket, .session_path = bench->session};
	struct x402_signer *signer = NULL;

	make_core(bench, true, &policy);
	write_session(bench,
		"0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b"
		"007a6",
		2);
	start(bench);
	assert_int_equal(
		x402_signer_from_socket(&options, NULL, &signer), X402_OK);
	assert_int_equal(
		pay(signer, "https://shop.example/a", 1, 1), X402_ERR_POLICY);
	x402_signer_free(signer);
	stop(bench);
}

static void test_socket_second_signer_is_a_conflict(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {0};
	struct stat st;
	make_core(bench, false, &policy);
	start(bench);
	assert_int_equal(stat(bench->socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	struct x402_signer_serve_options second = {
		.core = bench->core, .path = bench->socket};
	assert_int_equal(x402_signer_serve(&second, NULL), X402_ERR_CONFLICT);
	stop(bench);
}

static void test_socket_file_of_another_kind_is_kept(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {0};
	struct x402_errinfo info = {{0}, {0}};
	make_core(bench, false, &policy);
	FILE *file = fopen(bench->socket, "w");
	assert_non_null(file);
	(void)fclose(file);
	struct x402_signer_serve_options options = {
		.core = bench->core, .path = bench->socket};
	assert_int_equal(x402_signer_serve(&options, &info), X402_ERR_STORE);
	assert_int_equal(access(bench->socket, F_OK), 0);
}

static void test_socket_rude_peer_disturbs_nobody(void **state)
{
	struct bench *bench = *state;
	struct x402_session_scope policy = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct x402_signer_socket_options options = {.path = bench->socket};
	struct x402_signer *signer = NULL;
	char junk[4096];
	make_core(bench, false, &policy);
	start(bench);
	memset(junk, 'x', sizeof(junk));
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		bench->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	/* A line without an end is cut off, not kept. */
	for (size_t sent = 0; sent < 4 * X402_SIGNER_LINE_MAX_BYTES;
		sent += sizeof(junk))
		if (send(fd, junk, sizeof(junk), MSG_NOSIGNAL) < 0)
			break;
	assert_int_equal(
		x402_signer_from_socket(&options, NULL, &signer), X402_OK);
	assert_int_equal(pay(signer, "https://a.test/", 1, 1), X402_OK);
	/* Reset or closed, with nothing said. */
	assert_true(recv(fd, junk, 1, 0) <= 0);
	close(fd);
	x402_signer_free(signer);
	stop(bench);
	signer = NULL;
	assert_int_equal(x402_signer_from_socket(&options, NULL, &signer),
		X402_ERR_NETWORK);
	assert_null(signer);
}

/* ---- A keystore. ---- */

struct asked {
	const char *password;
	unsigned times;
};

static enum x402_err give_password(void *user, struct x402_locked *ret_password)
{
	struct asked *asked = user;
	asked->times++;
	enum x402_err err = x402_locked_new(64, ret_password);
	if (!err) {
		ret_password->len = strlen(asked->password);
		memcpy(ret_password->ptr, asked->password, ret_password->len);
	}
	return err;
}

static void test_keystore_is_opened_when_first_needed(void **state)
{
	struct bench *bench = *state;
	struct x402_secret key = wallet_key();
	struct x402_keystore_options quick = {.scrypt_log2_n = 12};
	struct asked asked = {.password = "wrong"};
	struct x402_signer_keystore_options options = {.path = bench->session,
		.password = give_password,
		.user = &asked};
	struct x402_signer *signer = NULL;
	char *text = NULL;
	char payer[X402_ADDRESS_TEXT_SIZE];

	assert_int_equal(
		x402_keystore_seal(&key, x402_span_str("right"), &quick, &text),
		X402_OK);
	assert_int_equal(x402_secret_file_write(
				 bench->session, x402_span_str(text), NULL),
		X402_OK);
	free(text);
	assert_int_equal(
		x402_signer_from_keystore(&options, NULL, &signer), X402_OK);
	x402_address_format(&x402_signer_client(signer)->address, payer);
	assert_string_equal(payer, PAYER);
	assert_int_equal(asked.times, 0);
	assert_int_equal(pay(signer, "https://a.test/", 1, 1), X402_ERR_CRYPTO);
	assert_non_null(strstr(x402_signer_reason(signer), "wrong password"));
	asked.password = "right";
	assert_int_equal(pay(signer, "https://a.test/", 1, 1), X402_OK);
	assert_int_equal(pay(signer, "https://a.test/", 1, 2), X402_OK);
	assert_int_equal(asked.times, 2);
	x402_signer_free(signer);
}

static void seal_into(const char *path, const char *key_text)
{
	struct x402_secret key;
	struct x402_keystore_options quick = {.scrypt_log2_n = 12};
	char *text = NULL;
	assert_int_equal(x402_secret_parse(key_text, &key), X402_OK);
	assert_int_equal(
		x402_keystore_seal(&key, x402_span_str("right"), &quick, &text),
		X402_OK);
	(void)unlink(path);
	assert_int_equal(
		x402_secret_file_write(path, x402_span_str(text), NULL),
		X402_OK);
	free(text);
}

static void test_keystore_that_was_exchanged_signs_never(void **state)
{
	struct bench *bench = *state;
	struct asked asked = {.password = "right"};
	struct x402_signer_keystore_options options = {.path = bench->session,
		.password = give_password,
		.user = &asked};
	struct x402_signer *signer = NULL;

	seal_into(bench->session, KEY);
	assert_int_equal(
		x402_signer_from_keystore(&options, NULL, &signer), X402_OK);
	seal_into(bench->session,
		"0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b"
		"007a6");
	const struct x402_client_signer *client = x402_signer_client(signer);
	struct x402_buf signature = {0};
	/* Neither at first, nor once it is open. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			client->sign_text(client->user, "text", &signature),
			X402_ERR_CONFLICT);
	assert_int_equal(signature.len, 0);
	x402_signer_free(signer);
}

#define HOUSE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOUSE(test_core_signs_what_it_understands),
		HOUSE(test_core_refuses_all_else),
		HOUSE(test_core_policy_counts_across_restarts),
		HOUSE(test_core_sessions_only_wants_a_grant),
		HOUSE(test_socket_session_pays_inside_its_scope),
		HOUSE(test_socket_session_of_another_wallet_is_refused),
		HOUSE(test_socket_second_signer_is_a_conflict),
		HOUSE(test_socket_file_of_another_kind_is_kept),
		HOUSE(test_socket_rude_peer_disturbs_nobody),
		HOUSE(test_keystore_is_opened_when_first_needed),
		HOUSE(test_keystore_that_was_exchanged_signs_never),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
