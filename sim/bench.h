/* SPDX-License-Identifier: MIT */
/**
 * DOC: How fast replay is, beside honest yardsticks.
 *
 * All rows are taken in one process on the same events, interleaved and repeated, in CPU time
 * of the thread, so that a busy machine disturbs them alike; only ratios travel between
 * machines. The yardsticks: a loop that only adds up the same records, and a naive
 * interpreter (sim/naive.h) of one policy that must arrive at the same cycles.
 *
 * Rows of the automaton replay the first blocks of the file as it holds them: its digests, and
 * columns where there are none or they are not enough; but for one row, which makes columns from
 * records as a reader of text does.
 *
 * What limits each row, on an Emerald Rapids server at some 3 GHz that others used too, from
 * what changed when code did; 17 million of 100 million events of `gen`, 4.0 events an entry of
 * its digests; ns an event:
 *
 *   sum_columns    0.6  the yardstick: 1 byte of tag and 2 of vCPU
 *   naive          13.3 a mispredicted branch for most events
 *   automaton_records 9.8 a dictionary, then 2.2 of load latency, as where a block has no digest
 *   automaton_1    0.8  load latency: a row, then its next one, once an entry: 3.3 ns; rows of
 *                       phrases are wider than L1. Counting at once, not at the block's end, is
 *                       a fifth of it less
 *   automaton_all  1.9  the same, and more states (953): L2, and more pages than the first TLB has
 *   decode         1.7  what a block without a digest takes
 *   file_all       2.0  automaton_all, and 0.2 for reading digests; 3 times sum_columns
 *   file_all where exits outnumber XFD events 1,000 to 1: 0.7 to 1.2; 98 % of the events come from
 *                       digests: 42 entries for 1,000 events; a third is walking them
 *
 * Overcommitted guests, `gen -w overcommitted` (8 vCPUs on 4 pCPUs), beside the default guest in
 * the same minutes, 16.8 million events each, before there were phrases, of which they have none:
 * too many arrivals stand in their places; ns an event:
 *
 *                  overcommitted  default
 *   naive              14.6         14.2
 *   automaton_1         5.6          2.9   twice the vCPUs, and a pCPU's row beside each
 *   automaton_all       8.4          3.5   1,456 states instead of 973; in policy-events 12 x naive
 *   file_all           11.6          6.3   86 and 160 M events/s
 *
 * Recorded traces, repeated to 17 million events, stay in the naive interpreter's branch predictor,
 * but 7 to 30 of their events are one entry (amx: AMX tasks were named in the import):
 *
 *                     naive  automaton_1  automaton_all  file_all  ns an event
 *   amx-web            6.5      0.53           1.07         0.92
 *   amx-redis          4.9      0.26           0.36         0.44
 *   web-matrix         5.7      0.24           0.25         0.36
 *   redis-matrix       4.6      0.33           0.32         0.47
 *   web-matrix, amx    6.1      0.32           0.57         0.75
 *   redis-matrix, amx  5.8      0.21           0.24         0.34
 */
#ifndef SIM_BENCH_H
#define SIM_BENCH_H

#include <stddef.h>
#include <stdint.h>

#include "models/event.h"
#include "sim/profile.h"
#include "traces/error.h"

enum bench_row {
#define XFD_BENCH(symbol, runs, meaning) BENCH_##symbol,
#include "sim/bench_list.h"
#undef XFD_BENCH
	NR_BENCH_ROWS
};

/**
 * struct bench_result - Medians.
 * @ns:        of a row, for @events of it
 * @events:    that a row replayed; the reference engine takes fewer
 * @nr_runs:   policies in one pass
 * @trace_events: in memory
 * @file_bytes: of the trace
 * @file_events: in the trace
 * @cycles:    what the events in memory cost under the naive interpreter's policy
 * @states:    of all policies together; of the last of them if they were taken apart
 * @apart:     automata that all policies were taken apart into; 1 for none
 * @digested:  events that the policies took from digests when they came from the file
 * @kind_count: events in the file, by kind
 */
struct bench_result {
	uint64_t ns[NR_BENCH_ROWS];
	uint64_t events[NR_BENCH_ROWS];
	size_t nr_runs[NR_BENCH_ROWS];
	uint64_t trace_events;
	uint64_t file_bytes;
	uint64_t file_events;
	uint64_t cycles;
	uint32_t states;
	size_t apart;
	uint64_t digested;
	uint64_t kind_count[NR_EVENT_KINDS];
};

/** bench_row_name() - The name of a row. */
const char *bench_row_name(enum bench_row row);

/** bench_row_meaning() - What it measures. */
const char *bench_row_meaning(enum bench_row row);

/**
 * bench_trace() - Measure.
 * @path:       a packed trace in a regular file
 * @max_events: how many to hold in memory, 24 bytes each
 * @repeat:     how often each row is measured, at least 1
 * @profile:    prices, for the naive interpreter
 * @result:     filled
 * @err:        filled on failure
 *
 * Return: 0 or a negative errno; -EPROTO when the naive interpreter and the automaton disagree.
 */
int bench_trace(const char *path, size_t max_events, unsigned int repeat,
		const struct cost_profile *profile, struct bench_result *result,
		struct xfd_error *err) __attribute__((warn_unused_result));

#endif /* SIM_BENCH_H */
