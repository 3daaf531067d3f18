/*
 * content-site-microhttpd.c: the example shop on libmicrohttpd. What a program
 * that has such a server already must change: its handler returns the response
 * instead of queueing it, and the daemon gets the adapter's options.
 *
 *   PAY_TO=0x... PORT=4022 ./content-site-microhttpd
 *
 * See content.h for the environment. TERM or INT ends it.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "content.h"
#include "x402/provider_microhttpd.h"

static unsigned serve(void *user, const struct x402_microhttpd_request *request,
	struct MHD_Response **ret_response)
{
	struct content_answer answer;

	(void)user;
	content_answer(request->gate, &answer);
	if (!answer.body)
		return 0;
	*ret_response = MHD_create_response_from_buffer(
		strlen(answer.body), answer.body, MHD_RESPMEM_MUST_FREE);
	if (*ret_response)
		(void)MHD_add_response_header(
			*ret_response, "Content-Type", answer.type);
	return answer.status;
}

/* Bound before the daemon starts: the price list needs the port's number. */
static int listen_on(uint16_t port, uint16_t *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int yes = 1;

	if (fd < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) ||
		bind(fd, (struct sockaddr *)&address, len) ||
		listen(fd, SOMAXCONN) ||
		getsockname(fd, (struct sockaddr *)&address, &len)) {
		perror("content-site: listen");
		return -1;
	}
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static int run(struct x402_provider *provider, int fd, uint16_t port,
	const sigset_t *signals)
{
	const struct x402_microhttpd_config config = {
		.provider = provider, .handler = serve};
	struct x402_microhttpd *adapter = NULL;
	struct MHD_Daemon *daemon;
	int signal;

	if (x402_microhttpd_new(&config, &adapter) != X402_OK)
		return 1;
	daemon = MHD_start_daemon(MHD_USE_AUTO |
			MHD_USE_INTERNAL_POLLING_THREAD |
			MHD_USE_THREAD_PER_CONNECTION,
		port, NULL, NULL, x402_microhttpd_access, adapter,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_TIMEOUT,
		(unsigned)60, MHD_OPTION_ARRAY,
		x402_microhttpd_options(adapter), MHD_OPTION_END);
	if (daemon) {
		printf("listening url=http://127.0.0.1:%u\n", port);
		fflush(stdout);
		sigwait(signals, &signal);
		MHD_stop_daemon(daemon);
	}
	x402_microhttpd_free(adapter);
	return daemon ? 0 : 1;
}

int main(void)
{
	struct content_config config;
	struct x402_provider *provider;
	sigset_t signals;
	uint16_t port;
	int status;
	int fd;

	/* Before any thread, so that sigwait alone gets them. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (!content_config_read(&config))
		return 2;
	fd = listen_on(config.port, &port);
	if (fd < 0)
		return 1;
	provider = content_provider_new(&config, port);
	status = provider ? run(provider, fd, port, &signals) : 2;
	x402_provider_free(provider);
	content_config_clear(&config);
	return status;
}
