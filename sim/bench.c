/* SPDX-License-Identifier: MIT */
#include "sim/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "sim/automaton.h"
#include "sim/engine.h"
#include "sim/naive.h"

enum { MAX_REPEAT = 101, REFERENCE_EVENTS = 1 << 20 };

/* @digest: of @block; NULL when the file has none */
struct bench_block {
	struct trace_block *block, *digest;
};

/*
 * @blocks: the trace as columns and digests, each with memory of its own
 * @options: NAIVE_POLICY first, then all other policies
 * @sink:    keeps sums from being optimised away
 */
struct bench {
	const char *path;
	const struct cost_profile *profile;
	struct trace_info info;
	struct trace_event *events;
	size_t nr_events;
	struct bench_block *blocks;
	size_t nr_blocks;
	struct engine_options options[AUTOMATA_MAX_RUNS];
	size_t nr_policies;
	struct block_builder *builder;
	struct bench_result *result;
	volatile uint64_t sink;
};

static const struct {
	const char *name;
	size_t nr_runs;
	const char *meaning;
} rows[] = {
#define XFD_BENCH(symbol, runs, meaning) {#symbol, runs, meaning},
#include "sim/bench_list.h"
#undef XFD_BENCH
};

const char *bench_row_name(enum bench_row row)
{
	return rows[row].name;
}

const char *bench_row_meaning(enum bench_row row)
{
	return rows[row].meaning;
}

static int no_memory(struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- the trace in memory ---- */

static void *copy_column(uint8_t **to, const void *from, size_t size)
{
	void *column = *to;

	if (!from)
		return NULL;
	memcpy(column, from, size);
	*to += size;
	return column;
}

/* With its columns behind it, those of wide numbers first. */
static struct trace_block *copy_block(const struct trace_block *from)
{
	size_t nr = block_nr_vcpus(from);
	size_t args = from->nr_args * sizeof(*from->args), times = nr * sizeof(*from->times),
	       vcpus = nr * sizeof(*from->vcpus);
	struct trace_block *to = malloc(sizeof(*from) + args + times + vcpus + from->nr);
	uint8_t *at = (uint8_t *)(to + 1);

	if (!to)
		return NULL;
	*to = *from;
	to->args = copy_column(&at, from->args, args);
	to->times = copy_column(&at, from->times, times);
	to->vcpus = copy_column(&at, from->vcpus, vcpus);
	to->tags = copy_column(&at, from->tags, from->nr);
	return to;
}

/* The block that the reader has given, or its digest; then both are copied, and its events. */
static int keep_block(struct bench *b, struct trace_reader *reader, const struct trace_block *block,
		      struct xfd_error *err)
{
	struct bench_block *to = &b->blocks[b->nr_blocks++];
	const struct trace_event *events;
	int ret = 0;

	if (block->times) {
		to->digest = copy_block(block);
		if (!to->digest)
			return no_memory(err);
		ret = trace_reader_expand(reader, &block, err);
	}
	if (!ret)
		ret = trace_reader_block_events(reader, &events, err);
	if (ret)
		return ret;
	to->block = copy_block(block);
	if (!to->block)
		return no_memory(err);
	memcpy(b->events + b->nr_events, events, block->nr * sizeof(*events));
	b->nr_events += block->nr;
	return 0;
}

/* The first @max events of the file, as records and as columns. */
static int load(struct bench *b, size_t max, struct trace_reader *reader, struct xfd_error *err)
{
	size_t max_blocks = max / TRACE_BLOCK_EVENTS + 1;
	const struct trace_block *block;
	bool full = false;
	int ret;

	b->events = malloc(max_blocks * TRACE_BLOCK_EVENTS * sizeof(*b->events));
	b->blocks = calloc(max_blocks, sizeof(*b->blocks));
	b->builder = malloc(sizeof(*b->builder));
	if (!b->events || !b->blocks || !b->builder)
		return no_memory(err);
	block_builder_init(b->builder, b->info.tsc_khz);
	while (!(ret = trace_reader_next_digest(reader, &block, err)) && block) {
		b->result->file_events += block->nr_events;
		for (size_t kind = 0; kind < NR_EVENT_KINDS; kind++)
			b->result->kind_count[kind] += block->count[kind];
		/* The first blocks, without a gap. */
		full |= b->nr_blocks == max_blocks || b->nr_events + block->nr_events > max;
		if (!full)
			ret = keep_block(b, reader, block, err);
		if (ret)
			return ret;
	}
	return ret;
}

/* ---- one measurement of each row ---- */

struct machines {
	struct machine_config config[AUTOMATA_MAX_RUNS];
	struct machine machine[AUTOMATA_MAX_RUNS];
	struct ledger ledger[AUTOMATA_MAX_RUNS];
	size_t nr;
};

static void machines_release(struct machines *m)
{
	for (size_t k = 0; k < m->nr; k++) {
		free(m->machine[k].pcpus);
		free(m->machine[k].vcpus);
		ledger_release(&m->ledger[k]);
	}
}

static int machines_init(struct machines *m, const struct bench *b, size_t nr,
			 struct xfd_error *err)
{
	*m = (struct machines){.nr = nr};
	for (size_t k = 0; k < nr; k++) {
		const struct engine_options *o = &b->options[k];

		m->config[k] = (struct machine_config){
			.kernel = o->kernel,
			.policy = o->policy,
			.params = o->params,
			.halt_poll_cycles = o->halt_poll_us * b->info.tsc_khz / 1000,
			.idle_init_cycles = o->idle_init_us * b->info.tsc_khz / 1000,
			.armed_start = b->info.armed_start,
		};
		m->machine[k].nr_pcpus = b->info.nr_pcpus;
		m->machine[k].nr_vcpus = b->info.nr_vcpus;
		m->machine[k].pcpus = calloc(b->info.nr_pcpus, sizeof(struct pcpu));
		m->machine[k].vcpus = calloc(b->info.nr_vcpus, sizeof(struct vcpu));
		if (!m->machine[k].pcpus || !m->machine[k].vcpus) {
			machines_release(m);
			return no_memory(err);
		}
		machine_init(&m->machine[k], &m->config[k], b->info.vcpu_flags);
	}
	return 0;
}

static int refuse(const struct bench *b, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, b->path, 0, -1,
			     "some event cannot happen; `xfdsim compare` says which");
}

static int measure_naive(struct bench *b, uint64_t *ns, struct xfd_error *err)
{
	struct machines m;
	struct naive *naive;
	uint64_t begin;
	int ret = machines_init(&m, b, 1, err);

	if (ret)
		return ret;
	naive = naive_new(&m.machine[0], b->profile);
	begin = cpu_ns();
	if (naive)
		naive_run(naive, b->events, b->nr_events);
	*ns = cpu_ns() - begin;
	if (naive)
		b->result->cycles = naive_cycles(naive);
	naive_free(naive);
	machines_release(&m);
	return naive ? 0 : no_memory(err);
}

static int measure_reference(struct bench *b, uint64_t *ns, struct xfd_error *err)
{
	struct machine_result result;
	struct machines m;
	uint64_t begin;
	int ret = machines_init(&m, b, 1, err);

	if (ret)
		return ret;
	begin = cpu_ns();
	for (size_t i = 0; i < b->nr_events && i < REFERENCE_EVENTS && !ret; i++) {
		if (machine_event(&m.machine[0], &b->events[i], &result) != MACHINE_OK)
			ret = refuse(b, err);
		else if (ledger_add(&m.ledger[0], &b->events[i], &result, false))
			ret = no_memory(err);
	}
	*ns = cpu_ns() - begin;
	machines_release(&m);
	return ret;
}

static int check_cycles(const struct bench *b, const struct ledger *ledger, struct xfd_error *err)
{
	uint64_t cycles;

	if (profile_price(b->profile, PRICE_TYPICAL, ledger->step_count, &cycles) ||
	    cycles == b->result->cycles)
		return 0;
	xfd_error_set(err, XFD_ERROR_INPUT, b->path, 0, -1,
		      "the naive interpreter and the automaton disagree: %llu and %llu cycles",
		      (unsigned long long)b->result->cycles, (unsigned long long)cycles);
	return -EPROTO;
}

/* A block as the file holds it: columns when there is no digest, or it is not enough. */
static int replay_block(struct automata *automata, const struct bench_block *block,
			struct automata_refusal *refusal)
{
	int ret = block->digest ? automata_block(automata, block->digest, refusal) : -EAGAIN;

	return ret == -EAGAIN ? automata_block(automata, block->block, refusal) : ret;
}

static int replay_blocks(struct bench *b, struct automata *automata, bool records,
			 struct xfd_error *err)
{
	struct automata_refusal refusal;
	const struct trace_event *events = b->events;
	int ret = 0;

	for (size_t i = 0; i < b->nr_blocks && !ret; i++) {
		size_t nr = b->blocks[i].block->nr;

		if (records)
			ret = automata_block(
				automata,
				block_build(b->builder, events, nr, b->info.nr_vcpus == 1),
				&refusal);
		else
			ret = replay_block(automata, &b->blocks[i], &refusal);
		events += nr;
	}
	return ret ? refuse(b, err) : 0;
}

static int measure_automaton(struct bench *b, size_t nr, bool records, uint64_t *ns,
			     struct xfd_error *err)
{
	struct automaton_run runs[AUTOMATA_MAX_RUNS];
	struct automata *automata;
	struct machines m;
	uint64_t begin;
	int ret = machines_init(&m, b, nr, err);

	if (ret)
		return ret;
	begin = cpu_ns();
	for (size_t k = 0; k < nr; k++)
		runs[k] = (struct automaton_run){&m.machine[k], &m.ledger[k]};
	automata = automata_new(runs, nr, AUTOMATON_MAX_STATES);
	if (automata)
		ret = replay_blocks(b, automata, records, err);
	if (automata && !ret)
		automata_finish(automata);
	*ns = cpu_ns() - begin;
	if (automata) {
		struct automaton_stats stats = automata_stats(automata, nr - 1);

		b->result->states = stats.states;
		b->result->apart = nr - stats.together + 1;
	}
	if (automata && !ret)
		ret = check_cycles(b, &m.ledger[0], err);
	automata_free(automata);
	machines_release(&m);
	return automata ? ret : no_memory(err);
}

static int measure_file(struct bench *b, size_t nr, uint64_t *ns, struct xfd_error *err)
{
	struct run runs[AUTOMATA_MAX_RUNS];
	struct engine_trace trace;
	uint64_t begin = cpu_ns();
	int ret = engine_replay(b->path, b->options, nr, runs, &trace, NULL, NULL, err);

	*ns = cpu_ns() - begin;
	for (size_t k = 0; !ret && k < nr; k++) {
		b->result->digested = runs[k].digested;
		engine_release_run(&runs[k]);
	}
	if (!ret)
		engine_release_trace(&trace);
	return ret;
}

static int measure_decode(struct bench *b, uint64_t *ns, struct xfd_error *err)
{
	const struct trace_block *block;
	struct trace_reader *reader;
	uint64_t begin = cpu_ns();
	int ret = trace_reader_open(b->path, &reader, err);

	while (!ret && !(ret = trace_reader_next_block(reader, &block, err)) && block)
		b->sink += block->nr;
	trace_reader_close(reader);
	*ns = cpu_ns() - begin;
	return ret;
}

static void measure_sums(struct bench *b, enum bench_row row, uint64_t *ns)
{
	uint64_t begin = cpu_ns(), sum = 0;

	for (size_t i = 0; row == BENCH_sum_records && i < b->nr_events; i++)
		sum += b->events[i].delta_cycles + b->events[i].arg + b->events[i].vcpu +
		       b->events[i].kind;
	for (size_t i = 0; row == BENCH_sum_columns && i < b->nr_blocks; i++) {
		const struct trace_block *block = b->blocks[i].block;

		for (size_t j = 0; j < block->nr; j++)
			sum += block->tags[j];
		for (size_t j = 0; block->vcpus && j < block->nr; j++)
			sum += block->vcpus[j];
	}
	b->sink += sum;
	*ns = cpu_ns() - begin;
}

static int measure(struct bench *b, enum bench_row row, uint64_t *ns, struct xfd_error *err)
{
	size_t nr = b->result->nr_runs[row];

	switch (row) {
	case BENCH_sum_records:
	case BENCH_sum_columns:
		measure_sums(b, row, ns);
		return 0;
	case BENCH_naive:
		return measure_naive(b, ns, err);
	case BENCH_reference:
		return measure_reference(b, ns, err);
	case BENCH_automaton_records:
		return measure_automaton(b, nr, true, ns, err);
	case BENCH_automaton_1:
	case BENCH_automaton_4:
	case BENCH_automaton_all:
		return measure_automaton(b, nr, false, ns, err);
	case BENCH_decode:
		return measure_decode(b, ns, err);
	case BENCH_file_1:
	case BENCH_file_all:
		return measure_file(b, nr, ns, err);
	case NR_BENCH_ROWS:
		break;
	}
	return 0;
}

static int compare_ns(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int measure_all(struct bench *b, unsigned int repeat, struct xfd_error *err)
{
	static uint64_t ns[NR_BENCH_ROWS][MAX_REPEAT];

	for (unsigned int i = 0; i < repeat; i++)
		for (int row = 0; row < NR_BENCH_ROWS; row++) {
			int ret = measure(b, (enum bench_row)row, &ns[row][i], err);

			if (ret)
				return ret;
		}
	for (int row = 0; row < NR_BENCH_ROWS; row++) {
		qsort(ns[row], repeat, sizeof(ns[row][0]), compare_ns);
		b->result->ns[row] = ns[row][repeat / 2];
	}
	return 0;
}

static void choose_policies(struct bench *b)
{
	const struct xfd_policy *policy;

	engine_default_options(&b->options[0]);
	b->options[0].policy = policy_find(NAIVE_POLICY);
	b->options[0].kernel = kernel_find(NAIVE_KERNEL);
	b->nr_policies = 1;
	for (size_t i = 0; (policy = policy_at(i)) && b->nr_policies < AUTOMATA_MAX_RUNS; i++) {
		if (policy == b->options[0].policy)
			continue;
		b->options[b->nr_policies] = b->options[0];
		b->options[b->nr_policies++].policy = policy;
	}
}

int bench_trace(const char *path, size_t max_events, unsigned int repeat,
		const struct cost_profile *profile, struct bench_result *result,
		struct xfd_error *err)
{
	struct bench b = {.path = path, .profile = profile, .result = result};
	struct trace_reader *reader;
	struct stat st;
	int ret = trace_reader_open(path, &reader, err);

	*result = (struct bench_result){0};
	if (ret)
		return ret;
	repeat = repeat > MAX_REPEAT ? MAX_REPEAT : repeat;
	b.info = *trace_reader_info(reader);
	choose_policies(&b);
	ret = load(&b, max_events, reader, err);
	if (!ret && !stat(path, &st))
		result->file_bytes = (uint64_t)st.st_size;
	result->trace_events = b.nr_events;
	for (int row = 0; row < NR_BENCH_ROWS; row++) {
		result->nr_runs[row] = rows[row].nr_runs ? rows[row].nr_runs : b.nr_policies;
		result->events[row] = row >= BENCH_decode ? result->file_events : b.nr_events;
	}
	if (result->events[BENCH_reference] > REFERENCE_EVENTS)
		result->events[BENCH_reference] = REFERENCE_EVENTS;
	if (!ret && !b.nr_events)
		ret = xfd_error_set(
			err, XFD_ERROR_INPUT, path, 0, -1,
			"nothing to measure: the trace is empty, or its first block has "
			"more than %zu events",
			max_events);
	if (!ret)
		ret = measure_all(&b, repeat, err);
	for (size_t i = 0; i < b.nr_blocks; i++) {
		free(b.blocks[i].digest);
		free(b.blocks[i].block);
	}
	free(b.blocks);
	free(b.events);
	free(b.builder);
	trace_reader_close(reader);
	return ret;
}
