/*
 * signer_payment.c: the four kinds of payments that a signer understands. One
 * function for each reads its body; none believes more than the terms. For
 * Solana, where the bytes themselves come along, the terms are read out of
 * them, the message is made anew from the terms, and the two must be equal:
 * there is no room for an instruction that nobody looked at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "signer_payment_p.h"
#include "x402/encoding.h"
#include "x402/svm_transaction.h"

/* Longest name of a token's domain. */
#define DOMAIN_TEXT_MAX ((size_t)128)
/* A message in base64: a packet is the most that a node takes. */
#define MESSAGE_TEXT_MAX ((size_t)(X402_SVM_TRANSACTION_MAX + 2) / 3 * 4)

void x402__signer_payment_clear(struct x402__signer_payment *payment)
{
	x402_buf_clear(&payment->message);
}

static enum x402_err malformed(
	struct x402_errinfo *info, const char *field, const char *expected)
{
	x402_errinfo_set(info, field, "%s: expected %s", field, expected);
	return X402_ERR_SCHEMA;
}

static enum x402_err not_ours(struct x402_errinfo *info, const char *field)
{
	x402_errinfo_set(info, field, "it is not this signer's wallet");
	return X402_ERR_POLICY;
}

static bool read_u256(const struct x402_json *json, const char *key,
	struct x402_u256 *ret_value)
{
	const char *text = x402_json_get_string(json, key);
	return text && x402_u256_from_dec(text, ret_value) == X402_OK;
}

static bool read_address(const struct x402_json *json, const char *key,
	struct x402_address *ret_address)
{
	return x402_address_parse(
		       x402_json_get_string(json, key), ret_address) == X402_OK;
}

static const char *read_text(const struct x402_json *json, const char *key)
{
	const char *text = x402_json_get_string(json, key);
	return text && *text && strlen(text) <= DOMAIN_TEXT_MAX ? text : NULL;
}

/* ---- EVM: what the kinds share. ---- */

static bool read_chain(const struct x402_json *json, uint64_t *ret_chain_id)
{
	int64_t chain_id = 0;
	if (!x402_json_int64(x402_json_get(json, "chainId"), &chain_id) ||
		chain_id < 1)
		return false;
	*ret_chain_id = (uint64_t)chain_id;
	return true;
}

/* A domain of a token: its name is the caller's, and only hashed. */
static enum x402_err read_domain(const struct x402_json *body,
	struct x402_errinfo *info, struct x402__signer_payment *payment)
{
	const struct x402_json *json = x402_json_get(body, "domain");
	struct x402_eip712_domain *domain = &payment->domain;
	domain->name = read_text(json, "name");
	domain->version = read_text(json, "version");
	domain->verifying_contract = &payment->contract;
	if (domain->name && domain->version &&
		read_chain(json, &domain->chain_id) &&
		read_address(json, "verifyingContract", &payment->contract))
		return X402_OK;
	return malformed(
		info, "domain", "name, version, chainId and verifyingContract");
}

/* Terms of EVM as a scope, a ledger and a log look at them. */
static void set_evm(struct x402__signer_payment *payment,
	const struct x402_address *asset, const struct x402_address *pay_to,
	const struct x402_u256 *value)
{
	(void)snprintf(payment->network, sizeof(payment->network),
		"eip155:%" PRIu64, payment->domain.chain_id);
	x402_address_format(asset, payment->asset);
	if (pay_to) {
		x402_address_format(pay_to, payment->pay_to);
		payment->ask.pay_to = *pay_to;
	}
	payment->ask.no_payee = !pay_to;
	payment->ask.value = *value;
	payment->signable.domain = &payment->domain;
	memcpy(payment->key32, payment->signable.digest32, 32);
}

/* ---- EIP-3009. ---- */

static enum x402_err read_eip3009(const struct x402_json *body,
	const struct x402__signer_wallets *wallets, struct x402_errinfo *info,
	struct x402__signer_payment *payment)
{
	const struct x402_json *json = x402_json_get(body, "message");
	struct x402_eip3009_authorization *auth = &payment->eip3009;
	uint8_t separator32[32];
	enum x402_err err = read_domain(body, info, payment);
	if (err)
		return err;
	if (!read_address(json, "from", &auth->from) ||
		!read_address(json, "to", &auth->to) ||
		!read_u256(json, "value", &auth->value) ||
		!read_u256(json, "validAfter", &auth->valid_after) ||
		!read_u256(json, "validBefore", &auth->valid_before) ||
		x402_hex_decode_fixed(x402_json_get_string(json, "nonce"),
			auth->nonce32, 32) ||
		!x402_u256_to_u64(&auth->valid_before, &payment->valid_before))
		return malformed(info, "message",
			"from, to, value, validAfter, validBefore and nonce");
	if (!x402_address_equal(&auth->from, wallets->evm))
		return not_ours(info, "message.from");
	payment->signable.kind = X402_SIGNABLE_EIP3009;
	payment->signable.eip3009 = auth;
	x402_eip712_domain_separator(&payment->domain, separator32);
	x402_eip3009_digest(auth, separator32, payment->signable.digest32);
	set_evm(payment, &payment->contract, &auth->to, &auth->value);
	return X402_OK;
}

/* ---- Permit2. ---- */

static bool read_scheme(
	const struct x402_json *body, enum x402_permit2_kind *ret_kind)
{
	const char *scheme = x402_json_get_string(body, "scheme");
	if (!scheme)
		return false;
	*ret_kind = strcmp(scheme, "upto") == 0 ? X402_PERMIT2_UPTO
						: X402_PERMIT2_EXACT;
	return *ret_kind == X402_PERMIT2_UPTO || strcmp(scheme, "exact") == 0;
}

/* Spender and domain are constants: the proxy hands out to `to` alone. */
static enum x402_err read_permit2(const struct x402_json *body,
	const struct x402__signer_wallets *wallets, struct x402_errinfo *info,
	struct x402__signer_payment *payment)
{
	const struct x402_json *json = x402_json_get(body, "message");
	struct x402_permit2_authorization *auth = &payment->permit2;
	struct x402_eip712_domain *domain = &payment->domain;
	if (!read_scheme(body, &auth->kind) ||
		!read_chain(body, &domain->chain_id))
		return malformed(
			info, "scheme, chainId", "exact or upto, and a number");
	if (!read_address(json, "from", &auth->from) ||
		!read_address(json, "token", &auth->token) ||
		!read_address(json, "to", &auth->to) ||
		!read_u256(json, "amount", &auth->amount) ||
		!read_u256(json, "nonce", &auth->nonce) ||
		!read_u256(json, "deadline", &auth->deadline) ||
		!read_u256(json, "validAfter", &auth->valid_after) ||
		!x402_u256_to_u64(&auth->deadline, &payment->valid_before) ||
		(auth->kind == X402_PERMIT2_UPTO &&
			!read_address(json, "facilitator", &auth->facilitator)))
		return malformed(info, "message",
			"from, token, to, amount, nonce, deadline, validAfter, "
			"and for upto facilitator");
	if (!x402_address_equal(&auth->from, wallets->evm))
		return not_ours(info, "message.from");
	auth->spender = *x402_permit2_proxy(auth->kind);
	domain->name = "Permit2";
	domain->verifying_contract = x402_permit2_contract();
	payment->signable.kind = X402_SIGNABLE_PERMIT2;
	payment->signable.permit2 = auth;
	x402_permit2_digest(auth, domain->chain_id, payment->signable.digest32);
	/* C-032: upto counts its maximum. */
	set_evm(payment, &auth->token, &auth->to, &auth->amount);
	return X402_OK;
}

/* ---- EIP-2612, for Permit2 and nobody else. ---- */

static enum x402_err read_eip2612(const struct x402_json *body,
	const struct x402__signer_wallets *wallets, struct x402_errinfo *info,
	struct x402__signer_payment *payment)
{
	const struct x402_json *json = x402_json_get(body, "message");
	struct x402_permit2612 *permit = &payment->eip2612;
	uint8_t separator32[32];
	enum x402_err err = read_domain(body, info, payment);
	if (err)
		return err;
	if (!read_address(json, "owner", &permit->owner) ||
		!read_u256(json, "value", &permit->value) ||
		!read_u256(json, "nonce", &permit->nonce) ||
		!read_u256(json, "deadline", &permit->deadline) ||
		!x402_u256_to_u64(&permit->deadline, &payment->valid_before))
		return malformed(
			info, "message", "owner, value, nonce and deadline");
	if (!x402_address_equal(&permit->owner, wallets->evm))
		return not_ours(info, "message.owner");
	permit->token = payment->contract;
	permit->spender = *x402_permit2_contract();
	payment->signable.kind = X402_SIGNABLE_EIP2612;
	payment->signable.eip2612 = permit;
	x402_eip712_domain_separator(&payment->domain, separator32);
	x402_permit2612_digest(permit, separator32, payment->signable.digest32);
	set_evm(payment, &permit->token, NULL, &permit->value);
	return X402_OK;
}

/* ---- Solana. ---- */

/* The template's places, as x402_svm_transfer_message() lays them. */
enum place { FEE_PAYER, AUTHORITY, DESTINATION, SOURCE, MINT, TOKEN = 7 };
#define PLACES_WITHOUT_REFERENCE 8

static uint64_t le(struct x402_span data, size_t at, size_t len)
{
	uint64_t value = 0;
	while (len-- > 0)
		value = value << 8 | data.ptr[at + len];
	return value;
}

/* The terms, if the message has the template's outline. */
static bool read_transfer(const struct x402_svm_transaction *t,
	struct x402_svm_transfer *ret_transfer)
{
	const struct x402_svm_instruction *list = t->instructions;
	if (t->keys_len < PLACES_WITHOUT_REFERENCE ||
		t->keys_len > PLACES_WITHOUT_REFERENCE + 1 ||
		t->instructions_len != 4 || list[0].data.len != 5 ||
		list[1].data.len != 9 || list[2].data.len != 10)
		return false;
	*ret_transfer = (struct x402_svm_transfer){
		.fee_payer = t->keys[FEE_PAYER],
		.authority = t->keys[AUTHORITY],
		.token_program = t->keys[TOKEN],
		.mint = t->keys[MINT],
		.source = t->keys[SOURCE],
		.destination = t->keys[DESTINATION],
		.amount = le(list[2].data, 1, 8),
		.decimals = list[2].data.ptr[9],
		.memo = list[3].data,
		.reference = t->keys_len > PLACES_WITHOUT_REFERENCE
			? &t->keys[PLACES_WITHOUT_REFERENCE]
			: NULL,
		.compute_units = (uint32_t)le(list[0].data, 1, 4),
		.micro_lamports = le(list[1].data, 1, 8)};
	memcpy(ret_transfer->blockhash32, t->blockhash32, 32);
	return true;
}

/* Made anew from what was read, it must be the very same bytes. */
static enum x402_err check_template(const struct x402_svm_transfer *transfer,
	struct x402_span message, struct x402_errinfo *info)
{
	struct x402_buf again = {0};
	enum x402_err err = x402_svm_transfer_message(transfer, &again);
	bool same = !err && again.len == message.len &&
		memcmp(again.ptr, message.ptr, message.len) == 0;
	x402_buf_clear(&again);
	if (err == X402_ERR_NOMEM || same)
		return err;
	return malformed(info, "message", "a payment's transfer and no more");
}

/* From our own account of the mint to the payee's. */
static enum x402_err check_accounts(const struct x402_svm_transfer *transfer,
	const struct x402_pubkey *wallet, const struct x402_pubkey *pay_to,
	struct x402_errinfo *info)
{
	struct x402_pubkey source;
	struct x402_pubkey destination;
	uint8_t bump;
	if (!x402_pubkey_equal(&transfer->authority, wallet))
		return not_ours(info, "message");
	if (!x402_pubkey_equal(
		    &transfer->token_program, &x402_svm_token_program) &&
		!x402_pubkey_equal(
			&transfer->token_program, &x402_svm_token_2022_program))
		return malformed(info, "message", "a token program");
	if (!x402_svm_ata(wallet, &transfer->token_program, &transfer->mint,
		    &source, &bump) ||
		!x402_pubkey_equal(&transfer->source, &source))
		return malformed(info, "message", "the wallet's own account");
	if (!x402_svm_ata(pay_to, &transfer->token_program, &transfer->mint,
		    &destination, &bump) ||
		!x402_pubkey_equal(&transfer->destination, &destination))
		return malformed(info, "payTo", "whom the message pays");
	return X402_OK;
}

/* The reader takes whole transactions: empty signatures go in front. */
static enum x402_err judge_message(struct x402_span message,
	const struct x402_pubkey *wallet, const struct x402_pubkey *pay_to,
	struct x402_errinfo *info, struct x402_svm_transfer *ret_transfer)
{
	struct x402_buf wire = {0};
	struct x402_svm_transaction transaction;
	x402_svm_add_length(&wire, 2);
	(void)x402_buf_add_zeros(&wire, (size_t)2 * 64);
	x402_buf_add(&wire, message);
	enum x402_err err = wire.failed
		? X402_ERR_NOMEM
		: x402_svm_transaction_read(x402_buf_span(&wire), &transaction);
	if (err && err != X402_ERR_NOMEM)
		err = malformed(info, "message", "a message of Solana");
	if (!err && !read_transfer(&transaction, ret_transfer))
		err = malformed(
			info, "message", "a payment's transfer and no more");
	if (!err)
		err = check_template(ret_transfer, message, info);
	if (!err)
		err = check_accounts(ret_transfer, wallet, pay_to, info);
	/* Those two point into what goes now, and are of no more use. */
	ret_transfer->memo = x402_span(NULL, 0);
	ret_transfer->reference = NULL;
	x402_buf_clear(&wire);
	return err;
}

static enum x402_err read_solana(const struct x402_json *body,
	const struct x402__signer_wallets *wallets, struct x402_errinfo *info,
	struct x402__signer_payment *payment)
{
	const char *network = x402_json_get_string(body, "network");
	const char *text = x402_json_get_string(body, "message");
	struct x402_svm_transfer transfer = {.amount = 0};
	struct x402_network parsed;
	if (!wallets->svm) {
		x402_errinfo_set(
			info, "kind", "this signer has no key of Solana");
		return X402_ERR_UNSUPPORTED;
	}
	if (!network || x402_network_parse(network, &parsed) ||
		parsed.family != X402_FAMILY_SVM ||
		strlen(network) >= sizeof(payment->network) ||
		x402_pubkey_parse(x402_json_get_string(body, "payTo"),
			&payment->svm_pay_to))
		return malformed(info, "network, payTo",
			"a network of Solana and an account");
	if (!text || strlen(text) > MESSAGE_TEXT_MAX ||
		x402_base64_decode(x402_span_str(text), &payment->message))
		return malformed(info, "message", "a message in base64");
	struct x402_span message = x402_buf_span(&payment->message);
	enum x402_err err = judge_message(
		message, wallets->svm, &payment->svm_pay_to, info, &transfer);
	if (err)
		return err;
	(void)snprintf(
		payment->network, sizeof(payment->network), "%s", network);
	x402_pubkey_format(&transfer.mint, payment->asset);
	x402_pubkey_format(&payment->svm_pay_to, payment->pay_to);
	payment->ask.svm_pay_to = &payment->svm_pay_to;
	payment->ask.value = x402_u256_from_u64(transfer.amount);
	payment->signable.kind = X402_SIGNABLE_SVM;
	payment->signable.svm_message = message;
	x402_sha256(message, payment->key32);
	return X402_OK;
}

/* ---- The table. ---- */

enum x402_err x402__signer_payment_read(const struct x402_json *body,
	const struct x402__signer_wallets *wallets, struct x402_errinfo *info,
	struct x402__signer_payment *payment)
{
	static const struct {
		const char *kind;
		enum x402_err (*read)(const struct x402_json *body,
			const struct x402__signer_wallets *wallets,
			struct x402_errinfo *info,
			struct x402__signer_payment *payment);
	} kinds[] = {{"eip3009", read_eip3009}, {"permit2", read_permit2},
		{"eip2612", read_eip2612}, {"solana", read_solana}};
	const char *kind = x402_json_get_string(body, "kind");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!kind || strcmp(kind, kinds[i].kind) != 0)
			continue;
		payment->ask.url = x402_json_get_string(body, "url");
		payment->ask.network = payment->network;
		payment->ask.asset = payment->asset;
		return kinds[i].read(body, wallets, info, payment);
	}
	x402_errinfo_set(
		info, "kind", "expected eip3009, permit2, eip2612 or solana");
	return X402_ERR_UNSUPPORTED;
}
