/* SPDX-License-Identifier: MIT */
/**
 * DOC: Moves: what can happen in a world, worked out once for everything that looks the same.
 *
 * Shape:  an action touches one pCPU, the thread that runs there, and for a switch the thread
 *         that comes. Millions of worlds are made of a few thousand such pairs, so what the
 *         models say of a pair is kept and put into the next world that has it.
 * Sense:  a switch is two moves, the old thread leaves and the new one comes; only the second
 *         depends on who comes.
 * Why:    a successor costs a few words copied instead of a run of the models. Nothing here
 *         knows a rule: what is not kept yet is asked of world_act(), and that only the pair
 *         changed is asserted then.
 *
 * Worlds that break an invariant already are not kept, since what they break may lie outside
 * the pair; so a kept move breaks exactly what it breaks by itself.
 */
#ifndef SIM_MOVES_H
#define SIM_MOVES_H

#include <stdbool.h>
#include <stdint.h>

#include "sim/world.h"

/**
 * struct move - One action and the pair after it.
 * @change: the parts of the thread and the pCPU
 * @broken: invariants
 * @kept:   those of @broken that a thread coming to the pCPU does not make undone
 * @action: what
 * @dead:   #NM in the host
 */
struct move {
	struct world_change change;
	uint32_t broken;
	uint32_t kept;
	struct action action;
	bool dead;
};

/**
 * struct moves_run - Moves that start alike: what happens on a pCPU, or one thread that comes.
 * @first: of @nr
 * @leave: what happens before each, or NULL
 * @cpu:   where
 * @code:  whose part each @change.thread is
 */
struct moves_run {
	const struct move *first;
	const struct move *leave;
	uint16_t nr;
	uint8_t cpu;
	uint8_t code;
};

enum { MOVES_MAX_RUNS = HOST_MAX_PCPUS * (1 + HOST_MAX_VCPUS + HOST_MAX_TASKS) };

struct moves;

/** moves_new() - For one thread. Return: NULL without memory; @plan is borrowed. */
struct moves *moves_new(const struct world_plan *plan);

/** moves_free() - NULL is fine. */
void moves_free(struct moves *moves);

/**
 * moves_list() - All that can happen next, by pCPU.
 * @moves: learns
 * @parts: the world
 * @runs:  receives it; valid until the next call
 *
 * Return: how many runs, or -ERANGE when a policy counts beyond 255.
 */
int moves_list(struct moves *moves, const struct world_parts *parts,
	       struct moves_run runs[MOVES_MAX_RUNS]);

/** moves_broken() - What a move of a run breaks. */
static inline uint32_t moves_broken(const struct moves_run *run, const struct move *move)
{
	return move->broken | (run->leave ? run->leave->kept : 0);
}

/** moves_pack() - The world after a move of a run, packed; the move is not dead. */
static inline void moves_pack(const struct world_parts *parts, const struct world_plan *plan,
			      const struct moves_run *run, const struct move *move,
			      struct packed *packed)
{
	world_pack_change(parts, plan, run->cpu | (uint32_t)run->code << 8,
			  run->leave ? &run->leave->change.thread : NULL, &move->change, packed);
}

#endif /* SIM_MOVES_H */
