/* SPDX-License-Identifier: MIT */
/**
 * DOC: How long the guest waits, as a distribution.
 *
 * A replay counts how often each path was taken, and a path has one price. So the distribution
 * of cycles that the guest sees per XFD write, or per VM-exit, is exact under a price list:
 * nothing is sampled and nothing is assumed about its shape. What varies in reality from one
 * passage of a path to the next is not in it.
 *
 * A HLT that blocks and a preemption end when the vCPU is off its pCPU: the way back in is the
 * path of another event.
 */
#ifndef SIM_LATENCY_H
#define SIM_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#include "sim/ledger.h"
#include "sim/profile.h"
#include "traces/error.h"

enum latency_kind {
	LATENCY_XFD_WRITE, /* a guest's WRMSR of IA32_XFD, trapped or not */
	LATENCY_VM_EXIT,   /* whatever caused a VM-exit, XFD writes included */
	NR_LATENCY_KINDS
};

/**
 * struct latency_point - So many passages took so long.
 * @cycles: of the profile's TSC
 * @count:  at least 1
 */
struct latency_point {
	uint64_t cycles;
	uint64_t count;
};

/**
 * struct latency - A distribution.
 * @points: by rising cycles, each once; owned
 * @nr:     entries of @points
 * @count:  of all points
 * @total_cycles: Σ count × cycles
 */
struct latency {
	struct latency_point *points;
	size_t nr;
	uint64_t count;
	uint64_t total_cycles;
};

/**
 * latency_run() - The distribution of one run.
 * @run:     the run
 * @profile: the prices
 * @column:  which price
 * @kind:    of what
 * @latency: filled; release it with latency_release()
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno (a sum passes 2^64, no memory).
 */
int latency_run(const struct run *run, const struct cost_profile *profile, enum price_column column,
		enum latency_kind kind, struct latency *latency, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** latency_release() - Free what a distribution owns. */
void latency_release(struct latency *latency);

/**
 * latency_quantile() - The smallest latency that covers a part of the passages.
 * @latency:  the distribution
 * @per_mille: 1 to 1000; 1000 is the maximum
 *
 * The ceil(per_mille × count / 1000)-th of all passages in rising order. Return: cycles; 0 when
 * there is none.
 */
uint64_t latency_quantile(const struct latency *latency, unsigned int per_mille);

/**
 * latency_of_path() - What one passage of a path takes.
 * @path:    the path
 * @profile: the prices
 * @column:  which price
 *
 * Return: cycles.
 */
uint64_t latency_of_path(const struct path_count *path, const struct cost_profile *profile,
			 enum price_column column);

/** latency_kind_name() - "XFD write" and the like. Return: a string constant. */
const char *latency_kind_name(enum latency_kind kind);

#endif /* SIM_LATENCY_H */
