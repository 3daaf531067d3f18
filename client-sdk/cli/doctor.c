/*
 * doctor.c: `x402 doctor URL`: every check of a paid URL, with what was
 * expected and what came. Asks as strangers do, pays nothing, and needs no
 * key. With --pay it buys once, within the limits, and looks at the receipt.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lookup.h"

#define DOCTOR_TIMEOUT_MS 20000
/* Half of what proxies take in a header line by default. */
#define HEADER_WARN_BYTES ((size_t)8 * 1024)
#define VALIDITY_WARN_S   3600

enum found { FOUND_OK, FOUND_WARN, FOUND_FAIL };

struct doctor {
	const struct cli_args *args;
	const char *url;
	struct x402_json *checks;
	struct x402_payment_required required;
	unsigned failed;
	unsigned warned;
	bool out_of_memory;
};

static void note(struct doctor *doctor, enum found found, const char *check,
	const char *expected, const char *got)
{
	static const char *const words[] = {"ok", "warning", "failed"};
	struct x402_json *json = x402_json_new_object();
	cli_put(json, "check", check);
	cli_put(json, "result", words[found]);
	cli_put(json, "expected", expected);
	cli_put(json, "got", got);
	doctor->failed += found == FOUND_FAIL;
	doctor->warned += found == FOUND_WARN;
	if (x402_json_append_take(doctor->checks, json))
		doctor->out_of_memory = true;
}

static void note_if(struct doctor *doctor, bool ok, enum found otherwise,
	const char *check, const char *expected, const char *got)
{
	note(doctor, ok ? FOUND_OK : otherwise, check, expected, got);
}

/* ---- Asking. ---- */

struct asked {
	const char *method;
	const struct x402_client_header *header; /* NULL: none */
	const struct x402_client_signer *signer;
	struct x402_journal *journal;
};

static enum x402_err ask(const struct doctor *doctor, const struct asked *asked,
	struct x402_client_response *response)
{
	struct x402_client_options options = {.timeout_ms = DOCTOR_TIMEOUT_MS,
		.max_redirects = -1,
		.pending_retries = -1,
		.signer = asked->signer,
		.journal = asked->journal,
		.no_represent = true};
	struct x402_client_request request = {.url = doctor->url,
		.method = asked->method,
		.headers = asked->header,
		.headers_len = asked->header ? 1 : 0};
	struct x402_client *client = NULL;
	enum x402_err err = x402_client_new(&options, &client);
	if (!err)
		err = x402_client_fetch(client, &request, response);
	x402_client_free(client);
	return err;
}

static const char *status_text(long status, char text[32])
{
	(void)snprintf(text, 32, "%ld", status);
	return status ? text : "no answer";
}

/* ---- The challenge. ---- */

static void check_headers(
	struct doctor *doctor, const struct x402_client_response *response)
{
	const char *challenge = x402_client_response_header(
		response, X402_HEADER_PAYMENT_REQUIRED);
	const char *cache = x402_client_response_header(
		response, "Cache-Control");
	const char *exposed = x402_client_response_header(
		response, "Access-Control-Expose-Headers");
	char size[32];
	note_if(doctor, challenge != NULL, FOUND_WARN, "challenge header",
		"PAYMENT-REQUIRED (x402 version 2)",
		challenge ? "there" : "none; only a body of version 1");
	if (challenge) {
		(void)snprintf(
			size, sizeof(size), "%zu bytes", strlen(challenge));
		note_if(doctor, strlen(challenge) <= HEADER_WARN_BYTES,
			FOUND_WARN, "challenge size",
			"at most 8 KiB: proxies refuse longer header lines",
			size);
	}
	note_if(doctor,
		cache &&
			(strcasestr(cache, "no-store") ||
				strcasestr(cache, "private")),
		FOUND_WARN, "caching",
		"Cache-Control: no-store, or a cache may keep the 402",
		cache ? cache : "none");
	note_if(doctor,
		exposed &&
			(strcasestr(exposed, "payment-required") ||
				strcmp(exposed, "*") == 0),
		FOUND_WARN, "cross-origin",
		"Access-Control-Expose-Headers: PAYMENT-REQUIRED, for pages of "
		"other origins",
		exposed ? exposed : "none");
}

/* The library's own judgement of where the challenge comes from. */
static void check_resource(
	struct doctor *doctor, const struct x402_client_response *response)
{
	const char *url = doctor->required.resource.url;
	if (doctor->required.x402_version == X402_V1)
		url = doctor->required.accepts_len
			? doctor->required.accepts[0].resource
			: NULL;
	note_if(doctor, url != NULL, FOUND_FAIL, "resource",
		"the URL that is sold", url ? url : "none");
	note_if(doctor, response->cause != X402_CLIENT_CAUSE_ORIGIN, FOUND_FAIL,
		"resource origin",
		"the origin that was asked; clients refuse another",
		url ? url : "none");
}

static void check_domain(struct doctor *doctor, const char *name,
	const struct x402_payment_requirements *offer,
	const struct x402_default_asset *asset)
{
	char check[64];
	char got[160];
	const char *token = x402_json_get_string(offer->extra, "name");
	const char *version = x402_json_get_string(offer->extra, "version");
	(void)snprintf(
		check, sizeof(check), "%s: token's EIP-712 domain", name);
	(void)snprintf(got, sizeof(got), "%.60s, %.60s",
		token ? token : "no name", version ? version : "no version");
	bool known = asset && asset->name && asset->version;
	bool ok = token && version &&
		(!known ||
			(strcmp(token, asset->name) == 0 &&
				strcmp(version, asset->version) == 0));
	char expected[160];
	(void)snprintf(expected, sizeof(expected), "%.60s, %.60s",
		known ? asset->name : "extra.name",
		known ? asset->version : "extra.version");
	note_if(doctor, ok, FOUND_FAIL, check, expected, got);
}

static void check_asset(struct doctor *doctor, const char *name,
	const struct x402_payment_requirements *offer, const char *caip2)
{
	char check[64];
	const struct x402_default_asset *asset =
		caip2 ? x402_known_asset(caip2, offer->asset) : NULL;
	(void)snprintf(check, sizeof(check), "%s: asset", name);
	note_if(doctor, asset && asset->official, FOUND_WARN, check,
		"one that clients pay without being told to",
		asset ? asset->symbol : offer->asset);
	if (caip2 && strncmp(caip2, "eip155:", 7) == 0)
		check_domain(doctor, name, offer, asset);
}

static void check_payee(struct doctor *doctor, const char *name,
	const struct x402_payment_requirements *offer, const char *caip2)
{
	char check[64];
	struct x402_address address;
	(void)snprintf(check, sizeof(check), "%s: payee", name);
	if (!caip2 || strncmp(caip2, "eip155:", 7) != 0)
		return;
	bool ok = !x402_address_parse(offer->pay_to, &address) &&
		!x402_address_is_zero(&address);
	note_if(doctor, ok, FOUND_FAIL, check, "an address that somebody owns",
		offer->pay_to);
	if (ok && x402_address_parse_checked(offer->pay_to, &address))
		note(doctor, FOUND_FAIL, check, "a right EIP-55 checksum",
			offer->pay_to);
}

static void check_offer(struct doctor *doctor, size_t index)
{
	const struct x402_payment_requirements *offer =
		&doctor->required.accepts[index];
	const char *caip2 = x402_payment_requirements_caip2(offer);
	char name[32];
	char check[64];
	char got[128];
	struct x402_client_payment terms = {0};
	(void)snprintf(name, sizeof(name), "offer %zu", index + 1);
	(void)snprintf(check, sizeof(check), "%s: scheme and network", name);
	(void)snprintf(got, sizeof(got), "%.50s on %.50s", offer->scheme,
		offer->network);
	note_if(doctor, caip2 && x402_scheme_find(offer->scheme, caip2),
		FOUND_WARN, check, "a pair that this client can pay", got);
	(void)snprintf(check, sizeof(check), "%s: price", name);
	x402_client_payment_terms(offer, &terms);
	cli_format_price(&terms, got, sizeof(got));
	note_if(doctor, terms.amount[0] && strcmp(terms.amount, "0") != 0,
		FOUND_WARN, check, "an amount above zero", got);
	(void)snprintf(check, sizeof(check), "%s: validity", name);
	(void)snprintf(got, sizeof(got), "%lld s",
		(long long)offer->max_timeout_seconds);
	note_if(doctor,
		offer->max_timeout_seconds > 0 &&
			offer->max_timeout_seconds <= VALIDITY_WARN_S,
		FOUND_WARN, check, "1 s to an hour", got);
	check_payee(doctor, name, offer, caip2);
	check_asset(doctor, name, offer, caip2);
}

static void check_offers(
	struct doctor *doctor, const struct x402_client_response *response)
{
	char got[64];
	size_t came = x402_json_size(
		x402_json_get(response->challenge, "accepts"));
	(void)snprintf(got, sizeof(got), "%zu of %zu can be read",
		doctor->required.accepts_len, came);
	note_if(doctor,
		doctor->required.accepts_len > 0 &&
			doctor->required.accepts_len == came,
		FOUND_FAIL, "offers", "all of them well-formed", got);
	for (size_t i = 0; i < doctor->required.accepts_len; i++)
		check_offer(doctor, i);
	bool payable = response->cause == X402_CLIENT_CAUSE_NONE ||
		response->cause == X402_CLIENT_CAUSE_NO_SIGNER;
	note_if(doctor, payable, FOUND_FAIL, "payable",
		"one that a client with default limits pays",
		payable ? "yes" : response->error.text);
}

static bool check_challenge(struct doctor *doctor)
{
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct x402_errinfo info = {{0}, {0}};
	struct asked asked = {.method = "GET"};
	char text[32];
	(void)ask(doctor, &asked, &response);
	note_if(doctor, response.status == 402, FOUND_FAIL, "unpaid GET", "402",
		response.status ? status_text(response.status, text)
				: response.error.text);
	bool read = response.status == 402 && response.challenge &&
		!x402_payment_required_read(
			response.challenge, &info, &doctor->required);
	if (response.status == 402)
		note_if(doctor, read, FOUND_FAIL, "challenge",
			"one that can be read",
			read                   ? "read"
				: info.text[0] ? info.text
					       : response.error.text);
	if (read) {
		check_headers(doctor, &response);
		check_resource(doctor, &response);
		check_offers(doctor, &response);
	}
	x402_client_response_clear(&response);
	return read;
}

/* ---- What must not open the door. ---- */

static void check_locked(struct doctor *doctor, const char *check,
	const char *method, const struct x402_client_header *header)
{
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct asked asked = {.method = method, .header = header};
	char text[32];
	(void)ask(doctor, &asked, &response);
	/* Refused in any way is refused; 5xx is a fault, and opens nothing. */
	bool open = response.status >= 200 && response.status < 300;
	bool refused = response.status < 500 || response.status == 501;
	note_if(doctor, !open && refused, open ? FOUND_FAIL : FOUND_WARN, check,
		"402, or another refusal", status_text(response.status, text));
	x402_client_response_clear(&response);
}

static void check_doors(struct doctor *doctor)
{
	static const struct x402_client_header garbage = {
		X402_HEADER_PAYMENT_SIGNATURE, "bm8gcGF5bWVudA=="};
	static const struct x402_client_header empty = {
		X402_HEADER_PAYMENT_SIGNATURE, "e30="};
	static const struct x402_client_header v1 = {
		X402_HEADER_X_PAYMENT, "bm8gcGF5bWVudA=="};
	static const struct x402_client_header method = {
		"X-HTTP-Method-Override", "OPTIONS"};
	check_locked(doctor, "HEAD without payment", "HEAD", NULL);
	check_locked(doctor, "an unknown method", "BREW", NULL);
	check_locked(doctor, "another method by header", "GET", &method);
	check_locked(doctor, "a payment that is none", "GET", &garbage);
	check_locked(doctor, "an empty payment", "GET", &empty);
	check_locked(doctor, "a v1 payment that is none", "GET", &v1);
}

/* ---- Facilitator and chain, where they are named. ---- */

static bool serves(const struct x402_json *supported,
	const struct x402_payment_requirements *offer)
{
	const struct x402_json *kinds = x402_json_get(supported, "kinds");
	for (size_t i = 0; i < x402_json_size(kinds); i++) {
		const struct x402_json *kind = x402_json_at(kinds, i);
		const char *scheme = x402_json_get_string(kind, "scheme");
		const char *network = x402_json_get_string(kind, "network");
		if (scheme && network && strcmp(scheme, offer->scheme) == 0 &&
			(strcmp(network, offer->network) == 0 ||
				x402_network_matches(network, offer->network)))
			return true;
	}
	return false;
}

static void check_facilitator(struct doctor *doctor)
{
	const char *url = cli_arg(doctor->args, CLI_KEY_FACILITATOR);
	struct x402_buf buf = {0};
	struct x402_json *supported = NULL;
	long status = 0;
	if (!url)
		url = getenv("FACILITATOR_URL");
	if (!url || !*url)
		return;
	x402_buf_printf(&buf, "%s/supported", url);
	char *full = x402_buf_take_str(&buf);
	cli_errors_keep();
	if (full)
		(void)cli_lookup(full, NULL, &status, &supported);
	x402_json_unref(cli_errors_take());
	char text[32];
	note_if(doctor, status == 200 && supported, FOUND_FAIL, "facilitator",
		"a list of what it serves", status_text(status, text));
	for (size_t i = 0; supported && i < doctor->required.accepts_len; i++) {
		char check[64];
		(void)snprintf(
			check, sizeof(check), "offer %zu: facilitator", i + 1);
		bool yes = serves(supported, &doctor->required.accepts[i]);
		note_if(doctor, yes, FOUND_FAIL, check,
			"its scheme and network are served",
			yes ? "they are" : "they are not");
	}
	x402_json_unref(supported);
	free(full);
}

static bool is_chain(const char *rpc, const char *caip2)
{
	struct x402_json *id = NULL;
	char expected[X402_NETWORK_SIZE] = "";
	bool same = false;
	if (cli_rpc(rpc, "eth_chainId", "[]", &id) == CLI_OK) {
		uint64_t number = strtoull(
			x402_json_string(id) ? x402_json_string(id) : "0", NULL,
			16);
		(void)snprintf(
			expected, sizeof(expected), "eip155:%" PRIu64, number);
		same = caip2 && strcmp(expected, caip2) == 0;
	}
	x402_json_unref(id);
	return same;
}

static void check_code(struct doctor *doctor, const char *rpc, size_t index)
{
	const struct x402_payment_requirements *offer =
		&doctor->required.accepts[index];
	struct x402_buf buf = {0};
	struct x402_json *code = NULL;
	struct x402_address address;
	char check[64];
	if (x402_address_parse(offer->asset, &address) ||
		!is_chain(rpc, x402_payment_requirements_caip2(offer)))
		return;
	x402_buf_printf(&buf, "[\"%s\",\"latest\"]", offer->asset);
	char *params = x402_buf_take_str(&buf);
	bool answered = params &&
		cli_rpc(rpc, "eth_getCode", params, &code) == CLI_OK;
	const char *text = x402_json_string(code);
	bool contract = answered && text && strlen(text) > 2;
	(void)snprintf(
		check, sizeof(check), "offer %zu: asset on chain", index + 1);
	note_if(doctor, contract, FOUND_FAIL, check, "a contract",
		contract           ? "a contract"
			: answered ? "nothing at this address"
				   : "the chain did not answer");
	x402_json_unref(code);
	free(params);
}

static void check_chain(struct doctor *doctor)
{
	const char *rpc = cli_arg(doctor->args, CLI_KEY_RPC);
	if (!rpc)
		rpc = getenv("EVM_RPC_URL");
	if (!rpc || !*rpc)
		return;
	cli_errors_keep();
	for (size_t i = 0; i < doctor->required.accepts_len; i++)
		check_code(doctor, rpc, i);
	x402_json_unref(cli_errors_take());
}

/* ---- Paying, when it is asked for. ---- */

static void check_bought(
	struct doctor *doctor, const struct x402_client_response *response)
{
	const struct x402_client_payment *payment = &response->payment;
	char text[32];
	note_if(doctor, payment->outcome == X402_CLIENT_OUTCOME_PAID,
		FOUND_FAIL, "payment", "a receipt that fits",
		payment->outcome == X402_CLIENT_OUTCOME_PAID
			? payment->transaction
			: response->error.text);
	note_if(doctor, response->status >= 200 && response->status < 300,
		FOUND_FAIL, "delivery", "2xx after the payment",
		status_text(response->status, text));
	note_if(doctor, payment->receipt == X402_CLIENT_RECEIPT_FITS,
		FOUND_FAIL, "receipt", "PAYMENT-RESPONSE that fits",
		x402_client_receipt_name(payment->receipt));
}

/* The same payment for the same thing: again, or refused; never a charge. */
static void check_replay(
	struct doctor *doctor, const struct x402_client_response *bought)
{
	struct x402_client_header header = {
		bought->payment.header_name, bought->payment.header_text};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct asked asked = {.method = "GET", .header = &header};
	char text[32];
	if (!bought->payment.attempted)
		return;
	(void)ask(doctor, &asked, &response);
	note_if(doctor, response.status >= 200 && response.status < 500,
		FOUND_WARN, "the same payment again",
		"the same answer, or a refusal",
		status_text(response.status, text));
	x402_client_response_clear(&response);
}

static int pay(struct doctor *doctor)
{
	struct cli_payer_flags flags = {
		.wallet = cli_arg(doctor->args, CLI_KEY_WALLET),
		.signer = cli_arg(doctor->args, CLI_KEY_SIGNER),
		.session = cli_arg(doctor->args, CLI_KEY_SESSION),
		.password = cli_arg(doctor->args, CLI_KEY_PASSWORD_FILE)};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	struct cli_payer payer;
	struct asked asked = {.method = "GET"};
	int exit = cli_payer_load(&flags, &payer);
	if (!exit && !payer.signer)
		exit = cli_error(CLI_CONFIG, "no_key",
			"--pay: there is no key to pay with");
	if (!exit)
		exit = cli_journal_open(&asked.journal);
	if (!exit) {
		asked.signer = x402_signer_client(payer.signer);
		(void)ask(doctor, &asked, &response);
		check_bought(doctor, &response);
		check_replay(doctor, &response);
	}
	x402_client_response_clear(&response);
	x402_journal_close(asked.journal);
	cli_payer_clear(&payer);
	return exit;
}

/* ---- The whole. ---- */

/* "127.0.0.1.example" and "localhost@example" are somebody else. */
static bool is_safe(const char *url)
{
	const char *host = url + 7;
	if (strncasecmp(url, "https://", 8) == 0)
		return true;
	if (strncasecmp(url, "http://", 7) != 0 ||
		memchr(host, '@', strcspn(host, "/?#")))
		return false;
	size_t len = strcspn(host, "/?#:");
	return strncmp(host, "[::1]", 5) == 0 ||
		(len == 9 && strncasecmp(host, "localhost", 9) == 0) ||
		(strncmp(host, "127.", 4) == 0 &&
			strspn(host, "0123456789.") == len);
}

static int examine(struct doctor *doctor)
{
	note_if(doctor, is_safe(doctor->url), FOUND_FAIL, "URL",
		"https; clients do not pay over plain HTTP", doctor->url);
	if (!check_challenge(doctor))
		return CLI_OK;
	check_doors(doctor);
	check_facilitator(doctor);
	check_chain(doctor);
	return cli_has(doctor->args, CLI_KEY_PAY) ? pay(doctor) : CLI_OK;
}

static void print_text(const struct doctor *doctor)
{
	for (size_t i = 0; i < x402_json_size(doctor->checks); i++) {
		const struct x402_json *one = x402_json_at(doctor->checks, i);
		const char *result = x402_json_get_string(one, "result");
		const char *got = x402_json_get_string(one, "got");
		printf("%-8s %s", result, x402_json_get_string(one, "check"));
		if (strcmp(result, "ok") != 0) {
			printf("\n         expected %s\n         got      ",
				x402_json_get_string(one, "expected"));
			cli_show(stdout, got ? got : "nothing");
		}
		putchar('\n');
	}
	printf("%u failed, %u warnings\n", doctor->failed, doctor->warned);
}

static int report(struct doctor *doctor)
{
	if (doctor->out_of_memory)
		return cli_error(
			CLI_GENERAL, "internal_error", "out of memory");
	if (!cli_wants_json(STDOUT_FILENO)) {
		print_text(doctor);
		return doctor->failed ? CLI_GENERAL : CLI_OK;
	}
	struct x402_json *answer = x402_json_new_object();
	cli_put(answer, "url", doctor->url);
	cli_put_int(answer, "failed", doctor->failed);
	cli_put_int(answer, "warnings", doctor->warned);
	if (x402_json_set_take(answer, "checks", x402_json_ref(doctor->checks)))
		cli_put(answer, "checks", "out of memory");
	cli_print_answer(answer);
	x402_json_unref(answer);
	return doctor->failed ? CLI_GENERAL : CLI_OK;
}

int cli_doctor_run(const struct cli_command *command, int argc, char **argv)
{
	struct cli_args args;
	int exit = cli_args_parse(command, argc, argv, &args);
	if (exit)
		return exit;
	if (cli_has(&args, 'h')) {
		cli_help(command, stdout);
		return CLI_OK;
	}
	struct doctor doctor = {
		.args = &args, .url = cli_operand(&args, "URL")};
	if (!doctor.url)
		return CLI_USAGE;
	doctor.checks = x402_json_new_array();
	exit = examine(&doctor);
	if (!exit)
		exit = report(&doctor);
	x402_payment_required_clear(&doctor.required);
	x402_json_unref(doctor.checks);
	return exit;
}
