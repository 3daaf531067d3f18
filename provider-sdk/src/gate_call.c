/*
 * gate_call.c: reads of a chain, as ASKs to an endpoint that the operator has
 * named: eth_call at the latest block, and the one word that comes back.
 */
#include "gate_p.h"

#include "x402/abi.h"

bool x402__gate_ask_call(struct x402_gate *gate, const char *url,
	const struct x402_address *to, struct x402_buf *calldata,
	uint32_t timeout_ms, struct x402_gate_decision *ret_decision)
{
	struct x402_gate_ask *ask = &ret_decision->ask;
	struct x402_buf body = {0};
	char to_text[X402_ADDRESS_TEXT_SIZE];
	const char *text;

	x402__gate_start(gate, X402_GATE_ASK, ret_decision);
	x402_address_format(to, to_text);
	x402_buf_printf(&body,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%s\",\"data\":\"",
		to_text);
	x402_hex_encode_0x(x402_buf_span(calldata), &body);
	x402_buf_add_str(&body, "\"},\"latest\"]}");
	body.failed = body.failed || calldata->failed;
	x402_buf_clear(calldata);
	text = x402__gate_keep(gate, x402_buf_take_str(&body));
	if (!text)
		return false;
	ask->method = "POST";
	ask->url = url;
	ask->body = x402_span_str(text);
	ask->timeout_ms = timeout_ms;
	ask->headers[ask->headers_len++] = (struct x402_gate_header){
		"Content-Type", "application/json"};
	return true;
}

bool x402__gate_read_call(const struct x402_gate_facilitator_answer *answer,
	uint8_t ret_word32[32])
{
	struct x402_json *json = NULL;
	bool good;

	if (answer->transport != X402_OK || answer->status != 200 ||
		x402_json_parse(answer->body, NULL, NULL, &json) != X402_OK)
		return false;
	good = x402_hex_decode_fixed(x402_json_get_string(json, "result"),
		       ret_word32, 32) == X402_OK;
	x402_json_unref(json);
	return good;
}
