/*
 * files.h: open files, which a stranger's connection costs as much as the
 * journal's or an RPC endpoint's does. Whoever connects until there are none
 * left must not keep the daemon from settling what it has taken.
 *
 * Thread rule: main thread, before others run.
 */
#ifndef FAC_RUN_FILES_H
#define FAC_RUN_FILES_H

#include "config.h"

/* As many as the system lets us have; how many those are. */
uint64_t fac_files_raise(void);
/*
 * How many connections there is room for beside our own files, and no more
 * than are configured. At least one for each worker.
 */
uint32_t fac_files_connections(
	const struct fac_config *config, uint64_t files_max);

#endif
