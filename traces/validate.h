/* SPDX-License-Identifier: MIT */
/**
 * DOC: What a trace may say, whatever its format.
 *
 * The only place where the bounds of headers and events are enforced; every reader and
 * writer goes through it.
 */
#ifndef TRACES_VALIDATE_H
#define TRACES_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/exit_reason.h"
#include "traces/trace.h"

#define TRACE_MAX_TSC_KHZ UINT64_C(100000000)

enum {
	VALIDATE_WHY_LEN = 192 /* bytes that any explanation fits into */
};

/**
 * validate_info() - Check a header.
 * @info: all fields set
 * @why:  receives what is wrong, VALIDATE_WHY_LEN bytes
 *
 * Return: true when it is fine.
 */
bool validate_info(const struct trace_info *info, char *why);

/**
 * validate_provenance() - Check the provenance of a header.
 * @text: a string
 * @why:  receives what is wrong, VALIDATE_WHY_LEN bytes
 *
 * Return: true when it is a JSON object in one line.
 */
bool validate_provenance(const char *text, char *why);

/**
 * struct event_limits - What events of one trace may hold, in a form that tests fast.
 * @nr_vcpus:   vcpu is below it
 * @nr_pcpus:   pCPU arguments are below it
 * @arg_bias:   by kind: an argument is fine when argument + bias, modulo 2^64,
 * @arg_max:    is at most this; the bias makes EVENT_SAME_PCPU the number 0
 * @is_reason:  by number: there is such a VM-exit reason
 * @sum_cycles: of all deltas so far
 */
struct event_limits {
	uint32_t nr_vcpus;
	uint32_t nr_pcpus;
	uint64_t arg_bias[NR_EVENT_KINDS];
	uint64_t arg_max[NR_EVENT_KINDS];
	bool is_reason[NR_EXIT_REASONS];
	uint64_t sum_cycles;
};

/** event_limits_init() - The limits under a checked header; the sum is 0. */
void event_limits_init(struct event_limits *limits, const struct trace_info *info);

/**
 * validate_events() - Check events and add up their deltas.
 * @limits: the sum moves on
 * @events: @nr of them
 * @nr:     any number
 * @why:    receives what is wrong with the first bad one, VALIDATE_WHY_LEN bytes
 *
 * Return: the index of the first bad event, @nr when all are fine.
 */
size_t validate_events(struct event_limits *limits, const struct trace_event *events, size_t nr,
		       char *why);

/**
 * validate_columns() - Are tags, vCPUs and deltas fine? Faster than a look at each event.
 * @limits:  the sum moves on when they are
 * @columns: any; words and arguments are for validate_word()
 *
 * Return: false also when that takes validate_events().
 */
bool validate_columns(struct event_limits *limits, const struct trace_columns *columns);

/**
 * validate_word() - Are all events of a kind with arguments from @min to @max fine?
 * @limits: of the trace
 * @kind:   below NR_EVENT_KINDS
 * @min:    smallest argument
 * @max:    largest argument
 *
 * Return: false also when that takes a look at each of them.
 */
bool validate_word(const struct event_limits *limits, uint32_t kind, uint64_t min, uint64_t max);

#endif /* TRACES_VALIDATE_H */
