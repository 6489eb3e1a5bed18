/* SPDX-License-Identifier: MIT */
#include "traces/gen_epoch.h"

#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "traces/block.h"
#include "traces/gen_crowd.h"
#include "traces/gen_timers.h"

#define NEVER GEN_NEVER

enum {
	PPM = 1000000,
	FIRST_EVENTS = 81920,
	DRAWS = 256,
	STEP_EVENTS = 64 /* no step makes more */
};

enum vcpu_state {
	STATE_RUNNING,
	STATE_HALTED,    /* keeps its pCPU */
	STATE_PREEMPTED, /* comes back to its pCPU, which another vCPU may exchange with it */
	STATE_QUEUED     /* has no pCPU */
};

/*
 * @pcpu:      its own, unless queued
 * @last_pcpu: where it ran last
 * @amx:       how many of its tasks use AMX
 * @unused:    how many of them have not yet
 * @state:     enum vcpu_state
 * @armed:     XFD is, unless it runs; then the crowd knows
 * @has_task:  one of its tasks runs
 */
struct vcpu {
	uint32_t pcpu;
	uint32_t last_pcpu;
	uint32_t amx;
	uint32_t unused;
	uint8_t state;
	bool booted;
	bool armed;
	bool has_task;
};

/*
 * What things that happen are drawn from, many at a time.
 * @gap: for gen_gap()
 * @lot: below 2^63; which lot
 * @who: to whom, and which action
 */
struct draws {
	uint64_t gap[DRAWS];
	uint64_t lot[DRAWS];
	uint64_t who[DRAWS];
};

/*
 * Events, with room for @max of them.
 * @at:      how many there are
 * @room:    make some, or stop, once @at is here
 * @nr_args: how many arguments
 */
struct events {
	size_t at;
	size_t room;
	size_t max;
	size_t nr_args;
	uint8_t *tags;
	uint16_t *vcpus;
	uint64_t *deltas;
	uint64_t *args;
};

/*
 * @draws_rng:   where @draws come from, all at once, because nobody predicts what follows from
 *               one and the next should not be late as well
 * @other_rng:   all other draws
 * @nr_draws:    left
 * @now:         when the current step happens; cycles from the beginning of the trace
 * @fraction:    of a cycle, see gen_gap()
 * @end:         of the epoch or the trace, what comes first
 * @close:       of the epoch, as @closes says
 * @next_tick:   NEVER while nobody runs
 * @next_fixed:  the first of @next_tick, @phase_end and @end
 * @rates:       of the current phase, which lasts until @phase_end
 * @choice:      of @rates
 * @steps:       by lot and action; see struct gen_plan
 * @limit:       of events
 * @first:       the trace begins here
 * @slices:      ends of them
 * @last:        by vCPU: when its last event was
 * @vcpu_at:     the vCPU whose pCPU that is, or -1
 * @queue:       a ring
 * @columns:     @events, once they are made
 */
struct gen_epoch {
	const struct gen_plan *plan;
	struct gen_rng draws_rng;
	struct gen_rng other_rng;
	uint32_t nr_draws;
	struct draws draws;
	uint64_t now;
	uint64_t fraction;
	uint64_t end;
	uint64_t close;
	uint64_t next_tick;
	uint64_t next_fixed;
	uint64_t tick;
	const struct gen_rates *rates;
	struct gen_choice choice;
	struct gen_step steps[NR_LOTS][GEN_MAX_CHOICES];
	uint64_t phase_end;
	size_t phase;
	struct events events;
	uint64_t limit;
	bool closes;
	bool failed;
	bool first;
	struct gen_crowd crowd;
	struct gen_timers timers;
	uint32_t queue_head;
	uint32_t queue_len;
	struct vcpu *vcpus;
	uint64_t last[TRACE_MAX_VCPUS + GEN_PADDING];
	int32_t *vcpu_at;
	uint32_t *queue;
	struct gen_report report;
	struct trace_columns columns;
};

static const struct block_word words[NR_GEN_WORDS] = {
#define XFD_GEN_WORD(symbol, kind, arg, varies) {arg, arg, EVENT_##kind, varies},
#include "traces/gen_word_list.h"
#undef XFD_GEN_WORD
};

/* Numbers of a stream by their position, so that none waits for the one before it. */
static inline __attribute__((always_inline)) void
fill_draws(struct draws *draws, const struct gen_log *log, uint64_t state)
{
	for (uint64_t i = 0; i < DRAWS; i++)
		draws->gap[i] = gen_unit_gap(log, gen_mix(state + GEN_RANDOM_GAMMA * (i + 1)));
	state += GEN_RANDOM_GAMMA * DRAWS;
	for (uint64_t i = 0; i < DRAWS; i++)
		draws->lot[i] = gen_mix(state + GEN_RANDOM_GAMMA * (i + 1)) >> 1;
	state += GEN_RANDOM_GAMMA * DRAWS;
	for (uint64_t i = 0; i < DRAWS; i++)
		draws->who[i] = gen_mix(state + GEN_RANDOM_GAMMA * (i + 1));
}

#ifdef __x86_64__
/* The same, eight at a time: these CPUs multiply and count zeros of 64 bits in vectors. */
static __attribute__((target("avx512f,avx512cd,avx512dq,avx512vl"))) void
fill_draws_avx512(struct draws *draws, const struct gen_log *log, uint64_t state)
{
	fill_draws(draws, log, state);
}
#endif

static __attribute__((noinline)) uint32_t draw_many(struct gen_epoch *e)
{
	struct gen_rng *rng = &e->draws_rng;
	const struct gen_log *log = &e->plan->log;

#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
	    __builtin_cpu_supports("avx512vl"))
		fill_draws_avx512(&e->draws, log, rng->state);
	else
#endif
		fill_draws(&e->draws, log, rng->state);
	rng->state += GEN_RANDOM_GAMMA * 3 * DRAWS;
	return DRAWS;
}

static uint64_t draw(struct gen_epoch *e)
{
	return gen_rng_next(&e->other_rng);
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

/* ---- who runs ---- */

/* The next tick, new phase, or the end. */
static void set_tick(struct gen_epoch *e, uint64_t when)
{
	uint64_t end = e->phase_end < e->end ? e->phase_end : e->end;

	e->next_tick = when;
	e->next_fixed = when < end ? when : end;
}

static void set_rates(struct gen_epoch *e, const struct gen_rates *rates)
{
	e->rates = rates;
	e->choice = rates->choice;
	gen_crowd_set_rates(&e->crowd, rates);
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
	gen_crowd_join(&e->crowd, v, vcpu->armed);
	if (e->crowd.nr == 1)
		find_tick(e);
	if (is_overcommitted(e))
		slice_end = e->now + options->slice_us * options->tsc_khz / 1000 + 1;
	gen_timers_set(&e->timers, v, slice_end);
}

static void stop_running(struct gen_epoch *e, uint32_t v, enum vcpu_state state, uint64_t timer)
{
	e->vcpus[v].state = (uint8_t)state;
	e->vcpus[v].armed = gen_crowd_leave(&e->crowd, v);
	if (!e->crowd.nr)
		set_tick(e, NEVER);
	gen_timers_set(&e->timers, v, timer);
}

/* ---- events ---- */

static void emit(struct gen_epoch *e, uint32_t v, enum gen_word word)
{
	struct events *events = &e->events;

	events->tags[events->at] = (uint8_t)word;
	events->vcpus[events->at] = (uint16_t)v;
	events->deltas[events->at++] = e->now - e->last[v];
	e->last[v] = e->now;
}

static void emit_with(struct gen_epoch *e, uint32_t v, enum gen_word word, uint64_t arg)
{
	emit(e, v, word);
	e->events.args[e->events.nr_args++] = arg;
}

/* The guest switches to a task; a new one has not used AMX before. */
static void switch_to(struct gen_epoch *e, uint32_t v, bool uses_amx, bool is_new)
{
	bool armed = gen_crowd_is_armed(&e->crowd, v);
	const struct gen_switch *change = &e->plan->switches[armed][uses_amx][is_new];

	for (uint8_t i = 0; i < change->nr; i++)
		emit(e, v, change->word[i]);
	if (change->armed != armed)
		gen_crowd_turn(&e->crowd, v);
}

/* To one of the system, that uses no AMX. If tiles are initial already nothing follows from it. */
static void switch_to_system(struct gen_epoch *e, uint32_t v)
{
	if (gen_crowd_is_armed(&e->crowd, v))
		emit(e, v, GEN_TILERELEASE);
	else
		switch_to(e, v, false, false);
}

/* Task number @pick of the vCPU's; those that have not used AMX come first, then others with. */
static void switch_to_pick(struct gen_epoch *e, uint32_t v, uint64_t pick)
{
	struct vcpu *vcpu = &e->vcpus[v];
	bool is_new = pick < vcpu->unused;

	vcpu->unused -= is_new;
	switch_to(e, v, pick < vcpu->amx, is_new);
}

static uint64_t draw_task(struct gen_epoch *e)
{
	return gen_below(draw(e), e->plan->options->tasks);
}

static void boot(struct gen_epoch *e, uint32_t v)
{
	e->vcpus[v].booted = true;
	emit(e, v, GEN_BOOT);
	emit(e, v, GEN_XSETBV);
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

/* @word says for whom. */
static void preempt(struct gen_epoch *e, uint32_t v, enum gen_word word, enum vcpu_state state,
		    uint64_t until)
{
	emit(e, v, word);
	stop_running(e, v, state, until);
}

/* The vCPU runs again, on its pCPU. */
static void resume(struct gen_epoch *e, uint32_t v)
{
	struct vcpu *vcpu = &e->vcpus[v];
	bool same = vcpu->pcpu == vcpu->last_pcpu;

	start_running(e, v);
	if (same)
		emit(e, v, GEN_RESUME);
	else
		emit_with(e, v, GEN_MOVE, vcpu->pcpu);
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

	e->queue[tail < nr ? tail : tail - nr] = v;
	e->queue_head = e->queue_head + 1 < nr ? e->queue_head + 1 : 0;
	e->vcpus[next].pcpu = pcpu;
	e->vcpu_at[pcpu] = (int32_t)next;
	preempt(e, v, GEN_SLICE_END, STATE_QUEUED, NEVER);
	resume(e, next);
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
		start_running(e, v);
		emit(e, v, GEN_WAKE);
		begin(e, v);
		break;
	default:
		if (draw_ppm(e, e->rates->now->migrate_ppm))
			migrate(e, v);
		resume(e, v);
		begin(e, v);
	}
}

/* Longer sleeps than the rest of the epoch are as long as that. */
static void sleep_now(struct gen_epoch *e, uint32_t v)
{
	uint64_t length = draw_us(e, e->rates->now->idle_us), most = e->close - e->now;

	length = length < most ? length : most;
	e->vcpus[v].has_task = false;
	emit_with(e, v, GEN_SLEEP, length);
	stop_running(e, v, STATE_HALTED, e->now + length);
}

static void preempt_now(struct gen_epoch *e, uint32_t v)
{
	const struct gen_options *now = e->rates->now;
	uint32_t n = now->preempt_n, a = now->preempt_a;
	uint64_t pick = gen_below(draw(e), (uint64_t)n + a + now->preempt_k);

	preempt(e, v,
		pick < n       ? GEN_PREEMPT_N
		: pick - n < a ? GEN_PREEMPT_A
			       : GEN_PREEMPT_K,
		STATE_PREEMPTED, e->now + draw_us(e, now->preempt_us));
}

/* A switch that could be seen, unless this vCPU has fewer such tasks than others. */
static void switch_now(struct gen_epoch *e, uint32_t v, bool to_amx)
{
	const struct vcpu *vcpu = &e->vcpus[v];
	const struct gen_plan *plan = e->plan;
	uint32_t tasks = plan->options->tasks;
	uint64_t pick = gen_below(draw(e), to_amx ? plan->most_amx : tasks - plan->least_amx);

	if (!to_amx) {
		/* Plain tasks come behind the others. */
		if (pick < tasks - vcpu->amx)
			switch_to_pick(e, v, pick + vcpu->amx);
		return;
	}
	/* With XFD disarmed already only those who have not used AMX yet can be seen to come. */
	if (pick < (gen_crowd_is_armed(&e->crowd, v) ? vcpu->amx : vcpu->unused))
		switch_to_pick(e, v, pick);
}

static void act(struct gen_epoch *e, uint32_t v, enum gen_action action)
{
	switch (action) {
	case ACTION_IDLE:
		sleep_now(e, v);
		break;
	case ACTION_PREEMPT:
		preempt_now(e, v);
		break;
	case ACTION_SPAWN:
		switch_to(e, v, draw_task(e) < e->vcpus[v].amx, true);
		break;
	default:
		switch_now(e, v, action == ACTION_TO_AMX);
	}
}

/*
 * Everything that happens before @until and has words, as long as there is room. Returns what
 * has none, which happens to @who, or NO_ACTION.
 *
 * One draw follows another, and none is waited for: no branch depends on what was drawn but
 * whether the loop ends. What changes is in variables, because bytes are stored and may alias
 * all else; what does not stands at fixed places of @e, which takes no registers.
 */
static enum gen_action run_quick(struct gen_epoch *e, uint64_t until, uint32_t *who)
{
	struct gen_crowd *crowd = &e->crowd;
	uint8_t *tags = e->events.tags;
	uint16_t *vcpus = e->events.vcpus;
	uint64_t *deltas = e->events.deltas;
	size_t at = e->events.at, room = e->events.room;
	uint64_t now = e->now, fraction = e->fraction;
	uint32_t nr_armed = crowd->nr_armed, nr_draws = e->nr_draws;
	enum gen_action action = NO_ACTION;

	while (at < room) {
		const struct gen_pace *pace = gen_crowd_pace(crowd, nr_armed);
		const struct gen_lot_place *lot_place;
		const struct gen_step *step;
		uint32_t v, from, to, lot;
		uint64_t when;
		gen_wide pick;

		if (!nr_draws)
			nr_draws = draw_many(e);
		nr_draws--;
		when = (now + gen_gap(e->draws.gap[nr_draws], &pace->mean, &fraction)) |
		       pace->never;
		if (when >= until)
			break;
		now = when;
		lot = (uint32_t)(e->draws.lot[nr_draws] >= pace->below[0]) +
		      (e->draws.lot[nr_draws] >= pace->below[1]);
		lot_place = &pace->lots[lot];
		/* The whole part of a product names the vCPU, its fraction is as random as before.
		 */
		pick = (gen_wide)e->draws.who[nr_draws] * lot_place->nr;
		from = lot_place->begin + (uint32_t)(pick >> 64);
		v = crowd->members[from];
		step = &e->steps[lot][gen_choose(&e->choice, (uint64_t)pick)];
		if (!step->nr) {
			action = step->action;
			*who = v;
			break;
		}
		memcpy(tags + at, step->word, 2);
		vcpus[at] = vcpus[at + 1] = (uint16_t)v;
		deltas[at] = now - e->last[v];
		deltas[at + 1] = 0;
		at += step->nr;
		e->last[v] = now;
		/* It changes sides, or places with itself. */
		to = from ^ ((from ^ lot_place->border) & -(uint32_t)(lot != LOT_ANY));
		gen_crowd_put(crowd, from, crowd->members[to]);
		gen_crowd_put(crowd, to, v);
		nr_armed += lot_place->turn;
	}
	e->events.at = at;
	e->now = now;
	e->fraction = fraction;
	e->nr_draws = nr_draws;
	crowd->nr_armed = nr_armed;
	return action;
}

/* As much as @max events take. */
static bool enlarge(struct events *events, size_t max)
{
	uint8_t *tags = reallocarray(events->tags, max, sizeof(*tags));
	uint16_t *vcpus = tags ? reallocarray(events->vcpus, max, sizeof(*vcpus)) : NULL;
	uint64_t *deltas = vcpus ? reallocarray(events->deltas, max, sizeof(*deltas)) : NULL;
	uint64_t *args = deltas ? reallocarray(events->args, max, sizeof(*args)) : NULL;

	events->tags = tags ? tags : events->tags;
	events->vcpus = vcpus ? vcpus : events->vcpus;
	events->deltas = deltas ? deltas : events->deltas;
	events->args = args ? args : events->args;
	if (args)
		events->max = max;
	return args;
}

static __attribute__((noinline)) bool make_more_room(struct gen_epoch *e)
{
	struct events *events = &e->events;

	if (e->failed || events->at >= e->limit)
		return false;
	if (events->at + STEP_EVENTS >= events->max) {
		e->failed = !enlarge(events,
				     events->max ? events->max + events->max / 2 : FIRST_EVENTS);
		if (e->failed)
			return false;
	}
	events->room = events->max - STEP_EVENTS;
	if (events->room > e->limit)
		events->room = e->limit;
	return true;
}

/* Is there room for another step? Not past the limit, nor without memory. */
static bool make_room(struct gen_epoch *e)
{
	return e->events.at < e->events.room || make_more_room(e);
}

static void step_tick(struct gen_epoch *e)
{
	e->tick++;
	set_tick(e, tick_time(e));
	for (uint32_t i = 0; i < e->crowd.nr && make_room(e); i++) {
		emit(e, e->crowd.members[i], GEN_FASTPATH);
		emit(e, e->crowd.members[i], GEN_FASTPATH);
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

	gen_timers_reset(&e->timers);
	set_tick(e, NEVER);
	e->crowd.nr = e->crowd.nr_armed = 0;
	e->crowd.all_use = e->first;
	memcpy(e->steps, e->first ? e->plan->steps : e->plan->later_steps, sizeof(e->steps));
	set_rates(e, &e->plan->phases[e->phase]);
	for (uint32_t p = 0; p < pcpus; p++)
		e->vcpu_at[p] = p < nr ? (int32_t)p : -1;
	for (uint32_t v = 0; v < nr; v++) {
		e->vcpus[v] = (struct vcpu){
			.pcpu = v % pcpus,
			.last_pcpu = v % pcpus,
			.amx = e->plan->amx_tasks[v],
			.unused = index ? 0 : e->plan->amx_tasks[v],
			.state = STATE_QUEUED,
			.booted = index > 0,
			.armed = true,
		};
		e->last[v] = e->now;
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
			switch_to_system(e, v);
			continue;
		}
		preempt(e, v, GEN_PREEMPT_K, STATE_QUEUED, NEVER);
	}
	for (uint32_t v = pcpus; v < nr && make_room(e); v++) {
		e->vcpus[v].pcpu = v % pcpus;
		resume(e, v);
		if (!e->vcpus[v].booted)
			boot(e, v);
		switch_to_system(e, v);
		preempt(e, v, GEN_PREEMPT_K, STATE_QUEUED, NEVER);
	}
	for (uint32_t v = 0; v < nr && v < pcpus && make_room(e); v++) {
		if (e->vcpus[v].state == STATE_RUNNING)
			continue;
		e->vcpus[v].pcpu = v;
		resume(e, v);
		switch_to_system(e, v);
	}
}

/* At one moment timers come first, then ticks, then a new phase, then the end. */
static void run(struct gen_epoch *e)
{
	while (make_room(e)) {
		uint64_t timer = e->timers.first;
		uint64_t step = timer < e->next_fixed ? timer : e->next_fixed;
		uint32_t v;
		enum gen_action action = run_quick(e, step, &v);

		if (action != NO_ACTION) {
			act(e, v, action);
			continue;
		}
		if (e->events.at >= e->events.room)
			continue;
		e->now = step;
		if (timer == step)
			step_timer(e, e->timers.winner[1]);
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
 * What the trace gets: not what the last step made beyond the limit. All that a step makes
 * happens at one moment, so the times are right in any case.
 */
static void finish(struct gen_epoch *e)
{
	/* Several, because counting what was just counted waits for it. */
	uint64_t count[4][NR_GEN_WORDS] = {0};
	struct events *events = &e->events;
	size_t nr = events->at < e->limit ? events->at : e->limit;

	for (size_t i = 0; i < nr / 4 * 4; i += 4)
		for (int j = 0; j < 4; j++)
			count[j][events->tags[i + (size_t)j]]++;
	for (size_t i = nr / 4 * 4; i < nr; i++)
		count[0][events->tags[i]]++;
	for (int i = 1; i < 4; i++)
		for (int word = 0; word < NR_GEN_WORDS; word++)
			count[0][word] += count[i][word];
	e->report = (struct gen_report){
		.events = nr,
		.cycles = nr ? e->last[events->vcpus[nr - 1]] : 0,
		.xfd_writes = count[0][GEN_ARM] + count[0][GEN_DISARM],
		.amx_tasks = count[0][GEN_RDERR],
		.sleeps = count[0][GEN_SLEEP],
		.preemptions =
			count[0][GEN_PREEMPT_N] + count[0][GEN_PREEMPT_A] + count[0][GEN_PREEMPT_K],
		.slices = count[0][GEN_SLICE_END],
		.migrations = count[0][GEN_MOVE],
	};
	e->columns = (struct trace_columns){
		.nr = nr,
		.nr_args = count[0][GEN_SLEEP] + count[0][GEN_MOVE],
		.nr_words = NR_GEN_WORDS,
		.words = words,
		.tags = events->tags,
		.vcpus = events->vcpus,
		.deltas = events->deltas,
		.args = events->args,
	};
}

bool gen_epoch_make(struct gen_epoch *e, uint64_t index, uint64_t limit)
{
	const struct gen_plan *plan = e->plan;
	const struct gen_options *options = plan->options;

	e->draws_rng = gen_rng_begin(options->seed, 2 * index);
	e->other_rng = gen_rng_begin(options->seed, 2 * index + 1);
	e->nr_draws = 0;
	e->fraction = 0;
	e->events.at = e->events.room = e->events.nr_args = 0;
	e->limit = limit;
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
	finish(e);
	return !e->failed;
}

struct gen_epoch *gen_epoch_new(const struct gen_plan *plan)
{
	size_t vcpus = plan->options->vcpus;
	struct gen_epoch *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->plan = plan;
	e->crowd.tsc_hz = plan->tsc_hz;
	e->timers.leaves = gen_timers_leaves(plan->options->vcpus);
	e->vcpus = calloc(vcpus, sizeof(*e->vcpus));
	e->vcpu_at = calloc(plan->options->pcpus, sizeof(*e->vcpu_at));
	e->timers.when = calloc(e->timers.leaves, sizeof(*e->timers.when));
	e->timers.winner = calloc(2 * (size_t)e->timers.leaves, sizeof(*e->timers.winner));
	e->queue = calloc(vcpus, sizeof(*e->queue));
	if (e->vcpus && e->vcpu_at && e->timers.when && e->timers.winner && e->queue)
		return e;
	gen_epoch_free(e);
	return NULL;
}

const struct trace_columns *gen_epoch_columns(const struct gen_epoch *e)
{
	return &e->columns;
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
	free(e->events.tags);
	free(e->events.vcpus);
	free(e->events.deltas);
	free(e->events.args);
	free(e->vcpus);
	free(e->vcpu_at);
	free(e->timers.when);
	free(e->timers.winner);
	free(e->queue);
	free(e);
}
