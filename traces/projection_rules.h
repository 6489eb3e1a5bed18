/* SPDX-License-Identifier: MIT */
/**
 * DOC: The rules of traces/projection.h for one CPU, without the table of tasks.
 *
 * Inline, because a generator that knows its tasks by number applies them a hundred million
 * times a second or less, but would rather not wait for a hash table and a call each time.
 */
#ifndef TRACES_PROJECTION_RULES_H
#define TRACES_PROJECTION_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "models/msr.h"
#include "traces/projection.h"

/**
 * struct projection_cpu - What the kernel remembers of a CPU's FPU.
 * @owner: whose registers it holds; 0 for nobody
 * @armed: XFD was last written as 0x40000, not as 0
 */
struct projection_cpu {
	uint32_t owner;
	bool armed;
};

/* What an event goes to: @sink is whatever its owner needs. */
typedef void projection_add_fn(void *sink, enum event_kind kind, uint64_t arg);

/* What happened beside events. */
enum { PROJECTION_RESTORED = 1, PROJECTION_FIRST_USE = 2 };

/**
 * projection_restore() - The registers of task @pid are loaded on @cpu.
 * @cpu:      changes
 * @pid:      of the task
 * @used_amx: its XFD is 0
 * @add:      called for each event, known when this is compiled
 * @sink:     for @add
 *
 * The guest's XRSTORS follows its write: tiles become initial, or come back.
 */
static inline __attribute__((always_inline)) void projection_restore(struct projection_cpu *cpu,
								     uint32_t pid, bool used_amx,
								     projection_add_fn *add,
								     void *sink)
{
	cpu->owner = pid;
	if (cpu->armed == !used_amx)
		return;
	cpu->armed = !used_amx;
	add(sink, EVENT_wrxfd, used_amx ? 0 : XFEATURE_MASK_XTILE_DATA);
	add(sink, used_amx ? EVENT_amx : EVENT_tilerelease, 0);
}

/**
 * projection_first_use() - The running task uses AMX for the first time.
 * @cpu:  changes
 * @add:  called for each event
 * @sink: for @add
 *
 * #NM; the handler reads and clears XFD_ERR, grows the buffer, disarms and returns.
 */
static inline __attribute__((always_inline)) void
projection_first_use(struct projection_cpu *cpu, projection_add_fn *add, void *sink)
{
	cpu->armed = false;
	add(sink, EVENT_amx, 0);
	add(sink, EVENT_rderr, 0);
	add(sink, EVENT_wrerr, 0);
	add(sink, EVENT_wrxfd, 0);
	add(sink, EVENT_amx, 0);
}

/**
 * projection_come() - Task @pid comes to @cpu.
 * @cpu:      changes
 * @pid:      of the task
 * @was_here: @cpu is where it ran last
 * @used_amx: it used AMX before
 * @uses_amx: it is one of the tasks that use AMX
 * @add:      called for each event
 * @sink:     for @add
 *
 * Return: PROJECTION_RESTORED and PROJECTION_FIRST_USE.
 */
static inline __attribute__((always_inline)) unsigned int
projection_come(struct projection_cpu *cpu, uint32_t pid, bool was_here, bool used_amx,
		bool uses_amx, projection_add_fn *add, void *sink)
{
	unsigned int happened = 0;

	if (cpu->owner != pid || !was_here) {
		projection_restore(cpu, pid, used_amx, add, sink);
		happened |= PROJECTION_RESTORED;
	}
	if (uses_amx && !used_amx) {
		projection_first_use(cpu, add, sink);
		happened |= PROJECTION_FIRST_USE;
	}
	return happened;
}

#endif /* TRACES_PROJECTION_RULES_H */
