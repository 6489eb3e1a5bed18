/* SPDX-License-Identifier: MIT */
/*
 * Recordings of KVM: every layout of the records, and every printing of them, says the same as
 * far as it says anything. What it leaves out is unknown, not made up.
 */
#include "tests/kvm_fixtures.h"

#include <zlib.h>

#include "traces/recording_format.h"

enum { MAX_EVENTS = 64 };

/* Open a file and take all events. */
static size_t read_all(const char *path, struct sched_event *events)
{
	struct recording *recording;
	struct xfd_error err = {0};
	size_t nr = 0;
	int ret;

	memset(events, 0, MAX_EVENTS * sizeof(*events));
	assert_int_equal(recording_open(path, &recording, &err), 0);
	while ((ret = recording_next(recording, &events[nr], &err)) > 0)
		assert_true(++nr < MAX_EVENTS);
	assert_int_equal(ret, 0);
	assert_int_equal(recording_stats(recording)->unparsed, 0);
	recording_close(recording);
	return nr;
}

/* What a printing carries beside names and numbers. */
struct carries {
	bool exit_vcpu;
	bool intr_info;
	bool immediate;
};

static void assert_exit(const struct sched_event *e, const struct carries *c, uint32_t vcpu,
			uint32_t reason, uint64_t info1, uint32_t intr_info)
{
	assert_int_equal(e->kind, SCHED_EVENT_KVM_EXIT);
	assert_int_equal(e->vcpu, c->exit_vcpu ? vcpu : RECORDING_UNKNOWN_VCPU);
	assert_int_equal(e->reason, reason);
	assert_int_equal(e->info1, info1);
	assert_int_equal(e->has_intr_info, c->intr_info);
	assert_int_equal(e->intr_info, c->intr_info ? intr_info : 0);
}

static void assert_msr(const struct sched_event *e, uint32_t kind, bool write, uint32_t msr,
		       uint64_t value, bool failed)
{
	assert_int_equal(e->kind, kind);
	if (kind == SCHED_EVENT_KVM_MSR)
		assert_int_equal(e->write, write);
	assert_int_equal(e->msr, msr);
	assert_int_equal(e->value, value);
	assert_int_equal(e->failed, failed);
}

static void assert_entry(const struct sched_event *e, const struct carries *c, uint32_t vcpu,
			 bool immediate)
{
	assert_int_equal(e->kind, SCHED_EVENT_KVM_ENTRY);
	assert_int_equal(e->vcpu, vcpu);
	assert_int_equal(e->immediate, c->immediate && immediate);
}

/* The events that write_layout() has put there. Interrupts in info2 are known to be there. */
static void assert_layout(const struct sched_event *e, size_t nr, const struct carries *c,
			  bool in_info2)
{
	static const uint64_t times[] = {1000, 2500, 3100, 3200,  4000,  6000,  6100, 7000,
					 7500, 8000, 9000, 10000, 12000, 12500, 13000};
	struct carries told = *c;

	assert_int_equal(nr, 15);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(e[i].time_ns, 1000000000000 + times[i]);
		assert_int_equal(e[i].cpu, i > 8);
		assert_int_equal(e[i].pid, i == 8 ? 77 : i > 8 ? 4243 : 4242);
	}
	assert_entry(&e[0], c, 0, false);
	assert_exit(&e[1], c, 0, 32, 0, 0);
	assert_msr(&e[2], SCHED_EVENT_MSR_WRITE, true, 0x1c4, 0x40000, false);
	assert_msr(&e[3], SCHED_EVENT_KVM_MSR, true, 0x1c4, 0x40000, false);
	assert_entry(&e[4], c, 0, false);
	told.intr_info |= in_info2;
	assert_exit(&e[5], &told, 0, 1, 0, 0x800000ec);
	assert_msr(&e[6], SCHED_EVENT_MSR_READ, false, 0x1c4, 0, false);
	assert_entry(&e[7], c, 0, true);
	assert_int_equal(e[8].kind, SCHED_EVENT_SWITCH);
	assert_int_equal(e[8].prev_pid, 77);
	assert_string_equal(e[8].prev_comm, "a b");
	assert_int_equal(e[8].next_pid, 78);
	assert_string_equal(e[8].next_comm, "x:1 ==> y");
	assert_true(e[8].prev_sleeps);
	assert_false(e[8].prev_dead);
	assert_exit(&e[9], &told, 1, 0, 0, 0x80000307);
	assert_entry(&e[10], c, 1, false);
	assert_exit(&e[11], c, 1, 0x80000021, 0, 0);
	assert_exit(&e[12], c, 1, 85, 0x1c4, 0);
	assert_msr(&e[13], SCHED_EVENT_KVM_MSR, false, 0x1c5, 0x40000, true);
	assert_entry(&e[14], c, 1, false);
}

static void a_layout_is_read_by_names(void **state)
{
	const struct layout *layout = *state;
	const struct carries carries = {layout->exit_has_vcpu, layout->has_intr_info,
					layout->has_immediate};
	struct sched_event events[MAX_EVENTS];
	char path[300];

	snprintf(path, sizeof(path), "%s", scratch_path("layout.dat"));
	write_layout(path, layout);
	assert_layout(events, read_all(path, events), &carries, !layout->has_intr_info);
}

static void a_layout_is_read_from_every_report(void **state)
{
	const struct layout *layout = *state;
	static const struct {
		const char *options;
		bool plugin;
	} reports[] = {{"-N -t", false}, {"-R -t", false}, {"-t", true}};
	struct sched_event events[MAX_EVENTS];
	char path[300];

	snprintf(path, sizeof(path), "%s", scratch_path("layout.dat"));
	write_layout(path, layout);
	for (size_t i = 0; i < 3; i++) {
		bool plugin = reports[i].plugin;
		const struct carries carries = {layout->exit_has_vcpu && !plugin,
						layout->has_intr_info && !plugin,
						layout->has_immediate && !plugin};
		char *text = report_text(reports[i].options, path);

		if (!text) {
			print_message("skipped: trace-cmd is not installed\n");
			skip();
		}
		file_save(scratch_path("report.txt"), text, strlen(text));
		assert_layout(events, read_all(scratch_path("report.txt"), events), &carries,
			      !layout->has_intr_info);
		free(text);
	}
}

static void version_7_is_read_compressed_and_plain(void **state)
{
	const struct carries carries = {true, true, true};
	static const char *const ways[] = {"zstd", "none"};
	struct sched_event events[MAX_EVENTS];
	char command[800], from[300], to[300];

	(void)state;
	snprintf(from, sizeof(from), "%s", scratch_path("layout.dat"));
	snprintf(to, sizeof(to), "%s", scratch_path("v7.dat"));
	write_layout(from, &layouts[4]);
	for (size_t i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			 "trace-cmd convert -i %s -o %s --file-version 7 --compression %s "
			 ">/dev/null 2>&1",
			 from, to, ways[i]);
		if (system(command)) {
			print_message("skipped: trace-cmd is not installed or cannot convert\n");
			skip();
		}
		assert_layout(events, read_all(to, events), &carries, false);
	}
}

/* "CPU 0/KVM-4242 [000] 1.5: kvm_exit: x" as `perf script --ns` has it. */
static void append_perf_line(FILE *out, const char *line)
{
	static const struct {
		const char *event, *system;
	} systems[] = {
		{"kvm_", "kvm"}, {"write_msr", "msr"}, {"read_msr", "msr"}, {"sched", "sched"}};
	const char *bracket = strstr(line, " [0"), *dash = bracket, *event, *system = "none";

	if (!bracket)
		return;
	while (*dash != '-')
		dash--;
	event = strstr(bracket, ": ") + 2;
	for (size_t i = 0; i < 4; i++)
		if (!strncmp(event, systems[i].event, strlen(systems[i].event)))
			system = systems[i].system;
	fprintf(out, "%.*s %7.*s %.*s %20s:%s\n", (int)(dash - line), line,
		(int)strcspn(dash + 1, " "), dash + 1, (int)(event - bracket - 1), bracket + 1,
		system, event);
}

static void a_layout_is_read_from_perf(void **state)
{
	const struct layout *layout = *state;
	const struct carries carries = {layout->exit_has_vcpu, layout->has_intr_info,
					layout->has_immediate};
	struct sched_event events[MAX_EVENTS];
	char *text, *line, *rest, path[300];
	FILE *out;

	snprintf(path, sizeof(path), "%s", scratch_path("layout.dat"));
	write_layout(path, layout);
	text = rest = report_text("-N -t", path);
	if (!text) {
		print_message("skipped: trace-cmd is not installed\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s", scratch_path("perf.txt"));
	out = fopen(path, "w");
	assert_non_null(out);
	while ((line = strsep(&rest, "\n")))
		append_perf_line(out, line);
	fclose(out);
	free(text);
	assert_layout(events, read_all(path, events), &carries, !layout->has_intr_info);
}

/* ---- single lines ---- */

static void reasons_have_many_spellings(void **state)
{
	static const struct {
		const char *text;
		uint32_t kind, reason;
	} rows[] = {
		{"vcpu 1 reason MSR_WRITE rip 0x1 info1 0x0 info2 0x0 intr_info 0x0 error_code 0x0",
		 SCHED_EVENT_KVM_EXIT, 32},
		{"reason 0x55 rip 0x1 info 0 0", SCHED_EVENT_KVM_EXIT, 0x55},
		{"reason UNKNOWN (2147483681) rip 0x1 info 0 0", SCHED_EVENT_KVM_EXIT, 0x80000021},
		{"reason INVALID_STATE FAILED_VMENTRY rip 0x1 info 0 0", SCHED_EVENT_KVM_EXIT,
		 0x80000021},
		{"reason PENDING_INTERRUPT rip 0x1 info 0 0", SCHED_EVENT_KVM_EXIT, 7},
		{"exit_reason=32 guest_rip=0x1 isa=1 info1=0 info2=0", SCHED_EVENT_KVM_EXIT, 32},
		{"reason npf rip 0x1 info 1 2", SCHED_EVENT_KVM_FOREIGN, RECORDING_UNKNOWN_REASON},
		{"exit_reason=64 guest_rip=0x1 isa=2 info1=0 info2=0", SCHED_EVENT_KVM_FOREIGN, 64},
		{"TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0xffff", SCHED_EVENT_KVM_FOREIGN, 0},
		{"ret=0 esr_ec=36 vcpu_pc=ffff", SCHED_EVENT_KVM_FOREIGN, 0},
	};
	struct sched_event event;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = rows[i].text;

		memset(&event, 0, sizeof(event));
		assert_true(payload_parse("kvm_exit", 8, text, text + strlen(text), &event));
		assert_int_equal(event.kind, rows[i].kind);
		assert_int_equal(event.reason, rows[i].reason);
	}
}

static void what_is_cut_off_is_no_event(void **state)
{
	static const char exit[] =
		"vcpu 1 reason MSR_WRITE rip 0x1 info1 0x2 info2 0x3 intr_info 0x4";
	static const char msr[] = "msr_write 1c4 = 0x40000";
	struct sched_event event;

	(void)state;
	for (size_t len = 0; len < sizeof(exit) - 1 - strlen("0x4"); len++)
		assert_false(payload_parse("kvm_exit", 8, exit, exit + len, &event));
	assert_true(payload_parse("kvm_exit", 8, exit, exit + sizeof(exit) - 1, &event));
	for (size_t len = 0; len < sizeof(msr) - 1 - strlen("0x40000"); len++)
		assert_false(payload_parse("kvm_msr", 7, msr, msr + len, &event));
	assert_false(payload_parse("kvm_entry", 9, msr, msr + 5, &event));
	assert_false(payload_parse("write_msr", 9, "xyz", (const char *)"xyz" + 3, &event));
}

static void parse(struct sched_event *event, const char *name, const char *text)
{
	assert_true(payload_parse(name, strlen(name), text, text + strlen(text), event));
}

static void other_events_have_their_fields(void **state)
{
	struct sched_event e;

	(void)state;
	parse(&e, "kvm_userspace_exit", "reason KVM_EXIT_MMIO (6)");
	assert_int_equal(e.reason, 6);
	parse(&e, "kvm_userspace_exit", "reason restart (4)");
	assert_int_equal(e.reason, RECORDING_UNKNOWN_REASON);
	parse(&e, "kvm_userspace_exit", "reason=30 errno=0");
	assert_int_equal(e.reason, 30);
	parse(&e, "kvm_inj_exception", "#NM (0x0)");
	assert_int_equal(e.reason, 7);
	parse(&e, "kvm_inj_exception", "exception=14 has_error=1 error_code=2");
	assert_int_equal(e.reason, 14);
	parse(&e, "kvm_fpu", "unload");
	assert_false(e.write);
	parse(&e, "kvm_fpu", "load");
	assert_true(e.write);
	parse(&e, "kvm_write_tsc_offset", "vcpu=3 prev=0 next=18446738389901079144");
	assert_int_equal(e.vcpu, 3);
	assert_true(e.value == UINT64_C(18446738389901079144));
	parse(&e, "write_msr", "1c4, value 40000 #GP");
	assert_true(e.failed);
	parse(&e, "x86_fpu_regs_activated",
	      "x86/fpu: 0000 load: 1 xfeatures: a2 xcomp_bv: 80000000000602e7");
	assert_true(e.amx_buffer);
	parse(&e, "x86_fpu_regs_activated",
	      "fpu=0xff load_fpu=1 xfeatures=a2 xcomp_bv=80000000000202e7");
	assert_false(e.amx_buffer);
}

static void plugins_print_switches_their_own_way(void **state)
{
	static const char text[] = "a ==> b:7 [1]:12 [-5] D ==> swapper/0:0 [120]";
	struct sched_event e;

	(void)state;
	assert_true(payload_parse_switch(text, text + strlen(text), &e));
	assert_string_equal(e.prev_comm, "a ==> b:7 [1]");
	assert_int_equal(e.prev_pid, 12);
	assert_true(e.prev_sleeps);
	assert_string_equal(e.next_comm, "swapper/0");
	assert_int_equal(e.next_pid, 0);
}

static void perf_tells_what_it_lost(void **state)
{
	static const char text[] =
		"     CPU 0/KVM  11/12 [003] 1.000001: kvm:kvm_entry: vcpu 0, rip 0x1\n"
		"     CPU 0/KVM  11/12 [003] 1.000002: PERF_RECORD_LOST lost 7\n"
		"\tffffffff81 some_function+0x1 ([kernel])\n"
		"     CPU 0/KVM     12 [003] 1.000003:  1 kvm:kvm_entry: vcpu 0, rip 0x1\n";
	const struct recording_stats *stats;
	struct recording *recording;
	struct xfd_error err = {0};
	struct sched_event event;

	(void)state;
	assert_int_equal(recording_open_memory("p", text, strlen(text), &recording, &err), 0);
	while (recording_next(recording, &event, &err) > 0)
		assert_int_equal(event.pid, 12);
	stats = recording_stats(recording);
	assert_string_equal(stats->format, "perf");
	assert_int_equal(stats->by_kind[SCHED_EVENT_KVM_ENTRY], 2);
	assert_int_equal(stats->lost_events, 7);
	assert_int_equal(stats->unparsed, 0);
	assert_int_equal(stats->stack_lines, 1);
	recording_close(recording);
}

/* ---- whole files ---- */

static void gzip_is_read_in_any_number_of_members(void **state)
{
	static const char *const halves[] = {
		"CPU 0/KVM-12 [000] 1.000001: kvm_entry: vcpu 0\n",
		"CPU 0/KVM-12 [000] 1.000002: kvm_exit: reason HLT rip 0x1 info 0 0\n"};
	struct sched_event events[MAX_EVENTS];
	char path[300];
	gzFile file;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("two.gz"));
	for (size_t i = 0; i < 2; i++) {
		file = gzopen(path, i ? "ab" : "wb");
		assert_non_null(file);
		assert_int_equal(gzwrite(file, halves[i], (unsigned int)strlen(halves[i])),
				 strlen(halves[i]));
		assert_int_equal(gzclose(file), Z_OK);
	}
	assert_int_equal(read_all(path, events), 2);
	assert_int_equal(events[1].reason, 12);
}

static void a_damaged_gzip_is_refused(void **state)
{
	struct recording *recording;
	struct xfd_error err = {0};
	struct sched_event event;
	struct bytes bytes;
	int ret;

	gzip_is_read_in_any_number_of_members(state);
	bytes = file_load(scratch_path("two.gz"));
	ret = recording_open_memory("cut", bytes.data, bytes.len - 9, &recording, &err);
	while (!ret && (ret = recording_next(recording, &event, &err)) > 0)
		ret = 0;
	assert_true(ret < 0);
	assert_error(&err, XFD_ERROR_INPUT, "truncated");
	free(bytes.data);
}

static void a_clock_without_nanoseconds_is_refused(void **state)
{
	struct recording *recording;
	struct xfd_error err = {0};
	struct fixture f;
	char path[300];

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("tsc.dat"));
	fixture_open(&f, path, &layouts[4], "x86-tsc");
	put_entry(&f, 0, 1, 4242, 0, false);
	fixture_close(&f);
	assert_true(recording_open(path, &recording, &err) < 0);
	assert_error(&err, XFD_ERROR_INPUT, "tsc2nsec");
}

/* Wherever a file ends and whatever byte is wrong: events, or an error that names the input. */
static void any_damage_is_survived(void **state)
{
	uint64_t seed = 5;
	struct bytes bytes;
	char path[300];

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("layout.dat"));
	write_layout(path, &layouts[2]);
	bytes = file_load(path);
	for (size_t i = 0; i < 60; i++) {
		struct recording *recording;
		struct xfd_error err = {0};
		struct sched_event event;
		size_t at = random_next(&seed) % bytes.len;
		uint8_t was = bytes.data[at];
		int ret;

		bytes.data[at] ^= (uint8_t)(1 + random_next(&seed) % 255);
		file_save(path, bytes.data, i % 2 ? bytes.len : at);
		bytes.data[at] = was;
		ret = recording_open(path, &recording, &err);
		if (!ret) {
			while ((ret = recording_next(recording, &event, &err)) > 0)
				assert_true(event.kind < NR_SCHED_EVENT_KINDS);
			recording_close(recording);
		}
		if (ret < 0)
			assert_int_equal(err.kind, XFD_ERROR_INPUT);
	}
	free(bytes.data);
}

/* More records than a page, gaps beyond 27 bits of nanoseconds, two CPUs in turn. */
static void many_records_come_in_order_of_time(void **state)
{
	enum { NR = 5000 };
	struct recording *recording;
	struct xfd_error err = {0};
	struct sched_event event;
	struct fixture f;
	uint64_t last = 0, nr = 0;
	char path[300];
	int ret;

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("many.dat"));
	fixture_open(&f, path, &layouts[4], "local");
	for (uint64_t i = 0; i < NR; i++)
		put_entry(&f, i % 3 != 0, 1 + i * 1000 + i / 1000 * 200000000, 42, (uint32_t)i,
			  false);
	fixture_close(&f);
	assert_int_equal(recording_open(path, &recording, &err), 0);
	while ((ret = recording_next(recording, &event, &err)) > 0) {
		assert_int_equal(event.vcpu, nr);
		assert_int_equal(event.cpu, nr % 3 != 0);
		assert_int_equal(event.time_ns, 1 + nr * 1000 + nr / 1000 * 200000000);
		assert_true(event.time_ns > last);
		last = event.time_ns;
		nr++;
	}
	assert_int_equal(ret, 0);
	assert_int_equal(nr, NR);
	recording_close(recording);
}

int main(void)
{
	static const struct CMUnitTest plain[] = {
		cmocka_unit_test(reasons_have_many_spellings),
		cmocka_unit_test(what_is_cut_off_is_no_event),
		cmocka_unit_test(other_events_have_their_fields),
		cmocka_unit_test(plugins_print_switches_their_own_way),
		cmocka_unit_test(perf_tells_what_it_lost),
		cmocka_unit_test(gzip_is_read_in_any_number_of_members),
		cmocka_unit_test(a_damaged_gzip_is_refused),
		cmocka_unit_test(a_clock_without_nanoseconds_is_refused),
		cmocka_unit_test(any_damage_is_survived),
		cmocka_unit_test(version_7_is_read_compressed_and_plain),
		cmocka_unit_test(many_records_come_in_order_of_time),
	};
	enum { NR_PLAIN = sizeof(plain) / sizeof(plain[0]) };
	static struct CMUnitTest all[3 * NR_LAYOUTS + NR_PLAIN];

	for (size_t i = 0; i < NR_LAYOUTS; i++) {
		void *layout = (void *)(uintptr_t)&layouts[i];

		all[3 * i] = (struct CMUnitTest){layouts[i].release, a_layout_is_read_by_names,
						 NULL, NULL, layout};
		all[3 * i + 1] =
			(struct CMUnitTest){"the same from reports",
					    a_layout_is_read_from_every_report, NULL, NULL, layout};
		all[3 * i + 2] = (struct CMUnitTest){
			"the same from perf", a_layout_is_read_from_perf, NULL, NULL, layout};
	}
	memcpy(all + 3 * NR_LAYOUTS, plain, sizeof(plain));
	return cmocka_run_group_tests(all, scratch_make, scratch_remove);
}
