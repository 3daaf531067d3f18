/*
 * siwx.c: E-SIWX, what is said and what is remembered, without a store of
 * challenges. Proofs are judged in siwx_proof.c.
 *
 * A nonce carries its own proof: the second it was made in, two bytes of a
 * counter, and a mac over both and the resource. So everything in a message
 * but address and chain is ours to say, and x402__siwx_message() writes the
 * text that must have been signed from our own values; what the client sends
 * along is not read, and cannot disagree (attack: a proof for another domain).
 * A proof that was seen is counted until it has expired, so it is good once.
 */
#include "siwx_p.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STATEMENT "Sign in to open what you have paid for."
#define MAC_SIZE  8

/* What a proof looks like, for those who check before they send. */
static const char schema[] =
	"{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\","
	"\"type\":\"object\",\"properties\":{\"domain\":{\"type\":\"string\"},"
	"\"address\":{\"type\":\"string\"},\"uri\":{\"type\":\"string\"},"
	"\"version\":{\"type\":\"string\"},\"chainId\":{\"type\":\"string\"},"
	"\"type\":{\"type\":\"string\"},\"nonce\":{\"type\":\"string\"},"
	"\"issuedAt\":{\"type\":\"string\"},\"signature\":{\"type\":"
	"\"string\"}},\"required\":[\"domain\",\"address\",\"uri\","
	"\"version\",\"chainId\",\"type\",\"nonce\",\"issuedAt\","
	"\"signature\"]}";

/* YYYY-MM-DDTHH:MM:SSZ with milliseconds, as clients write them. */
static void write_time(uint64_t unix_s, char ret_text[32])
{
	time_t when = (time_t)unix_s;
	struct tm tm = {0};

	gmtime_r(&when, &tm);
	strftime(ret_text, 32, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
}

static void nonce_mac(const struct x402_gate *gate, const uint8_t head8[8],
	uint8_t ret_mac[MAC_SIZE])
{
	struct x402_keccak hash;
	uint8_t hash32[32];

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span("x402 siwx", 10));
	x402_keccak_update(&hash, x402_span(head8, 8));
	x402_keccak_update(&hash, x402_span_str(gate->url));
	x402_keccak_final(&hash, hash32);
	memcpy(ret_mac, hash32, MAC_SIZE);
}

static void make_nonce(
	struct x402_gate *gate, char ret_nonce[X402__SIWX_NONCE_SIZE])
{
	uint64_t number = __atomic_add_fetch(
		&gate->provider->nonces, 1, __ATOMIC_RELAXED);
	uint8_t bytes[16];
	struct x402_buf hex = {0};

	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(gate->now_unix_s >> (40 - 8 * i));
	bytes[6] = (uint8_t)(number >> 8);
	bytes[7] = (uint8_t)number;
	nonce_mac(gate, bytes, bytes + 8);
	x402_hex_encode(x402_span(bytes, sizeof(bytes)), &hex);
	memset(ret_nonce, 0, X402__SIWX_NONCE_SIZE);
	if (!hex.failed)
		memcpy(ret_nonce, hex.ptr, X402__SIWX_NONCE_SIZE - 1);
	x402_buf_clear(&hex);
}

bool x402__siwx_read_nonce(const struct x402_gate *gate, const char *nonce,
	uint64_t *ret_issued_unix_s)
{
	char hex[2 + X402__SIWX_NONCE_SIZE] = "0x";
	uint8_t bytes[16];
	uint8_t mac[MAC_SIZE];
	uint64_t issued = 0;

	if (!nonce || strlen(nonce) != X402__SIWX_NONCE_SIZE - 1)
		return false;
	memcpy(hex + 2, nonce, X402__SIWX_NONCE_SIZE);
	if (x402_hex_decode_fixed(hex, bytes, sizeof(bytes)) != X402_OK)
		return false;
	nonce_mac(gate, bytes, mac);
	if (!x402_equal_ct(mac, bytes + 8, MAC_SIZE))
		return false;
	for (int i = 0; i < 6; i++)
		issued = issued << 8 | bytes[i];
	*ret_issued_unix_s = issued;
	return issued <= gate->now_unix_s &&
		gate->now_unix_s - issued <= X402__SIWX_LIFE_S;
}

/* Host and port of our URL. */
static struct x402_span domain_of(const struct x402_gate *gate)
{
	const char *host = strstr(gate->url, "://") + 3;

	return x402_span(host, strcspn(host, "/?#"));
}

void x402__siwx_message(const struct x402_gate *gate,
	const struct x402__siwx_claim *claim, struct x402_buf *out)
{
	uint64_t issued_unix_s = 0;
	char issued[32];
	char expires[32];

	(void)x402__siwx_read_nonce(gate, claim->nonce, &issued_unix_s);
	write_time(issued_unix_s, issued);
	write_time(issued_unix_s + X402__SIWX_LIFE_S, expires);
	x402_buf_add(out, domain_of(gate));
	x402_buf_printf(out,
		" wants you to sign in with your %s account:\n%s\n\n"
		"%s\n\nURI: %s\nVersion: 1\nChain ID: %s\nNonce: %s\n"
		"Issued At: %s\nExpiration Time: %s\nResources:\n- %s",
		claim->is_svm ? "Solana" : "Ethereum", claim->address,
		STATEMENT, gate->url, claim->chain_id, claim->nonce, issued,
		expires, gate->url);
}

/* Each network of the route once. */
static void add_chains(const struct x402_gate *gate, struct x402_buf *buf)
{
	const struct x402__route *route = gate->route;
	bool first = true;

	for (size_t i = 0; i < route->terms_len; i++) {
		const char *network = route->terms[i].network;
		bool said = false;

		for (size_t j = 0; j < i; j++)
			said = said ||
				strcmp(route->terms[j].network, network) == 0;
		if (said)
			continue;
		x402_buf_add_str(
			buf, first ? "{\"chainId\":" : ",{\"chainId\":");
		x402__json_string_add(buf, network);
		x402_buf_add_str(buf,
			strncmp(network, "solana:", 7) == 0
				? ",\"type\":\"ed25519\"}"
				: ",\"type\":\"eip191\"}");
		first = false;
	}
}

void x402__siwx_challenge(struct x402_gate *gate, struct x402_buf *buf)
{
	char nonce[X402__SIWX_NONCE_SIZE];
	char issued[32];
	char expires[32];
	struct x402_buf domain = {0};
	char *domain_text;

	make_nonce(gate, nonce);
	write_time(gate->now_unix_s, issued);
	write_time(gate->now_unix_s + X402__SIWX_LIFE_S, expires);
	x402_buf_add(&domain, domain_of(gate));
	domain_text = x402_buf_take_str(&domain);
	x402_buf_add_str(buf, "\"sign-in-with-x\":{\"info\":{\"domain\":");
	x402__json_string_add(buf, domain_text ? domain_text : "");
	x402_buf_add_str(buf, ",\"uri\":");
	x402__json_string_add(buf, gate->url);
	x402_buf_printf(buf,
		",\"version\":\"1\",\"nonce\":\"%s\",\"issuedAt\":\"%s\","
		"\"expirationTime\":\"%s\",\"statement\":\"" STATEMENT "\","
		"\"resources\":[",
		nonce, issued, expires);
	x402__json_string_add(buf, gate->url);
	x402_buf_add_str(buf, "]},\"supportedChains\":[");
	add_chains(gate, buf);
	x402_buf_add_str(buf, "],\"schema\":");
	x402_buf_add_str(buf, schema);
	x402_buf_add_byte(buf, '}');
	buf->failed = buf->failed || !domain_text;
	free(domain_text);
}

/* ---- Who has paid. ---- */

/* By the payer's text, EIP-55 or base58. */
static void paid_key(const struct x402_gate *gate, uint8_t ret_key32[32])
{
	struct x402_keccak hash;
	uint8_t scope16[16];

	x402__scope_write(gate, scope16);
	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(gate->provider->secret32, 32));
	x402_keccak_update(&hash, x402_span("x402 paid", 10));
	x402_keccak_update(&hash, x402_span(scope16, 16));
	x402_keccak_update(&hash, x402_span_str(gate->payer));
	x402_keccak_final(&hash, ret_key32);
}

void x402__siwx_remember(struct x402_gate *gate)
{
	uint8_t key32[32];

	if (gate->route->siwx_s == 0)
		return;
	paid_key(gate, key32);
	/* No room: this one must pay again, which is what the price is. */
	(void)x402__counters_take(gate->provider->bought, key32, 1,
		gate->now_unix_s + gate->route->siwx_s, gate->now_unix_s);
}

bool x402__siwx_has_paid(struct x402_gate *gate)
{
	const struct x402_provider_memory *memory = &gate->provider->memory;
	uint32_t since = gate->route->siwx_s;
	uint8_t scope16[16];
	uint8_t key32[32];

	if (since == 0)
		return false;
	paid_key(gate, key32);
	if (x402__counters_have(
		    gate->provider->bought, key32, gate->now_unix_s))
		return true;
	x402__scope_write(gate, scope16);
	return memory->has_paid &&
		memory->has_paid(memory->user, gate, gate->payer, scope16,
			gate->now_unix_s > since ? gate->now_unix_s - since
						 : 0);
}
