/*
 * siwx_proof.c: did this wallet sign our text?
 *
 *   x402__siwx_proof()    chain, nonce and address; then by its family
 *     proven_svm()        Ed25519
 *     recover()           EIP-191 by the account's own key
 *     ask_contract()      ERC-1271: an ASK to the operator's endpoint
 *   x402__siwx_answered()
 *
 * A nonce counts as used before a contract is asked: a challenge buys one
 * question. Wallets that are not on the chain yet (ERC-6492) cannot sign in:
 * there is nobody to ask.
 */
#include "siwx_p.h"

#include <stdio.h>
#include <stdlib.h>

#include "x402/abi.h"

#define CONTRACT_TIMEOUT_MS 5000
/* As the reference's server names them (section 7.11). */
#define REASON_NONCE "invalid_siwx_nonce"
#define REASON_CHAIN "invalid_siwx_unsupported_chain"
#define REASON_SIGNATURE                                                 \
	"invalid_siwx_signature: not by the key of that address, and a " \
	"contract wallet cannot sign in here"
#define REASON_CONTRACT "invalid_siwx_signature"
#define REASON_VERIFIER "invalid_siwx_verifier_error"

static const uint8_t magic_1271[4] = {0x16, 0x26, 0xba, 0x7e};

static enum x402__siwx refused(struct x402_gate *gate, const char *reason)
{
	gate->siwx_reason = reason;
	return X402__SIWX_REFUSED;
}

/* EIP-191 */
static void hash_text(struct x402_span text, uint8_t ret_hash32[32])
{
	char prefix[48];
	struct x402_keccak hash;
	int n = snprintf(prefix, sizeof(prefix),
		"\x19"
		"Ethereum Signed Message:\n%zu",
		text.len);

	x402_keccak_init(&hash);
	x402_keccak_update(&hash, x402_span(prefix, (size_t)n));
	x402_keccak_update(&hash, text);
	x402_keccak_final(&hash, ret_hash32);
}

static bool recover(const uint8_t hash32[32], struct x402_span signature,
	const struct x402_address *claimed)
{
	struct x402_address signer;

	return signature.len == 65 &&
		x402_recover_address(hash32, signature.ptr, &signer) ==
		X402_OK &&
		x402_address_equal(&signer, claimed);
}

static enum x402__siwx proven_svm(struct x402_gate *gate,
	const struct x402__siwx_claim *claim, const struct x402_json *proof)
{
	const char *signature = x402_json_get_string(proof, "signature");
	struct x402_buf text = {0};
	struct x402_pubkey key;
	uint8_t sig64[64];
	bool good;

	x402__siwx_message(gate, claim, &text);
	good = !text.failed && signature &&
		x402_base58_decode(signature, sig64, sizeof(sig64)) ==
			X402_OK &&
		x402_pubkey_parse(claim->address, &key) == X402_OK &&
		x402_ed25519_verify(sig64, x402_buf_span(&text), &key);
	x402_buf_clear(&text);
	return good ? X402__SIWX_PROVEN : refused(gate, REASON_CONTRACT);
}

/* The network, of those that the route is sold on; no other is anybody's
 * business. */
static const char *network_of(const struct x402_gate *gate, const char *chain)
{
	for (size_t i = 0; chain && i < gate->route->terms_len; i++)
		if (strcmp(gate->route->terms[i].network, chain) == 0)
			return gate->route->terms[i].network;
	return NULL;
}

static const char *rpc_of(
	const struct x402_provider *provider, const char *network)
{
	for (size_t i = 0; i < provider->rpcs_len; i++)
		if (strcmp(provider->rpcs[i].network, network) == 0)
			return provider->rpcs[i].url;
	return NULL;
}

/* isValidSignature(bytes32,bytes) */
static bool ask_contract(struct x402_gate *gate, const char *url,
	const uint8_t hash32[32], struct x402_span signature,
	struct x402_gate_decision *ret_decision)
{
	struct x402_buf calldata = {0};
	bool asked;

	x402_abi_add_selector(&calldata, magic_1271);
	x402_abi_add_word(&calldata, hash32);
	x402_abi_add_u64(&calldata, 64);
	x402_abi_add_bytes_tail(&calldata, signature);
	asked = x402__gate_ask_call(gate, url, &gate->from, &calldata,
		CONTRACT_TIMEOUT_MS, ret_decision);
	if (asked)
		gate->state = X402__GATE_SIWX;
	return asked;
}

/* Of the text with the address written so, the digest. */
static bool hash_message(const struct x402_gate *gate,
	const struct x402__siwx_claim *claim, const char *address,
	uint8_t ret_hash32[32])
{
	struct x402__siwx_claim written = *claim;
	struct x402_buf text = {0};
	bool whole;

	snprintf(written.address, sizeof(written.address), "%s", address);
	x402__siwx_message(gate, &written, &text);
	whole = !text.failed;
	if (whole)
		hash_text(x402_buf_span(&text), ret_hash32);
	x402_buf_clear(&text);
	return whole;
}

/*
 * EIP-4361 wants the address in EIP-55, and the reference's client writes it
 * so whatever it says in the proof; many wallets' pages write it as the wallet
 * gave it. A contract is asked about the former.
 */
static enum x402__siwx proven_evm(struct x402_gate *gate, const char *network,
	const struct x402__siwx_claim *claim, const struct x402_json *proof,
	struct x402_gate_decision *ret_decision)
{
	const char *text = x402_json_get_string(proof, "signature");
	const char *said = x402_json_get_string(proof, "address");
	const char *url = rpc_of(gate->provider, network);
	struct x402_buf signature = {0};
	enum x402__siwx outcome = X402__SIWX_PROVEN;
	uint8_t said32[32];
	uint8_t hash32[32];

	if (!text || strlen(text) > 2 + 2 * X402_SIGNATURE_MAX_BYTES ||
		x402_hex_decode(text, &signature) != X402_OK) {
		x402_buf_clear(&signature);
		return refused(gate, REASON_CONTRACT);
	}
	if (!hash_message(gate, claim, claim->address, hash32) ||
		!hash_message(gate, claim, said, said32))
		outcome = refused(gate, REASON_VERIFIER);
	else if (recover(hash32, x402_buf_span(&signature), &gate->from) ||
		recover(said32, x402_buf_span(&signature), &gate->from))
		outcome = X402__SIWX_PROVEN;
	else if (!url)
		outcome = refused(gate, REASON_SIGNATURE);
	else if (ask_contract(gate, url, hash32, x402_buf_span(&signature),
			 ret_decision))
		outcome = X402__SIWX_ASK;
	else
		outcome = refused(gate, REASON_VERIFIER);
	x402_buf_clear(&signature);
	return outcome;
}

/* Into gate->payer, as its chain writes it. */
static bool read_address(struct x402_gate *gate, const char *address)
{
	struct x402_pubkey key;

	if (gate->is_svm) {
		if (x402_pubkey_parse(address, &key) != X402_OK)
			return false;
		x402_pubkey_format(&key, gate->payer);
		return true;
	}
	if (x402_address_parse(address, &gate->from) != X402_OK)
		return false;
	x402_address_format(&gate->from, gate->payer);
	return true;
}

static bool nonce_taken(struct x402_gate *gate, const char *nonce)
{
	uint64_t issued;
	uint8_t seen32[32];

	if (!x402__siwx_read_nonce(gate, nonce, &issued))
		return false;
	x402_keccak256(x402_span_str(nonce), seen32);
	return x402__counters_take(gate->provider->counters, seen32, 1,
		issued + X402__SIWX_LIFE_S, gate->now_unix_s);
}

static enum x402__siwx judge(struct x402_gate *gate,
	const struct x402_json *proof, struct x402_gate_decision *ret_decision)
{
	const char *network = network_of(
		gate, x402_json_get_string(proof, "chainId"));
	struct x402__siwx_claim claim = {
		.nonce = x402_json_get_string(proof, "nonce")};
	enum x402__siwx outcome;
	uint64_t issued;

	if (!network)
		return refused(gate, REASON_CHAIN);
	if (!x402__siwx_read_nonce(gate, claim.nonce, &issued))
		return refused(gate, REASON_NONCE);
	gate->is_svm = claim.is_svm = strncmp(network, "solana:", 7) == 0;
	claim.chain_id = network + 7; /* "eip155:" is as long */
	if (!read_address(gate, x402_json_get_string(proof, "address")))
		return refused(gate, REASON_CONTRACT);
	memcpy(claim.address, gate->payer, sizeof(claim.address));
	outcome = claim.is_svm
		? proven_svm(gate, &claim, proof)
		: proven_evm(gate, network, &claim, proof, ret_decision);
	if ((outcome == X402__SIWX_PROVEN || outcome == X402__SIWX_ASK) &&
		!nonce_taken(gate, claim.nonce))
		outcome = refused(gate, REASON_NONCE);
	return outcome;
}

/* Who was not proven is nobody. */
static void forget_wallet(struct x402_gate *gate)
{
	gate->state = X402__GATE_NEW;
	gate->is_svm = false;
	gate->payer[0] = '\0';
	memset(&gate->from, 0, sizeof(gate->from));
}

enum x402__siwx x402__siwx_proof(struct x402_gate *gate,
	const struct x402_gate_request *request,
	struct x402_gate_decision *ret_decision)
{
	struct x402_json *proof = NULL;
	struct x402_span value;
	enum x402__siwx outcome;

	if (!x402__one_header(request, X402__SIWX_HEADER, &value) ||
		x402_header_decode(value, NULL, &proof) != X402_OK)
		return X402__SIWX_NONE;
	outcome = judge(gate, proof, ret_decision);
	x402_json_unref(proof);
	if (outcome == X402__SIWX_REFUSED)
		forget_wallet(gate);
	return outcome;
}

void x402__siwx_answered(struct x402_gate *gate,
	const struct x402_gate_facilitator_answer *answer,
	struct x402_gate_decision *ret_decision)
{
	uint8_t word32[32];
	uint8_t yes32[32] = {0};
	const char *reason = REASON_VERIFIER;

	memcpy(yes32, magic_1271, sizeof(magic_1271));
	if (!x402__gate_read_call(answer, word32)) {
		x402__gate_say(gate, X402_GATE_EVENT_FAULT,
			"a contract wallet could not be asked");
	} else if (memcmp(word32, yes32, sizeof(yes32)) == 0) {
		x402__gate_signed_in(gate, ret_decision);
		return;
	} else {
		reason = REASON_CONTRACT;
	}
	forget_wallet(gate);
	x402__gate_end_challenge(gate, reason, ret_decision);
}
