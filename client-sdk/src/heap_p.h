/*
 * heap_p.h: a priority queue of pointers, private. What comes first is what
 * `before` says of two of them.
 */
#ifndef X402_CLIENT_HEAP_P_H
#define X402_CLIENT_HEAP_P_H

#include "x402/base.h"

struct x402__heap {
	void **items; /* owned; what they point to is not */
	size_t len;
	size_t cap;
	bool (*before)(const void *a, const void *b);
};

/* False when memory is out. */
X402_MUST_USE bool x402__heap_push(struct x402__heap *heap, void *item);
/* NULL when it is empty. */
void *x402__heap_peek(const struct x402__heap *heap);
void *x402__heap_pop(struct x402__heap *heap);
/* Change every item, whatever that does to the order; then it holds again. */
void x402__heap_change(struct x402__heap *heap,
	void (*change)(void *item, void *user), void *user);
void x402__heap_clear(struct x402__heap *heap);

#endif
