/*
 * x402-facilitator: from the command line to a running daemon, and out again.
 *
 *   main             arguments, hardening, configuration, signals
 *   begin            store; asks every chain who it is
 *   serve            settler, workers; says where it listens
 *   on_signal        HUP, USR1, TERM, QUIT
 *   drain, close_all the way out: workers, settler, store, in this order,
 *                    because each may still owe the one before an answer
 *
 * The main thread's loop watches the chains and moves nothing else. Exit
 * codes are in docs/facilitator.md and never change their meaning.
 */
#include "config.h"
#include "ops/admin.h"
#include "ops/retention.h"
#include "ops/tokens.h"
#include "ops/watchdog.h"
#include "run/files.h"
#include "run/worker.h"

#include <argp.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum exit_code {
	EXIT_OK = 0,
	EXIT_CONFIG = 1,
	EXIT_USAGE = 2, /* argp_err_exit_status */
	EXIT_STORE = 3,
	EXIT_CHAIN = 4,
	EXIT_LISTEN = 5,
	EXIT_INTERNAL = 6
};

/* How often each chain is asked who it is, and how long it may take. */
#define WATCH_EVERY_MS   5000
#define WATCH_TIMEOUT_MS 4000
/* Beyond the response deadline a drain waits only for slow clients. */
#define DRAIN_MARGIN_MS 5000

struct daemon {
	struct fac_config *config;
	const char *config_path; /* or NULL: environment */
	struct fac_loop *loop;
	struct fac_timer *watch_timer;
	struct fac_timer *drain_timer;
	struct fac_chain *watch[FAC_ENGINE_CHAINS_MAX];
	struct fac_chain_status status[FAC_ENGINE_CHAINS_MAX];
	struct watch_arg {
		struct daemon *daemon;
		size_t index;
	} watch_args[FAC_ENGINE_CHAINS_MAX];
	bool watch_busy[FAC_ENGINE_CHAINS_MAX];
	bool probed[FAC_ENGINE_CHAINS_MAX]; /* its tokens were asked */
	size_t unseen;                      /* chains not asked yet */
	struct x402_address signers[FAC_ENGINE_CHAINS_MAX]
				   [FAC_ENGINE_SIGNERS_MAX];
	struct fac_store *store;
	struct fac_settler *settler;
	struct fac_admin *admin; /* or NULL: not configured */
	struct fac_hooks *hooks; /* or NULL: none configured */
	struct fac_retention *retention;
	struct fac_watchdog *watchdog; /* NULL: nobody wants to hear */
	struct fac_http_counts *counts[FAC_CONFIG_WORKERS_MAX];
	struct fac_worker *workers[FAC_CONFIG_WORKERS_MAX];
	size_t workers_len;
	uint32_t connections; /* that there are files for */
	size_t awaited;       /* workers that drain or close */
	enum { STARTING, SERVING, DRAINING, CLOSING, CLOSED } state;
	enum exit_code code;
	pthread_t signal_thread;
};

/* ---- Arguments. ---- */

/* The C library looks for it by name, so it must not be hidden. */
X402_API const char *argp_program_version = "x402-facilitator " X402_VERSION;

enum { KEY_DUMP = 256 };

struct arguments {
	const char *config_path;
	bool check;
	bool dump;
};

static const struct argp_option argp_options[] = {
	{"config", 'c', "FILE", 0, "Read this configuration file", 0},
	{"check-config", 't', NULL, 0,
		"Check the configuration and exit: 0 good, 1 not", 0},
	{"dump-config", KEY_DUMP, NULL, 0,
		"Print the configuration in force, without secrets", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *arguments = state->input;

	switch (key) {
	case 'c':
		arguments->config_path = arg;
		return 0;
	case 't':
		arguments->check = true;
		return 0;
	case KEY_DUMP:
		arguments->dump = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument: %s", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {argp_options, parse_option, NULL,
	"Verify and settle x402 payments over HTTP.\v"
	"Without -c the environment alone is read: PORT, EVM_RPC_URL, "
	"EVM_PRIVATE_KEY (or EVM_PRIVATE_KEY_FILE), and optionally "
	"X402_NETWORK, X402_STORE, X402_LISTEN, X402_ADMIN_LISTEN, "
	"X402_WORKERS, X402_CONFIRMATIONS, X402_RETENTION_DAYS.",
	NULL, NULL, NULL};

/* ---- The system around. ---- */

/* R10: a key must not leave through a core dump or a debugger. */
static void harden(void)
{
	struct rlimit none = {0, 0};

	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
}

/* The service manager's datagram; silent when there is none. */
static void notify(const char *text)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t len = path ? strlen(path) : 0;

	if (!len || len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL,
		(struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
	close(fd);
}

static void notify_reloading(void)
{
	struct timespec now;
	char text[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	notify(text);
}

static enum x402_err load(
	const char *path, struct x402_buf *problems, struct fac_config **ret)
{
	return path ? fac_config_load(path, problems, ret)
		    : fac_config_from_env(problems, ret);
}

/* ---- Out: each room may still owe an answer to the one before. ---- */

static void close_all(struct daemon *daemon);

static void free_watch(struct daemon *daemon)
{
	fac_timer_stop(daemon->watch_timer);
	for (size_t i = 0; i < daemon->config->chains_len; i++) {
		struct fac_chain *chain = daemon->watch[i];
		daemon->watch[i] = NULL;
		fac_chain_free(chain);
	}
}

static void finish(void *user)
{
	struct daemon *daemon = user;

	daemon->state = CLOSED;
	fac_settler_stop(daemon->settler, 0);
	fac_store_close(daemon->store);
	for (size_t i = 0; i < daemon->workers_len; i++)
		fac_worker_finish(daemon->workers[i]);
	free_watch(daemon);
	fac_loop_stop(daemon->loop);
}

static void on_closed(void *user)
{
	struct daemon *daemon = user;

	if (!--daemon->awaited)
		finish(daemon);
}

static void close_all(struct daemon *daemon)
{
	if (daemon->state >= CLOSING)
		return;
	daemon->state = CLOSING;
	fac_timer_stop(daemon->drain_timer);
	fac_admin_close(daemon->admin);
	fac_hooks_stop(daemon->hooks);
	fac_retention_stop(daemon->retention);
	fac_watchdog_stop(daemon->watchdog);
	daemon->awaited = daemon->workers_len;
	/* As mail: a callback of what will be freed may have brought us. */
	if (!daemon->awaited)
		fac_loop_post(daemon->loop, finish, daemon);
	for (size_t i = 0; i < daemon->workers_len; i++)
		fac_worker_close(daemon->workers[i], on_closed, daemon);
}

static void on_drained(void *user)
{
	struct daemon *daemon = user;

	if (daemon->state == DRAINING && !--daemon->awaited)
		close_all(daemon);
}

static void on_drain_late(void *user)
{
	fac_log_text(FAC_LOG_WARN, "drain_late",
		"some connections did not finish; closing them");
	close_all(user);
}

static void drain(struct daemon *daemon)
{
	uint32_t deadline_ms = daemon->config->settings.response_deadline_ms;

	if (daemon->state > SERVING)
		return;
	notify("STOPPING=1");
	fac_log_text(FAC_LOG_INFO, "draining", "answering what was asked");
	if (daemon->state == STARTING) {
		close_all(daemon);
		return;
	}
	daemon->state = DRAINING;
	fac_admin_drain(daemon->admin);
	daemon->awaited = daemon->workers_len;
	fac_timer_start(daemon->drain_timer, deadline_ms + DRAIN_MARGIN_MS, 0);
	for (size_t i = 0; i < daemon->workers_len; i++)
		fac_worker_drain(daemon->workers[i], on_drained, daemon);
}

static void give_up(
	struct daemon *daemon, enum exit_code code, const char *text)
{
	fac_log_text(FAC_LOG_ERROR, "cannot_start", text);
	daemon->code = code;
	close_all(daemon);
}

/* ---- HUP and USR1. ---- */

static void apply(struct daemon *daemon, struct fac_config *fresh)
{
	struct x402_buf names = {0};

	fac_config_compare(daemon->config, fresh, &names);
	x402_buf_add_byte(&names, '\0');
	daemon->config->settings = fresh->settings;
	fac_log_set_level(fresh->settings.log_level);
	for (size_t i = 0; i < daemon->workers_len; i++)
		fac_worker_set(daemon->workers[i], &fresh->settings);
	if (fac_log_open(fresh->log_file))
		fac_log_text(FAC_LOG_ERROR, "reload_log_failed",
			"log_file cannot be opened; the old one stays");
	if (names.len > 1)
		fac_log_text(FAC_LOG_WARN, "restart_needed",
			names.failed ? "" : (const char *)names.ptr);
	fac_log_text(FAC_LOG_INFO, "reloaded", daemon->config->source);
	x402_buf_clear(&names);
}

static void reload(struct daemon *daemon)
{
	struct x402_buf problems = {0};
	struct fac_config *fresh = NULL;

	if (!daemon->config_path) {
		fac_log_text(FAC_LOG_WARN, "not_reloaded",
			"configured by the environment: nothing to read again");
		return;
	}
	notify_reloading();
	if (load(daemon->config_path, &problems, &fresh)) {
		x402_buf_add_byte(&problems, '\0');
		fac_log_text(FAC_LOG_ERROR, "not_reloaded",
			problems.failed ? "out of memory"
					: (const char *)problems.ptr);
	} else {
		apply(daemon, fresh);
	}
	notify("READY=1");
	fac_config_free(fresh);
	x402_buf_clear(&problems);
}

struct signal_mail {
	struct daemon *daemon;
	int number;
};

static void on_signal(void *arg)
{
	struct signal_mail *mail = arg;
	struct daemon *daemon = mail->daemon;
	int number = mail->number;

	free(mail);
	if (number == SIGHUP && daemon->state == SERVING)
		reload(daemon);
	else if (number == SIGUSR1 && fac_log_reopen())
		fac_log_text(FAC_LOG_ERROR, "log_not_reopened", NULL);
	else if (number == SIGTERM || number == SIGINT)
		drain(daemon);
	else if (number == SIGQUIT)
		close_all(daemon);
}

static void fill_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGQUIT);
}

/* Signals become mail; SIGUSR2, sent by ourselves, ends the thread. */
static void *signal_main(void *arg)
{
	struct daemon *daemon = arg;
	sigset_t set;
	int number = 0;

	fill_signals(&set);
	sigaddset(&set, SIGUSR2);
	while (!sigwait(&set, &number) && number != SIGUSR2) {
		struct signal_mail *mail = malloc(sizeof(*mail));
		if (!mail)
			abort();
		*mail = (struct signal_mail){daemon, number};
		fac_loop_post(daemon->loop, on_signal, mail);
	}
	return NULL;
}

/* ---- Serving. ---- */

static void settler_note(void *user, bool warning, const char *text)
{
	(void)user;
	fac_log_text(warning ? FAC_LOG_WARN : FAC_LOG_INFO, "settler", text);
}

static struct x402_u256 gwei(uint64_t amount)
{
	struct x402_u256 wei = x402_u256_from_u64(amount);

	/* At most 10^6 gwei: check_fee. */
	(void)!x402_u256_mul_u64(&wei, 1000000000, &wei);
	return wei;
}

static void fill_engine_chain(const struct fac_config_chain *chain,
	struct fac_engine_chain *ret_engine)
{
	const struct fac_config_settling *settling = &chain->settling;

	*ret_engine = (struct fac_engine_chain){
		.network = chain->network,
		.signers = (const struct x402_secret *const *)chain->signers,
		.svm_signers = (const struct x402_svm_secret *const *)
				       chain->svm_signers,
		.signers_len = chain->signers_len,
		.max_fee_per_gas = gwei(chain->max_fee_gwei),
		.max_priority_fee_per_gas = gwei(chain->max_priority_fee_gwei),
		.max_gas_limit = chain->max_gas,
		.confirmations = settling->confirmations,
		.proof_depth = settling->proof_depth,
		.batch_max = settling->batch_max,
		.batch_window_ms = settling->batch_window_ms,
		.batch_payment_gas = settling->batch_payment_gas,
		.batch_max_gas = settling->batch_max_gas,
		.rps = chain->rpc_rps,
		.stuck_ms = settling->stuck_after_s * 1000,
		.credit_preempted = settling->credit_preempted,
		.max_payment_cost_gwei = settling->max_payment_cost_gwei,
		.limits = {settling->daily_payer_gwei,
			settling->daily_caller_gwei,
			settling->daily_total_gwei},
		.daily_others_gwei = fac_config_settling_others(
			settling, chain->network.caip2),
	};
	if (settling->sponsor_approvals)
		ret_engine->gift_limits = (struct fac_spend_limits){
			settling->daily_payer_gwei, settling->daily_gifts_gwei,
			settling->daily_total_gwei};
	fac_config_settling_tokens(settling, chain->network.caip2, ret_engine);
}

static enum x402_err start_settler(struct daemon *daemon)
{
	const struct fac_config *config = daemon->config;
	struct fac_settler_chain chains[FAC_ENGINE_CHAINS_MAX] = {0};
	struct fac_settler_options options = {
		.chains = chains,
		.chains_len = config->chains_len,
		.store = daemon->store,
		.owner = config->instance,
		.note = settler_note,
	};

	for (size_t i = 0; i < config->chains_len; i++) {
		const struct fac_config_chain *chain = &config->chains[i];
		chains[i] = (struct fac_settler_chain){
			.rpc_urls = (const char *const *)chain->rpc_urls,
			.rpc_urls_len = chain->rpc_urls_len,
			.timeout_ms = chain->rpc_timeout_ms,
			.head_lag_max = chain->rpc_head_lag_max,
			.hedge_ms = chain->rpc_hedge_ms,
			.rps = chain->rpc_rps,
		};
		fill_engine_chain(chain, &chains[i].engine);
	}
	return fac_settler_start(&options, &daemon->settler);
}

static enum x402_err start_workers(
	struct daemon *daemon, struct x402_errinfo *info)
{
	struct fac_worker_options options = {
		.config = daemon->config,
		.status = daemon->status,
		.signers =
			(const struct x402_address(*)[FAC_ENGINE_SIGNERS_MAX])
				daemon->signers,
		.store = daemon->store,
		.settler = daemon->settler,
		.main_loop = daemon->loop,
		.port = daemon->config->port,
		.max_connections = daemon->connections,
	};

	for (unsigned i = 0; i < daemon->config->workers; i++) {
		daemon->counts[i] = calloc(1, sizeof(*daemon->counts[i]));
		if (!daemon->counts[i])
			return X402_ERR_NOMEM;
		options.index = i;
		options.counts = daemon->counts[i];
		enum x402_err err = fac_worker_start(
			&options, info, &daemon->workers[i]);
		if (err)
			return err;
		daemon->workers_len++;
		/* PORT=0: the others join where the first one landed. */
		options.port = fac_worker_port(daemon->workers[i]);
	}
	return X402_OK;
}

static enum x402_err start_hooks(struct daemon *daemon)
{
	struct fac_hooks_options options = {
		.loop = daemon->loop,
		.store = daemon->store,
		.hooks = daemon->config->hooks,
		.hooks_len = daemon->config->hooks_len,
	};

	return options.hooks_len ? fac_hooks_start(&options, &daemon->hooks)
				 : X402_OK;
}

static enum x402_err start_admin(
	struct daemon *daemon, struct x402_errinfo *info)
{
	struct fac_admin_options options = {
		.config = daemon->config,
		.store = daemon->store,
		.sources =
			{
				.loop = daemon->loop,
				.settler = daemon->settler,
				.workers = daemon->workers,
				.workers_len = daemon->workers_len,
				.watch = daemon->watch,
				.chains_len = daemon->config->chains_len,
			},
		.hooks = daemon->hooks,
		.status = daemon->status,
		.http = daemon->counts,
		.http_len = daemon->workers_len,
	};

	return fac_admin_start(&options, info, &daemon->admin);
}

static void log_admin(const struct daemon *daemon)
{
	struct x402_buf url = {0};

	if (!daemon->admin)
		return;
	fac_admin_url(daemon->admin, &url);
	fac_log_text(FAC_LOG_INFO, "admin_listening",
		url.failed ? NULL : (const char *)url.ptr);
	x402_buf_clear(&url);
}

static void log_listening(const struct daemon *daemon)
{
	const char *host = daemon->config->host;
	char url[FAC_CONFIG_HOST_SIZE + 32];
	struct x402_buf store = {0};
	struct fac_log_line line;

	snprintf(url, sizeof(url),
		strchr(host, ':') ? "http://[%s]:%u" : "http://%s:%u", host,
		fac_worker_port(daemon->workers[0]));
	fac_log_begin(&line, FAC_LOG_INFO, "listening");
	fac_log_str(&line, "url", url);
	fac_log_u64(&line, "workers", daemon->workers_len);
	fac_log_u64(&line, "chains", daemon->config->chains_len);
	fac_config_redact_store(daemon->config->store_path, &store);
	x402_buf_add_byte(&store, '\0');
	fac_log_str(
		&line, "store", store.failed ? "" : (const char *)store.ptr);
	fac_log_end(&line);
	x402_buf_clear(&store);
}

/* Who may spend how much of the signers' gas, and where that is said. */
static void log_ceilings(const struct fac_config_chain *chain)
{
	const struct fac_config_settling *settling = &chain->settling;
	const char *caip2 = chain->network.caip2;
	struct fac_log_line line;

	fac_log_begin(&line, FAC_LOG_INFO, "gas_ceilings");
	fac_log_str(&line, "network", caip2);
	fac_log_u64(&line, "daily_other_tokens_gwei",
		fac_config_settling_others(settling, caip2));
	fac_log_u64(&line, "daily_total_gwei", settling->daily_total_gwei);
	fac_log_str(&line, "text",
		"of a UTC day, 0 is none; raise them in the chain's section, "
		"or "
		"name your tokens in batch_tokens");
	fac_log_end(&line);
}

static void serve(struct daemon *daemon)
{
	struct x402_errinfo info = {0};
	bool usable = false;

	for (size_t i = 0; i < daemon->config->chains_len; i++)
		usable |= atomic_load(&daemon->status[i].health) !=
			FAC_CHAIN_WRONG;
	if (!usable) {
		give_up(daemon, EXIT_CHAIN,
			"every configured chain is served by endpoints of "
			"another chain");
		return;
	}
	enum x402_err err = start_settler(daemon);
	if (err) {
		give_up(daemon, EXIT_INTERNAL, x402_err_text(err));
		return;
	}
	err = start_workers(daemon, &info);
	if (!err)
		err = start_hooks(daemon);
	if (!err)
		err = fac_retention_start(daemon->loop, daemon->store,
			daemon->config->retention_days, &daemon->retention);
	if (!err)
		err = fac_watchdog_start(daemon->loop, daemon->settler, notify,
			&daemon->watchdog);
	if (!err)
		err = start_admin(daemon, &info);
	if (err) {
		give_up(daemon,
			err == X402_ERR_NETWORK ? EXIT_LISTEN : EXIT_INTERNAL,
			info.text[0] ? info.text : x402_err_text(err));
		return;
	}
	daemon->state = SERVING;
	fac_timer_start(daemon->watch_timer, WATCH_EVERY_MS, WATCH_EVERY_MS);
	log_admin(daemon);
	for (size_t i = 0; i < daemon->config->chains_len; i++)
		log_ceilings(&daemon->config->chains[i]);
	notify("READY=1");
	log_listening(daemon);
}

/* ---- Watching the chains. ---- */

static void watch_warn(void *user, const char *text)
{
	(void)user;
	fac_log_text(FAC_LOG_WARN, "rpc", text);
}

static enum x402_err make_watch(struct daemon *daemon, size_t index)
{
	const struct fac_config_chain *chain = &daemon->config->chains[index];
	struct fac_chain_options options = {
		.loop = daemon->loop,
		.chain_id = chain->network.chain_id,
		.svm_genesis = fac_chain_svm_genesis(&chain->network),
		.rpc_urls = (const char *const *)chain->rpc_urls,
		.rpc_urls_len = chain->rpc_urls_len,
		.timeout_ms = chain->rpc_timeout_ms,
		.warn = watch_warn,
	};

	return fac_chain_new(&options, &daemon->watch[index]);
}

static void set_health(
	struct daemon *daemon, size_t index, enum fac_chain_health health)
{
	static const char *const texts[] = {
		[FAC_CHAIN_UNSEEN] = "chain_unseen",
		[FAC_CHAIN_USABLE] = "chain_usable",
		[FAC_CHAIN_DOWN] = "chain_down",
		[FAC_CHAIN_WRONG] = "chain_wrong",
	};
	int before = atomic_exchange(&daemon->status[index].health, health);
	struct fac_log_line line;

	if (before == (int)health)
		return;
	fac_log_begin(&line,
		health == FAC_CHAIN_USABLE ? FAC_LOG_INFO : FAC_LOG_ERROR,
		texts[health]);
	fac_log_str(
		&line, "network", daemon->config->chains[index].network.caip2);
	if (health != FAC_CHAIN_USABLE)
		fac_log_blame(&line, X402_BLAME_CHAIN);
	fac_log_end(&line);
}

/* X402_NETWORK was not given: the chain says which one it is. */
static bool adopt_network(struct x402_network *network, uint64_t chain_id)
{
	char caip2[X402_NETWORK_SIZE];

	snprintf(caip2, sizeof(caip2), "eip155:%llu",
		(unsigned long long)chain_id);
	return chain_id && !x402_network_parse(caip2, network);
}

/* A watch that began without an id accepts any, so look here as well. */
static enum fac_chain_health health_of(const struct x402_network *network,
	enum x402_err err, uint64_t chain_id)
{
	if (err == X402_ERR_CONFLICT || (!err && chain_id != network->chain_id))
		return FAC_CHAIN_WRONG;
	return err ? FAC_CHAIN_DOWN : FAC_CHAIN_USABLE;
}

static void on_chain_checked(void *user, enum x402_err err, uint64_t chain_id)
{
	struct watch_arg *arg = user;
	struct daemon *daemon = arg->daemon;
	size_t index = arg->index;
	struct x402_network *network = &daemon->config->chains[index].network;

	daemon->watch_busy[index] = false;
	if (err == X402_ERR_CANCELLED || daemon->state >= CLOSING)
		return;
	if (!network->caip2[0] && (err || !adopt_network(network, chain_id))) {
		give_up(daemon, EXIT_CHAIN,
			"EVM_RPC_URL did not tell its chain id; set "
			"X402_NETWORK or mend the URL");
		return;
	}
	set_health(daemon, index, health_of(network, err, chain_id));
	if (!daemon->probed[index] &&
		health_of(network, err, chain_id) == FAC_CHAIN_USABLE) {
		daemon->probed[index] = true;
		fac_tokens_probe(daemon->watch[index], network,
			&daemon->config->chains[index].settling);
	}
	if (daemon->state == STARTING && !--daemon->unseen)
		serve(daemon);
}

static void on_watch(void *user)
{
	struct daemon *daemon = user;

	for (size_t i = 0; i < daemon->config->chains_len; i++) {
		if (daemon->watch_busy[i])
			continue;
		daemon->watch_busy[i] = true;
		daemon->watch_args[i] = (struct watch_arg){daemon, i};
		fac_chain_check(daemon->watch[i], WATCH_TIMEOUT_MS,
			on_chain_checked, &daemon->watch_args[i]);
	}
}

/* ---- Beginning. ---- */

static enum x402_err read_signers(struct daemon *daemon)
{
	const struct fac_config *config = daemon->config;
	struct x402_secp256k1 *secp = NULL;
	uint8_t seed[32];

	randombytes_buf(seed, sizeof(seed));
	enum x402_err err = x402_secp256k1_new(seed, &secp);
	for (size_t i = 0; !err && i < config->chains_len; i++)
		for (size_t j = 0; !err && j < config->chains[i].signers_len &&
			config->chains[i].network.family != X402_FAMILY_SVM;
			j++)
			err = x402_secret_address(secp,
				config->chains[i].signers[j],
				&daemon->signers[i][j]);
	x402_secp256k1_free(secp);
	return err;
}

static void begin(void *user)
{
	struct daemon *daemon = user;
	const char *hooks[FAC_HOOKS_MAX];
	struct fac_store_options options = {
		.path = daemon->config->store_path,
		.hooks = hooks,
		.hooks_len = daemon->config->hooks_len,
	};
	struct x402_errinfo info = {0};

	for (size_t i = 0; i < daemon->config->hooks_len; i++)
		hooks[i] = daemon->config->hooks[i].name;
	if (fac_store_open(&options, &info, &daemon->store)) {
		give_up(daemon, EXIT_STORE, info.text);
		return;
	}
	enum x402_err err = read_signers(daemon);
	daemon->unseen = daemon->config->chains_len;
	for (size_t i = 0; !err && i < daemon->config->chains_len; i++)
		err = make_watch(daemon, i);
	if (err) {
		give_up(daemon, EXIT_INTERNAL, x402_err_text(err));
		return;
	}
	on_watch(daemon);
}

static enum exit_code run(struct daemon *daemon)
{
	if (fac_loop_new(&daemon->loop) ||
		fac_timer_new(
			daemon->loop, on_watch, daemon, &daemon->watch_timer) ||
		fac_timer_new(daemon->loop, on_drain_late, daemon,
			&daemon->drain_timer))
		return EXIT_INTERNAL;
	if (pthread_create(&daemon->signal_thread, NULL, signal_main, daemon))
		return EXIT_INTERNAL;
	fac_loop_post(daemon->loop, begin, daemon);
	fac_loop_run(daemon->loop);
	pthread_kill(daemon->signal_thread, SIGUSR2);
	pthread_join(daemon->signal_thread, NULL);
	fac_timer_free(daemon->watch_timer);
	fac_timer_free(daemon->drain_timer);
	fac_admin_free(daemon->admin);
	fac_hooks_free(daemon->hooks);
	fac_retention_free(daemon->retention);
	fac_watchdog_free(daemon->watchdog);
	fac_loop_free(daemon->loop);
	for (size_t i = 0; i < FAC_CONFIG_WORKERS_MAX; i++)
		free(daemon->counts[i]);
	fac_log_text(FAC_LOG_INFO, "stopped", NULL);
	return daemon->code;
}

/* Strangers' connections must leave files for our own. */
static void make_room(struct daemon *daemon)
{
	uint64_t files_max = fac_files_raise();
	struct fac_log_line line;

	daemon->connections = fac_files_connections(daemon->config, files_max);
	if (daemon->connections == daemon->config->max_connections)
		return;
	fac_log_begin(&line, FAC_LOG_WARN, "few_files");
	fac_log_u64(&line, "open_files", files_max);
	fac_log_u64(&line, "max_connections", daemon->connections);
	fac_log_u64(&line, "configured", daemon->config->max_connections);
	fac_log_end(&line);
}

static enum exit_code configured(
	const struct arguments *arguments, struct fac_config *config)
{
	static struct daemon daemon; /* large */
	struct x402_buf dump = {0};

	if (arguments->dump) {
		fac_config_dump(config, &dump);
		(void)!fwrite(dump.ptr, 1, dump.len, stdout);
		x402_buf_clear(&dump);
	}
	if (arguments->check && !arguments->dump)
		printf("%s: configuration is good\n", config->source);
	if (arguments->check || arguments->dump)
		return EXIT_OK;
	fac_log_set_level(config->settings.log_level);
	if (fac_log_open(config->log_file)) {
		fac_log_text(FAC_LOG_ERROR, "cannot_start",
			"log_file cannot be opened");
		return EXIT_CONFIG;
	}
	daemon.config = config;
	daemon.config_path = arguments->config_path;
	make_room(&daemon);
	return run(&daemon);
}

int main(int argc, char **argv)
{
	struct arguments arguments = {0};
	struct x402_buf problems = {0};
	struct fac_config *config = NULL;
	sigset_t blocked;

	argp_err_exit_status = EXIT_USAGE;
	harden();
	argp_parse(&argp, argc, argv, 0, NULL, &arguments);
	if (sodium_init() < 0)
		return EXIT_INTERNAL;
	fill_signals(&blocked);
	sigaddset(&blocked, SIGUSR2);
	sigaddset(&blocked, SIGPIPE); /* a peer that left is no event */
	pthread_sigmask(SIG_BLOCK, &blocked, NULL);

	enum x402_err err = load(arguments.config_path, &problems, &config);
	fac_config_wipe_env();
	if (err) {
		(void)!fwrite(problems.ptr, 1, problems.len, stderr);
		x402_buf_clear(&problems);
		return EXIT_CONFIG;
	}
	enum exit_code code = configured(&arguments, config);
	fac_config_free(config);
	return code;
}
