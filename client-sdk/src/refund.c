/*
 * refund.c: x402_client_refund().
 *
 *   1. read_options    what was asked for, and who we are
 *   2. ask_receipt     the payment, its chain and how deep it lies: which
 *                      transfer is meant is refund_read.c's to say
 *   3. ask_token       has it been given back already? and the token's names
 *   4. give_back       the flow that buys URLs, with a facilitator for a shop:
 *                      in:  its /supported becomes a 402 whose only offer is
 *                           ours; the answer of /settle becomes a receipt
 *                      out: the payment becomes the body of POST /settle
 *
 * So limits, budgets, journal, signer and what is done about lost replies are
 * those of every payment. What is refund's own is the nonce: the contract
 * takes each one once, so whatever goes wrong before, between or beside us,
 * the payment is given back once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "ask_p.h"
#include "client_p.h"
#include "operate_p.h"
#include "refund_p.h"
#include "transfer_p.h"
#include "x402/abi.h"
#include "x402/codec.h"
#include "x402/encoding.h"

/* How long the authorization lives, at most: a facilitator may be slow, and
 * until then nobody knows. */
#define VALIDITY_S 600
/* A base URL, and the longest path of ours. */
#define URL_MAX_BYTES 2048
#define PATH_ROOM     32
/* A node may be a block behind the one that the facilitator asks. */
#define SHOWN_TRIES 3
/* A facilitator asks for one or two. */
#define HEADERS_MAX 32

struct refund {
	struct x402_client *client;
	const struct x402_client_refund_options *options;
	struct x402_client_refunded *refunded;
	struct x402__asker asker;
	struct x402__refund_ask ask;
	struct x402__refund_transfer transfer;
	uint64_t chain_id;
	uint8_t nonce32[32];
	struct x402_u256 amount;
	char name[X402__REFUND_NAME_SIZE];
	char version[X402__REFUND_NAME_SIZE];
	char settle_url[URL_MAX_BYTES];
	char supported_url[URL_MAX_BYTES];
	struct x402__http_url shown; /* settle_url, without its userinfo */
	char tag[112];               /* the purchase's name */
	/* ---- The flow. ---- */
	struct x402__transfer *sending;
	bool serves;  /* the facilitator does this network */
	bool unshown; /* it says settled, and the chain does not */
	struct x402_client_headers told;
	struct curl_slist *list;
	char *body;
};

static enum x402_err fail(
	struct refund *refund, enum x402_err err, const char *text)
{
	snprintf(refund->refunded->text, sizeof(refund->refunded->text), "%s",
		text);
	return err;
}

/* ---- 1. What was asked for. ---- */

static enum x402_err read_hash(struct refund *refund)
{
	const char *text = refund->options->transaction;
	uint8_t signature64[64];
	struct x402_buf hex = {0};
	if (text && !x402_base58_decode(text, signature64, sizeof(signature64)))
		return fail(refund, X402_ERR_UNSUPPORTED,
			"not on Solana: a token transfer there has no number "
			"that would keep it from being sent twice");
	if (!text || x402_hex_decode_fixed(text, refund->ask.hash32, 32))
		return fail(refund, X402_ERR_INVALID_ARGUMENT,
			"expected the hash of a transaction, 0x and 64 digits");
	/* In one spelling: it is a part of the purchase's name. */
	x402_hex_encode_0x(x402_span(refund->ask.hash32, 32), &hex);
	char *lower = x402_buf_take_str(&hex);
	if (!lower)
		return fail(refund, X402_ERR_NOMEM, "out of memory");
	snprintf(refund->refunded->of, sizeof(refund->refunded->of), "%s",
		lower);
	free(lower);
	return X402_OK;
}

/* It decides whom the money goes to: nobody in the middle may answer for it. */
static enum x402_err judge_rpc(struct refund *refund)
{
	struct x402__http_url url = {0};
	if (!refund->options->rpc_url ||
		x402__http_url_parse(refund->options->rpc_url, &url))
		return fail(refund, X402_ERR_INVALID_ARGUMENT,
			"expected the URL of a node of the payment's chain");
	bool ok = refund->client->options.allow_http || url.secure ||
		x402__http_url_is_loopback(&url);
	x402__http_url_clear(&url);
	return ok
		? X402_OK
		: fail(refund, X402_ERR_INVALID_ARGUMENT,
			  "the node says whom the money goes to, and is "
			  "asked over plain HTTP: use https, or --allow-http");
}

static enum x402_err read_options(struct refund *refund)
{
	const struct x402_client_refund_options *options = refund->options;
	const char *base = options->facilitator_url;
	size_t len = base ? strlen(base) : 0;
	enum x402_err err = read_hash(refund);
	if (err)
		return err;
	err = judge_rpc(refund);
	if (err)
		return err;
	while (len && base[len - 1] == '/')
		len--;
	if (!len || len > URL_MAX_BYTES - PATH_ROOM)
		return fail(refund, X402_ERR_INVALID_ARGUMENT,
			"expected the URL of a facilitator");
	snprintf(refund->settle_url, URL_MAX_BYTES, "%.*s/settle", (int)len,
		base);
	snprintf(refund->supported_url, URL_MAX_BYTES, "%.*s/supported",
		(int)len, base);
	if (x402__http_url_parse(refund->settle_url, &refund->shown))
		return fail(refund, X402_ERR_INVALID_ARGUMENT,
			"expected the URL of a facilitator");
	if (options->payer &&
		x402_address_parse_checked(options->payer, &refund->ask.payer))
		return fail(refund, X402_ERR_INVALID_ARGUMENT,
			"the payer is no address, or was mistyped");
	refund->ask.has_payer = options->payer != NULL;
	refund->ask.nth = options->nth;
	if (!x402_client_address(refund->client, &refund->ask.us))
		return fail(refund, X402_ERR_KEY,
			"there is no wallet to give anything back from");
	return X402_OK;
}

/* ---- 2. The payment. ---- */

static enum x402_err ask_node(
	struct refund *refund, struct x402_buf *body, struct x402_json **ret)
{
	char *text = x402_buf_take_str(body);
	x402_buf_clear(body);
	if (!text)
		return fail(refund, X402_ERR_NOMEM, "out of memory");
	enum x402_err err = x402__ask(
		&refund->asker, refund->options->rpc_url, text, ret);
	free(text);
	return err ? fail(refund, X402_ERR_NETWORK,
			     "the node gave no answer that can be read")
		   : X402_OK;
}

static enum x402_err judge_depth(
	struct refund *refund, const struct x402_json *block)
{
	uint64_t number = 0;
	if (!x402__ask_quantity(x402_json_get_string(block, "number"), &number))
		return fail(refund, X402_ERR_CHAIN,
			"the node does not say how deep that block lies");
	if (refund->transfer.block > number)
		return fail(refund, X402_ERR_TIMEOUT,
			"the payment is not final yet: wait, or say --block "
			"latest where blocks stay");
	return X402_OK;
}

/* An error is no "null": a node that is busy has not said that it is none. */
static bool is_answered(const struct x402_json *answers, int64_t id)
{
	for (size_t i = 0; i < x402_json_size(answers); i++) {
		const struct x402_json *answer = x402_json_at(answers, i);
		int64_t said = 0;
		if (x402_json_int64(x402_json_get(answer, "id"), &said) &&
			said == id)
			return x402_json_has(answer, "result");
	}
	return false;
}

static enum x402_err read_receipt(
	struct refund *refund, const struct x402_json *answers)
{
	struct x402_client_refunded *refunded = refund->refunded;
	const char *id = x402_json_string(x402__ask_result(answers, 1));
	if (!x402__ask_quantity(id, &refund->chain_id) || !refund->chain_id)
		return fail(refund, X402_ERR_CHAIN,
			"the node does not say which chain it is of");
	if (!is_answered(answers, 2))
		return fail(refund, X402_ERR_CHAIN,
			"the node does not answer for that transaction");
	snprintf(refunded->network, sizeof(refunded->network),
		"eip155:%" PRIu64, refund->chain_id);
	enum x402_err err = x402__refund_choose(x402__ask_result(answers, 2),
		&refund->ask, refunded->text, &refund->transfer);
	if (!err)
		err = judge_depth(refund, x402__ask_result(answers, 3));
	if (err)
		return err;
	x402_address_format(&refund->transfer.from, refunded->payer);
	x402_address_format(&refund->transfer.asset, refunded->asset);
	x402_u256_to_dec(&refund->transfer.value, refunded->received);
	return X402_OK;
}

/* A tag goes into the question as it is: one of the known ones, or a number. */
static bool is_tag(const char *tag)
{
	uint64_t number = 0;
	return strcmp(tag, "finalized") == 0 || strcmp(tag, "safe") == 0 ||
		strcmp(tag, "latest") == 0 || x402__ask_quantity(tag, &number);
}

static enum x402_err ask_receipt(struct refund *refund)
{
	const char *tag = refund->options->block_tag
		? refund->options->block_tag
		: "finalized";
	struct x402_buf body = {0};
	struct x402_json *answers = NULL;
	if (!is_tag(tag))
		return fail(refund, X402_ERR_INVALID_ARGUMENT,
			"expected finalized, safe, latest or a number in hex "
			"for the block");
	x402_buf_printf(&body,
		"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_chainId\","
		"\"params\":[]},{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":"
		"\"eth_getTransactionReceipt\",\"params\":[\"%s\"]},"
		"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":"
		"\"eth_getBlockByNumber\",\"params\":[\"%s\",false]}]",
		refund->refunded->of, tag);
	enum x402_err err = ask_node(refund, &body, &answers);
	if (!err)
		err = read_receipt(refund, answers);
	x402_json_unref(answers);
	return err;
}

/* ---- 3. The token. ---- */

static void add_call(struct x402_buf *body, int id, const char *to,
	struct x402_span calldata)
{
	x402_buf_printf(body,
		"%c{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%s\",\"data\":\"",
		id == 1 ? '[' : ',', id, to);
	x402_hex_encode_0x(calldata, body);
	x402_buf_add_str(body, "\"},\"latest\"]}");
}

static void add_getter(
	struct x402_buf *body, int id, const char *to, const char *signature)
{
	uint8_t selector4[4];
	x402_abi_selector(signature, selector4);
	add_call(body, id, to, x402_span(selector4, sizeof(selector4)));
}

/* Our own table before what the contract says of itself. */
static bool read_names(struct refund *refund, const struct x402_json *answers)
{
	const struct x402_default_asset *known = x402_known_asset(
		refund->refunded->network, refund->refunded->asset);
	if (known && known->method == X402_TRANSFER_EIP3009 && known->name &&
		known->version) {
		snprintf(refund->name, sizeof(refund->name), "%s", known->name);
		snprintf(refund->version, sizeof(refund->version), "%s",
			known->version);
		return true;
	}
	return x402__refund_read_name(
		       x402_json_string(x402__ask_result(answers, 2)),
		       refund->name) &&
		x402__refund_read_name(
			x402_json_string(x402__ask_result(answers, 3)),
			refund->version);
}

static enum x402_err read_token(
	struct refund *refund, const struct x402_json *answers)
{
	const char *hex = x402_json_string(x402__ask_result(answers, 1));
	uint8_t word[32];
	if (!hex || x402_hex_decode_fixed(hex, word, sizeof(word)) ||
		x402_abi_read_bool(x402_span(word, sizeof(word)), 0,
			&refund->refunded->already))
		return fail(refund, X402_ERR_UNSUPPORTED,
			"the token has no transfers by authorization "
			"(EIP-3009), or the node does not answer for it: send "
			"it back from the wallet itself");
	if (refund->refunded->already || read_names(refund, answers))
		return X402_OK;
	return fail(refund, X402_ERR_UNSUPPORTED,
		"the token does not say the name() and version() that it is "
		"signed for under");
}

static void add_state_call(const struct refund *refund, struct x402_buf *body)
{
	struct x402_buf calldata = {0};
	x402_eip3009_state_calldata(
		&refund->ask.us, refund->nonce32, &calldata);
	if (calldata.failed)
		body->failed = true;
	add_call(body, 1, refund->refunded->asset, x402_buf_span(&calldata));
	x402_buf_clear(&calldata);
}

static enum x402_err ask_token(struct refund *refund)
{
	const char *asset = refund->refunded->asset;
	struct x402_buf body = {0};
	struct x402_json *answers = NULL;
	enum x402_err err = x402__refund_nonce(refund->chain_id, &refund->ask,
		&refund->transfer, refund->nonce32);
	if (err)
		return fail(refund, err, "out of memory");
	add_state_call(refund, &body);
	add_getter(&body, 2, asset, "name()");
	add_getter(&body, 3, asset, "version()");
	x402_buf_add_str(&body, "]");
	err = ask_node(refund, &body, &answers);
	if (!err)
		err = read_token(refund, answers);
	x402_json_unref(answers);
	return err;
}

/* ---- 4. In: /supported is a 402 with our offer. ---- */

static struct x402_json *make_offer(const struct refund *refund)
{
	const struct x402_client_refunded *refunded = refund->refunded;
	struct x402_json *offer = x402_json_new_object();
	struct x402_json *extra = x402_json_new_object();
	bool ok = offer && extra &&
		!x402_json_set_string(extra, "name", refund->name) &&
		!x402_json_set_string(extra, "version", refund->version) &&
		!x402_json_set_string(offer, "scheme", "exact") &&
		!x402_json_set_string(offer, "network", refunded->network) &&
		!x402_json_set_string(offer, "amount", refunded->amount) &&
		!x402_json_set_string(offer, "asset", refunded->asset) &&
		!x402_json_set_string(offer, "payTo", refunded->payer) &&
		!x402_json_set_int(offer, "maxTimeoutSeconds", VALIDITY_S);
	if (offer && x402_json_set_take(offer, "extra", extra))
		ok = false;
	else if (!offer)
		x402_json_unref(extra);
	if (ok)
		return offer;
	x402_json_unref(offer);
	return NULL;
}

static struct x402_json *make_challenge(const struct refund *refund)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_json *resource = x402_json_new_object();
	struct x402_json *accepts = x402_json_new_array();
	char description[96];
	snprintf(description, sizeof(description), "refund of %s",
		refund->refunded->of);
	bool ok = json && resource && accepts &&
		!x402_json_set_int(json, "x402Version", X402_V2) &&
		!x402_json_set_string(resource, "url", refund->shown.shown) &&
		!x402_json_set_string(resource, "description", description) &&
		!x402_json_append_take(accepts, make_offer(refund));
	ok = ok &&
		!x402_json_set_take(
			json, "resource", x402_json_ref(resource)) &&
		!x402_json_set_take(json, "accepts", x402_json_ref(accepts));
	x402_json_unref(resource);
	x402_json_unref(accepts);
	if (ok)
		return json;
	x402_json_unref(json);
	return NULL;
}

static bool tell(struct refund *refund, const char *name, char *value_taken)
{
	bool ok = value_taken &&
		!x402_client_headers_add(&refund->told, name, value_taken);
	free(value_taken);
	return ok;
}

static bool is_served(const struct refund *refund, struct x402_span body)
{
	struct x402_json *json = NULL;
	struct x402_supported_response supported = {0};
	bool served = false;
	if (x402_json_parse(body, NULL, NULL, &json))
		return false;
	if (!x402_supported_response_read(json, NULL, &supported)) {
		for (size_t i = 0; i < supported.kinds_len; i++)
			served |= supported.kinds[i].x402_version == X402_V2 &&
				strcmp(supported.kinds[i].scheme, "exact") ==
					0 &&
				strcmp(supported.kinds[i].network,
					refund->refunded->network) == 0;
		x402_supported_response_clear(&supported);
	}
	x402_json_unref(json);
	return served;
}

static void translate_supported(
	struct refund *refund, struct x402__message *message)
{
	struct x402_payment_required required = {0};
	char *text = NULL;
	/* Whatever else it says, no offer of somebody else's is taken. */
	if (message->status == 402 || message->status == 412)
		message->status = 502;
	if (message->status != 200)
		return;
	refund->serves = is_served(refund, message->body);
	if (!refund->serves)
		return;
	struct x402_json *challenge = make_challenge(refund);
	bool ok = challenge &&
		!x402_payment_required_read(challenge, NULL, &required) &&
		!x402_payment_required_encode(&required, &text) &&
		tell(refund, X402_HEADER_PAYMENT_REQUIRED, text);
	x402_payment_required_clear(&required);
	x402_json_unref(challenge);
	/* Without memory for it the flow finds a 402 that it cannot read. */
	message->status = 402;
	message->headers = refund->told.items;
	message->headers_len = ok ? refund->told.len : 0;
	message->body = x402_span(NULL, 0);
}

/* ---- In: the answer of /settle is a receipt. ---- */

/* A failure that no reason of the protocol explains may be anything. */
static bool is_said(const struct x402_settle_response *settle, long status)
{
	enum x402_reason reason = X402_REASON_NONE;
	return status < 500 || settle->success ||
		(settle->error_reason &&
			x402_reason_from_wire(settle->error_reason, &reason));
}

static bool is_used(struct refund *refund)
{
	struct x402_buf body = {0};
	struct x402_json *answers = NULL;
	uint8_t word[32];
	bool used = false;
	add_state_call(refund, &body);
	x402_buf_add_str(&body, "]");
	char *text = x402_buf_take_str(&body);
	x402_buf_clear(&body);
	if (!text ||
		x402__ask(&refund->asker, refund->options->rpc_url, text,
			&answers))
		answers = NULL;
	free(text);
	const char *hex = x402_json_string(x402__ask_result(answers, 1));
	if (!hex || x402_hex_decode_fixed(hex, word, sizeof(word)) ||
		x402_abi_read_bool(x402_span(word, sizeof(word)), 0, &used))
		used = false;
	x402_json_unref(answers);
	return used;
}

/*
 * A facilitator's word alone is no refund: the token has to have taken the
 * nonce, and not in the payment itself. Otherwise its reply is as good as lost.
 */
static bool is_shown(
	struct refund *refund, const struct x402_settle_response *settle)
{
	static const struct timespec pause = {.tv_sec = 1};
	bool shown = false;
	if (settle->transaction &&
		strcasecmp(settle->transaction, refund->refunded->of) != 0) {
		shown = is_used(refund);
		for (unsigned i = 1; !shown && i < SHOWN_TRIES; i++) {
			(void)nanosleep(&pause, NULL);
			shown = is_used(refund);
		}
	}
	refund->unshown = !shown;
	return shown;
}

/* When to ask again is the one thing that the head of an answer may add. */
static bool keep_retry_after(
	struct refund *refund, const struct x402__message *message)
{
	size_t count = 0;
	const char *text = x402__header_find(
		message->headers, message->headers_len, "Retry-After", &count);
	return count != 1 || !text ||
		!x402_client_headers_add(&refund->told, "Retry-After", text);
}

static void translate_settled(
	struct refund *refund, struct x402__message *message)
{
	struct x402_json *json = NULL;
	struct x402_settle_response settle = {0};
	char *text = NULL;
	bool ok = keep_retry_after(refund, message) &&
		!x402_json_parse(message->body, NULL, NULL, &json) &&
		!x402_settle_response_read(json, NULL, &settle) &&
		is_said(&settle, message->status) &&
		(!settle.success || is_shown(refund, &settle)) &&
		!x402_settle_response_encode(&settle, &text) &&
		tell(refund, X402_HEADER_PAYMENT_RESPONSE, text);
	if (ok)
		message->status = settle.success ? 200 : 402;
	else if (message->status == 402 || message->status == 412 ||
		refund->unshown)
		message->status = 502; /* no settle response: it says nothing */
	x402_settle_response_clear(&settle);
	x402_json_unref(json);
	message->headers = refund->told.items;
	message->headers_len = refund->told.len;
}

static void translate(void *user, struct x402__message *message)
{
	struct refund *refund = user;
	x402__headers_clear(&refund->told);
	if (x402__flow_pays(&refund->sending->flow))
		translate_settled(refund, message);
	else
		translate_supported(refund, message);
}

/* ---- 4. Out. ---- */

/* An open authorization of the journal's is this refund, or not presented. */
static bool is_ours(const struct refund *refund,
	const struct x402_payment_requirements *accepted)
{
	return accepted->pay_to && accepted->asset && accepted->network &&
		strcasecmp(accepted->pay_to, refund->refunded->payer) == 0 &&
		strcasecmp(accepted->asset, refund->refunded->asset) == 0 &&
		strcmp(accepted->network, refund->refunded->network) == 0;
}

/* {"x402Version":2,"paymentPayload":...,"paymentRequirements":...} (L-007) */
static char *settle_body(const struct refund *refund, const char *header_text)
{
	struct x402_facilitator_request request = {.x402_version = X402_V2};
	struct x402_json *json = NULL;
	char *text = NULL;
	if (x402_payment_payload_decode(
		    x402_span_str(header_text), NULL, &request.payload))
		return NULL;
	/* What was signed for, also by an earlier call. */
	request.requirements = request.payload.accepted;
	if (is_ours(refund, &request.requirements) &&
		!x402_facilitator_request_to_json(&request, &json))
		text = x402_json_dump(json);
	x402_json_unref(json);
	x402_payment_payload_clear(&request.payload);
	return text;
}

static enum x402_err dress(void *user, struct x402__exchange *exchange)
{
	struct refund *refund = user;
	CURL *curl = exchange->curl;
	if (!x402__flow_pays(exchange->flow)) {
		curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "GET");
		curl_easy_setopt(curl, CURLOPT_URL, refund->supported_url);
		return X402_OK;
	}
	free(refund->body);
	refund->body = settle_body(refund, exchange->flow->payment.header_text);
	if (!refund->body ||
		!x402__exchange_list_unpaid(exchange, &refund->list))
		return X402_ERR_NOMEM;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
		(curl_off_t)strlen(refund->body));
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, refund->body);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, refund->list);
	return X402_OK;
}

/* Where the flow's own words would be about an article. */
static void explain(
	struct refund *refund, struct x402_client_response *response)
{
	struct x402_errinfo *error = &response->error;
	if (response->cause == X402_CLIENT_CAUSE_CONFLICT)
		x402_errinfo_set(error, "journal",
			"an earlier refund of this payment may still be made, "
			"of another amount or by another facilitator: ask for "
			"the same again, or x402 resume");
	else if (response->cause == X402_CLIENT_CAUSE_ALREADY_PAID)
		x402_errinfo_set(error, "journal",
			"this refund was settled before, and the node does "
			"not show it: wait, or ask another node; if the chain "
			"has dropped it, another journal (X402_JOURNAL) makes "
			"it again, with the nonce that the token takes once");
	else if (refund->unshown &&
		response->payment.outcome == X402_CLIENT_OUTCOME_UNKNOWN)
		x402_errinfo_set(error, "transaction",
			"the facilitator says that it was settled, and the "
			"node does not show it");
	else if (response->cause == X402_CLIENT_CAUSE_NONE &&
		!response->payment.attempted && !refund->serves)
		x402_errinfo_set(error, "supported",
			response->status == 200
				? "the facilitator does not settle exact "
				  "payments on %s"
				: "the facilitator does not say whether it "
				  "serves %s",
			refund->refunded->network);
}

/* One that pays would be settled in place of the refund. */
static bool headers_are_good(const struct x402_client_refund_options *options)
{
	for (size_t i = 0; i < options->headers_len; i++)
		if (i >= HEADERS_MAX || !options->headers[i].name ||
			x402__header_is_payment(options->headers[i].name))
			return false;
	return true;
}

static enum x402_err run_flow(struct refund *refund,
	const struct x402_client_options *options,
	struct x402_client_response *response)
{
	struct x402__transfer transfer;
	struct x402_client_header headers[1 + HEADERS_MAX] = {
		{"Content-Type", "application/json"}};
	char terms[512];
	/*
	 * What the journal knows the purchase by, beside its name. With all of
	 * it, no two refunds are the same request to the loop detector, and
	 * none is presented for another.
	 */
	int len = snprintf(terms, sizeof(terms), "%s: %s of %s on %s to %s",
		refund->tag, refund->refunded->amount, refund->refunded->asset,
		refund->refunded->network, refund->refunded->payer);
	if (len < 0 || (size_t)len >= sizeof(terms))
		return fail(refund, X402_ERR_TOO_LARGE, "too long a name");
	struct x402_client_request request = {.url = refund->settle_url,
		.method = "POST",
		.headers = headers,
		.headers_len = 1 + refund->options->headers_len,
		.body = x402_span(terms, (size_t)len),
		.purchase_id = refund->tag,
		.once = true,
		.dry_run = refund->options->dry_run};
	for (size_t i = 0; i < refund->options->headers_len; i++)
		headers[1 + i] = refund->options->headers[i];
	x402__transfer_init(&transfer, refund->client, refund->client->curl,
		NULL, &request, response);
	transfer.flow.options = options;
	transfer.exchange.options = options;
	transfer.exchange.dress = dress;
	transfer.exchange.translate = translate;
	transfer.exchange.user = refund;
	transfer.nonce32 = refund->nonce32;
	refund->sending = &transfer;
	enum x402_err err = x402__transfer_run(&transfer);
	explain(refund, response);
	return err;
}

/* The payment, to be seen in a history, and of its nonce enough to be one. */
static bool name_purchase(struct refund *refund)
{
	struct x402_buf hex = {0};
	x402_hex_encode_0x(x402_span(refund->nonce32, 16), &hex);
	char *text = x402_buf_take_str(&hex);
	x402_buf_clear(&hex);
	if (text)
		snprintf(refund->tag, sizeof(refund->tag), "refund %s/%s",
			refund->refunded->of, text);
	bool ok = text != NULL;
	free(text);
	return ok;
}

static enum x402_err give_back(
	struct refund *refund, struct x402_client_response *response)
{
	struct x402_client_options options = refund->client->options;
	struct x402_client_refunded *refunded = refund->refunded;
	struct x402_amount *allowed = NULL;
	if (!name_purchase(refund))
		return fail(refund, X402_ERR_NOMEM, "out of memory");
	/* Who settles the same authorization twice has settled it once. */
	options.represent_any_method = true;
	/* Signed by us alone, and for nobody whom a facilitator names. */
	options.sign_in = false;
	options.delegate = NULL;
	options.max_redirects = -1;
	enum x402_err err = x402__refund_allow(&options,
		refund->options->max_unpriced, refunded->network,
		refunded->asset, &allowed);
	if (err)
		return fail(refund, err, "out of memory");
	refunded->judged = true;
	err = run_flow(refund, &options, response);
	free(allowed);
	return err;
}

enum x402_err x402_client_refund(struct x402_client *client,
	const struct x402_client_refund_options *options,
	struct x402_client_refunded *refunded,
	struct x402_client_response *response)
{
	struct refund refund = {
		.client = client, .options = options, .refunded = refunded};
	*refunded = (struct x402_client_refunded){.already = false};
	x402_client_response_clear(response);
	if (!headers_are_good(options))
		return fail(&refund, X402_ERR_INVALID_ARGUMENT,
			"too many headers, or one that is a payment");
	enum x402_err err = x402__asker_init(
		&client->operator_->breaker, &refund.asker);
	if (err)
		return fail(&refund, err, "out of memory");
	err = read_options(&refund);
	if (!err)
		err = ask_receipt(&refund);
	if (!err)
		err = x402__refund_amount(refunded->network, &refund.transfer,
			options, refunded->text, &refund.amount);
	if (!err)
		err = ask_token(&refund);
	if (!err && !refunded->already) {
		x402_u256_to_dec(&refund.amount, refunded->amount);
		err = give_back(&refund, response);
	}
	x402__asker_clear(&refund.asker);
	x402__http_url_clear(&refund.shown);
	x402__headers_clear(&refund.told);
	curl_slist_free_all(refund.list);
	free(refund.body);
	return err;
}
