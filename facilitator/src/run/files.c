/*
 * What is kept for ourselves: connections to each endpoint of each chain, of
 * every thread that asks them, and the files of journal, log and listeners.
 */
#include "run/files.h"

#include <sys/resource.h>

/* Connections of one thread to one endpoint: see chain/http.c. */
#define PER_ENDPOINT 16
/* Threads that ask endpoints beside the workers: the settler, the watch. */
#define OTHER_THREADS 2
/* Journal, its lock and its log; loops and their pipes; web hooks; operators.
 */
#define FOR_THE_REST 64
/* Above this no kernel of today is asked; it only costs tables. */
#define FILES_ENOUGH 1048576

uint64_t fac_files_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return FILES_ENOUGH;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < FILES_ENOUGH ? limit.rlim_max
							       : FILES_ENOUGH;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
		(void)getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur < FILES_ENOUGH ? limit.rlim_cur : FILES_ENOUGH;
}

uint32_t fac_files_connections(
	const struct fac_config *config, uint64_t files_max)
{
	uint64_t endpoints = 0;
	uint64_t own;

	for (size_t i = 0; i < config->chains_len; i++)
		endpoints += config->chains[i].rpc_urls_len;
	own = FOR_THE_REST +
		endpoints * PER_ENDPOINT * (config->workers + OTHER_THREADS);
	if (files_max < own + config->workers)
		return config->workers;
	return files_max - own < config->max_connections
		? (uint32_t)(files_max - own)
		: config->max_connections;
}
