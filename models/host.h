/* SPDX-License-Identifier: MIT */
/**
 * DOC: The host beside KVM, and what an observer knows: only the checker needs it.
 *
 * A replay's machine has no struct host (machine->host is NULL) and pays nothing for it.
 * Here are the other tasks, who runs where, which pCPUs are online, and the shadows that
 * the real kernel does not keep: what the guest believes its MSRs hold, whose tiles the
 * registers hold, and which invariants have been broken so far.
 */
#ifndef MODELS_HOST_H
#define MODELS_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "models/event.h"
#include "models/fpstate.h"
#include "models/invariant.h"

enum { HOST_MAX_PCPUS = 4, HOST_MAX_VCPUS = 4, HOST_MAX_TASKS = 4 };

/* last_cpu of a thread whose registers are live nowhere. */
#define CPU_NONE UINT32_MAX

/* Bits of struct host::perm. */
#define PERM_DEFAULT 1u
#define PERM_TILES   2u

/**
 * struct task - A host task; class K needs none, it is a pCPU that runs nobody.
 * @class:         N or A; A writes tiles whenever it runs
 * @need_fpu_load: TIF_NEED_FPU_LOAD
 * @in_signal:     in the kernel, between building a signal frame and clearing its registers
 * @bv_tiles:      XSTATE_BV[18] of its image
 * @last_cpu:      struct fpu::last_cpu
 */
struct task {
	enum task_class class;
	bool need_fpu_load;
	bool in_signal;
	bool bv_tiles;
	uint32_t last_cpu;
};

/**
 * struct guest_view - What a guest may rely on.
 * @xfd:     the last value it wrote and that was accepted
 * @xfd_err: what hardware loaded or it wrote last
 * @tiles:   it has written tiles, and XFD has been 0 since
 */
struct guest_view {
	uint64_t xfd;
	uint64_t xfd_err;
	bool tiles;
};

/**
 * struct host - All of it.
 * @tasks:      @nr_tasks of them
 * @running:    thread on each pCPU: a vCPU's number, host_task_thread(), or THREAD_NONE
 *              for idle and kernel threads
 * @tile_owner: whose tiles XINUSE[18] of each pCPU stands for
 * @online:     of each pCPU
 * @views:      of each vCPU
 * @perm:       what the VMM's process may use
 * @fail_alloc: the next growth fails
 * @broken:     bit i: enum invariant i was broken
 */
struct host {
	struct task tasks[HOST_MAX_TASKS];
	uint32_t nr_tasks;
	uint32_t running[HOST_MAX_PCPUS];
	uint32_t tile_owner[HOST_MAX_PCPUS];
	bool online[HOST_MAX_PCPUS];
	struct guest_view views[HOST_MAX_VCPUS];
	unsigned int perm;
	bool fail_alloc;
	uint32_t broken;
};

/** host_task_thread() - The thread number of a task. */
static inline uint32_t host_task_thread(uint32_t task)
{
	return UINT32_MAX - 1 - task;
}

/** host_break() - Note that an invariant is broken; nothing without a host. */
static inline void host_break(struct host *host, enum invariant invariant)
{
	if (host)
		host->broken |= 1u << invariant;
}

/** host_task_fpstate() - The fpstate of a task. */
struct fpstate host_task_fpstate(const struct task *task);

#endif /* MODELS_HOST_H */
