/* SPDX-License-Identifier: MIT */
/*
 * Closed forms against replays: generated guests, swept over rates, kernels, profiles and
 * columns; and the sensitivity and latency of the same replays against prices changed by hand.
 */
#include "tests/xt.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/breakeven.h"
#include "sim/engine.h"
#include "sim/latency.h"
#include "sim/sensitivity.h"

enum { TRAP, PASS, ADAPTIVE, NR_RUNS };

static const char *const policies[NR_RUNS] = {"always-intercept", "passthrough", "adaptive"};
static const char *const profiles[] = {"spr", "gnr", "icx", "emr"};

static struct cost_profile *load(const char *name)
{
	struct cost_profile *profile;
	struct xfd_error err = {0};

	if (profile_load(name, &profile, &err))
		fail_msg("%s", err.text);
	return profile;
}

/* An armed guest that writes XFD @writes times, spread evenly among @exits slow VM-exits. */
static void replay(struct run runs[NR_RUNS], const char *kernel, uint64_t writes, uint64_t exits)
{
	struct engine_options options[NR_RUNS];
	char path[] = "/tmp/xfdsim-breakeven-XXXXXX";
	struct engine_trace trace = {0};
	struct xfd_error err = {0};
	int fd = mkstemp(path);
	uint64_t written = 0;
	FILE *file;

	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	fputs("xfs 1\nstart armed\n", file);
	for (uint64_t i = 0; i <= exits; i++) {
		for (; exits ? written * exits < i * writes : written < writes; written++)
			fprintf(file, "+100 wrxfd %s\n", written % 2 ? "0x40000" : "0");
		if (i < exits)
			fputs("+1000 exit cpuid\n", file);
	}
	assert_int_equal(fclose(file), 0);
	for (int i = 0; i < NR_RUNS; i++) {
		engine_default_options(&options[i]);
		options[i].policy = policy_find(policies[i]);
		options[i].kernel = kernel_find(kernel);
	}
	if (engine_replay(path, options, NR_RUNS, runs, &trace, NULL, NULL, &err))
		fail_msg("%s", err.text);
	unlink(path);
	engine_release_trace(&trace);
	assert_int_equal(runs[TRAP].ledger.xfd_writes, writes);
}

static void release(struct run runs[NR_RUNS])
{
	for (int i = 0; i < NR_RUNS; i++)
		engine_release_run(&runs[i]);
}

static uint64_t price(const struct run *run, const struct cost_profile *profile,
		      enum price_column column)
{
	uint64_t cycles;

	assert_int_equal(profile_price(profile, column, run->ledger.step_count, &cycles), 0);
	return cycles;
}

static bool passing_wins(const char *kernel, const struct cost_profile *profile,
			 enum price_column column, uint64_t writes, uint64_t exits)
{
	struct run runs[NR_RUNS] = {0};
	bool wins;

	replay(runs, kernel, writes, exits);
	wins = price(&runs[PASS], profile, column) < price(&runs[TRAP], profile, column);
	release(runs);
	return wins;
}

/* The closed form names the write that tips the balance; one less does not. */
static void replays_tip_at_the_closed_form(void **state)
{
	static const uint64_t exits[] = {0, 1, 33, 34, 100, 999, 2500};
	static const char *const kernels[] = {"v5.17", "v6.19"};

	(void)state;
	for (size_t p = 0; p < sizeof(profiles) / sizeof(profiles[0]); p++) {
		struct cost_profile *profile = load(profiles[p]);

		for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++) {
			struct breakeven b = breakeven_prices(profile, column);

			for (size_t k = 0; k < sizeof(kernels) / sizeof(kernels[0]); k++)
				for (size_t e = 0; e < sizeof(exits) / sizeof(exits[0]); e++) {
					uint64_t writes = breakeven_writes(&b, exits[e]);

					assert_true(passing_wins(kernels[k], profile, column,
								 writes, exits[e]));
					assert_false(passing_wins(kernels[k], profile, column,
								  writes - 1, exits[e]));
					assert_true(fabs((double)exits[e] * breakeven_ratio(&b) -
							 (double)writes) <= 1);
				}
		}
		profile_free(profile);
	}
}

/* Overhead itself, not only its sign: both lines of the map, to the cycle. */
static void replays_cost_what_the_closed_form_says(void **state)
{
	struct cost_profile *profile = load("spr");

	(void)state;
	for (uint64_t writes = 0; writes <= 40; writes += 8)
		for (uint64_t exits = 0; exits <= 200; exits += 50)
			for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++) {
				struct breakeven b = breakeven_prices(profile, column);
				struct run runs[NR_RUNS] = {0};

				replay(runs, "v6.19", writes, exits);
				assert_int_equal(price(&runs[TRAP], profile, column),
						 writes * b.trapped + exits * b.exit);
				assert_int_equal(price(&runs[PASS], profile, column),
						 writes * b.direct + exits * (b.exit + b.sync));
				release(runs);
			}
	profile_free(profile);
}

/*
 * adaptive between writes that are k exits apart: within its patience of 38 exits it goes on
 * passing through; beyond, each write is trapped, and costs two bitmap updates and 38 syncs on
 * top. The boot-time write has made it pass through, so the first write comes one exit later
 * directly; the exit after it finds XFD changed, and 38 more end the patience.
 */
static void adaptive_gives_up_after_its_patience(void **state)
{
	struct cost_profile *profile = load("spr");
	struct breakeven b = breakeven_prices(profile, PRICE_TYPICAL);
	const uint64_t patience = POLICY_ADAPTIVE_EXITS;
	struct run runs[NR_RUNS] = {0};

	(void)state;
	replay(runs, "v6.19", 50, 50 * 60);
	assert_int_equal(price(&runs[ADAPTIVE], profile, PRICE_TYPICAL),
			 50 * 60 * b.exit + b.direct + b.update + (1 + 1 + patience) * b.sync +
				 49 * (b.trapped + 2 * b.update + patience * b.sync));
	release(runs);
	replay(runs, "v6.19", 50, 50 * 20);
	assert_int_equal(price(&runs[ADAPTIVE], profile, PRICE_TYPICAL),
			 price(&runs[PASS], profile, PRICE_TYPICAL));
	release(runs);
	profile_free(profile);
}

/* Stakes: put back into rates, the difference is what was asked for. */
static void stakes_are_the_difference(void **state)
{
	struct cost_profile *profile = load("gnr");
	struct breakeven b = breakeven_prices(profile, PRICE_TYPICAL);

	(void)state;
	for (double cycles = -4e4; cycles <= 4e6; cycles += 4.04e5) {
		double exits = 1000, writes = exits * breakeven_stakes(&b, exits, cycles);
		double saved = writes * (double)(b.trapped - b.direct) - exits * (double)b.sync;

		assert_true(fabs(saved - cycles) < 1e-3);
	}
	b.trapped = b.direct;
	assert_true(isinf(breakeven_ratio(&b)));
	assert_true(breakeven_writes(&b, 5) == UINT64_MAX);
	profile_free(profile);
}

/* ---- sensitivity ---- */

static size_t cheapest(const struct run *runs, const struct cost_profile *profile)
{
	size_t best = 0;

	for (size_t i = 1; i < NR_RUNS; i++)
		if (price(&runs[i], profile, PRICE_TYPICAL) <
		    price(&runs[best], profile, PRICE_TYPICAL))
			best = i;
	return best;
}

/* Is @run strictly cheaper than @winner with one price set to @cycles? */
static bool undercuts(const struct run *runs, struct cost_profile *profile, enum step step,
		      uint64_t cycles, size_t winner)
{
	uint64_t *at = &profile->price[step].cycles[PRICE_TYPICAL], typical = *at;
	bool any = false;

	*at = cycles;
	for (size_t i = 0; i < NR_RUNS; i++)
		any |= price(&runs[i], profile, PRICE_TYPICAL) <
		       price(&runs[winner], profile, PRICE_TYPICAL);
	*at = typical;
	return any;
}

static int64_t margin_at(const struct run *runs, struct cost_profile *profile,
			 const struct sensitivity *s, enum step step, uint64_t cycles)
{
	uint64_t *at = &profile->price[step].cycles[PRICE_TYPICAL], typical = *at;
	int64_t margin;

	*at = cycles;
	margin = (int64_t)price(&runs[s->rival], profile, PRICE_TYPICAL) -
		 (int64_t)price(&runs[s->winner], profile, PRICE_TYPICAL);
	*at = typical;
	return margin;
}

static void check_row(const struct run *runs, struct cost_profile *profile,
		      const struct sensitivity *s, const struct sensitivity_row *row)
{
	const uint64_t *cycles = profile->price[row->step].cycles;

	assert_true(row->at_low == margin_at(runs, profile, s, row->step, cycles[PRICE_LOW]));
	assert_true(row->at_high == margin_at(runs, profile, s, row->step, cycles[PRICE_HIGH]));
	if (row->above.run != SENSITIVITY_NONE) {
		assert_true(
			undercuts(runs, profile, row->step, row->above.price_cycles, s->winner));
		assert_false(undercuts(runs, profile, row->step, row->above.price_cycles - 1,
				       s->winner));
		assert_true(row->above.crossing_cycles <= (double)row->above.price_cycles);
	} else {
		assert_false(undercuts(runs, profile, row->step, 1000000000, s->winner));
	}
	if (row->below.run != SENSITIVITY_NONE) {
		assert_true(
			undercuts(runs, profile, row->step, row->below.price_cycles, s->winner));
		assert_false(undercuts(runs, profile, row->step, row->below.price_cycles + 1,
				       s->winner));
	} else {
		assert_false(undercuts(runs, profile, row->step, 0, s->winner));
	}
}

static void the_winner_changes_at_the_named_price(void **state)
{
	static const uint64_t writes[] = {1, 20, 29, 31, 40, 300};
	struct cost_profile *profile = load("spr");

	(void)state;
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		struct run runs[NR_RUNS] = {0};
		struct xfd_error err = {0};
		struct sensitivity s;

		replay(runs, "v6.19", writes[i], 1000);
		assert_int_equal(sensitivity_run(runs, NR_RUNS, profile, &s, &err), 0);
		assert_int_equal(s.winner, cheapest(runs, profile));
		assert_true(s.rival != SENSITIVITY_NONE && s.margin >= 0);
		assert_true(s.nr_rows > 0);
		for (size_t row = 0; row < s.nr_rows; row++) {
			check_row(runs, profile, &s, &s.rows[row]);
			if (row)
				assert_true(
					llabs(s.rows[row].at_high - s.rows[row].at_low) <=
					llabs(s.rows[row - 1].at_high - s.rows[row - 1].at_low));
		}
		release(runs);
	}
	profile_free(profile);
}

static void equal_runs_have_no_rival(void **state)
{
	struct cost_profile *profile = load("spr");
	struct xfd_error err = {0};
	struct sensitivity s;
	struct run runs[2] = {0};

	(void)state;
	runs[0].ledger.step_count[STEP_vmexit] = runs[1].ledger.step_count[STEP_vmexit] = 3;
	assert_int_equal(sensitivity_run(runs, 2, profile, &s, &err), 0);
	assert_true(s.rival == SENSITIVITY_NONE && !s.nr_rows);
	profile_free(profile);
}

/* ---- latency ---- */

/* 990 direct writes of 110 cycles and 10 trapped ones of 1,760: p99 is the last direct one. */
static void quantiles_are_exact(void **state)
{
	struct cost_profile *profile = load("spr");
	struct path_count paths[2] = {
		{.kind = EVENT_wrxfd, .exit_reason = EXIT_NONE, .count = 990},
		{.kind = EVENT_wrxfd, .exit_reason = EXIT_MSR_WRITE, .count = 10},
	};
	struct run run = {.ledger = {.paths = paths, .nr_paths = 2}};
	static const enum step trapped[] = {STEP_vmexit,     STEP_vmx_asm,     STEP_exit_post,
					    STEP_handler,    STEP_msr_emulate, STEP_host_wrmsr_xfd,
					    STEP_entry_prep, STEP_vmentry};
	struct xfd_error err = {0};
	struct latency latency;

	(void)state;
	paths[0].steps.step[paths[0].steps.nr++] = STEP_guest_wrmsr_xfd;
	for (size_t i = 0; i < sizeof(trapped) / sizeof(trapped[0]); i++)
		paths[1].steps.step[paths[1].steps.nr++] = (uint8_t)trapped[i];
	assert_int_equal(
		latency_run(&run, profile, PRICE_TYPICAL, LATENCY_XFD_WRITE, &latency, &err), 0);
	assert_int_equal(latency.count, 1000);
	assert_int_equal(latency.total_cycles, 990 * 110 + 10 * 1760);
	assert_int_equal(latency_quantile(&latency, 990), 110);
	assert_int_equal(latency_quantile(&latency, 991), 1760);
	assert_int_equal(latency_quantile(&latency, 1000), 1760);
	latency_release(&latency);
	assert_int_equal(latency_run(&run, profile, PRICE_TYPICAL, LATENCY_VM_EXIT, &latency, &err),
			 0);
	assert_int_equal(latency.count, 10);
	assert_int_equal(latency_quantile(&latency, 1), 1760);
	latency_release(&latency);
	profile_free(profile);
}

/* What the distribution adds up to is the overhead: here every event is one of the two kinds. */
static void parts_add_up_to_the_overhead(void **state)
{
	struct cost_profile *profile = load("spr");
	struct run runs[NR_RUNS] = {0};
	struct xfd_error err = {0};
	struct latency writes, exits;

	(void)state;
	replay(runs, "v6.19", 70, 500);
	assert_int_equal(
		latency_run(&runs[PASS], profile, PRICE_HIGH, LATENCY_XFD_WRITE, &writes, &err), 0);
	assert_int_equal(
		latency_run(&runs[PASS], profile, PRICE_HIGH, LATENCY_VM_EXIT, &exits, &err), 0);
	assert_int_equal(writes.total_cycles + exits.total_cycles,
			 price(&runs[PASS], profile, PRICE_HIGH));
	latency_release(&writes);
	latency_release(&exits);
	release(runs);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replays_tip_at_the_closed_form),
		cmocka_unit_test(replays_cost_what_the_closed_form_says),
		cmocka_unit_test(adaptive_gives_up_after_its_patience),
		cmocka_unit_test(stakes_are_the_difference),
		cmocka_unit_test(the_winner_changes_at_the_named_price),
		cmocka_unit_test(equal_runs_have_no_rival),
		cmocka_unit_test(quantiles_are_exact),
		cmocka_unit_test(parts_add_up_to_the_overhead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
