/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a host saw of its guests becomes what the guests did.
 *
 * Every thread that enters a guest is a vCPU, numbered in order of appearance. Its clock counts
 * what lies between kvm_entry and kvm_exit, and the time it was switched out or halted; the
 * time that the recording host spent in KVM is left out, so that a replay puts its own there.
 * What lies between a kvm_exit and the next kvm_entry decides what the exit was:
 *
 * - kvm_msr of IA32_XFD or IA32_XFD_ERR: an access. With the guest's own recording beside the
 *   host's, its msr:write_msr says so and the host's word is only counted.
 * - #NM (the interruption information, or the #NM that KVM injects): amx if XFD_ERR or what is
 *   known of XFD says so, else tsfault.
 * - The TSC deadline, the x2APIC's ICR and the preemption timer take the fastpath. Once a vCPU
 *   has shown a read of XFD after an exit (msr:read_msr 1c4), an exit without one took it too.
 * - kvm_userspace_exit: an exit to userspace. XSETBV: xsetbv. Anything else: its reason.
 * - HLT, and the thread is switched out asleep: hlt until it is switched in. Not switched out:
 *   polled, until kvm_entry.
 * - The thread is switched out otherwise: preempt, for a task of the class of who comes (K for
 *   idle, kernel threads and other vCPUs, A for those named as AMX tasks, else N), and resume.
 *   Unless the exit was an external interrupt, which preempt stands for, the exit goes first.
 *
 * A read of XFD after an exit that shows another value than was known is a write that the host
 * did not see: one of at least that many. A write that clears XFD is followed by amx, one that
 * arms it by tilerelease, because the guest's XRSTORS follows (assumed; no recording shows it).
 * Where events were lost, the threads that were on that CPU start anew.
 *
 * A recording that xfdsim has exported says what a host's does not show in events of its own
 * (RECORDING_NOTES); then nothing is assumed, and the trace comes back as it was.
 *
 * Source: vcpu_enter_guest(), handle_fastpath_set_msr_irqoff(), kvm_emulate_wrmsr(),
 *         fpu_sync_guest_vmexit_xfd_state(), kvm_vcpu_halt().
 */
#ifndef TRACES_KVMTRACK_H
#define TRACES_KVMTRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/playback.h"
#include "traces/recording.h"
#include "traces/spool.h"
#include "traces/taskname.h"
#include "traces/trace.h"

/**
 * struct kvmtrack_counts - What was found.
 * @exits:         VM-exits, without failed entries
 * @fastpath:      of these, on the fastpath
 * @userspace:     of these, to userspace
 * @halts:         of these, HLT
 * @preempts:      times a vCPU was switched out otherwise
 * @handler_preempts: of these, while another exit than an external interrupt was handled:
 *                 the trace has one VM-exit too many for each
 * @moves:         comings back on another CPU
 * @failed_entries: kvm_exit that says that the entry failed
 * @host_writes:   writes of XFD that the host saw
 * @guest_writes:  ... that the guest's own recording has
 * @sampled_writes: ... that only show in a later read: at least this many
 * @sample_mismatches: reads after an exit that contradict the guest's own recording
 * @nm:            #NM that trapped
 * @unknown_vectors: exceptions whose vector the recording leaves out
 * @unknown_msrs:  MSR exits whose MSR the recording leaves out: taken as slow
 * @unknown_reasons: reasons without a name, counted as "notify"
 * @other_exits:   VM-exits in other recordings than the host's: of its guests' guests, or of
 * another host; left out
 * @guest_ns:      between entries and exits
 * @host_ns:       in KVM, left out of the trace
 * @off_ns:        halted or switched out
 * @vms:           at least this many VMs: how often one vCPU number occurs
 */
struct kvmtrack_counts {
	uint64_t exits;
	uint64_t fastpath;
	uint64_t userspace;
	uint64_t halts;
	uint64_t preempts;
	uint64_t handler_preempts;
	uint64_t moves;
	uint64_t failed_entries;
	uint64_t host_writes;
	uint64_t guest_writes;
	uint64_t sampled_writes;
	uint64_t sample_mismatches;
	uint64_t nm;
	uint64_t unknown_vectors;
	uint64_t unknown_msrs;
	uint64_t unknown_reasons;
	uint64_t other_exits;
	uint64_t guest_ns;
	uint64_t host_ns;
	uint64_t off_ns;
	uint32_t vms;
};

struct kvmtrack;

/**
 * kvmtrack_new() - Prepare to follow a host.
 * @spool: where events go until their number of CPUs is known; outlives the tracker
 * @names: judges who preempts; outlives the tracker
 * @track: receives the tracker; free it with kvmtrack_free()
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int kvmtrack_new(struct spool *spool, struct taskname_table *names, struct kvmtrack **track,
		 struct xfd_error *err) __attribute__((warn_unused_result));

/** kvmtrack_take() - The next event. Return: 0 or a negative errno. */
int kvmtrack_take(struct kvmtrack *track, const struct sched_event *event, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * kvmtrack_finish() - The recording is over.
 * @track:  the tracker
 * @end_ns: time of the last event
 * @err:    filled on failure: no vCPU was seen
 *
 * Return: 0 or a negative errno.
 */
int kvmtrack_finish(struct kvmtrack *track, uint64_t end_ns, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** kvmtrack_counts() - What was found. Return: owned by @track. */
const struct kvmtrack_counts *kvmtrack_counts(const struct kvmtrack *track);

/**
 * kvmtrack_info() - The header of the trace, after kvmtrack_finish().
 * @track: the tracker
 * @info:  nr_vcpus, nr_pcpus and armed_start are set
 * @flags: TRACE_MAX_VCPUS entries; those of the vCPUs are set
 *
 * There are at least as many pCPUs as vCPUs, so that each starts on one of its own.
 */
void kvmtrack_info(const struct kvmtrack *track, struct trace_info *info, uint8_t *flags);

/**
 * kvmtrack_write() - Read the spool back and write the trace.
 * @track:   after kvmtrack_finish()
 * @goal:    where to
 * @nr:      receives the number of events
 * @err:     filled on failure
 *
 * A vCPU that comes to a pCPU where another one still seems to be pushes that one out; it
 * comes back with its next event. Return: 0 or a negative errno.
 */
int kvmtrack_write(struct kvmtrack *track, const struct playback_goal *goal, uint64_t *nr,
		   struct xfd_error *err) __attribute__((warn_unused_result));

/** kvmtrack_free() - Free a tracker; NULL is allowed. */
void kvmtrack_free(struct kvmtrack *track);

#endif /* TRACES_KVMTRACK_H */
