/* SPDX-License-Identifier: MIT */
#include "traces/projection.h"

#include <stdlib.h>

#include "traces/projection_rules.h"
#include "traces/trace.h"

#define XFD_ARMED XFEATURE_MASK_XTILE_DATA

enum { FIRST_SLOTS = 1024 /* a power of two; the table doubles when half full */ };

/* A slot of @tasks is empty when its pid is 0. */
struct projection {
	uint32_t nr_slots;
	uint32_t nr_tasks;
	struct guest_task *tasks;
	struct projection_cpu cpus[TRACE_MAX_VCPUS];
};

int projection_new(struct projection **projectionp, struct xfd_error *err)
{
	struct projection *projection = malloc(sizeof(*projection));
	struct guest_task *tasks = calloc(FIRST_SLOTS, sizeof(*tasks));

	if (!projection || !tasks) {
		free(projection);
		free(tasks);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	}
	projection->nr_slots = FIRST_SLOTS;
	projection->nr_tasks = 0;
	projection->tasks = tasks;
	for (uint32_t cpu = 0; cpu < TRACE_MAX_VCPUS; cpu++)
		projection->cpus[cpu] = (struct projection_cpu){.armed = true};
	*projectionp = projection;
	return 0;
}

static uint32_t home_slot(uint32_t pid, uint32_t nr_slots)
{
	return (pid * 2654435769u >> 7) & (nr_slots - 1);
}

/* The slot of @pid, or the empty one where it belongs. */
static uint32_t find_slot(const struct guest_task *tasks, uint32_t nr_slots, uint32_t pid)
{
	uint32_t slot = home_slot(pid, nr_slots);

	while (tasks[slot].pid && tasks[slot].pid != pid)
		slot = (slot + 1) & (nr_slots - 1);
	return slot;
}

static int grow(struct projection *projection, struct xfd_error *err)
{
	uint32_t nr_slots = projection->nr_slots * 2;
	struct guest_task *tasks = calloc(nr_slots, sizeof(*tasks)), *task;

	if (!tasks)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	for (uint32_t slot = 0; slot < projection->nr_slots; slot++) {
		task = &projection->tasks[slot];
		if (task->pid)
			tasks[find_slot(tasks, nr_slots, task->pid)] = *task;
	}
	free(projection->tasks);
	projection->tasks = tasks;
	projection->nr_slots = nr_slots;
	return 0;
}

/* Out of line, so that finding a task saves no registers. */
static __attribute__((noinline)) struct guest_task *
new_task(struct projection *projection, uint32_t slot, uint32_t pid, struct xfd_error *err)
{
	if (projection->nr_tasks >= projection->nr_slots / 2) {
		if (grow(projection, err))
			return NULL;
		slot = find_slot(projection->tasks, projection->nr_slots, pid);
	}
	projection->nr_tasks++;
	projection->tasks[slot] = (struct guest_task){.pid = pid, .last_cpu = -1};
	return &projection->tasks[slot];
}

struct guest_task *projection_task(struct projection *projection, uint32_t pid,
				   struct xfd_error *err)
{
	uint32_t slot = home_slot(pid, projection->nr_slots);

	for (; projection->tasks[slot].pid; slot = (slot + 1) & (projection->nr_slots - 1))
		if (projection->tasks[slot].pid == pid)
			return &projection->tasks[slot];
	return new_task(projection, slot, pid, err);
}

/* Deleting from a linear probe: whoever would not be found across the hole moves into it. */
void projection_forget(struct projection *projection, uint32_t pid)
{
	struct guest_task *tasks = projection->tasks;
	uint32_t mask = projection->nr_slots - 1;
	uint32_t hole = find_slot(tasks, projection->nr_slots, pid), slot = hole, home;

	if (!tasks[hole].pid)
		return;
	projection->nr_tasks--;
	for (;;) {
		slot = (slot + 1) & mask;
		if (!tasks[slot].pid)
			break;
		home = home_slot(tasks[slot].pid, projection->nr_slots);
		if (((slot - home) & mask) < ((slot - hole) & mask))
			continue;
		tasks[hole] = tasks[slot];
		hole = slot;
	}
	tasks[hole].pid = 0;
}

static void clear(struct projection_out *out)
{
	out->nr = out->nr_writes = 0;
	out->restored = out->first_use = false;
}

static void add_event(void *sink, enum event_kind kind, uint64_t arg)
{
	struct projection_out *out = sink;

	out->kind[out->nr] = kind;
	out->arg[out->nr++] = arg;
	out->nr_writes += kind == EVENT_wrxfd;
}

void projection_boot(struct projection_out *out)
{
	clear(out);
	add_event(out, EVENT_wrxfd, XFD_ARMED);
	add_event(out, EVENT_xsetbv, EVENT_XCR0_DEFAULT);
}

void projection_switch_out(struct guest_task *task, uint32_t cpu)
{
	task->last_cpu = (int32_t)cpu;
}

void projection_switch_in(struct projection *projection, uint32_t cpu, struct guest_task *task,
			  bool uses_amx, struct projection_out *out)
{
	unsigned int happened;

	clear(out);
	happened =
		projection_come(&projection->cpus[cpu], task->pid, task->last_cpu == (int32_t)cpu,
				task->used_amx, uses_amx, add_event, out);
	out->restored = happened & PROJECTION_RESTORED;
	out->first_use = happened & PROJECTION_FIRST_USE;
	task->used_amx |= uses_amx;
}

void projection_restored(struct projection *projection, uint32_t cpu, struct guest_task *task,
			 bool uses_amx, struct projection_out *out)
{
	struct projection_cpu *here = &projection->cpus[cpu];
	bool seen = task->last_cpu >= 0;
	unsigned int happened;

	clear(out);
	if (uses_amx && !seen)
		task->used_amx = true;
	here->owner = 0;
	happened = projection_come(here, task->pid, true, task->used_amx, uses_amx, add_event, out);
	out->restored = true;
	out->first_use = happened & PROJECTION_FIRST_USE;
	task->used_amx |= uses_amx;
	task->last_cpu = (int32_t)cpu;
}

void projection_wrote(struct projection *projection, uint32_t cpu, uint64_t value, bool failed,
		      struct projection_out *out)
{
	struct projection_cpu *here = &projection->cpus[cpu];

	clear(out);
	add_event(out, EVENT_wrxfd, value);
	if (failed || here->armed == !!(value & XFD_ARMED))
		return;
	here->armed = (value & XFD_ARMED) != 0;
	add_event(out, here->armed ? EVENT_tilerelease : EVENT_amx, 0);
}

void projection_xfd_err(struct projection_out *out, bool write, uint64_t value)
{
	clear(out);
	if (write) {
		add_event(out, EVENT_wrerr, value);
		return;
	}
	if (value)
		add_event(out, EVENT_amx, 0);
	add_event(out, EVENT_rderr, 0);
}

void projection_lose(struct projection *projection, uint32_t cpu)
{
	projection->cpus[cpu].owner = 0;
}

void projection_free(struct projection *projection)
{
	if (!projection)
		return;
	free(projection->tasks);
	free(projection);
}
