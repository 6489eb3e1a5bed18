/* SPDX-License-Identifier: MIT */
#include "sim/engine.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim/automaton.h"

_Static_assert(TRACE_VCPU_NO_AMX == VCPU_NO_AMX, "one meaning");
_Static_assert(TRACE_VCPU_XCR0_DIFFERS == VCPU_XCR0_DIFFERS, "one meaning");
_Static_assert(TRACE_VCPU_SPEC_CTRL_DIFFERS == VCPU_SPEC_CTRL_DIFFERS, "one meaning");

/* Of all runs of one call together, were they alone: 16,384 states are 42 MiB. */
enum { STATES_OF_ALL_RUNS = 16384, STATES_OF_A_RUN_AT_LEAST = 512 };

/* One run under way. */
struct replay {
	struct machine_config config;
	struct machine machine;
	struct run *run;
};

/*
 * A call under way.
 * @group: automata, each over consecutive replays with equal HLT thresholds
 * @first: of each group in @replays; one entry more than groups
 */
struct call {
	struct trace_reader *reader;
	struct replay *replays;
	size_t nr;
	struct automata **group;
	size_t *first;
	size_t nr_groups;
};

void engine_default_options(struct engine_options *options)
{
	*options = (struct engine_options){
		.policy = policy_find("first-nonzero"),
		.kernel = kernel_find("v6.19"),
		.params = {.adaptive_writes = POLICY_ADAPTIVE_WRITES,
			   .adaptive_exits = POLICY_ADAPTIVE_EXITS},
		.halt_poll_us = ENGINE_HALT_POLL_US,
		.idle_init_us = ENGINE_IDLE_INIT_US,
	};
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

int engine_read_options(const struct run *run, struct engine_options *o, struct xfd_error *err)
{
	json_auto_t *root = json_loads(run->options, 0, NULL);
	json_int_t exits, writes, halt, idle;
	json_t *fail, *number;
	const char *vmm;
	size_t i;

	engine_default_options(o);
	o->policy = policy_find(run->policy);
	o->kernel = kernel_find(run->kernel);
	if (!o->policy || !o->kernel ||
	    json_unpack(root, "{sI sI so sI sI ss}", "adaptive_exits", &exits, "adaptive_writes",
			&writes, "fail_alloc", &fail, "halt_poll_us", &halt, "idle_init_us", &idle,
			"vmm", &vmm) ||
	    json_array_size(fail) > ENGINE_MAX_FAIL_GROWTHS)
		return xfd_error_set(err, XFD_ERROR_INPUT, NULL, 0, -1,
				     "this version cannot replay policy %s, kernel %s, options %s",
				     run->policy, run->kernel, run->options);
	o->params.adaptive_exits = (uint32_t)exits;
	o->params.adaptive_writes = (uint32_t)writes;
	o->halt_poll_us = (uint64_t)halt;
	o->idle_init_us = (uint64_t)idle;
	o->vmm_returns = !strcmp(vmm, "return");
	json_array_foreach(fail, i, number)
	{
		o->fail_growths[o->nr_fail_growths++] = (uint64_t)json_integer_value(number);
	}
	return 0;
}

/* Microseconds of the trace's clock; saturates, so that "never" can be said with a big number. */
static uint64_t us_to_cycles(uint64_t us, uint64_t tsc_khz)
{
	return us > UINT64_MAX / tsc_khz ? UINT64_MAX : us * tsc_khz / 1000;
}

void engine_machine_config(const struct engine_options *o, const struct trace_info *info,
			   struct machine_config *config)
{
	*config = (struct machine_config){
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
}

static int replay_init(struct replay *r, const struct engine_options *o,
		       const struct trace_info *info, struct run *run)
{
	r->run = run;
	engine_machine_config(o, info, &r->config);
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

static int no_memory(struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
}

/* The reference: every event of a block through the model. */
static int replay_block(struct replay *r, const struct trace_reader *reader,
			const struct trace_event *events, size_t nr, struct xfd_error *err)
{
	struct machine_result result;

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
			return no_memory(err);
	}
	return 0;
}

/* The same by automaton, for one group of runs; @block becomes whole when a digest is not enough.
 */
static int replay_group(struct call *c, size_t group, const struct trace_block **block,
			struct xfd_error *err)
{
	struct automata *automata = c->group[group];
	struct automata_refusal refusal;
	const struct trace_event *events;
	int ret = automata_block(automata, *block, &refusal);
	int bad;

	if (ret == -EAGAIN) {
		ret = trace_reader_expand(c->reader, block, err);
		if (ret)
			return ret;
		ret = automata_block(automata, *block, &refusal);
	}
	if (ret == -ENOMEM)
		return no_memory(err);
	if (!ret && !automata_has_stopped(automata))
		return 0;
	bad = trace_reader_block_events(c->reader, &events, err);
	if (bad)
		return bad;
	if (ret)
		return refuse(c->reader, &c->replays[c->first[group] + refusal.run],
			      &events[refusal.index], refusal.index, refusal.status, err);
	automata_skip(automata, events, (*block)->nr);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Runs of a group advance together, so each gets an equal part of the time. */
static int replay_groups(struct call *c, const struct trace_block *block, struct xfd_error *err)
{
	for (size_t i = 0; i < c->nr_groups; i++) {
		size_t nr = c->first[i + 1] - c->first[i];
		uint64_t begin = now_ns(), each;
		int ret = replay_group(c, i, &block, err);

		if (ret)
			return ret;
		each = (now_ns() - begin) / nr;
		for (size_t k = c->first[i]; k < c->first[i + 1]; k++)
			c->replays[k].run->duration_ns += each;
	}
	return 0;
}

static int replay_reference(struct call *c, const struct trace_event *events, size_t nr,
			    struct xfd_error *err)
{
	for (size_t i = 0; i < c->nr; i++) {
		uint64_t begin = now_ns();
		int ret = replay_block(&c->replays[i], c->reader, events, nr, err);

		if (ret)
			return ret;
		c->replays[i].run->duration_ns += now_ns() - begin;
	}
	return 0;
}

static bool same_thresholds(const struct replay *a, const struct replay *b)
{
	return a->config.halt_poll_cycles == b->config.halt_poll_cycles &&
	       a->config.idle_init_cycles == b->config.idle_init_cycles;
}

static int make_groups(struct call *c, const struct engine_options *options)
{
	uint32_t share = (uint32_t)(STATES_OF_ALL_RUNS / c->nr);

	share = share < STATES_OF_A_RUN_AT_LEAST ? STATES_OF_A_RUN_AT_LEAST
		: share > AUTOMATON_MAX_STATES   ? AUTOMATON_MAX_STATES
						 : share;
	c->group = calloc(c->nr, sizeof(struct automata *));
	c->first = calloc(c->nr + 1, sizeof(*c->first));
	if (!c->group || !c->first)
		return -ENOMEM;
	for (size_t i = 0; i < c->nr;) {
		struct automaton_run runs[AUTOMATA_MAX_RUNS];
		size_t nr = 0;

		c->first[c->nr_groups] = i;
		for (; i < c->nr && nr < AUTOMATA_MAX_RUNS &&
		       same_thresholds(&c->replays[i], &c->replays[i - nr]);
		     i++, nr++)
			runs[nr] = (struct automaton_run){
				.machine = &c->replays[i].machine,
				.ledger = &c->replays[i].run->ledger,
			};
		c->group[c->nr_groups] = automata_new(
			runs, nr, options[i - 1].max_states ? options[i - 1].max_states : share);
		if (!c->group[c->nr_groups++])
			return -ENOMEM;
		c->first[c->nr_groups] = i;
	}
	return 0;
}

static void finish_groups(struct call *c)
{
	for (size_t i = 0; i < c->nr_groups; i++) {
		automata_finish(c->group[i]);
		for (size_t k = c->first[i]; k < c->first[i + 1]; k++) {
			struct automaton_stats stats = automata_stats(c->group[i], k - c->first[i]);

			c->replays[k].run->states = stats.states;
			c->replays[k].run->digested = stats.whole;
			c->replays[k].run->overflowed = stats.overflowed;
		}
	}
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

static int next(struct call *c, size_t *nr, struct xfd_error *err)
{
	const struct trace_event *events;
	const struct trace_block *block;
	int ret;

	*nr = 0;
	if (!c->nr_groups) {
		ret = trace_reader_next(c->reader, &events, nr, err);
		return ret || !*nr ? ret : replay_reference(c, events, *nr, err);
	}
	ret = trace_reader_next_digest(c->reader, &block, err);
	if (ret || !block)
		return ret;
	*nr = block->nr_events;
	return replay_groups(c, block, err);
}

static int replay_all(struct call *c, struct engine_trace *trace, engine_progress_fn *progress,
		      void *data, struct xfd_error *err)
{
	size_t nr;
	int ret;

	while (!(ret = next(c, &nr, err)) && nr) {
		trace->nr_events += nr;
		if (progress) {
			uint64_t done, total;

			trace_reader_progress(c->reader, &done, &total);
			progress(data, done, total);
		}
	}
	if (!ret)
		finish_groups(c);
	return ret;
}

int engine_replay(const char *path, const struct engine_options *options, size_t nr,
		  struct run *runs, struct engine_trace *trace, engine_progress_fn *progress,
		  void *data, struct xfd_error *err)
{
	struct call c = {.replays = calloc(nr, sizeof(*c.replays)), .nr = nr};
	int ret;

	*trace = (struct engine_trace){0};
	memset(runs, 0, nr * sizeof(*runs));
	if (!c.replays)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	ret = trace_reader_open(path, &c.reader, err);
	if (ret)
		goto out;
	ret = copy_info(&trace->info, trace_reader_info(c.reader));
	for (size_t i = 0; i < nr && !ret; i++)
		ret = replay_init(&c.replays[i], &options[i], &trace->info, &runs[i]);
	if (!ret && options[0].engine == ENGINE_AUTOMATON)
		ret = make_groups(&c, options);
	if (!ret)
		ret = replay_all(&c, trace, progress, data, err);
	if (ret)
		goto out;
	trace_reader_hash(c.reader, trace->hash);
	for (size_t i = 0; i < nr && !ret; i++) {
		memcpy(runs[i].trace_hash, trace->hash, sizeof(trace->hash));
		ret = ledger_finish(&runs[i].ledger, &c.replays[i].machine);
	}
out:
	if (ret)
		xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
	for (size_t i = 0; i < c.nr_groups; i++)
		automata_free(c.group[i]);
	free(c.group);
	free(c.first);
	for (size_t i = 0; i < nr; i++) {
		free(c.replays[i].machine.pcpus);
		free(c.replays[i].machine.vcpus);
		if (ret)
			engine_release_run(&runs[i]);
	}
	if (ret)
		engine_release_trace(trace);
	trace_reader_close(c.reader);
	free(c.replays);
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
