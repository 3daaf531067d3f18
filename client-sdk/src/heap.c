/*
 * heap.c: a binary heap in an array: the parent of i is (i - 1) / 2, and never
 * comes after its children.
 */
#include "heap_p.h"

#include <stdlib.h>

static void swap(struct x402__heap *heap, size_t a, size_t b)
{
	void *item = heap->items[a];
	heap->items[a] = heap->items[b];
	heap->items[b] = item;
}

bool x402__heap_push(struct x402__heap *heap, void *item)
{
	if (heap->len == heap->cap) {
		size_t cap = heap->cap ? 2 * heap->cap : 64;
		void **items = realloc(heap->items, cap * sizeof(*items));
		if (!items)
			return false;
		heap->items = items;
		heap->cap = cap;
	}
	size_t at = heap->len++;
	heap->items[at] = item;
	while (at > 0 &&
		heap->before(heap->items[at], heap->items[(at - 1) / 2])) {
		swap(heap, at, (at - 1) / 2);
		at = (at - 1) / 2;
	}
	return true;
}

void *x402__heap_peek(const struct x402__heap *heap)
{
	return heap->len ? heap->items[0] : NULL;
}

static void sink(struct x402__heap *heap, size_t at)
{
	for (;;) {
		size_t first = 2 * at + 1;
		if (first >= heap->len)
			break;
		if (first + 1 < heap->len &&
			heap->before(
				heap->items[first + 1], heap->items[first]))
			first++;
		if (!heap->before(heap->items[first], heap->items[at]))
			break;
		swap(heap, at, first);
		at = first;
	}
}

void *x402__heap_pop(struct x402__heap *heap)
{
	if (!heap->len)
		return NULL;
	void *item = heap->items[0];
	heap->items[0] = heap->items[--heap->len];
	sink(heap, 0);
	return item;
}

void x402__heap_change(struct x402__heap *heap,
	void (*change)(void *item, void *user), void *user)
{
	for (size_t i = 0; i < heap->len; i++)
		change(heap->items[i], user);
	for (size_t i = heap->len / 2; i-- > 0;)
		sink(heap, i);
}

void x402__heap_clear(struct x402__heap *heap)
{
	free(heap->items);
	heap->items = NULL;
	heap->len = heap->cap = 0;
}
