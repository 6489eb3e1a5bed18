/* SPDX-License-Identifier: MIT */
/**
 * DOC: The explorer: every reachable world, breadth first.
 *
 * Shape:  levels. The frontier is cut into blocks; threads expand blocks and drop successors
 *         that are known already; one thread then adds the rest in the order of the blocks.
 *         So the result does not depend on the number of threads, and the first violation of
 *         an invariant is a shortest one.
 * Units:  depth in actions; memory in bytes.
 * Why:    exact states in an array that is also the queue, and a table of 32-bit indices into
 *         it with 32 bits of hash: 28 + 16 bytes a state at 2 vCPUs and 2 pCPUs.
 *
 * A violation does not stop exploration at once: each invariant that breaks within so many
 * levels more gets its own shortest counterexample out of one pass, because the first one is
 * seldom the one that a host dies of. Only a dead host has no successors.
 */
#ifndef SIM_EXPLORE_H
#define SIM_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/world.h"
#include "traces/error.h"

enum { EXPLORE_MAX_PATH = 200, EXPLORE_MAX_THREADS = 64, EXPLORE_MIN_MIB = 2 };

/**
 * struct explore_options - Bounds.
 * @world:        what to explore
 * @max_depth:    actions, 0 for no bound
 * @memory_bytes: of states and their table, at least EXPLORE_MIN_MIB; each thread's moves (some
 *              3 MiB) and the successors of a round (about a tenth of this, 25 MiB at most)
 *              come on top, so that the number of threads changes no result
 * @nr_threads:   at least 1
 * @beyond:     levels to explore beyond the one with the first violation
 */
struct explore_options {
	struct world_config world;
	uint32_t max_depth;
	uint64_t memory_bytes;
	unsigned int nr_threads;
	uint32_t beyond;
};

/**
 * struct explore_violation - The shortest way to break one invariant.
 * @found:  there is one
 * @nr:     actions; the last one breaks it
 * @path:   they, with concrete numbers of vCPUs and pCPUs
 */
struct explore_violation {
	bool found;
	uint32_t nr;
	struct action path[EXPLORE_MAX_PATH];
};

enum explore_end {
	EXPLORE_COMPLETE,
	EXPLORE_DEPTH,    /* max_depth reached */
	EXPLORE_MEMORY,   /* memory_bytes reached */
	EXPLORE_VIOLATION /* so many levels beyond the first violation */
};

/**
 * struct explore_result - What was found.
 * @end:            why exploration ended
 * @nr_states:      distinct
 * @nr_transitions: actions tried
 * @depth:          levels complete
 * @bytes:          of memory_bytes used
 * @violations:     by enum invariant
 */
struct explore_result {
	enum explore_end end;
	uint64_t nr_states;
	uint64_t nr_transitions;
	uint32_t depth;
	uint64_t bytes;
	struct explore_violation violations[NR_INVARIANTS];
};

/* Called once a level. */
typedef void explore_progress_fn(void *data, uint32_t depth, uint64_t nr_states,
				 uint64_t nr_frontier);

/**
 * explore() - Explore.
 * @options:  bounds
 * @result:   filled
 * @progress: or NULL
 * @data:     for @progress
 * @err:      filled on failure: no memory, too small a bound of it, or a policy that counts
 *            too far
 *
 * Return: 0 or a negative errno.
 */
int explore(const struct explore_options *options, struct explore_result *result,
	    explore_progress_fn *progress, void *data, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* SIM_EXPLORE_H */
