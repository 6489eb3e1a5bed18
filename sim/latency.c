/* SPDX-License-Identifier: MIT */
#include "sim/latency.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "models/event.h"

static bool belongs(const struct path_count *path, enum latency_kind kind)
{
	return kind == LATENCY_XFD_WRITE ? path->kind == EVENT_wrxfd
					 : path->exit_reason != EXIT_NONE;
}

/* Prices are at most 10^12 and a path has at most 63 steps: the sum always fits. */
uint64_t latency_of_path(const struct path_count *path, const struct cost_profile *profile,
			 enum price_column column)
{
	uint64_t cycles = 0;

	for (unsigned int i = 0; i < path->steps.nr; i++)
		if (path->steps.step[i] < NR_PRICED_STEPS)
			cycles += profile->price[path->steps.step[i]].cycles[column];
	return cycles;
}

static int by_cycles(const void *a, const void *b)
{
	const struct latency_point *x = a, *y = b;

	return (x->cycles > y->cycles) - (x->cycles < y->cycles);
}

/* Paths of one price are one point. */
static void merge_equal(struct latency *latency)
{
	size_t nr = 0;

	for (size_t i = 0; i < latency->nr; i++) {
		if (nr && latency->points[nr - 1].cycles == latency->points[i].cycles)
			latency->points[nr - 1].count += latency->points[i].count;
		else
			latency->points[nr++] = latency->points[i];
	}
	latency->nr = nr;
}

int latency_run(const struct run *run, const struct cost_profile *profile, enum price_column column,
		enum latency_kind kind, struct latency *latency, struct xfd_error *err)
{
	const struct ledger *ledger = &run->ledger;

	*latency =
		(struct latency){.points = calloc(ledger->nr_paths + 1, sizeof(*latency->points))};
	if (!latency->points)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	for (size_t i = 0; i < ledger->nr_paths; i++) {
		const struct path_count *path = &ledger->paths[i];
		struct latency_point *point = &latency->points[latency->nr];
		uint64_t cycles;

		if (!belongs(path, kind))
			continue;
		point->cycles = latency_of_path(path, profile, column);
		point->count = path->count;
		if (__builtin_mul_overflow(point->cycles, point->count, &cycles) ||
		    __builtin_add_overflow(latency->total_cycles, cycles, &latency->total_cycles)) {
			latency_release(latency);
			return xfd_error_set(err, XFD_ERROR_INPUT, profile->name, 0, -1,
					     "policy %s costs more than 2^64 cycles", run->policy);
		}
		latency->count += path->count;
		latency->nr++;
	}
	qsort(latency->points, latency->nr, sizeof(*latency->points), by_cycles);
	merge_equal(latency);
	return 0;
}

void latency_release(struct latency *latency)
{
	free(latency->points);
	memset(latency, 0, sizeof(*latency));
}

/* ceil(per_mille x count / 1000) without passing 2^64. */
static uint64_t rank_of(uint64_t count, unsigned int per_mille)
{
	return count / 1000 * per_mille + (count % 1000 * per_mille + 999) / 1000;
}

uint64_t latency_quantile(const struct latency *latency, unsigned int per_mille)
{
	uint64_t rank = rank_of(latency->count, per_mille);
	uint64_t seen = 0;

	for (size_t i = 0; i < latency->nr; i++) {
		seen += latency->points[i].count;
		if (seen >= rank)
			return latency->points[i].cycles;
	}
	return 0;
}

const char *latency_kind_name(enum latency_kind kind)
{
	return kind == LATENCY_XFD_WRITE ? "XFD write" : "VM-exit";
}
