/* SPDX-License-Identifier: MIT */
/**
 * DOC: A block of events as columns, the form that replays fast.
 *
 * Guests repeat a few (kind, argument) pairs, so a block has a dictionary of words and one
 * byte per event that names its word. Whoever needs to know what an event is looks at 256
 * words once a block instead of at 65,536 events. Cycles of guest time are summed by kind:
 * no policy looks at a single delta.
 */
#ifndef TRACES_BLOCK_H
#define TRACES_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/event.h"

enum {
	BLOCK_MAX_EVENTS = 65536,
	BLOCK_MAX_WORDS = 256,
	BLOCK_MAX_CODES = 256,   /* words and phrases of a digest */
	BLOCK_MAX_PHRASES = 216, /* as many as a replay has room for beside 40 usual words */
	/* A sleep below the first, between, or at and above the second is a word of its own. */
	BLOCK_SLEEP_US_1 = 200,
	BLOCK_SLEEP_US_2 = 800
};

/**
 * struct block_word - What events of one tag have in common.
 * @min:    the smallest argument
 * @max:    the largest
 * @kind:   enum event_kind
 * @varies: arguments differ and stand in trace_block::args; otherwise all are @min == @max
 */
struct block_word {
	uint64_t min;
	uint64_t max;
	uint8_t kind;
	bool varies;
};

struct event_limits;

/**
 * struct block_phrase - Two or more words of one vCPU, one after the other.
 * @prefix: code of all but the last: a word, or words + the number of an earlier phrase
 * @word:   tag of the last
 */
struct block_phrase {
	uint8_t prefix;
	uint8_t word;
};

/**
 * struct trace_block - Up to BLOCK_MAX_EVENTS events, in order; or a digest of them.
 *
 * There are two kinds of digests. One is of runs: it has an entry for each event that is not a
 * VM-exit of kind exit, and for the first few exits after it; what follows until the vCPU's next
 * such event is a run: an entry for each of its distinct words, in the order in which they first
 * appear, and how often it does. A run stands just before that event, or at the end. How it is
 * made: traces/digest.h.
 *
 * The other is of phrases: entries are codes, of words and of phrases, and stand in stretches,
 * each of one vCPU. How it is made and what it says of the order: traces/phrase.h.
 *
 * @nr:       entries: events, or fewer in a digest
 * @nr_events: events
 * @nr_words: entries of @word
 * @nr_args:  entries of @args
 * @word:     by tag
 * @tags:     @nr, each below @nr_words; in a digest of phrases codes: tags, or @nr_words + the
 *            number of a phrase
 * @vcpus:    @nr; NULL when the trace has one vCPU; in a digest of phrases @nr_stretches
 * @args:     arguments of the events whose word varies, in order; none in a digest of phrases
 * @times:    NULL when this is no digest; of runs, @nr: 0 for one event, else how often the word
 *            is in its run; of phrases, @nr_stretches: how many entries, 0 for one arrival that
 *            stands in its place
 * @nr_phrases: 0 when this is no digest of phrases
 * @nr_stretches: of a digest of phrases
 * @phrase:   @nr_phrases
 * @count:    events by kind
 * @guest_cycles: sum of the deltas of all kinds but wake and resume
 * @off_cycles: sum of the deltas of wake and resume
 */
struct trace_block {
	size_t nr;
	size_t nr_events;
	size_t nr_words;
	size_t nr_args;
	struct block_word word[BLOCK_MAX_WORDS];
	const uint8_t *tags;
	const uint16_t *vcpus;
	const uint64_t *args;
	const uint32_t *times;
	size_t nr_phrases;
	size_t nr_stretches;
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	uint64_t count[NR_EVENT_KINDS];
	uint64_t guest_cycles;
	uint64_t off_cycles;
};

/** block_nr_vcpus() - Entries of trace_block::vcpus, and of trace_block::times. */
static inline size_t block_nr_vcpus(const struct trace_block *block)
{
	return block->nr_phrases ? block->nr_stretches : block->nr;
}

/**
 * struct trace_columns - Any number of events as columns, with their deltas.
 * @nr:       events
 * @nr_args:  entries of @args
 * @nr_words: at most BLOCK_MAX_WORDS
 * @words:    by tag; several may say the same. Of those that vary only that and the kind count
 * @tags:     @nr, each below @nr_words
 * @vcpus:    @nr
 * @deltas:   @nr, see struct trace_event
 * @args:     arguments of the events whose word varies, in order
 */
struct trace_columns {
	size_t nr;
	size_t nr_args;
	size_t nr_words;
	const struct block_word *words;
	const uint8_t *tags;
	const uint16_t *vcpus;
	const uint64_t *deltas;
	const uint64_t *args;
};

/**
 * struct block_columns - Memory for the columns of one block.
 * @tags:    of the block; of struct trace_columns until it is built from these
 * @vcpus:   by event
 * @deltas:  by event
 * @args:    of struct trace_columns: of the words that vary, in order
 * @nr_args: entries of @args
 */
struct block_columns {
	uint8_t tags[BLOCK_MAX_EVENTS];
	uint16_t vcpus[BLOCK_MAX_EVENTS];
	uint64_t deltas[BLOCK_MAX_EVENTS];
	uint64_t args[BLOCK_MAX_EVENTS];
	size_t nr_args;
};

enum { BLOCK_RECENT_BITS = 10 };

/* A word that was met lately. */
struct block_recent {
	uint64_t arg;
	uint32_t kind;
	uint8_t tag;
};

/**
 * struct block_builder - Memory for a block that is made from events.
 * @block:  the result
 * @columns: of @block
 * @args:   for @block
 * @sleep:  the two bounds of BLOCK_SLEEP_US_* in trace cycles
 * @recent: words by a hash of kind and argument; for none, one that belongs elsewhere
 * @slots:  open addressing from (kind, argument) to word number + 1
 */
struct block_builder {
	struct trace_block block;
	struct block_columns columns;
	uint64_t args[BLOCK_MAX_EVENTS + 1];
	uint64_t sleep[2];
	struct block_recent recent[1 << BLOCK_RECENT_BITS];
	uint16_t slots[4 * BLOCK_MAX_WORDS];
};

/** block_builder_init() - For traces with this clock; once. */
void block_builder_init(struct block_builder *builder, uint64_t tsc_khz);

/** block_begin() - A block without events; block_build() and block_build_columns() do it, too. */
void block_begin(struct block_builder *builder);

/**
 * block_add() - Events to columns, as they come.
 * @builder: block_begin() was called; the block has room for them
 * @limits:  of the trace; the sum moves on if all are fine; NULL when the events are checked
 * @events:  @nr of them
 * @nr:      any number
 *
 * Return: true when all are fine for sure. If not, it takes validate_events() to tell, and the
 * block is spoilt if one is not.
 */
bool block_add(struct block_builder *builder, struct event_limits *limits,
	       const struct trace_event *events, size_t nr);

/**
 * block_end() - No more events.
 * @builder: of at least one event
 * @one_vcpu: the trace has one vCPU
 *
 * Return: the block, valid until the next begins.
 */
const struct trace_block *block_end(struct block_builder *builder, bool one_vcpu);

/**
 * block_build() - All three.
 * @builder: initialised; its block is overwritten
 * @events:  @nr of them, checked
 * @nr:      1 to BLOCK_MAX_EVENTS
 * @one_vcpu: the trace has one vCPU
 *
 * Return: the block, valid until the next begins.
 */
const struct trace_block *block_build(struct block_builder *builder,
				      const struct trace_event *events, size_t nr, bool one_vcpu);

/**
 * block_build_columns() - The same block, from columns.
 * @builder:  its columns are those, checked; its block is overwritten
 * @words:    @nr_words of them, see struct trace_columns
 * @nr_words: how many
 * @nr:       1 to BLOCK_MAX_EVENTS
 * @one_vcpu: the trace has one vCPU
 *
 * Cost: some 20 instructions an event. Return: the block, valid until the next begins.
 */
const struct trace_block *block_build_columns(struct block_builder *builder,
					      const struct block_word *words, size_t nr_words,
					      size_t nr, bool one_vcpu);

#endif /* TRACES_BLOCK_H */
