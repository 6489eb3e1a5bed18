/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/cli.h"
#include "sim/table.h"
#include "sim/workload.h"
#include "traces/gen.h"
#include "traces/pool.h"

static const struct number {
	const char *field;
	size_t offset;
	bool wide;
	const char *arg;
	const char *doc;
} numbers[] = {
#define XFD_GEN_OPTION(field, wide, varies, arg, doc)                                              \
	{#field, offsetof(struct gen_options, field), wide, arg, doc},
#include "traces/gen_option_list.h"
#undef XFD_GEN_OPTION
};

enum {
	NR_NUMBERS = sizeof(numbers) / sizeof(numbers[0]),
	OPT_FIRST = 0x100,
	OPT_JSON = 0x200,
	OPT_WORKLOADS,
	OPT_PART,
	NR_OTHERS = 6
};

struct args {
	struct gen_options options;
	struct gen_options part; /* its part and parts only */
	uint32_t threads;
	const char *output;
	struct workload *workload;
	bool given[NR_NUMBERS]; /* on the command line */
	bool list;
	bool has_number;
	bool has_duration;
	bool json;
	struct xfd_error err;
};

enum { NAME_LEN = 32 };

/* A field's name with - for _. */
static char *option_name(const char *field, char name[NAME_LEN])
{
	snprintf(name, NAME_LEN, "%s", field);
	for (char *p = name; *p; p++)
		*p = *p == '_' ? '-' : *p;
	return name;
}

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

/* "2/5": the second of five. */
static void parse_part(struct argp_state *state, const char *arg, struct gen_options *options)
{
	const char *slash = strchr(arg, '/');
	char part[24];

	if (!slash || slash == arg || (size_t)(slash - arg) >= sizeof(part))
		cli_usage(state, "--part: wanted I/N, the I-th of N parts, this is '%s'", arg);
	snprintf(part, sizeof(part), "%.*s", (int)(slash - arg), arg);
	options->parts = (uint32_t)cli_number(state, "--part", slash + 1, 1, UINT32_MAX);
	options->part = (uint32_t)cli_number(state, "--part", part, 1, options->parts);
}

static void drop_duration(struct args *args)
{
	args->options.duration_ms = 0;
	for (size_t i = 0; args->workload && i < args->workload->nr_phases; i++)
		args->workload->phases[i].options.duration_ms = 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	if (key >= OPT_FIRST && key < OPT_FIRST + NR_NUMBERS) {
		const struct number *n = &numbers[key - OPT_FIRST];
		char name[2 + NAME_LEN];
		uint64_t value;

		option_name(n->field, name + 2);
		memcpy(name, "--", 2);
		args->has_number = args->given[n - numbers] = true;
		value = cli_number(state, name, arg, 0, n->wide ? UINT64_MAX : UINT32_MAX);
		set(&args->options, n, value);
		for (size_t i = 0; args->workload && i < args->workload->nr_phases; i++)
			set(&args->workload->phases[i].options, n, value);
		args->has_duration |= !strcmp(n->field, "duration_ms");
		/* --events replaces the default length; both together are for gen_trace() to
		 * refuse. */
		if (!strcmp(n->field, "events") && !args->has_duration)
			drop_duration(args);
		return 0;
	}
	switch (key) {
	case 'w':
		if (args->has_number || args->workload)
			cli_usage(state,
				  "--workload comes once, before the numbers that change it");
		if (workload_load(arg, &args->workload, &args->err))
			return 0;
		args->options = args->workload->options;
		args->options.workload = args->workload->name;
		args->options.phases = args->workload->phases;
		args->options.nr_phases = args->workload->nr_phases;
		return 0;
	case OPT_WORKLOADS:
		args->list = true;
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case 't':
		args->threads = (uint32_t)cli_number(state, "--threads", arg, 1, POOL_MAX_THREADS);
		return 0;
	case OPT_PART:
		parse_part(state, arg, &args->part);
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_usage(state, "'%s' is one argument too many; the trace goes to -o FILE", arg);
		return 0;
	case ARGP_KEY_END:
		if (!args->output && !args->list && !args->err.kind)
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
	char name[NAME_LEN];

	for (size_t i = 0; i < NR_NUMBERS; i++)
		json_object_set_new(options, option_name(numbers[i].field, name),
				    cli_uint(get(&args->options, &numbers[i])));
	cli_output_json(out, json_pack("{ss so so so so so so so so so}", "version", XFDSIM_VERSION,
				       "trace", cli_text(args->output), "options", options,
				       "events", cli_uint(r->events), "xfd_writes_after_boot",
				       cli_uint(r->xfd_writes), "amx_tasks", cli_uint(r->amx_tasks),
				       "sleeps", cli_uint(r->sleeps), "preemptions",
				       cli_uint(r->preemptions), "slices", cli_uint(r->slices),
				       "migrations", cli_uint(r->migrations)));
}

static void print_text(FILE *out, const struct args *args, const struct gen_report *r)
{
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];

	/* A part knows when it ends, by the clock of the whole. */
	fprintf(out, "%s: synthetic, %" PRIu32 " vCPUs on %" PRIu32 " pCPUs, %s events, %s%.3f s\n",
		args->output, args->options.vcpus, args->options.pcpus, table_number(r->events, a),
		args->options.part > 1 ? "the last at " : "",
		(double)r->cycles / ((double)args->options.tsc_khz * 1e3));
	fprintf(out, "%s XFD writes after boot, %s tasks that used AMX for the first time, ",
		table_number(r->xfd_writes, a), table_number(r->amx_tasks, b));
	fprintf(out, "%s sleeps, %s preemptions, %s migrations\n", table_number(r->sleeps, a),
		table_number(r->preemptions + r->slices, b), table_number(r->migrations, c));
}

/* argp wants a table of its own; the defaults in the help come from gen_options_init(). */
static void make_options(struct argp_option options[NR_NUMBERS + NR_OTHERS + 1],
			 char docs[NR_NUMBERS][96], char names[NR_NUMBERS][NAME_LEN],
			 const struct gen_options *defaults)
{
	for (int i = 0; i < NR_NUMBERS; i++) {
		snprintf(docs[i], sizeof(docs[i]), "%s (%" PRIu64 ")", numbers[i].doc,
			 get(defaults, &numbers[i]));
		options[i] = (struct argp_option){option_name(numbers[i].field, names[i]),
						  OPT_FIRST + i,
						  numbers[i].arg,
						  0,
						  docs[i],
						  0};
	}
	options[NR_NUMBERS] = (struct argp_option){
		"output", 'o', "FILE", 0, "Where the trace goes: .xfs makes text", 1};
	options[NR_NUMBERS + 1] = (struct argp_option){"json", OPT_JSON, NULL, 0, "Print JSON", 1};
	options[NR_NUMBERS + 2] = (struct argp_option){
		"workload",
		'w',
		"NAME|FILE",
		0,
		"Begin with the numbers of this workload; options after it change them",
		1};
	options[NR_NUMBERS + 3] =
		(struct argp_option){"workloads", OPT_WORKLOADS, NULL, 0, "List workloads", 1};
	options[NR_NUMBERS + 4] = (struct argp_option){
		"part",
		OPT_PART,
		"I/N",
		0,
		"Make part I of N only, from 1; all parts after each other are the whole",
		1};
	options[NR_NUMBERS + 5] = (struct argp_option){
		"threads", 't', "N", 0, "Threads (as many as CPUs); changes no byte", 1};
	options[NR_NUMBERS + 6] = (struct argp_option){0};
}

static int list(void)
{
	struct table *table = table_new("workload|what|basis");
	struct cli_output out;
	const char *name;
	int status = cli_output_open(&out);

	for (size_t i = 0; !status && (name = workload_name_at(i)); i++) {
		struct xfd_error err = {0};
		struct workload *w;

		if (workload_load(name, &w, &err)) {
			status = cli_fail(&err);
			break;
		}
		table_row(table);
		table_cell(table, "%s", w->name);
		table_cell(table, "%s", w->summary);
		table_cell(table, "%s", w->basis);
		workload_free(w);
	}
	if (status)
		return status;
	table_print(table, out.text);
	return cli_output_close(&out, NULL, XFDSIM_OK);
}

static bool is_given(const struct args *args, const char *field)
{
	bool given = false;

	for (size_t i = 0; i < NR_NUMBERS; i++)
		given |= args->given[i] && !strcmp(numbers[i].field, field);
	return given;
}

/* Who said it: an option, a line of a workload's file, or the defaults, which options change. */
static int fail_for(const struct args *args, const struct gen_fault *fault)
{
	const struct workload *w = args->workload;
	const char *field = fault->field;
	struct xfd_error err = {0};
	char name[NAME_LEN];
	uint64_t line = 0;
	bool in_file;

	if (fault->other && !is_given(args, field) && is_given(args, fault->other))
		field = fault->other;
	in_file = w && w->is_file && !is_given(args, field);
	/* What a phase does not say itself the workload says for all of them. */
	if (in_file)
		line = workload_line(w, fault->phase, field);
	if (in_file && !line)
		line = workload_line(w, 0, field);
	if (line)
		xfd_error_set(&err, XFD_ERROR_INPUT, w->source, line, -1, "%s: %s", field,
			      fault->text);
	else
		xfd_error_set(&err, XFD_ERROR_USAGE, NULL, 0, -1, "--%s: %s",
			      option_name(field, name), fault->text);
	return cli_fail(&err);
}

static int generate(const struct args *args)
{
	const struct import_progress progress = {.report = report_progress};
	struct gen_report report = {0};
	struct xfd_error err = {0};
	struct cli_output out;
	int status;

	if (gen_trace(&args->options, args->output, &report, &progress, &err))
		return report.fault.field ? fail_for(args, &report.fault) : cli_fail(&err);
	if (!strcmp(args->output, "-"))
		return XFDSIM_OK;
	status = cli_output_open(&out);
	if (status)
		return status;
	if (args->json)
		print_json(&out, args, &report);
	else
		print_text(out.text, args, &report);
	return cli_output_close(&out, NULL, XFDSIM_OK);
}

int cmd_gen(int argc, char **argv)
{
	struct argp_option options[NR_NUMBERS + NR_OTHERS + 1];
	char names[NR_NUMBERS][NAME_LEN];
	char docs[NR_NUMBERS][96];
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Make the trace of a synthetic Linux guest on a busy host. Rates are per "
		       "second of "
		       "running, on each vCPU; ppm are millionths. The same options make the same "
		       "trace, "
		       "bit for bit."
		       "\vExample: xfdsim gen --seed 7 --vcpus 2 --pcpus 2 --amx-share-ppm 500000 "
		       "-o mix.xft\n\nParts of a long trace can be made on many machines, each "
		       "with "
		       "the same options but for --part; each is a trace that starts armed.",
	};
	struct args args = {0};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int status;

	args.threads = cpus < 1 ? 1 : cpus > POOL_MAX_THREADS ? POOL_MAX_THREADS : (uint32_t)cpus;
	gen_options_init(&args.options);
	make_options(options, docs, names, &args.options);
	cli_parse(&argp, argc, argv, &args);
	if (args.err.kind)
		return cli_fail(&args.err);
	args.options.threads = args.threads;
	args.options.part = args.part.part;
	args.options.parts = args.part.parts;
	status = args.list ? list() : generate(&args);
	workload_free(args.workload);
	return status;
}
