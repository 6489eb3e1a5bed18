/* SPDX-License-Identifier: MIT */
/*
 * Command lines: argp's parser, but one line for each complaint.
 *
 * getopt and argp say two lines, the second of which is the same for all mistakes. With
 * ARGP_NO_ERRS they say nothing (not even --help, which is ours therefore), and the word that
 * was wrong is looked at once more here, where its neighbours are known.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "sim/cli.h"
#include "traces/nearest.h"

enum { OPT_USAGE = 0x7f00, MAX_NAMES = 128 };

/* "xfdsim COMMAND" and its options' names, "--" in front. */
static char command[64];
static char names[MAX_NAMES][48];

void cli_usage(const struct argp_state *state, const char *fmt, ...)
{
	va_list ap;

	(void)state;
	fprintf(stderr, "%s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(XFDSIM_USAGE);
}

/* ---- options ---- */

static bool is_end(const struct argp_option *option)
{
	return !option->name && !option->key && !option->doc && !option->group;
}

typedef bool visit_fn(const struct argp_option *option, void *data);

/* Until @visit returns true. */
static bool walk(const struct argp *argp, visit_fn *visit, void *data)
{
	const struct argp_option *option = argp->options;
	const struct argp_child *child = argp->children;

	for (; option && !is_end(option); option++)
		if (option->name && visit(option, data))
			return true;
	for (; child && child->argp; child++)
		if (walk(child->argp, visit, data))
			return true;
	return false;
}

/* What an option that was typed may be. */
struct search {
	const char *word; /* behind the dashes */
	size_t len;
	const struct argp_option *found, *other;
	size_t nr_names;
};

static bool match_long(const struct argp_option *option, void *data)
{
	struct search *s = data;

	snprintf(names[s->nr_names], sizeof(names[0]), "--%s", option->name);
	s->nr_names += s->nr_names < MAX_NAMES - 1;
	*names[s->nr_names] = '\0';
	if (strncmp(option->name, s->word, s->len))
		return false;
	if (!option->name[s->len]) {
		s->found = option;
		s->other = NULL;
		return true;
	}
	s->other = s->found;
	s->found = option;
	return false;
}

static bool match_short(const struct argp_option *option, void *data)
{
	struct search *s = data;

	if (option->key != *s->word)
		return false;
	s->found = option;
	return true;
}

static const char *name_at(size_t index)
{
	return *names[index] ? names[index] : NULL;
}

/* Returns when nothing is wrong with @word, "--NAME" or "--NAME=VALUE". */
static void judge_long(const struct argp_state *state, const char *word)
{
	struct search s = {.word = word + 2, .len = strcspn(word + 2, "=")};
	char typed[sizeof(names[0])];
	const char *near;

	walk(state->root_argp, match_long, &s);
	if (s.other)
		cli_usage(state, "'%s' may be --%s or --%s", word, s.other->name, s.found->name);
	if (s.found && s.found->arg && !word[2 + s.len])
		cli_usage(state, "--%s wants a value: %s", s.found->name, s.found->arg);
	if (s.found && !s.found->arg && word[2 + s.len])
		cli_usage(state, "--%s takes no value", s.found->name);
	if (s.found)
		return;
	snprintf(typed, sizeof(typed), "%.*s", (int)(2 + s.len), word);
	near = nearest_name(typed, name_at);
	if (near)
		cli_usage(state, "no option '%s'; did you mean '%s'?", typed, near);
	cli_usage(state, "no option '%s'; '%s --help' lists them", typed, command);
}

/* The same for "-abcVALUE". */
static void judge_short(const struct argp_state *state, const char *word)
{
	for (const char *c = word + 1; *c; c++) {
		struct search s = {.word = c};

		if (!walk(state->root_argp, match_short, &s))
			cli_usage(state, "no option '-%c'; '%s --help' lists them", *c, command);
		if (s.found->arg && !c[1])
			cli_usage(state, "-%c wants a value: %s", *c, s.found->arg);
		if (s.found->arg)
			return;
	}
}

/* getopt has gone past the wrong word, unless it is in the middle of one. */
static void judge(const struct argp_state *state)
{
	for (int i = state->next - 1; i <= state->next && i < state->argc; i++) {
		const char *word = state->argv[i];

		if (i > 0 && !strncmp(word, "--", 2))
			judge_long(state, word);
		else if (i > 0 && *word == '-' && word[1])
			judge_short(state, word);
	}
	cli_usage(state, "cannot read the options; '%s --help' lists them", command);
}

static error_t parse_help(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	switch (key) {
	case '?':
	case OPT_USAGE:
		state->flags &= ~(unsigned int)ARGP_NO_ERRS;
		argp_state_help(state, state->out_stream,
				key == '?' ? ARGP_HELP_STD_HELP
					   : ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
		return 0;
	case ARGP_KEY_ERROR:
		judge(state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	static const struct argp_option options[] = {
		{"help", '?', NULL, 0, "Give this help list", -1},
		{"usage", OPT_USAGE, NULL, 0, "Give a short usage message", 0},
		{0},
	};
	static const struct argp help = {.options = options, .parser = parse_help};
	const struct argp_child children[] = {{argp, 0, NULL, 0}, {&help, 0, NULL, 0}, {0}};
	const struct argp whole = {.children = children};
	int rest;

	snprintf(command, sizeof(command), "xfdsim %s", argv[0]);
	argv[0] = command;
	argp_err_exit_status = XFDSIM_USAGE;
	rest = argc;
	if (!argp_parse(&whole, argc, argv, ARGP_NO_ERRS | ARGP_NO_HELP, &rest, input) &&
	    rest < argc)
		cli_usage(NULL, "'%s' is one argument too many", argv[rest]);
}

void cli_take_trace(struct argp_state *state, char *arg, const char **trace)
{
	if (arg && *trace)
		cli_usage(state, "one trace at a time");
	if (!arg && !*trace)
		cli_usage(state, "which trace?");
	if (arg)
		*trace = arg;
}
