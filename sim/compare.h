/* SPDX-License-Identifier: MIT */
/**
 * DOC: Ranking runs of one trace under one price list, and where the ranking would change.
 *
 * Everything here is arithmetic on ledgers. Overheads are exact integers. The break-even is
 * a model on top of them and says so: it scales the trace's XFD events and leaves everything
 * else as it is, so a policy's overhead becomes a line E + x W (E: all other events, W: the
 * XFD events, x: how many times as many of them) and the cheapest policy is the lower
 * envelope of a few lines. At x = 1 the lines are exact.
 */
#ifndef SIM_COMPARE_H
#define SIM_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "sim/engine.h"
#include "sim/profile.h"

/**
 * struct comparison_row - One run, priced.
 * @run:      borrowed
 * @guest_cycles: guest time of this run; less than the trace's when a vCPU stopped
 * @overhead_cycles: by enum price_column
 * @xfd_cycles: typical; the part that XFD causes: everything in events that access XFD or
 *            XFD_ERR, use AMX or fault, and the steps of group xfd in all others
 * @write_cycles: W of its line: the cycles in XFD events
 * @other_cycles: E of its line: all others
 */
struct comparison_row {
	const struct run *run;
	uint64_t guest_cycles;
	uint64_t overhead_cycles[NR_PRICE_COLUMNS];
	uint64_t xfd_cycles;
	uint64_t write_cycles;
	uint64_t other_cycles;
};

/**
 * struct comparison_segment - A range of the break-even in which one policy is cheapest.
 * @row:  index into comparison::rows
 * @from: XFD writes per slow VM-exit where it begins; 0 for the first
 */
struct comparison_segment {
	size_t row;
	double from;
};

/**
 * struct comparison - All runs, ranked.
 * @rows:       cheapest first at typical prices; ties in the order given
 * @nr:         entries of @rows
 * @complete:   no run skipped an event; otherwise vCPUs stopped, the runs did different work
 *              and there is neither a winner nor a break-even
 * @guest_cycles: guest time of the trace, in its own clock; like the four below it is that of
 *              the run that went furthest
 * @xfd_writes: in the trace
 * @slow_exits: VM-exits that XFD did not cause and that pay a sync when writes pass through
 * @fast_exits: fastpath exits, which never do
 * @writes_per_exit: @xfd_writes / @slow_exits; 0 when there are none
 * @robust:     the winner is also cheapest at all low and at all high prices
 * @segments:   the lower envelope; owned. None when the trace has no XFD write or no exit
 * @nr_segments: entries of @segments
 */
struct comparison {
	struct comparison_row *rows;
	size_t nr;
	bool complete;
	uint64_t guest_cycles;
	uint64_t xfd_writes;
	uint64_t slow_exits;
	uint64_t fast_exits;
	double writes_per_exit;
	bool robust;
	struct comparison_segment *segments;
	size_t nr_segments;
};

/**
 * compare_runs() - Price and rank.
 * @runs:    of one trace; borrowed by @comparison
 * @nr:      at least 1
 * @profile: the prices
 * @comparison: filled; release it with comparison_release()
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno (a sum passes 2^64, no memory).
 */
int compare_runs(const struct run *runs, size_t nr, const struct cost_profile *profile,
		 struct comparison *comparison, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** comparison_release() - Free what a comparison owns. */
void comparison_release(struct comparison *comparison);

/**
 * compare_percent() - Overhead as a percentage of guest time, each in its own clock.
 * @cycles:       overhead, in the profile's TSC
 * @profile_khz:  that clock
 * @guest_cycles: guest time, in the trace's TSC
 * @trace_khz:    that clock
 *
 * Return: percent; 0 when there was no guest time.
 */
double compare_percent(uint64_t cycles, uint64_t profile_khz, uint64_t guest_cycles,
		       uint64_t trace_khz);

/**
 * compare_per_second() - Overhead in cycles per second of guest time, rounded down.
 * @cycles:       overhead
 * @guest_cycles: guest time, in the trace's TSC
 * @trace_khz:    that clock
 *
 * Return: cycles; 0 when there was no guest time.
 */
uint64_t compare_per_second(uint64_t cycles, uint64_t guest_cycles, uint64_t trace_khz);

#endif /* SIM_COMPARE_H */
