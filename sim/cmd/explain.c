/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/timeline.h"

enum { OPT_TO = 0x200, OPT_AROUND, OPT_CONTEXT, OPT_FORMAT, DEFAULT_CONTEXT = 50 };

struct args {
	struct cli_run_args run;
	const char *trace;
	const char *format;
	char asked[64];
	uint64_t wanted;
	uint64_t from;
	uint64_t to;
	uint64_t around;
	uint64_t context;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->run;
		return 0;
	case 'p':
		args->run.options.policy = cli_policy(state, arg);
		return 0;
	case 'f':
		args->from = args->wanted = cli_number(state, "--from", arg, 0, INT64_MAX);
		snprintf(args->asked, sizeof(args->asked), "--from %s", arg);
		return 0;
	case OPT_TO:
		args->to = cli_number(state, "--to", arg, 1, INT64_MAX);
		return 0;
	case OPT_AROUND:
		args->around = args->wanted = cli_number(state, "--around", arg, 0, INT64_MAX);
		snprintf(args->asked, sizeof(args->asked), "--around %s", arg);
		return 0;
	case OPT_CONTEXT:
		args->context = cli_number(state, "--context", arg, 0, INT64_MAX);
		return 0;
	case OPT_FORMAT:
		args->format = arg;
		return 0;
	case ARGP_KEY_ARG:
		cli_take_trace(state, arg, &args->trace);
		return 0;
	case ARGP_KEY_END:
		cli_take_trace(state, NULL, &args->trace);
		if (args->run.json)
			cli_usage(state, "--format chrome is the JSON of a timeline");
		if (args->around != UINT64_MAX &&
		    (args->from != UINT64_MAX || args->to != UINT64_MAX))
			cli_usage(state, "either --around or --from and --to");
		if (args->context != UINT64_MAX && args->around == UINT64_MAX)
			cli_usage(state, "--context goes with --around");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name), cut = strlen(suffix);

	return len > cut && !strcmp(name + len - cut, suffix);
}

/* By name, or by the output's suffix. Return: the format, or -1. */
static int find_format(const struct args *args)
{
	static const char *const names[] = {"text", "perfetto", "chrome"};
	const char *output = args->run.output;

	for (int i = 0; args->format && i < 3; i++)
		if (!strcmp(args->format, names[i]))
			return i;
	if (args->format)
		return -1;
	if (output && (has_suffix(output, ".pftrace") || has_suffix(output, ".perfetto-trace")))
		return TIMELINE_PERFETTO;
	return output && has_suffix(output, ".json") ? TIMELINE_CHROME : TIMELINE_TEXT;
}

static void set_window(struct args *args)
{
	if (args->around == UINT64_MAX) {
		args->from = args->from == UINT64_MAX ? 0 : args->from;
		return;
	}
	if (args->context == UINT64_MAX)
		args->context = DEFAULT_CONTEXT;
	args->from = args->around > args->context ? args->around - args->context : 0;
	args->to = args->context < UINT64_MAX - 1 - args->around ? args->around + args->context + 1
								 : UINT64_MAX;
}

int cmd_explain(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"policy", 'p', "NAME", 0,
		 "Interception policy (first-nonzero); see 'xfdsim policies'", 1},
		{"from", 'f', "N", 0, "Begin with event N of the trace, counted from 0", 1},
		{"to", OPT_TO, "N", 0, "End before event N", 1},
		{"around", OPT_AROUND, "N", 0, "The events around event N", 1},
		{"context", OPT_CONTEXT, "N", 0, "... so many on each side (50)", 1},
		{"format", OPT_FORMAT, "text|perfetto|chrome", 0,
		 "What to write (by the suffix of --output: .pftrace, .json; else text)", 1},
		{0},
	};
	static const struct argp_child children[] = {{&cli_run_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE",
		.doc = "Show a replay event by event: when, what it cost, and by which steps. As "
		       "text, or "
		       "as a timeline for ui.perfetto.dev or chrome://tracing with a track for "
		       "each vCPU "
		       "and each pCPU. One tick of a timeline is one TSC cycle of the profile, at "
		       "typical "
		       "prices. Nothing is stored in the database."
		       "\vExample: xfdsim explain guest.xft -p second-enable --around 1000 -o "
		       "t.pftrace",
		.children = children,
	};
	struct args args = {
		.from = UINT64_MAX, .to = UINT64_MAX, .around = UINT64_MAX, .context = UINT64_MAX};
	struct cost_profile *profile = NULL;
	struct timeline_options timeline;
	struct timeline_totals totals;
	struct xfd_error err = {0};
	int format, ret;

	cli_run_args_default(&args.run);
	cli_parse(&argp, argc, argv, &args);
	ret = cli_refuse_same(args.run.output, args.trace);
	if (ret)
		return ret;
	set_window(&args);
	format = find_format(&args);
	if (format < 0)
		xfd_error_set(&err, XFD_ERROR_USAGE, NULL, 0, -1,
			      "--format is text, perfetto or chrome, not '%s'", args.format);
	else if (args.from >= args.to)
		xfd_error_set(&err, XFD_ERROR_USAGE, NULL, 0, -1,
			      "wanted a window of at least one event, but --to %" PRIu64
			      " is not behind %s",
			      args.to, args.asked);
	if (err.kind)
		return cli_fail(&err);
	ret = profile_load(args.run.profile, &profile, &err);
	timeline = (struct timeline_options){
		.run = &args.run.options,
		.profile = profile,
		.format = (enum timeline_format)format,
		.from = args.from,
		.to = args.to,
		.asked = *args.asked ? args.asked : NULL,
		.wanted = args.wanted,
	};
	if (!ret)
		ret = timeline_write(args.trace, &timeline, args.run.output ? args.run.output : "-",
				     &totals, &err);
	profile_free(profile);
	if (ret)
		return cli_fail(&err);
	if (args.run.output)
		printf("%s: %" PRIu64 " events, %" PRIu64 " cycles in the guest, %" PRIu64
		       " cycles of overhead\n",
		       args.run.output, totals.events, totals.guest_cycles, totals.cost_cycles);
	return XFDSIM_OK;
}
