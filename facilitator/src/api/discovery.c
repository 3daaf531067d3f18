/*
 * The discovery catalogue (x402 F-080 to F-086).
 *
 * GET /discovery/resources
 *   1. fac_api_discovery_list   read the filters, or 400
 *   2. ask_store                now, or when a page before it is done
 *   3. on_list                  one page, newest first
 *
 * POST /discovery/resources, body: a v2 PaymentRequired (what a seller answers
 * with 402), or a v1 one
 *   1. fac_api_discovery_post   read and validate, or 400
 *   2. on_put                   201 new, 200 known
 *
 * What is posted is a claim: it is listed as unproven until a payment for it
 * settles here (api/settle.c). metadata.settled tells which is which.
 */
#include "api/catalogue.h"
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>

#define LIMIT_DEFAULT 20
#define LIMIT_MAX     100 /* F-084 */
/* Longer filters match nothing that is listed. */
#define FILTER_MAX 128
/*
 * A page may be 100 rows of 32 KiB, and is in memory several times over while
 * it is made: a worker makes so many at once, and whoever asks meanwhile
 * waits, or is told to come again.
 */
#define PAGES_OPEN_MAX    2
#define PAGES_WAITING_MAX 128

/* ---- GET ---- */

struct fac_page {
	struct fac_request *request;
	struct fac_page *next; /* of those that wait */
	char *type;
	char *pay_to;
	char *scheme;
	char *network;
	char *extension;
	uint64_t limit;
	uint64_t offset;
};

static void free_page(void *state)
{
	struct fac_page *page = state;

	free(page->type);
	free(page->pay_to);
	free(page->scheme);
	free(page->network);
	free(page->extension);
	free(page);
}

static bool read_number(const struct fac_request *request, const char *name,
	uint64_t *ret_value)
{
	bool bad = false;
	char *text = fac_request_query(request, name, &bad);
	struct x402_u256 value;

	if (text &&
		(x402_u256_from_dec(text, &value) ||
			!x402_u256_to_u64(&value, ret_value)))
		bad = true;
	free(text);
	return !bad;
}

/* NULL when all is well, else what was expected. */
static const char *read_filters(
	struct fac_request *request, struct fac_page *page)
{
	const struct {
		const char *name;
		char **ret_text;
	} filters[] = {
		{"type", &page->type},
		{"payTo", &page->pay_to},
		{"scheme", &page->scheme},
		{"network", &page->network},
		{"extensions", &page->extension},
	};
	bool bad = false;

	for (size_t i = 0; i < sizeof(filters) / sizeof(*filters); i++) {
		*filters[i].ret_text = fac_request_query(
			request, filters[i].name, &bad);
		if (bad ||
			(*filters[i].ret_text &&
				strlen(*filters[i].ret_text) > FILTER_MAX))
			return "expected each of type, payTo, scheme, network "
			       "and extensions at most once, up to 128 bytes";
	}
	if (!read_number(request, "limit", &page->limit) || !page->limit ||
		page->limit > LIMIT_MAX)
		return "expected limit from 1 to 100";
	if (!read_number(request, "offset", &page->offset) ||
		page->offset > INT64_MAX)
		return "expected offset as a number from 0";
	return NULL;
}

/* Rows hold JSON that was made here; a row that no longer parses is left out
 * of an item rather than breaking the page. */
static enum x402_err set_text(
	struct x402_json *item, const char *key, const char *text)
{
	struct x402_json *json = NULL;

	if (!text)
		return X402_OK;
	enum x402_err err = x402_json_parse(
		x402_span_str(text), NULL, NULL, &json);
	if (err)
		return err == X402_ERR_NOMEM ? err : X402_OK;
	return x402_json_set_take(item, key, json);
}

static enum x402_err set_metadata(
	struct x402_json *item, const struct fac_resource *resource)
{
	struct x402_json *metadata = NULL;

	if (resource->metadata_json)
		(void)!x402_json_parse(x402_span_str(resource->metadata_json),
			NULL, NULL, &metadata);
	if (x402_json_type(metadata) != X402_JSON_OBJECT) {
		x402_json_unref(metadata);
		metadata = x402_json_new_object();
	}
	if (!metadata ||
		x402_json_set_bool(metadata, "settled", resource->settled) ||
		x402_json_set_string(metadata, "provenance",
			resource->settled ? "settled here" : "unproven")) {
		x402_json_unref(metadata);
		return X402_ERR_NOMEM;
	}
	return x402_json_set_take(item, "metadata", metadata);
}

static struct x402_json *item_json(const struct fac_resource *resource)
{
	struct x402_json *item = x402_json_new_object();
	char updated[FAC_ISO_TIME_SIZE];

	fac_iso_time(resource->updated_ms, updated);
	if (!item || x402_json_set_string(item, "resource", resource->url) ||
		x402_json_set_string(item, "type", resource->type) ||
		x402_json_set_int(
			item, "x402Version", resource->x402_version) ||
		set_text(item, "accepts", resource->accepts_json) ||
		x402_json_set_string(item, "lastUpdated", updated) ||
		set_text(item, "extensions", resource->extensions_json) ||
		set_metadata(item, resource)) {
		x402_json_unref(item);
		return NULL;
	}
	return item;
}

static struct x402_json *items_json(const struct fac_store_reply *reply)
{
	struct x402_json *items = x402_json_new_array();

	for (size_t i = 0; items && i < reply->resources_len; i++)
		if (x402_json_append_take(
			    items, item_json(&reply->resources[i]))) {
			x402_json_unref(items);
			return NULL;
		}
	return items;
}

static void ask_store(struct fac_page *page);

/* The oldest that waits; all of them once nothing may be asked any more. */
static void ask_next(struct fac_app *app)
{
	struct fac_page **at = &app->pages_waiting;
	struct fac_page *page;

	while (*at && (*at)->next)
		at = &(*at)->next;
	page = *at;
	if (!page)
		return;
	*at = NULL;
	app->pages_waiting_len--;
	ask_store(page);
}

static struct x402_json *page_json(
	const struct fac_page *page, const struct fac_store_reply *reply)
{
	struct x402_json *figures = x402_json_new_object();
	struct x402_json *json = x402_json_new_object();

	if (!figures || !json ||
		x402_json_set_int(figures, "limit", (int64_t)page->limit) ||
		x402_json_set_int(figures, "offset", (int64_t)page->offset) ||
		x402_json_set_int(figures, "total", (int64_t)reply->total) ||
		x402_json_set_int(json, "x402Version", X402_V2) ||
		x402_json_set_take(json, "items", items_json(reply)) ||
		x402_json_set_take(
			json, "pagination", x402_json_ref(figures))) {
		x402_json_unref(json);
		json = NULL;
	}
	x402_json_unref(figures);
	return json;
}

static void on_list(void *user, const struct fac_store_reply *reply)
{
	struct fac_page *page = user;
	struct fac_request *request = page->request;
	struct fac_app *app = request->app;

	if (reply->err)
		fac_end(fac_fail(request, 503, "the store did not answer"));
	else
		fac_end(fac_reply(request, 200, page_json(page, reply)));
	app->pages_open--;
	ask_next(app);
}

static void ask_store(struct fac_page *page)
{
	struct fac_app *app = page->request->app;
	struct fac_resource_query query = {
		.type = page->type,
		.pay_to = page->pay_to,
		.scheme = page->scheme,
		.network = page->network,
		.extension = page->extension,
		.limit = (uint32_t)page->limit,
		.offset = page->offset,
	};

	/* Who waited in vain, or has left, costs nothing more. */
	if (app->stopping || page->request->gone) {
		fac_end(fac_busy(page->request, "the daemon is stopping"));
		ask_next(app);
		return;
	}
	app->pages_open++;
	fac_store_resource_list(app->store, &query,
		(struct fac_store_to){app->loop, on_list, page});
}

static struct fac_step wait_in_line(struct fac_page *page)
{
	struct fac_app *app = page->request->app;

	if (app->pages_waiting_len == PAGES_WAITING_MAX)
		return fac_busy(page->request,
			"too many ask for the catalogue; ask again");
	page->next = app->pages_waiting;
	app->pages_waiting = page;
	app->pages_waiting_len++;
	return fac_wait(page->request);
}

struct fac_step fac_api_discovery_list(struct fac_request *request)
{
	struct fac_app *app = request->app;
	struct fac_page *page = calloc(1, sizeof(*page));

	if (!page)
		return fac_fail(request, 500, "out of memory");
	page->request = request;
	page->limit = LIMIT_DEFAULT;
	request->state = page;
	request->state_free = free_page;
	const char *expected = read_filters(request, page);
	if (expected)
		return fac_fail(request, 400, "%s", expected);
	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	if (app->pages_open == PAGES_OPEN_MAX)
		return wait_in_line(page);
	ask_store(page);
	return fac_wait(request);
}

/* ---- POST ---- */

struct posting {
	struct x402_json *body;
	struct fac_resource resource;
	bool has_resource;
};

static void free_posting(void *state)
{
	struct posting *posting = state;

	x402_json_unref(posting->body);
	if (posting->has_resource)
		fac_resource_clear(&posting->resource);
	free(posting);
}

/* The payment that a client would send for the first offer, unsigned. */
static struct x402_json *payload_json(const struct x402_json *body,
	const struct x402_json *offer, int version)
{
	struct x402_json *json = x402_json_new_object();
	const struct x402_json *resource = x402_json_get(body, "resource");
	const struct x402_json *extensions = x402_json_get(body, "extensions");
	bool bad = !json || x402_json_set_int(json, "x402Version", version) ||
		x402_json_set_take(json, "payload", x402_json_new_object());

	if (!bad && version == X402_V1)
		bad = x402_json_set_string(json, "scheme",
			      x402_json_get_string(offer, "scheme")) ||
			x402_json_set_string(json, "network",
				x402_json_get_string(offer, "network"));
	if (!bad && version == X402_V2)
		bad = x402_json_set_take(
			json, "accepted", x402_json_copy(offer));
	if (!bad && resource)
		bad = x402_json_set_take(
			json, "resource", x402_json_copy(resource));
	if (!bad && extensions)
		bad = x402_json_set_take(
			json, "extensions", x402_json_copy(extensions));
	if (bad) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

static enum x402_err build_row(
	struct posting *posting, int version, struct x402_errinfo *info)
{
	const struct x402_json *accepts = x402_json_get(
		posting->body, "accepts");
	const struct x402_json *offer = x402_json_at(accepts, 0);
	struct x402_payment_requirements requirements;
	struct x402_payment_payload payload;

	enum x402_err err = x402_payment_requirements_read(
		offer, version, info, &requirements);
	if (err)
		return err;
	struct x402_json *json = payload_json(posting->body, offer, version);
	err = json ? x402_payment_payload_read(json, info, &payload)
		   : X402_ERR_NOMEM;
	if (!err) {
		err = fac_catalogue_row(&payload, &requirements, accepts, info,
			&posting->resource);
		x402_payment_payload_clear(&payload);
	}
	x402_json_unref(json);
	x402_payment_requirements_clear(&requirements);
	return err;
}

static void on_put(void *user, const struct fac_store_reply *reply)
{
	struct fac_request *request = user;
	const struct posting *posting = request->state;

	if (reply->err) {
		fac_end(fac_fail(request, 503, "the store did not answer"));
		return;
	}
	struct x402_json *json = x402_json_new_object();
	if (!json ||
		x402_json_set_string(json, "resource", posting->resource.url) ||
		x402_json_set_string(json, "type", posting->resource.type) ||
		x402_json_set_string(
			json, "status", reply->claimed ? "listed" : "known") ||
		x402_json_set_string(json, "provenance",
			"unproven until a payment for it settles here")) {
		x402_json_unref(json);
		json = NULL;
	}
	fac_end(fac_reply(request, reply->claimed ? 201 : 200, json));
}

static struct fac_step fail_row(struct fac_request *request, enum x402_err err,
	const struct x402_errinfo *info)
{
	if (err == X402_ERR_NOMEM)
		return fac_fail(request, 500, "out of memory");
	if (err == X402_ERR_NOT_FOUND)
		return fac_fail(request, 400,
			"expected extensions.bazaar (v2) or a discoverable "
			"outputSchema (v1): nothing is declared to list");
	return fac_fail(request, 400, "%s%s%s", info->field,
		info->field[0] ? ": " : "",
		info->text[0] ? info->text : x402_err_text(err));
}

struct fac_step fac_api_discovery_post(struct fac_request *request)
{
	struct fac_app *app = request->app;
	struct posting *posting = calloc(1, sizeof(*posting));
	struct x402_errinfo info = {0};
	struct fac_step step;
	int64_t version = 0;

	if (!posting)
		return fac_fail(request, 500, "out of memory");
	request->state = posting;
	request->state_free = free_posting;
	if (!app->settings.discovery_post)
		return fac_fail(request, 403,
			"posting is off here: resources are listed when a "
			"payment for them settles");
	if (!fac_request_body(request, &posting->body, &step))
		return step;
	if (!x402_json_int64(
		    x402_json_get(posting->body, "x402Version"), &version) ||
		(version != X402_V1 && version != X402_V2))
		return fac_fail(request, 400, "x402Version: expected 1 or 2");
	const struct x402_json *accepts = x402_json_get(
		posting->body, "accepts");
	if (x402_json_type(accepts) != X402_JSON_ARRAY ||
		!x402_json_size(accepts) ||
		x402_json_size(accepts) > X402_ACCEPTS_MAX)
		return fac_fail(request, 400,
			"accepts: expected an array of 1 to %d offers",
			X402_ACCEPTS_MAX);
	enum x402_err err = build_row(posting, (int)version, &info);
	if (err)
		return fail_row(request, err, &info);
	posting->has_resource = true;
	posting->resource.updated_ms = fac_unix_ms();
	if (app->stopping)
		return fac_fail(request, 503, "the daemon is stopping");
	fac_store_resource_put(app->store, &posting->resource,
		(struct fac_store_to){app->loop, on_put, request});
	return fac_wait(request);
}
