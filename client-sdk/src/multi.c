/*
 * multi.c: thousands of transfers on one thread, over libcurl's multi_socket.
 *
 *   queue (by priority) -> ready -> running in libcurl -> ready ...
 *                            |  ^
 *                            v  |
 *                          waiting (by time, for a node), then done
 *
 * pump() is one turn: everything that became ready since the last one takes
 * its next step, and all of it together goes through the journal, so that one
 * fsync serves the whole turn. Callbacks of the caller run at the end of a
 * turn, when nothing is half done.
 */
#include "ask_p.h"
#include "heap_p.h"
#include "operate_p.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Sockets that one epoll_wait() tells of. */
#define EVENTS_MAX 64

/* What a handle of libcurl's multi is at work for: its CURLOPT_PRIVATE. */
struct owner {
	bool is_question;
};

/* A node that is asked; nobody else waits for it. */
struct question {
	struct owner owner; /* first */
	struct x402__ask ask;
	struct x402_client_multi *multi;
	/* One of the two. */
	struct job *job;
	struct balances *balances;
	size_t index;
	struct question *next;
	struct question *previous;
};

/* A round of balances that is under way. */
struct balances {
	struct x402_client_balance *list;
	size_t len;
	size_t left;
	bool pause;
	void (*done)(void *user);
	void *user;
};

struct job {
	struct owner owner; /* first */
	struct x402__transfer transfer;
	struct x402_client_multi *multi;
	struct x402_client_easy easy; /* curl NULL: a handle of ours */
	struct x402_client_request request;
	struct x402_client_response response;
	struct x402_client_done done;
	CURL *own;
	char *private_data; /* the caller's CURLOPT_PRIVATE */
	int64_t added_with; /* this priority */
	int64_t priority;
	uint64_t serial;
	int64_t due_ms;
	bool running; /* libcurl has it */
	struct job *next;
	struct job *previous;
};

struct x402_client_multi {
	struct x402_client *client;
	struct x402_client_multi_options options;
	CURLM *curl;
	struct x402__heap queue;   /* not begun */
	struct x402__heap waiting; /* for their time */
	struct question *questions;
	size_t rounds;    /* of balances, under way */
	struct job *jobs; /* begun and not done */
	size_t jobs_len;
	struct job **ready;
	size_t ready_len;
	size_t ready_cap;
	CURL **spare; /* handles of ours, for the next transfer */
	size_t spare_len;
	uint64_t serial;
	int64_t curl_due_ms; /* libcurl's timer, -1: none */
	int epoll_fd;        /* -1: the caller has a loop */
	bool pumping;
	bool ending;
};

/* ---- Time and sockets. ---- */

static bool comes_first(const void *a, const void *b)
{
	const struct job *x = a;
	const struct job *y = b;
	return x->priority != y->priority ? x->priority > y->priority
					  : x->serial < y->serial;
}

static bool is_due_first(const void *a, const void *b)
{
	const struct job *x = a;
	const struct job *y = b;
	return x->due_ms < y->due_ms;
}

static bool may_begin(const struct x402_client_multi *multi)
{
	return multi->queue.len &&
		multi->jobs_len < multi->options.max_in_flight;
}

/* Milliseconds until something has to be done; -1: nothing. */
static int64_t next_ms(const struct x402_client_multi *multi)
{
	const struct job *waiting = x402__heap_peek(&multi->waiting);
	int64_t due_ms = multi->curl_due_ms;
	int64_t now_ms = x402__now_ms();
	if (multi->ready_len || may_begin(multi))
		return 0;
	if (waiting && (due_ms < 0 || waiting->due_ms < due_ms))
		due_ms = waiting->due_ms;
	if (due_ms < 0)
		return -1;
	return due_ms > now_ms ? due_ms - now_ms : 0;
}

static void set_timer(struct x402_client_multi *multi)
{
	if (multi->options.on_timer)
		multi->options.on_timer(
			multi->options.user, (long)next_ms(multi));
}

static int on_curl_timer(CURLM *curl, long timeout_ms, void *user)
{
	struct x402_client_multi *multi = user;
	(void)curl;
	multi->curl_due_ms = timeout_ms < 0 ? -1 : x402__now_ms() + timeout_ms;
	return 0;
}

static uint32_t to_epoll(int what)
{
	uint32_t events = 0;
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	return events;
}

static int on_curl_socket(
	CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
	struct x402_client_multi *multi = user;
	(void)easy;
	(void)socket_user;
	if (multi->options.on_socket) {
		multi->options.on_socket(multi->options.user, fd, what);
		return 0;
	}
	struct epoll_event event = {
		.events = to_epoll(what), .data = {.fd = fd}};
	if (what == CURL_POLL_REMOVE) {
		/* A closed socket has left by itself. */
		(void)epoll_ctl(multi->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	if (epoll_ctl(multi->epoll_fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	return errno == ENOENT &&
			epoll_ctl(multi->epoll_fd, EPOLL_CTL_ADD, fd, &event) ==
				0
		? 0
		: -1;
}

/* ---- Jobs. ---- */

static void link_job(struct x402_client_multi *multi, struct job *job)
{
	job->next = multi->jobs;
	if (job->next)
		job->next->previous = job;
	multi->jobs = job;
	multi->jobs_len++;
}

static void unlink_job(struct x402_client_multi *multi, struct job *job)
{
	if (job->next)
		job->next->previous = job->previous;
	if (job->previous)
		job->previous->next = job->next;
	else
		multi->jobs = job->next;
	multi->jobs_len--;
}

/* There is a place for every job that was begun. */
static void make_ready(struct x402_client_multi *multi, struct job *job)
{
	multi->ready[multi->ready_len++] = job;
}

static CURL *take_handle(struct x402_client_multi *multi)
{
	if (multi->spare_len)
		return multi->spare[--multi->spare_len];
	return curl_easy_init();
}

static void begin_job(struct x402_client_multi *multi, struct job *job)
{
	bool own = !job->easy.curl;
	link_job(multi, job);
	if (own)
		job->own = take_handle(multi);
	x402__transfer_init(&job->transfer, multi->client, job->own,
		own ? NULL : &job->easy, own ? &job->request : NULL,
		&job->response);
	if (own && !job->own)
		x402__flow_give_up(
			&job->transfer.flow, X402_CLIENT_CAUSE_INTERNAL);
	make_ready(multi, job);
}

static CURL *handle_of(const struct job *job)
{
	return job->easy.curl ? job->easy.curl : job->own;
}

static void begin_queued(struct x402_client_multi *multi)
{
	while (may_begin(multi))
		begin_job(multi, x402__heap_pop(&multi->queue));
}

static void send_job(struct job *job)
{
	CURL *curl = handle_of(job);
	if (!x402__transfer_send(&job->transfer)) {
		make_ready(job->multi, job);
		return;
	}
	if (job->easy.curl)
		curl_easy_getinfo(curl, CURLINFO_PRIVATE, &job->private_data);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, &job->owner);
	if (curl_multi_add_handle(job->multi->curl, curl) != CURLM_OK) {
		x402__flow_give_up(
			&job->transfer.flow, X402_CLIENT_CAUSE_INTERNAL);
		make_ready(job->multi, job);
		return;
	}
	job->running = true;
}

static void stop_job(struct job *job, CURLcode code)
{
	CURL *curl = handle_of(job);
	curl_multi_remove_handle(job->multi->curl, curl);
	curl_easy_setopt(curl, CURLOPT_PRIVATE, job->private_data);
	job->running = false;
	x402__transfer_sent(&job->transfer, code);
	make_ready(job->multi, job);
}

/* ---- Questions to nodes. ---- */

static void unlink_question(struct question *question)
{
	if (question->next)
		question->next->previous = question->previous;
	if (question->previous)
		question->previous->next = question->next;
	else
		question->multi->questions = question->next;
}

/* The last one of a round says what the round has found. */
static void end_balance(
	struct question *question, const struct x402_json *answer)
{
	struct balances *round = question->balances;
	struct x402_client *client = question->multi->client;
	round->pause |= x402__balance_answer(
		client, &round->list[question->index], answer);
	if (--round->left)
		return;
	x402__balances_judged(client, round->list, round->len, round->pause);
	question->multi->rounds--;
	if (round->done)
		round->done(round->user);
	free(round);
}

/* What it was asked for takes its next step; with or without an answer. */
static void end_question(struct question *question, CURLcode code)
{
	struct x402_json *answers = NULL;
	curl_multi_remove_handle(question->multi->curl, question->ask.curl);
	unlink_question(question);
	if (x402__ask_end(&question->ask, code, &answers))
		answers = NULL;
	if (question->job) {
		x402__transfer_answered(&question->job->transfer, answers);
		make_ready(question->multi, question->job);
	} else {
		end_balance(question, answers);
	}
	x402_json_unref(answers);
	x402__ask_clear(&question->ask);
	free(question);
}

/* body is taken. False: it cannot be asked, and nobody will be told. */
static bool begin_question(struct x402_client_multi *multi, const char *url,
	char *body_taken, const struct question *filled)
{
	struct question *question = malloc(sizeof(*question));
	if (!question) {
		free(body_taken);
		return false;
	}
	*question = *filled;
	question->owner.is_question = true;
	question->multi = multi;
	if (x402__ask_begin(&multi->client->operator_->breaker, url, body_taken,
		    &question->ask)) {
		free(question);
		return false;
	}
	curl_easy_setopt(question->ask.curl, CURLOPT_PRIVATE, &question->owner);
	if (curl_multi_add_handle(multi->curl, question->ask.curl) !=
		CURLM_OK) {
		x402__ask_clear(&question->ask);
		free(question);
		return false;
	}
	question->previous = NULL;
	question->next = multi->questions;
	if (question->next)
		question->next->previous = question;
	multi->questions = question;
	return true;
}

/* True when the job waits for a node now. */
static bool ask_for(struct job *job)
{
	struct question filled = {.job = job};
	const char *url = NULL;
	char *body = x402__transfer_question(&job->transfer, &url);
	if (!body)
		return false;
	if (begin_question(job->multi, url, body, &filled))
		return true;
	x402__transfer_answered(&job->transfer, NULL);
	return false;
}

static void read_ended(struct x402_client_multi *multi)
{
	int left = 0;
	CURLMsg *message;
	while ((message = curl_multi_info_read(multi->curl, &left))) {
		char *data = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(
			message->easy_handle, CURLINFO_PRIVATE, &data);
		/* Raw: what was put there, on a handle of this multi; each of
		 * the two begins with its owner. */
		const struct owner *owner = (const void *)data;
		if (owner->is_question)
			end_question((struct question *)(void *)data, code);
		else
			stop_job((struct job *)(void *)data, code);
	}
}

static void wait_job(struct job *job)
{
	struct x402__flow *flow = &job->transfer.flow;
	job->due_ms = x402__now_ms() + (int64_t)flow->wait_ms;
	if (job->due_ms > job->transfer.deadline_ms)
		x402__flow_give_up(flow, X402_CLIENT_CAUSE_TIMEOUT);
	else if (x402__heap_push(&job->multi->waiting, job))
		return;
	else
		x402__flow_give_up(flow, X402_CLIENT_CAUSE_INTERNAL);
	make_ready(job->multi, job);
}

static void wake_waiting(struct x402_client_multi *multi)
{
	int64_t now_ms = x402__now_ms();
	for (;;) {
		struct job *job = x402__heap_peek(&multi->waiting);
		if (!job || (job->due_ms > now_ms && !multi->ending))
			return;
		(void)x402__heap_pop(&multi->waiting);
		if (multi->ending)
			x402__flow_give_up(&job->transfer.flow,
				X402_CLIENT_CAUSE_CANCELLED);
		else
			x402__flow_waited(&job->transfer.flow);
		make_ready(multi, job);
	}
}

static void end_job(struct job *job)
{
	struct x402_client_multi *multi = job->multi;
	enum x402_err err = x402__transfer_finish(&job->transfer);
	unlink_job(multi, job);
	if (job->own && multi->spare_len < multi->options.max_in_flight)
		multi->spare[multi->spare_len++] = job->own;
	else
		curl_easy_cleanup(job->own);
	if (job->done.call)
		job->done.call(job->done.user, err, &job->response);
	x402_client_response_clear(&job->response);
	free(job);
}

/* ---- A turn. ---- */

/* Sort out who is at DONE; the others take their step. */
static size_t step_all(struct job **list, size_t len)
{
	size_t done = 0;
	for (size_t i = 0; i < len; i++) {
		struct job *job = list[i];
		switch (job->transfer.flow.step) {
		case X402__FLOW_SEND:
			if (job->multi->ending || !ask_for(job))
				send_job(job);
			break;
		case X402__FLOW_WAIT:
			wait_job(job);
			break;
		case X402__FLOW_RESERVE:
		case X402__FLOW_COMMIT:
			make_ready(job->multi, job);
			break;
		case X402__FLOW_DONE:
			list[done++] = job;
			break;
		}
	}
	return done;
}

static void run_ready(struct x402_client_multi *multi)
{
	size_t len = multi->ready_len;
	struct job **list = malloc(len * sizeof(struct job *));
	struct x402__transfer **transfers = calloc(
		len, sizeof(struct x402__transfer *));
	if (list && transfers) {
		size_t kept = 0;
		for (size_t i = 0; i < len; i++)
			if (multi->ending || !ask_for(multi->ready[i]))
				list[kept++] = multi->ready[i];
		multi->ready_len = 0;
		len = kept;
		for (size_t i = 0; i < len; i++)
			transfers[i] = &list[i]->transfer;
		x402__transfers_journal(transfers, len);
		size_t done = step_all(list, len);
		for (size_t i = 0; i < done; i++)
			transfers[i] = &list[i]->transfer;
		x402__transfers_record(transfers, done);
		for (size_t i = 0; i < done; i++)
			end_job(list[i]);
	}
	/* Without memory they stay ready, and a later turn has more. */
	free(list);
	free(transfers);
}

static void cancel_all(struct x402_client_multi *multi)
{
	multi->ending = true;
	for (struct job *job = multi->jobs; job; job = job->next)
		if (job->running)
			stop_job(job, CURLE_ABORTED_BY_CALLBACK);
	wake_waiting(multi);
	for (struct question *next, *question = multi->questions; question;
		question = next) {
		next = question->next;
		if (question->job)
			x402__flow_give_up(&question->job->transfer.flow,
				X402_CLIENT_CAUSE_CANCELLED);
		end_question(question, CURLE_ABORTED_BY_CALLBACK);
	}
	for (size_t i = 0; i < multi->ready_len; i++)
		x402__flow_give_up(&multi->ready[i]->transfer.flow,
			X402_CLIENT_CAUSE_CANCELLED);
}

static void pump(struct x402_client_multi *multi)
{
	const struct x402_client_options *options = &multi->client->options;
	if (multi->pumping)
		return;
	multi->pumping = true;
	read_ended(multi);
	wake_waiting(multi);
	begin_queued(multi);
	if (options->is_cancelled && options->is_cancelled(options->user))
		cancel_all(multi);
	if (multi->ready_len)
		run_ready(multi);
	multi->ending = false;
	multi->pumping = false;
	set_timer(multi);
}

/* ---- For the caller. ---- */

static struct x402_client_multi_options resolve(
	const struct x402_client_multi_options *options)
{
	struct x402_client_multi_options out = X402_CLIENT_MULTI_OPTIONS_INIT;
	if (options)
		out = *options;
	if (!out.max_in_flight)
		out.max_in_flight = X402_CLIENT_IN_FLIGHT;
	if (!out.max_queue)
		out.max_queue = X402_CLIENT_QUEUE;
	return out;
}

static enum x402_err set_up_curl(struct x402_client_multi *multi)
{
	multi->curl = curl_multi_init();
	if (!multi->curl)
		return X402_ERR_NOMEM;
	curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
	curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
	curl_multi_setopt(multi->curl, CURLMOPT_MAX_HOST_CONNECTIONS,
		(long)multi->options.max_host_connections);
	if (multi->options.on_socket)
		return X402_OK;
	multi->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return multi->epoll_fd < 0 ? X402_ERR_INTERNAL : X402_OK;
}

enum x402_err x402_client_multi_new(struct x402_client *client,
	const struct x402_client_multi_options *options,
	struct x402_client_multi **ret_multi)
{
	struct x402_client_multi *multi = calloc(1, sizeof(*multi));
	if (!multi)
		return X402_ERR_NOMEM;
	multi->client = client;
	multi->options = resolve(options);
	multi->epoll_fd = -1;
	multi->curl_due_ms = -1;
	multi->queue.before = comes_first;
	multi->waiting.before = is_due_first;
	size_t places = multi->options.max_in_flight;
	multi->ready = calloc(places, sizeof(struct job *));
	multi->spare = calloc(places, sizeof(CURL *));
	enum x402_err err = X402_OK;
	if (!multi->options.on_socket != !multi->options.on_timer)
		err = X402_ERR_INVALID_ARGUMENT;
	else if (!multi->ready || !multi->spare)
		err = X402_ERR_NOMEM;
	else
		err = set_up_curl(multi);
	if (err) {
		x402_client_multi_free(multi);
		return err;
	}
	*ret_multi = multi;
	return X402_OK;
}

static void drop_queue(struct x402_client_multi *multi)
{
	struct job *job;
	while ((job = x402__heap_pop(&multi->queue))) {
		job->response.cause = X402_CLIENT_CAUSE_CANCELLED;
		if (job->done.call)
			job->done.call(job->done.user, X402_ERR_CANCELLED,
				&job->response);
		x402_client_response_clear(&job->response);
		free(job);
	}
}

void x402_client_multi_free(struct x402_client_multi *multi)
{
	if (!multi)
		return;
	multi->pumping = true;
	/* Callbacks may add; what they add is told the same. */
	while (multi->queue.len || multi->jobs_len || multi->questions) {
		drop_queue(multi);
		cancel_all(multi);
		if (multi->ready_len)
			run_ready(multi);
	}
	for (size_t i = 0; i < multi->spare_len; i++)
		curl_easy_cleanup(multi->spare[i]);
	curl_multi_cleanup(multi->curl);
	if (multi->epoll_fd >= 0)
		close(multi->epoll_fd);
	x402__heap_clear(&multi->queue);
	x402__heap_clear(&multi->waiting);
	free(multi->ready);
	free(multi->spare);
	free(multi);
}

/* What it was added with, until the caller's score says otherwise. */
static void score(struct x402_client_multi *multi, struct job *job)
{
	const struct x402_client_multi_options *options = &multi->options;
	if (options->score)
		job->priority = options->score(
			options->user, job->done.user, job->added_with);
}

static void rescore(void *item, void *user)
{
	score(user, item);
}

void x402_client_multi_rescore(struct x402_client_multi *multi)
{
	x402__heap_change(&multi->queue, rescore, multi);
}

static enum x402_err add(struct x402_client_multi *multi, struct job *job)
{
	job->multi = multi;
	job->priority = job->added_with;
	score(multi, job);
	job->serial = multi->serial++;
	if (!x402__heap_push(&multi->queue, job)) {
		free(job);
		return X402_ERR_NOMEM;
	}
	if (!multi->pumping)
		set_timer(multi);
	return X402_OK;
}

enum x402_err x402_client_multi_add(struct x402_client_multi *multi,
	const struct x402_client_easy *easy, struct x402_client_done done)
{
	if (!easy->curl)
		return X402_ERR_INVALID_ARGUMENT;
	if (multi->queue.len >= multi->options.max_queue)
		return X402_ERR_TOO_LARGE;
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return X402_ERR_NOMEM;
	job->easy = *easy;
	job->done = done;
	job->added_with = easy->priority;
	return add(multi, job);
}

enum x402_err x402_client_multi_fetch(struct x402_client_multi *multi,
	const struct x402_client_request *request, int64_t priority,
	struct x402_client_done done)
{
	if (multi->queue.len >= multi->options.max_queue)
		return X402_ERR_TOO_LARGE;
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return X402_ERR_NOMEM;
	job->request = *request;
	job->done = done;
	job->added_with = priority;
	return add(multi, job);
}

enum x402_err x402_client_multi_check_balances(struct x402_client_multi *multi,
	struct x402_client_balance *balances, size_t len,
	struct x402_client_balances_done done)
{
	enum x402_err err = x402__balances_check(multi->client, balances, len);
	if (!err && !len)
		err = X402_ERR_INVALID_ARGUMENT;
	struct balances *round = err ? NULL : calloc(1, sizeof(*round));
	if (err)
		return err;
	if (!round)
		return X402_ERR_NOMEM;
	*round = (struct balances){.list = balances,
		.len = len,
		.left = len,
		.done = done.call,
		.user = done.user};
	multi->rounds++;
	for (size_t i = 0; i < len; i++) {
		struct question filled = {.balances = round, .index = i};
		char *body = x402__balance_question(
			multi->client, &balances[i]);
		if (body &&
			begin_question(
				multi, balances[i].rpc_url, body, &filled))
			continue;
		/* Told as one that could not be read, in its turn. */
		round->left--;
		round->pause |= x402__balance_answer(
			multi->client, &balances[i], NULL);
	}
	if (round->left) {
		if (!multi->pumping)
			set_timer(multi);
		return X402_OK;
	}
	multi->rounds--;
	free(round);
	return X402_ERR_NETWORK;
}

size_t x402_client_multi_pending(const struct x402_client_multi *multi)
{
	return multi->queue.len + multi->jobs_len + multi->rounds;
}

enum x402_err x402_client_multi_action(
	struct x402_client_multi *multi, curl_socket_t fd, int events)
{
	int running = 0;
	CURLMcode code = curl_multi_socket_action(
		multi->curl, fd, events, &running);
	pump(multi);
	return code == CURLM_OK ? X402_OK : X402_ERR_NETWORK;
}

static int to_curl(uint32_t events)
{
	int out = 0;
	if (events & EPOLLIN)
		out |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		out |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		out |= CURL_CSELECT_ERR;
	return out;
}

enum x402_err x402_client_multi_run(
	struct x402_client_multi *multi, int timeout_ms)
{
	struct epoll_event events[EVENTS_MAX];
	int running = 0;
	if (multi->epoll_fd < 0)
		return X402_ERR_INVALID_ARGUMENT;
	int64_t wait_ms = next_ms(multi);
	if (wait_ms < 0 || (timeout_ms >= 0 && wait_ms > timeout_ms))
		wait_ms = timeout_ms;
	int len = epoll_wait(multi->epoll_fd, events, EVENTS_MAX, (int)wait_ms);
	if (len < 0 && errno != EINTR)
		return X402_ERR_NETWORK;
	CURLMcode code = CURLM_OK;
	for (int i = 0; i < len && code == CURLM_OK; i++)
		code = curl_multi_socket_action(multi->curl, events[i].data.fd,
			to_curl(events[i].events), &running);
	if (code == CURLM_OK && multi->curl_due_ms >= 0 &&
		multi->curl_due_ms <= x402__now_ms()) {
		multi->curl_due_ms = -1;
		code = curl_multi_socket_action(
			multi->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	}
	pump(multi);
	return code == CURLM_OK ? X402_OK : X402_ERR_NETWORK;
}
