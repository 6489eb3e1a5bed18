/* SPDX-License-Identifier: MIT */
#include "sim/explore.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim/moves.h"

enum {
	BLOCK_STATES = 512, /* parents a thread takes at a time */
	ROUND_BLOCKS = 256, /* blocks between two merges, at most: one per MiB of the bound */
	ALONE_BLOCKS = 1,   /* so few are done without waking threads */
	MAX_SUCCESSORS = HOST_MAX_PCPUS * (ACTION_MAX_ENABLED + HOST_MAX_VCPUS + HOST_MAX_TASKS),
	MIN_TABLE_BITS = 16
};

/* A successor that its finder did not know. */
struct successor {
	struct packed packed;
	uint64_t hash;
	uint32_t parent;
};

/* What one block of parents gave. */
struct block {
	struct successor *successors;
	size_t nr, room;
	uint64_t nr_transitions;
	/* First violation of each invariant here: which parent's. */
	uint32_t broken;
	uint32_t parent[NR_INVARIANTS];
	int status; /* 1 when the memory bound is reached, or a negative errno */
};

/*
 * @states:  nr_words each, in order of discovery; also the queue
 * @parents: index of each state's
 * @table:   hash in the upper half, index + 1 in the lower; 0 is free
 */
struct explorer {
	const struct explore_options *options;
	struct explore_result *result;
	struct world_plan plan;
	size_t nr_words;
	uint64_t *states;
	uint32_t *parents;
	uint64_t nr, room;
	uint64_t *table;
	unsigned int table_bits;
	uint64_t max_states;
	struct block blocks[ROUND_BLOCKS];
	uint64_t begin, end; /* parents of this round */
	_Atomic uint32_t next_block;
	struct moves *moves[EXPLORE_MAX_THREADS]; /* the first is this thread's */
	_Atomic uint32_t next_worker;
	unsigned int nr_threads;
	pthread_mutex_t start; /* held until the barriers stand */
	pthread_barrier_t go, done;
	bool alone; /* the barriers could not be had, so neither can threads */
	bool quit;
	uint32_t first[NR_INVARIANTS]; /* the parent of the first violation */
};

static inline uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return h ^ h >> 32;
}

/* Words are multiplied independently of each other; the last step mixes. */
static inline uint64_t hash_words(const uint64_t *w, size_t nr)
{
	static const uint64_t odd[WORLD_MAX_WORDS] = {
		0x9e3779b97f4a7c15u, 0xff51afd7ed558ccdu, 0xc4ceb9fe1a85ec53u,
		0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0xd6e8feb86659fd93u,
	};
	uint64_t h = 0;

	/* The default, unrolled. */
	if (nr == 3)
		return mix(w[0] * odd[0] + w[1] * odd[1] + w[2] * odd[2]);
	for (size_t i = 0; i < nr; i++)
		h += w[i] * odd[i];
	return mix(h);
}

static inline bool equal_words(const uint64_t *a, const uint64_t *b, size_t nr)
{
	if (nr == 3)
		return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]));
	for (size_t i = 0; i < nr; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* The slot that holds this state, or the free one where it belongs. */
static inline uint64_t *find_slot(const struct explorer *e, const uint64_t *w, uint64_t hash)
{
	uint64_t mask = (UINT64_C(1) << e->table_bits) - 1;
	uint64_t tag = hash >> 32;

	for (uint64_t i = hash & mask;; i = (i + 1) & mask) {
		uint64_t slot = e->table[i];

		if (!slot)
			return &e->table[i];
		if (slot >> 32 == tag &&
		    equal_words(&e->states[((uint32_t)slot - 1) * e->nr_words], w, e->nr_words))
			return &e->table[i];
	}
}

/* Large, zeroed, and in huge pages where the system has them: the table is random access. */
static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static size_t table_bytes(unsigned int bits)
{
	return sizeof(uint64_t) << bits;
}

/* Twice as large, everything put in again; hashes are cheaper to make than to keep. */
static int grow_table(struct explorer *e)
{
	uint64_t *old = e->table;
	size_t old_bytes = table_bytes(e->table_bits);

	e->table = map(table_bytes(e->table_bits + 1));
	if (!e->table) {
		e->table = old;
		return -ENOMEM;
	}
	e->table_bits++;
	for (uint64_t i = 0; i < e->nr; i++) {
		uint64_t hash = hash_words(&e->states[i * e->nr_words], e->nr_words);
		uint64_t mask = (UINT64_C(1) << e->table_bits) - 1, at = hash & mask;

		while (e->table[at])
			at = (at + 1) & mask;
		e->table[at] = hash >> 32 << 32 | (i + 1);
	}
	munmap(old, old_bytes);
	return 0;
}

/* Return: 1 when the memory bound is reached. */
static int add_state(struct explorer *e, const uint64_t *w, uint64_t hash, uint32_t parent)
{
	uint64_t *slot = find_slot(e, w, hash);

	if (*slot)
		return 0;
	if (e->nr == e->max_states)
		return 1;
	memcpy(&e->states[e->nr * e->nr_words], w, e->nr_words * sizeof(*w));
	e->parents[e->nr] = parent;
	*slot = hash >> 32 << 32 | (e->nr + 1);
	e->nr++;
	if (e->nr * 2 > UINT64_C(1) << e->table_bits)
		return grow_table(e);
	return 0;
}

static int keep_successor(struct block *b, const struct packed *packed, uint64_t hash,
			  uint32_t parent)
{
	if (b->nr == b->room) {
		size_t room = b->room ? b->room * 2 : 1024;
		struct successor *more = realloc(b->successors, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		b->successors = more;
		b->room = room;
	}
	b->successors[b->nr++] = (struct successor){*packed, hash, parent};
	return 0;
}

static void note_broken(struct block *b, uint32_t broken, uint32_t parent)
{
	broken &= ~b->broken;
	b->broken |= broken;
	for (int i = 0; i < NR_INVARIANTS; i++)
		if (broken >> i & 1)
			b->parent[i] = parent;
}

/*
 * All successors of one state. Return: how many to look for in the table, where their slots are
 * on the way to the cache by now.
 */
static size_t expand(const struct explorer *e, struct block *b, uint32_t parent,
		     struct moves *moves, struct packed *found, uint64_t *hash)
{
	uint64_t mask = (UINT64_C(1) << e->table_bits) - 1;
	struct moves_run runs[MOVES_MAX_RUNS];
	struct world_parts parts;
	size_t nr_found = 0;
	int nr;

	world_unpack_parts(&parts, &e->plan, &e->states[parent * e->nr_words]);
	nr = moves_list(moves, &parts, runs);
	if (nr < 0)
		b->status = nr;
	for (int r = 0; r < nr; r++) {
		b->nr_transitions += runs[r].nr;
		for (const struct move *move = runs[r].first; move < runs[r].first + runs[r].nr;
		     move++) {
			uint32_t broken = moves_broken(&runs[r], move);

			if (broken & ~b->broken)
				note_broken(b, broken, parent);
			if (move->dead)
				continue;
			moves_pack(&parts, &e->plan, &runs[r], move, &found[nr_found]);
			hash[nr_found] = hash_words(found[nr_found].w, e->nr_words);
			__builtin_prefetch(&e->table[hash[nr_found] & mask]);
			nr_found++;
		}
	}
	return nr_found;
}

/*
 * One block. With @add its successors are added at once, which only one thread may do; it gives
 * what adding them later, in the order of the blocks, would give.
 */
static void expand_block(struct explorer *e, uint32_t index, struct moves *moves, bool add)
{
	uint64_t first = e->begin + (uint64_t)index * BLOCK_STATES;
	uint64_t last = first + BLOCK_STATES < e->end ? first + BLOCK_STATES : e->end;
	struct packed found[MAX_SUCCESSORS];
	struct block *b = &e->blocks[index];
	uint64_t hash[MAX_SUCCESSORS];

	for (uint64_t state = first; state < last && b->status >= 0; state++) {
		size_t nr = expand(e, b, (uint32_t)state, moves, found, hash);

		for (size_t i = 0; i < nr && !b->status; i++) {
			if (add)
				b->status = add_state(e, found[i].w, hash[i], (uint32_t)state);
			else if (!*find_slot(e, found[i].w, hash[i]))
				b->status = keep_successor(b, &found[i], hash[i], (uint32_t)state);
		}
	}
}

static uint32_t nr_blocks(const struct explorer *e)
{
	return (uint32_t)((e->end - e->begin + BLOCK_STATES - 1) / BLOCK_STATES);
}

static void expand_blocks(struct explorer *e, struct moves *moves)
{
	uint32_t i;

	while ((i = atomic_fetch_add(&e->next_block, 1)) < nr_blocks(e))
		expand_block(e, i, moves, false);
}

/* Without the others: alone, or where waking them takes longer than the work. */
static void expand_alone(struct explorer *e)
{
	int full = 0;

	for (uint32_t i = 0; i < nr_blocks(e); i++) {
		e->blocks[i].status = full;
		expand_block(e, i, e->moves[0], true);
		full = full ? full : e->blocks[i].status;
	}
}

static void *worker(void *data)
{
	struct explorer *e = data;
	struct moves *moves = e->moves[atomic_fetch_add(&e->next_worker, 1)];
	bool alone;

	pthread_mutex_lock(&e->start);
	alone = e->alone;
	pthread_mutex_unlock(&e->start);
	while (!alone) {
		pthread_barrier_wait(&e->go);
		if (e->quit)
			break;
		expand_blocks(e, moves);
		pthread_barrier_wait(&e->done);
	}
	return NULL;
}

static void merge_broken(struct explorer *e, const struct block *b)
{
	for (int i = 0; i < NR_INVARIANTS; i++) {
		if (!(b->broken >> i & 1) || e->result->violations[i].found)
			continue;
		e->result->violations[i].found = true;
		e->first[i] = b->parent[i];
	}
}

/* Return: 0, 1 at the memory bound, or a negative errno. */
static int merge_round(struct explorer *e)
{
	int ret = 0;

	for (size_t i = 0; i < ROUND_BLOCKS; i++) {
		struct block *b = &e->blocks[i];

		merge_broken(e, b);
		e->result->nr_transitions += b->nr_transitions;
		if (b->status && ret >= 0)
			ret = b->status;
		for (size_t s = 0; s < b->nr && !ret; s++) {
			if (s + 8 < b->nr)
				__builtin_prefetch(&e->table[b->successors[s + 8].hash &
							     ((UINT64_C(1) << e->table_bits) - 1)]);
			ret = add_state(e, b->successors[s].packed.w, b->successors[s].hash,
					b->successors[s].parent);
		}
		b->nr = 0;
		b->nr_transitions = 0;
		b->broken = 0;
		b->status = 0;
	}
	return ret;
}

static bool any_violation(const struct explorer *e)
{
	for (int i = 0; i < NR_INVARIANTS; i++)
		if (e->result->violations[i].found)
			return true;
	return false;
}

/*
 * Parents whose successors are kept for one merge, some 100 KiB a block: a tenth of the bound.
 * It depends on no number of threads, as nothing may that decides where the bound ends it.
 */
static uint64_t round_states(const struct explore_options *options)
{
	uint64_t mib = options->memory_bytes >> 20;

	return (uint64_t)BLOCK_STATES * (mib < ROUND_BLOCKS ? mib : ROUND_BLOCKS);
}

static int explore_level(struct explorer *e, uint64_t begin, uint64_t end)
{
	for (uint64_t at = begin; at < end; at = e->end) {
		uint64_t round = round_states(e->options);
		int ret;

		e->begin = at;
		e->end = end - at < round ? end : at + round;
		if (e->nr_threads == 1 || nr_blocks(e) <= ALONE_BLOCKS) {
			expand_alone(e);
		} else {
			atomic_store(&e->next_block, 0);
			pthread_barrier_wait(&e->go);
			expand_blocks(e, e->moves[0]);
			pthread_barrier_wait(&e->done);
		}
		ret = merge_round(e);
		if (ret)
			return ret;
	}
	return 0;
}

static int explore_all(struct explorer *e, explore_progress_fn *progress, void *data)
{
	struct explore_result *r = e->result;
	uint64_t begin = 0, end = e->nr;
	uint32_t beyond = 0;
	int ret = 0;

	for (r->depth = 0; begin < end; r->depth++, begin = end, end = e->nr) {
		if (e->options->max_depth && r->depth == e->options->max_depth) {
			r->end = EXPLORE_DEPTH;
			break;
		}
		if (progress)
			progress(data, r->depth, e->nr, end - begin);
		ret = explore_level(e, begin, end);
		if (ret) {
			r->end = EXPLORE_MEMORY;
			break;
		}
		if (any_violation(e) && beyond++ == e->options->beyond) {
			r->end = EXPLORE_VIOLATION;
			r->depth++;
			break;
		}
	}
	return ret < 0 ? ret : 0;
}

/*
 * States are canonical, so their names may change from one to the next. Walk from the first
 * state with concrete names, and take at each step the first action that leads to the
 * canonical state wanted.
 */
static void concrete_path(const struct explorer *e, int invariant, struct explore_violation *v)
{
	const struct world_config *config = &e->options->world;
	uint32_t chain[EXPLORE_MAX_PATH], nr = 0;
	struct world world, next;

	for (uint32_t s = e->first[invariant]; s && nr < EXPLORE_MAX_PATH - 1; s = e->parents[s])
		chain[nr++] = s;
	v->nr = 0;
	world_init(&world, config);
	world_init(&next, config);
	for (uint32_t i = 0; i <= nr; i++) {
		const uint64_t *want = i < nr ? &e->states[chain[nr - 1 - i] * e->nr_words] : NULL;
		struct action actions[ACTION_MAX_ENABLED];
		size_t nr_actions = action_enabled(&world.machine, config->kinds, actions);

		for (size_t a = 0; a < nr_actions; a++) {
			struct step_log log = {0};
			struct packed packed;
			enum machine_status status;

			world_copy(&next, &world);
			status = world_act(&next, actions[a], &log);
			if (want ? status != MACHINE_OK || !world_pack(&next, &e->plan, &packed) ||
					    !equal_words(packed.w, want, e->nr_words)
				 : !(next.host.broken >> invariant & 1))
				continue;
			v->path[v->nr++] = actions[a];
			world_copy(&world, &next);
			break;
		}
	}
}

/* Threads that cannot be had are done without; the result is the same. */
static void start_threads(struct explorer *e, pthread_t *threads)
{
	unsigned int nr = 1;

	pthread_mutex_lock(&e->start);
	while (nr < e->options->nr_threads && !pthread_create(&threads[nr], NULL, worker, e))
		nr++;
	e->alone =
		pthread_barrier_init(&e->go, NULL, nr) || pthread_barrier_init(&e->done, NULL, nr);
	e->nr_threads = e->alone ? 1 : nr;
	pthread_mutex_unlock(&e->start);
	for (unsigned int i = 1; e->alone && i < nr; i++)
		pthread_join(threads[i], NULL);
}

static void stop_threads(struct explorer *e, const pthread_t *threads)
{
	if (e->alone)
		return;
	e->quit = true;
	pthread_barrier_wait(&e->go);
	for (unsigned int i = 1; i < e->nr_threads; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&e->go);
	pthread_barrier_destroy(&e->done);
}

/* How many states fit, their table at its fullest and its double while it grows included. */
static uint64_t states_within(uint64_t bytes, size_t nr_words)
{
	uint64_t state = nr_words * sizeof(uint64_t) + sizeof(uint32_t);
	uint64_t max = bytes / (state + 6 * sizeof(uint64_t));

	return max < UINT32_MAX - 1 ? max : UINT32_MAX - 1;
}

static int explorer_init(struct explorer *e)
{
	const struct world_config *config = &e->options->world;
	struct packed first;
	struct world world;

	world_plan_init(&e->plan, config);
	e->nr_words = e->plan.nr_words;
	e->max_states = states_within(e->options->memory_bytes, e->nr_words);
	e->table_bits = MIN_TABLE_BITS;
	e->states = map((e->max_states + 1) * e->nr_words * sizeof(uint64_t));
	e->parents = map((e->max_states + 1) * sizeof(uint32_t));
	e->table = map(table_bytes(e->table_bits));
	if (!e->states || !e->parents || !e->table)
		return -ENOMEM;
	for (unsigned int i = 0; i < e->options->nr_threads && i < EXPLORE_MAX_THREADS; i++) {
		e->moves[i] = moves_new(&e->plan);
		if (!e->moves[i])
			return -ENOMEM;
	}
	atomic_store(&e->next_worker, 1);
	world_init(&world, config);
	if (!world_pack(&world, &e->plan, &first))
		return -ERANGE;
	return add_state(e, first.w, hash_words(first.w, e->nr_words), 0) < 0 ? -ENOMEM : 0;
}

static void explorer_release(struct explorer *e)
{
	if (e->states)
		munmap(e->states, (e->max_states + 1) * e->nr_words * sizeof(uint64_t));
	if (e->parents)
		munmap(e->parents, (e->max_states + 1) * sizeof(uint32_t));
	if (e->table)
		munmap(e->table, table_bytes(e->table_bits));
	for (size_t i = 0; i < ROUND_BLOCKS; i++)
		free(e->blocks[i].successors);
	for (size_t i = 0; i < EXPLORE_MAX_THREADS; i++)
		moves_free(e->moves[i]);
}

int explore(const struct explore_options *options, struct explore_result *result,
	    explore_progress_fn *progress, void *data, struct xfd_error *err)
{
	pthread_t threads[EXPLORE_MAX_THREADS];
	struct explorer *e;
	int ret;

	memset(result, 0, sizeof(*result));
	if (options->memory_bytes >> 20 < EXPLORE_MIN_MIB)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "exploring needs at least %d MiB of memory", EXPLORE_MIN_MIB);
	e = calloc(1, sizeof(*e));
	if (!e)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	e->options = options;
	e->result = result;
	ret = explorer_init(e);
	if (!ret) {
		pthread_mutex_init(&e->start, NULL);
		start_threads(e, threads);
		ret = explore_all(e, progress, data);
		stop_threads(e, threads);
	}
	result->nr_states = e->nr;
	result->bytes = table_bytes(e->table_bits) +
			e->nr * (e->nr_words * sizeof(uint64_t) + sizeof(uint32_t));
	for (int i = 0; i < NR_INVARIANTS && !ret; i++)
		if (result->violations[i].found)
			concrete_path(e, i, &result->violations[i]);
	explorer_release(e);
	free(e);
	if (ret == -ERANGE)
		return xfd_error_set(
			err, XFD_ERROR_INPUT, NULL, 0, -1,
			"policy %s counts beyond 255; the checker has no room for more",
			options->world.machine.policy->name);
	if (ret)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	return 0;
}
