/* SPDX-License-Identifier: MIT */
/**
 * DOC: When a Linux guest writes IA32_XFD, told from who is scheduled.
 *
 * The guest writes XFD on its way back to user mode, not at the switch: only if the FPU
 * registers are not still valid for the task, and only if the value cached for the CPU
 * differs from the task's. Kernel threads and idle never return to user mode, so they
 * change nothing.
 *
 * Shape:  a CPU has an owner (the task whose registers it holds) and the value last written;
 *         a task has the CPU it ran on last and, from its first AMX use on, XFD = 0 instead
 *         of 0x40000. Tasks sit in an open-addressing hash by pid; memory grows with the
 *         tasks that are alive, not with time.
 * Rules:  a user task switched out gets last_cpu = this CPU. A user task switched in is
 *         restored unless owner == task and last_cpu == this CPU. A restore writes XFD iff
 *         the cached value differs. An AMX task uses AMX first when it is first switched in.
 * Limits: a task that blocks again before it reaches user mode is counted as restored
 *         (0.1 % of restores on a web server, 0.9 % beside redis); exec and signals, which
 *         reload the same task, are not seen; a guest's idle loop is HLT, which leaves tiles
 *         alone (intel_idle's TILERELEASE needs MWAIT, which guests do not get).
 * Source: switch_fpu(), fpregs_restore_userregs(), restore_fpregs_from_fpstate() and
 *         xfd_update_state() in arch/x86/kernel/fpu/; exc_device_not_available(),
 *         handle_xfd_event() in arch/x86/kernel/traps.c.
 */
#ifndef TRACES_PROJECTION_H
#define TRACES_PROJECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "models/event.h"
#include "traces/error.h"
#include "traces/taskname.h"

enum {
	/* restore: wrxfd, tilerelease; first use: amx, rderr, wrerr, wrxfd, amx */
	PROJECTION_MAX_EVENTS = 7
};

/**
 * struct guest_task - One thread of the guest.
 * @pid:        1 and up
 * @last_cpu:   where it ran last; -1 for never
 * @name:       for the caller to remember its judgement; the projection does not look
 * @used_amx:   its XFD is 0; otherwise 0x40000
 */
struct guest_task {
	uint32_t pid;
	int32_t last_cpu;
	struct taskname *name;
	bool used_amx;
};

/**
 * struct projection_out - What the guest does at one moment, without time.
 * @nr:         events
 * @nr_writes:  how many of them are wrxfd
 * @restored:   the registers were loaded
 * @first_use:  the task used AMX for the first time
 * @kind:       enum event_kind
 * @arg:        see enum event_arg
 */
struct projection_out {
	uint32_t nr;
	uint32_t nr_writes;
	bool restored;
	bool first_use;
	uint32_t kind[PROJECTION_MAX_EVENTS];
	uint64_t arg[PROJECTION_MAX_EVENTS];
};

struct projection;

/**
 * projection_new() - A guest whose CPUs have just booted: XFD = 0x40000, no owner.
 * @projection: receives it; free it with projection_free()
 * @err:        filled on failure
 *
 * CPUs are numbered below TRACE_MAX_VCPUS. Return: 0 or a negative errno.
 */
int projection_new(struct projection **projection, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** projection_boot() - What a CPU's boot does: wrxfd 0x40000, xsetbv. */
void projection_boot(struct projection_out *out);

/**
 * projection_task() - Find a task, or make one that has never run.
 * @projection: the guest
 * @pid:        1 to RECORDING_MAX_PID
 * @err:        filled on failure
 *
 * Return: owned by @projection, valid until the next call; NULL without memory.
 */
struct guest_task *projection_task(struct projection *projection, uint32_t pid,
				   struct xfd_error *err);

/** projection_switch_out() - User task @task leaves @cpu. */
void projection_switch_out(struct guest_task *task, uint32_t cpu);

/**
 * projection_switch_in() - User task @task comes to @cpu.
 * @projection: the guest
 * @cpu:        below TRACE_MAX_VCPUS
 * @task:       from projection_task()
 * @uses_amx:   it is one of the tasks that use AMX
 * @out:        receives what the guest does
 */
void projection_switch_in(struct projection *projection, uint32_t cpu, struct guest_task *task,
			  bool uses_amx, struct projection_out *out);

/**
 * projection_restored() - The kernel says that it has loaded @task's registers on @cpu.
 * @projection: the guest
 * @cpu:        below TRACE_MAX_VCPUS
 * @task:       from projection_task()
 * @uses_amx:   the buffer has room for tiles
 * @out:        receives what the guest does
 *
 * A task that was loaded before without such a buffer has used AMX for the first time since;
 * one that is first seen with it did so before the recording.
 */
void projection_restored(struct projection *projection, uint32_t cpu, struct guest_task *task,
			 bool uses_amx, struct projection_out *out);

/**
 * projection_wrote() - The guest has written IA32_XFD on @cpu.
 * @projection: the guest
 * @cpu:        below TRACE_MAX_VCPUS
 * @value:      written
 * @failed:     it raised #GP
 * @out:        receives wrxfd and what follows it
 */
void projection_wrote(struct projection *projection, uint32_t cpu, uint64_t value, bool failed,
		      struct projection_out *out);

/**
 * projection_xfd_err() - The guest has read or written IA32_XFD_ERR on @cpu.
 * @out:     receives it; a read is what a #NM handler does first, so it brings its amx along
 * @write:   it was a write
 * @value:   written or read
 */
void projection_xfd_err(struct projection_out *out, bool write, uint64_t value);

/** projection_forget() - A task has ended; its pid may come again as another task. */
void projection_forget(struct projection *projection, uint32_t pid);

/**
 * projection_lose() - Nobody knows what a CPU did meanwhile.
 * @projection: the guest
 * @cpu:        below TRACE_MAX_VCPUS
 *
 * Whoever comes next is restored. The cached value stays: it is what the trace has written.
 */
void projection_lose(struct projection *projection, uint32_t cpu);

/** projection_free() - Free a guest; NULL is allowed. */
void projection_free(struct projection *projection);

#endif /* TRACES_PROJECTION_H */
