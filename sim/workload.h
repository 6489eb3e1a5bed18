/* SPDX-License-Identifier: MIT */
/**
 * DOC: Workloads, named guests for `xfdsim gen`.
 *
 * A workload is a JSON file: numbers of traces/gen_option_list.h by name, optionally phases
 * that change some of them, and where the numbers come from. sim/workloads/README.md
 * describes it; the built-in ones are such files, made part of the program by the build.
 */
#ifndef SIM_WORKLOAD_H
#define SIM_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traces/error.h"
#include "traces/gen.h"

/**
 * struct workload - One guest.
 * @name:    owned
 * @summary: one line, owned
 * @basis:   where its numbers come from, or that they are assumed; owned
 * @options: for gen_trace(), phases left out
 * @phases:  owned; their options are @options but for what varies
 * @nr_phases: entries of @phases
 * @source:  the file, or the built-in name; owned
 * @is_file: so that its numbers can be changed there
 * @json:    what it says, owned
 */
struct workload {
	char *name;
	char *summary;
	char *basis;
	struct gen_options options;
	struct gen_phase *phases;
	size_t nr_phases;
	char *source;
	bool is_file;
	char *json;
};

/** workload_name_at() - The built-in ones. Return: a name, NULL past the last. */
const char *workload_name_at(size_t index);

/**
 * workload_load() - A built-in workload by name, or a file.
 * @name_or_path: with a '/' or ".json" it is a file
 * @workload: receives it; free it with workload_free()
 * @err:      filled on failure: what is wrong, and where a key is unknown the nearest one
 *
 * Return: 0 or a negative errno.
 */
int workload_load(const char *name_or_path, struct workload **workload, struct xfd_error *err)
	__attribute__((warn_unused_result));

/**
 * workload_line() - Where a workload says a number.
 * @workload: the workload
 * @phase:    in which phase, from 1; 0 for outside of phases
 * @key:      as it is written there
 *
 * Return: a line from 1; 0 when it does not say it.
 */
uint64_t workload_line(const struct workload *workload, size_t phase, const char *key);

/** workload_free() - Free a workload; NULL is allowed. */
void workload_free(struct workload *workload);

/**
 * gen_options_field() - The number that a key names.
 * @options: holds it
 * @key:     a field's name
 * @value:   to store; NULL to look only
 * @varying: only fields that phases may change
 *
 * Return: 1, 0 when there is no such field, or -1 when @value does not fit it.
 */
int gen_options_field(struct gen_options *options, const char *key, const uint64_t *value,
		      int varying);

#endif /* SIM_WORKLOAD_H */
