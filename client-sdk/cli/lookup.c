/*
 * lookup.c: `x402 search|discover|balance`: what can be bought, where, and
 * with what. All of it is read from services of others, and nothing is paid:
 * the client here has no key.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lookup.h"

#define LOOKUP_TIMEOUT_MS 20000
/* A facilitator's page of 100, or an OpenAPI document. */
#define LOOKUP_MAX_BYTES ((size_t)4 * 1024 * 1024)

static struct x402_json *read_json(struct x402_span body)
{
	struct x402_json_limits limits = {.max_bytes = LOOKUP_MAX_BYTES};
	struct x402_json *json = NULL;
	if (x402_json_parse(body, &limits, NULL, &json))
		return NULL;
	return json;
}

bool cli_process_public_only;

static int ask(const char *url, const char *body, bool public_only,
	long *ret_status, struct x402_json **ret_json)
{
	static const struct x402_client_header headers[] = {
		{"Content-Type", "application/json"},
		{"Accept", "application/json"}};
	struct x402_client_options options = {.timeout_ms = LOOKUP_TIMEOUT_MS,
		.max_body_bytes = LOOKUP_MAX_BYTES,
		.public_only = public_only};
	struct x402_client_request request = {.url = url,
		.headers = body ? headers : headers + 1,
		.headers_len = body ? 2 : 1,
		.body = x402_span_str(body)};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_client *client = NULL;
	if (x402_client_new(&options, &client))
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	enum x402_err err = x402_client_fetch(client, &request, &response);
	x402_client_free(client);
	int exit = CLI_OK;
	/* A price is an answer too: there is no key to pay it with. */
	if (err && response.status == 0)
		exit = cli_error(cli_exit_of(&response),
			x402_client_cause_name(response.cause), "%s: %s", url,
			response.error.text);
	else {
		*ret_status = response.status;
		*ret_json = read_json(x402_buf_span(&response.body));
	}
	x402_client_response_clear(&response);
	return exit;
}

int cli_lookup(const char *url, const char *body, long *ret_status,
	struct x402_json **ret_json)
{
	return ask(url, body, false, ret_status, ret_json);
}

int cli_rpc(const char *url, const char *method, const char *params,
	struct x402_json **ret_result)
{
	struct x402_buf buf = {0};
	struct x402_json *answer = NULL;
	long status = 0;
	x402_buf_printf(&buf,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%"
		"s}",
		method, params);
	char *body = x402_buf_take_str(&buf);
	int exit = body
		? cli_lookup(url, body, &status, &answer)
		: cli_error(CLI_GENERAL, "internal_error", "out of memory");
	free(body);
	if (exit)
		return exit;
	const struct x402_json *result = x402_json_get(answer, "result");
	if (result)
		*ret_result = x402_json_ref(result);
	else
		exit = cli_error(CLI_NETWORK, "chain_error",
			"%s: %s failed (status %ld)", url, method, status);
	x402_json_unref(answer);
	return exit;
}

static int finish(struct x402_json *answer, struct x402_json **ret_answer)
{
	if (!answer)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	*ret_answer = answer;
	return CLI_OK;
}

/* ---- search ---- */

static const char *facilitator_url(const struct cli_args *args)
{
	const char *url = cli_arg(args, CLI_KEY_FACILITATOR);
	if (!url)
		url = getenv("FACILITATOR_URL");
	return url && *url ? url : "https://x402.org/facilitator";
}

/* All words, in any case, somewhere in the item's text. */
static bool item_matches(
	const struct x402_json *item, const struct cli_args *args)
{
	char *text = x402_json_dump(item);
	bool all = text != NULL;
	for (size_t i = 0; all && i < args->operands_len; i++) {
		/* Words of one operand are words too: tools send one. */
		char *words = strdup(args->operands[i]);
		char *rest = words;
		for (char *word; all && (word = strsep(&rest, " \t"));)
			all = !*word || strcasestr(text, word) != NULL;
		all = all && words;
		free(words);
	}
	free(text);
	return all;
}

static struct x402_json *describe_offer(
	const struct x402_payment_requirements *offer)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_client_payment terms = {0};
	x402_client_payment_terms(offer, &terms);
	cli_put_terms(json, &terms);
	return json;
}

static struct x402_json *describe_item(const struct x402_json *item)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *offers = x402_json_new_array();
	const struct x402_json *accepts = x402_json_get(item, "accepts");
	const struct x402_json *metadata = x402_json_get(item, "metadata");
	int64_t version = X402_V2;
	bool ok = offers != NULL;
	(void)x402_json_int64(x402_json_get(item, "x402Version"), &version);
	cli_put(json, "url", x402_json_get_string(item, "resource"));
	cli_put(json, "type", x402_json_get_string(item, "type"));
	cli_put(json, "description",
		x402_json_get_string(metadata, "description"));
	for (size_t i = 0; ok && i < x402_json_size(accepts); i++) {
		struct x402_payment_requirements offer = {0};
		if (x402_payment_requirements_read(x402_json_at(accepts, i),
			    (int)version, NULL, &offer))
			continue;
		cli_put(json, "description", offer.description);
		ok = !x402_json_append_take(offers, describe_offer(&offer));
		x402_payment_requirements_clear(&offer);
	}
	if (x402_json_set_take(json, "offers", offers))
		ok = false;
	if (ok)
		return json;
	x402_json_unref(json);
	return NULL;
}

static struct x402_json *pick_items(const struct x402_json *page,
	const struct cli_args *args, uint64_t limit)
{
	const struct x402_json *items = x402_json_get(page, "items");
	struct x402_json *found = x402_json_new_array();
	bool ok = found != NULL;
	for (size_t i = 0; ok && i < x402_json_size(items); i++) {
		const struct x402_json *item = x402_json_at(items, i);
		if (x402_json_size(found) < limit && item_matches(item, args))
			ok = !x402_json_append_take(found, describe_item(item));
	}
	if (ok)
		return found;
	x402_json_unref(found);
	return NULL;
}

int cli_search(const struct cli_args *args, struct x402_json **ret_answer)
{
	const char *facilitator = facilitator_url(args);
	const char *limit_text = cli_arg(args, CLI_KEY_LIMIT);
	const char *network = cli_arg(args, CLI_KEY_NETWORK);
	uint64_t limit = 20;
	struct x402_buf buf = {0};
	struct x402_json *page = NULL;
	long status = 0;
	if (limit_text && !cli_number("--limit", limit_text, 100, &limit))
		return CLI_USAGE;
	if (network &&
		strspn(network,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRST"
			"UVWXYZ0123456789-_:") != strlen(network))
		return cli_error(CLI_USAGE, "usage",
			"--network: expected a CAIP-2 id, got \"%s\"", network);
	x402_buf_printf(&buf, "%s/discovery/resources?limit=100%s%s",
		facilitator, network ? "&network=" : "",
		network ? network : "");
	char *url = x402_buf_take_str(&buf);
	int exit = url
		? cli_lookup(url, NULL, &status, &page)
		: cli_error(CLI_GENERAL, "internal_error", "out of memory");
	if (!exit && (status != 200 || !x402_json_get(page, "items")))
		exit = cli_error(CLI_NETWORK, "discovery",
			"%s: expected a list of resources, got status %ld", url,
			status);
	if (!exit)
		exit = finish(pick_items(page, args, limit), ret_answer);
	x402_json_unref(page);
	free(url);
	return exit;
}

/* ---- discover ---- */

/* "https://host[:port]" of whatever URL was given. */
static char *origin_of(const char *text)
{
	struct x402_buf buf = {0};
	if (!strstr(text, "://"))
		x402_buf_add_str(&buf, "https://");
	const char *host = strstr(text, "://");
	size_t head = host ? (size_t)(host + 3 - text) : 0;
	x402_buf_add(&buf, x402_span(text, head + strcspn(text + head, "/?#")));
	return x402_buf_take_str(&buf);
}

/* OpenAPI: each operation with x-payment-info. */
static bool add_operations(const struct x402_json *document, const char *origin,
	struct x402_json *found)
{
	const struct x402_json *paths = x402_json_get(document, "paths");
	void *iter = NULL;
	const char *path;
	const struct x402_json *operations;
	while (x402_json_next(paths, &iter, &path, &operations)) {
		void *inner = NULL;
		const char *method;
		const struct x402_json *operation;
		while (x402_json_next(
			operations, &inner, &method, &operation)) {
			const struct x402_json *price = x402_json_get(
				operation, "x-payment-info");
			if (!price)
				continue;
			struct x402_buf buf = {0};
			struct x402_json *json = x402_json_new_object();
			x402_buf_printf(&buf, "%s%s", origin, path);
			char *url = x402_buf_take_str(&buf);
			cli_put(json, "url", url);
			cli_put(json, "method", method);
			cli_put(json, "description",
				x402_json_get_string(operation, "summary"));
			free(url);
			if (x402_json_set_take(
				    json, "price", x402_json_ref(price)) ||
				x402_json_append_take(found, json))
				return false;
		}
	}
	return true;
}

/*
 * What one well-known document says; absent ones are no error. The origin may
 * be a model's choice, unlike the nodes and facilitators of the user.
 */
static int look_at(
	const char *origin, const char *path, struct x402_json **ret_document)
{
	struct x402_buf buf = {0};
	long status = 0;
	x402_buf_printf(&buf, "%s%s", origin, path);
	char *url = x402_buf_take_str(&buf);
	int exit = url
		? ask(url, NULL, cli_process_public_only, &status, ret_document)
		: cli_error(CLI_GENERAL, "internal_error", "out of memory");
	free(url);
	if (!exit && status != 200) {
		x402_json_unref(*ret_document);
		*ret_document = NULL;
	}
	return exit;
}

int cli_discover(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_json *known = NULL;
	struct x402_json *openapi = NULL;
	const char *given = cli_operand(args, "origin");
	char *origin = given ? origin_of(given) : NULL;
	if (!origin)
		return CLI_USAGE;
	int exit = look_at(origin, "/.well-known/x402", &known);
	if (!exit)
		exit = look_at(origin, "/openapi.json", &openapi);
	struct x402_json *answer = x402_json_new_object();
	struct x402_json *operations = x402_json_new_array();
	bool ok = answer && operations &&
		add_operations(openapi, origin, operations);
	bool any = known || x402_json_size(operations) > 0;
	cli_put(answer, "origin", origin);
	if (known && x402_json_set_take(answer, "wellKnown", known))
		ok = false;
	if (x402_json_set_take(answer, "operations", operations))
		ok = false;
	if (!exit && ok && any) {
		*ret_answer = answer;
		answer = NULL;
	} else if (!exit) {
		exit = ok ? cli_error(CLI_NOT_FOUND, "not_found",
				    "%s: neither /.well-known/x402 nor an "
				    "OpenAPI document with prices",
				    origin)
			  : cli_error(CLI_GENERAL, "internal_error",
				    "out of memory");
	}
	x402_json_unref(answer);
	x402_json_unref(openapi);
	free(origin);
	return exit;
}

/* ---- balance ---- */

static bool hex_to_u256(const char *text, struct x402_u256 *ret_value)
{
	uint8_t be32[32];
	char full[67];
	size_t len = text ? strlen(text) : 0;
	if (len < 3 || len > 66 || text[0] != '0' || text[1] != 'x')
		return false;
	(void)snprintf(full, sizeof(full), "0x%.*s%s", (int)(66 - len),
		"0000000000000000000000000000000000000000000000000000000000000"
		"000",
		text + 2);
	if (x402_hex_decode_fixed(full, be32, 32))
		return false;
	*ret_value = x402_u256_from_be32(be32);
	return true;
}

static int balance_of(const char *rpc, const struct x402_default_asset *asset,
	const char *owner, struct x402_json *list)
{
	struct x402_buf buf = {0};
	struct x402_json *result = NULL;
	struct x402_u256 value;
	struct x402_client_payment terms = {0};
	char price[256];
	x402_buf_printf(&buf,
		"[{\"to\":\"%s\",\"data\":\"0x70a08231000000000000000000000000%"
		"s"
		"\"},\"latest\"]",
		asset->address, owner + 2);
	char *params = x402_buf_take_str(&buf);
	int exit = params
		? cli_rpc(rpc, "eth_call", params, &result)
		: cli_error(CLI_GENERAL, "internal_error", "out of memory");
	free(params);
	if (exit)
		return exit;
	/* "0x": there is no such token on this chain. */
	if (hex_to_u256(x402_json_string(result), &value)) {
		struct x402_json *json = x402_json_new_object();
		(void)snprintf(terms.network, sizeof(terms.network), "%s",
			asset->network);
		(void)snprintf(
			terms.asset, sizeof(terms.asset), "%s", asset->address);
		x402_u256_to_dec(&value, terms.amount);
		cli_format_price(&terms, price, sizeof(price));
		cli_put(json, "asset", asset->symbol);
		cli_put(json, "balance", price);
		cli_put(json, "amount", terms.amount);
		cli_put(json, "address", asset->address);
		if (x402_json_append_take(list, json))
			exit = cli_error(
				CLI_GENERAL, "internal_error", "out of memory");
	}
	x402_json_unref(result);
	return exit;
}

static int ask_network(const char *rpc, char network[X402_NETWORK_SIZE])
{
	struct x402_json *result = NULL;
	struct x402_u256 id;
	uint64_t chain_id = 0;
	int exit = cli_rpc(rpc, "eth_chainId", "[]", &result);
	if (exit)
		return exit;
	if (!hex_to_u256(x402_json_string(result), &id) ||
		!x402_u256_to_u64(&id, &chain_id))
		exit = cli_error(CLI_NETWORK, "chain_error",
			"%s: this is no EVM chain's RPC", rpc);
	x402_json_unref(result);
	(void)snprintf(network, X402_NETWORK_SIZE, "eip155:%" PRIu64, chain_id);
	return exit;
}

static int find_owner(
	const struct cli_args *args, char owner[X402_ADDRESS_TEXT_SIZE])
{
	struct cli_payer_flags flags = {.wallet = cli_arg(args, CLI_KEY_WALLET),
		.signer = cli_arg(args, CLI_KEY_SIGNER),
		.password = cli_arg(args, CLI_KEY_PASSWORD_FILE)};
	struct x402_address address;
	struct cli_payer payer = {.signer = NULL};
	const char *given = args->operands_len ? args->operands[0]
					       : getenv("EVM_ADDRESS");
	int exit = CLI_OK;
	if (given && *given) {
		if (x402_address_parse_checked(given, &address))
			return cli_error(CLI_USAGE, "usage",
				"expected an address, got \"%s\"", given);
	} else if (cli_process_payer && cli_process_payer->signer) {
		address =
			x402_signer_client(cli_process_payer->signer)->address;
	} else {
		exit = cli_payer_load(&flags, &payer);
		if (!exit && !payer.signer)
			exit = cli_error(CLI_CONFIG, "no_key",
				"whose balance? Give an address, or make a "
				"wallet");
		if (!exit)
			address = x402_signer_client(payer.signer)->address;
		cli_payer_clear(&payer);
	}
	if (!exit)
		x402_address_format(&address, owner);
	return exit;
}

int cli_balance(const struct cli_args *args, struct x402_json **ret_answer)
{
	const char *rpc = cli_arg(args, CLI_KEY_RPC);
	char network[X402_NETWORK_SIZE] = "";
	char owner[X402_ADDRESS_TEXT_SIZE];
	if (!rpc)
		rpc = getenv("EVM_RPC_URL");
	if (!rpc || !*rpc)
		return cli_error(CLI_CONFIG, "config",
			"no chain to ask: give --rpc-url or EVM_RPC_URL");
	int exit = find_owner(args, owner);
	if (!exit)
		exit = ask_network(rpc, network);
	if (exit)
		return exit;
	struct x402_json *answer = x402_json_new_object();
	struct x402_json *list = x402_json_new_array();
	cli_put(answer, "address", owner);
	cli_put(answer, "network", network);
	const struct x402_default_asset *asset;
	for (size_t i = 0; !exit && list && (asset = x402_known_asset_at(i));
		i++)
		if (strcmp(asset->network, network) == 0)
			exit = balance_of(rpc, asset, owner, list);
	if (x402_json_set_take(answer, "assets", list) && !exit)
		exit = cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	if (exit) {
		x402_json_unref(answer);
		return exit;
	}
	return finish(answer, ret_answer);
}
