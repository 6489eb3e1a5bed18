/* SPDX-License-Identifier: MIT */
/*
 * Reads text of tracefs and of trace-cmd report, see traces/recording.h. A line is
 *
 *     [FILE:] %16s-%-7d (%7d) [%03d] FLAGS SECONDS.FRACTION: EVENT: FIELDS
 *
 * where FILE, (TGID) and FLAGS may be missing. Hand-written matching of fixed words takes some
 * 60 ns a line; sscanf() and regcomp() take a microsecond.
 * Source: trace_print_context() and lat_print_generic() in kernel/trace/trace_output.c,
 *         print_trace_header() in kernel/trace/trace.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "traces/cursor.h"
#include "traces/recording_format.h"

#define NS_PER_S         UINT64_C(1000000000)
#define MAX_TIME_SECONDS UINT64_C(9000000000) /* times in ns stay below 2^63 */

enum {
	TASK_COLUMN_BYTES = 16, /* the dash stands here when nobody has cut the line */
	MAX_PREFIX_BYTES = 128, /* no dash is looked for beyond; file names may come first */
	MAX_FLAGS_BYTES = 8,
	USUAL_PART_BYTES = 48, /* more than each half of take_usual_prefix() looks at */
	USUAL_SPACES = 7
};

static bool take_flags(struct cursor *c)
{
	const char *start = c->p;

	if (c->p < c->end && is_digit(*c->p))
		return true;
	while (c->p < c->end && *c->p != ' ')
		c->p++;
	return c->p != start && c->p - start <= MAX_FLAGS_BYTES && take_spaces(c);
}

static bool take_fraction(struct cursor *c, uint64_t *ns)
{
	static const uint32_t unit_ns[] = {1000000000, 100000000, 10000000, 1000000, 100000,
					   10000,      1000,      100,      10,      1};
	const char *start = c->p;
	uint64_t v;

	if (!take_number(c, &v) || c->p - start > 9)
		return false;
	*ns = v * unit_ns[c->p - start];
	return true;
}

/* "[007]": three digits unless there are very many CPUs. */
static bool take_cpu(struct cursor *c, uint64_t *cpu)
{
	const char *p = c->p;

	if (c->end - p > 4 && p[0] == '[' && p[4] == ']' && is_digit(p[1]) && is_digit(p[2]) &&
	    is_digit(p[3])) {
		*cpu = (uint64_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 + p[3] - '0');
		c->p += 5;
		return true;
	}
	return take_char(c, '[') && take_number(c, cpu) && take_char(c, ']');
}

static bool take_tgid(struct cursor *c)
{
	const char *close;

	if (!take_char(c, '('))
		return true;
	close = memchr(c->p, ')', (size_t)(c->end - c->p));
	if (!close || close - c->p > 10)
		return false;
	c->p = close + 1;
	return take_spaces(c);
}

/* Up to 9 digits, of which the caller knows that they end before the line. */
static inline const char *short_number(const char *p, uint32_t *value)
{
	uint32_t v = 0, nr = 0;

	for (; nr < 9 && is_digit(*p); nr++)
		v = v * 10 + (uint32_t)(*p++ - '0');
	*value = v;
	return nr ? p : NULL;
}

/*
 * What take_prefix() reads, as nearly every line has it: numbers of usual length, three digits of
 * CPU, no TGID, and so much line behind that no byte must be counted. *at is moved behind the
 * colon; false leaves the line to take_prefix().
 */
static bool take_usual_prefix(const char **at, const char *end, struct sched_event *event)
{
	const char *p = *at;
	uint32_t pid, cpu, seconds;
	uint64_t digits, ns;

	if (end - p < USUAL_PART_BYTES)
		return false;
	p = short_number(p, &pid);
	if (!p || pid > RECORDING_MAX_PID || *p != ' ')
		return false;
	for (int i = 0; i < USUAL_SPACES && *p == ' '; i++)
		p++;
	if (p[0] != '[' || !is_digit(p[1]) || !is_digit(p[2]) || !is_digit(p[3]) || p[4] != ']' ||
	    p[5] != ' ')
		return false;
	cpu = (uint32_t)((p[1] - '0') * 100 + (p[2] - '0') * 10 + p[3] - '0');
	p += 6;
	if (end - p < USUAL_PART_BYTES)
		return false;
	for (int i = 0; i < USUAL_SPACES && *p == ' '; i++)
		p++;
	if (!is_digit(*p)) {
		const char *flags = p;

		while (*p != ' ' && p - flags <= MAX_FLAGS_BYTES)
			p++;
		if (p == flags || p - flags > MAX_FLAGS_BYTES)
			return false;
		for (int i = 0; i < USUAL_SPACES && *p == ' '; i++)
			p++;
	}
	p = short_number(p, &seconds);
	if (!p || *p != '.')
		return false;
	digits = load_digits(++p);
	if (!not_digits(digits) && is_digit(p[8]) && p[9] == ':') {
		ns = add_up(digits) * 10 + (uint64_t)(p[8] - '0');
		p += 10;
	} else if (p[6] == ':' && !not_digits(digits << 16)) {
		ns = add_up(digits << 16) * 1000;
		p += 7;
	} else {
		return false;
	}
	event->pid = pid;
	event->cpu = cpu;
	event->time_ns = seconds * NS_PER_S + ns;
	*at = p;
	return true;
}

/* What stands behind the dash of "TASK-PID", up to the colon behind the time. */
static enum ftrace_line take_prefix(struct cursor *c, struct sched_event *event,
				    const char **wanted)
{
	uint64_t pid, cpu, seconds, ns = 0;
	bool has_point;

	if (!take_number(c, &pid) || !take_spaces(c) || !take_tgid(c) || !take_cpu(c, &cpu) ||
	    !take_spaces(c) || !take_flags(c) || !take_number(c, &seconds))
		return FTRACE_LINE_UNPARSED;
	has_point = take_char(c, '.');
	if ((has_point && !take_fraction(c, &ns)) || !take_char(c, ':'))
		return FTRACE_LINE_UNPARSED;
	if (!has_point)
		*wanted = "a time in seconds with a decimal point; this clock counts cycles or "
			  "events: record with the clock local, mono or tsc2nsec";
	else if (pid > RECORDING_MAX_PID)
		*wanted = "a pid of at most 4194304";
	else if (cpu >= TRACE_MAX_VCPUS)
		*wanted = "a CPU number below 4096";
	else if (seconds >= MAX_TIME_SECONDS)
		*wanted = "a time below 9000000000 s";
	if (*wanted)
		return FTRACE_LINE_BAD;
	event->pid = (uint32_t)pid;
	event->cpu = (uint32_t)cpu;
	event->time_ns = seconds * NS_PER_S + ns;
	return FTRACE_LINE_EVENT;
}

enum ftrace_line ftrace_parse_event(const char *text, const char *end, struct sched_event *event,
				    const char **name, size_t *name_len, const char **wanted)
{
	struct cursor c = {text, end};
	const char *start;

	take_spaces(&c);
	start = c.p;
	skip_name(&c);
	*name = start;
	*name_len = c.p < c.end && *c.p == ':' ? (size_t)(c.p - start) : 0;
	if (*name_len)
		c.p++;
	take_spaces(&c);
	event->kind = SCHED_EVENT_SWITCH;
	if (*name_len == 12 && !memcmp(start, "sched_switch", 12)) {
		if (payload_parse_switch(c.p, c.end, event))
			return FTRACE_LINE_EVENT;
		*wanted = "sched_switch as the kernel prints it (prev_comm= prev_pid= prev_prio= "
			  "prev_state= ==> next_comm= next_pid= next_prio=); with trace-cmd use "
			  "`trace-cmd report -N -t`";
		return FTRACE_LINE_BAD;
	}
	return payload_parse(start, *name_len, c.p, c.end, event) ? FTRACE_LINE_EVENT
								  : FTRACE_LINE_UNPARSED;
}

/* `trace-cmd report -i A.dat -i B.dat` puts the file's name in front of each line. */
static void note_file(const char *first, const char *limit, struct sched_event *event)
{
	const char *colon = memchr(first, ':', (size_t)(limit - first));

	if (!colon || colon - first < 5 || memcmp(colon - 4, ".dat", 4))
		return;
	event->file = first;
	event->file_len = (uint32_t)(colon - first);
}

/*
 * "CPU:0 [LOST 123 EVENTS]", "CPU:0 [LOST EVENTS]", "CPU:0 [123 EVENTS DROPPED]", "CPU:0 [EVENTS
 * DROPPED]", behind a file's name perhaps. A count of more than 18 digits is none.
 */
static enum ftrace_line parse_loss(struct cursor c, struct sched_event *event, const char **wanted)
{
	struct sched_event loss = {.kind = SCHED_EVENT_LOST};
	uint64_t cpu;
	bool dropped;

	note_file(c.p, c.end - c.p > MAX_PREFIX_BYTES ? c.p + MAX_PREFIX_BYTES : c.end, &loss);
	if (loss.file) {
		c.p += loss.file_len + 1;
		take_spaces(&c);
	}
	if (!TAKE_WORD(&c, "CPU:") || !take_number(&c, &cpu) || !take_spaces(&c) ||
	    !take_char(&c, '['))
		return FTRACE_LINE_UNPARSED;
	dropped = !TAKE_WORD(&c, "LOST ");
	if (c.p < c.end && is_digit(*c.p)) {
		if (!take_number(&c, &loss.lost))
			loss.lost = 0;
		if (!take_spaces(&c))
			return FTRACE_LINE_UNPARSED;
	}
	if (!TAKE_WORD(&c, "EVENTS") || (dropped && !TAKE_WORD(&c, " DROPPED")) ||
	    !take_char(&c, ']'))
		return FTRACE_LINE_UNPARSED;
	if (cpu >= TRACE_MAX_VCPUS) {
		*wanted = "a CPU number below 4096";
		return FTRACE_LINE_BAD;
	}
	loss.cpu = (uint32_t)cpu;
	*event = loss;
	return FTRACE_LINE_EVENT;
}

/* What `trace-cmd report` says before the first event, behind a file's name perhaps. */
static bool is_report_header(const struct cursor *rest)
{
	struct cursor c = *rest;
	const char *name = memmem(c.p, (size_t)(c.end - c.p), ".dat: ", 6);
	uint64_t number;

	if (name)
		c.p = name + 6;
	if (!TAKE_WORD(&c, "cpus=") && !TAKE_WORD(&c, "version = "))
		return false;
	return take_number(&c, &number) && c.p == c.end;
}

enum ftrace_line ftrace_parse_line(const char *line, size_t len, struct sched_event *event,
				   const char **name, size_t *name_len, const char **wanted)
{
	struct cursor c = {line, line + len}, whole;
	const char *limit, *first;
	enum ftrace_line ret;

	*wanted = NULL;
	*name_len = 0;
	event->source = event->thread = 0;
	event->file = NULL;
	if (len > TASK_COLUMN_BYTES && line[TASK_COLUMN_BYTES] == '-' && line[0] != '#') {
		c.p = line + TASK_COLUMN_BYTES + 1;
		ret = take_usual_prefix(&c.p, c.end, event) ? FTRACE_LINE_EVENT
							    : take_prefix(&c, event, wanted);
		if (ret == FTRACE_LINE_EVENT)
			return ftrace_parse_event(c.p, c.end, event, name, name_len, wanted);
		if (ret == FTRACE_LINE_BAD)
			return ret;
		c.p = line;
	}
	take_spaces(&c);
	if (c.p == c.end || *c.p == '#')
		return FTRACE_LINE_COMMENT;
	ret = parse_loss(c, event, wanted);
	if (ret != FTRACE_LINE_UNPARSED)
		return ret;
	whole = c;
	first = c.p;
	limit = c.end - c.p > MAX_PREFIX_BYTES ? c.p + MAX_PREFIX_BYTES : c.end;
	while ((c.p = memchr(whole.p, '-', (size_t)(limit - whole.p)))) {
		whole.p = ++c.p;
		ret = take_prefix(&c, event, wanted);
		if (ret == FTRACE_LINE_EVENT)
			note_file(first, limit, event);
		if (ret == FTRACE_LINE_EVENT)
			return ftrace_parse_event(c.p, c.end, event, name, name_len, wanted);
		if (ret == FTRACE_LINE_BAD)
			return ret;
	}
	return is_report_header(&whole) ? FTRACE_LINE_COMMENT : FTRACE_LINE_UNPARSED;
}

const struct recording_format recording_format_ftrace = {
	.name = "ftrace",
	.parse_line = ftrace_parse_line,
	.columns = true,
};
