/* SPDX-License-Identifier: MIT */
/**
 * DOC: The states of several runs, numbered together; for sim/automaton.c.
 *
 * All runs of a group see the same events, so together they have hardly more states than the
 * one that has most, and a number for the whole combination costs as much as one run alone.
 *
 * Row:    what one vCPU and its pCPU have become in every run, as the model left them but for
 *         the numbers of vCPU and pCPU; interned. For each class of events it remembers where
 *         the model went and by which paths.
 * Whose:  a vCPU's row holds its pCPU's state too, also while it is switched out, until
 *         another vCPU comes to that pCPU. Then the row is taken apart: one row for the vCPU
 *         alone, one for the pCPU, and both are put together again with what is there when a
 *         vCPU arrives. So preemption, migration and shared pCPUs are rows and edges as well.
 * Phrase: of words that came with a digest (traces/phrase.h). A class like others, whose edge is
 *         composed of its words' edges when it is first wanted, and which counts for them: when
 *         counters are emptied, a phrase's go to its prefix and its last word.
 * Model:  the only source of truth: edges are worked out on a machine of one vCPU and two
 *         pCPUs, since no path looks farther. An event that grows a buffer is worked out each
 *         time, because the n-th growth may fail.
 * Bound:  where the rows run out, the caller takes runs apart (sim/automaton.c); a run that has
 *         too many states on its own is left to the model, on its whole machine.
 */
#ifndef SIM_CHAIN_H
#define SIM_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/machine.h"
#include "sim/automaton.h"
#include "traces/digest.h"
#include "traces/phrase.h"

enum {
	CHAIN_CLASSES = 56, /* of events */
	/* And of phrases: the length of a row. Not a power of two of cache lines. */
	CHAIN_EDGES = CHAIN_CLASSES + BLOCK_MAX_PHRASES,
	CHAIN_SLOW = CHAIN_CLASSES - 1, /* the class of events that no edge is remembered for */
	CHAIN_UNKNOWN = 0,              /* successor that has not been worked out */
	CHAIN_MERGES = 4096
};

/* What a row holds. MOVED: the pCPU is not the one where the vCPU was last. */
enum part { WHOLE, VCPU_ALONE, PCPU_ALONE, MOVED };

/* A row in one run. Zeroed before it is filled, so that padding compares equal. */
struct chain_view {
	struct vcpu vcpu;
	struct pcpu pcpu;
	enum part part;
};

/* What an event does in all runs. @lasting: an edge may remember it */
struct chain_outcome {
	struct fpstate_allocator alloc[AUTOMATA_MAX_RUNS];
	struct machine_result result[AUTOMATA_MAX_RUNS];
	struct chain_view views[AUTOMATA_MAX_RUNS];
	bool lasting;
};

/*
 * The phrases that classes from CHAIN_CLASSES on stand for, the same in all chains of a group.
 * @prefix: class of all words but the last; smaller than its own
 * @word:   class of the last
 */
struct chain_phrases {
	size_t nr;
	uint16_t prefix[BLOCK_MAX_PHRASES];
	uint8_t word[BLOCK_MAX_PHRASES];
};

/* Two rows that were put together. @key: both, and how they belong; 0 for none */
struct chain_merge {
	uint64_t key;
	uint32_t row;
};

/*
 * What a digest has counted, to take it back; an entry of runs counts on two edges.
 * @mixed: arguments of one word may be of several classes
 */
struct chain_log {
	bool mixed;
	size_t nr;
	struct {
		uint32_t edge, times;
	} count[PHRASE_MAX_ENTRIES];
};

_Static_assert((int)PHRASE_MAX_ENTRIES >= 2 * (int)DIGEST_MAX_ENTRIES, "room for either kind");

/**
 * struct chain - Runs that advance together.
 * @run:      @nr of them
 * @number:   of each in its group, ascending
 * @at:       event of the current block that comes next
 * @phrases:  what classes of phrases mean; borrowed
 * @max_rows: as many as there may be
 * @rows:     used; row 0 is none. Rows are named by the index of their first edge
 * @next:     by edge: the row it leads to, or CHAIN_UNKNOWN
 * @count:    by edge: how often it was taken since the last flush
 * @paths:    by row and class but phrases, @nr each: path + 1 in that run's ledger; 0 for no path
 * @views:    by row, @nr each
 * @parts:    by row: the rows of the vCPU alone and of the pCPU alone, 0 while unknown
 * @slots:    open addressing from views to row
 * @row:      by vCPU; this and the next four are one allocation
 * @where:    by vCPU: the pCPU where it runs or ran last
 * @viewer:   by pCPU: the vCPU whose row holds its state, or VCPU_NONE: then
 * @parked:   is its row, and
 * @holder:   the vCPU that the row means
 * @stopped_at: by vCPU: number of the event that stopped it, in all runs; UINT64_MAX for none
 * @skipped:  of vCPUs that had stopped
 * @by_model: the one run here has too many states; its machine holds the truth
 * @slow:     events that took more than an edge
 * @whole:    events that were accounted from digests
 * @done:     the current block was
 * @before:   what @row to @holder were before the current digest
 */
struct chain {
	struct automaton_run run[AUTOMATA_MAX_RUNS];
	size_t number[AUTOMATA_MAX_RUNS];
	size_t nr;
	size_t at;
	uint32_t nr_vcpus, nr_pcpus;
	const struct chain_phrases *phrases;
	uint32_t max_rows, rows, room;
	uint32_t *next;
	uint32_t *count;
	uint32_t *paths;
	struct chain_view *views;
	uint32_t (*parts)[2];
	uint32_t *slots;
	uint32_t nr_slots;
	struct chain_merge *merges;
	uint32_t *row, *where;
	uint32_t *viewer, *parked, *holder;
	uint64_t *stopped_at;
	struct {
		uint64_t events, cycles, writes;
	} skipped;
	bool by_model;
	uint64_t slow, whole;
	bool done;
	uint32_t *before;
	struct machine mini;
	struct pcpu mini_pcpus[2];
	struct vcpu mini_vcpu;
};

/**
 * chain_new() - A chain of runs whose machines are equal but for policy, kernel and options.
 * @runs:   what they point to is borrowed
 * @number: of each run in its group, ascending
 * @nr:     1 to AUTOMATA_MAX_RUNS
 * @phrases: borrowed
 * @max_rows: at least 2
 * @ret:    0, -ENOMEM, or -ENOSPC: more rows, or states of another shape, than a chain of these
 *          runs can have; never for one run
 *
 * Return: NULL on failure.
 */
struct chain *chain_new(const struct automaton_run *runs, const size_t *number, size_t nr,
			const struct chain_phrases *phrases, uint32_t max_rows, int *ret);

/**
 * chain_event() - An event whose edge is not known, or whose class is CHAIN_SLOW.
 * @chain:  not by_model
 * @event:  of which delta_cycles does not matter
 * @class:  its class; for wake and resume that of EVENT_SAME_PCPU
 * @failed: receives which run refuses it, as index of @chain, and why
 * @status: receives why
 *
 * Return: 0; -EINVAL, -ENOMEM or -ENOSPC, after which the chain is as it was before.
 */
int chain_event(struct chain *chain, const struct trace_event *event, uint32_t class,
		size_t *failed, enum machine_status *status);

/**
 * chain_runs() - A whole digest of runs, by edges that are known or that the model can tell.
 * @chain: not by_model, and no vCPU has stopped
 * @block: the digest
 * @class: of each entry
 * @same:  class of a wake and of a resume on the same pCPU
 * @log:   memory; @mixed is set
 *
 * A run is accounted when its words, once each in order of first appearance, lead to states that
 * those of them that come again do not leave, and by the same paths from each of these states:
 * then their order does not matter.
 *
 * Return: false when that cannot be said of all runs, or when an edge cannot be remembered; then
 * the chain is as it was before.
 */
bool chain_runs(struct chain *chain, const struct trace_block *block, const uint8_t *class,
		const uint32_t same[NR_EVENT_KINDS], struct chain_log *log);

/**
 * chain_stretches() - The same for a digest of phrases.
 * @chain: not by_model, and no vCPU has stopped
 * @block: the digest
 * @class: of each code; CHAIN_SLOW for those that have none
 * @same:  as for chain_runs()
 * @log:   memory; @mixed is false
 *
 * A phrase is accounted when each of its words is; arrivals in it only at a pCPU that is as their
 * vCPU left it (traces/phrase.h says why).
 *
 * Return: as chain_runs().
 */
bool chain_stretches(struct chain *chain, const struct trace_block *block,
		     const uint32_t class[BLOCK_MAX_CODES], const uint32_t same[NR_EVENT_KINDS],
		     struct chain_log *log);

/** chain_forget_phrases() - Before classes of phrases get another meaning. */
void chain_forget_phrases(struct chain *chain);

/** chain_stopped() - Has vCPU @id stopped in run @k? */
bool chain_stopped(const struct chain *chain, uint32_t id, size_t k);

/** chain_widest() - The run that has most states. */
size_t chain_widest(const struct chain *chain);

/** chain_flush() - Empty the counters into the ledgers. */
void chain_flush(struct chain *chain);

/** chain_write_back() - Bring the machines up to date. */
void chain_write_back(const struct chain *chain);

/** chain_free() - Free a chain; NULL is allowed. */
void chain_free(struct chain *chain);

/* ---- for sim/chain_digest.c ---- */

/** chain_views() - What a row holds, run by run. */
static inline struct chain_view *chain_views(const struct chain *chain, uint32_t row)
{
	return &chain->views[row / CHAIN_EDGES * chain->nr];
}

/** chain_paths() - The paths of an edge that is of no phrase, run by run. */
static inline uint32_t *chain_paths(const struct chain *chain, uint32_t row, uint32_t class)
{
	return &chain->paths[((size_t)row / CHAIN_EDGES * CHAIN_CLASSES + class) * chain->nr];
}

/** chain_places() - Numbers that say where everybody is: from @row on, in one allocation. */
static inline size_t chain_places(const struct chain *chain)
{
	return 2 * (size_t)chain->nr_vcpus + 3 * (size_t)chain->nr_pcpus;
}

/** chain_is_coming() - Does such an event bring a vCPU to a pCPU? */
static inline bool chain_is_coming(uint32_t kind)
{
	return kind == EVENT_wake || kind == EVENT_resume;
}

/** chain_work_out() - What an event does, by the model; @failed as in chain_event(). */
int chain_work_out(struct chain *chain, uint32_t from, const struct trace_event *event,
		   struct chain_outcome *outcome, size_t *failed, enum machine_status *status);

/** chain_intern() - The row of these views. Return: 0, -ENOMEM or -ENOSPC. */
int chain_intern(struct chain *chain, const struct chain_view *views, uint32_t *row);

/** chain_remember() - Where an edge leads, and by which paths. */
void chain_remember(struct chain *chain, uint32_t from, uint32_t class, uint32_t to,
		    const uint32_t *path);

/** chain_target() - Where a wake or resume with this argument takes vCPU @id. */
uint32_t chain_target(const struct chain *chain, uint32_t id, uint64_t arg);

/**
 * chain_find_start() - The row that an event starts from.
 *
 * For a vCPU that comes to a pCPU whose state is not in its row, both are put together.
 * Return: 0, -ENOMEM or -ENOSPC.
 */
int chain_find_start(struct chain *chain, uint32_t id, uint32_t at, bool comes, uint32_t *row);

/** chain_arrive() - After the event: where it led. */
void chain_arrive(struct chain *chain, uint32_t id, uint32_t at, bool comes, uint32_t row);

#endif /* SIM_CHAIN_H */
