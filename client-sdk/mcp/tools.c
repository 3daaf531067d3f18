/*
 * tools.c: commands as tools. A call's arguments become the command's
 * (struct cli_args) by the table; its answer, or its error line, becomes the
 * result. fetch and inspect have bodies of their own here, because a model is
 * no shell: no files are read, and the body comes back in the answer.
 */
#include <stdlib.h>
#include <string.h>

#include "mcp.h"

struct mcp_server mcp_server;

/* ---- The list. ---- */

static struct x402_json *describe(const struct cli_command *command)
{
	const struct cli_tool *tool = command->tool;
	struct x402_json *json = x402_json_new_object();
	struct x402_json *hints = x402_json_new_object();
	cli_put(json, "name", tool->name);
	cli_put(json, "title", tool->title);
	cli_put(json, "description", tool->description);
	cli_put(hints, "title", tool->title);
	cli_put_bool(hints, "readOnlyHint", tool->read_only);
	cli_put_bool(hints, "destructiveHint", tool->destructive);
	cli_put_bool(hints, "idempotentHint", tool->idempotent);
	cli_put_bool(hints, "openWorldHint", tool->open_world);
	enum x402_err schema = x402_json_set_take(
		json, "inputSchema", cli_tool_schema(command));
	enum x402_err annotations = x402_json_set_take(
		json, "annotations", hints);
	if (!schema && !annotations)
		return json;
	x402_json_unref(json);
	return NULL;
}

struct x402_json *mcp_tools_list(void)
{
	struct x402_json *result = x402_json_new_object();
	struct x402_json *tools = x402_json_new_array();
	bool ok = result && tools;
	for (const struct cli_command *c = cli_commands; ok && c->name; c++)
		if (c->tool)
			ok = !x402_json_append_take(tools, describe(c));
	if (x402_json_set_take(result, "tools", tools))
		ok = false;
	if (ok)
		return result;
	x402_json_unref(result);
	return NULL;
}

static const struct cli_command *find_tool(const char *name)
{
	for (const struct cli_command *c = cli_commands; c->name; c++)
		if (c->tool && strcmp(c->tool->name, name) == 0)
			return c;
	return NULL;
}

/* ---- Arguments. ---- */

/* Numbers of a call as text, while it lasts. */
struct numbers {
	char texts[8][24];
	size_t len;
};

static bool same_name(const char *option, const char *member)
{
	for (; *option && *member; option++, member++)
		if ((*option == '-' ? '_' : *option) != *member)
			return false;
	return *option == *member;
}

static const struct cli_option *find_option(
	const struct cli_command *command, const char *member)
{
	for (const struct cli_option *o = command->options; o->name; o++)
		if ((o->flags & CLI_TOOL) && same_name(o->name, member))
			return o;
	return NULL;
}

/* A model may write 20 where a text is wanted. */
static const char *text_of(
	const struct x402_json *value, struct numbers *numbers)
{
	int64_t number;
	if (x402_json_string(value))
		return x402_json_string(value);
	if (numbers->len >= 8 || !x402_json_int64(value, &number))
		return NULL;
	char *text = numbers->texts[numbers->len++];
	(void)snprintf(text, 24, "%lld", (long long)number);
	return text;
}

static bool take_option(const struct cli_option *option,
	const struct x402_json *value, struct numbers *numbers,
	struct cli_args *args)
{
	bool truth = false;
	if (!option->argument) {
		if (!x402_json_bool(value, &truth))
			return false;
		return !truth || cli_args_add(args, option->key, NULL);
	}
	if (option->flags & CLI_SEVERAL) {
		if (x402_json_type(value) != X402_JSON_ARRAY)
			return false;
		for (size_t i = 0; i < x402_json_size(value); i++) {
			const char *text = x402_json_string(
				x402_json_at(value, i));
			if (!text || !cli_args_add(args, option->key, text))
				return false;
		}
		return true;
	}
	const char *text = text_of(value, numbers);
	return text && cli_args_add(args, option->key, text);
}

static bool take_member(const struct cli_command *command, const char *member,
	const struct x402_json *value, struct numbers *numbers,
	struct cli_args *args, struct x402_errinfo *info)
{
	const struct cli_option *option = find_option(command, member);
	bool ok = false;
	if (x402_json_type(value) == X402_JSON_NULL)
		return true; /* absent */
	if (command->operand && strcmp(command->operand, member) == 0) {
		const char *text = text_of(value, numbers);
		if (text && *text)
			args->operands[args->operands_len++] = text;
		ok = text != NULL;
	} else if (option) {
		ok = take_option(option, value, numbers, args);
	}
	if (!ok)
		x402_errinfo_set(info, member,
			"%s: %s is not an argument of this tool, or not of "
			"this type",
			command->tool->name, member);
	return ok;
}

static bool take_arguments(const struct cli_command *command,
	const struct x402_json *arguments, struct numbers *numbers,
	struct cli_args *args, struct x402_errinfo *info)
{
	void *iter = NULL;
	const char *member;
	const struct x402_json *value;
	*args = (struct cli_args){.command = command};
	if (arguments && x402_json_type(arguments) != X402_JSON_OBJECT) {
		x402_errinfo_set(info, "arguments", "expected an object");
		return false;
	}
	while (x402_json_next(arguments, &iter, &member, &value))
		if (!take_member(command, member, value, numbers, args, info))
			return false;
	return true;
}

/* ---- Results. ---- */

/* structuredContent is an object; lists go below a name. */
static struct x402_json *as_object(struct x402_json *answer_taken)
{
	if (x402_json_type(answer_taken) == X402_JSON_OBJECT)
		return answer_taken;
	struct x402_json *object = x402_json_new_object();
	if (!x402_json_set_take(object, "items", answer_taken))
		return object;
	x402_json_unref(object);
	return NULL;
}

static struct x402_json *make_result(
	struct x402_json *answer_taken, bool is_error)
{
	struct x402_json *object = as_object(answer_taken);
	struct x402_json *result = x402_json_new_object();
	struct x402_json *content = x402_json_new_array();
	struct x402_json *block = x402_json_new_object();
	char *text = object ? x402_json_dump(object) : NULL;
	bool ok = text && result && content && block;
	cli_put(block, "type", "text");
	cli_put(block, "text", text);
	free(text);
	if (x402_json_append_take(content, block) ||
		x402_json_set_take(result, "content", content) ||
		x402_json_set_take(result, "structuredContent", object))
		ok = false;
	cli_put_bool(result, "isError", is_error);
	if (ok)
		return result;
	x402_json_unref(result);
	return NULL;
}

struct x402_json *mcp_tools_call(const char *name,
	const struct x402_json *arguments, struct x402_errinfo *info)
{
	const struct cli_command *command = find_tool(name);
	struct numbers numbers = {.len = 0};
	struct cli_args args;
	struct x402_json *answer = NULL;
	if (!command) {
		x402_errinfo_set(info, "name", "there is no tool %.64s", name);
		return NULL;
	}
	cli_errors_keep();
	if (!take_arguments(command, arguments, &numbers, &args, info)) {
		x402_json_unref(cli_errors_take());
		return NULL;
	}
	int exit = command->produce(&args, &answer);
	struct x402_json *error = cli_errors_take();
	if (exit == CLI_OK && answer) {
		x402_json_unref(error);
		return make_result(answer, false);
	}
	if (!error) {
		error = x402_json_new_object();
		cli_put(error, "code", "internal_error");
		cli_put(error, "charged", "unknown");
	}
	/* What came with the error, such as the body of a refusal. */
	if (answer && x402_json_set_take(error, "response", answer))
		cli_put(error, "response", "out of memory");
	return make_result(error, true);
}

/* ---- fetch and inspect ---- */

/*
 * An asset that the user allowed has an atomic cap in place of the dollar cap
 * (C-031), so dollars that a call asks for have to become its units.
 */
static bool lower_to_dollars(struct cli_call *call, uint64_t usd_micros)
{
	struct x402_u256 units = x402_u256_from_u64(usd_micros);
	struct x402_asset_id allowed;
	uint64_t rest;
	if (!call->limit.has_atomic || !call->asset ||
		call->options.networks_len != 1 ||
		x402_asset_id_init(call->networks[0], call->asset, &allowed))
		return true; /* none is allowed: the dollar cap holds */
	const struct x402_default_asset *asset = x402_known_asset(
		call->networks[0], call->asset);
	if (!asset || !asset->usd) {
		(void)cli_error(CLI_USAGE, "usage",
			"max_amount: the user's limit is in atomic units; "
			"expected a number of those, such as 50000atomic");
		return false;
	}
	for (unsigned d = 6; d < asset->decimals; d++)
		if (!x402_u256_mul_u64(&units, 10, &units))
			return true; /* above any limit */
	for (unsigned d = asset->decimals; d < 6; d++)
		if (!x402_u256_div_u64(&units, 10, &units, &rest))
			return true;
	if (x402_u256_cmp(&units, &call->limit.units) < 0) {
		call->lowered_units = units;
		call->has_lowered = true;
	}
	return true;
}

/*
 * The server's limit, or what the call asks for where that is less. The limit
 * itself stays as the user gave it: units in it would also be the word that
 * allows an asset, without a dollar cap.
 */
bool mcp_lower_limit(struct cli_call *call, const char *text)
{
	const struct cli_limit *most = &mcp_server.flags.limit;
	struct cli_limit asked;
	if (cli_limit_parse(text, &asked)) {
		(void)cli_error(CLI_USAGE, "usage",
			"max_amount: expected 0.05usd, $0.05 or 50000atomic, "
			"got \"%s\"",
			text);
		return false;
	}
	uint64_t cap = most->usd_micros ? most->usd_micros
					: X402_DEFAULT_MAX_USD_MICROS;
	if (asked.has_atomic) {
		call->has_lowered = !most->has_atomic ||
			x402_u256_cmp(&asked.units, &most->units) < 0;
		call->lowered_units = asked.units;
		return true;
	}
	if (asked.usd_micros < cap)
		call->limit.usd_micros = asked.usd_micros;
	return lower_to_dollars(call, asked.usd_micros);
}

/* A leading @ is a file's name to curl; a model has no files here. */
static bool is_literal(const char *option, const char *value)
{
	if (value[0] != '@')
		return true;
	(void)cli_error(CLI_USAGE, "usage",
		"%s: files cannot be sent, got \"%s\"", option, value);
	return false;
}

static bool take_request(const struct cli_args *args, struct cli_call *call)
{
	for (size_t i = 0; i < args->given_len; i++) {
		int key = args->given[i].key;
		const char *value = args->given[i].value;
		bool ok = true;
		if (key == CLI_KEY_MAX_AMOUNT)
			ok = mcp_lower_limit(call, value);
		else if (key == 'H' || key == CLI_KEY_JSON)
			ok = is_literal(
				     key == 'H' ? "header" : "json", value) &&
				cli_call_take(call, key, value) == CLI_TAKEN;
		else if (key == 'd')
			ok = cli_call_take(call, CLI_KEY_DATA_RAW, value) ==
				CLI_TAKEN;
		else if (key == 'X' || key == CLI_KEY_TASK || key == CLI_KEY_ID)
			ok = cli_call_take(call, key, value) == CLI_TAKEN;
		else if (key != CLI_KEY_DRY_RUN)
			ok = false;
		if (!ok)
			return false;
	}
	const char *url = cli_operand(args, "url");
	return url && cli_call_operand(call, url);
}

static int perform(const struct cli_args *args, bool dry_run,
	struct x402_client_response *response)
{
	/* A copy: limits, payer and networks are the server's. */
	struct cli_call call = mcp_server.flags;
	call.shared_payer = &mcp_server.payer;
	int exit = CLI_USAGE;
	if (take_request(args, &call)) {
		call.options.max_redirects = X402_CLIENT_REDIRECTS;
		call.body_max_bytes = MCP_BODY_MAX_BYTES;
		exit = cli_call_perform(&call, !dry_run, dry_run, response);
	}
	cli_call_clear(&call);
	return exit;
}

/* As text where it is text, else in base64. */
static void put_body(struct x402_json *answer, struct x402_span body)
{
	struct x402_buf buf = {0};
	bool text = !body.len || !memchr(body.ptr, '\0', body.len);
	if (text) {
		x402_buf_add(&buf, body);
		char *copy = x402_buf_take_str(&buf);
		text = copy && !x402_json_set_string(answer, "body", copy);
		free(copy);
	}
	if (text)
		return;
	x402_base64_encode(body, &buf);
	char *encoded = x402_buf_take_str(&buf);
	cli_put(answer, "bodyBase64", encoded);
	free(encoded);
}

static struct x402_json *describe_response(
	const struct x402_client_response *response)
{
	struct x402_json *answer = x402_json_new_object();
	cli_put_int(answer, "status", response->status);
	cli_put(answer, "url", response->url);
	cli_put(answer, "contentType",
		x402_client_response_header(response, "Content-Type"));
	put_body(answer, x402_buf_span(&response->body));
	if (response->payment.attempted &&
		x402_json_set_take(
			answer, "payment", cli_receipt_json(response)))
		cli_put(answer, "payment", "out of memory");
	return answer;
}

int cli_fetch(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	bool dry_run = cli_has(args, CLI_KEY_DRY_RUN);
	int exit = perform(args, dry_run, &response);
	if (exit == CLI_OK && dry_run) {
		*ret_answer = cli_inspect_json(&response);
	} else if (exit == CLI_OK) {
		exit = (int)cli_exit_of(&response);
		if (exit)
			cli_report_error(&response);
		if (!exit || response.payment.attempted)
			*ret_answer = describe_response(&response);
	}
	x402_client_response_clear(&response);
	return exit;
}

int cli_inspect(const struct cli_args *args, struct x402_json **ret_answer)
{
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	int exit = perform(args, true, &response);
	if (exit == CLI_OK && response.status == 0) {
		exit = (int)cli_exit_of(&response);
		cli_report_error(&response);
	} else if (exit == CLI_OK) {
		*ret_answer = cli_inspect_json(&response);
	}
	x402_client_response_clear(&response);
	return exit;
}
