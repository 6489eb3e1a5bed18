/* SPDX-License-Identifier: MIT */
/*
 * Reads ftrace text, see traces/recording.h. A line is
 *
 *     %16s-%-7d (%7d) [%03d] FLAGS SECONDS.FRACTION: EVENT: FIELDS
 *
 * where (TGID) and FLAGS may be missing. Hand-written matching of fixed words takes some
 * 60 ns a line; sscanf() and regcomp() take a microsecond.
 * Source: trace_print_context() and lat_print_generic() in kernel/trace/trace_output.c,
 *         print_trace_header() in kernel/trace/trace.c, TRACE_EVENT(sched_switch).
 */
#include "traces/recording.h"

#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/msr.h"
#include "traces/textfile.h"

#define NS_PER_S         UINT64_C(1000000000)
#define MAX_TIME_SECONDS UINT64_C(9000000000) /* times in ns stay below 2^63 */

enum {
	TASK_COLUMN_BYTES = 16, /* the dash stands here when nobody has cut the line */
	MAX_PREFIX_BYTES = 128, /* no dash is looked for beyond; file names may come first */
	MAX_FLAGS_BYTES = 8,
	MAX_STATE_BYTES = 15,
	SKIPPED_SLOTS = 64 /* of a hash table that is at most half full */
};

/* A piece of a line that is being read from left to right. */
struct cursor {
	const char *p;
	const char *end;
};

static bool is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static inline bool take_char(struct cursor *c, char wanted)
{
	if (c->p == c->end || *c->p != wanted)
		return false;
	c->p++;
	return true;
}

static inline bool take_spaces(struct cursor *c)
{
	const char *start = c->p;

	while (c->p < c->end && *c->p == ' ')
		c->p++;
	return c->p != start;
}

/*
 * Eight characters at once, the first in the lowest byte: 0 to 9 for digits, more for others.
 * Bit 7 of a byte of not_digits() is set for the others.
 * Source: D. Lemire, "Quickly parsing eight digits", 2018; W. Mula, "SWAR string to integer".
 */
static uint64_t load_digits(const char *p)
{
	uint64_t bytes;

	memcpy(&bytes, p, sizeof(bytes));
	return le64toh(bytes) ^ UINT64_C(0x3030303030303030);
}

static uint64_t not_digits(uint64_t digits)
{
	return (((digits & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7676767676767676)) | digits) &
	       UINT64_C(0x8080808080808080);
}

/* The value of eight digits, the least significant in the highest byte. */
static uint64_t add_up(uint64_t digits)
{
	digits = (digits * 10 + (digits >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
	digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
	return (digits * 10000 + (digits >> 32)) & UINT64_C(0xffffffff);
}

/* Up to 18 digits, so that no sum of them overflows. */
static inline bool take_number(struct cursor *c, uint64_t *value)
{
	const char *start = c->p;
	uint64_t v = 0, digits, stop;

	if (c->end - c->p >= 8) {
		digits = load_digits(c->p);
		stop = not_digits(digits);
		if (stop) {
			int nr = __builtin_ctzll(stop) / 8;

			*value = nr ? add_up(digits << (64 - 8 * nr)) : 0;
			c->p += nr;
			return nr;
		}
	}
	while (c->p < c->end && is_digit(*c->p))
		v = v * 10 + (uint64_t)(*c->p++ - '0');
	*value = v;
	return c->p != start && c->p - start <= 18;
}

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
	const char *start = c->p;
	uint64_t v;

	if (!take_number(c, &v) || c->p - start > 9)
		return false;
	for (ptrdiff_t digits = c->p - start; digits < 9; digits++)
		v *= 10;
	*ns = v;
	return true;
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

/* What stands behind the dash of "TASK-PID", up to the colon behind the time. */
static enum ftrace_line take_prefix(struct cursor *c, struct sched_event *event,
				    const char **wanted)
{
	uint64_t pid, cpu, seconds, ns = 0;
	bool has_point;

	if (!take_number(c, &pid) || !take_spaces(c) || !take_tgid(c) || !take_char(c, '[') ||
	    !take_number(c, &cpu) || !take_char(c, ']') || !take_spaces(c) || !take_flags(c) ||
	    !take_number(c, &seconds))
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

/* Does the text before *at end with @word? Then *at moves in front of it. */
static inline bool back_word(const char *start, const char **at, const char *word, size_t len)
{
	if ((size_t)(*at - start) < len || memcmp(*at - len, word, len))
		return false;
	*at -= len;
	return true;
}

/* A number that ends at *at, in digits, with a sign if @sign. */
static inline bool back_number(const char *start, const char **at, bool sign, uint64_t *value)
{
	struct cursor number = {.end = *at};
	const char *p = *at;
	uint64_t digits, stop = 0;

	if (p - start >= 8) {
		digits = load_digits(p - 8);
		stop = not_digits(digits);
	}
	if (stop) {
		int others = (71 - __builtin_clzll(stop)) / 8;

		*value = others < 8 ? add_up(digits & UINT64_MAX << 8 * others) : 0;
		p -= 8 - others;
	} else {
		while (p > start && is_digit(p[-1]))
			p--;
		number.p = p;
		if (!take_number(&number, value))
			return false;
	}
	if (p == *at)
		return false;
	if (sign && p > start && p[-1] == '-')
		p--;
	*at = p;
	return true;
}

#define BACK_WORD(start, at, word) back_word(start, at, word, sizeof(word) - 1)

/* The lowest @nr bytes of a word that was loaded from memory. */
static uint64_t first_bytes(uint64_t word, size_t nr)
{
	return htole64(nr >= 8 ? le64toh(word) : le64toh(word) & ((UINT64_C(1) << 8 * nr) - 1));
}

/*
 * Copy a name of fewer than TASK_NAME_BYTES bytes and pad it. Sixteen bytes of the line are
 * there in practice, and masking them has no branch on a length that changes line by line.
 */
static void copy_comm(char comm[TASK_NAME_BYTES], const char *from, const char *to, const char *end)
{
	size_t len = (size_t)(to - from);
	uint64_t words[2];

	if (end - from < TASK_NAME_BYTES) {
		memset(comm, 0, TASK_NAME_BYTES);
		memcpy(comm, from, len);
		return;
	}
	memcpy(words, from, sizeof(words));
	words[0] = first_bytes(words[0], len);
	words[1] = first_bytes(words[1], len < 8 ? 0 : len - 8);
	memcpy(comm, words, sizeof(words));
}

/* "prev_comm=X prev_pid=1 prev_prio=120 prev_state=S", all of it. */
static bool parse_prev(const char *start, const char *end, struct sched_event *event)
{
	static const char head[] = "prev_comm=";
	const char *at = end, *state;
	uint64_t prio, pid;

	while (at > start && at[-1] != ' ' && at[-1] != '=' && end - at <= MAX_STATE_BYTES)
		at--;
	state = at;
	if (state == end || !BACK_WORD(start, &at, " prev_state=") ||
	    !back_number(start, &at, true, &prio) || !BACK_WORD(start, &at, " prev_prio=") ||
	    !back_number(start, &at, false, &pid) || !BACK_WORD(start, &at, " prev_pid=") ||
	    at - start < (ptrdiff_t)sizeof(head) - 1 || memcmp(start, head, sizeof(head) - 1) ||
	    at - start - ((ptrdiff_t)sizeof(head) - 1) >= TASK_NAME_BYTES ||
	    pid > RECORDING_MAX_PID)
		return false;
	copy_comm(event->prev_comm, start + sizeof(head) - 1, at, end);
	event->prev_pid = (uint32_t)pid;
	event->prev_dead = *state == 'X' || *state == 'Z';
	return true;
}

/* Some kernels append fields of their own: cut behind the last next_prio. */
static const char *cut_behind_prio(const char *start, const char *end)
{
	static const char word[] = " next_prio=";
	struct cursor c = {.end = end};
	const char *at = end;

	while (at > start && !BACK_WORD(start, &at, word))
		at--;
	if (at == start)
		return end;
	c.p = at + sizeof(word) - 1;
	take_char(&c, '-');
	while (c.p < end && is_digit(*c.p))
		c.p++;
	return c.p;
}

static bool parse_switch(const char *start, const char *end, struct sched_event *event)
{
	const char *at, *name_end, *name, *before, *limit;
	uint64_t prio, pid;

	while (end > start && end[-1] == ' ')
		end--;
	if (end > start && !is_digit(end[-1]))
		end = cut_behind_prio(start, end);
	at = end;
	if (!back_number(start, &at, true, &prio))
		return false;
	if (!BACK_WORD(start, &at, " next_prio=")) {
		at = cut_behind_prio(start, end);
		if (!back_number(start, &at, true, &prio) || !BACK_WORD(start, &at, " next_prio="))
			return false;
	}
	if (!back_number(start, &at, false, &pid) || !BACK_WORD(start, &at, " next_pid=") ||
	    pid > RECORDING_MAX_PID)
		return false;
	/* Of all "=" that may stand before the name, the one behind which the rest fits. */
	name_end = at;
	limit = name_end - start < TASK_NAME_BYTES ? start : name_end - TASK_NAME_BYTES;
	for (name = name_end; (name = memrchr(limit, '=', (size_t)(name - limit)));) {
		before = name + 1;
		if (!BACK_WORD(start, &before, " ==> next_comm=") ||
		    !parse_prev(start, before, event))
			continue;
		copy_comm(event->next_comm, name + 1, name_end, end);
		event->next_pid = (uint32_t)pid;
		return true;
	}
	return false;
}

/* "... xcomp_bv: 80000000000008e7", the last field. */
static bool names_tile_data(const char *start, const char *end)
{
	const char *p = memrchr(start, ':', (size_t)(end - start)), *word_end = p;
	uint64_t value = 0;

	if (!p || !BACK_WORD(start, &word_end, "xcomp_bv"))
		return false;
	for (p++; p < end; p++) {
		if (is_digit(*p))
			value = value << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			value = value << 4 | (uint64_t)(*p - 'a' + 10);
		else if (*p != ' ')
			break;
	}
	return value & XFEATURE_MASK_XTILE_DATA;
}

/* Behind the time: " EVENT: FIELDS". */
static enum ftrace_line parse_event(struct cursor *c, struct sched_event *event, const char **name,
				    size_t *name_len, const char **wanted)
{
	const char *start;

	take_spaces(c);
	start = c->p;
	if (c->end - start > 12 && !memcmp(start, "sched_switch:", 13))
		c->p += 12; /* nearly every line; saves looking for the colon */
	while (c->p < c->end && *c->p != ':' && *c->p != ' ')
		c->p++;
	*name = start;
	*name_len = c->p < c->end && *c->p == ':' ? (size_t)(c->p - start) : 0;
	if (*name_len)
		c->p++;
	take_spaces(c);
	event->kind = SCHED_EVENT_OTHER;
	if (*name_len == 12 && !memcmp(start, "sched_switch", 12)) {
		event->kind = SCHED_EVENT_SWITCH;
		if (parse_switch(c->p, c->end, event))
			return FTRACE_LINE_EVENT;
		*wanted = "sched_switch as the kernel prints it (prev_comm= prev_pid= prev_prio= "
			  "prev_state= ==> next_comm= next_pid= next_prio=); with trace-cmd use "
			  "`trace-cmd report -N -t`";
		return FTRACE_LINE_BAD;
	}
	if (*name_len == 18 && !memcmp(start, "sched_migrate_task", 18)) {
		event->kind = SCHED_EVENT_MIGRATE;
	} else if (*name_len == 17 && !memcmp(start, "local_timer_entry", 17)) {
		event->kind = SCHED_EVENT_TIMER;
	} else if (*name_len == 22 && !memcmp(start, "x86_fpu_regs_activated", 22)) {
		event->kind = SCHED_EVENT_FPU_ACTIVATED;
		event->amx_buffer = names_tile_data(c->p, c->end);
	}
	return FTRACE_LINE_EVENT;
}

/* "CPU:0 [LOST 123 EVENTS]", "CPU:0 [LOST EVENTS]", "CPU:0 [123 EVENTS DROPPED]". */
static enum ftrace_line parse_loss(struct cursor c, struct sched_event *event, const char **wanted)
{
	uint64_t cpu, lost = 0;
	size_t left;

	if (c.end - c.p < 4 || memcmp(c.p, "CPU:", 4))
		return FTRACE_LINE_UNPARSED;
	c.p += 4;
	if (!take_number(&c, &cpu) || !take_spaces(&c) || !take_char(&c, '['))
		return FTRACE_LINE_UNPARSED;
	left = (size_t)(c.end - c.p);
	if (left >= 5 && !memcmp(c.p, "LOST ", 5)) {
		c.p += 5;
		if (take_number(&c, &lost) && !take_spaces(&c))
			return FTRACE_LINE_UNPARSED;
		left = (size_t)(c.end - c.p);
		if (left < 7 || memcmp(c.p, "EVENTS]", 7))
			return FTRACE_LINE_UNPARSED;
	} else if (!take_number(&c, &lost) || c.end - c.p < 16 ||
		   memcmp(c.p, " EVENTS DROPPED]", 16)) {
		return FTRACE_LINE_UNPARSED;
	}
	if (cpu >= TRACE_MAX_VCPUS) {
		*wanted = "a CPU number below 4096";
		return FTRACE_LINE_BAD;
	}
	*event = (struct sched_event){.kind = SCHED_EVENT_LOST, .cpu = (uint32_t)cpu, .lost = lost};
	return FTRACE_LINE_EVENT;
}

enum ftrace_line ftrace_parse_line(const char *line, size_t len, struct sched_event *event,
				   const char **name, size_t *name_len, const char **wanted)
{
	struct cursor c = {line, line + len}, whole;
	const char *limit;
	enum ftrace_line ret;

	*wanted = NULL;
	*name_len = 0;
	if (len > TASK_COLUMN_BYTES && line[TASK_COLUMN_BYTES] == '-' && line[0] != '#') {
		c.p = line + TASK_COLUMN_BYTES + 1;
		ret = take_prefix(&c, event, wanted);
		if (ret == FTRACE_LINE_EVENT)
			return parse_event(&c, event, name, name_len, wanted);
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
	limit = c.end - c.p > MAX_PREFIX_BYTES ? c.p + MAX_PREFIX_BYTES : c.end;
	while ((c.p = memchr(whole.p, '-', (size_t)(limit - whole.p)))) {
		whole.p = ++c.p;
		ret = take_prefix(&c, event, wanted);
		if (ret == FTRACE_LINE_EVENT)
			return parse_event(&c, event, name, name_len, wanted);
		if (ret == FTRACE_LINE_BAD)
			return ret;
	}
	return FTRACE_LINE_UNPARSED;
}

/*
 * @unread_line, @unread: the first line that could not be read, for the case that there is
 * nothing else to show. @last_skipped: the entry of @names that was counted last. @last_cpu,
 * @last_line: where @stats.last_ns was seen.
 */
struct recording {
	struct textfile *text;
	struct recording_stats stats;
	uint32_t last_cpu;
	uint64_t last_line;
	uint64_t unread_line;
	char unread[80];
	uint32_t nr_names;
	struct skipped_event *last_skipped;
	uint64_t others;
	struct skipped_event names[SKIPPED_SLOTS];
};

/* Takes over @text. */
static int start(struct textfile *text, struct recording **recordingp, struct xfd_error *err)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	int ret;

	if (!recording) {
		ret = xfd_error_set(err, XFD_ERROR_SYSTEM, textfile_name(text), 0, -1,
				    "out of memory");
		textfile_close(text);
		return ret;
	}
	recording->text = text;
	*recordingp = recording;
	return 0;
}

int recording_open(const char *path, struct recording **recording, struct xfd_error *err)
{
	struct textfile *text;
	int ret = textfile_open(path, &text, err);

	return ret ? ret : start(text, recording, err);
}

int recording_open_memory(const char *name, const void *data, size_t len,
			  struct recording **recording, struct xfd_error *err)
{
	struct textfile *text;
	int ret = textfile_open_memory(name, data, len, &text, err);

	return ret ? ret : start(text, recording, err);
}

static void count_skipped(struct recording *recording, const char *name, size_t len)
{
	uint32_t hash = 2166136261u;
	struct skipped_event *slot = recording->last_skipped;

	recording->stats.skipped++;
	if (!len) {
		name = "(without a name)";
		len = strlen(name);
	}
	if (len >= RECORDING_NAME_BYTES)
		len = RECORDING_NAME_BYTES - 1;
	if (slot && !memcmp(slot->name, name, len) && !slot->name[len]) {
		slot->count++;
		return;
	}
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	for (;; hash++) {
		slot = &recording->names[hash % SKIPPED_SLOTS];
		if (!slot->count)
			break;
		if (!memcmp(slot->name, name, len) && !slot->name[len]) {
			recording->last_skipped = slot;
			slot->count++;
			return;
		}
	}
	if (recording->nr_names == RECORDING_SKIPPED_NAMES - 1) {
		recording->others++;
		return;
	}
	recording->nr_names++;
	memcpy(slot->name, name, len);
	slot->count = 1;
}

/* "# entries-in-buffer/entries-written: 100/150   #P:2": 50 were overwritten. */
static void read_header(struct recording *recording, const char *line, size_t len)
{
	static const char word[] = "entries-in-buffer/entries-written: ";
	struct cursor c = {memmem(line, len, word, sizeof(word) - 1), line + len};
	uint64_t in_buffer, written;

	if (!c.p)
		return;
	c.p += sizeof(word) - 1;
	if (take_number(&c, &in_buffer) && take_char(&c, '/') && take_number(&c, &written) &&
	    written > in_buffer)
		recording->stats.overwritten_events += written - in_buffer;
}

static void count_unparsed(struct recording *recording, const char *line, size_t len)
{
	size_t shown = len < sizeof(recording->unread) ? len : sizeof(recording->unread) - 1;

	if (recording->stats.unparsed++)
		return;
	recording->unread_line = recording->stats.lines;
	for (size_t i = 0; i < shown; i++)
		recording->unread[i] =
			line[i] >= ' ' && (unsigned char)line[i] < 0x7f ? line[i] : '?';
}

static int fail_at_line(const struct recording *recording, struct xfd_error *err,
			const char *wanted, const char *line, size_t len)
{
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording),
			     recording->stats.lines, -1, "wanted %s; this is \"%.*s\"", wanted,
			     len > 160 ? 160 : (int)len, line);
}

/* Called for every event that has a time. */
static int check_time(struct recording *recording, const struct sched_event *event,
		      struct xfd_error *err)
{
	struct recording_stats *stats = &recording->stats;
	bool backwards = event->time_ns < stats->last_ns;

	if (!stats->events++) {
		stats->first_ns = event->time_ns;
	} else if (backwards ||
		   event->time_ns - stats->last_ns > RECORDING_MAX_GAP_SECONDS * NS_PER_S) {
		return xfd_error_set(
			err, XFD_ERROR_INPUT, recording_name(recording), stats->lines, -1,
			"time %s: %" PRIu64 ".%09" PRIu64 " on CPU %" PRIu32 " comes after "
			"%" PRIu64 ".%09" PRIu64 " on CPU %" PRIu32 " in line %" PRIu64 "; %s",
			backwards ? "goes backwards" : "jumps by more than an hour",
			event->time_ns / NS_PER_S, event->time_ns % NS_PER_S, event->cpu,
			stats->last_ns / NS_PER_S, stats->last_ns % NS_PER_S, recording->last_cpu,
			recording->last_line,
			backwards ? "wanted lines in order of time, all CPUs together"
				  : "import what was recorded before and after a pause apart");
	}
	stats->last_ns = event->time_ns;
	recording->last_cpu = event->cpu;
	recording->last_line = stats->lines;
	return 0;
}

static void count_event(struct recording *recording, const struct sched_event *event,
			const char *name, size_t name_len)
{
	struct recording_stats *stats = &recording->stats;

	switch (event->kind) {
	case SCHED_EVENT_SWITCH:
		stats->switches++;
		break;
	case SCHED_EVENT_MIGRATE:
		stats->migrations++;
		break;
	case SCHED_EVENT_TIMER:
		stats->timers++;
		break;
	case SCHED_EVENT_FPU_ACTIVATED:
		stats->fpu_activated++;
		break;
	case SCHED_EVENT_LOST:
		stats->loss_places++;
		stats->lost_events += event->lost;
		break;
	default:
		count_skipped(recording, name, name_len);
	}
}

static int check_end(const struct recording *recording, struct xfd_error *err)
{
	const struct recording_stats *stats = &recording->stats;

	if (stats->switches)
		return 0;
	if (stats->unparsed)
		return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
				     "no sched_switch in %" PRIu64 " lines; first line that could "
				     "not be read: line %" PRIu64 ": \"%s\"",
				     stats->lines, recording->unread_line, recording->unread);
	return xfd_error_set(err, XFD_ERROR_INPUT, recording_name(recording), 0, -1,
			     "no sched_switch in %" PRIu64 " lines (%" PRIu64 " of other events): "
			     "record with -e sched:sched_switch",
			     stats->lines, stats->events);
}

int recording_next(struct recording *recording, struct sched_event *event, struct xfd_error *err)
{
	const char *line, *name, *wanted;
	size_t len, name_len;
	int ret;

	for (;;) {
		ret = textfile_next(recording->text, &line, &len, err);
		if (ret < 0)
			return ret;
		if (!ret)
			return check_end(recording, err);
		recording->stats.lines++;
		switch (ftrace_parse_line(line, len, event, &name, &name_len, &wanted)) {
		case FTRACE_LINE_EVENT:
			ret = event->kind == SCHED_EVENT_LOST ? 0
							      : check_time(recording, event, err);
			if (ret)
				return ret;
			count_event(recording, event, name, name_len);
			return 1;
		case FTRACE_LINE_COMMENT:
			read_header(recording, line, len);
			break;
		case FTRACE_LINE_UNPARSED:
			count_unparsed(recording, line, len);
			break;
		case FTRACE_LINE_BAD:
			return fail_at_line(recording, err, wanted, line, len);
		}
	}
}

const struct recording_stats *recording_stats(const struct recording *recording)
{
	return &recording->stats;
}

static int by_count_then_name(const void *a, const void *b)
{
	const struct skipped_event *x = a, *y = b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->name, y->name);
}

size_t recording_skipped(const struct recording *recording,
			 struct skipped_event skipped[RECORDING_SKIPPED_NAMES])
{
	size_t nr = 0;

	for (size_t i = 0; i < SKIPPED_SLOTS; i++)
		if (recording->names[i].count)
			skipped[nr++] = recording->names[i];
	qsort(skipped, nr, sizeof(skipped[0]), by_count_then_name);
	if (recording->others)
		skipped[nr++] =
			(struct skipped_event){.name = "(others)", .count = recording->others};
	return nr;
}

const char *recording_name(const struct recording *recording)
{
	return textfile_name(recording->text);
}

uint64_t recording_line(const struct recording *recording)
{
	return recording->stats.lines;
}

void recording_progress(const struct recording *recording, uint64_t *done_bytes,
			uint64_t *total_bytes)
{
	textfile_progress(recording->text, done_bytes, total_bytes);
}

void recording_hash(const struct recording *recording, char hash[TRACE_HASH_LEN])
{
	textfile_hash(recording->text, hash);
}

void recording_close(struct recording *recording)
{
	if (!recording)
		return;
	textfile_close(recording->text);
	free(recording);
}
