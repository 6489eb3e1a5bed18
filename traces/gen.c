/* SPDX-License-Identifier: MIT */
/*
 * An event-driven simulation: a binary heap holds each vCPU's next moment, the earliest one
 * acts and moves on. Poisson processes have no memory, so all that can happen to a running
 * vCPU is drawn as one process and then told apart by weight; what it missed while it did not
 * run needs no bookkeeping.
 */
#include "traces/gen.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "traces/projection.h"

#define GOLDEN_GAMMA UINT64_C(0x9e3779b97f4a7c15)
#define LN2_Q32      UINT64_C(2977044471) /* floor(ln 2 * 2^32) */
#define NEVER        UINT64_MAX

enum { PPM = 1000000, BLOCK_EVENTS = 4096, PROGRESS_STEPS = 65536 };

enum gen_state {
	STATE_RUNNING,
	STATE_HALTED,    /* keeps its pCPU */
	STATE_PREEMPTED, /* comes back to its pCPU, which another vCPU may exchange with it */
	STATE_QUEUED     /* has no pCPU */
};

/* What can happen to a running vCPU; the order is that of rates[]. */
enum gen_source {
	SOURCE_SWITCH,
	SOURCE_SLOW,
	SOURCE_IRQ,
	SOURCE_FASTPATH,
	SOURCE_USERSPACE,
	SOURCE_PREEMPT,
	NR_SOURCES
};

/*
 * @pcpu:      its own, unless queued
 * @last_pcpu: where it ran last
 * @heap_pos:  where it stands in the heap
 * @task:      the running task's pid; 0 for none
 * @tick:      number of the next tick
 * @draws:     random numbers taken so far
 * @last:      when its last event was
 * @next:      when something happens to it next
 * @next_random, @next_tick, @next_slice: running: which of them is @next
 */
struct gen_vcpu {
	enum gen_state state;
	bool booted;
	uint32_t pcpu;
	uint32_t last_pcpu;
	uint32_t heap_pos;
	uint32_t task;
	uint64_t tick;
	uint64_t draws;
	uint64_t last;
	uint64_t next;
	uint64_t next_random;
	uint64_t next_tick;
	uint64_t next_slice;
};

/*
 * @vcpu_at[p] is the vCPU whose pCPU p is, or -1. @queue is a ring. @now: the numbers of the
 * current phase, which lasts until @phase_end.
 */
struct gen {
	const struct gen_options *options;
	const struct gen_options *now;
	size_t phase;
	uint64_t phase_end;
	struct gen_report *report;
	struct projection *projection;
	struct trace_writer *writer;
	uint64_t tsc_hz;
	uint64_t mean_random;
	uint64_t total_hz;
	uint64_t rates[NR_SOURCES];
	uint64_t end;
	uint32_t queue_head;
	uint32_t queue_len;
	bool full;
	size_t nr_block;
	struct gen_vcpu vcpus[TRACE_MAX_VCPUS];
	int32_t vcpu_at[TRACE_MAX_PCPUS];
	uint32_t heap[TRACE_MAX_VCPUS];
	uint32_t queue[TRACE_MAX_VCPUS];
	struct trace_event block[BLOCK_EVENTS];
};

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

uint64_t gen_rng_at(uint64_t seed, uint64_t stream, uint64_t index)
{
	return mix(mix(seed + GOLDEN_GAMMA * (stream + 1)) + GOLDEN_GAMMA * (index + 1));
}

/*
 * log2 bit by bit: square a number in [1, 2); if it reaches 2 the next bit of its logarithm
 * is 1. Sixteen multiplications, no table, no libm whose last digit differs.
 */
uint64_t gen_exponential(uint64_t random, uint64_t mean)
{
	uint64_t u = random | 1, log, x, t;
	int zeros = __builtin_clzll(u);

	log = (uint64_t)(63 - zeros);
	x = u << zeros >> 32;
	for (int bit = 0; bit < 16; bit++) {
		x = x * x >> 31;
		log = log << 1 | x >> 32;
		x >>= x >> 32;
	}
	t = ((UINT64_C(64) << 16) - log) * LN2_Q32 >> 32;
	t = (mean >> 16) * t + ((mean & 0xffff) * t >> 16);
	return t ? t : 1;
}

static uint64_t draw(struct gen *gen, uint32_t v)
{
	return gen_rng_at(gen->options->seed, v, gen->vcpus[v].draws++);
}

/* 0 to @limit - 1, evenly but for 2^-32. */
static uint32_t draw_below(struct gen *gen, uint32_t v, uint64_t limit)
{
	return (uint32_t)((draw(gen, v) >> 32) * limit >> 32);
}

static bool draw_ppm(struct gen *gen, uint32_t v, uint32_t ppm)
{
	return ppm && draw_below(gen, v, PPM) < ppm;
}

static uint64_t draw_us(struct gen *gen, uint32_t v, uint32_t mean_us)
{
	return gen_exponential(draw(gen, v), mean_us * gen->options->tsc_khz / 1000);
}

static bool is_earlier(const struct gen *gen, uint32_t a, uint32_t b)
{
	const struct gen_vcpu *x = &gen->vcpus[a], *y = &gen->vcpus[b];

	return x->next != y->next ? x->next < y->next : a < b;
}

static void heap_place(struct gen *gen, uint32_t pos, uint32_t v)
{
	gen->heap[pos] = v;
	gen->vcpus[v].heap_pos = pos;
}

/* @v->next has changed. */
static void heap_move(struct gen *gen, uint32_t v)
{
	uint32_t nr = gen->options->vcpus, pos = gen->vcpus[v].heap_pos, child;

	for (; pos && is_earlier(gen, v, gen->heap[(pos - 1) / 2]); pos = (pos - 1) / 2)
		heap_place(gen, pos, gen->heap[(pos - 1) / 2]);
	for (; (child = 2 * pos + 1) < nr; pos = child) {
		if (child + 1 < nr && is_earlier(gen, gen->heap[child + 1], gen->heap[child]))
			child++;
		if (!is_earlier(gen, gen->heap[child], v))
			break;
		heap_place(gen, pos, gen->heap[child]);
	}
	heap_place(gen, pos, v);
}

static int flush(struct gen *gen, struct xfd_error *err)
{
	size_t nr = gen->nr_block;

	gen->nr_block = 0;
	return nr ? trace_writer_put(gen->writer, gen->block, nr, err) : 0;
}

static int emit(struct gen *gen, uint32_t v, uint64_t now, enum event_kind kind, uint64_t arg,
		struct xfd_error *err)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];

	if (gen->full)
		return 0;
	gen->block[gen->nr_block++] = (struct trace_event){
		.delta_cycles = now - vcpu->last, .arg = arg, .vcpu = v, .kind = kind};
	vcpu->last = now;
	gen->report->cycles = now;
	gen->report->events++;
	gen->full = gen->report->events == gen->options->events;
	return gen->nr_block == BLOCK_EVENTS ? flush(gen, err) : 0;
}

static int emit_out(struct gen *gen, uint32_t v, uint64_t now, const struct projection_out *out,
		    struct xfd_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < out->nr && !ret; i++)
		ret = emit(gen, v, now, out->kind[i], out->arg[i], err);
	return ret;
}

/* The first tick after @now. */
static uint64_t tick_after(const struct gen *gen, uint64_t now)
{
	uint64_t hz = gen->options->hz;

	return now / gen->tsc_hz * hz + now % gen->tsc_hz * hz / gen->tsc_hz + 1;
}

static uint64_t tick_time(const struct gen *gen, uint64_t tick)
{
	uint64_t hz = gen->options->hz;

	return hz ? tick / hz * gen->tsc_hz + tick % hz * gen->tsc_hz / hz : NEVER;
}

static void schedule_random(struct gen *gen, uint32_t v, uint64_t now)
{
	gen->vcpus[v].next_random =
		gen->total_hz ? now + gen_exponential(draw(gen, v), gen->mean_random) : NEVER;
}

/* @v's next moment, from what it is. */
static void schedule(struct gen *gen, uint32_t v)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];

	if (vcpu->state == STATE_RUNNING) {
		vcpu->next =
			vcpu->next_tick < vcpu->next_slice ? vcpu->next_tick : vcpu->next_slice;
		if (vcpu->next_random < vcpu->next)
			vcpu->next = vcpu->next_random;
	}
	heap_move(gen, v);
}

static void start_running(struct gen *gen, uint32_t v, uint64_t now)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];

	vcpu->state = STATE_RUNNING;
	vcpu->last_pcpu = vcpu->pcpu;
	vcpu->tick = tick_after(gen, now);
	vcpu->next_tick = tick_time(gen, vcpu->tick);
	vcpu->next_slice = NEVER;
	if (gen->options->vcpus > gen->options->pcpus)
		vcpu->next_slice = now + gen->options->slice_us * gen->options->tsc_khz / 1000 + 1;
	schedule_random(gen, v, now);
}

static bool task_uses_amx(const struct gen *gen, uint32_t pid)
{
	uint64_t share = gen->options->amx_share_ppm;

	return pid * share / PPM > (pid - 1) * share / PPM;
}

/* The guest switches to the task @pid, 0 for idle. */
static int switch_to(struct gen *gen, uint32_t v, uint64_t now, uint32_t pid, struct xfd_error *err)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];
	struct projection_out out;
	struct guest_task *task;

	gen->report->switches++;
	if (vcpu->task) {
		task = projection_task(gen->projection, vcpu->task, err);
		if (!task)
			return -EIO;
		projection_switch_out(task, v);
	}
	vcpu->task = pid;
	if (!pid)
		return 0;
	task = projection_task(gen->projection, pid, err);
	if (!task)
		return -EIO;
	projection_switch_in(gen->projection, v, task, task_uses_amx(gen, pid), &out);
	gen->report->restores += out.restored;
	gen->report->xfd_writes += out.nr_writes;
	gen->report->amx_tasks += out.first_use;
	return emit_out(gen, v, now, &out, err);
}

static uint32_t draw_task(struct gen *gen, uint32_t v)
{
	return v * gen->options->tasks + draw_below(gen, v, gen->options->tasks) + 1;
}

static int boot(struct gen *gen, uint32_t v, uint64_t now, struct xfd_error *err)
{
	struct projection_out out;
	int ret;

	gen->vcpus[v].booted = true;
	projection_boot(&out);
	ret = emit_out(gen, v, now, &out, err);
	return ret ? ret : switch_to(gen, v, now, draw_task(gen, v), err);
}

/* Another pCPU that nobody holds; whoever is to come back to it gets @v's instead. */
static void migrate(struct gen *gen, uint32_t v)
{
	uint32_t nr = gen->options->pcpus, old = gen->vcpus[v].pcpu;
	uint32_t first = draw_below(gen, v, nr), pcpu;
	int32_t other;

	for (uint32_t i = 0; i < nr; i++) {
		pcpu = (first + i) % nr;
		other = gen->vcpu_at[pcpu];
		if (pcpu == old || (other >= 0 && gen->vcpus[other].state != STATE_PREEMPTED))
			continue;
		if (other >= 0)
			gen->vcpus[other].pcpu = old;
		gen->vcpu_at[old] = other;
		gen->vcpu_at[pcpu] = (int32_t)v;
		gen->vcpus[v].pcpu = pcpu;
		return;
	}
}

/* wake or resume, on the vCPU's pCPU. */
static int come_back(struct gen *gen, uint32_t v, uint64_t now, enum event_kind kind,
		     struct xfd_error *err)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];
	bool same = vcpu->pcpu == vcpu->last_pcpu;
	int ret;

	gen->report->migrations += !same;
	start_running(gen, v, now);
	ret = emit(gen, v, now, kind, same ? EVENT_SAME_PCPU : vcpu->pcpu, err);
	if (ret)
		return ret;
	if (!vcpu->booted)
		return boot(gen, v, now, err);
	return vcpu->task ? 0 : switch_to(gen, v, now, draw_task(gen, v), err);
}

static int preempt(struct gen *gen, uint32_t v, uint64_t now, struct xfd_error *err)
{
	const struct gen_options *options = gen->now;
	uint32_t n = options->preempt_n, a = options->preempt_a;
	uint32_t pick = draw_below(gen, v, (uint64_t)n + a + options->preempt_k);
	uint64_t class = pick < n ? TASK_N : pick - n < a ? TASK_A : TASK_K;

	gen->report->preemptions++;
	gen->vcpus[v].state = STATE_PREEMPTED;
	gen->vcpus[v].next = now + draw_us(gen, v, options->preempt_us);
	return emit(gen, v, now, EVENT_preempt, class, err);
}

static int end_slice(struct gen *gen, uint32_t v, uint64_t now, struct xfd_error *err)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];
	uint32_t nr = gen->options->vcpus, next = gen->queue[gen->queue_head];
	int ret;

	gen->report->slices++;
	gen->queue[(gen->queue_head + gen->queue_len) % nr] = v;
	gen->queue_head = (gen->queue_head + 1) % nr;
	vcpu->state = STATE_QUEUED;
	vcpu->next = NEVER;
	gen->vcpus[next].pcpu = vcpu->pcpu;
	gen->vcpu_at[vcpu->pcpu] = (int32_t)next;
	ret = emit(gen, v, now, EVENT_preempt, TASK_K, err);
	if (!ret)
		ret = come_back(gen, next, now, EVENT_resume, err);
	schedule(gen, next);
	return ret;
}

static int guest_switch(struct gen *gen, uint32_t v, uint64_t now, struct xfd_error *err)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];
	uint64_t length;
	uint32_t pid;
	int ret;

	if (!draw_ppm(gen, v, gen->now->idle_ppm)) {
		pid = draw_task(gen, v);
		return pid == vcpu->task ? 0 : switch_to(gen, v, now, pid, err);
	}
	ret = switch_to(gen, v, now, 0, err);
	if (ret)
		return ret;
	length = draw_us(gen, v, gen->now->idle_us);
	gen->report->sleeps++;
	vcpu->state = STATE_HALTED;
	vcpu->next = now + length;
	return emit(gen, v, now, EVENT_hlt, length, err);
}

static int act_random(struct gen *gen, uint32_t v, uint64_t now, struct xfd_error *err)
{
	static const uint32_t slow[] = {EXIT_CPUID, EXIT_EPT_VIOLATION, EXIT_EPT_MISCONFIG,
					EXIT_APIC_WRITE};
	uint64_t pick = draw_below(gen, v, gen->total_hz);
	uint32_t source = 0;

	schedule_random(gen, v, now);
	while (pick >= gen->rates[source])
		pick -= gen->rates[source++];
	switch (source) {
	case SOURCE_SWITCH:
		return guest_switch(gen, v, now, err);
	case SOURCE_SLOW:
		return emit(gen, v, now, EVENT_exit, slow[draw_below(gen, v, 4)], err);
	case SOURCE_IRQ:
		return emit(gen, v, now, EVENT_exit, EXIT_EXTERNAL_INTERRUPT, err);
	case SOURCE_FASTPATH:
		return emit(gen, v, now, EVENT_exit, EXIT_FASTPATH, err);
	case SOURCE_USERSPACE:
		return emit(gen, v, now, EVENT_exit, EXIT_USERSPACE, err);
	default:
		return preempt(gen, v, now, err);
	}
}

static int act(struct gen *gen, uint32_t v, struct xfd_error *err)
{
	struct gen_vcpu *vcpu = &gen->vcpus[v];
	uint64_t now = vcpu->next;
	int ret;

	if (vcpu->state != STATE_RUNNING) {
		/* The replay decides which sleeps are polled through; those cannot end elsewhere.
		 */
		if (vcpu->state != STATE_HALTED && draw_ppm(gen, v, gen->now->migrate_ppm))
			migrate(gen, v);
		ret = come_back(gen, v, now,
				vcpu->state == STATE_HALTED ? EVENT_wake : EVENT_resume, err);
	} else if (now == vcpu->next_tick) {
		vcpu->next_tick = tick_time(gen, ++vcpu->tick);
		ret = emit(gen, v, now, EVENT_exit, EXIT_FASTPATH, err);
		if (!ret)
			ret = emit(gen, v, now, EVENT_exit, EXIT_FASTPATH, err);
	} else if (now == vcpu->next_slice) {
		ret = end_slice(gen, v, now, err);
	} else {
		ret = act_random(gen, v, now, err);
	}
	schedule(gen, v);
	return ret;
}

/* Whoever finds its pCPU taken waits; the others boot. */
static int start_all(struct gen *gen, struct xfd_error *err)
{
	uint32_t nr = gen->options->vcpus, pcpus = gen->options->pcpus;
	struct gen_vcpu *vcpu;
	int ret = 0;

	for (uint32_t p = 0; p < pcpus; p++)
		gen->vcpu_at[p] = p < nr ? (int32_t)p : -1;
	for (uint32_t v = 0; v < nr; v++) {
		vcpu = &gen->vcpus[v];
		vcpu->pcpu = vcpu->last_pcpu = v % pcpus;
		vcpu->state = STATE_QUEUED;
		vcpu->next = NEVER;
		heap_place(gen, v, v);
	}
	for (uint32_t v = 0; v < nr && !ret; v++) {
		if (v >= pcpus) {
			gen->queue[gen->queue_len++] = v;
			continue;
		}
		start_running(gen, v, 0);
		ret = boot(gen, v, 0, err);
		schedule(gen, v);
	}
	return ret;
}

static void set_rates(struct gen *gen)
{
	const struct gen_options *o = gen->now;

	gen->rates[SOURCE_SWITCH] = o->switch_hz;
	gen->rates[SOURCE_SLOW] = o->slow_hz;
	gen->rates[SOURCE_IRQ] = o->irq_hz;
	gen->rates[SOURCE_FASTPATH] = o->fastpath_hz;
	gen->rates[SOURCE_USERSPACE] = o->userspace_hz;
	gen->rates[SOURCE_PREEMPT] = o->preempt_hz;
	gen->total_hz = 0;
	for (uint32_t i = 0; i < NR_SOURCES; i++)
		gen->total_hz += gen->rates[i];
	gen->mean_random = gen->total_hz ? gen->tsc_hz / gen->total_hz : 0;
}

/* Poisson processes have no memory: whoever runs draws its next moment anew. */
static void next_phase(struct gen *gen)
{
	const struct gen_phase *phase;
	uint64_t now = gen->phase_end;

	gen->phase = (gen->phase + 1) % gen->options->nr_phases;
	phase = &gen->options->phases[gen->phase];
	gen->now = &phase->options;
	gen->phase_end = now + phase->ms * gen->options->tsc_khz;
	set_rates(gen);
	for (uint32_t v = 0; v < gen->options->vcpus; v++) {
		if (gen->vcpus[v].state != STATE_RUNNING)
			continue;
		schedule_random(gen, v, now);
		schedule(gen, v);
	}
}

static int run(struct gen *gen, const struct import_progress *progress, struct xfd_error *err)
{
	const struct gen_options *options = gen->options;
	struct gen_vcpu *first;
	int ret = start_all(gen, err);

	for (uint64_t step = 1; !ret && !gen->full; step++) {
		while (gen->vcpus[gen->heap[0]].next > gen->phase_end && gen->phase_end < gen->end)
			next_phase(gen);
		first = &gen->vcpus[gen->heap[0]];
		if (first->next > gen->end)
			break;
		ret = act(gen, gen->heap[0], err);
		if (!progress || step % PROGRESS_STEPS)
			continue;
		if (options->events)
			progress->report(progress->data, "generating", gen->report->events,
					 options->events);
		else
			progress->report(progress->data, "generating", gen->report->cycles,
					 gen->end);
	}
	if (!ret && options->events && !gen->full)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted %" PRIu64 " events; only %" PRIu64
				     " happen within 2^60 cycles: raise the rates",
				     options->events, gen->report->events);
	return ret ? ret : flush(gen, err);
}

void gen_options_init(struct gen_options *options)
{
	*options = (struct gen_options){
		.seed = 1,
		.vcpus = 4,
		.pcpus = 4,
		.tasks = 8,
		.amx_share_ppm = 250000,
		.switch_hz = 5000,
		.idle_ppm = 50000,
		.idle_us = 500,
		.slow_hz = 500,
		.irq_hz = 250,
		.fastpath_hz = 500,
		.userspace_hz = 10,
		.preempt_hz = 20,
		.preempt_n = 2,
		.preempt_a = 1,
		.preempt_k = 1,
		.preempt_us = 2000,
		.migrate_ppm = 100000,
		.slice_us = 3000,
		.duration_ms = 10000,
		.tsc_khz = IMPORT_DEFAULT_TSC_KHZ,
		.hz = IMPORT_DEFAULT_HZ,
	};
}

static int check_range(const char *name, uint64_t value, uint64_t min, uint64_t max,
		       struct xfd_error *err)
{
	if (value >= min && value <= max)
		return 0;
	return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
			     "%s: wanted %" PRIu64 " to %" PRIu64 ", this is %" PRIu64, name, min,
			     max, value);
}

static int check_ranges(const struct gen_options *o, struct xfd_error *err)
{
	const struct {
		const char *name;
		uint64_t value, min, max;
	} rows[] = {
		{"vcpus", o->vcpus, 1, TRACE_MAX_VCPUS},
		{"pcpus", o->pcpus, 1, TRACE_MAX_PCPUS},
		{"tasks a vCPU", o->tasks, 1, GEN_MAX_TASKS},
		{"AMX share in ppm", o->amx_share_ppm, 0, PPM},
		{"idle ppm", o->idle_ppm, 0, PPM},
		{"migration ppm", o->migrate_ppm, 0, PPM},
		{"switches a second", o->switch_hz, 0, GEN_MAX_HZ},
		{"slow exits a second", o->slow_hz, 0, GEN_MAX_HZ},
		{"host interrupts a second", o->irq_hz, 0, GEN_MAX_HZ},
		{"fastpath exits a second", o->fastpath_hz, 0, GEN_MAX_HZ},
		{"userspace exits a second", o->userspace_hz, 0, GEN_MAX_HZ},
		{"preemptions a second", o->preempt_hz, 0, GEN_MAX_HZ},
		{"weight of class N", o->preempt_n, 0, PPM},
		{"weight of class A", o->preempt_a, 0, PPM},
		{"weight of class K", o->preempt_k, 0, PPM},
		{"mean sleep in us", o->idle_us, 0, GEN_MAX_US},
		{"mean absence in us", o->preempt_us, 0, GEN_MAX_US},
		{"time slice in us", o->slice_us, 0, GEN_MAX_US},
		{"events", o->events, 0, INT64_MAX},
		{"duration in ms", o->duration_ms, 0, GEN_MAX_DURATION_MS},
		{"TSC in kHz", o->tsc_khz, 1, 100000000},
		{"ticks a second", o->hz, 0, IMPORT_MAX_HZ},
		{"tasks of all vCPUs", (uint64_t)o->tasks * o->vcpus, 1, GEN_MAX_TASKS},
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !ret; i++)
		ret = check_range(rows[i].name, rows[i].value, rows[i].min, rows[i].max, err);
	return ret;
}

static int check_options(const struct gen_options *o, uint64_t total_hz, struct xfd_error *err)
{
	const char *why = NULL;
	int ret = check_ranges(o, err);

	if (ret)
		return ret;
	if (!o->duration_ms == !o->events)
		why = "wanted either a duration or a number of events";
	else if (o->vcpus > o->pcpus && !o->slice_us)
		why = "more vCPUs than pCPUs need a time slice, or those that wait never run";
	else if (o->preempt_hz && !o->preempt_n && !o->preempt_a && !o->preempt_k)
		why = "preemptions need a class N, A or K with a weight";
	else if (total_hz > o->tsc_khz * 100 || o->hz > o->tsc_khz * 100)
		why = "more than one event in ten cycles: lower the rates or raise the TSC's";
	if (why)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1, "%s", why);
	return 0;
}

static json_t *numbers_json(const struct gen_options *o, bool only_varying)
{
	json_t *json = json_object();

#define XFD_GEN_OPTION(field, wide, varies, arg, doc)                                              \
	if (varies || !only_varying)                                                               \
		json_object_set_new(json, #field, json_integer((json_int_t)o->field));
#include "traces/gen_option_list.h"
#undef XFD_GEN_OPTION
	return json;
}

static char *make_provenance(const struct gen_options *o)
{
	json_t *options = numbers_json(o, false), *json, *phases = json_array();
	char seed[24], *text;

	/* Text, because JSON readers lose digits of a number of 64 bits. */
	snprintf(seed, sizeof(seed), "%" PRIu64, o->seed);
	json_object_set_new(options, "seed", json_string(seed));
	for (size_t i = 0; i < o->nr_phases; i++) {
		json_t *phase = numbers_json(&o->phases[i].options, true);

		json_object_set_new(phase, "ms", json_integer((json_int_t)o->phases[i].ms));
		json_array_append_new(phases, phase);
	}
	json = json_pack("{s:s, s:s, s:o}", "mode", "synthetic", "tool",
			 "xfdsim gen " XFDSIM_VERSION, "options", options);
	if (o->workload)
		json_object_set_new(json, "workload", json_string(o->workload));
	if (o->nr_phases)
		json_object_set(json, "phases", phases);
	json_decref(phases);
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(json);
	return text;
}

static int write_trace(struct gen *gen, const char *out_path,
		       const struct import_progress *progress, struct xfd_error *err)
{
	uint8_t flags[TRACE_MAX_VCPUS] = {0};
	struct trace_info info = {
		.tsc_khz = gen->options->tsc_khz,
		.nr_vcpus = gen->options->vcpus,
		.nr_pcpus = gen->options->pcpus,
		.vcpu_flags = flags,
		.provenance = make_provenance(gen->options),
	};
	int ret;

	if (!info.provenance)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	ret = trace_writer_open(out_path, &info, &gen->writer, err);
	free(info.provenance);
	if (ret)
		return ret;
	ret = run(gen, progress, err);
	if (!ret)
		return trace_writer_commit(gen->writer, err);
	trace_writer_discard(gen->writer);
	return ret;
}

/* Every phase, then the first one is current. */
static int check_phases(struct gen *gen, struct xfd_error *err)
{
	const struct gen_options *options = gen->options;
	int ret;

	for (size_t i = options->nr_phases; i; i--) {
		const struct gen_phase *phase = &options->phases[i - 1];

		if (phase->ms < 1 || phase->ms > GEN_MAX_DURATION_MS)
			return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
					     "a phase of %" PRIu64 " ms; 1 to %d are allowed",
					     phase->ms, GEN_MAX_DURATION_MS);
		gen->now = &phase->options;
		set_rates(gen);
		ret = check_options(gen->now, gen->total_hz, err);
		if (ret)
			return ret;
		gen->phase_end = phase->ms * options->tsc_khz;
	}
	set_rates(gen);
	return check_options(options, gen->total_hz, err);
}

int gen_trace(const struct gen_options *options, const char *out_path, struct gen_report *report,
	      const struct import_progress *progress, struct xfd_error *err)
{
	struct gen *gen = calloc(1, sizeof(*gen));
	uint64_t most = (UINT64_C(1) << 62) / (options->vcpus ? options->vcpus : 1);
	int ret;

	if (!gen)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	memset(report, 0, sizeof(*report));
	gen->options = options;
	gen->report = report;
	gen->tsc_hz = options->tsc_khz * 1000;
	gen->now = options;
	gen->phase_end = NEVER;
	ret = check_phases(gen, err);
	if (ret)
		goto out;
	/* No delta above 2^60 and no sum above 2^63, whatever the rates. */
	if (most > UINT64_C(1) << 60)
		most = UINT64_C(1) << 60;
	gen->end = options->duration_ms ? options->duration_ms * options->tsc_khz : most;
	if (gen->end > most) {
		ret = xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				    "wanted less than 2^62 cycles of all vCPUs together");
		goto out;
	}
	ret = projection_new(&gen->projection, err);
	if (!ret)
		ret = write_trace(gen, out_path, progress, err);
out:
	projection_free(gen->projection);
	free(gen);
	return ret;
}
