/* SPDX-License-Identifier: MIT */
/**
 * DOC: Scenarios: a few lines of text that move a machine and say what must come of it.
 *
 * The language stands in tests/scenarios/README.md. A scenario is a trace (.xfs) with
 * directives that a trace has not (kernel, policy, ...), with `expect` lines, and, at step
 * grain, with the checker's actions instead of events. The checker writes its
 * counterexamples in it, so each can be mailed, kept as a test, and run again.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

#include <stdbool.h>
#include <stdio.h>

#include "sim/explore.h"
#include "sim/world.h"
#include "traces/error.h"

enum { SCENARIO_MAX_BUGS = 8, SCENARIO_TEXT_LEN = 512, SCENARIO_WORD_LEN = 8 };

/**
 * struct scenario_setup - Which worlds, in words; config points into it, so it must not move.
 * @kernel:  the variant with its bugs planted
 * @bugs:    @nr_bugs names from models/bug_list.h
 * @config:  config.machine.kernel is &@kernel
 */
struct scenario_setup {
	struct kernel kernel;
	const char *bugs[SCENARIO_MAX_BUGS];
	size_t nr_bugs;
	struct world_config config;
};

/** scenario_setup_init() - Defaults of `check`, on a variant under a policy. */
void scenario_setup_init(struct scenario_setup *setup, const struct kernel *kernel,
			 const struct xfd_policy *policy);

/** scenario_plant() - Plant a bug. Return: 0, or -1: none of that name, or one too many. */
int scenario_plant(struct scenario_setup *setup, const char *bug);

/**
 * scenario_set_tasks() - Tasks from letters.
 * @setup: changed
 * @text:  N, A and K in any number; K needs no thread and is accepted for completeness
 *
 * Return: 0, or -1 when it is anything else or too long.
 */
int scenario_set_tasks(struct scenario_setup *setup, const char *text);

/** scenario_task_word() - n0, a0, a1: the letter of its class and the number among its like. */
void scenario_task_word(const struct world_config *config, uint32_t task,
			char buf[SCENARIO_WORD_LEN]);

/** scenario_action_text() - An action as its line in a scenario. Return: @buf. */
const char *scenario_action_text(const struct world_config *config, struct action action,
				 char buf[SCENARIO_TEXT_LEN]);

/** scenario_story() - Tell a counterexample: who did what, what changed, what broke. */
void scenario_story(FILE *out, const struct scenario_setup *setup, int invariant,
		    const struct explore_violation *violation);

/** scenario_write() - Write a counterexample as a scenario that expects its violation. */
void scenario_write(FILE *out, const struct scenario_setup *setup, int invariant,
		    const struct explore_violation *violation);

/**
 * scenario_run() - Run a scenario file.
 * @path:    the file; - for standard input
 * @passed:  receives whether every expectation was met
 * @why:     receives what was not, with its line
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int scenario_run(const char *path, bool *passed, char why[SCENARIO_TEXT_LEN], struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_SCENARIO_H */
