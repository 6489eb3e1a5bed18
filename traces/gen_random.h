/* SPDX-License-Identifier: MIT */
/**
 * DOC: Random numbers for traces/gen.h: streams, exponential lengths, weighted choices.
 *
 * Inline and without branches that depend on what was drawn, because a generator draws several
 * numbers an event and nobody can predict them. Integers only: no libm whose last digit
 * differs from one machine to the next.
 *
 * Exponential lengths are -ln(u) times the mean. log2 of a 64-bit number is its leading zeros
 * and, for the rest, a table of 256 chords; a chord lies at most 2^-18.4 below the curve, so no
 * length is off by more than 2 millionths of the mean. Choices are drawn by Walker's alias
 * method: one multiplication and one comparison whatever the weights, exact to 2^-50.
 *
 * Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators",
 *         OOPSLA 2014 (splitmix64); M. Vose, "A linear algorithm for generating random numbers
 *         with a given distribution", IEEE Transactions on Software Engineering 17(9), 1991.
 */
#ifndef TRACES_GEN_RANDOM_H
#define TRACES_GEN_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

__extension__ typedef unsigned __int128 gen_wide;

#define GEN_RANDOM_GAMMA UINT64_C(0x9e3779b97f4a7c15)
#define GEN_LN2_Q32      UINT64_C(2977044471) /* floor(ln 2 * 2^32) */

enum {
	GEN_LOG_BITS = 8,
	GEN_CHOICE_BITS = 4,
	GEN_MAX_CHOICES = 1 << GEN_CHOICE_BITS,
	GEN_UNIT_BITS = 57, /* of a logarithm's fraction */
	GEN_MAX_SHIFT = 56
};

/**
 * struct gen_rng - Where a stream stands.
 * @state: grows by the gamma with each number
 */
struct gen_rng {
	uint64_t state;
};

/**
 * struct gen_log - Chords of log2(1 + x), in units of 2^-32.
 * @chord: value at the chord's beginning (low half), rise over the chord (high half)
 */
struct gen_log {
	uint64_t chord[1 << GEN_LOG_BITS];
};

/**
 * struct gen_choice - Numbers below GEN_MAX_CHOICES, drawn by weight.
 * @below:  slot i means number i below this, of 2^64, else another
 * @number: for each slot the other one and its own
 */
struct gen_choice {
	uint64_t below[GEN_MAX_CHOICES];
	uint8_t number[GEN_MAX_CHOICES][2];
};

static inline uint64_t gen_mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/**
 * gen_rng_begin() - The beginning of a stream.
 * @seed:   of the trace
 * @stream: numbers of two streams have nothing to do with each other
 */
static inline struct gen_rng gen_rng_begin(uint64_t seed, uint64_t stream)
{
	return (struct gen_rng){gen_mix(seed + GEN_RANDOM_GAMMA * (stream + 1))};
}

/** gen_rng_next() - 64 random bits. */
static inline uint64_t gen_rng_next(struct gen_rng *rng)
{
	rng->state += GEN_RANDOM_GAMMA;
	return gen_mix(rng->state);
}

/** gen_below() - 0 to @limit - 1, evenly but for @limit / 2^64. */
static inline uint64_t gen_below(uint64_t random, uint64_t limit)
{
	return (uint64_t)((gen_wide)random * limit >> 64);
}

/** gen_log_init() - Make the table: log2 bit by bit, by squaring. */
void gen_log_init(struct gen_log *log);

/** gen_neg_log2() - -log2(@random / 2^64) in units of 2^-32; 0 counts as 1. */
static inline uint64_t gen_neg_log2(const struct gen_log *log, uint64_t random)
{
	uint64_t u = random | 1;
	int zeros = __builtin_clzll(u);
	uint64_t rest = u << zeros << 1; /* behind the leading one */
	uint64_t chord = log->chord[rest >> (64 - GEN_LOG_BITS)];
	uint64_t within = (rest << GEN_LOG_BITS) >> 32;
	uint64_t fraction = (chord & UINT32_MAX) + ((chord >> 32) * within >> 32);

	return ((uint64_t)(zeros + 1) << 32) - fraction;
}

/**
 * gen_exponential() - An exponentially distributed length of time.
 * @log:    from gen_log_init()
 * @random: 64 random bits
 * @mean:   below 2^57
 *
 * Return: at least 1 and at most 45 * @mean + 1.
 */
static inline uint64_t gen_exponential(const struct gen_log *log, uint64_t random, uint64_t mean)
{
	uint64_t ln = (uint64_t)((gen_wide)gen_neg_log2(log, random) * GEN_LN2_Q32 >> 32);
	uint64_t t = (uint64_t)((gen_wide)ln * mean >> 32);

	return t ? t : 1;
}

/**
 * struct gen_mean - The mean gap between events of a Poisson process, for gen_gap().
 * @scale: ln 2 times the mean in cycles, times 2^(64 - GEN_UNIT_BITS + @shift)
 * @shift: as great as @scale allows, at most GEN_MAX_SHIFT
 */
struct gen_mean {
	uint64_t scale;
	uint32_t shift;
};

/** gen_mean() - Of @rate events in @cycles, both at least 1, @cycles below 2^57. */
struct gen_mean gen_mean(uint64_t cycles, uint64_t rate);

/**
 * gen_unit_gap() - For gen_gap(): what does not depend on the mean.
 *
 * The logarithm, and below it bits that have no say in it.
 */
static inline uint64_t gen_unit_gap(const struct gen_log *log, uint64_t random)
{
	const unsigned int rest = GEN_UNIT_BITS - 32;

	return gen_neg_log2(log, random) << rest | (random & ((UINT64_C(1) << rest) - 1));
}

/**
 * gen_gap() - The time to the next event of a Poisson process.
 * @unit:     from gen_unit_gap()
 * @mean:     from gen_mean()
 * @fraction: of a cycle, in 2^-64, that is left from the gaps before; changes
 *
 * So that short gaps keep their mean. May be 0; at most 44.4 times the mean.
 */
static inline uint64_t gen_gap(uint64_t unit, const struct gen_mean *mean, uint64_t *fraction)
{
	gen_wide product = (gen_wide)unit * mean->scale;
	uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;

	/* By hand, because @shift is below 64, which a compiler does not know. */
	low = low >> mean->shift | high << (63 - mean->shift) << 1;
	*fraction += low;
	return (high >> mean->shift) + (*fraction < low);
}

/**
 * gen_choice_init() - Prepare to draw by weight.
 * @choice: receives the tables
 * @weight: GEN_MAX_CHOICES of them, each below 2^48, not all 0
 */
void gen_choice_init(struct gen_choice *choice, const uint64_t *weight);

/** gen_choose() - A number, drawn with the uppermost bits of @random. */
static inline uint32_t gen_choose(const struct gen_choice *choice, uint64_t random)
{
	uint32_t slot = (uint32_t)(random >> (64 - GEN_CHOICE_BITS));
	bool own = random << GEN_CHOICE_BITS < choice->below[slot];

	/* By index, because a compiler makes a branch of ?: that nobody predicts. */
	return choice->number[slot][own];
}

/**
 * gen_rng_at() - A number of a stream without those before it.
 * @seed:   of the trace
 * @stream: see gen_rng_begin()
 * @index:  0 is what gen_rng_next() returns first
 */
static inline uint64_t gen_rng_at(uint64_t seed, uint64_t stream, uint64_t index)
{
	return gen_mix(gen_rng_begin(seed, stream).state + GEN_RANDOM_GAMMA * (index + 1));
}

#endif /* TRACES_GEN_RANDOM_H */
