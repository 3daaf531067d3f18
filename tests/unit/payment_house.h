/*
 * JSON texts and objects that the protocol tests share. Texts are written
 * with ' for " so that they can be read.
 */
#ifndef PAYMENT_HOUSE_H
#define PAYMENT_HOUSE_H

#include "cmocka_house.h"
#include "x402/payment.h"

#define PAYEE "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
#define USDC  "0x036CbD53842c5426634e7929541eC2318f3dCF7e"

/* An offer of 0.001 dollars on Base Sepolia, without its braces. */
#define OFFER_V2                                                          \
	"'scheme':'exact','network':'eip155:84532','amount':'1000',"      \
	"'asset':'" USDC "','payTo':'" PAYEE "','maxTimeoutSeconds':300," \
	"'extra':{'name':'USDC','version':'2'}"
#define OFFER_V1                                                      \
	"'scheme':'exact','network':'base-sepolia',"                  \
	"'maxAmountRequired':'1000','resource':'http://a.example/x'," \
	"'description':'','mimeType':'','payTo':'" PAYEE              \
	"','maxTimeoutSeconds':300,'asset':'" USDC                    \
	"','extra':{'name':'USDC','version':'2'}"

static inline char *double_quoted(const char *text)
{
	char *copy = strdup(text);

	assert_non_null(copy);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	return copy;
}

static inline struct x402_json *json_of(const char *text)
{
	char *copy = double_quoted(text);
	struct x402_json *json = NULL;
	struct x402_errinfo info = {"", ""};
	enum x402_err err = x402_json_parse(
		x402_span_str(copy), NULL, &info, &json);

	if (err)
		fail_msg("%s: %s", copy, info.text);
	free(copy);
	return json;
}

/* Consumes json. */
static inline void assert_json_take(
	struct x402_json *json, const char *expected)
{
	char *want = double_quoted(expected);
	char *got = x402_json_dump(json);

	assert_string_equal(got, want);
	free(want);
	free(got);
	x402_json_unref(json);
}

#endif
