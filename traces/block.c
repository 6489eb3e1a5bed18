/* SPDX-License-Identifier: MIT */
#include "traces/block.h"

#include <string.h>

#include "traces/validate.h"

_Static_assert(BLOCK_MAX_WORDS > 4 * NR_EVENT_KINDS, "room beside the words that vary");

/* What tells words apart: kind, argument, and for those that vary which group of arguments. */
struct key {
	uint64_t arg;
	uint32_t kind;
	bool varies;
};

void block_builder_init(struct block_builder *builder, uint64_t tsc_khz)
{
	memset(&builder->block, 0, sizeof(builder->block));
	builder->sleep[0] = BLOCK_SLEEP_US_1 * tsc_khz / 1000;
	builder->sleep[1] = BLOCK_SLEEP_US_2 * tsc_khz / 1000;
}

/* Free slots end a search; the table is never more than a quarter full. */
static uint16_t *find_slot(struct block_builder *b, const struct key *key)
{
	const size_t mask = sizeof(b->slots) / sizeof(b->slots[0]) - 1;
	uint64_t mix = (key->arg * 2 + key->varies) * 31 + key->kind;
	size_t slot = (mix * UINT64_C(0x9e3779b97f4a7c15)) >> 48 & mask;

	while (b->slots[slot]) {
		const struct block_word *word = &b->block.word[b->slots[slot] - 1];
		bool same = word->kind == key->kind && word->varies == key->varies;

		/* One group of sleeps never holds arguments of another. */
		if (same && (!key->varies || key->kind != EVENT_hlt))
			same = key->varies || word->min == key->arg;
		else if (same)
			same = (word->min >= b->sleep[0]) + (word->min >= b->sleep[1]) ==
			       (int)key->arg;
		if (same)
			break;
		slot = (slot + 1) & mask;
	}
	return &b->slots[slot];
}

/*
 * Lengths of sleeps hardly ever repeat, so they vary from the start, one word for each side of
 * the usual bounds; other arguments vary once the dictionary is nearly full.
 */
static uint8_t tag_for(struct block_builder *b, const struct trace_event *event)
{
	struct key key = {.arg = event->arg, .kind = event->kind};
	uint16_t *slot;

	if (event_arg((enum event_kind)event->kind) == EVENT_ARG_CYCLES) {
		key.varies = true;
		key.arg = (uint64_t)(event->arg >= b->sleep[0]) + (event->arg >= b->sleep[1]);
	}
	slot = find_slot(b, &key);
	if (!*slot && !key.varies &&
	    b->block.nr_words >= BLOCK_MAX_WORDS - 3 * (size_t)NR_EVENT_KINDS) {
		key = (struct key){.kind = event->kind, .varies = true};
		slot = find_slot(b, &key);
	}
	if (!*slot) {
		b->block.word[b->block.nr_words++] = (struct block_word){
			.min = event->arg,
			.max = event->arg,
			.kind = (uint8_t)event->kind,
			.varies = key.varies,
		};
		*slot = (uint16_t)b->block.nr_words;
	}
	return (uint8_t)(*slot - 1);
}

/* Where a word that does not vary is remembered; others of the same place push it out. */
static struct block_recent *recent_of(struct block_builder *b, uint64_t arg, uint32_t kind)
{
	return &b->recent[((arg << 4) + kind) * UINT64_C(0x9e3779b97f4a7c15) >>
			  (64 - BLOCK_RECENT_BITS)];
}

/* Through the dictionary. */
static __attribute__((noinline)) uint8_t look_up(struct block_builder *b,
						 const struct trace_event *event)
{
	struct block_recent *recent = recent_of(b, event->arg, event->kind);
	uint8_t tag = tag_for(b, event);
	struct block_word *word = &b->block.word[tag];

	if (!word->varies) {
		*recent = (struct block_recent){event->arg, event->kind, tag};
		return tag;
	}
	b->args[b->block.nr_args++] = event->arg;
	word->min = event->arg < word->min ? event->arg : word->min;
	word->max = event->arg > word->max ? event->arg : word->max;
	return tag;
}

void block_begin(struct block_builder *b)
{
	b->block = (struct trace_block){.args = b->args};
	memset(b->slots, 0, sizeof(b->slots));
	/* A word that belongs elsewhere is never found: argument 0 of kind 0 belongs to place 0. */
	memset(b->recent, 0, sizeof(b->recent));
	b->recent[0].arg = 1;
}

/* False at an event that is not fine. */
static bool add_tags(struct block_builder *b, const struct event_limits *limits,
		     const struct trace_event *events, size_t nr)
{
	uint8_t *tags = b->columns.tags + b->block.nr;

	for (size_t i = 0; i < nr; i++) {
		uint64_t arg = events[i].arg;
		uint32_t kind = events[i].kind;
		const struct block_recent *recent = recent_of(b, arg, kind);

		/* Words were looked at when they were new. */
		if (recent->arg == arg && recent->kind == kind)
			tags[i] = recent->tag;
		else if (!limits || validate_word(limits, kind, arg, arg))
			tags[i] = look_up(b, &events[i]);
		else
			return false;
	}
	return true;
}

bool block_add(struct block_builder *b, struct event_limits *limits,
	       const struct trace_event *events, size_t nr)
{
	uint16_t *vcpus = b->columns.vcpus + b->block.nr;
	uint64_t *deltas = b->columns.deltas + b->block.nr;
	uint64_t bits = 0, sum_cycles = 0;
	uint32_t vcpu = 0;

	if (!add_tags(b, limits, events, nr))
		return false;
	for (size_t i = 0; i < nr; i++) {
		deltas[i] = events[i].delta_cycles;
		vcpus[i] = (uint16_t)events[i].vcpu;
		bits |= events[i].delta_cycles;
		sum_cycles += events[i].delta_cycles;
		vcpu = events[i].vcpu > vcpu ? events[i].vcpu : vcpu;
	}
	b->block.nr += nr;
	if (!limits)
		return true;
	/* A delta of 2^40 cycles is some minutes, and so many of them do not wrap the sum. */
	if (vcpu >= limits->nr_vcpus || bits >> 40 || sum_cycles > INT64_MAX - limits->sum_cycles)
		return false;
	limits->sum_cycles += sum_cycles;
	return true;
}

static bool is_off(uint32_t kind)
{
	return kind == EVENT_wake || kind == EVENT_resume;
}

static const struct trace_block *finish(struct block_builder *b, bool one_vcpu)
{
	b->block.nr_events = b->block.nr;
	b->block.tags = b->columns.tags;
	b->block.vcpus = one_vcpu ? NULL : b->columns.vcpus;
	return &b->block;
}

/* Of the events of a word. */
struct tally {
	uint64_t nr;
	uint64_t cycles;
};

const struct trace_block *block_end(struct block_builder *b, bool one_vcpu)
{
	/* Two, because adding to what was just added to waits for it. */
	struct tally tallies[2][BLOCK_MAX_WORDS] = {0};
	struct trace_block *block = &b->block;

	for (size_t i = 0; i < block->nr; i++) {
		struct tally *tally = &tallies[i & 1][b->columns.tags[i]];

		tally->nr++;
		tally->cycles += b->columns.deltas[i];
	}
	for (size_t i = 0; i < block->nr_words; i++) {
		uint64_t cycles = tallies[0][i].cycles + tallies[1][i].cycles;

		block->count[block->word[i].kind] += tallies[0][i].nr + tallies[1][i].nr;
		block->guest_cycles += is_off(block->word[i].kind) ? 0 : cycles;
		block->off_cycles += is_off(block->word[i].kind) ? cycles : 0;
	}
	return finish(b, one_vcpu);
}

const struct trace_block *block_build(struct block_builder *b, const struct trace_event *events,
				      size_t nr, bool one_vcpu)
{
	block_begin(b);
	block_add(b, NULL, events, nr);
	return block_end(b, one_vcpu);
}

/*
 * What becomes of a tag of struct trace_columns.
 * @off:   all ones when its deltas are time that the vCPU is off
 * @nr:    how many there were
 * @other: it is not known yet, or arguments differ: look at each
 * @tag:   of the block; the same as before if @other
 */
struct translation {
	uint64_t off;
	uint32_t nr;
	uint16_t other;
	uint16_t tag;
};

enum { STRETCH = 512 };

/* The first event of a word, or one whose argument varies. */
static uint8_t translate(struct block_builder *b, const struct block_word *word,
			 const uint64_t **arg, struct translation *translation)
{
	struct trace_event event = {.arg = word->varies ? *(*arg)++ : word->min,
				    .kind = word->kind};
	uint8_t tag = look_up(b, &event);

	if (!word->varies && !b->block.word[tag].varies) {
		translation->other = 0;
		translation->tag = tag;
	}
	return tag;
}

const struct trace_block *block_build_columns(struct block_builder *b,
					      const struct block_word *words, size_t nr_words,
					      size_t nr, bool one_vcpu)
{
	struct translation translations[BLOCK_MAX_WORDS];
	struct block_columns *columns = &b->columns;
	struct trace_block *block = &b->block;
	const uint64_t *arg = columns->args;
	uint64_t all_cycles = 0, off_cycles = 0;

	block_begin(b);
	block->nr = nr;
	for (size_t i = 0; i < nr_words; i++)
		translations[i] =
			(struct translation){-(uint64_t)is_off(words[i].kind), 0, 1, (uint16_t)i};
	for (size_t at = 0; at < nr; at += STRETCH) {
		size_t end = nr - at < STRETCH ? nr : at + STRETCH, nr_others = 0;
		uint16_t others[STRETCH];

		/* Those to be looked at are only noted, because nobody predicts them. */
		for (size_t i = at; i < end; i++) {
			struct translation *translation = &translations[columns->tags[i]];

			translation->nr++;
			all_cycles += columns->deltas[i];
			off_cycles += columns->deltas[i] & translation->off;
			columns->tags[i] = (uint8_t)translation->tag;
			others[nr_others] = (uint16_t)i;
			nr_others += translation->other;
		}
		for (size_t i = 0; i < nr_others; i++) {
			uint8_t *tag = &columns->tags[others[i]];

			*tag = translate(b, &words[*tag], &arg, &translations[*tag]);
		}
	}
	for (size_t i = 0; i < nr_words; i++)
		block->count[words[i].kind] += translations[i].nr;
	block->guest_cycles = all_cycles - off_cycles;
	block->off_cycles = off_cycles;
	return finish(b, one_vcpu);
}
