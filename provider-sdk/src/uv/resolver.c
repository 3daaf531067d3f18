/*
 * resolver.c: one struct lookup for each address that is asked about, with a
 * socket of its own for each question, so that its port is as hard to guess as
 * its id.
 *
 *   x402__resolver_ask()  known: say so soon; asked already: wait along
 *   ask()                 a question on a fresh socket
 *   on_datagram()         an answer: the next question, or the end
 *   on_timeout()          the same question again, or the end
 *   finish()              tell all who wait
 */
#include "resolver_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

/* Two tries for each of at most five questions, and no crawler waits longer
 * than this altogether. */
#define TRY_MS     1500
#define TRIES      2
#define TOTAL_MS   5000
#define RESOLVCONF "/etc/resolv.conf"

struct waiter {
	struct waiter *next;
	void (*done)(void *user, const char *name);
	void *user;
};

struct lookup {
	struct lookup *next;
	struct x402__resolver *resolver;
	struct x402__rdns rdns;
	struct waiter *waiters;
	struct waiter **waiters_end;
	struct socket *socket; /* of the current question, or NULL */
	uv_timer_t timer;
	uint64_t deadline_ms;
	unsigned tries;
	uint16_t id;
	bool ended;
	/* What is told when it ended without asking. */
	char known[X402__DNS_NAME_SIZE];
	enum x402__rdns_step step;
};

/* A socket outlives its question until libuv has closed it. */
struct socket {
	uv_udp_t udp;
	struct lookup *lookup; /* NULL: closing */
	uint8_t message[X402__DNS_MESSAGE_SIZE];
};

struct x402__resolver {
	uv_loop_t *loop;
	struct sockaddr_storage server;
	struct x402__rdns_memory *names;
	struct lookup *lookups;
	size_t lookups_len;
	size_t open; /* handles that are not closed yet */
	bool closing;
};

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

/* ---- Which server. ---- */

/* "192.0.2.53:53", "[::1]:53". */
static bool read_server(const char *text, struct sockaddr_storage *ret_address)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t len = colon ? (size_t)(colon - text) : 0;
	long port;
	char *end;

	if (len == 0 || len >= sizeof(host))
		return false;
	port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end || port < 1 || port > UINT16_MAX)
		return false;
	if (text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	memset(ret_address, 0, sizeof(*ret_address));
	return uv_ip4_addr(host, (int)port,
		       (struct sockaddr_in *)ret_address) == 0 ||
		uv_ip6_addr(host, (int)port,
			(struct sockaddr_in6 *)ret_address) == 0;
}

/* The first "nameserver" of the system; false when it has none. */
static bool read_system(struct sockaddr_storage *ret_address)
{
	FILE *file = fopen(RESOLVCONF, "re");
	char line[256];
	char host[64];
	bool found = false;

	memset(ret_address, 0, sizeof(*ret_address));
	while (file && !found && fgets(line, sizeof(line), file))
		if (sscanf(line, "nameserver %63s", host) == 1)
			found = uv_ip4_addr(host, 53,
					(struct sockaddr_in *)ret_address) ==
					0 ||
				uv_ip6_addr(host, 53,
					(struct sockaddr_in6 *)ret_address) ==
					0;
	if (file)
		fclose(file);
	return found;
}

static bool random_bytes(void *to, size_t len)
{
	return getrandom(to, len, 0) == (ssize_t)len;
}

enum x402_err x402__resolver_new(uv_loop_t *loop, const char *server,
	struct x402__resolver **ret_resolver)
{
	struct sockaddr_storage address;
	struct x402__resolver *resolver;
	uint64_t seed;

	if (server) {
		if (!read_server(server, &address))
			return X402_ERR_SYNTAX;
	} else if (!read_system(&address)) {
		(void)read_server("127.0.0.1:53", &address);
	}
	if (!random_bytes(&seed, sizeof(seed)))
		return X402_ERR_INTERNAL;
	resolver = calloc(1, sizeof(*resolver));
	if (resolver)
		resolver->names = x402__rdns_memory_new(seed);
	if (!resolver || !resolver->names) {
		free(resolver);
		return X402_ERR_NOMEM;
	}
	resolver->loop = loop;
	resolver->server = address;
	*ret_resolver = resolver;
	return X402_OK;
}

/* ---- Handles end. ---- */

static void closed_one(struct x402__resolver *resolver)
{
	resolver->open--;
	if (!resolver->closing || resolver->open > 0)
		return;
	x402__rdns_memory_free(resolver->names);
	free(resolver);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct socket *socket = (struct socket *)handle;
	struct x402__resolver *resolver = handle->data;

	free(socket);
	closed_one(resolver);
}

static void drop_socket(struct lookup *lookup)
{
	struct socket *socket = lookup->socket;

	if (!socket)
		return;
	lookup->socket = NULL;
	socket->lookup = NULL;
	uv_close((uv_handle_t *)&socket->udp, on_socket_closed);
}

static void on_lookup_closed(uv_handle_t *handle)
{
	struct lookup *lookup = handle->data;
	struct x402__resolver *resolver = lookup->resolver;

	free(lookup);
	closed_one(resolver);
}

static void unlink_lookup(struct lookup *lookup)
{
	struct lookup **at = &lookup->resolver->lookups;

	while (*at != lookup)
		at = &(*at)->next;
	*at = lookup->next;
	lookup->resolver->lookups_len--;
}

/* Tell everybody; from the loop, never from within x402__resolver_ask. */
static void finish(struct lookup *lookup)
{
	const char *name = lookup->known;
	struct waiter *waiter = lookup->waiters;

	drop_socket(lookup);
	unlink_lookup(lookup);
	lookup->waiters = NULL;
	while (waiter) {
		struct waiter *next = waiter->next;

		waiter->done(waiter->user, name);
		free(waiter);
		waiter = next;
	}
	uv_close((uv_handle_t *)&lookup->timer, on_lookup_closed);
}

static void on_end(uv_timer_t *timer)
{
	finish(timer->data);
}

/* It is decided; tell it in the next turn of the loop. */
static void end(struct lookup *lookup)
{
	lookup->ended = true;
	drop_socket(lookup);
	uv_timer_start(&lookup->timer, on_end, 0, 0);
}

static void decided(struct lookup *lookup, enum x402__rdns_step step)
{
	if (step == X402__RDNS_NAMED)
		memcpy(lookup->known, lookup->rdns.name, sizeof(lookup->known));
	x402__rdns_memory_keep(
		lookup->resolver->names, &lookup->rdns, step, now_s());
	end(lookup);
}

/* ---- Questions. ---- */

static void ask(struct lookup *lookup);

static void go_on(struct lookup *lookup, enum x402__rdns_step step)
{
	if (step == X402__RDNS_WAIT)
		return;
	if (step != X402__RDNS_ASK) {
		decided(lookup, step);
		return;
	}
	lookup->tries = 0;
	ask(lookup);
}

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	struct socket *socket = (struct socket *)handle;

	(void)suggested;
	*buf = uv_buf_init((char *)socket->message, sizeof(socket->message));
}

static void on_datagram(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf,
	const struct sockaddr *from, unsigned flags)
{
	struct socket *socket = (struct socket *)udp;
	struct lookup *lookup = socket->lookup;
	struct x402__rdns *rdns;

	if (!lookup || len < 0 || !from || flags & UV_UDP_PARTIAL)
		return; /* refused, or cut: the timer tries again */
	rdns = &lookup->rdns;
	go_on(lookup,
		x402__rdns_answered(
			rdns, lookup->id, x402_span(buf->base, (size_t)len)));
}

static bool send_question(struct socket *socket, const struct lookup *lookup)
{
	uint8_t message[X402__DNS_MESSAGE_SIZE];
	uv_buf_t buf = uv_buf_init((char *)message,
		(unsigned)x402__rdns_question(
			&lookup->rdns, lookup->id, message));

	/* Connected: the kernel takes datagrams of the server's alone. */
	return uv_udp_connect(&socket->udp,
		       (const struct sockaddr *)&lookup->resolver->server) ==
		0 &&
		uv_udp_recv_start(&socket->udp, on_buffer, on_datagram) == 0 &&
		uv_udp_try_send(&socket->udp, &buf, 1, NULL) == (int)buf.len;
}

static void on_timeout(uv_timer_t *timer)
{
	struct lookup *lookup = timer->data;

	if (uv_now(lookup->resolver->loop) >= lookup->deadline_ms)
		decided(lookup, X402__RDNS_FAILED);
	else if (lookup->tries < TRIES)
		ask(lookup);
	else
		go_on(lookup, x402__rdns_unanswered(&lookup->rdns));
}

/* Ask, on a fresh socket. What fails here is what an answer that never comes
 * is: the timer goes on. */
static void ask(struct lookup *lookup)
{
	struct x402__resolver *resolver = lookup->resolver;
	struct socket *socket = calloc(1, sizeof(*socket));

	drop_socket(lookup);
	lookup->tries++;
	uv_timer_start(&lookup->timer, on_timeout, TRY_MS, 0);
	if (!socket || !random_bytes(&lookup->id, sizeof(lookup->id)) ||
		uv_udp_init(resolver->loop, &socket->udp) != 0) {
		free(socket);
		return;
	}
	resolver->open++;
	socket->udp.data = resolver;
	socket->lookup = lookup;
	lookup->socket = socket;
	if (!send_question(socket, lookup))
		drop_socket(lookup);
}

/* ---- Who asks. ---- */

static struct lookup *find_lookup(
	struct x402__resolver *resolver, const uint8_t ip16[16])
{
	struct lookup *lookup = resolver->lookups;

	while (lookup && memcmp(lookup->rdns.ip16, ip16, 16) != 0)
		lookup = lookup->next;
	return lookup;
}

static struct lookup *new_lookup(
	struct x402__resolver *resolver, const struct x402__rdns *rdns)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (!lookup)
		return NULL;
	lookup->resolver = resolver;
	lookup->rdns = *rdns;
	lookup->waiters_end = &lookup->waiters;
	uv_timer_init(resolver->loop, &lookup->timer);
	lookup->timer.data = lookup;
	resolver->open++;
	lookup->next = resolver->lookups;
	resolver->lookups = lookup;
	resolver->lookups_len++;
	return lookup;
}

/* A lookup that is new: does it need a question? */
static void begin(struct lookup *lookup, bool good)
{
	struct x402__resolver *resolver = lookup->resolver;
	const char *known = NULL;

	if (!good) {
		end(lookup);
	} else if (x402__rdns_memory_find(resolver->names, lookup->rdns.ip16,
			   now_s(), &known)) {
		snprintf(lookup->known, sizeof(lookup->known), "%s", known);
		end(lookup);
	} else {
		lookup->deadline_ms = uv_now(resolver->loop) + TOTAL_MS;
		ask(lookup);
	}
}

bool x402__resolver_ask(struct x402__resolver *resolver, const char *address,
	void (*done)(void *user, const char *name), void *user)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	struct x402__rdns rdns;
	/* Without room or an address there is no name, but nobody is refused
	 * an answer for that. */
	bool good = x402__rdns_begin(address, &rdns);
	struct lookup *lookup = find_lookup(resolver, rdns.ip16);

	if (!waiter)
		return false;
	if (!lookup || lookup->ended) {
		good = good && resolver->lookups_len < X402__LOOKUPS_MAX;
		lookup = new_lookup(resolver, &rdns);
		if (!lookup) {
			free(waiter);
			return false;
		}
		begin(lookup, good);
	}
	waiter->next = NULL;
	waiter->done = done;
	waiter->user = user;
	*lookup->waiters_end = waiter;
	lookup->waiters_end = &waiter->next;
	return true;
}

void x402__resolver_close(struct x402__resolver *resolver)
{
	if (!resolver)
		return;
	for (struct lookup *lookup = resolver->lookups; lookup;
		lookup = lookup->next)
		if (!lookup->ended)
			end(lookup);
	resolver->closing = true;
	/* Nothing is open: nothing will close. */
	resolver->open++;
	closed_one(resolver);
}
