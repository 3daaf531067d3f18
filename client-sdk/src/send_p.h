/*
 * send_p.h: paying by a transfer of our own (the scheme "proof"), private to
 * the client. The signed transfer travels inside of the payment header, as
 * payload.signedTransaction: so whatever the journal keeps of a payment can be
 * sent again byte for byte, and nothing is ever signed twice for it.
 *
 *   x402__send_question()   before the journal is opened: nonce, fees, funds
 *   x402__send_sign()       the transfer; not sent yet
 *   (the journal)           its header is durable
 *   x402__send_broadcast()  only now can money move
 */
#ifndef X402_CLIENT_SEND_P_H
#define X402_CLIENT_SEND_P_H

#include "x402/client.h"
#include "x402/scheme.h"
#include "x402/transaction.h"

struct x402__asker;

/* An ERC-20 transfer takes 30,000 to 65,000; proxies a little more. */
#define X402__SEND_GAS 120000
/* R4: no node may talk us into more, whatever it says of the market. */
#define X402__SEND_MAX_FEE_GWEI UINT64_C(500)
/* Between two looks at whether the transfer is final. */
#define X402__SEND_WAIT_MS UINT64_C(2000)

struct x402__send_facts {
	bool usable;
	bool poor;           /* the node answered, and it is too little */
	const char *why_not; /* static; NULL when usable, or never asked */
	uint64_t nonce;
	struct x402_u256 max_fee_per_gas;
	struct x402_u256 max_priority_fee_per_gas;
};

/* Is it to be paid by a transfer that is shown? */
bool x402__send_is_offer(const struct x402_payment_requirements *offer);
/* The same, of a payment's own words. */
bool x402__send_is_scheme(const char *scheme);

/* One batch for the node. Caller frees; NULL: no memory. */
char *x402__send_question(const struct x402_payment_requirements *offer,
	const struct x402_address *payer);
/*
 * answers NULL: none came. What is found wanting stops the signing only: what
 * the journal has of this purchase is presented all the same.
 */
void x402__send_answer(const struct x402_payment_requirements *offer,
	const struct x402_json *answers, struct x402__send_facts *ret_facts);

/*
 * The transfer of the offer's amount, signed by create->sign. POLICY,
 * CHAIN: by the facts it cannot be; info says why.
 */
X402_MUST_USE enum x402_err x402__send_sign(
	const struct x402_payment_requirements *offer,
	const struct x402_create_options *create,
	const struct x402__send_facts *facts, struct x402_errinfo *info,
	struct x402_buf *ret_raw, uint8_t ret_hash32[32]);

/* The transfer in a payment header. NOT_FOUND: it has none; NOMEM. */
X402_MUST_USE enum x402_err x402__send_raw_of(
	const char *header_text, struct x402_buf *ret_raw);
/*
 * What hands it to the node; caller frees. Whatever the node says to it leaves
 * the payment open: the seller looks, and so does resume.
 */
char *x402__send_broadcast(struct x402_span raw);

/*
 * What became of it, by one node's word at block_tag: PAID, once a block has
 * it; DEAD, when it reverted there or its nonce went to another transaction.
 */
struct x402_client_endpoint;
enum x402_client_proof x402__prove_transfer(struct x402__asker *asker,
	const char *url, const char *block_tag, struct x402_span raw,
	char ret_transaction[X402_CLIENT_TRANSACTION_SIZE]);

#endif
