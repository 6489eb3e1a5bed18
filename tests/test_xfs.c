/* SPDX-License-Identifier: MIT */
/* Scenario text: what every line means, and every way in which a line can be wrong. */
#include "tests/trace_files.h"

static struct whole *read_text(const char *text, struct xfd_error *err)
{
	return whole_read_memory(text, strlen(text), err);
}

static struct whole *read_good(const char *text)
{
	struct xfd_error err = {0};
	struct whole *whole = read_text(text, &err);

	if (!whole)
		print_error("line %llu: %s\n", (unsigned long long)err.line, err.text);
	assert_non_null(whole);
	return whole;
}

static void every_event_has_its_word_and_argument(void **state)
{
	static const struct {
		const char *line;
		struct trace_event event;
	} rows[] = {
		{"wrxfd 0x40000", {0, 0x40000, 0, EVENT_wrxfd}},
		{"wrxfd 0xffffffffffffffff", {0, UINT64_MAX, 0, EVENT_wrxfd}},
		{"wrxfd 18446744073709551615", {0, UINT64_MAX, 0, EVENT_wrxfd}},
		{"+2200 v1 wrxfd 0x40000", {2200, 0x40000, 1, EVENT_wrxfd}},
		{"+0x898 wrxfd 0xAbC", {2200, 0xabc, 0, EVENT_wrxfd}},
		{"+1152921504606846976 v2 rdxfd", {TRACE_MAX_DELTA_CYCLES, 0, 2, EVENT_rdxfd}},
		{"\t+1 \t v0\trdxfd \t", {1, 0, 0, EVENT_rdxfd}},
		{"wrerr 0", {0, 0, 0, EVENT_wrerr}},
		{"rderr", {0, 0, 0, EVENT_rderr}},
		{"xsetbv", {0, 0x602e7, 0, EVENT_xsetbv}},
		{"xsetbv 0x7", {0, 7, 0, EVENT_xsetbv}},
		{"amx", {0, 0, 0, EVENT_amx}},
		{"tsfault", {0, 0, 0, EVENT_tsfault}},
		{"tilerelease", {0, 0, 0, EVENT_tilerelease}},
		{"exit fastpath", {0, EXIT_FASTPATH, 0, EVENT_exit}},
		{"exit userspace", {0, EXIT_USERSPACE, 0, EVENT_exit}},
		{"exit external-interrupt", {0, EXIT_EXTERNAL_INTERRUPT, 0, EVENT_exit}},
		{"exit hlt # not the event", {0, EXIT_HLT, 0, EVENT_exit}},
		{"hlt 440000", {0, 440000, 0, EVENT_hlt}},
		{"wake", {0, EVENT_SAME_PCPU, 0, EVENT_wake}},
		{"wake p4", {0, 4, 0, EVENT_wake}},
		{"preempt N", {0, TASK_N, 0, EVENT_preempt}},
		{"preempt A", {0, TASK_A, 0, EVENT_preempt}},
		{"preempt K#", {0, TASK_K, 0, EVENT_preempt}},
		{"resume", {0, EVENT_SAME_PCPU, 0, EVENT_resume}},
		{"resume p0", {0, 0, 0, EVENT_resume}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct whole *read;
		char text[200];

		snprintf(text, sizeof(text), "xfs 1\nvcpus 3\npcpus 5\n%s\n", rows[i].line);
		read = read_good(text);
		assert_int_equal(read->nr, 1);
		assert_memory_equal(&read->events[0], &rows[i].event, sizeof(rows[i].event));
		whole_free(read);
	}
}

static void every_exit_reason_is_read_by_its_name(void **state)
{
	(void)state;
	for (int reason = 0; reason < NR_EXIT_REASONS; reason++) {
		struct whole *read;
		char text[80];

		if (!exit_reason_name(reason))
			continue;
		snprintf(text, sizeof(text), "xfs 1\nexit %s\n", exit_reason_name(reason));
		read = read_good(text);
		assert_int_equal(read->events[0].arg, reason);
		whole_free(read);
	}
}

static void an_empty_header_has_the_documented_defaults(void **state)
{
	struct whole *read = read_good("xfs 1");

	(void)state;
	assert_int_equal(read->info.tsc_khz, 2200000);
	assert_int_equal(read->info.nr_vcpus, 1);
	assert_int_equal(read->info.nr_pcpus, 1);
	assert_false(read->info.armed_start);
	assert_int_equal(read->flags[0], 0);
	assert_string_equal(read->provenance, "{\"mode\":\"scenario\"}");
	assert_int_equal(read->nr, 0);
	whole_free(read);
	read = read_good("xfs 1\nvcpus 7\n");
	assert_int_equal(read->info.nr_pcpus, 7);
	whole_free(read);
}

static void directives_may_come_in_any_order(void **state)
{
	struct whole *read = read_good("xfs 1 # comment\n"
				       "\n"
				       "# comment with ' and \" and \xff\n"
				       "vcpu 2 spec-ctrl-differs no-amx\n"
				       "provenance  {\"file\": \"a#b\"} \t\n"
				       "start armed\n"
				       "  pcpus 2 \n"
				       "vcpu 0 xcr0-differs # why\n"
				       "vcpu 1\n"
				       "vcpus 3\n"
				       "tsc-khz 3000000\n"
				       "amx\n");

	(void)state;
	assert_int_equal(read->info.tsc_khz, 3000000);
	assert_int_equal(read->info.nr_vcpus, 3);
	assert_int_equal(read->info.nr_pcpus, 2);
	assert_true(read->info.armed_start);
	assert_int_equal(read->flags[0], TRACE_VCPU_XCR0_DIFFERS);
	assert_int_equal(read->flags[1], 0);
	assert_int_equal(read->flags[2], TRACE_VCPU_SPEC_CTRL_DIFFERS | TRACE_VCPU_NO_AMX);
	assert_string_equal(read->provenance, "{\"file\": \"a#b\"}");
	assert_int_equal(read->nr, 1);
	whole_free(read);
}

static void crlf_and_a_missing_last_newline_are_tolerated(void **state)
{
	struct whole *unix_lines = read_good("xfs 1\nvcpus 2\n\n+5 v1 exit cpuid\namx\n");
	struct whole *dos_lines = read_good("xfs 1\r\nvcpus 2\r\n\r\n+5 v1 exit cpuid\r\namx");
	struct whole *last_cr = read_good("xfs 1\nvcpus 2\n\n+5 v1 exit cpuid\namx\r");

	(void)state;
	assert_same_trace(unix_lines, dos_lines);
	assert_same_trace(unix_lines, last_cr);
	assert_string_equal(unix_lines->hash, dos_lines->hash);
	whole_free(unix_lines);
	whole_free(dos_lines);
	whole_free(last_cr);
}

static void the_writer_is_canonical(void **state)
{
	static const char wanted[] = "xfs 1\n"
				     "tsc-khz 2200000\n"
				     "vcpus 3\n"
				     "pcpus 3\n"
				     "start armed\n"
				     "vcpu 1 no-amx xcr0-differs spec-ctrl-differs\n"
				     "provenance {\"mode\":\"scenario\"}\n"
				     "wrxfd 0x40000\n"
				     "+5 v1 wrxfd 0\n"
				     "xsetbv\n"
				     "xsetbv 0x7\n"
				     "exit fastpath\n"
				     "v2 hlt 1000\n"
				     "+1000 v2 wake\n"
				     "preempt K\n"
				     "resume p2\n";
	struct whole *read = read_good("xfs 1\n"
				       "vcpu 1 spec-ctrl-differs xcr0-differs no-amx\n"
				       "vcpu 2\n"
				       "start armed\n"
				       "vcpus 3\n"
				       "+0 v0 wrxfd 262144 # arm\n"
				       "+0x5 v1 wrxfd 0x0\n"
				       "xsetbv 0x602e7\n"
				       "xsetbv 7\n"
				       "exit fastpath\n"
				       "v2 hlt 0x3e8\n"
				       "+1000 v2 wake\n"
				       "preempt K\n"
				       "resume p2\n");
	struct xfd_error err = {0};
	struct bytes bytes;

	(void)state;
	assert_int_equal(whole_write(read, scratch_path("t.xfs"), &err), 0);
	bytes = file_load(scratch_path("t.xfs"));
	assert_string_equal(bytes.data, wanted);
	free(bytes.data);
	whole_free(read);
	scratch_entries(true);
}

/* Line 1 is "xfs 1", 2 is "vcpus 2", 3 is "pcpus 3", 4 is "amx", then comes the row's line. */
static void malformed_events_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *line;
		const char *text;
	} rows[] = {
		{"wrxdf 0", "unknown event \"wrxdf\"; did you mean \"wrxfd\"?"},
		{"AMX", "unknown event \"AMX\"; did you mean \"amx\"?"},
		{"frobnicate", "unknown event \"frobnicate\"; there are wrxfd, rdxfd, wrerr, "},
		{"+", "delta wants a number such as 2200 or 0x40000, found \"\""},
		{"+x amx", "delta wants a number"},
		{"+-1 amx", "delta wants a number"},
		{"+1.5 amx", "delta wants a number"},
		{"+1e3 amx", "delta wants a number"},
		{"+0x amx", "delta wants a number"},
		{"+0xg amx", "delta wants a number"},
		{"+07 amx", "delta wants a number such as 2200 or 0x40000, found \"07\""},
		{"+1152921504606846977 amx",
		 "delta: 1152921504606846977 is out of range; 0 to 1152921504606846976 allowed"},
		{"+18446744073709551616 amx", "delta: 18446744073709551616 is out of range"},
		{"+0x10000000000000000 amx", "delta: 0x10000000000000000 is out of range"},
		{"+99999999999999999999999999999999999999999999 amx",
		 "delta: 9999999999999999999999999999999999999999... is out of range"},
		{"+5", "no event; the line ends after \"+5\""},
		{"v1", "no event; the line ends after \"v1\""},
		{"+5 v1 # amx", "no event; the line ends after \"v1\""},
		{"v1 +5 amx", "+DELTA is there once, before the vCPU, found \"+5\""},
		{"+5 +5 amx", "+DELTA is there once, before the vCPU, found \"+5\""},
		{"v1 v1 amx", "unknown event \"v1\""},
		{"v2 amx", "vCPU: 2 is out of range; 0 to 1 allowed"},
		{"v0x1 amx", "vCPU numbers are decimal, found \"v0x1\""},
		{"v01 amx", "vCPU wants a number such as 2200 or 0x40000, found \"01\""},
		{"v4294967296 amx", "vCPU: 4294967296 is out of range"},
		{"v amx", "unknown event \"v\""},
		{"V1 amx", "unknown event \"V1\""},
		{"amx 1", "amx takes no argument, found \"1\""},
		{"rdxfd 0", "rdxfd takes no argument, found \"0\""},
		{"wrxfd", "wrxfd wants an argument: a number"},
		{"wrxfd 0 0", "one event a line; found \"0\" after wrxfd 0"},
		{"wrxfd -1", "wrxfd wants a number such as 2200 or 0x40000, found \"-1\""},
		{"wrxfd 0x10000000000000000", "wrxfd: 0x10000000000000000 is out of range"},
		{"wrxfd 18446744073709551616", "wrxfd: 18446744073709551616 is out of range"},
		{"wrxfd armed", "wrxfd wants a number"},
		{"wrxfd 0,", "wrxfd wants a number"},
		{"wrerr", "wrerr wants an argument: a number"},
		{"xsetbv 1 2", "one event a line; found \"2\" after xsetbv 1"},
		{"xsetbv all", "xsetbv wants a number"},
		{"exit", "exit wants an argument: the name of an exit reason"},
		{"exit 12", "exit wants the name of a reason, not a number: \"12\""},
		{"exit external-interupt",
		 "unknown exit reason \"external-interupt\"; did you mean \"external-interrupt\"?"},
		{"exit nothing-like-it", "unknown exit reason \"nothing-like-it\"; there are "},
		{"exit cpuid cpuid", "one event a line; found \"cpuid\" after exit cpuid"},
		{"hlt", "hlt wants an argument: a number"},
		{"hlt 1152921504606846977", "hlt: 1152921504606846977 is out of range"},
		{"wake 0", "wake wants a pCPU such as p0, found \"0\""},
		{"wake p", "wake wants a pCPU such as p0, found \"p\""},
		{"wake p3", "pCPU: 3 is out of range; 0 to 2 allowed"},
		{"wake p1 p1", "one event a line; found \"p1\" after wake p1"},
		{"resume p18446744073709551615", "pCPU: 18446744073709551615 is out of range"},
		{"preempt", "preempt wants an argument: N, A or K"},
		{"preempt B", "preempt wants the class of the other task, N, A or K, found \"B\""},
		{"preempt n", "preempt wants the class"},
		{"preempt NA", "preempt wants the class"},
		{"preempt 0", "preempt wants the class"},
		{"tsc-khz 2200000", "tsc-khz belongs into the header, before the first event"},
		{"provenance {}", "provenance belongs into the header, before the first event"},
		{"v0 vcpus 2", "vcpus belongs into the header, before the first event"},
		{"xfs 1", "unknown event \"xfs\""},
		{"amx\ramx", "unknown event \"amx?amx\""},
		{"amx\vamx", "unknown event \"amx?amx\""},
		{"\xc2\xa0"
		 "amx",
		 "unknown event \"\xc2\xa0"
		 "amx\""}, /* no-break space */
		{"1 2 3 4 5 6 7 8 9 a b c d e f g h i j", "unknown event \"1\""},
		{"amx 2 3 4 5 6 7 8 9 a b c d e f g h i j", "amx takes no argument, found \"2\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};
		char text[400], wanted[300];

		snprintf(text, sizeof(text), "xfs 1\nvcpus 2\npcpus 3\namx\n%s\namx\n",
			 rows[i].line);
		assert_null(read_text(text, &err));
		snprintf(wanted, sizeof(wanted), "memory:5: %s", rows[i].text);
		assert_error(&err, XFD_ERROR_INPUT, wanted);
	}
}

static void malformed_headers_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *text;
		const char *wanted;
	} rows[] = {
		{"xfs\n", "memory:1: the first line wants \"xfs 1\" and nothing else"},
		{"xfs 1 2\n", "memory:1: the first line wants \"xfs 1\" and nothing else"},
		{"xfs # 1\n", "memory:1: the first line wants"},
		{"xfs 2\n", "memory:1: version 2 of scenario text; this program reads version 1"},
		{"xfs 0\n", "memory:1: version 0 of scenario text"},
		{"xfs one\n", "memory:1: xfs wants a number"},
		{"xfs 1\nvcpuz 2\n",
		 "memory:2: unknown event or header directive \"vcpuz\"; did you mean \"vcpus\"?"},
		{"xfs 1\nfrobnicate 2\n",
		 "memory:2: unknown event or header directive \"frobnicate\"; there are wrxfd, "},
		{"xfs 1\ntsc-khz\n", "memory:2: tsc-khz wants one argument, found 0"},
		{"xfs 1\ntsc-khz 1 2\n", "memory:2: tsc-khz wants one argument, found 2"},
		{"xfs 1\ntsc-khz 0\n",
		 "memory:2: tsc-khz: 0 is out of range; 1 to 100000000 allowed"},
		{"xfs 1\ntsc-khz 100000001\n", "memory:2: tsc-khz: 100000001 is out of range"},
		{"xfs 1\ntsc-khz 2.2e6\n", "memory:2: tsc-khz wants a number"},
		{"xfs 1\nvcpus 0\n", "memory:2: vcpus: 0 is out of range; 1 to 4096 allowed"},
		{"xfs 1\nvcpus 4097\n", "memory:2: vcpus: 4097 is out of range; 1 to 4096 allowed"},
		{"xfs 1\npcpus 0\n", "memory:2: pcpus: 0 is out of range; 1 to 4096 allowed"},
		{"xfs 1\npcpus 4097\n", "memory:2: pcpus: 4097 is out of range"},
		{"xfs 1\n\nvcpus 2\n#\nvcpus 2\n", "memory:5: vcpus was given in line 3 already"},
		{"xfs 1\nstart armed\nstart armed\n",
		 "memory:3: start was given in line 2 already"},
		{"xfs 1\nstart\n", "memory:2: start wants one argument, found 0"},
		{"xfs 1\nstart disarmed\n", "memory:2: start wants \"armed\", found \"disarmed\""},
		{"xfs 1\nvcpu\n", "memory:2: vcpu wants a number and flags"},
		{"xfs 1\nvcpu no-amx\n", "memory:2: vcpu wants a number such as 2200"},
		{"xfs 1\nvcpu 4096 no-amx\n", "memory:2: vcpu: 4096 is out of range"},
		{"xfs 1\nvcpu 0 no-amz\n",
		 "memory:2: unknown vCPU flag \"no-amz\"; did you mean \"no-amx\"?"},
		{"xfs 1\nvcpu 0 q\n",
		 "memory:2: unknown vCPU flag \"q\"; there are no-amx, xcr0-differs, "
		 "spec-ctrl-differs"},
		{"xfs 1\nvcpu 0 no-amx no-amx\n", "memory:2: no-amx is there twice"},
		{"xfs 1\nvcpu 0 no-amx xcr0-differs spec-ctrl-differs no-amx\n",
		 "memory:2: vcpu takes a number and at most 3 flags, found 5 words"},
		{"xfs 1\nvcpu 0 no-amx\nvcpu 0 no-amx\n",
		 "memory:3: vcpu 0 was given in line 2 already"},
		{"xfs 1\nvcpu 2 no-amx\nvcpus 2\namx\n",
		 "memory:2: vcpu 2 of a trace with 2 vCPUs"},
		{"xfs 1\nvcpu 1\n", "memory:2: vcpu 1 of a trace with 1 vCPUs"},
		{"xfs 1\nprovenance\n", "memory:2: provenance wants one argument, found 0"},
		{"xfs 1\nprovenance  \n", "memory:2: provenance wants one argument, found 0"},
		{"xfs 1\nprovenance scenario\n", "memory:2: provenance wants a JSON object"},
		{"xfs 1\nprovenance {\"a\":}\n", "memory:2: provenance is not JSON: character"},
		{"xfs 1\nprovenance {} # no\n", "memory:2: provenance wants a JSON object"},
		{"xfs 1\nprovenance {}\nprovenance {}\n",
		 "memory:3: provenance was given in line 2 already"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};

		assert_null(read_text(rows[i].text, &err));
		assert_error(&err, XFD_ERROR_INPUT, rows[i].wanted);
	}
}

static void nul_bytes_are_refused_wherever_they_are(void **state)
{
	static const char text[] = "xfs 1\nvcpus 2\n# c\namx\n";

	(void)state;
	for (size_t at = 3; at < sizeof(text) - 1; at++) {
		struct xfd_error err = {0};
		char copy[sizeof(text)];
		char wanted[40];
		uint64_t line = 1;

		memcpy(copy, text, sizeof(text));
		copy[at] = '\0';
		for (size_t i = 0; i < at; i++)
			line += text[i] == '\n';
		assert_null(whole_read_memory(copy, sizeof(text) - 1, &err));
		snprintf(wanted, sizeof(wanted), "memory:%d: NUL byte", (int)line);
		assert_error(&err, XFD_ERROR_INPUT, wanted);
	}
}

/* A comment of @len bytes in line 2. */
static char *long_line(size_t len, const char *end)
{
	char *text = malloc(len + 100);

	assert_non_null(text);
	memcpy(text, "xfs 1\n", 6);
	memset(text + 6, '#', len);
	strcpy(text + 6 + len, end);
	return text;
}

static void lines_have_65536_bytes_at_most(void **state)
{
	static const char *const ends[] = {"", "\n", "\r\n", "\namx\n", "\r\namx\r\n"};

	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *fits = long_line(65536, ends[i]);
		char *longer = long_line(65537, ends[i]);
		char *much_longer = long_line(1000000, ends[i]);
		struct xfd_error err = {0};
		struct xfd_error err2 = {0};
		struct whole *read = read_good(fits);

		assert_int_equal(read->nr, i >= 3);
		whole_free(read);
		assert_null(read_text(longer, &err));
		assert_error(&err, XFD_ERROR_INPUT, "memory:2: line of more than 65536 bytes");
		assert_null(read_text(much_longer, &err2));
		assert_error(&err2, XFD_ERROR_INPUT, "memory:2: line of more than 65536 bytes");
		free(fits);
		free(longer);
		free(much_longer);
	}
}

static void an_error_in_a_later_block_has_its_line(void **state)
{
	const size_t before = 3 * 65536 + 5;
	char *text = malloc(6 + 4 * before + 100);
	struct xfd_error err = {0};
	char wanted[60];

	(void)state;
	assert_non_null(text);
	memcpy(text, "xfs 1\n", 6);
	for (size_t i = 0; i < before; i++)
		memcpy(text + 6 + 4 * i, "amx\n", 4);
	strcpy(text + 6 + 4 * before, "anx\n");
	assert_null(read_text(text, &err));
	snprintf(wanted, sizeof(wanted), "memory:%zu: unknown event \"anx\"", 1 + before + 1);
	assert_error(&err, XFD_ERROR_INPUT, wanted);
	free(text);
}

static void the_largest_provenance_fits_both_formats(void **state)
{
	struct whole *trace = whole_random(1, 3);
	struct xfd_error err = {0};
	struct trace_reader *reader;
	char *text = malloc(TRACE_MAX_PROVENANCE_BYTES + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', TRACE_MAX_PROVENANCE_BYTES);
	memcpy(text, "{\"a\":\"", 6);
	strcpy(text + TRACE_MAX_PROVENANCE_BYTES - 2, "\"}");
	trace->info.provenance = text;
	for (int i = 0; i < 2; i++) {
		const char *path = scratch_path(i ? "t.xft" : "t.xfs");

		assert_int_equal(whole_write(trace, path, &err), 0);
		assert_int_equal(trace_reader_open(path, &reader, &err), 0);
		assert_string_equal(trace_reader_info(reader)->provenance, text);
		trace_reader_close(reader);
	}
	free(text);
	whole_free(trace);
	scratch_entries(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_has_its_word_and_argument),
		cmocka_unit_test(every_exit_reason_is_read_by_its_name),
		cmocka_unit_test(an_empty_header_has_the_documented_defaults),
		cmocka_unit_test(directives_may_come_in_any_order),
		cmocka_unit_test(crlf_and_a_missing_last_newline_are_tolerated),
		cmocka_unit_test(the_writer_is_canonical),
		cmocka_unit_test(malformed_events_are_refused_with_their_line),
		cmocka_unit_test(malformed_headers_are_refused_with_their_line),
		cmocka_unit_test(nul_bytes_are_refused_wherever_they_are),
		cmocka_unit_test(lines_have_65536_bytes_at_most),
		cmocka_unit_test(an_error_in_a_later_block_has_its_line),
		cmocka_unit_test(the_largest_provenance_fits_both_formats),
	};

	return cmocka_run_group_tests_name("xfs", tests, scratch_make, scratch_remove);
}
