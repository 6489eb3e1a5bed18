/* SPDX-License-Identifier: MIT */
/**
 * DOC: The running vCPUs, and how fast things happen to them.
 *
 * One array: those whose guest has XFD armed, then the others; a vCPU changes sides by changing
 * places with one at the border. How fast things happen depends on how many stand on either
 * side. That takes divisions of 128 bits, so what came out lately is kept.
 */
#ifndef TRACES_GEN_CROWD_H
#define TRACES_GEN_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "traces/gen_epoch.h"

/* Padding: arrays of a power of two would have stores wait for loads of the same last 12 bits. */
enum { GEN_PACES = 256, GEN_PADDING = 24 };

/**
 * struct gen_lot_place - Where in the crowd those stand to whom a lot falls.
 * @begin:  the first
 * @nr:     how many
 * @border: whom such a vCPU changes places with when it changes sides
 * @turn:   by how many the armed ones then are more
 */
struct gen_lot_place {
	uint32_t begin;
	uint32_t nr;
	uint32_t border;
	uint32_t turn;
};

/**
 * struct gen_pace - How fast things happen to so many running vCPUs.
 * @key:   see gen_crowd_key(); 0 for none
 * @never: all ones when nothing ever happens, else 0
 * @below: of 2^63: a number below the first one says LOT_ANY, below the second LOT_TO_AMX
 * @mean:  for gen_gap()
 * @lots:  by lot
 */
struct gen_pace {
	uint64_t key;
	uint64_t never;
	uint64_t below[2];
	struct gen_mean mean;
	struct gen_lot_place lots[NR_LOTS];
};

/**
 * struct gen_crowd - Running vCPUs.
 * @rates:    of the current phase
 * @tsc_hz:   cycles a second
 * @all_use:  tasks that use AMX are seen to come on all vCPUs, not only on armed ones
 * @nr:       how many run
 * @nr_armed: how many of them have XFD armed
 * @members:  @nr vCPUs, @nr_armed armed ones first
 * @place:    by vCPU: its index there, if it runs
 * @paces:    lately used
 */
struct gen_crowd {
	const struct gen_rates *rates;
	uint64_t tsc_hz;
	bool all_use;
	uint32_t nr;
	uint32_t nr_armed;
	uint32_t members[TRACE_MAX_VCPUS + GEN_PADDING];
	uint32_t place[TRACE_MAX_VCPUS + GEN_PADDING];
	struct gen_pace paces[GEN_PACES];
};

/** gen_crowd_set_rates() - Another phase. */
void gen_crowd_set_rates(struct gen_crowd *crowd, const struct gen_rates *rates);

/** gen_crowd_find_pace() - Fill @pace for @nr_armed of @crowd->nr vCPUs. */
void gen_crowd_find_pace(const struct gen_crowd *crowd, uint32_t nr_armed, struct gen_pace *pace);

static inline uint64_t gen_crowd_key(uint32_t nr, uint32_t nr_armed)
{
	return (uint64_t)(nr + 1) << 32 | nr_armed;
}

/** gen_crowd_pace() - With @nr_armed of them. Return: valid until the next call. */
static inline const struct gen_pace *gen_crowd_pace(struct gen_crowd *crowd, uint32_t nr_armed)
{
	struct gen_pace *pace = &crowd->paces[(nr_armed + 16 * crowd->nr) % GEN_PACES];

	if (__builtin_expect(pace->key != gen_crowd_key(crowd->nr, nr_armed), 0))
		gen_crowd_find_pace(crowd, nr_armed, pace);
	return pace;
}

/** gen_crowd_is_armed() - Is @v, which runs, armed? */
static inline bool gen_crowd_is_armed(const struct gen_crowd *crowd, uint32_t v)
{
	return crowd->place[v] < crowd->nr_armed;
}

static inline void gen_crowd_put(struct gen_crowd *crowd, uint32_t place, uint32_t v)
{
	crowd->members[place] = v;
	crowd->place[v] = place;
}

/** gen_crowd_turn() - @v, which runs, has XFD armed no longer, or from now on. */
static inline void gen_crowd_turn(struct gen_crowd *crowd, uint32_t v)
{
	uint32_t from = crowd->place[v];
	uint32_t to = from < crowd->nr_armed ? --crowd->nr_armed : crowd->nr_armed++;

	gen_crowd_put(crowd, from, crowd->members[to]);
	gen_crowd_put(crowd, to, v);
}

/** gen_crowd_join() - @v runs. */
static inline void gen_crowd_join(struct gen_crowd *crowd, uint32_t v, bool armed)
{
	gen_crowd_put(crowd, crowd->nr++, v);
	if (armed)
		gen_crowd_turn(crowd, v);
}

/** gen_crowd_leave() - @v, which ran, does not. Return: whether it is armed. */
static inline bool gen_crowd_leave(struct gen_crowd *crowd, uint32_t v)
{
	bool armed = gen_crowd_is_armed(crowd, v);

	if (armed)
		gen_crowd_turn(crowd, v);
	gen_crowd_put(crowd, crowd->place[v], crowd->members[--crowd->nr]);
	return armed;
}

#endif /* TRACES_GEN_CROWD_H */
