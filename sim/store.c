/* SPDX-License-Identifier: MIT */
/*
 * The results database: opening, migrating, and storing one run in one transaction.
 *
 * A run is some tens of rows (31 steps, a handful of exit reasons, tens of paths, one row a
 * vCPU), so statements are prepared anew for each run and the time goes into the two fsyncs of
 * its commit. Writers take the write lock before they look whether a run exists, so two
 * processes that store the same run at the same time agree on who was first.
 *
 * Storing and verifying walk the same rows: the walk is written once, and a verify compares
 * where an insert inserts (struct rows).
 */
#include "sim/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "models/event.h"
#include "sim/digest.h"

/* Made by CMake from sim/schema.sql and sim/schema_2.sql. */
extern const char embedded_schema_sql[];
extern const char embedded_schema_2_sql[];

/* A new version is one more entry, with a script that changes what the one before left. */
static const struct store_migration schema[] = {
	{1, embedded_schema_sql},
	{2, embedded_schema_2_sql},
};

struct store {
	sqlite3 *db;
	char *path; /* as the user wrote it, for errors */
};

const struct store_migration *store_schema(size_t *nr_migrations)
{
	*nr_migrations = sizeof(schema) / sizeof(schema[0]);
	return schema;
}

sqlite3 *store_db(struct store *store)
{
	return store->db;
}

int store_fail(const struct store *store, int rc, const char *doing, struct xfd_error *err)
{
	const char *message = store->db ? sqlite3_errmsg(store->db) : sqlite3_errstr(rc);
	enum xfd_error_kind kind = XFD_ERROR_SYSTEM;
	int system_errno = 0;
	char text[256];

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		message = "locked by another process; try again or use --db";
		break;
	case SQLITE_FULL:
		message = "no space left";
		break;
	case SQLITE_READONLY:
		message = "the file or its directory is read-only";
		break;
	case SQLITE_NOMEM:
		message = "out of memory";
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		system_errno = store->db ? sqlite3_system_errno(store->db) : 0;
		break;
	case SQLITE_NOTADB:
		kind = XFD_ERROR_INPUT;
		message = "wanted an SQLite database, this file is none";
		break;
	case SQLITE_CORRUPT:
		kind = XFD_ERROR_INPUT;
		message = "the database is damaged";
		break;
	case SQLITE_ERROR:      /* a table or column that should be there is not */
	case SQLITE_CONSTRAINT: /* a value that the schema does not allow */
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		kind = XFD_ERROR_INPUT;
		break;
	default:
		break;
	}
	snprintf(text, sizeof(text), "%.160s%s%.80s", message, system_errno ? ": " : "",
		 system_errno ? strerror(system_errno) : "");
	return xfd_error_set(err, kind, store->path, 0, -1, "cannot %s: %s", doing, text);
}

static int refuse(const struct store *store, struct xfd_error *err, const char *text)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, store->path, 0, -1, "%s", text);
}

static int exec(struct store *store, const char *sql, const char *doing, struct xfd_error *err)
{
	int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_fail(store, rc, doing, err);
}

/* Bind from ?@first on: 'n' takes a uint64_t, 't' a const char * where NULL is an SQL NULL. */
static int bind(struct store *store, sqlite3_stmt *stmt, int first, const char *types,
		va_list values, const char *doing, struct xfd_error *err)
{
	int rc = SQLITE_OK;

	for (int i = first; *types && rc == SQLITE_OK; types++, i++) {
		const char *text;
		uint64_t number;

		if (*types == 't') {
			text = va_arg(values, const char *);
			rc = sqlite3_bind_text(stmt, i, text, -1, SQLITE_TRANSIENT);
			continue;
		}
		number = va_arg(values, uint64_t);
		if (number > INT64_MAX)
			return xfd_error_set(err, XFD_ERROR_INPUT, store->path, 0, -1,
					     "cannot %s: %" PRIu64 " is above 2^63 - 1", doing,
					     number);
		rc = sqlite3_bind_int64(stmt, i, (sqlite3_int64)number);
	}
	return rc == SQLITE_OK ? 0 : store_fail(store, rc, doing, err);
}

/* Run one statement. Returns 1 and its first column if there is a row, 0 if there is none. */
static int one(struct store *store, int64_t *value, const char *doing, struct xfd_error *err,
	       const char *sql, const char *types, ...)
{
	sqlite3_stmt *stmt;
	va_list values;
	int rc, ret;

	rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return store_fail(store, rc, doing, err);
	va_start(values, types);
	ret = bind(store, stmt, 1, types, values, doing, err);
	va_end(values);
	if (ret)
		goto finalize;
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		ret = 1;
		if (value)
			*value = sqlite3_column_int64(stmt, 0);
	} else if (rc != SQLITE_DONE) {
		ret = store_fail(store, rc, doing, err);
	}
finalize:
	sqlite3_finalize(stmt);
	return ret;
}

static int begin(struct store *store, const char *doing, struct xfd_error *err)
{
	return exec(store, "BEGIN IMMEDIATE", doing, err);
}

static void rollback(struct store *store)
{
	/* After a full disk SQLite may have rolled back by itself. */
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* Commit if all went well, else roll back. */
static int finish(struct store *store, int ret, const char *doing, struct xfd_error *err)
{
	if (ret >= 0)
		ret = exec(store, "COMMIT", doing, err);
	if (ret < 0)
		rollback(store);
	return ret;
}

/* Opening and migrating. */

/* What schema the file has; 0 for an empty file. Called in a transaction: one snapshot. */
static int read_version(struct store *store, size_t newest, int64_t *version, struct xfd_error *err)
{
	static const char doing[] = "read the database";
	int64_t id = 0, nr_objects = 0;
	int ret;

	ret = one(store, &id, doing, err, "PRAGMA application_id", "");
	if (ret >= 0)
		ret = one(store, version, doing, err, "PRAGMA user_version", "");
	if (ret >= 0)
		ret = one(store, &nr_objects, doing, err, "SELECT count(*) FROM sqlite_schema", "");
	if (ret < 0)
		return ret;
	if (!id && !*version && !nr_objects)
		return 0;
	if (id != STORE_APPLICATION_ID)
		return refuse(store, err,
			      "wanted a results database, this SQLite database is not "
			      "xfdsim's");
	if (*version > (int64_t)newest)
		return xfd_error_set(err, XFD_ERROR_INPUT, store->path, 0, -1,
				     "made by a newer xfdsim (schema %" PRId64
				     ", this one knows %zu)",
				     *version, newest);
	if (*version < 1)
		return xfd_error_set(err, XFD_ERROR_INPUT, store->path, 0, -1,
				     "wanted a schema from 1 to %zu, got %" PRId64, newest,
				     *version);
	return 0;
}

static int check_version(struct store *store, size_t newest, int64_t *version,
			 struct xfd_error *err)
{
	int ret = exec(store, "BEGIN", "read the database", err);

	if (ret)
		return ret;
	ret = read_version(store, newest, version, err);
	rollback(store);
	return ret;
}

static int apply(struct store *store, const struct store_migration *migration,
		 struct xfd_error *err)
{
	static const char doing[] = "make the database's tables";
	char sql[96];
	int ret;

	ret = exec(store, migration->sql, doing, err);
	if (ret)
		return ret;
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 STORE_APPLICATION_ID, migration->version);
	return exec(store, sql, doing, err);
}

static int migrate(struct store *store, const struct store_migration *migrations, size_t nr,
		   struct xfd_error *err)
{
	static const char doing[] = "make the database's tables";
	int64_t version = 0;
	int ret;

	ret = begin(store, doing, err);
	if (ret)
		return ret;
	/* Another process may have done it while we waited for the lock. */
	ret = read_version(store, nr, &version, err);
	for (size_t i = (size_t)version; !ret && i < nr; i++)
		ret = apply(store, &migrations[i], err);
	if (!ret)
		ret = one(store, NULL, doing, err, "PRAGMA foreign_key_check", "");
	if (ret > 0)
		ret = refuse(store, err, "rows refer to rows that do not exist");
	return finish(store, ret, doing, err);
}

/* A name is a name: "./" keeps SQLite from seeing "file:..." or ":memory:" in it. */
static int connect(struct store *store, int flags, struct xfd_error *err)
{
	static const char doing[] = "open the database";
	char *name = NULL;
	int rc;

	if (asprintf(&name, "%s%s", *store->path == '/' ? "" : "./", store->path) < 0)
		return store_fail(store, SQLITE_NOMEM, doing, err);
	rc = sqlite3_open_v2(name, &store->db, flags, NULL);
	free(name);
	if (rc != SQLITE_OK)
		return store_fail(store, rc, doing, err);
	sqlite3_extended_result_codes(store->db, 1);
	/*
	 * A file from elsewhere may hold triggers and views that are not ours. They cannot damage
	 * it this way; nor do anything outside it, because no function that could is registered.
	 */
	rc = sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_busy_timeout(store->db, STORE_BUSY_TIMEOUT_MS);
	return rc == SQLITE_OK ? 0 : store_fail(store, rc, doing, err);
}

/* So that an older schema can be read as if it were migrated, and the file stays as it is. */
static int copy_to_memory(struct store *store, struct xfd_error *err)
{
	static const char doing[] = "read the database";
	sqlite3_backup *backup;
	sqlite3 *copy = NULL;
	int rc = sqlite3_open(":memory:", &copy);

	if (rc == SQLITE_OK) {
		backup = sqlite3_backup_init(copy, "main", store->db, "main");
		sqlite3_backup_step(backup, -1);
		rc = sqlite3_backup_finish(backup);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(copy, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc != SQLITE_OK) {
		sqlite3_close(copy);
		return xfd_error_set(err, XFD_ERROR_SYSTEM, store->path, 0, -1, "cannot %s: %s",
				     doing, sqlite3_errstr(rc));
	}
	sqlite3_extended_result_codes(copy, 1);
	sqlite3_close(store->db);
	store->db = copy;
	return 0;
}

static int open_store(struct store *store, bool writable, const struct store_migration *migrations,
		      size_t nr, struct xfd_error *err)
{
	int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	int64_t version = 0;
	int ret;

	ret = connect(store, flags, err);
	if (!ret)
		ret = check_version(store, nr, &version, err);
	if (ret)
		return ret;
	/* SQLite opens a file that may not be written for reading instead. */
	if (writable && sqlite3_db_readonly(store->db, "main"))
		return store_fail(store, SQLITE_READONLY, "write the database", err);
	if (!writable && !version)
		return refuse(store, err, "wanted a results database, the file is empty");
	if (!writable && version < (int64_t)nr)
		ret = copy_to_memory(store, err);
	if (!ret && version < (int64_t)nr) {
		ret = exec(store, "PRAGMA foreign_keys = OFF", "open the database", err);
		if (!ret)
			ret = migrate(store, migrations, nr, err);
	}
	if (!ret)
		ret = exec(store, "PRAGMA foreign_keys = ON", "open the database", err);
	return ret;
}

static int new_store(const char *path, bool writable, const struct store_migration *migrations,
		     size_t nr, struct store **store, struct xfd_error *err)
{
	struct store *opened;
	int ret;

	*store = NULL;
	if (!*path)
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "wanted the name of a database, got an empty one");
	opened = calloc(1, sizeof(*opened));
	if (opened)
		opened->path = strdup(path);
	if (!opened || !opened->path) {
		xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "out of memory");
		ret = -ENOMEM;
	} else {
		ret = open_store(opened, writable, migrations, nr, err);
	}
	if (ret)
		store_close(opened);
	else
		*store = opened;
	return ret;
}

int store_open_migrating(const char *path, const struct store_migration *migrations,
			 size_t nr_migrations, struct store **store, struct xfd_error *err)
{
	return new_store(path, true, migrations, nr_migrations, store, err);
}

int store_open(const char *path, struct store **store, struct xfd_error *err)
{
	return new_store(path, true, schema, sizeof(schema) / sizeof(schema[0]), store, err);
}

int store_open_existing(const char *path, struct store **store, struct xfd_error *err)
{
	if (access(path, F_OK) && errno == ENOENT)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1,
				     "no such database: `xfdsim compare` and `xfdsim replay` make "
				     "one, and --db names it");
	return new_store(path, false, schema, sizeof(schema) / sizeof(schema[0]), store, err);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}

/* Profiles. */

static int put_price(struct store *store, int64_t profile_id, enum step step,
		     const struct step_price *price, struct xfd_error *err)
{
	char grade[2] = {price->grade, '\0'};

	return one(store, NULL, "store a profile", err,
		   "INSERT INTO prices (profile_id, step, ordinal, low, typical, high, grade,"
		   " basis, source, hypothetical)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
		   " ON CONFLICT (profile_id, step) DO UPDATE SET grade = excluded.grade,"
		   " basis = excluded.basis, source = excluded.source,"
		   " hypothetical = excluded.hypothetical"
		   " WHERE (grade, basis, source, hypothetical) <>"
		   " (excluded.grade, excluded.basis, excluded.source, excluded.hypothetical)",
		   "ntnnnntttn", (uint64_t)profile_id, step_name(step), (uint64_t)step,
		   price->cycles[PRICE_LOW], price->cycles[PRICE_TYPICAL],
		   price->cycles[PRICE_HIGH], grade, price_basis_name(price->basis), price->source,
		   (uint64_t)price->hypothetical);
}

static int put_profile(struct store *store, const struct cost_profile *profile, int64_t *id,
		       struct xfd_error *err)
{
	static const char doing[] = "store a profile";
	char hash[PROFILE_HASH_LEN];
	int ret;

	profile_hash(profile, hash);
	ret = one(store, NULL, doing, err,
		  "INSERT INTO profiles (hash, name, title, tsc_khz, core_khz, clock_note)"
		  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		  " ON CONFLICT (hash, name) DO UPDATE SET title = excluded.title,"
		  " clock_note = excluded.clock_note"
		  " WHERE (title, clock_note) <> (excluded.title, excluded.clock_note)",
		  "tttnnt", hash, profile->name, profile->title, profile->tsc_khz,
		  profile->core_khz, profile->clock_note);
	if (ret >= 0)
		ret = one(store, id, doing, err,
			  "SELECT id FROM profiles WHERE hash = ?1 AND name = ?2", "tt", hash,
			  profile->name);
	for (int step = 0; ret >= 0 && step < NR_PRICED_STEPS; step++)
		ret = put_price(store, *id, (enum step)step, &profile->price[step], err);
	return ret;
}

int store_profile(struct store *store, const struct cost_profile *profile, int64_t *id,
		  struct xfd_error *err)
{
	static const char doing[] = "store a profile";
	int64_t profile_id = 0;
	int ret;

	ret = begin(store, doing, err);
	if (ret)
		return ret;
	ret = finish(store, put_profile(store, profile, &profile_id, err), doing, err);
	if (!ret && id)
		*id = profile_id;
	return ret;
}

/* Runs. */

int run_identity(const struct run *run, char identity[STORE_IDENTITY_LEN])
{
	char *text;
	int len;

	_Static_assert((int)STORE_IDENTITY_LEN == (int)DIGEST_LEN, "an identity is a digest");
	len = asprintf(&text, "xfdsim-run 1\n%s\n%s\n%s\n%s\n%s\n", run->trace_hash, run->policy,
		       run->kernel, run->options, XFDSIM_VERSION);
	if (len < 0)
		return -ENOMEM;
	digest_hex(text, (size_t)len, identity);
	free(text);
	return 0;
}

/* The tables whose rows belong to a run; ?1 is always the run. */
struct table {
	const char *name;
	const char *insert;
	const char *same;
	const char *count;
};

static const struct table run_table = {
	.name = "runs",
	.insert = NULL, /* made first, to get an id */
	.same = "SELECT 1 FROM runs WHERE id = ?1 AND nr_events = ?2 AND nr_skipped = ?3"
		" AND xfd_writes = ?4 AND xfd_exits = ?5 AND fpstate_bytes = ?6"
		" AND fpstate_high_water_bytes = ?7",
	.count = "SELECT count(*) FROM runs WHERE id = ?1",
};

static const struct table step_table = {
	.name = "step_counts",
	.insert = "INSERT INTO step_counts (run_id, step, count) VALUES (?1, ?2, ?3)",
	.same = "SELECT 1 FROM step_counts WHERE run_id = ?1 AND step = ?2 AND count = ?3",
	.count = "SELECT count(*) FROM step_counts WHERE run_id = ?1",
};

static const struct table exit_table = {
	.name = "exit_counts",
	.insert = "INSERT INTO exit_counts (run_id, reason, count) VALUES (?1, ?2, ?3)",
	.same = "SELECT 1 FROM exit_counts WHERE run_id = ?1 AND reason = ?2 AND count = ?3",
	.count = "SELECT count(*) FROM exit_counts WHERE run_id = ?1",
};

static const struct table path_table = {
	.name = "path_counts",
	.insert = "INSERT INTO path_counts (run_id, ordinal, event, exit_reason, steps, count)"
		  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	.same = "SELECT 1 FROM path_counts WHERE run_id = ?1 AND ordinal = ?2 AND event = ?3"
		" AND exit_reason IS ?4 AND steps = ?5 AND count = ?6",
	.count = "SELECT count(*) FROM path_counts WHERE run_id = ?1",
};

static const struct table vcpu_table = {
	.name = "vcpu_finals",
	.insert = "INSERT INTO vcpu_finals (run_id, vcpu, state, intercept_xfd, intercept_nm,"
		  " fpstate_bytes, xfd, xfd_err) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
	.same = "SELECT 1 FROM vcpu_finals WHERE run_id = ?1 AND vcpu = ?2 AND state = ?3"
		" AND intercept_xfd = ?4 AND intercept_nm = ?5 AND fpstate_bytes = ?6"
		" AND xfd = ?7 AND xfd_err = ?8",
	.count = "SELECT count(*) FROM vcpu_finals WHERE run_id = ?1",
};

/* A walk over the rows that a run has, or is about to have, in one table. */
struct rows {
	struct store *store;
	const struct table *table;
	sqlite3_stmt *stmt;
	int64_t run_id;
	int64_t nr;
	bool verify;
	struct xfd_error *err;
};

static int rows_begin(struct rows *rows, const struct table *table)
{
	const char *sql = rows->verify ? table->same : table->insert;
	int rc;

	rows->table = table;
	rows->nr = 0;
	rc = sqlite3_prepare_v2(rows->store->db, sql, -1, &rows->stmt, NULL);
	return rc == SQLITE_OK ? 0 : store_fail(rows->store, rc, "store a run", rows->err);
}

static int rows_differ(const struct rows *rows)
{
	return xfd_error_set(rows->err, XFD_ERROR_INPUT, rows->store->path, 0, -1,
			     "run %" PRId64 " has this identity but other counts (%s, row %" PRId64
			     "): the database was changed, or two programs call themselves "
			     "xfdsim " XFDSIM_VERSION,
			     rows->run_id, rows->table->name, rows->nr + 1);
}

/* One row: insert it, or look that it is there. Values as for bind(), from ?2 on. */
static int rows_put(struct rows *rows, const char *types, ...)
{
	static const char doing[] = "store a run";
	va_list values;
	int rc, ret;

	rc = sqlite3_bind_int64(rows->stmt, 1, rows->run_id);
	if (rc != SQLITE_OK)
		return store_fail(rows->store, rc, doing, rows->err);
	va_start(values, types);
	ret = bind(rows->store, rows->stmt, 2, types, values, doing, rows->err);
	va_end(values);
	if (ret)
		return ret;
	rc = sqlite3_step(rows->stmt);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return store_fail(rows->store, rc, doing, rows->err);
	if (rows->verify && rc == SQLITE_DONE)
		return rows_differ(rows);
	rows->nr++;
	sqlite3_reset(rows->stmt);
	return 0;
}

/* @ret is how the walk went. A verify also has to find no row too many. */
static int rows_end(struct rows *rows, int ret)
{
	int64_t nr = 0;

	sqlite3_finalize(rows->stmt);
	rows->stmt = NULL;
	if (ret || !rows->verify)
		return ret;
	ret = one(rows->store, &nr, "read a run", rows->err, rows->table->count, "n",
		  (uint64_t)rows->run_id);
	if (ret < 0)
		return ret;
	return nr == rows->nr ? 0 : rows_differ(rows);
}

static int walk_steps(struct rows *rows, const struct ledger *ledger)
{
	int ret = rows_begin(rows, &step_table);

	for (int step = 0; !ret && step < NR_STEPS; step++)
		if (ledger->step_count[step])
			ret = rows_put(rows, "tn", step_name((enum step)step),
				       ledger->step_count[step]);
	return rows_end(rows, ret);
}

static int walk_exits(struct rows *rows, const struct ledger *ledger)
{
	int ret = rows_begin(rows, &exit_table);

	for (int reason = 0; !ret && reason < NR_EXIT_REASONS; reason++)
		if (ledger->exit_count[reason])
			ret = rows_put(rows, "tn", exit_reason_name(reason),
				       ledger->exit_count[reason]);
	return rows_end(rows, ret);
}

static void steps_text(const struct step_log *steps, char *text, size_t size)
{
	size_t used = 0;

	*text = '\0';
	for (int i = 0; i < steps->nr && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? " " : "",
					 step_name((enum step)steps->step[i]));
}

static int walk_paths(struct rows *rows, const struct ledger *ledger)
{
	int ret = rows_begin(rows, &path_table);

	for (size_t i = 0; !ret && i < ledger->nr_paths; i++) {
		const struct path_count *path = &ledger->paths[i];
		char text[STEP_LOG_MAX * 32];

		steps_text(&path->steps, text, sizeof(text));
		ret = rows_put(rows, "ntttn", (uint64_t)i, event_name((enum event_kind)path->kind),
			       exit_reason_name(path->exit_reason), text, path->count);
	}
	return rows_end(rows, ret);
}

static int walk_vcpus(struct rows *rows, const struct ledger *ledger)
{
	int ret = rows_begin(rows, &vcpu_table);

	for (uint32_t i = 0; !ret && i < ledger->nr_vcpus; i++) {
		const struct vcpu_final *vcpu = &ledger->vcpus[i];
		char xfd[24], xfd_err[24];

		snprintf(xfd, sizeof(xfd), "0x%" PRIx64, vcpu->xfd);
		snprintf(xfd_err, sizeof(xfd_err), "0x%" PRIx64, vcpu->xfd_err);
		ret = rows_put(rows, "ntnnntt", (uint64_t)i, vcpu->state,
			       (uint64_t)vcpu->intercept_xfd, (uint64_t)vcpu->intercept_nm,
			       (uint64_t)vcpu->fpstate_bytes, xfd, xfd_err);
	}
	return rows_end(rows, ret);
}

static int walk_run(struct store *store, int64_t run_id, bool verify, const struct ledger *ledger,
		    struct xfd_error *err)
{
	struct rows rows = {.store = store, .run_id = run_id, .verify = verify, .err = err};
	int ret = 0;

	if (verify) {
		ret = rows_begin(&rows, &run_table);
		if (!ret)
			ret = rows_put(&rows, "nnnnnn", ledger->nr_events, ledger->nr_skipped,
				       ledger->xfd_writes, ledger->xfd_exits, ledger->fpstate_bytes,
				       ledger->fpstate_high_water_bytes);
		ret = rows_end(&rows, ret);
	}
	if (!ret)
		ret = walk_steps(&rows, ledger);
	if (!ret)
		ret = walk_exits(&rows, ledger);
	if (!ret)
		ret = walk_paths(&rows, ledger);
	if (!ret)
		ret = walk_vcpus(&rows, ledger);
	return ret;
}

/*
 * What a trace counts is known from any run that skipped nothing, and all such runs have to
 * agree on it: the trace does not depend on policy, kernel or options.
 */
static int put_trace_counts(struct store *store, int64_t trace_id, const struct ledger *ledger,
			    struct xfd_error *err)
{
	static const char doing[] = "store a trace";
	int ret;

	if (ledger->nr_skipped)
		return 0;
	ret = one(store, NULL, doing, err,
		  "UPDATE traces SET nr_events = ?2, guest_cycles = ?3, xfd_writes = ?4"
		  " WHERE id = ?1 AND nr_events IS NULL",
		  "nnnn", (uint64_t)trace_id, ledger->nr_events, ledger->step_count[STEP_guest_run],
		  ledger->xfd_writes);
	if (ret < 0)
		return ret;
	ret = one(store, NULL, doing, err,
		  "SELECT 1 FROM traces WHERE id = ?1 AND nr_events = ?2 AND guest_cycles = ?3"
		  " AND xfd_writes = ?4",
		  "nnnn", (uint64_t)trace_id, ledger->nr_events, ledger->step_count[STEP_guest_run],
		  ledger->xfd_writes);
	if (ret)
		return ret < 0 ? ret : 0;
	return refuse(store, err,
		      "the run's events, guest cycles or XFD writes differ from those of an "
		      "earlier run of the same trace");
}

static int put_trace(struct store *store, const struct run *run, const struct trace_info *trace,
		     const char *name, int64_t *trace_id, struct xfd_error *err)
{
	static const char doing[] = "store a trace";
	int ret;

	ret = one(store, NULL, doing, err,
		  "INSERT INTO traces (hash, name, mode, provenance, tsc_khz, nr_vcpus, nr_pcpus,"
		  " armed_start)"
		  " VALUES (?1, ?2, CASE json_type(?3, '$.mode') WHEN 'text' THEN ?3 ->> '$.mode'"
		  " END, ?3, ?4, ?5, ?6, ?7)"
		  " ON CONFLICT (hash) DO NOTHING",
		  "tttnnnn", run->trace_hash, name, trace->provenance, trace->tsc_khz,
		  (uint64_t)trace->nr_vcpus, (uint64_t)trace->nr_pcpus,
		  (uint64_t)trace->armed_start);
	if (ret < 0)
		return ret;
	ret = one(store, trace_id, doing, err,
		  "SELECT id FROM traces WHERE hash = ?1 AND tsc_khz = ?2 AND nr_vcpus = ?3"
		  " AND nr_pcpus = ?4 AND armed_start = ?5",
		  "tnnnn", run->trace_hash, trace->tsc_khz, (uint64_t)trace->nr_vcpus,
		  (uint64_t)trace->nr_pcpus, (uint64_t)trace->armed_start);
	if (!ret)
		return refuse(store, err, "a trace with this hash but another header is there");
	return ret < 0 ? ret : put_trace_counts(store, *trace_id, &run->ledger, err);
}

static int insert_run(struct store *store, const struct run *run, const struct trace_info *trace,
		      const char *trace_name, const char *identity, int64_t *run_id,
		      struct xfd_error *err)
{
	const struct ledger *ledger = &run->ledger;
	int64_t trace_id = 0;
	int ret;

	ret = put_trace(store, run, trace, trace_name, &trace_id, err);
	if (ret)
		return ret;
	ret = one(store, NULL, "store a run", err,
		  "INSERT INTO runs (identity, trace_id, policy, kernel, options, version,"
		  " nr_events, nr_skipped, xfd_writes, xfd_exits, fpstate_bytes,"
		  " fpstate_high_water_bytes, duration_ns)"
		  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
		  "tnttttnnnnnnn", identity, (uint64_t)trace_id, run->policy, run->kernel,
		  run->options, XFDSIM_VERSION, ledger->nr_events, ledger->nr_skipped,
		  ledger->xfd_writes, ledger->xfd_exits, ledger->fpstate_bytes,
		  ledger->fpstate_high_water_bytes, run->duration_ns);
	if (ret < 0)
		return ret;
	*run_id = sqlite3_last_insert_rowid(store->db);
	return walk_run(store, *run_id, false, ledger, err);
}

int store_run(struct store *store, const struct run *run, const struct trace_info *trace,
	      const char *trace_name, int64_t *run_id, bool *existed, struct xfd_error *err)
{
	static const char doing[] = "store a run";
	char identity[STORE_IDENTITY_LEN];
	int64_t id = 0;
	int found, ret;

	if (run_identity(run, identity))
		return store_fail(store, SQLITE_NOMEM, doing, err);
	ret = begin(store, doing, err);
	if (ret)
		return ret;
	found = one(store, &id, doing, err, "SELECT id FROM runs WHERE identity = ?1", "t",
		    identity);
	if (found < 0)
		ret = found;
	else if (found)
		ret = walk_run(store, id, true, &run->ledger, err);
	else
		ret = insert_run(store, run, trace, trace_name, identity, &id, err);
	ret = finish(store, ret, doing, err);
	if (ret)
		return ret;
	if (run_id)
		*run_id = id;
	if (existed)
		*existed = found;
	return 0;
}

/* Bounds. */

/* ?1 trace, ?2 profile, ?3 kernel, ?4 options, ?5 version, ?6 on: the bound. */
static int put_bound(struct store *store, uint64_t trace_id, uint64_t profile_id,
		     const struct run *run, const struct bound *b, const char *sql,
		     struct xfd_error *err)
{
	return one(store, NULL, "store a bound", err, sql, "nntttnnnnnnn", trace_id, profile_id,
		   run->kernel, run->options, XFDSIM_VERSION, b->optimum_cycles,
		   b->optimum_decisions, (uint64_t)b->adaptive.adaptive_writes,
		   (uint64_t)b->adaptive.adaptive_exits,
		   b->adaptive.adaptive_writes ? b->adaptive_cycles : b->optimum_cycles,
		   (uint64_t)b->adaptive_exact, (uint64_t)b->adaptive_max_writes);
}

static int put_and_check_bound(struct store *store, const struct run *run,
			       const struct cost_profile *profile, const struct bound *bound,
			       struct xfd_error *err)
{
	int64_t trace_id = 0, profile_id = 0;
	int ret = put_profile(store, profile, &profile_id, err);

	if (ret >= 0)
		ret = one(store, &trace_id, "store a bound", err,
			  "SELECT id FROM traces WHERE hash = ?1", "t", run->trace_hash);
	if (ret < 0)
		return ret;
	if (!ret)
		return refuse(store, err, "a bound needs a stored run of its trace");
	ret = put_bound(store, (uint64_t)trace_id, (uint64_t)profile_id, run, bound,
			"INSERT INTO bounds (trace_id, profile_id, kernel, options, version,"
			" optimum_cycles, optimum_decisions, adaptive_writes, adaptive_exits,"
			" adaptive_cycles, adaptive_exact, adaptive_max_writes)"
			" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, 0), nullif(?9, 0),"
			" CASE WHEN ?8 THEN ?10 END, ?11, ?12)"
			" ON CONFLICT (trace_id, profile_id, kernel, options, version) DO NOTHING",
			err);
	if (ret < 0)
		return ret;
	ret = put_bound(store, (uint64_t)trace_id, (uint64_t)profile_id, run, bound,
			"SELECT 1 FROM bounds WHERE trace_id = ?1 AND profile_id = ?2"
			" AND kernel = ?3 AND options = ?4 AND version = ?5"
			" AND optimum_cycles = ?6 AND optimum_decisions = ?7"
			" AND adaptive_writes IS nullif(?8, 0) AND adaptive_exits IS nullif(?9, 0)"
			" AND adaptive_cycles IS CASE WHEN ?8 THEN ?10 END"
			" AND adaptive_exact = ?11 AND adaptive_max_writes = ?12",
			err);
	if (ret)
		return ret < 0 ? ret : 0;
	return refuse(store, err,
		      "another bound of the same trace, profile, kernel and options is there: the "
		      "database was changed, or two programs call themselves "
		      "xfdsim " XFDSIM_VERSION);
}

int store_bound(struct store *store, const struct run *run, const struct cost_profile *profile,
		const struct bound *bound, struct xfd_error *err)
{
	static const char doing[] = "store a bound";
	int ret = begin(store, doing, err);

	if (ret)
		return ret;
	return finish(store, put_and_check_bound(store, run, profile, bound, err), doing, err);
}
