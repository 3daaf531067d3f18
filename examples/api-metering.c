/*
 * api-metering.c: an API that charges for what it made. The buyer authorizes
 * up to a cent (scheme upto); each word of the answer costs a hundredth of it,
 * and what was not used is not taken. A prompt that yields nothing costs
 * nothing.
 *
 *   PAY_TO=0x... FACILITATOR_ADDRESS=0x... ./api-metering
 *   curl -d 'a short prompt' http://127.0.0.1:4022/words
 *   curl -N -d 'a short prompt' 'http://127.0.0.1:4022/stream?words=2'
 *
 * /stream says its words one by one. Its money moves before the first of them,
 * so it costs as many as were asked for, and says no more than those.
 *
 * FACILITATOR_ADDRESS is the one that the facilitator's /supported gives for
 * upto: no other can take the money. See site.h for the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "site.h"

#define MOST      "$0.01"
#define WORDS_MAX 100
/* In units of a millionth of a dollar, as USDC has them. */
#define WORD_PRICE  100UL
#define ANSWER_SIZE 4096

/* The model: says the prompt's words backwards, each with its number. */
static unsigned long generate(
	struct x402_span prompt, unsigned long most, char answer[ANSWER_SIZE])
{
	unsigned long words = 0;
	size_t at = prompt.len;
	size_t used = 0;

	answer[0] = '\0';
	while (at > 0 && words < most) {
		size_t end;
		int n;

		while (at > 0 && prompt.ptr[at - 1] <= ' ')
			at--;
		end = at;
		while (at > 0 && prompt.ptr[at - 1] > ' ')
			at--;
		if (end == at)
			break;
		n = snprintf(answer + used, ANSWER_SIZE - used, "%lu %.*s\n",
			words + 1, (int)(end - at),
			(const char *)prompt.ptr + at);
		if (n < 0 || (size_t)n >= ANSWER_SIZE - used)
			break;
		used += (size_t)n;
		words++;
	}
	answer[used] = '\0';
	return words;
}

static void serve_words(void *user, struct x402_uv_request *request)
{
	char answer[ANSWER_SIZE];
	char amount[32];
	unsigned long words;

	(void)user;
	if (strcmp(x402_uv_request_method(request), "POST") != 0) {
		site_reply(request, 405, "text/plain", "POST a prompt\n", NULL);
		return;
	}
	words = generate(x402_uv_request_body(request), WORDS_MAX, answer);
	snprintf(amount, sizeof(amount), "%lu", words * WORD_PRICE);
	site_reply(request, 200, "text/plain; charset=utf-8", answer, amount);
}

/* ---- The same, word by word. ---- */

/* So that one can watch it. */
#define WORD_MS       20
#define WORDS_DEFAULT 10UL

struct stream {
	uv_timer_t timer;
	struct x402_uv_request *request;
	char answer[ANSWER_SIZE];
	const char *at; /* the next line of it */
};

static void on_stream_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_word(uv_timer_t *timer)
{
	struct stream *stream = timer->data;
	size_t len = strcspn(stream->at, "\n");

	len += stream->at[len] == '\n';
	if (len > 0 &&
		x402_uv_stream_write(
			stream->request, x402_span(stream->at, len))) {
		stream->at += len;
		return;
	}
	/* All said, or nobody listens. */
	x402_uv_stream_end(stream->request);
	uv_close((uv_handle_t *)timer, on_stream_closed);
}

/* The money has moved; NULL: it has not, and nobody gets a word. */
static void on_open(void *user, struct x402_uv_request *request)
{
	struct stream *stream = user;

	if (!request) {
		free(stream);
		return;
	}
	stream->request = request;
	stream->timer.data = stream;
	uv_timer_init(x402_uv_request_loop(request), &stream->timer);
	uv_timer_start(&stream->timer, on_word, 0, WORD_MS);
}

/* "words=N" of the query, from 1 to WORDS_MAX. */
static unsigned long asked_words(const struct x402_uv_request *request)
{
	const char *query = x402_uv_request_query(request);
	unsigned long words = strncmp(query, "words=", 6) == 0
		? strtoul(query + 6, NULL, 10)
		: WORDS_DEFAULT;

	return words < 1 || words > WORDS_MAX ? WORDS_MAX : words;
}

static void serve_stream(void *user, struct x402_uv_request *request)
{
	unsigned long words = asked_words(request);
	char override[64];
	const struct x402_gate_header headers[] = {
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Settlement-Overrides", override}};
	const struct x402_uv_response head = {
		.status = 200, .headers = headers, .headers_len = 2};
	struct stream *stream;

	(void)user;
	if (strcmp(x402_uv_request_method(request), "POST") != 0) {
		site_reply(request, 405, "text/plain", "POST a prompt\n", NULL);
		return;
	}
	stream = calloc(1, sizeof(*stream));
	if (!stream) {
		site_reply(request, 500, "text/plain", "out of memory\n", NULL);
		return;
	}
	(void)generate(x402_uv_request_body(request), words, stream->answer);
	stream->at = stream->answer;
	snprintf(override, sizeof(override), "{\"amount\":\"%lu\"}",
		words * WORD_PRICE);
	x402_uv_reply_stream(request, &head, on_open, stream);
}

int main(void)
{
	const char *facilitator = site_env("FACILITATOR_ADDRESS", NULL);
	struct site_config config;
	char extra[128];
	struct x402_provider_price price;
	struct x402_provider_route routes[2];
	struct x402_provider_options options = {
		.routes = routes, .routes_len = 2};
	const struct x402_uv_handler handlers[] = {
		{serve_words, NULL}, {serve_stream, NULL}};

	if (!site_config_read(&config) || !facilitator) {
		fprintf(stderr,
			"api-metering: expected PAY_TO and "
			"FACILITATOR_ADDRESS\n");
		return 2;
	}
	snprintf(extra, sizeof(extra), "{\"facilitatorAddress\":\"%.42s\"}",
		facilitator);
	price = (struct x402_provider_price){.scheme = "upto",
		.network = config.network,
		.pay_to = config.pay_to,
		.price = MOST,
		.extra_json = extra};
	routes[0] = (struct x402_provider_route){.pattern = "POST /words",
		.prices = &price,
		.prices_len = 1,
		.description = "Words, a hundredth of a cent each"};
	routes[1] = routes[0];
	routes[1].pattern = "POST /stream";
	return site_run("api-metering", &options, handlers);
}
