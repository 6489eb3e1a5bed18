/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a recording in text: first line by line and by each parser, where what is read must
 * be in range, then imported as a whole. Ticks are rare, because a time stamp of one line can ask
 * for hours.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "traces/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum ftrace_line parse_fn(const char *line, size_t len, struct sched_event *event,
				  const char **name, size_t *name_len, const char **wanted);

static void check_line(parse_fn *parse, const char *line, size_t len)
{
	const char *name, *wanted;
	struct sched_event event;
	size_t name_len;

	/* Whatever is not filled must not be looked at. */
	memset(&event, 0xa5, sizeof(event));
	switch (parse(line, len, &event, &name, &name_len, &wanted)) {
	case FTRACE_LINE_EVENT:
		if (event.kind >= NR_SCHED_EVENT_KINDS || event.cpu >= TRACE_MAX_VCPUS)
			abort();
		if (name_len && (name < line || name + name_len > line + len))
			abort();
		if (event.kind == SCHED_EVENT_SWITCH &&
		    (event.prev_pid > RECORDING_MAX_PID || event.next_pid > RECORDING_MAX_PID ||
		     event.prev_comm[TASK_NAME_BYTES - 1] || event.next_comm[TASK_NAME_BYTES - 1]))
			abort();
		break;
	case FTRACE_LINE_BAD:
		if (!wanted)
			abort();
		break;
	case FTRACE_LINE_COMMENT:
	case FTRACE_LINE_UNPARSED:
		break;
	}
}

static void import_all(const uint8_t *data, size_t size)
{
	const struct import_options options = {
		.amx_tasks = "amx*,7", .hz = 1, .host_hz = 1, .tsc_khz = 1000001};
	struct import_report report;
	struct xfd_error err = {0};
	char path[64];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (import_recording(path, &options, "/dev/null", &report, NULL, &err)) {
		if (err.kind != XFD_ERROR_INPUT || !*err.text)
			abort();
	} else if (report.recording.switches > report.recording.lines || !report.nr_vcpus ||
		   report.amx_tasks > report.xfd_writes || report.events < report.xfd_writes ||
		   (report.mode == IMPORT_PROJECTED &&
		    (report.restores > report.recording.switches ||
		     report.events < 2 * (uint64_t)report.nr_vcpus + report.xfd_writes))) {
		abort();
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *newline;

	for (size_t at = 0; at < size; at += (size_t)(newline - text) - at + 1) {
		newline = memchr(text + at, '\n', size - at);
		if (!newline)
			newline = text + size;
		check_line(ftrace_parse_line, text + at, (size_t)(newline - text) - at);
		check_line(perf_parse_line, text + at, (size_t)(newline - text) - at);
	}
	/* libtracecmd has fuzzers of its own; here it is our parsers' turn. */
	if (!size || *data != 0x17)
		import_all(data, size);
	return 0;
}
