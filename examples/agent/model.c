/*
 * model.c: the two forms of the same conversation. What a model answers comes
 * from outside like anything else: it is parsed strictly, and a tool that it
 * names is looked up, never followed.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Building. ---- */

static void *need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

struct x402_json *json_object(void)
{
	return need(x402_json_new_object());
}

struct x402_json *json_array(void)
{
	return need(x402_json_new_array());
}

void json_set(struct x402_json *object, const char *key,
	struct x402_json *value_taken)
{
	if (x402_json_set_take(object, key, value_taken))
		abort();
}

/* What is no UTF-8 is said to be so: a model takes text only. */
void json_text(struct x402_json *object, const char *key, const char *text)
{
	struct x402_json *value = x402_json_new_string(text ? text : "");
	json_set(object, key,
		value ? value : x402_json_new_string("(not text)"));
}

void json_add(struct x402_json *array, struct x402_json *value_taken)
{
	if (x402_json_append_take(array, value_taken))
		abort();
}

/* ---- The conversation. ---- */

static struct x402_json *gemini_turn(
	const char *role, struct x402_json *part_taken)
{
	struct x402_json *turn = json_object();
	struct x402_json *parts = json_array();
	json_add(parts, part_taken);
	json_text(turn, "role", role);
	json_set(turn, "parts", parts);
	return turn;
}

static void say(struct model *model, const char *role, const char *text)
{
	struct x402_json *turn = json_object();
	if (model->style == MODEL_GEMINI) {
		/* turn becomes the one part of what Gemini calls a content. */
		json_text(turn, "text", text);
		json_add(model->turns, gemini_turn("user", turn));
		return;
	}
	json_text(turn, "role", role);
	json_text(turn, "content", text);
	json_add(model->turns, turn);
}

void model_begin(
	struct model *model, const char *instructions, const char *question)
{
	model->turns = json_array();
	model->tools = json_array();
	say(model, "system", instructions);
	say(model, "user", question);
}

void model_add_tool(struct model *model, const char *name,
	const char *description, struct x402_json *parameters)
{
	struct x402_json *function = json_object();
	json_text(function, "name", name);
	json_text(function, "description", description);
	json_set(function, "parameters", parameters);
	if (model->style == MODEL_OPENAI) {
		struct x402_json *tool = json_object();
		json_text(tool, "type", "function");
		json_set(tool, "function", function);
		function = tool;
	}
	json_add(model->tools, function);
}

/* ---- Asking. ---- */

static char *make_body(const struct model *model)
{
	struct x402_json *body = json_object();
	if (model->style == MODEL_OPENAI) {
		json_text(body, "model", model->name);
		json_set(body, "messages", x402_json_ref(model->turns));
		if (x402_json_size(model->tools))
			json_set(body, "tools", x402_json_ref(model->tools));
	} else {
		struct x402_json *list = json_array();
		struct x402_json *set = json_object();
		json_set(set, "functionDeclarations",
			x402_json_ref(model->tools));
		json_add(list, set);
		json_set(body, "contents", x402_json_ref(model->turns));
		json_set(body, "tools", list);
	}
	char *text = need(x402_json_dump(body));
	x402_json_unref(body);
	return text;
}

static struct x402_json *parse(struct x402_span text)
{
	struct x402_json_limits limits = {.max_bytes = 1024 * 1024};
	struct x402_json *json = NULL;
	return x402_json_parse(text, &limits, NULL, &json) ? NULL : json;
}

static struct x402_json *post(struct model *model, char error[256])
{
	char url[2048];
	char bearer[1024];
	struct x402_client_header headers[2] = {
		{"Content-Type", "application/json"}};
	struct x402_client_request request = {
		.url = url, .headers = headers, .headers_len = 1};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	if (model->style == MODEL_OPENAI)
		snprintf(url, sizeof(url), "%s/chat/completions", model->url);
	else
		snprintf(url, sizeof(url), "%s/models/%s:generateContent",
			model->url, model->name);
	if (model->key && model->style == MODEL_OPENAI) {
		snprintf(bearer, sizeof(bearer), "Bearer %s", model->key);
		headers[request.headers_len++] = (struct x402_client_header){
			"Authorization", bearer};
	} else if (model->key) {
		headers[request.headers_len++] = (struct x402_client_header){
			"x-goog-api-key", model->key};
	}
	char *body = make_body(model);
	request.body = x402_span_str(body);
	enum x402_err err = x402_client_fetch(
		model->client, &request, &response);
	struct x402_json *answer = NULL;
	if (!err && response.status == 200)
		answer = parse(x402_buf_span(&response.body));
	if (!answer)
		snprintf(error, 256, "the model did not answer: status %ld, %s",
			response.status, x402_err_text(err));
	x402_wipe(bearer, sizeof(bearer));
	x402_client_response_clear(&response);
	free(body);
	return answer;
}

static char *copy(const char *text)
{
	return text ? need(strdup(text)) : NULL;
}

static bool read_openai(
	const struct x402_json *message, struct model_turn *turn)
{
	const struct x402_json *call = x402_json_at(
		x402_json_get(message, "tool_calls"), 0);
	const struct x402_json *function = x402_json_get(call, "function");
	turn->tool = copy(x402_json_get_string(function, "name"));
	turn->id = copy(x402_json_get_string(call, "id"));
	turn->text = copy(x402_json_get_string(message, "content"));
	if (!turn->tool)
		return turn->text != NULL;
	const char *arguments = x402_json_get_string(function, "arguments");
	turn->arguments = arguments ? parse(x402_span_str(arguments)) : NULL;
	return x402_json_type(turn->arguments) == X402_JSON_OBJECT;
}

static bool read_gemini(
	const struct x402_json *content, struct model_turn *turn)
{
	const struct x402_json *parts = x402_json_get(content, "parts");
	for (size_t i = 0; i < x402_json_size(parts); i++) {
		const struct x402_json *part = x402_json_at(parts, i);
		const struct x402_json *call = x402_json_get(
			part, "functionCall");
		if (call && !turn->tool) {
			turn->tool = copy(x402_json_get_string(call, "name"));
			turn->arguments = x402_json_copy(
				x402_json_get(call, "args"));
		} else if (!turn->text) {
			turn->text = copy(x402_json_get_string(part, "text"));
		}
	}
	if (turn->tool && !turn->arguments)
		turn->arguments = json_object();
	return turn->tool || turn->text;
}

bool model_ask(
	struct model *model, struct model_turn *ret_turn, char error[256])
{
	struct x402_json *answer = post(model, error);
	const struct x402_json *said = NULL;
	*ret_turn = (struct model_turn){.tool = NULL};
	if (!answer)
		return false;
	if (model->style == MODEL_OPENAI)
		said = x402_json_get(
			x402_json_at(x402_json_get(answer, "choices"), 0),
			"message");
	else
		said = x402_json_get(
			x402_json_at(x402_json_get(answer, "candidates"), 0),
			"content");
	bool ok = model->style == MODEL_OPENAI ? read_openai(said, ret_turn)
					       : read_gemini(said, ret_turn);
	if (ok)
		json_add(model->turns, x402_json_ref(said));
	else
		snprintf(error, 256, "the model's answer cannot be read");
	x402_json_unref(answer);
	return ok;
}

void model_add_result(
	struct model *model, const struct model_turn *turn, const char *result)
{
	struct x402_json *json = json_object();
	if (model->style == MODEL_OPENAI) {
		json_text(json, "role", "tool");
		json_text(json, "tool_call_id", turn->id);
		json_text(json, "content", result);
		json_add(model->turns, json);
		return;
	}
	struct x402_json *response = json_object();
	struct x402_json *part = json_object();
	json_text(response, "result", result);
	json_text(json, "name", turn->tool);
	json_set(json, "response", response);
	json_set(part, "functionResponse", json);
	json_add(model->turns, gemini_turn("user", part));
}

void model_turn_clear(struct model_turn *turn)
{
	free(turn->tool);
	free(turn->text);
	free(turn->id);
	x402_json_unref(turn->arguments);
	*turn = (struct model_turn){.tool = NULL};
}

void model_clear(struct model *model)
{
	x402_json_unref(model->turns);
	x402_json_unref(model->tools);
	x402_client_free(model->client);
}
