/* SPDX-License-Identifier: MIT */
/**
 * DOC: A yardstick: the interpreter that one would write first.
 *
 * One switch per event, one policy (first-nonzero) on one kernel (v6.19), prices added up at
 * once: no step counts, no paths, nothing to ask afterwards. It shares no code with the model,
 * and `xfdsim bench` refuses to compare speeds unless its total of cycles is the same.
 */
#ifndef SIM_NAIVE_H
#define SIM_NAIVE_H

#include <stddef.h>
#include <stdint.h>

#include "models/machine.h"
#include "sim/profile.h"

#define NAIVE_POLICY "first-nonzero"
#define NAIVE_KERNEL "v6.19"

struct naive;

/**
 * naive_new() - An interpreter in the state that a machine is in.
 * @machine: initialised for NAIVE_POLICY and NAIVE_KERNEL; copied
 * @profile: typical prices
 *
 * Return: free it with naive_free(); NULL without memory.
 */
struct naive *naive_new(const struct machine *machine, const struct cost_profile *profile);

/** naive_run() - Interpret events of a trace that is known to be possible. */
void naive_run(struct naive *naive, const struct trace_event *events, size_t nr);

/** naive_cycles() - What the events so far have cost. */
uint64_t naive_cycles(const struct naive *naive);

/** naive_free() - Free an interpreter; NULL is allowed. */
void naive_free(struct naive *naive);

#endif /* SIM_NAIVE_H */
