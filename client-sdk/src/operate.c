/*
 * operate.c: events, balances, pausing, and the score. An event is one line of
 * JSON for a log; what strangers said goes through the JSON writer, and the
 * authorization is never in it.
 */
#include "operate_p.h"

#include "ask_p.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Events. ---- */

static struct x402_json *begin(const char *event)
{
	struct x402_json *line = x402_json_new_object();
	if (line &&
		(x402_json_set_int(
			 line, "ts_ms", (int64_t)x402__now_unix_ms()) ||
			x402_json_set_string(line, "event", event))) {
		x402_json_unref(line);
		return NULL;
	}
	return line;
}

/* A member that memory is short for is left out. */
static void put(struct x402_json *line, const char *key, const char *text)
{
	if (!line || !text || !*text || x402_json_set_string(line, key, text))
		return;
}

static void put_int(struct x402_json *line, const char *key, int64_t value)
{
	if (!line || x402_json_set_int(line, key, value))
		return;
}

static void send_take(const struct x402_client *client, struct x402_json *line)
{
	char *text = line ? x402_json_dump(line) : NULL;
	if (text)
		client->options.on_event(client->options.user, text);
	free(text);
	x402_json_unref(line);
}

static void put_payment(
	struct x402_json *line, const struct x402__transfer *transfer)
{
	const struct x402_client_payment *payment = &transfer->flow.payment;
	const struct x402_client_request *request = &transfer->request;
	const struct x402_client_options *options = &transfer->client->options;
	put(line, "url", transfer->flow.asked.shown);
	put(line, "id", request->purchase_id);
	put(line, "session", options->session);
	put(line, "correlation",
		request->correlation ? request->correlation
				     : options->correlation);
	if (payment->purchase)
		put_int(line, "purchase", payment->purchase);
	put(line, "scheme", payment->scheme);
	put(line, "network", payment->network);
	put(line, "asset", payment->asset);
	put(line, "amount", payment->amount);
	put(line, "payTo", payment->pay_to);
}

void x402__event_signed(const struct x402__transfer *transfer)
{
	if (!transfer->client->options.on_event)
		return;
	struct x402_json *line = begin("payment_signed");
	put_payment(line, transfer);
	put_int(line, "validBefore",
		(int64_t)transfer->flow.payment.valid_before_unix_s);
	send_take(transfer->client, line);
}

void x402__event_done(const struct x402__transfer *transfer)
{
	const struct x402__flow *flow = &transfer->flow;
	const struct x402_client_payment *payment = &flow->payment;
	/* A free page is no payment event. */
	if (!transfer->client->options.on_event ||
		(!payment->attempted && !payment->scheme[0]))
		return;
	struct x402_json *line = begin(
		payment->attempted ? "payment_done" : "payment_refused");
	put_payment(line, transfer);
	put(line, "outcome", x402_client_outcome_name(payment->outcome));
	if (flow->cause != X402_CLIENT_CAUSE_NONE)
		put(line, "cause", x402_client_cause_name(flow->cause));
	put(line, "charged", payment->charged);
	put(line, "transaction", payment->transaction);
	put(line, "reason", payment->reason);
	put_int(line, "status", transfer->exchange.status);
	put_int(line, "presented", payment->presented);
	put_int(line, "ms", x402__now_ms() - transfer->begun_ms);
	send_take(transfer->client, line);
}

void x402__event_host(
	const struct x402_client *client, const char *event, const char *host)
{
	if (!client->options.on_event)
		return;
	struct x402_json *line = begin(event);
	put(line, "host", host);
	send_take(client, line);
}

void x402__event_balance(const struct x402_client *client, const char *event,
	const struct x402_client_balance *balance)
{
	if (!client->options.on_event)
		return;
	struct x402_json *line = begin(event);
	put(line, "network", balance->network);
	put(line, "asset", balance->asset);
	put(line, "units", balance->units);
	send_take(client, line);
}

uint64_t x402__jitter(uint64_t wait_ms)
{
	uint8_t bytes[4];
	x402__random(bytes, sizeof(bytes));
	uint64_t random = bytes[0] | (uint64_t)bytes[1] << 8 |
		(uint64_t)bytes[2] << 16 | (uint64_t)bytes[3] << 24;
	/* Longer only: a Retry-After is a floor. */
	return wait_ms + random % (wait_ms / 2 + 1);
}

/* ---- Pausing. ---- */

void x402_client_pause(
	struct x402_client *client, bool paused, const char *reason)
{
	struct x402__operator *operator_ = client->operator_;
	operator_->paused = paused;
	snprintf(operator_->pause_reason, sizeof(operator_->pause_reason), "%s",
		reason ? reason : "");
}

bool x402_client_is_paused(const struct x402_client *client)
{
	return client->operator_->paused;
}

/* ---- Balances. ---- */

/* balanceOf(payer) at the newest block. */
char *x402__balance_question(const struct x402_client *client,
	const struct x402_client_balance *balance)
{
	char payer[X402_ADDRESS_TEXT_SIZE];
	struct x402_buf body = {0};
	x402_address_format(&client->signer.address, payer);
	x402_buf_printf(&body,
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_call\","
		"\"params\":[{\"to\":\"%.60s\",\"data\":\"0x70a08231"
		"000000000000000000000000%.40s\"},\"latest\"]}",
		balance->asset, payer + 2);
	return x402_buf_take_str(&body);
}

static bool read_balance(
	const struct x402_json *answer, struct x402_u256 *ret_units)
{
	uint8_t word[32];
	if (!answer ||
		x402_hex_decode_fixed(x402_json_get_string(answer, "result"),
			word, sizeof(word)))
		return false;
	*ret_units = x402_u256_from_be32(word);
	return true;
}

static bool is_below(const struct x402_u256 *units, const char *limit)
{
	struct x402_u256 value;
	return limit && !x402_u256_from_dec(limit, &value) &&
		x402_u256_cmp(units, &value) < 0;
}

static bool is_number(const char *text)
{
	struct x402_u256 value;
	return !text || !x402_u256_from_dec(text, &value);
}

bool x402__balance_answer(struct x402_client *client,
	struct x402_client_balance *balance, const struct x402_json *answer)
{
	struct x402_u256 units;
	bool was_low = balance->is_low;
	balance->units[0] = '\0';
	if (!read_balance(answer, &units))
		return client->operator_->paused;
	x402_u256_to_dec(&units, balance->units);
	balance->is_low = is_below(&units, balance->low);
	if (balance->is_low != was_low)
		x402__event_balance(client,
			balance->is_low ? "low_balance" : "balance_ok",
			balance);
	return is_below(&units, balance->pause_below);
}

enum x402_err x402__balances_check(const struct x402_client *client,
	const struct x402_client_balance *balances, size_t len)
{
	if (!client->has_signer)
		return X402_ERR_KEY;
	for (size_t i = 0; i < len; i++) {
		struct x402_address asset;
		if (!is_number(balances[i].low) ||
			!is_number(balances[i].pause_below) ||
			!balances[i].rpc_url ||
			x402_address_parse(balances[i].asset, &asset))
			return X402_ERR_INVALID_ARGUMENT;
	}
	return X402_OK;
}

/* What the caller paused by hand stays so, without a threshold. */
void x402__balances_judged(struct x402_client *client,
	const struct x402_client_balance *balances, size_t len, bool pause)
{
	bool pauses = false;
	for (size_t i = 0; i < len; i++)
		pauses |= balances[i].pause_below != NULL;
	if (!pauses || pause == client->operator_->paused)
		return;
	x402_client_pause(client, pause, pause ? "the balance is low" : "");
	x402__event_host(
		client, pause ? "paying_paused" : "paying_resumed", "");
}

enum x402_err x402_client_check_balances(struct x402_client *client,
	struct x402_client_balance *balances, size_t len)
{
	struct x402__asker asker;
	bool pause = false;
	enum x402_err err = x402__balances_check(client, balances, len);
	if (!err)
		err = x402__asker_init(&client->operator_->breaker, &asker);
	if (err)
		return err;
	for (size_t i = 0; i < len; i++) {
		struct x402_json *answer = NULL;
		char *body = x402__balance_question(client, &balances[i]);
		if (!body ||
			x402__ask(&asker, balances[i].rpc_url, body, &answer))
			answer = NULL;
		pause |= x402__balance_answer(client, &balances[i], answer);
		x402_json_unref(answer);
		free(body);
	}
	x402__asker_clear(&asker);
	x402__balances_judged(client, balances, len, pause);
	return X402_OK;
}

/* ---- What first? ---- */

#define DAY_S 86400
/* A tenth of a cent is added to each price, so that free pages compare. */
#define BASE_USD_MICROS 1000

int64_t x402_client_score(const struct x402_client_worth *worth)
{
	uint64_t changes_s = worth->changes_s ? worth->changes_s : DAY_S;
	uint64_t chance = 1000;
	uint64_t price = worth->usd_micros;
	if (worth->age_s && worth->age_s < changes_s)
		chance = changes_s > UINT64_MAX / 1000
			? worth->age_s / (changes_s / 1000)
			: worth->age_s * 1000 / changes_s;
	/* Beyond a billion dollars nobody compares. */
	if (price > UINT64_C(1000000000000000))
		price = UINT64_C(1000000000000000);
	return (int64_t)(chance * 1000000 / (price + BASE_USD_MICROS));
}
