/* SPDX-License-Identifier: MIT */
#include "traces/digest.h"

#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"

/*
 * The run of one vCPU.
 * @single: exits that stay single
 * @order:  distinct words as they first appeared
 * @times:  by word
 */
struct digest_run {
	unsigned int single;
	size_t nr;
	uint8_t order[BLOCK_MAX_WORDS];
	uint32_t times[BLOCK_MAX_WORDS];
};

struct digest_builder *digest_builder_new(void)
{
	struct digest_builder *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->exits = DIGEST_EXITS;
	b->worth = DIGEST_WORTH;
	b->runs = calloc(DIGEST_MAX_VCPUS, sizeof(*b->runs));
	if (b->runs)
		return b;
	free(b);
	return NULL;
}

void digest_builder_free(struct digest_builder *b)
{
	if (!b)
		return;
	free(b->runs);
	free(b);
}

/* Is the event about XFD, so that exits after it may be counted by a policy? */
static bool is_about_xfd(uint32_t kind)
{
	return kind != EVENT_hlt && kind != EVENT_wake && kind != EVENT_preempt &&
	       kind != EVENT_resume;
}

/* False when that is one entry too many. */
static bool add(struct digest_builder *b, size_t max, uint32_t vcpu, uint8_t tag, uint32_t times)
{
	struct trace_block *digest = &b->digest;

	if (digest->nr == max)
		return false;
	b->tags[digest->nr] = tag;
	b->vcpus[digest->nr] = (uint16_t)vcpu;
	b->times[digest->nr++] = times;
	return true;
}

static bool end_run(struct digest_builder *b, size_t max, uint32_t vcpu)
{
	struct digest_run *run = &b->runs[vcpu];
	bool room = true;

	for (size_t i = 0; i < run->nr; i++) {
		room = room && add(b, max, vcpu, run->order[i], run->times[run->order[i]]);
		run->times[run->order[i]] = 0;
	}
	run->nr = 0;
	return room;
}

static bool add_event(struct digest_builder *b, size_t max, uint32_t vcpu, uint8_t tag)
{
	const struct block_word *word = &b->digest.word[tag];
	uint32_t kind = word->kind;
	struct digest_run *run = &b->runs[vcpu];

	if (kind == EVENT_exit && !run->single) {
		if (!run->times[tag]++)
			run->order[run->nr++] = tag;
		return true;
	}
	if (kind == EVENT_exit) /* no policy hears of those on the fastpath */
		run->single -= word->min != EXIT_FASTPATH;
	else if (is_about_xfd(kind))
		run->single = b->exits;
	return (!run->nr || end_run(b, max, vcpu)) && add(b, max, vcpu, tag, 0);
}

const struct trace_block *digest_build(struct digest_builder *b, const struct trace_block *block,
				       uint32_t nr_vcpus)
{
	size_t wanted = block->nr / b->worth;
	size_t max = wanted < DIGEST_MAX_ENTRIES ? wanted : DIGEST_MAX_ENTRIES;
	/* All but exits are entries, so that mostly there is nothing to be tried. */
	bool good = nr_vcpus <= DIGEST_MAX_VCPUS && block->nr - block->count[EVENT_exit] <= max;

	for (size_t i = 0; i < block->nr_words; i++)
		good = good && !(block->word[i].varies && block->word[i].kind == EVENT_exit);
	if (!good)
		return NULL;
	memset(b->runs, 0, nr_vcpus * sizeof(*b->runs));
	for (uint32_t v = 0; v < nr_vcpus; v++)
		b->runs[v].single = b->exits;
	memcpy(&b->digest, block, sizeof(*block));
	b->digest.nr = 0;
	b->digest.tags = b->tags;
	b->digest.vcpus = block->vcpus ? b->vcpus : NULL;
	b->digest.times = b->times;
	for (size_t i = 0; i < block->nr && good; i++)
		good = add_event(b, max, block->vcpus ? block->vcpus[i] : 0, block->tags[i]);
	for (uint32_t v = 0; v < nr_vcpus && good; v++)
		good = end_run(b, max, v);
	return good ? &b->digest : NULL;
}
