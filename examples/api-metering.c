/*
 * api-metering.c: an API that charges for what it made. The buyer authorizes
 * up to a cent (scheme upto); each word of the answer costs a hundredth of it,
 * and what was not used is not taken. A prompt that yields nothing costs
 * nothing.
 *
 *   PAY_TO=0x... FACILITATOR_ADDRESS=0x... ./api-metering
 *   curl -d 'a short prompt' http://127.0.0.1:4022/words
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
static unsigned long generate(struct x402_span prompt, char answer[ANSWER_SIZE])
{
	unsigned long words = 0;
	size_t at = prompt.len;
	size_t used = 0;

	answer[0] = '\0';
	while (at > 0 && words < WORDS_MAX) {
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
	words = generate(x402_uv_request_body(request), answer);
	snprintf(amount, sizeof(amount), "%lu", words * WORD_PRICE);
	site_reply(request, 200, "text/plain; charset=utf-8", answer, amount);
}

int main(void)
{
	const char *facilitator = site_env("FACILITATOR_ADDRESS", NULL);
	struct site_config config;
	char extra[128];
	struct x402_provider_price price;
	struct x402_provider_route route;
	struct x402_provider_options options = {
		.routes = &route, .routes_len = 1};
	const struct x402_uv_handler handler = {serve_words, NULL};

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
	route = (struct x402_provider_route){.pattern = "POST /words",
		.prices = &price,
		.prices_len = 1,
		.description = "Words, a hundredth of a cent each"};
	return site_run("api-metering", &options, &handler);
}
