/* SPDX-License-Identifier: MIT */
#include "traces/gen_random.h"

/*
 * log2(1 + @x / 2^32), rounded to 2^-32: square a number in [1, 2); if it reaches 2 the next
 * bit of its logarithm is 1.
 */
static uint64_t log2_bits(uint64_t x)
{
	gen_wide square;
	uint64_t z = (UINT64_C(1) << 32 | x) << 31, log = 0;

	/* z is 2^63 times a number in [1, 2). One bit more than wanted, to round with. */
	for (int bit = 0; bit < 33; bit++) {
		square = (gen_wide)z * z >> 63;
		log = log << 1 | (uint64_t)(square >> 64);
		z = (uint64_t)(square >> (square >> 64 ? 1 : 0));
	}
	return (log + 1) >> 1;
}

void gen_log_init(struct gen_log *log)
{
	const uint64_t nr = 1 << GEN_LOG_BITS;

	for (uint64_t i = 0; i < nr; i++) {
		uint64_t low = log2_bits(i << (32 - GEN_LOG_BITS));
		uint64_t high =
			i + 1 < nr ? log2_bits((i + 1) << (32 - GEN_LOG_BITS)) : UINT64_C(1) << 32;

		log->chord[i] = (high - low) << 32 | low;
	}
}

/* Slots with too little take what is missing from one with too much, until all are level. */
void gen_choice_init(struct gen_choice *choice, const uint64_t *weight)
{
	uint64_t left[GEN_MAX_CHOICES], total = 0;
	uint32_t poor[GEN_MAX_CHOICES], rich[GEN_MAX_CHOICES], nr_poor = 0, nr_rich = 0;

	for (uint32_t i = 0; i < GEN_MAX_CHOICES; i++)
		total += weight[i];
	for (uint32_t i = 0; i < GEN_MAX_CHOICES; i++) {
		left[i] = weight[i] * GEN_MAX_CHOICES;
		choice->below[i] = UINT64_MAX;
		choice->number[i][0] = choice->number[i][1] = (uint8_t)i;
		if (left[i] < total)
			poor[nr_poor++] = i;
		else
			rich[nr_rich++] = i;
	}
	while (nr_poor && nr_rich) {
		uint32_t to = poor[--nr_poor], from = rich[nr_rich - 1];

		choice->below[to] = (uint64_t)(((gen_wide)left[to] << 64) / total);
		choice->number[to][0] = (uint8_t)from;
		left[from] -= total - left[to];
		if (left[from] < total)
			poor[nr_poor++] = rich[--nr_rich];
	}
}

/* One division, of as many bits as there are. */
struct gen_mean gen_mean(uint64_t cycles, uint64_t rate)
{
	gen_wide quotient = ((gen_wide)cycles * GEN_LN2_Q32 << 38) / rate;
	uint64_t high = (uint64_t)(quotient >> 64);
	/* The quotient is ln 2 times the mean, times 2^70: that is a shift of 63. */
	uint32_t over = high ? 64 - (uint32_t)__builtin_clzll(high) : 0;

	over = over > 63 - GEN_MAX_SHIFT ? over : 63 - GEN_MAX_SHIFT;
	return (struct gen_mean){(uint64_t)(quotient >> over), 63 - over};
}
