/* SPDX-License-Identifier: MIT */
/*
 * The checker: first that it finds what was planted, then that it is quiet where it should
 * be, then that reductions, threads and packing change nothing.
 */
#include "tests/xt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/moves.h"
#include "sim/scenario.h"

static struct explore_result result;

static void explore_setup(const struct scenario_setup *setup, uint32_t beyond, unsigned int threads,
			  struct explore_result *r)
{
	const struct explore_options options = {
		.world = setup->config,
		.memory_bytes = UINT64_C(1) << 30,
		.nr_threads = threads,
		.beyond = beyond,
	};
	struct xfd_error err = {0};

	if (explore(&options, r, NULL, NULL, &err))
		fail_msg("%s", err.text);
}

static void setup_init(struct scenario_setup *setup, const char *kernel, const char *policy,
		       const char *bug, uint32_t vcpus, uint32_t pcpus)
{
	assert_non_null(kernel_find(kernel));
	assert_non_null(policy_find(policy));
	scenario_setup_init(setup, kernel_find(kernel), policy_find(policy));
	setup->config.nr_vcpus = vcpus;
	setup->config.nr_pcpus = pcpus;
	setup->config.kinds = (UINT32_C(1) << NR_ACTION_KINDS) - 1;
	if (bug)
		assert_int_equal(scenario_plant(setup, bug), 0);
}

static uint32_t broken_of(const struct explore_result *r)
{
	uint32_t broken = 0;

	for (int i = 0; i < NR_INVARIANTS; i++)
		broken |= (uint32_t)r->violations[i].found << i;
	return broken;
}

/* Write it as a scenario, run that, and demand that every expectation is met. */
static void replay_as_scenario(const struct scenario_setup *setup, int invariant,
			       const struct explore_violation *v)
{
	char path[] = "/tmp/xfdsim-check-XXXXXX", why[SCENARIO_TEXT_LEN], id[8];
	struct xfd_error err = {0};
	int fd = mkstemp(path);
	char text[65536];
	bool passed;
	size_t len;
	FILE *file;

	assert_true(fd >= 0);
	file = fdopen(fd, "w+");
	scenario_write(file, setup, invariant, v);
	rewind(file);
	len = fread(text, 1, sizeof(text) - 1, file);
	text[len] = '\0';
	fclose(file);
	if (scenario_run(path, &passed, why, &err))
		fail_msg("%s: %s\n%s", path, err.text, text);
	unlink(path);
	assert_string_equal(why, "");
	assert_true(passed);
	snprintf(id, sizeof(id), " I%d", invariant_info((size_t)invariant)->id);
	assert_non_null(strstr(strstr(text, "expect broken"), id));
}

static void each_planted_bug_breaks_its_invariant(void **state)
{
	const struct kernel_bug *bug;
	uint32_t seen = 0;

	(void)state;
	for (size_t b = 0; (bug = kernel_bug_at(b)); b++) {
		struct scenario_setup setup;

		setup_init(&setup, "fixed", "first-nonzero", bug->name, 1,
			   strcmp(bug->name, "hotplug_stale_cache") ? 1 : 2);
		explore_setup(&setup, 6, 2, &result);
		if (!result.violations[bug->breaks].found)
			fail_msg("%s does not break %s", bug->name,
				 invariant_info((size_t)bug->breaks)->name);
		seen |= broken_of(&result);
		for (int i = 0; i < NR_INVARIANTS; i++)
			if (result.violations[i].found)
				replay_as_scenario(&setup, i, &result.violations[i]);
	}
	assert_int_equal(seen, (UINT32_C(1) << NR_INVARIANTS) - 1);
}

/* What check --inject adds to a shorter --events is enough, at the default bounds. */
static void each_planted_bug_shows_in_the_events_it_names(void **state)
{
	const struct kernel_bug *bug;

	(void)state;
	for (size_t b = 0; (bug = kernel_bug_at(b)); b++) {
		struct scenario_setup setup;

		setup_init(&setup, "fixed", "first-nonzero", bug->name, 2, 2);
		setup.config.kinds = action_groups(bug->events) | action_groups("path");
		explore_setup(&setup, 6, 2, &result);
		if (!result.violations[bug->breaks].found)
			fail_msg("%s does not show in %s", bug->name, bug->events);
	}
}

/* Move a world by actions that it must allow. */
static void act_all(struct world *world, const struct action *actions, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		struct step_log log = {0};

		if (action_refused(&world->machine, actions[i]))
			fail_msg("action %zu: %s", i, action_refused(&world->machine, actions[i]));
		assert_int_equal(world_act(world, actions[i], &log), MACHINE_OK);
	}
}

/* User tasks are frozen first: vCPUs have left KVM_RUN, and signals have been delivered. */
static void suspend_waits_for_the_freezer(void **state)
{
	static const struct action enter[] = {{ACTION_run, 0, 0}, {ACTION_run, 0, 0}},
				   leave_cpu[] = {{ACTION_exit, 0, 0},
						  {ACTION_switch, 0, ACTION_NOBODY}},
				   return_to_user[] = {{ACTION_switch, 0, 0},
						       {ACTION_interrupt, 0, 0},
						       {ACTION_switch, 0, ACTION_NOBODY}},
				   begin_signal[] = {{ACTION_switch, 0, HOST_MAX_VCPUS},
						     {ACTION_signal, 0, 0},
						     {ACTION_switch, 0, ACTION_NOBODY}},
				   end_signal[] = {{ACTION_switch, 0, HOST_MAX_VCPUS},
						   {ACTION_signal_done, 0, 0},
						   {ACTION_switch, 0, ACTION_NOBODY}};
	const struct action suspend = {ACTION_suspend, 0, 0};
	struct scenario_setup setup;
	struct world world;

#define ACT(actions) act_all(&world, actions, sizeof(actions) / sizeof((actions)[0]))
	(void)state;
	setup_init(&setup, "fixed", "first-nonzero", NULL, 1, 1);
	setup.config.kinds = world_default_kinds();
	world_init(&world, &setup.config);
	ACT(enter);
	ACT(leave_cpu);
	assert_non_null(action_refused(&world.machine, suspend));
	ACT(return_to_user);
	assert_null(action_refused(&world.machine, suspend));
	ACT(begin_signal);
	assert_non_null(action_refused(&world.machine, suspend));
	ACT(end_signal);
	assert_null(action_refused(&world.machine, suspend));
#undef ACT
}

static void the_fixed_kernel_holds_under_every_policy(void **state)
{
	const struct xfd_policy *policy;

	(void)state;
	for (size_t p = 0; (policy = policy_at(p)); p++) {
		struct scenario_setup setup;

		setup_init(&setup, "fixed", policy->name, NULL, 1, 2);
		explore_setup(&setup, 0, 2, &result);
		assert_int_equal(result.end, EXPLORE_COMPLETE);
		assert_int_equal(broken_of(&result), 0);
		assert_true(result.nr_states > 10000);
	}
}

static void two_vcpus_on_one_cpu_hold(void **state)
{
	struct scenario_setup setup;

	(void)state;
	setup_init(&setup, "fixed", "first-nonzero", NULL, 2, 1);
	setup.config.kinds = world_default_kinds();
	explore_setup(&setup, 0, 2, &result);
	assert_int_equal(result.end, EXPLORE_COMPLETE);
	assert_int_equal(broken_of(&result), 0);
}

/*
 * A bug of history alone: the variant `fixed` without that one fix. Depths are the reference's
 * own count of events where it has one; entering the guest first costs two actions (`run`)
 * that the reference does not count.
 */
static void known_bugs_are_found_no_later_than_minimal(void **state)
{
	static const struct {
		const char *bug;
		enum invariant breaks;
		uint32_t at_most;
	} rows[] = {
		{"hotplug_stale_cache", INV_NO_HOST_NM, 4}, /* B1, CVE-2024-35801 */
		{"write_keeps_bv", INV_NO_HOST_NM, 5 + 2},  /* B2a */
		{"xsave_keeps_bv", INV_NO_HOST_NM, 3},      /* B2b */
		{"ts_reads_err", INV_ERR_EXACT, 4},         /* B3 */
		{"signal_stale_xfd", INV_ACTIVE_XFD, 5},    /* B5: the switch to T is one of them */
		{"perm_drops_bits", INV_PERM, 1},           /* B7 */
		{"ioctl_keeps_bv", INV_NO_HOST_NM, 3},      /* R1 */
		{"write_under_foreign_regs", INV_ACTIVE_XFD, 7}, /* R2 */
		{"resume_stale_cache", INV_NO_HOST_NM, 5},       /* R4 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scenario_setup setup;

		setup_init(&setup, "fixed", "first-nonzero", rows[i].bug, 1, 2);
		explore_setup(&setup, 6, 2, &result);
		assert_true(result.violations[rows[i].breaks].found);
		if (result.violations[rows[i].breaks].nr > rows[i].at_most)
			fail_msg("%s: depth %u", rows[i].bug, result.violations[rows[i].breaks].nr);
	}
}

/* What each release fixed is gone in it, and was there before. */
static void variants_differ_as_history_says(void **state)
{
	static const struct {
		const char *kernel;
		uint32_t events; /* enough for this bug and no other */
		enum invariant invariant;
		bool broken;
	} rows[] = {
#define KIND(x) (UINT32_C(1) << ACTION_##x)
#define HOTPLUG (KIND(run) | KIND(switch) | KIND(offline) | KIND(online))
#define SIGNAL  (KIND(switch) | KIND(signal) | KIND(signal_done))
#define WRITE   (KIND(run) | KIND(wrxfd) | KIND(amx) | KIND(kernel_fpu))
		{"v5.17", HOTPLUG, INV_NO_HOST_NM, true},
		{"v6.9", HOTPLUG, INV_NO_HOST_NM, false},
		{"v6.9", SIGNAL, INV_ACTIVE_XFD, true},
		{"v6.19", SIGNAL, INV_ACTIVE_XFD, false},
		{"v5.17", WRITE, INV_NO_HOST_NM, true},
		{"v6.9", WRITE, INV_NO_HOST_NM, true},
		{"v6.19", WRITE, INV_NO_HOST_NM, false},
		{"v6.9", KIND(run) | KIND(set_xfd) | KIND(tsfault), INV_ERR_EXACT, true},
		{"v6.19", KIND(run) | KIND(set_xfd) | KIND(tsfault), INV_ERR_EXACT, false},
		{"v5.17", KIND(req_perm), INV_PERM, true},
		{"v6.9", KIND(req_perm), INV_PERM, false},
		/* The windows that upstream has not closed. */
		{"v6.19", KIND(run) | KIND(set_xsave) | KIND(set_xfd), INV_NO_HOST_NM, true},
		{"fixed", KIND(run) | KIND(set_xsave) | KIND(set_xfd), INV_NO_HOST_NM, false},
		{"v6.19", KIND(run) | KIND(switch) | KIND(wrxfd), INV_ACTIVE_XFD, true},
		{"fixed", KIND(run) | KIND(switch) | KIND(wrxfd), INV_ACTIVE_XFD, false},
		{"v6.19", KIND(switch) | KIND(offline) | KIND(suspend), INV_NO_HOST_NM, true},
		{"fixed", KIND(switch) | KIND(offline) | KIND(suspend), INV_NO_HOST_NM, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scenario_setup setup;

		setup_init(&setup, rows[i].kernel, "first-nonzero", NULL, 1, 2);
		setup.config.kinds = rows[i].events;
		explore_setup(&setup, UINT32_MAX, 1, &result);
		assert_int_equal(result.end, EXPLORE_COMPLETE);
		if (result.violations[rows[i].invariant].found != rows[i].broken)
			fail_msg("row %zu, kernel %s", i, rows[i].kernel);
	}
}

/*
 * v1, an allocation that fails and a VMM that comes back: the patch's three options. Of what the
 * guest does alone, I8 breaks too: that series leaves XFD_ERR in the MSR.
 */
static void only_option_one_passes_through_with_a_small_buffer(void **state)
{
	static const struct {
		const char *policy;
		bool broken;
	} rows[] = {
		{"first-enable", true},   {"recheck-on-resume", false}, {"second-enable", false},
		{"first-nonzero", false}, {"always-intercept", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scenario_setup setup;

		setup_init(&setup, "v1", rows[i].policy, NULL, 1, 1);
		explore_setup(&setup, UINT32_MAX, 2, &result);
		assert_int_equal(result.end, EXPLORE_COMPLETE);
		assert_int_equal(result.violations[INV_PASS_SIZED].found, rows[i].broken);
		assert_false(result.violations[INV_BUFFER].found);
		setup.config.nr_vcpus = setup.config.nr_pcpus = 2;
		setup.config.kinds = action_groups("guest,path,alloc");
		explore_setup(&setup, UINT32_MAX, 2, &result);
		assert_int_equal(result.end, EXPLORE_COMPLETE);
		assert_int_equal(broken_of(&result),
				 1u << INV_ERR_ZERO | (uint32_t)rows[i].broken << INV_PASS_SIZED);
	}
}

static void the_buffer_overruns_where_xfeatures_lies(void **state)
{
	struct scenario_setup setup;

	(void)state;
	setup_init(&setup, "v1", "first-enable", "lying_size", 1, 1);
	explore_setup(&setup, 6, 1, &result);
	assert_true(result.violations[INV_BUFFER].found);
}

static void same_verdicts(const struct explore_result *a, const struct explore_result *b,
			  bool same_paths)
{
	for (int i = 0; i < NR_INVARIANTS; i++) {
		assert_int_equal(a->violations[i].found, b->violations[i].found);
		assert_int_equal(a->violations[i].nr, b->violations[i].nr);
		if (same_paths)
			assert_memory_equal(a->violations[i].path, b->violations[i].path,
					    a->violations[i].nr * sizeof(struct action));
	}
}

static void symmetry_changes_no_verdict_and_no_length(void **state)
{
	static const struct {
		const char *kernel, *policy, *bug;
		uint32_t vcpus, pcpus;
	} rows[] = {
		{"fixed", "first-nonzero", NULL, 1, 2},
		{"fixed", "first-nonzero", "owner_only", 1, 2},
		{"fixed", "adaptive", "dirty_restore", 1, 2},
		{"v5.17", "first-nonzero", NULL, 2, 2},
		{"v6.19", "second-enable", NULL, 2, 2},
		{"v1", "first-enable", NULL, 2, 1},
	};
	static struct explore_result reduced;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct scenario_setup setup;

		setup_init(&setup, rows[i].kernel, rows[i].policy, rows[i].bug, rows[i].vcpus,
			   rows[i].pcpus);
		explore_setup(&setup, 4, 2, &reduced);
		setup.config.symmetry = false;
		explore_setup(&setup, 4, 2, &result);
		same_verdicts(&reduced, &result, false);
		assert_int_equal(reduced.depth, result.depth);
		assert_true(reduced.nr_states < result.nr_states);
	}
}

static void threads_change_nothing(void **state)
{
	static struct explore_result one;
	struct scenario_setup setup;

	(void)state;
	setup_init(&setup, "v6.19", "first-nonzero", NULL, 2, 2);
	explore_setup(&setup, 5, 1, &one);
	for (unsigned int threads = 2; threads < 6; threads++) {
		explore_setup(&setup, 5, threads, &result);
		assert_int_equal(one.nr_states, result.nr_states);
		assert_int_equal(one.nr_transitions, result.nr_transitions);
		same_verdicts(&one, &result, true);
	}
}

/*
 * Packing forgets what nothing can tell apart. So a world and its packed and unpacked twin
 * must offer the same actions, and each must break the same and lead to worlds that pack alike.
 */
static void packing_forgets_nothing_that_matters(void **state)
{
	static const char *const kernels[] = {"v1", "v5.17", "v6.19", "fixed"};
	static const char *const bugs[] = {
		NULL, "owner_only", "preempt_no_save", "dirty_restore", "no_sync", "put_missing"};
	static struct world_plan plan;
	uint64_t random = 88172645463325252u;

	(void)state;
	for (size_t row = 0; row < 24; row++) {
		struct world world, twin, a, b;
		struct scenario_setup setup;

		setup_init(&setup, kernels[row % 4], row & 1 ? "first-nonzero" : "adaptive",
			   bugs[row / 4], 2, 2);
		setup.config.symmetry = false;
		world_plan_init(&plan, &setup.config);
		world_init(&world, &setup.config);
		world_init(&twin, &setup.config);
		for (int step = 0; step < 3000; step++) {
			struct action actions[ACTION_MAX_ENABLED], others[ACTION_MAX_ENABLED];
			struct packed packed, pa, pb;
			size_t nr, chosen;

			assert_true(world_pack(&world, &plan, &packed));
			world_unpack(&twin, &plan, packed.w);
			nr = action_enabled(&world.machine, setup.config.kinds, actions);
			chosen = action_enabled(&twin.machine, setup.config.kinds, others);
			/* C6 may be offered for tiles that nobody can reach; it changes nothing. */
			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			assert_true(chosen <= nr);
			chosen = random % nr;
			for (size_t i = 0; i < nr; i++) {
				struct step_log la = {0}, lb = {0};
				enum machine_status sa, sb;

				if (action_refused(&twin.machine, actions[i])) {
					assert_int_equal(actions[i].kind, ACTION_idle);
					continue;
				}
				world_copy(&a, &world);
				world_copy(&b, &twin);
				sa = world_act(&a, actions[i], &la);
				sb = world_act(&b, actions[i], &lb);
				assert_int_equal(sa, sb);
				assert_int_equal(a.host.broken, b.host.broken);
				if (sa != MACHINE_OK)
					continue;
				assert_true(world_pack(&a, &plan, &pa));
				assert_true(world_pack(&b, &plan, &pb));
				if (memcmp(pa.w, pb.w, plan.nr_words * sizeof(uint64_t))) {
					char text[SCENARIO_TEXT_LEN];

					fail_msg("row %zu, step %d: %s", row, step,
						 scenario_action_text(&setup.config, actions[i],
								      text));
				}
			}
			world_copy(&a, &world);
			{
				struct step_log log = {0};

				if (world_act(&a, actions[chosen], &log) == MACHINE_OK)
					world_copy(&world, &a);
				else
					world_init(&world, &setup.config);
			}
		}
	}
}

/* A move with its run; sorted as action_enabled() has them. */
struct choice {
	const struct moves_run *run;
	const struct move *move;
};

static int order_of(const struct choice *choice)
{
	const struct action *a = &choice->move->action;

	return a->kind << 16 | a->id << 8 | a->arg;
}

static int compare_choices(const void *a, const void *b)
{
	return order_of(a) - order_of(b);
}

static size_t list_choices(struct moves *moves, const struct world_parts *parts,
			   struct moves_run runs[MOVES_MAX_RUNS],
			   struct choice choices[ACTION_MAX_ENABLED])
{
	int nr_runs = moves_list(moves, parts, runs);
	size_t nr = 0;

	assert_true(nr_runs >= 0);
	for (int r = 0; r < nr_runs; r++)
		for (size_t i = 0; i < runs[r].nr; i++) {
			assert_true(nr < ACTION_MAX_ENABLED);
			choices[nr++] = (struct choice){&runs[r], runs[r].first + i};
		}
	qsort(choices, nr, sizeof(*choices), compare_choices);
	return nr;
}

/* A kept move gives the world, and breaks the invariants, that the models give. */
static void moves_say_what_the_models_say(void **state)
{
	static const struct {
		const char *kernel, *groups; /* few groups meet often what depends on others */
	} rows[] = {
		{"v1", NULL},
		{"v5.17", NULL},
		{"v6.19", NULL},
		{"fixed", NULL},
		{"fixed", "path,user,sched,signal,hotplug,suspend"},
		{"v6.19", "sched,hotplug,suspend,vcpu"},
	};
	static struct world_plan plan;
	uint64_t random = 88172645463325252u;

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		uint32_t nr_suspends = 0;
		struct scenario_setup setup;
		struct world world, next;
		struct moves *moves;

		setup_init(&setup, rows[row].kernel, "adaptive", NULL, 2, 2);
		if (rows[row].groups)
			setup.config.kinds = action_groups(rows[row].groups);
		world_plan_init(&plan, &setup.config);
		moves = moves_new(&plan);
		assert_non_null(moves);
		world_init(&world, &setup.config);
		for (int step = 0; step < 5000; step++) {
			struct action actions[ACTION_MAX_ENABLED];
			struct choice choices[ACTION_MAX_ENABLED];
			struct moves_run runs[MOVES_MAX_RUNS];
			struct world_parts parts;
			struct packed packed, other;
			size_t nr, chosen;

			assert_true(world_pack(&world, &plan, &packed));
			world_unpack(&world, &plan, packed.w);
			world_unpack_parts(&parts, &plan, packed.w);
			nr = action_enabled(&world.machine, setup.config.kinds, actions);
			assert_int_equal(list_choices(moves, &parts, runs, choices), nr);
			random = random * 6364136223846793005u + 1442695040888963407u;
			chosen = (random >> 33) % nr;
			for (size_t i = 0; i < nr; i++) {
				struct step_log log = {0};
				enum machine_status status;

				nr_suspends += actions[i].kind == ACTION_suspend;
				world_copy(&next, &world);
				status = world_act(&next, actions[i], &log);
				assert_memory_equal(&choices[i].move->action, &actions[i],
						    sizeof(actions[i]));
				assert_int_equal(choices[i].move->dead, status != MACHINE_OK);
				world.host.broken = 0;
				invariant_check(&world.machine);
				if (!world.host.broken)
					assert_int_equal(
						moves_broken(choices[i].run, choices[i].move),
						next.host.broken);
				if (status != MACHINE_OK)
					continue;
				moves_pack(&parts, &plan, choices[i].run, choices[i].move, &packed);
				assert_true(world_pack(&next, &plan, &other));
				assert_memory_equal(packed.w, other.w,
						    plan.nr_words * sizeof(uint64_t));
			}
			{
				struct step_log log = {0};

				if (world_act(&world, actions[chosen], &log) != MACHINE_OK)
					world_init(&world, &setup.config);
			}
		}
		if (rows[row].groups)
			assert_true(nr_suspends > 50);
		moves_free(moves);
	}
}

static void memory_is_a_bound_on_any_number_of_threads(void **state)
{
	static const unsigned int mib[] = {2, 16};
	static struct explore_result one;
	struct scenario_setup setup;
	struct explore_options options;
	struct xfd_error err = {0};

	(void)state;
	setup_init(&setup, "fixed", "first-nonzero", NULL, 2, 2);
	for (size_t i = 0; i < sizeof(mib) / sizeof(mib[0]); i++) {
		options = (struct explore_options){.world = setup.config,
						   .memory_bytes = (uint64_t)mib[i] << 20};
		for (options.nr_threads = 1; options.nr_threads <= 5; options.nr_threads += 2) {
			assert_int_equal(explore(&options, &result, NULL, NULL, &err), 0);
			assert_int_equal(result.end, EXPLORE_MEMORY);
			assert_true(result.bytes <= options.memory_bytes);
			assert_true(result.bytes > options.memory_bytes / 3);
			assert_true(result.depth > 3);
			assert_int_equal(broken_of(&result), 0);
			if (options.nr_threads == 1)
				one = result;
			assert_int_equal(result.nr_states, one.nr_states);
			assert_int_equal(result.nr_transitions, one.nr_transitions);
			assert_int_equal(result.depth, one.depth);
			assert_int_equal(result.bytes, one.bytes);
		}
	}
	options.memory_bytes = ((uint64_t)EXPLORE_MIN_MIB << 20) - 1;
	assert_true(explore(&options, &result, NULL, NULL, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_planted_bug_breaks_its_invariant),
		cmocka_unit_test(each_planted_bug_shows_in_the_events_it_names),
		cmocka_unit_test(suspend_waits_for_the_freezer),
		cmocka_unit_test(the_fixed_kernel_holds_under_every_policy),
		cmocka_unit_test(two_vcpus_on_one_cpu_hold),
		cmocka_unit_test(known_bugs_are_found_no_later_than_minimal),
		cmocka_unit_test(variants_differ_as_history_says),
		cmocka_unit_test(only_option_one_passes_through_with_a_small_buffer),
		cmocka_unit_test(the_buffer_overruns_where_xfeatures_lies),
		cmocka_unit_test(symmetry_changes_no_verdict_and_no_length),
		cmocka_unit_test(threads_change_nothing),
		cmocka_unit_test(packing_forgets_nothing_that_matters),
		cmocka_unit_test(moves_say_what_the_models_say),
		cmocka_unit_test(memory_is_a_bound_on_any_number_of_threads),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
