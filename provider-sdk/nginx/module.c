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

#include <stdlib.h>
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

/* ---- Directives. ---- */

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

static ngx_conf_enum_t scheme_words[] = {
	{ngx_string("exact"), 0},
	{ngx_string("upto"), 1},
	{ngx_null_string, 0},
};

static ngx_conf_enum_t identifier_words[] = {
	{ngx_string("off"), X402_PROVIDER_IDENTIFIER_OFF},
	{ngx_string("optional"), X402_PROVIDER_IDENTIFIER_OPTIONAL},
	{ngx_string("required"), X402_PROVIDER_IDENTIFIER_REQUIRED},
	{ngx_null_string, 0},
};

#define EVERYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define WORDS(word, args, setter, member, words)                     \
	{                                                            \
		ngx_string(word), EVERYWHERE | (args), setter,       \
			NGX_HTTP_LOC_CONF_OFFSET,                    \
			offsetof(struct x402_ngx_loc, member), words \
	}
#define LOC(word, args, setter, member) WORDS(word, args, setter, member, NULL)

static ngx_command_t commands[] = {
	LOC("x402", NGX_CONF_FLAG, ngx_conf_set_flag_slot, enable),
	LOC("x402_price", NGX_CONF_TAKE1, x402_ngx_set_price, price),
	LOC("x402_old_price", NGX_CONF_TAKE12, x402_ngx_set_old_price,
		old_price),
	LOC("x402_pay_to", NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
		pay_to),
	LOC("x402_public_origin", NGX_CONF_TAKE1,
		ngx_http_set_complex_value_slot, public_origin),
	LOC("x402_exempt", NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
		exempt),
	LOC("x402_network", NGX_CONF_TAKE1, ngx_conf_set_str_slot,
		offer.network),
	LOC("x402_asset", NGX_CONF_1MORE, x402_ngx_set_asset, offer.asset),
	LOC("x402_also", NGX_CONF_1MORE, x402_ngx_set_also, also),
	WORDS("x402_scheme", NGX_CONF_TAKE1, ngx_conf_set_enum_slot, upto,
		scheme_words),
	LOC("x402_charge", NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
		charge),
	LOC("x402_facilitator_url", NGX_CONF_1MORE, x402_ngx_set_facilitators,
		facilitators),
	LOC("x402_facilitator_signer", NGX_CONF_TAKE1, ngx_conf_set_str_slot,
		offer.signer),
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
	LOC("x402_pass", NGX_CONF_TAKE123, x402_ngx_set_pass, pass),
	LOC("x402_free_per_day", NGX_CONF_TAKE1, ngx_conf_set_num_slot,
		free_per_day),
	LOC("x402_holder", NGX_CONF_2MORE, x402_ngx_set_holder, holders),
	LOC("x402_rpc", NGX_CONF_TAKE2, x402_ngx_set_rpc, rpcs),
	LOC("x402_crawler", NGX_CONF_2MORE, x402_ngx_set_crawler, crawlers),
	LOC("x402_crawlers_only", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
		crawlers_only),
	WORDS("x402_payment_identifier", NGX_CONF_TAKE1, ngx_conf_set_enum_slot,
		payment_identifier, identifier_words),
	LOC("x402_page", NGX_CONF_FLAG, ngx_conf_set_flag_slot, page),
	LOC("x402_v1", NGX_CONF_FLAG, ngx_conf_set_flag_slot, v1),
	LOC("x402_verify_timeout", NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
		verify_timeout),
	LOC("x402_settle_timeout", NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
		settle_timeout),
	LOC("x402_payment_timeout", NGX_CONF_TAKE1, ngx_conf_set_num_slot,
		payment_timeout),
	WORDS("x402_settle", NGX_CONF_TAKE1, ngx_conf_set_enum_slot, settle,
		settle_words),
	{ngx_string("x402_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
		set_status, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
	{ngx_string("x402_document"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
		x402_ngx_set_document, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},
	{ngx_string("x402_state"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
		x402_ngx_set_state, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},
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
	lcf->crawlers_only = NGX_CONF_UNSET;
	lcf->pass = NGX_CONF_UNSET;
	lcf->free_per_day = NGX_CONF_UNSET;
	lcf->payment_identifier = NGX_CONF_UNSET_UINT;
	lcf->upto = NGX_CONF_UNSET_UINT;
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

/* All that makes two locations ask for the same, but for price and payee. */
static const char *write_same(ngx_conf_t *cf, const struct x402_ngx_loc *lcf)
{
	size_t more = lcf->also ? lcf->also->nelts : 0;
	const struct x402_ngx_offer *also = more ? lcf->also->elts : NULL;
	struct x402_buf text = {0};
	char *copy;
	ngx_str_t str;

	x402_buf_add_str(&text, lcf->upto ? "upto" : "exact");
	for (size_t i = 0; i <= more; i++) {
		const struct x402_ngx_offer *offer = i ? &also[i - 1]
						       : &lcf->offer;
		const ngx_str_t *const parts[] = {&offer->network,
			&offer->pay_to, &offer->asset, &offer->asset_name,
			&offer->asset_version, &offer->signer};

		for (size_t j = 0; j < sizeof(parts) / sizeof(*parts); j++) {
			x402_buf_add_byte(&text, '\n');
			x402_buf_add(&text,
				x402_span(parts[j]->data, parts[j]->len));
		}
	}
	copy = x402_buf_take_str(&text);
	if (!copy)
		return NULL;
	str.data = (u_char *)copy;
	str.len = strlen(copy);
	copy = x402_ngx_str(cf->pool, &str);
	free(str.data);
	return copy;
}

static char *check_loc(ngx_conf_t *cf, struct x402_ngx_loc *lcf)
{
	struct x402_ngx_main *mcf = ngx_http_conf_get_module_main_conf(
		cf, ngx_http_x402_module);
	const char *missing = !lcf->price ? "x402_price"
		: !lcf->pay_to            ? "x402_pay_to"
		: !lcf->offer.network.len ? "x402_network"
					  : NULL;

	if (missing) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
			"x402 is on, and %s is missing", missing);
		return NGX_CONF_ERROR;
	}
	if (!lcf->public_origin && !is_host(&lcf->server_name)) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
			"x402 is on, x402_public_origin is missing, and "
			"server_name \"%V\" is no host",
			&lcf->server_name);
		return NGX_CONF_ERROR;
	}
	mcf->used = 1;
	lcf->same = write_same(cf, lcf);
	return lcf->same && x402_ngx_names_check(cf, lcf) == NGX_OK &&
			x402_ngx_terms_check(cf, lcf) == NGX_OK &&
			x402_ngx_document_note(cf, lcf) == NGX_OK
		? NGX_CONF_OK
		: NGX_CONF_ERROR;
}

static void loc_cleanup(void *data)
{
	x402_ngx_terms_clear(data);
	x402_ngx_document_clear(data);
}

static void merge_offer(
	struct x402_ngx_offer *conf, const struct x402_ngx_offer *prev)
{
	/* An asset, and who settles, are those of one network. */
	if (conf->network.data)
		return;
	conf->network = prev->network;
	if (!conf->signer.data)
		conf->signer = prev->signer;
	if (conf->asset.data)
		return;
	conf->asset = prev->asset;
	conf->asset_name = prev->asset_name;
	conf->asset_version = prev->asset_version;
	conf->asset_decimals = prev->asset_decimals;
}

/* Who goes free. */
static void merge_access(
	struct x402_ngx_loc *conf, const struct x402_ngx_loc *prev)
{
	if (conf->pass == NGX_CONF_UNSET) {
		conf->pass = prev->pass == NGX_CONF_UNSET ? 0 : prev->pass;
		conf->pass_uses = prev->pass_uses;
		conf->pass_site = prev->pass_site;
	}
	if (!conf->exempt)
		conf->exempt = prev->exempt;
	if (!conf->crawlers)
		conf->crawlers = prev->crawlers;
	if (!conf->holders)
		conf->holders = prev->holders;
	if (!conf->rpcs)
		conf->rpcs = prev->rpcs;
	ngx_conf_merge_value(conf->free_per_day, prev->free_per_day, 0);
	ngx_conf_merge_value(conf->crawlers_only, prev->crawlers_only, 0);
}

static char *merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
	ngx_http_core_srv_conf_t *cscf = ngx_http_conf_get_module_srv_conf(
		cf, ngx_http_core_module);
	struct x402_ngx_loc *prev = parent;
	struct x402_ngx_loc *conf = child;
	ngx_pool_cleanup_t *cln;

	ngx_conf_merge_value(conf->enable, prev->enable, 0);
	ngx_conf_merge_value(conf->shadow, prev->shadow, 0);
	ngx_conf_merge_value(conf->v1, prev->v1, 1);
	ngx_conf_merge_value(conf->page, prev->page, 0);
	merge_offer(&conf->offer, &prev->offer);
	merge_access(conf, prev);
	if (!conf->price)
		conf->price = prev->price;
	if (!conf->old_price) {
		conf->old_price = prev->old_price;
		conf->old_price_until = prev->old_price_until;
	}
	if (!conf->charge)
		conf->charge = prev->charge;
	if (!conf->also)
		conf->also = prev->also;
	if (!conf->pay_to)
		conf->pay_to = prev->pay_to;
	if (!conf->public_origin)
		conf->public_origin = prev->public_origin;
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
	ngx_conf_merge_uint_value(conf->upto, prev->upto, 0);
	ngx_conf_merge_uint_value(conf->payment_identifier,
		prev->payment_identifier, X402_PROVIDER_IDENTIFIER_OFF);
	ngx_conf_merge_msec_value(
		conf->verify_timeout, prev->verify_timeout, 10000);
	/* Twice this (x402 P-160) is less than nginx's send_timeout. */
	ngx_conf_merge_msec_value(
		conf->settle_timeout, prev->settle_timeout, 25000);
	ngx_conf_merge_value(conf->payment_timeout, prev->payment_timeout,
		X402_PROVIDER_TIMEOUT_SECONDS);
	conf->server_name = cscf->server_name;
	cln = ngx_pool_cleanup_add(cf->pool, 0);
	if (!cln)
		return NGX_CONF_ERROR;
	cln->handler = loc_cleanup;
	cln->data = conf;
	return conf->enable ? check_loc(cf, conf) : NGX_CONF_OK;
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
