/* SPDX-License-Identifier: MIT */
/**
 * DOC: Stored runs, read back for pricing and reports.
 *
 * Shape: groups of runs that may be compared: one trace, kernel and version, and options that
 *        differ in the policy's own alone, as in the view "comparison". A run comes back as
 *        the struct run that was stored, so whatever works on a replay works on a database.
 *
 * Everything is read at once: a run is tens of rows, and a report looks at each of them
 * several times.
 */
#ifndef SIM_RESULTS_H
#define SIM_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim/ledger.h"
#include "sim/store.h"
#include "traces/error.h"

/**
 * struct result_filter - Which runs.
 * @traces:    names as stored, or the first digits of a hash (at least 4); any when there are
 *             none
 * @nr_traces: entries of @traces
 * @kernel:    NULL for any
 * @run_id:    this run only; 0 for any
 */
struct result_filter {
	const char *const *traces;
	size_t nr_traces;
	const char *kernel;
	int64_t run_id;
};

/**
 * struct result_bound - The clairvoyant bound of a group's trace, under one profile.
 * @profile_hash: of that profile
 * @bound:        see there
 */
struct result_bound {
	char profile_hash[PROFILE_HASH_LEN];
	struct bound bound;
};

/**
 * struct result_group - Runs that may be compared. Texts are owned by the results.
 * @trace:      the file that the trace was first seen in
 * @mode:       measured, restored, projected, synthetic, scenario or unknown
 * @hash:       identity of the trace
 * @provenance: JSON
 * @kernel:     of all runs
 * @version:    of the program that made them
 * @options:    that they share, as JSON
 * @tsc_khz:    the trace's clock
 * @nr_vcpus:   of the trace
 * @nr_pcpus:   of the trace
 * @runs:       in the order in which they were stored; vcpus and duration are not read
 * @run_ids:    runs.id of each
 * @nr:         entries of @runs and @run_ids, at least 1
 * @bounds:     those that are stored, one for each profile
 * @nr_bounds:  entries of @bounds
 */
struct result_group {
	const char *trace;
	const char *mode;
	const char *hash;
	const char *provenance;
	const char *kernel;
	const char *version;
	const char *options;
	uint64_t tsc_khz;
	uint32_t nr_vcpus;
	uint32_t nr_pcpus;
	struct run *runs;
	int64_t *run_ids;
	size_t nr;
	struct result_bound *bounds;
	size_t nr_bounds;
};

/**
 * struct results - What a filter selects.
 * @groups:    by trace, kernel, version and options
 * @nr_groups: entries of @groups
 * @texts:     memory of all texts
 * @nr_texts:  entries of @texts
 */
struct results {
	struct result_group *groups;
	size_t nr_groups;
	char **texts;
	size_t nr_texts;
};

/**
 * results_load() - Read runs.
 * @store:   open
 * @filter:  which; NULL for all
 * @results: filled; release it with results_release()
 * @err:     filled on failure: input when a run has a step, event or exit reason that this
 *           program does not know, or when a trace of the filter is not there
 *
 * No run at all is no error. Return: 0 or a negative errno; nothing needs releasing then.
 */
int results_load(struct store *store, const struct result_filter *filter, struct results *results,
		 struct xfd_error *err) __attribute__((warn_unused_result));

/** results_release() - Free what results own. */
void results_release(struct results *results);

#endif /* SIM_RESULTS_H */
