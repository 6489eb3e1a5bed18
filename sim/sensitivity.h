/* SPDX-License-Identifier: MIT */
/**
 * DOC: Which price decides, and at which price the decision would be another.
 *
 * One price moves, all others stay typical: a tornado of what a step's range does to the margin
 * between the winner and its rival, and for each step the nearest price on either side at which
 * some other run becomes the cheapest. Exact integers: a run's overhead is a line in any one
 * price, so a crossing is a division.
 *
 * The rival is the cheapest run that treats most XFD writes the other way (lets them through
 * where the winner traps them, or the reverse): policies of one kind often differ by a single
 * write, which says nothing about the decision. If there is none, it is the next run that
 * differs at all.
 */
#ifndef SIM_SENSITIVITY_H
#define SIM_SENSITIVITY_H

#include <stddef.h>
#include <stdint.h>

#include "sim/ledger.h"
#include "sim/profile.h"
#include "traces/error.h"

#define SENSITIVITY_NONE SIZE_MAX

/**
 * struct price_switch - Where another run becomes the cheapest.
 * @run:            SENSITIVITY_NONE when no price does it
 * @price_cycles:   the first whole price, going away from typical, at which @run costs less
 *                  than the winner
 * @crossing_cycles: where both cost the same; the exact fraction as a double
 */
struct price_switch {
	size_t run;
	uint64_t price_cycles;
	double crossing_cycles;
};

/**
 * struct sensitivity_row - One step.
 * @step:    taken differently often by some run
 * @at_low:  rival less winner, in cycles, with this price low and all others typical
 * @at_high: the same with this price high
 * @below:   the switch at a price below typical
 * @above:   the switch at a price above typical
 */
struct sensitivity_row {
	enum step step;
	int64_t at_low;
	int64_t at_high;
	struct price_switch below;
	struct price_switch above;
};

/**
 * struct sensitivity - The tornado, widest row first.
 * @winner: cheapest at typical prices; the first of equals
 * @rival:  see above; SENSITIVITY_NONE when all runs are alike
 * @margin: rival less winner at typical prices, in cycles
 * @rows:   @nr_rows of them; none when there is no rival
 * @nr_rows: entries of @rows
 */
struct sensitivity {
	size_t winner;
	size_t rival;
	int64_t margin;
	struct sensitivity_row rows[NR_PRICED_STEPS];
	size_t nr_rows;
};

/**
 * sensitivity_run() - Work it out.
 * @runs:    of one trace
 * @nr:      at least 1
 * @profile: the prices
 * @result:  filled
 * @err:     filled on failure
 *
 * Return: 0, or -EINVAL when a run costs more than 2^61 cycles at high prices.
 */
int sensitivity_run(const struct run *runs, size_t nr, const struct cost_profile *profile,
		    struct sensitivity *result, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_SENSITIVITY_H */
