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
 * @thread: of the vCPU or task that @code stands for
 * @pcpu:   the pCPU's part
 * @broken: invariants
 * @kept:   those of @broken that a thread coming to the pCPU does not make undone
 * @action: what
 * @perm:   struct host::perm after it
 * @dead:   #NM in the host
 */
struct move {
	uint64_t thread;
	uint32_t pcpu;
	uint32_t broken;
	uint32_t kept;
	struct action action;
	uint8_t perm;
	bool dead;
};

/**
 * struct choice - One action of a world.
 * @order:  canonical: kind, then id, then argument
 * @broken: what it breaks
 * @move:   last thing that happens
 * @leave:  what happens before it, or NULL
 * @cpu:    where
 * @code:   whose part @move->thread is
 */
struct choice {
	uint32_t order;
	uint32_t broken;
	const struct move *move;
	const struct move *leave;
	uint8_t cpu;
	uint8_t code;
};

struct moves;

/** moves_new() - For one thread. Return: NULL without memory; @plan is borrowed. */
struct moves *moves_new(const struct world_plan *plan);

/** moves_free() - NULL is fine. */
void moves_free(struct moves *moves);

/**
 * moves_list() - All that can happen next, in canonical order.
 * @moves:   learns
 * @parts:   the world
 * @choices: receives them; valid until the next call
 *
 * Return: how many, or -ERANGE when a policy counts beyond 255.
 */
int moves_list(struct moves *moves, const struct world_parts *parts,
	       struct choice choices[ACTION_MAX_ENABLED]);

/** moves_apply() - The world after one of them, for world_pack_parts(). */
static inline void moves_apply(struct world_parts *parts, const struct choice *choice)
{
	if (choice->leave)
		parts->thread[world_part_running(parts->pcpu[choice->cpu])] = choice->leave->thread;
	parts->thread[choice->code] = choice->move->thread;
	parts->pcpu[choice->cpu] = choice->move->pcpu;
	parts->perm = choice->move->perm;
}

#endif /* SIM_MOVES_H */
