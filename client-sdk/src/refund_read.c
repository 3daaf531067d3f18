/*
 * refund_read.c: a receipt is a stranger's JSON, and what is found in it says
 * where money goes. So every log must be readable and follow the one before it
 * until any of them counts, and a doubt about which transfer is meant is the
 * caller's to settle: nothing is guessed.
 *
 * Logs that are missing at either end nobody can see, and nodes differ in what
 * they show there (synthetic logs). So nothing that a refund is known by may
 * depend on other logs than the transfers that are like it in every part.
 */
#include "ask_p.h"
#include "refund_p.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "x402/abi.h"
#include "x402/encoding.h"

/* A block's whole gas buys some 80,000 of the smallest logs; a batch of a
 * facilitator has hundreds. */
#define LOGS_MAX 20000
/* How many of them a text names: who has more knows what to look for. */
#define NAMED_MAX 6

static enum x402_err fail(char *text, enum x402_err err, const char *what)
{
	snprintf(text, X402_CLIENT_REFUND_TEXT_SIZE, "%s", what);
	return err;
}

/* ---- One log. ---- */

static bool read_hash(const struct x402_json *json, uint8_t ret_hash32[32])
{
	const char *text = x402_json_string(json);
	return text && !x402_hex_decode_fixed(text, ret_hash32, 32);
}

static bool read_topic_address(
	const struct x402_json *json, struct x402_address *ret_address)
{
	uint8_t word[32];
	return read_hash(json, word) &&
		!x402_abi_read_address(
			x402_span(word, sizeof(word)), 0, ret_address);
}

static bool is_transfer_event(const struct x402_json *topic)
{
	static const char signature[] = "Transfer(address,address,uint256)";
	uint8_t expected[32];
	uint8_t hash[32];
	x402_keccak256(x402_span_str(signature), expected);
	return read_hash(topic, hash) && memcmp(hash, expected, 32) == 0;
}

/*
 * Three topics and one word: with a fourth it is the token of an ERC-721,
 * which has the same name.
 */
static bool is_transfer_to(const struct x402_json *log,
	const struct x402_address *us, struct x402__refund_transfer *transfer)
{
	const struct x402_json *topics = x402_json_get(log, "topics");
	const char *data = x402_json_get_string(log, "data");
	struct x402_address to;
	uint8_t value[32];
	if (x402_json_size(topics) != 3 ||
		!is_transfer_event(x402_json_at(topics, 0)) ||
		!read_topic_address(x402_json_at(topics, 1), &transfer->from) ||
		!read_topic_address(x402_json_at(topics, 2), &to) ||
		!x402_address_equal(&to, us) || !data ||
		x402_hex_decode_fixed(data, value, sizeof(value)))
		return false;
	transfer->value = x402_u256_from_be32(value);
	return true;
}

/*
 * A log of this transaction that follows the one before it: none is missing
 * between two, and none is there twice.
 */
static bool is_in_place(const struct x402_json *log, uint64_t *first,
	uint64_t ordinal, const uint8_t hash32[32])
{
	uint64_t index = 0;
	uint8_t hash[32];
	bool removed = false;
	if (!x402__ask_quantity(
		    x402_json_get_string(log, "logIndex"), &index) ||
		x402_json_type(x402_json_get(log, "topics")) != X402_JSON_ARRAY)
		return false;
	if (x402_json_has(log, "removed") &&
		(!x402_json_bool(x402_json_get(log, "removed"), &removed) ||
			removed))
		return false;
	if (x402_json_has(log, "transactionHash") &&
		(!read_hash(x402_json_get(log, "transactionHash"), hash) ||
			memcmp(hash, hash32, 32) != 0))
		return false;
	if (ordinal == 0)
		*first = index;
	return index >= *first && index - *first == ordinal;
}

/* ---- The receipt. ---- */

struct search {
	const struct x402__refund_ask *ask;
	struct x402__refund_transfer found;
	size_t found_at; /* its place among the logs */
	size_t to_us;    /* transfers to us so far */
	size_t matches;  /* those that were meant */
	size_t named;
	struct x402_buf list;
};

static void name_transfer(
	struct search *search, const struct x402__refund_transfer *transfer)
{
	char from[X402_ADDRESS_TEXT_SIZE];
	char asset[X402_ADDRESS_TEXT_SIZE];
	char value[X402_U256_DEC_SIZE];
	if (search->named++ >= NAMED_MAX)
		return;
	x402_address_format(&transfer->from, from);
	x402_address_format(&transfer->asset, asset);
	x402_u256_to_dec(&transfer->value, value);
	/* One token in most, and its address is long. */
	x402_buf_printf(&search->list, "%s%zu: %s from %s",
		search->list.len ? "; " : "", search->to_us, value, from);
	if (search->named == 1)
		x402_buf_printf(&search->list, " (of %s)", asset);
}

static void look_at(struct search *search,
	const struct x402__refund_transfer *transfer, size_t place)
{
	const struct x402__refund_ask *ask = search->ask;
	search->to_us++;
	name_transfer(search, transfer);
	if ((ask->nth && ask->nth != search->to_us) ||
		(ask->has_payer &&
			!x402_address_equal(&ask->payer, &transfer->from)))
		return;
	search->matches++;
	search->found = *transfer;
	search->found_at = place;
}

static enum x402_err walk(
	const struct x402_json *logs, struct search *search, char *text)
{
	uint64_t first = 0;
	size_t len = x402_json_size(logs);
	if (x402_json_type(logs) != X402_JSON_ARRAY || len > LOGS_MAX)
		return fail(text, X402_ERR_CHAIN,
			"the receipt has no list of logs that can be read");
	for (size_t i = 0; i < len; i++) {
		const struct x402_json *log = x402_json_at(logs, i);
		const char *address = x402_json_get_string(log, "address");
		struct x402__refund_transfer transfer = {.twin = 0};
		if (!is_in_place(log, &first, i, search->ask->hash32) ||
			!address ||
			x402_address_parse(address, &transfer.asset))
			return fail(text, X402_ERR_CHAIN,
				"the receipt's logs are not whole, or not in "
				"their order");
		if (is_transfer_to(log, &search->ask->us, &transfer))
			look_at(search, &transfer, i);
	}
	return X402_OK;
}

/* The found one's number among those before it that are its like. */
static void count_twins(const struct x402_json *logs, struct search *search)
{
	struct x402__refund_transfer *found = &search->found;
	for (size_t i = 0; i < search->found_at; i++) {
		const struct x402_json *log = x402_json_at(logs, i);
		const char *address = x402_json_get_string(log, "address");
		struct x402__refund_transfer other = {.twin = 0};
		if (address && !x402_address_parse(address, &other.asset) &&
			is_transfer_to(log, &search->ask->us, &other) &&
			x402_address_equal(&other.asset, &found->asset) &&
			x402_address_equal(&other.from, &found->from) &&
			x402_u256_cmp(&other.value, &found->value) == 0)
			found->twin++;
	}
}

static enum x402_err judge(
	struct search *search, char *text, struct x402__refund_transfer *ret)
{
	char *list = x402_buf_take_str(&search->list);
	const char *named = list ? list : "";
	size_t more = search->named > NAMED_MAX ? search->named - NAMED_MAX : 0;
	enum x402_err err = X402_OK;
	if (search->matches == 0) {
		err = X402_ERR_NOT_FOUND;
		snprintf(text, X402_CLIENT_REFUND_TEXT_SIZE,
			search->to_us
				? "no transfer to this wallet is the one that "
				  "was meant; there are %s"
				: "no token was transferred to this wallet in "
				  "that transaction%s",
			named);
	} else if (search->matches > 1) {
		err = X402_ERR_INVALID_ARGUMENT;
		snprintf(text, X402_CLIENT_REFUND_TEXT_SIZE,
			"%zu transfers to this wallet: choose one by its payer "
			"or its number: %s",
			search->matches, named);
	} else if (x402_address_equal(&search->found.from, &search->ask->us)) {
		err = fail(text, X402_ERR_INVALID_ARGUMENT,
			"that transfer came from this wallet itself");
	} else if (x402_address_is_zero(&search->found.from) ||
		x402_u256_is_zero(&search->found.value)) {
		err = fail(text, X402_ERR_INVALID_ARGUMENT,
			"nobody paid with that transfer: it is of nothing, or "
			"from the zero address");
	}
	if (err && more && search->matches != 1) {
		size_t len = strlen(text);
		snprintf(text + len, X402_CLIENT_REFUND_TEXT_SIZE - len,
			"; and %zu more", more);
	}
	free(list);
	if (!err)
		*ret = search->found;
	return err;
}

enum x402_err x402__refund_choose(const struct x402_json *receipt,
	const struct x402__refund_ask *ask,
	char ret_text[X402_CLIENT_REFUND_TEXT_SIZE],
	struct x402__refund_transfer *ret_transfer)
{
	struct search search = {.ask = ask};
	uint8_t hash[32];
	uint64_t status = 0;
	uint64_t block = 0;
	if (!receipt || x402_json_type(receipt) == X402_JSON_NULL)
		return fail(ret_text, X402_ERR_NOT_FOUND,
			"the node knows no such transaction in a block");
	if (!read_hash(x402_json_get(receipt, "transactionHash"), hash) ||
		memcmp(hash, ask->hash32, sizeof(hash)) != 0)
		return fail(ret_text, X402_ERR_CHAIN,
			"the node answered with another transaction's receipt");
	if (!x402__ask_quantity(
		    x402_json_get_string(receipt, "status"), &status) ||
		status > 1 ||
		!x402__ask_quantity(
			x402_json_get_string(receipt, "blockNumber"), &block))
		return fail(ret_text, X402_ERR_CHAIN,
			"the receipt has no status or block that can be read");
	if (status != 1)
		return fail(ret_text, X402_ERR_POLICY,
			"that transaction failed: nothing was paid by it");
	const struct x402_json *logs = x402_json_get(receipt, "logs");
	enum x402_err err = walk(logs, &search, ret_text);
	if (!err && search.matches == 1)
		count_twins(logs, &search);
	if (!err)
		err = judge(&search, ret_text, ret_transfer);
	x402_buf_clear(&search.list);
	if (!err)
		ret_transfer->block = block;
	return err;
}

/* ---- What it is given back under, and how much of it. ---- */

enum x402_err x402__refund_nonce(uint64_t chain_id,
	const struct x402__refund_ask *ask,
	const struct x402__refund_transfer *transfer, uint8_t ret_nonce32[32])
{
	struct x402_buf buf = {0};
	uint8_t value32[32];
	x402_u256_to_be32(&transfer->value, value32);
	/* Every part has its one length: no two transfers are one text. */
	x402_buf_add_str(&buf, "x402 refund 1");
	x402_abi_add_u64(&buf, chain_id);
	x402_buf_add(&buf,
		x402_span(
			transfer->asset.bytes, sizeof(transfer->asset.bytes)));
	x402_abi_add_word(&buf, ask->hash32);
	x402_buf_add(&buf,
		x402_span(transfer->from.bytes, sizeof(transfer->from.bytes)));
	x402_buf_add(&buf, x402_span(ask->us.bytes, sizeof(ask->us.bytes)));
	x402_abi_add_word(&buf, value32);
	x402_abi_add_u64(&buf, transfer->twin);
	bool ok = !buf.failed;
	if (ok)
		x402_keccak256(x402_buf_span(&buf), ret_nonce32);
	x402_buf_clear(&buf);
	return ok ? X402_OK : X402_ERR_NOMEM;
}

bool x402__refund_read_name(
	const char *hex, char ret_name[X402__REFUND_NAME_SIZE])
{
	struct x402_buf data = {0};
	struct x402_span text = {0};
	bool ok = hex && !x402_hex_decode(hex, &data) &&
		!x402_abi_read_bytes(x402_buf_span(&data), 0, &text) &&
		text.len > 0 && text.len < X402__REFUND_NAME_SIZE;
	for (size_t i = 0; ok && i < text.len; i++)
		ok = text.ptr[i] >= 0x20 && text.ptr[i] < 0x7f;
	if (ok) {
		memcpy(ret_name, text.ptr, text.len);
		ret_name[text.len] = '\0';
	}
	x402_buf_clear(&data);
	return ok;
}

/* Millionths of a dollar to atomic units; what would need a part of one is
 * refused, not rounded. */
static bool from_dollars(
	uint64_t micros, unsigned decimals, struct x402_u256 *ret_amount)
{
	struct x402_u256 value = x402_u256_from_u64(micros);
	uint64_t rest = 0;
	for (; decimals > 6; decimals--)
		if (!x402_u256_mul_u64(&value, 10, &value))
			return false;
	for (; decimals < 6; decimals++)
		if (!x402_u256_div_u64(&value, 10, &value, &rest) || rest)
			return false;
	*ret_amount = value;
	return true;
}

enum x402_err x402__refund_amount(const char *network,
	const struct x402__refund_transfer *transfer,
	const struct x402_client_refund_options *options,
	char ret_text[X402_CLIENT_REFUND_TEXT_SIZE],
	struct x402_u256 *ret_amount)
{
	struct x402_u256 amount = transfer->value;
	char asset[X402_ADDRESS_TEXT_SIZE];
	x402_address_format(&transfer->asset, asset);
	const struct x402_default_asset *known = x402_known_asset(
		network, asset);
	if (options->amount)
		amount = *options->amount;
	else if (options->amount_usd_micros &&
		(!known || !known->usd ||
			!from_dollars(options->amount_usd_micros,
				known->decimals, &amount)))
		return fail(ret_text, X402_ERR_INVALID_ARGUMENT,
			"the amount cannot be reckoned in dollars of that "
			"asset: give it as NUMBERatomic");
	if (x402_u256_is_zero(&amount) ||
		x402_u256_cmp(&amount, &transfer->value) > 0) {
		char came[X402_U256_DEC_SIZE];
		x402_u256_to_dec(&transfer->value, came);
		snprintf(ret_text, X402_CLIENT_REFUND_TEXT_SIZE,
			"at least 1 and at most the %s atomic units that came "
			"can be given back",
			came);
		return X402_ERR_INVALID_ARGUMENT;
	}
	*ret_amount = amount;
	return X402_OK;
}

/* ---- What may be spent on it. ---- */

enum x402_err x402__refund_allow(struct x402_client_options *options,
	const struct x402_u256 *max_unpriced, const char *network,
	const char *asset, struct x402_amount **ret_list)
{
	const struct x402_default_asset *known = x402_known_asset(
		network, asset);
	size_t len = options->allowed_assets_len;
	struct x402_asset_id id;
	*ret_list = NULL;
	if (!max_unpriced || (known && known->official && known->usd) ||
		x402_asset_id_init(network, asset, &id))
		return X402_OK;
	for (size_t i = 0; i < len; i++)
		if (x402_asset_id_equal(
			    x402_amount_asset(&options->allowed_assets[i]),
			    &id))
			return X402_OK; /* the caller's own cap stands */
	struct x402_amount *list = calloc(len + 1, sizeof(*list));
	if (!list)
		return X402_ERR_NOMEM;
	for (size_t i = 0; i < len; i++)
		list[i] = options->allowed_assets[i];
	list[len] = x402_amount_init(max_unpriced, &id);
	options->allowed_assets = list;
	options->allowed_assets_len = len + 1;
	*ret_list = list;
	return X402_OK;
}
