/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "sim/cli.h"

struct args {
	const char *trace;
	const char *output;
	uint64_t from;
	uint64_t events;
	bool partial;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'o':
		args->output = arg;
		return 0;
	case 'f':
		args->from = cli_number(state, "--from", arg, 0, INT64_MAX);
		return 0;
	case 'n':
		args->events = cli_number(state, "--events", arg, 1, INT64_MAX);
		return 0;
	case 'p':
		args->partial = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_take_trace(state, arg, &args->trace);
		return 0;
	case ARGP_KEY_END:
		cli_take_trace(state, NULL, &args->trace);
		if (args->from && args->output)
			cli_usage(state,
				  "what begins in the middle is for reading, not for replay: "
				  "--from goes with standard output");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Copy the window; a window that is not the whole may not replay, its vCPUs may be halted. */
static int copy(struct trace_reader *reader, struct trace_writer *writer, const struct args *args,
		struct xfd_error *err)
{
	const struct trace_event *events;
	uint64_t at = 0, end = args->events > UINT64_MAX - args->from ? UINT64_MAX
								      : args->from + args->events;
	char why[sizeof(err->source) + sizeof(err->text)];
	size_t nr;
	int ret;

	while (!(ret = trace_reader_next(reader, &events, &nr, err)) && nr) {
		uint64_t first = args->from > at ? args->from - at : 0;
		uint64_t last = end - at < nr ? end - at : nr;

		if (first < last)
			ret = trace_writer_put(writer, events + first, (size_t)(last - first), err);
		at += nr;
		if (ret || at >= end)
			return ret;
	}
	if (!ret && args->from && args->from >= at)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "--from %" PRIu64 ": the trace has %" PRIu64
				     " events, counted from 0",
				     args->from, at);
	if (!ret || !args->partial || err->kind != XFD_ERROR_INPUT)
		return ret;
	xfd_error_format(err, why, sizeof(why));
	cli_warn("%s; kept the %" PRIu64 " events before that", why, at);
	*err = (struct xfd_error){0};
	return 0;
}

int cmd_dump(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"output", 'o', "FILE", 0,
		 "Write there: .xfs makes text, any other name a packed trace (standard output, "
		 "text)",
		 0},
		{"from", 'f', "N", 0, "Begin with event N, counted from 0", 0},
		{"events", 'n', "N", 0, "Stop after N events", 0},
		{"partial", 'p', NULL, 0,
		 "When TRACE is cut off or damaged, keep the blocks before that and say so", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE",
		.doc = "Print TRACE as scenario text, or convert it: traces/FORMAT.md describes "
		       "both formats."
		       "\vExample: xfdsim dump guest.xft -n 20",
	};
	struct args args = {.events = UINT64_MAX};
	struct trace_reader *reader = NULL;
	struct trace_writer *writer = NULL;
	struct xfd_error err = {0};
	int ret;

	cli_parse(&argp, argc, argv, &args);
	ret = cli_refuse_same(args.output, args.trace);
	if (ret)
		return ret;
	ret = trace_reader_open(args.trace, &reader, &err);
	if (!ret)
		ret = trace_writer_open(args.output ? args.output : "-", trace_reader_info(reader),
					&writer, &err);
	if (!ret)
		ret = copy(reader, writer, &args, &err);
	if (!ret) {
		ret = trace_writer_commit(writer, &err);
		writer = NULL;
	}
	trace_writer_discard(writer);
	trace_reader_close(reader);
	return ret ? cli_fail(&err) : XFDSIM_OK;
}
