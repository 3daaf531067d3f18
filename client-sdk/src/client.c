/*
 * client.c: clients, and calls that wait for their end.
 *
 *   x402_client_fetch, x402_client_perform -> x402__transfer_run:
 *     SEND -> curl_easy_perform; WAIT -> pause; RESERVE, COMMIT -> journal
 *
 * What a step does is transfer.c's; multi.c takes the same steps for many.
 */
#include "operate_p.h"

#include <stdlib.h>
#include <time.h>

/* A caller may cancel within a tenth of a second. */
#define PAUSE_SLICE_MS 100

static void pause_transfer(struct x402__transfer *transfer)
{
	const struct x402_client_options *options = &transfer->client->options;
	struct x402__flow *flow = &transfer->flow;
	int64_t until_ms = x402__now_ms() + (int64_t)flow->wait_ms;
	while (x402__now_ms() < until_ms) {
		if (options->is_cancelled &&
			options->is_cancelled(options->user)) {
			x402__flow_give_up(flow, X402_CLIENT_CAUSE_CANCELLED);
			return;
		}
		if (until_ms > transfer->deadline_ms) {
			x402__flow_give_up(flow, X402_CLIENT_CAUSE_TIMEOUT);
			return;
		}
		int64_t left_ms = until_ms - x402__now_ms();
		if (left_ms > PAUSE_SLICE_MS)
			left_ms = PAUSE_SLICE_MS;
		struct timespec slice = {.tv_nsec = left_ms * 1000000L};
		if (left_ms > 0)
			nanosleep(&slice, NULL);
	}
	x402__flow_waited(flow);
}

enum x402_err x402__transfer_run(struct x402__transfer *transfer)
{
	struct x402__flow *flow = &transfer->flow;
	while (flow->step != X402__FLOW_DONE) {
		switch (flow->step) {
		case X402__FLOW_SEND:
			x402__transfer_ask(transfer);
			if (x402__transfer_send(transfer))
				x402__transfer_sent(transfer,
					curl_easy_perform(
						transfer->exchange.curl));
			break;
		case X402__FLOW_WAIT:
			pause_transfer(transfer);
			break;
		case X402__FLOW_RESERVE:
			x402__transfer_ask(transfer);
			x402__transfers_journal(&transfer, 1);
			break;
		case X402__FLOW_COMMIT:
			x402__transfers_journal(&transfer, 1);
			break;
		case X402__FLOW_DONE:
			break;
		}
	}
	x402__transfers_record(&transfer, 1);
	return x402__transfer_finish(transfer);
}

enum x402_err x402_client_fetch(struct x402_client *client,
	const struct x402_client_request *request,
	struct x402_client_response *response)
{
	struct x402__transfer transfer;
	x402_client_response_clear(response);
	x402__transfer_init(
		&transfer, client, client->curl, NULL, request, response);
	return x402__transfer_run(&transfer);
}

enum x402_err x402__client_present(struct x402_client *client,
	const struct x402_client_request *request,
	struct x402_client_response *response)
{
	struct x402__transfer transfer;
	x402_client_response_clear(response);
	x402__transfer_init(
		&transfer, client, client->curl, NULL, request, response);
	transfer.flow.present_only = true;
	return x402__transfer_run(&transfer);
}

enum x402_err x402_client_perform(struct x402_client *client,
	const struct x402_client_easy *easy,
	struct x402_client_response *response)
{
	struct x402__transfer transfer;
	x402_client_response_clear(response);
	x402__transfer_init(&transfer, client, NULL, easy, NULL, response);
	return x402__transfer_run(&transfer);
}

/* ---- Clients and responses. ---- */

/* Whoever pays on Solana; nobody is fine too. */
static enum x402_err make_svm(
	struct x402_client *client, const struct x402_client_options *options)
{
	struct x402_client_svm_signer signer;
	if (options->svm_signer)
		signer = *options->svm_signer;
	else if (!options->svm_key)
		return X402_OK;
	else if (x402__svm_keyring_new(
			 options->svm_key, &client->svm_keyring, &signer))
		return X402_ERR_NOMEM;
	return x402__svm_new(&signer, options->svm_rpc_url, &client->svm);
}

enum x402_err x402_client_new(const struct x402_client_options *options,
	struct x402_client **ret_client)
{
	struct x402_client_options resolved;
	enum x402_err err = x402__options_resolve(options, &resolved);
	if (err)
		return err;
	if (!x402__random_init() ||
		curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return X402_ERR_INTERNAL;
	struct x402_client *client = calloc(1, sizeof(*client));
	if (!client) {
		curl_global_cleanup();
		return X402_ERR_NOMEM;
	}
	client->options = resolved;
	client->curl = curl_easy_init();
	if (!client->curl)
		err = X402_ERR_INTERNAL;
	if (!err)
		err = x402__operator_new(&client->operator_);
	if (!err && resolved.key) {
		err = x402__keyring_new(
			resolved.key, &client->keyring, &client->signer);
		client->has_signer = !err;
	}
	if (!err && resolved.signer) {
		client->signer = *resolved.signer;
		client->has_signer = true;
	}
	if (!err)
		err = make_svm(client, &resolved);
	client->options.svm_key = NULL;
	client->options.svm_signer = NULL;
	client->options.key = NULL;
	client->options.signer = NULL;
	if (err) {
		x402_client_free(client);
		return err;
	}
	*ret_client = client;
	return X402_OK;
}

void x402_client_free(struct x402_client *client)
{
	if (!client)
		return;
	x402__operator_free(client->operator_);
	curl_easy_cleanup(client->curl);
	x402__keyring_free(client->keyring);
	x402__keyring_free(client->svm_keyring);
	x402__svm_free(client->svm);
	free(client);
	curl_global_cleanup();
}

bool x402_client_address(
	const struct x402_client *client, struct x402_address *ret_address)
{
	if (client->has_signer)
		*ret_address = client->signer.address;
	return client->has_signer;
}
