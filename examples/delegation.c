/*
 * delegation.c: fetch a URL and pay for it by delegation (ERC-7710), at most a
 * cent. The payer's wallet is a program of yours, which is run with the terms
 * and prints the payload that it has signed:
 *   X402_WALLET=PROGRAM delegation URL
 *   PROGRAM NETWORK ASSET PAY_TO AMOUNT DELEGATE VALID_BEFORE SALT
 *   {"delegationManager":"0x..","permissionContext":"0x..","delegator":"0x.."}
 * Whoever reads a context can spend what it permits: let the wallet permit this
 * one transfer, once, by this delegate, until that time.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <x402/client.h>

/* A context of the largest size in hex, and what stands around it. */
#define ANSWER_MAX (2 * X402_PERMISSION_CONTEXT_MAX + 1024)

/* What the wallet is told; texts of ours alone. */
struct words {
	char asset[X402_ADDRESS_TEXT_SIZE];
	char pay_to[X402_ADDRESS_TEXT_SIZE];
	char amount[X402_U256_DEC_SIZE];
	char delegate[X402_ADDRESS_TEXT_SIZE];
	char valid_before[24];
	char salt[2 + 64 + 1];
};

static void write_words(
	const struct x402_delegation_terms *terms, struct words *ret_words)
{
	x402_address_format(&terms->asset, ret_words->asset);
	x402_address_format(&terms->pay_to, ret_words->pay_to);
	x402_u256_to_dec(&terms->amount, ret_words->amount);
	x402_address_format(&terms->delegate, ret_words->delegate);
	(void)snprintf(ret_words->valid_before, sizeof(ret_words->valid_before),
		"%llu", (unsigned long long)terms->valid_before_unix_s);
	(void)snprintf(ret_words->salt, sizeof(ret_words->salt), "0x");
	for (size_t i = 0; i < 32; i++)
		(void)snprintf(ret_words->salt + 2 + 2 * i, 3, "%02x",
			terms->salt32[i]);
}

/* The program with its output in a pipe; NULL where it did not start. */
static FILE *start(char *const argv[], pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	FILE *out;
	int ends[2];
	int failed;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return NULL;
	out = fdopen(ends[0], "r");
	failed = !out || posix_spawn_file_actions_init(&actions) != 0;
	if (!failed) {
		failed = posix_spawn_file_actions_adddup2(
				 &actions, ends[1], STDOUT_FILENO) != 0 ||
			posix_spawnp(ret_pid, argv[0], &actions, NULL, argv,
				environ) != 0;
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)close(ends[1]);
	if (!failed)
		return out;
	if (out)
		(void)fclose(out);
	else
		(void)close(ends[0]);
	return NULL;
}

static enum x402_err read_answer(
	FILE *wallet, struct x402_delegation_payload *ret_payload)
{
	static char answer[ANSWER_MAX];
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json *json = NULL;
	size_t len = fread(answer, 1, sizeof(answer), wallet);
	enum x402_err err = x402_json_parse(
		x402_span(answer, len), NULL, &info, &json);

	if (!err)
		err = x402_delegation_payload_read(json, &info, ret_payload);
	if (err)
		fprintf(stderr, "the wallet's answer: %s %s\n", info.field,
			info.text);
	x402_json_unref(json);
	return err;
}

static enum x402_err delegate(void *user,
	const struct x402_delegation_terms *terms,
	struct x402_delegation_payload *ret_payload)
{
	char network[X402_NETWORK_SIZE];
	struct words words;
	char *const argv[] = {getenv("X402_WALLET"), network, words.asset,
		words.pay_to, words.amount, words.delegate, words.valid_before,
		words.salt, NULL};
	FILE *wallet;
	pid_t pid;
	int status = -1;
	enum x402_err err;

	(void)user;
	write_words(terms, &words);
	memcpy(network, terms->network.caip2, sizeof(network));
	wallet = start(argv, &pid);
	if (!wallet)
		return X402_ERR_INTERNAL;
	err = read_answer(wallet, ret_payload);
	(void)fclose(wallet);
	/* A wallet that ends badly has not agreed, whatever it printed. */
	if ((waitpid(pid, &status, 0) != pid || status != 0) && !err) {
		x402_delegation_payload_clear(ret_payload);
		err = X402_ERR_POLICY;
	}
	return err;
}

int main(int argc, char **argv)
{
	struct x402_client_options options = {
		.delegate = delegate, .max_usd_micros = 10000};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_client_request request = {0};
	struct x402_client *client;
	enum x402_err err;

	if (argc != 2 || !getenv("X402_WALLET"))
		return 2;
	if (x402_client_new(&options, &client))
		return 1;
	request.url = argv[1];
	err = x402_client_fetch(client, &request, &response);
	(void)fwrite(response.body.ptr, 1, response.body.len, stdout);
	fprintf(stderr, "%s: status %ld, payment %s, payer %s, %s\n",
		x402_err_text(err), response.status,
		x402_client_outcome_name(response.payment.outcome),
		response.payment.payer, response.payment.transaction);
	if (!err && response.status >= 400)
		err = X402_ERR_POLICY;
	x402_client_response_clear(&response);
	x402_client_free(client);
	return err ? 1 : 0;
}
