/* SPDX-License-Identifier: MIT */
/**
 * DOC: `adaptive` with all its parameters at once, on one vCPU of one trace.
 *
 * A parameter matters only where a count reaches it: of accepted writes, or of synced exits
 * that found XFD unchanged. So all that have decided alike so far are one cohort, which takes one
 * edge an event; a member leaves when its own number is reached, and cohorts that come to the
 * same state and count become one again. A member is one number of exits; the last one stands
 * for all numbers that no count has reached, so there is no largest that is tried.
 *
 * Shape: a crowd for each number of writes, 1 to PATIENCE_WRITES; its members numbered by exits.
 * Cost:  an edge for each cohort (two or three, as a rule) and event; a member that moves into
 *        the smaller of two cohorts is relabelled, so merging costs a logarithm.
 * Bound: members and cohorts are limited; what does not fit is left out, and patience_whole()
 *        says so.
 */
#ifndef SIM_PATIENCE_H
#define SIM_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PATIENCE_WRITES = 4,
	PATIENCE_NEVER = INT32_MAX /* exits that no trace here has */
};

#define PATIENCE_DEAD UINT32_MAX /* state that cannot be */

/* What adaptive is asked during an event. */
enum patience_hook {
	PATIENCE_NOTHING,
	PATIENCE_WRITE,   /* a write has been accepted, and there is room for tiles */
	PATIENCE_NO_ROOM, /* ... and there is none, so it cannot pass through yet */
	PATIENCE_SAME,    /* a sync found XFD as it was */
	PATIENCE_CHANGED
};

/**
 * struct patience_edge - An event, from one state.
 * @next:      where it leads when interception stays as it is, or PATIENCE_DEAD
 * @flipped:   ... when it is changed
 * @cost:      cycles of the former
 * @flip_cost: of the latter
 * @hook:      what adaptive is asked
 */
struct patience_edge {
	uint32_t next, flipped;
	uint64_t cost, flip_cost;
	enum patience_hook hook;
};

struct patience;

/**
 * patience_new() - A vCPU that is intercepted.
 * @state:       where it begins
 * @max_members: for each number of writes, at least 1
 *
 * Return: free it with patience_free(); NULL without memory.
 */
struct patience *patience_new(uint32_t state, uint32_t max_members);

/**
 * patience_step() - One event.
 * @patience: the vCPU
 * @states:   @nr of them, which all that have been reached are among
 * @edges:    of each
 * @nr:       entries
 *
 * Return: 0 or -ENOMEM.
 */
int patience_step(struct patience *patience, const uint32_t *states,
		  const struct patience_edge *edges, uint32_t nr);

/** patience_reached() - The most exits in a row that any of @writes has been asked about. */
uint32_t patience_reached(const struct patience *patience, uint32_t writes);

/**
 * patience_cycles() - What the events so far cost.
 * @writes: 1 to PATIENCE_WRITES
 * @exits:  at least 1
 * @cycles: filled
 *
 * Return: false when this pair was left out, or cannot be.
 */
bool patience_cycles(const struct patience *patience, uint32_t writes, uint32_t exits,
		     uint64_t *cycles);

/** patience_whole() - Is no number of exits left out, with up to PATIENCE_WRITES writes? */
bool patience_whole(const struct patience *patience);

/** patience_free() - Free; NULL is allowed. */
void patience_free(struct patience *patience);

#endif /* SIM_PATIENCE_H */
