/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/section.h"
#include "sim/table.h"
#include "sim/validation.h"

struct args {
	const char *profile;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'c':
		args->profile = arg;
		return 0;
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_usage(state, "takes no argument; --profile chooses the prices");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static double at(const json_t *object, const char *key, size_t index)
{
	return json_number_value(json_array_get(json_object_get(object, key), index));
}

static void print_measurements(const json_t *doc, const char *use, FILE *out)
{
	struct table *table = table_new("what|CPU|unit|>published|>predicted|>error|range");
	json_t *datum;
	size_t i;

	json_array_foreach(json_object_get(doc, "measurements"), i, datum)
	{
		double from = at(datum, "published", 0), to = at(datum, "published", 1);

		if (strcmp(text_of(datum, "use"), use))
			continue;
		table_row(table);
		table_cell(table, "%s", text_of(datum, "what"));
		table_cell(table, "%s", text_of(datum, "cpu"));
		table_cell(table, "%s", text_of(datum, "unit"));
		if (from < to)
			table_cell(table, "%.0f-%.0f", from, to);
		else
			table_cell(table, "%.0f", from);
		table_cell(table, "%.0f (%.0f-%.0f)", at(datum, "predicted", 1),
			   at(datum, "predicted", 0), at(datum, "predicted", 2));
		table_cell(table, "%+.1f%%",
			   json_number_value(json_object_get(datum, "error_percent")));
		table_cell(table, json_is_true(json_object_get(datum, "covered")) ? "covers it"
										  : "MISSES it");
	}
	table_print(table, out);
}

static void print_notes(const json_t *doc, FILE *out)
{
	json_t *entry;
	char line[1024];
	size_t i;

	fputs("\nNotes\n", out);
	json_array_foreach(json_object_get(doc, "measurements"), i, entry)
	{
		if (!*text_of(entry, "note"))
			continue;
		snprintf(line, sizeof(line), "- %s, %s: %s.", text_of(entry, "what"),
			 text_of(entry, "cpu"), text_of(entry, "note"));
		section_wrap(line, out);
	}
	fputs("\nNot predicted\n", out);
	json_array_foreach(json_object_get(doc, "not_predicted"), i, entry)
	{
		snprintf(line, sizeof(line), "- %s: %s.", text_of(entry, "what"),
			 text_of(entry, "why"));
		section_wrap(line, out);
	}
}

static void print_text(const json_t *doc, FILE *out)
{
	static const struct {
		const char *use;
		const char *title;
	} parts[] = {
		{"calibration", "Calibration: prices were set with these, so they prove little"},
		{"held out", "Held out: no price was set with these"},
		{"plausibility",
		 "Plausibility: too far from the modelled machines to prove anything"},
	};

	fprintf(out,
		"Published measurements against profile %s: typical (low-high) prices.\n"
		"Error: of typical, against the nearer end of what is published. Sources: "
		"--json.\n",
		text_of(doc, "profile"));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const json_t *summary = json_array_get(json_object_get(doc, "summary"), i);

		fprintf(out, "\n%s\n\n", parts[i].title);
		print_measurements(doc, parts[i].use, out);
		fprintf(out, "%lld of %lld covered by the range of prices; median error %.1f%%\n",
			(long long)json_integer_value(json_object_get(summary, "covered")),
			(long long)json_integer_value(json_object_get(summary, "count")),
			json_number_value(json_object_get(summary, "median_error_percent")));
	}
	print_notes(doc, out);
}

int cmd_validate(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"profile", 'c', "NAME|FILE", 0, "Cost profile (spr); see 'xfdsim profiles'", 1},
		{"json", 'j', NULL, 0, "Print JSON, with sources", 2},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Compare a cost profile's predictions with published end-to-end "
		       "measurements, "
		       "and a few of our own, and say of each whether the prices were set with it. "
		       "Nobody has published a measurement of XFD interception itself."
		       "\vExample: xfdsim validate --profile icx",
	};
	struct args args = {.profile = PROFILE_DEFAULT};
	struct cost_profile *profile = NULL;
	struct xfd_error err = {0};
	struct cli_output out;
	json_t *doc = NULL;
	int status;

	cli_parse(&argp, argc, argv, &args);
	if (profile_load(args.profile, &profile, &err) || validation_json(profile, &doc, &err)) {
		status = cli_fail(&err);
	} else if (!(status = cli_output_open(&out))) {
		if (args.json)
			cli_output_json(&out, json_incref(doc));
		else
			print_text(doc, out.text);
		status = cli_output_close(&out, NULL, XFDSIM_OK);
	}
	json_decref(doc);
	profile_free(profile);
	return status;
}
