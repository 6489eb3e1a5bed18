/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a kind of recording is; for traces/recording.c and traces/recording/.
 *
 * A text is lines, and a format understands one line at a time. Anything else opens its files
 * itself. Order of time, counting and the skipping of what nobody needs are done once for all,
 * in traces/recording.c.
 */
#ifndef TRACES_RECORDING_FORMAT_H
#define TRACES_RECORDING_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/recording.h"

/**
 * struct recording_format - One kind.
 * @name:       for people
 * @parse_line: see ftrace_parse_line(); NULL for a binary kind, which has all that follows
 * @columns:    its lines may have the shape that traces/usual.h reads faster
 * @magic:      its files begin so
 * @magic_len:  bytes of @magic
 * @open:       open @nr files; every file begins with @magic
 * @next:       1 for an event, 0 at the end; its name is set if it is only counted by that
 * @hash:       which files these were
 * @progress:   events or bytes, as the format can tell
 * @bits:       of the recorded kernel's words, 32 or 64
 * @close:      free
 */
struct recording_format {
	const char *name;
	enum ftrace_line (*parse_line)(const char *line, size_t len, struct sched_event *event,
				       const char **name, size_t *name_len, const char **wanted);
	bool columns;
	const char *magic;
	size_t magic_len;
	int (*open)(const char *const *paths, size_t nr, void **reader, struct xfd_error *err);
	int (*next)(void *reader, struct sched_event *event, const char **name, size_t *name_len,
		    struct xfd_error *err);
	void (*hash)(const void *reader, char hash[TRACE_HASH_LEN]);
	void (*progress)(const void *reader, uint64_t *done, uint64_t *total);
	uint32_t (*bits)(const void *reader);
	void (*close)(void *reader);
};

#define XFD_RECORDING(name) extern const struct recording_format recording_format_##name;
#include "traces/recording_list.h"
#undef XFD_RECORDING

/**
 * payload_parse() - Understand what stands behind an event's name.
 * @name:  the event's name, without its system
 * @len:   bytes of @name
 * @text:  up to @end, as printed by the kernel, by a plugin or raw
 * @end:   end of the line
 * @event: kind and what belongs to it are set; OTHER for an event without use
 *
 * Return: false when the event is known and its text is not.
 */
bool payload_parse(const char *name, size_t len, const char *text, const char *end,
		   struct sched_event *event);

/**
 * ftrace_parse_event() - The part of ftrace_parse_line() behind the time.
 * @text: up to @end, " EVENT: FIELDS"
 * @end:  end of the line
 *
 * The rest as there.
 */
enum ftrace_line ftrace_parse_event(const char *text, const char *end, struct sched_event *event,
				    const char **name, size_t *name_len, const char **wanted);

/** payload_parse_switch() - sched_switch, the same. */
bool payload_parse_switch(const char *text, const char *end, struct sched_event *event);

/** payload_switch_state() - prev_state as a number, as the binary record has it. */
void payload_switch_state(uint64_t state, struct sched_event *event);

/**
 * payload_old_intr_info() - Kernels before 5.10 have interruption information in info2.
 * @event: a KVM_EXIT; its intr_info is set if info2 holds a valid one and nothing else does
 */
void payload_old_intr_info(struct sched_event *event);

#endif /* TRACES_RECORDING_FORMAT_H */
