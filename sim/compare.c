/* SPDX-License-Identifier: MIT */
#include "sim/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Price the paths of one run apart, by what caused them. Path counts add up to step counts. */
static int price_parts(const struct cost_profile *profile, struct comparison_row *row)
{
	const struct ledger *ledger = &row->run->ledger;
	uint64_t in_events[NR_STEPS] = {0}, elsewhere[NR_STEPS] = {0};
	uint64_t other_xfd;

	for (size_t i = 0; i < ledger->nr_paths; i++) {
		const struct path_count *path = &ledger->paths[i];
		uint64_t *counts = path_is_xfd(path) ? in_events : elsewhere;

		for (unsigned int s = 0; s < path->steps.nr; s++)
			counts[path->steps.step[s]] += path->count;
	}
	if (profile_price(profile, PRICE_TYPICAL, in_events, &row->write_cycles) ||
	    profile_price(profile, PRICE_TYPICAL, elsewhere, &row->other_cycles))
		return -EOVERFLOW;
	for (enum step step = 0; step < NR_PRICED_STEPS; step++)
		if (strcmp(step_group(step), "xfd"))
			elsewhere[step] = 0;
	if (profile_price(profile, PRICE_TYPICAL, elsewhere, &other_xfd))
		return -EOVERFLOW;
	row->xfd_cycles = row->write_cycles + other_xfd;
	return 0;
}

/* Stable insertion by typical overhead: there are as many rows as policies. */
static void rank(struct comparison_row *rows, size_t nr)
{
	for (size_t i = 1; i < nr; i++) {
		struct comparison_row row = rows[i];
		size_t at = i;

		for (; at && rows[at - 1].overhead_cycles[PRICE_TYPICAL] >
				     row.overhead_cycles[PRICE_TYPICAL];
		     at--)
			rows[at] = rows[at - 1];
		rows[at] = row;
	}
}

static bool winner_is_robust(const struct comparison *c)
{
	for (size_t i = 1; i < c->nr; i++)
		for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++)
			if (c->rows[i].overhead_cycles[column] < c->rows[0].overhead_cycles[column])
				return false;
	return true;
}

/* Where the line of @b falls below that of @a, as a multiple of the trace's XFD events. */
static double crossing(const struct comparison_row *a, const struct comparison_row *b)
{
	return ((double)b->other_cycles - (double)a->other_cycles) /
	       ((double)a->write_cycles - (double)b->write_cycles);
}

/*
 * Walk the lower envelope from x = 0: begin with the smallest E (of equals the smallest W),
 * then always on to the line that undercuts the current one first.
 */
static int find_segments(struct comparison *c)
{
	double x = 0;
	size_t at = 0;

	if (!c->complete || !c->xfd_writes || !c->slow_exits)
		return 0;
	c->segments = calloc(c->nr, sizeof(*c->segments));
	if (!c->segments)
		return -ENOMEM;
	for (size_t i = 1; i < c->nr; i++)
		if (c->rows[i].other_cycles < c->rows[at].other_cycles ||
		    (c->rows[i].other_cycles == c->rows[at].other_cycles &&
		     c->rows[i].write_cycles < c->rows[at].write_cycles))
			at = i;
	for (;;) {
		size_t next = c->nr;
		double next_x = 0;

		c->segments[c->nr_segments++] = (struct comparison_segment){
			.row = at,
			.from = x * c->writes_per_exit,
		};
		for (size_t i = 0; i < c->nr; i++) {
			double cross;

			if (c->rows[i].write_cycles >= c->rows[at].write_cycles)
				continue;
			cross = crossing(&c->rows[at], &c->rows[i]);
			if (next == c->nr || cross < next_x ||
			    (!(cross > next_x) &&
			     c->rows[i].write_cycles < c->rows[next].write_cycles)) {
				next = i;
				next_x = cross;
			}
		}
		if (next == c->nr)
			return 0;
		at = next;
		x = next_x;
	}
}

int compare_runs(const struct run *runs, size_t nr, const struct cost_profile *profile,
		 struct comparison *c, struct xfd_error *err)
{
	const struct ledger *whole = &runs[0].ledger;

	*c = (struct comparison){
		.rows = calloc(nr, sizeof(*c->rows)),
		.nr = nr,
		.complete = true,
	};
	for (size_t i = 0; i < nr; i++) {
		c->complete &= !runs[i].ledger.nr_skipped;
		if (runs[i].ledger.nr_skipped < whole->nr_skipped)
			whole = &runs[i].ledger;
	}
	c->guest_cycles = whole->step_count[STEP_guest_run];
	c->xfd_writes = whole->xfd_writes;
	c->slow_exits = whole->step_count[STEP_exit_post] - whole->xfd_exits;
	c->fast_exits = whole->step_count[STEP_fastpath];
	if (!c->rows)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	if (c->slow_exits)
		c->writes_per_exit = (double)c->xfd_writes / (double)c->slow_exits;
	for (size_t i = 0; i < nr; i++) {
		struct comparison_row *row = &c->rows[i];
		int ret = 0;

		row->run = &runs[i];
		row->guest_cycles = runs[i].ledger.step_count[STEP_guest_run];
		for (enum price_column column = 0; column < NR_PRICE_COLUMNS && !ret; column++)
			ret = profile_price(profile, column, row->run->ledger.step_count,
					    &row->overhead_cycles[column]);
		if (ret || price_parts(profile, row)) {
			comparison_release(c);
			return xfd_error_set(
				err, XFD_ERROR_INPUT, profile->name, 0, -1,
				"the trace costs more than 2^64 cycles at these prices");
		}
	}
	rank(c->rows, nr);
	c->robust = winner_is_robust(c);
	if (find_segments(c)) {
		comparison_release(c);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	}
	return 0;
}

void comparison_release(struct comparison *c)
{
	free(c->rows);
	free(c->segments);
	memset(c, 0, sizeof(*c));
}

double compare_percent(uint64_t cycles, uint64_t profile_khz, uint64_t guest_cycles,
		       uint64_t trace_khz)
{
	if (!guest_cycles)
		return 0;
	return 100.0 * ((double)cycles / (double)profile_khz) /
	       ((double)guest_cycles / (double)trace_khz);
}

uint64_t compare_per_second(uint64_t cycles, uint64_t guest_cycles, uint64_t trace_khz)
{
	long double per_second;

	if (!guest_cycles)
		return 0;
	per_second =
		(long double)cycles * (long double)(trace_khz * 1000) / (long double)guest_cycles;
	return per_second < (long double)UINT64_MAX ? (uint64_t)per_second : UINT64_MAX;
}
