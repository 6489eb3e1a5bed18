/* SPDX-License-Identifier: MIT */
/* The reference engine: totals from the rules, one pass for many runs, errors that locate. */
#include "tests/xt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/compare.h"
#include "sim/engine.h"

static char *scratch(const char *text)
{
	static char path[64];
	FILE *file;
	int fd;

	strcpy(path, "/tmp/xfdsim-engine-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* Replay a text under every policy of one kernel. */
static size_t replay(const char *text, const char *kernel, struct run *runs,
		     struct engine_trace *trace, struct xfd_error *err)
{
	struct engine_options options[16];
	const struct xfd_policy *policy;
	const char *path = scratch(text);
	size_t nr;

	for (nr = 0; (policy = policy_at(nr)); nr++) {
		engine_default_options(&options[nr]);
		options[nr].policy = policy;
		options[nr].kernel = kernel_find(kernel);
	}
	if (engine_replay(path, options, nr, runs, trace, NULL, NULL, err))
		nr = 0;
	unlink(path);
	return nr;
}

static void release(struct run *runs, size_t nr, struct engine_trace *trace)
{
	for (size_t i = 0; i < nr; i++)
		engine_release_run(&runs[i]);
	engine_release_trace(trace);
}

/* ---- golden flows as sums of prices whose digits do not overlap ---- */

/*
 * A price is at most 10^12, room for ten hexadecimal digits; so three made-up profiles
 * price ten steps each, one digit a step, and all other steps at nothing.
 */
enum { DIGITS = 10, BANKS = (NR_PRICED_STEPS + DIGITS - 1) / DIGITS };

static struct cost_profile unit_profile(int bank)
{
	static char name[] = "unit";
	struct cost_profile profile = {.name = name, .tsc_khz = 2200000, .core_khz = 2200000};

	for (int step = bank * DIGITS; step < (bank + 1) * DIGITS && step < NR_PRICED_STEPS; step++)
		for (int column = 0; column < NR_PRICE_COLUMNS; column++)
			profile.price[step].cycles[column] = UINT64_C(1) << 4 * (step % DIGITS);
	return profile;
}

static void assert_total(const struct run *run, const uint64_t want[NR_STEPS])
{
	for (int bank = 0; bank < BANKS; bank++) {
		struct cost_profile profile = unit_profile(bank);
		uint64_t sum = 0, total;

		for (int step = bank * DIGITS; step < (bank + 1) * DIGITS && step < NR_PRICED_STEPS;
		     step++) {
			assert_true(want[step] < 16);
			sum += want[step] << 4 * (step % DIGITS);
		}
		assert_int_equal(
			profile_price(&profile, PRICE_TYPICAL, run->ledger.step_count, &total), 0);
		if (total != sum)
			fail_msg("%s, steps from %s on: wanted 0x%llx, got 0x%llx (a digit a step)",
				 run->policy, step_name((enum step)(bank * DIGITS)),
				 (unsigned long long)sum, (unsigned long long)total);
	}
}

/* A slow exit and its entry, so many times. */
static void slow_exits(uint64_t *want, uint64_t nr)
{
	static const enum step steps[] = {STEP_vmexit,  STEP_vmx_asm,    STEP_exit_post,
					  STEP_handler, STEP_entry_prep, STEP_vmentry};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		want[steps[i]] += nr;
}

/*
 * A Linux guest that never uses AMX: one write of 0x40000, XSETBV, then three exits, one of
 * them on the fastpath. Today's upstream pays a sync for each slow one, for nothing;
 * second-enable, which saw no enabling write, does not.
 */
static void a_guest_that_only_boots_is_priced_under_every_policy(void **state)
{
	struct engine_trace trace;
	struct xfd_error err = {0};
	struct run runs[16];
	size_t nr = replay("xfs 1\nwrxfd 0x40000\nxsetbv\n+100 exit cpuid\n+100 exit fastpath\n"
			   "+100 exit hlt\n",
			   "v6.19", runs, &trace, &err);

	(void)state;
	assert_true(nr >= 7);
	for (size_t i = 0; i < nr; i++) {
		const char *policy = runs[i].policy;
		bool passes = !strcmp(policy, "passthrough");
		bool opens = !strcmp(policy, "first-nonzero") || !strcmp(policy, "adaptive");
		uint64_t want[NR_STEPS] = {
			[STEP_vmexit] = 1,
			[STEP_vmx_asm] = 1,
			[STEP_fastpath] = 1,
			[STEP_vmentry] = 1,
		};

		slow_exits(want, 3); /* XSETBV and two others */
		if (passes) {
			want[STEP_guest_wrmsr_xfd] = 1;
			want[STEP_xfd_sync] = 3;
		} else {
			slow_exits(want, 1);
			want[STEP_msr_emulate] = 1;
			want[STEP_host_wrmsr_xfd] = 1;
			want[STEP_intercept_update] = 1; /* at least #NM */
			want[STEP_xfd_sync] = opens ? 3 : 0;
		}
		assert_total(&runs[i], want);
		assert_int_equal(runs[i].ledger.step_count[STEP_guest_run], 300);
		assert_int_equal(runs[i].ledger.xfd_exits, passes ? 0 : 1);
	}
	release(runs, nr, &trace);
}

/* An intercepted write that changes XFD prices at row A of the published table: 1,760. */
static void an_intercepted_write_prices_at_1760_on_sapphire_rapids(void **state)
{
	struct cost_profile *spr;
	struct engine_trace trace;
	struct xfd_error err = {0};
	struct run runs[16];
	uint64_t cycles;
	size_t nr = replay("xfs 1\nwrxfd 0x40000\n", "v1", runs, &trace, &err);

	(void)state;
	assert_true(nr >= 7);
	assert_int_equal(profile_load("spr", &spr, &err), 0);
	assert_string_equal(runs[0].policy, "always-intercept");
	assert_int_equal(profile_price(spr, PRICE_TYPICAL, runs[0].ledger.step_count, &cycles), 0);
	assert_int_equal(cycles, 1760);
	profile_free(spr);
	release(runs, nr, &trace);
}

/* ---- identities ---- */

static const char busy[] =
	"xfs 1\nvcpus 3\npcpus 2\n"
	"v0 wrxfd 0x40000\nv0 xsetbv\nv1 wrxfd 0x40000\nv1 xsetbv\n"
	"+500 v0 amx\nv0 rderr\n+10 v0 exit cpuid\nv0 wrerr 0\nv0 wrxfd 0\nv0 amx\n"
	"+5000 v0 preempt A\n+100 v2 resume p0\nv2 wrxfd 0x40000\nv2 xsetbv\n+7 v2 exit userspace\n"
	"+900 v2 hlt 9000000\n+44 v0 resume\nv0 amx\n+3 v0 exit fastpath\n+1 v0 exit "
	"io-instruction\n"
	"+3 v1 hlt 100\n+100 v1 wake\n+5 v1 exit external-interrupt\n+9000000 v1 tsfault\n"
	"+7 v1 preempt K\n+1 v2 wake p1\nv2 wrxfd 0\nv2 wrxfd 1\n";

static void the_identities_of_the_accounting_hold(void **state)
{
	const struct kernel *kernel;

	(void)state;
	for (size_t k = 0; (kernel = kernel_at(k)); k++) {
		struct engine_trace trace;
		struct xfd_error err = {0};
		struct run runs[16];
		size_t nr = replay(busy, kernel->name, runs, &trace, &err);

		assert_true(nr >= 7);
		for (size_t i = 0; i < nr; i++) {
			const uint64_t *n = runs[i].ledger.step_count;
			uint64_t from_paths[NR_STEPS] = {0}, events = 0, exits = 0;

			assert_int_equal(n[STEP_vmexit], n[STEP_vmx_asm]);
			assert_int_equal(n[STEP_vmexit], n[STEP_exit_post] + n[STEP_fastpath]);
			assert_int_equal(n[STEP_handler], n[STEP_exit_post]);
			/* Two vCPUs are still out: one preempted, none halted. */
			assert_true(n[STEP_vmexit] >= n[STEP_vmentry]);
			if (!strcmp(runs[i].policy, "always-intercept"))
				assert_int_equal(n[STEP_xfd_sync] + n[STEP_guest_wrmsr_xfd], 0);
			if (!strcmp(runs[i].policy, "passthrough"))
				assert_int_equal(n[STEP_xfd_sync], n[STEP_exit_post]);
			for (size_t p = 0; p < runs[i].ledger.nr_paths; p++) {
				const struct path_count *path = &runs[i].ledger.paths[p];

				events += path->count;
				for (unsigned int s = 0; s < path->steps.nr; s++)
					from_paths[path->steps.step[s]] += path->count;
			}
			for (int r = 0; r < NR_EXIT_REASONS; r++)
				exits += runs[i].ledger.exit_count[r];
			assert_int_equal(events, runs[i].ledger.nr_events);
			assert_int_equal(exits, n[STEP_vmexit]);
			assert_memory_equal(from_paths, n, NR_PRICED_STEPS * sizeof(*n));
		}
		release(runs, nr, &trace);
	}
}

static void many_runs_in_one_pass_are_the_runs_one_by_one(void **state)
{
	struct engine_trace trace, alone_trace;
	struct xfd_error err = {0};
	struct run runs[16], alone;
	size_t nr = replay(busy, "v6.19", runs, &trace, &err);

	(void)state;
	assert_true(nr >= 7);
	for (size_t i = 0; i < nr; i++) {
		struct engine_options options;
		const char *path = scratch(busy);

		engine_default_options(&options);
		options.policy = policy_at(i);
		assert_int_equal(
			engine_replay(path, &options, 1, &alone, &alone_trace, NULL, NULL, &err),
			0);
		unlink(path);
		assert_string_equal(alone.trace_hash, runs[i].trace_hash);
		assert_string_equal(alone.options, runs[i].options);
		assert_memory_equal(alone.ledger.step_count, runs[i].ledger.step_count,
				    sizeof(alone.ledger.step_count));
		assert_int_equal(alone.ledger.nr_paths, runs[i].ledger.nr_paths);
		engine_release_run(&alone);
		engine_release_trace(&alone_trace);
	}
	release(runs, nr, &trace);
}

/* ---- refusals ---- */

static void an_impossible_event_is_refused_with_its_line(void **state)
{
	struct engine_trace trace;
	struct xfd_error err = {0};
	struct run runs[16];
	char line[1024];

	(void)state;
	assert_int_equal(
		replay("xfs 1\n# a comment\nhlt 9000000\n+5 amx\n", "v6.19", runs, &trace, &err),
		0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_int_equal(err.line, 4);
	xfd_error_format(&err, line, sizeof(line));
	assert_non_null(strstr(line, "amx of vCPU 0"));
	assert_non_null(strstr(line, "not in the guest"));
}

static void guest_time_may_not_pass_2_to_the_63(void **state)
{
	struct engine_trace trace;
	struct xfd_error err = {0};
	char text[2048] = "xfs 1\n";
	struct run runs[16];

	(void)state;
	for (int i = 0; i < 9; i++)
		strcat(text, "+1152921504606846976 exit cpuid\n");
	assert_int_equal(replay(text, "v6.19", runs, &trace, &err), 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_int_equal(err.line, 1 + 8); /* 8 x 2^60 = 2^63 */
}

/* ---- break-even ---- */

/* One run whose line is E + x W, made of paths at a price of one cycle a step. */
static void fabricate(struct run *run, struct path_count paths[2], const char *policy, uint64_t w,
		      uint64_t e)
{
	paths[0] = (struct path_count){
		.kind = EVENT_wrxfd, .count = w, .steps = {1, {STEP_guest_wrmsr_xfd}}};
	paths[1] =
		(struct path_count){.kind = EVENT_exit, .count = e, .steps = {1, {STEP_exit_post}}};
	*run = (struct run){.policy = policy, .kernel = "v6.19", .options = "{}"};
	run->ledger.paths = paths;
	run->ledger.nr_paths = 2;
	run->ledger.step_count[STEP_guest_wrmsr_xfd] = w;
	run->ledger.step_count[STEP_exit_post] = e;
	run->ledger.step_count[STEP_guest_run] = 1000000;
	run->ledger.xfd_writes = 10;
}

static uint64_t splitmix(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void the_break_even_is_the_lower_envelope_of_the_lines(void **state)
{
	struct cost_profile profile = unit_profile(0);
	uint64_t seed = 1;

	(void)state;
	for (int step = 0; step < NR_PRICED_STEPS; step++)
		for (int column = 0; column < NR_PRICE_COLUMNS; column++)
			profile.price[step].cycles[column] = 1;
	for (int round = 0; round < 2000; round++) {
		struct path_count paths[6][2];
		struct comparison c;
		struct xfd_error err = {0};
		struct run runs[6];

		for (int i = 0; i < 6; i++)
			fabricate(&runs[i], paths[i], policy_at((size_t)i)->name,
				  splitmix(&seed) % 50, 1 + splitmix(&seed) % 50);
		assert_int_equal(compare_runs(runs, 6, &profile, &c, &err), 0);
		assert_true(c.nr_segments >= 1);
		assert_true(c.segments[0].from == 0);
		for (int sample = 0; sample < 40; sample++) {
			/* Between the sampled points no line of integers up to 50 hides. */
			double x = (double)sample * sample / 16 + 0.001;
			size_t at = 0;
			double got, best = 1e300;

			while (at + 1 < c.nr_segments &&
			       c.segments[at + 1].from <= x * c.writes_per_exit)
				at++;
			for (size_t i = 0; i < c.nr; i++) {
				double y = (double)c.rows[i].other_cycles +
					   x * (double)c.rows[i].write_cycles;

				best = y < best ? y : best;
			}
			got = (double)c.rows[c.segments[at].row].other_cycles +
			      x * (double)c.rows[c.segments[at].row].write_cycles;
			assert_true(got <= best * (1 + 1e-12));
		}
		for (size_t i = 1; i < c.nr; i++)
			assert_true(c.rows[i - 1].overhead_cycles[PRICE_TYPICAL] <=
				    c.rows[i].overhead_cycles[PRICE_TYPICAL]);
		comparison_release(&c);
	}
}

/* w/e above which a direct write and a sync per exit beat a trap per write: C / (A - B). */
static void always_intercept_and_passthrough_cross_at_sync_over_trap(void **state)
{
	struct path_count paths[2][2];
	struct cost_profile *spr;
	struct xfd_error err = {0};
	struct comparison c;
	struct run runs[2];
	uint64_t trap, direct, sync;

	(void)state;
	assert_int_equal(profile_load("spr", &spr, &err), 0);
	trap = 1760;
	direct = spr->price[STEP_guest_wrmsr_xfd].cycles[PRICE_TYPICAL];
	sync = spr->price[STEP_xfd_sync].cycles[PRICE_TYPICAL];

	fabricate(&runs[0], paths[0], "passthrough", 10, 200);
	paths[0][1].steps = (struct step_log){2, {STEP_exit_post, STEP_xfd_sync}};
	runs[0].ledger.step_count[STEP_xfd_sync] = 200;
	fabricate(&runs[1], paths[1], "always-intercept", 10, 200);
	paths[1][0].steps = (struct step_log){8,
					      {STEP_vmexit, STEP_vmx_asm, STEP_exit_post,
					       STEP_handler, STEP_msr_emulate, STEP_host_wrmsr_xfd,
					       STEP_entry_prep, STEP_vmentry}};
	assert_int_equal(compare_runs(runs, 2, spr, &c, &err), 0);
	assert_int_equal(c.nr_segments, 2);
	assert_string_equal(c.rows[c.segments[0].row].run->policy, "always-intercept");
	assert_true(c.segments[1].from > 0.999999 * (double)sync / (double)(trap - direct));
	assert_true(c.segments[1].from < 1.000001 * (double)sync / (double)(trap - direct));
	comparison_release(&c);
	profile_free(spr);
}

static void percentages_use_each_clock_for_its_own_cycles(void **state)
{
	(void)state;
	/* 22 M cycles at 2.2 GHz are 10 ms; 1 G cycles at 1 GHz are 1 s. */
	assert_true(compare_percent(22000000, 2200000, 1000000000, 1000000) > 0.99999);
	assert_true(compare_percent(22000000, 2200000, 1000000000, 1000000) < 1.00001);
	assert_int_equal(compare_per_second(22000000, 500000000, 1000000), 44000000);
	assert_true(compare_percent(1, 1, 0, 1) == 0);
	assert_int_equal(compare_per_second(1, 0, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_that_only_boots_is_priced_under_every_policy),
		cmocka_unit_test(an_intercepted_write_prices_at_1760_on_sapphire_rapids),
		cmocka_unit_test(the_identities_of_the_accounting_hold),
		cmocka_unit_test(many_runs_in_one_pass_are_the_runs_one_by_one),
		cmocka_unit_test(an_impossible_event_is_refused_with_its_line),
		cmocka_unit_test(guest_time_may_not_pass_2_to_the_63),
		cmocka_unit_test(the_break_even_is_the_lower_envelope_of_the_lines),
		cmocka_unit_test(always_intercept_and_passthrough_cross_at_sync_over_trap),
		cmocka_unit_test(percentages_use_each_clock_for_its_own_cycles),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
