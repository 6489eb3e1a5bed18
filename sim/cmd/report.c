/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/analysis.h"
#include "sim/cli.h"
#include "sim/excerpt.h"
#include "sim/page.h"
#include "sim/plot.h"
#include "sim/results.h"
#include "sim/section.h"
#include "sim/uncertainty.h"

enum {
	MAX_TRACES = 1024,
	OPT_DB = 0x100,
	OPT_DRAWS,
	OPT_SEED,
	OPT_HTML,
	OPT_CSV,
	OPT_JSON,
	OPT_MARKDOWN,
	OPT_TIMELINE,
	OPT_TIMELINE_FROM
};

enum format { HTML, CSV, JSON, MARKDOWN, NR_FORMATS };

struct args {
	const char *db;
	const char *profile;
	const char *traces[MAX_TRACES];
	struct result_filter filter;
	struct analysis_options options;
	const char *file[NR_FORMATS];
	const char *timelines[MAX_TRACES];
	size_t nr_timelines;
	uint64_t timeline_from;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'c':
		args->profile = arg;
		return 0;
	case 'k':
		args->filter.kernel = arg;
		return 0;
	case 'j':
		args->options.threads =
			(unsigned int)cli_number(state, "-j", arg, 1, UNCERTAINTY_MAX_THREADS);
		return 0;
	case OPT_DB:
		args->db = arg;
		return 0;
	case OPT_DRAWS:
		args->options.draws = cli_number(state, "--draws", arg, 1, UNCERTAINTY_MAX_DRAWS);
		return 0;
	case OPT_SEED:
		args->options.seed = cli_number(state, "--seed", arg, 0, INT64_MAX);
		return 0;
	case OPT_HTML:
	case OPT_CSV:
	case OPT_JSON:
	case OPT_MARKDOWN:
		args->file[key - OPT_HTML] = arg ? arg : "-";
		return 0;
	case OPT_TIMELINE:
		if (!strcmp(arg, "-"))
			cli_usage(state, "--timeline reads its file more than once: no pipe");
		if (args->nr_timelines == MAX_TRACES)
			cli_usage(state, "at most %d traces at a time", MAX_TRACES);
		args->timelines[args->nr_timelines++] = arg;
		return 0;
	case OPT_TIMELINE_FROM:
		args->timeline_from = cli_number(state, "--timeline-from", arg, 0, INT64_MAX);
		return 0;
	case ARGP_KEY_ARG:
		if (args->filter.nr_traces == MAX_TRACES)
			cli_usage(state, "at most %d traces at a time", MAX_TRACES);
		args->traces[args->filter.nr_traces++] = arg;
		return 0;
	case ARGP_KEY_END:
		args->filter.traces = args->traces;
		if (args->timeline_from != EXCERPT_DEFAULT && !args->nr_timelines)
			cli_usage(state, "--timeline-from wants --timeline FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* What makes a group's runs again, and its bound, which belongs to a profile. */
static json_t *compare_json(const struct args *args, const json_t *group)
{
	json_t *command = json_object_get(group, "command");
	char *text = NULL;
	size_t len;
	FILE *out;

	if (!json_is_object(json_object_get(group, "optimum")))
		return json_incref(command);
	out = open_memstream(&text, &len);
	if (!out)
		return json_incref(command);
	fprintf(out, "%s --optimum --profile ", json_string_value(command));
	cli_shell_word(out, args->profile);
	fclose(out);
	command = json_string(text);
	free(text);
	return command;
}

/* What makes the report again: the runs, then this command. */
static json_t *commands_json(const struct args *args, const json_t *doc)
{
	json_t *commands = json_array(), *group;
	char *text = NULL;
	size_t len, g;
	FILE *out;

	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		json_array_append_new(commands, compare_json(args, group));
	}
	out = open_memstream(&text, &len);
	if (!out)
		return commands;
	fputs("xfdsim report --profile ", out);
	cli_shell_word(out, args->profile);
	fprintf(out, " --draws %" PRIu64 " --seed %" PRIu64, args->options.draws,
		args->options.seed);
	if (args->filter.kernel) {
		fputs(" --kernel ", out);
		cli_shell_word(out, args->filter.kernel);
	}
	for (size_t i = 0; i < args->nr_timelines; i++) {
		fputs(" --timeline ", out);
		cli_shell_word(out, args->timelines[i]);
	}
	if (args->timeline_from != EXCERPT_DEFAULT)
		fprintf(out, " --timeline-from %" PRIu64, args->timeline_from);
	for (size_t i = 0; i < args->filter.nr_traces; i++) {
		fputc(' ', out);
		cli_shell_word(out, args->filter.traces[i]);
	}
	fputs(" --html report.html", out);
	fclose(out);
	json_array_append_new(commands, json_string(text));
	free(text);
	return commands;
}

static void print_text(const json_t *doc, const json_t *sections, FILE *out)
{
	json_t *group, *section;
	size_t g, s;

	json_array_foreach(json_object_get(doc, "groups"), g, group)
	{
		fprintf(out, "%s== %s (%s trace), kernel %s, xfdsim %s ==\n\n", g ? "\n\n" : "",
			json_string_value(json_object_get(group, "trace")),
			json_string_value(json_object_get(group, "mode")),
			json_string_value(json_object_get(group, "kernel")),
			json_string_value(json_object_get(group, "version")));
		section_wrap(json_string_value(json_object_get(group, "decision")), out);
		plot_bars(group, out);
		plot_tornado(group, out);
		json_array_foreach(sections, s, section)
		{
			const char *id = json_string_value(json_object_get(section, "id"));

			if (json_integer_value(json_object_get(section, "group")) ==
				    (json_int_t)g &&
			    strcmp(id, "steps") && strcmp(id, "pairs") && strcmp(id, "paths") &&
			    (strcmp(id, "timeline") || json_object_get(group, "timeline")))
				section_text(section, out);
		}
	}
	plot_map(doc, out);
	json_array_foreach(sections, s, section)
	{
		const char *id = json_string_value(json_object_get(section, "id"));

		if (!strcmp(id, "traces") || !strcmp(id, "break_even_prices"))
			section_text(section, out);
	}
	fputs("\nAll steps, pairs and prices are in --html, --markdown, --csv and --json.\n", out);
}

static void print_markdown(const json_t *doc, const json_t *sections, const json_t *commands,
			   FILE *out)
{
	json_t *group, *section, *command;
	json_int_t last = -1;
	size_t s, i;

	fputs("# Which interception of IA32_XFD is cheapest?\n", out);
	json_array_foreach(sections, s, section)
	{
		json_int_t g = json_integer_value(json_object_get(section, "group"));

		group = g < 0 ? NULL : json_array_get(json_object_get(doc, "groups"), (size_t)g);
		if (group && g != last)
			fprintf(out, "\n## `%s`\n\n%s\n",
				json_string_value(json_object_get(group, "trace")),
				json_string_value(json_object_get(group, "decision")));
		last = g;
		section_markdown(section, out);
	}
	fputs("\n## Make this report again\n\n", out);
	json_array_foreach(commands, i, command)
	{
		fprintf(out, "    %s\n", json_string_value(command));
	}
}

static int write_format(enum format format, const char *path, json_t *doc, const json_t *sections,
			const json_t *commands)
{
	struct cli_output out;
	int status = cli_output_open(&out);

	if (status)
		return status;
	switch (format) {
	case HTML:
		page_print(doc, sections, commands, out.text);
		break;
	case CSV:
		sections_csv(doc, sections, out.text);
		break;
	case JSON:
		cli_output_json(&out, json_incref(doc));
		break;
	case MARKDOWN:
		print_markdown(doc, sections, commands, out.text);
		break;
	case NR_FORMATS:
		print_text(doc, sections, out.text);
		break;
	}
	return cli_output_close(&out, path, XFDSIM_OK);
}

static int write_all(const struct args *args, json_t *doc)
{
	json_auto_t *sections = sections_json(doc), *commands = commands_json(args, doc);
	int status = XFDSIM_OK;
	bool any = false;

	json_object_set(doc, "commands", commands);
	for (int format = 0; format < NR_FORMATS && !status; format++) {
		if (!args->file[format])
			continue;
		any = true;
		status = write_format((enum format)format, args->file[format], doc, sections,
				      commands);
	}
	return any ? status : write_format(NR_FORMATS, NULL, doc, sections, commands);
}

static int add_excerpts(const struct args *args, const struct results *results,
			const struct cost_profile *profile, json_t *doc, struct xfd_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < args->nr_timelines && !ret; i++)
		ret = excerpt_add(doc, args->timelines[i], args->timeline_from, results, profile,
				  err);
	return ret;
}

static int report(const struct args *args, struct store *store, const struct cost_profile *profile,
		  struct xfd_error *err)
{
	struct results results;
	int status = XFDSIM_OK;
	json_t *doc = NULL;

	if (results_load(store, &args->filter, &results, err))
		return cli_fail(err);
	if (!results.nr_groups)
		xfd_error_set(err, XFD_ERROR_INPUT, args->db, 0, -1,
			      "no such run in the database; 'xfdsim compare TRACE' stores runs");
	if (!results.nr_groups || analysis_json(&results, profile, &args->options, &doc, err) ||
	    add_excerpts(args, &results, profile, doc, err))
		status = cli_fail(err);
	else
		status = write_all(args, doc);
	json_decref(doc);
	results_release(&results);
	return status;
}

/* No output over the database, over a trace that is named, or over another output. */
static int check_outputs(const struct args *args)
{
	for (int i = 0; i < NR_FORMATS; i++) {
		int status = cli_refuse_same(args->file[i], args->db);

		for (size_t t = 0; t < args->filter.nr_traces && !status; t++)
			status = cli_refuse_same(args->file[i], args->filter.traces[t]);
		for (int j = 0; j < i && !status; j++)
			if (args->file[i] && args->file[j] &&
			    !strcmp(args->file[i], args->file[j])) {
				fprintf(stderr, "xfdsim: two documents cannot both go to %s\n",
					strcmp(args->file[i], "-") ? args->file[i]
								   : "standard output");
				status = XFDSIM_USAGE;
			}
		if (status)
			return status;
	}
	return XFDSIM_OK;
}

int cmd_report(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"html", OPT_HTML, "FILE", 0, "Write one self-contained page with charts", 1},
		{"csv", OPT_CSV, "FILE", OPTION_ARG_OPTIONAL, "Write every number as CSV", 1},
		{"json", OPT_JSON, "FILE", OPTION_ARG_OPTIONAL, "Write the analysis as JSON", 1},
		{"markdown", OPT_MARKDOWN, "FILE", OPTION_ARG_OPTIONAL, "Write Markdown", 1},
		{"timeline", OPT_TIMELINE, "FILE", 0,
		 "Show an excerpt of this trace event by event; may be given for each trace", 1},
		{"timeline-from", OPT_TIMELINE_FROM, "N", 0,
		 "... from event N on (from the first XFD write of 0)", 1},
		{"profile", 'c', "NAME|FILE", 0, "Cost profile (spr); see 'xfdsim profiles'", 2},
		{"kernel", 'k', "NAME", 0, "Only runs of this kernel variant", 2},
		{"draws", OPT_DRAWS, "N", 0, "Draw so many price lists (1000000)", 2},
		{"seed", OPT_SEED, "N", 0, "Of the draws (1)", 2},
		{"threads", 'j', "N", 0, "Draw with so many threads (1); changes no number", 2},
		{"db", OPT_DB, "FILE", 0, "The database (xfdsim.db)", 3},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[TRACE...]",
		.doc = "Turn stored runs into a decision: ranking, how sure it is over random "
		       "prices, "
		       "which price decides, break-even map, how long the guest waits. TRACE is a "
		       "file "
		       "name as it was given to compare, or the first digits of the trace's hash; "
		       "none "
		       "means all. Without an output option a summary with plots is printed."
		       "\vExample: xfdsim compare guest.xft && xfdsim report --html report.html",
	};
	struct args args = {
		.db = "xfdsim.db",
		.profile = PROFILE_DEFAULT,
		.options = {.draws = UNCERTAINTY_DEFAULT_DRAWS, .seed = 1, .threads = 1},
		.timeline_from = EXCERPT_DEFAULT,
	};
	struct cost_profile *profile = NULL;
	struct store *store = NULL;
	struct xfd_error err = {0};
	int status;

	cli_parse(&argp, argc, argv, &args);
	for (size_t i = 0; i < args.nr_timelines * NR_FORMATS; i++) {
		status = cli_refuse_same(args.file[i % NR_FORMATS], args.timelines[i / NR_FORMATS]);
		if (status)
			return status;
	}
	status = check_outputs(&args);
	if (status)
		return status;
	if (profile_load(args.profile, &profile, &err) ||
	    store_open_existing(args.db, &store, &err))
		status = cli_fail(&err);
	else
		status = report(&args, store, profile, &err);
	store_close(store);
	profile_free(profile);
	return status;
}
