/*
 * pay.c: fetch a URL and pay for it, at most a cent:
 *   EVM_PRIVATE_KEY=0x... pay URL
 */
#include <stdio.h>
#include <stdlib.h>

#include <x402/client.h>

int main(int argc, char **argv)
{
	struct x402_secret key;
	const char *text = getenv("EVM_PRIVATE_KEY");
	struct x402_client *client;
	if (argc < 2 || !text || x402_secret_parse(text, &key))
		return 2;
	struct x402_client_options options = {
		.key = &key, .max_usd_micros = 10000};
	if (x402_client_new(&options, &client))
		return 1;
	struct x402_client_request request = {.url = argv[1]};
	struct x402_client_response response = X402_CLIENT_RESPONSE_INIT;
	enum x402_err err = x402_client_fetch(client, &request, &response);
	(void)fwrite(response.body.ptr, 1, response.body.len, stdout);
	fprintf(stderr, "%s: status %ld, payment %s, transaction %s\n",
		x402_err_text(err), response.status,
		x402_client_outcome_name(response.payment.outcome),
		response.payment.transaction);
	x402_client_response_clear(&response);
	x402_client_free(client);
	x402_secret_clear(&key);
	return err ? 1 : 0;
}
