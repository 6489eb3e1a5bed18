/* SPDX-License-Identifier: MIT */
/**
 * DOC: Actions, the checker's alphabet, at the grain where things can interfere.
 *
 * A guest event runs the atoms of its path (models/path.h) up to the first point where
 * interrupts are on and something that matters has changed; `run` continues from there.
 * What lies between two such points touches one pCPU and one thread only, with interrupts
 * or preemption off, so no order of events can tell where inside it another pCPU moved.
 * The other actions are the host's: the scheduler, kernel FPU users, hotplug, suspend,
 * signals, and the ioctls of the vCPU's own thread between two KVM_RUNs.
 */
#ifndef MODELS_ACTION_H
#define MODELS_ACTION_H

#include <stddef.h>
#include <stdint.h>

#include "models/machine.h"

enum action_kind {
#define XFD_ACTION(symbol, who, arg, group, meaning) ACTION_##symbol,
#include "models/action_list.h"
#undef XFD_ACTION
	NR_ACTION_KINDS
};

enum action_arg {
	ACTION_ARG_NONE,
	ACTION_ARG_BIT,
	ACTION_ARG_XFD,  /* 0, 1 for bit 18, 2 for the illegal bit 17 */
	ACTION_ARG_TASK, /* vCPU's number, HOST_MAX_VCPUS + task's, or ACTION_NOBODY */
	ACTION_ARG_PCPU,
	ACTION_ARG_ORDER /* 0: XSAVE first, 1: MSRs first */
};

#define ACTION_NOBODY 255

/**
 * struct action - One letter.
 * @kind: enum action_kind
 * @id:   vCPU or pCPU
 * @arg:  enum action_arg
 */
struct action {
	uint8_t kind;
	uint8_t id;
	uint8_t arg;
};

enum { ACTION_MAX_ENABLED = 96 };

struct action_info {
	const char *name;
	char who;
	enum action_arg arg;
	const char *group;
	const char *meaning;
};

/** action_info() - By kind. Return: a constant, or NULL past the last. */
const struct action_info *action_info(size_t kind);

/**
 * action_group() - The kinds of a group of events.
 * @name: its name, @len characters of it
 *
 * Return: bit i for kind i; 0 when there is no such group.
 */
uint32_t action_group(const char *name, size_t len);

/** action_groups() - The kinds of groups, separated by commas. Return: as action_group(). */
uint32_t action_groups(const char *names);

/** action_find() - Look an action up by its word. Return: the kind, or -1. */
int action_find(const char *name);

/**
 * action_init() - The first state: every vCPU created, its thread in userspace.
 * @machine: as for machine_init(), and host set with tasks' classes and nr_tasks
 * @config:  borrowed
 * @xcr0_enabled: XCR0 has AMX already
 *
 * vCPU i's thread runs in userspace on pCPU i, those beyond the last pCPU wait.
 */
void action_init(struct machine *machine, const struct machine_config *config, bool xcr0_enabled);

/**
 * action_enabled() - What can happen next, in canonical order.
 * @machine: the state
 * @kinds:   bit i: kind i is wanted
 * @actions: receives them
 *
 * Return: how many.
 */
size_t action_enabled(const struct machine *machine, uint32_t kinds,
		      struct action actions[ACTION_MAX_ENABLED]);

/**
 * action_refused() - Why an action cannot happen now.
 * Return: the end of a sentence, or NULL when it can.
 */
const char *action_refused(const struct machine *machine, struct action action);

/**
 * action_apply() - Do it; the action is enabled.
 * @machine: moves on; host->broken collects
 * @action:  what
 * @log:     gets the steps
 *
 * Return: MACHINE_OK, or MACHINE_HOST_NM: the host is dead.
 */
enum machine_status action_apply(struct machine *machine, struct action action,
				 struct step_log *log);

#endif /* MODELS_ACTION_H */
