/* SPDX-License-Identifier: MIT */
/*
 * Reads `perf script` text, see traces/recording.h. A line is
 *
 *     COMM PID[/TID] [CPU] SECONDS.FRACTION: [COUNT] SYSTEM:EVENT: FIELDS
 *
 * where COMM may hold spaces, so that the pid is found in front of the "[". With -g a call stack
 * follows: indented lines of an address and its symbol, then a blank one.
 * Source: perf_sample__fprintf_start() and process_event() in tools/perf/builtin-script.c.
 */
#include "traces/cursor.h"
#include "traces/recording_format.h"

#define NS_PER_S         UINT64_C(1000000000)
#define MAX_TIME_SECONDS UINT64_C(9000000000)

#define UNKNOWN_PID UINT32_MAX

enum { MAX_PREFIX_BYTES = 64, MAX_FRACTION_DIGITS = 9, SYSTEM_BYTES = 32 };

static bool take_time(struct cursor *c, uint64_t *time_ns)
{
	static const uint32_t tens[] = {1000000000, 100000000, 10000000, 1000000, 100000,
					10000,      1000,      100,      10,      1};
	uint64_t seconds, fraction;
	const char *start;

	if (!take_number(c, &seconds) || seconds >= MAX_TIME_SECONDS || !take_char(c, '.'))
		return false;
	start = c->p;
	if (!take_number(c, &fraction) || c->p - start > MAX_FRACTION_DIGITS)
		return false;
	*time_ns = seconds * NS_PER_S + fraction * tens[c->p - start];
	return take_char(c, ':');
}

/*
 * The number in front of @end: the thread, of "PID/TID" too. A thread that is being taken down
 * is -1 or -1/-1; its last sched_switch names it.
 */
static bool pid_before(const char *start, const char *end, uint32_t *pid)
{
	struct cursor c = {.end = end};
	uint64_t number;

	while (end > start && end[-1] == ' ')
		end--;
	for (c.end = c.p = end; c.p > start && is_digit(c.p[-1]);)
		c.p--;
	if (end - start >= 3 && (end[-3] == ' ' || end[-3] == '/') && !memcmp(end - 2, "-1", 2)) {
		*pid = UNKNOWN_PID;
		return true;
	}
	if (c.p == start || (c.p[-1] != ' ' && c.p[-1] != '/') || !take_number(&c, &number) ||
	    number > RECORDING_MAX_PID)
		return false;
	*pid = (uint32_t)number;
	return true;
}

static bool take_prefix(struct cursor *c, struct sched_event *event)
{
	const char *start = c->p;
	const char *limit = c->end - start > MAX_PREFIX_BYTES ? start + MAX_PREFIX_BYTES : c->end;
	const char *bracket = start;
	uint64_t cpu;

	while ((bracket = memchr(bracket, '[', (size_t)(limit - bracket)))) {
		c->p = ++bracket;
		if (take_number(c, &cpu) && take_char(c, ']') && take_spaces(c) &&
		    take_time(c, &event->time_ns) && pid_before(start, bracket - 1, &event->pid)) {
			event->cpu = cpu < TRACE_MAX_VCPUS ? (uint32_t)cpu : TRACE_MAX_VCPUS;
			return true;
		}
	}
	return false;
}

/* "    ffffffff81c0e4d1 __schedule+0x3a1 ([kernel.kallsyms])" of -g; -F may leave words out. */
static bool is_stack_line(const char *line, size_t len)
{
	struct cursor c = {line, line + len};
	uint64_t address;

	if (!take_char(&c, '\t') && !take_spaces(&c))
		return false;
	take_spaces(&c);
	return take_hex(&c, &address) && (c.p == c.end || *c.p == ' ');
}

enum ftrace_line perf_parse_line(const char *line, size_t len, struct sched_event *event,
				 const char **name, size_t *name_len, const char **wanted)
{
	struct cursor c = {line, line + len};
	const char *colon;
	uint64_t period;

	*wanted = NULL;
	*name_len = 0;
	event->source = event->thread = 0;
	event->file = NULL;
	take_spaces(&c);
	if (c.p == c.end || *c.p == '#')
		return FTRACE_LINE_COMMENT;
	if (!take_prefix(&c, event))
		return is_stack_line(line, len) ? FTRACE_LINE_STACK : FTRACE_LINE_UNPARSED;
	if (event->cpu == TRACE_MAX_VCPUS) {
		*wanted = "a CPU number below 4096";
		return FTRACE_LINE_BAD;
	}
	take_spaces(&c);
	if (TAKE_WORD(&c, "PERF_RECORD_LOST")) {
		event->kind = SCHED_EVENT_LOST;
		event->lost = 0;
		if (TAKE_WORD(&c, " lost ") && !take_number(&c, &event->lost))
			event->lost = 0;
		return FTRACE_LINE_EVENT;
	}
	if (c.p < c.end && is_digit(*c.p) && (!take_number(&c, &period) || !take_spaces(&c)))
		return FTRACE_LINE_UNPARSED;
	colon = memchr(c.p, ':', (size_t)(c.end - c.p < SYSTEM_BYTES ? c.end - c.p : SYSTEM_BYTES));
	if (!colon)
		return FTRACE_LINE_UNPARSED;
	*name = c.p = colon + 1;
	skip_name(&c);
	if (c.p == c.end || *c.p != ':')
		return FTRACE_LINE_UNPARSED;
	*name_len = (size_t)(c.p++ - *name);
	take_spaces(&c);
	if (*name_len == 12 && !memcmp(*name, "sched_switch", 12)) {
		event->kind = SCHED_EVENT_SWITCH;
		if (payload_parse_switch(c.p, c.end, event)) {
			if (event->pid == UNKNOWN_PID)
				event->pid = event->prev_pid;
			return FTRACE_LINE_EVENT;
		}
		*wanted = "sched_switch as the kernel, a plugin or -R prints it";
		return FTRACE_LINE_BAD;
	}
	if (event->pid == UNKNOWN_PID)
		return FTRACE_LINE_UNPARSED;
	return payload_parse(*name, *name_len, c.p, c.end, event) ? FTRACE_LINE_EVENT
								  : FTRACE_LINE_UNPARSED;
}

const struct recording_format recording_format_perf = {
	.name = "perf",
	.parse_line = perf_parse_line,
};
