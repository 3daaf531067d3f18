/*
 * directives.c: directives that are more than a word or a number. What can be
 * said wrongly is refused here with what was expected; what makes no offer
 * together is found by x402_ngx_terms_check.
 */
#include "module.h"

#include <string.h>
#include <time.h>

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

/* The first argument as a value with variables, but for prices. */
static char *read_price(ngx_conf_t *cf, ngx_http_complex_value_t **ret_value)
{
	ngx_str_t *args = cf->args->elts;
	ngx_http_compile_complex_value_t compile;
	ngx_http_complex_value_t *value;

	if (*ret_value)
		return "is duplicate";
	value = ngx_pcalloc(cf->pool, sizeof(*value));
	if (!value)
		return NGX_CONF_ERROR;
	*ret_value = value;
	if (is_dollars(&args[1])) {
		value->value = args[1];
		return NGX_CONF_OK;
	}
	ngx_memzero(&compile, sizeof(compile));
	compile.cf = cf;
	compile.value = &args[1];
	compile.complex_value = value;
	return ngx_http_compile_complex_value(&compile) == NGX_OK
		? NGX_CONF_OK
		: NGX_CONF_ERROR;
}

char *x402_ngx_set_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;

	(void)cmd;
	return read_price(cf, &lcf->price);
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

static bool is_word(const ngx_str_t *arg, const char *word)
{
	return arg->len == strlen(word) &&
		ngx_strncmp(arg->data, (u_char *)(uintptr_t)word, arg->len) ==
		0;
}

/* Words of a configuration end with a NUL. */
static const char *c_str(const ngx_str_t *text)
{
	return (const char *)text->data;
}

/* x402_old_price PRICE [until=2026-11-22T10:00:00Z] */
char *x402_ngx_set_old_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	struct tm tm = {0};
	const char *end;
	ngx_str_t until;

	(void)cmd;
	if (cf->args->nelts > 2) {
		end = named(&args[2], "until=", &until)
			? strptime(c_str(&until), "%Y-%m-%dT%H:%M:%SZ", &tm)
			: NULL;
		if (!end || *end)
			return "expected until=2026-11-22T10:00:00Z";
		lcf->old_price_until = timegm(&tm);
	}
	return read_price(cf, &lcf->old_price);
}

/* x402_facilitator_url URL..., the first one preferred */
char *x402_ngx_set_facilitators(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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

/* ---- Assets and networks. ---- */

static bool asset_word(const ngx_str_t *arg, struct x402_ngx_offer *offer,
	ngx_str_t *ret_decimals)
{
	return named(arg, "name=", &offer->asset_name) ||
		named(arg, "version=", &offer->asset_version) ||
		named(arg, "decimals=", ret_decimals);
}

static char *asset_check(
	const ngx_str_t *decimals, struct x402_ngx_offer *offer)
{
	ngx_int_t number;

	if (decimals->len) {
		number = ngx_atoi(decimals->data, decimals->len);
		if (number < 1 || number > 36)
			return "decimals=: expected 1 to 36";
		offer->asset_decimals = (ngx_uint_t)number;
	}
	if (!offer->asset_name.len != !offer->asset_version.len)
		return "expected name= and version=, or neither";
	if (!offer->asset.len && (offer->asset_name.len || decimals->len))
		return "expected asset= beside name=, version=, decimals=";
	return NGX_CONF_OK;
}

/* x402_asset ADDRESS [name=NAME version=VERSION] [decimals=N] */
char *x402_ngx_set_asset(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	ngx_str_t decimals = ngx_null_string;

	(void)cmd;
	if (lcf->offer.asset.data)
		return "is duplicate";
	lcf->offer.asset = args[1];
	for (ngx_uint_t i = 2; i < cf->args->nelts; i++)
		if (!asset_word(&args[i], &lcf->offer, &decimals))
			return "expected an address, name=, version= and "
			       "decimals=";
	return asset_check(&decimals, &lcf->offer);
}

static void *push(ngx_conf_t *cf, ngx_array_t **array, size_t size)
{
	void *one;

	if (!*array)
		*array = ngx_array_create(cf->pool, 4, size);
	one = *array ? ngx_array_push(*array) : NULL;
	if (one)
		ngx_memzero(one, size);
	return one;
}

/* x402_also NETWORK [pay_to=A] [signer=A] [asset=A [name=N version=V]
 * [decimals=D]] */
char *x402_ngx_set_also(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	struct x402_ngx_offer *offer = push(cf, &lcf->also, sizeof(*offer));
	ngx_str_t decimals = ngx_null_string;

	(void)cmd;
	if (!offer)
		return NGX_CONF_ERROR;
	if (lcf->also->nelts > X402_NGX_ALSO_MAX)
		return "expected at most 7";
	offer->network = args[1];
	for (ngx_uint_t i = 2; i < cf->args->nelts; i++)
		if (!named(&args[i], "pay_to=", &offer->pay_to) &&
			!named(&args[i], "signer=", &offer->signer) &&
			!named(&args[i], "asset=", &offer->asset) &&
			!asset_word(&args[i], offer, &decimals))
			return "expected a network, pay_to=, signer=, asset=, "
			       "name=, version= and decimals=";
	return asset_check(&decimals, offer);
}

/* ---- Who goes free. ---- */

/* x402_pass TIME [uses=N] [scope=path|site] */
char *x402_ngx_set_pass(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	ngx_str_t *args = cf->args->elts;
	ngx_str_t value;
	ngx_int_t uses;

	(void)cmd;
	if (lcf->pass != NGX_CONF_UNSET)
		return "is duplicate";
	lcf->pass = ngx_parse_time(&args[1], 1);
	if (lcf->pass == (time_t)NGX_ERROR || lcf->pass > INT32_MAX)
		return "expected a time such as 1h";
	for (ngx_uint_t i = 2; i < cf->args->nelts; i++) {
		if (named(&args[i], "uses=", &value)) {
			uses = ngx_atoi(value.data, value.len);
			if (uses < 1 || uses > INT32_MAX)
				return "uses=: expected a number above 0";
			lcf->pass_uses = (ngx_uint_t)uses;
		} else if (is_word(&args[i], "scope=site")) {
			lcf->pass_site = 1;
		} else if (!is_word(&args[i], "scope=path")) {
			return "expected a time, uses=N, scope=path or "
			       "scope=site";
		}
	}
	if (lcf->pass_uses && !lcf->pass)
		return "uses=: expected a time above 0: a pass ends";
	return NGX_CONF_OK;
}

/* x402_holder RPC_URL TOKEN [min=N] [price=PRICE] */
char *x402_ngx_set_holder(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	struct x402_provider_holder *holder = push(
		cf, &lcf->holders, sizeof(*holder));
	ngx_str_t value;

	(void)cmd;
	if (!holder)
		return NGX_CONF_ERROR;
	holder->rpc_url = c_str(&args[1]);
	holder->token = c_str(&args[2]);
	for (ngx_uint_t i = 3; i < cf->args->nelts; i++) {
		if (named(&args[i], "min=", &value)) {
			holder->min = c_str(&value);
		} else if (named(&args[i], "price=", &value)) {
			holder->price = x402_ngx_price_read(
				cf->pool, c_str(&value));
			if (!holder->price)
				return "price=: expected $0.01, 0.01usd or "
				       "10000atomic";
		} else {
			return "expected a URL, a token, min=N and price=";
		}
	}
	return NGX_CONF_OK;
}

/* x402_rpc NETWORK URL */
char *x402_ngx_set_rpc(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	struct x402_provider_rpc *rpc = push(cf, &lcf->rpcs, sizeof(*rpc));
	const char *caip2 = x402_network_from_v1_name(c_str(&args[1]));

	(void)cmd;
	if (!rpc)
		return NGX_CONF_ERROR;
	rpc->network = caip2 ? caip2 : c_str(&args[1]);
	rpc->url = c_str(&args[2]);
	return NGX_CONF_OK;
}

/* One more text of a list; false when there is no room. */
static bool add_text(
	ngx_conf_t *cf, const char *const **list, size_t *len, const char *text)
{
	const char **copy;

	if (*len == X402_NGX_PLACES_MAX)
		return false;
	copy = ngx_palloc(cf->pool, (*len + 1) * sizeof(*copy));
	if (!copy)
		return false;
	if (*len)
		ngx_memcpy(copy, *list, *len * sizeof(*copy));
	copy[(*len)++] = text;
	*list = copy;
	return true;
}

static bool policy_of(const ngx_str_t *word, enum x402_provider_policy *ret)
{
	static const struct {
		const char *word;
		enum x402_provider_policy policy;
	} rows[] = {{"allow", X402_PROVIDER_ALLOW},
		{"charge", X402_PROVIDER_CHARGE},
		{"block", X402_PROVIDER_BLOCK}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_word(word, rows[i].word)) {
			*ret = rows[i].policy;
			return true;
		}
	return false;
}

/* x402_crawler NAME allow|charge|block [network=CIDR]... [host=.NAME]...
 * [directory=ORIGIN] */
char *x402_ngx_set_crawler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
	struct x402_ngx_loc *lcf = conf;
	const ngx_str_t *args = cf->args->elts;
	struct x402_provider_crawler *one = push(
		cf, &lcf->crawlers, sizeof(*one));
	ngx_str_t value;
	bool good = true;

	(void)cmd;
	if (!one)
		return NGX_CONF_ERROR;
	if (lcf->crawlers->nelts > X402_NGX_CRAWLERS_MAX)
		return "expected at most 256";
	one->user_agent = c_str(&args[1]);
	if (!policy_of(&args[2], &one->policy))
		return "expected a name, and allow, charge or block";
	for (ngx_uint_t i = 3; good && i < cf->args->nelts; i++) {
		if (named(&args[i], "network=", &value))
			good = add_text(cf, &one->networks, &one->networks_len,
				c_str(&value));
		else if (named(&args[i], "host=", &value))
			good = add_text(cf, &one->hosts, &one->hosts_len,
				c_str(&value));
		else if (named(&args[i], "directory=", &value))
			one->directory = c_str(&value);
		else
			return "expected network=, host=.NAME and directory=";
	}
	return good ? NGX_CONF_OK : "expected at most 1024 of each";
}

/* ---- The ledger. ---- */

/* x402_state PATH [payments=N] [sync] */
char *x402_ngx_set_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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
		} else if (is_word(&args[i], "sync")) {
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
