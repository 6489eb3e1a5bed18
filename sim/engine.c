/* SPDX-License-Identifier: MIT */
#include "sim/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

_Static_assert(TRACE_VCPU_NO_AMX == VCPU_NO_AMX, "one meaning");
_Static_assert(TRACE_VCPU_XCR0_DIFFERS == VCPU_XCR0_DIFFERS, "one meaning");
_Static_assert(TRACE_VCPU_SPEC_CTRL_DIFFERS == VCPU_SPEC_CTRL_DIFFERS, "one meaning");

/* One run under way. */
struct replay {
	struct machine_config config;
	struct machine machine;
	struct run *run;
};

void engine_default_options(struct engine_options *options)
{
	const struct kernel *kernel;

	*options = (struct engine_options){
		.policy = policy_find("first-nonzero"),
		.params = {.adaptive_writes = POLICY_ADAPTIVE_WRITES,
			   .adaptive_exits = POLICY_ADAPTIVE_EXITS},
		.halt_poll_us = ENGINE_HALT_POLL_US,
		.idle_init_us = ENGINE_IDLE_INIT_US,
	};
	for (size_t i = 0; (kernel = kernel_at(i)); i++)
		options->kernel = kernel;
}

/* What the run's identity covers beside policy and kernel; keys sorted, one line. */
static char *options_json(const struct engine_options *o)
{
	json_auto_t *fail = json_array(), *root = NULL;

	for (size_t i = 0; i < o->nr_fail_growths; i++)
		if (json_array_append_new(fail, json_integer((json_int_t)o->fail_growths[i])))
			return NULL;
	root = json_pack("{sI sI sO sI sI ss}", "adaptive_exits",
			 (json_int_t)o->params.adaptive_exits, "adaptive_writes",
			 (json_int_t)o->params.adaptive_writes, "fail_alloc", fail, "halt_poll_us",
			 (json_int_t)o->halt_poll_us, "idle_init_us", (json_int_t)o->idle_init_us,
			 "vmm", o->vmm_returns ? "return" : "stop");
	return root ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

/* Microseconds of the trace's clock; saturates, so that "never" can be said with a big number. */
static uint64_t us_to_cycles(uint64_t us, uint64_t tsc_khz)
{
	return us > UINT64_MAX / tsc_khz ? UINT64_MAX : us * tsc_khz / 1000;
}

static int replay_init(struct replay *r, const struct engine_options *o,
		       const struct trace_info *info, struct run *run)
{
	r->run = run;
	r->config = (struct machine_config){
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
	r->machine = (struct machine){
		.pcpus = calloc(info->nr_pcpus, sizeof(struct pcpu)),
		.vcpus = calloc(info->nr_vcpus, sizeof(struct vcpu)),
		.nr_pcpus = info->nr_pcpus,
		.nr_vcpus = info->nr_vcpus,
	};
	*run = (struct run){
		.policy = o->policy->name,
		.kernel = o->kernel->name,
		.options = options_json(o),
	};
	if (!r->machine.pcpus || !r->machine.vcpus || !run->options)
		return -ENOMEM;
	machine_init(&r->machine, &r->config, info->vcpu_flags);
	return 0;
}

/* Say which event, where, under which policy, and why. */
static int refuse(const struct trace_reader *reader, const struct replay *r,
		  const struct trace_event *event, size_t index, enum machine_status status,
		  struct xfd_error *err)
{
	struct xfd_error where = {.offset = -1};

	trace_reader_locate(reader, index, &where);
	return xfd_error_set(err, XFD_ERROR_INPUT, where.source, where.line, where.offset,
			     "%s of vCPU %" PRIu32 " cannot happen (policy %s, kernel %s): %s",
			     event_name(event->kind), event->vcpu, r->run->policy, r->run->kernel,
			     machine_status_text(status));
}

static int replay_block(struct replay *r, const struct trace_reader *reader,
			const struct trace_event *events, size_t nr, struct xfd_error *err)
{
	struct machine_result result;
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (size_t i = 0; i < nr; i++) {
		enum machine_status status = machine_event(&r->machine, &events[i], &result);
		int ret;

		if (status != MACHINE_OK && status != MACHINE_SKIPPED)
			return refuse(reader, r, &events[i], i, status, err);
		ret = ledger_add(&r->run->ledger, &events[i], &result, status == MACHINE_SKIPPED);
		if (ret == -EOVERFLOW) {
			struct xfd_error where = {.offset = -1};

			trace_reader_locate(reader, i, &where);
			return xfd_error_set(err, XFD_ERROR_INPUT, where.source, where.line,
					     where.offset, "guest time passes 2^63 cycles here");
		}
		if (ret)
			return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	r->run->duration_ns += (uint64_t)((end.tv_sec - begin.tv_sec) * 1000000000L +
					  (end.tv_nsec - begin.tv_nsec));
	return 0;
}

static int copy_info(struct trace_info *to, const struct trace_info *from)
{
	*to = *from;
	to->vcpu_flags = malloc(from->nr_vcpus);
	to->provenance = strdup(from->provenance);
	if (!to->vcpu_flags || !to->provenance)
		return -ENOMEM;
	memcpy(to->vcpu_flags, from->vcpu_flags, from->nr_vcpus);
	return 0;
}

static int replay_all(struct trace_reader *reader, struct replay *replays, size_t nr,
		      struct engine_trace *trace, engine_progress_fn *progress, void *data,
		      struct xfd_error *err)
{
	const struct trace_event *events;
	size_t nr_events;
	int ret;

	while (!(ret = trace_reader_next(reader, &events, &nr_events, err)) && nr_events) {
		for (size_t i = 0; i < nr; i++) {
			ret = replay_block(&replays[i], reader, events, nr_events, err);
			if (ret)
				return ret;
		}
		trace->nr_events += nr_events;
		if (progress) {
			uint64_t done, total;

			trace_reader_progress(reader, &done, &total);
			progress(data, done, total);
		}
	}
	return ret;
}

int engine_replay(const char *path, const struct engine_options *options, size_t nr,
		  struct run *runs, struct engine_trace *trace, engine_progress_fn *progress,
		  void *data, struct xfd_error *err)
{
	struct replay *replays = calloc(nr, sizeof(*replays));
	struct trace_reader *reader = NULL;
	int ret;

	*trace = (struct engine_trace){0};
	memset(runs, 0, nr * sizeof(*runs));
	if (!replays)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	ret = trace_reader_open(path, &reader, err);
	if (ret)
		goto out;
	ret = copy_info(&trace->info, trace_reader_info(reader));
	for (size_t i = 0; i < nr && !ret; i++)
		ret = replay_init(&replays[i], &options[i], &trace->info, &runs[i]);
	if (!ret)
		ret = replay_all(reader, replays, nr, trace, progress, data, err);
	if (ret)
		goto out;
	trace_reader_hash(reader, trace->hash);
	for (size_t i = 0; i < nr && !ret; i++) {
		memcpy(runs[i].trace_hash, trace->hash, sizeof(trace->hash));
		ret = ledger_finish(&runs[i].ledger, &replays[i].machine);
	}
out:
	if (ret)
		xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	for (size_t i = 0; i < nr; i++) {
		free(replays[i].machine.pcpus);
		free(replays[i].machine.vcpus);
		if (ret)
			engine_release_run(&runs[i]);
	}
	if (ret)
		engine_release_trace(trace);
	trace_reader_close(reader);
	free(replays);
	return ret;
}

void engine_release_run(struct run *run)
{
	free((char *)run->options);
	ledger_release(&run->ledger);
	memset(run, 0, sizeof(*run));
}

void engine_release_trace(struct engine_trace *trace)
{
	free(trace->info.vcpu_flags);
	free(trace->info.provenance);
	memset(trace, 0, sizeof(*trace));
}
