/*
 * refund.h: give a payment back that this wallet was paid.
 *
 * The evidence is the chain's: the receipt of the payment, with the transfer
 * of a token to us in it. The refund is an EIP-3009 authorization from us to
 * whoever paid, sent through a facilitator's POST /settle as an exact payment
 * of x402 v2, so our wallet needs no gas.
 *
 * Its nonce is made of the transfer that it gives back (chain, token,
 * transaction, payer, our wallet, value, and its number among the transfers
 * that are alike in all of these), so the token's own contract lets each
 * payment be given back once at most: from whatever machine, by whatever node,
 * with or without a journal. So a part of it given back is the one refund.
 *
 * It is a payment like any other: the limits, budgets, journal, signer and
 * session of the client hold. Not for Solana, where a transfer has no number
 * that would keep it from being sent twice; nor for tokens without EIP-3009.
 *
 * Thread rule: as in client.h.
 */
#ifndef X402_REFUND_H
#define X402_REFUND_H

#include "x402/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Strings are borrowed for the call. */
struct x402_client_refund_options {
	/* Required: the hash of the transaction that paid us. */
	const char *transaction;
	/*
	 * Required: JSON-RPC of its chain. Who answers there is believed, so
	 * plain HTTP takes a loopback host, or the client's allow_http.
	 */
	const char *rpc_url;
	/* Required: who sends the refund; /settle is added. */
	const char *facilitator_url;
	/*
	 * How deep the payment must lie: default "finalized". With "latest" a
	 * reorganisation can take the payment away, and the refund stays.
	 */
	const char *block_tag;
	/*
	 * Optional: which transfer to us, where the transaction has several.
	 * By payer, and by number among them, from 1; 0: the only one.
	 */
	const char *payer;
	size_t nth;
	/*
	 * Optional: how much, at most what came; in atomic units, or in
	 * millionths of a dollar for an asset that is known to be worth them.
	 * Neither: all of it.
	 */
	const struct x402_u256 *amount;
	uint64_t amount_usd_micros;
	/* Optional: for the facilitator, such as Authorization. */
	const struct x402_client_header *headers;
	size_t headers_len;
	/*
	 * Optional: a token without a known value in dollars is given back too,
	 * up to this many atomic units. Otherwise it takes an entry of its own
	 * in the client's allowed_assets. The client's limits hold beside it.
	 */
	const struct x402_u256 *max_unpriced;
	/* Say what would be given back; sign nothing. */
	bool dry_run;
};
#define X402_CLIENT_REFUND_OPTIONS_INIT \
	{                               \
		0                       \
	}

/* Long enough for a list of the first transfers of a batch. */
#define X402_CLIENT_REFUND_TEXT_SIZE 960

/* "" while unknown. */
struct x402_client_refunded {
	char network[X402_NETWORK_SIZE];
	char of[67];                        /* the payment */
	char payer[X402_ADDRESS_TEXT_SIZE]; /* who paid, and gets it back */
	char asset[X402_ADDRESS_TEXT_SIZE];
	char received[X402_U256_DEC_SIZE];
	char amount[X402_U256_DEC_SIZE]; /* to be given back */
	/*
	 * The chain says that the one refund of this payment was made before.
	 * Nothing was signed, and how much it was is not looked up.
	 */
	bool already;
	/* Everything about the payment was in order: see the response. */
	bool judged;
	/* Why not, or what else there is to say. */
	char text[X402_CLIENT_REFUND_TEXT_SIZE];
};

/*
 * X402_OK: look at response->payment, as after x402_client_fetch(), or
 * refunded->already. Before `judged` nothing was signed, and text says why:
 * INVALID_ARGUMENT (a hash, an address or an amount that cannot be; several
 * transfers to us; one from ourselves), KEY without a payer, NETWORK (the node
 * does not answer), NOT_FOUND (no such transaction, or no transfer to us in
 * it), POLICY (it failed), TIMEOUT (not as deep as block_tag yet), CHAIN (an
 * answer that cannot be), UNSUPPORTED (Solana, or a token without EIP-3009).
 * Afterwards the error of the response's cause. A facilitator's word that it
 * was settled, which the node does not show, is outcome UNKNOWN.
 *
 * The purchase's name in the journal is "refund HASH/N", with the half of its
 * nonce: a second call while an authorization is open presents that one. Start
 * with an empty response, and clear it always.
 */
X402_API X402_MUST_USE enum x402_err x402_client_refund(
	struct x402_client *client,
	const struct x402_client_refund_options *options,
	struct x402_client_refunded *refunded,
	struct x402_client_response *response);

#ifdef __cplusplus
}
#endif
#endif
