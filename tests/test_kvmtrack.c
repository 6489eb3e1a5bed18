/* SPDX-License-Identifier: MIT */
/*
 * What becomes of recordings that measure: of a host, of a guest, of both. Input is text as
 * ftrace prints it with a clock of 1 GHz, so that a nanosecond is a cycle; expected is the
 * trace as scenario text. Every trace must also replay under every policy.
 */
#include "tests/kvm_fixtures.h"

#include "sim/engine.h"
#include "traces/import.h"

/* The events of a trace as text: what stands behind the header. malloc'd. */
static char *events_of(const char *path)
{
	struct bytes bytes = file_load(path);
	char *text = (char *)bytes.data, *start = strstr(text, "\nprovenance ");

	assert_non_null(start);
	start = strchr(start + 1, '\n') + 1;
	memmove(text, start, strlen(start) + 1);
	return text;
}

static void assert_replays(const char *path)
{
	struct engine_trace trace;
	struct engine_options options;
	struct xfd_error err = {0};
	struct run run;

	for (size_t i = 0; policy_at(i); i++) {
		engine_default_options(&options);
		options.policy = policy_at(i);
		if (engine_replay(path, &options, 1, &run, &trace, NULL, NULL, &err))
			print_error("%s\n", err.text);
		assert_int_equal(err.kind, XFD_ERROR_NONE);
		engine_release_run(&run);
		engine_release_trace(&trace);
	}
}

static int import_file(const char *path, const struct import_options *wanted,
		       struct import_report *report, struct xfd_error *err)
{
	struct import_options options = wanted ? *wanted : (struct import_options){0};

	options.tsc_khz = 1000000;
	return import_recording(path, &options, scratch_path("out.xfs"), report, NULL, err);
}

static void assert_imports(const char *text, const char *amx_tasks, const char *events,
			   struct import_report *report)
{
	const struct import_options options = {.amx_tasks = amx_tasks};
	struct xfd_error err = {0};
	char path[300], *got;

	snprintf(path, sizeof(path), "%s", scratch_path("in.txt"));
	file_save(path, text, strlen(text));
	if (import_file(path, &options, report, &err))
		print_error("%s\n", err.text);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	got = events_of(scratch_path("out.xfs"));
	assert_string_equal(got, events);
	free(got);
	assert_replays(scratch_path("out.xfs"));
}

/* Lines of the vCPU threads 10 and 11, and of others. Times in ns behind the second. */
#define V0(cpu, ns, rest) "CPU 0/KVM-10 [00" #cpu "] d... 1.0000" #ns ": " rest "\n"
#define V1(cpu, ns, rest) "CPU 1/KVM-11 [00" #cpu "] d... 1.0000" #ns ": " rest "\n"
#define SWITCH(cpu, ns, pp, pc, st, np, nc)                                                        \
	pc "-" #pp " [00" #cpu "] d... 1.0000" #ns ": sched_switch: prev_comm=" pc                 \
	   " prev_pid=" #pp " prev_prio=120 prev_state=" st " ==> next_comm=" nc " next_pid=" #np  \
	   " next_prio=120\n"
#define ENTRY(v) "kvm_entry: vcpu " #v ", rip 0x1"
#define EXIT_I(r, i)                                                                               \
	"kvm_exit: vcpu 0 reason " r " rip 0x1 info1 0x0 info2 0x0 intr_info " i " error_code 0x0"
#define EXIT(r)   EXIT_I(r, "0x00000000")
#define MSR(text) "kvm_msr: msr_" text

static void time_in_kvm_is_left_out(void **state)
{
	struct import_report r;

	(void)state;
	/* 1000 in the guest, 500 in KVM, 300 in the guest, 700 in KVM. */
	assert_imports(V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("CPUID")) V0(0, 02500, ENTRY(0))
			       V0(0, 02800, EXIT("VMCALL")) V0(0, 03500, ENTRY(0)),
		       NULL, "+1000 exit cpuid\n+300 exit vmcall\n", &r);
	assert_true(r.host);
	assert_int_equal(r.mode, IMPORT_MEASURED);
	assert_int_equal(r.kvm.guest_ns, 1000 + 300);
	assert_int_equal(r.kvm.host_ns, 500 + 700);
	assert_int_equal(r.kvm.exits, 2);
}

static void accesses_of_xfd_are_events(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(
		V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("MSR_WRITE")) V0(
			0, 02100, MSR("write 1c4 = 0x0")) V0(0, 02200, ENTRY(0))
			V0(0, 02210, EXIT("MSR_WRITE")) V0(0, 02300, MSR("write 1c5 = 0x0")) V0(
				0, 02400, ENTRY(0)) V0(0, 02410, EXIT("MSR_READ"))
				V0(0, 02500, MSR("read 1c4 = 0x0")) V0(0, 02600, ENTRY(0)) V0(
					0, 02610, EXIT("MSR_WRITE")) V0(0, 02700,
									MSR("write 1c4 = 0x40000"))
					V0(0, 02800, ENTRY(0)) V0(0, 02810, EXIT("MSR_WRITE"))
						V0(0, 02900, MSR("write 1c4 = 0x2 (#GP)"))
							V0(0, 03000, ENTRY(0))
								V0(0, 03010, EXIT("XSETBV"))
									V0(0, 03100, ENTRY(0)),
		NULL,
		"+1000 wrxfd 0\namx\n+10 wrerr 0\n+10 rdxfd\n+10 wrxfd 0x40000\ntilerelease\n"
		"+10 wrxfd 0x2\n+10 xsetbv\n",
		&r);
	assert_int_equal(r.kvm.host_writes, 3);
}

static void fastpath_exits_are_told_from_slow_ones(void **state)
{
	struct import_report r;

	(void)state;
	/* A TSC deadline; one that came to the handler, as the read of XFD shows; a write whose MSR
	 * was filtered out, before and after such a read was seen. */
	assert_imports(
		V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("MSR_WRITE")) V0(0, 02100,
									  MSR("write 6e0 = 0x5"))
			V0(0, 02200, ENTRY(0)) V0(0, 02210, EXIT("PREEMPTION_TIMER"))
				V0(0, 02300, ENTRY(0)) V0(0, 02310, EXIT("MSR_WRITE"))
					V0(0, 02400, ENTRY(0)) V0(0, 02410, EXIT("MSR_WRITE"))
						V0(0, 02420, "read_msr: 1c4, value 40000")
							V0(0, 02430, MSR("write 6e0 = 0x5"))
								V0(0, 02500, ENTRY(0)) V0(
									0, 02510, EXIT("MSR_WRITE"))
									V0(0, 02600, ENTRY(0)),
		NULL,
		"+1000 exit fastpath\n+10 exit fastpath\n+10 exit msr-write\n+10 exit msr-write\n"
		"+10 exit fastpath\n",
		&r);
	assert_int_equal(r.kvm.fastpath, 3);
	assert_int_equal(r.kvm.unknown_msrs, 1);
}

static void a_changed_sample_is_a_write_that_nobody_saw(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(
		V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT_I("EXTERNAL_INTERRUPT", "0x800000ec"))
			V0(0, 02100, "read_msr: 1c4, value 0") V0(0, 02200, ENTRY(0))
				V0(0, 02300, EXIT("CPUID")) V0(0, 02310, "read_msr: 1c4, value 0")
					V0(0, 02400, ENTRY(0)),
		NULL, "+1000 wrxfd 0\namx\nexit external-interrupt\n+100 exit cpuid\n", &r);
	assert_int_equal(r.kvm.sampled_writes, 1);
}

static void a_trapped_nm_is_amx_or_cr0_ts(void **state)
{
	struct import_report r;

	(void)state;
	/* By the interruption information, by XFD_ERR, by what KVM injects. */
	assert_imports(
		V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT_I("EXCEPTION_NMI", "0x80000307")) V0(
			0, 02100, ENTRY(0)) V0(0, 02110, EXIT_I("EXCEPTION_NMI", "0x80000307"))
			V0(0, 02120, "read_msr: 1c5, value 0") V0(0, 02200, ENTRY(0)) V0(
				0, 02210, EXIT("EXCEPTION_NMI"))
				V0(0, 02220, "kvm_inj_exception: #NM (0x0)") V0(0, 02300, ENTRY(0))
					V0(0, 02310, EXIT_I("EXCEPTION_NMI", "0x80000b0e"))
						V0(0, 02400, ENTRY(0)),
		NULL, "+1000 amx\n+10 tsfault\n+10 amx\n+10 exit exception-nmi\n", &r);
	assert_int_equal(r.kvm.nm, 3);
	assert_int_equal(r.kvm.unknown_vectors, 0);
}

static void exits_go_to_userspace(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("EPT_MISCONFIG"))
			       V0(0, 02100, "kvm_userspace_exit: reason KVM_EXIT_MMIO (6)")
				       V0(0, 09000, ENTRY(0)) V0(0, 09010, EXIT("IO_INSTRUCTION"))
					       V0(0, 09100, ENTRY(0)),
		       NULL, "+1000 exit userspace\n+10 exit io-instruction\n", &r);
	assert_int_equal(r.kvm.userspace, 1);
}

static void a_halt_lasts_until_the_thread_is_back(void **state)
{
	struct import_report r;

	(void)state;
	/* Blocked for 3 ms and woken on CPU 1; then polled for 90 ns. */
	assert_imports(V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("HLT"))
			       SWITCH(0, 02100, 10, "CPU 0/KVM", "S", 0,
				      "swapper/0") "<idle>-0 [001] d... 1.003002100: sched_switch: "
						   "prev_comm=swapper/1 prev_pid=0 "
						   "prev_prio=120 prev_state=R ==> next_comm=CPU "
						   "0/KVM next_pid=10 next_prio=120\n"
						   "CPU 0/KVM-10 [001] d... 1.003002300: "
						   "kvm_entry: vcpu 0, rip 0x1\n"
						   "CPU 0/KVM-10 [001] d... 1.003002400: kvm_exit: "
						   "reason HLT rip 0x1 info 0 0\n"
						   "CPU 0/KVM-10 [001] d... 1.003002490: "
						   "kvm_entry: vcpu 0, rip 0x1\n",
		       NULL, "+1000 hlt 3000000\n+3000000 wake p1\n+100 hlt 90\n+90 wake\n", &r);
	assert_int_equal(r.kvm.halts, 2);
	assert_int_equal(r.kvm.moves, 1);
	assert_int_equal(r.kvm.off_ns, 3000000 + 90);
}

static void who_preempts_has_a_class(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(
		V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("EXTERNAL_INTERRUPT")) SWITCH(
			0, 02100, 10, "CPU 0/KVM", "R", 7, "bash") SWITCH(0, 02200, 7, "bash", "S",
									  10, "CPU 0/KVM")
			V0(0, 02250, ENTRY(0)) V0(0, 02260, EXIT("EXTERNAL_INTERRUPT")) SWITCH(
				0, 02300, 10, "CPU 0/KVM", "R+", 8,
				"infer") SWITCH(0, 02400, 8, "infer", "S", 10, "CPU 0/KVM")
				V0(0, 02450, ENTRY(0)) V0(0, 02460, EXIT("EXTERNAL_INTERRUPT"))
					SWITCH(0, 02500, 10, "CPU 0/KVM", "R", 9, "kworker/0:1")
						SWITCH(0, 02600, 9, "kworker/0:1", "I", 10,
						       "CPU 0/KVM") V0(0, 02650, ENTRY(0)),
		"infer",
		"+1000 preempt N\n+100 resume\n+10 preempt A\n+100 resume\n+10 preempt K\n"
		"+100 resume\n",
		&r);
	assert_int_equal(r.kvm.preempts, 3);
	assert_int_equal(r.kvm.handler_preempts, 0);
}

/*
 * Two vCPUs share CPU 0; the second starts on a pCPU of its own and moves over. Its last halt is
 * so short that a replay may poll through it, so it is pushed out when the first one is back.
 */
static void vcpus_that_share_a_cpu_take_turns(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(
		V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("EXTERNAL_INTERRUPT")) SWITCH(
			0, 02100, 10, "CPU 0/KVM", "R", 11, "CPU 1/KVM") V1(0, 02200, ENTRY(1))
			V1(0, 02300, EXIT("CPUID")) V1(0, 02400, ENTRY(1)) V1(0, 02500, EXIT("HLT"))
				SWITCH(0, 02600, 11, "CPU 1/KVM", "S", 10, "CPU 0/KVM")
					V0(0, 02700, ENTRY(0)) V0(0, 02800, EXIT("CPUID"))
						V0(0, 02900, ENTRY(0)),
		NULL,
		"+1000 preempt K\nv1 preempt K\nv1 resume p0\n+100 v1 exit cpuid\n+100 v1 hlt 300\n"
		"v1 wake\nv1 preempt K\n+500 resume\n+100 exit cpuid\n",
		&r);
}

static void where_events_were_lost_nothing_is_bridged(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(V0(0, 01000, ENTRY(0)) "CPU:0 [LOST 5 EVENTS]\n" V0(0, 09000, EXIT("CPUID"))
			       V0(0, 09100, ENTRY(0)) V0(0, 09200, EXIT("CPUID"))
				       V0(0, 09300, ENTRY(0)),
		       NULL, "exit cpuid\n+100 exit cpuid\n", &r);
	assert_int_equal(r.kvm.guest_ns, 100);
	assert_int_equal(r.recording.lost_events, 5);
}

static void a_guest_without_amx_is_known_by_its_fault(void **state)
{
	struct import_report r;
	struct bytes bytes;

	(void)state;
	assert_imports(V0(0, 01000, ENTRY(0)) V0(0, 02000, EXIT("MSR_WRITE"))
			       V0(0, 02100, MSR("write 1c4 = 0x40000 (#GP)"))
				       V0(0, 02200, ENTRY(0)),
		       NULL, "+1000 wrxfd 0x40000\n", &r);
	bytes = file_load(scratch_path("out.xfs"));
	assert_non_null(strstr((char *)bytes.data, "no-amx"));
	free(bytes.data);
}

/* ---- guest and host together ---- */

enum { TSC_PER_NS = 2 };
#define TSC_OFFSET UINT64_C(123456789000) /* guest's TSC = host's - this */

/* Eight writes of which two trap; between them the guest switches tasks. */
static void write_pair(const char *host_path, const char *guest_path)
{
	static const uint64_t host_id = 0x1111, guest_id = 0x2222;
	/* ns = TSC * 2^30 >> 31 */
	static const uint8_t tsc2nsec[16] = {0, 0, 0, 0x40, 31};
	static uint8_t map[7 + 12 + 16], shift[16 + 2 * 36 + 32];
	struct fixture host, guest;
	uint64_t t = 1000000000000;

	memcpy(map, "Guest1", 7);
	memcpy(map + 7, &guest_id, 8);
	map[15] = 2;
	memcpy(map + 23, &(uint32_t){4242}, 4);
	map[27] = 1;
	memcpy(map + 31, &(uint32_t){4243}, 4);
	memcpy(shift, &host_id, 8);
	shift[12] = 2;
	for (size_t cpu = 0; cpu < 2; cpu++) {
		uint8_t *at = shift + 16 + cpu * 52;

		at[0] = 2; /* samples: at the beginning and at the end */
		memcpy(at + 4 + 8, &(uint64_t){UINT64_C(1000000000000000)}, 8);
		memcpy(at + 20, &(uint64_t){TSC_OFFSET}, 8);
		memcpy(at + 28, &(uint64_t){TSC_OFFSET}, 8);
		at[36] = at[44] = 1;
	}
	fixture_open(&host, host_path, &layouts[4], "x86-tsc");
	datfile_option(host.dat, 11, &host_id, 8);
	datfile_option(host.dat, 14, tsc2nsec, 16);
	datfile_option(host.dat, 13, map, sizeof(map));
	fixture_open(&guest, guest_path, &layouts[4], "x86-tsc");
	datfile_option(guest.dat, 11, &guest_id, 8);
	datfile_option(guest.dat, 14, tsc2nsec, 16);
	datfile_option(guest.dat, 12, shift, sizeof(shift));
	assert_int_equal(datfile_task(host.dat, 4242, "CPU 0/KVM", &host.err), 0);
	put_entry(&host, 0, t += 100, 4242, 0, false);
	for (int i = 0; i < 8; i++) {
		uint64_t value = i % 2 ? 0x40000 : 0;

		put_switch(&guest, 0, (t += 1000) - TSC_OFFSET, i % 2 ? 501 : 502,
			   i % 2 ? "amx" : "plain", 0, i % 2 ? 502 : 501, i % 2 ? "plain" : "amx");
		if (i < 2) {
			put_exit(&host, 0, t += 400, 4242, 0, 32, 0, 0);
			put_kvm_msr(&host, 0, t += 900, 4242, true, 0x1c4, value, false);
			put_entry(&host, 0, t += 300, 4242, 0, false);
		}
		put_msr(&guest, guest.write_msr, 0, (t += 200) - TSC_OFFSET, 500, 0x1c4, value);
	}
	put_exit(&host, 0, t += 2000, 4242, 0, 1, 0, 0x800000ec);
	put_msr(&host, host.read_msr, 0, t += 150, 4242, 0x1c4, 0x40000);
	put_entry(&host, 0, t += 800, 4242, 0, false);
	fixture_close(&host);
	fixture_close(&guest);
}

/*
 * In ns, half of what write_pair() says: the first write is told by the host, at its exit; by
 * the time of the second the guest is known to tell, so it is where the guest has it: 200 for
 * the way from the first entry, 1000 + 400 to the exit, and 200 behind the next entry.
 */
static const char pair_events[] = "+700 wrxfd 0\namx\n+900 wrxfd 0x40000\ntilerelease\n"
				  "+600 wrxfd 0\namx\n+600 wrxfd 0x40000\ntilerelease\n"
				  "+600 wrxfd 0\namx\n+600 wrxfd 0x40000\ntilerelease\n"
				  "+600 wrxfd 0\namx\n+600 wrxfd 0x40000\ntilerelease\n"
				  "+1000 exit external-interrupt\n";

static void assert_pair(const struct import_report *r)
{
	char *got = events_of(scratch_path("out.xfs"));

	assert_int_equal(r->kvm.guest_writes, 8);
	assert_int_equal(r->kvm.host_writes, 2);
	assert_int_equal(r->kvm.sampled_writes, 0);
	assert_int_equal(r->kvm.sample_mismatches, 0);
	assert_string_equal(got, pair_events);
	free(got);
	assert_replays(scratch_path("out.xfs"));
}

static void a_guest_tells_what_its_host_cannot_see(void **state)
{
	const struct import_options options = {.tsc_khz = 1000000};
	char host[300], guest[300], files[700], *text;
	const char *paths[] = {host, guest};
	struct import_report report;
	struct xfd_error err = {0};

	(void)state;
	snprintf(host, sizeof(host), "%s", scratch_path("host.dat"));
	snprintf(guest, sizeof(guest), "%s", scratch_path("host-Guest1.dat"));
	write_pair(host, guest);
	if (import_recordings(paths, 2, &options, scratch_path("out.xfs"), &report, NULL, &err))
		print_error("%s\n", err.text);
	assert_int_equal(err.kind, XFD_ERROR_NONE);
	assert_pair(&report);

	snprintf(files, sizeof(files), "-i %s -i %s", host, guest);
	text = report_text("-N -t", files);
	if (!text) {
		print_message("skipped: trace-cmd is not installed\n");
		skip();
	}
	file_save(scratch_path("in.txt"), text, strlen(text));
	free(text);
	assert_int_equal(import_file(scratch_path("in.txt"), NULL, &report, &err), 0);
	assert_pair(&report);
}

static void a_stranger_is_no_guest(void **state)
{
	const struct import_options options = {.tsc_khz = 1000000};
	char host[300], other[300];
	const char *paths[] = {host, other};
	struct import_report report;
	struct xfd_error err = {0};

	(void)state;
	snprintf(host, sizeof(host), "%s", scratch_path("host.dat"));
	snprintf(other, sizeof(other), "%s", scratch_path("other.dat"));
	write_pair(host, other);
	write_layout(other, &layouts[4]);
	assert_true(import_recordings(paths, 2, &options, scratch_path("out.xfs"), &report, NULL,
				      &err) < 0);
	assert_error(&err, XFD_ERROR_INPUT, "wanted a guest that");
}

/* ---- the guest alone ---- */

static void a_guest_that_tells_its_writes_is_measured(void **state)
{
	struct import_report r;

	(void)state;
	assert_imports(SWITCH(0, 01000, 1, "a", "R", 2,
			      "b") "b-2 [000] d... 1.000002000: read_msr: 1c5, value 40000\n"
				   "b-2 [000] d... 1.000002100: write_msr: 1c5, value 0\n"
				   "b-2 [000] d... 1.000002200: write_msr: 1c4, value 0\n"
				   "b-2 [000] d... 1.000003000: write_msr: 1d9, value 0\n"
				   "b-2 [000] d... 1.000003200: write_msr: 1c4, value 40000\n",
		       NULL,
		       "+1000 amx\nrderr\n+100 wrerr 0\n+100 wrxfd 0\namx\n+1000 wrxfd 0x40000\n"
		       "tilerelease\n",
		       &r);
	assert_int_equal(r.mode, IMPORT_MEASURED);
	assert_false(r.host);
	assert_int_equal(r.guest.xfd_writes, 2);
}

#define FPU(cpu, ns, pid, bv)                                                                      \
	"t-" #pid " [00" #cpu "] d... 1.0000" #ns ": x86_fpu_regs_activated: x86/fpu: 0 load: 1 "  \
	"xfeatures: 2 xcomp_bv: 80000000000" bv "\n"

static void recorded_restores_replace_the_projection(void **state)
{
	struct import_report r;

	(void)state;
	/* Task 5 gets a large buffer between its first and its second load; 6 had one before. */
	assert_imports(FPU(0, 01000, 5, "202e7") FPU(0, 02000, 5, "602e7") FPU(0, 03000, 4, "202e7")
			       FPU(0, 04000, 6, "602e7") FPU(0, 05000, 5, "602e7"),
		       NULL,
		       "wrxfd 0x40000\nxsetbv\n+1000 amx\nrderr\nwrerr 0\nwrxfd 0\namx\n"
		       "+1000 wrxfd 0x40000\ntilerelease\n+1000 wrxfd 0\namx\n",
		       &r);
	assert_int_equal(r.mode, IMPORT_RESTORED);
	assert_int_equal(r.guest.restores, 5);
	assert_int_equal(r.guest.amx_tasks, 1);
}

/* ---- modes and refusals ---- */

static void refuse(const char *text, struct import_options options, const char *why)
{
	struct import_report report;
	struct xfd_error err = {0};
	char path[300];

	snprintf(path, sizeof(path), "%s", scratch_path("in.txt"));
	file_save(path, text, strlen(text));
	remove(scratch_path("out.xfs"));
	assert_true(import_file(path, &options, &report, &err) < 0);
	assert_error(&err, XFD_ERROR_INPUT, why);
	assert_int_not_equal(access(scratch_path("out.xfs"), F_OK), 0);
}

static void what_cannot_be_measured_is_refused(void **state)
{
	static const char lost[] =
		V0(0, 01000, ENTRY(0)) "CPU:0 [LOST 5 EVENTS]\n" V0(0, 09000, EXIT("CPUID"));
	static const char junk[] =
		V0(0, 01000, ENTRY(0)) "wrapped line\n" V0(0, 09000, EXIT("CPUID"));
	static const char arm[] = SWITCH(0, 01000, 1, "a", "R", 2, "b")
		V0(0, 02000, "kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0xffff");
	static const char plain[] = SWITCH(0, 01000, 1, "a", "R", 2, "b");
	struct import_report report;
	struct xfd_error err = {0};

	(void)state;
	refuse(lost, (struct import_options){.strict = true}, "lost events in 1 places (5 counted");
	refuse(junk, (struct import_options){.strict = true}, "1 lines cannot be read");
	refuse(arm, (struct import_options){.mode = IMPORT_MEASURED}, "arm64 or AMD");
	refuse(plain, (struct import_options){.mode = IMPORT_MEASURED}, "no write of IA32_XFD");
	refuse(plain, (struct import_options){.mode = IMPORT_RESTORED}, "no load of FPU registers");
	refuse(V0(0, 01000, ENTRY(0)), (struct import_options){.mode = IMPORT_PROJECTED},
	       "no sched_switch in the recording");
	refuse(V0(0, 02000, "kvm_exit: TRAP: HSR_EC: 0x0024 (DABT_LOW), PC: 0xffff"),
	       (struct import_options){0}, "arm64 or AMD");
	/* The schedule of an arm64 machine can be projected. */
	file_save(scratch_path("in.txt"), arm, strlen(arm));
	assert_int_equal(import_file(scratch_path("in.txt"), NULL, &report, &err), 0);
	assert_int_equal(report.mode, IMPORT_PROJECTED);
	assert_int_equal(report.recording.by_kind[SCHED_EVENT_KVM_FOREIGN], 1);
}

/* An AMD host: entries as those of Intel, exits of SVM (NPF), and perhaps who ran. */
static void write_amd(const char *path, const struct layout *layout, unsigned int nr_first_entries,
		      bool switches)
{
	struct fixture f;
	uint64_t t = 1000000000000;

	fixture_open(&f, path, layout, "local");
	for (unsigned int i = 0; i < nr_first_entries; i++)
		put_entry(&f, 0, t += 100, 4242, 0, false);
	for (int i = 0; i < 5; i++) {
		put_entry(&f, 0, t += 1000, 4242, 0, false);
		put_exit_of(&f, 2, 0, t += 1000, 4242, 0, 0x400, 0, 0);
		if (!switches)
			continue;
		put_switch(&f, 0, t += 1000, 4242, "qemu", 1, 77, "amx");
		put_switch(&f, 0, t += 1000, 77, "amx", 1, 4242, "qemu");
	}
	fixture_close(&f);
}

static void entries_of_amd_measure_nothing(void **state)
{
	const unsigned int entries[] = {0, IMPORT_LOOKAHEAD + 1};
	const struct import_options measured = {.mode = IMPORT_MEASURED};
	struct import_report report;
	struct xfd_error err = {0};
	char path[300];

	(void)state;
	snprintf(path, sizeof(path), "%s", scratch_path("amd.dat"));
	for (size_t i = 0; i < NR_LAYOUTS; i++) {
		const unsigned int first = entries[i == 2];

		print_message("kernel %s\n", layouts[i].release);
		remove(scratch_path("out.xfs"));
		write_amd(path, &layouts[i], first, false);
		err = (struct xfd_error){0};
		assert_true(import_file(path, NULL, &report, &err) < 0);
		assert_error(&err, XFD_ERROR_INPUT, "(arm64 or AMD), and it has no sched_switch");
		assert_int_not_equal(access(scratch_path("out.xfs"), F_OK), 0);

		write_amd(path, &layouts[i], first, true);
		err = (struct xfd_error){0};
		assert_int_equal(import_file(path, NULL, &report, &err), 0);
		assert_int_equal(report.mode, IMPORT_PROJECTED);
		assert_false(report.host);
		assert_int_equal(report.recording.by_kind[SCHED_EVENT_SWITCH], 10);
		assert_int_equal(report.recording.by_kind[SCHED_EVENT_KVM_FOREIGN], 5);
		assert_true(import_file(path, &measured, &report, &err) < 0);
		assert_error(&err, XFD_ERROR_INPUT, "arm64 or AMD");
		/* What can be read once only, and told too late. */
		if (!first)
			continue;
		err = (struct xfd_error){0};
		assert_non_null(freopen(path, "r", stdin));
		assert_true(import_file("-", NULL, &report, &err) < 0);
		assert_error(&err, XFD_ERROR_INPUT,
			     "its schedule can be used with --mode projected");
	}
}

static void a_mode_can_be_chosen(void **state)
{
	static const char text[] =
		SWITCH(0, 01000, 1, "a", "R", 2,
		       "b") "b-2 [000] d... 1.000002200: write_msr: 1c4, value 0\n";
	const struct import_options options = {.mode = IMPORT_PROJECTED};
	struct import_report report;
	struct xfd_error err = {0};
	struct bytes bytes;

	(void)state;
	file_save(scratch_path("in.txt"), text, strlen(text));
	assert_int_equal(import_file(scratch_path("in.txt"), &options, &report, &err), 0);
	assert_int_equal(report.mode, IMPORT_PROJECTED);
	assert_int_equal(report.guest.unused_writes, 1);
	bytes = file_load(scratch_path("out.xfs"));
	assert_non_null(strstr((char *)bytes.data, "\"mode\":\"projected\""));
	free(bytes.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(time_in_kvm_is_left_out),
		cmocka_unit_test(accesses_of_xfd_are_events),
		cmocka_unit_test(fastpath_exits_are_told_from_slow_ones),
		cmocka_unit_test(a_changed_sample_is_a_write_that_nobody_saw),
		cmocka_unit_test(a_trapped_nm_is_amx_or_cr0_ts),
		cmocka_unit_test(exits_go_to_userspace),
		cmocka_unit_test(a_halt_lasts_until_the_thread_is_back),
		cmocka_unit_test(who_preempts_has_a_class),
		cmocka_unit_test(vcpus_that_share_a_cpu_take_turns),
		cmocka_unit_test(where_events_were_lost_nothing_is_bridged),
		cmocka_unit_test(a_guest_without_amx_is_known_by_its_fault),
		cmocka_unit_test(a_guest_tells_what_its_host_cannot_see),
		cmocka_unit_test(a_stranger_is_no_guest),
		cmocka_unit_test(a_guest_that_tells_its_writes_is_measured),
		cmocka_unit_test(recorded_restores_replace_the_projection),
		cmocka_unit_test(what_cannot_be_measured_is_refused),
		cmocka_unit_test(entries_of_amd_measure_nothing),
		cmocka_unit_test(a_mode_can_be_chosen),
	};

	return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
