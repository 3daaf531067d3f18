/*
 * access_log.c: lines are made by libx402's JSON writer and leave with one
 * write(2), so lines of several processes on one pipe do not mix. A reader who
 * is gone costs the line, not the gateway.
 */
#include "access_log.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "x402/json.h"

const char *gw_access_text(enum x402_gate_access access)
{
	switch (access) {
	case X402_GATE_ACCESS_NONE:
		return "none";
	case X402_GATE_ACCESS_FREE:
		return "free";
	case X402_GATE_ACCESS_PAID:
		return "paid";
	case X402_GATE_ACCESS_PASS:
		return "pass";
	case X402_GATE_ACCESS_SIGNED_IN:
		return "signed_in";
	case X402_GATE_ACCESS_QUOTA:
		return "quota";
	case X402_GATE_ACCESS_HOLDER:
		return "holder";
	case X402_GATE_ACCESS_CRAWLER:
		return "crawler";
	case X402_GATE_ACCESS_PERSON:
		return "person";
	}
	return "none";
}

/* A line that is short of memory is written without the member. */
static void add_text(
	struct x402_json *object, const char *key, const char *value)
{
	if (value && *value &&
		x402_json_set_string(object, key, value) != X402_OK)
		return; /* no UTF-8, or no memory */
}

static void add_number(
	struct x402_json *object, const char *key, uint64_t value)
{
	int64_t number = value > INT64_MAX ? INT64_MAX : (int64_t)value;

	if (x402_json_set_int(object, key, number) != X402_OK)
		return;
}

static struct x402_json *begin(void)
{
	struct x402_json *object = x402_json_new_object();
	struct timespec now;
	struct tm utc;
	char text[40];
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!object || !gmtime_r(&now.tv_sec, &utc))
		return object;
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
	text[len] = '.';
	for (int i = 3; i >= 1; i--) {
		text[len + (size_t)i] =
			(char)('0' + now.tv_nsec / 1000000 % 10);
		now.tv_nsec /= 10;
	}
	memcpy(text + len + 4, "Z", 2);
	add_text(object, "time", text);
	return object;
}

static void end(struct x402_json *object)
{
	char *text = object ? x402_json_dump(object) : NULL;
	size_t len = text ? strlen(text) : 0;

	if (text) {
		text[len] = '\n'; /* over the NUL */
		if (write(STDOUT_FILENO, text, len + 1) < 0)
			free(NULL); /* the reader is gone */
	}
	free(text);
	x402_json_unref(object);
}

static void add_money(struct x402_json *object, const struct x402_gate *gate)
{
	add_text(object, "route", x402_gate_pattern(gate));
	add_text(object, "access", gw_access_text(x402_gate_access_of(gate)));
	add_text(object, "payer", x402_gate_payer(gate));
	add_text(object, "amount", x402_gate_amount(gate));
	add_text(object, "asset", x402_gate_asset(gate));
	add_text(object, "network", x402_gate_network(gate));
	add_text(object, "transaction", x402_gate_transaction(gate));
}

void gw_access_log(const struct gw_access_line *line)
{
	struct x402_json *object = begin();

	if (!object)
		return;
	add_text(object, "id", line->id);
	add_text(object, "client", line->client);
	add_text(object, "method", line->method);
	add_text(object, "path", line->path);
	add_number(object, "status", line->status);
	add_number(object, "bytes_in", line->bytes_in);
	add_number(object, "bytes_out", line->bytes_out);
	add_number(object, "ms", line->ms);
	if (line->upstream) {
		add_text(object, "upstream", line->upstream);
		add_number(object, "upstream_ms", line->upstream_ms);
	}
	if (line->gate)
		add_money(object, line->gate);
	add_text(object, "reason", line->reason);
	add_text(object, "ended", line->ended);
	if (line->undelivered &&
		x402_json_set_bool(object, "undelivered", true) != X402_OK)
		add_text(object, "undelivered", "true");
	end(object);
}

void gw_log_event(const char *event, const char *text)
{
	struct x402_json *object = begin();

	if (!object)
		return;
	add_text(object, "event", event);
	add_text(object, "text", text);
	end(object);
}
