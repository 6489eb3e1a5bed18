/* SPDX-License-Identifier: MIT */
#include "traces/guesttrack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "traces/projection.h"

#define NS_PER_S UINT64_C(1000000000)
#define NEVER    UINT64_MAX

enum { CPU_WORDS = TRACE_MAX_VCPUS / 64 };

/*
 * One CPU while the recording is read.
 * @seen:          it has had a line with a time
 * @halted:        asleep
 * @slept_first:   it was asleep from the beginning, until @first_wake_ns
 * @hlt_place:     of the open hlt in the spool; NEVER for the sleep from the beginning
 * @current:       who runs, if @current_known
 * @scored_pid:    the task last switched in, if @scoring: compared with recorded restores
 * @predicted:     its restore was projected
 * @activated:     its restore was recorded
 */
struct guest_cpu {
	bool seen;
	bool halted;
	bool slept_first;
	bool current_known;
	bool scoring;
	bool predicted;
	bool activated;
	uint32_t current;
	uint32_t scored_pid;
	uint64_t first_wake_ns;
	uint64_t hlt_place;
};

struct guesttrack {
	struct spool *spool;
	struct taskname_table *names;
	struct projection *projection;
	enum guesttrack_source source;
	struct guesttrack_counts counts;
	struct guest_cpu cpus[TRACE_MAX_VCPUS];
};

int guesttrack_new(struct spool *spool, struct taskname_table *names, enum guesttrack_source source,
		   struct guesttrack **trackp, struct xfd_error *err)
{
	struct guesttrack *track = calloc(1, sizeof(*track));
	int ret;

	if (!track)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	track->spool = spool;
	track->names = names;
	track->source = source;
	ret = projection_new(&track->projection, err);
	if (ret)
		free(track);
	else
		*trackp = track;
	return ret;
}

const struct guesttrack_counts *guesttrack_counts(const struct guesttrack *track)
{
	return &track->counts;
}

void guesttrack_free(struct guesttrack *track)
{
	if (!track)
		return;
	projection_free(track->projection);
	free(track);
}

/* ---- the first pass ---- */

static int spool_out(struct guesttrack *track, uint64_t time_ns, uint32_t cpu,
		     const struct projection_out *out, struct xfd_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < out->nr && !ret; i++)
		ret = spool_add(track->spool, time_ns, cpu, out->kind[i], out->arg[i], err);
	return ret;
}

/* Until it wakes a sleep lasts to the end of the recording. */
static int fall_asleep(struct guesttrack *track, uint64_t time_ns, uint32_t cpu,
		       struct xfd_error *err)
{
	track->cpus[cpu].halted = true;
	return spool_add_open(track->spool, time_ns, cpu, EVENT_hlt, NEVER,
			      &track->cpus[cpu].hlt_place, err);
}

static int wake_up(struct guesttrack *track, uint64_t time_ns, uint32_t cpu, struct xfd_error *err)
{
	struct guest_cpu *state = &track->cpus[cpu];
	int ret = 0;

	state->halted = false;
	if (state->hlt_place == NEVER)
		state->first_wake_ns = time_ns;
	else
		ret = spool_patch(track->spool, state->hlt_place, time_ns, err);
	if (ret)
		return ret;
	return spool_add(track->spool, time_ns, cpu, EVENT_wake, EVENT_SAME_PCPU, err);
}

/* A line shows that @pid ran on its CPU. An idle task that leaves at once did not sleep. */
static int see_running(struct guesttrack *track, const struct sched_event *event, uint32_t pid,
		       struct xfd_error *err)
{
	struct guest_cpu *cpu = &track->cpus[event->cpu];

	if (!cpu->seen) {
		cpu->seen = true;
		cpu->halted = cpu->slept_first = !pid;
		cpu->first_wake_ns = cpu->hlt_place = NEVER;
		return 0;
	}
	if (pid && cpu->halted)
		return wake_up(track, event->time_ns, event->cpu, err);
	if (!pid && !cpu->halted && event->kind != SCHED_EVENT_SWITCH)
		return fall_asleep(track, event->time_ns, event->cpu, err);
	return 0;
}

static void close_score(struct guesttrack *track, struct guest_cpu *cpu)
{
	struct guesttrack_score *score = &track->counts.score;

	if (!cpu->scoring)
		return;
	score->true_positives += cpu->predicted && cpu->activated;
	score->false_positives += cpu->predicted && !cpu->activated;
	score->false_negatives += !cpu->predicted && cpu->activated;
	cpu->scoring = false;
}

static int leave(struct guesttrack *track, const struct sched_event *event, struct xfd_error *err)
{
	struct guest_task *task = projection_task(track->projection, event->prev_pid, err);

	if (!task)
		return -EIO;
	task->name = taskname_get(track->names, event->prev_comm, task->name);
	if (!task->name->kernel)
		projection_switch_out(task, event->cpu);
	if (event->prev_dead)
		projection_forget(track->projection, event->prev_pid);
	return 0;
}

/* Spool and count what a projection gave. */
static int use(struct guesttrack *track, const struct sched_event *event,
	       const struct projection_out *out, struct xfd_error *err)
{
	track->counts.restores += out->restored;
	track->counts.xfd_writes += out->nr_writes;
	track->counts.amx_tasks += out->first_use;
	return spool_out(track, event->time_ns, event->cpu, out, err);
}

static int enter(struct guesttrack *track, const struct sched_event *event, struct xfd_error *err)
{
	struct guest_task *task = projection_task(track->projection, event->next_pid, err);
	struct guest_cpu *cpu = &track->cpus[event->cpu];
	struct projection_out out;

	if (!task)
		return -EIO;
	task->name = taskname_get(track->names, event->next_comm, task->name);
	if (task->name->kernel) {
		track->counts.kernel_switches++;
		return 0;
	}
	task->name->switch_ins++;
	if (track->source != GUESTTRACK_SWITCHES)
		return 0;
	projection_switch_in(track->projection, event->cpu, task,
			     taskname_uses_amx(track->names, task->name, event->next_pid), &out);
	cpu->scoring = true;
	cpu->scored_pid = event->next_pid;
	cpu->predicted = out.restored;
	cpu->activated = false;
	return use(track, event, &out, err);
}

static int take_switch(struct guesttrack *track, const struct sched_event *event,
		       struct xfd_error *err)
{
	struct guest_cpu *cpu = &track->cpus[event->cpu];
	int ret = see_running(track, event, event->prev_pid, err);

	track->counts.gaps += cpu->current_known && cpu->current != event->prev_pid;
	cpu->current = event->next_pid;
	cpu->current_known = true;
	close_score(track, cpu);
	if (!ret && event->prev_pid)
		ret = leave(track, event, err);
	if (ret)
		return ret;
	if (!event->next_pid) {
		track->counts.idle_switches++;
		return cpu->halted ? 0 : fall_asleep(track, event->time_ns, event->cpu, err);
	}
	if (cpu->halted)
		ret = wake_up(track, event->time_ns, event->cpu, err);
	return ret ? ret : enter(track, event, err);
}

static int take_timer(struct guesttrack *track, const struct sched_event *event,
		      struct xfd_error *err)
{
	int ret = 0;

	for (int i = 0; i < 2 && !ret && !track->cpus[event->cpu].halted; i++)
		ret = spool_add(track->spool, event->time_ns, event->cpu, EVENT_exit, EXIT_FASTPATH,
				err);
	return ret;
}

/* A recorded load of registers: the score of a projection, or itself. */
static int take_activation(struct guesttrack *track, const struct sched_event *event,
			   struct xfd_error *err)
{
	struct guest_cpu *cpu = &track->cpus[event->cpu];
	struct projection_out out;
	struct guest_task *task;
	bool amx = event->amx_buffer;

	if (track->source == GUESTTRACK_SWITCHES) {
		if (cpu->scoring && cpu->scored_pid == event->pid)
			cpu->activated = true;
		else
			track->counts.score.recall_outside++;
		return 0;
	}
	if (track->source != GUESTTRACK_RESTORES || !event->pid)
		return 0;
	task = projection_task(track->projection, event->pid, err);
	if (!task)
		return -EIO;
	amx |= task->name && taskname_uses_amx(track->names, task->name, event->pid);
	projection_restored(track->projection, event->cpu, task, amx, &out);
	return use(track, event, &out, err);
}

static int take_msr(struct guesttrack *track, const struct sched_event *event,
		    struct xfd_error *err)
{
	bool write = event->kind == SCHED_EVENT_MSR_WRITE;
	struct projection_out out;

	if (event->msr != MSR_IA32_XFD && event->msr != MSR_IA32_XFD_ERR)
		return 0;
	if (track->source != GUESTTRACK_WRITES) {
		track->counts.unused_writes += write && event->msr == MSR_IA32_XFD;
		return 0;
	}
	if (event->msr == MSR_IA32_XFD_ERR)
		projection_xfd_err(&out, write, event->value);
	else if (write)
		projection_wrote(track->projection, event->cpu, event->value, event->failed, &out);
	else
		return spool_add(track->spool, event->time_ns, event->cpu, EVENT_rdxfd, 0, err);
	return use(track, event, &out, err);
}

int guesttrack_take(struct guesttrack *track, const struct sched_event *event,
		    struct xfd_error *err)
{
	struct guest_cpu *cpu = &track->cpus[event->cpu];
	int ret;

	if (event->kind == SCHED_EVENT_LOST) {
		projection_lose(track->projection, event->cpu);
		cpu->current_known = cpu->scoring = false;
		return 0;
	}
	if (event->kind == SCHED_EVENT_SWITCH)
		return take_switch(track, event, err);
	ret = see_running(track, event, event->pid, err);
	if (ret)
		return ret;
	if (event->kind == SCHED_EVENT_TIMER)
		return take_timer(track, event, err);
	if (event->kind == SCHED_EVENT_FPU_ACTIVATED)
		return take_activation(track, event, err);
	if (event->kind == SCHED_EVENT_MSR_WRITE || event->kind == SCHED_EVENT_MSR_READ)
		return take_msr(track, event, err);
	return 0;
}

void guesttrack_info(const struct guesttrack *track, struct trace_info *info)
{
	info->nr_vcpus = 0;
	for (uint32_t cpu = 0; cpu < TRACE_MAX_VCPUS; cpu++)
		info->nr_vcpus += track->cpus[cpu].seen;
	info->nr_pcpus = info->nr_vcpus;
	info->armed_start = track->source == GUESTTRACK_WRITES;
}

/* ---- the second pass ---- */

/*
 * Indexed by vCPU: @cpu_of, @nr_vcpus entries; by CPU: @vcpu_of. Bit v of @running: vCPU v is
 * awake. Times are relative to the first time stamp. @guest_tick and @host_tick number the next
 * ticks.
 * @now_cycles: of @now_ns, when an event was written last.
 */
struct guest_playback {
	struct playback play;
	const struct guesttrack *track;
	uint64_t start_ns;
	uint64_t end_ns;
	uint32_t hz;
	uint32_t host_hz;
	uint64_t guest_tick;
	uint64_t host_tick;
	uint64_t guest_tick_ns;
	uint64_t host_tick_ns;
	uint64_t now_ns;
	uint64_t now_cycles;
	uint64_t running[CPU_WORDS];
	uint32_t nr_vcpus;
	uint32_t cpu_of[TRACE_MAX_VCPUS];
	uint32_t vcpu_of[TRACE_MAX_VCPUS];
};

/* floor(n / d * 10^9) without overflow. */
static uint64_t ratio_to_ns(uint64_t n, uint64_t d)
{
	return n / d * NS_PER_S + n % d * NS_PER_S / d;
}

static uint64_t to_cycles(const struct guest_playback *p, uint64_t ns)
{
	return playback_to_cycles(ns, p->play.goal.tsc_khz);
}

static int emit(struct guest_playback *p, uint32_t vcpu, uint64_t ns, enum event_kind kind,
		uint64_t arg, struct xfd_error *err)
{
	if (ns != p->now_ns) {
		p->now_ns = ns;
		p->now_cycles = to_cycles(p, ns);
	}
	return playback_emit(&p->play, vcpu, p->now_cycles, kind, arg, err);
}

static int emit_hlt(struct guest_playback *p, uint32_t vcpu, uint64_t ns, uint64_t wake_ns,
		    struct xfd_error *err)
{
	uint64_t until = wake_ns == NEVER ? p->end_ns : wake_ns - p->start_ns;

	p->running[vcpu / 64] &= ~(UINT64_C(1) << vcpu % 64);
	return emit(p, vcpu, ns, EVENT_hlt, to_cycles(p, until) - to_cycles(p, ns), err);
}

/* What every vCPU does at time 0: boot, and fall asleep if nothing shows it awake. */
static int emit_boot(struct guest_playback *p, struct xfd_error *err)
{
	const struct guest_cpu *cpu;
	struct projection_out boot;
	int ret = 0;

	projection_boot(&boot);
	if (p->track->source == GUESTTRACK_WRITES)
		boot.nr = 0; /* it was before the recording; the header says so */
	for (uint32_t vcpu = 0; vcpu < p->nr_vcpus && !ret; vcpu++) {
		p->running[vcpu / 64] |= UINT64_C(1) << vcpu % 64;
		for (uint32_t i = 0; i < boot.nr && !ret; i++)
			ret = emit(p, vcpu, 0, boot.kind[i], boot.arg[i], err);
		cpu = &p->track->cpus[p->cpu_of[vcpu]];
		if (!ret && cpu->slept_first)
			ret = emit_hlt(p, vcpu, 0, cpu->first_wake_ns, err);
	}
	return ret;
}

static int emit_tick(struct guest_playback *p, uint64_t ns, uint64_t reason, int times,
		     struct xfd_error *err)
{
	uint64_t word;
	uint32_t vcpu;
	int ret = 0;

	for (uint32_t i = 0; i < CPU_WORDS; i++) {
		for (word = p->running[i]; word; word &= word - 1) {
			vcpu = i * 64 + (uint32_t)__builtin_ctzll(word);
			for (int n = 0; n < times && !ret; n++)
				ret = emit(p, vcpu, ns, EVENT_exit, reason, err);
		}
	}
	return ret;
}

static void schedule_ticks(struct guest_playback *p)
{
	p->guest_tick_ns = p->hz ? ratio_to_ns(p->guest_tick, p->hz) : NEVER;
	p->host_tick_ns =
		p->host_hz ? ratio_to_ns(2 * p->host_tick + 1, 2 * (uint64_t)p->host_hz) : NEVER;
}

/* The ticks up to and including @ns. */
static int emit_ticks(struct guest_playback *p, uint64_t ns, struct xfd_error *err)
{
	int ret = 0;

	while (!ret && (p->guest_tick_ns <= ns || p->host_tick_ns <= ns)) {
		if (p->guest_tick_ns <= p->host_tick_ns) {
			ret = emit_tick(p, p->guest_tick_ns, EXIT_FASTPATH, 2, err);
			p->guest_tick++;
		} else {
			ret = emit_tick(p, p->host_tick_ns, EXIT_EXTERNAL_INTERRUPT, 1, err);
			p->host_tick++;
		}
		schedule_ticks(p);
	}
	return ret;
}

static int emit_record(struct guest_playback *p, const struct spool_record *record,
		       struct xfd_error *err)
{
	uint32_t vcpu = p->vcpu_of[record->cpu];
	uint64_t ns = record->time_ns - p->start_ns;
	int ret = 0;

	if (p->guest_tick_ns <= ns || p->host_tick_ns <= ns)
		ret = emit_ticks(p, ns, err);
	if (ret)
		return ret;
	if (record->kind == EVENT_hlt)
		return emit_hlt(p, vcpu, ns, record->arg, err);
	if (record->kind == EVENT_wake)
		p->running[vcpu / 64] |= UINT64_C(1) << vcpu % 64;
	return emit(p, vcpu, ns, record->kind, record->arg, err);
}

static int play_spool(struct guest_playback *p, struct xfd_error *err)
{
	const struct spool_record *records;
	size_t nr;
	int ret;

	schedule_ticks(p);
	ret = emit_boot(p, err);
	while (!ret) {
		ret = playback_next(&p->play, p->track->spool, &records, &nr, err);
		if (ret || !nr)
			break;
		for (size_t i = 0; i < nr && !ret; i++)
			ret = emit_record(p, &records[i], err);
	}
	if (!ret)
		ret = emit_ticks(p, p->end_ns, err);
	return ret ? ret : playback_flush(&p->play, err);
}

int guesttrack_write(const struct guesttrack *track, const struct guesttrack_clock *clock,
		     const struct playback_goal *goal, uint64_t *nr, struct xfd_error *err)
{
	struct guest_playback *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	p->play.goal = *goal;
	p->track = track;
	p->start_ns = clock->first_ns;
	p->end_ns = clock->last_ns - clock->first_ns;
	p->hz = clock->hz;
	p->host_hz = clock->host_hz;
	p->guest_tick = 1;
	for (uint32_t cpu = 0; cpu < TRACE_MAX_VCPUS; cpu++)
		if (track->cpus[cpu].seen) {
			p->cpu_of[p->nr_vcpus] = cpu;
			p->vcpu_of[cpu] = p->nr_vcpus++;
		}
	ret = play_spool(p, err);
	*nr = p->play.nr;
	free(p);
	return ret;
}
