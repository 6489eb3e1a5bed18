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

enum { BATCH_EVENTS = 4096, TELL_RECORDS = 65536, CPU_WORDS = TRACE_MAX_VCPUS / 64 };

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
 * Indexed by vCPU: @cpu_of, @nr_vcpus entries, and @last_cycles; by CPU: @vcpu_of. Bit v of
 * @running: vCPU v is awake. Times are relative to the first time stamp. @guest_tick and
 * @host_tick number the next ticks. @now_cycles: of @now_ns, when an event was written last.
 * @nr: events in all, of which @nr_events wait in @events.
 */
struct playback {
	const struct guesttrack *track;
	struct trace_writer *writer;
	uint64_t nr;
	uint64_t tsc_khz;
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
	uint64_t last_cycles[TRACE_MAX_VCPUS];
	uint32_t nr_vcpus;
	uint32_t cpu_of[TRACE_MAX_VCPUS];
	uint32_t vcpu_of[TRACE_MAX_VCPUS];
	size_t nr_events;
	struct trace_event events[BATCH_EVENTS];
};

/* floor(n / d * 10^9) without overflow. */
static uint64_t ratio_to_ns(uint64_t n, uint64_t d)
{
	return n / d * NS_PER_S + n % d * NS_PER_S / d;
}

/* floor(ns * tsc_khz / 10^6), of absolute times so that rounding does not add up. */
static uint64_t to_cycles(const struct playback *play, uint64_t ns)
{
	uint64_t khz = play->tsc_khz;

	return ns / 1000000 * khz + ns % 1000000 * khz / 1000000;
}

static int flush(struct playback *play, struct xfd_error *err)
{
	size_t nr = play->nr_events;

	play->nr_events = 0;
	play->nr += nr;
	return nr ? trace_writer_put(play->writer, play->events, nr, err) : 0;
}

static int emit(struct playback *play, uint32_t vcpu, uint64_t ns, enum event_kind kind,
		uint64_t arg, struct xfd_error *err)
{
	uint64_t cycles = play->now_cycles;

	if (ns != play->now_ns) {
		cycles = to_cycles(play, ns);
		play->now_ns = ns;
		play->now_cycles = cycles;
	}
	play->events[play->nr_events++] = (struct trace_event){
		.delta_cycles = cycles - play->last_cycles[vcpu],
		.arg = arg,
		.vcpu = vcpu,
		.kind = kind,
	};
	play->last_cycles[vcpu] = cycles;
	return play->nr_events == BATCH_EVENTS ? flush(play, err) : 0;
}

static int emit_hlt(struct playback *play, uint32_t vcpu, uint64_t ns, uint64_t wake_ns,
		    struct xfd_error *err)
{
	uint64_t until = wake_ns == NEVER ? play->end_ns : wake_ns - play->start_ns;

	play->running[vcpu / 64] &= ~(UINT64_C(1) << vcpu % 64);
	return emit(play, vcpu, ns, EVENT_hlt, to_cycles(play, until) - to_cycles(play, ns), err);
}

/* What every vCPU does at time 0: boot, and fall asleep if nothing shows it awake. */
static int emit_boot(struct playback *play, struct xfd_error *err)
{
	const struct guest_cpu *cpu;
	struct projection_out boot;
	int ret = 0;

	projection_boot(&boot);
	if (play->track->source == GUESTTRACK_WRITES)
		boot.nr = 0; /* it was before the recording; the header says so */
	for (uint32_t vcpu = 0; vcpu < play->nr_vcpus && !ret; vcpu++) {
		play->running[vcpu / 64] |= UINT64_C(1) << vcpu % 64;
		for (uint32_t i = 0; i < boot.nr && !ret; i++)
			ret = emit(play, vcpu, 0, boot.kind[i], boot.arg[i], err);
		cpu = &play->track->cpus[play->cpu_of[vcpu]];
		if (!ret && cpu->slept_first)
			ret = emit_hlt(play, vcpu, 0, cpu->first_wake_ns, err);
	}
	return ret;
}

static int emit_tick(struct playback *play, uint64_t ns, uint64_t reason, int times,
		     struct xfd_error *err)
{
	uint64_t word;
	uint32_t vcpu;
	int ret = 0;

	for (uint32_t i = 0; i < CPU_WORDS; i++) {
		for (word = play->running[i]; word; word &= word - 1) {
			vcpu = i * 64 + (uint32_t)__builtin_ctzll(word);
			for (int n = 0; n < times && !ret; n++)
				ret = emit(play, vcpu, ns, EVENT_exit, reason, err);
		}
	}
	return ret;
}

static void schedule_ticks(struct playback *play)
{
	play->guest_tick_ns = play->hz ? ratio_to_ns(play->guest_tick, play->hz) : NEVER;
	play->host_tick_ns =
		play->host_hz ? ratio_to_ns(2 * play->host_tick + 1, 2 * (uint64_t)play->host_hz)
			      : NEVER;
}

/* The ticks up to and including @ns. */
static int emit_ticks(struct playback *play, uint64_t ns, struct xfd_error *err)
{
	int ret = 0;

	while (!ret && (play->guest_tick_ns <= ns || play->host_tick_ns <= ns)) {
		if (play->guest_tick_ns <= play->host_tick_ns) {
			ret = emit_tick(play, play->guest_tick_ns, EXIT_FASTPATH, 2, err);
			play->guest_tick++;
		} else {
			ret = emit_tick(play, play->host_tick_ns, EXIT_EXTERNAL_INTERRUPT, 1, err);
			play->host_tick++;
		}
		schedule_ticks(play);
	}
	return ret;
}

static int emit_record(struct playback *play, const struct spool_record *record,
		       struct xfd_error *err)
{
	uint32_t vcpu = play->vcpu_of[record->cpu];
	uint64_t ns = record->time_ns - play->start_ns;
	int ret = 0;

	if (play->guest_tick_ns <= ns || play->host_tick_ns <= ns)
		ret = emit_ticks(play, ns, err);
	if (ret)
		return ret;
	if (record->kind == EVENT_hlt)
		return emit_hlt(play, vcpu, ns, record->arg, err);
	if (record->kind == EVENT_wake)
		play->running[vcpu / 64] |= UINT64_C(1) << vcpu % 64;
	return emit(play, vcpu, ns, record->kind, record->arg, err);
}

static int play_spool(struct playback *play, void (*told)(void *data, uint64_t done), void *data,
		      struct xfd_error *err)
{
	const struct spool_record *records;
	uint64_t done = 0;
	size_t nr;
	int ret;

	schedule_ticks(play);
	ret = emit_boot(play, err);
	while (!ret) {
		ret = spool_next(play->track->spool, &records, &nr, err);
		if (ret || !nr)
			break;
		for (size_t i = 0; i < nr && !ret; i++)
			ret = emit_record(play, &records[i], err);
		done += nr;
		if (told && done / TELL_RECORDS != (done - nr) / TELL_RECORDS)
			told(data, done);
	}
	if (!ret)
		ret = emit_ticks(play, play->end_ns, err);
	return ret ? ret : flush(play, err);
}

int guesttrack_write(const struct guesttrack *track, const struct guesttrack_clock *clock,
		     struct trace_writer *writer, void (*told)(void *data, uint64_t done),
		     void *data, uint64_t *nr, struct xfd_error *err)
{
	struct playback *play = calloc(1, sizeof(*play));
	int ret;

	if (!play)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	play->track = track;
	play->writer = writer;
	play->tsc_khz = clock->tsc_khz;
	play->start_ns = clock->first_ns;
	play->end_ns = clock->last_ns - clock->first_ns;
	play->hz = clock->hz;
	play->host_hz = clock->host_hz;
	play->guest_tick = 1;
	for (uint32_t cpu = 0; cpu < TRACE_MAX_VCPUS; cpu++)
		if (track->cpus[cpu].seen) {
			play->cpu_of[play->nr_vcpus] = cpu;
			play->vcpu_of[cpu] = play->nr_vcpus++;
		}
	ret = play_spool(play, told, data, err);
	*nr = play->nr;
	free(play);
	return ret;
}
