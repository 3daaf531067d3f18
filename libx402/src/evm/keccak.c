/*
 * Keccak-256 with the original padding (0x01), as Ethereum uses it. It is our
 * own because no Debian library has that padding. The state is kept in 25
 * local lanes and a round is written out once as a macro from one set of
 * lanes into another: three times as fast as the compact loop. On x86-64 it is
 * compiled a second time for processors with BMI2, whose and-not and rotation
 * into another register save a third of the instructions.
 */
#include "x402/evm.h"

#define RATE 136 /* bytes absorbed per permutation: 200 - 2 * 32 */

static const uint64_t round_constants[24] = {0x0000000000000001,
	0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
	0x000000000000808b, 0x0000000080000001, 0x8000000080008081,
	0x8000000000008009, 0x000000000000008a, 0x0000000000000088,
	0x0000000080008009, 0x000000008000000a, 0x000000008000808b,
	0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
	0x8000000000008002, 0x8000000000000080, 0x000000000000800a,
	0x800000008000000a, 0x8000000080008081, 0x8000000000008080,
	0x0000000080000001, 0x8000000080008008};

#define ROL(x, n) (((x) << (n)) | ((x) >> (64 - (n))))

/* Column parities and what theta adds to each column. */
#define THETA(A)                                  \
	c0 = A##0 ^ A##5 ^ A##10 ^ A##15 ^ A##20; \
	c1 = A##1 ^ A##6 ^ A##11 ^ A##16 ^ A##21; \
	c2 = A##2 ^ A##7 ^ A##12 ^ A##17 ^ A##22; \
	c3 = A##3 ^ A##8 ^ A##13 ^ A##18 ^ A##23; \
	c4 = A##4 ^ A##9 ^ A##14 ^ A##19 ^ A##24; \
	d0 = c4 ^ ROL(c1, 1);                     \
	d1 = c0 ^ ROL(c2, 1);                     \
	d2 = c1 ^ ROL(c3, 1);                     \
	d3 = c2 ^ ROL(c4, 1);                     \
	d4 = c3 ^ ROL(c0, 1)

/* One output row: rho and pi have already chosen and rotated b0..b4. */
#define CHI(E, i0, i1, i2, i3, i4) \
	E##i0 = b0 ^ (~b1 & b2);   \
	E##i1 = b1 ^ (~b2 & b3);   \
	E##i2 = b2 ^ (~b3 & b4);   \
	E##i3 = b3 ^ (~b4 & b0);   \
	E##i4 = b4 ^ (~b0 & b1)

#define ROUND(A, E, rc)             \
	THETA(A);                   \
	b0 = A##0 ^ d0;             \
	b1 = ROL(A##6 ^ d1, 44);    \
	b2 = ROL(A##12 ^ d2, 43);   \
	b3 = ROL(A##18 ^ d3, 21);   \
	b4 = ROL(A##24 ^ d4, 14);   \
	CHI(E, 0, 1, 2, 3, 4);      \
	E##0 ^= (rc);               \
	b0 = ROL(A##3 ^ d3, 28);    \
	b1 = ROL(A##9 ^ d4, 20);    \
	b2 = ROL(A##10 ^ d0, 3);    \
	b3 = ROL(A##16 ^ d1, 45);   \
	b4 = ROL(A##22 ^ d2, 61);   \
	CHI(E, 5, 6, 7, 8, 9);      \
	b0 = ROL(A##1 ^ d1, 1);     \
	b1 = ROL(A##7 ^ d2, 6);     \
	b2 = ROL(A##13 ^ d3, 25);   \
	b3 = ROL(A##19 ^ d4, 8);    \
	b4 = ROL(A##20 ^ d0, 18);   \
	CHI(E, 10, 11, 12, 13, 14); \
	b0 = ROL(A##4 ^ d4, 27);    \
	b1 = ROL(A##5 ^ d0, 36);    \
	b2 = ROL(A##11 ^ d1, 10);   \
	b3 = ROL(A##17 ^ d2, 15);   \
	b4 = ROL(A##23 ^ d3, 56);   \
	CHI(E, 15, 16, 17, 18, 19); \
	b0 = ROL(A##2 ^ d2, 62);    \
	b1 = ROL(A##8 ^ d3, 55);    \
	b2 = ROL(A##14 ^ d4, 39);   \
	b3 = ROL(A##15 ^ d0, 41);   \
	b4 = ROL(A##21 ^ d1, 2);    \
	CHI(E, 20, 21, 22, 23, 24)

/* Macros without semicolons: clang-format would indent them anew each time. */
/* clang-format off */
#define LANES(X) \
	X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) \
	X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24)
#define LOAD(i)    uint64_t a##i = state[i];
#define DECLARE(i) uint64_t e##i;
#define STORE(i)   state[i] = a##i;

static inline __attribute__((always_inline)) void rounds(uint64_t state[25])
{
	uint64_t b0, b1, b2, b3, b4, c0, c1, c2, c3, c4, d0, d1, d2, d3, d4;
	LANES(LOAD)
	LANES(DECLARE)

	for (int round = 0; round < 24; round += 2) {
		ROUND(a, e, round_constants[round]);
		ROUND(e, a, round_constants[round + 1]);
	}
	LANES(STORE)
}
/* clang-format on */

#ifdef __x86_64__
__attribute__((target("bmi,bmi2"))) static void rounds_bmi2(uint64_t state[25])
{
	rounds(state);
}
#endif

static void permute(uint64_t state[25])
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) {
		rounds_bmi2(state);
		return;
	}
#endif
	rounds(state);
}

/* Also what stores: the two directions are the same. */
static uint64_t swap64_le(uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(v);
#else
	return v;
#endif
}

static void absorb(uint64_t state[25], const uint8_t *block)
{
	for (int i = 0; i < RATE / 8; i++) {
		uint64_t lane;

		memcpy(&lane, block + 8 * i, sizeof(lane));
		state[i] ^= swap64_le(lane);
	}
	permute(state);
}

void x402_keccak_init(struct x402_keccak *keccak)
{
	memset(keccak, 0, sizeof(*keccak));
}

void x402_keccak_update(struct x402_keccak *keccak, struct x402_span bytes)
{
	const uint8_t *p = bytes.ptr;
	size_t left = bytes.len;

	while (left > 0) {
		size_t n = RATE - keccak->fill;

		/* Whole blocks go in without a copy. */
		if (keccak->fill == 0 && left >= RATE) {
			absorb(keccak->state, p);
			p += RATE;
			left -= RATE;
			continue;
		}
		if (n > left)
			n = left;
		memcpy(keccak->block + keccak->fill, p, n);
		keccak->fill += n;
		p += n;
		left -= n;
		if (keccak->fill == RATE) {
			absorb(keccak->state, keccak->block);
			keccak->fill = 0;
		}
	}
}

void x402_keccak_final(struct x402_keccak *keccak, uint8_t ret_hash32[32])
{
	memset(keccak->block + keccak->fill, 0, RATE - keccak->fill);
	keccak->block[keccak->fill] ^= 0x01;
	keccak->block[RATE - 1] ^= 0x80;
	absorb(keccak->state, keccak->block);
	for (int i = 0; i < 4; i++) {
		uint64_t lane = swap64_le(keccak->state[i]);

		memcpy(ret_hash32 + 8 * i, &lane, sizeof(lane));
	}
}

void x402_keccak256(struct x402_span bytes, uint8_t ret_hash32[32])
{
	struct x402_keccak keccak;

	x402_keccak_init(&keccak);
	x402_keccak_update(&keccak, bytes);
	x402_keccak_final(&keccak, ret_hash32);
}
