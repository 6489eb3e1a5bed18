/* SPDX-License-Identifier: MIT */
/**
 * DOC: Events, what the guest and the outside world do.
 *
 * An event says nothing about interception: the same trace replays under every policy
 * and kernel. Time is the guest's own: cycles it ran since this vCPU's previous event,
 * for wake and resume the cycles it was off. Time in KVM is never part of a trace.
 */
#ifndef MODELS_EVENT_H
#define MODELS_EVENT_H

#include <stdint.h>

enum event_kind {
#define XFD_EVENT(name, arg, meaning) EVENT_##name,
#include "models/event_list.h"
#undef XFD_EVENT
	NR_EVENT_KINDS
};

/* What struct trace_event::arg means. */
enum event_arg {
	EVENT_ARG_NONE,   /* always 0 */
	EVENT_ARG_VALUE,  /* 64-bit value written to the MSR */
	EVENT_ARG_XCR0,   /* 64-bit value; EVENT_XCR0_DEFAULT when the text names none */
	EVENT_ARG_REASON, /* enum exit_reason */
	EVENT_ARG_CYCLES, /* trace TSC cycles */
	EVENT_ARG_PCPU,   /* pCPU number, or EVENT_SAME_PCPU */
	EVENT_ARG_TASK    /* enum task_class */
};

#define EVENT_SAME_PCPU    UINT64_MAX
#define EVENT_XCR0_DEFAULT UINT64_C(0x602e7)

/* Host tasks as the FPU code sees them. */
enum task_class {
	TASK_N, /* user task without AMX: xfd = 0x40000, tiles in their initial state */
	TASK_A, /* user task with AMX: xfd = 0, tiles live */
	TASK_K, /* kernel thread: no fpstate, the registers stay whose they were */
	NR_TASK_CLASSES
};

/**
 * struct trace_event - One record of a trace.
 * @delta_cycles: trace TSC cycles since this vCPU's previous event
 * @arg:          see enum event_arg for @kind
 * @vcpu:         from 0
 * @kind:         enum event_kind
 */
struct trace_event {
	uint64_t delta_cycles;
	uint64_t arg;
	uint32_t vcpu;
	uint32_t kind;
};

/**
 * event_name() - The word an event kind has in scenario text.
 * @kind: below NR_EVENT_KINDS
 *
 * Return: a string constant.
 */
const char *event_name(enum event_kind kind);

/**
 * event_meaning() - One line for people, without a full stop.
 * @kind: below NR_EVENT_KINDS
 *
 * Return: a string constant.
 */
const char *event_meaning(enum event_kind kind);

/**
 * event_arg() - What the argument of an event kind means.
 * @kind: below NR_EVENT_KINDS
 *
 * Return: an enum event_arg.
 */
enum event_arg event_arg(enum event_kind kind);

/**
 * event_find() - Look an event kind up by its word.
 * @name: exact, case-sensitive
 *
 * Return: the kind, or -1.
 */
int event_find(const char *name);

#endif /* MODELS_EVENT_H */
