/*
 * curl_ask_p.h: one ASK of the gate as a libcurl transfer, for both adapters.
 * Not for: performing it; that differs (easy in microhttpd.c, multi in uv/).
 * Thread rule: one transfer belongs to one thread.
 */
#ifndef X402_PROVIDER_CURL_ASK_P_H
#define X402_PROVIDER_CURL_ASK_P_H

#include <curl/curl.h>

#include "x402/provider.h"

struct x402__curl_ask {
	CURL *easy; /* borrowed */
	struct curl_slist *headers;
	struct x402_buf body;
	char *location;
	bool too_large;
};

/*
 * Set an easy handle up for the question. The handle and the gate's strings
 * must outlive the transfer. NOMEM, UNSUPPORTED (libcurl without HTTP). Clear
 * in any case.
 */
X402_MUST_USE enum x402_err x402__curl_ask_init(CURL *easy,
	const struct x402_gate_ask *question, struct x402__curl_ask *ret_ask);
/* What came of it, for x402_gate_on_facilitator; borrows from ask. */
void x402__curl_ask_answer(const struct x402__curl_ask *ask, CURLcode code,
	uint64_t now_unix_s, struct x402_gate_facilitator_answer *ret_answer);
/* Leaves the handle clean, with its connections. */
void x402__curl_ask_clear(struct x402__curl_ask *ask);

#endif
