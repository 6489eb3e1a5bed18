/* SPDX-License-Identifier: MIT */
#include "sim/cli.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "traces/nearest.h"
#include "traces/outfile.h"

uint64_t cli_number(struct argp_state *state, const char *what, const char *text, uint64_t min,
		    uint64_t max)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *first = hex ? text + 2 : text;
	char digits[32];
	size_t len = 0;
	uint64_t value;
	char *end;

	for (const char *c = first; *c; c++)
		if (*c != '_' && len < sizeof(digits) - 1)
			digits[len++] = *c;
	digits[len] = '\0';
	errno = 0;
	value = strtoull(digits, &end, hex ? 16 : 10);
	/* 010 is ten to some and eight to others; and nobody means 30 digits. */
	if (errno || len > 30 || !isxdigit((unsigned char)digits[0]) || *end ||
	    (!hex && digits[0] == '0' && len > 1) || value < min || value > max)
		cli_usage(state,
			  "%s wants a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'", what,
			  min, max, text);
	return value;
}

int cli_fail(const struct xfd_error *err)
{
	char line[1024];

	cli_progress_end();
	fprintf(stderr, "xfdsim: %s\n", xfd_error_format(err, line, sizeof(line)));
	switch (err->kind) {
	case XFD_ERROR_USAGE:
		return XFDSIM_USAGE;
	case XFD_ERROR_INPUT:
		return XFDSIM_INPUT;
	default:
		return XFDSIM_SYSTEM;
	}
}

void cli_warn(const char *fmt, ...)
{
	va_list ap;

	cli_progress_end();
	fputs("xfdsim: note: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

static bool progress_shown;

void cli_progress(void *data, uint64_t done_bytes, uint64_t total_bytes)
{
	static struct timespec last;
	struct timespec now;

	if (!isatty(STDERR_FILENO))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if ((now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 < 200)
		return;
	last = now;
	progress_shown = true;
	if (total_bytes)
		fprintf(stderr, "\r%s: %3" PRIu64 " %%  %" PRIu64 " of %" PRIu64 " MB\033[K",
			(const char *)data, done_bytes * 100 / total_bytes, done_bytes / 1000000,
			total_bytes / 1000000);
	else
		fprintf(stderr, "\r%s: %" PRIu64 " MB\033[K", (const char *)data,
			done_bytes / 1000000);
	fflush(stderr);
}

void cli_progress_end(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

int cli_output_open(struct cli_output *out)
{
	*out = (struct cli_output){0};
	out->text = open_memstream(&out->buf, &out->len);
	if (out->text)
		return XFDSIM_OK;
	fputs("xfdsim: out of memory\n", stderr);
	return XFDSIM_SYSTEM;
}

void cli_output_json(struct cli_output *out, json_t *root)
{
	if (!root || json_dumpf(root, out->text, JSON_INDENT(2) | JSON_REAL_PRECISION(12)))
		out->failed = true;
	fputc('\n', out->text);
	json_decref(root);
}

int cli_output_close(struct cli_output *out, const char *path, int status)
{
	struct xfd_error err = {0};
	struct outfile *file;
	bool bad = ferror(out->text) || out->failed;

	cli_progress_end();
	if (fclose(out->text) || bad) {
		free(out->buf);
		fputs("xfdsim: out of memory\n", stderr);
		return XFDSIM_SYSTEM;
	}
	if (outfile_open(path ? path : "-", &file, &err))
		goto fail;
	if (outfile_write(file, out->buf, out->len, &err)) {
		outfile_discard(file);
		goto fail;
	}
	if (outfile_commit(file, &err))
		goto fail;
	free(out->buf);
	return status;
fail:
	free(out->buf);
	return cli_fail(&err);
}

/* ---- options of commands that replay ---- */

enum {
	OPT_VMM = 0x100,
	OPT_FAIL_ALLOC,
	OPT_HALT_POLL,
	OPT_IDLE_INIT,
	OPT_ADAPTIVE_WRITES,
	OPT_ADAPTIVE_EXITS,
	OPT_ENGINE,
	OPT_DB,
	OPT_NO_DB,
	OPT_JSON
};

static const struct argp_option run_options[] = {
	{"kernel", 'k', "NAME", 0, "Kernel variant (v6.19); see 'xfdsim kernels'", 1},
	{"vmm", OPT_VMM, "stop|return", 0,
	 "What the VMM does after a failed growth: give up (stop), or call KVM_RUN again", 1},
	{"fail-alloc", OPT_FAIL_ALLOC, "N[,N...]", 0,
	 "Let the N-th growth of an fpstate fail, counted over the whole trace from 1", 1},
	{"halt-poll-us", OPT_HALT_POLL, "US", 0, "A HLT shorter than this is polled through (200)",
	 1},
	{"idle-init-us", OPT_IDLE_INIT, "US", 0,
	 "An idle pCPU releases live tiles after this long (800; grade D)", 1},
	{"adaptive-writes", OPT_ADAPTIVE_WRITES, "N", 0,
	 "adaptive passes through at the N-th trapped write (1)", 1},
	{"adaptive-exits", OPT_ADAPTIVE_EXITS, "N", 0,
	 "adaptive intercepts again after N VM-exits without a write (38)", 1},
	{"engine", OPT_ENGINE, "automaton|reference", 0,
	 "How to replay: with the compiled automaton, or every event through the model; results "
	 "are "
	 "the same (automaton)",
	 2},
	{"profile", 'c', "NAME|FILE", 0, "Cost profile (spr); see 'xfdsim profiles'", 2},
	{"db", OPT_DB, "FILE", 0, "Store results there (xfdsim.db in the working directory)", 3},
	{"no-db", OPT_NO_DB, NULL, 0, "Store nothing", 3},
	{"output", 'o', "FILE", 0, "Write the result there instead of standard output", 3},
	{"json", OPT_JSON, NULL, 0, "Print JSON", 3},
	{0},
};

static const char *kernel_name_at(size_t index)
{
	const struct kernel *kernel = kernel_at(index);

	return kernel ? kernel->name : NULL;
}

static const char *policy_name_at(size_t index)
{
	const struct xfd_policy *policy = policy_at(index);

	return policy ? policy->name : NULL;
}

/* Does not return. */
static void unknown(struct argp_state *state, const char *what, const char *list, const char *name,
		    const char *(*name_at)(size_t index))
{
	const char *near = nearest_name(name, name_at);

	if (near)
		cli_usage(state, "no %s '%s'; did you mean '%s'?", what, name, near);
	cli_usage(state, "no %s '%s'; 'xfdsim %s' lists them", what, name, list);
}

const struct xfd_policy *cli_policy(struct argp_state *state, const char *name)
{
	const struct xfd_policy *policy = policy_find(name);

	if (!policy)
		unknown(state, "policy", "policies", name, policy_name_at);
	return policy;
}

static void parse_fail_alloc(struct argp_state *state, struct engine_options *o, char *arg)
{
	char *rest = arg, *item;

	o->nr_fail_growths = 0;
	while ((item = strsep(&rest, ","))) {
		uint64_t n = cli_number(state, "--fail-alloc", item, 1, INT64_MAX);

		if (o->nr_fail_growths && n <= o->fail_growths[o->nr_fail_growths - 1])
			cli_usage(state, "--fail-alloc wants ascending numbers");
		if (o->nr_fail_growths == ENGINE_MAX_FAIL_GROWTHS)
			cli_usage(state, "--fail-alloc takes at most %d numbers",
				  ENGINE_MAX_FAIL_GROWTHS);
		o->fail_growths[o->nr_fail_growths++] = n;
	}
}

static error_t parse_run(int key, char *arg, struct argp_state *state)
{
	struct cli_run_args *args = state->input;
	struct engine_options *o = &args->options;

	switch (key) {
	case 'k':
		o->kernel = kernel_find(arg);
		if (!o->kernel)
			unknown(state, "kernel", "kernels", arg, kernel_name_at);
		return 0;
	case OPT_VMM:
		if (strcmp(arg, "stop") && strcmp(arg, "return"))
			cli_usage(state, "--vmm is stop or return, not '%s'", arg);
		o->vmm_returns = !strcmp(arg, "return");
		return 0;
	case OPT_FAIL_ALLOC:
		parse_fail_alloc(state, o, arg);
		return 0;
	case OPT_HALT_POLL:
		o->halt_poll_us = cli_number(state, "--halt-poll-us", arg, 0, INT64_MAX);
		return 0;
	case OPT_IDLE_INIT:
		o->idle_init_us = cli_number(state, "--idle-init-us", arg, 0, INT64_MAX);
		return 0;
	case OPT_ADAPTIVE_WRITES:
		o->params.adaptive_writes =
			(uint32_t)cli_number(state, "--adaptive-writes", arg, 1, INT32_MAX);
		return 0;
	case OPT_ADAPTIVE_EXITS:
		o->params.adaptive_exits =
			(uint32_t)cli_number(state, "--adaptive-exits", arg, 1, INT32_MAX);
		return 0;
	case OPT_ENGINE:
		if (strcmp(arg, "automaton") && strcmp(arg, "reference"))
			cli_usage(state, "--engine is automaton or reference, not '%s'", arg);
		o->engine = strcmp(arg, "reference") ? ENGINE_AUTOMATON : ENGINE_REFERENCE;
		return 0;
	case 'c':
		args->profile = arg;
		return 0;
	case OPT_DB:
		args->db = arg;
		return 0;
	case OPT_NO_DB:
		args->db = NULL;
		return 0;
	case 'o':
		args->output = arg;
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_run_argp = {.options = run_options, .parser = parse_run};

void cli_run_args_default(struct cli_run_args *args)
{
	*args = (struct cli_run_args){.db = "xfdsim.db", .profile = PROFILE_DEFAULT};
	engine_default_options(&args->options);
}

void cli_warn_states(const struct run *runs, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (runs[i].overflowed)
			cli_warn("%s has more than %" PRIu32
				 " states with these options, so most of its "
				 "replay was done by the reference engine: slower, the result is "
				 "the same",
				 runs[i].policy, runs[i].states);
}

int cli_store_begin(const char *db, struct store **store, struct xfd_error *err)
{
	const char *slash = db ? strrchr(db, '/') : NULL;
	char *dir;
	int ret = 0;

	*store = NULL;
	if (!db)
		return 0;
	if (!access(db, F_OK))
		return store_open(db, store, err);
	dir = slash ? strndup(db, (size_t)(slash - db) + 1) : strdup(".");
	if (!dir || access(dir, W_OK | X_OK))
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, db, 0, -1,
				    "cannot make the database: %s; use --db FILE or --no-db",
				    strerror(errno));
	free(dir);
	return ret;
}

/* A database that this process made and could put nothing into shall not stay. */
static bool has_runs(struct store *store)
{
	sqlite3_stmt *stmt;
	bool has;

	if (!store || sqlite3_prepare_v2(store_db(store), "SELECT 1 FROM runs", -1, &stmt, NULL))
		return false;
	has = sqlite3_step(stmt) == SQLITE_ROW;
	sqlite3_finalize(stmt);
	return has;
}

int cli_store_runs(const char *db, struct store **store, const struct run *runs, size_t nr,
		   const struct engine_trace *trace, const char *path,
		   const struct cost_profile *profile, struct xfd_error *err)
{
	bool made = !*store && db && access(db, F_OK);
	int ret = 0;

	if (!db)
		return 0;
	if (!*store)
		ret = store_open(db, store, err);
	if (!ret)
		ret = store_profile(*store, profile, NULL, err);
	for (size_t i = 0; i < nr && !ret; i++)
		ret = store_run(*store, &runs[i], &trace->info, path, NULL, NULL, err);
	if (ret && made && !has_runs(*store)) {
		store_close(*store);
		*store = NULL;
		unlink(db);
	}
	return ret;
}

int cli_refuse_same(const char *output, const char *input)
{
	struct stat a, b;

	if (!output || !input || stat(output, &a) || stat(input, &b) || !S_ISREG(a.st_mode) ||
	    a.st_dev != b.st_dev || a.st_ino != b.st_ino)
		return XFDSIM_OK;
	fprintf(stderr, "xfdsim: -o %s would replace %s, which it is made from or stored in\n",
		output, input);
	return XFDSIM_USAGE;
}

char *cli_clean(char *text)
{
	for (char *c = text; c && *c; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return text;
}

void cli_shell_word(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:=@%+-";

	if (*word && !word[strspn(word, plain)]) {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	fputc('\'', out);
}

/* ---- JSON ---- */

json_t *cli_text(const char *text)
{
	json_t *json = json_string(text);
	char *copy;

	if (json)
		return json;
	copy = strdup(text);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	json = copy ? json_string(copy) : NULL;
	free(copy);
	return json;
}

json_t *cli_uint(uint64_t value)
{
	char text[24];

	if (value <= INT64_MAX)
		return json_integer((json_int_t)value);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return json_string(text);
}

static json_t *hex(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

char *cli_trace_mode(const struct trace_info *info)
{
	json_auto_t *root = json_loads(info->provenance, 0, NULL);
	const char *mode = json_string_value(json_object_get(root, "mode"));

	return cli_clean(strdup(mode ? mode : "unknown"));
}

json_t *cli_trace_json(const char *path, const struct engine_trace *trace)
{
	const struct trace_info *info = &trace->info;
	json_t *provenance = json_loads(info->provenance, 0, NULL);

	return json_pack("{so ss so so si si sb so}", "file", cli_text(path), "hash", trace->hash,
			 "events", cli_uint(trace->nr_events), "tsc_khz", cli_uint(info->tsc_khz),
			 "vcpus", (int)info->nr_vcpus, "pcpus", (int)info->nr_pcpus, "armed_start",
			 (int)info->armed_start, "provenance",
			 provenance ? provenance : json_object());
}

static json_t *paths_json(const struct ledger *ledger)
{
	json_t *paths = json_array();
	char text[PATH_TEXT_LEN];

	for (size_t i = 0; i < ledger->nr_paths; i++) {
		const struct path_count *path = &ledger->paths[i];
		const char *reason = exit_reason_name(path->exit_reason);

		json_array_append_new(paths, json_pack("{ss ss? ss so}", "event",
						       event_name(path->kind), "exit", reason,
						       "steps", path_text(&path->steps, text),
						       "count", cli_uint(path->count)));
	}
	return paths;
}

json_t *cli_ledger_json(const struct run *run)
{
	const struct ledger *l = &run->ledger;
	json_t *steps = json_object(), *exits = json_object(), *vcpus = json_array();

	for (enum step step = 0; step < NR_STEPS; step++)
		json_object_set_new(steps, step_name(step), cli_uint(l->step_count[step]));
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++)
		if (l->exit_count[reason])
			json_object_set_new(exits, exit_reason_name(reason),
					    cli_uint(l->exit_count[reason]));
	for (uint32_t i = 0; i < l->nr_vcpus; i++) {
		const struct vcpu_final *v = &l->vcpus[i];

		json_array_append_new(vcpus,
				      json_pack("{si ss sb sb si so so}", "vcpu", (int)i, "state",
						v->state, "intercept_xfd", (int)v->intercept_xfd,
						"intercept_nm", (int)v->intercept_nm,
						"fpstate_bytes", (int)v->fpstate_bytes, "xfd",
						hex(v->xfd), "xfd_err", hex(v->xfd_err)));
	}
	return json_pack(
		"{ss ss so so so so so so so so so so so so}", "policy", run->policy, "kernel",
		run->kernel, "options", json_loads(run->options, 0, NULL), "steps", steps, "exits",
		exits, "guest_cycles", cli_uint(l->step_count[STEP_guest_run]), "xfd_exits",
		cli_uint(l->xfd_exits), "xfd_writes", cli_uint(l->xfd_writes), "events",
		cli_uint(l->nr_events), "events_skipped", cli_uint(l->nr_skipped), "fpstate_bytes",
		cli_uint(l->fpstate_bytes), "fpstate_high_water_bytes",
		cli_uint(l->fpstate_high_water_bytes), "vcpus", vcpus, "paths", paths_json(l));
}
