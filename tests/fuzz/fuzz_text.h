/* SPDX-License-Identifier: MIT */
/**
 * DOC: What the fuzz targets of recordings share: lines as events, and whole imports.
 *
 * What a parser takes for an event must be in range, and point into its line only. What import
 * takes for a recording must become a trace that its own reader accepts.
 */
#ifndef TESTS_FUZZ_FUZZ_TEXT_H
#define TESTS_FUZZ_FUZZ_TEXT_H

#include "tests/fuzz/fuzz_trace.h"
#include "traces/import.h"

typedef enum ftrace_line fuzz_parse_fn(const char *line, size_t len, struct sched_event *event,
				       const char **name, size_t *name_len, const char **wanted);

static inline void fuzz_event(const struct sched_event *event)
{
	fuzz_check(event->kind < NR_SCHED_EVENT_KINDS, "a kind beyond all");
	if (event->kind != SCHED_EVENT_SWITCH)
		return;
	fuzz_check(event->prev_pid <= RECORDING_MAX_PID && event->next_pid <= RECORDING_MAX_PID,
		   "a pid beyond all");
	fuzz_check(!event->prev_comm[TASK_NAME_BYTES - 1] && !event->next_comm[TASK_NAME_BYTES - 1],
		   "a name without an end");
}

static inline void fuzz_line(fuzz_parse_fn *parse, const char *line, size_t len)
{
	const char *name, *wanted;
	struct sched_event event;
	size_t name_len;

	/* Whatever is not filled must not be looked at. */
	memset(&event, 0xa5, sizeof(event));
	switch (parse(line, len, &event, &name, &name_len, &wanted)) {
	case FTRACE_LINE_EVENT:
		fuzz_event(&event);
		fuzz_check(event.cpu < TRACE_MAX_VCPUS, "a CPU beyond all");
		fuzz_check(!name_len || (name >= line && name + name_len <= line + len),
			   "a name outside of its line");
		break;
	case FTRACE_LINE_BAD:
		fuzz_check(wanted != NULL, "refused without a reason");
		break;
	case FTRACE_LINE_COMMENT:
	case FTRACE_LINE_STACK:
	case FTRACE_LINE_UNPARSED:
		break;
	}
}

/* Every line in a copy of its own size, so that a sanitizer sees a byte too far. */
static inline void fuzz_lines(fuzz_parse_fn *parse, const char *text, size_t size)
{
	const char *newline;
	char *line;

	for (size_t at = 0, len; at < size; at += len + 1) {
		newline = memchr(text + at, '\n', size - at);
		len = newline ? (size_t)(newline - text) - at : size - at;
		line = malloc(len + !len);
		if (!line)
			abort();
		memcpy(line, text + at, len);
		fuzz_line(parse, line, len);
		free(line);
	}
}

/* Import and read back. @strict too, which may only refuse more. */
static inline void fuzz_import(const char *const *paths, size_t nr, enum import_mode mode)
{
	/* Ticks are rare, because a time stamp of one line can ask for hours. */
	const struct import_options options = {
		.amx_tasks = "amx*,7", .hz = 1, .host_hz = 1, .tsc_khz = 1000001, .mode = mode};
	struct fuzz_file out = fuzz_file_make("xft");
	struct import_report report;
	struct trace_reader *reader;
	struct xfd_error err = {0};
	char hash[TRACE_HASH_LEN];

	if (import_recordings(paths, nr, &options, out.path, &report, NULL, &err)) {
		fuzz_check(err.kind == XFD_ERROR_INPUT && *err.text, "a silent error");
		fuzz_check(!lseek(out.fd, 0, SEEK_END), "an output although it failed");
	} else {
		fuzz_check(report.nr_vcpus && report.events >= report.guest.xfd_writes &&
				   report.guest.amx_tasks <= report.guest.xfd_writes &&
				   report.recording.by_kind[SCHED_EVENT_SWITCH] <=
					   report.recording.lines,
			   "counts that cannot be");
		fuzz_check(!trace_reader_open(out.path, &reader, &err) &&
				   fuzz_copy(reader, NULL, hash),
			   "a trace that its reader refuses");
		trace_reader_close(reader);
	}
	fuzz_file_drop(&out);
}

static inline void fuzz_import_bytes(const void *data, size_t size, enum import_mode mode)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	char path[64];
	const char *paths[] = {path};

	fuzz_check(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fuzz_import(paths, 1, mode);
	close(fd);
}

#endif /* TESTS_FUZZ_FUZZ_TEXT_H */
