/* SPDX-License-Identifier: MIT */
#include "models/path.h"

#include <assert.h>
#include <string.h>

#include "models/exit_reason.h"
#include "models/host_fpu.h"
#include "models/msr.h"

/* What an atom works on. */
struct ctx {
	struct machine *machine;
	const struct machine_config *config;
	struct vcpu *vcpu;
	struct pcpu *pcpu;
	struct path_frame *frame;
	struct step_log *log;
};

enum verdict {
	GO,  /* next atom */
	END, /* the path is over early: the vCPU has stopped */
	DIE  /* #NM in the host */
};

static void count(struct ctx *c, enum step step)
{
	step_log_push(c->log, step);
}

/* One event counts one intercept_update, however many bits of the two bitmaps it changes. */
static void set_intercepts(struct ctx *c, bool pass_through, bool trap_nm)
{
	struct vcpu *v = c->vcpu;

	if (v->xfd_no_write_intercept == pass_through && v->intercept_nm == trap_nm)
		return;
	v->xfd_no_write_intercept = pass_through;
	v->intercept_nm = trap_nm;
	if (!c->frame->updated)
		count(c, STEP_intercept_update);
	c->frame->updated = true;
}

/* KVM's rule: once writes pass through, #NM must trap, and it never stops trapping. */
static void pass_through(struct ctx *c)
{
	set_intercepts(c, true, c->vcpu->intercept_nm || c->config->kernel->traps_nm);
}

static bool policy_applies(const struct ctx *c)
{
	return vcpu_supported_xfd(c->vcpu);
}

/* ---- in the guest ---- */

static enum verdict guest_wrxfd(struct ctx *c)
{
	if (c->frame->value & ~XFEATURE_MASK_USER_DYNAMIC) {
		c->frame->refused = true;
		return GO;
	}
	count(c, STEP_guest_wrmsr_xfd);
	c->pcpu->msr_xfd = c->frame->value;
	return GO;
}

static enum verdict guest_rdxfd(struct ctx *c)
{
	count(c, STEP_guest_rdmsr_xfd);
	return GO;
}

static enum verdict guest_wrerr(struct ctx *c)
{
	if (c->frame->value & ~XFEATURE_MASK_USER_DYNAMIC) {
		c->frame->refused = true;
		return GO;
	}
	count(c, STEP_guest_wrmsr_xfd_err);
	c->pcpu->msr_xfd_err = c->frame->value;
	return GO;
}

static enum verdict guest_rderr(struct ctx *c)
{
	count(c, STEP_guest_rdmsr_xfd_err);
	return GO;
}

/* The instruction that finds XFD disarmed uses tiles; path_begin() took the others away. */
static enum verdict guest_tiles_use(struct ctx *c)
{
	c->pcpu->xinuse_tiles = true;
	return GO;
}

static enum verdict guest_tiles_release(struct ctx *c)
{
	c->pcpu->xinuse_tiles = false;
	return GO;
}

/* XFD_ERR is loaded before the exception bitmap is consulted. */
static enum verdict guest_xfd_fault(struct ctx *c)
{
	if (!c->frame->ts)
		c->pcpu->msr_xfd_err = c->pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA;
	return GO;
}

static enum verdict guest_nm(struct ctx *c)
{
	count(c, STEP_nm_deliver);
	return GO;
}

static enum verdict guest_gp(struct ctx *c)
{
	if (c->frame->refused)
		count(c, STEP_gp_deliver);
	return GO;
}

/* ---- VM-exit: interrupts off until irq_window ---- */

static enum verdict vmexit(struct ctx *c)
{
	count(c, STEP_vmexit);
	return GO;
}

static enum verdict vmx_asm(struct ctx *c)
{
	count(c, STEP_vmx_asm);
	return GO;
}

static enum verdict xcr0_switch(struct ctx *c)
{
	if (c->vcpu->flags & VCPU_XCR0_DIFFERS)
		count(c, STEP_xcr0_switch);
	return GO;
}

/* v6.19 leaves the guest's values loaded while the run loop goes round. */
static enum verdict xcr0_switch_fastpath(struct ctx *c)
{
	return c->config->kernel->xcr0_once ? GO : xcr0_switch(c);
}

static enum verdict spec_ctrl_toggle(struct ctx *c)
{
	if (c->vcpu->flags & VCPU_SPEC_CTRL_DIFFERS)
		count(c, STEP_spec_ctrl_toggle);
	return GO;
}

/* fpu_sync_guest_vmexit_xfd_state(); the policy hears of it in xfd_recheck. */
static enum verdict xfd_sync(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!v->xfd_no_write_intercept)
		return GO;
	count(c, STEP_xfd_sync);
	c->frame->sync_changed = v->fpstate.xfd != c->pcpu->msr_xfd;
	v->fpstate.xfd = c->pcpu->msr_xfd;
	c->pcpu->xfd_state = c->pcpu->msr_xfd;
	return GO;
}

static enum verdict host_irq(struct ctx *c)
{
	if (c->frame->irq)
		count(c, STEP_host_irq);
	return GO;
}

/* handle_nm_fault_irqoff(): needs fpstate.xfd as xfd_sync left it. */
static enum verdict xfd_err_read(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!c->frame->nm || !v->fpstate.xfd)
		return GO;
	if (c->frame->ts && c->config->kernel->xfd_err_honours_ts)
		return GO;
	count(c, STEP_xfd_err_read);
	v->xfd_err = c->pcpu->msr_xfd_err;
	return GO;
}

static enum verdict xfd_err_zero(struct ctx *c)
{
	if (!c->config->kernel->traps_nm || !c->vcpu->xfd_err)
		return GO;
	count(c, STEP_xfd_err_write);
	c->pcpu->msr_xfd_err = 0;
	return GO;
}

static enum verdict exit_post(struct ctx *c)
{
	count(c, STEP_exit_post);
	return GO;
}

static enum verdict xfd_recheck(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct vcpu *v = c->vcpu;

	if (!v->xfd_no_write_intercept || !policy->synced || !policy_applies(c))
		return GO;
	if (policy->synced(&v->policy, &c->config->params, c->frame->sync_changed) ==
	    POLICY_INTERCEPT)
		set_intercepts(c, false, v->intercept_nm);
	return GO;
}

static enum verdict handler(struct ctx *c)
{
	count(c, STEP_handler);
	return GO;
}

static enum verdict fastpath(struct ctx *c)
{
	count(c, STEP_fastpath);
	return GO;
}

/* ---- emulation: interrupts on, preemptible ---- */

static enum verdict msr_emulate(struct ctx *c)
{
	count(c, STEP_msr_emulate);
	return GO;
}

static enum verdict nm_inject(struct ctx *c)
{
	count(c, STEP_nm_inject);
	return GO;
}

static enum verdict wrxfd_check(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct path_frame *f = c->frame;
	struct vcpu *v = c->vcpu;

	f->refused = f->value & ~vcpu_supported_xfd(v);
	if (f->refused)
		return GO;
	f->write = (struct xfd_write){
		.value = f->value,
		.enabling = vcpu_amx_enabled(v) && !(f->value & XFEATURE_MASK_XTILE_DATA),
		.large_on_arrival = fpstate_has_tiles_room(&v->fpstate),
	};
	f->write.large = f->write.large_on_arrival;
	f->grows = f->write.enabling && !f->write.large && c->config->kernel->grows_at_write;
	f->to_user = f->grows;
	if (policy->arrives && policy_applies(c))
		f->pass_through = policy->arrives(&v->policy, &c->config->params, &f->write) ==
				  POLICY_PASS_THROUGH;
	return GO;
}

/* Before the exit to userspace, while the growth may still fail. */
static enum verdict wrxfd_early_update(struct ctx *c)
{
	if (c->frame->to_user && c->frame->pass_through)
		pass_through(c);
	return GO;
}

/* fpu_update_guest_xfd(), and what vmx_set_msr() decides after it. */
static enum verdict wrxfd_apply(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct path_frame *f = c->frame;
	struct vcpu *v = c->vcpu;

	if (f->refused || f->growth_failed)
		return GO;
	v->fpstate.xfd = f->value;
	host_fpu_set_xfd(c->pcpu, f->value, c->log);
	f->write.large = fpstate_has_tiles_room(&v->fpstate);
	f->trap_nm = f->value && c->config->kernel->traps_nm;
	if (policy->accepted && policy_applies(c))
		f->pass_through |= policy->accepted(&v->policy, &c->config->params, &f->write) ==
				   POLICY_PASS_THROUGH;
	return GO;
}

static enum verdict wrxfd_update(struct ctx *c)
{
	struct path_frame *f = c->frame;

	if (f->refused || f->growth_failed)
		return GO;
	if (f->pass_through)
		pass_through(c);
	else if (f->trap_nm)
		set_intercepts(c, c->vcpu->xfd_no_write_intercept, true);
	return GO;
}

static enum verdict wrerr_apply(struct ctx *c)
{
	c->frame->refused = c->frame->value & ~vcpu_supported_xfd(c->vcpu);
	if (!c->frame->refused)
		c->vcpu->xfd_err = c->frame->value;
	return GO;
}

/* XCR0 changes before the growth is asked for, and stays changed when that fails. */
static enum verdict xsetbv_apply(struct ctx *c)
{
	struct path_frame *f = c->frame;
	struct vcpu *v = c->vcpu;

	f->refused = !xcr0_is_valid(f->value, v->supported_xcr0);
	if (f->refused)
		return GO;
	v->xcr0 = f->value;
	f->grows = c->config->kernel->grows_at_write && vcpu_amx_enabled(v) &&
		   !(v->fpstate.xfd & XFEATURE_MASK_XTILE_DATA) &&
		   !fpstate_has_tiles_room(&v->fpstate);
	f->to_user = f->grows;
	return GO;
}

/* ---- switching the FPU ---- */

/* v1 leaves the guest's XFD_ERR in the MSR until its thread gives the CPU up. */
static enum verdict xfd_err_save(struct ctx *c)
{
	if (c->config->kernel->traps_nm)
		return GO;
	count(c, STEP_xfd_err_read);
	c->vcpu->xfd_err = c->pcpu->msr_xfd_err;
	if (c->pcpu->msr_xfd_err) {
		count(c, STEP_xfd_err_write);
		c->pcpu->msr_xfd_err = 0;
	}
	return GO;
}

static enum verdict fpu_save(struct ctx *c)
{
	host_fpu_save(c->pcpu, &c->vcpu->fpstate, c->log);
	c->vcpu->last_cpu = c->vcpu->pcpu;
	c->vcpu->need_fpu_load = true;
	return GO;
}

/* switch_fpu_return(): registers that are still this thread's are not loaded again. */
static enum verdict fpu_load(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!v->need_fpu_load)
		return GO;
	v->need_fpu_load = false;
	if (c->pcpu->fpregs_owner == v->id && v->last_cpu == v->pcpu)
		return GO;
	if (!host_fpu_restore(c->pcpu, &v->fpstate, v->id, c->log))
		return DIE;
	v->last_cpu = v->pcpu;
	return GO;
}

/* ---- KVM_RUN to userspace and back; skipped unless frame.to_user ---- */

static enum verdict user_xfd_err_save(struct ctx *c)
{
	return xfd_err_save(c);
}

static enum verdict user_save_guest(struct ctx *c)
{
	host_fpu_save(c->pcpu, &c->vcpu->fpstate, c->log);
	return GO;
}

static enum verdict user_load_vmm(struct ctx *c)
{
	struct fpstate vmm = host_fpu_vmm();

	return host_fpu_restore(c->pcpu, &vmm, c->vcpu->id, c->log) ? GO : DIE;
}

static enum verdict user_grow(struct ctx *c)
{
	if (!c->frame->grows)
		return GO;
	if (!fpstate_realloc(&c->vcpu->fpstate, &c->machine->alloc)) {
		count(c, STEP_fpstate_alloc);
		return GO;
	}
	c->frame->growth_failed = true;
	if (c->config->vmm_returns)
		return GO;
	c->vcpu->state = VCPU_STOPPED;
	c->pcpu->vcpu = VCPU_NONE;
	return END;
}

static enum verdict user_roundtrip(struct ctx *c)
{
	count(c, STEP_user_roundtrip);
	return GO;
}

static enum verdict user_save_vmm(struct ctx *c)
{
	struct fpstate vmm = host_fpu_vmm();

	host_fpu_save(c->pcpu, &vmm, c->log);
	return GO;
}

static enum verdict user_load_guest(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (!host_fpu_restore(c->pcpu, &v->fpstate, v->id, c->log))
		return DIE;
	v->need_fpu_load = false;
	v->last_cpu = v->pcpu;
	return GO;
}

static enum verdict user_resumed(struct ctx *c)
{
	const struct xfd_policy *policy = c->config->policy;
	struct vcpu *v = c->vcpu;

	if (policy->resumed && policy_applies(c) &&
	    policy->resumed(&v->policy, &c->config->params, fpstate_has_tiles_room(&v->fpstate)) ==
		    POLICY_PASS_THROUGH)
		pass_through(c);
	return GO;
}

/* ---- the host scheduler ---- */

static enum verdict sched_out(struct ctx *c)
{
	count(c, STEP_sched_switch);
	c->pcpu->vcpu = VCPU_NONE;
	return GO;
}

/* The idle loop enters C6 and releases tiles first (fpu_idle_fpregs()). */
static enum verdict halt_idle(struct ctx *c)
{
	c->vcpu->state = VCPU_HALTED;
	if (c->pcpu->xinuse_tiles && c->frame->value >= c->config->idle_init_cycles) {
		c->pcpu->xinuse_tiles = false;
		c->pcpu->fpregs_owner = THREAD_NONE;
	}
	return GO;
}

static enum verdict halt_poll(struct ctx *c)
{
	c->vcpu->state = VCPU_POLLING;
	return GO;
}

static enum verdict preempt_task(struct ctx *c)
{
	c->vcpu->state = VCPU_PREEMPTED;
	return host_fpu_task_runs(c->pcpu, c->frame->task, c->log) ? GO : DIE;
}

static enum verdict sched_in(struct ctx *c)
{
	count(c, STEP_sched_switch);
	return GO;
}

static enum verdict migrate(struct ctx *c)
{
	struct vcpu *v = c->vcpu;

	if (c->frame->pcpu != v->pcpu)
		count(c, STEP_migrate);
	v->pcpu = c->frame->pcpu;
	c->machine->pcpus[v->pcpu].vcpu = v->id;
	v->state = VCPU_GUEST;
	return GO;
}

/* ---- VM-entry ---- */

static enum verdict entry_prep(struct ctx *c)
{
	count(c, STEP_entry_prep);
	return GO;
}

static enum verdict xfd_err_load(struct ctx *c)
{
	if (!c->vcpu->xfd_err)
		return GO;
	count(c, STEP_xfd_err_write);
	c->pcpu->msr_xfd_err = c->vcpu->xfd_err;
	if (!c->config->kernel->traps_nm)
		c->vcpu->xfd_err = 0;
	return GO;
}

static enum verdict vmentry(struct ctx *c)
{
	count(c, STEP_vmentry);
	return GO;
}

/* The atoms. Those whose name begins with user_ run only on the way through userspace. */
#define ATOMS(X)                                                                                   \
	X(guest_wrxfd) X(guest_rdxfd) X(guest_wrerr) X(guest_rderr) X(guest_tiles_use)             \
	X(guest_tiles_release) X(guest_xfd_fault) X(guest_nm) X(guest_gp)                          \
	X(vmexit) X(vmx_asm) X(xcr0_switch) X(xcr0_switch_fastpath) X(spec_ctrl_toggle)            \
	X(xfd_sync) X(host_irq) X(xfd_err_read) X(xfd_err_zero) X(exit_post) X(xfd_recheck)        \
	X(handler) X(fastpath) X(msr_emulate) X(nm_inject)                                         \
	X(wrxfd_check) X(wrxfd_early_update) X(wrxfd_apply) X(wrxfd_update)                        \
	X(wrerr_apply) X(xsetbv_apply) X(xfd_err_save) X(fpu_save) X(fpu_load)                     \
	X(user_xfd_err_save) X(user_save_guest) X(user_load_vmm) X(user_grow)                      \
	X(user_roundtrip) X(user_save_vmm) X(user_load_guest) X(user_resumed)                      \
	X(sched_out) X(halt_idle) X(halt_poll) X(preempt_task) X(sched_in) X(migrate)              \
	X(entry_prep) X(xfd_err_load) X(vmentry)

enum atom {
	ATOM_end,
#define X(name) ATOM_##name,
	ATOMS(X)
#undef X
};

static enum verdict (*const atom_run[])(struct ctx *) = {
#define X(name) [ATOM_##name] = name,
	ATOMS(X)
#undef X
};

/* ---- the paths ---- */

/* vcpu_enter_guest() from VM-exit to handle_exit(). */
#define EXIT                                                                                       \
	ATOM_vmexit, ATOM_vmx_asm, ATOM_xcr0_switch, ATOM_spec_ctrl_toggle, ATOM_xfd_sync,         \
		ATOM_host_irq, ATOM_xfd_err_read, ATOM_xfd_err_zero, ATOM_exit_post,               \
		ATOM_xfd_recheck, ATOM_handler

/* kvm_arch_vcpu_ioctl_run() out to the VMM and in again. */
#define USER                                                                                       \
	ATOM_user_xfd_err_save, ATOM_user_save_guest, ATOM_user_load_vmm, ATOM_user_grow,          \
		ATOM_user_roundtrip, ATOM_user_save_vmm, ATOM_user_load_guest, ATOM_user_resumed

/* vcpu_enter_guest() up to VM-entry. */
#define ENTRY ATOM_entry_prep, ATOM_fpu_load, ATOM_xfd_err_load, ATOM_vmentry

#define SWITCH_OUT ATOM_xfd_err_save, ATOM_fpu_save, ATOM_sched_out

static const uint8_t wrxfd_passed[] = {ATOM_guest_wrxfd, ATOM_guest_gp, ATOM_end};
static const uint8_t wrxfd_trapped[] = {
	EXIT, ATOM_msr_emulate, ATOM_wrxfd_check, ATOM_wrxfd_early_update, USER,
	ATOM_wrxfd_apply, ATOM_wrxfd_update, ENTRY, ATOM_guest_gp, ATOM_end,
};
static const uint8_t rdxfd_passed[] = {ATOM_guest_rdxfd, ATOM_end};
static const uint8_t rdxfd_trapped[] = {EXIT, ATOM_msr_emulate, ENTRY, ATOM_end};
static const uint8_t wrerr_passed[] = {ATOM_guest_wrerr, ATOM_guest_gp, ATOM_end};
static const uint8_t wrerr_trapped[] = {
	EXIT, ATOM_msr_emulate, ATOM_wrerr_apply, ENTRY, ATOM_guest_gp, ATOM_end,
};
static const uint8_t rderr_passed[] = {ATOM_guest_rderr, ATOM_end};
static const uint8_t xsetbv_path[] = {
	EXIT, ATOM_xsetbv_apply, USER, ENTRY, ATOM_guest_gp, ATOM_end,
};
static const uint8_t tiles_use[] = {ATOM_guest_tiles_use, ATOM_end};
static const uint8_t tiles_release[] = {ATOM_guest_tiles_release, ATOM_end};
static const uint8_t nm_passed[] = {ATOM_guest_xfd_fault, ATOM_guest_nm, ATOM_end};
static const uint8_t nm_trapped[] = {
	ATOM_guest_xfd_fault, EXIT, ATOM_nm_inject, ENTRY, ATOM_guest_nm, ATOM_end,
};
static const uint8_t nothing[] = {ATOM_end};
static const uint8_t exit_slow[] = {EXIT, ENTRY, ATOM_end};
static const uint8_t exit_fastpath[] = {
	ATOM_vmexit, ATOM_vmx_asm, ATOM_xcr0_switch_fastpath, ATOM_spec_ctrl_toggle,
	ATOM_fastpath, ATOM_vmentry, ATOM_end,
};
static const uint8_t exit_userspace[] = {EXIT, USER, ENTRY, ATOM_end};
static const uint8_t hlt_polled[] = {EXIT, ENTRY, ATOM_halt_poll, ATOM_end};
static const uint8_t hlt_blocked[] = {EXIT, SWITCH_OUT, ATOM_halt_idle, ATOM_end};
static const uint8_t preempt_path[] = {EXIT, SWITCH_OUT, ATOM_preempt_task, ATOM_end};
static const uint8_t switch_in[] = {ATOM_sched_in, ATOM_migrate, ENTRY, ATOM_end};

/* An AMX instruction: #UD, tiles, or #NM, by XCR0 and XFD. */
static int begin_amx(struct machine *machine, struct vcpu *v)
{
	const struct pcpu *pcpu = &machine->pcpus[v->pcpu];

	v->frame.atoms = nothing;
	if (!vcpu_amx_enabled(v))
		return EXIT_NONE;
	v->frame.atoms = tiles_use;
	if (!(pcpu->msr_xfd & XFEATURE_MASK_XTILE_DATA))
		return EXIT_NONE;
	v->frame.nm = true;
	v->frame.atoms = v->intercept_nm ? nm_trapped : nm_passed;
	return v->intercept_nm ? EXIT_EXCEPTION_NMI : EXIT_NONE;
}

static int begin_exit(struct vcpu *v, int reason)
{
	v->frame.atoms = reason == EXIT_FASTPATH    ? exit_fastpath
			 : reason == EXIT_USERSPACE ? exit_userspace
						    : exit_slow;
	v->frame.to_user = reason == EXIT_USERSPACE;
	v->frame.irq = reason == EXIT_EXTERNAL_INTERRUPT;
	return reason;
}

static int begin_access(struct vcpu *v, bool passes, const uint8_t *passed, const uint8_t *trapped,
			int reason)
{
	v->frame.atoms = passes ? passed : trapped;
	return passes ? EXIT_NONE : reason;
}

int path_begin(struct machine *machine, const struct trace_event *event)
{
	struct vcpu *v = &machine->vcpus[event->vcpu];
	bool open = v->xfd_no_write_intercept;
	bool traps_nm = machine->config->kernel->traps_nm;

	v->frame = (struct path_frame){.value = event->arg};
	switch ((enum event_kind)event->kind) {
	case EVENT_wrxfd:
		return begin_access(v, open, wrxfd_passed, wrxfd_trapped, EXIT_MSR_WRITE);
	case EVENT_rdxfd:
		return begin_access(v, open, rdxfd_passed, rdxfd_trapped, EXIT_MSR_READ);
	case EVENT_wrerr:
		return begin_access(v, !traps_nm, wrerr_passed, wrerr_trapped, EXIT_MSR_WRITE);
	case EVENT_rderr:
		return begin_access(v, true, rderr_passed, NULL, EXIT_NONE);
	case EVENT_xsetbv:
		v->frame.atoms = xsetbv_path;
		return EXIT_XSETBV;
	case EVENT_amx:
		return begin_amx(machine, v);
	case EVENT_tsfault:
		v->frame.nm = v->frame.ts = true;
		return begin_access(v, !v->intercept_nm, nm_passed, nm_trapped, EXIT_EXCEPTION_NMI);
	case EVENT_tilerelease:
		v->frame.atoms = tiles_release;
		return EXIT_NONE;
	case EVENT_exit:
		return begin_exit(v, (int)event->arg);
	case EVENT_hlt:
		v->frame.atoms = event->arg < machine->config->halt_poll_cycles ? hlt_polled
										: hlt_blocked;
		return EXIT_HLT;
	case EVENT_preempt:
		v->frame.atoms = preempt_path;
		v->frame.task = (enum task_class)event->arg;
		v->frame.irq = true;
		return EXIT_EXTERNAL_INTERRUPT;
	case EVENT_wake:
	case EVENT_resume:
		v->frame.atoms = switch_in;
		v->frame.pcpu = event->arg == EVENT_SAME_PCPU ? v->pcpu : (uint32_t)event->arg;
		return EXIT_NONE;
	case NR_EVENT_KINDS:
		break;
	}
	assert(event->kind < NR_EVENT_KINDS);
	return EXIT_NONE;
}

static bool is_user_atom(uint8_t atom)
{
	return atom >= ATOM_user_xfd_err_save && atom <= ATOM_user_resumed;
}

enum machine_status path_step(struct machine *machine, struct vcpu *vcpu, struct step_log *log)
{
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		.pcpu = &machine->pcpus[vcpu->pcpu],
		.frame = &vcpu->frame,
		.log = log,
	};
	uint8_t atom = vcpu->frame.atoms[vcpu->frame.pc++];
	enum verdict verdict = atom == ATOM_end ? END : GO;

	if (atom != ATOM_end && (vcpu->frame.to_user || !is_user_atom(atom)))
		verdict = atom_run[atom](&c);
	if (verdict != GO)
		vcpu->frame.atoms = NULL;
	return verdict == DIE ? MACHINE_HOST_NM : MACHINE_OK;
}

void path_boot(struct machine *machine, struct vcpu *vcpu)
{
	struct pcpu *pcpu = &machine->pcpus[vcpu->pcpu];
	struct pcpu elsewhere = *pcpu;
	struct step_log log = {0};
	struct ctx c = {
		.machine = machine,
		.config = machine->config,
		.vcpu = vcpu,
		/* The MSR of a pCPU that another vCPU holds is not this one's to write. */
		.pcpu = vcpu->state == VCPU_GUEST ? pcpu : &elsewhere,
		.frame = &vcpu->frame,
		.log = &log,
	};

	if (!vcpu_supported_xfd(vcpu)) {
		vcpu->xcr0 = vcpu->supported_xcr0;
		return;
	}
	vcpu->frame = (struct path_frame){.value = XFEATURE_MASK_USER_DYNAMIC};
	if (vcpu->xfd_no_write_intercept) {
		guest_wrxfd(&c);
		xfd_sync(&c);
	} else {
		wrxfd_check(&c);
		wrxfd_apply(&c);
		wrxfd_update(&c);
	}
	vcpu->xcr0 = EVENT_XCR0_DEFAULT;
	vcpu->frame = (struct path_frame){0};
}
