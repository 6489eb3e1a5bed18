/* SPDX-License-Identifier: MIT */
/**
 * DOC: How sure a ranking is, given that each price is known within a range only.
 *
 * Shape: many price lists are drawn at random and all runs are priced under each. A price
 *        follows a triangle between low and high with its peak at typical; steps that share a
 *        cause (struct step_price::shares) take the same place in their triangles. A drawn
 *        price is a whole number of cycles, so every sum is an exact integer.
 * Random: draw i of a cause is a function of (seed, cause, i). So the answer depends on
 *        neither the number of threads nor on which other runs are compared.
 *
 * Only steps that the runs took differently often are drawn: the others cancel. Quantiles come
 * from a histogram with at least 4096 bins over what is possible, so memory does not grow with
 * draws; the width of a bin is part of the answer. It is 1 cycle for small differences.
 */
#ifndef SIM_UNCERTAINTY_H
#define SIM_UNCERTAINTY_H

#include <stddef.h>
#include <stdint.h>

#include "sim/ledger.h"
#include "sim/profile.h"
#include "traces/error.h"

enum { UNCERTAINTY_MAX_RUNS = 64, UNCERTAINTY_MAX_THREADS = 256 };
#define UNCERTAINTY_DEFAULT_DRAWS UINT64_C(1000000)
#define UNCERTAINTY_MAX_DRAWS     UINT64_C(4000000000) /* a bin counts in 32 bits */

/**
 * struct uncertainty_pair - Run b less run a, over all draws.
 * @a_cheaper:   draws in which a costs less
 * @ties:        draws in which both cost the same
 * @p5_cycles:   5 % of the differences are at most this; a bin's middle
 * @p50_cycles:  the median; a bin's middle
 * @p95_cycles:  95 %; a bin's middle
 * @resolution_cycles: width of a bin
 */
struct uncertainty_pair {
	uint64_t a_cheaper;
	uint64_t ties;
	int64_t p5_cycles;
	int64_t p50_cycles;
	int64_t p95_cycles;
	uint64_t resolution_cycles;
};

/**
 * struct uncertainty - The answer.
 * @draws:    how many there were
 * @seed:     of the draws
 * @nr:       runs
 * @cheapest: by run: draws in which none costs less; ties count for each
 * @pairs:    (a, b) at a * @nr + b; both (a, b) and (b, a) are filled, (a, a) is zero; owned
 */
struct uncertainty {
	uint64_t draws;
	uint64_t seed;
	size_t nr;
	uint64_t cheapest[UNCERTAINTY_MAX_RUNS];
	struct uncertainty_pair *pairs;
};

/**
 * uncertainty_run() - Draw and count.
 * @runs:    of one trace
 * @nr:      1 to UNCERTAINTY_MAX_RUNS
 * @profile: ranges and shared causes
 * @draws:   1 to UNCERTAINTY_MAX_DRAWS
 * @seed:    any number
 * @threads: 1 to UNCERTAINTY_MAX_THREADS; changes nothing but the time it takes
 * @result:  filled; release it with uncertainty_release()
 * @err:     filled on failure
 *
 * Cost: below a second for 10^6 draws of 8 runs on one core. Return: 0 or a negative errno
 * (a run may cost more than 2^61 cycles, no memory, no thread).
 */
int uncertainty_run(const struct run *runs, size_t nr, const struct cost_profile *profile,
		    uint64_t draws, uint64_t seed, unsigned int threads, struct uncertainty *result,
		    struct xfd_error *err) __attribute__((warn_unused_result));

/** uncertainty_release() - Free what an answer owns. */
void uncertainty_release(struct uncertainty *result);

/**
 * uncertainty_price() - The price of a step in one draw.
 * @price: the step's range and cause
 * @step:  the step, which is its own cause when it shares none
 * @seed:  of the draws
 * @draw:  from 0
 *
 * What uncertainty_run() uses, one at a time. Return: cycles, low to high.
 */
uint64_t uncertainty_price(const struct step_price *price, enum step step, uint64_t seed,
			   uint64_t draw);

#endif /* SIM_UNCERTAINTY_H */
