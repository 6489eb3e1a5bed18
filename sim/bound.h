/* SPDX-License-Identifier: MIT */
/**
 * DOC: How far policies are from the clairvoyant optimum of a trace, and how near `adaptive`
 * could come with other parameters.
 */
#ifndef SIM_BOUND_H
#define SIM_BOUND_H

#include "sim/engine.h"
#include "sim/profile.h"

/**
 * struct bound - What is known of a trace's optimum; typical prices.
 * @optimum_cycles:  no interception policy costs less
 * @adaptive_cycles: of adaptive with the best parameters that were tried
 * @adaptive:        these parameters
 * @worst_ratio:     theory: what adaptive with them may cost, at most, in writes, syncs and
 *                   switches, as a multiple of the optimum's, over all traces
 */
struct bound {
	uint64_t optimum_cycles;
	uint64_t adaptive_cycles;
	struct policy_params adaptive;
	double worst_ratio;
};

/**
 * bound_trace() - Read a trace again: for the optimum, and for 33 adaptive policies.
 * @path:    a file; standard input cannot be read twice
 * @options: no failing growths; its adaptive parameters are tried too; the policy is not looked at
 * @profile: prices
 * @bound:   filled
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int bound_trace(const char *path, const struct engine_options *options,
		const struct cost_profile *profile, struct bound *bound, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_BOUND_H */
