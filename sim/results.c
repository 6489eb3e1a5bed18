/* SPDX-License-Identifier: MIT */
#include "sim/results.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/event.h"

static const char doing[] = "read stored runs";

/* One read: where from, what for, and how it goes. */
struct load {
	struct store *store;
	struct results *results;
	struct xfd_error *err;
	bool *found; /* by filter->traces: some run is of this trace */
};

static int no_memory(struct load *load)
{
	xfd_error_set(load->err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	return -ENOMEM;
}

static int prepare(struct load *load, const char *sql, sqlite3_stmt **stmt)
{
	int rc = sqlite3_prepare_v2(store_db(load->store), sql, -1, stmt, NULL);

	return rc == SQLITE_OK ? 0 : store_fail(load->store, rc, doing, load->err);
}

/* 1 and a row, 0 and the end, or a negative errno. */
static int next_row(struct load *load, sqlite3_stmt *stmt)
{
	int rc = sqlite3_step(stmt);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : store_fail(load->store, rc, doing, load->err);
}

static uint64_t number(sqlite3_stmt *stmt, int column)
{
	return (uint64_t)sqlite3_column_int64(stmt, column);
}

/* File names are bytes, reports are UTF-8: a name that is none loses what is not ASCII. */
static void make_utf8(char *text)
{
	json_t *valid = json_string(text);

	for (; !valid && *text; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
	json_decref(valid);
}

/* A text of the row, kept by the results; "" for NULL. NULL when there is no memory. */
static const char *text(struct load *load, sqlite3_stmt *stmt, int column)
{
	const char *value = (const char *)sqlite3_column_text(stmt, column);
	struct results *results = load->results;
	char **texts = realloc(results->texts, (results->nr_texts + 1) * sizeof(*texts));

	if (!texts)
		return NULL;
	results->texts = texts;
	texts[results->nr_texts] = strdup(value ? value : "");
	if (!texts[results->nr_texts])
		return NULL;
	make_utf8(texts[results->nr_texts]);
	return texts[results->nr_texts++];
}

static int unknown(struct load *load, int64_t run_id, const char *what, const char *name)
{
	return xfd_error_set(load->err, XFD_ERROR_INPUT, NULL, 0, -1,
			     "run %" PRId64 " has the %s \"%.40s\", which this xfdsim does not "
			     "know: it was stored by another version",
			     run_id, what, name);
}

static int load_steps(struct load *load, sqlite3_stmt *stmt, int64_t run_id, struct ledger *ledger)
{
	int ret;

	sqlite3_bind_int64(stmt, 1, run_id);
	while ((ret = next_row(load, stmt)) > 0) {
		const char *name = (const char *)sqlite3_column_text(stmt, 0);
		int step = step_find(name);

		if (step < 0)
			return unknown(load, run_id, "step", name);
		ledger->step_count[step] = number(stmt, 1);
	}
	sqlite3_reset(stmt);
	return ret;
}

static int load_exits(struct load *load, sqlite3_stmt *stmt, int64_t run_id, struct ledger *ledger)
{
	int ret;

	sqlite3_bind_int64(stmt, 1, run_id);
	while ((ret = next_row(load, stmt)) > 0) {
		const char *name = (const char *)sqlite3_column_text(stmt, 0);
		int reason = exit_reason_find(name);

		if (reason == EXIT_NONE)
			return unknown(load, run_id, "VM-exit reason", name);
		ledger->exit_count[reason] = number(stmt, 1);
	}
	sqlite3_reset(stmt);
	return ret;
}

/* The steps of a path: names separated by one space. */
static int parse_path(struct load *load, int64_t run_id, const char *names, struct step_log *log)
{
	char *copy = strdup(names), *rest = copy, *name;
	int ret = 0;

	if (!copy)
		return no_memory(load);
	while (!ret && *names && (name = strsep(&rest, " "))) {
		int step = step_find(name);

		if (step < 0)
			ret = unknown(load, run_id, "step", name);
		else if (log->nr == STEP_LOG_MAX)
			ret = unknown(load, run_id, "path", names);
		else
			log->step[log->nr++] = (uint8_t)step;
	}
	free(copy);
	return ret;
}

static int load_path(struct load *load, sqlite3_stmt *stmt, int64_t run_id, struct ledger *ledger)
{
	const char *event = (const char *)sqlite3_column_text(stmt, 0);
	const char *reason = (const char *)sqlite3_column_text(stmt, 1);
	struct path_count *paths, path = {.count = number(stmt, 3), .exit_reason = EXIT_NONE};
	int kind = event_find(event);

	if (kind < 0)
		return unknown(load, run_id, "event", event);
	path.kind = (uint32_t)kind;
	if (reason)
		path.exit_reason = exit_reason_find(reason);
	if (reason && path.exit_reason == EXIT_NONE)
		return unknown(load, run_id, "VM-exit reason", reason);
	if (parse_path(load, run_id, (const char *)sqlite3_column_text(stmt, 2), &path.steps))
		return -EINVAL;
	paths = realloc(ledger->paths, (ledger->nr_paths + 1) * sizeof(*paths));
	if (!paths)
		return no_memory(load);
	ledger->paths = paths;
	paths[ledger->nr_paths++] = path;
	return 0;
}

static int load_paths(struct load *load, sqlite3_stmt *stmt, int64_t run_id, struct ledger *ledger)
{
	int ret;

	sqlite3_bind_int64(stmt, 1, run_id);
	while ((ret = next_row(load, stmt)) > 0)
		if ((ret = load_path(load, stmt, run_id, ledger)))
			return ret;
	sqlite3_reset(stmt);
	return ret;
}

/* Columns of the query in load_runs(). */
enum {
	RUN_ID,
	RUN_POLICY,
	RUN_OPTIONS,
	RUN_EVENTS,
	RUN_SKIPPED,
	RUN_WRITES,
	RUN_EXITS,
	RUN_BYTES,
	RUN_HIGH_WATER,
	RUN_TRACE,
	RUN_MODE,
	RUN_HASH,
	RUN_PROVENANCE,
	RUN_TSC_KHZ,
	RUN_VCPUS,
	RUN_PCPUS,
	RUN_KERNEL,
	RUN_VERSION,
	RUN_SHARED
};

static const char runs_sql[] =
	"SELECT r.id, r.policy, r.options, r.nr_events, r.nr_skipped, r.xfd_writes, r.xfd_exits,"
	" r.fpstate_bytes, r.fpstate_high_water_bytes, t.name, coalesce(t.mode, 'unknown'), t.hash,"
	" t.provenance, t.tsc_khz, t.nr_vcpus, t.nr_pcpus, r.kernel, r.version,"
	" json_remove(r.options, '$.policy') AS shared"
	" FROM runs AS r JOIN traces AS t ON t.id = r.trace_id"
	" WHERE (?1 = 0 OR r.id = ?1) AND (?2 IS NULL OR r.kernel = ?2)"
	" ORDER BY t.id, r.kernel, r.version, shared, r.id";

/* The digits of a hash select when there are enough of them to be no accident. */
static bool names(const char *wanted, const char *name, const char *hash)
{
	return !strcmp(wanted, name) ||
	       (strlen(wanted) >= 4 && !strncmp(wanted, hash, strlen(wanted)));
}

/* Does the filter want this row's trace? Notes which of its names have been of use. */
static bool selected(struct load *load, const struct result_filter *filter, sqlite3_stmt *stmt)
{
	const char *name = (const char *)sqlite3_column_text(stmt, RUN_TRACE);
	const char *hash = (const char *)sqlite3_column_text(stmt, RUN_HASH);
	bool any = !filter->nr_traces;

	for (size_t i = 0; i < filter->nr_traces; i++)
		if (names(filter->traces[i], name, hash))
			any = load->found[i] = true;
	return any;
}

static int new_group(struct load *load, sqlite3_stmt *stmt)
{
	struct results *results = load->results;
	struct result_group *groups, *group;

	groups = realloc(results->groups, (results->nr_groups + 1) * sizeof(*groups));
	if (!groups)
		return no_memory(load);
	results->groups = groups;
	group = &groups[results->nr_groups++];
	*group = (struct result_group){
		.trace = text(load, stmt, RUN_TRACE),
		.mode = text(load, stmt, RUN_MODE),
		.hash = text(load, stmt, RUN_HASH),
		.provenance = text(load, stmt, RUN_PROVENANCE),
		.kernel = text(load, stmt, RUN_KERNEL),
		.version = text(load, stmt, RUN_VERSION),
		.options = text(load, stmt, RUN_SHARED),
		.tsc_khz = number(stmt, RUN_TSC_KHZ),
		.nr_vcpus = (uint32_t)number(stmt, RUN_VCPUS),
		.nr_pcpus = (uint32_t)number(stmt, RUN_PCPUS),
	};
	return group->trace && group->mode && group->hash && group->provenance && group->kernel &&
			       group->version && group->options
		       ? 0
		       : no_memory(load);
}

/* Rows come sorted, so a run belongs to the last group or begins a new one. */
static bool same_group(const struct result_group *group, sqlite3_stmt *stmt)
{
	return !strcmp(group->hash, (const char *)sqlite3_column_text(stmt, RUN_HASH)) &&
	       !strcmp(group->kernel, (const char *)sqlite3_column_text(stmt, RUN_KERNEL)) &&
	       !strcmp(group->version, (const char *)sqlite3_column_text(stmt, RUN_VERSION)) &&
	       !strcmp(group->options, (const char *)sqlite3_column_text(stmt, RUN_SHARED));
}

static int add_run(struct load *load, sqlite3_stmt *stmt)
{
	struct results *results = load->results;
	struct result_group *group;
	int64_t *ids;
	struct run *runs;

	if (!results->nr_groups || !same_group(&results->groups[results->nr_groups - 1], stmt)) {
		int ret = new_group(load, stmt);

		if (ret)
			return ret;
	}
	group = &results->groups[results->nr_groups - 1];
	runs = realloc(group->runs, (group->nr + 1) * sizeof(*runs));
	if (runs)
		group->runs = runs;
	ids = realloc(group->run_ids, (group->nr + 1) * sizeof(*ids));
	if (ids)
		group->run_ids = ids;
	if (!runs || !ids)
		return no_memory(load);
	ids[group->nr] = sqlite3_column_int64(stmt, RUN_ID);
	runs[group->nr] = (struct run){
		.policy = text(load, stmt, RUN_POLICY),
		.kernel = group->kernel,
		.options = text(load, stmt, RUN_OPTIONS),
		.ledger =
			{
				.nr_events = number(stmt, RUN_EVENTS),
				.nr_skipped = number(stmt, RUN_SKIPPED),
				.xfd_writes = number(stmt, RUN_WRITES),
				.xfd_exits = number(stmt, RUN_EXITS),
				.fpstate_bytes = number(stmt, RUN_BYTES),
				.fpstate_high_water_bytes = number(stmt, RUN_HIGH_WATER),
			},
	};
	snprintf(runs[group->nr].trace_hash, TRACE_HASH_LEN, "%s", group->hash);
	if (!runs[group->nr].policy || !runs[group->nr].options)
		return no_memory(load);
	group->nr++;
	return 0;
}

static int load_runs(struct load *load, const struct result_filter *filter)
{
	sqlite3_stmt *stmt;
	int ret = prepare(load, runs_sql, &stmt);

	if (ret)
		return ret;
	sqlite3_bind_int64(stmt, 1, filter->run_id);
	sqlite3_bind_text(stmt, 2, filter->kernel, -1, SQLITE_STATIC);
	while ((ret = next_row(load, stmt)) > 0)
		if (selected(load, filter, stmt) && (ret = add_run(load, stmt)))
			break;
	sqlite3_finalize(stmt);
	return ret;
}

static int load_bound(struct load *load, sqlite3_stmt *stmt, struct result_group *group)
{
	struct result_bound *bounds, *b;

	bounds = realloc(group->bounds, (group->nr_bounds + 1) * sizeof(*bounds));
	if (!bounds)
		return no_memory(load);
	group->bounds = bounds;
	b = &bounds[group->nr_bounds++];
	*b = (struct result_bound){
		.bound =
			{
				.optimum_cycles = number(stmt, 1),
				.optimum_decisions = number(stmt, 2),
				.adaptive = {(uint32_t)number(stmt, 3), (uint32_t)number(stmt, 4)},
				.adaptive_cycles = number(stmt, 5),
				.adaptive_exact = number(stmt, 6),
				.adaptive_max_writes = (uint32_t)number(stmt, 7),
			},
	};
	snprintf(b->profile_hash, sizeof(b->profile_hash), "%s",
		 (const char *)sqlite3_column_text(stmt, 0));
	return 0;
}

/* The same prices under two names have the same bound, so that one row for a hash is enough. */
static int load_bounds(struct load *load, struct result_group *group)
{
	sqlite3_stmt *stmt;
	int ret = prepare(load,
			  "SELECT f.hash, b.optimum_cycles, b.optimum_decisions, b.adaptive_writes,"
			  " b.adaptive_exits, b.adaptive_cycles, b.adaptive_exact,"
			  " b.adaptive_max_writes FROM bounds AS b"
			  " JOIN traces AS t ON t.id = b.trace_id"
			  " JOIN profiles AS f ON f.id = b.profile_id"
			  " WHERE t.hash = ?1 AND b.kernel = ?2 AND b.version = ?3"
			  " AND json_remove(b.options, '$.policy') = ?4"
			  " GROUP BY f.hash ORDER BY f.hash",
			  &stmt);

	if (ret)
		return ret;
	sqlite3_bind_text(stmt, 1, group->hash, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, group->kernel, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 3, group->version, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 4, group->options, -1, SQLITE_STATIC);
	while ((ret = next_row(load, stmt)) > 0)
		if ((ret = load_bound(load, stmt, group)))
			break;
	sqlite3_finalize(stmt);
	return ret;
}

static int load_counts(struct load *load, sqlite3_stmt *steps, sqlite3_stmt *exits,
		       sqlite3_stmt *paths)
{
	for (size_t g = 0; g < load->results->nr_groups; g++) {
		struct result_group *group = &load->results->groups[g];
		int ret = load_bounds(load, group);

		for (size_t i = 0; i < group->nr && !ret; i++) {
			struct ledger *ledger = &group->runs[i].ledger;

			ret = load_steps(load, steps, group->run_ids[i], ledger);

			if (!ret)
				ret = load_exits(load, exits, group->run_ids[i], ledger);
			if (!ret)
				ret = load_paths(load, paths, group->run_ids[i], ledger);
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int load_all(struct load *load, const struct result_filter *filter)
{
	sqlite3_stmt *steps = NULL, *exits = NULL, *paths = NULL;
	int ret = load_runs(load, filter);

	if (!ret)
		ret = prepare(load, "SELECT step, count FROM step_counts WHERE run_id = ?1",
			      &steps);
	if (!ret)
		ret = prepare(load, "SELECT reason, count FROM exit_counts WHERE run_id = ?1",
			      &exits);
	if (!ret)
		ret = prepare(load,
			      "SELECT event, exit_reason, steps, count FROM path_counts"
			      " WHERE run_id = ?1 ORDER BY ordinal",
			      &paths);
	if (!ret)
		ret = load_counts(load, steps, exits, paths);
	sqlite3_finalize(steps);
	sqlite3_finalize(exits);
	sqlite3_finalize(paths);
	return ret;
}

/* A trace that was asked for and is not there is a mistake, not an empty answer. */
static int check_traces(struct load *load, const struct result_filter *filter)
{
	for (size_t i = 0; i < filter->nr_traces; i++)
		if (!load->found[i])
			return xfd_error_set(
				load->err, XFD_ERROR_INPUT, NULL, 0, -1,
				"the database has no such run of \"%.80s\"; wanted a "
				"trace's file name as it was given, or the first digits "
				"of its hash",
				filter->traces[i]);
	return 0;
}

int results_load(struct store *store, const struct result_filter *filter, struct results *results,
		 struct xfd_error *err)
{
	static const struct result_filter any = {0};
	struct load load = {.store = store, .results = results, .err = err};
	int ret, rc;

	*results = (struct results){0};
	if (!filter)
		filter = &any;
	load.found = calloc(filter->nr_traces + 1, sizeof(*load.found));
	if (!load.found)
		return no_memory(&load);
	/* One snapshot, whatever a writer does meanwhile. */
	rc = sqlite3_exec(store_db(store), "BEGIN", NULL, NULL, NULL);
	ret = rc == SQLITE_OK ? load_all(&load, filter) : store_fail(store, rc, doing, err);
	sqlite3_exec(store_db(store), "ROLLBACK", NULL, NULL, NULL);
	if (!ret)
		ret = check_traces(&load, filter);
	free(load.found);
	if (ret)
		results_release(results);
	return ret;
}

void results_release(struct results *results)
{
	for (size_t g = 0; g < results->nr_groups; g++) {
		struct result_group *group = &results->groups[g];

		for (size_t i = 0; i < group->nr; i++)
			free(group->runs[i].ledger.paths);
		free(group->runs);
		free(group->run_ids);
		free(group->bounds);
	}
	for (size_t i = 0; i < results->nr_texts; i++)
		free(results->texts[i]);
	free(results->groups);
	free(results->texts);
	memset(results, 0, sizeof(*results));
}
