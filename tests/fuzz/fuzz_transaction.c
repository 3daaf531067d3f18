/* Transactions: raw bytes that decode have one sender and one form. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_transaction tx;
	struct x402_address sender;
	uint8_t hash[32];
	uint8_t expected[32];

	if (x402_transaction_decode(
		    x402_span(data, size), &tx, &sender, hash) != X402_OK)
		return 0;
	x402_keccak256(x402_span(data, size), expected);
	must(memcmp(hash, expected, 32) == 0);
	must(tx.data.len == 0 ||
		(tx.data.ptr > data &&
			tx.data.ptr + tx.data.len < data + size));
	must(x402_transaction_signing_hash(&tx, hash) == X402_OK);
	return 0;
}
