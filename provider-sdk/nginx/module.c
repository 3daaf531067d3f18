/*
 * module.c: the directives of the nginx module, what they default to and
 * inherit, and the life of the master and its workers.
 *
 *   merge_loc()      checks each location that sells, as far as it can be
 *   postconfigure()  phases and filters
 *   init_module()    the ledger's file, made by the master for its workers
 *   init_process()   a worker maps it and opens libcurl
 *
 * Whatever is missing or wrong stops nginx from starting (or from reloading);
 * a facilitator that is down does not: nothing is looked up here.
 */
#include "module.h"

#include <string.h>

#define STATE_PATH_DEFAULT "/var/lib/nginx/x402.state"

struct x402_ledger *x402_ngx_ledger;

char *x402_ngx_str(ngx_pool_t *pool, const ngx_str_t *str)
{
	char *copy = ngx_pnalloc(pool, str->len + 1);

	if (!copy)
		return NULL;
	ngx_memcpy(copy, str->data, str->len);
	copy[str->len] = '\0';
	return copy;
}

/* ---- Directives with a reading of their own. ---- */

/* "$0.01" is a price and no variable; "$price" is one. */
static bool is_dollars(const ngx_str_t *text)
{
	if (text->len < 2 || text->data[0] != '$')
		return false;
	for (size_t i = 1; i < text->len; i++)
		if (!strchr("0123456789.", text->data[i]))
			return false;
	return true;
}

static char *set_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;

	if (!is_dollars(&args[1]))
		return ngx_http_set_complex_value_slot(cf, cmd, conf);
	if (lcf->price)
		return "is duplicate";
	lcf->price = ngx_pcalloc(cf->pool, sizeof(*lcf->price));
	if (!lcf->price)
		return NGX_CONF_ERROR;
	lcf->price->value = args[1];
	return NGX_CONF_OK;
}

/* Does an argument begin with "name="? Then what follows. */
static bool named(const ngx_str_t *arg, const char *name, ngx_str_t *ret_value)
{
	size_t len = strlen(name);

	if (arg->len <= len ||
		ngx_strncmp(arg->data, (u_char *)(uintptr_t)name, len) != 0)
		return false;
	ret_value->data = arg->data + len;
	ret_value->len = arg->len - len;
	return true;
}

/* x402_facilitator_url URL..., the first one preferred */
static char *set_facilitators(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	ngx_str_t *url;

	(void)cmd;
	if (lcf->facilitators)
		return "is duplicate";
	lcf->facilitators = ngx_array_create(
		cf->pool, cf->args->nelts, sizeof(ngx_str_t));
	for (ngx_uint_t i = 1; i < cf->args->nelts; i++) {
		url = lcf->facilitators ? ngx_array_push(lcf->facilitators)
					: NULL;
		if (!url)
			return NGX_CONF_ERROR;
		*url = args[i];
	}
	if (lcf->facilitators->nelts > X402_PROVIDER_FACILITATORS_MAX)
		return "expected at most 8";
	return NGX_CONF_OK;
}

/* x402_asset ADDRESS [name=NAME version=VERSION [decimals=N]] */
static char *set_asset(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	ngx_str_t decimals = ngx_null_string;
	ngx_int_t number;

	(void)cmd;
	if (lcf->asset.data)
		return "is duplicate";
	lcf->asset = args[1];
	for (ngx_uint_t i = 2; i < cf->args->nelts; i++)
		if (!named(&args[i], "name=", &lcf->asset_name) &&
			!named(&args[i], "version=", &lcf->asset_version) &&
			!named(&args[i], "decimals=", &decimals))
			return "expected an address, name=, version= and "
			       "decimals=";
	if (decimals.len) {
		number = ngx_atoi(decimals.data, decimals.len);
		if (number < 1 || number > 36)
			return "decimals=: expected 1 to 36";
		lcf->asset_decimals = (ngx_uint_t)number;
	}
	if (!lcf->asset_name.len != !lcf->asset_version.len)
		return "expected name= and version=, or neither";
	return NGX_CONF_OK;
}

/* x402_state PATH [payments=N] [sync] */
static char *set_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_main *mcf = conf;
	ngx_str_t *args = cf->args->elts;
	ngx_str_t value;
	ngx_int_t slots;

	(void)cmd;
	if (mcf->state_path.data)
		return "is duplicate";
	mcf->state_path = args[1];
	if (ngx_conf_full_name(cf->cycle, &mcf->state_path, 0) != NGX_OK)
		return NGX_CONF_ERROR;
	for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
		if (named(&args[i], "payments=", &value)) {
			slots = ngx_atoi(value.data, value.len);
			if (slots < X402_LEDGER_SLOTS_MIN ||
				slots > X402_LEDGER_SLOTS_MAX)
				return "payments=: expected 64 to 4194304";
			mcf->state_slots = (ngx_uint_t)slots;
		} else if (args[i].len == 4 &&
			ngx_strncmp(args[i].data, "sync", 4) == 0) {
#if (NGX_THREADS)
			mcf->state_sync = 1;
			/* The disk is waited for there, never in the worker. */
			if (!ngx_thread_pool_add(cf, NULL))
				return NGX_CONF_ERROR;
#else
			return "sync needs nginx with threads";
#endif
		} else {
			return "expected a path, payments=N, sync";
		}
	}
	return NGX_CONF_OK;
}

static char *set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	ngx_http_core_loc_conf_t *clcf = ngx_http_conf_get_module_loc_conf(
		cf, ngx_http_core_module);
	struct x402_ngx_main *mcf = ngx_http_conf_get_module_main_conf(
		cf, ngx_http_x402_module);

	(void)cmd;
	(void)conf;
	clcf->handler = x402_ngx_status;
	mcf->used = 1;
	return NGX_CONF_OK;
}

static ngx_conf_enum_t settle_words[] = {
	{ngx_string("after"), X402_PROVIDER_SETTLE_AFTER},
	{ngx_string("before"), X402_PROVIDER_SETTLE_BEFORE},
	{ngx_string("reserve"), X402_PROVIDER_SETTLE_RESERVE},
	{ngx_null_string, 0},
};

#define EVERYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define LOC(word, args, setter, member)                             \
	{                                                           \
		ngx_string(word), EVERYWHERE | args, setter,        \
			NGX_HTTP_LOC_CONF_OFFSET,                   \
			offsetof(struct x402_ngx_loc, member), NULL \
	}

static ngx_command_t commands[] = {
	LOC("x402", NGX_CONF_FLAG, ngx_conf_set_flag_slot, enable),
	LOC("x402_price", NGX_CONF_TAKE1, set_price, price),
	LOC("x402_pay_to", NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
		pay_to),
	LOC("x402_public_origin", NGX_CONF_TAKE1,
		ngx_http_set_complex_value_slot, public_origin),
	LOC("x402_exempt", NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
		exempt),
	LOC("x402_network", NGX_CONF_TAKE1, ngx_conf_set_str_slot, network),
	LOC("x402_asset", NGX_CONF_1MORE, set_asset, asset),
	LOC("x402_facilitator_url", NGX_CONF_1MORE, set_facilitators,
		facilitators),
	LOC("x402_facilitator_authorization", NGX_CONF_TAKE1,
		ngx_conf_set_str_slot, facilitator_authorization),
	LOC("x402_facilitator_trusted_certificate", NGX_CONF_TAKE1,
		ngx_conf_set_str_slot, facilitator_certificate),
	LOC("x402_description", NGX_CONF_TAKE1, ngx_conf_set_str_slot,
		description),
	LOC("x402_mime_type", NGX_CONF_TAKE1, ngx_conf_set_str_slot, mime_type),
	LOC("x402_cors_origin", NGX_CONF_TAKE1, ngx_conf_set_str_slot,
		cors_origin),
	LOC("x402_shadow", NGX_CONF_FLAG, ngx_conf_set_flag_slot, shadow),
	LOC("x402_pass", NGX_CONF_TAKE1, ngx_conf_set_sec_slot, pass),
	LOC("x402_page", NGX_CONF_FLAG, ngx_conf_set_flag_slot, page),
	LOC("x402_v1", NGX_CONF_FLAG, ngx_conf_set_flag_slot, v1),
	LOC("x402_verify_timeout", NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
		verify_timeout),
	LOC("x402_settle_timeout", NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
		settle_timeout),
	LOC("x402_payment_timeout", NGX_CONF_TAKE1, ngx_conf_set_num_slot,
		payment_timeout),
	{ngx_string("x402_settle"), EVERYWHERE | NGX_CONF_TAKE1,
		ngx_conf_set_enum_slot, NGX_HTTP_LOC_CONF_OFFSET,
		offsetof(struct x402_ngx_loc, settle), settle_words},
	{ngx_string("x402_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
		set_status, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
	{ngx_string("x402_state"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
		set_state, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},
	ngx_null_command,
};

/* ---- Defaults and inheritance. ---- */

static void *create_main(ngx_conf_t *cf)
{
	return ngx_pcalloc(cf->pool, sizeof(struct x402_ngx_main));
}

static char *init_main(ngx_conf_t *cf, void *conf)
{
	struct x402_ngx_main *mcf = conf;

	(void)cf;
	if (!mcf->state_path.data) {
		ngx_str_set(&mcf->state_path, STATE_PATH_DEFAULT);
	}
	if (!mcf->state_slots)
		mcf->state_slots = X402_LEDGER_SLOTS_DEFAULT;
	return NGX_CONF_OK;
}

static void *create_loc(ngx_conf_t *cf)
{
	struct x402_ngx_loc *lcf = ngx_pcalloc(cf->pool, sizeof(*lcf));

	if (!lcf)
		return NULL;
	lcf->enable = NGX_CONF_UNSET;
	lcf->shadow = NGX_CONF_UNSET;
	lcf->v1 = NGX_CONF_UNSET;
	lcf->page = NGX_CONF_UNSET;
	lcf->pass = NGX_CONF_UNSET;
	lcf->settle = NGX_CONF_UNSET_UINT;
	lcf->verify_timeout = NGX_CONF_UNSET_MSEC;
	lcf->settle_timeout = NGX_CONF_UNSET_MSEC;
	lcf->payment_timeout = NGX_CONF_UNSET;
	return lcf;
}

/* A name that a browser could be sent to. */
static bool is_host(const ngx_str_t *name)
{
	if (name->len == 0 || name->len > 253 || name->data[0] == '.')
		return false;
	for (size_t i = 0; i < name->len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-.",
			    ngx_tolower(name->data[i])))
			return false;
	return true;
}

/* An absolute NUL-terminated path, as libcurl wants it. */
static char *full_path(ngx_conf_t *cf, ngx_str_t *path)
{
	if (path->len && ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK)
		return NGX_CONF_ERROR;
	return NGX_CONF_OK;
}

static char *check_loc(ngx_conf_t *cf, struct x402_ngx_loc *lcf)
{
	ngx_http_core_srv_conf_t *cscf = ngx_http_conf_get_module_srv_conf(
		cf, ngx_http_core_module);
	struct x402_ngx_main *mcf = ngx_http_conf_get_module_main_conf(
		cf, ngx_http_x402_module);
	const char *missing = !lcf->price ? "x402_price"
		: !lcf->pay_to            ? "x402_pay_to"
		: !lcf->network.len       ? "x402_network"
					  : NULL;

	if (missing) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
			"x402 is on, and %s is missing", missing);
		return NGX_CONF_ERROR;
	}
	lcf->server_name = cscf->server_name;
	if (!lcf->public_origin && !is_host(&lcf->server_name)) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
			"x402 is on, x402_public_origin is missing, and "
			"server_name \"%V\" is no host",
			&lcf->server_name);
		return NGX_CONF_ERROR;
	}
	mcf->used = 1;
	return x402_ngx_terms_check(cf, lcf) == NGX_OK ? NGX_CONF_OK
						       : NGX_CONF_ERROR;
}

static void terms_cleanup(void *data)
{
	x402_ngx_terms_clear(data);
}

static char *merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
	struct x402_ngx_loc *prev = parent;
	struct x402_ngx_loc *conf = child;
	ngx_pool_cleanup_t *cln;

	ngx_conf_merge_value(conf->enable, prev->enable, 0);
	ngx_conf_merge_value(conf->shadow, prev->shadow, 0);
	ngx_conf_merge_value(conf->v1, prev->v1, 1);
	ngx_conf_merge_value(conf->page, prev->page, 0);
	ngx_conf_merge_sec_value(conf->pass, prev->pass, 0);
	if (!conf->price)
		conf->price = prev->price;
	if (!conf->pay_to)
		conf->pay_to = prev->pay_to;
	if (!conf->public_origin)
		conf->public_origin = prev->public_origin;
	if (!conf->exempt)
		conf->exempt = prev->exempt;
	ngx_conf_merge_str_value(conf->network, prev->network, "");
	if (!conf->asset.data) {
		conf->asset = prev->asset;
		conf->asset_name = prev->asset_name;
		conf->asset_version = prev->asset_version;
		conf->asset_decimals = prev->asset_decimals;
	}
	if (!conf->facilitators)
		conf->facilitators = prev->facilitators;
	ngx_conf_merge_str_value(conf->facilitator_authorization,
		prev->facilitator_authorization, "");
	if (full_path(cf, &conf->facilitator_certificate) != NGX_CONF_OK)
		return NGX_CONF_ERROR;
	if (!conf->facilitator_certificate.data)
		conf->facilitator_certificate = prev->facilitator_certificate;
	ngx_conf_merge_str_value(conf->description, prev->description, "");
	ngx_conf_merge_str_value(conf->mime_type, prev->mime_type, "");
	ngx_conf_merge_str_value(conf->cors_origin, prev->cors_origin, "");
	ngx_conf_merge_uint_value(
		conf->settle, prev->settle, X402_PROVIDER_SETTLE_AFTER);
	ngx_conf_merge_msec_value(
		conf->verify_timeout, prev->verify_timeout, 10000);
	/* Twice this (x402 P-160) is less than nginx's send_timeout. */
	ngx_conf_merge_msec_value(
		conf->settle_timeout, prev->settle_timeout, 25000);
	ngx_conf_merge_value(conf->payment_timeout, prev->payment_timeout,
		X402_PROVIDER_TIMEOUT_SECONDS);
	if (!conf->enable)
		return NGX_CONF_OK;
	cln = ngx_pool_cleanup_add(cf->pool, 0);
	if (!cln)
		return NGX_CONF_ERROR;
	cln->handler = terms_cleanup;
	cln->data = conf;
	return check_loc(cf, conf);
}

/* ---- Phases, filters, processes. ---- */

static ngx_int_t preconfigure(ngx_conf_t *cf)
{
	return x402_ngx_variables(cf);
}

static ngx_int_t postconfigure(ngx_conf_t *cf)
{
	ngx_http_core_main_conf_t *cmcf = ngx_http_conf_get_module_main_conf(
		cf, ngx_http_core_module);
	ngx_array_t *access = &cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers;
	ngx_http_handler_pt *handler = ngx_array_push(access);
	ngx_http_handler_pt *handlers;

	if (!handler)
		return NGX_ERROR;
	/* nginx calls the last one first. Ours goes last, so that whom a
	 * password or an address list keeps out is not charged. */
	handlers = access->elts;
	ngx_memmove(handlers + 1, handlers,
		(access->nelts - 1) * sizeof(*handlers));
	handlers[0] = x402_ngx_access;
	handler = ngx_array_push(
		&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
	if (!handler)
		return NGX_ERROR;
	*handler = x402_ngx_preaccess;
	x402_ngx_filters();
	return NGX_OK;
}

static struct x402_ngx_main *main_of(ngx_cycle_t *cycle)
{
	/* Without an http block there is none. */
	return ngx_http_cycle_get_module_main_conf(cycle, ngx_http_x402_module);
}

static ngx_int_t init_module(ngx_cycle_t *cycle)
{
	struct x402_ngx_main *mcf = main_of(cycle);
	ngx_core_conf_t *ccf = (ngx_core_conf_t *)ngx_get_conf(
		cycle->conf_ctx, ngx_core_module);
	struct x402_errinfo info = {0};
	enum x402_err err;

	if (!mcf || !mcf->used)
		return NGX_OK;
	err = x402_ledger_create((const char *)mcf->state_path.data,
		mcf->state_slots, geteuid() == 0 ? ccf->user : (uid_t)-1,
		&info);
	if (err == X402_OK)
		return NGX_OK;
	ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "%s: %s", info.field,
		*info.text ? info.text : x402_err_text(err));
	return NGX_ERROR;
}

static ngx_int_t init_process(ngx_cycle_t *cycle)
{
	struct x402_ngx_main *mcf = main_of(cycle);
	struct x402_errinfo info = {0};
	enum x402_err err;

	/* nginx's helpers for caches serve nobody. */
	if (!mcf || !mcf->used || x402_ngx_ledger ||
		(ngx_process != NGX_PROCESS_WORKER &&
			ngx_process != NGX_PROCESS_SINGLE))
		return NGX_OK;
	if (x402_ngx_transfers_open(cycle) != NGX_OK)
		return NGX_ERROR;
	err = x402_ledger_open(
		(const char *)mcf->state_path.data, &info, &x402_ngx_ledger);
	/* The worker goes on: what is free is served, what sells is closed. */
	if (err != X402_OK)
		ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "%s: %s",
			info.field,
			*info.text ? info.text : x402_err_text(err));
	return NGX_OK;
}

static void exit_process(ngx_cycle_t *cycle)
{
	(void)cycle;
	x402_ngx_transfers_close();
	x402_ledger_close(x402_ngx_ledger);
	x402_ngx_ledger = NULL;
}

static ngx_http_module_t context = {
	.preconfiguration = preconfigure,
	.postconfiguration = postconfigure,
	.create_main_conf = create_main,
	.init_main_conf = init_main,
	.create_loc_conf = create_loc,
	.merge_loc_conf = merge_loc,
};

ngx_module_t ngx_http_x402_module = {
	NGX_MODULE_V1,
	.ctx = &context,
	.commands = commands,
	.type = NGX_HTTP_MODULE,
	.init_module = init_module,
	.init_process = init_process,
	.exit_process = exit_process,
	NGX_MODULE_V1_PADDING,
};

/* What nginx looks for in the file. The last list says where the filters go:
 * in front of headers in nginx's own list, that is, called after it. */
extern __attribute__((visibility("default"))) ngx_module_t *ngx_modules[];
extern __attribute__((visibility("default"))) char *ngx_module_names[];
extern __attribute__((visibility("default"))) char *ngx_module_order[];
ngx_module_t *ngx_modules[] = {&ngx_http_x402_module, NULL};
char *ngx_module_names[] = {"ngx_http_x402_module", NULL};
char *ngx_module_order[] = {
	"ngx_http_x402_module", "ngx_http_headers_filter_module", NULL};
