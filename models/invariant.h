/* SPDX-License-Identifier: MIT */
/**
 * DOC: Invariants, what must hold whatever the order of events.
 *
 * Some are predicates of the state wherever interrupts are on (invariant_check()), others
 * are noticed by the atom that breaks them (invariant_break()). None asserts that tiles
 * survive while XFD[18]=1: architecture and KVM's ABI let them vanish then.
 */
#ifndef MODELS_INVARIANT_H
#define MODELS_INVARIANT_H

#include <stddef.h>
#include <stdint.h>

struct machine;

enum invariant {
#define XFD_INVARIANT(id, symbol, sentence, consequence, source) INV_##symbol,
#include "models/invariant_list.h"
#undef XFD_INVARIANT
	NR_INVARIANTS
};

/**
 * struct invariant_info - What people are told.
 * @id:          number, as in I1
 * @name:        upper case, with -
 * @sentence:    what holds
 * @consequence: what a real kernel does when it does not
 * @source:      where it is written down or enforced
 */
struct invariant_info {
	int id;
	const char *name;
	const char *sentence;
	const char *consequence;
	const char *source;
};

/** invariant_info() - By enum value. Return: a constant, or NULL past the last. */
const struct invariant_info *invariant_info(size_t invariant);

/**
 * invariant_find() - Look an invariant up.
 * @text: "I1" or "CACHE"
 *
 * Return: enum invariant, or -1.
 */
int invariant_find(const char *text);

/**
 * invariant_check() - Check every predicate of the state.
 * @machine: with its host set, at a point where interrupts are on everywhere
 *
 * Adds what is broken to machine->host->broken.
 */
void invariant_check(struct machine *machine);

/** invariant_check_pcpu() - The same for one pCPU and what runs on it. */
void invariant_check_pcpu(struct machine *machine, uint32_t pcpu);

#endif /* MODELS_INVARIANT_H */
