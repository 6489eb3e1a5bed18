/* SPDX-License-Identifier: MIT */
#include "sim/optimum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	CLASSES = 64, /* of events whose edges are remembered */
	MAX_STATES = 4096,
	MAX_WAYS = 64, /* states that one vCPU may be in, over all schedules */
	ME = 0,
	SOMEBODY = 1,
	UNKNOWN = 0 /* edge that has not been taken; state 0 is never used */
};

#define DEAD UINT32_MAX /* edge that leads nowhere */

/*
 * A vCPU and its pCPU, seen from the vCPU: it is vCPU 0 on pCPU 0, and the registers are its
 * own (ME), another vCPU's (SOMEBODY) or a task's. Zeroed before it is filled.
 */
struct view {
	struct vcpu vcpu;
	struct pcpu pcpu;
};

/* Where an event leads and what it costs, leaving interception alone and changing it. */
struct edge {
	uint32_t next, flipped;
	uint64_t cost, flip_cost;
};

struct way {
	uint64_t cost;
	uint32_t state;
};

/*
 * @nr:     ways
 * @pcpu:   where it runs or ran last
 */
struct line {
	struct way way[MAX_WAYS];
	uint32_t nr;
	uint32_t pcpu;
};

/*
 * @viewer: by pCPU: the vCPU whose ways hold its state; VCPU_NONE when @pcpus does, in which
 *          fpregs_owner is the vCPU's own number
 * @mini:   the machine that edges are worked out on
 */
struct optimum {
	struct machine_config config;
	struct xfd_policy keep;
	uint64_t price[NR_STEPS];
	uint32_t nr_vcpus, nr_pcpus;
	struct line *lines;
	struct pcpu *pcpus;
	uint32_t *viewer;
	struct view *views;
	struct edge *edges;
	uint32_t slots[4 * MAX_STATES];
	uint32_t nr_states;
	uint32_t nr_classes;
	uint32_t class_kind[CLASSES];
	uint64_t class_arg[CLASSES];
	struct machine mini;
	struct pcpu mini_pcpus[2];
	struct vcpu mini_vcpus[2];
};

static int intern(struct optimum *o, const struct view *view, uint32_t *state)
{
	const uint32_t mask = 4 * MAX_STATES - 1;
	uint32_t i = (uint32_t)XXH3_64bits(view, sizeof(*view)) & mask;

	while (o->slots[i] && memcmp(&o->views[o->slots[i]], view, sizeof(*view)))
		i = (i + 1) & mask;
	if (!o->slots[i]) {
		if (o->nr_states == MAX_STATES)
			return -E2BIG;
		memcpy(&o->views[o->nr_states], view, sizeof(*view));
		o->slots[i] = o->nr_states++;
	}
	*state = o->slots[i];
	return 0;
}

/* What the mini machine's vCPU 0 has become. */
static void take(const struct optimum *o, struct view *view)
{
	uint32_t at = o->mini_vcpus[0].pcpu;

	memset(view, 0, sizeof(*view));
	memcpy(&view->vcpu, &o->mini_vcpus[0], sizeof(view->vcpu));
	memcpy(&view->pcpu, &o->mini_pcpus[at], sizeof(view->pcpu));
	memset(&view->vcpu.frame, 0, sizeof(view->vcpu.frame));
	if (view->vcpu.last_cpu == at)
		view->vcpu.last_cpu = 0;
	view->vcpu.pcpu = 0;
}

static bool has_exit(const struct step_log *log)
{
	for (unsigned int i = 0; i < log->nr; i++)
		if (log->step[i] == STEP_exit_post)
			return true;
	return false;
}

static bool has_update(const struct step_log *log)
{
	for (unsigned int i = 0; i < log->nr; i++)
		if (log->step[i] == STEP_intercept_update)
			return true;
	return false;
}

/* The same moment with interception the other way round. */
static void flip(const struct optimum *o, struct view *view)
{
	view->vcpu.xfd_no_write_intercept = !view->vcpu.xfd_no_write_intercept;
	if (view->vcpu.xfd_no_write_intercept)
		view->vcpu.intercept_nm |= o->config.kernel->traps_nm;
}

/* Run the model from @view on the mini machine; on pCPU 1 if @moved_to is given. */
static int work_out(struct optimum *o, const struct view *from, const struct pcpu *moved_to,
		    const struct trace_event *event, struct edge *edge)
{
	struct trace_event mine = {.kind = event->kind, .arg = event->arg};
	struct machine_result result;
	enum machine_status status;
	struct view view;
	int ret;

	o->mini.nr_vcpus = 1;
	memcpy(&o->mini_vcpus[0], &from->vcpu, sizeof(from->vcpu));
	memcpy(&o->mini_pcpus[0], &from->pcpu, sizeof(from->pcpu));
	if (event->kind == EVENT_wake || event->kind == EVENT_resume)
		mine.arg = EVENT_SAME_PCPU;
	if (moved_to) {
		o->mini_pcpus[1] = *moved_to;
		mine.arg = 1;
	}
	status = machine_event(&o->mini, &mine, &result);
	*edge = (struct edge){.next = DEAD, .flipped = DEAD};
	if (status == MACHINE_HOST_NM)
		return 0; /* this schedule panics the host */
	if (status != MACHINE_OK)
		return -EINVAL;
	for (unsigned int i = 0; i < result.log.nr; i++)
		edge->cost += o->price[result.log.step[i]];
	take(o, &view);
	ret = intern(o, &view, &edge->next);
	if (ret || !has_exit(&result.log) || !vcpu_supported_xfd(&view.vcpu) ||
	    !fpstate_has_tiles_room(&view.vcpu.fpstate))
		return ret;
	edge->flip_cost = edge->cost;
	if (!has_update(&result.log))
		edge->flip_cost += o->price[STEP_intercept_update];
	flip(o, &view);
	return intern(o, &view, &edge->flipped);
}

static int add_way(struct line *line, uint32_t state, uint64_t cost)
{
	for (uint32_t i = 0; i < line->nr; i++)
		if (line->way[i].state == state) {
			if (cost < line->way[i].cost)
				line->way[i].cost = cost;
			return 0;
		}
	if (line->nr == MAX_WAYS)
		return -E2BIG;
	line->way[line->nr++] = (struct way){cost, state};
	return 0;
}

static int add_edge(struct line *line, uint64_t cost, const struct edge *edge)
{
	int ret = 0;

	if (edge->next != DEAD)
		ret = add_way(line, edge->next, cost + edge->cost);
	if (!ret && edge->flipped != DEAD)
		ret = add_way(line, edge->flipped, cost + edge->flip_cost);
	return ret;
}

/* ---- sharing pCPUs ---- */

/* Put what vCPU @id left on its pCPU where others find it; it must not depend on the way. */
static int leave_pcpu(struct optimum *o, uint32_t id)
{
	struct line *line = &o->lines[id];
	struct pcpu *pcpu = &o->pcpus[line->pcpu];
	const struct pcpu *first = &o->views[line->way[0].state].pcpu;

	for (uint32_t i = 1; i < line->nr; i++)
		if (memcmp(&o->views[line->way[i].state].pcpu, first, sizeof(*first)))
			return -EDOM;
	memcpy(pcpu, first, sizeof(*pcpu));
	if (pcpu->fpregs_owner == ME)
		pcpu->fpregs_owner = id;
	o->viewer[line->pcpu] = VCPU_NONE;
	return 0;
}

/* A wake or resume where the pCPU's state is not in the vCPU's own ways. */
static int attach(struct optimum *o, uint32_t id, uint32_t target, const struct trace_event *event)
{
	struct line old = o->lines[id], *line = &o->lines[id];
	bool moved = target != line->pcpu;
	struct pcpu pcpu;
	int ret = 0;

	if (o->viewer[line->pcpu] == id)
		ret = leave_pcpu(o, id);
	if (!ret && o->viewer[target] != VCPU_NONE)
		ret = leave_pcpu(o, o->viewer[target]);
	if (ret)
		return ret;
	memcpy(&pcpu, &o->pcpus[target], sizeof(pcpu));
	if (pcpu.vcpu != VCPU_NONE)
		return -EINVAL;
	if (pcpu.fpregs_owner == id)
		pcpu.fpregs_owner = ME;
	else if (pcpu.fpregs_owner < o->nr_vcpus)
		pcpu.fpregs_owner = SOMEBODY;
	line->nr = 0;
	for (uint32_t i = 0; i < old.nr && !ret; i++) {
		struct view view = o->views[old.way[i].state];
		struct edge edge;

		memcpy(&view, &o->views[old.way[i].state], sizeof(view));
		memcpy(&view.pcpu, &pcpu, sizeof(pcpu));
		ret = work_out(o, &view, moved ? &pcpu : NULL, event, &edge);
		if (!ret)
			ret = add_edge(line, old.way[i].cost, &edge);
	}
	line->pcpu = target;
	o->viewer[target] = id;
	return ret;
}

/* ---- events ---- */

static uint32_t class_find(struct optimum *o, const struct trace_event *e)
{
	uint64_t arg = e->arg;

	if (e->kind == EVENT_hlt)
		arg = arg < o->config.halt_poll_cycles   ? 0
		      : arg < o->config.idle_init_cycles ? 1
							 : 2;
	for (uint32_t c = 0; c < o->nr_classes; c++)
		if (o->class_kind[c] == e->kind && o->class_arg[c] == arg)
			return c;
	if (o->nr_classes == CLASSES)
		return CLASSES;
	o->class_kind[o->nr_classes] = e->kind;
	o->class_arg[o->nr_classes] = arg;
	return o->nr_classes++;
}

static int step_line(struct optimum *o, struct line *line, uint32_t class,
		     const struct trace_event *event)
{
	struct line old = {.nr = line->nr};
	int ret = 0;

	memcpy(old.way, line->way, line->nr * sizeof(old.way[0]));
	line->nr = 0;
	for (uint32_t i = 0; i < old.nr && !ret; i++) {
		uint32_t state = old.way[i].state;
		struct edge made = {.next = UNKNOWN}, *edge = &made;

		if (class < CLASSES)
			edge = &o->edges[(size_t)state * CLASSES + class];
		if (edge->next == UNKNOWN)
			ret = work_out(o, &o->views[state], NULL, event, edge);
		if (!ret)
			ret = add_edge(line, old.way[i].cost, edge);
	}
	return ret ? ret : line->nr ? 0 : -EINVAL;
}

static int step(struct optimum *o, uint32_t id, uint32_t class, const struct trace_event *event)
{
	struct line *line = &o->lines[id];
	const struct vcpu *v = &o->views[line->way[0].state].vcpu;
	bool comes = event->kind == EVENT_wake || event->kind == EVENT_resume;

	if (comes && v->state != VCPU_POLLING) {
		uint32_t target = event->arg == EVENT_SAME_PCPU ? line->pcpu : (uint32_t)event->arg;

		if (target != line->pcpu || o->viewer[target] != id)
			return attach(o, id, target, event);
	}
	return step_line(o, line, class, event);
}

int optimum_block(struct optimum *o, const struct trace_block *block)
{
	const uint64_t *arg = block->args;
	uint32_t class[BLOCK_MAX_WORDS];

	for (size_t t = 0; t < block->nr_words; t++) {
		struct trace_event event = {.kind = block->word[t].kind, .arg = block->word[t].min};

		class[t] = class_find(o, &event);
	}
	for (size_t i = 0; i < block->nr; i++) {
		const struct block_word *word = &block->word[block->tags[i]];
		uint32_t id = block->vcpus ? block->vcpus[i] : 0;
		struct trace_event event = {.kind = word->kind, .arg = word->min, .vcpu = id};
		uint32_t c = class[block->tags[i]];
		int ret;

		if (word->varies) {
			event.arg = *arg++;
			c = class_find(o, &event);
		}
		ret = step(o, id, c, &event);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- life ---- */

/* Both ways of creating a vCPU, as vCPU @which of the mini machine. */
static int create(struct optimum *o, uint32_t id, uint8_t flags)
{
	uint32_t which = id < o->nr_pcpus ? 0 : 1;
	uint8_t both[2] = {flags, flags};

	o->mini.nr_pcpus = 1;
	o->mini.nr_vcpus = which + 1;
	o->lines[id].pcpu = id % o->nr_pcpus;
	for (int open = 0; open < 2; open++) {
		struct view view;
		uint32_t state;
		int ret;

		o->keep.at_creation = open;
		machine_init(&o->mini, &o->config, both);
		o->mini_vcpus[0] = o->mini_vcpus[which];
		o->mini_vcpus[0].id = 0;
		take(o, &view);
		ret = intern(o, &view, &state);
		if (!ret)
			ret = add_way(&o->lines[id], state, 0);
		if (ret)
			return ret;
	}
	if (!which)
		o->viewer[id] = id;
	o->mini.nr_pcpus = 2;
	return 0;
}

struct optimum *optimum_new(const struct machine_config *config, const struct trace_info *info,
			    const struct cost_profile *profile)
{
	struct optimum *o = calloc(1, sizeof(*o));
	int ret = o ? 0 : -ENOMEM;

	if (ret)
		return NULL;
	/* No hook: it keeps what it was created with, and flip() does the rest. */
	o->keep = (struct xfd_policy){.name = "offline-optimal"};
	o->config = *config;
	o->config.policy = &o->keep;
	o->nr_vcpus = info->nr_vcpus;
	o->nr_pcpus = info->nr_pcpus;
	o->nr_states = 1;
	for (int s = 0; s < NR_PRICED_STEPS; s++)
		o->price[s] = profile->price[s].cycles[PRICE_TYPICAL];
	o->lines = calloc(o->nr_vcpus, sizeof(*o->lines));
	o->pcpus = calloc(o->nr_pcpus, sizeof(*o->pcpus));
	o->viewer = malloc(o->nr_pcpus * sizeof(*o->viewer));
	o->views = calloc(MAX_STATES, sizeof(*o->views));
	o->edges = calloc((size_t)MAX_STATES * CLASSES, sizeof(*o->edges));
	o->mini = (struct machine){.pcpus = o->mini_pcpus, .vcpus = o->mini_vcpus};
	if (!o->lines || !o->pcpus || !o->viewer || !o->views || !o->edges)
		ret = -ENOMEM;
	/* A pCPU that has run nothing, as machine_init() makes it beside a busy one. */
	o->mini.nr_pcpus = 2;
	o->mini.nr_vcpus = 1;
	machine_init(&o->mini, &o->config, NULL);
	for (uint32_t p = 0; !ret && p < o->nr_pcpus; p++) {
		o->pcpus[p] = o->mini_pcpus[1];
		o->viewer[p] = VCPU_NONE;
	}
	for (uint32_t id = 0; !ret && id < o->nr_vcpus; id++)
		ret = create(o, id, info->vcpu_flags ? info->vcpu_flags[id] : 0);
	if (!ret)
		return o;
	optimum_free(o);
	return NULL;
}

uint64_t optimum_cycles(const struct optimum *o)
{
	uint64_t total = 0;

	for (uint32_t id = 0; id < o->nr_vcpus; id++) {
		uint64_t best = UINT64_MAX;

		for (uint32_t i = 0; i < o->lines[id].nr; i++)
			best = o->lines[id].way[i].cost < best ? o->lines[id].way[i].cost : best;
		total += best;
	}
	return total;
}

void optimum_free(struct optimum *o)
{
	if (!o)
		return;
	free(o->lines);
	free(o->pcpus);
	free(o->viewer);
	free(o->views);
	free(o->edges);
	free(o);
}
