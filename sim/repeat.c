/* SPDX-License-Identifier: MIT */
#include "sim/repeat.h"

#include <errno.h>
#include <stdlib.h>

#include "traces/trace.h"

/* Where a vCPU is after an event, as far as the trace says it. */
enum place { RUNS, SLEEPS, OUT };

/* @place: by vCPU; a HLT sleeps, however short, until the wake */
struct round {
	struct trace_writer *writer;
	const struct trace_info *info;
	uint8_t *place;
};

static void follow(struct round *r, const struct trace_event *events, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		uint8_t *place = &r->place[events[i].vcpu];

		switch (events[i].kind) {
		case EVENT_hlt:
			*place = SLEEPS;
			break;
		case EVENT_preempt:
			*place = OUT;
			break;
		case EVENT_wake:
		case EVENT_resume:
			*place = RUNS;
			break;
		default:
			break;
		}
	}
}

static int put(struct round *r, uint32_t vcpu, uint32_t kind, uint64_t arg, struct xfd_error *err)
{
	struct trace_event event = {.vcpu = vcpu, .kind = kind, .arg = arg};

	return trace_writer_put(r->writer, &event, 1, err);
}

/* First everybody leaves, so that all pCPUs are free; then each comes home. */
static int go_home(struct round *r, struct xfd_error *err)
{
	uint32_t nr = r->info->nr_vcpus, nr_pcpus = r->info->nr_pcpus;
	int ret = 0;

	for (uint32_t v = 0; v < nr && !ret; v++)
		if (r->place[v] == RUNS)
			ret = put(r, v, EVENT_preempt, TASK_K, err);
	for (uint32_t v = 0; v < nr && !ret; v++) {
		if (r->place[v] != SLEEPS)
			continue;
		ret = put(r, v, EVENT_wake, v % nr_pcpus, err);
		if (!ret)
			ret = put(r, v, EVENT_preempt, TASK_K, err);
	}
	for (uint32_t v = 0; v < nr && !ret; v++) {
		r->place[v] = v < nr_pcpus ? RUNS : OUT;
		if (v < nr_pcpus)
			ret = put(r, v, EVENT_resume, v, err);
	}
	return ret;
}

static int copy_once(struct round *r, const char *from, struct xfd_error *err)
{
	const struct trace_event *events;
	struct trace_reader *reader;
	size_t nr;
	int ret = trace_reader_open(from, &reader, err);

	while (!ret && !(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		follow(r, events, nr);
		ret = trace_writer_put(r->writer, events, nr, err);
	}
	trace_reader_close(reader);
	return ret;
}

int repeat_trace(const char *from, const char *to, uint64_t times, struct xfd_error *err)
{
	struct round r = {0};
	struct trace_reader *reader;
	int ret = trace_reader_open(from, &reader, err);

	if (ret)
		return ret;
	r.info = trace_reader_info(reader);
	r.place = calloc(r.info->nr_vcpus, 1);
	for (uint32_t v = r.info->nr_pcpus; r.place && v < r.info->nr_vcpus; v++)
		r.place[v] = OUT;
	ret = r.place ? trace_writer_open(to, r.info, &r.writer, err)
		      : xfd_error_set(err, XFD_ERROR_SYSTEM, from, 0, -1, "out of memory");
	for (uint64_t i = 0; i < times && !ret; i++) {
		ret = i ? go_home(&r, err) : 0;
		if (!ret)
			ret = copy_once(&r, from, err);
	}
	if (!ret)
		ret = trace_writer_commit(r.writer, err);
	else
		trace_writer_discard(r.writer);
	free(r.place);
	trace_reader_close(reader);
	return ret;
}
