/*
 * facts_p.h: what a chain's reads remember. Private to chain/.
 *
 * Of an asset: that it has code, what its name() and version() are. Of a payer
 * only that it had no code of late, which decides nothing but whether it may
 * travel with others: whose code decides who may sign is asked anew each time.
 *
 * Thread rule: the loop's of the reads.
 */
#ifndef FAC_CHAIN_FACTS_P_H
#define FAC_CHAIN_FACTS_P_H

#include "chain/chain.h"

enum fac_fact { FAC_FACT_NONE, FAC_FACT_CODE, FAC_FACT_NAME, FAC_FACT_VERSION };

struct fac_facts;

/* NULL: memory is out. */
struct fac_facts *fac_facts_new(void);
void fac_facts_free(struct fac_facts *facts);

/* Which fact of the asset the read asks for, if any. */
enum fac_fact fac_fact_of(const struct x402_chain_read *read,
	const struct fac_chain_read_options *options);

/*
 * What is known of it. *ret_bytes is borrowed until the next fac_facts_put; of
 * code there is one byte, whatever it is.
 */
bool fac_facts_get(const struct fac_facts *facts,
	const struct x402_address *asset, enum fac_fact fact, uint64_t now_ms,
	struct x402_span *ret_bytes);
/* The chain's own answer. None and a very long one are not kept. */
void fac_facts_put(struct fac_facts *facts, const struct x402_address *asset,
	enum fac_fact fact, struct x402_span bytes, uint64_t now_ms);

bool fac_facts_has_no_code(const struct fac_facts *facts,
	const struct x402_address *account, uint64_t now_ms);
void fac_facts_put_code(struct fac_facts *facts,
	const struct x402_address *account, bool has_code, uint64_t now_ms);

#endif
