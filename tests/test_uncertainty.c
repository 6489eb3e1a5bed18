/* SPDX-License-Identifier: MIT */
/* Random price lists: reproducible, the triangle's own distribution, right against brute force. */
#include "tests/xt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sim/uncertainty.h"

static struct cost_profile *load(const char *name)
{
	struct cost_profile *profile;
	struct xfd_error err = {0};

	if (profile_load(name, &profile, &err))
		fail_msg("%s", err.text);
	return profile;
}

/* Three policies of one trace: trap, pass through, and a copy of the second. */
static void make_runs(struct run runs[3], uint64_t writes, uint64_t exits)
{
	static const enum step round_trip[] = {STEP_vmexit,    STEP_vmx_asm,    STEP_vmentry,
					       STEP_exit_post, STEP_entry_prep, STEP_handler};

	memset(runs, 0, 3 * sizeof(*runs));
	for (size_t i = 0; i < sizeof(round_trip) / sizeof(round_trip[0]); i++) {
		runs[0].ledger.step_count[round_trip[i]] = exits + writes;
		runs[1].ledger.step_count[round_trip[i]] = exits;
	}
	runs[0].ledger.step_count[STEP_msr_emulate] = writes;
	runs[0].ledger.step_count[STEP_host_wrmsr_xfd] = writes;
	runs[1].ledger.step_count[STEP_guest_wrmsr_xfd] = writes;
	runs[1].ledger.step_count[STEP_xfd_sync] = exits;
	runs[2] = runs[1];
	runs[0].policy = "trap";
	runs[1].policy = "pass";
	runs[2].policy = "copy";
}

static struct uncertainty draw(const struct run *runs, size_t nr,
			       const struct cost_profile *profile, uint64_t draws, uint64_t seed,
			       unsigned int threads)
{
	struct uncertainty u;
	struct xfd_error err = {0};

	if (uncertainty_run(runs, nr, profile, draws, seed, threads, &u, &err))
		fail_msg("%s", err.text);
	return u;
}

static void assert_same(const struct uncertainty *a, const struct uncertainty *b)
{
	assert_int_equal(a->nr, b->nr);
	assert_memory_equal(a->cheapest, b->cheapest, sizeof(a->cheapest));
	assert_memory_equal(a->pairs, b->pairs, a->nr * a->nr * sizeof(*a->pairs));
}

static void threads_change_nothing(void **state)
{
	struct cost_profile *profile = load("spr");
	struct uncertainty one, other;
	struct run runs[3];

	(void)state;
	make_runs(runs, 300, 10000);
	one = draw(runs, 3, profile, 100001, 7, 1);
	for (unsigned int threads = 2; threads <= 5; threads++) {
		other = draw(runs, 3, profile, 100001, 7, threads);
		assert_same(&one, &other);
		uncertainty_release(&other);
	}
	other = draw(runs, 3, profile, 100001, 8, 1);
	assert_true(memcmp(one.pairs, other.pairs, 9 * sizeof(*one.pairs)) != 0);
	uncertainty_release(&other);
	uncertainty_release(&one);
	profile_free(profile);
}

static void other_runs_change_nothing(void **state)
{
	struct cost_profile *profile = load("gnr");
	struct uncertainty two, three;
	struct run runs[3];

	(void)state;
	make_runs(runs, 310, 10000);
	two = draw(runs, 2, profile, 50000, 3, 1);
	runs[2].ledger.step_count[STEP_migrate] = 12;
	three = draw(runs, 3, profile, 50000, 3, 1);
	assert_memory_equal(&two.pairs[1], &three.pairs[1], sizeof(two.pairs[1]));
	uncertainty_release(&two);
	uncertainty_release(&three);
	profile_free(profile);
}

/* Price each draw by hand, with whole runs, and count. Small counts give bins of one cycle. */
static int compare_int64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void brute_force_agrees(void **state)
{
	enum { DRAWS = 3000 };
	struct cost_profile *profile = load("spr");
	static int64_t differences[DRAWS];
	uint64_t trap_cheaper = 0, ties = 0, trap_cheapest = 0;
	const struct uncertainty_pair *pair, *back;
	struct uncertainty u;
	struct run runs[3];

	(void)state;
	make_runs(runs, 1, 33);
	for (uint64_t i = 0; i < DRAWS; i++) {
		int64_t cost[2] = {0};

		for (enum step step = 0; step < NR_PRICED_STEPS; step++)
			for (int run = 0; run < 2; run++)
				cost[run] += (int64_t)(runs[run].ledger.step_count[step] *
						       uncertainty_price(&profile->price[step],
									 step, 5, i));
		differences[i] = cost[1] - cost[0];
		trap_cheaper += cost[0] < cost[1];
		trap_cheapest += cost[0] <= cost[1];
		ties += cost[0] == cost[1];
	}
	qsort(differences, DRAWS, sizeof(differences[0]), compare_int64);
	u = draw(runs, 3, profile, DRAWS, 5, 2);
	pair = &u.pairs[0 * 3 + 1];
	back = &u.pairs[1 * 3 + 0];
	assert_int_equal(pair->a_cheaper, trap_cheaper);
	assert_int_equal(pair->ties, ties);
	assert_int_equal(back->a_cheaper, DRAWS - trap_cheaper - ties);
	assert_int_equal(u.cheapest[0], trap_cheapest);
	assert_int_equal(u.cheapest[1], DRAWS - trap_cheaper);
	assert_int_equal(pair->resolution_cycles, 1);
	assert_int_equal(pair->p5_cycles, differences[DRAWS * 5 / 100 - 1]);
	assert_int_equal(pair->p50_cycles, differences[DRAWS / 2 - 1]);
	assert_int_equal(pair->p95_cycles, differences[DRAWS * 95 / 100 - 1]);
	assert_int_equal(back->p5_cycles, -pair->p95_cycles);
	/* The copy always ties with what it is a copy of. */
	assert_int_equal(u.pairs[1 * 3 + 2].ties, DRAWS);
	assert_int_equal(u.pairs[1 * 3 + 2].p50_cycles, 0);
	uncertainty_release(&u);
	profile_free(profile);
}

/* The mean of a triangle is (low + typical + high) / 3, F(typical) its left part's share. */
static void prices_follow_the_triangle(void **state)
{
	enum { DRAWS = 200000 };
	static const enum step steps[] = {STEP_vmexit, STEP_xfd_sync, STEP_fpstate_alloc,
					  STEP_xsaves_tiles};
	struct cost_profile *profile = load("spr");

	(void)state;
	for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
		const struct step_price *price = &profile->price[steps[s]];
		double low = (double)price->cycles[PRICE_LOW],
		       high = (double)price->cycles[PRICE_HIGH];
		double peak = (double)price->cycles[PRICE_TYPICAL];
		double mean = (low + peak + high) / 3;
		double variance = (low * low + peak * peak + high * high - low * peak - low * high -
				   peak * high) /
				  18;
		double sum = 0;

		for (uint64_t i = 0; i < DRAWS; i++) {
			uint64_t drawn = uncertainty_price(price, steps[s], 11, i);

			assert_in_range(drawn, price->cycles[PRICE_LOW], price->cycles[PRICE_HIGH]);
			sum += (double)drawn;
		}
		/* Five standard errors, and the rounding to whole cycles. */
		assert_true(fabs(sum / DRAWS - mean) < 5 * sqrt(variance / DRAWS) + 0.05);
	}
	profile_free(profile);
}

static void shared_causes_move_together(void **state)
{
	struct cost_profile *profile = load("spr");
	bool apart = false;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		uint64_t sync =
			uncertainty_price(&profile->price[STEP_xfd_sync], STEP_xfd_sync, 1, i);
		uint64_t read = uncertainty_price(&profile->price[STEP_guest_rdmsr_xfd],
						  STEP_guest_rdmsr_xfd, 1, i);
		struct step_price alone = profile->price[STEP_guest_rdmsr_xfd];

		alone.shares = NULL;
		assert_int_equal(sync, read); /* equal ranges, one cause */
		apart |= uncertainty_price(&alone, STEP_guest_rdmsr_xfd, 1, i) != read;
	}
	assert_true(apart);
	profile_free(profile);
}

static void what_cannot_be_added_up_is_refused(void **state)
{
	struct cost_profile *profile = load("spr");
	struct xfd_error err = {0};
	struct uncertainty u;
	struct run runs[3];

	(void)state;
	make_runs(runs, UINT64_C(1) << 55, UINT64_C(1) << 55);
	assert_true(uncertainty_run(runs, 3, profile, 10, 1, 1, &u, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_non_null(strstr(err.text, "2^61"));
	profile_free(profile);
}

static void large_counts_are_drawn_within_a_bin(void **state)
{
	struct cost_profile *profile = load("spr");
	struct uncertainty u;
	struct run runs[3];

	(void)state;
	make_runs(runs, UINT64_C(1) << 40, UINT64_C(1) << 45);
	u = draw(runs, 3, profile, 20000, 1, 1);
	assert_true(u.pairs[1].resolution_cycles > 1);
	assert_true(u.pairs[1].p5_cycles < u.pairs[1].p50_cycles);
	assert_true(u.pairs[1].p50_cycles < u.pairs[1].p95_cycles);
	assert_int_equal(u.pairs[1].a_cheaper + u.pairs[1].ties + u.pairs[3].a_cheaper, 20000);
	uncertainty_release(&u);
	profile_free(profile);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_change_nothing),
		cmocka_unit_test(other_runs_change_nothing),
		cmocka_unit_test(brute_force_agrees),
		cmocka_unit_test(prices_follow_the_triangle),
		cmocka_unit_test(shared_causes_move_together),
		cmocka_unit_test(what_cannot_be_added_up_is_refused),
		cmocka_unit_test(large_counts_are_drawn_within_a_bin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
