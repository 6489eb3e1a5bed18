/* SPDX-License-Identifier: MIT */
/**
 * DOC: The regression gate: did a policy, or a change of the model, make a trace dearer?
 *
 * A new run is weighed against a stored one of the same trace, both under the same prices of
 * today: prices that changed in between make no regression, counts do. The comparison is in
 * integers, so a limit of 0 means what it says.
 */
#ifndef SIM_GATE_H
#define SIM_GATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/ledger.h"
#include "sim/profile.h"
#include "sim/results.h"
#include "traces/error.h"

/**
 * struct gate - What new runs are held against.
 * @baseline: stored runs
 * @run_id:   0: the newest run of the same trace, policy, kernel and options; else this one,
 *            whatever its policy, kernel and options
 * @limit_ppm: how many millionths dearer is still fine
 * @name:     of the baseline, for messages
 */
struct gate {
	struct results baseline;
	int64_t run_id;
	uint64_t limit_ppm;
	const char *name;
};

/**
 * struct gate_verdict - One new run.
 * @run:       the new run; borrowed
 * @against:   the stored one; NULL when there is none
 * @run_id:    its number
 * @before_cycles: typical overhead of the stored one, under today's prices
 * @after_cycles:  of the new one
 * @dearer:    by more than the limit
 * @shorter:   the new run skipped more events, because vCPUs stopped earlier; its cycles then
 *             prove nothing, and it is a regression too
 */
struct gate_verdict {
	const struct run *run;
	const struct run *against;
	int64_t run_id;
	uint64_t before_cycles;
	uint64_t after_cycles;
	bool dearer;
	bool shorter;
};

/**
 * gate_open() - Read the baseline.
 * @baseline: a number is a run in @db; anything else is the name of a database
 * @db:       the database of the current command, NULL for none
 * @limit_ppm: see above
 * @gate:     filled; release it with gate_close()
 * @err:      filled on failure
 *
 * Return: 0 or a negative errno; nothing needs releasing then.
 */
int gate_open(const char *baseline, const char *db, uint64_t limit_ppm, struct gate *gate,
	      struct xfd_error *err) __attribute__((warn_unused_result));

/** gate_close() - Free what a gate owns. */
void gate_close(struct gate *gate);

/**
 * gate_weigh() - One new run against the baseline.
 * @gate:    open
 * @run:     the new run
 * @profile: today's prices
 * @verdict: filled
 * @err:     filled on failure: input when the one run of the baseline is of another trace, or
 *           when a run costs more than 2^64 cycles
 *
 * Return: 0 or a negative errno.
 */
int gate_weigh(const struct gate *gate, const struct run *run, const struct cost_profile *profile,
	       struct gate_verdict *verdict, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** gate_print() - Say it in text; for a regression with the steps that changed. */
void gate_print(const struct gate *gate, const struct gate_verdict *verdict,
		const struct cost_profile *profile, FILE *out);

/** gate_json() - Say it in JSON. Return: new reference. */
json_t *gate_json(const struct gate_verdict *verdict, const struct cost_profile *profile);

#endif /* SIM_GATE_H */
