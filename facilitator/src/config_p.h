/*
 * config_p.h: what config.c shares of libconfuse with those that fill the
 * parts of a configuration.
 */
#ifndef FAC_CONFIG_P_H
#define FAC_CONFIG_P_H

#include "config.h"

#include <confuse.h>

/* ---- config_check.c ---- */
/* The validators of every key; not of a section that comes later. */
void fac_config_set_checks(cfg_t *cfg);

/* ---- config_hook.c ---- */
/* The keys of a webhook section, and its validators. */
extern cfg_opt_t fac_config_hook_options[];
int fac_config_check_hook(cfg_t *cfg, cfg_opt_t *opt);
int fac_config_check_event(cfg_t *cfg, cfg_opt_t *opt);
/* A section that was validated; what is wrong with its file: problems. */
void fac_config_fill_hook(cfg_t *cfg, const char *path,
	struct fac_config_hook *hook, struct x402_buf *problems);
/* What says how a chain's payments are settled, of its validated section. */
void fac_config_fill_settling(cfg_t *cfg, struct fac_config_settling *settling);
/* What the chain's family does not allow, by the name of its source. */
void fac_config_check_settling(const struct fac_config_chain *chain,
	const char *source, struct x402_buf *problems);

#endif
