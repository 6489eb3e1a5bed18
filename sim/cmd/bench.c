/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/bench.h"
#include "sim/cli.h"
#include "sim/repeat.h"
#include "sim/table.h"

enum { OPT_JSON = 0x100 };

struct args {
	const char *trace;
	const char *profile;
	uint64_t events;
	uint64_t times;
	unsigned int repeat;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'n':
		args->events = cli_number(state, "--events", arg, 65536, UINT64_C(1) << 32);
		return 0;
	case 'r':
		args->repeat = (unsigned int)cli_number(state, "--repeat", arg, 1, 101);
		return 0;
	case 't':
		args->times = cli_number(state, "--times", arg, 1, 1000000);
		return 0;
	case 'c':
		args->profile = arg;
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_take_trace(state, arg, &args->trace);
		return 0;
	case ARGP_KEY_END:
		cli_take_trace(state, NULL, &args->trace);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static double ns_per_event(const struct bench_result *r, int row)
{
	return (double)r->ns[row] / (double)r->events[row];
}

/* Policy-events a second of a row against those of the naive interpreter. */
static double speedup(const struct bench_result *r, int row)
{
	return ns_per_event(r, BENCH_naive) * (double)r->nr_runs[row] / ns_per_event(r, row);
}

static double bytes_per_event(const struct bench_result *r)
{
	return (double)r->file_bytes / (double)r->file_events;
}

static void print_json(struct cli_output *out, const struct args *args,
		       const struct bench_result *r)
{
	json_t *rows = json_array(), *kinds = json_object();

	for (int row = 0; row < NR_BENCH_ROWS; row++)
		json_array_append_new(
			rows, json_pack("{ss ss so so so sf sf}", "row",
					bench_row_name((enum bench_row)row), "meaning",
					bench_row_meaning((enum bench_row)row), "policies",
					cli_uint(r->nr_runs[row]), "events",
					cli_uint(r->events[row]), "median_ns", cli_uint(r->ns[row]),
					"events_per_second", 1e9 / ns_per_event(r, row),
					"policy_events_against_naive", speedup(r, row)));
	for (int kind = 0; kind < NR_EVENT_KINDS; kind++)
		json_object_set_new(kinds, event_name((enum event_kind)kind),
				    cli_uint(r->kind_count[kind]));
	cli_output_json(out,
			json_pack("{ss ss si so so sf so so so so so so}", "version",
				  XFDSIM_VERSION, "trace", args->trace, "repeat", (int)args->repeat,
				  "events_in_memory", cli_uint(r->trace_events), "file_bytes",
				  cli_uint(r->file_bytes), "bytes_per_event", bytes_per_event(r),
				  "states", cli_uint(r->states), "automata", cli_uint(r->apart),
				  "digested_events", cli_uint(r->digested), "cycles",
				  cli_uint(r->cycles), "events_by_kind", kinds, "rows", rows));
}

/* A trace that does not visit every kind of event proves less. */
static void print_kinds(FILE *out, const struct bench_result *r)
{
	const char *separator = "Kinds of events that this trace has none of: ";

	for (int kind = 0; kind < NR_EVENT_KINDS; kind++) {
		if (r->kind_count[kind])
			continue;
		fprintf(out, "%s%s", separator, event_name((enum event_kind)kind));
		separator = ", ";
	}
	fputs(*separator == ',' ? ".\n" : "Every kind of event is in this trace.\n", out);
}

static void print_text(FILE *out, const struct args *args, const struct bench_result *r)
{
	struct table *table = table_new("|>policies|>M events/s|>M policy-events/s|>ns/event|"
					">x naive");
	char n[TABLE_NUMBER_LEN];

	fprintf(out, "%s: %s events in memory,", args->trace, table_number(r->trace_events, n));
	fprintf(out, " %.2f bytes an event in the file; medians of %u, CPU time\n\n",
		bytes_per_event(r), args->repeat);
	for (int row = 0; row < NR_BENCH_ROWS; row++) {
		double ns = ns_per_event(r, row);

		table_row(table);
		table_cell(table, "%s", bench_row_meaning((enum bench_row)row));
		table_cell(table, "%zu", r->nr_runs[row]);
		table_cell(table, "%.1f", 1e3 / ns);
		table_cell(table, "%.1f", 1e3 / ns * (double)r->nr_runs[row]);
		table_cell(table, "%.2f", ns);
		table_cell(table, "%.2f", speedup(r, row));
	}
	table_print(table, out);
	fprintf(out, "\nThe naive interpreter and the automaton agree: %s cycles.\n",
		table_number(r->cycles, n));
	fprintf(out, "All policies together: %s states", table_number(r->states, n));
	if (r->apart > 1)
		fprintf(out, " in the last of %zu automata, since together they had too many",
			r->apart);
	fprintf(out, "; %.1f %% of the events in the file from digests.\n",
		100 * (double)r->digested / (double)r->file_events);
	print_kinds(out, r);
}

static int measure(const struct args *args, const struct cost_profile *profile,
		   struct bench_result *result, struct xfd_error *err)
{
	const char *dir = getenv("TMPDIR");
	char path[4096];
	int ret;

	if (args->times == 1)
		return bench_trace(args->trace, args->events, args->repeat, profile, result, err);
	snprintf(path, sizeof(path), "%s/xfdsim-bench-%ld.xft", dir && *dir ? dir : "/tmp",
		 (long)getpid());
	ret = repeat_trace(args->trace, path, args->times, err);
	if (ret)
		return ret;
	ret = bench_trace(path, args->events, args->repeat, profile, result, err);
	unlink(path);
	return ret;
}

int cmd_bench(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"events", 'n', "N", 0, "Hold the first N events in memory (16777216)", 0},
		{"times", 't', "N", 0,
		 "Measure the trace N times over, through a temporary file in TMPDIR (1)", 0},
		{"repeat", 'r', "N", 0, "Measure N times and take medians (5)", 0},
		{"profile", 'c', "NAME|FILE", 0, "Cost profile (spr)", 0},
		{"json", OPT_JSON, NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE",
		.doc = "Measure how fast TRACE replays on this machine, beside two yardsticks: "
		       "adding up "
		       "the same records, and a naive interpreter of one policy that must arrive "
		       "at the "
		       "same cycles. Compare ratios, not numbers of two machines."
		       "\vExample: xfdsim gen --events 20000000 -o b.xft && xfdsim bench b.xft",
	};
	struct args args = {.profile = PROFILE_DEFAULT, .events = 1 << 24, .times = 1, .repeat = 5};
	struct cost_profile *profile = NULL;
	struct bench_result result;
	struct xfd_error err = {0};
	struct cli_output out;
	int status;

	cli_parse(&argp, argc, argv, &args);
	if (profile_load(args.profile, &profile, &err) || measure(&args, profile, &result, &err)) {
		status = cli_fail(&err);
	} else if (!(status = cli_output_open(&out))) {
		if (args.json)
			print_json(&out, &args, &result);
		else
			print_text(out.text, &args, &result);
		status = cli_output_close(&out, NULL, XFDSIM_OK);
	}
	profile_free(profile);
	return status;
}
