/* SPDX-License-Identifier: MIT */
/**
 * DOC: Digests of blocks as phrases: words that a vCPU often has one after the other.
 *
 * To a replay a phrase is one more class of event: one look-up stands for several events. The
 * phrases of a digest are a trie (each is an earlier code and one more word), so whoever makes the
 * digest reads each vCPU's words once, always takes the longest phrase, and never goes back.
 *
 * Order: a digest lists one vCPU's words after the other's and forgets how they were mixed. That
 * is exact as long as each of them has a pCPU to itself, because no event reads or changes
 * anything but its vCPU and the pCPU that it holds. Only an arrival, a wake or resume, can come
 * to a pCPU where another vCPU was; so the digest is cut into sections, and arrivals that may do
 * that begin one: they stand in their place. Those are the arrivals with a pCPU by name; the first
 * of each vCPU in the block, or after another vCPU has been given a pCPU by name; and all, where
 * there are more vCPUs than pCPUs. Any other arrival is a word like others, and whoever replays
 * must see that it finds its pCPU as its vCPU left it; then, in that section, nobody else was
 * there, since he would have come by an arrival that finds another's pCPU. If it does not, the
 * order matters and the block itself has to be replayed. Growing buffers also share a state, the
 * allocator's; a replay leaves digests in which one grows, too (sim/chain.h).
 *
 * Where vCPUs share pCPUs and come and go often, nearly all would stand in its place, and there
 * is no digest.
 *
 * Lengths of sleeps, the only arguments that vary in a phrase, are not kept: replays look at
 * their smallest and largest alone, or at the block.
 */
#ifndef TRACES_PHRASE_H
#define TRACES_PHRASE_H

#include "traces/block.h"

enum {
	PHRASE_MAX_VCPUS = 64,
	PHRASE_WORTH = 2, /* events for each entry, stretch and phrase, or there is no digest */
	PHRASE_MAX_ENTRIES = BLOCK_MAX_EVENTS / PHRASE_WORTH
};

struct phrase_work;

/**
 * struct phrase_book - Phrases that blocks share, whatever numbers their words have there.
 * @nr_words: entries of @word
 * @word:     words of the phrases; of those that vary, @min is the group of sleeps
 * @nr:       entries of @phrase
 * @phrase:   codes below @nr_words are words
 * @events:   of the block that it was made for; 0 when there was none yet
 * @cost:     of that block's digest: entries, stretches and phrases
 */
struct phrase_book {
	size_t nr_words;
	struct block_word word[BLOCK_MAX_WORDS];
	size_t nr;
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	size_t events;
	size_t cost;
};

/**
 * struct phrase_builder - Memory for a digest.
 * @digest: the result
 * @codes:  for @digest
 * @vcpus:  for @digest
 * @times:  for @digest
 * @work:   owned
 * @always: also where it is not worth it; for tests of few events
 */
struct phrase_builder {
	struct trace_block digest;
	uint8_t codes[BLOCK_MAX_EVENTS];
	uint16_t vcpus[PHRASE_MAX_ENTRIES];
	uint32_t times[PHRASE_MAX_ENTRIES];
	struct phrase_work *work;
	bool always;
};

/** phrase_builder_new() - Return: the builder; NULL without memory. */
struct phrase_builder *phrase_builder_new(void);

/**
 * phrase_build() - The digest of a block by given phrases.
 * @builder:  its digest is overwritten
 * @block:    the block; outlives the digest
 * @nr_vcpus: of the trace
 * @nr_pcpus: of the trace
 * @phrase:   @nr of them; each has an earlier code and a word
 * @nr:       1 to BLOCK_MAX_PHRASES; words and phrases are BLOCK_MAX_CODES at most
 *
 * Cost: some 32 instructions an event. Return: the digest, NULL when it would
 * not be worth its room or when a word varies that is no HLT.
 */
const struct trace_block *phrase_build(struct phrase_builder *builder,
				       const struct trace_block *block, uint32_t nr_vcpus,
				       uint32_t nr_pcpus, const struct block_phrase *phrase,
				       size_t nr);

/**
 * phrase_bind() - A book's phrases in a block's words.
 * @book:   the book
 * @block:  the block
 * @sleep:  the bounds between groups of sleeps, as in struct block_builder
 * @phrase: receives them
 *
 * Return: how many; those whose words the block has, as far as there are codes.
 */
size_t phrase_bind(const struct phrase_book *book, const struct trace_block *block,
		   const uint64_t sleep[2], struct block_phrase phrase[BLOCK_MAX_PHRASES]);

/**
 * phrase_teach() - Make a book anew if it has become bad for what comes.
 * @book:     may change; zeroed before the first time
 * @builder:  memory
 * @block:    an example of what comes
 * @nr_vcpus: of the trace
 * @nr_pcpus: of the trace
 * @sleep:    as for phrase_bind()
 *
 * It is bad when @block costs an eighth more by it than the block that it was made for.
 * Cost: some 0.2 ms; where a new one is made 4 to 8 ms more.
 */
void phrase_teach(struct phrase_book *book, struct phrase_builder *builder,
		  const struct trace_block *block, uint32_t nr_vcpus, uint32_t nr_pcpus,
		  const uint64_t sleep[2]);

/** phrase_builder_free() - Free a builder; NULL is allowed. */
void phrase_builder_free(struct phrase_builder *builder);

#endif /* TRACES_PHRASE_H */
