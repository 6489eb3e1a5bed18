/* SPDX-License-Identifier: MIT */
/*
 * What each event costs, derived by hand from the rules: every flow is compared step by
 * step and in order, so a failure names the step. (Totals over a made-up price list whose
 * digits do not overlap are in test_engine.c.)
 */
#include "tests/xt.h"

#include <stdio.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/machine.h"
#include "models/msr.h"

enum { MAX_EVENTS = 24, MAX_STEPS = 400, ARMED = 0x40000 };

/* ---- expected sequences, written as the rules are ---- */

struct sequence {
	int nr;
	int step[MAX_STEPS];
};

static void then(struct sequence *s, enum step step)
{
	assert_true(s->nr < MAX_STEPS);
	s->step[s->nr++] = (int)step;
}

/* What an exit does beside its fixed part. */
enum {
	SYNC = 1,       /* writes pass through */
	IRQ = 2,        /* external interrupt */
	NM_READ = 4,    /* intercepted #NM with fpstate.xfd != 0 */
	ERR_ZERO = 8,   /* saved xfd_err != 0 */
	ERR_LOAD = 16,  /* the same at the entry */
	REARM = 32,     /* adaptive intercepts again */
	LOAD = 64,      /* registers are not valid at the entry ... */
	LOAD_XFD = 128, /* ... and the cache differs */
	LOAD_TILES = 256
};

static void exit_(struct sequence *s, unsigned int what)
{
	then(s, STEP_vmexit);
	then(s, STEP_vmx_asm);
	if (what & SYNC)
		then(s, STEP_xfd_sync);
	if (what & IRQ)
		then(s, STEP_host_irq);
	if (what & NM_READ)
		then(s, STEP_xfd_err_read);
	if (what & ERR_ZERO)
		then(s, STEP_xfd_err_write);
	then(s, STEP_exit_post);
	if (what & REARM)
		then(s, STEP_intercept_update);
	then(s, STEP_handler);
}

static void entry(struct sequence *s, unsigned int what)
{
	then(s, STEP_entry_prep);
	if (what & LOAD_XFD)
		then(s, STEP_host_wrmsr_xfd);
	if (what & LOAD)
		then(s, STEP_xrstors);
	if (what & LOAD_TILES)
		then(s, STEP_xrstors_tiles);
	if (what & ERR_LOAD)
		then(s, STEP_xfd_err_write);
	then(s, STEP_vmentry);
}

static void slow(struct sequence *s, unsigned int what)
{
	exit_(s, what);
	entry(s, what);
}

/* An intercepted write that changes XFD. */
static void trapped_write(struct sequence *s, bool update)
{
	exit_(s, 0);
	then(s, STEP_msr_emulate);
	then(s, STEP_host_wrmsr_xfd);
	if (update)
		then(s, STEP_intercept_update);
	entry(s, 0);
}

/* v1: the first enabling write, on its way through userspace. */
static void growing_write(struct sequence *s, bool update_before, bool update_after, bool fails,
			  bool stops)
{
	exit_(s, 0);
	then(s, STEP_msr_emulate);
	if (update_before)
		then(s, STEP_intercept_update);
	then(s, STEP_xfd_err_read); /* USER begins; XFD_ERR is 0, so no write */
	then(s, STEP_xsaves);
	then(s, STEP_xrstors); /* the VMM's XFD is 0x40000, as the guest's still is */
	if (stops)
		return;
	if (!fails)
		then(s, STEP_fpstate_alloc);
	then(s, STEP_user_roundtrip);
	then(s, STEP_xsaves);
	if (!fails)
		then(s, STEP_host_wrmsr_xfd); /* growth has cleared the bit in fpstate.xfd */
	then(s, STEP_xrstors);
	if (update_after)
		then(s, STEP_intercept_update);
	entry(s, 0);
}

/* ---- running events ---- */

struct rig {
	struct machine_config config;
	struct pcpu pcpus[2];
	struct vcpu vcpus[2];
	struct machine machine;
	struct sequence got;
};

static void rig_init(struct rig *rig, const char *kernel, const char *policy)
{
	memset(rig, 0, sizeof(*rig));
	rig->config = (struct machine_config){
		.kernel = kernel_find(kernel),
		.policy = policy_find(policy),
		.params = {.adaptive_writes = 1, .adaptive_exits = 2},
		.halt_poll_cycles = 200,
		.idle_init_cycles = 800,
	};
	assert_non_null(rig->config.kernel);
	assert_non_null(rig->config.policy);
	rig->machine = (struct machine){
		.pcpus = rig->pcpus, .vcpus = rig->vcpus, .nr_pcpus = 2, .nr_vcpus = 1};
	machine_init(&rig->machine, &rig->config, NULL);
}

static enum machine_status feed(struct rig *rig, uint32_t vcpu, enum event_kind kind, uint64_t arg)
{
	struct trace_event event = {.vcpu = vcpu, .kind = kind, .arg = arg};
	struct machine_result result;
	enum machine_status status = machine_event(&rig->machine, &event, &result);

	for (unsigned int i = 0; i < result.log.nr; i++)
		then(&rig->got, result.log.step[i]);
	return status;
}

static void ev(struct rig *rig, enum event_kind kind, uint64_t arg)
{
	assert_int_equal(feed(rig, 0, kind, arg), MACHINE_OK);
}

static void assert_sequence(const struct rig *rig, const struct sequence *want)
{
	for (int i = 0; i < want->nr || i < rig->got.nr; i++) {
		const char *w = i < want->nr ? step_name((enum step)want->step[i]) : "nothing";
		const char *g =
			i < rig->got.nr ? step_name((enum step)rig->got.step[i]) : "nothing";

		if (strcmp(w, g))
			fail_msg("step %d: wanted %s, got %s", i, w, g);
	}
}

static void boot(struct rig *rig)
{
	ev(rig, EVENT_wrxfd, ARMED);
	ev(rig, EVENT_xsetbv, EVENT_XCR0_DEFAULT);
}

/* ---- the patch's flow: boot, enable, disable, enable, disable, under v1 ---- */

static void patch_flow(struct rig *rig)
{
	boot(rig);
	ev(rig, EVENT_wrxfd, 0);
	ev(rig, EVENT_wrxfd, ARMED);
	ev(rig, EVENT_wrxfd, 0);
	ev(rig, EVENT_wrxfd, ARMED);
	ev(rig, EVENT_exit, EXIT_CPUID);
}

static void always_intercept_follows_the_patch_flow(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "always-intercept");
	patch_flow(&rig);
	trapped_write(&want, false);
	slow(&want, 0); /* XSETBV: XFD is armed, nothing grows */
	growing_write(&want, false, false, false, false);
	for (int i = 0; i < 3; i++)
		trapped_write(&want, false);
	slow(&want, 0);
	assert_sequence(&rig, &want);
	assert_false(rig.vcpus[0].xfd_no_write_intercept);
	assert_int_equal(rig.vcpus[0].fpstate.size_bytes, 10752);
}

static void passthrough_follows_the_patch_flow(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "passthrough");
	assert_int_equal(rig.vcpus[0].fpstate.size_bytes, 10752);
	patch_flow(&rig);
	then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	for (int i = 0; i < 4; i++)
		then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	assert_sequence(&rig, &want);
}

static void first_enable_follows_the_patch_flow(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "first-enable");
	patch_flow(&rig);
	trapped_write(&want, false);
	slow(&want, 0);
	growing_write(&want, true, false, false, false);
	for (int i = 0; i < 3; i++)
		then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	assert_sequence(&rig, &want);
}

static void recheck_on_resume_follows_the_patch_flow(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "recheck-on-resume");
	patch_flow(&rig);
	trapped_write(&want, false);
	slow(&want, 0);
	growing_write(&want, false, true, false, false);
	for (int i = 0; i < 3; i++)
		then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	assert_sequence(&rig, &want);
}

static void second_enable_follows_the_patch_flow(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "second-enable");
	patch_flow(&rig);
	trapped_write(&want, false);
	slow(&want, 0);
	growing_write(&want, false, false, false, false);
	trapped_write(&want, false);
	trapped_write(&want, true); /* the second enabling write found room */
	then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	assert_sequence(&rig, &want);
}

static void first_nonzero_waits_in_v1_for_a_write_that_finds_room(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "first-nonzero");
	patch_flow(&rig);
	trapped_write(&want, false); /* non-zero, but the buffer is small */
	slow(&want, 0);
	growing_write(&want, false, false, false, false);
	trapped_write(&want, true);
	then(&want, STEP_guest_wrmsr_xfd);
	then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	assert_sequence(&rig, &want);
}

static void adaptive_follows_the_patch_flow(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "adaptive");
	patch_flow(&rig);
	trapped_write(&want, false);
	slow(&want, 0);
	growing_write(&want, false, true, false, false);
	for (int i = 0; i < 3; i++)
		then(&want, STEP_guest_wrmsr_xfd);
	slow(&want, SYNC);
	assert_sequence(&rig, &want);
	assert_true(rig.vcpus[0].xfd_no_write_intercept);
}

static void second_enable_survives_a_failed_growth_and_a_vmm_that_comes_back(void **state)
{
	const uint64_t first = 1;
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "second-enable");
	rig.config.vmm_returns = true;
	rig.config.fail_growths = &first;
	rig.config.nr_fail_growths = 1;
	machine_init(&rig.machine, &rig.config, NULL);
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0); /* fails; the guest believes that XFD is 0 */
	assert_int_equal(machine_guest_xfd(&rig.machine, &rig.vcpus[0]), ARMED);
	assert_int_equal(rig.vcpus[0].fpstate.size_bytes, 2560);
	ev(&rig, EVENT_wrxfd, 0); /* the second, but it finds the buffer small: it grows */
	assert_false(rig.vcpus[0].xfd_no_write_intercept);
	ev(&rig, EVENT_wrxfd, 0); /* finds it large */
	trapped_write(&want, false);
	slow(&want, 0);
	growing_write(&want, false, false, true, false);
	growing_write(&want, false, false, false, false);
	exit_(&want, 0);
	then(&want, STEP_msr_emulate); /* no change of XFD */
	then(&want, STEP_intercept_update);
	entry(&want, 0);
	assert_sequence(&rig, &want);
	assert_true(rig.vcpus[0].xfd_no_write_intercept);
}

static void first_enable_is_left_passing_through_with_a_small_buffer(void **state)
{
	const uint64_t first = 1;
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "first-enable");
	rig.config.vmm_returns = true;
	rig.config.fail_growths = &first;
	rig.config.nr_fail_growths = 1;
	machine_init(&rig.machine, &rig.config, NULL);
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0);
	assert_true(rig.vcpus[0].xfd_no_write_intercept);
	assert_int_equal(rig.vcpus[0].fpstate.size_bytes, 2560);
}

static void a_failed_growth_stops_the_vcpu_when_the_vmm_gives_up(void **state)
{
	const uint64_t first = 1;
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "second-enable");
	rig.config.fail_growths = &first;
	rig.config.nr_fail_growths = 1;
	machine_init(&rig.machine, &rig.config, NULL);
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0);
	assert_int_equal(feed(&rig, 0, EVENT_wrxfd, 0), MACHINE_SKIPPED);
	trapped_write(&want, false);
	slow(&want, 0);
	growing_write(&want, false, false, true, true);
	assert_sequence(&rig, &want);
	assert_int_equal(rig.pcpus[0].vcpu, VCPU_NONE);
}

/* ---- v6.19 ---- */

static void a_guest_that_only_boots_pays_a_sync_per_exit_under_first_nonzero(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	ev(&rig, EVENT_exit, EXIT_CPUID);
	ev(&rig, EVENT_exit, EXIT_EXTERNAL_INTERRUPT);
	trapped_write(&want, true);
	slow(&want, SYNC);
	slow(&want, SYNC);
	slow(&want, SYNC | IRQ);
	assert_sequence(&rig, &want);
}

static void a_guest_that_only_boots_pays_no_sync_under_second_enable(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "second-enable");
	boot(&rig);
	ev(&rig, EVENT_exit, EXIT_CPUID);
	trapped_write(&want, true); /* #NM interception begins */
	slow(&want, 0);
	slow(&want, 0);
	assert_sequence(&rig, &want);
	assert_true(rig.vcpus[0].intercept_nm);
}

/* One first AMX use: 1 xfd_err_read, 3 xfd_err_write, 2 more for each slow exit in between. */
static void first_amx_use_reads_xfd_err_once_and_writes_it_three_times(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	rig.got.nr = 0;
	ev(&rig, EVENT_amx, 0);
	assert_int_equal(machine_guest_xfd_err(&rig.machine, &rig.vcpus[0]), ARMED);
	ev(&rig, EVENT_exit, EXIT_CPUID);
	ev(&rig, EVENT_rderr, 0);
	ev(&rig, EVENT_wrerr, 0);
	ev(&rig, EVENT_wrxfd, 0);
	ev(&rig, EVENT_amx, 0);
	assert_true(rig.pcpus[0].xinuse_tiles);

	exit_(&want, SYNC | NM_READ | ERR_ZERO);
	then(&want, STEP_nm_inject);
	entry(&want, ERR_LOAD);
	then(&want, STEP_nm_deliver);
	slow(&want, SYNC | ERR_ZERO | ERR_LOAD);
	then(&want, STEP_guest_rdmsr_xfd_err);
	exit_(&want, SYNC | ERR_ZERO);
	then(&want, STEP_msr_emulate);
	entry(&want, 0);
	then(&want, STEP_guest_wrmsr_xfd);
	assert_sequence(&rig, &want);
}

static void nm_is_not_intercepted_before_xfd_was_ever_armed(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	ev(&rig, EVENT_tsfault, 0);
	then(&want, STEP_nm_deliver);
	ev(&rig, EVENT_amx, 0); /* #UD: XCR0 has no AMX */
	assert_sequence(&rig, &want);
}

static void a_ts_fault_reads_xfd_err_below_v6_19_only(void **state)
{
	static const struct {
		const char *kernel;
		unsigned int read;
	} rows[] = {{"v5.17", NM_READ}, {"v6.19", 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sequence want = {0};
		struct rig rig;

		rig_init(&rig, rows[i].kernel, "first-nonzero");
		boot(&rig);
		rig.got.nr = 0;
		ev(&rig, EVENT_tsfault, 0);
		exit_(&want, SYNC | rows[i].read);
		then(&want, STEP_nm_inject);
		entry(&want, 0);
		then(&want, STEP_nm_deliver);
		assert_sequence(&rig, &want);
	}
}

static void live_tiles_cost_more_on_the_way_through_userspace(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0);
	ev(&rig, EVENT_amx, 0);
	rig.got.nr = 0;
	ev(&rig, EVENT_exit, EXIT_USERSPACE);
	exit_(&want, SYNC);
	then(&want, STEP_xsaves);
	then(&want, STEP_xsaves_tiles);
	then(&want, STEP_host_wrmsr_xfd); /* the VMM's 0x40000 */
	then(&want, STEP_xrstors);
	then(&want, STEP_user_roundtrip);
	then(&want, STEP_xsaves);
	then(&want, STEP_host_wrmsr_xfd); /* the guest's 0 */
	then(&want, STEP_xrstors);
	then(&want, STEP_xrstors_tiles);
	entry(&want, 0);
	assert_sequence(&rig, &want);
	assert_true(rig.pcpus[0].xinuse_tiles);
}

static void armed_tiles_are_not_saved_and_are_gone_at_the_next_load(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0);
	ev(&rig, EVENT_amx, 0);
	ev(&rig, EVENT_wrxfd, ARMED);
	assert_true(rig.pcpus[0].xinuse_tiles); /* arming leaves them alone */
	rig.got.nr = 0;
	ev(&rig, EVENT_exit, EXIT_USERSPACE);
	exit_(&want, SYNC);
	then(&want, STEP_xsaves);
	then(&want, STEP_xrstors);
	then(&want, STEP_user_roundtrip);
	then(&want, STEP_xsaves);
	then(&want, STEP_xrstors);
	entry(&want, 0);
	assert_sequence(&rig, &want);
	assert_false(rig.pcpus[0].xinuse_tiles);
}

static void an_amx_task_that_preempts_is_charged_where_it_ran(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	rig.got.nr = 0;
	ev(&rig, EVENT_preempt, TASK_A);
	ev(&rig, EVENT_resume, EVENT_SAME_PCPU);
	exit_(&want, SYNC | IRQ);
	then(&want, STEP_xsaves);
	then(&want, STEP_sched_switch);
	then(&want, STEP_host_wrmsr_xfd); /* task A wants 0 */
	then(&want, STEP_xrstors);
	then(&want, STEP_xrstors_tiles);
	then(&want, STEP_xsaves);
	then(&want, STEP_xsaves_tiles);
	then(&want, STEP_sched_switch);
	entry(&want, LOAD | LOAD_XFD);
	assert_sequence(&rig, &want);
	assert_int_equal(rig.pcpus[0].msr_xfd, ARMED);
	assert_int_equal(rig.pcpus[0].xfd_state, ARMED);
}

static void registers_stay_valid_behind_a_kernel_thread_but_not_on_another_pcpu(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	rig.got.nr = 0;
	ev(&rig, EVENT_preempt, TASK_K);
	ev(&rig, EVENT_resume, EVENT_SAME_PCPU);
	ev(&rig, EVENT_preempt, TASK_K);
	ev(&rig, EVENT_resume, 1);
	for (int round = 0; round < 2; round++) {
		exit_(&want, SYNC | IRQ);
		then(&want, STEP_xsaves);
		then(&want, STEP_sched_switch);
		then(&want, STEP_sched_switch);
		if (round)
			then(&want, STEP_migrate);
		entry(&want, round ? LOAD : 0); /* a fresh pCPU's XFD is 0x40000 already */
	}
	assert_sequence(&rig, &want);
}

static void a_halt_is_polled_blocked_or_long_enough_to_lose_tiles(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0);
	ev(&rig, EVENT_amx, 0);
	rig.got.nr = 0;
	ev(&rig, EVENT_hlt, 199);
	ev(&rig, EVENT_wake, 1); /* a polled thread cannot have moved */
	assert_int_equal(rig.vcpus[0].pcpu, 0);
	ev(&rig, EVENT_hlt, 200);
	ev(&rig, EVENT_wake, EVENT_SAME_PCPU);
	ev(&rig, EVENT_hlt, 799);
	ev(&rig, EVENT_wake, EVENT_SAME_PCPU);
	assert_true(rig.pcpus[0].xinuse_tiles);
	ev(&rig, EVENT_hlt, 800);
	assert_int_equal(rig.pcpus[0].fpregs_owner, THREAD_NONE);
	ev(&rig, EVENT_wake, EVENT_SAME_PCPU);

	slow(&want, SYNC);
	for (int round = 0; round < 3; round++) {
		exit_(&want, SYNC);
		then(&want, STEP_xsaves);
		then(&want, STEP_xsaves_tiles);
		then(&want, STEP_sched_switch);
		then(&want, STEP_sched_switch);
		entry(&want, round == 2 ? LOAD | LOAD_TILES : 0);
	}
	assert_sequence(&rig, &want);
}

static void a_bad_write_raises_gp_on_either_side(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	ev(&rig, EVENT_wrxfd, 1);
	ev(&rig, EVENT_wrerr, 0x60000);
	ev(&rig, EVENT_xsetbv, 0x20003);
	assert_int_equal(rig.vcpus[0].xcr0, 1);
	ev(&rig, EVENT_wrxfd, ARMED);
	ev(&rig, EVENT_wrxfd, 0x60000);
	assert_int_equal(rig.pcpus[0].msr_xfd, ARMED);

	for (int i = 0; i < 2; i++) {
		exit_(&want, 0);
		then(&want, STEP_msr_emulate);
		entry(&want, 0);
		then(&want, STEP_gp_deliver);
	}
	slow(&want, 0);
	then(&want, STEP_gp_deliver);
	trapped_write(&want, true);
	then(&want, STEP_gp_deliver);
	assert_sequence(&rig, &want);
}

static void fastpath_exits_are_neither_synced_nor_counted_by_adaptive(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "adaptive"); /* two unchanged exits re-arm */
	ev(&rig, EVENT_wrxfd, ARMED);
	rig.got.nr = 0;
	ev(&rig, EVENT_exit, EXIT_CPUID);
	ev(&rig, EVENT_exit, EXIT_FASTPATH);
	assert_true(rig.vcpus[0].xfd_no_write_intercept);
	ev(&rig, EVENT_exit, EXIT_CPUID);
	assert_false(rig.vcpus[0].xfd_no_write_intercept);
	ev(&rig, EVENT_exit, EXIT_CPUID);
	assert_true(rig.vcpus[0].intercept_nm); /* never switched off again */

	slow(&want, SYNC);
	then(&want, STEP_vmexit);
	then(&want, STEP_vmx_asm);
	then(&want, STEP_fastpath);
	then(&want, STEP_vmentry);
	slow(&want, SYNC | REARM);
	slow(&want, 0);
	assert_sequence(&rig, &want);
}

static void a_write_between_exits_keeps_adaptive_passing_through(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "adaptive");
	ev(&rig, EVENT_wrxfd, ARMED);
	for (int i = 0; i < 10; i++) {
		ev(&rig, EVENT_exit, EXIT_CPUID);
		ev(&rig, EVENT_wrxfd, i % 2 ? ARMED : 0);
		ev(&rig, EVENT_exit, EXIT_CPUID);
		assert_true(rig.vcpus[0].xfd_no_write_intercept);
	}
}

static void xcr0_is_swapped_on_fastpath_exits_below_v6_19_only(void **state)
{
	const uint8_t flags = VCPU_XCR0_DIFFERS | VCPU_SPEC_CTRL_DIFFERS;

	(void)state;
	for (int today = 0; today < 2; today++) {
		struct sequence want = {0};
		struct rig rig;

		rig_init(&rig, today ? "v6.19" : "v5.17", "always-intercept");
		machine_init(&rig.machine, &rig.config, &flags);
		ev(&rig, EVENT_exit, EXIT_FASTPATH);
		then(&want, STEP_vmexit);
		then(&want, STEP_vmx_asm);
		if (!today)
			then(&want, STEP_xcr0_switch);
		then(&want, STEP_spec_ctrl_toggle);
		then(&want, STEP_fastpath);
		then(&want, STEP_vmentry);
		assert_sequence(&rig, &want);
	}
}

/* v1: XFD_ERR stays in the MSR until the thread gives the CPU up. */
static void v1_saves_xfd_err_when_switched_out_and_loads_it_once(void **state)
{
	struct sequence want = {0};
	struct rig rig;

	(void)state;
	rig_init(&rig, "v1", "always-intercept");
	boot(&rig);
	rig.got.nr = 0;
	ev(&rig, EVENT_amx, 0);
	ev(&rig, EVENT_exit, EXIT_CPUID);
	ev(&rig, EVENT_preempt, TASK_K);
	assert_int_equal(rig.pcpus[0].msr_xfd_err, 0);
	ev(&rig, EVENT_resume, EVENT_SAME_PCPU);
	assert_int_equal(rig.pcpus[0].msr_xfd_err, ARMED);
	ev(&rig, EVENT_exit, EXIT_CPUID);

	then(&want, STEP_nm_deliver);
	slow(&want, 0);
	exit_(&want, IRQ);
	then(&want, STEP_xfd_err_read);
	then(&want, STEP_xfd_err_write);
	then(&want, STEP_xsaves);
	then(&want, STEP_sched_switch);
	then(&want, STEP_sched_switch);
	entry(&want, ERR_LOAD);
	slow(&want, 0);
	assert_sequence(&rig, &want);
}

static void a_vcpu_without_amx_never_passes_through(void **state)
{
	const struct xfd_policy *policy;
	const uint8_t flags = VCPU_NO_AMX;

	(void)state;
	for (size_t i = 0; (policy = policy_at(i)); i++) {
		struct rig rig;

		rig_init(&rig, "v6.19", policy->name);
		machine_init(&rig.machine, &rig.config, &flags);
		ev(&rig, EVENT_wrxfd, ARMED);
		ev(&rig, EVENT_wrxfd, 0);
		ev(&rig, EVENT_wrxfd, 0);
		ev(&rig, EVENT_xsetbv, EVENT_XCR0_DEFAULT);
		ev(&rig, EVENT_amx, 0);
		assert_false(rig.vcpus[0].xfd_no_write_intercept);
		assert_int_equal(rig.vcpus[0].xcr0, 1);
		assert_int_equal(rig.vcpus[0].fpstate.size_bytes, 2560);
		assert_int_equal(rig.machine.alloc.high_water_bytes, 2560);
	}
}

static void an_armed_start_is_where_boot_ends(void **state)
{
	const struct xfd_policy *policy;
	const struct kernel *kernel;

	(void)state;
	for (size_t k = 0; (kernel = kernel_at(k)); k++)
		for (size_t i = 0; (policy = policy_at(i)); i++) {
			struct rig booted, armed;

			rig_init(&booted, kernel->name, policy->name);
			ev(&booted, EVENT_wrxfd, ARMED);
			rig_init(&armed, kernel->name, policy->name);
			armed.config.armed_start = true;
			machine_init(&armed.machine, &armed.config, NULL);
			assert_int_equal(armed.vcpus[0].xcr0, EVENT_XCR0_DEFAULT);
			assert_int_equal(armed.pcpus[0].msr_xfd, ARMED);
			assert_int_equal(armed.vcpus[0].xfd_no_write_intercept,
					 booted.vcpus[0].xfd_no_write_intercept);
			assert_int_equal(armed.vcpus[0].intercept_nm, booted.vcpus[0].intercept_nm);
		}
}

/* ---- events that cannot happen ---- */

static void impossible_events_are_refused_by_kind(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, "v6.19", "first-nonzero");
	rig.machine.nr_vcpus = 2;
	rig.machine.nr_pcpus = 1;
	machine_init(&rig.machine, &rig.config, NULL);
	assert_int_equal(feed(&rig, 0, EVENT_wake, EVENT_SAME_PCPU), MACHINE_NOT_HALTED);
	assert_int_equal(feed(&rig, 0, EVENT_resume, EVENT_SAME_PCPU), MACHINE_NOT_OUT);
	assert_int_equal(feed(&rig, 1, EVENT_amx, 0), MACHINE_NOT_RUNNING); /* its pCPU was taken */
	assert_int_equal(feed(&rig, 1, EVENT_resume, EVENT_SAME_PCPU), MACHINE_PCPU_HELD);
	assert_int_equal(feed(&rig, 1, EVENT_resume, 1), MACHINE_NO_PCPU);
	assert_int_equal(feed(&rig, 0, EVENT_hlt, 1000), MACHINE_OK);
	assert_int_equal(feed(&rig, 0, EVENT_amx, 0), MACHINE_NOT_RUNNING);
	assert_int_equal(feed(&rig, 1, EVENT_resume, EVENT_SAME_PCPU), MACHINE_OK);
	assert_int_equal(feed(&rig, 0, EVENT_wake, EVENT_SAME_PCPU), MACHINE_PCPU_HELD);
}

static void the_host_nm_of_2026_is_found_when_tiles_are_saved_and_then_armed(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, "v5.17", "first-nonzero");
	boot(&rig);
	ev(&rig, EVENT_wrxfd, 0);
	ev(&rig, EVENT_amx, 0);
	ev(&rig, EVENT_preempt, TASK_N);
	assert_true(rig.vcpus[0].fpstate.bv_tiles);
	rig.vcpus[0].fpstate.xfd = ARMED; /* what KVM_SET_MSRS did */
	assert_int_equal(feed(&rig, 0, EVENT_resume, EVENT_SAME_PCPU), MACHINE_HOST_NM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(always_intercept_follows_the_patch_flow),
		cmocka_unit_test(passthrough_follows_the_patch_flow),
		cmocka_unit_test(first_enable_follows_the_patch_flow),
		cmocka_unit_test(recheck_on_resume_follows_the_patch_flow),
		cmocka_unit_test(second_enable_follows_the_patch_flow),
		cmocka_unit_test(first_nonzero_waits_in_v1_for_a_write_that_finds_room),
		cmocka_unit_test(adaptive_follows_the_patch_flow),
		cmocka_unit_test(second_enable_survives_a_failed_growth_and_a_vmm_that_comes_back),
		cmocka_unit_test(first_enable_is_left_passing_through_with_a_small_buffer),
		cmocka_unit_test(a_failed_growth_stops_the_vcpu_when_the_vmm_gives_up),
		cmocka_unit_test(a_guest_that_only_boots_pays_a_sync_per_exit_under_first_nonzero),
		cmocka_unit_test(a_guest_that_only_boots_pays_no_sync_under_second_enable),
		cmocka_unit_test(first_amx_use_reads_xfd_err_once_and_writes_it_three_times),
		cmocka_unit_test(nm_is_not_intercepted_before_xfd_was_ever_armed),
		cmocka_unit_test(a_ts_fault_reads_xfd_err_below_v6_19_only),
		cmocka_unit_test(live_tiles_cost_more_on_the_way_through_userspace),
		cmocka_unit_test(armed_tiles_are_not_saved_and_are_gone_at_the_next_load),
		cmocka_unit_test(an_amx_task_that_preempts_is_charged_where_it_ran),
		cmocka_unit_test(
			registers_stay_valid_behind_a_kernel_thread_but_not_on_another_pcpu),
		cmocka_unit_test(a_halt_is_polled_blocked_or_long_enough_to_lose_tiles),
		cmocka_unit_test(a_bad_write_raises_gp_on_either_side),
		cmocka_unit_test(fastpath_exits_are_neither_synced_nor_counted_by_adaptive),
		cmocka_unit_test(a_write_between_exits_keeps_adaptive_passing_through),
		cmocka_unit_test(xcr0_is_swapped_on_fastpath_exits_below_v6_19_only),
		cmocka_unit_test(v1_saves_xfd_err_when_switched_out_and_loads_it_once),
		cmocka_unit_test(a_vcpu_without_amx_never_passes_through),
		cmocka_unit_test(an_armed_start_is_where_boot_ends),
		cmocka_unit_test(impossible_events_are_refused_by_kind),
		cmocka_unit_test(the_host_nm_of_2026_is_found_when_tiles_are_saved_and_then_armed),
	};

	return cmocka_run_group_tests_name("path", tests, NULL, NULL);
}
