/* SPDX-License-Identifier: MIT */
#include "traces/gen_epoch.h"

#include <stdlib.h>

#include "models/exit_reason.h"
#include "traces/gen_action.h"
#include "traces/projection_rules.h"

#define NEVER UINT64_MAX

enum {
	PPM = 1000000,
	FIRST_EVENTS = 81920,
	DRAWS = 256,
	STEP_EVENTS = 64, /* no step makes more */
};

/* Tasks of one kind differ in nothing that could be seen. That of the system uses no AMX. */
enum task { NO_TASK, PLAIN_TASK, AMX_TASK, SYSTEM_TASK };

enum vcpu_state {
	STATE_RUNNING,
	STATE_HALTED,    /* keeps its pCPU */
	STATE_PREEMPTED, /* comes back to its pCPU, which another vCPU may exchange with it */
	STATE_QUEUED     /* has no pCPU */
};

/*
 * @last:      when its last event was
 * @timer:     when it wakes, resumes or its slice ends; NEVER for none
 * @pcpu:      its own, unless queued
 * @last_pcpu: where it ran last
 * @heap_pos:  where it stands in the heap
 * @run_pos:   running: where it stands in its crowd
 * @amx:       how many of its tasks use AMX
 * @unused:    how many of them have not yet
 * @has_task:  one of its tasks runs
 */
struct vcpu {
	uint64_t last;
	uint64_t timer;
	uint32_t pcpu;
	uint32_t last_pcpu;
	uint32_t heap_pos;
	uint32_t run_pos;
	uint32_t amx;
	uint32_t unused;
	uint8_t state;
	bool booted;
	bool has_task;
	struct projection_cpu fpu;
	uint64_t pad; /* 64 bytes: an index is a shift */
};

_Static_assert(sizeof(struct vcpu) == 64, "a vCPU is a cache line");

/*
 * Running vCPUs with XFD armed, or those without.
 * @next:    when something happens to one of them; NEVER for never
 * @scale:   for gen_gap(), by @nr
 * @choice:  what it is
 * @members: @nr vCPUs
 */
struct crowd {
	uint64_t next;
	const uint64_t *scale;
	const struct gen_choice *choice;
	uint32_t nr;
	uint32_t *members;
};

/*
 * Numbers drawn ahead, because nobody predicts what follows from them and the next one should not
 * be late as well.
 * @bits: random bits, @nr_bits left
 * @gaps: for gen_gap(), @nr_gaps left
 */
struct draws {
	struct gen_rng bits_rng;
	struct gen_rng gaps_rng;
	uint32_t nr_bits;
	uint32_t nr_gaps;
	uint64_t bits[DRAWS];
	uint64_t gaps[DRAWS];
};

/*
 * @now:         when the current step happens; cycles from the beginning of the trace
 * @end:         of the epoch or the trace, what comes first
 * @close:       of the epoch, as @closes says
 * @next_tick:   NEVER while nobody runs
 * @next_fixed:  the first of @next_tick, @phase_end and @end
 * @first_timer: of all vCPUs
 * @rates:       of the current phase, which lasts until @phase_end
 * @at:          where the next event goes
 * @room:        make some, or stop, once @at is here
 * @boot_event:  the last boot's first event
 * @first:       the trace begins here
 * @vcpu_at:     the vCPU whose pCPU that is, or -1
 * @queue:       a ring
 */
struct gen_epoch {
	const struct gen_plan *plan;
	struct draws draws;
	uint64_t now;
	uint64_t end;
	uint64_t close;
	uint64_t next_tick;
	uint64_t next_fixed;
	uint64_t first_timer;
	uint64_t tick;
	const struct gen_rates *rates;
	uint64_t phase_end;
	size_t phase;
	struct trace_event *events;
	struct trace_event *at;
	struct trace_event *room;
	size_t max;
	uint64_t limit;
	const struct trace_event *boot_event;
	bool closes;
	bool failed;
	struct gen_report report;
	bool first;
	struct crowd crowds[2];
	uint32_t queue_head;
	uint32_t queue_len;
	struct vcpu *vcpus;
	int32_t *vcpu_at;
	uint32_t *heap;
	uint32_t *queue;
};

static __attribute__((noinline)) void draw_bits(struct draws *draws)
{
	for (uint32_t i = DRAWS; i--;)
		draws->bits[i] = gen_rng_next(&draws->bits_rng);
	draws->nr_bits = DRAWS;
}

static __attribute__((noinline)) void draw_gaps(struct draws *draws, const struct gen_log *log)
{
	for (uint32_t i = DRAWS; i--;)
		draws->gaps[i] = gen_unit_gap(log, gen_rng_next(&draws->gaps_rng));
	draws->nr_gaps = DRAWS;
}

static uint64_t draw(struct gen_epoch *e)
{
	if (!e->draws.nr_bits)
		draw_bits(&e->draws);
	return e->draws.bits[--e->draws.nr_bits];
}

static uint64_t draw_gap(struct gen_epoch *e, uint64_t scale)
{
	if (!e->draws.nr_gaps)
		draw_gaps(&e->draws, &e->plan->log);
	return gen_gap(e->draws.gaps[--e->draws.nr_gaps], scale);
}

static bool draw_ppm(struct gen_epoch *e, uint32_t ppm)
{
	return ppm && gen_below(draw(e), PPM) < ppm;
}

static uint64_t draw_us(struct gen_epoch *e, uint32_t mean_us)
{
	return gen_exponential(&e->plan->log, draw(e), mean_us * e->plan->options->tsc_khz / 1000);
}

static bool is_overcommitted(const struct gen_epoch *e)
{
	return e->plan->options->vcpus > e->plan->options->pcpus;
}

/* ---- timers ---- */

static bool is_earlier(const struct gen_epoch *e, uint32_t a, uint32_t b)
{
	const struct vcpu *x = &e->vcpus[a], *y = &e->vcpus[b];

	return x->timer != y->timer ? x->timer < y->timer : a < b;
}

static void heap_place(struct gen_epoch *e, uint32_t pos, uint32_t v)
{
	e->heap[pos] = v;
	e->vcpus[v].heap_pos = pos;
}

static void set_timer(struct gen_epoch *e, uint32_t v, uint64_t when)
{
	uint32_t nr = e->plan->options->vcpus, pos = e->vcpus[v].heap_pos, child;

	e->vcpus[v].timer = when;
	for (; pos && is_earlier(e, v, e->heap[(pos - 1) / 2]); pos = (pos - 1) / 2)
		heap_place(e, pos, e->heap[(pos - 1) / 2]);
	for (; (child = 2 * pos + 1) < nr; pos = child) {
		if (child + 1 < nr && is_earlier(e, e->heap[child + 1], e->heap[child]))
			child++;
		if (!is_earlier(e, e->heap[child], v))
			break;
		heap_place(e, pos, e->heap[child]);
	}
	heap_place(e, pos, v);
	e->first_timer = e->vcpus[e->heap[0]].timer;
}

/* ---- who runs ---- */

/* The next tick, new phase, or the end. */
static void set_tick(struct gen_epoch *e, uint64_t when)
{
	uint64_t end = e->phase_end < e->end ? e->phase_end : e->end;

	e->next_tick = when;
	e->next_fixed = when < end ? when : end;
}

static void draw_next(struct gen_epoch *e, struct crowd *crowd)
{
	uint64_t scale = crowd->scale[crowd->nr];

	/* All ones is NEVER; without a branch, crowds are often empty. */
	crowd->next = (e->now + draw_gap(e, scale)) | -(uint64_t)!scale;
}

static void join(struct gen_epoch *e, uint32_t v)
{
	struct crowd *crowd = &e->crowds[!e->vcpus[v].fpu.armed];

	e->vcpus[v].run_pos = crowd->nr;
	crowd->members[crowd->nr++] = v;
	draw_next(e, crowd);
}

static void leave(struct gen_epoch *e, uint32_t v)
{
	struct crowd *crowd = &e->crowds[!e->vcpus[v].fpu.armed];
	uint32_t pos = e->vcpus[v].run_pos, last = crowd->members[--crowd->nr];

	crowd->members[pos] = last;
	e->vcpus[last].run_pos = pos;
	draw_next(e, crowd);
}

static bool is_alone(const struct gen_epoch *e)
{
	return e->crowds[0].nr + e->crowds[1].nr == 1;
}

static void set_rates(struct gen_epoch *e, const struct gen_rates *rates)
{
	const int sets[2] = {GEN_ARMED, e->first ? GEN_DISARMED_FIRST : GEN_DISARMED};

	e->rates = rates;
	for (int i = 0; i < 2; i++) {
		e->crowds[i].scale = rates->scale[sets[i]];
		e->crowds[i].choice = &rates->choice[sets[i]];
		draw_next(e, &e->crowds[i]);
	}
}

static uint64_t tick_time(const struct gen_epoch *e)
{
	uint64_t hz = e->plan->options->hz, tsc_hz = e->plan->tsc_hz;

	return e->tick / hz * tsc_hz + e->tick % hz * tsc_hz / hz;
}

/* The first tick after now. */
static void find_tick(struct gen_epoch *e)
{
	uint64_t hz = e->plan->options->hz, tsc_hz = e->plan->tsc_hz;

	if (!hz)
		return;
	e->tick = e->now / tsc_hz * hz + e->now % tsc_hz * hz / tsc_hz + 1;
	/* Both divisions round down: what was found may be now. */
	e->tick += tick_time(e) <= e->now;
	set_tick(e, tick_time(e));
}

static void start_running(struct gen_epoch *e, uint32_t v)
{
	const struct gen_options *options = e->plan->options;
	struct vcpu *vcpu = &e->vcpus[v];
	uint64_t slice_end = NEVER;

	vcpu->state = STATE_RUNNING;
	vcpu->last_pcpu = vcpu->pcpu;
	join(e, v);
	if (is_alone(e))
		find_tick(e);
	if (is_overcommitted(e))
		slice_end = e->now + options->slice_us * options->tsc_khz / 1000 + 1;
	set_timer(e, v, slice_end);
}

static void stop_running(struct gen_epoch *e, uint32_t v, enum vcpu_state state, uint64_t timer)
{
	e->vcpus[v].state = (uint8_t)state;
	if (is_alone(e))
		set_tick(e, NEVER);
	leave(e, v);
	set_timer(e, v, timer);
}

/* ---- events ---- */

static void emit(struct gen_epoch *e, uint32_t v, enum event_kind kind, uint64_t arg)
{
	struct vcpu *vcpu = &e->vcpus[v];
	uint64_t delta = e->now - vcpu->last;

	vcpu->last = e->now;
	*e->at++ = (struct trace_event){.delta_cycles = delta, .arg = arg, .vcpu = v, .kind = kind};
}

/* What a switch makes the guest do; for traces/projection_rules.h. */
struct sink {
	struct gen_epoch *e;
	uint32_t v;
};

static inline void emit_switch(void *arg, enum event_kind kind, uint64_t value)
{
	struct sink *sink = arg;

	emit(sink->e, sink->v, kind, value);
	if (kind == EVENT_wrxfd)
		sink->e->report.xfd_writes++;
}

/*
 * The guest switches to @task; a new one has not used AMX before. Returns whether that changed
 * the crowds, and with them what happens next.
 */
static inline bool switch_to(struct gen_epoch *e, uint32_t v, enum task task, bool is_new)
{
	struct vcpu *vcpu = &e->vcpus[v];
	struct projection_cpu fpu = vcpu->fpu;
	const struct trace_event *before = e->at;
	bool uses_amx = task == AMX_TASK;

	if (is_new)
		fpu.owner = NO_TASK;
	/* Tasks stay on their vCPU, so the owner's registers are still there. */
	if (projection_come(&fpu, task, true, uses_amx && !is_new, uses_amx, emit_switch,
			    &(struct sink){e, v}) &
	    PROJECTION_FIRST_USE)
		e->report.amx_tasks++;
	/* A task of the system whose tiles are initial already: nothing follows from it. */
	if (task == SYSTEM_TASK && e->at == before)
		emit(e, v, EVENT_tilerelease, 0);
	if (fpu.armed == vcpu->fpu.armed) {
		vcpu->fpu = fpu;
		return false;
	}
	leave(e, v);
	vcpu->fpu = fpu;
	join(e, v);
	return true;
}

/* Task number @pick of the vCPU's; those that have not used AMX come first, then others with. */
static bool switch_to_pick(struct gen_epoch *e, uint32_t v, uint64_t pick)
{
	struct vcpu *vcpu = &e->vcpus[v];
	bool is_new = pick < vcpu->unused;

	vcpu->unused -= is_new;
	return switch_to(e, v, pick < vcpu->amx ? AMX_TASK : PLAIN_TASK, is_new);
}

static uint64_t draw_task(struct gen_epoch *e)
{
	return gen_below(draw(e), e->plan->options->tasks);
}

static void boot(struct gen_epoch *e, uint32_t v)
{
	e->vcpus[v].booted = true;
	e->boot_event = e->at;
	emit(e, v, EVENT_wrxfd, XFEATURE_MASK_XTILE_DATA);
	emit(e, v, EVENT_xsetbv, EVENT_XCR0_DEFAULT);
}

/* A vCPU runs: it boots, or a task comes if none has been running. */
static void begin(struct gen_epoch *e, uint32_t v)
{
	if (!e->vcpus[v].booted)
		boot(e, v);
	if (!e->vcpus[v].has_task)
		switch_to_pick(e, v, draw_task(e));
	e->vcpus[v].has_task = true;
}

static void preempt(struct gen_epoch *e, uint32_t v, enum task_class class, enum vcpu_state state,
		    uint64_t until)
{
	emit(e, v, EVENT_preempt, class);
	stop_running(e, v, state, until);
}

/* wake or resume, on the vCPU's pCPU. */
static void come_back(struct gen_epoch *e, uint32_t v, enum event_kind kind)
{
	struct vcpu *vcpu = &e->vcpus[v];
	bool same = vcpu->pcpu == vcpu->last_pcpu;

	e->report.migrations += !same;
	start_running(e, v);
	emit(e, v, kind, same ? EVENT_SAME_PCPU : vcpu->pcpu);
}

/* ---- steps: what happens at one moment, to one vCPU mostly ---- */

/* Another pCPU that nobody holds; whoever is to come back to it gets @v's instead. */
static void migrate(struct gen_epoch *e, uint32_t v)
{
	uint32_t nr = e->plan->options->pcpus, old = e->vcpus[v].pcpu;
	uint32_t pcpu = (uint32_t)gen_below(draw(e), nr);

	for (uint32_t i = 0; i < nr; i++, pcpu = pcpu + 1 < nr ? pcpu + 1 : 0) {
		int32_t other = e->vcpu_at[pcpu];

		if (pcpu == old || (other >= 0 && e->vcpus[other].state != STATE_PREEMPTED))
			continue;
		if (other >= 0)
			e->vcpus[other].pcpu = old;
		e->vcpu_at[old] = other;
		e->vcpu_at[pcpu] = (int32_t)v;
		e->vcpus[v].pcpu = pcpu;
		return;
	}
}

/* The head of the queue takes @v's pCPU. Class K: @v's registers stay until then. */
static void end_slice(struct gen_epoch *e, uint32_t v)
{
	uint32_t nr = e->plan->options->vcpus, next = e->queue[e->queue_head];
	uint32_t pcpu = e->vcpus[v].pcpu, tail = e->queue_head + e->queue_len;

	e->report.slices++;
	e->queue[tail < nr ? tail : tail - nr] = v;
	e->queue_head = e->queue_head + 1 < nr ? e->queue_head + 1 : 0;
	e->vcpus[next].pcpu = pcpu;
	e->vcpu_at[pcpu] = (int32_t)next;
	preempt(e, v, TASK_K, STATE_QUEUED, NEVER);
	come_back(e, next, EVENT_resume);
	begin(e, next);
}

static void step_timer(struct gen_epoch *e, uint32_t v)
{
	switch (e->vcpus[v].state) {
	case STATE_RUNNING:
		end_slice(e, v);
		break;
	case STATE_HALTED:
		/* The replay decides which sleeps are polled through; those end here. */
		come_back(e, v, EVENT_wake);
		begin(e, v);
		break;
	default:
		if (draw_ppm(e, e->rates->now->migrate_ppm))
			migrate(e, v);
		come_back(e, v, EVENT_resume);
		begin(e, v);
	}
}

/* Longer sleeps than the rest of the epoch are as long as that. */
static void sleep_now(struct gen_epoch *e, uint32_t v)
{
	uint64_t length = draw_us(e, e->rates->now->idle_us), most = e->close - e->now;

	length = length < most ? length : most;
	e->report.sleeps++;
	e->vcpus[v].has_task = false;
	emit(e, v, EVENT_hlt, length);
	stop_running(e, v, STATE_HALTED, e->now + length);
}

static void preempt_now(struct gen_epoch *e, uint32_t v)
{
	const struct gen_options *now = e->rates->now;
	uint32_t n = now->preempt_n, a = now->preempt_a;
	uint64_t pick = gen_below(draw(e), (uint64_t)n + a + now->preempt_k);

	e->report.preemptions++;
	preempt(e, v,
		pick < n       ? TASK_N
		: pick - n < a ? TASK_A
			       : TASK_K,
		STATE_PREEMPTED, e->now + draw_us(e, now->preempt_us));
}

/*
 * A switch that could be seen, unless this vCPU has fewer such tasks than others. Returns whether
 * it changed the crowds.
 */
static bool switch_now(struct gen_epoch *e, uint32_t v, bool to_amx)
{
	const struct vcpu *vcpu = &e->vcpus[v];
	const struct gen_plan *plan = e->plan;
	uint32_t mask = 0u - to_amx, plain = plan->options->tasks;
	/* No branch on @to_amx, which nobody predicts. Plain tasks come behind the others. */
	uint32_t most = (plan->most_amx & mask) | ((plain - plan->least_amx) & ~mask);
	uint32_t own = (vcpu->amx & mask) | ((plain - vcpu->amx) & ~mask);
	uint64_t pick = gen_below(draw(e), most);

	/* With XFD disarmed already only those who have not used AMX yet can be seen to come. */
	if (e->first && to_amx && !vcpu->fpu.armed)
		own = vcpu->unused;
	return pick < own && switch_to_pick(e, v, pick + (vcpu->amx & ~mask));
}

static void step_random(struct gen_epoch *e, struct crowd *crowd)
{
	static const struct {
		uint32_t kind;
		uint32_t arg;
	} single[ACTION_TO_AMX] = {
		[ACTION_CPUID] = {EVENT_exit, EXIT_CPUID},
		[ACTION_EPT_VIOLATION] = {EVENT_exit, EXIT_EPT_VIOLATION},
		[ACTION_EPT_MISCONFIG] = {EVENT_exit, EXIT_EPT_MISCONFIG},
		[ACTION_APIC_WRITE] = {EVENT_exit, EXIT_APIC_WRITE},
		[ACTION_INTERRUPT] = {EVENT_exit, EXIT_EXTERNAL_INTERRUPT},
		[ACTION_FASTPATH] = {EVENT_exit, EXIT_FASTPATH},
		[ACTION_USERSPACE] = {EVENT_exit, EXIT_USERSPACE},
		[ACTION_RDXFD] = {EVENT_rdxfd, 0},
		[ACTION_TSFAULT] = {EVENT_tsfault, 0},
	};
	/* The whole part of a product names the vCPU, its fraction is as random as before. */
	gen_wide pick = (gen_wide)draw(e) * crowd->nr;
	uint32_t v = crowd->members[pick >> 64], action = gen_choose(crowd->choice, (uint64_t)pick);

	if (action < ACTION_TO_AMX) {
		emit(e, v, single[action].kind, single[action].arg);
		draw_next(e, crowd);
	} else if (action <= ACTION_TO_PLAIN) {
		if (!switch_now(e, v, action == ACTION_TO_AMX))
			draw_next(e, crowd);
	} else if (action == ACTION_IDLE) {
		sleep_now(e, v);
	} else if (action == ACTION_PREEMPT) {
		preempt_now(e, v);
	} else if (!switch_to(e, v, draw_task(e) < e->vcpus[v].amx ? AMX_TASK : PLAIN_TASK, true)) {
		draw_next(e, crowd);
	}
}

static __attribute__((noinline)) bool make_more_room(struct gen_epoch *e)
{
	size_t nr = (size_t)(e->at - e->events);
	struct trace_event *events;

	if (e->failed || nr >= e->limit)
		return false;
	if (nr + STEP_EVENTS > e->max) {
		e->max = e->max ? e->max + e->max / 2 : FIRST_EVENTS;
		events = reallocarray(e->events, e->max, sizeof(*events));
		e->failed = !events;
		if (e->failed)
			return false;
		e->events = events;
		e->at = events + nr;
		e->boot_event = NULL;
	}
	e->room = e->events + e->max - STEP_EVENTS;
	if ((uint64_t)(e->room - e->events) > e->limit)
		e->room = e->events + e->limit;
	return true;
}

/* Is there room for another step? Not past the limit, nor without memory. */
static bool make_room(struct gen_epoch *e)
{
	return e->at < e->room || make_more_room(e);
}

static void step_tick(struct gen_epoch *e)
{
	e->tick++;
	set_tick(e, tick_time(e));
	for (int i = 0; i < 2; i++) {
		const struct crowd *crowd = &e->crowds[i];

		for (uint32_t at = 0; at < crowd->nr && make_room(e); at++) {
			emit(e, crowd->members[at], EVENT_exit, EXIT_FASTPATH);
			emit(e, crowd->members[at], EVENT_exit, EXIT_FASTPATH);
		}
	}
}

static void step_phase(struct gen_epoch *e)
{
	const struct gen_rates *before = e->rates;

	e->phase = (e->phase + 1) % e->plan->nr_phases;
	set_rates(e, &e->plan->phases[e->phase]);
	e->phase_end += e->phase ? e->rates->end - before->end : e->rates->end;
	set_tick(e, e->next_tick);
}

/* ---- beginning and end ---- */

/* Which phase it is at the beginning of the epoch. */
static void find_phase(struct gen_epoch *e)
{
	const struct gen_plan *plan = e->plan;
	uint64_t all = plan->phases[plan->nr_phases - 1].end, within = e->now % all;

	for (e->phase = 0; plan->phases[e->phase].end <= within; e->phase++)
		;
	e->phase_end = e->now - within + plan->phases[e->phase].end;
}

/* Nobody runs, everybody waits for its turn, from another one in each epoch. */
static void reset(struct gen_epoch *e, uint64_t index)
{
	const struct gen_options *options = e->plan->options;
	uint32_t nr = options->vcpus, pcpus = options->pcpus;
	uint32_t waiting = nr > pcpus ? nr - pcpus : 0;
	uint64_t turns = e->plan->epoch_cycles / (options->slice_us * options->tsc_khz / 1000 + 1);

	e->first_timer = NEVER;
	set_tick(e, NEVER);
	e->crowds[0].nr = e->crowds[1].nr = 0;
	set_rates(e, &e->plan->phases[e->phase]);
	for (uint32_t p = 0; p < pcpus; p++)
		e->vcpu_at[p] = p < nr ? (int32_t)p : -1;
	for (uint32_t v = 0; v < nr; v++) {
		e->vcpus[v] = (struct vcpu){
			.last = e->now,
			.timer = NEVER,
			.pcpu = v % pcpus,
			.last_pcpu = v % pcpus,
			.amx = e->plan->amx_tasks[v],
			.unused = index ? 0 : e->plan->amx_tasks[v],
			.state = STATE_QUEUED,
			.booted = index > 0,
			.fpu = {.owner = index ? SYSTEM_TASK : NO_TASK, .armed = true},
		};
		heap_place(e, v, v);
	}
	e->queue_head = 0;
	e->queue_len = waiting;
	for (uint32_t i = 0; i < waiting; i++)
		e->queue[i] = pcpus + (uint32_t)(((gen_wide)index * turns * pcpus + i) % waiting);
}

/* Back to where a trace begins; see gen_epoch.h. */
static void close_epoch(struct gen_epoch *e)
{
	uint32_t nr = e->plan->options->vcpus, pcpus = e->plan->options->pcpus;
	bool shared = is_overcommitted(e);

	for (uint32_t v = 0; v < nr && make_room(e); v++) {
		if (e->vcpus[v].state != STATE_RUNNING)
			continue;
		if (!shared && e->vcpus[v].pcpu == v) {
			switch_to(e, v, SYSTEM_TASK, false);
			continue;
		}
		e->report.preemptions++;
		preempt(e, v, TASK_K, STATE_QUEUED, NEVER);
	}
	for (uint32_t v = pcpus; v < nr && make_room(e); v++) {
		e->vcpus[v].pcpu = v % pcpus;
		come_back(e, v, EVENT_resume);
		if (!e->vcpus[v].booted)
			boot(e, v);
		switch_to(e, v, SYSTEM_TASK, false);
		e->report.preemptions++;
		preempt(e, v, TASK_K, STATE_QUEUED, NEVER);
	}
	for (uint32_t v = 0; v < nr && v < pcpus && make_room(e); v++) {
		if (e->vcpus[v].state == STATE_RUNNING)
			continue;
		e->vcpus[v].pcpu = v;
		come_back(e, v, EVENT_resume);
		switch_to(e, v, SYSTEM_TASK, false);
	}
}

/* When something other than an action is due. */
static uint64_t next_step(const struct gen_epoch *e)
{
	uint64_t timer = e->first_timer;

	return timer < e->next_fixed ? timer : e->next_fixed;
}

/* At one moment timers come first, then ticks, then a new phase, then the end. */
static void run(struct gen_epoch *e)
{
	for (uint64_t step, random; make_room(e);) {
		struct crowd *crowd = &e->crowds[e->crowds[1].next < e->crowds[0].next];

		step = next_step(e);
		random = crowd->next;
		e->now = random < step ? random : step;
		if (random < step)
			step_random(e, crowd);
		else if (e->first_timer == step)
			step_timer(e, e->heap[0]);
		else if (e->next_tick == step)
			step_tick(e);
		else if (e->phase_end == step && step < e->end)
			step_phase(e);
		else
			break;
	}
	if (e->closes && e->now == e->end && make_room(e))
		close_epoch(e);
}

/*
 * What the last step made beyond the limit was not made. It was not its first event, so no
 * end of a slice and no hlt is among them.
 */
static void trim(struct gen_epoch *e)
{
	while ((uint64_t)(e->at - e->events) > e->limit) {
		const struct trace_event *event = --e->at;

		switch (event->kind) {
		case EVENT_wrxfd:
			e->report.xfd_writes -= event != e->boot_event;
			break;
		case EVENT_rderr:
			e->report.amx_tasks--;
			break;
		case EVENT_preempt:
			e->report.preemptions--;
			break;
		case EVENT_wake:
		case EVENT_resume:
			e->report.migrations -= event->arg != EVENT_SAME_PCPU;
			break;
		}
	}
	e->report.events = (uint64_t)(e->at - e->events);
	if (e->report.events)
		e->report.cycles = e->vcpus[e->at[-1].vcpu].last;
}

bool gen_epoch_make(struct gen_epoch *e, uint64_t index, uint64_t limit)
{
	const struct gen_plan *plan = e->plan;
	const struct gen_options *options = plan->options;

	e->draws.bits_rng = gen_rng_begin(options->seed, 2 * index);
	e->draws.gaps_rng = gen_rng_begin(options->seed, 2 * index + 1);
	e->draws.nr_bits = e->draws.nr_gaps = 0;
	e->report = (struct gen_report){0};
	e->at = e->room = e->events;
	e->limit = limit;
	e->boot_event = NULL;
	e->failed = false;
	e->now = index * plan->epoch_cycles;
	e->close = e->now + plan->epoch_cycles;
	/* The last epoch ends with the trace and is not closed: a longer trace goes on. */
	e->closes = index + 1 < plan->nr_epochs;
	e->end = e->closes ? e->close : plan->end;
	e->first = index == 0;
	find_phase(e);
	reset(e, index);
	for (uint32_t v = 0; v < options->vcpus && v < options->pcpus && make_room(e); v++) {
		start_running(e, v);
		begin(e, v);
	}
	run(e);
	trim(e);
	return !e->failed;
}

struct gen_epoch *gen_epoch_new(const struct gen_plan *plan)
{
	size_t vcpus = plan->options->vcpus;
	struct gen_epoch *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->plan = plan;
	e->vcpus = calloc(vcpus, sizeof(*e->vcpus));
	e->vcpu_at = calloc(plan->options->pcpus, sizeof(*e->vcpu_at));
	for (int i = 0; i < 2; i++)
		e->crowds[i].members = calloc(vcpus, sizeof(*e->crowds[i].members));
	e->heap = calloc(vcpus, sizeof(*e->heap));
	e->queue = calloc(vcpus, sizeof(*e->queue));
	if (e->vcpus && e->vcpu_at && e->crowds[0].members && e->crowds[1].members && e->heap &&
	    e->queue)
		return e;
	gen_epoch_free(e);
	return NULL;
}

const struct trace_event *gen_epoch_events(const struct gen_epoch *e, size_t *nr)
{
	*nr = (size_t)(e->at - e->events);
	return e->events;
}

void gen_epoch_count(const struct gen_epoch *e, struct gen_report *report)
{
	const struct gen_report *part = &e->report;

	if (part->events)
		report->cycles = part->cycles;
	report->events += part->events;
	report->xfd_writes += part->xfd_writes;
	report->amx_tasks += part->amx_tasks;
	report->sleeps += part->sleeps;
	report->preemptions += part->preemptions;
	report->slices += part->slices;
	report->migrations += part->migrations;
}

void gen_epoch_free(struct gen_epoch *e)
{
	if (!e)
		return;
	free(e->events);
	free(e->vcpus);
	free(e->vcpu_at);
	free(e->crowds[0].members);
	free(e->crowds[1].members);
	free(e->heap);
	free(e->queue);
	free(e);
}
