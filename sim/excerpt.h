/* SPDX-License-Identifier: MIT */
/**
 * DOC: A few events of a reported trace, slice by slice.
 *
 * The database has counts, not events, so the trace is read again. It is replayed with the
 * options of the stored run (sim/timeline.h) under the policy that ranks first, and under
 * always-intercept, or the rival when that ranks first.
 */
#ifndef SIM_EXCERPT_H
#define SIM_EXCERPT_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/profile.h"
#include "sim/results.h"
#include "traces/error.h"

/* From the first guest's write of 0 to IA32_XFD: booting only arms. Else from the beginning. */
#define EXCERPT_DEFAULT UINT64_MAX

enum { EXCERPT_EVENTS = 40 };

/**
 * excerpt_add() - Add "timeline" to the groups of an analysis that are about a trace.
 * @doc:     from analysis_json()
 * @path:    the trace; read several times
 * @from:    first event to show, from 0, or EXCERPT_DEFAULT
 * @results: what @doc was made from
 * @profile: prices
 * @err:     filled on failure: input when no group is about this trace
 *
 * Shape: {"file", "from", "to", "policies": [{"policy", "events", "guest_cycles", "cost_cycles",
 * "slices": [{"kind", "event", "vcpu", "start", "cycles", "what", "arg", "exit", "steps"}]}]}.
 * "kind" is guest, off, exit or event; "event" is null for guest and off. Return: 0 or a
 * negative errno.
 */
int excerpt_add(json_t *doc, const char *path, uint64_t from, const struct results *results,
		const struct cost_profile *profile, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** excerpt_svg() - Draw a "timeline", policies one above the other. */
void excerpt_svg(const json_t *timeline, FILE *out);

#endif /* SIM_EXCERPT_H */
