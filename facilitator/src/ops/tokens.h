/*
 * tokens.h: what the tokens of a chain can do, asked once when the chain is
 * first usable, and held against what the library's table and the operator's
 * configuration say of them. A difference is a line in the log that names both
 * sides: payments in such a token would be refused one by one.
 *
 * Not for: judging payments. A verification asks the chain itself.
 * Thread rule: the thread of the chain's loop; the pure half any.
 */
#ifndef FAC_OPS_TOKENS_H
#define FAC_OPS_TOKENS_H

#include "chain/chain.h"
#include "config.h"
#include "x402/network.h"

/* Longest name or version that is shown. */
#define FAC_TOKEN_TEXT_SIZE 64

/* What a token's contract says of itself. */
struct fac_token_facts {
	bool has_code;
	bool has_decimals;
	uint64_t decimals;
	char name[FAC_TOKEN_TEXT_SIZE];    /* "" where it does not say */
	char version[FAC_TOKEN_TEXT_SIZE]; /* "" where it does not say */
	bool has_separator;
	uint8_t separator32[32];
	bool eip3009; /* authorizationState answers */
	bool eip2612; /* nonces answers */
};

/* The reads of one token, and what their answers say. */
#define FAC_TOKEN_READS 7
struct fac_token_reads {
	struct x402_chain_read each[FAC_TOKEN_READS];
	uint8_t calldata[FAC_TOKEN_READS][4 + 2 * 32];
};
void fac_token_ask(
	const struct x402_address *token, struct fac_token_reads *ret_reads);
struct fac_token_facts fac_token_read(
	const struct x402_chain_answer answers[FAC_TOKEN_READS]);

/* One for each thing that can differ. */
#define FAC_TOKEN_DIFFERENCES_MAX 6
struct fac_token_differences {
	size_t len;
	char each[FAC_TOKEN_DIFFERENCES_MAX][192];
};
/* asset: the table's row; NULL for a token that only the operator names. */
struct fac_token_differences fac_token_compare(
	const struct x402_default_asset *asset, uint64_t chain_id,
	const struct fac_token_facts *facts);

/*
 * Ask, and log. chain must live until it has answered, or be freed, which
 * cancels. Tokens: the table's of this network, and batch_tokens.
 */
void fac_tokens_probe(struct fac_chain *chain,
	const struct x402_network *network,
	const struct fac_config_settling *settling);

#endif
