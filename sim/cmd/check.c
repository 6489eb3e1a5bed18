/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sim/cli.h"
#include "sim/scenario.h"
#include "sim/table.h"
#include "traces/nearest.h"
#include "traces/outfile.h"

enum {
	OPT_INJECT = 256,
	OPT_VCPUS,
	OPT_PCPUS,
	OPT_TASKS,
	OPT_EVENTS,
	OPT_DEPTH,
	OPT_BEYOND,
	OPT_MEMORY,
	OPT_NO_SYMMETRY,
	OPT_SCENARIOS,
	OPT_LIST_BUGS,
	OPT_LIST_EVENTS,
	DEFAULT_MEMORY_MIB = 4096,
	DEFAULT_BEYOND = 6,
	MAX_BEYOND = 1000000
};

struct args {
	struct scenario_setup setup;
	struct explore_options options;
	const char *bugs[SCENARIO_MAX_BUGS];
	size_t nr_bugs;
	const char *scenarios;
	bool json, list_bugs, list_events;
};

static const char *kernel_name_at(size_t i)
{
	return kernel_at(i) ? kernel_at(i)->name : NULL;
}

static const char *bug_name_at(size_t i)
{
	return kernel_bug_at(i) ? kernel_bug_at(i)->name : NULL;
}

static const char *group_at(size_t i)
{
	return action_info(i) ? action_info(i)->group : NULL;
}

/* "all", "default", or groups; +group and -group change what stands so far. */
static void parse_events(struct argp_state *state, uint32_t *kinds, char *arg)
{
	char *rest = arg, *item;
	bool first = true;

	while ((item = strsep(&rest, ","))) {
		char sign = item[0] == '+' || item[0] == '-' ? item[0] : '\0';
		const char *name = sign ? item + 1 : item;
		uint32_t group = action_group(name, strlen(name));

		if (!strcmp(name, "all"))
			group = (UINT32_C(1) << NR_ACTION_KINDS) - 1;
		if (!strcmp(name, "default"))
			group = world_default_kinds();
		if (!group) {
			const char *near = nearest_name(name, group_at);

			if (near)
				cli_usage(state,
					  "no group of events '%s'; did you mean '%s'? 'check "
					  "--list-events' lists them",
					  name, near);
			cli_usage(state,
				  "no group of events '%s'; 'check --list-events' lists them",
				  name);
		}
		if (first && !sign)
			*kinds = 0;
		*kinds = sign == '-' ? *kinds & ~group : *kinds | group;
		first = false;
	}
	*kinds |= 1u << ACTION_run;
}

static const struct kernel *find_kernel(struct argp_state *state, const char *name)
{
	const struct kernel *kernel = kernel_find(name);
	const char *near = nearest_name(name, kernel_name_at);

	if (!kernel && near)
		cli_usage(state, "no kernel '%s'; did you mean '%s'?", name, near);
	if (!kernel)
		cli_usage(state, "no kernel '%s'; 'xfdsim kernels' lists them", name);
	return kernel;
}

/* The groups of which some kinds are in @kinds, between commas. */
static void groups_text(uint32_t kinds, char buf[SCENARIO_TEXT_LEN])
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < NR_ACTION_KINDS; i++) {
		const char *group = action_info(i)->group;
		uint32_t all = action_group(group, strlen(group));

		/* Each at its first kind. */
		if (all & kinds && !(all & ((1u << i) - 1)))
			len += (size_t)snprintf(buf + len, SCENARIO_TEXT_LEN - len, "%s%s",
						len ? "," : "", group);
	}
}

static void plant(struct argp_state *state, struct args *args)
{
	uint32_t *kinds = &args->setup.config.kinds;

	for (size_t i = 0; i < args->nr_bugs; i++) {
		const char *near = nearest_name(args->bugs[i], bug_name_at);
		char text[SCENARIO_TEXT_LEN];
		uint32_t missing;

		if (!scenario_plant(&args->setup, args->bugs[i])) {
			missing = action_groups(kernel_bug_find(args->bugs[i])->events) & ~*kinds;
			if (missing) {
				groups_text(missing, text);
				cli_warn("%s needs events that --events leaves out; added: %s",
					 args->bugs[i], text);
				*kinds |= missing;
			}
			continue;
		}
		if (near)
			cli_usage(state, "no bug '%s'; did you mean '%s'?", args->bugs[i], near);
		cli_usage(state, "no bug '%s'; 'check --list-bugs' lists them", args->bugs[i]);
	}
}

static uint32_t parse_beyond(struct argp_state *state, const char *arg)
{
	if (!strcmp(arg, "all"))
		return UINT32_MAX;
	if (arg[0] < '0' || arg[0] > '9')
		cli_usage(state, "--beyond takes a number from 0 to %d, or all, not '%s'",
			  MAX_BEYOND, arg);
	return (uint32_t)cli_number(state, "--beyond", arg, 0, MAX_BEYOND);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;
	struct world_config *config = &args->setup.config;

	switch (key) {
	case 'p':
		config->machine.policy = cli_policy(state, arg);
		return 0;
	case 'k':
		args->setup.kernel = *find_kernel(state, arg);
		return 0;
	case OPT_INJECT:
		if (args->nr_bugs == SCENARIO_MAX_BUGS)
			cli_usage(state, "at most %d bugs at a time", SCENARIO_MAX_BUGS);
		args->bugs[args->nr_bugs++] = arg;
		return 0;
	case OPT_VCPUS:
		config->nr_vcpus = (uint32_t)cli_number(state, "--vcpus", arg, 1, HOST_MAX_VCPUS);
		return 0;
	case OPT_PCPUS:
		config->nr_pcpus = (uint32_t)cli_number(state, "--pcpus", arg, 1, HOST_MAX_PCPUS);
		return 0;
	case OPT_TASKS:
		if (scenario_set_tasks(&args->setup, arg))
			cli_usage(state,
				  "--tasks wants letters N, A and K, at most %d N and A, "
				  "not '%s'",
				  HOST_MAX_TASKS, arg);
		return 0;
	case OPT_EVENTS:
		parse_events(state, &config->kinds, arg);
		return 0;
	case OPT_DEPTH:
		args->options.max_depth =
			(uint32_t)cli_number(state, "--depth", arg, 1, UINT32_MAX);
		return 0;
	case OPT_BEYOND:
		args->options.beyond = parse_beyond(state, arg);
		return 0;
	case OPT_MEMORY:
		args->options.memory_bytes =
			cli_number(state, "--memory", arg, EXPLORE_MIN_MIB, 1 << 20) << 20;
		return 0;
	case 't':
		args->options.nr_threads =
			(unsigned int)cli_number(state, "--threads", arg, 1, EXPLORE_MAX_THREADS);
		return 0;
	case OPT_NO_SYMMETRY:
		config->symmetry = false;
		return 0;
	case OPT_SCENARIOS:
		if (!*arg)
			cli_usage(state, "--scenarios wants a folder, found an empty name");
		args->scenarios = arg;
		return 0;
	case OPT_LIST_BUGS:
		args->list_bugs = true;
		return 0;
	case OPT_LIST_EVENTS:
		args->list_events = true;
		return 0;
	case 'j':
		args->json = true;
		return 0;
	case ARGP_KEY_ARG:
		cli_usage(state, "'%s' is one argument too many", arg);
		return EINVAL;
	case ARGP_KEY_END:
		plant(state, args);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void progress(void *data, uint32_t depth, uint64_t nr_states, uint64_t nr_frontier)
{
	static const char wipe[] = "\r\033[K";
	const struct timespec *begin = data;
	char a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN], c[TABLE_NUMBER_LEN];
	struct timespec now;
	double s;

	if (!isatty(STDERR_FILENO))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	s = (double)(now.tv_sec - begin->tv_sec) + (double)(now.tv_nsec - begin->tv_nsec) / 1e9;
	fprintf(stderr, "%sdepth %" PRIu32 ": %s states, frontier %s, %s states/s", wipe, depth,
		table_number(nr_states, a), table_number(nr_frontier, b),
		table_number(s > 0 ? (uint64_t)((double)nr_states / s) : 0, c));
}

static const char *end_text(const struct explore_result *r, const struct args *args,
			    char buf[SCENARIO_TEXT_LEN])
{
	switch (r->end) {
	case EXPLORE_COMPLETE:
		snprintf(buf, SCENARIO_TEXT_LEN,
			 "complete: every order of these events, depth %" PRIu32, r->depth);
		break;
	case EXPLORE_DEPTH:
		snprintf(buf, SCENARIO_TEXT_LEN,
			 "not finished: depth %" PRIu32 " complete (--depth)", r->depth);
		break;
	case EXPLORE_MEMORY:
		snprintf(buf, SCENARIO_TEXT_LEN,
			 "not finished: depth %" PRIu32 " complete (--memory)", r->depth);
		break;
	case EXPLORE_VIOLATION:
		snprintf(buf, SCENARIO_TEXT_LEN,
			 "ended %" PRIu32 " levels beyond the first violation, at depth %" PRIu32
			 " (--beyond)",
			 args->options.beyond, r->depth);
		break;
	}
	return buf;
}

static void bounds_text(const struct world_config *config, char buf[SCENARIO_TEXT_LEN])
{
	char groups[SCENARIO_TEXT_LEN], tasks[HOST_MAX_TASKS + 1] = "";

	groups_text(config->kinds, groups);
	for (uint32_t i = 0; i < config->nr_tasks; i++)
		tasks[i] = config->tasks[i] == TASK_N ? 'N' : 'A';
	snprintf(buf, SCENARIO_TEXT_LEN,
		 "%" PRIu32 " vCPUs, %" PRIu32 " pCPUs, tasks %sK, events %.300s", config->nr_vcpus,
		 config->nr_pcpus, tasks, groups);
}

static uint32_t nr_violations(const struct explore_result *r)
{
	uint32_t nr = 0;

	for (int i = 0; i < NR_INVARIANTS; i++)
		nr += r->violations[i].found;
	return nr;
}

static void print_verdict(FILE *out, const struct args *args, const struct explore_result *r)
{
	char text[SCENARIO_TEXT_LEN], a[TABLE_NUMBER_LEN], b[TABLE_NUMBER_LEN];
	uint32_t nr = nr_violations(r);

	fprintf(out, "kernel %s", args->setup.kernel.name);
	for (size_t i = 0; i < args->setup.nr_bugs; i++)
		fprintf(out, " with %s", args->setup.bugs[i]);
	fprintf(out, ", policy %s: ", args->setup.config.machine.policy->name);
	if (nr)
		fprintf(out, "%" PRIu32 " invariant%s broken\n", nr, nr == 1 ? "" : "s");
	else
		fprintf(out, "every invariant holds%s\n",
			r->end == EXPLORE_COMPLETE ? "" : " as far as explored");
	bounds_text(&args->setup.config, text);
	fprintf(out, "bounds: %s\n", text);
	fprintf(out, "%s; ", end_text(r, args, text));
	fprintf(out, "%s states, %s transitions\n", table_number(r->nr_states, a),
		table_number(r->nr_transitions, b));
}

static void print_text(FILE *out, const struct args *args, const struct explore_result *r)
{
	print_verdict(out, args, r);
	for (int i = 0; i < NR_INVARIANTS; i++) {
		const struct explore_violation *v = &r->violations[i];

		if (!v->found)
			continue;
		fprintf(out, "\nI%d %s, shortest: %" PRIu32 " action%s\n",
			invariant_info((size_t)i)->id, invariant_info((size_t)i)->name, v->nr,
			v->nr == 1 ? "" : "s");
		scenario_story(out, &args->setup, i, v);
	}
}

static json_t *violation_json(const struct args *args, int invariant,
			      const struct explore_violation *v)
{
	const struct invariant_info *info = invariant_info((size_t)invariant);
	json_t *path = json_array();
	char text[SCENARIO_TEXT_LEN], id[8];

	snprintf(id, sizeof(id), "I%d", info->id);
	for (uint32_t i = 0; i < v->nr; i++)
		json_array_append_new(path, json_string(scenario_action_text(&args->setup.config,
									     v->path[i], text)));
	return json_pack("{ss ss ss ss si so}", "id", id, "name", info->name, "sentence",
			 info->sentence, "consequence", info->consequence, "actions", (int)v->nr,
			 "path", path);
}

static void print_json(struct cli_output *out, const struct args *args,
		       const struct explore_result *r)
{
	static const char *const ends[] = {
		[EXPLORE_COMPLETE] = "complete",
		[EXPLORE_DEPTH] = "depth",
		[EXPLORE_MEMORY] = "memory",
		[EXPLORE_VIOLATION] = "beyond",
	};
	json_t *violations = json_array(), *bugs = json_array();
	char text[SCENARIO_TEXT_LEN];

	bounds_text(&args->setup.config, text);
	for (size_t i = 0; i < args->setup.nr_bugs; i++)
		json_array_append_new(bugs, json_string(args->setup.bugs[i]));
	for (int i = 0; i < NR_INVARIANTS; i++)
		if (r->violations[i].found)
			json_array_append_new(violations,
					      violation_json(args, i, &r->violations[i]));
	cli_output_json(out, json_pack("{ss ss ss so ss ss si sI sI sI so}", "version",
				       XFDSIM_VERSION, "kernel", args->setup.kernel.name, "policy",
				       args->setup.config.machine.policy->name, "bugs", bugs,
				       "bounds", text, "end", ends[r->end], "depth", (int)r->depth,
				       "states", (json_int_t)r->nr_states, "transitions",
				       (json_int_t)r->nr_transitions, "bytes", (json_int_t)r->bytes,
				       "violations", violations));
}

/* One file a violation: DIR/KERNEL-POLICY[-BUG]-I3.xfs. */
static int write_scenario(const struct args *args, int invariant, const struct explore_violation *v,
			  struct xfd_error *err)
{
	struct outfile *file;
	char path[4096], *buf = NULL;
	size_t len = 0;
	FILE *text = open_memstream(&buf, &len);
	int ret, n;

	if (!text)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	scenario_write(text, &args->setup, invariant, v);
	fclose(text);
	n = snprintf(path, sizeof(path), "%s/%s-%s", args->scenarios, args->setup.kernel.name,
		     args->setup.config.machine.policy->name);
	for (size_t i = 0; i < args->setup.nr_bugs && n < (int)sizeof(path); i++)
		n += snprintf(path + n, sizeof(path) - (size_t)n, "-%s", args->setup.bugs[i]);
	if (n < (int)sizeof(path))
		n += snprintf(path + n, sizeof(path) - (size_t)n, "-I%d.xfs",
			      invariant_info((size_t)invariant)->id);
	if (n >= (int)sizeof(path)) {
		free(buf);
		return xfd_error_set(err, XFD_ERROR_USAGE, NULL, 0, -1,
				     "--scenarios: name too long");
	}
	ret = outfile_open(path, &file, err);
	if (!ret) {
		ret = outfile_write(file, buf, len, err);
		if (ret)
			outfile_discard(file);
		else
			ret = outfile_commit(file, err);
	}
	free(buf);
	return ret;
}

/* Before the exploration, which may take minutes. */
static int make_folder(const char *path, struct xfd_error *err)
{
	struct stat st;

	if (!mkdir(path, 0777))
		return 0;
	if (errno != EEXIST)
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1,
				     "cannot make the folder: %s", strerror(errno));
	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1, "is no folder");
	if (access(path, W_OK | X_OK))
		return xfd_error_set(err, XFD_ERROR_SYSTEM, path, 0, -1,
				     "cannot write to the folder: %s", strerror(errno));
	return 0;
}

static int write_scenarios(const struct args *args, const struct explore_result *r,
			   struct xfd_error *err)
{
	int ret = 0;

	if (!args->scenarios)
		return 0;
	for (int i = 0; i < NR_INVARIANTS && !ret; i++)
		if (r->violations[i].found)
			ret = write_scenario(args, i, &r->violations[i], err);
	return ret;
}

static int list_bugs(void)
{
	struct table *table = table_new("bug|breaks|events|what goes wrong");
	const struct kernel_bug *bug;
	struct cli_output out;
	int status = cli_output_open(&out);

	if (status)
		return status;
	for (size_t i = 0; (bug = kernel_bug_at(i)); i++) {
		table_row(table);
		table_cell(table, "%s", bug->name);
		table_cell(table, "I%d %s", invariant_info((size_t)bug->breaks)->id,
			   invariant_info((size_t)bug->breaks)->name);
		table_cell(table, "%s", bug->events);
		table_cell(table, "%s", bug->meaning);
	}
	table_print(table, out.text);
	return cli_output_close(&out, NULL, XFDSIM_OK);
}

static int list_events(void)
{
	struct table *table = table_new("group|default|event|meaning");
	struct cli_output out;
	int status = cli_output_open(&out);

	if (status)
		return status;
	for (size_t i = 0; i < NR_ACTION_KINDS; i++) {
		const struct action_info *info = action_info(i);

		table_row(table);
		table_cell(table, "%s", info->group);
		table_cell(table, "%s", world_default_kinds() >> i & 1 ? "yes" : "no");
		table_cell(table, "%s", info->name);
		table_cell(table, "%s", info->meaning);
	}
	table_print(table, out.text);
	return cli_output_close(&out, NULL, XFDSIM_OK);
}

/*
 * Something broken is an answer however far exploration came. Nothing broken is one within the
 * bounds that were asked for, --depth among them; without the memory for those there is none.
 */
static int verdict(const struct explore_result *result)
{
	if (nr_violations(result))
		return XFDSIM_NO;
	if (result->end != EXPLORE_MEMORY)
		return XFDSIM_OK;
	cli_warn("not finished, so this is no verdict; try more --memory, or smaller bounds");
	return XFDSIM_SYSTEM;
}

static int check(const struct args *args)
{
	struct explore_result *result = calloc(1, sizeof(*result));
	struct xfd_error err = {0};
	struct timespec begin;
	struct cli_output out;
	int status;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	if (!result)
		xfd_error_set(&err, XFD_ERROR_SYSTEM, NULL, 0, -1, "out of memory");
	if (!result || (args->scenarios && make_folder(args->scenarios, &err)) ||
	    explore(&args->options, result, progress, &begin, &err)) {
		cli_progress_end();
		free(result);
		return cli_fail(&err);
	}
	cli_progress_end();
	status = cli_output_open(&out);
	if (!status) {
		if (args->json)
			print_json(&out, args, result);
		else
			print_text(out.text, args, result);
		status = cli_output_close(&out, NULL, verdict(result));
	}
	if (write_scenarios(args, result, &err))
		status = cli_fail(&err);
	free(result);
	return status;
}

int cmd_check(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"policy", 'p', "NAME", 0, "Interception policy (first-nonzero)", 1},
		{"kernel", 'k', "NAME", 0, "Kernel variant (v6.19); see 'xfdsim kernels'", 1},
		{"inject", OPT_INJECT, "BUG", 0, "Plant a bug; may be given again", 1},
		{"vcpus", OPT_VCPUS, "N", 0, "vCPUs (2), at most 4", 2},
		{"pcpus", OPT_PCPUS, "N", 0, "pCPUs (2), at most 4", 2},
		{"tasks", OPT_TASKS, "LETTERS", 0,
		 "Host tasks (NAK): N without AMX, A with, K "
		 "kernel threads",
		 2},
		{"events", OPT_EVENTS, "LIST", 0,
		 "Groups of events, separated by commas: these, or "
		 "+group and -group to change the default; 'all'",
		 2},
		{"depth", OPT_DEPTH, "N", 0, "At most so many actions (no bound)", 2},
		{"beyond", OPT_BEYOND, "N", 0,
		 "Levels to explore beyond the first violation (6), or "
		 "all",
		 2},
		{"memory", OPT_MEMORY, "MIB", 0,
		 "Memory for the states and their table (4096); a tenth of it, at most 25, and 3 a "
		 "thread come on top",
		 2},
		{"threads", 't', "N", 0, "Threads (as many as CPUs); changes no result", 3},
		{"no-symmetry", OPT_NO_SYMMETRY, NULL, 0,
		 "Tell vCPUs, pCPUs and tasks of a class "
		 "apart; slower, same verdict",
		 3},
		{"scenarios", OPT_SCENARIOS, "DIR", 0,
		 "Write each counterexample there, for 'xfdsim "
		 "scenario'",
		 3},
		{"json", 'j', NULL, 0, "Print JSON", 3},
		{"list-bugs", OPT_LIST_BUGS, NULL, 0, "Explain what --inject takes", 4},
		{"list-events", OPT_LIST_EVENTS, NULL, 0, "Explain what --events takes", 4},
		{0},
	};
	const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Explore every order of events, breadth first and step by step, and show "
		       "for "
		       "each invariant the shortest way to break it. A verdict is about the model "
		       "within the bounds it names.\vExit status: 0 nothing is broken within the "
		       "bounds, 1 something is, 4 nothing as far as --memory went. "
		       "Example: xfdsim check -k v5.17 --scenarios found",
	};
	struct args *args = calloc(1, sizeof(*args));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int status;

	if (!args)
		return XFDSIM_SYSTEM;
	scenario_setup_init(&args->setup, kernel_find("v6.19"), policy_find("first-nonzero"));
	args->options = (struct explore_options){
		.memory_bytes = (uint64_t)DEFAULT_MEMORY_MIB << 20,
		.beyond = DEFAULT_BEYOND,
		.nr_threads = cpus < 1                     ? 1
			      : cpus > EXPLORE_MAX_THREADS ? EXPLORE_MAX_THREADS
							   : (unsigned int)cpus,
	};
	cli_parse(&argp, argc, argv, args);
	args->options.world = args->setup.config;
	if (args->list_bugs)
		status = list_bugs();
	else
		status = args->list_events ? list_events() : check(args);
	free(args);
	return status;
}
