/*
 * smart-wallet.c: fetch a URL and pay for it from a wallet that is a contract
 * (ERC-1271), at most a cent:
 *   EVM_WALLET=0x... EVM_PRIVATE_KEY=0x... smart-wallet URL
 * The wallet has the money, the key is its owner's. What a wallet wants around
 * its owner's signature is its own affair: this one takes it as it is. A wallet
 * that is not deployed yet (ERC-6492) needs the call that deploys it, too, and
 * a facilitator that allows its factory:
 *   EVM_WALLET_FACTORY=0x... EVM_WALLET_CALLDATA=0x...
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <x402/abi.h>
#include <x402/client.h>
#include <x402/encoding.h>

struct owner {
	struct x402_secp256k1 *secp;
	struct x402_secret key;
	struct x402_address factory;
	struct x402_buf calldata; /* empty: the wallet is there */
};

/* abi.encode(factory, calldata, signature), and the magic of ERC-6492. */
static void add_wrapped(const struct owner *owner, struct x402_span signature,
	struct x402_buf *ret_signature)
{
	size_t words = (owner->calldata.len + 31) / 32;

	x402_abi_add_address(ret_signature, &owner->factory);
	x402_abi_add_u64(ret_signature, 3 * 32);
	x402_abi_add_u64(ret_signature, (4 + words) * 32);
	x402_abi_add_bytes_tail(ret_signature, x402_buf_span(&owner->calldata));
	x402_abi_add_bytes_tail(ret_signature, signature);
	for (int i = 0; i < 16; i++)
		x402_buf_add(ret_signature, x402_span("\x64\x92", 2));
}

static enum x402_err sign(void *user, const struct x402_client_signing *signing,
	struct x402_buf *ret_signature)
{
	const struct owner *owner = user;
	uint8_t sig65[65];
	enum x402_err err = x402_sign_digest(
		owner->secp, signing->digest32, &owner->key, sig65);

	if (err)
		return err;
	if (owner->calldata.len)
		add_wrapped(owner, x402_span(sig65, 65), ret_signature);
	else
		x402_buf_add(ret_signature, x402_span(sig65, 65));
	return X402_OK;
}

/* False when it is there and makes no sense. */
static bool read_factory(struct owner *owner)
{
	const char *factory = getenv("EVM_WALLET_FACTORY");
	const char *calldata = getenv("EVM_WALLET_CALLDATA");

	if (!factory || !calldata)
		return !factory && !calldata;
	return x402_address_parse(factory, &owner->factory) == X402_OK &&
		x402_hex_decode(calldata, &owner->calldata) == X402_OK &&
		owner->calldata.len > 0;
}

static int fetch(struct x402_client *client, const char *url)
{
	struct x402_client_request request = {.url = url};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	enum x402_err err = x402_client_fetch(client, &request, &response);

	(void)fwrite(response.body.ptr, 1, response.body.len, stdout);
	fprintf(stderr, "%s: status %ld, payment %s, transaction %s\n",
		x402_err_text(err), response.status,
		x402_client_outcome_name(response.payment.outcome),
		response.payment.transaction);
	x402_client_response_clear(&response);
	return err || response.status >= 400;
}

int main(int argc, char **argv)
{
	uint8_t seed32[32]; /* blinds the signing against side channels */
	const char *wallet = getenv("EVM_WALLET");
	const char *key = getenv("EVM_PRIVATE_KEY");
	struct owner owner = {0};
	struct x402_client_signer signer = {.sign = sign, .user = &owner};
	struct x402_client_options options = {
		.signer = &signer, .max_usd_micros = 10000};
	struct x402_client *client = NULL;
	int code = 2;

	if (argc == 2 && wallet && key &&
		getrandom(seed32, sizeof(seed32), 0) == sizeof(seed32) &&
		!x402_address_parse(wallet, &signer.address) &&
		!x402_secret_parse(key, &owner.key) && read_factory(&owner) &&
		!x402_secp256k1_new(seed32, &owner.secp) &&
		!x402_client_new(&options, &client))
		code = fetch(client, argv[1]);
	x402_client_free(client);
	x402_secp256k1_free(owner.secp);
	x402_secret_clear(&owner.key);
	x402_buf_clear(&owner.calldata);
	return code;
}
