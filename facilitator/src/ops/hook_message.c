/*
 * The message of a web hook, signed, and the delays between its tries. No
 * I/O, so that tests hold it to the byte.
 */
#include "ops/hook_message.h"

#include "api/api.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define DELAY_FIRST_MS 5000

void fac_hook_id(const struct fac_outbox_row *row,
	const struct fac_payment *payment, char ret_id[FAC_HOOK_ID_SIZE])
{
	/* Not the row's number: the store may use one again. */
	snprintf(ret_id, FAC_HOOK_ID_SIZE, "%s-%s-%llu", payment->id,
		fac_payment_state_text(row->state),
		(unsigned long long)row->at_ms);
}

static struct x402_json *data_json(
	const struct fac_outbox_row *row, const struct fac_payment *payment)
{
	struct x402_json *json = x402_json_new_object();
	struct x402_settle_parties parties = x402_settle_proof_parties(
		&payment->proof);
	char transaction[FAC_TRANSACTION_TEXT_SIZE];
	char amount[X402_U256_DEC_SIZE];

	fac_payment_transaction_text(payment, transaction);
	x402_u256_to_dec(&payment->proof.value, amount);
	if (!json || x402_json_set_string(json, "paymentId", payment->id) ||
		x402_json_set_string(
			json, "state", fac_payment_state_text(row->state)) ||
		x402_json_set_string(json, "network", payment->network) ||
		x402_json_set_string(json, "transaction", transaction) ||
		x402_json_set_string(json, "payer", parties.payer) ||
		x402_json_set_string(json, "payTo", parties.pay_to) ||
		x402_json_set_string(json, "asset", parties.asset) ||
		x402_json_set_string(json, "amount", amount) ||
		(payment->reason != X402_REASON_NONE &&
			x402_json_set_string(json, "reason",
				x402_reason_wire(payment->reason)))) {
		x402_json_unref(json);
		return NULL;
	}
	return json;
}

char *fac_hook_body(
	const struct fac_outbox_row *row, const struct fac_payment *payment)
{
	struct x402_json *json = x402_json_new_object();
	char id[FAC_HOOK_ID_SIZE];
	char type[40];
	char at[FAC_ISO_TIME_SIZE];
	char *text = NULL;

	fac_hook_id(row, payment, id);
	snprintf(type, sizeof(type), "payment.%s",
		fac_payment_state_text(row->state));
	fac_iso_time(row->at_ms, at);
	if (json && !x402_json_set_string(json, "id", id) &&
		!x402_json_set_string(json, "type", type) &&
		!x402_json_set_string(json, "createdAt", at) &&
		!x402_json_set_take(json, "data", data_json(row, payment)))
		text = x402_json_dump(json);
	x402_json_unref(json);
	return text;
}

void fac_hook_sign(const struct fac_hook_secret *secret, const char *timestamp,
	const char *body, char ret_signature[FAC_HOOK_SIGNATURE_SIZE])
{
	crypto_auth_hmacsha256_state state;
	uint8_t mac[crypto_auth_hmacsha256_BYTES];

	(void)crypto_auth_hmacsha256_init(
		&state, (const unsigned char *)secret->bytes, secret->len);
	(void)crypto_auth_hmacsha256_update(
		&state, (const unsigned char *)timestamp, strlen(timestamp));
	(void)crypto_auth_hmacsha256_update(
		&state, (const unsigned char *)".", 1);
	(void)crypto_auth_hmacsha256_update(
		&state, (const unsigned char *)body, strlen(body));
	(void)crypto_auth_hmacsha256_final(&state, mac);
	sodium_memzero(&state, sizeof(state));
	memcpy(ret_signature, "sha256=", 7);
	sodium_bin2hex(ret_signature + 7, FAC_HOOK_SIGNATURE_SIZE - 7, mac,
		sizeof(mac));
}

uint64_t fac_hook_delay_ms(uint32_t tries, uint32_t random32)
{
	uint64_t delay_ms = DELAY_FIRST_MS;

	for (uint32_t i = 1; i < tries && delay_ms < FAC_HOOK_DELAY_MAX_MS; i++)
		delay_ms *= 2;
	if (delay_ms > FAC_HOOK_DELAY_MAX_MS)
		delay_ms = FAC_HOOK_DELAY_MAX_MS;
	return delay_ms - (random32 % (delay_ms / 2));
}
