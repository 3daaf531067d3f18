/*
 * operate_p.h: counters, circuit breakers and events, private.
 */
#ifndef X402_CLIENT_OPERATE_P_H
#define X402_CLIENT_OPERATE_P_H

#include <pthread.h>
#include <stdatomic.h>

#include "transfer_p.h"
#include "x402/operate.h"

/* What is counted; each with its Prometheus name in metrics.c. */
struct x402__counters {
	_Atomic uint64_t requests;
	_Atomic uint64_t retries;
	_Atomic uint64_t signed_;
	_Atomic uint64_t resumed;
	_Atomic uint64_t spent_usd_micros;
	_Atomic uint64_t in_flight;
	_Atomic uint64_t circuits_opened;
	_Atomic uint64_t outcomes[X402_CLIENT_OUTCOME_UNKNOWN + 1];
	_Atomic uint64_t causes[X402_CLIENT_CAUSE_COUNT];
};

/* Hosts whose failures are remembered; the oldest is forgotten. */
#define X402__BREAKER_HOSTS 256

struct x402__circuit {
	char host[272];
	unsigned failures; /* in a row */
	int64_t open_until_ms;
	int64_t used_ms;
	bool probing; /* one request is finding out */
};

struct x402__breaker {
	struct x402__circuit circuits[X402__BREAKER_HOSTS];
	size_t len;
};

/* May an unpaid request go there now? A true may be a probe. */
bool x402__breaker_allows(
	struct x402__breaker *breaker, const char *host, int64_t now_ms);
struct x402__breaker_rule {
	int failures; /* negative: never opens */
	int64_t open_ms;
};
/* How it went. True when this opened the circuit. */
bool x402__breaker_note(struct x402__breaker *breaker, const char *host,
	bool ok, const struct x402__breaker_rule *rule, int64_t now_ms);

struct x402__operator {
	struct x402__counters counters;
	struct x402__breaker breaker;
	bool paused;
	char pause_reason[128];
	/* The listener. */
	pthread_t thread;
	int listen_fd;
	bool listens;
};

X402_MUST_USE enum x402_err x402__operator_new(
	struct x402__operator **ret_operator);
/* Ends the listener. NULL allowed. */
void x402__operator_free(struct x402__operator *operator_);

/* Events; each is one line to on_event, where there is one. */
void x402__event_signed(const struct x402__transfer *transfer);
void x402__event_done(const struct x402__transfer *transfer);
void x402__event_host(
	const struct x402_client *client, const char *event, const char *host);
void x402__event_balance(const struct x402_client *client, const char *event,
	const struct x402_client_balance *balance);

/*
 * Balances, in parts, for who waits and for who does not. check: KEY,
 * INVALID_ARGUMENT. answer NULL: none came; true: too little to go on paying.
 */
X402_MUST_USE enum x402_err x402__balances_check(
	const struct x402_client *client,
	const struct x402_client_balance *balances, size_t len);
char *x402__balance_question(const struct x402_client *client,
	const struct x402_client_balance *balance);
bool x402__balance_answer(struct x402_client *client,
	struct x402_client_balance *balance, const struct x402_json *answer);
void x402__balances_judged(struct x402_client *client,
	const struct x402_client_balance *balances, size_t len, bool pause);

/* The counters' side of the same. */
void x402__count_done(struct x402__transfer *transfer);
/* A wait that is a little longer than asked for, never shorter. */
uint64_t x402__jitter(uint64_t wait_ms);

#endif
