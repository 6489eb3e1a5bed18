/* SPDX-License-Identifier: MIT */
#include "sim/chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
	FIRST_ROWS = 64, /* room at the start; doubles */
	ME = 0,          /* in a row: the vCPU, or the pCPU's holder */
	SOMEBODY = 1     /* any other vCPU, or pCPU */
};

static size_t views_bytes(const struct chain *c)
{
	return c->nr * sizeof(struct chain_view);
}

/* ---- rows ---- */

static uint32_t *row_slot(const struct chain *c, const struct chain_view *views)
{
	uint32_t mask = c->nr_slots - 1;
	uint32_t i = (uint32_t)XXH3_64bits(views, views_bytes(c)) & mask;

	while (c->slots[i] && memcmp(chain_views(c, c->slots[i]), views, views_bytes(c)))
		i = (i + 1) & mask;
	return &c->slots[i];
}

/* @old and @all: entries of @size bytes; the new ones are zeroed. */
static bool grow_array(void *array, size_t old, size_t all, size_t size)
{
	void **at = array, *grown = reallocarray(*at, all, size);

	if (!grown)
		return false;
	memset((char *)grown + old * size, 0, (all - old) * size);
	*at = grown;
	return true;
}

/* Room for twice as many rows, or all there may be; the table stays at most a quarter full. */
static int grow(struct chain *c)
{
	uint32_t old = c->room, twice = old ? 2 * old : FIRST_ROWS;
	uint32_t all = twice > c->max_rows + 1 ? c->max_rows + 1 : twice;
	size_t old_edges = (size_t)old * CHAIN_EDGES, edges = (size_t)all * CHAIN_EDGES;
	size_t old_paths = (size_t)old * CHAIN_CLASSES * c->nr;
	uint32_t *slots = calloc(4 * (size_t)twice, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(c->slots);
	c->slots = slots;
	c->nr_slots = 4 * twice;
	if (!grow_array(&c->next, old_edges, edges, sizeof(*c->next)) ||
	    !grow_array(&c->count, old_edges, edges, sizeof(*c->count)) ||
	    !grow_array(&c->paths, old_paths, (size_t)all * CHAIN_CLASSES * c->nr,
			sizeof(*c->paths)) ||
	    !grow_array(&c->views, old * c->nr, all * c->nr, sizeof(*c->views)) ||
	    !grow_array(&c->parts, old, all, sizeof(*c->parts)))
		return -ENOMEM;
	c->room = all;
	for (uint32_t row = 1; row < c->rows; row++)
		*row_slot(c, chain_views(c, row * CHAIN_EDGES)) = row * CHAIN_EDGES;
	return 0;
}

int chain_intern(struct chain *c, const struct chain_view *views, uint32_t *row)
{
	uint32_t *slot = row_slot(c, views);
	int ret;

	if (!*slot && c->rows > c->max_rows)
		return -ENOSPC;
	if (!*slot && c->rows == c->room) {
		ret = grow(c);
		if (ret)
			return ret;
		slot = row_slot(c, views);
	}
	if (!*slot) {
		*slot = c->rows++ * CHAIN_EDGES;
		memcpy(chain_views(c, *slot), views, views_bytes(c));
	}
	*row = *slot;
	return 0;
}

/* ---- taking rows apart and putting them together ---- */

/* What a vCPU and its pCPU look like apart. */
static int take_apart(struct chain *c, uint32_t row, uint32_t parts[2])
{
	struct chain_view views[2][AUTOMATA_MAX_RUNS];
	int ret;

	memcpy(parts, c->parts[row / CHAIN_EDGES], sizeof(c->parts[0]));
	if (parts[0])
		return 0;
	memset(views, 0, sizeof(views));
	for (size_t k = 0; k < c->nr; k++) {
		const struct chain_view *from = &chain_views(c, row)[k];

		memcpy(&views[0][k].vcpu, &from->vcpu, sizeof(from->vcpu));
		memcpy(&views[1][k].pcpu, &from->pcpu, sizeof(from->pcpu));
		views[0][k].part = VCPU_ALONE;
		views[1][k].part = PCPU_ALONE;
	}
	ret = chain_intern(c, views[0], &parts[0]);
	if (!ret)
		ret = chain_intern(c, views[1], &parts[1]);
	if (!ret)
		memcpy(c->parts[row / CHAIN_EDGES], parts, sizeof(c->parts[0]));
	return ret;
}

/* The pCPU's state is no longer its vCPU's business. */
static int park(struct chain *c, uint32_t pcpu)
{
	uint32_t id = c->viewer[pcpu], parts[2];
	int ret;

	if (id == VCPU_NONE)
		return 0;
	ret = take_apart(c, c->row[id], parts);
	if (ret)
		return ret;
	c->row[id] = parts[0];
	c->parked[pcpu] = parts[1];
	c->holder[pcpu] = id;
	c->viewer[pcpu] = VCPU_NONE;
	return 0;
}

/* vCPU @id on pCPU @pcpu, which is parked, before anything happens there. */
static int put_together(struct chain *c, uint32_t id, uint32_t pcpu, uint32_t *row)
{
	bool mine = c->holder[pcpu] == id, moved = pcpu != c->where[id];
	uint64_t key = (uint64_t)c->row[id] << 32 | (uint64_t)c->parked[pcpu] << 2 |
		       (unsigned int)mine << 1 | moved;
	struct chain_merge *merge =
		&c->merges[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (CHAIN_MERGES - 1)];
	struct chain_view views[AUTOMATA_MAX_RUNS];
	int ret;

	if (merge->key != key) {
		memset(views, 0, sizeof(views));
		for (size_t k = 0; k < c->nr; k++) {
			struct pcpu *p = &views[k].pcpu;

			memcpy(&views[k].vcpu, &chain_views(c, c->row[id])[k].vcpu,
			       sizeof(struct vcpu));
			memcpy(p, &chain_views(c, c->parked[pcpu])[k].pcpu, sizeof(*p));
			if (p->fpregs_owner == ME && !mine)
				p->fpregs_owner = SOMEBODY;
			if (p->vcpu == ME)
				p->vcpu = SOMEBODY;
			views[k].part = moved ? MOVED : WHOLE;
		}
		ret = chain_intern(c, views, row);
		if (ret)
			return ret;
		*merge = (struct chain_merge){key, *row};
	}
	*row = merge->row;
	return 0;
}

/* ---- edges ---- */

/* What one run does from @from. @alloc: its memory, moved on */
static enum machine_status work_out(struct chain *c, size_t k, const struct chain_view *from,
				    const struct trace_event *event,
				    struct fpstate_allocator *alloc, struct chain_view *to,
				    struct machine_result *result)
{
	struct trace_event mine = {.kind = event->kind, .arg = event->arg};
	bool moved = from->part == MOVED;
	enum machine_status status;

	c->mini.config = c->run[k].machine->config;
	c->mini.alloc = *alloc;
	memcpy(&c->mini_vcpu, &from->vcpu, sizeof(from->vcpu));
	memcpy(&c->mini_pcpus[moved], &from->pcpu, sizeof(from->pcpu));
	if (event->kind == EVENT_wake || event->kind == EVENT_resume)
		mine.arg = moved ? 1 : EVENT_SAME_PCPU;
	status = machine_event(&c->mini, &mine, result);
	memset(to, 0, sizeof(*to));
	memcpy(&to->vcpu, &c->mini_vcpu, sizeof(to->vcpu));
	memcpy(&to->pcpu, &c->mini_pcpus[moved], sizeof(to->pcpu));
	memset(&to->vcpu.frame, 0, sizeof(to->vcpu.frame));
	if (to->vcpu.last_cpu == to->vcpu.pcpu)
		to->vcpu.last_cpu = 0;
	else if (to->vcpu.last_cpu < c->mini.nr_pcpus)
		to->vcpu.last_cpu = SOMEBODY;
	to->vcpu.pcpu = 0;
	*alloc = c->mini.alloc;
	return status;
}

/* Can the row of @id say it all? It cannot name any other vCPU or pCPU. */
static bool says_all(const struct chain_view *view)
{
	return view->vcpu.last_cpu != SOMEBODY && view->pcpu.fpregs_owner != SOMEBODY;
}

/* One run after the other, the first refusal counts. */
int chain_work_out(struct chain *c, uint32_t from, const struct trace_event *event,
		   struct chain_outcome *o, size_t *failed, enum machine_status *status)
{
	bool all = true;

	o->lasting = true;
	for (size_t k = 0; k < c->nr; k++) {
		const struct fpstate_allocator *before = &c->run[k].machine->alloc;

		o->alloc[k] = *before;
		*failed = k;
		*status = work_out(c, k, &chain_views(c, from)[k], event, &o->alloc[k],
				   &o->views[k], &o->result[k]);
		if (*status != MACHINE_OK)
			return -EINVAL;
		all = all && says_all(&o->views[k]);
		o->lasting = o->lasting && o->alloc[k].nr_growths == before->nr_growths &&
			     o->alloc[k].bytes == before->bytes;
	}
	return all ? 0 : -ENOSPC;
}

void chain_remember(struct chain *c, uint32_t from, uint32_t class, uint32_t to,
		    const uint32_t *path)
{
	uint32_t *paths = chain_paths(c, from, class);

	c->next[from + class] = to;
	for (size_t k = 0; k < c->nr; k++)
		paths[k] = path[k] + 1;
}

/* All is done, or nothing. */
static int make_edge(struct chain *c, uint32_t from, const struct trace_event *event,
		     uint32_t class, uint32_t *to, size_t *failed, enum machine_status *status)
{
	uint32_t path[AUTOMATA_MAX_RUNS];
	struct chain_outcome o;
	int ret = chain_work_out(c, from, event, &o, failed, status);

	if (!ret)
		ret = chain_intern(c, o.views, to);
	for (size_t k = 0; k < c->nr && !ret; k++)
		ret = ledger_path(c->run[k].ledger, event->kind, &o.result[k], &path[k]);
	if (ret)
		return ret;
	for (size_t k = 0; k < c->nr; k++) {
		c->run[k].machine->alloc = o.alloc[k];
		ledger_count(c->run[k].ledger, path[k], 1);
	}
	if (o.lasting && class != CHAIN_SLOW)
		chain_remember(c, from, class, *to, path);
	return 0;
}

static int follow(struct chain *c, uint32_t from, const struct trace_event *event, uint32_t class,
		  uint32_t *to, size_t *failed, enum machine_status *status)
{
	if (c->next[from + class] == CHAIN_UNKNOWN)
		return make_edge(c, from, event, class, to, failed, status);
	c->count[from + class]++;
	*to = c->next[from + class];
	return 0;
}

bool chain_stopped(const struct chain *c, uint32_t id, size_t k)
{
	return chain_views(c, c->row[id])[k].vcpu.state == VCPU_STOPPED;
}

/*
 * The row that an event starts from. For a vCPU that comes to a pCPU whose state is not in its
 * row, both are put together there.
 */
int chain_find_start(struct chain *c, uint32_t id, uint32_t at, bool comes, uint32_t *row)
{
	int ret;

	*row = c->row[id];
	if (!comes || (at == c->where[id] && c->viewer[at] == id))
		return 0;
	ret = park(c, at);
	if (!ret && c->viewer[c->where[id]] == id)
		ret = park(c, c->where[id]);
	return ret ? ret : put_together(c, id, at, row);
}

void chain_arrive(struct chain *c, uint32_t id, uint32_t at, bool comes, uint32_t row)
{
	c->row[id] = row;
	if (!comes)
		return;
	c->where[id] = at;
	c->viewer[at] = id;
}

/* Where a wake or resume goes. */
uint32_t chain_target(const struct chain *c, uint32_t id, uint64_t arg)
{
	if (arg == EVENT_SAME_PCPU || chain_views(c, c->row[id])->vcpu.state == VCPU_POLLING)
		return c->where[id];
	return (uint32_t)arg;
}

int chain_event(struct chain *c, const struct trace_event *event, uint32_t class, size_t *failed,
		enum machine_status *status)
{
	bool comes = chain_is_coming(event->kind);
	uint32_t id = event->vcpu, row, at;
	int ret;

	c->slow++;
	if (chain_stopped(c, id, 0)) {
		if (class != CHAIN_SLOW) /* no path, nowhere else */
			c->next[c->row[id] + class] = c->row[id];
		return 0;
	}
	*failed = 0;
	*status = MACHINE_NO_PCPU;
	at = comes ? chain_target(c, id, event->arg) : c->where[id];
	if (at >= c->nr_pcpus)
		return -EINVAL;
	ret = chain_find_start(c, id, at, comes, &row);
	if (!ret)
		ret = follow(c, row, event, class, &row, failed, status);
	if (!ret)
		chain_arrive(c, id, at, comes, row);
	return ret;
}

/* ---- from and to the machines ---- */

/* A held pCPU is its vCPU's; all others are parked. False when a row cannot say it. */
static bool read_vcpu(const struct chain *c, uint32_t id, struct chain_view *views)
{
	uint32_t at = c->where[id];

	for (size_t k = 0; k < c->nr; k++) {
		const struct vcpu *v = &c->run[k].machine->vcpus[id];
		struct pcpu *p = &views[k].pcpu;

		memset(&views[k], 0, sizeof(views[k]));
		memcpy(&views[k].vcpu, v, sizeof(*v));
		memset(&views[k].vcpu.frame, 0, sizeof(v->frame));
		views[k].vcpu.id = 0;
		views[k].vcpu.pcpu = 0;
		views[k].part = c->viewer[at] == id ? WHOLE : VCPU_ALONE;
		if (v->last_cpu == at)
			views[k].vcpu.last_cpu = 0;
		else if (v->last_cpu < c->nr_pcpus)
			return false;
		if (v->pcpu != at)
			return false;
		if (c->viewer[at] != id)
			continue;
		memcpy(p, &c->run[k].machine->pcpus[at], sizeof(*p));
		if (p->vcpu != id || (p->fpregs_owner < c->nr_vcpus && p->fpregs_owner != id))
			return false;
		p->vcpu = ME;
		p->fpregs_owner = p->fpregs_owner == id ? ME : p->fpregs_owner;
	}
	return true;
}

static bool read_pcpu(struct chain *c, uint32_t at, struct chain_view *views)
{
	c->holder[at] = VCPU_NONE;
	for (size_t k = 0; k < c->nr; k++) {
		struct pcpu *p = &views[k].pcpu;
		uint32_t owner;

		memset(&views[k], 0, sizeof(views[k]));
		memcpy(p, &c->run[k].machine->pcpus[at], sizeof(*p));
		views[k].part = PCPU_ALONE;
		owner = p->fpregs_owner;
		if (p->vcpu != VCPU_NONE)
			return false;
		if (owner >= c->nr_vcpus)
			continue;
		if (c->holder[at] != VCPU_NONE && c->holder[at] != owner)
			return false;
		c->holder[at] = owner;
		p->fpregs_owner = ME;
	}
	return true;
}

static int read_machines(struct chain *c)
{
	struct chain_view views[AUTOMATA_MAX_RUNS];
	const struct machine *m = c->run[0].machine;
	int ret = 0;

	for (uint32_t id = 0; id < c->nr_vcpus; id++)
		c->where[id] = m->vcpus[id].pcpu;
	for (uint32_t p = 0; p < c->nr_pcpus && !ret; p++) {
		c->viewer[p] = m->pcpus[p].vcpu;
		if (c->viewer[p] == VCPU_NONE)
			ret = read_pcpu(c, p, views) ? chain_intern(c, views, &c->parked[p])
						     : -ENOSPC;
	}
	for (uint32_t id = 0; id < c->nr_vcpus && !ret; id++)
		ret = read_vcpu(c, id, views) ? chain_intern(c, views, &c->row[id]) : -ENOSPC;
	return ret;
}

static void write_pcpu(const struct chain *c, uint32_t at, size_t k)
{
	bool viewed = c->viewer[at] != VCPU_NONE;
	uint32_t id = viewed ? c->viewer[at] : c->holder[at];
	uint32_t row = viewed ? c->row[id] : c->parked[at];
	struct pcpu *p = &c->run[k].machine->pcpus[at];

	memcpy(p, &chain_views(c, row)[k].pcpu, sizeof(*p));
	p->fpregs_owner = p->fpregs_owner == ME ? id : p->fpregs_owner;
	p->vcpu = p->vcpu == ME ? id : p->vcpu;
}

void chain_write_back(const struct chain *c)
{
	for (size_t k = 0; k < c->nr && !c->by_model; k++) {
		for (uint32_t id = 0; id < c->nr_vcpus; id++) {
			struct vcpu *v = &c->run[k].machine->vcpus[id];

			memcpy(v, &chain_views(c, c->row[id])[k].vcpu, sizeof(*v));
			v->id = id;
			v->pcpu = c->where[id];
			v->last_cpu = v->last_cpu ? v->last_cpu : v->pcpu;
		}
		for (uint32_t p = 0; p < c->nr_pcpus; p++)
			write_pcpu(c, p, k);
	}
}

/* What phrases count, their prefixes and last words count: longest first, down to words. */
static void count_words(struct chain *c, uint32_t row)
{
	const struct chain_phrases *phrases = c->phrases;

	for (size_t i = phrases->nr; i-- > 0;) {
		uint32_t *count = &c->count[row + CHAIN_CLASSES + i];
		uint32_t prefix = phrases->prefix[i];

		if (!*count)
			continue;
		c->count[row + prefix] += *count;
		c->count[c->next[row + prefix] + phrases->word[i]] += *count;
		*count = 0;
	}
}

void chain_flush(struct chain *c)
{
	for (uint32_t row = 1; row < c->rows; row++)
		count_words(c, row * CHAIN_EDGES);
	for (uint32_t row = 1; row < c->rows; row++)
		for (uint32_t class = 0; class < CHAIN_CLASSES; class ++) {
			const uint32_t *path = chain_paths(c, row * CHAIN_EDGES, class);
			uint32_t *count = &c->count[row * CHAIN_EDGES + class];

			for (size_t k = 0; *count && path[k] && k < c->nr; k++)
				ledger_count(c->run[k].ledger, path[k] - 1, *count);
			*count = 0;
		}
}

void chain_forget_phrases(struct chain *c)
{
	chain_flush(c);
	for (uint32_t row = 0; row < c->rows; row++)
		memset(&c->next[row * CHAIN_EDGES + CHAIN_CLASSES], 0,
		       (CHAIN_EDGES - CHAIN_CLASSES) * sizeof(*c->next));
}

/* ---- how many states each run has ---- */

static uint32_t states_of(const struct chain *c, size_t k, uint64_t *hashes)
{
	uint32_t nr = 0, mask = c->nr_slots - 1;

	memset(hashes, 0, c->nr_slots * sizeof(*hashes));
	for (uint32_t row = 1; row < c->rows; row++) {
		const struct chain_view *view = &chain_views(c, row * CHAIN_EDGES)[k];
		uint64_t hash = XXH3_64bits(view, sizeof(*view)) | 1;
		uint32_t i = (uint32_t)(hash >> 32) & mask;

		while (hashes[i] && hashes[i] != hash)
			i = (i + 1) & mask;
		nr += !hashes[i];
		hashes[i] = hash;
	}
	return nr;
}

size_t chain_widest(const struct chain *c)
{
	uint64_t *hashes = calloc(c->nr_slots, sizeof(*hashes));
	uint32_t most = 0;
	size_t widest = 0;

	for (size_t k = 0; hashes && k < c->nr; k++) {
		uint32_t nr = states_of(c, k, hashes);

		if (nr > most) {
			most = nr;
			widest = k;
		}
	}
	free(hashes);
	return widest;
}

/* ---- life ---- */

struct chain *chain_new(const struct automaton_run *runs, const size_t *number, size_t nr,
			const struct chain_phrases *phrases, uint32_t max_rows, int *ret)
{
	struct chain *c = calloc(1, sizeof(*c));
	const struct machine *m = runs[0].machine;

	*ret = -ENOMEM;
	if (!c)
		return NULL;
	memcpy(c->run, runs, nr * sizeof(*runs));
	memcpy(c->number, number, nr * sizeof(*number));
	c->nr = nr;
	c->nr_vcpus = m->nr_vcpus;
	c->nr_pcpus = m->nr_pcpus;
	c->phrases = phrases;
	c->max_rows = max_rows;
	c->rows = 1;
	c->merges = calloc(CHAIN_MERGES, sizeof(*c->merges));
	c->row = calloc(chain_places(c), sizeof(*c->row));
	c->before = calloc(chain_places(c), sizeof(*c->before));
	c->stopped_at = malloc(c->nr_vcpus * sizeof(*c->stopped_at));
	c->mini = (struct machine){
		.pcpus = c->mini_pcpus, .vcpus = &c->mini_vcpu, .nr_pcpus = 2, .nr_vcpus = 1};
	if (c->merges && c->row && c->before && c->stopped_at && !grow(c)) {
		c->where = c->row + c->nr_vcpus;
		c->viewer = c->where + c->nr_vcpus;
		c->parked = c->viewer + c->nr_pcpus;
		c->holder = c->parked + c->nr_pcpus;
		memset(c->stopped_at, 0xff, c->nr_vcpus * sizeof(*c->stopped_at));
		*ret = read_machines(c);
	}
	if (*ret == -ENOSPC && nr == 1) {
		c->by_model = true;
		*ret = 0;
	}
	if (!*ret)
		return c;
	chain_free(c);
	return NULL;
}

void chain_free(struct chain *c)
{
	if (!c)
		return;
	free(c->next);
	free(c->count);
	free(c->paths);
	free(c->views);
	free(c->parts);
	free(c->slots);
	free(c->merges);
	free(c->row);
	free(c->before);
	free(c->stopped_at);
	free(c);
}
