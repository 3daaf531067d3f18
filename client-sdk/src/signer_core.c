/*
 * signer_core.c: what the signer answers. No socket here: a line in, a line
 * out, so that all of it can be tested and fuzzed. In order:
 *
 *   1. read_request()  the line: a body, and with a session its grant
 *   2. read_payment()  the body: typed data of a kind that we know
 *   3. judge()         our own policy, then the session's scope
 *   4. reserve()       count and total, durable before anything is signed
 *   5. sign()          over the digest that we made ourselves
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "x402/encoding.h"
#include "x402/json.h"
#include "x402/signer.h"
#include "signer_p.h"

/* Ledgers that are kept open; the one used longest ago goes first. */
#define LEDGERS_MAX 32
/* Longest name of a token's domain. */
#define DOMAIN_TEXT_MAX ((size_t)128)

struct open_ledger {
	char id[X402_SESSION_ID_SIZE];
	struct x402_session_ledger *ledger;
	uint64_t used_at;
};

struct x402_signer_core {
	struct x402_signer_core_options options;
	char *state_directory;
	struct open_ledger ledgers[LEDGERS_MAX];
	uint64_t turn;
};

/* One request while it is answered. Texts point into the JSON. */
struct request {
	struct x402_json *line;
	struct x402_json *body;
	bool has_session;
	struct x402_session_grant grant;
	struct x402_session_ask ask;
	struct x402_eip3009_authorization authorization;
	struct x402_eip712_domain domain;
	struct x402_address contract;
	char network[X402_NETWORK_SIZE];
	struct x402_signable signable;
	uint64_t valid_before;
	uint64_t usd_micros;
};

enum x402_err x402_signer_core_new(
	const struct x402_signer_core_options *options,
	struct x402_errinfo *info, struct x402_signer_core **ret_core)
{
	struct x402_signer_core *core = calloc(1, sizeof(*core));
	if (!core)
		return X402_ERR_NOMEM;
	core->options = *options;
	if (!core->options.max_validity_s)
		core->options.max_validity_s = X402_SIGNER_VALIDITY_S;
	core->state_directory = strdup(options->state_directory);
	enum x402_err err = core->state_directory
		? x402_wallet_directory_make(core->state_directory, info)
		: X402_ERR_NOMEM;
	if (err)
		x402_signer_core_free(core);
	else
		*ret_core = core;
	return err;
}

void x402_signer_core_free(struct x402_signer_core *core)
{
	if (!core)
		return;
	for (size_t i = 0; i < LEDGERS_MAX; i++)
		x402_session_ledger_free(core->ledgers[i].ledger);
	free(core->state_directory);
	free(core);
}

static enum x402_err malformed(
	struct x402_errinfo *info, const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "%s: expected %s", field, expected);
	return X402_ERR_SCHEMA;
}

/* ---- 1. The line. ---- */

/* The session's key has signed exactly this body. */
static enum x402_err check_session(const struct request *request,
	const char *body, struct x402_errinfo *info)
{
	uint8_t sig65[65];
	uint8_t digest32[32];
	struct x402_address signer;
	const char *session = x402_json_get_string(request->body, "session");
	if (!session || strcmp(session, request->grant.id) != 0)
		return malformed(info, "session", "the grant's id in the body");
	if (x402_hex_decode_fixed(
		    x402_json_get_string(request->line, "signature"), sig65,
		    sizeof(sig65)))
		return malformed(info, "signature", "65 bytes in hex");
	x402_session_text_digest(
		X402__SIGNER_REQUEST_PREFIX, x402_span_str(body), digest32);
	if (x402_recover_address(digest32, sig65, &signer) ||
		!x402_address_equal(&signer, &request->grant.key)) {
		x402_errinfo_set(info, "signature",
			"the body was not signed by the session's key");
		return X402_ERR_POLICY;
	}
	return X402_OK;
}

static enum x402_err read_request(const struct x402_signer_core *core,
	struct x402_errinfo *info, struct request *request)
{
	const char *body = x402_json_get_string(request->line, "body");
	const struct x402_json *grant = x402_json_get(request->line, "grant");
	if (!body)
		return malformed(info, "body", "a text of JSON");
	enum x402_err err = x402_json_parse(
		x402_span_str(body), NULL, info, &request->body);
	if (err)
		return err;
	if (!grant && core->options.sessions_only) {
		x402_errinfo_set(
			info, "grant", "this signer serves sessions only");
		return X402_ERR_POLICY;
	}
	if (!grant)
		return X402_OK;
	err = x402_session_grant_read(grant, info, &request->grant);
	if (!err &&
		!x402_address_equal(&request->grant.wallet,
			&core->options.wallet->address)) {
		x402_errinfo_set(
			info, "grant", "it was issued by another wallet");
		err = X402_ERR_POLICY;
	}
	if (!err)
		err = check_session(request, body, info);
	request->has_session = !err;
	return err;
}

/* ---- 2. The payment. ---- */

static bool read_u256(const struct x402_json *json, const char *key,
	struct x402_u256 *ret_value)
{
	const char *text = x402_json_get_string(json, key);
	return text && x402_u256_from_dec(text, ret_value) == X402_OK;
}

static const char *read_text(const struct x402_json *json, const char *key)
{
	const char *text = x402_json_get_string(json, key);
	return text && *text && strlen(text) <= DOMAIN_TEXT_MAX ? text : NULL;
}

static enum x402_err read_domain(
	struct request *request, struct x402_errinfo *info)
{
	const struct x402_json *json = x402_json_get(request->body, "domain");
	int64_t chain_id = 0;
	request->domain = (struct x402_eip712_domain){
		.name = read_text(json, "name"),
		.version = read_text(json, "version"),
		.verifying_contract = &request->contract};
	if (!request->domain.name || !request->domain.version ||
		!x402_json_int64(x402_json_get(json, "chainId"), &chain_id) ||
		chain_id < 1 ||
		x402_address_parse(
			x402_json_get_string(json, "verifyingContract"),
			&request->contract))
		return malformed(info, "domain",
			"name, version, chainId and verifyingContract");
	request->domain.chain_id = (uint64_t)chain_id;
	(void)snprintf(request->network, sizeof(request->network),
		"eip155:%" PRId64, chain_id);
	request->ask.network = request->network;
	request->ask.asset = x402_json_get_string(json, "verifyingContract");
	return X402_OK;
}

static enum x402_err read_message(
	struct request *request, struct x402_errinfo *info)
{
	const struct x402_json *json = x402_json_get(request->body, "message");
	struct x402_eip3009_authorization *auth = &request->authorization;
	if (x402_address_parse(
		    x402_json_get_string(json, "from"), &auth->from) ||
		x402_address_parse(
			x402_json_get_string(json, "to"), &auth->to) ||
		!read_u256(json, "value", &auth->value) ||
		!read_u256(json, "validAfter", &auth->valid_after) ||
		!read_u256(json, "validBefore", &auth->valid_before) ||
		x402_hex_decode_fixed(x402_json_get_string(json, "nonce"),
			auth->nonce32, 32) ||
		!x402_u256_to_u64(&auth->valid_before, &request->valid_before))
		return malformed(info, "message",
			"from, to, value, validAfter, validBefore and nonce");
	request->ask.pay_to = auth->to;
	request->ask.value = auth->value;
	request->ask.url = x402_json_get_string(request->body, "url");
	return X402_OK;
}

static enum x402_err read_payment(
	struct request *request, struct x402_errinfo *info)
{
	uint8_t separator32[32];
	const char *kind = x402_json_get_string(request->body, "kind");
	if (!kind || strcmp(kind, "eip3009") != 0) {
		x402_errinfo_set(info, "kind", "expected eip3009");
		return X402_ERR_UNSUPPORTED;
	}
	enum x402_err err = read_domain(request, info);
	if (!err)
		err = read_message(request, info);
	if (err)
		return err;
	request->signable = (struct x402_signable){
		.kind = X402_SIGNABLE_EIP3009,
		.domain = &request->domain,
		.eip3009 = &request->authorization};
	x402_eip712_domain_separator(&request->domain, separator32);
	x402_eip3009_digest(&request->authorization, separator32,
		request->signable.digest32);
	return X402_OK;
}

/* ---- 3. Policy and scope. ---- */

static enum x402_err judge(const struct x402_signer_core *core,
	struct request *request, struct x402_errinfo *info)
{
	const struct x402_signer_core_options *options = &core->options;
	uint64_t now = request->ask.now_unix_s;
	uint64_t ignored;
	if (!x402_address_equal(
		    &request->authorization.from, &options->wallet->address)) {
		x402_errinfo_set(
			info, "message.from", "it is not this signer's wallet");
		return X402_ERR_POLICY;
	}
	/* It is as good as cash until then. */
	if (request->valid_before <= now ||
		request->valid_before - now > options->max_validity_s) {
		x402_errinfo_set(info, "message.validBefore",
			"expected at most %" PRIu64 " seconds from now",
			options->max_validity_s);
		return X402_ERR_POLICY;
	}
	enum x402_err err = x402_session_judge(
		&options->policy, &request->ask, info, &request->usd_micros);
	if (!err && request->has_session)
		err = x402_session_judge(
			&request->grant.scope, &request->ask, info, &ignored);
	return err;
}

/* ---- 4. Count and total. ---- */

/* id "policy", or a session's: checked to be hex where it was read. */
static enum x402_err find_ledger(struct x402_signer_core *core, const char *id,
	struct x402_errinfo *info, struct x402_session_ledger **ret_ledger)
{
	struct open_ledger *slot = &core->ledgers[0];
	for (size_t i = 0; i < LEDGERS_MAX; i++) {
		struct open_ledger *one = &core->ledgers[i];
		if (one->ledger && strcmp(one->id, id) == 0) {
			one->used_at = ++core->turn;
			*ret_ledger = one->ledger;
			return X402_OK;
		}
		if (one->used_at < slot->used_at)
			slot = one;
	}
	char *path = NULL;
	enum x402_err err = x402_session_ledger_path(core->state_directory,
		&core->options.wallet->address, id, info, &path);
	struct x402_session_ledger *ledger = NULL;
	if (!err)
		err = x402_session_ledger_open(path, info, &ledger);
	free(path);
	if (err)
		return err;
	x402_session_ledger_free(slot->ledger);
	slot->ledger = ledger;
	slot->used_at = ++core->turn;
	(void)snprintf(slot->id, sizeof(slot->id), "%s", id);
	*ret_ledger = ledger;
	return X402_OK;
}

/*
 * The session first: when the policy then refuses, the session has one payment
 * less and nothing was signed, which errs on the safe side.
 */
static enum x402_err reserve(struct x402_signer_core *core,
	const struct request *request, struct x402_errinfo *info)
{
	const struct x402_session_scope *policy = &core->options.policy;
	struct x402_session_ledger *ledger = NULL;
	enum x402_err err = X402_OK;
	if (request->has_session) {
		err = find_ledger(core, request->grant.id, info, &ledger);
		if (!err)
			err = x402_session_ledger_reserve(ledger,
				&request->grant.scope,
				request->signable.digest32, request->usd_micros,
				request->ask.now_unix_s, info);
	}
	if (err || (!policy->max_count && !policy->total_usd_micros))
		return err;
	err = find_ledger(core, "policy", info, &ledger);
	if (!err)
		err = x402_session_ledger_reserve(ledger, policy,
			request->signable.digest32, request->usd_micros,
			request->ask.now_unix_s, info);
	return err;
}

/* ---- 5. The signature. ---- */

static enum x402_err sign(const struct x402_signer_core *core,
	const struct request *request, struct x402_buf *signature)
{
	const struct x402_client_signer *wallet = core->options.wallet;
	struct x402_client_signing signing = {.family = X402_FAMILY_EVM,
		.digest32 = request->signable.digest32,
		.signable = &request->signable,
		.url = request->ask.url,
		.valid_before_unix_s = request->valid_before};
	enum x402_err err = wallet->sign(wallet->user, &signing, signature);
	return !err && signature->failed ? X402_ERR_NOMEM : err;
}

/* ---- Answers. ---- */

static void answer_ok(
	struct x402_buf *answer, const char *key, struct x402_span bytes)
{
	x402_buf_printf(answer, "{\"ok\":true,\"%s\":\"", key);
	x402_hex_encode_0x(bytes, answer);
	x402_buf_add_str(answer, "\"}\n");
}

static void answer_refusal(struct x402_buf *answer, enum x402_err err,
	const struct x402_errinfo *info)
{
	struct x402_json *json = x402_json_new_object();
	bool whole = json && !x402_json_set_bool(json, "ok", false) &&
		!x402_json_set_string(json, "code", x402_err_name(err)) &&
		!x402_json_set_string(json, "field", info->field) &&
		!x402_json_set_string(json, "message",
			info->text[0] ? info->text : x402_err_text(err));
	char *text = whole ? x402_json_dump(json) : NULL;
	x402_buf_add_str(
		answer, text ? text : "{\"ok\":false,\"code\":\"NOMEM\"}");
	x402_buf_add_str(answer, "\n");
	free(text);
	x402_json_unref(json);
}

static enum x402_err do_sign(struct x402_signer_core *core,
	struct request *request, struct x402_errinfo *info,
	struct x402_buf *answer)
{
	struct x402_buf signature = {0};
	enum x402_err err = read_request(core, info, request);
	if (!err)
		err = read_payment(request, info);
	if (!err)
		err = judge(core, request, info);
	if (!err)
		err = reserve(core, request, info);
	if (!err)
		err = sign(core, request, &signature);
	if (!err)
		answer_ok(answer, "signature", x402_buf_span(&signature));
	x402_buf_clear(&signature);
	return err;
}

void x402_signer_core_answer(struct x402_signer_core *core,
	struct x402_span line, uint64_t now_unix_s, struct x402_buf *answer)
{
	struct request request = {.ask = {.now_unix_s = now_unix_s}};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json_limits limits = {
		.max_bytes = X402_SIGNER_LINE_MAX_BYTES};
	enum x402_err err = x402_json_parse(
		line, &limits, &info, &request.line);
	const char *op = x402_json_get_string(request.line, "op");
	if (!err && op && strcmp(op, "address") == 0)
		answer_ok(answer, "address",
			x402_span(core->options.wallet->address.bytes, 20));
	else if (!err && op && strcmp(op, "sign") == 0)
		err = do_sign(core, &request, &info, answer);
	else if (!err)
		err = malformed(&info, "op", "address or sign");
	if (err)
		answer_refusal(answer, err, &info);
	x402_json_unref(request.body);
	x402_json_unref(request.line);
}
