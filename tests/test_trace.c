/* SPDX-License-Identifier: MIT */
/* Traces whatever their format: round trips, identity, recognition, checks, atomic output. */
#include "tests/trace_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <xxhash.h>

#include "traces/le.h"

static char provenance[] = "{\"mode\":\"synthetic\"}";

static struct trace_info small_info(uint8_t *flags)
{
	return (struct trace_info){
		.tsc_khz = 2000000,
		.nr_vcpus = 2,
		.nr_pcpus = 3,
		.vcpu_flags = flags,
		.provenance = provenance,
	};
}

static void random_traces_survive_both_formats_and_keep_their_hash(void **state)
{
	static const size_t sizes[] = {0, 1, 2, 100, 3000, 65535, 65536, 65537, 200000};

	(void)state;
	for (uint64_t seed = 1; seed <= 18; seed++) {
		struct whole *trace = whole_random(seed, sizes[seed % 9]);
		struct xfd_error err = {0};
		struct whole *packed, *text;

		assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
		packed = whole_read(scratch_path("t.xft"), &err);
		assert_non_null(packed);
		assert_string_equal(packed->format, "xft");
		assert_same_trace(trace, packed);
		assert_int_equal(whole_write(packed, scratch_path("t.xfs"), &err), 0);
		text = whole_read(scratch_path("t.xfs"), &err);
		assert_non_null(text);
		assert_string_equal(text->format, "xfs");
		assert_same_trace(trace, text);
		assert_string_equal(packed->hash, text->hash);
		whole_free(trace);
		whole_free(packed);
		whole_free(text);
	}
	scratch_entries(true);
}

static void writing_what_was_read_gives_the_same_bytes(void **state)
{
	static const char *const suffixes[] = {"xft", "xfs"};

	(void)state;
	for (uint64_t seed = 101; seed <= 104; seed++) {
		for (size_t i = 0; i < 2; i++) {
			struct whole *trace = whole_random(seed, seed % 2 ? 500 : 70000);
			struct xfd_error err = {0};
			struct bytes first, second;
			struct whole *again;
			char name[32];

			snprintf(name, sizeof(name), "t.%s", suffixes[i]);
			assert_int_equal(whole_write(trace, scratch_path(name), &err), 0);
			first = file_load(scratch_path(name));
			again = whole_read(scratch_path(name), &err);
			assert_non_null(again);
			assert_int_equal(whole_write(again, scratch_path(name), &err), 0);
			second = file_load(scratch_path(name));
			assert_int_equal(first.len, second.len);
			assert_memory_equal(first.data, second.data, first.len);
			free(first.data);
			free(second.data);
			whole_free(trace);
			whole_free(again);
		}
	}
	scratch_entries(true);
}

/* The rule of FORMAT.md, applied by hand. */
static void the_hash_covers_header_and_events_and_nothing_else(void **state)
{
	uint8_t flags[2] = {0, TRACE_VCPU_NO_AMX};
	struct whole trace = {
		.info = small_info(flags),
		.events = (struct trace_event[]){{2200, 0x40000, 1, EVENT_wrxfd},
						 {7, EXIT_FASTPATH, 0, EVENT_exit}},
		.nr = 2,
	};
	uint8_t bytes[17 + 2 + 2 * 24] = {0};
	struct xfd_error err = {0};
	XXH128_hash_t hash;
	struct whole *read;
	char wanted[TRACE_HASH_LEN];

	(void)state;
	trace.info.armed_start = true;
	le64_store(bytes, 2000000);
	le32_store(bytes + 8, 2);
	le32_store(bytes + 12, 3);
	bytes[16] = 1;
	bytes[18] = TRACE_VCPU_NO_AMX;
	le64_store(bytes + 19, 2200);
	le64_store(bytes + 27, 0x40000);
	le32_store(bytes + 35, 1);
	le32_store(bytes + 39, EVENT_wrxfd);
	le64_store(bytes + 43, 7);
	le64_store(bytes + 51, EXIT_FASTPATH);
	le32_store(bytes + 63, EVENT_exit);
	hash = XXH3_128bits(bytes, sizeof(bytes));
	snprintf(wanted, sizeof(wanted), "%016llx%016llx", (unsigned long long)hash.high64,
		 (unsigned long long)hash.low64);

	assert_int_equal(whole_write(&trace, scratch_path("t.xft"), &err), 0);
	read = whole_read(scratch_path("t.xft"), &err);
	assert_string_equal(read->hash, wanted);
	whole_free(read);
	/* Provenance is not part of it. */
	trace.info.provenance = (char[]){"{\"mode\":\"measured\"}"};
	assert_int_equal(whole_write(&trace, scratch_path("t.xfs"), &err), 0);
	read = whole_read(scratch_path("t.xfs"), &err);
	assert_string_equal(read->hash, wanted);
	whole_free(read);
	/* Everything else is. */
	trace.info.armed_start = false;
	assert_int_equal(whole_write(&trace, scratch_path("t.xfs"), &err), 0);
	read = whole_read(scratch_path("t.xfs"), &err);
	assert_string_not_equal(read->hash, wanted);
	whole_free(read);
	scratch_entries(true);
}

static void the_content_decides_the_format_and_not_the_name(void **state)
{
	struct whole *trace = whole_random(5, 10);
	struct xfd_error err = {0};
	struct whole *read;

	(void)state;
	assert_int_equal(whole_write(trace, scratch_path("t.xfs"), &err), 0);
	assert_int_equal(rename(scratch_path("t.xfs"), scratch_path("t.xft")), 0);
	read = whole_read(scratch_path("t.xft"), &err);
	assert_non_null(read);
	assert_string_equal(read->format, "xfs");
	whole_free(read);
	/* Any other name makes a packed trace. */
	assert_int_equal(whole_write(trace, scratch_path("t.trace"), &err), 0);
	read = whole_read(scratch_path("t.trace"), &err);
	assert_string_equal(read->format, "xft");
	whole_free(read);
	whole_free(trace);
	scratch_entries(true);
}

static void recordings_are_refused_with_the_advice_to_import_them(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"# tracer: nop\n#\n", 16},
		{"\x17\x08\x44tracing6\0", 12},
		{"\x28\xb5\x2f\xfd\x04\x00", 6},
		{"  <idle>-0 [000] d..2. 1.000001: sched_switch: prev_comm=swapper/0\n", 68},
		{"version = 6\nCPU 0 is empty\ncpus=2\n"
		 " CPU 0/KVM-4242 [001] 12.345: kvm_exit:  reason MSR_WRITE\n",
		 93},
		{"qemu 4242 [003] 12.345678: sched:sched_switch: qemu:4242 [120] R\n", 66},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};

		assert_null(whole_read_memory(rows[i].bytes, rows[i].len, &err));
		assert_error(&err, XFD_ERROR_INPUT,
			     "memory: this is a recording, not a trace: run `xfdsim import FILE -o "
			     "T.xft` first");
	}
}

static void what_is_no_trace_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} rows[] = {
		{"", 0, "memory: empty"},
		{"\x7f"
		 "ELF\x02\x01\x01\0\0\0",
		 10, "memory: byte 0: not a trace: neither"},
		{"wrxfd 0\n", 8,
		 "memory:1: not a trace: scenario text begins with the line \"xfs 1\""},
		{"XFS 1\n", 6, "memory:1: not a trace"},
		{"xfs", 3, "memory:1: not a trace"},
		{"x\0f\0s\0 \0001\0\n\0", 12,
		 "memory: byte 0: wanted text in UTF-8; this is UTF-16LE"},
		{"[1] see: this: is [00] no: ftrace\n", 34, "memory:1: not a trace"},
		{"\x89XF", 3, "memory:1: not a trace"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xfd_error err = {0};

		assert_null(whole_read_memory(rows[i].bytes, rows[i].len, &err));
		assert_error(&err, XFD_ERROR_INPUT, rows[i].text);
	}
}

static void files_that_cannot_be_read_are_system_errors(void **state)
{
	struct xfd_error err = {0};
	char wanted[600];

	(void)state;
	assert_null(whole_read(scratch_path("missing"), &err));
	assert_error(&err, XFD_ERROR_SYSTEM, "/missing: cannot read: No such file or directory");
	memset(&err, 0, sizeof(err));
	assert_null(whole_read(scratch, &err));
	snprintf(wanted, sizeof(wanted), "%s: cannot read: Is a directory", scratch);
	assert_error(&err, XFD_ERROR_SYSTEM, wanted);
}

/* A child writes @bytes in pieces; the parent reads them as standard input. */
static struct whole *read_through_pipe(const struct bytes *bytes, size_t piece)
{
	int saved = dup(STDIN_FILENO);
	struct xfd_error err = {0};
	struct whole *whole;
	int fds[2], status;
	pid_t child;

	assert_int_equal(pipe(fds), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		close(fds[0]);
		for (size_t at = 0; at < bytes->len; at += piece) {
			size_t len = bytes->len - at < piece ? bytes->len - at : piece;

			if (write(fds[1], bytes->data + at, len) != (ssize_t)len)
				_exit(1);
		}
		_exit(0);
	}
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	whole = whole_read("-", &err);
	dup2(saved, STDIN_FILENO);
	close(saved);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	if (!whole)
		print_error("%s\n", err.text);
	assert_non_null(whole);
	return whole;
}

static void both_formats_can_be_read_from_a_pipe(void **state)
{
	static const char *const names[] = {"t.xft", "t.xfs"};
	struct whole *trace = whole_random(7, 140000);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct xfd_error err = {0};
		struct bytes bytes;
		struct whole *read;

		assert_int_equal(whole_write(trace, scratch_path(names[i]), &err), 0);
		bytes = file_load(scratch_path(names[i]));
		read = read_through_pipe(&bytes, 1013);
		assert_same_trace(trace, read);
		whole_free(read);
		free(bytes.data);
	}
	whole_free(trace);
	scratch_entries(true);
}

static void a_dash_is_text_on_standard_output(void **state)
{
	struct whole *trace = whole_random(8, 10);
	struct xfd_error err = {0};
	int saved, fd, ret;
	struct whole *read;

	(void)state;
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	fd = open(scratch_path("out"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	ret = whole_write(trace, "-", &err);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(ret, 0);
	read = whole_read(scratch_path("out"), &err);
	assert_string_equal(read->format, "xfs");
	assert_same_trace(trace, read);
	whole_free(read);
	whole_free(trace);
	scratch_entries(true);
}

static void progress_ends_at_the_size_of_the_file(void **state)
{
	struct whole *trace = whole_random(9, 70000);
	struct xfd_error err = {0};
	const struct trace_event *events;
	struct trace_reader *reader;
	uint64_t done, total, last = 0;
	struct stat st;
	size_t nr;

	(void)state;
	assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), 0);
	assert_int_equal(stat(scratch_path("t.xft"), &st), 0);
	assert_int_equal(trace_reader_open(scratch_path("t.xft"), &reader, &err), 0);
	do {
		assert_int_equal(trace_reader_next(reader, &events, &nr, &err), 0);
		trace_reader_progress(reader, &done, &total);
		assert_int_equal(total, st.st_size);
		assert_true(done > last);
		last = done;
	} while (nr);
	assert_int_equal(done, total);
	/* At the end stays at the end. */
	assert_int_equal(trace_reader_next(reader, &events, &nr, &err), 0);
	assert_int_equal(nr, 0);
	trace_reader_close(reader);
	whole_free(trace);
	scratch_entries(true);
}

static void an_event_is_located_by_line_or_by_number(void **state)
{
	struct whole *trace = whole_random(10, 65536 + 10);
	const struct trace_event *events;
	struct trace_reader *reader;
	struct xfd_error err = {0};
	char wanted[600], name[300];
	size_t nr;

	(void)state;
	trace->info.nr_vcpus = 4096; /* no flags: five lines of header */
	trace->info.armed_start = false;
	memset(trace->flags, 0, sizeof(trace->flags));
	assert_int_equal(whole_write(trace, scratch_path("t.xfs"), &err), 0);
	memset(name, 'n', 180);
	strcpy(name + 180, ".xft");
	assert_int_equal(whole_write(trace, scratch_path(name), &err), 0);

	assert_int_equal(trace_reader_open(scratch_path("t.xfs"), &reader, &err), 0);
	assert_int_equal(trace_reader_next(reader, &events, &nr, &err), 0);
	trace_reader_locate(reader, 9, &err);
	assert_int_equal(err.line, 5 + 10);
	assert_int_equal(trace_reader_next(reader, &events, &nr, &err), 0);
	trace_reader_locate(reader, 9, &err);
	assert_int_equal(err.line, 5 + 65536 + 10);
	trace_reader_close(reader);

	assert_int_equal(trace_reader_open(scratch_path(name), &reader, &err), 0);
	assert_int_equal(trace_reader_next(reader, &events, &nr, &err), 0);
	assert_int_equal(trace_reader_next(reader, &events, &nr, &err), 0);
	assert_int_equal(nr, 10);
	trace_reader_locate(reader, 9, &err);
	assert_int_equal(err.line, 0);
	assert_int_equal(err.offset, -1);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	/* The name is shortened, the number is not. */
	assert_int_equal(strlen(err.source), sizeof(err.source) - 1);
	snprintf(wanted, sizeof(wanted), "nnn.xft: event %d", 65536 + 10);
	assert_non_null(strstr(err.source, wanted));
	assert_memory_equal(err.source, "...", 3);
	trace_reader_close(reader);
	whole_free(trace);
	scratch_entries(true);
}

static void a_writer_refuses_headers_that_no_reader_would_take(void **state)
{
	uint8_t flags[TRACE_MAX_VCPUS + 1] = {0};
	uint8_t bad_flags[2] = {0, 8};
	struct trace_info good = small_info(flags);
	static char endless[TRACE_MAX_PROVENANCE_BYTES + 100];
	struct {
		struct trace_info info;
		const char *text;
	} rows[16];
	size_t nr = 0;

	(void)state;
	memset(endless, ' ', sizeof(endless) - 1);
	endless[0] = '{';
	endless[sizeof(endless) - 2] = '}';
#define ROW(field, value, message)                                                                 \
	rows[nr].info = good;                                                                      \
	rows[nr].info.field = value;                                                               \
	rows[nr++].text = message
	ROW(tsc_khz, 0, "TSC of 0 kHz");
	ROW(tsc_khz, 100000001, "TSC of 100000001 kHz; 1 to 100000000 are allowed");
	ROW(nr_vcpus, 0, "0 vCPUs; 1 to 4096 are allowed");
	ROW(nr_vcpus, 4097, "4097 vCPUs");
	ROW(nr_pcpus, 0, "0 pCPUs; 1 to 4096 are allowed");
	ROW(nr_pcpus, 4097, "4097 pCPUs");
	ROW(vcpu_flags, bad_flags, "unknown flags 0x8 of vCPU 1");
	ROW(provenance, (char[]){""}, "provenance wants a JSON object");
	ROW(provenance, (char[]){"[]"}, "provenance wants a JSON object");
	ROW(provenance, (char[]){" {}"}, "provenance wants a JSON object");
	ROW(provenance, (char[]){"{\n}"}, "control character 10 in the provenance");
	ROW(provenance, (char[]){"{\"a\":1,\"a\":2}"}, "provenance is not JSON");
	ROW(provenance, (char[]){"{\"a\":\"\xff\"}"}, "provenance is not JSON");
	ROW(provenance, (char[]){"{} {}"}, "provenance is not JSON");
	ROW(provenance, endless, "provenance of 61539 bytes; at most 61440 are allowed");
#undef ROW
	for (size_t i = 0; i < nr; i++) {
		struct trace_writer *writer;
		struct xfd_error err = {0};

		assert_true(trace_writer_open(scratch_path("t"), &rows[i].info, &writer, &err) < 0);
		assert_null(writer);
		assert_error(&err, XFD_ERROR_USAGE, rows[i].text);
	}
	assert_int_equal(scratch_entries(false), 0);
}

static void a_writer_refuses_events_that_no_reader_would_take(void **state)
{
	static const struct {
		struct trace_event event;
		const char *text;
	} rows[] = {
		{{0, 0, 0, NR_EVENT_KINDS}, "unknown kind of event 13"},
		{{0, 0, 2, EVENT_amx}, "vCPU 2 of a trace with 2 vCPUs"},
		{{TRACE_MAX_DELTA_CYCLES + 1, 0, 0, EVENT_amx}, "delta of 1152921504606846977"},
		{{0, 1, 0, EVENT_amx}, "amx takes no argument, found 1"},
		{{0, 5, 0, EVENT_exit}, "exit: 5 is no VM-exit reason"}, /* a gap in the list */
		{{0, NR_EXIT_REASONS, 0, EVENT_exit}, "exit: 130 is no VM-exit reason"},
		{{0, UINT64_MAX, 0, EVENT_exit}, "exit: 18446744073709551615 is no"},
		{{0, TRACE_MAX_DELTA_CYCLES + 1, 0, EVENT_hlt}, "hlt: 1152921504606846977 cycles"},
		{{0, 3, 0, EVENT_wake}, "wake: pCPU 3 of a trace with 3 pCPUs"},
		{{0, UINT64_MAX - 1, 0, EVENT_resume}, "resume: pCPU 18446744073709551614"},
		{{0, NR_TASK_CLASSES, 0, EVENT_preempt}, "preempt: 3 is no task class"},
	};
	uint8_t flags[2] = {0};
	struct trace_info info = small_info(flags);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace_event events[2] = {{0, 0, 0, EVENT_amx}, rows[i].event};
		struct trace_writer *writer;
		struct xfd_error err = {0};
		struct xfd_error later = {0};

		assert_int_equal(trace_writer_open(scratch_path("t"), &info, &writer, &err), 0);
		assert_true(trace_writer_put(writer, events, 2, &err) < 0);
		assert_error(&err, XFD_ERROR_USAGE, "cannot write event 2: ");
		assert_error(&err, XFD_ERROR_USAGE, rows[i].text);
		assert_true(trace_writer_put(writer, events, 1, &later) < 0);
		assert_true(trace_writer_commit(writer, &later) < 0);
		assert_int_equal(scratch_entries(false), 0);
	}
}

/* Among good ones, whatever was written before it and in which pieces. */
static void a_writer_finds_a_bad_event_wherever_it_is(void **state)
{
	static const size_t places[] = {0, 1, 3, 4, 5, 100, 65535, 65536, 65537, 69999};
	struct whole *trace = whole_random(9, 70000);
	char wanted[64];

	(void)state;
	for (size_t i = 0; i < 10 * 4; i++) {
		struct trace_event *event = &trace->events[places[i / 4]], good = *event;
		struct xfd_error err = {0};

		if (i % 4 == 0)
			event->kind = i % 8 ? NR_EVENT_KINDS : UINT32_MAX;
		else if (i % 4 == 1)
			event->vcpu = trace->info.nr_vcpus;
		else if (i % 4 == 2)
			event->delta_cycles = TRACE_MAX_DELTA_CYCLES + 1;
		else
			*event = (struct trace_event){0, 5, 0, EVENT_exit};
		snprintf(wanted, sizeof(wanted), "cannot write event %zu: ", places[i / 4] + 1);
		assert_int_equal(whole_write(trace, scratch_path("t.xft"), &err), -EINVAL);
		assert_error(&err, XFD_ERROR_USAGE, wanted);
		*event = good;
	}
	whole_free(trace);
	assert_int_equal(scratch_entries(false), 0);
}

/* What the writer remembers of words must not take an unknown kind for one. */
static void a_writer_knows_no_unknown_kind_of_any_argument(void **state)
{
	uint8_t flags[2] = {0};
	struct trace_info info = small_info(flags);

	(void)state;
	for (uint64_t arg = 0; arg < 600; arg++) {
		const uint32_t kind = arg % 2 ? NR_EVENT_KINDS : UINT32_MAX;
		struct trace_event event = {0, arg / 2, 0, kind};
		struct trace_writer *writer;
		struct xfd_error err = {0};

		assert_int_equal(trace_writer_open(scratch_path("t"), &info, &writer, &err), 0);
		assert_true(trace_writer_put(writer, &event, 1, &err) < 0);
		assert_error(&err, XFD_ERROR_USAGE, "unknown kind of event");
		trace_writer_discard(writer);
	}
}

static void deltas_sum_up_to_less_than_2_to_the_63(void **state)
{
	uint8_t flags[2] = {0};
	struct trace_info info = small_info(flags);

	(void)state;
	for (uint64_t last = 0; last < 2; last++) {
		struct whole trace = {.info = info, .nr = 8};
		struct trace_event events[8];
		struct xfd_error err = {0};

		for (size_t i = 0; i < 8; i++)
			events[i] = (struct trace_event){TRACE_MAX_DELTA_CYCLES, 0, 0, EVENT_amx};
		events[7].delta_cycles -= 1 - last;
		trace.events = events;
		assert_int_equal(whole_write(&trace, scratch_path("t.xft"), &err),
				 last ? -EINVAL : 0);
		if (last)
			assert_error(
				&err, XFD_ERROR_USAGE,
				"event 8: the deltas up to here sum up to 2^63 cycles or more");
	}
	scratch_entries(true);
}

static void discard_leaves_no_temporary_file_and_keeps_the_old_one(void **state)
{
	struct whole *trace = whole_random(11, 100000);
	struct xfd_error err = {0};
	struct trace_writer *writer;
	struct bytes bytes;

	(void)state;
	trace_writer_discard(NULL);
	trace_reader_close(NULL);
	file_save(scratch_path("t.xft"), "old", 3);
	assert_int_equal(trace_writer_open(scratch_path("t.xft"), &trace->info, &writer, &err), 0);
	assert_int_equal(trace_writer_put(writer, trace->events, trace->nr, &err), 0);
	/* The file has a name meanwhile only where the file system wants one. */
	assert_in_range(scratch_entries(false), 1, 2);
	trace_writer_discard(writer);
	assert_int_equal(scratch_entries(false), 1);
	bytes = file_load(scratch_path("t.xft"));
	assert_string_equal(bytes.data, "old");
	free(bytes.data);
	whole_free(trace);
	scratch_entries(true);
}

static void a_full_device_fails_in_both_formats(void **state)
{
	struct whole *trace = whole_random(12, 70000);

	(void)state;
	for (size_t nr = 0; nr <= 70000; nr += 35000) {
		struct xfd_error err = {0};

		trace->nr = nr;
		assert_true(whole_write(trace, "/dev/full", &err) < 0);
		assert_error(&err, XFD_ERROR_SYSTEM,
			     "/dev/full: cannot write: No space left on device");
	}
	/* A name that makes text; the link must survive. */
	assert_int_equal(symlink("/dev/full", scratch_path("full.xfs")), 0);
	for (size_t nr = 0; nr <= 70000; nr += 35000) {
		struct xfd_error err = {0};

		trace->nr = nr;
		assert_true(whole_write(trace, scratch_path("full.xfs"), &err) < 0);
		assert_error(&err, XFD_ERROR_SYSTEM, "cannot write: No space left on device");
	}
	assert_int_equal(scratch_entries(true), 1);
	whole_free(trace);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_traces_survive_both_formats_and_keep_their_hash),
		cmocka_unit_test(writing_what_was_read_gives_the_same_bytes),
		cmocka_unit_test(the_hash_covers_header_and_events_and_nothing_else),
		cmocka_unit_test(the_content_decides_the_format_and_not_the_name),
		cmocka_unit_test(recordings_are_refused_with_the_advice_to_import_them),
		cmocka_unit_test(what_is_no_trace_is_refused_with_the_reason),
		cmocka_unit_test(files_that_cannot_be_read_are_system_errors),
		cmocka_unit_test(both_formats_can_be_read_from_a_pipe),
		cmocka_unit_test(a_dash_is_text_on_standard_output),
		cmocka_unit_test(progress_ends_at_the_size_of_the_file),
		cmocka_unit_test(an_event_is_located_by_line_or_by_number),
		cmocka_unit_test(a_writer_refuses_headers_that_no_reader_would_take),
		cmocka_unit_test(a_writer_refuses_events_that_no_reader_would_take),
		cmocka_unit_test(a_writer_finds_a_bad_event_wherever_it_is),
		cmocka_unit_test(a_writer_knows_no_unknown_kind_of_any_argument),
		cmocka_unit_test(deltas_sum_up_to_less_than_2_to_the_63),
		cmocka_unit_test(discard_leaves_no_temporary_file_and_keeps_the_old_one),
		cmocka_unit_test(a_full_device_fails_in_both_formats),
	};

	return cmocka_run_group_tests_name("trace", tests, scratch_make, scratch_remove);
}
