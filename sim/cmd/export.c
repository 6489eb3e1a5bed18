/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "traces/export.h"

struct args {
	const char *trace;
	const char *output;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'o':
		args->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		cli_take_trace(state, arg, &args->trace);
		return 0;
	case ARGP_KEY_END:
		cli_take_trace(state, NULL, &args->trace);
		if (!args->output)
			cli_usage(state, "where to? add -o FILE.dat");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int cmd_export(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"output", 'o', "FILE.dat", 0, "Where the recording goes", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE",
		.doc = "Write TRACE as a trace.dat (version 6) that trace-cmd and KernelShark "
		       "open: the recording that a host would have made if it had intercepted "
		       "every access of IA32_XFD in no time. What such a recording does not show "
		       "(the trace's mode and clock, idle pCPUs, AMX use, XSETBV's value, how long "
		       "a HLT was to sleep) is in events of its own, xfdsim:xfdsim, so that an "
		       "import of the file, or of text that trace-cmd report -N -t makes from it, "
		       "gives back every vCPU's events as they were. Lost are: parts of a "
		       "nanosecond, how events of vCPUs that share no pCPU were interleaved, and "
		       "the provenance beyond the mode. Where vCPUs take turns on a pCPU, records "
		       "are later than the vCPU's clock by as much as that is behind the pCPU's, "
		       "and by 1 ns where a vCPU moves in no time; import takes that back. It "
		       "refuses a recording in which nothing happens for more than an hour. An "
		       "event that cannot happen to a vCPU where it is, which no replay takes, is "
		       "refused; of two vCPUs on one pCPU, one is recorded on another."
		       "\vExample: xfdsim export guest.xft -o guest.dat && trace-cmd report "
		       "guest.dat",
	};
	struct xfd_error err = {0};
	struct args args = {0};
	uint64_t nr;
	int ret;

	cli_parse(&argp, argc, argv, &args);
	ret = cli_refuse_same(args.output, args.trace);
	if (ret)
		return ret;
	if (export_tracedat(args.trace, args.output, &nr, &err))
		return cli_fail(&err);
	if (strcmp(args.output, "-"))
		printf("%s -> %s: %" PRIu64 " events\n", args.trace, args.output, nr);
	return XFDSIM_OK;
}
