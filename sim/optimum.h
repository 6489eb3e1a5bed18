/* SPDX-License-Identifier: MIT */
/**
 * DOC: The clairvoyant bound: what no interception policy can undercut on this trace.
 *
 * Whenever the host has control (creation, and every VM-exit that leaves KVM's inner loop) a
 * policy that knew the future could turn interception of IA32_XFD on or off, at the price of
 * one intercept_update unless the event pays one anyway. The optimum over all such schedules
 * is found in one pass by dynamic programming: for each vCPU a short list of (state, least
 * cycles so far), states being those of the model itself, so two schedules that lead to the
 * same state are compared and the dearer one is forgotten. Memory does not grow with the trace.
 * In the same pass `adaptive` is replayed with all its parameters (sim/patience.h).
 *
 * vCPUs are optimised one by one. That is exact because a vCPU that leaves a pCPU has synced
 * or written XFD there: what the next one finds does not depend on the schedule. This is
 * checked on every trace, not assumed. Schedules pass through only with a buffer that has
 * room for tiles. Where growths fail the bound does not hold (first-enable passes through
 * without the room), so it is not offered there.
 *
 * Theory: a metrical task system with two modes; the work functions of Borodin, Linial and
 * Saks (JACM 39(4), 1992), with the model's states in place of the modes.
 */
#ifndef SIM_OPTIMUM_H
#define SIM_OPTIMUM_H

#include <stdbool.h>
#include <stdint.h>

#include "models/machine.h"
#include "sim/profile.h"
#include "traces/block.h"
#include "traces/trace.h"

struct optimum;

/**
 * optimum_new() - Begin a trace.
 * @config:  kernel and thresholds; its policy is not looked at; no failing growths
 * @info:    the trace's header
 * @profile: typical prices decide
 *
 * Return: free it with optimum_free(); NULL without memory.
 */
struct optimum *optimum_new(const struct machine_config *config, const struct trace_info *info,
			    const struct cost_profile *profile);

/**
 * optimum_block() - Go on by a block that replays without a refusal.
 * @optimum: must not be used again after a failure
 * @block:   the next block
 *
 * Return: 0, -ENOMEM, -E2BIG when a vCPU has more states than there is room for, -EDOM when
 * what a vCPU leaves on its pCPU depends on the schedule, or -EINVAL for an impossible event.
 */
int optimum_block(struct optimum *optimum, const struct trace_block *block);

/**
 * optimum_cycles() - The least that the events so far can cost, in typical cycles.
 * @optimum: the trace so far
 * @changes: how often a schedule that costs so much changes interception after creation; the
 *           fewest that does
 */
uint64_t optimum_cycles(const struct optimum *optimum, uint64_t *changes);

/**
 * optimum_adaptive() - The parameters with which adaptive costs least, of all numbers of exits
 * and of 1 to PATIENCE_WRITES writes; of equals the fewest writes, then the fewest exits.
 * @optimum: the trace so far
 * @params:  filled; zero when adaptive cannot replay it
 * @cycles:  what it costs, in typical cycles
 *
 * Cost: 4 additions for each vCPU and number of exits that the trace has in a row. Return: false
 * when some numbers of exits were left out for lack of room (sim/patience.h).
 */
bool optimum_adaptive(const struct optimum *optimum, struct policy_params *params,
		      uint64_t *cycles);

/**
 * optimum_adaptive_cycles() - What adaptive costs with one pair of parameters.
 * @optimum: the trace so far
 * @writes:  1 to PATIENCE_WRITES
 * @exits:   1 to PATIENCE_NEVER
 * @cycles:  filled
 *
 * Return: false when it cannot replay the trace, or the pair was left out.
 */
bool optimum_adaptive_cycles(const struct optimum *optimum, uint32_t writes, uint32_t exits,
			     uint64_t *cycles);

/** optimum_free() - Free; NULL is allowed. */
void optimum_free(struct optimum *optimum);

#endif /* SIM_OPTIMUM_H */
