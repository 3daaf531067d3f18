/*
 * Header blocks of origins: whatever is read has names and values that can
 * stand in an answer of ours.
 */
#include <stdlib.h>
#include <string.h>

#include "head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Of that size to the byte, for the sanitizer to see beyond it. */
	char *text = malloc(size ? size : 1);
	struct gw_head head;

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	if (gw_head_read(text, size, &head)) {
		require(head.status >= 100 && head.status <= 999);
		require(head.headers_len <= GW_HEAD_HEADERS_MAX);
		for (size_t i = 0; i < head.headers_len; i++) {
			require(*head.headers[i].name);
			require(!strpbrk(head.headers[i].name, ": \t\r\n"));
			require(!strpbrk(head.headers[i].value, "\r\n"));
		}
	}
	free(text);
	return 0;
}
