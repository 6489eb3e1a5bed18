/* SPDX-License-Identifier: MIT */
/**
 * DOC: A physical CPU: the registers that XFD is about, and what the kernel believes of them.
 *
 * XFD and XFD_ERR are in no VMCS: VM-entry and VM-exit leave them alone, so whatever the
 * guest or the host wrote last is what the other one finds. xfd_state is the kernel's
 * per-CPU copy, consulted to skip a WRMSR; it is stale from a guest's direct write until
 * the next sync.
 *
 * Source: DEFINE_PER_CPU(u64, xfd_state) in arch/x86/kernel/fpu/core.c;
 *         fpu_fpregs_owner_ctx.
 */
#ifndef MODELS_PCPU_H
#define MODELS_PCPU_H

#include <stdbool.h>
#include <stdint.h>

/* Threads whose registers a pCPU may hold: a vCPU's thread has the vCPU's number. */
#define THREAD_NONE   UINT32_MAX
#define THREAD_TASK_N (UINT32_MAX - 1)
#define THREAD_TASK_A (UINT32_MAX - 2)

#define VCPU_NONE UINT32_MAX

/**
 * struct pcpu - One physical CPU.
 * @msr_xfd:       IA32_XFD
 * @msr_xfd_err:   IA32_XFD_ERR
 * @xfd_state:     the kernel's copy of @msr_xfd
 * @fpregs_owner:  the thread whose registers these are, or THREAD_NONE
 * @vcpu:          the vCPU that holds this pCPU (in the guest, or polling), or VCPU_NONE
 * @xinuse_tiles:  XINUSE[18], tile data is not in its initial state
 */
struct pcpu {
	uint64_t msr_xfd;
	uint64_t msr_xfd_err;
	uint64_t xfd_state;
	uint32_t fpregs_owner;
	uint32_t vcpu;
	bool xinuse_tiles;
};

#endif /* MODELS_PCPU_H */
