/* SPDX-License-Identifier: MIT */
/**
 * DOC: One vCPU and its thread, as the XFD path sees them.
 *
 * Names follow struct kvm_vcpu_arch, struct fpu_guest and struct fpu. The VMM's own
 * fpstate is a constant (host_fpu_vmm()), so it is not carried.
 */
#ifndef MODELS_VCPU_H
#define MODELS_VCPU_H

#include <stdbool.h>
#include <stdint.h>

#include "models/event.h"
#include "models/fpstate.h"
#include "models/msr_bitmap.h"
#include "models/policy.h"

/* What a VM may be declared to be; the same bits as struct trace_info::vcpu_flags. */
#define VCPU_NO_AMX            1u /* its CPUID has no AMX */
#define VCPU_XCR0_DIFFERS      2u /* guest XCR0/XSS differ from the host's */
#define VCPU_SPEC_CTRL_DIFFERS 4u /* guest SPEC_CTRL differs from the host's */

enum vcpu_state {
	VCPU_GUEST,     /* in the guest: between two events */
	VCPU_POLLING,   /* in the guest after a HLT that the host polled through */
	VCPU_HALTED,    /* blocked in HLT */
	VCPU_PREEMPTED, /* switched out, also one that has not run yet */
	VCPU_STOPPED    /* its VMM gave up */
};

/**
 * struct path_frame - The event that is on its way through the path.
 * @atoms:      the path, from models/path.c; NULL when none is under way
 * @pc:         next atom
 * @value:      written value, halt length or XCR0
 * @write:      what the policy is told of a WRMSR of XFD
 * @pcpu:       where wake or resume goes
 * @task:       who preempts
 * @irq:        an external interrupt is served at this exit
 * @nm:         this exit is an intercepted #NM
 * @ts:         ... taken because CR0.TS=1
 * @refused:    the value is illegal, the guest gets #GP
 * @to_user:    the path goes through userspace
 * @grows:      ... to grow the buffer
 * @growth_failed: which did not work
 * @pass_through: the policy wants XFD passed through
 * @trap_nm:    KVM wants #NM intercepted
 * @sync_changed: the MSR differed from fpstate.xfd at this exit's sync
 * @updated:    intercept_update has been counted for this event
 * @unsynced:   the guest could write XFD before this exit, and no sync has run since
 */
struct path_frame {
	const uint8_t *atoms;
	uint8_t pc;
	uint64_t value;
	struct xfd_write write;
	uint32_t pcpu;
	enum task_class task;
	bool irq;
	bool nm;
	bool ts;
	bool refused;
	bool to_user;
	bool grows;
	bool growth_failed;
	bool pass_through;
	bool trap_nm;
	bool sync_changed;
	bool updated;
	bool unsynced;
};

/**
 * struct vcpu - One vCPU.
 * @fpstate:       guest_fpu.fpstate
 * @xcr0:          the guest's
 * @supported_xcr0: what its CPUID allows
 * @xfd_err:       guest_fpu.xfd_err, KVM's copy of the guest's IA32_XFD_ERR
 * @xfd_no_write_intercept: accesses of XFD pass through and the MSR may change unseen
 * @intercept_nm:  the exception bitmap has #NM
 * @in_user:       the VMM's fpstate is the thread's; the guest's is not in use
 * @need_fpu_load: TIF_NEED_FPU_LOAD, the live registers are not the guest's
 * @last_cpu:      where its registers were live last (struct fpu::last_cpu)
 * @pcpu:          where its thread runs or ran last
 * @id:            its number, also its thread's
 * @flags:         VCPU_*
 * @state:         where it is
 * @policy:        the policy's bits
 * @frame:         the event under way
 */
struct vcpu {
	struct fpstate fpstate;
	uint64_t xcr0;
	uint64_t supported_xcr0;
	uint64_t xfd_err;
	bool xfd_no_write_intercept;
	bool intercept_nm;
	bool in_user;
	bool need_fpu_load;
	uint32_t last_cpu;
	uint32_t pcpu;
	uint32_t id;
	unsigned int flags;
	enum vcpu_state state;
	struct policy_state policy;
	struct path_frame frame;
};

/** vcpu_state_name() - guest, polling, halted, preempted or stopped. */
const char *vcpu_state_name(enum vcpu_state state);

/**
 * vcpu_supported_xfd() - The XFD bits that KVM accepts from this guest.
 * @vcpu: the vCPU
 *
 * Return: 0x40000, or 0 without AMX. Source: kvm_guest_supported_xfd().
 */
uint64_t vcpu_supported_xfd(const struct vcpu *vcpu);

/** vcpu_amx_enabled() - Is XCR0[18:17] = 11? */
bool vcpu_amx_enabled(const struct vcpu *vcpu);

/**
 * vcpu_msr_bitmap() - The page that KVM would load for this vCPU.
 * @vcpu:   the vCPU
 * @traps_nm: struct kernel::traps_nm; decides whether writes of XFD_ERR are intercepted
 * @bitmap: filled
 *
 * XFD opens for reads and writes together; reads of XFD_ERR are open because CPUID has XFD.
 */
void vcpu_msr_bitmap(const struct vcpu *vcpu, bool traps_nm, struct msr_bitmap *bitmap);

#endif /* MODELS_VCPU_H */
