/* SPDX-License-Identifier: MIT */
/* The results database: whole runs or nothing, exact sums, one clear error for each trouble. */
#include "tests/xt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/store.h"

#define HASH_A  "00000000000000000000000000000aaa"
#define HASH_B  "00000000000000000000000000000bbb"
#define DB      "results.db"
#define OPTIONS "{\"halt_poll_us\":200}"

/* Every test works in an empty directory of its own. */
static char directory[64];

static int make_directory(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/xfdsim-store-XXXXXX");
	return mkdtemp(directory) && !chdir(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return chdir("/") || system(command) ? -1 : 0;
}

static struct store *open_ok(const char *path)
{
	struct store *store;
	struct xfd_error err = {0};

	if (store_open(path, &store, &err))
		fail_msg("%s: %s", err.source, err.text);
	return store;
}

static void open_fails(const char *path, enum xfd_error_kind kind, const char *text)
{
	struct store *store;
	struct xfd_error err = {0};

	assert_true(store_open(path, &store, &err) < 0);
	assert_null(store);
	if (err.kind != kind || !strstr(err.text, text))
		fail_msg("wanted \"%s\" (kind %d), got \"%s\" (kind %d)", text, (int)kind, err.text,
			 (int)err.kind);
}

/* The first column of the first row. */
static int64_t ask(struct store *store, const char *sql)
{
	sqlite3_stmt *stmt;
	int64_t value;

	if (sqlite3_prepare_v2(store_db(store), sql, -1, &stmt, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(store_db(store)));
	if (sqlite3_step(stmt) != SQLITE_ROW)
		fail_msg("%s: no row: %s", sql, sqlite3_errmsg(store_db(store)));
	value = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return value;
}

static void asks(struct store *store, const char *sql, const char *expected)
{
	sqlite3_stmt *stmt;
	const char *got;

	if (sqlite3_prepare_v2(store_db(store), sql, -1, &stmt, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(store_db(store)));
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	got = (const char *)sqlite3_column_text(stmt, 0);
	assert_string_equal(got ? got : "NULL", expected);
	sqlite3_finalize(stmt);
}

static void edit(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/*
 * A run to store: a light exit taken ten times, an intercepted write taken three times, and a
 * vCPU that has stopped beside one that runs.
 */
struct fixture {
	struct run run;
	struct trace_info trace;
	struct path_count paths[2];
	struct vcpu_final vcpus[2];
	char provenance[64];
};

static void add_path(struct ledger *ledger, struct path_count *path)
{
	for (int i = 0; i < path->steps.nr; i++)
		ledger->step_count[path->steps.step[i]] += path->count;
	ledger->exit_count[path->exit_reason] += path->count;
	ledger->nr_events += path->count;
	ledger->nr_paths++;
}

static void make_run(struct fixture *f, const char *policy)
{
	memset(f, 0, sizeof(*f));
	strcpy(f->provenance, "{\"mode\":\"synthetic\",\"seed\":1}");
	f->trace = (struct trace_info){
		.tsc_khz = 1100000,
		.nr_vcpus = 2,
		.nr_pcpus = 1,
		.provenance = f->provenance,
	};
	f->run = (struct run){
		.trace_hash = HASH_A,
		.policy = policy,
		.kernel = "v6.9",
		.options = OPTIONS,
		.duration_ns = 12345,
	};
	f->paths[0] = (struct path_count){
		.kind = EVENT_exit,
		.exit_reason = EXIT_CPUID,
		.steps = {6,
			  {STEP_vmexit, STEP_vmx_asm, STEP_exit_post, STEP_handler, STEP_entry_prep,
			   STEP_vmentry}},
		.count = 10,
	};
	f->paths[1] = (struct path_count){
		.kind = EVENT_wrxfd,
		.exit_reason = EXIT_MSR_WRITE,
		.steps = {8,
			  {STEP_vmexit, STEP_vmx_asm, STEP_exit_post, STEP_handler,
			   STEP_msr_emulate, STEP_host_wrmsr_xfd, STEP_entry_prep, STEP_vmentry}},
		.count = 3,
	};
	f->run.ledger.paths = f->paths;
	add_path(&f->run.ledger, &f->paths[0]);
	add_path(&f->run.ledger, &f->paths[1]);
	f->run.ledger.step_count[STEP_guest_run] = 1000000;
	f->run.ledger.xfd_exits = f->run.ledger.xfd_writes = 3;
	f->run.ledger.fpstate_bytes = 13312;
	f->run.ledger.fpstate_high_water_bytes = 21504;
	f->vcpus[0] = (struct vcpu_final){"guest", true, false, 10752, 0x40000, 0};
	f->vcpus[1] = (struct vcpu_final){"stopped", false, true, 2560, 0, UINT64_MAX};
	f->run.ledger.vcpus = f->vcpus;
	f->run.ledger.nr_vcpus = 2;
}

static int64_t put(struct store *store, struct fixture *f, bool *existed)
{
	struct xfd_error err = {0};
	int64_t id = 0;

	if (store_run(store, &f->run, &f->trace, "t.xft", &id, existed, &err))
		fail_msg("%s: %s", err.source, err.text);
	return id;
}

static void put_fails(struct store *store, struct fixture *f, enum xfd_error_kind kind,
		      const char *text)
{
	struct xfd_error err = {0};
	int64_t id = -1;

	assert_true(store_run(store, &f->run, &f->trace, "t.xft", &id, NULL, &err) < 0);
	assert_int_equal(id, -1);
	if (err.kind != kind || !strstr(err.text, text))
		fail_msg("wanted \"%s\" (kind %d), got \"%s\" (kind %d)", text, (int)kind, err.text,
			 (int)err.kind);
}

static struct cost_profile *builtin(const char *name)
{
	struct cost_profile *profile;

	assert_int_equal(profile_load(name, &profile, NULL), 0);
	return profile;
}

static void put_profile(struct store *store, const char *name)
{
	struct cost_profile *profile = builtin(name);

	assert_int_equal(store_profile(store, profile, NULL, NULL), 0);
	profile_free(profile);
}

static void a_new_database_says_what_it_is(void **state)
{
	struct store *store = open_ok(DB);
	size_t newest;

	(void)state;
	store_schema(&newest);
	assert_int_equal(ask(store, "PRAGMA application_id"), STORE_APPLICATION_ID);
	assert_int_equal(ask(store, "PRAGMA user_version"), newest);
	assert_int_equal(ask(store, "PRAGMA foreign_keys"), 1);
	assert_int_equal(ask(store,
			     "SELECT count(*) FROM pragma_table_list WHERE schema = 'main'"
			     " AND type = 'table' AND NOT strict AND name NOT LIKE 'sqlite_%'"),
			 0);
	store_close(store);
	store_close(open_ok(DB));
}

static void the_migrations_are_numbered_without_gaps(void **state)
{
	const struct store_migration *migrations;
	size_t nr;

	(void)state;
	migrations = store_schema(&nr);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(migrations[i].version, i + 1);
}

static void a_stored_run_reads_back(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;
	bool existed = true;
	int64_t id;

	(void)state;
	make_run(&f, "always-intercept");
	id = put(store, &f, &existed);
	assert_false(existed);
	assert_int_equal(ask(store, "SELECT id FROM runs"), id);
	asks(store,
	     "SELECT concat FROM (SELECT policy || ' ' || kernel || ' ' || options || ' ' ||"
	     " version || ' ' || nr_events || ' ' || nr_skipped || ' ' || xfd_exits || ' ' ||"
	     " fpstate_bytes || ' ' || fpstate_high_water_bytes || ' ' || duration_ns"
	     " AS concat FROM runs)",
	     "always-intercept v6.9 " OPTIONS " " XFDSIM_VERSION " 13 0 3 13312 21504 12345");
	asks(store,
	     "SELECT hash || ' ' || name || ' ' || mode || ' ' || tsc_khz || ' ' || nr_vcpus"
	     " || ' ' || nr_pcpus || ' ' || nr_events || ' ' || guest_cycles || ' ' ||"
	     " xfd_writes FROM traces",
	     HASH_A " t.xft synthetic 1100000 2 1 13 1000000 3");
	assert_int_equal(ask(store, "SELECT count FROM step_counts WHERE step = 'vmexit'"), 10 + 3);
	assert_int_equal(ask(store, "SELECT count FROM step_counts WHERE step = 'msr_emulate'"), 3);
	assert_int_equal(ask(store, "SELECT count FROM step_counts WHERE step = 'guest_run'"),
			 1000000);
	assert_int_equal(ask(store, "SELECT count(*) FROM step_counts"), 8 + 1);
	asks(store, "SELECT group_concat(reason || ' ' || count) FROM exit_counts",
	     "cpuid 10,msr-write 3");
	asks(store,
	     "SELECT event || ' ' || exit_reason || ' ' || count || ' ' || steps"
	     " FROM path_counts WHERE ordinal = 0",
	     "exit cpuid 10 vmexit vmx_asm exit_post handler entry_prep vmentry");
	asks(store,
	     "SELECT group_concat(vcpu || ' ' || state || ' ' || intercept_xfd ||"
	     " intercept_nm || ' ' || fpstate_bytes || ' ' || xfd || ' ' || xfd_err)"
	     " FROM vcpu_finals",
	     "0 guest 10 10752 0x40000 0x0,1 stopped 01 2560 0x0 0xffffffffffffffff");
	assert_int_equal(ask(store, "SELECT created_at GLOB '20[0-9][0-9]-[01][0-9]-[0-3][0-9]T*Z'"
				    " FROM runs"),
			 1);
	store_close(store);
}

static void the_same_run_again_changes_nothing(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;
	bool existed;
	int64_t id;

	(void)state;
	make_run(&f, "passthrough");
	id = put(store, &f, NULL);
	store_close(store);
	store = open_ok(DB);
	/* Time, name and provenance are no part of a run's identity. */
	f.run.duration_ns++;
	strcpy(f.provenance, "{}");
	assert_int_equal(put(store, &f, &existed), id);
	assert_true(existed);
	assert_int_equal(sqlite3_total_changes(store_db(store)), 0);
	assert_int_equal(ask(store, "SELECT duration_ns FROM runs"), 12345);
	store_close(store);
}

static void each_part_of_the_identity_makes_another_run(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;
	bool existed;

	(void)state;
	for (int part = 0; part < 5; part++) {
		make_run(&f, part == 1 ? "passthrough" : "first-nonzero");
		if (part == 2)
			f.run.kernel = "v6.19";
		if (part == 3)
			f.run.options = "{\"halt_poll_us\":0}";
		if (part == 4)
			strcpy(f.run.trace_hash, HASH_B);
		put(store, &f, &existed);
		assert_false(existed);
	}
	assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 5);
	assert_int_equal(ask(store, "SELECT count(*) FROM traces"), 2);
	store_close(store);
}

static void the_same_identity_with_other_counts_is_refused(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	for (int change = 0; change < 9; change++) {
		static const char *const where[] = {
			"step_counts, row 1", "step_counts, row 9", "step_counts, row 10",
			"exit_counts, row 1", "path_counts, row 2", "path_counts, row 2",
			"vcpu_finals, row 1", "vcpu_finals, row 2", "runs, row 1",
		};

		make_run(&f, "passthrough");
		f.run.ledger.step_count[STEP_vmexit] += change == 0;
		f.run.ledger.step_count[STEP_migrate] += change == 1;
		if (change == 2)
			f.run.ledger.step_count[STEP_vmx_asm] = 0;
		f.run.ledger.exit_count[EXIT_CPUID] += change == 3;
		f.paths[1].steps.nr = change == 4 ? 7 : 8;
		f.run.ledger.nr_paths -= change == 5;
		f.vcpus[0].xfd += change == 6;
		f.run.ledger.nr_vcpus -= change == 7;
		f.run.ledger.xfd_exits += change == 8;
		/* A row that is gone is noticed by the next one, or by their number. */
		put_fails(store, &f, XFD_ERROR_INPUT,
			  change == 2 ? "step_counts, row" : where[change]);
	}
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	store_close(store);
}

static void a_trace_learns_its_counts_from_a_run_that_skipped_nothing(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "first-enable");
	f.run.ledger.nr_skipped = 4;
	f.run.ledger.nr_events -= 4;
	put(store, &f, NULL);
	asks(store, "SELECT nr_events FROM traces", "NULL");
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	asks(store, "SELECT nr_events FROM traces", "13");
	make_run(&f, "always-intercept");
	f.run.ledger.xfd_writes++;
	put_fails(store, &f, XFD_ERROR_INPUT, "differ from those of an earlier run");
	make_run(&f, "always-intercept");
	f.trace.nr_pcpus++;
	put_fails(store, &f, XFD_ERROR_INPUT, "this hash but another header");
	assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 2);
	store_close(store);
}

static void a_view_prices_a_run_as_c_does(void **state)
{
	static const char *const names[] = {"spr", "gnr", "icx"};
	static const char *const columns[] = {"overhead_low_cycles", "overhead_cycles",
					      "overhead_high_cycles"};
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	for (size_t i = 0; i < 3; i++) {
		struct cost_profile *profile = builtin(names[i]);
		char sql[128];
		uint64_t total;

		assert_int_equal(store_profile(store, profile, NULL, NULL), 0);
		for (int column = 0; column < NR_PRICE_COLUMNS; column++) {
			assert_int_equal(profile_price(profile, (enum price_column)column,
						       f.run.ledger.step_count, &total),
					 0);
			snprintf(sql, sizeof(sql), "SELECT %s FROM run_cycles WHERE profile = '%s'",
				 columns[column], names[i]);
			assert_int_equal(ask(store, sql), total);
		}
		profile_free(profile);
	}
	/* Ten light exits and three intercepted writes. */
	assert_int_equal(ask(store, "SELECT overhead_cycles FROM run_cycles WHERE profile = 'spr'"),
			 10 * 1500 + 3 * 1760);
	store_close(store);
}

static void steps_and_paths_add_up_to_the_run(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	put_profile(store, "spr");
	assert_int_equal(ask(store, "SELECT sum(cycles) FROM step_cycles"), 10 * 1500 + 3 * 1760);
	assert_int_equal(ask(store, "SELECT abs(sum(share) - 1) < 1e-12 FROM step_cycles"), 1);
	assert_int_equal(ask(store, "SELECT count(*) FROM step_cycles"), 8);
	assert_int_equal(ask(store, "SELECT sum(count * cycles) FROM path_cycles"),
			 10 * 1500 + 3 * 1760);
	assert_int_equal(ask(store, "SELECT cycles FROM path_cycles WHERE event = 'wrxfd'"), 1760);
	assert_int_equal(ask(store, "SELECT low_cycles FROM path_cycles WHERE event = 'wrxfd'"),
			 1105);
	assert_int_equal(ask(store, "SELECT high_cycles FROM path_cycles WHERE event = 'wrxfd'"),
			 2970);
	store_close(store);
}

static void a_run_without_steps_costs_nothing(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	memset(f.run.ledger.step_count, 0, sizeof(f.run.ledger.step_count));
	f.run.ledger.nr_paths = 1;
	f.paths[0].steps.nr = 0;
	f.paths[0].exit_reason = EXIT_NONE;
	put(store, &f, NULL);
	put_profile(store, "spr");
	asks(store, "SELECT overhead_cycles FROM run_cycles", "0");
	asks(store, "SELECT overhead_percent FROM run_cycles", "NULL");
	asks(store, "SELECT cycles FROM path_cycles", "0");
	asks(store, "SELECT exit_reason FROM path_counts", "NULL");
	store_close(store);
}

static void policies_are_ranked_against_the_best(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "always-intercept");
	put(store, &f, NULL);
	make_run(&f, "second-enable");
	put(store, &f, NULL);
	make_run(&f, "passthrough");
	f.run.ledger.step_count[STEP_msr_emulate] = 0;
	put(store, &f, NULL);
	/* Another kernel competes with nobody here. */
	make_run(&f, "first-nonzero");
	f.run.kernel = "v6.19";
	put(store, &f, NULL);
	put_profile(store, "spr");
	asks(store,
	     "SELECT group_concat(policy || ' ' || rank || ' ' || above_best_cycles) FROM"
	     " (SELECT * FROM comparison WHERE kernel = 'v6.9' ORDER BY rank, policy)",
	     "passthrough 1 0,always-intercept 2 450,second-enable 2 450");
	asks(store,
	     "SELECT policy || ' ' || rank || ' ' || above_best_cycles FROM comparison"
	     " WHERE kernel = 'v6.19'",
	     "first-nonzero 1 0");
	/* 19,830 cycles at 2.2 GHz are 9.014 us; a million at 1.1 GHz are 909.09 us. */
	asks(store,
	     "SELECT printf('%.6f', overhead_percent) FROM comparison"
	     " WHERE policy = 'passthrough'",
	     "0.991500");
	store_close(store);
}

static void options_of_a_policy_do_not_keep_it_out_of_the_comparison(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "always-intercept");
	put(store, &f, NULL);
	make_run(&f, "offline-optimal");
	f.run.options = "{\"halt_poll_us\":200,\"policy\":{\"profile\":\"" HASH_B "\"}}";
	put(store, &f, NULL);
	put_profile(store, "spr");
	assert_int_equal(ask(store, "SELECT count(*) FROM comparison WHERE rank = 1"), 2);
	asks(store, "SELECT policy_options FROM comparison WHERE policy = 'offline-optimal'",
	     "{\"profile\":\"" HASH_B "\"}");
	store_close(store);
}

static void a_count_that_needs_64_bits_is_refused_and_63_are_kept(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	f.paths[1].count = (uint64_t)INT64_MAX + 1;
	put_fails(store, &f, XFD_ERROR_INPUT, "9223372036854775808 is above 2^63 - 1");
	assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 0);
	assert_int_equal(ask(store, "SELECT count(*) FROM traces"), 0);
	f.paths[1].count = INT64_MAX;
	f.run.ledger.step_count[STEP_guest_run] = INT64_MAX;
	f.run.ledger.step_count[STEP_vmexit] = INT64_MAX;
	put(store, &f, NULL);
	put_profile(store, "spr");
	assert_int_equal(ask(store, "SELECT max(count) FROM path_counts"), INT64_MAX);
	assert_int_equal(ask(store, "SELECT guest_cycles FROM run_cycles"), INT64_MAX);
	asks(store, "SELECT overhead_cycles FROM run_cycles", "NULL");
	store_close(store);
}

static void a_profile_is_stored_once_and_its_texts_are_kept_up_to_date(void **state)
{
	struct store *store = open_ok(DB);
	struct cost_profile *profile = builtin("spr");
	int64_t id = 0, again = 0;
	char better[] = "Better", mine[] = "mine";
	char *title = profile->title;
	char *name = profile->name;
	int changes;

	(void)state;
	assert_int_equal(store_profile(store, profile, &id, NULL), 0);
	assert_int_equal(ask(store, "SELECT count(*) FROM prices"), NR_PRICED_STEPS);
	asks(store,
	     "SELECT low || ' ' || typical || ' ' || high || ' ' || grade || ' ' || basis ||"
	     " ' ' || hypothetical FROM prices WHERE step = 'xfd_sync'",
	     "30 50 90 C estimate 0");
	assert_int_equal(ask(store, "SELECT ordinal FROM prices WHERE step = 'xfd_sync'"),
			 STEP_xfd_sync);
	changes = sqlite3_total_changes(store_db(store));
	assert_int_equal(store_profile(store, profile, &again, NULL), 0);
	assert_int_equal(again, id);
	assert_int_equal(sqlite3_total_changes(store_db(store)), changes);

	profile->title = better;
	profile->price[STEP_xfd_sync].grade = 'D';
	assert_int_equal(store_profile(store, profile, &again, NULL), 0);
	assert_int_equal(again, id);
	asks(store, "SELECT title FROM profiles", "Better");
	asks(store, "SELECT grade FROM prices WHERE step = 'xfd_sync'", "D");
	assert_int_equal(sqlite3_total_changes(store_db(store)), changes + 2);

	profile->name = mine;
	assert_int_equal(store_profile(store, profile, &again, NULL), 0);
	assert_int_not_equal(again, id);
	assert_int_equal(ask(store, "SELECT count(*) FROM profiles"), 2);
	assert_int_equal(ask(store, "SELECT count(DISTINCT hash) FROM profiles"), 1);
	profile->title = title;
	profile->name = name;
	profile_free(profile);
	store_close(store);
}

static void rows_of_a_run_cannot_lose_it(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	assert_int_equal(sqlite3_exec(store_db(store), "DELETE FROM traces", NULL, NULL, NULL),
			 SQLITE_CONSTRAINT_FOREIGNKEY);
	assert_int_equal(sqlite3_exec(store_db(store), "DELETE FROM runs", NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(ask(store, "SELECT (SELECT count(*) FROM step_counts) +"
				    " (SELECT count(*) FROM exit_counts) +"
				    " (SELECT count(*) FROM path_counts) +"
				    " (SELECT count(*) FROM vcpu_finals)"),
			 0);
	store_close(store);
}

static void provenance_that_is_no_json_is_refused(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;

	(void)state;
	make_run(&f, "passthrough");
	strcpy(f.provenance, "{");
	put_fails(store, &f, XFD_ERROR_INPUT, "malformed JSON");
	strcpy(f.provenance, "{\"mode\":5}");
	put(store, &f, NULL);
	asks(store, "SELECT mode FROM traces", "NULL");
	store_close(store);
}

/* Opening. */

static void write_file(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static void a_file_of_a_newer_xfdsim_is_refused(void **state)
{
	size_t newest;
	char sql[64], text[96];

	(void)state;
	store_schema(&newest);
	store_close(open_ok(DB));
	snprintf(sql, sizeof(sql), "PRAGMA user_version = %zu", newest + 1);
	edit(DB, sql);
	snprintf(text, sizeof(text), "made by a newer xfdsim (schema %zu, this one knows %zu)",
		 newest + 1, newest);
	open_fails(DB, XFD_ERROR_INPUT, text);
}

static void a_database_that_is_not_ours_is_refused_and_left_alone(void **state)
{
	sqlite3 *db;

	(void)state;
	edit(DB, "CREATE TABLE t (x)");
	open_fails(DB, XFD_ERROR_INPUT, "this SQLite database is not xfdsim's");
	edit("versioned.db", "PRAGMA user_version = 1");
	open_fails("versioned.db", XFD_ERROR_INPUT, "this SQLite database is not xfdsim's");
	edit("zero.db", "PRAGMA application_id = 2019976307");
	open_fails("zero.db", XFD_ERROR_INPUT, "wanted a schema from 1 to");
	edit("negative.db", "PRAGMA application_id = 2019976307; PRAGMA user_version = -1");
	open_fails("negative.db", XFD_ERROR_INPUT, "got -1");
	assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "SELECT x FROM t; CREATE TABLE runs (x)", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

static void a_file_that_is_no_database_is_refused_and_left_alone(void **state)
{
	struct stat st;
	char page[4096];

	(void)state;
	memset(page, 'x', sizeof(page));
	write_file("page", page, sizeof(page));
	open_fails("page", XFD_ERROR_INPUT, "wanted an SQLite database, this file is none");
	write_file("short", "hello\n", 6);
	open_fails("short", XFD_ERROR_INPUT, "wanted an SQLite database, this file is none");
	assert_int_equal(stat("short", &st), 0);
	assert_int_equal(st.st_size, 6);
}

static void a_database_without_its_tables_is_refused(void **state)
{
	struct store *store;
	struct fixture f;

	(void)state;
	store_close(open_ok(DB));
	edit(DB, "DROP TABLE step_counts");
	store = open_ok(DB);
	make_run(&f, "passthrough");
	put_fails(store, &f, XFD_ERROR_INPUT, "no such table");
	assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 0);
	store_close(store);
}

static void damage_never_gets_past_an_error(void **state)
{
	struct store *store = open_ok(DB);
	static char whole[1 << 18];
	struct fixture f;
	size_t len;
	FILE *file;

	(void)state;
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	store_close(store);
	file = fopen(DB, "r");
	assert_non_null(file);
	len = fread(whole, 1, sizeof(whole), file);
	fclose(file);
	assert_true(len < sizeof(whole));
	/* Bytes overwritten, then the file cut short: whatever happens, it is no crash. */
	for (size_t i = 0; i < 80; i++) {
		size_t at = i * 7919 % len, cut = i < 40 ? len : at;
		struct xfd_error err = {0};
		char saved = whole[at];

		whole[at] = (char)(saved ^ (i & 1 ? 0xff : 0x10));
		write_file("damaged.db", whole, cut);
		whole[at] = saved;
		if (store_open("damaged.db", &store, &err)) {
			assert_int_not_equal(err.kind, XFD_ERROR_NONE);
			continue;
		}
		if (store_run(store, &f.run, &f.trace, "t.xft", NULL, NULL, &err))
			assert_int_not_equal(err.kind, XFD_ERROR_NONE);
		store_close(store);
	}
}

static void an_empty_file_becomes_a_database(void **state)
{
	(void)state;
	write_file(DB, "", 0);
	store_close(open_ok(DB));
}

static void a_name_is_only_a_name(void **state)
{
	static const char *const names[] = {":memory:", "file:x?mode=memory", "-", "a b"};
	struct stat st;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		store_close(open_ok(names[i]));
		assert_int_equal(stat(names[i], &st), 0);
		assert_true(st.st_size > 0);
	}
	open_fails("", XFD_ERROR_USAGE, "wanted the name of a database");
}

static void a_place_that_cannot_be_written_is_a_system_error(void **state)
{
	(void)state;
	open_fails("no/such/directory.db", XFD_ERROR_SYSTEM, "cannot open the database");
	open_fails("/proc/xfdsim.db", XFD_ERROR_SYSTEM, "cannot");
	open_fails(".", XFD_ERROR_SYSTEM, "cannot open the database");
}

/* Root may write anywhere, so a child gives its rights away first. */
static int in_unprivileged_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		if (!geteuid() && (setgid(65534) || setuid(65534)))
			_exit(2);
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_in_read_only_places(void)
{
	struct store *store;
	struct xfd_error err = {0};
	struct fixture f;

	make_run(&f, "passthrough");
	if (!store_open("new.db", &store, &err) || err.kind != XFD_ERROR_SYSTEM)
		_exit(3);
	memset(&err, 0, sizeof(err));
	/* The file may be written, but a journal cannot be made beside it. */
	if (store_open("writable.db", &store, &err))
		_exit(4);
	if (!store_run(store, &f.run, &f.trace, "t", NULL, NULL, &err) ||
	    err.kind != XFD_ERROR_SYSTEM || !strstr(err.text, "or its directory is read-only"))
		_exit(5);
	store_close(store);
	memset(&err, 0, sizeof(err));
	if (!store_open("readable.db", &store, &err) || err.kind != XFD_ERROR_SYSTEM ||
	    !strstr(err.text, "read-only"))
		_exit(6);
	/* Reading needs no more than that. */
	if (store_open_existing("readable.db", &store, NULL))
		_exit(7);
	store_close(store);
}

static void a_read_only_place_is_a_system_error(void **state)
{
	(void)state;
	store_close(open_ok("writable.db"));
	store_close(open_ok("readable.db"));
	assert_int_equal(chmod("writable.db", 0666), 0);
	assert_int_equal(chmod("readable.db", 0444), 0);
	assert_int_equal(chmod(".", 0555), 0);
	assert_int_equal(in_unprivileged_child(write_in_read_only_places), 0);
	assert_int_equal(chmod(".", 0755), 0);
}

static void reading_makes_no_file_and_changes_none(void **state)
{
	struct store *store;
	struct xfd_error err = {0};
	struct fixture f;

	(void)state;
	assert_true(store_open_existing(DB, &store, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_SYSTEM);
	assert_non_null(strstr(err.text, "no such database"));
	assert_int_not_equal(access(DB, F_OK), 0);
	write_file("empty.db", "", 0);
	memset(&err, 0, sizeof(err));
	assert_true(store_open_existing("empty.db", &store, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	store_close(open_ok(DB));
	assert_int_equal(store_open_existing(DB, &store, NULL), 0);
	make_run(&f, "passthrough");
	put_fails(store, &f, XFD_ERROR_SYSTEM, "read-only");
	store_close(store);
}

static void a_locked_database_is_waited_for_and_then_said_so(void **state)
{
	struct store *store = open_ok(DB);
	struct timespec before, after;
	struct fixture f;
	sqlite3 *other;

	(void)state;
	assert_int_equal(sqlite3_open(DB, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	make_run(&f, "passthrough");
	clock_gettime(CLOCK_MONOTONIC, &before);
	put_fails(store, &f, XFD_ERROR_SYSTEM, "locked by another process; try again or use --db");
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(after.tv_sec - before.tv_sec, 1, 10);
	open_fails(DB, XFD_ERROR_SYSTEM, "locked by another process; try again or use --db");
	sqlite3_close(other);
	put(store, &f, NULL);
	store_close(store);
}

static void a_full_disk_leaves_whole_runs_only(void **state)
{
	struct store *store = open_ok(DB);
	struct fixture f;
	char sql[64];
	int stored = 0;
	bool existed;

	(void)state;
	/* A little room: some runs fit, then one does not. */
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %" PRId64,
		 ask(store, "PRAGMA page_count") + 3);
	ask(store, sql);
	for (;; stored++) {
		struct xfd_error err = {0};
		char kernel[16];

		make_run(&f, "passthrough");
		snprintf(kernel, sizeof(kernel), "k%d", stored);
		f.run.kernel = kernel;
		if (!store_run(store, &f.run, &f.trace, "t.xft", NULL, NULL, &err))
			continue;
		assert_int_equal(err.kind, XFD_ERROR_SYSTEM);
		assert_string_equal(err.text, "cannot store a run: no space left");
		break;
	}
	assert_true(stored > 0);
	assert_int_equal(ask(store, "SELECT count(*) FROM runs"), stored);
	assert_int_equal(ask(store, "SELECT count(*) FROM vcpu_finals"), 2 * stored);
	store_close(store);
	store = open_ok(DB);
	f.run.kernel = "k0";
	put(store, &f, &existed);
	assert_true(existed);
	store_close(store);
}

static void store_for_ever(void)
{
	struct store *store = open_ok(DB);

	for (int i = 0;; i++) {
		struct fixture f;
		char kernel[16];

		make_run(&f, "passthrough");
		snprintf(kernel, sizeof(kernel), "k%d", i);
		f.run.kernel = kernel;
		put(store, &f, NULL);
	}
}

static void a_kill_at_any_point_leaves_whole_runs_only(void **state)
{
	int64_t nr = 0;

	(void)state;
	for (int round = 0; round < 25; round++) {
		struct timespec wait = {.tv_nsec = 1000000 + round * 1300000};
		struct store *store;
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid) {
			store_for_ever();
			_exit(1);
		}
		nanosleep(&wait, NULL);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));

		store = open_ok(DB);
		asks(store, "PRAGMA integrity_check", "ok");
		assert_true(ask(store, "SELECT count(*) FROM runs") >= nr);
		nr = ask(store, "SELECT count(*) FROM runs");
		/* What is there is whole: storing it again compares every row. */
		for (int64_t i = 0; i < nr; i++) {
			struct fixture f;
			char kernel[16];
			bool existed;

			make_run(&f, "passthrough");
			snprintf(kernel, sizeof(kernel), "k%d", (int)i);
			f.run.kernel = kernel;
			put(store, &f, &existed);
			assert_true(existed);
		}
		store_close(store);
	}
	assert_true(nr > 0);
}

static void processes_that_store_together_agree_on_one_copy(void **state)
{
	pid_t pids[4];

	(void)state;
	/* They race for making the database, too. */
	for (int child = 0; child < 4; child++) {
		pids[child] = fork();
		assert_true(pids[child] >= 0);
		if (!pids[child]) {
			struct store *store;

			if (store_open(DB, &store, NULL))
				_exit(1);
			for (int i = 0; i < 10; i++) {
				struct fixture f;
				char kernel[16];

				make_run(&f, "passthrough");
				snprintf(kernel, sizeof(kernel), "k%d", i);
				f.run.kernel = kernel;
				if (store_run(store, &f.run, &f.trace, "t", NULL, NULL, NULL))
					_exit(2);
			}
			store_close(store);
			_exit(0);
		}
	}
	for (int child = 0; child < 4; child++) {
		int status;

		assert_int_equal(waitpid(pids[child], &status, 0), pids[child]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	{
		struct store *store = open_ok(DB);

		assert_int_equal(ask(store, "SELECT count(*) FROM runs"), 10);
		store_close(store);
	}
}

/* Migration: the history of tomorrow. */

static void open_with(const char *last_script, int nr, struct store **store, struct xfd_error *err,
		      int *ret)
{
	struct store_migration migrations[8];
	const struct store_migration *known;
	size_t nr_known;

	known = store_schema(&nr_known);
	assert_true(nr_known + (size_t)nr <= 8);
	memcpy(migrations, known, nr_known * sizeof(*known));
	for (int i = 0; i < nr; i++) {
		migrations[nr_known + (size_t)i] = (struct store_migration){
			(int)nr_known + i + 1,
			i == nr - 1 ? last_script : "CREATE TABLE interim (x INTEGER) STRICT",
		};
	}
	*ret = store_open_migrating(DB, migrations, nr_known + (size_t)nr, store, err);
}

static void an_older_database_is_migrated_with_its_runs(void **state)
{
	struct store *store = open_ok(DB);
	struct xfd_error err = {0};
	struct fixture f;
	size_t newest;
	bool existed;
	int ret;

	(void)state;
	store_schema(&newest);
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	store_close(store);
	/* Two versions at once, the second of which changes a table that has rows. */
	open_with("ALTER TABLE runs ADD COLUMN note TEXT; UPDATE runs SET note = policy", 2, &store,
		  &err, &ret);
	assert_int_equal(ret, 0);
	assert_int_equal(ask(store, "PRAGMA user_version"), newest + 2);
	assert_int_equal(ask(store, "PRAGMA foreign_keys"), 1);
	asks(store, "SELECT note FROM runs", "passthrough");
	assert_int_equal(ask(store, "SELECT count(*) FROM interim"), 0);
	put(store, &f, &existed);
	assert_true(existed);
	store_close(store);
	open_fails(DB, XFD_ERROR_INPUT, "made by a newer xfdsim");
}

/* The database as the first xfdsim made it, with a run in it. */
static void make_oldest(struct fixture *f)
{
	struct xfd_error err = {0};
	struct store *store;
	size_t newest;

	assert_int_equal(store_open_migrating(DB, store_schema(&newest), 1, &store, &err), 0);
	assert_true(newest > 1);
	make_run(f, "passthrough");
	put(store, f, NULL);
	store_close(store);
}

static void an_older_database_is_read_without_being_changed(void **state)
{
	struct xfd_error err = {0};
	struct store *store;
	struct fixture f;
	size_t newest;
	sqlite3 *db;

	(void)state;
	make_oldest(&f);
	store_schema(&newest);
	assert_int_equal(store_open_existing(DB, &store, &err), 0);
	assert_int_equal(ask(store, "PRAGMA user_version"), newest);
	assert_int_equal(ask(store, "SELECT count(*) FROM bounds"), 0);
	asks(store, "SELECT policy FROM runs", "passthrough");
	store_close(store);
	assert_int_equal(sqlite3_open(DB, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				      "CREATE TEMP TABLE t (v CHECK (v = 1));"
				      "INSERT INTO t SELECT user_version FROM"
				      " pragma_user_version",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "SELECT * FROM bounds", NULL, NULL, NULL), SQLITE_ERROR);
	sqlite3_close(db);
}

static void an_older_database_takes_bounds_once_it_is_written(void **state)
{
	struct bound bound = {.optimum_cycles = 100,
			      .optimum_decisions = 3,
			      .adaptive_cycles = 120,
			      .adaptive = {1, 5},
			      .adaptive_exact = true,
			      .adaptive_max_writes = 4};
	struct cost_profile *profile;
	struct xfd_error err = {0};
	struct store *store;
	struct fixture f;
	bool existed;

	(void)state;
	make_oldest(&f);
	assert_int_equal(profile_load("spr", &profile, &err), 0);
	store = open_ok(DB);
	put(store, &f, &existed);
	assert_true(existed);
	/* Twice the same is one bound. */
	for (int i = 0; i < 2; i++)
		assert_int_equal(store_bound(store, &f.run, profile, &bound, &err), 0);
	asks(store,
	     "SELECT optimum_cycles || ' ' || optimum_decisions || ' ' || adaptive_writes || ' ' ||"
	     " adaptive_exits || ' ' || adaptive_cycles || ' ' || count(*) FROM bounds",
	     "100 3 1 5 120 1");
	assert_int_equal(ask(store, "SELECT above_optimum_cycles = overhead_cycles - 100"
				    " FROM above_optimum"),
			 1);
	/* Under the same names another one is no answer. */
	bound.optimum_decisions++;
	assert_true(store_bound(store, &f.run, profile, &bound, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	asks(store, "SELECT optimum_decisions FROM bounds", "3");
	/* Nor is one of a trace that nobody has replayed. */
	memset(&err, 0, sizeof(err));
	f.run.trace_hash[0] ^= 1;
	assert_true(store_bound(store, &f.run, profile, &bound, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	store_close(store);
	profile_free(profile);
}

static void a_trace_that_adaptive_cannot_replay_has_a_bound(void **state)
{
	struct bound bound = {.optimum_cycles = 7,
			      .adaptive_cycles = UINT64_MAX,
			      .adaptive_exact = true,
			      .adaptive_max_writes = 4};
	struct store *store = open_ok(DB);
	struct cost_profile *profile;
	struct xfd_error err = {0};
	struct fixture f;

	(void)state;
	assert_int_equal(profile_load("spr", &profile, &err), 0);
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	for (int i = 0; i < 2; i++)
		assert_int_equal(store_bound(store, &f.run, profile, &bound, &err), 0);
	assert_int_equal(ask(store, "SELECT adaptive_writes IS NULL AND adaptive_exits IS NULL AND"
				    " adaptive_cycles IS NULL FROM bounds"),
			 1);
	store_close(store);
	profile_free(profile);
}

static void a_migration_that_fails_changes_nothing(void **state)
{
	static const char *const scripts[] = {
		"CREATE TABLE half (x); INSERT INTO nowhere VALUES (1)",
		/* A run that belongs to no trace. */
		"DELETE FROM traces",
	};
	struct store *store = open_ok(DB);
	struct fixture f;
	size_t newest;

	(void)state;
	store_schema(&newest);
	make_run(&f, "passthrough");
	put(store, &f, NULL);
	store_close(store);
	for (size_t i = 0; i < 2; i++) {
		struct xfd_error err = {0};
		bool existed;
		int ret;

		open_with(scripts[i], 2, &store, &err, &ret);
		assert_true(ret < 0);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		store = open_ok(DB);
		assert_int_equal(ask(store, "PRAGMA user_version"), newest);
		assert_int_equal(ask(store, "SELECT count(*) FROM sqlite_schema"
					    " WHERE name IN ('half', 'interim')"),
				 0);
		put(store, &f, &existed);
		assert_true(existed);
		store_close(store);
	}
}

static void two_same_databases_give_the_same_answers(void **state)
{
	struct store *a = open_ok("a.db"), *b = open_ok("b.db");
	struct fixture f;
	char one[4096], two[4096];
	static const char sql[] = "SELECT group_concat(policy || rank || overhead_cycles ||"
				  " overhead_percent || above_best_percent) FROM"
				  " (SELECT * FROM comparison ORDER BY 1, 3, 6, 8, 9)";
	sqlite3_stmt *stmt;

	(void)state;
	for (int i = 0; i < 2; i++) {
		make_run(&f, "passthrough");
		put(i ? b : a, &f, NULL);
		make_run(&f, "always-intercept");
		put(i ? b : a, &f, NULL);
		put_profile(i ? b : a, "icx");
		put_profile(i ? b : a, "spr");
		assert_int_equal(sqlite3_prepare_v2(store_db(i ? b : a), sql, -1, &stmt, NULL), 0);
		assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
		snprintf(i ? two : one, sizeof(one), "%s", sqlite3_column_text(stmt, 0));
		sqlite3_finalize(stmt);
	}
	assert_string_equal(one, two);
	store_close(a);
	store_close(b);
}

#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(a_new_database_says_what_it_is),
		STORE_TEST(the_migrations_are_numbered_without_gaps),
		STORE_TEST(a_stored_run_reads_back),
		STORE_TEST(the_same_run_again_changes_nothing),
		STORE_TEST(each_part_of_the_identity_makes_another_run),
		STORE_TEST(the_same_identity_with_other_counts_is_refused),
		STORE_TEST(a_trace_learns_its_counts_from_a_run_that_skipped_nothing),
		STORE_TEST(a_view_prices_a_run_as_c_does),
		STORE_TEST(steps_and_paths_add_up_to_the_run),
		STORE_TEST(a_run_without_steps_costs_nothing),
		STORE_TEST(policies_are_ranked_against_the_best),
		STORE_TEST(options_of_a_policy_do_not_keep_it_out_of_the_comparison),
		STORE_TEST(a_count_that_needs_64_bits_is_refused_and_63_are_kept),
		STORE_TEST(a_profile_is_stored_once_and_its_texts_are_kept_up_to_date),
		STORE_TEST(rows_of_a_run_cannot_lose_it),
		STORE_TEST(provenance_that_is_no_json_is_refused),
		STORE_TEST(a_file_of_a_newer_xfdsim_is_refused),
		STORE_TEST(a_database_that_is_not_ours_is_refused_and_left_alone),
		STORE_TEST(a_file_that_is_no_database_is_refused_and_left_alone),
		STORE_TEST(a_database_without_its_tables_is_refused),
		STORE_TEST(damage_never_gets_past_an_error),
		STORE_TEST(an_empty_file_becomes_a_database),
		STORE_TEST(a_name_is_only_a_name),
		STORE_TEST(a_place_that_cannot_be_written_is_a_system_error),
		STORE_TEST(a_read_only_place_is_a_system_error),
		STORE_TEST(reading_makes_no_file_and_changes_none),
		STORE_TEST(a_locked_database_is_waited_for_and_then_said_so),
		STORE_TEST(a_full_disk_leaves_whole_runs_only),
		STORE_TEST(a_kill_at_any_point_leaves_whole_runs_only),
		STORE_TEST(processes_that_store_together_agree_on_one_copy),
		STORE_TEST(an_older_database_is_migrated_with_its_runs),
		STORE_TEST(an_older_database_is_read_without_being_changed),
		STORE_TEST(an_older_database_takes_bounds_once_it_is_written),
		STORE_TEST(a_trace_that_adaptive_cannot_replay_has_a_bound),
		STORE_TEST(a_migration_that_fails_changes_nothing),
		STORE_TEST(two_same_databases_give_the_same_answers),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
