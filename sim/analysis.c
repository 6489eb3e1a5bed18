/* SPDX-License-Identifier: MIT */
#include "sim/analysis.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/event.h"
#include "models/policy.h"
#include "sim/breakeven.h"
#include "sim/cli.h"
#include "sim/compare.h"
#include "sim/latency.h"
#include "sim/sensitivity.h"
#include "sim/table.h"
#include "sim/uncertainty.h"

/* What is known about one group while its part of the document is made. */
struct view {
	const struct result_group *group;
	const struct cost_profile *profile;
	const struct analysis_options *options;
	struct comparison comparison;
	struct uncertainty uncertainty;
	struct sensitivity sensitivity;
};

static json_t *signed_number(int64_t value)
{
	return json_integer((json_int_t)value);
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

/* Of the guest time of the run that @row is about. */
static double percent(const struct view *view, const struct comparison_row *row, uint64_t cycles)
{
	return compare_percent(cycles, view->profile->tsc_khz, row->guest_cycles,
			       view->group->tsc_khz);
}

static double guest_seconds(const struct view *view)
{
	return (double)view->comparison.guest_cycles / ((double)view->group->tsc_khz * 1000);
}

static size_t index_of(const struct view *view, const struct comparison_row *row)
{
	return (size_t)(row->run - view->group->runs);
}

static const char *policy_of(const struct view *view, size_t run)
{
	return view->group->runs[run].policy;
}

/* A run of another version may have a policy that this one does not. */
static enum policy_fit fit(const struct run *run)
{
	const struct xfd_policy *policy = policy_find(run->policy);

	return policy ? policy_fit(policy, run->kernel) : POLICY_WHAT_IF;
}

static const char *fit_name(const struct run *run)
{
	static const char *const names[] = {
		[POLICY_UPSTREAM] = "upstream",
		[POLICY_WHAT_IF] = "what-if",
		[POLICY_UNSAFE] = "unsafe",
	};

	return names[fit(run)];
}

/* ---- the profile ---- */

static json_t *profile_json(const struct cost_profile *profile)
{
	json_t *steps = json_array();
	char hash[PROFILE_HASH_LEN];

	profile_hash(profile, hash);
	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		const struct step_price *price = &profile->price[step];

		json_array_append_new(
			steps,
			json_pack("{ss ss ss so so so ss% ss sb ss? ss}", "step", step_name(step),
				  "group", step_group(step), "meaning", step_meaning(step), "low",
				  cli_uint(price->cycles[PRICE_LOW]), "typical",
				  cli_uint(price->cycles[PRICE_TYPICAL]), "high",
				  cli_uint(price->cycles[PRICE_HIGH]), "grade", &price->grade,
				  (size_t)1, "basis", price_basis_name(price->basis),
				  "hypothetical", (int)price->hypothetical, "shares", price->shares,
				  "source", price->source));
	}
	return json_pack("{ss ss ss ss so so so}", "name", profile->name, "title", profile->title,
			 "hash", hash, "clock_note", profile->clock_note, "tsc_khz",
			 cli_uint(profile->tsc_khz), "core_khz", cli_uint(profile->core_khz),
			 "steps", steps);
}

/* JSON has no infinity: no such number is null. */
static json_t *real_or_null(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *break_even_json(const struct cost_profile *profile)
{
	json_t *root = json_object();

	for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++) {
		struct breakeven b = breakeven_prices(profile, column);

		json_object_set_new(root, price_column_name(column),
				    json_pack("{so so so so so so}", "trapped_write",
					      cli_uint(b.trapped), "direct_write",
					      cli_uint(b.direct), "sync", cli_uint(b.sync),
					      "light_exit", cli_uint(b.exit), "intercept_update",
					      cli_uint(b.update), "writes_per_exit",
					      real_or_null(breakeven_ratio(&b))));
	}
	return root;
}

/* ---- the map ---- */

/* The exit rates that the map spans, in sixteenths of a decade: 10 to 10^6 a second. */
enum { MAP_DECADE = 16, MAP_FROM = MAP_DECADE, MAP_TO = 6 * MAP_DECADE, MAP_POINTS = 25 };

/* Where one choice saves a given part of a core over the other, for each exit rate. */
static json_t *contour_json(const struct breakeven *b, const struct cost_profile *profile,
			    double core_percent)
{
	double cycles = (double)profile->tsc_khz * 1000 * core_percent / 100;
	json_t *points = json_array();

	for (int i = MAP_FROM; i <= MAP_TO; i++) {
		double exits = pow(10, (double)i / MAP_DECADE);
		double writes = breakeven_stakes(b, exits, cycles);

		if (isfinite(writes) && writes > 0)
			json_array_append_new(points, json_pack("[ff]", writes, exits));
	}
	return json_pack("{sf so}", "core_percent", core_percent, "points", points);
}

/* The break-even as one price moves from low to high, the others typical. */
static json_t *variant_json(const struct cost_profile *profile, bool exit)
{
	struct breakeven low = breakeven_prices(profile, PRICE_LOW);
	struct breakeven high = breakeven_prices(profile, PRICE_HIGH);
	struct breakeven b = breakeven_prices(profile, PRICE_TYPICAL);
	uint64_t from = exit ? low.exit : low.sync, to = exit ? high.exit : high.sync;
	uint64_t emulation = b.trapped - b.exit;
	json_t *points = json_array();

	for (uint64_t i = 0; i < MAP_POINTS; i++) {
		uint64_t price = from + (to - from) * i / (MAP_POINTS - 1);
		double ratio;

		if (exit)
			b.trapped = price + emulation;
		else
			b.sync = price;
		ratio = breakeven_ratio(&b);
		if (isfinite(ratio))
			json_array_append_new(points, json_pack("[fo]", ratio, cli_uint(price)));
	}
	return points;
}

static json_t *map_json(const struct cost_profile *profile)
{
	static const double percents[] = {-0.1, -0.01, -0.001, 0.001, 0.01, 0.1, 1};
	struct breakeven b = breakeven_prices(profile, PRICE_TYPICAL);
	json_t *contours = json_array();

	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		json_array_append_new(contours, contour_json(&b, profile, percents[i]));
	return json_pack("{so so so}", "contours", contours, "by_sync",
			 variant_json(profile, false), "by_exit", variant_json(profile, true));
}

/* ---- one policy ---- */

static json_t *latency_json(const struct view *view, const struct run *run, enum latency_kind kind,
			    struct xfd_error *err)
{
	json_t *points = json_array(), *root;
	struct latency latency;

	if (latency_run(run, view->profile, PRICE_TYPICAL, kind, &latency, err)) {
		json_decref(points);
		return NULL;
	}
	for (size_t i = 0; i < latency.nr; i++)
		json_array_append_new(points, json_pack("[oo]", cli_uint(latency.points[i].cycles),
							cli_uint(latency.points[i].count)));
	root = json_pack("{so so so so so so so}", "count", cli_uint(latency.count), "total",
			 cli_uint(latency.total_cycles), "p50",
			 cli_uint(latency_quantile(&latency, 500)), "p90",
			 cli_uint(latency_quantile(&latency, 900)), "p99",
			 cli_uint(latency_quantile(&latency, 990)), "max",
			 cli_uint(latency_quantile(&latency, 1000)), "points", points);
	latency_release(&latency);
	return root;
}

/* Cycles by step, and added up by the steps' groups. */
static void add_steps(const struct view *view, const struct run *run, json_t *policy)
{
	json_t *steps = json_array(), *groups = json_object();

	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		uint64_t count = run->ledger.step_count[step];
		uint64_t cycles = count * view->profile->price[step].cycles[PRICE_TYPICAL];
		const char *name = step_group(step);
		json_int_t sum = json_integer_value(json_object_get(groups, name));

		json_object_set_new(groups, name, cli_uint((uint64_t)sum + cycles));
		if (count)
			json_array_append_new(
				steps, json_pack("{ss so so}", "step", step_name(step), "count",
						 cli_uint(count), "cycles", cli_uint(cycles)));
	}
	json_object_set_new(policy, "cycles_by_group", groups);
	json_object_set_new(policy, "steps", steps);
}

/* What each kind of event made KVM and the hardware do, step by step, in the order first met. */
static json_t *paths_json(const struct view *view, const struct run *run)
{
	json_t *paths = json_array();
	char text[PATH_TEXT_LEN];

	for (size_t i = 0; i < run->ledger.nr_paths; i++) {
		const struct path_count *path = &run->ledger.paths[i];
		uint64_t cycles = latency_of_path(path, view->profile, PRICE_TYPICAL);

		json_array_append_new(
			paths, json_pack("{ss ss? so so so ss}", "event", event_name(path->kind),
					 "exit", exit_reason_name(path->exit_reason), "count",
					 cli_uint(path->count), "cycles", cli_uint(cycles), "total",
					 cli_uint(path->count * cycles), "steps",
					 path_text(&path->steps, text)));
	}
	return paths;
}

/* As rank() of SQL: equals share the best of their places. */
static json_int_t place(const struct comparison *c, size_t at)
{
	while (at && c->rows[at - 1].overhead_cycles[PRICE_TYPICAL] ==
			     c->rows[at].overhead_cycles[PRICE_TYPICAL])
		at--;
	return (json_int_t)at + 1;
}

static json_t *policy_json(const struct view *view, size_t rank, struct xfd_error *err)
{
	const struct comparison_row *row = &view->comparison.rows[rank];
	const struct run *run = row->run;
	uint64_t typical = row->overhead_cycles[PRICE_TYPICAL];
	uint64_t best = view->comparison.rows[0].overhead_cycles[PRICE_TYPICAL];
	size_t at = index_of(view, row);
	uint64_t cheapest = view->uncertainty.cheapest[at];
	json_t *writes = latency_json(view, run, LATENCY_XFD_WRITE, err);
	json_t *exits = writes ? latency_json(view, run, LATENCY_VM_EXIT, err) : NULL;
	json_t *root;

	if (!exits) {
		json_decref(writes);
		return NULL;
	}
	root = json_pack(
		"{sI sI ss ss so so so so sf so sf so so so so so so so so so so}", "rank",
		place(&view->comparison, rank), "run", (json_int_t)view->group->run_ids[at],
		"policy", run->policy, "fit", fit_name(run), "overhead_low",
		cli_uint(row->overhead_cycles[PRICE_LOW]), "overhead", cli_uint(typical),
		"overhead_high", cli_uint(row->overhead_cycles[PRICE_HIGH]),
		"overhead_per_guest_second",
		cli_uint(compare_per_second(typical, row->guest_cycles, view->group->tsc_khz)),
		"overhead_percent", percent(view, row, typical), "above_best",
		cli_uint(typical - best), "above_best_percent", percent(view, row, typical - best),
		"xfd_cycles", cli_uint(row->xfd_cycles), "vm_exits",
		cli_uint(run->ledger.step_count[STEP_vmexit]), "xfd_exits",
		cli_uint(run->ledger.xfd_exits), "syncs",
		cli_uint(run->ledger.step_count[STEP_xfd_sync]), "fpstate_bytes",
		cli_uint(run->ledger.fpstate_bytes), "events_skipped",
		cli_uint(run->ledger.nr_skipped), "cheapest_draws", cli_uint(cheapest),
		"cheapest_probability",
		view->comparison.complete ? json_real(share(cheapest, view->uncertainty.draws))
					  : json_null(),
		"xfd_write", writes, "vm_exit", exits);
	add_steps(view, run, root);
	json_object_set_new(root, "paths", paths_json(view, run));
	return root;
}

/* ---- what is weighed ---- */

static json_t *pairs_json(const struct view *view)
{
	const struct uncertainty *u = &view->uncertainty;
	json_t *pairs = json_array();

	/* Runs that did different work are not compared. */
	for (size_t i = 0; view->comparison.complete && i < view->comparison.nr; i++)
		for (size_t j = i + 1; j < view->comparison.nr; j++) {
			size_t a = index_of(view, &view->comparison.rows[i]);
			size_t b = index_of(view, &view->comparison.rows[j]);
			const struct uncertainty_pair *pair = &u->pairs[a * u->nr + b];

			json_array_append_new(
				pairs,
				json_pack("{ss ss so so sf sf so so so so}", "a",
					  policy_of(view, a), "b", policy_of(view, b),
					  "a_cheaper_draws", cli_uint(pair->a_cheaper), "tie_draws",
					  cli_uint(pair->ties), "a_cheaper_probability",
					  share(pair->a_cheaper, u->draws), "tie_probability",
					  share(pair->ties, u->draws), "difference_p5",
					  signed_number(pair->p5_cycles), "difference_p50",
					  signed_number(pair->p50_cycles), "difference_p95",
					  signed_number(pair->p95_cycles), "resolution",
					  cli_uint(pair->resolution_cycles)));
		}
	return pairs;
}

static json_t *switch_json(const struct view *view, const struct price_switch *at)
{
	if (at->run == SENSITIVITY_NONE)
		return json_null();
	return json_pack("{ss so sf}", "policy", policy_of(view, at->run), "price",
			 cli_uint(at->price_cycles), "crossing", at->crossing_cycles);
}

static json_t *sensitivity_json(const struct view *view)
{
	const struct sensitivity *s = &view->sensitivity;
	json_t *rows = json_array();

	for (size_t i = 0; view->comparison.complete && i < s->nr_rows; i++) {
		const struct sensitivity_row *row = &s->rows[i];
		const uint64_t *price = view->profile->price[row->step].cycles;

		json_array_append_new(
			rows, json_pack("{ss so so so so so so so}", "step", step_name(row->step),
					"low", cli_uint(price[PRICE_LOW]), "typical",
					cli_uint(price[PRICE_TYPICAL]), "high",
					cli_uint(price[PRICE_HIGH]), "margin_at_low",
					signed_number(row->at_low), "margin_at_high",
					signed_number(row->at_high), "switch_below",
					switch_json(view, &row->below), "switch_above",
					switch_json(view, &row->above)));
	}
	return json_pack("{ss ss? so so}", "winner", policy_of(view, s->winner), "rival",
			 s->rival == SENSITIVITY_NONE || !view->comparison.complete
				 ? NULL
				 : policy_of(view, s->rival),
			 "margin", signed_number(s->margin), "rows", rows);
}

static json_t *segments_json(const struct view *view)
{
	const struct comparison *c = &view->comparison;
	json_t *segments = json_array();

	for (size_t i = 0; i < c->nr_segments; i++)
		json_array_append_new(segments,
				      json_pack("{ss sf}", "policy",
						c->rows[c->segments[i].row].run->policy,
						"from_writes_per_exit", c->segments[i].from));
	return segments;
}

/* Null when no bound is stored under these prices. */
static json_t *optimum_json(const struct view *view)
{
	const struct result_group *group = view->group;
	char hash[PROFILE_HASH_LEN];

	profile_hash(view->profile, hash);
	for (size_t i = 0; i < group->nr_bounds; i++)
		if (!strcmp(group->bounds[i].profile_hash, hash))
			return bound_json(&group->bounds[i].bound, &view->comparison,
					  view->profile);
	return json_null();
}

/* ---- the decision in one sentence ---- */

/* The others that cost exactly what the winner costs. */
static void print_equals(const struct view *view, FILE *out)
{
	const struct comparison *c = &view->comparison;
	size_t ties = 1;

	while (ties < c->nr && c->rows[ties].overhead_cycles[PRICE_TYPICAL] ==
				       c->rows[0].overhead_cycles[PRICE_TYPICAL])
		ties++;
	for (size_t i = 1; i < ties; i++)
		fprintf(out, "%s%s",
			i == 1         ? " (like "
			: i + 1 < ties ? ", "
				       : " and ",
			c->rows[i].run->policy);
	if (ties > 1)
		fputc(')', out);
}

static void print_rival(const struct view *view, FILE *out)
{
	const struct sensitivity *s = &view->sensitivity;
	const struct uncertainty *u = &view->uncertainty;
	const struct uncertainty_pair *pair = &u->pairs[s->winner * u->nr + s->rival];
	uint64_t margin = (uint64_t)s->margin;
	char n[TABLE_NUMBER_LEN];

	fprintf(out, "; %s costs %s cycles (%.4f%% of guest time) more.", policy_of(view, s->rival),
		table_number(margin, n), percent(view, &view->comparison.rows[0], margin));
	fprintf(out,
		" With prices drawn at random within their ranges it stays cheaper than %s in "
		"%.2f%% of %s draws.",
		policy_of(view, s->rival), 100 * share(pair->a_cheaper, u->draws),
		table_number(u->draws, n));
}

/* What a developer of this very kernel could choose, when the winner is nothing it ever had. */
static void print_upstream(const struct view *view, FILE *out)
{
	const struct comparison *c = &view->comparison;

	if (fit(c->rows[0].run) == POLICY_UPSTREAM)
		return;
	if (fit(c->rows[0].run) == POLICY_UNSAFE)
		fprintf(out, " It is unsafe with kernel %s.", view->group->kernel);
	for (size_t i = 1; i < c->nr; i++)
		if (fit(c->rows[i].run) == POLICY_UPSTREAM) {
			fprintf(out, " Of the policies that kernel %s has, %s costs least.",
				view->group->kernel, c->rows[i].run->policy);
			return;
		}
}

static json_t *decision_json(const struct view *view)
{
	const struct comparison *c = &view->comparison;
	const struct sensitivity *s = &view->sensitivity;
	char n[TABLE_NUMBER_LEN], *text = NULL;
	json_t *decision;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return json_null();
	if (!c->complete) {
		fputs("No winner: vCPUs stopped in some of these runs, so they did different work.",
		      out);
	} else if (c->nr > 1 && s->rival == SENSITIVITY_NONE) {
		fputs("All policies take the same steps and cost the same", out);
		fprintf(out, ": %s cycles",
			table_number(c->rows[0].overhead_cycles[PRICE_TYPICAL], n));
		fprintf(out, " (%.4f%% of guest time).",
			percent(view, &c->rows[0], c->rows[0].overhead_cycles[PRICE_TYPICAL]));
	} else {
		fputs(c->rows[0].run->policy, out);
		print_equals(view, out);
		fprintf(out, " costs %s%s cycles (%.4f%% of guest time)",
			c->nr > 1 ? "least: " : "",
			table_number(c->rows[0].overhead_cycles[PRICE_TYPICAL], n),
			percent(view, &c->rows[0], c->rows[0].overhead_cycles[PRICE_TYPICAL]));
		if (c->nr > 1)
			print_rival(view, out);
		else
			fputs("; no other policy was run on this trace.", out);
		print_upstream(view, out);
	}
	if (!strcmp(view->group->mode, "projected"))
		fputs(" The trace is projected from scheduler events, an estimate too.", out);
	fclose(out);
	decision = json_string(text);
	free(text);
	return decision;
}

/* ---- one group ---- */

/* An option of a run is named in the database as on the command line, but for the dashes. */
static void print_option(FILE *out, const char *key, const json_t *value)
{
	size_t nr = json_array_size(value);

	if (!json_is_integer(value) && !json_is_string(value) && !nr)
		return;
	fputs(" --", out);
	for (; *key; key++)
		fputc(*key == '_' ? '-' : *key, out);
	fputc(' ', out);
	if (json_is_integer(value))
		fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	if (json_is_string(value))
		cli_shell_word(out, json_string_value(value));
	for (size_t i = 0; i < nr; i++)
		fprintf(out, "%s%" JSON_INTEGER_FORMAT, i ? "," : "",
			json_integer_value(json_array_get(value, i)));
}

/* What makes these runs again. */
static json_t *command_json(const struct view *view)
{
	json_auto_t *options = json_loads(view->group->options, 0, NULL);
	char *text = NULL;
	json_t *command, *value;
	const char *key;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return json_null();
	fputs("xfdsim compare ", out);
	cli_shell_word(out, view->group->trace);
	fputs(" --kernel ", out);
	cli_shell_word(out, view->group->kernel);
	fputs(" --policy ", out);
	for (size_t i = 0; i < view->group->nr; i++)
		fprintf(out, "%s%s", i ? "," : "", policy_of(view, i));
	json_object_foreach(options, key, value)
	{
		print_option(out, key, value);
	}
	fclose(out);
	command = json_string(text);
	free(text);
	return command;
}

static json_t *describe_group(const struct view *view)
{
	const struct result_group *group = view->group;
	const struct comparison *c = &view->comparison;
	double seconds = guest_seconds(view);
	json_t *provenance = json_loads(group->provenance, 0, NULL);
	json_t *options = json_loads(group->options, 0, NULL);

	return json_pack(
		"{ss ss ss so so ss ss so so so so so sf so so so sf sf sb}", "trace", group->trace,
		"mode", group->mode, "trace_hash", group->hash, "provenance",
		provenance ? provenance : json_null(), "options", options ? options : json_null(),
		"kernel", group->kernel, "version", group->version, "tsc_khz",
		cli_uint(group->tsc_khz), "vcpus", cli_uint(group->nr_vcpus), "pcpus",
		cli_uint(group->nr_pcpus), "events", cli_uint(group->runs[0].ledger.nr_events),
		"guest_cycles", cli_uint(c->guest_cycles), "guest_seconds", seconds, "xfd_writes",
		cli_uint(c->xfd_writes), "slow_exits", cli_uint(c->slow_exits), "fastpath_exits",
		cli_uint(c->fast_exits), "writes_per_exit", c->writes_per_exit, "exits_per_second",
		seconds > 0 ? (double)c->slow_exits / seconds : 0, "robust", (int)c->robust);
}

static json_t *build_group(const struct view *view, struct xfd_error *err)
{
	json_t *root = describe_group(view);
	json_t *policies = json_array();

	for (size_t i = 0; i < view->comparison.nr; i++) {
		json_t *policy = policy_json(view, i, err);

		if (!policy) {
			json_decref(policies);
			json_decref(root);
			return NULL;
		}
		json_array_append_new(policies, policy);
	}
	json_object_set_new(root, "decision", decision_json(view));
	json_object_set_new(root, "command", command_json(view));
	json_object_set_new(root, "policies", policies);
	json_object_set_new(root, "pairs", pairs_json(view));
	json_object_set_new(root, "sensitivity", sensitivity_json(view));
	json_object_set_new(root, "break_even", segments_json(view));
	json_object_set_new(root, "optimum", optimum_json(view));
	return root;
}

static json_t *group_json(const struct result_group *group, const struct cost_profile *profile,
			  const struct analysis_options *options, struct xfd_error *err)
{
	struct view view = {.group = group, .profile = profile, .options = options};
	json_t *root = NULL;

	if (group->nr > UNCERTAINTY_MAX_RUNS) {
		xfd_error_set(err, XFD_ERROR_INPUT, group->trace, 0, -1,
			      "%zu runs to compare, at most %d are; select fewer", group->nr,
			      UNCERTAINTY_MAX_RUNS);
		return NULL;
	}
	if (compare_runs(group->runs, group->nr, profile, &view.comparison, err))
		return NULL;
	if (!sensitivity_run(group->runs, group->nr, profile, &view.sensitivity, err) &&
	    !uncertainty_run(group->runs, group->nr, profile, options->draws, options->seed,
			     options->threads, &view.uncertainty, err))
		root = build_group(&view, err);
	uncertainty_release(&view.uncertainty);
	comparison_release(&view.comparison);
	return root;
}

int analysis_json(const struct results *results, const struct cost_profile *profile,
		  const struct analysis_options *options, json_t **doc, struct xfd_error *err)
{
	json_t *groups = json_array();

	*doc = NULL;
	for (size_t g = 0; g < results->nr_groups; g++) {
		json_t *group = group_json(&results->groups[g], profile, options, err);

		if (!group) {
			json_decref(groups);
			return err && err->kind == XFD_ERROR_SYSTEM ? -EIO : -EINVAL;
		}
		json_array_append_new(groups, group);
	}
	*doc = json_pack("{ss so so so so so so}", "version", XFDSIM_VERSION, "draws",
			 cli_uint(options->draws), "seed", cli_uint(options->seed), "profile",
			 profile_json(profile), "break_even", break_even_json(profile), "map",
			 map_json(profile), "groups", groups);
	if (*doc)
		return 0;
	xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	return -ENOMEM;
}
