/* RLP: what is read is written again in the same bytes, item by item. */
#include "fuzz_house.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct x402_span input = x402_span(data, size);
	struct x402_buf again = {0};
	struct x402_span item;
	bool is_list;

	while (x402_rlp_next(&input, &is_list, &item) == X402_OK) {
		struct x402_u256 wide;
		uint64_t small;

		if (is_list)
			x402_rlp_add_list(&again, item);
		else
			x402_rlp_add_bytes(&again, item);
		if (!is_list && x402_rlp_read_u256(item, &wide) == X402_OK) {
			struct x402_buf number = {0};

			/* A number has one form, the shortest. */
			x402_rlp_add_u256(&number, &wide);
			must(number.len <= again.len);
			must(memcmp(again.ptr + again.len - number.len,
				     number.ptr, number.len) == 0);
			x402_buf_clear(&number);
		}
		if (!is_list && x402_rlp_read_u64(item, &small) == X402_OK)
			must(item.len <= 8);
	}
	must(again.len == size - input.len);
	must(again.len == 0 || memcmp(again.ptr, data, again.len) == 0);
	x402_buf_clear(&again);
	return 0;
}
