/* SPDX-License-Identifier: MIT */
/**
 * DOC: The model, compiled lazily into an automaton.
 *
 * A vCPU and the part of its pCPU that it sees have few distinct states, and so have all runs of
 * one trace together (sim/chain.h). Each combination gets a number the first time it is met,
 * and remembers for each class of event where the model went and which paths it took. From
 * then on an event is one load and one count for all runs. The model stays the only source of
 * truth: nothing here knows a rule.
 *
 * Class:  (kind, argument), where the length of a HLT counts as polled, blocked or long only.
 * Slow:   the first time on each edge; growing a buffer; a pCPU that is named, or that
 *         somebody else has used; more than 55 classes.
 * Split:  too many states together: the run that has most of its own goes on alone. Also when a
 *         vCPU stops in some runs only. A run that has too many states alone goes through the
 *         model, event by event, as exact and slower.
 * Whole:  a digest stands for its block: of runs (traces/digest.h) where exits leave no state,
 *         whatever their order; of phrases (traces/phrase.h), by one look-up for several events,
 *         where each vCPU has its pCPU to itself. Else the block itself is asked for.
 * Why:    successors stand apart from counters, 4 bytes each, so that the states that a trace
 *         keeps coming back to stay in the L1 cache, and the chain of loads never waits for a
 *         store.
 */
#ifndef SIM_AUTOMATON_H
#define SIM_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/machine.h"
#include "sim/ledger.h"
#include "traces/block.h"

enum {
	AUTOMATA_MAX_RUNS = 8,      /* that advance together */
	AUTOMATON_MAX_STATES = 4096 /* that runs need to be allowed; 24 MiB for eight */
};

/**
 * struct automaton_run - One run of a group.
 * @machine: initialised; its config too
 * @ledger:  gets paths as they are first taken, and all counts at the end
 */
struct automaton_run {
	struct machine *machine;
	struct ledger *ledger;
};

/**
 * struct automata_refusal - The event that cannot happen.
 * @run:    of the group; the first, of those that refuse an event of the block
 * @index:  of the event in the block
 * @status: why; MACHINE_OK when memory ran out
 */
struct automata_refusal {
	size_t run;
	size_t index;
	enum machine_status status;
};

struct automata;

/**
 * automata_new() - A group of runs whose HLT thresholds are equal.
 * @runs: @nr of them; what they point to is borrowed
 * @nr:   1 to AUTOMATA_MAX_RUNS
 * @max_states: of the runs that are together, and of each that is alone; at least 2
 *
 * Return: the group; free it with automata_free(). NULL without memory.
 */
struct automata *automata_new(const struct automaton_run *runs, size_t nr, uint32_t max_states);

/**
 * automata_block() - Replay a block, or the digest of one.
 * @group:   the group; must not be used again after a failure
 * @block:   the next block of the trace
 * @refusal: filled on failure
 *
 * Cost: two to three nanoseconds an event, or an entry of a digest, however many runs are together.
 * Return: 0, -EINVAL, -ENOMEM, or -EAGAIN: the block of this digest is wanted.
 */
int automata_block(struct automata *group, const struct trace_block *block,
		   struct automata_refusal *refusal);

/** automata_has_stopped() - Has a vCPU of some run stopped? Then automata_skip() must follow. */
bool automata_has_stopped(const struct automata *group);

/**
 * automata_skip() - Take the events of stopped vCPUs back out of the block just replayed.
 * @group:  the group
 * @events: of that block
 * @nr:     how many
 */
void automata_skip(struct automata *group, const struct trace_event *events, size_t nr);

/**
 * automata_finish() - Bring ledgers and machines up to date; after the last block.
 * @group: the group
 */
void automata_finish(struct automata *group);

/**
 * struct automaton_stats - How a run went.
 * @states:     of the runs that were together with it at the end, itself included
 * @slow:       events of theirs that took more than an edge
 * @together:   how many they are
 * @whole:      events of theirs that were accounted from digests
 * @overflowed: there were more states than allowed, so the model did the rest
 */
struct automaton_stats {
	uint32_t states;
	uint64_t slow;
	size_t together;
	uint64_t whole;
	bool overflowed;
};

/** automata_stats() - How run @run of the group went. */
struct automaton_stats automata_stats(const struct automata *group, size_t run);

/** automata_free() - Free a group; NULL is allowed. */
void automata_free(struct automata *group);

#endif /* SIM_AUTOMATON_H */
