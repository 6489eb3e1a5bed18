/* SPDX-License-Identifier: MIT */
/*
 * How long an epoch is: 65,536 events and 512 a vCPU as the rates promise on average, so that the
 * few events that close it are less than a hundredth of it and mostly less than a thousandth,
 * and a second-level cache holds it. Where vCPUs wait for pCPUs it is at least
 * 16 turns of them all, because the first ones begin each epoch. Of a phase that is
 * much busier than the average it is at most 16 times that number of events.
 */
#include <stdlib.h>
#include <string.h>

#include "traces/gen_epoch.h"
#include "traces/projection_rules.h"

enum { PPM = 1000000, EPOCH_EVENTS = 65536, EPOCH_EVENTS_A_VCPU = 512, EPOCH_STRETCH = 16 };

#define MOST_CYCLES (UINT64_C(1) << 60) /* whatever the trace's length: a longer one goes on */

/* Millionths of events a second of a running vCPU, nearly as many as asked for. */
static void weigh(const struct gen_plan *plan, struct gen_rates *rates)
{
	const struct gen_options *o = rates->now;
	gen_wide switches = (gen_wide)o->switch_hz * (PPM - o->idle_ppm);
	uint64_t tasks = plan->options->tasks, plain = tasks - plan->least_amx;
	uint64_t weight[GEN_MAX_CHOICES] = {
		[ACTION_CPUID] = (uint64_t)o->slow_hz * (PPM / 4),
		[ACTION_EPT_VIOLATION] = (uint64_t)o->slow_hz * (PPM / 4),
		[ACTION_EPT_MISCONFIG] = (uint64_t)o->slow_hz * (PPM / 4),
		[ACTION_APIC_WRITE] = (uint64_t)o->slow_hz * (PPM / 4),
		[ACTION_INTERRUPT] = (uint64_t)o->irq_hz * PPM,
		[ACTION_FASTPATH] = (uint64_t)o->fastpath_hz * PPM,
		[ACTION_USERSPACE] = (uint64_t)o->userspace_hz * PPM,
		[ACTION_RDXFD] = (uint64_t)o->rdxfd_hz * PPM,
		[ACTION_TSFAULT] = (uint64_t)o->tsfault_hz * PPM,
		[ACTION_IDLE] = (uint64_t)o->switch_hz * o->idle_ppm,
		[ACTION_SPAWN] = (uint64_t)o->spawn_hz * PPM,
		[ACTION_PREEMPT] = (uint64_t)o->preempt_hz * PPM,
	};

	for (int i = 0; i < GEN_MAX_CHOICES; i++)
		rates->weight[LOT_ANY] += weight[i];
	/* With no weight at all nobody chooses. */
	if (rates->weight[LOT_ANY])
		gen_choice_init(&rates->choice, weight);
	rates->weight[LOT_TO_AMX] = (uint64_t)(switches * plan->most_amx / tasks);
	rates->weight[LOT_TO_PLAIN] = (uint64_t)(switches * plain / tasks);
}

/* The word for an event that the rules of projection make. */
static uint8_t word_for(enum event_kind kind, uint64_t arg)
{
	switch (kind) {
	case EVENT_wrxfd:
		return arg ? GEN_ARM : GEN_DISARM;
	case EVENT_rderr:
		return GEN_RDERR;
	case EVENT_wrerr:
		return GEN_WRERR;
	case EVENT_tilerelease:
		return GEN_TILERELEASE;
	default:
		return GEN_AMX;
	}
}

static void add_word(void *sink, enum event_kind kind, uint64_t arg)
{
	struct gen_switch *change = sink;

	change->word[change->nr++] = word_for(kind, arg);
}

/*
 * Tasks of one kind differ in nothing that could be seen, and XFD is armed while the registers
 * are those of one that uses no AMX. Tasks stay on their vCPU, so the owner's registers are
 * still there.
 */
static void plan_switch(struct gen_switch *change, bool armed, bool uses_amx, bool is_new)
{
	enum { NOBODY, PLAIN_TASK, AMX_TASK };
	struct projection_cpu cpu = {
		.owner = is_new  ? NOBODY
			 : armed ? PLAIN_TASK
				 : AMX_TASK,
		.armed = armed,
	};

	projection_come(&cpu, uses_amx ? AMX_TASK : PLAIN_TASK, true, uses_amx && !is_new, uses_amx,
			add_word, change);
	change->armed = cpu.armed;
}

static void plan_steps(struct gen_plan *plan)
{
	static const uint8_t single[ACTION_IDLE] = {
		[ACTION_CPUID] = GEN_CPUID,
		[ACTION_EPT_VIOLATION] = GEN_EPT_VIOLATION,
		[ACTION_EPT_MISCONFIG] = GEN_EPT_MISCONFIG,
		[ACTION_APIC_WRITE] = GEN_APIC_WRITE,
		[ACTION_INTERRUPT] = GEN_INTERRUPT,
		[ACTION_FASTPATH] = GEN_FASTPATH,
		[ACTION_USERSPACE] = GEN_USERSPACE,
		[ACTION_RDXFD] = GEN_RDXFD,
		[ACTION_TSFAULT] = GEN_TSFAULT,
	};

	for (uint8_t i = 0; i < GEN_MAX_CHOICES; i++) {
		plan->steps[LOT_ANY][i].action = i;
		if (i < ACTION_IDLE)
			plan->steps[LOT_ANY][i] = (struct gen_step){{single[i]}, 1, i};
		/* Of these lots all slots are the same. */
		plan->steps[LOT_TO_AMX][i].action = ACTION_TO_AMX;
		plan->steps[LOT_TO_PLAIN][i].action = ACTION_TO_PLAIN;
	}
	memcpy(plan->later_steps, plan->steps, sizeof(plan->steps));
	/* If vCPUs differ, some refuse. */
	if (plan->most_amx != plan->least_amx)
		return;
	for (int amx = 0; amx < 2; amx++) {
		const struct gen_switch *change = &plan->switches[amx][amx][0];

		for (int i = 0; i < GEN_MAX_CHOICES; i++) {
			struct gen_step *step =
				&plan->later_steps[amx ? LOT_TO_AMX : LOT_TO_PLAIN][i];

			step->nr = change->nr;
			memcpy(step->word, change->word, sizeof(step->word));
		}
	}
}

/* Events a second of real time, all vCPUs together, nearly. */
static uint64_t estimate_hz(const struct gen_options *whole, const struct gen_options *o)
{
	uint64_t amx = whole->amx_share_ppm;
	uint64_t running = whole->vcpus < whole->pcpus ? whole->vcpus : whole->pcpus;
	uint64_t writes_ppm = 4 * amx * (PPM - amx) / PPM;
	uint64_t singles = (uint64_t)o->slow_hz + o->irq_hz + o->fastpath_hz + o->userspace_hz +
			   o->rdxfd_hz + o->tsfault_hz;
	gen_wide events_ppm =
		(gen_wide)(singles + 2 * (uint64_t)o->preempt_hz + 2 * whole->hz) * PPM;
	gen_wide off_us = (gen_wide)o->switch_hz * o->idle_ppm / PPM * o->idle_us +
			  (gen_wide)o->preempt_hz * o->preempt_us;

	events_ppm += (gen_wide)o->switch_hz * (2 * (uint64_t)o->idle_ppm + writes_ppm);
	events_ppm += (gen_wide)o->spawn_hz * (writes_ppm + 5 * amx);
	if (whole->vcpus > whole->pcpus)
		events_ppm += (gen_wide)2 * PPM * PPM / whole->slice_us;
	return (uint64_t)(events_ppm * running / (PPM + off_us));
}

static uint64_t clamp(gen_wide x, uint64_t max)
{
	return x < 1 ? 1 : x < max ? (uint64_t)x : max;
}

static uint64_t choose_epoch_cycles(const struct gen_plan *plan)
{
	const struct gen_options *o = plan->options;
	gen_wide events = EPOCH_EVENTS + EPOCH_EVENTS_A_VCPU * (gen_wide)o->vcpus, sum = 0;
	uint64_t before = 0, peak = 0, cycles, turns;

	for (size_t i = 0; i < plan->nr_phases; i++) {
		const struct gen_rates *phase = &plan->phases[i];
		uint64_t hz = estimate_hz(o, phase->now);

		sum += (gen_wide)hz * (phase->end - before);
		before = phase->end;
		peak = hz > peak ? hz : peak;
	}
	if (!peak)
		return MOST_CYCLES;
	/* The mean rate is sum / before; below 1 it is 1. */
	cycles = clamp(events * plan->tsc_hz * before / (sum > before ? sum : before), MOST_CYCLES);
	if (o->vcpus > o->pcpus) {
		turns = (o->vcpus + o->pcpus - 1) / o->pcpus * (uint64_t)o->slice_us *
			EPOCH_STRETCH * (plan->tsc_hz / 1000000 + 1);
		cycles = cycles < turns ? turns : cycles;
	}
	return clamp(cycles, clamp(events * plan->tsc_hz * EPOCH_STRETCH / peak, MOST_CYCLES));
}

/* A share of all tasks, spread evenly. */
static bool count_tasks(struct gen_plan *plan)
{
	uint64_t tasks = plan->options->tasks, share = plan->options->amx_share_ppm;

	plan->amx_tasks = calloc(plan->options->vcpus, sizeof(*plan->amx_tasks));
	plan->least_amx = plan->options->tasks;
	for (uint64_t v = 0; plan->amx_tasks && v < plan->options->vcpus; v++) {
		uint32_t nr = (uint32_t)((v + 1) * tasks * share / PPM - v * tasks * share / PPM);

		plan->amx_tasks[v] = nr;
		plan->most_amx = nr > plan->most_amx ? nr : plan->most_amx;
		plan->least_amx = nr < plan->least_amx ? nr : plan->least_amx;
	}
	return plan->amx_tasks;
}

bool gen_plan_init(struct gen_plan *plan, const struct gen_options *options, uint64_t end)
{
	uint64_t now = 0;

	plan->options = options;
	plan->tsc_hz = options->tsc_khz * 1000;
	plan->end = end;
	plan->nr_phases = options->nr_phases ? options->nr_phases : 1;
	plan->phases = calloc(plan->nr_phases, sizeof(*plan->phases));
	if (!plan->phases || !count_tasks(plan))
		return false;
	gen_log_init(&plan->log);
	for (size_t i = 0; i < plan->nr_phases; i++) {
		struct gen_rates *rates = &plan->phases[i];

		rates->now = options->nr_phases ? &options->phases[i].options : options;
		now = options->nr_phases ? now + options->phases[i].ms * options->tsc_khz
					 : MOST_CYCLES;
		rates->end = now;
		weigh(plan, rates);
	}
	for (int i = 0; i < 8; i++)
		plan_switch(&plan->switches[i >> 2][i >> 1 & 1][i & 1], i >> 2, i >> 1 & 1, i & 1);
	plan_steps(plan);
	plan->epoch_cycles = choose_epoch_cycles(plan);
	plan->nr_epochs = (end - 1) / plan->epoch_cycles + 1;
	return true;
}

void gen_plan_release(struct gen_plan *plan)
{
	free(plan->phases);
	free(plan->amx_tasks);
}
