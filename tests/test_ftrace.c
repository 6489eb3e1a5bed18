/* SPDX-License-Identifier: MIT */
/* Lines of text, and what ftrace means by them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "tests/xt.h"
#include "traces/recording.h"
#include "traces/textfile.h"

#define S(us, payload)                                                                             \
	"            wrk-7       [001] d..2.     1." us ": sched_switch: " payload "\n"
#define SWITCH_PAYLOAD                                                                             \
	"prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=nginx next_pid=8 "      \
	"next_prio=120"

static enum ftrace_line parse(const char *line, struct sched_event *event)
{
	const char *name, *wanted;
	size_t name_len;

	return ftrace_parse_line(line, strlen(line), event, &name, &name_len, &wanted);
}

struct good_line {
	const char *line;
	uint32_t kind, cpu, pid;
	uint64_t time_ns;
};

static void every_printing_of_the_prefix_is_read(void **state)
{
	static const struct good_line rows[] = {
		{"           wrk-13429   [000] d..2.   798.482310: sched_switch: " SWITCH_PAYLOAD,
		 SCHED_EVENT_SWITCH, 0, 13429, UINT64_C(798482310000)},
		{"           wrk-13429   [000]   798.482310: sched_switch: " SWITCH_PAYLOAD,
		 SCHED_EVENT_SWITCH, 0, 13429, UINT64_C(798482310000)},
		{"             a-1     (      1) [002] d..2     0.000001: local_timer_entry: "
		 "vector=236",
		 SCHED_EVENT_TIMER, 2, 1, 1000},
		{"          <...>-1     (-------) [002] ....     0.000001: foo: bar",
		 SCHED_EVENT_OTHER, 2, 1, 1000},
		{"          <idle>-0     [4095] 12.123456789: sched_migrate_task: x",
		 SCHED_EVENT_MIGRATE, 4095, 0, UINT64_C(12123456789)},
		{"     CPU 0/KVM-99    [003]     5.000000100: sched_switch:        "
		 " " SWITCH_PAYLOAD,
		 SCHED_EVENT_SWITCH, 3, 99, UINT64_C(5000000100)},
		{" a-1 [0] 1.0: b-2 [001] d..2. 2.000000: x: y", SCHED_EVENT_OTHER, 0, 1,
		 UINT64_C(1000000000)},
		{"- 1 [0] 1.0: x: -2      [007] d..2. 2.5: x: y", SCHED_EVENT_OTHER, 7, 2,
		 UINT64_C(2500000000)},
		{"file.dat:            wrk-7     [001]     1.5: x: y", SCHED_EVENT_OTHER, 1, 7,
		 UINT64_C(1500000000)},
		{"             x-1       [001] d....  9.000000: function_name <-caller",
		 SCHED_EVENT_OTHER, 1, 1, UINT64_C(9000000000)},
	};
	struct sched_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].line);
		assert_int_equal(parse(rows[i].line, &event), FTRACE_LINE_EVENT);
		assert_int_equal(event.kind, rows[i].kind);
		assert_int_equal(event.cpu, rows[i].cpu);
		assert_int_equal(event.pid, rows[i].pid);
		assert_int_equal(event.time_ns, rows[i].time_ns);
	}
}

struct switch_row {
	const char *payload, *prev, *next;
	uint32_t prev_pid, next_pid;
	uint8_t dead;
};

static void a_switch_is_read_whatever_the_names_hold(void **state)
{
	static const struct switch_row rows[] = {
		{SWITCH_PAYLOAD, "wrk", "nginx", 7, 8, 0},
		{"prev_comm=a prev_pid=1 x prev_pid=2 prev_prio=-1 prev_state=X ==> next_comm= "
		 "next_pid=3 next_prio=0",
		 "a prev_pid=1 x", "", 2, 3, 1},
		{"prev_comm= prev_pid=2 prev_prio=120 prev_state=R+ ==> next_comm= ==> next_comm= "
		 "next_pid=4194304 next_prio=-1",
		 "", " ==> next_comm=", 2, 4194304, 0},
		{"prev_comm=next_pid=5 n=1 prev_pid=0 prev_prio=120 prev_state=Z ==> "
		 "next_comm=0123456789=next next_pid=0 next_prio=120 ",
		 "next_pid=5 n=1", "0123456789=next", 0, 0, 1},
		{"prev_comm=a prev_pid=1 prev_prio=120 prev_state=D|W ==> next_comm=b next_pid=2 "
		 "next_prio=120 vendor_field=17",
		 "a", "b", 1, 2, 0},
		{"prev_comm=a prev_pid=1 prev_prio=120 prev_state=S ==> next_comm=b next_pid=2 "
		 "next_prio=120 vendor_field=x",
		 "a", "b", 1, 2, 0},
		{"prev_comm=\xc3\xa9 prev_pid=1 prev_prio=120 prev_state=S ==> next_comm=a:b/c-d "
		 "next_pid=2 next_prio=120",
		 "\xc3\xa9", "a:b/c-d", 1, 2, 0},
	};
	struct sched_event event;
	char line[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].payload);
		snprintf(line, sizeof(line), "%16s-%-7d [001] d..2.     1.000000: sched_switch: %s",
			 "x", 1, rows[i].payload);
		assert_int_equal(parse(line, &event), FTRACE_LINE_EVENT);
		assert_int_equal(event.kind, SCHED_EVENT_SWITCH);
		assert_string_equal(event.prev_comm, rows[i].prev);
		assert_string_equal(event.next_comm, rows[i].next);
		assert_int_equal(event.prev_pid, rows[i].prev_pid);
		assert_int_equal(event.next_pid, rows[i].next_pid);
		assert_int_equal(event.prev_dead, rows[i].dead);
	}
}

static void names_are_padded_with_nul_to_the_end(void **state)
{
	struct sched_event event;
	char zero[TASK_NAME_BYTES] = "nginx";

	(void)state;
	memset(&event, 0xff, sizeof(event));
	parse("               x-1       [001] 1.0: sched_switch: " SWITCH_PAYLOAD, &event);
	assert_memory_equal(event.next_comm, zero, TASK_NAME_BYTES);
}

/*
 * Usual lines are read by shortcuts. The same line with a TGID, or without the 0x of a field,
 * takes the long way, and must say the same, whatever byte of it is wrong.
 */
static const char *const usual_lines[] = {
	"       CPU 0/KVM-4242  [003]  1000.000002500: kvm_exit:             vcpu 0 reason "
	"MSR_WRITE "
	"rip 0xffffffff810a3f54 info1 0x00000000000001c4 info2 0x0123456789abcdef intr_info "
	"0x800000ec error_code 0x00000000",
	"       CPU 1/KVM-7     [000] d..1. 12345.678901: kvm_exit: vcpu 12 reason "
	"EXTERNAL_INTERRUPT rip 0x40 info1 0x0000000000000000 info2 0x0000000000000000 intr_info "
	"0x00000000",
	"       CPU 0/KVM-1000  [000]     1.000000000: kvm_entry:            vcpu 0, rip 0x0",
	"       CPU 0/KVM-1000  [000]     1.000000000: kvm_msr:              msr_write 1c4 = "
	"0x40000",
	"            wrk-13429   [001] d..2.   798.482310: sched_switch: " SWITCH_PAYLOAD,
};

/* The line with @from replaced by @to at its first place from byte @at on, or NULL. */
static char *varied(const char *line, size_t at, const char *from, const char *to)
{
	const char *found = strlen(line) > at ? strstr(line + at, from) : NULL;
	char *text = NULL;

	if (found &&
	    asprintf(&text, "%.*s%s%s", (int)(found - line), line, to, found + strlen(from)) < 0)
		abort();
	return text;
}

static void assert_same_event(const char *usual, char *other)
{
	struct sched_event a, b;

	if (!other)
		return;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	if (parse(usual, &a) == FTRACE_LINE_EVENT && parse(other, &b) == FTRACE_LINE_EVENT)
		assert_memory_equal(&a, &b, sizeof(a));
	else if (parse(usual, &a) != parse(other, &b))
		fail_msg("%s\n%s", usual, other);
	free(other);
}

static void shortcuts_change_nothing(void **state)
{
	static const char bytes[] = " 09af[]:.xX-?\x80,";

	(void)state;
	for (size_t i = 0; i < sizeof(usual_lines) / sizeof(usual_lines[0]); i++)
		for (size_t at = 17; at < strlen(usual_lines[i]); at++)
			for (const char *byte = bytes; *byte; byte++) {
				char *line = strdup(usual_lines[i]);

				line[at] = *byte;
				/* Where the bracket is the changed byte there is no place. */
				if (line[at] != '[' && at > 26)
					assert_same_event(line, varied(line, 17, " [", " (1) ["));
				if (!strstr(line, "0x0x")) /* of which one 0x is allowed */
					assert_same_event(line,
							  varied(line, 60, " info2 0x", " info2 "));
				line[at] = '\0'; /* or cut off there */
				if (at > 26)
					assert_same_event(line, varied(line, 17, " [", " (1) ["));
				free(line);
			}
}

static void malformed_switches_are_bad_lines(void **state)
{
	static const char *const rows[] = {
		"",
		"wrk:7 [120] S ==> nginx:8",
		"prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=nginx "
		"next_pid=8",
		"prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=nginx "
		"next_prio=8",
		"prev_comm=wrk prev_pid= prev_prio=120 prev_state=S ==> next_comm=n next_pid=8 "
		"next_prio=1",
		"prev_comm=wrk prev_pid=7 prev_prio=120 prev_state= ==> next_comm=n next_pid=8 "
		"next_prio=1",
		"prev_comm=wrk prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=n "
		"next_pid=4194305 "
		"next_prio=1",
		"prev_comm=0123456789abcdef prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=n "
		"next_pid=8 next_prio=1",
		"prev_comm=a prev_pid=7 prev_prio=120 prev_state=S ==> next_comm=0123456789abcdef "
		"next_pid=8 next_prio=1",
		"prev_comm=a prev_pid=99999999999999999999 prev_prio=120 prev_state=S ==> "
		"next_comm=a next_pid=8 next_prio=1",
	};
	struct sched_event event;
	char line[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i]);
		snprintf(line, sizeof(line), "%16s-%-7d [001] d..2.     1.000000: sched_switch: %s",
			 "x", 1, rows[i]);
		assert_int_equal(parse(line, &event), FTRACE_LINE_BAD);
	}
}

static void other_lines_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		enum ftrace_line is;
	} rows[] = {
		{"", FTRACE_LINE_COMMENT},
		{"   ", FTRACE_LINE_COMMENT},
		{"# tracer: nop", FTRACE_LINE_COMMENT},
		{"##### CPU 1 buffer started ####", FTRACE_LINE_COMMENT},
		{"CPU 0 is empty", FTRACE_LINE_UNPARSED},
		{"x-y [001] 1.0: a: b", FTRACE_LINE_UNPARSED},
		{"x-1 [001 1.0: a: b", FTRACE_LINE_UNPARSED},
		{"x-1 [001] 1.0 a: b", FTRACE_LINE_UNPARSED},
		{"x-1 [001] 1.0000000001: a: b", FTRACE_LINE_UNPARSED},
		{"x-1 [001] 123456: a: b", FTRACE_LINE_BAD}, /* a clock that counts cycles */
		{"x-1 [4096] 1.0: a: b", FTRACE_LINE_BAD},
		{"x-4194305 [001] 1.0: a: b", FTRACE_LINE_BAD},
		{"x-1 [001] 9000000000.0: a: b", FTRACE_LINE_BAD},
		{"CPU:5000 [LOST EVENTS]", FTRACE_LINE_BAD},
		{"CPU:0 [LOST 12 EVENT", FTRACE_LINE_UNPARSED},
		{"CPU:0 [LOST 12 EVENTS DROPPED]", FTRACE_LINE_UNPARSED},
		{"CPU:0 [12EVENTS DROPPED]", FTRACE_LINE_UNPARSED},
		{"CPU:0 [EVENTS]", FTRACE_LINE_UNPARSED},
		{"a.txt: CPU:0 [EVENTS DROPPED]", FTRACE_LINE_UNPARSED},
		{"a.dat: CPU:5000 [EVENTS DROPPED]", FTRACE_LINE_BAD},
	};
	struct sched_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].line);
		assert_int_equal(parse(rows[i].line, &event), rows[i].is);
	}
}

static void marks_of_loss_name_cpu_and_number(void **state)
{
	static const struct {
		const char *line;
		uint32_t cpu;
		uint64_t lost;
	} rows[] = {
		{"CPU:0 [LOST 123 EVENTS]", 0, 123},
		{"CPU:17 [LOST EVENTS]", 17, 0},
		{"  CPU:4095 [457284 EVENTS DROPPED]", 4095, 457284},
		{"CPU:3 [EVENTS DROPPED]", 3, 0},
		{"CPU:2 [LOST 99999999999999999999999 EVENTS]", 2, 0},
		{"lost-a.dat: CPU:0 [777 EVENTS DROPPED]", 0, 777},
		{"  lost-a.dat: CPU:1 [EVENTS DROPPED]", 1, 0},
		{"lost-a.dat: CPU:2 [LOST 9 EVENTS]", 2, 9},
	};
	struct sched_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(parse(rows[i].line, &event), FTRACE_LINE_EVENT);
		assert_int_equal(event.kind, SCHED_EVENT_LOST);
		assert_int_equal(event.cpu, rows[i].cpu);
		assert_int_equal(event.lost, rows[i].lost);
		assert_int_equal(event.file != NULL, strstr(rows[i].line, ".dat") != NULL);
	}
}

static void xcomp_bv_tells_whether_the_buffer_has_room_for_tiles(void **state)
{
	struct sched_event event;

	(void)state;
	parse("x-1 [001] 1.0: x86_fpu_regs_activated: x86/fpu: 0 load: 1 xfeatures: a2 xcomp_bv: "
	      "80000000000008e7",
	      &event);
	assert_int_equal(event.kind, SCHED_EVENT_FPU_ACTIVATED);
	assert_false(event.amx_buffer);
	parse("x-1 [001] 1.0: x86_fpu_regs_activated: x86/fpu: 0 load: 1 xfeatures: a2 xcomp_bv: "
	      "80000000000608e7",
	      &event);
	assert_true(event.amx_buffer);
}

/* Read all of @text. Return: what recording_next() said last. */
static int read_all(const char *text, size_t len, struct recording_stats *stats,
		    struct xfd_error *err)
{
	struct recording *recording;
	struct sched_event event;
	int ret;

	memset(err, 0, sizeof(*err));
	ret = recording_open_memory("test", text, len, &recording, err);
	if (ret)
		return ret;
	while ((ret = recording_next(recording, &event, err)) > 0)
		;
	if (stats)
		*stats = *recording_stats(recording);
	recording_close(recording);
	return ret;
}

static void a_recording_is_counted_line_by_line(void **state)
{
	static const char text[] =
		"# entries-in-buffer/entries-written: 100/150   #P:2\r\n"
		"\n"
		"version: 6\n"
		"CPU:1 [LOST 40 EVENTS]\n"
		"CPU:1 [LOST EVENTS]\n" S(
			"000001",
			SWITCH_PAYLOAD) "a-1 [001] 1.000002: irq_handler_entry: irq=1\r\n"
					"a-1 [001] 1.000002: irq_handler_entry: irq=2\n"
					"a-1 [001] 1.000002: another: x\n"
					"a-1 [000] 1.000003: local_timer_entry: vector=236\n"
					"a-1 [000] 1.000004: sched_migrate_task: comm=x";
	struct skipped_event skipped[RECORDING_SKIPPED_NAMES];
	const struct recording_stats *stats;
	struct recording *recording;
	struct xfd_error err = {0};
	struct sched_event event;
	char hash[TRACE_HASH_LEN];

	(void)state;
	assert_int_equal(recording_open_memory("t", text, strlen(text), &recording, &err), 0);
	while (recording_next(recording, &event, &err) > 0)
		;
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	stats = recording_stats(recording);
	assert_int_equal(stats->lines, 11);
	assert_int_equal(stats->events, 6);
	assert_int_equal(stats->unparsed, 1);
	assert_int_equal(stats->by_kind[SCHED_EVENT_SWITCH], 1);
	assert_int_equal(stats->by_kind[SCHED_EVENT_MIGRATE], 1);
	assert_int_equal(stats->by_kind[SCHED_EVENT_TIMER], 1);
	assert_int_equal(stats->skipped, 3);
	assert_int_equal(stats->loss_places, 2);
	assert_int_equal(stats->lost_events, 40 + 1);
	assert_int_equal(stats->uncounted_losses, 1);
	assert_int_equal(stats->overwritten_events, 150 - 100);
	assert_int_equal(stats->first_ns, UINT64_C(1000001000));
	assert_int_equal(stats->last_ns, UINT64_C(1000004000));
	assert_int_equal(recording_skipped(recording, skipped), 2);
	assert_string_equal(skipped[0].name, "irq_handler_entry");
	assert_int_equal(skipped[0].count, 2);
	assert_string_equal(skipped[1].name, "another");
	recording_hash(recording, hash);
	assert_int_equal(strlen(hash), 32);
	recording_close(recording);
}

static void names_beyond_the_table_are_added_up(void **state)
{
	struct skipped_event skipped[RECORDING_SKIPPED_NAMES];
	struct recording *recording;
	struct xfd_error err = {0};
	struct sched_event event;
	char text[8192] = S("000000", SWITCH_PAYLOAD);
	size_t nr;

	(void)state;
	for (int i = 0; i < 100; i++)
		sprintf(text + strlen(text), "a-1 [000] 1.000001: event_%02d: x\n", i);
	assert_int_equal(recording_open_memory("t", text, strlen(text), &recording, &err), 0);
	while (recording_next(recording, &event, &err) > 0)
		;
	nr = recording_skipped(recording, skipped);
	assert_int_equal(nr, RECORDING_SKIPPED_NAMES);
	assert_string_equal(skipped[nr - 1].name, "(others)");
	assert_int_equal(skipped[nr - 1].count, 100 - (RECORDING_SKIPPED_NAMES - 1));
	recording_close(recording);
}

struct bad_text {
	const char *text;
	size_t len;
	uint64_t line;
	const char *says; /* part of the message */
};

static void bad_recordings_are_refused_with_a_reason(void **state)
{
#define ROW(text, line, says)                                                                      \
	{                                                                                          \
		text, sizeof(text) - 1, line, says                                                 \
	}
	static const struct bad_text rows[] = {
		ROW("", 0, "empty"),
		ROW("\n", 0, "no events in 1 lines: nothing was recorded"),
		ROW("# tracer: nop\nhello\nworld\n", 0,
		    "first line that could not be read: line 2: \"hello\""),
		ROW("a-1 [000] 1.000001: foo: x\n", 0, "record with -e sched:sched_switch"),
		ROW("\x7f\x45LF\0\0\1\2\xff\n\0\n", 0, "line 1"),
		ROW("\x1f\x8b\x08\0", 0, "gzip"),
		ROW("\xfd\x37zXZ\0", 0, "xz"),
		ROW("BZh9", 0, "bzip2"),
		ROW("\x17\x08\x44tracing6\0", 0, "trace.dat"),
		ROW("PERFILE2", 0, "perf.data"),
		ROW("\x28\xb5\x2f\xfd", 0, "truncated"),
		ROW("\x28\xb5\x2f\xfd\x08\0\0\0\0\0\0\0\0\0\0\0\0\0", 0, "damaged zstd"),
		ROW(S("000002", SWITCH_PAYLOAD) S("000001", SWITCH_PAYLOAD), 2,
		    "time goes backwards: 1.000001000 on CPU 1 comes after 1.000002000 on CPU 1 in "
		    "line 1"),
		ROW(S("000002", SWITCH_PAYLOAD) "a-1 [000] 1.000001: foo: x\n", 2,
		    "1.000001000 on CPU 0 comes after 1.000002000 on CPU 1"),
		ROW(S("000000", SWITCH_PAYLOAD) "a-1 [001] 3602.0: foo: x\n", 2, "jumps"),
		ROW("# x\n" S("000002", "prev_comm=x"), 2, "wanted sched_switch"),
		ROW("a-1 [001] 12345678: foo: x\n", 1, "decimal point"),
		ROW("a-1 [4096] 1.0: foo: x\n", 1, "CPU number below 4096"),
	};
#undef ROW
	struct xfd_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_true(read_all(rows[i].text, rows[i].len, NULL, &err) < 0);
		print_message("%s:%" PRIu64 ": %s\n", err.source, err.line, err.text);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		assert_int_equal(err.line, rows[i].line);
		assert_non_null(strstr(err.text, rows[i].says));
	}
}

/* Wherever a text is cut, what stands before the last line counts. */
static void a_last_line_may_be_cut(void **state)
{
	static const char text[] = S("000001", SWITCH_PAYLOAD) S("000002", SWITCH_PAYLOAD);
	const size_t first = strlen(text) / 2;
	const struct recording_stats *stats;
	struct recording *recording;
	struct xfd_error err = {0};
	struct sched_event event;
	uint64_t nr_cut = 0;
	bool blank;

	(void)state;
	for (size_t len = first; len <= strlen(text); len++) {
		assert_int_equal(recording_open_memory("t", text, len, &recording, &err), 0);
		while (recording_next(recording, &event, &err) > 0)
			;
		if (err.kind)
			print_error("%zu bytes: %s\n", len, err.text);
		assert_int_equal(err.kind, XFD_ERROR_NONE);
		stats = recording_stats(recording);
		assert_int_equal(stats->lines, len > first ? 2 : 1);
		blank = len > first && strspn(text + first, " ") >= len - first;
		assert_int_equal(stats->events + stats->unparsed + blank, stats->lines);
		assert_int_equal(stats->cut, stats->unparsed);
		nr_cut += stats->cut;
		recording_close(recording);
	}
	/* All but the whole line, that without a newline, and what ends within the last number. */
	assert_true(nr_cut > strlen(SWITCH_PAYLOAD) / 2);
}

static void a_missing_file_is_an_error_of_the_system(void **state)
{
	struct recording *recording;
	struct xfd_error err = {0};

	(void)state;
	assert_true(recording_open("/nonexistent/file", &recording, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_SYSTEM);
	err = (struct xfd_error){0};
	assert_true(recording_open("/", &recording, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_SYSTEM);
}

static void a_pause_of_an_hour_is_allowed(void **state)
{
	static const char text[] = S("000000", SWITCH_PAYLOAD) "a-1 [001] 3601.0: foo: x\n";
	struct xfd_error err;

	(void)state;
	assert_int_equal(read_all(text, strlen(text), NULL, &err), 0);
}

static void lines_are_bounded(void **state)
{
	size_t len = TEXTFILE_MAX_LINE_BYTES;
	char *text = malloc(3 * len + 3);
	struct textfile *file;
	struct xfd_error err = {0};
	const char *line;
	size_t got;

	(void)state;
	/* Three lines, the first two as long as allowed, the last one byte longer. */
	memset(text, 'x', 3 * len + 3);
	text[len] = '\n';
	text[2 * len + 1] = '\n';
	assert_int_equal(textfile_open_memory("t", text, 3 * len + 3, &file, &err), 0);
	for (uint64_t nr = 1; nr <= 2; nr++) {
		assert_int_equal(textfile_next(file, &line, &got, &err), 1);
		assert_int_equal(got, len);
		assert_int_equal(textfile_line(file), nr);
	}
	assert_true(textfile_next(file, &line, &got, &err) < 0);
	assert_int_equal(err.line, 3);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	textfile_close(file);
	free(text);
}

/* Many lines of changing length, so that lines fall across every edge of the window. */
static size_t make_lines(char *text, size_t room)
{
	size_t len = 0;

	for (unsigned int i = 0; len + 300 < room; i++)
		len += (size_t)sprintf(text + len, "%0*u\n", (int)(1 + i * 7919 % 251), i);
	return len;
}

static void compare_lines(struct textfile *file, const char *text, size_t len)
{
	struct xfd_error err = {0};
	const char *line, *want = text;
	size_t got;

	while (textfile_next(file, &line, &got, &err) > 0) {
		size_t want_len = strcspn(want, "\n");

		assert_int_equal(got, want_len);
		assert_memory_equal(line, want, got);
		want += want_len + 1;
	}
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	assert_int_equal(want - text, len);
}

static void zstd_and_plain_text_give_the_same_lines_and_hash(void **state)
{
	size_t room = 3000000, bound = ZSTD_compressBound(room), len, packed_len;
	char *text = calloc(1, room), *packed = malloc(2 * bound);
	char plain_hash[TRACE_HASH_LEN], packed_hash[TRACE_HASH_LEN];
	struct xfd_error err = {0};
	struct textfile *file;

	(void)state;
	len = make_lines(text, room);
	assert_int_equal(textfile_open_memory("t", text, len, &file, &err), 0);
	compare_lines(file, text, len);
	textfile_hash(file, plain_hash);
	textfile_close(file);
	/* Two frames; the cut lies inside a line. */
	packed_len = ZSTD_compress(packed, bound, text, len / 2, 1);
	packed_len += ZSTD_compress(packed + packed_len, bound, text + len / 2, len - len / 2, 19);
	assert_int_equal(textfile_open_memory("t", packed, packed_len, &file, &err), 0);
	compare_lines(file, text, len);
	textfile_hash(file, packed_hash);
	textfile_close(file);
	assert_string_equal(plain_hash, packed_hash);
	free(text);
	free(packed);
}

static void truncated_zstd_is_noticed_wherever_it_ends(void **state)
{
	char text[20000], packed[20000];
	struct xfd_error err;
	size_t len, cut;

	(void)state;
	make_lines(text, sizeof(text));
	len = ZSTD_compress(packed, sizeof(packed), text, strlen(text), 3);
	assert_false(ZSTD_isError(len));
	for (cut = 4; cut < len; cut += 97) {
		struct textfile *file;
		const char *line;
		size_t got;
		int ret;

		err = (struct xfd_error){0};
		assert_int_equal(textfile_open_memory("t", packed, cut, &file, &err), 0);
		while ((ret = textfile_next(file, &line, &got, &err)) > 0)
			;
		assert_true(ret < 0);
		assert_int_equal(err.kind, XFD_ERROR_INPUT);
		assert_non_null(strstr(err.text, "truncated"));
		textfile_close(file);
	}
}

/* Behind the mark of UTF-8 a line of any length, with a newline, without one, or none at all. */
static void a_byte_order_mark_is_no_part_of_a_line(void **state)
{
	static const char mark[] = "\xef\xbb\xbf";

	(void)state;
	for (size_t len = 0; len < 64; len++) {
		char text[sizeof(mark) - 1 + 64];
		struct xfd_error err = {0};
		struct textfile *file;
		const char *line;
		bool newline = len % 3 == 1;
		size_t got;

		memcpy(text, mark, sizeof(mark) - 1);
		memset(text + sizeof(mark) - 1, 'x', len);
		if (newline)
			text[sizeof(mark) - 1 + len - 1] = '\n';
		assert_int_equal(
			textfile_open_memory("t", text, sizeof(mark) - 1 + len, &file, &err), 0);
		assert_int_equal(textfile_next(file, &line, &got, &err), len ? 1 : 0);
		if (len) {
			assert_int_equal(got, len - newline);
			assert_memory_equal(line, text + sizeof(mark) - 1, got);
			assert_int_equal(textfile_next(file, &line, &got, &err), 0);
		}
		textfile_close(file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_printing_of_the_prefix_is_read),
		cmocka_unit_test(a_switch_is_read_whatever_the_names_hold),
		cmocka_unit_test(names_are_padded_with_nul_to_the_end),
		cmocka_unit_test(shortcuts_change_nothing),
		cmocka_unit_test(malformed_switches_are_bad_lines),
		cmocka_unit_test(other_lines_are_told_apart),
		cmocka_unit_test(marks_of_loss_name_cpu_and_number),
		cmocka_unit_test(xcomp_bv_tells_whether_the_buffer_has_room_for_tiles),
		cmocka_unit_test(a_recording_is_counted_line_by_line),
		cmocka_unit_test(names_beyond_the_table_are_added_up),
		cmocka_unit_test(bad_recordings_are_refused_with_a_reason),
		cmocka_unit_test(a_last_line_may_be_cut),
		cmocka_unit_test(a_missing_file_is_an_error_of_the_system),
		cmocka_unit_test(a_pause_of_an_hour_is_allowed),
		cmocka_unit_test(lines_are_bounded),
		cmocka_unit_test(zstd_and_plain_text_give_the_same_lines_and_hash),
		cmocka_unit_test(truncated_zstd_is_noticed_wherever_it_ends),
		cmocka_unit_test(a_byte_order_mark_is_no_part_of_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
