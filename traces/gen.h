/* SPDX-License-Identifier: MIT */
/**
 * DOC: Synthetic guests, made from a seed and a few rates.
 *
 * The guest: every vCPU has its own @tasks user tasks, of which a share uses AMX; at each
 * switch the next one is drawn evenly, so writes of IA32_XFD come out at 2a(1-a) a switch for
 * a share a, as traces/projection.h says when they are made. A switch may also go to idle,
 * which is hlt until a wake. Ticks are two fastpath exits, as in traces/import.h. AMX tasks
 * use it first when they come first, if that is in the first epoch; those that come later
 * have used it before. A task may be replaced by a new one, which comes at once and has not.
 * Reads of IA32_XFD and #NM because of CR0.TS come from whatever runs: no Linux guest does
 * either, so both are off unless asked for.
 *
 * The host: vCPU i starts on pCPU i mod P. It is preempted for host tasks of class N, A or K
 * and comes back on the same pCPU or, at @migrate_ppm of resumes, on another one
 * that no running or sleeping vCPU holds. With more vCPUs than pCPUs those that found theirs
 * taken wait in a queue: after @slice_us whoever runs is preempted (class K: its registers
 * stay until the next vCPU's) and the head of the queue resumes there. A halted vCPU keeps
 * its pCPU and wakes there, because short of the poll window it never leaves it, and the
 * trace must be valid whatever that window is.
 *
 * Shape:  switches, exits, faults and preemptions of a running vCPU are one Poisson process
 *         each; sleeps and absences have exponential lengths. Ticks come at multiples of 1/hz.
 * Exact:  integers only, every draw is a function of (seed, epoch, number of the draw): the
 *         same options make the same trace, bit for bit, on any machine and any number of
 *         threads. A longer trace begins with the shorter one.
 * Parts:  traces/gen_epoch.h says how a trace is cut into epochs that know nothing of each
 *         other. What it costs, measured: at the end of an epoch of 67,600 events the default
 *         guest makes 10 more than it would (0.015 %), the overcommitted one 26 (0.04 %). A
 *         part of a trace is some of its epochs; it is a trace that starts armed, and all
 *         parts after each other are the whole.
 * Speed:  322 instructions an event, packed (callgrind, 4 million events of the default guest,
 *         one thread): drawing 134, columns, checks and hashes 65, digests of phrases 45, zstd
 *         56, packing 18. On two cores of an Emerald Rapids virtual machine 37 million events
 *         a second, 21 with one thread (medians of nine, 32 and 16 in the same minutes with 349
 *         instructions; 44 and 27 were the fastest). Work limits it, not order: what cannot be
 *         divided among threads is some 45 of them.
 */
#ifndef TRACES_GEN_H
#define TRACES_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/import.h"
#include "traces/trace.h"

enum {
	GEN_MAX_HZ = 1000000,            /* of each kind of event, on each vCPU */
	GEN_MAX_US = 1000000000,         /* of any length of time, some 17 minutes */
	GEN_MAX_DURATION_MS = 315360000, /* 3.65 days */
	GEN_MAX_TASKS = 4194304          /* of all vCPUs together */
};

struct gen_phase;

/**
 * struct gen_options - A guest and its host.
 * @seed:          any
 * @vcpus:         1 to TRACE_MAX_VCPUS
 * @pcpus:         1 to TRACE_MAX_PCPUS
 * @tasks:         user tasks of each vCPU, at least 1
 * @amx_share_ppm: of all tasks, spread evenly
 * @switch_hz:     context switches a second of running
 * @idle_ppm:      of switches that go to idle
 * @idle_us:       mean length of a sleep
 * @slow_hz:       slow exits: cpuid, ept-violation, ept-misconfig, apic-write, drawn evenly
 * @irq_hz:        host interrupts
 * @fastpath_hz:   fastpath exits beside the ticks
 * @userspace_hz:  exits to userspace
 * @preempt_hz:    preemptions by host tasks
 * @preempt_n:     weight of class N among them
 * @preempt_a:     weight of class A
 * @preempt_k:     weight of class K
 * @preempt_us:    mean length of an absence
 * @migrate_ppm:   of resumes that go to another pCPU, if one is free
 * @slice_us:      time slice when there are more vCPUs than pCPUs; then at least 1
 * @duration_ms:   length of the trace; 0 when @events says it
 * @events:        exact number of events; 0 when @duration_ms says it
 * @tsc_khz:       clock of the trace, 1 to 10^8
 * @hz:            guest ticks a second of running, 0 to IMPORT_MAX_HZ
 * @workload:      name, for the provenance; NULL for none
 * @phases:        one after the other, then again from the first; borrowed
 * @nr_phases:     0: the numbers above are for the whole trace
 */
struct gen_options {
	uint64_t seed;
	uint32_t vcpus;
	uint32_t pcpus;
	uint32_t tasks;
	uint32_t amx_share_ppm;
	uint32_t switch_hz;
	uint32_t idle_ppm;
	uint32_t idle_us;
	uint32_t slow_hz;
	uint32_t irq_hz;
	uint32_t fastpath_hz;
	uint32_t userspace_hz;
	uint32_t spawn_hz;
	uint32_t rdxfd_hz;
	uint32_t tsfault_hz;
	uint32_t preempt_hz;
	uint32_t preempt_n;
	uint32_t preempt_a;
	uint32_t preempt_k;
	uint32_t preempt_us;
	uint32_t migrate_ppm;
	uint32_t slice_us;
	uint64_t duration_ms;
	uint64_t events;
	uint64_t tsc_khz;
	uint32_t hz;
	const char *workload;
	const struct gen_phase *phases;
	size_t nr_phases;
	uint32_t part;
	uint32_t parts;
	uint32_t threads;
};

/**
 * struct gen_phase - A part of a trace with numbers of its own.
 * @ms:      how long it lasts, at least 1
 * @options: those of the trace, but for numbers that gen_option_list.h lets vary
 */
struct gen_phase {
	uint64_t ms;
	struct gen_options options;
};

/**
 * struct gen_fault - What is wrong with options.
 * @field: whose fault it is, as gen_option_list.h names it; "ms" is the length of a phase; NULL
 *         when nothing is wrong
 * @other: another field that is as much at fault, or NULL
 * @phase: in which phase, from 1; 0 for the trace's own numbers
 * @text:  what was wanted and what came, without the field
 */
struct gen_fault {
	const char *field;
	const char *other;
	size_t phase;
	char text[160];
};

/**
 * struct gen_report - What came out: of the trace as it is written, not beyond its last event.
 * @events:        in the trace
 * @cycles:        when the last event happened
 * @xfd_writes:    wrxfd but for those of boot, first uses included
 * @amx_tasks:     tasks that used AMX for the first time
 * @sleeps:        hlt
 * @preemptions:   by host tasks, and where an epoch ends
 * @slices:        ends of time slices
 * @migrations:    resumes on another pCPU
 * @fault:         after a failure: the option that is at fault, if one is
 */
struct gen_report {
	uint64_t events;
	uint64_t cycles;
	uint64_t xfd_writes;
	uint64_t amx_tasks;
	uint64_t sleeps;
	uint64_t preemptions;
	uint64_t slices;
	uint64_t migrations;
	struct gen_fault fault;
};

/** gen_options_init() - The defaults: 4 busy vCPUs for 10 s, a quarter of the tasks uses AMX. */
void gen_options_init(struct gen_options *options);

/** gen_options_fine() - Can there be such a guest? Return: false when @fault was filled. */
bool gen_options_fine(const struct gen_options *options, struct gen_fault *fault);

/**
 * gen_trace() - Make a synthetic trace.
 * @options:  checked; what cannot be is a usage error that names the field and says why
 * @out_path: see trace_writer_open()
 * @report:   filled on success; its @fault also on failure
 * @progress: NULL for nobody; the phase is "generating"
 * @err:      filled on failure; then no file was made or replaced
 *
 * Return: 0 or a negative errno.
 */
int gen_trace(const struct gen_options *options, const char *out_path, struct gen_report *report,
	      const struct import_progress *progress, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* TRACES_GEN_H */
