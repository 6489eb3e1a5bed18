/* SPDX-License-Identifier: MIT */
#include "sim/automaton.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	/* Of events; the length of a row: 7 cache lines, an odd number, uses all of a cache. */
	CLASSES = 56,
	CLASS_SLOW = CLASSES - 1,
	/* Rows are named by the index of their first edge. */
	ROW_SLOW = 0,          /* the vCPU's state is in the machine, not in a row */
	ROW_STOPPED = CLASSES, /* nothing happens to it any more */
	FIRST_ROWS = 64,       /* room at the start; doubles */
	STRIDE = AUTOMATA_MAX_RUNS
};

/*
 * An edge: the successor's row, ROW_SLOW while unknown, and how often it was taken. Apart, one run
 * alone gains a tenth, since its chain of loads no longer waits for stores; but four or more
 * runs lose a third, since they wait for nothing but loads and stores.
 */
#define EDGE_ONE     (UINT64_C(1) << 32)
#define EDGE_NEXT(e) ((uint32_t)(e))
/* Counters of edges have 32 bits; they are emptied before that many events. */
#define FLUSH_EVENTS (UINT64_C(1) << 31)

#define NO_VIEWER UINT32_MAX

/* What is interned. Zeroed before it is filled, so that padding compares equal. */
struct view {
	struct vcpu vcpu;
	struct pcpu pcpu;
};

/*
 * @slots:  open addressing from view to state
 * @nr_slots: a power of two
 * @viewer: by pCPU: the vCPU whose row holds its state; NO_VIEWER when the machine does
 * @stopped_at: by vCPU: number of the event that stopped it, UINT64_MAX for none
 * @skipped*: of vCPUs that had stopped
 */
struct automaton {
	struct machine *machine;
	struct ledger *ledger;
	uint32_t *slots;
	uint32_t nr_slots;
	uint32_t nr_states;
	uint32_t max_states;
	bool overflowed;
	uint32_t *viewer;
	uint64_t *stopped_at;
	uint64_t skipped, skipped_cycles, skipped_writes;
	uint64_t slow;
};

/*
 * All runs' states stand in one arena, so that a row alone says where its edges are and runs do
 * not lie on equal addresses modulo 4096, where a load waits for its neighbour's store.
 *
 * @edges:   CLASSES for each state
 * @paths:   ledger path + 1 of each edge
 * @views:   one for each state
 * @owner:   run of each state
 * @rows:    of vCPU v in run k at [v * STRIDE + k]
 * @before:  events of earlier blocks
 * @unflushed: events since counters were emptied
 * @class_*: what a class stands for
 * @lut:     class by tag of the current block
 * @codes:   the current block's tags, or its classes when a word has several
 * @arg_at:  by event of the current block: arguments before it; valid if @has_arg_at
 */
struct automata {
	struct automaton run[AUTOMATA_MAX_RUNS];
	size_t nr;
	uint32_t nr_vcpus;
	uint64_t *edges;
	uint32_t *paths;
	struct view *views;
	uint8_t *owner;
	uint32_t nr_states;
	uint32_t room;
	uint32_t *rows;
	uint64_t halt_poll_cycles, idle_init_cycles;
	uint64_t before, unflushed;
	uint64_t writes, cycles;
	bool has_stopped;
	uint32_t nr_classes;
	uint32_t class_kind[CLASSES];
	uint64_t class_arg[CLASSES];
	const struct trace_block *block;
	uint32_t lut[BLOCK_MAX_WORDS];
	const uint8_t *codes;
	uint8_t classes[BLOCK_MAX_EVENTS];
	uint32_t arg_at[BLOCK_MAX_EVENTS];
	bool has_arg_at;
	struct automata_refusal refusal;
};

/* ---- classes ---- */

static uint32_t class_find(struct automata *g, uint32_t kind, uint64_t arg)
{
	if (kind == EVENT_hlt)
		arg = arg < g->halt_poll_cycles ? 0 : arg < g->idle_init_cycles ? 1 : 2;
	if ((kind == EVENT_wake || kind == EVENT_resume) && arg != EVENT_SAME_PCPU)
		return CLASS_SLOW;
	for (uint32_t c = 0; c < g->nr_classes; c++)
		if (g->class_kind[c] == kind && g->class_arg[c] == arg)
			return c;
	if (g->nr_classes == CLASS_SLOW)
		return CLASS_SLOW;
	g->class_kind[g->nr_classes] = kind;
	g->class_arg[g->nr_classes] = arg;
	return g->nr_classes++;
}

/* Some sleeps of a word are longer than a threshold and some are not: one class an event. */
static void translate(struct automata *g, const bool *mixed)
{
	const struct trace_block *block = g->block;
	const uint64_t *arg = block->args;

	for (size_t i = 0; i < block->nr; i++) {
		uint8_t tag = block->tags[i];

		g->classes[i] =
			(uint8_t)(mixed[tag] ? class_find(g, EVENT_hlt, *arg) : g->lut[tag]);
		arg += block->word[tag].varies;
	}
	for (uint32_t c = 0; c < CLASSES; c++)
		g->lut[c] = c;
	g->codes = g->classes;
}

static void begin_block(struct automata *g, const struct trace_block *block)
{
	bool mixed[BLOCK_MAX_WORDS] = {false}, any = false;

	g->block = block;
	g->codes = block->tags;
	g->has_arg_at = false;
	for (size_t t = 0; t < block->nr_words; t++) {
		const struct block_word *word = &block->word[t];
		uint32_t low = class_find(g, word->kind, word->min);

		g->lut[t] = low;
		if (!word->varies)
			continue;
		if (word->kind != EVENT_hlt)
			g->lut[t] = CLASS_SLOW;
		else if (low != class_find(g, word->kind, word->max))
			any = mixed[t] = true;
	}
	if (any)
		translate(g, mixed);
}

/* The event as the model wants it, but for its delta, at which the model never looks. */
static struct trace_event event_at(struct automata *g, size_t i, uint32_t vcpu)
{
	const struct trace_block *block = g->block;
	const struct block_word *word = &block->word[block->tags[i]];
	struct trace_event event = {.arg = word->min, .vcpu = vcpu, .kind = word->kind};
	uint32_t nr = 0;

	if (!word->varies)
		return event;
	for (size_t j = 0; !g->has_arg_at && j < block->nr; j++) {
		g->arg_at[j] = nr;
		nr += block->word[block->tags[j]].varies;
	}
	g->has_arg_at = true;
	event.arg = block->args[g->arg_at[i]];
	return event;
}

/* ---- states ---- */

/* False when the state depends on more than this vCPU and this pCPU. */
static bool view_take(const struct machine *m, uint32_t id, struct view *view)
{
	const struct vcpu *v = &m->vcpus[id];
	const struct pcpu *p = &m->pcpus[v->pcpu];

	memset(view, 0, sizeof(*view));
	memcpy(&view->vcpu, v, sizeof(*v));
	memcpy(&view->pcpu, p, sizeof(*p));
	memset(&view->vcpu.frame, 0, sizeof(view->vcpu.frame));
	view->vcpu.id = 0;
	view->vcpu.pcpu = 0;
	if (v->last_cpu == v->pcpu)
		view->vcpu.last_cpu = 0;
	else if (v->last_cpu < m->nr_pcpus)
		return false;
	if (p->fpregs_owner == id)
		view->pcpu.fpregs_owner = 0;
	else if (p->fpregs_owner < m->nr_vcpus)
		return false;
	if (p->vcpu == id)
		view->pcpu.vcpu = 0;
	else if (p->vcpu != VCPU_NONE)
		return false;
	return true;
}

/* The pCPU of a view. @id: whose it is */
static void view_put_pcpu(const struct view *view, uint32_t id, struct pcpu *p)
{
	memcpy(p, &view->pcpu, sizeof(*p));
	if (!p->fpregs_owner)
		p->fpregs_owner = id;
	if (!p->vcpu)
		p->vcpu = id;
}

/* Move what vCPU @id's row says into the machine. */
static void materialise(struct automata *g, size_t k, uint32_t id)
{
	uint32_t *row = &g->rows[id * STRIDE + k];
	struct automaton *a = &g->run[k];
	struct vcpu *v = &a->machine->vcpus[id];
	const struct view *view = &g->views[*row / CLASSES];
	uint32_t pcpu = v->pcpu;

	if (*row == ROW_SLOW || *row == ROW_STOPPED)
		return;
	memcpy(v, &view->vcpu, sizeof(*v));
	v->id = id;
	v->pcpu = pcpu;
	if (!v->last_cpu)
		v->last_cpu = pcpu;
	view_put_pcpu(view, id, &a->machine->pcpus[pcpu]);
	a->viewer[pcpu] = NO_VIEWER;
	*row = ROW_SLOW;
}

static uint32_t *view_slot(const struct automata *g, const struct automaton *a,
			   const struct view *view)
{
	uint32_t mask = a->nr_slots - 1;
	uint32_t i = (uint32_t)XXH3_64bits(view, sizeof(*view)) & mask;

	while (a->slots[i] && memcmp(&g->views[a->slots[i]], view, sizeof(*view)))
		i = (i + 1) & mask;
	return &a->slots[i];
}

/* Room for twice as many states. */
static int grow(struct automata *g)
{
	uint32_t room = g->room ? 2 * g->room : FIRST_ROWS;
	size_t old = (size_t)g->room * CLASSES, all = (size_t)room * CLASSES;
	uint64_t *edges = realloc(g->edges, all * sizeof(*edges));
	uint32_t *paths = edges ? realloc(g->paths, all * sizeof(*paths)) : NULL;
	struct view *views = paths ? realloc(g->views, room * sizeof(*views)) : NULL;
	uint8_t *owner = views ? realloc(g->owner, room) : NULL;

	g->edges = edges ? edges : g->edges;
	g->paths = paths ? paths : g->paths;
	g->views = views ? views : g->views;
	g->owner = owner ? owner : g->owner;
	if (!owner)
		return -ENOMEM;
	memset(edges + old, 0, (all - old) * sizeof(*edges));
	memset(paths + old, 0, (all - old) * sizeof(*paths));
	g->room = room;
	return 0;
}

/* A quarter full at most. */
static int grow_slots(struct automata *g, size_t k)
{
	struct automaton *a = &g->run[k];
	uint32_t nr = a->nr_slots ? 2 * a->nr_slots : 4 * FIRST_ROWS;
	uint32_t *slots = calloc(nr, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(a->slots);
	a->slots = slots;
	a->nr_slots = nr;
	for (uint32_t s = ROW_STOPPED / CLASSES + 1; s < g->nr_states; s++)
		if (g->owner[s] == k)
			*view_slot(g, a, &g->views[s]) = s;
	return 0;
}

/* The row of a view, ROW_SLOW when there is no room for another. */
static int intern(struct automata *g, size_t k, const struct view *view, uint32_t *row)
{
	struct automaton *a = &g->run[k];
	uint32_t *slot = view_slot(g, a, view);

	*row = ROW_SLOW;
	if (!*slot && a->nr_states >= a->max_states) {
		a->overflowed = true;
		return 0;
	}
	if (!*slot) {
		if (g->nr_states == g->room && grow(g))
			return -ENOMEM;
		if (4 * a->nr_states >= a->nr_slots && grow_slots(g, k))
			return -ENOMEM;
		slot = view_slot(g, a, view);
		memcpy(&g->views[g->nr_states], view, sizeof(*view));
		g->owner[g->nr_states] = (uint8_t)k;
		a->nr_states++;
		*slot = g->nr_states++;
	}
	*row = *slot * CLASSES;
	return 0;
}

/* Give vCPU @id a row again, if its state can be one. */
static int settle(struct automata *g, size_t k, uint32_t id)
{
	struct automaton *a = &g->run[k];
	uint32_t *row = &g->rows[id * STRIDE + k];
	const struct vcpu *v = &a->machine->vcpus[id];
	struct view view;
	int ret;

	*row = ROW_SLOW;
	if (v->state == VCPU_STOPPED) {
		*row = ROW_STOPPED;
		return 0;
	}
	if (a->overflowed || !view_take(a->machine, id, &view))
		return 0;
	ret = intern(g, k, &view, row);
	if (*row != ROW_SLOW)
		a->viewer[v->pcpu] = id;
	return ret;
}

/* ---- the slow way ---- */

static void stop_vcpu(struct automata *g, struct automaton *a, uint32_t id, size_t index)
{
	a->stopped_at[id] = g->before + index;
	g->has_stopped = true;
}

/* Other vCPUs' views of the pCPUs that this event may touch go into the machine. */
static void claim(struct automata *g, size_t k, const struct trace_event *event)
{
	struct automaton *a = &g->run[k];
	uint32_t own = a->machine->vcpus[event->vcpu].pcpu;

	if (a->viewer[own] != NO_VIEWER && a->viewer[own] != event->vcpu)
		materialise(g, k, a->viewer[own]);
	if ((event->kind == EVENT_wake || event->kind == EVENT_resume) &&
	    event->arg < a->machine->nr_pcpus && a->viewer[event->arg] != NO_VIEWER &&
	    a->viewer[event->arg] != event->vcpu)
		materialise(g, k, a->viewer[event->arg]);
}

/*
 * One event through the model, on the whole machine. The edge is remembered if all that the
 * model could have looked at is in row and class, and all it did is in the new row.
 */
static int slow_event(struct automata *g, size_t k, size_t i, uint32_t id, uint32_t class)
{
	struct trace_event event = event_at(g, i, id);
	struct automaton *a = &g->run[k];
	struct machine *m = a->machine;
	uint32_t from = g->rows[id * STRIDE + k], to, path;
	struct fpstate_allocator alloc = m->alloc;
	struct machine_result result;
	enum machine_status status;

	a->slow++;
	materialise(g, k, id);
	claim(g, k, &event);
	status = machine_event(m, &event, &result);
	g->refusal = (struct automata_refusal){.run = k, .index = i, .status = status};
	if (status != MACHINE_OK)
		return -EINVAL;
	if (ledger_path(a->ledger, event.kind, &result, &path) || settle(g, k, id))
		return -ENOMEM;
	ledger_count(a->ledger, path, 1);
	to = g->rows[id * STRIDE + k];
	if (to == ROW_STOPPED)
		stop_vcpu(g, a, id, i);
	if (from > ROW_STOPPED && to > ROW_STOPPED && class != CLASS_SLOW &&
	    alloc.nr_growths == m->alloc.nr_growths && alloc.bytes == m->alloc.bytes) {
		g->edges[from + class] = to;
		g->paths[from + class] = path + 1;
	}
	return 0;
}

/* ---- the fast way ---- */

/* Compilers deem the loop over runs too long to unroll, and rows would stay in memory. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Keeps compilers from working a sum out again for each run, a fifth of all instructions. */
#define IN_A_REGISTER(pointer) __asm__("" : "+r"(pointer))

/*
 * Events @from to @to through runs @first to @first + @nr. @nr and @one are constants where
 * this is inlined, so the rows of a single vCPU live in registers. Returns the number of the
 * event that failed, @to when none did.
 */
static inline __attribute__((always_inline)) size_t
walk(struct automata *g, size_t first, const size_t nr, const bool one, size_t from, size_t to)
{
	const uint8_t *codes = g->codes;
	const uint16_t *vcpus = g->block->vcpus;
	const uint32_t *lut = g->lut;
	uint32_t *const rows = g->rows + first;
	uint64_t *edges = g->edges;
	uint32_t row[AUTOMATA_MAX_RUNS];
	size_t end = to;

	for (size_t k = 0; k < nr; k++)
		row[k] = rows[k];
	for (size_t i = from; i < end; i++) {
		uint32_t class = lut[codes[i]];
		uint32_t *at = rows + (one ? 0 : (size_t)vcpus[i] * STRIDE);
		uint64_t *column = edges + class;

		IN_A_REGISTER(at);
		IN_A_REGISTER(column);
		UNROLL
		for (size_t k = 0; k < nr; k++) {
			uint32_t s = one ? row[k] : at[k];
			uint64_t *edge = column + s;
			uint64_t e = *edge;

			*edge = e + EDGE_ONE;
			if (__builtin_expect(EDGE_NEXT(e) == ROW_SLOW, 0)) {
				*edge = e;
				at[k] = s;
				if (slow_event(g, first + k, i, one ? 0 : vcpus[i], class)) {
					end = i;
					break;
				}
				edges = g->edges;
				column = edges + class;
				row[k] = at[k];
			} else if (one) {
				row[k] = EDGE_NEXT(e);
			} else {
				at[k] = EDGE_NEXT(e);
			}
		}
	}
	for (size_t k = 0; one && k < nr; k++)
		rows[k] = row[k];
	return end;
}

static size_t walk_runs(struct automata *g, size_t first, size_t nr, size_t from, size_t to)
{
	bool one = !g->block->vcpus;

	switch (nr) {
#define CASE(n)                                                                                    \
	case n:                                                                                    \
		return one ? walk(g, first, n, true, from, to) : walk(g, first, n, false, from, to)
		CASE(1);
		CASE(2);
		CASE(3);
		CASE(4);
		CASE(5);
		CASE(6);
		CASE(7);
		CASE(8);
#undef CASE
	}
	return to;
}

/* Empty the 32-bit counters of edges into the ledgers. */
static void flush(struct automata *g)
{
	for (size_t e = ROW_STOPPED + CLASSES; e < (size_t)g->nr_states * CLASSES; e++) {
		if (g->paths[e])
			ledger_count(g->run[g->owner[e / CLASSES]].ledger, g->paths[e] - 1,
				     g->edges[e] >> 32);
		g->edges[e] = EDGE_NEXT(g->edges[e]);
	}
}

int automata_block(struct automata *g, const struct trace_block *block,
		   struct automata_refusal *refusal)
{
	size_t end;

	begin_block(g, block);
	end = walk_runs(g, 0, g->nr, 0, block->nr);
	if (end < block->nr) {
		/* The first run that refuses an event of this block is the one to report. */
		*refusal = g->refusal;
		for (size_t k = 0; k < refusal->run; k++)
			if (walk_runs(g, k, 1, end + 1, block->nr) < block->nr) {
				*refusal = g->refusal;
				break;
			}
		return refusal->status == MACHINE_OK ? -ENOMEM : -EINVAL;
	}
	g->before += block->nr;
	g->writes += block->count[EVENT_wrxfd];
	g->cycles += block->guest_cycles;
	g->unflushed += block->nr;
	if (g->unflushed >= FLUSH_EVENTS) {
		flush(g);
		g->unflushed = 0;
	}
	return 0;
}

bool automata_has_stopped(const struct automata *g)
{
	return g->has_stopped;
}

void automata_skip(struct automata *g, const struct trace_event *events, size_t nr)
{
	uint64_t first = g->before - nr;

	for (size_t k = 0; k < g->nr; k++) {
		struct automaton *a = &g->run[k];

		for (size_t i = 0; i < nr; i++) {
			uint32_t kind = events[i].kind;

			if (a->stopped_at[events[i].vcpu] >= first + i)
				continue;
			a->skipped++;
			a->skipped_writes += kind == EVENT_wrxfd;
			if (kind != EVENT_wake && kind != EVENT_resume)
				a->skipped_cycles += events[i].delta_cycles;
		}
	}
}

void automata_finish(struct automata *g)
{
	flush(g);
	for (size_t k = 0; k < g->nr; k++) {
		struct automaton *a = &g->run[k];
		struct ledger *l = a->ledger;

		for (uint32_t id = 0; id < g->nr_vcpus; id++)
			materialise(g, k, id);
		l->nr_events += g->before - a->skipped;
		l->nr_skipped += a->skipped;
		l->xfd_writes += g->writes - a->skipped_writes;
		l->step_count[STEP_guest_run] += g->cycles - a->skipped_cycles;
	}
}

struct automaton_stats automata_stats(const struct automata *g, size_t run)
{
	const struct automaton *a = &g->run[run];

	return (struct automaton_stats){
		.states = a->nr_states,
		.slow = a->slow,
		.overflowed = a->overflowed,
	};
}

/* ---- life ---- */

static int run_init(struct automata *g, size_t k, const struct automaton_run *run)
{
	struct automaton *a = &g->run[k];
	const struct machine *m = run->machine;

	a->machine = run->machine;
	a->ledger = run->ledger;
	a->max_states = run->max_states;
	a->viewer = malloc(m->nr_pcpus * sizeof(*a->viewer));
	a->stopped_at = malloc(m->nr_vcpus * sizeof(*a->stopped_at));
	if (!a->viewer || !a->stopped_at || grow_slots(g, k))
		return -ENOMEM;
	memset(a->viewer, 0xff, m->nr_pcpus * sizeof(*a->viewer));
	memset(a->stopped_at, 0xff, m->nr_vcpus * sizeof(*a->stopped_at));
	for (uint32_t id = 0; id < m->nr_vcpus; id++) {
		bool out = m->vcpus[id].state == VCPU_PREEMPTED;

		/* Those that begin switched out have no pCPU to look at. */
		if (!out && settle(g, k, id))
			return -ENOMEM;
	}
	return 0;
}

struct automata *automata_new(const struct automaton_run *runs, size_t nr)
{
	struct automata *g = calloc(1, sizeof(*g));
	const struct machine *m = runs[0].machine;

	if (!g)
		return NULL;
	g->nr = nr;
	g->nr_vcpus = m->nr_vcpus;
	g->halt_poll_cycles = m->config->halt_poll_cycles;
	g->idle_init_cycles = m->config->idle_init_cycles;
	g->rows = calloc((size_t)m->nr_vcpus * STRIDE, sizeof(*g->rows));
	if (!g->rows || grow(g)) {
		automata_free(g);
		return NULL;
	}
	g->nr_states = ROW_STOPPED / CLASSES + 1;
	for (uint32_t c = 0; c < CLASSES; c++)
		g->edges[ROW_STOPPED + c] = ROW_STOPPED;
	for (size_t k = 0; k < nr; k++)
		if (run_init(g, k, &runs[k])) {
			automata_free(g);
			return NULL;
		}
	return g;
}

void automata_free(struct automata *g)
{
	if (!g)
		return;
	for (size_t k = 0; k < g->nr; k++) {
		free(g->run[k].slots);
		free(g->run[k].viewer);
		free(g->run[k].stopped_at);
	}
	free(g->edges);
	free(g->paths);
	free(g->views);
	free(g->owner);
	free(g->rows);
	free(g);
}
