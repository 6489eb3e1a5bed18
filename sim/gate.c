/* SPDX-License-Identifier: MIT */
#include "sim/gate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "sim/table.h"

__extension__ typedef unsigned __int128 wide;

int gate_open(const char *baseline, const char *db, uint64_t limit_ppm, struct gate *gate,
	      struct xfd_error *err)
{
	bool is_run = *baseline && !baseline[strspn(baseline, "0123456789")];
	struct result_filter filter = {0};
	struct store *store;
	int ret;

	*gate = (struct gate){.limit_ppm = limit_ppm, .name = is_run ? db : baseline};
	if (is_run && !db)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "run %.20s of which database? --no-db leaves none", baseline);
	if (is_run)
		filter.run_id = gate->run_id = strtoll(baseline, NULL, 10);
	ret = store_open_existing(gate->name, &store, err);
	if (ret)
		return ret;
	ret = results_load(store, &filter, &gate->baseline, err);
	store_close(store);
	if (!ret && !gate->baseline.nr_groups)
		ret = is_run ? xfd_error_set(err, XFD_ERROR_INPUT, gate->name, 0, -1,
					     "there is no run %.20s to compare with", baseline)
			     : xfd_error_set(err, XFD_ERROR_INPUT, gate->name, 0, -1,
					     "there is no run to compare with");
	return ret;
}

void gate_close(struct gate *gate)
{
	results_release(&gate->baseline);
}

/* The newest that fits: numbers of runs rise. */
static void find_baseline(const struct gate *gate, struct gate_verdict *verdict)
{
	const struct run *run = verdict->run;

	for (size_t g = 0; g < gate->baseline.nr_groups; g++)
		for (size_t i = 0; i < gate->baseline.groups[g].nr; i++) {
			const struct run *stored = &gate->baseline.groups[g].runs[i];
			int64_t id = gate->baseline.groups[g].run_ids[i];

			if (strcmp(stored->trace_hash, run->trace_hash) || id <= verdict->run_id)
				continue;
			if (!gate->run_id && (strcmp(stored->policy, run->policy) ||
					      strcmp(stored->kernel, run->kernel) ||
					      strcmp(stored->options, run->options)))
				continue;
			verdict->against = stored;
			verdict->run_id = id;
		}
}

int gate_weigh(const struct gate *gate, const struct run *run, const struct cost_profile *profile,
	       struct gate_verdict *verdict, struct xfd_error *err)
{
	*verdict = (struct gate_verdict){.run = run};
	find_baseline(gate, verdict);
	if (!verdict->against && gate->run_id)
		return xfd_error_set(err, XFD_ERROR_INPUT, gate->name, 0, -1,
				     "run %" PRId64 " is of another trace", gate->run_id);
	if (!verdict->against)
		return 0;
	if (profile_price(profile, PRICE_TYPICAL, verdict->against->ledger.step_count,
			  &verdict->before_cycles) ||
	    profile_price(profile, PRICE_TYPICAL, run->ledger.step_count, &verdict->after_cycles))
		return xfd_error_set(err, XFD_ERROR_INPUT, profile->name, 0, -1,
				     "a run costs more than 2^64 cycles at these prices");
	verdict->shorter = run->ledger.nr_skipped > verdict->against->ledger.nr_skipped;
	verdict->dearer = verdict->after_cycles > verdict->before_cycles &&
			  (wide)(verdict->after_cycles - verdict->before_cycles) * 1000000 >
				  (wide)verdict->before_cycles * gate->limit_ppm;
	return 0;
}

/* What one step adds to the overhead; two's complement, as the sum fits. */
static int64_t step_change(const struct gate_verdict *verdict, const struct cost_profile *profile,
			   enum step step)
{
	uint64_t more =
		verdict->run->ledger.step_count[step] - verdict->against->ledger.step_count[step];

	return (int64_t)(more * profile->price[step].cycles[PRICE_TYPICAL]);
}

static double change_percent(const struct gate_verdict *verdict)
{
	if (!verdict->before_cycles)
		return verdict->after_cycles ? 100 : 0;
	return 100.0 * ((double)verdict->after_cycles - (double)verdict->before_cycles) /
	       (double)verdict->before_cycles;
}

void gate_print(const struct gate *gate, const struct gate_verdict *verdict,
		const struct cost_profile *profile, FILE *out)
{
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN];
	struct table *table;

	if (!verdict->against) {
		fprintf(out, "baseline: %s has no run of %s with this trace, kernel and options\n",
			gate->name, verdict->run->policy);
		return;
	}
	fprintf(out,
		"baseline: %s %s run %" PRId64
		" (%s): %s cycles, were %s (%+.4f%%), limit %.4f%%\n",
		verdict->run->policy,
		verdict->dearer    ? "is DEARER than"
		: verdict->shorter ? "does LESS WORK than"
				   : "passes against",
		verdict->run_id, verdict->against->policy, table_number(verdict->after_cycles, a),
		table_number(verdict->before_cycles, b), change_percent(verdict),
		(double)gate->limit_ppm / 1e4);
	if (verdict->shorter)
		fprintf(out, "  and skipped %s events of vCPUs that had stopped, not %s\n",
			table_number(verdict->run->ledger.nr_skipped, a),
			table_number(verdict->against->ledger.nr_skipped, b));
	if (!verdict->dearer)
		return;
	table = table_new("  step that changed|>count before|>count now|>cycles");
	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		int64_t change = step_change(verdict, profile, step);

		if (verdict->run->ledger.step_count[step] ==
		    verdict->against->ledger.step_count[step])
			continue;
		table_row(table);
		table_cell(table, "  %s", step_name(step));
		table_cell(table, "%s", table_number(verdict->against->ledger.step_count[step], a));
		table_cell(table, "%s", table_number(verdict->run->ledger.step_count[step], b));
		table_cell(table, "%s%s", change < 0 ? "-" : "+",
			   table_number(change < 0 ? -(uint64_t)change : (uint64_t)change, a));
	}
	table_print(table, out);
}

json_t *gate_json(const struct gate_verdict *verdict, const struct cost_profile *profile)
{
	json_t *steps = json_array();

	if (!verdict->against) {
		json_decref(steps);
		return json_pack("{ss sn}", "policy", verdict->run->policy, "baseline_run");
	}
	for (enum step step = 0; step < NR_PRICED_STEPS; step++) {
		uint64_t before = verdict->against->ledger.step_count[step];
		uint64_t after = verdict->run->ledger.step_count[step];

		if (before != after)
			json_array_append_new(
				steps,
				json_pack("{ss so so sI}", "step", step_name(step), "before",
					  cli_uint(before), "after", cli_uint(after), "cycles",
					  (json_int_t)step_change(verdict, profile, step)));
	}
	return json_pack("{ss sI ss so so sf sb sb so}", "policy", verdict->run->policy,
			 "baseline_run", (json_int_t)verdict->run_id, "baseline_policy",
			 verdict->against->policy, "before", cli_uint(verdict->before_cycles),
			 "after", cli_uint(verdict->after_cycles), "change_percent",
			 change_percent(verdict), "dearer", (int)verdict->dearer, "less_work",
			 (int)verdict->shorter, "steps", steps);
}
