/* SPDX-License-Identifier: MIT */
/**
 * DOC: A recording becomes a trace.
 *
 * How depends on what was recorded; the mode is printed, stored in the trace's provenance and
 * said in every report made from it:
 *
 * - measured: accesses of IA32_XFD themselves were recorded, by the guest's kernel
 *   (msr:write_msr) or by its host (kvm events, see traces/kvmtrack.h), or by both.
 * - restored: loads of FPU registers were recorded (x86_fpu_regs_activated), and which buffers
 *   have room for tiles; the writes follow by the kernel's rule.
 * - projected: only the scheduler was recorded; the loads are projected too.
 *
 * The first IMPORT_LOOKAHEAD events choose. What allows a better mode and comes later, say the
 * first write of IA32_XFD of a guest that was idle before, makes the import begin again with it.
 * Standard input cannot be read twice; there the report counts what was left unused.
 *
 * A host's recording is what traces/kvmtrack.h makes of it, all others what traces/guesttrack.h
 * does, where it stands what is assumed of a guest of which nobody has seen the VM-exits.
 */
#ifndef TRACES_IMPORT_H
#define TRACES_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/guesttrack.h"
#include "traces/kvmtrack.h"
#include "traces/recording.h"
#include "traces/taskname.h"

enum import_mode {
	IMPORT_AUTO, /* the first of the others that the recording allows */
	IMPORT_MEASURED,
	IMPORT_RESTORED,
	IMPORT_PROJECTED
};

enum {
	IMPORT_LOOKAHEAD = 32768,         /* events that the choice of the mode is made from */
	IMPORT_DEFAULT_HZ = 250,          /* CONFIG_HZ of Debian, Ubuntu, SUSE */
	IMPORT_DEFAULT_HOST_HZ = 250,     /* the same */
	IMPORT_MAX_HZ = 10000,            /* CONFIG_HZ is 1000 at most */
	IMPORT_DEFAULT_TSC_KHZ = 2200000, /* that of profile spr */
	IMPORT_MAX_TSC_KHZ = 100000000,
};

/**
 * struct import_options - How to project.
 * @amx_tasks: which tasks use AMX, see taskname_table_new(); NULL for none
 * @hz:        guest ticks a second where none were recorded, 0 to IMPORT_MAX_HZ; 0 for none
 * @host_hz:   host ticks a second, 0 to IMPORT_MAX_HZ; 0 for none
 * @tsc_khz:   clock of the trace, 1 to 10^8; 0 for that of the trace that the recording is an
 *             export of, else IMPORT_DEFAULT_TSC_KHZ
 * @mode:      IMPORT_AUTO to let the recording decide
 * @strict:    refuse a recording that lost events or has lines that cannot be read
 */
struct import_options {
	const char *amx_tasks;
	uint32_t hz;
	uint32_t host_hz;
	uint64_t tsc_khz;
	enum import_mode mode;
	bool strict;
};

/**
 * struct import_report - What was read and what came of it.
 * @recording:       counts of the input
 * @source_hash:     XXH3-128 of the uncompressed text
 * @nr_vcpus:        CPUs seen
 * @duration_ns:     from first to last time stamp
 * @events:          in the trace
 * @recorded_ticks:  the guest's ticks were recorded, hz does not matter
 * @scored:          restores were recorded beside a projection, which has a score
 * @top:             user tasks' names that were switched in most
 * @nr_top:          entries of @top
 * @skipped:         events without use, by name
 * @mode:            how the trace was made
 * @host:            measured from a host's recording: @kvm is filled and not @guest
 * @guest:           what became of a guest's recording
 * @kvm:             what the host's recording held
 * @nr_skipped:      entries of @skipped
 */
struct import_report {
	struct recording_stats recording;
	char source_hash[TRACE_HASH_LEN];
	uint32_t nr_vcpus;
	uint64_t duration_ns;
	uint64_t events;
	bool recorded_ticks;
	bool scored;
	struct taskname_count top[TASKNAME_TOP];
	uint32_t nr_top;
	struct skipped_event skipped[RECORDING_SKIPPED_NAMES];
	uint32_t nr_skipped;
	enum import_mode mode;
	bool host;
	struct guesttrack_counts guest;
	struct kvmtrack_counts kvm;
};

/**
 * struct import_progress - Whom to tell how far it is; called every few milliseconds.
 * @report: @phase is "reading" or "writing"; @total is 0 when unknown
 * @data:   passed to @report
 */
struct import_progress {
	void (*report)(void *data, const char *phase, uint64_t done, uint64_t total);
	void *data;
};

/**
 * import_options_init() - The defaults; no task uses AMX.
 * @options: filled
 */
void import_options_init(struct import_options *options);

/** import_mode_name() - measured, restored or projected; auto. Return: a string constant. */
const char *import_mode_name(enum import_mode mode);

/**
 * import_recordings() - Make a trace from a host's trace.dat and those of its guests.
 * @paths: @nr names, the host's first
 * @nr:    at least 1
 *
 * Everything else, also with one path, is as import_recording().
 */
int import_recordings(const char *const *paths, size_t nr, const struct import_options *options,
		      const char *out_path, struct import_report *report,
		      const struct import_progress *progress, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * import_recording() - Make a trace from a recording.
 * @path:     see recording_open(); "-" is standard input
 * @options:  how
 * @out_path: see trace_writer_open()
 * @report:   filled on success
 * @progress: NULL for nobody
 * @err:      filled on failure; then no file was made or replaced
 *
 * Events wait in a file without a name in TMPDIR, or without TMPDIR beside @out_path: 8 bytes
 * each as a rule, beyond the first 512 KiB. Memory does not grow with the length.
 *
 * Return: 0 or a negative errno.
 */
int import_recording(const char *path, const struct import_options *options, const char *out_path,
		     struct import_report *report, const struct import_progress *progress,
		     struct xfd_error *err) __attribute__((warn_unused_result));

#endif /* TRACES_IMPORT_H */
