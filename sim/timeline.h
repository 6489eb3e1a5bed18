/* SPDX-License-Identifier: MIT */
/**
 * DOC: A replay as a timeline, for people.
 *
 * Every vCPU has a clock that counts TSC cycles of the cost profile: what the guest ran, what
 * each event cost at typical prices, and how long the vCPU was off. A time stamp is a cycle
 * count, so that nothing is rounded: viewers that expect nanoseconds show one cycle as one.
 * Where another vCPU's clock says that a pCPU is still taken, the vCPU waits; time off is not
 * part of a run's cycles.
 *
 * Tracks: a vCPU has slices "guest", one for each event that costs something, with the way
 * through userspace nested in it, and "halted" or "preempted"; instants for events that cost
 * nothing; a counter of IA32_XFD. A pCPU has slices of the vCPU that holds it, and counters of
 * xfd_state and of whether it is stale. Arguments of a slice: number of the event in the trace,
 * its argument, cycles, steps.
 *
 * Formats: text, one event a line; Perfetto's TrackEvent protocol buffers
 * (protos/perfetto/trace/, documented as stable); Chrome's JSON (Trace Event Format).
 */
#ifndef SIM_TIMELINE_H
#define SIM_TIMELINE_H

#include <stdint.h>

#include "sim/engine.h"
#include "sim/profile.h"
#include "traces/outfile.h"

enum timeline_format { TIMELINE_TEXT, TIMELINE_PERFETTO, TIMELINE_CHROME };

/**
 * struct timeline_options - What to show.
 * @run:     what to replay
 * @profile: prices; typical ones are used
 * @format:  see enum timeline_format
 * @from:    first event of the trace to show, from 0
 * @to:      first event not to show any more
 * @asked:   the option and its value that ask for event @wanted; NULL if none has to be there
 * @wanted:  the trace must have it
 */
struct timeline_options {
	const struct engine_options *run;
	const struct cost_profile *profile;
	enum timeline_format format;
	uint64_t from;
	uint64_t to;
	const char *asked;
	uint64_t wanted;
};

/**
 * struct timeline_totals - What was shown.
 * @events:       in the window
 * @guest_cycles: the sum of all slices "guest"
 * @cost_cycles:  the sum of all slices of events
 */
struct timeline_totals {
	uint64_t events;
	uint64_t guest_cycles;
	uint64_t cost_cycles;
};

/**
 * timeline_write() - Replay a trace and write its timeline.
 * @path:     the trace
 * @options:  what to show
 * @out_path: see outfile_open()
 * @totals:   filled on success
 * @err:      filled on failure
 *
 * Memory does not grow with the trace. Return: 0 or a negative errno.
 */
int timeline_write(const char *path, const struct timeline_options *options, const char *out_path,
		   struct timeline_totals *totals, struct xfd_error *err)
	__attribute__((warn_unused_result));

struct timeline_slice;

/* Takes a slice, which is gone afterwards; a negative errno ends the replay. */
typedef int timeline_slice_fn(void *data, const struct timeline_slice *slice,
			      struct xfd_error *err);

/**
 * timeline_slices() - Replay a trace and hand over the vCPUs' slices instead of writing them.
 * @path:    the trace
 * @options: what to show; the format does not matter
 * @take:    called for each slice, in order of the trace
 * @data:    for @take
 * @totals:  filled on success
 * @err:     filled on failure
 *
 * Return: 0 or a negative errno.
 */
int timeline_slices(const char *path, const struct timeline_options *options,
		    timeline_slice_fn *take, void *data, struct timeline_totals *totals,
		    struct xfd_error *err) __attribute__((warn_unused_result));

/* ---- between timeline.c and the formats ---- */

/* Tracks; a number below TRACE_MAX_VCPUS or TRACE_MAX_PCPUS goes with each. */
enum timeline_track { TRACK_VCPU, TRACK_VCPU_XFD, TRACK_PCPU, TRACK_PCPU_CACHE, TRACK_PCPU_STALE };

/**
 * struct timeline_slice - Something that takes time, or an instant.
 * @track:  TRACK_VCPU or TRACK_PCPU
 * @number: of the vCPU or pCPU
 * @start:  in cycles
 * @cycles: 0 for an instant
 * @name:   for people
 * @event:  the event it shows, or NULL
 * @index:  of @event in the trace
 * @result: what it cost, with @event
 * @user_start: where userspace begins within it, with @user_cycles
 * @user_cycles: 0 for no way through userspace
 */
struct timeline_slice {
	enum timeline_track track;
	uint32_t number;
	uint64_t start;
	uint64_t cycles;
	const char *name;
	const struct trace_event *event;
	uint64_t index;
	const struct machine_result *result;
	uint64_t user_start;
	uint64_t user_cycles;
};

/**
 * struct timeline_writer - A format.
 * @begin:   the file's beginning and the tracks
 * @slice:   in order of time on its track
 * @counter: a value from @at on
 * @end:     the file's end
 *
 * All return 0 or a negative errno and fill the error.
 */
struct timeline_writer {
	int (*begin)(struct outfile *out, const struct trace_info *info, const char *title,
		     struct xfd_error *err);
	int (*slice)(struct outfile *out, const struct timeline_slice *slice,
		     struct xfd_error *err);
	int (*counter)(struct outfile *out, enum timeline_track track, uint32_t number, uint64_t at,
		       uint64_t value, struct xfd_error *err);
	int (*end)(struct outfile *out, struct xfd_error *err);
};

extern const struct timeline_writer timeline_text;
extern const struct timeline_writer timeline_perfetto;
extern const struct timeline_writer timeline_chrome;

/** timeline_arg() - An event's argument as scenario text has it, "" for none. Return: @buf. */
const char *timeline_arg(const struct trace_event *event, char buf[32]);

#endif /* SIM_TIMELINE_H */
