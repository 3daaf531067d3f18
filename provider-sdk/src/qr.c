/*
 * qr.c: QR codes after ISO/IEC 18004, byte mode, level L, versions 1 to 10.
 *
 *   choose_version()   the smallest that holds the bytes
 *   write_data()       mode, length, bytes, padding
 *   write_codewords()  Reed-Solomon for each block, then interleaved
 *   draw_*()           finders, timing, alignment, format and version marks
 *   place()            the codewords in their zigzag
 *   x402__qr_encode()  of the eight masks the one with the least penalty
 */
#include "qr_p.h"

#include <stdlib.h>

/* Level L, by version: codewords of a block's correction, blocks, and all
 * codewords of the symbol. */
static const struct {
	uint8_t correction;
	uint8_t blocks;
	uint16_t total;
	uint8_t align[3]; /* centres of alignment marks, 0: no more */
} versions[11] = {{0, 0, 0, {0}}, {7, 1, 26, {0}}, {10, 1, 44, {6, 18}},
	{15, 1, 70, {6, 22}}, {20, 1, 100, {6, 26}}, {26, 1, 134, {6, 30}},
	{18, 2, 172, {6, 34}}, {20, 2, 196, {6, 22, 38}},
	{24, 2, 242, {6, 24, 42}}, {30, 2, 292, {6, 26, 46}},
	{18, 4, 346, {6, 28, 50}}};
#define VERSION_MAX   10
#define CODEWORDS_MAX 346
/* Format bits of level L. */
#define LEVEL_L 1

struct symbol {
	struct x402__qr *qr;
	bool fixed[X402__QR_SIZE_MAX][X402__QR_SIZE_MAX];
};

static size_t data_codewords(int version)
{
	return versions[version].total -
		(size_t)versions[version].correction * versions[version].blocks;
}

/* Mode takes 4 bits, the length 8, from version 10 on 16. */
static int choose_version(size_t len)
{
	for (int version = 1; version <= VERSION_MAX; version++)
		if (len + (version < 10 ? 2 : 3) <= data_codewords(version))
			return version;
	return 0;
}

static void write_data(struct x402_span bytes, int version, uint8_t *out)
{
	size_t capacity = data_codewords(version);
	size_t at = 0;
	/* Bytes are shifted by the four bits of the mode. */
	uint8_t carry = 4;

#define PUT(byte)                                             \
	do {                                                  \
		uint8_t put = (uint8_t)(byte);                \
		out[at++] = (uint8_t)(carry << 4 | put >> 4); \
		carry = put & 15;                             \
	} while (0)
	if (version >= 10)
		PUT(bytes.len >> 8);
	PUT(bytes.len);
	for (size_t i = 0; i < bytes.len; i++)
		PUT(bytes.ptr[i]);
	PUT(0); /* the terminator, and its half of the last byte */
#undef PUT
	for (uint8_t pad = 0xec; at < capacity; pad ^= 0xec ^ 0x11)
		out[at++] = pad;
}

/* ---- Reed-Solomon over GF(256) with 0x11d. ---- */

static uint8_t gf_multiply(uint8_t a, uint8_t b)
{
	unsigned product = 0;

	for (int bit = 7; bit >= 0; bit--) {
		product = product << 1 ^ (product >> 7) * 0x11d;
		product ^= (unsigned)(b >> bit & 1) * a;
	}
	return (uint8_t)product;
}

static void make_generator(size_t degree, uint8_t *out)
{
	uint8_t root = 1;

	memset(out, 0, degree);
	out[degree - 1] = 1;
	for (size_t i = 0; i < degree; i++) {
		for (size_t j = 0; j < degree; j++) {
			out[j] = gf_multiply(out[j], root);
			if (j + 1 < degree)
				out[j] ^= out[j + 1];
		}
		root = gf_multiply(root, 2);
	}
}

static void correct(const uint8_t *data, size_t len, const uint8_t *generator,
	size_t degree, uint8_t *out)
{
	memset(out, 0, degree);
	for (size_t i = 0; i < len; i++) {
		uint8_t factor = data[i] ^ out[0];

		memmove(out, out + 1, degree - 1);
		out[degree - 1] = 0;
		for (size_t j = 0; j < degree; j++)
			out[j] ^= gf_multiply(generator[j], factor);
	}
}

/* The first byte of each block, the second of each, ...; then likewise the
 * correction. Later blocks may be one byte longer. */
static void write_codewords(const uint8_t *data, int version, uint8_t *out)
{
	size_t degree = versions[version].correction;
	size_t blocks = versions[version].blocks;
	size_t total = data_codewords(version);
	size_t shorter = total / blocks;
	size_t longer = total % blocks;
	uint8_t generator[32];
	uint8_t corrections[4][32];
	size_t at = 0;

	make_generator(degree, generator);
	for (size_t b = 0, from = 0; b < blocks; b++) {
		size_t len = shorter + (b >= blocks - longer);

		correct(data + from, len, generator, degree, corrections[b]);
		from += len;
	}
	for (size_t i = 0; i <= shorter; i++)
		for (size_t b = 0, from = 0; b < blocks; b++) {
			size_t len = shorter + (b >= blocks - longer);

			if (i < len)
				out[at++] = data[from + i];
			from += len;
		}
	for (size_t i = 0; i < degree; i++)
		for (size_t b = 0; b < blocks; b++)
			out[at++] = corrections[b][i];
}

/* ---- What every symbol of a version has. ---- */

static void set(struct symbol *symbol, int x, int y, bool dark)
{
	symbol->qr->dark[y][x] = dark;
	symbol->fixed[y][x] = true;
}

static int greater(int a, int b)
{
	return a > b ? a : b;
}

/* Three dark corners with their light frames. */
static void draw_finder(struct symbol *symbol, int cx, int cy)
{
	int size = symbol->qr->size;

	for (int dy = -4; dy <= 4; dy++)
		for (int dx = -4; dx <= 4; dx++) {
			int ring = greater(abs(dx), abs(dy));
			int x = cx + dx;
			int y = cy + dy;

			if (x >= 0 && x < size && y >= 0 && y < size)
				set(symbol, x, y, ring != 2 && ring != 4);
		}
}

static void draw_alignments(struct symbol *symbol, int version)
{
	const uint8_t *at = versions[version].align;

	for (int i = 0; i < 3 && at[i]; i++)
		for (int j = 0; j < 3 && at[j]; j++) {
			/* Not over a finder. */
			if (symbol->fixed[at[j]][at[i]] && at[i] != at[j] &&
				(at[i] == 6 || at[j] == 6) &&
				at[i] + at[j] == symbol->qr->size - 1)
				continue;
			if (i == 0 && j == 0)
				continue;
			for (int dy = -2; dy <= 2; dy++)
				for (int dx = -2; dx <= 2; dx++)
					set(symbol, at[i] + dx, at[j] + dy,
						greater(abs(dx), abs(dy)) != 1);
		}
}

static void draw_format(struct symbol *symbol, int mask)
{
	unsigned data = LEVEL_L << 3 | (unsigned)mask;
	unsigned rest = data;
	int size = symbol->qr->size;
	unsigned bits;

	for (int i = 0; i < 10; i++)
		rest = rest << 1 ^ (rest >> 9) * 0x537;
	bits = (data << 10 | rest) ^ 0x5412;
	for (int i = 0; i < 15; i++) {
		bool bit = bits >> i & 1;

		/* Around the first finder, and split over the two others. */
		if (i < 6)
			set(symbol, 8, i, bit);
		else if (i < 8)
			set(symbol, 8, i + 1, bit);
		else if (i == 8)
			set(symbol, 7, 8, bit);
		else
			set(symbol, 14 - i, 8, bit);
		if (i < 8)
			set(symbol, size - 1 - i, 8, bit);
		else
			set(symbol, 8, size - 15 + i, bit);
	}
	set(symbol, 8, size - 8, true);
}

static void draw_version(struct symbol *symbol, int version)
{
	unsigned rest = (unsigned)version;
	unsigned bits;

	if (version < 7)
		return;
	for (int i = 0; i < 12; i++)
		rest = rest << 1 ^ (rest >> 11) * 0x1f25;
	bits = (unsigned)version << 12 | rest;
	for (int i = 0; i < 18; i++) {
		int a = symbol->qr->size - 11 + i % 3;

		set(symbol, a, i / 3, bits >> i & 1);
		set(symbol, i / 3, a, bits >> i & 1);
	}
}

static void draw_fixed(struct symbol *symbol, int version)
{
	int size = symbol->qr->size;

	for (int i = 0; i < size; i++) {
		set(symbol, 6, i, i % 2 == 0);
		set(symbol, i, 6, i % 2 == 0);
	}
	draw_finder(symbol, 3, 3);
	draw_finder(symbol, size - 4, 3);
	draw_finder(symbol, 3, size - 4);
	draw_alignments(symbol, version);
	draw_version(symbol, version);
	draw_format(symbol, 0); /* to keep its place */
}

/* Two columns at a time from the right, up and down; the sixth is timing. */
static void place(struct symbol *symbol, const uint8_t *codewords, size_t len)
{
	int size = symbol->qr->size;
	size_t bit = 0;

	for (int right = size - 1; right >= 1; right -= 2) {
		if (right == 6)
			right = 5;
		for (int i = 0; i < size; i++)
			for (int j = 0; j < 2; j++) {
				bool up = ((right + 1) & 2) == 0;
				int x = right - j;
				int y = up ? size - 1 - i : i;

				if (symbol->fixed[y][x] || bit >= len * 8)
					continue;
				symbol->qr->dark[y][x] =
					codewords[bit / 8] >> (7 - bit % 8) & 1;
				bit++;
			}
	}
}

static bool masked(int mask, int x, int y)
{
	switch (mask) {
	case 0:
		return (x + y) % 2 == 0;
	case 1:
		return y % 2 == 0;
	case 2:
		return x % 3 == 0;
	case 3:
		return (x + y) % 3 == 0;
	case 4:
		return (x / 3 + y / 2) % 2 == 0;
	case 5:
		return x * y % 2 + x * y % 3 == 0;
	case 6:
		return (x * y % 2 + x * y % 3) % 2 == 0;
	}
	return ((x + y) % 2 + x * y % 3) % 2 == 0;
}

static void apply_mask(struct symbol *symbol, int mask)
{
	for (int y = 0; y < symbol->qr->size; y++)
		for (int x = 0; x < symbol->qr->size; x++)
			if (!symbol->fixed[y][x] && masked(mask, x, y))
				symbol->qr->dark[y][x] =
					!symbol->qr->dark[y][x];
}

/* ---- Penalties: what scanners find hard. ---- */

static bool module_at(const struct x402__qr *qr, bool across, int line, int i)
{
	return across ? qr->dark[line][i] : qr->dark[i][line];
}

/* Runs of five and more, and what looks like a finder. */
static long line_penalty(const struct x402__qr *qr, bool across, int line)
{
	unsigned last11 = 0;
	long penalty = 0;
	int run = 0;

	for (int i = 0; i < qr->size; i++) {
		bool dark = module_at(qr, across, line, i);

		run = i > 0 && dark == module_at(qr, across, line, i - 1)
			? run + 1
			: 1;
		penalty += run == 5 ? 3 : run > 5;
		last11 = (last11 << 1 | dark) & 0x7ff;
		if (i >= 10 && (last11 == 0x5d0 || last11 == 0x05d))
			penalty += 40;
	}
	return penalty;
}

static long penalty_of(const struct x402__qr *qr)
{
	long penalty = 0;
	long dark = 0;
	long all = (long)qr->size * qr->size;
	long off;

	for (int i = 0; i < qr->size; i++)
		penalty += line_penalty(qr, true, i) +
			line_penalty(qr, false, i);
	for (int y = 0; y < qr->size; y++)
		for (int x = 0; x < qr->size; x++) {
			bool one = qr->dark[y][x];

			dark += one;
			if (x > 0 && y > 0 && one == qr->dark[y][x - 1] &&
				one == qr->dark[y - 1][x] &&
				one == qr->dark[y - 1][x - 1])
				penalty += 3;
		}
	off = labs(dark * 20 - all * 10);
	return penalty + off / all * 10;
}

bool x402__qr_encode(struct x402_span bytes, struct x402__qr *ret_qr)
{
	int version = choose_version(bytes.len);
	struct symbol symbol = {.qr = ret_qr};
	uint8_t data[CODEWORDS_MAX] = {0};
	uint8_t codewords[CODEWORDS_MAX];
	long least = -1;
	int best = 0;

	if (version == 0)
		return false;
	memset(ret_qr, 0, sizeof(*ret_qr));
	ret_qr->size = 17 + 4 * version;
	write_data(bytes, version, data);
	write_codewords(data, version, codewords);
	draw_fixed(&symbol, version);
	place(&symbol, codewords, versions[version].total);
	for (int mask = 0; mask < 8; mask++) {
		long penalty;

		draw_format(&symbol, mask);
		apply_mask(&symbol, mask);
		penalty = penalty_of(ret_qr);
		if (least < 0 || penalty < least) {
			least = penalty;
			best = mask;
		}
		apply_mask(&symbol, mask); /* twice is not at all */
	}
	draw_format(&symbol, best);
	apply_mask(&symbol, best);
	return true;
}

void x402__qr_path(const struct x402__qr *qr, struct x402_buf *buf)
{
	for (int y = 0; y < qr->size; y++)
		for (int x = 0; x < qr->size; x++) {
			int run = 0;

			while (x + run < qr->size && qr->dark[y][x + run])
				run++;
			if (run > 0)
				x402_buf_printf(buf, "M%d %dh%d", x, y, run);
			x += run;
		}
}
