/* SPDX-License-Identifier: MIT */
/** DOC: Does a trace.dat count nanoseconds? libtracecmd does not tell. */
#ifndef TRACES_TRACEDAT_CLOCK_H
#define TRACES_TRACEDAT_CLOCK_H

#include "traces/error.h"

/**
 * tracedat_check_clock() - Refuse a file whose time stamps are cycles or mere numbers.
 * @path: a trace.dat of version 6 or 7
 * @err:  filled when its clock is x86-tsc without a conversion, counter or uptime
 *
 * Reads the file's options and nothing else. A file whose options cannot be found is left for
 * libtracecmd to judge. Source: trace-cmd.dat.v6.5.txt and v7.5.txt of trace-cmd.
 *
 * Return: 0 or a negative errno.
 */
int tracedat_check_clock(const char *path, struct xfd_error *err)
	__attribute__((warn_unused_result));

#endif /* TRACES_TRACEDAT_CLOCK_H */
