/*
 * ask_p.h: small JSON questions to a node or a facilitator, private. One at a
 * time and waiting (x402__ask), or on a libcurl multi (begin, end). Neither
 * decides anything: an answer is JSON or it is none.
 */
#ifndef X402_CLIENT_ASK_P_H
#define X402_CLIENT_ASK_P_H

#include <curl/curl.h>

#include "x402/json.h"

struct x402__breaker;

/* A question that is under way. */
struct x402__ask {
	CURL *curl;                    /* owned; runs between begin and end */
	struct x402__breaker *breaker; /* borrowed, the client's */
	struct curl_slist *headers;
	char *body; /* owned; NULL: GET */
	struct x402_buf answer;
	char origin[272]; /* one circuit for all that is asked there */
};

/*
 * Make the handle ready to run. body_taken NULL: GET; freed on failure too.
 * NETWORK when the circuit of that origin is open: who fails three times in a
 * row is not asked for half a minute. NOMEM. Clear after success only.
 */
X402_MUST_USE enum x402_err x402__ask_begin(struct x402__breaker *breaker,
	const char *url, char *body_taken, struct x402__ask *ret_ask);
/*
 * The handle has run. NETWORK for anything but a 200 with JSON in it,
 * NOT_FOUND for a 404.
 */
X402_MUST_USE enum x402_err x402__ask_end(
	struct x402__ask *ask, CURLcode code, struct x402_json **ret_json);
/* The handle must have left its multi. */
void x402__ask_clear(struct x402__ask *ask);

/* All of it, waiting up to ten seconds; body is borrowed. */
struct x402__asker {
	CURL *curl; /* kept for its connection; NULL: none yet */
	struct x402__breaker *breaker;
};
X402_MUST_USE enum x402_err x402__asker_init(
	struct x402__breaker *breaker, struct x402__asker *ret_asker);
void x402__asker_clear(struct x402__asker *asker);
X402_MUST_USE enum x402_err x402__ask(struct x402__asker *asker,
	const char *url, const char *body, struct x402_json **ret_json);

/* The result with this id in a batch, whatever its order; NULL: none. */
const struct x402_json *x402__ask_result(
	const struct x402_json *answers, int64_t id);
/* "0x..." to 64 bits; block numbers, times and places fit. NULL: false. */
X402_MUST_USE bool x402__ask_quantity(const char *text, uint64_t *ret_value);

#endif
