/*
 * The tokens of a chain, asked one after another when it is first usable:
 *
 *   1. fac_tokens_probe   which ones
 *   2. ask_next           fac_token_ask: code, decimals, name, version, domain
 *                         separator, authorizationState, nonces
 *   3. on_answers         fac_token_read, fac_token_compare, the log
 *   4. on_contracts       at the end: Permit2 and the proxies, where a token
 *                         of this chain is paid through them
 *
 * Nothing waits for it, and nothing depends on it: a payment is verified
 * against the chain as it is.
 */
#include "ops/tokens.h"

#include "log.h"
#include "x402/abi.h"
#include "x402/eip712.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	READ_CODE,
	READ_DECIMALS,
	READ_NAME,
	READ_VERSION,
	READ_SEPARATOR,
	READ_STATE,
	READ_NONCES
};

/* ---- The pure half. ---- */

void fac_token_ask(
	const struct x402_address *token, struct fac_token_reads *ret_reads)
{
	/* Two words of zeros are arguments enough for all of them. */
	static const struct {
		uint8_t selector[4];
		size_t len;
	} calls[FAC_TOKEN_READS] = {
		[READ_DECIMALS] = {{0x31, 0x3c, 0xe5, 0x67}, 4},
		[READ_NAME] = {{0x06, 0xfd, 0xde, 0x03}, 4},
		[READ_VERSION] = {{0x54, 0xfd, 0x4d, 0x50}, 4},
		[READ_SEPARATOR] = {{0x36, 0x44, 0xe5, 0x15}, 4},
		[READ_STATE] = {{0xe9, 0x4a, 0x01, 0x02}, 4 + 2 * 32},
		[READ_NONCES] = {{0x7e, 0xce, 0xbe, 0x00}, 4 + 32},
	};

	memset(ret_reads, 0, sizeof(*ret_reads));
	for (size_t i = 0; i < FAC_TOKEN_READS; i++) {
		struct x402_chain_read *read = &ret_reads->each[i];

		read->kind = i == READ_CODE ? X402_READ_CODE : X402_READ_CALL;
		read->to = *token;
		memcpy(ret_reads->calldata[i], calls[i].selector, 4);
		read->data = x402_span(ret_reads->calldata[i], calls[i].len);
	}
}

/* A string; not printed as it is, for a contract may say anything. */
static void read_text(const struct x402_chain_answer *answer,
	char ret_text[FAC_TOKEN_TEXT_SIZE])
{
	struct x402_span text;

	ret_text[0] = '\0';
	if (answer->status != X402_ANSWER_OK ||
		x402_abi_read_bytes(answer->data, 0, &text) ||
		text.len >= FAC_TOKEN_TEXT_SIZE)
		return;
	for (size_t i = 0; i < text.len; i++)
		ret_text[i] = text.ptr[i] < 0x20 || text.ptr[i] == 0x7f
			? '?'
			: (char)text.ptr[i];
	ret_text[text.len] = '\0';
}

static bool is_word(const struct x402_chain_answer *answer)
{
	return answer->status == X402_ANSWER_OK && answer->data.len == 32;
}

struct fac_token_facts fac_token_read(
	const struct x402_chain_answer answers[FAC_TOKEN_READS])
{
	struct fac_token_facts facts = {0};
	struct x402_u256 number;
	bool used;

	facts.has_code = answers[READ_CODE].status == X402_ANSWER_OK &&
		answers[READ_CODE].data.len > 0;
	facts.has_decimals = is_word(&answers[READ_DECIMALS]) &&
		!x402_abi_read_u256(answers[READ_DECIMALS].data, 0, &number) &&
		x402_u256_to_u64(&number, &facts.decimals);
	read_text(&answers[READ_NAME], facts.name);
	read_text(&answers[READ_VERSION], facts.version);
	facts.has_separator = is_word(&answers[READ_SEPARATOR]);
	if (facts.has_separator)
		memcpy(facts.separator32, answers[READ_SEPARATOR].data.ptr, 32);
	facts.eip3009 = is_word(&answers[READ_STATE]) &&
		!x402_abi_read_bool(answers[READ_STATE].data, 0, &used);
	facts.eip2612 = facts.has_separator && is_word(&answers[READ_NONCES]);
	return facts;
}

static void differ(struct fac_token_differences *list, const char *fmt, ...)
	X402_PRINTF(2, 3);

static void differ(struct fac_token_differences *list, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(list->each[list->len], sizeof(list->each[0]), fmt, args);
	va_end(args);
	list->len++;
}

/* The domain that payers sign over (F12). */
static void compare_domain(const struct x402_default_asset *asset,
	uint64_t chain_id, const struct fac_token_facts *facts,
	struct fac_token_differences *list)
{
	struct x402_address address;
	struct x402_eip712_domain domain = {.name = asset->name,
		.version = asset->version,
		.chain_id = chain_id,
		.verifying_contract = &address};
	uint8_t separator[32];

	if (!asset->name || !asset->version || !facts->has_separator ||
		x402_address_parse(asset->address, &address))
		return;
	x402_eip712_domain_separator(&domain, separator);
	if (memcmp(separator, facts->separator32, 32) != 0)
		differ(list,
			"expected the EIP-712 domain \"%s\" version \"%s\", "
			"the token's is another: it says \"%s\" \"%s\"",
			asset->name, asset->version, facts->name,
			facts->version);
}

struct fac_token_differences fac_token_compare(
	const struct x402_default_asset *asset, uint64_t chain_id,
	const struct fac_token_facts *facts)
{
	struct fac_token_differences list = {0};

	if (!facts->has_code) {
		differ(&list, "no code at its address on this chain");
		return list;
	}
	if (!facts->has_decimals)
		differ(&list, "it has no decimals(): it is no ERC-20 token");
	if (!asset)
		return list;
	if (facts->has_decimals && facts->decimals != asset->decimals)
		differ(&list,
			"expected %u decimals, the token says %llu: prices in "
			"dollars are wrong",
			asset->decimals, (unsigned long long)facts->decimals);
	compare_domain(asset, chain_id, facts, &list);
	if (asset->method == X402_TRANSFER_EIP3009 && !facts->eip3009)
		differ(&list,
			"expected EIP-3009, authorizationState does not "
			"answer: it can be paid through Permit2 only");
	if (asset->eip2612 && !facts->eip2612)
		differ(&list,
			"expected EIP-2612, nonces does not answer: a permit "
			"cannot come along");
	return list;
}

/* ---- Asking. ---- */

struct token {
	struct x402_address address;
	const struct x402_default_asset *asset;
};

struct probe {
	struct fac_chain *chain;
	struct x402_network network;
	/* The table has two for one network at most. */
	struct token tokens[FAC_ENGINE_TOKENS_MAX + 8];
	size_t len;
	size_t at;
	bool needs_permit2;
};

static void ask_next(struct probe *probe);

static void begin_line(struct fac_log_line *line, enum fac_log_level level,
	const char *event, const struct probe *probe,
	const struct x402_address *address)
{
	char text[X402_ADDRESS_TEXT_SIZE];

	x402_address_format(address, text);
	fac_log_begin(line, level, event);
	fac_log_str(line, "network", probe->network.caip2);
	fac_log_str(line, "address", text);
}

static void log_token(const struct probe *probe, const struct token *token,
	const struct fac_token_facts *facts)
{
	struct fac_token_differences list = fac_token_compare(
		token->asset, probe->network.chain_id, facts);
	struct fac_log_line line;

	if (facts->has_code) {
		begin_line(
			&line, FAC_LOG_INFO, "token", probe, &token->address);
		fac_log_str(&line, "symbol",
			token->asset ? token->asset->symbol : "");
		if (facts->has_decimals)
			fac_log_u64(&line, "decimals", facts->decimals);
		fac_log_str(&line, "name", facts->name);
		fac_log_str(&line, "version", facts->version);
		fac_log_str(&line, "eip3009", facts->eip3009 ? "yes" : "no");
		fac_log_str(&line, "eip2612", facts->eip2612 ? "yes" : "no");
		fac_log_end(&line);
	}
	for (size_t i = 0; i < list.len; i++) {
		begin_line(&line, FAC_LOG_WARN, "token_differs", probe,
			&token->address);
		fac_log_str(&line, "symbol",
			token->asset ? token->asset->symbol : "");
		fac_log_blame(&line, X402_BLAME_CHAIN);
		fac_log_str(&line, "text", list.each[i]);
		fac_log_end(&line);
	}
}

static void on_contracts(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	static const char *const names[] = {
		"Permit2", "the exact proxy", "the upto proxy"};
	struct probe *probe = user;
	struct fac_log_line line;
	char text[80];

	for (size_t i = 0; !err && i < answers_len; i++) {
		if (answers[i].data.len)
			continue;
		fac_log_begin(&line,
			probe->needs_permit2 ? FAC_LOG_WARN : FAC_LOG_INFO,
			"contract_absent");
		fac_log_str(&line, "network", probe->network.caip2);
		snprintf(text, sizeof(text),
			"%s has no code on this chain: nothing is paid "
			"through it",
			names[i]);
		fac_log_str(&line, "text", text);
		fac_log_end(&line);
	}
	free(probe);
}

static void ask_contracts(struct probe *probe)
{
	struct x402_chain_read reads[3] = {
		{.kind = X402_READ_CODE, .to = *x402_permit2_contract()},
		{.kind = X402_READ_CODE,
			.to = *x402_permit2_proxy(X402_PERMIT2_EXACT)},
		{.kind = X402_READ_CODE,
			.to = *x402_permit2_proxy(X402_PERMIT2_UPTO)}};
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;

	options.reads = reads;
	options.reads_len = 3;
	fac_chain_read(probe->chain, &options, on_contracts, probe);
}

static void on_answers(void *user, enum x402_err err,
	const struct x402_chain_answer *answers, size_t answers_len)
{
	struct probe *probe = user;
	const struct token *token = &probe->tokens[probe->at];
	struct fac_token_facts facts;
	struct fac_log_line line;

	if (err == X402_ERR_CANCELLED) {
		free(probe);
		return;
	}
	if (err || answers_len != FAC_TOKEN_READS) {
		begin_line(&line, FAC_LOG_WARN, "token_unknown", probe,
			&token->address);
		fac_log_str(
			&line, "text", "the chain did not say what it can do");
		fac_log_end(&line);
	} else {
		facts = fac_token_read(answers);
		log_token(probe, token, &facts);
	}
	probe->at++;
	ask_next(probe);
}

static void ask_next(struct probe *probe)
{
	struct fac_token_reads reads;
	struct fac_chain_read_options options = FAC_CHAIN_READ_INIT;

	if (probe->at == probe->len) {
		ask_contracts(probe);
		return;
	}
	fac_token_ask(&probe->tokens[probe->at].address, &reads);
	options.reads = reads.each;
	options.reads_len = FAC_TOKEN_READS;
	fac_chain_read(probe->chain, &options, on_answers, probe);
}

/* ---- Which ones. ---- */

static void add_token(struct probe *probe, const struct x402_address *address,
	const struct x402_default_asset *asset)
{
	size_t max = sizeof(probe->tokens) / sizeof(probe->tokens[0]);

	for (size_t i = 0; i < probe->len; i++)
		if (x402_address_equal(&probe->tokens[i].address, address))
			return;
	if (probe->len == max)
		return;
	probe->tokens[probe->len++] = (struct token){*address, asset};
	if (asset && asset->method == X402_TRANSFER_PERMIT2)
		probe->needs_permit2 = true;
}

void fac_tokens_probe(struct fac_chain *chain,
	const struct x402_network *network,
	const struct fac_config_settling *settling)
{
	const struct x402_default_asset *asset;
	struct x402_address address;
	struct probe *probe;

	if (network->family != X402_FAMILY_EVM)
		return;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		abort();
	probe->chain = chain;
	probe->network = *network;
	probe->needs_permit2 = settling->sponsor_approvals;
	for (size_t i = 0; (asset = x402_known_asset_at(i)); i++)
		if (!strcmp(asset->network, network->caip2) &&
			!x402_address_parse(asset->address, &address))
			add_token(probe, &address, asset);
	for (size_t i = 0; i < settling->tokens_len; i++)
		add_token(probe, &settling->tokens[i], NULL);
	ask_next(probe);
}
