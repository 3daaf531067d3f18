/*
 * signer_core.c: what the signer answers. No socket here: a line in, a line
 * out, so that all of it can be tested and fuzzed. In order:
 *
 *   1. read_request()  the line: a body, and with a session its grant
 *   2. read_payment()  the body: a payment of a kind that we know
 *   3. judge()         our own policy, then the session's scope
 *   4. reserve()       count and total, durable before anything is signed
 *   5. sign()          over what we made ourselves
 *
 * A sign-in moves nothing and is not counted: do_sign_in() reads it line by
 * line and holds its site against the same two scopes.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "x402/encoding.h"
#include "x402/json.h"
#include "x402/signer.h"
#include "signer_p.h"
#include "signer_payment_p.h"
#include "signer_sign_in_p.h"

/* A site takes a proof for some minutes; one of tomorrow is nobody's today. */
#define SIGN_IN_AHEAD_S 300

/* Ledgers that are kept open; the one used longest ago goes first. */
#define LEDGERS_MAX 32

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
	struct x402__signer_payment payment;
	uint64_t now_unix_s;
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

static enum x402_err read_payment(const struct x402_signer_core *core,
	struct request *request, struct x402_errinfo *info)
{
	const struct x402_client_svm_signer *svm = core->options.svm_wallet;
	struct x402__signer_wallets wallets = {
		.evm = &core->options.wallet->address,
		.svm = svm ? &svm->address : NULL};
	return x402__signer_payment_read(
		request->body, &wallets, info, &request->payment);
}

/* ---- 3. Policy and scope. ---- */

/* What was signed is as good as cash until then. */
static enum x402_err judge_validity(const struct x402_signer_core *core,
	const struct request *request, struct x402_errinfo *info)
{
	uint64_t valid_before = request->payment.valid_before;
	uint64_t now = request->now_unix_s;
	/* A blockhash lives for a minute or two, whatever anybody says. */
	if (request->payment.signable.kind == X402_SIGNABLE_SVM)
		return X402_OK;
	if (valid_before > now &&
		valid_before - now <= core->options.max_validity_s)
		return X402_OK;
	x402_errinfo_set(info, "message.validBefore",
		"expected an end at most %" PRIu64 " seconds from now",
		core->options.max_validity_s);
	return X402_ERR_POLICY;
}

static enum x402_err judge(const struct x402_signer_core *core,
	struct request *request, struct x402_errinfo *info)
{
	struct x402_session_ask *ask = &request->payment.ask;
	uint64_t ignored;
	ask->now_unix_s = request->now_unix_s;
	enum x402_err err = judge_validity(core, request, info);
	if (!err)
		err = x402_session_judge(
			&core->options.policy, ask, info, &request->usd_micros);
	if (!err && request->has_session)
		err = x402_session_judge(
			&request->grant.scope, ask, info, &ignored);
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

/* What takes nothing out is not counted; but nothing is for the revoked. */
static enum x402_err check_revoked(
	struct x402_session_ledger *ledger, struct x402_errinfo *info)
{
	struct x402_session_usage usage = {.count = 0};
	enum x402_err err = x402_session_ledger_usage(ledger, info, &usage);
	if (err || !usage.revoked)
		return err;
	x402_errinfo_set(info, "session", "it was revoked");
	return X402_ERR_POLICY;
}

static enum x402_err reserve_in(struct x402_session_ledger *ledger,
	const struct x402_session_scope *scope, const struct request *request,
	struct x402_errinfo *info)
{
	const struct x402__signer_payment *payment = &request->payment;
	if (payment->signable.kind == X402_SIGNABLE_EIP2612)
		return check_revoked(ledger, info);
	return x402_session_ledger_reserve(ledger, scope, payment->key32,
		request->usd_micros, request->now_unix_s, info);
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
			err = reserve_in(
				ledger, &request->grant.scope, request, info);
	}
	if (err || (!policy->max_count && !policy->total_usd_micros))
		return err;
	err = find_ledger(core, "policy", info, &ledger);
	return err ? err : reserve_in(ledger, policy, request, info);
}

/* ---- 5. The signature. ---- */

static enum x402_err sign(const struct x402_signer_core *core,
	const struct request *request, struct x402_buf *signature)
{
	const struct x402__signer_payment *payment = &request->payment;
	const struct x402_client_signer *wallet = core->options.wallet;
	const struct x402_client_svm_signer *svm = core->options.svm_wallet;
	bool is_svm = payment->signable.kind == X402_SIGNABLE_SVM;
	struct x402_client_signing signing = {
		.family = is_svm ? X402_FAMILY_SVM : X402_FAMILY_EVM,
		.digest32 = is_svm ? NULL : payment->signable.digest32,
		.signable = &payment->signable,
		.url = payment->ask.url,
		.valid_before_unix_s = payment->valid_before};
	enum x402_err err = is_svm
		? svm->sign(svm->user, &signing, signature)
		: wallet->sign(wallet->user, &signing, signature);
	return !err && signature->failed ? X402_ERR_NOMEM : err;
}

/* ---- Answers. ---- */

static void answer_address(
	const struct x402_signer_core *core, struct x402_buf *answer)
{
	const struct x402_client_svm_signer *svm = core->options.svm_wallet;
	char text[X402_PUBKEY_TEXT_SIZE];
	x402_buf_add_str(answer, "{\"ok\":true,\"address\":\"");
	x402_hex_encode_0x(
		x402_span(core->options.wallet->address.bytes, 20), answer);
	if (svm) {
		x402_pubkey_format(&svm->address, text);
		x402_buf_printf(answer, "\",\"solana\":\"%s", text);
	}
	x402_buf_add_str(answer, "\"}\n");
}

/*
 * The signature, and what was signed: for a log, which is the only account of
 * it that does not come from who asked. Nothing here needs an escape: it was
 * written by us, or held against an alphabet.
 */
static void answer_signature(const struct request *request,
	struct x402_span signature, struct x402_buf *answer)
{
	const struct x402__signer_payment *payment = &request->payment;
	static const char *const kinds[] = {[X402_SIGNABLE_EIP3009] = "eip3009",
		[X402_SIGNABLE_PERMIT2] = "permit2",
		[X402_SIGNABLE_EIP2612] = "eip2612",
		[X402_SIGNABLE_SVM] = "solana"};
	char amount[X402_U256_DEC_SIZE];
	x402_u256_to_dec(&payment->ask.value, amount);
	x402_buf_add_str(answer, "{\"ok\":true,\"signature\":\"");
	x402_hex_encode_0x(signature, answer);
	x402_buf_printf(answer,
		"\",\"kind\":\"%s\",\"network\":\"%s\",\"asset\":\"%s\","
		"\"amount\":\"%s\",\"usdMicros\":%" PRIu64,
		kinds[payment->signable.kind], payment->network, payment->asset,
		amount, request->usd_micros);
	if (payment->pay_to[0])
		x402_buf_printf(answer, ",\"payTo\":\"%s\"", payment->pay_to);
	if (request->has_session)
		x402_buf_printf(
			answer, ",\"session\":\"%s\"", request->grant.id);
	x402_buf_add_str(answer, "}\n");
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
		err = read_payment(core, request, info);
	if (!err)
		err = judge(core, request, info);
	if (!err)
		err = reserve(core, request, info);
	if (!err)
		err = sign(core, request, &signature);
	if (!err)
		answer_signature(request, x402_buf_span(&signature), answer);
	x402_buf_clear(&signature);
	return err;
}

/* ---- Sign-ins. ---- */

static enum x402_err judge_sign_in(struct x402_signer_core *core,
	const struct request *request,
	const struct x402__signer_sign_in *sign_in, struct x402_errinfo *info)
{
	struct x402_session_ledger *ledger = NULL;
	uint64_t now = request->now_unix_s;
	enum x402_err err = x402_session_judge_sign_in(&core->options.policy,
		sign_in->uri, sign_in->network, now, info);
	if (!err && request->has_session)
		err = x402_session_judge_sign_in(&request->grant.scope,
			sign_in->uri, sign_in->network, now, info);
	if (!err && sign_in->issued_unix_s > now + SIGN_IN_AHEAD_S) {
		x402_errinfo_set(
			info, "text", "it is of a time that has not come yet");
		err = X402_ERR_POLICY;
	}
	if (err || !request->has_session)
		return err;
	err = find_ledger(core, request->grant.id, info, &ledger);
	return err ? err : check_revoked(ledger, info);
}

/* As above: nothing in it needs an escape. */
static void answer_sign_in(const struct request *request,
	const struct x402__signer_sign_in *sign_in, struct x402_span signature,
	struct x402_buf *answer)
{
	x402_buf_add_str(answer, "{\"ok\":true,\"signature\":\"");
	x402_hex_encode_0x(signature, answer);
	x402_buf_printf(answer,
		"\",\"kind\":\"sign-in\",\"domain\":\"%s\","
		"\"network\":\"%s\"",
		sign_in->domain, sign_in->network);
	if (request->has_session)
		x402_buf_printf(
			answer, ",\"session\":\"%s\"", request->grant.id);
	x402_buf_add_str(answer, "}\n");
}

static enum x402_err sign_text(const struct x402_signer_core *core, bool is_svm,
	const char *text, struct x402_buf *ret_signature)
{
	const struct x402_client_signer *wallet = core->options.wallet;
	const struct x402_client_svm_signer *svm = core->options.svm_wallet;
	if (is_svm)
		return svm->sign_text
			? svm->sign_text(svm->user, text, ret_signature)
			: X402_ERR_UNSUPPORTED;
	return wallet->sign_text
		? wallet->sign_text(wallet->user, text, ret_signature)
		: X402_ERR_UNSUPPORTED;
}

static enum x402_err do_sign_in(struct x402_signer_core *core,
	struct request *request, struct x402_errinfo *info,
	struct x402_buf *answer)
{
	struct x402__signer_accounts accounts = {
		.evm = &core->options.wallet->address,
		.svm = core->options.svm_wallet
			? &core->options.svm_wallet->address
			: NULL};
	struct x402__signer_sign_in sign_in;
	struct x402_buf signature = {0};
	enum x402_err err = read_request(core, info, request);
	const char *text = x402_json_get_string(request->body, "text");
	if (!err && !text)
		err = malformed(info, "text", "the text of a sign-in");
	if (!err)
		err = x402__signer_sign_in_read(
			text, &accounts, info, &sign_in);
	if (!err)
		err = judge_sign_in(core, request, &sign_in, info);
	if (!err)
		err = sign_text(core, sign_in.is_svm, text, &signature);
	if (!err && signature.failed)
		err = X402_ERR_NOMEM;
	if (!err)
		answer_sign_in(
			request, &sign_in, x402_buf_span(&signature), answer);
	x402_buf_clear(&signature);
	return err;
}

void x402_signer_core_answer(struct x402_signer_core *core,
	struct x402_span line, uint64_t now_unix_s, struct x402_buf *answer)
{
	struct request request = {.now_unix_s = now_unix_s};
	struct x402_errinfo info = {{0}, {0}};
	struct x402_json_limits limits = {
		.max_bytes = X402_SIGNER_LINE_MAX_BYTES};
	enum x402_err err = x402_json_parse(
		line, &limits, &info, &request.line);
	const char *op = x402_json_get_string(request.line, "op");
	if (!err && op && strcmp(op, "address") == 0)
		answer_address(core, answer);
	else if (!err && op && strcmp(op, "sign") == 0)
		err = do_sign(core, &request, &info, answer);
	else if (!err && op && strcmp(op, "sign-in") == 0)
		err = do_sign_in(core, &request, &info, answer);
	else if (!err)
		err = malformed(&info, "op", "address, sign or sign-in");
	if (err)
		answer_refusal(answer, err, &info);
	x402__signer_payment_clear(&request.payment);
	x402_json_unref(request.body);
	x402_json_unref(request.line);
}
