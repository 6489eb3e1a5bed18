/* SPDX-License-Identifier: MIT */
/**
 * DOC: The second pass of an import: what was spooled becomes events of a trace.
 *
 * Shape:  records come from the spool a few hundred at a time; events go to the writer a few
 *         thousand at a time.
 * Units:  nanoseconds come in, cycles of the trace's clock go out, as deltas of each vCPU.
 * Exact:  absolute times become cycles, and deltas are between those, so rounding never adds up.
 */
#ifndef TRACES_PLAYBACK_H
#define TRACES_PLAYBACK_H

#include <stddef.h>
#include <stdint.h>

#include "models/event.h"
#include "traces/error.h"
#include "traces/spool.h"
#include "traces/trace.h"

enum { PLAYBACK_EVENTS = 4096, PLAYBACK_TELL_RECORDS = 65536 };

/**
 * struct playback_goal - Where events go.
 * @writer:  open
 * @tsc_khz: clock of the trace
 * @told:    called every few milliseconds with records done, of spool_count(); NULL for nobody
 * @data:    passed to @told
 */
struct playback_goal {
	struct trace_writer *writer;
	uint64_t tsc_khz;
	void (*told)(void *data, uint64_t done);
	void *data;
};

/**
 * struct playback - One second pass. All zero but for @goal to begin with.
 * @goal:        see there
 * @done:        records that were read
 * @nr:          events that were written
 * @nr_waiting:  entries of @events
 * @last_cycles: by vCPU, of its last event
 * @events:      that wait to be written
 */
struct playback {
	struct playback_goal goal;
	uint64_t done;
	uint64_t nr;
	size_t nr_waiting;
	uint64_t last_cycles[TRACE_MAX_VCPUS];
	struct trace_event events[PLAYBACK_EVENTS];
};

/** playback_to_cycles() - floor(ns * tsc_khz / 10^6); no overflow below 2^62 cycles. */
static inline uint64_t playback_to_cycles(uint64_t ns, uint64_t tsc_khz)
{
	return ns / 1000000 * tsc_khz + ns % 1000000 * tsc_khz / 1000000;
}

/** playback_next() - spool_next(), and whoever wants to know is told. */
int playback_next(struct playback *play, struct spool *spool, const struct spool_record **records,
		  size_t *nr, struct xfd_error *err) __attribute__((warn_unused_result));

/** playback_flush() - What waits is written. Return: 0 or a negative errno. */
int playback_flush(struct playback *play, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * playback_emit() - One event.
 * @play:   the second pass
 * @vcpu:   whose
 * @cycles: on its clock, not before its last event
 * @kind:   see struct trace_event
 * @arg:    the same
 * @err:    filled on failure
 *
 * Return: 0 or a negative errno.
 */
static inline int playback_emit(struct playback *play, uint32_t vcpu, uint64_t cycles,
				enum event_kind kind, uint64_t arg, struct xfd_error *err)
{
	play->events[play->nr_waiting++] = (struct trace_event){
		.delta_cycles = cycles - play->last_cycles[vcpu],
		.arg = arg,
		.vcpu = vcpu,
		.kind = kind,
	};
	play->last_cycles[vcpu] = cycles;
	return play->nr_waiting == PLAYBACK_EVENTS ? playback_flush(play, err) : 0;
}

#endif /* TRACES_PLAYBACK_H */
