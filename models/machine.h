/* SPDX-License-Identifier: MIT */
/**
 * DOC: The whole machine: pCPUs, the vCPUs of one VM, the fpstate allocator.
 *
 * A machine is plain data in the caller's memory. machine_event() moves it by one event of
 * a trace and says which steps that took; nothing else changes it, and equal machines
 * given equal events stay equal. Every engine is built on this function.
 */
#ifndef MODELS_MACHINE_H
#define MODELS_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "models/event.h"
#include "models/host.h"
#include "models/kernel.h"
#include "models/pcpu.h"
#include "models/policy.h"
#include "models/step.h"
#include "models/vcpu.h"

/**
 * struct machine_config - What a run is a run of; a constant while it lasts.
 * @kernel:     variant
 * @policy:     interception policy
 * @params:     the policy's
 * @halt_poll_cycles: a HLT shorter than this is polled through by the host
 * @idle_init_cycles: a blocked HLT of at least this length lets the idle pCPU put live
 *              tiles into their initial state, which invalidates the registers
 * @vmm_returns: after a failed growth the VMM calls KVM_RUN again instead of giving up
 * @armed_start: the trace begins after boot: XCR0[18:17] = 11, XFD = 0x40000
 * @fail_growths: which growths fail, from 1; borrowed
 * @nr_fail_growths: entries of @fail_growths
 */
struct machine_config {
	const struct kernel *kernel;
	const struct xfd_policy *policy;
	struct policy_params params;
	uint64_t halt_poll_cycles;
	uint64_t idle_init_cycles;
	bool vmm_returns;
	bool armed_start;
	const uint64_t *fail_growths;
	size_t nr_fail_growths;
};

/**
 * struct machine - The state.
 * @config:   borrowed
 * @pcpus:    @nr_pcpus entries in the caller's memory
 * @vcpus:    @nr_vcpus entries in the caller's memory
 * @nr_pcpus: at least 1
 * @nr_vcpus: at least 1
 * @alloc:    memory of all guest fpstates
 * @host:     what the checker needs beside; NULL in a replay
 */
struct machine {
	const struct machine_config *config;
	struct pcpu *pcpus;
	struct vcpu *vcpus;
	uint32_t nr_pcpus;
	uint32_t nr_vcpus;
	struct fpstate_allocator alloc;
	struct host *host;
};

enum machine_status {
	MACHINE_OK,
	MACHINE_SKIPPED,     /* the vCPU has stopped; nothing happened */
	MACHINE_NOT_RUNNING, /* the event needs a vCPU that is in the guest */
	MACHINE_NOT_HALTED,  /* wake of a vCPU that is not halted */
	MACHINE_NOT_OUT,     /* resume of a vCPU that is not switched out */
	MACHINE_NO_PCPU,     /* wake or resume onto a pCPU that does not exist */
	MACHINE_PCPU_HELD,   /* ... or that another vCPU holds */
	MACHINE_HOST_NM      /* XRSTORS raised #NM in the host: a real one would have died */
};

/**
 * struct machine_result - What one event cost.
 * @log:         the steps
 * @exit_reason: enum exit_reason, EXIT_NONE when there was no VM-exit
 */
struct machine_result {
	struct step_log log;
	int32_t exit_reason;
};

/**
 * machine_init() - Everything as it is after KVM_SET_CPUID2, each vCPU in the guest.
 * @machine:  pcpus, vcpus, nr_pcpus and nr_vcpus are set, the rest is filled
 * @config:   borrowed; outlives @machine
 * @flags:    VCPU_* for each vCPU, or NULL
 *
 * vCPU i starts on pCPU i mod P with its registers loaded, or switched out when that is
 * taken. Nothing is charged. The buffer has 2,560 bytes where it grows at the write, 10,752
 * where it grows at KVM_SET_CPUID2 or the policy passes through from creation.
 */
void machine_init(struct machine *machine, const struct machine_config *config,
		  const uint8_t *flags);

/**
 * machine_event() - One event.
 * @machine: moves on; after a status other than OK and SKIPPED it must not be used again
 * @event:   kind, vcpu and argument within range
 * @result:  filled
 *
 * Source: vcpu_enter_guest() and what it calls; the order of the steps is models/path.c.
 * Return: what became of it.
 */
enum machine_status machine_event(struct machine *machine, const struct trace_event *event,
				  struct machine_result *result);

/** machine_status_text() - Why an event was refused, as the end of a sentence. */
const char *machine_status_text(enum machine_status status);

/** machine_guest_xfd() - IA32_XFD as the guest sees it, or would if it ran. */
uint64_t machine_guest_xfd(const struct machine *machine, const struct vcpu *vcpu);

/** machine_guest_xfd_err() - IA32_XFD_ERR as the guest sees it, or would if it ran. */
uint64_t machine_guest_xfd_err(const struct machine *machine, const struct vcpu *vcpu);

#endif /* MODELS_MACHINE_H */
