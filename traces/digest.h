/* SPDX-License-Identifier: MIT */
/**
 * DOC: Digests of blocks in which exits far outnumber everything else.
 *
 * Replays spend such a block in states that exits do not leave. Its digest (struct trace_block)
 * keeps the order of what may change a state and counts the rest, so that a replay that knows
 * these states needs time for the changes only. After each event that is about XFD, and at
 * the beginning, DIGEST_EXITS exits of the vCPU stay single, because a policy may count them
 * (adaptive counts 38 unless told otherwise).
 */
#ifndef TRACES_DIGEST_H
#define TRACES_DIGEST_H

#include "traces/block.h"

enum {
	DIGEST_EXITS = 40,
	DIGEST_MAX_VCPUS = 64,
	DIGEST_WORTH = 8, /* events for each entry, or there is no digest */
	DIGEST_MAX_ENTRIES = BLOCK_MAX_EVENTS / DIGEST_WORTH
};

struct digest_run;

/**
 * struct digest_builder - Memory for a digest.
 * @digest: the result
 * @tags:   for @digest
 * @vcpus:  for @digest
 * @times:  for @digest
 * @runs:   under way, by vCPU; owned
 * @exits:  DIGEST_EXITS, but for tests
 * @worth:  DIGEST_WORTH, but for tests
 */
struct digest_builder {
	struct trace_block digest;
	uint8_t tags[DIGEST_MAX_ENTRIES];
	uint16_t vcpus[DIGEST_MAX_ENTRIES];
	uint32_t times[DIGEST_MAX_ENTRIES];
	struct digest_run *runs;
	unsigned int exits;
	unsigned int worth;
};

/** digest_builder_new() - Return: the builder; NULL without memory. */
struct digest_builder *digest_builder_new(void);

/**
 * digest_build() - The digest of a block.
 * @builder: its digest is overwritten
 * @block:   the block; outlives the digest
 * @nr_vcpus: of the trace
 *
 * Cost: some 3 ns an event; where there is none mostly nothing. Return: the digest, NULL when it
 * would not be worth its room.
 */
const struct trace_block *digest_build(struct digest_builder *builder,
				       const struct trace_block *block, uint32_t nr_vcpus);

/** digest_builder_free() - Free a builder; NULL is allowed. */
void digest_builder_free(struct digest_builder *builder);

#endif /* TRACES_DIGEST_H */
