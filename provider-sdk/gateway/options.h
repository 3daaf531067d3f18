/*
 * options.h: the command line and the environment of x402-gateway.
 *
 * What counts: the command line, then the file; without a file the
 * environment. So one line is enough for a shop, and a file's shop can be
 * tried on another port.
 *
 * Thread rule: the main thread, before others.
 */
#ifndef GW_OPTIONS_H
#define GW_OPTIONS_H

#include "gateway_config.h"

/* Repeated options; more of them belong into a file. */
#define GW_OPTIONS_REPEATED_MAX 64

struct gw_options {
	const char *config_path; /* or NULL */
	bool check;
	/* As they were given, or NULL. */
	const char *upstream;
	const char *listen;
	const char *admin;
	const char *price;
	const char *pay_to;
	const char *network;
	const char *settle;
	const char *public_origin;
	const char *journal;
	const char *tls_certificate;
	const char *tls_key;
	const char *facilitators[X402_PROVIDER_FACILITATORS_MAX];
	size_t facilitators_len;
	const char *free[GW_OPTIONS_REPEATED_MAX];
	size_t free_len;
	const char *trusted[GW_OPTIONS_REPEATED_MAX];
	size_t trusted_len;
	bool quiet;
};

/* Exits with 2 on a bad option, and with 0 after --help and --version. */
void gw_options_parse(int argc, char **argv, struct gw_options *ret_options);

/*
 * The configuration that they come to; reads the file again each time. Free
 * with gw_config_free. INVALID_ARGUMENT with info.
 */
X402_MUST_USE enum x402_err gw_options_config(const struct gw_options *options,
	struct x402_errinfo *info, struct gw_config **ret_config);

#endif
