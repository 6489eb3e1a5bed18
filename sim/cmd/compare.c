/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/bound.h"
#include "sim/cli.h"
#include "sim/compare.h"
#include "sim/gate.h"
#include "sim/table.h"

enum {
	MAX_POLICIES = 64,
	MAX_TRACES = 1024,
	OPT_BASELINE = 0x200,
	OPT_MAX_REGRESSION,
	OPT_ALLOW_MISSING,
	OPT_OPTIMUM
};

struct args {
	struct cli_run_args run;
	const struct xfd_policy *policies[MAX_POLICIES];
	size_t nr_policies;
	const char *traces[MAX_TRACES];
	size_t nr_traces;
	const char *baseline;
	uint64_t limit_ppm;
	bool allow_missing;
	bool optimum;
};

static void add_policy(struct args *args, const struct xfd_policy *policy)
{
	for (size_t i = 0; i < args->nr_policies; i++)
		if (args->policies[i] == policy)
			return;
	args->policies[args->nr_policies++] = policy;
}

/* A percentage with at most four decimals, in millionths. */
static uint64_t parse_limit(struct argp_state *state, const char *text)
{
	uint64_t ppm = 0;
	int decimals = -1, digits = 0;
	const char *c = text;

	for (; (*c >= '0' && *c <= '9') || (*c == '.' && decimals < 0); c++) {
		if (*c == '.' || decimals >= 0)
			decimals++;
		if (*c == '.')
			continue;
		ppm = 10 * ppm + (uint64_t)(*c - '0');
		digits++;
	}
	if (!digits || digits > 12 || decimals > 4 || strcmp(c, *c == '%' ? "%" : ""))
		cli_usage(state,
			  "--max-regression wants a percentage such as 2%% or 0.05, not '%s'",
			  text);
	for (decimals = decimals < 0 ? 0 : decimals; decimals < 4; decimals++)
		ppm *= 10;
	return ppm;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const struct xfd_policy *policy;
	struct args *args = state->input;
	char *item;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &args->run;
		return 0;
	case 'p':
		while ((item = strsep(&arg, ",")))
			add_policy(args, cli_policy(state, item));
		return 0;
	case OPT_BASELINE:
		args->baseline = arg;
		return 0;
	case OPT_MAX_REGRESSION:
		args->limit_ppm = parse_limit(state, arg);
		return 0;
	case OPT_ALLOW_MISSING:
		args->allow_missing = true;
		return 0;
	case OPT_OPTIMUM:
		args->optimum = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->nr_traces == MAX_TRACES)
			cli_usage(state, "at most %d traces at a time", MAX_TRACES);
		args->traces[args->nr_traces++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->nr_traces)
			cli_usage(state, "which trace?");
		if (args->limit_ppm && !args->baseline)
			cli_usage(state, "--max-regression needs a --baseline to measure against");
		if (args->allow_missing && !args->baseline)
			cli_usage(state, "--allow-missing needs a --baseline that may miss some");
		if (args->baseline && *args->baseline &&
		    !args->baseline[strspn(args->baseline, "0123456789")] && args->nr_policies != 1)
			cli_usage(state, "--baseline RUN weighs one policy: name it with -p");
		if (args->optimum && args->run.options.nr_fail_growths)
			cli_usage(state, "--optimum is no bound where growths fail");
		for (size_t i = 0; args->optimum && i < args->nr_traces; i++)
			if (!strcmp(args->traces[i], "-"))
				cli_usage(state, "--optimum reads the trace again, which standard "
						 "input does not allow");
		for (size_t i = 0; !args->nr_policies && (policy = policy_at(i)); i++)
			args->policies[i] = policy;
		while (args->nr_policies < MAX_POLICIES && args->policies[args->nr_policies])
			args->nr_policies++;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static enum policy_fit fit(const struct run *run)
{
	return policy_fit(policy_find(run->policy), run->kernel);
}

/* What stands behind a policy's name. */
static const char *mark(const struct run *run)
{
	static const char *const marks[] = {
		[POLICY_UPSTREAM] = "", [POLICY_WHAT_IF] = " *", [POLICY_UNSAFE] = " !"};

	return marks[fit(run)];
}

struct context {
	const struct args *args;
	const char *path;
	const struct engine_trace *trace;
	const struct comparison *comparison;
	const struct cost_profile *profile;
	const struct bound *bound; /* NULL unless asked for */
};

/* Of the guest time of the run that @row is about. */
static double percent(const struct context *x, const struct comparison_row *row, uint64_t cycles)
{
	return compare_percent(cycles, x->profile->tsc_khz, row->guest_cycles,
			       x->trace->info.tsc_khz);
}

static uint64_t per_second(const struct context *x, const struct comparison_row *row)
{
	return compare_per_second(row->overhead_cycles[PRICE_TYPICAL], row->guest_cycles,
				  x->trace->info.tsc_khz);
}

/* Equal overheads share a rank, as in the database's view. */
static size_t rank_of(const struct comparison *c, size_t row)
{
	while (row && c->rows[row - 1].overhead_cycles[PRICE_TYPICAL] ==
			      c->rows[row].overhead_cycles[PRICE_TYPICAL])
		row--;
	return row + 1;
}

/* ---- for programs ---- */

static json_t *row_json(const struct context *x, size_t at)
{
	const struct comparison_row *row = &x->comparison->rows[at];
	const uint64_t *best = x->comparison->rows[0].overhead_cycles;
	json_auto_t *ledger_json = cli_ledger_json(row->run);
	const struct ledger *l = &row->run->ledger;

	return json_pack("{si ss sb sb so so so so so so sf so so so so so so so so sO}", "rank",
			 (int)rank_of(x->comparison, at), "policy", row->run->policy,
			 "upstream_in_kernel", (int)(fit(row->run) == POLICY_UPSTREAM),
			 "unsafe_in_kernel", (int)(fit(row->run) == POLICY_UNSAFE), "guest_cycles",
			 cli_uint(row->guest_cycles), "overhead_cycles",
			 cli_uint(row->overhead_cycles[PRICE_TYPICAL]), "overhead_cycles_low",
			 cli_uint(row->overhead_cycles[PRICE_LOW]), "overhead_cycles_high",
			 cli_uint(row->overhead_cycles[PRICE_HIGH]), "xfd_cycles",
			 cli_uint(row->xfd_cycles), "overhead_cycles_per_guest_second",
			 cli_uint(per_second(x, row)), "overhead_percent",
			 percent(x, row, row->overhead_cycles[PRICE_TYPICAL]), "above_best_cycles",
			 cli_uint(row->overhead_cycles[PRICE_TYPICAL] - best[PRICE_TYPICAL]),
			 "vmexits", cli_uint(l->step_count[STEP_vmexit]), "xfd_exits",
			 cli_uint(l->xfd_exits), "syncs", cli_uint(l->step_count[STEP_xfd_sync]),
			 "userspace_exits", cli_uint(l->step_count[STEP_user_roundtrip]),
			 "fpstate_bytes", cli_uint(l->fpstate_bytes), "fpstate_high_water_bytes",
			 cli_uint(l->fpstate_high_water_bytes), "events_skipped",
			 cli_uint(l->nr_skipped), "steps", json_object_get(ledger_json, "steps"));
}

static json_t *comparison_json(const struct context *x)
{
	const struct comparison *c = x->comparison;
	json_t *rows = json_array(), *segments = json_array(), *root;

	for (size_t i = 0; i < c->nr; i++)
		json_array_append_new(rows, row_json(x, i));
	for (size_t i = 0; i < c->nr_segments; i++)
		json_array_append_new(segments,
				      json_pack("{ss sf}", "policy",
						c->rows[c->segments[i].row].run->policy,
						"from_writes_per_exit", c->segments[i].from));
	root = json_pack(
		"{so ss so ss sb so sf so so so sf sb so so so so}", "trace",
		cli_trace_json(x->path, x->trace), "kernel", c->rows[0].run->kernel, "options",
		json_loads(c->rows[0].run->options, 0, NULL), "profile", x->profile->name,
		"complete", (int)c->complete, "guest_cycles", cli_uint(c->guest_cycles),
		"guest_seconds", (double)c->guest_cycles / ((double)x->trace->info.tsc_khz * 1000),
		"xfd_writes", cli_uint(c->xfd_writes), "slow_exits", cli_uint(c->slow_exits),
		"fastpath_exits", cli_uint(c->fast_exits), "xfd_writes_per_slow_exit",
		c->writes_per_exit, "robust_over_price_ranges", (int)(c->complete && c->robust),
		"winner", c->complete ? json_string(c->rows[0].run->policy) : json_null(),
		"margin_cycles",
		c->complete && c->nr > 1 ? cli_uint(c->rows[1].overhead_cycles[PRICE_TYPICAL] -
						    c->rows[0].overhead_cycles[PRICE_TYPICAL])
					 : json_null(),
		"break_even", segments, "ranking", rows);
	if (x->bound)
		json_object_set_new(root, "optimum", bound_json(x->bound, c, x->profile));
	return root;
}

/* ---- for people ---- */

static void print_head(const struct context *x, FILE *out)
{
	const struct comparison *c = x->comparison;
	const struct trace_info *info = &x->trace->info;
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN];
	char *mode = cli_trace_mode(info);

	fprintf(out, "%s: %s trace, %" PRIu32 " vCPU%s, %.6g s of guest time, %s events\n", x->path,
		mode, info->nr_vcpus, info->nr_vcpus == 1 ? "" : "s",
		(double)c->guest_cycles / ((double)info->tsc_khz * 1000),
		table_number(x->trace->nr_events, a));
	fprintf(out, "XFD writes: %s; VM-exits that XFD does not cause: %s",
		table_number(c->xfd_writes, a), table_number(c->slow_exits + c->fast_exits, b));
	if (c->fast_exits)
		fprintf(out, ", %s of them on the fastpath", table_number(c->fast_exits, a));
	fprintf(out,
		"\nkernel %s; typical prices of profile %s (estimates: 'xfdsim profiles %s')\n\n",
		c->rows[0].run->kernel, x->profile->name, x->profile->name);
	free(mode);
}

static void print_marks(const struct comparison *c, FILE *out)
{
	bool what_if = false, unsafe = false;

	for (size_t i = 0; i < c->nr; i++) {
		what_if |= fit(c->rows[i].run) == POLICY_WHAT_IF;
		unsafe |= fit(c->rows[i].run) == POLICY_UNSAFE;
	}
	if (what_if)
		fputs("* a what-if: this kernel never had it; 'xfdsim policies' says more\n", out);
	if (unsafe)
		fputs("! cheap or not, unsafe with this kernel; 'xfdsim policies' says why\n", out);
	if (!c->complete)
		fputs("# a vCPU stopped after a failed growth and the rest of its events was "
		      "skipped\n",
		      out);
}

static void print_table(const struct context *x, FILE *out)
{
	struct table *table = table_new(">|policy|>overhead|>per second|>of guest|"
					">XFD's part|>above best|>XFD exits|>syncs|>to user|"
					">fpstate bytes");
	const struct comparison *c = x->comparison;
	char n[TABLE_NUMBER_LEN];

	for (size_t i = 0; i < c->nr; i++) {
		const struct comparison_row *row = &c->rows[i];
		const struct ledger *l = &row->run->ledger;
		uint64_t cycles = row->overhead_cycles[PRICE_TYPICAL];

		table_row(table);
		table_cell(table, "%zu", rank_of(c, i));
		table_cell(table, "%s%s%s", row->run->policy, mark(row->run),
			   l->nr_skipped ? " #" : "");
		table_cell(table, "%s", table_number(cycles, n));
		table_cell(table, "%s", table_number(per_second(x, row), n));
		table_cell(table, "%.4f%%", percent(x, row, cycles));
		table_cell(table, "%.4f%%", percent(x, row, row->xfd_cycles));
		table_cell(table, i ? "+%s" : "%s",
			   table_number(cycles - c->rows[0].overhead_cycles[PRICE_TYPICAL], n));
		table_cell(table, "%s", table_number(l->xfd_exits, n));
		table_cell(table, "%s", table_number(l->step_count[STEP_xfd_sync], n));
		table_cell(table, "%s", table_number(l->step_count[STEP_user_roundtrip], n));
		table_cell(table, "%s", table_number(l->fpstate_bytes, n));
	}
	table_print(table, out);
	print_marks(c, out);
}

/* Of @row's guest time; what rounds to nothing is said to be small. */
static const char *share(const struct context *x, const struct comparison_row *row, uint64_t cycles,
			 char buf[TABLE_NUMBER_LEN])
{
	double value = percent(x, row, cycles);

	snprintf(buf, TABLE_NUMBER_LEN, value < 0.0001 ? "less than 0.0001%%" : "%.4f%%", value);
	return buf;
}

static void print_winner(const struct context *x, FILE *out)
{
	const struct comparison *c = x->comparison;
	const struct comparison_row *best = &c->rows[0];
	char n[TABLE_NUMBER_LEN], p[TABLE_NUMBER_LEN];
	uint64_t margin, spread;
	size_t ties = 1;

	if (c->nr < 2)
		return;
	if (!c->complete) {
		fputs("\nNo winner: these runs did different work, because vCPUs stopped in some. "
		      "--vmm return keeps them running.\n",
		      out);
		return;
	}
	for (; ties < c->nr && c->rows[ties].overhead_cycles[PRICE_TYPICAL] ==
				       c->rows[0].overhead_cycles[PRICE_TYPICAL];
	     ties++)
		;
	if (ties == c->nr) {
		fprintf(out, "\nAll policies cost the same.\n");
		return;
	}
	fprintf(out, "\nCheapest: %s", c->rows[0].run->policy);
	for (size_t i = 1; i < ties; i++)
		fprintf(out, "%s%s", i + 1 < ties ? ", " : " and ", c->rows[i].run->policy);
	margin =
		c->rows[ties].overhead_cycles[PRICE_TYPICAL] - best->overhead_cycles[PRICE_TYPICAL];
	spread = c->rows[c->nr - 1].overhead_cycles[PRICE_TYPICAL] -
		 best->overhead_cycles[PRICE_TYPICAL];
	fprintf(out, ", by %s cycles (%s of guest time) before %s", table_number(margin, n),
		share(x, best, margin, p), c->rows[ties].run->policy);
	fprintf(out, "; the dearest, %s, costs %s more of guest time.\n",
		c->rows[rank_of(c, c->nr - 1) - 1].run->policy, share(x, best, spread, p));
	for (size_t i = 0; i < c->nr && fit(best->run) != POLICY_UPSTREAM; i++)
		if (fit(c->rows[i].run) == POLICY_UPSTREAM) {
			fprintf(out, "Of those that this kernel has: %s.\n",
				c->rows[i].run->policy);
			break;
		}
	fprintf(out,
		c->robust ? "The cheapest stays so with all prices at their low end and with all "
			    "at their high end.\n"
			  : "With all prices at their low or at their high end another policy is "
			    "cheaper: the answer depends on the prices.\n");
}

static void print_break_even(const struct context *x, FILE *out)
{
	const struct comparison *c = x->comparison;

	if (!c->complete)
		return;
	if (!c->slow_exits || !c->xfd_writes) {
		fprintf(out, "Break-even: the trace has no %s, so there is nothing to weigh.\n",
			c->xfd_writes ? "VM-exit beside XFD's own" : "XFD write");
		return;
	}
	fprintf(out,
		"Break-even: this trace has %.4g XFD writes per VM-exit (slow ones that XFD does "
		"not cause).\n",
		c->writes_per_exit);
	if (c->nr < 2)
		return;
	if (c->nr_segments == 1) {
		fprintf(out, "However many they were, %s would stay cheapest.\n",
			c->rows[c->segments[0].row].run->policy);
		return;
	}
	fprintf(out,
		"Were there more or fewer, all else equal (an extrapolation), cheapest would be\n");
	for (size_t i = 0; i < c->nr_segments; i++) {
		const struct run *run = c->rows[c->segments[i].row].run;
		bool last = i + 1 == c->nr_segments;
		bool here = c->writes_per_exit >= c->segments[i].from &&
			    (last || c->writes_per_exit < c->segments[i + 1].from);

		if (i)
			fprintf(out, "  from %.4g ", c->segments[i].from);
		else
			fprintf(out, "  from 0 ");
		if (!last)
			fprintf(out, "to %.4g ", c->segments[i + 1].from);
		fprintf(out, "writes per VM-exit: %s%s%s\n", run->policy, mark(run),
			here ? "   <- this trace" : "");
	}
}

static void print_best_adaptive(const struct context *x, FILE *out)
{
	const struct bound *b = x->bound;
	char n[TABLE_NUMBER_LEN];

	if (!b->adaptive.adaptive_writes) {
		fputs("\nNo adaptive, whatever its parameters, gets through this trace.\n", out);
		return;
	}
	fprintf(out, "\nBest adaptive: --adaptive-writes %" PRIu32 " --adaptive-exits %" PRIu32,
		b->adaptive.adaptive_writes, b->adaptive.adaptive_exits);
	fprintf(out, ", +%s cycles (ratio %.6f); ",
		table_number(b->adaptive_cycles - b->optimum_cycles, n),
		bound_ratio(b, b->adaptive_cycles));
	fprintf(out,
		b->adaptive_exact ? "no number of exits with 1 to %" PRIu32 " writes is better.\n"
				  : "of those tried with 1 to %" PRIu32
				    " writes: the trace has too many for all numbers of exits.\n",
		b->adaptive_max_writes);
	fprintf(out,
		"Over all traces its writes, syncs and switches cost at most %.1f times the "
		"optimum's (theory).\n",
		bound_worst_ratio(&b->adaptive, x->profile));
}

static void print_bound(const struct context *x, FILE *out)
{
	struct table *table = table_new("policy|>above the optimum|>of guest time|>ratio");
	const struct comparison *c = x->comparison;
	const struct bound *b = x->bound;
	char n[TABLE_NUMBER_LEN];

	fprintf(out, "\nOffline-optimal, which knows the future, costs %s cycles at typical prices",
		table_number(b->optimum_cycles, n));
	fprintf(out, " with %s change%s of interception; no policy costs less.\n\n",
		table_number(b->optimum_decisions, n), b->optimum_decisions == 1 ? "" : "s");
	for (size_t i = 0; i < c->nr; i++) {
		uint64_t cycles = c->rows[i].overhead_cycles[PRICE_TYPICAL];

		table_row(table);
		table_cell(table, "%s", c->rows[i].run->policy);
		table_cell(table, "+%s", table_number(cycles - b->optimum_cycles, n));
		table_cell(table, "%.5f%%", percent(x, &c->rows[i], cycles - b->optimum_cycles));
		table_cell(table, "%.6f", bound_ratio(b, cycles));
	}
	table_print(table, out);
	print_best_adaptive(x, out);
}

static void print_text(const struct context *x, FILE *out)
{
	print_head(x, out);
	print_table(x, out);
	print_winner(x, out);
	print_break_even(x, out);
	if (x->bound)
		print_bound(x, out);
}

/* ---- the regression gate ---- */

/* What the gate says about all traces so far. */
struct gate_state {
	struct gate gate;
	bool active;
	bool dearer;
	size_t nr_weighed;
	size_t nr_missing;
};

static int weigh(struct gate_state *state, const struct context *x, FILE *text, json_t *json,
		 struct xfd_error *err)
{
	json_t *verdicts = json_array();
	int ret = 0;

	if (!json)
		fputc('\n', text);
	for (size_t i = 0; i < x->comparison->nr && !ret; i++) {
		struct gate_verdict verdict;

		ret = gate_weigh(&state->gate, x->comparison->rows[i].run, x->profile, &verdict,
				 err);
		if (ret)
			break;
		state->dearer |= verdict.dearer || verdict.shorter;
		state->nr_weighed += verdict.against != NULL;
		state->nr_missing += !verdict.against;
		json_array_append_new(verdicts, gate_json(&verdict, x->profile));
		if (!json)
			gate_print(&state->gate, &verdict, x->profile, text);
	}
	if (json)
		json_object_set(json, "baseline", verdicts);
	json_decref(verdicts);
	return ret;
}

/* ---- one trace after the other ---- */

static int compare_one(const struct args *args, const char *path, struct store **store,
		       const struct cost_profile *profile, struct gate_state *gate, FILE *text,
		       json_t *array, struct xfd_error *err)
{
	struct engine_options options[MAX_POLICIES];
	struct run runs[MAX_POLICIES] = {0};
	struct comparison comparison = {0};
	struct engine_trace trace = {0};
	struct bound bound;
	struct context x = {args,        path,    &trace,
			    &comparison, profile, args->optimum ? &bound : NULL};
	int ret;

	for (size_t i = 0; i < args->nr_policies; i++) {
		options[i] = args->run.options;
		options[i].policy = args->policies[i];
	}
	ret = engine_replay(path, options, args->nr_policies, runs, &trace, cli_progress,
			    (void *)path, err);
	if (ret)
		return ret;
	cli_warn_states(runs, args->nr_policies);
	ret = compare_runs(runs, args->nr_policies, profile, &comparison, err);
	if (!ret)
		ret = cli_store_runs(args->run.db, store, runs, args->nr_policies, &trace, path,
				     profile, err);
	if (!ret && args->optimum)
		ret = bound_trace(path, &args->run.options, profile, &bound, err);
	if (!ret && args->optimum && *store)
		ret = store_bound(*store, &runs[0], profile, &bound, err);
	if (!ret && array)
		json_array_append_new(array, comparison_json(&x));
	else if (!ret)
		print_text(&x, text);
	if (!ret && gate->active)
		ret = weigh(gate, &x, text, json_array_get(array, json_array_size(array) - 1), err);
	comparison_release(&comparison);
	for (size_t i = 0; i < args->nr_policies; i++)
		engine_release_run(&runs[i]);
	engine_release_trace(&trace);
	return ret;
}

static int compare(const struct args *args, struct store **store,
		   const struct cost_profile *profile, struct xfd_error *err)
{
	json_t *array = args->run.json ? json_array() : NULL;
	struct gate_state gate = {.active = args->baseline != NULL};
	struct cli_output out;
	int status = cli_output_open(&out);
	bool fails;

	if (!status && gate.active &&
	    gate_open(args->baseline, args->run.db, args->limit_ppm, &gate.gate, err))
		status = cli_fail(err);

	for (size_t i = 0; i < args->nr_traces && !status; i++) {
		if (i && !array)
			fputc('\n', out.text);
		if (compare_one(args, args->traces[i], store, profile, &gate, out.text, array, err))
			status = cli_fail(err);
	}
	if (!status && gate.active && !gate.nr_weighed) {
		xfd_error_set(
			err, XFD_ERROR_INPUT, gate.gate.name, 0, -1,
			"no run of these traces, policies, kernel and options to compare with");
		status = cli_fail(err);
	}
	/* Also where the result goes to a file: this is why the status is what it is. */
	if (!status && gate.nr_missing)
		cli_warn("%zu of %zu runs have nothing in %s to be held against%s", gate.nr_missing,
			 gate.nr_missing + gate.nr_weighed, gate.gate.name,
			 args->allow_missing ? "" : ", which fails without --allow-missing");
	gate_close(&gate.gate);
	if (status) {
		json_decref(array);
		fclose(out.text);
		free(out.buf);
		return status;
	}
	if (array)
		cli_output_json(&out, json_pack("{ss so}", "version", XFDSIM_VERSION, "comparisons",
						array));
	else if (args->run.db)
		fprintf(out.text, "Stored in %s; try: sqlite3 -box %s 'SELECT * FROM comparison'\n",
			args->run.db, args->run.db);
	fails = gate.dearer || (gate.nr_missing && !args->allow_missing);
	return cli_output_close(&out, args->run.output, fails ? XFDSIM_NO : XFDSIM_OK);
}

int cmd_compare(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"policy", 'p', "NAME[,NAME...]", 0,
		 "Only these policies (all); see 'xfdsim policies'", 1},
		{"baseline", OPT_BASELINE, "RUN|DB", 0,
		 "Exit with status 1 when a policy costs more than a stored run: the run with this "
		 "number in --db, or in another database the newest of the same trace, policy, "
		 "kernel and options",
		 1},
		{"max-regression", OPT_MAX_REGRESSION, "PERCENT", 0, "By so much more (0)", 1},
		{"allow-missing", OPT_ALLOW_MISSING, NULL, 0,
		 "Let pass what the baseline has no run of, such as a new policy; without this it "
		 "fails, because nothing has been compared",
		 1},
		{"optimum", OPT_OPTIMUM, NULL, 0,
		 "Also find, and store, the clairvoyant optimum, each policy's distance from it, "
		 "and "
		 "the best parameters of adaptive; reads TRACE again and takes much longer",
		 1},
		{0},
	};
	static const struct argp_child children[] = {{&cli_run_argp, 0, NULL, 0}, {0}};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "TRACE...",
		.doc = "Replay each TRACE (.xft or .xfs, - for standard input) under many policies "
		       "in one "
		       "pass and rank them by what they cost the guest: overhead in TSC cycles, "
		       "per second "
		       "and as a percentage of guest time, the winner, its margin, and how many "
		       "XFD writes "
		       "per VM-exit would make another policy cheapest."
		       "\vExample: xfdsim compare guest.xft -p always-intercept,first-nonzero -k "
		       "v6.19",
		.children = children,
	};
	struct cost_profile *profile = NULL;
	struct store *store = NULL;
	struct xfd_error err = {0};
	struct args args = {0};
	int status;

	cli_run_args_default(&args.run);
	cli_parse(&argp, argc, argv, &args);
	status = cli_refuse_same(args.run.output, args.run.db);
	for (size_t i = 0; i < args.nr_traces && !status; i++)
		status = cli_refuse_same(args.run.output, args.traces[i]);
	if (status)
		return status;
	if (profile_load(args.run.profile, &profile, &err) ||
	    cli_store_begin(args.run.db, &store, &err))
		status = cli_fail(&err);
	else
		status = compare(&args, &store, profile, &err);
	store_close(store);
	profile_free(profile);
	return status;
}
