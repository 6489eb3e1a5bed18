/* SPDX-License-Identifier: MIT */
/*
 * Stored runs read back: equal to what was stored, grouped as the view groups them, and priced
 * in C as the views price them, under any profile.
 */
#include "tests/xt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim/compare.h"
#include "sim/engine.h"
#include "sim/latency.h"
#include "sim/results.h"

static char db_path[64];
static const char *const kernels[] = {"v1", "v6.19"};

static const char trace_text[] =
	"xfs 1\nvcpus 2\npcpus 2\nprovenance {\"mode\":\"synthetic\"}\n"
	"+5 wrxfd 0x40000\n+5 xsetbv\n+9 v1 wrxfd 0x40000\n+9 v1 xsetbv\n"
	"+700 amx\n+10 rderr\n+10 wrerr 0\n+10 wrxfd 0\n+5 amx\n"
	"+900 exit external-interrupt\n+50 exit fastpath\n+50 exit userspace\n"
	"+80 wrxfd 0x40000\n+1 tilerelease\n+800 hlt 9000000\n+9000000 wake\n"
	"+70 wrxfd 0\n+900 preempt A\n+4000 resume\n+60 wrxfd 0x40000\n"
	"+900 v1 exit cpuid\n+70 v1 wrxfd 0\n+5 v1 wrxfd 0x40000\n";

static void check(int ret, const struct xfd_error *err)
{
	if (ret)
		fail_msg("%s: %s", err->source, err->text);
}

/* Every policy on two kernels into a new database. */
static int make_database(void **state)
{
	char path[] = "/tmp/xfdsim-results-XXXXXX";
	struct engine_options options[32];
	struct engine_trace trace = {0};
	struct xfd_error err = {0};
	struct run runs[32] = {0};
	const struct xfd_policy *policy;
	struct store *store;
	size_t nr = 0;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, trace_text, strlen(trace_text)), strlen(trace_text));
	close(fd);
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; (policy = policy_at(i)); i++) {
			engine_default_options(&options[nr]);
			options[nr].kernel = kernel_find(kernels[k]);
			options[nr++].policy = policy;
		}
	check(engine_replay(path, options, nr, runs, &trace, NULL, NULL, &err), &err);
	unlink(path);
	snprintf(db_path, sizeof(db_path), "/tmp/xfdsim-results-%d.db", (int)getpid());
	unlink(db_path);
	check(store_open(db_path, &store, &err), &err);
	for (size_t i = 0; i < nr; i++) {
		check(store_run(store, &runs[i], &trace.info, "guest.xfs", NULL, NULL, &err), &err);
		engine_release_run(&runs[i]);
	}
	store_close(store);
	engine_release_trace(&trace);
	return 0;
}

static int drop_database(void **state)
{
	(void)state;
	return unlink(db_path);
}

static struct store *open_database(bool writable)
{
	struct xfd_error err = {0};
	struct store *store;

	check(writable ? store_open(db_path, &store, &err)
		       : store_open_existing(db_path, &store, &err),
	      &err);
	return store;
}

static struct results load(struct store *store, const struct result_filter *filter)
{
	struct xfd_error err = {0};
	struct results results;

	check(results_load(store, filter, &results, &err), &err);
	return results;
}

static int64_t ask(struct store *store, const char *sql, int64_t a, int64_t b, const char *text)
{
	sqlite3_stmt *stmt;
	int64_t value;

	assert_int_equal(sqlite3_prepare_v2(store_db(store), sql, -1, &stmt, NULL), SQLITE_OK);
	sqlite3_bind_int64(stmt, 1, a);
	sqlite3_bind_int64(stmt, 2, b);
	if (text)
		sqlite3_bind_text(stmt, 3, text, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static void runs_come_back_in_groups(void **state)
{
	struct store *store = open_database(false);
	struct results results = load(store, NULL);
	size_t nr_policies = 0;

	(void)state;
	while (policy_at(nr_policies))
		nr_policies++;
	assert_int_equal(results.nr_groups, 2);
	for (size_t g = 0; g < 2; g++) {
		const struct result_group *group = &results.groups[g];

		assert_string_equal(group->kernel, kernels[g]);
		assert_string_equal(group->mode, "synthetic");
		assert_int_equal(group->nr_vcpus, 2);
		assert_int_equal(group->nr, nr_policies);
		for (size_t i = 0; i < group->nr; i++) {
			const struct ledger *ledger = &group->runs[i].ledger;
			uint64_t from_paths[NR_STEPS] = {0};

			assert_string_equal(group->runs[i].policy, policy_at(i)->name);
			/* Σ over paths is the step counts, but for time, which no path counts. */
			for (size_t p = 0; p < ledger->nr_paths; p++)
				for (int s = 0; s < ledger->paths[p].steps.nr; s++)
					from_paths[ledger->paths[p].steps.step[s]] +=
						ledger->paths[p].count;
			assert_memory_equal(from_paths, ledger->step_count,
					    NR_PRICED_STEPS * sizeof(from_paths[0]));
			assert_true(ledger->step_count[STEP_guest_run] > 0);
		}
	}
	results_release(&results);
	store_close(store);
}

static void filters_select(void **state)
{
	static const char *const name[] = {"guest.xfs"}, *const none[] = {"other.xfs"};
	struct store *store = open_database(false);
	struct results results = load(store, NULL);
	struct result_filter filter = {.traces = name, .nr_traces = 1, .kernel = "v1"};
	struct xfd_error err = {0};
	char digits[9];
	const char *hash[] = {digits};
	int64_t last = results.groups[1].run_ids[2];

	(void)state;
	snprintf(digits, sizeof(digits), "%.8s", results.groups[0].hash);
	results_release(&results);
	results = load(store, &filter);
	assert_int_equal(results.nr_groups, 1);
	results_release(&results);
	results = load(store, &(struct result_filter){.traces = hash, .nr_traces = 1});
	assert_int_equal(results.nr_groups, 2);
	results_release(&results);
	results = load(store, &(struct result_filter){.run_id = last});
	assert_int_equal(results.nr_groups, 1);
	assert_int_equal(results.groups[0].nr, 1);
	assert_int_equal(results.groups[0].run_ids[0], last);
	results_release(&results);
	filter.traces = none;
	assert_true(results_load(store, &filter, &results, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	store_close(store);
}

/* A price list whose prices have nothing to do with each other. */
static struct cost_profile *random_profile(unsigned int seed)
{
	struct xfd_error err = {0};
	struct cost_profile *profile;
	uint64_t x = seed;

	check(profile_load("spr", &profile, &err), &err);
	snprintf(profile->name, strlen(profile->name) + 1, "r%u", seed % 10);
	for (enum step step = 0; step < NR_PRICED_STEPS; step++)
		for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++) {
			x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
			profile->price[step].cycles[column] =
				(column ? profile->price[step].cycles[column - 1] : 0) +
				(x >> 33) % 100000;
		}
	return profile;
}

static void check_latency(struct store *store, const struct run *run, int64_t run_id,
			  const struct cost_profile *profile, int64_t profile_id)
{
	static const char sql[] =
		"WITH d AS (SELECT cycles, sum(count) OVER (ORDER BY cycles) AS upto,"
		" sum(count) OVER () AS n FROM path_cycles WHERE run_id = ?1 AND profile_id = ?2"
		" AND event = ?3)"
		" SELECT min(cycles) FROM d WHERE 1000 * upto >= 900 * n";
	struct xfd_error err = {0};
	struct latency latency;

	check(latency_run(run, profile, PRICE_TYPICAL, LATENCY_XFD_WRITE, &latency, &err), &err);
	assert_int_equal(latency_quantile(&latency, 900),
			 ask(store, sql, run_id, profile_id, "wrxfd"));
	latency_release(&latency);
}

static void check_profile(struct store *store, const struct cost_profile *profile)
{
	static const char *const columns[] = {"overhead_low_cycles", "overhead_cycles",
					      "overhead_high_cycles"};
	struct results results = load(store, NULL);
	struct xfd_error err = {0};
	int64_t profile_id;

	check(store_profile(store, profile, &profile_id, &err), &err);
	for (size_t g = 0; g < results.nr_groups; g++)
		for (size_t i = 0; i < results.groups[g].nr; i++) {
			const struct run *run = &results.groups[g].runs[i];
			int64_t run_id = results.groups[g].run_ids[i];

			for (enum price_column column = 0; column < NR_PRICE_COLUMNS; column++) {
				uint64_t cycles;
				char sql[160];

				snprintf(sql, sizeof(sql),
					 "SELECT %s FROM run_cycles WHERE run_id = ?1 AND "
					 "profile_id = ?2",
					 columns[column]);
				assert_int_equal(profile_price(profile, column,
							       run->ledger.step_count, &cycles),
						 0);
				assert_int_equal(cycles, ask(store, sql, run_id, profile_id, NULL));
			}
			check_latency(store, run, run_id, profile, profile_id);
		}
	results_release(&results);
}

static void views_price_as_c_does(void **state)
{
	struct store *store = open_database(true);

	(void)state;
	for (size_t i = 0; profile_builtin_name(i); i++) {
		struct xfd_error err = {0};
		struct cost_profile *profile;

		check(profile_load(profile_builtin_name(i), &profile, &err), &err);
		check_profile(store, profile);
		profile_free(profile);
	}
	for (unsigned int seed = 0; seed < 10; seed++) {
		struct cost_profile *profile = random_profile(seed);

		check_profile(store, profile);
		profile_free(profile);
	}
	store_close(store);
}

/* The ranking too: rank() of the view is the order of compare_runs(). */
static void views_rank_as_c_does(void **state)
{
	struct store *store = open_database(true);
	struct results results = load(store, NULL);
	struct xfd_error err = {0};
	struct cost_profile *profile;
	int64_t profile_id;

	(void)state;
	check(profile_load("gnr", &profile, &err), &err);
	check(store_profile(store, profile, &profile_id, &err), &err);
	for (size_t g = 0; g < results.nr_groups; g++) {
		const struct result_group *group = &results.groups[g];
		struct comparison c;

		check(compare_runs(group->runs, group->nr, profile, &c, &err), &err);
		for (size_t i = 0; i < c.nr; i++) {
			size_t at = (size_t)(c.rows[i].run - group->runs), rank = i;

			while (rank && c.rows[rank - 1].overhead_cycles[PRICE_TYPICAL] ==
					       c.rows[i].overhead_cycles[PRICE_TYPICAL])
				rank--;
			assert_int_equal(rank + 1,
					 ask(store,
					     "SELECT rank FROM comparison WHERE run_id = ?1 AND "
					     "profile_id = ?2",
					     group->run_ids[at], profile_id, NULL));
		}
		comparison_release(&c);
	}
	profile_free(profile);
	results_release(&results);
	store_close(store);
}

/* A name that this program does not know is refused, with the run and the name. */
static void what_is_unknown_is_named(void **state)
{
	static const char *const edits[][2] = {
		{"UPDATE step_counts SET step = 'warp' WHERE run_id = 1 AND step = 'vmexit'",
		 "warp"},
		{"UPDATE path_counts SET event = 'jump' WHERE run_id = 1 AND ordinal = 0", "jump"},
		{"UPDATE path_counts SET steps = 'vmexit  handler' WHERE run_id = 1 AND ordinal = "
		 "0",
		 "\"\""},
		{"UPDATE exit_counts SET reason = 'whim' WHERE run_id = 1 AND reason = 'xsetbv'",
		 "whim"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct xfd_error err = {0};
		struct results results;
		struct store *store;

		make_database(state);
		store = open_database(true);
		assert_int_equal(sqlite3_exec(store_db(store), edits[i][0], NULL, NULL, NULL),
				 SQLITE_OK);
		assert_int_equal(sqlite3_changes(store_db(store)), 1);
		assert_true(results_load(store, NULL, &results, &err) < 0);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		if (!strstr(err.text, edits[i][1]) || !strstr(err.text, "run 1 "))
			fail_msg("wanted \"%s\" in \"%s\"", edits[i][1], err.text);
		store_close(store);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_come_back_in_groups), cmocka_unit_test(filters_select),
		cmocka_unit_test(views_price_as_c_does),    cmocka_unit_test(views_rank_as_c_does),
		cmocka_unit_test(what_is_unknown_is_named),
	};

	return cmocka_run_group_tests(tests, make_database, drop_database);
}
