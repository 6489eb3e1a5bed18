/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/table.h"
#include "traces/import.h"

enum { OPT_HZ = 0x100, OPT_HOST_HZ, OPT_TSC_KHZ, OPT_JSON };

struct args {
	struct import_options options;
	const char *recording;
	const char *output;
	bool json;
};

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
		args->options.host_hz = (uint32_t)cli_number(state, "--host-hz", arg, 0, IMPORT_MAX_HZ);
		return 0;
	case OPT_TSC_KHZ:
		args->options.tsc_khz = cli_number(state, "--tsc-khz", arg, 1, 100000000);
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->recording)
			cli_usage(state, "one recording at a time");
		args->recording = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->recording)
			cli_usage(state, "which recording?");
		if (!args->output && !strcmp(args->recording, "-"))
			cli_usage(state, "standard input has no name to make one from: add -o FILE.xft");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* dir/web.ftrace.zst becomes web.xft in the working directory; malloc'd. */
static char *default_output(const char *recording)
{
	static const char *const suffixes[] = {".zst", ".gz", ".ftrace", ".txt", ".trace"};
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

static json_t *score_json(const struct import_report *r)
{
	const struct import_score *s = &r->score;

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
		json_pack("{ss so ss so so so so so so so so so so so so so so so so}", "version",
			  XFDSIM_VERSION, "recording", cli_text(args->recording), "source_hash", r->source_hash,
			  "trace", cli_text(output), "vcpus", cli_uint(r->nr_vcpus), "duration_ns",
			  cli_uint(r->duration_ns), "lines", cli_uint(r->recording.lines), "switches",
			  cli_uint(r->recording.switches), "migrations",
			  cli_uint(r->recording.migrations), "restores", cli_uint(r->restores),
			  "xfd_writes_after_boot", cli_uint(r->xfd_writes), "amx_tasks",
			  cli_uint(r->amx_tasks), "events", cli_uint(r->events), "kernel_switches",
			  cli_uint(r->kernel_switches), "idle_switches", cli_uint(r->idle_switches),
			  "lost_events", cli_uint(r->recording.lost_events), "unparsed_lines",
			  cli_uint(r->recording.unparsed), "skipped", skipped, "score",
			  score_json(r)));
}

static void print_text(FILE *out, const struct args *args, const char *output,
		       const struct import_report *r)
{
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];

	fprintf(out, "%s -> %s: %" PRIu32 " vCPU%s, %.3f s, %s context switches, %s events\n",
		args->recording, output, r->nr_vcpus, r->nr_vcpus == 1 ? "" : "s",
		(double)r->duration_ns / 1e9,
		table_number(r->recording.switches, a), table_number(r->events, b));
	fprintf(out, "projected (an estimate): %s FPU restores, %s XFD writes after boot by %s AMX "
		     "task%s",
		table_number(r->restores, a), table_number(r->xfd_writes, b),
		table_number(r->amx_tasks, c), r->amx_tasks == 1 ? "" : "s");
	if (r->recording.switches)
		fprintf(out, ", %.2f%% of switches",
			100 * ratio(r->xfd_writes, r->recording.switches));
	fputc('\n', out);
	if (r->recorded_ticks)
		fprintf(out, "guest ticks: as recorded; host ticks: assumed %" PRIu32 " Hz\n",
			args->options.host_hz);
	else
		fprintf(out, "guest ticks: assumed %" PRIu32 " Hz; host ticks: assumed %" PRIu32 " Hz\n",
			args->options.hz, args->options.host_hz);
	if (r->scored)
		fprintf(out,
			"score against the recorded restores: precision %.4f, recall %.4f "
			"(%s right, %" PRIu64 " too many, %" PRIu64 " missed)\n",
			ratio(r->score.true_positives,
			      r->score.true_positives + r->score.false_positives),
			ratio(r->score.true_positives,
			      r->score.true_positives + r->score.false_negatives),
			table_number(r->score.true_positives, a), r->score.false_positives,
			r->score.false_negatives);
}

/* A trace without AMX is legal, but it is rarely what somebody wanted. */
static void warn(const struct args *args, const struct import_report *r)
{
	char names[512] = "";

	for (uint32_t i = 0; i < r->nr_top; i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? ", " : "",
			 r->top[i].name);
	cli_clean(names);
	if (!r->amx_tasks && !args->options.amx_tasks)
		cli_warn("no AMX task was named, so XFD is written at boot only; name them with "
			 "--amx-tasks 'GLOB'. Commonest tasks: %s",
			 names);
	else if (!r->amx_tasks)
		cli_warn("no task matches --amx-tasks '%s'. Commonest tasks: %s",
			 args->options.amx_tasks, names);
	if (r->recording.loss_places || r->recording.overwritten_events)
		cli_warn("the recording lost events (reported lost: %" PRIu64 ", places: %" PRIu64
			 ", overwritten before they were read: %" PRIu64 "): counts are too low",
			 r->recording.lost_events, r->recording.loss_places,
			 r->recording.overwritten_events);
	if (r->recording.unparsed)
		cli_warn("%" PRIu64 " lines are no ftrace lines and were skipped",
			 r->recording.unparsed);
}

int cmd_import(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"amx-tasks", 'a', "GLOB[,GLOB...]", 0,
		 "Tasks that use AMX: globs on their names (comm); digits name a thread id", 0},
		{"output", 'o', "FILE", 0,
		 "Where the trace goes: .xfs makes text (RECORDING's name with .xft, in the working "
		 "directory)",
		 0},
		{"hz", OPT_HZ, "N", 0, "Guest ticks a second, unless local_timer_entry was recorded (250)",
		 0},
		{"host-hz", OPT_HOST_HZ, "N", 0, "Host ticks a second that interrupt a running vCPU (250)",
		 0},
		{"tsc-khz", OPT_TSC_KHZ, "N", 0, "Clock of the trace (2200000)", 0},
		{"json", OPT_JSON, NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "RECORDING",
		.doc = "Turn RECORDING (ftrace text with sched_switch, plain or zstd; - for standard input) "
		       "into the trace of a guest that schedules the same tasks: every CPU becomes a vCPU, "
		       "and IA32_XFD is written when a Linux guest would write it. The result is a "
		       "projection, an estimate, and every report made from it says so. With "
		       "x86_fpu_regs_activated in the recording the projection is scored against it."
		       "\vRecord on any Linux machine, no AMX needed:\n"
		       "  cd /sys/kernel/tracing && echo 1 > events/sched/sched_switch/enable\n"
		       "  sleep 5; cat trace > ~/guest.ftrace; echo 0 > events/sched/sched_switch/enable\n"
		       "Then: xfdsim import guest.ftrace --amx-tasks 'python*,my-infer'",
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
	output = args.output ? strdup(args.output) : default_output(args.recording);
	if (!output)
		xfd_error_set(&err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	else if ((status = cli_refuse_same(output, args.recording))) {
		free(output);
		return status;
	}
	if (!output ||
	    import_recording(args.recording, &args.options, output, &report, &progress, &err)) {
		status = cli_fail(&err);
	} else if (!(status = cli_output_open(&out))) {
		if (args.json)
			print_json(&out, &args, output, &report);
		else
			print_text(out.text, &args, output, &report);
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
