/* SPDX-License-Identifier: MIT */
/**
 * DOC: The path: which steps an event takes, in the order of the real code.
 *
 * A path is a table of atoms. An atom is the smallest thing the host does without being
 * interrupted: a few lines that look at the state, change it, and count zero or one step
 * (a save or restore counts its tiles too). Conditions are in the atoms, order is in the
 * tables; so the order of vcpu_enter_guest() can be read off one screen of path.c, a
 * developer's mistake is a table with two lines swapped, and an engine that wants to let
 * something happen between two steps stops between two atoms.
 *
 * The alternative, one function per event that calls the next, reads as well but cannot be
 * interrupted without threads or copies of itself.
 */
#ifndef MODELS_PATH_H
#define MODELS_PATH_H

#include "models/machine.h"

/**
 * path_begin() - Put an event at the start of its path.
 * @machine: the machine
 * @event:   the event; its vCPU is in a state that allows it
 *
 * What happens inside the guest without KVM is an atom like any other.
 * Return: the VM-exit's reason, or EXIT_NONE when the event causes none.
 */
int path_begin(struct machine *machine, const struct trace_event *event);

/**
 * path_step() - Run one atom.
 * @machine: the machine
 * @vcpu:    with a path under way
 * @log:     gets the atom's steps
 *
 * Return: MACHINE_OK; or MACHINE_HOST_NM. The path is over when vcpu->frame.atoms is NULL.
 */
enum machine_status path_step(struct machine *machine, struct vcpu *vcpu, struct step_log *log);

/**
 * path_boot() - Bring a vCPU to where a recording that starts after boot finds it.
 * @machine: the machine
 * @vcpu:    just created
 *
 * As if KVM had emulated the boot-time write of 0x40000 and an XSETBV; nothing is charged.
 */
void path_boot(struct machine *machine, struct vcpu *vcpu);

#endif /* MODELS_PATH_H */
