/* SPDX-License-Identifier: MIT */
#include "sim/timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"

enum { OFF_NO, OFF_HALTED, OFF_PREEMPTED };

/*
 * @now: by vCPU, its clock. @since: by pCPU, when its vCPU came; @free: by pCPU, when it was
 * left. @xfd, @cache, @stale: as last shown. @holder: by pCPU. @take: instead of @writer.
 */
struct timeline {
	const struct timeline_options *options;
	const struct timeline_writer *writer;
	timeline_slice_fn *take;
	void *data;
	struct timeline_totals *totals;
	struct outfile *out;
	struct machine_config config;
	struct machine machine;
	uint64_t trace_khz;
	uint64_t index;
	bool shown;
	uint64_t *now;
	uint64_t *guest_cycles; /* by vCPU, of the trace's clock */
	uint64_t *guest_scaled; /* ... of the profile's */
	uint64_t *xfd;
	uint8_t *off;
	uint64_t *since;
	uint64_t *free_at;
	uint64_t *cache;
	uint8_t *stale;
	uint32_t *holder;
};

const char *timeline_arg(const struct trace_event *event, char buf[32])
{
	buf[0] = '\0';
	switch (event_arg((enum event_kind)event->kind)) {
	case EVENT_ARG_NONE:
		break;
	case EVENT_ARG_VALUE:
	case EVENT_ARG_XCR0:
		snprintf(buf, 32, "0x%" PRIx64, event->arg);
		break;
	case EVENT_ARG_REASON:
		snprintf(buf, 32, "%s", exit_reason_name((int)event->arg));
		break;
	case EVENT_ARG_CYCLES:
		snprintf(buf, 32, "%" PRIu64, event->arg);
		break;
	case EVENT_ARG_PCPU:
		if (event->arg != EVENT_SAME_PCPU)
			snprintf(buf, 32, "%" PRIu64, event->arg);
		break;
	case EVENT_ARG_TASK:
		snprintf(buf, 32, "%c", "NAK"[event->arg]);
		break;
	}
	return buf;
}

static uint64_t us_to_cycles(uint64_t us, uint64_t tsc_khz)
{
	return us > UINT64_MAX / tsc_khz ? UINT64_MAX : us * tsc_khz / 1000;
}

/* Cycles of the trace's clock in those of the profile's. */
static uint64_t scale(const struct timeline *t, uint64_t cycles)
{
	uint64_t to = t->options->profile->tsc_khz, from = t->trace_khz;

	return to == from ? cycles : cycles / from * to + cycles % from * to / from;
}

static int init(struct timeline *t, const struct trace_info *info, struct xfd_error *err)
{
	const struct engine_options *o = t->options->run;
	size_t v = info->nr_vcpus, p = info->nr_pcpus;

	t->trace_khz = info->tsc_khz;
	t->config = (struct machine_config){
		.kernel = o->kernel,
		.policy = o->policy,
		.params = o->params,
		.halt_poll_cycles = us_to_cycles(o->halt_poll_us, info->tsc_khz),
		.idle_init_cycles = us_to_cycles(o->idle_init_us, info->tsc_khz),
		.vmm_returns = o->vmm_returns,
		.armed_start = info->armed_start,
		.fail_growths = o->fail_growths,
		.nr_fail_growths = o->nr_fail_growths,
	};
	t->machine.nr_vcpus = info->nr_vcpus;
	t->machine.nr_pcpus = info->nr_pcpus;
	t->machine.vcpus = calloc(v, sizeof(*t->machine.vcpus));
	t->machine.pcpus = calloc(p, sizeof(*t->machine.pcpus));
	t->now = calloc(v, sizeof(*t->now));
	t->guest_cycles = calloc(v, sizeof(*t->guest_cycles));
	t->guest_scaled = calloc(v, sizeof(*t->guest_scaled));
	t->xfd = calloc(v, sizeof(*t->xfd));
	t->off = calloc(v, sizeof(*t->off));
	t->since = calloc(p, sizeof(*t->since));
	t->free_at = calloc(p, sizeof(*t->free_at));
	t->cache = calloc(p, sizeof(*t->cache));
	t->stale = calloc(p, sizeof(*t->stale));
	t->holder = calloc(p, sizeof(*t->holder));
	if (!t->machine.vcpus || !t->machine.pcpus || !t->now || !t->guest_cycles ||
	    !t->guest_scaled || !t->xfd || !t->off || !t->since || !t->free_at || !t->cache ||
	    !t->stale || !t->holder)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	machine_init(&t->machine, &t->config, info->vcpu_flags);
	/* Nothing has been shown yet. */
	memset(t->xfd, 0xff, v * sizeof(*t->xfd));
	memset(t->cache, 0xff, p * sizeof(*t->cache));
	memset(t->stale, 0xff, p * sizeof(*t->stale));
	for (size_t i = 0; i < p; i++)
		t->holder[i] = t->machine.pcpus[i].vcpu;
	for (size_t i = 0; i < v; i++)
		t->off[i] = t->machine.vcpus[i].state == VCPU_GUEST ? OFF_NO : OFF_PREEMPTED;
	return 0;
}

static void release(struct timeline *t)
{
	free(t->machine.vcpus);
	free(t->machine.pcpus);
	free(t->now);
	free(t->guest_cycles);
	free(t->guest_scaled);
	free(t->xfd);
	free(t->off);
	free(t->since);
	free(t->free_at);
	free(t->cache);
	free(t->stale);
	free(t->holder);
}

static int show(struct timeline *t, const struct timeline_slice *slice, struct xfd_error *err)
{
	if (!t->shown)
		return 0;
	if (!t->take)
		return t->writer->slice(t->out, slice, err);
	return slice->track == TRACK_VCPU ? t->take(t->data, slice, err) : 0;
}

/* The time before the event: in the guest, or off. */
static int show_before(struct timeline *t, const struct trace_event *event, bool off,
		       struct xfd_error *err)
{
	uint32_t vcpu = event->vcpu;
	struct timeline_slice slice = {
		.track = TRACK_VCPU, .number = vcpu, .start = t->now[vcpu], .name = "guest"};
	uint64_t scaled;

	if (off) {
		slice.cycles = scale(t, event->delta_cycles);
		slice.name = t->off[vcpu] == OFF_HALTED ? "halted" : "preempted";
	} else {
		t->guest_cycles[vcpu] += event->delta_cycles;
		scaled = scale(t, t->guest_cycles[vcpu]);
		slice.cycles = scaled - t->guest_scaled[vcpu];
		t->guest_scaled[vcpu] = scaled;
	}
	t->now[vcpu] += slice.cycles;
	if (off) {
		const struct vcpu *v = &t->machine.vcpus[vcpu];
		uint64_t pcpu = event->arg == EVENT_SAME_PCPU ? v->pcpu : event->arg;

		/* Its own clock may be behind that of who had the pCPU meanwhile. */
		if (pcpu < t->machine.nr_pcpus && t->free_at[pcpu] > t->now[vcpu] &&
		    v->state != VCPU_POLLING) {
			slice.cycles += t->free_at[pcpu] - t->now[vcpu];
			t->now[vcpu] = t->free_at[pcpu];
		}
	}
	if (t->shown && !off)
		t->totals->guest_cycles += slice.cycles;
	return slice.cycles ? show(t, &slice, err) : 0;
}

static int show_event(struct timeline *t, const struct trace_event *event,
		      const struct machine_result *result, struct xfd_error *err)
{
	struct timeline_slice slice = {
		.track = TRACK_VCPU,
		.number = event->vcpu,
		.start = t->now[event->vcpu],
		.name = event_name((enum event_kind)event->kind),
		.event = event,
		.index = t->index,
		.result = result,
	};
	char name[64];

	for (unsigned int i = 0; i < result->log.nr; i++) {
		uint64_t price =
			t->options->profile->price[result->log.step[i]].cycles[PRICE_TYPICAL];

		if (result->log.step[i] == STEP_user_roundtrip) {
			slice.user_start = slice.start + slice.cycles;
			slice.user_cycles = price;
		}
		slice.cycles += price;
	}
	if (result->exit_reason != EXIT_NONE) {
		snprintf(name, sizeof(name), "VM-exit %s", exit_reason_name(result->exit_reason));
		slice.name = name;
	}
	t->now[event->vcpu] += slice.cycles;
	if (t->shown) {
		t->totals->cost_cycles += slice.cycles;
		t->totals->events++;
	}
	return show(t, &slice, err);
}

/* Who holds which pCPU may have changed at @at. */
static int show_holder(struct timeline *t, uint32_t pcpu, uint64_t at, struct xfd_error *err)
{
	uint32_t holder = t->machine.pcpus[pcpu].vcpu;
	struct timeline_slice slice = {
		.track = TRACK_PCPU, .number = pcpu, .start = t->since[pcpu]};
	char name[32];
	int ret = 0;

	if (t->holder[pcpu] == holder)
		return 0;
	if (t->holder[pcpu] != VCPU_NONE) {
		snprintf(name, sizeof(name), "vCPU %" PRIu32, t->holder[pcpu]);
		slice.name = name;
		slice.cycles = at - t->since[pcpu];
		t->free_at[pcpu] = at;
		ret = slice.cycles ? show(t, &slice, err) : 0;
	}
	t->holder[pcpu] = holder;
	t->since[pcpu] = at;
	return ret;
}

static int show_counters(struct timeline *t, uint32_t vcpu, uint32_t pcpu, struct xfd_error *err)
{
	const struct pcpu *p = &t->machine.pcpus[pcpu];
	uint64_t xfd = machine_guest_xfd(&t->machine, &t->machine.vcpus[vcpu]);
	uint8_t stale = p->msr_xfd != p->xfd_state;
	uint64_t at = t->now[vcpu];
	int ret = 0;

	if (!t->shown || t->take)
		return 0;
	if (t->xfd[vcpu] != xfd)
		ret = t->writer->counter(t->out, TRACK_VCPU_XFD, vcpu, at, xfd, err);
	if (!ret && t->cache[pcpu] != p->xfd_state)
		ret = t->writer->counter(t->out, TRACK_PCPU_CACHE, pcpu, at, p->xfd_state, err);
	if (!ret && t->stale[pcpu] != stale)
		ret = t->writer->counter(t->out, TRACK_PCPU_STALE, pcpu, at, stale, err);
	t->xfd[vcpu] = xfd;
	t->cache[pcpu] = p->xfd_state;
	t->stale[pcpu] = stale;
	return ret;
}

/* A window begins: who holds a pCPU is drawn from here on. */
static void clip(struct timeline *t)
{
	for (uint32_t pcpu = 0; pcpu < t->machine.nr_pcpus; pcpu++)
		if (t->holder[pcpu] != VCPU_NONE)
			t->since[pcpu] = t->now[t->holder[pcpu]];
}

static int take_event(struct timeline *t, const struct trace_reader *reader, size_t in_block,
		      const struct trace_event *event, struct xfd_error *err)
{
	bool off = event->kind == EVENT_wake || event->kind == EVENT_resume;
	uint32_t left = t->machine.vcpus[event->vcpu].pcpu, came;
	uint64_t before = t->now[event->vcpu];
	struct machine_result result;
	enum machine_status status;
	struct xfd_error where = {.offset = -1};
	int ret;

	t->shown = t->index >= t->options->from && t->index < t->options->to;
	if (t->index == t->options->from)
		clip(t);
	if (t->machine.vcpus[event->vcpu].state == VCPU_STOPPED)
		return 0;
	ret = show_before(t, event, off, err);
	if (off && t->now[event->vcpu] > before)
		before = t->now[event->vcpu];
	status = machine_event(&t->machine, event, &result);
	if (status != MACHINE_OK && status != MACHINE_SKIPPED) {
		trace_reader_locate(reader, in_block, &where);
		return xfd_error_set(err, XFD_ERROR_INPUT, where.source, where.line, where.offset,
				     "%s of vCPU %" PRIu32
				     " cannot happen (policy %s, kernel %s): %s",
				     event_name((enum event_kind)event->kind), event->vcpu,
				     t->config.policy->name, t->config.kernel->name,
				     machine_status_text(status));
	}
	if (!ret && off)
		ret = show_holder(t, t->machine.vcpus[event->vcpu].pcpu, before, err);
	if (!ret)
		ret = show_event(t, event, &result, err);
	came = t->machine.vcpus[event->vcpu].pcpu;
	if (!ret && !off)
		ret = show_holder(t, left, t->now[event->vcpu], err);
	t->off[event->vcpu] = event->kind == EVENT_hlt       ? OFF_HALTED
			      : event->kind == EVENT_preempt ? OFF_PREEMPTED
							     : OFF_NO;
	return ret ? ret : show_counters(t, event->vcpu, came, err);
}

/* What is still going on when the window ends; pCPUs whose vCPU never left. */
static int show_rest(struct timeline *t, struct xfd_error *err)
{
	int ret = 0;

	t->shown = true;
	for (uint32_t pcpu = 0; pcpu < t->machine.nr_pcpus && !ret; pcpu++) {
		uint32_t vcpu = t->machine.pcpus[pcpu].vcpu;

		if (vcpu == VCPU_NONE)
			continue;
		t->machine.pcpus[pcpu].vcpu = VCPU_NONE;
		ret = show_holder(t, pcpu, t->now[vcpu], err);
	}
	return ret;
}

/* The whole trace was read, and shorter than the window. */
static int check_wanted(const struct timeline *t, struct xfd_error *err)
{
	if (!t->options->asked || t->options->wanted < t->index)
		return 0;
	return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
			     "%s: the trace has %" PRIu64 " events, counted from 0",
			     t->options->asked, t->index);
}

static int take_all(struct timeline *t, struct trace_reader *reader, struct xfd_error *err)
{
	const struct trace_event *events;
	size_t nr;
	int ret;

	while (!(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		for (size_t i = 0; i < nr; i++, t->index++) {
			if (t->index >= t->options->to)
				return 0;
			ret = take_event(t, reader, i, &events[i], err);
			if (ret)
				return ret;
		}
	}
	return ret ? ret : check_wanted(t, err);
}

int timeline_write(const char *path, const struct timeline_options *options, const char *out_path,
		   struct timeline_totals *totals, struct xfd_error *err)
{
	static const struct timeline_writer *const writers[] = {
		[TIMELINE_TEXT] = &timeline_text,
		[TIMELINE_PERFETTO] = &timeline_perfetto,
		[TIMELINE_CHROME] = &timeline_chrome,
	};
	struct timeline t = {
		.options = options, .writer = writers[options->format], .totals = totals};
	struct trace_reader *reader = NULL;
	char title[256];
	int ret = trace_reader_open(path, &reader, err);

	*totals = (struct timeline_totals){0};
	snprintf(title, sizeof(title),
		 "policy %s, kernel %s, profile %s; one tick is one TSC cycle",
		 options->run->policy->name, options->run->kernel->name, options->profile->name);
	if (!ret)
		ret = outfile_open(out_path, &t.out, err);
	if (!ret)
		ret = init(&t, trace_reader_info(reader), err);
	if (!ret)
		ret = t.writer->begin(t.out, trace_reader_info(reader), title, err);
	if (!ret)
		ret = take_all(&t, reader, err);
	if (!ret)
		ret = show_rest(&t, err);
	if (!ret)
		ret = t.writer->end(t.out, err);
	if (!ret)
		ret = outfile_commit(t.out, err);
	else
		outfile_discard(t.out);
	release(&t);
	trace_reader_close(reader);
	return ret;
}

int timeline_slices(const char *path, const struct timeline_options *options,
		    timeline_slice_fn *take, void *data, struct timeline_totals *totals,
		    struct xfd_error *err)
{
	struct timeline t = {.options = options, .take = take, .data = data, .totals = totals};
	struct trace_reader *reader = NULL;
	int ret = trace_reader_open(path, &reader, err);

	*totals = (struct timeline_totals){0};
	if (!ret)
		ret = init(&t, trace_reader_info(reader), err);
	if (!ret)
		ret = take_all(&t, reader, err);
	release(&t);
	trace_reader_close(reader);
	return ret;
}
