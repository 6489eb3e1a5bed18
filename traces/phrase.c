/* SPDX-License-Identifier: MIT */
#include "traces/phrase.h"

#include <stdlib.h>
#include <string.h>

enum {
	MISSES_WORTH = 8, /* of a word after a code in a lesson, or no phrase is made of both */
	ROUNDS = 60,   /* of adding phrases; more were no better on most traces that were tried */
	STEP = 5,      /* each takes one of so many codes that are left */
	LEAST_USE = 2, /* of this part of the mean, for a code not to be used otherwise */
	WORSE = 8,     /* a book whose blocks cost so much more is made anew */
	/* A lesson is of so many events in so many places, which is as good as the whole block. */
	LESSON_EVENTS = 16384,
	LESSON_PLACES = 8
};

/* What an event is to the order. */
enum arrival { NO_ARRIVAL, SAME_PCPU, NAMED_PCPU };

enum {
	BEGIN = BLOCK_MAX_CODES,           /* before a stretch's first word */
	LANE_BYTES = BLOCK_MAX_EVENTS + 64 /* not all in the same places of a cache */
};

/*
 * A vCPU's stretch under way.
 * @end:  of its entries so far
 * @code: what will be an entry when no phrase goes on
 */
struct lane {
	uint8_t *end;
	uint32_t code;
};

/*
 * What comes after a code and a word is the code of the phrase that both make, or the word
 * itself, which is a smaller number than any phrase's: then the code was an entry.
 * @after:   by word and code: the word is known before the code, which the next step waits for
 * @standing: arrivals in their places, by the number of the event
 * @settled: by vCPU: how many arrivals by name there had been when it came last, this one
 *           included
 * @lanes:   by vCPU; they begin anew with each section
 * @entries: of @lanes; the first byte of each is for BEGIN
 * @lesson_tags: of the events of a lesson
 * @lesson_vcpus: of them
 * @used:    by code, in a lesson: entries
 * @misses:  by code and word, in a lesson: how often no phrase went on there
 */
struct phrase_work {
	uint8_t after[BLOCK_MAX_WORDS][BLOCK_MAX_CODES + 1];
	uint16_t standing[BLOCK_MAX_EVENTS];
	size_t nr_standing;
	uint32_t settled[PHRASE_MAX_VCPUS];
	struct lane lanes[PHRASE_MAX_VCPUS];
	uint8_t entries[PHRASE_MAX_VCPUS][LANE_BYTES];
	uint8_t lesson_tags[LESSON_EVENTS];
	uint16_t lesson_vcpus[LESSON_EVENTS];
	uint32_t used[BLOCK_MAX_CODES];
	uint32_t misses[BLOCK_MAX_CODES][BLOCK_MAX_WORDS];
};

_Static_assert(PHRASE_MAX_VCPUS <= 64, "a bit for each vCPU");

static void begin_lane(struct phrase_work *w, uint32_t vcpu)
{
	w->lanes[vcpu] = (struct lane){w->entries[vcpu], BEGIN};
}

struct phrase_builder *phrase_builder_new(void)
{
	struct phrase_builder *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->always = false;
	b->work = malloc(sizeof(*b->work));
	if (!b->work) {
		free(b);
		return NULL;
	}
	for (uint32_t v = 0; v < PHRASE_MAX_VCPUS; v++)
		begin_lane(b->work, v);
	return b;
}

void phrase_builder_free(struct phrase_builder *b)
{
	if (!b)
		return;
	free(b->work);
	free(b);
}

/* ---- sections ---- */

/* The events that are arrivals, in order. Returns how many. */
static size_t find_arrivals(const struct trace_block *block,
			    const enum arrival arrival[BLOCK_MAX_WORDS], uint16_t *found)
{
	size_t nr = 0;

	/* Noted all the same, because nobody predicts which one is. */
	for (size_t i = 0; i < block->nr; i++) {
		found[nr] = (uint16_t)i;
		nr += arrival[block->tags[i]] != NO_ARRIVAL;
	}
	return nr;
}

/* Of all arrivals, those that stand in their places: they part sections. */
static void cut(struct phrase_work *w, const struct trace_block *block, bool shared,
		const enum arrival arrival[BLOCK_MAX_WORDS])
{
	size_t nr = find_arrivals(block, arrival, w->standing);
	uint32_t named = 1; /* which nobody's first finds */

	memset(w->settled, 0, sizeof(w->settled));
	w->nr_standing = 0;
	for (size_t i = 0; i < nr; i++) {
		uint16_t at = w->standing[i];
		uint32_t *settled = &w->settled[block->vcpus ? block->vcpus[at] : 0];

		named += arrival[block->tags[at]] == NAMED_PCPU;
		w->standing[w->nr_standing] = at;
		w->nr_standing += shared || *settled != named;
		*settled = named;
	}
}

/* False when the block has no digest. */
static bool lay_out(struct phrase_builder *b, const struct trace_block *block, uint32_t nr_vcpus,
		    uint32_t nr_pcpus)
{
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
	cut(b->work, block, nr_vcpus > nr_pcpus, arrival);
	memcpy(&b->digest, block, sizeof(*block));
	b->digest.nr_args = 0;
	b->digest.tags = b->codes;
	b->digest.vcpus = block->vcpus ? b->vcpus : NULL;
	b->digest.times = b->times;
	return true;
}

/* ---- entries ---- */

static void fill_after(struct phrase_work *w, size_t nr_words, const struct block_phrase *phrase,
		       size_t nr)
{
	for (size_t word = 0; word < nr_words; word++)
		memset(w->after[word], (int)word, sizeof(w->after[word]));
	for (size_t i = 0; i < nr; i++)
		w->after[phrase[i].word][phrase[i].prefix] = (uint8_t)(nr_words + i);
}

/* A stretch of @nr entries at the digest's end, where they stand already. */
static bool add_stretch(struct phrase_builder *b, uint32_t vcpu, size_t nr, bool arrival)
{
	struct trace_block *digest = &b->digest;

	if (digest->nr_stretches == PHRASE_MAX_ENTRIES)
		return false;
	b->vcpus[digest->nr_stretches] = (uint16_t)vcpu;
	b->times[digest->nr_stretches++] = arrival ? 0 : (uint32_t)nr;
	digest->nr += nr;
	return true;
}

/* Words of the only vCPU there is, to @codes. Returns how many entries they are. */
static size_t parse_one(const struct phrase_work *w, const uint8_t *words, size_t nr,
			size_t nr_words, uint8_t *codes)
{
	uint8_t code = words[0];
	size_t entries = 0;

	for (size_t i = 1; i < nr; i++) {
		uint8_t after = w->after[words[i]][code];

		codes[entries] = code;
		entries += after < nr_words;
		code = after;
	}
	codes[entries] = code;
	return entries + 1;
}

/*
 * Words of all vCPUs as they come, each to its vCPU's lane: nothing waits for another vCPU's.
 * Returns a bit for each that has some.
 */
static uint64_t parse_lanes(struct phrase_work *w, const struct trace_block *block, size_t from,
			    size_t to)
{
	const uint16_t *vcpus = block->vcpus;
	const uint8_t *tags = block->tags;
	size_t nr_words = block->nr_words;
	uint64_t there = 0;

	for (size_t i = from; i < to; i++) {
		uint32_t vcpu = vcpus[i];
		struct lane lane = w->lanes[vcpu];
		uint8_t after = w->after[tags[i]][lane.code];

		*lane.end = (uint8_t)lane.code;
		w->lanes[vcpu] = (struct lane){lane.end + (after < nr_words), after};
		there |= UINT64_C(1) << vcpu;
	}
	return there;
}

/* Events @from to @to: in none of them somebody comes to another's pCPU. */
static bool parse_section(struct phrase_builder *b, const struct trace_block *block, size_t from,
			  size_t to)
{
	struct phrase_work *w = b->work;
	bool room = true;

	if (from == to)
		return true;
	if (!block->vcpus)
		return add_stretch(b, 0,
				   parse_one(w, block->tags + from, to - from, block->nr_words,
					     b->codes + b->digest.nr),
				   false);
	for (uint64_t left = parse_lanes(w, block, from, to); left; left &= left - 1) {
		uint32_t vcpu = (uint32_t)__builtin_ctzll(left);
		struct lane *lane = &w->lanes[vcpu];
		size_t nr = (size_t)(lane->end - w->entries[vcpu]);

		*lane->end = (uint8_t)lane->code;
		memcpy(b->codes + b->digest.nr, w->entries[vcpu] + 1, nr);
		room = room && add_stretch(b, vcpu, nr, false);
		begin_lane(w, vcpu);
	}
	return room;
}

/*
 * The block that is laid out, by these phrases. Returns what that costs in entries, stretches
 * and phrases; SIZE_MAX for too many stretches.
 */
static size_t parse_all(struct phrase_builder *b, const struct trace_block *block,
			const struct block_phrase *phrase, size_t nr)
{
	struct trace_block *digest = &b->digest;
	const struct phrase_work *w = b->work;
	bool room = true;
	size_t from = 0;

	fill_after(b->work, block->nr_words, phrase, nr);
	digest->nr = digest->nr_stretches = 0;
	for (size_t i = 0; i < w->nr_standing && room; i++) {
		size_t at = w->standing[i];

		room = parse_section(b, block, from, at);
		b->codes[digest->nr] = block->tags[at];
		room = room && add_stretch(b, block->vcpus ? block->vcpus[at] : 0, 1, true);
		from = at + 1;
	}
	if (!room || !parse_section(b, block, from, block->nr))
		return SIZE_MAX;
	return digest->nr + digest->nr_stretches + nr;
}

const struct trace_block *phrase_build(struct phrase_builder *b, const struct trace_block *block,
				       uint32_t nr_vcpus, uint32_t nr_pcpus,
				       const struct block_phrase *phrase, size_t nr)
{
	size_t cost;

	if (!lay_out(b, block, nr_vcpus, nr_pcpus))
		return NULL;
	cost = parse_all(b, block, phrase, nr);
	if (cost == SIZE_MAX || (cost > block->nr / PHRASE_WORTH && !b->always))
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

/* How often each code is an entry, and which words come after it: the next entry's first. */
static void count_misses(struct phrase_builder *b, const struct block_phrase *phrase, size_t nr)
{
	struct phrase_work *w = b->work;
	const struct trace_block *digest = &b->digest;
	const uint8_t *codes = b->codes;
	uint8_t first[BLOCK_MAX_CODES];

	for (size_t word = 0; word < digest->nr_words; word++)
		first[word] = (uint8_t)word;
	for (size_t i = 0; i < nr; i++)
		first[digest->nr_words + i] = first[phrase[i].prefix];
	memset(w->used, 0, sizeof(w->used));
	for (size_t code = 0; code < digest->nr_words + nr; code++)
		memset(w->misses[code], 0, digest->nr_words * sizeof(w->misses[code][0]));
	for (size_t s = 0; s < digest->nr_stretches; s++) {
		size_t entries = b->times[s] ? b->times[s] : 1;

		for (size_t i = 0; i + 1 < entries; i++)
			w->misses[codes[i]][first[codes[i + 1]]]++;
		for (size_t i = 0; i < entries; i++)
			w->used[codes[i]]++;
		codes += entries;
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

/* Some events of the block from all over it, as a block: without arguments and sums. */
static struct trace_block choose_events(struct phrase_work *w, const struct trace_block *block)
{
	const size_t some = LESSON_EVENTS / LESSON_PLACES;
	struct trace_block lesson = *block;

	if (block->nr <= LESSON_EVENTS)
		return lesson;
	lesson.nr = LESSON_EVENTS;
	lesson.tags = w->lesson_tags;
	lesson.vcpus = block->vcpus ? w->lesson_vcpus : NULL;
	for (size_t i = 0; i < LESSON_PLACES; i++) {
		size_t from = i * (block->nr - some) / (LESSON_PLACES - 1);

		memcpy(w->lesson_tags + i * some, block->tags + from, some);
		if (block->vcpus)
			memcpy(w->lesson_vcpus + i * some, block->vcpus + from,
			       some * sizeof(*block->vcpus));
	}
	return lesson;
}

/* Phrases for the block that is laid out: those for which there was most call, round by round. */
static size_t learn(struct phrase_builder *b, const struct trace_block *block,
		    struct block_phrase *phrase)
{
	size_t nr_words = b->digest.nr_words, nr = 0, max = BLOCK_MAX_CODES - nr_words;
	struct child *children = malloc(BLOCK_MAX_CODES * nr_words * sizeof(*children));

	max = max < BLOCK_MAX_PHRASES ? max : BLOCK_MAX_PHRASES;
	for (size_t round = 0; children && round < ROUNDS; round++) {
		parse_all(b, block, phrase, nr);
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
	size_t expected = in_proportion(book->cost, book->events, block->nr), cost, learnt;
	struct trace_block lesson;
	size_t nr;

	if (!lay_out(b, block, nr_vcpus, nr_pcpus))
		return;
	nr = phrase_bind(book, block, sleep, phrase);
	cost = parse_all(b, block, phrase, nr);
	if (cost == SIZE_MAX || (book->events && cost <= expected + expected / WORSE))
		return;
	lesson = choose_events(b->work, block);
	lay_out(b, &lesson, nr_vcpus, nr_pcpus);
	nr = learn(b, &lesson, phrase);
	lay_out(b, block, nr_vcpus, nr_pcpus);
	learnt = parse_all(b, block, phrase, nr);
	if (learnt >= cost)
		return;
	*book = (struct phrase_book){
		.nr_words = block->nr_words,
		.nr = nr,
		.events = block->nr,
		.cost = learnt,
	};
	for (size_t i = 0; i < block->nr_words; i++)
		book->word[i] = book_word(&block->word[i], sleep);
	memcpy(book->phrase, phrase, nr * sizeof(*phrase));
}
