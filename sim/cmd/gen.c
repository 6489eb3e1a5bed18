/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/table.h"
#include "traces/gen.h"

/* Every option is a number: its name, field, what it is. One line each; gen.h has the units. */
static const struct number {
	const char *name;
	size_t offset;
	bool wide;
	const char *arg;
	const char *doc;
} numbers[] = {
	{"seed", offsetof(struct gen_options, seed), true, "N", "Any number; the same makes the same trace"},
	{"duration-ms", offsetof(struct gen_options, duration_ms), true, "MS", "Length of the trace"},
	{"events", offsetof(struct gen_options, events), true, "N", "Length of the trace, instead"},
	{"tsc-khz", offsetof(struct gen_options, tsc_khz), true, "N", "Clock of the trace"},
	{"vcpus", offsetof(struct gen_options, vcpus), false, "N", "vCPUs"},
	{"pcpus", offsetof(struct gen_options, pcpus), false, "N", "pCPUs; fewer than vCPUs are shared"},
	{"tasks", offsetof(struct gen_options, tasks), false, "N", "User tasks of each vCPU"},
	{"amx-share-ppm", offsetof(struct gen_options, amx_share_ppm), false, "PPM", "Tasks that use AMX"},
	{"switch-hz", offsetof(struct gen_options, switch_hz), false, "HZ", "Context switches"},
	{"idle-ppm", offsetof(struct gen_options, idle_ppm), false, "PPM", "Switches that go to idle"},
	{"idle-us", offsetof(struct gen_options, idle_us), false, "US", "Mean sleep"},
	{"hz", offsetof(struct gen_options, hz), false, "HZ", "Guest ticks (two fastpath exits each)"},
	{"slow-hz", offsetof(struct gen_options, slow_hz), false, "HZ", "Slow VM-exits"},
	{"irq-hz", offsetof(struct gen_options, irq_hz), false, "HZ", "Host interrupts"},
	{"fastpath-hz", offsetof(struct gen_options, fastpath_hz), false, "HZ", "Fastpath exits beside ticks"},
	{"userspace-hz", offsetof(struct gen_options, userspace_hz), false, "HZ", "Exits to userspace"},
	{"preempt-hz", offsetof(struct gen_options, preempt_hz), false, "HZ", "Preemptions by host tasks"},
	{"preempt-n", offsetof(struct gen_options, preempt_n), false, "W", "Weight of tasks without AMX"},
	{"preempt-a", offsetof(struct gen_options, preempt_a), false, "W", "Weight of tasks with AMX"},
	{"preempt-k", offsetof(struct gen_options, preempt_k), false, "W", "Weight of kernel threads"},
	{"preempt-us", offsetof(struct gen_options, preempt_us), false, "US", "Mean time switched out"},
	{"migrate-ppm", offsetof(struct gen_options, migrate_ppm), false, "PPM",
	 "Resumes on another pCPU"},
	{"slice-us", offsetof(struct gen_options, slice_us), false, "US", "Time slice of shared pCPUs"},
};

enum { NR_NUMBERS = sizeof(numbers) / sizeof(numbers[0]), OPT_FIRST = 0x100, OPT_JSON = 0x200 };

struct args {
	struct gen_options options;
	const char *output;
	bool has_duration;
	bool json;
};

static uint64_t get(const struct gen_options *options, const struct number *n)
{
	const char *field = (const char *)options + n->offset;
	uint64_t wide;
	uint32_t narrow;

	if (n->wide) {
		memcpy(&wide, field, sizeof(wide));
		return wide;
	}
	memcpy(&narrow, field, sizeof(narrow));
	return narrow;
}

static void set(struct gen_options *options, const struct number *n, uint64_t value)
{
	char *field = (char *)options + n->offset;
	uint32_t narrow = (uint32_t)value;

	memcpy(field, n->wide ? (const void *)&value : (const void *)&narrow,
	       n->wide ? sizeof(value) : sizeof(narrow));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (key >= OPT_FIRST && key < OPT_FIRST + NR_NUMBERS) {
		const struct number *n = &numbers[key - OPT_FIRST];
		char name[32];

		snprintf(name, sizeof(name), "--%s", n->name);
		set(&args->options, n, cli_number(state, name, arg, 0, n->wide ? UINT64_MAX : UINT32_MAX));
		args->has_duration |= !strcmp(n->name, "duration-ms");
		/* --events replaces the default length; both together are for gen_trace() to refuse. */
		if (!strcmp(n->name, "events") && !args->has_duration)
			args->options.duration_ms = 0;
		return 0;
	}
	switch (key) {
	case 'o':
		args->output = arg;
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_usage(state, "'%s' is one argument too many; the trace goes to -o FILE", arg);
		return 0;
	case ARGP_KEY_END:
		if (!args->output)
			cli_usage(state, "where should the trace go? Add -o FILE.xft");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void report_progress(void *data, const char *phase, uint64_t done, uint64_t total)
{
	(void)data;
	cli_progress((void *)phase, done, total);
}

static void print_json(struct cli_output *out, const struct args *args, const struct gen_report *r)
{
	json_t *options = json_object();

	for (size_t i = 0; i < NR_NUMBERS; i++)
		json_object_set_new(options, numbers[i].name, cli_uint(get(&args->options, &numbers[i])));
	cli_output_json(out, json_pack("{ss so so so so so so so so so so}", "version", XFDSIM_VERSION,
				       "trace", cli_text(args->output), "options", options, "events",
				       cli_uint(r->events), "switches", cli_uint(r->switches),
				       "xfd_writes_after_boot", cli_uint(r->xfd_writes), "amx_tasks",
				       cli_uint(r->amx_tasks), "sleeps", cli_uint(r->sleeps),
				       "preemptions", cli_uint(r->preemptions), "slices",
				       cli_uint(r->slices), "migrations", cli_uint(r->migrations)));
}

static void print_text(FILE *out, const struct args *args, const struct gen_report *r)
{
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];

	fprintf(out, "%s: synthetic, %" PRIu32 " vCPUs on %" PRIu32 " pCPUs, %s events, %.3f s\n",
		args->output, args->options.vcpus, args->options.pcpus, table_number(r->events, a),
		(double)r->cycles / ((double)args->options.tsc_khz * 1e3));
	fprintf(out, "%s context switches, %s XFD writes after boot by %s AMX tasks, ",
		table_number(r->switches, a), table_number(r->xfd_writes, b),
		table_number(r->amx_tasks, c));
	fprintf(out, "%s sleeps, %s preemptions, %s migrations\n", table_number(r->sleeps, a),
		table_number(r->preemptions + r->slices, b), table_number(r->migrations, c));
}

/* argp wants a table of its own; the defaults in the help come from gen_options_init(). */
static void make_options(struct argp_option options[NR_NUMBERS + 3], char docs[NR_NUMBERS][96],
			 const struct gen_options *defaults)
{
	for (int i = 0; i < NR_NUMBERS; i++) {
		snprintf(docs[i], sizeof(docs[i]), "%s (%" PRIu64 ")", numbers[i].doc,
			 get(defaults, &numbers[i]));
		options[i] = (struct argp_option){numbers[i].name, OPT_FIRST + i, numbers[i].arg, 0,
						  docs[i], 0};
	}
	options[NR_NUMBERS] = (struct argp_option){
		"output", 'o', "FILE", 0, "Where the trace goes: .xfs makes text", 1};
	options[NR_NUMBERS + 1] = (struct argp_option){"json", OPT_JSON, NULL, 0, "Print JSON", 1};
	options[NR_NUMBERS + 2] = (struct argp_option){0};
}

int cmd_gen(int argc, char **argv)
{
	const struct import_progress progress = {.report = report_progress};
	struct argp_option options[NR_NUMBERS + 3];
	char docs[NR_NUMBERS][96];
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Make the trace of a synthetic Linux guest on a busy host. Rates are per second of "
		       "running, on each vCPU; ppm are millionths. The same options make the same trace, "
		       "bit for bit."
		       "\vExample: xfdsim gen --seed 7 --vcpus 2 --pcpus 2 --amx-share-ppm 500000 -o mix.xft",
	};
	struct gen_report report = {0};
	struct xfd_error err = {0};
	struct cli_output out;
	struct args args = {0};
	int status;

	gen_options_init(&args.options);
	make_options(options, docs, &args.options);
	cli_parse(&argp, argc, argv, &args);
	if (gen_trace(&args.options, args.output, &report, &progress, &err))
		return cli_fail(&err);
	if (!strcmp(args.output, "-"))
		return XFDSIM_OK;
	status = cli_output_open(&out);
	if (status)
		return status;
	if (args.json)
		print_json(&out, &args, &report);
	else
		print_text(out.text, &args, &report);
	return cli_output_close(&out, NULL, XFDSIM_OK);
}
