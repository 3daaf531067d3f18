/*
 * A configuration as text, without its secrets (--dump-config), and two of them
 * side by side: what a running daemon cannot change (HUP).
 */
#include "config_p.h"

#include <stdio.h>

static void dump_chain(
	const struct fac_config_chain *chain, struct x402_buf *buf)
{
	x402_buf_printf(buf, "chain \"%s\" {\n\trpc_urls = {",
		chain->network.caip2[0] ? chain->network.caip2
					: "asked from the chain");
	for (size_t i = 0; i < chain->rpc_urls_len; i++) {
		x402_buf_add_str(buf, i ? ", \"" : "\"");
		fac_config_redact_url(chain->rpc_urls[i], buf);
		x402_buf_add_byte(buf, '"');
	}
	x402_buf_add_str(buf, "}\n\tsigner_key_file = {");
	for (size_t i = 0; i < chain->signers_len; i++)
		x402_buf_printf(buf, "%s\"%s\"", i ? ", " : "",
			chain->signer_sources[i]);
	x402_buf_printf(buf,
		"}\n\trpc_timeout = %u\n\trpc_head_lag_max = %u\n"
		"\trpc_hedge_ms = %d\n\trpc_rps = %u\n"
		"\tready_head_age = %u\n"
		"\tmax_fee_gwei = %llu\n"
		"\tmax_priority_fee_gwei = %llu\n\tmax_gas = %llu\n"
		"\tmax_compute_units = %u\n"
		"\tmax_priority_fee_lamports = %llu\n",
		chain->rpc_timeout_ms / 1000, chain->rpc_head_lag_max,
		chain->rpc_hedge_ms, chain->rpc_rps, chain->ready_head_age_s,
		(unsigned long long)chain->max_fee_gwei,
		(unsigned long long)chain->max_priority_fee_gwei,
		(unsigned long long)chain->max_gas, chain->max_compute_units,
		(unsigned long long)chain->max_priority_fee_lamports);
	fac_config_settling_dump(&chain->settling, chain->network.caip2, buf);
	x402_buf_add_str(buf, "}\n");
}

void fac_config_dump(const struct fac_config *config, struct x402_buf *buf)
{
	const struct fac_settings *settings = &config->settings;

	x402_buf_printf(buf, "# from %s\n", config->source);
	x402_buf_printf(buf,
		strchr(config->host, ':') ? "listen = \"[%s]:%u\"\n"
					  : "listen = \"%s:%u\"\n",
		config->host, config->port);
	if (config->admin_unix)
		x402_buf_printf(buf, "admin_listen = \"unix:%s\"\n",
			config->admin_unix);
	else if (config->admin_host[0])
		x402_buf_printf(buf,
			strchr(config->admin_host, ':')
				? "admin_listen = \"[%s]:%u\"\n"
				: "admin_listen = \"%s:%u\"\n",
			config->admin_host, config->admin_port);
	else
		x402_buf_add_str(buf, "admin_listen = \"\"\n");
	x402_buf_printf(buf, "workers = %u\nstore = \"", config->workers);
	fac_config_redact_store(config->store_path, buf);
	x402_buf_printf(buf,
		"\"\ninstance = \"%s\"\nretention_days = %u\n"
		"response_deadline = %u\nverify_deadline = %u\n"
		"max_body_bytes = %llu\nmax_connections = %u\n"
		"cors_origin = \"%s\"\ndiscovery_post = %s\n"
		"log_file = \"%s\"\nlog_level = %s\n",
		config->instance, config->retention_days,
		settings->response_deadline_ms / 1000,
		settings->verify_deadline_ms / 1000,
		(unsigned long long)config->max_body_bytes,
		config->max_connections, settings->cors_origin,
		settings->discovery_post ? "true" : "false",
		config->log_file ? config->log_file : "",
		fac_log_level_text(settings->log_level));
	for (size_t i = 0; i < config->chains_len; i++)
		dump_chain(&config->chains[i], buf);
	for (size_t i = 0; i < config->hooks_len; i++)
		fac_config_hook_dump(&config->hooks[i], buf);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_chain(
	const struct fac_config_chain *a, const struct fac_config_chain *b)
{
	if (strcmp(a->network.caip2, b->network.caip2) ||
		a->rpc_urls_len != b->rpc_urls_len ||
		a->signers_len != b->signers_len ||
		a->rpc_timeout_ms != b->rpc_timeout_ms ||
		a->rpc_head_lag_max != b->rpc_head_lag_max ||
		a->rpc_hedge_ms != b->rpc_hedge_ms ||
		a->rpc_rps != b->rpc_rps ||
		a->ready_head_age_s != b->ready_head_age_s ||
		a->max_fee_gwei != b->max_fee_gwei ||
		a->max_priority_fee_gwei != b->max_priority_fee_gwei ||
		a->max_gas != b->max_gas ||
		a->max_compute_units != b->max_compute_units ||
		a->max_priority_fee_lamports != b->max_priority_fee_lamports ||
		!fac_config_settling_equal(&a->settling, &b->settling))
		return false;
	for (size_t i = 0; i < a->rpc_urls_len; i++)
		if (strcmp(a->rpc_urls[i], b->rpc_urls[i]))
			return false;
	for (size_t i = 0; i < a->signers_len; i++)
		if (a->network.family == X402_FAMILY_SVM
				? !x402_equal_ct(a->svm_signers[i],
					  b->svm_signers[i],
					  sizeof(*a->svm_signers[i]))
				: !x402_equal_ct(a->signers[i], b->signers[i],
					  sizeof(*a->signers[i])))
			return false;
	return true;
}

void fac_config_compare(const struct fac_config *a, const struct fac_config *b,
	struct x402_buf *ret_names)
{
	if (strcmp(a->host, b->host) || a->port != b->port)
		x402_buf_add_str(ret_names, "listen ");
	if (!same_text(a->admin_unix, b->admin_unix) ||
		strcmp(a->admin_host, b->admin_host) ||
		a->admin_port != b->admin_port)
		x402_buf_add_str(ret_names, "admin_listen ");
	if (a->workers != b->workers)
		x402_buf_add_str(ret_names, "workers ");
	if (!same_text(a->store_path, b->store_path))
		x402_buf_add_str(ret_names, "store ");
	if (strcmp(a->instance, b->instance))
		x402_buf_add_str(ret_names, "instance ");
	if (a->retention_days != b->retention_days)
		x402_buf_add_str(ret_names, "retention_days ");
	if (a->max_body_bytes != b->max_body_bytes)
		x402_buf_add_str(ret_names, "max_body_bytes ");
	if (a->max_connections != b->max_connections)
		x402_buf_add_str(ret_names, "max_connections ");
	bool same = a->chains_len == b->chains_len;
	for (size_t i = 0; same && i < a->chains_len; i++)
		same = same_chain(&a->chains[i], &b->chains[i]);
	if (!same)
		x402_buf_add_str(ret_names, "chain ");
	same = a->hooks_len == b->hooks_len;
	for (size_t i = 0; same && i < a->hooks_len; i++)
		same = fac_config_hook_equal(&a->hooks[i], &b->hooks[i]);
	if (!same)
		x402_buf_add_str(ret_names, "webhook ");
}
