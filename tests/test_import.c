/* SPDX-License-Identifier: MIT */
/* Recordings written out by hand, and the traces that must come of them. */
#include "tests/trace_files.h"

#include <jansson.h>
#include <sys/stat.h>

#include "traces/import.h"

/* With 1 GHz a nanosecond is a cycle and times in the recording are deltas at sight. */
static const struct import_options quiet = {.amx_tasks = "amx", .tsc_khz = 1000000};

/* @us after second 1, on @cpu. */
#define PREFIX(cpu, pid, us) "               x-" pid "       [" cpu "] d..2.     1." us ": "
#define SWITCH(cpu, us, prev, prev_pid, state, next, next_pid)                                     \
	PREFIX(cpu, prev_pid, us)                                                                  \
	"sched_switch: prev_comm=" prev " prev_pid=" prev_pid " prev_prio=120 prev_state=" state   \
	" ==> next_comm=" next " next_pid=" next_pid " next_prio=120\n"
#define TIMER(cpu, pid, us) PREFIX(cpu, pid, us) "local_timer_entry: vector=236\n"
#define OTHER(cpu, pid, us) PREFIX(cpu, pid, us) "irq_handler_entry: irq=1\n"
#define RESTORED(cpu, pid, us)                                                                     \
	PREFIX(cpu, pid, us)                                                                       \
	"x86_fpu_regs_activated: x86/fpu: 0 load: 1 xfeatures: 2 xcomp_bv: "                       \
	"0\n"
#define IDLE       "swapper/0"
#define BOOT       "wrxfd 0x40000\nxsetbv\n"
#define BOOT1      "v1 wrxfd 0x40000\nv1 xsetbv\n"
#define FIRST_USE  "rderr\nwrerr 0\nwrxfd 0\namx\n"
#define V(n, word) "v" #n " " word "\n"

static void import_text(const char *text, size_t len, const struct import_options *options,
			struct import_report *report)
{
	struct xfd_error err = {0};
	char buf[800];

	file_save(scratch_path("in.ftrace"), text, len);
	if (import_recording(scratch_path("in.ftrace"), options, scratch_path("out.xfs"), report,
			     NULL, &err))
		fail_msg("%s", xfd_error_format(&err, buf, sizeof(buf)));
}

/* The events of out.xfs, without the header. */
static char *events_text(void)
{
	struct bytes bytes = file_load(scratch_path("out.xfs"));
	char *start = strstr((char *)bytes.data, "\nprovenance ");
	char *copy;

	assert_non_null(start);
	start = strchr(start + 1, '\n') + 1;
	copy = strdup(start);
	free(bytes.data);
	return copy;
}

struct import_row {
	const char *what;
	const char *recording;
	const char *events;
	uint32_t hz, host_hz;
};

static const struct import_row rows[] = {
	{
		.what = "user tasks without AMX leave boot only",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2")
			SWITCH("000", "000010", "b", "2", "S", "a", "1"),
		.events = BOOT,
	},
	{
		.what = "an AMX task's first switch-in is its first use, the next one resumes "
			"tiles",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b",
				    "2") SWITCH("000", "000010", "b", "2", "S", "amx", "3")
			SWITCH("000", "000030", "amx", "3", "R", "b",
			       "2") SWITCH("000", "000070", "b", "2", "R", "kworker/0:0", "9")
				SWITCH("000", "000080", "kworker/0:0", "9", "I", "amx", "3"),
		.events = BOOT "+10000 amx\n" FIRST_USE "+20000 wrxfd 0x40000\ntilerelease\n"
			       "+50000 wrxfd 0\namx\n",
	},
	{
		.what = "CPUs are numbered densely in order of their numbers",
		.recording = SWITCH("007", "000000", "a", "1", "S", "amx", "2")
			SWITCH("003", "000005", "a", "4", "S", "amx", "5"),
		.events = BOOT BOOT1 "v1 amx\nv1 rderr\nv1 wrerr 0\nv1 wrxfd 0\nv1 amx\n"
				     "+5000 amx\n" FIRST_USE,
	},
	{
		.what = "a switch to pid 0 is hlt with the length of the sleep, then wake",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2")
			SWITCH("000", "000010", "b", "2", "S", IDLE, "0")
				SWITCH("000", "000090", IDLE, "0", "R", "b", "2")
					SWITCH("000", "000100", "b", "2", "R", "a", "1"),
		.events = BOOT "+10000 hlt 80000\n+80000 wake\n",
	},
	{
		.what = "a CPU whose first switch comes from pid 0 slept since the beginning",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2")
			SWITCH("001", "000050", IDLE, "0", "R", "amx", "3"),
		.events = BOOT BOOT1 "v1 hlt 50000\n+50000 v1 wake\nv1 amx\nv1 rderr\nv1 wrerr 0\n"
				     "v1 wrxfd 0\nv1 amx\n",
	},
	{
		.what = "a CPU that never wakes sleeps to the end",
		.recording = OTHER("001", "0", "000000") SWITCH(
			"000", "000010", "b", "2", "S", IDLE, "0") OTHER("001", "0", "000025"),
		.events = BOOT BOOT1 "v1 hlt 25000\n+10000 hlt 15000\n",
	},
	{
		.what = "any line of another task wakes a sleeping CPU, one of idle sends it to "
			"sleep",
		.recording = SWITCH("000", "000000", "a", "1", "S", IDLE, "0")
			OTHER("000", "5", "000010") OTHER("000", "0", "000030")
				SWITCH("000", "000060", IDLE, "0", "R", "a", "1"),
		.events = BOOT "hlt 10000\n+10000 wake\n+20000 hlt 30000\n+30000 wake\n",
	},
	{
		.what = "recorded ticks are two fastpath exits, none while asleep",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2") TIMER(
			"000", "2", "000010") SWITCH("000", "000020", "b", "2", "S", IDLE, "0")
			TIMER("000", "0", "000030") SWITCH("000", "000040", IDLE, "0", "R", "b",
							   "2") TIMER("000", "2", "000041"),
		.events = BOOT "+10000 exit fastpath\nexit fastpath\n+10000 hlt 20000\n"
			       "+20000 wake\n+1000 exit fastpath\nexit fastpath\n",
		.hz = 10000, /* does not matter beside recorded ones */
	},
	{
		.what = "assumed ticks come at multiples of 1/hz on every CPU that is awake",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2")
			SWITCH("001", "000000", "a", "3", "S", "b", "4")
				SWITCH("001", "000150", "b", "4", "S", IDLE, "0")
					SWITCH("001", "000350", IDLE, "0", "R", "b", "4")
						SWITCH("001", "000400", "b", "4", "R", "a", "3"),
		.events = BOOT BOOT1 "+100000 exit fastpath\nexit fastpath\n"
				     "+100000 v1 exit fastpath\nv1 exit fastpath\n"
				     "+50000 v1 hlt 200000\n"
				     "+100000 exit fastpath\nexit fastpath\n"
				     "+100000 exit fastpath\nexit fastpath\n"
				     "+200000 v1 wake\n"
				     "+100000 exit fastpath\nexit fastpath\n"
				     "+50000 v1 exit fastpath\nv1 exit fastpath\n",
		.hz = 10000,
	},
	{
		.what = "host ticks come half a period later and interrupt",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2")
			SWITCH("000", "000300", "b", "2", "S", "a", "1"),
		.events = BOOT "+50000 exit external-interrupt\n"
			       "+50000 exit fastpath\nexit fastpath\n"
			       "+50000 exit external-interrupt\n"
			       "+50000 exit fastpath\nexit fastpath\n"
			       "+50000 exit external-interrupt\n"
			       "+50000 exit fastpath\nexit fastpath\n",
		.hz = 10000,
		.host_hz = 10000,
	},
	{
		.what = "at one moment guest ticks precede host ticks precede what was recorded",
		.recording = SWITCH("000", "000000", "a", "1", "S", "b", "2")
			SWITCH("000", "000500", "b", "2", "S", "amx", "3"),
		.events = BOOT "+500000 exit fastpath\nexit fastpath\nexit external-interrupt\n"
			       "amx\n" FIRST_USE,
		.hz = 2000,
		.host_hz = 1000,
	},
	{
		.what = "a pid that comes again after its task has ended is another task",
		.recording = SWITCH("000", "000000", "a", "1", "S", "amx", "2")
			SWITCH("000", "000010", "amx", "2", "X", IDLE, "0")
				SWITCH("000", "000020", IDLE, "0", "R", "amx", "2"),
		.events = BOOT "amx\n" FIRST_USE "+10000 hlt 10000\n+10000 wake\n"
			       "wrxfd 0x40000\ntilerelease\namx\n" FIRST_USE,
	},
	{
		.what = "after a loss the registers belong to nobody",
		.recording = SWITCH("000", "000000", "a", "1", "S", "amx", "2")
			SWITCH("000", "000010", "amx", "2", "S", "kworker/0:0",
			       "9") "CPU:0 [LOST 5 EVENTS]\n" SWITCH("000", "000020", "kworker/0:0",
								     "9", "I", "amx", "2")
				SWITCH("000", "000030", "amx", "2", "I", "a", "1"),
		.events = BOOT "amx\n" FIRST_USE "+30000 wrxfd 0x40000\ntilerelease\n",
	},
};

static void a_recording_becomes_the_trace_that_the_rules_say(void **state)
{
	const struct import_row *row = *state;
	struct import_options options = quiet;
	struct import_report report;
	char *events;

	options.hz = row->hz;
	options.host_hz = row->host_hz;
	import_text(row->recording, strlen(row->recording), &options, &report);
	events = events_text();
	assert_string_equal(events, row->events);
	free(events);
}

static void restores_are_scored_against_recorded_ones(void **state)
{
	/* Three switches to user tasks on CPU 0 are closed by the next switch: a restore that
	 * was recorded, one that was not, and a task that came back and was restored although
	 * its registers were valid. The last switch is open. One restore has no switch. */
	static const char text[] = SWITCH("000", "000000", "a", "1", "S", "b",
					  "2") RESTORED("000", "2", "000001")
		RESTORED("000", "2", "000002") SWITCH("000", "000010", "b", "2", "S", "c", "3")
			SWITCH("000", "000020", "c", "3", "S", "kworker/0:0",
			       "9") RESTORED("000", "9", "000021")
				SWITCH("000", "000030", "kworker/0:0", "9", "S", "c", "3")
					RESTORED("000", "3", "000031")
						SWITCH("000", "000040", "c", "3", "S", "a", "1");
	struct import_report report;

	(void)state;
	import_text(text, strlen(text), &quiet, &report);
	assert_true(report.scored);
	assert_int_equal(report.guest.score.true_positives, 1);
	assert_int_equal(report.guest.score.false_positives, 1);
	assert_int_equal(report.guest.score.false_negatives, 1);
	assert_int_equal(report.guest.score.recall_outside, 1);
	assert_int_equal(report.guest.kernel_switches, 1);
	assert_int_equal(report.guest.restores, 3);
}

static void the_report_counts_what_was_there(void **state)
{
	static const char text[] = "hello\n" SWITCH("000", "000000", "a", "1", "S", "b", "2")
		SWITCH("000", "000010", "c", "5", "S", "amx", "3")
			SWITCH("000", "000020", "amx", "3", "S", IDLE, "0")
				OTHER("003", "7", "000040");
	struct import_report report;

	(void)state;
	import_text(text, strlen(text), &quiet, &report);
	assert_int_equal(report.nr_vcpus, 2);
	assert_int_equal(report.duration_ns, 40000);
	assert_int_equal(report.guest.gaps, 1); /* b was there, c leaves */
	assert_int_equal(report.guest.idle_switches, 1);
	assert_int_equal(report.guest.amx_tasks, 1);
	assert_int_equal(report.guest.xfd_writes, 1);
	assert_int_equal(report.guest.restores, 2);
	assert_int_equal(report.events, 2 * 2 + 5 + 1);
	assert_int_equal(report.recording.unparsed, 1);
	assert_int_equal(report.nr_skipped, 1);
	assert_string_equal(report.skipped[0].name, "irq_handler_entry");
	assert_int_equal(report.nr_top, 2);
	assert_string_equal(report.top[0].name, "amx");
	assert_string_equal(report.top[1].name, "b");
	assert_false(report.scored);
	assert_false(report.recorded_ticks);
}

static void rounding_of_times_does_not_add_up(void **state)
{
	struct import_options options = quiet;
	struct import_report report;
	char *text = malloc(400000), *events, *p;
	uint64_t sum = 0;
	size_t len = 0;

	(void)state;
	/* At 1,234,567 kHz a microsecond is no whole number of cycles. */
	options.tsc_khz = 1234567;
	for (unsigned int i = 0; i <= 1000; i++)
		len += (size_t)sprintf(text + len,
				       "x-1 [000] 1.%06u: sched_switch: prev_comm=%s prev_pid=%u "
				       "prev_prio=120 prev_state=S ==> next_comm=%s next_pid=%u "
				       "next_prio=120\n",
				       i, i % 2 ? "amx" : "a", 1 + i % 2, i % 2 ? "a" : "amx",
				       2 - i % 2);
	import_text(text, len, &options, &report);
	events = events_text();
	for (p = events; (p = strchr(p, '+')); p++)
		sum += strtoull(p + 1, NULL, 10);
	assert_int_equal(sum, UINT64_C(1000) * 1234567 / 1000);
	free(events);
	free(text);
}

/* More events than the spool's buffer holds between falling asleep and waking. */
static void long_sleeps_are_patched_in_the_spool(void **state)
{
	enum { SWITCHES = 50000 };
	char *text = malloc(SWITCHES * 200), *events, *at;
	struct import_options options = quiet;
	struct import_report report;
	size_t len;

	(void)state;
	len = (size_t)sprintf(text, SWITCH("001", "000000", "b", "9", "S", IDLE, "0"));
	for (unsigned int i = 0; i < SWITCHES; i++)
		len += (size_t)sprintf(text + len,
				       "x-1 [000] 1.%06u: sched_switch: prev_comm=%s prev_pid=%u "
				       "prev_prio=120 prev_state=S ==> next_comm=%s next_pid=%u "
				       "next_prio=120\n",
				       i + 1, i % 2 ? "amx" : "a", 1 + i % 2, i % 2 ? "a" : "amx",
				       2 - i % 2);
	len += (size_t)sprintf(text + len, SWITCH("001", "090000", IDLE, "0", "R", "b", "9"));
	len += (size_t)sprintf(text + len, SWITCH("001", "090007", "b", "9", "S", IDLE, "0"));
	len += (size_t)sprintf(text + len, SWITCH("000", "090017", "a", "1", "S", "c", "4"));
	import_text(text, len, &options, &report);
	events = events_text();
	at = strstr(events, "v1 hlt ");
	assert_int_equal(strtoull(at + 7, NULL, 10), 90000000);
	at = strstr(at, "v1 wake");
	at = strstr(at, "v1 hlt ");
	assert_int_equal(strtoull(at + 7, NULL, 10), 10000);
	/* First use: 5 events, then 2 a switch. */
	assert_int_equal(report.events, 2 * 2 + 3 + 5 + 2 * (SWITCHES - 1));
	assert_int_equal(scratch_entries(false), 2);
	free(events);
	free(text);
}

static void the_trace_says_where_it_comes_from_and_no_more(void **state)
{
	static const char text[] = SWITCH("000", "000000", "a", "1", "S", "b", "2");
	struct import_report report;
	struct trace_reader *reader;
	struct xfd_error err = {0};
	json_t *json, *options;

	(void)state;
	import_text(text, strlen(text), &quiet, &report);
	assert_int_equal(trace_reader_open(scratch_path("out.xfs"), &reader, &err), 0);
	json = json_loads(trace_reader_info(reader)->provenance, 0, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "mode")), "projected");
	assert_string_equal(json_string_value(json_object_get(json, "source")), "in.ftrace");
	assert_string_equal(json_string_value(json_object_get(json, "source_hash")),
			    report.source_hash);
	assert_null(strstr(trace_reader_info(reader)->provenance, scratch));
	options = json_object_get(json, "options");
	assert_string_equal(json_string_value(json_object_get(options, "amx_tasks")), "amx");
	assert_int_equal(json_integer_value(json_object_get(options, "tsc_khz")), 1000000);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(json, "counts"), "switches")),
		1);
	assert_null(json_object_get(json, "score"));
	json_decref(json);
	trace_reader_close(reader);
}

/* The samples are cuts of recordings; tests/oracle/project.py counts the same. */
static void samples_give_the_counts_of_the_oracle(void **state)
{
	static const struct {
		const char *file;
		uint64_t switches, restores, xfd_writes, tp, fp, fn;
	} samples[] = {
		{"web-matrix.ftrace.zst", 24398, 23852, 2014, 0, 0, 0},
		{"redis-matrix.ftrace.zst", 16880, 16396, 16366, 0, 0, 0},
		{"web-matrix-fpu.ftrace.zst", 12913, 12809, 793, 12780, 27, 1},
	};
	struct import_options options = {0};
	struct import_report report;
	struct xfd_error err = {0};
	char path[512];

	(void)state;
	import_options_init(&options);
	options.amx_tasks = "stress-ng-matri*";
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		snprintf(path, sizeof(path), "%s/traces/samples/%s", SOURCE_DIR, samples[i].file);
		assert_int_equal(import_recording(path, &options, scratch_path("out.xft"), &report,
						  NULL, &err),
				 0);
		assert_int_equal(report.recording.by_kind[SCHED_EVENT_SWITCH], samples[i].switches);
		assert_int_equal(report.guest.restores, samples[i].restores);
		assert_int_equal(report.guest.xfd_writes, samples[i].xfd_writes);
		assert_int_equal(report.guest.amx_tasks, 2);
		assert_int_equal(report.guest.score.true_positives, samples[i].tp);
		assert_int_equal(report.guest.score.false_positives, samples[i].fp);
		assert_int_equal(report.guest.score.false_negatives, samples[i].fn);
		assert_int_equal(report.scored, samples[i].tp != 0);
	}
}

/* What allows a better mode comes behind everything that the choice is made from. */
struct late_row {
	const char *what;
	const char *late;
	enum import_mode asked, mode;
	bool host, from_stdin;
	uint64_t unused;
};

#define LATE_LOAD                                                                                  \
	PREFIX("000", "1", "900001")                                                               \
	"x86_fpu_regs_activated: x86/fpu: 0 load: 1 xfeatures: 2 xcomp_bv: 8000000000040000\n"
#define LATE_WRITE PREFIX("000", "1", "900002") "write_msr: 1c4, value 0\n"
#define LATE_ENTRY PREFIX("000", "1", "900003") "kvm_entry: vcpu 0, rip 0x0\n"

static const struct late_row late_rows[] = {
	{"nothing", "", IMPORT_AUTO, IMPORT_PROJECTED, false, false, 0},
	{"a load", LATE_LOAD, IMPORT_AUTO, IMPORT_RESTORED, false, false, 0},
	{"a write", LATE_WRITE, IMPORT_AUTO, IMPORT_MEASURED, false, false, 0},
	{"a load, then a write", LATE_LOAD LATE_WRITE, IMPORT_AUTO, IMPORT_MEASURED, false, false,
	 0},
	{"all", LATE_LOAD LATE_WRITE LATE_ENTRY, IMPORT_AUTO, IMPORT_MEASURED, true, false, 0},
	{"an entry", LATE_ENTRY, IMPORT_MEASURED, IMPORT_MEASURED, true, false, 0},
	{"a mode that was asked for stays", LATE_LOAD LATE_WRITE LATE_ENTRY, IMPORT_PROJECTED,
	 IMPORT_PROJECTED, false, false, 1},
	{"standard input cannot be read twice", LATE_WRITE, IMPORT_AUTO, IMPORT_PROJECTED, false,
	 true, 1},
};

static void evidence_that_comes_late_counts(void **state)
{
	static const char early[] = SWITCH("000", "000000", "a", "1", "S", "b", "2")
		SWITCH("000", "000010", "b", "2", "S", "a", "1");
	static const char other[] = OTHER("000", "1", "000020");

	(void)state;
	for (size_t i = 0; i < sizeof(late_rows) / sizeof(late_rows[0]); i++) {
		const struct late_row *row = &late_rows[i];
		struct import_options options = quiet;
		struct import_report report;
		struct xfd_error err = {0};
		char path[300];
		FILE *file = fopen(scratch_path("late.ftrace"), "w");

		print_message("%s\n", row->what);
		assert_non_null(file);
		fputs(early, file);
		for (int n = 0; n < IMPORT_LOOKAHEAD; n++)
			fputs(other, file);
		fputs(row->late, file);
		fclose(file);
		options.mode = row->asked;
		snprintf(path, sizeof(path), "%s", scratch_path("late.ftrace"));
		if (row->from_stdin)
			assert_non_null(freopen(path, "r", stdin));
		if (import_recording(row->from_stdin ? "-" : path, &options,
				     scratch_path("late.xfs"), &report, NULL, &err))
			fail_msg("%s", err.text);
		assert_int_equal(report.mode, row->mode);
		assert_int_equal(report.host, row->host);
		assert_int_equal(report.guest.unused_writes, row->unused);
		assert_int_equal(report.recording.lines,
				 2 + IMPORT_LOOKAHEAD + (strlen(row->late) > 0) +
					 (strstr(row->late, "1c4") && strstr(row->late, "fpu")) +
					 (strstr(row->late, "1c4") && strstr(row->late, "kvm")));
	}
}

static void a_bad_recording_leaves_no_file_and_keeps_the_old_one(void **state)
{
	static const char text[] = SWITCH("000", "000010", "a", "1", "S", "b", "2")
		SWITCH("000", "000000", "b", "2", "S", "a", "1");
	struct import_report report;
	struct xfd_error err = {0};
	struct bytes old;

	(void)state;
	scratch_entries(true);
	file_save(scratch_path("in.ftrace"), text, strlen(text));
	file_save(scratch_path("out.xfs"), "old", 3);
	assert_true(import_recording(scratch_path("in.ftrace"), &quiet, scratch_path("out.xfs"),
				     &report, NULL, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_int_equal(err.line, 2);
	assert_int_equal(scratch_entries(false), 2);
	old = file_load(scratch_path("out.xfs"));
	assert_string_equal((char *)old.data, "old");
	free(old.data);
}

static void a_time_too_long_for_the_clock_is_refused(void **state)
{
	enum { LINES = 2 * 3300 };
	struct import_options options = quiet;
	char *text = malloc(LINES * 200);
	struct import_report report;
	struct xfd_error err = {0};
	size_t len = 0;

	(void)state;
	/* 3,300 hours at 100 GHz are 1.19e18 cycles, 2^60 is 1.15e18. */
	options.tsc_khz = 100000000;
	for (unsigned int i = 0; i < LINES; i++)
		len += (size_t)sprintf(text + len,
				       "x-1 [000] %u.0: sched_switch: prev_comm=a prev_pid=1 "
				       "prev_prio=1 prev_state=S ==> next_comm=a next_pid=2 "
				       "next_prio=1\n",
				       i * 1800);
	file_save(scratch_path("in.ftrace"), text, len);
	assert_true(import_recording(scratch_path("in.ftrace"), &options, scratch_path("out.xft"),
				     &report, NULL, &err) < 0);
	assert_int_equal(err.kind, XFD_ERROR_INPUT);
	assert_non_null(strstr(err.text, "2^60"));
	free(text);
}

static void options_out_of_range_are_usage_errors(void **state)
{
	static const struct import_options bad[] = {
		{.tsc_khz = 100000001},
		{.tsc_khz = 1, .hz = IMPORT_MAX_HZ + 1},
		{.tsc_khz = 1, .host_hz = IMPORT_MAX_HZ + 1},
		{.tsc_khz = 1, .amx_tasks = "a,,b"},
	};
	struct import_report report;
	struct xfd_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = (struct xfd_error){0};
		assert_true(import_recording("x", &bad[i], scratch_path("out.xft"), &report, NULL,
					     &err) < 0);
		assert_int_equal(err.kind, XFD_ERROR_USAGE);
	}
}

enum { NR_ROWS = sizeof(rows) / sizeof(rows[0]) };

int main(void)
{
	const struct CMUnitTest others[] = {
		cmocka_unit_test(restores_are_scored_against_recorded_ones),
		cmocka_unit_test(the_report_counts_what_was_there),
		cmocka_unit_test(rounding_of_times_does_not_add_up),
		cmocka_unit_test(long_sleeps_are_patched_in_the_spool),
		cmocka_unit_test(the_trace_says_where_it_comes_from_and_no_more),
		cmocka_unit_test(samples_give_the_counts_of_the_oracle),
		cmocka_unit_test(evidence_that_comes_late_counts),
		cmocka_unit_test(a_bad_recording_leaves_no_file_and_keeps_the_old_one),
		cmocka_unit_test(a_time_too_long_for_the_clock_is_refused),
		cmocka_unit_test(options_out_of_range_are_usage_errors),
	};
	struct CMUnitTest by_row[NR_ROWS] = {0};
	int failed;

	for (size_t i = 0; i < NR_ROWS; i++)
		by_row[i] = (struct CMUnitTest){
			.name = rows[i].what,
			.test_func = a_recording_becomes_the_trace_that_the_rules_say,
			.initial_state = (void *)(uintptr_t)&rows[i],
		};
	failed = cmocka_run_group_tests_name("rows", by_row, scratch_make, scratch_remove);
	return failed + cmocka_run_group_tests_name("others", others, scratch_make, scratch_remove);
}
