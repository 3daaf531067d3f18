/*
 * Members of EVM payloads (members.c), for eip3009.c, permit2.c and the
 * extensions beside them. field is a path such as "payload.permit2.from": it
 * must hold a dot, and errors are told under it.
 */
#ifndef X402_MEMBERS_P_H
#define X402_MEMBERS_P_H

#include "x402/eip3009.h"

/* SCHEMA when it is no string, else SYNTAX or RANGE. */
enum x402_err x402__evm_read_address(const struct x402_json *json,
	const char *field, struct x402_errinfo *info,
	struct x402_address *ret_address);
enum x402_err x402__evm_read_number(const struct x402_json *json,
	const char *field, struct x402_errinfo *info,
	struct x402_u256 *ret_value);
/* Member "signature", at most X402_SIGNATURE_MAX_BYTES; ret is owned. */
enum x402_err x402__evm_read_signature(const struct x402_json *json,
	struct x402_errinfo *info, struct x402_buf *ret_signature);

enum x402_err x402__evm_set_address(struct x402_json *object, const char *key,
	const struct x402_address *address);
/* The same with a text that may be known; cache may be NULL. */
enum x402_err x402__evm_set_address_cached(struct x402_json *object,
	const char *key, const struct x402_address *address,
	struct x402_address_cache *cache);
enum x402_err x402__evm_set_number(struct x402_json *object, const char *key,
	const struct x402_u256 *value);
enum x402_err x402__evm_set_hex(
	struct x402_json *object, const char *key, struct x402_span bytes);

/* x402_eip3009_payload_to_json() with texts that may be known. */
struct x402_eip3009_payload;
enum x402_err x402__eip3009_payload_to_json(
	const struct x402_eip3009_payload *payload,
	struct x402_address_cache *cache, struct x402_json **ret_json);

/* One word of a struct hash. */
void x402__evm_hash_address(
	struct x402_keccak *keccak, const struct x402_address *address);
void x402__evm_hash_u256(
	struct x402_keccak *keccak, const struct x402_u256 *value);

#endif
