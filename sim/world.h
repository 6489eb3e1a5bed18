/* SPDX-License-Identifier: MIT */
/**
 * DOC: A world, one machine with its host in one block, and its packed form.
 *
 * Shape:  a word of 64 bits for each vCPU, then one for every two pCPUs; tasks and
 *         permissions share the first of the latter. 24 bytes for 2 vCPUs and 2 pCPUs.
 * Sense:  worlds that nothing can tell apart pack alike: what is overwritten before it is
 *         read is packed as 0, and frames that differ only in what has been counted are one.
 * Why:    an exact state in three words makes an exact set of states cheap; fingerprints
 *         would be smaller but a collision would be a wrong "holds".
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/action.h"

enum {
	WORLD_MAX_WORDS = HOST_MAX_VCPUS + (HOST_MAX_PCPUS + 1) / 2,
	WORLD_ADAPTIVE_EXITS = 2 /* the checker's --adaptive-exits: small, the rule is the same */
};

/**
 * struct world_config - What worlds are worlds of; a constant.
 * @machine:  kernel (maybe with a planted bug), policy and their parameters
 * @nr_vcpus: 1 to HOST_MAX_VCPUS
 * @nr_pcpus: 1 to HOST_MAX_PCPUS
 * @nr_tasks: 0 to HOST_MAX_TASKS
 * @tasks:    their classes, N or A
 * @kinds:    actions that may happen, bit enum action_kind
 * @symmetry: worlds that are equal after renaming pCPUs, vCPUs and tasks of a class are one
 */
struct world_config {
	struct machine_config machine;
	uint32_t nr_vcpus;
	uint32_t nr_pcpus;
	uint32_t nr_tasks;
	enum task_class tasks[HOST_MAX_TASKS];
	uint32_t kinds;
	bool symmetry;
};

/**
 * struct world_renaming - New numbers of everything that has one.
 * @vcpu_from: by new number of a vCPU, its old one
 * @pcpu:      by old number, the new one; 4 to 7 are nowhere and stay
 * @thread:    by old code of a thread in a packed world, the new one
 */
struct world_renaming {
	uint8_t vcpu_from[HOST_MAX_VCPUS];
	uint8_t pcpu[8];
	uint8_t thread[16];
};

enum { WORLD_MAX_RENAMINGS = 24 * 24 * 24 };

/**
 * struct world_plan - How worlds are packed; made once.
 * @config:       borrowed
 * @nr_words:     of a packed world
 * @large_bytes:  a buffer with room for tiles
 * @small_bytes:  one without
 * @owner_counts: whose registers a pCPU has matters whatever last_cpu says (a planted bug)
 * @tiles_count:  tiles matter even if nobody owns them (another)
 * @renamings:    @nr_renamings of them, the first changes nothing
 */
struct world_plan {
	const struct world_config *config;
	size_t nr_words;
	uint32_t large_bytes;
	uint32_t small_bytes;
	bool owner_counts;
	bool tiles_count;
	uint32_t nr_renamings;
	struct world_renaming renamings[WORLD_MAX_RENAMINGS];
};

/** struct world - The machine and all it points to. */
struct world {
	struct machine machine;
	struct host host;
	struct pcpu pcpus[HOST_MAX_PCPUS];
	struct vcpu vcpus[HOST_MAX_VCPUS];
};

/** struct packed - A packed world; words beyond the plan's nr_words are not touched. */
struct packed {
	uint64_t w[WORLD_MAX_WORDS];
};

/**
 * struct world_parts - A packed world before its parts share words.
 * @thread: by code of a thread: 1 to 4 a vCPU's, 5 to 8 a task; [0] is nobody and 0
 * @pcpu:   by number
 * @perm:   struct host::perm
 */
struct world_parts {
	uint64_t thread[1 + HOST_MAX_VCPUS + HOST_MAX_TASKS];
	uint64_t pcpu[HOST_MAX_PCPUS];
	uint64_t perm;
};

/**
 * world_config_init() - Defaults: 2 vCPUs, 2 pCPUs, tasks N and A, symmetry.
 * @config: filled; kinds are every group's but those of world_default_kinds()
 * @kernel: borrowed
 * @policy: borrowed
 */
void world_config_init(struct world_config *config, const struct kernel *kernel,
		       const struct xfd_policy *policy);

/** world_default_kinds() - The alphabet without --events. */
uint32_t world_default_kinds(void);

/** world_init() - The first state. */
void world_init(struct world *world, const struct world_config *config);

/** world_copy() - @to becomes equal to @from. */
void world_copy(struct world *to, const struct world *from);

/** world_plan_init() - Make the plan; 400 KiB, so rather not on a stack. */
void world_plan_init(struct world_plan *plan, const struct world_config *config);

/**
 * world_pack() - Pack; the least of all renamings with symmetry.
 * @world:  to pack
 * @plan:   what it is a world of
 * @packed: receives plan->nr_words words
 *
 * Return: false when a policy has counted beyond 255, which has no room.
 */
bool world_pack(const struct world *world, const struct world_plan *plan, struct packed *packed);

/** world_unpack() - The inverse; @world was made by world_init() with the same config. */
void world_unpack(struct world *world, const struct world_plan *plan, const uint64_t *words);

/**
 * world_take_apart() - The first half of world_pack(): a part depends on what it is a part of.
 *
 * What one part says of another is as it is; world_pack_parts() forgets what means nothing.
 * Return: as world_pack().
 */
bool world_take_apart(const struct world *world, const struct world_plan *plan,
		      struct world_parts *parts) __attribute__((warn_unused_result));

/** world_put_together() - The inverse; @world was made by world_init(). */
void world_put_together(struct world *world, const struct world_plan *plan,
			const struct world_parts *parts);

/** world_pack_parts() - The second half of world_pack(); @parts change. */
void world_pack_parts(struct world_parts *parts, const struct world_plan *plan,
		      struct packed *packed);

/** world_unpack_parts() - The inverse. */
void world_unpack_parts(struct world_parts *parts, const struct world_plan *plan,
			const uint64_t *words);

/**
 * struct world_change - What one action makes of a world's parts.
 * @thread: of the thread that it has to do with
 * @pcpu:   of the pCPU
 * @perm:   struct host::perm
 */
struct world_change {
	uint64_t thread;
	uint32_t pcpu;
	uint32_t perm;
};

/**
 * world_pack_change() - Pack the world after a change.
 * @parts:  as world_unpack_parts() gave them
 * @plan:   what it is a world of
 * @where:  number of the pCPU, and in bits 8 up the code of the thread, 0 for none
 * @left:   part of the thread that ran there and has made way, or NULL
 * @change: the rest
 * @packed: receives plan->nr_words words
 *
 * The same words as world_pack_parts() gives, without looking at what cannot have changed.
 */
void world_pack_change(const struct world_parts *parts, const struct world_plan *plan,
		       uint32_t where, const uint64_t *left, const struct world_change *change,
		       struct packed *packed);

/* Bits of parts that others look at; world.c has them all. */
enum { WORLD_PCPU_RUNNING = 14, WORLD_PCPU_ONLINE = 18, WORLD_VCPU_STOPPED = 13 };

/** world_part_running() - Who runs on this pCPU. Return: the code of a thread, 0 nobody. */
static inline uint32_t world_part_running(uint64_t pcpu)
{
	return pcpu >> WORLD_PCPU_RUNNING & 15;
}

/** world_part_online() - Is this pCPU online? */
static inline bool world_part_online(uint64_t pcpu)
{
	return pcpu >> WORLD_PCPU_ONLINE & 1;
}

/** world_part_stopped() - Has this vCPU been destroyed? */
static inline bool world_part_stopped(uint64_t vcpu)
{
	return vcpu >> WORLD_VCPU_STOPPED & 1;
}

enum world_outside {
	WORLD_SEVERAL_ONLINE,
	WORLD_ONE_ONLINE,
	WORLD_FROZEN /* one is, and every thread is where the freezer stops it */
};

/**
 * world_outside() - What action_refused() looks at beyond one pCPU and its thread.
 *
 * An action that wants to know more of other threads needs another value here;
 * moves_say_what_the_models_say() in tests/test_check.c fails when one is missing.
 */
enum world_outside world_outside(const struct world_parts *parts, const struct world_plan *plan);

/**
 * world_act() - One action, and every invariant checked after it.
 * @world:  moves on; host.broken holds what this action broke
 * @action: enabled
 * @log:    gets the steps
 *
 * Return: MACHINE_OK or MACHINE_HOST_NM.
 */
enum machine_status world_act(struct world *world, struct action action, struct step_log *log);

#endif /* SIM_WORLD_H */
