/* SPDX-License-Identifier: MIT */
/**
 * DOC: How far policies are from the clairvoyant optimum of a trace, and how near `adaptive`
 * could come with other parameters.
 */
#ifndef SIM_BOUND_H
#define SIM_BOUND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "sim/compare.h"
#include "sim/engine.h"
#include "sim/profile.h"

/**
 * struct bound - What is known of a trace's optimum; typical prices.
 * @optimum_cycles:  no interception policy costs less
 * @optimum_decisions: how often a schedule that costs so much decides to change interception
 *                   after creation; the fewest that does
 * @adaptive_cycles: of adaptive with its best parameters
 * @adaptive:        these parameters; zero when adaptive cannot replay the trace
 * @adaptive_exact:  no adaptive with 1 to @adaptive_max_writes writes and any number of exits
 *                   is cheaper; else some numbers were left out for lack of room
 * @adaptive_max_writes: PATIENCE_WRITES
 */
struct bound {
	uint64_t optimum_cycles;
	uint64_t optimum_decisions;
	uint64_t adaptive_cycles;
	struct policy_params adaptive;
	bool adaptive_exact;
	uint32_t adaptive_max_writes;
};

/**
 * bound_trace() - Read a trace again, for its optimum.
 * @path:    a file; standard input cannot be read twice
 * @options: no failing growths; the policy and its parameters are not looked at
 * @profile: prices
 * @bound:   filled
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int bound_trace(const char *path, const struct engine_options *options,
		const struct cost_profile *profile, struct bound *bound, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * bound_json() - A bound and every policy's distance from it, for programs.
 * @bound:      of a trace
 * @comparison: of runs of it, under the same profile
 * @profile:    that profile
 *
 * Return: new reference.
 */
json_t *bound_json(const struct bound *bound, const struct comparison *comparison,
		   const struct cost_profile *profile);

/** bound_ratio() - Cycles as a multiple of the optimum's; 1 when that is nothing. */
double bound_ratio(const struct bound *bound, uint64_t cycles);

/**
 * bound_worst_ratio() - Theory: what adaptive may cost, at most, in writes, syncs and switches, as
 * a multiple of the optimum's, over all traces.
 * @params:  of adaptive
 * @profile: typical prices
 *
 * Return: 0 when a price that it needs is 0.
 */
double bound_worst_ratio(const struct policy_params *params, const struct cost_profile *profile);

#endif /* SIM_BOUND_H */
