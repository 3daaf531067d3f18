/*
 * json_p.h: how a JSON value lies in memory. For json.c, json_read.c and
 * json_write.c alone.
 *
 * A value that was read lives in its document: one block (more when it has
 * many values) that also holds the text, and the strings are pieces of that
 * text, ended with a NUL in place. The document goes with the last of its
 * values. A value that was built is a block of its own (doc is NULL).
 *
 * The two may be mixed: what an array or object holds is a counted reference,
 * whoever made it.
 */
#ifndef X402_JSON_P_H
#define X402_JSON_P_H

#include "x402/json.h"

/*
 * Objects with more members have an index, so that neither finding one nor
 * proving that none is there twice takes long for a hostile text.
 */
#define X402__JSON_SMALL 16

struct x402__json_chunk {
	struct x402__json_chunk *next;
	size_t used; /* of bytes */
	size_t cap;
	/* cap bytes follow */
};

struct x402__json_doc {
	size_t live;   /* its values that are not freed yet */
	size_t shared; /* references beyond the one that each began with */
	bool changed;  /* something in it may hold what is not of it */
	struct x402_json *root;
	struct x402__json_chunk *chunks;
};

struct x402__json_member {
	const char *key; /* NUL-terminated */
	struct x402_json *value;
	uint32_t key_len;
	bool owned; /* key is a block of its own */
};

/* What an array or object holds; cap 0: the blocks are the document's. */
struct x402_json {
	struct x402__json_doc *doc;
	uint32_t refs;
	uint8_t type; /* enum x402_json_type */
	bool boolean;
	union {
		int64_t integer;
		struct {
			const char *text;
			size_t len;
		} string;
		struct {
			const char *text; /* as it came */
			double value;     /* Raw: to compare, never money */
		} real;
		struct {
			struct x402_json **items;
			uint32_t len;
			uint32_t cap;
		} array;
		struct {
			struct x402__json_member *members; /* as they came */
			/* Indexes by key; valid above X402__JSON_SMALL. */
			uint32_t *order;
			uint32_t len;
			uint32_t cap;
		} object;
	};
};

/* -1, 0, 1: bytewise, a prefix before what it begins. */
int x402__json_key_cmp(
	const struct x402__json_member *a, const struct x402__json_member *b);

/* Fill object.order; it has room for object.len. */
void x402__json_sort(struct x402_json *object);

/* The bytes of one character in UTF-8 at text, or 0; a NUL ends it. */
size_t x402__json_utf8(const char *text);

void x402__json_doc_free(struct x402__json_doc *doc);

#endif
