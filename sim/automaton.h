/* SPDX-License-Identifier: MIT */
/**
 * DOC: The model, compiled lazily into an automaton.
 *
 * A vCPU and the part of its pCPU that it sees have few distinct states, so the engine gives
 * each a number the first time it is met, and remembers for each (state, class of event)
 * where the model went and which path it took. From then on an event is one load, one add
 * and one store. The model stays the only source of truth: nothing here knows a rule.
 *
 * State:  struct vcpu and struct pcpu as the model left them, byte for byte, with the vCPU's
 *         and the pCPU's numbers replaced by "mine"; interned. A vCPU that is switched out
 *         keeps its view of the pCPU until somebody else uses that pCPU.
 * Class:  (kind, argument), where the length of a HLT counts as polled, blocked or long only.
 * Slow:   what an edge cannot say is left to the model, on the whole machine: the first time
 *         on each edge, growing a buffer (the n-th growth may fail), wake and resume onto a
 *         named pCPU or one that somebody else has used, more than 55 classes, and everything
 *         once there are too many states.
 * Why:    an edge is 8 bytes, successor and counter together, so an event touches one cache
 *         line; several runs advance in one loop because their chains are independent.
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
	AUTOMATA_MAX_RUNS = 8,      /* that advance in one loop */
	AUTOMATON_MAX_STATES = 4096 /* that a run needs to be allowed; 4 MiB */
};

/**
 * struct automaton_run - One run of a group.
 * @machine: initialised; its config too
 * @ledger:  gets paths as they are first taken, and all counts at the end
 * @max_states: at least 2; past it the model does all the work
 */
struct automaton_run {
	struct machine *machine;
	struct ledger *ledger;
	uint32_t max_states;
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
 *
 * Return: the group; free it with automata_free(). NULL without memory.
 */
struct automata *automata_new(const struct automaton_run *runs, size_t nr);

/**
 * automata_block() - Replay a block.
 * @group:   the group; must not be used again after a failure
 * @block:   the next block of the trace
 * @refusal: filled on failure
 *
 * Cost: about a nanosecond for each event and run. Return: 0, -EINVAL or -ENOMEM.
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
 * @states:     interned
 * @slow:       events that went through the model
 * @overflowed: there were more states than allowed, so the model did the rest
 */
struct automaton_stats {
	uint32_t states;
	uint64_t slow;
	bool overflowed;
};

/** automata_stats() - How run @run of the group went. */
struct automaton_stats automata_stats(const struct automata *group, size_t run);

/** automata_free() - Free a group; NULL is allowed. */
void automata_free(struct automata *group);

#endif /* SIM_AUTOMATON_H */
