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

#include <stdbool.h>

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

/*
 * What follows is for models/action.c: the same atoms, at the grain where other things may
 * happen in between.
 */

/**
 * path_run() - Run atoms until something may interfere in a way that matters, or to the end.
 * @machine: the machine
 * @vcpu:    with a path under way
 * @log:     gets the steps
 *
 * Return: as path_step().
 */
enum machine_status path_run(struct machine *machine, struct vcpu *vcpu, struct step_log *log);

/** path_in_user() - Is this thread in userspace, between two KVM_RUNs? */
bool path_in_user(const struct vcpu *vcpu);

/** path_before_entry() - Is VM-entry, before which KVM looks for signals, what this thread does
 * next? */
bool path_before_entry(const struct machine *machine, const struct vcpu *vcpu);

/**
 * path_interrupt() - KVM finds a signal before VM-entry, and KVM_RUN returns with EINTR.
 * @machine: the machine
 * @vcpu:    path_before_entry()
 * @log:     gets the steps
 *
 * Source: xfer_to_guest_mode_handle_work() in vcpu_run(), kvm_vcpu_exit_request() in
 *         vcpu_enter_guest(); the guest's FPU is put as for every return to userspace.
 * Return: as path_step().
 */
enum machine_status path_interrupt(struct machine *machine, struct vcpu *vcpu,
				   struct step_log *log);

/** path_may_grow() - Will the path from here ask for a larger buffer? */
bool path_may_grow(const struct machine *machine, const struct vcpu *vcpu);

/** path_pack() - Where a path that has stopped stands. Return: below 128; 0 in the guest. */
uint32_t path_pack(const struct vcpu *vcpu);

/** path_packed_in_user() - path_in_user() of what path_pack() returned. */
bool path_packed_in_user(uint32_t packed);

/** path_unpack() - The inverse; frames that differ only in what has been counted are one. */
void path_unpack(struct vcpu *vcpu, uint32_t packed);

/** path_to_user() - Put a thread into userspace, before its first KVM_RUN. */
void path_to_user(struct machine *machine, struct vcpu *vcpu);

/**
 * path_host_write_fails() - Would KVM_SET_MSRS of IA32_XFD fail?
 *
 * In v1 a write that needs a larger buffer asks for it on the way out of KVM_RUN. An ioctl
 * has no such way: it returns short and the write is lost.
 */
bool path_host_write_fails(const struct machine *machine, const struct vcpu *vcpu, uint64_t value);

/** path_host_write() - KVM_SET_MSRS of IA32_XFD by the vCPU's thread; nothing if it fails. */
void path_host_write(struct machine *machine, struct vcpu *vcpu, uint64_t value,
		     struct step_log *log);

/**
 * path_fpu_save() - Registers into the thread's image, unless they are there already.
 * @machine: the machine
 * @vcpu:    its thread runs
 * @leaves:  it is switched out (switch_fpu()); otherwise kernel_fpu_begin() needs the registers
 * @log:     gets the steps
 */
void path_fpu_save(struct machine *machine, struct vcpu *vcpu, bool leaves, struct step_log *log);

/** path_return_to_user() - switch_fpu_return() of the VMM's registers. Return: as path_step(). */
enum machine_status path_return_to_user(struct machine *machine, struct vcpu *vcpu,
					struct step_log *log);

#endif /* MODELS_PATH_H */
