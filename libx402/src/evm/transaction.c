/*
 * EIP-1559 transactions: 0x02 || rlp([chain id, nonce, priority fee, max fee,
 * gas, to, value, data, access list, y parity, r, s]). The access list is
 * always empty here.
 *
 * Strangers' transactions are read in two older forms too (L-051): 0x01 ||
 * rlp([chain id, nonce, gas price, ...as above]), and rlp([nonce, gas price,
 * gas, to, value, data, v, r, s]) with the chain id in v (EIP-155).
 */
#include "x402/transaction.h"

#define TYPE_2930 0x01
#define TYPE_1559 0x02
/* Where RLP's lists begin: a transaction without a type is one. */
#define LIST_FIRST 0xc0

static void add_unsigned_fields(
	const struct x402_transaction *tx, struct x402_buf *items)
{
	x402_rlp_add_u64(items, tx->chain_id);
	x402_rlp_add_u64(items, tx->nonce);
	x402_rlp_add_u256(items, &tx->max_priority_fee_per_gas);
	x402_rlp_add_u256(items, &tx->max_fee_per_gas);
	x402_rlp_add_u64(items, tx->gas_limit);
	x402_rlp_add_bytes(items, x402_span(tx->to.bytes, 20));
	x402_rlp_add_u256(items, &tx->value);
	x402_rlp_add_bytes(items, tx->data);
	x402_rlp_add_list(items, x402_span(NULL, 0));
}

/* Type byte and the list of items; items is cleared. */
static enum x402_err wrap(struct x402_buf *items, struct x402_buf *raw)
{
	if (items->failed) {
		x402_buf_clear(items);
		return X402_ERR_NOMEM;
	}
	x402_buf_add_byte(raw, TYPE_1559);
	x402_rlp_add_list(raw, x402_buf_span(items));
	x402_buf_clear(items);
	return raw->failed ? X402_ERR_NOMEM : X402_OK;
}

enum x402_err x402_transaction_signing_hash(
	const struct x402_transaction *tx, uint8_t ret_hash32[32])
{
	struct x402_buf items = {0};
	struct x402_buf raw = {0};
	enum x402_err err;

	add_unsigned_fields(tx, &items);
	err = wrap(&items, &raw);
	if (!err)
		x402_keccak256(x402_buf_span(&raw), ret_hash32);
	x402_buf_clear(&raw);
	return err;
}

enum x402_err x402_transaction_encode(const struct x402_transaction *tx,
	const uint8_t sig65[65], struct x402_buf *ret_raw,
	uint8_t ret_hash32[32])
{
	struct x402_buf items = {0};
	struct x402_buf raw = {0};
	struct x402_u256 r = x402_u256_from_be32(sig65);
	struct x402_u256 s = x402_u256_from_be32(sig65 + 32);
	enum x402_err err;

	if (sig65[64] != 27 && sig65[64] != 28)
		return X402_ERR_INVALID_ARGUMENT;
	add_unsigned_fields(tx, &items);
	x402_rlp_add_u64(&items, sig65[64] - 27u);
	x402_rlp_add_u256(&items, &r);
	x402_rlp_add_u256(&items, &s);
	err = wrap(&items, &raw);
	if (err) {
		x402_buf_clear(&raw);
		return err;
	}
	x402_keccak256(x402_buf_span(&raw), ret_hash32);
	x402_buf_clear(ret_raw);
	*ret_raw = raw;
	return X402_OK;
}

enum x402_err x402_transaction_sign(const struct x402_secp256k1 *secp,
	const struct x402_transaction *tx, const struct x402_secret *key,
	struct x402_buf *ret_raw, uint8_t ret_hash32[32])
{
	uint8_t hash[32];
	uint8_t sig[65];
	enum x402_err err;

	memset(ret_hash32, 0, 32);
	err = x402_transaction_signing_hash(tx, hash);
	if (!err)
		err = x402_sign_digest(secp, hash, key, sig);
	return err ? err
		   : x402_transaction_encode(tx, sig, ret_raw, ret_hash32);
}

/* The next item, which must be bytes. */
static enum x402_err next_bytes(
	struct x402_span *items, struct x402_span *ret_item)
{
	bool is_list;
	enum x402_err err = x402_rlp_next(items, &is_list, ret_item);

	return err ? err : is_list ? X402_ERR_SYNTAX : X402_OK;
}

static enum x402_err next_u64(struct x402_span *items, uint64_t *ret_value)
{
	struct x402_span item;
	enum x402_err err = next_bytes(items, &item);

	return err ? err : x402_rlp_read_u64(item, ret_value);
}

static enum x402_err next_u256(
	struct x402_span *items, struct x402_u256 *ret_value)
{
	struct x402_span item;
	enum x402_err err = next_bytes(items, &item);

	return err ? err : x402_rlp_read_u256(item, ret_value);
}

static enum x402_err decode_unsigned_fields(
	struct x402_span *items, struct x402_transaction *tx)
{
	struct x402_span item;
	bool is_list;
	enum x402_err err;

	if ((err = next_u64(items, &tx->chain_id)) ||
		(err = next_u64(items, &tx->nonce)) ||
		(err = next_u256(items, &tx->max_priority_fee_per_gas)) ||
		(err = next_u256(items, &tx->max_fee_per_gas)) ||
		(err = next_u64(items, &tx->gas_limit)) ||
		(err = next_bytes(items, &item)))
		return err;
	if (item.len != 20)
		return item.len == 0 ? X402_ERR_UNSUPPORTED : X402_ERR_SYNTAX;
	memcpy(tx->to.bytes, item.ptr, 20);
	if ((err = next_u256(items, &tx->value)) ||
		(err = next_bytes(items, &tx->data)) ||
		(err = x402_rlp_next(items, &is_list, &item)))
		return err;
	if (!is_list)
		return X402_ERR_SYNTAX;
	return item.len == 0 ? X402_OK : X402_ERR_UNSUPPORTED;
}

static enum x402_err decode_signature(
	struct x402_span *items, uint8_t ret_sig65[65])
{
	struct x402_u256 r;
	struct x402_u256 s;
	uint64_t parity;
	enum x402_err err;

	if ((err = next_u64(items, &parity)) || (err = next_u256(items, &r)) ||
		(err = next_u256(items, &s)))
		return err;
	if (parity > 1 || items->len != 0)
		return X402_ERR_SYNTAX;
	x402_u256_to_be32(&r, ret_sig65);
	x402_u256_to_be32(&s, ret_sig65 + 32);
	ret_sig65[64] = (uint8_t)(27 + parity);
	return X402_OK;
}

enum x402_err x402_transaction_decode(struct x402_span raw,
	struct x402_transaction *ret_tx, struct x402_address *ret_sender,
	uint8_t ret_hash32[32])
{
	struct x402_transaction tx = {0};
	struct x402_address sender;
	struct x402_span rest;
	struct x402_span items;
	uint8_t sig[65];
	uint8_t hash[32];
	bool is_list;
	enum x402_err err;

	if (raw.len == 0)
		return X402_ERR_SYNTAX;
	if (raw.ptr[0] != TYPE_1559)
		return X402_ERR_UNSUPPORTED;
	rest = x402_span(raw.ptr + 1, raw.len - 1);
	err = x402_rlp_next(&rest, &is_list, &items);
	if (err)
		return err;
	if (!is_list || rest.len != 0)
		return X402_ERR_SYNTAX;
	if ((err = decode_unsigned_fields(&items, &tx)) ||
		(err = decode_signature(&items, sig)) ||
		(err = x402_transaction_signing_hash(&tx, hash)) ||
		(err = x402_recover_address(hash, sig, &sender)))
		return err;
	x402_keccak256(raw, ret_hash32);
	*ret_tx = tx;
	*ret_sender = sender;
	return X402_OK;
}

/* ---- Strangers' transactions. ---- */

/* From gas to data; what comes after differs. */
static enum x402_err decode_call(
	struct x402_span *items, struct x402_transaction *tx)
{
	struct x402_span item;
	enum x402_err err;

	if ((err = next_u64(items, &tx->gas_limit)) ||
		(err = next_bytes(items, &item)))
		return err;
	if (item.len != 20)
		return item.len == 0 ? X402_ERR_UNSUPPORTED : X402_ERR_SYNTAX;
	memcpy(tx->to.bytes, item.ptr, 20);
	err = next_u256(items, &tx->value);
	return err ? err : next_bytes(items, &tx->data);
}

static enum x402_err decode_access_list(struct x402_span *items)
{
	struct x402_span item;
	bool is_list;
	enum x402_err err = x402_rlp_next(items, &is_list, &item);

	if (err)
		return err;
	if (!is_list)
		return X402_ERR_SYNTAX;
	return item.len == 0 ? X402_OK : X402_ERR_UNSUPPORTED;
}

static enum x402_err decode_typed(struct x402_span *items, uint8_t type,
	struct x402_foreign_transaction *foreign)
{
	struct x402_transaction *tx = &foreign->plain;
	enum x402_err err;

	if ((err = next_u64(items, &tx->chain_id)) ||
		(err = next_u64(items, &tx->nonce)) ||
		(err = next_u256(items, &tx->max_priority_fee_per_gas)))
		return err;
	tx->max_fee_per_gas = tx->max_priority_fee_per_gas;
	if (type == TYPE_1559)
		err = next_u256(items, &tx->max_fee_per_gas);
	if (!err)
		err = decode_call(items, tx);
	if (!err)
		err = decode_access_list(items);
	return err;
}

/* v is 35 or 36 and twice the chain id; without one it is anybody's chain. */
static enum x402_err decode_legacy_signature(
	struct x402_span *items, struct x402_foreign_transaction *foreign)
{
	struct x402_u256 r;
	struct x402_u256 s;
	uint64_t v;
	enum x402_err err;

	if ((err = next_u64(items, &v)) || (err = next_u256(items, &r)) ||
		(err = next_u256(items, &s)))
		return err;
	if (items->len != 0)
		return X402_ERR_SYNTAX;
	if (v < 35)
		return X402_ERR_UNSUPPORTED;
	foreign->plain.chain_id = (v - 35) / 2;
	x402_u256_to_be32(&r, foreign->sig65);
	x402_u256_to_be32(&s, foreign->sig65 + 32);
	foreign->sig65[64] = (uint8_t)(27 + (v - 35) % 2);
	return X402_OK;
}

static enum x402_err decode_legacy(
	struct x402_span *items, struct x402_foreign_transaction *foreign)
{
	struct x402_transaction *tx = &foreign->plain;
	enum x402_err err;

	if ((err = next_u64(items, &tx->nonce)) ||
		(err = next_u256(items, &tx->max_fee_per_gas)) ||
		(err = decode_call(items, tx)))
		return err;
	tx->max_priority_fee_per_gas = tx->max_fee_per_gas;
	return X402_OK;
}

/* The bytes that were signed: the items without the signature. */
static enum x402_err hash_signed(uint8_t type, struct x402_span items,
	struct x402_foreign_transaction *foreign)
{
	struct x402_buf body = {0};
	struct x402_buf whole = {0};
	enum x402_err err = X402_OK;

	x402_buf_add(&body, items);
	if (!type) {
		x402_rlp_add_u64(&body, foreign->plain.chain_id);
		x402_rlp_add_u64(&body, 0);
		x402_rlp_add_u64(&body, 0);
	} else {
		x402_buf_add_byte(&whole, type);
	}
	x402_rlp_add_list(&whole, x402_buf_span(&body));
	if (body.failed || whole.failed)
		err = X402_ERR_NOMEM;
	else
		x402_keccak256(x402_buf_span(&whole), foreign->signing_hash32);
	x402_buf_clear(&body);
	x402_buf_clear(&whole);
	return err;
}

enum x402_err x402_transaction_decode_foreign(
	struct x402_span raw, struct x402_foreign_transaction *ret_foreign)
{
	struct x402_foreign_transaction foreign = {0};
	struct x402_span rest = raw;
	struct x402_span items;
	const uint8_t *start;
	uint8_t type = 0;
	bool is_list;
	enum x402_err err;

	if (raw.len == 0)
		return X402_ERR_SYNTAX;
	if (raw.ptr[0] < LIST_FIRST) {
		type = raw.ptr[0];
		if (type != TYPE_2930 && type != TYPE_1559)
			return X402_ERR_UNSUPPORTED;
		rest = x402_span(raw.ptr + 1, raw.len - 1);
	}
	err = x402_rlp_next(&rest, &is_list, &items);
	if (err)
		return err;
	if (!is_list || rest.len != 0)
		return X402_ERR_SYNTAX;
	start = items.ptr;
	err = type ? decode_typed(&items, type, &foreign)
		   : decode_legacy(&items, &foreign);
	if (err)
		return err;
	rest = x402_span(start, (size_t)(items.ptr - start));
	err = type ? decode_signature(&items, foreign.sig65)
		   : decode_legacy_signature(&items, &foreign);
	if (!err)
		err = hash_signed(type, rest, &foreign);
	if (err)
		return err;
	x402_keccak256(raw, foreign.hash32);
	*ret_foreign = foreign;
	return X402_OK;
}
