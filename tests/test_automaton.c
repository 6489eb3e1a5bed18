/* SPDX-License-Identifier: MIT */
/*
 * The automaton against the reference on random traces: every count, every path in the order
 * of its first use, every final state, every refusal must be the same. XFDSIM_TRACES says how
 * many traces; each is replayed under all policies of one kernel.
 */
#include "tests/xt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/automaton.h"
#include "sim/engine.h"
#include "traces/block.h"
#include "traces/digest.h"
#include "traces/phrase.h"

enum { MAX_EVENTS = 6000, MAX_VCPUS = 6, MAX_RUNS = AUTOMATA_MAX_RUNS };

static uint64_t random_state;

/* splitmix64 */
static uint64_t draw(uint64_t below)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % below;
}

/* One random case: a trace and how to replay it. */
struct trial {
	uint32_t nr_vcpus, nr_pcpus;
	uint8_t flags[MAX_VCPUS];
	uint64_t fail[4];
	struct machine_config config;
	struct trace_event event[MAX_EVENTS];
	size_t nr;
	size_t block; /* events of a block */
	uint32_t max_states;
	bool calm; /* nearly all events are exits, and digests of blocks are tried */
	unsigned int digest_exits;
	unsigned int phrases; /* how many a digest has, 0 for no digest */
};

/* What the generator must know to make events that may happen. */
enum where { RUNS, POLLS, SLEEPS, OUT };

static uint64_t random_value(void)
{
	static const uint64_t values[] = {0, 0, 0, 0x40000, 0x40000, 0x40000, 1, 0x60000};

	return values[draw(8)];
}

static uint64_t random_xcr0(void)
{
	static const uint64_t values[] = {0x602e7, 0x602e7, 0x2e7, 1, 7, 0x40001, 0x602e6, 0x60007};

	return values[draw(8)];
}

static uint64_t random_reason(void)
{
	static const int reasons[] = {EXIT_CPUID,     EXIT_EXTERNAL_INTERRUPT, EXIT_FASTPATH,
				      EXIT_USERSPACE, EXIT_EPT_VIOLATION,      EXIT_IO_INSTRUCTION};

	return draw(40) ? (uint64_t)reasons[draw(6)] : draw(4) + 1;
}

/* A pCPU that nobody holds, at times by number; false when there is none. */
static bool random_pcpu(const uint32_t *held, uint32_t nr, uint32_t own, uint64_t *arg)
{
	for (int tries = 0; tries < 8; tries++) {
		uint32_t p = draw(3) ? own : (uint32_t)draw(nr);

		if (held[p] == VCPU_NONE) {
			*arg = p == own && draw(2) ? EVENT_SAME_PCPU : p;
			return true;
		}
	}
	return false;
}

/* Mostly events that may happen; @bad of a million may not. */
static void make_events(struct trial *t, uint32_t bad, bool growing)
{
	uint32_t held[MAX_VCPUS], pcpu[MAX_VCPUS];
	enum where where[MAX_VCPUS];

	for (uint32_t p = 0; p < t->nr_pcpus; p++)
		held[p] = VCPU_NONE;
	for (uint32_t v = 0; v < t->nr_vcpus; v++) {
		pcpu[v] = v % t->nr_pcpus;
		where[v] = held[pcpu[v]] == VCPU_NONE ? RUNS : OUT;
		if (where[v] == RUNS)
			held[pcpu[v]] = v;
	}
	for (size_t i = 0; i < t->nr;) {
		struct trace_event *e = &t->event[i];
		uint32_t v = (uint32_t)draw(t->nr_vcpus);
		uint64_t dice = draw(100);

		*e = (struct trace_event){.delta_cycles = draw(5000), .vcpu = v};
		if (draw(1000000) < bad) {
			e->kind = (uint32_t)draw(NR_EVENT_KINDS);
			e->arg = event_arg(e->kind) == EVENT_ARG_PCPU ? draw(t->nr_pcpus) : 0;
			e->arg = event_arg(e->kind) == EVENT_ARG_REASON ? EXIT_CPUID : e->arg;
			i++;
			continue;
		}
		if (where[v] != RUNS) {
			if (where[v] == POLLS)
				e->arg = draw(2) ? EVENT_SAME_PCPU : draw(t->nr_pcpus);
			else if (!random_pcpu(held, t->nr_pcpus, pcpu[v], &e->arg))
				continue;
			e->kind = where[v] == OUT ? EVENT_resume : EVENT_wake;
			if (where[v] != POLLS && e->arg != EVENT_SAME_PCPU)
				pcpu[v] = (uint32_t)e->arg;
			held[pcpu[v]] = v;
			where[v] = RUNS;
		} else if (dice < 30 || (t->calm && draw(40))) {
			e->kind = EVENT_exit;
			e->arg = random_reason();
		} else if (dice < 50) {
			e->kind = EVENT_wrxfd;
			e->arg = random_value();
		} else if (dice < 62) {
			e->kind = EVENT_amx;
		} else if (dice < 72) {
			e->kind = EVENT_hlt;
			e->arg = draw(4) * 500 + draw(2);
			where[v] = e->arg < t->config.halt_poll_cycles ? POLLS : SLEEPS;
			held[pcpu[v]] = where[v] == POLLS ? v : VCPU_NONE;
		} else if (dice < 80) {
			e->kind = EVENT_preempt;
			e->arg = draw(NR_TASK_CLASSES);
			where[v] = OUT;
			held[pcpu[v]] = VCPU_NONE;
		} else if (dice < 83) {
			e->kind = EVENT_xsetbv;
			e->arg = growing ? EVENT_XCR0_DEFAULT : random_xcr0();
		} else if (dice < 88) {
			e->kind = EVENT_wrerr;
			e->arg = random_value();
		} else {
			static const uint32_t rest[] = {EVENT_rdxfd, EVENT_rderr, EVENT_tsfault,
							EVENT_tilerelease};

			e->kind = rest[draw(4)];
		}
		i++;
	}
}

static void make_trial(struct trial *t, size_t nr)
{
	size_t nr_kernels = 0;

	memset(t, 0, offsetof(struct trial, event));
	while (kernel_at(nr_kernels))
		nr_kernels++;
	t->nr = nr;
	t->nr_vcpus = 1 + (uint32_t)draw(draw(2) ? MAX_VCPUS : 1);
	t->nr_pcpus = 1 + (uint32_t)draw(MAX_VCPUS);
	t->block = draw(4) ? 1 + draw(nr) : nr;
	t->max_states = draw(4) ? 4096 : 2 + (uint32_t)draw(draw(2) ? 20 : 200);
	t->calm = !draw(4);
	t->digest_exits = (unsigned int)draw(draw(2) ? 3 : 16);
	t->phrases = (unsigned int)draw(2) * (1 + (unsigned int)draw(draw(2) ? 12 : 120));
	for (uint32_t v = 0; v < t->nr_vcpus; v++)
		t->flags[v] = draw(3) ? 0 : (uint8_t)draw(8);
	for (size_t i = 0; i < 4; i++)
		t->fail[i] = 1 + draw(6);
	t->config = (struct machine_config){
		.kernel = kernel_at(draw(nr_kernels)),
		.params = {.adaptive_writes = 1 + (uint32_t)draw(3),
			   .adaptive_exits = 1 + (uint32_t)draw(12)},
		.halt_poll_cycles = draw(5) * 500,
		.idle_init_cycles = draw(5) * 500,
		.vmm_returns = draw(2),
		.armed_start = !draw(3),
		.fail_growths = t->fail,
		.nr_fail_growths = draw(2) ? draw(5) : 0,
	};
	make_events(t, draw(4) ? 0 : 2000, draw(2));
}

struct side {
	struct machine_config config[MAX_RUNS];
	struct machine machine[MAX_RUNS];
	struct ledger ledger[MAX_RUNS];
	struct pcpu pcpus[MAX_RUNS][MAX_VCPUS];
	struct vcpu vcpus[MAX_RUNS][MAX_VCPUS];
	size_t failed_run, failed_event;
	enum machine_status status;
};

static void side_init(struct side *s, const struct trial *t, size_t nr_runs)
{
	memset(s, 0, sizeof(*s));
	for (size_t k = 0; k < nr_runs; k++) {
		s->config[k] = t->config;
		s->config[k].policy = policy_at(k);
		s->machine[k].pcpus = s->pcpus[k];
		s->machine[k].vcpus = s->vcpus[k];
		s->machine[k].nr_pcpus = t->nr_pcpus;
		s->machine[k].nr_vcpus = t->nr_vcpus;
		machine_init(&s->machine[k], &s->config[k], t->flags);
	}
}

static bool reference_block(struct side *s, size_t nr_runs, const struct trace_event *events,
			    size_t from, size_t nr)
{
	for (size_t k = 0; k < nr_runs; k++)
		for (size_t i = 0; i < nr; i++) {
			struct machine_result result;
			enum machine_status status =
				machine_event(&s->machine[k], &events[i], &result);

			if (status != MACHINE_OK && status != MACHINE_SKIPPED) {
				s->failed_run = k;
				s->failed_event = from + i;
				s->status = status;
				return false;
			}
			assert_int_equal(ledger_add(&s->ledger[k], &events[i], &result,
						    status == MACHINE_SKIPPED),
					 0);
		}
	return true;
}

static void run_reference(struct side *s, const struct trial *t, size_t nr_runs)
{
	for (size_t from = 0; from < t->nr; from += t->block)
		if (!reference_block(s, nr_runs, t->event + from, from,
				     t->nr - from < t->block ? t->nr - from : t->block))
			return;
}

/* What the trials must have visited between them, or they prove too little. */
static struct {
	unsigned long trials, refused, stopped, overflowed, split, digests, phrases, shared, paths;
} seen;

/* The code of a prefix and a word; added when there is none, if there is room. */
static uint32_t longer(const struct trace_block *block, struct block_phrase *phrase, size_t *nr,
		       size_t max, uint32_t prefix, uint8_t word, bool *added)
{
	*added = false;
	for (size_t i = 0; i < *nr; i++)
		if (phrase[i].prefix == prefix && phrase[i].word == word)
			return (uint32_t)(block->nr_words + i);
	if (*nr == max || block->nr_words + *nr == BLOCK_MAX_CODES)
		return prefix;
	*added = true;
	phrase[*nr] = (struct block_phrase){(uint8_t)prefix, word};
	return (uint32_t)(block->nr_words + (*nr)++);
}

/* Phrases from random places of the block, which it therefore has. */
static size_t random_phrases(const struct trace_block *block, size_t max,
			     struct block_phrase *phrase)
{
	size_t nr = 0;

	for (size_t tries = 0; tries < 2 * max; tries++) {
		size_t at = draw(block->nr), left = 1 + draw(6);
		uint16_t vcpu = block->vcpus ? block->vcpus[at] : 0;
		uint32_t code = block->tags[at];

		for (size_t i = at + 1; i < block->nr && left; i++) {
			bool added;

			if (block->vcpus && block->vcpus[i] != vcpu)
				continue;
			code = longer(block, phrase, &nr, max, code, block->tags[i], &added);
			left -= added;
		}
	}
	return nr;
}

static const struct trace_block *random_digest(const struct trial *t,
					       const struct trace_block *block)
{
	static struct digest_builder *runs;
	static struct phrase_builder *phrases;
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	const struct trace_block *digest = NULL;
	size_t nr;

	runs = runs ? runs : digest_builder_new();
	phrases = phrases ? phrases : phrase_builder_new();
	assert_true(runs && phrases);
	runs->exits = t->digest_exits;
	runs->worth = 1;
	if (t->calm)
		digest = digest_build(runs, block, t->nr_vcpus);
	if (digest || !t->phrases)
		return digest;
	phrases->always = true;
	nr = random_phrases(block, t->phrases, phrase);
	return nr ? phrase_build(phrases, block, t->nr_vcpus, t->nr_pcpus, phrase, nr) : NULL;
}

/* The digest of a block first, as a reader would give it, then the block if that is not enough. */
static int replay_block(struct automata *automata, const struct trial *t,
			const struct trace_block *block, struct automata_refusal *refusal)
{
	const struct trace_block *digest = random_digest(t, block);
	int ret = -EAGAIN;

	if (digest)
		ret = automata_block(automata, digest, refusal);
	seen.digests += !ret && !digest->nr_phrases;
	seen.phrases += !ret && digest->nr_phrases;
	seen.shared += !ret && digest->nr_phrases && t->nr_vcpus > t->nr_pcpus;
	return ret == -EAGAIN ? automata_block(automata, block, refusal) : ret;
}

static void run_automata(struct side *s, const struct trial *t, size_t nr_runs)
{
	static struct block_builder builder;
	struct automaton_run runs[MAX_RUNS] = {{0}};
	struct automata_refusal refusal;
	struct automata *automata;
	bool overflowed = false, split = false;
	int ret = 0;

	for (size_t k = 0; k < nr_runs; k++)
		runs[k] = (struct automaton_run){&s->machine[k], &s->ledger[k]};
	automata = automata_new(runs, nr_runs, t->max_states);
	assert_non_null(automata);
	block_builder_init(&builder, 5000);
	for (size_t from = 0; from < t->nr && !ret; from += t->block) {
		size_t nr = t->nr - from < t->block ? t->nr - from : t->block;

		ret = replay_block(automata, t,
				   block_build(&builder, t->event + from, nr, t->nr_vcpus == 1),
				   &refusal);
		if (ret) {
			s->failed_run = refusal.run;
			s->failed_event = from + refusal.index;
			s->status = refusal.status;
		} else if (automata_has_stopped(automata)) {
			automata_skip(automata, t->event + from, nr);
		}
	}
	if (!ret)
		automata_finish(automata);
	for (size_t k = 0; k < nr_runs && !ret; k++) {
		struct automaton_stats stats = automata_stats(automata, k);

		overflowed |= stats.overflowed;
		split |= stats.together < nr_runs;
	}
	seen.overflowed += overflowed;
	seen.split += split;
	automata_free(automata);
}

static void assert_same_ledger(struct side *a, struct side *b, size_t k)
{
	struct ledger *x = &a->ledger[k], *y = &b->ledger[k];

	assert_int_equal(ledger_finish(x, &a->machine[k]), 0);
	assert_int_equal(ledger_finish(y, &b->machine[k]), 0);
	assert_memory_equal(x->step_count, y->step_count, sizeof(x->step_count));
	assert_memory_equal(x->exit_count, y->exit_count, sizeof(x->exit_count));
	assert_int_equal(x->xfd_exits, y->xfd_exits);
	assert_int_equal(x->nr_events, y->nr_events);
	assert_int_equal(x->nr_skipped, y->nr_skipped);
	assert_int_equal(x->xfd_writes, y->xfd_writes);
	assert_int_equal(x->fpstate_bytes, y->fpstate_bytes);
	assert_int_equal(x->fpstate_high_water_bytes, y->fpstate_high_water_bytes);
	assert_int_equal(x->nr_paths, y->nr_paths);
	for (size_t i = 0; i < x->nr_paths; i++) {
		assert_int_equal(x->paths[i].kind, y->paths[i].kind);
		assert_int_equal(x->paths[i].exit_reason, y->paths[i].exit_reason);
		assert_int_equal(x->paths[i].count, y->paths[i].count);
		assert_int_equal(x->paths[i].steps.nr, y->paths[i].steps.nr);
		assert_memory_equal(x->paths[i].steps.step, y->paths[i].steps.step,
				    x->paths[i].steps.nr);
	}
	for (uint32_t v = 0; v < x->nr_vcpus; v++) {
		assert_string_equal(x->vcpus[v].state, y->vcpus[v].state);
		assert_int_equal(x->vcpus[v].intercept_xfd, y->vcpus[v].intercept_xfd);
		assert_int_equal(x->vcpus[v].intercept_nm, y->vcpus[v].intercept_nm);
		assert_int_equal(x->vcpus[v].fpstate_bytes, y->vcpus[v].fpstate_bytes);
		assert_int_equal(x->vcpus[v].xfd, y->vcpus[v].xfd);
		assert_int_equal(x->vcpus[v].xfd_err, y->vcpus[v].xfd_err);
	}
}

static void compare_engines(const struct trial *t)
{
	static struct side a, b;
	size_t nr_runs = 0;

	while (nr_runs < MAX_RUNS && policy_at(nr_runs))
		nr_runs++;
	side_init(&a, t, nr_runs);
	side_init(&b, t, nr_runs);
	run_reference(&a, t, nr_runs);
	run_automata(&b, t, nr_runs);
	seen.trials++;
	assert_int_equal(a.status, b.status);
	assert_int_equal(a.failed_run, b.failed_run);
	assert_int_equal(a.failed_event, b.failed_event);
	seen.refused += a.status != MACHINE_OK;
	for (size_t k = 0; k < nr_runs; k++) {
		if (a.status == MACHINE_OK) {
			assert_same_ledger(&a, &b, k);
			seen.stopped += a.ledger[k].nr_skipped > 0;
			seen.paths += a.ledger[k].nr_paths;
		}
		ledger_release(&a.ledger[k]);
		ledger_release(&b.ledger[k]);
	}
}

static unsigned long wanted_traces(unsigned long fallback)
{
	const char *text = getenv("XFDSIM_TRACES");

	return text ? strtoul(text, NULL, 10) : fallback;
}

static void random_traces_give_the_same_ledger(void **state)
{
	static struct trial t;
	unsigned long nr = wanted_traces(20000);

	(void)state;
	for (unsigned long i = 0; i < nr; i++) {
		random_state = i;
		/* Short ones find most; long ones take every edge many times. */
		make_trial(&t, i % 64 ? 1 + draw(60) : 500 + draw(MAX_EVENTS - 500));
		/* Many short blocks: by then paths have been taken, and digests are enough. */
		if (i % 64 == 0 && draw(4))
			t.block = 1 + draw(60);
		compare_engines(&t);
	}
	print_message(
		"%lu traces: %lu refused, %lu runs with a stopped vCPU, %lu with runs apart, "
		"%lu with a run by the model, %lu digests of runs, %lu of phrases, %lu of them "
		"with shared pCPUs, %lu paths\n",
		seen.trials, seen.refused, seen.stopped, seen.split, seen.overflowed, seen.digests,
		seen.phrases, seen.shared, seen.paths);
	assert_true(seen.refused && seen.stopped && seen.split && seen.overflowed && seen.digests &&
		    seen.phrases && seen.shared);
}

/* More kinds of events than a row has classes: the rest goes through the model. */
static void more_classes_than_a_row_has_stay_exact(void **state)
{
	static struct trial t;

	(void)state;
	random_state = 7;
	make_trial(&t, 4000);
	t.config.kernel = kernel_find("v6.19");
	t.config.nr_fail_growths = 0;
	t.nr_vcpus = t.nr_pcpus = 1;
	t.flags[0] = 0;
	t.max_states = 4096;
	for (size_t i = 0; i < t.nr; i++)
		t.event[i] = (struct trace_event){
			.kind = i % 3 ? EVENT_wrerr : EVENT_wrxfd,
			.arg = i % 2 ? draw(500) << 19 : (i & 2) << 17,
		};
	compare_engines(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_traces_give_the_same_ledger),
		cmocka_unit_test(more_classes_than_a_row_has_stay_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
