/*
 * microhttpd.c: the gate inside libmicrohttpd.
 *
 * A request passes through here so:
 *   on_uri()                  notes the target as it was sent: what the access
 *                             handler gets is decoded already (x402 P-113)
 *   x402_microhttpd_access()  first call: begin() at once when there is a
 *                             body but no payment, so that it is never read;
 *                             then the body is gathered; then begin() and
 *   decide()                  the loop of provider.h, with ask() on libcurl
 *   on_completed()            frees the request
 *
 * Targets live in a holder for each connection, because libmicrohttpd does
 * not report the end of a request whose access handler never ran.
 */
#include "x402/provider_microhttpd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "curl_ask_p.h"

/* Idle libcurl handles, each with its kept connection. */
#define POOL_MAX         64
#define BODY_MAX_DEFAULT ((size_t)256 * 1024)

struct x402_microhttpd {
	struct x402_microhttpd_config config;
	struct MHD_OptionItem options[4];
	pthread_mutex_t lock; /* pool */
	CURL *pool[POOL_MAX];
	size_t pool_len;
};

/* One connection: its current request target. */
struct holder {
	char *target;
};

/* One request. */
struct request {
	struct x402_microhttpd *adapter;
	struct MHD_Connection *connection;
	struct x402_gate *gate;
	struct x402_gate_decision decision;
	bool begun;
	bool too_large;
	bool amount_said; /* by the handler, P-142 */
	char amount[X402_PROVIDER_PRICE_SIZE];
	struct x402_buf body;
};

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- What libmicrohttpd tells about connections. ---- */

static struct holder *holder_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static void on_connection(void *cls, struct MHD_Connection *connection,
	void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	struct holder *holder = *socket_context;

	(void)cls;
	(void)connection;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*socket_context = calloc(1, sizeof(struct holder));
	} else if (holder) {
		free(holder->target);
		free(holder);
		*socket_context = NULL;
	}
}

static void *on_uri(
	void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct holder *holder = holder_of(connection);

	(void)cls;
	if (holder) {
		free(holder->target);
		holder->target = strdup(uri);
	}
	return NULL; /* what *request_state begins with */
}

static void on_completed(void *cls, struct MHD_Connection *connection,
	void **request_state, enum MHD_RequestTerminationCode code)
{
	struct request *request = *request_state;

	(void)cls;
	(void)connection;
	(void)code;
	if (!request)
		return;
	x402_gate_free(request->gate);
	x402_buf_clear(&request->body);
	free(request);
	*request_state = NULL;
}

/* ---- Headers. ---- */

struct nth {
	const char *name;
	size_t index;
	struct x402_span value;
	bool found;
};

static enum MHD_Result on_value(void *cls, enum MHD_ValueKind kind,
	const char *key, size_t key_size, const char *value, size_t value_size)
{
	struct nth *nth = cls;

	(void)kind;
	if (key_size != strlen(nth->name) ||
		strncasecmp(key, nth->name, key_size) != 0)
		return MHD_YES;
	if (nth->index-- > 0)
		return MHD_YES;
	nth->found = true;
	nth->value = x402_span(value, value ? value_size : 0);
	return MHD_NO;
}

static bool nth_header(
	void *user, const char *name, size_t index, struct x402_span *ret_value)
{
	struct nth nth = {.name = name, .index = index};

	MHD_get_connection_values_n(user, MHD_HEADER_KIND, on_value, &nth);
	if (nth.found)
		*ret_value = nth.value;
	return nth.found;
}

static bool has_payment(struct MHD_Connection *connection)
{
	struct x402_span value;

	return nth_header(
		       connection, X402_HEADER_PAYMENT_SIGNATURE, 0, &value) ||
		nth_header(connection, X402_HEADER_X_PAYMENT, 0, &value) ||
		nth_header(connection, X402_HEADER_X_PAYMENT_PROOF, 0, &value);
}

/* libmicrohttpd closes a connection that is answered before its body, so this
 * is done only where there is one. */
static bool has_body(struct MHD_Connection *connection)
{
	struct x402_span value;

	if (nth_header(connection, "Transfer-Encoding", 0, &value))
		return true;
	return nth_header(connection, "Content-Length", 0, &value) &&
		!(value.len == 1 && value.ptr[0] == '0');
}

/* ---- The facilitator. ---- */

static CURL *take_handle(struct x402_microhttpd *adapter)
{
	CURL *easy = NULL;

	pthread_mutex_lock(&adapter->lock);
	if (adapter->pool_len > 0)
		easy = adapter->pool[--adapter->pool_len];
	pthread_mutex_unlock(&adapter->lock);
	return easy ? easy : curl_easy_init();
}

static void give_handle(struct x402_microhttpd *adapter, CURL *easy)
{
	pthread_mutex_lock(&adapter->lock);
	if (adapter->pool_len < POOL_MAX) {
		adapter->pool[adapter->pool_len++] = easy;
		easy = NULL;
	}
	pthread_mutex_unlock(&adapter->lock);
	curl_easy_cleanup(easy);
}

static void ask(struct request *request)
{
	struct x402_gate_facilitator_answer answer = {
		.transport = X402_ERR_NOMEM, .unsent = true};
	struct x402__curl_ask transfer = {0};
	CURL *easy = take_handle(request->adapter);

	if (easy) {
		enum x402_err err = x402__curl_ask_init(
			easy, &request->decision.ask, &transfer);

		if (err == X402_OK)
			x402__curl_ask_answer(&transfer,
				curl_easy_perform(easy), now_s(), &answer);
		else
			answer.transport = err;
	}
	x402_gate_on_facilitator(request->gate, &answer, &request->decision);
	x402__curl_ask_clear(&transfer);
	if (easy)
		give_handle(request->adapter, easy);
}

/* ---- Responses. ---- */

struct search {
	const char *name; /* NULL: any of the gate's own */
	const char *found_name;
	const char *found_value;
};

static enum MHD_Result on_response_header(
	void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct search *search = cls;
	bool hit = search->name ? strcasecmp(key, search->name) == 0
				: x402_gate_header_is_ours(key);

	(void)kind;
	if (!hit)
		return MHD_YES;
	search->found_name = key;
	search->found_value = value;
	return MHD_NO;
}

/* Remove every header of that name, or all that are the gate's (P-143). */
static void drop_headers(struct MHD_Response *response, const char *name)
{
	for (;;) {
		struct search search = {.name = name};

		MHD_get_response_headers(response, on_response_header, &search);
		if (!search.found_name ||
			MHD_del_response_header(response, search.found_name,
				search.found_value) != MHD_YES)
			return;
	}
}

static bool add_headers(struct MHD_Response *response,
	const struct x402_gate_decision *decision)
{
	for (size_t i = 0; i < decision->headers_len; i++) {
		const struct x402_gate_header *header = &decision->headers[i];

		if (!x402_gate_header_adds_up(header->name))
			drop_headers(response, header->name);
		if (MHD_add_response_header(
			    response, header->name, header->value) != MHD_YES)
			return false;
	}
	return true;
}

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status,
	struct MHD_Response *response)
{
	enum MHD_Result result = MHD_queue_response(
		connection, status, response);

	MHD_destroy_response(response);
	return result;
}

/* The gate's own answer. MHD_NO closes the connection. */
static enum MHD_Result send_answer(struct request *request)
{
	const struct x402_gate_decision *decision = &request->decision;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		decision->body.len, (void *)(uintptr_t)decision->body.ptr,
		MHD_RESPMEM_MUST_COPY);

	if (!response)
		return MHD_NO;
	if (!add_headers(response, decision)) {
		MHD_destroy_response(response);
		return MHD_NO;
	}
	return queue(request->connection, decision->status, response);
}

static unsigned run_handler(struct request *request, const char *path,
	const char *method, struct MHD_Response **ret_response)
{
	const struct x402_microhttpd_config *config = &request->adapter->config;
	struct x402_microhttpd_request view = {
		.connection = request->connection,
		.path = path,
		.method = method,
		.body = x402_buf_span(&request->body),
		.gate = request->gate,
	};
	const char *override = NULL;
	unsigned status;

	*ret_response = NULL;
	status = config->handler(config->user, &view, ret_response);
	if (*ret_response)
		override = MHD_get_response_header(
			*ret_response, "Settlement-Overrides");
	if (override) {
		x402_gate_read_override(override, request->amount);
		request->amount_said = true;
	}
	if (status && *ret_response)
		drop_headers(*ret_response, NULL);
	return *ret_response ? status : 0;
}

static enum MHD_Result deliver(
	struct request *request, unsigned status, struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!add_headers(response, &request->decision)) {
		MHD_destroy_response(response);
		return MHD_NO;
	}
	result = queue(request->connection, status, response);
	if (result == MHD_YES)
		x402_gate_delivered(request->gate);
	return result;
}

static enum MHD_Result pass(
	struct request *request, const char *url, const char *method)
{
	/* What is sold is served by the path that was matched. */
	bool sold = x402_gate_access_of(request->gate) != X402_GATE_ACCESS_FREE;
	struct MHD_Response *response;
	unsigned status = run_handler(request,
		sold ? x402_gate_path(request->gate) : url, method, &response);

	if (status && add_headers(response, &request->decision))
		return queue(request->connection, status, response);
	if (response)
		MHD_destroy_response(response);
	response = MHD_create_response_from_buffer(
		0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
	return response ? queue(request->connection, 500, response) : MHD_NO;
}

static enum MHD_Result run_paid(struct request *request, const char *method,
	struct MHD_Response **response, unsigned *status)
{
	struct x402_gate_handler_result result = {0};

	*status = run_handler(
		request, x402_gate_path(request->gate), method, response);
	result.status = *status;
	result.now_unix_s = now_s();
	if (*response)
		result.cache_control = MHD_get_response_header(
			*response, "Cache-Control");
	if (request->amount_said)
		result.amount = request->amount;
	x402_gate_on_handler(request->gate, &result, &request->decision);
	return MHD_YES;
}

/* The whole of provider.h's loop, from the first decision to the last. */
static enum MHD_Result decide(
	struct request *request, const char *url, const char *method)
{
	struct MHD_Response *response = NULL;
	unsigned status = 0;

	for (;;) {
		switch (request->decision.action) {
		case X402_GATE_PASS:
			return pass(request, url, method);
		case X402_GATE_ASK:
			ask(request);
			continue;
		case X402_GATE_RUN_HANDLER:
			run_paid(request, method, &response, &status);
			continue;
		case X402_GATE_DELIVER:
			return deliver(request, status, response);
		case X402_GATE_ANSWER:
		case X402_GATE_WITHHOLD:
			break;
		}
		if (response)
			MHD_destroy_response(response);
		return send_answer(request);
	}
}

/* ---- Requests. ---- */

/* NULL on a socket file. */
static const char *peer_of(
	struct MHD_Connection *connection, char text[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	const void *ip = NULL;

	if (address && address->sa_family == AF_INET)
		ip = &((const struct sockaddr_in *)(const void *)address)
			      ->sin_addr;
	if (address && address->sa_family == AF_INET6)
		ip = &((const struct sockaddr_in6 *)(const void *)address)
			      ->sin6_addr;
	return ip ? inet_ntop(address->sa_family, ip, text, INET6_ADDRSTRLEN)
		  : NULL;
}

static void begin(struct request *request, const char *method)
{
	struct holder *holder = holder_of(request->connection);
	char peer[INET6_ADDRSTRLEN];
	struct x402_gate_request view = {
		.method = method,
		.target = x402_span_str(holder ? holder->target : NULL),
		.header = nth_header,
		.header_user = request->connection,
		.body = x402_buf_span(&request->body),
		.now_unix_s = now_s(),
		.peer = peer_of(request->connection, peer),
	};

	request->begun = true;
	x402_gate_begin(request->gate, &view, &request->decision);
}

static enum MHD_Result send_status(
	struct MHD_Connection *connection, unsigned status, const char *body)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(body), (void *)(uintptr_t)body, MHD_RESPMEM_PERSISTENT);

	if (!response)
		return MHD_NO;
	(void)MHD_add_response_header(
		response, "Content-Type", "application/json");
	return queue(connection, status, response);
}

static enum MHD_Result first_call(struct x402_microhttpd *adapter,
	struct MHD_Connection *connection, const char *method,
	void **request_state)
{
	struct holder *holder = holder_of(connection);
	struct request *request;

	if (!holder || !holder->target)
		return send_status(connection, 500,
			"{\"error\":\"x402_microhttpd_options are not set\"}");
	request = calloc(1, sizeof(*request));
	if (!request)
		return MHD_NO;
	request->adapter = adapter;
	request->connection = connection;
	*request_state = request;
	if (x402_gate_new(adapter->config.provider, &request->gate) != X402_OK)
		return MHD_NO;
	if (has_payment(connection) || !has_body(connection) ||
		x402_provider_prices_body(adapter->config.provider, method,
			x402_span_str(holder->target)))
		return MHD_YES;
	begin(request, method);
	/* Say no before a body is sent. What may yet be a yes, once a balance
	 * or a key was asked for, waits for the body as a handler does. */
	return request->decision.action == X402_GATE_ANSWER
		? send_answer(request)
		: MHD_YES;
}

enum MHD_Result x402_microhttpd_access(void *adapter_cls,
	struct MHD_Connection *connection, const char *url, const char *method,
	const char *version, const char *upload_data, size_t *upload_data_size,
	void **request_state)
{
	struct x402_microhttpd *adapter = adapter_cls;
	struct request *request = *request_state;

	(void)version;
	if (!request)
		return first_call(adapter, connection, method, request_state);
	if (*upload_data_size > 0) {
		/* libmicrohttpd takes no answer in the middle of a body: what
		 * is too much is read and dropped. */
		if (request->body.len + *upload_data_size >
			adapter->config.body_max)
			request->too_large = true;
		else
			x402_buf_add(&request->body,
				x402_span(upload_data, *upload_data_size));
		*upload_data_size = 0;
		return request->body.failed ? MHD_NO : MHD_YES;
	}
	if (request->too_large)
		return send_status(connection, 413,
			"{\"error\":\"the request body is too large\"}");
	if (!request->begun)
		begin(request, method);
	return decide(request, url, method);
}

/* ---- The adapter. ---- */

/* MHD_OptionItem holds callbacks as numbers. */
#define CALLBACK(function) ((intptr_t)(function))

enum x402_err x402_microhttpd_new(const struct x402_microhttpd_config *config,
	struct x402_microhttpd **ret_adapter)
{
	struct x402_microhttpd *adapter;

	if (!config->provider || !config->handler)
		return X402_ERR_INVALID_ARGUMENT;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return X402_ERR_INTERNAL;
	adapter = calloc(1, sizeof(*adapter));
	if (!adapter || pthread_mutex_init(&adapter->lock, NULL) != 0) {
		free(adapter);
		curl_global_cleanup();
		return X402_ERR_NOMEM;
	}
	adapter->config = *config;
	if (adapter->config.body_max == 0)
		adapter->config.body_max = BODY_MAX_DEFAULT;
	adapter->options[0] = (struct MHD_OptionItem){
		MHD_OPTION_URI_LOG_CALLBACK, CALLBACK(on_uri), adapter};
	adapter->options[1] = (struct MHD_OptionItem){
		MHD_OPTION_NOTIFY_CONNECTION, CALLBACK(on_connection), adapter};
	adapter->options[2] = (struct MHD_OptionItem){
		MHD_OPTION_NOTIFY_COMPLETED, CALLBACK(on_completed), adapter};
	adapter->options[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	*ret_adapter = adapter;
	return X402_OK;
}

void x402_microhttpd_free(struct x402_microhttpd *adapter)
{
	if (!adapter)
		return;
	while (adapter->pool_len > 0)
		curl_easy_cleanup(adapter->pool[--adapter->pool_len]);
	pthread_mutex_destroy(&adapter->lock);
	free(adapter);
	curl_global_cleanup();
}

struct MHD_OptionItem *x402_microhttpd_options(struct x402_microhttpd *adapter)
{
	return adapter->options;
}
