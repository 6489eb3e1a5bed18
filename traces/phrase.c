/* SPDX-License-Identifier: MIT */
#include "traces/phrase.h"

#include <stdlib.h>
#include <string.h>

enum {
	MISSES_WORTH = 8, /* of a word after a code in a lesson, or no phrase is made of both */
	ROUNDS = 40,      /* of adding phrases; more were no better on any trace that was tried */
	STEP = 6,         /* each takes one of so many codes that are left */
	LEAST_USE = 2,    /* of this part of the mean, for a code not to be used otherwise */
	WORSE = 8         /* a book whose blocks cost so much more is made anew */
};

/* What an event is to the order. */
enum arrival { NO_ARRIVAL, SAME_PCPU, NAMED_PCPU };

/*
 * What comes after a code and a word is the code of the phrase that both make, or the word
 * itself, which is a smaller number than any phrase's: then the code was an entry.
 * @after:   by code and word
 * @words:   of the block, stretch by stretch
 * @length:  of each stretch, in words; 0 for an arrival in its place, which is one
 * @settled: by vCPU: how many arrivals by name there had been when it came last, this one
 *           included
 * @count:   by vCPU: events of the section
 * @used:    by code, in a lesson: entries
 * @misses:  by code and word, in a lesson: how often no phrase went on there
 */
struct phrase_work {
	uint8_t after[BLOCK_MAX_CODES][BLOCK_MAX_WORDS];
	uint8_t words[BLOCK_MAX_EVENTS];
	uint32_t length[PHRASE_MAX_ENTRIES];
	uint32_t settled[PHRASE_MAX_VCPUS];
	uint32_t count[PHRASE_MAX_VCPUS];
	uint32_t used[BLOCK_MAX_CODES];
	uint32_t misses[BLOCK_MAX_CODES][BLOCK_MAX_WORDS];
};

struct phrase_builder *phrase_builder_new(void)
{
	struct phrase_builder *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->always = false;
	b->work = malloc(sizeof(*b->work));
	if (b->work)
		return b;
	free(b);
	return NULL;
}

void phrase_builder_free(struct phrase_builder *b)
{
	if (!b)
		return;
	free(b->work);
	free(b);
}

/* ---- sections and stretches ---- */

/*
 * Where a block is being cut.
 * @words:   of stretches so far
 * @named:   arrivals by name so far
 */
struct cut {
	struct phrase_builder *builder;
	const struct trace_block *block;
	uint32_t nr_vcpus;
	bool shared;
	size_t words;
	uint32_t named;
};

static bool add_stretch(struct cut *c, uint32_t vcpu, uint32_t length)
{
	struct trace_block *digest = &c->builder->digest;

	if (digest->nr_stretches == PHRASE_MAX_ENTRIES)
		return false;
	c->builder->vcpus[digest->nr_stretches] = (uint16_t)vcpu;
	c->builder->work->length[digest->nr_stretches++] = length;
	c->words += length ? length : 1;
	return true;
}

/* Events @from to @to: in none of them somebody comes to another's pCPU. */
static bool add_section(struct cut *c, size_t from, size_t to)
{
	struct phrase_work *w = c->builder->work;
	const uint16_t *vcpus = c->block->vcpus;
	uint8_t *at[PHRASE_MAX_VCPUS], *end = w->words + c->words;
	bool room = true;

	if (!vcpus) {
		memcpy(end, c->block->tags + from, to - from);
		return from == to || add_stretch(c, 0, (uint32_t)(to - from));
	}
	memset(w->count, 0, c->nr_vcpus * sizeof(*w->count));
	for (size_t i = from; i < to; i++)
		w->count[vcpus[i]]++;
	for (uint32_t v = 0; v < c->nr_vcpus; end += w->count[v++])
		at[v] = end;
	for (size_t i = from; i < to; i++)
		*at[vcpus[i]]++ = c->block->tags[i];
	for (uint32_t v = 0; v < c->nr_vcpus && room; v++)
		room = !w->count[v] || add_stretch(c, v, w->count[v]);
	return room;
}

/* Does this arrival stand in its place? */
static bool stands(struct cut *c, uint32_t vcpu, enum arrival arrival)
{
	uint32_t *settled = &c->builder->work->settled[vcpu];
	bool stands;

	c->named += arrival == NAMED_PCPU;
	stands = c->shared || *settled != c->named;
	*settled = c->named;
	return stands;
}

/* False when there are too many stretches. */
static bool cut(struct cut *c, const enum arrival arrival[BLOCK_MAX_WORDS])
{
	const struct trace_block *block = c->block;
	uint8_t *words = c->builder->work->words;
	size_t from = 0;

	for (size_t i = 0; i < block->nr; i++) {
		enum arrival kind = arrival[block->tags[i]];
		uint32_t vcpu;

		if (kind == NO_ARRIVAL)
			continue;
		vcpu = block->vcpus ? block->vcpus[i] : 0;
		if (!stands(c, vcpu, kind))
			continue;
		if (!add_section(c, from, i))
			return false;
		words[c->words] = block->tags[i];
		if (!add_stretch(c, vcpu, 0))
			return false;
		from = i + 1;
	}
	return add_section(c, from, block->nr);
}

/* The stretches of a block, in words; false when it has no digest. */
static bool lay_out(struct phrase_builder *b, const struct trace_block *block, uint32_t nr_vcpus,
		    uint32_t nr_pcpus)
{
	struct cut c = {b, block, nr_vcpus, nr_vcpus > nr_pcpus, 0, 1};
	enum arrival arrival[BLOCK_MAX_WORDS];

	if (nr_vcpus > PHRASE_MAX_VCPUS)
		return false;
	for (size_t i = 0; i < block->nr_words; i++) {
		const struct block_word *word = &block->word[i];

		if (word->varies && word->kind != EVENT_hlt)
			return false;
		arrival[i] = word->kind != EVENT_wake && word->kind != EVENT_resume ? NO_ARRIVAL
			     : word->min == EVENT_SAME_PCPU                         ? SAME_PCPU
										    : NAMED_PCPU;
	}
	memset(b->work->settled, 0, sizeof(b->work->settled));
	memcpy(&b->digest, block, sizeof(*block));
	b->digest.nr = b->digest.nr_stretches = b->digest.nr_args = 0;
	b->digest.tags = b->codes;
	b->digest.vcpus = block->vcpus ? b->vcpus : NULL;
	b->digest.times = b->times;
	return cut(&c, arrival);
}

/* ---- entries ---- */

static void fill_after(struct phrase_work *w, size_t nr_words, const struct block_phrase *phrase,
		       size_t nr)
{
	for (size_t word = 0; word < nr_words; word++)
		w->after[0][word] = (uint8_t)word;
	for (size_t code = 1; code < nr_words + nr; code++)
		memcpy(w->after[code], w->after[0], nr_words);
	for (size_t i = 0; i < nr; i++)
		w->after[phrase[i].prefix][phrase[i].word] = (uint8_t)(nr_words + i);
}

/* One stretch, of at least one word, to @codes. Returns how many. */
static size_t parse(const struct phrase_work *w, const uint8_t *words, size_t nr, size_t nr_words,
		    uint8_t *codes)
{
	uint8_t code = words[0];
	size_t entries = 0;

	for (size_t i = 1; i < nr; i++) {
		uint8_t after = w->after[code][words[i]];

		codes[entries] = code;
		entries += after < nr_words;
		code = after;
	}
	codes[entries] = code;
	return entries + 1;
}

/* All stretches; what that costs in entries, stretches and phrases. */
static size_t parse_all(struct phrase_builder *b, const struct block_phrase *phrase, size_t nr)
{
	struct trace_block *digest = &b->digest;
	const uint8_t *words = b->work->words;

	fill_after(b->work, digest->nr_words, phrase, nr);
	digest->nr = 0;
	for (size_t s = 0; s < digest->nr_stretches; s++) {
		uint32_t length = b->work->length[s];
		size_t entries = parse(b->work, words, length ? length : 1, digest->nr_words,
				       b->codes + digest->nr);

		b->times[s] = length ? (uint32_t)entries : 0;
		digest->nr += entries;
		words += length ? length : 1;
	}
	return digest->nr + digest->nr_stretches + nr;
}

const struct trace_block *phrase_build(struct phrase_builder *b, const struct trace_block *block,
				       uint32_t nr_vcpus, uint32_t nr_pcpus,
				       const struct block_phrase *phrase, size_t nr)
{
	if (!lay_out(b, block, nr_vcpus, nr_pcpus) ||
	    (parse_all(b, phrase, nr) > block->nr / PHRASE_WORTH && !b->always))
		return NULL;
	b->digest.nr_phrases = nr;
	memcpy(b->digest.phrase, phrase, nr * sizeof(*phrase));
	return &b->digest;
}

/* ---- books ---- */

static uint64_t sleep_group(const struct block_word *word, const uint64_t sleep[2])
{
	return (uint64_t)(word->min >= sleep[0]) + (word->min >= sleep[1]);
}

/* A block's word as a book has it. */
static struct block_word book_word(const struct block_word *word, const uint64_t sleep[2])
{
	uint64_t arg = word->varies ? sleep_group(word, sleep) : word->min;

	return (struct block_word){arg, arg, word->kind, word->varies};
}

size_t phrase_bind(const struct phrase_book *book, const struct trace_block *block,
		   const uint64_t sleep[2], struct block_phrase phrase[BLOCK_MAX_PHRASES])
{
	enum { ABSENT = BLOCK_MAX_CODES };
	uint16_t code[BLOCK_MAX_CODES];
	size_t nr = 0;

	for (size_t i = 0; i < book->nr_words; i++) {
		code[i] = ABSENT;
		for (size_t j = 0; j < block->nr_words && code[i] == ABSENT; j++) {
			struct block_word word = book_word(&block->word[j], sleep);

			if (word.min == book->word[i].min && word.kind == book->word[i].kind &&
			    word.varies == book->word[i].varies)
				code[i] = (uint16_t)j;
		}
	}
	for (size_t i = 0; i < book->nr; i++) {
		uint16_t prefix = code[book->phrase[i].prefix], word = code[book->phrase[i].word];

		code[book->nr_words + i] = ABSENT;
		if (prefix == ABSENT || word == ABSENT || nr == BLOCK_MAX_PHRASES ||
		    block->nr_words + nr == BLOCK_MAX_CODES)
			continue;
		phrase[nr] = (struct block_phrase){(uint8_t)prefix, (uint8_t)word};
		code[book->nr_words + i] = (uint16_t)(block->nr_words + nr++);
	}
	return nr;
}

/* ---- lessons ---- */

/* A word that often came after a code, where no phrase had both. */
struct child {
	uint32_t misses;
	struct block_phrase phrase;
};

/* The commonest first; never equal. */
static int compare_children(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	if (x->misses != y->misses)
		return x->misses < y->misses ? 1 : -1;
	if (x->phrase.prefix != y->phrase.prefix)
		return x->phrase.prefix < y->phrase.prefix ? -1 : 1;
	return x->phrase.word < y->phrase.word ? -1 : 1;
}

/* As parse_all(), and what would have made it shorter. */
static void count_misses(struct phrase_builder *b, const struct block_phrase *phrase, size_t nr)
{
	struct phrase_work *w = b->work;
	const uint8_t *words = w->words;
	size_t nr_words = b->digest.nr_words;

	fill_after(w, nr_words, phrase, nr);
	memset(w->used, 0, sizeof(w->used));
	memset(w->misses, 0, sizeof(w->misses));
	for (size_t s = 0; s < b->digest.nr_stretches; s++) {
		size_t length = w->length[s] ? w->length[s] : 1;
		uint8_t code = words[0];

		for (size_t i = 1; i < length; i++) {
			uint8_t after = w->after[code][words[i]];

			if (after < nr_words) {
				w->used[code]++;
				w->misses[code][words[i]]++;
			}
			code = after;
		}
		w->used[code]++;
		words += length;
	}
}

/* Add up to @most phrases that the last count called for. Returns how many there are. */
static size_t add_children(struct phrase_builder *b, struct block_phrase *phrase, size_t nr,
			   size_t most, struct child *children)
{
	size_t nr_words = b->digest.nr_words, found = 0;

	for (size_t code = 0; code < nr_words + nr; code++)
		for (size_t word = 0; word < nr_words; word++)
			if (b->work->misses[code][word] >= MISSES_WORTH)
				children[found++] = (struct child){b->work->misses[code][word],
								   {(uint8_t)code, (uint8_t)word}};
	qsort(children, found, sizeof(*children), compare_children);
	for (size_t i = 0; i < found && i < most; i++)
		phrase[nr++] = children[i].phrase;
	return nr;
}

/*
 * Leave out phrases that few entries are and none goes on from: their codes are better used
 * elsewhere. Returns how many are left.
 */
static size_t prune(struct phrase_builder *b, struct block_phrase *phrase, size_t nr)
{
	size_t nr_words = b->digest.nr_words, left = 0;
	uint32_t *used = b->work->used, least, entries = 0;
	uint8_t code[BLOCK_MAX_CODES];

	for (size_t i = 0; i < nr_words + nr; i++)
		entries += used[i];
	least = entries / (uint32_t)(nr_words + nr) / LEAST_USE + 1;
	for (size_t i = nr; i-- > 0;) /* what leads to one that stays, stays */
		if (used[nr_words + i] >= least)
			used[phrase[i].prefix] = UINT32_MAX;
	for (size_t i = 0; i < nr_words; i++)
		code[i] = (uint8_t)i;
	for (size_t i = 0; i < nr; i++) {
		if (used[nr_words + i] < least)
			continue;
		code[nr_words + i] = (uint8_t)(nr_words + left);
		phrase[left++] = (struct block_phrase){code[phrase[i].prefix], phrase[i].word};
	}
	return left;
}

/* Phrases for the block that is laid out: those for which there was most call, round by round. */
static size_t learn(struct phrase_builder *b, struct block_phrase *phrase)
{
	size_t nr_words = b->digest.nr_words, nr = 0, max = BLOCK_MAX_CODES - nr_words;
	struct child *children = malloc(BLOCK_MAX_CODES * nr_words * sizeof(*children));

	max = max < BLOCK_MAX_PHRASES ? max : BLOCK_MAX_PHRASES;
	for (size_t round = 0; children && round < ROUNDS; round++) {
		count_misses(b, phrase, nr);
		if (nr == max)
			nr = prune(b, phrase, nr);
		nr = add_children(b, phrase, nr, (max - nr + STEP - 1) / STEP, children);
	}
	free(children);
	return nr;
}

/* What a block of this many events may cost, if another costs so much; rounded up. */
static size_t in_proportion(size_t cost, size_t events, size_t wanted)
{
	return events ? (cost * wanted + events - 1) / events : 0;
}

void phrase_teach(struct phrase_book *book, struct phrase_builder *b,
		  const struct trace_block *block, uint32_t nr_vcpus, uint32_t nr_pcpus,
		  const uint64_t sleep[2])
{
	struct block_phrase phrase[BLOCK_MAX_PHRASES];
	size_t expected = in_proportion(book->cost, book->events, block->nr), cost;
	size_t nr;

	if (!lay_out(b, block, nr_vcpus, nr_pcpus))
		return;
	nr = phrase_bind(book, block, sleep, phrase);
	cost = parse_all(b, phrase, nr);
	if (book->events && cost <= expected + expected / WORSE)
		return;
	nr = learn(b, phrase);
	if (parse_all(b, phrase, nr) >= cost)
		return;
	*book = (struct phrase_book){
		.nr_words = block->nr_words,
		.nr = nr,
		.events = block->nr,
		.cost = parse_all(b, phrase, nr),
	};
	for (size_t i = 0; i < block->nr_words; i++)
		book->word[i] = book_word(&block->word[i], sleep);
	memcpy(book->phrase, phrase, nr * sizeof(*phrase));
}
