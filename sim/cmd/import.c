/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/table.h"
#include "traces/import.h"

enum { OPT_HZ = 0x100, OPT_HOST_HZ, OPT_TSC_KHZ, OPT_MODE, OPT_STRICT, OPT_JSON };

struct args {
	struct import_options options;
	const char *recordings[RECORDING_MAX_SOURCES];
	size_t nr_recordings;
	const char *output;
	bool json;
};

static enum import_mode parse_mode(struct argp_state *state, const char *name)
{
	for (int mode = IMPORT_AUTO; mode <= IMPORT_PROJECTED; mode++)
		if (!strcmp(name, import_mode_name((enum import_mode)mode)))
			return (enum import_mode)mode;
	cli_usage(state, "--mode is auto, measured, restored or projected, not '%s'", name);
	return IMPORT_AUTO;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'a':
		args->options.amx_tasks = arg;
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case OPT_HZ:
		args->options.hz = (uint32_t)cli_number(state, "--hz", arg, 0, IMPORT_MAX_HZ);
		return 0;
	case OPT_HOST_HZ:
		args->options.host_hz =
			(uint32_t)cli_number(state, "--host-hz", arg, 0, IMPORT_MAX_HZ);
		return 0;
	case OPT_TSC_KHZ:
		args->options.tsc_khz = cli_number(state, "--tsc-khz", arg, 1, 100000000);
		return 0;
	case OPT_MODE:
		args->options.mode = parse_mode(state, arg);
		return 0;
	case OPT_STRICT:
		args->options.strict = true;
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->nr_recordings == RECORDING_MAX_SOURCES)
			cli_usage(state, "at most %d recordings at a time", RECORDING_MAX_SOURCES);
		args->recordings[args->nr_recordings++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->nr_recordings)
			cli_usage(state, "which recording?");
		if (!args->output && !strcmp(args->recordings[0], "-"))
			cli_usage(state,
				  "standard input has no name to make one from: add -o FILE.xft");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* dir/web.ftrace.zst becomes web.xft in the working directory; malloc'd. */
static char *default_output(const char *recording)
{
	static const char *const suffixes[] = {".zst",   ".gz",  ".ftrace", ".txt",
					       ".trace", ".dat", ".perf"};
	const char *slash = strrchr(recording, '/');
	char *name = strdup(slash ? slash + 1 : recording), *full = NULL;

	for (size_t i = 0; name && i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		size_t len = strlen(name), cut = strlen(suffixes[i]);

		if (len > cut && !strcmp(name + len - cut, suffixes[i]))
			name[len - cut] = '\0';
	}
	if (!name || asprintf(&full, "%s.xft", name) < 0)
		full = NULL;
	free(name);
	return full;
}

static void report_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	(void)data;
	cli_progress((void *)phase, done, total);
}

static double ratio(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static json_t *kvm_json(const struct import_report *r)
{
	const struct kvmtrack_counts *k = &r->kvm;

	if (!r->host)
		return json_null();
	return json_pack("{so so so so so so so so so so so so so so so so so so so so si}",
			 "exits", cli_uint(k->exits), "fastpath", cli_uint(k->fastpath),
			 "userspace", cli_uint(k->userspace), "halts", cli_uint(k->halts),
			 "preempts", cli_uint(k->preempts), "handler_preempts",
			 cli_uint(k->handler_preempts), "moves", cli_uint(k->moves),
			 "failed_entries", cli_uint(k->failed_entries), "host_writes",
			 cli_uint(k->host_writes), "guest_writes", cli_uint(k->guest_writes),
			 "sampled_writes", cli_uint(k->sampled_writes), "sample_mismatches",
			 cli_uint(k->sample_mismatches), "nm", cli_uint(k->nm), "unknown_vectors",
			 cli_uint(k->unknown_vectors), "unknown_msrs", cli_uint(k->unknown_msrs),
			 "unknown_reasons", cli_uint(k->unknown_reasons), "other_exits",
			 cli_uint(k->other_exits), "guest_ns", cli_uint(k->guest_ns), "host_ns",
			 cli_uint(k->host_ns), "off_ns", cli_uint(k->off_ns), "vms", (int)k->vms);
}

static json_t *score_json(const struct import_report *r)
{
	const struct guesttrack_score *s = &r->guest.score;

	if (!r->scored)
		return json_null();
	return json_pack("{so so so so sf sf}", "true_positives", cli_uint(s->true_positives),
			 "false_positives", cli_uint(s->false_positives), "false_negatives",
			 cli_uint(s->false_negatives), "recorded_outside_switches",
			 cli_uint(s->recall_outside), "precision",
			 ratio(s->true_positives, s->true_positives + s->false_positives), "recall",
			 ratio(s->true_positives, s->true_positives + s->false_negatives));
}

static void print_json(struct cli_output *out, const struct args *args, const char *output,
		       const struct import_report *r)
{
	json_t *skipped = json_object();

	for (uint32_t i = 0; i < r->nr_skipped; i++)
		json_object_set_new(skipped, r->skipped[i].name, cli_uint(r->skipped[i].count));
	cli_output_json(
		out,
		json_pack("{ss so ss so ss ss so so so so so so so so so so so so so so so so so}",
			  "version", XFDSIM_VERSION, "recording", cli_text(args->recordings[0]),
			  "source_hash", r->source_hash, "trace", cli_text(output), "mode",
			  import_mode_name(r->mode), "format", r->recording.format, "kvm",
			  kvm_json(r), "vcpus", cli_uint(r->nr_vcpus), "duration_ns",
			  cli_uint(r->duration_ns), "lines", cli_uint(r->recording.lines),
			  "switches", cli_uint(r->recording.by_kind[SCHED_EVENT_SWITCH]),
			  "migrations", cli_uint(r->recording.by_kind[SCHED_EVENT_MIGRATE]),
			  "restores", cli_uint(r->guest.restores), "xfd_writes_after_boot",
			  cli_uint(r->guest.xfd_writes), "amx_tasks", cli_uint(r->guest.amx_tasks),
			  "events", cli_uint(r->events), "kernel_switches",
			  cli_uint(r->guest.kernel_switches), "idle_switches",
			  cli_uint(r->guest.idle_switches), "lost_events",
			  cli_uint(r->recording.lost_events), "unparsed_lines",
			  cli_uint(r->recording.unparsed), "stack_lines",
			  cli_uint(r->recording.stack_lines), "skipped", skipped, "score",
			  score_json(r)));
}

/* What a host's recording says about its guests. */
static void print_host_text(FILE *out, const struct args *args, const char *output,
			    const struct import_report *r)
{
	const struct kvmtrack_counts *k = &r->kvm;
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];
	double all = (double)(k->guest_ns + k->host_ns + k->off_ns);

	fprintf(out, "%s -> %s: %" PRIu32 " vCPU%s of %s%" PRIu32 " VM%s, %.3f s, %s events\n",
		args->recordings[0], output, r->nr_vcpus, r->nr_vcpus == 1 ? "" : "s",
		k->vms > 1 ? "at least " : "", k->vms, k->vms == 1 ? "" : "s",
		(double)r->duration_ns / 1e9, table_number(r->events, a));
	fprintf(out,
		"%s on the host: %s VM-exits, %s on the fastpath, %s to userspace, "
		"%s HLT",
		r->recording.origin ? r->recording.origin : "measured", table_number(k->exits, a),
		table_number(k->fastpath, b), table_number(k->userspace, c),
		table_number(k->halts, (char[TABLE_NUMBER_LEN]){0}));
	fprintf(out, "; %s preemptions, %s moves\n", table_number(k->preempts, a),
		table_number(k->moves, b));
	if (k->guest_writes)
		fprintf(out, "XFD writes: %s in the guest's own recording, %s of them trapped\n",
			table_number(k->guest_writes, a), table_number(k->host_writes, b));
	else
		fprintf(out,
			"XFD writes: %s trapped; %s seen only in a later read, of at least that "
			"many\n",
			table_number(k->host_writes, a), table_number(k->sampled_writes, b));
	if (all > 0)
		fprintf(out,
			"time of the vCPU threads: %.1f%% in the guest, %.1f%% off; %.1f%% in KVM, "
			"left "
			"out\n",
			100 * (double)k->guest_ns / all, 100 * (double)k->off_ns / all,
			100 * (double)k->host_ns / all);
}

static void print_text(FILE *out, const struct args *args, const char *output,
		       const struct import_report *r)
{
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];

	fprintf(out, "%s -> %s: %" PRIu32 " vCPU%s, %.3f s, %s context switches, %s events\n",
		args->recordings[0], output, r->nr_vcpus, r->nr_vcpus == 1 ? "" : "s",
		(double)r->duration_ns / 1e9,
		table_number(r->recording.by_kind[SCHED_EVENT_SWITCH], a),
		table_number(r->events, b));
	if (r->mode == IMPORT_MEASURED)
		fprintf(out, "measured: %s XFD writes", table_number(r->guest.xfd_writes, b));
	else
		fprintf(out,
			"%s (an estimate): %s FPU restores, %s XFD writes after boot by %s AMX "
			"task%s",
			import_mode_name(r->mode), table_number(r->guest.restores, a),
			table_number(r->guest.xfd_writes, b), table_number(r->guest.amx_tasks, c),
			r->guest.amx_tasks == 1 ? "" : "s");
	if (r->recording.by_kind[SCHED_EVENT_SWITCH])
		fprintf(out, ", %.2f%% of switches",
			100 * ratio(r->guest.xfd_writes, r->recording.by_kind[SCHED_EVENT_SWITCH]));
	fputc('\n', out);
	if (r->recorded_ticks)
		fprintf(out, "guest ticks: as recorded; host ticks: assumed %" PRIu32 " Hz\n",
			args->options.host_hz);
	else
		fprintf(out,
			"guest ticks: assumed %" PRIu32 " Hz; host ticks: assumed %" PRIu32 " Hz\n",
			args->options.hz, args->options.host_hz);
	if (r->scored)
		fprintf(out,
			"score against the recorded restores: precision %.4f, recall %.4f "
			"(%s right, %" PRIu64 " too many, %" PRIu64 " missed)\n",
			ratio(r->guest.score.true_positives,
			      r->guest.score.true_positives + r->guest.score.false_positives),
			ratio(r->guest.score.true_positives,
			      r->guest.score.true_positives + r->guest.score.false_negatives),
			table_number(r->guest.score.true_positives, a),
			r->guest.score.false_positives, r->guest.score.false_negatives);
}

/* What a host's recording leaves open. */
static void warn_host(const struct import_report *r)
{
	const struct kvmtrack_counts *k = &r->kvm;

	if (r->recording.plugin_prints)
		cli_warn("%" PRIu64
			 " VM-exits say neither vCPU nor interruption information: text as "
			 "plugins print it (`trace-cmd report -N -t` says more), or a kernel "
			 "before 5.4",
			 r->recording.plugin_prints);
	if (k->unknown_vectors)
		cli_warn("vector unknown of %" PRIu64 " exceptions: a #NM among them is not seen",
			 k->unknown_vectors);
	if (k->unknown_msrs)
		cli_warn("MSR unknown of %" PRIu64
			 " MSR exits (kvm_msr missing or filtered): taken as "
			 "slow exits",
			 k->unknown_msrs);
	if (k->other_exits)
		cli_warn("%" PRIu64 " VM-exits stand in another recording than the first and were "
			 "left out: if they are another host's, import it by itself",
			 k->other_exits);
	if (k->unknown_reasons)
		cli_warn("%" PRIu64 " VM-exits have a reason without a name: counted as notify",
			 k->unknown_reasons);
	if (k->handler_preempts)
		cli_warn("%" PRIu64
			 " preemptions while an exit was handled: one VM-exit too many for "
			 "each",
			 k->handler_preempts);
	if (k->sample_mismatches)
		cli_warn("%" PRIu64
			 " reads of IA32_XFD on the host contradict the guest's recording",
			 k->sample_mismatches);
}

/* A trace without AMX is legal, but it is rarely what somebody wanted. */
static void warn(const struct args *args, const struct import_report *r)
{
	char names[512] = "";

	for (uint32_t i = 0; i < r->nr_top; i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			 i ? ", " : "", r->top[i].name);
	cli_clean(names);
	warn_host(r);
	if (r->recording.origin)
		cli_warn("the recording is an export of a %s trace, which its import is too",
			 r->recording.origin);
	if (r->recording.by_kind[SCHED_EVENT_KVM_FOREIGN])
		cli_warn("the VM-exits in the recording are not those of an Intel processor (arm64 "
			 "or "
			 "AMD): only the schedule is used");
	if (r->recording.bits == 32)
		cli_warn(
			"recorded on a 32-bit kernel, which has no AMX: only the schedule is used");
	if (r->guest.unused_writes && args->options.mode == IMPORT_AUTO)
		cli_warn("writes of IA32_XFD were recorded, but after the first %d events, and "
			 "this input cannot be read twice: import it from a file",
			 IMPORT_LOOKAHEAD);
	else if (r->guest.unused_writes)
		cli_warn("writes of IA32_XFD were recorded; --mode measured uses them");
	if (r->mode != IMPORT_PROJECTED)
		; /* nobody has to name AMX tasks */
	else if (!r->guest.amx_tasks && !args->options.amx_tasks)
		cli_warn("no AMX task was named, so XFD is written at boot only; name them with "
			 "--amx-tasks 'GLOB'. Commonest tasks: %s",
			 names);
	else if (!r->guest.amx_tasks)
		cli_warn("no task matches --amx-tasks '%s'. Commonest tasks: %s",
			 args->options.amx_tasks, names);
	if (r->recording.loss_places || r->recording.overwritten_events)
		cli_warn("the recording lost events (reported lost: %s%" PRIu64 ", places: %" PRIu64
			 ", overwritten before they were read: %" PRIu64 "): counts are too low",
			 r->recording.uncounted_losses ? "at least " : "", r->recording.lost_events,
			 r->recording.loss_places, r->recording.overwritten_events);
	if (r->recording.stack_lines)
		cli_warn("%" PRIu64 " lines of call stacks were skipped; without -g perf makes "
			 "them not",
			 r->recording.stack_lines);
	if (r->recording.cut)
		cli_warn("the last line, %" PRIu64 ", is cut off and was skipped",
			 r->recording.lines);
	if (r->recording.unparsed > r->recording.cut)
		cli_warn("%" PRIu64 " lines are no %s lines and were skipped",
			 r->recording.unparsed - r->recording.cut, r->recording.format);
}

int cmd_import(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"amx-tasks", 'a', "GLOB[,GLOB...]", 0,
		 "Tasks that use AMX: globs on their names (comm); digits name a thread id", 0},
		{"output", 'o', "FILE", 0,
		 "Where the trace goes: .xfs makes text (RECORDING's name with .xft, in the "
		 "working "
		 "directory)",
		 0},
		{"hz", OPT_HZ, "N", 0,
		 "Guest ticks a second, unless local_timer_entry was recorded (250)", 0},
		{"host-hz", OPT_HOST_HZ, "N", 0,
		 "Host ticks a second that interrupt a running vCPU (250)", 0},
		{"tsc-khz", OPT_TSC_KHZ, "N", 0,
		 "Clock of the trace (2200000, or that of the trace that was exported)", 0},
		{"mode", OPT_MODE, "MODE", 0,
		 "measured, restored or projected; auto takes the first that the recording allows "
		 "(auto)",
		 0},
		{"strict", OPT_STRICT, NULL, 0,
		 "Refuse a recording that lost events or has lines that cannot be read", 0},
		{"json", OPT_JSON, NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "RECORDING [GUEST.dat...]",
		.doc = "Turn a recording into a trace. RECORDING is text of tracefs, `trace-cmd "
		       "report` or "
		       "`perf script` (plain, zstd or gzip; - for standard input) or a trace.dat; "
		       "behind a "
		       "host's trace.dat may stand those of its guests. If accesses of IA32_XFD "
		       "were "
		       "recorded (kvm events on the host, msr:write_msr in the guest) the trace is "
		       "measured. "
		       "Otherwise it is an estimate: restored from recorded loads of FPU "
		       "registers, or "
		       "projected from sched_switch alone as the trace of a Linux guest that "
		       "schedules the "
		       "same tasks, every CPU a vCPU. Every report made from a trace says which. A "
		       "projection "
		       "is scored if x86_fpu_regs_activated was recorded."
		       "\vRecord on any Linux machine, no AMX needed:\n"
		       "  cd /sys/kernel/tracing && echo > trace && echo 1 > tracing_on\n"
		       "  echo 1 > events/sched/sched_switch/enable; sleep 5\n"
		       "  echo 0 > events/sched/sched_switch/enable; cat trace > ~/guest.ftrace\n"
		       "Then: xfdsim import ~/guest.ftrace --amx-tasks 'python*,my-infer'",
	};
	const struct import_progress progress = {.report = report_progress};
	struct import_report report = {0};
	struct xfd_error err = {0};
	struct cli_output out;
	struct args args = {0};
	char *output;
	int status;

	import_options_init(&args.options);
	cli_parse(&argp, argc, argv, &args);
	output = args.output ? strdup(args.output) : default_output(args.recordings[0]);
	if (!output)
		xfd_error_set(&err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	for (size_t i = 0; output && i < args.nr_recordings; i++)
		if ((status = cli_refuse_same(output, args.recordings[i]))) {
			free(output);
			return status;
		}
	if (!output || import_recordings(args.recordings, args.nr_recordings, &args.options, output,
					 &report, &progress, &err)) {
		status = cli_fail(&err);
	} else if (!(status = cli_output_open(&out))) {
		if (args.json)
			print_json(&out, &args, output, &report);
		else
			(report.host ? print_host_text : print_text)(out.text, &args, output,
								     &report);
		warn(&args, &report);
		/* Text on standard output is the trace itself. */
		if (!strcmp(output, "-"))
			out.len = 0, fclose(out.text), free(out.buf);
		else
			status = cli_output_close(&out, NULL, XFDSIM_OK);
	}
	free(output);
	return status;
}
