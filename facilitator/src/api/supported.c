/*
 * GET /supported (x402 F-003, F-004).
 *
 *   1. fac_api_supported   kinds of every chain that is usable now
 *
 * A chain that fails leaves this list first, so that sellers stop offering
 * what cannot be settled. Networks are concrete; v1 kinds carry v1 names.
 */
#include "api/api.h"

#include <sodium.h>
#include <stdio.h>

/* Served for real: catalogued on /settle, and honoured on /settle. */
static const char *const extensions[] = {
	"bazaar", "eip2612GasSponsoring", "payment-identifier"};

/*
 * F-004: upto is bound to the account that will send it, and Solana's message
 * to the one that pays its fee. Any of ours will do; they take turns, so that
 * no lane gets all of it.
 */
static enum x402_err add_extra(struct x402_json *kind,
	const struct x402_scheme *scheme, const struct fac_app_chain *chain)
{
	bool is_svm = chain->network.family == X402_FAMILY_SVM;
	char text[X402_ACCOUNT_TEXT_SIZE];
	struct x402_json *extra;
	size_t index;

	if (!is_svm && strcmp(scheme->name, "upto") != 0)
		return X402_OK;
	extra = x402_json_new_object();
	index = randombytes_uniform((uint32_t)chain->signers_len);
	if (is_svm)
		x402_pubkey_format(&chain->fee_payers[index], text);
	else
		x402_address_format(&chain->signers[index], text);
	if (!extra ||
		x402_json_set_string(extra,
			is_svm ? "feePayer" : "facilitatorAddress", text)) {
		x402_json_unref(extra);
		return X402_ERR_NOMEM;
	}
	return x402_json_set_take(kind, "extra", extra);
}

/*
 * Demands F1: what a success means here. Not in extra, which sellers pass on
 * to buyers. As in the configuration: so many blocks, or a word.
 */
static enum x402_err add_confirmations(
	struct x402_json *kind, uint32_t confirmations)
{
	char number[12];
	const char *text = number;

	snprintf(number, sizeof(number), "%u", confirmations);
	if (confirmations == FAC_CONFIRM_SUBMITTED)
		text = "submitted";
	else if (confirmations == FAC_CONFIRM_SAFE)
		text = "safe";
	else if (confirmations == FAC_CONFIRM_FINALIZED)
		text = "finalized";
	return x402_json_set_string(kind, "confirmations", text);
}

/*
 * F-07A: whom an offer by delegation may name as its manager; the delegate is
 * any of the signers below. Beside the kind for the same reason.
 */
static enum x402_err add_managers(struct x402_json *kind, int version,
	const struct x402_scheme *scheme, const struct fac_app_chain *chain)
{
	struct x402_json *array;
	char text[X402_ADDRESS_TEXT_SIZE];
	enum x402_err err = X402_OK;

	if (version != X402_V2 || strcmp(scheme->name, "exact") != 0 ||
		!chain->managers_len)
		return X402_OK;
	array = x402_json_new_array();
	for (size_t i = 0; array && !err && i < chain->managers_len; i++) {
		x402_address_format(&chain->managers[i], text);
		err = x402_json_append_take(array, x402_json_new_string(text));
	}
	if (err) {
		x402_json_unref(array);
		return err;
	}
	return x402_json_set_take(kind, "delegationManagers", array);
}

static enum x402_err add_kind(struct x402_json *kinds, int version,
	const struct x402_scheme *scheme, const struct fac_app_chain *chain)
{
	const char *caip2 = chain->network.caip2;
	const char *network =
		version == X402_V1 ? x402_network_to_v1_name(caip2) : caip2;
	struct x402_json *kind;

	if (!network || (version == X402_V1 && scheme->v2_only))
		return X402_OK;
	kind = x402_json_new_object();
	if (!kind || x402_json_set_int(kind, "x402Version", version) ||
		x402_json_set_string(kind, "scheme", scheme->name) ||
		x402_json_set_string(kind, "network", network) ||
		add_extra(kind, scheme, chain) ||
		add_managers(kind, version, scheme, chain) ||
		add_confirmations(kind, chain->confirmations)) {
		x402_json_unref(kind);
		return X402_ERR_NOMEM;
	}
	return x402_json_append_take(kinds, kind);
}

static enum x402_err add_kinds(
	struct x402_json *kinds, const struct fac_app *app, int version)
{
	for (size_t i = 0; i < app->chains_len; i++) {
		const char *caip2 = app->chains[i].network.caip2;
		const struct x402_scheme *scheme;
		if (!fac_app_chain_usable(&app->chains[i]))
			continue;
		for (size_t j = 0; (scheme = x402_scheme_at(j)); j++) {
			/* One kind for each name: methods are not listed. */
			if (x402_scheme_find(scheme->name, caip2) != scheme ||
				(scheme->shows_transfer &&
					app->chains[i].proofs ==
						X402_PROOFS_OFF))
				continue;
			enum x402_err err = add_kind(
				kinds, version, scheme, &app->chains[i]);
			if (err)
				return err;
		}
	}
	return X402_OK;
}

static bool has_text(const struct x402_json *array, const char *text)
{
	for (size_t i = 0; i < x402_json_size(array); i++)
		if (!strcmp(x402_json_string(x402_json_at(array, i)), text))
			return true;
	return false;
}

/* All signers of one family; each once. NULL: memory is out. */
static struct x402_json *family_json(
	const struct fac_app *app, enum x402_family family)
{
	struct x402_json *array = x402_json_new_array();
	bool bad = !array;

	for (size_t i = 0; !bad && i < app->chains_len; i++) {
		const struct fac_app_chain *chain = &app->chains[i];

		for (size_t j = 0; !bad && chain->network.family == family &&
			j < chain->signers_len;
			j++) {
			char text[X402_ACCOUNT_TEXT_SIZE];

			if (family == X402_FAMILY_SVM)
				x402_pubkey_format(&chain->fee_payers[j], text);
			else
				x402_address_format(&chain->signers[j], text);
			if (!has_text(array, text))
				bad = x402_json_append_take(
					array, x402_json_new_string(text));
		}
	}
	if (!bad)
		return array;
	x402_json_unref(array);
	return NULL;
}

static bool has_family(const struct fac_app *app, enum x402_family family)
{
	for (size_t i = 0; i < app->chains_len; i++)
		if (app->chains[i].network.family == family)
			return true;
	return false;
}

static struct x402_json *signers_json(const struct fac_app *app)
{
	static const struct {
		enum x402_family family;
		const char *pattern;
	} families[] = {
		{X402_FAMILY_EVM, "eip155:*"}, {X402_FAMILY_SVM, "solana:*"}};
	struct x402_json *object = x402_json_new_object();

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (has_family(app, families[i].family) &&
			(!object ||
				x402_json_set_take(object, families[i].pattern,
					family_json(
						app, families[i].family)))) {
			x402_json_unref(object);
			return NULL;
		}
	return object;
}

/* E-20: where at least one chain sends approvals. */
static bool sends_approvals(const struct fac_app *app)
{
	for (size_t i = 0; i < app->chains_len; i++)
		if (app->chains[i].approvals)
			return true;
	return false;
}

static bool writes_codes(const struct fac_app *app)
{
	for (size_t i = 0; i < app->chains_len; i++)
		if (app->chains[i].builder_code)
			return true;
	return false;
}

/* False: memory is out. */
static bool add_name(struct x402_json *array, const char *name)
{
	return !x402_json_append_take(array, x402_json_new_string(name));
}

static struct x402_json *extensions_json(const struct fac_app *app)
{
	struct x402_json *array = x402_json_new_array();

	if (array &&
		((sends_approvals(app) &&
			 !add_name(array, "erc20ApprovalGasSponsoring")) ||
			(writes_codes(app) &&
				!add_name(array, "builder-code")))) {
		x402_json_unref(array);
		return NULL;
	}

	for (size_t i = 0; i < sizeof(extensions) / sizeof(*extensions); i++)
		if (!array ||
			x402_json_append_take(
				array, x402_json_new_string(extensions[i]))) {
			x402_json_unref(array);
			return NULL;
		}
	return array;
}

struct fac_step fac_api_supported(struct fac_request *request)
{
	const struct fac_app *app = request->app;
	struct x402_json *kinds = x402_json_new_array();
	struct x402_json *json = x402_json_new_object();

	if (!kinds || !json || add_kinds(kinds, app, X402_V2) ||
		add_kinds(kinds, app, X402_V1) ||
		x402_json_set_take(json, "kinds", x402_json_ref(kinds)) ||
		x402_json_set_take(json, "extensions", extensions_json(app)) ||
		x402_json_set_take(json, "signers", signers_json(app))) {
		x402_json_unref(json);
		json = NULL;
	}
	x402_json_unref(kinds);
	return fac_reply(request, 200, json);
}
