/*
 * The catalogue's rows. x402_bazaar_read validates what strangers declare;
 * here it becomes the JSON texts that the store keeps and GET
 * /discovery/resources sends, and the columns that its filters look at.
 */
#include "api/catalogue.h"

#include "x402/bazaar.h"
#include "x402/codec.h"

#include <stdio.h>
#include <stdlib.h>

/* {"bazaar": {"info": ...}}: only what was validated is shown on. */
static char *extensions_text(const struct x402_bazaar_entry *entry)
{
	struct x402_json *bazaar = x402_json_new_object();
	struct x402_json *extensions = x402_json_new_object();
	char *text = NULL;
	bool bad = !bazaar || !extensions;

	if (!bad && entry->info)
		bad = x402_json_set_take(
			bazaar, "info", x402_json_copy(entry->info));
	if (!bad)
		bad = x402_json_set_take(
			extensions, "bazaar", x402_json_ref(bazaar));
	if (!bad)
		text = x402_json_dump(extensions);
	x402_json_unref(bazaar);
	x402_json_unref(extensions);
	return text;
}

static char *accepts_text(const struct x402_payment_requirements *requirements,
	const struct x402_json *accepts)
{
	struct x402_json *offer = NULL;
	struct x402_json *array = NULL;
	char *text = NULL;

	if (accepts)
		return x402_json_dump(accepts);
	array = x402_json_new_array();
	if (array && !x402_payment_requirements_to_json(requirements, &offer) &&
		!x402_json_append_take(array, offer))
		text = x402_json_dump(array);
	x402_json_unref(array);
	return text;
}

static void add_offer(struct fac_resource *resource,
	const struct x402_payment_requirements *requirements)
{
	const char *caip2 = x402_payment_requirements_caip2(requirements);
	struct x402_address pay_to;

	if (!caip2 || resource->offers_len == FAC_RESOURCE_OFFERS_MAX)
		return;
	struct fac_resource_offer *offer =
		&resource->offers[resource->offers_len++];
	snprintf(offer->scheme, sizeof(offer->scheme), "%s",
		requirements->scheme);
	snprintf(offer->network, sizeof(offer->network), "%s", caip2);
	/* One spelling, so that a filter needs no guess. */
	if (x402_address_parse(requirements->pay_to, &pay_to))
		snprintf(offer->pay_to, sizeof(offer->pay_to), "%s",
			requirements->pay_to);
	else
		x402_address_format(&pay_to, offer->pay_to);
}

static void add_offers(struct fac_resource *resource,
	const struct x402_payment_requirements *requirements,
	const struct x402_json *accepts)
{
	if (!accepts)
		add_offer(resource, requirements);
	for (size_t i = 0; i < x402_json_size(accepts); i++) {
		struct x402_payment_requirements offer;
		/* A malformed offer is listed but found by no filter. */
		if (x402_payment_requirements_read(x402_json_at(accepts, i),
			    requirements->x402_version, NULL, &offer))
			continue;
		add_offer(resource, &offer);
		x402_payment_requirements_clear(&offer);
	}
}

/* Moves what entry owns into the row. */
static bool fill(struct fac_resource *resource, struct x402_bazaar_entry *entry,
	const struct x402_payment_requirements *requirements,
	const struct x402_json *accepts)
{
	resource->key = entry->key;
	resource->type = entry->type;
	resource->url = entry->resource;
	entry->key = entry->type = entry->resource = NULL;
	resource->x402_version = requirements->x402_version;
	resource->accepts_json = accepts_text(requirements, accepts);
	resource->extensions_json = extensions_text(entry);
	if (entry->metadata)
		resource->metadata_json = x402_json_dump(entry->metadata);
	add_offers(resource, requirements, accepts);
	snprintf(resource->extension_names[0],
		sizeof(resource->extension_names[0]), "%s", "bazaar");
	resource->extension_names_len = 1;
	return resource->accepts_json && resource->extensions_json &&
		(!entry->metadata || resource->metadata_json);
}

/* Anybody may post one, so what is kept of each is bounded. */
static bool fits(const struct fac_resource *resource)
{
	const char *texts[] = {resource->key, resource->url, resource->type,
		resource->accepts_json, resource->extensions_json,
		resource->metadata_json};
	size_t len = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		len += texts[i] ? strlen(texts[i]) : 0;
	return len <= FAC_RESOURCE_MAX_BYTES;
}

enum x402_err fac_catalogue_row(const struct x402_payment_payload *payload,
	const struct x402_payment_requirements *requirements,
	const struct x402_json *accepts, struct x402_errinfo *info,
	struct fac_resource *ret_resource)
{
	struct x402_bazaar_entry entry = {0};
	enum x402_err err = x402_bazaar_read(
		payload, requirements, info, &entry);

	if (err)
		return err;
	memset(ret_resource, 0, sizeof(*ret_resource));
	bool ok = fill(ret_resource, &entry, requirements, accepts);
	x402_bazaar_entry_clear(&entry);
	if (ok && fits(ret_resource))
		return X402_OK;
	fac_resource_clear(ret_resource);
	if (!ok)
		return X402_ERR_NOMEM;
	x402_errinfo_set(info, "extensions",
		"expected at most %d bytes of offers and declarations",
		FAC_RESOURCE_MAX_BYTES);
	return X402_ERR_TOO_LARGE;
}

char *fac_catalogue_response(const char *status, const char *rejected_reason)
{
	struct x402_json *bazaar = x402_json_new_object();
	struct x402_json *json = x402_json_new_object();
	char *text = NULL;

	if (bazaar && json && !x402_json_set_string(bazaar, "status", status) &&
		!x402_json_set_string(
			bazaar, "rejectedReason", rejected_reason) &&
		!x402_json_set_take(json, "bazaar", x402_json_ref(bazaar)))
		(void)!x402_header_encode(json, &text);
	x402_json_unref(bazaar);
	x402_json_unref(json);
	return text;
}
