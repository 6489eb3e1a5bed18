/* SPDX-License-Identifier: MIT */
#include "sim/optimum.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sim/patience.h"

enum {
	CLASSES = 64, /* of events whose edges are remembered */
	MAX_STATES = 4096,
	MAX_WAYS = 64,         /* states that one vCPU may be in, over all schedules */
	MAX_MEMBERS = 1 << 20, /* of all vCPUs and numbers of writes; 24 bytes each */
	ME = 0,
	SOMEBODY = 1,
	UNKNOWN = 0 /* edge that has not been taken; state 0 is never used */
};

#define DEAD PATIENCE_DEAD

/*
 * A vCPU and its pCPU, seen from the vCPU: it is vCPU 0 on pCPU 0, and the registers are its
 * own (ME), another vCPU's (SOMEBODY) or a task's. Zeroed before it is filled.
 */
struct view {
	struct vcpu vcpu;
	struct pcpu pcpu;
};

/* Of ways that cost the same, the one with fewest changes of interception is kept. */
struct way {
	uint64_t cost;
	uint64_t changes;
	uint32_t state;
};

/*
 * @nr:     ways
 * @pcpu:   where it runs or ran last
 * @patience: adaptive; its states are among the ways, for it changes its mind at moments when
 *          a schedule could
 */
struct line {
	struct way way[MAX_WAYS];
	uint32_t nr;
	uint32_t pcpu;
	struct patience *patience;
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
	struct patience_edge *edges;
	uint32_t slots[4 * MAX_STATES];
	uint32_t nr_states;
	uint32_t max_members;
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
	view->vcpu.policy = (struct policy_state){0};
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

/*
 * The policy of the mini machine decides nothing and notes what it is asked: an accepted write
 * counts 1 when there is room for tiles, else NOTE; a sync 1 when XFD is as it was, else NOTE.
 */
enum { NOTE = 0x100 };

static enum policy_verdict note_write(struct policy_state *state,
				      const struct policy_params *params,
				      const struct xfd_write *write)
{
	(void)params;
	state->writes += write->large ? 1 : NOTE;
	return POLICY_KEEP;
}

static enum policy_verdict note_sync(struct policy_state *state, const struct policy_params *params,
				     bool changed)
{
	(void)params;
	state->exits += changed ? NOTE : 1;
	return POLICY_KEEP;
}

static int hook_of(const struct policy_state *noted, enum patience_hook *hook)
{
	if (noted->writes && noted->exits)
		return -EINVAL;
	switch (noted->writes ? noted->writes : noted->exits) {
	case 0:
		*hook = PATIENCE_NOTHING;
		return 0;
	case 1:
		*hook = noted->writes ? PATIENCE_WRITE : PATIENCE_SAME;
		return 0;
	case NOTE:
		*hook = noted->writes ? PATIENCE_NO_ROOM : PATIENCE_CHANGED;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Run the model from @view on the mini machine; on pCPU 1 if @moved_to is given. */
static int work_out(struct optimum *o, const struct view *from, const struct pcpu *moved_to,
		    const struct trace_event *event, struct patience_edge *edge)
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
	*edge = (struct patience_edge){.next = DEAD, .flipped = DEAD};
	if (status == MACHINE_HOST_NM)
		return 0; /* this schedule panics the host */
	if (status != MACHINE_OK)
		return -EINVAL;
	for (unsigned int i = 0; i < result.log.nr; i++)
		edge->cost += o->price[result.log.step[i]];
	ret = hook_of(&o->mini_vcpus[0].policy, &edge->hook);
	if (ret)
		return ret;
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

static bool better(const struct way *a, const struct way *b)
{
	return a->cost < b->cost || (a->cost == b->cost && a->changes < b->changes);
}

static int add_way(struct line *line, struct way way)
{
	for (uint32_t i = 0; i < line->nr; i++)
		if (line->way[i].state == way.state) {
			if (better(&way, &line->way[i]))
				line->way[i] = way;
			return 0;
		}
	if (line->nr == MAX_WAYS)
		return -E2BIG;
	line->way[line->nr++] = way;
	return 0;
}

static int add_edge(struct line *line, const struct way *from, const struct patience_edge *edge)
{
	int ret = 0;

	if (edge->next != DEAD)
		ret = add_way(line,
			      (struct way){from->cost + edge->cost, from->changes, edge->next});
	if (!ret && edge->flipped != DEAD)
		ret = add_way(line, (struct way){from->cost + edge->flip_cost, from->changes + 1,
						 edge->flipped});
	return ret;
}

/* The ways of @line become those that @edges lead to from @old, and adaptive goes with them. */
static int advance(struct line *line, const struct line *old, const struct patience_edge *edges)
{
	uint32_t states[MAX_WAYS];
	int ret = 0;

	line->nr = 0;
	for (uint32_t i = 0; i < old->nr && !ret; i++) {
		states[i] = old->way[i].state;
		ret = add_edge(line, &old->way[i], &edges[i]);
	}
	if (!ret)
		ret = patience_step(line->patience, states, edges, old->nr);
	return ret ? ret : line->nr ? 0 : -EINVAL;
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
	struct patience_edge edges[MAX_WAYS];
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
	for (uint32_t i = 0; i < old.nr && !ret; i++) {
		struct view view;

		memcpy(&view, &o->views[old.way[i].state], sizeof(view));
		memcpy(&view.pcpu, &pcpu, sizeof(pcpu));
		ret = work_out(o, &view, moved ? &pcpu : NULL, event, &edges[i]);
	}
	if (!ret)
		ret = advance(line, &old, edges);
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
	struct patience_edge edges[MAX_WAYS];
	struct line old;
	int ret = 0;

	old.nr = line->nr;
	memcpy(old.way, line->way, line->nr * sizeof(old.way[0]));
	for (uint32_t i = 0; i < old.nr && !ret; i++) {
		uint32_t state = old.way[i].state;
		struct patience_edge *known = &edges[i];

		if (class < CLASSES)
			known = &o->edges[(size_t)state * CLASSES + class];
		if (class == CLASSES || known->next == UNKNOWN)
			ret = work_out(o, &o->views[state], NULL, event, known);
		edges[i] = *known;
	}
	return ret ? ret : advance(line, &old, edges);
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

static int begin_way(struct optimum *o, uint32_t id, const struct view *view, uint32_t *state)
{
	int ret = intern(o, view, state);

	return ret ? ret : add_way(&o->lines[id], (struct way){.state = *state});
}

/* adaptive may pass through at the guest kernel's write at boot already. */
static int begin_adaptive(struct optimum *o, uint32_t id, struct view *view)
{
	struct patience_edge boot = {.flipped = DEAD};
	int ret = begin_way(o, id, view, &boot.next);

	if (!ret)
		ret = hook_of(&o->mini_vcpus[0].policy, &boot.hook);
	if (!ret && boot.hook == PATIENCE_WRITE) {
		flip(o, view);
		ret = begin_way(o, id, view, &boot.flipped);
	}
	if (ret)
		return ret;
	o->lines[id].patience = patience_new(boot.next, o->max_members);
	if (!o->lines[id].patience)
		return -ENOMEM;
	return patience_step(o->lines[id].patience, &boot.next, &boot, 1);
}

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
		ret = open ? begin_way(o, id, &view, &state) : begin_adaptive(o, id, &view);
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
	/* It keeps what it was created with, and flip() does the rest. */
	o->keep = (struct xfd_policy){
		.name = "offline-optimal", .accepted = note_write, .synced = note_sync};
	o->config = *config;
	o->config.policy = &o->keep;
	o->nr_vcpus = info->nr_vcpus;
	o->nr_pcpus = info->nr_pcpus;
	o->nr_states = 1;
	o->max_members = MAX_MEMBERS / PATIENCE_WRITES / o->nr_vcpus;
	o->max_members = o->max_members ? o->max_members : 1;
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

uint64_t optimum_cycles(const struct optimum *o, uint64_t *changes)
{
	uint64_t total = 0;

	*changes = 0;
	for (uint32_t id = 0; id < o->nr_vcpus; id++) {
		const struct line *line = &o->lines[id];
		const struct way *best = &line->way[0];

		for (uint32_t i = 1; i < line->nr; i++)
			best = better(&line->way[i], best) ? &line->way[i] : best;
		total += best->cost;
		*changes += best->changes;
	}
	return total;
}

bool optimum_adaptive_cycles(const struct optimum *o, uint32_t writes, uint32_t exits,
			     uint64_t *cycles)
{
	*cycles = 0;
	for (uint32_t id = 0; id < o->nr_vcpus; id++) {
		uint64_t one;

		if (!patience_cycles(o->lines[id].patience, writes, exits, &one))
			return false;
		*cycles += one;
	}
	return true;
}

bool optimum_adaptive(const struct optimum *o, struct policy_params *params, uint64_t *cycles)
{
	bool whole = true;

	*params = (struct policy_params){0};
	*cycles = UINT64_MAX;
	for (uint32_t writes = 1; writes <= PATIENCE_WRITES; writes++) {
		uint32_t reached = 0;

		for (uint32_t id = 0; id < o->nr_vcpus; id++) {
			uint32_t mine = patience_reached(o->lines[id].patience, writes);

			reached = mine > reached ? mine : reached;
			whole &= patience_whole(o->lines[id].patience);
		}
		for (uint32_t at = 1; at <= reached + 2; at++) {
			uint32_t exits = at == reached + 2 ? PATIENCE_NEVER : at;
			uint64_t sum;

			if (!optimum_adaptive_cycles(o, writes, exits, &sum) || sum >= *cycles)
				continue;
			*cycles = sum;
			*params = (struct policy_params){writes, exits};
		}
	}
	return whole;
}

void optimum_free(struct optimum *o)
{
	if (!o)
		return;
	for (uint32_t id = 0; o->lines && id < o->nr_vcpus; id++)
		patience_free(o->lines[id].patience);
	free(o->lines);
	free(o->pcpus);
	free(o->viewer);
	free(o->views);
	free(o->edges);
	free(o);
}
