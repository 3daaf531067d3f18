/*
 * The webhook sections: their keys, the secret that signs, and how a hook is
 * shown without it.
 */
#include "config_p.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* A file name, a line and the name of a section. */
#define FAC_CONFIG_HOOK_WHAT_SIZE (PATH_MAX + 128)

static const enum fac_payment_state events[] = {
	FAC_PAYMENT_SETTLED, FAC_PAYMENT_REVERTED, FAC_PAYMENT_EXPIRED};
#define EVENTS_LEN (sizeof(events) / sizeof(*events))

bool fac_config_hook_event(const char *text, enum fac_payment_state *ret_state)
{
	for (size_t i = 0; i < EVENTS_LEN; i++)
		if (!strcmp(text, fac_payment_state_text(events[i]))) {
			*ret_state = events[i];
			return true;
		}
	return false;
}

/* Printable, so that it can be carried to the receiver as text. */
static bool is_good(const char *text, size_t len)
{
	if (len < FAC_HOOK_SECRET_MIN || len > FAC_HOOK_SECRET_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] >= 127)
			return false;
	return true;
}

bool fac_config_hook_secret(const char *path, const char *prefix,
	struct x402_buf *problems, struct fac_hook_secret **ret_secret)
{
	char what[FAC_CONFIG_HOOK_WHAT_SIZE];
	/* Room for the white space around it. */
	char text[FAC_HOOK_SECRET_MAX + 64] = {0};

	snprintf(what, sizeof(what), "%s: secret file", prefix);
	if (!fac_config_private_file(path, what, problems, text, sizeof(text)))
		return false;
	size_t len = strlen(text);
	struct fac_hook_secret *secret =
		is_good(text, len) ? sodium_malloc(sizeof(*secret)) : NULL;
	if (secret) {
		secret->len = len;
		memset(secret->bytes, 0, sizeof(secret->bytes));
		memcpy(secret->bytes, text, len);
	}
	x402_wipe(text, sizeof(text));
	if (!secret) {
		fac_config_problem(problems,
			"%s %s: expected %d to %d printable characters", what,
			path, FAC_HOOK_SECRET_MIN, FAC_HOOK_SECRET_MAX);
		return false;
	}
	*ret_secret = secret;
	return true;
}

/* ---- Reading a section. ---- */

static char all_events[] = "{settled, reverted, expired}";
cfg_opt_t fac_config_hook_options[] = {
	CFG_STR("url", NULL, CFGF_NONE),
	CFG_STR("secret_file", NULL, CFGF_NONE),
	CFG_STR_LIST("events", all_events, CFGF_NONE),
	CFG_END(),
};

int fac_config_check_event(cfg_t *cfg, cfg_opt_t *opt)
{
	enum fac_payment_state state;
	const char *text = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);

	if (text && fac_config_hook_event(text, &state))
		return 0;
	cfg_error(cfg,
		"%s: expected settled, reverted or expired, got \"%.40s\"",
		cfg_opt_name(opt), text ? text : "");
	return -1;
}

int fac_config_check_hook(cfg_t *cfg, cfg_opt_t *opt)
{
	cfg_t *hook = cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1);
	const char *title = cfg_title(hook);
	const char *url = cfg_getstr(hook, "url");
	size_t len = strlen(title);

	if (!len || len >= FAC_HOOK_NAME_MAX ||
		strspn(title, "abcdefghijklmnopqrstuvwxyz0123456789-_") !=
			len) {
		cfg_error(cfg,
			"webhook \"%.40s\": expected a name of 1 to %d small "
			"letters, digits, - and _",
			title, FAC_HOOK_NAME_MAX - 1);
		return -1;
	}
	if (cfg_opt_size(opt) > FAC_HOOKS_MAX) {
		cfg_error(cfg, "more than %d webhooks", FAC_HOOKS_MAX);
		return -1;
	}
	if (!url || !fac_config_url_ok(url)) {
		cfg_error(cfg,
			"webhook \"%s\": url: expected an http:// or https:// "
			"URL",
			title);
		return -1;
	}
	if (!cfg_getstr(hook, "secret_file")) {
		cfg_error(cfg, "webhook \"%s\": secret_file is missing", title);
		return -1;
	}
	return 0;
}

void fac_config_fill_hook(cfg_t *cfg, const char *path,
	struct fac_config_hook *hook, struct x402_buf *problems)
{
	char prefix[PATH_MAX + 80];

	snprintf(hook->name, sizeof(hook->name), "%s", cfg_title(cfg));
	hook->url = strdup(cfg_getstr(cfg, "url"));
	hook->secret_file = strdup(cfg_getstr(cfg, "secret_file"));
	snprintf(prefix, sizeof(prefix), "%s:%d: webhook \"%s\"", path,
		cfg->line, hook->name);
	/* What is wrong with it is in problems then. */
	(void)fac_config_hook_secret(
		hook->secret_file, prefix, problems, &hook->secret);
	for (unsigned i = 0; i < cfg_size(cfg, "events"); i++) {
		enum fac_payment_state state;
		if (fac_config_hook_event(
			    cfg_getnstr(cfg, "events", i), &state))
			hook->events |= 1u << state;
	}
}

/* ---- What was read. ---- */

void fac_config_hook_clear(struct fac_config_hook *hook)
{
	free(hook->url);
	free(hook->secret_file);
	sodium_free(hook->secret); /* wipes; NULL is fine */
}

void fac_config_hook_dump(
	const struct fac_config_hook *hook, struct x402_buf *buf)
{
	bool first = true;

	x402_buf_printf(buf, "webhook \"%s\" {\n\turl = \"", hook->name);
	fac_config_redact_url(hook->url, buf);
	x402_buf_printf(buf, "\"\n\tsecret_file = \"%s\"\n\tevents = {",
		hook->secret_file);
	for (size_t i = 0; i < EVENTS_LEN; i++) {
		if (!(hook->events & 1u << events[i]))
			continue;
		x402_buf_printf(buf, "%s%s", first ? "" : ", ",
			fac_payment_state_text(events[i]));
		first = false;
	}
	x402_buf_add_str(buf, "}\n}\n");
}

bool fac_config_hook_equal(
	const struct fac_config_hook *a, const struct fac_config_hook *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->url, b->url) &&
		a->events == b->events && a->secret->len == b->secret->len &&
		x402_equal_ct(a->secret->bytes, b->secret->bytes,
			sizeof(a->secret->bytes));
}
