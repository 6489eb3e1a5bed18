/* SPDX-License-Identifier: MIT */
#include "sim/patience.h"

#include <errno.h>
#include <stdlib.h>

enum {
	MAX_COHORTS = 64,
	REST = 0,        /* the member that stands for all exits beyond those reached */
	NO_COHORT = 0xff /* left out, or dead */
};

/*
 * @cost: to be added to its cohort's, modulo 2^64
 * @next: in its cohort, a circle
 */
struct member {
	uint64_t cost;
	uint32_t next, prev;
	uint8_t cohort;
};

/*
 * @count: accepted writes while it is intercepted, unchanged syncs while it is not
 * @first: one of its @nr members
 */
struct cohort {
	uint64_t cost;
	uint32_t state, count;
	uint32_t first, nr;
};

/*
 * All numbers of exits, with one number of writes.
 * @active:   a bit for each cohort that has members
 * @reached:  members 1 to @reached are their own; REST is all above
 * @beyond:   counts have passed @max, so REST is only what none has reached
 * @left_out: there were more cohorts than there is room for
 */
struct crowd {
	struct cohort cohort[MAX_COHORTS];
	uint64_t active;
	struct member *members;
	uint32_t writes;
	uint32_t reached, room, max;
	bool beyond, left_out;
};

struct patience {
	struct crowd crowd[PATIENCE_WRITES];
};

/* ---- members ---- */

static void join(struct crowd *crowd, uint32_t m, uint32_t at)
{
	struct member *members = crowd->members;
	struct cohort *cohort = &crowd->cohort[at];

	members[m].cohort = (uint8_t)at;
	crowd->active |= UINT64_C(1) << at;
	if (!cohort->nr++) {
		cohort->first = members[m].next = members[m].prev = m;
		return;
	}
	members[m].next = cohort->first;
	members[m].prev = members[cohort->first].prev;
	members[members[m].prev].next = m;
	members[cohort->first].prev = m;
}

static void leave(struct crowd *crowd, uint32_t m)
{
	struct member *members = crowd->members;
	uint32_t at = members[m].cohort;

	members[members[m].prev].next = members[m].next;
	members[members[m].next].prev = members[m].prev;
	crowd->cohort[at].first = members[m].next;
	if (!--crowd->cohort[at].nr)
		crowd->active &= ~(UINT64_C(1) << at);
	members[m].cohort = NO_COHORT;
}

static void disband(struct crowd *crowd, uint32_t at)
{
	while (crowd->cohort[at].nr)
		leave(crowd, crowd->cohort[at].first);
}

static void merge(struct crowd *crowd, uint32_t a, uint32_t b)
{
	uint32_t large = crowd->cohort[a].nr < crowd->cohort[b].nr ? b : a;
	struct cohort *small = &crowd->cohort[large == a ? b : a];

	while (small->nr) {
		uint32_t m = small->first;

		leave(crowd, m);
		crowd->members[m].cost += small->cost - crowd->cohort[large].cost;
		join(crowd, m, large);
	}
}

static int grow(struct crowd *crowd)
{
	uint32_t room = 2 * crowd->room <= crowd->max ? 2 * crowd->room : crowd->max + 1;
	struct member *members = realloc(crowd->members, room * sizeof(*members));

	if (!members)
		return -ENOMEM;
	crowd->members = members;
	crowd->room = room;
	return 0;
}

/* The member of cohort @at that waits for @exits; REST when it is elsewhere. */
static int find(struct crowd *crowd, uint32_t at, uint32_t exits, uint32_t *m)
{
	*m = REST;
	if (exits <= crowd->reached) {
		if (crowd->members[exits].cohort == at)
			*m = exits;
		return 0;
	}
	if (crowd->members[REST].cohort != at)
		return 0;
	crowd->beyond |= exits > crowd->max;
	if (crowd->beyond)
		return 0;
	/* Counts go up by one, so this is the number after the last. */
	if (crowd->reached + 1 == crowd->room && grow(crowd))
		return -ENOMEM;
	*m = ++crowd->reached;
	crowd->members[*m].cost = crowd->members[REST].cost;
	join(crowd, *m, at);
	return 0;
}

/* ---- events ---- */

/* An unchanged sync, counted: the one member of cohort @at that waited for it intercepts again. */
static int lose_patience(struct crowd *crowd, uint32_t at, const struct patience_edge *edge)
{
	uint32_t m, fresh;
	int ret = find(crowd, at, crowd->cohort[at].count, &m);

	if (ret || m == REST)
		return ret;
	leave(crowd, m);
	crowd->left_out |= !~crowd->active;
	if (edge->flipped == PATIENCE_DEAD || !~crowd->active)
		return 0;
	crowd->members[m].cost += crowd->cohort[at].cost + edge->flip_cost;
	/* It may take the place of the cohort that it alone was. */
	fresh = (uint32_t)__builtin_ctzll(~crowd->active);
	crowd->cohort[fresh] = (struct cohort){.state = edge->flipped};
	join(crowd, m, fresh);
	return fresh == at;
}

/* 1 when nothing is left of the cohort as it was. */
static int hear(struct crowd *crowd, uint32_t at, const struct patience_edge *edge, bool *flips)
{
	struct cohort *cohort = &crowd->cohort[at];

	switch (edge->hook) {
	case PATIENCE_WRITE:
		*flips = ++cohort->count >= crowd->writes;
		if (*flips)
			cohort->count = 0;
		return 0;
	case PATIENCE_NO_ROOM:
		if (cohort->count < crowd->writes)
			cohort->count++;
		return 0;
	case PATIENCE_CHANGED:
		cohort->count = 0;
		return 0;
	case PATIENCE_SAME:
		cohort->count++;
		return lose_patience(crowd, at, edge);
	case PATIENCE_NOTHING:
		break;
	}
	return 0;
}

static int step(struct crowd *crowd, uint32_t at, const struct patience_edge *edge)
{
	struct cohort *cohort = &crowd->cohort[at];
	bool flips = false;
	int ret;

	if (edge->hook != PATIENCE_NOTHING) {
		ret = hear(crowd, at, edge, &flips);
		if (ret)
			return ret < 0 ? ret : 0;
	}
	cohort->state = flips ? edge->flipped : edge->next;
	cohort->cost += flips ? edge->flip_cost : edge->cost;
	if (cohort->state == PATIENCE_DEAD)
		disband(crowd, at);
	return 0;
}

static void merge_alike(struct crowd *crowd)
{
	for (uint64_t rest = crowd->active; rest; rest &= rest - 1) {
		uint32_t a = (uint32_t)__builtin_ctzll(rest);

		for (uint64_t others = rest & (rest - 1); others; others &= others - 1) {
			uint32_t b = (uint32_t)__builtin_ctzll(others);

			if (crowd->cohort[a].state == crowd->cohort[b].state &&
			    crowd->cohort[a].count == crowd->cohort[b].count)
				merge(crowd, a, b);
		}
	}
}

/* Cohorts can become alike only where a count changes, or where two states lead to one. */
static bool may_merge(const struct patience_edge *edges, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (edges[i].hook != PATIENCE_NOTHING)
			return true;
		for (uint32_t j = i + 1; j < nr; j++)
			if (edges[i].next == edges[j].next)
				return true;
	}
	return false;
}

static int step_crowd(struct crowd *crowd, const uint32_t *states,
		      const struct patience_edge *edges, uint32_t nr)
{
	for (uint64_t rest = crowd->active; rest; rest &= rest - 1) {
		uint32_t at = (uint32_t)__builtin_ctzll(rest), s = 0;
		int ret;

		while (s < nr && states[s] != crowd->cohort[at].state)
			s++;
		ret = s < nr ? step(crowd, at, &edges[s]) : -EINVAL;
		if (ret)
			return ret;
	}
	return 0;
}

int patience_step(struct patience *patience, const uint32_t *states,
		  const struct patience_edge *edges, uint32_t nr)
{
	bool merges = may_merge(edges, nr);

	for (size_t i = 0; i < PATIENCE_WRITES; i++) {
		struct crowd *crowd = &patience->crowd[i];
		int ret = step_crowd(crowd, states, edges, nr);

		if (ret)
			return ret;
		if (merges && crowd->active & (crowd->active - 1))
			merge_alike(crowd);
	}
	return 0;
}

/* ---- answers ---- */

uint32_t patience_reached(const struct patience *patience, uint32_t writes)
{
	return patience->crowd[writes - 1].reached;
}

bool patience_cycles(const struct patience *patience, uint32_t writes, uint32_t exits,
		     uint64_t *cycles)
{
	const struct crowd *crowd = &patience->crowd[writes - 1];
	const struct member *member = &crowd->members[exits <= crowd->reached ? exits : REST];

	if (member->cohort == NO_COHORT ||
	    (member == crowd->members && crowd->beyond && exits < PATIENCE_NEVER))
		return false;
	*cycles = crowd->cohort[member->cohort].cost + member->cost;
	return true;
}

bool patience_whole(const struct patience *patience)
{
	for (size_t i = 0; i < PATIENCE_WRITES; i++)
		if (patience->crowd[i].beyond || patience->crowd[i].left_out)
			return false;
	return true;
}

/* ---- life ---- */

struct patience *patience_new(uint32_t state, uint32_t max_members)
{
	struct patience *patience = calloc(1, sizeof(*patience));

	for (uint32_t i = 0; patience && i < PATIENCE_WRITES; i++) {
		struct crowd *crowd = &patience->crowd[i];

		crowd->writes = i + 1;
		crowd->max = max_members;
		crowd->room = 2;
		crowd->cohort[0].state = state;
		crowd->members = calloc(crowd->room, sizeof(*crowd->members));
		if (!crowd->members) {
			patience_free(patience);
			return NULL;
		}
		join(crowd, REST, 0);
	}
	return patience;
}

void patience_free(struct patience *patience)
{
	for (size_t i = 0; patience && i < PATIENCE_WRITES; i++)
		free(patience->crowd[i].members);
	free(patience);
}
