/* SPDX-License-Identifier: MIT */
#include "sim/automaton.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sim/chain.h"

/* A mispredicted branch costs as much as the row of that many events going through memory. */
enum { EVENTS_A_TURN = 8 };

/* Counters of edges have 32 bits; they are emptied before that many events. */
#define FLUSH_EVENTS (UINT64_C(1) << 31)

/*
 * @chain:   the runs, at least one chain; each walks every block
 * @before:  events of earlier blocks
 * @unflushed: events since counters were emptied
 * @class_*: what a class stands for
 * @phrases: what classes of phrases stand for
 * @longer:  by class and class of a word: the class of the phrase of both, 0 for none
 * @lut:     class by tag of the current block, or by code
 * @mixed:   a word of the current block has several classes
 * @codes:   the current block's tags, or its classes when a word has several
 * @arg_at:  by event of the current block: arguments before it; valid if @has_arg_at
 * @bursts:  the vCPUs of the current block take turns so rarely that a branch foresees it
 * @refusal: the best one of the current block so far
 */
struct automata {
	struct chain *chain[AUTOMATA_MAX_RUNS];
	size_t nr_chains;
	uint32_t max_states;
	uint64_t halt_poll_cycles, idle_init_cycles;
	uint64_t before, unflushed;
	uint64_t writes, cycles;
	bool has_stopped;
	uint32_t nr_classes;
	uint32_t class_kind[CHAIN_CLASSES];
	uint64_t class_arg[CHAIN_CLASSES];
	struct chain_phrases phrases;
	uint16_t longer[CHAIN_EDGES][CHAIN_CLASSES];
	const struct trace_block *block;
	uint32_t lut[BLOCK_MAX_CODES];
	bool mixed;
	const uint8_t *codes;
	uint8_t classes[BLOCK_MAX_EVENTS];
	uint32_t arg_at[BLOCK_MAX_EVENTS];
	bool has_arg_at;
	bool bursts;
	struct chain_log log;
	struct automata_refusal refusal;
};

/* ---- classes ---- */

static uint32_t class_find(struct automata *g, uint32_t kind, uint64_t arg)
{
	if (kind == EVENT_hlt)
		arg = arg < g->halt_poll_cycles ? 0 : arg < g->idle_init_cycles ? 1 : 2;
	if ((kind == EVENT_wake || kind == EVENT_resume) && arg != EVENT_SAME_PCPU)
		return CHAIN_SLOW;
	for (uint32_t c = 0; c < g->nr_classes; c++)
		if (g->class_kind[c] == kind && g->class_arg[c] == arg)
			return c;
	if (g->nr_classes == CHAIN_SLOW)
		return CHAIN_SLOW;
	g->class_kind[g->nr_classes] = kind;
	g->class_arg[g->nr_classes] = arg;
	return g->nr_classes++;
}

/* Some sleeps of a word are longer than a threshold and some are not: one class an event. */
static void translate(struct automata *g, const bool *mixed)
{
	const struct trace_block *block = g->block;
	const uint64_t *arg = block->args;

	for (size_t i = 0; i < block->nr; i++) {
		uint8_t tag = block->tags[i];

		g->classes[i] =
			(uint8_t)(mixed[tag] ? class_find(g, EVENT_hlt, *arg) : g->lut[tag]);
		arg += block->word[tag].varies;
	}
	for (uint32_t c = 0; c < CHAIN_CLASSES; c++)
		g->lut[c] = c;
	g->codes = g->classes;
}

/* The class of two classes after each other; 0 when there is no room for it. */
static uint32_t phrase_class(struct automata *g, uint32_t prefix, uint32_t word)
{
	struct chain_phrases *p = &g->phrases;

	if (prefix == CHAIN_SLOW || word == CHAIN_SLOW)
		return CHAIN_SLOW;
	if (!g->longer[prefix][word] && p->nr < BLOCK_MAX_PHRASES) {
		g->longer[prefix][word] = (uint16_t)(CHAIN_CLASSES + p->nr);
		p->prefix[p->nr] = (uint16_t)prefix;
		p->word[p->nr++] = (uint8_t)word;
	}
	return g->longer[prefix][word];
}

/* False when there was no room for some of them beside those of earlier blocks. */
static bool class_phrases(struct automata *g)
{
	const struct trace_block *block = g->block;
	uint32_t *lut = g->lut + block->nr_words;

	for (size_t i = 0; i < block->nr_phrases; i++) {
		lut[i] = phrase_class(g, g->lut[block->phrase[i].prefix],
				      g->lut[block->phrase[i].word]);
		if (!lut[i])
			return false;
	}
	return true;
}

static void forget_phrases(struct automata *g)
{
	for (size_t i = 0; i < g->nr_chains; i++)
		if (!g->chain[i]->by_model)
			chain_forget_phrases(g->chain[i]);
	memset(g->longer, 0, sizeof(g->longer));
	g->phrases.nr = 0;
}

static void begin_block(struct automata *g, const struct trace_block *block)
{
	bool mixed[BLOCK_MAX_WORDS] = {false}, any = false;

	g->block = block;
	g->codes = block->tags;
	g->has_arg_at = false;
	for (size_t t = 0; t < block->nr_words; t++) {
		const struct block_word *word = &block->word[t];
		uint32_t low = class_find(g, word->kind, word->min);

		g->lut[t] = low;
		if (!word->varies)
			continue;
		if (word->kind != EVENT_hlt)
			g->lut[t] = CHAIN_SLOW;
		else if (low != class_find(g, word->kind, word->max))
			any = mixed[t] = true;
	}
	g->mixed = any;
	if (any && !block->nr_phrases)
		translate(g, mixed);
}

/* The event as the model wants it, but for its delta, at which the model never looks. */
static struct trace_event event_at(struct automata *g, size_t i, uint32_t vcpu)
{
	const struct trace_block *block = g->block;
	const struct block_word *word = &block->word[block->tags[i]];
	struct trace_event event = {.arg = word->min, .vcpu = vcpu, .kind = word->kind};
	uint32_t nr = 0;

	if (!word->varies)
		return event;
	for (size_t j = 0; !g->has_arg_at && j < block->nr; j++) {
		g->arg_at[j] = nr;
		nr += block->word[block->tags[j]].varies;
	}
	g->has_arg_at = true;
	event.arg = block->args[g->arg_at[i]];
	return event;
}

/* ---- taking runs apart ---- */

static bool machine_stopped(const struct chain *c, uint32_t id)
{
	return c->run[0].machine->vcpus[id].state == VCPU_STOPPED;
}

/* A chain for the runs of @mask, which stand as @old left them in their machines. */
static int add_chain(struct automata *g, const struct chain *old, uint32_t mask)
{
	struct automaton_run runs[AUTOMATA_MAX_RUNS];
	size_t number[AUTOMATA_MAX_RUNS], nr = 0;
	struct chain *c;
	int ret;

	for (size_t k = 0; k < old->nr; k++) {
		if (!(mask >> k & 1))
			continue;
		runs[nr] = old->run[k];
		number[nr++] = old->number[k];
	}
	if (!nr)
		return 0;
	c = chain_new(runs, number, nr, &g->phrases, g->max_states, &ret);
	/* Not even the states that they are in: one run at a time. */
	for (size_t k = 0; ret == -ENOSPC && k < old->nr; k++)
		if (mask >> k & 1) {
			int one = add_chain(g, old, UINT32_C(1) << k);

			if (one)
				return one;
		}
	if (!c)
		return ret == -ENOSPC ? 0 : ret;
	c->at = old->at;
	c->slow = old->slow;
	c->whole = old->whole;
	c->skipped = old->skipped;
	/* Who stops, stops with the event before. */
	for (uint32_t id = 0; id < old->nr_vcpus; id++) {
		c->stopped_at[id] = old->stopped_at[id];
		if (c->stopped_at[id] == UINT64_MAX && machine_stopped(c, id))
			c->stopped_at[id] = g->before + c->at - 1;
	}
	g->chain[g->nr_chains++] = c;
	return 0;
}

/* Chain @i becomes two: the runs of @mask, and of @rest. Others are dropped. */
static int split(struct automata *g, size_t i, uint32_t mask, uint32_t rest)
{
	struct chain *old = g->chain[i];
	int ret;

	chain_flush(old);
	chain_write_back(old);
	g->chain[i] = g->chain[--g->nr_chains];
	ret = add_chain(g, old, mask);
	if (!ret)
		ret = add_chain(g, old, rest);
	chain_free(old);
	return ret;
}

static uint32_t all_of(const struct chain *c)
{
	return (UINT32_C(1) << c->nr) - 1;
}

static int take_out_widest(struct automata *g, size_t i)
{
	struct chain *c = g->chain[i];
	uint32_t widest = UINT32_C(1) << chain_widest(c);

	if (c->nr > 1)
		return split(g, i, widest, all_of(c) & ~widest);
	chain_flush(c);
	chain_write_back(c);
	c->by_model = true;
	return 0;
}

/* After an event of vCPU @id. The runs of one chain agree about who has stopped. */
static int note_stop(struct automata *g, size_t i, uint32_t id)
{
	struct chain *c = g->chain[i];
	uint32_t stopped = 0;

	for (size_t k = 0; k < c->nr; k++)
		stopped |= (uint32_t)chain_stopped(c, id, k) << k;
	if (!stopped || c->stopped_at[id] != UINT64_MAX)
		return 0;
	g->has_stopped = true;
	if (stopped != all_of(c))
		return split(g, i, stopped, all_of(c) & ~stopped);
	c->stopped_at[id] = g->before + c->at - 1;
	return 0;
}

/* ---- a block ---- */

/* Without a refusal yet, or by a later run: the reference finishes a run before the next. */
static void note_refusal(struct automata *g, const struct chain *c, size_t k,
			 enum machine_status status)
{
	if (g->refusal.status == MACHINE_OK || c->number[k] < g->refusal.run)
		g->refusal = (struct automata_refusal){
			.run = c->number[k], .index = c->at, .status = status};
}

/* The event where chain @i stands, for which an edge is not enough. */
static int slow_event(struct automata *g, size_t i)
{
	struct chain *c = g->chain[i];
	uint32_t id = g->block->vcpus ? g->block->vcpus[c->at] : 0;
	uint32_t class = g->lut[g->codes[c->at]];
	struct trace_event event = event_at(g, c->at, id);
	enum machine_status status;
	size_t failed;
	int ret;

	if (event.kind == EVENT_wake || event.kind == EVENT_resume)
		class = class_find(g, event.kind, EVENT_SAME_PCPU);
	ret = chain_event(c, &event, class, &failed, &status);
	switch (ret) {
	case 0:
		c->at++;
		return note_stop(g, i, id);
	case -EINVAL:
		/* Earlier runs go on: one of them may refuse a later event. */
		note_refusal(g, c, failed, status);
		return split(g, i, (UINT32_C(1) << failed) - 1, 0);
	case -ENOSPC:
		return take_out_widest(g, i);
	}
	return ret;
}

/*
 * Edges, as far as they are known. The row of a vCPU goes through memory, which takes as long
 * as finding its next one; but the vCPUs' chains overlap.
 */
static void walk(const struct automata *g, struct chain *c)
{
	const uint16_t *vcpus = g->block->vcpus;
	const uint8_t *codes = g->codes;
	const uint32_t *lut = g->lut, *next = c->next;
	uint32_t *count = c->count, *rows = c->row;
	size_t i, nr = g->block->nr;

	for (i = c->at; i < nr; i++) {
		uint32_t *row = &rows[vcpus[i]];
		uint32_t edge = *row + lut[codes[i]], to = next[edge];

		if (__builtin_expect(to == CHAIN_UNKNOWN, 0))
			break;
		count[edge]++;
		*row = to;
	}
	c->at = i;
}

/* The same where a vCPU has many events in a row, or is the only one: its row is in a register. */
static void walk_bursts(const struct automata *g, struct chain *c)
{
	const uint16_t *vcpus = g->block->vcpus;
	const uint8_t *codes = g->codes;
	const uint32_t *lut = g->lut, *next = c->next;
	uint32_t *count = c->count, to = !CHAIN_UNKNOWN;
	size_t i = c->at, nr = g->block->nr;

	while (i < nr && to != CHAIN_UNKNOWN) {
		uint16_t id = vcpus ? vcpus[i] : 0;
		uint32_t row = c->row[id];

		do {
			uint32_t edge = row + lut[codes[i]];

			to = next[edge];
			if (__builtin_expect(to == CHAIN_UNKNOWN, 0))
				break;
			count[edge]++;
			row = to;
			i++;
		} while (i < nr && (!vcpus || vcpus[i] == id));
		c->row[id] = row;
	}
	c->at = i;
}

/* How many events of a block are of another vCPU than the one before. */
static size_t count_turns(const struct trace_block *block)
{
	size_t turns = 0;

	for (size_t i = 1; i < block->nr; i++)
		turns += block->vcpus[i] != block->vcpus[i - 1];
	return turns;
}

/* Every event through the model; for a run that has too many states. */
static int model_events(struct automata *g, struct chain *c)
{
	struct machine_result result;
	uint32_t path;

	for (; c->at < g->block->nr; c->at++) {
		uint32_t id = g->block->vcpus ? g->block->vcpus[c->at] : 0;
		struct trace_event event = event_at(g, c->at, id);
		enum machine_status status = machine_event(c->run[0].machine, &event, &result);

		c->slow++;
		if (status == MACHINE_SKIPPED)
			continue;
		if (status != MACHINE_OK) {
			note_refusal(g, c, 0, status);
			c->at = g->block->nr;
			break;
		}
		if (ledger_path(c->run[0].ledger, event.kind, &result, &path))
			return -ENOMEM;
		ledger_count(c->run[0].ledger, path, 1);
		if (machine_stopped(c, id)) {
			c->stopped_at[id] = g->before + c->at;
			g->has_stopped = true;
		}
	}
	return 0;
}

/* One chain as far as it gets, which may leave others in its place. */
static int advance(struct automata *g, size_t i)
{
	struct chain *c = g->chain[i];

	if (c->by_model)
		return model_events(g, c);
	if (g->bursts)
		walk_bursts(g, c);
	else
		walk(g, c);
	return c->at < g->block->nr ? slow_event(g, i) : 0;
}

static void flush(struct automata *g)
{
	for (size_t i = 0; i < g->nr_chains; i++)
		chain_flush(g->chain[i]);
	g->unflushed = 0;
}

static void end_block(struct automata *g, const struct trace_block *block)
{
	g->before += block->nr_events;
	g->writes += block->count[EVENT_wrxfd];
	g->cycles += block->guest_cycles;
	g->unflushed += block->nr_events;
	if (g->unflushed >= FLUSH_EVENTS)
		flush(g);
	for (size_t i = 0; i < g->nr_chains; i++)
		g->chain[i]->done = false;
}

/* The current digest by one chain. */
static bool digest(struct automata *g, struct chain *c)
{
	uint32_t same[NR_EVENT_KINDS] = {
		[EVENT_wake] = class_find(g, EVENT_wake, EVENT_SAME_PCPU),
		[EVENT_resume] = class_find(g, EVENT_resume, EVENT_SAME_PCPU),
	};

	if (c->by_model)
		return false;
	return g->block->nr_phrases ? chain_stretches(c, g->block, g->lut, same, &g->log)
				    : chain_runs(c, g->block, g->classes, same, &g->log);
}

/* For all chains that it is enough for; the others want the block. */
static int walk_digest(struct automata *g, const struct trace_block *block)
{
	bool all = true;

	/* Events of the stopped are told apart one by one, and so are sleeps of some lengths. */
	if (g->has_stopped || (g->mixed && block->nr_phrases))
		return -EAGAIN;
	if (block->nr_phrases && !class_phrases(g)) {
		forget_phrases(g);
		class_phrases(g);
	}
	g->log.mixed = g->mixed;
	for (size_t i = 0; i < block->nr && !block->nr_phrases; i++)
		g->classes[i] = (uint8_t)g->lut[g->codes[i]];
	for (size_t i = 0; i < g->nr_chains; i++) {
		struct chain *c = g->chain[i];

		c->done = digest(g, c);
		all = all && c->done;
	}
	return all ? 0 : -EAGAIN;
}

int automata_block(struct automata *g, const struct trace_block *block,
		   struct automata_refusal *refusal)
{
	begin_block(g, block);
	if (block->times) {
		int ret = walk_digest(g, block);

		if (!ret)
			end_block(g, block);
		return ret;
	}
	g->refusal.status = MACHINE_OK;
	g->bursts = !block->vcpus || count_turns(block) < block->nr / EVENTS_A_TURN;
	for (size_t i = 0; i < g->nr_chains; i++)
		g->chain[i]->at = g->chain[i]->done ? block->nr : 0;
	for (size_t i = 0; i < g->nr_chains;) {
		if (g->chain[i]->at == block->nr) {
			i++;
			continue;
		}
		*refusal = (struct automata_refusal){.status = MACHINE_OK};
		if (advance(g, i))
			return -ENOMEM;
	}
	*refusal = g->refusal;
	if (refusal->status != MACHINE_OK)
		return -EINVAL;
	end_block(g, block);
	return 0;
}

bool automata_has_stopped(const struct automata *g)
{
	return g->has_stopped;
}

void automata_skip(struct automata *g, const struct trace_event *events, size_t nr)
{
	uint64_t first = g->before - nr;

	for (size_t k = 0; k < g->nr_chains; k++) {
		struct chain *c = g->chain[k];

		for (size_t i = 0; i < nr; i++) {
			uint32_t kind = events[i].kind;

			if (c->stopped_at[events[i].vcpu] >= first + i)
				continue;
			c->skipped.events++;
			c->skipped.writes += kind == EVENT_wrxfd;
			if (kind != EVENT_wake && kind != EVENT_resume)
				c->skipped.cycles += events[i].delta_cycles;
		}
	}
}

void automata_finish(struct automata *g)
{
	flush(g);
	for (size_t i = 0; i < g->nr_chains; i++) {
		const struct chain *c = g->chain[i];

		chain_write_back(c);
		for (size_t k = 0; k < c->nr; k++) {
			struct ledger *l = c->run[k].ledger;

			l->nr_events += g->before - c->skipped.events;
			l->nr_skipped += c->skipped.events;
			l->xfd_writes += g->writes - c->skipped.writes;
			l->step_count[STEP_guest_run] += g->cycles - c->skipped.cycles;
		}
	}
}

struct automaton_stats automata_stats(const struct automata *g, size_t run)
{
	for (size_t i = 0; i < g->nr_chains; i++) {
		const struct chain *c = g->chain[i];

		for (size_t k = 0; k < c->nr; k++)
			if (c->number[k] == run)
				return (struct automaton_stats){
					.states = c->rows - 1,
					.slow = c->slow,
					.together = c->nr,
					.whole = c->whole,
					.overflowed = c->by_model,
				};
	}
	return (struct automaton_stats){0};
}

/* ---- life ---- */

struct automata *automata_new(const struct automaton_run *runs, size_t nr, uint32_t max_states)
{
	struct automata *g = calloc(1, sizeof(*g));
	struct chain all = {.nr = nr, .nr_vcpus = runs[0].machine->nr_vcpus};

	if (!g)
		return NULL;
	g->max_states = max_states;
	g->halt_poll_cycles = runs[0].machine->config->halt_poll_cycles;
	g->idle_init_cycles = runs[0].machine->config->idle_init_cycles;
	memcpy(all.run, runs, nr * sizeof(*runs));
	for (size_t k = 0; k < nr; k++)
		all.number[k] = k;
	all.stopped_at = malloc(all.nr_vcpus * sizeof(*all.stopped_at));
	if (all.stopped_at)
		memset(all.stopped_at, 0xff, all.nr_vcpus * sizeof(*all.stopped_at));
	if (!all.stopped_at || add_chain(g, &all, all_of(&all))) {
		automata_free(g);
		g = NULL;
	}
	free(all.stopped_at);
	return g;
}

void automata_free(struct automata *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->nr_chains; i++)
		chain_free(g->chain[i]);
	free(g);
}
