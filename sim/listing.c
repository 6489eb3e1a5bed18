/* SPDX-License-Identifier: MIT */
#include "sim/listing.h"

#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct listing *list = state->input;

	(void)arg;
	if (key == 'j')
		list->json = true;
	else if (key == ARGP_KEY_ARG)
		cli_usage(state, "'%s' is one argument too many", arg);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

void listing_parse(struct listing *list, int argc, char **argv, const char *doc, const char *fields)
{
	static const struct argp_option options[] = {
		{"json", 'j', NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {.options = options, .parser = parse, .doc = doc};
	char *copy, *rest, *label;

	*list = (struct listing){.entries = json_array()};
	cli_parse(&argp, argc, argv, list);
	copy = rest = strdup(fields);
	while (rest && (label = strsep(&rest, "|")) && list->nr_fields < LISTING_MAX_FIELDS)
		list->fields[list->nr_fields++] = strdup(label);
	free(copy);
}

void listing_add(struct listing *list, const char *const *values)
{
	json_t *entry = json_object();

	for (size_t i = 0; i < list->nr_fields; i++)
		json_object_set_new(entry, list->fields[i], json_string(values[i]));
	json_array_append_new(list->entries, entry);
}

static void print_text(const struct listing *list, FILE *out)
{
	json_t *entry;
	size_t i;
	int width = 0;

	json_array_foreach(list->entries, i, entry)
	{
		int len = (int)strlen(json_string_value(json_object_get(entry, list->fields[0])));

		width = len > width ? len : width;
	}
	json_array_foreach(list->entries, i, entry)
	{
		fprintf(out, "%-*s  %s\n", width,
			json_string_value(json_object_get(entry, list->fields[0])),
			json_string_value(json_object_get(entry, list->fields[1])));
		for (size_t f = 2; f < list->nr_fields; f++)
			fprintf(out, "%*s  %s: %s\n", width, "", list->fields[f],
				json_string_value(json_object_get(entry, list->fields[f])));
	}
}

/* The labels are for people; keys have no spaces. */
static json_t *with_keys(const struct listing *list)
{
	json_t *entries = json_array(), *entry;
	size_t i;

	json_array_foreach(list->entries, i, entry)
	{
		json_t *renamed = json_object();

		for (size_t f = 0; f < list->nr_fields; f++) {
			char *key = strdup(list->fields[f]);

			for (char *c = key; *c; c++)
				if (*c == ' ')
					*c = '_';
			json_object_set(renamed, key, json_object_get(entry, list->fields[f]));
			free(key);
		}
		json_array_append_new(entries, renamed);
	}
	return entries;
}

int listing_print(struct listing *list)
{
	struct cli_output out;
	int status = cli_output_open(&out);

	if (status)
		return status;
	if (list->json)
		cli_output_json(&out, with_keys(list));
	else
		print_text(list, out.text);
	for (size_t f = 0; f < list->nr_fields; f++)
		free(list->fields[f]);
	json_decref(list->entries);
	return cli_output_close(&out, NULL, XFDSIM_OK);
}
