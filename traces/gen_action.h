/* SPDX-License-Identifier: MIT */
/**
 * DOC: What can happen to a running vCPU at any moment; for traces/gen_plan.c and gen_epoch.c.
 *
 * Those before ACTION_TO_AMX are one event each. Switches to a task that uses AMX and to one that
 * does not are drawn as often as the vCPU with the most such tasks wants; others refuse some.
 */
#ifndef TRACES_GEN_ACTION_H
#define TRACES_GEN_ACTION_H

#include "traces/gen_random.h"

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
	ACTION_TO_AMX,
	ACTION_TO_PLAIN,
	ACTION_IDLE,
	ACTION_SPAWN,
	ACTION_PREEMPT,
	NR_ACTIONS
};

_Static_assert((int)NR_ACTIONS <= (int)GEN_MAX_CHOICES, "every action can be chosen");

#endif /* TRACES_GEN_ACTION_H */
