/* SPDX-License-Identifier: MIT */
/*
 * Epochs are made by all threads and written in order by the caller's. Enough of them are under
 * way that nobody waits; each keeps its memory for the next one.
 */
#include "traces/gen.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
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

/* Of each vCPU, so that all of them together stay below 2^62. */
static uint64_t most_cycles(const struct gen_options *o)
{
	uint64_t most = (UINT64_C(1) << 62) / (o->vcpus ? o->vcpus : 1);

	return most < UINT64_C(1) << 60 ? most : UINT64_C(1) << 60;
}

__attribute__((format(printf, 3, 4))) static bool blame(struct gen_fault *fault, const char *field,
							const char *fmt, ...)
{
	va_list args;

	fault->field = field;
	va_start(args, fmt);
	vsnprintf(fault->text, sizeof(fault->text), fmt, args);
	va_end(args);
	return false;
}

/* @other is as much at fault as the field that is blamed. */
static struct gen_fault *fault_or(struct gen_fault *fault, const char *other)
{
	fault->other = other;
	return fault;
}

static bool in_range(const char *field, uint64_t value, uint64_t min, uint64_t max,
		     struct gen_fault *fault)
{
	if (value >= min && value <= max)
		return true;
	return blame(fault, field, "wanted %" PRIu64 " to %" PRIu64 ", this is %" PRIu64, min, max,
		     value);
}

static bool are_in_range(const struct gen_options *o, struct gen_fault *fault)
{
#define ROW(field, min, max)                                                                       \
	{                                                                                          \
#field, o->field, min, max                                                         \
	}
	const struct {
		const char *field;
		uint64_t value, min, max;
	} rows[] = {
		ROW(vcpus, 1, TRACE_MAX_VCPUS),
		ROW(pcpus, 1, TRACE_MAX_PCPUS),
		ROW(tasks, 1, GEN_MAX_TASKS),
		ROW(amx_share_ppm, 0, PPM),
		ROW(idle_ppm, 0, PPM),
		ROW(migrate_ppm, 0, PPM),
		ROW(switch_hz, 0, GEN_MAX_HZ),
		ROW(slow_hz, 0, GEN_MAX_HZ),
		ROW(irq_hz, 0, GEN_MAX_HZ),
		ROW(fastpath_hz, 0, GEN_MAX_HZ),
		ROW(userspace_hz, 0, GEN_MAX_HZ),
		ROW(spawn_hz, 0, GEN_MAX_HZ),
		ROW(rdxfd_hz, 0, GEN_MAX_HZ),
		ROW(tsfault_hz, 0, GEN_MAX_HZ),
		ROW(preempt_hz, 0, GEN_MAX_HZ),
		ROW(preempt_n, 0, PPM),
		ROW(preempt_a, 0, PPM),
		ROW(preempt_k, 0, PPM),
		ROW(idle_us, 0, GEN_MAX_US),
		ROW(preempt_us, 0, GEN_MAX_US),
		ROW(slice_us, 0, GEN_MAX_US),
		ROW(events, 0, INT64_MAX),
		ROW(duration_ms, 0, GEN_MAX_DURATION_MS),
		ROW(tsc_khz, 1, 100000000),
		ROW(hz, 0, IMPORT_MAX_HZ),
		ROW(threads, 0, POOL_MAX_THREADS),
	};
#undef ROW
	bool fine = true;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && fine; i++)
		fine = in_range(rows[i].field, rows[i].value, rows[i].min, rows[i].max, fault);
	return fine;
}

/* At most one event in ten cycles of a vCPU; the greatest rate is to blame. */
static bool rates_fit(const struct gen_options *o, struct gen_fault *fault)
{
	const struct {
		const char *field;
		uint64_t hz;
	} rates[] = {
		{"switch_hz", o->switch_hz},   {"slow_hz", o->slow_hz},
		{"irq_hz", o->irq_hz},         {"fastpath_hz", o->fastpath_hz},
		{"spawn_hz", o->spawn_hz},     {"userspace_hz", o->userspace_hz},
		{"rdxfd_hz", o->rdxfd_hz},     {"tsfault_hz", o->tsfault_hz},
		{"preempt_hz", o->preempt_hz},
	};
	uint64_t most = o->tsc_khz * 100, total = 0;
	size_t top = 0;

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		total += rates[i].hz;
		top = rates[i].hz > rates[top].hz ? i : top;
	}
	if (total > most)
		return blame(fault_or(fault, "tsc_khz"), rates[top].field,
			     "wanted at most %" PRIu64 " of all rates together, one event "
			     "in ten cycles of the clock; they are %" PRIu64,
			     most, total);
	if (o->hz > most)
		return blame(fault_or(fault, "tsc_khz"), "hz",
			     "wanted at most %" PRIu64 " ticks a second, one in ten cycles "
			     "of the clock, not %" PRIu32,
			     most, o->hz);
	return true;
}

static bool are_fine(const struct gen_options *o, struct gen_fault *fault)
{
	if (!are_in_range(o, fault))
		return false;
	if (!o->duration_ms == !o->events)
		return blame(fault_or(fault, "duration_ms"), "events",
			     "wanted a number of events or a duration; %s",
			     o->events ? "there are both" : "both are 0");
	if ((uint64_t)o->tasks * o->vcpus > GEN_MAX_TASKS)
		return blame(fault_or(fault, "vcpus"), "tasks",
			     "wanted at most %d tasks of all vCPUs together, %" PRIu64
			     " are too many",
			     GEN_MAX_TASKS, (uint64_t)o->tasks * o->vcpus);
	if (o->vcpus > o->pcpus && !o->slice_us)
		return blame(fault, "slice_us",
			     "wanted at least 1: there are more vCPUs than pCPUs, and those that "
			     "wait would never run");
	if (o->preempt_hz && !o->preempt_n && !o->preempt_a && !o->preempt_k)
		return blame(fault, "preempt_hz",
			     "wanted 0, or a weight for class N, A or K; all are 0");
	/* No delta above 2^60 and no sum above 2^62, whatever the rates. */
	if (o->duration_ms > most_cycles(o) / o->tsc_khz)
		return blame(fault, "duration_ms",
			     "wanted less than 2^62 cycles of all vCPUs together");
	return rates_fit(o, fault);
}

/* Every phase, and the whole. */
bool gen_options_fine(const struct gen_options *options, struct gen_fault *fault)
{
	bool fine;

	*fault = (struct gen_fault){0};
	fine = are_fine(options, fault);
	for (size_t i = 0; i < options->nr_phases && fine; i++) {
		const struct gen_phase *phase = &options->phases[i];

		fault->phase = i + 1;
		fine = in_range("ms", phase->ms, 1, GEN_MAX_DURATION_MS, fault) &&
		       are_fine(&phase->options, fault);
	}
	if (fine)
		fault->phase = 0;
	return fine;
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

static bool check_all(const struct gen_options *options, struct gen_fault *fault)
{
	if (!gen_options_fine(options, fault))
		return false;
	if (options->parts < 2)
		return true;
	if (options->events)
		return blame(fault, "part",
			     "wanted a duration to have parts of, not a number of events");
	if (options->part < 1 || options->part > options->parts)
		return blame(fault, "part", "wanted 1 to %" PRIu32 ", this is %" PRIu32,
			     options->parts, options->part);
	return true;
}

/* What was said of a fault, as an error. */
static int refuse(const struct gen_fault *fault, struct xfd_error *err)
{
	if (fault->phase)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1, "phase %zu: %s: %s",
				     fault->phase, fault->field, fault->text);
	return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1, "%s: %s", fault->field,
			     fault->text);
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
	if (!ret && all && events_left(gen)) {
		blame(&gen->report->fault, "events",
		      "wanted %" PRIu64 "; only %" PRIu64
		      " happen within 2^60 cycles: raise the rates",
		      all, gen->report->events);
		return -EINVAL;
	}
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
static int choose_epochs(struct gen *gen)
{
	uint64_t nr = gen->plan.nr_epochs, parts = gen->options->parts, part = gen->options->part;

	gen->last = nr;
	if (parts < 2)
		return 0;
	if (parts > nr) {
		blame(&gen->report->fault, "part",
		      "wanted %" PRIu64 " parts; this trace has %" PRIu64 " epochs of %" PRIu64
		      " ms, which are not cut",
		      parts, nr, gen->plan.epoch_cycles / gen->options->tsc_khz);
		return -EINVAL;
	}
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
	uint64_t end;
	int ret;

	memset(report, 0, sizeof(*report));
	if (!check_all(options, &report->fault))
		return refuse(&report->fault, err);
	end = options->duration_ms ? options->duration_ms * options->tsc_khz : most_cycles(options);
	ret = gen_plan_init(&gen.plan, options, end) ? choose_epochs(&gen) : no_memory(err);
	if (!ret)
		ret = start(&gen, err);
	if (!ret)
		ret = write_trace(&gen, out_path, progress, err);
	for (unsigned int i = 0; gen.slots && i < gen.nr_slots; i++)
		gen_epoch_free(gen.slots[i].epoch);
	free(gen.slots);
	pool_free(gen.pool);
	gen_plan_release(&gen.plan);
	return report->fault.field ? refuse(&report->fault, err) : ret;
}
