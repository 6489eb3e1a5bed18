/* SPDX-License-Identifier: MIT */
/**
 * DOC: A stretch of a synthetic trace, made without those before it.
 *
 * traces/gen.h says what the guest and its host do. Time is cut into epochs of one length. At
 * the beginning of each every vCPU is where it is when a trace begins: the first ones run, each
 * on the pCPU with its number, the others wait; XFD is armed, no user task runs yet. The last
 * moment of an epoch brings everybody back there by events that could happen anyway: sleepers
 * wake, absent vCPUs resume, those on another pCPU are preempted and resumed on their own, and
 * a task of the guest's system comes, so XFD is armed if it was not and the tiles are
 * initial. Every vCPU has an event at that moment, so the next epoch's deltas count from there.
 *
 * So an epoch is a function of the options, the seed and its number alone: any thread or
 * machine makes any of them, and they follow each other without a seam.
 *
 * How: Poisson processes have no memory and add up, so all that can happen to all running vCPUs
 * is one process. One draw says when, one of which lot, one to whom and what. Of switches
 * between tasks only those are drawn that make the guest write XFD: to one of the other kind, or
 * to one that has not used AMX before. Sleeps, absences and slices are timers in a heap; ticks
 * fall to all running vCPUs at once. What is due at a certain moment and comes first ends the
 * wait for the next draw, and another one begins.
 *
 * Most of what is drawn is made by a loop without a branch on what was drawn, because nobody
 * predicts it: that takes half the time that it took with such branches.
 */
#ifndef TRACES_GEN_EPOCH_H
#define TRACES_GEN_EPOCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/gen.h"
#include "traces/gen_action.h"
#include "traces/gen_random.h"

/**
 * struct gen_rates - What one phase needs.
 * @now:    its numbers
 * @end:    where it ends, in cycles from the beginning of the first phase; the last one's is
 *          the length of them all
 * @weight: by enum gen_lot, millionths of events a second of one vCPU. Switches to a task that
 *          uses AMX and to one that does not are as frequent as the vCPU with the most such
 *          tasks wants; others refuse some
 * @choice: of enum gen_action, in LOT_ANY
 */
struct gen_rates {
	const struct gen_options *now;
	uint64_t end;
	uint64_t weight[NR_LOTS];
	struct gen_choice choice;
};

/**
 * struct gen_plan - What all epochs share; does not change while they are made.
 * @options:   of the trace
 * @tsc_hz:    cycles a second
 * @end:       of the trace, in cycles; events at that moment are part of it
 * @epoch_cycles: length of an epoch
 * @nr_epochs: at least 1; only the last one may reach beyond @end
 * @nr_phases: at least 1
 * @phases:    @nr_phases
 * @amx_tasks: how many of each vCPU's tasks use AMX
 * @most_amx:  the greatest of them
 * @least_amx: the smallest of them
 * @steps:     by lot and action, in the first epoch
 * @later_steps: the same, in later ones, where all tasks have used AMX that ever do
 * @switches:  by: XFD is armed, the task uses AMX, it is new
 * @log:       for gen_gap()
 */
struct gen_plan {
	const struct gen_options *options;
	uint64_t tsc_hz;
	uint64_t end;
	uint64_t epoch_cycles;
	uint64_t nr_epochs;
	size_t nr_phases;
	struct gen_rates *phases;
	uint32_t *amx_tasks;
	uint32_t most_amx;
	uint32_t least_amx;
	struct gen_step steps[NR_LOTS][GEN_MAX_CHOICES];
	struct gen_step later_steps[NR_LOTS][GEN_MAX_CHOICES];
	struct gen_switch switches[2][2][2];
	struct gen_log log;
};

/**
 * gen_plan_init() - Prepare.
 * @plan:    zeroed; release it with gen_plan_release(), also after a failure
 * @options: checked; borrowed
 * @end:     see struct gen_plan
 *
 * Return: false without memory.
 */
bool gen_plan_init(struct gen_plan *plan, const struct gen_options *options, uint64_t end)
	__attribute__((warn_unused_result));

/** gen_plan_release() - Free what gen_plan_init() took. */
void gen_plan_release(struct gen_plan *plan);

struct gen_epoch;

/** gen_epoch_new() - Memory for one epoch at a time. Return: NULL without memory. */
struct gen_epoch *gen_epoch_new(const struct gen_plan *plan);

/**
 * gen_epoch_make() - Make an epoch.
 * @epoch: what it held is gone
 * @index: below @plan->nr_epochs
 * @limit: stop after so many events, at least 1
 *
 * Return: false without memory.
 */
bool gen_epoch_make(struct gen_epoch *epoch, uint64_t index, uint64_t limit)
	__attribute__((warn_unused_result));

/** gen_epoch_columns() - Its events. Return: valid until it is made anew. */
const struct trace_columns *gen_epoch_columns(const struct gen_epoch *epoch);

/** gen_epoch_count() - Add to @report what is in its events. */
void gen_epoch_count(const struct gen_epoch *epoch, struct gen_report *report);

/** gen_epoch_free() - NULL is allowed. */
void gen_epoch_free(struct gen_epoch *epoch);

#endif /* TRACES_GEN_EPOCH_H */
