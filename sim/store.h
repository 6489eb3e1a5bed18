/* SPDX-License-Identifier: MIT */
/**
 * DOC: The results database, one SQLite file.
 *
 * Shape: traces, profiles with their prices, runs with their counts (sim/schema.sql), bounds
 *        (sim/schema_2.sql). Views multiply counts by prices, so the sqlite3 shell is a full
 *        user interface.
 * Unit:  a run is one transaction. Whatever kills the program, and whenever, the file holds
 *        whole runs only. The journal is a rollback journal: beside the one file there is
 *        nothing to copy or lose once no program is writing.
 *
 * Values above 2^63 - 1 do not fit a column and are refused.
 */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/bound.h"
#include "sim/ledger.h"
#include "sim/profile.h"
#include "traces/error.h"
#include "traces/trace.h"

enum {
	STORE_APPLICATION_ID = 0x78666473, /* "xfds", in the file's header */
	STORE_BUSY_TIMEOUT_MS = 2000,
	STORE_IDENTITY_LEN = 33 /* 32 hex digits and NUL */
};

struct store;

/**
 * struct store_migration - One step of the schema's history.
 * @version: what PRAGMA user_version becomes; 1 for the first, then one more each
 * @sql:     the script that leads there from the version before; it runs in a transaction,
 *           with foreign keys off and checked at its end
 */
struct store_migration {
	int version;
	const char *sql;
};

/**
 * store_open() - Open a database for reading and writing; make it when there is none.
 * @path:  file name; never interpreted as a URI or a name with a special meaning
 * @store: receives the store; close it with store_close()
 * @err:   filled on failure: input when the file is no xfdsim database, is damaged or was made
 *         by a newer xfdsim; system when it is locked, read-only, full or cannot be opened
 *
 * An older schema is migrated. A file that is refused is left as it was. Return: 0 or a
 * negative errno.
 */
int store_open(const char *path, struct store **store, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * store_open_existing() - Open a database for reading only.
 * @path:  file name, which has to exist
 * @store: receives the store; close it with store_close()
 * @err:   filled on failure, as by store_open()
 *
 * A file with an older schema is read through a copy in memory, migrated there. Return: 0 or a
 * negative errno.
 */
int store_open_existing(const char *path, struct store **store, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * store_open_migrating() - store_open() with another history, for tests of migration.
 * @path:          file name
 * @migrations:    in order, without gaps, from version 1
 * @nr_migrations: entries of @migrations
 * @store:         receives the store; close it with store_close()
 * @err:           filled on failure
 *
 * Return: 0 or a negative errno.
 */
int store_open_migrating(const char *path, const struct store_migration *migrations,
			 size_t nr_migrations, struct store **store, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * store_schema() - The history that store_open() uses.
 * @nr_migrations: receives the number of entries, which is the newest version
 *
 * Return: the migrations, a constant.
 */
const struct store_migration *store_schema(size_t *nr_migrations);

/** store_close() - Close a store; NULL is allowed. */
void store_close(struct store *store);

/**
 * store_db() - The connection, for queries.
 * @store: the store
 *
 * Foreign keys are on. Do not write through it. Return: owned by @store.
 */
sqlite3 *store_db(struct store *store);

/**
 * store_fail() - Translate what SQLite says into an error.
 * @store:  the store
 * @rc:     a result code other than SQLITE_OK, SQLITE_ROW and SQLITE_DONE
 * @doing:  what failed, as in "cannot DOING"
 * @err:    filled
 *
 * The only translation there is; queries through store_db() use it too. Return: a negative
 * errno.
 */
int store_fail(const struct store *store, int rc, const char *doing, struct xfd_error *err);

/**
 * store_profile() - Store a profile and its prices.
 * @store:   open for writing
 * @profile: the profile
 * @id:      receives profiles.id; NULL is allowed
 * @err:     filled on failure
 *
 * The same clocks and prices under the same name are one profile: storing it again only
 * brings its texts, grades and bases up to date. One transaction. Return: 0 or a negative
 * errno.
 */
int store_profile(struct store *store, const struct cost_profile *profile, int64_t *id,
		  struct xfd_error *err) __attribute__((warn_unused_result));

/**
 * store_run() - Store a run and, when it is new, its trace.
 * @store:      open for writing
 * @run:        the run
 * @trace:      header of the trace that was replayed
 * @trace_name: the file it came from
 * @run_id:     receives runs.id; NULL is allowed
 * @existed:    receives whether the run was there before; NULL is allowed
 * @err:        filled on failure
 *
 * A run that is there already is not changed, but compared count by count: one that differs is
 * an error (input), because the same identity must mean the same counts. One transaction.
 * Return: 0 or a negative errno.
 */
int store_run(struct store *store, const struct run *run, const struct trace_info *trace,
	      const char *trace_name, int64_t *run_id, bool *existed, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * store_bound() - Store the clairvoyant bound of a trace.
 * @store:   open for writing
 * @run:     a stored run of it: its trace, kernel and options
 * @profile: at whose typical prices; stored too
 * @bound:   the bound
 * @err:     filled on failure
 *
 * One that is there already must be the same: else input. One transaction. Return: 0 or a
 * negative errno.
 */
int store_bound(struct store *store, const struct run *run, const struct cost_profile *profile,
		const struct bound *bound, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * run_identity() - What tells runs apart: XXH3-128 over trace hash, policy, kernel, options
 * and the program's version.
 * @run:      the run; its counts are not looked at
 * @identity: receives 32 hex digits
 *
 * Hashed is the text "xfdsim-run 1" and the five, each ended by a newline. Return: 0, or
 * -ENOMEM.
 */
int run_identity(const struct run *run, char identity[STORE_IDENTITY_LEN])
	__attribute__((warn_unused_result));

#endif /* SIM_STORE_H */
