/* SPDX-License-Identifier: MIT */
/*
 * What becomes of the events is for traces/kvmtrack.h or traces/guesttrack.h; here is which of the
 * two, for whom, and what is said about it.
 */
#include "traces/import.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "models/msr.h"
#include "traces/spool.h"
#include "traces/trace.h"

#define NS_PER_S UINT64_C(1000000000)

enum { PROGRESS_EVENTS = 65536 };

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
 * recording can be read twice. One of @host and @guest is not NULL, once the mode is chosen.
 * @settled: *@options; the clock too, once the recording is read.
 */
struct import {
	const struct import_options *options;
	struct import_options settled;
	bool takes_origin_khz;
	const struct import_progress *progress;
	struct recording *recording;
	struct taskname_table *names;
	struct spool *spool;
	struct import_report *report;
	struct kvmtrack *host;
	struct guesttrack *guest;
	struct sched_event *ahead;
	const struct recording_stats *stats;
	uint64_t max_duration_ns;
	uint32_t better_kinds;
	struct evidence *evidence;
	bool may_again;
};

void import_options_init(struct import_options *options)
{
	*options = (struct import_options){
		.hz = IMPORT_DEFAULT_HZ,
		.host_hz = IMPORT_DEFAULT_HOST_HZ,
	};
}

static void tell(const struct import *import, const char *phase, uint64_t done, uint64_t total)
{
	if (import->progress)
		import->progress->report(import->progress->data, phase, done, total);
}

/* The entries of AMD look like those of Intel, its exits do not. */
static bool shows_host(const struct evidence *e)
{
	return e->exits || (e->entries && !e->foreign);
}

static __attribute__((noinline)) void note_evidence(struct evidence *e,
						    const struct sched_event *event)
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
	if (import->host)
		return 1u << SCHED_EVENT_KVM_FOREIGN;
	return 1u << SCHED_EVENT_KVM_EXIT | 1u << SCHED_EVENT_KVM_ENTRY |
	       1u << SCHED_EVENT_MSR_WRITE | 1u << SCHED_EVENT_FPU_ACTIVATED;
}

/* Does this event allow a better mode than the beginning did, or say that it was no Intel? */
static __attribute__((noinline)) bool is_better(const struct import *import,
						const struct sched_event *event)
{
	enum import_mode mode = import->report->mode;
	struct evidence e = {.foreign = import->evidence->foreign};

	if (import->host)
		return event->kind == SCHED_EVENT_KVM_FOREIGN && !import->evidence->foreign &&
		       !import->evidence->exits;
	note_evidence(&e, event);
	return shows_host(&e) || (e.xfd_writes && mode != IMPORT_MEASURED) ||
	       (e.amx_buffers && mode == IMPORT_PROJECTED);
}

static __attribute__((noinline)) int
fail_duration(const struct import *import, const struct sched_event *event, struct xfd_error *err)
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
	if (import->better_kinds >> event->kind & 1 && is_better(import, event)) {
		note_evidence(import->evidence, event);
		return START_AGAIN;
	}
	if (import->host)
		return kvmtrack_take(import->host, event, err);
	if (event->kind != SCHED_EVENT_LOST &&
	    event->time_ns - import->stats->first_ns > import->max_duration_ns)
		return fail_duration(import, event, err);
	return guesttrack_take(import->guest, event, err);
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
	static const enum guesttrack_source sources[] = {
		[IMPORT_MEASURED] = GUESTTRACK_WRITES,
		[IMPORT_RESTORED] = GUESTTRACK_RESTORES,
		[IMPORT_PROJECTED] = GUESTTRACK_SWITCHES,
	};
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
	ret = import->report->host ? kvmtrack_new(import->spool, import->names, &import->host, err)
				   : guesttrack_new(import->spool, import->names, sources[mode],
						    &import->guest, err);
	import->better_kinds = better_kinds(import);
	return ret;
}

/* Read ahead, choose the mode, and treat what was read. */
static int begin_recording(struct import *import, bool *ended, struct xfd_error *err)
{
	size_t nr = 0;
	int ret = 1;

	import->ahead = malloc(IMPORT_LOOKAHEAD * sizeof(*import->ahead));
	if (!import->ahead)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	/* A host's VM-exit says it all. */
	while (nr < IMPORT_LOOKAHEAD && !import->evidence->exits &&
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
		{"amx_tasks", report->guest.amx_tasks},
		{"duration_ns", report->duration_ns},
		{"fpu_activated", stats->by_kind[SCHED_EVENT_FPU_ACTIVATED]},
		{"gaps", report->guest.gaps},
		{"idle_switches", report->guest.idle_switches},
		{"kernel_switches", report->guest.kernel_switches},
		{"lines", stats->lines},
		{"loss_places", stats->loss_places},
		{"lost_events", stats->lost_events},
		{"migrations", stats->by_kind[SCHED_EVENT_MIGRATE]},
		{"overwritten_events", stats->overwritten_events},
		{"restores", report->guest.restores},
		{"skipped", stats->skipped},
		{"switches", stats->by_kind[SCHED_EVENT_SWITCH]},
		{"timers", stats->by_kind[SCHED_EVENT_TIMER]},
		{"unparsed", stats->unparsed},
		{"stack_lines", stats->stack_lines},
		{"vcpus", report->nr_vcpus},
		{"xfd_writes", report->guest.xfd_writes},
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
		{"other_exits", kvm->other_exits},
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
		json_object_set_new(json, "score",
				    json_pack("{s:I, s:I, s:I}", "true_positives",
					      (json_int_t)report->guest.score.true_positives,
					      "false_positives",
					      (json_int_t)report->guest.score.false_positives,
					      "false_negatives",
					      (json_int_t)report->guest.score.false_negatives));
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
	if (import->host && kvmtrack_counts(import->host)->other_exits)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "VM-exits stand in two of the recordings that it is made of, "
				     "which --strict refuses: import one host at a time");
	return 0;
}

/* Cycles of all vCPUs together have room in what adds them up. */
static int check_length(const struct import *import, struct xfd_error *err)
{
	const struct import_report *report = import->report;

	if (playback_to_cycles(report->duration_ns, import->options->tsc_khz) <=
	    (UINT64_C(1) << 62) / report->nr_vcpus)
		return 0;
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
			     "wanted less than 2^62 cycles of all CPUs together");
}

static int finish_host(struct import *import, struct xfd_error *err)
{
	struct import_report *report = import->report;
	uint8_t flags[TRACE_MAX_VCPUS];
	struct trace_info info;
	int ret = kvmtrack_finish(import->host, report->recording.last_ns, err);

	if (!ret && report->recording.by_kind[SCHED_EVENT_KVM_FOREIGN] &&
	    !report->recording.by_kind[SCHED_EVENT_KVM_EXIT])
		return fail_foreign(import, err);
	report->kvm = *kvmtrack_counts(import->host);
	if (ret)
		return ret;
	kvmtrack_info(import->host, &info, flags);
	report->nr_vcpus = info.nr_vcpus;
	return check_length(import, err);
}

/* What the first pass has found out, beside the spool. */
static int finish_report(struct import *import, struct xfd_error *err)
{
	struct import_report *report = import->report;
	struct trace_info info;

	report->recording = *recording_stats(import->recording);
	recording_hash(import->recording, report->source_hash);
	if (import->takes_origin_khz && report->recording.origin_khz &&
	    report->recording.origin_khz <= IMPORT_MAX_TSC_KHZ)
		import->settled.tsc_khz = report->recording.origin_khz;
	report->duration_ns = report->recording.last_ns - report->recording.first_ns;
	report->recorded_ticks = report->recording.by_kind[SCHED_EVENT_TIMER] != 0;
	report->scored = report->mode == IMPORT_PROJECTED &&
			 report->recording.by_kind[SCHED_EVENT_FPU_ACTIVATED] != 0;
	report->nr_top = (uint32_t)taskname_top(import->names, report->top);
	report->nr_skipped = (uint32_t)recording_skipped(import->recording, report->skipped);
	if (import->host)
		return finish_host(import, err);
	report->guest = *guesttrack_counts(import->guest);
	if (!report->scored)
		report->guest.score = (struct guesttrack_score){0};
	/* Its own tasks are not what anybody wants to see, unless he says so. */
	if (import->options->mode != IMPORT_PROJECTED && report->mode != IMPORT_RESTORED &&
	    !report->recording.by_kind[SCHED_EVENT_MSR_WRITE] &&
	    recording_refuse_no_exits(import->recording,
				      "; --mode projected takes it for a guest's", err))
		return -EINVAL;
	if (report->mode == IMPORT_RESTORED &&
	    !report->recording.by_kind[SCHED_EVENT_FPU_ACTIVATED])
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "no load of FPU registers in the recording: record with -e "
				     "x86_fpu:x86_fpu_regs_activated, or choose another --mode");
	if (report->mode == IMPORT_PROJECTED && !report->recording.by_kind[SCHED_EVENT_SWITCH])
		return xfd_error_set(
			err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
			"no sched_switch in the recording to project from: record with "
			"-e sched:sched_switch, or choose another --mode");
	if (report->mode == IMPORT_MEASURED && !report->guest.xfd_writes)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(import->recording), 0, -1,
				     "no write of IA32_XFD in the recording: record with -e "
				     "msr:write_msr -f 'msr==0x1c4', or choose another --mode");
	guesttrack_info(import->guest, &info);
	report->nr_vcpus = info.nr_vcpus;
	return check_length(import, err);
}

static void told(void *data, uint64_t done)
{
	const struct import *import = data;

	tell(import, "writing", done, spool_count(import->spool));
}

/* The second pass. */
static int write_events(struct import *import, struct trace_writer *writer, struct xfd_error *err)
{
	struct import_report *report = import->report;
	const struct playback_goal goal = {writer, import->options->tsc_khz, told, import};
	const struct guesttrack_clock clock = {
		.first_ns = report->recording.first_ns,
		.last_ns = report->recording.last_ns,
		.hz = report->recorded_ticks ? 0 : import->options->hz,
		.host_hz = import->options->host_hz,
	};

	return import->host ? kvmtrack_write(import->host, &goal, &report->events, err)
			    : guesttrack_write(import->guest, &clock, &goal, &report->events, err);
}

static int write_trace(struct import *import, const char *path, const char *out_path,
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
	if (import->host)
		kvmtrack_info(import->host, &info, flags);
	else
		guesttrack_info(import->guest, &info);
	ret = trace_writer_open(out_path, &info, &writer, err);
	free(info.provenance);
	if (ret)
		return ret;
	ret = write_events(import, writer, err);
	if (!ret)
		return trace_writer_commit(writer, err);
	trace_writer_discard(writer);
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
	kvmtrack_free(import->host);
	free(import->ahead);
	spool_free(import->spool);
	guesttrack_free(import->guest);
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
		ret = spool_new(dir, &import->spool, err);
	if (!ret)
		ret = read_recording(import, err);
	if (!ret)
		ret = check_strict(import, err);
	if (!ret)
		ret = finish_report(import, err);
	if (!ret)
		ret = write_trace(import, paths[0], out_path, err);
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
