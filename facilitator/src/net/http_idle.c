/*
 * http_idle.c: the connections between two requests, in the order in which they
 * became idle. The first of them goes when a new one finds no room.
 */
#include "net/http_connection_p.h"

void http__idle_set(struct http_connection *connection, bool idle)
{
	struct http_server *server = connection->server;
	struct http_connection *prev = connection->prev_idle;
	struct http_connection *next = connection->next_idle;

	if (idle == connection->idle)
		return;
	connection->idle = idle;
	if (idle) {
		connection->prev_idle = server->last_idle;
		connection->next_idle = NULL;
		if (server->last_idle)
			server->last_idle->next_idle = connection;
		else
			server->first_idle = connection;
		server->last_idle = connection;
		return;
	}
	if (prev)
		prev->next_idle = next;
	else
		server->first_idle = next;
	if (next)
		next->prev_idle = prev;
	else
		server->last_idle = prev;
}

/*
 * Whoever keeps all connections without asking anything keeps nobody out: the
 * one that was idle for longest goes, as it would by its deadline.
 */
bool http__idle_make_room(struct http_server *server)
{
	if (server->connections_len > server->options.max_connections &&
		server->first_idle)
		http__connection_close(server->first_idle);
	return server->connections_len <= server->options.max_connections;
}
