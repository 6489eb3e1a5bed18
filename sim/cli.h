/* SPDX-License-Identifier: MIT */
/**
 * DOC: What subcommands share: options, errors, progress, output.
 *
 * Only cli.c, usage.c, main.c and sim/cmd/ know about the command line and standard streams.
 */
#ifndef SIM_CLI_H
#define SIM_CLI_H

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sim/cmd.h"
#include "sim/engine.h"
#include "sim/profile.h"
#include "sim/store.h"
#include "traces/error.h"

/**
 * cli_parse() - argp_parse() under the name "xfdsim COMMAND", with status 2 for bad usage.
 * @argp:  the command's options
 * @argc:  as given to the command
 * @argv:  as given to the command; argv[0] is replaced
 * @input: for the parser
 *
 * Does not return when the command line is wrong, which is said in one line with a hint, or asks
 * for --help. Commands that take no arguments have to say so by ARGP_ERR_UNKNOWN.
 */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/** cli_usage() - Complain about the command line in one line and exit with status 2. */
void cli_usage(const struct argp_state *state, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/**
 * cli_take_trace() - The one trace of a command that takes one.
 * @state: of argp, for the complaint
 * @arg:   of ARGP_KEY_ARG; NULL for ARGP_KEY_END, when there has to be one
 * @trace: the command's
 */
void cli_take_trace(struct argp_state *state, char *arg, const char **trace);

/**
 * cli_number() - A whole number from the command line.
 * @state: of argp, for the complaint
 * @what:  the option's name
 * @text:  decimal or 0x; underscores may group digits
 * @min:   smallest allowed
 * @max:   largest allowed
 *
 * Does not return when it is none. Return: the number.
 */
uint64_t cli_number(struct argp_state *state, const char *what, const char *text, uint64_t min,
		    uint64_t max);

/** cli_fail() - Print an error in one line. Return: the exit status for its kind. */
int cli_fail(const struct xfd_error *err);

/** cli_warn() - Print a remark on standard error, "xfdsim: note: ...". */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** cli_progress() - Progress on standard error when that is a terminal; @data is a label. */
void cli_progress(void *data, uint64_t done_bytes, uint64_t total_bytes);

/** cli_progress_end() - Wipe the progress line, if there is one. */
void cli_progress_end(void);

/**
 * struct cli_output - Where a command's result goes: collected, then written whole.
 * @text: print here
 * @buf:  what was printed
 * @len:  bytes of it
 * @failed: something could not be made; closing says so
 */
struct cli_output {
	FILE *text;
	char *buf;
	size_t len;
	bool failed;
};

/** cli_output_open() - Begin a result. Return: 0, or an exit status after a message. */
int cli_output_open(struct cli_output *out);

/** cli_output_json() - Add JSON, indented, numbers exact; takes @root over. */
void cli_output_json(struct cli_output *out, json_t *root);

/**
 * cli_output_close() - Write the result.
 * @out:    gone afterwards
 * @path:   a file, made whole or not at all; NULL for standard output
 * @status: what the command would return
 *
 * Return: @status, or the status of a failed write after a message.
 */
int cli_output_close(struct cli_output *out, const char *path, int status);

/**
 * struct cli_run_args - Options of every command that replays.
 * @options:  policy is not set by these
 * @profile:  --profile
 * @db:       --db; NULL with --no-db
 * @output:   -o; NULL for standard output
 * @json:     --json
 */
struct cli_run_args {
	struct engine_options options;
	const char *profile;
	const char *db;
	const char *output;
	bool json;
};

/** cli_run_args_default() - Defaults: see cli_run_child's help. */
void cli_run_args_default(struct cli_run_args *args);

/* The shared options as a child of a command's argp; its input is a struct cli_run_args. */
extern const struct argp cli_run_argp;

/** cli_policy() - Find a policy or complain, with the near name. Does not return NULL. */
const struct xfd_policy *cli_policy(struct argp_state *state, const char *name);

/** cli_warn_states() - Say which runs had too many states for the automaton. */
void cli_warn_states(const struct run *runs, size_t nr);

/**
 * cli_store_begin() - Make sure, before any work, that results can be stored.
 * @db:    the database's name; NULL with --no-db
 * @store: receives it when the file is there already, else NULL: a run that fails shall not
 *         leave an empty database behind
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int cli_store_begin(const char *db, struct store **store, struct xfd_error *err);

/**
 * cli_store_runs() - Store runs, unless --no-db.
 * @db:    as for cli_store_begin()
 * @store: as it left it; made now if it was not there
 * @runs:  what to store
 * @nr:    entries of @runs
 * @trace: what they replayed
 * @path:  its name
 * @profile: stored too
 * @err:   filled on failure
 *
 * Return: 0 or a negative errno.
 */
int cli_store_runs(const char *db, struct store **store, const struct run *runs, size_t nr,
		   const struct engine_trace *trace, const char *path,
		   const struct cost_profile *profile, struct xfd_error *err);

/** cli_shell_word() - Print a word so that a POSIX shell reads it back as it is. */
void cli_shell_word(FILE *out, const char *word);

/** cli_trace_json() - What a trace says about itself. Return: new reference. */
json_t *cli_trace_json(const char *path, const struct engine_trace *trace);

/** cli_trace_mode() - "projected" and the like, from the provenance; malloc'd. */
char *cli_trace_mode(const struct trace_info *info);

/** cli_ledger_json() - The counts of a run: steps, exits, vCPUs, paths. Return: new reference. */
json_t *cli_ledger_json(const struct run *run);

/**
 * cli_text() - A JSON string of any bytes; what is no UTF-8 becomes "?".
 * @text: a file's name or the like
 *
 * Return: new reference.
 */
json_t *cli_text(const char *text);

/** cli_clean() - Make text safe for a terminal: control bytes become "?". Return: @text. */
char *cli_clean(char *text);

/**
 * cli_refuse_same() - Refuse to write a result over one of the files it is made from.
 * @output: where the result goes; NULL for standard output
 * @input:  a file that is read or kept; NULL for none
 *
 * Return: 0, or the exit status after a message.
 */
int cli_refuse_same(const char *output, const char *input);

/** cli_uint() - A JSON integer; values above 2^63 - 1 become strings. Return: new reference. */
json_t *cli_uint(uint64_t value);

#endif /* SIM_CLI_H */
