/* SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "sim/cli.h"
#include "sim/table.h"

struct args {
	const char *profile;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->profile)
			cli_usage(state, "one profile at a time");
		args->profile = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static json_t *profile_json(const struct cost_profile *p, bool prices)
{
	json_t *steps = json_object();
	char hash[PROFILE_HASH_LEN];

	profile_hash(p, hash);
	for (enum step step = 0; step < NR_PRICED_STEPS && prices; step++) {
		const struct step_price *price = &p->price[step];

		json_object_set_new(steps, step_name(step),
				    json_pack("{so so so ss% ss sb ss? ss}", "low",
					      cli_uint(price->cycles[PRICE_LOW]), "typical",
					      cli_uint(price->cycles[PRICE_TYPICAL]), "high",
					      cli_uint(price->cycles[PRICE_HIGH]), "grade",
					      &price->grade, (size_t)1, "basis",
					      price_basis_name(price->basis), "hypothetical",
					      (int)price->hypothetical, "shares", price->shares,
					      "source", price->source));
	}
	return json_pack("{ss ss ss so so so}", "name", p->name, "title", p->title, "hash", hash,
			 "tsc_khz", cli_uint(p->tsc_khz), "core_khz", cli_uint(p->core_khz),
			 "steps", steps);
}

static void print_prices(const struct cost_profile *p, FILE *out)
{
	struct table *table = table_new("step|>low|>typical|>high|grade|source");
	char n[TABLE_NUMBER_LEN];

	fprintf(out, "%s: %s\nprices in cycles of a TSC of %.3f GHz. %s\n\n", p->name, p->title,
		(double)p->tsc_khz / 1e6, p->clock_note);
	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		const struct step_price *price = &p->price[step];

		table_row(table);
		table_cell(table, "%s", step_name(step));
		for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++)
			table_cell(table, "%s", table_number(price->cycles[column], n));
		table_cell(table, "%c %s%s", price->grade, price_basis_name(price->basis),
			   price->hypothetical ? ", hypothetical" : "");
		table_cell(table, "%s", price->source);
	}
	table_print(table, out);
}

int cmd_profiles(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"json", 'j', NULL, 0, "Print JSON", 0},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[NAME|FILE]",
		.doc = "List the built-in cost profiles, or show the prices of one, with where "
		       "each comes "
		       "from and how far to trust it. Grades: A measured, conditions stated; B "
		       "stated by "
		       "KVM's maintainers; C another part or a summary; D recollection or pure "
		       "modelling."
		       "\vA name with a slash or ending in .json is a file of your own; "
		       "sim/profiles/README.md describes the format.",
	};
	struct xfd_error err = {0};
	struct cost_profile *p;
	struct args args = {0};
	struct cli_output out;
	const char *name;
	json_t *array;
	int status;

	cli_parse(&argp, argc, argv, &args);
	status = cli_output_open(&out);
	if (status)
		return status;
	array = json_array();
	for (size_t i = 0;
	     !status && (name = args.profile ? args.profile : profile_builtin_name(i)); i++) {
		if (profile_load(name, &p, &err)) {
			status = cli_fail(&err);
			break;
		}
		if (args.json)
			json_array_append_new(array, profile_json(p, args.profile));
		else if (args.profile)
			print_prices(p, out.text);
		else
			fprintf(out.text, "%s  %s%s\n", p->name, p->title,
				i ? "" : " (the default)");
		profile_free(p);
		if (args.profile)
			break;
	}
	if (args.json)
		cli_output_json(&out, args.profile ? json_incref(json_array_get(array, 0))
						   : json_incref(array));
	json_decref(array);
	if (status)
		out.len = 0;
	return cli_output_close(&out, NULL, status);
}
