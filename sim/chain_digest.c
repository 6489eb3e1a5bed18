/* SPDX-License-Identifier: MIT */
/*
 * Chains by digests. All or nothing: what a digest counts is written down, and taken back when it
 * cannot be walked to its end; then everybody goes back to where he was.
 */
#include <string.h>

#include "sim/chain.h"

/*
 * Where an edge leads, without taking it. It is learnt if it can be remembered and all its paths
 * have been taken before, because ledgers list paths in the order of their first use, which a
 * digest does not know.
 */
static uint32_t look(struct chain *c, uint32_t from, const struct block_word *word, uint32_t class,
		     const struct chain_log *log)
{
	struct trace_event event = {.kind = word->kind, .arg = word->min};
	uint32_t path[AUTOMATA_MAX_RUNS], to = c->next[from + class];
	enum machine_status status;
	struct chain_outcome o;
	size_t failed;

	if (to != CHAIN_UNKNOWN || class == CHAIN_SLOW || (word->varies && log->mixed))
		return to;
	if (chain_work_out(c, from, &event, &o, &failed, &status) || !o.lasting)
		return CHAIN_UNKNOWN;
	for (size_t k = 0; k < c->nr; k++)
		if (!ledger_find_path(c->run[k].ledger, event.kind, &o.result[k], &path[k]))
			return CHAIN_UNKNOWN;
	if (chain_intern(c, o.views, &to))
		return CHAIN_UNKNOWN;
	chain_remember(c, from, class, to, path);
	return to;
}

static void log_count(struct chain *c, struct chain_log *log, uint32_t edge, uint32_t times)
{
	c->count[edge] += times;
	log->count[log->nr].edge = edge;
	log->count[log->nr++].times = times;
}

/* A single event, in its place. @class: of which @same is meant where the vCPU comes */
static bool digest_event(struct chain *c, uint32_t id, const struct block_word *word,
			 uint32_t class, const uint32_t same[NR_EVENT_KINDS], struct chain_log *log)
{
	bool comes = chain_is_coming(word->kind);
	uint32_t at = comes ? chain_target(c, id, word->min) : c->where[id], row, to;

	if (at >= c->nr_pcpus || (comes && word->varies) ||
	    chain_find_start(c, id, at, comes, &row))
		return false;
	class = comes ? same[word->kind] : class;
	to = look(c, row, word, class, log);
	if (to == CHAIN_UNKNOWN)
		return false;
	log_count(c, log, row + class, 1);
	chain_arrive(c, id, at, comes, to);
	return true;
}

/* ---- runs ---- */

/*
 * The words of one run. @tag: of each in @block
 */
struct words {
	const struct trace_block *block;
	const uint8_t *tag;
	const uint8_t *class;
	const uint32_t *times;
	size_t nr;
};

static uint32_t look_word(struct chain *c, uint32_t from, const struct words *run, size_t i,
			  const struct chain_log *log)
{
	return look(c, from, &run->block->word[run->tag[i]], run->class[i], log);
}

/* Do the first @nr words, as far as they come again, stay at @to by the paths they had? */
static bool run_stays(struct chain *c, uint32_t from, uint32_t to, const struct words *run,
		      size_t nr, const struct chain_log *log)
{
	for (size_t i = 0; i < nr; i++)
		if (run->times[i] > 1 &&
		    (look_word(c, to, run, i, log) != to ||
		     memcmp(chain_paths(c, from, run->class[i]), chain_paths(c, to, run->class[i]),
			    c->nr * sizeof(*c->paths)) != 0))
			return false;
	return true;
}

static bool digest_run(struct chain *c, uint32_t id, const struct words *run, struct chain_log *log)
{
	uint32_t row = c->row[id];

	for (size_t i = 0; i < run->nr; i++) {
		uint32_t to = look_word(c, row, run, i, log);
		uint32_t class = run->class[i];

		if (to == CHAIN_UNKNOWN || (to != row && !run_stays(c, row, to, run, i, log)))
			return false;
		log_count(c, log, row + class, 1);
		row = to;
		if (run->times[i] == 1)
			continue;
		if (look_word(c, row, run, i, log) != row)
			return false;
		log_count(c, log, row + class, run->times[i] - 1);
	}
	c->row[id] = row;
	return true;
}

static bool walk_runs(struct chain *c, const struct trace_block *block, const uint8_t *class,
		      const uint32_t same[NR_EVENT_KINDS], struct chain_log *log)
{
	bool known = true;

	for (size_t i = 0, end; i < block->nr && known; i = end) {
		uint32_t id = block->vcpus ? block->vcpus[i] : 0;
		uint32_t edge = c->row[id] + class[i];

		end = i + 1;
		if (!block->times[i] && c->next[edge] != CHAIN_UNKNOWN) {
			log_count(c, log, edge, 1);
			c->row[id] = c->next[edge];
		} else if (!block->times[i]) {
			known = digest_event(c, id, &block->word[block->tags[i]], class[i], same,
					     log);
		} else {
			while (end < block->nr && block->times[end] &&
			       (!block->vcpus || block->vcpus[end] == id))
				end++;
			known = digest_run(c, id,
					   &(struct words){block, block->tags + i, class + i,
							   block->times + i, end - i},
					   log);
		}
	}
	return known;
}

/* ---- phrases ---- */

/* A word of a phrase. An arrival must find the pCPU as its vCPU left it. */
static uint32_t look_in_phrase(struct chain *c, uint32_t from, const struct block_word *word,
			       uint32_t class, const struct chain_log *log)
{
	if (chain_is_coming(word->kind) && chain_views(c, from)->part != WHOLE)
		return CHAIN_UNKNOWN;
	return look(c, from, word, class, log);
}

/* The edge of a phrase, and of those that it begins with, from their words' edges. */
static uint32_t compose(struct chain *c, uint32_t from, const struct trace_block *block,
			uint8_t code, const uint32_t *class, const struct chain_log *log)
{
	uint8_t longer[BLOCK_MAX_PHRASES];
	size_t nr_words = block->nr_words, nr = 0;
	uint32_t to;

	for (; code >= nr_words; code = block->phrase[code - nr_words].prefix)
		longer[nr++] = code;
	to = look_in_phrase(c, from, &block->word[code], class[code], log);
	while (nr-- > 0 && to != CHAIN_UNKNOWN) {
		uint8_t word = block->phrase[longer[nr] - nr_words].word;

		to = look_in_phrase(c, to, &block->word[word], class[word], log);
		if (class[longer[nr]] != CHAIN_SLOW)
			c->next[from + class[longer[nr]]] = to;
	}
	return to;
}

/* Entries of one vCPU: false when one of them is not known. */
static bool walk_stretch(struct chain *c, uint32_t id, const struct trace_block *block, size_t at,
			 size_t nr, const uint32_t *class, struct chain_log *log)
{
	const uint8_t *codes = block->tags + at;
	uint32_t row = c->row[id];

	for (size_t i = 0; i < nr; i++) {
		uint32_t edge = row + class[codes[i]], to = c->next[edge];

		if (__builtin_expect(to == CHAIN_UNKNOWN, 0))
			to = compose(c, row, block, codes[i], class, log);
		if (__builtin_expect(to == CHAIN_UNKNOWN, 0))
			return false;
		log_count(c, log, edge, 1);
		row = to;
	}
	c->row[id] = row;
	return true;
}

static bool walk_phrases(struct chain *c, const struct trace_block *block, const uint32_t *class,
			 const uint32_t same[NR_EVENT_KINDS], struct chain_log *log)
{
	bool known = true;
	size_t at = 0;

	for (size_t s = 0; s < block->nr_stretches && known; s++) {
		uint32_t id = block->vcpus ? block->vcpus[s] : 0, times = block->times[s];

		known = times ? walk_stretch(c, id, block, at, times, class, log)
			      : digest_event(c, id, &block->word[block->tags[at]],
					     class[block->tags[at]], same, log);
		at += times ? times : 1;
	}
	return known;
}

/* All that was counted, or nothing. */
static bool conclude(struct chain *c, const struct trace_block *block, bool known,
		     const struct chain_log *log)
{
	for (size_t i = 0; i < log->nr && !known; i++)
		c->count[log->count[i].edge] -= log->count[i].times;
	if (!known) {
		memcpy(c->row, c->before, chain_places(c) * sizeof(*c->row));
		return false;
	}
	c->whole += block->nr_events;
	return true;
}

static void start(struct chain *c, struct chain_log *log)
{
	log->nr = 0;
	memcpy(c->before, c->row, chain_places(c) * sizeof(*c->row));
}

bool chain_runs(struct chain *c, const struct trace_block *block, const uint8_t *class,
		const uint32_t same[NR_EVENT_KINDS], struct chain_log *log)
{
	start(c, log);
	return conclude(c, block, walk_runs(c, block, class, same, log), log);
}

bool chain_stretches(struct chain *c, const struct trace_block *block,
		     const uint32_t class[BLOCK_MAX_CODES], const uint32_t same[NR_EVENT_KINDS],
		     struct chain_log *log)
{
	start(c, log);
	return conclude(c, block, walk_phrases(c, block, class, same, log), log);
}
