/* SPDX-License-Identifier: MIT */
/**
 * DOC: What can happen to a running vCPU at any moment, and in which words a trace says so.
 *
 * Most of what happens changes nothing but who has XFD armed, and is one event or two that are
 * known beforehand: gen_step has them, so that traces/gen_epoch.c makes them without a branch.
 * For everything else, and where vCPUs differ, a step has no words.
 */
#ifndef TRACES_GEN_ACTION_H
#define TRACES_GEN_ACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "traces/gen_random.h"
#include "traces/projection.h"

/* Those before ACTION_IDLE are one event each. */
enum gen_action {
	ACTION_CPUID,
	ACTION_EPT_VIOLATION,
	ACTION_EPT_MISCONFIG,
	ACTION_APIC_WRITE,
	ACTION_INTERRUPT,
	ACTION_FASTPATH,
	ACTION_USERSPACE,
	ACTION_RDXFD,
	ACTION_TSFAULT,
	ACTION_IDLE,
	ACTION_SPAWN,
	ACTION_PREEMPT,
	ACTION_TO_AMX,
	ACTION_TO_PLAIN,
	NO_ACTION
};

_Static_assert((int)ACTION_TO_AMX <= (int)GEN_MAX_CHOICES, "every action can be chosen");

/* What happens to any running vCPU, those whose next task uses AMX, those whose next does not. */
enum gen_lot { LOT_ANY, LOT_TO_AMX, LOT_TO_PLAIN, NR_LOTS };

enum gen_word {
#define XFD_GEN_WORD(symbol, kind, arg, varies) GEN_##symbol,
#include "traces/gen_word_list.h"
#undef XFD_GEN_WORD
	NR_GEN_WORDS
};

/**
 * struct gen_step - An action that is told by one or two words.
 * @word:   the words; the second one is any when there is one
 * @nr:     how many, 0 when there is more to it
 * @action: enum gen_action
 */
struct gen_step {
	uint8_t word[2];
	uint8_t nr;
	uint8_t action;
};

/**
 * struct gen_switch - What a task's coming makes the guest do.
 * @nr:    events
 * @word:  enum gen_word
 * @armed: XFD is, afterwards
 */
struct gen_switch {
	uint8_t nr;
	uint8_t word[PROJECTION_MAX_EVENTS];
	bool armed;
};

#endif /* TRACES_GEN_ACTION_H */
