/* SPDX-License-Identifier: MIT */
/**
 * DOC: Steps, the unit of accounting.
 *
 * Whatever an event makes KVM and the hardware do is a sequence of steps. Steps are
 * counted, never priced, in the models: counts are facts about a trace, cycles are what
 * a cost profile says about a machine. Σ count × cost is then exact by construction.
 */
#ifndef MODELS_STEP_H
#define MODELS_STEP_H

#include <stdint.h>

enum step {
#define XFD_STEP(name, group, meaning) STEP_##name,
#include "models/step_list.h"
#undef XFD_STEP
	NR_STEPS,
	/* Every step before guest_run has a price in every profile. */
	NR_PRICED_STEPS = STEP_guest_run
};

enum {
	/* Longest path today is 37 steps (a growing WRMSR); 64 leaves room and fits a cache line.
	 */
	STEP_LOG_MAX = 63
};

/**
 * struct step_log - The steps that one event cost, in the order they happened.
 * @nr:   how many of @step are set
 * @step: enum step values
 */
struct step_log {
	uint8_t nr;
	uint8_t step[STEP_LOG_MAX];
};

/**
 * step_name() - The name a step has in profiles, JSON and SQL.
 * @step: below NR_STEPS
 *
 * Return: a string constant.
 */
const char *step_name(enum step step);

/**
 * step_group() - Where reports add a step up: exit, xfd, fpu, user, sched or guest.
 * @step: below NR_STEPS
 *
 * Return: a string constant.
 */
const char *step_group(enum step step);

/**
 * step_meaning() - One line for people, without a full stop.
 * @step: below NR_STEPS
 *
 * Return: a string constant.
 */
const char *step_meaning(enum step step);

/**
 * step_find() - Look a step up by name.
 * @name: exact, case-sensitive
 *
 * Return: the step, or -1.
 */
int step_find(const char *name);

#endif /* MODELS_STEP_H */
