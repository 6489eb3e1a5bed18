/* SPDX-License-Identifier: MIT */
/**
 * DOC: The ledger, everything that a replay counts.
 *
 * Exact integers that depend on the trace, the policy, the kernel and the options, and on
 * no price. Whatever a report says in cycles is computed from here and a cost profile.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/exit_reason.h"
#include "models/step.h"
#include "traces/trace.h"

/**
 * struct path_count - How often one path was taken.
 * @kind:        enum event_kind of the events that took it
 * @exit_reason: enum exit_reason; EXIT_NONE when there was no VM-exit
 * @steps:       the steps, in order
 * @count:       at least 1
 */
struct path_count {
	uint32_t kind;
	int32_t exit_reason;
	struct step_log steps;
	uint64_t count;
};

/**
 * struct vcpu_final - A vCPU after the last event.
 * @state:         "guest", "polling", "halted", "preempted" or "stopped"
 * @intercept_xfd: accesses of IA32_XFD cause VM-exits
 * @intercept_nm:  #NM causes VM-exits
 * @fpstate_bytes: size of the guest's buffer
 * @xfd:           IA32_XFD as the guest sees it
 * @xfd_err:       IA32_XFD_ERR as the guest sees it
 */
struct vcpu_final {
	const char *state;
	bool intercept_xfd;
	bool intercept_nm;
	uint32_t fpstate_bytes;
	uint64_t xfd;
	uint64_t xfd_err;
};

/**
 * struct ledger - The counts of one run.
 * @step_count:    by enum step; guest_run counts cycles
 * @exit_count:    VM-exits by enum exit_reason
 * @xfd_exits:     those that XFD caused: accesses of XFD and XFD_ERR, #NM
 * @nr_events:     replayed
 * @nr_skipped:    events of vCPUs that had stopped
 * @xfd_writes:    guest WRMSRs of IA32_XFD that were replayed, refused ones included
 * @fpstate_bytes: in use at the end
 * @fpstate_high_water_bytes: most that was ever in use
 * @paths:         in the order in which they were first taken; owned
 * @nr_paths:      entries of @paths
 * @path_index:    open-addressing table of @path_slots entries, index into @paths plus 1
 * @path_slots:    a power of two, or 0
 * @vcpus:         one per vCPU; owned
 * @nr_vcpus:      entries of @vcpus
 */
struct ledger {
	uint64_t step_count[NR_STEPS];
	uint64_t exit_count[NR_EXIT_REASONS];
	uint64_t xfd_exits;
	uint64_t nr_events;
	uint64_t nr_skipped;
	uint64_t xfd_writes;
	uint64_t fpstate_bytes;
	uint64_t fpstate_high_water_bytes;
	struct path_count *paths;
	size_t nr_paths;
	uint32_t *path_index;
	size_t path_slots;
	struct vcpu_final *vcpus;
	uint32_t nr_vcpus;
};

/**
 * struct run - One replay, ready to be reported or stored.
 * @trace_hash: identity of the trace
 * @policy:     name
 * @kernel:     name
 * @options:    every other option that changes counts, as one line of JSON with sorted keys
 * @ledger:     the counts
 * @duration_ns: wall time of the replay; never part of a result
 * @states:     of the automaton; 0 from the reference engine; never part of a result
 * @digested:   events that were accounted from digests; never part of a result
 * @overflowed: there were more states than allowed, so the model did the rest: slower, as exact
 */
struct run {
	char trace_hash[TRACE_HASH_LEN];
	const char *policy;
	const char *kernel;
	const char *options;
	struct ledger ledger;
	uint64_t duration_ns;
	uint32_t states;
	uint64_t digested;
	bool overflowed;
};

struct machine;
struct machine_result;

/**
 * ledger_add() - Count one event.
 * @ledger: zero-initialised before the first
 * @event:  the event
 * @result: what it cost
 * @skipped: its vCPU had stopped: only nr_skipped changes
 *
 * Cost: one hash look-up of the path. Return: 0, -ENOMEM, or -EOVERFLOW when the guest
 * cycles of the trace pass 2^63 - 1.
 */
int ledger_add(struct ledger *ledger, const struct trace_event *event,
	       const struct machine_result *result, bool skipped);

/**
 * ledger_path() - Find a path, or append it with a count of 0.
 * @ledger: the ledger
 * @kind:   enum event_kind
 * @result: steps and VM-exit reason
 * @path:   receives its index in ledger::paths
 *
 * Return: 0 or -ENOMEM.
 */
int ledger_path(struct ledger *ledger, uint32_t kind, const struct machine_result *result,
		uint32_t *path);

/** ledger_find_path() - As ledger_path(), but never append. Return: false when it is not there. */
bool ledger_find_path(const struct ledger *ledger, uint32_t kind,
		      const struct machine_result *result, uint32_t *path);

/** ledger_count() - Count a path so many times: itself, its steps, its VM-exit. */
void ledger_count(struct ledger *ledger, uint32_t path, uint64_t times);

/**
 * ledger_finish() - Record how the machine ended.
 * @ledger:  the ledger
 * @machine: after the last event
 *
 * Return: 0 or -ENOMEM.
 */
int ledger_finish(struct ledger *ledger, const struct machine *machine);

/** ledger_release() - Free what a ledger owns. */
void ledger_release(struct ledger *ledger);

/** path_is_xfd() - Is this the path of an event that XFD caused: an access, AMX or #NM? */
bool path_is_xfd(const struct path_count *path);

enum { PATH_TEXT_LEN = STEP_LOG_MAX * 24 };

/**
 * path_text() - The steps of a path as text: names separated by spaces.
 * @steps: the steps
 * @buf:   receives the text
 *
 * Return: @buf.
 */
char *path_text(const struct step_log *steps, char buf[PATH_TEXT_LEN]);

#endif /* SIM_LEDGER_H */
