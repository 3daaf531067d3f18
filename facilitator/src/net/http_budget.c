/*
 * http_budget.c: bytes of answers that were made and not yet sent, counted for
 * each connection and for all of a server. Memory is everybody's, so readers
 * that take nothing are shed when all of it together is too much. It only
 * counts and marks: the sweep closes.
 */
#include "net/http_connection_p.h"

/*
 * What any connection may have unread, however much all others have: while a
 * server has more than its max_unsent_bytes, who has more than this is closed.
 */
#define UNSENT_FAIR_BYTES ((size_t)64 * 1024)

void http__budget_add(struct http_connection *connection, size_t len)
{
	struct http_server *server = connection->server;

	connection->unsent += len;
	server->unsent += len;
}

void http__budget_take(struct http_connection *connection, size_t len)
{
	connection->unsent -= len;
	connection->server->unsent -= len;
}

/*
 * Memory is everybody's. Those who read nothing, and had the largest answers
 * made, are the first to go; the sweep closes them.
 */
void http__budget_hold(struct http_connection *connection)
{
	const struct http_server *server = connection->server;

	if (connection->unsent > UNSENT_FAIR_BYTES &&
		server->unsent > server->options.max_unsent_bytes)
		connection->doomed = true;
}
