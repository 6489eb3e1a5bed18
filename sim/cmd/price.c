/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>

#include "sim/cli.h"
#include "sim/compare.h"
#include "sim/results.h"
#include "sim/table.h"

enum { MAX_PROFILES = 16, MAX_TRACES = 1024, OPT_DB = 0x100, OPT_SAVE, OPT_JSON };

struct args {
	const char *db;
	const char *output;
	const char *profiles[MAX_PROFILES];
	size_t nr_profiles;
	const char *traces[MAX_TRACES];
	struct result_filter filter;
	bool save;
	bool json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 'c':
		if (args->nr_profiles == MAX_PROFILES)
			cli_usage(state, "at most %d profiles at a time", MAX_PROFILES);
		args->profiles[args->nr_profiles++] = arg;
		return 0;
	case 'k':
		args->filter.kernel = arg;
		return 0;
	case 'r':
		args->filter.run_id = (int64_t)cli_number(state, "--run", arg, 1, INT64_MAX);
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case OPT_DB:
		args->db = arg;
		return 0;
	case OPT_SAVE:
		args->save = true;
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->filter.nr_traces == MAX_TRACES)
			cli_usage(state, "at most %d traces at a time", MAX_TRACES);
		args->traces[args->filter.nr_traces++] = arg;
		return 0;
	case ARGP_KEY_END:
		args->filter.traces = args->traces;
		if (!args->nr_profiles)
			args->profiles[args->nr_profiles++] = PROFILE_DEFAULT;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* One run under one profile. */
struct priced {
	const struct result_group *group;
	const struct run *run;
	int64_t run_id;
	const struct cost_profile *profile;
	uint64_t cycles[NR_PRICE_COLUMNS];
};

static double percent(const struct priced *p)
{
	return compare_percent(p->cycles[PRICE_TYPICAL], p->profile->tsc_khz,
			       p->run->ledger.step_count[STEP_guest_run], p->group->tsc_khz);
}

static void add_row(struct table *table, const struct priced *p)
{
	char n[TABLE_NUMBER_LEN];

	table_row(table);
	table_cell(table, "%" PRId64, p->run_id);
	table_cell(table, "%s", p->group->trace);
	table_cell(table, "%s", p->group->kernel);
	table_cell(table, "%s", p->run->policy);
	table_cell(table, "%s", p->profile->name);
	for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++)
		table_cell(table, "%s", table_number(p->cycles[column], n));
	table_cell(table, "%.4f%%", percent(p));
}

static json_t *row_json(const struct priced *p)
{
	return json_pack("{sI ss ss ss ss ss so so so so sf}", "run", (json_int_t)p->run_id,
			 "trace", p->group->trace, "kernel", p->group->kernel, "version",
			 p->group->version, "policy", p->run->policy, "profile", p->profile->name,
			 "guest_cycles", cli_uint(p->run->ledger.step_count[STEP_guest_run]),
			 "overhead_low", cli_uint(p->cycles[PRICE_LOW]), "overhead",
			 cli_uint(p->cycles[PRICE_TYPICAL]), "overhead_high",
			 cli_uint(p->cycles[PRICE_HIGH]), "overhead_percent", percent(p));
}

static int price_run(struct priced *p, struct table *table, json_t *array, struct xfd_error *err)
{
	for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++)
		if (profile_price(p->profile, column, p->run->ledger.step_count,
				  &p->cycles[column]))
			return xfd_error_set(err, XFD_ERROR_INPUT, p->profile->name, 0, -1,
					     "run %" PRId64 " costs more than 2^64 cycles at these "
					     "prices",
					     p->run_id);
	json_array_append_new(array, row_json(p));
	if (table)
		add_row(table, p);
	return 0;
}

static int price_all(const struct results *results, const struct cost_profile *profile,
		     struct table *table, json_t *array, struct xfd_error *err)
{
	for (size_t g = 0; g < results->nr_groups; g++)
		for (size_t i = 0; i < results->groups[g].nr; i++) {
			struct priced p = {
				.group = &results->groups[g],
				.run = &results->groups[g].runs[i],
				.run_id = results->groups[g].run_ids[i],
				.profile = profile,
			};
			int ret = price_run(&p, table, array, err);

			if (ret)
				return ret;
		}
	return 0;
}

static int price_profiles(const struct args *args, struct store *store,
			  const struct results *results, struct table *table, json_t *array,
			  struct xfd_error *err)
{
	int ret = 0;

	for (size_t i = 0; i < args->nr_profiles && !ret; i++) {
		struct cost_profile *profile;

		ret = profile_load(args->profiles[i], &profile, err);
		if (!ret && args->save)
			ret = store_profile(store, profile, NULL, err);
		if (!ret)
			ret = price_all(results, profile, table, array, err);
		profile_free(profile);
	}
	return ret;
}

static int price(const struct args *args, struct store *store, struct xfd_error *err)
{
	struct results results;
	struct cli_output out;
	struct table *table;
	json_t *array;
	int status;

	if (results_load(store, &args->filter, &results, err))
		return cli_fail(err);
	status = cli_output_open(&out);
	if (status) {
		results_release(&results);
		return status;
	}
	if (!results.nr_groups) {
		if (args->filter.run_id)
			xfd_error_set(err, XFD_ERROR_INPUT, args->db, 0, -1,
				      "--run %" PRId64 ": no such run in the database, or none of "
				      "the kernel and traces that are asked for",
				      args->filter.run_id);
		xfd_error_set(err, XFD_ERROR_INPUT, args->db, 0, -1,
			      "no such run in the database; 'xfdsim compare TRACE' stores runs");
		status = cli_fail(err);
	}
	table = args->json ? NULL
			   : table_new(">run|trace|kernel|policy|profile|>low|>typical|>high|>of "
				       "guest time");
	array = json_array();
	if (price_profiles(args, store, &results, table, array, err))
		status = cli_fail(err);
	if (args->json)
		cli_output_json(&out,
				json_pack("{ss sO}", "version", XFDSIM_VERSION, "runs", array));
	else
		table_print(table, out.text);
	json_decref(array);
	results_release(&results);
	if (!status)
		return cli_output_close(&out, args->output, status);
	fclose(out.text);
	free(out.buf);
	return status;
}

int cmd_price(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"profile", 'c', "NAME|FILE", 0, "Cost profile (spr); may be given several times",
		 1},
		{"kernel", 'k', "NAME", 0, "Only runs of this kernel variant", 1},
		{"run", 'r', "N", 0, "Only the run with this number", 1},
		{"save", OPT_SAVE, NULL, 0,
		 "Store the profiles too, so that the database's views have their columns", 2},
		{"db", OPT_DB, "FILE", 0, "The database (xfdsim.db)", 3},
		{"output", 'o', "FILE", 0, "Write the result there instead of standard output", 3},
		{"json", OPT_JSON, NULL, 0, "Print JSON", 3},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[TRACE...]",
		.doc = "Price stored runs again, under any profiles, without replaying: counts are "
		       "facts, cycles are prices. TRACE is a file name as it was given to replay "
		       "or "
		       "compare, or the first digits of the trace's hash; none means all. Columns "
		       "are "
		       "cycles of the profile's TSC."
		       "\vExample: xfdsim price -c spr -c gnr -c mine.json --save",
	};
	struct args args = {.db = "xfdsim.db"};
	struct store *store = NULL;
	struct xfd_error err = {0};
	int ret, status;

	cli_parse(&argp, argc, argv, &args);
	ret = args.save ? store_open(args.db, &store, &err)
			: store_open_existing(args.db, &store, &err);
	status = ret ? cli_fail(&err) : price(&args, store, &err);
	store_close(store);
	return status;
}
