/* SPDX-License-Identifier: MIT */
#include "sim/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "models/machine.h"

static uint64_t path_hash(uint32_t kind, int32_t exit_reason, const struct step_log *steps)
{
	return XXH3_64bits_withSeed(steps->step, steps->nr,
				    (uint64_t)kind << 32 | (uint32_t)exit_reason);
}

static bool path_is(const struct path_count *path, uint32_t kind, int32_t exit_reason,
		    const struct step_log *steps)
{
	return path->kind == kind && path->exit_reason == exit_reason &&
	       path->steps.nr == steps->nr && !memcmp(path->steps.step, steps->step, steps->nr);
}

/* Slot of a path, or the empty slot where it belongs. */
static uint32_t *path_slot(const struct ledger *ledger, uint32_t kind, int32_t exit_reason,
			   const struct step_log *steps)
{
	size_t i = path_hash(kind, exit_reason, steps) & (ledger->path_slots - 1);

	while (ledger->path_index[i] &&
	       !path_is(&ledger->paths[ledger->path_index[i] - 1], kind, exit_reason, steps))
		i = (i + 1) & (ledger->path_slots - 1);
	return &ledger->path_index[i];
}

/* Keep the index at most half full. */
static int grow_paths(struct ledger *ledger)
{
	size_t slots = ledger->path_slots ? 2 * ledger->path_slots : 64;
	struct path_count *paths = realloc(ledger->paths, slots / 2 * sizeof(*paths));
	uint32_t *index;

	if (!paths)
		return -ENOMEM;
	ledger->paths = paths;
	index = calloc(slots, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(ledger->path_index);
	ledger->path_index = index;
	ledger->path_slots = slots;
	for (size_t i = 0; i < ledger->nr_paths; i++)
		*path_slot(ledger, paths[i].kind, paths[i].exit_reason, &paths[i].steps) =
			(uint32_t)i + 1;
	return 0;
}

int ledger_path(struct ledger *ledger, uint32_t kind, const struct machine_result *result,
		uint32_t *path)
{
	uint32_t *slot;

	if (2 * ledger->nr_paths >= ledger->path_slots && grow_paths(ledger))
		return -ENOMEM;
	slot = path_slot(ledger, kind, result->exit_reason, &result->log);
	if (!*slot) {
		ledger->paths[ledger->nr_paths] = (struct path_count){
			.kind = kind,
			.exit_reason = result->exit_reason,
			.steps = result->log,
		};
		*slot = (uint32_t)++ledger->nr_paths;
	}
	*path = *slot - 1;
	return 0;
}

bool ledger_find_path(const struct ledger *ledger, uint32_t kind,
		      const struct machine_result *result, uint32_t *path)
{
	uint32_t slot = 0;

	if (ledger->path_slots)
		slot = *path_slot(ledger, kind, result->exit_reason, &result->log);
	*path = slot - 1;
	return slot;
}

static bool is_xfd_event(uint32_t kind)
{
	return kind == EVENT_wrxfd || kind == EVENT_rdxfd || kind == EVENT_wrerr ||
	       kind == EVENT_rderr || kind == EVENT_amx || kind == EVENT_tsfault;
}

void ledger_count(struct ledger *ledger, uint32_t path, uint64_t times)
{
	struct path_count *taken = &ledger->paths[path];

	taken->count += times;
	for (unsigned int i = 0; i < taken->steps.nr; i++)
		ledger->step_count[taken->steps.step[i]] += times;
	if (taken->exit_reason != EXIT_NONE) {
		ledger->exit_count[taken->exit_reason] += times;
		ledger->xfd_exits += is_xfd_event(taken->kind) ? times : 0;
	}
}

int ledger_add(struct ledger *ledger, const struct trace_event *event,
	       const struct machine_result *result, bool skipped)
{
	uint64_t *guest = &ledger->step_count[STEP_guest_run];
	uint32_t path;

	if (skipped) {
		ledger->nr_skipped++;
		return 0;
	}
	if (event->kind != EVENT_wake && event->kind != EVENT_resume) {
		if (event->delta_cycles > INT64_MAX - *guest)
			return -EOVERFLOW;
		*guest += event->delta_cycles;
	}
	ledger->nr_events++;
	ledger->xfd_writes += event->kind == EVENT_wrxfd;
	if (ledger_path(ledger, event->kind, result, &path))
		return -ENOMEM;
	ledger_count(ledger, path, 1);
	return 0;
}

int ledger_finish(struct ledger *ledger, const struct machine *machine)
{
	ledger->fpstate_bytes = machine->alloc.bytes;
	ledger->fpstate_high_water_bytes = machine->alloc.high_water_bytes;
	ledger->nr_vcpus = machine->nr_vcpus;
	ledger->vcpus = calloc(machine->nr_vcpus, sizeof(*ledger->vcpus));
	if (!ledger->vcpus)
		return -ENOMEM;
	for (uint32_t i = 0; i < machine->nr_vcpus; i++) {
		const struct vcpu *v = &machine->vcpus[i];

		ledger->vcpus[i] = (struct vcpu_final){
			.state = vcpu_state_name(v->state),
			.intercept_xfd = !v->xfd_no_write_intercept,
			.intercept_nm = v->intercept_nm,
			.fpstate_bytes = v->fpstate.size_bytes,
			.xfd = machine_guest_xfd(machine, v),
			.xfd_err = machine_guest_xfd_err(machine, v),
		};
	}
	return 0;
}

void ledger_release(struct ledger *ledger)
{
	free(ledger->paths);
	free(ledger->path_index);
	free(ledger->vcpus);
	memset(ledger, 0, sizeof(*ledger));
}

bool path_is_xfd(const struct path_count *path)
{
	return is_xfd_event(path->kind);
}

char *path_text(const struct step_log *steps, char buf[PATH_TEXT_LEN])
{
	char *end = buf;

	*end = '\0';
	for (unsigned int i = 0; i < steps->nr; i++) {
		if (i)
			*end++ = ' ';
		end = stpcpy(end, step_name(steps->step[i]));
	}
	return buf;
}
