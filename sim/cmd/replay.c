/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/compare.h"
#include "sim/table.h"

struct args {
	struct cli_run_args run;
	const char *trace;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->run;
		return 0;
	case 'p':
		args->run.options.policy = cli_policy(state, arg);
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

static json_t *cycles_json(const struct comparison_row *row, const struct cost_profile *profile)
{
	json_t *cycles = json_object();

	for (enum step step = 0; step < NR_PRICED_STEPS; step++)
		json_object_set_new(cycles, step_name(step),
				    cli_uint(row->run->ledger.step_count[step] *
					     profile->price[step].cycles[PRICE_TYPICAL]));
	return json_pack("{ss so so so so so}", "profile", profile->name, "by_step", cycles,
			 "overhead_low", cli_uint(row->overhead_cycles[PRICE_LOW]), "overhead",
			 cli_uint(row->overhead_cycles[PRICE_TYPICAL]), "overhead_high",
			 cli_uint(row->overhead_cycles[PRICE_HIGH]), "xfd",
			 cli_uint(row->xfd_cycles));
}

static void print_json(struct cli_output *out, const struct args *args,
		       const struct engine_trace *trace, const struct comparison_row *row,
		       const struct cost_profile *profile)
{
	json_t *root = json_object();

	json_object_set_new(root, "version", json_string(XFDSIM_VERSION));
	json_object_set_new(root, "trace", cli_trace_json(args->trace, trace));
	json_object_update_new(root, cli_ledger_json(row->run));
	json_object_set_new(root, "cycles", cycles_json(row, profile));
	cli_output_json(out, root);
}

static void print_text(FILE *out, const struct args *args, const struct engine_trace *trace,
		       const struct comparison_row *row, const struct cost_profile *profile)
{
	const struct ledger *l = &row->run->ledger;
	uint64_t total = row->overhead_cycles[PRICE_TYPICAL];
	uint64_t guest = l->step_count[STEP_guest_run];
	struct table *table = table_new("step|>count|>price|>cycles|>share|grade");
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];
	char *mode = cli_trace_mode(&trace->info);

	fprintf(out, "%s: %s trace, %s events, %.6g s of guest time\n", args->trace, mode,
		table_number(trace->nr_events, a),
		(double)guest / ((double)trace->info.tsc_khz * 1000));
	fprintf(out, "policy %s, kernel %s, typical prices of profile %s in TSC cycles\n\n",
		row->run->policy, row->run->kernel, profile->name);
	free(mode);
	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		const struct step_price *price = &profile->price[step];
		uint64_t cycles = l->step_count[step] * price->cycles[PRICE_TYPICAL];

		if (!l->step_count[step])
			continue;
		table_row(table);
		table_cell(table, "%s", step_name(step));
		table_cell(table, "%s", table_number(l->step_count[step], a));
		table_cell(table, "%s", table_number(price->cycles[PRICE_TYPICAL], b));
		table_cell(table, "%s", table_number(cycles, c));
		table_cell(table, "%.2f%%", total ? 100.0 * (double)cycles / (double)total : 0);
		table_cell(table, "%c %s%s", price->grade, price_basis_name(price->basis),
			   price->hypothetical ? ", hypothetical" : "");
	}
	table_print(table, out);
	fprintf(out, "\noverhead %s cycles, %.4f%% of guest time (%s at low prices, %s at high)\n",
		table_number(total, a),
		compare_percent(total, profile->tsc_khz, guest, trace->info.tsc_khz),
		table_number(row->overhead_cycles[PRICE_LOW], b),
		table_number(row->overhead_cycles[PRICE_HIGH], c));
	fprintf(out, "of which XFD causes %s cycles", table_number(row->xfd_cycles, a));
	fprintf(out, "; XFD writes: %s", table_number(l->xfd_writes, a));
	fprintf(out, "; VM-exits: %s", table_number(l->step_count[STEP_vmexit], a));
	fprintf(out, ", by XFD: %s\n\n", table_number(l->xfd_exits, a));

	table = table_new("VM-exit|>count");
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++)
		if (l->exit_count[reason]) {
			table_row(table);
			table_cell(table, "%s", exit_reason_name(reason));
			table_cell(table, "%s", table_number(l->exit_count[reason], a));
		}
	table_print(table, out);
	fputc('\n', out);

	table = table_new(">vCPU|ends|XFD accesses|#NM|>fpstate bytes|>XFD|>XFD_ERR");
	for (uint32_t i = 0; i < l->nr_vcpus; i++) {
		const struct vcpu_final *v = &l->vcpus[i];

		table_row(table);
		table_cell(table, "%" PRIu32, i);
		table_cell(table, "%s", v->state);
		table_cell(table, "%s", v->intercept_xfd ? "intercepted" : "pass through");
		table_cell(table, "%s", v->intercept_nm ? "intercepted" : "passes through");
		table_cell(table, "%s", table_number(v->fpstate_bytes, a));
		table_cell(table, "0x%" PRIx64, v->xfd);
		table_cell(table, "0x%" PRIx64, v->xfd_err);
	}
	table_print(table, out);
	if (l->nr_skipped)
		fprintf(out, "\n%s events of vCPUs that had stopped were skipped\n",
			table_number(l->nr_skipped, a));
}

static int replay(const struct args *args, struct store **store, const struct cost_profile *profile,
		  struct xfd_error *err)
{
	struct comparison comparison = {0};
	struct engine_trace trace = {0};
	struct cli_output out;
	struct run run = {0};
	int status;

	if (engine_replay(args->trace, &args->run.options, 1, &run, &trace, cli_progress,
			  (void *)args->trace, err))
		return cli_fail(err);
	cli_warn_states(&run, 1);
	if (compare_runs(&run, 1, profile, &comparison, err) ||
	    cli_store_runs(args->run.db, store, &run, 1, &trace, args->trace, profile, err)) {
		status = cli_fail(err);
	} else if (!(status = cli_output_open(&out))) {
		if (args->run.json)
			print_json(&out, args, &trace, &comparison.rows[0], profile);
		else
			print_text(out.text, args, &trace, &comparison.rows[0], profile);
		status = cli_output_close(&out, args->run.output, XFDSIM_OK);
	}
	comparison_release(&comparison);
	engine_release_run(&run);
	engine_release_trace(&trace);
	return status;
}

int cmd_replay(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"policy", 'p', "NAME", 0,
		 "Interception policy (first-nonzero); see 'xfdsim policies'", 1},
		{0},
	};
	static const struct argp_child children[] = {{&cli_run_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE",
		.doc = "Replay TRACE (.xft or .xfs, - for standard input) under one policy and "
		       "show its "
		       "ledger: how often each step happened, what it costs, which VM-exits there "
		       "were "
		       "and where each vCPU ended. Counts are exact; cycles are counts times the "
		       "profile's prices, most of which are estimates (the grade says so)."
		       "\vExample: xfdsim replay guest.xft -p always-intercept --json",
		.children = children,
	};
	struct cost_profile *profile = NULL;
	struct store *store = NULL;
	struct xfd_error err = {0};
	struct args args = {0};
	int status;

	cli_run_args_default(&args.run);
	cli_parse(&argp, argc, argv, &args);
	status = cli_refuse_same(args.run.output, args.trace);
	if (!status)
		status = cli_refuse_same(args.run.output, args.run.db);
	if (status)
		return status;
	if (profile_load(args.run.profile, &profile, &err) ||
	    cli_store_begin(args.run.db, &store, &err))
		status = cli_fail(&err);
	else
		status = replay(&args, &store, profile, &err);
	store_close(store);
	profile_free(profile);
	return status;
}
