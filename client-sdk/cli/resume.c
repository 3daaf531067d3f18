/*
 * resume.c: `x402 resume`: finds out what became of payments that are open:
 * by a facilitator, by the chain, and, with -o, by showing the server the same
 * payment again and keeping what it delivers. Signs nothing.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lookup.h"
#include "x402/resume.h"

struct resume {
	struct x402_json *list;
	const char *directory;
	unsigned unwritten;
	bool failed;
};

/* DIRECTORY/<paymentId>; a body that was kept before stays. */
static bool keep_body(const struct resume *resume,
	const struct x402_purchase *purchase, struct x402_span body)
{
	struct x402_buf buf = {0};
	x402_buf_printf(
		&buf, "%s/%" PRId64, resume->directory, purchase->number);
	char *path = x402_buf_take_str(&buf);
	FILE *file = path ? fopen(path, "wx") : NULL;
	bool ok = file && fwrite(body.ptr, 1, body.len, file) == body.len;
	ok = file && fclose(file) == 0 && ok;
	free(path);
	return ok;
}

static void on_response(void *user, const struct x402_purchase *purchase,
	enum x402_err err, struct x402_client_response *response)
{
	struct resume *resume = user;
	if (err || response->status < 200 || response->status >= 300)
		return;
	if (!keep_body(resume, purchase, x402_buf_span(&response->body)))
		resume->unwritten++;
}

static void on_purchase(void *user, const struct x402_purchase *purchase)
{
	struct resume *resume = user;
	struct x402_json *json = x402_json_new_object();
	cli_put_int(json, "paymentId", purchase->number);
	cli_put(json, "state", x402_purchase_state_name(purchase->state));
	cli_put(json, "url", purchase->url);
	cli_put(json, "transaction", purchase->transaction);
	cli_put(json, "reason", purchase->reason);
	if (x402_json_append_take(resume->list, json))
		resume->failed = true;
}

/* SVM_RPC_URL says which cluster it is by its first block. */
static int find_cluster(char *network, size_t size,
	struct x402_client_endpoint *ret_endpoint, size_t *ret_len)
{
	const char *rpc = getenv("SVM_RPC_URL");
	struct x402_json *genesis = NULL;
	if (!rpc || !*rpc)
		return CLI_OK;
	int exit = cli_rpc(rpc, "getGenesisHash", "[]", &genesis);
	if (exit)
		return exit;
	const char *text = x402_json_string(genesis);
	(void)snprintf(network, size, "solana:%.32s", text ? text : "");
	x402_json_unref(genesis);
	ret_endpoint[(*ret_len)++] = (struct x402_client_endpoint){
		network, rpc};
	return CLI_OK;
}

/* EVM_RPC_URL is of one chain: it says which. */
static int find_chain(const struct cli_args *args, char *network, size_t size,
	struct x402_client_endpoint *ret_endpoint, size_t *ret_len)
{
	const char *rpc = cli_arg(args, CLI_KEY_RPC);
	struct x402_json *id = NULL;
	if (!rpc)
		rpc = getenv("EVM_RPC_URL");
	if (!rpc || !*rpc)
		return CLI_OK;
	int exit = cli_rpc(rpc, "eth_chainId", "[]", &id);
	if (exit)
		return exit;
	const char *text = x402_json_string(id);
	(void)snprintf(network, size, "eip155:%llu",
		strtoull(text ? text : "0", NULL, 16));
	x402_json_unref(id);
	ret_endpoint[(*ret_len)++] = (struct x402_client_endpoint){
		network, rpc};
	return CLI_OK;
}

static int run(struct resume *resume, const struct cli_args *args,
	struct x402_client *client, struct x402_json *answer)
{
	char network[X402_NETWORK_SIZE];
	char cluster[X402_NETWORK_SIZE];
	struct x402_client_endpoint endpoints[2];
	struct x402_client_resumed resumed = {.looked_at = 0};
	const char *facilitator = cli_arg(args, CLI_KEY_FACILITATOR);
	struct x402_client_resume_options options = {.endpoints = endpoints,
		.block_tag = cli_arg(args, CLI_KEY_BLOCK),
		.facilitator_url = facilitator ? facilitator
					       : getenv("FACILITATOR_URL"),
		.on_response = resume->directory ? on_response : NULL,
		.on_purchase = on_purchase,
		.user = resume};
	int exit = find_chain(args, network, sizeof(network), endpoints,
		&options.endpoints_len);
	if (!exit)
		exit = find_cluster(cluster, sizeof(cluster), endpoints,
			&options.endpoints_len);
	if (exit)
		return exit;
	enum x402_err err = x402_client_resume(client, &options, &resumed);
	if (err)
		return cli_error(
			CLI_CONFIG, "journal_error", "%s", x402_err_text(err));
	cli_put_int(answer, "lookedAt", (int64_t)resumed.looked_at);
	cli_put_int(answer, "delivered", (int64_t)resumed.delivered);
	cli_put_int(answer, "undelivered", (int64_t)resumed.undelivered);
	cli_put_int(answer, "notPaid", (int64_t)resumed.unpaid);
	cli_put_int(answer, "unknown", (int64_t)resumed.unknown);
	if (resume->unwritten)
		cli_put_int(answer, "unwritten", resume->unwritten);
	/* What is open may still be charged: that is no success yet. */
	return resumed.unknown ? CLI_UNKNOWN : CLI_OK;
}

int cli_resume(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct resume resume = {
		.directory = cli_arg(args, 'o'), .list = x402_json_new_array()};
	struct x402_json *answer = x402_json_new_object();
	struct x402_client_options options = {.max_redirects = -1};
	struct x402_client *client = NULL;
	/* What was signed and perhaps never left is sent again, as it is. */
	options.evm_rpc_url = cli_arg(args, CLI_KEY_RPC)
		? cli_arg(args, CLI_KEY_RPC)
		: getenv("EVM_RPC_URL");
	int exit = CLI_OK;
	if (resume.directory && mkdir(resume.directory, 0777) &&
		errno != EEXIST)
		exit = cli_error(CLI_USAGE, "output", "%s: %s",
			resume.directory, strerror(errno));
	if (!exit)
		exit = cli_journal_open(&options.journal);
	if (!exit && x402_client_new(&options, &client))
		exit = cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	if (!exit)
		exit = run(&resume, args, client, answer);
	if (x402_json_set_take(answer, "payments", resume.list) ||
		resume.failed)
		exit = cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	x402_client_free(client);
	x402_journal_close(options.journal);
	if (exit == CLI_OK || exit == CLI_UNKNOWN)
		*ret_answer = answer;
	else
		x402_json_unref(answer);
	return exit;
}
