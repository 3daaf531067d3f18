/*
 * signer_serve.c: the signer's socket. One thread, poll(2), one line in and
 * one line out for each peer. The kernel says who a peer is (SO_PEERCRED), and
 * the socket's file is for its owner alone until other users were allowed.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "x402/signer.h"

/* How often should_stop is asked. */
#define POLL_MS 200
/* A peer that neither asks nor takes its answer is let go. */
#define IDLE_S 300

struct peer {
	int fd;
	pid_t pid;
	uid_t uid;
	struct x402_buf in;
	struct x402_buf out;
	size_t sent;
	uint64_t since_s;
};

struct server {
	const struct x402_signer_serve_options *options;
	int listener;
	struct peer peers[X402_SIGNER_PEERS_MAX];
	size_t peers_len;
};

static uint64_t clock_s(clockid_t clock)
{
	struct timespec now;
	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec;
}

static enum x402_err say(
	struct x402_errinfo *info, const char *path, const char *text)
{
	x402_errinfo_set(info, "", "%s: %s", path, text);
	return X402_ERR_STORE;
}

/* ---- Listening. ---- */

static bool fill_address(const char *path, struct sockaddr_un *address)
{
	size_t len = strlen(path);
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len == 0 || len >= sizeof(address->sun_path))
		return false;
	memcpy(address->sun_path, path, len + 1);
	return true;
}

static bool somebody_listens(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	bool yes = connect(fd, (const struct sockaddr *)address,
			   sizeof(*address)) == 0;
	close(fd);
	return yes;
}

/* What a signer that died left behind is removed; a file of another kind is
 * somebody's. */
static bool remove_stale(const char *path)
{
	struct stat st;
	if (lstat(path, &st))
		return errno == ENOENT;
	return S_ISSOCK(st.st_mode) && unlink(path) == 0;
}

static enum x402_err start_listening(
	struct server *server, struct x402_errinfo *info)
{
	const char *path = server->options->path;
	struct sockaddr_un address;
	if (!fill_address(path, &address))
		return say(info, path, "too long for a socket's name");
	if (somebody_listens(&address)) {
		(void)say(info, path, "another signer listens there");
		return X402_ERR_CONFLICT;
	}
	if (!remove_stale(path))
		return say(info, path, "exists and is no socket of ours");
	server->listener = socket(
		AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener < 0)
		return say(info, path, strerror(errno));
	/* With other users allowed the kernel's word about them decides. */
	mode_t mode = server->options->uids_len ? 0666 : 0600;
	mode_t before = umask((mode_t)(0777 & ~mode));
	int bound = bind(
		server->listener, (struct sockaddr *)&address, sizeof(address));
	(void)umask(before);
	if (bound || listen(server->listener, 64))
		return say(info, path, strerror(errno));
	return X402_OK;
}

/* ---- Peers. ---- */

static void drop(struct server *server, size_t index)
{
	struct peer *peer = &server->peers[index];
	close(peer->fd);
	x402_buf_clear(&peer->in);
	x402_buf_clear(&peer->out);
	*peer = server->peers[--server->peers_len];
}

static bool is_allowed(
	const struct x402_signer_serve_options *options, uid_t uid)
{
	if (uid == geteuid())
		return true;
	for (size_t i = 0; i < options->uids_len; i++)
		if (options->uids[i] == uid)
			return true;
	return false;
}

static void take_peer(struct server *server)
{
	struct ucred who;
	socklen_t len = sizeof(who);
	int fd = accept4(
		server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) ||
		!is_allowed(server->options, who.uid) ||
		server->peers_len >= X402_SIGNER_PEERS_MAX) {
		close(fd);
		return;
	}
	server->peers[server->peers_len++] = (struct peer){.fd = fd,
		.pid = who.pid,
		.uid = who.uid,
		.since_s = clock_s(CLOCK_MONOTONIC)};
}

/* Answer every whole line. False: let the peer go. */
static bool answer_lines(struct server *server, struct peer *peer)
{
	const struct x402_signer_serve_options *options = server->options;
	for (;;) {
		uint8_t *end = peer->in.len
			? memchr(peer->in.ptr, '\n', peer->in.len)
			: NULL;
		if (!end)
			return peer->in.len <= X402_SIGNER_LINE_MAX_BYTES;
		size_t len = (size_t)(end - peer->in.ptr);
		struct x402_buf line = {0};
		x402_signer_core_answer(options->core,
			x402_span(peer->in.ptr, len), clock_s(CLOCK_REALTIME),
			&line);
		x402_buf_add(&peer->out, x402_buf_span(&line));
		memmove(peer->in.ptr, end + 1, peer->in.len - len - 1);
		peer->in.len -= len + 1;
		char *text = x402_buf_take_str(&line);
		if (text && options->on_answer)
			options->on_answer(options->user, (int)peer->pid,
				(unsigned)peer->uid, text);
		free(text);
		if (peer->out.failed)
			return false;
	}
}

static bool read_peer(struct server *server, struct peer *peer)
{
	char chunk[8192];
	ssize_t got = read(peer->fd, chunk, sizeof(chunk));
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	if (got == 0)
		return false;
	peer->since_s = clock_s(CLOCK_MONOTONIC);
	x402_buf_add(&peer->in, x402_span(chunk, (size_t)got));
	return !peer->in.failed && answer_lines(server, peer);
}

static bool write_peer(struct peer *peer)
{
	while (peer->sent < peer->out.len) {
		ssize_t put = send(peer->fd, peer->out.ptr + peer->sent,
			peer->out.len - peer->sent, MSG_NOSIGNAL);
		if (put < 0)
			return errno == EAGAIN || errno == EINTR;
		peer->sent += (size_t)put;
	}
	x402_buf_clear(&peer->out);
	peer->sent = 0;
	return true;
}

/* A peer is not read from while it owes us the taking of an answer. */
static bool serve_peer(struct server *server, struct peer *peer, short events)
{
	bool keep = true;
	if (peer->out.len == 0 && (events & (POLLIN | POLLHUP | POLLERR)))
		keep = read_peer(server, peer);
	if (keep && peer->out.len > 0)
		keep = write_peer(peer);
	if (clock_s(CLOCK_MONOTONIC) - peer->since_s > IDLE_S)
		keep = false;
	return keep;
}

static void turn(struct server *server)
{
	struct pollfd fds[X402_SIGNER_PEERS_MAX + 1];
	size_t len = server->peers_len;
	for (size_t i = 0; i < len; i++)
		fds[i] = (struct pollfd){.fd = server->peers[i].fd,
			.events = server->peers[i].out.len ? POLLOUT : POLLIN};
	fds[len] = (struct pollfd){.fd = server->listener, .events = POLLIN};
	if (poll(fds, len + 1, POLL_MS) < 0)
		return;
	/* From behind: drop() moves the last one into the gap. */
	for (size_t i = len; i-- > 0;)
		if (!serve_peer(server, &server->peers[i], fds[i].revents))
			drop(server, i);
	if (fds[len].revents & POLLIN)
		take_peer(server);
}

enum x402_err x402_signer_serve(const struct x402_signer_serve_options *options,
	struct x402_errinfo *info)
{
	struct server *server = calloc(1, sizeof(*server));
	if (!server)
		return X402_ERR_NOMEM;
	server->options = options;
	server->listener = -1;
	enum x402_err err = start_listening(server, info);
	if (!err && options->on_ready)
		options->on_ready(options->user);
	while (!err &&
		!(options->should_stop && options->should_stop(options->user)))
		turn(server);
	while (server->peers_len)
		drop(server, server->peers_len - 1);
	if (server->listener >= 0)
		close(server->listener);
	if (!err)
		(void)unlink(options->path);
	free(server);
	return err;
}
