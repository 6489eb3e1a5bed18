/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a guest's scheduler did becomes what its vCPUs did.
 *
 * Every CPU of the recording becomes a vCPU, numbered from 0 in order of CPU numbers, each on its
 * own pCPU; the clock of all of them starts at the recording's first time stamp. What the tasks do
 * to IA32_XFD is projected (traces/projection.h), or was recorded. What else makes a vCPU exit is
 * assumed:
 *
 * - Boot: wrxfd 0x40000 and xsetbv, at time 0.
 * - Idle is HLT: a switch to pid 0 is hlt, the next sign of life is wake. A CPU whose first
 *   line has pid 0 slept from the beginning. While it sleeps nothing else happens on it.
 * - Guest timer: each tick is two exits on the fastpath, because the VMX preemption timer
 *   expires and the guest arms the next tick by writing TSC_DEADLINE, both of which KVM serves
 *   without leaving its inner loop. A recorded local_timer_entry is a tick; if there is none,
 *   a running vCPU ticks at multiples of 1/hz (NO_HZ_IDLE: an idle one does not).
 * - Host timer: the host's own tick interrupts a running vCPU, at odd multiples of
 *   1/(2*host_hz), so that it does not fall together with the guest's.
 * - IPIs cause no exits: the processors that have AMX deliver them by IPI virtualisation.
 * - Where events were lost, the CPU's registers belong to nobody.
 *
 * At equal times guest ticks come first, then host ticks, then what was recorded, in its
 * order; ticks go from vCPU to vCPU.
 *
 * Two passes, as in traces/kvmtrack.h: which CPUs there are, how long each sleep lasted and
 * whether ticks were recorded is known at the end only. So the first spools what the guest does,
 * with its time; the second reads that back, adds boot and ticks and turns times into deltas.
 */
#ifndef TRACES_GUESTTRACK_H
#define TRACES_GUESTTRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/playback.h"
#include "traces/recording.h"
#include "traces/spool.h"
#include "traces/taskname.h"
#include "traces/trace.h"

/* Where the writes of IA32_XFD come from, see traces/import.h. */
enum guesttrack_source { GUESTTRACK_WRITES, GUESTTRACK_RESTORES, GUESTTRACK_SWITCHES };

/**
 * struct guesttrack_score - Projected restores against recorded ones.
 * @true_positives:  switches for which both have a restore
 * @false_positives: only the projection has one
 * @false_negatives: only the recording has one
 * @recall_outside:  recorded restores that no projected switch precedes, not in the score
 *
 * A switch counts once the next one on its CPU has come. Precision is tp / (tp + fp), recall
 * tp / (tp + fn).
 */
struct guesttrack_score {
	uint64_t true_positives;
	uint64_t false_positives;
	uint64_t false_negatives;
	uint64_t recall_outside;
};

/**
 * struct guesttrack_counts - What was found.
 * @kernel_switches: switches to kernel threads
 * @idle_switches:   switches to idle
 * @gaps:            switches from a task that was not seen coming
 * @restores:        projected or recorded
 * @xfd_writes:      wrxfd after boot, first uses included
 * @amx_tasks:       tasks that were named and ran; each has one first use
 * @unused_writes:   recorded writes of XFD that @source has no use for
 * @score:           how good the projection of restores is, where restores were recorded
 */
struct guesttrack_counts {
	uint64_t kernel_switches;
	uint64_t idle_switches;
	uint64_t gaps;
	uint64_t restores;
	uint64_t xfd_writes;
	uint64_t amx_tasks;
	uint64_t unused_writes;
	struct guesttrack_score score;
};

/**
 * struct guesttrack_clock - How long it takes, and what ticks.
 * @first_ns: time of its first event
 * @last_ns:  of its last
 * @hz:       guest ticks a second; 0 for those that were recorded
 * @host_hz:  host ticks a second; 0 for none
 */
struct guesttrack_clock {
	uint64_t first_ns;
	uint64_t last_ns;
	uint32_t hz;
	uint32_t host_hz;
};

struct guesttrack;

/**
 * guesttrack_new() - Prepare to follow a guest.
 * @spool:  where events wait; outlives the tracker
 * @names:  judges tasks; outlives the tracker
 * @source: what is believed
 * @track:  receives the tracker; free it with guesttrack_free()
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
int guesttrack_new(struct spool *spool, struct taskname_table *names, enum guesttrack_source source,
		   struct guesttrack **track, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** guesttrack_take() - The next event, in order of time. Return: 0 or a negative errno. */
int guesttrack_take(struct guesttrack *track, const struct sched_event *event,
		    struct xfd_error *err) __attribute__((warn_unused_result));

/** guesttrack_counts() - What was found so far. Return: owned by @track. */
const struct guesttrack_counts *guesttrack_counts(const struct guesttrack *track);

/** guesttrack_info() - The header of the trace: nr_vcpus, nr_pcpus and armed_start are set. */
void guesttrack_info(const struct guesttrack *track, struct trace_info *info);

/**
 * guesttrack_write() - Read the spool back and write the trace.
 * @track: the recording is over
 * @clock: times
 * @goal:  where to
 * @nr:    receives the number of events
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int guesttrack_write(const struct guesttrack *track, const struct guesttrack_clock *clock,
		     const struct playback_goal *goal, uint64_t *nr, struct xfd_error *err)
	__attribute__((warn_unused_result));

/** guesttrack_free() - Free a tracker; NULL is allowed. */
void guesttrack_free(struct guesttrack *track);

#endif /* TRACES_GUESTTRACK_H */
