/*
 * What the fuzz targets share: a broken promise aborts, so that the fuzzer
 * keeps the input.
 */
#ifndef FUZZ_HOUSE_H
#define FUZZ_HOUSE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "x402/x402.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void must(bool promise)
{
	if (!promise)
		abort();
}

/* The input as a C string; NULL when memory is out. Free it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return NULL;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
