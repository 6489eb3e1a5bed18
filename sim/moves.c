/* SPDX-License-Identifier: MIT */
#include "sim/moves.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOT_BITS = 15,
	POOL_MOVES = 1 << 16,
	/* A state needs no more than this; with less left everything is forgotten first. */
	STATE_MOVES = HOST_MAX_PCPUS * ACTION_MAX_ENABLED,
	STATE_SLOTS = HOST_MAX_PCPUS * (1 + HOST_MAX_VCPUS + HOST_MAX_TASKS),
	MAX_SLOTS = (1 << SLOT_BITS) / 2 - STATE_SLOTS
};

/* Moves of one pair; @key[0] is never 0. */
struct slot {
	uint64_t key[2];
	uint32_t first;
	uint16_t nr;
	int16_t leave; /* which of them gives up the pCPU, or -1 */
};

struct moves {
	const struct world_plan *plan;
	struct world before, after;
	bool clean;
	uint32_t nr_slots, nr_pool;
	struct slot scratch;
	struct slot slots[1 << SLOT_BITS];
	struct move pool[POOL_MOVES];
};

struct moves *moves_new(const struct world_plan *plan)
{
	struct moves *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->plan = plan;
	world_init(&m->before, plan->config);
	return m;
}

void moves_free(struct moves *moves)
{
	free(moves);
}

static uint32_t broken_now(struct world *world)
{
	world->host.broken = 0;
	invariant_check(&world->machine);
	return world->host.broken;
}

/* What stays broken when somebody comes to this pCPU: all but what is said of it idle. */
static uint32_t broken_without(struct world *world, uint32_t cpu, uint32_t broken)
{
	world->host.broken = 0;
	invariant_check_pcpu(&world->machine, cpu);
	return broken & ~world->host.broken;
}

static void assert_only_pair(const struct world_plan *plan, const struct world_parts *before,
			     const struct world_parts *after, uint32_t cpu, uint32_t code)
{
	for (uint32_t i = 0; i < plan->config->nr_pcpus; i++)
		assert(i == cpu || before->pcpu[i] == after->pcpu[i]);
	for (uint32_t i = 1; i <= plan->config->nr_vcpus; i++)
		assert(i == code || before->thread[i] == after->thread[i]);
	for (uint32_t i = 0; i < plan->config->nr_tasks; i++)
		assert(1 + HOST_MAX_VCPUS + i == code ||
		       before->thread[1 + HOST_MAX_VCPUS + i] ==
			       after->thread[1 + HOST_MAX_VCPUS + i]);
}

/* Ask the models. */
static int learn_move(struct moves *m, struct slot *slot, const struct world_parts *parts,
		      uint32_t cpu, uint32_t code, struct action action)
{
	struct move *move = &m->pool[m->nr_pool];
	struct step_log log = {0};
	struct world_parts after;

	world_copy(&m->after, &m->before);
	*move = (struct move){.action = action};
	move->dead = world_act(&m->after, action, &log) != MACHINE_OK;
	move->broken = move->kept = m->after.host.broken;
	m->nr_pool++;
	slot->nr++;
	if (move->dead)
		return 0;
	if (!world_take_apart(&m->after, m->plan, &after))
		return -ERANGE;
	assert_only_pair(m->plan, parts, &after, cpu, code);
	move->change.thread = after.thread[code];
	move->change.pcpu = (uint32_t)after.pcpu[cpu];
	move->change.perm = (uint32_t)after.perm;
	if (action.kind == ACTION_switch && action.arg == ACTION_NOBODY) {
		slot->leave = (int16_t)(slot->nr - 1);
		move->kept = broken_without(&m->after, cpu, move->broken);
	}
	return 0;
}

/* What happens on this pCPU by whoever runs there. */
static bool happens_here(const struct action *a, uint32_t cpu, uint32_t code)
{
	if (action_info(a->kind)->who == 'V')
		return a->kind != ACTION_create && a->id + 1u == code;
	return a->id == cpu && (a->kind != ACTION_switch || a->arg == ACTION_NOBODY);
}

static int learn_running(struct moves *m, struct slot *slot, const struct world_parts *parts,
			 uint32_t cpu)
{
	uint32_t code = world_part_running(parts->pcpu[cpu]);
	struct action actions[ACTION_MAX_ENABLED];
	size_t nr = action_enabled(&m->before.machine, m->plan->config->kinds, actions);
	int ret = 0;

	for (size_t i = 0; i < nr && !ret; i++)
		if (happens_here(&actions[i], cpu, code))
			ret = learn_move(m, slot, parts, cpu, code, actions[i]);
	return ret;
}

/* A thread comes to an idle pCPU: it is switched to, or created there. */
static int learn_coming(struct moves *m, struct slot *slot, const struct world_parts *parts,
			uint32_t cpu, uint32_t code)
{
	struct action a = {ACTION_switch, (uint8_t)cpu, (uint8_t)(code - 1)};

	if (code <= HOST_MAX_VCPUS && world_part_stopped(parts->thread[code]))
		a = (struct action){ACTION_create, (uint8_t)(code - 1), (uint8_t)cpu};
	if (!(m->plan->config->kinds >> a.kind & 1) || action_refused(&m->before.machine, a))
		return 0;
	return learn_move(m, slot, parts, cpu, code, a);
}

static uint64_t hash_key(const uint64_t key[2])
{
	uint64_t h = (key[0] ^ key[1] * 0xff51afd7ed558ccdu) * 0x9e3779b97f4a7c15u;

	return h >> (64 - SLOT_BITS);
}

/*
 * @coming: 0 for what happens by whoever runs there. The key is all that the models look at:
 * the pair, which pCPU it is, permissions, and world_outside().
 */
static const struct slot *find(struct moves *m, const struct world_parts *parts, uint32_t cpu,
			       uint32_t coming, enum world_outside outside, int *ret)
{
	uint32_t code = coming ? coming : world_part_running(parts->pcpu[cpu]);
	uint64_t key[2] = {parts->pcpu[cpu] | (uint64_t)cpu << 19 | parts->perm << 21 |
				   (uint64_t)outside << 23 | (uint64_t)coming << 25 |
				   UINT64_C(1) << 29,
			   parts->thread[code]};
	uint64_t at = hash_key(key);
	struct slot *slot;

	while (m->slots[at].key[0] &&
	       (m->slots[at].key[0] != key[0] || m->slots[at].key[1] != key[1]))
		at = (at + 1) & ((1u << SLOT_BITS) - 1);
	slot = &m->slots[at];
	if (slot->key[0])
		return slot;
	m->scratch = (struct slot){.first = m->nr_pool, .leave = -1};
	world_put_together(&m->before, m->plan, parts);
	m->clean = !broken_now(&m->before);
	*ret = coming ? learn_coming(m, &m->scratch, parts, cpu, coming)
		      : learn_running(m, &m->scratch, parts, cpu);
	if (!*ret && m->clean) {
		*slot = m->scratch;
		memcpy(slot->key, key, sizeof(key));
		m->nr_slots++;
	}
	return &m->scratch;
}

/* Everybody who runs nowhere may come to this pCPU, after who is there has left. */
static int list_coming(struct moves *m, const struct world_parts *parts, uint32_t cpu,
		       const struct move *leave, uint32_t idle, enum world_outside outside,
		       struct moves_run *runs)
{
	struct world_parts left = *parts;
	int nr = 0, ret = 0;

	if (leave) {
		left.thread[world_part_running(left.pcpu[cpu])] = leave->change.thread;
		left.pcpu[cpu] = leave->change.pcpu;
	}
	for (; idle; idle &= idle - 1) {
		uint32_t code = (uint32_t)__builtin_ctz(idle);
		const struct slot *slot;

		if (leave && code <= HOST_MAX_VCPUS && world_part_stopped(left.thread[code]))
			continue;
		slot = find(m, &left, cpu, code, outside, &ret);
		if (ret)
			return ret;
		if (slot->nr)
			runs[nr++] = (struct moves_run){
				.first = &m->pool[slot->first],
				.leave = leave,
				.nr = slot->nr,
				.cpu = (uint8_t)cpu,
				.code = (uint8_t)code,
			};
	}
	return nr;
}

int moves_list(struct moves *m, const struct world_parts *parts,
	       struct moves_run runs[MOVES_MAX_RUNS])
{
	const struct world_config *config = m->plan->config;
	uint32_t idle = ((1u << config->nr_vcpus) - 1) << 1 | ((1u << config->nr_tasks) - 1)
								      << (1 + HOST_MAX_VCPUS);
	enum world_outside outside = world_outside(parts, m->plan);
	int nr = 0, ret = 0;

	if (m->nr_slots > MAX_SLOTS || m->nr_pool > POOL_MOVES - STATE_MOVES) {
		memset(m->slots, 0, sizeof(m->slots));
		m->nr_slots = m->nr_pool = 0;
	}
	for (uint32_t cpu = 0; cpu < config->nr_pcpus; cpu++)
		idle &= ~(1u << world_part_running(parts->pcpu[cpu]));
	for (uint32_t cpu = 0; cpu < config->nr_pcpus; cpu++) {
		uint32_t running = world_part_running(parts->pcpu[cpu]);
		const struct slot *slot = find(m, parts, cpu, 0, outside, &ret);
		const struct move *first = &m->pool[slot->first];
		const struct move *leave = slot->leave < 0 ? NULL : first + slot->leave;

		if (ret)
			return ret;
		if (slot->nr)
			runs[nr++] = (struct moves_run){
				.first = first,
				.nr = slot->nr,
				.cpu = (uint8_t)cpu,
				.code = (uint8_t)running,
			};
		if (leave || (!running && world_part_online(parts->pcpu[cpu])))
			ret = list_coming(m, parts, cpu, leave, idle, outside, runs + nr);
		if (ret < 0)
			return ret;
		nr += ret;
		ret = 0;
	}
	return nr;
}
