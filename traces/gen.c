/* SPDX-License-Identifier: MIT */
/*
 * Epochs are made by all threads and written in order by the caller's. Enough of them are under
 * way that nobody waits; each keeps its memory for the next one.
 */
#include "traces/gen.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/gen_epoch.h"
#include "traces/pool.h"

enum { PPM = 1000000 };

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
		{"new tasks a second", o->spawn_hz, 0, GEN_MAX_HZ},
		{"reads of XFD a second", o->rdxfd_hz, 0, GEN_MAX_HZ},
		{"TS faults a second", o->tsfault_hz, 0, GEN_MAX_HZ},
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
		{"threads", o->threads, 0, POOL_MAX_THREADS},
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !ret; i++)
		ret = check_range(rows[i].name, rows[i].value, rows[i].min, rows[i].max, err);
	return ret;
}

static int check_options(const struct gen_options *o, struct xfd_error *err)
{
	uint64_t total_hz = (uint64_t)o->switch_hz + o->slow_hz + o->irq_hz + o->fastpath_hz +
			    o->userspace_hz + o->spawn_hz + o->rdxfd_hz + o->tsfault_hz +
			    o->preempt_hz;
	const char *why = NULL;
	int ret = check_ranges(o, err);

	if (ret)
		return ret;
	if (!o->duration_ms == !o->events)
		why = "wanted either a duration (--duration-ms) or a number of events (--events)";
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
	if (o->parts > 1)
		json_object_set_new(json, "part",
				    json_sprintf("%" PRIu32 "/%" PRIu32, o->part, o->parts));
	json_decref(phases);
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(json);
	return text;
}

/* Every phase, and the whole. */
static int check_all(const struct gen_options *options, struct xfd_error *err)
{
	int ret = check_options(options, err);

	for (size_t i = 0; i < options->nr_phases && !ret; i++) {
		const struct gen_phase *phase = &options->phases[i];

		ret = check_range("ms of a phase", phase->ms, 1, GEN_MAX_DURATION_MS, err);
		if (!ret)
			ret = check_options(&phase->options, err);
	}
	if (ret || options->parts < 2)
		return ret;
	if (options->events)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "a part is one of a duration, not of a number of events");
	return check_range("part", options->part, 1, options->parts, err);
}

/* An epoch under way. */
struct slot {
	struct pool_job job;
	struct gen_epoch *epoch;
	uint64_t index;
	uint64_t limit;
	bool fine;
};

/*
 * @next:  the epoch that is to be written next, before @last
 * @slots: epoch i is made in slot i mod @nr_slots
 */
struct gen {
	const struct gen_options *options;
	struct gen_report *report;
	struct trace_writer *writer;
	struct gen_plan plan;
	struct pool *pool;
	uint64_t next;
	uint64_t last;
	unsigned int nr_slots;
	struct slot *slots;
};

static int no_memory(struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
}

static void make_epoch(void *arg)
{
	struct slot *slot = arg;

	slot->fine = gen_epoch_make(slot->epoch, slot->index, slot->limit);
}

/* How many events are still wanted. */
static uint64_t events_left(const struct gen *gen)
{
	return gen->options->events ? gen->options->events - gen->report->events : UINT64_MAX;
}

static void submit(struct gen *gen, uint64_t index)
{
	struct slot *slot = &gen->slots[index % gen->nr_slots];

	if (index >= gen->last)
		return;
	slot->index = index;
	slot->limit = events_left(gen);
	pool_submit(gen->pool, &slot->job);
}

/* The next epoch in order. It was made before it was known how many events precede it. */
static int write_epoch(struct gen *gen, struct xfd_error *err)
{
	struct slot *slot = &gen->slots[gen->next % gen->nr_slots];
	const struct trace_columns *columns = gen_epoch_columns(slot->epoch);

	pool_wait(gen->pool, &slot->job);
	if (slot->fine && columns->nr > events_left(gen))
		slot->fine = gen_epoch_make(slot->epoch, slot->index, events_left(gen));
	if (!slot->fine)
		return no_memory(err);
	gen_epoch_count(slot->epoch, gen->report);
	return trace_writer_put_columns(gen->writer, columns, err);
}

static int run(struct gen *gen, const struct import_progress *progress, struct xfd_error *err)
{
	uint64_t first = gen->next, all = gen->options->events;
	int ret = 0;

	for (unsigned int i = 0; i < gen->nr_slots; i++)
		submit(gen, first + i);
	while (gen->next < gen->last && events_left(gen) && !ret) {
		ret = write_epoch(gen, err);
		if (!ret)
			submit(gen, gen->next + gen->nr_slots);
		gen->next++;
		if (progress && all)
			progress->report(progress->data, "generating", gen->report->events, all);
		else if (progress)
			progress->report(progress->data, "generating", gen->next - first,
					 gen->last - first);
	}
	/* Those under way are for nobody. */
	for (unsigned int i = 0; i < gen->nr_slots; i++, gen->next++)
		if (gen->next < gen->last)
			pool_wait(gen->pool, &gen->slots[gen->next % gen->nr_slots].job);
	if (!ret && all && events_left(gen))
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted %" PRIu64 " events; only %" PRIu64
				     " happen within 2^60 cycles: raise the rates",
				     all, gen->report->events);
	return ret;
}

static int write_trace(struct gen *gen, const char *out_path,
		       const struct import_progress *progress, struct xfd_error *err)
{
	uint8_t flags[TRACE_MAX_VCPUS] = {0};
	struct trace_info info = {
		.tsc_khz = gen->options->tsc_khz,
		.nr_vcpus = gen->options->vcpus,
		.nr_pcpus = gen->options->pcpus,
		.armed_start = gen->next > 0,
		.vcpu_flags = flags,
		.provenance = make_provenance(gen->options),
	};
	int ret;

	if (!info.provenance)
		return no_memory(err);
	ret = trace_writer_open(out_path, &info, &gen->writer, err);
	free(info.provenance);
	if (ret)
		return ret;
	ret = trace_writer_use_pool(gen->writer, gen->pool, err);
	if (!ret)
		ret = run(gen, progress, err);
	if (!ret)
		return trace_writer_commit(gen->writer, err);
	trace_writer_discard(gen->writer);
	return ret;
}

/* Which epochs: all, or those of a part. */
static int choose_epochs(struct gen *gen, struct xfd_error *err)
{
	uint64_t nr = gen->plan.nr_epochs, parts = gen->options->parts, part = gen->options->part;

	gen->last = nr;
	if (parts < 2)
		return 0;
	if (parts > nr)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted %" PRIu64 " parts; this trace has %" PRIu64
				     " epochs of %" PRIu64 " ms, which are not cut",
				     parts, nr, gen->plan.epoch_cycles / gen->options->tsc_khz);
	gen->next = (uint64_t)((gen_wide)nr * (part - 1) / parts);
	gen->last = (uint64_t)((gen_wide)nr * part / parts);
	return 0;
}

static int start(struct gen *gen, struct xfd_error *err)
{
	unsigned int threads = gen->options->threads ? gen->options->threads : 1;

	gen->pool = pool_new(threads);
	gen->nr_slots = threads == 1 ? 1 : threads + 1;
	gen->slots = calloc(gen->nr_slots, sizeof(*gen->slots));
	if (!gen->pool || !gen->slots)
		return no_memory(err);
	for (unsigned int i = 0; i < gen->nr_slots; i++) {
		struct slot *slot = &gen->slots[i];

		slot->job = (struct pool_job){.run = make_epoch, .arg = slot};
		slot->epoch = gen_epoch_new(&gen->plan);
		if (!slot->epoch)
			return no_memory(err);
	}
	return 0;
}

int gen_trace(const struct gen_options *options, const char *out_path, struct gen_report *report,
	      const struct import_progress *progress, struct xfd_error *err)
{
	struct gen gen = {.options = options, .report = report};
	uint64_t most = (UINT64_C(1) << 62) / (options->vcpus ? options->vcpus : 1), end;
	int ret = check_all(options, err);

	memset(report, 0, sizeof(*report));
	if (ret)
		return ret;
	/* No delta above 2^60 and no sum above 2^63, whatever the rates. */
	if (most > UINT64_C(1) << 60)
		most = UINT64_C(1) << 60;
	end = options->duration_ms ? options->duration_ms * options->tsc_khz : most;
	if (end > most)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted less than 2^62 cycles of all vCPUs together");
	ret = gen_plan_init(&gen.plan, options, end) ? choose_epochs(&gen, err) : no_memory(err);
	if (!ret)
		ret = start(&gen, err);
	if (!ret)
		ret = write_trace(&gen, out_path, progress, err);
	for (unsigned int i = 0; gen.slots && i < gen.nr_slots; i++)
		gen_epoch_free(gen.slots[i].epoch);
	free(gen.slots);
	pool_free(gen.pool);
	gen_plan_release(&gen.plan);
	return ret;
}
