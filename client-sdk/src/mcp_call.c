/*
 * mcp_call.c: a paid tool of an MCP server, bought by the flow that buys URLs.
 * What differs is only where things stand, so each message is translated on
 * its way in and out, and all promises of the flow hold:
 *
 *   in:   a result that asks for a payment (M-01, M-02) becomes a 402 with its
 *         challenge; _meta["x402/payment-response"] (M-04) a receipt
 *   out:  the payment header becomes params._meta["x402/payment"] (M-03)
 *
 * An older server (M-09) answers on a stream beside the posts (mcp_sse.c); the
 * purchase keeps the name of the stream's URL, whatever address it is posted
 * to.
 *
 * A tool's resource is mcp://tool/NAME (M-06), which no origin can be held
 * against: what was asked is put in its place for the flow, and the server's
 * own text goes back in the payment.
 */
#include <stdlib.h>
#include <strings.h>

#include "mcp_call_p.h"
#include "mcp_sse_p.h"
#include "text_p.h"
#include "transfer_p.h"
#include "x402/codec.h"
#include "x402/encoding.h"
#include "x402/mcp.h"

#define VERSION           "2025-06-18"
#define META_PAYMENT      "x402/payment"
#define META_RESPONSE     "x402/payment-response"
#define MCP_SCHEME        "mcp://"
#define LEGACY_CODE       402
#define HEADERS_MAX       32
#define SESSION_MAX_BYTES 512
/* A constant, so that the same call is the same purchase. */
#define CALL_ID 2

static const char initialize[] =
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\","
	"\"params\":{\"protocolVersion\":\"" VERSION
	"\",\"capabilities\":{},\"clientInfo\":{\"name\":\"x402\","
	"\"version\":\"" X402_VERSION "\"}}}";
static const char initialized[] =
	"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";

struct call {
	const struct x402_client_mcp_call *asked;
	struct x402__transfer transfer;
	struct x402_client_header headers[HEADERS_MAX];
	size_t headers_len;
	char *session;
	/* M-09: an older server's; its answers come here. NULL: none. */
	struct x402__mcp_stream *stream;
	char *body;      /* without a payment */
	char *paid_body; /* with it */
	struct curl_slist *list;
	struct x402_json *resource; /* of the challenge, as it came */
	struct x402_json *result;
	char refusal[160]; /* the message of an error of the protocol */
	/* What the flow is told in place of what came. */
	struct x402_client_headers told;
	char *told_body;
};

/* ---- Texts. ---- */

static char *to_base64(const struct x402_json *json)
{
	struct x402_buf buf = {0};
	char *text = json ? x402_json_dump(json) : NULL;
	if (text)
		x402_base64_encode(x402_span_str(text), &buf);
	free(text);
	return x402_buf_take_str(&buf);
}

static struct x402_json *from_base64(const char *text)
{
	struct x402_buf buf = {0};
	struct x402_json *json = NULL;
	if (!x402_base64_decode(x402_span_str(text), &buf) &&
		x402_json_parse(x402_buf_span(&buf), NULL, NULL, &json))
		json = NULL;
	x402_buf_clear(&buf);
	return json;
}

/* tools/call, and with a payment its _meta. The id is a constant, so that the
 * same call is the same purchase. Takes payment. */
static char *call_body(
	const struct x402_client_mcp_call *asked, struct x402_json *payment)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *params = x402_json_new_object();
	struct x402_json *meta = payment ? x402_json_new_object() : NULL;
	bool ok = json && params &&
		!x402_json_set_string(json, "jsonrpc", "2.0") &&
		!x402_json_set_int(json, "id", CALL_ID) &&
		!x402_json_set_string(json, "method", "tools/call") &&
		!x402_json_set_string(params, "name", asked->tool);
	struct x402_json *arguments = asked->arguments
		? x402_json_ref(asked->arguments)
		: x402_json_new_object();
	if (x402_json_set_take(params, "arguments", arguments))
		ok = false;
	if (payment && x402_json_set_take(meta, META_PAYMENT, payment))
		ok = false;
	if (meta && x402_json_set_take(params, "_meta", meta))
		ok = false;
	if (x402_json_set_take(json, "params", params))
		ok = false;
	char *text = ok ? x402_json_dump(json) : NULL;
	x402_json_unref(json);
	return text;
}

/* ---- In. ---- */

static struct x402_json *parse_answer(struct x402_span text)
{
	struct x402_json_limits limits = {
		.max_bytes = X402_CLIENT_MCP_ANSWER_BYTES};
	struct x402_json *json = NULL;
	if (x402_json_parse(text, &limits, NULL, &json))
		return NULL;
	if (x402_json_has(json, "result") || x402_json_has(json, "error"))
		return json;
	x402_json_unref(json); /* a notification on the way */
	return NULL;
}

/* One event: its data lines, joined. NULL when it is no answer. */
static struct x402_json *parse_event(const char *event, size_t len)
{
	struct x402_buf data = {0};
	const char *end = event + len;
	while (event < end) {
		const char *stop = memchr(event, '\n', (size_t)(end - event));
		size_t line = stop ? (size_t)(stop - event)
				   : (size_t)(end - event);
		size_t cut = line && event[line - 1] == '\r' ? 1 : 0;
		if (line > 5 && strncmp(event, "data:", 5) == 0) {
			if (data.len)
				x402_buf_add_byte(&data, '\n');
			x402_buf_add(
				&data, x402_span(event + 5, line - 5 - cut));
		}
		event += stop ? line + 1 : line;
	}
	struct x402_json *json = data.len && !data.failed
		? parse_answer(x402_buf_span(&data))
		: NULL;
	x402_buf_clear(&data);
	return json;
}

/* The answer among the events of a stream that has ended. */
static struct x402_json *parse_stream(struct x402_span body)
{
	const char *at = (const char *)body.ptr;
	const char *end = at + body.len;
	struct x402_json *answer = NULL;
	while (!answer && at < end) {
		const char *blank = at;
		/* An event ends at an empty line, with LF or CRLF. */
		while (blank < end &&
			!(blank[0] == '\n' &&
				(blank + 1 == end || blank[1] == '\n' ||
					(blank[1] == '\r' && blank + 2 < end &&
						blank[2] == '\n'))))
			blank++;
		answer = parse_event(at, (size_t)(blank - at));
		at = blank < end ? blank + 1 : end;
	}
	return answer;
}

struct x402_json *x402__mcp_answer(struct x402_span body, bool stream)
{
	if (!body.len)
		return NULL;
	return stream ? parse_stream(body) : parse_answer(body);
}

static bool is_challenge(const struct x402_json *json)
{
	return x402_json_get(json, "x402Version") &&
		x402_json_type(x402_json_get(json, "accepts")) ==
		X402_JSON_ARRAY;
}

/* M-02: structuredContent, else the first text, else the error of old. */
static struct x402_json *find_challenge(const struct x402_json *answer)
{
	const struct x402_json *result = x402_json_get(answer, "result");
	const struct x402_json *error = x402_json_get(answer, "error");
	const struct x402_json *content = x402_json_get(
		result, "structuredContent");
	const struct x402_json *data = x402_json_get(error, "data");
	struct x402_json *parsed = NULL;
	bool is_error = false;
	int64_t code = 0;
	if (x402_json_int64(x402_json_get(error, "code"), &code) &&
		code == LEGACY_CODE && is_challenge(data))
		return x402_json_copy(data);
	if (!x402_json_bool(x402_json_get(result, "isError"), &is_error) ||
		!is_error)
		return NULL;
	if (is_challenge(content))
		return x402_json_copy(content);
	const char *text = x402_json_get_string(
		x402_json_at(x402_json_get(result, "content"), 0), "text");
	if (!text || x402_json_parse(x402_span_str(text), NULL, NULL, &parsed))
		return NULL;
	if (is_challenge(parsed))
		return parsed;
	x402_json_unref(parsed);
	return NULL;
}

/* M-06: the endpoint in place of mcp://tool/NAME. */
static bool place_resource(struct call *call, struct x402_json *challenge)
{
	const struct x402_json *resource = x402_json_get(challenge, "resource");
	const char *url = x402_json_get_string(resource, "url");
	x402_json_unref(call->resource);
	call->resource = resource ? x402_json_ref(resource) : NULL;
	if (!url || strncasecmp(url, MCP_SCHEME, strlen(MCP_SCHEME)) != 0)
		return true;
	struct x402_json *copy = x402_json_copy(resource);
	return copy && !x402_json_set_string(copy, "url", call->asked->url) &&
		!x402_json_set_take(challenge, "resource", copy);
}

static bool place_v1_resources(struct call *call, struct x402_json *challenge)
{
	const struct x402_json *accepts = x402_json_get(challenge, "accepts");
	struct x402_json *list = x402_json_new_array();
	bool ok = list != NULL;
	for (size_t i = 0; ok && i < x402_json_size(accepts); i++) {
		struct x402_json *offer = x402_json_copy(
			x402_json_at(accepts, i));
		const char *url = x402_json_get_string(offer, "resource");
		if (url && strncasecmp(url, MCP_SCHEME, 6) == 0)
			ok = !x402_json_set_string(
				offer, "resource", call->asked->url);
		if (x402_json_append_take(list, offer))
			ok = false;
	}
	return !x402_json_set_take(challenge, "accepts", list) && ok;
}

static bool tell(struct call *call, const char *name, char *value_taken)
{
	bool ok = value_taken &&
		!x402_client_headers_add(&call->told, name, value_taken);
	free(value_taken);
	return ok;
}

/* Takes challenge. */
static bool tell_challenge(struct call *call, struct x402_json *challenge,
	struct x402__message *message)
{
	int64_t version = 0;
	bool ok = true;
	(void)x402_json_int64(
		x402_json_get(challenge, "x402Version"), &version);
	message->status = 402;
	message->body = x402_span(NULL, 0);
	if (version == X402_V1) {
		ok = place_v1_resources(call, challenge);
		call->told_body = ok ? x402_json_dump(challenge) : NULL;
		message->body = x402_span_str(call->told_body);
		ok = call->told_body != NULL;
	} else {
		ok = place_resource(call, challenge) &&
			tell(call, X402_HEADER_PAYMENT_REQUIRED,
				to_base64(challenge));
	}
	x402_json_unref(challenge);
	return ok;
}

static bool tell_receipt(struct call *call, const struct x402_json *result)
{
	const struct x402_json *receipt = x402_json_get(
		x402_json_get(result, "_meta"), META_RESPONSE);
	bool v1 = call->transfer.flow.payment.header_name &&
		strcmp(call->transfer.flow.payment.header_name,
			X402_HEADER_X_PAYMENT) == 0;
	return !receipt ||
		tell(call,
			v1 ? X402_HEADER_X_PAYMENT_RESPONSE
			   : X402_HEADER_PAYMENT_RESPONSE,
			to_base64(receipt));
}

static bool is_stream(const struct x402__message *message)
{
	size_t count = 0;
	const char *type = x402__header_find(
		message->headers, message->headers_len, "Content-Type", &count);
	return type && strncasecmp(type, "text/event-stream", 17) == 0;
}

/* What the server has answered: in this message, or on its stream. */
static struct x402_json *find_answer(
	struct call *call, struct x402__message *message)
{
	if (!call->stream)
		return x402__mcp_answer(message->body, is_stream(message));
	message->status = 200;
	return x402__mcp_stream_answer(
		call->stream, CALL_ID, call->transfer.deadline_ms);
}

/* An HTTP status of its own is left as it is: 402 too may be the gate's. */
static void translate(void *user, struct x402__message *message)
{
	struct call *call = user;
	bool taken = call->stream && message->status >= 200 &&
		message->status <= 299;
	if (message->status != 200 && !taken)
		return;
	struct x402_json *answer = find_answer(call, message);
	const struct x402_json *result = x402_json_get(answer, "result");
	struct x402_json *challenge = answer ? find_challenge(answer) : NULL;
	x402__headers_clear(&call->told);
	free(call->told_body);
	call->told_body = NULL;
	bool ok = answer && tell_receipt(call, result);
	if (challenge)
		ok = tell_challenge(call, challenge, message) && ok;
	x402_json_unref(call->result);
	call->result = result && !challenge ? x402_json_ref(result) : NULL;
	x402__text_take(call->refusal, sizeof(call->refusal),
		x402_json_get_string(
			x402_json_get(answer, "error"), "message"));
	/* No answer, or an error of the protocol: nothing was delivered. */
	if (!ok || (!challenge && !result))
		message->status = 502;
	message->headers = call->told.items;
	message->headers_len = call->told.len;
	x402_json_unref(answer);
}

/* ---- Out. ---- */

/* The payment as an object, with the resource as the server wrote it. */
static struct x402_json *payment_of(const struct call *call)
{
	const struct x402__flow *flow = &call->transfer.flow;
	struct x402_json *payment = from_base64(flow->payment.header_text);
	if (payment && call->resource &&
		x402_json_set_take(
			payment, "resource", x402_json_ref(call->resource))) {
		x402_json_unref(payment);
		return NULL;
	}
	return payment;
}

static enum x402_err open_stream(
	struct x402_client *client, struct call *call, int64_t deadline_ms)
{
	struct x402__mcp_stream_options options = {.client = &client->options,
		.url = call->asked->url,
		.headers = call->asked->headers,
		.headers_len = call->asked->headers_len,
		.initialize = initialize,
		.initialized = initialized,
		.deadline_ms = deadline_ms};
	return x402__mcp_stream_new(&options, &call->stream);
}

/* A stream that broke took its session along: the same call in a new one. */
static enum x402_err renew_stream(struct call *call)
{
	struct x402__transfer *transfer = &call->transfer;
	if (!x402__mcp_stream_has_ended(call->stream))
		return X402_OK;
	struct x402__mcp_stream *old = call->stream;
	enum x402_err err = open_stream(
		transfer->client, call, transfer->deadline_ms);
	if (!err)
		x402__mcp_stream_free(old);
	return err;
}

static enum x402_err dress(void *user, struct x402__exchange *exchange)
{
	struct call *call = user;
	if (call->stream) {
		enum x402_err err = renew_stream(call);
		if (err)
			return err;
		curl_easy_setopt(exchange->curl, CURLOPT_URL,
			x402__mcp_stream_endpoint(call->stream));
	}
	if (!x402__flow_pays(exchange->flow))
		return X402_OK;
	struct x402_json *payment = payment_of(call);
	if (!payment)
		return X402_ERR_NOMEM;
	free(call->paid_body);
	call->paid_body = call_body(call->asked, payment);
	if (!call->paid_body ||
		!x402__exchange_list_unpaid(exchange, &call->list))
		return X402_ERR_NOMEM;
	curl_easy_setopt(exchange->curl, CURLOPT_POSTFIELDSIZE_LARGE,
		(curl_off_t)strlen(call->paid_body));
	curl_easy_setopt(exchange->curl, CURLOPT_POSTFIELDS, call->paid_body);
	curl_easy_setopt(exchange->curl, CURLOPT_HTTPHEADER, call->list);
	return X402_OK;
}

/* ---- The session. ---- */

static bool add_header(struct call *call, const char *name, const char *value)
{
	if (call->headers_len >= HEADERS_MAX)
		return false;
	call->headers[call->headers_len++] = (struct x402_client_header){
		name, value};
	return true;
}

static bool set_headers(struct call *call)
{
	bool ok = add_header(call, "Content-Type", "application/json") &&
		add_header(call, "Accept",
			"application/json, text/event-stream") &&
		add_header(call, "MCP-Protocol-Version", VERSION);
	for (size_t i = 0; ok && i < call->asked->headers_len; i++)
		ok = add_header(call, call->asked->headers[i].name,
			call->asked->headers[i].value);
	return ok;
}

/* One message that is never paid for. */
static enum x402_err post(struct x402_client *client, struct call *call,
	const char *body, struct x402_client_response *response)
{
	struct x402_client_request request = {.url = call->asked->url,
		.headers = call->headers,
		.headers_len = call->headers_len,
		.body = x402_span_str(body),
		.dry_run = true};
	return x402_client_fetch(client, &request, response);
}

/* What a server of the older transport says to a post at its stream. */
static bool may_be_stream(long status)
{
	return status == 400 || status == 404 || status == 405;
}

static enum x402_err refuse_session(
	struct x402_client_response *response, const char *text)
{
	x402_errinfo_set(&response->error, "url",
		"the server began no session (status %ld)%s", response->status,
		text);
	response->cause = X402_CLIENT_CAUSE_BAD_REQUEST;
	return X402_ERR_INVALID_ARGUMENT;
}

static enum x402_err begin_stream(struct x402_client *client, struct call *call,
	struct x402_client_response *response)
{
	enum x402_err err = open_stream(
		client, call, x402__now_ms() + client->options.timeout_ms);
	if (!err)
		return X402_OK;
	if (err == X402_ERR_POLICY)
		return refuse_session(
			response, ", and its stream names another origin");
	return refuse_session(response, "");
}

static enum x402_err begin_session(struct x402_client *client,
	struct call *call, struct x402_client_response *response)
{
	enum x402_err err = post(client, call, initialize, response);
	if (err)
		return err;
	if (may_be_stream(response->status))
		return begin_stream(client, call, response);
	const char *session = x402_client_response_header(
		response, "Mcp-Session-Id");
	if (response->status != 200 ||
		(session && strlen(session) > SESSION_MAX_BYTES))
		return refuse_session(response, "");
	call->session = session ? strdup(session) : NULL;
	if (session &&
		(!call->session ||
			!add_header(call, "Mcp-Session-Id", call->session)))
		return X402_ERR_NOMEM;
	struct x402_client_response told = X402_CLIENT_RESPONSE_INIT;
	err = post(client, call, initialized, &told);
	x402_client_response_clear(&told);
	return err;
}

static enum x402_err buy(struct x402_client *client, struct call *call,
	struct x402_client_response *response)
{
	struct x402_client_request request = {.url = call->asked->url,
		.headers = call->headers,
		.headers_len = call->headers_len,
		.body = x402_span_str(call->body),
		.purchase_id = call->asked->purchase_id,
		.once = call->asked->once,
		.dry_run = call->asked->dry_run};
	x402_client_response_clear(response);
	x402__transfer_init(&call->transfer, client, client->curl, NULL,
		&request, response);
	call->transfer.exchange.dress = dress;
	call->transfer.exchange.translate = translate;
	call->transfer.exchange.user = call;
	return x402__transfer_run(&call->transfer);
}

enum x402_err x402_client_mcp_call(struct x402_client *client,
	const struct x402_client_mcp_call *asked,
	struct x402_client_response *response, struct x402_json **ret_result)
{
	struct call *call = calloc(1, sizeof(*call));
	*ret_result = NULL;
	if (!call)
		return X402_ERR_NOMEM;
	call->asked = asked;
	call->body = call_body(asked, NULL);
	enum x402_err err = call->body && set_headers(call) ? X402_OK
							    : X402_ERR_NOMEM;
	if (!err)
		err = begin_session(client, call, response);
	if (!err)
		err = buy(client, call, response);
	if (!err && !call->result && !asked->dry_run &&
		response->cause == X402_CLIENT_CAUSE_NONE) {
		x402_errinfo_set(&response->error, "tool", "no result came: %s",
			call->refusal[0] ? call->refusal : "no answer");
		err = X402_ERR_SCHEMA;
	}
	*ret_result = call->result;
	x402__headers_clear(&call->told);
	curl_slist_free_all(call->list);
	x402__mcp_stream_free(call->stream);
	x402_json_unref(call->resource);
	free(call->told_body);
	free(call->session);
	free(call->body);
	free(call->paid_body);
	free(call);
	return err;
}
