/* SPDX-License-Identifier: MIT */
/**
 * DOC: A timer for each vCPU, the first one found at once.
 *
 * A tournament: vCPUs are leaves of a complete binary tree, and each node above knows the
 * earlier of two. Setting a timer plays the log2(vCPUs) games above it again, without a branch
 * that depends on who wins: in a heap three in ten were mispredicted. Of timers at the same
 * moment that of the lower vCPU comes first.
 */
#ifndef TRACES_GEN_TIMERS_H
#define TRACES_GEN_TIMERS_H

#include <stdint.h>

#define GEN_NEVER UINT64_MAX

/**
 * struct gen_timers - When something is due.
 * @leaves: a power of two, at least 2 and the number of vCPUs
 * @first:  the earliest timer, that of vCPU @winner[1]
 * @when:   @leaves, by vCPU; GEN_NEVER for none
 * @winner: 2 * @leaves: that of node n plays at n / 2; leaves are their own
 */
struct gen_timers {
	uint32_t leaves;
	uint64_t first;
	uint64_t *when;
	uint32_t *winner;
};

/** gen_timers_leaves() - How many for so many vCPUs. */
static inline uint32_t gen_timers_leaves(uint32_t vcpus)
{
	uint32_t leaves = 2;

	while (leaves < vcpus)
		leaves *= 2;
	return leaves;
}

/** gen_timers_reset() - No timer is set. */
static inline void gen_timers_reset(struct gen_timers *timers)
{
	timers->first = GEN_NEVER;
	for (uint32_t v = 0; v < timers->leaves; v++) {
		timers->when[v] = GEN_NEVER;
		timers->winner[timers->leaves + v] = v;
	}
	for (uint32_t node = timers->leaves; --node;)
		timers->winner[node] = timers->winner[2 * node];
}

/** gen_timers_set() - That of @v, which may be set already. */
static inline void gen_timers_set(struct gen_timers *timers, uint32_t v, uint64_t when)
{
	timers->when[v] = when;
	for (uint32_t node = (timers->leaves + v) / 2; node; node /= 2) {
		uint32_t left = timers->winner[2 * node], right = timers->winner[2 * node + 1];
		uint32_t is_right = -(uint32_t)(timers->when[right] < timers->when[left]);

		timers->winner[node] = left ^ ((left ^ right) & is_right);
	}
	timers->first = timers->when[timers->winner[1]];
}

#endif /* TRACES_GEN_TIMERS_H */
