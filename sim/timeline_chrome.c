/* SPDX-License-Identifier: MIT */
/*
 * Chrome's Trace Event Format: "X" slices, "i" instants, "C" counters, "M" names. Times are in
 * microseconds, so a cycle, shown as a nanosecond, is 0.001.
 */
#include <inttypes.h>

#include "models/exit_reason.h"
#include "sim/timeline.h"

enum { PID_VCPUS = 1, PID_PCPUS = 2 };

#define US(cycles) (cycles) / 1000, (cycles) % 1000

static int name_thread(struct outfile *out, int pid, uint32_t tid, const char *what,
		       struct xfd_error *err)
{
	return outfile_printf(out, err,
			      ",\n{\"ph\":\"M\",\"pid\":%d,\"tid\":%" PRIu32
			      ",\"name\":\"thread_name\",\"args\":{\"name\":\"%s %" PRIu32 "\"}}",
			      pid, tid, what, tid);
}

static int begin(struct outfile *out, const struct trace_info *info, const char *title,
		 struct xfd_error *err)
{
	int ret = outfile_printf(
		out, err,
		"{\"displayTimeUnit\":\"ns\",\"otherData\":{\"title\":\"%s\"},\"traceEvents\":[\n"
		"{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{\"name\":\"VM\"}},\n"
		"{\"ph\":\"M\",\"pid\":2,\"name\":\"process_name\",\"args\":{\"name\":\"host\"}}",
		title);

	for (uint32_t i = 0; i < info->nr_vcpus && !ret; i++)
		ret = name_thread(out, PID_VCPUS, i, "vCPU", err);
	for (uint32_t i = 0; i < info->nr_pcpus && !ret; i++)
		ret = name_thread(out, PID_PCPUS, i, "pCPU", err);
	return ret;
}

static int event_args(struct outfile *out, const struct timeline_slice *s, struct xfd_error *err)
{
	char text[PATH_TEXT_LEN], arg[32];

	if (!s->event)
		return outfile_printf(out, err, "\"args\":{\"cycles\":%" PRIu64 "}}", s->cycles);
	return outfile_printf(out, err,
			      "\"args\":{\"event\":%" PRIu64
			      ",\"what\":\"%s %s\",\"cycles\":%" PRIu64 ",\"steps\":\"%s\"}}",
			      s->index, event_name((enum event_kind)s->event->kind),
			      timeline_arg(s->event, arg), s->cycles,
			      path_text(&s->result->log, text));
}

static int slice(struct outfile *out, const struct timeline_slice *s, struct xfd_error *err)
{
	int pid = s->track == TRACK_VCPU ? PID_VCPUS : PID_PCPUS;
	int ret;

	if (!s->cycles)
		ret = outfile_printf(out, err,
				     ",\n{\"ph\":\"i\",\"s\":\"t\",\"pid\":%d,\"tid\":%" PRIu32
				     ",\"name\":\"%s\",\"ts\":%" PRIu64 ".%03" PRIu64 ",",
				     pid, s->number, s->name, US(s->start));
	else
		ret = outfile_printf(out, err,
				     ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%" PRIu32
				     ",\"name\":\"%s\",\"ts\":%" PRIu64 ".%03" PRIu64
				     ",\"dur\":%" PRIu64 ".%03" PRIu64 ",",
				     pid, s->number, s->name, US(s->start), US(s->cycles));
	if (!ret)
		ret = event_args(out, s, err);
	if (ret || !s->user_cycles)
		return ret;
	return outfile_printf(out, err,
			      ",\n{\"ph\":\"X\",\"pid\":%d,\"tid\":%" PRIu32
			      ",\"name\":\"userspace\",\"ts\":%" PRIu64 ".%03" PRIu64
			      ",\"dur\":%" PRIu64 ".%03" PRIu64 "}",
			      pid, s->number, US(s->user_start), US(s->user_cycles));
}

static int counter(struct outfile *out, enum timeline_track track, uint32_t number, uint64_t at,
		   uint64_t value, struct xfd_error *err)
{
	static const char *const names[] = {[TRACK_VCPU_XFD] = "IA32_XFD of vCPU",
					    [TRACK_PCPU_CACHE] = "xfd_state of pCPU",
					    [TRACK_PCPU_STALE] = "stale xfd_state of pCPU"};

	return outfile_printf(out, err,
			      ",\n{\"ph\":\"C\",\"pid\":%d,\"name\":\"%s %" PRIu32
			      "\",\"ts\":%" PRIu64 ".%03" PRIu64 ",\"args\":{\"value\":%" PRIu64
			      "}}",
			      track == TRACK_VCPU_XFD ? PID_VCPUS : PID_PCPUS, names[track], number,
			      US(at), value);
}

static int end(struct outfile *out, struct xfd_error *err)
{
	return outfile_printf(out, err, "\n]}\n");
}

const struct timeline_writer timeline_chrome = {begin, slice, counter, end};
