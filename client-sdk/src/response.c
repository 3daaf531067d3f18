/*
 * response.c: what a caller holds after a call, and the names of outcomes and
 * causes, generated from the table in client.h.
 */
#include "headers_p.h"

#include <stdlib.h>

void x402_client_response_clear(struct x402_client_response *response)
{
	if (!response)
		return;
	struct x402_client_headers headers = {
		.items = response->headers, .len = response->headers_len};
	x402__headers_clear(&headers);
	x402_buf_clear(&response->body);
	free(response->url);
	free(response->payment.header_text);
	free(response->payment.settle_response_json);
	x402_json_unref(response->challenge);
	*response = (struct x402_client_response)X402_CLIENT_RESPONSE_INIT;
}

const char *x402_client_response_header(
	const struct x402_client_response *response, const char *name)
{
	return x402__header_find(
		response->headers, response->headers_len, name, NULL);
}

const char *x402_client_outcome_name(enum x402_client_outcome outcome)
{
	switch (outcome) {
	case X402_CLIENT_OUTCOME_NONE:
		return "none";
	case X402_CLIENT_OUTCOME_PAID:
		return "paid";
	case X402_CLIENT_OUTCOME_REFUSED:
		return "refused";
	case X402_CLIENT_OUTCOME_PENDING:
		return "pending";
	case X402_CLIENT_OUTCOME_UNKNOWN:
		return "unknown";
	}
	return "unknown";
}

const char *x402_client_receipt_name(enum x402_client_receipt receipt)
{
	switch (receipt) {
	case X402_CLIENT_RECEIPT_NONE:
		return "none";
	case X402_CLIENT_RECEIPT_FITS:
		return "fits";
	case X402_CLIENT_RECEIPT_MALFORMED:
		return "malformed";
	case X402_CLIENT_RECEIPT_CONTRADICTS:
		return "contradicts";
	}
	return "none";
}

static const struct {
	const char *name;
	const char *text;
} causes[] = {
#define X402__CAUSE_ROW(code, name, err, text) {name, text},
	X402_CLIENT_CAUSE_MAP(X402__CAUSE_ROW)
#undef X402__CAUSE_ROW
};

static size_t row(enum x402_client_cause cause)
{
	return (size_t)cause < X402_CLIENT_CAUSE_COUNT
		? (size_t)cause
		: X402_CLIENT_CAUSE_INTERNAL;
}

const char *x402_client_cause_name(enum x402_client_cause cause)
{
	return causes[row(cause)].name;
}

const char *x402_client_cause_text(enum x402_client_cause cause)
{
	return causes[row(cause)].text;
}
