/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "sim/cmd.h"
#include "traces/nearest.h"
#include "traces/outfile.h"

static const struct {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} commands[] = {
#define XFDSIM_CMD(name, summary) {#name, summary, cmd_##name},
#include "sim/cmd_list.h"
#undef XFDSIM_CMD
};

enum { NR_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static const char *command_at(size_t index)
{
	return index < NR_COMMANDS ? commands[index].name : NULL;
}

static void usage(FILE *out)
{
	fputs("usage: xfdsim COMMAND [OPTION...] [ARG...]\n\n"
	      "Which interception policy for the MSR IA32_XFD is cheapest for a guest?\n\n",
	      out);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\n'xfdsim COMMAND --help' explains a command. Start with:\n"
	      "  xfdsim import RECORDING --amx-tasks 'GLOB' -o guest.xft\n"
	      "  xfdsim compare guest.xft\n\n"
	      "Exit status: 0 fine, 1 the answer is no, 2 usage, 3 malformed input,\n"
	      "4 the machine could not do it.\n",
	      out);
}

/* A result that could not be written is no result. */
static int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	fprintf(stderr, "xfdsim: cannot write standard output: %s\n", strerror(errno));
	return XFDSIM_SYSTEM;
}

/* Ctrl-C leaves nothing half-written: what was not committed goes, and SQLite rolls back. */
static void die(int signum)
{
	outfile_remove_unfinished();
	signal(signum, SIG_DFL);
	raise(signum);
}

static void catch_signals(void)
{
	static const int deadly[] = {SIGINT, SIGTERM, SIGHUP};

	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (signal(deadly[i], die) == SIG_IGN)
			signal(deadly[i], SIG_IGN); /* nohup stays nohup */
	/* A reader that went away and a file that may not grow are write errors. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

int main(int argc, char **argv)
{
	const char *near;

	catch_signals();
	if (argc < 2) {
		usage(stderr);
		return XFDSIM_USAGE;
	}
	if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help")) {
		usage(stdout);
		return finish(XFDSIM_OK);
	}
	if (!strcmp(argv[1], "--version")) {
		puts("xfdsim " XFDSIM_VERSION);
		return finish(XFDSIM_OK);
	}
	if (!strcmp(argv[1], "--list-cmds")) {
		for (size_t i = 0; i < NR_COMMANDS; i++)
			puts(commands[i].name);
		return finish(XFDSIM_OK);
	}
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			return finish(commands[i].run(argc - 1, argv + 1));
	near = nearest_name(argv[1], command_at);
	fprintf(stderr,
		near ? "xfdsim: no command '%s'; did you mean '%s'?\n"
		     : "xfdsim: no command '%s'; 'xfdsim help' lists them\n",
		argv[1], near);
	return XFDSIM_USAGE;
}
