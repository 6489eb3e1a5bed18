/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a subcommand is.
 *
 * A subcommand is one file sim/cmd/NAME.c that defines cmd_NAME(), and one line in
 * sim/cmd_list.h. The dispatcher, `xfdsim help` and the shell completion are made from
 * that line. Only these files and main.c print.
 */
#ifndef SIM_CMD_H
#define SIM_CMD_H

/* Exit statuses; the contract that scripts rely on. */
enum xfdsim_exit {
	XFDSIM_OK = 0,
	XFDSIM_NO = 1,    /* ran fine; the answer is "no" */
	XFDSIM_USAGE = 2, /* unknown option, policy, profile, ... */
	XFDSIM_INPUT = 3, /* a trace, recording, profile or database is malformed */
	XFDSIM_SYSTEM = 4 /* I/O, memory, SQLite */
};

#define XFDSIM_CMD(name, summary) int cmd_##name(int argc, char **argv);
#include "sim/cmd_list.h"
#undef XFDSIM_CMD

#endif /* SIM_CMD_H */
