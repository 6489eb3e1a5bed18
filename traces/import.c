/* SPDX-License-Identifier: MIT */
/*
 * Two passes. The first reads the recording, projects it and spools what the guest does,
 * with its time. The second reads the spool back, by then knowing which CPUs there are, how
 * long each sleep lasted and whether ticks were recorded; it adds boot and ticks, turns times
 * into deltas and writes the trace. One pass would have to guess all three.
 */
#include "traces/import.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/exit_reason.h"
#include "models/msr.h"
#include "traces/projection.h"
#include "traces/spool.h"
#include "traces/trace.h"

#define NS_PER_S UINT64_C(1000000000)
#define NEVER    UINT64_MAX

enum { BLOCK_EVENTS = 4096, PROGRESS_EVENTS = 65536, CPU_WORDS = TRACE_MAX_VCPUS / 64 };

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
struct import_cpu {
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

/* What a recording holds that decides how it is imported. */
struct evidence {
	uint64_t exits;
	uint64_t entries;
	uint64_t foreign;
	uint64_t xfd_writes;
	uint64_t amx_buffers;
};

/* Of the first pass, when what the choice of the mode needs turns up behind its beginning. */
enum { START_AGAIN = 1 };

/*
 * @evidence: of the recording's beginning, and what made the import start again. @may_again: the
 * recording can be read twice. @settled: *@options; the clock too, once the recording is read.
 */
struct import {
	const struct import_options *options;
	struct import_options settled;
	bool takes_origin_khz;
	const struct import_progress *progress;
	struct recording *recording;
	struct taskname_table *names;
	struct projection *projection;
	struct spool *spool;
	struct import_report *report;
	struct kvmtrack *track;
	struct sched_event *ahead;
	const struct recording_stats *stats;
	uint64_t max_duration_ns;
	uint32_t better_kinds;
	struct evidence *evidence;
	bool may_again;
	struct import_cpu cpus[TRACE_MAX_VCPUS];
};

/*
 * The second pass. Indexed by vCPU: @cpu_of, @last_cycles; by CPU: @vcpu_of. Bit v of
 * @running: vCPU v is awake. Times are relative to the first time stamp. @guest_tick and
 * @host_tick number the next ticks. @now_cycles: of @now_ns, when an event was written last.
 */
struct playback {
	struct import *import;
	struct trace_writer *writer;
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
	uint32_t cpu_of[TRACE_MAX_VCPUS];
	uint32_t vcpu_of[TRACE_MAX_VCPUS];
	size_t nr_events;
	struct trace_event events[BLOCK_EVENTS];
};

void import_options_init(struct import_options *options)
{
	*options = (struct import_options){
		.hz = IMPORT_DEFAULT_HZ,
		.host_hz = IMPORT_DEFAULT_HOST_HZ,
	};
}

/* floor(n / d * 10^9) without overflow. */
static uint64_t ratio_to_ns(uint64_t n, uint64_t d)
{
	return n / d * NS_PER_S + n % d * NS_PER_S / d;
}

/* floor(ns * tsc_khz / 10^6), of absolute times so that rounding does not add up. */
static uint64_t to_cycles(const struct import *import, uint64_t ns)
{
	uint64_t khz = import->options->tsc_khz;

	return ns / 1000000 * khz + ns % 1000000 * khz / 1000000;
}

static void tell(const struct import *import, const char *phase, uint64_t done, uint64_t total)
{
	if (import->progress)
		import->progress->report(import->progress->data, phase, done, total);
}

static int spool_event(struct import *import, uint64_t time_ns, uint32_t cpu, enum event_kind kind,
		       uint64_t arg, struct xfd_error *err)
{
	struct spool_record record = {.time_ns = time_ns, .arg = arg, .cpu = cpu, .kind = kind};

	return spool_add(import->spool, &record, err);
}

static int spool_out(struct import *import, uint64_t time_ns, uint32_t cpu,
		     const struct projection_out *out, struct xfd_error *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < out->nr && !ret; i++)
		ret = spool_event(import, time_ns, cpu, out->kind[i], out->arg[i], err);
	return ret;
}

/* Until it wakes a sleep lasts to the end of the recording. */
static int fall_asleep(struct import *import, uint64_t time_ns, uint32_t cpu, struct xfd_error *err)
{
	struct spool_record record = {
		.time_ns = time_ns, .arg = NEVER, .cpu = cpu, .kind = EVENT_hlt};

	import->cpus[cpu].halted = true;
	return spool_add_open(import->spool, &record, &import->cpus[cpu].hlt_place, err);
}

static int wake_up(struct import *import, uint64_t time_ns, uint32_t cpu, struct xfd_error *err)
{
	struct import_cpu *state = &import->cpus[cpu];
	int ret = 0;

	state->halted = false;
	if (state->hlt_place == NEVER)
		state->first_wake_ns = time_ns;
	else
		ret = spool_patch(import->spool, state->hlt_place, time_ns, err);
	if (ret)
		return ret;
	return spool_event(import, time_ns, cpu, EVENT_wake, EVENT_SAME_PCPU, err);
}

/* A line shows that @pid ran on its CPU. An idle task that leaves at once did not sleep. */
static int see_running(struct import *import, const struct sched_event *event, uint32_t pid,
		       struct xfd_error *err)
{
	struct import_cpu *cpu = &import->cpus[event->cpu];

	if (!cpu->seen) {
		cpu->seen = true;
		cpu->halted = cpu->slept_first = !pid;
		cpu->first_wake_ns = cpu->hlt_place = NEVER;
		return 0;
	}
	if (pid && cpu->halted)
		return wake_up(import, event->time_ns, event->cpu, err);
	if (!pid && !cpu->halted && event->kind != SCHED_EVENT_SWITCH)
		return fall_asleep(import, event->time_ns, event->cpu, err);
	return 0;
}

static void close_score(struct import *import, struct import_cpu *cpu)
{
	struct import_score *score = &import->report->score;

	if (!cpu->scoring)
		return;
	score->true_positives += cpu->predicted && cpu->activated;
	score->false_positives += cpu->predicted && !cpu->activated;
	score->false_negatives += !cpu->predicted && cpu->activated;
	cpu->scoring = false;
}

static int leave(struct import *import, const struct sched_event *event, struct xfd_error *err)
{
	struct guest_task *task = projection_task(import->projection, event->prev_pid, err);

	if (!task)
		return -EIO;
	task->name = taskname_get(import->names, event->prev_comm, task->name);
	if (!task->name->kernel)
		projection_switch_out(task, event->cpu);
	if (event->prev_dead)
		projection_forget(import->projection, event->prev_pid);
	return 0;
}

/* Spool and count what a projection gave. */
static int use(struct import *import, const struct sched_event *event,
	       const struct projection_out *out, struct xfd_error *err)
{
	import->report->restores += out->restored;
	import->report->xfd_writes += out->nr_writes;
	import->report->amx_tasks += out->first_use;
	return spool_out(import, event->time_ns, event->cpu, out, err);
}

static int enter(struct import *import, const struct sched_event *event, struct xfd_error *err)
{
	struct guest_task *task = projection_task(import->projection, event->next_pid, err);
	struct import_cpu *cpu = &import->cpus[event->cpu];
	struct projection_out out;

	if (!task)
		return -EIO;
	task->name = taskname_get(import->names, event->next_comm, task->name);
	if (task->name->kernel) {
		import->report->kernel_switches++;
		return 0;
	}
	task->name->switch_ins++;
	if (import->report->mode != IMPORT_PROJECTED)
		return 0;
	projection_switch_in(import->projection, event->cpu, task,
			     taskname_uses_amx(import->names, task->name, event->next_pid), &out);
	cpu->scoring = true;
	cpu->scored_pid = event->next_pid;
	cpu->predicted = out.restored;
	cpu->activated = false;
	return use(import, event, &out, err);
}

static int take_switch(struct import *import, const struct sched_event *event,
		       struct xfd_error *err)
{
	struct import_cpu *cpu = &import->cpus[event->cpu];
	int ret = see_running(import, event, event->prev_pid, err);

	import->report->gaps += cpu->current_known && cpu->current != event->prev_pid;
	cpu->current = event->next_pid;
	cpu->current_known = true;
	close_score(import, cpu);
	if (!ret && event->prev_pid)
		ret = leave(import, event, err);
	if (ret)
		return ret;
	if (!event->next_pid) {
		import->report->idle_switches++;
		return cpu->halted ? 0 : fall_asleep(import, event->time_ns, event->cpu, err);
	}
	if (cpu->halted)
		ret = wake_up(import, event->time_ns, event->cpu, err);
	return ret ? ret : enter(import, event, err);
}

static int take_timer(struct import *import, const struct sched_event *event, struct xfd_error *err)
{
	int ret = 0;

	for (int i = 0; i < 2 && !ret && !import->cpus[event->cpu].halted; i++)
		ret = spool_event(import, event->time_ns, event->cpu, EVENT_exit, EXIT_FASTPATH,
				  err);
	return ret;
}

/* A recorded load of registers: the score of a projection, or itself. */
static int take_activation(struct import *import, const struct sched_event *event,
			   struct xfd_error *err)
{
	struct import_cpu *cpu = &import->cpus[event->cpu];
	struct projection_out out;
	struct guest_task *task;
	bool amx = event->amx_buffer;

	if (import->report->mode == IMPORT_PROJECTED) {
		if (cpu->scoring && cpu->scored_pid == event->pid)
			cpu->activated = true;
		else
			import->report->score.recall_outside++;
		return 0;
	}
	if (import->report->mode != IMPORT_RESTORED || !event->pid)
		return 0;
	task = projection_task(import->projection, event->pid, err);
	if (!task)
		return -EIO;
	amx |= task->name && taskname_uses_amx(import->names, task->name, event->pid);
	projection_restored(import->projection, event->cpu, task, amx, &out);
	return use(import, event, &out, err);
}

static int take_msr(struct import *import, const struct sched_event *event, struct xfd_error *err)
{
	bool write = event->kind == SCHED_EVENT_MSR_WRITE;
	struct projection_out out;

	if (event->msr != MSR_IA32_XFD && event->msr != MSR_IA32_XFD_ERR)
		return 0;
	if (import->report->mode != IMPORT_MEASURED) {
		import->report->unused_writes += write && event->msr == MSR_IA32_XFD;
		return 0;
	}
	if (event->msr == MSR_IA32_XFD_ERR)
		projection_xfd_err(&out, write, event->value);
	else if (write)
		projection_wrote(import->projection, event->cpu, event->value, event->failed, &out);
	else
		return spool_event(import, event->time_ns, event->cpu, EVENT_rdxfd, 0, err);
	return use(import, event, &out, err);
}

/* The entries of AMD look like those of Intel, its exits do not. */
static bool shows_host(const struct evidence *e)
{
	return e->exits || (e->entries && !e->foreign);
}

static void note_evidence(struct evidence *e, const struct sched_event *event)
{
	e->exits += !event->source && event->kind == SCHED_EVENT_KVM_EXIT;
	e->entries += !event->source && event->kind == SCHED_EVENT_KVM_ENTRY;
	e->foreign += event->kind == SCHED_EVENT_KVM_FOREIGN;
	e->xfd_writes += event->kind == SCHED_EVENT_MSR_WRITE && event->msr == MSR_IA32_XFD;
	e->amx_buffers += event->kind == SCHED_EVENT_FPU_ACTIVATED && event->amx_buffer;
}

/* Bit k: events of kind k are for is_better(). */
static uint32_t better_kinds(const struct import *import)
{
	enum import_mode asked = import->options->mode;

	if (!import->may_again || asked == IMPORT_RESTORED || asked == IMPORT_PROJECTED)
		return 0;
	if (import->track)
		return 1u << SCHED_EVENT_KVM_FOREIGN;
	return 1u << SCHED_EVENT_KVM_EXIT | 1u << SCHED_EVENT_KVM_ENTRY |
	       1u << SCHED_EVENT_MSR_WRITE | 1u << SCHED_EVENT_FPU_ACTIVATED;
}

/* Does this event allow a better mode than the beginning did, or say that it was no Intel? */
static bool is_better(const struct import *import, const struct sched_event *event)
{
	enum import_mode mode = import->report->mode;
	struct evidence e = {.foreign = import->evidence->foreign};

	if (import->track)
		return event->kind == SCHED_EVENT_KVM_FOREIGN && !import->evidence->foreign &&
		       !import->evidence->exits;
	note_evidence(&e, event);
	return shows_host(&e) || (e.xfd_writes && mode != IMPORT_MEASURED) ||
	       (e.amx_buffers && mode == IMPORT_PROJECTED);
}

static int fail_duration(const struct import *import, const struct sched_event *event,
			 struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording),
			     recording_line(import->recording), -1,
			     "wanted a recording of less than 2^60 cycles; %" PRIu64
			     " s have passed at %" PRIu64 " kHz",
			     (event->time_ns - import->stats->first_ns) / NS_PER_S,
			     import->options->tsc_khz);
}

static int take_event(struct import *import, const struct sched_event *event, struct xfd_error *err)
{
	struct import_cpu *cpu = &import->cpus[event->cpu];
	int ret;

	if (import->better_kinds >> event->kind & 1 && is_better(import, event)) {
		note_evidence(import->evidence, event);
		return START_AGAIN;
	}
	if (import->track)
		return kvmtrack_take(import->track, event, err);
	if (event->kind == SCHED_EVENT_LOST) {
		projection_lose(import->projection, event->cpu);
		cpu->current_known = cpu->scoring = false;
		return 0;
	}
	if (event->time_ns - import->stats->first_ns > import->max_duration_ns)
		return fail_duration(import, event, err);
	if (event->kind == SCHED_EVENT_SWITCH)
		return take_switch(import, event, err);
	ret = see_running(import, event, event->pid, err);
	if (ret)
		return ret;
	if (event->kind == SCHED_EVENT_TIMER)
		return take_timer(import, event, err);
	if (event->kind == SCHED_EVENT_FPU_ACTIVATED)
		return take_activation(import, event, err);
	if (event->kind == SCHED_EVENT_MSR_WRITE || event->kind == SCHED_EVENT_MSR_READ)
		return take_msr(import, event, err);
	return 0;
}

static int fail_foreign(const struct import *import, struct xfd_error *err)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
			     "its VM-exits are not those of an Intel processor (arm64 or AMD), "
			     "nothing of IA32_XFD can be measured; its schedule can be used "
			     "with --mode projected");
}

static int choose_mode(struct import *import, struct xfd_error *err)
{
	const struct recording_stats *stats = recording_stats(import->recording);
	const struct evidence *e = import->evidence;
	enum import_mode mode = import->options->mode;
	int ret;

	if (mode == IMPORT_AUTO)
		mode = shows_host(e) || e->xfd_writes ? IMPORT_MEASURED
		       : e->amx_buffers               ? IMPORT_RESTORED
						      : IMPORT_PROJECTED;
	import->report->mode = mode;
	import->report->host = mode == IMPORT_MEASURED && shows_host(e);
	if (mode == IMPORT_MEASURED && stats->bits == 32)
		return xfd_error_set(
			err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
			"recorded on a 32-bit kernel, which has no AMX to measure; its "
			"schedule can be used with --mode projected");
	if (mode == IMPORT_MEASURED && !shows_host(e) && e->foreign)
		return fail_foreign(import, err);
	if (import->report->host &&
	    (ret = kvmtrack_new(import->spool, import->names, &import->track, err)))
		return ret;
	import->better_kinds = better_kinds(import);
	return 0;
}

/* Read ahead, choose the mode, and treat what was read. */
static int begin_recording(struct import *import, bool *ended, struct xfd_error *err)
{
	size_t nr = 0;
	int ret = 1;

	import->ahead = malloc(IMPORT_LOOKAHEAD * sizeof(*import->ahead));
	if (!import->ahead)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	while (nr < IMPORT_LOOKAHEAD &&
	       (ret = recording_next(import->recording, &import->ahead[nr], err)) > 0)
		note_evidence(import->evidence, &import->ahead[nr++]);
	if (ret < 0)
		return ret;
	*ended = !ret;
	ret = choose_mode(import, err);
	for (size_t i = 0; i < nr && !ret; i++)
		ret = take_event(import, &import->ahead[i], err);
	return ret;
}

static int read_recording(struct import *import, struct xfd_error *err)
{
	struct sched_event event;
	uint64_t done, total;
	bool ended = false;
	int ret = begin_recording(import, &ended, err);

	if (ret || ended)
		return ret;
	for (uint64_t nr = 1; (ret = recording_next(import->recording, &event, err)) > 0; nr++) {
		ret = take_event(import, &event, err);
		if (ret)
			return ret;
		if (nr % PROGRESS_EVENTS)
			continue;
		recording_progress(import->recording, &done, &total);
		tell(import, "reading", done, total);
	}
	return ret;
}

static int flush(struct playback *play, struct xfd_error *err)
{
	size_t nr = play->nr_events;

	play->nr_events = 0;
	play->import->report->events += nr;
	return nr ? trace_writer_put(play->writer, play->events, nr, err) : 0;
}

static int emit(struct playback *play, uint32_t vcpu, uint64_t ns, enum event_kind kind,
		uint64_t arg, struct xfd_error *err)
{
	uint64_t cycles = play->now_cycles;

	if (ns != play->now_ns) {
		cycles = to_cycles(play->import, ns);
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
	return play->nr_events == BLOCK_EVENTS ? flush(play, err) : 0;
}

static int emit_hlt(struct playback *play, uint32_t vcpu, uint64_t ns, uint64_t wake_ns,
		    struct xfd_error *err)
{
	uint64_t until = wake_ns == NEVER ? play->end_ns : wake_ns - play->start_ns;

	play->running[vcpu / 64] &= ~(UINT64_C(1) << vcpu % 64);
	return emit(play, vcpu, ns, EVENT_hlt,
		    to_cycles(play->import, until) - to_cycles(play->import, ns), err);
}

/* What every vCPU does at time 0: boot, and fall asleep if nothing shows it awake. */
static int emit_boot(struct playback *play, struct xfd_error *err)
{
	const struct import_cpu *cpu;
	struct projection_out boot;
	int ret = 0;

	projection_boot(&boot);
	if (play->import->report->mode == IMPORT_MEASURED)
		boot.nr = 0; /* it was before the recording; the header says so */
	for (uint32_t vcpu = 0; vcpu < play->import->report->nr_vcpus && !ret; vcpu++) {
		play->running[vcpu / 64] |= UINT64_C(1) << vcpu % 64;
		for (uint32_t i = 0; i < boot.nr && !ret; i++)
			ret = emit(play, vcpu, 0, boot.kind[i], boot.arg[i], err);
		cpu = &play->import->cpus[play->cpu_of[vcpu]];
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

static int play_spool(struct playback *play, struct xfd_error *err)
{
	const struct import *import = play->import;
	const struct spool_record *records;
	uint64_t done = 0;
	size_t nr;
	int ret;

	schedule_ticks(play);
	ret = emit_boot(play, err);
	while (!ret) {
		ret = spool_next(import->spool, &records, &nr, err);
		if (ret || !nr)
			break;
		for (size_t i = 0; i < nr && !ret; i++)
			ret = emit_record(play, &records[i], err);
		done += nr;
		if (done / PROGRESS_EVENTS != (done - nr) / PROGRESS_EVENTS)
			tell(import, "writing", done, spool_count(import->spool));
	}
	if (!ret)
		ret = emit_ticks(play, play->end_ns, err);
	return ret ? ret : flush(play, err);
}

/* File names are bytes; JSON wants UTF-8. */
static json_t *json_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy;

	if (json)
		return json;
	copy = strdup(text);
	for (char *p = copy; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	json = copy ? json_string(copy) : NULL;
	free(copy);
	return json;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!strcmp(path, "-"))
		return "standard input";
	return slash ? slash + 1 : path;
}

static json_t *counts_to_json(const struct import_report *report)
{
	const struct recording_stats *stats = &report->recording;
	json_t *counts = json_object();
	const struct {
		const char *name;
		uint64_t count;
	} rows[] = {
		{"amx_tasks", report->amx_tasks},
		{"duration_ns", report->duration_ns},
		{"fpu_activated", stats->fpu_activated},
		{"gaps", report->gaps},
		{"idle_switches", report->idle_switches},
		{"kernel_switches", report->kernel_switches},
		{"lines", stats->lines},
		{"loss_places", stats->loss_places},
		{"lost_events", stats->lost_events},
		{"migrations", stats->migrations},
		{"overwritten_events", stats->overwritten_events},
		{"restores", report->restores},
		{"skipped", stats->skipped},
		{"switches", stats->switches},
		{"timers", stats->timers},
		{"unparsed", stats->unparsed},
		{"stack_lines", stats->stack_lines},
		{"vcpus", report->nr_vcpus},
		{"xfd_writes", report->xfd_writes},
	};

	/* 2^63 of anything would need a recording of exabytes; a hostile loss mark may say so. */
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(counts, rows[i].name,
				    json_integer((json_int_t)(rows[i].count & INT64_MAX)));
	return counts;
}

static json_t *kvm_to_json(const struct kvmtrack_counts *kvm)
{
	json_t *counts = json_object();
	const struct {
		const char *name;
		uint64_t count;
	} rows[] = {
		{"exits", kvm->exits},
		{"failed_entries", kvm->failed_entries},
		{"fastpath", kvm->fastpath},
		{"guest_ns", kvm->guest_ns},
		{"guest_writes", kvm->guest_writes},
		{"halts", kvm->halts},
		{"handler_preempts", kvm->handler_preempts},
		{"host_ns", kvm->host_ns},
		{"host_writes", kvm->host_writes},
		{"moves", kvm->moves},
		{"nm", kvm->nm},
		{"off_ns", kvm->off_ns},
		{"preempts", kvm->preempts},
		{"sample_mismatches", kvm->sample_mismatches},
		{"sampled_writes", kvm->sampled_writes},
		{"unknown_msrs", kvm->unknown_msrs},
		{"unknown_reasons", kvm->unknown_reasons},
		{"unknown_vectors", kvm->unknown_vectors},
		{"userspace", kvm->userspace},
		{"vms", kvm->vms},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		json_object_set_new(counts, rows[i].name,
				    json_integer((json_int_t)(rows[i].count & INT64_MAX)));
	return counts;
}

static char *make_provenance(const char *path, const struct import_options *options,
			     const struct import_report *report)
{
	const char *amx_tasks = options->amx_tasks ? options->amx_tasks : "";
	static const char *const grades[] = {
		[IMPORT_MEASURED] = "measured: accesses of IA32_XFD were recorded",
		[IMPORT_RESTORED] = "estimate: writes follow from recorded FPU restores",
		[IMPORT_PROJECTED] = "estimate: projected from scheduler events",
	};
	const char *origin = report->recording.origin;
	json_t *json =
		json_pack("{s:s, s:s, s:s, s:s, s:o*, s:b}", "mode",
			  origin ? origin : import_mode_name(report->mode), "tool",
			  "xfdsim import " XFDSIM_VERSION, "grade",
			  origin ? "as the trace that was exported" : grades[report->mode],
			  "source_hash", report->source_hash, "source", json_text(base_name(path)),
			  "recorded_ticks", report->recorded_ticks);
	char *text;

	json_object_set_new(json, "options",
			    json_pack("{s:o*, s:I, s:I, s:I}", "amx_tasks", json_text(amx_tasks),
				      "hz", (json_int_t)options->hz, "host_hz",
				      (json_int_t)options->host_hz, "tsc_khz",
				      (json_int_t)options->tsc_khz));
	json_object_set_new(json, "counts", counts_to_json(report));
	json_object_set_new(json, "format", json_string(report->recording.format));
	if (report->host)
		json_object_set_new(json, "kvm", kvm_to_json(&report->kvm));
	if (report->scored)
		json_object_set_new(
			json, "score",
			json_pack("{s:I, s:I, s:I}", "true_positives",
				  (json_int_t)report->score.true_positives, "false_positives",
				  (json_int_t)report->score.false_positives, "false_negatives",
				  (json_int_t)report->score.false_negatives));
	text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(json);
	return text;
}

static int check_options(const struct import_options *options, struct xfd_error *err)
{
	if (options->hz > IMPORT_MAX_HZ || options->host_hz > IMPORT_MAX_HZ)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted ticks of 0 to %d Hz", IMPORT_MAX_HZ);
	if (options->tsc_khz > IMPORT_MAX_TSC_KHZ)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted a TSC of at most %d kHz", IMPORT_MAX_TSC_KHZ);
	return 0;
}

const char *import_mode_name(enum import_mode mode)
{
	static const char *const names[] = {
		[IMPORT_AUTO] = "auto",
		[IMPORT_MEASURED] = "measured",
		[IMPORT_RESTORED] = "restored",
		[IMPORT_PROJECTED] = "projected",
	};

	return names[mode];
}

/* --strict: nothing that was lost or not understood. */
static int check_strict(const struct import *import, struct xfd_error *err)
{
	const struct recording_stats *stats = recording_stats(import->recording);

	if (!import->options->strict)
		return 0;
	if (stats->loss_places || stats->overwritten_events)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "lost events in %" PRIu64 " places (%s%" PRIu64
				     " counted, %" PRIu64 " overwritten), which --strict refuses; "
				     "record with a larger buffer",
				     stats->loss_places, stats->uncounted_losses ? "at least " : "",
				     stats->lost_events, stats->overwritten_events);
	if (stats->cut)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording),
				     stats->lines, -1,
				     "the last line is cut off, which --strict refuses");
	if (stats->unparsed)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "%" PRIu64 " lines cannot be read, which --strict refuses",
				     stats->unparsed);
	return 0;
}

static int finish_host(struct import *import, struct xfd_error *err)
{
	struct import_report *report = import->report;
	uint8_t flags[TRACE_MAX_VCPUS];
	struct trace_info info;
	int ret = kvmtrack_finish(import->track, report->recording.last_ns, err);

	if (!ret && report->recording.by_kind[SCHED_EVENT_KVM_FOREIGN] &&
	    !report->recording.by_kind[SCHED_EVENT_KVM_EXIT])
		return fail_foreign(import, err);
	report->kvm = *kvmtrack_counts(import->track);
	if (ret)
		return ret;
	kvmtrack_info(import->track, &info, flags);
	report->nr_vcpus = info.nr_vcpus;
	if (to_cycles(import, report->duration_ns) > (UINT64_C(1) << 62) / report->nr_vcpus)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "wanted less than 2^62 cycles of all CPUs together");
	return 0;
}

/* What the first pass has found out, beside the spool. */
static int finish_report(struct import *import, struct xfd_error *err)
{
	struct import_report *report = import->report;

	report->recording = *recording_stats(import->recording);
	recording_hash(import->recording, report->source_hash);
	if (import->takes_origin_khz && report->recording.origin_khz &&
	    report->recording.origin_khz <= IMPORT_MAX_TSC_KHZ)
		import->settled.tsc_khz = report->recording.origin_khz;
	report->duration_ns = report->recording.last_ns - report->recording.first_ns;
	report->recorded_ticks = report->recording.timers != 0;
	report->scored = report->mode == IMPORT_PROJECTED && report->recording.fpu_activated != 0;
	if (!report->scored)
		report->score = (struct import_score){0};
	report->nr_top = (uint32_t)taskname_top(import->names, report->top);
	report->nr_skipped = (uint32_t)recording_skipped(import->recording, report->skipped);
	if (import->track)
		return finish_host(import, err);
	/* Its own tasks are not what anybody wants to see, unless he says so. */
	if (import->options->mode != IMPORT_PROJECTED && report->mode != IMPORT_RESTORED &&
	    !report->recording.by_kind[SCHED_EVENT_MSR_WRITE] &&
	    recording_kvm_events(&report->recording))
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     RECORDING_NO_EXITS "; --mode projected takes it for a guest's",
				     recording_kvm_events(&report->recording));
	if (report->mode == IMPORT_RESTORED && !report->recording.fpu_activated)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "no load of FPU registers in the recording: record with -e "
				     "x86_fpu:x86_fpu_regs_activated, or choose another --mode");
	if (report->mode == IMPORT_PROJECTED && !report->recording.switches)
		return xfd_error_set(
			err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
			"no sched_switch in the recording to project from: record with "
			"-e sched:sched_switch, or choose another --mode");
	if (report->mode == IMPORT_MEASURED && !report->xfd_writes)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "no write of IA32_XFD in the recording: record with -e "
				     "msr:write_msr -f 'msr==0x1c4', or choose another --mode");
	for (uint32_t cpu = 0; cpu < TRACE_MAX_VCPUS; cpu++)
		report->nr_vcpus += import->cpus[cpu].seen;
	if (to_cycles(import, report->duration_ns) > (UINT64_C(1) << 62) / report->nr_vcpus)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "wanted less than 2^62 cycles of all CPUs together");
	return 0;
}

static int write_host_trace(struct import *import, const char *path, const char *out_path,
			    struct xfd_error *err)
{
	uint8_t flags[TRACE_MAX_VCPUS] = {0};
	struct trace_info info = {
		.tsc_khz = import->options->tsc_khz,
		.vcpu_flags = flags,
		.provenance = make_provenance(path, import->options, import->report),
	};
	struct trace_writer *writer;
	int ret;

	if (!info.provenance)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, out_path, 0, -1, "out of memory");
	kvmtrack_info(import->track, &info, flags);
	ret = trace_writer_open(out_path, &info, &writer, err);
	free(info.provenance);
	if (ret)
		return ret;
	ret = kvmtrack_write(import->track, info.tsc_khz, writer, &import->report->events, err);
	if (!ret)
		return trace_writer_commit(writer, err);
	trace_writer_discard(writer);
	return ret;
}

static int write_trace(struct import *import, const char *path, const char *out_path,
		       struct xfd_error *err)
{
	struct import_report *report = import->report;
	uint8_t flags[TRACE_MAX_VCPUS] = {0};
	struct trace_info info = {
		.tsc_khz = import->options->tsc_khz,
		.nr_vcpus = report->nr_vcpus,
		.nr_pcpus = report->nr_vcpus,
		.armed_start = report->mode == IMPORT_MEASURED,
		.vcpu_flags = flags,
		.provenance = make_provenance(path, import->options, report),
	};
	struct playback *play = calloc(1, sizeof(*play));
	int ret;

	if (!play || !info.provenance) {
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, out_path, 0, -1, "out of memory");
		goto out;
	}
	play->import = import;
	play->start_ns = report->recording.first_ns;
	play->end_ns = report->duration_ns;
	play->hz = report->recorded_ticks ? 0 : import->options->hz;
	play->host_hz = import->options->host_hz;
	play->guest_tick = 1;
	for (uint32_t cpu = 0, vcpu = 0; cpu < TRACE_MAX_VCPUS; cpu++)
		if (import->cpus[cpu].seen) {
			play->cpu_of[vcpu] = cpu;
			play->vcpu_of[cpu] = vcpu++;
		}
	ret = trace_writer_open(out_path, &info, &play->writer, err);
	if (ret)
		goto out;
	ret = play_spool(play, err);
	if (ret)
		trace_writer_discard(play->writer);
	else
		ret = trace_writer_commit(play->writer, err);
out:
	free(play);
	free(info.provenance);
	return ret;
}

/* TMPDIR, or where the output goes if that is a directory of files. Caller frees. */
static char *spool_dir(const char *out_path)
{
	const char *dir = getenv("TMPDIR");
	const char *slash = strrchr(out_path, '/');
	struct stat st;

	if (dir && *dir)
		return strdup(dir);
	if (!strcmp(out_path, "-") || (!stat(out_path, &st) && !S_ISREG(st.st_mode)))
		return strdup("/tmp");
	if (!slash)
		return strdup(".");
	return strndup(out_path, slash == out_path ? 1 : (size_t)(slash - out_path));
}

/* NULL without memory, like everything that malloc() gives. */
static struct import *import_new(const struct import_options *options, struct import_report *report,
				 const struct import_progress *progress)
{
	struct import *import = calloc(1, sizeof(*import));
	uint64_t max_ms;

	if (!import)
		return NULL;
	import->settled = *options;
	if (!options->tsc_khz)
		import->settled.tsc_khz = IMPORT_DEFAULT_TSC_KHZ;
	import->takes_origin_khz = !options->tsc_khz;
	import->options = &import->settled;
	import->report = report;
	import->progress = progress;
	max_ms = (UINT64_C(1) << 60) / import->settled.tsc_khz;
	import->max_duration_ns = max_ms > INT64_MAX / 1000000 ? INT64_MAX : max_ms * 1000000;
	return import;
}

static void import_free(struct import *import)
{
	if (!import)
		return;
	kvmtrack_free(import->track);
	free(import->ahead);
	spool_free(import->spool);
	projection_free(import->projection);
	taskname_table_free(import->names);
	recording_close(import->recording);
	free(import);
}

/* Standard input and pipes are gone once they are read. */
static bool can_read_twice(const char *const *paths, size_t nr)
{
	struct stat st;

	for (size_t i = 0; i < nr; i++)
		if (!strcmp(paths[i], "-") || stat(paths[i], &st) || !S_ISREG(st.st_mode))
			return false;
	return true;
}

static int run(struct import *import, const char *const *paths, size_t nr, const char *out_path,
	       struct xfd_error *err)
{
	char *dir = spool_dir(out_path);
	int ret = dir ? 0 : xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");

	if (!ret)
		ret = taskname_table_new(import->options->amx_tasks, &import->names, err);
	if (!ret)
		ret = recording_open_many(paths, nr, &import->recording, err);
	if (!ret)
		import->stats = recording_stats(import->recording);
	if (!ret)
		ret = projection_new(&import->projection, err);
	if (!ret)
		ret = spool_new(dir, &import->spool, err);
	if (!ret)
		ret = read_recording(import, err);
	if (!ret)
		ret = check_strict(import, err);
	if (!ret)
		ret = finish_report(import, err);
	if (!ret)
		ret = import->track ? write_host_trace(import, paths[0], out_path, err)
				    : write_trace(import, paths[0], out_path, err);
	free(dir);
	return ret;
}

int import_recordings(const char *const *paths, size_t nr, const struct import_options *options,
		      const char *out_path, struct import_report *report,
		      const struct import_progress *progress, struct xfd_error *err)
{
	struct evidence evidence = {0};
	struct import *import;
	int ret = check_options(options, err);

	if (ret)
		return ret;
	/*
	 * Modes only get better, so this ends: projected, restored, measured, of a host. Entries
	 * without exits stop counting at the first foreign exit, which happens once.
	 */
	do {
		memset(report, 0, sizeof(*report));
		import = import_new(options, report, progress);
		if (!import)
			return xfd_error_set(err, XFD_ERROR_SYSTEM, paths[0], 0, -1,
					     "out of memory");
		import->evidence = &evidence;
		import->may_again = can_read_twice(paths, nr);
		ret = run(import, paths, nr, out_path, err);
		import_free(import);
	} while (ret == START_AGAIN);
	return ret;
}

int import_recording(const char *path, const struct import_options *options, const char *out_path,
		     struct import_report *report, const struct import_progress *progress,
		     struct xfd_error *err)
{
	return import_recordings(&path, 1, options, out_path, report, progress, err);
}
