/* SPDX-License-Identifier: MIT */
#include "sim/world.h"

#include <string.h>

#include "models/msr.h"
#include "models/path.h"

enum { PCPU_BITS = 19, TASK_BITS = 6, TASKS_AT = 2 * PCPU_BITS };
enum { LAST_CPU_AT = 0, LAST_CPU_BITS = 3, NO_CPU = 7 };

_Static_assert(TASKS_AT + HOST_MAX_TASKS * TASK_BITS + 2 <= 64, "tasks share a pCPU word");

/*
 * All but xsetbv: a guest that has yet to enable AMX needs more actions for every story with
 * tiles, and has four times as many states.
 */
uint32_t world_default_kinds(void)
{
	return ((UINT32_C(1) << NR_ACTION_KINDS) - 1) & ~action_groups("xsetbv");
}

void world_config_init(struct world_config *config, const struct kernel *kernel,
		       const struct xfd_policy *policy)
{
	*config = (struct world_config){
		.machine = {.kernel = kernel,
			    .policy = policy,
			    .params = {.adaptive_writes = 1,
				       .adaptive_exits = WORLD_ADAPTIVE_EXITS},
			    .vmm_returns = true},
		.nr_vcpus = 2,
		.nr_pcpus = 2,
		.nr_tasks = 2,
		.tasks = {TASK_N, TASK_A},
		.kinds = world_default_kinds(),
		.symmetry = true,
	};
}

void world_init(struct world *world, const struct world_config *config)
{
	memset(world, 0, sizeof(*world));
	world->machine = (struct machine){
		.pcpus = world->pcpus,
		.vcpus = world->vcpus,
		.nr_pcpus = config->nr_pcpus,
		.nr_vcpus = config->nr_vcpus,
		.host = &world->host,
	};
	world->host.nr_tasks = config->nr_tasks;
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		world->host.tasks[i].class = config->tasks[i];
	action_init(&world->machine, &config->machine, !(config->kinds >> ACTION_xsetbv & 1));
}

void world_copy(struct world *to, const struct world *from)
{
	const struct machine *m = &from->machine;

	to->machine = *m;
	to->machine.pcpus = to->pcpus;
	to->machine.vcpus = to->vcpus;
	to->machine.host = &to->host;
	to->host = from->host;
	memcpy(to->pcpus, from->pcpus, m->nr_pcpus * sizeof(to->pcpus[0]));
	memcpy(to->vcpus, from->vcpus, m->nr_vcpus * sizeof(to->vcpus[0]));
}

enum machine_status world_act(struct world *world, struct action action, struct step_log *log)
{
	enum machine_status status;

	world->host.broken = 0;
	status = action_apply(&world->machine, action, log);
	if (status == MACHINE_OK)
		invariant_check(&world->machine);
	return status;
}

/* ---- packing ---- */

struct bits {
	uint64_t word;
	unsigned int at;
};

static inline void put(struct bits *b, unsigned int nr, uint64_t value)
{
	b->word |= (value & ((1u << nr) - 1)) << b->at;
	b->at += nr;
}

static inline uint64_t get(struct bits *b, unsigned int nr)
{
	uint64_t value = b->word >> b->at & ((1u << nr) - 1);

	b->at += nr;
	return value;
}

/* XFD holds bit 18, and bit 17 where a bug lets it through. */
static inline uint64_t pack_xfd(uint64_t xfd)
{
	return xfd >> 17 & 3;
}

static inline uint64_t unpack_xfd(uint64_t packed)
{
	return packed << 17;
}

/* 0 nobody, 1 to 4 a vCPU's thread, 5 to 8 a task. */
static inline uint64_t pack_thread(uint32_t thread)
{
	if (thread == THREAD_NONE)
		return 0;
	return thread < HOST_MAX_VCPUS ? thread + 1
				       : HOST_MAX_VCPUS + 1 + (UINT32_MAX - 1 - thread);
}

static inline uint32_t unpack_thread(uint64_t packed)
{
	if (!packed)
		return THREAD_NONE;
	return packed <= HOST_MAX_VCPUS ? (uint32_t)packed - 1
					: host_task_thread((uint32_t)packed - 1 - HOST_MAX_VCPUS);
}

/* Nobody looks at where live registers were last. */
static uint64_t pack_last_cpu(bool need_fpu_load, uint32_t last_cpu)
{
	return need_fpu_load && last_cpu != CPU_NONE ? last_cpu : NO_CPU;
}

static bool in_guest(const struct vcpu *v)
{
	return v->state == VCPU_GUEST && !v->frame.atoms;
}

/* The sync will overwrite what the host believes of XFD before anything looks. */
static bool sync_overwrites(const struct world_config *config, const struct vcpu *v)
{
	return in_guest(v) && v->xfd_no_write_intercept &&
	       config->machine.kernel->sync_at == SYNC_FIRST && !config->machine.policy->synced;
}

static uint64_t pack_vcpu(const struct world *w, const struct world_plan *plan, uint32_t id)
{
	const struct world_config *config = plan->config;
	const struct guest_view *view = &w->host.views[id];
	const struct vcpu *v = &w->vcpus[id];
	bool live = !v->need_fpu_load && !v->in_user &&
		    !config->machine.kernel->preempt_skips_save &&
		    !config->machine.kernel->put_missing;
	struct bits b = {0};

	put(&b, LAST_CPU_BITS, pack_last_cpu(v->need_fpu_load, v->last_cpu));
	put(&b, 1, v->need_fpu_load);
	put(&b, 2, sync_overwrites(config, v) ? 0 : pack_xfd(v->fpstate.xfd));
	put(&b, 1, v->fpstate.bv_tiles && !live);
	put(&b, 1, fpstate_has_tiles_room(&v->fpstate));
	put(&b, 1, v->fpstate.size_bytes == plan->large_bytes);
	put(&b, 1, vcpu_amx_enabled(v));
	put(&b, 1, !!v->xfd_err);
	put(&b, 1, v->xfd_no_write_intercept);
	put(&b, 1, v->intercept_nm);
	put(&b, 1, v->state == VCPU_STOPPED);
	put(&b, 1, v->in_user);
	put(&b, 8, v->policy.writes);
	put(&b, 8, v->policy.exits);
	put(&b, 1, v->policy.pending);
	put(&b, 2, pack_xfd(view->xfd));
	put(&b, 1, !!view->xfd_err);
	put(&b, 1, view->tiles);
	put(&b, 7, path_pack(v));
	put(&b, 1, v->frame.atoms && v->frame.unsynced);
	return b.word;
}

static uint64_t pack_pcpu(const struct world *w, const struct world_config *config, uint32_t cpu)
{
	const struct pcpu *p = &w->pcpus[cpu];
	uint32_t thread = w->host.running[cpu];
	bool tiles = p->xinuse_tiles, online = w->host.online[cpu];
	bool stale = thread < w->machine.nr_vcpus && sync_overwrites(config, &w->vcpus[thread]);
	struct bits b = {0};

	put(&b, 2, online ? pack_xfd(p->msr_xfd) : 0);
	put(&b, 1, online && p->msr_xfd_err);
	put(&b, 2, stale ? 0 : pack_xfd(p->xfd_state));
	put(&b, 1, online && tiles);
	put(&b, 4, online ? pack_thread(p->fpregs_owner) : 0);
	put(&b, 4, online && tiles ? pack_thread(w->host.tile_owner[cpu]) : 0);
	put(&b, 4, pack_thread(thread));
	put(&b, 1, online);
	return b.word;
}

static uint64_t pack_task(const struct world *w, uint32_t id)
{
	const struct task *t = &w->host.tasks[id];
	struct bits b = {0};

	put(&b, LAST_CPU_BITS, pack_last_cpu(t->need_fpu_load, t->last_cpu));
	put(&b, 1, t->need_fpu_load);
	put(&b, 1, t->in_signal);
	put(&b, 1, t->bv_tiles);
	return b.word;
}

/* Fields of parts that other parts refer to; as pack_vcpu(), pack_pcpu() and pack_task() put. */
enum {
	NEED_LOAD = LAST_CPU_BITS, /* of both kinds of threads */
	VCPU_PATH = 36,
	TASK_IN_SIGNAL = 4,
	PCPU_TILES = 5,
	PCPU_OWNER = 6,
	PCPU_TILE_OWNER = 10,
	PCPU_RUNNING = WORLD_PCPU_RUNNING
};

static inline uint64_t thread_field(uint64_t pcpu, unsigned int at)
{
	return pcpu >> at & 15;
}

enum world_outside world_outside(const struct world_parts *parts, const struct world_plan *plan)
{
	const struct world_config *config = plan->config;
	uint32_t nr_online = 0;

	for (uint32_t i = 0; i < config->nr_pcpus; i++)
		nr_online += world_part_online(parts->pcpu[i]);
	if (nr_online != 1)
		return WORLD_SEVERAL_ONLINE;
	for (uint32_t i = 0; i < config->nr_vcpus; i++)
		if (!world_part_stopped(parts->thread[1 + i]) &&
		    !path_packed_in_user(parts->thread[1 + i] >> VCPU_PATH & 127))
			return WORLD_ONE_ONLINE;
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		if (parts->thread[1 + HOST_MAX_VCPUS + i] >> TASK_IN_SIGNAL & 1)
			return WORLD_ONE_ONLINE;
	return WORLD_FROZEN;
}

static inline bool needs_load(const struct world_parts *parts, uint64_t code)
{
	return parts->thread[code] >> NEED_LOAD & 1;
}

/* Where a thread's registers may still be found valid; nowhere else is last_cpu looked at. */
static inline void settle_thread(struct world_parts *parts, uint32_t code)
{
	uint64_t last_cpu = parts->thread[code] & 7;

	if (last_cpu != NO_CPU && thread_field(parts->pcpu[last_cpu], PCPU_OWNER) != code)
		parts->thread[code] |= NO_CPU;
}

/* Are these the registers of somebody who will look at them? If not, nobody owns them. */
static inline void settle_pcpu(struct world_parts *parts, const struct world_plan *plan,
			       uint32_t cpu)
{
	uint64_t part = parts->pcpu[cpu];
	uint64_t owner = thread_field(part, PCPU_OWNER), running = world_part_running(part);

	if (owner && !plan->owner_counts &&
	    (needs_load(parts, owner) ? (parts->thread[owner] & 7) != cpu : running != owner)) {
		part &= ~(UINT64_C(15) << PCPU_OWNER);
		owner = 0;
	}
	if (!owner && !plan->tiles_count && !(running && !needs_load(parts, running)))
		part &= ~(UINT64_C(15) << PCPU_TILE_OWNER | UINT64_C(1) << PCPU_TILES);
	parts->pcpu[cpu] = part;
}

/* How many of each; by value, so that loops over a constant one unroll. */
struct shape {
	uint32_t vcpus, pcpus, tasks;
};

/* What one part says of another may mean nothing any more; such things pack as one. */
static inline void settle(struct world_parts *parts, const struct world_plan *plan, struct shape n)
{
	for (uint32_t i = 0; i < n.vcpus; i++)
		settle_thread(parts, 1 + i);
	for (uint32_t i = 0; i < n.tasks; i++)
		settle_thread(parts, 1 + HOST_MAX_VCPUS + i);
	for (uint32_t i = 0; i < n.pcpus; i++)
		settle_pcpu(parts, plan, i);
}

/*
 * The same where one pCPU and the threads @a and @b (0 for none) have changed in parts that were
 * settled. Of other threads only one could still find its registers there, @owner, whose they
 * were; another pCPU has something to forget only if its owner is one of the changed threads.
 */
static inline void settle_change(struct world_parts *parts, const struct world_plan *plan,
				 struct shape n, uint32_t cpu, uint32_t owner, uint32_t a,
				 uint32_t b)
{
	settle_thread(parts, owner);
	settle_thread(parts, a);
	settle_thread(parts, b);
	settle_pcpu(parts, plan, cpu);
	for (uint32_t i = 0; i < n.pcpus; i++) {
		uint64_t other = thread_field(parts->pcpu[i], PCPU_OWNER);

		if (i != cpu && other && (other == a || other == b))
			settle_pcpu(parts, plan, i);
	}
}

static inline uint64_t rename_cpu(uint64_t part, const struct world_renaming *r)
{
	return (part & ~UINT64_C(7)) | r->pcpu[part & 7];
}

static inline uint64_t rename_threads(uint64_t pcpu, const uint8_t code[16])
{
	uint64_t kept = pcpu & ~(UINT64_C(0xfff) << PCPU_OWNER);

	return kept | (uint64_t)code[thread_field(pcpu, PCPU_OWNER)] << PCPU_OWNER |
	       (uint64_t)code[thread_field(pcpu, PCPU_TILE_OWNER)] << PCPU_TILE_OWNER |
	       (uint64_t)code[thread_field(pcpu, PCPU_RUNNING)] << PCPU_RUNNING;
}

static inline void assemble(const struct world_parts *parts, const struct world_renaming *r,
			    struct shape n, uint64_t *w)
{
	uint64_t *pcpus = w + n.vcpus;

	for (uint32_t i = 0; i < n.vcpus; i++)
		w[i] = rename_cpu(parts->thread[1 + r->vcpu_from[i]], r);
	for (size_t i = 0; i < (n.pcpus + 1) / 2; i++)
		pcpus[i] = 0;
	for (uint32_t i = 0; i < n.pcpus; i++)
		pcpus[r->pcpu[i] / 2] |= rename_threads(parts->pcpu[i], r->thread)
					 << r->pcpu[i] % 2 * PCPU_BITS;
	for (uint32_t i = 0; i < n.tasks; i++)
		pcpus[0] |=
			rename_cpu(parts->thread[1 + HOST_MAX_VCPUS + i], r)
			<< (TASKS_AT +
			    (r->thread[1 + HOST_MAX_VCPUS + i] - 1 - HOST_MAX_VCPUS) * TASK_BITS);
	pcpus[0] |= parts->perm << (TASKS_AT + HOST_MAX_TASKS * TASK_BITS);
}

/* The first renaming changes nothing, and most worlds are packed by it alone. */
static inline void assemble_plain(const struct world_parts *parts, struct shape n, uint64_t *w)
{
	uint64_t *pcpus = w + n.vcpus;

	for (uint32_t i = 0; i < n.vcpus; i++)
		w[i] = parts->thread[1 + i];
	for (uint32_t i = 0; i < n.pcpus; i += 2)
		pcpus[i / 2] =
			parts->pcpu[i] | (i + 1 < n.pcpus ? parts->pcpu[i + 1] << PCPU_BITS : 0);
	for (uint32_t i = 0; i < n.tasks; i++)
		pcpus[0] |= parts->thread[1 + HOST_MAX_VCPUS + i] << (TASKS_AT + i * TASK_BITS);
	pcpus[0] |= parts->perm << (TASKS_AT + HOST_MAX_TASKS * TASK_BITS);
}

static inline bool words_less(const uint64_t *a, const uint64_t *b, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (a[i] != b[i])
			return a[i] < b[i];
	return false;
}

/* Next permutation of @nr bytes in lexicographic order; false and ascending after the last. */
static bool permute(uint8_t *p, uint32_t nr)
{
	uint32_t i = nr, j = nr;
	uint8_t swap;

	if (nr < 2)
		return false;
	for (i = nr - 1; i && p[i - 1] >= p[i]; i--)
		;
	for (uint32_t a = i, b = nr - 1; a < b; a++, b--)
		swap = p[a], p[a] = p[b], p[b] = swap;
	if (!i)
		return false;
	for (j = i; p[j] < p[i - 1]; j++)
		;
	swap = p[j], p[j] = p[i - 1], p[i - 1] = swap;
	return true;
}

static bool classes_kept(const struct world_config *config, const uint8_t *task)
{
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		if (config->tasks[i] != config->tasks[task[i]])
			return false;
	return true;
}

static void add_renaming(struct world_plan *plan, const uint8_t *vcpu, const uint8_t *pcpu,
			 const uint8_t *task)
{
	struct world_renaming *r = &plan->renamings[plan->nr_renamings++];

	*r = (struct world_renaming){.pcpu = {[4] = NO_CPU, NO_CPU, NO_CPU, NO_CPU}};
	for (uint8_t i = 0; i < HOST_MAX_PCPUS; i++)
		r->pcpu[i] = pcpu[i];
	for (uint8_t i = 0; i < HOST_MAX_VCPUS; i++) {
		r->vcpu_from[vcpu[i]] = i;
		r->thread[1 + i] = (uint8_t)(1 + vcpu[i]);
	}
	for (uint8_t i = 0; i < HOST_MAX_TASKS; i++)
		r->thread[1 + HOST_MAX_VCPUS + i] = (uint8_t)(1 + HOST_MAX_VCPUS + task[i]);
}

void world_plan_init(struct world_plan *plan, const struct world_config *config)
{
	uint8_t vcpu[] = {0, 1, 2, 3}, pcpu[] = {0, 1, 2, 3}, task[] = {0, 1, 2, 3};

	plan->config = config;
	plan->owner_counts = config->machine.kernel->ignores_last_cpu;
	plan->tiles_count = config->machine.kernel->restore_keeps_tiles;
	plan->nr_renamings = 0;
	plan->nr_words = config->nr_vcpus + (config->nr_pcpus + 1) / 2;
	plan->large_bytes = xstate_compacted_bytes(XFEATURE_MASK_USER_ALL);
	plan->small_bytes = xstate_compacted_bytes(XFEATURE_MASK_USER_DEFAULT);
	if (!config->symmetry) {
		add_renaming(plan, vcpu, pcpu, task);
		return;
	}
	do {
		do {
			do {
				if (classes_kept(config, task))
					add_renaming(plan, vcpu, pcpu, task);
			} while (permute(task, config->nr_tasks));
		} while (permute(pcpu, config->nr_pcpus));
	} while (permute(vcpu, config->nr_vcpus));
}

static bool fits(const struct world *world, const struct world_config *config)
{
	for (uint32_t i = 0; i < config->nr_vcpus; i++)
		if (world->vcpus[i].policy.writes > UINT8_MAX ||
		    world->vcpus[i].policy.exits > UINT8_MAX)
			return false;
	return true;
}

bool world_take_apart(const struct world *world, const struct world_plan *plan,
		      struct world_parts *parts)
{
	const struct world_config *config = plan->config;

	if (!fits(world, config))
		return false;
	parts->thread[0] = 0;
	for (uint32_t i = 0; i < config->nr_vcpus; i++)
		parts->thread[1 + i] = pack_vcpu(world, plan, i);
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		parts->thread[1 + HOST_MAX_VCPUS + i] = pack_task(world, i);
	for (uint32_t i = 0; i < config->nr_pcpus; i++)
		parts->pcpu[i] = pack_pcpu(world, config, i);
	/* Where a request adds, nothing depends on what is held. */
	parts->perm = config->machine.kernel->perm_request_adds ? PERM_DEFAULT : world->host.perm;
	return true;
}

/* The least of all renamings of settled parts. */
static inline __attribute__((always_inline)) void pack_settled(const struct world_parts *parts,
							       const struct world_plan *plan,
							       struct shape n, uint64_t *w)
{
	const size_t nr_words = n.vcpus + (n.pcpus + 1) / 2;
	uint64_t candidate[WORLD_MAX_WORDS];

	assemble_plain(parts, n, w);
	for (uint32_t i = 1; i < plan->nr_renamings; i++) {
		const struct world_renaming *r = &plan->renamings[i];

		/* Most lose by the first word. */
		if (rename_cpu(parts->thread[1 + r->vcpu_from[0]], r) > w[0])
			continue;
		assemble(parts, r, n, candidate);
		if (words_less(candidate, w, nr_words))
			memcpy(w, candidate, nr_words * sizeof(*w));
	}
}

static inline struct shape shape_of(const struct world_config *config)
{
	return (struct shape){config->nr_vcpus, config->nr_pcpus, config->nr_tasks};
}

static inline bool is_default(struct shape n)
{
	return n.vcpus == 2 && n.pcpus == 2 && n.tasks == 2;
}

void world_pack_parts(struct world_parts *parts, const struct world_plan *plan,
		      struct packed *packed)
{
	const struct shape n = shape_of(plan->config);

	settle(parts, plan, n);
	pack_settled(parts, plan, n, packed->w);
}

static inline __attribute__((always_inline)) void
pack_change(const struct world_parts *parts, const struct world_plan *plan, struct shape n,
	    uint32_t where, const uint64_t *left, const struct world_change *change, uint64_t *w)
{
	uint32_t cpu = where & 255, code = where >> 8, leaver = 0;
	struct world_parts next;

	/* Nobody's registers are nowhere: settling it does nothing. */
	next.thread[0] = NO_CPU;
	for (uint32_t i = 0; i < n.vcpus; i++)
		next.thread[1 + i] = parts->thread[1 + i];
	for (uint32_t i = 0; i < n.tasks; i++)
		next.thread[1 + HOST_MAX_VCPUS + i] = parts->thread[1 + HOST_MAX_VCPUS + i];
	for (uint32_t i = 0; i < n.pcpus; i++)
		next.pcpu[i] = parts->pcpu[i];
	if (left) {
		leaver = world_part_running(parts->pcpu[cpu]);
		next.thread[leaver] = *left;
	}
	next.thread[code] = change->thread;
	next.pcpu[cpu] = change->pcpu;
	next.perm = change->perm;
	settle_change(&next, plan, n, cpu, (uint32_t)thread_field(parts->pcpu[cpu], PCPU_OWNER),
		      code, leaver);
	pack_settled(&next, plan, n, w);
}

void world_pack_change(const struct world_parts *parts, const struct world_plan *plan,
		       uint32_t where, const uint64_t *left, const struct world_change *change,
		       struct packed *packed)
{
	const struct shape n = shape_of(plan->config);

	/* The default, unrolled. */
	if (is_default(n))
		pack_change(parts, plan, (struct shape){2, 2, 2}, where, left, change, packed->w);
	else
		pack_change(parts, plan, n, where, left, change, packed->w);
}

bool world_pack(const struct world *world, const struct world_plan *plan, struct packed *packed)
{
	struct world_parts parts;

	if (!world_take_apart(world, plan, &parts))
		return false;
	world_pack_parts(&parts, plan, packed);
	return true;
}

/* ---- unpacking ---- */

static uint32_t unpack_cpu(uint64_t packed)
{
	return packed == NO_CPU ? CPU_NONE : (uint32_t)packed;
}

static void unpack_vcpu(struct world *w, const struct world_plan *plan, uint32_t id, uint64_t word)
{
	struct guest_view *view = &w->host.views[id];
	struct vcpu *v = &w->vcpus[id];
	struct bits b = {.word = word};
	bool room, large;

	*v = (struct vcpu){.id = id, .last_cpu = unpack_cpu(get(&b, LAST_CPU_BITS))};
	v->need_fpu_load = get(&b, 1);
	v->fpstate.xfd = unpack_xfd(get(&b, 2));
	v->fpstate.bv_tiles = get(&b, 1);
	room = get(&b, 1);
	large = get(&b, 1);
	v->fpstate.xfeatures = room ? XFEATURE_MASK_USER_ALL : XFEATURE_MASK_USER_DEFAULT;
	v->fpstate.size_bytes = large ? plan->large_bytes : plan->small_bytes;
	v->xcr0 = get(&b, 1) ? EVENT_XCR0_DEFAULT : 1;
	v->supported_xcr0 = XFEATURE_MASK_USER_ALL;
	v->xfd_err = get(&b, 1) << 18;
	v->xfd_no_write_intercept = get(&b, 1);
	v->intercept_nm = get(&b, 1);
	v->state = get(&b, 1) ? VCPU_STOPPED : VCPU_PREEMPTED;
	v->in_user = get(&b, 1);
	v->policy.writes = (uint32_t)get(&b, 8);
	v->policy.exits = (uint32_t)get(&b, 8);
	v->policy.pending = get(&b, 1);
	view->xfd = unpack_xfd(get(&b, 2));
	view->xfd_err = get(&b, 1) << 18;
	view->tiles = get(&b, 1);
	path_unpack(v, (uint32_t)get(&b, 7));
	v->frame.unsynced = get(&b, 1);
}

static void unpack_pcpu(struct world *w, uint32_t cpu, uint64_t part)
{
	struct bits b = {.word = part};
	struct pcpu *p = &w->pcpus[cpu];
	uint32_t running;

	p->msr_xfd = unpack_xfd(get(&b, 2));
	p->msr_xfd_err = get(&b, 1) << 18;
	p->xfd_state = unpack_xfd(get(&b, 2));
	p->xinuse_tiles = get(&b, 1);
	p->fpregs_owner = unpack_thread(get(&b, 4));
	w->host.tile_owner[cpu] = unpack_thread(get(&b, 4));
	w->host.running[cpu] = running = unpack_thread(get(&b, 4));
	w->host.online[cpu] = get(&b, 1);
	p->vcpu = running < w->machine.nr_vcpus ? running : VCPU_NONE;
	if (p->vcpu != VCPU_NONE) {
		w->vcpus[running].pcpu = cpu;
		w->vcpus[running].state = VCPU_GUEST;
	}
	/* A thread whose registers are live was last here. */
	if (running < w->machine.nr_vcpus && !w->vcpus[running].need_fpu_load)
		w->vcpus[running].last_cpu = cpu;
}

void world_unpack_parts(struct world_parts *parts, const struct world_plan *plan,
			const uint64_t *words)
{
	const struct world_config *config = plan->config;
	const uint64_t *pcpus = words + config->nr_vcpus;

	parts->thread[0] = 0;
	for (uint32_t i = 0; i < config->nr_vcpus; i++)
		parts->thread[1 + i] = words[i];
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		parts->thread[1 + HOST_MAX_VCPUS + i] =
			pcpus[0] >> (TASKS_AT + i * TASK_BITS) & ((1u << TASK_BITS) - 1);
	for (uint32_t i = 0; i < config->nr_pcpus; i++)
		parts->pcpu[i] = pcpus[i / 2] >> i % 2 * PCPU_BITS & ((1u << PCPU_BITS) - 1);
	parts->perm = pcpus[0] >> (TASKS_AT + HOST_MAX_TASKS * TASK_BITS);
}

void world_put_together(struct world *w, const struct world_plan *plan,
			const struct world_parts *parts)
{
	const struct world_config *config = plan->config;

	w->host.perm = (unsigned int)parts->perm;
	for (uint32_t i = 0; i < config->nr_vcpus; i++)
		unpack_vcpu(w, plan, i, parts->thread[1 + i]);
	for (uint32_t i = 0; i < config->nr_tasks; i++) {
		struct bits b = {.word = parts->thread[1 + HOST_MAX_VCPUS + i]};
		struct task *t = &w->host.tasks[i];

		t->last_cpu = unpack_cpu(get(&b, LAST_CPU_BITS));
		t->need_fpu_load = get(&b, 1);
		t->in_signal = get(&b, 1);
		t->bv_tiles = get(&b, 1);
	}
	for (uint32_t i = 0; i < config->nr_pcpus; i++)
		unpack_pcpu(w, i, parts->pcpu[i]);
}

void world_unpack(struct world *world, const struct world_plan *plan, const uint64_t *words)
{
	struct world_parts parts;

	world_unpack_parts(&parts, plan, words);
	world_put_together(world, plan, &parts);
}
